//! `roost.modseq`: the modseqs of a folder must never go back, and none may be given twice.
//!
//! A client that was told "HIGHESTMODSEQ 500" asks next time for what changed since 500 (RFC 7162
//! 3.1.2.2): whatever changes later must have more.  The index cannot promise that, as it is
//! written now and then only.  So this small file goes before it: records are appended to it, under
//! the folder's lock, of two kinds:
//!
//! - *reserved up to M*: on disk before the first modseq of the step is used, so that after a power
//!   failure we can go on above all that may have been told;
//! - *modseq M was given to UIDs a to b*: written before a client is told, so that a process that
//!   opens the folder while we have it open, or after we crashed, knows of changes that cannot be
//!   seen in the files any more (a flag set and taken away again).
//!
//! A record is not forced to the disk when a modseq is given, as that would cost every STORE a wait
//! for the disk: a power failure may take it, and with it the only trace of a flag that has fallen
//! back.  So whoever has the file open holds a shared lock on it.  A file that has more than the
//! record with which it began, and that nobody holds, was left by a crash: whatever was reserved
//! there may have been told, of any message.
//!
//! When the index has been written the file begins anew, with one record that says up to where the
//! index knows all; an index that knows less is not the one it was begun for.  If it is lost, or
//! cannot be written because the disk is full, modseqs come from the clock: microseconds since 1970
//! are more than was ever counted.

use std::io::{Read, Write};
use std::time::{Duration, SystemTime};

use crate::maildir::disk::dir::{self, Access, Dir, DiskError, DiskResult, File, Target};
use crate::maildir::disk::report;

/// The modseq was given to these UIDs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::maildir) struct GivenModseq {
    pub modseq: u64,
    pub first: u32,
    pub last: u32,
}

/// What has been found out of other processes.
#[derive(Debug, Default)]
pub(in crate::maildir) struct Heard {
    pub given: Vec<GivenModseq>,
    /// Another process has begun the file anew and written what had been given into the index.
    pub begun_anew: bool,
}

#[derive(Debug)]
pub(in crate::maildir) struct ModseqCounter {
    dir: Dir,
    file: Option<Open>,
    /// The greatest modseq given, by anyone.
    last: u64,
    /// Modseqs up to this one may be given.
    reserved: u64,
    /// The first record of the file.
    base: u64,
    /// The greatest UID in the file.
    last_uid: u32,
    /// Given by us and not yet in the file.
    unwritten: Vec<GivenModseq>,
    /// There is no file, so modseqs come from the clock.
    from_clock: bool,
    durable: bool,
}

#[derive(Debug)]
struct Open {
    file: File,
    inode: u64,
    /// How much of the file has been read or written: whole records.
    length: u64,
    /// There is something behind them that is not a record.
    torn: bool,
}

/// What the file said when it was opened.
#[derive(Debug, PartialEq, Eq)]
pub(in crate::maildir) enum FoundCounter {
    /// The file says nothing of earlier modseqs.
    Nothing,
    Records {
        /// No modseq above was ever told.
        last: u64,
        /// The index that goes with the file has all up to here.
        base: u64,
        given: Vec<GivenModseq>,
        /// The process that wrote it ended without writing an index.
        abandoned: bool,
    },
}

impl ModseqCounter {
    /// A file that cannot be read counts as none.
    pub fn open(dir: Dir, durable: bool) -> (ModseqCounter, FoundCounter) {
        let mut counter = ModseqCounter {
            dir,
            file: None,
            last: 0,
            reserved: 0,
            base: 0,
            last_uid: 0,
            unwritten: Vec::new(),
            from_clock: false,
            durable,
        };
        let reopened = counter.reopen().unwrap_or_else(|error| {
            report::without(&error, WITHOUT);
            None
        });
        let found = match reopened {
            Some(given) => {
                counter.last = counter.last.max(counter.reserved);
                FoundCounter::Records {
                    last: counter.last,
                    base: counter.base,
                    given,
                    abandoned: counter.hold(),
                }
            }
            None => FoundCounter::Nothing,
        };
        (counter, found)
    }

    /// The greatest modseq given so far.
    pub fn last(&self) -> u64 {
        self.last
    }

    /// Notes that modseqs up to `modseq` have been given.
    pub fn raise(&mut self, modseq: u64) {
        self.last = self.last.max(modseq);
    }

    /// From now on modseqs come from the clock: it is not known what was told before.
    pub fn lose(&mut self, now: SystemTime) {
        self.last = self.last.max(microseconds(now));
    }

