//! Login attempts: who waits, who is being asked about, what came of it.
//!
//! At most `auth.processes` login children work at a time, and at most a quarter of them for one
//! address, so that a flood from there leaves others served.  Who finds no child free waits in a
//! queue, of which the same holds.  `child.rs` is what runs in a child.
//!
//! A child whose client has to answer a challenge does not work, and takes no place from those that
//! do.  Such children are counted apart (`patience.rs`): a client that says nothing delays nobody.
//! An answer is passed on at once, so for a moment more children may work than `auth.processes`
//! says.

use std::collections::{BTreeSet, HashMap, VecDeque};
use std::time::{Duration, Instant};

use crate::auth::cache::Stamps;
use crate::ipc::table::Role;
use crate::ipc::{
    Account, Attempt, Judgement, LoginRequest, Message, Origin, Proof, Protocol, Refusal, Verdict,
};
use crate::mail::Secret;
use crate::net::{Prefix, SourceId};
use crate::sys::spawn::Exit;

use super::patience::Silent;
use super::peer::{Peer, PeerError};
use super::state::{Action, Child, Kind, Monitor};

#[derive(Default)]
pub(super) struct Logins {
    /// The attempts that the front may still ask about.
    pub attempts: HashMap<Attempt, Asked>,
    children: HashMap<SourceId, LoginChild>,
    queue: VecDeque<Queued>,
    /// Children that wait for their clients' answers.
    silent: Silent,
    /// Attempts that the front has been told to hand over, since when.
    admitted: BTreeSet<(Instant, Attempt)>,
}

/// An attempt that the front was not answered, or has not handed over.
pub(super) struct Asked {
    pub protocol: Protocol,
    pub origin: Origin,
    pub stage: Stage,
    method: &'static str,
    /// As the client calls the user, for the log.
    user: String,
    admitted_at: Option<Instant>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Stage {
    Queued,
    /// A child finds out.
    Checked(SourceId),
    /// The user is known, and the session is being started.
    Starting(SourceId),
    /// The front was told; the connection belongs to this session.
    Admitted(SourceId),
}

/// What a child is to do.
pub(super) enum Task {
    Authenticate(Attempt, LoginRequest),
    /// It is known who it is: become the session.
    Become(Account),
}

struct Queued {
    attempt: Attempt,
    task: Task,
    /// When it is given up.
    until: Option<Instant>,
    address: Option<Prefix>,
}

struct LoginChild {
    /// None: it has said all that it had to say, and is about to end.
    peer: Option<Peer>,
    pid: Option<u32>,
    address: Option<Prefix>,
    /// None: nobody waits any more.
    attempt: Option<Attempt>,
    /// The session that it becomes.
    session: Option<SourceId>,
    kill_at: Option<Instant>,
    /// For the cache, if there is one.
    request: Option<(LoginRequest, Stamps)>,
}

impl Monitor {
    pub(super) fn begin_login(&mut self, attempt: Attempt, request: LoginRequest) {
        let address = request.origin.remote.map(|remote| Prefix::of(remote.ip()));
        let asked = Asked {
            protocol: request.protocol,
            origin: request.origin.clone(),
            stage: Stage::Queued,
            method: method(&request.proof),
            user: claimed(&request.proof),
            admitted_at: None,
        };
        self.logins.attempts.insert(attempt, asked);
        if self.is_stopping() {
            return self.refuse(attempt, Refusal::Unavailable);
        }
        let task = match self.known(&request) {
            None => Task::Authenticate(attempt, request),
            Some(account) => {
                self.counters.count_cached_login();
                if !self.needs_session(attempt, &account) {
                    return self.admit(attempt, account, None);
                }
                Task::Become(account)
            }
        };
        let processes = self.config.auth_processes.max(1);
        let places = processes.saturating_mul(QUEUED_EACH);
        let of_address = self
            .logins
            .queue
            .iter()
            .filter(|other| other.address == address);
        if self.logins.queue.len() >= places || of_address.count() >= share(places) {
            let subject = self.logins.subject(attempt);
            log::warn!("auth: {subject}: too many login attempts wait, see auth.processes");
            return self.refuse(attempt, Refusal::Unavailable);
        }
        self.logins.queue.push_back(Queued {
            attempt,
            task,
            until: self.now.checked_add(self.config.auth_timeout),
            address,
        });
        self.start_queued();
    }

