//! What other programs do between a look and what follows from it.

use super::outside::{appeared, vanished};
use super::*;
use crate::mail::Keyword;
use crate::maildir::disk::dir::fault;
use crate::maildir::dovecot::keywords::Room;
use crate::maildir::folder::save::SaveError;

const ENOSPC: i32 = 28;

fn deleted() -> Flags {
    Flags::from(System::DELETED)
}

fn flagged() -> Flags {
    Flags::from(System::FLAGGED)
}

/// Does it under the lock.
fn locked<T>(folder: &mut Folder, act: impl FnOnce(&mut Folder, u64) -> T) -> T {
    assert!(folder.lock_to_act(now()).unwrap());
    let modseq = folder.next_modseq(now()).unwrap();
    let result = act(folder, modseq);
    folder.unlock();
    result
}

fn set(folder: &mut Folder, index: usize, flags: Flags) {
    locked(folder, |folder, modseq| {
        folder.change_flags(index, &|_| flags, modseq).unwrap();
    });
}

/// A folder of so many messages, opened twice as by two processes.
fn two(mail: &Mail, messages: usize) -> (Folder, Folder) {
    for n in 1..=messages {
        mail.deliver(&format!("cur/{n}.host:2,"));
    }
    (mail.open(), mail.open())
}

#[test]
fn a_message_renamed_between_the_first_listing_and_its_uid_gets_its_uid_in_turn() {
    let mail = Mail::new();
    for n in 1..=3 {
        mail.deliver(&format!("cur/{n}.host:2,"));
    }
    settle();
    let mut folder = Folder::open(&mail.maildir, mail.scratch.path(), now()).unwrap();
    let listed = Cell::new(false);
    let after_listing = || listed.replace(true);
    while folder.sync(WRITING, now(), &after_listing).unwrap() == Step::Again {
        if matches!(folder.work, Work::Resolving) {
            break;
        }
    }
    mail.rename("cur/1.host:2,", "cur/1.host:2,FS");
    sync(&mut folder);
    let row = folder.messages()[0];
    assert_eq!(uids(&folder), [1, 2, 3]);
    assert_eq!(folder.table.base(0), b"1.host");
    assert_eq!(
        row.flags(),
        Flags::from(System(System::SEEN.0 | System::FLAGGED.0))
    );
}

#[test]
fn only_a_message_whose_name_says_deleted_is_expunged() {
    let mail = Mail::new();
    let (mut ours, _theirs) = two(&mail, 2);
    set(&mut ours, 0, deleted());
    mail.rename("cur/1.host:2,T", "cur/1.host:2,F");
    ours.take_changes();
    let expunged = locked(&mut ours, |folder, modseq| {
        folder.expunge(0, modseq).unwrap()
    });
    assert!(!expunged);
    assert_eq!(mail.names("cur"), ["1.host:2,F", "2.host:2,"]);
    assert_eq!(ours.messages()[0].flags(), flagged());
    assert!(matches!(
        ours.take_changes()[..],
        [Change::Flags { uid: Uid(1), .. }]
    ));
}

#[test]
fn a_removal_that_another_program_was_faster_with_is_one() {
    let mail = Mail::new();
    let (mut ours, _theirs) = two(&mail, 2);
    set(&mut ours, 0, deleted());
    mail.remove("cur/1.host:2,T");
    let _ = locked(&mut ours, |folder, modseq| folder.expunge(0, modseq));
    sync(&mut ours);
    assert_eq!(uids(&ours), [2]);
}

#[test]
fn flags_are_set_that_another_program_has_taken_away() {
    let mail = Mail::new();
    let (mut ours, _theirs) = two(&mail, 1);
    set(&mut ours, 0, seen());
    mail.rename("cur/1.host:2,S", "cur/1.host:2,F");
    assert!(!ours.is_as_known(0));
    let met = locked(&mut ours, |folder, modseq| {
        folder.change_flags(0, &|flags| flags.with(seen()), modseq)
    });
    assert_eq!(met.unwrap(), Met::Others);
    assert_eq!(mail.names("cur"), ["1.host:2,FS"]);
    assert!(ours.is_as_known(0));
}

