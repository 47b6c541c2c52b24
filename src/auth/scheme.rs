//! Passwords as they are kept in files: `{SCHEME}data`, in Dovecot's notation.  PURE but for
//! crypt(3).
//!
//! | scheme | what is kept |
//! |---|---|
//! | none, `CRYPT` | a hash of crypt(3): `$y$` `$gy$` `$7$` `$2a$` `$2b$` `$2y$` `$6$` `$5$` |
//! | `YESCRYPT` `BLF-CRYPT` `SHA512-CRYPT` `SHA256-CRYPT` | the same, of one method |
//! | `ARGON2ID` `ARGON2I` | `$argon2id$v=19$m=65536,t=3,p=1$salt$hash` |
//! | `PBKDF2` | `$1$salt$rounds$hash`, of SHA-1 |
//! | `SCRAM-SHA-256` | what SCRAM needs ([`Verifier`]) |
//! | `SSHA512` `SSHA256` `SHA512` `SHA256` | a hash and perhaps its salt in base64; after `.HEX` in hexadecimal |
//! | `PLAIN` `CLEAR` `CLEARTEXT` | the password |
//!
//! DES, MD5 and SHA-1 without rounds are refused, as Dovecot 2.4 does: a file with such hashes is
//! as good as one of passwords.  So is what would cost the host more than about two seconds or 256
//! MiB for a login: the cost stands in the file, and whoever may write a line of it shall not be
//! able to stop everybody's mail.

use std::fmt;
use std::num::NonZeroU32;

use argon2::{Algorithm, Argon2, Params, Version};
use aws_lc_rs::{constant_time, digest, pbkdf2};
use base64::Engine;
use base64::alphabet;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use zeroize::Zeroizing;

use super::verifier::Verifier;
use crate::sys;

