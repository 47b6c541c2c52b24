//! One mailbox, opened: the messages in its directory and what is known of them.

use std::fmt;
use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use super::Maildir;
use super::messages::Message;
use super::watch::Event;
use crate::imap::flag::Keyword;
use crate::imap::sequence::{Ranges, Uid};

/// One folder, opened.  All connections of the user share it.
///
/// After [`Folder::open`] the table shows what the index knew; [`Folder::sync`] makes it true.
/// Every operation that finds or makes a change appends to [`Folder::take_changes`].
pub struct Folder {
    path: PathBuf,
}

/// How far a resumable operation came.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use]
pub enum Step {
    Done,
    /// The slice of time was used up; call again when others had their turn.
    Again,
    /// Another process holds the folder's lock; call again in a little while (some 20 ms).
    Locked,
}

/// How to look at the directory.
#[derive(Clone, Copy, Debug, Default)]
pub struct Look {
    /// Move what lies in new/ to cur/ (a mailbox selected for writing, RFC 3501 2.3.2 \Recent).
    pub move_new: bool,
    /// Scan even if nothing seems to have changed.
    pub force_scan: bool,
}

/// One change of a folder, in the order in which they happened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Change {
    /// Messages with these UIDs (not every UID between need exist) were added at the end.
    Arrived {
        first: Uid,
        last: Uid,
    },
    Flags {
        uid: Uid,
        modseq: u64,
    },
    Expunged {
        uid: Uid,
        modseq: u64,
    },
    /// A keyword got a letter: the FLAGS response of the mailbox is longer now.
    Keywords,
}

/// Sums over the messages that are not gone.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    pub messages: u32,
    pub unseen: u32,
    pub deleted: u32,
    /// The sum of RFC822.SIZE over the messages where it is known ...
    pub size: u64,
    /// ... and how many there are where it is not.
    pub unmeasured: u32,
    pub first_unseen: Option<Uid>,
}

/// What STATUS asks of a folder that is not open.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Status {
    pub uid_validity: u32,
    pub uid_next: u32,
    pub highest_modseq: u64,
    pub mailbox_id: String,
    pub counts: Counts,
    pub recent: u32,
}

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

/// A message opened for reading.  It can be read to its end even if it is expunged meanwhile.
#[derive(Debug)]
pub struct MessageFile {
    pub file: File,
    /// The size of the file as it is, whatever its name says.
    pub size: u64,
}

impl MessageFile {
    /// Reads at most `buffer.len()` octets from `at` on; 0 at the end.
    pub fn read_at(&self, at: u64, buffer: &mut [u8]) -> io::Result<usize> {
        use std::os::unix::fs::FileExt;
        loop {
            match self.file.read_at(buffer, at) {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                result => return result,
            }
        }
    }
}

impl Folder {
    /// Opens the folder in `directory` and reads its index; creates cur/, new/ and tmp/ if missing.
    pub fn open(
        maildir: &Maildir,
        directory: &Path,
        now: SystemTime,
    ) -> Result<Folder, FolderError> {
        let _ = (maildir, directory, now);
        todo!()
    }

    /// Makes the table true: quick if nothing changed, else scans in slices.
    pub fn sync(
        &mut self,
        look: Look,
        now: SystemTime,
        over: &dyn Fn() -> bool,
    ) -> Result<Step, FolderError> {
        let _ = (look, now, over);
        todo!()
    }

    /// Takes in what the watch saw, without a scan.  `Again` means: call [`Folder::sync`] (the event
    /// does not tell enough); after `Locked` call this again with the same event, or sync.
    pub fn handle_event(
        &mut self,
        event: &Event,
        look: Look,
        now: SystemTime,
    ) -> Result<Step, FolderError> {
        let _ = (event, look, now);
        todo!()
    }

    /// What changed since this was last called, in order.
    pub fn take_changes(&mut self) -> Vec<Change> {
        todo!()
    }

    pub fn directory(&self) -> &Path {
        &self.path
    }

    pub fn uid_validity(&self) -> u32 {
        todo!()
    }

    pub fn uid_next(&self) -> u32 {
        todo!()
    }

    /// MAILBOXID: 32 hex digits.
    pub fn mailbox_id(&self) -> String {
        todo!()
    }

    pub fn highest_modseq(&self) -> u64 {
        todo!()
    }

    /// Ascending by UID; those expunged are there until [`Folder::bury`].
    pub fn messages(&self) -> &[Message] {
        todo!()
    }

    /// Where `uid` is in [`Folder::messages`], or where it would be.
    pub fn index_of(&self, uid: Uid) -> Result<usize, usize> {
        let _ = uid;
        todo!()
    }

