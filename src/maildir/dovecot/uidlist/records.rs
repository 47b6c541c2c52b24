//! The lines of `dovecot-uidlist` after the first: read, indexed, and saved where they are broken.
//!
//! The text of the file is kept as it is and the records point into it: 12 bytes each and 5 for the
//! index by name.
//!
//! # What is saved of a broken file
//!
//! Dovecot unlinks a file in which one line is broken.  Here a broken line costs only itself:
//!
//! - A line that is no record is left out, but a UID that it may have begun with is never given
//!   again.
//! - A record that was cut off when the disk was full, with the next one written right after it,
//!   gives the next one.
//! - UIDs out of order are put in order.  Two names for one UID: neither is believed, as a client
//!   may have seen either.
//! - Two UIDs for one name: the higher one counts, as in Dovecot.
//!
//! A line without its LF at the end of the file is left where it is: whoever writes it may not have
//! finished.

use hashbrown::DefaultHashBuilder;
use hashbrown::hash_table::{Entry as Slot, HashTable};
use memchr::{memchr, memchr3, memrchr};
use std::hash::BuildHasher;

use super::header::RecordForm;
use crate::mail::Uid;
use crate::maildir::disk::filename;

/// One record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct UidlistRecord<'a> {
    pub uid: Uid,
    /// The file's base name.
    pub base: &'a [u8],
    /// What stands between UID and name, such as `W2481 Gabc`; mostly nothing.
    pub keys: &'a [u8],
}

impl<'a> UidlistRecord<'a> {
    /// Key `G`: the message's GUID where it is not the base name.
    pub fn guid(&self) -> Option<&'a [u8]> {
        self.value(b'G')
    }

    /// Key `S`, else what the name says.
    pub fn size(&self) -> Option<u64> {
        self.number(b'S').or_else(|| filename::size(self.base))
    }

    /// Key `W`, else what the name says.
    pub fn virtual_size(&self) -> Option<u64> {
        self.number(b'W')
            .or_else(|| filename::virtual_size(self.base))
    }

    fn number(&self, key: u8) -> Option<u64> {
        std::str::from_utf8(self.value(key)?).ok()?.parse().ok()
    }

    fn value(&self, key: u8) -> Option<&'a [u8]> {
        let value = self.fields().find_map(|field| field.strip_prefix(&[key]));
        value.filter(|value| !value.is_empty())
    }

    fn fields(&self) -> impl Iterator<Item = &'a [u8]> + use<'a> {
        let fields = self.keys.split(|&byte| byte == b' ');
        fields.filter(|field| field.first().is_some_and(u8::is_ascii_uppercase))
    }

    /// Writes it as a line of version 3.
    pub(super) fn format(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(self.uid.0.to_string().as_bytes());
        for field in self.fields() {
            out.push(b' ');
            out.extend_from_slice(field);
        }
        out.extend_from_slice(b" :");
        out.extend_from_slice(self.base);
        out.push(b'\n');
    }
}

/// The records in ascending order of UID, and the text they are in.
#[derive(Clone, Debug, Default)]
pub(super) struct Records {
    text: Vec<u8>,
    /// All before this has been taken in; `<= text.len()`.
    taken: usize,
    entries: Vec<Entry>,
    by_base: HashTable<u32>,
    hasher: DefaultHashBuilder,
    /// The highest UID that any line has, readable or not.
    highest: u32,
    /// Records that were taken in and forgotten: how many, how much text, up to which UID.
    forgotten: Forgotten,
}

#[derive(Clone, Copy, Debug, Default)]
struct Forgotten {
    records: usize,
    /// It stood between the first line and the rest of the text.
    text: usize,
}

/// A record as places in the text.
#[derive(Clone, Copy, Debug)]
struct Entry {
    uid: u32,
    base: u32,
    base_length: u16,
    /// The keys, with spaces and the colon after them, end where the base begins.
    keys_length: u16,
}

/// What [`Records::take_in`] met.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct MetRecord {
    /// How many things were wrong, and what and where (which byte of the text) the first was.
    pub flaws: usize,
    pub first: Option<(usize, &'static str)>,
    /// Records from before have been left out or have moved.
    pub reordered: bool,
    /// A name had a UID already; it may happen to sound files.
    pub renumbered: bool,
}

impl Records {
    /// From the text of a file; nothing is taken in yet.
    pub fn new(text: Vec<u8>) -> Records {
        Records {
            text,
            ..Records::default()
        }
    }

