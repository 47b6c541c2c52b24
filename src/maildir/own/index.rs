//! `roost.index`: the table of messages as it was when the folder was last looked at.
//!
//! A cache that can be deleted at any time: whatever is odd about it, it counts as
//! missing.  It is written whole to a temporary file and renamed.  The header alone answers STATUS
//! and says what it was true for: the modification times of cur/ and new/ and the state of
//! dovecot-uidlist.
//!
//! Layout, all numbers little-endian: a header of `HEADER` octets, in it the number of rows, of
//! history entries and of octets of names; the rows (`ROW` octets each), the history (16 octets an
//! entry), the names; a CRC-32 of everything behind the header.

use std::io::{self, Read, Write};

use crate::mail::Uid;
use crate::maildir::disk::dir::{self, Access, Dir, DiskResult, File, Stat, Target, Time};
use crate::maildir::disk::plausible::can_have;
use crate::maildir::disk::report;
use crate::maildir::folder::state::counts::{Counts, FolderStatus};
use crate::maildir::folder::state::history::{Expunged, History};
use crate::maildir::folder::state::messages::{Message, ROW};
use crate::maildir::folder::state::table::Table;

/// Everything in the header.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(in crate::maildir) struct IndexHeader {
    pub uid_validity: u32,
    /// Every UID below is decided: in the rows, or gone for good.
    pub uid_next: u32,
    pub first_recent: u32,
    pub recent: u32,
    pub highest_modseq: u64,
    /// 32 hex digits.
    pub mailbox_id: String,
    pub counts: Counts,
    pub cur: DirState,
    pub new: DirState,
    pub uidlist: FileState,
    /// How many records the uidlist has.
    pub records: u32,
}

/// A directory as it was when it was last listed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(in crate::maildir) struct DirState {
    pub inode: u64,
    pub mtime: Time,
    /// It was listed so soon after it changed that a later change may have left the same time.
    pub dirty: bool,
}

impl DirState {
    pub fn of(stat: &Stat) -> DirState {
        DirState {
            inode: stat.inode,
            mtime: stat.mtime,
            dirty: false,
        }
    }

    /// Nothing has happened in the directory since.
    pub fn holds(&self, stat: &Stat) -> bool {
        !self.dirty && self.inode == stat.inode && self.mtime == stat.mtime
    }
}

/// A file as it was when it was last read or written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(in crate::maildir) struct FileState {
    pub inode: u64,
    pub size: u64,
    pub mtime: Time,
}

impl FileState {
    pub fn of(stat: &Stat) -> FileState {
        FileState {
            inode: stat.inode,
            size: stat.size,
            mtime: stat.mtime,
        }
    }
}

/// The whole file.
pub(in crate::maildir) struct Index {
    pub header: IndexHeader,
    pub table: Table,
    pub history: History,
}

impl IndexHeader {
    pub fn status(&self) -> FolderStatus {
        FolderStatus {
            uid_validity: self.uid_validity,
            uid_next: self.uid_next,
            highest_modseq: self.highest_modseq,
            mailbox_id: self.mailbox_id.clone(),
            counts: self.counts,
            recent: self.recent,
        }
    }
}

/// The header, if there is an index that looks whole.
pub(in crate::maildir) fn read_header(directory: &Dir) -> DiskResult<Option<IndexHeader>> {
    let Some(mut file) = open(directory)? else {
        return Ok(None);
    };
    Ok(read_lengths(&mut file)?.map(|(header, _)| header))
}

/// The whole index, and what to compare later to see whether another process has written one.
/// `folder` is where the messages are: an index that speaks of more than there can be is damaged.
pub(in crate::maildir) fn read(
    directory: &Dir,
    folder: &[&Dir],
) -> DiskResult<Option<(Index, FileState)>> {
    let Some(mut file) = open(directory)? else {
        return Ok(None);
    };
    let state = FileState::of(&file.stat()?);
    let read = read_body(&mut file, folder);
    match read.map_err(|error| file.failure("read", error))? {
        Some(index) => Ok(Some((index, state))),
        None => {
            let damaged = io::Error::new(io::ErrorKind::InvalidData, "it is damaged");
            report::without(&directory.failure("read", NAME, damaged), WITHOUT);
            Ok(None)
        }
    }
}

