//! Messages to octets and back.
//!
//! One octet says which message it is, as in [`KINDS`]; its parts follow in the order in which `mod.rs`
//! names them.  Numbers are big-endian; octets and text have their length before them, in four octets;
//! what may be missing has 0 or 1 before it.  Both ends are the same program, so there is no version.
//!
//! What is decoded comes from a process that may have been taken over: every length is checked against what is
//! there, nothing may be left over, text is UTF-8, and a choice is one of those that exist.  Nothing is allocated
//! that the sender has not sent.

mod reader;
mod writer;

use std::os::fd::OwnedFd;

use zeroize::Zeroizing;

use super::{Kind, Message};
use reader::Reader;
use writer::Writer;

/// A message of more octets is not sent: a certificate chain with its key must fit, and the kernel must
/// take it in one piece (twice `net.core.wmem_max`, which is 212,992 if nobody has changed it).
pub const MAX_MESSAGE: usize = 384 * 1024;

/// Four times what the front takes from a client before login.
pub const MAX_LOGIN: usize = 64 * 1024;

/// Of a line for the log; what is longer is cut.
pub const MAX_LOG_LINE: usize = 4 * 1024;

/// The message is larger than [`MAX_MESSAGE`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TooLarge;

/// The octets, which are wiped when they are dropped, and the descriptor.
pub fn encode(message: Message) -> Result<(Zeroizing<Vec<u8>>, Option<OwnedFd>), TooLarge> {
    let kind = message.kind();
    let mut writer = Writer::new(code(kind));
    let descriptor = writer.message(message);
    let octets = writer.finish();
    match octets.len() <= limit(kind) {
        true => Ok((octets, descriptor)),
        false => Err(TooLarge),
    }
}

/// The message; or what is wrong with it.
pub fn decode(octets: &[u8], descriptor: Option<OwnedFd>) -> Result<Message, &'static str> {
    let (&code, rest) = octets.split_first().ok_or("it is empty")?;
    let kind = *KINDS.get(usize::from(code)).ok_or("there is none such")?;
    if kind.has_descriptor() != descriptor.is_some() {
        return Err("a descriptor is missing, or there is one that belongs to no message");
    }
    if octets.len() > limit(kind) {
        return Err("it is too large");
    }
    let mut reader = Reader::new(rest);
    let message = reader.message(kind, descriptor)?;
    match reader.is_empty() {
        true => Ok(message),
        false => Err("there is something after its end"),
    }
}

/// Logins are kept by the monitor while they wait.
fn limit(kind: Kind) -> usize {
    match kind {
        Kind::Login | Kind::Respond => MAX_LOGIN,
        _ => MAX_MESSAGE,
    }
}

fn code(kind: Kind) -> u8 {
    let place = KINDS.iter().position(|&known| known == kind);
    place
        .and_then(|place| u8::try_from(place).ok())
        .unwrap_or(u8::MAX)
}

/// All messages; the place is the code.
pub const KINDS: &[Kind] = &[
    Kind::Settings,
    Kind::Stop,
    Kind::Certificate,
    Kind::ClientAuthority,
    Kind::Listener,
    Kind::Unlisten,
    Kind::Client,
    Kind::UseCertificates,
    Kind::Serve,
    Kind::VerdictChallenge,
    Kind::VerdictRefused,
    Kind::VerdictAdmitted,
    Kind::Login,
    Kind::Respond,
    Kind::GiveUp,
    Kind::HandOver,
    Kind::Relay,
    Kind::Ended,
    Kind::Counted,
    Kind::Account,
    Kind::Connection,
    Kind::Drop,
    Kind::Closed,
    Kind::Idle,
    Kind::JudgedChallenge,
    Kind::JudgedRefused,
    Kind::JudgedAdmitted,
    Kind::Started,
    Kind::Start,
    Kind::Log,
];

/// What a password may have been shown by; both ends have the same list, so the name itself is not sent.
const MECHANISMS: &[&str] = &["PLAIN", "LOGIN"];

#[cfg(test)]
mod tests;
