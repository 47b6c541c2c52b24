use std::fs::File;
use std::os::fd::OwnedFd;

use super::super::tests::samples;
use super::super::{Attempt, ConnectionNumber, KINDS, Message, SessionCounters};
use super::*;

/// Gates in every state that a conversation can be in, each with the thing number 5 in every state
/// it can be in.
fn gates(child: Role) -> Vec<Gate> {
    let phases: &[Phase] = match child {
        Role::Login => &[Preparing, Working, Challenged, Admitted, Starting, Ending],
        _ => &[Preparing, Working, Ending],
    };
    let states: &[State] = match child {
        Role::Front => &[
            New,
            Asked,
            State::Challenged,
            State::Admitted,
            Relayed,
            Over,
        ],
        Role::Session => &[New, Open, Over],
        _ => &[New],
    };
    let mut gates = Vec::new();
    for &phase in phases {
        for &state in states {
            let mut gate = Gate::new(child);
            gate.phase = phase;
            if state != New {
                gate.set(NUMBER, state);
            }
            gates.push(gate);
        }
    }
    gates
}

/// What may come, written down a second time: a word for each message of the child, and where.
fn expected(child: Role, kind: Kind, phase: Phase, state: State) -> bool {
    let serves = matches!(phase, Working | Ending);
    match (child, kind) {
        (Role::Front, Kind::Login) => serves && state == New,
        (Role::Front, Kind::Respond) => serves && matches!(state, State::Challenged | Over),
        (Role::Front, Kind::GiveUp) => serves && !matches!(state, New | Relayed),
        (Role::Front, Kind::HandOver | Kind::Relay) => serves && state == State::Admitted,
        (Role::Front, Kind::Ended) => serves && state == Relayed,
        (Role::Front, Kind::Counted) => serves,
        (Role::Front | Role::Session, Kind::Log) => true,
        (Role::Session, Kind::Closed) => serves && state == Open,
        (Role::Session, Kind::Idle) => serves && state != Open,
        (Role::Login, Kind::JudgedChallenge) => phase == Working,
        (Role::Login, Kind::JudgedRefused) => phase == Working,
        (Role::Login, Kind::JudgedAdmitted) => phase == Working,
        (Role::Login, Kind::Started) => phase == Starting,
        _ => false,
    }
}

#[test]
fn every_message_in_every_state_is_permitted_or_refused_as_written_down() {
    for child in [Role::Front, Role::Session, Role::Login] {
        for kind in KINDS {
            for mut gate in gates(child) {
                let (phase, state) = (gate.phase, gate.state(NUMBER));
                let passed = gate.receive(&sample(*kind)).is_ok();
                let expected = expected(child, *kind, phase, state);
                assert_eq!(passed, expected, "{child:?} {kind:?} {phase:?} {state:?}");
            }
        }
    }
}

#[test]
fn every_rule_lets_its_message_pass_in_each_of_its_states() {
    for rule in TABLE {
        let child = match rule.from {
            Role::Monitor => rule.to,
            child => child,
        };
        let mut passes = 0;
        for mut gate in gates(child) {
            let state = gate.state(NUMBER);
            let fits = rule.during.contains(&gate.phase)
                && match rule.of {
                    Of::Thing(states, _) => states.contains(&state),
                    Of::Quiet => state != Open,
                    Of::Nothing => true,
                };
            if fits {
                gate.pass(rule.from, &sample(rule.kind)).unwrap();
                passes += 1;
                match rule.then {
                    Then::Go(phase) => assert_eq!(gate.phase(), phase),
                    Then::Stay => {}
                }
                if let Of::Thing(_, next) = rule.of {
                    assert_eq!(gate.state(NUMBER), next, "{:?}", rule.kind);
                }
            }
        }
        assert!(passes > 0, "{:?} is never permitted", rule.kind);
    }
}

#[test]
fn a_refused_message_leaves_the_conversation_as_it_was() {
    for child in [Role::Front, Role::Session, Role::Login] {
        for kind in KINDS {
            for mut gate in gates(child) {
                let before = (gate.phase, gate.state(NUMBER), gate.highest, gate.things());
                if gate.receive(&sample(*kind)).is_err() {
                    let after = (gate.phase, gate.state(NUMBER), gate.highest, gate.things());
                    assert_eq!(before, after);
                }
            }
        }
    }
}

#[test]
fn no_child_may_say_what_is_the_monitors_to_say() {
    for rule in TABLE {
        assert!(
            (rule.from == Role::Monitor) != (rule.to == Role::Monitor),
            "{:?}",
            rule.kind
        );
        let both = TABLE
            .iter()
            .any(|other| other.kind == rule.kind && other.from == rule.to && other.to == rule.from);
        assert!(!both, "{:?}", rule.kind);
    }
}

