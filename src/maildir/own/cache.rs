//! `roost.cache`: per message, what was worked out of its text and will be asked for again.
//!
//! A cache in every sense.  The file may be cut, deleted, replaced by another process's compaction
//! or appended to at any time; what it then holds is less, never something wrong.  So there are no
//! locks and no fsync, and no errors: what cannot be read is not there, what cannot be written is
//! not kept.
//!
//! # The file
//!
//! ```text
//! file    = magic (16) uid-validity (4) 0 (4) *batch
//! batch   = marker (8) count (4) records-size (4) crc (4) 0 (4) table *record
//! table   = count x ( uid (4) size (4) )
//! record  = uid (4) size (4) crc (4) bytes
//! ```
//!
//! Numbers are little-endian.  The batch's CRC is over its two numbers and the table, the record's
//! over uid, size and bytes.  The tables make it possible to know what is in the file without
//! reading all of it.  A later record for a UID replaces an earlier one.
//!
//! A batch is appended by one `write` to a descriptor with O_APPEND, so batches of several
//! processes do not mix.  One that was torn by a full disk or a crash, with others after it, is
//! stepped over by looking for the next marker.  Nothing is ever changed in place: a reader keeps
//! the descriptor of a file that was replaced, and what it knew of it stays true.

mod format;
mod window;

use hashbrown::HashMap;
use std::io::Write;

use crate::mail::Uid;
use crate::maildir::disk::dir::{Access, Dir, DiskResult, File, Stat, Target};
use crate::maildir::disk::report;
use format::{BatchHeader, CacheBatch};
use window::Window;

/// The cache of one folder: UID -> bytes.
pub struct Cache {
    directory: Dir,
    uid_validity: u32,
    /// None: not looked for yet, or there is none.
    open: Option<Open>,
    /// The file of this name, if it is no cache of this mailbox.
    stranger: Option<Stat>,
    /// What was put and is not written yet.
    pending: CacheBatch,
    /// Positions in `pending`.
    unwritten: HashMap<u32, u32>,
    /// The disk is full, or the file as large as it may be.
    given_up: bool,
    compaction: Option<Compaction>,
    positions_max: usize,
}

/// The file as far as it was looked through.
struct Open {
    file: File,
    stat: Stat,
    window: Window,
    /// Where records begin; the last one of each UID.
    positions: HashMap<u32, u32>,
    /// Where the next batch is expected.
    end: u64,
    /// Where the records of the last batch begin.
    last_records: u64,
    records: usize,
    batches: usize,
    damaged: bool,
    /// How many messages a file may tell of before it is not read on.
    positions_max: usize,
}

/// A new file being filled.
struct Compaction {
    file: File,
    size: u64,
    positions: HashMap<u32, u32>,
    batch: CacheBatch,
    /// Records of the batch, at positions from its records' start.
    in_batch: Vec<(u32, u32)>,
    batches: usize,
    /// The UIDs still to do, largest first.
    todo: Vec<u32>,
}

impl Cache {
    /// Reads nothing yet.
    pub fn open(directory: &Dir, uid_validity: u32) -> Cache {
        Cache {
            directory: directory.clone(),
            uid_validity,
            open: None,
            stranger: None,
            pending: CacheBatch::default(),
            unwritten: HashMap::new(),
            given_up: false,
            compaction: None,
            positions_max: usize::MAX,
        }
    }

    /// Says that the folder has about so many messages.  A file that tells of many more is not
    /// taken.
    pub fn for_messages(mut self, count: usize) -> Cache {
        self.positions_max = count.saturating_mul(8).saturating_add(10_000);
        self
    }

