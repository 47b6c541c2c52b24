//! What is needed of a user who has shown who he is: numbers, home, mail location; and who is never let in.

use std::path::PathBuf;

use super::trace::Trace;
use super::{Admission, Identity};
use crate::config::{AuthSource, Config, Layout, Location, LocationError};
use crate::ipc::{Account, Refusal, Service};
use crate::sys::users;

/// Refuses root before anybody looks at the password, so that it cannot be guessed here.
pub(super) fn refuse_root(config: &Config, user: &str, trace: &mut Trace) -> Result<(), Refusal> {
    match users::named(user) {
        Ok(Some(found)) if found.uid == 0 => {
            // fail2ban looks for these words.
            if config.auth_sources.contains(&AuthSource::Pam) {
                let text = "pam_authenticate() failed: Permission denied";
                trace.failure(super::pam::SOURCE, text);
            }
            trace.failure(SOURCE, ROOT);
            Err(Refusal::NotPermitted)
        }
        Ok(_) => Ok(()),
        Err(error) => {
            trace.problem(SOURCE, format!("getpwnam() failed: {error}"));
            Err(Refusal::Unavailable)
        }
    }
}

/// Whether that, a number or a name, is root.
pub(super) fn is_root(uid: &str) -> bool {
    match uid.parse::<u32>() {
        Ok(uid) => uid == 0,
        Err(_) => users::named(uid).is_ok_and(|user| user.is_some_and(|user| user.uid == 0)),
    }
}

/// Lets him in, if he may be served and there is somewhere for his mail.
pub(super) fn admit(
    config: &Config,
    service: Service,
    identity: Identity,
    trace: &mut Trace,
) -> Result<Admission, Refusal> {
    let source = identity.source;
    let numbers = numbers(&identity, trace)?;
    let numbers = match (numbers, service) {
        (Some(numbers), _) => numbers,
        // Whoever asks wants to know the name only.
        (None, Service::Sasl) => Numbers::nobody(),
        (None, Service::Imap) => {
            trace.problem(source, "there is a password, but no uid, gid and home");
            return Err(Refusal::NoMail);
        }
    };
    permit(config, &numbers, source, trace)?;

    let location = locate(config, &identity, &numbers.home);
    let location = match (location, service) {
        (Ok(location), _) => location,
        (Err(_), Service::Sasl) => Location {
            maildir: PathBuf::new(),
            index_dir: None,
            layout: Layout::Detect,
        },
        (Err(problem), Service::Imap) => {
            trace.problem(source, problem.to_string());
            return Err(Refusal::NoMail);
        }
    };
    let mut pam = identity.pam;
    if let Some(pam) = &mut pam
        && service == Service::Imap
    {
        pam.establish(trace)?;
    }
    Ok(Admission {
        account: Account {
            user: identity.user,
            uid: numbers.uid,
            gid: numbers.gid,
            home: numbers.home,
            location,
        },
        pam,
    })
}

struct Numbers {
    uid: u32,
    gid: u32,
    home: String,
}

impl Numbers {
    fn nobody() -> Numbers {
        Numbers {
            uid: 65_534,
            gid: 65_534,
            home: String::new(),
        }
    }
}

/// From the source, and what it does not say from the system; `None` if neither knows a uid.
fn numbers(identity: &Identity, trace: &mut Trace) -> Result<Option<Numbers>, Refusal> {
    let mut unavailable = |what: &str, error: std::io::Error| {
        trace.problem(identity.source, format!("{what}() failed: {error}"));
        Refusal::Unavailable
    };
    let complete = identity.uid.is_some() && identity.gid.is_some() && identity.home.is_some();
    let system = match complete {
        true => None,
        false => users::named(&identity.user).map_err(|error| unavailable("getpwnam", error))?,
    };
    let system = system.as_ref();
    let uid = match identity.uid.as_deref() {
        None => system.map(|user| user.uid),
        Some(text) => match text.parse() {
            Ok(uid) => Some(uid),
            Err(_) => users::named(text)
                .map_err(|error| unavailable("getpwnam", error))?
                .map(|user| user.uid),
        },
    };
    let gid = match identity.gid.as_deref() {
        None => system.map(|user| user.gid),
        Some(text) => match text.parse() {
            Ok(gid) => Some(gid),
            Err(_) => users::group_named(text).map_err(|error| unavailable("getgrnam", error))?,
        },
    };
    let home = identity.home.clone();
    let home = home.or_else(|| system.and_then(|user| user.home.clone()));
    Ok(match (uid, gid) {
        (Some(uid), Some(gid)) => Some(Numbers {
            uid,
            gid,
            home: home.unwrap_or_default(),
        }),
        _ => None,
    })
}

/// Dovecot's `first_valid_uid`, `first_valid_gid`.
fn permit(
    config: &Config,
    numbers: &Numbers,
    source: &'static str,
    trace: &mut Trace,
) -> Result<(), Refusal> {
    let text = match numbers {
        Numbers { uid: 0, .. } => ROOT.to_owned(),
        Numbers { gid: 0, .. } => String::from("Mail access for users with GID 0 not permitted"),
        // (uid_t) -1 stands for "no change" in system calls.
        Numbers { uid: u32::MAX, .. } | Numbers { gid: u32::MAX, .. } => {
            String::from("the uid or gid is none")
        }
        Numbers { uid, .. } if *uid < config.auth_first_valid_uid => {
            format!("Mail access for users with UID {uid} not permitted (see auth.first_valid_uid)")
        }
        _ => return Ok(()),
    };
    trace.failure(source, text);
    Err(Refusal::NotPermitted)
}

fn locate(config: &Config, identity: &Identity, home: &str) -> Result<Location, LocationError> {
    match &identity.mail {
        Some(template) => config.locate_by(template, &identity.user, home),
        None => config.locate(&identity.user, home),
    }
}

pub(super) const ROOT: &str = "root is never let in";

const SOURCE: &str = "passwd";