    /// From the cache.
    fn known(&mut self, request: &LoginRequest) -> Option<Account> {
        if self.config.auth_cache_time.is_zero() {
            return None;
        }
        let stamps = crate::auth::stamps(&self.config);
        self.cache.find(request, &stamps, self.now).cloned()
    }

    /// Whether there is no session yet that this login could go to.
    fn needs_session(&self, attempt: Attempt, account: &Account) -> bool {
        let asked = self.logins.attempts.get(&attempt);
        asked.is_some_and(|asked| asked.protocol.has_session())
            && self.sessions.find(account).is_none()
    }

    /// Starts children for those who have waited longest, save for addresses that have their share.
    pub(super) fn start_queued(&mut self) {
        let processes = self.config.auth_processes.max(1);
        while self.logins.working() < processes {
            let logins = &self.logins;
            let may = |queued: &Queued| logins.running_for(queued.address) < share(processes);
            let Some(next) = logins.queue.iter().position(may) else {
                return;
            };
            if let Some(queued) = self.logins.queue.remove(next) {
                self.start_login(queued);
            }
        }
    }

    fn start_login(&mut self, queued: Queued) {
        let attempt = queued.attempt;
        let source = self.new_source();
        let (peer, theirs) = match Peer::pair(Role::Login, source) {
            Ok(pair) => pair,
            Err(error) => {
                log::error!("Cannot start a login: {error}");
                return self.refuse(attempt, Refusal::Unavailable);
            }
        };
        if let Some(asked) = self.logins.attempts.get_mut(&attempt) {
            asked.stage = Stage::Checked(source);
        }
        self.watch(Kind::Login, &peer);
        let request = match &queued.task {
            Task::Authenticate(_, request) if !self.config.auth_cache_time.is_zero() => {
                Some((request.clone(), crate::auth::stamps(&self.config)))
            }
            _ => None,
        };
        self.logins.children.insert(
            source,
            LoginChild {
                peer: Some(peer),
                pid: None,
                address: queued.address,
                attempt: Some(attempt),
                session: None,
                kill_at: self.now.checked_add(self.config.auth_timeout),
                request,
            },
        );
        let task = match queued.task {
            Task::Authenticate(attempt, request) => Message::Login(attempt, request),
            Task::Become(account) => Message::Account(account),
        };
        let settings = Message::Settings(self.config.lines());
        if self.send(Kind::Login, source, settings) && self.send(Kind::Login, source, task) {
            self.push(Action::StartLogin(source, theirs));
        } else {
            self.end_child(source, Some(Refusal::Unavailable));
            self.logins.children.remove(&source);
        }
    }

    /// What came of [`Action::StartLogin`].
    pub fn login_started(&mut self, source: SourceId, result: std::io::Result<u32>) {
        match result {
            Ok(pid) => {
                self.children.insert(pid, Child::Login(source));
                match self.logins.children.get_mut(&source) {
                    Some(child) => child.pid = Some(pid),
                    // Nobody waits any more.
                    None => self.push(Action::Kill(pid)),
                }
            }
            Err(error) => {
                log::error!("Cannot start a login: {error}");
                self.end_child(source, Some(Refusal::Unavailable));
                self.logins.children.remove(&source);
            }
        }
    }

    /// The client's answer to a challenge.
    pub(super) fn pass_answer(&mut self, attempt: Attempt, answer: Secret) {
        let stage = self.logins.attempts.get(&attempt).map(|asked| asked.stage);
        if let Some(Stage::Checked(source)) = stage {
            self.end_silence(source);
            self.send(Kind::Login, source, Message::Respond(attempt, answer));
        }
    }

