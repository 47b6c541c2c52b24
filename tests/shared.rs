//! Several clients on one mailbox, and other programs in the same Maildir while we serve it.
//!
//! Each conversation is held twice: with a process for each client, which meet only in the files,
//! and with all clients on one listening server, which share one open mailbox.

// A test says what it skips and what it measured.
#![allow(clippy::print_stderr)]

mod support;

#[path = "shared/races.rs"]
mod races;

use std::fs;

use support::*;

/// A Maildir and a way to get clients for it.
struct House {
    mail: Mail,
    server: Option<Server>,
}

impl House {
    fn connect(&self) -> Client {
        self.server
            .as_ref()
            .map_or_else(|| self.mail.connect(), Server::connect)
    }

    fn select(&self) -> Client {
        let mut client = self.connect();
        client.ok("SELECT INBOX");
        client
    }
}

fn both_ways<const N: usize>(messages: [&str; N], conversation: impl Fn(&House)) {
    eprintln!("with a process for each client");
    conversation(&House {
        mail: Mail::with(messages),
        server: None,
    });
    eprintln!("with one server for all clients");
    let mail = Mail::with(messages);
    let server = Some(Server::try_(&mail));
    conversation(&House { mail, server });
}

#[test]
fn a_flag_set_by_one_client_reaches_the_other_in_idle() {
    both_ways(["one.eml", "two.eml"], |house| {
        let (mut a, mut b) = (house.select(), house.select());
        let mut idle = b.idle();
        a.ok(r"STORE 2 +FLAGS (\Flagged $Label1)");
        idle.expect(r"2 FETCH (FLAGS (\Flagged $Label1) ...)");
        idle.done();
    });
}

#[test]
fn an_append_by_one_client_reaches_the_other_in_idle() {
    both_ways(["one.eml"], |house| {
        let (mut a, mut b) = (house.connect(), house.select());
        let mut idle = b.idle();
        a.append("INBOX", &text("two.eml"));
        idle.expect("2 EXISTS");
        idle.done();
        b.ok("FETCH 2 UID").untagged(["2 FETCH (UID 2)"]);
    });
}

#[test]
fn removals_by_one_client_are_told_the_other_at_noop_and_in_idle() {
    both_ways(["one.eml", "two.eml", "three.eml", "four.eml"], |house| {
        let (mut a, mut b) = (house.select(), house.select());
        a.ok(r"STORE 1,3 +FLAGS.SILENT (\Deleted)");
        b.ok("NOOP");
        a.ok("EXPUNGE").untagged(["1 EXPUNGE", "2 EXPUNGE"]);
        b.ok("FETCH 1:4 UID")
            .contains("4 FETCH (UID 4)")
            .lacks("1 EXPUNGE");
        b.ok("NOOP").untagged(["1 EXPUNGE", "2 EXPUNGE"]);
        let mut idle = b.idle();
        a.ok(r"STORE 1 +FLAGS.SILENT (\Deleted)");
        a.ok("EXPUNGE");
        idle.expect("1 EXPUNGE");
        idle.done();
        b.ok("FETCH 1 UID").untagged(["1 FETCH (UID 4)"]);
    });
}

#[test]
fn a_client_may_fetch_a_message_the_other_has_expunged_but_it_is_not_told_of() {
    both_ways(["one.eml", "two.eml"], |house| {
        let (mut a, mut b) = (house.select(), house.select());
        a.ok(r"STORE 1 +FLAGS.SILENT (\Deleted)");
        a.ok("EXPUNGE");
        // RFC 2180 4.1: NO, or OK without the message, or the message; never another message.
        let reply = b.command("FETCH 1 (UID BODY.PEEK[TEXT])");
        assert_ne!(reply.tagged.word(), "BAD", "{reply}");
        if let Some(uid) = reply.find_item(1, "UID") {
            assert_eq!(uid.number(), Some(1), "{reply}");
        }
        b.ok("FETCH 2 (UID BODY.PEEK[TEXT])")
            .contains("2 FETCH (UID 2 ...)");
        b.ok("NOOP").contains("1 EXPUNGE");
        b.ok("FETCH 1 UID").untagged(["1 FETCH (UID 2)"]);
    });
}

