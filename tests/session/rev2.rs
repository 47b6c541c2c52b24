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

/// A message/global within a multipart.
fn global() -> Vec<u8> {
    "Content-Type: multipart/mixed; boundary=b\n\n--b\n\nsee below\n--b\nContent-Type: message/global\n\n\
     Subject: inner \u{c4}\nContent-Type: multipart/alternative; boundary=c\n\n\
     --c\n\ninner t\u{e4}xt\n--c\nContent-Type: text/html\n\n<p>\n--c--\n--b--\n"
        .into()
}

#[test]
fn a_global_message_is_told_with_envelope_body_and_lines() {
    roost_only!("it has no IMAP4rev2");
    let mail = Mail::new();
    mail.inbox().store(&global(), "");
    let (mut old, mut new) = (mail.select(), rev2(&mail));
    new.ok("SELECT INBOX");
    let short = r#"("message" "global" NIL NIL NIL "7bit" ? NIL NIL NIL NIL)"#;
    let long = r#"("message" "global" NIL NIL NIL "7bit" ? (NIL "inner \u{c4}" NIL NIL NIL NIL NIL NIL NIL NIL) (("text" "plain" ...) ("text" "html" ...) "alternative" ...) 10 NIL NIL NIL NIL)"#;
    let long = long.replace("\\u{c4}", "\u{c4}");
    // Whoever asks first, and whatever was kept of it.
    for _ in 0..2 {
        for (client, expected) in [(&mut old, short), (&mut new, long.as_str())] {
            let reply = client.ok("FETCH 1 BODYSTRUCTURE");
            let told = &reply.untagged[0];
            let whole =
                format!(r#"1 FETCH (BODYSTRUCTURE (("text" "plain" ...) {expected} "mixed" ...))"#);
            assert!(told.matches(&whole), "{told}");
        }
    }
    new.ok("FETCH 1 BODY").contains(
        r#"1 FETCH (BODY (("text" "plain" ...) ("message" "global" NIL NIL NIL "7bit" ? (NIL ...) (...) 10) "mixed"))"#,
    );
}

#[test]
fn the_parts_of_a_global_message_can_be_fetched_and_searched() {
    let mail = Mail::new();
    mail.inbox().store(&global(), "");
    let mut a = mail.select();
    let reply = a.ok(
        "FETCH 1 (BODY.PEEK[2.HEADER] BODY.PEEK[2.TEXT] BODY.PEEK[2.1] BODY.PEEK[2.2.MIME] \
        BODY.PEEK[2.HEADER.FIELDS (Subject)])",
    );
    let subject = "Subject: inner \u{c4}\r\n";
    assert!(
        reply
            .bytes(1, "BODY[2.HEADER]")
            .starts_with(subject.as_bytes())
    );
    assert!(reply.bytes(1, "BODY[2.TEXT]").starts_with(b"--c\r\n"));
    assert_eq!(reply.bytes(1, "BODY[2.1]"), "inner t\u{e4}xt".as_bytes());
    assert_eq!(
        reply.bytes(1, "BODY[2.2.MIME]"),
        b"Content-Type: text/html\r\n\r\n"
    );
    assert_eq!(
        reply.bytes(1, "BODY[2.HEADER.FIELDS (SUBJECT)]"),
        format!("{subject}\r\n").as_bytes()
    );
    for key in ["TEXT", "BODY"] {
        let found = a.ok(&format!("SEARCH CHARSET UTF-8 {key} {{5+}}\r\nT\u{c4}XT"));
        assert_eq!(found.found(), [1], "{key}");
    }
    assert_eq!(a.ok("SEARCH TEXT \"inner\"").found(), [1]);
}
