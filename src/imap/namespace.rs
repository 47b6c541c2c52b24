//! Namespaces (RFC 2342): what stands before mailbox names on the wire.
//!
//! There is one namespace that is told, whose names begin with its prefix, all but INBOX; and there
//! may be a hidden prefix by which the same mailboxes are found, for clients that were set up with
//! it on another server.  `INBOX.` is the one or the other where people come from Courier.
//!
//! Inside the server names have no prefix.  A name that is *shown* has one; in the form of
//! `MailboxName`, with `/` between levels, whatever the separator is.  Every name that is shown
//! leads back to its mailbox: one that begins like the hidden prefix by itself is shown behind it.

use super::list::Pattern;
use super::mailbox::MailboxArgument;
use crate::mail::{MailboxName, NameError};

/// The prefixes; empty, or ending in `/`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Namespaces {
    prefix: String,
    hidden: String,
}

/// No prefix.
pub static PLAIN: Namespaces = Namespaces {
    prefix: String::new(),
    hidden: String::new(),
};

impl Namespaces {
    /// From the settings: as clients see them, empty or ending in the separator.
    pub fn new(prefix: &str, hidden: &str, separator: u8) -> Result<Namespaces, NameError> {
        Ok(Namespaces {
            prefix: normal(prefix, separator)?,
            hidden: normal(hidden, separator)?,
        })
    }

    /// Names are shown as they are.
    pub fn is_plain(&self) -> bool {
        self.prefix.is_empty() && self.hidden.is_empty()
    }

    /// The prefix that is told, ending in `/`, or empty.
    pub fn prefix(&self) -> &str {
        &self.prefix
    }

    /// The name as clients see it.
    pub fn show(&self, name: &MailboxName) -> MailboxName {
        if name.is_inbox() {
            return name.clone();
        }
        let shown = name.behind(&self.prefix);
        match self.leads_back(&shown, name) {
            true => shown,
            false => name.behind(&self.hidden),
        }
    }

    /// The name as a client sees it that asks behind the hidden prefix; INBOX is not there.
    pub fn show_hidden(&self, name: &MailboxName) -> Option<MailboxName> {
        let shown = name.behind(&self.hidden);
        (!name.is_inbox() && self.leads_back(&shown, name)).then_some(shown)
    }

    /// The mailbox that a client means.
    pub fn resolve(&self, shown: MailboxName) -> MailboxArgument {
        match self.without_prefix(&shown) {
            Some(rest) if rest.len() == shown.as_str().len() => Ok(shown),
            Some(rest) => MailboxName::new(rest),
            None => Err(NameError::Prefix),
        }
    }

    fn leads_back(&self, shown: &MailboxName, name: &MailboxName) -> bool {
        self.without_prefix(shown) == Some(name.as_str())
    }

    /// Without the longer of the prefixes that it has; `None` if it has none and should.
    fn without_prefix<'n>(&self, shown: &'n MailboxName) -> Option<&'n str> {
        if shown.is_inbox() {
            return Some(shown.as_str());
        }
        let prefixes = [&self.prefix, &self.hidden].into_iter();
        let stripped = prefixes.filter_map(|prefix| match prefix.is_empty() {
            true => None,
            false => shown.as_str().strip_prefix(prefix.as_str()),
        });
        let plain = self.prefix.is_empty().then_some(shown.as_str());
        stripped.min_by_key(|rest| rest.len()).or(plain)
    }

    /// Whether a LIST pattern is about what lies behind the hidden prefix.
    pub fn is_hidden(&self, pattern: &Pattern) -> bool {
        !self.hidden.is_empty() && pattern.starts_with(&self.hidden)
    }

    /// The root that a reference without a pattern is in (RFC 3501 6.3.8), ending in `/`, or empty.
    pub fn root_of(&self, reference: &Pattern) -> &str {
        let prefixes = [&self.hidden, &self.prefix];
        let root = prefixes
            .into_iter()
            .find(|prefix| !prefix.is_empty() && reference.starts_with(prefix));
        root.map_or("", String::as_str)
    }
}

/// `INBOX.` to `INBOX/`
fn normal(prefix: &str, separator: u8) -> Result<String, NameError> {
    if prefix.is_empty() {
        return Ok(String::new());
    }
    let separator = char::from(separator);
    let levels = prefix.strip_suffix(separator).ok_or(NameError::Prefix)?;
    let name = MailboxName::new(&levels.replace(separator, "/"))?;
    Ok(format!("{name}/"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_that_is_shown_leads_back() {
        for (prefix, hidden) in [
            ("", ""),
            ("INBOX.", ""),
            ("", "INBOX."),
            ("Mail.", "INBOX."),
            ("INBOX.", "Mail."),
            ("a.b.", "a."),
            ("a.", "a.b."),
        ] {
            let namespaces = Namespaces::new(prefix, hidden, b'.').unwrap();
            for text in [
                "INBOX", "a", "b", "a/b", "a/b/c", "INBOX/a", "Mail", "Mail/x",
            ] {
                let name = MailboxName::new(text).unwrap();
                let shown = namespaces.show(&name);
                assert_eq!(
                    namespaces.resolve(shown.clone()),
                    Ok(name.clone()),
                    "{prefix} {hidden} {shown}"
                );
                if !hidden.is_empty()
                    && let Some(shown) = namespaces.show_hidden(&name)
                {
                    assert_eq!(namespaces.resolve(shown), Ok(name));
                }
            }
        }
    }

    #[test]
    fn a_name_without_the_prefix_is_none() {
        let namespaces = Namespaces::new("INBOX.", "", b'.').unwrap();
        let resolve = |text: &str| namespaces.resolve(MailboxName::new(text).unwrap());
        assert_eq!(resolve("foo"), Err(NameError::Prefix));
        assert_eq!(resolve("INBOX/INBOX"), Ok(MailboxName::inbox()));
        assert_eq!(resolve("inbox/foo"), MailboxName::new("foo"));
    }

    #[test]
    fn a_prefix_ends_in_the_separator() {
        assert_eq!(Namespaces::new("INBOX", "", b'.'), Err(NameError::Prefix));
        assert_eq!(Namespaces::new("", "..", b'.'), Err(NameError::EmptyLevel));
    }
}
