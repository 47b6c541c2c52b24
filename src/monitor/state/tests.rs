//! The monitor with a front, login children and sessions that are played by the tests.

use std::collections::BTreeSet;
use std::fs::File;
use std::net::{TcpListener, UdpSocket};
use std::os::unix::net::{UnixDatagram, UnixStream};

use crate::ipc::channel::Channel;
use crate::ipc::{
    Account, Attempt, ConnectionNumber, HandOver, Judgement, Limit, Location, LoginRequest, Origin,
    Proof, Protocol, Refusal, SessionCounters, Verdict,
};
use crate::mail::{Layout, Secret};

use super::super::client::Whom;
use super::*;

#[test]
fn the_first_login_of_a_user_starts_his_session_and_the_client_is_handed_over_to_it() {
    let mut rig = Rig::new();
    rig.ask(1, "203.0.113.5");
    let mut session = rig.admit(1, "bob");
    assert_eq!(rig.verdict(1), admitted("bob", session.pid));
    rig.hand_over(1);
    let (number, hand_over) = session.connection();
    assert_eq!(number, 0);
    assert_eq!(hand_over.state, b"\0\0\0\0a1");
    assert_eq!(hand_over.origin, origin("203.0.113.5"));
    let who = rig.monitor.who();
    assert!(who.contains("bob") && who.contains("203.0.113.5"), "{who}");
}

#[test]
fn a_further_login_goes_to_the_session_that_is_there() {
    let mut rig = Rig::new();
    rig.ask(1, "203.0.113.5");
    let mut session = rig.admit(1, "bob");
    rig.verdict(1);
    rig.hand_over(1);
    session.connection();
    rig.ask(2, "198.51.100.7");
    let mut login = rig.login();
    login.say(judged("bob"));
    rig.pump();
    assert!(login.is_let_go());
    assert_eq!(rig.verdict(2), admitted("bob", session.pid));
    rig.hand_over(2);
    assert_eq!(session.connection().0, 1);
}

#[test]
fn logins_that_come_while_the_session_is_started_wait_for_it() {
    let mut rig = Rig::new();
    rig.ask(1, "203.0.113.5");
    rig.ask(2, "203.0.113.6");
    let (mut first, mut second) = (rig.login(), rig.login());
    first.say(judged("bob"));
    second.say(judged("bob"));
    rig.pump();
    let Message::Start(_) = first.hear() else {
        panic!();
    };
    assert!(second.is_let_go());
    assert!(rig.front_hears().is_none());
    first.say(Message::Started { pid: first.pid });
    rig.pump();
    assert_eq!(rig.verdict(1), admitted("bob", first.pid));
    assert_eq!(rig.verdict(2), admitted("bob", first.pid));
}

#[test]
fn the_front_is_told_why_somebody_is_not_let_in() {
    for refusal in [Refusal::Mismatch, Refusal::Expired, Refusal::NoMail] {
        let mut rig = Rig::new();
        rig.ask(1, "203.0.113.5");
        let mut login = rig.login();
        login.say(Message::Judged(Judgement::Refused(refusal)));
        rig.pump();
        assert_eq!(rig.verdict(1), Verdict::Refused(refusal));
        assert!(login.is_let_go());
    }
}

#[test]
fn challenges_and_answers_are_passed_on() {
    let mut rig = Rig::new();
    rig.ask(1, "203.0.113.5");
    let mut login = rig.login();
    for round in [b"r1", b"r2"] {
        let challenge = Secret::new(round.to_vec());
        login.say(Message::Judged(Judgement::Challenge(challenge.clone())));
        rig.pump();
        assert_eq!(rig.verdict(1), Verdict::Challenge(challenge));
        rig.say(Message::Respond(
            Attempt(1),
            Secret::new(b"answer".to_vec()),
        ));
        let Message::Respond(_, answer) = login.hear() else {
            panic!();
        };
        assert_eq!(answer.expose(), b"answer");
    }
}

#[test]
fn clients_that_do_not_answer_take_no_place_from_others() {
    let mut rig = Rig::with(|config| config.auth_processes = 4);
    let challenge = || Judgement::Challenge(Secret::new(b"r".to_vec()));
    let mut silent = Vec::new();
    let ask = |rig: &mut Rig, attempt: u64, address: &str| {
        rig.ask(attempt, address);
        let mut login = rig.login();
        login.say(Message::Judged(challenge()));
        rig.pump();
        assert!(matches!(rig.verdict(attempt), Verdict::Challenge(_)));
        login
    };
    // Four for each that may work.
    for attempt in 1..=16 {
        silent.push(ask(&mut rig, attempt, "203.0.113.5"));
    }
    assert!(rig.killed.is_empty());
    // They have the time that the front gives them.
    rig.wait(2 * rig.monitor.config.auth_timeout);
    assert!(rig.killed.is_empty());
    // The oldest of the address with the most makes room.
    rig.ask(17, "198.51.100.7");
    let mut other = rig.login();
    other.say(Message::Judged(challenge()));
    rig.pump();
    let heard: Vec<Message> = std::iter::from_fn(|| rig.front_hears()).collect();
    assert!(matches!(
        &heard[..],
        [
            Message::Verdict(Attempt(17), Verdict::Challenge(_)),
            Message::Verdict(Attempt(1), Verdict::Refused(Refusal::Unavailable)),
        ]
    ));
    assert_eq!(rig.killed, [silent[0].pid]);
    // Who answers works again, and then counts again.
    for attempt in 2..=4 {
        rig.say(Message::Respond(Attempt(attempt), Secret::new(Vec::new())));
    }
    rig.ask(18, "198.51.100.8");
    assert!(
        rig.logins.is_empty(),
        "four work: one has been killed and has not ended yet"
    );
    rig.exit(silent[0].pid, Exit::Signal("SIGKILL"));
    let _ = rig.login();
}

