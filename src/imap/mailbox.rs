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
