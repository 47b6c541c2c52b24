//! UIDs when dovecot-uidlist, the index or the modseqs are lost, old or somebody else's.

use super::outside::appeared;
use super::*;

fn mail_with_three() -> (Mail, Folder) {
    let mail = Mail::new();
    for name in ["cur/1.host:2,", "cur/2.host:2,S", "cur/3.host:2,"] {
        mail.deliver(name);
    }
    let folder = mail.open();
    (mail, folder)
}

impl Mail {
    fn uidlist(&self) -> String {
        self.scratch.read("dovecot-uidlist").unwrap()
    }

    /// Lines of the uidlist after the first.
    fn records(&self) -> Vec<String> {
        self.uidlist().lines().skip(1).map(str::to_owned).collect()
    }
}

#[test]
fn without_an_index_uids_come_from_the_uidlist() {
    let (mail, folder) = mail_with_three();
    let (validity, highest) = (folder.uid_validity(), folder.highest_modseq());
    folder.close(now());
    mail.remove("roost.index");
    let folder = mail.open();
    assert_eq!(
        (uids(&folder), folder.uid_validity()),
        (vec![1, 2, 3], validity)
    );
    assert!(folder.highest_modseq() > highest);
    assert_eq!(folder.expunged_since(highest), None);
}

#[test]
fn a_lost_uidlist_is_made_again_from_the_index() {
    let (mail, folder) = mail_with_three();
    let before = (folder.uid_validity(), folder.mailbox_id());
    folder.close(now());
    let records = mail.records();
    mail.remove("dovecot-uidlist");
    let folder = mail.open();
    assert_eq!((folder.uid_validity(), folder.mailbox_id()), before);
    assert_eq!(uids(&folder), [1, 2, 3]);
    assert_eq!(mail.records(), records);
}

#[test]
fn a_uidlist_lost_while_the_folder_is_open_is_made_again() {
    let (mail, mut folder) = mail_with_three();
    mail.remove("dovecot-uidlist");
    mail.deliver("new/4.host");
    sync(&mut folder);
    assert_eq!(uids(&folder), [1, 2, 3, 4]);
    assert_eq!(mail.records().len(), 4);
}

#[test]
fn without_index_and_uidlist_uidvalidity_grows() {
    let (mail, folder) = mail_with_three();
    let validity = folder.uid_validity();
    folder.close(now());
    mail.remove("roost.index");
    mail.remove("dovecot-uidlist");
    let folder = mail.open();
    assert!(folder.uid_validity() > validity);
    assert_eq!(uids(&folder), [1, 2, 3]);
}

#[test]
fn uids_that_an_old_uidlist_does_not_know_are_not_given_again() {
    let (mail, folder) = mail_with_three();
    folder.close(now());
    let old = mail.uidlist();
    mail.deliver("new/4.host");
    mail.deliver("new/5.host");
    let folder = mail.open();
    let validity = folder.uid_validity();
    assert_eq!(uids(&folder), [1, 2, 3, 4, 5]);
    folder.close(now());
    mail.scratch.write("dovecot-uidlist", old);
    mail.remove("cur/5.host:2,");
    mail.deliver("new/6.host");
    let folder = mail.open();
    assert_eq!(folder.uid_validity(), validity);
    assert_eq!(uids(&folder), [1, 2, 3, 4, 6]);
    assert!(mail.records().iter().any(|line| line == "4 :4.host"));
}

#[test]
fn a_uidlist_with_a_lower_uidvalidity_gets_a_higher_one() {
    let (mail, folder) = mail_with_three();
    let validity = folder.uid_validity();
    folder.close(now());
    let old = mail.uidlist().replace(&format!("V{validity}"), "V1000");
    mail.scratch.write("dovecot-uidlist", old);
    let folder = mail.open();
    assert!(folder.uid_validity() > validity);
    assert_eq!(uids(&folder), [1, 2, 3]);
}

