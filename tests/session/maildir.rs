//! What lies in a Maildir and what becomes of it: the files of other programs, odd names, damage.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::UnixListener;
use std::process::Command;
use std::time::Duration;

use nix::sys::stat::Mode;
use nix::unistd::mkfifo;

use crate::support::*;

#[test]
fn a_delivery_into_new_is_moved_to_cur_when_selected_and_not_when_examined() {
    let mail = Mail::new();
    let base = mail.inbox().deliver_file("one.eml");
    let mut a = mail.connect();
    a.ok("EXAMINE INBOX").contains("1 EXISTS");
    a.ok("FETCH 1 BODY.PEEK[TEXT]")
        .untagged(["1 FETCH (BODY[TEXT] \"First.\r\n\")"]);
    a.ok("SELECT INBOX").contains("1 EXISTS");
    assert!(mail.inbox().names("new").is_empty());
    assert_eq!(mail.inbox().names("cur"), [format!("{base}:2,")]);
}

#[test]
fn recent_is_told_to_one_session() {
    let mail = Mail::new();
    mail.inbox().deliver_file("one.eml");
    let mut a = mail.connect();
    a.ok("SELECT INBOX").contains("1 RECENT");
    a.ok("FETCH 1 FLAGS")
        .untagged([r"1 FETCH (FLAGS (\Recent))"]);
    a.ok("SEARCH RECENT").untagged(["SEARCH 1"]);
    a.ok("SEARCH NEW").untagged(["SEARCH 1"]);
    let mut b = mail.connect();
    b.ok("SELECT INBOX").contains("0 RECENT");
    b.ok("SEARCH RECENT").untagged(["SEARCH"]);
    b.ok("SEARCH OLD").untagged(["SEARCH 1"]);
}

#[test]
fn a_file_in_cur_without_flags_is_a_message_without_flags() {
    let mail = Mail::new();
    mail.inbox()
        .store_as(&text("one.eml"), "1700000001.M1P1.host", 1_700_000_001);
    let mut a = mail.select();
    a.ok("FETCH 1 FLAGS").untagged(["1 FETCH (FLAGS ())"]);
    a.ok(r"STORE 1 +FLAGS.SILENT (\Seen)");
    assert_eq!(mail.inbox().names("cur"), ["1700000001.M1P1.host:2,S"]);
}

#[test]
fn a_file_in_new_with_flags_has_them() {
    let mail = Mail::new();
    mail.inbox()
        .store_as(&text("one.eml"), "1700000001.M1P1.host:2,FS", 1_700_000_001);
    let (cur, new) = (
        mail.inbox().path().join("cur"),
        mail.inbox().path().join("new"),
    );
    let name = "1700000001.M1P1.host:2,FS";
    fs::rename(cur.join(name), new.join(name)).expect("moved");
    let mut a = mail.select();
    a.ok("FETCH 1 FLAGS")
        .untagged([r"1 FETCH (FLAGS (\Flagged \Seen))"]);
}

#[test]
fn unknown_flag_letters_stay_when_flags_change() {
    let mail = Mail::new();
    mail.inbox()
        .store_as(&text("one.eml"), "1700000001.M1P1.host:2,PS", 1_700_000_001);
    let mut a = mail.select();
    a.ok("FETCH 1 FLAGS").untagged([r"1 FETCH (FLAGS (\Seen))"]);
    a.ok(r"STORE 1 +FLAGS.SILENT (\Flagged)");
    assert_eq!(mail.inbox().names("cur"), ["1700000001.M1P1.host:2,FPS"]);
    a.ok("STORE 1 FLAGS.SILENT ()");
    assert_eq!(mail.inbox().names("cur"), ["1700000001.M1P1.host:2,P"]);
}

#[test]
fn names_that_begin_with_a_dot_are_no_messages() {
    let mail = Mail::with(["one.eml"]);
    mail.inbox()
        .store_as(b"Subject: hidden\n\n", ".hidden:2,", 1_700_000_009);
    let mut a = mail.select();
    a.ok("FETCH 1:* UID").untagged(["1 FETCH (UID 1)"]);
    a.ok("STATUS INBOX (MESSAGES)")
        .contains("STATUS INBOX (MESSAGES 1)");
}