    /// Waits for the client's answer to a challenge.
    fn pass_challenge(&mut self, source: SourceId, attempt: Attempt, challenge: Secret) {
        let Some(child) = self.logins.children.get_mut(&source) else {
            return;
        };
        // How long a client may take is the front's to say (`auth.login_timeout`).
        child.kill_at = None;
        let limit = self
            .config
            .auth_processes
            .max(1)
            .saturating_mul(SILENT_EACH);
        let displaced = self.logins.silent.begin(source, child.address, limit);
        self.verdict(attempt, Verdict::Challenge(challenge));
        if let Some(displaced) = displaced {
            self.displace(displaced);
        }
        self.start_queued();
    }

    /// Its client has answered.
    fn end_silence(&mut self, source: SourceId) {
        if self.logins.silent.end(source)
            && let Some(child) = self.logins.children.get_mut(&source)
        {
            child.kill_at = self.now.checked_add(self.config.auth_timeout);
        }
    }

    /// Too many wait for their clients: this one makes room.
    fn displace(&mut self, source: SourceId) {
        let child = self.logins.children.get(&source);
        if let Some(attempt) = child.and_then(|child| child.attempt) {
            let subject = self.logins.subject(attempt);
            log::warn!(
                "auth: {subject}: ended, because too many SASL exchanges wait for answers of their \
                 clients, and most of them are from this address, see auth.processes"
            );
        }
        if let Some(pid) = child.and_then(|child| child.pid) {
            self.push(Action::Kill(pid));
        }
        self.end_child(source, Some(Refusal::Unavailable));
    }

    /// The client has gone.
    pub(super) fn give_up(&mut self, attempt: Attempt) {
        let Some(asked) = self.logins.forget(attempt) else {
            return;
        };
        match asked.stage {
            Stage::Queued => self.logins.queue.retain(|queued| queued.attempt != attempt),
            Stage::Checked(source) => self.kill_login(source),
            // The session will find that it has nobody to serve.
            Stage::Starting(session) => self.release(session, &asked.origin, Some(attempt)),
            Stage::Admitted(session) => self.release(session, &asked.origin, None),
        }
    }

    pub(super) fn handle_login_child(&mut self, source: SourceId, message: Message) {
        let child = self.logins.children.get(&source);
        match message {
            Message::Judged(judgement) => {
                let Some(attempt) = child.and_then(|child| child.attempt) else {
                    return self.kill_login(source);
                };
                match judgement {
                    Judgement::Challenge(challenge) => {
                        self.pass_challenge(source, attempt, challenge);
                    }
                    Judgement::Refused(refusal) => self.end_child(source, Some(refusal)),
                    Judgement::Admitted { account } => {
                        self.keep(source, &account);
                        self.admit(attempt, account, Some(source));
                    }
                }
            }
            Message::Started { pid } => self.session_started(source, pid),
            _ => {}
        }
    }

    /// What is being found out now is found out under a configuration that is no longer in force.
    pub(super) fn keep_no_running_login(&mut self) {
        for child in self.logins.children.values_mut() {
            child.request = None;
        }
    }

    fn keep(&mut self, source: SourceId, account: &Account) {
        let child = self.logins.children.get_mut(&source);
        if let Some((request, stamps)) = child.and_then(|child| child.request.take()) {
            self.cache.keep(&request, account, stamps, self.now);
        }
    }