#[test]
fn the_child_of_a_client_that_has_gone_is_ended() {
    let mut rig = Rig::new();
    rig.ask(1, "203.0.113.5");
    let login = rig.login();
    rig.say(Message::GiveUp(Attempt(1)));
    assert!(rig.killed.contains(&login.pid));
    rig.exit(login.pid, Exit::Signal("SIGKILL"));
    assert!(rig.front_hears().is_none());
    assert_eq!(rig.monitor.logins.running(), 0);
}

#[test]
fn a_child_that_crashes_or_says_nothing_makes_the_attempt_unavailable() {
    let mut rig = Rig::new();
    rig.ask(1, "203.0.113.5");
    let login = rig.login();
    let pid = login.pid;
    drop(login);
    rig.pump();
    assert_eq!(rig.verdict(1), Verdict::Refused(Refusal::Unavailable));
    rig.exit(pid, Exit::Signal("SIGSEGV"));
    assert_eq!(rig.monitor.logins.running(), 0);

    rig.ask(2, "203.0.113.5");
    let login = rig.login();
    rig.wait(rig.monitor.config.auth_timeout);
    assert_eq!(rig.verdict(2), Verdict::Refused(Refusal::Unavailable));
    assert!(rig.killed.contains(&login.pid));
}

#[test]
fn a_child_that_ends_without_having_become_the_session_lets_nobody_in() {
    let mut rig = Rig::new();
    rig.ask(1, "203.0.113.5");
    let mut login = rig.login();
    login.say(judged("bob"));
    rig.pump();
    assert!(matches!(login.hear(), Message::Start(_)));
    let pid = login.pid;
    drop(login);
    rig.exit(pid, Exit::Code(71));
    assert_eq!(rig.verdict(1), Verdict::Refused(Refusal::Unavailable));
    assert_eq!(rig.monitor.sessions.count(), 0);
    // And nothing is left of it.
    rig.ask(2, "203.0.113.5");
    let session = rig.admit(2, "bob");
    assert_eq!(rig.verdict(2), admitted("bob", session.pid));
}

#[test]
fn there_are_so_many_children_at_a_time_and_a_quarter_of_them_for_one_address() {
    let mut rig = Rig::with(|config| config.auth_processes = 8);
    for attempt in 1..=10 {
        rig.ask(attempt, "203.0.113.5");
    }
    assert_eq!(rig.logins.len(), 2);
    for attempt in 11..=30 {
        rig.ask(attempt, &format!("198.51.100.{attempt}"));
    }
    assert_eq!(rig.logins.len(), 8);
    // Whoever has waited longest is next; of the flood too, when it has room again.
    let mut login = rig.login();
    assert!(matches!(login.task, Message::Login(Attempt(1), _)));
    login.say(Message::Judged(Judgement::Refused(Refusal::Mismatch)));
    rig.pump();
    assert_eq!(rig.logins.len(), 7, "the child has not ended yet");
    rig.exit(login.pid, Exit::Code(0));
    assert_eq!(rig.logins.len(), 8);
    let last = rig.logins.last().unwrap();
    assert!(matches!(last.task, Message::Login(Attempt(3), _)));
}

#[test]
fn a_queue_that_is_full_or_too_old_is_answered() {
    let mut rig = Rig::with(|config| config.auth_processes = 4);
    for attempt in 1..=19 {
        rig.ask(attempt, "203.0.113.5");
    }
    // Two run, 16 wait.
    assert_eq!(rig.verdict(19), Verdict::Refused(Refusal::Unavailable));
    assert!(rig.front_hears().is_none());
    rig.wait(rig.monitor.config.auth_timeout);
    let mut refused = BTreeSet::new();
    while let Some(Message::Verdict(Attempt(attempt), verdict)) = rig.front_hears() {
        assert_eq!(verdict, Verdict::Refused(Refusal::Unavailable));
        refused.insert(attempt);
    }
    assert_eq!(refused, (1..=18).collect());
}

