//! LIST and LSUB: selection and return options, patterns, attributes (RFC 5258, 5819, 6154, 8457).

use super::mailbox::{Dialect, decode};
use super::status::StatusItem;
use super::syntax::{Parsed, Reader, fail};
use crate::mail::{MailboxName, SpecialUse, is_in_inbox};

/// `LIST [(selection)] reference pattern(s) [RETURN (..)]`
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct List {
    /// Whether anything of RFC 5258 was used.
    pub extended: bool,
    pub select: Selection,
    /// Each joined to the reference.  `LIST "" ""` gives one empty pattern: it asks for the
    /// separator and the root name only (RFC 3501 6.3.8); see `Pattern::is_empty`.
    pub patterns: Vec<Pattern>,
    pub returns: Returns,
}

/// list-select-opts
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Selection {
    pub subscribed: bool,
    pub remote: bool,
    pub recursive_match: bool,
    pub special_use: bool,
}

/// return-opts; what is selected by is returned as well (RFC 5258 3.1, RFC 6154 5.2).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Returns {
    pub subscribed: bool,
    pub children: bool,
    pub special_use: bool,
    /// RFC 5819
    pub status: Option<Vec<StatusItem>>,
}

impl Reader<'_> {
    /// list = "LIST" [SP list-select-opts] SP mailbox SP mbox-or-pat [SP list-return-opts]
    pub fn list_arguments(&mut self, dialect: Dialect<'_>) -> Parsed<List> {
        let mut list = List {
            extended: false,
            select: Selection::default(),
            patterns: Vec::new(),
            returns: Returns::default(),
        };
        if self.peek() == Some(b'(') {
            list.extended = true;
            list.select = self.list_select_opts()?;
            list.returns.subscribed = list.select.subscribed;
            list.returns.special_use = list.select.special_use;
            self.space()?;
        }
        let reference = self.astring()?;
        self.space()?;
        let mut pattern = |reader: &mut Self| {
            let pattern = reader.list_mailbox()?;
            list.patterns
                .push(Pattern::new(&reference, &pattern, dialect));
            if list.patterns.len() > PATTERNS_MAX {
                return fail("Too many patterns");
            }
            Ok(())
        };
        if self.peek() == Some(b'(') {
            list.extended = true;
            self.list(pattern)?;
        } else {
            pattern(self)?;
        }
        if !self.is_at_end() {
            list.extended = true;
            self.space()?;
            self.list_return_opts(&mut list.returns)?;
        }
        Ok(list)
    }

    /// list-select-opts = "(" [list-select-opt *(SP list-select-opt)] ")"
    fn list_select_opts(&mut self) -> Parsed<Selection> {
        let mut select = Selection::default();
        self.list(|reader| {
            match reader.word().as_str() {
                "SUBSCRIBED" => select.subscribed = true,
                "REMOTE" => select.remote = true,
                "RECURSIVEMATCH" => select.recursive_match = true,
                "SPECIAL-USE" => select.special_use = true,
                _ => return fail("Unknown LIST selection option"),
            }
            Ok(())
        })?;
        if select.recursive_match && !select.subscribed && !select.special_use {
            return fail("RECURSIVEMATCH needs another selection option");
        }
        Ok(select)
    }

    /// list-return-opts = "RETURN" SP "(" [return-option *(SP return-option)] ")"
    fn list_return_opts(&mut self, returns: &mut Returns) -> Parsed<()> {
        if self.word().as_str() != "RETURN" {
            return fail("Too many arguments");
        }
        self.space()?;
        self.list(|reader| {
            match reader.word().as_str() {
                "SUBSCRIBED" => returns.subscribed = true,
                "CHILDREN" => returns.children = true,
                "SPECIAL-USE" => returns.special_use = true,
                "STATUS" => {
                    reader.space()?;
                    returns.status = Some(reader.status_atts()?);
                }
                _ => return fail("Unknown LIST return option"),
            }
            Ok(())
        })
    }
}

/// list-mailbox with its reference before it: `*` matches anything, `%` anything but a separator.
///
/// It is an automaton whose state `n` says that the first `n` plain characters have matched; a
/// wildcard is a loop at the state where it stands.  So wildcards in a row cost nothing, and a name
/// is compared in at most its length times the number of plain characters.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pattern {
    plain: Vec<char>,
    /// One more than `plain`.
    loops: Vec<Loop>,
    /// The client gave the empty string, whatever the reference.
    empty: bool,
}

/// What may be passed over in a state.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Loop {
    Nothing,
    /// `%`
    Level,
    /// `*`
    Anything,
}

impl Pattern {
    pub fn new(reference: &[u8], pattern: &[u8], dialect: Dialect<'_>) -> Pattern {
        let wire = [reference, pattern].concat();
        // What cannot be decoded matches nothing.
        let text = decode(&wire, dialect).unwrap_or_else(|_| NO_CHARACTER.into());
        let mut automaton = Pattern {
            plain: Vec::new(),
            loops: vec![Loop::Nothing],
            empty: pattern.is_empty(),
        };
        for character in text.chars() {
            match character {
                '%' => automaton.add_loop(Loop::Level),
                '*' => automaton.add_loop(Loop::Anything),
                _ if character == char::from(dialect.separator) => automaton.add_plain('/'),
                '/' => automaton.add_plain(NO_CHARACTER),
                _ => automaton.add_plain(character),
            }
        }
        automaton
    }

    /// Whether the client gave the empty string as the pattern.
    pub fn is_empty(&self) -> bool {
        self.empty
    }