#[test]
fn directories_in_cur_are_no_messages() {
    let mail = Mail::with(["one.eml"]);
    let directory = mail.inbox().path().join("cur/a-directory");
    fs::create_dir(&directory).expect("a directory");
    own(&directory);
    let mut a = mail.select();
    a.ok("FETCH 1:* UID").untagged(["1 FETCH (UID 1)"]);
}

#[test]
fn uids_are_given_by_time_then_microseconds_then_name() {
    let mail = Mail::new();
    for (at, name) in ["20.M5P1.h", "3.M1P1.h", "20.M40P1.h", "20.M5P0.h", "100.x"]
        .iter()
        .enumerate()
    {
        let text = numbered(at + 1);
        mail.inbox()
            .store_as(&text, &format!("{name}:2,"), 1_700_000_000);
    }
    let mut a = mail.select();
    let reply = a.ok("FETCH 1:5 BODY.PEEK[HEADER.FIELDS (SUBJECT)]");
    let order: Vec<String> = (1..=5)
        .map(|n| String::from_utf8_lossy(&reply.bytes(n, "BODY[HEADER.FIELDS (SUBJECT)]")).into())
        .collect();
    let expected = [2, 4, 1, 3, 5].map(|n| format!("Subject: message {n}\r\n\r\n"));
    assert_eq!(order, expected);
}

#[test]
fn the_uidlist_has_base_names_and_the_header_of_version_3() {
    let mail = Mail::with(["one.eml", "two.eml"]);
    let mut a = mail.select();
    a.ok(r"STORE 1 +FLAGS.SILENT (\Seen)");
    a.append("INBOX", &text("three.eml"));
    let validity = a.ok("STATUS INBOX (UIDVALIDITY)").untagged[0].tokens[2]
        .list()
        .expect("items")[1]
        .number();
    a.logout();
    let uidlist = mail.inbox().control("dovecot-uidlist");
    let mut lines = uidlist.lines();
    let header = lines.next().expect("a header");
    assert!(header.starts_with("3 "), "{header}");
    assert!(
        header.contains(&format!(" V{}", validity.expect("a number"))),
        "{header}"
    );
    assert!(
        header
            .split(' ')
            .any(|key| key.len() == 33 && key.starts_with('G')),
        "{header}"
    );
    let bases = mail.inbox().bases();
    for (at, line) in lines.enumerate() {
        let (uid, name) = line.split_once(" :").expect("a record");
        assert_eq!(uid.split(' ').next(), Some((at + 1).to_string().as_str()));
        assert!(bases.contains(&name.to_owned()), "{line}");
    }
    assert!(!mail.inbox().path().join("dovecot-uidlist.lock").exists());
}

#[test]
fn a_uidlist_of_version_1_keeps_its_uids() {
    let mail = Mail::with(["one.eml", "two.eml"]);
    let bases = mail.inbox().bases();
    let list = format!("1 1234567 78\n5 {}\n77 {}\n", bases[0], bases[1]);
    fs::write(mail.inbox().path().join("dovecot-uidlist"), list).expect("written");
    own(&mail.inbox().path().join("dovecot-uidlist"));
    let mut a = mail.connect();
    let reply = a.ok("SELECT INBOX");
    assert_eq!(
        (reply.number("UIDVALIDITY"), reply.number("UIDNEXT")),
        (1_234_567, 78)
    );
    a.ok("FETCH 1:2 UID")
        .untagged(["1 FETCH (UID 5)", "2 FETCH (UID 77)"]);
}