#[test]
fn a_user_has_so_many_connections_from_an_address() {
    let mut rig = Rig::with(|config| config.connections_per_user_and_address = 2);
    rig.ask(1, "203.0.113.5");
    let mut session = rig.admit(1, "bob");
    rig.verdict(1);
    rig.hand_over(1);
    session.connection();
    let judge = |rig: &mut Rig, attempt, address: &str| {
        rig.ask(attempt, address);
        let mut login = rig.login();
        login.say(judged("bob"));
        rig.pump();
        rig.exit(login.pid, Exit::Code(0));
        rig.verdict(attempt)
    };
    // One that was admitted counts before it is handed over.
    assert_eq!(
        judge(&mut rig, 2, "203.0.113.5"),
        admitted("bob", session.pid)
    );
    assert_eq!(
        judge(&mut rig, 3, "203.0.113.5"),
        Verdict::Refused(Refusal::TooMany(Limit::UserAndAddress))
    );
    assert_eq!(
        judge(&mut rig, 4, "203.0.113.6"),
        admitted("bob", session.pid)
    );
    session.say(Message::Closed(
        ConnectionNumber(0),
        SessionCounters::default(),
    ));
    rig.pump();
    assert_eq!(
        judge(&mut rig, 5, "203.0.113.5"),
        admitted("bob", session.pid)
    );
    rig.say(Message::GiveUp(Attempt(5)));
    assert_eq!(
        judge(&mut rig, 6, "203.0.113.5"),
        admitted("bob", session.pid)
    );
    assert_eq!(
        judge(&mut rig, 7, "203.0.113.5"),
        Verdict::Refused(Refusal::TooMany(Limit::UserAndAddress))
    );
}

#[test]
fn there_are_so_many_connections_in_all() {
    let mut rig = Rig::with(|config| config.connections = 1);
    rig.ask(1, "203.0.113.5");
    let _session = rig.admit(1, "bob");
    rig.verdict(1);
    rig.ask(2, "203.0.113.6");
    let mut login = rig.login();
    login.say(judged("alice"));
    rig.pump();
    assert_eq!(
        rig.verdict(2),
        Verdict::Refused(Refusal::TooMany(Limit::All))
    );
}

#[test]
fn a_hand_over_that_was_not_admitted_ends_the_front_and_gets_nowhere() {
    let mut rig = Rig::new();
    rig.ask(1, "203.0.113.5");
    let mut session = rig.admit(1, "bob");
    rig.verdict(1);
    let first = rig.front_pid;
    rig.hand_over(2);
    assert!(rig.killed.contains(&first));
    assert!(session.hears_nothing());
    // Another one takes its place.
    rig.exit(first, Exit::Signal("SIGKILL"));
    rig.wait(Duration::from_millis(200));
    assert_ne!(rig.front_pid, first);
    rig.ask(1, "203.0.113.5");
    let mut login = rig.login();
    login.say(judged("bob"));
    rig.pump();
    assert_eq!(rig.verdict(1), admitted("bob", session.pid));
}

#[test]
fn what_is_no_connection_of_a_client_gets_to_no_session_and_ends_the_front() {
    let odd: Vec<fn() -> OwnedFd> = vec![
        null,
        || TcpListener::bind("127.0.0.1:0").unwrap().into(),
        || UdpSocket::bind("127.0.0.1:0").unwrap().into(),
        || UnixDatagram::pair().unwrap().0.into(),
        // As a channel is.
        || Channel::pair().unwrap().1,
    ];
    for descriptor in odd {
        let mut rig = Rig::new();
        rig.ask(1, "203.0.113.5");
        let mut session = rig.admit(1, "bob");
        rig.verdict(1);
        let front = rig.front_pid;
        rig.say(Message::HandOver(Attempt(1), hand_over(), descriptor()));
        assert_eq!(rig.killed, [front]);
        assert!(session.hears_nothing());
    }
}

#[test]
fn a_relayed_connection_counts_until_the_front_says_that_it_has_ended() {
    let mut rig = Rig::with(|config| config.connections_per_user_and_address = 1);
    rig.ask(1, "203.0.113.5");
    let mut session = rig.admit(1, "bob");
    rig.verdict(1);
    let relay = HandOver {
        relayed: true,
        ..hand_over()
    };
    rig.say(Message::HandOver(Attempt(1), relay, socket()));
    session.connection();
    session.say(Message::Closed(
        ConnectionNumber(0),
        SessionCounters::default(),
    ));
    let judge = |rig: &mut Rig, attempt| {
        rig.ask(attempt, "203.0.113.5");
        let mut login = rig.login();
        login.say(judged("bob"));
        rig.pump();
        rig.exit(login.pid, Exit::Code(0));
        rig.verdict(attempt)
    };
    let too_many = Verdict::Refused(Refusal::TooMany(Limit::UserAndAddress));
    assert_eq!(judge(&mut rig, 2), too_many);
    assert!(rig.monitor.who().contains("bob"));
    rig.say(Message::Ended(Attempt(1)));
    assert!(!rig.monitor.who().contains("bob"));
    assert_eq!(judge(&mut rig, 3), admitted("bob", session.pid));
    // The other way round the session is the last to let go.
    let relay = HandOver {
        relayed: true,
        ..hand_over()
    };
    rig.say(Message::HandOver(Attempt(3), relay, socket()));
    rig.say(Message::Ended(Attempt(3)));
    assert_eq!(judge(&mut rig, 4), too_many);
    session.connection();
    session.say(Message::Closed(
        ConnectionNumber(1),
        SessionCounters::default(),
    ));
    rig.pump();
    assert_eq!(judge(&mut rig, 5), admitted("bob", session.pid));
}

