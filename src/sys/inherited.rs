//! What a role gets from the program that starts it.

use std::fs::File;
use std::io;
use std::os::fd::{AsFd, AsRawFd, FromRawFd, IntoRawFd, OwnedFd, RawFd};
use std::sync::atomic::{AtomicBool, Ordering};

use nix::fcntl::{FcntlArg, FdFlag, fcntl};
use nix::libc;
use nix::sys::socket::{GetSockOpt, SockType, SockaddrStorage, getsockname, sockopt};
use nix::unistd::{dup2_stderr, dup2_stdin, dup2_stdout};

/// The channel to the monitor, which is no further process's.  `None` if there is none, or if it
/// has been taken.
pub fn channel() -> Option<OwnedFd> {
    static IS_TAKEN: AtomicBool = AtomicBool::new(false);
    if IS_TAKEN.swap(true, Ordering::Relaxed) {
        return None;
    }
    // SAFETY: F_GETFD only looks; for a descriptor that is not open it is an error and nothing
    // else.
    let flags = unsafe { libc::fcntl(CHANNEL, libc::F_GETFD) };
    if flags < 0 {
        return None;
    }
    // SAFETY: the descriptor is open, as we have just seen, and this is the start of the process,
    // before anything else of it could have opened one; nobody gets it twice, thanks to the flag.
    let fd = unsafe { OwnedFd::from_raw_fd(CHANNEL) };
    match sockopt::SockType.get(&fd) {
        Ok(SockType::SeqPacket) => {}
        _ => {
            // It belongs to other code, which closes it.
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

/// A listening socket of systemd's (sd_listen_fds(3)), and what its unit calls it.
pub struct Inherited {
    pub socket: OwnedFd,
    pub name: String,
}

/// The listening sockets that were passed to us.  They can be asked for once.
pub fn listeners() -> io::Result<Vec<Inherited>> {
    static ARE_TAKEN: AtomicBool = AtomicBool::new(false);
    if ARE_TAKEN.swap(true, Ordering::Relaxed) {
        return Ok(Vec::new());
    }
    let passed = sd_notify::listen_fds_with_names()?;
    Ok(passed
        .map(|(raw, name)| Inherited {
            // SAFETY: whoever started us says, for this very process, that this descriptor is open
            // and ours (LISTEN_PID, LISTEN_FDS); nobody gets it twice, thanks to the flag.
            socket: unsafe { OwnedFd::from_raw_fd(raw) },
            name,
        })
        .collect())
}

/// Of a TCP socket.
pub fn port(socket: &OwnedFd) -> Option<u16> {
    let address = getsockname::<SockaddrStorage>(socket.as_raw_fd()).ok()?;
    let v4 = address.as_sockaddr_in().map(|address| address.port());
    v4.or_else(|| address.as_sockaddr_in6().map(|address| address.port()))
}

/// The client on standard input (inetd), which is `/dev/null` from now on; so are standard output
/// and error.
pub fn take_client() -> io::Result<OwnedFd> {
    let client = io::stdin().as_fd().try_clone_to_owned()?;
    match sockopt::SockType.get(&client) {
        // Not one on which connections are waited for, as from an inetd that was told `wait`.
        Ok(SockType::Stream) if sockopt::AcceptConn.get(&client) == Ok(false) => {}
        _ => return Err(io::Error::other("standard input is no connection")),
    }
    dup2_stdin(File::open("/dev/null")?)?;
    mute()?;
    Ok(client)
}

const CHANNEL: RawFd = 3;