    /// Takes the messages that are gone out of the table, when every view has told its client.
    pub fn bury(&mut self) {
        todo!()
    }

    pub fn counts(&self) -> Counts {
        todo!()
    }

    /// Messages from this UID on are \Recent for the next session that selects the mailbox for
    /// writing.
    pub fn first_recent(&self) -> Uid {
        todo!()
    }

    /// The session that selects the mailbox for writing has all recent messages: later ones are
    /// for the next.  Returns the first UID that is recent for the caller.
    pub fn claim_recent(&mut self) -> Uid {
        todo!()
    }

    /// UIDs expunged with a modseq above `modseq` (VANISHED (EARLIER), RFC 7162 3.2.5.1); `None`:
    /// the history does not go back so far.
    pub fn expunged_since(&self, modseq: u64) -> Option<Ranges> {
        let _ = modseq;
        todo!()
    }

    /// Keywords with their letters (0 = `a`), ascending by letter.  Every letter that occurs in
    /// some message's flags has a keyword.
    pub fn keywords(&self) -> impl Iterator<Item = (u32, &Keyword)> {
        std::iter::empty()
    }

    /// The letter of `keyword`; with `create` a new one is given if the keyword has none and one
    /// of the 26 is free (needs the lock).  `None`: it has none.
    pub fn keyword_letter(
        &mut self,
        keyword: &Keyword,
        create: bool,
        now: SystemTime,
    ) -> Result<Option<u32>, FolderError> {
        let _ = (keyword, create, now);
        todo!()
    }

    /// What `message`'s table row lacks is found by `stat` and kept.
    pub fn facts(&mut self, index: usize) -> Result<Facts, MessageError> {
        let _ = index;
        todo!()
    }

    /// RFC822.SIZE: known, or measured by reading the file; `None` when the slice was used up
    /// before the end of the file (call again).
    pub fn virtual_size(
        &mut self,
        index: usize,
        over: &dyn Fn() -> bool,
    ) -> Result<Option<u64>, MessageError> {
        let _ = (index, over);
        todo!()
    }

    /// A reader of the whole message found these sizes: they replace what the name or table says
    /// (`maildir-formats.md 14`, rule 6).
    pub fn correct_sizes(&mut self, index: usize, size: u64, virtual_size: u64) {
        let _ = (index, size, virtual_size);
        todo!()
    }

    /// Opens the message's file, also when another program has renamed it meanwhile.
    pub fn open_message(
        &mut self,
        index: usize,
        now: SystemTime,
    ) -> Result<MessageFile, MessageError> {
        let _ = (index, now);
        todo!()
    }

    /// EMAILID (RFC 8474): follows the message through COPY.
    pub fn email_id(&self, index: usize) -> String {
        let _ = index;
        todo!()
    }

    /// Makes the UIDs handed out so far durable.  To be called before a client is told a UID, or
    /// the UIDNEXT, of messages that a sync found; cheap when nothing is pending.
    pub fn settle(&mut self) -> Result<(), FolderError> {
        todo!()
    }

    /// Writes the index if anything changed.  Failure is logged only: it is a cache.
    pub fn write_index(&mut self, now: SystemTime) {
        let _ = now;
        todo!()
    }

    /// Writes the index and lets go of the lock, if held.
    pub fn close(mut self, now: SystemTime) {
        self.write_index(now);
    }
}

/// STATUS from the header of the index alone; `None` if that is not up to date: open and sync.
pub fn status(
    maildir: &Maildir,
    directory: &Path,
    now: SystemTime,
) -> Result<Option<Status>, FolderError> {
    let _ = (maildir, directory, now);
    todo!()
}

/// Why a folder cannot be worked with.
#[derive(Debug)]
pub enum FolderError {
    /// There is no such directory (any more).
    Missing,
    /// Another directory, or another UIDVALIDITY, took its place: whoever has it selected must
    /// select it anew.
    Replaced,
    /// Permissions do not allow it.
    Denied(io::Error),
    /// No room on the disk, or none in the owner's share.
    Full(io::Error),
    Io(io::Error),
}

/// Why an operation on one message failed.
#[derive(Debug)]
pub enum MessageError {
    /// It is expunged.
    Gone,
    /// Its file cannot be read or renamed for lack of permission.
    Denied(io::Error),
    /// No room on the disk for the change.
    Full(io::Error),
    Io(io::Error),
}

impl fmt::Display for FolderError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            FolderError::Missing => f.write_str("the folder does not exist"),
            FolderError::Replaced => f.write_str("another folder has taken its place"),
            FolderError::Denied(error) | FolderError::Full(error) | FolderError::Io(error) => {
                error.fmt(f)
            }
        }
    }
}

impl std::error::Error for FolderError {}

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
