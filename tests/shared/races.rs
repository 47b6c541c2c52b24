//! A command acts on what a message's name says at that moment, whoever changed it: another process
//! of the server, or a program that renames files.

use std::sync::atomic::{AtomicBool, Ordering};

use super::*;

/// With another process of the server and with a rename, where changes are told and where folders
/// are polled: `change` gets a client of the other process, or none.
fn every_way(count: usize, conversation: impl Fn(&Mail, &mut Client, &dyn Fn(usize, &str))) {
    roost_only!("whether folders are watched is a setting of ours");
    for watch in ["mail.watch=yes", "mail.watch=no"] {
        for other in [true, false] {
            eprintln!("{watch}, {}", if other { "a process" } else { "a rename" });
            let mail = Mail::numbered(count);
            let mut a = Server::preauth_with(&mail, &[watch]);
            a.ok("SELECT INBOX");
            let bases = mail.inbox().bases();
            let change = |number: usize, letters: &str| {
                if other {
                    let mut b = Server::preauth_with(&mail, &[watch]);
                    b.ok("SELECT INBOX");
                    b.ok(&format!("STORE {number} FLAGS.SILENT ({})", names(letters)));
                    b.logout();
                } else {
                    mail.inbox().set_flags(&bases[number - 1], letters);
                }
            };
            conversation(&mail, &mut a, &change);
        }
    }
}

fn names(letters: &str) -> String {
    let name = |letter| match letter {
        'F' => r"\Flagged",
        'S' => r"\Seen",
        'T' => r"\Deleted",
        _ => panic!("no flag: {letter}"),
    };
    letters.chars().map(name).collect::<Vec<_>>().join(" ")
}

/// The flags of every message whose text has this number.
fn flags_in(folder: &Folder, number: usize) -> Vec<String> {
    let wanted = numbered(number);
    let mut found = Vec::new();
    for sub in ["new", "cur"] {
        for name in folder.names(sub) {
            let text = fs::read(folder.path().join(sub).join(&name)).expect("a message");
            if text == wanted {
                let flags = name.split_once(":2,").map_or("", |(_, flags)| flags);
                found.push(flags.to_owned());
            }
        }
    }
    found
}

#[test]
fn a_message_that_is_not_deleted_any_more_survives_expunge() {
    for command in ["EXPUNGE", "UID EXPUNGE 1:*", "CLOSE"] {
        every_way(3, |mail, a, change| {
            a.ok(r"STORE 2:3 +FLAGS.SILENT (\Deleted)");
            change(2, "F");
            let reply = a.ok(command);
            let inbox = mail.inbox();
            assert_eq!(flags_in(&inbox, 2), ["F"], "{command}");
            assert_eq!(inbox.bases().len(), 2, "{command}");
            if command != "CLOSE" {
                reply.contains("3 EXPUNGE");
                reply.lacks("2 EXPUNGE");
                a.ok("FETCH 2 FLAGS")
                    .contains(r"2 FETCH (FLAGS (\Flagged))");
            }
        });
    }
}

#[test]
fn what_another_has_deleted_is_expunged_and_what_is_examined_is_not() {
    every_way(3, |mail, a, change| {
        change(2, "T");
        a.ok("EXPUNGE").contains("2 EXPUNGE");
        change(1, "T");
        a.ok("EXAMINE INBOX");
        a.ok("CLOSE");
        assert_eq!(mail.inbox().bases().len(), 2);
    });
}

#[test]
fn a_copy_keeps_the_flags_that_others_have_set() {
    for command in [
        "UID COPY 2 Work",
        "UID MOVE 2 Work",
        "COPY 2 INBOX",
        "MOVE 2 INBOX",
    ] {
        every_way(3, |mail, a, change| {
            a.ok("CREATE Work");
            a.ok(r"STORE 2 +FLAGS.SILENT (\Deleted)");
            change(2, "FS");
            a.ok(command);
            let (inbox, work) = (mail.inbox(), mail.folder("Work"));
            let mut found = flags_in(&inbox, 2);
            if command.ends_with("Work") {
                found.extend(flags_in(&work, 2));
            }
            let copies = if command.contains("MOVE") { 1 } else { 2 };
            assert_eq!(found, vec!["FS"; copies], "{command}");
        });
    }
}

