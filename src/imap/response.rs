//! What a server says: each function appends to the output (RFC 3501 7, RFC 9051 7).

use super::command::{StatusItem, Tag};
use super::list::Attributes;
use super::mailbox::{Dialect, MailboxName};
use super::sequence::{Ranges, Uid};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Status {
    Ok,
    No,
    Bad,
}

/// resp-text-code (RFC 3501 7.1, RFC 9051 7.1, RFC 5530, RFC 4315, RFC 7162, RFC 3516, RFC 8474 ...)
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Code<'a> {
    Alert,
    AlreadyExists,
    /// `APPENDUID uidvalidity uids`
    AppendUid(u32, &'a Ranges),
    AuthenticationFailed,
    AuthorizationFailed,
    BadCharset,
    Cannot,
    Capability(&'a str),
    ClientBug,
    Closed,
    ContactAdmin,
    /// `COPYUID uidvalidity from to`
    CopyUid(u32, &'a Ranges, &'a Ranges),
    Corruption,
    Expired,
    ExpungeIssued,
    HasChildren,
    HighestModSeq(u64),
    InUse,
    Limit,
    MailboxId(&'a str),
    /// `MODIFIED set` (RFC 7162 3.1.3)
    Modified(&'a Ranges),
    NoModSeq,
    NonExistent,
    NoPerm,
    NotSaved,
    OverQuota,
    Parse,
    PrivacyRequired,
    ReadOnly,
    ReadWrite,
    ServerBug,
    TooBig,
    TryCreate,
    UidNext(u64),
    UidNotSticky,
    UidValidity(u32),
    Unavailable,
    UnknownCte,
    Unseen(u32),
    UseAttr,
}

/// `tag OK [CODE] text`
pub fn tagged(out: &mut Vec<u8>, tag: &Tag, status: Status, code: Option<Code<'_>>, text: &str) {
    todo!("{out:?} {tag:?} {status:?} {code:?} {text}")
}

/// `* OK [CODE] text`
pub fn untagged(out: &mut Vec<u8>, status: Status, code: Option<Code<'_>>, text: &str) {
    todo!("{out:?} {status:?} {code:?} {text}")
}

/// `* PREAUTH [CAPABILITY ..] text`
pub fn preauth(out: &mut Vec<u8>, code: Option<Code<'_>>, text: &str) {
    todo!("{out:?} {code:?} {text}")
}

/// `* BYE text`
pub fn bye(out: &mut Vec<u8>, code: Option<Code<'_>>, text: &str) {
    todo!("{out:?} {code:?} {text}")
}

/// What the list of capabilities depends on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stage {
    /// Not logged in; `starttls`: TLS is on offer; `login`: passwords are taken on this connection.
    PreLogin {
        starttls: bool,
        login: bool,
    },
    LoggedIn,
}

/// `IMAP4rev1 IMAP4rev2 ..`, for the greeting's code and for `capability`.
pub fn capabilities(stage: Stage, append_limit: Option<u64>) -> String {
    todo!("{stage:?} {append_limit:?}")
}

/// `* CAPABILITY ..`
pub fn capability(out: &mut Vec<u8>, capabilities: &str) {
    todo!("{out:?} {capabilities}")
}

/// `* ENABLED ..`
pub fn enabled(out: &mut Vec<u8>, extensions: &[super::command::Extension]) {
    todo!("{out:?} {extensions:?}")
}

/// `* ID (..)`
pub fn id(out: &mut Vec<u8>, fields: &[(&str, &str)]) {
    todo!("{out:?} {fields:?}")
}

/// `* NAMESPACE (("" "/")) NIL NIL`
pub fn namespace(out: &mut Vec<u8>, dialect: Dialect) {
    todo!("{out:?} {dialect:?}")
}

/// `* 23 EXISTS`
pub fn exists(out: &mut Vec<u8>, count: u32) {
    todo!("{out:?} {count}")
}

/// `* 2 RECENT`, which IMAP4rev2 has not.
pub fn recent(out: &mut Vec<u8>, count: u32) {
    todo!("{out:?} {count}")
}

/// `* 44 EXPUNGE`
pub fn expunge(out: &mut Vec<u8>, number: u32) {
    todo!("{out:?} {number}")
}

/// `* VANISHED uids` or `* VANISHED (EARLIER) uids` (RFC 7162 3.2.10); nothing for no UIDs.
pub fn vanished(out: &mut Vec<u8>, earlier: bool, uids: &Ranges) {
    todo!("{out:?} {earlier} {uids:?}")
}

/// `* FLAGS (\Answered .. keywords)`
pub fn flags<'k>(out: &mut Vec<u8>, keywords: impl IntoIterator<Item = &'k str>) {
    let _ = keywords;
    todo!("{out:?}")
}

/// `* OK [PERMANENTFLAGS (.. keywords \*)] Flags permitted.`; `None`: no flag can be changed.
pub fn permanent_flags<'k>(
    out: &mut Vec<u8>,
    keywords: Option<impl IntoIterator<Item = &'k str>>,
    new_keywords: bool,
) {
    let _ = keywords;
    todo!("{out:?} {new_keywords}")
}

