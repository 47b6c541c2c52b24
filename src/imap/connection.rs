//! One conversation: states, continuations, literals, IDLE, pipelining (RFC 3501 3).
//!
//! The driver hands in bytes as they come (`handle_input`) and stops reading while `wants_input` is
//! false.  Whoever acts on commands (the session, or the front before login) calls `poll_event` when
//! it has finished with the event before, so pipelined commands stay in order; `None` means that
//! more input is needed.  What the connection itself has to say (continuation requests) it appends
//! to the `out` that it is given, which is the one the caller writes responses to, so order is kept.
//!
//! What to do with an event:
//!
//! * `Command`: act and write the tagged response.  It is allowed in the present state.
//!   - Select: `set_state(Selected)` on success, `set_state(Authenticated)` when it failed (RFC 3501
//!     6.3.1) or after CLOSE and UNSELECT; the connection refuses what the state does not allow.
//!   - Logout: write BYE and OK, `set_state(Logout)`; `poll_event` gives nothing more.
//!   - Enable: `enable` each extension that is to be on; names are read and written accordingly
//!     (`dialect`).
//!   - Idle: call `start_idle`, write untagged data whenever there is some, and the tagged response
//!     after `Done`, or after `Bad`, which ends IDLE too.
//!   - Authenticate: `challenge` as often as the mechanism wants; each is answered by `Continuation`,
//!     `Cancelled` or `Bad`.  Then the tagged response and `set_state(Authenticated)`.
//!   - StartTls: write OK, then call `start_tls`, which forgets what was sent after the command in the
//!     clear, and begin with TLS.
//!   - Anything may still be answered BAD by the caller: then `count_bad`.
//! * `Append`: answer with `accept` or `refuse`.  After `accept` the text comes: each `AppendData` says
//!   that there is some in `append_data`, of which any part is taken with `consume_append_data`.  After
//!   the last octet comes `AppendMessage` for a further message (`accept` or `refuse` again), or
//!   `AppendEnd`: now the tagged response is due.  `Bad` in between ends the command: forget the messages.
//!   `refuse` may be called at any time up to `AppendEnd` (disk full, message too big): it ends the
//!   command, the tagged NO is the caller's; what the client still sends of it is swallowed.
//! * `Bad`: write a BAD response with its tag and text, untagged if there is no tag; if it is `fatal`,
//!   then BYE as well, and close.
//!
//! A client that has closed its half may have commands in the buffer: go on until `poll_event` gives
//! nothing.

use super::append::{AppendMessage, AppendStart};
use super::command::{Extension, Tag, Tagged};
use super::mailbox::Dialect;

pub struct Connection {
    state: State,
    dialect: Dialect,
    buffer: Vec<u8>,
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
    Continuation(super::command::Secret),
    /// The client gave AUTHENTICATE up (`*`): BAD is due (RFC 3501 6.2.2).
    Cancelled,
    /// `DONE`: IDLE is over.
    Done,
    Bad(Bad),
}

/// A command that is none, or not now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Bad {
    pub tag: Option<Tag>,
    pub text: &'static str,
    /// The client has sent too many of these.
    pub fatal: bool,
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
        Connection {
            state,
            dialect: Dialect {
                utf8: false,
                separator,
            },
            buffer: Vec::new(),
        }
    }

    /// Takes what the client sent.
    pub fn handle_input(&mut self, bytes: &[u8]) {
        self.buffer.extend_from_slice(bytes);
        todo!()
    }

    /// Whether the driver may read on; false while plenty of unread input waits.
    pub fn wants_input(&self) -> bool {
        todo!()
    }

    /// The next thing to act on, or `None` if more input is needed.
    pub fn poll_event(&mut self, out: &mut Vec<u8>) -> Option<Event> {
        todo!("{out:?}")
    }

    /// Lets the message announced by `Append` or `AppendMessage` come.
    pub fn accept(&mut self, out: &mut Vec<u8>) {
        todo!("{out:?}")
    }

    /// Gives the APPEND up.
    pub fn refuse(&mut self) {
        todo!()
    }

    /// Text of the message accepted last, as far as it has come; empty if none has.
    pub fn append_data(&self) -> &[u8] {
        todo!()
    }

    /// Takes `n` octets off the front of `append_data`.
    pub fn consume_append_data(&mut self, n: usize) {
        todo!("{n}")
    }

    /// Writes `+ idling`; `poll_event` waits for `DONE` from now on.
    pub fn start_idle(&mut self, tag: &Tag, out: &mut Vec<u8>) {
        todo!("{tag:?} {out:?}")
    }

    /// Writes `+ ` and the challenge in base64; the next line is its answer.
    pub fn challenge(&mut self, tag: &Tag, challenge: &[u8], out: &mut Vec<u8>) {
        todo!("{tag:?} {challenge:?} {out:?}")
    }

    /// Forgets all unread input: nothing sent before TLS counts after it (RFC 3501 6.2.1).
    pub fn start_tls(&mut self) {
        todo!()
    }

    /// The input not yet read, for whoever takes the conversation over after login.
    pub fn take_input(&mut self) -> Vec<u8> {
        todo!()
    }

    pub fn state(&self) -> State {
        self.state
    }

    pub fn set_state(&mut self, state: State) {
        self.state = state;
    }

    /// How mailbox names are read and to be written.
    pub fn dialect(&self) -> Dialect {
        self.dialect
    }

    /// Switches an extension on; QRESYNC switches CONDSTORE on as well (RFC 7162 3.2.3).
    pub fn enable(&mut self, extension: Extension) {
        todo!("{extension:?}")
    }

    pub fn is_enabled(&self, extension: Extension) -> bool {
        todo!("{extension:?}")
    }

    /// Counts a command that the caller found bad; true: that was one too many, say BYE.
    pub fn count_bad(&mut self) -> bool {
        todo!()
    }

    /// Whether a command has begun and the rest of it is awaited (for the timeouts).
    pub fn is_mid_command(&self) -> bool {
        todo!()
    }
}
