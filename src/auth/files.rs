//! Files around logins: what they look like, and the secret of this host.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Write};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::Path;

use aws_lc_rs::rand;

use super::cache::{Stamp, Stamps};
use super::source;
use super::verifier::Key;
use crate::config::Config;

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
    let sources = source::all(config).chain(source::masters(config));
    stamps.extend(sources.map(|source| stamp(&source.file())));
    Stamps(stamps)
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

const SYSTEM_FILES: &[&str] = &[
    "/etc/passwd",
    "/etc/shadow",
    "/etc/group",
    "/etc/nologin",
    "/run/nologin",
];

const SALT_KEY: &str = "scram-salt.key";
