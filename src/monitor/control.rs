//! The control socket: one line of command in, text out, closed.
//!
//! Its mode lets root alone connect (0600, in a directory of root's), and who is not root gets no
//! other answer than that.  The answer begins with a line `OK`, or `NO` and the reason.  A client
//! that is slow or silent costs a buffer and, after [`PATIENCE`], nothing.
//!
//! | command | answer |
//! |---|---|
//! | `who` | a table of connections |
//! | `kick user NAME`, `kick session ID` | how many were sent away |
//! | `reload` | nothing, or what is wrong with the configuration |
//! | `metrics` | OpenMetrics text |

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use crate::net::{Buffer, ConnectionId, Now, Run};

use super::client::Whom;

/// What an operator asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum ControlCommand {
    Who,
    Kick(Whom),
    Reload,
    Metrics,
}

/// The conversations on the control socket.  The methods have the contract of those of the same
/// names in [`net::Service`](crate::net::Service); `poll_command` and `answer` are for the monitor.
#[derive(Default)]
pub(super) struct Control {
    conversations: BTreeMap<ConnectionId, Conversation>,
    nothing: Buffer,
}

struct Conversation {
    input: Vec<u8>,
    output: Buffer,
    phase: Phase,
    since: Instant,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Phase {
    Reading,
    /// The line is complete, or too long.
    Asked,
    Answered,
}

impl ControlCommand {
    pub fn parse(line: &str) -> Option<ControlCommand> {
        let (verb, argument) = line.split_once(' ').unwrap_or((line, ""));
        match (verb, argument.split_once(' ')) {
            ("who", None) if argument.is_empty() => Some(ControlCommand::Who),
            ("reload", None) if argument.is_empty() => Some(ControlCommand::Reload),
            ("metrics", None) if argument.is_empty() => Some(ControlCommand::Metrics),
            ("kick", Some(("user", name))) => {
                Some(ControlCommand::Kick(Whom::User(name.to_owned())))
            }
            ("kick", Some(("session", id))) => {
                Some(ControlCommand::Kick(Whom::Session(id.to_owned())))
            }
            _ => None,
        }
    }

    /// As `parse` takes it.  `None`: there is a line end in a name.
    pub fn line(&self) -> Option<String> {
        let line = match self {
            ControlCommand::Who => "who".to_owned(),
            ControlCommand::Reload => "reload".to_owned(),
            ControlCommand::Metrics => "metrics".to_owned(),
            ControlCommand::Kick(Whom::User(name)) => format!("kick user {name}"),
            ControlCommand::Kick(Whom::Session(id)) => format!("kick session {id}"),
        };
        (!line.contains(['\r', '\n'])).then_some(line)
    }
}

impl Control {
    pub fn handle_connect(&mut self, id: ConnectionId, now: Now) {
        let conversation = Conversation {
            input: Vec::new(),
            output: Buffer::new(),
            phase: Phase::Reading,
            since: now.instant,
        };
        self.conversations.insert(id, conversation);
    }

    pub fn handle_input(&mut self, id: ConnectionId, bytes: &[u8]) {
        if let Some(conversation) = self.conversations.get_mut(&id)
            && conversation.phase == Phase::Reading
        {
            conversation.input.extend_from_slice(bytes);
            let is_long = conversation.input.len() > MAX_LINE;
            if is_long || conversation.input.contains(&b'\n') {
                conversation.phase = Phase::Asked;
            }
        }
    }

    /// The last line counts even if it has no end.
    pub fn handle_end(&mut self, id: ConnectionId) {
        if let Some(conversation) = self.conversations.get_mut(&id)
            && conversation.phase == Phase::Reading
        {
            conversation.phase = Phase::Asked;
        }
    }

    pub fn handle_close(&mut self, id: ConnectionId) {
        self.conversations.remove(&id);
    }

    /// The command that this connection has asked for, once.  A line that is no command is answered
    /// here, and gives `None`.
    pub fn poll_command(&mut self, id: ConnectionId) -> Option<ControlCommand> {
        let conversation = self.conversations.get_mut(&id)?;
        if conversation.phase != Phase::Asked {
            return None;
        }
        let input = std::mem::take(&mut conversation.input);
        let line = input.split(|&octet| octet == b'\n').next();
        let line = line.and_then(|line| std::str::from_utf8(line).ok());
        let command = line.and_then(|line| ControlCommand::parse(line.trim_end_matches('\r')));
        if command.is_none() {
            self.answer(id, Err("there is no such command".to_owned()));
        }
        command
    }

