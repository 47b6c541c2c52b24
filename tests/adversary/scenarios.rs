//! What is sent when, and whether it is permitted: written down here once more, not taken from the
//! table that the monitor goes by.

use roost::ipc::Kind;

use super::messages::KINDS;

/// How far the front has come with the monitor, and with its attempt [`NUMBER`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stage {
    /// The settings have been read, no more.
    Preparing,
    /// Asked to serve; no attempt yet.
    Serving,
    /// The attempt is being judged, and will be for as long as we live.
    Asked,
    /// The attempt waits for the client's answer (SCRAM).
    Challenged,
    Refused,
    Admitted,
    HandedOver,
}

#[derive(Clone, Copy, Debug)]
pub enum Act {
    /// A message about the attempt or connection of that number.
    Send(Kind, u64),
    /// A packet of these octets.
    Octets(&'static [u8]),
    /// A message cut off after so many octets.
    Cut(Kind, usize),
    /// A message with octets behind it.
    Longer(Kind),
    /// A message that goes with no descriptor, with one.
    WithDescriptor(Kind),
    /// A message that goes with a descriptor, without.
    WithoutDescriptor(Kind),
    /// The permitted login, so many times at once, each with its own number.
    Logins(u64),
    /// So many lines for the log.
    Lines(u64),
    /// The channel is closed, and the process stays.
    Close,
    /// Every connection is called closed, and served all the same.
    Keep,
}

#[derive(Clone, Copy, Debug)]
pub struct Scenario {
    pub stage: Stage,
    pub act: Act,
    pub permitted: bool,
}

/// The attempt that a stage is about.
pub const NUMBER: u64 = 10;

pub fn of_front() -> Vec<Scenario> {
    let mut all = Vec::new();
    for stage in STAGES {
        for kind in KINDS {
            all.push(Scenario {
                stage,
                // A new attempt is a good one; an old one comes below.
                act: Act::Send(
                    kind,
                    if kind == Kind::Login {
                        NUMBER + 1
                    } else {
                        NUMBER
                    },
                ),
                permitted: is_permitted(stage, kind),
            });
        }
    }
    let mut wrong = |stage, act| {
        all.push(Scenario {
            stage,
            act,
            permitted: false,
        });
    };
    for stage in [
        Stage::Asked,
        Stage::Challenged,
        Stage::Refused,
        Stage::Admitted,
        Stage::HandedOver,
    ] {
        for number in [0, NUMBER - 1, NUMBER] {
            wrong(stage, Act::Send(Kind::Login, number));
        }
        for kind in [
            Kind::Respond,
            Kind::GiveUp,
            Kind::HandOver,
            Kind::Relay,
            Kind::Ended,
        ] {
            wrong(stage, Act::Send(kind, NUMBER + 1));
            wrong(stage, Act::Send(kind, u64::MAX));
        }
        wrong(stage, Act::Send(Kind::HandOver, NUMBER - 1));
    }
    for stage in [Stage::Preparing, Stage::Serving, Stage::Admitted] {
        wrong(stage, Act::Octets(b"\0"));
        wrong(stage, Act::Octets(b"\xff\xff\xff\xff\xff\xff\xff\xff"));
        wrong(stage, Act::Octets(&[0; 64]));
        wrong(stage, Act::Octets(b"GET / HTTP/1.0\r\n\r\n"));
        wrong(stage, Act::Octets(b""));
        wrong(stage, Act::Close);
    }
    for length in [1, 2, 5, 9, 10, 17, 30, 60] {
        wrong(Stage::Serving, Act::Cut(Kind::Login, length));
        wrong(Stage::Admitted, Act::Cut(Kind::HandOver, length));
    }
    for kind in [Kind::Login, Kind::Counted, Kind::Log] {
        wrong(Stage::Serving, Act::Longer(kind));
        wrong(Stage::Serving, Act::WithDescriptor(kind));
    }
    wrong(Stage::Admitted, Act::Longer(Kind::HandOver));
    wrong(Stage::Admitted, Act::WithoutDescriptor(Kind::HandOver));
    for act in [Act::Logins(500), Act::Lines(20_000)] {
        all.push(Scenario {
            stage: Stage::Serving,
            act,
            permitted: true,
        });
    }
    all
}

/// What a front may say.
fn is_permitted(stage: Stage, kind: Kind) -> bool {
    match kind {
        Kind::Log => true,
        // Asked to serve it has been by then, though it has not heard of it.
        Kind::Counted | Kind::Login => true,
        // A client may leave at any time, and its answer may cross the verdict.
        Kind::GiveUp => !matches!(stage, Stage::Preparing | Stage::Serving),
        Kind::Respond => matches!(
            stage,
            Stage::Challenged | Stage::Refused | Stage::HandedOver
        ),
        Kind::HandOver | Kind::Relay => stage == Stage::Admitted,
        _ => false,
    }
}

/// What a session may say. That its channel closes is no offence: then it is about to end.
pub fn of_session() -> Vec<Scenario> {
    let mut all = Vec::new();
    for stage in [Stage::Preparing, Stage::Serving] {
        for kind in KINDS {
            // Of the one connection that it has.
            let closed = kind == Kind::Closed && stage == Stage::Serving;
            all.push(Scenario {
                stage,
                act: Act::Send(kind, NUMBER),
                permitted: kind == Kind::Log || closed,
            });
        }
        // A connection may be on its way to one that is idle.
        all.push(Scenario {
            stage,
            act: Act::Send(Kind::Idle, 0),
            permitted: true,
        });
        for act in [
            Act::Octets(b"\0"),
            Act::Octets(&[0xff; 64]),
            Act::Send(Kind::Closed, u64::MAX),
            Act::Send(Kind::Closed, u64::MAX - 1),
            Act::Send(Kind::Idle, 1),
            Act::Send(Kind::Idle, u64::MAX),
            Act::WithDescriptor(Kind::Log),
            Act::Longer(Kind::Log),
        ] {
            all.push(Scenario {
                stage,
                act,
                permitted: false,
            });
        }
    }
    all
}

/// A session that breaks no rule of the table.
pub const KEEPING: Scenario = Scenario {
    stage: Stage::Serving,
    act: Act::Keep,
    permitted: true,
};

const STAGES: [Stage; 7] = [
    Stage::Preparing,
    Stage::Serving,
    Stage::Asked,
    Stage::Challenged,
    Stage::Refused,
    Stage::Admitted,
    Stage::HandedOver,
];