/// A password as it is kept.
#[derive(Clone, PartialEq, Eq)]
pub enum Stored {
    Plain(Zeroizing<Vec<u8>>),
    Crypt(String),
    Digest {
        algorithm: Sha,
        hash: Vec<u8>,
        salt: Vec<u8>,
    },
    Argon2(Argon),
    Pbkdf2 {
        rounds: NonZeroU32,
        salt: String,
        hash: Vec<u8>,
    },
    Scram(Verifier),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sha {
    Sha256,
    Sha512,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Argon {
    algorithm: Algorithm,
    version: Version,
    memory: u32,
    passes: u32,
    lanes: u32,
    salt: Vec<u8>,
    hash: Vec<u8>,
}

/// Why there is no password that could be right.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SchemeError {
    /// There is nothing.
    Empty,
    Unknown(String),
    /// A scheme that is known, and broken.
    Weak(&'static str),
    /// It is not written as its scheme asks for.
    Form,
    TooCostly,
}

impl Stored {
    pub fn parse(text: &str) -> Result<Stored, SchemeError> {
        let (scheme, data) = match text.strip_prefix('{').and_then(|rest| rest.split_once('}')) {
            Some((scheme, data)) => (scheme.to_ascii_uppercase(), data),
            None => (String::from("CRYPT"), text),
        };
        if data.is_empty() {
            return Err(SchemeError::Empty);
        }
        let (name, coding) = match scheme.rsplit_once('.') {
            Some((name, "HEX")) => (name, Coding::Hex),
            Some((name, "B64" | "BASE64")) => (name, Coding::Base64),
            Some(_) => return Err(SchemeError::Unknown(shown(&scheme))),
            None => (scheme.as_str(), Coding::Usual),
        };
        match name {
            "SHA256" => digested(Sha::Sha256, data, coding, false),
            "SSHA256" => digested(Sha::Sha256, data, coding, true),
            "SHA512" => digested(Sha::Sha512, data, coding, false),
            "SSHA512" => digested(Sha::Sha512, data, coding, true),
            _ if WEAK.contains(&name) => Err(SchemeError::Weak("MD5, SHA-1, DES or the like")),
            _ => Stored::parse_text(name, &coding.text(data)?),
        }
    }

    /// Parses the schemes whose data are text.
    fn parse_text(name: &str, data: &str) -> Result<Stored, SchemeError> {
        match name {
            "PLAIN" | "CLEAR" | "CLEARTEXT" => Ok(Stored::Plain(data.as_bytes().to_vec().into())),
            "CRYPT" => crypted(data, CRYPT_METHODS),
            "YESCRYPT" => crypted(data, &["$y$"]),
            "BLF-CRYPT" => crypted(data, &["$2a$", "$2b$", "$2y$"]),
            "SHA512-CRYPT" => crypted(data, &["$6$"]),
            "SHA256-CRYPT" => crypted(data, &["$5$"]),
            "ARGON2ID" => Argon::parse(data, Algorithm::Argon2id).map(Stored::Argon2),
            "ARGON2I" => Argon::parse(data, Algorithm::Argon2i).map(Stored::Argon2),
            "PBKDF2" => parse_pbkdf2(data),
            "SCRAM-SHA-256" => Verifier::parse(data)
                .map(Stored::Scram)
                .ok_or(SchemeError::Form),
            _ => Err(SchemeError::Unknown(shown(name))),
        }
    }

    /// Whether that is the password.
    pub fn admits(&self, password: &[u8]) -> bool {
        if password.is_empty() || password.len() > MAX_PASSWORD {
            return false;
        }
        match self {
            // Of the hashes, so that no length can be measured.
            Stored::Plain(right) => {
                let hash = |text| digest::digest(&digest::SHA256, text);
                equal(hash(right).as_ref(), hash(password).as_ref())
            }
            Stored::Crypt(hash) => sys::crypt::crypt(password, hash)
                .is_some_and(|other| equal(other.as_bytes(), hash.as_bytes())),
            Stored::Digest {
                algorithm,
                hash,
                salt,
            } => {
                let mut context = digest::Context::new(algorithm.algorithm());
                context.update(password);
                context.update(salt);
                equal(context.finish().as_ref(), hash)
            }
            Stored::Argon2(argon) => argon.admits(password),
            Stored::Pbkdf2 { rounds, salt, hash } => {
                let algorithm = pbkdf2::PBKDF2_HMAC_SHA1;
                pbkdf2::verify(algorithm, *rounds, salt.as_bytes(), password, hash).is_ok()
            }
            Stored::Scram(verifier) => verifier.admits(password),
        }
    }
}

/// Spends what a login of a user of this system costs who has a password as they are made today.
pub fn spend(password: &[u8]) {
    // Nobody's password: what came out is not even looked at.
    let _ = sys::crypt::crypt(password, YESCRYPT_SETTING);
}

impl Sha {
    fn algorithm(self) -> &'static digest::Algorithm {
        match self {
            Sha::Sha256 => &digest::SHA256,
            Sha::Sha512 => &digest::SHA512,
        }
    }
}

impl Argon {
    /// `$argon2id$v=19$m=65536,t=3,p=1$salt$hash`
    fn parse(text: &str, algorithm: Algorithm) -> Result<Argon, SchemeError> {
        let argon = Argon::parse_fields(text, algorithm).ok_or(SchemeError::Form)?;
        let work = u64::from(argon.memory) * u64::from(argon.passes);
        match argon.memory <= MAX_MEMORY && work <= MAX_MEMORY_WORK && argon.lanes <= MAX_LANES {
            true => Ok(argon),
            false => Err(SchemeError::TooCostly),
        }
    }

    fn parse_fields(text: &str, algorithm: Algorithm) -> Option<Argon> {
        let mut fields = text.strip_prefix('$')?.split('$');
        if fields.next()? != algorithm.as_str() {
            return None;
        }
        let mut costs = fields.next()?;
        // Without a version it is the first one.
        let mut version = Version::V0x10;
        if let Some(number) = costs.strip_prefix("v=") {
            version = Version::try_from(number.parse::<u32>().ok()?).ok()?;
            costs = fields.next()?;
        }
        let mut costs = costs.split(',');
        let mut cost =
            |name: &str| -> Option<u32> { costs.next()?.strip_prefix(name)?.parse().ok() };
        let (memory, passes, lanes) = (cost("m=")?, cost("t=")?, cost("p=")?);
        let mut octets = || BASE64.decode(fields.next()?).ok();
        let (salt, hash) = (octets()?, octets()?);
        let complete = costs.next().is_none() && fields.next().is_none();
        complete.then_some(Argon {
            algorithm,
            version,
            memory,
            passes,
            lanes,
            salt,
            hash,
        })
    }

    fn admits(&self, password: &[u8]) -> bool {
        let Ok(params) = Params::new(self.memory, self.passes, self.lanes, Some(self.hash.len()))
        else {
            return false;
        };
        let argon = Argon2::new(self.algorithm, self.version, params);
        let mut other = Zeroizing::new(vec![0; self.hash.len()]);
        let hashed = argon.hash_password_into(password, &self.salt, &mut other);
        hashed.is_ok() && equal(&other, &self.hash)
    }
}

/// How octets are written.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Coding {
    /// As is usual for the scheme.
    Usual,
    Hex,
    Base64,
}

