//! PAM as a source of logins.
//!
//! | file | what |
//! |---|---|
//! | `modules` | which modules of a PAM service cannot be loaded |

mod modules;

use std::path::{Path, PathBuf};

use super::Source;
use crate::auth::password::HashEffort;

use crate::auth::trace::{Trace, address};
use crate::auth::{Denial, Identity};
use crate::config::Config;
use crate::ipc::{LoginRequest, Origin, Refusal};
use crate::mail::Secret;
use crate::sys::pam::{Pam, PamError, PamFailure};
use modules::{Facility, Missing, ModuleLook};

pub(super) struct PamSource<'a> {
    pub config: &'a Config,
}

impl Source for PamSource<'_> {
    fn name(&self) -> &'static str {
        SOURCE
    }

    fn check(
        &self,
        user: &str,
        password: &Secret,
        request: &LoginRequest,
        effort: &mut HashEffort,
        trace: &mut Trace,
    ) -> Result<Identity, Denial> {
        let result = login(self.config, &request.origin, user, Some(password), trace);
        effort.compared |= !matches!(result, Err(Denial::Unknown));
        result
    }

    fn look_up(
        &self,
        user: &str,
        request: &LoginRequest,
        trace: &mut Trace,
    ) -> Result<Identity, Denial> {
        login(self.config, &request.origin, user, None, trace)
    }

    fn refuse_root(&self, trace: &mut Trace) {
        // fail2ban looks for these words.
        trace.failure(SOURCE, "pam_authenticate() failed: Permission denied");
    }

    fn file(&self) -> PathBuf {
        Path::new("/etc/pam.d").join(&self.config.auth_pam_service)
    }

    fn problems(&self) -> Vec<String> {
        let mut found: Vec<String> = self.warning().into_iter().collect();
        found.extend(missing_modules(&self.config.auth_pam_service));
        found
    }

    fn describe(&self) -> String {
        format!("pam, service {}", self.config.auth_pam_service)
    }

    fn warning(&self) -> Option<String> {
        missing_service(&self.config.auth_pam_service)
    }
}

/// A PAM handle after authentication, whose credentials are established.  Dropping it closes its
/// session if one is open, deletes the credentials and ends PAM.
pub struct PamSession {
    pam: Pam,
}

impl PamSession {
    /// Opens the session, as root, in the process that becomes the user's session or stays to close
    /// it.
    pub fn open(&mut self) -> Result<(), Refusal> {
        self.pam.open_session().map_err(|error| {
            log::error!("auth: pam: pam_open_session() failed: {error}");
            Refusal::Unavailable
        })
    }

    /// Closes the session, deletes the credentials and ends PAM.
    pub fn close(mut self) {
        if let Err(error) = self.pam.close_session() {
            log::warn!("auth: pam: pam_close_session() failed: {error}");
        }
        if let Err(error) = self.pam.delete_credentials() {
            log::warn!("auth: pam: pam_setcred() failed: {error}");
        }
    }

    /// Forgets the handle and does not tell the modules.  This is for the fork that becomes the
    /// user, while its parent keeps the handle, and before exec if nothing is to be closed.
    pub fn leave(self) {
        self.pam.leave();
    }

    /// Calls `pam_setcred`, which ends every successful login.
    pub(in crate::auth) fn establish(&mut self, trace: &mut Trace) -> Result<(), Refusal> {
        self.pam.establish().map_err(|error| {
            let text = format!("pam_setcred() failed: {error}");
            match error.failure() {
                PamFailure::Expired => {
                    trace.failure(SOURCE, text);
                    Refusal::Expired
                }
                _ => {
                    trace.problem(SOURCE, text);
                    Refusal::Unavailable
                }
            }
        })
    }
}

/// Asks PAM.  Without a password, it asks only whether the account may be used, because another
/// source knows the user.
fn login(
    config: &Config,
    origin: &Origin,
    user: &str,
    password: Option<&Secret>,
    trace: &mut Trace,
) -> Result<Identity, Denial> {
    let mut pam = start(config, origin, user).map_err(|error| {
        trace.problem(SOURCE, format!("pam_start() gave no answer: {error}"));
        Denial::Unavailable
    })?;
    let result = ask(&mut pam, config, password, trace);
    for message in pam.take_messages() {
        let text = format!("a module says: {message}");
        match result {
            Ok(()) => trace.detail(SOURCE, text),
            Err(_) => trace.failure(SOURCE, text),
        }
    }
    result?;

    let name = pam.user().map_err(|error| {
        trace.problem(SOURCE, format!("pam_get_item(PAM_USER) failed: {error}"));
        Denial::Unavailable
    })?;
    let mut user = user.to_owned();
    if name != user {
        let new = config.normalise_user(name.as_bytes()).map_err(|error| {
            trace.problem(SOURCE, format!("username changed to {name:?}: {error}"));
            Denial::Mismatch
        })?;
        trace.detail(SOURCE, format!("username changed {user} -> {new}"));
        user = new;
    }
    Ok(Identity {
        pam: Some(PamSession { pam }),
        ..Identity::of_system(user, SOURCE)
    })
}

