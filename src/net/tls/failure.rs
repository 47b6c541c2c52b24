//! Why TLS has failed, in words for the reader of the log: what the client most probably wants or
//! lacks.

use std::fmt;
use std::io;

use rustls::{AlertDescription, Error, InvalidMessage, PeerIncompatible};

/// An error of the TLS library with an explanation before the library's own words.
#[derive(Debug)]
pub(super) struct Failure(Error);

pub(super) fn explain(error: Error) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, Failure(error))
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match meaning(&self.0) {
            Some(meaning) => write!(f, "{meaning} ({})", self.0),
            None => self.0.fmt(f),
        }
    }
}

impl std::error::Error for Failure {}

fn meaning(error: &Error) -> Option<&'static str> {
    Some(match error {
        Error::AlertReceived(alert) => return of_alert(*alert),
        Error::PeerIncompatible(reason) => return of_incompatible(reason),
        Error::InvalidMessage(InvalidMessage::InvalidContentType) => {
            "the client does not speak TLS here: it is set to no encryption, or to STARTTLS on the port \
             of TLS"
        }
        Error::InvalidMessage(_)
        | Error::InappropriateMessage { .. }
        | Error::InappropriateHandshakeMessage { .. }
        | Error::PeerMisbehaved(_)
        | Error::PeerSentOversizedRecord => "the client does not keep to the rules of TLS",
        Error::DecryptError => "what came was changed on its way",
        Error::NoCertificatesPresented => {
            "the client has shown no certificate, and tls.client_certificate requires one"
        }
        Error::InvalidCertificate(_) => {
            "the certificate that the client has shown is not accepted; tls.client_ca says by whom it \
             must be signed"
        }
        _ => return None,
    })
}

fn of_alert(alert: AlertDescription) -> Option<&'static str> {
    Some(match alert {
        AlertDescription::UnknownCA => {
            "the client does not know who has signed the certificate: it is signed by itself, or the \
             file lacks the issuer's (see roost check)"
        }
        AlertDescription::CertificateExpired => {
            "the client says that the certificate has expired: see roost check, and the client's clock"
        }
        AlertDescription::CertificateRevoked => "the client says that the certificate was revoked",
        AlertDescription::BadCertificate
        | AlertDescription::CertificateUnknown
        | AlertDescription::UnsupportedCertificate
        | AlertDescription::AccessDenied => {
            "the client does not accept the certificate: it may be for another host name than the one \
             that the client is set to, or signed by somebody whom it does not know (see roost check)"
        }
        AlertDescription::ProtocolVersion | AlertDescription::InsufficientSecurity => {
            "the client and Roost agree on no version of TLS: see tls.min_version"
        }
        AlertDescription::HandshakeFailure => {
            "the client finds nothing that both sides can do; it may be too old"
        }
        AlertDescription::UserCanceled => "the client's user has given up",
        _ => return None,
    })
}

fn of_incompatible(reason: &PeerIncompatible) -> Option<&'static str> {
    Some(match reason {
        PeerIncompatible::Tls12NotOffered
        | PeerIncompatible::Tls12NotOfferedOrEnabled
        | PeerIncompatible::SupportedVersionsExtensionRequired => {
            "the client speaks only an older TLS than is allowed here (tls.min_version; 1.1 and older \
             are never spoken): it needs an update"
        }
        PeerIncompatible::NoCipherSuitesInCommon
        | PeerIncompatible::NoKxGroupsInCommon
        | PeerIncompatible::NoSignatureSchemesInCommon
        | PeerIncompatible::NamedGroupsExtensionRequired
        | PeerIncompatible::SignatureAlgorithmsExtensionRequired
        | PeerIncompatible::ExtendedMasterSecretExtensionRequired => {
            "the client knows no method of encryption that is allowed here: it needs an update, or \
             another kind of certificate (both an RSA and an ECDSA one can be given)"
        }
        _ => "the client's TLS does not go with that of Roost",
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_error_says_what_the_client_wants_and_the_librarys_words_behind_it() {
        for (error, words) in [
            (
                Error::AlertReceived(AlertDescription::UnknownCA),
                "does not know who has signed",
            ),
            (
                Error::AlertReceived(AlertDescription::CertificateUnknown),
                "another host name",
            ),
            (
                Error::PeerIncompatible(PeerIncompatible::Tls12NotOffered),
                "tls.min_version",
            ),
            (
                Error::InvalidMessage(InvalidMessage::InvalidContentType),
                "does not speak TLS here",
            ),
            (Error::NoCertificatesPresented, "tls.client_certificate"),
        ] {
            let own = error.to_string();
            let told = explain(error);
            assert_eq!(told.kind(), io::ErrorKind::InvalidData);
            let told = told.to_string();
            assert!(
                told.contains(words) && told.ends_with(&format!("({own})")),
                "{told}"
            );
        }
        let other = Error::General(String::from("odd"));
        assert_eq!(explain(other.clone()).to_string(), other.to_string());
    }
}
