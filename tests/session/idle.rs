//! IDLE: RFC 2177.

use std::fs;

use crate::support::*;

#[test]
fn nothing_is_told_twice_after_idle() {
    let mail = Mail::with(["one.eml"]);
    let mut a = mail.select();
    let mut idle = a.idle();
    mail.inbox().deliver_file("two.eml");
    idle.expect("2 EXISTS");
    idle.done();
    a.ok("NOOP").untagged([]);
}

#[test]
fn what_happened_before_idle_is_told_at_once() {
    let mail = Mail::with(["one.eml"]);
    let mut a = mail.select();
    mail.inbox().deliver_file("two.eml");
    let mut idle = a.idle();
    idle.expect("2 EXISTS");
    idle.done();
}

#[test]
fn done_may_be_written_in_any_case_and_pipelined() {
    let mail = Mail::with(["one.eml"]);
    let mut a = mail.select();
    let (idle, noop) = (a.next_tag(), a.next_tag());
    a.send_raw(format!("{idle} IDLE\r\n").as_bytes());
    assert!(a.wait_for_continuation(&idle));
    a.send_raw(format!("done\r\n{noop} NOOP\r\n").as_bytes());
    assert_eq!(a.finish(&idle).tagged.word(), "OK");
    assert_eq!(a.finish(&noop).tagged.word(), "OK");
}

#[test]
fn idle_without_a_mailbox_waits_for_done() {
    let mail = Mail::new();
    let mut a = mail.connect();
    a.idle().done().untagged([]);
}

#[test]
fn anything_but_done_ends_idle_with_bad() {
    let mail = Mail::with(["one.eml"]);
    let mut a = mail.select();
    let tag = a.start("IDLE");
    assert!(a.wait_for_continuation(&tag));
    a.send_raw(b"x NOOP\r\n");
    assert_eq!(a.finish(&tag).tagged.word(), "BAD");
    a.ok("NOOP");
}

#[test]
fn a_client_that_leaves_in_idle_is_let_go() {
    let mail = Mail::with(["one.eml"]);
    let mut a = mail.select();
    let tag = a.start("IDLE");
    assert!(a.wait_for_continuation(&tag));
    a.finish_writing();
    a.read_to_end();
}

#[test]
fn a_flag_a_removal_and_an_arrival_are_told_in_one_idle() {
    let mail = Mail::with(["one.eml", "two.eml"]);
    let inbox = mail.inbox();
    let mut a = mail.select();
    let mut idle = a.idle();
    inbox.set_flags(&inbox.bases()[0], "F");
    idle.expect(r"1 FETCH (FLAGS (\Flagged) ...)");
    inbox.remove(&inbox.bases()[1]);
    idle.expect("2 EXPUNGE");
    inbox.deliver_file("three.eml");
    idle.expect("2 EXISTS");
    idle.done();
    a.ok("FETCH 1:* UID")
        .untagged(["1 FETCH (UID 1)", "2 FETCH (UID 3)"]);
}

#[test]
fn a_client_in_idle_is_told_that_the_server_is_there() {
    roost_only!("a setting of ours");
    let mail = Mail::with(["one.eml"]);
    let mut a = Server::preauth_with(&mail, &["mail.idle_notify=1s"]);
    a.ok("SELECT INBOX");
    let mut idle = a.idle();
    idle.expect("OK Still here");
    idle.expect("OK Still here");
    idle.done();
}

#[test]
fn a_silent_client_is_sent_away_but_not_out_of_idle() {
    roost_only!("a setting of ours");
    let mail = Mail::with(["one.eml"]);
    let mut silent = Server::preauth_with(&mail, &["mail.idle_timeout=2s"]);
    let mut idler = Server::preauth_with(&mail, &["mail.idle_timeout=2s", "mail.idle_notify=1s"]);
    // All at once, for between two commands it might be too long.
    idler.send_raw(b"x1 SELECT INBOX\r\nx2 IDLE\r\n");
    idler.finish("x1");
    assert!(idler.wait_for_continuation("x2"));
    let last = silent.read_to_end();
    assert!(
        last.last()
            .is_some_and(|response| response.matches("BYE ..."))
    );
    for _ in 0..4 {
        idler.wait_for("OK Still here");
    }
    idler.send_raw(b"DONE\r\nx3 NOOP\r\n");
    assert_eq!(idler.finish("x2").tagged.word(), "OK");
    assert_eq!(idler.finish("x3").tagged.word(), "OK");
}

#[test]
fn idle_can_be_ended_while_another_program_has_the_lock() {
    let mail = Mail::with(["one.eml"]);
    let mut a = mail.select();
    let idle = a.idle();
    let lock = mail.inbox().path().join("dovecot-uidlist.lock");
    fs::write(&lock, "").expect("written");
    mail.inbox().deliver_file("two.eml");
    // The new message can have no UID yet.
    idle.done();
    fs::remove_file(&lock).expect("removed");
    a.ok("NOOP").contains("2 EXISTS");
}