    /// Takes in the first line and gives it without its end; `None` if there is no whole line.
    pub fn take_header(&mut self) -> Option<&[u8]> {
        let end = memchr(b'\n', &self.text)?;
        self.taken = end + 1;
        self.text.get(..end)
    }

    /// Records of a file that is known from elsewhere: its first line, and how many records there
    /// are in how much text behind it, with which highest UID.
    pub fn known(header: &[u8], records: usize, text: usize, last: u32) -> Records {
        Records {
            text: header.to_vec(),
            taken: header.len(),
            highest: last,
            forgotten: Forgotten { records, text },
            ..Records::default()
        }
    }

    /// Lets go of all records; those taken in later are there again.
    pub fn forget(&mut self) {
        let header = self.header().len();
        self.forgotten = Forgotten {
            records: self.total(),
            text: self.taken().saturating_sub(header),
        };
        // Half a line behind them is read again.
        self.text.truncate(header);
        self.text.shrink_to_fit();
        self.taken = header;
        self.entries = Vec::new();
        self.by_base = HashTable::new();
    }

    /// Has nothing been forgotten?
    pub fn are_whole(&self) -> bool {
        self.forgotten.text == 0
    }

    /// How many there are, those forgotten too.
    pub fn total(&self) -> usize {
        self.forgotten.records + self.entries.len()
    }

    /// The first line with its end.
    pub fn header(&self) -> &[u8] {
        let end = memchr(b'\n', &self.text).map_or(0, |at| at + 1);
        self.text.get(..end).unwrap_or_default()
    }

    /// Takes in all whole lines that are new.
    pub fn take_in(&mut self, layout: RecordForm) -> MetRecord {
        let (mut met, old) = (MetRecord::default(), self.entries.len());
        // The last entry need not have it: some have been left out.
        let mut last = self.highest;
        let mut ordered = true;
        let end = memrchr(b'\n', &self.text).map_or(0, |at| at + 1);
        // Some 40 bytes for a line that is not remarkable in any way.
        let coming = end.saturating_sub(self.taken) / 40;
        self.entries.reserve(coming);
        while self.taken < end {
            let rest = self.text.get(self.taken..end).unwrap_or_default();
            let Some(length) = memchr(b'\n', rest) else {
                break;
            };
            let line = rest.get(..length).unwrap_or_default();
            for (entry, flaw) in read_line(line, self.taken, layout) {
                if let Some(flaw) = flaw {
                    met.note(self.taken, flaw);
                }
                match entry {
                    Some(entry) => {
                        if entry.uid <= last && ordered {
                            ordered = false;
                            met.note(self.taken, "UIDs out of order");
                        }
                        last = entry.uid;
                        self.highest = self.highest.max(entry.uid);
                        self.entries.push(entry);
                    }
                    None => self.highest = highest_with(line, self.highest),
                }
            }
            self.taken += length + 1;
        }
        if !ordered {
            self.put_in_order();
        }
        met.renumbered = self.index(if ordered { old } else { 0 });
        met.reordered = met.renumbered || !ordered;
        met
    }

    /// Adds bytes of the file that follow those taken in, in place of a tail not taken in before.
    pub fn add_text(&mut self, bytes: &[u8]) {
        self.text.truncate(self.taken);
        self.text.extend_from_slice(bytes);
    }

    /// How many bytes of the file have been taken in.
    pub fn taken(&self) -> usize {
        self.taken + self.forgotten.text
    }

    /// Is there a line without its end?
    pub fn is_torn(&self) -> bool {
        self.taken < self.text.len()
    }

    /// The lowest UID that is above all that lines have.
    pub fn next_uid(&self) -> u32 {
        self.highest.saturating_add(1)
    }

    pub fn len(&self) -> usize {
        self.entries.len()
    }

