//! Commands and their arguments.

use super::fetch::Fetch;
use super::flag::Flag;
use super::list::{List, Pattern};
use super::mailbox::{MailboxArgument, SpecialUse};
use super::search::Search;
use super::sequence::{Ranges, SequenceSet, Set};

/// `tag`: what the client wrote before the command.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tag(Vec<u8>);

impl Tag {
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tagged {
    pub tag: Tag,
    pub command: Command,
}

/// Every command but APPEND, whose messages do not fit in a value: see `connection::Event`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Command {
    Capability,
    Noop,
    Logout,
    Id(Vec<(Vec<u8>, Option<Vec<u8>>)>),
    StartTls,
    /// `initial` is decoded; `=` is an empty one (RFC 4959).
    Authenticate {
        mechanism: String,
        initial: Option<Secret>,
    },
    Login {
        user: Vec<u8>,
        password: Secret,
    },
    /// Those known here; the rest is ignored (RFC 5161 3.1).
    Enable(Vec<Extension>),
    Select(Select),
    Create {
        mailbox: MailboxArgument,
        /// An unknown use is answered `NO [USEATTR]` (RFC 6154 3).
        special_use: Result<Vec<SpecialUse>, UnknownUse>,
    },
    Delete(MailboxArgument),
    Rename {
        from: MailboxArgument,
        to: MailboxArgument,
    },
    Subscribe(MailboxArgument),
    Unsubscribe(MailboxArgument),
    List(List),
    Lsub(Pattern),
    Namespace,
    Status {
        mailbox: MailboxArgument,
        items: Vec<StatusItem>,
    },
    Idle,
    Check,
    Close,
    Unselect,
    /// With a set: UID EXPUNGE (RFC 4315).
    Expunge {
        uids: Option<Set>,
    },
    Search(Search),
    Fetch(Fetch),
    Store(Store),
    Copy(Copy),
    Move(Copy),
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Select {
    pub mailbox: MailboxArgument,
    pub examine: bool,
    /// `(CONDSTORE)`
    pub condstore: bool,
    pub qresync: Option<Qresync>,
}

/// `(QRESYNC (uidvalidity modseq [known-uids] [seq-match-data]))` (RFC 7162 3.2.5)
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Qresync {
    pub uid_validity: u32,
    pub modseq: u64,
    /// What the client knows; `None`: all.
    pub known_uids: Option<Ranges>,
    pub sequence_match: Option<SequenceMatch>,
}

/// Sequence numbers and the UIDs the client has for them, pair by pair in ascending order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SequenceMatch {
    pub numbers: Ranges,
    pub uids: Ranges,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Store {
    pub uid: bool,
    pub set: Set,
    pub unchanged_since: Option<u64>,
    pub how: How,
    pub silent: bool,
    pub flags: Vec<Flag>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum How {
    Replace,
    Add,
    Remove,
}

/// The arguments of COPY and MOVE.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Copy {
    pub uid: bool,
    pub set: Set,
    pub mailbox: MailboxArgument,
}

/// status-att
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

/// What ENABLE can switch on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Extension {
    CondStore,
    QResync,
    Imap4Rev2,
}

/// CREATE's USE names an attribute we do not know.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct UnknownUse;

/// A password: it cannot be printed.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(Vec<u8>);

impl Secret {
    pub fn new(secret: Vec<u8>) -> Secret {
        Secret(secret)
    }

    pub fn expose(&self) -> &[u8] {
        &self.0
    }
}

impl std::fmt::Debug for Secret {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Secret(..)")
    }
}

impl From<SequenceSet> for Set {
    fn from(set: SequenceSet) -> Set {
        Set::Numbers(set)
    }
}

use super::syntax::{Parsed, Reader, fail};

/// "(" status-att *(SP status-att) ")"
pub fn status_items(reader: &mut Reader<'_>) -> Parsed<Vec<StatusItem>> {
    let mut items = Vec::new();
    reader.list(|reader| {
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
    Ok(items)
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
