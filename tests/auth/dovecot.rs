//! Users whom a Dovecot knows.

use std::io::{BufRead, BufReader, Write};
use std::os::unix::net::UnixListener;
use std::path::Path;
use std::process::Command;
use std::thread;

use roost::auth::{authenticate, check};
use roost::config::{AuthSource, Config};
use roost::ipc::{Account, LoginRequest, Proof, Protocol, Refusal};

use crate::login::{Silence, config, is_root, log, login, password, refused, request};
use crate::support::{AuthService, Place};

fn with_dovecot(base_dir: &Path) -> Config {
    config(vec![AuthSource::Dovecot(base_dir.to_owned())])
}

/// A Dovecot with these users, as its passwd-file has them; all have uid and gid 5000.
fn known(place: &Place, users: &str) -> AuthService {
    let users = place.write("users", users);
    let users = users.display();
    AuthService::start(
        place,
        &format!(
            "passdb {{\n driver = passwd-file\n args = {users}\n}}\n\
             userdb {{\n driver = passwd-file\n args = {users}\n \
             default_fields = uid=5000 gid=5001 home=/srv/vmail/%u\n}}\n"
        ),
    )
}

#[track_caller]
fn account(config: &Config, user: &str, word: &str) -> Account {
    match login(config, user, word) {
        Ok(admission) => admission.account,
        Err(refusal) => panic!("{refusal:?}: {:?}", log()),
    }
}

#[test]
fn dovecot_says_whether_a_password_is_right_and_who_that_is() {
    if !is_root() {
        return;
    }
    let place = Place::new();
    let dovecot = known(
        &place,
        "bob:{PLAIN}secret::::::\n\
         ann@example.org:{SHA512}vSsar3708Jvp9Szi2NWZZ02Bqp1qRCFpbcTZPdBhnWgs5WtNZKnvCXdhztmeD2cmW192CF5bDufKRpayrW/isg==:::::\
         :userdb_mail=maildir:~/mail:INDEX=/var/index/%n\n",
    );
    let config = with_dovecot(dovecot.base_dir());
    assert!(check(&config).is_empty(), "{:?}", check(&config));
    let bob = account(&config, "Bob", "secret");
    assert_eq!((bob.user.as_str(), bob.uid, bob.gid), ("bob", 5000, 5001));
    assert_eq!(bob.home, "/srv/vmail/bob");
    assert_eq!(bob.location.maildir, Path::new("/srv/vmail/bob/Maildir"));
    let ann = account(&config, "ann@example.org", "secret");
    let home = Path::new("/srv/vmail/ann@example.org");
    assert_eq!(ann.location.maildir, home.join("mail"));
    assert_eq!(
        ann.location.index_dir.as_deref(),
        Some(Path::new("/var/index/ann"))
    );

    // However soon one login follows another.
    for _ in 0..50 {
        account(&config, "bob", "secret");
    }
    for (user, word) in [("bob", "wrong"), ("eve", "secret")] {
        assert_eq!(refused(login(&config, user, word)), Refusal::Mismatch);
        let line = format!("auth: dovecot({user},203.0.113.5,<q2b6Ab1cdef>): Invalid credentials");
        assert_eq!(log(), [line]);
    }
}

#[test]
fn what_dovecot_does_with_users_whom_it_does_not_serve_is_respected() {
    if !is_root() {
        return;
    }
    let place = Place::new();
    let dovecot = known(
        &place,
        "gone:{PLAIN}x::::::nologin=y reason=ask_us\n\
         away:{PLAIN}x::::::proxy=y host=192.0.2.9\n\
         near:{PLAIN}x::::::allow_nets=203.0.113.0/24\n\
         far:{PLAIN}x::::::allow_nets=192.0.2.0/24\n\
         jail:{PLAIN}x::::::userdb_chroot=/srv/jail\n\
         root2:{PLAIN}x::::::userdb_uid=0\n",
    );
    let config = with_dovecot(dovecot.base_dir());
    account(&config, "near", "x");
    for (user, refusal, words) in [
        ("gone", Refusal::Disabled, "(nologin): ask_us"),
        (
            "away",
            Refusal::Unavailable,
            "passes this user on to 192.0.2.9 (proxy)",
        ),
        ("far", Refusal::Mismatch, "Invalid credentials"),
        ("jail", Refusal::Unavailable, "from a chroot"),
        ("root2", Refusal::NotPermitted, "root is never let in"),
    ] {
        log();
        assert_eq!(refused(login(&config, user, "x")), refusal, "{user}");
        let log = log();
        assert!(
            log.last().is_some_and(|line| line.contains(words)),
            "{user}: {log:?}"
        );
    }
}