#[test]
fn a_uidlist_with_unknown_keys_keeps_them() {
    let mail = Mail::with(["one.eml"]);
    let base = &mail.inbox().bases()[0];
    let guid = "07602237f41046b4f45000083ecc3751";
    let list = format!("3 V99 N10 G{guid} X77\n4 Yodd :{base}\n");
    fs::write(mail.inbox().path().join("dovecot-uidlist"), list).expect("written");
    own(&mail.inbox().path().join("dovecot-uidlist"));
    let mut a = mail.connect();
    assert_eq!(a.ok("SELECT INBOX").number("UIDVALIDITY"), 99);
    a.ok("FETCH 1 UID").untagged(["1 FETCH (UID 4)"]);
    for n in 0..20 {
        a.append(r"INBOX (\Deleted)", &numbered(n));
    }
    a.ok("EXPUNGE");
    a.logout();
    let uidlist = mail.inbox().control("dovecot-uidlist");
    assert!(
        uidlist.contains("X77") && uidlist.contains(guid),
        "{uidlist}"
    );
    assert!(uidlist.contains(&format!("4 Yodd :{base}\n")), "{uidlist}");
}

#[test]
fn a_uidlist_that_is_garbage_is_replaced_and_no_uid_means_something_else() {
    let mail = Mail::with(["one.eml", "two.eml"]);
    let mut a = mail.connect();
    let before = a.ok("SELECT INBOX").number("UIDVALIDITY");
    a.logout();
    fs::write(
        mail.inbox().path().join("dovecot-uidlist"),
        "not a uidlist\n\0\n",
    )
    .expect("written");
    let mut b = mail.connect();
    let reply = b.ok("SELECT INBOX");
    reply.contains("2 EXISTS");
    // What the index knows is as good as the uidlist.
    let messages = ["one", "two"].map(|name| {
        let name = format!("UID SEARCH HEADER Message-ID {name}@");
        b.ok(&name).found()
    });
    let known = messages == [vec![1], vec![2]];
    let found = b.ok("UID SEARCH ALL").found();
    assert!(
        reply.number("UIDVALIDITY") > before || known || found.iter().all(|uid| *uid > 2),
        "{reply}"
    );
}

#[test]
fn caches_may_be_deleted_while_they_are_used() {
    let mail = Mail::with(["one.eml", "two.eml", "three.eml"]);
    let mut a = mail.select();
    let all = "FETCH 1:* (UID FLAGS ENVELOPE BODYSTRUCTURE RFC822.SIZE)";
    let before = a.ok(all);
    for entry in fs::read_dir(mail.root()).expect("a directory") {
        let path = entry.expect("an entry").path();
        let name = path
            .file_name()
            .expect("a name")
            .to_string_lossy()
            .into_owned();
        if name.starts_with("roost.index") || name.starts_with("roost.cache") {
            fs::remove_file(path).expect("removed");
        }
    }
    let after = a.ok(all);
    for (before, after) in before.untagged.iter().zip(&after.untagged) {
        assert_eq!(before.raw, after.raw);
    }
    a.ok(r"STORE 1 +FLAGS (\Seen)");
    a.logout();
    mail.select().ok("FETCH 1:* UID").untagged([
        "1 FETCH (UID 1)",
        "2 FETCH (UID 2)",
        "3 FETCH (UID 3)",
    ]);
}

#[test]
fn caches_that_are_garbage_are_no_more_than_slow() {
    let mail = Mail::with(["one.eml", "two.eml"]);
    let mut a = mail.select();
    a.ok("FETCH 1:* (ENVELOPE BODYSTRUCTURE)");
    a.ok(r"STORE 2 +FLAGS.SILENT (\Flagged keyword)");
    a.logout();
    for name in ["roost.index", "roost.cache"] {
        for garbage in [&b""[..], b"x", &[0; 4096], &[0xff; 100_000]] {
            fs::write(mail.root().join(name), garbage).expect("written");
            own(&mail.root().join(name));
            let mut b = mail.select();
            b.ok("FETCH 1:2 (UID FLAGS)").untagged([
                "1 FETCH (UID 1 FLAGS ())",
                r"2 FETCH (UID 2 FLAGS (\Flagged keyword))",
            ]);
            b.ok("FETCH 1 ENVELOPE")
                .contains("1 FETCH (ENVELOPE (? one ...))");
            b.logout();
        }
    }
}

#[test]
fn a_maildir_without_its_directories_is_served_with_them() {
    let mail = Mail::new();
    for sub in ["cur", "new", "tmp"] {
        fs::remove_dir(mail.root().join(sub)).expect("removed");
    }
    let mut a = mail.connect();
    a.ok("SELECT INBOX").contains("0 EXISTS");
    a.append("INBOX", &text("one.eml"));
}

