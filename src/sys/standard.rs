//! Standard input and output, used without blocking; and what standard error is.
//!
//! `O_NONBLOCK` belongs to the open file description, which we share with whoever started us: a
//! shell would find its terminal changed, during and after our run, and so would a program next to
//! us in a pipe.  So each kind is treated in the way that leaves the description as it is:
//!
//! | kind | how |
//! |---|---|
//! | socket | `MSG_DONTWAIT` on each call |
//! | pipe, terminal, other device | opened anew through `/proc/self/fd`: a description of our own |
//! | plain file | never blocks for long; epoll refuses it, so it counts as always ready |
//!
//! Only where a pipe or terminal cannot be opened anew (it belongs to another user, there is no
//! `/proc`) `O_NONBLOCK` is set on the shared description, and taken away again on drop.

use std::fs::{File, OpenOptions};
use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd, RawFd};
use std::os::unix::fs::OpenOptionsExt;

use nix::fcntl::{FcntlArg, OFlag, fcntl};
use nix::sys::socket::{MsgFlags, recv, send};
use nix::sys::stat::{SFlag, fstat};
use nix::unistd::{dup2_stdin, dup2_stdout, read, write};

/// One of the two standard streams; reading and writing never block, save for a disk.
pub struct Standard {
    fd: OwnedFd,
    is_socket: bool,
    /// The flags to be set again on drop.
    restore: Option<OFlag>,
}

/// Takes standard input over: descriptor 0 is `/dev/null` afterwards.
pub fn take_input() -> io::Result<Standard> {
    let standard = Standard::open(io::stdin().as_fd(), false)?;
    dup2_stdin(File::open("/dev/null")?)?;
    Ok(standard)
}

/// Takes standard output over: descriptor 1 is `/dev/null` afterwards, so a stray message can never
/// get between two responses.
pub fn take_output() -> io::Result<Standard> {
    let standard = Standard::open(io::stdout().as_fd(), true)?;
    dup2_stdout(OpenOptions::new().write(true).open("/dev/null")?)?;
    Ok(standard)
}

/// Whether standard error is the journal's own stream, and not something that took its place;
/// `stream` is the value of `JOURNAL_STREAM` (systemd.exec(5)).
pub fn error_is_journal(stream: &str) -> bool {
    fstat(io::stderr()).is_ok_and(|stat| stream == format!("{}:{}", stat.st_dev, stat.st_ino))
}

impl Standard {
    fn open(shared: BorrowedFd<'_>, for_writing: bool) -> io::Result<Standard> {
        let format = SFlag::from_bits_truncate(fstat(shared)?.st_mode & SFlag::S_IFMT.bits());
        let is_socket = format == SFlag::S_IFSOCK;
        let may_block = format == SFlag::S_IFIFO || format == SFlag::S_IFCHR;

        if may_block && let Ok(file) = reopen(shared, for_writing) {
            return Ok(Standard {
                fd: OwnedFd::from(file),
                is_socket,
                restore: None,
            });
        }
        let fd = shared.try_clone_to_owned()?;
        let restore = match may_block {
            true => set_nonblocking(&fd)?,
            false => None,
        };
        Ok(Standard {
            fd,
            is_socket,
            restore,
        })
    }

    pub fn read(&self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = match self.is_socket {
            true => recv(self.fd.as_raw_fd(), buffer, MsgFlags::MSG_DONTWAIT),
            false => read(&self.fd, buffer),
        };
        Ok(count?)
    }

    pub fn write(&self, bytes: &[u8]) -> io::Result<usize> {
        let flags = MsgFlags::MSG_DONTWAIT | MsgFlags::MSG_NOSIGNAL;
        let count = match self.is_socket {
            true => send(self.fd.as_raw_fd(), bytes, flags),
            false => write(&self.fd, bytes),
        };
        Ok(count?)
    }
}

impl Drop for Standard {
    fn drop(&mut self) {
        if let Some(flags) = self.restore {
            // Nothing better can be done if this fails.
            let _ = fcntl(&self.fd, FcntlArg::F_SETFL(flags));
        }
    }
}

impl AsRawFd for Standard {
    fn as_raw_fd(&self) -> RawFd {
        self.fd.as_raw_fd()
    }
}

/// Opens what `shared` refers to once more, as a description of our own.
fn reopen(shared: BorrowedFd<'_>, for_writing: bool) -> io::Result<File> {
    let flags = OFlag::O_NONBLOCK | OFlag::O_NOCTTY;
    OpenOptions::new()
        .read(!for_writing)
        .write(for_writing)
        .custom_flags(flags.bits())
        .open(format!("/proc/self/fd/{}", shared.as_raw_fd()))
}

/// Sets `O_NONBLOCK`; gives the flags to be set again later if it was not set before.
fn set_nonblocking(fd: &OwnedFd) -> io::Result<Option<OFlag>> {
    let flags = OFlag::from_bits_retain(fcntl(fd, FcntlArg::F_GETFL)?);
    if flags.contains(OFlag::O_NONBLOCK) {
        return Ok(None);
    }
    fcntl(fd, FcntlArg::F_SETFL(flags | OFlag::O_NONBLOCK))?;
    Ok(Some(flags))
}

#[cfg(test)]
mod tests {
    use super::*;
    use nix::unistd::pipe;

    #[test]
    fn a_shared_pipe_stays_blocking_and_our_end_does_not_block() {
        let (reader, _writer) = pipe().unwrap();
        let standard = Standard::open(reader.as_fd(), false).unwrap();
        let error = standard.read(&mut [0; 16]).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::WouldBlock);
        assert!(!is_nonblocking(reader.as_fd()));
    }

    #[test]
    fn a_flag_set_on_a_shared_pipe_is_taken_away_on_drop() {
        let (reader, _writer) = pipe().unwrap();
        let fd = reader.try_clone().unwrap();
        let restore = set_nonblocking(&fd).unwrap();
        assert!(is_nonblocking(reader.as_fd()));
        drop(Standard {
            fd,
            is_socket: false,
            restore,
        });
        assert!(!is_nonblocking(reader.as_fd()));
    }

    #[test]
    fn a_socket_is_read_without_blocking_and_without_a_flag() {
        let (ours, theirs) = std::os::unix::net::UnixStream::pair().unwrap();
        let standard = Standard::open(ours.as_fd(), false).unwrap();
        let error = standard.read(&mut [0; 16]).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::WouldBlock);
        assert!(!is_nonblocking(ours.as_fd()));
        drop(theirs);
        assert_eq!(standard.read(&mut [0; 16]).unwrap(), 0);
    }

    fn is_nonblocking(fd: BorrowedFd<'_>) -> bool {
        let flags = fcntl(fd, FcntlArg::F_GETFL).unwrap();
        OFlag::from_bits_retain(flags).contains(OFlag::O_NONBLOCK)
    }
}
