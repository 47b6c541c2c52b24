//! Who gets in, and into whose mail: PAM, passwd-files, SASL.

use std::fs;
use std::time::{Duration, Instant};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use crate::support::*;

const PASSWORD: &str = User::PASSWORD;

fn plain(user: &str, password: &str) -> String {
    STANDARD.encode(format!("\0{user}\0{password}"))
}

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
        ("root", "wrong"),
        (&alice.name, ""),
    ] {
        let mut client = daemon.dial();
        let begun = Instant::now();
        let reply = client.no(&format!("LOGIN \"{name}\" \"{password}\""));
        assert!(begun.elapsed() >= Duration::from_millis(400), "{name}");
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
    let daemon = Daemon::start(&["auth.failure_delay = \"1h\"", "auth.penalty = \"0s\""]);
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
fn a_locked_account_is_refused_like_a_wrong_password() {
    as_root!();
    let alice = User::new();
    alice.administer("/usr/sbin/usermod", &["-L"]);
    let daemon = Daemon::start(&[]);
    daemon
        .dial()
        .no(&alice.login())
        .code("AUTHENTICATIONFAILED");
    alice.administer("/usr/sbin/usermod", &["-U"]);
    daemon.dial().ok(&alice.login());
}

#[test]
fn an_expired_account_or_password_is_said_to_be_expired_but_only_to_who_knows_the_password() {
    as_root!();
    let (account, password, forced) = (User::new(), User::new(), User::new());
    account.administer("/usr/sbin/usermod", &["-e", "1"]);
    password.administer(
        "/usr/bin/chage",
        &["-d", "2001-01-01", "-M", "1", "-I", "9999"],
    );
    forced.administer("/usr/bin/chage", &["-d", "0"]);
    let daemon = Daemon::start(&[]);
    for user in [&account, &password, &forced] {
        daemon.dial().no(&user.login()).code("EXPIRED");
        let wrong = daemon.dial().no(&format!("LOGIN {} wrong", user.name));
        wrong.code("AUTHENTICATIONFAILED");
    }
}

#[test]
fn an_account_that_the_host_does_not_admit_now_is_refused_until_it_does() {
    as_root!();
    let alice = User::new();
    let place = Place::new();
    let nologin = place.write("nologin", "Maintenance.\n");
    let service = PamService::new(&format!(
        "auth required pam_unix.so\naccount required pam_nologin.so file={}\naccount required pam_unix.so\n",
        nologin.display()
    ));
    let daemon = Daemon::start_in(
        place,
        &[&format!("auth.pam_service = \"{}\"", service.name)],
    );
    let reply = daemon.dial().no(&alice.login());
    assert!(
        !reply.tagged.matches("NO [AUTHENTICATIONFAILED] ..."),
        "{reply}"
    );
    // What the module had to say is for terminals.
    assert!(!format!("{reply}").contains("Maintenance"), "{reply}");
    daemon
        .dial()
        .no(&format!("LOGIN {} wrong", alice.name))
        .code("AUTHENTICATIONFAILED");
    fs::remove_file(nologin).expect("removed");
    daemon.dial().ok(&alice.login());
}

#[test]
fn root_and_users_below_the_first_valid_uid_are_refused_whatever_pam_says() {
    as_root!();
    let alice = User::new();
    let permit = PamService::new("auth required pam_permit.so\naccount required pam_permit.so\n");
    let permit_setting = format!("auth.pam_service = \"{}\"", permit.name);
    let daemon = Daemon::start(&[
        &permit_setting,
        &format!("auth.first_valid_uid = {}", alice.uid + 1),
    ]);
    for name in ["root", "daemon", "mail", &alice.name] {
        let reply = daemon.dial().no(&format!("LOGIN {name} anything"));
        assert!(reply.tagged.code().is_some(), "{reply}");
    }
    assert!(daemon.sessions().is_empty());
    drop(daemon);
    let daemon = Daemon::start(&[&permit_setting, "auth.first_valid_uid = 0"]);
    daemon.dial().no("LOGIN root anything");
    daemon.dial().ok(&format!("LOGIN {} anything", alice.name));
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
fn sasl_plain_and_login_come_with_and_without_initial_response() {
    as_root!();
    let alice = User::new();
    let daemon = Daemon::start(&[]);
    let name = STANDARD.encode(&alice.name);
    let password = STANDARD.encode(PASSWORD);
    let both = plain(&alice.name, PASSWORD);
    let as_himself = STANDARD.encode(format!("{0}\0{0}\0{PASSWORD}", alice.name));
    let conversations: [(String, Vec<&str>); 6] = [
        (format!("AUTHENTICATE PLAIN {both}"), vec![]),
        (format!("AUTHENTICATE PLAIN {as_himself}"), vec![]),
        ("AUTHENTICATE PLAIN".into(), vec![&both]),
        ("authenticate login".into(), vec![&name, &password]),
        (format!("AUTHENTICATE LOGIN {name}"), vec![&password]),
        // "=" is an empty response (RFC 4959 3): the name is asked for.
        ("AUTHENTICATE PLAIN".into(), vec![&as_himself]),
    ];
    for (command, answers) in conversations {
        let mut client = daemon.dial();
        let tag = client.start(&command);
        for answer in answers {
            assert!(client.wait_for_continuation(&tag), "{command}");
            client.send_raw(format!("{answer}\r\n").as_bytes());
        }
        let reply = client.finish(&tag);
        assert_eq!(reply.tagged.word(), "OK", "{command}{reply}");
        client.ok("SELECT INBOX");
    }
}

#[test]
fn sasl_can_be_given_up_and_nobody_is_another_one() {
    as_root!();
    let (alice, bob) = (User::new(), User::new());
    let daemon = Daemon::start(&[]);
    let mut client = daemon.dial();
    for mechanism in ["PLAIN", "LOGIN"] {
        let tag = client.start(&format!("AUTHENTICATE {mechanism}"));
        assert!(client.wait_for_continuation(&tag));
        client.send_raw(b"*\r\n");
        assert_eq!(client.finish(&tag).tagged.word(), "BAD");
    }
    let as_other = STANDARD.encode(format!("{}\0{}\0{PASSWORD}", bob.name, alice.name));
    let reply = client.no(&format!("AUTHENTICATE PLAIN {as_other}"));
    assert!(reply.tagged.code().is_some(), "{reply}");
    client.ok(&alice.login());
}

#[test]
fn a_mechanism_that_is_not_offered_is_refused_and_the_client_goes_on() {
    as_root!();
    let alice = User::new();
    let daemon = Daemon::start(&[]);
    let mut client = daemon.dial();
    let offered = client.ok("CAPABILITY");
    offered.contains("CAPABILITY AUTH=PLAIN AUTH=LOGIN SASL-IR ...");
    for mechanism in [
        "XOAUTH2",
        "OAUTHBEARER",
        "SCRAM-SHA-256",
        "SCRAM-SHA-256-PLUS",
        "EXTERNAL",
        "CRAM-MD5",
        "ANONYMOUS",
    ] {
        offered.lacks(&format!("CAPABILITY AUTH={mechanism} ..."));
        client.no(&format!("AUTHENTICATE {mechanism}"));
        client.no(&format!(
            "AUTHENTICATE {mechanism} {}",
            STANDARD.encode("user=x\x01auth=Bearer y\x01\x01")
        ));
    }
    client.ok(&alice.login());
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
            .join("roost.index")
            .exists()
            .then_some(())
    });
}

