//! `subscriptions` (`maildir-formats.md 6`).

use std::io;
use std::time::SystemTime;

use super::dir::{Access, Dir};
use crate::imap::mailbox::MailboxName;

/// The file in memory; lines that are no mailbox name are kept as they are.
#[derive(Clone, Debug, Default)]
pub struct Subscriptions {}

impl Subscriptions {
    /// `separator`: the layout's, for version 1 (`.` for Maildir++, `/` for fs).
    pub fn read(root: &Dir, separator: u8) -> io::Result<Subscriptions> {
        let _ = (root, separator);
        todo!()
    }
    /// Reads again if the file on disk has changed.
    pub fn refresh(&mut self, root: &Dir) -> io::Result<bool> {
        let _ = root;
        todo!()
    }
    pub fn contains(&self, name: &MailboxName) -> bool {
        let _ = name;
        todo!()
    }
    /// In the file's order.
    pub fn iter(&self) -> impl Iterator<Item = &MailboxName> {
        std::iter::empty()
    }
    /// Subscribes or unsubscribes and writes the file; `Ok(None)`: locked by another program, try
    /// again; `Ok(Some(changed))`.
    pub fn set(
        &mut self,
        root: &Dir,
        access: &Access,
        name: &MailboxName,
        subscribed: bool,
        now: SystemTime,
    ) -> io::Result<Option<bool>> {
        let _ = (root, access, name, subscribed, now);
        todo!()
    }
}
