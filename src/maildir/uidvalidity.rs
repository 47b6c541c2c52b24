//! `dovecot-uidvalidity`: the next UIDVALIDITY for a new mailbox (`maildir-formats.md 5`).

use std::io;
use std::time::SystemTime;

use super::dir::{Access, Dir};

/// Takes the next value from the root's control directory.
pub fn next(root: &Dir, access: &Access, now: SystemTime) -> io::Result<u32> {
    let _ = (root, access, now);
    todo!()
}
