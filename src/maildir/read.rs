//! One message's file: opening it whatever it is called by now, its dates and sizes.

use std::io;
use std::time::SystemTime;

use super::compressed::{self, CompressedError};
use super::dir::{self, DiskResult, File, Stat};
use super::filename::Filename;
use super::folder::{Folder, MessageError};
use super::messages::Message;
use super::seek::Sought;
use super::update::RENAMES;
use super::watch::Place;
use crate::imap::flag::Flags;

/// What a look at the file adds to a [`Message`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Facts {
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
    file: File,
    /// The size of the text as it is, whatever the file's name says.
    pub size: u64,
}

impl MessageFile {
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
    file: MessageFile,
    size: u64,
    bare: BareLf,
}

/// Why there is no text in the file.
fn expansion(error: CompressedError, file: &File) -> MessageError {
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
    pub fn facts(&mut self, index: usize) -> Result<Facts, MessageError> {
        let row = *self.live_row(index)?;
        if let (Some(internal_date), Some(save_date), Some(size)) =
            (row.internal_date(), row.save_date(), row.size())
        {
            return Ok(Facts {
                internal_date,
                save_date,
                size,
            });
        }
        let stat = self.stat_message(index)?;
        let facts = Facts {
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

    /// A rename changes what SAVEDATE would be found as: keeps it before.
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
        let mut measuring = match self.measuring.take() {
            Some(measuring) if measuring.uid == uid => measuring,
            _ => Measuring {
                uid,
                file: self.open_file(index)?,
                size: 0,
                bare: BareLf::default(),
            },
        };
        let mut bytes = vec![0; 64 * 1024];
        loop {
            let read = measuring.file.read_at(measuring.size, &mut bytes)?;
            if read == 0 {
                break;
            }
            measuring
                .bare
                .take_in(bytes.get(..read).unwrap_or_default());
            measuring.size += read as u64;
            if over() {
                self.measuring = Some(measuring);
                return Ok(None);
            }
        }
        let size = measuring.size + measuring.bare.count;
        self.correct_sizes(index, measuring.size, size);
        Ok(Some(size))
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
    pub fn open_message(
        &mut self,
        index: usize,
        now: SystemTime,
    ) -> Result<MessageFile, MessageError> {
        self.clock = now;
        self.open_file(index)
    }

    fn open_file(&mut self, index: usize) -> Result<MessageFile, MessageError> {
        let (file, size) = self.with_file(index, |folder, place, name| {
            let file = folder.dirs.at(place).open_file(name)?;
            let size = file.stat()?.size;
            Ok((file, size))
        })?;
        // The name of a compressed message has the size of its text.
        if self.live_row(index)?.size() == Some(size) {
            return Ok(MessageFile { file, size });
        }
        let expanded = compressed::expand(&file, &self.dirs.tmp, TEXT_MAX);
        Ok(match expanded.map_err(|error| expansion(error, &file))? {
            Some((file, size)) => MessageFile { file, size },
            None => MessageFile { file, size },
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

    /// The file is not where it was with `flags`.  Finds where it is; the table learns it with the next
    /// sync, which also tells clients of other flags.
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

    /// A scan is to find out what became of a message.
    pub(super) fn lost(&mut self) -> MessageError {
        self.scan_wanted = true;
        MessageError::Gone
    }
}

/// A compressed message may not become longer than this.
const TEXT_MAX: u64 = 4 << 30;
