//! What the processes of one Roost say to each other.
//!
//! | file | what |
//! |---|---|
//! | `mod` | what is in the messages |
//! | `message` | the messages: each is declared here, once |
//! | `declare` | how that is written |
//! | `protocol` | what clients speak, and on which sockets |
//! | `table` | who may say which of them to whom, in which state, how often |
//! | `codec` | messages to octets and back |
//! | `channel` | octets and descriptors over a socket pair |
//!
//! The monitor kills a peer that sends anything the table does not permit.

pub mod channel;
pub mod codec;
mod declare;
mod message;
pub mod protocol;
pub mod table;

use std::net::SocketAddr;

pub use crate::config::Location;
pub use message::{KINDS, Kind, Message};
pub use protocol::{ListenerKind, Protocol};

use crate::mail::Secret;

/// A login attempt, numbered by the front; never used twice.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Attempt(pub u64);

/// A connection that was handed over, numbered by the monitor; never used twice.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ConnectionNumber(pub u64);

/// Where a client is, and how it came.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Origin {
    pub remote: Option<SocketAddr>,
    pub local: Option<SocketAddr>,
    pub tls: bool,
    /// For the log: what stands in `session=<..>`.
    pub session: String,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LoginRequest {
    pub protocol: Protocol,
    pub origin: Origin,
    pub proof: Proof,
}

/// How a client shows who it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Proof {
    /// LOGIN, SASL PLAIN and LOGIN; `mechanism` is for the log.  `authorize` is who the client
    /// wants to be, or empty.
    Password {
        mechanism: &'static str,
        user: Vec<u8>,
        authorize: Vec<u8>,
        password: Secret,
    },
    /// SASL SCRAM-SHA-256 (RFC 7677): the client's first message.  `binding` is what the server
    /// knows of the channel.
    Scram { first: Secret, binding: Binding },
    /// SASL EXTERNAL (RFC 4422 A): TLS has verified a client certificate for this name.
    /// `authorize` is who the client wants to be, or empty.
    External {
        certified: Vec<u8>,
        authorize: Vec<u8>,
    },
}

/// Channel bindings of a TLS connection (RFC 5929 4, RFC 9266).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Binding {
    /// The mechanism was SCRAM-SHA-256-PLUS.
    pub plus: bool,
    /// `-PLUS` was offered.
    pub offered: bool,
    pub exporter: Option<Vec<u8>>,
    pub end_point: Option<Vec<u8>>,
}

/// The answer of the monitor to the front.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// For the client to answer.
    Challenge(Secret),
    Refused(Refusal),
    /// The user's name as it is from now on, and the process that serves the user.
    Admitted {
        user: String,
        pid: u32,
    },
}

/// Why a client is not let in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// No such user, or another password: the client is not told which.
    Mismatch,
    /// The password was right, but it, or the account, has expired.
    Expired,
    /// The account cannot be used now: locked, nologin, not for this host.
    Disabled,
    /// The user may not be served: root, `auth.first_valid_uid`.
    NotPermitted,
    /// Whether the password is right cannot be found out now.
    Unavailable,
    TooMany(Limit),
    /// There is something wrong with the mail location; it is in the log.
    NoMail,
}

/// Which connections there are too many of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Limit {
    /// Those of this user from this address.
    UserAndAddress,
    /// Those of this user, from anywhere.
    User,
    /// All.
    All,
}

/// What a login child found out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Judgement {
    Challenge(Secret),
    Refused(Refusal),
    /// Who it is.  If there is to be a session the child waits for `Start`, or for the channel to
    /// close.
    Admitted {
        account: Account,
    },
}

/// A user who is served, with everything that a session has to know.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Account {
    pub user: String,
    pub uid: u32,
    pub gid: u32,
    pub home: String,
    pub location: Location,
}

/// What the front knows of a connection that it hands over.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HandOver {
    pub origin: Origin,
    /// What the conversation before login leaves to the service after it; only these two can read
    /// it.
    pub state: Vec<u8>,
    /// What the client sent after it had asked to log in.
    pub input: Vec<u8>,
    /// What was not sent to the client yet.
    pub output: Vec<u8>,
    /// It is the end of a pair, of which the front keeps the other and tells when it has `Ended`.
    /// The session need not know.
    pub relayed: bool,
}

/// A connection for its session.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Connection {
    pub number: ConnectionNumber,
    pub protocol: Protocol,
    pub hand_over: HandOver,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct FrontCounters {
    pub connections: u64,
    pub tls_handshakes: u64,
    pub tls_failures: u64,
    /// Attempts that the monitor did not hear of.
    pub refused: u64,
    /// Connections before login, now.
    pub waiting: u64,
    /// TLS connections relayed, now.
    pub relayed: u64,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SessionCounters {
    pub received: u64,
    pub sent: u64,
    pub commands: u64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Level {
    Error,
    Warn,
    Info,
    Debug,
}

impl Limit {
    /// The setting that limits it.
    pub fn setting(self) -> &'static str {
        match self {
            Limit::UserAndAddress => "limits.connections_per_user_and_address",
            Limit::User => "limits.connections_per_user",
            Limit::All => "limits.connections",
        }
    }
}

impl From<log::Level> for Level {
    fn from(level: log::Level) -> Level {
        match level {
            log::Level::Error => Level::Error,
            log::Level::Warn => Level::Warn,
            log::Level::Info => Level::Info,
            log::Level::Debug | log::Level::Trace => Level::Debug,
        }
    }
}

impl From<Level> for log::Level {
    fn from(level: Level) -> log::Level {
        match level {
            Level::Error => log::Level::Error,
            Level::Warn => log::Level::Warn,
            Level::Info => log::Level::Info,
            Level::Debug => log::Level::Debug,
        }
    }
}

#[cfg(test)]
mod tests;
