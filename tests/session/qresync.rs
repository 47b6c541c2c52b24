//! QRESYNC: RFC 7162 3.2. The conformance scripts have its cases one by one; here they meet.

use crate::support::*;

/// A client that has enabled QRESYNC.
fn quick(mail: &Mail) -> Client {
    let mut client = mail.connect();
    client.ok("ENABLE QRESYNC").contains("ENABLED QRESYNC ...");
    client
}

#[test]
fn a_client_that_was_away_learns_everything_at_select() {
    let mail = Mail::numbered(20);
    let mut a = quick(&mail);
    let before = a.ok("SELECT INBOX");
    let (validity, modseq) = (before.number("UIDVALIDITY"), before.number("HIGHESTMODSEQ"));
    a.logout();

    let inbox = mail.inbox();
    let mut b = mail.select();
    b.ok(r"STORE 3:5,10 +FLAGS.SILENT (\Deleted)");
    b.ok("EXPUNGE");
    b.ok(r"UID STORE 7 +FLAGS.SILENT (\Seen)");
    b.append("INBOX", &numbered(21));
    b.logout();
    let bases = inbox.bases();
    inbox.remove(&bases[0]);
    inbox.set_flags(&bases[1], "F");
    inbox.deliver(&numbered(22));

    let mut c = quick(&mail);
    let reply = c.ok(&format!("SELECT INBOX (QRESYNC ({validity} {modseq}))"));
    reply.contains("17 EXISTS");
    reply.contains("VANISHED (EARLIER) 1,3:5,10");
    reply.contains(r"1 FETCH (UID 2 FLAGS (\Flagged) MODSEQ (?))");
    reply.contains(r"? FETCH (UID 7 FLAGS (\Seen) MODSEQ (?))");
    reply.contains("? FETCH (UID 21 FLAGS () MODSEQ (?))");
    reply.contains("? FETCH (UID 22 FLAGS () MODSEQ (?))");
    assert_eq!(
        reply
            .untagged
            .iter()
            .filter(|r| r.word() == "FETCH")
            .count(),
        4,
        "{reply}"
    );
}

#[test]
fn a_client_that_is_up_to_date_is_told_nothing() {
    let mail = Mail::numbered(5);
    let mut a = quick(&mail);
    a.ok("SELECT INBOX");
    a.ok(r"STORE 2 +FLAGS.SILENT (\Deleted)");
    a.ok("EXPUNGE");
    let now = a.ok("SELECT INBOX");
    let (validity, modseq) = (now.number("UIDVALIDITY"), now.number("HIGHESTMODSEQ"));
    a.logout();
    let mut b = quick(&mail);
    let reply = b.ok(&format!("SELECT INBOX (QRESYNC ({validity} {modseq}))"));
    reply.lacks("VANISHED ...").lacks("? FETCH ...");
}

#[test]
fn history_from_long_ago_is_told_too_much_rather_than_too_little() {
    let mail = Mail::numbered(50);
    let mut a = quick(&mail);
    let before = a.ok("SELECT INBOX");
    let (validity, modseq) = (before.number("UIDVALIDITY"), before.number("HIGHESTMODSEQ"));
    for n in 0..40 {
        a.ok(r"STORE 1 +FLAGS.SILENT (\Deleted)");
        a.ok("EXPUNGE").contains(&format!("VANISHED {}", n + 1));
    }
    a.logout();
    let mut b = quick(&mail);
    let reply = b.ok(&format!("SELECT INBOX (QRESYNC ({validity} {modseq}))"));
    reply.contains("VANISHED (EARLIER) 1:40");
}

#[test]
fn without_the_index_everything_that_vanished_is_still_told() {
    let mail = Mail::numbered(10);
    let mut a = quick(&mail);
    let before = a.ok("SELECT INBOX");
    let (validity, modseq) = (before.number("UIDVALIDITY"), before.number("HIGHESTMODSEQ"));
    a.ok(r"STORE 4:6 +FLAGS.SILENT (\Deleted)");
    a.ok("EXPUNGE");
    a.logout();
    let _ = std::fs::remove_file(mail.root().join("roost.index"));
    let mut b = quick(&mail);
    let reply = b.ok(&format!(
        "SELECT INBOX (QRESYNC ({validity} {modseq} 1:10))"
    ));
    // It may name more UIDs that are not there, but 4 to 6 must be among them.
    let vanished = reply
        .untagged
        .iter()
        .find(|r| r.word() == "VANISHED")
        .expect("VANISHED");
    let set = vanished
        .tokens
        .last()
        .and_then(Token::as_atom)
        .expect("a set")
        .to_owned();
    let named: Vec<u32> = set
        .split(',')
        .flat_map(|element| {
            let (first, last) = element.split_once(':').unwrap_or((element, element));
            first.parse::<u32>().expect("a UID")..=last.parse().expect("a UID")
        })
        .collect();
    assert!((4..=6).all(|uid| named.contains(&uid)), "{set}");
    assert!(
        [1, 2, 3, 7, 8, 9, 10]
            .iter()
            .all(|uid| !named.contains(uid)),
        "{set}"
    );
}

#[test]
fn vanished_is_told_and_numbers_follow() {
    let mail = Mail::with(["one.eml", "two.eml", "three.eml", "four.eml"]);
    let mut a = quick(&mail);
    let mut b = mail.select();
    a.ok("SELECT INBOX");
    b.ok(r"STORE 2 +FLAGS.SILENT (\Deleted)");
    b.ok("EXPUNGE");
    let mut idle = a.idle();
    idle.expect("VANISHED 2");
    mail.inbox().remove(&mail.inbox().bases()[0]);
    idle.expect("VANISHED 1");
    idle.done();
    a.ok("FETCH 1:* UID")
        .untagged(["1 FETCH (UID 3)", "2 FETCH (UID 4)"]);
}

#[test]
fn a_fetch_told_unasked_has_the_uid() {
    let mail = Mail::with(["one.eml", "two.eml"]);
    let mut a = quick(&mail);
    a.ok("SELECT INBOX");
    let mut b = mail.select();
    b.ok(r"STORE 2 +FLAGS.SILENT (\Seen)");
    let reply = eventually("the flag", || {
        Some(a.ok("NOOP")).filter(|reply| reply.untagged.iter().any(|r| r.word() == "FETCH"))
    });
    reply.contains(r"2 FETCH (UID 2 FLAGS (\Seen) MODSEQ (?))");
}

#[test]
fn other_clients_of_the_same_mailbox_still_hear_expunge() {
    let mail = Mail::with(["one.eml", "two.eml"]);
    let server = Server::try_(&mail);
    let (mut a, mut b) = (server.connect(), server.connect());
    a.ok("ENABLE QRESYNC");
    a.ok("SELECT INBOX");
    b.ok("SELECT INBOX");
    a.ok(r"STORE 1 +FLAGS.SILENT (\Deleted)");
    a.ok("EXPUNGE").contains("VANISHED 1");
    eventually("the removal", || {
        b.ok("NOOP").has("1 EXPUNGE").then_some(())
    });
}

#[test]
fn parameters_that_are_none_are_bad() {
    let mail = Mail::with(["one.eml"]);
    let mut a = quick(&mail);
    for parameters in [
        "(QRESYNC)",
        "(QRESYNC ())",
        "(QRESYNC (1))",
        "(QRESYNC (1 1 *))",
    ] {
        a.bad(&format!("SELECT INBOX {parameters}"));
    }
    a.ok("SELECT INBOX");
}
