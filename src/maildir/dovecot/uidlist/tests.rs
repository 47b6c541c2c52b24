mod damage;

use super::*;
use crate::maildir::disk::dir::scratch::Scratch;
use crate::maildir::disk::dir::{Access, Time, fault};
use crate::maildir::disk::lock::{Dotlock, Lock};
use proptest::prelude::*;
use std::collections::HashMap;
use std::time::{Duration, SystemTime};

const GUID: &str = "a07602237f41046b4f45000083ecc375";
const NAME: &str = "dovecot-uidlist";

/// A folder with a uidlist of this text; `G` stands for the GUID field.
fn folder(text: &str) -> Scratch {
    let scratch = Scratch::new();
    scratch.write(NAME, text.replace(" G\n", &format!(" G{GUID}\n")));
    scratch
}

fn read(scratch: &Scratch) -> Uidlist {
    Uidlist::read(&scratch.dir).unwrap().unwrap()
}

fn lock(scratch: &Scratch) -> Lock {
    let mut dotlock = Dotlock::of_uidlist(scratch.dir.clone());
    for _ in 0..3 {
        // A lock left by a crash is old by then.
        let later = SystemTime::now() + Duration::from_secs(200);
        if let Some(lock) = dotlock.try_lock(&Access::PRIVATE, later).unwrap() {
            return lock;
        }
    }
    panic!("locked")
}

fn append(scratch: &Scratch, list: &mut Uidlist, names: &[&str]) -> Result<u32, UidlistError> {
    let new: Vec<New<'_>> = names
        .iter()
        .map(|name| New {
            base: name.as_bytes(),
            guid: None,
        })
        .collect();
    let lock = lock(scratch);
    let first = list.append(&scratch.dir, &lock, &new, Durable::Yes)?;
    Ok(first.0)
}

fn rewrite(scratch: &Scratch, list: &mut Uidlist, dead: &[u32]) -> Result<(), UidlistError> {
    let lock = lock(scratch);
    let mut live = |_: usize, record: UidlistRecord<'_>| !dead.contains(&record.uid.0);
    list.rewrite(
        &scratch.dir,
        &lock,
        &Access::PRIVATE,
        &mut live,
        Durable::Yes,
    )
}

/// "1 a, 4 b"
fn records(list: &Uidlist) -> String {
    let records: Vec<String> = list
        .records()
        .map(|record| format!("{} {}", record.uid.0, String::from_utf8_lossy(record.base)))
        .collect();
    records.join(", ")
}

#[test]
fn version_3_is_read_with_its_keys() {
    let scratch =
        folder("3 V1795441023 N3 G\n1 :a.vm,S=36,W=41\n3 Ggu.id Px :b:2,S\n25017 W2481 :c,S=7\n");
    let list = read(&scratch);
    assert_eq!(
        (list.uid_validity(), list.uid_next()),
        (1_795_441_023, Uid(25_018))
    );
    assert_eq!(list.guid(), GUID);
    assert_eq!(records(&list), "1 a.vm,S=36,W=41, 3 b, 25017 c,S=7");
    assert!(!list.needs_rewrite());
    let sizes = |index| {
        list.record(index)
            .map(|r| (r.size(), r.virtual_size(), r.guid()))
    };
    assert_eq!(sizes(0), Some((Some(36), Some(41), None)));
    assert_eq!(sizes(1), Some((None, None, Some(&b"gu.id"[..]))));
    assert_eq!(sizes(2), Some((Some(7), Some(2481), None)));
    assert_eq!(list.find(b"b"), Some(1));
    assert_eq!(list.find(b"b:2,S"), None);
    assert_eq!(
        (list.find_uid(Uid(25_017)), list.find_uid(Uid(2))),
        (Some(2), None)
    );
}

#[test]
fn version_1_is_read_and_written_as_version_3() {
    let scratch = folder("1 795440986 78\n1 a\n77 b:2,S\n");
    let mut list = read(&scratch);
    assert!(list.needs_rewrite());
    assert_eq!(append(&scratch, &mut list, &["c"]).unwrap(), 78);
    let text = scratch.read(NAME).unwrap();
    let guid = list.guid();
    assert_eq!(
        text,
        format!("3 V795440986 N79 G{guid}\n1 :a\n77 :b\n78 :c\n")
    );
    assert_eq!(scratch.names(), [NAME], "nothing was damaged");
}

