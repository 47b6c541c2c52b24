//! What is kept of a password for SCRAM (RFC 5802 3), in Dovecot's notation:
//! `iterations,salt,StoredKey,ServerKey`, the last three in base64.  PURE.
//!
//! A user who does not exist gets a verifier that is made up.  It has to look the same at each
//! attempt, or a second attempt would show that it is made up.  So its salt is made from the name
//! and a secret of this host.

use std::num::NonZeroU32;

use aws_lc_rs::{constant_time, digest, hmac, pbkdf2};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use unicode_normalization::UnicodeNormalization;
use zeroize::Zeroize;

pub type Key = [u8; 32];

#[derive(Clone, PartialEq, Eq)]
pub struct Verifier {
    pub iterations: u32,
    pub salt: Vec<u8>,
    pub(super) stored_key: Key,
    pub(super) server_key: Key,
    /// False: the verifier is made up, and no proof is right.
    pub(super) real: bool,
}

impl Verifier {
    /// `4096,c2FsdA==,..,..`
    pub fn parse(text: &str) -> Option<Verifier> {
        let mut fields = text.split(',');
        let iterations: u32 = fields.next()?.parse().ok()?;
        let mut octets = || STANDARD.decode(fields.next()?).ok();
        let (salt, stored_key, server_key) = (octets()?, octets()?, octets()?);
        let fits = (1..=MAX_ITERATIONS).contains(&iterations) && !salt.is_empty();
        if !fits || fields.next().is_some() {
            return None;
        }
        Some(Verifier {
            iterations,
            salt,
            stored_key: stored_key.try_into().ok()?,
            server_key: server_key.try_into().ok()?,
            real: true,
        })
    }

    /// `SaltedPassword := Hi(Normalize(password), salt, i)`, and the keys from it.
    pub fn derive(password: &[u8], salt: &[u8], iterations: u32) -> Verifier {
        let iterations = NonZeroU32::new(iterations).unwrap_or(NonZeroU32::MIN);
        let mut salted = Key::default();
        let algorithm = pbkdf2::PBKDF2_HMAC_SHA256;
        pbkdf2::derive(algorithm, iterations, salt, password, &mut salted);
        let key = hmac::Key::new(hmac::HMAC_SHA256, &salted);
        salted.zeroize();
        let client_key = hmac::sign(&key, b"Client Key");
        let stored_key = digest::digest(&digest::SHA256, client_key.as_ref());
        let server_key = hmac::sign(&key, b"Server Key");
        Verifier {
            iterations: iterations.get(),
            salt: salt.to_vec(),
            stored_key: key_of(stored_key.as_ref()),
            server_key: key_of(server_key.as_ref()),
            real: true,
        }
    }

    /// A verifier for a user who does not exist, or has no password of this kind.  It costs as much
    /// as `derive`.
    pub fn made_up(user: &str, secret: &Key, iterations: u32) -> Verifier {
        let salt = made_up_salt(user, secret);
        let mut verifier = Verifier::derive(secret, &salt, iterations);
        verifier.real = false;
        verifier
    }

    /// Whether it was made of this password.
    pub fn admits(&self, password: &[u8]) -> bool {
        let made_of = |password: &[u8]| {
            let other = Verifier::derive(password, &self.salt, self.iterations);
            constant_time::verify_slices_are_equal(&other.stored_key, &self.stored_key).is_ok()
        };
        if !self.real {
            return false;
        }
        // Some programs normalise what they make a verifier of, as RFC 7677 asks, and some, Dovecot
        // among them, do not.
        let text = std::str::from_utf8(password).ok();
        let normal: Option<String> = text.map(|text| text.nfkc().collect());
        match normal {
            Some(mut normal) if normal.as_bytes() != password => {
                let right = made_of(password) | made_of(normal.as_bytes());
                normal.zeroize();
                right
            }
            _ => made_of(password),
        }
    }
}

impl Drop for Verifier {
    fn drop(&mut self) {
        self.stored_key.zeroize();
        self.server_key.zeroize();
    }
}

/// The salt for a user whose password is kept in the clear, or who does not exist.
pub fn made_up_salt(user: &str, secret: &Key) -> Vec<u8> {
    let tag = hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, secret), user.as_bytes());
    let salt = tag.as_ref().get(..SALT_LENGTH);
    salt.unwrap_or_default().to_vec()
}

fn key_of(octets: &[u8]) -> Key {
    // They are of SHA-256, so there are as many as needed.
    octets.try_into().unwrap_or_default()
}

/// The number that Dovecot takes, and the least that RFC 7677 allows.
pub const ITERATIONS: u32 = 4096;

/// About a second.
const MAX_ITERATIONS: u32 = 4_000_000;

/// As Dovecot's.
const SALT_LENGTH: usize = 16;

#[cfg(test)]
mod tests {
    use super::*;

    /// `doveadm pw -s SCRAM-SHA-256 -p 'tanstaaf löl'`
    const DOVECOT: &str = "4096,don5s4ahvuW7/lz+SiFBVA==,unhmRdmaJ8aALYK1wzf/Q6xS3gP2MfIaEX1+kYZoQp8=,UFGszqbGp9yMavTRgFW7LGM//NrsIiF77I291f3JDzI=";

    #[test]
    fn a_verifier_made_by_dovecot_admits_its_password() {
        let verifier = Verifier::parse(DOVECOT).unwrap();
        assert!(verifier.admits("tanstaaf löl".as_bytes()));
        assert!(!verifier.admits("tanstaaf lol".as_bytes()));
        assert!(!verifier.admits(b""));
        assert!(verifier == Verifier::derive("tanstaaf löl".as_bytes(), &verifier.salt, 4096));
    }

    #[test]
    fn a_verifier_of_the_normal_form_admits_what_is_typed() {
        let composed = "l\u{f6}l";
        let decomposed = "lo\u{308}l";
        let verifier = Verifier::derive(composed.as_bytes(), b"salt", 10);
        assert!(verifier.admits(decomposed.as_bytes()));
        let verifier = Verifier::derive(decomposed.as_bytes(), b"salt", 10);
        assert!(verifier.admits(decomposed.as_bytes()));
    }

    #[test]
    fn what_is_no_verifier_is_refused() {
        let (front, back) = DOVECOT.rsplit_once(',').unwrap();
        for wrong in [
            "",
            ",,,",
            front,
            &DOVECOT.replacen("4096", "0", 1),
            &DOVECOT.replacen("4096", "4000001", 1),
            &DOVECOT.replacen("4096", "99999999999", 1),
            &DOVECOT.replacen("don5s4ahvuW7/lz+SiFBVA==", "", 1),
            &DOVECOT.replacen("unhm", "un*m", 1),
            &format!("{front},AAAA"),
            &format!("{front},{back},x"),
        ] {
            assert!(Verifier::parse(wrong).is_none(), "{wrong}");
        }
    }

    #[test]
    fn nobody_always_has_the_same_salt_and_never_a_password() {
        let secret = [7; 32];
        let nobody = Verifier::made_up("nobody", &secret, 10);
        assert!(nobody == Verifier::made_up("nobody", &secret, 10));
        assert_eq!(nobody.salt.len(), 16);
        assert!(nobody.salt != Verifier::made_up("nobodx", &secret, 10).salt);
        assert!(nobody.salt != Verifier::made_up("nobody", &[8; 32], 10).salt);
        assert!(!nobody.admits(&secret));
    }
}
