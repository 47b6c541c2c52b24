//! Who gets in, what the others are told, and into whose mail it is.

use std::fs;
use std::net::{TcpListener, TcpStream};
use std::process::Command;
use std::time::{Duration, Instant};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use super::sasl::plain;
use super::sources::{Virtual, passwd_file};
use crate::support::*;

const PASSWORD: &str = User::PASSWORD;

/// The text that follows the code.
fn text_of(reply: &Reply) -> String {
    let raw = format!("{}", reply.tagged);
    raw.split_once(' ')
        .map_or(raw.clone(), |(_, text)| text.to_owned())
}

#[test]
fn a_user_of_the_host_logs_in_with_his_password_and_finds_his_mail() {
    as_root!();
    let alice = User::new();
    alice.inbox().deliver_file("one.eml");
    let daemon = Daemon::start(&[]);
    let mut client = daemon.dial();
    client.ok(&alice.login());
    client.ok("SELECT INBOX").contains("1 EXISTS");
    let body = client.ok("FETCH 1 BODY.PEEK[]").bytes(1, "BODY[]");
    assert_eq!(body, crlf(&text("one.eml")));
    client.logout();
    let line = daemon.logs("Login: ");
    let expected = format!(
        "imap-login: Login: user=<{}>, method=PLAIN, rip=127.0.0.1, lip=127.0.0.1, mpid=",
        alice.name
    );
    assert!(line.contains(&expected), "{line}");
    daemon.logs("Logged out");
}

#[test]
fn one_whose_maildir_does_not_exist_yet_gets_one() {
    as_root!();
    let alice = User::new();
    fs::remove_dir_all(alice.home.join("Maildir")).expect("removed");
    let daemon = Daemon::start(&[]);
    let mut client = daemon.connect(&alice);
    client.ok("SELECT INBOX").contains("0 EXISTS");
    client.append("INBOX", &text("one.eml"));
    let path = alice.home.join("Maildir/cur");
    let owner = nix::sys::stat::stat(&path).expect("made").st_uid;
    assert_eq!(owner, alice.uid);
}

#[test]
fn an_unknown_user_and_a_wrong_password_get_the_same_answer_after_the_same_delay() {
    as_root!();
    let alice = User::new();
    let daemon = Daemon::start(&["auth.failure_delay = \"400ms\""]);
    let mut answers = Vec::new();
    for (name, password) in [
        (alice.name.as_str(), "wrong"),
        ("roost-nobody-of-this-name", "wrong"),
        ("roost-nobody-of-this-name", PASSWORD),
        // Not looked up at all.
        ("not!permitted", PASSWORD),
        (&alice.name, ""),
    ] {
        let mut client = daemon.dial();
        let begun = Instant::now();
        let reply = client.no(&format!("LOGIN \"{name}\" \"{password}\""));
        // The server may have looked at its clock a little before.
        let delay = begun.elapsed();
        assert!(delay >= Duration::from_millis(300), "{name}: {delay:?}");
        reply.code("AUTHENTICATIONFAILED");
        answers.push(text_of(&reply));
        // And the same by SASL.
        let reply = client.no(&format!("AUTHENTICATE PLAIN {}", plain(name, password)));
        answers.push(text_of(&reply));
    }
    answers.dedup();
    assert_eq!(answers.len(), 1, "{answers:?}");
}

#[test]
fn a_right_password_is_not_delayed_by_another_clients_wrong_one() {
    as_root!();
    let (alice, bob) = (User::new(), User::new());
    let daemon = Daemon::start(&["auth.failure_delay = \"59s\"", "auth.penalty = \"0s\""]);
    let mut wrong = daemon.dial();
    wrong.start(&format!("LOGIN {} wrong", alice.name));
    daemon.connect(&bob).ok("SELECT INBOX");
    daemon.connect(&alice).ok("SELECT INBOX");
    assert!(!wrong.has_input());
}

#[test]
fn a_wrong_password_can_be_followed_by_the_right_one() {
    as_root!();
    let alice = User::new();
    let daemon = Daemon::start(&[]);
    let mut client = daemon.dial();
    client
        .no(&format!("LOGIN {} wrong", alice.name))
        .code("AUTHENTICATIONFAILED");
    client.ok(&alice.login());
    client.ok("SELECT INBOX");
}

