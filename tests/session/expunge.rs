//! EXPUNGE, UID EXPUNGE, CLOSE: RFC 3501 6.4.2, 6.4.3, RFC 4315 2.1.

use crate::support::*;

#[test]
fn expunge_is_not_told_during_fetch_store_or_search() {
    let mail = Mail::with(["one.eml", "two.eml", "three.eml"]);
    let (mut a, mut b) = (mail.select(), mail.select());
    a.ok(r"STORE 1 +FLAGS.SILENT (\Deleted)");
    b.ok("NOOP");
    a.ok("EXPUNGE");
    b.ok("FETCH 2 UID").untagged(["2 FETCH (UID 2)"]);
    b.ok(r"STORE 2 +FLAGS.SILENT (\Seen)").lacks("1 EXPUNGE");
    b.ok("SEARCH UID 2:3").untagged(["SEARCH 2 3"]);
    b.ok("NOOP").untagged(["1 EXPUNGE"]);
}

#[test]
fn expunge_may_be_told_by_every_other_command() {
    for command in [
        "NOOP",
        "CHECK",
        "STATUS INBOX (UIDNEXT)",
        "CREATE other",
        "LIST \"\" x",
        "EXPUNGE",
    ] {
        let mail = Mail::with(["one.eml", "two.eml"]);
        let (mut a, mut b) = (mail.select(), mail.select());
        a.ok(r"STORE 1 +FLAGS.SILENT (\Deleted)");
        b.ok("NOOP");
        a.ok("EXPUNGE");
        let reply = b.ok(command);
        if !reply.has("1 EXPUNGE") {
            b.ok("NOOP").contains("1 EXPUNGE");
        }
        b.ok("FETCH 1 UID").untagged(["1 FETCH (UID 2)"]);
    }
}

#[test]
fn every_second_of_a_hundred_is_expunged_rightly() {
    let mail = Mail::numbered(100);
    let mut a = mail.select();
    let odd: Vec<String> = (1..=100).step_by(2).map(|n| n.to_string()).collect();
    a.ok(&format!(
        r"STORE {} +FLAGS.SILENT (\Deleted)",
        odd.join(",")
    ));
    let reply = a.ok("EXPUNGE");
    let told: Vec<u32> = reply
        .untagged
        .iter()
        .filter_map(Response::expunged)
        .collect();
    assert_eq!(
        numbers_before(&told),
        (1..=100).step_by(2).collect::<Vec<u32>>()
    );
    let left = a.ok("UID SEARCH ALL").found();
    assert_eq!(left, (2..=100).step_by(2).collect::<Vec<u32>>());
    assert_eq!(mail.inbox().bases().len(), 50);
}

#[test]
fn expunge_with_nothing_deleted_says_nothing() {
    let mail = Mail::with(["one.eml"]);
    let mut a = mail.select();
    a.ok("EXPUNGE").untagged([]);
    a.ok("UID EXPUNGE 1:*").untagged([]);
}

#[test]
fn uid_expunge_needs_both_flag_and_uid() {
    let mail = Mail::with(["one.eml", "two.eml", "three.eml"]);
    let mut a = mail.select();
    a.ok(r"STORE 1,3 +FLAGS.SILENT (\Deleted)");
    a.ok("UID EXPUNGE 2:3").untagged(["3 EXPUNGE"]);
    a.ok("FETCH 1:* FLAGS")
        .untagged([r"1 FETCH (FLAGS (\Deleted))", "2 FETCH (FLAGS ())"]);
}

#[test]
fn a_message_marked_deleted_by_another_program_is_expunged() {
    let mail = Mail::with(["one.eml", "two.eml"]);
    let inbox = mail.inbox();
    let mut a = mail.select();
    inbox.set_flags(&inbox.bases()[0], "T");
    eventually("the flag", || {
        a.ok("NOOP")
            .has(r"1 FETCH (FLAGS (\Deleted) ...)")
            .then_some(())
    });
    a.ok("EXPUNGE").untagged(["1 EXPUNGE"]);
    assert_eq!(inbox.bases().len(), 1);
}

#[test]
fn a_file_another_program_removed_first_is_expunged_without_complaint() {
    let mail = Mail::with(["one.eml", "two.eml"]);
    let inbox = mail.inbox();
    let mut a = mail.select();
    a.ok(r"STORE 1:2 +FLAGS.SILENT (\Deleted)");
    inbox.remove(&inbox.bases()[0]);
    let reply = a.ok("EXPUNGE");
    let told = reply.untagged.iter().filter_map(Response::expunged).count();
    if told < 2 {
        eventually("the rest", || {
            let reply = a.ok("NOOP");
            (told + reply.untagged.iter().filter_map(Response::expunged).count() == 2).then_some(())
        });
    }
    assert!(inbox.bases().is_empty());
}

#[test]
fn close_expunges_silently_and_unselect_and_examine_do_not() {
    let mail = Mail::with(["one.eml", "two.eml"]);
    let mut a = mail.select();
    a.ok(r"STORE 1 +FLAGS.SILENT (\Deleted)");
    a.ok("UNSELECT").untagged([]);
    a.ok("EXAMINE INBOX").contains("2 EXISTS");
    a.ok("CLOSE").untagged([]);
    a.ok("SELECT INBOX").contains("2 EXISTS");
    a.ok("CLOSE").untagged([]);
    a.ok("SELECT INBOX").contains("1 EXISTS");
}

#[test]
fn selecting_another_mailbox_does_not_expunge() {
    let mail = Mail::with(["one.eml"]);
    let mut a = mail.select();
    a.ok("CREATE Other");
    a.ok(r"STORE 1 +FLAGS.SILENT (\Deleted)");
    a.ok("SELECT Other");
    a.ok("SELECT INBOX").contains("1 EXISTS");
}

#[test]
fn numbers_after_an_expunge_in_the_same_pipeline_are_the_new_ones() {
    let mail = Mail::with(["one.eml", "two.eml", "three.eml"]);
    let mut a = mail.select();
    a.ok(r"STORE 1 +FLAGS.SILENT (\Deleted)");
    a.ok("EXPUNGE").untagged(["1 EXPUNGE"]);
    a.ok("STORE 1 +FLAGS (mark)")
        .contains("1 FETCH (FLAGS (mark))");
    a.ok("FETCH 1:* (UID FLAGS)")
        .untagged(["1 FETCH (UID 2 FLAGS (mark))", "2 FETCH (UID 3 FLAGS ())"]);
}

#[test]
fn uids_of_expunged_messages_are_never_given_again() {
    let mail = Mail::with(["one.eml", "two.eml"]);
    let mut a = mail.select();
    a.ok(r"STORE 1:* +FLAGS.SILENT (\Deleted)");
    a.ok("EXPUNGE");
    a.logout();
    let mut b = mail.select();
    b.append("INBOX", &text("three.eml")).code("APPENDUID ? 3");
}

#[test]
fn recent_is_told_anew_when_a_recent_message_is_expunged() {
    let mail = Mail::with(["one.eml", "two.eml"]);
    mail.select().logout();
    mail.inbox().deliver_file("three.eml");
    mail.inbox().deliver_file("four.eml");
    let mut a = mail.select();
    a.ok(r"STORE 3 +FLAGS.SILENT (\Deleted)");
    a.ok("EXPUNGE").untagged(["3 EXPUNGE", "1 RECENT"]);
    a.ok(r"STORE 1 +FLAGS.SILENT (\Deleted)");
    a.ok("EXPUNGE").untagged(["1 EXPUNGE"]);
}
