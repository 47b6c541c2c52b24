//! One message's file: its dates and sizes, and how it is opened, whatever its name is by now.

use std::io;
use std::sync::Arc;
use std::time::SystemTime;

use super::seek::Sought;
use super::state::messages::Message;
use super::update::RENAMES;
use super::{Folder, MessageError};
use crate::mail::Flags;
use crate::maildir::disk::compressed::{self, CompressedError, Expansion, FIRST_BYTES, Format};
use crate::maildir::disk::dir::{self, DiskError, DiskResult, File, Stat};
use crate::maildir::disk::filename::Filename;
use crate::maildir::disk::watch::Place;

/// What a look at the file adds to a [`Message`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FileFacts {
    /// INTERNALDATE, seconds since 1970.
    pub internal_date: i64,
    /// SAVEDATE (RFC 8514), seconds since 1970.
    pub save_date: i64,
    /// Octets of the text as it is in the file (plain size if the file is compressed).
    pub size: u64,
}

/// A message opened for reading; the plain text if it is stored compressed.  It can be read to its
/// end even if it is expunged meanwhile.
#[derive(Debug)]
pub struct MessageFile {
    file: Arc<File>,
    /// The size of the text as it is, whatever the file's name says.
    pub size: u64,
    /// It is the text of a compressed file, in a temporary one.
    is_expanded: bool,
    damage: Option<DiskError>,
}

/// A message's file on its way to being readable: one that is compressed is expanded in slices.
#[derive(Debug)]
pub struct Opening {
    file: Arc<File>,
    size: u64,
    expansion: Option<Box<Expansion>>,
}

impl Opening {
    /// The text; `None` when the slice was used up before it is there (call again).
    pub fn go_on(&mut self, over: &dyn Fn() -> bool) -> Result<Option<MessageFile>, MessageError> {
        let plain = |file: &Arc<File>, size| MessageFile {
            file: Arc::clone(file),
            size,
            is_expanded: false,
            damage: None,
        };
        let Some(expansion) = &mut self.expansion else {
            return Ok(Some(plain(&self.file, self.size)));
        };
        let is_zlib = expansion.format() == Format::Zlib;
        let expanded = match expansion.go_on(over) {
            Ok(None) => return Ok(None),
            Ok(Some(expanded)) => expanded,
            // It looked so by chance.
            Err(CompressedError::Broken) if is_zlib => {
                return Ok(Some(plain(&self.file, self.size)));
            }
            Err(error) => return Err(expansion_error(error, &self.file)),
        };
        let damage = expanded.is_cut.then(|| damage(&self.file));
        Ok(Some(MessageFile {
            file: Arc::new(expanded.file),
            size: expanded.size,
            is_expanded: true,
            damage,
        }))
    }
}

/// The error for a compressed file of which only the beginning can be read.
fn damage(file: &File) -> DiskError {
    let why = "it is compressed and cut short or damaged: what could be had of it is served";
    file.failure("expand", io::Error::new(io::ErrorKind::InvalidData, why))
}

impl MessageFile {
    /// Whether it takes room on the disk that the message itself does not take.
    pub fn is_expanded(&self) -> bool {
        self.is_expanded
    }

    /// Why this is not the whole message, if it is not.
    pub fn take_damage(&mut self) -> Option<DiskError> {
        self.damage.take()
    }

    /// Reads at most `buffer.len()` octets from `at` on; 0 at the end.
    pub fn read_at(&self, at: u64, buffer: &mut [u8]) -> DiskResult<usize> {
        loop {
            match self.file.read_at(buffer, at) {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                result => return result,
            }
        }
    }
}

/// A message that is being read to find its size with CRLF.
#[derive(Debug)]
pub(super) struct Measuring {
    uid: u32,
    opening: Opening,
    file: Option<MessageFile>,
    size: u64,
    bare: BareLf,
}