#[test]
fn a_version_from_the_future_is_refused_and_left_alone() {
    for text in ["2 1 2\n1 0 a\n", "4 V1 N2\n", "0 x"] {
        let scratch = folder(text);
        if text.ends_with('\n') {
            let error = Uidlist::read(&scratch.dir).unwrap_err();
            assert_eq!(error.kind(), io::ErrorKind::InvalidData);
        }
        assert_eq!(scratch.read(NAME).as_deref(), Some(text));
    }
}

#[test]
fn appending_leaves_the_header_and_what_was_there() {
    let scratch = folder("3 V9 N3 Xa Yb G\n1 :a\n3 Zz :b\n");
    let before = scratch.read(NAME).unwrap();
    let mut list = read(&scratch);
    assert_eq!(append(&scratch, &mut list, &["c", "d"]).unwrap(), 4);
    assert_eq!(scratch.read(NAME).unwrap(), before + "4 :c\n5 :d\n");
    assert_eq!(append(&scratch, &mut list, &["e"]).unwrap(), 6);
    assert_eq!(records(&list), "1 a, 3 b, 4 c, 5 d, 6 e");
    assert_eq!(list.find(b"d"), Some(3));
    assert_eq!(list.refresh(&scratch.dir).unwrap(), Refreshed::Same);
}

#[test]
fn a_rewrite_keeps_unknown_fields_and_drops_the_dead() {
    let scratch = folder("3 V9 Xa N3 Yb G\n1 :a\n2 Zz W5 :b\n7 :c\n");
    let mut list = read(&scratch);
    rewrite(&scratch, &mut list, &[1, 7]).unwrap();
    let text = scratch.read(NAME).unwrap();
    assert_eq!(text, format!("3 V9 N8 G{GUID} Xa Yb\n2 Zz W5 :b\n"));
    assert_eq!(append(&scratch, &mut list, &["d"]).unwrap(), 8);
    assert_eq!(scratch.names(), [NAME]);
}

#[test]
fn a_guid_is_recorded_when_it_is_not_the_name() {
    let scratch = folder("3 V9 N1 G\n");
    let mut list = read(&scratch);
    let with = |guid| New {
        base: b"b",
        guid: Some(guid),
    };
    let new = [
        with(b"gu.id"),
        New {
            base: b"c",
            ..with(b"c")
        },
        New {
            base: b"d",
            ..with(b"a b")
        },
    ];
    list.append(&scratch.dir, &lock(&scratch), &new, Durable::No)
        .unwrap();
    let text = scratch.read(NAME).unwrap();
    assert!(text.ends_with("\n1 Ggu.id :b\n2 :c\n3 :d\n"), "{text}");
}

#[test]
fn names_that_would_break_the_file_are_refused() {
    let scratch = folder("3 V9 N1 G\n");
    let mut list = read(&scratch);
    for name in ["", "a\nb", "a/b", "a:2,S", "a\r", "a\0"] {
        let added = append(&scratch, &mut list, &["good", name]);
        assert!(matches!(added, Err(UidlistError::BadName)), "{name:?}");
    }
    assert_eq!(list.len(), 0);
}

#[test]
fn what_others_append_is_read_without_the_rest() {
    let scratch = folder("3 V9 N3 G\n1 :a\n");
    let (mut ours, mut theirs) = (read(&scratch), read(&scratch));
    append(&scratch, &mut theirs, &["b", "c"]).unwrap();
    assert!(ours.changed_on_disk(&scratch.dir).unwrap());
    assert!(matches!(
        append(&scratch, &mut ours, &["x"]),
        Err(UidlistError::Changed)
    ));
    assert_eq!(ours.refresh(&scratch.dir).unwrap(), Refreshed::Appended(1));
    assert_eq!(records(&ours), "1 a, 3 b, 4 c");
    assert_eq!(ours.find(b"c"), Some(2));
    rewrite(&scratch, &mut theirs, &[1]).unwrap();
    assert_eq!(ours.refresh(&scratch.dir).unwrap(), Refreshed::Replaced);
    assert_eq!(records(&ours), "3 b, 4 c");
}

