//! The dialogue with one client before login (RFC 9051 6.1 and 6.2, RFC 4959).

use std::time::Instant;

use super::attempts::Attempts;
use super::{Admitted, Credentials, Refusal, Settings, Step};
use crate::imap::Connection;
use crate::imap::command::{Command, Secret, Tag, Tagged};
use crate::imap::connection::{Bad, Event, State};
use crate::imap::response::{self, Code, Stage, Status};
use crate::net::stream::Peer;
use crate::net::{Buffer, ConnectionId, Now};

pub(super) struct Login {
    settings: Settings,
    connection: Connection,
    output: Buffer,
    attempts: Attempts,
    /// Passwords are taken on this connection.
    is_private: bool,
    phase: Phase,
    /// The client has closed its half.
    ended: bool,
    bad_commands: u32,
    /// How much was sent since the last thing that made sense.
    unanswered: usize,
}

enum Phase {
    Talking,
    /// AUTHENTICATE waits for the client.
    Sasl(Tag, Exchange),
    /// Somebody else finds out whether the client is let in.
    Asking(Tag),
    /// The client is not let in, and told so only then.
    Refusing(Tag, Refusal, Instant),
    Closing,
}

/// How far a SASL mechanism has come.
enum Exchange {
    /// RFC 4616
    Plain,
    /// LOGIN (draft-murchison-sasl-login): a user name is awaited.
    LoginUser,
    /// LOGIN: a password is awaited.
    LoginPassword(Vec<u8>),
}

impl Login {
    pub fn new(settings: Settings, id: ConnectionId, peer: Peer, now: Now) -> Login {
        let mut login = Login {
            settings,
            connection: Connection::new(State::NotAuthenticated, settings.separator),
            output: Buffer::new(),
            attempts: Attempts::new(id, peer, now.instant),
            is_private: peer.tls || is_same_host(peer),
            phase: Phase::Talking,
            ended: false,
            bad_commands: 0,
            unanswered: 0,
        };
        let capabilities = login.capabilities();
        let code = Some(Code::Capability(&capabilities));
        response::untagged(login.output.writer(), Status::Ok, code, "Roost is ready");
        login
    }

    pub fn handle_input(&mut self, bytes: &[u8]) {
        self.unanswered = self.unanswered.saturating_add(bytes.len());
        self.connection.handle_input(bytes);
    }

    pub fn handle_end(&mut self) {
        self.ended = true;
    }

    pub fn wants_input(&self) -> bool {
        matches!(self.phase, Phase::Talking | Phase::Sasl(..)) && self.connection.wants_input()
    }

    pub fn output(&mut self) -> &mut Buffer {
        &mut self.output
    }

    /// Ends the conversation.
    pub fn say_bye(&mut self, text: &str) {
        if !matches!(self.phase, Phase::Closing) {
            response::bye(self.output.writer(), None, text);
            self.close();
        }
    }

