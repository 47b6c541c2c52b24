//! What the names in cur/ and new/ mean for the table of messages: a function of names and tables,
//! with no file touched.
//!
//! A sighting is only a hint: the listing may be older than a rename by us or by others.
//! `resolve.rs` looks at the file before it acts on a sighting.

use super::state::table::Table;
use crate::maildir::disk::filename::{self, Filename};
use crate::maildir::disk::watch::Place;

/// What names were seen that the table does not explain.
#[derive(Debug, Default)]
pub(super) struct Findings {
    /// Files of known messages under another name than the table's.
    pub renamed: Sightings,
    /// Files of no known message.
    pub strangers: Sightings,
    /// Files whose name begins with `:` and can be no base name.
    pub nameless: Sightings,
    /// Strangers that are where they shall be.
    pub ready: Sightings,
    /// Strangers with the base name of another.
    pub doubles: Sightings,
    /// Messages whose file was not seen.
    pub missing: Vec<u32>,
    /// They were not seen while names were moving.
    pub unsure: bool,
    /// Keyword letters of all flags seen.
    pub letters: u32,
}

impl Findings {
    pub fn is_empty(&self) -> bool {
        self.renamed.is_empty()
            && self.strangers.is_empty()
            && self.nameless.is_empty()
            && self.ready.is_empty()
            && self.missing.is_empty()
    }

    /// Notes that `name` was seen.  `listed` are the records of the uidlist for which no file has
    /// been seen yet; here they get their names.
    pub fn see(
        &mut self,
        place: Place,
        name: &[u8],
        table: &mut Table,
        listed: &mut Table,
        marks: Option<&mut Marks>,
    ) {
        let Some(file) = Filename::parse(name) else {
            if name.starts_with(b":") && name.len() > 1 {
                self.nameless.push(0, place, name);
            }
            return;
        };
        if let Some(index) = table.find_live(file.base) {
            if let Some(marks) = marks {
                marks.set(index);
            }
            if !table.is_at(index, place, file.info) {
                let uid = table.uid(index);
                self.renamed.push(uid, place, name);
            }
            return;
        }
        let Some(index) = listed.find(file.base) else {
            self.strangers.push(0, place, name);
            return;
        };
        if listed.is_found(index) {
            if !listed.is_at(index, place, file.info) {
                self.renamed.push(listed.uid(index), place, name);
            }
            return;
        }
        let flags = file.flags();
        self.letters |= flags.keywords;
        listed.set_name(index, place, file.info, flags);
    }

    /// Names without a record in the uidlist when they were seen may have one now, also those that
    /// were about to get one from us.
    pub fn look_up_strangers(&mut self, table: &mut Table, listed: &mut Table) {
        for (_, place, name) in std::mem::take(&mut self.ready).iter() {
            let base = Filename::parse(name).map_or(name, |file| file.base);
            if table.find_live(base).is_some() || listed.find(base).is_some() {
                self.see(place, name, table, listed, None);
            } else {
                self.ready.push(0, place, name);
            }
        }
        for (_, place, name) in std::mem::take(&mut self.strangers).iter() {
            self.see(place, name, table, listed, None);
        }
    }

    /// Notes the messages of the table that a listing has not marked, in new/ only or in both.
    pub fn miss(&mut self, table: &Table, marks: &Marks, only_new: bool) {
        let unmarked = (0..).zip(table.rows()).filter(|&(index, row)| {
            !row.is_gone() && !marks.get(index) && (!only_new || row.place() == Place::New)
        });
        self.missing.extend(unmarked.map(|(_, row)| row.uid().0));
    }
}

/// Names of files, each with the UID of the message it belongs to, or 0.
#[derive(Debug, Default)]
pub(super) struct Sightings {
    entries: Vec<Sighting>,
    names: Vec<u8>,
    /// How many have been taken off.
    taken: usize,
    sorted: bool,
}

#[derive(Clone, Copy, Debug)]
struct Sighting {
    uid: u32,
    place: Place,
    length: u8,
    at: u32,
}

impl Sightings {
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    pub fn len(&self) -> usize {
        self.entries.len().saturating_sub(self.taken)
    }

    /// The octets of the names.
    pub fn octets(&self) -> usize {
        let rest = self.entries.get(self.taken..).unwrap_or_default();
        rest.iter().map(|entry| usize::from(entry.length)).sum()
    }

