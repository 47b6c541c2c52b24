//! The table of a folder's messages in memory: at most some 120 octets a message.
//!
//! Rows are ascending by UID.  The names lie one behind the other in one block: of each message
//! the base name, then its GUID where that is not the base name, then what follows the base in
//! the file name where that is not what the flags say.  Whatever is put into the table may come
//! from a damaged file: what does not fit is refused, never trusted.

use hashbrown::{DefaultHashBuilder, HashTable};
use std::hash::BuildHasher;

use super::filename::{self, Filename};
use super::watch::Place;
use crate::imap::flag::{Flags, System};
use crate::imap::sequence::Uid;

/// What is known of one message without opening its file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Message {
    pub(super) modseq: u64,
    size: u64,
    virtual_size: u64,
    internal_date: i64,
    save_date: i64,
    uid: u32,
    keywords: u32,
    /// Where its names begin in the block.
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

    pub(super) fn place(&self) -> Place {
        match self.state & IN_NEW {
            0 => Place::Cur,
            _ => Place::New,
        }
    }

    pub(super) fn set_sizes(&mut self, size: Option<u64>, virtual_size: Option<u64>) {
        self.size = size.unwrap_or(UNKNOWN_SIZE);
        self.virtual_size = virtual_size.unwrap_or(UNKNOWN_SIZE);
    }

    pub(super) fn set_dates(&mut self, internal_date: i64, save_date: i64) {
        self.internal_date = internal_date;
        self.save_date = save_date;
    }

    /// A message that was just saved.
    pub(super) fn set_saved(&mut self, internal_date: Option<i64>, save_date: i64) {
        self.internal_date = internal_date.unwrap_or(UNKNOWN_DATE);
        self.save_date = save_date;
    }

    /// A file of this record of the uidlist has been seen.
    pub(super) fn is_found(&self) -> bool {
        self.state & FOUND != 0
    }

    pub(super) fn set_gone(&mut self) {
        self.state |= GONE;
    }

    /// The row as it is written to the index.
    pub(super) fn to_bytes(self) -> [u8; ROW] {
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

    pub(super) fn from_bytes(row: &[u8; ROW]) -> Message {
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
pub(super) const ROW: usize = 57;

/// Messages, ascending by UID, with their names.
#[derive(Clone, Debug, Default)]
pub(super) struct Table {
    rows: Vec<Message>,
    names: Vec<u8>,
    /// Octets of `names` that no row uses any more.
    waste: usize,
    /// Base name -> row; made when it is first asked for, and again after rows have moved.
    lookup: Option<HashTable<u32>>,
    hasher: DefaultHashBuilder,
    /// What usually follows a base name for the flags asked for last.
    usual: (Flags, Vec<u8>),
}

/// What [`Table::push`] needs to know of a message.
#[derive(Clone, Copy, Debug)]
pub(super) struct NewRow<'a> {
    pub uid: u32,
    pub base: &'a [u8],
    pub guid: Option<&'a [u8]>,
    pub modseq: u64,
}

impl Table {
    /// A table as read from the index; `None` if a row points outside the names, or the UIDs do
    /// not ascend.
    pub fn from_parts(rows: Vec<Message>, names: Vec<u8>) -> Option<Table> {
        let mut last = 0;
        let mut used = 0;
        for row in &rows {
            let length = row.names_length();
            let end = usize::try_from(row.name).ok()?.checked_add(length)?;
            if row.uid <= last || end > names.len() || row.base_length == 0 {
                return None;
            }
            last = row.uid;
            used += length;
        }
        Some(Table {
            waste: names.len().saturating_sub(used),
            rows,
            names,
            ..Table::default()
        })
    }

    pub fn rows(&self) -> &[Message] {
        &self.rows
    }

    pub fn row_mut(&mut self, index: usize) -> Option<&mut Message> {
        self.rows.get_mut(index)
    }

    pub fn names(&self) -> &[u8] {
        &self.names
    }

    pub fn len(&self) -> usize {
        self.rows.len()
    }

    pub fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }

    pub fn last_uid(&self) -> u32 {
        self.rows.last().map_or(0, |row| row.uid)
    }

    /// Makes room for exactly this many more messages, where doubling would waste memory.
    pub fn reserve(&mut self, messages: usize, octets: usize) {
        let spare = messages / 16;
        if self.rows.capacity() - self.rows.len() < messages {
            self.rows.reserve_exact(messages + spare);
        }
        if self.names.capacity() - self.names.len() < octets {
            self.names.reserve_exact(octets + octets / 16);
        }
    }

    /// Adds a message at the end; `false`: the UID is not greater than all others, or the name
    /// cannot be a file's.
    pub fn push(&mut self, new: NewRow<'_>) -> bool {
        let guid = new.guid.unwrap_or_default();
        let (Ok(base_length), Ok(guid_length), Ok(name)) = (
            u8::try_from(new.base.len()),
            u8::try_from(guid.len()),
            u32::try_from(self.names.len()),
        ) else {
            return false;
        };
        if new.uid <= self.last_uid() || base_length == 0 {
            return false;
        }
        self.reserve_some(new.base.len() + guid.len());
        self.names.extend_from_slice(new.base);
        self.names.extend_from_slice(guid);
        self.rows.push(Message {
            modseq: new.modseq,
            size: filename::size(new.base).unwrap_or(UNKNOWN_SIZE),
            virtual_size: filename::virtual_size(new.base).unwrap_or(UNKNOWN_SIZE),
            internal_date: UNKNOWN_DATE,
            save_date: UNKNOWN_DATE,
            uid: new.uid,
            keywords: 0,
            name,
            system: 0,
            state: 0,
            base_length,
            guid_length,
            suffix_length: 0,
        });
        let index = self.rows.len() - 1;
        if let Some(lookup) = &mut self.lookup {
            let hash = self.hasher.hash_one(new.base);
            let (rows, names, hasher) = (&self.rows, &self.names, &self.hasher);
            lookup.insert_unique(hash, narrow(index), |&at| {
                hasher.hash_one(base_at(rows, names, at))
            });
        }
        true
    }

    /// The latest row with this base name; it may be that of a message that is gone.
    pub fn find(&mut self, base: &[u8]) -> Option<usize> {
        if self.rows.is_empty() {
            return None;
        }
        let lookup = match &mut self.lookup {
            Some(lookup) => lookup,
            none => none.insert(build_lookup(&self.rows, &self.names, &self.hasher)),
        };
        let (rows, names) = (&self.rows, &self.names);
        let mut latest = None;
        let hash = self.hasher.hash_one(base);
        for &at in lookup.iter_hash(hash) {
            if base_at(rows, names, at) == base {
                latest = latest.max(Some(at));
            }
        }
        latest.and_then(|at| usize::try_from(at).ok())
    }

    /// The row of the message that has this base name and is not gone.
    pub fn find_live(&mut self, base: &[u8]) -> Option<usize> {
        let index = self.find(base)?;
        self.rows
            .get(index)
            .is_some_and(|row| !row.is_gone())
            .then_some(index)
    }

    pub fn uid(&self, index: usize) -> u32 {
        self.rows.get(index).map_or(0, |row| row.uid)
    }

    pub fn is_found(&self, index: usize) -> bool {
        self.rows.get(index).is_some_and(Message::is_found)
    }

    /// Is the message's file in `place`, named by its base name and `info`?
    pub fn is_at(&mut self, index: usize, place: Place, info: &[u8]) -> bool {
        let Some(&row) = self.rows.get(index) else {
            return false;
        };
        if row.place() != place {
            return false;
        }
        if row.state & VERBATIM != 0 {
            return self.suffix(index) == info;
        }
        match place {
            Place::New => info.is_empty(),
            Place::Cur => self.usual_info(row.flags()) == info,
        }
    }

    pub fn index_of(&self, uid: u32) -> Result<usize, usize> {
        self.rows.binary_search_by_key(&uid, |row| row.uid)
    }

    pub fn base(&self, index: usize) -> &[u8] {
        self.part(index, |row| (0, row.base_length.into()))
    }

    /// The GUID, which is the base name unless the uidlist says otherwise.
    pub fn guid(&self, index: usize) -> &[u8] {
        match self.own_guid(index) {
            Some(guid) => guid,
            None => self.base(index),
        }
    }

    /// The GUID where it is not the base name.
    pub fn own_guid(&self, index: usize) -> Option<&[u8]> {
        let guid = self.part(index, |row| {
            (row.base_length.into(), row.guid_length.into())
        });
        (!guid.is_empty()).then_some(guid)
    }

    /// Writes the name of the message's file to `name`.
    pub fn write_name(&self, index: usize, name: &mut Vec<u8>) {
        name.clear();
        name.extend_from_slice(self.base(index));
        let Some(row) = self.rows.get(index) else {
            return;
        };
        if row.state & VERBATIM != 0 {
            name.extend_from_slice(self.suffix(index));
        } else if row.place() == Place::Cur {
            *name = Filename {
                base: name,
                info: b"",
            }
            .with_flags(row.flags());
        }
    }

    /// The message's file lies in `place` under its base name and `info`, which shows `flags`.
    pub fn set_name(&mut self, index: usize, place: Place, info: &[u8], flags: Flags) {
        let usual = match place {
            Place::New => info.is_empty(),
            Place::Cur => info == self.usual_info(flags),
        };
        let Some(row) = self.rows.get_mut(index) else {
            return;
        };
        row.system = flags.system.0;
        row.keywords = flags.keywords;
        row.state = (row.state & !(IN_NEW | VERBATIM)) | FOUND;
        if place == Place::New {
            row.state |= IN_NEW;
        }
        if !usual {
            self.set_suffix(index, info);
        }
    }

    fn suffix(&self, index: usize) -> &[u8] {
        self.part(index, |row| {
            let before = usize::from(row.base_length) + usize::from(row.guid_length);
            (before, row.suffix_length.into())
        })
    }

    /// What follows the base name in cur/ unless another program had its own ideas.
    fn usual_info(&mut self, flags: Flags) -> &[u8] {
        let (of, info) = &mut self.usual;
        if *of != flags || info.is_empty() {
            let nothing = Filename {
                base: b"",
                info: b"",
            };
            (*of, *info) = (flags, nothing.with_flags(flags));
        }
        info
    }

    /// Keeps `info` word for word: it is not what the flags say.
    fn set_suffix(&mut self, index: usize, info: &[u8]) {
        let Some(row) = self.rows.get(index).copied() else {
            return;
        };
        // A file name has at most 255 octets.
        let Ok(suffix_length) = u8::try_from(info.len()) else {
            return;
        };
        let before = usize::from(row.base_length) + usize::from(row.guid_length);
        let start = usize::try_from(row.name).unwrap_or(usize::MAX);
        let same_room = suffix_length <= row.suffix_length;
        let name = if same_room {
            self.waste += usize::from(row.suffix_length - suffix_length);
            let at = start + before;
            if let Some(room) = self.names.get_mut(at..at + info.len()) {
                room.copy_from_slice(info);
            }
            row.name
        } else {
            let Ok(name) = u32::try_from(self.names.len()) else {
                return;
            };
            self.reserve_some(before + info.len());
            self.names.extend_from_within(start..start + before);
            self.names.extend_from_slice(info);
            self.waste += row.names_length();
            name
        };
        if let Some(row) = self.rows.get_mut(index) {
            row.name = name;
            row.state |= VERBATIM;
            row.suffix_length = suffix_length;
        }
    }

    /// Takes out the rows for which `keep` says no.
    pub fn retain(&mut self, keep: impl Fn(&Message) -> bool) {
        let before = self.rows.len();
        let mut dropped = 0;
        self.rows.retain(|row| {
            let keep = keep(row);
            if !keep {
                dropped += row.names_length();
            }
            keep
        });
        if self.rows.len() == before {
            return;
        }
        self.lookup = None;
        self.waste += dropped;
        if self.waste > self.names.len() / 4 {
            self.compact();
        }
    }

    /// Moves the rows of `other`, whose UIDs are all greater, to the end of this table.
    pub fn append(&mut self, other: Table) {
        if self.rows.is_empty() {
            *self = other;
            return;
        }
        self.reserve(other.len(), other.names.len());
        let Ok(shift) = u32::try_from(self.names.len()) else {
            return;
        };
        self.names.extend_from_slice(&other.names);
        self.waste += other.waste;
        for mut row in other.rows {
            if row.uid > self.last_uid() {
                row.name = row.name.saturating_add(shift);
                self.rows.push(row);
            }
        }
        self.lookup = None;
    }

    /// Takes over greater modseqs, and facts that this table lacks, from one of the same folder.
    pub fn absorb(&mut self, other: &Table) {
        let mut theirs = other.rows.iter().peekable();
        for row in &mut self.rows {
            while theirs.next_if(|other| other.uid < row.uid).is_some() {}
            let Some(other) = theirs.next_if(|other| other.uid == row.uid) else {
                continue;
            };
            row.modseq = row.modseq.max(other.modseq);
            if row.save_date == UNKNOWN_DATE {
                row.set_dates(other.internal_date, other.save_date);
            }
        }
    }

    /// Writes the names anew without those that no row uses.
    pub fn compact(&mut self) {
        if self.waste == 0 {
            return;
        }
        let mut names = Vec::with_capacity(self.names.len().saturating_sub(self.waste));
        for row in &mut self.rows {
            let start = usize::try_from(row.name).unwrap_or(usize::MAX);
            let used = start..start.saturating_add(row.names_length());
            row.name = narrow(names.len());
            names.extend_from_slice(self.names.get(used).unwrap_or_default());
        }
        self.names = names;
        self.waste = 0;
    }

    fn reserve_some(&mut self, octets: usize) {
        if self.rows.len() == self.rows.capacity() {
            self.rows.reserve_exact(16 + self.rows.len() / 8);
        }
        if self.names.capacity() - self.names.len() < octets {
            self.names
                .reserve_exact(octets + 1024 + self.names.len() / 8);
        }
    }

    fn part(&self, index: usize, which: impl Fn(&Message) -> (usize, usize)) -> &[u8] {
        let Some(row) = self.rows.get(index) else {
            return b"";
        };
        let (before, length) = which(row);
        let start = usize::try_from(row.name)
            .unwrap_or(usize::MAX)
            .saturating_add(before);
        self.names
            .get(start..start.saturating_add(length))
            .unwrap_or_default()
    }
}

