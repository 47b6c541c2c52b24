//! CONDSTORE: RFC 7162 3.1. The conformance scripts have its cases one by one; here they meet.

use crate::support::*;

fn modseq(reply: &Reply, n: u32) -> u64 {
    reply.item(n, "MODSEQ").number().expect("a number")
}

#[test]
fn every_kind_of_change_raises_the_modseq() {
    let mail = Mail::with(["one.eml", "two.eml"]);
    let inbox = mail.inbox();
    let mut a = mail.connect();
    let mut highest = a.ok("SELECT INBOX (CONDSTORE)").number("HIGHESTMODSEQ");
    let mut above = |now: u64, what: &str| {
        assert!(now > highest, "{what}: {highest}, then {now}");
        highest = now;
    };
    above(modseq(&a.ok(r"STORE 1 +FLAGS (\Seen)"), 1), "a flag");
    above(modseq(&a.ok(r"STORE 1 -FLAGS (\Seen)"), 1), "a flag taken");
    a.ok("STORE 1 +FLAGS (keyword)");
    above(modseq(&a.ok("FETCH 1 MODSEQ"), 1), "a keyword");
    a.append("INBOX", &text("three.eml"));
    above(modseq(&a.ok("FETCH 3 MODSEQ"), 3), "an append");
    inbox.set_flags(&inbox.bases()[1], "F");
    eventually("the flag", || {
        a.ok("NOOP")
            .has(r"2 FETCH (FLAGS (\Flagged) ...)")
            .then_some(())
    });
    above(modseq(&a.ok("FETCH 2 MODSEQ"), 2), "a file renamed");
    inbox.deliver_file("four.eml");
    eventually("the delivery", || {
        a.ok("NOOP").has("4 EXISTS").then_some(())
    });
    above(modseq(&a.ok("FETCH 4 MODSEQ"), 4), "a delivery");
}

#[test]
fn a_store_that_changes_nothing_needs_no_new_modseq_and_breaks_nothing() {
    let mail = Mail::with(["one.eml"]);
    let mut a = mail.connect();
    a.ok("SELECT INBOX (CONDSTORE)");
    let first = modseq(&a.ok(r"STORE 1 +FLAGS (\Seen)"), 1);
    a.ok(r"STORE 1 +FLAGS.SILENT (\Seen)");
    let second = modseq(&a.ok("FETCH 1 MODSEQ"), 1);
    assert!(second >= first);
    // Our own change must not be taken for somebody else's.
    a.ok(&format!(
        r"STORE 1 (UNCHANGEDSINCE {second}) +FLAGS.SILENT (\Flagged)"
    ))
    .tagged("OK");
    a.ok("FETCH 1 FLAGS")
        .contains(r"1 FETCH (FLAGS (\Seen \Flagged) ...)");
}

#[test]
fn of_two_clients_with_the_same_modseq_only_the_first_may_store() {
    let mail = Mail::with(["one.eml"]);
    let (mut a, mut b) = (mail.connect(), mail.connect());
    let known = a.ok("SELECT INBOX (CONDSTORE)").number("HIGHESTMODSEQ");
    b.ok("SELECT INBOX (CONDSTORE)");
    a.ok(&format!(
        "STORE 1 (UNCHANGEDSINCE {known}) FLAGS.SILENT (mine)"
    ));
    b.ok(&format!(
        "STORE 1 (UNCHANGEDSINCE {known}) FLAGS.SILENT (yours)"
    ))
    .code("MODIFIED 1");
    a.ok("NOOP");
    a.ok("FETCH 1 FLAGS").contains("1 FETCH (FLAGS (mine) ...)");
}

#[test]
fn modseqs_outlast_the_process() {
    let mail = Mail::with(["one.eml", "two.eml", "three.eml"]);
    let mut a = mail.connect();
    a.ok("SELECT INBOX (CONDSTORE)");
    let before = modseq(&a.ok(r"STORE 2 +FLAGS (\Seen)"), 2);
    a.logout();
    let mut b = mail.connect();
    let highest = b.ok("SELECT INBOX (CONDSTORE)").number("HIGHESTMODSEQ");
    assert!(highest >= before, "{before}, then {highest}");
    assert!(modseq(&b.ok("FETCH 2 MODSEQ"), 2) >= before);
    b.ok(&format!("FETCH 1:* FLAGS (CHANGEDSINCE {highest})"))
        .untagged([]);
}

#[test]
fn modseqs_never_go_back_when_the_process_is_killed() {
    let mail = Mail::with(["one.eml"]);
    let mut highest = 0;
    for round in 0..5 {
        let mut a = mail.connect();
        let now = a.ok("SELECT INBOX (CONDSTORE)").number("HIGHESTMODSEQ");
        assert!(now >= highest, "{highest}, then {now}");
        for n in 0..10 {
            let sign = if n % 2 == 0 { "+" } else { "-" };
            highest = modseq(&a.ok(&format!("STORE 1 {sign}FLAGS (key{round})")), 1);
        }
        a.kill();
    }
}

