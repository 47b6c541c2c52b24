//! Getting rid of folders: away with one rename, the files one by one when there is time.

use std::io;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, SystemTime};

use super::list;
use crate::mail::Layout;
use crate::maildir::disk::dir::{
    Access, Dir, DiskError, DiskResult, FileKind, Target, host_name, is_gone, own_process,
};

/// Takes the folder `name` in `above` away.  No new file or directory is needed, so a full disk
/// does not prevent it.
///
/// Where it cannot be moved (a file system of its own, or a layer of one below) it is emptied where
/// it is.
pub(super) fn throw(root: &Dir, layout: Layout, above: &Dir, name: &[u8]) -> DiskResult<()> {
    match move_away(root, layout, above, name) {
        Err(e) if is_apart(&e) => empty(above, name),
        moved => moved,
    }
}

/// All of it or, where it is a mount point, all that is in it.
fn empty(above: &Dir, name: &[u8]) -> DiskResult<()> {
    // Without `cur` it is no mailbox for those who look meanwhile.
    let part = [name, b"/cur"].concat();
    while !remove(above, &part, &|| false)? {}
    while !remove(above, name, &|| false)? {}
    Ok(())
}

/// Neither rename(2) nor link(2) leads there.
pub(super) fn is_apart(e: &DiskError) -> bool {
    matches!(e.kind(), io::ErrorKind::CrossesDevices)
}

fn move_away(root: &Dir, layout: Layout, above: &Dir, name: &[u8]) -> DiskResult<()> {
    if layout == Layout::Fs {
        // Dovecot, which has a place in the root for it too, lists that as a mailbox.
        return above.rename(name, &workshop(root)?, &unique(GONE), Target::Replace);
    }
    match above.rename(name, root, TRASH, Target::Replace) {
        Err(e) if is_taken(&e) => {}
        renamed => return renamed,
    }
    match root.open_dir(TRASH) {
        Ok(trash) => above.rename(name, &trash, &unique(GONE), Target::Replace),
        // Emptied by somebody meanwhile.
        Err(e) if is_gone(&e) => above.rename(name, root, TRASH, Target::Replace),
        Err(e) => Err(e),
    }
}

/// Takes what is in `folder` away, as far as it is `unwanted`.
pub(super) fn throw_parts(
    root: &Dir,
    folder: &Dir,
    unwanted: &dyn Fn(&[u8]) -> bool,
) -> DiskResult<()> {
    let mut parts = list::entries(folder, unwanted)?;
    if parts.is_empty() {
        return Ok(());
    }
    // Without `cur` it is no mailbox any more.
    parts.sort_by_key(|(part, _)| part != b"cur");
    let workshop = workshop(root)?;
    let heap = unique(GONE);
    workshop.make_dir(&heap, &Access::PRIVATE)?;
    let into = workshop.open_dir(&heap)?;
    for (part, _) in parts {
        match folder.rename(&part, &into, &part, Target::Replace) {
            Err(e) if is_gone(&e) => {}
            Err(e) if is_apart(&e) => while !remove(folder, &part, &|| false)? {},
            renamed => renamed?,
        }
    }
    Ok(())
}

/// Empties the trash, and removes what was begun by processes that are long gone.  True: all done.
pub(super) fn sweep(root: &Dir, now: SystemTime, over: &dyn Fn() -> bool) -> DiskResult<bool> {
    for trash in [TRASH, FS_TRASH] {
        if root.stat(trash)?.is_some() && !remove(root, trash, over)? {
            return Ok(false);
        }
    }
    let workshop = match root.open_dir(WORKSHOP) {
        Err(e) if is_gone(&e) => return Ok(true),
        workshop => workshop?,
    };
    let ours = |name: &[u8]| name.starts_with(GONE) || name.starts_with(UNFINISHED);
    for (name, _) in list::entries(&workshop, &ours)? {
        let Some(stat) = workshop.stat(&name)? else {
            continue;
        };
        let age = now.duration_since(stat.ctime.into());
        let unwanted = name.starts_with(GONE) || age.is_ok_and(|age| age > ABANDONED);
        if unwanted && stat.kind == FileKind::Directory && !remove(&workshop, &name, over)? {
            return Ok(false);
        }
    }
    Ok(true)
}

/// Where folders are made, and taken to pieces, unseen: the root's `tmp/`.
pub(super) fn workshop(root: &Dir) -> DiskResult<Dir> {
    match root.open_dir(WORKSHOP) {
        Err(e) if e.kind() == io::ErrorKind::NotFound => {
            root.make_dir(WORKSHOP, &root.access()?)?;
            root.open_dir(WORKSHOP)
        }
        workshop => workshop,
    }
}

/// Removes `name` and, if it is a directory, everything in it.  False: the time slice was used up
/// before.
pub(super) fn remove(above: &Dir, name: &[u8], over: &dyn Fn() -> bool) -> DiskResult<bool> {
    remove_deep(above, name, over, DEPTH_MAX)
}

fn remove_deep(
    above: &Dir,
    name: &[u8],
    over: &dyn Fn() -> bool,
    depth: usize,
) -> DiskResult<bool> {
    let is_directory = match above.stat(name)? {
        Some(stat) => stat.kind == FileKind::Directory,
        None => return Ok(true),
    };
    if !is_directory {
        return gone(above.unlink(name));
    }
    let depth = depth
        .checked_sub(1)
        .ok_or_else(|| above.failure("unlink", name, io::Error::other("too deep")))?;
    let directory = above.open_dir(name)?;
    // Names that come to be meanwhile are seen in another round.
    for _ in 0..ROUNDS {
        for (entry, kind) in list::entries(&directory, &|_| true)? {
            let removed = match kind {
                FileKind::Directory | FileKind::Unknown => {
                    remove_deep(&directory, &entry, over, depth)?
                }
                _ => gone(directory.unlink(&entry))?,
            };
            if !removed || over() {
                return Ok(false);
            }
        }
        match above.remove_dir(name) {
            Err(e) if is_taken(&e) => {}
            removed => return gone(removed),
        }
    }
    Ok(false)
}

fn gone(removed: DiskResult<()>) -> DiskResult<bool> {
    match removed {
        Err(e) if is_gone(&e) => Ok(true),
        removed => removed.map(|()| true),
    }
}

fn is_taken(e: &DiskError) -> bool {
    use io::ErrorKind::{AlreadyExists, DirectoryNotEmpty};
    matches!(e.kind(), AlreadyExists | DirectoryNotEmpty)
}

/// A name that nobody else uses.
pub(super) fn unique(kind: &[u8]) -> Vec<u8> {
    static COUNT: AtomicU32 = AtomicU32::new(0);
    let count = COUNT.fetch_add(1, Ordering::Relaxed);
    let mut name = kind.to_vec();
    name.extend(format!("{}.{count}.", own_process()).into_bytes());
    name.extend(host_name());
    name
}

/// Dovecot's places; it removes what it finds there an hour later.
const TRASH: &[u8] = b"..DOVECOT-TRASHED";
const FS_TRASH: &[u8] = b"..DOVECOT-TrasH";
const WORKSHOP: &[u8] = b"tmp";
pub(super) const UNFINISHED: &[u8] = b"roost.new.";
const GONE: &[u8] = b"roost.gone.";
const ABANDONED: Duration = Duration::from_secs(3600);
const ROUNDS: usize = 10;
const DEPTH_MAX: usize = 100;