/// What a LIST or LSUB response says.
#[derive(Clone, Copy, Debug)]
pub struct Listed<'a> {
    pub attributes: Attributes,
    pub name: &'a MailboxName,
    /// CHILDINFO: the mailbox is listed because a child is subscribed (RFC 5258 4).
    pub child_info_subscribed: bool,
    /// OLDNAME (RFC 9051 6.3.9.7).
    pub old_name: Option<&'a MailboxName>,
}

/// `* LIST (..) "/" name`
pub fn list(out: &mut Vec<u8>, listed: Listed<'_>, dialect: Dialect) {
    todo!("{out:?} {listed:?} {dialect:?}")
}

/// `* LSUB (..) "/" name`
pub fn lsub(out: &mut Vec<u8>, listed: Listed<'_>, dialect: Dialect) {
    todo!("{out:?} {listed:?} {dialect:?}")
}

/// `* LIST (\Noselect) "/" ""`: the answer to the empty pattern; `* LSUB ..` if `lsub`.
pub fn list_root(out: &mut Vec<u8>, lsub: bool, dialect: Dialect) {
    todo!("{out:?} {lsub} {dialect:?}")
}

/// A value in a STATUS response.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StatusValue<'a> {
    Number(u64),
    Id(&'a str),
    /// APPENDLIMIT of a mailbox without one (RFC 7889).
    Nil,
}

/// `* STATUS name (MESSAGES 231 ..)`
pub fn status(
    out: &mut Vec<u8>,
    name: &MailboxName,
    values: &[(StatusItem, StatusValue<'_>)],
    dialect: Dialect,
) {
    todo!("{out:?} {name:?} {values:?} {dialect:?}")
}

/// `* SEARCH 2 3 6 (MODSEQ 917162500)`
pub fn search(out: &mut Vec<u8>, found: &Ranges, modseq: Option<u64>) {
    todo!("{out:?} {found:?} {modseq:?}")
}

/// What an ESEARCH response says; what was not asked for, or is nothing, is `None`.
#[derive(Clone, Copy, Debug, Default)]
pub struct Found<'a> {
    pub uid: bool,
    pub min: Option<u32>,
    pub max: Option<u32>,
    pub all: Option<&'a Ranges>,
    pub count: Option<u32>,
    pub modseq: Option<u64>,
}

/// `* ESEARCH (TAG "a1") UID COUNT 5 ALL 4:8` (RFC 4731 3.1)
pub fn esearch(out: &mut Vec<u8>, tag: &Tag, found: Found<'_>) {
    todo!("{out:?} {tag:?} {found:?}")
}

/// `+ text`
pub fn continuation(out: &mut Vec<u8>, text: &str) {
    todo!("{out:?} {text}")
}

/// The set of one UID, for APPENDUID.
pub fn one(uid: Uid) -> Ranges {
    let mut ranges = Ranges::new();
    ranges.push(uid.0);
    ranges
}
