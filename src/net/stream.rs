//! One non-blocking stream of bytes to a client: TCP, TLS on TCP, a unix socket, or standard input
//! and output.

use std::io::{self, Read, Write};
use std::net::{Shutdown, SocketAddr};
use std::os::fd::{AsRawFd, OwnedFd};
use std::sync::Arc;

use mio::net::{TcpStream, UnixStream};
use mio::unix::SourceFd;
use mio::{Interest, Registry, Token};
use nix::sys::socket::{
    AddressFamily, SockType, SockaddrLike, SockaddrStorage, getpeername, getsockname, getsockopt,
    sockopt,
};

use super::Secured;
use super::tls::{Certificates, TlsStream};
use crate::sys::standard::{self, Standard};

/// Every method that reads or writes says `WouldBlock` rather than wait.
pub enum Stream {
    Tcp(TcpStream),
    Tls(Box<TlsStream>),
    Unix(UnixStream),
    Standard { input: Standard, output: Standard },
}

/// The other end, as far as the kernel knows it, or a proxy that is trusted.
#[derive(Clone, Copy, Debug, Default)]
pub struct Peer {
    /// None: a unix socket, a pipe, a terminal, a file.
    pub address: Option<SocketAddr>,
    pub local: Option<SocketAddr>,
    /// TLS is negotiated before the greeting (port 993).
    pub tls: bool,
    /// The address of the proxy that told the other addresses.  They say nothing of the connection
    /// between the proxy and us.
    pub proxy: Option<SocketAddr>,
    /// The client came to the proxy by TLS, and the proxy has ended it.
    pub proxy_tls: bool,
    /// There is no client: the proxy looks whether we are there.
    pub is_check: bool,
    /// Of a unix socket: who connected (unix(7), `SO_PEERCRED`).
    pub user: Option<u32>,
    /// Which listener accepted it.
    pub listener: ListenerId,
}

/// A listening socket, numbered by the service.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ListenerId(pub u32);

impl Stream {
    /// Standard input and output, which are `/dev/null` for everybody else from now on.
    pub fn standard() -> io::Result<Stream> {
        Ok(Stream::Standard {
            input: standard::take_input()?,
            output: standard::take_output()?,
        })
    }

    /// A connected socket, TCP or unix, that came from another process; an error for any other
    /// descriptor.
    pub fn adopt(socket: OwnedFd) -> io::Result<Stream> {
        if !is_stream(&socket) {
            return Err(io::ErrorKind::Unsupported.into());
        }
        // A socket that is not connected is an error, which the sender may understand better.
        getpeername::<SockaddrStorage>(socket.as_raw_fd())?;
        match family(&socket)? {
            Family::Tcp => {
                let socket = std::net::TcpStream::from(socket);
                socket.set_nonblocking(true)?;
                // The process that accepted it may not have known how we write.
                let _ = socket.set_nodelay(true);
                Ok(Stream::Tcp(TcpStream::from_std(socket)))
            }
            Family::Unix => {
                let socket = std::os::unix::net::UnixStream::from(socket);
                socket.set_nonblocking(true)?;
                Ok(Stream::Unix(UnixStream::from_std(socket)))
            }
        }
    }

    /// Who is at the other end of a TCP connection.
    pub fn peer(&self) -> Peer {
        match self {
            Stream::Tcp(socket) => Peer {
                address: socket.peer_addr().ok(),
                local: socket.local_addr().ok(),
                ..Peer::default()
            },
            Stream::Tls(_) | Stream::Unix(_) | Stream::Standard { .. } => Peer::default(),
        }
    }

    /// The socket, for another process; nothing for a stream that is more than one.
    pub fn into_socket(self) -> Option<OwnedFd> {
        match self {
            Stream::Tcp(socket) => Some(OwnedFd::from(std::net::TcpStream::from(socket))),
            Stream::Unix(socket) => {
                Some(OwnedFd::from(std::os::unix::net::UnixStream::from(socket)))
            }
            Stream::Tls(_) | Stream::Standard { .. } => None,
        }
    }

    /// The TCP connection, with TLS to be negotiated next; an error for any other stream.
    pub fn secured(self, certificates: &Arc<Certificates>) -> io::Result<Stream> {
        match self {
            Stream::Tcp(socket) => {
                let tls = TlsStream::new(socket, Arc::clone(certificates));
                Ok(Stream::Tls(Box::new(tls)))
            }
            _ => Err(io::ErrorKind::Unsupported.into()),
        }
    }

    /// Whether the client has gone without a single octet of its handshake.
    pub fn was_silent(&self) -> bool {
        matches!(self, Stream::Tls(stream) if stream.was_silent())
    }

    /// Asks to be told, edge-triggered, whenever the stream becomes readable or writable.
    pub fn register(&mut self, registry: &Registry, token: Token) -> io::Result<()> {
        let both = Interest::READABLE | Interest::WRITABLE;
        match self {
            Stream::Tcp(socket) => registry.register(socket, token, both),
            Stream::Tls(stream) => registry.register(stream.socket(), token, both),
            Stream::Unix(socket) => registry.register(socket, token, both),
            Stream::Standard { input, output } => {
                register_if_possible(registry, input, token, Interest::READABLE)?;
                register_if_possible(registry, output, token, Interest::WRITABLE)
            }
        }
    }