#[test]
fn a_file_that_was_edited_in_place_is_read_anew() {
    let scratch = folder("3 V9 N3 G\n1 :a\n");
    let mut list = read(&scratch);
    for text in [
        "3 V8 N3 G\n1 :a\n2 :b\n",
        "3 V8 N3 G\n1 :b\n2 :a\n",
        "3 V8 N3 G\n1 :c\n",
    ] {
        scratch.write(NAME, text.replace(" G\n", &format!(" G{GUID}\n")));
        let later = SystemTime::now() + Duration::from_secs(2);
        scratch.dir.set_mtime(FILE, later.into()).unwrap();
        assert_eq!(list.refresh(&scratch.dir).unwrap(), Refreshed::Replaced);
        assert_eq!(records(&list), records(&read(&scratch)));
        scratch.dir.set_mtime(FILE, Time::default()).unwrap();
        list.refresh(&scratch.dir).unwrap();
    }
}

#[test]
fn of_two_uids_for_a_name_the_higher_counts() {
    let scratch = folder("3 V9 N3 G\n1 :a\n2 :b\n3 :a:2,S\n");
    let mut list = read(&scratch);
    assert_eq!(records(&list), "2 b, 3 a");
    assert!(list.needs_rewrite());
    // A base that comes back after an expunge.
    assert_eq!(append(&scratch, &mut list, &["b"]).unwrap(), 4);
    assert_eq!(append(&scratch, &mut list, &["a", "c"]).unwrap(), 5);
    assert_eq!(records(&list), "4 b, 5 a, 6 c");
    assert_eq!(list.find(b"a"), Some(1));
    assert_eq!(records(&read(&scratch)), records(&list));
    assert!(
        !scratch
            .names()
            .contains(&"dovecot-uidlist.damaged".to_owned())
    );
}

#[test]
fn uids_run_out_at_the_end_of_the_number_space() {
    let scratch = folder("3 V9 N4294967294 G\n4294967293 :a\n");
    let mut list = read(&scratch);
    let added = append(&scratch, &mut list, &["b", "c"]);
    assert!(matches!(added, Err(UidlistError::NoUids)));
    assert_eq!(append(&scratch, &mut list, &["b"]).unwrap(), 4_294_967_294);
    assert!(matches!(
        append(&scratch, &mut list, &["c"]),
        Err(UidlistError::NoUids)
    ));
    assert_eq!(records(&read(&scratch)), "4294967293 a, 4294967294 b");
    list.replace_uid_validity(10);
    assert_eq!(append(&scratch, &mut list, &["c"]).unwrap(), 1);
}

#[test]
fn the_next_uid_can_be_raised_and_is_then_in_the_file() {
    let scratch = folder("3 V9 N3 G\n1 :a\n");
    let mut list = read(&scratch);
    list.raise_uid_next(Uid(2));
    assert!(!list.needs_rewrite());
    list.raise_uid_next(Uid(50));
    assert_eq!(append(&scratch, &mut list, &[]).unwrap(), 50);
    assert_eq!(read(&scratch).uid_next(), Uid(50));
}

#[test]
fn without_the_lock_nothing_is_written() {
    let scratch = folder("3 V9 N3 G\n1 :a\n");
    let mut list = read(&scratch);
    let lock = lock(&scratch);
    scratch.dir.unlink(b"dovecot-uidlist.lock").unwrap();
    let new = [New {
        base: b"b",
        guid: None,
    }];
    let added = list.append(&scratch.dir, &lock, &new, Durable::No);
    assert!(matches!(added, Err(UidlistError::LockLost)));
    assert_eq!(records(&read(&scratch)), "1 a");
}

#[test]
fn a_new_list_is_not_written_over_one_that_came_meanwhile() {
    let scratch = Scratch::new();
    let mut list = Uidlist::new(5, Uid(1));
    assert!(list.needs_rewrite());
    scratch.write(NAME, format!("3 V9 N2 G{GUID}\n1 :a\n"));
    assert!(matches!(
        append(&scratch, &mut list, &["b"]),
        Err(UidlistError::Changed)
    ));
    assert_eq!(list.refresh(&scratch.dir).unwrap(), Refreshed::Replaced);
    assert_eq!((list.uid_validity(), records(&list).as_str()), (9, "1 a"));
}

