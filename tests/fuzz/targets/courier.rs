//! A folder that Courier left.

use super::files::Scratch;
use super::folder::{deliver, files, serve};
use roost::mail::MailboxName;
use roost::maildir::courier;
use std::collections::BTreeMap;

/// Any `courierimapuiddb`, `courierimapsubscribed` and files in `courierimapkeywords/`, and
/// messages.  What Courier has told of UIDs stays true; nothing of Courier's is changed.
pub fn courier(input: &[u8]) {
    let scratch = Scratch::new();
    for name in ["cur", "new", "tmp", KEYWORDS] {
        std::fs::create_dir(scratch.path.join(name)).expect("a directory for the test");
    }
    let mut theirs = BTreeMap::new();
    for (name, bytes) in files(input) {
        let file = name
            .strip_prefix(KEYWORDS)
            .and_then(|name| name.strip_prefix('/'));
        let is_file = |file: &str| !file.is_empty() && file.len() < 200 && !file.contains('/');
        let own = file.is_some_and(|file| is_file(file) && file != "." && file != "..");
        if own || [UIDDB, SUBSCRIBED].contains(&name) {
            // There are names that no file can have.
            if std::fs::write(scratch.path.join(name), bytes).is_ok() {
                theirs.insert(name.to_owned(), bytes.to_vec());
            }
        } else {
            deliver(&scratch, name, bytes);
        }
    }
    let uiddb = courier::uiddb(&scratch.path).expect("it can be read");
    if let Some(uiddb) = &uiddb {
        let uids: Vec<u32> = uiddb.records.iter().map(|(uid, _)| *uid).collect();
        assert!(uids.is_sorted_by(|a, b| a < b));
        assert!(uids.last().is_none_or(|last| *last < uiddb.next_uid));
    }
    let names = courier::subscriptions(&scratch.path).expect("it can be read");
    let depth = |name: &MailboxName| name.as_str().split('/').count();
    names
        .iter()
        .flatten()
        .for_each(|name| assert!(depth(name) > 0));
    let keywords = courier::keywords(&scratch.path).expect("they can be read");
    assert!(keywords.is_sorted_by(|a, b| a.0 < b.0));

    if let (Some(uiddb), Some(told)) = (uiddb, serve(&scratch, false)) {
        assert_eq!(told.validity, uiddb.uid_validity);
        assert!(told.next >= uiddb.next_uid);
        let known = |uid: u32| uiddb.records.iter().any(|(known, _)| *known == uid);
        let mut uids = told.messages.iter().map(|message| message.0);
        assert!(uids.all(|uid| known(uid) || uid >= uiddb.next_uid));
    }
    for (name, bytes) in theirs {
        let now = std::fs::read(scratch.path.join(&name)).expect("it is still there");
        assert_eq!(now, bytes, "{name}");
    }
}

const UIDDB: &str = "courierimapuiddb";
const SUBSCRIBED: &str = "courierimapsubscribed";
const KEYWORDS: &str = "courierimapkeywords";