#[test]
fn a_host_that_cannot_say_now_is_unavailable_and_not_a_wrong_password() {
    as_root!();
    let alice = User::new();
    let place = Place::new();
    let missing = place.join("no-such-module.so");
    let service = PamService::new(&format!(
        "auth required {}\naccount required pam_unix.so\n",
        missing.display()
    ));
    let daemon = Daemon::start(&[&format!("auth.pam_service = \"{}\"", service.name)]);
    daemon.dial().no(&alice.login()).code("UNAVAILABLE");
}

#[test]
fn pam_is_told_service_user_host_and_terminal() {
    as_root!();
    let alice = User::new();
    let place = Place::new();
    let marks = place.join("marks");
    let script = place.script(
        "mark",
        &format!(
            "#!/bin/sh\necho \"$PAM_TYPE $PAM_SERVICE $PAM_USER $PAM_RHOST $PAM_TTY\" >>{}\n",
            marks.display()
        ),
    );
    let service = PamService::new(&format!(
        "auth required pam_unix.so\nauth required pam_exec.so {0}\n\
         account required pam_unix.so\naccount required pam_exec.so {0}\n\
         session required pam_exec.so {0}\n",
        script.display()
    ));
    let daemon = Daemon::start_in(
        place,
        &[
            &format!("auth.pam_service = \"{}\"", service.name),
            "auth.pam_session = true",
            "mail.linger = \"0s\"",
        ],
    );
    let mut client = daemon.dial_from([127, 0, 0, 3]);
    client.ok(&alice.login());
    client.ok("SELECT INBOX");
    let told = |kind: &str| format!("{kind} {} {} 127.0.0.3 dovecot\n", service.name, alice.name);
    let read = || fs::read_to_string(&marks).unwrap_or_default();
    let opened = [told("auth"), told("account"), told("open_session")].concat();
    assert_eq!(read(), opened);
    // A second connection is served by the same process: no session of its own.
    let second = daemon.connect(&alice);
    second.logout();
    let session = daemon.session_of(&alice);
    assert_eq!(session.uids(), [alice.uid; 4]);
    client.logout();
    eventually("the PAM session to be closed", || {
        read().contains("close_session").then_some(())
    });
    assert_eq!(read().matches("open_session").count(), 1, "{}", read());
    assert!(
        read().ends_with(&told("close_session").replace("127.0.0.1", "127.0.0.3")),
        "{}",
        read()
    );
    assert!(daemon.find_session_of(&alice).is_none());
}