    /// Answers whatever the client has said, up to what it must wait for.
    pub fn run(&mut self, now: Now) -> Step {
        loop {
            match &self.phase {
                Phase::Closing => return Step::Close,
                Phase::Asking(_) => return Step::Idle,
                Phase::Refusing(tag, why, when) => {
                    if let Some(wait) = when.checked_duration_since(now.instant)
                        && !wait.is_zero()
                    {
                        return Step::Wait(wait);
                    }
                    answer_refusal(self.output.writer(), tag, *why);
                    self.phase = Phase::Talking;
                }
                Phase::Talking | Phase::Sasl(..) => {}
            }
            if self.output.is_full() {
                return Step::Idle;
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

    /// The client is who it says it is.
    pub fn admit(self, now: Now) -> Option<Admitted> {
        let Phase::Asking(tag) = self.phase else {
            self.attempts.log_end(now.instant);
            return None;
        };
        self.attempts.log_success();
        Some(Admitted {
            tag,
            connection: self.connection,
            output: self.output,
        })
    }

    pub fn refuse(&mut self, why: Refusal, now: Now) {
        self.attempts.fail();
        match std::mem::replace(&mut self.phase, Phase::Talking) {
            Phase::Asking(tag) => {
                let until = now.instant.checked_add(self.settings.failure_delay);
                self.phase = Phase::Refusing(tag, why, until.unwrap_or(now.instant));
            }
            phase => self.phase = phase,
        }
    }

    pub fn log_end(&self, now: Now) {
        self.attempts.log_end(now.instant);
    }

    fn close(&mut self) {
        self.attempts.ended_by_us = true;
        self.phase = Phase::Closing;
    }

    fn await_input(&mut self) -> Step {
        if self.ended {
            self.phase = Phase::Closing;
            return Step::Close;
        }
        if self.unanswered > MAX_UNANSWERED {
            self.say_bye("That is too much for one command before login");
            return Step::Close;
        }
        Step::Idle
    }

    fn handle_event(&mut self, event: Event, now: Now) -> Option<Step> {
        match event {
            Event::Command(Tagged { tag, command }) => self.handle_command(tag, command, now),
            Event::Continuation(response) => self.handle_response(&response, now),
            Event::Cancelled => {
                if let Phase::Sasl(tag, _) = std::mem::replace(&mut self.phase, Phase::Talking) {
                    let out = self.output.writer();
                    response::tagged(out, &tag, Status::Bad, None, "Authentication given up");
                }
                None
            }
            Event::Bad(bad) => {
                self.phase = Phase::Talking;
                self.handle_bad(&bad);
                None
            }
            // None of these comes in the state NotAuthenticated; if one does, it is no command.
            Event::Append(..)
            | Event::AppendData
            | Event::AppendMessage(_)
            | Event::AppendEnd
            | Event::Done => {
                self.connection.refuse();
                self.say_bye("Log in first");
                None
            }
        }
    }

    fn handle_bad(&mut self, bad: &Bad) {
        bad.write(self.output.writer());
        self.bad_commands = self.bad_commands.saturating_add(1);
        if bad.fatal || self.bad_commands >= MAX_BAD_COMMANDS {
            self.say_bye("Too many bad commands");
        }
    }

    /// RFC 9051 6.1 and 6.2; the connection lets no other command through.
    fn handle_command(&mut self, tag: Tag, command: Command, now: Now) -> Option<Step> {
        let capabilities = self.capabilities();
        let out = self.output.writer();
        let done = |out: &mut Vec<u8>, text: &str| {
            response::tagged(out, &tag, Status::Ok, None, text);
            None
        };
        match command {
            Command::Capability => {
                response::capability(out, &capabilities);
                done(out, "That is what can be done now")
            }
            Command::Noop => done(out, "Nothing done"),
            Command::Id(_) => {
                response::id(out, &[("name", "Roost")]);
                done(out, "That is who we are")
            }
            Command::Logout => {
                response::bye(out, None, "Goodbye");
                done(out, "Logged out");
                self.connection.set_state(State::Logout);
                self.close();
                None
            }
            Command::StartTls => self.start_tls(&tag),
            Command::Login { user, password } => self.ask(tag, user, password, "PLAIN"),
            Command::Authenticate { mechanism, initial } => {
                self.authenticate(tag, &mechanism, initial, now)
            }
            _ => {
                response::tagged(out, &tag, Status::Bad, None, "Log in first");
                None
            }
        }
    }

    /// RFC 9051 6.2.1
    fn start_tls(&mut self, tag: &Tag) -> Option<Step> {
        let out = self.output.writer();
        if !self.settings.starttls || self.attempts.tls {
            let text = match self.attempts.tls {
                true => "TLS is in use already",
                false => "TLS is not to be had here",
            };
            response::tagged(out, tag, Status::Bad, None, text);
            return None;
        }
        response::tagged(out, tag, Status::Ok, None, "Begin TLS now");
        self.connection.start_tls();
        self.attempts.tls = true;
        self.is_private = true;
        Some(Step::StartTls)
    }

    /// RFC 9051 6.2.2, RFC 4959
    fn authenticate(
        &mut self,
        tag: Tag,
        mechanism: &str,
        initial: Option<Secret>,
        now: Now,
    ) -> Option<Step> {
        let (exchange, challenge) = match mechanism.to_ascii_uppercase().as_str() {
            "PLAIN" => (Exchange::Plain, ""),
            "LOGIN" => (Exchange::LoginUser, "Username:"),
            _ => {
                let out = self.output.writer();
                response::tagged(
                    out,
                    &tag,
                    Status::No,
                    Some(Code::Cannot),
                    "Unknown mechanism",
                );
                return None;
            }
        };
        if !self.is_private {
            return self.refuse_in_clear(&tag);
        }
        match initial {
            Some(response) => {
                self.phase = Phase::Sasl(tag, exchange);
                self.handle_response(&response, now)
            }
            None => {
                let out = self.output.writer();
                self.connection.challenge(&tag, challenge.as_bytes(), out);
                self.phase = Phase::Sasl(tag, exchange);
                None
            }
        }
    }

    /// The client's next word in a SASL exchange.
    fn handle_response(&mut self, response: &Secret, now: Now) -> Option<Step> {
        let Phase::Sasl(tag, exchange) = std::mem::replace(&mut self.phase, Phase::Talking) else {
            return None;
        };
        let response = response.expose();
        match exchange {
            Exchange::Plain => match plain(response) {
                Some((user, password)) => self.ask(tag, user.to_vec(), password, "PLAIN"),
                None => {
                    // Nobody need be asked; but it takes as long as any other failure.
                    self.attempts.begin(b"", "PLAIN");
                    self.phase = Phase::Asking(tag);
                    self.refuse(Refusal::Mismatch, now);
                    None
                }
            },
            Exchange::LoginUser => {
                let out = self.output.writer();
                self.connection.challenge(&tag, b"Password:", out);
                self.phase = Phase::Sasl(tag, Exchange::LoginPassword(response.to_vec()));
                None
            }
            Exchange::LoginPassword(user) => {
                self.ask(tag, user, Secret::new(response.to_vec()), "LOGIN")
            }
        }
    }

    fn ask(
        &mut self,
        tag: Tag,
        user: Vec<u8>,
        password: Secret,
        mechanism: &'static str,
    ) -> Option<Step> {
        if !self.is_private {
            return self.refuse_in_clear(&tag);
        }
        self.attempts.begin(&user, mechanism);
        self.phase = Phase::Asking(tag);
        Some(Step::Ask(Credentials { user, password }))
    }

    /// RFC 9051 11.1: a password must not go over a network in the clear.
    fn refuse_in_clear(&mut self, tag: &Tag) -> Option<Step> {
        response::tagged(
            self.output.writer(),
            tag,
            Status::No,
            Some(Code::PrivacyRequired),
            "Use TLS first",
        );
        None
    }

    fn capabilities(&self) -> String {
        let stage = Stage::PreLogin {
            starttls: self.settings.starttls && !self.attempts.tls,
            login: self.is_private,
        };
        response::capabilities(stage, Some(self.settings.append_limit))
    }
}

fn answer_refusal(out: &mut Vec<u8>, tag: &Tag, why: Refusal) {
    let (code, text) = match why {
        Refusal::Mismatch => (Code::AuthenticationFailed, "Wrong user name or password"),
        Refusal::Unavailable => (Code::Unavailable, "Logging in is not possible for now"),
    };
    response::tagged(out, tag, Status::No, Some(code), text);
}

/// `[authzid] NUL authcid NUL passwd` (RFC 4616 2).  Nobody may act for somebody else.
fn plain(message: &[u8]) -> Option<(&[u8], Secret)> {
    let mut fields = message.split(|&octet| octet == 0);
    let (authzid, authcid, password) = (fields.next()?, fields.next()?, fields.next()?);
    let is_self = authzid.is_empty() || authzid == authcid;
    let is_whole = fields.next().is_none() && !authcid.is_empty();
    (is_self && is_whole).then(|| (authcid, Secret::new(password.to_vec())))
}

/// What stays within this machine need not be encrypted.
fn is_same_host(peer: Peer) -> bool {
    match (peer.address, peer.local) {
        (Some(address), Some(local)) => {
            let address = address.ip().to_canonical();
            address.is_loopback() || address == local.ip().to_canonical()
        }
        // A unix socket or a pipe.
        _ => true,
    }
}

/// Somebody who is not logged in is not worth more patience.
const MAX_BAD_COMMANDS: u32 = 3;

/// The longest command before login, literals included: twice the longest SASL token one meets.
pub(super) const MAX_UNANSWERED: usize = 16 * 1024;
