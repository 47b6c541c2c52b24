//! Sessions: which process serves which user, and which connections it has.
//!
//! A session is known by the user's name; the first admitted login of a user starts it
//! (`login.rs`).  It ends when the monitor closes the channel: after `Idle`, unless a further
//! connection has been sent.

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::fmt::Write;
use std::os::fd::OwnedFd;
use std::time::{Duration, Instant};

use crate::ipc::table::Role;
use crate::ipc::{
    Account, Attempt, Connection, ConnectionNumber, HandOver, Limit, Message, Origin, Protocol,
    Refusal,
};
use crate::net::SourceId;
use crate::sys::memory::OUT_OF_MEMORY;
use crate::sys::spawn::Exit;

use super::client::Whom;
use super::limits::ConnectionCounts;
use super::login::LoginStage;
use super::peer::{PeerError, RolePeer};
use super::state::{Action, Child, Monitor, RoleKind};

#[derive(Default)]
pub(super) struct Sessions {
    all: HashMap<SourceId, Session>,
    /// The sessions that further logins go to.
    by_user: HashMap<String, SourceId>,
    /// With those connections that are about to be handed over.
    counts: ConnectionCounts,
    next_number: u64,
    /// Connections of which the front has not said that they have ended.
    relayed: HashMap<Attempt, (SourceId, ConnectionNumber)>,
    ending: VecDeque<Ending>,
    /// Connections of sessions whose channel has ended, until their process is reaped.
    lost: HashMap<u32, Vec<Lost>>,
}

/// A connection whose session is gone, and has not said so.
struct Lost {
    user: String,
    pid: u32,
    origin: Origin,
    seconds: u64,
}

/// A process that has been told to end, and until when it may take.
struct Ending {
    time: Instant,
    pid: u32,
    /// It has had SIGTERM.
    was_asked: bool,
}

struct Session {
    peer: RolePeer,
    account: Account,
    /// None: it is not at work yet.
    pid: Option<u32>,
    /// Our child, until it is reaped: the session, or who keeps a PAM session open for it.
    child: Option<u32>,
    /// How that ended.
    exit: Option<Exit>,
    clients: BTreeMap<ConnectionNumber, Client>,
    /// Connections that were sent to it.
    sent: u64,
    /// Attempts that are to be answered when it is at work.
    waiting: Vec<Attempt>,
    /// It has said that it has nothing to do, and got nothing since.
    is_idle: bool,
}

/// A connection.  It counts until nobody has it any more: under TLS the front says so too, for a
/// session that has been taken over may call closed what it keeps.
struct Client {
    origin: Origin,
    since: Instant,
    /// The front relays it.
    is_relayed: bool,
    /// The session says that it is gone.
    is_closed: bool,
}

impl Monitor {
    /// Makes a session for a user who has none, and gives the channel for its process.
    pub(super) fn begin_session(&mut self, account: &Account) -> Option<(SourceId, OwnedFd)> {
        let source = self.new_source();
        let (peer, theirs) = RolePeer::pair(Role::Session, source)
            .inspect_err(|error| log::error!("Cannot start a session: {error}"))
            .ok()?;
        // The user had another uid or mail location before, so the clients of the former session
        // go.
        if let Some(former) = self.sessions.by_user.remove(&account.user) {
            self.send(RoleKind::Session, former, Message::Stop);
        }
        self.watch(RoleKind::Session, &peer);
        let session = Session {
            peer,
            account: account.clone(),
            pid: None,
            child: None,
            exit: None,
            clients: BTreeMap::new(),
            sent: 0,
            waiting: Vec::new(),
            is_idle: false,
        };
        self.sessions.all.insert(source, session);
        self.sessions.by_user.insert(account.user.clone(), source);
        self.send(
            RoleKind::Session,
            source,
            Message::Settings(self.config.lines()),
        );
        self.send(RoleKind::Session, source, Message::Account(account.clone()));
        Some((source, theirs))
    }

