//! HIGHESTMODSEQ in Dovecot's index: read, and raised so that it never falls behind ours.
//!
//! `maildir-formats.md 10`, RFC 7162 3.1.2.2.

use std::io;
use std::path::Path;
use std::time::SystemTime;

/// `dovecot.index`, `dovecot.index.log` and `dovecot.index.log.2` of one folder.
pub struct DovecotLog {}

/// What Dovecot's index says of the whole mailbox.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Summary {
    /// 0: never counted
    pub highest_modseq: u64,
    /// 0: unknown
    pub uid_validity: u32,
    /// 0: unknown
    pub next_uid: u32,
    /// in index order; beyond 26 they are nowhere else
    pub keywords: Vec<String>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Raised {
    /// Dovecot's value is `to` or more now.
    Done,
    /// Dovecot holds its lock: nothing was written, try again later.
    Busy,
    /// The index is of a kind (broken, other version, other byte order) we do not write to.
    Unknown,
}

impl DovecotLog {
    /// `directory` holds dovecot.index*: the folder, or its place in Dovecot's INDEX= tree.
    /// Reads nothing yet.
    pub fn new(directory: &Path) -> DovecotLog {
        todo!()
    }

    /// None: no index here.  Costs two `stat` when nothing changed, and reads only what is new
    /// when the log grew.
    pub fn read(&mut self) -> io::Result<Option<&Summary>> {
        todo!()
    }

    /// Sees to it that Dovecot's HIGHESTMODSEQ is at least `to`.  Where Dovecot has no index at all
    /// `make` says whether to leave it a log that starts there.
    pub fn raise(&mut self, to: u64, make: bool, now: SystemTime) -> io::Result<Raised> {
        todo!()
    }
}
