//! HIGHESTMODSEQ in Dovecot's index: read when a mailbox is taken over, and raised so that it never
//! falls behind the modseqs Roost has given out.
//!
//! A client keeps the highest modseq it has seen and asks for what came after it (RFC 7162 3.1.4,
//! 3.2.5).  A server whose HIGHESTMODSEQ is lower than that answers "nothing", and the client
//! misses changes for good.  Each server that serves a mailbox in turn, or beside another one, must
//! therefore begin above what the other has told.  Dovecot counts modseqs in its transaction log
//! `dovecot.index.log`; nothing in the Maildir itself holds them.
//!
//! # What is written, and why Dovecot stands it
//!
//! The log is a sequence of records that all of Dovecot's processes append to under an exclusive
//! lock on the whole file, and read without one.  [`DovecotLog::raise`] does what Dovecot's own
//! `doveadm mailbox update --min-highest-modseq` does: it takes the lock, looks that the file is
//! still the one under that name and that it ends with a whole record, and appends one
//! *modseq update* for UID 0, in one `write`.  Processes that have the log open find it as they
//! find the records of each other.  A log that is odd in any way is left alone: an index that
//! Dovecot finds broken is rebuilt by it, with modseqs that begin again at 1, which is the very
//! thing this module is there to prevent.
//!
//! The lock is taken by fcntl, as by default, and by `flock`, for `lock_method=flock`; a file
//! `dovecot.index.log.lock` (`lock_method=dotlock`) counts as locked.
//!
//! Only little-endian indexes are understood; there are hardly others.

mod index;
mod log;

use std::io::{self, ErrorKind, Write};
use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

use crate::maildir::disk::dir::{Dir, DiskResult, File, Stat, is_gone, is_loop, own_process};
use index::DovecotIndex;
use log::{LogHeader, LogWalk};

/// `dovecot.index`, `dovecot.index.log` and `dovecot.index.log.2` of one folder.
pub struct DovecotLog {
    directory: PathBuf,
    /// Where the last look ended; None before the first, or when there was nothing to see.
    seen: Option<Seen>,
}

/// What Dovecot's index says of the whole mailbox.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LogSummary {
    /// 0: never counted
    pub highest_modseq: u64,
    /// 0: unknown
    pub uid_validity: u32,
    /// 0: unknown
    pub next_uid: u32,
    /// In the order of the index; those beyond the 26 of `dovecot-keywords` are nowhere else.
    pub keywords: Vec<String>,
}

/// How [`DovecotLog::raise`] went.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Raised {
    /// Dovecot's value is what was asked for, or more.
    Done,
    /// Dovecot holds its lock: nothing was written, try again later.
    Busy,
    /// There is no index, or it is of a kind (broken, other version or byte order) that is not
    /// written to.
    Unknown,
}

/// A log, walked as far as it went when last looked at.
struct Seen {
    stat: Stat,
    header: LogHeader,
    walk: LogWalk,
}

impl DovecotLog {
    /// `directory` holds `dovecot.index*`: the folder, or its place in Dovecot's `INDEX=` tree.
    /// Reads nothing yet.
    pub fn new(directory: &Path) -> DovecotLog {
        DovecotLog {
            directory: directory.to_owned(),
            seen: None,
        }
    }

    /// What the index says now; None: there is none, or none that can be understood.  Costs a
    /// `stat` when nothing changed, and reads only what is new when the log grew.
    pub fn read(&mut self) -> DiskResult<Option<&LogSummary>> {
        let directory = match Dir::open(&self.directory) {
            Err(e) if is_gone(&e) => {
                self.seen = None;
                return Ok(None);
            }
            directory => directory?,
        };
        let now = directory.stat_target(LOG)?;
        let same = |seen: &Seen| now.is_some_and(|now| seen.stat.is_same_version(&now));
        if !self.seen.as_ref().is_some_and(same) {
            match directory.open_file(LOG) {
                Ok(file) => self.look(&directory, &file)?,
                Err(e) if is_gone(&e) => self.seen = None,
                Err(e) => return Err(e),
            }
        }
        Ok(self.seen.as_ref().map(|seen| &seen.walk.summary))
    }

