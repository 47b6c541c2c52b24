//! Which certificate files there are, and whether they have changed.
//!
//! The monitor reads the files, because only root can, and passes their octets to the front.  It
//! does not know what they mean.

use std::fs::File;
use std::io::{self, Read, Write};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::SystemTime;

use nix::unistd::{AccessFlags, access};
use zeroize::Zeroizing;

use crate::config::{Config, TlsRequired};
use crate::ipc::Message;
use crate::mail::Secret;
use crate::net::Now;
use crate::net::tls::make_self_signed;
use crate::sys::spawn::ChildRole;

use super::role::MonitorError;

/// The files in use, as they were when they were read.
#[derive(Debug, Default)]
pub(super) struct CertificateFiles {
    pub pairs: Vec<KeyPair>,
    pub client_authority: Option<Vec<u8>>,
    stamps: Vec<(PathBuf, Option<Stamp>)>,
    /// Where the chains are.
    pub chains: Vec<PathBuf>,
    /// The front has them, and their contents are not kept here.
    pub are_given: bool,
}

/// A chain and its key, PEM.
#[derive(Debug)]
pub(super) struct KeyPair {
    pub chain: Vec<u8>,
    pub key: Secret,
}

/// Where certificates come from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CertificateSource {
    /// From `tls.certificate`, `/etc/roost`, or the host's snakeoil.
    Files(Vec<(PathBuf, PathBuf)>),
    /// There are none.  One is made at these paths.
    SelfSigned { chain: PathBuf, key: PathBuf },
    /// TLS is off.
    None,
}

/// What tells one content of a file from the next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Stamp {
    device: u64,
    inode: u64,
    size: u64,
    modified: Option<SystemTime>,
}

impl CertificateSource {
    /// Looks for them in the order that roost.toml(5) gives.
    pub fn find(config: &Config) -> CertificateSource {
        if config.tls_required == TlsRequired::Off {
            return CertificateSource::None;
        }
        if !config.tls_certificate.is_empty() {
            let keys = config.tls_key.iter().cloned();
            return CertificateSource::Files(
                config.tls_certificate.iter().cloned().zip(keys).collect(),
            );
        }
        for (chain, key) in USUAL {
            if Path::new(chain).exists() && Path::new(key).exists() {
                return CertificateSource::Files(vec![(PathBuf::from(chain), PathBuf::from(key))]);
            }
        }
        let chain = config.state_dir.join("self-signed.pem");
        let key = config.state_dir.join("self-signed.key");
        match chain.exists() && key.exists() {
            true => CertificateSource::Files(vec![(chain, key)]),
            false => CertificateSource::SelfSigned { chain, key },
        }
    }
}

/// The role `roost certificate`, and what it prints: a certificate for this host and its key, PEM.
/// It is a process of its own, because the monitor does no TLS.
pub(super) fn make() -> Result<String, MonitorError> {
    let name = nix::unistd::gethostname()
        .ok()
        .and_then(|name| name.into_string().ok());
    let mut names: Vec<&str> = name.as_deref().into_iter().collect();
    names.push("localhost");
    let (chain, key) = make_self_signed(&names, Now::read().time).map_err(|error| {
        MonitorError::System("certificate", io::Error::other(error.to_string()))
    })?;
    Ok(format!("{chain}{}", &*key))
}

/// Has a certificate made, and keeps it.
pub(super) fn make_files(chain: &Path, key: &Path) -> io::Result<()> {
    if let Some(directory) = chain.parent() {
        std::fs::create_dir_all(directory)?;
    }
    let made = Command::new("/proc/self/exe")
        .arg(ChildRole::Certificate.word())
        .env_clear()
        .stdin(Stdio::null())
        .stderr(Stdio::inherit())
        .output()?;
    let status = made.status;
    let made = Zeroizing::new(made.stdout);
    let text = std::str::from_utf8(&made).unwrap_or_default();
    let halves = text.find(KEY).and_then(|at| text.split_at_checked(at));
    let Some((chain_text, key_text)) =
        halves.filter(|(chain, _)| status.success() && chain.starts_with(CHAIN))
    else {
        let text = format!("the process that makes it ended with {status}");
        return Err(io::Error::other(text));
    };
    // The key comes first: a chain without a key would neither be used nor made again.
    keep(key, key_text)?;
    keep(chain, chain_text)
}

/// The file is written whole or not at all, because half a certificate would be read at each start.
fn keep(path: &Path, text: &str) -> io::Result<()> {
    let temporary = path.with_extension("new");
    let mut file = File::options()
        .write(true)
        .create(true)
        .truncate(true)
        .mode(0o600)
        .open(&temporary)?;
    file.write_all(text.as_bytes())?;
    file.sync_all()?;
    std::fs::rename(&temporary, path)
}

/// Why root cannot keep a certificate in that directory, as far as that shows without making one.
pub fn obstacle(directory: &Path) -> Option<String> {
    let there = directory.ancestors().find(|path| path.exists())?;
    let shown = there.display();
    if !there.is_dir() {
        return Some(format!("{shown} is no directory"));
    }
    let may = access(there, AccessFlags::W_OK | AccessFlags::X_OK).err()?;
    Some(format!("{shown} cannot be written to: {}", may.desc()))
}

