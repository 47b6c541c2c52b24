//! The one user of `roost try` and the password.

use std::fs::File;
use std::io::{self, Read};
use std::path::Path;

use aws_lc_rs::constant_time::verify_slices_are_equal;
use aws_lc_rs::digest::{Digest, SHA256, digest};

use crate::ipc::Proof;
use crate::mail::Secret;

/// The one user.  Name and password are kept and compared as hashes, in constant time: neither a
/// length nor a common prefix can be measured from outside.
pub(super) struct Password {
    name: String,
    user: Digest,
    password: Digest,
}

impl Password {
    pub fn new(user: &str, password: &Secret) -> Password {
        Password {
            name: user.to_owned(),
            user: hash(user.as_bytes()),
            password: hash(password.expose()),
        }
    }

    pub fn user(&self) -> &str {
        &self.name
    }

    pub fn admits(&self, proof: &Proof) -> bool {
        let Proof::Password {
            user,
            authorize,
            password,
            ..
        } = proof
        else {
            return false;
        };
        let is_self = authorize.is_empty() || authorize == user;
        let user = is_equal(&self.user, &hash(user));
        let password = is_equal(&self.password, &hash(password.expose()));
        // Both are compared, even if the first differs.
        user & password & is_self
    }
}

/// A password made on the spot: 100 random bits in letters and digits that cannot be confused.
pub(super) fn make() -> io::Result<Secret> {
    let mut random = [0; 20];
    File::open("/dev/urandom")?.read_exact(&mut random)?;
    let letter = |&octet: &u8| ALPHABET.get(usize::from(octet) % ALPHABET.len());
    Ok(Secret::new(
        random.iter().filter_map(letter).copied().collect(),
    ))
}

/// The first line of a file; `None` if there is nothing in it.
pub(super) fn read(path: &Path) -> io::Result<Option<Secret>> {
    let text = std::fs::read(path)?;
    let line = text.split(|&octet| octet == b'\n').next().unwrap_or(&[]);
    let line = line.strip_suffix(b"\r").unwrap_or(line);
    Ok((!line.is_empty()).then(|| Secret::new(line.to_vec())))
}

fn hash(text: &[u8]) -> Digest {
    digest(&SHA256, text)
}

/// In a time that does not depend on where they differ.
fn is_equal(a: &Digest, b: &Digest) -> bool {
    verify_slices_are_equal(a.as_ref(), b.as_ref()).is_ok()
}

const ALPHABET: &[u8; 32] = b"abcdefghijkmnpqrstuvwxyz23456789";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_user_with_the_password_is_let_in_and_nobody_else() {
        let password = Password::new("alice", &Secret::new(b"open sesame".to_vec()));
        let admits = |user: &[u8], secret: &[u8]| {
            password.admits(&Proof::Password {
                mechanism: "PLAIN",
                user: user.to_vec(),
                authorize: Vec::new(),
                password: Secret::new(secret.to_vec()),
            })
        };
        assert!(admits(b"alice", b"open sesame"));
        assert!(!admits(b"alice", b"open sesam"));
        assert!(!admits(b"bob", b"open sesame"));
        assert!(!admits(b"", b""));
    }

    #[test]
    fn made_passwords_need_no_quoting_and_differ() {
        let (one, other) = (make().unwrap(), make().unwrap());
        assert_eq!(one.expose().len(), 20);
        assert!(one.expose().iter().all(u8::is_ascii_alphanumeric));
        assert!(one != other);
    }
}
