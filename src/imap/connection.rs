//! One conversation: states, continuations, literals, IDLE, pipelining (RFC 3501 3).
//!
//! The driver hands in bytes as they come (`handle_input`) and stops reading while `wants_input` is
//! false.  Whoever acts on commands (the session, or the front before login) calls `poll_event`
//! when it has finished with the event before, so pipelined commands stay in order; `None` means
//! that more input is needed.  What the connection itself has to say (continuation requests) it
//! appends to the `out` that it is given, which is the one the caller writes responses to, so order
//! is kept.
//!
//! What to do with an event:
//!
//! * `Command`: act and write the tagged response.  It is allowed in the present state.
//!   - Select: `set_state(Selected)` on success, `set_state(Authenticated)` when it failed (RFC
//!     3501 6.3.1) or after CLOSE and UNSELECT; the connection refuses what the state does not
//!     allow.
//!   - Logout: write BYE and OK, `set_state(Logout)`; `poll_event` gives nothing more.
//!   - Enable: `enable` each extension that is to be on; names are read and written accordingly
//!     (`dialect`).
//!   - Idle: call `start_idle`, write untagged data whenever there is some, and the tagged response
//!     after `Done`, or after `Bad`, which ends IDLE too.
//!   - Authenticate: `challenge` as often as the mechanism wants; each is answered by
//!     `Continuation`, `Cancelled` or `Bad`.  Then the tagged response and
//!     `set_state(Authenticated)`.
//!   - StartTls: write OK, then call `start_tls`, which forgets what was sent after the command in
//!     the clear, and begin with TLS.
//!   - Anything may still be answered BAD by the caller: then `count_bad`.
//! * `Append`: answer with `accept` or `refuse`.  After `accept` the text comes: each `AppendData`
//!   says that there is some in `append_data`, of which any part is taken with
//!   `consume_append_data`.  After the last octet comes `AppendMessage` for a further message
//!   (`accept` or `refuse` again), or `AppendEnd`: now the tagged response is due.  `Bad` in
//!   between ends the command: forget the messages.  `refuse` may be called at any time up to
//!   `AppendEnd` (disk full, message too big): it ends the command, the tagged NO is the caller's;
//!   what the client still sends of it is swallowed.
//! * `Bad`: write its response; if it is `fatal`, then BYE as well, and close.
//!
//! A client that has closed its half may have commands in the buffer: go on until `poll_event`
//! gives nothing.

use super::append::{AppendMessage, AppendStart};
use super::command::{
    Allowed, Command, Extension, Name, Tag, Tagged, decode_base64, parse_arguments, parse_name,
};
use super::framing::{Frame, Framer};
use super::mailbox::Dialect;
use super::namespace::{Namespaces, PLAIN};
use super::response::{self, Status};
use super::syntax::{Literal, ParseError, Parsed, Reader};
use crate::mail::Secret;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use std::rc::Rc;

#[derive(Debug)]
pub struct Connection {
    framer: Framer,
    state: State,
    phase: Phase,
    utf8: bool,
    separator: u8,
    namespaces: Option<Rc<Namespaces>>,
    condstore: bool,
    qresync: bool,
    bad_commands: u32,
    /// The caller found the last command bad.
    last_was_bad: bool,
    /// How much of the command at hand was read before it was complete.
    looked_ahead: usize,
}

/// What the next input is.
#[derive(Clone, Debug)]
enum Phase {
    Command,
    /// No input: `accept` or `refuse` is due.
    AppendAnnounced(Tag, Literal),
    AppendText(Tag),
    AppendBetween(Tag),
    /// The answer to a challenge.
    Authenticate(Tag),
    /// `DONE`
    Idle(Tag),
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    Command(Tagged),
    /// `APPEND` up to its first message.
    Append(Tag, AppendStart),
    /// There is text in `append_data`.
    AppendData,
    /// A further message of the same APPEND (RFC 3502).
    AppendMessage(AppendMessage),
    /// The APPEND is complete.
    AppendEnd,
    /// The answer to a `challenge`, decoded.
    Continuation(Secret),
    /// The client gave AUTHENTICATE up (`*`): BAD is due (RFC 3501 6.2.2).
    Cancelled,
    /// `DONE`: IDLE is over.
    Done,
    Bad(Bad),
}