#[test]
fn sequence_numbers_of_two_clients_may_differ_and_each_means_its_own() {
    both_ways(["one.eml", "two.eml", "three.eml"], |house| {
        let (mut a, mut b) = (house.select(), house.select());
        a.ok(r"STORE 1 +FLAGS.SILENT (\Deleted)");
        b.ok("NOOP");
        a.ok("EXPUNGE");
        // For a, message 1 is UID 2; for b it still is UID 1.
        a.ok(r"STORE 1 +FLAGS.SILENT (\Flagged)");
        b.ok(r"STORE 3 +FLAGS.SILENT (\Answered)");
        a.ok("NOOP");
        a.ok("FETCH 1:2 (UID FLAGS)").untagged([
            r"1 FETCH (UID 2 FLAGS (\Flagged))",
            r"2 FETCH (UID 3 FLAGS (\Answered))",
        ]);
    });
}

#[test]
fn a_new_message_is_told_after_the_removals_before_it() {
    both_ways(["one.eml", "two.eml"], |house| {
        let (mut a, mut b) = (house.select(), house.select());
        a.ok(r"STORE 1 +FLAGS.SILENT (\Deleted)");
        b.ok("NOOP");
        a.ok("EXPUNGE");
        house.mail.inbox().deliver_file("three.eml");
        a.ok("NOOP").contains("2 EXISTS");
        let reply = b.ok("NOOP");
        // However it is told, b must end with two messages.
        let exists = reply.untagged.iter().rposition(|r| r.word() == "EXISTS");
        let expunge = reply.untagged.iter().rposition(|r| r.word() == "EXPUNGE");
        let count = exists.map(|at| reply.untagged[at].tokens[0].number());
        match (exists, expunge) {
            (Some(exists), Some(expunge)) if exists > expunge => assert_eq!(count, Some(Some(2))),
            (Some(_), Some(_)) => assert_eq!(count, Some(Some(3)), "{reply}"),
            _ => panic!("both were to be told{reply}"),
        }
        b.ok("FETCH 1:* UID")
            .untagged(["1 FETCH (UID 2)", "2 FETCH (UID 3)"]);
    });
}

#[test]
fn a_delivery_reaches_a_client_in_idle() {
    both_ways(["one.eml"], |house| {
        let mut a = house.select();
        let mut idle = a.idle();
        house.mail.inbox().deliver_file("two.eml");
        idle.expect("2 EXISTS");
        house.mail.inbox().deliver_file("three.eml");
        idle.expect("3 EXISTS");
        idle.done();
        a.ok("FETCH 2:3 (UID BODY.PEEK[HEADER.FIELDS (SUBJECT)])")
            .untagged([
                r#"2 FETCH (UID 2 BODY[HEADER.FIELDS (SUBJECT)] ?)"#,
                "3 FETCH (UID 3 BODY[HEADER.FIELDS (SUBJECT)] \"Subject: three\r\n\r\n\")",
            ]);
    });
}

#[test]
fn a_flag_renamed_into_the_name_reaches_a_client_in_idle() {
    both_ways(["one.eml", "two.eml"], |house| {
        let inbox = house.mail.inbox();
        let bases = inbox.bases();
        let mut a = house.select();
        let mut idle = a.idle();
        inbox.set_flags(&bases[1], "FRS");
        idle.expect(r"2 FETCH (FLAGS (\Flagged \Answered \Seen) ...)");
        inbox.set_flags(&bases[1], "");
        idle.expect("2 FETCH (FLAGS () ...)");
        idle.done();
    });
}

#[test]
fn a_file_deleted_by_another_program_is_expunged_for_a_client_in_idle() {
    both_ways(["one.eml", "two.eml", "three.eml"], |house| {
        let inbox = house.mail.inbox();
        let bases = inbox.bases();
        let mut a = house.select();
        let mut idle = a.idle();
        inbox.remove(&bases[1]);
        idle.expect("2 EXPUNGE");
        idle.done();
        a.ok("FETCH 1:* UID")
            .untagged(["1 FETCH (UID 1)", "2 FETCH (UID 3)"]);
    });
}

#[test]
fn a_file_moved_by_another_program_leaves_one_mailbox_and_arrives_in_the_other() {
    both_ways(["one.eml", "two.eml"], |house| {
        let (inbox, work) = (house.mail.inbox(), house.mail.folder("Work"));
        let mut a = house.connect();
        a.ok("CREATE Work");
        a.ok("SELECT INBOX");
        let mut b = house.connect();
        b.ok("SELECT Work");
        let mut idle = b.idle();
        inbox.move_to(&inbox.bases()[0], &work);
        idle.expect("1 EXISTS");
        idle.done();
        eventually("the removal", || {
            a.ok("NOOP").has("1 EXPUNGE").then_some(())
        });
        a.ok("FETCH 1:* UID").untagged(["1 FETCH (UID 2)"]);
        b.ok("FETCH 1 BODY.PEEK[TEXT]")
            .untagged(["1 FETCH (BODY[TEXT] \"First.\r\n\")"]);
    });
}