#[test]
fn a_conditional_change_leaves_what_another_program_did() {
    let mail = Mail::new();
    let (mut ours, _theirs) = two(&mail, 1);
    mail.rename("cur/1.host:2,", "cur/1.host:2,F");
    for _ in 0..2 {
        let met = locked(&mut ours, |folder, modseq| {
            folder.change_flags_if_as_known(0, &|flags| flags.with(seen()), modseq)
        });
        if met.unwrap() == Met::AsKnown {
            break;
        }
        assert_eq!(mail.names("cur"), ["1.host:2,F"]);
    }
    assert_eq!(mail.names("cur"), ["1.host:2,FS"]);
}

#[test]
fn a_copy_has_the_flags_and_keywords_that_the_name_shows_when_it_is_made() {
    let mail = Mail::new();
    let (mut ours, mut theirs) = two(&mail, 1);
    let mut other = mail.subfolder(".Other");
    let keyword = |name| Keyword::new(name).unwrap();
    locked(&mut other, |folder, _| {
        folder
            .give_letters(&[&keyword("There")], Room::ForSome, 0, now())
            .unwrap()
    });
    let mut batch = Batch::new(&other);
    batch.copy(&mut ours, 0, Flags::default(), now()).unwrap();
    locked(&mut theirs, |folder, modseq| {
        let letters = folder.give_letters(&[&keyword("Here")], Room::ForSome, 0, now());
        let flags = Flags {
            system: System::FLAGGED,
            keywords: 1 << letters.unwrap()[0].unwrap(),
        };
        folder.change_flags(0, &|_| flags, modseq).unwrap();
    });
    commit(&mut other, &mut batch);
    let names: Vec<_> = other.keywords().map(|(_, name)| name.as_str()).collect();
    assert_eq!(names, ["There", "Here"]);
    let copy = Flags {
        system: System::FLAGGED,
        keywords: 0b10,
    };
    assert_eq!(other.messages()[0].flags(), copy);
    let original = Flags {
        keywords: 0b1,
        ..copy
    };
    assert_eq!(batch.copied(), [original]);
    // What was copied is what may be removed.
    let removed = locked(&mut ours, |folder, modseq| {
        mail.rename("cur/1.host:2,Fa", "cur/1.host:2,a");
        folder.remove_copied(0, original, modseq).unwrap()
    });
    assert!(!removed);
    assert_eq!(mail.names("cur"), ["1.host:2,a"]);
}

#[test]
fn a_file_put_back_under_its_old_name_is_a_message_with_flags_of_its_own() {
    for watched in [false, true] {
        let mail = Mail::new();
        let (mut ours, mut theirs) = two(&mail, 2);
        set(&mut ours, 0, deleted().with(seen()));
        ours.set_watched(watched);
        sync(&mut ours);
        sync(&mut theirs);
        mail.remove("cur/1.host:2,ST");
        sync(&mut theirs);
        mail.deliver("cur/1.host:2,F");
        sync(&mut theirs);
        assert_eq!(uids(&theirs), [2, 3]);
        // This process has seen nothing of it, and is about to act.
        assert!(ours.lock_to_act(now()).unwrap());
        assert_eq!(uids(&ours), [2]);
        ours.unlock();
        sync(&mut ours);
        assert_eq!(uids(&ours), [2, 3]);
        assert_eq!(ours.messages()[2].flags(), flagged());
        assert_eq!(mail.names("cur"), ["1.host:2,F", "2.host:2,"]);
    }
}

#[test]
fn the_index_does_not_say_what_a_file_put_back_is_like() {
    let mail = Mail::new();
    let (mut ours, mut theirs) = two(&mail, 2);
    set(&mut ours, 0, deleted());
    ours.close(now());
    mail.remove("cur/1.host:2,T");
    sync(&mut theirs);
    mail.deliver("cur/1.host:2,F");
    sync(&mut theirs);
    // Killed: the index is as it was.
    theirs.stale = false;
    drop(theirs);
    let folder = mail.open();
    assert_eq!(uids(&folder), [2, 3]);
    assert_eq!(folder.messages().last().unwrap().flags(), flagged());
}