/// A command that does not exist, is wrong, or is not allowed now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Bad {
    pub tag: Option<Tag>,
    /// Without its full stop.
    pub text: &'static str,
    /// The client has sent too many of these.
    pub fatal: bool,
}

impl Bad {
    /// The BAD response, untagged if the client gave no tag.
    pub fn write(&self, out: &mut Vec<u8>) {
        let text = format!("{}.", self.text);
        match &self.tag {
            Some(tag) => response::tagged(out, tag, Status::Bad, None, &text),
            None => response::untagged(out, Status::Bad, None, &text),
        }
    }
}

/// RFC 3501 3
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    NotAuthenticated,
    Authenticated,
    Selected,
    Logout,
}

impl Connection {
    pub fn new(state: State, separator: u8) -> Connection {
        let framer = match state {
            State::NotAuthenticated => Framer::wiping(),
            _ => Framer::new(),
        };
        Connection {
            framer,
            state,
            phase: Phase::Command,
            utf8: false,
            separator,
            namespaces: None,
            condstore: false,
            qresync: false,
            bad_commands: 0,
            looked_ahead: 0,
            last_was_bad: false,
        }
    }

    /// Goes on counting where the former owner of the connection left off.
    pub fn set_bad_commands(&mut self, count: u32) {
        self.bad_commands = count;
    }

    /// How many bad commands in a row were counted, for the next owner of the connection.
    pub fn bad_commands(&self) -> u32 {
        self.bad_commands
    }

    /// Takes what the client sent.
    pub fn handle_input(&mut self, bytes: &[u8]) {
        if self.state != State::Logout {
            self.framer.handle_input(bytes);
        }
    }

    /// Takes out the input that was not looked at yet, for the connection that goes on with it.
    pub fn take_input(&mut self) -> Vec<u8> {
        self.framer.take_unread()
    }

    /// Whether the driver may read on; false while plenty of unread input waits.
    pub fn wants_input(&self) -> bool {
        self.framer.wants_input()
    }

    /// The next thing to act on, or `None` if more input is needed.
    pub fn poll_event(&mut self, out: &mut Vec<u8>) -> Option<Event> {
        if self.state == State::Logout {
            return None;
        }
        match &self.phase {
            Phase::Command => self.poll_command(out),
            Phase::AppendAnnounced(..) => None,
            Phase::AppendText(_) if !self.framer.stream().is_empty() => Some(Event::AppendData),
            Phase::AppendText(tag) => {
                let tag = tag.clone();
                if !self.framer.end_stream() {
                    return None;
                }
                self.phase = Phase::AppendBetween(tag.clone());
                self.poll_between(tag)
            }
            Phase::AppendBetween(tag) => self.poll_between(tag.clone()),
            Phase::Authenticate(tag) => self.poll_answer(tag.clone()),
            Phase::Idle(tag) => self.poll_done(tag.clone()),
        }
    }

    /// Lets the message announced by `Append` or `AppendMessage` come.
    pub fn accept(&mut self, out: &mut Vec<u8>) {
        let Phase::AppendAnnounced(tag, literal) = &self.phase else {
            return;
        };
        if literal.synchronising {
            out.extend_from_slice(GO_AHEAD);
        }
        self.phase = Phase::AppendText(tag.clone());
        self.framer.stream_literal();
    }

    /// Gives the APPEND up.
    pub fn refuse(&mut self) {
        if let Phase::AppendAnnounced(..) | Phase::AppendText(_) | Phase::AppendBetween(_) =
            self.phase
        {
            self.phase = Phase::Command;
            self.framer.discard();
        }
    }

    /// Text of the message accepted last, as far as it has come; empty if none has.
    pub fn append_data(&self) -> &[u8] {
        self.framer.stream()
    }