    pub fn push(&mut self, uid: u32, place: Place, name: &[u8]) {
        // A file name has at most 255 octets; 4 GB of names are more than a directory holds.
        let (Ok(length), Ok(at)) = (u8::try_from(name.len()), u32::try_from(self.names.len()))
        else {
            return;
        };
        if self.is_empty() {
            self.clear();
        }
        self.sorted = false;
        let at = if self.names.is_empty() { 0 } else { at };
        self.names.extend_from_slice(name);
        self.entries.push(Sighting {
            uid,
            place,
            length,
            at,
        });
    }

    /// Moves all of `other` to the end.
    pub fn take_over(&mut self, other: &mut Sightings) {
        while let Some((uid, place, name)) = other.pop() {
            self.push(uid, place, name);
        }
    }

    /// Takes off the one that was added first.
    pub fn pop(&mut self) -> Option<(u32, Place, &[u8])> {
        let entry = self.entries.get(self.taken)?;
        self.taken += 1;
        Some(self.read(entry))
    }

    /// Takes off the first `count`.
    pub fn skip(&mut self, count: usize) {
        self.taken += count.min(self.len());
        if self.is_empty() {
            *self = Sightings::default();
        }
    }

    pub fn iter(&self) -> impl Iterator<Item = (u32, Place, &[u8])> {
        let rest = self.entries.get(self.taken..).unwrap_or_default();
        rest.iter().map(|entry| self.read(entry))
    }

    /// Sorts those that are left in the order in which they get their UIDs, each name once.
    pub fn sort(&mut self) {
        if self.sorted {
            return;
        }
        let rest = self.entries.get(self.taken..).unwrap_or_default();
        let mut keyed: Vec<_> = rest
            .iter()
            .map(|entry| (filename::birth(self.base(entry)), *entry))
            .collect();
        keyed.sort_by(|(a_birth, a), (b_birth, b)| {
            let bases = || self.base(a).cmp(self.base(b));
            let names = || self.read(a).cmp(&self.read(b));
            a_birth.cmp(b_birth).then_with(bases).then_with(names)
        });
        keyed.dedup_by(|(_, a), (_, b)| self.read(a) == self.read(b));
        self.entries = keyed.into_iter().map(|(_, entry)| entry).collect();
        self.taken = 0;
        self.sorted = true;
    }

    fn clear(&mut self) {
        self.entries.clear();
        self.names.clear();
        self.taken = 0;
    }

    fn base(&self, entry: &Sighting) -> &[u8] {
        let (.., name) = self.read(entry);
        Filename::parse(name).map_or(name, |file| file.base)
    }

    fn read(&self, entry: &Sighting) -> (u32, Place, &[u8]) {
        let at = usize::try_from(entry.at).unwrap_or(usize::MAX);
        let name = self.names.get(at..at.saturating_add(entry.length.into()));
        (entry.uid, entry.place, name.unwrap_or_default())
    }
}

/// One bit for each row that the table had when a scan began; rows added since count as seen.
#[derive(Debug, Default)]
pub(super) struct Marks {
    bits: Vec<u64>,
    rows: usize,
}

impl Marks {
    pub fn for_rows(rows: usize) -> Marks {
        Marks {
            bits: vec![0; rows.div_ceil(64)],
            rows,
        }
    }

    pub fn set(&mut self, index: usize) {
        if let Some(bits) = self.bits.get_mut(index / 64) {
            *bits |= 1 << (index % 64);
        }
    }

    pub fn get(&self, index: usize) -> bool {
        let bits = self.bits.get(index / 64).copied().unwrap_or(u64::MAX);
        index >= self.rows || bits & 1 << (index % 64) != 0
    }
}

#[cfg(test)]
mod tests {
    use std::collections::{BTreeMap, BTreeSet};

    use proptest::prelude::*;

    use super::super::state::table::NewRow;
    use super::*;

