//! Certificates as the monitor sends them, one by one, until it says that they are all.

use std::sync::Arc;

use crate::config::{ClientCertificate, Config, TlsVersion};
use crate::mail::Secret;
use crate::net::tls::{Certificates, ClientCertificates, MinVersion, Pair, Policy, TlsError};

#[derive(Default)]
pub(super) struct Gathering {
    pairs: Vec<(Vec<u8>, Secret)>,
    authority: Option<Vec<u8>>,
    in_use: Option<Arc<Certificates>>,
}

impl Gathering {
    pub fn add_pair(&mut self, chain: Vec<u8>, key: Secret) {
        self.pairs.push((chain, key));
    }

    pub fn set_authority(&mut self, authority: Vec<u8>) {
        self.authority = Some(authority);
    }

    /// What TLS has begun with, if it can be begun.
    pub fn in_use(&self) -> Option<&Arc<Certificates>> {
        self.in_use.as_ref()
    }

    /// They have all come.  If one is not right, those in use stay.
    pub fn finish(&mut self, config: &Config) -> Result<Arc<Certificates>, TlsError> {
        let gathered = std::mem::take(&mut self.pairs);
        let pairs: Vec<Pair<'_>> = gathered
            .iter()
            .map(|(chain, key)| Pair {
                chain,
                key: key.expose(),
            })
            .collect();
        let authority = self.authority.take();
        let policy = Policy {
            min_version: match config.tls_min_version {
                TlsVersion::V1_2 => MinVersion::Tls12,
                TlsVersion::V1_3 => MinVersion::Tls13,
            },
            clients: match (config.tls_client_certificate, authority) {
                (ClientCertificate::No, _) | (ClientCertificate::Optional, None) => {
                    ClientCertificates::Anonymous
                }
                (ClientCertificate::Optional, Some(authority)) => {
                    ClientCertificates::MayCertify(authority)
                }
                (ClientCertificate::Required, authority) => {
                    ClientCertificates::MustCertify(authority.unwrap_or_default())
                }
            },
        };
        let certificates = Arc::new(Certificates::new(&pairs, policy, self.in_use.as_deref())?);
        self.in_use = Some(Arc::clone(&certificates));
        Ok(certificates)
    }
}