    /// The login child has become the session; or `pid` is its child, and it keeps a PAM session.
    pub(super) fn session_started(&mut self, child: SourceId, pid: u32) {
        let Some((child, source)) = self.forget_login(child) else {
            return;
        };
        let Some(session) = self.sessions.all.get_mut(&source) else {
            // Its channel is closed; it will end by itself.
            return;
        };
        let user = session.account.user.clone();
        session.pid = Some(pid);
        session.child = Some(child);
        let kind = match pid == child {
            true => Child::Session(user),
            false => Child::Keeper(user),
        };
        self.children.insert(child, kind);
        self.counters.count_session_start();
        for attempt in std::mem::take(&mut session.waiting) {
            self.confirm(attempt, source);
        }
        if self.is_stopping() {
            self.send(RoleKind::Session, source, Message::Stop);
        }
    }

    /// The login child that was to become the session has ended; unless it has become it.
    pub(super) fn abandon_session(&mut self, source: SourceId) {
        if self
            .sessions
            .all
            .get(&source)
            .is_some_and(|session| session.pid.is_none())
        {
            self.forget_session(source);
        }
    }

    /// One more client for a session; if that has gone, so has the client.
    pub(super) fn connect(
        &mut self,
        source: SourceId,
        attempt: Attempt,
        protocol: Protocol,
        hand_over: HandOver,
        descriptor: OwnedFd,
    ) {
        let number = ConnectionNumber(self.sessions.next_number);
        let Some(session) = self.sessions.all.get_mut(&source) else {
            return;
        };
        self.sessions.next_number += 1;
        session.sent += 1;
        session.is_idle = false;
        let client = Client {
            origin: hand_over.origin.clone(),
            since: self.now,
            is_relayed: hand_over.relayed,
            is_closed: false,
        };
        session.clients.insert(number, client);
        if hand_over.relayed {
            self.sessions.relayed.insert(attempt, (source, number));
        }
        let hand_over = HandOver {
            relayed: false,
            ..hand_over
        };
        let connection = Connection {
            number,
            protocol,
            hand_over,
        };
        let message = Message::Connection(connection, descriptor);
        if !self.send(RoleKind::Session, source, message) {
            self.disconnect(source, number);
        }
    }

    pub(super) fn handle_session(&mut self, source: SourceId, message: Message) {
        match message {
            Message::Closed(number, counters) => {
                self.counters.add_session(counters);
                self.close(source, number);
            }
            Message::Idle { connections } => {
                if let Some(session) = self.sessions.all.get_mut(&source) {
                    session.is_idle = session.sent == connections;
                }
                self.close_if_unused(source);
            }
            _ => {}
        }
    }

    /// The session says that this connection is gone.
    fn close(&mut self, source: SourceId, number: ConnectionNumber) {
        let session = self.sessions.all.get_mut(&source);
        let client = session.and_then(|session| session.clients.get_mut(&number));
        match client {
            Some(client) if client.is_relayed => {
                client.is_closed = true;
                if self.is_inetd {
                    self.close_if_unused(source);
                }
            }
            _ => self.disconnect(source, number),
        }
    }

    /// The front says so.
    pub(super) fn end_relay(&mut self, attempt: Attempt) {
        let Some((source, number)) = self.sessions.relayed.remove(&attempt) else {
            return;
        };
        let session = self.sessions.all.get_mut(&source);
        let client = session.and_then(|session| session.clients.get_mut(&number));
        let Some(client) = client else {
            return;
        };
        client.is_relayed = false;
        if client.is_closed {
            self.disconnect(source, number);
        }
    }

    /// There is no front any more to have them.
    pub(super) fn end_all_relays(&mut self) {
        let attempts: Vec<Attempt> = self.sessions.relayed.keys().copied().collect();
        for attempt in attempts {
            self.end_relay(attempt);
        }
    }

    /// What the lines of a session in the log begin with.
    pub(super) fn name_of_session(&self, source: SourceId) -> String {
        let user = self.sessions.all.get(&source);
        let user = user.map_or("", |session| session.account.user.as_str());
        format!("imap({user})")
    }