#[test]
fn a_file_is_one_message_wherever_two_processes_meet_in_finding_it() {
    for slices in 0..16 {
        let mail = Mail::new();
        let (mut ours, mut theirs) = two(&mail, 3);
        for n in 4..=6 {
            mail.deliver(&format!("new/{n}.host"));
        }
        for _ in 0..slices {
            let _ = ours.sync(WRITING, now(), &|| true).unwrap();
        }
        ours.unlock();
        sync(&mut theirs);
        sync(&mut ours);
        sync(&mut theirs);
        assert_eq!(uids(&ours), [1, 2, 3, 4, 5, 6], "after {slices} slices");
        assert_eq!(uids(&theirs), uids(&ours), "after {slices} slices");
    }
}

#[test]
fn a_uidlist_that_is_written_anew_during_a_scan_hides_no_message() {
    for slices in 0..12 {
        let mail = Mail::new();
        let (mut ours, mut theirs) = two(&mail, 2);
        mail.deliver("cur/3.host:2,S");
        sync(&mut theirs);
        for n in 0..slices {
            let _ = ours.sync(WRITING, now(), &|| true).unwrap();
            if n % 2 == 1 {
                let text = mail.scratch.read("dovecot-uidlist").unwrap();
                mail.scratch.write("dovecot-uidlist.new", text + "\n");
                mail.scratch
                    .rename("dovecot-uidlist.new", "dovecot-uidlist");
            }
        }
        ours.unlock();
        sync(&mut ours);
        assert_eq!(uids(&ours), [1, 2, 3], "after {slices} slices");
        assert_eq!(ours.messages()[2].flags(), seen());
    }
}

#[test]
fn a_record_whose_file_is_still_to_come_is_not_given_up_while_its_giver_has_the_lock() {
    let mail = Mail::new();
    let (mut ours, theirs) = two(&mail, 2);
    settle();
    // Another program gives a UID, and then the file its name.
    let lock = Dotlock::of_uidlist(theirs.dirs.dir.clone())
        .try_lock(&theirs.dirs.access, now())
        .unwrap();
    let uidlist = mail.scratch.read("dovecot-uidlist").unwrap();
    mail.scratch
        .write("dovecot-uidlist", uidlist + "3 :3.host\n");
    let forced = Look {
        force_scan: true,
        ..WRITING
    };
    let step = ours.sync(forced, now(), &|| false).unwrap();
    assert_eq!(step, Step::Locked);
    mail.deliver("cur/3.host:2,");
    drop(lock);
    sync(&mut ours);
    assert_eq!(uids(&ours), [1, 2, 3]);
    assert_eq!(
        mail.scratch
            .read("dovecot-uidlist")
            .unwrap()
            .matches("3.host")
            .count(),
        1
    );
}

#[test]
fn a_uid_that_is_in_the_file_counts_though_the_file_cannot_be_made_smaller() {
    let arrive = |plan: Option<usize>| {
        let mail = Mail::new();
        let (ours, mut theirs) = two(&mail, 40);
        for n in 1..=30 {
            mail.remove(&format!("cur/{n}.host:2,"));
        }
        drop(ours);
        sync(&mut theirs);
        theirs.bury();
        mail.deliver("cur/50.host:2,");
        match plan {
            Some(n) => fault::fail_at(n, ENOSPC),
            None => fault::count(),
        }
        sync(&mut theirs);
        let calls = fault::calls();
        fault::clear();
        sync(&mut theirs);
        let uidlist = mail.scratch.read("dovecot-uidlist").unwrap();
        let records = uidlist.lines().filter(|line| line.contains("50.host"));
        (
            uids(&theirs).pop(),
            uids(&mail.open()).pop(),
            records.count(),
            calls,
        )
    };
    let (.., calls) = arrive(None);
    let create = |call: &String| {
        let removes = call.starts_with("unlink") || call.starts_with("rename");
        call.ends_with(" dovecot-uidlist.tmp") && !removes
    };
    let compaction = calls.iter().position(create).expect("a compaction");
    let (ours, theirs, records, _) = arrive(Some(compaction + 1));
    assert_eq!((ours, theirs, records), (Some(41), Some(41), 1));
}

