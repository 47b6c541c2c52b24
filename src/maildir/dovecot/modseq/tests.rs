//! The log reader by itself, and everything against Dovecot.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant, SystemTime};

use proptest::prelude::*;

use super::lab::{Lab, number};
use super::*;
use crate::maildir::disk::dir::scratch::Scratch;

fn highest(log: &mut DovecotLog) -> u64 {
    log.read().unwrap().expect("an index").highest_modseq
}

fn raise(log: &mut DovecotLog, to: u64) {
    let start = Instant::now();
    while start.elapsed() < Duration::from_secs(60) {
        match log.raise(to, false, SystemTime::now()).unwrap() {
            Raised::Done => return,
            // Dovecot is at it.
            Raised::Busy => std::thread::sleep(Duration::from_millis(1)),
            Raised::Unknown => panic!("not an index that can be raised"),
        }
    }
    panic!("always busy");
}

#[test]
fn dovecot_counts_as_we_do() {
    let Some(lab) = Lab::new(SMALL_LOGS) else {
        return;
    };
    let mut log = DovecotLog::new(&lab.maildir());
    assert_eq!(log.read().unwrap(), None);
    let mut imap = lab.imap();
    for round in 0..30 {
        imap.append("INBOX", 4);
        imap.select("INBOX", "HIGHESTMODSEQ");
        imap.ok("STORE 1:2 +FLAGS (\\Seen one)");
        imap.ok(&format!("STORE 2:4 +FLAGS.SILENT (key{round} \\Flagged)"));
        imap.ok("STORE 1 -FLAGS (\\Seen)");
        imap.ok("STORE 1 FLAGS (\\Deleted)");
        imap.ok("EXPUNGE");
        let dovecot = imap.select("INBOX", "HIGHESTMODSEQ");
        assert_eq!(highest(&mut log), dovecot, "incrementally, round {round}");
        assert_eq!(
            highest(&mut DovecotLog::new(&lab.maildir())),
            dovecot,
            "from the start, round {round}"
        );
        let answer = imap.ok("STATUS INBOX (UIDNEXT UIDVALIDITY)");
        for mut log in [
            DovecotLog::new(&lab.maildir()),
            std::mem::replace(&mut log, DovecotLog::new(&lab.maildir())),
        ] {
            let summary = log.read().unwrap().unwrap();
            assert_eq!(u64::from(summary.next_uid), number(&answer, "UIDNEXT"));
            assert_eq!(
                u64::from(summary.uid_validity),
                number(&answer, "UIDVALIDITY")
            );
            assert_eq!(summary.keywords.len(), 2 + round, "{:?}", summary.keywords);
        }
    }
    assert!(
        lab.maildir().join("dovecot.index.log.2").exists(),
        "the log was rotated"
    );
    assert_eq!(lab.complaints(), "");
}

#[test]
fn a_raise_between_two_dovecot_sessions_holds() {
    for to in [5000, 6_000_000_000, 1_790_000_000_000_000] {
        for counting in [true, false] {
            let Some(lab) = Lab::new(SMALL_LOGS) else {
                return;
            };
            let mut imap = lab.imap();
            imap.append("INBOX", 5);
            if counting {
                imap.select("INBOX", "HIGHESTMODSEQ");
            }
            let before = imap.ok("STATUS INBOX (UIDNEXT UIDVALIDITY)");
            drop(imap);

            let mut log = DovecotLog::new(&lab.maildir());
            raise(&mut log, to);
            assert_eq!(highest(&mut log), to);

            let mut imap = lab.imap();
            assert_eq!(imap.select("INBOX", "HIGHESTMODSEQ"), to);
            assert!(imap.ok("UID FETCH 1:* (UID)").contains("5 FETCH (UID 5)"));
            let after = imap.ok("STATUS INBOX (UIDNEXT UIDVALIDITY)");
            for item in ["UIDNEXT", "UIDVALIDITY"] {
                assert_eq!(number(&before, item), number(&after, item));
            }
            imap.ok("STORE 1 +FLAGS (\\Seen)");
            assert_eq!(number(&imap.ok("FETCH 1 (MODSEQ)"), "MODSEQ ("), to + 1);
            // So much that dovecot.index is written and the log rotated.
            for _ in 0..150 {
                imap.ok("STORE 1:5 FLAGS (\\Deleted)");
                imap.ok("STORE 1:5 FLAGS (\\Draft)");
            }
            drop(imap);
            assert!(lab.maildir().join("dovecot.index").exists());
            let mut imap = lab.imap();
            let end = imap.select("INBOX", "HIGHESTMODSEQ");
            assert_eq!(end, to + 301);
            assert_eq!(highest(&mut log), end);
            assert_eq!(lab.complaints(), "");
        }
    }
}

