//! What a server says: each function appends to the output (RFC 3501 7, RFC 9051 7).

use super::command::{Extension, Tag};
use super::flag::SYSTEM_FLAGS;
use super::list::Attributes;
use super::mailbox::Dialect;
use super::status::StatusItem;
use super::syntax::{write_number, write_string};
use crate::mail::{MailboxName, Ranges, utf7};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Status {
    Ok,
    No,
    Bad,
}

/// resp-text-code (RFC 3501 7.1, RFC 9051 7.1, RFC 5530, RFC 4315, RFC 7162, RFC 3516, RFC 8474
/// ...)
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Code<'a> {
    AlreadyExists,
    /// `APPENDUID uidvalidity uids`
    AppendUid(u32, &'a Ranges),
    AuthenticationFailed,
    AuthorizationFailed,
    BadCharset,
    Cannot,
    Capability(&'a str),
    Closed,
    /// `COPYUID uidvalidity from to`
    CopyUid(u32, &'a Ranges, &'a Ranges),
    Corruption,
    Expired,
    ExpungeIssued,
    HighestModSeq(u64),
    InUse,
    Limit,
    MailboxId(&'a str),
    /// `MODIFIED set` (RFC 7162 3.1.3)
    Modified(&'a Ranges),
    NonExistent,
    NoPerm,
    OverQuota,
    PrivacyRequired,
    ReadOnly,
    ReadWrite,
    ServerBug,
    TooBig,
    TryCreate,
    UidNext(u64),
    UidValidity(u32),
    Unavailable,
    UnknownCte,
    Unseen(u32),
    UseAttr,
}

/// `tag OK [CODE] text`
pub fn tagged(out: &mut Vec<u8>, tag: &Tag, status: Status, code: Option<Code<'_>>, text: &str) {
    out.extend_from_slice(tag.as_bytes());
    write_condition(out, status, code, text);
}

/// `* OK [CODE] text`
pub fn untagged(out: &mut Vec<u8>, status: Status, code: Option<Code<'_>>, text: &str) {
    out.push(b'*');
    write_condition(out, status, code, text);
}

/// `* PREAUTH [CAPABILITY ..] text`
pub fn preauth(out: &mut Vec<u8>, code: Option<Code<'_>>, text: &str) {
    out.extend_from_slice(b"* PREAUTH");
    write_text(out, code, text);
}

/// `* BYE text`
pub fn bye(out: &mut Vec<u8>, code: Option<Code<'_>>, text: &str) {
    out.extend_from_slice(b"* BYE");
    write_text(out, code, text);
}

/// What the list of capabilities depends on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stage<'a> {
    /// Not logged in; `starttls`: TLS is on offer; `login`: so is LOGIN; the names of the SASL
    /// mechanisms.
    PreLogin {
        starttls: bool,
        login: bool,
        mechanisms: &'a [&'static str],
    },
    LoggedIn,
}

/// `IMAP4rev1 IMAP4rev2 ..`, for the greeting's code and for `capability`.
pub fn capabilities(stage: Stage<'_>, append_limit: Option<u64>) -> String {
    let mut list = String::from(match stage {
        Stage::PreLogin { .. } => BEFORE_LOGIN,
        Stage::LoggedIn => AFTER_LOGIN,
    });
    match stage {
        Stage::PreLogin {
            starttls,
            login,
            mechanisms,
        } => {
            if starttls {
                list.push_str(" STARTTLS");
            }
            if !login {
                list.push_str(" LOGINDISABLED");
            }
            for mechanism in mechanisms {
                list.push_str(" AUTH=");
                list.push_str(mechanism);
            }
        }
        Stage::LoggedIn => {
            list.push_str(" APPENDLIMIT");
            if let Some(limit) = append_limit {
                list.push_str(&format!("={limit}"));
            }
        }
    }
    list
}

/// `* CAPABILITY ..`
pub fn capability(out: &mut Vec<u8>, capabilities: &str) {
    out.extend_from_slice(b"* CAPABILITY ");
    out.extend_from_slice(capabilities.as_bytes());
    out.extend_from_slice(LINE_END);
}

/// `* ENABLED ..`
pub fn enabled(out: &mut Vec<u8>, extensions: &[Extension]) {
    out.extend_from_slice(b"* ENABLED");
    for extension in extensions {
        out.push(b' ');
        out.extend_from_slice(extension.as_str().as_bytes());
    }
    out.extend_from_slice(LINE_END);
}

/// `* ID (..)`
pub fn id(out: &mut Vec<u8>, fields: &[(&str, &str)]) {
    out.extend_from_slice(b"* ID ");
    for (index, (name, value)) in fields.iter().enumerate() {
        out.push(if index == 0 { b'(' } else { b' ' });
        write_string(out, name.as_bytes(), false);
        out.push(b' ');
        write_string(out, value.as_bytes(), false);
    }
    out.extend_from_slice(if fields.is_empty() {
        b"NIL\r\n"
    } else {
        b")\r\n"
    });
}

/// `* NAMESPACE (("" "/")) NIL NIL`
pub fn namespace(out: &mut Vec<u8>, dialect: Dialect<'_>) {
    out.extend_from_slice(b"* NAMESPACE ((");
    write_root(dialect.namespaces.prefix(), out, dialect);
    out.push(b' ');
    write_separator(out, dialect);
    out.extend_from_slice(b")) NIL NIL\r\n");
}

/// `* 23 EXISTS`
pub fn exists(out: &mut Vec<u8>, count: u32) {
    write_count(out, count, b" EXISTS\r\n");
}

/// `* 2 RECENT`, which IMAP4rev2 has not.
pub fn recent(out: &mut Vec<u8>, count: u32) {
    write_count(out, count, b" RECENT\r\n");
}

/// `* 44 EXPUNGE`
pub fn expunge(out: &mut Vec<u8>, number: u32) {
    write_count(out, number, b" EXPUNGE\r\n");
}

/// `* VANISHED uids` or `* VANISHED (EARLIER) uids` (RFC 7162 3.2.10); nothing for no UIDs.
pub fn vanished(out: &mut Vec<u8>, earlier: bool, uids: &Ranges) {
    if uids.is_empty() {
        return;
    }
    out.extend_from_slice(if earlier {
        b"* VANISHED (EARLIER) "
    } else {
        b"* VANISHED "
    });
    uids.write(out);
    out.extend_from_slice(LINE_END);
}

/// `* FLAGS (\Answered .. keywords)`
pub fn flags<'k>(out: &mut Vec<u8>, keywords: impl IntoIterator<Item = &'k str>) {
    out.extend_from_slice(b"* FLAGS ");
    write_all_flags(out, keywords, false);
    out.extend_from_slice(LINE_END);
}

