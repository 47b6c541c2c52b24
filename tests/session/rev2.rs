//! IMAP4rev2: RFC 9051, appendix E, after ENABLE IMAP4rev2 and without it.

use crate::support::*;

fn rev2(mail: &Mail) -> Client {
    let mut client = mail.connect();
    client
        .ok("ENABLE IMAP4rev2")
        .untagged(["ENABLED IMAP4rev2"]);
    client
}

#[test]
fn both_revisions_are_announced() {
    roost_only!("it has no IMAP4rev2");
    let mail = Mail::new();
    mail.connect()
        .ok("CAPABILITY")
        .contains("CAPABILITY IMAP4rev1 IMAP4rev2 ...");
}

#[test]
fn select_tells_a_list_and_no_recent() {
    roost_only!("it has no IMAP4rev2");
    let mail = Mail::with(["one.eml"]);
    let mut a = rev2(&mail);
    let reply = a.ok("SELECT INBOX");
    reply
        .contains(r#"LIST (...) "/" INBOX"#)
        .contains("1 EXISTS")
        .lacks("? RECENT");
    assert!(reply.find_number("UNSEEN").is_none(), "{reply}");
    a.ok("FETCH 1 FLAGS").untagged(["1 FETCH (FLAGS ())"]);
}

#[test]
fn recent_is_never_among_the_flags() {
    roost_only!("it has no IMAP4rev2");
    let mail = Mail::new();
    mail.inbox().deliver_file("one.eml");
    let mut a = rev2(&mail);
    let reply = a.ok("SELECT INBOX");
    reply.lacks("? RECENT");
    let flags = a.ok("FETCH 1 FLAGS");
    assert!(!flags.to_string().contains("Recent"), "{flags}");
}

#[test]
fn every_search_is_answered_by_esearch() {
    roost_only!("it has no IMAP4rev2");
    let mail = Mail::with(["one.eml", "two.eml"]);
    let mut a = rev2(&mail);
    a.ok("SELECT INBOX");
    a.ok("SEARCH ALL").untagged(["ESEARCH ALL 1:2"]);
    a.ok("UID SEARCH SUBJECT two")
        .untagged(["ESEARCH UID ALL 2"]);
    a.ok("SEARCH DELETED").untagged(["ESEARCH"]);
    a.ok("SEARCH RETURN (SAVE) 2").untagged([]);
    a.ok("FETCH $ UID").untagged(["2 FETCH (UID 2)"]);
}

#[test]
fn search_strings_are_utf8_without_saying_so() {
    roost_only!("it has no IMAP4rev2");
    let mail = Mail::with(["one.eml", "two.eml"]);
    let mut a = rev2(&mail);
    a.ok("SELECT INBOX");
    a.ok("SEARCH SUBJECT \"café\"").untagged(["ESEARCH ALL 2"]);
}

#[test]
fn a_renamed_mailbox_is_told_with_its_old_name() {
    roost_only!("it has no IMAP4rev2");
    let mail = Mail::new();
    let mut a = rev2(&mail);
    a.ok("CREATE old");
    let reply = a.ok("RENAME old new");
    // RFC 9051 6.3.6.1: a server may tell; if it does, then like this.
    for response in reply
        .untagged
        .iter()
        .filter(|response| response.word() == "LIST")
    {
        assert!(
            response.matches(r#"LIST (...) "/" new ("OLDNAME" ("old"))"#),
            "{response}"
        );
    }
    a.no("SELECT old").code("NONEXISTENT");
}

#[test]
fn names_are_utf8_on_the_wire_and_modified_utf7_on_disk() {
    roost_only!("it has no IMAP4rev2");
    let mail = Mail::new();
    let mut a = rev2(&mail);
    a.ok("CREATE \"Entwürfe/日本\"");
    assert!(mail.folder("Entw&APw-rfe.&ZeVnLA-").path().is_dir());
    a.ok("LIST \"\" \"Entw*\"")
        .contains("LIST (...) \"/\" \"Entwürfe/日本\"");
    a.ok("SELECT \"Entwürfe/日本\"");
    a.ok("STATUS \"Entwürfe/日本\" (MESSAGES)");
    // For a client of revision 1 it is what it always was.
    let mut b = mail.connect();
    b.ok("LIST \"\" \"Entw*\"")
        .contains("LIST (...) \"/\" Entw&APw-rfe/&ZeVnLA-");
}

#[test]
fn status_knows_size_and_deleted() {
    roost_only!("it has no IMAP4rev2");
    let mail = Mail::with(["one.eml", "two.eml"]);
    let mut a = rev2(&mail);
    a.ok("SELECT INBOX");
    a.ok(r"STORE 2 +FLAGS.SILENT (\Deleted)");
    a.ok("STATUS INBOX (MESSAGES SIZE DELETED)")
        .contains("STATUS INBOX (MESSAGES 2 SIZE 595 DELETED 1)");
}

#[test]
fn closed_is_told_when_another_mailbox_is_selected() {
    roost_only!("it has no IMAP4rev2");
    let mail = Mail::with(["one.eml"]);
    let mut a = rev2(&mail);
    a.ok("CREATE Other");
    a.ok("SELECT INBOX").lacks("OK [CLOSED]");
    a.ok("SELECT Other").contains("OK [CLOSED]");
}

#[test]
fn a_client_of_revision_1_sees_none_of_it() {
    let mail = Mail::with(["one.eml"]);
    let mut a = mail.connect();
    let reply = a.ok("SELECT INBOX");
    reply.contains("? RECENT").lacks("LIST ...");
    a.ok("SEARCH ALL").untagged(["SEARCH 1"]);
}
