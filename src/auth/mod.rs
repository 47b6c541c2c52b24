//! Who somebody is: PAM, password files and a Dovecot, asked in the order of `auth.sources`.
//!
//! Runs in a login child only: everything here may block, and what it links to (PAM modules, NSS)
//! may do anything.  It never sees a socket.
//!
//! | file | what |
//! |---|---|
//! | `mod` | a login from proof to account |
//! | `password` | LOGIN, SASL PLAIN and LOGIN, EXTERNAL: the sources one by one |
//! | `master` | who a client wants to be, and in whose name: master users |
//! | `exchange` | SASL SCRAM-SHA-256, in several steps |
//! | `account` | what a session needs of a user, and which users are never let in |
//! | `source` | where users and passwords are kept, each behind one trait |
//! | `scheme`, `verifier` | passwords as they are kept |
//! | `scram` | the messages of SCRAM |
//! | `files` | the files around it |
//! | `trace` | the log |
//! | `report` | `roost auth-test` |
//! | `reach` | whether a user who is let in can get at the mail |
//! | `cache` | logins that were right a moment ago; for the monitor |
//!
//! # What the client may learn
//!
//! A wrong password and an unknown user are one [`Refusal::Mismatch`], and cost the same as far as
//! it is in our hands: if no source compared a password, one is compared with nobody's.  (The front
//! makes the rest equal: it answers all failures after the same time.)  That an account has expired
//! or is disabled is told only to who knows its password.  Root is refused before anybody looks at
//! the password: no answer tells whether it was right.

mod account;
pub mod cache;
mod exchange;
mod files;
mod master;
mod password;
mod reach;
mod report;
pub mod scheme;
pub mod scram;
pub mod source;
mod trace;
pub mod verifier;

pub use files::stamps;
pub use report::{Report, test};
pub use source::check;
pub use source::pam::PamSession;

use crate::config::{ClientCertificate, Config, MailPlace, Mechanism};
use crate::ipc::{Account, LoginRequest, Origin, Proof, Refusal};
use crate::mail::Secret;
use trace::Trace;

/// The client's side of a login: an exchange of several steps (SCRAM), and the report of each step.
pub trait Dialogue {
    /// Sends a challenge and waits for the answer; `None` if the client has given up.
    fn challenge(&mut self, challenge: Secret) -> Option<Secret>;

    /// This source is asked from now on.
    fn turn_to(&mut self, _source: &'static str) {}
}

/// A user who has been identified and is let in.
pub struct Admission {
    pub account: Account,
    /// For PAM users: the PAM session, which is open while the user is served.
    pub pam: Option<PamSession>,
}

/// A user, in the words of the source that knows the user.  The system adds what is missing.
struct Identity {
    user: String,
    source: &'static str,
    /// Numbers or names.
    uid: Option<String>,
    gid: Option<String>,
    home: Option<String>,
    mail: Option<MailPlace>,
    /// `auth.default_uid` and its like stand for what is missing.
    takes_defaults: bool,
    pam: Option<PamSession>,
}

/// Why a source does not let a user in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Denial {
    Unknown,
    Mismatch,
    Expired,
    Disabled,
    NotPermitted,
    Unavailable,
}

/// Finds out who logs in.  Writes the log lines that outsiders parse (`auth:
/// pam(bob,203.0.113.5,<session>): ..`).
pub fn authenticate(
    config: &Config,
    request: &LoginRequest,
    dialogue: &mut dyn Dialogue,
) -> Result<Admission, Refusal> {
    let mut trace = Trace::new(name_of(&request.proof), &request.origin);
    let result = judge(config, request, dialogue, &mut trace);
    trace.write(result.is_ok());
    result
}

fn judge(
    config: &Config,
    request: &LoginRequest,
    dialogue: &mut dyn Dialogue,
    trace: &mut Trace,
) -> Result<Admission, Refusal> {
    let identity = match &request.proof {
        Proof::Password {
            user,
            authorize,
            password,
            ..
        } => {
            let claim = master::Claim::read(config, user, authorize, trace)?;
            password::check(config, request, &claim, password, dialogue, trace)?
        }
        Proof::External {
            certified,
            authorize,
        } => {
            believe(config, &request.origin, trace)?;
            password::look_up(config, request, certified, authorize, dialogue, trace)?
        }
        Proof::Scram { first, binding } => {
            return exchange::run(config, request, first, binding, dialogue, trace);
        }
    };
    account::admit(config, request.protocol, identity, trace)
}

/// The front says that TLS has verified a certificate, and nothing here can check it.  So it is
/// believed only where the administrator has allowed it.  Everywhere else, a front that was taken
/// over could let itself in this way.
fn believe(config: &Config, origin: &Origin, trace: &mut Trace) -> Result<(), Refusal> {
    let is_asked_for = config.tls_client_certificate != ClientCertificate::No;
    if config.auth_mechanisms.contains(&Mechanism::External) && is_asked_for && origin.tls {
        return Ok(());
    }
    trace.problem(
        "external",
        "the front says that a certificate has shown who this is, but EXTERNAL is not offered",
    );
    Err(Refusal::Mismatch)
}

/// The name as it was sent, for the log.
fn name_of(proof: &Proof) -> &[u8] {
    match proof {
        Proof::Password { user, .. } => user,
        Proof::External { certified, .. } => certified,
        Proof::Scram { first, .. } => scram::name_in(first.expose()),
    }
}

impl Identity {
    /// A user whom the system knows everything else about.
    fn of_system(user: String, source: &'static str) -> Identity {
        Identity {
            user,
            source,
            uid: None,
            gid: None,
            home: None,
            mail: None,
            takes_defaults: false,
            pam: None,
        }
    }
}
