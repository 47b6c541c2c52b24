//! System flags and keywords (RFC 9051 2.3.2).

/// The flags of one message as a Maildir can hold them: the system flags, and keywords as the
/// letters a-z of the file name (`maildir-formats.md 1`), bit 0 = `a`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Flags {
    pub system: System,
    pub keywords: u32,
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

/// `flag`: what a client may name in STORE and APPEND.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Flag {
    System(System),
    Keyword(Keyword),
    /// `\Recent`, which a client cannot change: to be ignored.
    Recent,
    /// An atom that is too long for a keyword, or a `\Word` nobody knows: to be refused.
    Unknown(String),
}

/// Writes `(\Seen $Forwarded)`, with `\Recent` first if `recent`; `keyword` gives the name of a
/// letter's keyword (0 = `a`), a letter without a name is left out.
pub fn write_flags<'n>(
    out: &mut Vec<u8>,
    flags: Flags,
    recent: bool,
    keyword: impl Fn(u32) -> Option<&'n str>,
) {
    let _ = keyword;
    todo!("{flags:?} {recent} {out:?}")
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

fn is_keyword_octet(byte: u8) -> bool {
    byte.is_ascii_graphic() && !b"(){%*\"\\]".contains(&byte)
}

/// `maildir-formats.md 4`
const KEYWORD_MAX: usize = 50;
