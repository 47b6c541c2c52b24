//! What a role is given by whoever starts it.

use std::fs::File;
use std::io;
use std::os::fd::{AsFd, FromRawFd, IntoRawFd, OwnedFd, RawFd};
use std::sync::atomic::{AtomicBool, Ordering};

use nix::fcntl::{FcntlArg, FdFlag, fcntl};
use nix::libc;
use nix::sys::socket::{GetSockOpt, SockType, sockopt};
use nix::unistd::{dup2_stderr, dup2_stdout};

/// The channel to the monitor, which is no further process's.  `None` if there is none, or if it has been
/// taken.
pub fn channel() -> Option<OwnedFd> {
    static IS_TAKEN: AtomicBool = AtomicBool::new(false);
    if IS_TAKEN.swap(true, Ordering::Relaxed) {
        return None;
    }
    // SAFETY: F_GETFD only looks; for a descriptor that is not open it is an error and nothing else.
    let flags = unsafe { libc::fcntl(CHANNEL, libc::F_GETFD) };
    if flags < 0 {
        return None;
    }
    // SAFETY: the descriptor is open, as we have just seen, and this is the start of the process, before
    // anything else of it could have opened one; nobody gets it twice, thanks to the flag.
    let fd = unsafe { OwnedFd::from_raw_fd(CHANNEL) };
    match sockopt::SockType.get(&fd) {
        Ok(SockType::SeqPacket) => {}
        _ => {
            // It is somebody else's, who will look after it.
            let _ = fd.into_raw_fd();
            return None;
        }
    }
    fcntl(fd.as_fd(), FcntlArg::F_SETFD(FdFlag::FD_CLOEXEC)).ok()?;
    Some(fd)
}

/// Standard output and standard error may be the client (inetd): from now on they lead nowhere.
pub fn mute() -> io::Result<()> {
    let null = File::options().write(true).open("/dev/null")?;
    dup2_stdout(&null)?;
    dup2_stderr(&null)?;
    Ok(())
}

const CHANNEL: RawFd = 3;
