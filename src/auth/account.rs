//! What a session needs of a user who has been identified: numbers, home, mail location.  And which
//! users are never let in.

use std::path::PathBuf;

use super::source;
use super::source::passwd_file::{self, PasswdLine};
use super::trace::Trace;
use super::{Admission, Identity};
use crate::config::{Config, Location, LocationError};
use crate::ipc::{Account, Origin, Protocol, Refusal};
use crate::mail::Layout;
use crate::sys::users;

/// Refuses root before anybody looks at the password, so that it cannot be guessed here.
pub(super) fn refuse_root(config: &Config, user: &str, trace: &mut Trace) -> Result<(), Refusal> {
    match users::named(user) {
        Ok(Some(found)) if found.uid == 0 => {
            source::all(config).for_each(|source| source.refuse_root(trace));
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

/// Whether this uid, a number or a name, is root's.
pub(super) fn is_root(uid: &str) -> bool {
    match uid.parse::<u32>() {
        Ok(uid) => uid == 0,
        Err(_) => users::named(uid).is_ok_and(|user| user.is_some_and(|user| user.uid == 0)),
    }
}

/// Lets the user in, if the user may be served and has a mail location.
pub(super) fn admit(
    config: &Config,
    protocol: Protocol,
    identity: Identity,
    trace: &mut Trace,
) -> Result<Admission, Refusal> {
    let source = identity.source;
    let found = numbers(config, &identity, trace)?;
    let numbers = match (found, protocol.has_session()) {
        (Ok(numbers), _) => numbers,
        // The caller needs only the name.
        (Err(_), false) => Numbers::nobody(),
        (Err(problem), true) => {
            trace.problem(source, problem);
            return Err(Refusal::NoMail);
        }
    };
    permit(config, &numbers, source, trace)?;

    let location = locate(config, &identity, &numbers.home);
    let location = match (location, protocol.has_session()) {
        (Ok(location), _) => location,
        (Err(_), false) => Location::at(PathBuf::new(), Layout::Detect),
        (Err(problem), true) => {
            trace.problem(source, problem.to_string());
            return Err(Refusal::NoMail);
        }
    };
    let mut pam = identity.pam;
    if let Some(pam) = &mut pam
        && protocol.has_session()
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

/// Takes the numbers from the source, or else from the defaults, if they are for this source, or
/// else from the system.  The error says what nobody knows.
fn numbers(
    config: &Config,
    identity: &Identity,
    trace: &mut Trace,
) -> Result<Result<Numbers, String>, Refusal> {
    let known = match Known::find(config, identity) {
        Ok(known) => known,
        Err(problem) => return Ok(Err(problem)),
    };
    let mut unavailable = |what: &str, error: std::io::Error| {
        trace.problem(identity.source, format!("{what}() failed: {error}"));
        Refusal::Unavailable
    };
    let complete = known.uid.is_some() && known.gid.is_some() && known.home.is_some();
    let system = match complete {
        true => None,
        false => users::named(&identity.user).map_err(|error| unavailable("getpwnam", error))?,
    };
    let system = system.as_ref();
    let uid = match known.uid {
        None => system.map(|user| user.uid),
        Some(text) => match text.parse() {
            Ok(uid) => Some(uid),
            Err(_) => {
                let named = users::named(text).map_err(|error| unavailable("getpwnam", error))?;
                match named {
                    Some(user) => Some(user.uid),
                    None => {
                        return Ok(Err(format!("the uid is {text}, and there is no such user")));
                    }
                }
            }
        },
    };
    let gid = match known.gid {
        None => group_of(known.uid).or_else(|| system.map(|user| user.gid)),
        Some(text) => match text.parse() {
            Ok(gid) => Some(gid),
            Err(_) => {
                let gid =
                    users::group_named(text).map_err(|error| unavailable("getgrnam", error))?;
                match gid {
                    Some(gid) => Some(gid),
                    None => {
                        return Ok(Err(format!(
                            "the gid is {text}, and there is no such group"
                        )));
                    }
                }
            }
        },
    };
    let home = known.home;
    let home = home.or_else(|| system.and_then(|user| user.home.clone()));
    Ok(match (uid, gid) {
        (Some(uid), Some(gid)) => Ok(Numbers {
            uid,
            gid,
            home: home.unwrap_or_default(),
        }),
        (uid, _) => Err(format!(
            "there is no {} for this user, neither in the line nor as auth.default_uid and \
             auth.default_gid, and the host has no user of that name: nobody can be served by it",
            if uid.is_none() { "uid" } else { "gid" }
        )),
    })
}

/// The group of a user that is named as the uid of others, as for virtual users.
fn group_of(uid: Option<&str>) -> Option<u32> {
    let name = uid.filter(|uid| uid.parse::<u32>().is_err())?;
    users::named(name).ok()?.map(|user| user.gid)
}

/// What is known of a user without the system.
struct Known<'a> {
    uid: Option<&'a str>,
    gid: Option<&'a str>,
    home: Option<String>,
}

impl<'a> Known<'a> {
    fn find(config: &'a Config, identity: &'a Identity) -> Result<Known<'a>, String> {
        let default = |text: &'a String| {
            Some(text.as_str()).filter(|_| identity.takes_defaults && !text.is_empty())
        };
        let default_uid = default(&config.auth_default_uid);
        let uid = identity.uid.as_deref().or(default_uid);
        let mut gid = identity.gid.as_deref();
        gid = gid.or_else(|| default(&config.auth_default_gid));
        let home = match &identity.home {
            Some(home) => Some(home.clone()),
            None if identity.takes_defaults => config
                .default_home(&identity.user)
                .map_err(|error| format!("auth.default_home: {error}"))?,
            None => None,
        };
        Ok(Known { uid, gid, home })
    }
}

/// Why the user of this line of a passwd-file can never be let in; none if the user can.
pub(super) fn obstacle(config: &Config, entry: &PasswdLine) -> Option<String> {
    let mut trace = Trace::new(
        entry.user.as_bytes(),
        &Origin {
            remote: None,
            local: None,
            tls: false,
            session: String::new(),
        },
    );
    let identity = Identity {
        uid: entry.uid.clone(),
        gid: entry.gid.clone(),
        home: entry.home.clone(),
        mail: entry.mail.clone(),
        takes_defaults: true,
        ..Identity::of_system(entry.user.clone(), passwd_file::SOURCE)
    };
    match admit(config, Protocol::Imap, identity, &mut trace) {
        // Nothing is wrong with the line.
        Ok(_) | Err(Refusal::Unavailable) => None,
        Err(_) => trace.steps().last().map(|step| step.text.clone()),
    }
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
        Some(place) => config.locate_by(place, &identity.user, home),
        None => config.locate(&identity.user, home),
    }
}

pub(super) const ROOT: &str = "root is never let in";

const SOURCE: &str = "passwd";