    /// It is known who it is.  `child` found out; if nobody needs it it ends.
    fn admit(&mut self, attempt: Attempt, account: Account, child: Option<SourceId>) {
        let Some(asked) = self.logins.attempts.get(&attempt) else {
            return child.map_or((), |child| self.kill_login(child));
        };
        let (protocol, origin) = (asked.protocol, asked.origin.clone());
        if !protocol.has_session() {
            let pid = child.and_then(|child| self.logins.children.get(&child)?.pid);
            let verdict = Verdict::Admitted {
                user: account.user,
                pid: pid.unwrap_or_else(crate::sys::process::id),
            };
            self.verdict(attempt, verdict);
            self.logins.forget(attempt);
            if let Some(front) = &mut self.front {
                front.peer.end(attempt.0);
            }
            self.counters.count_sasl_success();
            return child.map_or((), |child| self.end_child(child, None));
        }
        if account.uid == 0 || account.gid == 0 {
            log::error!("A login child let root in: {:?}", account.user);
            return self.settle(attempt, child, Err(Refusal::NotPermitted));
        }
        if let Err(limit) = self.reserve(&account.user, &origin) {
            return self.settle(attempt, child, Err(Refusal::TooMany(limit)));
        }
        match self.sessions.find(&account) {
            Some((session, Some(_))) => self.settle(attempt, child, Ok(session)),
            Some((session, None)) => {
                self.sessions.wait(session, attempt);
                self.set_stage(attempt, Stage::Starting(session));
                if let Some(child) = child {
                    self.end_child(child, None);
                }
            }
            None => {
                let started = child.and_then(|child| Some((child, self.begin_session(&account)?)));
                let Some((child, (session, channel))) = started else {
                    self.unreserve(&account.user, &origin);
                    return self.settle(attempt, child, Err(Refusal::Unavailable));
                };
                self.sessions.wait(session, attempt);
                self.set_stage(attempt, Stage::Starting(session));
                if let Some(child) = self.logins.children.get_mut(&child) {
                    child.session = Some(session);
                    child.attempt = None;
                }
                self.send(Kind::Login, child, Message::Start(channel));
            }
        }
    }

    /// Answers the front for good, and lets the child go.
    fn settle(
        &mut self,
        attempt: Attempt,
        child: Option<SourceId>,
        result: Result<SourceId, Refusal>,
    ) {
        match result {
            Ok(session) => self.confirm(attempt, session),
            Err(refusal) => self.refuse(attempt, refusal),
        }
        if let Some(child) = child {
            self.end_child(child, None);
        }
    }

    /// The attempt may be handed over to this session, which is at work.
    pub(super) fn confirm(&mut self, attempt: Attempt, session: SourceId) {
        let Some((user, pid)) = self.sessions.name(session) else {
            return self.refuse(attempt, Refusal::Unavailable);
        };
        self.set_stage(attempt, Stage::Admitted(session));
        if let Some(asked) = self.logins.attempts.get_mut(&attempt) {
            asked.admitted_at = Some(self.now);
            self.logins.admitted.insert((self.now, attempt));
            self.counters.count_login(asked.method);
        }
        self.verdict(attempt, Verdict::Admitted { user, pid });
    }

    pub(super) fn refuse(&mut self, attempt: Attempt, refusal: Refusal) {
        if self.logins.forget(attempt).is_some() {
            self.counters.count_failure(refusal);
            self.verdict(attempt, Verdict::Refused(refusal));
        }
    }

    fn verdict(&mut self, attempt: Attempt, verdict: Verdict) {
        self.tell_front(Message::Verdict(attempt, verdict));
    }

    fn set_stage(&mut self, attempt: Attempt, stage: Stage) {
        if let Some(asked) = self.logins.attempts.get_mut(&attempt) {
            asked.stage = stage;
        }
    }

    /// Lets a child go, whose channel closes.  The client that waits for it is refused.
    fn end_child(&mut self, source: SourceId, refusal: Option<Refusal>) {
        // It counts until it has ended.
        self.logins.silent.end(source);
        let Some(child) = self.logins.children.get_mut(&source) else {
            return;
        };
        let (peer, attempt) = (child.peer.take(), child.attempt.take());
        if peer.is_some() {
            self.unwatch(source);
        }
        if let (Some(attempt), Some(refusal)) = (attempt, refusal) {
            self.refuse(attempt, refusal);
        }
    }