#[test]
fn what_another_process_gave_is_in_the_index_of_one_that_saw_nothing_of_it() {
    let mail = Mail::new();
    let (mut ours, mut theirs) = two(&mail, 3);
    ours.write_index(now());
    set(&mut theirs, 1, flagged());
    let told = theirs.highest_modseq();
    set(&mut theirs, 1, Flags::default());
    // The name is what it was.
    ours.stale = true;
    ours.close(now());
    theirs.stale = false;
    drop(theirs);
    let folder = mail.open();
    assert!(folder.messages()[1].modseq() > told);
    assert!(folder.messages()[0].modseq() <= told);
}

#[test]
fn what_another_process_gave_and_took_back_counts_as_changed_here() {
    let mail = Mail::new();
    let (mut ours, mut theirs) = two(&mail, 3);
    set(&mut theirs, 1, flagged());
    let told = theirs.highest_modseq();
    set(&mut theirs, 1, Flags::default());
    theirs.close(now());
    sync(&mut ours);
    assert!(ours.messages()[1].modseq() > told);
}

#[test]
fn a_flag_that_a_power_failure_took_back_is_told_again() {
    let mail = Mail::new();
    let (mut ours, theirs) = two(&mail, 2);
    drop(theirs);
    ours.stale = true;
    ours.write_index(now());
    let index = std::fs::read(mail.path("roost.index")).unwrap();
    set(&mut ours, 1, flagged());
    let told = ours.highest_modseq();
    ours.stale = false;
    drop(ours);
    // The rename and the last record were never on the disk.
    mail.rename("cur/2.host:2,F", "cur/2.host:2,");
    let modseqs = std::fs::read(mail.path("roost.modseq")).unwrap();
    mail.scratch
        .write("roost.modseq", &modseqs[..modseqs.len() - 20]);
    mail.scratch.write("roost.index", index);
    let folder = mail.open();
    assert!(folder.messages()[1].modseq() > told);
}

#[test]
fn an_index_older_than_the_modseqs_that_go_with_it_is_not_believed() {
    let mail = Mail::new();
    let (mut ours, theirs) = two(&mail, 2);
    drop(theirs);
    ours.stale = true;
    ours.write_index(now());
    let index = std::fs::read(mail.path("roost.index")).unwrap();
    set(&mut ours, 1, flagged());
    let told = ours.highest_modseq();
    ours.close(now());
    mail.rename("cur/2.host:2,F", "cur/2.host:2,");
    mail.scratch.write("roost.index", index);
    let folder = mail.open();
    assert!(folder.messages()[1].modseq() > told);
}

#[test]
fn with_fsync_always_a_change_is_on_the_disk_before_it_is_told() {
    for (fsync, syncs) in [(Fsync::Always, 2), (Fsync::Optimized, 0)] {
        let mut mail = Mail::new();
        mail.maildir.settings.fsync = fsync;
        let (mut ours, _theirs) = two(&mail, 2);
        fault::count();
        set(&mut ours, 0, deleted());
        locked(&mut ours, |folder, modseq| {
            folder.expunge(0, modseq).unwrap()
        });
        let calls = fault::calls();
        fault::clear();
        let forced = calls.iter().filter(|call| *call == "fsync .");
        assert_eq!(forced.count(), syncs, "{calls:?}");
    }
}

