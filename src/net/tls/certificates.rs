//! The certificates of the server, which of them a client gets, and what is asked of the client.
//!
//! There is one configuration of rustls for each certificate, and it is chosen when the ClientHello
//! has come, not by rustls itself: so it is known which certificate a client has got, even one that
//! resumes a session, and channel binding needs that (RFC 5929 4).

use std::fmt;
use std::io;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use rcgen::{CertificateParams, DistinguishedName, DnType, KeyPair};
use rustls::crypto::CryptoProvider;
use rustls::crypto::aws_lc_rs::{Ticketer, default_provider};
use rustls::pki_types::pem::{self, PemObject};
use rustls::pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer};
use rustls::server::{
    ClientHello, NoServerSessionStorage, ProducesTickets, WebPkiClientVerifier,
    danger::ClientCertVerifier,
};
use rustls::sign::{CertifiedKey, SigningKey, SingleCertAndKey};
use rustls::version::{TLS12, TLS13};
use rustls::{RootCertStore, ServerConfig, SignatureAlgorithm};

use zeroize::Zeroizing;

use super::oddity::{self, Oddity};
use super::x509::CertificateFacts;

/// All certificates of the server.
pub struct Certificates {
    /// The first is for clients that name none of them.
    identities: Vec<Arc<Identity>>,
    /// The policy that the identities were made with.  Sessions are resumed only if it is the same.
    policy: Policy,
    tickets: Arc<dyn ProducesTickets>,
    provider: Arc<CryptoProvider>,
}

/// A certificate chain, the server's own certificate first, and its private key, both PEM.
#[derive(Clone, Copy)]
pub struct Pair<'a> {
    pub chain: &'a [u8],
    /// PKCS #8, PKCS #1 or SEC 1.
    pub key: &'a [u8],
}

/// What is asked of clients.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Policy {
    pub min_version: MinVersion,
    pub clients: ClientCertificates,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum MinVersion {
    #[default]
    Tls12,
    Tls13,
}

/// Whether clients have certificates, and who may have signed those (PEM).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum ClientCertificates {
    #[default]
    Anonymous,
    /// A client may have no certificate, but one that is not valid ends the handshake.
    MayCertify(Vec<u8>),
    MustCertify(Vec<u8>),
}

/// Why certificates cannot be used.
#[derive(Debug)]
pub enum TlsError {
    /// There is none at all.
    Nothing,
    Chain(pem::Error),
    /// It has not even one certificate in it.
    EmptyChain,
    /// The first is no certificate.
    BadCertificate,
    Key(pem::Error),
    /// The key is protected by a passphrase.
    EncryptedKey,
    BadKey(rustls::Error),
    /// The key is of another certificate.
    Mismatch,
    /// The key is of a certificate in the file that is not the first.
    NotFirst,
    Authority(String),
    Rustls(rustls::Error),
    Make(rcgen::Error),
}

/// One certificate with all that comes of it.
pub(super) struct Identity {
    names: Vec<String>,
    leaf: CertificateDer<'static>,
    chain: Vec<CertificateDer<'static>>,
    key: Arc<dyn SigningKey>,
    config: Arc<ServerConfig>,
    /// For clients that say that they want IMAP (RFC 7301; RFC 8314 3.3).  rustls would refuse
    /// those that want only something else, and there is no reason to.
    imap_config: Arc<ServerConfig>,
    /// RFC 5929 4
    pub end_point: Option<Vec<u8>>,
}

