//! What the server must know of an X.509 certificate (RFC 5280): whose it is, and its hash.

use std::time::SystemTime;

use aws_lc_rs::digest::{Algorithm, SHA224, SHA256, SHA384, SHA512, digest};
use x509_cert::certificate::{CertificateInner, Raw};
use x509_cert::der::asn1::{AnyRef, ObjectIdentifier};
use x509_cert::der::{Decode, Encode, Reader, Tag, TagNumber, Tagged};
use x509_cert::ext::pkix::name::GeneralName;
use x509_cert::ext::pkix::{
    AuthorityKeyIdentifier, ExtendedKeyUsage, SubjectAltName, SubjectKeyIdentifier,
};
use x509_cert::name::Name;
use x509_cert::spki::AlgorithmIdentifierOwned;
use x509_cert::time::Time;

/// A certificate, decoded.  How it is profiled does not matter here: clients judge that.
pub(super) struct CertificateFacts {
    certificate: CertificateInner<Raw>,
}

impl CertificateFacts {
    /// None if it is no certificate.
    pub fn read(der: &[u8]) -> Option<CertificateFacts> {
        let certificate = CertificateInner::from_der(der).ok()?;
        Some(CertificateFacts { certificate })
    }

    /// The DNS names it is for, in lower case; `*.` may stand for one label (RFC 6125 6.4.3).
    /// Without any, old certificates have it as common name.
    pub fn names(&self) -> Vec<String> {
        let subject = self.certificate.tbs_certificate();
        let alternative = subject.get_extension::<SubjectAltName>();
        let mut names = Vec::new();
        if let Ok(Some((_, SubjectAltName(general)))) = alternative {
            for name in general {
                if let GeneralName::DnsName(name) = name {
                    names.push(name.as_str().to_ascii_lowercase());
                }
            }
        }
        if names.is_empty()
            && let Ok(Some(name)) = subject.subject().common_name()
        {
            names.push(name.value().to_ascii_lowercase());
        }
        names
    }

    /// For people: the common name, or all of it, or the first DNS name.
    pub fn subject(&self) -> String {
        let shown = show(self.certificate.tbs_certificate().subject());
        match shown.is_empty() {
            true => self.names().into_iter().next().unwrap_or_default(),
            false => shown,
        }
    }

    /// For people.
    pub fn issuer(&self) -> String {
        show(self.certificate.tbs_certificate().issuer())
    }

    /// From when until when it is valid.
    pub fn validity(&self) -> Option<(Moment, Moment)> {
        let validity = self.certificate.tbs_certificate().validity();
        let moment = |time: Time| Moment {
            time: time.to_system_time(),
            text: time.to_date_time().to_string(),
        };
        Some((moment(validity.not_before), moment(validity.not_after)))
    }

    /// Whether the other has signed this one, by the names and, if they are given, by the
    /// identifiers of the keys, because an authority can have several keys.
    pub fn is_issued_by(&self, other: &CertificateFacts) -> bool {
        let (own, theirs) = (
            self.certificate.tbs_certificate(),
            other.certificate.tbs_certificate(),
        );
        if own.issuer() != theirs.subject() {
            return false;
        }
        let wanted = own.get_extension::<AuthorityKeyIdentifier>();
        let there = theirs.get_extension::<SubjectKeyIdentifier>();
        match (wanted, there) {
            (Ok(Some((_, wanted))), Ok(Some((_, there)))) => {
                wanted.key_identifier.is_none_or(|wanted| wanted == there.0)
            }
            _ => true,
        }
    }

    pub fn has_weak_signature(&self) -> bool {
        let algorithm = self.certificate.signature_algorithm().oid;
        WEAK.contains(&algorithm)
    }

    /// Whether it names a host or an address where clients look (RFC 6125 6.4.4).
    pub fn has_alternative_names(&self) -> bool {
        let extension = self
            .certificate
            .tbs_certificate()
            .get_extension::<SubjectAltName>();
        matches!(extension, Ok(Some((_, SubjectAltName(names)))) if names
            .iter()
            .any(|name| matches!(name, GeneralName::DnsName(_) | GeneralName::IpAddress(_))))
    }

    /// RFC 5280 4.2.1.12: without the extension for anything.
    pub fn is_for_servers(&self) -> bool {
        let extension = self
            .certificate
            .tbs_certificate()
            .get_extension::<ExtendedKeyUsage>();
        match extension {
            Ok(Some((_, ExtendedKeyUsage(uses)))) => {
                uses.contains(&SERVER_AUTH) || uses.contains(&ANY_USE)
            }
            _ => true,
        }
    }

    /// The public key (SubjectPublicKeyInfo), DER.
    pub fn public_key(&self) -> Option<Vec<u8>> {
        let key = self.certificate.tbs_certificate().subject_public_key_info();
        key.to_der().ok()
    }

