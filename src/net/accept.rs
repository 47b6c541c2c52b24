//! Connections that come: listening sockets, and how much is accepted when.

use std::io;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use super::listener::{Accepted, Listener, ListenerOpening};
use super::stream::{Peer, Stream};
use super::{Loop, Service, token};

impl Loop {
    /// Accepts connections at `address`, which begin with TLS if `tls`.  Says where it really
    /// listens, as the port may have been left open (0).
    pub fn listen(&mut self, address: SocketAddr, tls: bool) -> io::Result<SocketAddr> {
        let kind = ListenerOpening {
            tls,
            ..ListenerOpening::default()
        };
        let listener = Listener::bind(address, kind)?;
        let address = listener.address()?;
        self.add_listener(listener)?;
        Ok(address)
    }

    pub(super) fn add_listener(&mut self, mut listener: Listener) -> io::Result<()> {
        let token = token::of_listener(self.listeners.len());
        listener.register(self.poll.registry(), token)?;
        self.listeners.push(listener);
        Ok(())
    }

    /// Not only closed: another process may hold the same sockets open, and then the kernel would
    /// go on to tell of them.
    pub(super) fn unlisten(&mut self) {
        for mut listener in self.listeners.drain(..) {
            let _ = listener.deregister(self.poll.registry());
        }
    }

    pub(super) fn may_accept(&self, now: Instant) -> bool {
        self.accept_at.is_none_or(|time| time <= now)
            && self.connections.len() + self.arrivals.len() < self.limit
    }

    pub(super) fn accept(&mut self, service: &mut dyn Service) {
        for index in 0..self.listeners.len() {
            // Bounded, so that a flood of connections leaves time for those that are there.
            for _ in 0..ACCEPTS {
                let now = Instant::now();
                if !self.may_accept(now) {
                    return;
                }
                let Some(listener) = self.listeners.get_mut(index).filter(|l| l.ready) else {
                    break;
                };
                match listener.accept() {
                    Accepted::Connection(stream, peer) => {
                        self.accept_at = None;
                        let kind = listener.kind.clone();
                        if let Err(error) = self.welcome(stream, peer, &kind, service) {
                            refused(&peer, &error);
                        }
                    }
                    Accepted::Nobody => break,
                    Accepted::Lost => {}
                    Accepted::Exhausted(error) => {
                        if self.accept_at.is_none() {
                            log::warn!(
                                "imap-login: Cannot accept connections for now: {error}; they wait"
                            );
                        }
                        self.accept_at = now.checked_add(ACCEPT_PAUSE);
                        return;
                    }
                }
            }
        }
    }

    /// A connection that was just accepted.
    pub(super) fn welcome(
        &mut self,
        stream: Stream,
        peer: Peer,
        kind: &ListenerOpening,
        service: &mut dyn Service,
    ) -> io::Result<()> {
        match stream {
            Stream::Tcp(socket) if kind.proxy.is_some() => {
                self.await_header(socket, peer, kind, service)
            }
            stream => {
                let stream = self.begin(stream, peer.tls)?;
                self.add(stream, peer, service).map(drop)
            }
        }
    }

    /// What a new connection is read from.
    pub(super) fn begin(&self, stream: Stream, tls: bool) -> io::Result<Stream> {
        match (tls, &self.certificates) {
            (false, _) => Ok(stream),
            (true, Some(certificates)) => stream.secured(certificates),
            (true, None) => Err(io::Error::other(
                "there is no certificate, see tls.certificate",
            )),
        }
    }
}

/// A connection that was accepted and cannot be served.
pub(super) fn refused(peer: &Peer, error: &io::Error) {
    let address = peer
        .address
        .map_or_else(String::new, |address| format!(" (rip={})", address.ip()));
    log::warn!("imap-login: Disconnected: Cannot serve a connection{address}: {error}");
}

/// How long no connection is accepted when the process has run out of descriptors.
const ACCEPT_PAUSE: Duration = Duration::from_millis(200);

/// How many connections are accepted before those that are there have a turn.
const ACCEPTS: usize = 64;