#[test]
fn a_message_for_a_folder_that_was_replaced_meanwhile_goes_nowhere() {
    for replaced in ["the folder", "cur"] {
        let mail = Mail::new();
        let mut folder = mail.subfolder(".Other");
        let mut message = Incoming::begin(&folder, now()).unwrap();
        message.write(b"x\n").unwrap();
        let mut batch = Batch::new(&folder);
        batch.add(message, seen(), None).unwrap();
        let path = match replaced {
            "cur" => mail.path(".Other/cur"),
            _ => mail.path(".Other"),
        };
        let aside = mail.path("aside");
        std::fs::rename(&path, &aside).unwrap();
        let mut again = mail.subfolder(".Other");
        for folder in [&mut folder, &mut again] {
            let error = loop {
                match folder.commit(&mut batch, now(), &|| false) {
                    Ok(Commit::Again) => (),
                    other => break other.unwrap_err(),
                }
            };
            let is_replaced = matches!(error, SaveError::Folder(FolderError::Replaced(_)));
            assert!(is_replaced, "{replaced}: {error}");
            let what = mail.path(".Other").display().to_string();
            assert!(error.to_string().contains(&what), "{error}");
        }
        assert!(mail.names(".Other/cur").is_empty());
    }
}

#[test]
fn where_no_uidlist_can_be_written_every_process_finds_the_same_uids() {
    let Some(small) = full::Small::new() else {
        return;
    };
    let mail = &small.mail;
    mail.deliver("cur/2.host:2,");
    mail.deliver("cur/1.host:2,");
    full::read_only(mail, true);
    let (ours, theirs) = (mail.open(), mail.open());
    let picture = |folder: &Folder| {
        let names: Vec<_> = (0..folder.messages().len())
            .map(|index| folder.table.base(index).to_vec())
            .collect();
        (
            folder.uid_validity(),
            folder.mailbox_id(),
            uids(folder),
            names,
        )
    };
    assert_eq!(picture(&ours), picture(&theirs));
    assert_eq!(uids(&ours), [1, 2]);
    full::read_only(mail, false);
    mail.deliver("cur/0.host:2,");
    full::read_only(mail, true);
    // What has come would have another UID for whoever opens the folder now.
    let mut ours = ours;
    sync(&mut ours);
    assert_eq!(uids(&ours), [1, 2]);
    let later = mail.open();
    assert_eq!(uids(&later), [1, 2, 3]);
    assert!(later.uid_validity() > ours.uid_validity());
}

#[test]
fn a_storm_of_renames_starves_nothing_and_expunges_nothing() {
    let mail = Mail::new();
    let (mut ours, _theirs) = two(&mail, 20);
    let cur = mail.path("cur");
    let stop = std::sync::Arc::new(std::sync::atomic::AtomicBool::new(false));
    let stopped = std::sync::Arc::clone(&stop);
    let storm = std::thread::spawn(move || {
        let infos = [":2,", ":2,S", ":2,FS", ":2,R"];
        let name = |n: usize, info: usize| cur.join(format!("{n}.host{}", infos[info % 4]));
        let mut round = 0;
        while !stopped.load(std::sync::atomic::Ordering::Relaxed) {
            for n in 1..=20 {
                std::fs::rename(name(n, round), name(n, round + 1)).unwrap();
            }
            round += 1;
        }
    });
    let mut steps = 0;
    for _ in 0..200 {
        let mut step = ours.sync(WRITING, now(), &|| false).unwrap();
        while step == Step::Locked {
            steps += 1;
            pass(Duration::from_millis(5));
            step = ours.sync(WRITING, now(), &|| false).unwrap();
        }
        for index in 0..20 {
            ours.open_message(index, now()).unwrap();
        }
    }
    stop.store(true, std::sync::atomic::Ordering::Relaxed);
    storm.join().unwrap();
    assert!(steps < 200 * 50, "{steps}");
    let expunged = |change: &Change| matches!(change, Change::Expunged { .. });
    assert!(!ours.take_changes().iter().any(expunged));
    sync(&mut ours);
    assert_eq!(uids(&ours), (1..=20).collect::<Vec<_>>());
}

