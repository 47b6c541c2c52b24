//! COPY and MOVE: RFC 3501 6.4.7, RFC 4315, RFC 6851.

use std::os::unix::fs::MetadataExt;

use crate::support::*;

#[test]
fn a_copy_is_a_hard_link_under_a_name_of_its_own() {
    let mail = Mail::with(["one.eml"]);
    let mut a = mail.select();
    a.ok("CREATE Work");
    a.ok("COPY 1 Work").code("COPYUID ? 1 1");
    let inode = |folder: &Folder| {
        let name = folder
            .names("cur")
            .pop()
            .or(folder.names("new").pop())
            .expect("a file");
        let path = ["cur", "new"].map(|sub| folder.path().join(sub).join(&name));
        let facts = path
            .iter()
            .find_map(|path| std::fs::metadata(path).ok())
            .expect("its facts");
        (facts.ino(), name)
    };
    let (original, copy) = (inode(&mail.inbox()), inode(&mail.folder("Work")));
    assert_eq!(original.0, copy.0);
    assert_ne!(original.1.split(':').next(), copy.1.split(':').next());
}

#[test]
fn a_changed_flag_of_the_copy_leaves_the_original_alone() {
    let mail = Mail::with(["one.eml"]);
    let mut a = mail.select();
    a.ok("CREATE Work");
    a.ok("COPY 1 Work");
    a.ok("SELECT Work");
    a.ok(r"STORE 1 +FLAGS.SILENT (\Seen \Deleted)");
    a.ok("EXPUNGE");
    a.ok("SELECT INBOX");
    a.ok("FETCH 1 (FLAGS BODY.PEEK[TEXT])")
        .untagged(["1 FETCH (FLAGS () BODY[TEXT] \"First.\r\n\")"]);
}

#[test]
fn keywords_keep_their_names_where_the_letters_differ() {
    let mail = Mail::with(["one.eml", "two.eml"]);
    let mut a = mail.select();
    a.ok("CREATE Work");
    a.append("Work (other)", &text("three.eml"));
    a.ok("STORE 1 +FLAGS.SILENT (first second)");
    a.ok("COPY 1:2 Work");
    a.ok("SELECT Work");
    a.ok("FETCH 1:3 FLAGS").untagged([
        "1 FETCH (FLAGS (other))",
        "2 FETCH (FLAGS (first second))",
        "3 FETCH (FLAGS ())",
    ]);
    assert_eq!(
        mail.folder("Work").control("dovecot-keywords"),
        "0 other\n1 first\n2 second\n"
    );
}

#[test]
fn copyuid_names_uids_in_pairs_whatever_the_order_asked_for() {
    let mail = Mail::with(["one.eml", "two.eml", "three.eml", "four.eml"]);
    let mut a = mail.select();
    a.ok("CREATE Work");
    a.ok("UID COPY 4,1:2 Work").code("COPYUID ? 1:2,4 1:3");
    a.ok("SELECT Work");
    let subjects = a.ok("FETCH 1:3 BODY.PEEK[HEADER.FIELDS (SUBJECT)]");
    assert_eq!(
        subjects.bytes(3, "BODY[HEADER.FIELDS (SUBJECT)]"),
        b"Subject: four\r\n\r\n"
    );
}

#[test]
fn a_copy_of_nothing_is_no_error_for_uids_and_bad_for_numbers() {
    let mail = Mail::with(["one.eml"]);
    let mut a = mail.select();
    a.ok("CREATE Work");
    a.ok("UID COPY 100:200 Work").untagged([]);
    a.bad("COPY 2 Work");
}

#[test]
fn a_copy_with_a_message_that_is_gone_copies_nothing() {
    let mail = Mail::with(["one.eml", "two.eml"]);
    let mut a = mail.select();
    a.ok("CREATE Work");
    mail.inbox().remove(&mail.inbox().bases()[1]);
    // RFC 3501 6.4.7: all or none.
    let reply = a.command("COPY 1:2 Work");
    let copied = mail.folder("Work").names("cur").len() + mail.folder("Work").names("new").len();
    match reply.tagged.word() {
        "NO" => assert_eq!(copied, 0, "{reply}"),
        // What is gone may also have been noticed in time.
        "OK" => assert_eq!(copied, 1, "{reply}"),
        _ => panic!("{reply}"),
    }
}

#[test]
fn a_move_removes_here_and_appears_there_once() {
    let mail = Mail::with(["one.eml", "two.eml", "three.eml"]);
    let mut a = mail.select();
    a.ok("CREATE Work");
    a.ok("MOVE 2 Work")
        .untagged(["OK [COPYUID ? 2 1]", "2 EXPUNGE"]);
    assert_eq!(mail.inbox().bases().len(), 2);
    a.ok("FETCH 1:* UID")
        .untagged(["1 FETCH (UID 1)", "2 FETCH (UID 3)"]);
    a.ok("STATUS Work (MESSAGES)")
        .untagged(["STATUS Work (MESSAGES 1)"]);
}