#[test]
fn search_modseq_tells_the_highest_of_what_it_found() {
    let mail = Mail::with(["one.eml", "two.eml", "three.eml"]);
    let mut a = mail.connect();
    a.ok("SELECT INBOX (CONDSTORE)");
    let first = modseq(&a.ok(r"STORE 1 +FLAGS (\Seen)"), 1);
    let third = modseq(&a.ok(r"STORE 3 +FLAGS (\Seen)"), 3);
    a.ok(&format!("SEARCH MODSEQ {first}"))
        .untagged([&format!("SEARCH 1 3 (MODSEQ {third})")]);
    a.ok(&format!("SEARCH MODSEQ {first} 1"))
        .untagged([&format!("SEARCH 1 (MODSEQ {first})")]);
    a.ok(&format!("UID SEARCH RETURN (ALL) MODSEQ {third}"))
        .untagged([&format!("ESEARCH UID ALL 3 MODSEQ {third}")]);
    a.ok(&format!("SEARCH MODSEQ {}", third + 1))
        .untagged(["SEARCH"]);
}

#[test]
fn fetch_modseq_enables_condstore_for_the_connection() {
    let mail = Mail::with(["one.eml", "two.eml"]);
    let (mut a, mut b) = (mail.select(), mail.select());
    b.ok("FETCH 1 MODSEQ");
    a.ok(r"STORE 2 +FLAGS.SILENT (\Seen)");
    eventually("the flag with its modseq", || {
        b.ok("NOOP")
            .has(r"2 FETCH (FLAGS (\Seen) MODSEQ (?) ...)")
            .then_some(())
    });
}

#[test]
fn a_fetch_that_marks_as_read_tells_the_modseq_of_that() {
    let mail = Mail::with(["one.eml", "two.eml"]);
    let mut a = mail.select();
    a.ok("ENABLE CONDSTORE");
    for (number, items) in [(1, "(FLAGS BODY[TEXT])"), (2, "BODY[TEXT]")] {
        let reply = a.ok(&format!("FETCH {number} {items}")).to_string();
        assert!(
            reply.contains(r"\Seen") && reply.contains("MODSEQ ("),
            "{reply}"
        );
    }
}

#[test]
fn enable_lists_what_was_asked_for_in_any_order() {
    let mail = Mail::new();
    for (names, told) in [
        ("QRESYNC CONDSTORE", "ENABLED QRESYNC CONDSTORE"),
        ("CONDSTORE QRESYNC", "ENABLED CONDSTORE QRESYNC"),
        ("qresync X-NONE condstore", "ENABLED QRESYNC CONDSTORE"),
        ("CONDSTORE", "ENABLED CONDSTORE"),
        ("QRESYNC", "ENABLED QRESYNC"),
    ] {
        let mut a = mail.connect();
        a.ok(&format!("ENABLE {names}")).untagged([told]);
        // Whoever asks again hears that it is on.
        a.ok(&format!("ENABLE {names}")).untagged([told]);
        a.ok("ENABLE CONDSTORE").untagged(["ENABLED CONDSTORE"]);
    }
}

#[test]
fn new_messages_come_with_the_highest_modseq() {
    roost_only!("it tells it to clients with QRESYNC only");
    let mail = Mail::with(["one.eml"]);
    for enable in ["CONDSTORE", "QRESYNC"] {
        let mut a = mail.connect();
        a.ok(&format!("ENABLE {enable}"));
        let before = a.ok("SELECT INBOX").number("HIGHESTMODSEQ");
        mail.inbox().deliver_file("two.eml");
        let reply = eventually("the delivery", || {
            let reply = a.ok("NOOP");
            reply.has("? EXISTS").then_some(reply)
        });
        let told = reply.number("HIGHESTMODSEQ");
        assert!(told > before, "{reply}");
        // Nothing that happened up to there is news.
        a.ok(&format!("FETCH 1:* (FLAGS) (CHANGEDSINCE {told})"))
            .untagged([]);
        let appended = a
            .append("INBOX", &text("three.eml"))
            .number("HIGHESTMODSEQ");
        assert!(appended > told);
        let mut idle = a.idle();
        mail.inbox().deliver_file("four.eml");
        idle.expect("? EXISTS")
            .expect("? RECENT")
            .expect("OK [HIGHESTMODSEQ ?] ...");
        idle.done();
    }
    let mut plain = mail.select();
    mail.inbox().deliver_file("two.eml");
    eventually("the delivery", || {
        let reply = plain.ok("NOOP");
        reply.lacks("OK [HIGHESTMODSEQ ?] ...");
        reply.has("? EXISTS").then_some(())
    });
}

#[test]
fn esearch_tells_the_modseq_last() {
    let mail = Mail::with(["one.eml", "two.eml"]);
    let mut a = mail.select();
    let reply = a.ok("SEARCH RETURN (MIN COUNT ALL) MODSEQ 1");
    let raw = String::from_utf8_lossy(&reply.untagged[reply.untagged.len() - 1].raw).into_owned();
    let (all, modseq) = (raw.find(" ALL 1:2"), raw.find(" MODSEQ "));
    assert!(all.is_some() && all < modseq, "{raw}");
}
