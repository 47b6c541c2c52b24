//! What STATUS can tell (RFC 3501 6.3.10, RFC 9051 6.3.11, RFC 7162 3.1.7, RFC 7889, RFC 8438, RFC
//! 8474).

use super::syntax::{Parsed, Reader, fail};

/// status-att (RFC 9051 9, RFC 7162 7, RFC 7889 5, RFC 8474 7)
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StatusItem {
    Messages,
    Recent,
    UidNext,
    UidValidity,
    Unseen,
    Deleted,
    Size,
    AppendLimit,
    MailboxId,
    HighestModSeq,
}

impl StatusItem {
    pub const ALL: [StatusItem; 10] = [
        StatusItem::Messages,
        StatusItem::Recent,
        StatusItem::UidNext,
        StatusItem::UidValidity,
        StatusItem::Unseen,
        StatusItem::Deleted,
        StatusItem::Size,
        StatusItem::AppendLimit,
        StatusItem::MailboxId,
        StatusItem::HighestModSeq,
    ];

    pub fn as_str(self) -> &'static str {
        match self {
            StatusItem::Messages => "MESSAGES",
            StatusItem::Recent => "RECENT",
            StatusItem::UidNext => "UIDNEXT",
            StatusItem::UidValidity => "UIDVALIDITY",
            StatusItem::Unseen => "UNSEEN",
            StatusItem::Deleted => "DELETED",
            StatusItem::Size => "SIZE",
            StatusItem::AppendLimit => "APPENDLIMIT",
            StatusItem::MailboxId => "MAILBOXID",
            StatusItem::HighestModSeq => "HIGHESTMODSEQ",
        }
    }
}

impl Reader<'_> {
    /// "(" status-att *(SP status-att) ")"
    pub fn status_atts(&mut self) -> Parsed<Vec<StatusItem>> {
        let mut items = Vec::new();
        self.list(|reader| {
            let word = reader.word();
            let item = StatusItem::ALL
                .into_iter()
                .find(|item| item.as_str() == word.as_str());
            match item {
                None => return fail("Unknown STATUS item"),
                Some(item) if items.contains(&item) => {}
                Some(item) => items.push(item),
            }
            Ok(())
        })?;
        if items.is_empty() {
            return fail("Empty STATUS list");
        }
        Ok(items)
    }
}