#[test]
fn a_client_that_is_not_in_idle_hears_of_outside_changes_at_noop() {
    both_ways(["one.eml", "two.eml"], |house| {
        let inbox = house.mail.inbox();
        let mut a = house.select();
        inbox.set_flags(&inbox.bases()[0], "S");
        inbox.deliver_file("three.eml");
        inbox.remove(&inbox.bases()[1]);
        let (mut flags, mut exists, mut expunge) = (false, false, false);
        eventually("all three changes", || {
            let reply = a.ok("NOOP");
            flags |= reply.has(r"1 FETCH (FLAGS (\Seen) ...)");
            exists |= reply.untagged.iter().any(|r| r.word() == "EXISTS");
            expunge |= reply.has("2 EXPUNGE");
            (flags && exists && expunge).then_some(())
        });
        a.ok("FETCH 1:* UID")
            .untagged(["1 FETCH (UID 1)", "2 FETCH (UID 3)"]);
    });
}

#[test]
fn a_message_deleted_before_it_is_fetched_costs_only_itself() {
    both_ways(["one.eml", "two.eml", "three.eml"], |house| {
        let inbox = house.mail.inbox();
        let mut a = house.select();
        inbox.remove(&inbox.bases()[1]);
        let reply = a.command("FETCH 1:3 (UID BODY.PEEK[])");
        assert_ne!(reply.tagged.word(), "BAD", "{reply}");
        assert!(reply.find_item(1, "BODY[]").is_some(), "{reply}");
        assert!(reply.find_item(3, "BODY[]").is_some(), "{reply}");
        eventually("the removal", || {
            a.ok("NOOP").has("2 EXPUNGE").then_some(())
        });
    });
}

#[test]
fn a_message_renamed_before_it_is_fetched_is_found_again() {
    both_ways(["one.eml"], |house| {
        let inbox = house.mail.inbox();
        let mut a = house.select();
        for flags in ["S", "FS", "F", ""] {
            inbox.set_flags(&inbox.bases()[0], flags);
            let reply = a.ok("UID FETCH 1 BODY.PEEK[]");
            assert_eq!(reply.bytes(1, "BODY[]"), crlf(&text("one.eml")));
        }
    });
}

#[test]
fn a_store_on_a_message_another_program_renamed_keeps_both_flags() {
    both_ways(["one.eml"], |house| {
        let inbox = house.mail.inbox();
        let base = &inbox.bases()[0];
        let mut a = house.select();
        inbox.set_flags(base, "F");
        a.ok(r"STORE 1 +FLAGS.SILENT (\Seen)");
        assert_eq!(inbox.flags(base), "FS");
    });
}

#[test]
fn a_message_deleted_and_put_back_gets_a_new_uid() {
    both_ways(["one.eml", "two.eml"], |house| {
        let inbox = house.mail.inbox();
        let base = inbox.bases()[0].clone();
        let path = inbox.find(&base).expect("the file");
        let mut a = house.select();
        inbox.remove(&base);
        eventually("the removal", || {
            a.ok("NOOP").has("1 EXPUNGE").then_some(())
        });
        fs::write(&path, text("one.eml")).expect("put back");
        own(&path);
        eventually("the arrival", || a.ok("NOOP").has("2 EXISTS").then_some(()));
        a.ok("FETCH 2 UID").untagged(["2 FETCH (UID 3)"]);
    });
}

#[test]
fn a_burst_of_deliveries_is_told_completely_and_in_order_of_uid() {
    both_ways([], |house| {
        let mut a = house.select();
        let mut idle = a.idle();
        for n in 1..=200 {
            house.mail.inbox().deliver(&numbered(n));
        }
        idle.expect("200 EXISTS");
        idle.done();
        let reply = a.ok("UID FETCH 1:* UID");
        assert_eq!(reply.untagged.len(), 200);
        for (at, response) in reply.untagged.iter().enumerate() {
            let n = at + 1;
            assert!(
                response.matches(&format!("{n} FETCH (UID {n})")),
                "{response}"
            );
        }
    });
}

#[test]
fn a_delivery_by_the_maildir_crate_is_a_delivery() {
    both_ways(["one.eml"], |house| {
        let outside = house.mail.inbox().crate_maildir();
        let mut a = house.select();
        let mut idle = a.idle();
        outside.store_new(&text("two.eml")).expect("delivered");
        idle.expect("2 EXISTS");
        outside
            .store_cur_with_flags(&text("four.eml"), "F")
            .expect("stored");
        idle.expect("3 EXISTS");
        idle.done();
        a.ok("FETCH 3 FLAGS")
            .untagged([r"3 FETCH (FLAGS (\Flagged))"]);
    });
}