#[test]
fn what_a_front_relayed_has_ended_with_it() {
    let mut rig = Rig::new();
    rig.ask(1, "203.0.113.5");
    let mut session = rig.admit(1, "bob");
    rig.verdict(1);
    let relay = HandOver {
        relayed: true,
        ..hand_over()
    };
    rig.say(Message::HandOver(Attempt(1), relay, socket()));
    session.connection();
    session.say(Message::Closed(
        ConnectionNumber(0),
        SessionCounters::default(),
    ));
    rig.pump();
    assert!(rig.monitor.who().contains("bob"));
    let front = rig.front_pid;
    rig.exit(front, Exit::Signal("SIGSEGV"));
    assert!(!rig.monitor.who().contains("bob"));
    session.say(Message::Idle { connections: 1 });
    rig.pump();
    assert!(session.has_ended());
}

#[test]
fn a_session_whose_client_is_never_handed_over_ends_as_if_it_had_gone() {
    // The front dies, or does nothing.
    for dies in [true, false] {
        let mut rig = Rig::new();
        rig.ask(1, "203.0.113.5");
        let mut session = rig.admit(1, "bob");
        rig.verdict(1);
        session.say(Message::Idle { connections: 0 });
        rig.pump();
        assert!(session.hears_nothing(), "a client may come");
        match dies {
            true => {
                let front = rig.front_pid;
                rig.exit(front, Exit::Signal("SIGKILL"));
            }
            false => rig.wait(Duration::from_secs(60)),
        }
        assert!(session.has_ended());
        assert_eq!(rig.monitor.sessions.count(), 0);
        if !dies {
            // It is too late, and no crime.
            rig.hand_over(1);
            assert!(rig.killed.is_empty());
        }
    }
}

#[test]
fn everything_that_a_front_may_not_say_ends_it() {
    let wrong: Vec<fn() -> Message> = vec![
        || Message::Settings(String::new()),
        || Message::Stop,
        || Message::Serve,
        || {
            Message::Judged(Judgement::Admitted {
                account: account("bob"),
            })
        },
        || Message::Started { pid: 1 },
        || Message::Account(account("bob")),
        || Message::Closed(ConnectionNumber(0), SessionCounters::default()),
        || Message::Respond(Attempt(9), Secret::new(Vec::new())),
        || Message::GiveUp(Attempt(9)),
        || Message::Verdict(Attempt(1), admitted("bob", 1)),
        || Message::Start(null()),
    ];
    for message in wrong {
        let mut rig = Rig::new();
        let front = rig.front_pid;
        rig.say(message());
        assert_eq!(rig.killed, [front], "{:?}", message());
        assert!(rig.logins.is_empty());
    }
}

#[test]
fn a_front_that_dies_at_once_again_and_again_is_started_less_and_less_often() {
    let mut rig = Rig::new();
    let mut waits = Vec::new();
    for _ in 0..12 {
        let before = rig.front_pid;
        rig.front = None;
        rig.pump();
        rig.exit(before, Exit::Signal("SIGSYS"));
        let time = rig.monitor.next_timeout().unwrap();
        waits.push(time.duration_since(rig.now));
        rig.wait(time.duration_since(rig.now));
        assert_ne!(rig.front_pid, before);
    }
    assert!(waits.is_sorted() && waits[0] < waits[5]);
    assert_eq!(waits.last(), Some(&Duration::from_secs(4)));
}

#[test]
fn a_session_that_dies_takes_its_own_connections_only_and_is_started_anew() {
    let mut rig = Rig::new();
    let mut sessions = Vec::new();
    for (attempt, user) in [(1, "bob"), (2, "alice")] {
        rig.ask(attempt, "203.0.113.5");
        let mut session = rig.admit(attempt, user);
        rig.verdict(attempt);
        rig.hand_over(attempt);
        session.connection();
        sessions.push(session);
    }
    let bob = sessions.remove(0);
    let pid = bob.pid;
    drop(bob);
    rig.exit(pid, Exit::Signal("SIGSEGV"));
    let who = rig.monitor.who();
    assert!(!who.contains("bob") && who.contains("alice"), "{who}");
    rig.ask(3, "203.0.113.5");
    let mut session = rig.admit(3, "bob");
    assert_eq!(rig.verdict(3), admitted("bob", session.pid));
    rig.hand_over(3);
    session.connection();
    assert!(rig.killed.is_empty());
}

#[test]
fn a_session_that_breaks_the_rules_is_killed() {
    let wrong: Vec<fn() -> Message> = vec![
        || Message::Closed(ConnectionNumber(7), SessionCounters::default()),
        || Message::Idle { connections: 5 },
        || Message::Login(Attempt(1), request("203.0.113.5")),
        || Message::HandOver(Attempt(1), hand_over(), null()),
        || Message::Drop(ConnectionNumber(0)),
    ];
    for message in wrong {
        let mut rig = Rig::new();
        rig.ask(1, "203.0.113.5");
        let mut session = rig.admit(1, "bob");
        rig.verdict(1);
        session.say(message());
        rig.pump();
        assert_eq!(rig.killed, [session.pid], "{:?}", message());
    }
}

