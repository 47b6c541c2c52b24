//! The table of a folder's messages in memory.

use crate::imap::flag::{Flags, System};
use crate::imap::sequence::Uid;

/// What is known of one message without opening its file.
#[derive(Clone, Copy, Debug)]
pub struct Message {
    modseq: u64,
    size: u64,
    virtual_size: u64,
    internal_date: i64,
    save_date: i64,
    uid: u32,
    keywords: u32,
    name: u32,
    system: u8,
    state: u8,
    base_length: u8,
    guid_length: u8,
    suffix_length: u8,
}

impl Message {
    pub fn uid(&self) -> Uid {
        Uid(self.uid)
    }

    pub fn flags(&self) -> Flags {
        Flags {
            system: System(self.system),
            keywords: self.keywords,
        }
    }

    pub fn modseq(&self) -> u64 {
        self.modseq
    }

    /// The message is expunged, and stays in the table until [`super::folder::Folder::bury`] so
    /// that every view can tell its client.
    pub fn is_gone(&self) -> bool {
        self.state & GONE != 0
    }

    /// The size of the text as it lies in the file, if known without looking.
    pub fn size(&self) -> Option<u64> {
        (self.size != UNKNOWN_SIZE).then_some(self.size)
    }

    /// The size with CRLF line ends (RFC822.SIZE), if known without reading.
    pub fn virtual_size(&self) -> Option<u64> {
        (self.virtual_size != UNKNOWN_SIZE).then_some(self.virtual_size)
    }

    /// Seconds since 1970, if known without looking.
    pub fn internal_date(&self) -> Option<i64> {
        (self.internal_date != UNKNOWN_DATE).then_some(self.internal_date)
    }

    /// Seconds since 1970, if known without looking.
    pub fn save_date(&self) -> Option<i64> {
        (self.save_date != UNKNOWN_DATE).then_some(self.save_date)
    }
}

const GONE: u8 = 1;
const UNKNOWN_SIZE: u64 = u64::MAX;
const UNKNOWN_DATE: i64 = i64::MIN;