#[test]
fn ten_clients_flagging_at_once_lose_nothing() {
    both_ways(["one.eml", "two.eml", "three.eml", "four.eml"], |house| {
        let mut clients: Vec<Client> = (0..10).map(|_| house.select()).collect();
        let tags: Vec<String> = clients
            .iter_mut()
            .enumerate()
            .map(|(n, client)| client.start(&format!("STORE 1:4 +FLAGS.SILENT (key{n})")))
            .collect();
        for (client, tag) in clients.iter_mut().zip(&tags) {
            let reply = client.finish(tag);
            assert_eq!(reply.tagged.word(), "OK", "{reply}");
        }
        let mut fresh = house.select();
        let keys = "key0 key1 key2 key3 key4 key5 key6 key7 key8 key9";
        let all = fresh.ok("FETCH 1:4 FLAGS");
        for n in 1..=4 {
            all.contains(&format!("{n} FETCH (FLAGS ({keys}))"));
        }
    });
}

#[test]
fn appends_at_once_get_different_uids() {
    both_ways([], |house| {
        let mut clients: Vec<Client> = (0..5).map(|_| house.connect()).collect();
        let mut uids = Vec::new();
        for round in 0..4 {
            let tags: Vec<String> = clients
                .iter_mut()
                .map(|client| client.start_append("INBOX", &numbered(round)))
                .collect();
            for (client, tag) in clients.iter_mut().zip(&tags) {
                let reply = client.finish(tag);
                assert_eq!(reply.tagged.word(), "OK", "{reply}");
                let code = reply.tagged.code().expect("APPENDUID");
                uids.push(code[2].number().expect("a UID"));
            }
        }
        uids.sort_unstable();
        assert_eq!(uids, (1..=20).collect::<Vec<u64>>());
    });
}

#[test]
fn a_mailbox_removed_by_another_program_ends_no_connection() {
    both_ways(["one.eml"], |house| {
        let mut a = house.connect();
        a.ok("CREATE Work");
        a.append("Work", &text("two.eml"));
        a.ok("SELECT Work");
        fs::remove_dir_all(house.mail.folder("Work").path()).expect("removed");
        // Whatever is said about the messages, other mailboxes are still served.
        a.command("NOOP");
        a.command("FETCH 1 BODY.PEEK[]");
        a.ok("STATUS INBOX (MESSAGES)")
            .contains("STATUS INBOX (MESSAGES 1)");
        a.ok("SELECT INBOX").contains("1 EXISTS");
    });
}

#[test]
fn a_client_in_idle_hears_everything_that_three_others_do() {
    both_ways(["one.eml", "two.eml", "three.eml"], |house| {
        let mut watcher = house.select();
        let mut others: Vec<Client> = (0..3).map(|_| house.select()).collect();
        let mut idle = watcher.idle();
        others[0].ok(r"STORE 1 +FLAGS (\Seen)");
        idle.expect(r"1 FETCH (FLAGS (\Seen) ...)");
        others[1].ok(r"UID STORE 2 +FLAGS (\Flagged)");
        idle.expect(r"2 FETCH (FLAGS (\Flagged) ...)");
        others[2].append(r"INBOX (\Draft)", &text("four.eml"));
        idle.expect("4 EXISTS");
        others[2].ok(r"UID STORE 3 +FLAGS.SILENT (\Deleted)");
        others[2].ok("UID EXPUNGE 3");
        idle.expect("3 EXPUNGE");
        idle.done();
        watcher.ok("FETCH 1:* (UID FLAGS)").untagged([
            r"1 FETCH (UID 1 FLAGS (\Seen))",
            r"2 FETCH (UID 2 FLAGS (\Flagged))",
            r"3 FETCH (UID 4 FLAGS (\Draft))",
        ]);
    });
}

#[test]
fn a_mailbox_that_cannot_be_watched_is_looked_at_now_and_then() {
    roost_only!("a setting of ours");
    let mail = Mail::with(["one.eml"]);
    let mut a = Server::preauth_with(&mail, &["mail.watch=no", "mail.poll_interval=1s"]);
    a.ok("SELECT INBOX");
    let mut idle = a.idle();
    mail.inbox().deliver_file("two.eml");
    idle.expect("2 EXISTS");
    mail.inbox().set_flags(&mail.inbox().bases()[0], "F");
    idle.expect(r"1 FETCH (FLAGS (\Flagged) ...)");
    idle.done();
    // And at every command that may tell it.
    mail.inbox().deliver_file("three.eml");
    a.ok("NOOP").contains("3 EXISTS");
}