/// `* OK [PERMANENTFLAGS (.. keywords \*)] Flags permitted.`; `None`: no flag can be changed.
pub fn permanent_flags<'k>(
    out: &mut Vec<u8>,
    keywords: Option<impl IntoIterator<Item = &'k str>>,
    new_keywords: bool,
) {
    out.extend_from_slice(b"* OK [PERMANENTFLAGS ");
    let Some(keywords) = keywords else {
        return out.extend_from_slice(b"()] No flags can be changed.\r\n");
    };
    write_all_flags(out, keywords, new_keywords);
    out.extend_from_slice(b"] Flags permitted.\r\n");
}

/// What a LIST or LSUB response says.
#[derive(Clone, Copy, Debug)]
pub struct Listed<'a> {
    pub attributes: Attributes,
    /// With the prefix of its namespace.
    pub name: &'a MailboxName,
    /// CHILDINFO: the mailbox is listed because a child is subscribed (RFC 5258 4).
    pub child_info_subscribed: bool,
    /// OLDNAME (RFC 9051 6.3.9.7), for clients that enabled IMAP4rev2.
    pub old_name: Option<&'a MailboxName>,
}

/// `* LIST (..) "/" name`
pub fn list(out: &mut Vec<u8>, listed: Listed<'_>, dialect: Dialect<'_>) {
    write_listed(out, b"* LIST ", listed, dialect);
}

/// `* LSUB (..) "/" name`
pub fn lsub(out: &mut Vec<u8>, listed: Listed<'_>, dialect: Dialect<'_>) {
    write_listed(out, b"* LSUB ", listed, dialect);
}

/// `* LIST (\Noselect) "/" ""`: the answer to the empty pattern, with the root (ending in `/`) of
/// the reference; `* LSUB ..` if `lsub`.
pub fn list_root(out: &mut Vec<u8>, lsub: bool, root: &str, dialect: Dialect<'_>) {
    out.extend_from_slice(if lsub { b"* LSUB" } else { b"* LIST" });
    out.extend_from_slice(b" (\\Noselect) ");
    write_separator(out, dialect);
    out.push(b' ');
    write_root(root, out, dialect);
    out.extend_from_slice(LINE_END);
}

/// A value in a STATUS response.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StatusValue<'a> {
    Number(u64),
    Id(&'a str),
}

