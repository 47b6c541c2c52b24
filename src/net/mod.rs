//! The event loop: one thread, many connections, and the only clock.
//!
//! The loop moves bytes between clients and a [`Service`], which knows what they mean.  It knows
//! nothing of IMAP, users or files.  What it promises:
//!
//! * **No stall.**  A connection works for at most [`SLICE`] at a time, or less (`Service::slice`).
//!   There are two queues: `fresh` holds the connections that something has happened to, `again`
//!   those that have used up a slice and are not done.  Between two slices of the latter,
//!   everything in the former has its turn: a client that asks for little is answered within about
//!   a slice of whatever else goes on, and a client that asks for much gets what is left, but never
//!   nothing.
//! * **Bounded memory.**  See `connection.rs` on back-pressure.  One buffer is read into for all
//!   connections; an idle one holds no buffer at all.
//! * **Nobody is in the way.**  Of what a stranger can ask for, handshakes cost most.  They have a
//!   queue of their own, `handshakes`, and little time between two rounds of the others.
//! * **No spinning.**  When the process runs out of descriptors it stops accepting for a moment.
//!
//! | file | what |
//! |---|---|
//! | `service` | what the loop asks of whoever knows what the bytes mean |
//! | `connection` | one connection's turn: run, send, read |
//! | `buffer` | bytes waiting to be sent |
//! | `stream` | TCP, TLS, unix socket, standard input and output as one type |
//! | `tls` | rustls over a TCP socket |
//! | `accept` | connections that come |
//! | `turns` | connections that have something to do, one after the other |
//! | `listener` | a listening socket |
//! | `arrival`, `proxy` | connections that come through a proxy |
//! | `prefix` | what counts as one address |
//! | `change` | what a service wants of the loop |
//! | `token` | which event is whose |

mod accept;
mod arrival;
mod buffer;
mod change;
mod connection;
mod listener;
mod prefix;
pub mod proxy;
mod service;
pub mod stream;
pub mod tls;
mod token;
mod turns;

use std::collections::{BTreeSet, VecDeque};
use std::io;
use std::os::fd::{AsRawFd, OwnedFd};
use std::rc::Rc;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use hashbrown::HashMap;
use mio::unix::SourceFd;
use mio::{Events, Interest, Poll, Waker};

pub use buffer::Buffer;
pub use prefix::Prefix;
pub use service::{Change, ConnectionId, Run, Secured, Service, SourceId};

use crate::sys::process::{Signalled, Signals, Watched, trim_memory};
use arrival::Arrival;
use connection::Connection;
use listener::Listener;
use stream::{Peer, Stream};
use tls::Certificates;
use token::TokenOwner;

pub struct Loop {
    poll: Poll,
    waker: Arc<Waker>,
    signals: Signals,
    listeners: Vec<Listener>,
    certificates: Option<Arc<Certificates>>,
    sources: HashMap<SourceId, Rc<OwnedFd>>,
    connections: HashMap<ConnectionId, Connection>,
    /// Numbered as the connections that they become.
    arrivals: HashMap<ConnectionId, Arrival>,
    next_id: usize,
    limit: usize,
    fresh: VecDeque<ConnectionId>,
    again: VecDeque<ConnectionId>,
    handshakes: VecDeque<ConnectionId>,
    /// For each connection that has a time-out, one entry that is not later (`Connection::timer`).
    timers: BTreeSet<(Instant, ConnectionId)>,
    /// No accepting before then.
    accept_at: Option<Instant>,
    /// The process was asked to stop.
    stopping: bool,
    /// When the connections that are left are cut off.
    cut_at: Option<Instant>,
    /// The process was asked to stop twice.
    hurried: bool,
    /// When to give unused memory back, if nothing happens until then.
    trim_at: Option<Instant>,
    scratch: Vec<u8>,
}

/// What the clock says.
#[derive(Clone, Copy, Debug)]
pub struct Now {
    /// For intervals and time-outs.
    pub instant: Instant,
    /// For what is written into files and names.
    pub time: SystemTime,
}

