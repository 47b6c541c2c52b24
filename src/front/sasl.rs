//! SASL mechanisms (RFC 4422): which are on offer, and what each asks and is told.
//!
//! The exchange itself happens elsewhere.  Of PLAIN, LOGIN and EXTERNAL a request is made here; of
//! SCRAM (RFC 5802, RFC 7677) the messages are passed on unread.

use crate::config::{self, Config};
use crate::ipc::{Binding, Proof};
use crate::mail::Secret;
use crate::net::Secured;

use super::certificate;

/// The mechanisms that the configuration allows.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct AllowedMechanisms(Vec<SaslMechanism>);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum SaslMechanism {
    /// RFC 4616
    Plain,
    /// draft-murchison-sasl-login
    Login,
    /// RFC 7677
    Scram,
    /// RFC 7677 with a channel binding
    ScramPlus,
    /// RFC 4422 A
    External,
}

/// What is known of the connection that an exchange runs on.
#[derive(Clone, Copy, Debug)]
pub(super) struct Ground<'a> {
    /// A password may be sent on it as it is.
    pub is_private: bool,
    /// Mechanisms that do not send the password may be used on it.
    pub is_usable: bool,
    pub secured: Option<&'a Secured>,
}

/// How far a mechanism has come.
#[derive(Debug)]
pub(super) enum Exchange {
    Plain,
    /// A user name is awaited.
    LoginUser,
    /// A password is awaited.
    LoginPassword(Vec<u8>),
    Scram {
        plus: bool,
        /// The first message has been passed on, so the monitor must be told if the client gives
        /// up.
        begun: bool,
    },
    External,
}

/// What the client's answer leads to.
#[derive(Debug)]
pub(super) enum Next {
    Challenge(Exchange, &'static str),
    /// A request for the monitor, with the state until there is an answer.
    Ask(Exchange, Proof),
    Respond(Exchange, Secret),
    /// It is no message of this mechanism.
    Malformed,
}

impl AllowedMechanisms {
    pub fn new(config: &Config) -> AllowedMechanisms {
        let mut allowed = Vec::new();
        for mechanism in &config.auth_mechanisms {
            match mechanism {
                config::Mechanism::Plain => allowed.push(SaslMechanism::Plain),
                config::Mechanism::Login => allowed.push(SaslMechanism::Login),
                config::Mechanism::ScramSha256 => {
                    allowed.extend([SaslMechanism::ScramPlus, SaslMechanism::Scram]);
                }
                config::Mechanism::External => allowed.push(SaslMechanism::External),
            }
        }
        AllowedMechanisms(allowed)
    }

    /// Whether a password may be asked for at all.
    pub fn has_passwords(&self) -> bool {
        self.0.iter().any(|mechanism| mechanism.sends_password())
    }

    /// What can be used now.
    pub fn offered(&self, ground: Ground<'_>) -> Vec<&'static str> {
        let offered = |mechanism: &&SaslMechanism| mechanism.is_possible(ground);
        self.0
            .iter()
            .filter(offered)
            .map(SaslMechanism::name)
            .collect()
    }

    /// The mechanism of that name, if it is allowed.
    pub fn find(&self, name: &str) -> Option<SaslMechanism> {
        let is_named = |mechanism: &&SaslMechanism| mechanism.name().eq_ignore_ascii_case(name);
        self.0.iter().find(is_named).copied()
    }
}

impl SaslMechanism {
    pub fn name(&self) -> &'static str {
        match self {
            SaslMechanism::Plain => "PLAIN",
            SaslMechanism::Login => "LOGIN",
            SaslMechanism::Scram => "SCRAM-SHA-256",
            SaslMechanism::ScramPlus => "SCRAM-SHA-256-PLUS",
            SaslMechanism::External => "EXTERNAL",
        }
    }

    pub fn sends_password(&self) -> bool {
        matches!(self, SaslMechanism::Plain | SaslMechanism::Login)
    }

    pub fn is_possible(&self, ground: Ground<'_>) -> bool {
        match self {
            SaslMechanism::Plain | SaslMechanism::Login => ground.is_private,
            SaslMechanism::Scram => ground.is_usable,
            SaslMechanism::ScramPlus => ground.secured.is_some_and(has_binding),
            SaslMechanism::External => ground
                .secured
                .is_some_and(|secured| secured.certificate.is_some()),
        }
    }

