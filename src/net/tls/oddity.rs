//! What in a chain of certificates will keep clients out, as far as the chain itself shows it.

use std::fmt;
use std::time::SystemTime;

use rustls::pki_types::CertificateDer;

use super::x509::CertificateFacts;

/// Something odd about a chain that can be used.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Oddity {
    /// The certificate of this name is not valid any more, since then.
    Expired(String, String),
    /// It will be valid, from then on.
    NotYetValid(String, String),
    /// The certificate of the server is not followed by that of its issuer, of this name.
    NoIssuer(String, String),
    /// The issuer of the first is in the file, but not right behind the one that it has signed.
    Disordered(String),
    /// It is signed with a hash that clients do not believe in any more.
    WeakSignature(String),
    /// It names no host in the way that clients look at today.
    NoNames(String),
    /// It says that it is not for servers.
    NotForServers(String),
}

/// All that is odd of a chain whose first certificate is the server's.
pub(super) fn find(chain: &[CertificateDer<'_>], now: SystemTime) -> Vec<Oddity> {
    let facts: Vec<CertificateFacts> = chain
        .iter()
        .filter_map(|der| CertificateFacts::read(der))
        .collect();
    let mut found = Vec::new();
    let Some(leaf) = facts.first() else {
        return found;
    };
    for certificate in &facts {
        let name = certificate.subject();
        match certificate.validity() {
            Some((_, end)) if end.time < now => found.push(Oddity::Expired(name, end.text)),
            Some((start, _)) if start.time > now => {
                found.push(Oddity::NotYetValid(name, start.text));
            }
            _ => {}
        }
        // Nobody verifies the signature of a certificate that has signed itself.
        if !certificate.is_issued_by(certificate) && certificate.has_weak_signature() {
            found.push(Oddity::WeakSignature(certificate.subject()));
        }
    }
    found.extend(link(&facts));
    if !leaf.has_alternative_names() {
        found.push(Oddity::NoNames(leaf.subject()));
    }
    if !leaf.is_for_servers() {
        found.push(Oddity::NotForServers(leaf.subject()));
    }
    found
}

/// Whether each certificate is followed by its issuer, as RFC 5246 7.4.2 wants it and as clients of
/// today still need it for the first one.
fn link(facts: &[CertificateFacts]) -> Option<Oddity> {
    for (place, certificate) in facts.iter().enumerate() {
        let rest = facts.get(place + 1..).unwrap_or_default();
        let is_linked = certificate.is_issued_by(certificate)
            || rest
                .first()
                .is_some_and(|next| certificate.is_issued_by(next));
        if is_linked {
            continue;
        }
        if facts.iter().any(|other| certificate.is_issued_by(other)) {
            return Some(Oddity::Disordered(certificate.subject()));
        }
        // Clients know the issuer of the last certificate, but hardly ever that of the server's
        // own.
        if place == 0 {
            let (name, issuer) = (certificate.subject(), certificate.issuer());
            return Some(Oddity::NoIssuer(name, issuer));
        }
        return None;
    }
    None
}

impl fmt::Display for Oddity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Oddity::Expired(name, time) => write!(
                f,
                "the certificate of {name} has expired, on {time}: clients refuse it; renew it"
            ),
            Oddity::NotYetValid(name, time) => write!(
                f,
                "the certificate of {name} is not valid before {time}: clients refuse it until then \
                 (is this host's clock right?)"
            ),
            Oddity::NoIssuer(name, issuer) => write!(
                f,
                "the certificate of {name} is not followed by that of its issuer, {issuer}: many clients, \
                 those on Android above all, refuse it; append the issuer's certificate to the file (with \
                 certbot, take fullchain.pem and not cert.pem)"
            ),
            Oddity::Disordered(name) => write!(
                f,
                "the certificate of {name} is not followed by its issuer's, which is elsewhere in the \
                 file: some clients refuse that; put each certificate behind the one that it has signed"
            ),
            Oddity::WeakSignature(name) => write!(
                f,
                "the certificate of {name} is signed with MD5 or SHA-1, which clients refuse; have it \
                 made anew"
            ),
            Oddity::NoNames(name) => write!(
                f,
                "the certificate of {name} has no host name as subjectAltName, and clients look at nothing \
                 else; have it made anew with the names that clients use"
            ),
            Oddity::NotForServers(name) => write!(
                f,
                "the certificate of {name} is not for servers (extendedKeyUsage without serverAuth): \
                 clients refuse it"
            ),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use rcgen::{
        BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair,
    };

    use super::*;

    /// An authority and its certificate.
    struct Authority {
        issuer: Issuer<'static, KeyPair>,
        der: CertificateDer<'static>,
    }

    fn params(name: &str, names: &[&str]) -> CertificateParams {
        let names: Vec<String> = names.iter().map(|&name| name.to_owned()).collect();
        let mut params = CertificateParams::new(names).unwrap();
        params.distinguished_name.push(DnType::CommonName, name);
        params.not_before = (now() - DAY).into();
        params.not_after = (now() + DAY).into();
        params.use_authority_key_identifier_extension = true;
        params
    }

    fn authority(name: &str, by: Option<&Authority>) -> Authority {
        let mut params = params(name, &[]);
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let key = KeyPair::generate().unwrap();
        let certificate = match by {
            None => params.self_signed(&key).unwrap(),
            Some(by) => params.signed_by(&key, &by.issuer).unwrap(),
        };
        Authority {
            der: certificate.der().clone(),
            issuer: Issuer::new(params, key),
        }
    }

    fn leaf(
        by: &Authority,
        change: impl FnOnce(&mut CertificateParams),
    ) -> CertificateDer<'static> {
        let mut params = params("mail.example.org", &["mail.example.org"]);
        change(&mut params);
        let key = KeyPair::generate().unwrap();
        params.signed_by(&key, &by.issuer).unwrap().der().clone()
    }

    fn now() -> SystemTime {
        SystemTime::UNIX_EPOCH + Duration::from_secs(1_800_000_000)
    }

    const DAY: Duration = Duration::from_secs(24 * 60 * 60);

    #[test]
    fn a_chain_is_looked_at_link_by_link() {
        let root = authority("Root", None);
        let issuer = authority("Issuer", Some(&root));
        let server = leaf(&issuer, |_| {});
        let found = |chain: &[&CertificateDer<'static>]| {
            let chain: Vec<_> = chain.iter().map(|&der| der.clone()).collect();
            find(&chain, now())
        };
        let name = || String::from("mail.example.org");
        let missing = [Oddity::NoIssuer(name(), String::from("Issuer"))];
        assert_eq!(found(&[&server]), missing);
        assert_eq!(found(&[&server, &root.der]), missing);
        assert_eq!(found(&[&server, &issuer.der]), []);
        assert_eq!(found(&[&server, &issuer.der, &root.der]), []);
        assert_eq!(found(&[&root.der]), [Oddity::NoNames(String::from("Root"))]);
        assert_eq!(
            found(&[&server, &root.der, &issuer.der]),
            [Oddity::Disordered(name())]
        );
        // The same name, another key.
        let other = authority("Issuer", Some(&root));
        assert_eq!(found(&[&server, &other.der]), missing);
    }

    #[test]
    fn what_clients_refuse_is_odd() {
        let root = authority("Root", None);
        let found = |change: fn(&mut CertificateParams)| {
            find(&[leaf(&root, change), root.der.clone()], now())
        };
        let name = || String::from("mail.example.org");
        assert_eq!(found(|_| {}), []);
        assert!(matches!(
            found(|params| params.not_after = (now() - DAY / 2).into())[..],
            [Oddity::Expired(..)]
        ));
        assert!(matches!(
            found(|params| params.not_before = (now() + DAY / 2).into())[..],
            [Oddity::NotYetValid(..)]
        ));
        assert_eq!(
            found(|params| params.subject_alt_names.clear()),
            [Oddity::NoNames(name())]
        );
        let for_clients = vec![ExtendedKeyUsagePurpose::ClientAuth];
        let mut changed = params("mail.example.org", &["mail.example.org"]);
        changed.extended_key_usages = for_clients;
        let key = KeyPair::generate().unwrap();
        let der = changed.signed_by(&key, &root.issuer).unwrap().der().clone();
        assert_eq!(
            find(&[der, root.der.clone()], now()),
            [Oddity::NotForServers(name())]
        );
    }
}