    fn kill_login(&mut self, source: SourceId) {
        if let Some(pid) = self
            .logins
            .children
            .get(&source)
            .and_then(|child| child.pid)
        {
            self.push(Action::Kill(pid));
        }
        self.end_child(source, None);
    }

    /// The channel of a login child has ended, or it has broken the rules.
    pub(super) fn lose_login(&mut self, source: SourceId, error: &PeerError) {
        let child = self.logins.children.get(&source);
        let session = child.and_then(|child| child.session);
        if !error.is_end() {
            log::error!("A login child is ended: {error}");
            if let Some(pid) = child.and_then(|child| child.pid) {
                self.push(Action::Kill(pid));
            }
        }
        self.end_child(source, Some(Refusal::Unavailable));
        if let Some(session) = session {
            self.abandon_session(session);
        }
    }

    pub(super) fn handle_login_exit(&mut self, source: SourceId, exit: Exit) {
        let killed = self
            .logins
            .children
            .get(&source)
            .is_none_or(|child| child.peer.is_none());
        match exit {
            Exit::Signal(signal) if !killed => log::error!("A login child was ended by {signal}"),
            // A child that is ended before it has begun does not find its channel.
            Exit::Code(code @ 1..) if !killed => {
                log::error!("A login child ended with code {code}");
            }
            _ => {}
        }
        // What it said before is still to be read.
        self.handle_source(source, self.now);
        self.end_child(source, Some(Refusal::Unavailable));
        let child = self.logins.children.remove(&source);
        if let Some(session) = child.and_then(|child| child.session) {
            self.abandon_session(session);
        }
        self.start_queued();
    }

    /// The login child has become the session, or keeps a PAM session open for it.
    pub(super) fn forget_login(&mut self, source: SourceId) -> Option<(u32, SourceId)> {
        self.end_child(source, None);
        let child = self.logins.children.remove(&source)?;
        self.start_queued();
        Some((child.pid?, child.session?))
    }

    pub(super) fn end_late_logins(&mut self) {
        let now = self.now;
        let late: Vec<SourceId> = self
            .logins
            .children
            .iter()
            .filter(|(_, child)| child.kill_at.is_some_and(|time| time <= now))
            .map(|(&source, _)| source)
            .collect();
        for source in late {
            let attempt = |child: &LoginChild| child.attempt;
            let subject = self.logins.children.get(&source).and_then(attempt);
            let subject = subject.map(|attempt| self.logins.subject(attempt));
            let Some(child) = self.logins.children.get_mut(&source) else {
                continue;
            };
            child.kill_at = None;
            let (pid, session) = (child.pid, child.session);
            if child.attempt.is_some() || session.is_some() {
                let subject = subject.unwrap_or_default();
                log::error!(
                    "auth: {subject}: this login takes too long and is ended, see auth.timeout"
                );
            }
            if let Some(pid) = pid {
                self.push(Action::Kill(pid));
            }
            self.end_child(source, Some(Refusal::Unavailable));
            if let Some(session) = session {
                self.abandon_session(session);
            }
        }
        while let Some(first) = self.logins.queue.front()
            && first.until.is_some_and(|time| time <= now)
        {
            let attempt = first.attempt;
            self.logins.queue.pop_front();
            self.refuse(attempt, Refusal::Unavailable);
        }
    }

    /// Connections that were let in and have not been handed over: nobody has to wait for them.
    pub(super) fn end_late_hand_overs(&mut self) {
        while let Some(&(since, attempt)) = self.logins.admitted.first()
            && self.now.saturating_duration_since(since) >= HAND_OVER
        {
            log::error!("The front has not handed over a client that has logged in");
            self.give_up(attempt);
        }
    }

    /// There is no front any more to ask about its attempts.
    pub(super) fn forget_attempts(&mut self) {
        let attempts: Vec<Attempt> = self.logins.attempts.keys().copied().collect();
        for attempt in attempts {
            self.give_up(attempt);
        }
        self.logins.queue.clear();
    }

