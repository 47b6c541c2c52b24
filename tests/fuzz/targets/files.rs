//! Names and single files that other programs write beside us.

use roost::mail::{Flags, Keyword, Layout, MailboxName, Naming, System, Uid};
use roost::maildir::disk::dir::{Access, Dir};
use roost::maildir::disk::filename::{Filename, size, uid_order, virtual_size};
use roost::maildir::disk::lock::{Dotlock, Lock};
use roost::maildir::dovecot::keywords::{Keywords, KeywordsFile, Room};
use roost::maildir::dovecot::subscriptions::Subscriptions;
use roost::maildir::dovecot::uidlist::{Durable, New, Uidlist};
use roost::maildir::own::cache::Cache;
use std::cmp::Ordering;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::{Duration, SystemTime};

/// A directory of its own for each run.
pub struct Scratch {
    pub path: PathBuf,
    pub dir: Dir,
}

impl Scratch {
    pub fn new() -> Scratch {
        static COUNT: AtomicU64 = AtomicU64::new(0);
        let count = COUNT.fetch_add(1, Relaxed);
        let name = format!("roost-fuzz-{}-{count}", std::process::id());
        let path = std::env::temp_dir().join(name);
        std::fs::create_dir(&path).expect("a directory for the test");
        let dir = Dir::open(&path).expect("it is there");
        Scratch { path, dir }
    }

    pub fn write(&self, name: &str, bytes: &[u8]) {
        std::fs::write(self.path.join(name), bytes).expect("a file for the test");
    }

    fn lock(&self) -> Lock {
        let lock = Dotlock::of_uidlist(self.dir.clone()).try_lock(&Access::PRIVATE, now());
        lock.expect("it can be written")
            .expect("nobody else has it")
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.path);
    }
}

/// Always the same, so that runs can be repeated.
pub fn now() -> SystemTime {
    SystemTime::UNIX_EPOCH + Duration::from_secs(1_800_000_000)
}

/// Names of message files, one a line. Flags that are set are read again; the order is one.
pub fn filename(input: &[u8]) {
    let names: Vec<&[u8]> = input.split(|&byte| byte == b'\n').take(20).collect();
    for name in &names {
        let Some(file) = Filename::parse(name) else {
            continue;
        };
        assert_eq!([file.base, file.info].concat(), **name);
        size(file.base);
        virtual_size(file.base);
        let flags = file.flags();
        for (system, keywords) in [
            (flags.system, flags.keywords),
            (System::default(), 0),
            (System::SEEN | System::DRAFT, 1 << 25 | 1),
        ] {
            let flags = Flags { system, keywords };
            let renamed = file.with_flags(flags);
            let again = Filename::parse(&renamed).expect("it is a name again");
            assert_eq!((again.base, again.flags()), (file.base, flags));
            assert_eq!(again.with_flags(flags), renamed);
        }
    }
    for a in &names {
        for b in &names {
            assert_eq!(uid_order(a, b), uid_order(b, a).reverse());
            for c in &names {
                if uid_order(a, b) != Ordering::Greater && uid_order(b, c) != Ordering::Greater {
                    assert_ne!(uid_order(a, c), Ordering::Greater);
                }
            }
        }
    }
}

/// `dovecot-uidlist`. What is read is written so that it is read again, and a list that grew is
/// read like one that always was that long.
pub fn uidlist(input: &[u8]) {
    let scratch = Scratch::new();
    scratch.write(UIDLIST, input);
    let Ok(Some(mut list)) = Uidlist::read(&scratch.dir) else {
        return;
    };
    sound(&list);
    grown(input, &list);
    if list.uid_validity() == 0 {
        list.restore_header(77, list.uid_next());
    }
    let lock = scratch.lock();
    let before = Told::by(&list);
    let all = &mut |_, _: roost::maildir::dovecot::uidlist::UidlistRecord<'_>| true;
    list.rewrite(&scratch.dir, &lock, &Access::PRIVATE, all, Durable::Never)
        .expect("it can be written");
    assert_eq!(Told::by(&list), before);
    let again = read(&scratch);
    assert_eq!(Told::by(&again), before);
    assert!(!again.needs_rewrite());

    let new = [b"1.fuzz", b"2.fuzz"].map(|base| New { base, guid: None });
    let Ok(first) = list.append(&scratch.dir, &lock, &new, Durable::Never) else {
        assert!(before.next > u32::MAX - 3);
        return;
    };
    assert_eq!(first.0, before.next);
    sound(&list);
    let again = read(&scratch);
    assert_eq!(Told::by(&again), Told::by(&list));
    assert_eq!(again.find(b"2.fuzz"), again.find_uid(Uid(first.0 + 1)));
}

