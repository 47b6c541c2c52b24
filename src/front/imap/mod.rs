//! IMAP before login (RFC 9051 6.1 and 6.2, RFC 4959): the conversation with one client.
//!
//! | file | what |
//! |---|---|
//! | `mod` | the client: what it sends, and how the conversation ends |
//! | `command` | its commands |
//! | `authenticate` | LOGIN and AUTHENTICATE |
//! | `refusal` | what somebody who is not let in is told |

mod authenticate;
mod command;
mod refusal;

use std::rc::Rc;
use std::time::Instant;

use super::Settings;
use super::attempts::{At, Attempts};
use super::conversation::{Admitted, Ask, Conversation, Entry, Question, Step};
use super::protocols::{Clients, Reception};
use super::sasl::{Exchange, Ground};
use super::secrecy::Secrecy;
use crate::imap::LoggedIn;
use crate::imap::command::{Tag, Tagged};
use crate::imap::connection::{Bad, Connection, Event, State};
use crate::imap::response::{self, Code, Status};
use crate::ipc::Refusal;
use crate::mail::Secret;
use crate::net::stream::Peer;
use crate::net::{Buffer, ConnectionId, Now, Secured};

pub(super) const RECEPTION: Reception = Reception {
    begin: |settings, id, peer, now| Box::new(ImapClient::new(settings, id, peer, now)),
    clients: Clients::Strangers {
        turn_away: |settings, id, peer, now| {
            Box::new(ImapClient::turned_away(settings, id, peer, now))
        },
    },
};

pub(super) struct ImapClient {
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

impl ImapClient {
    fn new(settings: Rc<Settings>, id: ConnectionId, peer: Peer, now: Now) -> ImapClient {
        let secrecy = Secrecy::of(peer, &settings);
        let mut client = ImapClient {
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
            was_heard: false,
            given_up: None,
        };
        if !peer.tls {
            client.greet();
        }
        client
    }