    pub(super) fn stop_logins(&mut self) {
        for queued in std::mem::take(&mut self.logins.queue) {
            self.refuse(queued.attempt, Refusal::Unavailable);
        }
        let sources: Vec<SourceId> = self.logins.children.keys().copied().collect();
        for source in sources {
            let attempt = self
                .logins
                .children
                .get(&source)
                .and_then(|child| child.attempt);
            self.kill_login(source);
            if let Some(attempt) = attempt {
                self.refuse(attempt, Refusal::Unavailable);
            }
        }
    }
}

impl Logins {
    pub fn peer(&mut self, source: SourceId) -> Option<&mut Peer> {
        self.children.get_mut(&source)?.peer.as_mut()
    }

    /// As `auth` names an attempt in the log: `PLAIN(bob,203.0.113.5,<session>)`.
    fn subject(&self, attempt: Attempt) -> String {
        self.attempts
            .get(&attempt)
            .map_or_else(String::new, Asked::subject)
    }

    /// Nothing more is to be done for it.
    pub fn forget(&mut self, attempt: Attempt) -> Option<Asked> {
        let asked = self.attempts.remove(&attempt)?;
        if let Some(since) = asked.admitted_at {
            self.admitted.remove(&(since, attempt));
        }
        Some(asked)
    }

    pub fn running(&self) -> usize {
        self.children.len()
    }

    pub fn queued(&self) -> usize {
        self.queue.len()
    }

    /// Children that do not wait for their clients.
    fn working(&self) -> usize {
        self.children.len().saturating_sub(self.silent.len())
    }

    fn running_for(&self, address: Option<Prefix>) -> usize {
        let children = self.children.iter();
        let is_working = |source| !self.silent.contains(source);
        children
            .filter(|(source, child)| child.address == address && is_working(**source))
            .count()
    }

    pub fn next_timeout(&self) -> Option<Instant> {
        let children = self.children.values().filter_map(|child| child.kill_at);
        let queue = self.queue.front().and_then(|first| first.until);
        let admitted = self.admitted.first();
        let hand_over = admitted.and_then(|(since, _)| since.checked_add(HAND_OVER));
        children.chain(queue).chain(hand_over).min()
    }
}

impl Asked {
    fn subject(&self) -> String {
        let Origin {
            remote, session, ..
        } = &self.origin;
        let address =
            remote.map_or_else(String::new, |remote| remote.ip().to_canonical().to_string());
        let session = session.replace(char::is_control, "?");
        format!("{}({},{address},<{session}>)", self.method, self.user)
    }
}

/// The name that a client gives itself, as far as that can be seen, and fit for the log.
fn claimed(proof: &Proof) -> String {
    let name = match proof {
        Proof::Password { user, .. } => user,
        Proof::External { certified, .. } => certified,
        Proof::Scram { .. } => return "?".to_owned(),
    };
    let is_odd = |c: char| c.is_control() || "<>(),".contains(c);
    let name = String::from_utf8_lossy(name);
    name.chars()
        .take(MAX_SHOWN)
        .map(|c| if is_odd(c) { '?' } else { c })
        .collect()
}

/// As in the log.
fn method(proof: &Proof) -> &'static str {
    match proof {
        Proof::Password { mechanism, .. } => mechanism,
        Proof::Scram { binding, .. } if binding.plus => "SCRAM-SHA-256-PLUS",
        Proof::Scram { .. } => "SCRAM-SHA-256",
        Proof::External { .. } => "EXTERNAL",
    }
}

/// What one address may have of `all`: a quarter, but where there are few, two.
fn share(all: usize) -> usize {
    (all / 4).max(2).min(all)
}

/// Characters of a name.
const MAX_SHOWN: usize = 64;

/// How many may wait for each child that there may be.
const QUEUED_EACH: usize = 16;

/// How long the front may take to hand a client over, which it does at once.
const HAND_OVER: Duration = Duration::from_secs(60);

/// How many may wait for their clients for each child that may work.
const SILENT_EACH: usize = 4;