#[test]
fn an_idle_session_ends_unless_a_connection_is_on_its_way() {
    let mut rig = Rig::new();
    rig.ask(1, "203.0.113.5");
    let mut session = rig.admit(1, "bob");
    rig.verdict(1);
    rig.hand_over(1);
    session.connection();
    session.say(Message::Closed(
        ConnectionNumber(0),
        SessionCounters::default(),
    ));
    rig.pump();
    // It says that it is idle just when somebody has been admitted.
    rig.ask(2, "203.0.113.5");
    let mut login = rig.login();
    login.say(judged("bob"));
    rig.pump();
    session.say(Message::Idle { connections: 1 });
    rig.pump();
    assert!(!session.has_ended());
    assert_eq!(rig.verdict(2), admitted("bob", session.pid));
    rig.hand_over(2);
    session.connection();
    session.say(Message::Closed(
        ConnectionNumber(1),
        SessionCounters::default(),
    ));
    session.say(Message::Idle { connections: 2 });
    rig.pump();
    assert!(session.has_ended());
    rig.exit(session.pid, Exit::Code(0));
    assert_eq!(rig.monitor.sessions.count(), 0);
}

#[test]
fn a_session_that_was_started_for_a_client_that_has_gone_ends() {
    let mut rig = Rig::new();
    rig.ask(1, "203.0.113.5");
    let mut session = rig.admit(1, "bob");
    rig.verdict(1);
    session.say(Message::Idle { connections: 0 });
    rig.pump();
    assert!(!session.has_ended());
    rig.say(Message::GiveUp(Attempt(1)));
    assert!(session.has_ended());
    rig.wait(Duration::from_secs(60));
    assert_eq!(rig.killed, [session.pid], "it does not end by itself");
}

#[test]
fn a_pam_session_is_kept_by_the_child_whose_child_is_the_session() {
    let mut rig = Rig::new();
    rig.ask(1, "203.0.113.5");
    let mut login = rig.login();
    login.say(judged("bob"));
    rig.pump();
    let Message::Start(channel) = login.hear() else {
        panic!();
    };
    let mut session = Channel::new(channel).unwrap();
    login.say(Message::Started { pid: 77 });
    rig.pump();
    assert_eq!(rig.verdict(1), admitted("bob", 77));
    assert_eq!(rig.monitor.logins.running(), 0);
    // Not 77, which is not our child: by the time it could be somebody else's number.
    session.send(Message::Idle { connections: 9 }).unwrap();
    rig.pump();
    assert_eq!(rig.terminated, [login.pid]);
    assert!(rig.killed.is_empty());
}

#[test]
fn an_account_that_has_changed_gets_a_session_of_its_own() {
    let mut rig = Rig::new();
    rig.ask(1, "203.0.113.5");
    let mut before = rig.admit(1, "bob");
    rig.verdict(1);
    rig.ask(2, "203.0.113.5");
    let mut login = rig.login();
    let account = Account {
        uid: 2000,
        ..account("bob")
    };
    login.say(Message::Judged(Judgement::Admitted { account }));
    rig.pump();
    assert!(matches!(login.hear(), Message::Start(_)));
    assert!(matches!(before.hear(), Message::Stop));
}

#[test]
fn after_a_changed_configuration_a_login_meets_the_new_settings_beside_the_old_session() {
    let mut rig = Rig::new();
    rig.ask(1, "203.0.113.5");
    let mut before = rig.admit(1, "bob");
    rig.verdict(1);
    rig.hand_over(1);
    before.connection();
    rig.monitor.reconfigure(Config::default());
    rig.ask(2, "203.0.113.5");
    rig.login().say(judged("bob"));
    rig.pump();
    assert_eq!(rig.monitor.sessions.count(), 1, "nothing has changed");
    let changed = Config {
        append_limit: 4711,
        ..Config::default()
    };
    let lines = changed.lines();
    rig.monitor.reconfigure(changed);
    rig.ask(3, "203.0.113.5");
    let mut login = rig.login();
    login.say(judged("bob"));
    rig.pump();
    let Message::Start(channel) = login.hear() else {
        panic!();
    };
    let settings = Channel::new(channel).unwrap().receive().unwrap();
    assert!(matches!(settings, Some(Message::Settings(told)) if told == lines));
    assert_eq!(rig.monitor.sessions.count(), 2);
    assert!(!before.has_ended());
}

#[test]
fn root_is_not_let_in_whatever_a_child_says() {
    let mut rig = Rig::new();
    rig.ask(1, "203.0.113.5");
    let mut login = rig.login();
    let account = Account {
        uid: 0,
        ..account("root")
    };
    login.say(Message::Judged(Judgement::Admitted { account }));
    rig.pump();
    assert_eq!(rig.verdict(1), Verdict::Refused(Refusal::NotPermitted));
}

#[test]
fn a_login_for_postfix_starts_no_session_and_cannot_be_handed_over() {
    let mut rig = Rig::new();
    let request = LoginRequest {
        protocol: Protocol::Sasl,
        ..request("203.0.113.5")
    };
    rig.say(Message::Login(Attempt(1), request));
    let mut login = rig.login();
    login.say(judged("bob"));
    rig.pump();
    assert_eq!(rig.verdict(1), admitted("bob", login.pid));
    assert!(login.is_let_go());
    assert_eq!(rig.monitor.sessions.count(), 0);
    rig.hand_over(1);
    assert_eq!(rig.killed, [rig.front_pid]);
}

