//! What Courier left in a Maildir, read once when Dovecot's counterpart is missing (`maildir-formats.md 13`).

use std::io;
use std::path::Path;

use crate::imap::mailbox::MailboxName;

/// `courierimapuiddb`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Uiddb {
    pub uid_validity: u32,
    pub next_uid: u32,
    /// ascending UIDs, base names without `:2,`
    pub records: Vec<(u32, Vec<u8>)>,
}

/// The UIDs Courier gave in this folder; None: no such file, or nothing usable in it.
pub fn uiddb(folder: &Path) -> io::Result<Option<Uiddb>> {
    todo!()
}

/// The mailboxes in `courierimapsubscribed`; None: no such file.
pub fn subscriptions(root: &Path) -> io::Result<Option<Vec<MailboxName>>> {
    todo!()
}

/// Base name -> keywords from `courierimapkeywords/`, pending updates included; sorted by base.
pub fn keywords(folder: &Path) -> io::Result<Vec<(Vec<u8>, Vec<String>)>> {
    todo!()
}