impl Coding {
    fn octets(self, data: &str) -> Result<Vec<u8>, SchemeError> {
        let octets = match self {
            Coding::Hex => from_hex(data),
            Coding::Base64 | Coding::Usual => BASE64.decode(data).ok(),
        };
        octets.ok_or(SchemeError::Form)
    }

    /// Of schemes that are usually text.
    fn text(self, data: &str) -> Result<Zeroizing<String>, SchemeError> {
        let text = match self {
            Coding::Usual => data.to_owned(),
            _ => String::from_utf8(self.octets(data)?).map_err(|_| SchemeError::Form)?,
        };
        Ok(Zeroizing::new(text))
    }
}

fn digested(
    algorithm: Sha,
    data: &str,
    coding: Coding,
    salted: bool,
) -> Result<Stored, SchemeError> {
    let octets = coding.octets(data)?;
    let length = algorithm.algorithm().output_len();
    let (hash, salt) = octets.split_at_checked(length).ok_or(SchemeError::Form)?;
    if salt.is_empty() == salted {
        return Err(SchemeError::Form);
    }
    Ok(Stored::Digest {
        algorithm,
        hash: hash.to_vec(),
        salt: salt.to_vec(),
    })
}

/// `methods`: what the hash may begin with.
fn crypted(hash: &str, methods: &[&str]) -> Result<Stored, SchemeError> {
    let method = methods.iter().find(|method| hash.starts_with(**method));
    let Some(method) = method else {
        return Err(match hash.as_bytes() {
            [b'$', b'1', b'$', ..] => SchemeError::Weak("MD5-CRYPT"),
            // Two letters of salt and eleven of hash.
            _ if hash.len() == 13 && !hash.starts_with(['$', '*', '!']) => {
                SchemeError::Weak("DES-CRYPT")
            }
            _ => SchemeError::Form,
        });
    };
    let rest = hash.strip_prefix(method).unwrap_or_default();
    match crypt_cost(method, rest).ok_or(SchemeError::Form)? {
        cost if cost <= MAX_CRYPT_COST => Ok(Stored::Crypt(hash.to_owned())),
        _ => Err(SchemeError::TooCostly),
    }
}

/// What a hash costs, in parts of what is allowed; `rest` is what follows the name of the method.
fn crypt_cost(method: &str, rest: &str) -> Option<u64> {
    let share = |cost: u64, most: u64| cost.saturating_mul(MAX_CRYPT_COST).div_ceil(most);
    match method {
        "$5$" | "$6$" => match rest.strip_prefix("rounds=") {
            Some(rest) => Some(share(rest.split_once('$')?.0.parse().ok()?, MAX_SHA_ROUNDS)),
            None => Some(0),
        },
        "$7$" => {
            let mut digits = rest.bytes().map(itoa64);
            let log = digits.next()??;
            let mut number =
                || (0..5).try_fold(0, |sum, place| Some(sum + (digits.next()?? << (6 * place))));
            let (block, parallel) = (number()?, number()?);
            let memory = kibibytes(log, block);
            Some(share(
                memory.saturating_mul(parallel.max(1)),
                MAX_CRYPT_MEMORY,
            ))
        }
        "$y$" | "$gy$" => {
            let mut digits = rest.bytes();
            let _flavour = yescrypt_number(&mut digits)?;
            let log = yescrypt_number(&mut digits)?.checked_add(1)?;
            let block = yescrypt_number(&mut digits)?.checked_add(1)?;
            // Anything more (parallelism, time) is not made by any program, and multiplies the
            // cost.
            match digits.next()? {
                b'$' => Some(share(kibibytes(log, block), MAX_CRYPT_MEMORY)),
                _ => Some(u64::MAX),
            }
        }
        // `$2y$05$`
        _ => {
            let log: u32 = rest.split_once('$')?.0.parse().ok()?;
            Some(share(
                1_u64.checked_shl(log).unwrap_or(u64::MAX),
                1 << MAX_BLOWFISH,
            ))
        }
    }
}

/// What scrypt and yescrypt need for 2 to the power of `log` blocks of 128 times `block` octets.
fn kibibytes(log: u64, block: u64) -> u64 {
    let log = u32::try_from(log).unwrap_or(u32::MAX);
    let count = 1_u64.checked_shl(log).unwrap_or(u64::MAX);
    count.saturating_mul(block.max(1)) / 8
}

