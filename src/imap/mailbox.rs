//! Mailbox names (RFC 9051 5.1, RFC 3501 5.1) and what mailboxes are for (RFC 6154).
//!
//! Inside the server a name is Unicode with `/` between levels.  What clients write differs by
//! `Dialect`: modified UTF-7 or UTF-8, and the separator of the configuration.

use super::namespace::{Namespaces, PLAIN};
use super::syntax::{Parsed, Reader, write_astring};
use base64::Engine;
use base64::engine::{GeneralPurpose, GeneralPurposeConfig};
use std::fmt;

/// A mailbox name as a list of hierarchy levels in Unicode, joined by `/`.  It is never empty, no
/// level is empty or `.` or `..`, and INBOX (as the whole first level, in any case) is upper-cased.
/// What a client writes as the separator is the connection's business; `/` and control characters
/// never occur in a level.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct MailboxName(String);

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
    pub fn inbox() -> MailboxName {
        MailboxName(INBOX.to_owned())
    }

    /// From levels joined by `/` (the form of `as_str`).
    pub fn new(name: &str) -> Result<MailboxName, NameError> {
        if name.is_empty() {
            return Err(NameError::Empty);
        }
        if name.len() > NAME_MAX {
            return Err(NameError::TooLong);
        }
        if name.chars().any(char::is_control) {
            return Err(NameError::Character);
        }
        for level in name.split('/') {
            match level {
                "" => return Err(NameError::EmptyLevel),
                "." | ".." => return Err(NameError::DotLevel),
                _ => {}
            }
        }
        let mut name = name.to_owned();
        if is_in_inbox(&name)
            && let Some(first_level) = name.get_mut(..INBOX.len())
        {
            first_level.make_ascii_uppercase();
        }
        Ok(MailboxName(name))
    }

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

    /// The same for a name that has its prefix already.
    pub fn write_shown(&self, out: &mut Vec<u8>, dialect: Dialect<'_>) {
        let is_same = |byte: u8| matches!(byte, b' '..=b'~') && byte != b'&';
        if dialect.separator == b'/' && (dialect.utf8 || self.0.bytes().all(is_same)) {
            return write_astring(out, self.0.as_bytes(), dialect.utf8);
        }
        let separator = char::from(dialect.separator);
        let name = self.0.replace('/', separator.encode_utf8(&mut [0; 4]));
        if dialect.utf8 {
            write_astring(out, name.as_bytes(), true);
        } else {
            write_astring(out, encode_utf7(&name).as_bytes(), false);
        }
    }

    /// The name with this prefix, which ends in `/` or is empty.
    pub fn behind(&self, prefix: &str) -> MailboxName {
        MailboxName(format!("{prefix}{self}"))
    }

    pub fn is_inbox(&self) -> bool {
        self.0 == INBOX
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }

    pub fn levels(&self) -> impl Iterator<Item = &str> {
        self.0.split('/')
    }

    /// The name without its last level.
    pub fn parent(&self) -> Option<MailboxName> {
        let (parent, _) = self.0.rsplit_once('/')?;
        Some(MailboxName(parent.to_owned()))
    }

    /// Whether this is somewhere below `other`.
    pub fn is_below(&self, other: &MailboxName) -> bool {
        let rest = self.0.strip_prefix(other.as_str());
        rest.is_some_and(|rest| rest.starts_with('/'))
    }
}

impl fmt::Display for MailboxName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl Reader<'_> {
    /// mailbox = "INBOX" / astring
    pub fn mailbox(&mut self, dialect: Dialect<'_>) -> Parsed<MailboxArgument> {
        let wire = self.astring()?;
        Ok(MailboxName::from_wire(&wire, dialect))
    }
}

/// Whether the first level is INBOX in any case.
pub fn is_in_inbox(name: &str) -> bool {
    let first_level = name.split('/').next();
    first_level.is_some_and(|level| level.eq_ignore_ascii_case(INBOX))
}

/// What a client wrote, in Unicode.
pub fn decode(wire: &[u8], dialect: Dialect<'_>) -> Result<String, NameError> {
    if dialect.utf8 {
        return Ok(std::str::from_utf8(wire)
            .or(Err(NameError::Utf8))?
            .to_owned());
    }
    decode_utf7(wire)
}

/// Decodes modified UTF-7 (RFC 3501 5.1.3); 8-bit octets must be UTF-8 and are kept.  Needless or
/// sloppy encoding is let through: encoding again may give another text.
pub fn decode_utf7(text: &[u8]) -> Result<String, NameError> {
    let mut rest = std::str::from_utf8(text).or(Err(NameError::Utf8))?;
    let mut decoded = String::with_capacity(rest.len());
    while let Some((plain, shifted)) = rest.split_once('&') {
        decoded.push_str(plain);
        let (coded, tail) = shifted.split_once('-').ok_or(NameError::Utf7)?;
        if coded.is_empty() {
            decoded.push('&');
        } else {
            decode_shifted(coded, &mut decoded)?;
        }
        rest = tail;
    }
    decoded.push_str(rest);
    Ok(decoded)
}

