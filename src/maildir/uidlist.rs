//! `dovecot-uidlist`: UIDs, UIDVALIDITY and the mailbox GUID (`maildir-formats.md 2`).

use std::io;

use super::dir::{Access, Dir};
use super::lock::Lock;
use crate::imap::sequence::Uid;

/// The file in memory, records in ascending order of UID.
#[derive(Clone, Debug)]
pub struct Uidlist {}

/// One record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Record<'a> {
    pub uid: Uid,
    /// The file's base name.
    pub base: &'a [u8],
    /// The keys between UID and name as they stand in the file, such as `W2481 Gabc`; mostly empty.
    pub keys: &'a [u8],
}

impl<'a> Record<'a> {
    /// Key `G`: the GUID where it is not the base name.
    pub fn guid(&self) -> Option<&'a [u8]> {
        todo!()
    }
    /// Key `S`, else what the name says.
    pub fn size(&self) -> Option<u64> {
        todo!()
    }
    /// Key `W`, else what the name says.
    pub fn virtual_size(&self) -> Option<u64> {
        todo!()
    }
}

/// A message to be added.
#[derive(Clone, Copy, Debug)]
pub struct New<'a> {
    pub base: &'a [u8],
    /// To be recorded as key `G`, when it is not the base name.
    pub guid: Option<&'a [u8]>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refreshed {
    Same,
    /// Records from this index on are new.
    Appended(usize),
    /// Anything may be different.
    Replaced,
    /// The file is not there any more; what was read before still stands.
    Gone,
}

impl Uidlist {
    /// A list for a folder that has none; nothing is written before `rewrite`.
    pub fn new(uid_validity: u32, next_uid: Uid) -> Uidlist {
        let _ = (uid_validity, next_uid);
        todo!()
    }
    /// `None`: there is no file.  A damaged file gives what could be saved of it, and `is_damaged`.
    pub fn read(dir: &Dir) -> io::Result<Option<Uidlist>> {
        let _ = dir;
        todo!()
    }
    /// One `stat` when nothing changed.
    pub fn refresh(&mut self, dir: &Dir) -> io::Result<Refreshed> {
        let _ = dir;
        todo!()
    }
    /// Is the file on disk another than the one last read or written?
    pub fn changed_on_disk(&self, dir: &Dir) -> io::Result<bool> {
        let _ = dir;
        todo!()
    }
    pub fn uid_validity(&self) -> u32 {
        todo!()
    }
    /// max(N, last UID + 1)
    pub fn uid_next(&self) -> Uid {
        todo!()
    }
    /// Mailbox GUID, 32 hex digits.
    pub fn guid(&self) -> &str {
        todo!()
    }
    pub fn len(&self) -> usize {
        todo!()
    }
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
    pub fn record(&self, index: usize) -> Option<Record<'_>> {
        let _ = index;
        todo!()
    }
    pub fn records(&self) -> impl DoubleEndedIterator<Item = Record<'_>> {
        std::iter::empty()
    }
    /// Index of the record of this UID.
    pub fn find_uid(&self, uid: Uid) -> Option<usize> {
        let _ = uid;
        todo!()
    }
    /// Index of the record of this base name.
    pub fn find(&self, base: &[u8]) -> Option<usize> {
        let _ = base;
        todo!()
    }
    /// The file has to be rewritten before the next append: version 1, no GUID, damage, a duplicate.
    pub fn needs_rewrite(&self) -> bool {
        todo!()
    }
    /// Adds records with the UIDs from `uid_next` on, in the order given, in one write under the lock.
    /// Returns the first UID.  The caller has refreshed under the same lock.
    pub fn append(
        &mut self,
        dir: &Dir,
        lock: &Lock,
        new: &[New<'_>],
        durable: Durable,
    ) -> Result<Uid, UidlistError> {
        let _ = (dir, lock, new, durable);
        todo!()
    }
    /// Writes the file anew with the records for which `live` (index, record) says so.
    pub fn rewrite(
        &mut self,
        dir: &Dir,
        lock: &Lock,
        access: &Access,
        live: &mut dyn FnMut(usize, Record<'_>) -> bool,
        durable: Durable,
    ) -> Result<(), UidlistError> {
        let _ = (dir, lock, access, live, durable);
        todo!()
    }
    /// Fewer than 75 % of the records are live: time for a rewrite.
    pub fn wants_compaction(&self, live: usize) -> bool {
        let _ = live;
        todo!()
    }
    /// Raises the next UID (never lowers it); it is written by the next `rewrite`.
    pub fn raise_uid_next(&mut self, uid: Uid) {
        let _ = uid;
        todo!()
    }
    /// A new UIDVALIDITY, greater than the old one: every UID is given anew.
    pub fn replace_uid_validity(&mut self, uid_validity: u32) {
        let _ = uid_validity;
        todo!()
    }
}

/// Is the write to be on disk when the call returns?
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Durable {
    Yes,
    No,
}

#[derive(Debug)]
pub enum UidlistError {
    /// The file changed since it was read: refresh and decide again.
    Changed,
    /// UIDs have run out: a new UIDVALIDITY is needed.
    NoUids,
    /// A name that cannot stand in the file (CR, LF, `/`, empty).
    BadName,
    Io(io::Error),
}
