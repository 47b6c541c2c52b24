//! `roost.cache`: per message, what was worked out of its text and will be asked for again.
//!
//! A cache in every sense: it may be cut, deleted, replaced or appended to by another process at any
//! time, and then holds less, never something wrong.

use std::path::Path;

use crate::imap::sequence::Uid;

/// The cache of one folder: UID -> bytes.
pub struct Cache {}

impl Cache {
    /// Never fails: what cannot be read is not there, what cannot be written is not kept.
    pub fn open(folder: &Path, uid_validity: u32) -> Cache {
        todo!()
    }

    /// The bytes last `put` for the message.  Ascending UIDs are read in large pieces.
    pub fn get(&mut self, uid: Uid) -> Option<&[u8]> {
        todo!()
    }

    pub fn contains(&self, uid: Uid) -> bool {
        todo!()
    }

    /// Kept in memory until `flush` or until there is much of it.
    pub fn put(&mut self, uid: Uid, bytes: &[u8]) {
        todo!()
    }

    /// One write of everything `put`.
    pub fn flush(&mut self) {
        todo!()
    }

    /// The message is gone.
    pub fn forget(&mut self, uid: Uid) {
        todo!()
    }

    /// Rewrites the file when most of it is dead; `live` says which messages still exist.
    pub fn compact(&mut self, live: &dyn Fn(Uid) -> bool) {
        todo!()
    }
}
