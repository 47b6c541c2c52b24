//! What Courier left in a Maildir, read once where Dovecot's counterpart is missing.
//!
//! Nothing is written, so Courier finds its files as they were.  What cannot be understood is
//! skipped: half of a user's keywords is better than none.

use std::collections::BTreeMap;
use std::path::Path;

use super::disk::dir::{Dir, DiskResult, is_gone};
use super::disk::plausible::can_fill;
use super::disk::text;
use super::tree::names;
use crate::mail::{MailboxName, Naming};

/// `courierimapuiddb`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Uiddb {
    pub uid_validity: u32,
    /// Above all UIDs in `records`.
    pub next_uid: u32,
    /// Ascending UIDs, base names without `:2,`.
    pub records: Vec<(u32, Vec<u8>)>,
}

/// The UIDs that Courier gave in this folder; None: there is no such file, or nothing usable in it.
pub fn uiddb(folder: &Path) -> DiskResult<Option<Uiddb>> {
    let folder = Dir::open(folder)?;
    let size = folder.stat_target(UIDDB)?.map_or(0, |stat| stat.size);
    if !can_fill(&folder, size) {
        return Err(folder.failure("read", UIDDB, std::io::ErrorKind::FileTooLarge));
    }
    let text = folder.read(UIDDB, SIZE_MAX)?;
    Ok(text.and_then(|(text, _)| parse_uiddb(&text)))
}

/// A line `1 <uidvalidity> <next uid>`, then lines `<uid> <base name>`.
fn parse_uiddb(text: &[u8]) -> Option<Uiddb> {
    let mut lines = text::lines(text);
    let header = std::str::from_utf8(lines.next()?).ok()?;
    let mut numbers = header.split(' ').map(str::parse::<u32>);
    let (Some(Ok(1)), Some(Ok(uid_validity @ 1..)), Some(Ok(next_uid))) =
        (numbers.next(), numbers.next(), numbers.next())
    else {
        return None;
    };
    let mut records = BTreeMap::new();
    for line in lines {
        let Some((uid, name)) = split_at_byte(line, b' ') else {
            continue;
        };
        let uid = std::str::from_utf8(uid)
            .ok()
            .and_then(|uid| uid.parse().ok());
        let base = name.split(|&byte| byte == b':').next().unwrap_or_default();
        if let Some(uid @ 1..=UID_MAX) = uid
            && !base.is_empty()
            && !base.contains(&b'/')
        {
            records.insert(uid, base.to_vec());
        }
    }
    let least = records.last_key_value().map_or(1, |(uid, _)| uid + 1);
    Some(Uiddb {
        uid_validity,
        next_uid: next_uid.max(least),
        records: records.into_iter().collect(),
    })
}

/// The mailboxes in `courierimapsubscribed`; None: there is no such file.
pub fn subscriptions(root: &Path) -> DiskResult<Option<Vec<MailboxName>>> {
    let text = Dir::open(root)?.read(SUBSCRIBED, LIST_MAX)?;
    Ok(text.map(|(text, _)| parse_subscriptions(&text)))
}

/// Lines `INBOX` or `INBOX.A.B`; the latter is the mailbox `A/B`, folder `.A.B`.  Newer versions
/// write UTF-8, as they do in folders' names.  Other people's mailboxes, which begin otherwise, are
/// left out.
fn parse_subscriptions(text: &[u8]) -> Vec<MailboxName> {
    let names = text::lines(text).filter_map(|line| {
        let folder = line.strip_prefix(b"INBOX")?;
        match folder {
            b"" => Some(MailboxName::inbox()),
            _ => names::name(folder, Naming::default()),
        }
    });
    names.collect()
}