    /// RFC 5929 4.1: the hash of the certificate `der` by the hash function of its signature;
    /// SHA-256 in place of MD5 and SHA-1.  Undefined where the signature has none of its own
    /// (Ed25519).
    pub fn end_point(&self, der: &[u8]) -> Option<Vec<u8>> {
        let algorithm = self.certificate.signature_algorithm();
        let hash = match algorithm.oid {
            RSASSA_PSS => pss_hash(algorithm)?,
            _ => HASHES
                .iter()
                .find(|(oid, _)| *oid == algorithm.oid)
                .map(|&(_, hash)| hash)?,
        };
        Some(digest(hash, der).as_ref().to_vec())
    }
}

/// A point of time, and how it is shown.
pub(super) struct Moment {
    pub time: SystemTime,
    pub text: String,
}

fn show(name: &Name) -> String {
    match name.common_name() {
        Ok(Some(common)) => common.value().into_owned(),
        _ => name.to_string(),
    }
}

/// RFC 4055 3.1: `hashAlgorithm [0] HashAlgorithm DEFAULT sha1Identifier` is the first of the
/// parameters.
fn pss_hash(algorithm: &AlgorithmIdentifierOwned) -> Option<&'static Algorithm> {
    let parameters = AnyRef::from(algorithm.parameters.as_ref()?);
    let oid = parameters
        .sequence(|reader| {
            let tagged = match reader.is_finished() {
                true => None,
                false => Some(AnyRef::decode(reader)?),
            };
            // The mask and the length of the salt do not matter.
            let left = reader.remaining_len();
            reader.read_slice(left)?;
            Ok::<_, x509_cert::der::Error>(tagged)
        })
        .ok()?
        .filter(|tagged| tagged.tag() == ZERO)
        .and_then(|tagged| AlgorithmIdentifierOwned::from_der(tagged.value()).ok())
        .map(|hash| hash.oid);
    match oid {
        None => Some(&SHA256),
        Some(oid) => HASHES
            .iter()
            .find(|(known, _)| *known == oid)
            .map(|&(_, hash)| hash),
    }
}

/// `[0]`, explicit.
const ZERO: Tag = Tag::ContextSpecific {
    constructed: true,
    number: TagNumber(0),
};

const RSASSA_PSS: ObjectIdentifier = oid("1.2.840.113549.1.1.10");

const SERVER_AUTH: ObjectIdentifier = oid("1.3.6.1.5.5.7.3.1");
const ANY_USE: ObjectIdentifier = oid("2.5.29.37.0");

/// With MD5 and SHA-1: RSA, DSA, ECDSA.
const WEAK: &[ObjectIdentifier] = &[
    oid("1.2.840.113549.1.1.4"),
    oid("1.2.840.113549.1.1.5"),
    oid("1.2.840.10040.4.3"),
    oid("1.2.840.10045.4.1"),
];

/// Signature algorithms that hash, and hash functions.
const HASHES: &[(ObjectIdentifier, &Algorithm)] = &[
    // md5WithRSAEncryption to sha224WithRSAEncryption (RFC 8017 C)
    (oid("1.2.840.113549.1.1.4"), &SHA256),
    (oid("1.2.840.113549.1.1.5"), &SHA256),
    (oid("1.2.840.113549.1.1.11"), &SHA256),
    (oid("1.2.840.113549.1.1.12"), &SHA384),
    (oid("1.2.840.113549.1.1.13"), &SHA512),
    (oid("1.2.840.113549.1.1.14"), &SHA224),
    // ecdsa-with-SHA1 to -SHA512 (RFC 5758 3.2)
    (oid("1.2.840.10045.4.1"), &SHA256),
    (oid("1.2.840.10045.4.3.1"), &SHA224),
    (oid("1.2.840.10045.4.3.2"), &SHA256),
    (oid("1.2.840.10045.4.3.3"), &SHA384),
    (oid("1.2.840.10045.4.3.4"), &SHA512),
    // id-md5, id-sha1, id-sha256 to id-sha224 (RFC 8017 B.1)
    (oid("1.2.840.113549.2.5"), &SHA256),
    (oid("1.3.14.3.2.26"), &SHA256),
    (oid("2.16.840.1.101.3.4.2.1"), &SHA256),
    (oid("2.16.840.1.101.3.4.2.2"), &SHA384),
    (oid("2.16.840.1.101.3.4.2.3"), &SHA512),
    (oid("2.16.840.1.101.3.4.2.4"), &SHA224),
];

/// Of a number that is written right.
const fn oid(text: &str) -> ObjectIdentifier {
    ObjectIdentifier::new_unwrap(text)
}

#[cfg(test)]
mod tests;
