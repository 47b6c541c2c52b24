//! Handshakes with the client side of rustls.

use std::net::{TcpListener, TcpStream};
use std::thread;
use std::time::Duration;

use aws_lc_rs::digest::{SHA256, digest};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair, PKCS_ECDSA_P256_SHA256,
    PKCS_ED25519, PKCS_RSA_SHA256, SignatureAlgorithm,
};
use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::aws_lc_rs::default_provider;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime};
use rustls::version::{TLS12, TLS13};
use rustls::{
    ClientConfig, ClientConnection, DigitallySignedStruct, HandshakeKind, RootCertStore,
    SignatureScheme, StreamOwned, SupportedProtocolVersion,
};
use x509_cert::der::asn1::{AnyRef, OctetStringRef};
use x509_cert::der::{Decode, Reader};

use super::*;

#[test]
fn the_name_asked_for_chooses_the_certificate_and_the_first_is_for_all_others() {
    let made = ["mail.example.org", "*.example.net", "imap.example.net"].map(Made::ecdsa);
    let certificates = certificates(&made);
    for (name, expected) in [
        ("mail.example.org", 0),
        ("MAIL.example.ORG", 0),
        ("imap.example.net", 2),
        ("other.example.net", 1),
        ("deep.other.example.net", 0),
        ("example.net", 0),
        ("elsewhere.example.com", 0),
        ("192.0.2.1", 0),
    ] {
        let met = meet(&certificates, client(&[&TLS13, &TLS12]), name);
        assert_eq!(met.unwrap().certificate, made[expected].leaf, "{name}");
    }
}

#[test]
fn of_two_certificates_for_a_name_the_client_gets_one_that_it_can_verify() {
    let name = "mail.example.org";
    for made in [
        [Made::new(name, &PKCS_RSA_SHA256), Made::ecdsa(name)],
        [Made::ecdsa(name), Made::new(name, &PKCS_RSA_SHA256)],
    ] {
        let rsa = made[0].is_rsa || !made[1].is_rsa;
        let [rsa, ecdsa] = match rsa {
            true => [&made[0].leaf, &made[1].leaf],
            false => [&made[1].leaf, &made[0].leaf],
        };
        let certificates = certificates(&made);
        for versions in [&[&TLS12][..], &[&TLS13][..]] {
            for asked in [name, "no.such.name"] {
                let met = meet(&certificates, client(versions), asked).unwrap();
                assert_eq!(&met.certificate, ecdsa);
                let mut old = client(versions);
                old.dangerous()
                    .set_certificate_verifier(Arc::new(Anybody(&RSA_SCHEMES)));
                let met = meet(&certificates, old, asked).unwrap();
                assert_eq!(&met.certificate, rsa);
            }
        }
    }
}

#[test]
fn the_lowest_version_is_kept_and_what_is_wrong_is_said_in_words() {
    let made = [Made::ecdsa("localhost")];
    let policy = Policy {
        min_version: MinVersion::Tls13,
        ..Policy::default()
    };
    let certificates = build(&made, policy, None).unwrap();
    assert!(meet(&certificates, client(&[&TLS13]), "localhost").is_ok());
    let reason = meet(&certificates, client(&[&TLS12]), "localhost").unwrap_err();
    assert!(reason.contains("peer is incompatible"), "{reason}");

    let mut strict = client(&[&TLS13]);
    strict.dangerous().set_certificate_verifier(
        WebPkiServerVerifier::builder_with_provider(
            Arc::new(roots(&Made::ecdsa("other"))),
            Arc::new(default_provider()),
        )
        .build()
        .unwrap(),
    );
    let reason = meet(&certificates, strict, "localhost").unwrap_err();
    assert!(reason.contains("received fatal alert"), "{reason}");
}

#[test]
fn both_sides_know_the_same_channel_bindings() {
    let made = [Made::ecdsa("localhost")];
    let certificates = certificates(&made);
    let hash = digest(&SHA256, &made[0].leaf).as_ref().to_vec();
    let met = meet(&certificates, client(&[&TLS13]), "localhost").unwrap();
    assert_eq!(met.secured.exporter, Some(met.exporter));
    assert_eq!(met.secured.end_point, Some(hash.clone()));
    let met = meet(&certificates, client(&[&TLS12]), "localhost").unwrap();
    assert_eq!(met.secured.exporter, None);
    assert_eq!(met.secured.end_point, Some(hash));

    // Its signature has no hash function of its own.
    let made = [Made::new("localhost", &PKCS_ED25519)];
    let certificates = self::certificates(&made);
    let met = meet(&certificates, client(&[&TLS13]), "localhost").unwrap();
    assert_eq!(met.secured.end_point, None);
}