#[test]
fn every_message_has_a_rule() {
    for kind in KINDS {
        assert!(TABLE.iter().any(|rule| rule.kind == *kind), "{kind:?}");
    }
}

#[test]
fn an_attempt_is_handed_over_once() {
    let mut gate = Gate::new(Role::Front);
    gate.phase = Working;
    gate.receive(&sample(Kind::Login)).unwrap();
    assert!(gate.receive(&sample(Kind::HandOver)).is_err());
    gate.send(&sample(Kind::VerdictAdmitted)).unwrap();
    gate.receive(&sample(Kind::HandOver)).unwrap();
    assert!(gate.receive(&sample(Kind::HandOver)).is_err());
    assert_eq!(gate.things(), 0);
}

#[test]
fn a_relayed_connection_ends_once() {
    let mut gate = Gate::new(Role::Front);
    gate.phase = Working;
    gate.receive(&sample(Kind::Login)).unwrap();
    assert!(gate.receive(&sample(Kind::Ended)).is_err());
    gate.send(&sample(Kind::VerdictAdmitted)).unwrap();
    gate.receive(&sample(Kind::Relay)).unwrap();
    assert!(gate.receive(&sample(Kind::HandOver)).is_err());
    gate.receive(&sample(Kind::Ended)).unwrap();
    assert!(gate.receive(&sample(Kind::Ended)).is_err());
    assert_eq!(gate.things(), 0);
}

#[test]
fn no_number_is_used_twice_or_goes_back() {
    let mut gate = Gate::new(Role::Front);
    gate.phase = Working;
    gate.receive(&sample(Kind::Login)).unwrap();
    assert!(gate.receive(&sample(Kind::Login)).is_err());
    gate.send(&sample(Kind::VerdictRefused)).unwrap();
    let violation = gate.receive(&sample(Kind::Login)).unwrap_err();
    assert_eq!(
        violation.to_string(),
        "Login may not come while Working, of what is Over"
    );
    let Message::Login(_, request) = sample(Kind::Login) else {
        panic!()
    };
    for (number, may) in [(4, false), (6, true)] {
        let login = Message::Login(Attempt(number), request.clone());
        assert_eq!(gate.receive(&login).is_ok(), may, "{number}");
    }
}

#[test]
fn a_verdict_is_sent_only_to_an_attempt_that_waits_for_one() {
    let mut gate = Gate::new(Role::Front);
    gate.phase = Working;
    gate.receive(&sample(Kind::Login)).unwrap();
    gate.receive(&Message::GiveUp(Attempt(NUMBER))).unwrap();
    assert!(gate.send(&sample(Kind::VerdictAdmitted)).is_err());
    assert!(gate.receive(&sample(Kind::HandOver)).is_err());
}

#[test]
fn a_session_is_idle_only_without_connections() {
    let mut gate = Gate::new(Role::Session);
    gate.phase = Working;
    assert!(gate.receive(&Message::Idle { connections: 1 }).is_err());
    gate.receive(&Message::Idle { connections: 0 }).unwrap();
    gate.send(&sample(Kind::Connection)).unwrap();
    assert!(gate.receive(&Message::Idle { connections: 1 }).is_err());
    // That one may have crossed the connection.
    gate.receive(&Message::Idle { connections: 0 }).unwrap();
    let closed = Message::Closed(ConnectionNumber(NUMBER), SessionCounters::default());
    gate.receive(&closed).unwrap();
    assert!(gate.receive(&Message::Idle { connections: 0 }).is_err());
    assert!(gate.receive(&Message::Idle { connections: 2 }).is_err());
    gate.receive(&Message::Idle { connections: 1 }).unwrap();
}

fn sample(kind: Kind) -> Message {
    let null = || OwnedFd::from(File::open("/dev/null").unwrap());
    let mut samples = samples(null);
    let place = samples.iter().position(|sample| sample.kind() == kind);
    let mut sample = samples.swap_remove(place.unwrap_or_else(|| panic!("{kind:?}")));
    match &mut sample {
        Message::Verdict(attempt, _)
        | Message::Login(attempt, _)
        | Message::Respond(attempt, _)
        | Message::GiveUp(attempt)
        | Message::Ended(attempt)
        | Message::HandOver(attempt, ..) => *attempt = Attempt(NUMBER),
        Message::Connection(connection, _) => connection.number = ConnectionNumber(NUMBER),
        Message::Drop(number) | Message::Closed(number, _) => *number = ConnectionNumber(NUMBER),
        Message::Idle { connections } => *connections = 0,
        _ => {}
    }
    sample
}

const NUMBER: u64 = 5;