impl Message {
    fn names_length(&self) -> usize {
        usize::from(self.base_length)
            + usize::from(self.guid_length)
            + usize::from(self.suffix_length)
    }
}

fn build_lookup(rows: &[Message], names: &[u8], hasher: &DefaultHashBuilder) -> HashTable<u32> {
    let mut lookup = HashTable::with_capacity(rows.len());
    for at in 0..narrow(rows.len()) {
        let hash = hasher.hash_one(base_at(rows, names, at));
        lookup.insert_unique(hash, at, |&at| hasher.hash_one(base_at(rows, names, at)));
    }
    lookup
}

fn base_at<'a>(rows: &[Message], names: &'a [u8], at: u32) -> &'a [u8] {
    let row = usize::try_from(at).ok().and_then(|at| rows.get(at));
    row.and_then(|row| {
        let start = usize::try_from(row.name).ok()?;
        names.get(start..start.checked_add(row.base_length.into())?)
    })
    .unwrap_or_default()
}

/// UIDs are u32 and differ, so there are never more rows than fit.
fn narrow(number: usize) -> u32 {
    u32::try_from(number).unwrap_or(u32::MAX)
}

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
const IN_NEW: u8 = 2;
/// The name ends in the suffix as it is stored, not in what the flags say.
const VERBATIM: u8 = 4;
const FOUND: u8 = 8;
const UNKNOWN_SIZE: u64 = u64::MAX;
const UNKNOWN_DATE: i64 = i64::MIN;