    /// Makes sure that Dovecot's HIGHESTMODSEQ is at least `to`.  Where Dovecot has no index at
    /// all, `make` says whether to leave it an empty log that starts there.
    pub fn raise(&mut self, to: u64, make: bool, now: SystemTime) -> DiskResult<Raised> {
        let directory = Dir::open(&self.directory)?;
        for _ in 0..ROTATION_TRIES {
            let file = match directory.open_append(LOG) {
                Ok(file) => file,
                // The owner of a link that is not followed has a log of its own.
                Err(e) if is_loop(&e) => return Ok(Raised::Unknown),
                Err(e) if e.kind() == ErrorKind::NotFound => {
                    self.seen = None;
                    if !make || directory.stat(INDEX)?.is_some() {
                        return Ok(Raised::Unknown);
                    }
                    if make_log(&directory, to, now)? {
                        return Ok(Raised::Done);
                    }
                    continue;
                }
                Err(e) => return Err(e),
            };
            if directory.stat(DOTLOCK)?.is_some() || !file.try_lock()? {
                return Ok(Raised::Busy);
            }
            // The lock goes with `file`.  Rotated since it was opened, this is `.log.2` now.
            let own = file.stat()?;
            let named = directory.stat_target(LOG)?;
            if named.is_some_and(|named| named.is_same_file(&own)) {
                return self.append(&directory, file, to);
            }
        }
        Ok(Raised::Busy)
    }

    /// Appends to `file`, which is the log and locked.
    fn append(&mut self, directory: &Dir, mut file: File, to: u64) -> DiskResult<Raised> {
        self.look(directory, &file)?;
        let Some(seen) = &mut self.seen else {
            return Ok(Raised::Unknown);
        };
        if seen.walk.summary.highest_modseq >= to {
            return Ok(Raised::Done);
        }
        if seen.walk.offset != seen.stat.size {
            // There is something unfinished at the end, and no other process is finishing it,
            // because we hold the lock.
            return Ok(Raised::Unknown);
        }
        let records = log::raising_records(to, seen.walk.summary.highest_modseq == 0);
        let written = match file.write(&records) {
            Ok(n) if n == records.len() => Ok(()),
            Ok(_) => Err(io::Error::from(ErrorKind::StorageFull)),
            Err(e) => Err(e),
        };
        if let Err(e) = written.map_err(|error| file.failure("write", error)) {
            // As in Dovecot, what a reader would take for the beginning of a record is removed.
            file.set_len(seen.stat.size)?;
            return Err(e);
        }
        self.look(directory, &file)?;
        Ok(match &self.seen {
            Some(seen) if seen.walk.summary.highest_modseq >= to => Raised::Done,
            _ => Raised::Unknown,
        })
    }

    /// Brings `seen` up to the end of `file`, which is or was the log.
    fn look(&mut self, directory: &Dir, file: &File) -> DiskResult<()> {
        let stat = file.stat()?;
        let Some(header) = read_header(file)? else {
            self.seen = None;
            return Ok(());
        };
        let known = self.seen.take().filter(|seen| {
            seen.stat.is_same_file(&stat) && seen.header == header && seen.walk.offset <= stat.size
        });
        let mut walk = match known {
            Some(seen) => seen.walk,
            None => begin(directory, &header)?,
        };
        walk_on(file, &mut walk, &header, stat.size)?;
        self.seen = Some(Seen { stat, header, walk });
        Ok(())
    }
}

/// Where to begin in a log not seen before: at its start, or further on where `dovecot.index`
/// already holds what comes before.
fn begin(directory: &Dir, header: &LogHeader) -> DiskResult<LogWalk> {
    let mut walk = LogWalk::start(header);
    // One of another id is older than the log, which was begun anew.
    let index = read_index(directory)?.filter(|index| index.id == header.index_id);
    let Some(index) = index else {
        return Ok(walk);
    };
    walk.summary.uid_validity = index.uid_validity;
    walk.summary.next_uid = index.next_uid;
    walk.summary.keywords = index.keywords;
    if index.log_seq == header.file_seq {
        match index.modseq {
            Some(at) if at.log_seq == header.file_seq && at.highest != 0 => {
                walk.count_from(at.log_offset, at.highest);
                walk.offset = u64::from(at.log_offset.min(index.log_head_offset))
                    .max(u64::from(header.header_size));
            }
            _ => {}
        }
    } else if let Ok(file) = directory.open_file(OLD_LOG) {
        // The index was last written before the log was rotated.  The new log's header has the
        // modseq; the rest of what happened since is in the old one.
        if let Some(old) = read_header(&file)?
            && old.file_seq == index.log_seq
        {
            let start = u64::from(index.log_head_offset.max(old.header_size));
            let mut past = LogWalk::start(&old);
            past.offset = start;
            past.summary = std::mem::take(&mut walk.summary);
            walk_on(&file, &mut past, &old, file.stat()?.size)?;
            walk.summary = LogSummary {
                highest_modseq: header.initial_modseq,
                ..past.summary
            };
        }
    }
    Ok(walk)
}

