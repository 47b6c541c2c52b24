//! The names of mailboxes.

use std::fmt;

/// A mailbox name as a list of hierarchy levels in Unicode, joined by `/`.  It is never empty, no
/// level is empty or `.` or `..`, and INBOX (as the whole first level, in any case) is upper-cased.
/// What a client writes as the separator is the connection's business; `/` and control characters
/// never occur in a level.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct MailboxName(String);

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

/// Whether the first level is INBOX in any case.
pub fn is_in_inbox(name: &str) -> bool {
    let first_level = name.split('/').next();
    first_level.is_some_and(|level| level.eq_ignore_ascii_case(INBOX))
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
    /// The reason, as a sentence.
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

const INBOX: &str = "INBOX";

/// Octets of UTF-8.
const NAME_MAX: usize = 4096;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_know_what_is_above_and_below_them() {
        let name = MailboxName::new("a/b/c").unwrap();
        let parent = name.parent().unwrap();
        assert_eq!(parent.as_str(), "a/b");
        assert!(name.is_below(&parent) && !parent.is_below(&name) && !name.is_below(&name));
        assert!(!MailboxName::new("a/bc").unwrap().is_below(&parent));
        assert_eq!(MailboxName::inbox().parent(), None);
        assert_eq!(name.levels().collect::<Vec<_>>(), ["a", "b", "c"]);
    }
}
