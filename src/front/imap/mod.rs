//! The dialogue with one client before login (RFC 9051 6.1 and 6.2, RFC 4959).

use std::rc::Rc;
use std::time::Instant;

use super::attempts::{At, Attempts, Declined, Secrecy};
use super::sasl::{self, Exchange, Ground, Mechanism, Next};
use super::{Admitted, Question, Settings, Step, refusal};
use crate::config::TlsRequired;
use crate::imap::LoggedIn;
use crate::imap::command::{Command, Tag, Tagged};
use crate::imap::connection::{Bad, Connection, Event, State};
use crate::imap::response::{self, Code, Stage, Status};
use crate::ipc::{LoginRequest, Proof, Protocol, Refusal};
use crate::mail::Secret;
use crate::net::stream::Peer;
use crate::net::{Buffer, ConnectionId, Now, Secured};

pub(super) struct Login {
    settings: Rc<Settings>,
    connection: Connection,
    output: Buffer,
    attempts: Attempts,
    secured: Option<Box<Secured>>,
    phase: Phase,
    /// The client has closed its half.
    ended: bool,
    bad_commands: u32,
    commands: u32,
    /// How much was sent since the last thing that made sense.
    unanswered: usize,
    is_turned_away: bool,
    /// The client has sent something.
    was_heard: bool,
    /// The monitor does not wait for the client's answer any more.  The answer will be refused for
    /// this reason.
    given_up: Option<Refusal>,
}

enum Phase {
    /// TLS is being negotiated, and there is nothing to say; afterwards, perhaps, a greeting.
    Securing {
        greet: bool,
    },
    Talking,
    /// AUTHENTICATE waits for the client.
    Sasl(Tag, Exchange),
    /// The monitor finds out whether the client is let in.
    Asking(Tag, Exchange),
    /// The client is not let in, and is told so at this time.
    Refusing(Tag, Refusal, Instant),
    Closing,
}

impl Login {
    pub fn new(settings: Rc<Settings>, id: ConnectionId, peer: Peer, now: Now) -> Login {
        let secrecy = match peer.tls {
            true => Secrecy::Handshaking,
            // The client would have to show its certificate to us, not to the proxy.
            false if peer.proxy_tls && !settings.certificate_required => Secrecy::Proxied,
            false if is_same_host(peer) => Secrecy::Local,
            false => Secrecy::Clear,
        };
        let mut login = Login {
            connection: Connection::new(State::NotAuthenticated, settings.separator),
            settings,
            output: Buffer::new(),
            attempts: Attempts::new(id, peer, secrecy, now.instant),
            secured: None,
            phase: Phase::Securing { greet: true },
            ended: false,
            bad_commands: 0,
            commands: 0,
            unanswered: 0,
            is_turned_away: false,
            was_heard: false,
            given_up: None,
        };
        if !peer.tls {
            login.greet();
        }
        login
    }

    /// A client for whom there is no place.  It is told so, and nothing else.
    pub fn turned_away(
        settings: Rc<Settings>,
        id: ConnectionId,
        peer: Peer,
        text: &str,
        now: Now,
    ) -> Login {
        let mut login = Login::new(settings, id, peer, now);
        login.output = Buffer::new();
        response::bye(login.output.writer(), Some(Code::Limit), text);
        login.close("Too many connections from the same address have not logged in");
        login.attempts.limit = Some("limits.waiting_connections_per_address");
        login.is_turned_away = true;
        login
    }

    pub fn is_turned_away(&self) -> bool {
        self.is_turned_away
    }

    /// The connection will be closed without a word.
    pub fn give_up_on(&mut self, why: &'static str, limit: &'static str) {
        self.attempts.limit = Some(limit);
        self.close(why);
    }

    /// TLS has been agreed on.
    pub fn handle_secured(&mut self, secured: Secured) {
        self.attempts.secrecy = Secrecy::Tls;
        self.was_heard = true;
        self.secured = Some(Box::new(secured));
        match self.phase {
            Phase::Securing { greet: true } => self.greet(),
            Phase::Securing { greet: false } => self.phase = Phase::Talking,
            _ => {}
        }
    }

