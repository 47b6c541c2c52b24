//! Asks one source after the other about a password, or about a name alone.
//!
//! If a source does not know the user, or knows another password, the next source is asked, as in
//! Dovecot.  If a password is right but may not be used now, no further source is asked.  If no
//! source lets the user in, and one could not answer, the result is that nobody knows.

use std::path::Path;

use super::scheme::{self, SchemeError, Stored};
use super::source::pam;
use super::source::passwd_file::{self, Entry, Extent, Found};
use super::trace::Trace;
use super::{Denial, Dialogue, Identity, account};
use crate::config::{AuthSource, Config};
use crate::ipc::{Origin, Refusal};
use crate::mail::Secret;

/// Who has this name and this password.
pub(super) fn check(
    config: &Config,
    origin: &Origin,
    user: &[u8],
    password: &Secret,
    dialogue: &mut dyn Dialogue,
    trace: &mut Trace,
) -> Result<Identity, Refusal> {
    let user = normalise(config, user, trace)?;
    account::refuse_root(config, &user, trace)?;
    let mut effort = Effort::default();
    let result = each_source(config, dialogue, |source| match source {
        AuthSource::Pam => {
            let result = pam::login(config, origin, &user, Some(password), trace);
            effort.compared |= !matches!(result, Err(Denial::Unknown));
            result
        }
        AuthSource::PasswdFile(path) => {
            let mut found = find(path, &user, Extent::Line, trace)?;
            effort.sample = effort.sample.take().or(found.sample.take());
            let entry = known(found, trace)?;
            effort.compared = true;
            check_entry(entry, origin, password, trace)
        }
    });
    if result.is_err() {
        effort.make_up(password);
    }
    result
}

/// Looks up a user by name.  Somebody else has verified that it is this user.
pub(super) fn look_up(
    config: &Config,
    origin: &Origin,
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
    each_source(config, dialogue, |source| match source {
        AuthSource::Pam => pam::login(config, origin, &user, None, trace),
        AuthSource::PasswdFile(path) => {
            let entry = known(find(path, &user, Extent::Line, trace)?, trace)?;
            refuse_odd(&entry, trace)?;
            permit(entry, origin, trace)
        }
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

pub(super) fn find(
    path: &Path,
    user: &str,
    extent: Extent,
    trace: &mut Trace,
) -> Result<Found, Denial> {
    passwd_file::find(path, user, extent).map_err(|error| {
        trace.problem(SOURCE, format!("{}: {error}", path.display()));
        Denial::Unavailable
    })
}

/// What is kept of the password, if it can be compared.
pub(super) fn stored(entry: &Entry, trace: &mut Trace) -> Option<Stored> {
    refuse_odd(entry, trace).ok()?;
    match entry.password() {
        Ok(stored) => Some(stored),
        // As a locked password is marked.
        Err(error @ (SchemeError::Empty | SchemeError::Form)) => {
            trace.detail(SOURCE, error.to_string());
            None
        }
        Err(error) => {
            trace.problem(SOURCE, error.to_string());
            None
        }
    }
}

/// Whether a user who has been identified may log in from this address.
pub(super) fn permit(entry: Entry, origin: &Origin, trace: &mut Trace) -> Result<Identity, Denial> {
    let address = origin.remote.map(|remote| remote.ip());
    if !entry.allows(address) {
        trace.failure(SOURCE, "allow_nets check failed: not in allowed networks");
        return Err(Denial::Mismatch);
    }
    if entry.no_login {
        trace.failure(SOURCE, "User not allowed to log in (nologin)");
        return Err(Denial::Disabled);
    }
    for field in &entry.ignored {
        trace.detail(SOURCE, format!("the field {field} means nothing here"));
    }
    Ok(Identity {
        uid: entry.uid,
        gid: entry.gid,
        home: entry.home,
        mail: entry.mail,
        ..Identity::of_system(entry.user, SOURCE)
    })
}

fn check_entry(
    entry: Entry,
    origin: &Origin,
    password: &Secret,
    trace: &mut Trace,
) -> Result<Identity, Denial> {
    if entry.uid.as_deref().is_some_and(account::is_root) {
        trace.failure(SOURCE, account::ROOT);
        return Err(Denial::NotPermitted);
    }
    let right = match stored(&entry, trace) {
        Some(stored) => stored.admits(password.expose()),
        None => {
            scheme::spend(password.expose());
            false
        }
    };
    match right {
        true => permit(entry, origin, trace),
        false => {
            trace.failure(SOURCE, "Password mismatch");
            Err(Denial::Mismatch)
        }
    }
}

/// Fields that mean something else than a login here must not be passed over.
fn refuse_odd(entry: &Entry, trace: &mut Trace) -> Result<(), Denial> {
    match entry.unusable {
        Some(field) => {
            trace.problem(SOURCE, format!("the field {field} is not supported"));
            Err(Denial::Unavailable)
        }
        None => Ok(()),
    }
}

fn known(found: Found, trace: &mut Trace) -> Result<Entry, Denial> {
    found.entry.ok_or_else(|| {
        trace.failure(SOURCE, "unknown user");
        Denial::Unknown
    })
}

fn each_source(
    config: &Config,
    dialogue: &mut dyn Dialogue,
    mut ask: impl FnMut(&AuthSource) -> Result<Identity, Denial>,
) -> Result<Identity, Refusal> {
    let mut refusal = Refusal::Mismatch;
    for source in &config.auth_sources {
        dialogue.turn_to(match source {
            AuthSource::Pam => pam::SOURCE,
            AuthSource::PasswdFile(_) => SOURCE,
        });
        match ask(source) {
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
struct Effort {
    compared: bool,
    /// What costs as much as a comparison would have.
    sample: Option<Stored>,
}

impl Effort {
    /// Spends on an unknown user what a wrong password costs.
    fn make_up(self, password: &Secret) {
        match self.sample {
            _ if self.compared => {}
            // Nobody's: what came out does not matter.
            Some(sample) => drop(sample.admits(password.expose())),
            None => scheme::spend(password.expose()),
        }
    }
}

pub(super) const SOURCE: &str = "passwd-file";
