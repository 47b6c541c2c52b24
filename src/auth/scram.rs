//! SASL SCRAM-SHA-256 and SCRAM-SHA-256-PLUS, the server's side (RFC 5802, RFC 7677).  PURE:
//! messages in, messages out; what is random is an argument.
//!
//! ```text
//! C: n,,n=user,r=CLIENT                    ClientFirst::parse
//! S: r=CLIENTSERVER,s=SALT,i=ITERATIONS    ClientFirst::challenge
//! C: c=biws,r=CLIENTSERVER,p=PROOF         Exchange::finish
//! S: v=SIGNATURE
//! ```
//!
//! A client that could bind to the channel, and believes that we cannot although -PLUS was offered
//! (flag `y`), has been deceived by an attacker in between.  It is refused (RFC 5802 6).

use aws_lc_rs::{constant_time, digest, hmac};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use zeroize::Zeroizing;

use super::verifier::{Key, Verifier};
use crate::ipc::Binding;

/// The client's first message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClientFirst {
    pub user: String,
    /// The user whom the client wants to be; empty: the one who logs in.
    pub authorize: String,
    /// What `c=` must be: the header of the message, and what the channel is bound to.
    channel: Vec<u8>,
    bare: String,
    nonce: String,
}

/// The exchange after the challenge.
pub struct Exchange {
    /// The first message in reply to the client's.
    first: String,
    client: ClientFirst,
    verifier: Verifier,
    nonce: String,
}

/// Why it fails; `server-error-value` of RFC 5802 7.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ScramError {
    Encoding,
    UserNameEncoding,
    Extension,
    /// The proof is not the password's, or there is no user of that name.  The two look the same.
    Proof,
    /// `c=` is not what the first message said, or the channel is another one than the client sees.
    Channel,
    /// The client was made to believe that there is no -PLUS.
    Downgrade,
    /// The client wants a binding without -PLUS, or none with it.
    BindingFlag,
    BindingType,
}

impl ClientFirst {
    /// `client-first-message = gs2-header client-first-message-bare`
    ///
    /// `gs2-header = gs2-cbind-flag "," [ authzid ] ","`
    pub fn parse(message: &[u8], binding: &Binding) -> Result<ClientFirst, ScramError> {
        if message.len() > MAX_MESSAGE {
            return Err(ScramError::Encoding);
        }
        let message = std::str::from_utf8(message).map_err(|_| ScramError::Encoding)?;
        if message.contains('\0') {
            return Err(ScramError::Encoding);
        }
        let mut parts = message.splitn(3, ',');
        let (Some(flag), Some(authorize), Some(bare)) = (parts.next(), parts.next(), parts.next())
        else {
            return Err(ScramError::Encoding);
        };
        let channel_data = channel_data(flag, binding)?;
        let mut channel = format!("{flag},{authorize},").into_bytes();
        channel.extend_from_slice(channel_data);
        let authorize = match authorize {
            "" => String::new(),
            text => saslname(attribute(text, 'a')?)?,
        };

        let mut fields = bare.split(',');
        let user = fields.next().unwrap_or_default();
        if user.starts_with("m=") {
            return Err(ScramError::Extension);
        }
        let user = saslname(attribute(user, 'n')?)?;
        let nonce = attribute(fields.next().unwrap_or_default(), 'r')?;
        if !is_nonce(nonce) {
            return Err(ScramError::Encoding);
        }
        fields.try_for_each(check_extension)?;
        Ok(ClientFirst {
            user,
            authorize,
            channel,
            nonce: nonce.to_owned(),
            bare: bare.to_owned(),
        })
    }

    /// `server_nonce`: random, and printable without a comma.
    pub fn challenge(self, verifier: Verifier, server_nonce: &str) -> Exchange {
        let nonce = format!("{}{server_nonce}", self.nonce);
        let salt = STANDARD.encode(&verifier.salt);
        Exchange {
            first: format!("r={nonce},s={salt},i={}", verifier.iterations),
            client: self,
            verifier,
            nonce,
        }
    }
}

impl Exchange {
    /// `server-first-message = [reserved-mext ","] nonce "," salt "," iteration-count`
    pub fn first(&self) -> &str {
        &self.first
    }

    /// Takes `client-final-message = channel-binding "," nonce ["," extensions] "," proof`.
    /// Returns the last message, which shows the client that we know its password.
    pub fn finish(self, message: &[u8]) -> Result<String, ScramError> {
        if message.len() > MAX_MESSAGE {
            return Err(ScramError::Encoding);
        }
        let message = std::str::from_utf8(message).map_err(|_| ScramError::Encoding)?;
        let (unproved, proof) = message.rsplit_once(",p=").ok_or(ScramError::Encoding)?;
        let mut fields = unproved.split(',');
        let channel = attribute(fields.next().unwrap_or_default(), 'c')?;
        let nonce = attribute(fields.next().unwrap_or_default(), 'r')?;
        fields.try_for_each(check_extension)?;
        let channel = STANDARD.decode(channel).map_err(|_| ScramError::Encoding)?;
        let proof = STANDARD.decode(proof).map_err(|_| ScramError::Encoding)?;
        let proof: Key = proof.try_into().map_err(|_| ScramError::Encoding)?;

        if nonce != self.nonce {
            return Err(ScramError::Encoding);
        }
        if channel != self.client.channel {
            return Err(ScramError::Channel);
        }
        let text = format!("{},{},{unproved}", self.client.bare, self.first);
        if !self.proves(&proof, text.as_bytes()) {
            return Err(ScramError::Proof);
        }
        let signature = sign(&self.verifier.server_key, text.as_bytes());
        Ok(format!("v={}", STANDARD.encode(signature.as_ref())))
    }