#[test]
fn a_pam_session_that_cannot_be_opened_lets_nobody_in() {
    as_root!();
    let alice = User::new();
    let service = PamService::new(
        "auth required pam_unix.so\naccount required pam_unix.so\nsession required pam_deny.so\n",
    );
    let mut daemon = Daemon::start(&[
        &format!("auth.pam_service = \"{}\"", service.name),
        "auth.pam_session = true",
    ]);
    let mut client = daemon.dial();
    client.start(&alice.login());
    let said = client.read_to_end();
    assert!(
        !said.iter().any(|response| response.word() == "OK"),
        "{}",
        client.conversation()
    );
    assert!(daemon.find_session_of(&alice).is_none());
    daemon.set("auth.pam_session = false");
    daemon.restart();
    daemon.connect(&alice).ok("SELECT INBOX");
}

#[test]
fn a_session_has_all_groups_of_its_user_and_no_others() {
    as_root!();
    let alice = User::with(&["-G", "users,games"]);
    let daemon = Daemon::start(&[]);
    let _client = daemon.connect(&alice);
    let session = daemon.session_of(&alice);
    let mut groups = session.groups();
    groups.sort_unstable();
    groups.dedup();
    groups.retain(|&group| group != alice.gid);
    // games and users of every Debian.
    assert_eq!(groups, [60, 100]);
    assert_eq!(session.gids(), [alice.gid; 4]);
}

