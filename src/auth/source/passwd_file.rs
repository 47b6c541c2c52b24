//! Dovecot's passwd-file as a source of logins.
//!
//! | file | what |
//! |---|---|
//! | `lines` | the lines of the file |

mod lines;

use std::collections::HashSet;
use std::fs::{self, File};
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

pub use lines::{Extent, FoundLine, PasswdLine, each, find_in};

use super::Source;
use crate::auth::password::HashEffort;
use crate::auth::scheme::{self, SchemeError, Stored};
use crate::auth::trace::Trace;
use crate::auth::{Denial, Identity, account};
use crate::config::Config;
use crate::ipc::{LoginRequest, Origin};
use crate::mail::Secret;

pub(super) struct PasswdFile<'a> {
    pub config: &'a Config,
    pub path: &'a Path,
}

impl Source for PasswdFile<'_> {
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
        let mut found = find(self.path, user, Extent::Line, trace)?;
        effort.sample = effort.sample.take().or(found.sample.take());
        let entry = known(found, trace)?;
        effort.compared = true;
        check_entry(entry, &request.origin, password, trace)
    }

    fn look_up(
        &self,
        user: &str,
        request: &LoginRequest,
        trace: &mut Trace,
    ) -> Result<Identity, Denial> {
        let entry = known(find(self.path, user, Extent::Line, trace)?, trace)?;
        refuse_odd(&entry, trace)?;
        permit(entry, &request.origin, trace)
    }

    fn find(&self, user: &str, trace: &mut Trace) -> Option<Result<FoundLine, Denial>> {
        Some(find(self.path, user, Extent::Whole, trace))
    }

    fn file(&self) -> PathBuf {
        self.path.to_owned()
    }

    fn problems(&self) -> Vec<String> {
        let mut found = Vec::new();
        if let Err(error) = check_passwd_file(self.config, self.path, &mut found) {
            found.push(format!("{}: {error}", self.path.display()));
        }
        found
    }

    fn describe(&self) -> String {
        format!("passwd-file {}", self.path.display())
    }
}

fn find(path: &Path, user: &str, extent: Extent, trace: &mut Trace) -> Result<FoundLine, Denial> {
    lines::find(path, user, extent).map_err(|error| {
        trace.problem(SOURCE, format!("{}: {error}", path.display()));
        Denial::Unavailable
    })
}

/// What is kept of the password, if it can be compared.
pub(in crate::auth) fn stored(entry: &PasswdLine, trace: &mut Trace) -> Option<Stored> {
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
pub(in crate::auth) fn permit(
    entry: PasswdLine,
    origin: &Origin,
    trace: &mut Trace,
) -> Result<Identity, Denial> {
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
        takes_defaults: true,
        ..Identity::of_system(entry.user, SOURCE)
    })
}

fn check_entry(
    entry: PasswdLine,
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
fn refuse_odd(entry: &PasswdLine, trace: &mut Trace) -> Result<(), Denial> {
    match entry.unusable {
        Some(field) => {
            trace.problem(SOURCE, format!("the field {field} is not supported"));
            Err(Denial::Unavailable)
        }
        None => Ok(()),
    }
}

fn known(found: FoundLine, trace: &mut Trace) -> Result<PasswdLine, Denial> {
    found.entry.ok_or_else(|| {
        trace.failure(SOURCE, "unknown user");
        Denial::Unknown
    })
}

fn check_passwd_file(config: &Config, path: &Path, found: &mut Vec<String>) -> io::Result<()> {
    let mode = fs::metadata(path)?.mode();
    if mode & 0o007 != 0 {
        found.push(format!(
            "{}: everybody may read it (mode {:o}): chmod o= it",
            path.display(),
            mode & 0o7777
        ));
    }
    let mut lines = Lines {
        config,
        usable: HashSet::new(),
        looked_up: 0,
    };
    let mut wrong = 0_usize;
    each(&mut File::open(path)?, |number, entry: PasswdLine| {
        let Some(problem) = lines.problem(&entry) else {
            return;
        };
        wrong += 1;
        if wrong <= MAX_SHOWN {
            let user = &entry.user;
            found.push(format!("{}:{number}: {user}: {problem}", path.display()));
        }
    })?;
    if wrong > MAX_SHOWN {
        let more = wrong - MAX_SHOWN;
        found.push(format!("{}: {more} more lines of the kind", path.display()));
    }
    Ok(())
}

/// What is known of the lines that have been seen.
struct Lines<'a> {
    config: &'a Config,
    /// Users and groups that are right.  Most lines of a large file have the same.
    usable: HashSet<(Option<String>, Option<String>)>,
    looked_up: usize,
}

impl Lines<'_> {
    fn problem(&mut self, entry: &PasswdLine) -> Option<String> {
        match entry.password() {
            Err(error) => return Some(error.to_string()),
            Ok(_) => {
                if let Some(field) = entry.unusable {
                    return Some(format!("{field} is not supported"));
                }
            }
        }
        let key = (entry.uid.clone(), entry.gid.clone());
        let has_all = entry.uid.is_some() && entry.gid.is_some() && entry.home.is_some();
        // A template in the line may need what other lines do not have.
        if entry.mail.is_none() && has_all && self.usable.contains(&key) {
            return None;
        }
        // Each may be a question to a server of names.
        self.looked_up += 1;
        if self.looked_up > MAX_LOOKED_UP {
            return None;
        }
        let problem = account::obstacle(self.config, entry);
        if problem.is_none() && has_all {
            self.usable.insert(key);
        }
        problem
    }
}

pub(in crate::auth) const SOURCE: &str = "passwd-file";

const MAX_SHOWN: usize = 10;

/// Lines of a passwd-file whose users and groups are looked up.
const MAX_LOOKED_UP: usize = 1_000;