/// What lies between `&` and `-`: UTF-16 in a base64 of its own.
fn decode_shifted(coded: &str, decoded: &mut String) -> Result<(), NameError> {
    let octets = UTF7.decode(coded).or(Err(NameError::Utf7))?;
    let (units, odd) = octets.as_chunks::<2>();
    if !odd.is_empty() {
        return Err(NameError::Utf7);
    }
    for character in char::decode_utf16(units.iter().map(|&unit| u16::from_be_bytes(unit))) {
        decoded.push(character.or(Err(NameError::Utf7))?);
    }
    Ok(())
}

/// Encodes as modified UTF-7.
pub fn encode_utf7(text: &str) -> String {
    let mut encoded = String::with_capacity(text.len());
    let is_plain = |character: char| matches!(character, ' '..='~') && character != '&';
    let mut rest = text;
    while let Some(special) = rest.find(|character| !is_plain(character)) {
        let (plain, shifted) = rest.split_at(special);
        encoded.push_str(plain);
        encoded.push('&');
        if let Some(tail) = shifted.strip_prefix('&') {
            rest = tail;
        } else {
            let end = shifted.find(|character| matches!(character, ' '..='~'));
            let (run, tail) = shifted.split_at(end.unwrap_or(shifted.len()));
            let octets: Vec<u8> = run.encode_utf16().flat_map(u16::to_be_bytes).collect();
            UTF7.encode_string(octets, &mut encoded);
            rest = tail;
        }
        encoded.push('-');
    }
    encoded.push_str(rest);
    encoded
}

/// Why a name cannot be that of a mailbox.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NameError {
    Empty,
    EmptyLevel,
    /// A level is `.` or `..`, which file systems take for something else.
    DotLevel,
    Utf7,
    Utf8,
    /// A control character, or `/` where the separator is another.
    Character,
    TooLong,
    /// It is in no namespace.
    Prefix,
}

impl NameError {
    /// The text of the NO response (code CANNOT).
    pub fn as_str(self) -> &'static str {
        match self {
            NameError::Empty => "Mailbox name is empty.",
            NameError::EmptyLevel => "Mailbox name has an empty level.",
            NameError::DotLevel => "Mailbox name has a level '.' or '..'.",
            NameError::Utf7 => "Mailbox name is not valid modified UTF-7.",
            NameError::Utf8 => "Mailbox name is not valid UTF-8.",
            NameError::Character => "Mailbox name has a character that is not allowed.",
            NameError::TooLong => "Mailbox name is too long.",
            NameError::Prefix => "Mailbox name lacks the prefix of the namespace (see NAMESPACE).",
        }
    }
}

/// Special-use attributes (RFC 6154, RFC 8457).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum SpecialUse {
    All,
    Archive,
    Drafts,
    Flagged,
    Important,
    Junk,
    Sent,
    Trash,
}

impl SpecialUse {
    pub const ALL: [SpecialUse; 8] = [
        SpecialUse::All,
        SpecialUse::Archive,
        SpecialUse::Drafts,
        SpecialUse::Flagged,
        SpecialUse::Important,
        SpecialUse::Junk,
        SpecialUse::Sent,
        SpecialUse::Trash,
    ];

    /// `\Drafts`
    pub fn as_str(self) -> &'static str {
        match self {
            SpecialUse::All => "\\All",
            SpecialUse::Archive => "\\Archive",
            SpecialUse::Drafts => "\\Drafts",
            SpecialUse::Flagged => "\\Flagged",
            SpecialUse::Important => "\\Important",
            SpecialUse::Junk => "\\Junk",
            SpecialUse::Sent => "\\Sent",
            SpecialUse::Trash => "\\Trash",
        }
    }

    /// From `\Drafts`, in any case.
    pub fn parse(attribute: &str) -> Option<SpecialUse> {
        SpecialUse::ALL
            .into_iter()
            .find(|special| special.as_str().eq_ignore_ascii_case(attribute))
    }
}

const INBOX: &str = "INBOX";

/// Octets of UTF-8.
const NAME_MAX: usize = 4096;

const UTF7: GeneralPurpose = GeneralPurpose::new(
    &base64::alphabet::IMAP_MUTF7,
    GeneralPurposeConfig::new()
        .with_encode_padding(false)
        .with_decode_padding_mode(base64::engine::DecodePaddingMode::RequireNone)
        .with_decode_allow_trailing_bits(true),
);

#[cfg(test)]
mod tests;