    pub fn handle_tls_failure(&mut self, reason: &str) {
        self.was_heard = true;
        self.attempts.fail_tls(reason);
    }

    pub fn handle_input(&mut self, bytes: &[u8]) {
        self.was_heard = true;
        self.unanswered = self.unanswered.saturating_add(bytes.len());
        self.connection.handle_input(bytes);
    }

    pub fn handle_end(&mut self) {
        self.ended = true;
    }

    pub fn wants_input(&self) -> bool {
        match self.phase {
            Phase::Talking | Phase::Sasl(..) => self.connection.wants_input(),
            // The loop tells of the end.
            Phase::Securing { .. } => true,
            Phase::Asking(..) | Phase::Refusing(..) | Phase::Closing => false,
        }
    }

    pub fn output(&mut self) -> &mut Buffer {
        &mut self.output
    }

    /// The client has not logged in in time.
    pub fn run_out_of_time(&mut self) {
        self.attempts.limit.get_or_insert("auth.login_timeout");
        self.say_bye("Inactivity", "It took too long to log in.");
    }

    /// Ends the conversation: `why` for the log, `text` for the client.
    pub fn say_bye(&mut self, why: &'static str, text: &str) {
        match self.phase {
            Phase::Closing => return,
            // The client would not understand a text.
            Phase::Securing { .. } => {}
            _ => response::bye(self.output.writer(), None, text),
        }
        self.close(why);
    }

    /// Answers whatever the client has said, up to what it must wait for.
    pub fn run(&mut self, now: Now, over: &dyn Fn() -> bool) -> Step {
        loop {
            match &self.phase {
                Phase::Closing => return Step::Close,
                Phase::Securing { .. } if self.ended => return Step::Close,
                Phase::Securing { .. } | Phase::Asking(..) => return Step::Idle,
                Phase::Refusing(tag, why, when) => {
                    if let Some(wait) = when.checked_duration_since(now.instant)
                        && !wait.is_zero()
                    {
                        return Step::Wait(wait);
                    }
                    let (code, text) = refusal::reply(*why);
                    let out = self.output.writer();
                    response::tagged(out, tag, Status::No, Some(code), text);
                    self.phase = Phase::Talking;
                }
                Phase::Talking | Phase::Sasl(..) => {}
            }
            if self.output.is_full() {
                return Step::Idle;
            }
            if over() {
                return Step::Again;
            }
            let Some(event) = self.connection.poll_event(self.output.writer()) else {
                return self.await_input();
            };
            self.unanswered = 0;
            if let Some(step) = self.handle_event(event, now) {
                return step;
            }
        }
    }

    /// The monitor has a question to the client.
    pub fn challenge(&mut self, challenge: &Secret) {
        match std::mem::replace(&mut self.phase, Phase::Talking) {
            Phase::Asking(tag, exchange) => self.pose(tag, exchange, challenge.expose()),
            phase => self.phase = phase,
        }
    }

    /// The client is who it says it is.
    pub fn admit(mut self, user: &str, pid: u32, now: Now) -> Option<Admitted> {
        let Phase::Asking(tag, _) = self.phase else {
            self.log_end(now);
            return None;
        };
        self.attempts.log_success(user, pid);
        let logged_in = LoggedIn {
            tag,
            bad_commands: self.bad_commands,
        };
        Some(Admitted {
            is_encrypted: self.attempts.secrecy == Secrecy::Tls,
            origin: self.attempts.origin(),
            state: logged_in.to_octets(),
            input: self.connection.take_input(),
            output: self.output,
        })
    }

    pub fn refuse(&mut self, why: Refusal, time: Instant) {
        match std::mem::replace(&mut self.phase, Phase::Talking) {
            Phase::Asking(tag, _) => {
                self.attempts.fail(why);
                self.phase = Phase::Refusing(tag, why, time);
            }
            // The client's next line is its answer, whatever it is told before.
            Phase::Sasl(tag, exchange) if exchange.is_begun() => {
                self.given_up = Some(why);
                self.phase = Phase::Sasl(tag, exchange);
            }
            phase => self.phase = phase,
        }
    }

    pub fn log_delay(&self, seconds: f32) {
        self.attempts.log_delay(seconds);
    }

