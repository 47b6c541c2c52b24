//! How flags and keywords are written (RFC 9051 9: flag, flag-list).

use crate::mail::{Flags, Keyword, NamedFlags, System};

use super::syntax::{Parsed, Reader, fail, is_astring_char};

/// `flag`: what a client may name in STORE and APPEND.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Flag {
    System(System),
    Keyword(Keyword),
    /// `\Recent`, which a client cannot set: to be refused.
    Recent,
    /// A word that cannot be a keyword, or a `\Word` nobody knows: to be refused.
    Unknown(String),
}

/// The flags that these name; `None` if a client may not set one of them (RFC 9051 2.3.2).
pub fn settable(flags: &[Flag]) -> Option<NamedFlags> {
    let mut named = NamedFlags::default();
    for flag in flags {
        match flag {
            Flag::System(system) => named.system = named.system | *system,
            Flag::Keyword(keyword) => named.keywords.push(keyword.clone()),
            Flag::Recent | Flag::Unknown(_) => return None,
        }
    }
    Some(named)
}

impl Reader<'_> {
    /// flag-list = "(" [flag *(SP flag)] ")"
    pub fn flag_list(&mut self) -> Parsed<Vec<Flag>> {
        let mut flags = Vec::new();
        self.list(|reader| {
            flags.push(reader.flag()?);
            Ok(())
        })?;
        Ok(flags)
    }

    /// `flag *(SP flag)`: STORE knows the list without parentheses as well.
    pub fn bare_flags(&mut self) -> Parsed<Vec<Flag>> {
        let mut flags = vec![self.flag()?];
        while !self.is_at_end() {
            self.space()?;
            flags.push(self.flag()?);
        }
        Ok(flags)
    }

    /// flag = "\Answered" / "\Flagged" / "\Deleted" / "\Seen" / "\Draft" / flag-keyword /
    /// flag-extension
    fn flag(&mut self) -> Parsed<Flag> {
        let unknown = |prefix: &str, name: &[u8]| {
            Flag::Unknown(format!("{prefix}{}", String::from_utf8_lossy(name)))
        };
        if !self.eat(b'\\') {
            let name = match self.take_while(is_astring_char) {
                [] => return fail("Invalid flag"),
                name => name,
            };
            let keyword = std::str::from_utf8(name).ok().and_then(Keyword::new);
            return Ok(keyword.map_or_else(|| unknown("", name), Flag::Keyword));
        }
        let name = self.atom().or(fail("Invalid flag"))?;
        let is_name = |known: &str| known.as_bytes().eq_ignore_ascii_case(name);
        if is_name("Recent") {
            return Ok(Flag::Recent);
        }
        let system = SYSTEM_FLAGS
            .iter()
            .find(|(_, written)| written.strip_prefix('\\').is_some_and(is_name));
        Ok(system.map_or_else(|| unknown("\\", name), |&(flag, _)| Flag::System(flag)))
    }
}

/// Writes `(\Seen $Forwarded)`; `keyword` gives the name of a letter's keyword (0 = `a`), a letter
/// without a name is left out.
pub fn write_flags<'n>(
    out: &mut Vec<u8>,
    flags: Flags,
    recent: bool,
    keyword: impl Fn(u32) -> Option<&'n str>,
) {
    out.push(b'(');
    let start = out.len();
    let mut word = |text: &str| {
        if out.len() > start {
            out.push(b' ');
        }
        out.extend_from_slice(text.as_bytes());
    };
    for (flag, written) in SYSTEM_FLAGS {
        if flags.system.contains(flag) {
            word(written);
        }
    }
    if recent {
        word("\\Recent");
    }
    let mut letters = flags.keywords;
    while letters != 0 {
        if let Some(name) = keyword(letters.trailing_zeros()) {
            word(name);
        }
        letters &= letters - 1;
    }
    out.push(b')');
}