fn read(scratch: &Scratch) -> Uidlist {
    let list = Uidlist::read(&scratch.dir).expect("it can be read");
    list.expect("it was written")
}

/// UIDs ascend and are below the next one; every record is found.
fn sound(list: &Uidlist) {
    let mut last = 0;
    for (index, record) in list.records().enumerate() {
        assert!(last < record.uid.0);
        last = record.uid.0;
        assert_eq!(list.find_uid(record.uid), Some(index));
        assert_eq!(list.find(record.base), Some(index));
        record.guid();
        record.size();
        record.virtual_size();
    }
    assert!(last < list.uid_next().0);
    assert_eq!(list.guid().len(), 32);
}

fn grown(input: &[u8], whole: &Uidlist) {
    // The header is written at once.
    let header = input
        .iter()
        .position(|&byte| byte == b'\n')
        .map_or(input.len(), |at| at + 1);
    let (begin, rest) = input.split_at(header + (input.len() - header) / 2);
    let scratch = Scratch::new();
    scratch.write(UIDLIST, begin);
    let Ok(Some(mut list)) = Uidlist::read(&scratch.dir) else {
        return;
    };
    let path = scratch.path.join(UIDLIST);
    let mut file = std::fs::File::options()
        .append(true)
        .open(path)
        .expect("it is there");
    std::io::Write::write_all(&mut file, rest).expect("it can be written");
    list.refresh(&scratch.dir).expect("it can be read");
    let (mut grown, mut whole) = (Told::by(&list), Told::by(whole));
    // One that has none is given one at random.
    (grown.guid, whole.guid) = Default::default();
    assert_eq!(grown, whole);
}

/// All that a list says.
#[derive(Debug, PartialEq)]
struct Told {
    validity: u32,
    next: u32,
    guid: String,
    records: Vec<(u32, Vec<u8>, Option<Vec<u8>>)>,
}

impl Told {
    fn by(list: &Uidlist) -> Told {
        let records = list.records();
        Told {
            validity: list.uid_validity(),
            next: list.uid_next().0,
            guid: list.guid().to_owned(),
            records: records
                .map(|record| {
                    let guid = record.guid().map(<[u8]>::to_vec);
                    (record.uid.0, record.base.to_vec(), guid)
                })
                .collect(),
        }
    }
}

/// `dovecot-keywords`. Adding one keeps the others.
pub fn keywords(input: &[u8]) {
    let scratch = Scratch::new();
    scratch.write("dovecot-keywords", input);
    let mut keywords = Keywords::read(&scratch.dir);
    if keywords.is_unreadable() {
        return;
    }
    let told = |keywords: &Keywords| -> Vec<(u32, Keyword)> {
        keywords
            .iter()
            .map(|(number, name)| (number, name.clone()))
            .collect()
    };
    let before = told(&keywords);
    assert!(before.iter().all(|&(number, _)| number < 26));
    for (number, name) in &before {
        assert_eq!(keywords.name(*number), Some(name));
    }
    let lock = scratch.lock();
    let new = Keyword::new("$Fuzz").expect("it is a keyword");
    let file = KeywordsFile {
        dir: &scratch.dir,
        lock: &lock,
        access: &Access::PRIVATE,
        now: now(),
    };
    let given = keywords.add(&[&new], Room::ForSome, &|| Ok(u32::MAX), &file);
    match given.expect("it can be written").as_slice() {
        [Some(number)] => assert_eq!(keywords.name(*number), Some(&new)),
        _ => assert!(keywords.is_full()),
    }
    keywords
        .name_unknown(u32::MAX, &file)
        .expect("it can be written");
    assert!(keywords.is_full());
    let again = Keywords::read(&scratch.dir);
    assert_eq!(told(&again), told(&keywords));
    assert!(
        before
            .iter()
            .all(|(number, name)| again.name(*number) == Some(name))
    );
}