    /// Whether everything that matches begins with these plain characters, without regard to the
    /// case of INBOX.
    pub fn starts_with(&self, prefix: &str) -> bool {
        let length = prefix.chars().count();
        let mut fold_case = is_in_inbox(prefix);
        let mut same = self
            .plain
            .iter()
            .zip(prefix.chars())
            .map(|(&plain, wanted)| {
                fold_case &= wanted != '/';
                plain == wanted || (fold_case && plain.eq_ignore_ascii_case(&wanted))
            });
        self.plain.len() >= length
            && same.all(|same| same)
            && self
                .loops
                .iter()
                .take(length)
                .all(|&wildcard| wildcard == Loop::Nothing)
    }

    /// Whether `%` occurs: then LSUB tells of levels above what is subscribed (RFC 3501 6.3.9).
    pub fn has_percent(&self) -> bool {
        self.loops.contains(&Loop::Level)
    }

    /// Whether the name matches; INBOX in any case.
    pub fn matches(&self, name: &MailboxName) -> bool {
        // Each plain character needs one of the name's.
        self.plain.len() <= name.as_str().len() && self.run(name).last() == Some(&true)
    }

    /// The states reached when the name has been read.
    fn run(&self, name: &MailboxName) -> Vec<bool> {
        let mut states = vec![false; self.loops.len()];
        if let Some(start) = states.first_mut() {
            *start = true;
        }
        let mut fold_case = is_in_inbox(name.as_str());
        for character in name.as_str().chars() {
            fold_case &= character != '/';
            self.step(&mut states, character, fold_case);
        }
        states
    }

    /// One character further, in all states at once.
    fn step(&self, states: &mut [bool], character: char, fold_case: bool) {
        let is_same = |plain: char| {
            plain == character || (fold_case && plain.eq_ignore_ascii_case(&character))
        };
        let mut before = false;
        let mut plain_before = NO_CHARACTER;
        let next_plain = self.plain.iter().copied().chain([NO_CHARACTER]);
        for ((state, &wildcard), next_plain) in states.iter_mut().zip(&self.loops).zip(next_plain) {
            let stays = match wildcard {
                Loop::Nothing => false,
                Loop::Level => character != '/',
                Loop::Anything => true,
            };
            let reached = (*state && stays) || (before && is_same(plain_before));
            before = std::mem::replace(state, reached);
            plain_before = next_plain;
        }
    }

    fn add_plain(&mut self, character: char) {
        self.plain.push(character);
        self.loops.push(Loop::Nothing);
    }

    fn add_loop(&mut self, wildcard: Loop) {
        if let Some(state) = self.loops.last_mut() {
            *state = wildcard.max(*state);
        }
    }
}

/// mbx-list-flags: a set of attributes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Attributes(pub u32);

impl Attributes {
    pub const NON_EXISTENT: Attributes = Attributes(1);
    pub const NO_SELECT: Attributes = Attributes(1 << 1);
    pub const NO_INFERIORS: Attributes = Attributes(1 << 2);
    pub const HAS_CHILDREN: Attributes = Attributes(1 << 3);
    pub const HAS_NO_CHILDREN: Attributes = Attributes(1 << 4);
    pub const MARKED: Attributes = Attributes(1 << 5);
    pub const UNMARKED: Attributes = Attributes(1 << 6);
    pub const SUBSCRIBED: Attributes = Attributes(1 << 7);
    pub const REMOTE: Attributes = Attributes(1 << 8);

    pub fn contains(self, other: Attributes) -> bool {
        self.0 & other.0 == other.0
    }

    /// `(\HasNoChildren \Sent)`
    pub fn write(self, out: &mut Vec<u8>) {
        const NAMES: [(Attributes, &str); 9] = [
            (Attributes::NON_EXISTENT, "\\NonExistent"),
            (Attributes::NO_SELECT, "\\Noselect"),
            (Attributes::NO_INFERIORS, "\\Noinferiors"),
            (Attributes::HAS_CHILDREN, "\\HasChildren"),
            (Attributes::HAS_NO_CHILDREN, "\\HasNoChildren"),
            (Attributes::MARKED, "\\Marked"),
            (Attributes::UNMARKED, "\\Unmarked"),
            (Attributes::SUBSCRIBED, "\\Subscribed"),
            (Attributes::REMOTE, "\\Remote"),
        ];
        let uses = SpecialUse::ALL.map(|special| (Attributes::from(special), special.as_str()));
        let mut before = b'(';
        for (_, name) in NAMES
            .iter()
            .chain(&uses)
            .filter(|(bit, _)| self.contains(*bit))
        {
            out.push(before);
            out.extend_from_slice(name.as_bytes());
            before = b' ';
        }
        if before == b'(' {
            out.push(before);
        }
        out.push(b')');
    }
}

impl std::ops::BitOr for Attributes {
    type Output = Attributes;
    fn bitor(self, other: Attributes) -> Attributes {
        Attributes(self.0 | other.0)
    }
}

impl std::ops::BitOrAssign for Attributes {
    fn bitor_assign(&mut self, other: Attributes) {
        self.0 |= other.0;
    }
}

impl From<SpecialUse> for Attributes {
    fn from(special: SpecialUse) -> Attributes {
        Attributes(1 << (16 + special as u32))
    }
}

/// Stands for a character that is in no name.
const NO_CHARACTER: char = '\0';

const PATTERNS_MAX: usize = 1000;

#[cfg(test)]
mod tests;
