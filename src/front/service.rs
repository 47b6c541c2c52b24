//! The service of the front's loop: to whom each connection belongs, waiting to log in, relayed, or of the auth socket.
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
use crate::front::limits::{Place, Places};
use crate::front::relay::Relay;
use crate::front::sasl_socket::{SaslSocket, SaslStep};
use crate::front::{Admitted, Front, Question, Step};
use crate::ipc::channel::Channel;
use crate::ipc::{Attempt, FrontCounters, ListenerKind, Origin, Protocol};
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

    /// The clients that wait to log in.
    front: Front,
    /// The clients that have logged in and are about to be handed over.
    leaving: HashMap<ConnectionId, (Attempt, Box<Admitted>)>,
    /// The clients that have logged in under TLS.
    relay: Relay,
    /// The socket pairs of relayed clients whose own end the loop does not have yet, by the client;
    /// once it has, they are in `pairs`, by that end.
    joining: HashMap<ConnectionId, Attempt>,
    pairs: HashMap<ConnectionId, Attempt>,
    /// The clients that ask whether somebody else may log in.
    sasl: SaslSocket,

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
    only_client: Option<Peer>,
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
            sasl: SaslSocket::new(&config),
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

    /// A client of IMAP has connected.
    fn welcome(&mut self, id: ConnectionId, peer: Peer, now: Now) {
        self.counters.connections = self.counters.connections.saturating_add(1);
        let from = peer.address.map(|address| Prefix::of(address.ip()));
        match from.map_or(Place::Free, |from| self.places.enter(id, from)) {
            Place::Free => {}
            Place::InsteadOf(other) => {
                self.front.give_up(
                    other,
                    "Too many connections have not logged in",
                    "limits.waiting_connections",
                );
                self.changes.push_back(Change::Cut(other));
            }
            Place::None => {
                return self.turn_away(id, peer, now);
            }
        }
        self.front.handle_connect(id, peer, now);
    }

    /// Tells a client that there is no place for it, unless there are many such clients.
    fn turn_away(&mut self, id: ConnectionId, peer: Peer, now: Now) {
        if peer.tls || self.turned_away >= MAX_TURNED_AWAY {
            self.changes.push_back(Change::Cut(id));
        }
        self.turned_away += 1;
        let text = "Too many connections from this address wait to log in \
                    (limits.waiting_connections_per_address).";
        self.front.turn_away(id, peer, text, now);
    }

    fn run_front(&mut self, id: ConnectionId, now: Now, over: &dyn Fn() -> bool) -> Run {
        let asker = Asker::Client(id);
        loop {
            match self.front.run(id, now, over) {
                Step::Idle => return Run::Idle,
                Step::Again => return Run::Again,
                Step::Wait(time) => return Run::Wait(time),
                Step::StartTls => return Run::StartTls,
                Step::Close => return Run::Close,
                Step::Ask(question) => self.ask(asker, question, true, now),
            }
        }
    }

    fn run_sasl(&mut self, id: ConnectionId, now: Now, over: &dyn Fn() -> bool) -> Run {
        loop {
            match self.sasl.run(id, now, over) {
                SaslStep::Idle => return Run::Idle,
                SaslStep::Again => return Run::Again,
                SaslStep::Wait(time) => return Run::Wait(time),
                SaslStep::Close => return Run::Close,
                SaslStep::Ask {
                    request,
                    question,
                    penalise,
                } => self.ask(Asker::Sasl(id, request), question, penalise, now),
            }
        }
    }

    fn ask(&mut self, asker: Asker, question: Question, penalise: bool, now: Now) {
        match question {
            Question::Login(request) => {
                let origin = request.origin.clone();
                let wait = self.desk.ask(asker, request, penalise, now.instant);
                if !wait.is_zero() {
                    self.log_delay(asker, &origin, wait);
                }
            }
            Question::Respond(response) => self.desk.respond(asker, response, now.instant),
            Question::GiveUp => self.desk.give_up(asker, now.instant),
        }
        self.send_due(now);
    }

    fn log_delay(&self, asker: Asker, origin: &Origin, wait: Duration) {
        let wait = wait.as_secs_f32().ceil();
        match asker {
            Asker::Client(id) => self.front.log_delay(id, wait),
            Asker::Sasl(..) => {
                let address = origin
                    .remote
                    .map_or_else(String::new, |remote| remote.ip().to_canonical().to_string());
                log::info!(
                    "imap-login: Delayed for {wait} secs after failed logins from the same address, see \
                     auth.penalty: rip={address}"
                );
            }
        }
    }

    fn counters(&self) -> FrontCounters {
        FrontCounters {
            waiting: self.front.len() as u64,
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
        match self.listeners.get(listener).map(|kind| kind.protocol) {
            Some(Protocol::Sasl) => {
                if !self.sasl.handle_connect(id) {
                    log::warn!("imap-login: Too many clients of the auth socket (listen.sasl)");
                    self.changes.push_back(Change::Cut(id));
                }
            }
            _ => self.welcome(id, peer, now),
        }
    }

    fn handle_input(&mut self, id: ConnectionId, bytes: &[u8], _now: Now) {
        if self.relay.contains(id) {
            self.relay.handle_input(id, bytes);
        } else if self.sasl.contains(id) {
            self.sasl.handle_input(id, bytes);
        } else {
            self.front.handle_input(id, bytes);
        }
    }

    fn handle_end(&mut self, id: ConnectionId, _now: Now) {
        if self.relay.contains(id) {
            self.relay.handle_end(id);
        } else if self.sasl.contains(id) {
            self.sasl.handle_end(id);
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
        } else if self.sasl.contains(id) {
            for request in self.sasl.handle_close(id) {
                self.desk.give_up(Asker::Sasl(id, request), now.instant);
            }
        } else if let Some((attempt, _)) = self.leaving.remove(&id) {
            self.desk.return_unused(attempt);
        } else if self.front.contains(id) {
            self.turned_away -= usize::from(self.front.is_turned_away(id));
            self.desk.give_up(Asker::Client(id), now.instant);
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
        self.sasl.handle_stop();
    }

    fn run(&mut self, id: ConnectionId, now: Now, over: &dyn Fn() -> bool) -> Run {
        if self.leaving.contains_key(&id) {
            Run::Detach
        } else if self.relay.contains(id) {
            self.relay.run(id)
        } else if self.sasl.contains(id) {
            self.run_sasl(id, now, over)
        } else {
            self.run_front(id, now, over)
        }
    }

    fn poll_ready(&mut self) -> Option<ConnectionId> {
        let ready = self.front.poll_ready();
        let ready = ready.or_else(|| self.relay.poll_ready());
        ready.or_else(|| self.sasl.poll_ready())
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
        } else if self.sasl.contains(id) {
            self.sasl.wants_input(id)
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
        } else if self.sasl.contains(id) {
            self.sasl.output(id)
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
