//! The role `roost try`: a Maildir on this machine's own addresses, for the user who starts it.

use std::io::{self, Write};
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};

use super::password::{self, Password};
use super::welcome::{Shown, Welcome};
use super::{Door, Solo, SoloError, become_owner, confine, owner_of, place, sample};
use crate::config::{Config, Location, Mechanism};
use crate::front::Front;
use crate::net::tls::Certificates;
use crate::net::{Loop, Now};
use crate::sys::credentials::Account;
use crate::sys::process;
use crate::sys::sandbox::SandboxRole;

/// What was asked for.
#[derive(Debug, Default)]
pub struct Trial {
    pub maildir: Option<PathBuf>,
    pub listen: Option<String>,
    pub listen_tls: Option<String>,
    pub user: Option<String>,
    pub password_file: Option<PathBuf>,
    pub config: Config,
}

/// The list of what happens.  Root listens, reads the password, and becomes the owner of the
/// Maildir.  Only then is a byte read from a client.
pub fn run(trial: &Trial) -> Result<(), SoloError> {
    process::set_private_umask();
    let files = process::raise_file_limit().map_err(|error| SoloError::System("limits", error))?;
    let plain = loopback(trial.listen.as_deref().unwrap_or(LISTEN))?;
    let tls = loopback(trial.listen_tls.as_deref().unwrap_or(LISTEN_TLS))?;
    let password = match &trial.password_file {
        Some(path) => read_password(path)?,
        None => password::make().map_err(|error| SoloError::System("/dev/urandom", error))?,
    };
    let (certificates, der) = Certificates::self_signed(&NAMES)
        .map_err(|error| SoloError::System("certificate", error))?;

    let mut event_loop = Loop::new().map_err(|error| SoloError::System("event loop", error))?;
    event_loop.set_connection_limit(usize::try_from(files / 2).unwrap_or(usize::MAX));
    event_loop.set_certificates(certificates);
    let plain = listen(&mut event_loop, plain, false)?;
    let tls = listen(&mut event_loop, tls, true)?;

    let place = find_maildir(trial.maildir.as_deref(), &trial.config)?;
    if process::is_root() {
        become_owner(&place.owner)?;
    }
    if place.is_sample {
        let maildir = &place.location.maildir;
        sample::make(maildir).map_err(|error| SoloError::Sample(maildir.clone(), error))?;
    }

    let user = trial.user.as_deref().unwrap_or(place.owner.name());
    let (session, root) = confine(
        place.owner.name(),
        SandboxRole::Trial,
        place.location.clone(),
        &trial.config,
        &event_loop,
    )?;
    let mut solo = Solo {
        door: Door::Guarded(
            Box::new(Front::new(&with_passwords(&trial.config), true)),
            Password::new(user, &password),
        ),
        session,
        root,
        config: trial.config.clone(),
        ending: false,
        stop: None,
    };

    let made = String::from_utf8_lossy(password.expose());
    let welcome = Welcome {
        maildir: &place.location.maildir,
        is_sample: place.is_sample,
        owner: place.owner.name(),
        user,
        password: match &trial.password_file {
            Some(path) => Shown::File(path),
            None => Shown::Made(&made),
        },
        plain,
        tls,
        certificate: &der,
    };
    // If standard output is closed, nobody wants to know.
    let _ = write!(io::stdout(), "{welcome}");
    event_loop
        .run(&mut solo)
        .map_err(|error| SoloError::System("event loop", error))?;
    solo.session.finish(Now::read());
    Ok(())
}

/// Where the mail is and whose it is.
struct Place {
    location: Location,
    owner: Account,
    /// It is an empty directory of ours, to be filled.
    is_sample: bool,
}

/// The Maildir that was asked for, or else the user's own, or else a new one.
fn find_maildir(asked: Option<&Path>, config: &Config) -> Result<Place, SoloError> {
    let (location, owner) = match asked {
        Some(maildir) => {
            let maildir = std::path::absolute(maildir)
                .map_err(|error| SoloError::NoMaildir(maildir.to_path_buf(), error))?;
            let owner = owner_of(&maildir)?;
            (place::named(config, &maildir, &owner)?, owner)
        }
        None => match place::own(config) {
            Ok(location) if location.maildir.is_dir() => {
                let owner = owner_of(&location.maildir)?;
                (location, owner)
            }
            Ok(_) | Err(SoloError::NoHome) => return make_place(config),
            Err(error) => return Err(error),
        },
    };
    if owner.is_root() {
        return Err(SoloError::RootsMaildir(location.maildir));
    }
    if location.inbox.is_none() && !is_maildir(&location.maildir) {
        return Err(SoloError::NotMaildir(location.maildir));
    }
    Ok(Place {
        location,
        owner,
        is_sample: false,
    })
}

