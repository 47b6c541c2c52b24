//! STORE and UID STORE: RFC 3501 6.4.6, and what a flag is on disk.

use crate::support::*;

#[test]
fn flags_are_letters_in_the_name_in_ascii_order() {
    let mail = Mail::with(["one.eml"]);
    let inbox = mail.inbox();
    let base = &inbox.bases()[0];
    let mut a = mail.select();
    for (flags, letters) in [
        (r"\Seen", "S"),
        (r"\Seen \Flagged \Answered \Draft \Deleted", "DFRST"),
        ("keyword", "a"),
        (r"\Seen keyword other", "Sab"),
        ("", ""),
    ] {
        a.ok(&format!("STORE 1 FLAGS.SILENT ({flags})"));
        assert_eq!(inbox.flags(base), letters, "{flags}");
    }
}

#[test]
fn the_answer_has_all_flags_of_the_message() {
    let mail = Mail::with(["one.eml", "two.eml"]);
    let mut a = mail.select();
    a.ok(r"STORE 1:2 +FLAGS (\Seen)")
        .untagged([r"1 FETCH (FLAGS (\Seen))", r"2 FETCH (FLAGS (\Seen))"]);
    a.ok(r"STORE 1 +FLAGS (\Flagged)")
        .untagged([r"1 FETCH (FLAGS (\Seen \Flagged))"]);
}

#[test]
fn silent_is_silent_about_the_own_change_only() {
    let mail = Mail::with(["one.eml"]);
    let inbox = mail.inbox();
    let (mut a, mut b) = (mail.select(), mail.select());
    a.ok(r"STORE 1 +FLAGS.SILENT (\Seen)").untagged([]);
    b.ok("NOOP").contains(r"1 FETCH (FLAGS (\Seen) ...)");
    a.ok("NOOP").untagged([]);
    // Somebody else's flag is told even so, at once or at the next command.
    inbox.set_flags(&inbox.bases()[0], "FS");
    let reply = a.ok(r"STORE 1 +FLAGS.SILENT (\Answered)");
    let all = r"1 FETCH (FLAGS (\Seen \Flagged \Answered) ...)";
    if !reply.has(all) {
        eventually("the other's flag", || a.ok("NOOP").has(all).then_some(()));
    }
}

#[test]
fn recent_cannot_be_changed_and_does_not_get_lost() {
    let mail = Mail::new();
    mail.inbox().deliver_file("one.eml");
    let mut a = mail.select();
    a.bad(r"STORE 1 +FLAGS (\Recent)");
    a.bad(r"STORE 1 FLAGS (\Recent)");
    a.ok(r"STORE 1 FLAGS (\Seen)")
        .untagged([r"1 FETCH (FLAGS (\Seen \Recent))"]);
}

#[test]
fn unknown_system_flags_are_refused() {
    let mail = Mail::with(["one.eml"]);
    let mut a = mail.select();
    a.bad(r"STORE 1 +FLAGS (\Nonsense)");
    a.ok("FETCH 1 FLAGS").untagged(["1 FETCH (FLAGS ())"]);
}

#[test]
fn keywords_are_the_same_in_any_case_and_keep_their_first_form() {
    let mail = Mail::with(["one.eml", "two.eml"]);
    let mut a = mail.select();
    a.ok("STORE 1 +FLAGS.SILENT (NonJunk)");
    a.ok("STORE 2 +FLAGS.SILENT (nonjunk)");
    a.ok("FETCH 2 FLAGS").contains("2 FETCH (FLAGS (NonJunk))");
    assert_eq!(mail.inbox().control("dovecot-keywords"), "0 NonJunk\n");
    a.ok("STORE 1:2 -FLAGS.SILENT (NONJUNK)");
    a.ok("FETCH 1:2 FLAGS")
        .untagged(["1 FETCH (FLAGS ())", "2 FETCH (FLAGS ())"]);
}

#[test]
fn keywords_of_other_programs_are_known_by_their_file() {
    let mail = Mail::new();
    mail.inbox().store(&text("one.eml"), "Sac");
    let path = mail.root().join("dovecot-keywords");
    std::fs::write(&path, "0 $Forwarded\n2 Junk\n").expect("written");
    own(&path);
    let mut a = mail.select();
    a.ok("FETCH 1 FLAGS")
        .untagged([r"1 FETCH (FLAGS (\Seen $Forwarded Junk))"]);
    a.ok("STORE 1 +FLAGS.SILENT (New)");
    assert_eq!(
        mail.inbox().control("dovecot-keywords"),
        "0 $Forwarded\n1 New\n2 Junk\n"
    );
    assert_eq!(mail.inbox().flags(&mail.inbox().bases()[0]), "Sabc");
}

