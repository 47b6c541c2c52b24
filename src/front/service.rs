//! The service of the front's loop: to whom each connection belongs, before login, on its way to a
//! session, or relayed.
//!
//! | file | what |
//! |---|---|
//! | `monitor` | what the monitor says, and is told |
//! | `certificates` | what it sends of certificates until there is a whole |

mod certificates;
mod monitor;

use std::cell::RefCell;
use std::collections::VecDeque;
use std::rc::Rc;
use std::time::{Duration, Instant};

use hashbrown::HashMap;

use crate::config::Config;
use crate::front::desk::{Asker, Desk};
use crate::front::limits::{ConnectionPlace, Places};
use crate::front::protocols::{Clients, reception};
use crate::front::relay::Relay;
use crate::front::{Admitted, Ask, Front, Question, Step};
use crate::ipc::channel::Channel;
use crate::ipc::{Attempt, FrontCounters, ListenerKind, Protocol};
use crate::net::stream::{Peer, Stream};
use crate::net::{
    Buffer, Change, ConnectionId, Now, Prefix, READ_SIZE, Run, SLICE, Secured, Service, SourceId,
};
use certificates::Gathering;

/// Everybody who is connected.
pub(super) struct Server {
    channel: Rc<RefCell<Channel>>,
    config: Config,
    certificates: Gathering,
    /// By their numbers in the loop.
    listeners: Vec<ListenerKind>,
    /// What the loop is to do.
    changes: VecDeque<Change>,

    /// The clients before login.
    front: Front,
    /// The clients that have logged in and are about to be handed over.
    leaving: HashMap<ConnectionId, (Attempt, Box<Admitted>)>,
    /// The clients that have logged in under TLS.
    relay: Relay,
    /// The socket pairs of relayed clients whose own end the loop does not have yet, by the client;
    /// once it has, they are in `pairs`, by that end.
    joining: HashMap<ConnectionId, Attempt>,
    pairs: HashMap<ConnectionId, Attempt>,

    places: Places,
    desk: Desk,
    /// How many clients there was no place for that have not been told so yet.
    turned_away: usize,

    counters: FrontCounters,
    /// What the monitor knows of the counters, and since when.
    counted: FrontCounters,
    counted_at: Option<Instant>,

    /// Shows what it does in ps(1).
    show: fn(&str),
    phase: Phase,
    /// inetd's client until the loop has it.
    only_client: Option<(Protocol, Peer)>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    /// The monitor sends what is needed.
    Preparing,
    Serving,
    /// There is one client; when it has gone there is nothing more to do.
    ServingOne,
    Stopping,
    /// The monitor is gone.
    Alone,
}

impl Server {
    pub fn new(config: Config, channel: Rc<RefCell<Channel>>, show: fn(&str)) -> Server {
        let fd = channel.borrow().fd();
        Server {
            channel,
            certificates: Gathering::default(),
            listeners: Vec::new(),
            changes: VecDeque::from([Change::Watch(CHANNEL, fd)]),
            front: Front::new(&config, false),
            leaving: HashMap::new(),
            relay: Relay::default(),
            joining: HashMap::new(),
            pairs: HashMap::new(),
            places: Places::new(
                config.waiting_connections,
                config.waiting_connections_per_address,
            ),
            desk: Desk::new(config.failure_delay, config.auth_penalty),
            config,
            turned_away: 0,
            counters: FrontCounters::default(),
            counted: FrontCounters::default(),
            counted_at: None,
            show,
            phase: Phase::Preparing,
            only_client: None,
        }
    }

    fn welcome(&mut self, protocol: Protocol, id: ConnectionId, peer: Peer, now: Now) {
        if let Some(objection) = self.front.objection(protocol) {
            log::warn!("imap-login: {objection}");
            return self.changes.push_back(Change::Cut(id));
        }
        if let Clients::Strangers { .. } = reception(protocol).clients {
            self.counters.connections = self.counters.connections.saturating_add(1);
            if !self.find_place(id, peer) {
                return self.turn_away(protocol, id, peer, now);
            }
        }
        self.front.handle_connect(protocol, id, peer, now);
    }

