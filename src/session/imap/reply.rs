//! Tagged responses, and how each kind of failure becomes one (RFC 5530): the only place that maps
//! errors to response codes.
//!
//! A client learns which mailbox it is about and whose fault it is, and no path.  What is the fault
//! of the server or of the host has a cause, which goes into the log: [`Reply::report`].  There is
//! no other way to the codes that say so.

use std::borrow::Cow;
use std::fmt;
use std::io;

use crate::imap::command::Tag;
use crate::imap::flag::{self, Flag};
use crate::imap::mailbox::Dialect;
use crate::imap::response::{self, Code, Status};
use crate::log::ONCE;
use crate::mail::{MailboxName, NameError, NamedFlags, Ranges};
use crate::maildir::disk::dir::DiskError;
use crate::maildir::disk::report;
use crate::maildir::folder::save::SaveError;
use crate::maildir::folder::{FolderError, MessageError};
use crate::maildir::tree::TreeError;
use crate::store::deliver::DeliverError;
use crate::store::flags::FlagsError;
use crate::store::{Mailboxes, OpenError};

/// What a tagged response says.
#[derive(Clone, Debug)]
pub struct Reply {
    pub status: Status,
    pub code: ReplyCode,
    pub text: Cow<'static, str>,
    /// What an operator has to know.
    cause: Option<Cause>,
}

/// Why the server or the host does not do what a client may ask for.
#[derive(Clone, Debug)]
enum Cause {
    Said(String),
    /// Another program does not let go of this file in the mailbox's folder.
    Locked(&'static str),
}

/// What a command is about, for the log and for the text of its response.
#[derive(Clone, Debug, Default)]
pub struct About {
    pub command: &'static str,
    pub mailbox: Option<MailboxName>,
    /// What RENAME makes of the mailbox.
    pub new_name: Option<MailboxName>,
}

impl fmt::Display for About {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.mailbox {
            Some(mailbox) => write!(f, "Mailbox {mailbox}: {}", self.command),
            None => f.write_str(self.command),
        }
    }
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
            cause: None,
        }
    }

    pub fn no(text: impl Into<Cow<'static, str>>) -> Reply {
        Reply {
            status: Status::No,
            code: ReplyCode::None,
            text: text.into(),
            cause: None,
        }
    }

    pub fn bad(text: impl Into<Cow<'static, str>>) -> Reply {
        Reply {
            status: Status::Bad,
            code: ReplyCode::None,
            text: text.into(),
            cause: None,
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

    /// The server or the host is at fault.
    fn fault(code: Code<'static>, text: impl Into<Cow<'static, str>>, cause: Cause) -> Reply {
        Reply {
            cause: Some(cause),
            ..Reply::no(text).code(code)
        }
    }

    /// Tells the log what the client is not told.
    pub fn report(&self, about: &About, mailboxes: &Mailboxes) {
        match &self.cause {
            None => {}
            Some(Cause::Said(cause)) => log::error!(target: ONCE, "{about}: {cause}"),
            Some(Cause::Locked(file)) => {
                let path = mailboxes.path(about.mailbox.as_ref()).join(file);
                log::error!(
                    target: ONCE,
                    "{about}: lock({}) failed: another program has held the lock for a long time; \
                     remove the file if that program does not run any more",
                    path.display()
                );
            }
        }
    }

    /// A refusal says which mailbox it is about.
    pub fn name_mailbox(&mut self, about: &About, dialect: Dialect<'_>) {
        let ReplyCode::Simple(code) = self.code else {
            return;
        };
        let name = match code {
            Code::ExpungeIssued => None,
            Code::AlreadyExists => about.new_name.as_ref().or(about.mailbox.as_ref()),
            _ => about.mailbox.as_ref(),
        };
        if let (Status::No, Some(name)) = (self.status, name) {
            let mut shown = Vec::new();
            name.write(&mut shown, dialect);
            let text = self.text.trim_end_matches('.');
            self.text = format!("{text}: {}", String::from_utf8_lossy(&shown)).into();
        }
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
            TreeError::Locked => in_use(UIDLIST_LOCK),
            TreeError::Io(error) => io_failure(&error),
        }
    }
}