#[test]
fn a_message_that_two_moved_at_once_and_one_renamed_is_found() {
    let mail = Mail::new();
    let (mut ours, mut theirs) = two(&mail, 2);
    ours.set_watched(true);
    settle();
    sync(&mut ours);
    mail.deliver("new/3.host");
    sync(&mut theirs);
    set(&mut theirs, 2, deleted());
    set(&mut theirs, 2, Flags::from(System::DELETED | System::SEEN));
    // We hear of it in new/ first, and find it moved; where it went are two changes.
    let events = [
        appeared(Place::New, "3.host"),
        vanished(Place::New, "3.host"),
        appeared(Place::Cur, "3.host:2,"),
        vanished(Place::Cur, "3.host:2,"),
    ];
    let step = ours.handle_events(events.into_iter(), WRITING, now(), &|| false);
    let _ = step.unwrap();
    sync(&mut ours);
    assert_eq!(uids(&ours), [1, 2, 3]);
}

#[test]
fn a_uid_read_after_the_scan_that_would_have_found_its_file_is_accounted_for() {
    let mail = Mail::new();
    let (mut ours, mut theirs) = two(&mail, 2);
    settle();
    sync(&mut ours);
    let told = ours.highest_modseq();
    let uid = append(&mut theirs, b"x\n");
    locked(&mut theirs, |folder, modseq| remove(folder, 2, modseq)).unwrap();
    // While we list, the uidlist cannot be read.
    let lock = Dotlock::of_uidlist(theirs.dirs.dir.clone())
        .try_lock(&theirs.dirs.access, now())
        .unwrap();
    settle();
    assert_eq!(ours.sync(WRITING, now(), &|| false).unwrap(), Step::Locked);
    drop(lock);
    sync(&mut ours);
    assert_eq!(ours.uid_next(), uid + 1);
    let gone = ours.expunged_since(told).unwrap();
    assert_eq!(gone.iter().collect::<Vec<_>>(), [uid]);
}

#[test]
fn whose_lock_was_taken_begins_again_when_it_is_free() {
    let mail = Mail::new();
    let (mut ours, mut theirs) = two(&mail, 2);
    mail.deliver("cur/3.host:2,");
    assert!(ours.lock(now()).unwrap());
    std::fs::remove_file(mail.path("dovecot-uidlist.lock")).unwrap();
    assert!(theirs.lock(now()).unwrap());
    assert_eq!(ours.sync(WRITING, now(), &|| false).unwrap(), Step::Locked);
    theirs.unlock();
    sync(&mut ours);
    assert_eq!(uids(&ours), [1, 2, 3]);

    let mut message = Incoming::begin(&ours, now()).unwrap();
    message.write(b"x\n").unwrap();
    let mut batch = Batch::new(&ours);
    batch.add(message, seen(), None).unwrap();
    assert!(ours.lock(now()).unwrap());
    std::fs::remove_file(mail.path("dovecot-uidlist.lock")).unwrap();
    assert!(theirs.lock(now()).unwrap());
    let committed = ours.commit(&mut batch, now(), &|| false).unwrap();
    assert!(matches!(committed, Commit::Locked));
    theirs.unlock();
    assert_eq!(commit(&mut ours, &mut batch), 4);
}

#[test]
fn what_goes_between_two_listings_of_one_scan_is_missed_by_the_second() {
    let mail = Mail::new();
    let (mut ours, theirs) = two(&mail, 3);
    let uidlist = mail.scratch.read("dovecot-uidlist").unwrap();
    settle();
    // Another program gives a UID, and the second listing has to wait for its lock.
    mail.deliver("cur/4.host:2,");
    mail.scratch
        .write("dovecot-uidlist", uidlist + "4 :4.host\n");
    // So much happens at once that one listing does not do.
    mail.remove("cur/1.host:2,");
    let mut lock = None;
    for _ in 0..20 {
        let step = ours.sync(WRITING, now(), &|| true).unwrap();
        if lock.is_none() && matches!(ours.work, Work::Listing(_)) {
            lock = Dotlock::of_uidlist(theirs.dirs.dir.clone())
                .try_lock(&theirs.dirs.access, now())
                .unwrap();
        }
        if step == Step::Locked {
            break;
        }
    }
    assert!(lock.is_some());
    mail.remove("cur/2.host:2,");
    mail.remove("cur/4.host:2,");
    drop(lock);
    settle();
    for _ in 0..2 {
        sync(&mut ours);
    }
    assert_eq!(uids(&ours), [3]);
}