    /// Whether there is a place for one more client from there; another client may have to go for
    /// it.
    fn find_place(&mut self, id: ConnectionId, peer: Peer) -> bool {
        let from = peer.address.map(|address| Prefix::of(address.ip()));
        match from.map_or(ConnectionPlace::Free, |from| self.places.enter(id, from)) {
            ConnectionPlace::Free => true,
            ConnectionPlace::InsteadOf(other) => {
                self.front.give_up(
                    other,
                    "Too many connections have not logged in",
                    "limits.waiting_connections",
                );
                self.changes.push_back(Change::Cut(other));
                true
            }
            ConnectionPlace::None => false,
        }
    }

    /// Tells a client that there is no place for it, unless there are many such clients.
    fn turn_away(&mut self, protocol: Protocol, id: ConnectionId, peer: Peer, now: Now) {
        if peer.tls || self.turned_away >= MAX_TURNED_AWAY {
            self.changes.push_back(Change::Cut(id));
        }
        self.turned_away += 1;
        self.front.turn_away(protocol, id, peer, now);
    }

    fn run_front(&mut self, id: ConnectionId, now: Now, over: &dyn Fn() -> bool) -> Run {
        loop {
            match self.front.run(id, now, over) {
                Step::Idle => return Run::Idle,
                Step::Again => return Run::Again,
                Step::Wait(time) => return Run::Wait(time),
                Step::StartTls => return Run::StartTls,
                Step::Close => return Run::Close,
                Step::Ask(ask) => self.ask(id, ask, now),
            }
        }
    }

    fn ask(&mut self, client: ConnectionId, ask: Ask, now: Now) {
        let request = ask.request;
        let asker = Asker { client, request };
        match ask.question {
            Question::Login(login) => {
                let wait = self.desk.ask(asker, login, ask.penalise, now.instant);
                if !wait.is_zero() {
                    let seconds = wait.as_secs_f32().ceil();
                    self.front.log_delay(client, request, seconds);
                }
            }
            Question::Respond(response) => self.desk.respond(asker, response, now.instant),
            Question::GiveUp => self.desk.give_up(asker, now.instant),
        }
        self.send_due(now);
    }

    fn counters(&self) -> FrontCounters {
        FrontCounters {
            waiting: self.front.waiting() as u64,
            relayed: self.relay.len() as u64,
            ..self.counters
        }
    }

    /// Tells the monitor what has been counted, if it is time.
    fn count(&mut self, now: Now) {
        if self.count_at().is_none_or(|time| time > now.instant) {
            return;
        }
        let counters = self.counters();
        let (waiting, relayed) = (counters.waiting, counters.relayed);
        (self.show)(&format!("front [{waiting} waiting, {relayed} relayed]"));
        if self.send_counters(counters) {
            self.counters = FrontCounters::default();
            self.counted = FrontCounters {
                waiting: counters.waiting,
                relayed: counters.relayed,
                ..FrontCounters::default()
            };
        }
        self.counted_at = Some(now.instant);
    }

    /// When the monitor is to hear of what has been counted.
    fn count_at(&self) -> Option<Instant> {
        let has_changed = self.counters() != self.counted;
        let is_told = matches!(self.phase, Phase::Serving | Phase::ServingOne);
        let time = (has_changed && is_told).then_some(self.counted_at)?;
        time.map(|time| time.checked_add(COUNT_EVERY).unwrap_or(time))
    }
}

impl Service for Server {
    fn handle_connect(&mut self, id: ConnectionId, peer: Peer, now: Now) {
        let listener = usize::try_from(peer.listener.0).unwrap_or(usize::MAX);
        match self.listeners.get(listener) {
            Some(kind) => self.welcome(kind.protocol, id, peer, now),
            None => self.changes.push_back(Change::Cut(id)),
        }
    }

    fn handle_input(&mut self, id: ConnectionId, bytes: &[u8], _now: Now) {
        if self.relay.contains(id) {
            self.relay.handle_input(id, bytes);
        } else {
            self.front.handle_input(id, bytes);
        }
    }

    fn handle_end(&mut self, id: ConnectionId, _now: Now) {
        if self.relay.contains(id) {
            self.relay.handle_end(id);
        } else {
            self.front.handle_end(id);
        }
    }