impl Now {
    pub fn read() -> Now {
        Now {
            instant: Instant::now(),
            time: SystemTime::now(),
        }
    }
}

impl Loop {
    /// Takes the stop signals over; no thread may have been started yet.
    pub fn new() -> io::Result<Loop> {
        Loop::with_signals(Watched::default())
    }

    /// Takes the stop signals over, and hears of other signals too.
    pub fn with_signals(watched: Watched) -> io::Result<Loop> {
        let poll = Poll::new()?;
        let waker = Arc::new(Waker::new(poll.registry(), token::WAKE)?);
        let signals = Signals::new(watched)?;
        poll.registry().register(
            &mut SourceFd(&signals.as_raw_fd()),
            token::SIGNAL,
            Interest::READABLE,
        )?;
        Ok(Loop {
            poll,
            waker,
            signals,
            listeners: Vec::new(),
            certificates: None,
            sources: HashMap::new(),
            connections: HashMap::new(),
            arrivals: HashMap::new(),
            next_id: token::FIRST_CONNECTION,
            limit: usize::MAX,
            fresh: VecDeque::new(),
            again: VecDeque::new(),
            handshakes: VecDeque::new(),
            timers: BTreeSet::new(),
            accept_at: None,
            stopping: false,
            cut_at: None,
            hurried: false,
            trim_at: None,
            scratch: Vec::new(),
        })
    }

    /// A function that makes the loop call [`Service::handle_wake`], from any thread.
    pub fn wake_function(&self) -> Box<dyn Fn() + Send> {
        let waker = Arc::clone(&self.waker);
        // It can only fail if the loop has been dropped, or for want of memory: nobody to tell.
        Box::new(move || drop(waker.wake()))
    }

    /// For TLS, from the first byte on or later.
    pub fn set_certificates(&mut self, certificates: Arc<Certificates>) {
        self.certificates = Some(certificates);
    }

    /// Holds no more than `limit` connections at a time; further ones wait to be accepted.
    pub fn set_connection_limit(&mut self, limit: usize) {
        self.limit = limit;
    }

    /// Serves one more connection.
    pub fn add(
        &mut self,
        stream: Stream,
        peer: Peer,
        service: &mut dyn Service,
    ) -> io::Result<ConnectionId> {
        let id = self.insert(stream)?;
        service.handle_connect(id, peer, Now::read());
        self.enqueue(id);
        Ok(id)
    }

    fn insert(&mut self, mut stream: Stream) -> io::Result<ConnectionId> {
        let id = self.take_id();
        stream.register(self.poll.registry(), token::of_connection(id))?;
        self.connections.insert(id, Connection::new(stream));
        Ok(id)
    }

    fn take_id(&mut self) -> ConnectionId {
        let id = ConnectionId(self.next_id);
        self.next_id = token::after(self.next_id);
        id
    }

    /// Serves until there is nothing left to serve: no connection and no listening socket, or until
    /// the process was asked to stop and every connection has ended; and the service must be done.
    pub fn run(&mut self, service: &mut dyn Service) -> io::Result<()> {
        let mut events = Events::with_capacity(EVENTS);
        self.apply_changes(service);
        while !self.is_done(service) {
            let timeout = self.timeout(service);
            match self.poll.poll(&mut events, timeout) {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                result => result?,
            }
            for event in &events {
                self.handle_event(event, service);
            }
            self.handle_timeouts(service);
            self.apply_changes(service);
            self.accept(service);
            self.apply_changes(service);
            self.collect_ready(service);
            self.take_turns(service);
        }
        Ok(())
    }

    fn is_done(&self, service: &dyn Service) -> bool {
        let left = match self.stopping {
            // A client that lingers has been told all.
            true => !self.connections.values().all(Connection::is_lingering),
            false => {
                !self.connections.is_empty()
                    || !self.listeners.is_empty()
                    || !self.arrivals.is_empty()
            }
        };
        self.hurried || (!left && service.is_done())
    }

