//! Plays one scenario as the front, or as a session.
//!
//! What became of it is written into a directory: `N.begun` when we were as far as the scenario
//! begins, `N.alive` if we were there after it. Whoever is killed cannot write the latter.

use std::fs;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::time::Duration;

use roost::imap::LoggedIn;
use roost::ipc::channel::Channel;
use roost::ipc::{Attempt, Kind, Level, Message, Refusal, SessionCounters, Verdict, codec};
use roost::sys::packet;

use super::messages::{descriptor, hand_over, login, message, scram};
use super::scenarios::{Act, NUMBER, Scenario, Stage};

/// The scenario that is next in this directory, and its number.
pub fn next(directory: &Path, scenarios: &[Scenario]) -> Option<(usize, Scenario)> {
    let path = directory.join("next");
    let text = fs::read_to_string(&path).ok()?;
    let (number, end) = text.trim().split_once("..")?;
    let (number, end): (usize, usize) = (number.parse().ok()?, end.parse().ok()?);
    let scenario = scenarios.get(number).filter(|_| number < end)?;
    fs::write(path, format!("{}..{end}", number + 1)).expect("the next number");
    Some((number, *scenario))
}

pub struct Player {
    pub channel: Channel,
    pub directory: PathBuf,
    pub number: usize,
    /// The other end of what was handed over.
    ours: Option<UnixStream>,
}

impl Player {
    pub fn new(channel: Channel, directory: PathBuf, number: usize) -> Player {
        Player {
            channel,
            directory,
            number,
            ours: None,
        }
    }

    /// As a front whose settings have been read. Never returns to be one.
    pub fn play_front(mut self, scenario: Scenario) {
        self.reach(scenario.stage);
        self.act(scenario);
        if scenario.permitted {
            // The monitor still listens to us.
            self.be_served(scenario);
        } else {
            self.wait_to_be_killed();
        }
        self.write("alive");
    }

    /// As a session.
    pub fn play_session(mut self, scenario: Scenario) {
        let mut act = scenario.act;
        if let Act::Keep = act {
            return self.keep_all();
        }
        // Kept until we end: the test takes the end of it for ours.
        let _socket;
        if scenario.stage == Stage::Serving {
            let (connection, socket) = loop {
                if let Message::Connection(connection, socket) =
                    self.channel.wait().expect("a message")
                {
                    break (connection, socket);
                }
            };
            _socket = socket;
            if let Act::Send(Kind::Closed, NUMBER) = act {
                act = Act::Send(Kind::Closed, connection.number.0);
            }
        }
        self.act(Scenario { act, ..scenario });
        if !scenario.permitted {
            self.wait_to_be_killed();
        }
        self.write("alive");
    }

    fn keep_all(mut self) {
        self.write("begun");
        let mut kept = Vec::new();
        while let Ok(message) = self.channel.wait() {
            if let Message::Connection(connection, socket) = message {
                let mut stream = UnixStream::from(socket);
                let state = &connection.hand_over.state;
                let LoggedIn { tag, .. } = LoggedIn::from_octets(state).expect("octets of IMAP");
                let answer = format!("{tag} OK kept\r\n");
                std::io::Write::write_all(&mut stream, answer.as_bytes()).expect("sent");
                kept.push(stream);
                let counters = SessionCounters::default();
                self.send(Message::Closed(connection.number, counters));
            }
        }
    }

    fn reach(&mut self, stage: Stage) {
        if stage == Stage::Preparing {
            return;
        }
        self.wait_for(|message| matches!(message, Message::Serve));
        match stage {
            Stage::Preparing | Stage::Serving => {}
            Stage::Asked => self.send(login(NUMBER, "slow", "secret")),
            Stage::Challenged => {
                self.send(scram(NUMBER, "scram"));
                self.wait_for(|message| {
                    matches!(message, Message::Verdict(_, Verdict::Challenge(_)))
                });
            }
            Stage::Refused => {
                self.send(login(NUMBER, "ann", "wrong"));
                self.wait_for(|message| {
                    matches!(message, Message::Verdict(_, Verdict::Refused(_)))
                });
            }
            Stage::Admitted => self.be_admitted(NUMBER),
            Stage::HandedOver => {
                self.be_admitted(NUMBER);
                self.hand_over(NUMBER);
            }
        }
    }

    fn be_admitted(&mut self, number: u64) {
        self.send(login(number, "ann", "secret"));
        self.wait_for(|message| matches!(message, Message::Verdict(_, Verdict::Admitted { .. })));
    }