#[test]
fn compaction_is_wanted_below_three_quarters_but_not_for_a_handful() {
    let lines: String = (1..=100).map(|uid| format!("{uid} :{uid}\n")).collect();
    let list = read(&folder(&format!("3 V9 N3 G\n{lines}")));
    let wanted: Vec<usize> = [100, 76, 75, 74, 0]
        .into_iter()
        .filter(|&live| list.wants_compaction(live))
        .collect();
    assert_eq!(wanted, [74, 0]);
    assert!(!read(&folder("3 V9 N3 G\n1 :a\n2 :b\n")).wants_compaction(0));
}

#[test]
fn couriers_database_can_be_read_under_its_own_name() {
    let scratch = Scratch::new();
    scratch.write("courierimapuiddb", "1 795440986 78\n1 a\n77 b\n");
    let mut list = Uidlist::read_from(&scratch.dir, b"courierimapuiddb")
        .unwrap()
        .unwrap();
    assert_eq!(append(&scratch, &mut list, &["c"]).unwrap(), 78);
    assert_eq!(records(&read(&scratch)), "1 a, 77 b, 78 c");
}

#[test]
fn the_data_is_on_disk_before_the_rename_and_the_rename_before_the_return() {
    let scratch = folder("3 V9 N3 G\n1 :a\n");
    let mut list = read(&scratch);
    let lock = lock(&scratch);
    fault::count();
    let mut live = |_: usize, _: UidlistRecord<'_>| true;
    list.rewrite(
        &scratch.dir,
        &lock,
        &Access::PRIVATE,
        &mut live,
        Durable::Yes,
    )
    .unwrap();
    let calls = fault::calls();
    fault::clear();
    let last: Vec<&str> = calls.iter().rev().take(3).map(String::as_str).collect();
    assert_eq!(
        last,
        ["fsync .", "rename dovecot-uidlist.tmp", "fdatasync "]
    );
}

#[test]
fn the_first_append_after_somebody_elses_rename_makes_the_rename_last() {
    let scratch = folder("3 V9 N3 G\n1 :a\n");
    let mut list = read(&scratch);
    let mut syncs = Vec::new();
    for name in ["b", "c"] {
        fault::count();
        append(&scratch, &mut list, &[name]).unwrap();
        syncs.push(fault::calls().contains(&"fsync .".to_owned()));
        fault::clear();
    }
    assert_eq!(syncs, [true, false]);
}

#[test]
fn a_list_can_be_restored_from_what_the_index_knows() {
    let scratch = Scratch::new();
    let guid = Some(&b"g"[..]);
    let known = [(3, &b"a"[..]), (5, b"b/d"), (9, b"c")];
    let known = known.map(|(uid, base)| (Uid(uid), New { base, guid }));
    let mut list = Uidlist::restored(7, Uid(20), Some(GUID), known.into_iter());
    assert_eq!(records(&list), "3 a, 9 c");
    rewrite(&scratch, &mut list, &[]).unwrap();
    let text = scratch.read(NAME).unwrap();
    assert_eq!(text, format!("3 V7 N20 G{GUID}\n3 Gg :a\n9 Gg :c\n"));
    assert!(!list.needs_rewrite());
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// Two programs take turns; whatever they do, a name keeps its UID until it is dropped, and no
    /// UID is ever given to two names.
    #[test]
    fn uids_never_change_hands(steps in prop::collection::vec((any::<bool>(), 0u8..4, 0u8..6), 1..40)) {
        let scratch = folder("3 V9 N1 G\n");
        let mut lists = [read(&scratch), read(&scratch)];
        let mut owner: HashMap<u32, String> = HashMap::new();
        for (who, what, which) in steps {
            let list = &mut lists[usize::from(who)];
            list.refresh(&scratch.dir).unwrap();
            match what {
                0 | 1 => {
                    let name = format!("name{which}");
                    let known = list.find(name.as_bytes()).is_some();
                    if !known {
                        let uid = append(&scratch, list, &[&name]).unwrap();
                        prop_assert!(owner.insert(uid, name).is_none());
                    }
                }
                2 => {
                    let dead: Vec<u32> = list.records().map(|r| r.uid.0).filter(|uid| uid % 5 == u32::from(which)).collect();
                    rewrite(&scratch, list, &dead).unwrap();
                }
                _ => {
                    let text = scratch.read(NAME).unwrap();
                    scratch.write(NAME, text + "9");
                }
            }
            for record in list.records() {
                let name = String::from_utf8_lossy(record.base).into_owned();
                prop_assert_eq!(owner.get(&record.uid.0), Some(&name));
            }
        }
    }
}