impl Certificates {
    /// The first pair is for clients that name no other.  Sessions begun under `before` can be
    /// resumed if it had the same certificates and asked the same of clients.
    pub fn new(
        pairs: &[Pair<'_>],
        policy: Policy,
        before: Option<&Certificates>,
    ) -> Result<Certificates, TlsError> {
        let provider = match before {
            Some(before) => Arc::clone(&before.provider),
            None => Arc::new(default_provider()),
        };
        let keys = pairs
            .iter()
            .map(|&pair| read_pair(pair, &provider))
            .collect::<Result<Vec<_>, _>>()?;
        Certificates::build(keys, policy, provider, before)
    }

    /// Makes a certificate that only the server itself vouches for; also in DER.
    pub fn self_signed(names: &[&str]) -> io::Result<(Arc<Certificates>, Vec<u8>)> {
        let names: Vec<String> = names.iter().map(|&name| name.to_owned()).collect();
        let made = rcgen::generate_simple_self_signed(names).map_err(io::Error::other)?;
        let leaf = made.cert.der().clone();
        let key = PrivatePkcs8KeyDer::from(made.signing_key.serialize_der()).into();
        let provider = Arc::new(default_provider());
        let key = join(vec![leaf.clone()], key, &provider).map_err(io::Error::other)?;
        let certificates = Certificates::build(vec![key], Policy::default(), provider, None)
            .map_err(io::Error::other)?;
        Ok((Arc::new(certificates), leaf.to_vec()))
    }

    /// The names a pair is for, if it can be used.
    pub fn check(chain: &[u8], key: &[u8]) -> Result<Vec<String>, TlsError> {
        let (_, facts) = read_pair(Pair { chain, key }, &default_provider())?;
        Ok(facts.names())
    }

    /// What will keep clients out, though each chain can be used.
    pub fn oddities(&self, now: SystemTime) -> Vec<Oddity> {
        let chains = self.identities.iter().map(|identity| &identity.chain);
        chains.flat_map(|chain| oddity::find(chain, now)).collect()
    }

    fn build(
        keys: Vec<(CertifiedKey, CertificateFacts)>,
        policy: Policy,
        provider: Arc<CryptoProvider>,
        before: Option<&Certificates>,
    ) -> Result<Certificates, TlsError> {
        if keys.is_empty() {
            return Err(TlsError::Nothing);
        }
        let verifier = verifier(&policy.clients, &provider)?;
        let tickets = match before {
            Some(before) if before.policy == policy && before.has(&keys) => {
                Arc::clone(&before.tickets)
            }
            _ => Ticketer::new().map_err(TlsError::Rustls)?,
        };
        let mut certificates = Certificates {
            identities: Vec::new(),
            policy,
            tickets,
            provider,
        };
        for (key, facts) in keys {
            let identity = certificates.identity(key, &facts, Arc::clone(&verifier))?;
            certificates.identities.push(Arc::new(identity));
        }
        Ok(certificates)
    }

    /// Whether these are its certificates, in this order.
    fn has(&self, keys: &[(CertifiedKey, CertificateFacts)]) -> bool {
        let own = self.identities.iter().map(|identity| Some(&identity.leaf));
        own.eq(keys.iter().map(|(key, _)| key.cert.first()))
    }

    fn identity(
        &self,
        certified: CertifiedKey,
        facts: &CertificateFacts,
        verifier: Arc<dyn ClientCertVerifier>,
    ) -> Result<Identity, TlsError> {
        let leaf = certified
            .cert
            .first()
            .cloned()
            .ok_or(TlsError::EmptyChain)?;
        let key = Arc::clone(&certified.key);
        let chain = certified.cert.clone();
        let versions = match self.policy.min_version {
            MinVersion::Tls12 => &[&TLS13, &TLS12][..],
            MinVersion::Tls13 => &[&TLS13][..],
        };
        let mut config = ServerConfig::builder_with_provider(Arc::clone(&self.provider))
            .with_protocol_versions(versions)
            .map_err(TlsError::Rustls)?
            .with_client_cert_verifier(verifier)
            .with_cert_resolver(Arc::new(SingleCertAndKey::from(certified)));
        config.ticketer = Arc::clone(&self.tickets);
        // Tickets are enough, because clients of today use them.
        config.session_storage = Arc::new(NoServerSessionStorage {});
        // A client could not be sure that a command sent early is carried out only once (RFC 8446
        // 8).
        config.max_early_data_size = 0;
        let mut imap_config = config.clone();
        imap_config.alpn_protocols = vec![IMAP.to_vec()];
        Ok(Identity {
            names: facts.names(),
            end_point: facts.end_point(&leaf),
            leaf,
            chain,
            key,
            config: Arc::new(config),
            imap_config: Arc::new(imap_config),
        })
    }

    /// The certificate for a client: one that it understands, of those for the name it asks for, or
    /// else of those for the name of the first certificate.  Of several, the cheapest for us to
    /// sign with.
    pub(super) fn choose(&self, hello: &ClientHello<'_>) -> Option<&Arc<Identity>> {
        let first = self.identities.first()?;
        let asked = hello.server_name().map(str::to_ascii_lowercase);
        let asked = asked.and_then(|name| self.best(&name, hello));
        let default = || {
            let name = first.names.first()?;
            self.best(name, hello)
        };
        asked.or_else(default).or(Some(first))
    }

    fn best(&self, name: &str, hello: &ClientHello<'_>) -> Option<&Arc<Identity>> {
        let usable = |identity: &&Arc<Identity>| self.can_use(identity, hello);
        let exact = |identity: &&Arc<Identity>| identity.names.iter().any(|own| own == name);
        let wild =
            |identity: &&Arc<Identity>| identity.names.iter().any(|own| is_covered(name, own));
        let cheap = |identity: &&Arc<Identity>| !identity.is_rsa();
        let all = || self.identities.iter().filter(usable);
        all()
            .filter(exact)
            .find(cheap)
            .or_else(|| all().find(exact))
            .or_else(|| all().filter(wild).find(cheap))
            .or_else(|| all().find(wild))
    }

    /// Whether the client knows the signatures, and (TLS 1.2) has a cipher suite that goes with
    /// them.
    fn can_use(&self, identity: &Identity, hello: &ClientHello<'_>) -> bool {
        let algorithm = identity.key.algorithm();
        let mut suites = self.provider.cipher_suites.iter();
        identity
            .key
            .choose_scheme(hello.signature_schemes())
            .is_some()
            && suites.any(|suite| {
                hello.cipher_suites().contains(&suite.suite())
                    && suite.usable_for_signature_algorithm(algorithm)
            })
    }
}

impl Identity {
    pub fn config(&self, hello: &ClientHello<'_>) -> Arc<ServerConfig> {
        let wants_imap = hello
            .alpn()
            .is_some_and(|mut protocols| protocols.any(|protocol| protocol == IMAP));
        Arc::clone(match wants_imap {
            true => &self.imap_config,
            false => &self.config,
        })
    }

