//! Mailbox names (RFC 9051 5.1).

/// A mailbox name as a list of hierarchy levels in Unicode, joined by `/`.  It is never empty, no
/// level is empty, and INBOX (as the whole first level, in any case) is upper-cased.  What a
/// client writes as the separator is the connection's business; `/` and NUL never occur in a level.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct MailboxName(String);

impl MailboxName {
    pub fn inbox() -> MailboxName {
        MailboxName("INBOX".to_owned())
    }

    pub fn is_inbox(&self) -> bool {
        self.0 == "INBOX"
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }

    pub fn levels(&self) -> impl Iterator<Item = &str> {
        self.0.split('/')
    }
}

impl MailboxName {
    /// From levels joined by `/` (the form of `as_str`).
    pub fn new(name: &str) -> Result<MailboxName, NameError> {
        todo!("{name}")
    }

    /// Reads a name as a client wrote it; one trailing separator is allowed and dropped
    /// (RFC 3501 6.3.3).
    pub fn from_wire(wire: &[u8], dialect: Dialect) -> Result<MailboxName, NameError> {
        todo!("{wire:?} {dialect:?}")
    }

    /// Writes the name as an astring for the client: modified UTF-7, or UTF-8 in quotes.
    pub fn write(&self, out: &mut Vec<u8>, dialect: Dialect) {
        todo!("{out:?} {dialect:?}")
    }

    /// The name without its last level.
    pub fn parent(&self) -> Option<MailboxName> {
        todo!()
    }

    /// The name one level below.
    pub fn child(&self, level: &str) -> Result<MailboxName, NameError> {
        todo!("{level}")
    }

    /// Whether this is somewhere below `other`.
    pub fn is_below(&self, other: &MailboxName) -> bool {
        todo!("{other:?}")
    }
}

impl std::fmt::Display for MailboxName {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}

/// How names are written on this connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Dialect {
    /// IMAP4rev2 is enabled: names are UTF-8 (RFC 9051 5.1), else modified UTF-7 (RFC 3501 5.1.3).
    pub utf8: bool,
    /// The hierarchy separator clients see: `/` or `.`.
    pub separator: u8,
}

impl Default for Dialect {
    fn default() -> Dialect {
        Dialect {
            utf8: false,
            separator: b'/',
        }
    }
}

/// A mailbox argument of a command.  A name nobody can have is a value, so that the answer is NO
/// with a clear text and not BAD.
pub type MailboxArgument = Result<MailboxName, NameError>;

/// Why a name cannot be that of a mailbox.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NameError {
    Empty,
    EmptyLevel,
    Utf7,
    Utf8,
    /// A control character, or `/` where the separator is another.
    Character,
    TooLong,
}

impl NameError {
    /// The text of the NO response (code CANNOT).
    pub fn as_str(self) -> &'static str {
        todo!()
    }
}

/// Decodes modified UTF-7 (RFC 3501 5.1.3); 8-bit octets must be UTF-8 and are kept.
pub fn decode_utf7(text: &[u8]) -> Result<String, NameError> {
    todo!("{text:?}")
}

/// Encodes as modified UTF-7.
pub fn encode_utf7(text: &str) -> String {
    todo!("{text}")
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
    /// `\Drafts`
    pub fn as_str(self) -> &'static str {
        todo!()
    }

    /// From `\Drafts`, in any case.
    pub fn parse(attribute: &str) -> Option<SpecialUse> {
        todo!("{attribute}")
    }
}