#[test]
fn reading_a_message_marks_it_as_seen_though_another_took_that_away() {
    every_way(2, |mail, a, change| {
        a.ok(r"STORE 1 +FLAGS.SILENT (\Seen)");
        change(1, "F");
        let reply = a.ok("FETCH 1 BODY[TEXT]");
        assert_eq!(flags_in(&mail.inbox(), 1), ["FS"]);
        assert!(
            reply.has(r"1 FETCH (FLAGS (\Flagged \Seen) ...)"),
            "{reply}"
        );
    });
}

#[test]
fn a_conditional_store_fails_for_what_another_has_changed() {
    every_way(3, |mail, a, change| {
        let modseq = a.ok("FETCH 1:3 (MODSEQ)");
        let modseq = modseq
            .untagged
            .iter()
            .filter_map(|response| {
                response
                    .to_string()
                    .split("MODSEQ (")
                    .nth(1)?
                    .split(')')
                    .next()?
                    .parse()
                    .ok()
            })
            .max()
            .unwrap_or(1u64);
        change(2, "F");
        let store = format!(r"STORE 1:3 (UNCHANGEDSINCE {modseq}) +FLAGS.SILENT (\Seen)");
        a.ok(&store).code("MODIFIED 2");
        let flags = [1, 2, 3].map(|number| flags_in(&mail.inbox(), number).concat());
        assert_eq!(flags, ["S", "F", "S"]);
    });
}

#[test]
fn a_file_put_back_is_a_new_message_that_no_old_flag_destroys() {
    roost_only!("whether folders are watched is a setting of ours");
    for command in ["EXPUNGE", "UID EXPUNGE 1:*", "CLOSE"] {
        let mail = Mail::numbered(3);
        let inbox = mail.inbox();
        let base = inbox.bases()[1].clone();
        let polled = || {
            let mut client = Server::preauth_with(&mail, &["mail.watch=no"]);
            client.ok("SELECT INBOX");
            client
        };
        let mut a = polled();
        a.ok(r"STORE 2 +FLAGS.SILENT (\Seen \Deleted)");
        let mut b = polled();
        inbox.remove(&base);
        eventually("the removal", || {
            b.ok("NOOP").has("2 EXPUNGE").then_some(())
        });
        let path = inbox.path().join(format!("cur/{base}:2,F"));
        fs::write(&path, numbered(2)).expect("put back");
        own(&path);
        eventually("the arrival", || b.ok("NOOP").has("3 EXISTS").then_some(()));
        b.ok("UID FETCH 4 FLAGS")
            .contains(r"3 FETCH (UID 4 FLAGS (\Flagged ...))");
        a.ok(command);
        assert_eq!(flags_in(&inbox, 2), ["F"], "{command}");
        if command != "CLOSE" {
            a.ok("NOOP");
            a.ok("UID FETCH 4 FLAGS")
                .contains(r"3 FETCH (UID 4 FLAGS (\Flagged ...))");
        }
        // A server that was killed leaves an index that knows nothing of this.
        b.kill();
        let mut c = mail.select();
        c.ok("UID FETCH 4 FLAGS")
            .contains(r"3 FETCH (UID 4 FLAGS (\Flagged ...))");
        c.ok("EXPUNGE");
        assert_eq!(flags_in(&inbox, 2), ["F"]);
    }
}

#[test]
fn a_silent_store_is_done_when_it_is_done_for_what_is_there() {
    both_ways(["one.eml", "two.eml", "three.eml"], |house| {
        let (mut a, mut b) = (house.select(), house.select());
        b.ok(r"UID STORE 2 +FLAGS.SILENT (\Deleted)");
        a.ok("NOOP");
        b.ok("UID EXPUNGE 2");
        a.ok(r"STORE 1:3 +FLAGS.SILENT (\Flagged)");
        let inbox = house.mail.inbox();
        let flags: Vec<String> = inbox.bases().iter().map(|base| inbox.flags(base)).collect();
        assert_eq!(flags, ["F", "F"]);
    });
}