    /// A client for whom there is no place.  It is told so, and nothing else.
    fn turned_away(settings: Rc<Settings>, id: ConnectionId, peer: Peer, now: Now) -> ImapClient {
        let mut client = ImapClient::new(settings, id, peer, now);
        client.output = Buffer::new();
        let text = "Too many connections from this address wait to log in \
                    (limits.waiting_connections_per_address).";
        response::bye(client.output.writer(), Some(Code::Limit), text);
        client.close("Too many connections from the same address have not logged in");
        client.attempts.limit = Some("limits.waiting_connections_per_address");
        client
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

    /// Ends the conversation: `why` for the log, `text` for the client.
    fn say_bye(&mut self, why: &'static str, text: &str) {
        match self.phase {
            Phase::Closing => return,
            // The client would not understand a text.
            Phase::Securing { .. } => {}
            _ => response::bye(self.output.writer(), None, text),
        }
        self.close(why);
    }

    fn await_input(&mut self) -> Step {
        if self.ended {
            let at_end = std::mem::replace(&mut self.phase, Phase::Closing);
            return match at_end {
                Phase::Sasl(_, exchange) if exchange.is_begun() => ask(Question::GiveUp),
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
            Event::Command(Tagged { tag, command, .. }) => {
                self.commands = self.commands.saturating_add(1);
                if self.commands > MAX_COMMANDS {
                    self.say_bye("Too many commands", "Too many commands before login.");
                    return None;
                }
                self.handle_command(tag, command, now)
            }
            Event::Continuation(response) => {
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
                let step = self.abandon();
                if let Phase::Sasl(tag, _) = std::mem::replace(&mut self.phase, Phase::Talking) {
                    let out = self.output.writer();
                    response::tagged(out, &tag, Status::Bad, None, "Authentication given up.");
                }
                step
            }
            Event::Bad(bad) => {
                let step = self.abandon();
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
    fn abandon(&self) -> Option<Step> {
        match &self.phase {
            Phase::Sasl(_, exchange) if exchange.is_begun() => Some(ask(Question::GiveUp)),
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

    fn ground(&self) -> Ground<'_> {
        let secured = self.secured.as_deref();
        self.attempts.secrecy.ground(&self.settings, secured)
    }
}

/// A question of this client: it asks one at a time.
fn ask(question: Question) -> Step {
    Step::Ask(Ask {
        request: ONLY,
        question,
        penalise: true,
    })
}

impl Conversation for ImapClient {
    fn handle_secured(&mut self, secured: Secured) {
        self.attempts.secrecy = Secrecy::Tls;
        self.was_heard = true;
        self.secured = Some(Box::new(secured));
        match self.phase {
            Phase::Securing { greet: true } => self.greet(),
            Phase::Securing { greet: false } => self.phase = Phase::Talking,
            _ => {}
        }
    }

    fn handle_tls_failure(&mut self, reason: &str) {
        self.was_heard = true;
        self.attempts.fail_tls(reason);
    }

    fn handle_input(&mut self, octets: &[u8]) {
        self.was_heard = true;
        self.unanswered = self.unanswered.saturating_add(octets.len());
        self.connection.handle_input(octets);
    }

    fn handle_end(&mut self) {
        self.ended = true;
    }

    fn handle_deadline(&mut self) {
        self.attempts.limit.get_or_insert("auth.login_timeout");
        self.say_bye("Inactivity", "It took too long to log in.");
    }

    fn handle_stop(&mut self) {
        self.say_bye("Shutting down", "Server shutting down.");
    }

    fn run(&mut self, now: Now, over: &dyn Fn() -> bool) -> Step {
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

    fn wants_input(&self) -> bool {
        match self.phase {
            Phase::Talking | Phase::Sasl(..) => self.connection.wants_input(),
            // The loop tells of the end.
            Phase::Securing { .. } => true,
            Phase::Asking(..) | Phase::Refusing(..) | Phase::Closing => false,
        }
    }

    fn output(&mut self) -> &mut Buffer {
        &mut self.output
    }

    fn challenge(&mut self, _request: u32, challenge: &Secret) {
        match std::mem::replace(&mut self.phase, Phase::Talking) {
            Phase::Asking(tag, exchange) => self.pose(tag, exchange, challenge.expose()),
            phase => self.phase = phase,
        }
    }

    fn admit(&mut self, _request: u32, user: &str, pid: u32) -> Entry {
        let Phase::Asking(tag, _) = &self.phase else {
            return Entry::Nobody;
        };
        let logged_in = LoggedIn {
            tag: tag.clone(),
            bad_commands: self.bad_commands,
        };
        self.attempts.log_success(user, pid);
        Entry::Session(Box::new(Admitted {
            is_encrypted: self.attempts.secrecy == Secrecy::Tls,
            origin: self.attempts.origin(),
            state: logged_in.to_octets(),
            input: self.connection.take_input(),
            output: std::mem::take(&mut self.output),
            say_sorry: refusal::say_bye,
        }))
    }

    fn refuse(&mut self, _request: u32, why: Refusal, time: Instant) {
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

    /// Whatever it is at: somebody may still work on what it asked before it was told to go.
    fn requests(&self) -> Vec<u32> {
        vec![ONLY]
    }

    fn give_up(&mut self, why: &'static str, limit: &'static str) {
        self.attempts.limit = Some(limit);
        self.close(why);
    }

    fn log_delay(&self, _request: u32, seconds: f32) {
        self.attempts.log_delay(seconds);
    }

    fn log_end(&self, now: Now) {
        let at = match self.phase {
            Phase::Sasl(..) => At::Answering,
            Phase::Asking(..) => At::Waiting,
            Phase::Securing { .. } | Phase::Talking | Phase::Refusing(..) | Phase::Closing => {
                At::Talking
            }
        };
        self.attempts.log_end(at, self.was_heard, now.instant);
    }
}

/// The number of its only question.
const ONLY: u32 = 0;

/// How many bad commands a client may send before login.
const MAX_BAD_COMMANDS: u32 = 3;

/// How many commands a client may send before login.  It needs a handful.
const MAX_COMMANDS: u32 = 100;

/// The longest command before login, literals included: twice the longest SASL token one meets.
pub(super) const MAX_UNANSWERED: usize = 16 * 1024;