/// Writes the index; under the folder's lock, so that two processes do not use the temporary name
/// at once.
pub(in crate::maildir) fn write(
    directory: &Dir,
    access: &Access,
    header: &IndexHeader,
    table: &Table,
    history: &History,
) -> DiskResult<FileState> {
    if let Err(error) = directory.unlink(TEMPORARY)
        && !dir::is_gone(&error)
    {
        return Err(error);
    }
    let file = directory.create_new(TEMPORARY, access)?;
    let written = write_body(file, header, table, history);
    let written = written.map_err(|error| directory.failure("write", TEMPORARY, error));
    let written = written.and_then(|state| {
        directory.rename(TEMPORARY, directory, NAME, Target::Replace)?;
        Ok(state)
    });
    if written.is_err() {
        // A half-written file would only take room from what is to be saved on a full disk.
        let _ = directory.unlink(TEMPORARY);
    }
    written
}

/// What there is on disk now, to compare with what `read` and `write` returned.
pub(in crate::maildir) fn state(directory: &Dir) -> DiskResult<Option<FileState>> {
    Ok(directory.stat(NAME)?.map(|stat| FileState::of(&stat)))
}

fn open(directory: &Dir) -> DiskResult<Option<File>> {
    match directory.open_file(NAME) {
        Ok(file) => Ok(Some(file)),
        Err(error) if dir::is_gone(&error) => Ok(None),
        Err(error) => Err(error),
    }
}

#[derive(Clone, Copy, Debug)]
struct Lengths {
    rows: usize,
    history: usize,
    names: usize,
    floor: u64,
}

fn read_lengths(file: &mut File) -> DiskResult<Option<(IndexHeader, Lengths)>> {
    let mut bytes = [0; HEADER];
    match file.read_exact(&mut bytes) {
        Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => return Ok(None),
        other => other?,
    }
    let Some((header, lengths)) = decode_header(&bytes) else {
        return Ok(None);
    };
    Ok((file.stat()?.size == lengths.total()).then_some((header, lengths)))
}

impl Lengths {
    fn are_possible(&self, folder: &[&Dir]) -> bool {
        self.history <= History::LIMIT
            && self.names <= self.rows.saturating_mul(NAMES_MAX)
            && can_have(folder, self.rows as u64)
    }

    fn total(&self) -> u64 {
        let parts = [
            (self.rows, ROW),
            (self.history, HISTORY_ENTRY),
            (self.names, 1),
            (1, HEADER + 4),
        ];
        parts.iter().fold(0, |sum: u64, &(count, size)| {
            let octets = (count as u64).saturating_mul(size as u64);
            sum.saturating_add(octets)
        })
    }
}

fn read_body(file: &mut File, folder: &[&Dir]) -> io::Result<Option<Index>> {
    let Some((header, lengths)) = read_lengths(file)? else {
        return Ok(None);
    };
    if !lengths.are_possible(folder) {
        return Ok(None);
    }
    let mut body = Checked {
        inner: &mut *file,
        crc: crc32fast::Hasher::new(),
    };
    let mut rows = Vec::with_capacity(lengths.rows);
    body.read_records(lengths.rows, |row: &[u8; ROW]| {
        rows.push(Message::from_bytes(row));
    })?;
    let mut expunged = Vec::with_capacity(lengths.history);
    body.read_records(lengths.history, |entry: &[u8; HISTORY_ENTRY]| {
        let mut entry = Cursor(entry);
        expunged.push(Expunged {
            modseq: entry.u64(),
            first: entry.u32(),
            last: entry.u32(),
        });
    })?;
    let mut names = vec![0; lengths.names];
    body.read_exact(&mut names)?;
    let crc = body.crc.finalize();
    let mut stored = [0; 4];
    file.read_exact(&mut stored)?;
    if u32::from_le_bytes(stored) != crc {
        return Ok(None);
    }
    Ok(Table::from_parts(rows, names).map(|table| Index {
        header,
        table,
        history: History::from_parts(expunged, lengths.floor),
    }))
}

