//! The front: started, started anew when it dies, and what it asks.

use std::time::{Duration, Instant};

use crate::ipc::table::Role;
use crate::ipc::{Attempt, FrontCounters, HandOver, Message};
use crate::net::stream::is_stream;
use crate::sys::spawn::Exit;

use super::login::LoginStage;
use super::peer::{PeerError, RolePeer};
use super::state::{Action, Child, Monitor, RoleKind};

pub(super) struct FrontProcess {
    pub peer: RolePeer,
    pid: Option<u32>,
    /// What the front told last of how many clients it has.
    pub latest: FrontCounters,
}

/// When the next front may be started: at once, unless the last one did not live long.
#[derive(Default)]
pub(super) struct Backoff {
    started: Option<Instant>,
    delay: Duration,
    restart_at: Option<Instant>,
}

impl Monitor {
    /// Starts a front; there is none.
    pub fn start_front(&mut self) {
        let source = self.new_source();
        let (peer, theirs) = match RolePeer::pair(Role::Front, source) {
            Ok(pair) => pair,
            Err(error) => {
                log::error!("Cannot start the front: {error}");
                self.backoff.fail(self.now);
                return;
            }
        };
        self.watch(RoleKind::Front, &peer);
        self.front = Some(FrontProcess {
            peer,
            pid: None,
            latest: FrontCounters::default(),
        });
        self.backoff.start(self.now);
        self.counters.count_front_start();
        self.push(Action::StartFront(theirs));
    }

    /// What came of [`Action::StartFront`].
    pub fn front_started(&mut self, result: std::io::Result<u32>) {
        match result {
            Ok(pid) => {
                self.children.insert(pid, Child::Front);
                if let Some(front) = &mut self.front {
                    front.pid = Some(pid);
                }
            }
            Err(error) => {
                log::error!("Cannot start the front: {error}");
                self.forget_front();
            }
        }
    }

    pub fn tell_front(&mut self, message: Message) -> bool {
        let Some(source) = self.front.as_ref().map(|front| front.peer.source) else {
            return false;
        };
        self.send(RoleKind::Front, source, message)
    }

    pub(super) fn handle_front(&mut self, message: Message) {
        match message {
            Message::Login(attempt, request) => self.begin_login(attempt, request),
            Message::Respond(attempt, answer) => self.pass_answer(attempt, answer),
            Message::GiveUp(attempt) => self.give_up(attempt),
            Message::HandOver(attempt, hand_over, descriptor) => {
                self.hand_over(attempt, hand_over, descriptor);
            }
            Message::Ended(attempt) => self.end_relay(attempt),
            Message::Counted(counters) => {
                self.counters.add_front(counters);
                if let Some(front) = &mut self.front {
                    front.latest = counters;
                }
            }
            // The gate lets nothing else through.
            _ => {}
        }
    }

    /// The one hand-over of an attempt that was admitted.
    fn hand_over(
        &mut self,
        attempt: Attempt,
        hand_over: HandOver,
        descriptor: std::os::fd::OwnedFd,
    ) {
        if !is_stream(&descriptor) {
            let error = PeerError::Misuse("it handed over what is no connection of a client");
            return self.lose_front(&error);
        }
        let Some(asked) = self.logins.forget(attempt) else {
            return;
        };
        let LoginStage::Admitted(session) = asked.stage else {
            return;
        };
        // Where the client is was said when it logged in; that was counted, and stays.
        let hand_over = HandOver {
            origin: asked.origin,
            ..hand_over
        };
        self.connect(session, attempt, asked.protocol, hand_over, descriptor);
    }

    /// The front has ended, or has to.
    pub(super) fn lose_front(&mut self, error: &PeerError) {
        let pid = self.front.as_ref().and_then(|front| front.pid);
        let ends = self.is_inetd || self.is_stopping();
        if !error.is_end() {
            log::error!("The front is ended: {error}");
        } else if !ends {
            log::error!("The front has ended");
        }
        if let Some(pid) = pid
            && self.children.contains_key(&pid)
            && !(error.is_end() && ends)
        {
            self.push(Action::Kill(pid));
        }
        self.forget_front();
    }

    fn forget_front(&mut self) {
        if let Some(front) = self.front.take() {
            self.unwatch(front.peer.source);
        }
        self.forget_attempts();
        self.end_all_relays();
        match self.is_inetd || self.is_stopping() {
            true => self.close_unused(),
            false => self.backoff.fail(self.now),
        }
    }

    pub(super) fn handle_front_exit(&mut self, pid: u32, exit: Exit) {
        let expected = self.is_inetd || self.is_stopping();
        match exit {
            Exit::Code(0) if expected => {}
            Exit::Code(code) => log::error!("The front (process {pid}) ended with code {code}"),
            Exit::Signal(signal) => log::error!("The front (process {pid}) was ended by {signal}"),
        }
        if self
            .front
            .as_ref()
            .is_some_and(|front| front.pid == Some(pid))
        {
            self.forget_front();
        }
    }

    pub(super) fn restart_front(&mut self) {
        if self.backoff.is_due(self.now) && !self.is_stopping() {
            self.start_front();
        }
    }
}

impl Backoff {
    pub fn restart_at(&self) -> Option<Instant> {
        self.restart_at
    }

    fn start(&mut self, now: Instant) {
        self.started = Some(now);
        self.restart_at = None;
    }

    fn fail(&mut self, now: Instant) {
        let lived = self.started.map(|time| now.saturating_duration_since(time));
        self.delay = match lived {
            Some(lived) if lived >= LONG_ENOUGH => Duration::ZERO,
            _ => (self.delay * 2).clamp(MIN_DELAY, MAX_DELAY),
        };
        self.restart_at = now.checked_add(self.delay);
    }

    fn is_due(&self, now: Instant) -> bool {
        self.restart_at.is_some_and(|time| time <= now)
    }
}

/// A front that has lived so long was rather killed than broken.
const LONG_ENOUGH: Duration = Duration::from_secs(10);

const MIN_DELAY: Duration = Duration::from_millis(100);
const MAX_DELAY: Duration = Duration::from_secs(4);
