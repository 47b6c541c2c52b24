//! Files around logins: what they look like, what is wrong with them, and the secret of this host.

use std::collections::HashSet;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Write};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::Path;

use aws_lc_rs::rand;

use super::account;
use super::cache::{Stamp, Stamps};
use super::source::pam::modules::{self, Facility, Look, Missing};
use super::source::passwd_file::{self, Entry};
use super::verifier::Key;
use crate::config::{AuthSource, Config};

/// The state of the files that hold passwords.  A login in the [`cache`](super::cache) is valid as
/// long as this is the same.
pub fn stamps(config: &Config) -> Stamps {
    let stamp = |path: &Path| {
        let metadata = fs::metadata(path).ok()?;
        Some(Stamp {
            device: metadata.dev(),
            inode: metadata.ino(),
            size: metadata.size(),
            modified: (metadata.mtime(), metadata.mtime_nsec()),
            changed: (metadata.ctime(), metadata.ctime_nsec()),
        })
    };
    // The system's files say who is a user, in which groups, and whether the account has expired;
    // PAM's say what PAM does.
    let mut stamps: Vec<_> = SYSTEM_FILES
        .iter()
        .map(|path| stamp(Path::new(path)))
        .collect();
    for source in &config.auth_sources {
        stamps.push(match source {
            AuthSource::Pam => stamp(&Path::new("/etc/pam.d").join(&config.auth_pam_service)),
            AuthSource::PasswdFile(path) => stamp(path),
        });
    }
    Stamps(stamps)
}

/// What an administrator should know of the sources.  It is logged at start, and `roost check`
/// shows it.
pub fn check(config: &Config) -> Vec<String> {
    let mut found = Vec::new();
    for source in &config.auth_sources {
        match source {
            AuthSource::Pam => {
                let service = &config.auth_pam_service;
                found.extend(missing_service(service));
                found.extend(missing_modules(service));
            }
            AuthSource::PasswdFile(path) => match check_passwd_file(config, path, &mut found) {
                Ok(()) => {}
                Err(error) => found.push(format!("{}: {error}", path.display())),
            },
        }
    }
    found
}

/// A text if PAM has no rules for that service, and so takes those of `other`.
pub fn missing_service(service: &str) -> Option<String> {
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
        for Missing { module, why } in modules::missing(service, facility, Look::Exists) {
            let text = format!("/etc/pam.d/{service}: {module}: {why}: logins may fail");
            if !texts.contains(&text) {
                texts.push(text);
            }
        }
    }
    texts
}

/// A directory, and what is there.
pub fn describe(path: &Path) -> String {
    let shown = path.display();
    match fs::metadata(path) {
        Ok(metadata) if metadata.is_dir() => format!("{shown} (uid {})", metadata.uid()),
        Ok(_) => format!("{shown} (no directory)"),
        Err(error) if error.kind() == io::ErrorKind::NotFound => format!("{shown} (not there yet)"),
        Err(error) => format!("{shown} ({error})"),
    }
}

/// The key of all salts that are made up.  It is made once and kept, because a salt that changes
/// shows that it is made up.
pub fn salt_key(config: &Config) -> io::Result<Key> {
    let path = config.state_dir.join(SALT_KEY);
    match read_key(&path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => make_key(&path),
        key => key,
    }
}

fn read_key(path: &Path) -> io::Result<Key> {
    let mut key = Key::default();
    File::open(path)?.read_exact(&mut key)?;
    Ok(key)
}

fn make_key(path: &Path) -> io::Result<Key> {
    if let Some(folder) = path.parent() {
        fs::create_dir_all(folder)?;
    }
    let mut key = Key::default();
    rand::fill(&mut key).map_err(|_| io::Error::other("no random numbers"))?;
    // The file is completed under a name of its own first, because another login may do the same.
    let name = format!("{SALT_KEY}.{}", std::process::id());
    let temporary = path.with_file_name(name);
    let options = OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(&temporary);
    let written = options.and_then(|mut file| file.write_all(&key));
    let linked = written.and_then(|()| fs::hard_link(&temporary, path));
    fs::remove_file(&temporary)?;
    match linked {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => read_key(path),
        linked => linked.map(|()| key),
    }
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
    passwd_file::each(&mut File::open(path)?, |number, entry: Entry| {
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
    fn problem(&mut self, entry: &Entry) -> Option<String> {
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

const SYSTEM_FILES: &[&str] = &[
    "/etc/passwd",
    "/etc/shadow",
    "/etc/group",
    "/etc/nologin",
    "/run/nologin",
];

const SALT_KEY: &str = "scram-salt.key";

const MAX_SHOWN: usize = 10;

/// Lines of a passwd-file whose users and groups are looked up.
const MAX_LOOKED_UP: usize = 1_000;