#[test]
fn a_uidlist_with_a_higher_uidvalidity_is_believed() {
    let (mail, folder) = mail_with_three();
    let validity = folder.uid_validity();
    folder.close(now());
    let other = format!(
        "3 V{} N20 G{}\n10 :3.host\n11 :1.host\n",
        validity + 1,
        "a".repeat(32)
    );
    mail.scratch.write("dovecot-uidlist", other);
    let folder = mail.open();
    assert_eq!(folder.uid_validity(), validity + 1);
    assert_eq!(uids(&folder), [10, 11, 20]);
}

#[test]
fn another_uidvalidity_while_the_folder_is_open_ends_it() {
    let (mail, mut folder) = mail_with_three();
    let validity = folder.uid_validity();
    let other = mail
        .uidlist()
        .replace(&format!("V{validity}"), &format!("V{}", validity + 1));
    mail.scratch.write("dovecot-uidlist", other);
    let error = folder.sync(WRITING, now(), &|| false).unwrap_err();
    assert!(matches!(error, FolderError::Replaced(_)));
}

#[test]
fn uids_that_dovecot_gave_are_taken() {
    let (mail, mut folder) = mail_with_three();
    mail.deliver("cur/9.host:2,F");
    mail.deliver("cur/8.host:2,");
    let list = mail.uidlist() + "4 :9.host\n5 Gdeadbeefdeadbeefdeadbeefdeadbeef :8.host\n";
    mail.scratch.write("dovecot-uidlist", list);
    sync(&mut folder);
    assert_eq!(uids(&folder), [1, 2, 3, 4, 5]);
    assert_eq!(folder.messages()[3].flags().system, System::FLAGGED);
    assert_eq!(folder.email_id(4), "deadbeef".repeat(4));
    assert_eq!(folder.uid_next(), 6);
}

#[test]
fn a_uid_without_file_is_never_given_to_another_file() {
    let (mail, mut folder) = mail_with_three();
    mail.deliver("new/9.host");
    let list = mail.uidlist() + "4 :7.host\n";
    mail.scratch.write("dovecot-uidlist", list);
    sync(&mut folder);
    assert_eq!(uids(&folder), [1, 2, 3, 5]);
    // Its file comes too late: clients know that there is nothing between 3 and 5.
    mail.deliver("cur/7.host:2,");
    sync(&mut folder);
    assert_eq!(uids(&folder), [1, 2, 3, 5, 6]);
}

#[test]
fn a_message_that_another_program_gave_a_new_uid_has_that_one() {
    let (mail, mut folder) = mail_with_three();
    let list = mail.uidlist().replace("2 :2.host\n", "") + "4 :2.host\n";
    mail.scratch.write("dovecot-uidlist", list);
    folder.take_changes();
    sync(&mut folder);
    assert_eq!(uids(&folder), [1, 3, 4]);
    assert_eq!(folder.messages().last().unwrap().flags(), seen());
}

#[test]
fn lost_modseqs_start_above_all_that_were_told() {
    let (mail, folder) = mail_with_three();
    let before = folder.highest_modseq();
    folder.close(now());
    mail.remove("roost.modseq");
    let folder = mail.open();
    let lowest = folder.messages().iter().map(|row| row.modseq()).min();
    assert!(lowest > Some(before));
}

#[test]
fn a_flag_set_and_reset_before_a_crash_is_told_again() {
    let (mail, mut folder) = mail_with_three();
    folder.write_index(now());
    let mut told = 0;
    for flags in [seen(), Flags::default()] {
        assert!(folder.lock(now()).unwrap());
        told = folder.next_modseq(now()).unwrap();
        folder.change_flags(0, &|_| flags, told).unwrap();
        folder.unlock();
    }
    // The index is not written.
    drop(folder);
    let folder = mail.open();
    assert!(folder.messages()[0].modseq() >= told);
    assert!(folder.highest_modseq() >= told);
}

