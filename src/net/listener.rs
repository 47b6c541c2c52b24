//! A listening socket.

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::os::fd::OwnedFd;
use std::rc::Rc;

use mio::net::{TcpListener, TcpStream, UnixListener, UnixStream};
use mio::{Interest, Registry, Token};
use nix::errno::Errno;
use nix::sys::socket::getsockopt;
use nix::sys::socket::sockopt::PeerCredentials;

use super::stream::{Family, ListenerId, Peer, Stream, family};

/// Waits for connections.
pub(super) struct Listener {
    socket: Socket,
    pub kind: ListenerOpening,
    /// There may be a connection to accept.  Edge-triggered, as everything here.
    pub ready: bool,
}

/// How the connections of a listener begin.
#[derive(Clone, Debug, Default)]
pub(super) struct ListenerOpening {
    pub id: ListenerId,
    /// With TLS, from the first byte on.
    pub tls: bool,
    /// With a PROXY header before everything else, and only if they come from one of these
    /// networks.
    pub proxy: Option<Rc<[(IpAddr, u8)]>>,
}

enum Socket {
    Tcp(TcpListener),
    Unix(UnixListener),
}

/// What came of trying to accept.
pub(super) enum Accepted {
    Connection(Stream, Peer),
    /// Nobody is waiting.
    Nobody,
    /// That one is gone already; there may be more.
    Lost,
    /// The process or the system has no room for it, for now.
    Exhausted(io::Error),
}

impl Listener {
    pub fn bind(address: SocketAddr, kind: ListenerOpening) -> io::Result<Listener> {
        Ok(Listener {
            socket: Socket::Tcp(TcpListener::bind(address)?),
            kind,
            ready: true,
        })
    }

    /// A socket that somebody else has made.
    pub fn adopt(socket: OwnedFd, kind: ListenerOpening) -> io::Result<Listener> {
        let socket = match family(&socket)? {
            Family::Tcp => {
                let socket = std::net::TcpListener::from(socket);
                socket.set_nonblocking(true)?;
                Socket::Tcp(TcpListener::from_std(socket))
            }
            Family::Unix => {
                let socket = std::os::unix::net::UnixListener::from(socket);
                socket.set_nonblocking(true)?;
                Socket::Unix(UnixListener::from_std(socket))
            }
        };
        Ok(Listener {
            socket,
            kind,
            ready: true,
        })
    }

    /// Where it listens; an error for a unix socket.
    pub fn address(&self) -> io::Result<SocketAddr> {
        match &self.socket {
            Socket::Tcp(socket) => socket.local_addr(),
            Socket::Unix(_) => Err(io::ErrorKind::Unsupported.into()),
        }
    }

    pub fn register(&mut self, registry: &Registry, token: Token) -> io::Result<()> {
        match &mut self.socket {
            Socket::Tcp(socket) => registry.register(socket, token, Interest::READABLE),
            Socket::Unix(socket) => registry.register(socket, token, Interest::READABLE),
        }
    }

    pub fn deregister(&mut self, registry: &Registry) -> io::Result<()> {
        match &mut self.socket {
            Socket::Tcp(socket) => registry.deregister(socket),
            Socket::Unix(socket) => registry.deregister(socket),
        }
    }

    pub fn accept(&mut self) -> Accepted {
        let accepted = match &self.socket {
            Socket::Tcp(socket) => socket
                .accept()
                .map(|(socket, address)| self.open(socket, address)),
            Socket::Unix(socket) => socket.accept().map(|(socket, _)| self.open_unix(socket)),
        };
        match accepted {
            Ok(accepted) => accepted,
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                self.ready = false;
                Accepted::Nobody
            }
            Err(error) if is_shortage(&error) => Accepted::Exhausted(error),
            // All others are the connection's own (accept(2): "pending network errors").
            Err(_) => Accepted::Lost,
        }
    }

    fn open(&self, socket: TcpStream, address: SocketAddr) -> Accepted {
        // Answers are written in as few pieces as can be; none of them may wait for the next.
        let _ = socket.set_nodelay(true);
        let peer = Peer {
            address: Some(canonical(address)),
            local: socket.local_addr().ok().map(canonical),
            tls: self.kind.tls,
            listener: self.kind.id,
            ..Peer::default()
        };
        Accepted::Connection(Stream::Tcp(socket), peer)
    }

    fn open_unix(&self, socket: UnixStream) -> Accepted {
        let user = getsockopt(&socket, PeerCredentials).ok();
        let peer = Peer {
            user: user.map(|credentials| credentials.uid()),
            listener: self.kind.id,
            ..Peer::default()
        };
        Accepted::Connection(Stream::Unix(socket), peer)
    }
}

/// An IPv4 address that came over an IPv6 socket is the same address (RFC 4291 2.5.5.2): whoever
/// counts or compares addresses must see it so.
fn canonical(address: SocketAddr) -> SocketAddr {
    SocketAddr::new(address.ip().to_canonical(), address.port())
}

fn is_shortage(error: &io::Error) -> bool {
    let errno = error.raw_os_error().map(Errno::from_raw);
    matches!(
        errno,
        Some(Errno::EMFILE | Errno::ENFILE | Errno::ENOBUFS | Errno::ENOMEM)
    )
}