#[test]
fn clients_are_kicked_by_user_and_by_session() {
    let mut rig = Rig::new();
    rig.ask(1, "203.0.113.5");
    let mut session = rig.admit(1, "bob");
    rig.verdict(1);
    rig.hand_over(1);
    session.connection();
    assert_eq!(rig.monitor.kick(&Whom::User("alice".to_owned())), 0);
    assert_eq!(rig.monitor.kick(&Whom::User("bob".to_owned())), 1);
    assert!(matches!(session.hear(), Message::Drop(ConnectionNumber(0))));
    let id = origin("203.0.113.5").session;
    assert_eq!(rig.monitor.kick(&Whom::Session(id)), 1);
    assert!(matches!(session.hear(), Message::Drop(ConnectionNumber(0))));
}

#[test]
fn everybody_is_told_to_stop_and_those_who_do_not_are_killed() {
    let mut rig = Rig::new();
    rig.ask(1, "203.0.113.5");
    let mut session = rig.admit(1, "bob");
    rig.verdict(1);
    rig.ask(2, "203.0.113.5");
    let login = rig.login();
    rig.monitor.stop(rig.now);
    rig.perform();
    assert!(matches!(rig.front_hears(), Some(Message::Stop)));
    assert_eq!(rig.verdict(2), Verdict::Refused(Refusal::Unavailable));
    assert!(matches!(session.hear(), Message::Stop));
    assert_eq!(rig.killed, [login.pid]);
    rig.exit(login.pid, Exit::Signal("SIGKILL"));
    assert!(!rig.monitor.is_finished());
    let pid = session.pid;
    drop(session);
    rig.exit(pid, Exit::Code(0));
    rig.wait(GRACE);
    assert!(rig.killed.contains(&rig.front_pid));
    rig.front = None;
    rig.pump();
    rig.exit(rig.front_pid, Exit::Signal("SIGKILL"));
    assert!(rig.monitor.is_finished());
}

#[test]
fn from_inetd_all_ends_with_the_client() {
    let mut rig = Rig::new();
    rig.monitor.is_inetd = true;
    rig.ask(1, "203.0.113.5");
    let mut session = rig.admit(1, "bob");
    rig.verdict(1);
    rig.hand_over(1);
    session.connection();
    rig.front = None;
    rig.pump();
    rig.exit(rig.front_pid, Exit::Code(0));
    assert!(!rig.monitor.is_finished() && !session.has_ended());
    session.say(Message::Closed(
        ConnectionNumber(0),
        SessionCounters::default(),
    ));
    rig.pump();
    assert!(session.has_ended());
    rig.exit(session.pid, Exit::Code(0));
    assert!(rig.monitor.is_finished());
}

#[test]
fn a_session_whose_first_word_is_read_after_its_death_leaves_nothing_behind() {
    let mut rig = Rig::new();
    rig.ask(1, "203.0.113.5");
    let mut login = rig.login();
    login.say(judged("bob"));
    rig.pump();
    let start = login.hear();
    login.say(Message::Started { pid: login.pid });
    drop(start);
    rig.exit(login.pid, Exit::Signal("SIGKILL"));
    assert!(rig.monitor.children.keys().eq([&rig.front_pid]));
    assert_eq!(rig.monitor.sessions.count(), 0);
    // The number is somebody else's by now.
    rig.wait(Duration::from_secs(600));
    rig.monitor.kill_all();
    rig.perform();
    assert!(!rig.killed.contains(&login.pid));
}

#[test]
fn a_session_that_was_reaped_is_none_though_somebody_else_holds_its_channel() {
    let mut rig = Rig::new();
    rig.ask(1, "203.0.113.5");
    let mut session = rig.admit(1, "bob");
    rig.verdict(1);
    rig.hand_over(1);
    session.connection();
    session.say(Message::Closed(
        ConnectionNumber(0),
        SessionCounters {
            commands: 7,
            ..SessionCounters::default()
        },
    ));
    rig.exit(session.pid, Exit::Signal("SIGKILL"));
    assert_eq!(rig.monitor.sessions.count(), 0);
    // Its last words were heard, and no others will be.
    let present = rig.monitor.present();
    let metrics = rig.monitor.counters.open_metrics(present);
    assert!(metrics.contains("commands_total 7"), "{metrics}");
    assert!(session.has_ended());
    let more = session.channel.send(Message::Idle { connections: 9 });
    assert!(more.is_err());
    rig.pump();
    assert!(!rig.killed.contains(&session.pid));
}

#[test]
fn a_process_that_has_the_number_of_one_that_ended_late_is_left_alone() {
    let mut rig = Rig::new();
    rig.ask(1, "203.0.113.5");
    let session = rig.admit(1, "bob");
    rig.verdict(1);
    let pid = session.pid;
    drop(session);
    rig.pump();
    rig.exit(pid, Exit::Code(0));
    rig.next_pid = pid - 1;
    rig.ask(2, "203.0.113.5");
    let again = rig.admit(2, "bob");
    assert_eq!(again.pid, pid);
    rig.wait(Duration::from_secs(600));
    assert!(rig.killed.is_empty());
}