/// Why there is no text in the file.
fn expansion_error(error: CompressedError, file: &File) -> MessageError {
    let (kind, why) = match error {
        CompressedError::Io(error) => return error.into(),
        CompressedError::Encrypted => (
            io::ErrorKind::PermissionDenied,
            "it is encrypted, and only Dovecot has the key",
        ),
        CompressedError::Unsupported => (
            io::ErrorKind::Unsupported,
            "it is compressed in a way that is not supported",
        ),
        CompressedError::TooLarge => (
            io::ErrorKind::FileTooLarge,
            "it is compressed and has too long a text",
        ),
        CompressedError::Broken => (io::ErrorKind::InvalidData, "it is compressed and damaged"),
    };
    file.failure("expand", io::Error::new(kind, why)).into()
}

/// Counts the LFs without a CR before them.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct BareLf {
    pub count: u64,
    after_cr: bool,
}

impl BareLf {
    pub fn take_in(&mut self, bytes: &[u8]) {
        for at in memchr::memchr_iter(b'\n', bytes) {
            let after_cr = match at.checked_sub(1) {
                Some(before) => bytes.get(before) == Some(&b'\r'),
                None => self.after_cr,
            };
            self.count += u64::from(!after_cr);
        }
        if let Some(&last) = bytes.last() {
            self.after_cr = last == b'\r';
        }
    }
}

impl Folder {
    /// What the table lacks of the message's dates and size is found by `stat` and kept.
    pub fn facts(&mut self, index: usize) -> Result<FileFacts, MessageError> {
        let row = *self.live_row(index)?;
        if let (Some(internal_date), Some(save_date), Some(size)) =
            (row.internal_date(), row.save_date(), row.size())
        {
            return Ok(FileFacts {
                internal_date,
                save_date,
                size,
            });
        }
        let stat = self.stat_message(index)?;
        let facts = FileFacts {
            internal_date: row.internal_date().unwrap_or(stat.mtime.seconds),
            save_date: row.save_date().unwrap_or(stat.ctime.seconds),
            size: row.size().unwrap_or(stat.size),
        };
        if let Some(row) = self.table.row_mut(index) {
            row.set_dates(facts.internal_date, facts.save_date);
            row.set_sizes(Some(facts.size), row.virtual_size());
            self.stale = true;
        }
        Ok(facts)
    }

    /// Keeps SAVEDATE before a rename, which changes the time from which it is taken.
    pub(super) fn keep_save_date(&mut self, index: usize) {
        let row = self.table.rows().get(index);
        if row.is_some_and(|row| row.save_date().is_none()) {
            // If this fails so will the rename.
            let _ = self.facts(index);
        }
    }

    /// RFC822.SIZE: known, or measured by reading the file; `None` when the slice was used up
    /// before the end of the file (call again).
    pub fn virtual_size(
        &mut self,
        index: usize,
        over: &dyn Fn() -> bool,
    ) -> Result<Option<u64>, MessageError> {
        let row = *self.live_row(index)?;
        if let Some(size) = row.virtual_size() {
            return Ok(Some(size));
        }
        let uid = row.uid().0;
        let begun = self.measuring.iter().position(|begun| begun.uid == uid);
        let mut measuring = match begun {
            Some(begun) => self.measuring.remove(begun),
            None => Measuring {
                uid,
                opening: self.open_file(index)?,
                file: None,
                size: 0,
                bare: BareLf::default(),
            },
        };
        if measuring.file.is_none() {
            measuring.file = measuring.opening.go_on(over)?;
        }
        let Some(file) = &measuring.file else {
            self.measure_later(measuring);
            return Ok(None);
        };
        let mut bytes = vec![0; 64 * 1024];
        loop {
            let read = file.read_at(measuring.size, &mut bytes)?;
            if read == 0 {
                break;
            }
            measuring
                .bare
                .take_in(bytes.get(..read).unwrap_or_default());
            measuring.size += read as u64;
            if over() {
                self.measure_later(measuring);
                return Ok(None);
            }
        }
        let size = measuring.size + measuring.bare.count;
        self.correct_sizes(index, measuring.size, size);
        Ok(Some(size))
    }

