//! `dovecot-uidlist`: which UID each message of a folder has.
//!
//! ```text
//! 3 V1795441023 N3 Ga07602237f41046b4f45000083ecc375
//! 1 :1795441023.M587364P17743.vm,S=36,W=41
//! 4 W2481 :1700000000.M1P1.host
//! ```
//!
//! The file belongs to every program that serves this Maildir; the law is that no UID ever changes
//! hands.
//!
//! # Reading
//!
//! Anybody may read at any time without a lock.  A writer either appends whole lines or puts a new
//! file in place of the old one, so a reader sees a state that was, at worst with half a line at
//! the end, which is left for the next look.  The next UID is the larger of the header's `N` and
//! what follows the last record, as appending does not touch the header.
//!
//! A broken file is read as far as it goes (see `records`) and written anew at the next occasion, a
//! copy kept as `dovecot-uidlist.damaged`.  If UIDVALIDITY or next UID are lost, the records mean
//! nothing by themselves: [`Uidlist::uid_validity`] is 0 then, and nothing can be written before
//! [`Uidlist::restore_header`] with numbers from elsewhere.
//!
//! # Writing
//!
//! Only under the folder's lock, which must still be ours, and only to the file that was read last.
//!
//! - [`Uidlist::append`] writes records at the end with one write and fdatasync.  A crash or a full
//!   disk may leave half a line there; a write that is known to have failed is taken back.  Either
//!   way the UIDs in it were told to nobody, as nobody was told that the append had worked.
//! - [`Uidlist::rewrite`] writes `dovecot-uidlist.tmp`, fdatasync, rename over the file, fsync of
//!   the directory.  Without the last, the old file could come back after a power failure, without
//!   the records appended to the new one; so the first append after somebody else's rename syncs
//!   the directory too.  A crash leaves the old file or the new one.
//! - Writes with [`Durable::No`] are on disk after [`Uidlist::settle`], all at once.

mod header;
mod records;
mod write;

use std::io;
use std::sync::Arc;

use crate::mail::Uid;
use crate::maildir::disk::dir::{Dir, DiskResult, File, Stat, Time, is_gone};
use crate::maildir::disk::plausible::can_fill;
use header::{Numbers, RecordForm, UidlistHeader, UnknownVersion};
use records::Records;

pub use records::UidlistRecord;
pub use write::{Durable, New, UidlistError};

/// The file in memory, records in ascending order of UID.
#[derive(Clone, Debug)]
pub struct Uidlist {
    layout: RecordForm,
    /// `None`: lost.
    numbers: Option<Numbers>,
    guid: String,
    /// Fields of the header that we do not know.
    others: Vec<u8>,
    records: Records,
    /// The file as it was read or written; `None`: there is none, or it has to be read again.
    version: Option<Version>,
    /// The file is not as it should be.
    rewrite: bool,
    /// Something in the file could not be read.
    damaged: bool,
}

/// A state of the file.
#[derive(Clone, Debug)]
struct Version {
    stat: Stat,
    /// Kept open, so that no newer file can have its inode number.
    file: Arc<File>,
    /// It is certain that this file is the one to be found after a power failure.
    settled: bool,
}

/// A file as it was known at some time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct KnownUidlist {
    pub inode: u64,
    pub size: u64,
    pub mtime: Time,
    pub records: usize,
    pub next_uid: Uid,
}

/// What [`Uidlist::refresh`] found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refreshed {
    Same,
    /// The records from this index on are new.
    Appended(usize),
    /// Anything may be different.
    Replaced,
    /// There is no file any more.  What was read before still stands and can be written again.
    Gone,
}

impl Uidlist {
    /// A list for a folder that has none; the first write creates the file.
    pub fn new(uid_validity: u32, next_uid: Uid) -> Uidlist {
        Uidlist {
            layout: RecordForm::Keyed,
            numbers: Some(Numbers {
                uid_validity: uid_validity.max(1),
                next_uid: next_uid.0.max(1),
            }),
            guid: header::new_guid(),
            others: Vec::new(),
            records: Records::default(),
            version: None,
            rewrite: false,
            damaged: false,
        }
    }

    /// A list from what another source knows: UIDs in ascending order with their names.  What
    /// cannot stand in the file is left out.
    pub fn restored<'a>(
        uid_validity: u32,
        next_uid: Uid,
        guid: Option<&str>,
        records: impl Iterator<Item = (Uid, New<'a>)>,
    ) -> Uidlist {
        let mut list = Uidlist::new(uid_validity, next_uid);
        if let Some(guid) = guid {
            list.set_guid(guid);
        }
        list.replace_records(records);
        list
    }

