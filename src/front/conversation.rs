//! What the front asks of a conversation before login, whatever its protocol.
//!
//! Octets of the client come in, and [`Step`]s come out: the conversation waits, wants TLS, asks
//! whether somebody is let in, or is over.  What it says is in its output.  It does not decide who
//! is let in, and does no input or output.

use std::time::{Duration, Instant};

use crate::ipc::{HandOver, LoginRequest, Origin, Refusal};
use crate::mail::Secret;
use crate::net::{Buffer, Now, Secured};

/// One client that has not logged in.  [`protocols`](super::protocols) says which conversation
/// belongs to which protocol.
pub(super) trait Conversation {
    // What comes from the client.

    /// TLS has been agreed on.
    fn handle_secured(&mut self, _secured: Secured) {}
    /// TLS could not be agreed on, or broke.
    fn handle_tls_failure(&mut self, _reason: &str) {}
    fn handle_input(&mut self, octets: &[u8]);
    /// The client sends nothing more; it may still read.
    fn handle_end(&mut self);

    // What comes from the clock and from the process.

    /// The client had its time to log in.
    fn handle_deadline(&mut self) {}
    /// The process ends: the client is to be told so.
    fn handle_stop(&mut self);

    /// Answers whatever the client has said, up to what it must wait for, or until `over`.
    fn run(&mut self, now: Now, over: &dyn Fn() -> bool) -> Step;
    /// Whether the client is to be read from.
    fn wants_input(&self) -> bool;
    fn output(&mut self) -> &mut Buffer;

    // What has become of a question ([`Step::Ask`]).

    /// The client is to answer this.
    fn challenge(&mut self, request: u32, challenge: &Secret);
    /// The client is `user`, whom the process `pid` serves.
    fn admit(&mut self, request: u32, user: &str, pid: u32) -> Entry;
    /// The client is not let in, and is told so at `time`.
    fn refuse(&mut self, request: u32, why: Refusal, time: Instant);
    /// The questions that somebody may still work on.
    fn requests(&self) -> Vec<u32>;

    // What the log is to say.

    /// The connection is closed without a word: `why`, and the setting that says so.
    fn give_up(&mut self, _why: &'static str, _limit: &'static str) {}
    /// The address has to wait so many seconds before this question is looked at.
    fn log_delay(&self, request: u32, seconds: f32);
    /// The connection is gone.
    fn log_end(&self, _now: Now) {}
}

/// What a client waits for, or what it wants.
#[derive(Debug)]
pub enum Step {
    /// For input.
    Idle,
    /// For nothing; others may have a turn.
    Again,
    /// For time to pass.
    Wait(Duration),
    /// For TLS (`net::Run::StartTls`).
    StartTls,
    /// For its output to be sent and the connection to be closed.
    Close,
    Ask(Ask),
}

/// A client's question.
#[derive(Debug)]
pub struct Ask {
    /// The client's own number for it: there may be several at a time.
    pub request: u32,
    pub question: Question,
    /// The address that it comes from may have to wait.
    pub penalise: bool,
}

/// What a client wants to know.
#[derive(Debug)]
pub enum Question {
    /// Whether it is let in.  The answer is [`Front::admit`], [`Front::challenge`] or
    /// [`Front::refuse`].
    ///
    /// [`Front::admit`]: super::Front::admit
    /// [`Front::challenge`]: super::Front::challenge
    /// [`Front::refuse`]: super::Front::refuse
    Login(Box<LoginRequest>),
    /// Whether it is let in, with its answer to the challenge.
    Respond(Secret),
    /// Nothing any more, because it has given up.
    GiveUp,
}

/// What becomes of a client that is let in.
pub enum Entry {
    /// It goes on to its session.
    Session(Box<Admitted>),
    /// It has its answer, which is all that it asked for, and stays.
    Answered,
    /// It does not wait for the answer any more.
    Nobody,
}

/// A client that has logged in, to be taken over by its session.
pub struct Admitted {
    pub origin: Origin,
    /// Only this process can read what the client sends.
    pub is_encrypted: bool,
    /// For the session, as in [`HandOver`].
    pub state: Vec<u8>,
    pub input: Vec<u8>,
    pub output: Buffer,
    /// Writes what the client is told if it cannot be served after all.
    pub say_sorry: fn(&mut Vec<u8>),
}

impl Admitted {
    /// For the session, with all that is still to be sent.
    pub fn hand_over(self) -> HandOver {
        HandOver {
            origin: self.origin,
            state: self.state,
            input: self.input,
            output: self.output.pending().to_vec(),
            relayed: false,
        }
    }
}