    /// RFC 5802 3: `StoredKey = H(ClientProof XOR HMAC(StoredKey, AuthMessage))`
    fn proves(&self, proof: &Key, text: &[u8]) -> bool {
        let signature = sign(&self.verifier.stored_key, text);
        let pairs = proof.iter().zip(signature.as_ref());
        let client_key: Zeroizing<Vec<u8>> = Zeroizing::new(pairs.map(|(a, b)| a ^ b).collect());
        let hash = digest::digest(&digest::SHA256, &client_key);
        let same = constant_time::verify_slices_are_equal(hash.as_ref(), &self.verifier.stored_key);
        same.is_ok() & self.verifier.real
    }
}

impl ScramError {
    /// `server-error = "e=" server-error-value`
    pub fn message(self) -> &'static str {
        match self {
            ScramError::Encoding => "e=invalid-encoding",
            ScramError::UserNameEncoding => "e=invalid-username-encoding",
            ScramError::Extension => "e=extensions-not-supported",
            ScramError::Proof => "e=invalid-proof",
            ScramError::Channel => "e=channel-bindings-dont-match",
            ScramError::Downgrade => "e=server-does-support-channel-binding",
            ScramError::BindingFlag => "e=channel-binding-not-supported",
            ScramError::BindingType => "e=unsupported-channel-binding-type",
        }
    }
}

/// The name in a first message that may be wrong, for the log.
pub fn name_in(message: &[u8]) -> &[u8] {
    let fields = message.split(|&byte| byte == b',').skip(2);
    let mut names = fields.filter_map(|field| field.strip_prefix(b"n="));
    names.next().unwrap_or_default()
}

/// `gs2-cbind-flag = ("p=" cb-name) / "n" / "y"`.  Compares what the client says of the channel's
/// binding with what we know, and returns the octets that the channel is bound to.
fn channel_data<'a>(flag: &str, binding: &'a Binding) -> Result<&'a [u8], ScramError> {
    let data = match flag {
        "n" | "y" if binding.plus => return Err(ScramError::BindingFlag),
        "n" => return Ok(&[]),
        "y" if binding.offered => return Err(ScramError::Downgrade),
        "y" => return Ok(&[]),
        _ if !flag.starts_with("p=") => return Err(ScramError::Encoding),
        _ if !binding.plus => return Err(ScramError::BindingFlag),
        "p=tls-exporter" => &binding.exporter,
        "p=tls-server-end-point" => &binding.end_point,
        _ => return Err(ScramError::BindingType),
    };
    match data {
        Some(data) if !data.is_empty() => Ok(data),
        _ => Err(ScramError::BindingType),
    }
}

/// The value of `NAME=VALUE`.
fn attribute(field: &str, name: char) -> Result<&str, ScramError> {
    let value = field
        .strip_prefix(name)
        .and_then(|rest| rest.strip_prefix('='));
    value.ok_or(ScramError::Encoding)
}

/// `attr-val = ALPHA "=" value`.  Unknown attributes are optional, except `m=`.
fn check_extension(field: &str) -> Result<(), ScramError> {
    match field.as_bytes() {
        [b'm', b'=', ..] => Err(ScramError::Extension),
        [name, b'=', _, ..] if name.is_ascii_alphabetic() => Ok(()),
        _ => Err(ScramError::Encoding),
    }
}

/// `saslname = 1*(value-safe-char / "=2C" / "=3D")`
fn saslname(coded: &str) -> Result<String, ScramError> {
    let mut pieces = coded.split('=');
    let mut name = pieces.next().unwrap_or_default().to_owned();
    for piece in pieces {
        let (character, rest) = match (piece.strip_prefix("2C"), piece.strip_prefix("3D")) {
            (Some(rest), _) => (',', rest),
            (_, Some(rest)) => ('=', rest),
            _ => return Err(ScramError::UserNameEncoding),
        };
        name.push(character);
        name.push_str(rest);
    }
    match name.is_empty() {
        true => Err(ScramError::UserNameEncoding),
        false => Ok(name),
    }
}

/// `printable = %x21-2B / %x2D-7E`
fn is_nonce(nonce: &str) -> bool {
    let printable = |byte: u8| byte.is_ascii_graphic() && byte != b',';
    (1..=MAX_NONCE).contains(&nonce.len()) && nonce.bytes().all(printable)
}

fn sign(key: &Key, text: &[u8]) -> hmac::Tag {
    hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, key), text)
}

const MAX_NONCE: usize = 512;

/// The longest message with a channel binding, a nonce and a proof.
const MAX_MESSAGE: usize = 8192;

#[cfg(test)]
mod tests;
