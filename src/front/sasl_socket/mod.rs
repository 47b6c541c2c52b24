//! The auth socket: the server of the Dovecot auth protocol (version 1.3, of which it needs nothing new),
//! which Postfix, Exim and others speak to have their users' passwords checked.
//!
//! Everything that a client has to know is sent when it connects, and the mechanisms before SPID and CUID:
//! Postfix takes another order for another protocol.  A client may ask many things at a time; each has a
//! number of the client's choice.  Who gets at the socket is the file's mode to say: what comes through it
//! is believed, the address of somebody else's client above all.
//!
//! | file | what |
//! |---|---|
//! | `mod` | the clients and their requests |
//! | `line` | the lines, read and written |

mod line;

use std::collections::VecDeque;
use std::hash::{BuildHasher, RandomState};
use std::rc::Rc;
use std::time::{Duration, Instant};

use hashbrown::HashMap;
use zeroize::{Zeroize, Zeroizing};

use super::sasl::{self, Allowed, Exchange, Ground, Mechanism, Next};
use super::{Question, refusal};
use crate::config::Config;
use crate::ipc::{LoginRequest, Origin, Proof, Protocol, Refusal};
use crate::mail::Secret;
use crate::net::{Buffer, ConnectionId, Now};
use crate::sys::process;
use line::{Auth, Line};

/// All clients of the socket.  Its methods have the contract of those of the same names in
/// [`net::Service`](crate::net::Service).
pub struct SaslSocket {
    settings: Rc<Settings>,
    clients: HashMap<ConnectionId, Client>,
    ready: VecDeque<ConnectionId>,
    nothing: Buffer,
}

/// What a client waits for, or what it wants.
#[derive(Debug)]
pub enum SaslStep {
    Idle,
    Again,
    Wait(Duration),
    Close,
    /// One of its requests; `penalise`: its address may have to wait.
    Ask {
        request: u32,
        question: Question,
        penalise: bool,
    },
}

struct Settings {
    allowed: Allowed,
    failure_delay: Duration,
}

struct Client {
    settings: Rc<Settings>,
    /// For the names of its requests in the log.
    number: usize,
    input: Zeroizing<Vec<u8>>,
    /// How much of it has been dealt with.
    start: usize,
    output: Buffer,
    /// It has said which version it speaks.
    is_known: bool,
    ended: bool,
    requests: HashMap<u32, Request>,
    /// Failures that are to be told, each at its time.
    failures: Vec<(Instant, u32, Refusal)>,
}

struct Request {
    origin: Origin,
    penalise: bool,
    user: Vec<u8>,
    /// The next message of the exchange; none once the request has failed.
    state: State,
}

enum State {
    /// For the client to say something.
    Awaiting(Exchange),
    /// For the monitor.
    Asking(Exchange),
    Failed,
}

impl SaslSocket {
    pub fn new(config: &Config) -> SaslSocket {
        SaslSocket {
            settings: Rc::new(Settings::new(config)),
            clients: HashMap::new(),
            ready: VecDeque::new(),
            nothing: Buffer::new(),
        }
    }

    /// What holds for clients that connect from now on.
    pub fn set_config(&mut self, config: &Config) {
        self.settings = Rc::new(Settings::new(config));
    }

    pub fn contains(&self, id: ConnectionId) -> bool {
        self.clients.contains_key(&id)
    }

    /// False: there are too many.
    pub fn handle_connect(&mut self, id: ConnectionId) -> bool {
        if self.clients.len() >= MAX_CLIENTS {
            return false;
        }
        let client = Client::new(Rc::clone(&self.settings), id);
        self.clients.insert(id, client);
        true
    }

    pub fn handle_input(&mut self, id: ConnectionId, bytes: &[u8]) {
        if let Some(client) = self.clients.get_mut(&id) {
            client.handle_input(bytes);
        }
    }

    pub fn handle_end(&mut self, id: ConnectionId) {
        if let Some(client) = self.clients.get_mut(&id) {
            client.ended = true;
        }
    }

    /// Gives the numbers of the requests that somebody still works on.
    pub fn handle_close(&mut self, id: ConnectionId) -> Vec<u32> {
        let client = self.clients.remove(&id);
        client.map_or_else(Vec::new, |client| client.asked())
    }

