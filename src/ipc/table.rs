//! Who may send which message to whom, in which state, how often: one table, [`TABLE`].
//!
//! The monitor is at one end of every channel.  A [`Gate`] follows one of them from what goes
//! through it in either direction, so both ends know the state of the conversation; the monitor
//! asks the gate about each message before it does anything with it, and kills the peer that sent
//! what may not come now.
//!
//! Besides the state of the conversation there is that of each thing numbered in it: the front's
//! login attempts, the session's connections.  A message of the front and one of the monitor may
//! cross on their way; where that can happen the table permits what comes late, and the monitor
//! passes over it.

use std::collections::HashMap;
use std::fmt;

use super::{Kind, Message};

/// One rule.  A message that has several may come if one of them fits.
pub struct Rule {
    pub kind: Kind,
    pub from: Role,
    pub to: Role,
    /// Of the conversation.
    pub during: &'static [Phase],
    pub then: Then,
    pub of: Of,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Role {
    Monitor,
    Front,
    Login,
    Session,
}

/// How far a conversation is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Phase {
    /// The child gets what it needs.
    Preparing,
    /// Front and session: at work.  A login child: asks the sources.
    Working,
    /// A login child waits for the client's answer.
    Challenged,
    /// A login child has found out who the user is, and waits to be told whether to become the
    /// session.
    Admitted,
    /// A login child becomes the session.
    Starting,
    /// The child has been asked to end, or has nothing more to say.
    Ending,
}

/// What a message does to the conversation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Then {
    Stay,
    Go(Phase),
}

/// Which numbered thing a message is about, in which state that must be, and what becomes of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Of {
    Nothing,
    /// An attempt or a connection.
    Thing(&'static [State], State),
    /// About none: all connections must be closed, and their number must be right.
    Quiet,
}

/// How far an attempt or a connection is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum State {
    /// Its number is higher than any so far.
    New,
    /// An attempt that the monitor has to answer.
    Asked,
    /// An attempt that the client has to answer.
    Challenged,
    /// An attempt that has succeeded; its connection is still the front's.
    Admitted,
    /// An attempt whose connection is a session's, by way of the front.
    Relayed,
    /// A connection that the session has.
    Open,
    /// It is over, and no message may be about it.
    Over,
}

/// The table.
pub const TABLE: &[Rule] = &[
    // To the front.
    to_front(Kind::Settings, &[Preparing, Working]),
    to_front(Kind::Certificate, &[Preparing, Working]),
    to_front(Kind::ClientAuthority, &[Preparing, Working]),
    to_front(Kind::UseCertificates, &[Preparing, Working]),
    to_front(Kind::Listener, &[Preparing, Working]),
    to_front(Kind::Unlisten, &[Preparing, Working]),
    to_front(Kind::Client, &[Preparing]),
    to_front(Kind::Serve, &[Preparing]).then(Working),
    to_front(Kind::Stop, &[Preparing, Working]).then(Ending),
    to_front(Kind::VerdictChallenge, SERVES).of(&[Asked], State::Challenged),
    to_front(Kind::VerdictRefused, SERVES).of(&[Asked, State::Challenged], Over),
    to_front(Kind::VerdictAdmitted, SERVES).of(&[Asked], State::Admitted),
    // From the front.  An answer, or that nobody waits any more, may cross a verdict.
    from_front(Kind::Login, SERVES).of(&[New], Asked),
    from_front(Kind::Respond, SERVES).of(&[State::Challenged], Asked),
    from_front(Kind::Respond, SERVES).of(&[Over], Over),
    from_front(Kind::GiveUp, SERVES).of(&[Asked, State::Challenged, State::Admitted, Over], Over),
    from_front(Kind::HandOver, SERVES).of(&[State::Admitted], Over),
    from_front(Kind::Relay, SERVES).of(&[State::Admitted], Relayed),
    from_front(Kind::Ended, SERVES).of(&[Relayed], Over),
    from_front(Kind::Counted, SERVES),
    from_front(Kind::Log, &[Preparing, Working, Ending]),
    // To a login child.
    to_login(Kind::Settings, &[Preparing]),
    to_login(Kind::Login, &[Preparing]).then(Working),
    to_login(Kind::Account, &[Preparing]).then(Working),
    to_login(Kind::Respond, &[Challenged]).then(Working),
    to_login(Kind::Start, &[Admitted]).then(Starting),
    // From a login child.
    from_login(Kind::JudgedChallenge, &[Working]).then(Challenged),
    from_login(Kind::JudgedRefused, &[Working]).then(Ending),
    from_login(Kind::JudgedAdmitted, &[Working]).then(Admitted),
    from_login(Kind::Started, &[Starting]).then(Ending),
    // To a session.
    to_session(Kind::Settings, &[Preparing]),
    to_session(Kind::Account, &[Preparing]).then(Working),
    to_session(Kind::Connection, &[Working]).of(&[New], Open),
    to_session(Kind::Drop, &[Working]).of(&[Open], Open),
    to_session(Kind::Stop, &[Preparing, Working]).then(Ending),
    // From a session.
    from_session(Kind::Closed, SERVES).of(&[Open], Over),
    Rule {
        of: Of::Quiet,
        ..from_session(Kind::Idle, SERVES)
    },
    from_session(Kind::Log, &[Preparing, Working, Ending]),
];

/// Messages that may still come after the child was asked to end, because it has something to
/// finish.
const SERVES: &[Phase] = &[Working, Ending];

use Phase::{Admitted, Challenged, Ending, Preparing, Starting, Working};
use State::{Asked, New, Open, Over, Relayed};

