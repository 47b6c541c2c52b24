//! Which event is whose: connections have small numbers, listeners and sources each a bit of their
//! own.

use std::io;

use mio::Token;

use super::{ConnectionId, SourceId};

/// Whose an event is.
pub(super) enum TokenOwner {
    Wake,
    Signal,
    Listener(usize),
    Source(SourceId),
    Connection(ConnectionId),
}

pub(super) const WAKE: Token = Token(0);
pub(super) const SIGNAL: Token = Token(1);
pub(super) const FIRST_CONNECTION: usize = 2;

pub(super) fn owner(token: Token) -> TokenOwner {
    let Token(number) = token;
    match number {
        0 => TokenOwner::Wake,
        1 => TokenOwner::Signal,
        _ if number & SOURCE != 0 => TokenOwner::Source(SourceId((number & !SOURCE) as u64)),
        _ if number & LISTENER != 0 => TokenOwner::Listener(number & !LISTENER),
        _ => TokenOwner::Connection(ConnectionId(number)),
    }
}

pub(super) fn of_connection(id: ConnectionId) -> Token {
    Token(id.0)
}

pub(super) fn of_listener(index: usize) -> Token {
    Token(index | LISTENER)
}

/// An error for a number too large, which a service that counts up never comes to.
pub(super) fn of_source(source: SourceId) -> io::Result<Token> {
    match usize::try_from(source.0) {
        Ok(number) if number & SOURCE == 0 => Ok(Token(number | SOURCE)),
        _ => Err(io::ErrorKind::QuotaExceeded.into()),
    }
}

/// The number of the next connection.
pub(super) fn after(id: usize) -> usize {
    match id.wrapping_add(1) {
        next if next & (SOURCE | LISTENER) == 0 => next,
        _ => FIRST_CONNECTION,
    }
}

const SOURCE: usize = 1 << (usize::BITS - 1);
const LISTENER: usize = 1 << (usize::BITS - 2);
