//! Asks one source after the other about a password, or about a name alone.
//!
//! If a source does not know the user, or knows another password, the next source is asked, as in
//! Dovecot.  If a password is right but may not be used now, no further source is asked.  If no
//! source lets the user in, and one could not answer, the result is that nobody knows.

use super::master::{self, Claim};
use super::scheme::{self, Stored};
use super::source::{self, Source};
use super::trace::Trace;
use super::{Denial, Dialogue, Identity, account};
use crate::config::Config;
use crate::ipc::{LoginRequest, Refusal};
use crate::mail::Secret;

/// Who has this name and this password.
pub(super) fn check(
    config: &Config,
    request: &LoginRequest,
    claim: &Claim,
    password: &Secret,
    dialogue: &mut dyn Dialogue,
    trace: &mut Trace,
) -> Result<Identity, Refusal> {
    let user = &claim.user;
    if let Some(master) = &claim.master {
        let names = (user.as_str(), master.as_str());
        return master::check(config, request, names, password, dialogue, trace);
    }
    account::refuse_root(config, user, trace)?;
    let mut effort = HashEffort::default();
    let result = each(source::all(config), dialogue, |source| {
        source.check(user, password, request, &mut effort, trace)
    });
    if result.is_err() {
        effort.make_up(password);
    }
    result
}

/// Looks up a user by name.  Somebody else has verified that it is this user.
pub(super) fn look_up(
    config: &Config,
    request: &LoginRequest,
    certified: &[u8],
    authorize: &[u8],
    dialogue: &mut dyn Dialogue,
    trace: &mut Trace,
) -> Result<Identity, Refusal> {
    let user = normalise(config, certified, trace)?;
    // RFC 4422 A: empty is who the certificate is for.
    if !authorize.is_empty() && normalise(config, authorize, trace)? != user {
        trace.failure("external", "authorization as somebody else is not possible");
        return Err(Refusal::Mismatch);
    }
    account::refuse_root(config, &user, trace)?;
    each(source::all(config), dialogue, |source| {
        source.look_up(&user, request, trace)
    })
}

/// The one form of a name.
pub(super) fn normalise(
    config: &Config,
    user: &[u8],
    trace: &mut Trace,
) -> Result<String, Refusal> {
    config.normalise_user(user).map_err(|error| {
        trace.failure("login", error.to_string());
        Refusal::Mismatch
    })
}

/// Asks these one after the other.
pub(super) fn each<'a>(
    sources: impl Iterator<Item = Box<dyn Source + 'a>>,
    dialogue: &mut dyn Dialogue,
    mut ask: impl FnMut(&dyn Source) -> Result<Identity, Denial>,
) -> Result<Identity, Refusal> {
    let mut refusal = Refusal::Mismatch;
    for source in sources {
        dialogue.turn_to(source.name());
        match ask(source.as_ref()) {
            Ok(identity) => return Ok(identity),
            Err(Denial::Unknown | Denial::Mismatch) => {}
            Err(Denial::Unavailable) => refusal = Refusal::Unavailable,
            Err(Denial::Expired) => return Err(Refusal::Expired),
            Err(Denial::Disabled) => return Err(Refusal::Disabled),
            Err(Denial::NotPermitted) => return Err(Refusal::NotPermitted),
        }
    }
    Err(refusal)
}

/// What has been spent on comparing.
#[derive(Default)]
pub(super) struct HashEffort {
    pub compared: bool,
    /// What costs as much as a comparison would have.
    pub sample: Option<Stored>,
}

impl HashEffort {
    /// Spends on an unknown user what a wrong password costs.
    pub fn make_up(self, password: &Secret) {
        match self.sample {
            _ if self.compared => {}
            // Nobody's: what came out does not matter.
            Some(sample) => drop(sample.admits(password.expose())),
            None => scheme::spend(password.expose()),
        }
    }
}
