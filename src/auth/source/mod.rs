//! Where users and passwords are kept: each source is a file here, behind one trait.
//!
//! A further source is a file, a variant of `auth.sources`, and a line in `of`.
//!
//! | file | what |
//! |---|---|
//! | `pam` | PAM |
//! | `passwd_file` | Dovecot's passwd-file |
//! | `dovecot` | the auth service of a running Dovecot |

mod dovecot;
pub(super) mod pam;
pub mod passwd_file;

use std::path::PathBuf;

use super::password::HashEffort;
use super::trace::Trace;
use super::{Denial, Identity};
use crate::config::{AuthSource, Config};
use crate::ipc::LoginRequest;
use crate::mail::Secret;
use dovecot::DovecotAuth;
use pam::PamSource;
use passwd_file::{FoundLine, PasswdFile};

/// One of `auth.sources`.  A source says what it found, and why it lets nobody in, in the trace.
pub(super) trait Source {
    /// As in the log and in ps(1).
    fn name(&self) -> &'static str;

    /// Who has this name and this password.
    fn check(
        &self,
        user: &str,
        password: &Secret,
        request: &LoginRequest,
        effort: &mut HashEffort,
        trace: &mut Trace,
    ) -> Result<Identity, Denial>;

    /// Who is served if this master user, with this password, wants to be `user`.  Most sources
    /// leave that to `auth.master_sources`.
    fn check_master(
        &self,
        _user: &str,
        _master: &str,
        _password: &Secret,
        _request: &LoginRequest,
        _effort: &mut HashEffort,
        _trace: &mut Trace,
    ) -> Result<Identity, Denial> {
        Err(Denial::Unknown)
    }

    /// Who has this name.  Somebody else has verified that it is this user.
    fn look_up(
        &self,
        user: &str,
        request: &LoginRequest,
        trace: &mut Trace,
    ) -> Result<Identity, Denial>;

    /// What is kept of this user and of others for SCRAM; `None` if the source wants to have the
    /// password itself.
    fn find(&self, _user: &str, _trace: &mut Trace) -> Option<Result<FoundLine, Denial>> {
        None
    }

    /// Root is refused before any source is asked: what other programs expect the source to say
    /// then.
    fn refuse_root(&self, _trace: &mut Trace) {}

    /// What was found in the source holds as long as this file is the same.
    fn file(&self) -> PathBuf;

    /// What an administrator should know of the source.
    fn problems(&self) -> Vec<String>;

    /// For `roost auth-test`.
    fn describe(&self) -> String;

    /// What `roost auth-test` says of the source before it asks.
    fn warning(&self) -> Option<String> {
        None
    }
}

/// The sources in the order in which they are asked.
pub(super) fn all(config: &Config) -> impl Iterator<Item = Box<dyn Source + '_>> {
    config.auth_sources.iter().map(|source| of(source, config))
}

/// Where master users are looked up.
pub(super) fn masters(config: &Config) -> impl Iterator<Item = Box<dyn Source + '_>> {
    let sources = config.auth_master_sources.iter();
    sources.map(|source| of(source, config))
}

fn of<'a>(source: &'a AuthSource, config: &'a Config) -> Box<dyn Source + 'a> {
    match source {
        AuthSource::Pam => Box::new(PamSource { config }),
        AuthSource::PasswdFile(path) => Box::new(PasswdFile { config, path }),
        AuthSource::Dovecot(base_dir) => Box::new(DovecotAuth { config, base_dir }),
    }
}

/// What an administrator should know of the sources.  It is logged at start, and `roost check`
/// shows it.
pub fn check(config: &Config) -> Vec<String> {
    let mut found: Vec<String> = Vec::new();
    for problem in all(config)
        .chain(masters(config))
        .flat_map(|source| source.problems())
    {
        if !found.contains(&problem) {
            found.push(problem);
        }
    }
    found
}
