//! Locks on whole files, as other programs take them on the same ones.

use std::fs::TryLockError;

use nix::errno::Errno;
use nix::fcntl::{FcntlArg, fcntl};
use nix::libc;

use super::{DiskResult, File, fault};

impl File {
    /// Locks the file against those who lock it by fcntl(2) or flock(2), until it is closed; false if
    /// somebody else has it.
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
        match self.inner.try_lock() {
            Ok(()) => Ok(true),
            Err(TryLockError::WouldBlock) => Ok(false),
            Err(TryLockError::Error(error)) => Err(failure(error)),
        }
    }
}
