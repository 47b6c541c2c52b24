//! The hierarchy of one user's mailboxes: mailbox names <-> folders, list, create, delete, rename.
//!
//! Maildir++ (`Maildir/.A.B`) and Dovecot's `LAYOUT=fs` (`Maildir/A/B`), `maildir-formats.md 7`.

use std::io;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use crate::imap::mailbox::MailboxName;

/// How mailbox names become directories.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Layout {
    /// Found by looking at the root: Maildir++ unless there are folders of the other kind only.
    #[default]
    Detect,
    /// `A/B` is `.A.B`
    MaildirPlusPlus,
    /// `A/B` is `A/B`
    Fs,
}

pub use crate::imap::mailbox::SpecialUse as Role;

/// One line of a LIST answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mailbox {
    pub name: MailboxName,
    /// False: there is no folder of this name, only below it (`\NonExistent`).
    pub exists: bool,
    pub children: bool,
    pub role: Option<Role>,
}

/// Why a mailbox operation was refused or failed.
#[derive(Debug)]
pub enum TreeError {
    /// No such mailbox (`[NONEXISTENT]`).
    NotFound,
    /// There is one already (`[ALREADYEXISTS]`).
    Exists,
    /// The name cannot be a folder here; the text says why (`[CANNOT]`).
    Name(&'static str),
    /// What was asked cannot be done to this mailbox; the text says why (`[CANNOT]`).
    Refused(&'static str),
    /// Another mailbox already has the special use (`[USEATTR]`, RFC 6154 3).
    RoleTaken,
    /// Somebody else holds a lock that is needed: try again in a moment (`[INUSE]`).
    Locked,
    Io(io::Error),
}

/// All mailboxes of one user.
pub struct Tree {}

impl Tree {
    /// The tree at `root`, which is INBOX's folder.  Looks at the disk only to find the layout.
    pub fn open(root: &Path, layout: Layout) -> io::Result<Tree> {
        todo!()
    }

    pub fn root(&self) -> &Path {
        todo!()
    }

    /// Never `Layout::Detect`.
    pub fn layout(&self) -> Layout {
        todo!()
    }

    /// The folder of a mailbox that exists.
    pub fn find(&self, name: &MailboxName) -> Result<PathBuf, TreeError> {
        todo!()
    }

    /// Every mailbox, and every name above one that has no folder, sorted by name with INBOX first.
    pub fn list(&self) -> Result<Vec<Mailbox>, TreeError> {
        todo!()
    }

    /// CREATE (RFC 3501 6.3.3, RFC 6154 3): the folder, with its UIDVALIDITY; not its parents.
    pub fn create(
        &self,
        name: &MailboxName,
        roles: &[Role],
        now: SystemTime,
    ) -> Result<PathBuf, TreeError> {
        todo!()
    }

    /// DELETE (RFC 3501 6.3.4): the mailbox is gone at once, its files when `sweep` has been called.
    /// A mailbox with children: see the implementation.
    pub fn delete(&self, name: &MailboxName, now: SystemTime) -> Result<(), TreeError> {
        todo!()
    }

    /// Removes files of deleted mailboxes until none are left (`true`) or the time slice is used up.
    pub fn sweep(&self, now: SystemTime, over: &dyn Fn() -> bool) -> io::Result<bool> {
        todo!()
    }

    /// RENAME (RFC 3501 6.3.5) of anything but INBOX, children included.
    /// Returns (old, new) folder of each mailbox moved, for whoever has one open.
    pub fn rename(
        &self,
        from: &MailboxName,
        to: &MailboxName,
        now: SystemTime,
    ) -> Result<Vec<(PathBuf, PathBuf)>, TreeError> {
        todo!()
    }

    /// Whether the name is known to have a special use.
    pub fn role(&self, name: &MailboxName) -> Option<Role> {
        todo!()
    }
}
