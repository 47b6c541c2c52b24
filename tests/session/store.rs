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