    /// Holds the file so that others see that somebody uses it; true if nobody does who was there
    /// before, though there is more in it than there is when an index has been written.
    fn hold(&mut self) -> bool {
        let Some(open) = &self.file else {
            return false;
        };
        let alone = open.length > SHORT && open.file.try_hold_alone().unwrap_or(false);
        // Where files cannot be locked, everybody counts as alive.
        let _ = open.file.try_hold_shared();
        alone
    }

    /// Have other processes given modseqs since the last look?
    pub fn is_behind(&self) -> DiskResult<bool> {
        if self.from_clock {
            return Ok(false);
        }
        let on_disk = self.dir.stat(NAME)?;
        Ok(match (&self.file, on_disk) {
            (Some(open), Some(stat)) if stat.inode == open.inode => {
                stat.size >= open.length + RECORD as u64
            }
            (_, stat) => stat.is_some(),
        })
    }

    /// What other processes have given since the last look; needs the lock.
    pub fn refresh(&mut self) -> Heard {
        if self.from_clock {
            return Heard::default();
        }
        self.read_others().unwrap_or_else(|error| {
            self.fall_back(&error);
            Heard::default()
        })
    }

    fn read_others(&mut self) -> DiskResult<Heard> {
        let mut heard = Heard::default();
        let on_disk = self.dir.stat(NAME)?;
        match (&mut self.file, on_disk) {
            (Some(open), Some(stat)) if stat.inode == open.inode => {
                if stat.size > open.length {
                    let records = open.read_on()?;
                    heard.given = self.take_in(records);
                }
            }
            (_, None) => {
                self.file = None;
                self.reserved = 0;
            }
            (_, Some(_)) => {
                self.reserved = 0;
                heard.given = self.reopen()?.unwrap_or_default();
                heard.begun_anew = true;
                self.hold();
                self.last = self.last.max(self.reserved);
            }
        }
        Ok(heard)
    }

    /// The next modseq; needs the lock, and a `refresh` under it.
    pub fn issue(&mut self, access: &Access, now: SystemTime) -> u64 {
        let next = self.last.saturating_add(1);
        if next > self.reserved
            && !self.from_clock
            && let Err(error) = self.reserve(next.saturating_add(STEP), access)
        {
            self.fall_back(&error);
        }
        self.last = match self.from_clock {
            true => next.max(microseconds(now)),
            false => next,
        };
        self.last
    }

    /// `modseq`, which has been issued, was given to the message `uid`.
    pub fn give(&mut self, uid: u32, modseq: u64) {
        self.give_range(uid, uid, modseq);
    }

    /// It was given to all of these.
    pub fn give_range(&mut self, first: u32, last: u32, modseq: u64) {
        match self.unwritten.last_mut() {
            Some(given) if given.modseq == modseq && given.last.checked_add(1) == Some(first) => {
                given.last = last;
            }
            _ => self.unwritten.push(GivenModseq {
                modseq,
                first,
                last,
            }),
        }
    }

    /// Writes down what was given; needs the lock, and must be done before clients are told.
    pub fn write(&mut self, access: &Access) {
        if self.unwritten.is_empty() || self.from_clock {
            self.unwritten.clear();
            return;
        }
        let records: Vec<Record> = self.unwritten.drain(..).map(Record::Given).collect();
        let written = match self.file {
            Some(_) => self.append(&records),
            // Removed under us.
            None => self
                .create(self.last.saturating_add(STEP), access)
                .and_then(|()| self.append(&records)),
        };
        if let Err(error) = written {
            self.fall_back(&error);
        }
    }

    /// Waits until what was given is on the disk.
    pub fn settle(&self) -> DiskResult<()> {
        match &self.file {
            Some(open) => open.file.sync_data(),
            None => Ok(()),
        }
    }

    /// A UID above all that are in the file.
    pub fn least_unused_uid(&self) -> u32 {
        self.last_uid.saturating_add(1)
    }

    /// Begins the file anew when the index has everything; needs the lock.
    pub fn restart(&mut self, access: &Access) -> DiskResult<()> {
        self.unwritten.clear();
        if self.file.as_ref().is_some_and(|open| open.length <= SHORT) && self.reserved == self.last
        {
            return Ok(());
        }
        let made = self.create(self.last, access);
        if made.is_ok() {
            self.from_clock = false;
        }
        made
    }