fn start(config: &Config, origin: &Origin, user: &str) -> Result<Pam, PamError> {
    let mut pam = Pam::start(&config.auth_pam_service, user)?;
    if let Some(host) = address(origin.remote) {
        pam.set_remote_host(&host)?;
    }
    pam.set_remote_user(user)?;
    // pam_unix writes the terminal to the log, where fail2ban looks for this word.  pam_access
    // needs a terminal.
    pam.set_terminal("dovecot")?;
    Ok(pam)
}

fn ask(
    pam: &mut Pam,
    config: &Config,
    password: Option<&Secret>,
    trace: &mut Trace,
) -> Result<(), Denial> {
    if let Some(password) = password
        && let Err(error) = pam.authenticate(password.expose())
    {
        return Err(not_authenticated(&error, config, trace));
    }
    let Err(error) = pam.check_account() else {
        return Ok(());
    };
    let denial = match error.failure() {
        PamFailure::Expired => Denial::Expired,
        PamFailure::Unavailable => return Err(no_answer("pam_acct_mgmt", &error, config, trace)),
        _ if tell_missing(config, Facility::Account, trace) => return Err(Denial::Unavailable),
        PamFailure::UnknownUser => Denial::Unknown,
        // The password was right: pam_nologin says "authentication failure", pam_access "permission
        // denied".
        PamFailure::Mismatch | PamFailure::Denied => Denial::Disabled,
    };
    trace.failure(SOURCE, format!("pam_acct_mgmt() failed: {error}"));
    Err(denial)
}

fn not_authenticated(error: &PamError, config: &Config, trace: &mut Trace) -> Denial {
    let text = format!("pam_authenticate() failed: {error}");
    match error.failure() {
        PamFailure::Unavailable => no_answer("pam_authenticate", error, config, trace),
        PamFailure::Expired => {
            trace.failure(SOURCE, text);
            Denial::Expired
        }
        _ if tell_missing(config, Facility::Auth, trace) => Denial::Unavailable,
        PamFailure::Mismatch => {
            trace.failure(SOURCE, format!("{text} (password mismatch?)"));
            Denial::Mismatch
        }
        PamFailure::UnknownUser => {
            trace.failure(SOURCE, "unknown user");
            Denial::Unknown
        }
        // A rule that did not ask for the password has refused, so whether the password was right
        // must not show.
        PamFailure::Denied => {
            trace.failure(SOURCE, text);
            Denial::Mismatch
        }
    }
}

/// PAM itself does not work.  The text avoids the word "failed", which programs that ban addresses
/// look for, because the client is not at fault.
fn no_answer(function: &str, error: &PamError, config: &Config, trace: &mut Trace) -> Denial {
    let facility = match function {
        "pam_authenticate" => Facility::Auth,
        _ => Facility::Account,
    };
    if !tell_missing(config, facility, trace) {
        let service = &config.auth_pam_service;
        trace.problem(
            SOURCE,
            format!(
                "{function}() gave no answer: {error} (/etc/pam.d/{service} missing, or a module that \
                 does not work?)"
            ),
        );
    }
    Denial::Unavailable
}

/// Whether modules could not be loaded, so that a refusal means nothing.
fn tell_missing(config: &Config, facility: Facility, trace: &mut Trace) -> bool {
    let service = &config.auth_pam_service;
    let missing = modules::missing(service, facility, ModuleLook::Loads);
    for Missing { module, why } in &missing {
        trace.problem(
            SOURCE,
            format!(
                "the module {module} cannot be loaded, so nobody can say whether the password is right: \
                 {why}; install what it needs, or take it out of /etc/pam.d/{service}"
            ),
        );
    }
    !missing.is_empty()
}

/// A text if PAM has no rules for that service, and so takes those of `other`.
fn missing_service(service: &str) -> Option<String> {
    let exists = |folder: &&str| Path::new(folder).join(service).exists();
    let ruled = modules::FOLDERS.iter().any(exists) || !Path::new("/etc/pam.d").exists();
    (!ruled)
        .then(|| format!("/etc/pam.d/{service} is missing: /etc/pam.d/other decides who logs in"))
}

/// Modules without which perhaps nobody gets in.  They are not loaded, because the monitor asks
/// too.
fn missing_modules(service: &str) -> Vec<String> {
    let mut texts: Vec<String> = Vec::new();
    for facility in [Facility::Auth, Facility::Account] {
        for Missing { module, why } in modules::missing(service, facility, ModuleLook::Exists) {
            let text = format!("/etc/pam.d/{service}: {module}: {why}: logins may fail");
            if !texts.contains(&text) {
                texts.push(text);
            }
        }
    }
    texts
}

const SOURCE: &str = "pam";
