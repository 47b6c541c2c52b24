//! What the monitor knows, and what it decides: messages, ended children and time in, messages and
//! [`Action`]s out.  It starts no process and knows no clock, so it is tested without either.
//!
//! `front.rs`, `login.rs` and `sessions.rs` have the parts of it that are about one kind of child.

use std::collections::{BTreeSet, HashMap, VecDeque};
use std::os::fd::OwnedFd;
use std::rc::Rc;
use std::time::{Duration, Instant};

use crate::auth::cache::PasswordCache;
use crate::config::Config;
use crate::ipc::Message;
use crate::net::SourceId;
use crate::sys::spawn::Exit;

use super::counters::{Counters, Present};
use super::front::{Backoff, FrontProcess};
use super::login::Logins;
use super::peer::{PeerError, RolePeer};
use super::sessions::Sessions;

pub(super) struct Monitor {
    pub config: Rc<Config>,
    /// There is one client, and no other will come.
    pub is_inetd: bool,
    pub front: Option<FrontProcess>,
    pub backoff: Backoff,
    pub logins: Logins,
    pub sessions: Sessions,
    pub cache: PasswordCache,
    pub counters: Counters,
    /// The children that have not been reaped yet, by process number.
    pub children: HashMap<u32, Child>,
    /// Of the latest call.
    pub now: Instant,
    kinds: HashMap<SourceId, RoleKind>,
    /// There may be more to read.
    again: BTreeSet<SourceId>,
    actions: VecDeque<Action>,
    /// Set when we were asked to end: who is there then is killed.
    stop_at: Option<Instant>,
    /// Everybody who was there has been killed once.
    has_killed: bool,
    next_source: u64,
}

/// What the caller, who has the rights, must do.
pub(super) enum Action {
    Watch(SourceId, Rc<OwnedFd>),
    Unwatch(SourceId),
    /// Then [`Monitor::front_started`], and [`Monitor::tell_front`] what it needs.
    StartFront(OwnedFd),
    /// Then [`Monitor::login_started`].  What it needs is in the channel.
    StartLogin(SourceId, OwnedFd),
    Kill(u32),
    /// SIGTERM: to one who has something to clean up.
    Terminate(u32),
}

/// Who is at the other end of a channel.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum RoleKind {
    Front,
    Login,
    Session,
}

/// What a process is to us.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Child {
    Front,
    Login(SourceId),
    Session(String),
    /// Keeps a PAM session open for a session.
    Keeper(String),
}

impl Monitor {
    pub fn new(config: Rc<Config>, is_inetd: bool, cache: PasswordCache, now: Instant) -> Monitor {
        Monitor {
            config,
            is_inetd,
            front: None,
            backoff: Backoff::default(),
            logins: Logins::default(),
            sessions: Sessions::default(),
            cache,
            counters: Counters::default(),
            children: HashMap::new(),
            now,
            kinds: HashMap::new(),
            again: BTreeSet::new(),
            actions: VecDeque::new(),
            stop_at: None,
            has_killed: false,
            next_source: 0,
        }
    }

    /// New logins meet these settings.  Clients who are connected keep those that they came with.
    pub fn reconfigure(&mut self, config: Config) {
        self.keep_no_running_login();
        if config.lines() != self.config.lines() {
            self.sessions.take_no_further_logins();
        }
        self.config = Rc::new(config);
        self.tell_front(Message::Settings(self.config.lines()));
    }

    pub fn poll_action(&mut self) -> Option<Action> {
        while let Some(action) = self.actions.pop_front() {
            match action {
                // Reaped meanwhile: the number may be anybody's.
                Action::Kill(pid) | Action::Terminate(pid) if !self.children.contains_key(&pid) => {
                }
                _ => return Some(action),
            }
        }
        None
    }

    pub fn push(&mut self, action: Action) {
        self.actions.push_back(action);
    }

    pub fn is_stopping(&self) -> bool {
        self.stop_at.is_some()
    }

    /// Nobody is left, and nobody will come.
    pub fn is_finished(&self) -> bool {
        let ends = self.is_stopping() || (self.is_inetd && self.front.is_none());
        ends && self.front.is_none() && self.sessions.is_empty() && self.children.is_empty()
    }

    /// There may be something to do on this channel.
    pub fn handle_source(&mut self, source: SourceId, now: Instant) {
        self.now = now;
        // Bounded, so that one who says much leaves time for the others.
        for _ in 0..MESSAGES {
            let Some(&kind) = self.kinds.get(&source) else {
                return;
            };
            let Some(peer) = self.peer(kind, source) else {
                return;
            };
            match peer.receive() {
                Ok(Some(message)) => self.handle_message(kind, source, message),
                Ok(None) => {
                    let flushed = self.peer(kind, source).map(RolePeer::flush);
                    if let Some(Err(error)) = flushed {
                        self.lose(kind, source, &error);
                    }
                    return;
                }
                Err(error) => return self.lose(kind, source, &error),
            }
        }
        self.again.insert(source);
    }

    fn handle_message(&mut self, kind: RoleKind, source: SourceId, message: Message) {
        if let Message::Log(level, line) = &message {
            let now = self.now;
            let whose = match kind {
                RoleKind::Session => self.name_of_session(source),
                RoleKind::Front | RoleKind::Login => "imap-login".to_owned(),
            };
            if let Some(peer) = self.peer(kind, source) {
                peer.log(&whose, *level, line, now);
            }
            return;
        }
        match kind {
            RoleKind::Front => self.handle_front(message),
            RoleKind::Login => self.handle_login_child(source, message),
            RoleKind::Session => self.handle_session(source, message),
        }
    }

