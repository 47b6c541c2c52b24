//! New messages: APPEND and COPY.

use std::fmt;
use std::io;
use std::time::SystemTime;

use super::folder::{Folder, FolderError, MessageError};
use crate::imap::flag::Flags;
use crate::imap::sequence::Ranges;

/// A message being written to tmp/.  Dropped before it is committed, its file is removed.
pub struct Incoming {
    _todo: (),
}

impl Incoming {
    /// Opens a file in `folder`'s tmp/.
    pub fn begin(folder: &Folder, now: SystemTime) -> Result<Incoming, SaveError> {
        let _ = (folder, now);
        todo!()
    }

    /// Writes the next octets of the message, which has LF line ends where `crlf` gave LF.
    pub fn write(&mut self, bytes: &[u8]) -> Result<(), SaveError> {
        let _ = bytes;
        todo!()
    }
}

/// Messages on their way into one folder, all or none.  Dropped before it is committed, it
/// leaves nothing behind.
pub struct Batch {
    _todo: (),
}

impl Batch {
    pub fn new(destination: &Folder) -> Batch {
        let _ = destination;
        todo!()
    }

    pub fn len(&self) -> usize {
        todo!()
    }

    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Adds a message that has been written to its end.  Flags are the destination's (keyword
    /// letters!); `internal_date` is in seconds since 1970, `None`: now.
    pub fn add(
        &mut self,
        message: Incoming,
        flags: Flags,
        internal_date: Option<i64>,
    ) -> Result<(), SaveError> {
        let _ = (message, flags, internal_date);
        todo!()
    }

    /// Adds a copy of a message of `source`, which may be the destination itself: a hard link if
    /// possible.  It keeps EMAILID and INTERNALDATE.
    pub fn copy(
        &mut self,
        source: &mut Folder,
        index: usize,
        flags: Flags,
        now: SystemTime,
    ) -> Result<(), SaveError> {
        let _ = (source, index, flags, now);
        todo!()
    }
}

/// How far [`Folder::commit`] came.
#[derive(Clone, Debug, PartialEq, Eq)]
#[must_use]
pub enum Commit {
    /// The UIDs, in the order of the batch.
    Done(Ranges),
    Again,
    Locked,
}

impl Folder {
    /// Gives the messages of the batch UIDs and makes them visible, all or none; done when they
    /// are as durable as the settings say.  Takes the lock itself; if it was not held before it is
    /// released at the end.
    pub fn commit(
        &mut self,
        batch: &mut Batch,
        now: SystemTime,
        over: &dyn Fn() -> bool,
    ) -> Result<Commit, SaveError> {
        let _ = (batch, now, over);
        todo!()
    }
}

/// Why a message could not be saved.
#[derive(Debug)]
pub enum SaveError {
    /// No room on the disk, or none in the owner's share.
    Full(io::Error),
    Denied(io::Error),
    /// The message to be copied is expunged.
    Gone,
    /// The destination cannot be worked with.
    Folder(FolderError),
    Io(io::Error),
}

impl From<MessageError> for SaveError {
    fn from(error: MessageError) -> SaveError {
        match error {
            MessageError::Gone => SaveError::Gone,
            MessageError::Denied(error) => SaveError::Denied(error),
            MessageError::Full(error) => SaveError::Full(error),
            MessageError::Io(error) => SaveError::Io(error),
        }
    }
}

impl fmt::Display for SaveError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            SaveError::Gone => f.write_str("the message is expunged"),
            SaveError::Folder(error) => error.fmt(f),
            SaveError::Denied(error) | SaveError::Full(error) | SaveError::Io(error) => {
                error.fmt(f)
            }
        }
    }
}

impl std::error::Error for SaveError {}