/// Base name and keywords from `courierimapkeywords/` for each message that has any, sorted by base
/// name.
pub fn keywords(folder: &Path) -> DiskResult<Vec<(Vec<u8>, Vec<String>)>> {
    let directory = match Dir::open(folder)?.open_dir(KEYWORDS) {
        Err(e) if is_gone(&e) => return Ok(Vec::new()),
        directory => directory?,
    };
    let list = directory.read(b":list", LIST_MAX)?;
    let mut keywords = list.map_or_else(BTreeMap::new, |(list, _)| parse_list(&list));
    // Changes not yet in the list: `<base>`, and older ones as `.<time>.<base>`.
    let mut changes: BTreeMap<Vec<u8>, (u64, Vec<u8>)> = BTreeMap::new();
    let mut listing = directory.list()?;
    while listing.next_chunk(&mut |name, _| {
        if let Some((time, base)) = parse_change(name) {
            let newest = changes.entry(base).or_default();
            if newest.1.is_empty() || newest.0 <= time {
                *newest = (time, name.to_vec());
            }
        }
    })? {}
    for (base, (_, name)) in changes {
        if let Some((text, _)) = directory.read(&name, CHANGE_MAX)? {
            keywords.insert(base, lines(&text));
        }
    }
    keywords.retain(|_, keywords| !keywords.is_empty());
    Ok(keywords.into_iter().collect())
}

/// The keywords in use one a line, an empty line, then lines `<base>:<number> <number>...`.
fn parse_list(text: &[u8]) -> BTreeMap<Vec<u8>, Vec<String>> {
    let mut rest = text::lines(text);
    let names: Vec<String> = rest
        .by_ref()
        .take_while(|line| !line.is_empty())
        .map(|line| String::from_utf8_lossy(line).into_owned())
        .collect();
    let mut keywords = BTreeMap::new();
    for line in rest {
        let Some(colon) = line.iter().rposition(|&byte| byte == b':') else {
            continue;
        };
        let (base, numbers) = line.split_at(colon);
        let numbers = String::from_utf8_lossy(numbers.get(1..).unwrap_or_default());
        let of_message = numbers
            .split(' ')
            .filter_map(|number| names.get(number.parse::<usize>().ok()?).cloned());
        keywords.insert(base.to_vec(), of_message.collect());
    }
    keywords
}

/// How new the change in the file `name` is, and of which message.
fn parse_change(name: &[u8]) -> Option<(u64, Vec<u8>)> {
    if name.starts_with(b":") || name.starts_with(b".tmp") {
        return None;
    }
    let Some(rest) = name.strip_prefix(b".") else {
        return Some((u64::MAX, name.to_vec()));
    };
    let (time, base) = split_at_byte(rest, b'.')?;
    let time = std::str::from_utf8(time).ok()?.parse().ok()?;
    Some((time, base.to_vec()))
}

fn lines(text: &[u8]) -> Vec<String> {
    String::from_utf8_lossy(text)
        .lines()
        .filter(|line| !line.is_empty())
        .map(str::to_owned)
        .collect()
}

/// What is before and after the first such byte.
fn split_at_byte(text: &[u8], byte: u8) -> Option<(&[u8], &[u8])> {
    let at = text.iter().position(|&b| b == byte)?;
    Some((text.get(..at)?, text.get(at.checked_add(1)?..)?))
}

