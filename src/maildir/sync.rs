//! What the names in cur/ and new/ mean for the table of messages: a function of names and tables,
//! with no file touched.
//!
//! A sighting is a hint and no more: the listing may be older than a rename by us or by others.
//! Whoever acts on one looks at the file first (`resolve.rs`).

use super::filename::{self, Filename};
use super::messages::Table;
use super::watch::Place;

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
    /// Messages whose file got another UID from another program.
    pub renumbered: Vec<u32>,
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
            && self.renumbered.is_empty()
    }

    /// Takes in that `name` was seen.  `listed` are the records of the uidlist for which no file
    /// has been seen yet; here they get their names.
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

    /// Names without a record in the uidlist when they were seen may have one now.
    pub fn look_up_strangers(&mut self, table: &mut Table, listed: &mut Table) {
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

    /// The octets of all names, those of the taken ones too.
    pub fn octets(&self) -> usize {
        self.names.len()
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

    pub fn iter(&self) -> impl Iterator<Item = (u32, Place, &[u8])> {
        let rest = self.entries.get(self.taken..).unwrap_or_default();
        rest.iter().map(|entry| self.read(entry))
    }

    /// Sorts those that are left in the order in which they get their UIDs (`maildir-formats.md 2`).
    pub fn sort(&mut self) {
        let rest = self.entries.get(self.taken..).unwrap_or_default();
        let mut keyed: Vec<_> = rest
            .iter()
            .map(|entry| (filename::birth(self.base(entry)), *entry))
            .collect();
        keyed.sort_by(|(a_birth, a), (b_birth, b)| {
            let names = || self.base(a).cmp(self.base(b));
            a_birth.cmp(b_birth).then_with(names)
        });
        self.entries = keyed.into_iter().map(|(_, entry)| entry).collect();
        self.taken = 0;
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