    pub fn handle_stop(&mut self) {
        for (&id, client) in &mut self.clients {
            client.ended = true;
            client.drop_input();
            self.ready.push_back(id);
        }
    }

    pub fn run(&mut self, id: ConnectionId, now: Now, over: &dyn Fn() -> bool) -> SaslStep {
        match self.clients.get_mut(&id) {
            Some(client) => client.run(now, over),
            None => SaslStep::Close,
        }
    }

    pub fn challenge(&mut self, id: ConnectionId, request: u32, challenge: &Secret) {
        if let Some(client) = self.clients.get_mut(&id) {
            client.challenge(request, challenge);
            self.ready.push_back(id);
        }
    }

    pub fn admit(&mut self, id: ConnectionId, request: u32, user: &str) {
        if let Some(client) = self.clients.get_mut(&id) {
            client.admit(request, user);
            self.ready.push_back(id);
        }
    }

    pub fn refuse(&mut self, id: ConnectionId, request: u32, why: Refusal, time: Instant) {
        if let Some(client) = self.clients.get_mut(&id) {
            client.fail(request, why, time);
            self.ready.push_back(id);
        }
    }

    pub fn poll_ready(&mut self) -> Option<ConnectionId> {
        self.ready.pop_front()
    }

    pub fn wants_input(&self, id: ConnectionId) -> bool {
        let client = self.clients.get(&id);
        client.is_some_and(|client| client.unread().len() <= MAX_LINE)
    }

    pub fn output(&mut self, id: ConnectionId) -> &mut Buffer {
        match self.clients.get_mut(&id) {
            Some(client) => &mut client.output,
            None => &mut self.nothing,
        }
    }
}

impl Settings {
    fn new(config: &Config) -> Settings {
        Settings {
            allowed: Allowed::new(config),
            failure_delay: config.failure_delay,
        }
    }
}

impl Client {
    fn new(settings: Rc<Settings>, id: ConnectionId) -> Client {
        let mut client = Client {
            settings,
            number: id.0,
            input: Zeroizing::default(),
            start: 0,
            output: Buffer::new(),
            is_known: false,
            ended: false,
            requests: HashMap::new(),
            failures: Vec::new(),
        };
        client.greet();
        client
    }

    /// VERSION, MECH.., SPID, CUID, COOKIE, DONE.  Nobody asks us about a cookie: it is not secret, only
    /// different each time.
    fn greet(&mut self) {
        let random = || RandomState::new().hash_one(self.number);
        let cookie = format!("{:016x}{:016x}", random(), random());
        let mut text = String::from("VERSION\t1\t3\n");
        for mechanism in self.settings.allowed.offered(GROUND) {
            let properties = match mechanism {
                "PLAIN" | "LOGIN" => "plaintext",
                _ => "mutual-auth",
            };
            text += &format!("MECH\t{mechanism}\t{properties}\n");
        }
        let (pid, number) = (process::id(), self.number);
        text += &format!("SPID\t{pid}\nCUID\t{number}\nCOOKIE\t{cookie}\nDONE\n");
        self.output.writer().extend_from_slice(text.as_bytes());
    }

    fn handle_input(&mut self, bytes: &[u8]) {
        // What has been dealt with is wiped; what is left is moved to a place of its own when there is no
        // room, so that the vector does not leave a copy behind.
        let unread = self.input.len() - self.start;
        if self.start > 0 || self.input.capacity() - self.input.len() < bytes.len() {
            let mut input = Zeroizing::new(Vec::with_capacity(unread + bytes.len()));
            input.extend_from_slice(self.unread());
            self.input = input;
            self.start = 0;
        }
        self.input.extend_from_slice(bytes);
    }

    fn unread(&self) -> &[u8] {
        self.input.get(self.start..).unwrap_or_default()
    }

    fn drop_input(&mut self) {
        self.input.zeroize();
        self.start = 0;
    }