    /// The state in which the client's first message is awaited, and what asks for it.
    pub fn begin(self) -> (Exchange, &'static str) {
        match self {
            SaslMechanism::Plain => (Exchange::Plain, ""),
            SaslMechanism::Login => (Exchange::LoginUser, "Username:"),
            SaslMechanism::Scram | SaslMechanism::ScramPlus => {
                let plus = self == SaslMechanism::ScramPlus;
                (Exchange::Scram { plus, begun: false }, "")
            }
            SaslMechanism::External => (Exchange::External, ""),
        }
    }
}

impl Exchange {
    /// For the log.
    pub fn mechanism(&self) -> &'static str {
        match self {
            Exchange::Plain => SaslMechanism::Plain,
            Exchange::LoginUser | Exchange::LoginPassword(_) => SaslMechanism::Login,
            Exchange::Scram { plus: false, .. } => SaslMechanism::Scram,
            Exchange::Scram { plus: true, .. } => SaslMechanism::ScramPlus,
            Exchange::External => SaslMechanism::External,
        }
        .name()
    }

    /// Whether the monitor has the first message and waits.
    pub fn is_begun(&self) -> bool {
        matches!(self, Exchange::Scram { begun: true, .. })
    }

    /// What comes of the client's next message.
    pub fn handle(self, message: Secret, ground: Ground<'_>) -> Next {
        match self {
            Exchange::Plain => match plain(message.expose()) {
                Some((authorize, user, password)) => Next::Ask(
                    Exchange::Plain,
                    Proof::Password {
                        mechanism: SaslMechanism::Plain.name(),
                        user: user.to_vec(),
                        authorize: authorize.to_vec(),
                        password: Secret::new(password.to_vec()),
                    },
                ),
                None => Next::Malformed,
            },
            Exchange::LoginUser => {
                let user = message.expose().to_vec();
                Next::Challenge(Exchange::LoginPassword(user), "Password:")
            }
            Exchange::LoginPassword(user) => Next::Ask(
                Exchange::LoginUser,
                Proof::Password {
                    mechanism: SaslMechanism::Login.name(),
                    user,
                    authorize: Vec::new(),
                    password: message,
                },
            ),
            Exchange::Scram { plus, begun: false } => Next::Ask(
                Exchange::Scram { plus, begun: true },
                Proof::Scram {
                    first: message,
                    binding: binding(plus, ground),
                },
            ),
            Exchange::Scram { .. } => Next::Respond(self, message),
            Exchange::External => {
                let certificate = ground
                    .secured
                    .and_then(|secured| secured.certificate.as_deref());
                match certificate.and_then(certificate::name) {
                    Some(certified) => Next::Ask(
                        Exchange::External,
                        Proof::External {
                            certified,
                            authorize: message.expose().to_vec(),
                        },
                    ),
                    None => Next::Malformed,
                }
            }
        }
    }
}

/// The name that a request is about, as far as it can be seen, for the log.
pub(super) fn claimed(proof: &Proof) -> Vec<u8> {
    match proof {
        Proof::Password { user, .. } => user.clone(),
        Proof::Scram { first, .. } => scram_user(first.expose()),
        Proof::External {
            certified,
            authorize,
        } => match authorize.is_empty() {
            true => certified.clone(),
            false => authorize.clone(),
        },
    }
}

/// `gs2-header [reserved-mext ","] username "," nonce ..`, username = `n=` saslname (RFC 5802 7)
fn scram_user(first: &[u8]) -> Vec<u8> {
    let mut fields = first.split(|&octet| octet == b',');
    let name = fields.find_map(|field| field.strip_prefix(b"n="));
    let text = String::from_utf8_lossy(name.unwrap_or_default());
    text.replace("=2C", ",").replace("=3D", "=").into_bytes()
}

/// `[authzid] NUL authcid NUL passwd` (RFC 4616 2)
fn plain(message: &[u8]) -> Option<(&[u8], &[u8], &[u8])> {
    let mut fields = message.split(|&octet| octet == 0);
    let (authzid, authcid, password) = (fields.next()?, fields.next()?, fields.next()?);
    let is_whole = fields.next().is_none() && !authcid.is_empty();
    is_whole.then_some((authzid, authcid, password))
}

fn binding(plus: bool, ground: Ground<'_>) -> Binding {
    Binding {
        plus,
        offered: ground.secured.is_some_and(has_binding),
        exporter: ground.secured.and_then(|secured| secured.exporter.clone()),
        end_point: ground.secured.and_then(|secured| secured.end_point.clone()),
    }
}

fn has_binding(secured: &Secured) -> bool {
    secured.exporter.is_some() || secured.end_point.is_some()
}