/// A number of yescrypt's: up to 47 it is one digit, and those above are never of use.
fn yescrypt_number(digits: &mut impl Iterator<Item = u8>) -> Option<u64> {
    itoa64(digits.next()?).filter(|digit| *digit < 48)
}

fn itoa64(byte: u8) -> Option<u64> {
    let at = b"./0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
        .iter()
        .position(|digit| *digit == byte)?;
    u64::try_from(at).ok()
}

/// `$1$salt$rounds$hash`
fn parse_pbkdf2(text: &str) -> Result<Stored, SchemeError> {
    let parse = || {
        let mut fields = text.strip_prefix("$1$")?.split('$');
        let (salt, rounds, hash) = (fields.next()?, fields.next()?, fields.next()?);
        let hash = from_hex(hash)?;
        let complete = fields.next().is_none() && hash.len() == 20;
        complete.then_some(Stored::Pbkdf2 {
            rounds: rounds.parse().ok()?,
            salt: salt.to_owned(),
            hash,
        })
    };
    match parse().ok_or(SchemeError::Form)? {
        Stored::Pbkdf2 { rounds, .. } if rounds.get() > MAX_PBKDF2_ROUNDS => {
            Err(SchemeError::TooCostly)
        }
        stored => Ok(stored),
    }
}

fn from_hex(text: &str) -> Option<Vec<u8>> {
    let digits: Option<Vec<u8>> = text
        .chars()
        .map(|digit| u8::try_from(digit.to_digit(16)?).ok())
        .collect();
    let (pairs, []) = digits.as_deref()?.as_chunks::<2>() else {
        return None;
    };
    Some(pairs.iter().map(|[high, low]| high << 4 | low).collect())
}

fn equal(a: &[u8], b: &[u8]) -> bool {
    constant_time::verify_slices_are_equal(a, b).is_ok()
}

/// A scheme's name for the log.
fn shown(name: &str) -> String {
    name.chars().take(32).collect()
}

impl fmt::Display for SchemeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            SchemeError::Empty => write!(f, "there is no password"),
            SchemeError::Unknown(name) => write!(f, "Unknown scheme {name}"),
            SchemeError::Weak(name) => {
                write!(f, "Weak password scheme, which is refused: {name}")
            }
            SchemeError::Form => write!(f, "what is kept as password is not of its scheme's form"),
            SchemeError::TooCostly => {
                write!(f, "what is kept as password costs too much to compare with")
            }
        }
    }
}

impl std::error::Error for SchemeError {}

const BASE64: GeneralPurpose = GeneralPurpose::new(
    &alphabet::STANDARD,
    GeneralPurposeConfig::new()
        .with_decode_padding_mode(DecodePaddingMode::Indifferent)
        .with_decode_allow_trailing_bits(true),
);

const CRYPT_METHODS: &[&str] = &["$y$", "$gy$", "$7$", "$2a$", "$2b$", "$2y$", "$6$", "$5$"];

const WEAK: &[&str] = &[
    "MD5",
    "MD5-CRYPT",
    "DES-CRYPT",
    "PLAIN-MD4",
    "PLAIN-MD5",
    "LDAP-MD5",
    "SMD5",
    "SHA",
    "SHA1",
    "SSHA",
    "CRAM-MD5",
    "HMAC-MD5",
    "DIGEST-MD5",
    "NTLM",
    "LANMAN",
    "LM",
    "NT",
    "RPA",
    "OTP",
    "SKEY",
];

/// A setting that costs what a password of a system user costs today: 16 MiB, some 10 ms.
const YESCRYPT_SETTING: &str = "$y$j9T$F5Jx5fExrKuPp53xLKQ..1$";

/// The limit of libcrypt.  A longer password is sent to keep us busy.
const MAX_PASSWORD: usize = 512;

/// The limit of Argon2, in KiB, for the memory and for the memory times the passes.  Dovecot makes
/// 64 MiB and 3 passes.
const MAX_MEMORY: u32 = 256 * 1024;
const MAX_MEMORY_WORK: u64 = 2 * 1024 * 1024;
const MAX_LANES: u32 = 16;

/// A unit for what follows.
const MAX_CRYPT_COST: u64 = 1_000;

/// The limit of scrypt and yescrypt, in KiB.  A system's own hashes need 16 MiB.
const MAX_CRYPT_MEMORY: u64 = 256 * 1024;
const MAX_SHA_ROUNDS: u64 = 2_000_000;
/// The largest power of two.  Dovecot makes 5, and others up to 14.
const MAX_BLOWFISH: u32 = 15;

const MAX_PBKDF2_ROUNDS: u32 = 5_000_000;

#[cfg(test)]
mod tests;
