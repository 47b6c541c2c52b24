//! Changes to messages that are there: flags and expunges.

use std::time::SystemTime;

use super::folder::{Folder, FolderError, MessageError};
use crate::imap::flag::Flags;

impl Folder {
    /// Takes the folder's lock for a batch of changes; `false`: another process has it, try again
    /// in a little while.  Held already: true.
    pub fn lock(&mut self, now: SystemTime) -> Result<bool, FolderError> {
        let _ = now;
        todo!()
    }

    pub fn unlock(&mut self) {
        todo!()
    }

    /// The modseq for the next batch of changes; needs the lock.
    pub fn next_modseq(&mut self, now: SystemTime) -> Result<u64, FolderError> {
        let _ = now;
        todo!()
    }

    /// Gives the message exactly these flags; needs the lock.  Nothing happens (and no modseq is
    /// used) when it has them already.
    pub fn set_flags(
        &mut self,
        index: usize,
        flags: Flags,
        modseq: u64,
    ) -> Result<(), MessageError> {
        let _ = (index, flags, modseq);
        todo!()
    }

    /// Removes the message; needs the lock.  Works on a full disk.
    pub fn expunge(&mut self, index: usize, modseq: u64) -> Result<(), MessageError> {
        let _ = (index, modseq);
        todo!()
    }
}
