//! Mailbox names as directory names, and the most likely reading of directory names.

use crate::mail::{Layout, MailboxName, Naming, utf7};

/// The path from the root of the folder that a mailbox of this name is given; not for INBOX.  The
/// error says why there cannot be one.
pub(super) fn path(name: &MailboxName, naming: Naming) -> Result<Vec<u8>, &'static str> {
    if name.as_str().starts_with('~') {
        return Err("A mailbox name cannot begin with '~'.");
    }
    let fs = naming.layout == Layout::Fs;
    for level in name.levels() {
        if !fs && level.contains('.') {
            return Err("A mailbox name cannot contain '.' here.");
        }
        if fs && is_reserved(level) {
            return Err("The name is that of a part or a file of a mailbox.");
        }
        if naming.write(level).len() > LEVEL_MAX {
            return Err(TOO_LONG);
        }
    }
    let encoded = naming.write(name.as_str());
    if fs {
        return match encoded.len() {
            0..=PATH_MAX => Ok(encoded.into_bytes()),
            _ => Err(TOO_LONG),
        };
    }
    let directory = format!(".{}", encoded.replace('/', "."));
    match directory.len() {
        0..=LEVEL_MAX => Ok(directory.into_bytes()),
        _ => Err(TOO_LONG),
    }
}

/// The name of the mailbox at `path` from the root.  None: the root, or not a mailbox's.
pub(in crate::maildir) fn name(path: &[u8], naming: Naming) -> Option<MailboxName> {
    let levels = match naming.layout {
        Layout::Fs => path,
        _ => path.strip_prefix(b".")?,
    };
    let separator = naming.separator();
    if levels.is_empty() {
        return None;
    }
    let levels: Vec<String> = levels
        .split(|&byte| byte == separator)
        .map(|level| read_level(level, naming))
        .collect();
    MailboxName::new(&levels.join("/")).ok()
}

/// Modified UTF-7 where that is used and it is that and can stand in a name, else UTF-8, else
/// Latin-1.
fn read_level(level: &[u8], naming: Naming) -> String {
    let fits = |text: &String| {
        let separates = |c: char| c == '/' || c == '.' && naming.layout != Layout::Fs;
        !text.is_empty() && !text.chars().any(|c| c.is_control() || separates(c))
    };
    let decoded = utf7::decode(level).ok().filter(|_| !naming.utf8);
    if let Some(text) = decoded.filter(fits) {
        return text;
    }
    let text = match std::str::from_utf8(level) {
        Ok(text) => text.to_owned(),
        Err(_) => level.iter().copied().map(char::from).collect(),
    };
    let legible = text.replace(char::is_control, "\u{fffd}");
    match legible.as_str() {
        "" | "." | ".." => "_".to_owned(),
        _ => legible,
    }
}

/// Another name for a folder whose own is that of another folder.
pub(super) fn apart(name: &MailboxName, path: &[u8]) -> Option<MailboxName> {
    let mark = crc32fast::hash(path);
    MailboxName::new(&format!("{name}-{mark:08x}")).ok()
}

/// What may lie in a folder beside folders, with `LAYOUT=fs`.
fn is_reserved(level: &str) -> bool {
    const NAMES: [&str; 12] = [
        "cur",
        "new",
        "tmp",
        "maildirfolder",
        "maildirsize",
        "subscriptions",
        "dovecot-acl",
        "dovecot-acl-list",
        "dovecot-attributes",
        "dovecot-keywords",
        "dovecot-shared",
        "dovecot-uidlist",
    ];
    const BEGINNINGS: [&str; 7] = [
        "..",
        "dovecot-uidvalidity",
        "dovecot.index",
        "dovecot.list.index",
        "dovecot.mailbox.log",
        "courierimap",
        "roost.",
    ];
    NAMES.contains(&level) || BEGINNINGS.iter().any(|name| level.starts_with(name))
}

/// Whether the file or directory in a folder tells of its messages.
pub(super) fn is_of_mailbox(name: &[u8]) -> bool {
    const BEGINNINGS: [&[u8]; 5] = [
        b"dovecot.index",
        b"dovecot-uidlist",
        b"dovecot-keywords",
        b"courierimap",
        b"roost.",
    ];
    matches!(name, b"cur" | b"new" | b"tmp")
        || BEGINNINGS
            .iter()
            .any(|beginning| name.starts_with(beginning))
}

const TOO_LONG: &str = "The mailbox name is too long.";
/// What file systems allow.
const LEVEL_MAX: usize = 255;
/// So that files in it can still be named by a path.
const PATH_MAX: usize = 3000;