    pub fn get(&self, index: usize) -> Option<UidlistRecord<'_>> {
        self.entries.get(index).map(|entry| self.record(entry))
    }

    pub fn iter(&self) -> impl DoubleEndedIterator<Item = UidlistRecord<'_>> + ExactSizeIterator {
        self.entries.iter().map(|entry| self.record(entry))
    }

    pub fn find_uid(&self, uid: u32) -> Option<usize> {
        self.entries
            .binary_search_by_key(&uid, |entry| entry.uid)
            .ok()
    }

    pub fn find(&self, base: &[u8]) -> Option<usize> {
        let hash = self.hasher.hash_one(base);
        let same = |&index: &u32| base_at(&self.text, &self.entries, index) == base;
        self.by_base.find(hash, same).map(|&index| index as usize)
    }

    fn record(&self, entry: &Entry) -> UidlistRecord<'_> {
        let base = entry.base as usize;
        let keys = base.saturating_sub(usize::from(entry.keys_length))..base;
        let keys = self.text.get(keys).unwrap_or_default();
        UidlistRecord {
            uid: Uid(entry.uid),
            base: base_of(&self.text, entry),
            keys: keys.strip_suffix(b":").unwrap_or(keys).trim_ascii(),
        }
    }

    /// Sorts, and leaves out UIDs that several names claim.
    fn put_in_order(&mut self) {
        self.entries.sort_by_key(|entry| entry.uid);
        let text = &self.text;
        let same_line =
            |a: &mut Entry, b: &mut Entry| a.uid == b.uid && base_of(text, a) == base_of(text, b);
        self.entries.dedup_by(same_line);
        let claimed: Vec<u32> = self
            .entries
            .windows(2)
            .filter_map(|two| match two {
                [a, b] if a.uid == b.uid => Some(a.uid),
                _ => None,
            })
            .collect();
        self.entries
            .retain(|entry| claimed.binary_search(&entry.uid).is_err());
    }

    /// Indexes the entries from `first` on by their names.  Where a name had an entry, the older
    /// entry is left out; true if there was such a one.
    fn index(&mut self, first: usize) -> bool {
        if first == 0 {
            self.by_base.clear();
        }
        let (text, hasher) = (&self.text, &self.hasher);
        let entries = self.entries.as_mut_slice();
        let hash = |entries: &[Entry], index: u32| hasher.hash_one(base_at(text, entries, index));
        self.by_base
            .reserve(entries.len().saturating_sub(first), |&index| {
                hash(entries, index)
            });
        let mut renumbered = false;
        for index in first..entries.len() {
            // The text is at most 1 GiB, so there are fewer entries than that.
            let index = index as u32;
            let base = base_at(text, entries, index);
            let slot = self.by_base.entry(
                hasher.hash_one(base),
                |&other| base_at(text, entries, other) == base,
                |&other| hash(entries, other),
            );
            match slot {
                Slot::Vacant(slot) => {
                    slot.insert(index);
                }
                Slot::Occupied(mut slot) => {
                    renumbered = true;
                    let older = std::mem::replace(slot.get_mut(), index);
                    if let Some(older) = entries.get_mut(older as usize) {
                        older.uid = 0;
                    }
                }
            }
        }
        if renumbered {
            self.entries.retain(|entry| entry.uid > 0);
            self.index(0);
        }
        renumbered
    }
}

impl MetRecord {
    fn note(&mut self, at: usize, flaw: &'static str) {
        self.flaws += 1;
        self.first.get_or_insert((at, flaw));
    }
}

/// A line that is no record may have begun with a UID that some client has seen.  A number far
/// above all others is rather part of the damage, and would use up the UIDs.
fn highest_with(line: &[u8], highest: u32) -> u32 {
    match leading_uid(line) {
        Some((uid, _)) if uid < highest.saturating_add(BELIEVABLE_GAP) => highest.max(uid),
        _ => highest,
    }
}

fn base_of<'a>(text: &'a [u8], entry: &Entry) -> &'a [u8] {
    let base = entry.base as usize;
    text.get(base..base + usize::from(entry.base_length))
        .unwrap_or_default()
}

fn base_at<'a>(text: &'a [u8], entries: &[Entry], index: u32) -> &'a [u8] {
    entries
        .get(index as usize)
        .map_or(b"", |entry| base_of(text, entry))
}

/// The entries of a line that begins at `at`: one, or two if the first was cut off; with what is
/// wrong.
fn read_line(
    line: &[u8],
    at: usize,
    layout: RecordForm,
) -> impl Iterator<Item = (Option<Entry>, Option<&'static str>)> {
    let (first, second) = match read_record(line, at, layout) {
        Ok(Line::Sound(entry)) => ((Some(entry), None), None),
        Ok(Line::Flawed(entry, flaw)) => ((Some(entry), Some(flaw)), None),
        Ok(Line::Merged(entry)) => ((None, Some("a record cut off")), Some((Some(entry), None))),
        Err(flaw) => ((None, Some(flaw)), None),
    };
    std::iter::once(first).chain(second)
}