#[test]
fn a_raise_reaches_dovecot_sessions_that_have_the_mailbox_open() {
    let Some(lab) = Lab::new(SMALL_LOGS) else {
        return;
    };
    let mut plain = lab.imap();
    plain.append("INBOX", 3);
    let mut counting = lab.imap();
    plain.ok("SELECT INBOX");
    counting.select("INBOX", "HIGHESTMODSEQ");
    let mut log = DovecotLog::new(&lab.maildir());
    let mut expected = highest(&mut log);
    for round in 0..60 {
        let to = expected + 1000;
        raise(&mut log, to);
        plain.ok(if round % 2 == 0 {
            "STORE 2 +FLAGS (\\Seen)"
        } else {
            "STORE 2 -FLAGS (\\Seen)"
        });
        let answer = counting.ok("NOOP");
        assert!(number(&answer, "MODSEQ (") > to, "{answer}");
        assert!(number(&counting.ok("FETCH 2 (MODSEQ)"), "MODSEQ (") > to);
        let answer = counting.ok("STATUS INBOX (HIGHESTMODSEQ)");
        expected = number(&answer, "HIGHESTMODSEQ");
        assert!(expected > to, "{answer}");
        assert_eq!(highest(&mut log), expected);
    }
    assert!(
        lab.maildir().join("dovecot.index.log.2").exists(),
        "the log was rotated"
    );
    assert_eq!(lab.complaints(), "");
}

#[test]
fn raising_and_dovecot_changing_at_the_same_time_disturb_nothing() {
    let Some(lab) = Lab::new(FREQUENT_INDEXES) else {
        return;
    };
    lab.imap().append("INBOX", 20);
    let (lab, busy) = (&lab, &AtomicUsize::new(3));
    std::thread::scope(|scope| {
        for client in 0..3 {
            scope.spawn(move || {
                let _ends = Ends(busy);
                let mut imap = lab.imap();
                let mut last = 0;
                for _ in 0..40 {
                    let now = imap.select("INBOX", "HIGHESTMODSEQ");
                    assert!(now >= last, "{now} after {last}");
                    last = now;
                    for _ in 0..5 {
                        imap.ok(&format!(
                            "STORE {}:20 +FLAGS (\\Seen k{client})",
                            client + 1
                        ));
                        imap.ok(&format!(
                            "STORE {}:20 -FLAGS (\\Seen k{client})",
                            client + 1
                        ));
                    }
                    imap.append("INBOX", 1);
                }
            });
        }
        scope.spawn(move || {
            let mut log = DovecotLog::new(&lab.maildir());
            while busy.load(Ordering::Relaxed) > 0 {
                let to = highest(&mut log) + 100;
                raise(&mut log, to);
                assert!(highest(&mut log) >= to);
                std::thread::yield_now();
            }
        });
    });
    let mut imap = lab.imap();
    let dovecot = imap.select("INBOX", "HIGHESTMODSEQ");
    assert_eq!(highest(&mut DovecotLog::new(&lab.maildir())), dovecot);
    assert_eq!(lab.complaints(), "");
}

/// Counts down also if its thread fails.
struct Ends<'a>(&'a AtomicUsize);

impl Drop for Ends<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