#[test]
fn a_letter_without_a_name_is_kept() {
    let mail = Mail::new();
    mail.inbox().store(&text("one.eml"), "Sz");
    let mut a = mail.select();
    a.ok(r"STORE 1 +FLAGS.SILENT (\Flagged)");
    assert_eq!(mail.inbox().flags(&mail.inbox().bases()[0]), "FSz");
}

#[test]
fn a_thousand_messages_flagged_at_once() {
    let mail = Mail::numbered(1000);
    let mut a = mail.select();
    let reply = a.ok(r"STORE 1:* +FLAGS (\Seen)");
    assert_eq!(
        reply
            .untagged
            .iter()
            .filter(|r| r.word() == "FETCH")
            .count(),
        1000
    );
    assert!(
        mail.inbox()
            .names("cur")
            .iter()
            .all(|name| name.ends_with(":2,S"))
    );
    a.ok("SEARCH UNSEEN").untagged(["SEARCH"]);
}

#[test]
fn a_flag_is_on_disk_when_ok_is_said_even_if_the_server_dies() {
    let mail = Mail::with(["one.eml"]);
    let base = mail.inbox().bases()[0].clone();
    let mut a = mail.select();
    a.ok(r"STORE 1 +FLAGS.SILENT (\Flagged word)");
    a.kill();
    assert_eq!(mail.inbox().flags(&base), "Fa");
    mail.select()
        .ok("FETCH 1 FLAGS")
        .untagged([r"1 FETCH (FLAGS (\Flagged word))"]);
}

#[test]
fn flags_without_parentheses_and_bad_sets() {
    let mail = Mail::with(["one.eml"]);
    let mut a = mail.select();
    a.ok(r"STORE 1 +FLAGS \Seen \Flagged")
        .untagged([r"1 FETCH (FLAGS (\Seen \Flagged))"]);
    a.bad(r"STORE 2 +FLAGS (\Seen)");
    a.bad(r"STORE 1 *FLAGS (\Seen)");
    a.ok(r"UID STORE 99 +FLAGS (\Seen)").untagged([]);
}

#[test]
fn a_store_that_is_refused_for_its_keywords_changes_nothing() {
    let mail = Mail::with(["one.eml"]);
    let mut a = mail.select();
    let many: Vec<String> = (0..30).map(|n| format!("kw{n:02}")).collect();
    for how in ["+FLAGS.SILENT", "FLAGS"] {
        let refused = a.no(&format!(r"STORE 1 {how} (\Seen {})", many.join(" ")));
        refused.code("LIMIT").untagged([]);
        a.ok("FETCH 1 FLAGS")
            .untagged(["1 FETCH (FLAGS (\\Recent))"]);
        assert!(!mail.inbox().path().join("dovecot-keywords").exists());
    }
    a.ok("STORE 1 +FLAGS ($Forwarded)")
        .contains("1 FETCH (FLAGS ($Forwarded ...))");
    a.ok(&format!("STORE 1 +FLAGS.SILENT ({})", many[..25].join(" ")));
    a.no("STORE 1 +FLAGS (more)").code("LIMIT");
}

#[test]
fn a_keyword_takes_the_letter_of_one_that_no_message_has_any_more() {
    let mail = Mail::with(["one.eml"]);
    let (mut a, mut b) = (full_of_keywords(&mail, ""), mail.connect());
    a.ok("SELECT INBOX");
    b.ok("SELECT INBOX");
    a.no("STORE 1 +FLAGS (new)").code("LIMIT");
    a.ok("STORE 4 FLAGS ()");
    let reply = a.ok("STORE 1 +FLAGS (new)");
    reply
        .contains("FLAGS (... new ...)")
        .contains("1 FETCH (FLAGS (new ...))");
    // The other client hears the name before it is used, and of the old one no more.
    let news = eventually("the keyword", || {
        let news = b.ok("NOOP");
        news.has("1 FETCH (FLAGS (new ...))").then_some(news)
    });
    let names = &news.untagged[0];
    assert!(names.matches("FLAGS (... new ...)"), "{news}");
    assert!(
        !String::from_utf8_lossy(&names.raw).contains("k2 "),
        "{news}"
    );
}
