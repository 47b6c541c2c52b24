//! LIST and LSUB: selection and return options, patterns, attributes (RFC 5258, 5819, 6154, 8457).

use super::command::StatusItem;
use super::mailbox::MailboxName;

/// `LIST [(selection)] reference pattern(s) [RETURN (..)]`
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct List {
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

/// return-opts
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Returns {
    pub subscribed: bool,
    pub children: bool,
    pub special_use: bool,
    /// RFC 5819
    pub status: Option<Vec<StatusItem>>,
}

/// list-mailbox with its reference before it: `*` matches anything, `%` anything but a separator.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pattern(Vec<char>);

impl Pattern {
    /// Whether the pattern is the empty string.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Whether the name matches; INBOX in any case.  Time is at most name times pattern.
    pub fn matches(&self, name: &MailboxName) -> bool {
        todo!("{name:?}")
    }

    /// Whether some name below `name` could match: what need not be looked at can be left out.
    pub fn may_match_below(&self, name: &MailboxName) -> bool {
        todo!("{name:?}")
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

impl From<super::mailbox::SpecialUse> for Attributes {
    fn from(special: super::mailbox::SpecialUse) -> Attributes {
        Attributes(1 << (16 + special as u32))
    }
}