fn write_body(
    file: File,
    header: &IndexHeader,
    table: &Table,
    history: &History,
) -> io::Result<FileState> {
    let lengths = Lengths {
        rows: table.len(),
        history: history.entries().len(),
        names: table.names().len(),
        floor: history.floor(),
    };
    let mut file = io::BufWriter::with_capacity(128 * 1024, file);
    file.write_all(&encode_header(header, &lengths))?;
    let mut body = Checked {
        inner: file,
        crc: crc32fast::Hasher::new(),
    };
    for rows in table.rows().chunks(512) {
        let mut bytes = Vec::with_capacity(512 * ROW);
        rows.iter()
            .for_each(|row| bytes.extend_from_slice(&row.to_bytes()));
        body.write_all(&bytes)?;
    }
    for entry in history.entries() {
        let mut bytes = Vec::with_capacity(HISTORY_ENTRY);
        bytes.extend_from_slice(&entry.modseq.to_le_bytes());
        bytes.extend_from_slice(&entry.first.to_le_bytes());
        bytes.extend_from_slice(&entry.last.to_le_bytes());
        body.write_all(&bytes)?;
    }
    body.write_all(table.names())?;
    let crc = body.crc.finalize();
    let mut file = body.inner;
    file.write_all(&crc.to_le_bytes())?;
    let file = file.into_inner().map_err(io::IntoInnerError::into_error)?;
    Ok(FileState::of(&file.stat()?))
}

/// Passes octets through and keeps their checksum.
struct Checked<T> {
    inner: T,
    crc: crc32fast::Hasher,
}

impl Checked<&mut File> {
    /// Hands `count` records of `N` octets to `each`.
    fn read_records<const N: usize>(
        &mut self,
        count: usize,
        mut each: impl FnMut(&[u8; N]),
    ) -> io::Result<()> {
        let mut bytes = vec![0; N * count.min(1024)];
        let mut left = count;
        while left > 0 {
            let now = left.min(1024);
            let chunk = bytes.get_mut(..N * now).unwrap_or_default();
            self.read_exact(chunk)?;
            chunk.as_chunks::<N>().0.iter().for_each(&mut each);
            left -= now;
        }
        Ok(())
    }
}

impl Read for Checked<&mut File> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.inner.read(buffer)?;
        self.crc.update(buffer.get(..read).unwrap_or_default());
        Ok(read)
    }
}

impl<T: Write> Write for Checked<T> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let written = self.inner.write(bytes)?;
        self.crc.update(bytes.get(..written).unwrap_or_default());
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.inner.flush()
    }
}

fn encode_header(header: &IndexHeader, lengths: &Lengths) -> Vec<u8> {
    let counts = &header.counts;
    let mut bytes = MAGIC.to_vec();
    for number in [
        lengths.rows as u64,
        lengths.history as u64,
        lengths.names as u64,
        lengths.floor,
        header.highest_modseq,
        counts.size,
        header.uidlist.inode,
        header.uidlist.size,
    ] {
        bytes.extend_from_slice(&number.to_le_bytes());
    }
    put_time(&mut bytes, header.uidlist.mtime);
    for directory in [&header.cur, &header.new] {
        bytes.extend_from_slice(&directory.inode.to_le_bytes());
        put_time(&mut bytes, directory.mtime);
        bytes.extend_from_slice(&u32::from(directory.dirty).to_le_bytes());
    }
    for number in [
        header.uid_validity,
        header.uid_next,
        header.first_recent,
        header.recent,
        counts.messages,
        counts.unseen,
        counts.deleted,
        counts.unmeasured,
        header.records,
        counts.first_unseen.map_or(0, |uid| uid.0),
    ] {
        bytes.extend_from_slice(&number.to_le_bytes());
    }
    bytes.extend_from_slice(header.mailbox_id.as_bytes());
    bytes.resize(HEADER - 4, 0);
    let crc = crc32fast::hash(&bytes);
    bytes.extend_from_slice(&crc.to_le_bytes());
    bytes
}

