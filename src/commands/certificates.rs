//! What `roost check` says of certificates and keys.

use std::os::unix::fs::MetadataExt;
use std::path::Path;

use zeroize::Zeroizing;

use super::check::Checker;
use crate::config::{Config, TlsRequired};
use crate::monitor::certificates::{self, CertificateSource};
use crate::net::Now;
use crate::net::tls::{Certificates, ClientCertificates, Pair, Policy, TlsError};
use crate::sys::process;

impl Checker {
    /// Looks at each pair alone, to say which is wrong, and then at all of them together.
    pub(super) fn check_certificates(&mut self, config: &Config) {
        let files = match CertificateSource::find(config) {
            CertificateSource::None => return,
            CertificateSource::Files(files) => files,
            CertificateSource::SelfSigned { chain, .. } => {
                self.check_place(config, &chain);
                Vec::new()
            }
        };
        let mut pairs = Vec::new();
        for (chain, key) in &files {
            let chain_text = self.read("tls.certificate", chain);
            let key_text = self.read("tls.key", key).map(Zeroizing::new);
            let (Some(chain_text), Some(key_text)) = (chain_text, key_text) else {
                continue;
            };
            self.check_mode(key);
            match one(&chain_text, &key_text) {
                Ok(certificates) => {
                    let chain = chain.display();
                    for oddity in certificates.oddities(Now::read().time) {
                        self.warnings
                            .push(format!("tls.certificate: {chain}: {oddity}"));
                    }
                    pairs.push((chain_text, key_text));
                }
                Err(error) => {
                    let (chain, key) = (chain.display(), key.display());
                    let text = format!("tls.certificate: {chain} with {key}: {error}");
                    self.errors.push(text);
                }
            }
        }
        self.check_authority(config, &pairs);
    }

    fn check_authority(&mut self, config: &Config, pairs: &[(Vec<u8>, Zeroizing<Vec<u8>>)]) {
        let Some(authority) = &config.tls_client_ca else {
            return;
        };
        let Some(text) = self.read("tls.client_ca", authority) else {
            return;
        };
        let pairs: Vec<Pair<'_>> = pairs
            .iter()
            .map(|(chain, key)| Pair { chain, key })
            .collect();
        let policy = Policy {
            clients: ClientCertificates::MayCertify(text),
            ..Policy::default()
        };
        match Certificates::new(&pairs, policy, None) {
            // If there is no certificate, Roost makes one.
            Ok(_) | Err(TlsError::Nothing) => {}
            Err(error) => {
                let path = authority.display();
                self.errors.push(format!("tls.client_ca: {path}: {error}"));
            }
        }
    }

    /// Warns of a key that everybody can read: who has the key can pose as the server.
    fn check_mode(&mut self, key: &Path) {
        let mode = std::fs::metadata(key).map(|metadata| metadata.mode() & 0o7777);
        if let Ok(mode) = mode
            && mode & 0o007 != 0
        {
            let key = key.display();
            self.warnings.push(format!(
                "tls.key: {key}: everybody on this host may read this private key (mode {mode:o}): \
                 chmod o= it"
            ));
        }
    }

    /// Whether a certificate can be made, if there is none.
    fn check_place(&mut self, config: &Config, chain: &Path) {
        if !process::is_root() {
            return;
        }
        let path = chain.display();
        let Some(why) = chain.parent().and_then(certificates::obstacle) else {
            self.warnings.push(format!(
                "tls.certificate: there is none, so Roost makes one that no client can verify: {path}"
            ));
            return;
        };
        let text = format!(
            "tls.certificate: there is none, and none can be made at {path}: {why}; TLS is not offered"
        );
        match config.tls_required {
            TlsRequired::Off | TlsRequired::No => self.warnings.push(text),
            // Without TLS, nobody can log in from another host.
            TlsRequired::Yes | TlsRequired::Always => self.errors.push(format!(
                "{text}, and without it nobody can log in from another host"
            )),
        }
    }
}

fn one(chain: &[u8], key: &[u8]) -> Result<Certificates, TlsError> {
    Certificates::new(&[Pair { chain, key }], Policy::default(), None)
}
