//! System flags and keywords (RFC 9051 2.3.2).

/// The flags of one message as a Maildir can hold them: the system flags, and keywords as the
/// letters a-z of the file name, bit 0 = `a`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Flags {
    pub system: System,
    pub keywords: u32,
}

impl Flags {
    /// Whether all of `wanted` are set.
    pub fn contains(self, wanted: Flags) -> bool {
        self.system.contains(wanted.system) && self.keywords & wanted.keywords == wanted.keywords
    }

    pub fn with(self, added: Flags) -> Flags {
        Flags {
            system: self.system | added.system,
            keywords: self.keywords | added.keywords,
        }
    }

    pub fn without(self, removed: Flags) -> Flags {
        Flags {
            system: System(self.system.0 & !removed.system.0),
            keywords: self.keywords & !removed.keywords,
        }
    }
}

impl From<System> for Flags {
    fn from(system: System) -> Flags {
        Flags {
            system,
            keywords: 0,
        }
    }
}

/// Flags of one message with their keywords by name, as they are outside of any mailbox.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct NamedFlags {
    pub system: System,
    pub keywords: Vec<Keyword>,
}

/// The system flags of RFC 9051 2.3.2 as bits; `\Recent` is not one of them: it belongs to a
/// session, not to a message.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct System(pub u8);

impl System {
    pub const ANSWERED: System = System(1);
    pub const FLAGGED: System = System(2);
    pub const DELETED: System = System(4);
    pub const SEEN: System = System(8);
    pub const DRAFT: System = System(16);

    pub fn contains(self, other: System) -> bool {
        self.0 & other.0 == other.0
    }
}

impl std::ops::BitOr for System {
    type Output = System;
    fn bitor(self, other: System) -> System {
        System(self.0 | other.0)
    }
}

/// A keyword (`flag-keyword`): an atom of at most 50 octets here, compared without case.
#[derive(Clone, Debug)]
pub struct Keyword(String);

impl Keyword {
    pub fn new(name: &str) -> Option<Keyword> {
        let fits = !name.is_empty() && name.len() <= KEYWORD_MAX;
        (fits && name.bytes().all(is_keyword_octet)).then(|| Keyword(name.to_owned()))
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl PartialEq for Keyword {
    fn eq(&self, other: &Keyword) -> bool {
        self.0.eq_ignore_ascii_case(&other.0)
    }
}

impl Eq for Keyword {}

/// A keyword is an atom (RFC 9051 9: flag-keyword).
fn is_keyword_octet(byte: u8) -> bool {
    byte.is_ascii_graphic() && !b"(){%*\"\\]".contains(&byte)
}

/// As Dovecot has it.
const KEYWORD_MAX: usize = 50;
