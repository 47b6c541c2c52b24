//! `roost check`: what is wrong with a configuration before it takes effect.

use std::fs::File;
use std::io::{self, ErrorKind};
use std::path::Path;

use crate::config::{AuthSource, Config};
use crate::monitor::Start;
use crate::monitor::configuration::{self, BadConfiguration, FILE};
use crate::sys::credentials::Account;
use crate::sys::process;

/// What is odd, a line each.  `with_files`: the files that it names are looked at as well.
pub fn check(start: &Start, with_files: bool) -> Result<Vec<String>, BadConfiguration> {
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
    match checker.errors.is_empty() {
        true => Ok(checker.warnings),
        false => {
            checker.errors.append(&mut checker.warnings);
            Err(BadConfiguration::Wrong(checker.errors))
        }
    }
}

struct Checker {
    warnings: Vec<String>,
    errors: Vec<String>,
}

impl Checker {
    fn check_certificates(&mut self, config: &Config) {
        for (chain, key) in config.tls_certificate.iter().zip(&config.tls_key) {
            let chain_text = self.read("tls.certificate", chain);
            let key_text = self.read("tls.key", key);
            let (Some(chain_text), Some(key_text)) = (chain_text, key_text) else {
                continue;
            };
            let _ = (chain_text, key_text);
        }
        if let Some(authority) = &config.tls_client_ca {
            self.read("tls.client_ca", authority);
        }
    }

    fn check_sources(&mut self, config: &Config) {
        for source in &config.auth_sources {
            match source {
                AuthSource::PasswdFile(path) => {
                    self.read("auth.sources", path);
                }
                AuthSource::Pam => {
                    let service = &config.auth_pam_service;
                    let places = ["/etc/pam.d", "/usr/lib/pam.d", "/usr/share/pam.d"];
                    if !places
                        .iter()
                        .any(|place| Path::new(place).join(service).exists())
                    {
                        self.warnings.push(format!(
                            "auth.pam_service: there is no /etc/pam.d/{service}, so that PAM goes \
                             by /etc/pam.d/other, which mostly lets nobody in"
                        ));
                    }
                }
            }
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
    }

    /// The octets of a file that a setting names.
    fn read(&mut self, setting: &str, path: &Path) -> Option<Vec<u8>> {
        match read_small(path) {
            Ok(octets) => Some(octets),
            // Somebody else than the daemon asks.
            Err(error) if error.kind() == ErrorKind::PermissionDenied && !process::is_root() => {
                let path = path.display();
                let text = format!("{setting}: {path}: not looked at, which takes root");
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
    use std::io::Read;
    let mut octets = Vec::new();
    File::open(path)?
        .take(MAX_FILE + 1)
        .read_to_end(&mut octets)?;
    match octets.len() as u64 > MAX_FILE {
        true => Err(io::Error::new(ErrorKind::InvalidData, "it is too large")),
        false => Ok(octets),
    }
}

/// More than any list of users, and than any chain of certificates.
const MAX_FILE: u64 = 256 * 1024 * 1024;