    pub fn deregister(&mut self, registry: &Registry) -> io::Result<()> {
        match self {
            Stream::Tcp(socket) => registry.deregister(socket),
            Stream::Tls(stream) => registry.deregister(stream.socket()),
            Stream::Unix(socket) => registry.deregister(socket),
            Stream::Standard { input, output } => {
                let input = registry.deregister(&mut SourceFd(&input.as_raw_fd()));
                let output = registry.deregister(&mut SourceFd(&output.as_raw_fd()));
                input.and(output)
            }
        }
    }

    /// 0 is the client's end.
    pub fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        match self {
            Stream::Tcp(socket) => socket.read(buffer),
            Stream::Tls(stream) => stream.read(buffer),
            Stream::Unix(socket) => socket.read(buffer),
            Stream::Standard { input, .. } => input.read(buffer),
        }
    }

    /// Whether a read that did not fill its buffer has taken all there was (epoll(7), question 9):
    /// so of a stream socket, but not of a terminal, which gives one line at a time.
    pub fn short_read_drains(&self) -> bool {
        matches!(self, Stream::Tcp(_) | Stream::Unix(_))
    }

    pub fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match self {
            Stream::Tcp(socket) => socket.write(bytes),
            Stream::Tls(stream) => stream.write(bytes),
            Stream::Unix(socket) => socket.write(bytes),
            Stream::Standard { output, .. } => output.write(bytes),
        }
    }

    /// Sends what `write` has taken, but could not send.
    pub fn flush(&mut self) -> io::Result<()> {
        match self {
            Stream::Tls(stream) => stream.flush(),
            Stream::Tcp(_) | Stream::Unix(_) | Stream::Standard { .. } => Ok(()),
        }
    }

    pub fn is_flushed(&self) -> bool {
        match self {
            Stream::Tls(stream) => stream.is_flushed(),
            Stream::Tcp(_) | Stream::Unix(_) | Stream::Standard { .. } => true,
        }
    }

    /// Whether TLS is still being negotiated, and `handshake` must be called before anything else.
    pub fn is_handshaking(&self) -> bool {
        matches!(self, Stream::Tls(stream) if stream.is_handshaking())
    }

    /// Goes on with the negotiation; when it is done, it says what it has found out.
    pub fn handshake(&mut self) -> io::Result<Option<Secured>> {
        match self {
            Stream::Tls(stream) => stream.handshake(),
            _ => Err(io::ErrorKind::Unsupported.into()),
        }
    }

    /// Tells the client that nothing more comes; it may go on to send.
    pub fn end_output(&mut self) -> io::Result<()> {
        match self {
            Stream::Tcp(socket) => socket.shutdown(Shutdown::Write),
            Stream::Unix(socket) => socket.shutdown(Shutdown::Write),
            Stream::Tls(stream) => stream.end_output(),
            Stream::Standard { .. } => Ok(()),
        }
    }

    /// Tells the client that nothing more comes.  What is left is a socket that is read until the
    /// client ends too (see `connection.rs` on lingering), or nothing.
    pub fn finish(self) -> Option<Stream> {
        let stream = match self {
            Stream::Tls(stream) => Stream::Tcp(stream.close()),
            other => other,
        };
        let result = match &stream {
            Stream::Tcp(socket) => socket.shutdown(Shutdown::Write),
            Stream::Unix(socket) => socket.shutdown(Shutdown::Write),
            Stream::Tls(_) | Stream::Standard { .. } => return None,
        };
        result.is_ok().then_some(stream)
    }
}

/// Whether this is a socket, TCP or unix, that a client can be at the other end of: one that waits
/// for connections is none, nor is one of datagrams or packets.
pub fn is_stream(socket: &OwnedFd) -> bool {
    let is_stream =
        getsockopt(socket, sockopt::SockType).is_ok_and(|kind| kind == SockType::Stream);
    let accepts = getsockopt(socket, sockopt::AcceptConn).unwrap_or(true);
    is_stream && !accepts && family(socket).is_ok()
}

/// What kind of socket a descriptor is, as far as we can use it.
pub(super) enum Family {
    Tcp,
    Unix,
}

/// An error for a descriptor that is no such socket.
pub(super) fn family(socket: &OwnedFd) -> io::Result<Family> {
    let address: SockaddrStorage = getsockname(socket.as_raw_fd())?;
    match address.family() {
        Some(AddressFamily::Inet | AddressFamily::Inet6) => Ok(Family::Tcp),
        Some(AddressFamily::Unix) => Ok(Family::Unix),
        _ => Err(io::ErrorKind::Unsupported.into()),
    }
}

/// epoll refuses plain files and a few devices (EPERM): they are always ready.
fn register_if_possible(
    registry: &Registry,
    standard: &Standard,
    token: Token,
    interest: Interest,
) -> io::Result<()> {
    match registry.register(&mut SourceFd(&standard.as_raw_fd()), token, interest) {
        Err(error) if error.kind() == io::ErrorKind::PermissionDenied => Ok(()),
        result => result,
    }
}