/// `subscriptions`. Subscribing and unsubscribing keeps the others.
pub fn subscriptions(input: &[u8]) {
    for (layout, utf8) in [
        (Layout::MaildirPlusPlus, false),
        (Layout::Fs, false),
        (Layout::Fs, true),
    ] {
        let naming = Naming { layout, utf8 };
        let scratch = Scratch::new();
        scratch.write("subscriptions", input);
        let mut list = Subscriptions::read(&scratch.dir, naming);
        let before: Vec<MailboxName> = list.iter().cloned().collect();
        let new = MailboxName::new("Entw\u{fc}rfe/a&b").expect("it is a name");
        let others = before.iter().filter(|&name| *name != new);
        for subscribed in [true, false] {
            let done = list.set(&scratch.dir, &Access::PRIVATE, &new, subscribed, now());
            assert!(matches!(done, Ok(Some(_))));
            let again = Subscriptions::read(&scratch.dir, naming);
            for list in [&list, &again] {
                assert_eq!(list.contains(&new), subscribed);
                assert!(list.iter().filter(|&name| *name != new).eq(others.clone()));
            }
        }
    }
}

/// `roost.cache`, as it is and with its checksums put right. What is put is what is got, and what
/// is damaged is not there, but never something else.
pub fn cache(input: &[u8]) {
    for file in [input.to_vec(), sealed_cache(input)] {
        let scratch = Scratch::new();
        scratch.write("roost.cache", &file);
        let validity = number(&file, 16).unwrap_or(1);
        let mut cache = Cache::open(&scratch.dir, validity);
        let uids = || (0..20).map(Uid);
        let before: Vec<_> = uids()
            .map(|uid| cache.get(uid).map(<[u8]>::to_vec))
            .collect();
        cache.put(Uid(3), b"three");
        assert_eq!(cache.get(Uid(3)), Some(&b"three"[..]));
        cache.flush();
        for _ in 0..2 {
            assert_eq!(cache.get(Uid(3)), Some(&b"three"[..]));
            for (uid, before) in uids().zip(&before) {
                // Of a batch that is damaged, more or less may be read when there is another behind
                // it.
                let got = cache.get(uid).map(<[u8]>::to_vec);
                assert!(uid.0 == 3 || got.is_none() || got == *before || is_in(&file, got));
            }
            while !cache.compact(&|_| true, &|| true) {}
            drop(cache);
            cache = Cache::open(&scratch.dir, validity);
        }
    }
}

fn is_in(file: &[u8], bytes: Option<Vec<u8>>) -> bool {
    bytes.is_some_and(|bytes| {
        bytes.is_empty() || file.windows(bytes.len()).any(|window| window == bytes)
    })
}

/// Makes the numbers of every batch and record agree with what is there.
fn sealed_cache(input: &[u8]) -> Vec<u8> {
    const MARKER: &[u8] = b"\xffB\0\xc4\x17\n\x80\xfe";
    let mut file = b"roost.cache 1\n\0\0".to_vec();
    file.resize(24, 0);
    file.extend_from_slice(input.get(24..).unwrap_or_default());
    let mut at = 24;
    while let Some(found) = file.windows(8).skip(at).position(|eight| eight == MARKER) {
        let batch = at + found;
        at = batch + 24;
        let (Some(count), Some(size)) = (number(&file, batch + 8), number(&file, batch + 12))
        else {
            break;
        };
        let table = at..at + count as usize % 64 * 8;
        if table.end + size as usize > file.len() {
            continue;
        }
        let crc = crc32fast::hash(&[&file[batch + 8..batch + 16], &file[table.clone()]].concat());
        file[batch + 16..batch + 20].copy_from_slice(&crc.to_le_bytes());
        let mut record = table.end;
        for entry in table.step_by(8) {
            let size = number(&file, entry + 4).unwrap_or(0) as usize;
            let Some(bytes) = file.get(record + 12..).and_then(|rest| rest.get(..size)) else {
                break;
            };
            let crc = crc32fast::hash(&[&file[record..record + 8], bytes].concat());
            file[record + 8..record + 12].copy_from_slice(&crc.to_le_bytes());
            record += 12 + size;
        }
    }
    file
}

fn number(bytes: &[u8], at: usize) -> Option<u32> {
    Some(u32::from_le_bytes(*bytes.get(at..)?.first_chunk()?))
}

const UIDLIST: &str = "dovecot-uidlist";