#[test]
fn a_name_with_odd_octets_is_refused_and_its_log_line_stays_one_line() {
    as_root!();
    let daemon = Daemon::start(&[]);
    let names: [&[u8]; 14] = [
        b"",
        b"a b",
        b"a\tb",
        b"a\nauth: pam(root,1.2.3.4): unknown user",
        b"a\r\nb",
        b"../root",
        b"-f",
        b"a:b",
        b"%u",
        b"\"",
        b"\x1b[31m",
        b"\xff\xfe",
        "ünlautig".as_bytes(),
        b"user=<x>, rip=192.0.2.1",
    ];
    for name in names {
        let mut client = daemon.dial();
        let command = [
            format!("LOGIN {{{}}}\r\n", name.len()).as_bytes(),
            name,
            b" x",
        ]
        .concat();
        let tag = client.start_bytes(&command);
        let reply = client.finish(&tag);
        assert_eq!(reply.tagged.word(), "NO", "{name:?} {reply}");
        reply.code("AUTHENTICATIONFAILED");
        let response = [b"\0", name, b"\0x"].concat();
        client.no(&format!("AUTHENTICATE PLAIN {}", STANDARD.encode(response)));
        client.ok("NOOP");
    }
    for line in daemon.log().lines() {
        assert!(!line.contains(|c: char| c.is_control()), "{line:?}");
        assert!(!line.starts_with("auth: pam(root,1.2.3.4)"), "{line:?}");
    }
}

#[test]
fn a_password_may_have_any_octet_but_nul() {
    as_root!();
    let place = Place::new();
    let password = "sp ace\"quo\\te {5} \u{fc}";
    let alice = Virtual::new(&place, "alice", &format!("{{PLAIN}}{password}"));
    let daemon = passwd_file(place, &[&alice], &[]);
    let command = format!("LOGIN alice {{{}}}\r\n{password}", password.len());
    daemon.dial().ok(&command);
    daemon
        .dial()
        .ok(&format!("AUTHENTICATE PLAIN {}", plain("alice", password)));
    let nul = format!(
        "AUTHENTICATE PLAIN {}",
        STANDARD.encode("\0alice\0with\0nul")
    );
    let reply = daemon.dial().command(&nul);
    assert_ne!(reply.tagged.word(), "OK");
}

#[test]
fn login_takes_name_and_password_in_every_form_of_a_string() {
    as_root!();
    let alice = User::new();
    let daemon = Daemon::start(&[]);
    let (name, length) = (&alice.name, alice.name.len());
    for command in [
        format!("LOGIN {name} {PASSWORD}"),
        format!("login \"{name}\" \"{PASSWORD}\""),
        format!(
            "LOGIN {{{length}}}\r\n{name} {{{}}}\r\n{PASSWORD}",
            PASSWORD.len()
        ),
        format!(
            "LOGIN {{{length}+}}\r\n{name} {{{}+}}\r\n{PASSWORD}",
            PASSWORD.len()
        ),
        format!("LOGIN {{{length}-}}\r\n{name} \"{PASSWORD}\""),
    ] {
        let mut client = daemon.dial();
        client.ok(&command);
        client.ok("SELECT INBOX");
        client.logout();
    }
}

#[test]
fn two_users_of_the_host_see_their_own_mail_only() {
    as_root!();
    let (alice, bob) = (User::new(), User::new());
    alice.inbox().deliver_file("one.eml");
    bob.inbox().deliver_file("two.eml");
    bob.inbox().deliver_file("three.eml");
    let daemon = Daemon::start(&[]);
    let (mut a, mut b) = (daemon.connect(&alice), daemon.connect_tls(&bob));
    a.ok("SELECT INBOX").contains("1 EXISTS");
    b.ok("SELECT INBOX").contains("2 EXISTS");
    assert_eq!(
        a.ok("FETCH 1 BODY.PEEK[]").bytes(1, "BODY[]"),
        crlf(&text("one.eml"))
    );
    let both = (daemon.session_of(&alice), daemon.session_of(&bob));
    assert_ne!(both.0, both.1);
    assert_eq!(both.0.uids(), [alice.uid; 4]);
    assert_eq!(both.1.uids(), [bob.uid; 4]);
    // Not by a name of a mailbox either.
    for name in [
        format!("../../{}/Maildir", bob.name),
        format!("~{}/Maildir", bob.name),
        bob.inbox().path().display().to_string(),
    ] {
        let reply = a.command(&format!("SELECT \"{name}\""));
        assert_ne!(reply.tagged.word(), "OK", "{name}");
    }
}