#[test]
fn pam_may_change_the_name() {
    as_root!();
    let alice = User::new();
    alice.inbox().deliver_file("one.eml");
    let place = Place::new();
    let aliases = place.write("aliases", format!("somebody {}\n", alice.name));
    let Some(module) = renaming_module(&place, &aliases) else {
        skip!("no C compiler for a PAM module that renames users");
    };
    let service = PamService::new(&format!(
        "auth required {}\nauth required pam_unix.so\naccount required pam_unix.so\n",
        module.display()
    ));
    let daemon = Daemon::start_in(
        place,
        &[&format!("auth.pam_service = \"{}\"", service.name)],
    );
    let mut client = daemon.dial();
    client.ok(&format!("LOGIN somebody {PASSWORD}"));
    client.ok("SELECT INBOX").contains("1 EXISTS");
    assert_eq!(daemon.session_of(&alice).uids(), [alice.uid; 4]);
    daemon.logs(&format!("Login: user=<{}>", alice.name));
}

/// A PAM module that makes `somebody` the user that the file says.
fn renaming_module(place: &Place, aliases: &std::path::Path) -> Option<std::path::PathBuf> {
    let source = place.write("rename.c", format!(
        "#include <stdio.h>\n#include <string.h>\n#include <security/pam_modules.h>\n\
         int pam_sm_authenticate(pam_handle_t *h, int f, int c, const char **v) {{\n\
           const char *user; char from[64], to[64]; FILE *file = fopen(\"{}\", \"r\");\n\
           if (!file || pam_get_user(h, &user, NULL) != PAM_SUCCESS) return PAM_AUTH_ERR;\n\
           if (fscanf(file, \"%63s %63s\", from, to) == 2 && !strcmp(user, from)) pam_set_item(h, PAM_USER, to);\n\
           fclose(file); return PAM_SUCCESS; }}\n\
         int pam_sm_setcred(pam_handle_t *h, int f, int c, const char **v) {{ return PAM_SUCCESS; }}\n",
        aliases.display()
    ));
    let module = place.join("rename.so");
    let mut compiler = std::process::Command::new("cc");
    compiler
        .args(["-shared", "-fPIC", "-o"])
        .arg(&module)
        .arg(source)
        .arg("-lpam");
    let compiled = compiler
        .output()
        .is_ok_and(|output| output.status.success());
    compiled.then_some(module)
}

/// Somebody in a passwd-file; his mail is below `mail/` of the place.
pub struct Virtual {
    pub name: String,
    pub line: String,
    pub maildir: Folder,
}

/// The user and group of all of them: nobody's on a Debian, and nobody by name.
pub const VMAIL: u32 = 58_321;

impl Virtual {
    pub fn new(place: &Place, name: &str, password: &str) -> Virtual {
        place.directory_of("mail", VMAIL, VMAIL);
        let home = place.directory_of(&format!("mail/{name}"), VMAIL, VMAIL);
        let maildir = Folder::at(home.join("Maildir"));
        maildir.create();
        Virtual {
            name: name.to_owned(),
            line: format!("{name}:{password}:{VMAIL}:{VMAIL}::{}::\n", home.display()),
            maildir,
        }
    }
}

/// A daemon that knows these users and none of the host.
pub fn passwd_file(place: Place, users: &[&Virtual], settings: &[&str]) -> Daemon {
    let lines: String = users.iter().map(|user| user.line.as_str()).collect();
    let file = place.write("users", lines);
    place::set_mode(&file, 0o600);
    let source = format!("auth.sources = [\"passwd-file:{}\"]", file.display());
    let settings: Vec<&str> = std::iter::once(source.as_str())
        .chain(settings.iter().copied())
        .collect();
    Daemon::start_in(place, &settings)
}