    /// A file: number of its base name, place, info.
    type File = (u8, Place, &'static str);

    const INFOS: [&str; 6] = ["", ":2,", ":2,S", ":2,FS", ":2,SF", ":2,Sa,x"];

    fn files() -> impl Strategy<Value = Vec<File>> {
        let place = prop_oneof![Just(Place::New), Just(Place::Cur)];
        let file = (0..24_u8, place, prop::sample::select(&INFOS));
        prop::collection::vec(file, 0..32)
    }

    fn base(number: u8) -> String {
        format!("{number}.host")
    }

    /// A table with a row for each file, the first of each base name, with ascending UIDs.
    fn table(files: &[File], gone: u32) -> Table {
        let mut table = Table::default();
        for &(number, place, info) in files {
            let base = base(number);
            if table.find(base.as_bytes()).is_some() {
                continue;
            }
            let uid = table.last_uid() + 1;
            assert!(table.push(NewRow {
                uid,
                base: base.as_bytes(),
                guid: (uid % 3 == 0).then_some(b"guid"),
                modseq: 1,
            }));
            let name = base + info;
            let flags = Filename::parse(name.as_bytes()).unwrap().flags();
            let index = table.len() - 1;
            table.set_name(index, place, info.as_bytes(), flags);
            if gone & 1 << uid.min(31) != 0 {
                table.row_mut(index).unwrap().set_gone();
            }
        }
        table
    }

    /// Whether it is in new/, and the name.
    fn names(sightings: &Sightings) -> BTreeSet<(bool, Vec<u8>)> {
        let names = sightings.iter();
        names
            .map(|(_, place, name)| (place == Place::New, name.to_vec()))
            .collect()
    }

    proptest! {
        #[test]
        fn a_scan_finds_what_differs_and_nothing_else(
            known in files(), seen in files(), gone: u32, cut in 0..24_usize,
        ) {
            let mut table = table(&known, gone);
            let mut listed = Table::default();
            let mut marks = Marks::for_rows(table.len());
            let mut findings = Findings::default();
            let mut expected = BTreeMap::new();
            for row in 0..table.len() {
                if !table.rows()[row].is_gone() {
                    let mut name = Vec::new();
                    table.write_name(row, &mut name);
                    let place = table.rows()[row].place();
                    expected.insert(table.base(row).to_vec(), (table.uid(row), place, name));
                }
            }
            let (mut renamed, mut strangers, mut found) =
                (BTreeSet::new(), BTreeSet::new(), BTreeSet::new());
            for (n, &(number, place, info)) in seen.iter().enumerate() {
                let name = (base(number) + info).into_bytes();
                // Where a slice ends makes no difference.
                if n == cut {
                    findings = std::mem::take(&mut findings);
                }
                findings.see(place, &name, &mut table, &mut listed, Some(&mut marks));
                match expected.get(base(number).as_bytes()) {
                    Some((uid, at, known)) => {
                        found.insert(*uid);
                        if (at, known) != (&place, &name) {
                            renamed.insert((place == Place::New, name));
                        }
                    }
                    None => {
                        strangers.insert((place == Place::New, name));
                    }
                }
            }
            findings.miss(&table, &marks, false);
            let missing: BTreeSet<u32> = findings.missing.iter().copied().collect();
            let lost: BTreeSet<u32> = expected
                .values()
                .map(|(uid, ..)| *uid)
                .filter(|uid| !found.contains(uid))
                .collect();
            prop_assert_eq!(names(&findings.renamed), renamed);
            prop_assert_eq!(names(&findings.strangers), strangers);
            prop_assert_eq!(missing, lost);
        }

        #[test]
        fn records_of_the_uidlist_get_the_first_file_of_their_name(
            records in files(), seen in files(),
        ) {
            let mut listed = Table::default();
            for &(number, ..) in &records {
                let base = base(number);
                if listed.find(base.as_bytes()).is_none() {
                    let uid = listed.last_uid() + 1;
                    let base = base.as_bytes();
                    let row = NewRow { uid, base, guid: None, modseq: 0 };
                    prop_assert!(listed.push(row));
                }
            }
            let mut table = Table::default();
            let mut findings = Findings::default();
            for &(number, place, info) in &seen {
                let name = base(number) + info;
                findings.see(place, name.as_bytes(), &mut table, &mut listed, None);
            }
            for index in 0..listed.len() {
                let base = listed.base(index).to_vec();
                let first = seen.iter().find(|file| self::base(file.0).as_bytes() == base);
                prop_assert_eq!(listed.is_found(index), first.is_some());
                if let Some(&(_, place, info)) = first {
                    prop_assert!(listed.is_at(index, place, info.as_bytes()));
                }
            }
        }

        #[test]
        fn sightings_come_out_in_the_order_of_uids_to_be(seen in files(), taken in 0..8_usize) {
            let mut sightings = Sightings::default();
            for &(number, place, info) in &seen {
                sightings.push(0, place, (base(number) + info).as_bytes());
            }
            for _ in 0..taken {
                sightings.pop();
            }
            let before = names(&sightings);
            sightings.sort();
            prop_assert_eq!(names(&sightings), before);
            let bases: Vec<Vec<u8>> = sightings
                .iter()
                .map(|(.., name)| Filename::parse(name).unwrap().base.to_vec())
                .collect();
            prop_assert!(bases.is_sorted_by(|a, b| filename::uid_order(a, b).is_le()));
        }
    }
}