#[test]
fn a_name_is_brought_into_its_one_form() {
    as_root!();
    let alice = User::new();
    let daemon = Daemon::start(&[]);
    let mut first = daemon.connect(&alice);
    first.ok("SELECT INBOX");
    let mut client = daemon.dial();
    client.ok(&format!("LOGIN {} {PASSWORD}", alice.name.to_uppercase()));
    client.ok("SELECT INBOX");
    assert_eq!(daemon.sessions().len(), 1);
}

#[test]
fn the_mail_is_where_the_location_with_its_variables_says() {
    as_root!();
    let place = Place::new();
    let alice = User::new();
    let store = place.directory_of("store", 0, 0);
    let folder = |name: &str| {
        let path = store.join(name);
        let at_top = path.parent().expect("a parent").to_owned();
        fs::create_dir_all(&at_top).expect("a directory");
        fs::create_dir(&path).expect("a directory");
        std::os::unix::fs::chown(&path, Some(alice.uid), Some(alice.gid)).expect("his");
        Folder::at(path)
    };
    let by_user = folder(&format!("u/{}", alice.name));
    by_user.create();
    by_user.deliver_file("one.eml");
    let by_home = Folder::at(alice.home.join("Mail"));
    by_home.create();
    by_home.deliver_file("one.eml");
    by_home.deliver_file("two.eml");
    let mut daemon = Daemon::start_in(
        place,
        &[&format!("mail.location = \"{}/u/%u\"", store.display())],
    );
    daemon
        .connect(&alice)
        .ok("SELECT INBOX")
        .contains("1 EXISTS");
    daemon.set("mail.location = \"%h/Mail\"");
    daemon.restart();
    daemon
        .connect(&alice)
        .ok("SELECT INBOX")
        .contains("2 EXISTS");
    daemon.set("mail.location = \"~/Mail\"");
    daemon.restart();
    daemon
        .connect(&alice)
        .ok("SELECT INBOX")
        .contains("2 EXISTS");
    let cache = folder("cache");
    daemon.set(&format!(
        "mail.index_dir = \"{}/%n\"",
        cache.path().display()
    ));
    daemon.restart();
    let mut client = daemon.connect(&alice);
    client.ok("SELECT INBOX").contains("2 EXISTS");
    client.logout();
    eventually("an index", || {
        cache
            .path()
            .join(&alice.name)
            .join(".INBOX/roost.index")
            .exists()
            .then_some(())
    });
}

