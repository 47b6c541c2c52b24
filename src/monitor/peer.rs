//! A child at the other end of a channel, with the gate that its messages must pass.

use std::borrow::Cow;
use std::fmt;
use std::os::fd::OwnedFd;
use std::time::{Duration, Instant};

use crate::ipc::channel::{Channel, ChannelError};
use crate::ipc::table::{Gate, Role, Violation};
use crate::ipc::{Level, Message};
use crate::net::SourceId;

pub(super) struct RolePeer {
    pub source: SourceId,
    channel: Channel,
    gate: Gate,
    log: Allowance,
}

/// Why a peer is none any more.
#[derive(Debug)]
pub(super) enum PeerError {
    /// It has sent what the table does not permit.
    Violation(Violation),
    /// The table permits it, but not with this in it.
    Misuse(&'static str),
    Channel(ChannelError),
}

impl RolePeer {
    /// With the other end, which is for the child.
    pub fn pair(role: Role, source: SourceId) -> std::io::Result<(RolePeer, OwnedFd)> {
        let (mut channel, theirs) = Channel::pair()?;
        if role == Role::Front {
            channel.keep_stand_ins();
        }
        let peer = RolePeer {
            source,
            channel,
            gate: Gate::new(role),
            log: Allowance::default(),
        };
        Ok((peer, theirs))
    }

    pub fn fd(&self) -> std::rc::Rc<OwnedFd> {
        self.channel.fd()
    }

    /// Sends what the child may hear now; says whether it may.
    pub fn send(&mut self, message: Message) -> Result<bool, PeerError> {
        if self.gate.send(&message).is_err() {
            // What was decided crossed with what the child said meanwhile.
            return Ok(false);
        }
        match self.channel.send(message) {
            // That it has ended is seen when it is read from, after everything that it said before.
            Ok(()) | Err(ChannelError::Closed) => Ok(true),
            Err(error) => Err(PeerError::Channel(error)),
        }
    }

    pub fn flush(&mut self) -> Result<(), PeerError> {
        match self.channel.flush() {
            Ok(()) | Err(ChannelError::Closed) => Ok(()),
            Err(error) => Err(PeerError::Channel(error)),
        }
    }

    /// The next message, if the table permits it now.
    pub fn receive(&mut self) -> Result<Option<Message>, PeerError> {
        let Some(message) = self.channel.receive()? else {
            return Ok(None);
        };
        self.gate.receive(&message)?;
        Ok(Some(message))
    }

    /// The process has ended: there will be nothing after what it has said.
    pub fn hang_up(&mut self) {
        self.channel.hang_up();
    }

    /// Of an attempt that nothing more is to be said of.
    pub fn end(&mut self, number: u64) {
        self.gate.end(number);
    }

    /// Writes what the child wants in the log, if it is not too much.  Whose line it is, is not for
    /// the child to say: others act on what is in the log.
    pub fn log(&mut self, whose: &str, level: Level, line: &str, now: Instant) {
        let lost = self.log.take(now);
        if let Some(lost @ 1..) = lost {
            log::warn!("{whose}: {lost} lines for the log were lost: there were too many");
        }
        if lost.is_some() {
            log::log!(log::Level::from(level), "{}", owned(whose, line));
        }
    }
}

/// The line as one that begins with whose it is: as it is, or made so.
fn owned<'a>(whose: &str, line: &'a str) -> Cow<'a, str> {
    match line.strip_prefix(whose) {
        // After the name of a session there may be which of its connections.
        Some(rest) if rest.starts_with([':', '<']) => Cow::Borrowed(line),
        _ => Cow::Owned(format!("{whose}: {line}")),
    }
}

/// Limits how many lines are taken in a second.
#[derive(Default)]
struct Allowance {
    since: Option<Instant>,
    taken: u64,
}

impl Allowance {
    /// Whether there is one more; if so, how many were refused before.
    fn take(&mut self, now: Instant) -> Option<u64> {
        let is_over = self
            .since
            .is_none_or(|since| now.saturating_duration_since(since) >= SECOND);
        let lost = match is_over {
            true => self.taken.saturating_sub(LINES),
            false => 0,
        };
        if is_over {
            self.since = Some(now);
            self.taken = 0;
        }
        self.taken = self.taken.saturating_add(1);
        (self.taken <= LINES).then_some(lost)
    }
}

impl PeerError {
    /// It has ended, or been ended, and said nothing wrong.
    pub fn is_end(&self) -> bool {
        matches!(self, PeerError::Channel(ChannelError::Closed))
    }

    /// Our own message was at fault; the peer is as good as before.
    pub fn is_too_large(&self) -> bool {
        matches!(self, PeerError::Channel(ChannelError::TooLarge))
    }
}

impl From<ChannelError> for PeerError {
    fn from(error: ChannelError) -> PeerError {
        PeerError::Channel(error)
    }
}

impl From<Violation> for PeerError {
    fn from(violation: Violation) -> PeerError {
        PeerError::Violation(violation)
    }
}

impl fmt::Display for PeerError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            PeerError::Violation(violation) => violation.fmt(f),
            PeerError::Misuse(what) => f.write_str(what),
            PeerError::Channel(error) => error.fmt(f),
        }
    }
}

/// Enough for a flood of logins; less than fills a disk.
const LINES: u64 = 2_000;

const SECOND: Duration = Duration::from_secs(1);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_says_whose_it_is_whatever_it_says() {
        for (line, written) in [
            ("imap(alice): done", "imap(alice): done"),
            ("imap(alice)<7><x>: done", "imap(alice)<7><x>: done"),
            ("imap(bob): done", "imap(alice): imap(bob): done"),
            ("imap(alice)x", "imap(alice): imap(alice)x"),
            (
                "auth: pam(x,198.51.100.7): unknown user",
                "imap(alice): auth: pam(x,198.51.100.7): unknown user",
            ),
            ("", "imap(alice): "),
        ] {
            assert_eq!(owned("imap(alice)", line), written);
        }
    }

    #[test]
    fn a_flood_of_lines_is_cut_and_told_of() {
        let mut allowance = Allowance::default();
        let start = Instant::now();
        let passed = (0..LINES + 5).filter(|_| allowance.take(start).is_some());
        assert_eq!(passed.count() as u64, LINES);
        assert_eq!(allowance.take(start + SECOND), Some(5));
        assert_eq!(allowance.take(start + SECOND), Some(0));
    }
}