#[test]
fn users_of_sql_static_prefetch_and_checkpassword_are_let_in() {
    if !is_root() {
        return;
    }
    let place = Place::new();
    let database = place.join("users.db");
    let mut sqlite = Command::new("sqlite3");
    sqlite.arg(&database).arg(
        "create table users (name text, domain text, password text, mail text);
         insert into users values ('bob', 'example.org', '{PLAIN}secret', 'maildir:/srv/sql/bob');",
    );
    assert!(sqlite.status().expect("sqlite3").success());
    let driver = format!("driver = sqlite\nconnect = {}\n", database.display());
    let sql = place.write(
        "sql.conf",
        format!(
            "{driver}password_query = SELECT name || '@' || domain AS user, password, 6000 AS userdb_uid, \
             6001 AS userdb_gid, '/srv/sql' AS userdb_home, mail AS userdb_mail \
             FROM users WHERE name = '%n' AND domain = '%d'\n"
        ),
    );
    let script = place.script(
        "check",
        "#!/usr/bin/python3\n\
         import os, sys\n\
         name, word = os.fdopen(3, 'rb').read().split(b'\\0')[:2]\n\
         if (name, word) != (b'carl', b'word'): sys.exit(1)\n\
         os.environ.update(USER='carl', HOME='/srv/carl', userdb_uid='7000', userdb_gid='7001',\n    \
         EXTRA='userdb_uid userdb_gid')\n\
         os.execv(sys.argv[1], sys.argv[1:])\n",
    );
    let dovecot = AuthService::start(
        &place,
        &format!(
            "passdb {{\n driver = sql\n args = {}\n}}\n\
             passdb {{\n driver = checkpassword\n args = {}\n}}\n\
             passdb {{\n driver = static\n args = password=guest\n}}\n\
             userdb {{\n driver = prefetch\n}}\n\
             userdb {{\n driver = static\n args = uid=8000 gid=8001 home=/srv/%u allow_all_users=yes\n}}\n",
            sql.display(),
            script.display()
        ),
    );
    let config = with_dovecot(dovecot.base_dir());
    let bob = account(&config, "bob@example.org", "secret");
    assert_eq!(
        (bob.uid, bob.gid, bob.home.as_str()),
        (6000, 6001, "/srv/sql")
    );
    assert_eq!(bob.location.maildir, Path::new("/srv/sql/bob"));
    let carl = account(&config, "carl", "word");
    assert_eq!((carl.uid, carl.home.as_str()), (7000, "/srv/carl"));
    let dora = account(&config, "dora", "guest");
    assert_eq!(
        (dora.uid, dora.gid, dora.home.as_str()),
        (8000, 8001, "/srv/dora")
    );
}

#[test]
fn a_login_to_postfix_needs_no_more_than_the_password() {
    if !is_root() {
        return;
    }
    let place = Place::new();
    let users = place.write("users", "bob:{PLAIN}secret\n");
    let dovecot = AuthService::start(
        &place,
        &format!(
            "passdb {{\n driver = passwd-file\n args = {}\n}}\n",
            users.display()
        ),
    );
    let config = with_dovecot(dovecot.base_dir());
    let ask = |protocol, word| {
        let request = LoginRequest {
            protocol,
            ..request(password("bob", word))
        };
        authenticate(&config, &request, &mut Silence)
    };
    let account = ask(Protocol::Sasl, "secret").ok().unwrap().account;
    assert_eq!(account.user, "bob");
    assert_eq!(refused(ask(Protocol::Sasl, "wrong")), Refusal::Mismatch);
    // For mail, somebody has to know where it is.
    log();
    assert_eq!(refused(ask(Protocol::Imap, "secret")), Refusal::NoMail);
    assert!(log()[0].contains("there is no uid for this user"));
}