impl From<FolderError> for Reply {
    fn from(error: FolderError) -> Reply {
        match error {
            FolderError::Missing => Reply::no("Mailbox doesn't exist.").code(Code::NonExistent),
            FolderError::Replaced(what) => Reply::fault(
                Code::Unavailable,
                "Another folder has taken the mailbox's place.",
                Cause::Said(what),
            ),
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

/// The flags that a client named.
pub fn settable(flags: &[Flag]) -> Result<NamedFlags, Reply> {
    let refused = || Reply::bad("These flags cannot be set by a client.");
    flag::settable(flags).ok_or_else(refused)
}

impl From<DeliverError> for Reply {
    fn from(error: DeliverError) -> Reply {
        match error {
            DeliverError::Mailbox(error) => no_destination(error),
            DeliverError::Flags(error) => error.into(),
            DeliverError::Save(error) => error.into(),
        }
    }
}

impl From<FlagsError> for Reply {
    fn from(error: FlagsError) -> Reply {
        match error {
            FlagsError::NoLetter(keyword) => Reply::fault(
                Code::Limit,
                format!(
                    "Keyword {} cannot be stored: this mailbox already has 26 keywords.",
                    keyword.as_str()
                ),
                Cause::Said(format!(
                    "no letter is left in dovecot-keywords for the keyword {}: all 26 are taken",
                    keyword.as_str()
                )),
            ),
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

/// A command waits for another program's lock.
pub fn report_wait(about: &About, mailboxes: &Mailboxes) {
    let path = mailboxes.path(about.mailbox.as_ref()).join(UIDLIST_LOCK);
    log::warn!(
        target: ONCE,
        "{about}: waits for lock({}), which another program holds",
        path.display()
    );
}

/// The mailbox was opened with EXAMINE, or cannot be changed at all, for this reason.
pub fn read_only(reason: Option<DiskError>) -> Reply {
    Reply {
        cause: reason.map(|error| Cause::Said(report::explained(&error))),
        ..Reply::no("Mailbox is read-only.").code(Code::NoPerm)
    }
}

/// Another program holds a lock too long: this file in the mailbox's folder.
pub fn in_use(file: &'static str) -> Reply {
    let text = "The mailbox is locked by another program.";
    Reply::fault(Code::InUse, text, Cause::Locked(file))
}

/// The command was for one mailbox, which is there no more.
pub fn deselected() -> Reply {
    Reply::no(GONE).code(Code::NonExistent)
}

/// The client sees whose fault it is; the path is for the log.
fn io_failure(error: &DiskError) -> Reply {
    use io::ErrorKind::{
        InvalidData, PermissionDenied, QuotaExceeded, ReadOnlyFilesystem, StorageFull, Unsupported,
    };
    let cause = Cause::Said(report::explained(error));
    let (code, text) = match error.kind() {
        StorageFull | QuotaExceeded => (Code::OverQuota, "No space left for mail."),
        PermissionDenied | ReadOnlyFilesystem => (Code::NoPerm, "Permission denied."),
        InvalidData => (Code::Corruption, "The stored data is damaged."),
        Unsupported => (
            Code::Cannot,
            "The stored data has a form that is not supported.",
        ),
        _ => (
            Code::ServerBug,
            "Internal error; the server's log has more.",
        ),
    };
    Reply::fault(code, text, cause)
}

/// The mailbox under a client is another one now, or none.
pub const GONE: &str = "The mailbox was replaced or removed.";

/// What another program must not hold for ever.
pub const UIDLIST_LOCK: &str = "dovecot-uidlist.lock";
pub const SUBSCRIPTIONS_LOCK: &str = "subscriptions.lock";
