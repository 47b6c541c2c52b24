//! The system's log, with the facility `mail`: datagrams to `/dev/log`, as syslog(3) sends them.
//!
//! Not syslog(3) itself, because that waits for a log daemon that has stopped reading, and with it
//! would wait everything we serve.  A line that is not taken at once is lost, and the next one that
//! is taken says how many were.  A daemon that was started anew is found again.
//!
//! The lines carry no time: the daemon knows it, and whoever reads our lines reads its format.

use std::os::fd::{AsRawFd, OwnedFd};
use std::sync::{Mutex, MutexGuard, PoisonError};

use nix::errno::Errno;
use nix::sys::socket::{
    AddressFamily, MsgFlags, SockFlag, SockType, UnixAddr, connect, send, socket,
};

/// What this process has to do with the log daemon.
struct Line {
    socket: Option<OwnedFd>,
    lost: u64,
}

static LINE: Mutex<Line> = Mutex::new(Line {
    socket: None,
    lost: 0,
});

/// One line; `level` is 0 to 7 as in syslog(3).  If nobody takes it, there is nobody to tell.
pub fn write(level: u8, text: &str) {
    line().write(PATH, level, text);
}

/// Closes the socket; the next line opens one again.
pub fn close() {
    line().socket = None;
}

impl Line {
    fn write(&mut self, path: &str, level: u8, text: &str) {
        if self.lost > 0 {
            let note = format!("{} lines were lost before this one", self.lost);
            if self.send(path, &datagram(WARNING, &note)).is_ok() {
                self.lost = 0;
            }
        }
        if self.send(path, &datagram(level, text)).is_err() {
            self.lost = self.lost.saturating_add(1);
        }
    }

    fn send(&mut self, path: &str, datagram: &str) -> nix::Result<()> {
        let is_new = self.socket.is_none();
        match self.try_send(path, datagram) {
            // It is there, and does not read: it keeps what it has.
            Err(Errno::EAGAIN | Errno::ENOBUFS) => Err(Errno::EAGAIN),
            // It is another one now.
            Err(_) if !is_new => {
                self.socket = None;
                self.try_send(path, datagram)
            }
            result => result,
        }
    }

    fn try_send(&mut self, path: &str, datagram: &str) -> nix::Result<()> {
        let socket = match self.socket.take() {
            Some(socket) => socket,
            None => open(path)?,
        };
        let flags = MsgFlags::MSG_DONTWAIT | MsgFlags::MSG_NOSIGNAL;
        let sent = send(socket.as_raw_fd(), datagram.as_bytes(), flags);
        self.socket = Some(socket);
        sent.map(drop)
    }
}

fn open(path: &str) -> nix::Result<OwnedFd> {
    let flags = SockFlag::SOCK_CLOEXEC | SockFlag::SOCK_NONBLOCK;
    let socket = socket(AddressFamily::Unix, SockType::Datagram, flags, None)?;
    connect(socket.as_raw_fd(), &UnixAddr::new(path)?)?;
    Ok(socket)
}

/// RFC 3164 4.1, as far as log daemons want it from a program of their own host.
fn datagram(level: u8, text: &str) -> String {
    let priority = MAIL | level.min(7);
    format!("<{priority}>roost[{}]: {text}", std::process::id())
}

fn line() -> MutexGuard<'static, Line> {
    // Whatever happened to who held it: a socket is there or not.
    LINE.lock().unwrap_or_else(PoisonError::into_inner)
}

const PATH: &str = "/dev/log";

/// `LOG_MAIL`
const MAIL: u8 = 2 << 3;

/// `LOG_WARNING`
const WARNING: u8 = 4;

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::net::UnixDatagram;

    #[test]
    fn a_daemon_that_does_not_read_is_not_waited_for_and_hears_later_what_was_lost() {
        let path = std::env::temp_dir().join(format!("roost-log-{}", std::process::id()));
        let path = path.to_str().unwrap();
        let daemon = UnixDatagram::bind(path).unwrap();
        let mut line = Line {
            socket: None,
            lost: 0,
        };
        while line.lost < 3 {
            line.write(path, 6, "Login: user=<alice>");
        }
        let mut octets = [0; 200];
        let length = daemon.recv(&mut octets).unwrap();
        let expected = format!("<22>roost[{}]: Login: user=<alice>", std::process::id());
        assert_eq!(&octets[..length], expected.as_bytes());
        daemon.set_nonblocking(true).unwrap();
        while daemon.recv(&mut octets).is_ok() {}

        line.write(path, 3, "later");
        let length = daemon.recv(&mut octets).unwrap();
        let told = std::str::from_utf8(&octets[..length]).unwrap();
        assert!(told.starts_with("<20>") && told.ends_with("3 lines were lost before this one"));
        let length = daemon.recv(&mut octets).unwrap();
        assert!(octets[..length].ends_with(b": later") && octets.starts_with(b"<19>"));

        drop(daemon);
        std::fs::remove_file(path).unwrap();
        let daemon = UnixDatagram::bind(path).unwrap();
        line.write(path, 6, "again");
        let length = daemon.recv(&mut octets).unwrap();
        assert!(octets[..length].ends_with(b": again"));
        std::fs::remove_file(path).unwrap();
    }
}