#[test]
fn a_passwd_file_knows_every_scheme_that_is_safe() {
    as_root!();
    let place = Place::new();
    let users: Vec<Virtual> = HASHES
        .iter()
        .enumerate()
        .map(|(n, hash)| Virtual::new(&place, &format!("user{n}"), hash))
        .collect();
    let all: Vec<&Virtual> = users.iter().collect();
    let daemon = passwd_file(place, &all, &[]);
    for user in &users {
        daemon
            .dial()
            .no(&format!("LOGIN {} wrong", user.name))
            .code("AUTHENTICATIONFAILED");
        let reply = daemon
            .dial()
            .command(&format!("LOGIN {} {PASSWORD}", user.name));
        assert_eq!(reply.tagged.word(), "OK", "{}{reply}", user.line);
    }
}

#[test]
fn virtual_users_of_one_uid_have_sessions_of_their_own_and_see_their_own_mail_only() {
    as_root!();
    let place = Place::new();
    let names = [
        "ann",
        "ann@example.org",
        "ann@example.net",
        "an",
        "ann.",
        "a-n_n",
        "ann..b",
    ];
    let users: Vec<Virtual> = names
        .iter()
        .map(|name| Virtual::new(&place, name, "{PLAIN}secret"))
        .collect();
    for (n, user) in users.iter().enumerate() {
        user.maildir.fill(n + 1);
    }
    let all: Vec<&Virtual> = users.iter().collect();
    let daemon = passwd_file(place, &all, &[]);
    let mut clients = Vec::new();
    for (n, name) in names.iter().enumerate() {
        let mut client = daemon.dial();
        client.ok(&format!("LOGIN \"{name}\" secret"));
        client
            .ok("SELECT INBOX")
            .contains(&format!("{} EXISTS", n + 1));
        clients.push(client);
    }
    let sessions = daemon.sessions();
    assert_eq!(sessions.len(), names.len());
    for session in sessions {
        assert_eq!(session.uids(), [VMAIL; 4]);
        assert_eq!(session.gids(), [VMAIL; 4]);
        assert!(session.groups().iter().all(|&group| group == VMAIL));
    }
    // Landlock: the same uid, and still nothing of the others'.
    let reply = clients[0].command("SELECT \"../ann@example.org/Maildir\"");
    assert_ne!(reply.tagged.word(), "OK");
    std::os::unix::fs::symlink(
        users[1].maildir.path(),
        users[0].maildir.path().join(".Stolen"),
    )
    .expect("a link");
    let reply = clients[0].command("SELECT Stolen");
    assert!(!reply.has("2 EXISTS"), "{reply}");
}

#[test]
fn names_that_are_directories_of_the_system_reach_nobodys_mail() {
    as_root!();
    let place = Place::new();
    let ann = Virtual::new(&place, "ann", "{PLAIN}secret");
    ann.maildir.deliver_file("one.eml");
    let base = place.join("mail");
    let lines: String = [".", "..", "...", "ann"]
        .iter()
        .map(|name| format!("{name}:{{PLAIN}}secret:{VMAIL}:{VMAIL}::/nonexistent::\n"))
        .collect();
    let file = place.write("all", lines);
    let daemon = Daemon::start_in(
        place,
        &[
            &format!("auth.sources = [\"passwd-file:{}\"]", file.display()),
            &format!("mail.location = \"{}/%u/Maildir\"", base.display()),
        ],
    );
    let mut client = daemon.dial();
    client.ok("LOGIN ann secret");
    client.ok("SELECT INBOX").contains("1 EXISTS");
    for name in [".", ".."] {
        let reply = daemon.dial().command(&format!("LOGIN {name} secret"));
        assert_eq!(reply.tagged.word(), "NO", "{reply}");
    }
}

#[test]
fn fields_of_a_passwd_file_say_where_the_mail_is() {
    as_root!();
    let place = Place::new();
    let ann = Virtual::new(&place, "ann@example.org", "{PLAIN}secret");
    let elsewhere = place.directory_of("elsewhere", VMAIL, VMAIL);
    let folder = Folder::at(elsewhere.join("example.org/ann"));
    fs::create_dir(elsewhere.join("example.org")).expect("a directory");
    own(&elsewhere.join("example.org"));
    folder.create();
    folder.fill(3);
    let line = ann.line.trim_end();
    let file = place.write(
        "all",
        format!(
            "# a comment\n\n{line}userdb_mail=maildir:{}/%d/%n\n",
            elsewhere.display()
        ),
    );
    let daemon = Daemon::start_in(
        place,
        &[&format!(
            "auth.sources = [\"passwd-file:{}\"]",
            file.display()
        )],
    );
    let mut client = daemon.dial();
    client.ok("LOGIN ann@example.org secret");
    client.ok("SELECT INBOX").contains("3 EXISTS");
}

