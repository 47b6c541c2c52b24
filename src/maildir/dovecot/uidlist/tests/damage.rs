//! Broken files, full disks and crashes.

use super::*;

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
fn a_carriage_return_is_no_part_of_a_line_and_the_file_stays_as_it_is() {
    let guid = "a07602237f41046b4f45000083ecc375";
    for header in [
        format!("3 V9 N3 G{guid}"),
        format!("3 G{guid} V9 N3"),
        format!("3 N3 G{guid} V9"),
    ] {
        let text = format!("{header}\r\n1 :a,S=2\r\n6 W7 :b\r\n");
        let scratch = folder(&text);
        let mut list = read(&scratch);
        assert!(!list.needs_rewrite(), "{header}");
        assert_eq!((list.uid_validity(), list.guid()), (9, guid), "{header}");
        assert_eq!(records(&list), "1 a,S=2, 6 b", "{header}");
        assert_eq!(list.find(b"a,S=2"), Some(0), "{header}");
        assert_eq!(append(&scratch, &mut list, &["new"]).unwrap(), 7);
        let now = scratch.read(NAME).unwrap();
        assert_eq!(now, format!("{text}7 :new\n"));
        assert_eq!(records(&read(&scratch)), "1 a,S=2, 6 b, 7 new");
        assert_eq!(scratch.names(), [NAME]);
    }
    let plain = folder("1 9 3\r\n1 a\r\n2 b\r\n");
    let list = read(&plain);
    assert_eq!((list.uid_validity(), list.uid_next().0), (9, 3));
    assert_eq!(records(&list), "1 a, 2 b");
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
        ("7 :e\r\r", Some("7 e")),
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
fn a_file_that_grew_says_what_one_read_at_once_says() {
    for (begin, rest) in [
        ("5 :e\n5 :f\n", "5 :e\n"),
        ("5 :e\n5 :f\n", "3 :d\n"),
        ("3 :d\n5 :d\n", "3 :c\n"),
        ("3 :d\n", "5 :d\n"),
    ] {
        let scratch = folder(&format!("3 V9 N9 G\n{begin}"));
        let mut list = read(&scratch);
        let whole = format!("{}{rest}", scratch.read(NAME).unwrap());
        scratch.write(NAME, whole);
        list.refresh(&scratch.dir).unwrap();
        assert_eq!(
            records(&list),
            records(&read(&scratch)),
            "{begin:?} {rest:?}"
        );
    }
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

/// Runs `scenario` with the process dying, or one call failing, at each of its calls in turn, and
/// lets `check` look at what is left.
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
        let mut live = |_: usize, record: UidlistRecord<'_>| record.uid != Uid(9);
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

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

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
}
