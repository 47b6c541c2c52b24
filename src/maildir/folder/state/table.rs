//! The table of a folder's messages in memory: at most some 120 octets a message.
//!
//! Rows are ascending by UID.  The names lie one behind the other in one block: of each message
//! the base name, then its GUID where that is not the base name, then what follows the base in
//! the file name where that is not what the flags say.  Whatever is put into the table may come
//! from a damaged file: what does not fit is refused, never trusted.

use hashbrown::{DefaultHashBuilder, HashTable};
use std::hash::BuildHasher;

use super::messages::{FOUND, IN_NEW, Message, UNKNOWN_DATE, UNKNOWN_SIZE, VERBATIM};
use crate::mail::Flags;
use crate::maildir::disk::filename::{self, Filename};
use crate::maildir::disk::watch::Place;

/// Messages, ascending by UID, with their names.
#[derive(Clone, Debug, Default)]
pub(in crate::maildir) struct Table {
    rows: Vec<Message>,
    names: Vec<u8>,
    /// Octets of `names` that no row uses any more.
    waste: usize,
    /// Base name -> row; made when it has been asked for some times, and again after rows have
    /// moved.
    lookup: Option<HashTable<u32>>,
    /// How often all rows were looked through instead.
    searches: u32,
    hasher: DefaultHashBuilder,
    /// What usually follows a base name for the flags asked for last.
    usual: (Flags, Vec<u8>),
}

/// What [`Table::push`] needs to know of a message.
#[derive(Clone, Copy, Debug)]
pub(in crate::maildir) struct NewRow<'a> {
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
        if self.lookup.is_none() && self.searches < SEARCHES {
            self.searches += 1;
            return self.search(base);
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

    fn search(&self, base: &[u8]) -> Option<usize> {
        let length = u8::try_from(base.len()).ok()?;
        let same_length = |row: &Message| row.base_length == length;
        let rows = self.rows.iter().enumerate();
        let mut alike = rows.filter(|(_, row)| same_length(row)).rev();
        alike.find_map(|(index, _)| (self.base(index) == base).then_some(index))
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
        self.forget_lookup();
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
        self.forget_lookup();
    }

    fn forget_lookup(&mut self) {
        self.lookup = None;
        self.searches = 0;
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

/// How many searches cost less than making the lookup.
const SEARCHES: u32 = 4;

/// UIDs are u32 and differ, so there are never more rows than fit.
fn narrow(number: usize) -> u32 {
    u32::try_from(number).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn push(table: &mut Table, uid: u32, base: &str, guid: Option<&str>) -> bool {
        table.push(NewRow {
            uid,
            base: base.as_bytes(),
            guid: guid.map(str::as_bytes),
            modseq: 1,
        })
    }

    fn name(table: &Table, index: usize) -> String {
        let mut name = Vec::new();
        table.write_name(index, &mut name);
        String::from_utf8(name).unwrap()
    }

    fn set(table: &mut Table, index: usize, place: Place, info: &str) {
        let name = [b"x", info.as_bytes()].concat();
        let flags = Filename::parse(&name).unwrap().flags();
        table.set_name(index, place, info.as_bytes(), flags);
    }

    #[test]
    fn names_are_what_they_were_set_to() {
        let mut table = Table::default();
        assert!(push(&mut table, 3, "a,S=5,W=6", None));
        assert!(push(&mut table, 5, "b", Some("guid")));
        assert_eq!(table.rows()[0].size(), Some(5));
        let infos = [
            ":2,",
            ":2,FS",
            "",
            ":2,SF",
            ":2,Sab,more",
            ":2,S",
            ":1,odd",
            "",
        ];
        for round in 0..40 {
            let info = infos[round % infos.len()];
            let place = [Place::Cur, Place::New][round % 3 / 2];
            set(&mut table, 1, place, info);
            set(&mut table, 0, place, infos[(round + 3) % infos.len()]);
            assert_eq!(name(&table, 1), format!("b{info}"));
            assert!(table.is_at(1, place, info.as_bytes()));
            assert!(!table.is_at(1, place, b":2,T"));
            assert_eq!(table.guid(1), b"guid");
            assert_eq!(table.guid(0), b"a,S=5,W=6");
            if round % 7 == 0 {
                table.compact();
            }
        }
        assert_eq!(table.find(b"b"), Some(1));
        assert_eq!(table.find(b"c"), None);
    }

    #[test]
    fn uids_ascend() {
        let mut table = Table::default();
        assert!(push(&mut table, 3, "a", None));
        assert!(!push(&mut table, 3, "b", None));
        assert!(!push(&mut table, 2, "b", None));
        assert!(!push(&mut table, 4, "", None));
        assert!(!push(&mut table, 4, &"x".repeat(256), None));
        assert!(push(&mut table, 4, &"x".repeat(255), None));
        assert_eq!(table.index_of(4), Ok(1));
    }

    #[test]
    fn rows_are_found_after_others_are_taken_out() {
        let mut table = Table::default();
        for uid in 1..=100 {
            assert!(push(&mut table, uid, &format!("m{uid}"), None));
            assert_eq!(
                table.find(format!("m{uid}").as_bytes()),
                Some(uid as usize - 1)
            );
        }
        table.retain(|row| row.uid().0 % 3 == 0);
        for uid in 1..=100 {
            let found = table.find(format!("m{uid}").as_bytes());
            assert_eq!(found.map(|at| table.uid(at)), (uid % 3 == 0).then_some(uid));
        }
        let mut more = Table::default();
        assert!(push(&mut more, 101, "m1", None));
        table.append(more);
        assert_eq!(table.find(b"m1").map(|at| table.uid(at)), Some(101));
    }

    #[test]
    fn a_row_survives_the_index() {
        let mut table = Table::default();
        assert!(push(&mut table, 77, "base,S=1,W=2", Some("guid")));
        set(&mut table, 0, Place::New, ":2,Sz");
        let mut row = table.rows()[0];
        row.set_dates(-5, i64::MAX);
        row.set_gone();
        let mut read = Message::from_bytes(&row.to_bytes());
        // Not kept: that a file was seen.
        read.state |= row.state & FOUND;
        assert_eq!(read, row);
        let names = table.names().to_vec();
        let again = Table::from_parts(vec![row], names.clone()).unwrap();
        assert_eq!(name(&again, 0), "base,S=1,W=2:2,Sz");
        assert!(Table::from_parts(vec![row, row], names.clone()).is_none());
        assert!(Table::from_parts(vec![row], names[1..].to_vec()).is_none());
    }
}