enum Line {
    Sound(Entry),
    Flawed(Entry, &'static str),
    /// The second record of two; the first is lost.
    Merged(Entry),
}

/// ```text
/// record of version 1 = uid SP name
/// record of version 3 = uid *(SP key value) SP ":" name
/// ```
fn read_record(line: &[u8], at: usize, layout: RecordForm) -> Result<Line, &'static str> {
    let mut flaw = None;
    // A crashed system may leave NULs where data should have been written.
    let blank = |byte: &u8| *byte == 0 || byte.is_ascii_whitespace();
    let begin = line.iter().take_while(|byte| blank(byte)).count();
    if begin > 0 {
        flaw = Some("something before the UID");
    }
    let text = line.get(begin..).unwrap_or_default();
    let (uid, rest) = leading_uid(text).ok_or("no UID")?;
    let (keys, name) = match (layout, rest.strip_prefix(b" ").ok_or("no record")?) {
        (RecordForm::Plain, name) => (&b""[..], name.trim_ascii_start()),
        (RecordForm::Keyed, rest) => {
            let (keys, name, sound) = split_keys(rest).ok_or("no name")?;
            if !sound {
                flaw = Some("a key that is none");
            }
            (keys, name)
        }
    };
    let place = at + line.len() - name.len();
    let end = match memchr3(b':', b'/', b' ', name) {
        None => name.len(),
        Some(_) if memchr(b'/', name).is_some() => return Err("a name with a slash"),
        Some(_) => {
            if let Some(second) = split_merged(uid, name, place) {
                return Ok(Line::Merged(second));
            }
            memchr(b':', name).unwrap_or(name.len())
        }
    };
    let base = name.get(..end).unwrap_or_default();
    // One is of a file that passed a Windows host: no part of the name, and no flaw.
    let mut base = base.strip_suffix(b"\r").unwrap_or(base);
    while let Some(stripped) = base.strip_suffix(b"\r") {
        base = stripped;
        flaw = Some("CR at the end of a line");
    }
    let entry = Entry::new(uid, place, base.len(), keys.len()).ok_or("no name, or too long")?;
    Ok(flaw.map_or(Line::Sound(entry), |flaw| Line::Flawed(entry, flaw)))
}

impl Entry {
    fn new(uid: u32, base: usize, base_length: usize, keys_length: usize) -> Option<Entry> {
        let entry = Entry {
            uid,
            base: base.try_into().ok()?,
            base_length: base_length.try_into().ok()?,
            keys_length: keys_length.try_into().ok()?,
        };
        (base_length > 0).then_some(entry)
    }
}

/// Splits keys (up to and with the colon) and name; false if a key does not begin with a capital.
fn split_keys(text: &[u8]) -> Option<(&[u8], &[u8], bool)> {
    let (mut rest, mut sound) = (text.trim_ascii_start(), true);
    loop {
        match rest.split_first()? {
            (b':', name) => {
                let keys = text.get(..text.len() - name.len())?;
                return Some((keys, name, sound));
            }
            (key, _) => {
                sound &= key.is_ascii_uppercase();
                rest = rest.get(memchr(b' ', rest)?..)?.trim_ascii_start();
            }
        }
    }
}

/// `101 :1795441023.M5873102 :1795441024.M1P1.vm`: record 101 was cut off, record 102 is whole.  It
/// may also be 101 again, when the writer of the first learnt that it had failed.  The name begins
/// at `at`.
fn split_merged(uid: u32, name: &[u8], at: usize) -> Option<Entry> {
    let space = memchr(b' ', name)?;
    let (keys, base, _) = split_keys(name.get(space + 1..)?)?;
    let cut_off = name.get(..space)?;
    let second = [uid.checked_add(1)?, uid]
        .into_iter()
        .find(|uid| *uid <= UID_MAX && cut_off.ends_with(uid.to_string().as_bytes()))?;
    let length = memchr(b':', base).unwrap_or(base.len());
    Entry::new(second, at + name.len() - base.len(), length, keys.len())
}

fn leading_uid(line: &[u8]) -> Option<(u32, &[u8])> {
    let digits = line.iter().take_while(|byte| byte.is_ascii_digit()).count();
    let (digits, rest) = line.split_at_checked(digits)?;
    let uid = match digits.len() {
        1..=10 => digits
            .iter()
            .fold(0, |uid, digit| uid * 10 + u64::from(digit - b'0')),
        _ => 0,
    };
    let uid = u32::try_from(uid).ok()?;
    (1..=UID_MAX).contains(&uid).then_some((uid, rest))
}

/// The highest UID that Dovecot accepts.
pub(super) const UID_MAX: u32 = u32::MAX - 1;

/// No mailbox gets that many messages between two rewrites.
const BELIEVABLE_GAP: u32 = 1 << 20;