    fn reserve(&mut self, up_to: u64, access: &Access) -> DiskResult<()> {
        if self.file.is_none() {
            return self.create(up_to, access);
        }
        self.append(&[Record::Reserved(up_to)])?;
        if self.durable
            && let Some(open) = &self.file
        {
            open.file.sync_data()?;
        }
        self.reserved = up_to;
        Ok(())
    }

    /// A new file with one record, in place of the old.  It need not be on the disk when this
    /// returns: without it modseqs come from the clock, and the old one has reserved as much as
    /// was given.
    fn create(&mut self, reserved: u64, access: &Access) -> DiskResult<()> {
        let mut bytes = MAGIC.to_vec();
        bytes.extend_from_slice(&Record::Reserved(reserved).to_bytes());
        if let Err(error) = self.dir.unlink(TEMPORARY)
            && !dir::is_gone(&error)
        {
            return Err(error);
        }
        let mut file = self.dir.create_new(TEMPORARY, access)?;
        file.write_all(&bytes)?;
        self.dir
            .rename(TEMPORARY, &self.dir, NAME, Target::Replace)?;
        let file = self.dir.open_append(NAME)?;
        self.file = Some(Open {
            inode: file.stat()?.inode,
            file,
            length: bytes_len(&bytes),
            torn: false,
        });
        self.hold();
        self.reserved = reserved;
        self.base = reserved;
        Ok(())
    }

    fn append(&mut self, records: &[Record]) -> DiskResult<()> {
        let Some(open) = &mut self.file else {
            return Ok(());
        };
        if open.torn {
            open.file.set_len(open.length)?;
            open.torn = false;
        }
        let mut bytes = Vec::with_capacity(records.len() * RECORD);
        for record in records {
            bytes.extend_from_slice(&record.to_bytes());
        }
        open.torn = true;
        open.file.write_all(&bytes)?;
        open.torn = false;
        open.length += bytes_len(&bytes);
        Ok(())
    }

    /// Without a file whoever comes after us starts from the clock, which is what we do now.
    /// Removing it works on a full disk.
    fn fall_back(&mut self, why: &DiskError) {
        report::without(why, WITHOUT);
        if let Err(error) = self.dir.unlink(NAME)
            && !dir::is_gone(&error)
        {
            report::without(&error, WITHOUT);
        }
        self.file = None;
        self.reserved = 0;
        self.unwritten.clear();
        self.from_clock = true;
    }

    /// Opens the file and reads it from the start; `None`: there is none that makes sense.
    fn reopen(&mut self) -> DiskResult<Option<Vec<GivenModseq>>> {
        self.file = None;
        let file = match self.dir.open_append(NAME) {
            Err(error) if dir::is_gone(&error) => return Ok(None),
            Err(error) if dir::is_denied(&error) => {
                // Mail that may only be read; what we give out goes no further than this process.
                self.from_clock = true;
                self.dir.open_file(NAME)?
            }
            other => other?,
        };
        let mut magic = [0; MAGIC.len()];
        if file.read_at(&mut magic, 0)? != magic.len() || magic != *MAGIC {
            let damaged = std::io::Error::new(std::io::ErrorKind::InvalidData, "it is damaged");
            report::without(&file.failure("read", damaged), WITHOUT);
            return Ok(None);
        }
        let mut open = Open {
            inode: file.stat()?.inode,
            file,
            length: bytes_len(&magic),
            torn: false,
        };
        let records = open.read_on()?;
        self.file = Some(open);
        if records.is_empty() {
            return Ok(None);
        }
        if let Some(Record::Reserved(base)) = records.first() {
            self.base = *base;
        }
        Ok(Some(self.take_in(records)))
    }

    fn take_in(&mut self, records: Vec<Record>) -> Vec<GivenModseq> {
        let mut all = Vec::new();
        for record in records {
            match record {
                Record::Reserved(up_to) => self.reserved = self.reserved.max(up_to),
                Record::Given(given) => {
                    self.last = self.last.max(given.modseq);
                    self.last_uid = self.last_uid.max(given.last);
                    all.push(given);
                }
            }
        }
        all
    }
}