#[test]
fn what_is_no_file_is_no_message_whenever_it_comes() {
    let mail = Mail::with(["one.eml"]);
    let inbox = mail.inbox();
    let odd = |sub: &str, number: u32| {
        let name = |kind: &str| {
            let name = format!("17000010{number:02}.{kind}.mail.example.org");
            inbox.path().join(sub).join(name)
        };
        mkfifo(&name("fifo"), Mode::S_IRWXU).expect("a fifo");
        std::os::unix::fs::symlink(name("fifo"), name("link")).expect("a link");
        fs::create_dir(name("directory")).expect("a directory");
        drop(UnixListener::bind(name("socket")).expect("a socket"));
    };
    odd("cur", 1);
    odd("new", 2);
    let mut a = mail.connect();
    a.ok("SELECT INBOX").contains("1 EXISTS");
    odd("cur", 3);
    odd("new", 4);
    inbox.deliver(&text("two.eml"));
    a.ok("NOOP").contains("2 EXISTS");
    a.ok("FETCH 1:* (UID RFC822.SIZE BODY.PEEK[])");
    a.ok("STATUS INBOX (MESSAGES)")
        .contains("STATUS INBOX (MESSAGES 2)");
    let mut b = mail.connect();
    b.ok("SELECT INBOX").contains("2 EXISTS");
}

#[test]
fn an_unreadable_folder_is_a_no_and_nothing_else() {
    let mail = Mail::with(["one.eml"]);
    let mut a = mail.connect();
    a.ok("CREATE Closed");
    let closed = mail.folder("Closed").path().to_owned();
    fs::set_permissions(&closed, fs::Permissions::from_mode(0o000)).expect("closed");
    a.no("SELECT Closed");
    a.ok("LIST \"\" *");
    a.command("LIST \"\" * RETURN (STATUS (MESSAGES))")
        .contains("STATUS INBOX (MESSAGES 1)");
    a.ok("SELECT INBOX").contains("1 EXISTS");
    fs::set_permissions(&closed, fs::Permissions::from_mode(0o700)).expect("opened");
    a.ok("SELECT Closed").contains("0 EXISTS");
}

#[test]
fn a_restored_backup_is_found_at_the_next_look() {
    let mail = Mail::with(["one.eml", "two.eml"]);
    let inbox = mail.inbox();
    let backup: Vec<(String, Vec<u8>)> = inbox
        .names("cur")
        .into_iter()
        .map(|name| {
            (
                name.clone(),
                fs::read(inbox.path().join("cur").join(name)).expect("read"),
            )
        })
        .collect();
    let mut a = mail.select();
    a.ok(r"STORE 1:2 +FLAGS.SILENT (\Deleted)");
    a.ok("EXPUNGE");
    for (name, text) in &backup {
        inbox.store_as(text, name, 1_700_000_000);
    }
    eventually("the restored messages", || {
        a.ok("NOOP").has("2 EXISTS").then_some(())
    });
    let uids = a.ok("UID SEARCH ALL").found();
    assert!(uids.iter().all(|uid| *uid > 2), "{uids:?}");
}

#[test]
fn a_folder_replaced_under_us_is_served_as_it_now_is() {
    let mail = Mail::new();
    let mut a = mail.connect();
    a.ok("CREATE Work");
    a.append("Work", &text("one.eml"));
    a.ok("SELECT Work").contains("1 EXISTS");
    let (work, aside) = (mail.folder("Work"), mail.folder("Aside"));
    fs::rename(work.path(), aside.path()).expect("moved aside");
    work.create();
    work.deliver_file("two.eml");
    work.deliver_file("three.eml");
    // Whatever the open mailbox shows now, it does not mix the two up.
    a.command("NOOP");
    let mut b = mail.connect();
    b.ok("SELECT Work").contains("2 EXISTS");
    b.ok("FETCH 1 BODY.PEEK[HEADER.FIELDS (SUBJECT)]");
    b.ok("SELECT Aside").contains("1 EXISTS");
    b.ok("FETCH 1 BODY.PEEK[TEXT]")
        .untagged(["1 FETCH (BODY[TEXT] \"First.\r\n\")"]);
}