    pub fn answer(&mut self, id: ConnectionId, answer: Result<String, String>) {
        let Some(conversation) = self.conversations.get_mut(&id) else {
            return;
        };
        let text = match answer {
            Ok(text) => format!("OK\n{text}"),
            Err(reason) => format!("NO {reason}\n"),
        };
        conversation
            .output
            .writer()
            .extend_from_slice(text.as_bytes());
        conversation.phase = Phase::Answered;
    }

    pub fn run(&mut self, id: ConnectionId, now: Now) -> Run {
        match self.conversations.get(&id) {
            Some(conversation) if conversation.phase == Phase::Answered => Run::Close,
            Some(conversation) => {
                let age = now.instant.saturating_duration_since(conversation.since);
                match PATIENCE.checked_sub(age) {
                    Some(rest) if !rest.is_zero() => Run::Wait(rest),
                    _ => Run::Close,
                }
            }
            None => Run::Close,
        }
    }

    pub fn wants_input(&self, id: ConnectionId) -> bool {
        self.conversations
            .get(&id)
            .is_some_and(|conversation| conversation.phase == Phase::Reading)
    }

    pub fn output(&mut self, id: ConnectionId) -> &mut Buffer {
        match self.conversations.get_mut(&id) {
            Some(conversation) => &mut conversation.output,
            None => &mut self.nothing,
        }
    }
}

/// The longest command.
const MAX_LINE: usize = 1024;

/// How long a client may take to ask.
const PATIENCE: Duration = Duration::from_secs(10);

#[cfg(test)]
mod tests {
    use super::*;

    const ID: ConnectionId = ConnectionId(20);

    #[test]
    fn commands_are_read_as_they_are_written() {
        for command in [
            ControlCommand::Who,
            ControlCommand::Reload,
            ControlCommand::Metrics,
            ControlCommand::Kick(Whom::User("a b@c".to_owned())),
            ControlCommand::Kick(Whom::Session("1f-2".to_owned())),
        ] {
            assert_eq!(
                ControlCommand::parse(&command.line().unwrap()),
                Some(command)
            );
        }
        for line in [
            "",
            "whoever",
            "who alice",
            "kick",
            "kick alice",
            "kick user",
        ] {
            assert_eq!(ControlCommand::parse(line), None, "{line}");
        }
        assert_eq!(
            ControlCommand::Kick(Whom::User("a\nwho".to_owned())).line(),
            None
        );
    }

    #[test]
    fn one_command_is_answered_and_no_more() {
        let mut control = Control::default();
        control.handle_connect(ID, Now::read());
        for octet in b"who\nreload\n" {
            control.handle_input(ID, &[*octet]);
        }
        assert!(!control.wants_input(ID));
        assert_eq!(control.poll_command(ID), Some(ControlCommand::Who));
        control.answer(ID, Ok("nobody\n".to_owned()));
        assert_eq!(control.poll_command(ID), None);
        assert_eq!(control.output(ID).pending(), b"OK\nnobody\n");
        assert_eq!(control.run(ID, Now::read()), Run::Close);
    }

    #[test]
    fn what_is_no_command_is_told_so_however_long_it_is() {
        for text in [&b"\xff\n"[..], b"drop\n", &[b'x'; MAX_LINE + 1]] {
            let mut control = Control::default();
            control.handle_connect(ID, Now::read());
            control.handle_input(ID, text);
            assert_eq!(control.poll_command(ID), None);
            assert!(control.output(ID).pending().starts_with(b"NO "));
        }
    }

    #[test]
    fn who_asks_nothing_is_not_waited_for() {
        let mut control = Control::default();
        let mut now = Now::read();
        control.handle_connect(ID, now);
        assert!(matches!(control.run(ID, now), Run::Wait(_)));
        now.instant += PATIENCE;
        assert_eq!(control.run(ID, now), Run::Close);
    }
}