/// A log with nothing in it but the modseq to start from.  False: one has appeared meanwhile.
fn make_log(directory: &Dir, to: u64, now: SystemTime) -> DiskResult<bool> {
    let seconds = now.duration_since(UNIX_EPOCH).map_or(0, |d| d.as_secs());
    let temporary = format!("dovecot.index.log.roost.{}.{seconds}", own_process());
    let temporary = temporary.as_bytes();
    let mut file = directory.create_new(temporary, &directory.access()?)?;
    let made = file
        .write_all(&log::new_header(to, seconds as u32))
        .and_then(|()| directory.link(temporary, directory, LOG));
    let _ = directory.unlink(temporary);
    match made {
        Ok(()) => Ok(true),
        Err(e) if e.kind() == ErrorKind::AlreadyExists => Ok(false),
        Err(e) => Err(e),
    }
}

fn read_index(directory: &Dir) -> DiskResult<Option<DovecotIndex>> {
    let file = match directory.open_file(INDEX) {
        Ok(file) => file,
        Err(e) if is_gone(&e) => return Ok(None),
        Err(e) => return Err(e),
    };
    let mut start = [0; index::SIZES];
    read_at(&file, &mut start, 0)?;
    let bytes = read_from(&file, 0, u64::from(index::header_size(&start)))?;
    Ok(DovecotIndex::parse(&bytes))
}

fn read_header(file: &File) -> DiskResult<Option<LogHeader>> {
    let mut bytes = [0; log::HEADER_SIZE];
    let got = read_at(file, &mut bytes, 0)?;
    Ok(LogHeader::parse(bytes.get(..got).unwrap_or_default()))
}

/// Takes in the records up to `end`, piece by piece: how long a log is must not decide memory.
fn walk_on(file: &File, walk: &mut LogWalk, header: &LogHeader, end: u64) -> DiskResult<()> {
    if end.saturating_sub(walk.offset) > READ_MAX {
        let why = "it is larger than any index of Dovecot's";
        let cause = io::Error::new(ErrorKind::FileTooLarge, why);
        return Err(file.failure("read", cause));
    }
    let mut piece = PIECE;
    while walk.offset < end {
        let before = walk.offset;
        let bytes = read_from(file, before, end.min(before.saturating_add(piece)))?;
        walk.feed(header, &bytes);
        if walk.offset > before {
            continue;
        }
        // A record that is longer than the piece, or not there whole.
        if before.saturating_add(piece) >= end || piece >= RECORD_MAX {
            break;
        }
        piece = RECORD_MAX;
    }
    Ok(())
}

/// The bytes from `start` to `end`, fewer where the file is shorter.
fn read_from(file: &File, start: u64, end: u64) -> DiskResult<Vec<u8>> {
    let size = end.saturating_sub(start).min(RECORD_MAX);
    let mut bytes = vec![0; usize::try_from(size).unwrap_or_default()];
    let got = read_at(file, &mut bytes, start)?;
    bytes.truncate(got);
    Ok(bytes)
}

/// Fills as much of `bytes` as the file has from `offset` on.
fn read_at(file: &File, bytes: &mut [u8], offset: u64) -> DiskResult<usize> {
    let mut got = 0;
    while let Some(rest) = bytes.get_mut(got..).filter(|rest| !rest.is_empty()) {
        match file.read_at(rest, offset + got as u64) {
            Ok(0) => break,
            Ok(n) => got += n,
            Err(e) if e.kind() == ErrorKind::Interrupted => {}
            Err(e) => return Err(e),
        }
    }
    Ok(got)
}

const INDEX: &[u8] = b"dovecot.index";
const LOG: &[u8] = b"dovecot.index.log";
const OLD_LOG: &[u8] = b"dovecot.index.log.2";
const DOTLOCK: &[u8] = b"dovecot.index.log.lock";
/// Dovecot rotates its log at about 1 MiB.
const READ_MAX: u64 = 64 << 20;
const PIECE: u64 = 64 << 10;
/// Dovecot writes what happens in a large mailbox at once as one record.
const RECORD_MAX: u64 = 16 << 20;
const ROTATION_TRIES: usize = 3;

#[cfg(test)]
pub(crate) mod lab;
#[cfg(test)]
mod tests;