#[test]
fn who_keeps_a_pam_session_and_does_not_end_is_asked_and_then_killed() {
    let mut rig = Rig::new();
    rig.ask(1, "203.0.113.5");
    let mut login = rig.login();
    login.say(judged("bob"));
    rig.pump();
    let start = login.hear();
    login.say(Message::Started { pid: 77 });
    rig.pump();
    drop(start);
    rig.pump();
    rig.wait(Duration::from_secs(60));
    assert_eq!(
        (&rig.terminated[..], &rig.killed[..]),
        (&[login.pid][..], &[][..])
    );
    rig.wait(Duration::from_secs(60));
    assert_eq!(rig.killed, [login.pid]);
}

#[test]
fn a_session_ends_with_who_keeps_its_pam_session() {
    let mut rig = Rig::new();
    rig.ask(1, "203.0.113.5");
    let mut login = rig.login();
    login.say(judged("bob"));
    rig.pump();
    let Message::Start(channel) = login.hear() else {
        panic!();
    };
    login.say(Message::Started { pid: 77 });
    rig.pump();
    rig.exit(login.pid, Exit::Signal("SIGKILL"));
    assert_eq!(rig.monitor.sessions.count(), 0);
    let mut session = Channel::new(channel).unwrap();
    while let Ok(Some(_)) = session.receive() {}
    assert!(session.receive().is_err());
}

#[test]
fn what_a_front_calls_a_session_does_not_reach_the_terminal_of_who_asks() {
    let mut rig = Rig::new();
    let mut odd = request("203.0.113.5");
    odd.origin.session = "\x1b[2J\nroot".to_owned();
    rig.say(Message::Login(Attempt(1), odd));
    let mut session = rig.admit(1, "bob");
    rig.verdict(1);
    rig.hand_over(1);
    session.connection();
    let who = rig.monitor.who();
    assert!(who.ends_with("?[2J?root\n"), "{who:?}");
}

#[test]
fn a_login_that_is_answered_after_a_reload_is_not_kept_in_the_cache() {
    let mut rig = Rig::with(|config| config.auth_cache_time = Duration::from_secs(60));
    for reloaded in [true, false] {
        let attempt = u64::from(!reloaded) * 2 + 1;
        rig.ask(attempt, "203.0.113.5");
        let mut login = rig.login();
        if reloaded {
            rig.monitor.keep_no_running_login();
        }
        login.say(judged("bob"));
        rig.pump();
        rig.exit(login.pid, Exit::Code(0));
        while rig.front_hears().is_some() {}
        rig.ask(attempt + 1, "203.0.113.5");
        let next = rig.login();
        let is_known = matches!(next.task, Message::Account(_));
        assert_eq!(is_known, !reloaded);
        rig.exit(next.pid, Exit::Code(0));
        while rig.front_hears().is_some() {}
    }
}

/// The monitor, with the other ends of its channels.
struct Rig {
    monitor: Monitor,
    front: Option<Channel>,
    front_pid: u32,
    logins: Vec<Played>,
    sources: BTreeSet<SourceId>,
    killed: Vec<u32>,
    terminated: Vec<u32>,
    now: Instant,
    next_pid: u32,
}

struct Played {
    channel: Channel,
    task: Message,
    pid: u32,
}

/// A session, past its settings and account.
struct PlayedSession {
    channel: Channel,
    pid: u32,
}

impl Rig {
    fn new() -> Rig {
        Rig::with(|_| {})
    }

    fn with(change: impl FnOnce(&mut Config)) -> Rig {
        let mut config = Config::default();
        change(&mut config);
        let now = Instant::now();
        let cache = PasswordCache::new(&[7; 32], config.auth_cache_time);
        let mut rig = Rig {
            monitor: Monitor::new(Rc::new(config), false, cache, now),
            front: None,
            front_pid: 0,
            logins: Vec::new(),
            sources: BTreeSet::new(),
            killed: Vec::new(),
            terminated: Vec::new(),
            now,
            next_pid: 1000,
        };
        rig.monitor.start_front();
        rig.perform();
        rig
    }

    fn perform(&mut self) {
        while let Some(action) = self.monitor.poll_action() {
            match action {
                Action::Watch(source, _) => drop(self.sources.insert(source)),
                Action::Unwatch(source) => drop(self.sources.remove(&source)),
                Action::Kill(pid) => self.killed.push(pid),
                Action::Terminate(pid) => self.terminated.push(pid),
                Action::StartFront(channel) => {
                    self.front = Some(Channel::new(channel).unwrap());
                    self.next_pid += 1;
                    self.front_pid = self.next_pid;
                    self.monitor.front_started(Ok(self.front_pid));
                    self.monitor.tell_front(Message::Serve);
                    assert!(matches!(self.front_hears(), Some(Message::Serve)));
                }
                Action::StartLogin(source, channel) => {
                    self.next_pid += 1;
                    let mut channel = Channel::new(channel).unwrap();
                    let settings = channel.receive().unwrap();
                    assert!(matches!(settings, Some(Message::Settings(_))));
                    self.logins.push(Played {
                        task: channel.receive().unwrap().unwrap(),
                        channel,
                        pid: self.next_pid,
                    });
                    self.monitor.login_started(source, Ok(self.next_pid));
                }
            }
        }
    }

