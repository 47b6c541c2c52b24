//! Locks on whole files, as other programs take them on the same ones.

use std::fs::TryLockError;
use std::io;

use nix::errno::Errno;
use nix::fcntl::{FcntlArg, fcntl};
use nix::libc;

use super::{DiskResult, File, fault};

impl File {
    /// Locks the file against those who lock it by fcntl(2) or flock(2), until it is closed; false
    /// if somebody else has it.
    ///
    /// For fcntl it is an open file description lock: it excludes the process-bound ones of others,
    /// but is not lost when this process closes another descriptor of the same file.
    pub fn try_lock(&self) -> DiskResult<bool> {
        let failure = |error| self.failure("lock", error);
        fault::check("lock", b"").map_err(failure)?;
        let whole = libc::flock {
            l_type: libc::F_WRLCK as libc::c_short,
            l_whence: libc::SEEK_SET as libc::c_short,
            l_start: 0,
            l_len: 0,
            l_pid: 0,
        };
        match fcntl(&self.inner, FcntlArg::F_OFD_SETLK(&whole)) {
            Ok(_) => {}
            Err(Errno::EAGAIN | Errno::EACCES) => return Ok(false),
            Err(errno) => return Err(failure(errno.into())),
        }
        held(self.inner.try_lock()).map_err(failure)
    }

    /// Holds the file against others who hold it by these two functions; false if somebody does.
    pub fn try_hold_alone(&self) -> DiskResult<bool> {
        let held = fault::check("lock", b"").and_then(|()| held(self.inner.try_lock()));
        held.map_err(|error| self.failure("lock", error))
    }

    /// Holds it with others, in place of how it was held before.
    pub fn try_hold_shared(&self) -> DiskResult<bool> {
        let held = fault::check("lock", b"").and_then(|()| held(self.inner.try_lock_shared()));
        held.map_err(|error| self.failure("lock", error))
    }
}

fn held(result: Result<(), TryLockError>) -> io::Result<bool> {
    match result {
        Ok(()) => Ok(true),
        Err(TryLockError::WouldBlock) => Ok(false),
        Err(TryLockError::Error(e)) => Err(e),
    }
}