#[test]
fn two_processes_do_not_give_the_same_modseq() {
    let (mail, mut ours) = mail_with_three();
    let mut theirs = mail.open();
    let mut last = 0;
    for round in 0..4 {
        for folder in [&mut ours, &mut theirs] {
            assert!(folder.lock(now()).unwrap());
            let modseq = folder.next_modseq(now()).unwrap();
            assert!(modseq > last, "round {round}");
            last = modseq;
            let flags = Flags {
                keywords: 1 << round,
                ..folder.messages()[0].flags()
            };
            folder.change_flags(0, &|_| flags, modseq).unwrap();
            folder.unlock();
        }
    }
    for mut folder in [ours, theirs] {
        sync(&mut folder);
        folder.close(now());
    }
    assert!(mail.open().highest_modseq() >= last);
}

#[test]
fn the_index_of_another_process_is_not_overwritten_with_older_modseqs() {
    let (mail, mut ours) = mail_with_three();
    ours.write_index(now());
    let mut theirs = mail.open();
    assert!(theirs.lock(now()).unwrap());
    let modseq = theirs.next_modseq(now()).unwrap();
    theirs.change_flags(2, &|_| seen(), modseq).unwrap();
    remove(&mut theirs, 0, modseq).unwrap();
    theirs.unlock();
    theirs.close(now());
    assert!(ours.lock(now()).unwrap());
    let later = ours.next_modseq(now()).unwrap();
    assert!(later > modseq);
    ours.change_flags(1, &|_| Flags::default(), later).unwrap();
    ours.unlock();
    ours.close(now());
    let folder = mail.open();
    assert!(folder.messages()[1].modseq() >= modseq);
    let gone = folder.expunged_since(modseq - 1).unwrap();
    assert_eq!(gone.ranges(), [(1, 1)]);
}

#[test]
fn a_uidlist_that_lost_its_first_line_gets_it_back() {
    let (mail, folder) = mail_with_three();
    let validity = folder.uid_validity();
    folder.close(now());
    let (_, records) = mail
        .uidlist()
        .split_once('\n')
        .map(|(a, b)| (a.to_owned(), b.to_owned()))
        .unwrap();
    mail.scratch
        .write("dovecot-uidlist", format!("garbage\n{records}"));
    mail.deliver("new/4.host");
    let folder = mail.open();
    assert_eq!(folder.uid_validity(), validity);
    assert_eq!(uids(&folder), [1, 2, 3, 4]);
    assert!(mail.uidlist().starts_with(&format!("3 V{validity} ")));
}

#[test]
fn what_courier_left_is_taken_over() {
    let mail = Mail::new();
    mail.deliver("cur/1.host:2,S");
    mail.deliver("cur/2.host:2,");
    mail.deliver("new/3.host");
    let uiddb = "1 795440986 78\n70 1.host\n77 2.host\n";
    mail.scratch.write("courierimapuiddb", uiddb);
    std::fs::create_dir(mail.path("courierimapkeywords")).unwrap();
    let keywords = "Work\n$Forwarded\n\n1.host:0 1\n2.host:1\n";
    mail.scratch.write("courierimapkeywords/:list", keywords);
    let folder = mail.open();
    assert_eq!(folder.uid_validity(), 795440986);
    assert_eq!(uids(&folder), [70, 77, 78]);
    let letters: Vec<_> = folder.keywords().map(|(_, name)| name.as_str()).collect();
    assert_eq!(letters.len(), 2);
    let held: Vec<u32> = folder
        .messages()
        .iter()
        .map(|row| row.flags().keywords.count_ones())
        .collect();
    assert_eq!(held, [2, 1, 0]);
    assert!(mail.uidlist().starts_with("3 V795440986 "));
}