    fn disconnect(&mut self, source: SourceId, number: ConnectionNumber) {
        let Some(session) = self.sessions.all.get_mut(&source) else {
            return;
        };
        if let Some(client) = session.clients.remove(&number) {
            let user = session.account.user.clone();
            self.unreserve(&user, &client.origin);
        }
        if self.is_inetd {
            self.close_if_unused(source);
        }
    }

    /// An attempt that was counted, and that the front has given up.
    pub(super) fn release(&mut self, source: SourceId, origin: &Origin, waits: Option<Attempt>) {
        let Some(session) = self.sessions.all.get_mut(&source) else {
            return;
        };
        session.waiting.retain(|attempt| Some(*attempt) != waits);
        let user = session.account.user.clone();
        self.unreserve(&user, origin);
        self.close_if_unused(source);
    }

    /// From inetd, nobody else will come.
    pub(super) fn close_unused(&mut self) {
        let sources: Vec<SourceId> = self.sessions.all.keys().copied().collect();
        for source in sources {
            self.close_if_unused(source);
        }
    }

    /// Ends a session that has said that it is idle, unless a connection is on its way.
    fn close_if_unused(&mut self, source: SourceId) {
        let Some(session) = self.sessions.all.get(&source) else {
            return;
        };
        let nobody_comes = self.is_inetd && self.front.is_none() && session.pid.is_some();
        let is_expected = self.logins.attempts.values().any(|asked| {
            matches!(asked.stage, LoginStage::Starting(to) | LoginStage::Admitted(to) if to == source)
        });
        let is_unused = session.clients.values().all(|client| client.is_closed);
        if (session.is_idle || nobody_comes) && is_unused && !is_expected {
            self.forget_session(source);
        }
    }

    /// The channel of a session has ended, or it has broken the rules.
    pub(super) fn lose_session(&mut self, source: SourceId, error: &PeerError) {
        let Some(session) = self.sessions.all.get(&source) else {
            return;
        };
        if !error.is_end() {
            let user = &session.account.user;
            log::error!("imap({user}): the session is ended: {error}");
            if let Some(child) = session.child {
                self.push(match self.children.get(&child) {
                    Some(Child::Keeper(_)) => Action::Terminate(child),
                    _ => Action::Kill(child),
                });
            }
        }
        self.forget_session(source);
    }

    /// Closes the channel, with which the session ends if it has not.
    fn forget_session(&mut self, source: SourceId) {
        let Some(session) = self.sessions.all.remove(&source) else {
            return;
        };
        self.unwatch(source);
        let user = &session.account.user;
        if self.sessions.by_user.get(user) == Some(&source) {
            self.sessions.by_user.remove(user);
        }
        for client in session.clients.values() {
            self.unreserve(user, &client.origin);
        }
        self.keep_lost(&session);
        let attempts: Vec<(Attempt, LoginStage, Origin)> = self
            .logins
            .attempts
            .iter()
            .map(|(&attempt, asked)| (attempt, asked.stage, asked.origin.clone()))
            .filter(|(_, stage, _)| {
                matches!(stage, LoginStage::Starting(to) | LoginStage::Admitted(to) if *to == source)
            })
            .collect();
        for (attempt, stage, origin) in attempts {
            self.unreserve(user, &origin);
            if matches!(stage, LoginStage::Starting(_)) {
                self.refuse(attempt, Refusal::Unavailable);
            }
        }
        if let Some(pid) = session.child {
            self.await_end(pid, false);
        }
    }

    /// A session writes the last line of each of its connections.  For one that has ended before,
    /// it is written here, when it is known how it ended.
    fn keep_lost(&mut self, session: &Session) {
        let Some(pid) = session.pid else {
            return;
        };
        let clients = session.clients.values().filter(|client| !client.is_closed);
        let lost: Vec<Lost> = clients
            .map(|client| Lost {
                user: session.account.user.clone(),
                pid,
                origin: client.origin.clone(),
                seconds: self.now.saturating_duration_since(client.since).as_secs(),
            })
            .collect();
        match session
            .child
            .filter(|child| self.children.contains_key(child))
        {
            Some(child) if !lost.is_empty() => drop(self.sessions.lost.insert(child, lost)),
            Some(_) => {}
            None => tell_lost(&lost, session.exit),
        }
    }

