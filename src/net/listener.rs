//! A listening socket.

use std::io;
use std::net::SocketAddr;

use mio::net::{TcpListener, TcpStream};
use mio::{Interest, Registry, Token};
use nix::errno::Errno;

use super::stream::{Peer, Stream};
use super::tls::{Certificate, TlsStream};

/// Waits for TCP connections; those that use TLS from the first byte on have the certificate.
pub(super) struct Listener {
    socket: TcpListener,
    certificate: Option<Certificate>,
    /// There may be a connection to accept.  Edge-triggered, as everything here.
    pub ready: bool,
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
    pub fn bind(address: SocketAddr, certificate: Option<Certificate>) -> io::Result<Listener> {
        Ok(Listener {
            socket: TcpListener::bind(address)?,
            certificate,
            ready: true,
        })
    }

    pub fn address(&self) -> io::Result<SocketAddr> {
        self.socket.local_addr()
    }

    pub fn register(&mut self, registry: &Registry, token: Token) -> io::Result<()> {
        registry.register(&mut self.socket, token, Interest::READABLE)
    }

    pub fn accept(&mut self) -> Accepted {
        match self.socket.accept() {
            Ok((socket, address)) => self.open(socket, address),
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
        let mut peer = Peer {
            address: Some(address),
            local: socket.local_addr().ok(),
            tls: false,
            ..Peer::default()
        };
        match &self.certificate {
            None => Accepted::Connection(Stream::Tcp(socket), peer),
            Some(certificate) => match TlsStream::new(socket, certificate) {
                Ok(stream) => {
                    peer.tls = true;
                    Accepted::Connection(Stream::Tls(Box::new(stream)), peer)
                }
                Err(_) => Accepted::Lost,
            },
        }
    }
}

fn is_shortage(error: &io::Error) -> bool {
    let errno = error.raw_os_error().map(Errno::from_raw);
    matches!(
        errno,
        Some(Errno::EMFILE | Errno::ENFILE | Errno::ENOBUFS | Errno::ENOMEM)
    )
}