    /// Everything that was said is heard.
    fn pump(&mut self) {
        for _ in 0..3 {
            for source in self.sources.clone() {
                self.monitor.handle_source(source, self.now);
                self.perform();
            }
        }
    }

    fn wait(&mut self, time: Duration) {
        self.now += time;
        self.monitor.handle_timeout(self.now);
        self.perform();
    }

    fn exit(&mut self, pid: u32, exit: Exit) {
        self.monitor.handle_exit(pid, exit, self.now);
        self.perform();
        self.pump();
    }

    /// The front says it.
    fn say(&mut self, message: Message) {
        self.front.as_mut().unwrap().send(message).unwrap();
        self.pump();
    }

    fn ask(&mut self, attempt: u64, address: &str) {
        self.say(Message::Login(Attempt(attempt), request(address)));
    }

    fn hand_over(&mut self, attempt: u64) {
        self.say(Message::HandOver(Attempt(attempt), hand_over(), socket()));
    }

    fn front_hears(&mut self) -> Option<Message> {
        self.front.as_mut()?.receive().unwrap()
    }

    #[track_caller]
    fn verdict(&mut self, attempt: u64) -> Verdict {
        match self.front_hears() {
            Some(Message::Verdict(Attempt(other), verdict)) if other == attempt => verdict,
            other => panic!("{other:?}"),
        }
    }

    /// The login child that was started first of those that were not taken yet.
    fn login(&mut self) -> Played {
        self.logins.remove(0)
    }

    /// Plays the child of the first login of a user.
    fn admit(&mut self, attempt: u64, user: &str) -> PlayedSession {
        let mut login = self.login();
        assert!(matches!(login.task, Message::Login(Attempt(of), _) if of == attempt));
        login.say(judged(user));
        self.pump();
        let Message::Start(channel) = login.hear() else {
            panic!();
        };
        login.say(Message::Started { pid: login.pid });
        self.pump();
        let mut session = PlayedSession {
            channel: Channel::new(channel).unwrap(),
            pid: login.pid,
        };
        assert!(matches!(session.hear(), Message::Settings(_)));
        let Message::Account(account) = session.hear() else {
            panic!();
        };
        assert_eq!(account.user, user);
        session
    }
}

impl Played {
    fn say(&mut self, message: Message) {
        self.channel.send(message).unwrap();
    }

    #[track_caller]
    fn hear(&mut self) -> Message {
        self.channel.receive().unwrap().unwrap()
    }

    fn is_let_go(&mut self) -> bool {
        self.channel.receive().is_err()
    }
}

impl PlayedSession {
    fn say(&mut self, message: Message) {
        self.channel.send(message).unwrap();
    }

    #[track_caller]
    fn hear(&mut self) -> Message {
        self.channel.receive().unwrap().unwrap()
    }

    fn hears_nothing(&mut self) -> bool {
        self.channel.receive().unwrap().is_none()
    }

    fn has_ended(&mut self) -> bool {
        self.channel.receive().is_err()
    }

    #[track_caller]
    fn connection(&mut self) -> (u64, HandOver) {
        let Message::Connection(connection, _) = self.hear() else {
            panic!();
        };
        (connection.number.0, connection.hand_over)
    }
}

fn request(address: &str) -> LoginRequest {
    LoginRequest {
        protocol: Protocol::Imap,
        origin: origin(address),
        proof: Proof::Password {
            mechanism: "PLAIN",
            user: b"bob".to_vec(),
            authorize: Vec::new(),
            password: Secret::new(b"sesame".to_vec()),
        },
    }
}

fn origin(address: &str) -> Origin {
    Origin {
        remote: Some(format!("{address}:4711").parse().unwrap()),
        local: None,
        tls: false,
        session: format!("of {address}"),
    }
}

/// With an origin that is not what the front said at first.
fn hand_over() -> HandOver {
    HandOver {
        origin: origin("192.0.2.99"),
        state: b"\0\0\0\0a1".to_vec(),
        input: Vec::new(),
        output: Vec::new(),
        relayed: false,
    }
}

fn account(user: &str) -> Account {
    Account {
        user: user.to_owned(),
        uid: 1000,
        gid: 1000,
        home: format!("/home/{user}"),
        location: Location::at(
            format!("/home/{user}/Maildir").into(),
            Layout::MaildirPlusPlus,
        ),
    }
}

fn judged(user: &str) -> Message {
    let account = account(user);
    Message::Judged(Judgement::Admitted { account })
}

fn admitted(user: &str, pid: u32) -> Verdict {
    let user = user.to_owned();
    Verdict::Admitted { user, pid }
}

fn socket() -> OwnedFd {
    UnixStream::pair().unwrap().0.into()
}

fn null() -> OwnedFd {
    File::open("/dev/null").unwrap().into()
}