    fn run(&mut self, now: Now, over: &dyn Fn() -> bool) -> SaslStep {
        self.tell_failures(now.instant);
        loop {
            if self.output.is_full() {
                return SaslStep::Idle;
            }
            if over() {
                return SaslStep::Again;
            }
            let unread = self.unread();
            let Some(end) = memchr::memchr(b'\n', unread) else {
                let is_too_long = unread.len() > MAX_LINE;
                if unread.is_empty() {
                    self.drop_input();
                }
                // A line may have brought one more.
                return match (is_too_long || self.ended, self.next_failure(now.instant)) {
                    (true, _) => SaslStep::Close,
                    (false, Some(time)) => SaslStep::Wait(time),
                    (false, None) => SaslStep::Idle,
                };
            };
            let line = unread.get(..end).unwrap_or_default();
            let line = line.strip_suffix(b"\r").unwrap_or(line);
            let parsed = match line.len() < MAX_LINE {
                true => line::parse(line),
                false => None,
            };
            self.start += end + 1;
            match parsed.map(|line| self.handle_line(line, now)) {
                Some(Ok(None)) => {}
                Some(Ok(Some(step))) => return step,
                Some(Err(Foreign)) | None => {
                    log::warn!(
                        "imap-login: A client of the auth socket (listen.sasl) does not speak its protocol"
                    );
                    self.ended = true;
                    self.drop_input();
                    return SaslStep::Close;
                }
            }
        }
    }

    /// Tells the failures whose time has come.
    fn tell_failures(&mut self, now: Instant) {
        let mut failures = std::mem::take(&mut self.failures);
        failures.retain(|&(time, id, why)| {
            if time > now {
                return true;
            }
            if let Some(request) = self.requests.remove(&id) {
                self.write_failure(id, &request.user, why);
            }
            false
        });
        self.failures = failures;
    }

    /// How long it is to the next of them.
    fn next_failure(&self, now: Instant) -> Option<Duration> {
        let times = self.failures.iter().map(|&(time, ..)| time);
        times.min().map(|time| time.saturating_duration_since(now))
    }

    fn write_failure(&mut self, id: u32, user: &[u8], why: Refusal) {
        let user = String::from_utf8_lossy(user);
        let mut fields = Vec::new();
        if !user.is_empty() {
            fields.push(("user=", user.as_ref()));
        }
        fields.extend(refusal::fail_code(why).map(|code| ("code=", code)));
        line::write(self.output.writer(), "FAIL", id, &fields);
    }

    fn handle_line(&mut self, line: Line, now: Now) -> Result<Option<SaslStep>, Foreign> {
        match line {
            Line::Version(1) => self.is_known = true,
            Line::Version(_) => return Err(Foreign),
            _ if !self.is_known => return Err(Foreign),
            Line::ProcessId => {}
            Line::Auth(id, auth) => return self.begin(id, *auth, now),
            Line::Continue(id, message) => {
                if let Some(request) = self.requests.get_mut(&id)
                    && let State::Awaiting(_) = request.state
                    && let State::Awaiting(exchange) =
                        std::mem::replace(&mut request.state, State::Failed)
                {
                    return Ok(self.go_on(id, exchange, message, now));
                }
            }
            Line::Cancel(id) => {
                let request = self.requests.remove(&id);
                self.failures.retain(|&(_, failed, _)| failed != id);
                if let Some(request) = request
                    && request.is_asked()
                {
                    return Ok(Some(request.step(id, Question::GiveUp)));
                }
            }
        }
        Ok(None)
    }

    fn begin(&mut self, id: u32, mut auth: Auth, now: Now) -> Result<Option<SaslStep>, Foreign> {
        if self.requests.contains_key(&id) {
            return Err(Foreign);
        }
        if self.requests.len() >= MAX_REQUESTS {
            self.write_failure(id, b"", Refusal::Unavailable);
            return Ok(None);
        }
        let mechanism = self.settings.allowed.find(&auth.mechanism);
        let Some(mechanism) = mechanism.filter(|mechanism| mechanism.is_possible(GROUND)) else {
            let reason = [("reason=", "Unsupported authentication mechanism")];
            line::write(self.output.writer(), "FAIL", id, &reason);
            return Ok(None);
        };
        if auth.origin.session.is_empty() {
            auth.origin.session = format!("{:x}-{:x}-{id}", process::id(), self.number);
        }
        let request = Request {
            origin: auth.origin,
            penalise: !auth.no_penalty,
            user: Vec::new(),
            state: State::Failed,
        };
        self.requests.insert(id, request);
        let (exchange, challenge) = Mechanism::begin(mechanism);
        match auth.initial {
            Some(initial) => Ok(self.go_on(id, exchange, initial, now)),
            None => {
                self.pose(id, exchange, challenge.as_bytes());
                Ok(None)
            }
        }
    }