#[test]
fn a_modseq_is_not_told_past_a_removal_that_waits() {
    for command in [
        r"STORE 3:5 +FLAGS.SILENT (\Flagged)",
        r"STORE 2:5 +FLAGS (\Flagged)",
        r"STORE 3:5 (UNCHANGEDSINCE 1) +FLAGS (\Flagged)",
        "FETCH 3:5 (MODSEQ)",
        "SEARCH MODSEQ 1",
    ] {
        let mail = Mail::numbered(5);
        let server = Server::try_(&mail);
        let (mut a, mut b) = (server.connect(), server.connect());
        a.ok("ENABLE QRESYNC");
        a.ok("SELECT INBOX");
        b.ok("SELECT INBOX");
        b.ok(r"UID STORE 2 +FLAGS.SILENT (\Deleted)");
        a.ok("NOOP");
        b.ok("UID EXPUNGE 2");
        b.ok(r"UID STORE 5 +FLAGS.SILENT (\Answered)");
        let reply = a.command(command);
        let told = reply.to_string();
        let code = told
            .rsplit("[HIGHESTMODSEQ ")
            .next()
            .and_then(|rest| rest.split(']').next());
        let below: u64 = code
            .and_then(|code| code.parse().ok())
            .unwrap_or_else(|| panic!("{command}: {reply}"));
        // Whoever goes on from there hears of the removal.
        let mut c = server.connect();
        c.ok("ENABLE QRESYNC");
        let validity = c.ok("EXAMINE INBOX").number("UIDVALIDITY");
        c.ok(&format!("EXAMINE INBOX (QRESYNC ({validity} {below}))"))
            .contains("VANISHED (EARLIER) 2");
        a.ok("NOOP").contains("VANISHED 2");
        a.ok("FETCH 1:4 (MODSEQ)").lacks("OK [HIGHESTMODSEQ ?] ...");
    }
}

#[test]
fn a_keyword_that_another_process_made_is_named_before_it_is_used() {
    roost_only!("whether folders are watched is a setting of ours");
    for command in [
        "FETCH 1 BODY[TEXT]",
        r"STORE 1 +FLAGS (\Seen)",
        "UID MOVE 1 Work",
    ] {
        let mail = Mail::numbered(2);
        let polled = || {
            let mut client = Server::preauth_with(&mail, &["mail.watch=no"]);
            client.ok("SELECT INBOX");
            client
        };
        let mut a = polled();
        a.ok("CREATE Work");
        let mut b = polled();
        b.ok("STORE 1 +FLAGS.SILENT (NewKey)");
        let mut told = a.ok(command).to_string();
        if command.contains("MOVE") {
            told = a.ok("SELECT Work").to_string() + &a.ok("FETCH 1 FLAGS").to_string();
        }
        told += &a.ok("NOOP").to_string();
        let named = told.find("FLAGS (").expect("FLAGS");
        let used = told.find("FETCH").expect("FETCH");
        assert!(named < used, "{command}: {told}");
        assert!(told[used..].contains("NewKey"), "{command}: {told}");
    }
}

#[test]
fn modseqs_of_another_process_outlive_one_that_saw_nothing_of_them() {
    roost_only!("whether folders are watched is a setting of ours");
    let mail = Mail::numbered(3);
    let polled = || {
        let mut client = Server::preauth_with(&mail, &["mail.watch=no"]);
        client.ok("ENABLE QRESYNC");
        client.ok("SELECT INBOX");
        client
    };
    polled().logout();
    let (mut a, mut x) = (polled(), polled());
    let told = x.ok(r"UID STORE 2 +FLAGS (\Flagged)").to_string();
    let modseq = told
        .split("MODSEQ (")
        .nth(1)
        .and_then(|rest| rest.split(')').next());
    let modseq = modseq.expect("a modseq").to_owned();
    x.ok(r"UID STORE 2 -FLAGS.SILENT (\Flagged)");
    a.ok("FETCH 1:* (INTERNALDATE)");
    a.logout();
    x.kill();
    let mut c = mail.connect();
    c.ok("ENABLE QRESYNC");
    let validity = c.ok("EXAMINE INBOX").number("UIDVALIDITY");
    c.ok(&format!("SELECT INBOX (QRESYNC ({validity} {modseq}))"))
        .contains("2 FETCH (UID 2 FLAGS () MODSEQ (?))");
}