#[test]
fn who_has_a_certificate_is_looked_up_by_name() {
    if !is_root() {
        return;
    }
    let place = Place::new();
    let dovecot = known(&place, "bob:{PLAIN}secret::::::\n");
    let mut config = with_dovecot(dovecot.base_dir());
    config.set("auth.mechanisms=PLAIN EXTERNAL").unwrap();
    config.set("tls.client_certificate=optional").unwrap();
    let external = |user: &str| {
        let proof = Proof::External {
            certified: user.into(),
            authorize: Vec::new(),
        };
        authenticate(&config, &request(proof), &mut Silence)
    };
    assert_eq!(external("bob").ok().unwrap().account.uid, 5000);
    assert_eq!(refused(external("eve")), Refusal::Mismatch);
}

#[test]
fn while_dovecot_is_down_nobody_is_said_to_have_a_wrong_password() {
    if !is_root() {
        return;
    }
    let place = Place::new();
    let config = with_dovecot(&place.join("run"));
    assert_eq!(check(&config).len(), 2);
    assert_eq!(
        refused(login(&config, "bob", "secret")),
        Refusal::Unavailable
    );
    let told = log();
    assert!(
        told[0]
            .contains("auth-login: No such file or directory (os error 2) (Dovecot does not run"),
        "{told:?}"
    );

    let mut dovecot = known(&place, "bob:{PLAIN}secret::::::\n");
    account(&config, "bob", "secret");
    dovecot.stop();
    assert_eq!(
        refused(login(&config, "bob", "secret")),
        Refusal::Unavailable
    );
    let dovecot = known(&place, "bob:{PLAIN}other::::::\n");
    assert_eq!(refused(login(&config, "bob", "secret")), Refusal::Mismatch);
    account(&config, "bob", "other");
    drop(dovecot);
}

/// What is not Dovecot's auth service says these lines, waits for one, and so on; then it hangs up,
/// or says nothing more until we do.
fn played(place: &Place, socket: &str, lines: &'static [&'static str], hang: bool) {
    let directory = place.join("run");
    std::fs::create_dir_all(&directory).unwrap();
    let listener = UnixListener::bind(directory.join(socket)).unwrap();
    thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        let mut input = BufReader::new(stream.try_clone().unwrap());
        for line in lines {
            stream.write_all(line.as_bytes()).unwrap();
            // VERSION and CPID, or AUTH
            input.read_line(&mut String::new()).unwrap();
        }
        let mut rest = String::new();
        while hang && input.read_line(&mut rest).is_ok_and(|length| length > 0) {}
    });
}

#[test]
fn what_does_not_answer_as_dovecot_does_is_said_plainly() {
    const GREETING: &str =
        "VERSION\t1\t2\nMECH\tPLAIN\tplaintext\nSPID\t1\nCUID\t1\nCOOKIE\tabc\nDONE\n";
    for (lines, hang, words) in [
        (
            &["VERSION\t2\t0\n"][..],
            true,
            "speaks version 2 of the auth protocol",
        ),
        (
            &["* OK IMAP here\r\n"][..],
            true,
            "does not answer as Dovecot's auth service: * OK",
        ),
        (&[][..], true, "no answer within 1 s"),
        (&[""][..], false, "closed the connection without an answer"),
        (
            &[GREETING, "", ""][..],
            false,
            "closed the connection without an answer",
        ),
        (
            &[GREETING, "", "", "FAIL\t1\tuser=bob\tcode=temp_fail\n"][..],
            true,
            "cannot find out now",
        ),
        (
            &[GREETING, "", "", "FAIL\t1\tuser=bob\ttemp\n"][..],
            true,
            "cannot find out now",
        ),
        (
            &[GREETING, "", "", "OK\t7\tuser=bob\n"][..],
            true,
            "does not answer as",
        ),
        (
            &[GREETING, "", "", "CONT\t1\tabc\n"][..],
            true,
            "does not answer as",
        ),
        (
            &["VERSION\t1\t2\nMECH\tLOGIN\tplaintext\nDONE\n"][..],
            true,
            "no PLAIN",
        ),
    ] {
        let place = Place::new();
        played(&place, "auth-login", lines, hang);
        let mut config = with_dovecot(&place.join("run"));
        config.set("auth.timeout=1s").unwrap();
        assert_eq!(
            refused(login(&config, "bob", "secret")),
            Refusal::Unavailable,
            "{words}"
        );
        let told = log();
        assert!(
            told[0].contains(words) && !told[0].contains("secret"),
            "{words}: {told:?}"
        );
    }
}
