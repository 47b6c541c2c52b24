//! Whether a folder can have as many messages as a file beside them says.
//!
//! No number in a file decides how much memory is used, because anybody may have written it, and a
//! file with holes takes no room on the disk.  What counts is how many files there are.

use super::dir::{Dir, FileKind};

/// Whether these directories may have so many messages, or had them not long ago.  A file that is
/// out of date tells of messages that have gone since.
pub(in crate::maildir) fn can_have(directories: &[&Dir], messages: u64) -> bool {
    let wanted = messages.saturating_sub(FEW) / OUT_OF_DATE;
    // Most file systems need so much for a name; counting takes longer.
    let octets = directories.iter().filter_map(|dir| dir.stat_self().ok());
    let octets = octets.fold(0_u64, |sum, stat| sum.saturating_add(stat.size));
    wanted == 0 || octets / ENTRY >= wanted || names(directories, wanted) >= wanted
}

/// Whether a file of this size may say something of each message in the folder `dir`.
pub(in crate::maildir) fn can_fill(dir: &Dir, size: u64) -> bool {
    if size <= ALWAYS {
        return true;
    }
    let parts = [b"cur", b"new"].map(|name| dir.open_dir(name));
    let parts: Vec<&Dir> = parts.iter().filter_map(|part| part.as_ref().ok()).collect();
    can_have(&parts, size / RECORD)
}

/// How many names there are, as far as that matters.
fn names(directories: &[&Dir], wanted: u64) -> u64 {
    let mut count = 0;
    for directory in directories {
        let Ok(mut listing) = directory.list() else {
            continue;
        };
        let mut each = |_: &[u8], kind| count += u64::from(kind != FileKind::Directory);
        while let Ok(true) = listing.next_chunk(&mut each) {}
        if count >= wanted {
            break;
        }
    }
    count
}

/// How many messages cost too little to count.
const FEW: u64 = 10_000;
/// How many times as many messages there may have been before.
const OUT_OF_DATE: u64 = 8;
/// Octets of a directory for a name, at least.
const ENTRY: u64 = 12;
/// A file of this size is read in any case.
const ALWAYS: u64 = 32 << 20;
/// A record of a list of UIDs is hardly ever larger.
const RECORD: u64 = 512;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::maildir::disk::dir::scratch::Scratch;

    #[test]
    fn a_folder_has_as_many_messages_as_names_and_not_as_many_as_a_file_says() {
        let scratch = Scratch::new();
        for number in 0..10 {
            scratch.write(&format!("{number}"), "");
        }
        let directories = [&scratch.dir];
        assert!(can_have(&directories, FEW + 10));
        assert!(!can_have(&directories, FEW + 1_000_000));
        assert!(can_fill(&scratch.dir, ALWAYS));
        assert!(!can_fill(&scratch.dir, 1 << 30));
    }
}