fn decode_header(bytes: &[u8; HEADER]) -> Option<(IndexHeader, Lengths)> {
    let (checked, crc) = bytes.split_last_chunk::<4>()?;
    let rest = checked.strip_prefix(MAGIC)?;
    if crc32fast::hash(checked) != u32::from_le_bytes(*crc) {
        return None;
    }
    let mut rest = Cursor(rest);
    let lengths = Lengths {
        rows: rest.size(),
        history: rest.size(),
        names: rest.size(),
        floor: rest.u64(),
    };
    let mut header = IndexHeader {
        highest_modseq: rest.u64(),
        ..IndexHeader::default()
    };
    header.counts.size = rest.u64();
    header.uidlist = FileState {
        inode: rest.u64(),
        size: rest.u64(),
        mtime: rest.time(),
    };
    for directory in [&mut header.cur, &mut header.new] {
        *directory = DirState {
            inode: rest.u64(),
            mtime: rest.time(),
            dirty: rest.u32() != 0,
        };
    }
    for number in [
        &mut header.uid_validity,
        &mut header.uid_next,
        &mut header.first_recent,
        &mut header.recent,
        &mut header.counts.messages,
        &mut header.counts.unseen,
        &mut header.counts.deleted,
        &mut header.counts.unmeasured,
        &mut header.records,
    ] {
        *number = rest.u32();
    }
    header.counts.first_unseen = Some(Uid(rest.u32())).filter(|uid| uid.0 != 0);
    let id = rest.0.first_chunk::<32>()?;
    header.mailbox_id = String::from_utf8(id.to_vec()).ok()?;
    Some((header, lengths))
}

fn put_time(bytes: &mut Vec<u8>, time: Time) {
    bytes.extend_from_slice(&time.seconds.to_le_bytes());
    bytes.extend_from_slice(&time.nanoseconds.to_le_bytes());
}

/// Reads numbers one behind the other; 0 behind the end.
struct Cursor<'a>(&'a [u8]);

impl Cursor<'_> {
    fn take<const N: usize>(&mut self) -> [u8; N] {
        match self.0.split_first_chunk::<N>() {
            Some((taken, rest)) => {
                self.0 = rest;
                *taken
            }
            None => [0; N],
        }
    }

    fn u32(&mut self) -> u32 {
        u32::from_le_bytes(self.take())
    }

    fn u64(&mut self) -> u64 {
        u64::from_le_bytes(self.take())
    }

    fn size(&mut self) -> usize {
        usize::try_from(self.u64()).unwrap_or(usize::MAX)
    }

    fn time(&mut self) -> Time {
        Time {
            seconds: self.u64().cast_signed(),
            nanoseconds: self.u32(),
        }
    }
}

pub(in crate::maildir) const WITHOUT: &str = "the folder is looked through anew";
const NAME: &[u8] = b"roost.index";
const TEMPORARY: &[u8] = b"roost.index.tmp";
/// The last digit is the version of the layout.
const MAGIC: &[u8; 8] = b"RoostIX1";
const HEADER: usize = 256;
const HISTORY_ENTRY: usize = 16;
/// A base name, a GUID and what follows the base, of 255 octets each.
const NAMES_MAX: usize = 3 * 255;