#[test]
fn a_record_appended_for_a_message_we_have_is_its_new_uid() {
    let (mail, mut folder) = mail_with_three();
    let mut list = mail.uidlist();
    list.push_str("4 :2.host\n");
    std::fs::write(mail.path("dovecot-uidlist"), list).unwrap();
    sync(&mut folder);
    assert_eq!(uids(&folder), [1, 3, 4]);
    assert_eq!(folder.messages().last().unwrap().flags(), seen());
    folder.take_changes();
    sync(&mut folder);
    assert_eq!(folder.take_changes(), []);
}

#[test]
fn messages_that_came_and_went_unseen_are_told_as_expunged() {
    for saving in [false, true] {
        let (mail, mut ours) = mail_with_three();
        let mut theirs = mail.open();
        mail.deliver("cur/4.host:2,");
        sync(&mut theirs);
        assert_eq!(uids(&theirs), [1, 2, 3, 4]);
        let told = theirs.highest_modseq();
        mail.remove("cur/4.host:2,");
        let last = match saving {
            true => append(&mut ours, b"x\n"),
            false => {
                mail.deliver("cur/5.host:2,");
                sync(&mut ours);
                5
            }
        };
        assert_eq!(uids(&ours), [1, 2, 3, last]);
        let gone = ours.expunged_since(told).unwrap();
        assert_eq!(gone.iter().collect::<Vec<_>>(), [4]);
        assert!(ours.highest_modseq() > told);
    }
}

#[test]
fn a_record_without_its_file_is_not_given_away_by_the_index() {
    let (mail, mut folder) = mail_with_three();
    folder.set_watched(true);
    settle();
    sync(&mut folder);
    let mut list = mail.uidlist();
    list.push_str("4 :9.host\n");
    std::fs::write(mail.path("dovecot-uidlist"), list).unwrap();
    mail.rename("cur/1.host:2,", "cur/1.host:2,F");
    // It wants a scan, which does not come to pass.
    let event = appeared(Place::Cur, "1.host:2,F");
    let step = folder.handle_event(&event, WRITING, now()).unwrap();
    assert_eq!(step, Step::Again);
    folder.claim_recent();
    folder.close(now());
    mail.deliver("cur/5.host:2,");
    mail.deliver("cur/9.host:2,");
    let folder = mail.open();
    assert_eq!(uids(&folder), [1, 2, 3, 4, 5]);
    assert_eq!(mail.records()[3..], ["4 :9.host", "5 :5.host"]);
}

#[test]
fn what_processes_tell_each_other_of_modseqs_does_not_multiply() {
    let (mail, first) = mail_with_three();
    let mut folders = vec![first];
    folders.extend((0..4).map(|_| mail.open()));
    for round in 0..6 {
        for folder in &mut folders {
            append(folder, b"x\n");
            flag(folder, round);
        }
    }
    let length = std::fs::metadata(mail.path("roost.modseq")).unwrap().len();
    // Sixty changes, of a few records each.
    assert!(length < 60 * 20 * 20, "{length} octets");
}

#[test]
fn what_one_process_tells_another_does_not_go_below() {
    for (write_index, lose_index) in [(false, false), (true, false), (false, true), (true, true)] {
        let (mail, mut ours) = mail_with_three();
        for round in 0..4 {
            if write_index {
                ours.write_index(now());
            }
            if lose_index {
                let _ = std::fs::remove_file(mail.path("roost.index"));
            }
            let theirs = mail.open();
            let told = theirs.highest_modseq();
            let modseq = flag(&mut ours, round % 3);
            assert!(
                modseq > told,
                "{write_index} {lose_index} {round}: {modseq} {told}"
            );
        }
    }
}

fn flag(folder: &mut Folder, index: usize) -> u64 {
    assert!(folder.lock(now()).unwrap());
    let modseq = folder.next_modseq(now()).unwrap();
    let toggle = |flags: Flags| Flags {
        system: System(flags.system.0 ^ System::FLAGGED.0),
        ..flags
    };
    folder.change_flags(index, &toggle, modseq).unwrap();
    folder.unlock();
    modseq
}