#[test]
fn an_append_whose_mailbox_is_replaced_meanwhile_is_refused() {
    both_ways([], |house| {
        let mut a = house.connect();
        a.ok("CREATE Work");
        let work = house.mail.folder("Work");
        let text = numbered(1);
        let crlf = crlf(&text);
        let tag = a.next_tag();
        a.send_raw(format!("{tag} APPEND Work {{{}}}\r\n", crlf.len()).as_bytes());
        assert!(a.wait_for_continuation(&tag));
        a.send_raw(&crlf[..crlf.len() / 2]);
        let aside = house.mail.work().join("aside");
        fs::rename(work.path(), &aside).expect("moved away");
        work.create();
        a.send_raw(&crlf[crlf.len() / 2..]);
        a.send_raw(b"\r\n");
        let reply = a.finish(&tag);
        assert_eq!(reply.tagged.word(), "NO", "{reply}");
        assert!(work.names("cur").is_empty() && work.names("new").is_empty());
        a.append("Work", &text);
        assert_eq!(work.names("cur").len(), 1);
    });
}

#[test]
fn a_lock_that_was_left_empty_is_not_waited_for() {
    let mail = Mail::numbered(2);
    mail.select().logout();
    let lock = mail.root().join("dovecot-uidlist.lock");
    fs::write(&lock, "").expect("a lock");
    own(&lock);
    let long_ago = std::time::SystemTime::now() - std::time::Duration::from_secs(10);
    let file = fs::File::options()
        .write(true)
        .open(&lock)
        .expect("the lock");
    file.set_modified(long_ago).expect("a time");
    drop(file);
    let mut a = mail.select();
    // Nobody who waits two minutes is done before a test gives up.
    a.set_patience(std::time::Duration::from_secs(60));
    a.ok(r"STORE 1 +FLAGS (\Seen)");
}

#[test]
fn what_deliveries_left_in_tmp_is_removed_after_36_hours() {
    let mail = Mail::numbered(1);
    for (name, hours) in [("old", 40), ("young", 30)] {
        let path = mail.root().join("tmp").join(name);
        fs::write(&path, "half a message").expect("a file");
        own(&path);
        let then = std::time::SystemTime::now() - std::time::Duration::from_secs(hours * 3600);
        let times = fs::FileTimes::new().set_accessed(then).set_modified(then);
        let file = fs::File::options()
            .write(true)
            .open(&path)
            .expect("the file");
        file.set_times(times).expect("times");
    }
    mail.select();
    assert_eq!(mail.inbox().names("tmp"), ["young"]);
}

/// Whatever comes of a test, what it has started ends.
struct Stopper<'a>(&'a AtomicBool);

impl Drop for Stopper<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

#[test]
fn a_storm_of_renames_keeps_no_client_waiting_and_expunges_nothing() {
    roost_only!("whether folders are watched is a setting of ours");
    for watch in ["mail.watch=yes", "mail.watch=no"] {
        let mail = Mail::numbered(20);
        let inbox = mail.inbox();
        let stop = AtomicBool::new(false);
        std::thread::scope(|scope| {
            let (inbox, stop) = (&inbox, &stop);
            let _stop = Stopper(stop);
            scope.spawn(move || {
                let bases = inbox.bases();
                let path =
                    |base: &str, flags: &str| inbox.path().join(format!("cur/{base}:2,{flags}"));
                while !stop.load(Ordering::Relaxed) {
                    for base in &bases[..10] {
                        for (from, to) in [("", "S"), ("S", "FS"), ("FS", "")] {
                            fs::rename(path(base, from), path(base, to)).expect("renamed");
                        }
                    }
                }
            });
            let mut a = Server::preauth_with(&mail, &[watch]);
            a.set_patience(std::time::Duration::from_secs(20));
            a.ok("SELECT INBOX").contains("20 EXISTS");
            for round in 0..30 {
                for command in [
                    "NOOP".to_owned(),
                    "FETCH 1:20 (UID FLAGS BODY.PEEK[HEADER])".to_owned(),
                    format!("STORE 11:20 FLAGS ({})", ["\\Seen", ""][round % 2]),
                    "UID SEARCH ALL".to_owned(),
                    "STATUS INBOX (MESSAGES)".to_owned(),
                ] {
                    let reply = a.ok(&command);
                    assert!(!reply.to_string().contains(" EXPUNGE"), "{reply}");
                }
            }
            let mut b = Server::preauth_with(&mail, &[watch]);
            b.ok("SELECT INBOX").contains("20 EXISTS");
        });
    }
}
