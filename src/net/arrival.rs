//! Connections that come through a proxy, until the proxy has said whose they are.
//!
//! The service does not know of them, so the loop itself limits how long they may take.  The header
//! is looked at in the kernel's buffer, and taken from there only when its length is known: what
//! follows it is the client's, and another reader's.

use std::io::{self, Read};
use std::time::{Duration, Instant};

use mio::net::TcpStream;

use super::listener::ListenerOpening;
use super::proxy::{self, LONGEST, ProxyHeader};
use super::stream::{Peer, Stream};
use super::{ConnectionId, Loop, Now, Service};

pub(super) struct Arrival {
    socket: TcpStream,
    /// As the kernel sees it: the proxy.
    peer: Peer,
    /// The proxy has said all it will say.
    ended: bool,
    pub deadline: Instant,
}

impl Arrival {
    /// The header, if it has come.
    fn advance(&mut self) -> io::Result<Option<ProxyHeader>> {
        let Some(header) = self.peek()? else {
            return match self.ended {
                true => Err(io::ErrorKind::UnexpectedEof.into()),
                false => Ok(None),
            };
        };
        let mut octets = [0; LONGEST];
        let octets = octets.get_mut(..header.length).unwrap_or_default();
        // They are there: this neither waits nor takes less.
        self.socket.read_exact(octets)?;
        Ok(Some(header))
    }

    fn peek(&self) -> io::Result<Option<ProxyHeader>> {
        let mut octets = [0; LONGEST];
        loop {
            match self.socket.peek(&mut octets) {
                Ok(0) => return Err(io::ErrorKind::UnexpectedEof.into()),
                Ok(count) => {
                    let octets = octets.get(..count).unwrap_or_default();
                    return proxy::parse(octets)
                        .map_err(|error| io::Error::new(io::ErrorKind::InvalidData, error));
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(None),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
    }
}

impl Loop {
    /// A connection to a listener that is for proxies only.
    pub(super) fn await_header(
        &mut self,
        mut socket: TcpStream,
        peer: Peer,
        kind: &ListenerOpening,
        service: &mut dyn Service,
    ) -> io::Result<()> {
        let networks = kind.proxy.as_deref().unwrap_or_default();
        let address = peer.address.map(|address| address.ip());
        if !address.is_some_and(|address| proxy::is_within(address, networks)) {
            log::warn!(
                "imap-login: haproxy: Client not trusted (rip={}), see listen.trusted_proxies",
                Ip(peer)
            );
            return Ok(());
        }
        let id = self.take_id();
        let both = mio::Interest::READABLE | mio::Interest::WRITABLE;
        self.poll
            .registry()
            .register(&mut socket, super::token::of_connection(id), both)?;
        let now = Now::read().instant;
        let deadline = now.checked_add(PATIENCE).unwrap_or(now);
        let arrival = Arrival {
            socket,
            peer,
            ended: false,
            deadline,
        };
        self.arrivals.insert(id, arrival);
        self.timers.insert((deadline, id));
        self.advance_arrival(id, service);
        Ok(())
    }

    /// The kernel has told of something.
    pub(super) fn handle_arrival(
        &mut self,
        id: ConnectionId,
        event: &mio::event::Event,
        service: &mut dyn Service,
    ) {
        if let Some(arrival) = self.arrivals.get_mut(&id) {
            arrival.ended |= event.is_read_closed() || event.is_error();
            self.advance_arrival(id, service);
        }
    }

    fn advance_arrival(&mut self, id: ConnectionId, service: &mut dyn Service) {
        let Some(arrival) = self.arrivals.get_mut(&id) else {
            return;
        };
        match arrival.advance() {
            Ok(None) => {}
            Ok(Some(header)) => {
                if let Some(arrival) = self.forget_arrival(id) {
                    self.promote(id, arrival, header, service);
                }
            }
            Err(error) => {
                let peer = arrival.peer;
                // A proxy that only looks whether we are there says nothing.
                if error.kind() == io::ErrorKind::InvalidData {
                    log::warn!(
                        "imap-login: haproxy: Connection closed: {error} (rip={}), see listen.imap_proxy \
                         and listen.imaps_proxy",
                        Ip(peer)
                    );
                }
                self.drop_arrival(id);
            }
        }
    }

    /// Makes it a connection like any other.
    fn promote(
        &mut self,
        id: ConnectionId,
        arrival: Arrival,
        header: ProxyHeader,
        service: &mut dyn Service,
    ) {
        let mut peer = arrival.peer;
        // Even if the proxy did not say whose connection it is, the client need not be where the
        // proxy is.
        peer.proxy = peer.address;
        if let Some(addresses) = header.addresses {
            peer.address = Some(addresses.client);
            peer.local = Some(addresses.proxy);
        }
        peer.proxy_tls = header.tls;
        peer.is_check = header.is_check;
        match self.begin(Stream::Tcp(arrival.socket), peer.tls) {
            Ok(stream) => {
                self.connections.insert(id, super::Connection::new(stream));
                service.handle_connect(id, peer, Now::read());
                self.enqueue(id);
            }
            Err(error) => super::accept::refused(&peer, &error),
        }
    }

    /// Drops an arrival that has used up its time.
    pub(super) fn expire_arrival(&mut self, id: ConnectionId) {
        if let Some(arrival) = self.arrivals.get(&id) {
            log::warn!(
                "imap-login: haproxy: Client timed out (rip={}): no PROXY header has come, see \
                 listen.imap_proxy and listen.imaps_proxy",
                Ip(arrival.peer)
            );
            self.drop_arrival(id);
        }
    }

    /// Closes an arrival without a word.
    pub(super) fn drop_arrival(&mut self, id: ConnectionId) {
        if let Some(mut arrival) = self.forget_arrival(id) {
            let _ = self.poll.registry().deregister(&mut arrival.socket);
        }
    }

    fn forget_arrival(&mut self, id: ConnectionId) -> Option<Arrival> {
        let arrival = self.arrivals.remove(&id)?;
        self.timers.remove(&(arrival.deadline, id));
        Some(arrival)
    }
}

/// For the log.
struct Ip(Peer);

impl std::fmt::Display for Ip {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self.0.address {
            Some(address) => write!(f, "{}", address.ip()),
            None => Ok(()),
        }
    }
}

/// How long a proxy may take for its header, which it should send at once (3.: "at least 3 seconds
/// to cover a TCP retransmit").
const PATIENCE: Duration = Duration::from_secs(10);
