//! Why an operation on a folder or a message failed: whose fault it is, as far as errno tells.

use std::fmt;

use crate::maildir::disk::dir::{self, DiskError};
use crate::maildir::disk::report;

/// Why a folder cannot be worked with.
#[derive(Debug)]
pub enum FolderError {
    /// There is no such directory (any more).
    Missing,
    /// Another directory, or another UIDVALIDITY, took its place.  Clients that have it selected
    /// must select it anew.  With the path, and what is there now.
    Replaced(String),
    /// Permissions do not allow it.
    Denied(DiskError),
    /// No room on the disk, or none in the owner's share.
    Full(DiskError),
    Io(DiskError),
}

impl From<DiskError> for FolderError {
    fn from(error: DiskError) -> FolderError {
        if dir::is_full(&error) {
            FolderError::Full(error)
        } else if dir::is_denied(&error) {
            FolderError::Denied(error)
        } else {
            FolderError::Io(error)
        }
    }
}

impl FolderError {
    /// For the log: with what is missing to whom.
    pub fn explained(&self) -> String {
        match self {
            FolderError::Denied(error) => report::explained(error),
            other => other.to_string(),
        }
    }
}

impl fmt::Display for FolderError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            FolderError::Missing => f.write_str("the folder does not exist"),
            FolderError::Replaced(what) => f.write_str(what),
            FolderError::Denied(error) | FolderError::Full(error) | FolderError::Io(error) => {
                error.fmt(f)
            }
        }
    }
}

impl std::error::Error for FolderError {}

/// Why an operation on one message failed.
#[derive(Debug)]
pub enum MessageError {
    /// It is expunged.
    Gone,
    /// The permission to read or rename its file is missing.
    Denied(DiskError),
    /// No room on the disk for the change.
    Full(DiskError),
    Io(DiskError),
}

impl From<DiskError> for MessageError {
    fn from(error: DiskError) -> MessageError {
        if dir::is_full(&error) {
            MessageError::Full(error)
        } else if dir::is_denied(&error) {
            MessageError::Denied(error)
        } else {
            MessageError::Io(error)
        }
    }
}

impl MessageError {
    /// For the log: with what is missing to whom.
    pub fn explained(&self) -> String {
        match self {
            MessageError::Denied(error) => report::explained(error),
            other => other.to_string(),
        }
    }
}

impl fmt::Display for MessageError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            MessageError::Gone => f.write_str("the message is expunged"),
            MessageError::Denied(error) | MessageError::Full(error) | MessageError::Io(error) => {
                error.fmt(f)
            }
        }
    }
}

impl std::error::Error for MessageError {}

/// Why a message could not be saved.
#[derive(Debug)]
pub enum SaveError {
    /// No room on the disk, or none in the owner's share.
    Full(DiskError),
    Denied(DiskError),
    /// The message to be copied is expunged.
    Gone,
    /// The destination cannot be worked with.
    Folder(FolderError),
    Io(DiskError),
}

impl From<DiskError> for SaveError {
    fn from(error: DiskError) -> SaveError {
        MessageError::from(error).into()
    }
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

impl From<FolderError> for SaveError {
    fn from(error: FolderError) -> SaveError {
        match error {
            FolderError::Denied(error) => SaveError::Denied(error),
            FolderError::Full(error) => SaveError::Full(error),
            FolderError::Io(error) => SaveError::Io(error),
            other => SaveError::Folder(other),
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
