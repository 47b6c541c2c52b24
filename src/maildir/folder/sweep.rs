//! Removes what broken deliveries have left in tmp/.
//!
//! A program that writes a message into tmp/ has to finish within 36 hours: this is a rule of the
//! Maildir.  A file that was neither written to nor read for so long is removed when the folder is
//! opened.

use std::time::{Duration, SystemTime};

use super::Folder;
use crate::maildir::disk::dir::{Dir, DiskResult, FileKind, is_denied, is_gone};

impl Folder {
    /// Mail that may only be read is left as it is.
    pub(super) fn sweep_tmp(&self, now: SystemTime) {
        match sweep(&self.dirs.tmp, now) {
            Ok(()) => (),
            Err(error) if is_denied(&error) || is_gone(&error) => (),
            Err(error) => self.warn("tmp/ cannot be swept", &error),
        }
    }
}

fn sweep(tmp: &Dir, now: SystemTime) -> DiskResult<()> {
    let mut names: Vec<Vec<u8>> = Vec::new();
    let mut each = |name: &[u8], kind| {
        if names.len() < AT_ONCE && matches!(kind, FileKind::File | FileKind::Unknown) {
            names.push(name.to_vec());
        }
    };
    let mut listing = tmp.list()?;
    while listing.next_chunk(&mut each)? {}
    for name in names {
        let Some(stat) = tmp.stat(&name)? else {
            continue;
        };
        let used: SystemTime = stat.mtime.max(stat.atime).into();
        let is_old = now.duration_since(used).is_ok_and(|age| age > OLD);
        if stat.kind == FileKind::File && is_old {
            match tmp.unlink(&name) {
                Err(error) if !is_gone(&error) => return Err(error),
                _ => (),
            }
        }
    }
    Ok(())
}

const OLD: Duration = Duration::from_secs(36 * 3600);
/// Whatever is left is for the next time.
const AT_ONCE: usize = 1000;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::maildir::disk::dir::scratch::Scratch;

    #[test]
    fn files_that_nobody_touched_for_36_hours_are_removed() {
        let scratch = Scratch::new();
        scratch.write("old", "x");
        scratch.write("read-lately", "x");
        scratch.write("new", "x");
        std::fs::create_dir(scratch.path().join("directory")).unwrap();
        let now = SystemTime::now();
        let hours = |hours: u64| now - Duration::from_secs(hours * 3600);
        let set = |name: &str, read, written| {
            let file = std::fs::File::options()
                .write(true)
                .open(scratch.path().join(name))
                .unwrap();
            let times = std::fs::FileTimes::new()
                .set_accessed(read)
                .set_modified(written);
            file.set_times(times).unwrap();
        };
        set("old", hours(37), hours(37));
        set("read-lately", hours(35), hours(90));
        set("new", hours(90), hours(35));
        sweep(&scratch.dir, now).unwrap();
        assert_eq!(scratch.names(), ["directory", "new", "read-lately"]);
    }
}
