//! One of each message there is.

use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;

use roost::imap::LoggedIn;
use roost::imap::command::Tag;
use roost::ipc::{
    Account, Attempt, Binding, Connection, ConnectionNumber, FrontCounters, HandOver, Judgement,
    Kind, Level, ListenerKind, Location, LoginRequest, Message, Origin, Proof, Protocol, Refusal,
    SessionCounters, Verdict,
};
use roost::mail::{Layout, Secret};

/// About the attempt or connection of this number, if it is about one.
pub fn message(kind: Kind, number: u64) -> Message {
    let attempt = Attempt(number);
    match kind {
        Kind::Settings => Message::Settings("log.level=debug\n".into()),
        Kind::Stop => Message::Stop,
        Kind::Certificate => Message::Certificate {
            chain: b"chain".to_vec(),
            key: Secret::new(b"key".to_vec()),
        },
        Kind::ClientAuthority => Message::ClientAuthority(b"authority".to_vec()),
        Kind::Listener => Message::Listener(ListenerKind::plain(Protocol::Sasl), descriptor()),
        Kind::Unlisten => Message::Unlisten,
        Kind::Client => Message::Client(ListenerKind::plain(Protocol::Imap), descriptor()),
        Kind::UseCertificates => Message::UseCertificates,
        Kind::Serve => Message::Serve,
        Kind::VerdictChallenge => {
            Message::Verdict(attempt, Verdict::Challenge(Secret::new(Vec::new())))
        }
        Kind::VerdictRefused => Message::Verdict(attempt, Verdict::Refused(Refusal::Mismatch)),
        Kind::VerdictAdmitted => Message::Verdict(
            attempt,
            Verdict::Admitted {
                user: "root".into(),
                pid: 1,
            },
        ),
        Kind::Login => login(number, "ann", "wrong"),
        Kind::Respond => Message::Respond(attempt, Secret::new(b"nonsense".to_vec())),
        Kind::GiveUp => Message::GiveUp(attempt),
        Kind::HandOver => Message::HandOver(attempt, hand_over(), descriptor()),
        Kind::Relay => {
            let hand_over = HandOver {
                relayed: true,
                ..hand_over()
            };
            Message::HandOver(attempt, hand_over, descriptor())
        }
        Kind::Ended => Message::Ended(attempt),
        Kind::Counted => Message::Counted(FrontCounters::default()),
        Kind::Account => Message::Account(account()),
        Kind::Connection => Message::Connection(
            Connection {
                number: ConnectionNumber(number),
                protocol: Protocol::Imap,
                hand_over: hand_over(),
            },
            descriptor(),
        ),
        Kind::Drop => Message::Drop(ConnectionNumber(number)),
        Kind::Closed => Message::Closed(ConnectionNumber(number), SessionCounters::default()),
        Kind::Idle => Message::Idle {
            connections: number,
        },
        Kind::JudgedChallenge => Message::Judged(Judgement::Challenge(Secret::new(Vec::new()))),
        Kind::JudgedRefused => Message::Judged(Judgement::Refused(Refusal::Mismatch)),
        Kind::JudgedAdmitted => Message::Judged(Judgement::Admitted { account: account() }),
        Kind::Started => Message::Started { pid: 1 },
        Kind::Start => Message::Start(descriptor()),
        Kind::Log => Message::Log(Level::Info, "a line of the adversary's".into()),
    }
}

pub fn login(number: u64, user: &str, password: &str) -> Message {
    let proof = Proof::Password {
        mechanism: "PLAIN",
        user: user.as_bytes().to_vec(),
        authorize: Vec::new(),
        password: Secret::new(password.as_bytes().to_vec()),
    };
    Message::Login(Attempt(number), request(proof))
}

pub fn scram(number: u64, user: &str) -> Message {
    let proof = Proof::Scram {
        first: Secret::new(format!("n,,n={user},r=adversary").into_bytes()),
        binding: Binding::default(),
    };
    Message::Login(Attempt(number), request(proof))
}

fn request(proof: Proof) -> LoginRequest {
    LoginRequest {
        protocol: Protocol::Imap,
        origin: origin(),
        proof,
    }
}

fn origin() -> Origin {
    Origin {
        remote: Some(([203, 0, 113, 5], 4711).into()),
        local: Some(([192, 0, 2, 1], 143).into()),
        tls: true,
        session: "adversary".into(),
    }
}

fn logged_in(tag: &[u8]) -> LoggedIn {
    LoggedIn {
        tag: Tag::from_octets(tag).expect("a tag"),
        bad_commands: 0,
    }
}

pub fn hand_over() -> HandOver {
    HandOver {
        origin: origin(),
        state: logged_in(b"a1").to_octets(),
        input: Vec::new(),
        output: Vec::new(),
        relayed: false,
    }
}

fn account() -> Account {
    Account {
        user: "root".into(),
        uid: 0,
        gid: 0,
        home: "/root".into(),
        location: Location::at("/root/Maildir".into(), Layout::MaildirPlusPlus),
    }
}

/// Some socket.
pub fn descriptor() -> OwnedFd {
    let (one, _) = UnixStream::pair().expect("a socket pair");
    one.into()
}

pub const KINDS: [Kind; 30] = [
    Kind::Settings,
    Kind::Stop,
    Kind::Certificate,
    Kind::ClientAuthority,
    Kind::Listener,
    Kind::Unlisten,
    Kind::Client,
    Kind::UseCertificates,
    Kind::Serve,
    Kind::VerdictChallenge,
    Kind::VerdictRefused,
    Kind::VerdictAdmitted,
    Kind::Login,
    Kind::Respond,
    Kind::GiveUp,
    Kind::HandOver,
    Kind::Relay,
    Kind::Ended,
    Kind::Counted,
    Kind::Account,
    Kind::Connection,
    Kind::Drop,
    Kind::Closed,
    Kind::Idle,
    Kind::JudgedChallenge,
    Kind::JudgedRefused,
    Kind::JudgedAdmitted,
    Kind::Started,
    Kind::Start,
    Kind::Log,
];