const fn rule(kind: Kind, from: Role, to: Role, during: &'static [Phase]) -> Rule {
    Rule {
        kind,
        from,
        to,
        during,
        then: Then::Stay,
        of: Of::Nothing,
    }
}

const fn to_front(kind: Kind, during: &'static [Phase]) -> Rule {
    rule(kind, Role::Monitor, Role::Front, during)
}

const fn from_front(kind: Kind, during: &'static [Phase]) -> Rule {
    rule(kind, Role::Front, Role::Monitor, during)
}

const fn to_login(kind: Kind, during: &'static [Phase]) -> Rule {
    rule(kind, Role::Monitor, Role::Login, during)
}

const fn from_login(kind: Kind, during: &'static [Phase]) -> Rule {
    rule(kind, Role::Login, Role::Monitor, during)
}

const fn to_session(kind: Kind, during: &'static [Phase]) -> Rule {
    rule(kind, Role::Monitor, Role::Session, during)
}

const fn from_session(kind: Kind, during: &'static [Phase]) -> Rule {
    rule(kind, Role::Session, Role::Monitor, during)
}

impl Rule {
    const fn then(self, phase: Phase) -> Rule {
        Rule {
            then: Then::Go(phase),
            ..self
        }
    }

    const fn of(self, states: &'static [State], next: State) -> Rule {
        Rule {
            of: Of::Thing(states, next),
            ..self
        }
    }
}

/// Follows the conversation between the monitor and one child.
#[derive(Debug)]
pub struct Gate {
    child: Role,
    phase: Phase,
    /// The attempts or connections that are not over.  All others up to `highest` are over.
    things: HashMap<u64, State>,
    highest: Option<u64>,
    /// Connections sent to a session.
    connections: u64,
}

/// A message that may not come now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Violation {
    pub kind: Kind,
    pub from: Role,
    pub phase: Phase,
    /// Of the attempt or connection that it is about.
    pub state: Option<State>,
}

impl Gate {
    /// For a child that has just been started.
    pub fn new(child: Role) -> Gate {
        Gate {
            child,
            phase: Preparing,
            things: HashMap::new(),
            highest: None,
            connections: 0,
        }
    }

    pub fn phase(&self) -> Phase {
        self.phase
    }

    /// A message that goes to the child.
    pub fn send(&mut self, message: &Message) -> Result<(), Violation> {
        self.pass(Role::Monitor, message)
    }

    /// A message that has come from the child.
    pub fn receive(&mut self, message: &Message) -> Result<(), Violation> {
        self.pass(self.child, message)
    }

    /// Whether `from` may send the message now.  If so, the conversation goes on.
    pub fn pass(&mut self, from: Role, message: &Message) -> Result<(), Violation> {
        let to = match from {
            Role::Monitor => self.child,
            _ => Role::Monitor,
        };
        let kind = message.kind();
        let number = number(message);
        let state = number.map(|number| self.state(number));
        let rule = TABLE.iter().find(|rule| {
            rule.kind == kind
                && rule.from == from
                && rule.to == to
                && rule.during.contains(&self.phase)
                && match rule.of {
                    Of::Nothing => true,
                    Of::Thing(states, _) => state.is_some_and(|state| states.contains(&state)),
                    Of::Quiet => self.is_quiet(message),
                }
        });
        let Some(rule) = rule else {
            return Err(Violation {
                kind,
                from,
                phase: self.phase,
                state,
            });
        };
        if let Then::Go(phase) = rule.then {
            self.phase = phase;
        }
        if let (Of::Thing(_, next), Some(number)) = (rule.of, number) {
            self.set(number, next);
        }
        if kind == Kind::Connection {
            self.connections = self.connections.saturating_add(1);
        }
        Ok(())
    }

    /// Of the attempt or connection of that number.
    pub fn state(&self, number: u64) -> State {
        match self.things.get(&number) {
            Some(&state) => state,
            None if self.highest.is_some_and(|highest| number <= highest) => Over,
            None => New,
        }
    }

    /// Attempts or connections that are not over.
    pub fn things(&self) -> usize {
        self.things.len()
    }

    /// Ends a thing that no message is about any more: an attempt that has succeeded and has no
    /// connection to be handed over.
    pub fn end(&mut self, number: u64) {
        if self.state(number) != New {
            self.set(number, Over);
        }
    }

    fn set(&mut self, number: u64, state: State) {
        self.highest = self.highest.max(Some(number));
        match state {
            Over => drop(self.things.remove(&number)),
            _ => drop(self.things.insert(number, state)),
        }
    }

    /// A session may say that it has no connection when it has closed all that it can have got:
    /// later ones are on their way.
    fn is_quiet(&self, message: &Message) -> bool {
        let Message::Idle { connections } = message else {
            return false;
        };
        match self.connections.checked_sub(*connections) {
            Some(0) => self.things.is_empty(),
            Some(on_their_way) => self.things.len() as u64 == on_their_way,
            None => false,
        }
    }
}

/// Of the attempt or connection that the message is about.  For a login child there is only one.
fn number(message: &Message) -> Option<u64> {
    match message {
        Message::Verdict(attempt, _)
        | Message::Login(attempt, _)
        | Message::Respond(attempt, _)
        | Message::GiveUp(attempt)
        | Message::Ended(attempt)
        | Message::HandOver(attempt, ..) => Some(attempt.0),
        Message::Connection(connection, _) => Some(connection.number.0),
        Message::Drop(number) | Message::Closed(number, _) => Some(number.0),
        _ => None,
    }
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?} may not come while {:?}", self.kind, self.phase)?;
        match self.state {
            Some(state) => write!(f, ", of what is {state:?}"),
            None => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests;
