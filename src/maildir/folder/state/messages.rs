//! One message of a folder: a row of the table, in memory and in the index.

use crate::mail::{Flags, System, Uid};
use crate::maildir::disk::watch::Place;

/// What is known of one message without opening its file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Message {
    pub(in crate::maildir) modseq: u64,
    pub(in crate::maildir) size: u64,
    pub(in crate::maildir) virtual_size: u64,
    pub(in crate::maildir) internal_date: i64,
    pub(in crate::maildir) save_date: i64,
    pub(in crate::maildir) uid: u32,
    pub(in crate::maildir) keywords: u32,
    /// Where its names begin in the table's block of names.
    pub(in crate::maildir) name: u32,
    pub(in crate::maildir) system: u8,
    pub(in crate::maildir) state: u8,
    pub(in crate::maildir) base_length: u8,
    pub(in crate::maildir) guid_length: u8,
    pub(in crate::maildir) suffix_length: u8,
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

    /// The message is expunged, and stays in the table until [`super::super::Folder::bury`] so
    /// that every listener can hear of it.
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

    pub(in crate::maildir) fn place(&self) -> Place {
        match self.state & IN_NEW {
            0 => Place::Cur,
            _ => Place::New,
        }
    }

    pub(in crate::maildir) fn set_sizes(&mut self, size: Option<u64>, virtual_size: Option<u64>) {
        self.size = size.unwrap_or(UNKNOWN_SIZE);
        self.virtual_size = virtual_size.unwrap_or(UNKNOWN_SIZE);
    }

    pub(in crate::maildir) fn set_dates(&mut self, internal_date: i64, save_date: i64) {
        self.internal_date = internal_date;
        self.save_date = save_date;
    }

    /// A message that was just saved.
    pub(in crate::maildir) fn set_saved(&mut self, internal_date: Option<i64>, save_date: i64) {
        self.internal_date = internal_date.unwrap_or(UNKNOWN_DATE);
        self.save_date = save_date;
    }

    /// A file of this record of the uidlist has been seen.
    pub(in crate::maildir) fn is_found(&self) -> bool {
        self.state & FOUND != 0
    }

    /// The file that was seen is not there any more.
    pub(in crate::maildir) fn set_unfound(&mut self) {
        self.state &= !FOUND;
    }

    pub(in crate::maildir) fn set_gone(&mut self) {
        self.state |= GONE;
    }

    /// How much of the block of names is the message's.
    pub(in crate::maildir) fn names_length(&self) -> usize {
        usize::from(self.base_length)
            + usize::from(self.guid_length)
            + usize::from(self.suffix_length)
    }

    /// The row as it is written to the index.
    pub(in crate::maildir) fn to_bytes(self) -> [u8; ROW] {
        let mut row = [0; ROW];
        let mut rest = row.as_mut_slice();
        for number in [self.modseq, self.size, self.virtual_size] {
            rest = put(rest, &number.to_le_bytes());
        }
        for number in [self.internal_date, self.save_date] {
            rest = put(rest, &number.to_le_bytes());
        }
        for number in [self.uid, self.keywords, self.name] {
            rest = put(rest, &number.to_le_bytes());
        }
        put(
            rest,
            &[
                self.system,
                self.state & (GONE | IN_NEW | VERBATIM),
                self.base_length,
                self.guid_length,
                self.suffix_length,
            ],
        );
        row
    }

    pub(in crate::maildir) fn from_bytes(row: &[u8; ROW]) -> Message {
        let long = |at: usize| u64::from_le_bytes(take(row, at));
        let short = |at: usize| u32::from_le_bytes(take(row, at));
        let [system, state, base_length, guid_length, suffix_length] = take(row, 52);
        Message {
            modseq: long(0),
            size: long(8),
            virtual_size: long(16),
            internal_date: long(24).cast_signed(),
            save_date: long(32).cast_signed(),
            uid: short(40),
            keywords: short(44),
            name: short(48),
            system,
            state,
            base_length,
            guid_length,
            suffix_length,
        }
    }
}

/// Octets of a row in the index.
pub(in crate::maildir) const ROW: usize = 57;

fn put<'a>(room: &'a mut [u8], bytes: &[u8]) -> &'a mut [u8] {
    let (here, rest) = room.split_at_mut(bytes.len());
    here.copy_from_slice(bytes);
    rest
}

/// `N` octets of a row from a constant place inside it.
fn take<const N: usize>(row: &[u8; ROW], at: usize) -> [u8; N] {
    let rest = row.get(at..).unwrap_or_default();
    rest.first_chunk().copied().unwrap_or([0; N])
}

const GONE: u8 = 1;
pub(in crate::maildir) const IN_NEW: u8 = 2;
/// The name ends in the suffix as it is stored, not in what the flags say.
pub(in crate::maildir) const VERBATIM: u8 = 4;
pub(in crate::maildir) const FOUND: u8 = 8;
pub(in crate::maildir) const UNKNOWN_SIZE: u64 = u64::MAX;
pub(in crate::maildir) const UNKNOWN_DATE: i64 = i64::MIN;
