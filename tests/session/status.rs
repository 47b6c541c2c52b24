//! STATUS: RFC 3501 6.3.10, RFC 7162 3.1.7, RFC 7889, RFC 8438, RFC 8474, RFC 9051 6.3.11.

use crate::support::*;

#[test]
fn every_item_alone_and_all_together() {
    let mail = Mail::with(["one.eml", "two.eml"]);
    let mut a = mail.connect();
    for item in [
        "MESSAGES",
        "RECENT",
        "UIDNEXT",
        "UIDVALIDITY",
        "UNSEEN",
        "SIZE",
        "HIGHESTMODSEQ",
    ] {
        a.ok(&format!("STATUS INBOX ({item})"))
            .untagged([&format!("STATUS INBOX ({item} ?)")]);
    }
    a.ok("STATUS INBOX (UNSEEN MESSAGES UIDNEXT SIZE)")
        .untagged(["STATUS INBOX (MESSAGES 2 UIDNEXT 3 UNSEEN 2 SIZE 595)"]);
}

#[test]
fn status_sees_what_other_programs_did() {
    let mail = Mail::with(["one.eml"]);
    let inbox = mail.inbox();
    let mut a = mail.connect();
    a.ok("STATUS INBOX (MESSAGES UNSEEN)")
        .untagged(["STATUS INBOX (MESSAGES 1 UNSEEN 1)"]);
    inbox.deliver_file("two.eml");
    a.ok("STATUS INBOX (MESSAGES UIDNEXT)")
        .untagged(["STATUS INBOX (MESSAGES 2 UIDNEXT 3)"]);
    inbox.set_flags(&inbox.bases()[0], "S");
    a.ok("STATUS INBOX (UNSEEN)")
        .untagged(["STATUS INBOX (UNSEEN 1)"]);
}

#[test]
fn status_does_not_make_messages_old() {
    let mail = Mail::new();
    mail.inbox().deliver_file("one.eml");
    let mut a = mail.connect();
    a.ok("STATUS INBOX (MESSAGES RECENT)")
        .untagged(["STATUS INBOX (MESSAGES 1 RECENT 1)"]);
    assert_eq!(mail.inbox().names("new").len(), 1);
    a.ok("SELECT INBOX").contains("1 RECENT");
}

#[test]
fn status_of_the_selected_mailbox_is_answered() {
    let mail = Mail::with(["one.eml"]);
    let mut a = mail.select();
    a.ok("STATUS INBOX (MESSAGES)")
        .contains("STATUS INBOX (MESSAGES 1)");
    a.ok(r"STORE 1 +FLAGS.SILENT (\Seen)");
    a.ok("STATUS INBOX (UNSEEN)")
        .contains("STATUS INBOX (UNSEEN 0)");
}

#[test]
fn an_unknown_item_and_an_empty_list_are_bad() {
    let mail = Mail::new();
    let mut a = mail.connect();
    a.bad("STATUS INBOX (NONSENSE)");
    a.bad("STATUS INBOX MESSAGES");
    a.no("STATUS nowhere (MESSAGES)");
}

#[test]
fn appendlimit_and_mailboxid_and_deleted() {
    roost_only!("it has none of these");
    let mail = Mail::with(["one.eml"]);
    let mut a = mail.connect();
    a.ok("STATUS INBOX (APPENDLIMIT MAILBOXID DELETED)")
        .untagged(["STATUS INBOX (APPENDLIMIT 1073741824 MAILBOXID (?) DELETED 0)"]);
}
