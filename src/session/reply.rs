//! Tagged responses, and how each kind of failure becomes one (RFC 5530): the only place that maps
//! errors to response codes.

use std::borrow::Cow;
use std::io;

use super::flags::FlagsError;
use super::mailboxes::OpenError;
use crate::imap::command::Tag;
use crate::imap::mailbox::NameError;
use crate::imap::response::{self, Code, Status};
use crate::imap::sequence::Ranges;
use crate::maildir::dir::DiskError;
use crate::maildir::folder::{FolderError, MessageError};
use crate::maildir::save::SaveError;
use crate::maildir::tree::TreeError;

/// What a tagged response says.
#[derive(Clone, Debug)]
pub struct Reply {
    pub status: Status,
    pub code: ReplyCode,
    pub text: Cow<'static, str>,
}

#[derive(Clone, Debug)]
pub enum ReplyCode {
    None,
    Simple(Code<'static>),
    AppendUid(u32, Ranges),
    CopyUid(u32, Ranges, Ranges),
    Modified(Ranges),
    MailboxId(String),
    Capability(String),
}

impl Reply {
    pub fn ok(text: impl Into<Cow<'static, str>>) -> Reply {
        Reply {
            status: Status::Ok,
            code: ReplyCode::None,
            text: text.into(),
        }
    }

    pub fn no(text: impl Into<Cow<'static, str>>) -> Reply {
        Reply {
            status: Status::No,
            code: ReplyCode::None,
            text: text.into(),
        }
    }

    pub fn bad(text: impl Into<Cow<'static, str>>) -> Reply {
        Reply {
            status: Status::Bad,
            code: ReplyCode::None,
            text: text.into(),
        }
    }

    pub fn code(mut self, code: Code<'static>) -> Reply {
        self.code = ReplyCode::Simple(code);
        self
    }

    pub fn with(mut self, code: ReplyCode) -> Reply {
        self.code = code;
        self
    }

    /// RFC 5530 3, EXPUNGEISSUED.
    pub fn expunge_issued() -> Reply {
        Reply::no("Some of the requested messages no longer exist.").code(Code::ExpungeIssued)
    }

    pub fn write(&self, tag: &Tag, out: &mut Vec<u8>) {
        let code = match &self.code {
            ReplyCode::None => None,
            ReplyCode::Simple(code) => Some(*code),
            ReplyCode::AppendUid(uid_validity, uids) => Some(Code::AppendUid(*uid_validity, uids)),
            ReplyCode::CopyUid(uid_validity, from, to) => {
                Some(Code::CopyUid(*uid_validity, from, to))
            }
            ReplyCode::Modified(set) => Some(Code::Modified(set)),
            ReplyCode::MailboxId(id) => Some(Code::MailboxId(id)),
            ReplyCode::Capability(capabilities) => Some(Code::Capability(capabilities)),
        };
        response::tagged(out, tag, self.status, code, &self.text);
    }
}

impl From<NameError> for Reply {
    fn from(error: NameError) -> Reply {
        Reply::no(error.as_str()).code(Code::Cannot)
    }
}

impl From<TreeError> for Reply {
    fn from(error: TreeError) -> Reply {
        match error {
            TreeError::NotFound => Reply::no("Mailbox doesn't exist.").code(Code::NonExistent),
            TreeError::Exists => Reply::no("Mailbox already exists.").code(Code::AlreadyExists),
            TreeError::Name(why) | TreeError::Refused(why) => Reply::no(why).code(Code::Cannot),
            TreeError::RoleTaken => {
                Reply::no("Another mailbox already has this special use.").code(Code::UseAttr)
            }
            TreeError::Locked => in_use(),
            TreeError::Io(error) => io_failure(&error),
        }
    }
}

impl From<FolderError> for Reply {
    fn from(error: FolderError) -> Reply {
        match error {
            FolderError::Missing => Reply::no("Mailbox doesn't exist.").code(Code::NonExistent),
            FolderError::Replaced => {
                Reply::no("Another folder has taken the mailbox's place.").code(Code::Unavailable)
            }
            FolderError::Denied(error) | FolderError::Full(error) | FolderError::Io(error) => {
                io_failure(&error)
            }
        }
    }
}

impl From<OpenError> for Reply {
    fn from(error: OpenError) -> Reply {
        match error {
            OpenError::Tree(error) => error.into(),
            OpenError::Folder(error) => error.into(),
        }
    }
}

impl From<MessageError> for Reply {
    fn from(error: MessageError) -> Reply {
        match error {
            MessageError::Gone => Reply::expunge_issued(),
            MessageError::Denied(error) | MessageError::Full(error) | MessageError::Io(error) => {
                io_failure(&error)
            }
        }
    }
}

impl From<SaveError> for Reply {
    fn from(error: SaveError) -> Reply {
        match error {
            SaveError::Gone => Reply::expunge_issued(),
            SaveError::Folder(error) => error.into(),
            SaveError::Full(error) | SaveError::Denied(error) | SaveError::Io(error) => {
                io_failure(&error)
            }
        }
    }
}

impl From<FlagsError> for Reply {
    fn from(error: FlagsError) -> Reply {
        match error {
            FlagsError::NotForClients => Reply::bad("These flags cannot be set by a client."),
            FlagsError::NoLetter(keyword) => Reply::no(format!(
                "Keyword {} cannot be stored: this mailbox already has 26 keywords.",
                keyword.as_str()
            ))
            .code(Code::Limit),
            FlagsError::Folder(error) => error.into(),
        }
    }
}

/// A destination that does not exist can be created by the client (RFC 9051 6.3.12).
pub fn no_destination(error: OpenError) -> Reply {
    match error {
        OpenError::Tree(TreeError::NotFound) => {
            Reply::no("Mailbox doesn't exist.").code(Code::TryCreate)
        }
        error => error.into(),
    }
}

/// The mailbox was opened with EXAMINE.
pub fn read_only() -> Reply {
    Reply::no("Mailbox is read-only.").code(Code::NoPerm)
}

/// Another program holds a lock too long.
pub fn in_use() -> Reply {
    Reply::no("The mailbox is locked by another program.").code(Code::InUse)
}

/// The command was for one mailbox, which is there no more.
pub fn deselected() -> Reply {
    Reply::no("The mailbox is not there any more.").code(Code::NonExistent)
}

/// The client sees the system's own words, which name no path.
fn io_failure(error: &DiskError) -> Reply {
    use io::ErrorKind::{PermissionDenied, QuotaExceeded, ReadOnlyFilesystem, StorageFull};
    match error.kind() {
        StorageFull | QuotaExceeded => Reply::no("No space left for mail.").code(Code::OverQuota),
        PermissionDenied | ReadOnlyFilesystem => Reply::no("Permission denied.").code(Code::NoPerm),
        _ => {
            log::error!("{error}");
            Reply::no(format!("Internal error: {}.", error.kind())).code(Code::ServerBug)
        }
    }
}
