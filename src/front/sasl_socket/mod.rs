//! The auth socket: the server of the Dovecot auth protocol (version 1.3, of which it needs nothing
//! new), which Postfix, Exim and others speak to have their users' passwords checked.
//!
//! Everything that a client has to know is sent when it connects, and the mechanisms before SPID
//! and CUID: Postfix takes another order for another protocol.  A client may ask many things at a
//! time; each has a number of the client's choice.  Who gets at the socket is the file's mode to
//! say: what comes through it is believed, the address of somebody else's client above all.
//!
//! | file | what |
//! |---|---|
//! | `mod` | a client and its requests |
//! | `line` | the lines, read and written |

mod line;

use std::hash::{BuildHasher, RandomState};
use std::rc::Rc;
use std::time::{Duration, Instant};

use hashbrown::HashMap;
use zeroize::{Zeroize, Zeroizing};

use super::Settings;
use super::conversation::{Ask, Conversation, Entry, Question, Step};
use super::protocols::{Clients, Reception};
use super::sasl::{self, Exchange, Ground, Next, SaslMechanism};
use crate::dovecot_auth::write;
use crate::ipc::{LoginRequest, Origin, Proof, Protocol, Refusal};
use crate::mail::Secret;
use crate::net::{Buffer, ConnectionId, Now};
use crate::sys::process;
use line::{Auth, Line};

pub(super) const RECEPTION: Reception = Reception {
    begin: |settings, id, _peer, _now| Box::new(SaslClient::new(settings, id)),
    clients: Clients::Programs {
        most: MAX_CLIENTS,
        complaint: "Too many clients of the auth socket (listen.sasl)",
    },
};

