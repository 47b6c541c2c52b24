//! RENAME of a folder that rename(2) cannot move: it lies in a lower layer of an overlay, or on a
//! file system of its own.
//!
//! Its files are moved one by one, by copying where need be: first the UIDs, then what else there
//! is beside the messages, then the messages.  Broken off, each message is in one of the two
//! folders, whole.

use std::io::{self, Read};

use super::{TreeError, list, taken, trash};
use crate::maildir::disk::dir::{Access, Dir, DiskResult, FileKind, Target, is_gone};

/// Moves the folder `name` in `from`, with all that is in it.
pub(super) fn folder(
    from: &Dir,
    name: &[u8],
    to: &Dir,
    new: &[u8],
    access: &Access,
) -> Result<(), TreeError> {
    to.make_dir(new, access).map_err(taken)?;
    let source = from.open_dir(name)?;
    let target = to.open_dir(new)?;
    contents(&source, &target, access, DEPTH_MAX)?;
    target.sync()?;
    to.sync()?;
    // A mount point stays, empty.
    match from.remove_dir(name) {
        Err(e) if e.kind() == io::ErrorKind::ResourceBusy => Ok(()),
        removed => Ok(removed?),
    }
}

fn contents(source: &Dir, target: &Dir, access: &Access, depth: usize) -> DiskResult<()> {
    let mut entries = list::entries(source, &|_| true)?;
    entries.sort_by_key(|(name, kind)| (*kind == FileKind::Directory, name != b"dovecot-uidlist"));
    for (name, _) in entries {
        let Some(stat) = source.stat(&name)? else {
            continue;
        };
        if stat.kind == FileKind::Directory {
            let Some(depth) = depth.checked_sub(1) else {
                let why = io::Error::other("too deep");
                return Err(source.failure("rename", &name, why));
            };
            match source.rename(&name, target, &name, Target::Replace) {
                Err(e) if trash::is_apart(&e) => (),
                renamed => {
                    renamed?;
                    continue;
                }
            }
            match target.make_dir(&name, access) {
                Err(e) if e.kind() == io::ErrorKind::AlreadyExists => (),
                made => made?,
            }
            let within = target.open_dir(&name)?;
            contents(&source.open_dir(&name)?, &within, access, depth)?;
            within.sync()?;
            source.remove_dir(&name)?;
            continue;
        }
        match source.rename(&name, target, &name, Target::Replace) {
            Err(e) if trash::is_apart(&e) => file(source, target, &name, access)?,
            Err(e) if is_gone(&e) => (),
            renamed => renamed?,
        }
    }
    Ok(())
}

/// The copy has its name before the original loses it.
fn file(source: &Dir, target: &Dir, name: &[u8], access: &Access) -> DiskResult<()> {
    let mut from = source.open_file(name)?;
    let mtime = from.stat()?.mtime;
    let temporary = trash::unique(b"roost.carried.");
    let mut to = target.create_new(&temporary, access)?;
    let mut copy = || {
        let mut bytes = vec![0; 128 * 1024];
        loop {
            let read = match from.read(&mut bytes) {
                Err(e) if e.kind() == io::ErrorKind::Interrupted => continue,
                read => read.map_err(|e| from.failure("read", e))?,
            };
            if read == 0 {
                break;
            }
            to.write_all(bytes.get(..read).unwrap_or_default())?;
        }
        to.set_mtime(mtime)?;
        to.sync()?;
        target.rename(&temporary, target, name, Target::Replace)
    };
    if let Err(error) = copy() {
        let _ = target.unlink(&temporary);
        return Err(error);
    }
    source.unlink(name)
}

const DEPTH_MAX: usize = 100;
