//! Messages to octets and back.
//!
//! One octet says which message it is; its parts follow in the order in which `message.rs` names
//! them, and theirs in the order of `parts.rs`.  Numbers are big-endian; octets and text have their
//! length before them, in four octets; what may be missing has 0 or 1 before it.  Both ends are the
//! same program, so there is no version.
//!
//! What is decoded comes from a process that may have been taken over: every length is checked
//! against what is there, nothing may be left over, text is UTF-8, and a choice is one of those
//! that exist.  Nothing is allocated that the sender has not sent.

pub(super) mod part;
mod parts;

use std::os::fd::OwnedFd;

use zeroize::Zeroizing;

use super::Message;
use part::{Part, Reader, Writer};

/// A message of more octets is not sent: a certificate chain with its key must fit, and the kernel
/// must take it in one piece (twice `net.core.wmem_max`, which is 212,992 if nobody has changed
/// it).
pub const MAX_MESSAGE: usize = 384 * 1024;

/// Four times what the front takes from a client before login.
pub const MAX_LOGIN: usize = 64 * 1024;

/// Of a line for the log; what is longer is cut.
pub const MAX_LOG_LINE: usize = 4 * 1024;

/// The message is larger than [`MAX_MESSAGE`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TooLarge;

/// The octets, which are wiped when they are dropped, and the descriptor.
pub fn encode(mut message: Message) -> Result<(Zeroizing<Vec<u8>>, Option<OwnedFd>), TooLarge> {
    if let Message::Log(_, line) = &mut message {
        line.truncate(line.floor_char_boundary(MAX_LOG_LINE));
    }
    let limit = limit(&message);
    let mut writer = Writer::default();
    message.write(&mut writer);
    match writer.octets.len() <= limit {
        true => Ok((writer.octets, writer.descriptor)),
        false => Err(TooLarge),
    }
}

/// The message; or what is wrong with it.
pub fn decode(octets: &[u8], descriptor: Option<OwnedFd>) -> Result<Message, &'static str> {
    let mut reader = Reader { octets, descriptor };
    let message = Message::read(&mut reader)?;
    if reader.descriptor.is_some() {
        return Err("there is a descriptor that belongs to no message");
    }
    if !reader.octets.is_empty() {
        return Err("there is something after its end");
    }
    match &message {
        Message::Log(_, line) if line.len() > MAX_LOG_LINE => Err("the line is too long"),
        message if octets.len() > limit(message) => Err("it is too large"),
        _ => Ok(message),
    }
}

/// The monitor keeps logins while they wait.
fn limit(message: &Message) -> usize {
    match message {
        Message::Login(..) | Message::Respond(..) => MAX_LOGIN,
        _ => MAX_MESSAGE,
    }
}

#[cfg(test)]
mod tests;
