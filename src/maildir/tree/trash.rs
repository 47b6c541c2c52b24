//! Getting rid of folders: away with one rename, the files one by one when there is time.

use std::io;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, SystemTime};

use super::list;
use crate::maildir::dir::{Access, Dir, Kind, Target, is_gone};

/// Takes the folder `name` in `above` away from the mailboxes, all but `children`, which are
/// directories in it.
pub(super) fn throw(
    root: &Dir,
    above: &Dir,
    name: &[u8],
    children: &[Vec<u8>],
    now: SystemTime,
) -> io::Result<()> {
    if children.is_empty() {
        return throw_away(root, above, name, now);
    }
    let heap = unique(now);
    root.make_dir(&heap, &Access::PRIVATE)?;
    let into = root.open_dir(&heap)?;
    let folder = above.open_dir(name)?;
    let mut parts = list::entries(&folder, &|part| !children.iter().any(|child| child == part))?;
    // Without `cur` it is no mailbox any more.
    parts.sort_by_key(|(part, _)| part != b"cur");
    for (part, _) in parts {
        match folder.rename(&part, &into, &part, Target::Replace) {
            Err(e) if is_gone(&e) => {}
            renamed => renamed?,
        }
    }
    throw_away(root, root, &heap, now)
}

/// As Dovecot does, to a place where it looks, too.  If that is taken, into it.  No new file or
/// directory is needed, so a full disk does not prevent it.
fn throw_away(root: &Dir, above: &Dir, name: &[u8], now: SystemTime) -> io::Result<()> {
    match above.rename(name, root, TRASH, Target::Replace) {
        Err(e) if is_taken(&e) => {}
        renamed => return renamed,
    }
    match root.open_dir(TRASH) {
        Ok(trash) => above.rename(name, &trash, &unique(now), Target::Replace),
        // Emptied by somebody meanwhile.
        Err(e) if is_gone(&e) => above.rename(name, root, TRASH, Target::Replace),
        Err(e) => Err(e),
    }
}

/// Empties the trash, and removes what was begun by processes that are long gone.  True: all done.
pub(super) fn sweep(root: &Dir, now: SystemTime, over: &dyn Fn() -> bool) -> io::Result<bool> {
    if root.stat(TRASH)?.is_some() && !remove(root, TRASH, over)? {
        return Ok(false);
    }
    let unfinished = |name: &[u8]| name.starts_with(UNFINISHED.as_bytes());
    for (name, _) in list::entries(root, &unfinished)? {
        let Some(stat) = root.stat(&name)? else {
            continue;
        };
        let age = now.duration_since(stat.ctime.into());
        if age.is_ok_and(|age| age > ABANDONED) && !remove(root, &name, over)? {
            return Ok(false);
        }
    }
    Ok(true)
}

/// Removes `name` and, if it is a directory, everything in it.  False: the time slice was used up
/// before.
pub(super) fn remove(above: &Dir, name: &[u8], over: &dyn Fn() -> bool) -> io::Result<bool> {
    remove_deep(above, name, over, DEPTH_MAX)
}

fn remove_deep(
    above: &Dir,
    name: &[u8],
    over: &dyn Fn() -> bool,
    depth: usize,
) -> io::Result<bool> {
    let is_directory = match above.stat(name)? {
        Some(stat) => stat.kind == Kind::Directory,
        None => return Ok(true),
    };
    if !is_directory {
        return gone(above.unlink(name));
    }
    let depth = depth
        .checked_sub(1)
        .ok_or(io::Error::from(io::ErrorKind::InvalidFilename))?;
    let directory = above.open_dir(name)?;
    // Names that come to be meanwhile are seen in another round.
    for _ in 0..ROUNDS {
        for (entry, kind) in list::entries(&directory, &|_| true)? {
            let removed = match kind {
                Kind::Directory | Kind::Unknown => remove_deep(&directory, &entry, over, depth)?,
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

fn gone(removed: io::Result<()>) -> io::Result<bool> {
    match removed {
        Err(e) if is_gone(&e) => Ok(true),
        removed => removed.map(|()| true),
    }
}

fn is_taken(e: &io::Error) -> bool {
    use io::ErrorKind::{AlreadyExists, DirectoryNotEmpty};
    matches!(e.kind(), AlreadyExists | DirectoryNotEmpty)
}

fn unique(now: SystemTime) -> Vec<u8> {
    static COUNT: AtomicU32 = AtomicU32::new(0);
    let count = COUNT.fetch_add(1, Ordering::Relaxed);
    let time = now
        .duration_since(SystemTime::UNIX_EPOCH)
        .map_or(0, |time| time.as_micros());
    format!("{UNFINISHED}{}.{count}.{time}", std::process::id()).into_bytes()
}

/// `maildir-formats.md 7`; Dovecot empties it an hour after.
const TRASH: &[u8] = b"..DOVECOT-TRASHED";
/// Names beginning so are nobody's mailboxes.
pub(super) const UNFINISHED: &str = "..roost.";
const ABANDONED: Duration = Duration::from_secs(3600);
const ROUNDS: usize = 10;
const DEPTH_MAX: usize = 100;
