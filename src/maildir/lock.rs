//! Dovecot's dotlock (`maildir-formats.md 3`).

use std::io;
use std::time::SystemTime;

use super::dir::{Access, Dir};

/// The right to try for `<file>.lock`; remembers what it saw of another holder.
#[derive(Debug)]
pub struct Dotlock {
    dir: Dir,
    file: Vec<u8>,
}

impl Dotlock {
    pub fn new(dir: Dir, file: &[u8]) -> Dotlock {
        let _ = (dir, file);
        todo!()
    }
    /// `dovecot-uidlist.lock` of a folder.
    pub fn of_uidlist(control: Dir) -> Dotlock {
        Dotlock::new(control, b"dovecot-uidlist")
    }
    /// Never waits; `None`: somebody else has it.
    pub fn try_lock(&mut self, access: &Access, now: SystemTime) -> io::Result<Option<Lock>> {
        let _ = (access, now, &self.dir, &self.file);
        todo!()
    }
}

/// A held lock; dropping it removes the lock file if it is still ours.
#[derive(Debug)]
pub struct Lock {
    dir: Dir,
    name: Vec<u8>,
}

impl Lock {
    /// To be called at least every ten seconds or so while held; cheap when called more often.
    /// False: the lock was taken from us, stop writing.
    pub fn touch(&mut self, now: SystemTime) -> io::Result<bool> {
        let _ = (now, &self.dir, &self.name);
        todo!()
    }
}