#[test]
fn a_passwd_file_is_read_anew_when_it_has_changed() {
    as_root!();
    let place = Place::new();
    let ann = Virtual::new(&place, "ann", "{PLAIN}secret");
    let bob = Virtual::new(&place, "bob", "{PLAIN}secret");
    let daemon = passwd_file(place, &[&ann], &[]);
    daemon.dial().ok("LOGIN ann secret");
    daemon.dial().no("LOGIN bob secret");
    daemon.place().write(
        "users",
        format!("{}{}", ann.line.replace("secret", "other"), bob.line),
    );
    daemon.dial().no("LOGIN ann secret");
    daemon.dial().ok("LOGIN ann other");
    daemon.dial().ok("LOGIN bob secret");
}

#[test]
fn sources_are_asked_in_their_order() {
    as_root!();
    let place = Place::new();
    let alice = User::new();
    alice.inbox().fill(1);
    // The same name in a file before PAM, with another password and other mail.
    let shadow = Virtual::new(&place, &alice.name, "{PLAIN}virtual");
    shadow.maildir.fill(2);
    let ann = Virtual::new(&place, "ann", "{PLAIN}secret");
    ann.maildir.fill(3);
    let file = place.write("all", format!("{}{}", shadow.line, ann.line));
    let bob = User::new();
    bob.inbox().fill(4);
    let daemon = Daemon::start_in(
        place,
        &[&format!(
            "auth.sources = [\"passwd-file:{}\", \"pam\"]",
            file.display()
        )],
    );
    let mut client = daemon.dial();
    client.ok(&format!("LOGIN {} virtual", alice.name));
    client.ok("SELECT INBOX").contains("2 EXISTS");
    let mut client = daemon.dial();
    client.ok("LOGIN ann secret");
    client.ok("SELECT INBOX").contains("3 EXISTS");
    // Unknown to the file: PAM.
    let mut client = daemon.dial();
    client.ok(&bob.login());
    client.ok("SELECT INBOX").contains("4 EXISTS");
    daemon
        .dial()
        .no("LOGIN nobody-at-all secret")
        .code("AUTHENTICATIONFAILED");
}

#[test]
fn scram_sha_256_works_with_an_independent_client_and_shows_the_servers_signature() {
    as_root!();
    let place = Place::new();
    let ann = Virtual::new(&place, "ann", SCRAM);
    ann.maildir.fill(2);
    let daemon = passwd_file(
        place,
        &[&ann],
        &["auth.mechanisms = [\"PLAIN\", \"SCRAM-SHA-256\"]"],
    );
    let mut client = daemon.dial();
    client
        .ok("CAPABILITY")
        .contains("CAPABILITY AUTH=PLAIN AUTH=SCRAM-SHA-256 ...")
        .lacks("CAPABILITY AUTH=LOGIN ...");
    let mut client = daemon.dial_tls();
    client
        .ok("CAPABILITY")
        .contains("CAPABILITY AUTH=SCRAM-SHA-256 AUTH=SCRAM-SHA-256-PLUS ...");
    for way in ["plain", "tls", "tls-plus", "tls-downgraded", "tls-ir"] {
        let printed = place::succeed(&mut scram(&daemon, way, "ann", PASSWORD));
        assert_eq!(printed.trim(), "admitted: 2 messages", "{way}");
    }
    for way in ["plain", "tls", "tls-plus"] {
        let printed = place::succeed(&mut scram(&daemon, way, "ann", "wrong"));
        assert!(printed.contains("AUTHENTICATIONFAILED"), "{way}: {printed}");
        let printed = place::succeed(&mut scram(&daemon, way, "nobody-at-all", PASSWORD));
        assert!(printed.contains("AUTHENTICATIONFAILED"), "{way}: {printed}");
    }
    // The client says that it saw no -PLUS, but it was offered: somebody sits in between.
    let printed = place::succeed(&mut scram(&daemon, "tls-stripped", "ann", PASSWORD));
    assert!(printed.starts_with("refused"), "{printed}");
    let printed = place::succeed(&mut scram(&daemon, "tls-wrong-binding", "ann", PASSWORD));
    assert!(printed.starts_with("refused"), "{printed}");
    let printed = place::succeed(&mut scram(&daemon, "nonce-changed", "ann", PASSWORD));
    assert!(printed.starts_with("refused"), "{printed}");
    // Still for LOGIN too, of the same verifier.
    daemon.dial().ok(&format!("LOGIN ann {PASSWORD}"));
}