    /// How long nothing may happen.
    fn timeout(&mut self, service: &dyn Service) -> Option<Duration> {
        if self.has_turns() {
            return Some(Duration::ZERO);
        }
        let now = Instant::now();
        let accept = match self.may_accept(now) {
            true if self.listeners.iter().any(|listener| listener.ready) => Some(now),
            _ => self.accept_at.filter(|&time| time > now),
        };
        let timer = self.timers.first().map(|&(time, _)| time);
        [
            service.next_timeout(),
            timer,
            accept,
            self.cut_at,
            self.trim_at,
        ]
        .into_iter()
        .flatten()
        .min()
        .map(|time| time.saturating_duration_since(now))
    }

    fn handle_event(&mut self, event: &mio::event::Event, service: &mut dyn Service) {
        match token::owner(event.token()) {
            TokenOwner::Wake => service.handle_wake(Now::read()),
            TokenOwner::Signal => self.handle_signals(service),
            TokenOwner::Listener(index) => {
                if let Some(listener) = self.listeners.get_mut(index) {
                    listener.ready = true;
                }
            }
            TokenOwner::Source(source) => {
                // An event may come late, for a source that is no longer watched.
                if self.sources.contains_key(&source) {
                    service.handle_source(source, Now::read());
                    self.apply_changes(service);
                }
            }
            TokenOwner::Connection(id) => {
                if let Some(connection) = self.connections.get_mut(&id) {
                    connection.handle_event(event);
                    self.enqueue(id);
                } else {
                    self.handle_arrival(id, event, service);
                }
            }
        }
    }

    fn handle_signals(&mut self, service: &mut dyn Service) {
        while let Ok(Some(signal)) = self.signals.poll() {
            match signal {
                Signalled::Reload => service.handle_reload(Now::read()),
                Signalled::Child => service.handle_child(Now::read()),
                Signalled::Stop(name) if self.stopping => {
                    log::warn!("{name} again: ending at once");
                    self.hurried = true;
                }
                Signalled::Stop(name) => {
                    log::info!("{name}: ending {} connections", self.connections.len());
                    self.stop(service);
                }
            }
        }
    }

    /// Lets everything come to a good end, if that does not take too long.
    fn stop(&mut self, service: &mut dyn Service) {
        if self.stopping {
            return;
        }
        let now = Now::read();
        self.unlisten();
        for id in self.arrivals.keys().copied().collect::<Vec<_>>() {
            self.drop_arrival(id);
        }
        self.stopping = true;
        self.cut_at = now.instant.checked_add(GRACE);
        service.handle_stop(now);
        // All connections get a turn, because each has something to say.
        let ids: Vec<ConnectionId> = self.connections.keys().copied().collect();
        for id in ids {
            self.name(id);
        }
    }

    fn handle_timeouts(&mut self, service: &mut dyn Service) {
        let now = Now::read();
        if service
            .next_timeout()
            .is_some_and(|time| time <= now.instant)
        {
            service.handle_timeout(now);
        }
        while let Some(&(time, id)) = self.timers.first() {
            if time > now.instant {
                break;
            }
            self.timers.pop_first();
            if let Some(connection) = self.connections.get_mut(&id) {
                connection.timer = None;
            }
            self.expire_arrival(id);
            self.enqueue(id);
        }
        if self.hurried || self.cut_at.is_some_and(|time| time <= now.instant) {
            self.cut_at = None;
            for id in self.connections.keys().copied().collect::<Vec<_>>() {
                self.remove(id, service, None);
            }
        }
        if self.trim_at.is_some_and(|time| time <= now.instant) {
            self.trim_at = None;
            self.scratch = Vec::new();
            trim_memory();
        }
    }
}

/// How long one connection may work before the others have a turn.
pub const SLICE: Duration = Duration::from_millis(10);

/// How much is read from a client at once.
pub const READ_SIZE: usize = 64 * 1024;

/// How long clients have to take the BYE when the process has been asked to stop.
const GRACE: Duration = Duration::from_secs(10);

/// How many events are taken from the kernel at once.
const EVENTS: usize = 256;

#[cfg(test)]
mod tests;
