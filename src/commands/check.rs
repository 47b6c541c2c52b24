//! `roost check`: what is wrong with a configuration before it takes effect.

use std::fs::File;
use std::io::{self, ErrorKind, Read};
use std::path::Path;

use crate::auth;
use crate::config::{AuthSource, Config};
use crate::monitor::configuration::{self, BadConfiguration, FILE};
use crate::monitor::role::MonitorStart;
use crate::sys::credentials::Account;
use crate::sys::process;

/// Returns what is odd, a line each.  `with_files`: looks at the files that the configuration names
/// as well.
pub fn check(start: &MonitorStart, with_files: bool) -> Result<Vec<String>, BadConfiguration> {
    let (config, mut warnings) = configuration::read(start)?;
    if start.config.is_none() && !Path::new(FILE).exists() {
        warnings.push(format!(
            "there is no {FILE}: every setting is at its default"
        ));
    }
    if !with_files {
        return Ok(warnings);
    }
    let mut checker = Checker {
        warnings,
        errors: Vec::new(),
    };
    checker.check_certificates(&config);
    checker.check_sources(&config);
    checker.check_users(&config);
    checker.check_addresses(&config);
    checker.check_homes(&config);
    match checker.errors.is_empty() {
        true => Ok(checker.warnings),
        false => {
            checker.errors.append(&mut checker.warnings);
            Err(BadConfiguration::Wrong(checker.errors))
        }
    }
}

/// What has been found.
pub(super) struct Checker {
    pub warnings: Vec<String>,
    pub errors: Vec<String>,
}

impl Checker {
    fn check_sources(&mut self, config: &Config) {
        let mut are_read = true;
        for source in &config.auth_sources {
            if let AuthSource::PasswdFile(path) = source {
                are_read &= self.read("auth.sources", path).is_some();
            }
        }
        // Looks at what is in them, and whether PAM has rules.
        if are_read {
            let found = auth::check(config).into_iter();
            self.warnings
                .extend(found.map(|text| format!("auth.sources: {text}")));
        }
    }

    fn check_users(&mut self, config: &Config) {
        let front = &config.front_user;
        match Account::named(front) {
            Ok(Some(account)) if account.is_root() => self
                .errors
                .push("process.front_user: it must not be root".to_owned()),
            Ok(Some(_)) => {}
            Ok(None) => self.warnings.push(format!(
                "process.front_user: there is no user {front}; useradd --system {front} makes one"
            )),
            Err(error) => self.warnings.push(format!("process.front_user: {error}")),
        }
        if let Some(directory) = config.listen_sasl.as_deref().and_then(Path::parent)
            && !directory.is_dir()
        {
            let directory = directory.display();
            self.errors
                .push(format!("listen.sasl: there is no directory {directory}"));
        }
        let owner = config.sasl_owner.split(':').next().unwrap_or_default();
        if config.listen_sasl.is_some() && matches!(Account::named(owner), Ok(None)) {
            self.errors
                .push(format!("listen.sasl_owner: there is no user {owner}"));
        }
    }

    /// The octets of a file that a setting names.
    pub fn read(&mut self, setting: &str, path: &Path) -> Option<Vec<u8>> {
        match read_small(path) {
            Ok(octets) => Some(octets),
            // Root, as whom the daemon runs, may read what this user may not.
            Err(error) if error.kind() == ErrorKind::PermissionDenied && !process::is_root() => {
                let path = path.display();
                let text = format!("{setting}: {path}: not checked, because only root can read it");
                self.warnings.push(text);
                None
            }
            Err(error) => {
                let path = path.display();
                self.errors.push(format!("{setting}: {path}: {error}"));
                None
            }
        }
    }
}

fn read_small(path: &Path) -> io::Result<Vec<u8>> {
    let mut octets = Vec::new();
    File::open(path)?
        .take(MAX_FILE + 1)
        .read_to_end(&mut octets)?;
    match octets.len() as u64 > MAX_FILE {
        true => Err(io::Error::new(ErrorKind::InvalidData, "it is too large")),
        false => Ok(octets),
    }
}

/// Larger than any list of users and any chain of certificates.
const MAX_FILE: u64 = 256 * 1024 * 1024;