#[test]
fn a_maildir_replaced_by_its_backup_is_there_for_whoever_connects_next() {
    let mail = Mail::with(["one.eml", "two.eml"]);
    let mut a = mail.select();
    a.ok("NOOP");
    let (path, backup) = (mail.inbox().path().to_owned(), mail.work().join("backup"));
    let copied = Command::new("cp").arg("-a").args([&path, &backup]).status();
    assert!(copied.is_ok_and(|status| status.success()));
    a.append("INBOX", &text("three.eml"));
    fs::rename(&path, mail.work().join("aside")).expect("moved aside");
    fs::rename(&backup, &path).expect("put back");
    mail.inbox().deliver_file("three.eml");
    // Whoever was there may be kept to the directory that was, and is sent away.
    a.start("NOOP");
    drop(a);
    let mut b = mail.connect();
    b.ok("SELECT INBOX").contains("3 EXISTS");
    assert_eq!(b.ok("UID SEARCH ALL").found(), [1, 2, 3]);
}

#[test]
fn mail_that_came_while_the_client_was_silent_is_there_for_the_next() {
    let mail = Mail::with(["one.eml"]);
    let mut a = mail.select();
    a.ok("NOOP");
    // Longer ago than the times of directories can be doubted.
    mail.inbox().date_directories(20);
    a.ok(r"STORE 1 +FLAGS (\Flagged)");
    mail.inbox().deliver_file("two.eml");
    mail.inbox().date_directories(10);
    a.finish_writing();
    a.wait_for_the_end();
    let mut b = mail.connect();
    b.ok("STATUS INBOX (MESSAGES)")
        .untagged(["STATUS INBOX (MESSAGES 2)"]);
    b.ok("SELECT INBOX").contains("2 EXISTS");
}

#[test]
fn where_we_may_not_write_the_answer_says_so() {
    let mail = Mail::with(["one.eml"]);
    let mut a = mail.select();
    let root = mail.inbox().path().to_owned();
    fs::set_permissions(&root, fs::Permissions::from_mode(0o500)).expect("closed");
    a.no("STORE 1 +FLAGS (New)").code("NOPERM");
    a.ok(r"STORE 1 +FLAGS (\Flagged)");
    a.no("COPY 1 INBOX").code("NOPERM");
    fs::set_permissions(&root, fs::Permissions::from_mode(0o700)).expect("opened");
    a.ok("STORE 1 +FLAGS (New)");
    a.ok("COPY 1 INBOX");
}

#[test]
fn index_and_cache_may_lie_elsewhere() {
    roost_only!("a setting of ours");
    let mail = Mail::with(["one.eml"]);
    let elsewhere = mail.directory("elsewhere");
    let setting = format!("mail.index_dir={}", elsewhere.display());
    let mut a = Server::preauth_with(&mail, &[&setting]);
    a.ok("CREATE Work");
    a.append("Work", &text("two.eml"));
    for mailbox in ["INBOX", "Work"] {
        a.ok(&format!("SELECT {mailbox}"));
        a.ok("FETCH 1 (ENVELOPE BODYSTRUCTURE)");
        a.ok(r"STORE 1 +FLAGS (\Seen)");
    }
    a.logout();
    let ours = |directory: &std::path::Path| {
        let entries = fs::read_dir(directory).expect("a directory");
        let names = entries.map(|entry| {
            entry
                .expect("an entry")
                .file_name()
                .to_string_lossy()
                .into_owned()
        });
        names
            .filter(|name| name.starts_with("roost.index") || name.starts_with("roost.cache"))
            .count()
    };
    assert_eq!(ours(&mail.root()) + ours(mail.folder("Work").path()), 0);
    assert!(ours(&elsewhere.join(".INBOX")) > 0);
}

