//! Messages on their way into a mailbox, from any source of octets.
//!
//! A message streams to a file in `tmp/` as it comes, with LF at the ends of its lines.  All
//! messages of a delivery become visible together or not at all.  A source may be slow, so the
//! mailbox is found anew each time: it may have been replaced meanwhile, and what was begun for the
//! old one fails.

use super::flags::{self, FlagsError, NewKeywords};
use super::mailbox::{Effort, Hold, Mailbox};
use super::{Mailboxes, OpenError};
use crate::mail::{Flags, MailboxName, NamedFlags, Ranges};
use crate::maildir::folder::save::{Batch, Commit, Incoming, SaveError};
use crate::maildir::folder::{FolderError, Step};
use crate::maildir::tree::TreeError;
use crate::message::crlf::ToLf;
use crate::net::{ConnectionId, Now};

pub struct Delivery {
    name: MailboxName,
    batch: Batch,
    /// The mailbox was brought up to date after the last message came.
    is_up_to_date: bool,
    /// Keeps the mailbox open: perhaps no client has selected it.
    _hold: Hold,
}

/// A message whose octets are coming.
pub struct Arriving {
    flags: NamedFlags,
    /// Seconds since 1970; `None`: now.
    date: Option<i64>,
    file: Incoming,
    line_ends: ToLf,
}

/// What became of a delivery.
#[derive(Debug)]
pub enum Delivered {
    Done {
        uid_validity: u32,
        uids: Ranges,
    },
    /// The slice of time was used up; call again when others had their turn.
    Again,
    /// Another process holds the lock: call again in a little while.
    Locked,
}

#[derive(Debug)]
pub enum DeliverError {
    /// There is no such mailbox, or it cannot be opened.
    Mailbox(OpenError),
    Flags(FlagsError),
    Save(SaveError),
}

impl Delivery {
    /// A delivery into the mailbox, which has to be there.
    pub fn begin(
        name: MailboxName,
        mailboxes: &mut Mailboxes,
        now: Now,
    ) -> Result<Delivery, DeliverError> {
        let mailbox = destination(&name, mailboxes, now)?;
        let batch = Batch::new(&mailbox.folder);
        let hold = mailbox.hold();
        Ok(Delivery {
            name,
            batch,
            is_up_to_date: false,
            _hold: hold,
        })
    }

    pub fn begin_message(
        &self,
        flags: NamedFlags,
        date: Option<i64>,
        mailboxes: &mut Mailboxes,
        now: Now,
    ) -> Result<Arriving, DeliverError> {
        let folder = &destination(&self.name, mailboxes, now)?.folder;
        Ok(Arriving {
            flags,
            date,
            file: Incoming::begin(folder, now.time)?,
            line_ends: ToLf::default(),
        })
    }

    /// Adds a message that has ended to those that come.  It is given back if another process holds
    /// the lock, which a new keyword needs.
    pub fn add_message(
        &mut self,
        message: Arriving,
        mailboxes: &mut Mailboxes,
        now: Now,
    ) -> Result<Option<Arriving>, DeliverError> {
        let Some(letters) = self.letters(&message.flags, mailboxes, now)? else {
            return Ok(Some(message));
        };
        self.batch.add(message.file, letters, message.date)?;
        Ok(None)
    }

    /// The flags in the mailbox's letters.
    fn letters(
        &mut self,
        named: &NamedFlags,
        mailboxes: &mut Mailboxes,
        now: Now,
    ) -> Result<Option<Flags>, DeliverError> {
        let folder = &mut destination(&self.name, mailboxes, now)?.folder;
        if named.keywords.is_empty() {
            let letters = flags::to_letters(folder, named, NewKeywords::LeftOut, now.time);
            return Ok(Some(letters?));
        }
        if !folder.lock(now.time).map_err(SaveError::from)? {
            return Ok(None);
        }
        let held = self.batch.held_letters();
        let new = NewKeywords::MadeIfPossible { held };
        let letters = flags::to_letters(folder, named, new, now.time);
        folder.unlock();
        let letters = letters?;
        self.batch.hold_letters(folder, letters);
        Ok(Some(letters))
    }

    /// Makes the messages visible; resumable.  Every listener but `by` is woken.
    pub fn finish(
        &mut self,
        by: ConnectionId,
        mailboxes: &mut Mailboxes,
        now: Now,
        over: &dyn Fn() -> bool,
    ) -> Result<Delivered, DeliverError> {
        if !self.is_up_to_date {
            let key = mailboxes.open(&self.name, now)?;
            let look = mailboxes.look(key, Effort::Watch, now, over);
            match look.map_err(|error| self.lose_if_gone(error.into(), mailboxes, now))? {
                Step::Done => self.is_up_to_date = true,
                Step::Again => return Ok(Delivered::Again),
                Step::Locked => return Ok(Delivered::Locked),
            }
        }
        let mailbox = destination(&self.name, mailboxes, now)?;
        let commit = mailbox.commit(&mut self.batch, now, over);
        let uid_validity = mailbox.folder.uid_validity();
        match commit.map_err(|error| self.lose_if_gone(error, mailboxes, now))? {
            Commit::Again => Ok(Delivered::Again),
            Commit::Locked => Ok(Delivered::Locked),
            Commit::Done(uids) => {
                if let Some(key) = mailboxes.find_open(&self.name) {
                    mailboxes.wake_listeners(key, by);
                }
                Ok(Delivered::Done { uid_validity, uids })
            }
        }
    }

    fn lose_if_gone(&self, error: SaveError, mailboxes: &mut Mailboxes, now: Now) -> SaveError {
        lose_if_gone(error, &self.name, mailboxes, now)
    }
}

impl Arriving {
    /// Takes the next octets of the message, with line ends of any kind.
    pub fn write(&mut self, octets: &[u8]) -> Result<(), DeliverError> {
        let mut lines = Vec::with_capacity(octets.len());
        self.line_ends.push(octets, &mut lines);
        Ok(self.file.write(&lines)?)
    }

    /// All octets of the message have come.
    pub fn end(&mut self) -> Result<(), DeliverError> {
        let mut rest = Vec::new();
        self.line_ends.finish(&mut rest);
        Ok(self.file.write(&rest)?)
    }
}

/// A mailbox whose folder is not there any more, or is another, is opened anew by the next command.
pub fn lose_if_gone(
    error: SaveError,
    name: &MailboxName,
    mailboxes: &mut Mailboxes,
    now: Now,
) -> SaveError {
    let is_gone = matches!(
        error,
        SaveError::Folder(FolderError::Missing | FolderError::Replaced(_))
    );
    if is_gone && let Some(key) = mailboxes.find_open(name) {
        mailboxes.lose_mailbox(key, now);
    }
    error
}

fn destination<'m>(
    name: &MailboxName,
    mailboxes: &'m mut Mailboxes,
    now: Now,
) -> Result<&'m mut Mailbox, DeliverError> {
    let key = mailboxes.open(name, now)?;
    let mailbox = mailboxes.get(key);
    mailbox.ok_or(DeliverError::Mailbox(OpenError::Tree(TreeError::NotFound)))
}

impl From<OpenError> for DeliverError {
    fn from(error: OpenError) -> DeliverError {
        DeliverError::Mailbox(error)
    }
}

impl From<FlagsError> for DeliverError {
    fn from(error: FlagsError) -> DeliverError {
        DeliverError::Flags(error)
    }
}

impl From<SaveError> for DeliverError {
    fn from(error: SaveError) -> DeliverError {
        DeliverError::Save(error)
    }
}