/// `* STATUS name (MESSAGES 231 ..)`
pub fn status(
    out: &mut Vec<u8>,
    name: &MailboxName,
    values: &[(StatusItem, StatusValue<'_>)],
    dialect: Dialect<'_>,
) {
    out.extend_from_slice(b"* STATUS ");
    name.write(out, dialect);
    out.push(b' ');
    for (index, (item, value)) in values.iter().enumerate() {
        out.push(if index == 0 { b'(' } else { b' ' });
        out.extend_from_slice(item.as_str().as_bytes());
        out.push(b' ');
        match *value {
            StatusValue::Number(number) => write_number(out, number),
            StatusValue::Id(id) => write_object_id(out, id),
        }
    }
    out.extend_from_slice(if values.is_empty() {
        b"()\r\n"
    } else {
        b")\r\n"
    });
}

/// `* SEARCH 2 3 6 (MODSEQ 917162500)`
pub fn search(out: &mut Vec<u8>, found: &Ranges, modseq: Option<u64>) {
    out.extend_from_slice(b"* SEARCH");
    for number in found.iter() {
        out.push(b' ');
        write_number(out, number.into());
    }
    if let Some(modseq) = modseq {
        out.extend_from_slice(b" (MODSEQ ");
        write_number(out, modseq);
        out.push(b')');
    }
    out.extend_from_slice(LINE_END);
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
    out.extend_from_slice(b"* ESEARCH (TAG ");
    write_string(out, tag.as_bytes(), false);
    out.push(b')');
    if found.uid {
        out.extend_from_slice(b" UID");
    }
    let mut number = |name: &[u8], value: Option<u64>| {
        if let Some(value) = value {
            out.extend_from_slice(name);
            write_number(out, value);
        }
    };
    number(b" MIN ", found.min.map(u64::from));
    number(b" MAX ", found.max.map(u64::from));
    number(b" COUNT ", found.count.map(u64::from));
    if let Some(all) = found.all.filter(|all| !all.is_empty()) {
        out.extend_from_slice(b" ALL ");
        all.write(out);
    }
    // Last, as in the examples of RFC 7162 3.1.10.
    if let Some(modseq) = found.modseq {
        out.extend_from_slice(b" MODSEQ ");
        write_number(out, modseq);
    }
    out.extend_from_slice(LINE_END);
}

/// resp-cond-state = ("OK" / "NO" / "BAD") SP resp-text, after the tag
fn write_condition(out: &mut Vec<u8>, status: Status, code: Option<Code<'_>>, text: &str) {
    out.extend_from_slice(match status {
        Status::Ok => b" OK",
        Status::No => b" NO",
        Status::Bad => b" BAD",
    });
    write_text(out, code, text);
}

/// resp-text = ["[" resp-text-code "]" SP] text; the text is kept to one line of ASCII.
fn write_text(out: &mut Vec<u8>, code: Option<Code<'_>>, text: &str) {
    out.push(b' ');
    if let Some(code) = code {
        out.push(b'[');
        code.write(out);
        out.extend_from_slice(b"] ");
    }
    out.extend(text.chars().map(|c| {
        if matches!(c, ' '..='~') {
            c as u8
        } else {
            b'?'
        }
    }));
    out.extend_from_slice(LINE_END);
}

impl Code<'_> {
    /// resp-text-code
    fn write(self, out: &mut Vec<u8>) {
        out.extend_from_slice(self.name().as_bytes());
        let mut number = |value: u64| {
            out.push(b' ');
            write_number(out, value);
        };
        match self {
            Code::HighestModSeq(modseq) => number(modseq),
            Code::UidNext(uid) => number(uid),
            Code::UidValidity(validity) => number(validity.into()),
            Code::Unseen(message) => number(message.into()),
            Code::AppendUid(validity, uids) => {
                number(validity.into());
                write_set(out, uids);
            }
            Code::CopyUid(validity, from, to) => {
                number(validity.into());
                write_set(out, from);
                write_set(out, to);
            }
            Code::Modified(set) => write_set(out, set),
            Code::Capability(capabilities) => {
                out.push(b' ');
                out.extend_from_slice(capabilities.as_bytes());
            }
            Code::MailboxId(id) => {
                out.push(b' ');
                write_object_id(out, id);
            }
            _ => {}
        }
    }

    /// The word that a code begins with.
    fn name(self) -> &'static str {
        match self {
            Code::AlreadyExists => "ALREADYEXISTS",
            Code::AppendUid(..) => "APPENDUID",
            Code::AuthenticationFailed => "AUTHENTICATIONFAILED",
            Code::AuthorizationFailed => "AUTHORIZATIONFAILED",
            Code::BadCharset => "BADCHARSET",
            Code::Cannot => "CANNOT",
            Code::Capability(_) => "CAPABILITY",
            Code::Closed => "CLOSED",
            Code::CopyUid(..) => "COPYUID",
            Code::Expired => "EXPIRED",
            Code::ExpungeIssued => "EXPUNGEISSUED",
            Code::HighestModSeq(_) => "HIGHESTMODSEQ",
            Code::Corruption => "CORRUPTION",
            Code::InUse => "INUSE",
            Code::Limit => "LIMIT",
            Code::MailboxId(_) => "MAILBOXID",
            Code::Modified(_) => "MODIFIED",
            Code::NonExistent => "NONEXISTENT",
            Code::NoPerm => "NOPERM",
            Code::OverQuota => "OVERQUOTA",
            Code::PrivacyRequired => "PRIVACYREQUIRED",
            Code::ReadOnly => "READ-ONLY",
            Code::ReadWrite => "READ-WRITE",
            Code::ServerBug => "SERVERBUG",
            Code::TooBig => "TOOBIG",
            Code::TryCreate => "TRYCREATE",
            Code::UidNext(_) => "UIDNEXT",
            Code::UidValidity(_) => "UIDVALIDITY",
            Code::Unavailable => "UNAVAILABLE",
            Code::UnknownCte => "UNKNOWN-CTE",
            Code::Unseen(_) => "UNSEEN",
            Code::UseAttr => "USEATTR",
        }
    }
}