#[test]
fn a_move_takes_also_messages_marked_deleted_and_expunges_no_others() {
    let mail = Mail::with(["one.eml", "two.eml", "three.eml"]);
    let mut a = mail.select();
    a.ok("CREATE Work");
    a.ok(r"STORE 1:2 +FLAGS.SILENT (\Deleted)");
    a.ok("MOVE 2:3 Work")
        .untagged(["OK [COPYUID ? 2:3 1:2]", "2 EXPUNGE", "2 EXPUNGE"]);
    a.ok("FETCH 1:* (UID FLAGS)")
        .untagged([r"1 FETCH (UID 1 FLAGS (\Deleted))"]);
}

#[test]
fn a_move_to_the_same_mailbox_gives_new_uids() {
    let mail = Mail::with(["one.eml", "two.eml"]);
    let mut a = mail.select();
    let reply = a.ok("MOVE 1 INBOX");
    reply.contains("OK [COPYUID ? 1 3]").contains("1 EXPUNGE");
    a.ok("NOOP");
    a.ok("FETCH 1:* UID")
        .untagged(["1 FETCH (UID 2)", "2 FETCH (UID 3)"]);
}

#[test]
fn a_move_out_of_an_examined_mailbox_is_refused() {
    let mail = Mail::with(["one.eml"]);
    let mut a = mail.connect();
    a.ok("CREATE Work");
    a.ok("EXAMINE INBOX");
    a.no("MOVE 1 Work");
    a.ok("COPY 1 Work");
    a.ok("STATUS INBOX (MESSAGES)")
        .contains("STATUS INBOX (MESSAGES 1)");
}

#[test]
fn a_copy_of_a_thousand_messages_takes_uids_in_order() {
    let mail = Mail::numbered(1000);
    let mut a = mail.select();
    a.ok("CREATE Work");
    a.ok("COPY 1:* Work").code("COPYUID ? 1:1000 1:1000");
    a.ok("SELECT Work").contains("1000 EXISTS");
    let reply = a.ok("FETCH 1,500,1000 BODY.PEEK[HEADER.FIELDS (SUBJECT)]");
    for n in [1, 500, 1000] {
        let subject = reply.bytes(n, "BODY[HEADER.FIELDS (SUBJECT)]");
        assert_eq!(subject, format!("Subject: message {n}\r\n\r\n").as_bytes());
    }
}

#[test]
fn internal_and_save_date_of_a_copy() {
    let mail = Mail::with(["one.eml"]);
    let mut a = mail.select();
    a.ok("CREATE Work");
    a.ok("COPY 1 Work");
    a.ok("SELECT Work");
    let reply = a.ok("FETCH 1 (INTERNALDATE SAVEDATE)");
    reply.untagged([r#"1 FETCH (INTERNALDATE "14-Nov-2023 22:13:20 +0000" SAVEDATE ?)"#]);
    a.ok("SEARCH SAVEDSINCE 1-Jan-2024").untagged(["SEARCH 1"]);
}

#[test]
fn a_copy_into_a_folder_without_a_letter_left_loses_its_keyword_only() {
    let mail = Mail::with(["one.eml", "two.eml", "three.eml"]);
    let mut a = full_of_keywords(&mail, "Full");
    a.ok("SELECT INBOX");
    a.ok(r"STORE 1:3 +FLAGS.SILENT (\Flagged $Forwarded k5)");
    a.ok("COPY 1 Full").tagged("OK [COPYUID ? 1 27]");
    a.ok("MOVE 2 Full");
    a.ok("SELECT Full");
    for number in [27, 28] {
        let flags = a.ok(&format!("FETCH {number} FLAGS")).to_string();
        assert!(
            flags.contains("\\Flagged") && flags.contains("k5"),
            "{flags}"
        );
        assert!(!flags.contains("$Forwarded"), "{flags}");
    }
}

#[test]
fn letters_that_no_message_has_go_to_the_keywords_of_a_copy() {
    let mail = Mail::with(["one.eml", "two.eml"]);
    let folder = mail.folder("Full");
    folder.create();
    let names: String = (0..26).map(|n| format!("{n} unused{n:02}\n")).collect();
    let path = folder.path().join("dovecot-keywords");
    std::fs::write(&path, names).expect("written");
    own(&path);
    let mut a = mail.select();
    a.ok("STORE 1 +FLAGS.SILENT ($Forwarded)");
    a.ok("STORE 2 +FLAGS.SILENT ($Forwarded $MDNSent)");
    a.ok("COPY 1 Full");
    a.ok("MOVE 2 Full");
    let reply = a.ok("SELECT Full");
    assert!(reply.to_string().contains("$MDNSent"), "{reply}");
    a.ok("FETCH 1:2 FLAGS")
        .contains("1 FETCH (FLAGS ($Forwarded ...))")
        .contains("2 FETCH (FLAGS ($Forwarded $MDNSent ...))");
    let kept = folder.control("dovecot-keywords");
    assert_eq!(kept.matches("unused").count(), 24, "{kept}");
}