    /// The client's next message of an exchange; `None`: it cannot be read.
    fn go_on(
        &mut self,
        id: u32,
        exchange: Exchange,
        message: Option<Secret>,
        now: Now,
    ) -> Option<SaslStep> {
        let is_begun = exchange.is_begun();
        let next = message.map_or(Next::Malformed, |message| exchange.handle(message, GROUND));
        match next {
            Next::Challenge(exchange, challenge) => {
                self.pose(id, exchange, challenge.as_bytes());
                None
            }
            Next::Ask(exchange, proof) => self.ask(id, exchange, proof),
            Next::Respond(exchange, response) => {
                let request = self.requests.get_mut(&id)?;
                request.state = State::Asking(exchange);
                Some(request.step(id, Question::Respond(response)))
            }
            Next::Malformed => {
                let time = now.instant.checked_add(self.settings.failure_delay);
                self.fail_at(id, Refusal::Mismatch, time.unwrap_or(now.instant));
                let request = self.requests.get(&id)?;
                is_begun.then(|| request.step(id, Question::GiveUp))
            }
        }
    }

    fn ask(&mut self, id: u32, exchange: Exchange, proof: Proof) -> Option<SaslStep> {
        let request = self.requests.get_mut(&id)?;
        request.user = sasl::claimed(&proof);
        request.state = State::Asking(exchange);
        let question = Question::Login(Box::new(LoginRequest {
            protocol: Protocol::Sasl,
            origin: request.origin.clone(),
            proof,
        }));
        Some(request.step(id, question))
    }

    fn pose(&mut self, id: u32, exchange: Exchange, challenge: &[u8]) {
        if let Some(request) = self.requests.get_mut(&id) {
            request.state = State::Awaiting(exchange);
            line::write_challenge(self.output.writer(), id, challenge);
        }
    }

    fn challenge(&mut self, id: u32, challenge: &Secret) {
        if let Some(request) = self.requests.get_mut(&id)
            && let State::Asking(_) = request.state
            && let State::Asking(exchange) = std::mem::replace(&mut request.state, State::Failed)
        {
            self.pose(id, exchange, challenge.expose());
        }
    }

    fn admit(&mut self, id: u32, user: &str) {
        let is_asked = self.requests.get(&id).is_some_and(Request::is_asked);
        if is_asked && self.requests.remove(&id).is_some() {
            line::write(self.output.writer(), "OK", id, &[("user=", user)]);
        }
    }

    fn fail(&mut self, id: u32, why: Refusal, time: Instant) {
        if self.requests.get(&id).is_some_and(Request::is_asked) {
            self.fail_at(id, why, time);
        }
    }

    fn fail_at(&mut self, id: u32, why: Refusal, time: Instant) {
        if let Some(request) = self.requests.get_mut(&id) {
            request.state = State::Failed;
            self.failures.push((time, id, why));
        }
    }

    /// The requests that somebody works on, or has begun to.
    fn asked(&self) -> Vec<u32> {
        let asked = self
            .requests
            .iter()
            .filter(|(_, request)| request.is_asked());
        asked.map(|(&id, _)| id).collect()
    }
}

impl Request {
    /// Somebody has heard of it and waits.
    fn is_asked(&self) -> bool {
        match &self.state {
            State::Asking(_) => true,
            State::Awaiting(exchange) => exchange.is_begun(),
            State::Failed => false,
        }
    }

    fn step(&self, id: u32, question: Question) -> SaslStep {
        SaslStep::Ask {
            request: id,
            question,
            penalise: self.penalise,
        }
    }
}

/// Whoever is at the other end speaks another protocol.
struct Foreign;

/// How a password reaches us through the socket: from this machine, whatever it was sent through before.
const GROUND: Ground<'static> = Ground {
    is_private: true,
    is_usable: true,
    secured: None,
};

/// Octets of a line, with its end.
const MAX_LINE: usize = 16_384;

/// Requests of one client at a time.
const MAX_REQUESTS: usize = 100;

/// Processes of a mail server that hold a connection.
const MAX_CLIENTS: usize = 1_000;

#[cfg(test)]
mod tests;
