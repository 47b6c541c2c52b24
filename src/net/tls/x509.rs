//! What the server must know of an X.509 certificate (RFC 5280): whose it is, and its hash.

use aws_lc_rs::digest::{Algorithm, SHA224, SHA256, SHA384, SHA512, digest};
use x509_cert::certificate::{CertificateInner, Raw};
use x509_cert::der::asn1::{AnyRef, ObjectIdentifier};
use x509_cert::der::{Decode, Encode, Reader, Tag, TagNumber, Tagged};
use x509_cert::ext::pkix::SubjectAltName;
use x509_cert::ext::pkix::name::GeneralName;
use x509_cert::spki::AlgorithmIdentifierOwned;

/// A certificate, decoded.  How it is profiled does not matter here: clients judge that.
pub(super) struct Facts {
    certificate: CertificateInner<Raw>,
}

impl Facts {
    /// None if it is no certificate.
    pub fn read(der: &[u8]) -> Option<Facts> {
        let certificate = CertificateInner::from_der(der).ok()?;
        Some(Facts { certificate })
    }

    /// The DNS names it is for, in lower case; `*.` may stand for one label (RFC 6125 6.4.3).  Without
    /// any, old certificates have it as common name.
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

    /// The public key (SubjectPublicKeyInfo), DER.
    pub fn public_key(&self) -> Option<Vec<u8>> {
        let key = self.certificate.tbs_certificate().subject_public_key_info();
        key.to_der().ok()
    }

    /// RFC 5929 4.1: the hash of the certificate `der` by the hash function of its signature; SHA-256 in
    /// place of MD5 and SHA-1.  Undefined where the signature has none of its own (Ed25519).
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

/// RFC 4055 3.1: `hashAlgorithm [0] HashAlgorithm DEFAULT sha1Identifier` is the first of the parameters.
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