pub(super) struct SaslClient {
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

impl SaslClient {
    fn new(settings: Rc<Settings>, id: ConnectionId) -> SaslClient {
        let mut client = SaslClient {
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

    /// VERSION, MECH.., SPID, CUID, COOKIE, DONE.  Nobody asks us about a cookie: it is not secret,
    /// only different each time.
    fn greet(&mut self) {
        let random = || RandomState::new().hash_one(self.number);
        let cookie = format!("{:016x}{:016x}", random(), random());
        let mut text = String::from("VERSION\t1\t3\n");
        for mechanism in self.settings.mechanisms.offered(GROUND) {
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

    fn unread(&self) -> &[u8] {
        self.input.get(self.start..).unwrap_or_default()
    }

    fn drop_input(&mut self) {
        self.input.zeroize();
        self.start = 0;
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
        fields.extend(fail_code(why).map(|code| ("code=", code)));
        write(self.output.writer(), "FAIL", id, &fields);
    }

    fn handle_line(&mut self, line: Line, now: Now) -> Result<Option<Step>, Foreign> {
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

    fn begin(&mut self, id: u32, mut auth: Auth, now: Now) -> Result<Option<Step>, Foreign> {
        if self.requests.contains_key(&id) {
            return Err(Foreign);
        }
        if self.requests.len() >= MAX_REQUESTS {
            self.write_failure(id, b"", Refusal::Unavailable);
            return Ok(None);
        }
        let mechanism = self.settings.mechanisms.find(&auth.mechanism);
        let Some(mechanism) = mechanism.filter(|mechanism| mechanism.is_possible(GROUND)) else {
            let reason = [("reason=", "Unsupported authentication mechanism")];
            write(self.output.writer(), "FAIL", id, &reason);
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
        let (exchange, challenge) = SaslMechanism::begin(mechanism);
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
    ) -> Option<Step> {
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

    fn ask(&mut self, id: u32, exchange: Exchange, proof: Proof) -> Option<Step> {
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

    fn fail_at(&mut self, id: u32, why: Refusal, time: Instant) {
        if let Some(request) = self.requests.get_mut(&id) {
            request.state = State::Failed;
            self.failures.push((time, id, why));
        }
    }
}

impl Conversation for SaslClient {
    fn handle_input(&mut self, bytes: &[u8]) {
        // What has been dealt with is wiped; what is left is moved to a place of its own when there
        // is no room, so that the vector does not leave a copy behind.
        let unread = self.input.len() - self.start;
        if self.start > 0 || self.input.capacity() - self.input.len() < bytes.len() {
            let mut input = Zeroizing::new(Vec::with_capacity(unread + bytes.len()));
            input.extend_from_slice(self.unread());
            self.input = input;
            self.start = 0;
        }
        self.input.extend_from_slice(bytes);
    }

    fn handle_end(&mut self) {
        self.ended = true;
    }

    fn handle_stop(&mut self) {
        self.ended = true;
        self.drop_input();
    }

    fn run(&mut self, now: Now, over: &dyn Fn() -> bool) -> Step {
        self.tell_failures(now.instant);
        loop {
            if self.output.is_full() {
                return Step::Idle;
            }
            if over() {
                return Step::Again;
            }
            let unread = self.unread();
            let Some(end) = memchr::memchr(b'\n', unread) else {
                let is_too_long = unread.len() > MAX_LINE;
                if unread.is_empty() {
                    self.drop_input();
                }
                // A line may have brought one more.
                return match (is_too_long || self.ended, self.next_failure(now.instant)) {
                    (true, _) => Step::Close,
                    (false, Some(time)) => Step::Wait(time),
                    (false, None) => Step::Idle,
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
                    return Step::Close;
                }
            }
        }
    }

    fn wants_input(&self) -> bool {
        self.unread().len() <= MAX_LINE
    }

    fn output(&mut self) -> &mut Buffer {
        &mut self.output
    }

    fn challenge(&mut self, request: u32, challenge: &Secret) {
        if let Some(asked) = self.requests.get_mut(&request)
            && let State::Asking(_) = asked.state
            && let State::Asking(exchange) = std::mem::replace(&mut asked.state, State::Failed)
        {
            self.pose(request, exchange, challenge.expose());
        }
    }

    fn admit(&mut self, request: u32, user: &str, _prequest: u32) -> Entry {
        let is_asked = self.requests.get(&request).is_some_and(Request::is_asked);
        if is_asked && self.requests.remove(&request).is_some() {
            write(self.output.writer(), "OK", request, &[("user=", user)]);
        }
        Entry::Answered
    }

    fn refuse(&mut self, request: u32, why: Refusal, time: Instant) {
        if self.requests.get(&request).is_some_and(Request::is_asked) {
            self.fail_at(request, why, time);
        }
    }

    fn requests(&self) -> Vec<u32> {
        let asked = self
            .requests
            .iter()
            .filter(|(_, request)| request.is_asked());
        asked.map(|(&id, _)| id).collect()
    }

    fn log_delay(&self, request: u32, seconds: f32) {
        let remote = self
            .requests
            .get(&request)
            .and_then(|asked| asked.origin.remote);
        let address =
            remote.map_or_else(String::new, |remote| remote.ip().to_canonical().to_string());
        log::info!(
            "imap-login: Delayed for {seconds} secs after failed logins from the same address, see \
             auth.penalty: rip={address}"
        );
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

    fn step(&self, id: u32, question: Question) -> Step {
        Step::Ask(Ask {
            request: id,
            question,
            penalise: self.penalise,
        })
    }
}

/// What is told of a failure: `code=`, if there is one.
fn fail_code(why: Refusal) -> Option<&'static str> {
    match why {
        Refusal::Mismatch => None,
        Refusal::Expired => Some("pass_expired"),
        Refusal::Disabled => Some("user_disabled"),
        Refusal::NotPermitted => Some("authz_fail"),
        Refusal::Unavailable | Refusal::TooMany(_) | Refusal::NoMail => Some("temp_fail"),
    }
}

/// Whoever is at the other end speaks another protocol.
struct Foreign;

/// How a password reaches us through the socket: from this machine, whatever it was sent through
/// before.
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