/// `tests/daemon/scram.py`: SCRAM in Python's own words.
fn scram(daemon: &Daemon, way: &str, user: &str, password: &str) -> std::process::Command {
    let script = daemon.place().write("scram.py", include_str!("scram.py"));
    let mut python = std::process::Command::new("python3");
    python
        .arg(script)
        .args([way, user, password])
        .args([daemon.port.to_string(), daemon.tls_port.to_string()]);
    python
}

#[test]
fn gsasl_logs_in_by_every_mechanism() {
    as_root!();
    if !std::path::Path::new("/usr/bin/gsasl").exists() {
        skip!("gsasl is not installed");
    }
    let place = Place::new();
    let ann = Virtual::new(&place, "ann", SCRAM);
    let daemon = passwd_file(
        place,
        &[&ann],
        &["auth.mechanisms = [\"PLAIN\", \"LOGIN\", \"SCRAM-SHA-256\"]"],
    );
    for (mechanism, password, admitted) in [
        ("PLAIN", PASSWORD, true),
        ("LOGIN", PASSWORD, true),
        ("SCRAM-SHA-256", PASSWORD, true),
        ("SCRAM-SHA-256-PLUS", PASSWORD, true),
        ("SCRAM-SHA-256", "wrong", false),
        ("SCRAM-SHA-256-PLUS", "wrong", false),
    ] {
        let mut gsasl = std::process::Command::new("gsasl");
        gsasl
            .args(["--imap", "--no-verbose", "--mechanism", mechanism])
            .args([
                "--authentication-id",
                "ann",
                "--authorization-id",
                "",
                "--password",
                password,
            ])
            .args(["--connect", &format!("localhost:{}", daemon.port)])
            .arg("--x509-ca-file")
            .arg(daemon.certificate_file());
        gsasl.args(["--hostname", "localhost"]);
        let (success, printed) = place::output(&mut gsasl);
        assert_eq!(success, admitted, "{mechanism}: {printed}");
    }
}

#[test]
fn the_login_cache_spares_pam_the_second_login_and_forgets_changed_passwords() {
    as_root!();
    let alice = User::new();
    let place = Place::new();
    let marks = place.join("marks");
    let script = place.script(
        "mark",
        &format!("#!/bin/sh\necho \"$PAM_TYPE\" >>{}\n", marks.display()),
    );
    let service = PamService::new(&format!(
        "auth required pam_exec.so {}\nauth required pam_unix.so\naccount required pam_unix.so\n",
        script.display()
    ));
    let asked = || {
        fs::read_to_string(&marks)
            .unwrap_or_default()
            .matches("auth")
            .count()
    };
    let daemon = Daemon::start_in(
        place,
        &[
            &format!("auth.pam_service = \"{}\"", service.name),
            "auth.cache_time = \"1h\"",
        ],
    );
    daemon.connect(&alice).ok("SELECT INBOX");
    assert_eq!(asked(), 1);
    daemon.connect(&alice).ok("SELECT INBOX");
    assert_eq!(
        asked(),
        1,
        "the second login was to be answered from the cache"
    );
    daemon.dial().no(&format!("LOGIN {} wrong", alice.name));
    daemon.connect(&alice).ok("SELECT INBOX");
    alice.set_password_hash(OTHER_HASH);
    daemon
        .dial()
        .no(&alice.login())
        .code("AUTHENTICATIONFAILED");
    daemon
        .dial()
        .ok(&format!("LOGIN {} other-sesame", alice.name));
}