#[test]
fn a_log_that_never_counted_is_made_to_count() {
    let Some(lab) = Lab::new("") else { return };
    lab.imap().append("INBOX", 4);
    // As an old Dovecot left it: modseqs begin when the extension is introduced.
    let path = lab.maildir().join("dovecot.index.log");
    let mut bytes = std::fs::read(&path).unwrap();
    bytes[24..32].fill(0);
    std::fs::write(&path, bytes).unwrap();

    let mut log = DovecotLog::new(&lab.maildir());
    assert_eq!(highest(&mut log), 0);
    raise(&mut log, 7000);
    assert_eq!(highest(&mut log), 7000);
    raise(&mut log, 7100);
    let mut imap = lab.imap();
    assert_eq!(imap.select("INBOX", "HIGHESTMODSEQ"), 7100);
    imap.ok("STORE 1:4 +FLAGS (\\Seen)");
    assert_eq!(imap.select("INBOX", "HIGHESTMODSEQ"), 7101);
    assert_eq!(lab.complaints(), "");
}

#[test]
fn without_any_index_dovecot_starts_where_we_say_and_keeps_the_uids() {
    let Some(lab) = Lab::new("") else { return };
    let mut imap = lab.imap();
    imap.append("INBOX", 3);
    imap.ok("CREATE Empty");
    imap.append("Empty", 1);
    imap.ok("SELECT INBOX");
    imap.ok("STORE 2 +FLAGS (\\Deleted)");
    imap.ok("EXPUNGE");
    let before = imap.ok("STATUS INBOX (UIDNEXT UIDVALIDITY MESSAGES)");
    drop(imap);
    for directory in [lab.maildir(), lab.maildir().join(".Empty")] {
        for entry in std::fs::read_dir(&directory).unwrap() {
            let path = entry.unwrap().path();
            if path
                .file_name()
                .unwrap()
                .to_str()
                .unwrap()
                .starts_with("dovecot.index")
            {
                std::fs::remove_file(path).unwrap();
            }
        }
    }
    for to in [1, 7_000_000_000] {
        let mut log = DovecotLog::new(&lab.maildir());
        let now = SystemTime::now();
        if to == 1 {
            assert_eq!(log.raise(to, false, now).unwrap(), Raised::Unknown);
            assert_eq!(log.raise(to, true, now).unwrap(), Raised::Done);
        }
        raise(&mut log, to);
        let mut imap = lab.imap();
        assert!(imap.select("INBOX", "HIGHESTMODSEQ") >= to);
        assert_eq!(
            imap.ok("UID FETCH 1:* (UID)").lines().next(),
            Some("* 1 FETCH (UID 1)")
        );
        assert_eq!(
            imap.ok("STATUS INBOX (UIDNEXT UIDVALIDITY MESSAGES)")
                .lines()
                .next(),
            before.lines().next()
        );
    }
    assert_eq!(lab.complaints(), "");
}

#[test]
fn dovecot_does_complain_where_there_is_reason_to() {
    let Some(lab) = Lab::new("") else { return };
    lab.imap().append("INBOX", 1);
    assert_eq!(lab.complaints(), "");
    let path = lab.maildir().join("dovecot.index.log");
    let mut bytes = std::fs::read(&path).unwrap();
    bytes.extend([0x80, 0x80, 0x80, 0x85, 0]);
    std::fs::write(&path, bytes).unwrap();
    lab.imap().command("SELECT INBOX");
    assert!(lab.complaints().contains("Unexpected garbage"));
}

#[test]
fn a_held_lock_is_busy_and_a_broken_log_is_left_alone() {
    let scratch = Scratch::new();
    let now = SystemTime::now();
    let mut log = DovecotLog::new(scratch.path());
    assert_eq!(log.raise(10, true, now).unwrap(), Raised::Done);
    assert_eq!(highest(&mut log), 10);

    let path = scratch.path().join("dovecot.index.log");
    let other = scratch.dir.open_append(LOG).unwrap();
    assert!(other.try_lock().unwrap());
    assert_eq!(log.raise(20, true, now).unwrap(), Raised::Busy);
    assert_eq!(log.raise(5, true, now).unwrap(), Raised::Busy);
    drop(other);
    let dotlock = scratch.path().join("dovecot.index.log.lock");
    std::fs::write(&dotlock, "1:host").unwrap();
    assert_eq!(log.raise(20, true, now).unwrap(), Raised::Busy);
    std::fs::remove_file(&dotlock).unwrap();
    assert_eq!(log.raise(20, true, now).unwrap(), Raised::Done);

    let mut whole = std::fs::read(&path).unwrap();
    std::fs::write(&path, &whole[..whole.len() - 1]).unwrap();
    assert_eq!(log.raise(30, true, now).unwrap(), Raised::Unknown);
    assert_eq!(std::fs::read(&path).unwrap(), &whole[..whole.len() - 1]);
    whole[4..8].fill(0); // marked broken
    std::fs::write(&path, &whole).unwrap();
    assert_eq!(log.raise(30, true, now).unwrap(), Raised::Unknown);
    assert_eq!(log.read().unwrap(), None);
    assert_eq!(std::fs::read(&path).unwrap(), whole);
}