impl Open {
    /// Reads the records behind those known.
    fn read_on(&mut self) -> DiskResult<Vec<Record>> {
        let mut records = Vec::new();
        let mut bytes = vec![0; RECORD * 512];
        loop {
            if records.len() >= RECORDS_MAX {
                let why = std::io::Error::new(std::io::ErrorKind::InvalidData, "it is too long");
                return Err(self.file.failure("read", why));
            }
            let read = self.file.read_at(&mut bytes, self.length)?;
            let before = records.len();
            for record in bytes.get(..read).unwrap_or_default().chunks(RECORD) {
                let Some(record) = Record::from_bytes(record) else {
                    self.torn = true;
                    return Ok(records);
                };
                records.push(record);
                self.length += RECORD as u64;
            }
            if records.len() == before {
                return Ok(records);
            }
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Record {
    Reserved(u64),
    Given(GivenModseq),
}

impl Record {
    /// Modseq, first UID, last UID (both 0: reserved), CRC-32 of these, all little-endian.
    fn to_bytes(self) -> [u8; RECORD] {
        let (modseq, first, last) = match self {
            Record::Reserved(up_to) => (up_to, 0, 0),
            Record::Given(given) => (given.modseq, given.first, given.last),
        };
        let mut bytes = [0; RECORD];
        let mut room = bytes.as_mut_slice();
        // Writing to a slice with room for it cannot fail.
        let _ = room.write(&modseq.to_le_bytes());
        let _ = room.write(&u32::to_le_bytes(first));
        let _ = room.write(&u32::to_le_bytes(last));
        let crc = crc32fast::hash(&bytes[..RECORD - 4]);
        bytes[RECORD - 4..].copy_from_slice(&crc.to_le_bytes());
        bytes
    }

    fn from_bytes(bytes: &[u8]) -> Option<Record> {
        let mut rest: &[u8] = <&[u8; RECORD]>::try_from(bytes).ok()?;
        let checked = rest.get(..RECORD - 4)?;
        let mut modseq = [0; 8];
        rest.read_exact(&mut modseq).ok()?;
        let mut numbers = [0_u32; 3];
        for number in &mut numbers {
            let mut bytes = [0; 4];
            rest.read_exact(&mut bytes).ok()?;
            *number = u32::from_le_bytes(bytes);
        }
        let [first, last, crc] = numbers;
        if crc32fast::hash(checked) != crc || first > last {
            return None;
        }
        let modseq = u64::from_le_bytes(modseq);
        Some(match first {
            0 => Record::Reserved(modseq),
            _ => Record::Given(GivenModseq {
                modseq,
                first,
                last,
            }),
        })
    }
}

fn microseconds(now: SystemTime) -> u64 {
    let since = now.duration_since(SystemTime::UNIX_EPOCH);
    u64::try_from(since.unwrap_or(Duration::ZERO).as_micros()).unwrap_or(u64::MAX)
}

fn bytes_len(bytes: &[u8]) -> u64 {
    u64::try_from(bytes.len()).unwrap_or(u64::MAX)
}

const WITHOUT: &str = "modseqs come from the clock";
const NAME: &[u8] = b"roost.modseq";
const TEMPORARY: &[u8] = b"roost.modseq.tmp";
const MAGIC: &[u8; 8] = b"RoostMS1";
const RECORD: usize = 20;
/// A file of the magic number and one record.
const SHORT: u64 = 28;
/// It begins anew with each index that is written, which is four times a minute.
const RECORDS_MAX: usize = 1 << 20;
/// How many modseqs one wait for the disk is good for.
const STEP: u64 = 1000;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::maildir::disk::dir::scratch::Scratch;

    fn open(scratch: &Scratch) -> (ModseqCounter, FoundCounter) {
        ModseqCounter::open(scratch.dir.clone(), true)
    }

    fn issue(counter: &mut ModseqCounter) -> u64 {
        let _ = counter.refresh();
        counter.issue(&Access::PRIVATE, SystemTime::now())
    }

    #[test]
    fn after_a_crash_it_goes_on_above_all_that_was_reserved() {
        let scratch = Scratch::new();
        let (mut counter, found) = open(&scratch);
        assert_eq!(found, FoundCounter::Nothing);
        let told = issue(&mut counter);
        counter.give(7, told);
        counter.give(8, told);
        counter.write(&Access::PRIVATE);
        drop(counter);
        let (mut counter, found) = open(&scratch);
        let FoundCounter::Records { last, given, .. } = found else {
            panic!("{found:?}");
        };
        let expected = GivenModseq {
            modseq: told,
            first: 7,
            last: 8,
        };
        assert_eq!(given, [expected]);
        assert!(last > told);
        assert!(issue(&mut counter) > last);
        assert_eq!(counter.least_unused_uid(), 9);
    }

    #[test]
    fn after_a_clean_end_nothing_is_left_out() {
        let scratch = Scratch::new();
        let (mut counter, _) = open(&scratch);
        let told = issue(&mut counter);
        counter.give(7, told);
        counter.write(&Access::PRIVATE);
        counter.restart(&Access::PRIVATE).unwrap();
        drop(counter);
        let (mut counter, found) = open(&scratch);
        let given = Vec::new();
        let records = FoundCounter::Records {
            last: told,
            base: told,
            given,
            abandoned: false,
        };
        assert_eq!(found, records);
        assert_eq!(issue(&mut counter), told + 1);
    }

    #[test]
    fn half_a_record_is_cut_off_before_the_next() {
        let scratch = Scratch::new();
        let (mut counter, _) = open(&scratch);
        for uid in 1..=3 {
            let modseq = issue(&mut counter);
            counter.give(uid, modseq);
            counter.write(&Access::PRIVATE);
        }
        let whole = std::fs::read(scratch.path().join("roost.modseq")).unwrap();
        for length in 28..whole.len() {
            scratch.write("roost.modseq", &whole[..length]);
            let (mut counter, found) = open(&scratch);
            let FoundCounter::Records { last, .. } = found else {
                panic!("cut to {length}");
            };
            let modseq = issue(&mut counter);
            assert!(modseq > last);
            counter.give(9, modseq);
            counter.write(&Access::PRIVATE);
            let (_, found) = open(&scratch);
            let FoundCounter::Records { given, .. } = found else {
                panic!("cut to {length}");
            };
            assert_eq!(given.last().map(|given| given.first), Some(9));
        }
    }

    #[test]
    fn what_another_process_gave_is_not_given_again() {
        let scratch = Scratch::new();
        let (mut ours, _) = open(&scratch);
        let first = issue(&mut ours);
        ours.give(1, first);
        ours.write(&Access::PRIVATE);
        let (mut theirs, _) = open(&scratch);
        let second = issue(&mut theirs);
        assert!(second > first);
        theirs.give(2, second);
        theirs.write(&Access::PRIVATE);
        assert!(ours.is_behind().unwrap());
        assert_eq!(ours.refresh().given.len(), 1);
        assert!(!ours.is_behind().unwrap());
        let third = issue(&mut ours);
        assert!(third > second);
        ours.give(3, third);
        ours.restart(&Access::PRIVATE).unwrap();
        assert!(issue(&mut theirs) > third);
    }

    #[test]
    fn a_file_that_nobody_holds_and_nobody_closed_was_left_by_a_crash() {
        let scratch = Scratch::new();
        let is_abandoned = |found| match found {
            FoundCounter::Records { abandoned, .. } => abandoned,
            FoundCounter::Nothing => panic!("no file"),
        };
        let (mut ours, _) = open(&scratch);
        let modseq = issue(&mut ours);
        ours.give(1, modseq);
        ours.write(&Access::PRIVATE);
        let (theirs, found) = open(&scratch);
        assert!(!is_abandoned(found));
        drop((ours, theirs));
        let (mut again, found) = open(&scratch);
        assert!(is_abandoned(found));
        again.restart(&Access::PRIVATE).unwrap();
        drop(again);
        assert!(!is_abandoned(open(&scratch).1));
    }

    #[test]
    fn a_file_that_is_none_costs_no_more_than_the_count() {
        for kind in ["directory", "fifo"] {
            let scratch = Scratch::new();
            let path = scratch.path().join("roost.modseq");
            match kind {
                "directory" => std::fs::create_dir(&path).unwrap(),
                _ => nix::unistd::mkfifo(&path, nix::sys::stat::Mode::S_IRWXU).unwrap(),
            }
            let (mut counter, found) = open(&scratch);
            assert_eq!(found, FoundCounter::Nothing, "{kind}");
            counter.lose(SystemTime::now());
            let told = issue(&mut counter);
            counter.give(1, told);
            counter.write(&Access::PRIVATE);
            assert!(issue(&mut counter) > told, "{kind}");
        }
    }

    #[test]
    fn a_damaged_file_counts_as_none() {
        let scratch = Scratch::new();
        for content in [&b""[..], b"RoostMS1", b"something else entirely", &[0; 200]] {
            scratch.write("roost.modseq", content);
            let (mut counter, found) = open(&scratch);
            assert_eq!(found, FoundCounter::Nothing);
            counter.lose(SystemTime::now());
            let told = issue(&mut counter);
            assert!(told > 1_700_000_000_000_000);
            counter.give(1, told);
            counter.write(&Access::PRIVATE);
            let (_, found) = open(&scratch);
            assert!(matches!(found, FoundCounter::Records { last, .. } if last >= told));
        }
    }
}