    fn is_rsa(&self) -> bool {
        self.key.algorithm() == SignatureAlgorithm::RSA
    }
}

/// A certificate for `names` that only the server itself vouches for, and its key, both PEM.  It is
/// valid for ten years from `now`.
pub fn make_self_signed(
    names: &[&str],
    now: SystemTime,
) -> Result<(String, Zeroizing<String>), TlsError> {
    let owned: Vec<String> = names.iter().map(|&name| name.to_owned()).collect();
    let mut params = CertificateParams::new(owned).map_err(TlsError::Make)?;
    params.distinguished_name = DistinguishedName::new();
    if let Some(&name) = names.first() {
        params.distinguished_name.push(DnType::CommonName, name);
    }
    // Clocks differ, in particular before the network is there to set them.
    params.not_before = now.checked_sub(DAY).unwrap_or(now).into();
    params.not_after = now.checked_add(TEN_YEARS).unwrap_or(now).into();
    let key = KeyPair::generate().map_err(TlsError::Make)?;
    let certificate = params.self_signed(&key).map_err(TlsError::Make)?;
    Ok((certificate.pem(), Zeroizing::new(key.serialize_pem())))
}

fn read_pair(
    pair: Pair<'_>,
    provider: &CryptoProvider,
) -> Result<(CertifiedKey, CertificateFacts), TlsError> {
    let chain = CertificateDer::pem_slice_iter(pair.chain)
        .collect::<Result<Vec<_>, _>>()
        .map_err(TlsError::Chain)?;
    let key = match PrivateKeyDer::from_pem_slice(pair.key) {
        Ok(key) => key,
        Err(pem::Error::NoItemsFound) if is_encrypted(pair.key) => {
            return Err(TlsError::EncryptedKey);
        }
        Err(error) => return Err(TlsError::Key(error)),
    };
    join(chain, key, provider)
}

fn join(
    chain: Vec<CertificateDer<'static>>,
    key: PrivateKeyDer<'static>,
    provider: &CryptoProvider,
) -> Result<(CertifiedKey, CertificateFacts), TlsError> {
    let leaf = chain.first().ok_or(TlsError::EmptyChain)?;
    let facts = CertificateFacts::read(leaf).ok_or(TlsError::BadCertificate)?;
    let key = provider
        .key_provider
        .load_private_key(key)
        .map_err(TlsError::BadKey)?;
    match (key.public_key(), facts.public_key()) {
        (Some(of_key), Some(certified)) if of_key.as_ref() != certified => {
            let mut others = chain
                .iter()
                .filter_map(|der| CertificateFacts::read(der)?.public_key());
            Err(match others.any(|other| other == of_key.as_ref()) {
                true => TlsError::NotFirst,
                false => TlsError::Mismatch,
            })
        }
        _ => Ok((CertifiedKey::new(chain, key), facts)),
    }
}

/// RFC 5958 3, and what older versions of OpenSSL write (RFC 1421 4.6.1.1).
fn is_encrypted(key: &[u8]) -> bool {
    let text = String::from_utf8_lossy(key);
    text.contains("ENCRYPTED PRIVATE KEY") || text.contains("Proc-Type: 4,ENCRYPTED")
}

/// Whether `pattern` is `*.` and the name without its first label (RFC 6125 6.4.3).
fn is_covered(name: &str, pattern: &str) -> bool {
    let Some(domain) = pattern.strip_prefix("*.") else {
        return false;
    };
    name.split_once('.')
        .is_some_and(|(label, rest)| !label.is_empty() && rest == domain)
}

fn verifier(
    clients: &ClientCertificates,
    provider: &Arc<CryptoProvider>,
) -> Result<Arc<dyn ClientCertVerifier>, TlsError> {
    let (authority, required) = match clients {
        ClientCertificates::Anonymous => return Ok(WebPkiClientVerifier::no_client_auth()),
        ClientCertificates::MayCertify(authority) => (authority, false),
        ClientCertificates::MustCertify(authority) => (authority, true),
    };
    let fail = |error: &dyn fmt::Display| TlsError::Authority(error.to_string());
    let mut roots = RootCertStore::empty();
    for certificate in CertificateDer::pem_slice_iter(authority) {
        let certificate = certificate.map_err(|error| fail(&error))?;
        roots.add(certificate).map_err(|error| fail(&error))?;
    }
    let builder =
        WebPkiClientVerifier::builder_with_provider(Arc::new(roots), Arc::clone(provider));
    let builder = match required {
        true => builder,
        false => builder.allow_unauthenticated(),
    };
    builder.build().map_err(|error| fail(&error))
}

impl fmt::Display for TlsError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            TlsError::Nothing => write!(f, "there is no certificate"),
            TlsError::Chain(error) => write!(f, "the certificate is not PEM: {error}"),
            TlsError::EmptyChain => write!(f, "there is no certificate in it"),
            TlsError::BadCertificate => write!(f, "the first certificate in it cannot be decoded"),
            TlsError::Key(pem::Error::NoItemsFound) => write!(f, "there is no private key in it"),
            TlsError::Key(error) => write!(f, "the private key is not PEM: {error}"),
            TlsError::EncryptedKey => write!(
                f,
                "the private key is protected by a passphrase, and nobody is there to type it"
            ),
            TlsError::BadKey(error) => write!(f, "the private key cannot be used: {error}"),
            TlsError::Mismatch => write!(f, "the private key does not belong to the certificate"),
            TlsError::NotFirst => write!(
                f,
                "the private key belongs to a certificate in it that is not the first: the server's own \
                 certificate must come first, its issuer's behind it"
            ),
            TlsError::Authority(error) => {
                write!(f, "the authority for certificates of clients: {error}")
            }
            TlsError::Rustls(error) => write!(f, "{error}"),
            TlsError::Make(error) => write!(f, "cannot make a certificate: {error}"),
        }
    }
}

impl std::error::Error for TlsError {}

/// <https://www.iana.org/assignments/tls-extensiontype-values> (ALPN)
const IMAP: &[u8] = b"imap";

const DAY: Duration = Duration::from_secs(24 * 60 * 60);
const TEN_YEARS: Duration = Duration::from_secs(3652 * 24 * 60 * 60);