#[test]
fn a_log_cut_anywhere_tells_what_is_whole() {
    let mut file = log::new_header(7, 1);
    let header = LogHeader::parse(&file).unwrap();
    file.extend(log::raising_records(100, false));
    file.extend(log::raising_records(200, false));
    for cut in HEADER..=file.len() {
        let mut walk = LogWalk::start(&header);
        walk.feed(&header, &file[HEADER..cut]);
        let expected = [7, 100, 200][(cut - HEADER) / 20];
        assert_eq!(walk.summary.highest_modseq, expected);
        let at = walk.offset as usize;
        walk.feed(&header, &file[at..]);
        assert_eq!(walk.summary.highest_modseq, 200);
    }
}

proptest! {
    #[test]
    fn arbitrary_bytes_do_no_harm(bytes in prop::collection::vec(any::<u8>(), 0..400), header in any::<bool>(), index in any::<bool>()) {
        let mut file = log::new_header(3, 1);
        if index {
            file = index_start();
        }
        if !header {
            file.clear();
        }
        file.extend(&bytes);
        let _ = DovecotIndex::parse(&file);
        if let Some(header) = LogHeader::parse(&file) {
            let mut walk = LogWalk::start(&header);
            walk.feed(&header, file.get(HEADER..).unwrap_or_default());
            prop_assert!(walk.offset <= file.len() as u64);
        }
    }

    #[test]
    fn records_of_any_kind_and_content_do_no_harm(records in prop::collection::vec((any::<u8>(), prop::collection::vec(any::<u8>(), 0..60)), 0..20)) {
        let kinds = [0x1 | 0xcd90, 0x2, 0x4, 0x20, 0x40, 0x400, 0x800, 0x8000, 0x8_0000, 0x10_0000];
        let mut bytes = Vec::new();
        for (kind, mut body) in records {
            body.resize(body.len().next_multiple_of(4), 0);
            let kind = kinds[usize::from(kind) % kinds.len()] | if kind & 1 == 0 { 0x1000_0000 } else { 0 };
            log::push_record(&mut bytes, kind, &body);
        }
        for start in [0, 1] {
            let header = LogHeader::parse(&log::new_header(start, 1)).unwrap();
            let mut walk = LogWalk::start(&header);
            walk.feed(&header, &bytes);
            prop_assert!(walk.offset - 40 <= bytes.len() as u64);
        }
    }
}

/// The first part of a dovecot.index, up to its extensions.
fn index_start() -> Vec<u8> {
    let mut bytes = vec![7, 3, 120, 0, 160, 0, 0, 0];
    bytes.resize(120, 0);
    bytes[12] = 1;
    bytes[16] = 1;
    bytes
}

const HEADER: usize = log::HEADER_SIZE;
/// Makes Dovecot write its index often.
const FREQUENT_INDEXES: &str =
    "mail_index_rewrite_min_log_bytes = 1k\nmail_index_rewrite_max_log_bytes = 4k\n";
/// Makes it rotate its log often, too, however young it is: so often that with several sessions one
/// may miss a log, of which it warns.
const SMALL_LOGS: &str = "mail_index_rewrite_min_log_bytes = 1k\nmail_index_rewrite_max_log_bytes = 4k\n\
    mail_index_log_rotate_min_size = 4k\nmail_index_log_rotate_max_size = 4k\n";