const UIDDB: &[u8] = b"courierimapuiddb";
const SUBSCRIBED: &[u8] = b"courierimapsubscribed";
const KEYWORDS: &[u8] = b"courierimapkeywords";
const SIZE_MAX: usize = 1 << 30;
const LIST_MAX: usize = 16 << 20;
/// So that there is one above.
const UID_MAX: u32 = u32::MAX - 2;
const CHANGE_MAX: usize = 1 << 16;

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::maildir::disk::dir::scratch::Scratch;

    const BASE: [&str; 3] = [
        "1795505433.M455104P13345V000000000000FE00I00000000000C8707_0.vm,S=18",
        "1795505433.M455464P13345V000000000000FE00I00000000000C8705_1.vm,S=18",
        "1795505433.M456053P13345V000000000000FE00I00000000000C8709_3.vm,S=18",
    ];

    /// As courier-imap 5.0.13 wrote them.
    #[test]
    fn couriers_own_files_are_understood() {
        let scratch = Scratch::new();
        let [one, two, four] = BASE;
        scratch.write(
            "courierimapuiddb",
            format!("1 795505433 5\n1 {one}\n2 {two}\n4 {four}\n"),
        );
        let uiddb = uiddb(scratch.path()).unwrap().unwrap();
        assert_eq!((uiddb.uid_validity, uiddb.next_uid), (795505433, 5));
        let records = [(1, one), (2, two), (4, four)].map(|(uid, base)| (uid, base.into()));
        assert_eq!(uiddb.records, records);

        scratch.write(
            "courierimapsubscribed",
            "INBOX.Work\nINBOX.Work.T\u{e9}st\nINBOX.Old.T&AOk-st\nINBOX\n#shared.x\n",
        );
        let subscribed = subscriptions(scratch.path()).unwrap().unwrap();
        let subscribed: Vec<&str> = subscribed.iter().map(MailboxName::as_str).collect();
        assert_eq!(subscribed, ["Work", "Work/Tést", "Old/Tést", "INBOX"]);

        std::fs::create_dir(scratch.path().join("courierimapkeywords")).unwrap();
        let write = |name: &str, text: &str| {
            scratch.write(&format!("courierimapkeywords/{name}"), text);
        };
        write(":list", &format!("Work\n$Label1\n\n{four}:1 0\n{one}:0\n"));
        write(two, "one\n");
        write(&format!(".5985019.{four}"), "Later\n");
        write(&format!(".5985018.{four}"), "Sooner\n");
        write(".5985030.gone", "");
        write(one, "");
        write(".tmp.5", "nothing\n");
        let keywords = keywords(scratch.path()).unwrap();
        let expected = [(two, "one"), (four, "Later")];
        let expected = expected.map(|(base, word)| (base.into(), vec![word.to_owned()]));
        assert_eq!(keywords, expected);
    }

    #[test]
    fn a_carriage_return_is_no_part_of_a_line() {
        let uiddb = parse_uiddb(b"1 7 3\r\n1 a\r\n2 b:2,S\r\n").unwrap();
        assert_eq!((uiddb.uid_validity, uiddb.next_uid), (7, 3));
        assert_eq!(uiddb.records, [(1, b"a".to_vec()), (2, b"b".to_vec())]);
        let subscribed = parse_subscriptions(b"INBOX\r\nINBOX.Work\r\n");
        let subscribed: Vec<&str> = subscribed.iter().map(MailboxName::as_str).collect();
        assert_eq!(subscribed, ["INBOX", "Work"]);
        let keywords = parse_list(b"Work\r\nHome\r\n\r\na:0 1\r\n");
        assert_eq!(keywords[&b"a"[..]], ["Work", "Home"]);
        assert_eq!(lines(b"Later\r\n"), ["Later"]);
    }

    #[test]
    fn without_courier_there_is_nothing() {
        let scratch = Scratch::new();
        assert_eq!(uiddb(scratch.path()).unwrap(), None);
        assert_eq!(subscriptions(scratch.path()).unwrap(), None);
        assert_eq!(keywords(scratch.path()).unwrap(), []);
    }

    #[test]
    fn a_damaged_uiddb_gives_what_is_whole_and_reuses_no_uid() {
        let text = b"1 7 3\n5 e\n2 b:2,S\n0 z\n4294967295 y\n3 a/b\nx\n9\n4 \n5 f";
        let uiddb = parse_uiddb(text).unwrap();
        assert_eq!((uiddb.uid_validity, uiddb.next_uid), (7, 6));
        assert_eq!(uiddb.records, [(2, b"b".to_vec()), (5, b"f".to_vec())]);
        for none in ["", "1", "1 0 5", "2 1 1", "1 x 1", "1 99999999999 1"] {
            assert_eq!(parse_uiddb(none.as_bytes()), None, "{none}");
        }
    }

    proptest! {
        #[test]
        fn arbitrary_bytes_do_no_harm(bytes in "[ -~\n]{0,80}|.{0,40}", raw in prop::collection::vec(any::<u8>(), 0..80)) {
            for text in [bytes.as_bytes(), &raw, format!("1 1 1\n{bytes}").as_bytes()] {
                let _ = parse_uiddb(text);
                let _ = parse_subscriptions(text);
                let _ = parse_list(text);
                let _ = parse_change(text);
                let _ = lines(text);
            }
        }
    }
}