    /// Until the session has answered on it.
    fn hand_over(&mut self, number: u64) {
        let (ours, theirs) = UnixStream::pair().expect("a socket pair");
        self.send(Message::HandOver(
            Attempt(number),
            hand_over(),
            theirs.into(),
        ));
        ours.set_read_timeout(Some(PATIENCE)).expect("a timeout");
        let mut answer = [0; 5];
        std::io::Read::read_exact(&mut &ours, &mut answer).expect("an answer");
        assert_eq!(&answer, b"a1 OK");
        self.ours = Some(ours);
    }

    fn act(&mut self, scenario: Scenario) {
        self.write("begun");
        match scenario.act {
            Act::Send(kind, number) if kind == Kind::Login && scenario.permitted => {
                self.send(login(number, "ann", "secret"));
            }
            Act::Send(Kind::HandOver, number) if scenario.permitted => self.hand_over(number),
            Act::Send(kind, number) => self.send(message(kind, number)),
            Act::Octets(octets) => self.raw(octets, None),
            Act::Cut(kind, length) => {
                let (octets, descriptor) = encoded(kind);
                let length = length.min(octets.len() - 1);
                self.raw(&octets[..length], descriptor.as_ref().map(AsFd::as_fd));
            }
            Act::Longer(kind) => {
                let (mut octets, descriptor) = encoded(kind);
                octets.extend(b"more");
                self.raw(&octets, descriptor.as_ref().map(AsFd::as_fd));
            }
            Act::WithDescriptor(kind) => {
                let (octets, _) = encoded(kind);
                self.raw(&octets, Some(descriptor().as_fd()));
            }
            Act::WithoutDescriptor(kind) => {
                let (octets, _) = encoded(kind);
                self.raw(&octets, None);
            }
            Act::Logins(count) => {
                for n in 0..count {
                    self.send(login(NUMBER + n, "ann", "secret"));
                }
                let mut answered = 0;
                while answered < count {
                    self.wait_for(|message| {
                        matches!(
                            message,
                            Message::Verdict(
                                _,
                                Verdict::Admitted { .. }
                                    | Verdict::Refused(Refusal::Unavailable | Refusal::TooMany(_))
                            )
                        )
                    });
                    answered += 1;
                }
            }
            Act::Lines(count) => {
                for n in 0..count {
                    self.send(Message::Log(
                        Level::Info,
                        format!("line {n} of the adversary's"),
                    ));
                }
            }
            Act::Keep => {}
            Act::Close => {
                let (channel, _) = Channel::pair().expect("another channel");
                self.channel = channel;
                // No longer on descriptor 3 either.
            }
        }
    }

    /// A login is still answered.
    fn be_served(&mut self, scenario: Scenario) {
        if scenario.stage == Stage::Preparing {
            self.wait_for(|message| matches!(message, Message::Serve));
        }
        // Another user: ann may have as many connections as her limit allows.
        self.send(login(NUMBER + 100_000, "bob", "secret"));
        self.wait_for(|message| matches!(message, Message::Verdict(_, Verdict::Admitted { .. })));
    }

    fn wait_to_be_killed(&self) {
        std::thread::sleep(PATIENCE);
    }

    fn send(&mut self, message: Message) {
        // If we have been killed by now, that is nobody's to see.
        let _ = self.channel.send(message);
        while !self.channel.is_flushed() {
            std::thread::sleep(Duration::from_millis(1));
            let _ = self.channel.flush();
        }
    }

    fn raw(&self, octets: &[u8], descriptor: Option<BorrowedFd<'_>>) {
        let _ = packet::send(self.channel.fd().as_fd(), octets, descriptor);
    }

    fn wait_for(&mut self, is_it: impl Fn(&Message) -> bool) {
        loop {
            let message = self.channel.wait().expect("a message");
            if is_it(&message) {
                return;
            }
        }
    }

    fn write(&self, what: &str) {
        fs::write(self.directory.join(format!("{}.{what}", self.number)), "").expect("written");
    }
}

fn encoded(kind: Kind) -> (Vec<u8>, Option<OwnedFd>) {
    let (octets, descriptor) = codec::encode(message(kind, NUMBER)).expect("a message");
    (octets.to_vec(), descriptor)
}

/// How long to wait to be killed, or for an answer.
const PATIENCE: Duration = Duration::from_secs(120);
