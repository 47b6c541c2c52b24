//! A mailbox under its folder's lock: how commands change messages that are there.
//!
//! All of them go the same way, for one time slice at a time.  Under the lock, what other programs
//! wrote is known, and nobody gives a modseq but the slice itself, which needs one for all that it
//! changes.  When the lock goes, the changes are on disk as far as `fsync` wants it, and every
//! listener has them to hear.

use super::mailbox::Mailbox;
use crate::maildir::folder::FolderError;
use crate::net::{ConnectionId, Now};

/// What a command works on.
pub struct Locked<'m> {
    pub mailbox: &'m mut Mailbox,
    modseq: Option<u64>,
    now: Now,
}

impl Locked<'_> {
    /// The modseq of what is changed in this time slice.
    pub fn modseq(&mut self) -> Result<u64, FolderError> {
        if let Some(modseq) = self.modseq {
            return Ok(modseq);
        }
        let modseq = self.mailbox.folder.next_modseq(self.now.time)?;
        Ok(*self.modseq.insert(modseq))
    }
}

impl Mailbox {
    /// Works for a time slice; `None`: another program holds the lock.  The client `by` is told of
    /// changed flags by the command itself.
    pub fn under_lock<T>(
        &mut self,
        by: Option<ConnectionId>,
        now: Now,
        work: impl FnOnce(&mut Locked<'_>) -> T,
    ) -> Result<Option<T>, FolderError> {
        let Some(mut locked) = self.lock(now)? else {
            return Ok(None);
        };
        let done = work(&mut locked);
        self.unlock(by, now)?;
        Ok(Some(done))
    }

    /// As `under_lock`, for a command that does something else between one change and the next; it
    /// calls `unlock` at the end of its time slice.
    pub fn lock(&mut self, now: Now) -> Result<Option<Locked<'_>>, FolderError> {
        let locked = self.folder.lock_to_act(now.time)?;
        Ok(locked.then_some(Locked {
            mailbox: self,
            modseq: None,
            now,
        }))
    }

    /// Lets go of the lock, if it is held.
    pub fn unlock(&mut self, by: Option<ConnectionId>, now: Now) -> Result<(), FolderError> {
        let forced = self.folder.force_changes();
        self.folder.unlock();
        self.distribute(by, now);
        Ok(forced?)
    }
}