    pub fn log_end(&self, now: Now) {
        let at = match self.phase {
            Phase::Sasl(..) => At::Answering,
            Phase::Asking(..) => At::Waiting,
            Phase::Securing { .. } | Phase::Talking | Phase::Refusing(..) | Phase::Closing => {
                At::Talking
            }
        };
        self.attempts.log_end(at, self.was_heard, now.instant);
    }

    fn greet(&mut self) {
        let capabilities = self.capabilities();
        let code = Some(Code::Capability(&capabilities));
        response::untagged(self.output.writer(), Status::Ok, code, "Roost is ready.");
        self.phase = Phase::Talking;
    }

    fn close(&mut self, why: &'static str) {
        self.attempts.ended = Some(why);
        self.phase = Phase::Closing;
    }

    fn await_input(&mut self) -> Step {
        if self.ended {
            let at_end = std::mem::replace(&mut self.phase, Phase::Closing);
            return match at_end {
                Phase::Sasl(_, exchange) if exchange.is_begun() => Step::Ask(Question::GiveUp),
                _ => Step::Close,
            };
        }
        if self.unanswered > MAX_UNANSWERED {
            let text = "Command too long before login.";
            self.say_bye("Too long a command", text);
            return Step::Close;
        }
        Step::Idle
    }

    fn handle_event(&mut self, event: Event, now: Now) -> Option<Step> {
        match event {
            Event::Command(Tagged { tag, command }) => {
                self.commands = self.commands.saturating_add(1);
                if self.commands > MAX_COMMANDS {
                    self.say_bye("Too many commands", "Too many commands before login.");
                    return None;
                }
                self.handle_command(tag, command, now)
            }
            Event::Continuation(response) => {
                let response = response;
                match std::mem::replace(&mut self.phase, Phase::Talking) {
                    Phase::Sasl(tag, exchange) => {
                        self.handle_response(tag, exchange, response, now)
                    }
                    phase => {
                        self.phase = phase;
                        None
                    }
                }
            }
            Event::Cancelled => {
                let step = self.give_up();
                if let Phase::Sasl(tag, _) = std::mem::replace(&mut self.phase, Phase::Talking) {
                    let out = self.output.writer();
                    response::tagged(out, &tag, Status::Bad, None, "Authentication given up.");
                }
                step
            }
            Event::Bad(bad) => {
                let step = self.give_up();
                self.phase = Phase::Talking;
                self.handle_bad(&bad);
                step
            }
            // None of these comes in the state NotAuthenticated.
            Event::Append(..)
            | Event::AppendData
            | Event::AppendMessage(_)
            | Event::AppendEnd
            | Event::Done => {
                self.connection.refuse();
                self.say_bye("Too many invalid commands", "Log in first.");
                None
            }
        }
    }

    /// Tells the monitor, if it waits for the client's answer, that the answer does not come.
    fn give_up(&self) -> Option<Step> {
        match &self.phase {
            Phase::Sasl(_, exchange) if exchange.is_begun() => Some(Step::Ask(Question::GiveUp)),
            _ => None,
        }
    }

    fn handle_bad(&mut self, bad: &Bad) {
        bad.write(self.output.writer());
        self.bad_commands = self.bad_commands.saturating_add(1);
        if bad.fatal || self.bad_commands >= MAX_BAD_COMMANDS {
            self.say_bye("Too many invalid commands", "Too many bad commands.");
        }
    }

    /// RFC 9051 6.1 and 6.2; the connection lets no other command through.
    fn handle_command(&mut self, tag: Tag, command: Command, now: Now) -> Option<Step> {
        match command {
            Command::Capability => {
                let capabilities = self.capabilities();
                response::capability(self.output.writer(), &capabilities);
                self.done(&tag, "Capability completed.")
            }
            Command::Noop => self.done(&tag, "NOOP completed."),
            Command::Id(_) => {
                response::id(self.output.writer(), &[("name", "Roost")]);
                self.done(&tag, "ID completed.")
            }
            Command::Logout => {
                response::bye(self.output.writer(), None, "Goodbye.");
                self.done(&tag, "Logged out.");
                self.connection.set_state(State::Logout);
                self.close("Logged out");
                None
            }
            Command::StartTls => self.start_tls(&tag),
            Command::Login { user, password } => self.login(tag, user, password, now),
            Command::Authenticate { mechanism, initial } => {
                self.authenticate(tag, &mechanism, initial, now)
            }
            _ => {
                let out = self.output.writer();
                response::tagged(out, &tag, Status::Bad, None, "Log in first.");
                None
            }
        }
    }

