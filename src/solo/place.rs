//! Where the mail is if a user serves it without a daemon: `mail.location` and what belongs to it,
//! filled in for this user.

use std::path::{Path, PathBuf};

use super::SoloError;
use crate::config::{Config, Location, LocationError, MailPlace};
use crate::sys::credentials::Account;

/// The mail of the invoking user.
pub(super) fn own(config: &Config) -> Result<Location, SoloError> {
    let account = Account::current().map_err(|error| SoloError::System("user database", error))?;
    let location = config.locate(account.name(), &home(&account));
    location.map_err(SoloError::from)
}

/// A Maildir of this user's that was named.  If it is the one of the configuration, the rest of the
/// mail is where that says.
pub(super) fn named(
    config: &Config,
    maildir: &Path,
    owner: &Account,
) -> Result<Location, SoloError> {
    let home = home(owner);
    if let Ok(location) = config.locate(owner.name(), &home)
        && location.maildir == maildir
    {
        return Ok(location);
    }
    let anywhere = MailPlace::Template(String::from("/"));
    Ok(Location {
        maildir: maildir.to_owned(),
        ..config.locate_by(&anywhere, owner.name(), &home)?
    })
}

/// Empty if there is none.
fn home(account: &Account) -> String {
    let is_invoker = Account::current().is_ok_and(|current| current == *account);
    let from_environment = std::env::var_os("HOME").map(PathBuf::from);
    let home = from_environment
        .filter(|home| is_invoker && home.is_absolute())
        .or_else(|| account.home().map(Path::to_path_buf));
    let home = home.unwrap_or_default();
    home.to_str().unwrap_or_default().to_owned()
}

impl From<LocationError> for SoloError {
    fn from(error: LocationError) -> SoloError {
        match error {
            LocationError::NoHome => SoloError::NoHome,
            error => SoloError::Location(error),
        }
    }
}