/// A Maildir has `cur`; a directory with nothing in it may become one.  What is not readable for us
/// will be found out later.
fn is_maildir(path: &Path) -> bool {
    path.join("cur").is_dir()
        || std::fs::read_dir(path).is_ok_and(|mut entries| entries.next().is_none())
}

/// An empty directory for a Maildir: the invoking user's, or nobody's if that is root.
fn make_place(config: &Config) -> Result<Place, SoloError> {
    let parent = std::env::temp_dir();
    let fail = |error| SoloError::Sample(parent.clone(), error);
    let owner = match process::is_root() {
        false => Account::current().map_err(fail)?,
        true => Account::named(NOBODY)
            .map_err(fail)?
            .ok_or_else(|| fail(io::Error::other("there is no user nobody to own it")))?,
    };
    let suffix = password::make().map_err(fail)?;
    let suffix = String::from_utf8_lossy(suffix.expose());
    let maildir = parent.join(format!("roost-try-{suffix}"));
    std::fs::create_dir(&maildir)
        .and_then(|()| match process::is_root() {
            false => Ok(()),
            true => owner.own(&maildir),
        })
        .map_err(fail)?;
    Ok(Place {
        location: place::named(config, &maildir, &owner)?,
        owner,
        is_sample: true,
    })
}

/// A client is let in by the one password, and by nothing else.
fn with_passwords(config: &Config) -> Config {
    let mut config = config.clone();
    let is_password = |mechanism: &Mechanism| match mechanism {
        Mechanism::Plain | Mechanism::Login => true,
        Mechanism::ScramSha256 | Mechanism::External => false,
    };
    config.auth_mechanisms.retain(is_password);
    config
}

/// An address and port that only this machine can reach.
fn loopback(text: &str) -> Result<SocketAddr, SoloError> {
    let numeric = match text.strip_prefix("localhost:") {
        Some(port) => format!("{}:{port}", Ipv4Addr::LOCALHOST),
        None => text.to_owned(),
    };
    match numeric.parse::<SocketAddr>() {
        Ok(address) if is_loopback(address.ip()) => Ok(address),
        _ => Err(SoloError::NotLoopback(text.to_owned())),
    }
}

/// 127.0.0.0/8 and ::1.  ::ffff:127.0.0.1 would be one too, but nobody writes it.
fn is_loopback(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(address) => address.is_loopback(),
        IpAddr::V6(address) => address.is_loopback(),
    }
}

fn listen(event_loop: &mut Loop, address: SocketAddr, tls: bool) -> Result<SocketAddr, SoloError> {
    event_loop
        .listen(address, tls)
        .map_err(|error| SoloError::Listen(address.to_string(), error))
}

fn read_password(path: &Path) -> Result<crate::mail::Secret, SoloError> {
    match password::read(path) {
        Ok(Some(password)) => Ok(password),
        Ok(None) => Err(SoloError::NoPassword(path.to_path_buf(), None)),
        Err(error) => Err(SoloError::NoPassword(path.to_path_buf(), Some(error))),
    }
}

/// Where `roost try` listens if it is not told.
pub const LISTEN: &str = "127.0.0.1:1143";
pub const LISTEN_TLS: &str = "127.0.0.1:1993";

/// What a client may call this machine.
const NAMES: [&str; 3] = ["localhost", "127.0.0.1", "::1"];

/// The user with the fewest rights, on every system.
const NOBODY: &str = "nobody";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_addresses_of_this_machine_are_taken() {
        for text in [
            "127.0.0.1:1143",
            "127.9.8.7:0",
            "[::1]:1143",
            "localhost:1993",
        ] {
            assert!(loopback(text).is_ok(), "{text}");
        }
        for text in [
            "0.0.0.0:1143",
            "192.0.2.1:1143",
            "[::]:1143",
            "128.0.0.1:1",
            "localhost",
            "1143",
            "example.org:143",
            "localhost:99999",
        ] {
            assert!(
                matches!(loopback(text), Err(SoloError::NotLoopback(_))),
                "{text}"
            );
        }
    }
}
