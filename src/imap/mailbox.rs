//! How mailbox names are written (RFC 9051 5.1, RFC 3501 5.1).
//!
//! Inside the server a name is Unicode with `/` between levels.  What clients write differs by
//! `Dialect`: modified UTF-7 or UTF-8, and the separator of the configuration.

use super::namespace::{Namespaces, PLAIN};
use super::syntax::{Parsed, Reader, write_astring};
use crate::mail::{MailboxName, NameError, utf7};

/// A mailbox argument of a command.  A name nobody can have is a value, so that the answer is NO
/// with a clear text and not BAD.
pub type MailboxArgument = Result<MailboxName, NameError>;

/// How names are written on this connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Dialect<'a> {
    /// IMAP4rev2 is enabled: names are UTF-8 (RFC 9051 5.1), else modified UTF-7 (RFC 3501 5.1.3).
    pub utf8: bool,
    /// The hierarchy separator clients see: `/` or `.`.
    pub separator: u8,
    /// What stands before names.
    pub namespaces: &'a Namespaces,
}

impl Default for Dialect<'_> {
    fn default() -> Self {
        Dialect {
            utf8: false,
            separator: b'/',
            namespaces: &PLAIN,
        }
    }
}

impl MailboxName {
    /// Reads a name as a client wrote it; one trailing separator is allowed and dropped
    /// (RFC 3501 6.3.3).
    pub fn from_wire(wire: &[u8], dialect: Dialect<'_>) -> Result<MailboxName, NameError> {
        let mut name = decode(wire, dialect)?;
        let separator = char::from(dialect.separator);
        if name.ends_with(separator) {
            name.pop();
        }
        let shown = match separator {
            '/' => MailboxName::new(&name)?,
            _ if name.contains('/') => return Err(NameError::Character),
            _ => MailboxName::new(&name.replace(separator, "/"))?,
        };
        dialect.namespaces.resolve(shown)
    }

    /// Writes the name as an astring for the client: modified UTF-7, or UTF-8 in quotes.
    pub fn write(&self, out: &mut Vec<u8>, dialect: Dialect<'_>) {
        match dialect.namespaces.is_plain() {
            true => self.write_shown(out, dialect),
            false => dialect.namespaces.show(self).write_shown(out, dialect),
        }
    }

    /// Writes a name that has its prefix already.
    pub fn write_shown(&self, out: &mut Vec<u8>, dialect: Dialect<'_>) {
        let is_same = |byte: u8| matches!(byte, b' '..=b'~') && byte != b'&';
        if dialect.separator == b'/' && (dialect.utf8 || self.as_str().bytes().all(is_same)) {
            return write_astring(out, self.as_str().as_bytes(), dialect.utf8);
        }
        let separator = char::from(dialect.separator);
        let name = self
            .as_str()
            .replace('/', separator.encode_utf8(&mut [0; 4]));
        if dialect.utf8 {
            write_astring(out, name.as_bytes(), true);
        } else {
            write_astring(out, utf7::encode(&name).as_bytes(), false);
        }
    }
}

impl Reader<'_> {
    /// mailbox = "INBOX" / astring
    pub fn mailbox(&mut self, dialect: Dialect<'_>) -> Parsed<MailboxArgument> {
        let wire = self.astring()?;
        Ok(MailboxName::from_wire(&wire, dialect))
    }
}

/// What a client wrote, in Unicode.
pub fn decode(wire: &[u8], dialect: Dialect<'_>) -> Result<String, NameError> {
    if dialect.utf8 {
        return Ok(std::str::from_utf8(wire)
            .or(Err(NameError::Utf8))?
            .to_owned());
    }
    utf7::decode(wire)
}

#[cfg(test)]
mod tests;