    /// Puts other records, with ascending UIDs, in place of all there are.
    pub fn replace_records<'a>(&mut self, records: impl Iterator<Item = (Uid, New<'a>)>) {
        let mut lines = Vec::new();
        for (uid, new) in records {
            if new.format(uid, &mut lines).is_err() {
                log::warn!("UID {} has a name that cannot be kept", uid.0);
            }
        }
        let next_uid = self.uid_next();
        self.records = Records::new(lines);
        self.records.take_in(RecordForm::Keyed);
        self.raise_uid_next(next_uid);
        self.rewrite = true;
    }

    /// Reads the file; `None` if there is none.  `InvalidData`: a version from the future.
    pub fn read(dir: &Dir) -> DiskResult<Option<Uidlist>> {
        Uidlist::read_again(dir, None)
    }

    /// The list as it was known when the file was `known`, without reading its records; `None` if
    /// it is another by now.  Records appended later are read, the others are not there: see
    /// [`Uidlist::is_whole`].
    pub fn resume(dir: &Dir, known: &KnownUidlist) -> DiskResult<Option<Uidlist>> {
        let file = match dir.open_file(FILE) {
            Err(error) if is_gone(&error) => return Ok(None),
            other => Arc::new(other?),
        };
        let stat = file.stat()?;
        if (stat.inode, stat.size, stat.mtime) != (known.inode, known.size, known.mtime) {
            return Ok(None);
        }
        let start = read_from(&file, 0, HEADER_MAX)?;
        let mut first = Records::new(start);
        let header = UidlistHeader::parse(first.take_header().unwrap_or_default())
            .map_err(|version| dir.failure("read", FILE, version))?;
        let (Some(numbers), Some(guid), RecordForm::Keyed) =
            (header.numbers, header.guid, header.layout)
        else {
            return Ok(None);
        };
        let line = first.header();
        let size = usize::try_from(stat.size).unwrap_or(usize::MAX);
        let text = size.saturating_sub(line.len());
        let last = known.next_uid.0.saturating_sub(1);
        Ok(header.sound.then(|| Uidlist {
            layout: header.layout,
            numbers: Some(numbers),
            guid,
            others: header.others,
            records: Records::known(line, known.records, text, last),
            version: Some(Version {
                stat,
                file,
                settled: false,
            }),
            rewrite: false,
            damaged: false,
        }))
    }

    /// Lets go of the records, which take some 70 bytes each, when all they say is kept elsewhere.
    /// They are read again when the file has to be written anew.
    pub fn forget_records(&mut self) {
        if self.version.is_some() && !self.records.is_torn() {
            self.records.forget();
        }
    }

    /// Are all records here?
    pub fn is_whole(&self) -> bool {
        self.records.are_whole()
    }

    /// How many records the file has, here or not.
    pub fn total(&self) -> usize {
        self.records.total()
    }

    /// Reads a file of the same format by another name, such as Courier's, to be written as our
    /// own.
    pub fn read_from(dir: &Dir, name: &[u8]) -> DiskResult<Option<Uidlist>> {
        let Some((text, _)) = read_whole(dir, name)? else {
            return Ok(None);
        };
        let list = Uidlist::from_text(dir, name, text, None, None);
        list.map(Some)
            .map_err(|version| dir.failure("read", name, version))
    }

    /// Brings the list up to date.  Costs one stat when the file has not changed, and reads only
    /// what was appended when it has grown.
    pub fn refresh(&mut self, dir: &Dir) -> DiskResult<Refreshed> {
        if let (Some(stat), Some(version)) = (dir.stat_target(FILE)?, &self.version) {
            if stat.is_same_version(&version.stat) {
                return Ok(Refreshed::Same);
            }
            if stat.is_same_file(&version.stat) {
                let file = Arc::clone(&version.file);
                if let Some(refreshed) = self.read_tail(dir, file)? {
                    return Ok(refreshed);
                }
            }
        }
        let Some(found) = Uidlist::read_again(dir, Some(&self.guid))? else {
            self.version = None;
            return Ok(Refreshed::Gone);
        };
        self.replace_by(dir, found);
        Ok(Refreshed::Replaced)
    }

    /// Is the file another than the one last read or written?
    pub fn changed_on_disk(&self, dir: &Dir) -> DiskResult<bool> {
        Ok(match (dir.stat_target(FILE)?, &self.version) {
            (Some(stat), Some(version)) => !stat.is_same_version(&version.stat),
            (stat, version) => stat.is_some() || version.is_some(),
        })
    }

    /// 0: lost, see [`Uidlist::restore_header`].
    pub fn uid_validity(&self) -> u32 {
        self.numbers.map_or(0, |numbers| numbers.uid_validity)
    }

    /// The UID that the next message gets.
    pub fn uid_next(&self) -> Uid {
        let header = self.numbers.map_or(1, |numbers| numbers.next_uid);
        Uid(header.max(self.records.next_uid()))
    }

    /// The mailbox GUID, 32 hexadecimal digits.
    pub fn guid(&self) -> &str {
        &self.guid
    }

    /// Gives the mailbox a GUID that was known from elsewhere; false if it is none.
    pub fn set_guid(&mut self, guid: &str) -> bool {
        let Some(guid) = header::guid(guid.as_bytes()) else {
            return false;
        };
        self.rewrite |= guid != self.guid;
        self.guid = guid;
        true
    }

    /// How many records there are; not all of them need have a file.
    pub fn len(&self) -> usize {
        self.records.len()
    }

    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    pub fn record(&self, index: usize) -> Option<UidlistRecord<'_>> {
        self.records.get(index)
    }

    pub fn records(
        &self,
    ) -> impl DoubleEndedIterator<Item = UidlistRecord<'_>> + ExactSizeIterator {
        self.records.iter()
    }

    /// The index of the record of this UID.
    pub fn find_uid(&self, uid: Uid) -> Option<usize> {
        self.records.find_uid(uid.0)
    }

    /// The index of the record of this base name.
    pub fn find(&self, base: &[u8]) -> Option<usize> {
        self.records.find(base)
    }

    /// Should the file be written anew: is it not there, of version 1, without a GUID, or in any
    /// way not as Dovecot wants it?  The next [`Uidlist::append`] does it too.
    pub fn needs_rewrite(&self) -> bool {
        self.rewrite || self.version.is_none() || self.records.is_torn()
    }

    /// Are so few of the records in use that the file should be written anew?  Below 75 % as in
    /// Dovecot, but not for a handful.
    pub fn wants_compaction(&self, live: usize) -> bool {
        let dead = self.total().saturating_sub(live);
        dead >= COMPACTION_MIN && dead > self.total() / 4
    }

    /// Raises the next UID; it is never lowered.
    pub fn raise_uid_next(&mut self, uid: Uid) {
        if uid > self.uid_next()
            && let Some(numbers) = &mut self.numbers
        {
            numbers.next_uid = uid.0;
            self.rewrite = true;
        }
    }

    /// Gives a list whose header was lost the numbers that another source knows.  The records
    /// stand.
    pub fn restore_header(&mut self, uid_validity: u32, next_uid: Uid) {
        self.numbers = Some(Numbers {
            uid_validity: uid_validity.max(1),
            next_uid: next_uid.0.max(1),
        });
        self.rewrite = true;
    }

    /// Begins again with a new UIDVALIDITY: there are no records, the next UID is 1.
    pub fn replace_uid_validity(&mut self, uid_validity: u32) {
        self.records = Records::default();
        self.restore_header(uid_validity, Uid(1));
    }
}