#[test]
fn without_the_cache_every_login_is_asked_for() {
    as_root!();
    let alice = User::new();
    let place = Place::new();
    let marks = place.join("marks");
    let script = place.script(
        "mark",
        &format!("#!/bin/sh\necho \"$PAM_TYPE\" >>{}\n", marks.display()),
    );
    let service = PamService::new(&format!(
        "auth required pam_exec.so {}\nauth required pam_unix.so\naccount required pam_unix.so\n",
        script.display()
    ));
    let daemon = Daemon::start_in(
        place,
        &[&format!("auth.pam_service = \"{}\"", service.name)],
    );
    for _ in 0..3 {
        daemon.connect(&alice).ok("SELECT INBOX");
    }
    let marks = fs::read_to_string(&marks).expect("marks");
    assert_eq!(marks.matches("auth").count(), 3);
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

/// Of [`User::PASSWORD`].
const SCRAM: &str = "{SCRAM-SHA-256}4096,JvzwmH3VV122HbjFBu5y5g==,Dz9KLe2LMsAI9xcXniiWiPzg5jhQ8awDq8vl9jq4Zec=,4MZ3sMr2/U+HT/6n7tLVpyPIt99GhnCFDlXeLOm9O1Y=";

/// Of `other-sesame`.
const OTHER_HASH: &str = "$6$rounds=1000$AC0d6FOY8XpnAjQB$v57PjdAjMAdm15iXLZBWSyBtjSvMrXD7SQmkiv29uXP5FNgnelf29k7szXPS/wtIF56VyTk2ccMvgiVZRv4u/1";

/// All of [`User::PASSWORD`], as Dovecot's `doveadm pw` and mkpasswd(1) made them.
const HASHES: &[&str] = &[
    "{PLAIN}open-sesame",
    "{SHA512-CRYPT}$6$rounds=1000$IpOeyuowvnsHl8X2$5Bx9q0uAQGJWMpK5frdgLVhl8oMfzwqrrEbcC0hw3MIc8k.gBPwy2Neil9d3ExHyzvjCR862aErDXhoGvLFRu/",
    "{SHA256-CRYPT}$5$rounds=1000$u8eRbfL/tR8QrIPE$T/x0/rkgqyv4lwTsxoCcK0AaCjw1lcsp5u.VdQAazA6",
    "{BLF-CRYPT}$2y$05$wQbCS3KHUbBvSTK9FgrIoetufdQG1rH3WNze8QdsG/N6eCbuzQ7Yy",
    "{CRYPT}$2y$05$1hNQSWABIeeY60mfzbt.LuVPhhVI4INhObd6v3BJ31H17vGF5Rm2y",
    "{CRYPT}$y$j75$abcdefghijklmnop$B3WLBLuBDpMHTou888DpCioDN73gZOy03sMXPQD0rH.",
    // Without a scheme: crypt(5).
    "$6$rounds=1000$IpOeyuowvnsHl8X2$5Bx9q0uAQGJWMpK5frdgLVhl8oMfzwqrrEbcC0hw3MIc8k.gBPwy2Neil9d3ExHyzvjCR862aErDXhoGvLFRu/",
    SCRAM,
];