#[test]
fn two_files_with_one_base_name_are_two_messages_or_one_never_none() {
    let mail = Mail::new();
    mail.inbox()
        .store_as(&text("one.eml"), "1700000001.M1P1.host:2,", 1_700_000_001);
    mail.inbox()
        .store_as(&text("two.eml"), "1700000001.M1P1.host:2,S", 1_700_000_001);
    let mut a = mail.select();
    let found = eventually("both messages", || {
        a.ok("NOOP");
        let found = a.ok("UID SEARCH ALL").found();
        (found.len() == 2).then_some(found)
    });
    assert_ne!(found[0], found[1]);
    assert_eq!(
        mail.inbox().names("cur").len() + mail.inbox().names("new").len(),
        2
    );
}

#[test]
fn a_lock_left_by_a_dead_process_does_not_stop_the_mail() {
    let mail = Mail::with(["one.eml"]);
    let host = nix::unistd::gethostname()
        .expect("a host name")
        .to_string_lossy()
        .into_owned();
    let mut child = Command::new("true").spawn().expect("a process");
    let dead = child.id();
    child.wait().expect("ended");
    let lock = mail.root().join("dovecot-uidlist.lock");
    fs::write(&lock, format!("{dead}:{host}")).expect("written");
    let old = std::time::SystemTime::now() - Duration::from_secs(10);
    fs::File::options()
        .write(true)
        .open(&lock)
        .and_then(|file| file.set_modified(old))
        .expect("old");
    own(&lock);
    let mut a = mail.connect();
    a.ok("SELECT INBOX").contains("1 EXISTS");
    a.append("INBOX", &text("two.eml"));
}

#[test]
fn courier_uids_and_subscriptions_are_adopted() {
    roost_only!("it does not adopt");
    let mail = Mail::with(["one.eml", "two.eml"]);
    let bases = mail.inbox().bases();
    let write = |name: &str, text: String| {
        fs::write(mail.root().join(name), text).expect("written");
        own(&mail.root().join(name));
    };
    write(
        "courierimapuiddb",
        format!("1 795440986 78\n12 {}\n77 {}\n", bases[0], bases[1]),
    );
    write("courierimapsubscribed", "INBOX\nINBOX.Work\n".into());
    mail.folder("Work").create();
    let mut a = mail.connect();
    let reply = a.ok("SELECT INBOX");
    assert_eq!(
        (reply.number("UIDVALIDITY"), reply.number("UIDNEXT")),
        (795_440_986, 78)
    );
    a.ok("FETCH 1:2 UID")
        .untagged(["1 FETCH (UID 12)", "2 FETCH (UID 77)"]);
    a.ok("LSUB \"\" *").contains(r#"LSUB (...) "/" Work"#);
}

#[test]
fn a_compressed_message_is_served_as_what_it_is() {
    roost_only!("it needs a plugin for that");
    use std::io::Write;
    let plain = text("three.eml");
    let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
    gzip.write_all(&plain).expect("compressed");
    let packed = gzip.finish().expect("compressed");
    let mail = Mail::new();
    let name = format!("1700000001.M1P1.host,S={}:2,SZ", plain.len());
    mail.inbox().store_as(&packed, &name, 1_700_000_001);
    let mut a = mail.select();
    let reply = a.ok("FETCH 1 (RFC822.SIZE BODY.PEEK[])");
    assert_eq!(reply.bytes(1, "BODY[]"), crlf(&plain));
    assert_eq!(
        reply.item(1, "RFC822.SIZE").number(),
        Some(crlf(&plain).len() as u64)
    );
    a.ok("SEARCH BODY \"Plain text of three\"")
        .untagged(["SEARCH 1"]);
}

#[test]
fn layout_fs_is_read() {
    roost_only!("a setting of ours");
    let mail = Mail::new();
    for sub in ["cur", "new", "tmp"] {
        let path = mail.root().join("Work/2026").join(sub);
        fs::create_dir_all(&path).expect("a folder");
        for part in [
            mail.root().join("Work"),
            mail.root().join("Work/2026"),
            path,
        ] {
            own(&part);
        }
    }
    Folder::at(mail.root().join("Work/2026")).deliver_file("one.eml");
    let mut a = Server::preauth_with(&mail, &["mail.layout=fs"]);
    a.ok("LIST \"\" Work/*")
        .untagged([r#"LIST (...) "/" Work/2026"#]);
    a.ok("SELECT Work/2026").contains("1 EXISTS");
}
