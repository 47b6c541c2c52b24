//! What the processes of one Roost say to each other.
//!
//! | file | what |
//! |---|---|
//! | `mod` | the messages |
//! | `protocol` | what clients speak, and on which sockets |
//! | `table` | who may say which of them to whom, in which state, how often |
//! | `codec` | messages to octets and back |
//! | `channel` | octets and descriptors over a socket pair |
//!
//! The monitor kills a peer that sends anything the table does not permit.

pub mod channel;
pub mod codec;
pub mod protocol;
pub mod table;

use std::net::SocketAddr;
use std::os::fd::OwnedFd;

pub use crate::config::Location;
pub use protocol::{ListenerKind, Protocol};

use crate::mail::Secret;

/// One message with the descriptor that goes with it.
#[derive(Debug)]
pub enum Message {
    // From the monitor to every child.
    /// First of all: the configuration, one `NAME=VALUE` a line (`config::Config::lines`).
    Settings(String),
    /// Say goodbye to your clients, finish what was promised, and end.
    Stop,

    // From the monitor to the front.
    /// A certificate chain and its private key, both PEM, for the names in the certificate.  The first is
    /// for clients that name none.
    Certificate {
        chain: Vec<u8>,
        key: Secret,
    },
    /// Who may sign certificates of clients, PEM.
    ClientAuthority(Vec<u8>),
    /// A listening socket.
    Listener(ListenerKind, OwnedFd),
    /// Accept nothing from the listening sockets that you have; others follow.
    Unlisten,
    /// One client that is here already (inetd); when it has gone the front ends.
    Client(ListenerKind, OwnedFd),
    /// All certificates have been sent: use these from now on.
    UseCertificates,
    /// Serve from now on.
    Serve,
    /// What came of `Login` or `Respond`.
    Verdict(Attempt, Verdict),

    // From the front to the monitor.
    /// A client says who it is.
    Login(Attempt, LoginRequest),
    /// The client's answer to `Verdict::Challenge`.
    Respond(Attempt, Secret),
    /// The client has gone; nobody waits for a verdict.
    GiveUp(Attempt),
    /// The connection that was admitted: its socket, or the end of a pair under TLS.
    HandOver(Attempt, HandOver, OwnedFd),
    /// The pair of this connection is gone, whatever its session says.
    Ended(Attempt),
    /// What has been counted since the last such message.
    Counted(FrontCounters),

    // From the monitor to a session.
    /// Whose session it is; comes after `Settings`.
    Account(Account),
    /// One more client.
    Connection(Connection, OwnedFd),
    /// Send this client away (`roost kick`).
    Drop(ConnectionNumber),

    // From a session to the monitor.
    /// The client has gone.
    Closed(ConnectionNumber, SessionCounters),
    /// There has been no client for a while, after so many `Connection` messages.  If no further one has been sent
    /// the monitor closes the channel, and the session ends.
    Idle {
        connections: u64,
    },

    // From a login child to the monitor.
    /// What came of the attempt.
    Judged(Judgement),
    /// The user's process is there and has become the user: it is the child itself, or a child of the child if
    /// that keeps a PAM session open.  Without this message, nobody is admitted.
    Started {
        pid: u32,
    },

    // From the monitor to a login child.
    /// Become the session; the channel to the monitor.
    Start(OwnedFd),

    // From the front and from sessions, if the log is not standard error.
    Log(Level, String),
}

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
    /// LOGIN, SASL PLAIN and LOGIN; `mechanism` is for the log.
    Password {
        mechanism: &'static str,
        user: Vec<u8>,
        password: Secret,
    },
    /// SASL SCRAM-SHA-256 (RFC 7677): the client's first message.  `binding` is what the server knows of the channel.
    Scram { first: Secret, binding: Binding },
    /// SASL EXTERNAL (RFC 4422 A): TLS has verified a client certificate for this name.  `authorize` is
    /// who the client wants to be, or empty.
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
    /// Who it is.  If there is to be a session the child waits for `Start`, or for the channel to close.
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
    /// What the conversation before login leaves to the service after it; only these two can read it.
    pub state: Vec<u8>,
    /// What the client sent after it had asked to log in.
    pub input: Vec<u8>,
    /// What was not sent to the client yet.
    pub output: Vec<u8>,
    /// It is the end of a pair, of which the front keeps the other and tells when it has `Ended`.  The session
    /// need not know.
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

/// Which message it is, as the table tells them apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Kind {
    Settings,
    Stop,
    Certificate,
    ClientAuthority,
    Listener,
    Unlisten,
    Client,
    UseCertificates,
    Serve,
    VerdictChallenge,
    VerdictRefused,
    VerdictAdmitted,
    Login,
    Respond,
    GiveUp,
    HandOver,
    /// `HandOver` of a connection that is relayed.
    Relay,
    Ended,
    Counted,
    Account,
    Connection,
    Drop,
    Closed,
    Idle,
    JudgedChallenge,
    JudgedRefused,
    JudgedAdmitted,
    Started,
    Start,
    Log,
}

impl Message {
    pub fn kind(&self) -> Kind {
        match self {
            Message::Settings(_) => Kind::Settings,
            Message::Stop => Kind::Stop,
            Message::Certificate { .. } => Kind::Certificate,
            Message::ClientAuthority(_) => Kind::ClientAuthority,
            Message::Listener(..) => Kind::Listener,
            Message::Unlisten => Kind::Unlisten,
            Message::Client(..) => Kind::Client,
            Message::UseCertificates => Kind::UseCertificates,
            Message::Serve => Kind::Serve,
            Message::Verdict(_, Verdict::Challenge(_)) => Kind::VerdictChallenge,
            Message::Verdict(_, Verdict::Refused(_)) => Kind::VerdictRefused,
            Message::Verdict(_, Verdict::Admitted { .. }) => Kind::VerdictAdmitted,
            Message::Login(..) => Kind::Login,
            Message::Respond(..) => Kind::Respond,
            Message::GiveUp(_) => Kind::GiveUp,
            Message::HandOver(_, HandOver { relayed: true, .. }, _) => Kind::Relay,
            Message::HandOver(..) => Kind::HandOver,
            Message::Ended(_) => Kind::Ended,
            Message::Counted(_) => Kind::Counted,
            Message::Account(_) => Kind::Account,
            Message::Connection(..) => Kind::Connection,
            Message::Drop(_) => Kind::Drop,
            Message::Closed(..) => Kind::Closed,
            Message::Idle { .. } => Kind::Idle,
            Message::Judged(Judgement::Challenge(_)) => Kind::JudgedChallenge,
            Message::Judged(Judgement::Refused(_)) => Kind::JudgedRefused,
            Message::Judged(Judgement::Admitted { .. }) => Kind::JudgedAdmitted,
            Message::Started { .. } => Kind::Started,
            Message::Start(_) => Kind::Start,
            Message::Log(..) => Kind::Log,
        }
    }
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

impl Kind {
    /// Whether a descriptor goes with it: exactly one, or none.
    pub fn has_descriptor(self) -> bool {
        matches!(
            self,
            Kind::Listener
                | Kind::Client
                | Kind::HandOver
                | Kind::Relay
                | Kind::Connection
                | Kind::Start
        )
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