    /// Takes `n` octets off the front of `append_data`.
    pub fn consume_append_data(&mut self, n: usize) {
        self.framer.consume_stream(n);
    }

    /// Writes `+ idling`; `poll_event` waits for `DONE` from now on.
    pub fn start_idle(&mut self, tag: &Tag, out: &mut Vec<u8>) {
        out.extend_from_slice(b"+ idling\r\n");
        self.phase = Phase::Idle(tag.clone());
    }

    /// Writes `+ ` and the challenge in base64; the next line is its answer.
    pub fn challenge(&mut self, tag: &Tag, challenge: &[u8], out: &mut Vec<u8>) {
        out.extend_from_slice(b"+ ");
        out.extend_from_slice(STANDARD.encode(challenge).as_bytes());
        out.extend_from_slice(b"\r\n");
        self.phase = Phase::Authenticate(tag.clone());
    }

    /// Forgets all unread input: nothing sent before TLS counts after it (RFC 3501 6.2.1).
    pub fn start_tls(&mut self) {
        self.framer = Framer::wiping();
        self.phase = Phase::Command;
    }

    pub fn state(&self) -> State {
        self.state
    }

    pub fn set_state(&mut self, state: State) {
        if self.state == State::NotAuthenticated {
            self.framer.stop_wiping();
        }
        self.state = state;
    }

    /// What stands before mailbox names; nothing unless this is called.
    pub fn set_namespaces(&mut self, namespaces: Rc<Namespaces>) {
        self.namespaces = Some(namespaces);
    }