    fn handle_close(&mut self, id: ConnectionId, now: Now) {
        if let Some(attempt) = self.pairs.remove(&id) {
            self.desk.end(attempt);
        }
        if self.relay.contains(id) {
            self.relay.handle_close(id);
        } else if let Some((attempt, _)) = self.leaving.remove(&id) {
            self.desk.return_unused(attempt);
        } else if self.front.contains(id) {
            self.turned_away -= usize::from(self.front.is_turned_away(id));
            for request in self.front.requests(id) {
                let asker = Asker {
                    client: id,
                    request,
                };
                self.desk.give_up(asker, now.instant);
            }
            self.places.leave(id);
            self.front.handle_close(id, now);
        }
        self.send_due(now);
    }

    fn handle_added(&mut self, id: ConnectionId, context: u64, now: Now) {
        self.add(id, context, now);
    }

    fn handle_secured(&mut self, id: ConnectionId, secured: Secured) {
        self.counters.tls_handshakes = self.counters.tls_handshakes.saturating_add(1);
        self.front.handle_secured(id, secured);
    }

    fn handle_tls_failure(&mut self, id: ConnectionId, reason: &str) {
        self.counters.tls_failures = self.counters.tls_failures.saturating_add(1);
        self.front.handle_tls_failure(id, reason);
    }

    fn handle_detached(&mut self, id: ConnectionId, stream: Stream) {
        if let Some((attempt, admitted)) = self.leaving.remove(&id) {
            self.hand_over(attempt, *admitted, stream);
        }
    }

    fn handle_source(&mut self, source: SourceId, now: Now) {
        if source == CHANNEL {
            self.listen_to_monitor(now);
        }
    }

    fn poll_change(&mut self) -> Option<Change> {
        self.changes.pop_front()
    }

    fn is_done(&self) -> bool {
        match self.phase {
            Phase::Preparing | Phase::Serving => false,
            Phase::ServingOne | Phase::Stopping => self.channel.borrow().is_flushed(),
            Phase::Alone => true,
        }
    }

    fn handle_wake(&mut self, _now: Now) {}

    fn handle_timeout(&mut self, now: Now) {
        self.front.handle_timeout(now);
        self.desk.forget(now.instant);
        self.send_due(now);
        self.count(now);
    }

    fn handle_stop(&mut self, _now: Now) {
        if self.phase != Phase::Alone {
            self.phase = Phase::Stopping;
        }
        self.front.handle_stop();
    }

    fn run(&mut self, id: ConnectionId, now: Now, over: &dyn Fn() -> bool) -> Run {
        if self.leaving.contains_key(&id) {
            Run::Detach
        } else if self.relay.contains(id) {
            self.relay.run(id)
        } else {
            self.run_front(id, now, over)
        }
    }

    fn poll_ready(&mut self) -> Option<ConnectionId> {
        let ready = self.front.poll_ready();
        ready.or_else(|| self.relay.poll_ready())
    }

    fn next_timeout(&self) -> Option<Instant> {
        let times = [
            self.front.next_timeout(),
            self.desk.next_timeout().filter(|_| self.may_send()),
            self.count_at(),
        ];
        times.into_iter().flatten().min()
    }

    fn wants_input(&self, id: ConnectionId) -> bool {
        if self.relay.contains(id) {
            self.relay.wants_input(id)
        } else {
            self.front.wants_input(id)
        }
    }

    fn read_size(&self, id: ConnectionId) -> usize {
        match self.relay.contains(id) {
            true => READ_SIZE,
            false => self.front.read_size(),
        }
    }

    /// A turn of a client that is not logged in is short, so that it costs others little.
    fn slice(&self, id: ConnectionId) -> Duration {
        match self.relay.contains(id) {
            true => SLICE,
            false => SLICE_BEFORE_LOGIN,
        }
    }

    fn output(&mut self, id: ConnectionId) -> &mut Buffer {
        if let Some((_, admitted)) = self.leaving.get_mut(&id) {
            &mut admitted.output
        } else if self.relay.contains(id) {
            self.relay.output(id)
        } else {
            self.front.output(id)
        }
    }
}

/// The only source: the channel to the monitor.
const CHANNEL: SourceId = SourceId(0);

/// How long a client that has not logged in may work before the others have a turn.
const SLICE_BEFORE_LOGIN: Duration = Duration::from_millis(1);

/// How often the monitor hears of what has been counted.
const COUNT_EVERY: Duration = Duration::from_secs(1);

/// Clients that are told that there is no place, at a time.
const MAX_TURNED_AWAY: usize = 50;

#[cfg(test)]
mod tests;