    fn done(&mut self, tag: &Tag, text: &str) -> Option<Step> {
        response::tagged(self.output.writer(), tag, Status::Ok, None, text);
        None
    }

    /// RFC 9051 6.2.1
    fn start_tls(&mut self, tag: &Tag) -> Option<Step> {
        let is_tls = self.is_tls();
        let out = self.output.writer();
        if !self.settings.starttls || is_tls {
            let text = match is_tls {
                true => "TLS is in use already.",
                false => "TLS is not to be had here.",
            };
            response::tagged(out, tag, Status::Bad, None, text);
            return None;
        }
        response::tagged(out, tag, Status::Ok, None, "Begin TLS now.");
        self.connection.start_tls();
        self.unanswered = 0;
        self.attempts.secrecy = Secrecy::Handshaking;
        self.phase = Phase::Securing { greet: false };
        Some(Step::StartTls)
    }

    /// RFC 9051 6.2.3
    fn login(&mut self, tag: Tag, user: Vec<u8>, password: Secret, now: Now) -> Option<Step> {
        if !self.settings.mechanisms.has_passwords() {
            return self.refuse_mechanism(&tag, "LOGIN");
        }
        if !self.ground().is_private {
            return self.refuse_in_clear(&tag, true);
        }
        let mechanism = Mechanism::Plain.name();
        let password = password;
        let proof = Proof::Password {
            mechanism,
            user,
            password,
        };
        self.ask(tag, Exchange::Plain, proof, now)
    }

    /// RFC 9051 6.2.2, RFC 4959
    fn authenticate(
        &mut self,
        tag: Tag,
        name: &str,
        initial: Option<Secret>,
        now: Now,
    ) -> Option<Step> {
        let Some(mechanism) = self.settings.mechanisms.find(name) else {
            return self.refuse_mechanism(&tag, name);
        };
        if !mechanism.is_possible(self.ground()) {
            return match self.is_tls() {
                true => self.refuse_mechanism(&tag, name),
                false => self.refuse_in_clear(&tag, mechanism.sends_password()),
            };
        }
        let (exchange, challenge) = mechanism.begin();
        match initial {
            Some(response) => self.handle_response(tag, exchange, response, now),
            None => {
                self.attempts.begin(b"", mechanism.name(), now.instant);
                self.pose(tag, exchange, challenge.as_bytes());
                None
            }
        }
    }

    /// The client's next word in a SASL exchange.
    fn handle_response(
        &mut self,
        tag: Tag,
        exchange: Exchange,
        response: Secret,
        now: Now,
    ) -> Option<Step> {
        let mechanism = exchange.mechanism();
        if let Some(why) = self.given_up.take() {
            self.attempts.fail(why);
            self.phase = Phase::Refusing(tag, why, now.instant);
            return None;
        }
        match exchange.handle(response, self.ground()) {
            Next::Challenge(exchange, challenge) => {
                self.attempts.begin(b"", mechanism, now.instant);
                self.pose(tag, exchange, challenge.as_bytes());
                None
            }
            Next::Ask(exchange, proof) => self.ask(tag, exchange, proof, now),
            Next::Respond(exchange, response) => {
                self.phase = Phase::Asking(tag, exchange);
                Some(Step::Ask(Question::Respond(response)))
            }
            Next::Malformed => {
                // The monitor is not asked, but the answer takes as long as for any other failure.
                self.attempts.begin(b"", mechanism, now.instant);
                self.attempts.fail(Refusal::Mismatch);
                let time = now.instant.checked_add(self.settings.failure_delay);
                let time = time.unwrap_or(now.instant);
                self.phase = Phase::Refusing(tag, Refusal::Mismatch, time);
                None
            }
        }
    }

