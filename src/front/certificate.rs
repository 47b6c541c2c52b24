//! The user in a client certificate (RFC 5280).
//!
//! Only certificates that TLS has verified come here.

use x509_cert::Certificate;
use x509_cert::der::asn1::{PrintableStringRef, TeletexStringRef, Utf8StringRef};
use x509_cert::der::oid::db::rfc4519::COMMON_NAME;
use x509_cert::der::{Any, Decode};
use x509_cert::ext::pkix::SubjectAltName;
use x509_cert::ext::pkix::name::GeneralName;

/// The mail address in the certificate (rfc822Name, RFC 5280 4.2.1.6), else the subject's common
/// name.
pub(super) fn name(der: &[u8]) -> Option<Vec<u8>> {
    let certificate = Certificate::from_der(der).ok()?;
    let name = mail_address(&certificate).or_else(|| common_name(&certificate))?;
    let is_usable = !name.is_empty() && !name.chars().any(char::is_control);
    is_usable.then(|| name.into_bytes())
}

fn mail_address(certificate: &Certificate) -> Option<String> {
    let certificate = certificate.tbs_certificate();
    let (_, names) = certificate.get_extension::<SubjectAltName>().ok()??;
    names.0.iter().find_map(|name| match name {
        GeneralName::Rfc822Name(address) => Some(address.as_str().to_owned()),
        _ => None,
    })
}

fn common_name(certificate: &Certificate) -> Option<String> {
    let subject = certificate.tbs_certificate().subject();
    let mut parts = subject.iter_rdn().flat_map(|part| part.iter());
    let part = parts.find(|part| part.oid == COMMON_NAME)?;
    text(&part.value)
}

/// DirectoryString (RFC 5280 4.1.2.4), without the two forms that nobody uses.
fn text(value: &Any) -> Option<String> {
    let utf8 = value.decode_as::<Utf8StringRef<'_>>();
    let printable = value.decode_as::<PrintableStringRef<'_>>();
    let teletex = value.decode_as::<TeletexStringRef<'_>>();
    let utf8 = utf8.map(|text| text.as_str().to_owned());
    utf8.or_else(|_| printable.map(|text| text.as_str().to_owned()))
        .or_else(|_| teletex.map(|text| text.as_str().to_owned()))
        .ok()
}

#[cfg(test)]
pub(super) mod tests {
    use rcgen::{CertificateParams, DistinguishedName, DnType, KeyPair, SanType};

    use super::*;

    #[test]
    fn the_mail_address_comes_before_the_common_name() {
        let both = made(Some("bob@example.org"), "Bob");
        assert_eq!(name(&both).as_deref(), Some(&b"bob@example.org"[..]));
        let common = made(None, "bob");
        assert_eq!(name(&common).as_deref(), Some(&b"bob"[..]));
    }

    #[test]
    fn what_says_nothing_of_use_is_nobody() {
        assert_eq!(name(&made(None, "")), None);
        assert_eq!(name(&made(None, "bob\0root")), None);
        assert_eq!(name(b""), None);
        let whole = made(Some("bob@example.org"), "Bob");
        for end in 0..whole.len() {
            assert_eq!(name(&whole[..end]), None);
        }
    }

    pub fn made(mail: Option<&str>, common: &str) -> Vec<u8> {
        let mut params = CertificateParams::default();
        params.distinguished_name = DistinguishedName::new();
        params.distinguished_name.push(DnType::CommonName, common);
        let mail = mail.map(|mail| SanType::Rfc822Name(mail.try_into().unwrap()));
        params.subject_alt_names.extend(mail);
        let key = KeyPair::generate().unwrap();
        params.self_signed(&key).unwrap().der().to_vec()
    }
}