/// As the public script emailwiz sets up a host: system users, and INBOX among the other folders.
#[test]
fn a_tree_whose_root_is_no_mailbox_is_served_with_what_lies_outside_of_it() {
    as_root!();
    let alice = User::new();
    let inbox = Folder::at(alice.home.join("Mail/Inbox"));
    fs::create_dir(alice.home.join("Mail")).expect("a directory");
    own_by(&alice, &alice.home.join("Mail"));
    inbox.create();
    own_by(&alice, inbox.path());
    inbox.deliver_file("one.eml");
    let mut daemon = Daemon::start(&[
        "mail.location = \"maildir:~/Mail:INBOX=~/Mail/Inbox:LAYOUT=fs\"",
        "mail.separator = \"auto\"",
    ]);
    let mut client = daemon.connect(&alice);
    client.ok("SELECT INBOX").contains("1 EXISTS");
    client.ok("CREATE Work/deep");
    let reply = client.ok("LIST \"\" *");
    let listed = reply.untagged.iter();
    let listed: String = listed
        .map(|line| String::from_utf8_lossy(&line.raw))
        .collect();
    assert!(!listed.contains("Inbox"), "{listed}");
    assert!(listed.contains("\"/\" Work/deep"), "{listed}");
    client.logout();
    assert!(inbox.path().join("dovecot-uidlist").exists());
    assert!(!alice.home.join("Mail/cur").exists());

    // The session is kept to the directories that it needs, wherever they are.
    daemon.set("mail.location = \"~/Mail:INBOX=~/In:INDEX=~/indexes:CONTROL=~/control:LAYOUT=fs\"");
    daemon.restart();
    let mut client = daemon.connect(&alice);
    client.append("INBOX (word)", &crlf(&text("two.eml")));
    client.ok("SELECT INBOX").contains("1 EXISTS");
    client.ok("SUBSCRIBE Work/deep");
    client.ok("RENAME Work/deep Work/deeper");
    client.logout();
    for path in [
        "In/cur",
        "control/INBOX/dovecot-uidlist",
        "indexes/INBOX/dovecot.index.log",
    ] {
        assert!(alice.home.join(path).exists(), "{path}");
    }
}

fn own_by(user: &User, path: &std::path::Path) {
    std::os::unix::fs::chown(path, Some(user.uid), Some(user.gid)).expect("theirs");
}

#[test]
fn what_the_client_sent_behind_its_login_reaches_the_session() {
    as_root!();
    let alice = User::new();
    alice.inbox().deliver_file("one.eml");
    let daemon = Daemon::start(&[]);
    for tls in [false, true] {
        let mut client = if tls {
            daemon.dial_tls()
        } else {
            daemon.dial()
        };
        let message = crlf(&text("two.eml"));
        let commands = format!(
            "x1 LOGIN {} {PASSWORD}\r\nx2 SELECT INBOX\r\nx3 APPEND Drafts {{{}+}}\r\n",
            alice.name,
            message.len()
        );
        client.send_raw(
            &[
                b"x0 CREATE Drafts\r\n",
                commands.as_bytes(),
                &message,
                b"\r\nx4 NOOP\r\n",
            ]
            .concat(),
        );
        assert_eq!(client.finish("x0").tagged.word(), "BAD");
        assert_eq!(client.finish("x1").tagged.word(), "OK");
        client.finish("x2").contains("1 EXISTS");
        client.finish("x3");
        assert_eq!(client.finish("x4").tagged.word(), "OK");
        client.logout();
    }
}

#[test]
fn a_client_comes_by_ipv6_as_by_ipv4_and_the_log_has_its_address() {
    as_root!();
    if TcpListener::bind("[::1]:0").is_err() {
        eprintln!("skipped: this host has no IPv6");
        return;
    }
    let alice = User::new();
    alice.inbox().deliver(b"Subject: six\n\nText.\n");
    let port = free_port();
    let daemon = Daemon::start(&[&format!("listen.imap = [\"[::1]:{port}\"]")]);
    let mut client = Daemon::client_of(TcpStream::connect(("::1", port)).expect("a connection"));
    client.read();
    client.ok(&alice.login());
    client.ok("SELECT INBOX").contains("1 EXISTS");
    client.logout();
    let login = format!("user=<{}>, method=PLAIN, rip=::1, lip=::1,", alice.name);
    daemon.logs(&login);
    let mut curl = Command::new("curl");
    curl.args(["-sS", "--max-time", "60", "-u"])
        .arg(format!("{}:{}", alice.name, User::PASSWORD))
        .arg(format!("imap://[::1]:{port}/INBOX;MAILINDEX=1"));
    assert!(place::succeed(&mut curl).contains("Subject: six"));
    // Whoever guesses passwords there has to wait as elsewhere.
    let mut wrong = Daemon::client_of(TcpStream::connect(("::1", port)).expect("a connection"));
    wrong.read();
    wrong
        .no(&format!("LOGIN {} wrong", alice.name))
        .code("AUTHENTICATIONFAILED");
    daemon.logs(&format!("pam({},::1,", alice.name));
}