    /// A child has been reaped.
    pub fn handle_exit(&mut self, pid: u32, exit: Exit, now: Instant) {
        self.now = now;
        let Some(child) = self.children.remove(&pid) else {
            return;
        };
        match child {
            Child::Front => self.handle_front_exit(pid, exit),
            Child::Login(source) => {
                self.handle_login_exit(source, exit);
                // That it had become something else may be heard only now.
                if let Some(Child::Session(user) | Child::Keeper(user)) = self.children.remove(&pid)
                {
                    self.handle_session_exit(&user, pid, exit);
                }
            }
            Child::Session(user) | Child::Keeper(user) => {
                self.handle_session_exit(&user, pid, exit);
            }
        }
    }

    pub fn handle_timeout(&mut self, now: Instant) {
        self.now = now;
        for source in std::mem::take(&mut self.again) {
            self.handle_source(source, now);
        }
        self.end_late_logins();
        self.end_late_hand_overs();
        self.end_late_sessions();
        self.restart_front();
        if let Some(time) = self.stop_at
            && time <= now
        {
            self.kill_all();
            self.stop_at = now.checked_add(KILLED);
        }
    }

    pub fn next_timeout(&self) -> Option<Instant> {
        if !self.again.is_empty() {
            return Some(self.now);
        }
        let front = self.backoff.restart_at();
        let (logins, sessions) = (self.logins.next_timeout(), self.sessions.next_timeout());
        [self.stop_at, front, logins, sessions]
            .into_iter()
            .flatten()
            .min()
    }

    /// Tells everybody to come to a good end.
    pub fn stop(&mut self, now: Instant) {
        self.now = now;
        if self.is_stopping() {
            return;
        }
        self.stop_at = now.checked_add(GRACE);
        self.tell_front(Message::Stop);
        self.stop_logins();
        self.stop_sessions();
    }

    /// A front that was started late hears it too.
    pub fn sync_stop(&mut self) {
        if self.is_stopping() {
            self.tell_front(Message::Stop);
        }
    }

    /// The clients that are left have been told long ago.
    pub fn kill_all(&mut self) {
        let is_first = !std::mem::replace(&mut self.has_killed, true);
        let pids: Vec<(u32, bool)> = self
            .children
            .iter()
            .map(|(&pid, child)| (pid, matches!(child, Child::Keeper(_))))
            .collect();
        for (pid, is_keeper) in pids {
            // PAM may hang while it closes a session.
            self.push(match is_keeper && is_first {
                true => Action::Terminate(pid),
                false => Action::Kill(pid),
            });
        }
    }

    /// A new number for a channel.
    pub fn new_source(&mut self) -> SourceId {
        let source = SourceId(self.next_source);
        self.next_source = self.next_source.wrapping_add(1);
        source
    }

    /// From now on messages of this peer are read.
    pub fn watch(&mut self, kind: RoleKind, peer: &RolePeer) {
        self.kinds.insert(peer.source, kind);
        self.push(Action::Watch(peer.source, peer.fd()));
    }

    pub fn unwatch(&mut self, source: SourceId) {
        self.kinds.remove(&source);
        self.again.remove(&source);
        self.push(Action::Unwatch(source));
    }

    fn peer(&mut self, kind: RoleKind, source: SourceId) -> Option<&mut RolePeer> {
        match kind {
            RoleKind::Front => self.front.as_mut().map(|front| &mut front.peer),
            RoleKind::Login => self.logins.peer(source),
            RoleKind::Session => self.sessions.peer(source),
        }
    }

    /// Sends, and does what is to be done if the peer is none any more.  Says whether it was
    /// permitted.
    pub fn send(&mut self, kind: RoleKind, source: SourceId, message: Message) -> bool {
        let Some(peer) = self.peer(kind, source) else {
            return false;
        };
        match peer.send(message) {
            Ok(sent) => sent,
            Err(error) if error.is_too_large() => {
                log::error!("A message of the {kind:?} could not be sent: it is too large");
                false
            }
            Err(error) => {
                self.lose(kind, source, &error);
                false
            }
        }
    }

    fn lose(&mut self, kind: RoleKind, source: SourceId, error: &PeerError) {
        match kind {
            RoleKind::Front => self.lose_front(error),
            RoleKind::Login => self.lose_login(source, error),
            RoleKind::Session => self.lose_session(source, error),
        }
    }

    pub fn present(&self) -> Present {
        let front = self.front.as_ref().map(|front| front.latest);
        let front = front.unwrap_or_default();
        Present {
            connections: self.sessions.connections(),
            sessions: self.sessions.count(),
            login_children: self.logins.running(),
            queued_logins: self.logins.queued(),
            waiting: front.waiting,
            relayed: front.relayed,
        }
    }
}

/// How many messages of one peer are handled before others have a turn.
const MESSAGES: usize = 64;

/// How long clients have to take their BYE, and sessions to finish what they have begun.
const GRACE: Duration = Duration::from_secs(15);

/// How long the kernel has to make an end of who was killed.
const KILLED: Duration = Duration::from_secs(5);

#[cfg(test)]
mod tests;