#[test]
fn clients_show_certificates_of_their_authority_or_none_if_they_may() {
    let authority = Authority::new();
    let (chain, key) = authority.issue("alice");
    let stranger = Authority::new().issue("alice");
    let made = [Made::ecdsa("localhost")];
    for version in [&TLS12, &TLS13] {
        for (clients, may_be_anonymous) in [
            (ClientCertificates::MayCertify(authority.pem()), true),
            (ClientCertificates::MustCertify(authority.pem()), false),
        ] {
            let policy = Policy {
                clients,
                ..Policy::default()
            };
            let certificates = build(&made, policy, None).unwrap();
            let with = |(chain, key): (&[CertificateDer<'static>], &PrivateKeyDer<'static>)| {
                certified(&[version], chain.to_vec(), key.clone_key())
            };
            let met = meet(&certificates, with((&chain, &key)), "localhost").unwrap();
            assert_eq!(met.secured.certificate.as_deref(), Some(&chain[0][..]));
            let met = meet(&certificates, client(&[version]), "localhost");
            assert_eq!(met.is_ok(), may_be_anonymous, "{met:?}");
            let met = meet(&certificates, with((&stranger.0, &stranger.1)), "localhost");
            assert!(met.unwrap_err().contains("invalid peer certificate"));
        }
    }
    let nobody = Policy {
        clients: ClientCertificates::MayCertify(b"nobody".to_vec()),
        ..Policy::default()
    };
    assert!(matches!(
        build(&made, nobody, None),
        Err(TlsError::Authority(_))
    ));
}

#[test]
fn sessions_are_resumed_after_a_reload_unless_something_else_holds_now() {
    let made = [Made::ecdsa("localhost")];
    let others = [Made::ecdsa("localhost")];
    let authority = Authority::new();
    let asking = Policy {
        clients: ClientCertificates::MayCertify(authority.pem()),
        ..Policy::default()
    };
    for version in [&TLS12, &TLS13] {
        let first = certificates(&made);
        let config = client(&[version]);
        let meet_as = |certificates: &Arc<Certificates>| {
            let met = meet(certificates, config.clone(), "localhost").unwrap();
            assert!(met.secured.end_point.is_some());
            met.kind
        };
        assert_eq!(meet_as(&first), HandshakeKind::Full);
        let same = build(&made, Policy::default(), Some(&first)).unwrap();
        assert_eq!(meet_as(&same), HandshakeKind::Resumed);
        let asking = build(&made, asking.clone(), Some(&same)).unwrap();
        assert_eq!(meet_as(&asking), HandshakeKind::Full);
        let renewed = build(&others, Policy::default(), Some(&same)).unwrap();
        assert_eq!(meet_as(&renewed), HandshakeKind::Full);
    }
}

#[test]
fn a_client_may_say_that_it_wants_imap_or_something_else_or_nothing() {
    let certificates = certificates(&[Made::ecdsa("localhost")]);
    for (offered, agreed) in [
        (&["imap"][..], Some("imap")),
        (&["h2", "imap"], Some("imap")),
        (&["h2"], None),
        (&[], None),
    ] {
        let mut config = client(&[&TLS13]);
        config.alpn_protocols = offered.iter().map(|&name| name.into()).collect();
        let met = meet(&certificates, config, "localhost").unwrap();
        assert_eq!(met.protocol.as_deref(), agreed.map(str::as_bytes));
    }
}

#[test]
fn keys_come_in_every_form_that_is_in_use() {
    for algorithm in [&PKCS_ECDSA_P256_SHA256, &PKCS_RSA_SHA256] {
        let made = Made::new("mail.example.org", algorithm);
        let old = match made.is_rsa {
            true => "RSA PRIVATE KEY",
            false => "EC PRIVATE KEY",
        };
        let names = |key: &str| Certificates::check(made.chain.as_bytes(), key.as_bytes());
        assert_eq!(names(&made.key).unwrap(), ["mail.example.org"]);
        let pkcs8 = PrivateKeyDer::from_pem_slice(made.key.as_bytes()).unwrap();
        let inner = inner_key(pkcs8.secret_der());
        assert_eq!(names(&pem(old, &inner)).unwrap(), ["mail.example.org"]);
        let both = format!("{}{}", made.chain, made.key);
        assert!(Certificates::check(both.as_bytes(), both.as_bytes()).is_ok());
    }
}

#[test]
fn what_cannot_be_used_is_told_apart() {
    let (one, two) = (Made::ecdsa("one"), Made::ecdsa("two"));
    let check = |chain: &str, key: &str| {
        let error = Certificates::check(chain.as_bytes(), key.as_bytes()).unwrap_err();
        assert!(!error.to_string().is_empty());
        error
    };
    assert!(matches!(check(&one.chain, &two.key), TlsError::Mismatch));
    assert!(matches!(check("", &one.key), TlsError::EmptyChain));
    assert!(matches!(check(&one.key, &one.key), TlsError::EmptyChain));
    assert!(matches!(check(&one.chain, ""), TlsError::Key(_)));
    assert!(matches!(check(&one.chain, &one.chain), TlsError::Key(_)));
    let encrypted = pem("ENCRYPTED PRIVATE KEY", b"secret");
    assert!(matches!(
        check(&one.chain, &encrypted),
        TlsError::EncryptedKey
    ));
    let garbage = pem("PRIVATE KEY", b"garbage");
    assert!(matches!(check(&one.chain, &garbage), TlsError::BadKey(_)));
    let garbage = pem("CERTIFICATE", b"garbage");
    assert!(matches!(
        check(&garbage, &one.key),
        TlsError::BadCertificate
    ));
    let cut = &one.chain[..one.chain.len() - 30];
    assert!(matches!(check(cut, &one.key), TlsError::Chain(_)));
    assert!(matches!(
        build(&[], Policy::default(), None),
        Err(TlsError::Nothing)
    ));
}

#[test]
fn a_certificate_made_at_the_first_start_can_be_used() {
    let now = std::time::UNIX_EPOCH + Duration::from_secs(1_800_000_000);
    let (chain, key) = make_self_signed(&["mail.example.org", "localhost"], now).unwrap();
    let names = Certificates::check(chain.as_bytes(), key.as_bytes()).unwrap();
    assert_eq!(names, ["mail.example.org", "localhost"]);
}

#[test]
fn a_certificate_without_alternative_names_is_for_its_common_name() {
    let mut params = CertificateParams::default();
    params
        .distinguished_name
        .push(rcgen::DnType::CommonName, "Mail.Example.Org");
    let key = KeyPair::generate().unwrap();
    let certificate = params.self_signed(&key).unwrap();
    let names = Certificates::check(certificate.pem().as_bytes(), key.serialize_pem().as_bytes());
    assert_eq!(names.unwrap(), ["mail.example.org"]);
}

/// A certificate for one name.
struct Made {
    chain: String,
    key: String,
    leaf: Vec<u8>,
    is_rsa: bool,
}

impl Made {
    fn ecdsa(name: &str) -> Made {
        Made::new(name, &PKCS_ECDSA_P256_SHA256)
    }

    fn new(name: &str, algorithm: &'static SignatureAlgorithm) -> Made {
        let key = KeyPair::generate_for(algorithm).unwrap();
        let params = CertificateParams::new([name.to_owned()]).unwrap();
        let certificate = params.self_signed(&key).unwrap();
        Made {
            chain: certificate.pem(),
            key: key.serialize_pem(),
            leaf: certificate.der().to_vec(),
            is_rsa: algorithm == &PKCS_RSA_SHA256,
        }
    }
}

/// Signs certificates of clients.
struct Authority(CertifiedIssuer<'static, KeyPair>);

impl Authority {
    fn new() -> Authority {
        let mut params = CertificateParams::default();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let key = KeyPair::generate().unwrap();
        Authority(CertifiedIssuer::self_signed(params, key).unwrap())
    }

    fn pem(&self) -> Vec<u8> {
        self.0.pem().into_bytes()
    }

    fn issue(&self, name: &str) -> (Vec<CertificateDer<'static>>, PrivateKeyDer<'static>) {
        let key = KeyPair::generate().unwrap();
        let params = CertificateParams::new([name.to_owned()]).unwrap();
        let certificate = params.signed_by(&key, &self.0).unwrap();
        let key = PrivateKeyDer::try_from(key.serialize_der()).unwrap();
        (vec![certificate.der().clone()], key)
    }
}

fn certificates(made: &[Made]) -> Arc<Certificates> {
    build(made, Policy::default(), None).unwrap()
}

fn build(
    made: &[Made],
    policy: Policy,
    before: Option<&Certificates>,
) -> Result<Arc<Certificates>, TlsError> {
    let pairs: Vec<Pair<'_>> = made
        .iter()
        .map(|made| Pair {
            chain: made.chain.as_bytes(),
            key: made.key.as_bytes(),
        })
        .collect();
    Certificates::new(&pairs, policy, before).map(Arc::new)
}

/// What came of a handshake.
#[derive(Debug)]
struct Met {
    secured: Secured,
    /// What the client has seen.
    certificate: Vec<u8>,
    exporter: Vec<u8>,
    protocol: Option<Vec<u8>>,
    kind: HandshakeKind,
}

/// A handshake, with a word exchanged after it; what was wrong, as the server sees it.
fn meet(certificates: &Arc<Certificates>, config: ClientConfig, name: &str) -> Result<Met, String> {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let name = ServerName::try_from(name.to_owned()).unwrap();
    let client = thread::spawn(move || {
        let tls = ClientConnection::new(Arc::new(config), name).unwrap();
        let mut stream = StreamOwned::new(tls, TcpStream::connect(address).unwrap());
        let mut word = [0; 5];
        stream.read_exact(&mut word).ok()?;
        assert_eq!(&word, b"hello");
        Some(stream)
    });
    // It blocks, so there is always something to be done.
    let socket = listener.accept().unwrap().0;
    let mut server = TlsStream::new(
        mio::net::TcpStream::from_std(socket),
        Arc::clone(certificates),
    );
    let secured = match server.handshake() {
        Ok(secured) => secured.unwrap(),
        Err(error) => {
            drop(server);
            assert!(client.join().unwrap().is_none());
            return Err(error.to_string());
        }
    };
    assert_eq!(server.write(b"hello").unwrap(), 5);
    server.flush().unwrap();
    let stream = client.join().unwrap().unwrap();
    let exporter = stream
        .conn
        .export_keying_material(vec![0; 32], b"EXPORTER-Channel-Binding", None)
        .unwrap();
    Ok(Met {
        secured,
        certificate: stream.conn.peer_certificates().unwrap()[0].to_vec(),
        exporter,
        protocol: stream.conn.alpn_protocol().map(<[u8]>::to_vec),
        kind: stream.conn.handshake_kind().unwrap(),
    })
}

/// A client that takes every certificate.
fn client(versions: &[&'static SupportedProtocolVersion]) -> ClientConfig {
    ClientConfig::builder_with_provider(Arc::new(default_provider()))
        .with_protocol_versions(versions)
        .unwrap()
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(Anybody(&ALL_SCHEMES)))
        .with_no_client_auth()
}

fn certified(
    versions: &[&'static SupportedProtocolVersion],
    chain: Vec<CertificateDer<'static>>,
    key: PrivateKeyDer<'static>,
) -> ClientConfig {
    ClientConfig::builder_with_provider(Arc::new(default_provider()))
        .with_protocol_versions(versions)
        .unwrap()
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(Anybody(&ALL_SCHEMES)))
        .with_client_auth_cert(chain, key)
        .unwrap()
}

fn roots(made: &Made) -> RootCertStore {
    let mut roots = RootCertStore::empty();
    roots.add(made.leaf.clone().into()).unwrap();
    roots
}

/// Knows some signature schemes, and believes everybody.
#[derive(Debug)]
struct Anybody(&'static [SignatureScheme]);

impl ServerCertVerifier for Anybody {
    fn verify_server_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        Ok(HandshakeSignatureValid::assertion())
    }

    fn verify_tls13_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        Ok(HandshakeSignatureValid::assertion())
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.to_vec()
    }
}

/// The key within a PKCS #8 one (RFC 5958 2).
fn inner_key(pkcs8: &[u8]) -> Vec<u8> {
    let outer = AnyRef::from_der(pkcs8).unwrap();
    outer
        .sequence(|reader| {
            AnyRef::decode(reader)?;
            AnyRef::decode(reader)?;
            let key = <&OctetStringRef>::decode(reader)?.as_bytes().to_vec();
            let left = reader.remaining_len();
            reader.read_slice(left)?;
            Ok::<_, x509_cert::der::Error>(key)
        })
        .unwrap()
}

fn pem(label: &str, der: &[u8]) -> String {
    let text = STANDARD.encode(der);
    format!("-----BEGIN {label}-----\n{text}\n-----END {label}-----\n")
}

const RSA_SCHEMES: [SignatureScheme; 2] = [
    SignatureScheme::RSA_PSS_SHA256,
    SignatureScheme::RSA_PKCS1_SHA256,
];

const ALL_SCHEMES: [SignatureScheme; 4] = [
    SignatureScheme::ECDSA_NISTP256_SHA256,
    SignatureScheme::ED25519,
    SignatureScheme::RSA_PSS_SHA256,
    SignatureScheme::RSA_PKCS1_SHA256,
];