impl Uidlist {
    fn read_again(dir: &Dir, known_guid: Option<&str>) -> DiskResult<Option<Uidlist>> {
        let Some((text, version)) = read_whole(dir, FILE)? else {
            return Ok(None);
        };
        let list = Uidlist::from_text(dir, FILE, text, Some(version), known_guid);
        list.map(Some)
            .map_err(|version| dir.failure("read", FILE, version))
    }

    fn from_text(
        dir: &Dir,
        name: &[u8],
        text: Vec<u8>,
        version: Option<Version>,
        known_guid: Option<&str>,
    ) -> Result<Uidlist, UnknownVersion> {
        let mut records = Records::new(text);
        let header = UidlistHeader::parse(records.take_header().unwrap_or_default())?;
        let mut list = Uidlist {
            layout: header.layout,
            numbers: header.numbers,
            rewrite: header.layout != RecordForm::Keyed || header.guid.is_none(),
            guid: header
                .guid
                .or_else(|| known_guid.map(str::to_owned))
                .unwrap_or_else(header::new_guid),
            others: header.others,
            records,
            version,
            damaged: !header.sound,
        };
        if list.damaged {
            log::warn!("{}: the first line is broken", place(dir, name));
        }
        list.take_in(dir, name);
        // In version 1 a writer raises the header first.
        let raised = header.layout == RecordForm::Keyed
            || header
                .numbers
                .is_some_and(|numbers| list.records.next_uid() <= numbers.next_uid);
        list.damaged |= !raised;
        list.rewrite |= list.damaged;
        Ok(list)
    }