    fn pose(&mut self, tag: Tag, exchange: Exchange, challenge: &[u8]) {
        let out = self.output.writer();
        self.connection.challenge(&tag, challenge, out);
        self.given_up = None;
        self.phase = Phase::Sasl(tag, exchange);
    }

    fn ask(&mut self, tag: Tag, exchange: Exchange, proof: Proof, now: Now) -> Option<Step> {
        let claimed = sasl::claimed(&proof);
        self.attempts
            .begin(&claimed, exchange.mechanism(), now.instant);
        self.phase = Phase::Asking(tag, exchange);
        Some(Step::Ask(Question::Login(Box::new(LoginRequest {
            protocol: Protocol::Imap,
            origin: self.attempts.origin(),
            proof,
        }))))
    }

    /// RFC 9051 11.1: a password must not go over a network in the clear.
    fn refuse_in_clear(&mut self, tag: &Tag, is_password: bool) -> Option<Step> {
        if self.settings.certificate_required {
            self.attempts.declined = Some(Declined::NoCertificate);
        } else if is_password {
            self.attempts.declined = Some(Declined::TooOpen);
        } else {
            self.attempts.declined.get_or_insert(Declined::Mechanism);
        }
        let code = Some(Code::PrivacyRequired);
        let out = self.output.writer();
        response::tagged(out, tag, Status::No, code, "Use TLS first.");
        None
    }

    /// XOAUTH2 is what most clients ask for in vain; they do not look at what is offered.
    fn refuse_mechanism(&mut self, tag: &Tag, name: &str) -> Option<Step> {
        self.attempts.declined.get_or_insert(Declined::Mechanism);
        let offered = self.settings.mechanisms.offered(self.ground());
        let offered = match offered.is_empty() {
            true => "nothing is".to_owned(),
            false => offered.join(" "),
        };
        let name: String = name.chars().take(MAX_MECHANISM).collect();
        let text = format!("{name} is not offered here; offered: {offered}.");
        let out = self.output.writer();
        response::tagged(out, tag, Status::No, Some(Code::Cannot), &text);
        None
    }

    fn is_tls(&self) -> bool {
        match self.attempts.secrecy {
            Secrecy::Tls | Secrecy::Handshaking | Secrecy::Proxied => true,
            Secrecy::Clear | Secrecy::Local => false,
        }
    }

    fn ground(&self) -> Ground<'_> {
        let is_tls = self.is_tls();
        let (is_private, is_usable) = match self.settings.tls_required {
            _ if self.settings.certificate_required => (is_tls, is_tls),
            TlsRequired::Off | TlsRequired::No => (true, true),
            TlsRequired::Yes => (is_tls || self.attempts.secrecy == Secrecy::Local, true),
            TlsRequired::Always => (is_tls, is_tls),
        };
        Ground {
            is_private,
            is_usable,
            secured: self.secured.as_deref(),
        }
    }

    fn capabilities(&self) -> String {
        let ground = self.ground();
        let stage = Stage::PreLogin {
            starttls: self.settings.starttls && !self.is_tls(),
            login: ground.is_private && self.settings.mechanisms.has_passwords(),
            mechanisms: &self.settings.mechanisms.offered(ground),
        };
        response::capabilities(stage, Some(self.settings.append_limit))
    }
}

/// What stays within this machine need not be encrypted.
fn is_same_host(peer: Peer) -> bool {
    if peer.proxy.is_some() {
        // The way from the proxy to us may be unsafe, whatever the client's address is.
        return false;
    }
    match (peer.address, peer.local) {
        (Some(address), Some(local)) => {
            let address = address.ip().to_canonical();
            address.is_loopback() || address == local.ip().to_canonical()
        }
        // A unix socket or a pipe.
        _ => true,
    }
}

/// How many bad commands a client may send before login.
const MAX_BAD_COMMANDS: u32 = 3;

/// How many commands a client may send before login.  It needs a handful.
const MAX_COMMANDS: u32 = 100;

/// The longest command before login, literals included: twice the longest SASL token one meets.
pub(super) const MAX_UNANSWERED: usize = 16 * 1024;

/// How much of the name of a mechanism is repeated.
const MAX_MECHANISM: usize = 40;