/// SP uid-set
fn write_set(out: &mut Vec<u8>, set: &Ranges) {
    out.push(b' ');
    set.write(out);
}

/// "(" objectid ")" (RFC 8474 7)
fn write_object_id(out: &mut Vec<u8>, id: &str) {
    out.push(b'(');
    out.extend_from_slice(id.as_bytes());
    out.push(b')');
}

/// A prefix that ends in `/`, or nothing, as a string: an atom is not allowed in NAMESPACE.
fn write_root(prefix: &str, out: &mut Vec<u8>, dialect: Dialect<'_>) {
    let separator = char::from(dialect.separator);
    let prefix = prefix.replace('/', separator.encode_utf8(&mut [0; 4]));
    let prefix = match dialect.utf8 {
        true => prefix,
        false => utf7::encode(&prefix),
    };
    write_string(out, prefix.as_bytes(), dialect.utf8);
}

/// `"/"`
fn write_separator(out: &mut Vec<u8>, dialect: Dialect<'_>) {
    out.extend_from_slice(&[b'"', dialect.separator, b'"']);
}

/// `* 23` and the rest of the line
fn write_count(out: &mut Vec<u8>, number: u32, rest: &[u8]) {
    out.extend_from_slice(b"* ");
    write_number(out, number.into());
    out.extend_from_slice(rest);
}

/// The system flags, keywords, and `\*` if there can be more.
fn write_all_flags<'k>(out: &mut Vec<u8>, keywords: impl IntoIterator<Item = &'k str>, more: bool) {
    let mut before = b'(';
    let system = SYSTEM_FLAGS.iter().map(|&(_, name)| name);
    for name in system.chain(keywords).chain(more.then_some("\\*")) {
        out.push(before);
        out.extend_from_slice(name.as_bytes());
        before = b' ';
    }
    out.push(b')');
}

/// mailbox-list = "(" [mbx-list-flags] ")" SP (DQUOTE QUOTED-CHAR DQUOTE / nil) SP mailbox
/// [SP mbox-list-extended]
fn write_listed(out: &mut Vec<u8>, start: &[u8], listed: Listed<'_>, dialect: Dialect<'_>) {
    out.extend_from_slice(start);
    listed.attributes.write(out);
    out.push(b' ');
    write_separator(out, dialect);
    out.push(b' ');
    listed.name.write_shown(out, dialect);
    // mbox-list-extended = "(" [mbox-list-extended-item *(SP mbox-list-extended-item)] ")"
    let mut before: &[u8] = b" (";
    if listed.child_info_subscribed {
        out.extend_from_slice(before);
        out.extend_from_slice(b"\"CHILDINFO\" (\"SUBSCRIBED\")");
        before = b" ";
    }
    if let Some(old_name) = listed.old_name {
        out.extend_from_slice(before);
        out.extend_from_slice(b"\"OLDNAME\" (");
        old_name.write(out, dialect);
        out.push(b')');
        before = b" ";
    }
    out.extend_from_slice(if before == b" " { b")\r\n" } else { LINE_END });
}

const LINE_END: &[u8] = b"\r\n";

const BEFORE_LOGIN: &str = "IMAP4rev1 IMAP4rev2 LITERAL+ SASL-IR ENABLE IDLE ID";

const AFTER_LOGIN: &str = "IMAP4rev1 IMAP4rev2 LITERAL+ SASL-IR ENABLE IDLE ID NAMESPACE CHILDREN \
    UNSELECT UIDPLUS MOVE MULTIAPPEND BINARY LIST-EXTENDED LIST-STATUS SPECIAL-USE \
    CREATE-SPECIAL-USE STATUS=SIZE ESEARCH SEARCHRES WITHIN CONDSTORE QRESYNC SAVEDATE OBJECTID";

#[cfg(test)]
mod tests;