    /// Takes new text into the records; true if those from before kept their places.
    fn take_in(&mut self, dir: &Dir, name: &[u8]) -> bool {
        let met = self.records.take_in(self.layout);
        if let Some((at, flaw)) = met.first {
            log::warn!(
                "{}: {flaw} at byte {at}, {} in all; the rest is kept",
                place(dir, name),
                match met.flaws {
                    1 => "one flaw".to_owned(),
                    flaws => format!("{flaws} flaws"),
                }
            );
            self.damaged = true;
        } else if met.renumbered {
            log::warn!(
                "{}: a name has two UIDs, the higher one counts",
                place(dir, name)
            );
        }
        self.rewrite |= met.flaws > 0 || met.renumbered;
        !met.reordered
    }

    /// Reads what was appended to the file; `None` if more than that has changed, as far as can be
    /// seen.
    fn read_tail(&mut self, dir: &Dir, file: Arc<File>) -> DiskResult<Option<Refreshed>> {
        let stat = file.stat()?;
        let (header, taken) = (self.records.header(), self.records.taken());
        // The last byte known was the end of a line, and still should be.
        let from = taken.saturating_sub(1);
        if stat.size <= taken as u64 || read_from(&file, 0, header.len())? != header {
            return Ok(None);
        }
        let tail = read_from(&file, from as u64, SIZE_MAX - from)?;
        let Some(tail) = tail.strip_prefix(b"\n") else {
            return Ok(None);
        };
        let before = self.len();
        self.records.add_text(tail);
        let settled = self.version.as_ref().is_some_and(|old| old.settled);
        self.version = Some(Version {
            stat,
            file,
            settled,
        });
        if !self.take_in(dir, FILE) {
            // Which of several records counts depends on all of them, also those not here or left
            // out before.
            return Ok(None);
        }
        Ok(Some(match self.len() {
            after if after > before => Refreshed::Appended(before),
            _ => Refreshed::Same,
        }))
    }

    /// Takes over what was read anew.  Within one UIDVALIDITY the next UID never goes down, and
    /// what the file has lost since is known here.
    fn replace_by(&mut self, dir: &Dir, found: Uidlist) {
        let before = std::mem::replace(self, found);
        let next_uid = before.uid_next();
        let Some(numbers) = before.numbers else {
            return;
        };
        if self.numbers.is_none() {
            self.restore_header(numbers.uid_validity, next_uid);
        } else if self.uid_validity() == numbers.uid_validity && self.uid_next() < next_uid {
            log::warn!("{}: the next UID was lowered", place(dir, FILE));
            self.raise_uid_next(next_uid);
        }
    }
}

impl From<UnknownVersion> for io::Error {
    fn from(UnknownVersion(version): UnknownVersion) -> io::Error {
        let text = format!("it is of version {version}, which is not known here");
        io::Error::new(io::ErrorKind::InvalidData, text)
    }
}

fn read_whole(dir: &Dir, name: &[u8]) -> DiskResult<Option<(Vec<u8>, Version)>> {
    let file = match dir.open_file(name) {
        Err(error) if is_gone(&error) => return Ok(None),
        other => Arc::new(other?),
    };
    let stat = file.stat()?;
    if stat.size > SIZE_MAX as u64 || !can_fill(dir, stat.size) {
        return Err(dir.failure("read", name, io::ErrorKind::FileTooLarge));
    }
    let text = read_from(&file, 0, SIZE_MAX)?;
    let version = Version {
        stat,
        file,
        // Dovecot does not sync the directory after its rename.
        settled: false,
    };
    Ok(Some((text, version)))
}

/// What a file has from the byte `from` on.
fn read_from(file: &File, from: u64, limit: usize) -> DiskResult<Vec<u8>> {
    let size = file.stat()?.size.saturating_sub(from);
    let size = usize::try_from(size).map_or(limit, |size| size.min(limit));
    let mut bytes = vec![0; size];
    let mut filled = 0;
    while let Some(room) = bytes.get_mut(filled..).filter(|room| !room.is_empty()) {
        match file.read_at(room, from + filled as u64)? {
            0 => break,
            read => filled += read,
        }
    }
    bytes.truncate(filled);
    Ok(bytes)
}

fn place(dir: &Dir, name: &[u8]) -> String {
    let name = String::from_utf8_lossy(name);
    format!("{}/{name}", dir.path().display())
}

const FILE: &[u8] = b"dovecot-uidlist";
/// Ten million messages; places in the text are 32 bits.
const SIZE_MAX: usize = 1 << 30;
const COMPACTION_MIN: usize = 16;
/// A first line is longer only if other programs put much of their own in it.
const HEADER_MAX: usize = 4096;

#[cfg(test)]
mod tests;