    fn await_end(&mut self, pid: u32, was_asked: bool) {
        if let Some(time) = self.now.checked_add(PATIENCE) {
            self.sessions.ending.push_back(Ending {
                time,
                pid,
                was_asked,
            });
        }
    }

    /// Sessions that have not ended though they were told to.
    pub(super) fn end_late_sessions(&mut self) {
        while let Some(ending) = self.sessions.ending.front()
            && ending.time <= self.now
        {
            let (pid, was_asked) = (ending.pid, ending.was_asked);
            self.sessions.ending.pop_front();
            match self.children.get(&pid) {
                Some(Child::Session(user)) => {
                    log::error!("imap({user}): process {pid} does not end and is killed");
                    self.push(Action::Kill(pid));
                }
                Some(Child::Keeper(user)) if was_asked => {
                    log::error!(
                        "imap({user}): process {pid} does not close its PAM session and is killed"
                    );
                    self.push(Action::Kill(pid));
                }
                Some(Child::Keeper(user)) => {
                    log::error!(
                        "imap({user}): the child of process {pid} does not end and is killed"
                    );
                    self.push(Action::Terminate(pid));
                    self.await_end(pid, true);
                }
                _ => {}
            }
        }
    }

    /// The channel is closed from here: somebody else, who was given the other end, is not the
    /// session.  What it said before is still heard.  The number of the process means nothing from
    /// now on.
    pub(super) fn handle_session_exit(&mut self, user: &str, pid: u32, exit: Exit) {
        self.sessions.ending.retain(|ending| ending.pid != pid);
        let mut sessions = self.sessions.all.values_mut();
        if let Some(session) = sessions.find(|session| session.child == Some(pid)) {
            session.child = None;
            session.exit = Some(exit);
            session.peer.hang_up();
        }
        if let Some(lost) = self.sessions.lost.remove(&pid) {
            tell_lost(&lost, Some(exit));
        }
        match exit {
            Exit::Code(0) => return,
            Exit::Code(OUT_OF_MEMORY) => log::error!(
                "imap({user}): process {pid} wanted more memory than it may have and was ended, with all \
                 connections of this user; see limits.session_memory ({} octets)",
                self.config.session_memory
            ),
            Exit::Code(code) => log::error!("imap({user}): process {pid} ended with code {code}"),
            Exit::Signal(signal) => {
                log::error!("imap({user}): process {pid} was ended by {signal}");
            }
        }
        self.counters.count_session_crash();
    }

    pub(super) fn stop_sessions(&mut self) {
        let sources: Vec<SourceId> = self.sessions.all.keys().copied().collect();
        for source in sources {
            self.send(RoleKind::Session, source, Message::Stop);
        }
    }

    /// Sends clients away; says how many.
    pub fn kick(&mut self, whom: &Whom) -> usize {
        let chosen: Vec<(SourceId, ConnectionNumber)> = self
            .sessions
            .all
            .iter()
            .flat_map(|(&source, session)| {
                session
                    .clients
                    .iter()
                    .filter(|(_, client)| match whom {
                        Whom::User(user) => session.account.user == *user,
                        Whom::Session(id) => client.origin.session == *id,
                    })
                    .map(move |(&number, _)| (source, number))
            })
            .collect();
        let mut count = 0;
        for (source, number) in chosen {
            count += usize::from(self.send(RoleKind::Session, source, Message::Drop(number)));
        }
        count
    }

