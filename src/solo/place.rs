//! Where the mail is if a user serves it without a daemon: `mail.location` and `mail.index_dir`,
//! filled in for this user.

use std::path::{Path, PathBuf};

use super::SoloError;
use crate::config::{Config, LocationError};
use crate::sys::credentials::Account;

/// The Maildir of the invoking user, and the configuration with what the location says of it.
pub(super) fn own(config: &Config) -> Result<(PathBuf, Config), SoloError> {
    let account = Account::current().map_err(|error| SoloError::System("user database", error))?;
    let location = config.locate(account.name(), &home(&account));
    let location = location.map_err(SoloError::from)?;
    let config = Config {
        index_dir: location.index_dir,
        layout: location.layout,
        ..config.clone()
    };
    Ok((location.maildir, config))
}

/// The configuration for a Maildir of this user's that was named.
pub(super) fn named(config: &Config, owner: &Account) -> Result<Config, SoloError> {
    let location = config.locate_by("/", owner.name(), &home(owner))?;
    Ok(Config {
        index_dir: location.index_dir,
        ..config.clone()
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
