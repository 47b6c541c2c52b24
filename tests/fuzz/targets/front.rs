//! What anybody may send before login, and what a mail server sends to the auth socket.

use super::cuttings;
use roost::config::{Config, Mechanism};
use roost::front::{Ask, Entry, Front, Question, Step};
use roost::ipc::{LoginRequest, Proof, Protocol, Refusal};
use roost::mail::Secret;
use roost::net::stream::Peer;
use roost::net::{ConnectionId, Now};
use std::time::Duration;

/// A whole conversation up to a login.  What is said does not depend on the cuts.
pub fn prelogin(input: &[u8]) {
    let mut conversations = cuttings(input)
        .into_iter()
        .map(|pieces| Talk::hold(&pieces));
    let whole = conversations.next().expect("one in one piece");
    for line in whole.split_inclusive(|&octet| octet == b'\n') {
        assert!(line.ends_with(b"\r\n") && !line[..line.len() - 2].contains(&b'\r'));
    }
    // How long a command may grow before it must make sense is measured at what has come.
    if input.len() <= MAX_COMMAND {
        for other in conversations {
            assert!(other == whole);
        }
    }
}

/// The auth socket.  Its answers do not depend on the cuts, save for what it says of itself.
pub fn sasl_socket(input: &[u8]) {
    let answers: Vec<Vec<u8>> = cuttings(input)
        .into_iter()
        .map(|pieces| asked_through_socket(&pieces))
        .collect();
    for answer in &answers {
        assert!(answer.is_empty() || answer.ends_with(b"\n"));
        assert!(answer == &answers[0]);
    }
}

struct Talk {
    front: Front,
    now: Now,
    said: Vec<u8>,
    /// Nothing more is to be heard of this client.
    over: bool,
}

impl Talk {
    fn hold(pieces: &[&[u8]]) -> Vec<u8> {
        let now = Now::read();
        let mut front = Front::new(&config(), true);
        front.handle_connect(Protocol::Imap, ID, Peer::default(), now);
        let mut talk = Talk {
            front,
            now,
            said: Vec::new(),
            over: false,
        };
        for piece in pieces {
            talk.front.handle_input(ID, piece);
            talk.run();
        }
        talk.front.handle_end(ID);
        talk.run();
        talk.front.handle_close(ID, now);
        talk.said
    }

    fn run(&mut self) {
        while !self.over {
            match self.front.run(ID, self.now, &|| false) {
                Step::Idle => break,
                Step::Again => {}
                Step::Wait(time) => self.now.instant += time,
                Step::StartTls | Step::Close => self.over = true,
                Step::Ask(Ask { question, .. }) => self.answer(question),
            }
            self.take_output();
        }
        self.take_output();
    }

    fn answer(&mut self, question: Question) {
        match question {
            Question::GiveUp => {}
            Question::Respond(response) if response.expose().is_empty() => {
                self.front
                    .refuse(ID, ONLY, Refusal::Expired, self.now.instant);
            }
            Question::Respond(response) => self.front.challenge(ID, ONLY, &response),
            Question::Login(request) => match answer(&request) {
                Answer::Admit => {
                    match self.front.admit(ID, ONLY, "alice", 1, self.now) {
                        Entry::Session(admitted) => {
                            self.said.extend_from_slice(admitted.output.pending());
                        }
                        Entry::Answered | Entry::Nobody => panic!("it had asked"),
                    }
                    self.over = true;
                }
                Answer::Challenge => self.front.challenge(ID, ONLY, &challenge()),
                Answer::Refuse => {
                    let time = self.now.instant + Duration::from_secs(2);
                    self.front.refuse(ID, ONLY, Refusal::Mismatch, time);
                }
            },
        }
    }

    fn take_output(&mut self) {
        let output = self.front.output(ID);
        self.said.extend_from_slice(output.pending());
        output.consume(output.len());
    }
}

fn asked_through_socket(pieces: &[&[u8]]) -> Vec<u8> {
    let mut now = Now::read();
    let mut socket = Front::new(&config(), false);
    socket.handle_connect(Protocol::Sasl, ID, Peer::default(), now);
    socket.output(ID).consume(usize::MAX);
    let mut said = Vec::new();
    'talk: for piece in pieces.iter().chain(&[&b""[..]]) {
        socket.handle_input(ID, piece);
        loop {
            let step = socket.run(ID, now, &|| false);
            take_output(&mut socket, &mut said);
            match step {
                Step::Idle | Step::Wait(_) => break,
                Step::Again => {}
                Step::Close | Step::StartTls => break 'talk,
                Step::Ask(Ask {
                    request, question, ..
                }) => match question {
                    Question::GiveUp => {}
                    Question::Respond(_) => {
                        socket.refuse(ID, request, Refusal::Disabled, now.instant);
                    }
                    Question::Login(login) => match answer(&login) {
                        Answer::Admit => drop(socket.admit(ID, request, "al\tice", 1, now)),
                        Answer::Challenge => socket.challenge(ID, request, &challenge()),
                        Answer::Refuse => {
                            socket.refuse(ID, request, Refusal::Mismatch, now.instant);
                        }
                    },
                },
            }
        }
    }
    now.instant += Duration::from_secs(60);
    socket.run(ID, now, &|| true);
    take_output(&mut socket, &mut said);
    // Failures wait for their time, and several may come at once: which is first is not promised.
    let mut lines: Vec<&[u8]> = said.split_inclusive(|&octet| octet == b'\n').collect();
    lines.sort_unstable();
    let said = lines.concat();
    socket.handle_close(ID, now);
    said
}

fn take_output(socket: &mut Front, said: &mut Vec<u8>) {
    let output = socket.output(ID);
    said.extend_from_slice(output.pending());
    output.consume(output.len());
}

enum Answer {
    Admit,
    Challenge,
    Refuse,
}

fn answer(request: &LoginRequest) -> Answer {
    match &request.proof {
        Proof::Password { user, password, .. } => match password.expose() {
            b"secret" if user == b"alice" => Answer::Admit,
            _ => Answer::Refuse,
        },
        Proof::Scram { .. } => Answer::Challenge,
        Proof::External { .. } => panic!("there is no certificate"),
    }
}

fn challenge() -> Secret {
    Secret::new(b"r=1,s=2,i=3".to_vec())
}

fn config() -> Config {
    Config {
        auth_mechanisms: vec![
            Mechanism::Plain,
            Mechanism::Login,
            Mechanism::ScramSha256,
            Mechanism::External,
        ],
        ..Config::default()
    }
}

const ID: ConnectionId = ConnectionId(77);

/// A client of IMAP asks one thing at a time.
const ONLY: u32 = 0;

/// Octets before login that need not make sense yet.
const MAX_COMMAND: usize = 16 * 1024;