    /// Several clients may be at it, each with another message.
    fn measure_later(&mut self, measuring: Measuring) {
        if self.measuring.len() >= MEASURED_AT_ONCE {
            self.measuring.remove(0);
        }
        self.measuring.push(measuring);
    }

    /// A reader of the whole message found these sizes: they replace what the name or table says.
    pub fn correct_sizes(&mut self, index: usize, size: u64, virtual_size: u64) {
        self.change_row(index, |table| {
            if let Some(row) = table.row_mut(index) {
                row.set_sizes(Some(size), Some(virtual_size));
            }
        });
    }

    /// Opens the message's file, also when another program has renamed it meanwhile.
    pub fn open_message(&mut self, index: usize, now: SystemTime) -> Result<Opening, MessageError> {
        self.clock = now;
        self.open_file(index)
    }

    fn open_file(&mut self, index: usize) -> Result<Opening, MessageError> {
        let (file, size) = self.with_file(index, |folder, place, name| {
            let file = folder.dirs.at(place).open_file(name)?;
            let size = file.stat()?.size;
            Ok((file, size))
        })?;
        // The name does not help: it may have the size of the text, of the file, or another.
        let mut first = [0; FIRST_BYTES];
        let got = file.read_at(&mut first, 0)?;
        let file = Arc::new(file);
        let expansion = match compressed::detect(first.get(..got).unwrap_or_default()) {
            Some(format) => {
                let begun = Expansion::begin(&file, format, &self.dirs.tmp, TEXT_MAX);
                let begun = begun.map_err(|error| expansion_error(error, &file))?;
                Some(Box::new(begun))
            }
            None => None,
        };
        Ok(Opening {
            file,
            size,
            expansion,
        })
    }

    fn stat_message(&mut self, index: usize) -> Result<Stat, MessageError> {
        self.with_file(index, |folder, place, name| {
            let stat = folder.dirs.at(place).stat_target(name)?;
            stat.ok_or_else(|| {
                let at = folder.dirs.at(place);
                at.failure("stat", name, io::ErrorKind::NotFound)
            })
        })
    }

    /// Does something with the message's file by its name; if it is not there, with the name that
    /// it has now.
    fn with_file<T>(
        &mut self,
        index: usize,
        act: impl Fn(&Folder, Place, &[u8]) -> DiskResult<T>,
    ) -> Result<T, MessageError> {
        let (mut place, mut name) = self.known_name(index)?;
        for _ in 0..RENAMES {
            match act(self, place, &name) {
                Err(error) if dir::is_gone(&error) => (),
                other => return Ok(other?),
            }
            let flags = Filename::parse(&name).map_or(Flags::default(), |file| file.flags());
            (place, name) = self.find_file(index, flags)?;
        }
        Err(self.lost())
    }

    pub(super) fn live_row(&self, index: usize) -> Result<&Message, MessageError> {
        match self.table.rows().get(index) {
            Some(row) if !row.is_gone() => Ok(row),
            _ => Err(MessageError::Gone),
        }
    }

    /// The file is not where it was with `flags`.  Finds where it is; the table learns it with the
    /// next sync, which also tells clients of other flags.
    pub(super) fn find_file(
        &mut self,
        index: usize,
        flags: Flags,
    ) -> Result<(Place, Vec<u8>), MessageError> {
        let uid = self.live_row(index)?.uid().0;
        let base = self.table.base(index).to_vec();
        match self.dirs.places().seek(&base, flags, self.clock)? {
            Sought::At(place, name) => {
                self.findings.renamed.push(uid, place, &name);
                Ok((place, name))
            }
            Sought::Gone | Sought::Unsure => Err(self.lost()),
        }
    }

    /// Asks for a scan, which finds out what became of a message.
    pub(super) fn lost(&mut self) -> MessageError {
        self.scan_wanted = true;
        MessageError::Gone
    }
}

const MEASURED_AT_ONCE: usize = 8;
/// A compressed message may not become longer than this.
const TEXT_MAX: u64 = 4 << 30;