    /// How mailbox names are read and to be written.
    pub fn dialect(&self) -> Dialect<'_> {
        Dialect {
            utf8: self.utf8,
            separator: self.separator,
            namespaces: self.namespaces.as_deref().unwrap_or(&PLAIN),
        }
    }

    /// Switches an extension on; QRESYNC switches CONDSTORE on as well (RFC 7162 3.2.3).
    pub fn enable(&mut self, extension: Extension) {
        match extension {
            Extension::Imap4Rev2 => self.utf8 = true,
            Extension::CondStore => self.condstore = true,
            Extension::QResync => {
                self.condstore = true;
                self.qresync = true;
            }
        }
    }

    pub fn is_enabled(&self, extension: Extension) -> bool {
        match extension {
            Extension::Imap4Rev2 => self.utf8,
            Extension::CondStore => self.condstore,
            Extension::QResync => self.qresync,
        }
    }

    /// Counts a command that the caller found bad; true: that was one too many, say BYE.
    pub fn count_bad(&mut self) -> bool {
        self.last_was_bad = true;
        self.is_one_too_many()
    }

    fn poll_command(&mut self, out: &mut Vec<u8>) -> Option<Event> {
        loop {
            match self.framer.poll_frame()? {
                Frame::Command => {
                    let (tag, command) = self.parse();
                    self.looked_ahead = 0;
                    self.framer.finish();
                    return Some(match (tag, command) {
                        (Some(tag), Ok((name, command))) => {
                            self.count_good();
                            Event::Command(Tagged { tag, name, command })
                        }
                        (tag, Err(text)) => self.bad(tag, text),
                        (None, Ok(_)) => self.bad(None, NO_TAG),
                    });
                }
                Frame::Literal(literal) => {
                    if let Some(event) = self.handle_literal(literal, out) {
                        return Some(event);
                    }
                }
                Frame::TooLong => {
                    let (tag, _) = parse_name(&mut Reader::new(self.framer.text()));
                    self.looked_ahead = 0;
                    self.framer.discard();
                    return Some(self.bad(tag, TOO_LONG));
                }
            }
        }
    }

    /// The command that has come whole, and its name, or what is wrong with it.
    fn parse(&self) -> (Option<Tag>, Result<(&'static str, Command), &'static str>) {
        let mut reader = Reader::new(self.framer.text());
        let (tag, name) = parse_name(&mut reader);
        let command = name.map_err(bad_text).and_then(|name| {
            self.permit(name)?;
            if name.is_append() {
                return Err(bad_text(
                    reader
                        .append_start(self.dialect())
                        .map_or_else(|error| error, |_| ParseError::LiteralAwaited),
                ));
            }
            let command = parse_arguments(name, &mut reader, self.dialect()).map_err(bad_text)?;
            self.permit_arguments(&command)?;
            Ok((name.as_str(), command))
        });
        (tag, command)
    }

    /// Decides about a literal: it belongs to the command, or is the message of an APPEND, or is
    /// not wanted.  A command that is already wrong is answered at once, so that a client that
    /// waits with the literal need not send it.
    fn handle_literal(&mut self, literal: Literal, out: &mut Vec<u8>) -> Option<Event> {
        let length = self.framer.text().len();
        let looks_ahead = self.looked_ahead.saturating_add(length) <= LOOKED_AHEAD_MAX;
        if looks_ahead {
            self.looked_ahead += length;
        }
        let (tag, decision) = self.decide(literal, looks_ahead);
        match (tag, decision) {
            (Some(_), Ok(Decision::Keep)) => {
                if literal.synchronising {
                    out.extend_from_slice(GO_AHEAD);
                }
                self.framer.keep_literal();
                None
            }
            (Some(tag), Ok(Decision::Append(start))) => {
                self.count_good();
                self.phase = Phase::AppendAnnounced(tag.clone(), literal);
                Some(Event::Append(tag, start))
            }
            (tag, decision) => {
                self.looked_ahead = 0;
                self.framer.discard();
                Some(self.bad(tag, decision.err().unwrap_or(NO_TAG)))
            }
        }
    }

    fn decide(
        &self,
        literal: Literal,
        looks_ahead: bool,
    ) -> (Option<Tag>, Result<Decision, &'static str>) {
        let text = self.framer.text();
        let mut reader = Reader::new(text);
        let (tag, name) = parse_name(&mut reader);
        let decision = name.map_err(bad_text).and_then(|name| {
            self.permit(name)?;
            if name.is_append() {
                match reader.append_start(self.dialect()) {
                    Ok(start) => return Ok(Decision::Append(start)),
                    Err(ParseError::Syntax(text)) => return Err(text),
                    Err(ParseError::LiteralAwaited) => {}
                }
            } else if looks_ahead
                && let Err(ParseError::Syntax(text)) =
                    parse_arguments(name, &mut reader, self.dialect())
            {
                return Err(text);
            }
            let limit = match self.state {
                State::NotAuthenticated => LITERALS_BEFORE_LOGIN_MAX,
                _ => LITERALS_MAX,
            };
            if !self.framer.may_keep(literal, limit) {
                return Err("Literal too large");
            }
            if literal.literal8 {
                return Err("literal8 is for APPEND only");
            }
            Ok(Decision::Keep)
        });
        (tag, decision)
    }

    /// RFC 3501 6: which commands are allowed in which states.
    fn permit(&self, name: Name) -> Result<(), &'static str> {
        let logged_in = self.state != State::NotAuthenticated;
        match name.allowed {
            Allowed::BeforeLogin if logged_in => Err("Already logged in"),
            Allowed::AfterLogin | Allowed::Selected if !logged_in => Err("Please log in first"),
            Allowed::Selected if self.state != State::Selected => Err("No mailbox selected"),
            _ => Ok(()),
        }
    }

    /// RFC 7162 3.2.5.2 and 3.2.6: what needs ENABLE QRESYNC.
    fn permit_arguments(&self, command: &Command) -> Result<(), &'static str> {
        let needs_qresync = match command {
            Command::Select(select) => select.qresync.is_some(),
            Command::Fetch(fetch) => fetch.vanished,
            _ => false,
        };
        if needs_qresync && !self.qresync {
            return Err("QRESYNC is not enabled");
        }
        Ok(())
    }

    /// Between the messages of an APPEND, or after the last.
    fn poll_between(&mut self, tag: Tag) -> Option<Event> {
        let frame = self.framer.poll_frame()?;
        let mut reader = Reader::new(self.framer.text());
        let next: Parsed<Option<AppendMessage>> = match frame {
            Frame::Command if reader.is_at_end() => Ok(None),
            Frame::Command => reader.append_message().map(Some),
            Frame::Literal(_) => reader.append_message().map(Some),
            Frame::TooLong => Err(ParseError::Syntax(TOO_LONG)),
        };
        Some(match (next, frame) {
            (Ok(Some(message)), Frame::Literal(literal)) => {
                self.phase = Phase::AppendAnnounced(tag, literal);
                Event::AppendMessage(message)
            }
            (Ok(None), _) => {
                self.phase = Phase::Command;
                self.framer.finish();
                Event::AppendEnd
            }
            (next, _) => {
                self.phase = Phase::Command;
                self.framer.discard();
                let text = next.err().map_or(NO_LITERAL, bad_text);
                self.bad(Some(tag), text)
            }
        })
    }

    /// continue-auth: the answer to a challenge, or `*`.
    fn poll_answer(&mut self, tag: Tag) -> Option<Event> {
        let frame = self.framer.poll_line()?;
        self.phase = Phase::Command;
        let line = self.framer.text();
        let event = match (frame, decode_base64(line)) {
            (Frame::TooLong, _) => self.bad(Some(tag), TOO_LONG),
            _ if line == b"*" => Event::Cancelled,
            (_, Some(answer)) => Event::Continuation(Secret::new(answer)),
            (_, None) => self.bad(Some(tag), "Invalid base64"),
        };
        self.end_line(frame);
        Some(event)
    }

    /// idle = "IDLE" CRLF "DONE" (RFC 2177)
    fn poll_done(&mut self, tag: Tag) -> Option<Event> {
        let frame = self.framer.poll_line()?;
        self.phase = Phase::Command;
        let is_done = self
            .framer
            .text()
            .trim_ascii()
            .eq_ignore_ascii_case(b"DONE");
        self.end_line(frame);
        Some(if is_done {
            Event::Done
        } else {
            self.bad(Some(tag), "Expected DONE")
        })
    }

    fn end_line(&mut self, frame: Frame) {
        match frame {
            Frame::TooLong => self.framer.discard(),
            Frame::Command | Frame::Literal(_) => self.framer.finish(),
        }
    }

    /// A good command ends the counting, unless the caller has found the command before it bad,
    /// which was taken for good here too.
    fn count_good(&mut self) {
        if !std::mem::take(&mut self.last_was_bad) {
            self.bad_commands = 0;
        }
    }

    fn bad(&mut self, tag: Option<Tag>, text: &'static str) -> Event {
        let fatal = self.is_one_too_many();
        Event::Bad(Bad { tag, text, fatal })
    }

    fn is_one_too_many(&mut self) -> bool {
        self.bad_commands = self.bad_commands.saturating_add(1);
        self.bad_commands >= BAD_COMMANDS_MAX
    }
}

/// What becomes of a literal.
enum Decision {
    Keep,
    Append(AppendStart),
}

fn bad_text(error: ParseError) -> &'static str {
    match error {
        ParseError::Syntax(text) => text,
        ParseError::LiteralAwaited => NO_LITERAL,
    }
}

const GO_AHEAD: &[u8] = b"+ OK\r\n";

const NO_TAG: &str = "Missing tag";
const NO_LITERAL: &str = "Missing literal";
const TOO_LONG: &str = "Command line too long";

/// Bad commands without a good one between them.
const BAD_COMMANDS_MAX: u32 = 20;

/// Octets of all literals of one command, APPEND's messages apart.
const LITERALS_MAX: u64 = 512 * 1024;

/// User names, passwords and SASL responses are smaller, and anybody may send them.
const LITERALS_BEFORE_LOGIN_MAX: u64 = 16 * 1024;

/// How many octets of a command are read before it is complete.  Octets that are read again at a
/// literal count again, so that a command with very many literals is not read over and over.
const LOOKED_AHEAD_MAX: usize = 8 * 1024;

#[cfg(test)]
mod tests;
