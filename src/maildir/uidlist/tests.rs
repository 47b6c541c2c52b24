use super::*;
use crate::maildir::dir::scratch::Scratch;
use crate::maildir::dir::{Access, Time, fault};
use crate::maildir::lock::{Dotlock, Lock};
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
    let mut live = |_: usize, record: Record<'_>| !dead.contains(&record.uid.0);
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
fn half_a_line_is_left_for_later_and_cleared_away_by_the_next_writer() {
    let scratch = folder("3 V9 N2 G\n1 :a\n");
    let whole = scratch.read(NAME).unwrap();
    let mut list = read(&scratch);
    scratch.write(NAME, format!("{whole}2 :b"));
    assert_eq!(list.refresh(&scratch.dir).unwrap(), Refreshed::Same);
    assert!(list.needs_rewrite());
    scratch.write(NAME, format!("{whole}2 :bc\n"));
    assert_eq!(list.refresh(&scratch.dir).unwrap(), Refreshed::Appended(1));
    assert!(!list.needs_rewrite());

    scratch.write(NAME, format!("{whole}2 :bc\n3 :half"));
    list.refresh(&scratch.dir).unwrap();
    assert_eq!(append(&scratch, &mut list, &["d"]).unwrap(), 3);
    assert_eq!(records(&read(&scratch)), "1 a, 2 bc, 3 d");
    assert_eq!(scratch.names(), [NAME], "a torn line is no damage");
}

#[test]
fn a_broken_line_costs_only_itself_and_its_uid_is_not_given_again() {
    for (line, saved) in [
        ("garbage", None),
        ("", None),
        ("7", None),
        ("7 :", None),
        ("7 no-colon", None),
        ("7 W5", None),
        ("0 :zero", None),
        ("4294967295 :high", None),
        ("99999999999999999999 :higher", None),
        ("7 :a/b", None),
        ("\0\0\0\0", None),
        ("7 :e\r", Some("7 e")),
        (" 7 :e", Some("7 e")),
        ("\0\0\x007 :e", Some("7 e")),
        ("7 w5 :e", Some("7 e")),
    ] {
        let scratch = folder(&format!("3 V9 N3 G\n1 :a\n6 :b\n{line}\n"));
        let mut list = read(&scratch);
        assert!(list.needs_rewrite(), "{line:?}");
        let kept = saved.map_or_else(String::new, |saved| format!(", {saved}"));
        assert_eq!(records(&list), format!("1 a, 6 b{kept}"), "{line:?}");
        let next = if line.trim_matches(['\0', ' ']).starts_with('7') {
            8
        } else {
            7
        };
        assert_eq!(
            append(&scratch, &mut list, &["new"]).unwrap(),
            next,
            "{line:?}"
        );
        assert_eq!(scratch.names(), [NAME, "dovecot-uidlist.damaged"]);
        let copy = scratch.read("dovecot-uidlist.damaged").unwrap();
        assert!(copy.contains(&format!("\n6 :b\n{line}\n")));
        let again = read(&scratch);
        assert!(!again.needs_rewrite());
        assert_eq!(records(&again), records(&list));
    }
}

#[test]
fn a_record_cut_off_by_a_full_disk_does_not_take_the_next_one_with_it() {
    for (text, saved) in [
        ("101 :179.M58102 :b\n", "102 b"),
        ("101 :179.M58101 W5 :b:2,S\n103 :c\n", "101 b, 103 c"),
        ("101 :name with :2,S\n", "101 name with "),
        ("101 :name with space\n", "101 name with space"),
    ] {
        let scratch = folder(&format!("3 V9 N101 G\n{text}"));
        let list = read(&scratch);
        assert_eq!(records(&list), saved);
        assert!(list.uid_next().0 > 101);
    }
}