    /// The bytes last put for the message.  Messages asked for in the order in which they were put
    /// are read in large pieces.
    pub fn get(&mut self, uid: Uid) -> Option<&[u8]> {
        if let Some(&at) = self.unwritten.get(&uid.0) {
            return self.pending.bytes(uid.0, at);
        }
        let at = self.position(uid)?;
        let open = self.open.as_mut()?;
        let size = open
            .window
            .bytes(&open.file, at, format::RECORD_HEADER)
            .and_then(format::record_size);
        let Some(size) = size else {
            open.positions.remove(&uid.0);
            return None;
        };
        // Looked at twice, as the borrow checker would have it; the second time it is in memory.
        let whole = open.window.bytes(&open.file, at, size);
        if whole
            .and_then(|record| format::record(record, uid.0))
            .is_none()
        {
            open.positions.remove(&uid.0);
            return None;
        }
        let record = open.window.bytes(&open.file, at, size)?;
        record.get(format::RECORD_HEADER..)
    }

    pub fn contains(&mut self, uid: Uid) -> bool {
        self.unwritten.contains_key(&uid.0) || self.position(uid).is_some()
    }

    /// Kept in memory until `flush`, or until there is much of it.
    pub fn put(&mut self, uid: Uid, bytes: &[u8]) {
        if bytes.len() > format::BYTES_MAX || self.given_up {
            return;
        }
        let at = self.pending.push(uid.0, bytes);
        self.unwritten.insert(uid.0, at);
        if let Some(compaction) = &mut self.compaction {
            compaction.todo.push(uid.0);
        }
        if self.pending.size() >= BATCH_SIZE {
            self.flush();
        }
    }

    /// Writes, in one piece, everything put since the last time, and lets go of memory for reading.
    pub fn flush(&mut self) {
        if let Some(open) = &mut self.open {
            open.window.clear();
        }
        if self.pending.is_empty() {
            return;
        }
        self.refresh();
        let batch = std::mem::take(&mut self.pending);
        let unwritten = std::mem::take(&mut self.unwritten);
        if self.write(&batch, unwritten).is_none() {
            self.given_up = true;
        }
    }

    /// The message is gone; what the file has of it goes with `compact`.
    pub fn forget(&mut self, uid: Uid) {
        self.unwritten.remove(&uid.0);
        if let Some(open) = &mut self.open {
            open.positions.remove(&uid.0);
        }
    }

    /// Rewrites the file if most of it is dead, in UID order, until done (true) or the time slice
    /// is used up.  `live` says which messages there are.
    pub fn compact(&mut self, live: &dyn Fn(Uid) -> bool, over: &dyn Fn() -> bool) -> bool {
        self.flush();
        let Some(mut compaction) = self.compaction.take().or_else(|| self.begin(live)) else {
            return true;
        };
        while let Some(uid) = compaction.todo.pop() {
            if live(Uid(uid)) && self.carry(&mut compaction, uid).is_none() {
                let _ = self.directory.unlink(TEMPORARY);
                return true;
            }
            if over() && !compaction.todo.is_empty() {
                self.compaction = Some(compaction);
                return false;
            }
        }
        self.finish(compaction);
        true
    }

    fn begin(&mut self, live: &dyn Fn(Uid) -> bool) -> Option<Compaction> {
        self.refresh();
        let open = self.open.as_ref().filter(|_| !self.given_up)?;
        let living = open.positions.keys().filter(|&&uid| live(Uid(uid))).count();
        let mostly_dead = living * 2 < open.records && open.end > SMALL;
        let scattered = open.batches > BATCHES_MAX && open.batches * 8 > open.records;
        if !mostly_dead && !scattered && !open.damaged {
            return None;
        }
        let mut todo: Vec<u32> = open.positions.keys().copied().collect();
        todo.sort_unstable_by(|a, b| b.cmp(a));
        Some(Compaction {
            file: self.new_file().ok()?,
            size: format::FILE_HEADER as u64,
            positions: HashMap::with_capacity(living),
            batch: CacheBatch::default(),
            in_batch: Vec::new(),
            batches: 0,
            todo,
        })
    }

    /// Copies one record.  None: it cannot be written.
    fn carry(&mut self, compaction: &mut Compaction, uid: u32) -> Option<()> {
        if let Some(bytes) = self.get(Uid(uid)) {
            let at = compaction.batch.push(uid, bytes);
            compaction.in_batch.push((uid, at));
        }
        if compaction.batch.size() >= BATCH_SIZE {
            compaction.write()?;
        }
        Some(())
    }

