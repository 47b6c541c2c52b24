//! One message of each kind at least, for the tests of the modules here.

use std::os::fd::OwnedFd;

use super::*;
use crate::mail::Layout;

pub(super) fn samples(descriptor: impl Fn() -> OwnedFd) -> Vec<Message> {
    let origin = Origin {
        remote: Some("203.0.113.5:40000".parse().unwrap()),
        local: Some("[2001:db8::1]:143".parse().unwrap()),
        tls: true,
        session: "q2b6Ab1cdef".to_owned(),
    };
    let hand_over = HandOver {
        origin: origin.clone(),
        state: b"\0\0\0\x01a1".to_vec(),
        input: b"a2 SELECT INBOX\r\n".to_vec(),
        output: Vec::new(),
        relayed: false,
    };
    let relayed = HandOver {
        relayed: true,
        ..hand_over.clone()
    };
    let login = |proof| LoginRequest {
        protocol: Protocol::Imap,
        origin: origin.clone(),
        proof,
    };
    let account = Account {
        user: "bob".to_owned(),
        uid: 1000,
        gid: 1000,
        home: "/home/bob".to_owned(),
        location: Location {
            maildir: "/home/bob/Maildir".into(),
            inbox: Some("/home/bob/In".into()),
            index_dir: Some("/var/lib/index/bob".into()),
            dovecot_index_dir: None,
            control_dir: Some("/var/lib/control/bob".into()),
            layout: Layout::Fs,
            utf8_names: true,
        },
    };
    let attempt = Attempt(7);
    let secret = || Secret::new(b"sesame".to_vec());
    let binding = Binding {
        plus: true,
        offered: true,
        exporter: Some(vec![1; 32]),
        end_point: None,
    };
    vec![
        Message::Settings("fsync=never\n".to_owned()),
        Message::Stop,
        Message::Certificate {
            chain: b"-----BEGIN CERTIFICATE-----".to_vec(),
            key: secret(),
        },
        Message::ClientAuthority(b"-----BEGIN CERTIFICATE-----".to_vec()),
        Message::Listener(
            ListenerKind::plain(Protocol::Imap).under_tls(),
            descriptor(),
        ),
        Message::Unlisten,
        Message::Client(ListenerKind::plain(Protocol::Sasl), descriptor()),
        Message::UseCertificates,
        Message::Serve,
        Message::Verdict(attempt, Verdict::Challenge(secret())),
        Message::Verdict(attempt, Verdict::Refused(Refusal::Expired)),
        Message::Verdict(
            attempt,
            Verdict::Admitted {
                user: "bob".to_owned(),
                pid: 4711,
            },
        ),
        Message::Login(
            attempt,
            login(Proof::Password {
                mechanism: "LOGIN",
                user: b"b\xf6b".to_vec(),
                authorize: b"al".to_vec(),
                password: secret(),
            }),
        ),
        Message::Login(
            attempt,
            login(Proof::Scram {
                first: secret(),
                binding,
            }),
        ),
        Message::Login(
            attempt,
            login(Proof::External {
                certified: b"bob".to_vec(),
                authorize: Vec::new(),
            }),
        ),
        Message::Respond(attempt, secret()),
        Message::GiveUp(attempt),
        Message::HandOver(attempt, hand_over.clone(), descriptor()),
        Message::HandOver(attempt, relayed, descriptor()),
        Message::Ended(attempt),
        Message::Counted(FrontCounters {
            connections: 1,
            tls_handshakes: 2,
            tls_failures: 3,
            refused: 4,
            waiting: 5,
            relayed: u64::MAX,
        }),
        Message::Account(account.clone()),
        Message::Connection(
            Connection {
                number: ConnectionNumber(3),
                protocol: Protocol::Imap,
                hand_over,
            },
            descriptor(),
        ),
        Message::Drop(ConnectionNumber(3)),
        Message::Closed(
            ConnectionNumber(3),
            SessionCounters {
                received: 10,
                sent: 20,
                commands: 30,
            },
        ),
        Message::Idle { connections: 3 },
        Message::Judged(Judgement::Challenge(secret())),
        Message::Judged(Judgement::Refused(Refusal::NoMail)),
        Message::Judged(Judgement::Admitted { account }),
        Message::Started { pid: 4711 },
        Message::Start(descriptor()),
        Message::Log(Level::Warn, "Töpfe".to_owned()),
    ]
}