#[test]
fn uids_out_of_order_are_put_in_order_and_disputed_ones_given_up() {
    let scratch = folder("3 V9 N3 G\n5 :e\n1 :a\n7 :g\n5 :other\n7 :g\n");
    let mut list = read(&scratch);
    assert_eq!(records(&list), "1 a, 7 g");
    assert_eq!(list.uid_next(), Uid(8));
    assert_eq!((list.find(b"g"), list.find(b"e")), (Some(1), None));
    assert_eq!(append(&scratch, &mut list, &["e"]).unwrap(), 8);
    assert_eq!(records(&read(&scratch)), "1 a, 7 g, 8 e");
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
fn without_a_header_nothing_is_written_before_it_is_restored() {
    for header in [
        "",
        "x",
        "3 N5 G\n",
        "3 V0 N5\n",
        "3 V5 N0\n",
        "1 5\n",
        "3 V5 N99999999999 G\n",
    ] {
        let scratch = folder(&format!("{header}\n1 :a\n9 :b\n"));
        let mut list = read(&scratch);
        assert_eq!(list.uid_validity(), 0, "{header:?}");
        let added = append(&scratch, &mut list, &["c"]);
        assert!(matches!(added, Err(UidlistError::NoUidValidity)));
        list.restore_header(77, Uid(20));
        assert_eq!(append(&scratch, &mut list, &["c"]).unwrap(), 20);
        assert!(
            scratch
                .names()
                .contains(&"dovecot-uidlist.damaged".to_owned())
        );
        let again = read(&scratch);
        assert_eq!(
            (again.uid_validity(), again.find(b"c")),
            (77, Some(again.len() - 1))
        );
    }
}

#[test]
fn what_is_known_of_the_header_outlives_its_loss_on_disk() {
    let scratch = folder("3 V9 N30 G\n1 :a\n");
    let mut list = read(&scratch);
    scratch.write(NAME, "\n1 :a\n2 :b\n");
    assert_eq!(list.refresh(&scratch.dir).unwrap(), Refreshed::Replaced);
    assert_eq!(
        (list.uid_validity(), list.uid_next(), list.guid()),
        (9, Uid(30), GUID)
    );
    scratch.write(NAME, "3 V9 N3\n1 :a\n");
    list.refresh(&scratch.dir).unwrap();
    assert_eq!(
        (list.uid_next(), list.guid()),
        (Uid(30), GUID),
        "N was lowered, G lost"
    );
    assert!(list.needs_rewrite());
    scratch.write(NAME, "3 V10 N2 G\n1 :z\n");
    list.refresh(&scratch.dir).unwrap();
    assert_eq!(
        (list.uid_validity(), list.uid_next()),
        (10, Uid(2)),
        "another UIDVALIDITY"
    );
}

#[test]
fn a_file_that_vanished_is_written_again_with_the_same_uids() {
    let scratch = folder("3 V9 N3 G\n1 :a\n2 :b\n");
    let mut list = read(&scratch);
    scratch.dir.unlink(FILE).unwrap();
    assert_eq!(list.refresh(&scratch.dir).unwrap(), Refreshed::Gone);
    assert_eq!(append(&scratch, &mut list, &["c"]).unwrap(), 3);
    let text = scratch.read(NAME).unwrap();
    assert_eq!(text, format!("3 V9 N4 G{GUID}\n1 :a\n2 :b\n3 :c\n"));
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

/// Runs `scenario` with the process dying, or one call failing, at each of its calls in turn, and lets
/// `check` look at what is left.
fn at_every_call(
    text: &str,
    scenario: &dyn Fn(&Scratch) -> Result<(), UidlistError>,
    check: &dyn Fn(&Scratch, bool, &str),
) {
    for plan in [
        fault::die_at as fn(usize),
        |n| fault::fail_at(n, 28),
        |n| fault::fail_at(n, 5),
    ] {
        for n in 1.. {
            let scratch = folder(text);
            plan(n);
            let done = scenario(&scratch).is_ok();
            let calls = fault::calls();
            fault::clear();
            check(&scratch, done, calls.last().map_or("", String::as_str));
            if calls.len() < n {
                break;
            }
        }
    }
}

#[test]
fn wherever_an_append_breaks_off_no_uid_is_lost_or_given_twice() {
    for text in [
        "3 V9 N3 G\n1 :a\n2 :b\n",
        "1 9 3\n1 a\n2 b\n",
        "3 V9 N3 G\n1 :a\n2 :b\n3 :half",
        "3 V9 N3 G\n1 :a\nbroken\n2 :b\n",
    ] {
        let scenario = |scratch: &Scratch| {
            let mut list = Uidlist::read(&scratch.dir)?.unwrap();
            let mut dotlock = Dotlock::of_uidlist(scratch.dir.clone());
            let lock = dotlock.try_lock(&Access::PRIVATE, SystemTime::now())?;
            let lock = lock.ok_or(UidlistError::LockLost)?;
            list.refresh(&scratch.dir)?;
            let new = [
                New {
                    base: b"c.first",
                    guid: None,
                },
                New {
                    base: b"d",
                    guid: None,
                },
            ];
            list.append(&scratch.dir, &lock, &new, Durable::Yes)?;
            Ok(())
        };
        at_every_call(text, &scenario, &|scratch, done, at| {
            let mut list = read(scratch);
            let found = records(&list);
            let allowed: &[&str] = match done {
                true => &["1 a, 2 b, 3 c.first, 4 d"],
                // Nobody was told of UID 3, so it may be given to another.
                false => &[
                    "1 a, 2 b",
                    "1 a, 2 b, 3 c.first",
                    "1 a, 2 b, 3 c.first, 4 d",
                ],
            };
            assert!(allowed.contains(&found.as_str()), "{found:?} after {at}");
            assert_eq!(list.uid_validity(), 9);
            let next = list.uid_next().0;
            assert_eq!(
                append(scratch, &mut list, &["e"]).unwrap(),
                next,
                "after {at}"
            );
            let all = format!("{found}, {next} e");
            assert_eq!(records(&read(scratch)), all, "after {at}");
            let mut names = scratch.names();
            names.retain(|name| name != "dovecot-uidlist.damaged");
            assert!(
                names
                    .iter()
                    .all(|name| [NAME, "dovecot-uidlist.tmp"].contains(&name.as_str()))
            );
        });
    }
}

#[test]
fn wherever_a_rewrite_breaks_off_the_old_file_or_the_new_is_there() {
    let scenario = |scratch: &Scratch| {
        let mut list = Uidlist::read(&scratch.dir)?.unwrap();
        let mut dotlock = Dotlock::of_uidlist(scratch.dir.clone());
        let lock = dotlock.try_lock(&Access::PRIVATE, SystemTime::now())?;
        let lock = lock.ok_or(UidlistError::LockLost)?;
        let mut live = |_: usize, record: Record<'_>| record.uid != Uid(9);
        list.rewrite(
            &scratch.dir,
            &lock,
            &Access::PRIVATE,
            &mut live,
            Durable::Yes,
        )
    };
    at_every_call(
        "3 V9 N3 G\n1 :a\n9 :b\n",
        &scenario,
        &|scratch, done, at| {
            let list = read(scratch);
            let allowed: &[&str] = if done { &["1 a"] } else { &["1 a", "1 a, 9 b"] };
            assert!(allowed.contains(&records(&list).as_str()), "after {at}");
            assert_eq!(
                (list.uid_next(), list.guid()),
                (Uid(10), GUID),
                "after {at}"
            );
        },
    );
}

#[test]
fn the_data_is_on_disk_before_the_rename_and_the_rename_before_the_return() {
    let scratch = folder("3 V9 N3 G\n1 :a\n");
    let mut list = read(&scratch);
    let lock = lock(&scratch);
    fault::count();
    let mut live = |_: usize, _: Record<'_>| true;
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
    #[test]
    fn any_file_is_read_without_panic_and_written_soundly(
        header in prop_oneof![
            Just(b"3 V5 N7".to_vec()), Just(b"1 5 7".to_vec()), prop::collection::vec(any::<u8>(), 0..20)
        ],
        body in prop::collection::vec(prop_oneof![
            "[0-9]{1,3} (W[0-9] )?:[ab]{1,2}(:2,S)?".prop_map(String::into_bytes),
            "[0-9 :/a-cGSW\\x00\\r]{0,12}".prop_map(String::into_bytes),
            prop::collection::vec(any::<u8>(), 0..30),
        ], 0..12),
    ) {
        let text = [&header[..], b"\n", &body.join(&b'\n')].concat();
        let scratch = Scratch::new();
        scratch.write(NAME, &text);
        if let Ok(Some(mut list)) = Uidlist::read(&scratch.dir) {
            let uids: Vec<Uid> = list.records().map(|record| record.uid).collect();
            prop_assert!(uids.windows(2).all(|two| two[0] < two[1]));
            for (index, record) in list.records().enumerate() {
                prop_assert_eq!(list.find(record.base), Some(index));
                prop_assert_eq!(list.find_uid(record.uid), Some(index));
            }
            if list.uid_validity() == 0 {
                list.restore_header(1, Uid(1));
            }
            let (before, next) = (records(&list), list.uid_next());
            prop_assert!(uids.last().is_none_or(|last| *last < next));
            rewrite(&scratch, &mut list, &[]).unwrap();
            let again = read(&scratch);
            prop_assert!(!again.needs_rewrite(), "{:?}", scratch.read(NAME));
            prop_assert_eq!(records(&again), before);
            prop_assert_eq!(again.uid_next(), next);
        }
    }

    /// Two programs take turns; whatever they do, a name keeps its UID until it is dropped, and no UID is
    /// ever given to two names.
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