    fn finish(&mut self, mut compaction: Compaction) {
        let renamed = compaction.write().is_some()
            && self
                .directory
                .rename(TEMPORARY, &self.directory, NAME, Target::Replace)
                .is_ok();
        let Some(stat) = compaction.file.stat().ok().filter(|_| renamed) else {
            let _ = self.directory.unlink(TEMPORARY);
            return;
        };
        self.open = Some(Open {
            file: compaction.file,
            stat,
            window: Window::default(),
            records: compaction.positions.len(),
            positions: compaction.positions,
            end: compaction.size,
            last_records: compaction.size,
            batches: compaction.batches,
            damaged: false,
            positions_max: self.positions_max,
        });
    }

    /// Appends `batch`, whose records are at these positions in it.  None: it cannot be written.
    fn write(&mut self, batch: &CacheBatch, records: HashMap<u32, u32>) -> Option<()> {
        if self.open.is_none() {
            let file = self.new_file().ok()?;
            self.directory
                .rename(TEMPORARY, &self.directory, NAME, Target::Replace)
                .ok()?;
            self.open = Some(Open::new(file, self.positions_max)?);
        }
        let open = self.open.as_mut()?;
        let encoded = batch.encode();
        if open.end + encoded.len() as u64 > FILE_MAX {
            return None;
        }
        match open.file.write(&encoded) {
            Ok(written) if written == encoded.len() => {}
            // Readers skip what was written of it.
            _ => {
                open.damaged = true;
                return None;
            }
        }
        open.stat = open.file.stat().ok()?;
        if open.end + encoded.len() as u64 == open.stat.size {
            let start = u32::try_from(open.end + batch.records_start()).ok()?;
            for (uid, at) in records {
                open.positions.insert(uid, start.checked_add(at)?);
            }
            open.last_records = start.into();
            open.end = open.stat.size;
            open.records += batch.len();
            open.batches += 1;
        } else {
            // Another process was in between.
            open.scan();
        }
        Some(())
    }

    /// An empty file under a temporary name.  Two processes doing this at the same time may take
    /// each other's away: what then gets the real name is a whole cache all the same.
    fn new_file(&self) -> DiskResult<File> {
        let access = self.directory.access().unwrap_or(Access::PRIVATE);
        let _ = self.directory.unlink(TEMPORARY);
        drop(self.directory.create_new(TEMPORARY, &access)?);
        let mut file = self.directory.open_append(TEMPORARY)?;
        file.write_all(&format::file_header(self.uid_validity))?;
        Ok(file)
    }

    /// Where the message's record is; another process may have put it there just now.
    fn position(&mut self, uid: Uid) -> Option<u64> {
        let known = |cache: &Cache| Some(u64::from(*cache.open.as_ref()?.positions.get(&uid.0)?));
        if let Some(at) = known(self) {
            return Some(at);
        }
        self.refresh();
        known(self)
    }

    /// Looks whether the file is another one, or longer.
    fn refresh(&mut self) {
        let now = match self.directory.stat(NAME) {
            Ok(Some(now)) => now,
            Ok(None) if self.open.is_none() => return,
            // The file is gone, or cannot be read now.  What we know of the old file stays true,
            // but nothing may be added to it.
            _ => {
                self.open = None;
                return;
            }
        };
        if let Some(open) = &mut self.open
            && open.stat.is_same_file(&now)
            && now.size >= open.end
        {
            if open.stat.size != now.size {
                open.stat = now;
                open.scan();
            }
            return;
        }
        if self
            .stranger
            .is_some_and(|known| known.is_same_version(&now))
        {
            return;
        }
        self.open = self.open_file();
        self.stranger = self.open.is_none().then_some(now);
    }

    fn open_file(&self) -> Option<Open> {
        let opened = self.directory.open_append(NAME);
        let file = opened
            .inspect_err(|error| report::without(error, WITHOUT))
            .ok()?;
        let mut open = Open::new(file, self.positions_max)?;
        let header = open.window.bytes(&open.file, 0, format::FILE_HEADER)?;
        if !format::is_file_header(header, self.uid_validity) {
            return None;
        }
        open.scan();
        Some(open)
    }
}