    /// A table of connections.
    pub fn who(&self) -> String {
        let mut rows = Vec::new();
        for session in self.sessions.all.values() {
            for client in session.clients.values() {
                let origin = &client.origin;
                rows.push([
                    session.account.user.clone(),
                    session.pid.map_or_else(String::new, |pid| pid.to_string()),
                    origin
                        .remote
                        .map_or_else(|| "-".to_owned(), |remote| remote.ip().to_string()),
                    if origin.tls { "yes" } else { "no" }.to_owned(),
                    age(self.now.saturating_duration_since(client.since)),
                    // It is the front that says so, and this goes to a terminal.
                    origin.session.replace(char::is_control, "?"),
                ]);
            }
        }
        rows.sort();
        let head = ["USER", "PID", "ADDRESS", "TLS", "SINCE", "SESSION"].map(str::to_owned);
        let mut text = String::new();
        for [user, pid, address, tls, age, session] in std::iter::once(head).chain(rows) {
            // Writing to a String cannot fail.
            let _ = writeln!(
                text,
                "{user:<20} {pid:>7} {address:<24} {tls:<3} {age:>8} {session}"
            );
        }
        text
    }

    /// Counts one more connection, unless that would be too many.
    pub(super) fn reserve(&mut self, user: &str, origin: &Origin) -> Result<(), Limit> {
        self.sessions.counts.add(user, origin, &self.config)
    }

    pub(super) fn unreserve(&mut self, user: &str, origin: &Origin) {
        self.sessions.counts.remove(user, origin);
    }
}

impl Sessions {
    pub fn is_empty(&self) -> bool {
        self.all.is_empty()
    }

    pub fn count(&self) -> usize {
        self.all.len()
    }

    pub fn connections(&self) -> usize {
        self.all.values().map(|session| session.clients.len()).sum()
    }

    pub fn peer(&mut self, source: SourceId) -> Option<&mut RolePeer> {
        self.all.get_mut(&source).map(|session| &mut session.peer)
    }

    /// The session of this user, and its process if it is at work.  One that serves the same name
    /// as another user, or other mail, is none.
    pub fn find(&self, account: &Account) -> Option<(SourceId, Option<u32>)> {
        let source = *self.by_user.get(&account.user)?;
        let session = self.all.get(&source)?;
        (session.account == *account).then_some((source, session.pid))
    }

    /// Each user's next login starts a session; those that are there end with their clients.
    pub fn take_no_further_logins(&mut self) {
        self.by_user.clear();
    }

    /// The attempt is to be answered when the session is at work.
    pub fn wait(&mut self, source: SourceId, attempt: Attempt) {
        if let Some(session) = self.all.get_mut(&source) {
            session.waiting.push(attempt);
        }
    }

    /// User and process.
    pub fn name(&self, source: SourceId) -> Option<(String, u32)> {
        let session = self.all.get(&source)?;
        Some((session.account.user.clone(), session.pid?))
    }

    pub fn next_timeout(&self) -> Option<Instant> {
        self.ending.front().map(|ending| ending.time)
    }
}

fn age(time: Duration) -> String {
    let seconds = time.as_secs();
    match (seconds / 86_400, seconds / 3_600 % 24, seconds / 60 % 60) {
        (0, 0, 0) => format!("{seconds}s"),
        (0, 0, minutes) => format!("{minutes}m"),
        (0, hours, minutes) => format!("{hours}h{minutes:02}m"),
        (days, hours, _) => format!("{days}d{hours:02}h"),
    }
}

/// The last line of each connection, in the form that a session would have given it.
fn tell_lost(lost: &[Lost], exit: Option<Exit>) {
    let how = match exit {
        Some(Exit::Signal(signal)) => format!("its process was ended by {signal}"),
        Some(Exit::Code(code)) => format!("its process ended with code {code}"),
        None => String::from("its process has ended"),
    };
    for Lost {
        user,
        pid,
        origin,
        seconds,
    } in lost
    {
        let address = origin.remote.map_or_else(String::new, |remote| {
            format!(" rip={}", remote.ip().to_canonical())
        });
        // It is the front that says so.
        let session = origin.session.replace(char::is_control, "?");
        log::info!(
            "imap({user})<{pid}><{session}>: Disconnected: {how}, after {seconds} secs{address}"
        );
    }
}

/// How long a session may take to end when its channel is closed; a message is being written,
/// perhaps.
const PATIENCE: Duration = Duration::from_secs(60);