/// In the order in which they are always written.
pub const SYSTEM_FLAGS: [(System, &str); 5] = [
    (System::ANSWERED, "\\Answered"),
    (System::FLAGGED, "\\Flagged"),
    (System::DELETED, "\\Deleted"),
    (System::SEEN, "\\Seen"),
    (System::DRAFT, "\\Draft"),
];

#[cfg(test)]
mod tests {
    use super::super::syntax::is_atom_char;
    use super::*;

    fn read(text: &str) -> Parsed<Vec<Flag>> {
        let mut reader = Reader::new(text.as_bytes());
        let flags = match reader.peek() {
            Some(b'(') => reader.flag_list()?,
            _ => reader.bare_flags()?,
        };
        reader.end().map(|()| flags)
    }

    fn keyword(name: &str) -> Flag {
        Flag::Keyword(Keyword::new(name).unwrap())
    }

    #[test]
    fn flags_are_read_in_any_case_with_and_without_parentheses() {
        let flags = vec![
            Flag::System(System::SEEN),
            keyword("$forwarded"),
            Flag::System(System::ANSWERED),
            Flag::Recent,
        ];
        assert_eq!(
            read("(\\Seen $Forwarded \\ANSWERED \\recent)"),
            Ok(flags.clone())
        );
        assert_eq!(read("\\sEEN $Forwarded \\Answered \\Recent"), Ok(flags));
        assert_eq!(read("()"), Ok(vec![]));
        assert_eq!(read("NonJunk"), Ok(vec![keyword("NonJunk")]));
    }

    #[test]
    fn what_cannot_be_stored_is_kept_as_unknown() {
        assert_eq!(read("(\\Foo)"), Ok(vec![Flag::Unknown("\\Foo".to_owned())]));
        let long = "a".repeat(51);
        assert_eq!(read(&long), Ok(vec![Flag::Unknown(long.clone())]));
        assert_eq!(read("(a])"), Ok(vec![Flag::Unknown("a]".to_owned())]));
        assert_eq!(read(&long[1..]), Ok(vec![keyword(&long[1..])]));
    }

    #[test]
    fn keywords_are_atoms() {
        for byte in 0..=u8::MAX {
            let name = String::from(char::from(byte));
            let is_atom = byte.is_ascii() && is_atom_char(byte);
            assert_eq!(Keyword::new(&name).is_some(), is_atom, "{name:?}");
        }
    }

    #[test]
    fn what_a_client_cannot_set_is_refused() {
        let named = settable(&[Flag::System(System::DRAFT), keyword("x")]).unwrap();
        assert_eq!(named.system, System::DRAFT);
        assert_eq!(named.keywords, [Keyword::new("X").unwrap()]);
        for flag in [Flag::Recent, Flag::Unknown("\\Foo".to_owned())] {
            assert_eq!(settable(&[flag]), None);
        }
    }

    #[test]
    fn wrong_flags_are_refused() {
        for text in ["", "\\", "(\\*)", "(\\Seen", "\"a\"", "(a b", "\\Seen)"] {
            assert!(read(text).is_err(), "{text}");
        }
    }

    #[test]
    fn flags_are_written_in_one_order() {
        let names = [Some("$Forwarded"), None, Some("Work")];
        let written = |system, keywords, recent| {
            let mut out = Vec::new();
            let name = |letter: u32| *names.get(letter as usize)?;
            write_flags(&mut out, Flags { system, keywords }, recent, name);
            String::from_utf8(out).unwrap()
        };
        assert_eq!(written(System(0), 0, false), "()");
        assert_eq!(written(System(0), 0, true), "(\\Recent)");
        assert_eq!(
            written(System::SEEN, 0b111, false),
            "(\\Seen $Forwarded Work)"
        );
        assert_eq!(
            written(System(31), 1, true),
            "(\\Answered \\Flagged \\Deleted \\Seen \\Draft \\Recent $Forwarded)"
        );
    }
}