impl Open {
    fn new(file: File, positions_max: usize) -> Option<Open> {
        Some(Open {
            stat: file.stat().ok()?,
            file,
            window: Window::default(),
            positions: HashMap::new(),
            end: format::FILE_HEADER as u64,
            last_records: format::FILE_HEADER as u64,
            records: 0,
            batches: 0,
            damaged: false,
            positions_max,
        })
    }

    /// Takes in the batches from `end` on that are there whole.
    fn scan(&mut self) {
        while self.end < self.stat.size {
            if self.take_batch().is_some() {
                continue;
            }
            // The batch is being written at this moment, or is torn, and then something may follow.
            match self.next_marker() {
                Some(next) => {
                    self.end = next;
                    self.damaged = true;
                }
                None => break,
            }
        }
        self.window.clear();
    }

    /// None: there is no whole batch at `end`.
    fn take_batch(&mut self) -> Option<()> {
        let start = self
            .window
            .bytes(&self.file, self.end, format::BATCH_HEADER)?;
        let header = BatchHeader::parse(start)?;
        let table_at = self.end + format::BATCH_HEADER as u64;
        let table = self
            .window
            .bytes(&self.file, table_at, header.table_size())?;
        let records_at = table_at + table.len() as u64;
        let end = records_at + u64::from(header.records_size);
        if !header.fits(table) || end > self.stat.size || end > FILE_MAX {
            return None;
        }
        let mut at = records_at;
        if self.positions.len() > self.positions_max {
            return None;
        }
        for (uid, size) in format::entries(table) {
            self.positions.insert(uid, u32::try_from(at).ok()?);
            at += (format::RECORD_HEADER + size) as u64;
            self.records += 1;
        }
        self.batches += 1;
        self.last_records = records_at;
        self.end = end;
        Some(())
    }

    /// The first marker after `last_records`, which may be before `end` where the last batch was
    /// torn, other than at `end`.
    fn next_marker(&mut self) -> Option<u64> {
        let mut at = self.last_records;
        while at < self.stat.size {
            let size = usize::try_from(self.stat.size - at).ok()?.min(SEARCH_SIZE);
            let bytes = self.window.bytes(&self.file, at, size)?;
            for found in memchr::memmem::find_iter(bytes, &format::MARKER) {
                let found = at + found as u64;
                if found != self.end {
                    self.last_records = found + 1;
                    return Some(found);
                }
            }
            if size < SEARCH_SIZE {
                break;
            }
            at += (size - format::MARKER.len()) as u64;
        }
        None
    }
}

impl Compaction {
    /// None: it cannot be written.
    fn write(&mut self) -> Option<()> {
        if self.batch.is_empty() {
            return Some(());
        }
        let encoded = self.batch.encode();
        self.file.write_all(&encoded).ok()?;
        let start = u32::try_from(self.size + self.batch.records_start()).ok()?;
        for (uid, at) in self.in_batch.drain(..) {
            self.positions.insert(uid, start.checked_add(at)?);
        }
        self.size += encoded.len() as u64;
        self.batches += 1;
        self.batch = CacheBatch::default();
        Some(())
    }
}

impl Drop for Cache {
    fn drop(&mut self) {
        self.flush();
        if self.compaction.is_some() {
            let _ = self.directory.unlink(TEMPORARY);
        }
    }
}

const WITHOUT: &str = "what lists of messages show is read from the messages each time";
const NAME: &[u8] = b"roost.cache";
const TEMPORARY: &[u8] = b"roost.cache.tmp";
/// A batch is written when it has become as large as this.
const BATCH_SIZE: usize = 256 << 10;
/// Positions are kept in 32 bits.
const FILE_MAX: u64 = u32::MAX as u64;
/// A file smaller than this is not worth rewriting because of what is dead in it.
const SMALL: u64 = 256 << 10;
/// More batches than this of a few records each, and opening the file becomes slow.
const BATCHES_MAX: usize = 500;
const SEARCH_SIZE: usize = 1 << 20;

#[cfg(test)]
mod tests;
