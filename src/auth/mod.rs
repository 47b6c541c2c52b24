//! Who somebody is: PAM and password files, asked in the order of `auth.sources`.
//!
//! Runs in a login child only: everything here may block, and what it links to (PAM modules, NSS) may
//! do anything.  It never sees a socket.

pub mod cache;
mod pam;
mod report;
pub mod scheme;
pub mod scram;
pub mod verifier;

pub use pam::PamSession;
pub use report::{Report, test};

use crate::config::Config;
use crate::ipc::{Account, LoginRequest, Refusal, Secret};
use cache::Stamps;

/// The client's side of an exchange of several steps (SCRAM).
pub trait Dialogue {
    /// Sends a challenge and waits for the answer; `None` if the client has given up.
    fn challenge(&mut self, challenge: Secret) -> Option<Secret>;
}

/// Somebody who has shown who he is.
pub struct Admission {
    pub account: Account,
    /// For PAM users: what is to be opened, kept and closed around the session.
    pub pam: Option<PamSession>,
}

/// Finds out who it is.  Writes the log lines that outsiders parse (`auth: pam(bob,203.0.113.5,<session>): ..`).
pub fn authenticate(
    config: &Config,
    request: &LoginRequest,
    dialogue: &mut dyn Dialogue,
) -> Result<Admission, Refusal> {
    let _ = (config, request, dialogue);
    todo!()
}

/// What the files look like that passwords are in: a login found in the [`cache`] holds as long as
/// this is the same.
pub fn stamps(config: &Config) -> Stamps {
    let _ = config;
    todo!()
}
