//! SELECT, EXAMINE, CLOSE, UNSELECT, and how states follow each other: RFC 3501 3, 6.3.1, 6.3.2.

use crate::support::*;

#[test]
fn unseen_is_the_first_message_not_seen_and_absent_if_there_is_none() {
    let mail = Mail::with(["one.eml", "two.eml", "three.eml"]);
    let mut a = mail.connect();
    assert_eq!(a.ok("SELECT INBOX").number("UNSEEN"), 1);
    a.ok(r"STORE 1 +FLAGS.SILENT (\Seen)");
    assert_eq!(a.ok("SELECT INBOX").number("UNSEEN"), 2);
    a.ok(r"STORE 2:3 +FLAGS.SILENT (\Seen)");
    assert_eq!(a.ok("SELECT INBOX").find_number("UNSEEN"), None);
}

#[test]
fn flags_and_permanentflags_name_the_keywords_in_use() {
    let mail = Mail::with(["one.eml"]);
    let mut a = mail.select();
    a.ok("STORE 1 +FLAGS.SILENT ($Label1 Work)");
    let reply = a.ok("SELECT INBOX");
    reply.contains(r"FLAGS (\Answered \Flagged \Deleted \Seen \Draft $Label1 Work)");
    reply.contains(
        r"OK [PERMANENTFLAGS (\Answered \Flagged \Deleted \Seen \Draft $Label1 Work \*)]",
    );
    a.ok("EXAMINE INBOX").contains("OK [PERMANENTFLAGS ()]");
}

#[test]
fn a_new_keyword_is_announced_before_it_is_used() {
    let mail = Mail::with(["one.eml"]);
    let mut a = mail.select();
    let reply = a.ok("STORE 1 +FLAGS (Fresh)");
    let flags = reply
        .untagged
        .iter()
        .position(|r| r.matches("FLAGS (Fresh ...)"));
    let fetch = reply
        .untagged
        .iter()
        .position(|r| r.matches("1 FETCH (FLAGS (Fresh))"));
    assert!(flags.is_some() && flags < fetch, "{reply}");
}

#[test]
fn uidvalidity_and_uids_outlast_the_process() {
    let mail = Mail::with(["one.eml", "two.eml"]);
    let mut a = mail.connect();
    let first = a.ok("SELECT INBOX").number("UIDVALIDITY");
    a.ok(r"STORE 1 +FLAGS.SILENT (\Deleted)");
    a.ok("EXPUNGE");
    a.logout();
    let mut b = mail.connect();
    let reply = b.ok("SELECT INBOX");
    assert_eq!(reply.number("UIDVALIDITY"), first);
    assert_eq!(reply.number("UIDNEXT"), 3);
    b.ok("FETCH 1 UID").untagged(["1 FETCH (UID 2)"]);
}

#[test]
fn select_without_close_leaves_the_mailbox_as_it_was() {
    let mail = Mail::with(["one.eml"]);
    let mut a = mail.select();
    a.ok(r"STORE 1 +FLAGS.SILENT (\Deleted)");
    a.ok("SELECT INBOX").contains("1 EXISTS");
    a.ok("FETCH 1 FLAGS")
        .untagged([r"1 FETCH (FLAGS (\Deleted))"]);
}

#[test]
fn commands_of_the_selected_state_are_bad_without_a_mailbox() {
    let mail = Mail::with(["one.eml"]);
    let mut a = mail.connect();
    for command in [
        "CHECK",
        "CLOSE",
        "UNSELECT",
        "EXPUNGE",
        "SEARCH ALL",
        "FETCH 1 FLAGS",
        r"STORE 1 FLAGS (\Seen)",
        "COPY 1 INBOX",
        "MOVE 1 INBOX",
        "UID FETCH 1 FLAGS",
    ] {
        a.bad(command);
    }
    a.ok("SELECT INBOX");
    a.ok("CLOSE");
    a.bad("FETCH 1 FLAGS");
}

#[test]
fn an_unknown_select_parameter_is_bad() {
    let mail = Mail::with(["one.eml"]);
    let mut a = mail.connect();
    a.bad("SELECT INBOX (NONSENSE)");
    a.ok("SELECT INBOX (CONDSTORE)").contains("1 EXISTS");
}

#[test]
fn the_answer_says_read_write_or_read_only() {
    let mail = Mail::with(["one.eml"]);
    let mut a = mail.connect();
    a.ok("SELECT INBOX").code("READ-WRITE");
    a.ok("EXAMINE INBOX").code("READ-ONLY");
}

#[test]
fn examining_marks_nothing_old() {
    let mail = Mail::new();
    mail.inbox().deliver_file("one.eml");
    let mut a = mail.connect();
    a.ok("EXAMINE INBOX").contains("1 RECENT");
    a.ok("UNSELECT");
    a.ok("SELECT INBOX").contains("1 RECENT");
}

#[test]
fn mailboxid_is_told_at_select() {
    roost_only!("it has no OBJECTID");
    let mail = Mail::with(["one.eml"]);
    let mut a = mail.connect();
    a.ok("SELECT INBOX").contains("OK [MAILBOXID (?)]");
}

#[test]
fn a_mailbox_that_takes_long_to_open_is_not_closed_for_those_others_look_at() {
    let mail = Mail::new();
    let server = Server::try_(&mail);
    let (mut a, mut b) = (server.connect(), server.connect());
    a.ok("CREATE Slow");
    let lock = mail.folder("Slow").path().join("dovecot-uidlist.lock");
    std::fs::write(&lock, "").expect("written");
    own(&lock);
    mail.folder("Slow").deliver_file("one.eml");
    let select = a.start("SELECT Slow");
    for number in 0..8 {
        b.ok(&format!("CREATE Other{number}"));
        b.ok(&format!("SELECT Other{number}"));
    }
    std::fs::remove_file(&lock).expect("removed");
    assert_eq!(a.finish(&select).tagged.word(), "OK");
}

#[test]
fn a_mailbox_that_is_left_for_another_is_told_closed_before_that_one() {
    let mail = Mail::with(["one.eml"]);
    mail.folder("Other").create();
    let mut a = mail.select();
    for command in ["SELECT Other", "EXAMINE INBOX", "SELECT INBOX"] {
        let reply = a.ok(command);
        let first = &reply.untagged[0];
        assert!(first.matches("OK [CLOSED] ..."), "{reply}");
        let closed = reply
            .untagged
            .iter()
            .filter(|response| response.matches("OK [CLOSED] ..."));
        assert_eq!(closed.count(), 1, "{reply}");
    }
    // It is left, too, when there is no other.
    a.no("SELECT Nowhere").contains("OK [CLOSED] ...");
    a.bad("FETCH 1 FLAGS");
    // And is not left twice, nor by what leaves it without another.
    a.ok("SELECT Other").lacks("OK [CLOSED] ...");
    a.ok("CLOSE").lacks("OK [CLOSED] ...");
    a.ok("SELECT INBOX").lacks("OK [CLOSED] ...");
    a.ok("UNSELECT").lacks("OK [CLOSED] ...");
}