impl CertificateFiles {
    /// Gives away the contents of the files, and keeps when they were read.
    pub fn take_messages(&mut self) -> Vec<Message> {
        self.are_given = true;
        let pairs = std::mem::take(&mut self.pairs).into_iter();
        let mut messages: Vec<Message> = pairs
            .map(|KeyPair { chain, key }| Message::Certificate { chain, key })
            .collect();
        messages.extend(self.client_authority.take().map(Message::ClientAuthority));
        if !messages.is_empty() {
            messages.push(Message::UseCertificates);
        }
        messages
    }

    /// Reads all of them.
    pub fn read(
        files: &[(PathBuf, PathBuf)],
        client_authority: Option<&Path>,
    ) -> Result<CertificateFiles, (PathBuf, io::Error)> {
        let mut read = CertificateFiles::default();
        for (chain, key) in files {
            let pair = KeyPair {
                chain: read.take(chain)?,
                key: Secret::new(read.take(key)?),
            };
            if is_public(key) {
                log::warn!("{}: everybody can read this private key", key.display());
            }
            read.pairs.push(pair);
            read.chains.push(chain.clone());
        }
        if let Some(path) = client_authority {
            read.client_authority = Some(read.take(path)?);
        }
        Ok(read)
    }

    /// Whether a file is another one now, or is gone.  A file that is gone is not read again before
    /// it is back.
    pub fn have_changed(&self) -> bool {
        self.stamps.iter().any(|(path, stamp)| {
            let now = Stamp::of(path);
            now.is_some() && now != *stamp
        })
    }

    fn take(&mut self, path: &Path) -> Result<Vec<u8>, (PathBuf, io::Error)> {
        // The stamp comes first, so that a change in between is noticed later.
        let stamp = Stamp::of(path);
        let octets = read_bounded(path).map_err(|error| (path.to_path_buf(), error))?;
        self.stamps.push((path.to_path_buf(), stamp));
        Ok(octets)
    }
}

impl Stamp {
    fn of(path: &Path) -> Option<Stamp> {
        let metadata = std::fs::metadata(path).ok()?;
        Some(Stamp {
            device: metadata.dev(),
            inode: metadata.ino(),
            size: metadata.size(),
            modified: metadata.modified().ok(),
        })
    }
}

fn read_bounded(path: &Path) -> io::Result<Vec<u8>> {
    let file = File::open(path)?;
    // The space is reserved at once: a vector that grows would leave copies of the key behind.
    let mut octets = Vec::with_capacity(
        usize::try_from(file.metadata()?.len())
            .unwrap_or(0)
            .min(MAX),
    );
    file.take(MAX_SIZE + 1).read_to_end(&mut octets)?;
    match u64::try_from(octets.len()) {
        Ok(size) if size <= MAX_SIZE => Ok(octets),
        _ => Err(io::Error::other("it is too large for a certificate")),
    }
}

fn is_public(key: &Path) -> bool {
    std::fs::metadata(key).is_ok_and(|metadata| metadata.mode() & 0o007 != 0)
}

/// The largest file that is taken: one message of `ipc` holds a chain and its key.
const MAX_SIZE: u64 = 256 * 1024;
const MAX: usize = 256 * 1024 + 1;

const CHAIN: &str = "-----BEGIN CERTIFICATE-----";
const KEY: &str = "-----BEGIN PRIVATE KEY-----";

/// Where certificates are if the configuration names none: our own, and the one that Debian's
/// package ssl-cert makes.
const USUAL: [(&str, &str); 2] = [
    ("/etc/roost/cert.pem", "/etc/roost/key.pem"),
    (
        "/etc/ssl/certs/ssl-cert-snakeoil.pem",
        "/etc/ssl/private/ssl-cert-snakeoil.key",
    ),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_changed_file_is_noticed_and_a_lost_one_is_not_read() {
        let dir = std::env::temp_dir().join(format!("roost-certificates-{}", std::process::id()));
        std::fs::create_dir_all(&dir).unwrap();
        let (chain, key) = (dir.join("a.crt"), dir.join("a.key"));
        std::fs::write(&chain, "chain").unwrap();
        std::fs::write(&key, "key").unwrap();
        let files = [(chain.clone(), key.clone())];
        let read = CertificateFiles::read(&files, None).unwrap();
        assert_eq!(read.pairs[0].chain, b"chain");
        assert!(!read.have_changed());
        std::fs::remove_file(&key).unwrap();
        assert!(!read.have_changed());
        std::fs::write(&key, "another key").unwrap();
        assert!(read.have_changed());
        std::fs::write(&key, vec![b'x'; 300_000]).unwrap();
        assert_eq!(CertificateFiles::read(&files, None).unwrap_err().0, key);
        std::fs::remove_dir_all(&dir).unwrap();
    }

    #[test]
    fn configured_files_come_first_and_none_are_looked_for_without_tls() {
        let mut config = Config {
            tls_certificate: vec!["/x/c.pem".into()],
            tls_key: vec!["/x/k.pem".into()],
            ..Config::default()
        };
        let files = CertificateSource::Files(vec![("/x/c.pem".into(), "/x/k.pem".into())]);
        assert_eq!(CertificateSource::find(&config), files);
        config.tls_required = TlsRequired::Off;
        assert_eq!(CertificateSource::find(&config), CertificateSource::None);
    }
}
