//! The Dovecot auth protocol: a real Postfix submits with our users' passwords, and what it says on
//! the socket, word by word.

use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::process::{Command, Stdio};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use super::processes::Gate;
use super::sasl::plain;
use crate::support::*;

const PASSWORD: &str = User::PASSWORD;

/// A Postfix with a configuration and a queue of its own; stopped with this value.
struct Postfix {
    place: Place,
    port: u16,
}

impl Postfix {
    #[track_caller]
    fn start() -> Postfix {
        let place = Place::new();
        let port = free_port();
        let user = nix::unistd::User::from_name("postfix")
            .ok()
            .flatten()
            .expect("Postfix's user");
        place.directory_of("data", user.uid.as_raw(), user.gid.as_raw());
        for name in ["config", "queue"] {
            place.directory_of(name, 0, 0);
        }
        let path = place.path().display();
        place.write("config/main.cf", format!(
            "compatibility_level = 3.6\nqueue_directory = {path}/queue\ndata_directory = {path}/data\n\
             maillog_file = {path}/postfix.log\nmaillog_file_prefixes = {path}\n\
             inet_interfaces = 127.0.0.1\ninet_protocols = ipv4\nmyhostname = mail.example.org\n\
             mydestination =\nmynetworks =\nlocal_recipient_maps =\nalias_maps =\ndefault_transport = discard\n\
             smtpd_sasl_auth_enable = yes\nsmtpd_sasl_type = dovecot\nsmtpd_sasl_path = private/auth\n\
             smtpd_sasl_security_options = noanonymous\nsmtpd_tls_auth_only = no\n\
             smtpd_relay_restrictions = permit_sasl_authenticated, reject\n\
             smtpd_client_connection_count_limit = 0\nsmtpd_error_sleep_time = 0\nsmtpd_soft_error_limit = 1000\n"
        ));
        place.write(
            "config/master.cf",
            format!("127.0.0.1:{port} inet n - n - 20 smtpd\n{MASTER}"),
        );
        let postfix = Postfix { place, port };
        place::succeed(postfix.command().arg("start"));
        postfix
    }

    fn command(&self) -> Command {
        let mut command = Command::new("/usr/sbin/postfix");
        command
            .arg("-c")
            .arg(self.place.join("config"))
            .stdin(Stdio::null());
        command
    }

    /// Where its smtpd asks.
    fn socket(&self) -> PathBuf {
        self.place.join("queue/private/auth")
    }
}

impl Drop for Postfix {
    fn drop(&mut self) {
        let _ = self.command().arg("stop").output();
        if std::thread::panicking() {
            let log = fs::read_to_string(self.place.join("postfix.log"));
            eprintln!("--- Postfix ---\n{}", log.unwrap_or_default());
        }
    }
}

fn setting(socket: &std::path::Path) -> String {
    format!("listen.sasl = \"{}\"", socket.display())
}

#[test]
fn postfix_takes_mail_from_those_whose_password_is_right_and_from_no_others() {
    as_root!();
    if !std::path::Path::new("/usr/sbin/postfix").exists() {
        skip!("Postfix is not installed");
    }
    let (alice, bob) = (User::new(), User::new());
    let postfix = Postfix::start();
    let daemon = Daemon::start(&[&setting(&postfix.socket())]);
    let owner = fs::metadata(postfix.socket()).expect("a socket");
    let user = nix::unistd::User::from_name("postfix")
        .ok()
        .flatten()
        .expect("Postfix's user");
    assert_eq!(
        (owner.uid(), owner.permissions().mode() & 0o777),
        (user.uid.as_raw(), 0o660)
    );
    let script = daemon.place().write("submit.py", SUBMIT);
    let submit = |arguments: &[&str]| {
        let mut python = Command::new("python3");
        python
            .arg(&script)
            .arg(postfix.port.to_string())
            .args(arguments);
        place::succeed(&mut python)
    };
    for mechanism in ["PLAIN", "LOGIN"] {
        let printed = submit(&[mechanism, &alice.name, PASSWORD]);
        assert_eq!(printed, "235 250\n", "{mechanism}");
        let printed = submit(&[mechanism, &alice.name, "wrong"]);
        assert_eq!(printed, "535 554\n", "{mechanism}");
        let printed = submit(&[mechanism, "roost-nobody-of-this-name", PASSWORD]);
        assert_eq!(printed, "535 554\n", "{mechanism}");
    }
    // Ten smtpd at once, each with a client of its own.
    let names = [alice.name.as_str(), bob.name.as_str()];
    let children: Vec<_> = (0..20)
        .map(|n| {
            let mut python = Command::new("python3");
            let password = if n % 4 == 3 { "wrong" } else { PASSWORD };
            python.arg(&script).arg(postfix.port.to_string());
            python.args([["PLAIN", "LOGIN"][n % 2], names[n % 2], password]);
            (n, python.stdout(Stdio::piped()).spawn().expect("python3"))
        })
        .collect();
    for (n, child) in children {
        let output = child.wait_with_output().expect("its output");
        let expected = if n % 4 == 3 { "535 554\n" } else { "235 250\n" };
        assert_eq!(String::from_utf8_lossy(&output.stdout), expected, "{n}");
    }
    assert!(daemon.sessions().is_empty());
    // The daemon is restarted, Postfix is not: it connects anew.
    let mut daemon = daemon;
    daemon.restart();
    assert_eq!(submit(&["PLAIN", &alice.name, PASSWORD]), "235 250\n");
}

/// A client of the socket, after the handshake.
struct Asker {
    reader: BufReader<UnixStream>,
}

impl Asker {
    fn new(socket: &std::path::Path) -> Asker {
        let stream = UnixStream::connect(socket).expect("connected");
        stream
            .set_read_timeout(Some(patience()))
            .expect("a timeout");
        let mut asker = Asker {
            reader: BufReader::new(stream),
        };
        asker.say("VERSION\t1\t0\nCPID\t4711\n");
        let mut names = Vec::new();
        loop {
            let line = asker.hear();
            let name = line.split('\t').next().unwrap_or("").to_owned();
            if name == "DONE" {
                break;
            }
            names.push((name, line));
        }
        assert!(names[0].1.starts_with("VERSION\t1\t"), "{names:?}");
        let at = |wanted: &str| names.iter().position(|(name, _)| name == wanted);
        // Postfix calls it the wrong socket otherwise.
        assert!(at("MECH") < at("SPID") && at("SPID").is_some(), "{names:?}");
        assert!(at("CUID").is_some() && at("COOKIE").is_some(), "{names:?}");
        let mechanisms: Vec<&str> = names
            .iter()
            .filter(|(name, _)| name == "MECH")
            .map(|(_, line)| line.as_str())
            .collect();
        assert!(
            mechanisms
                .iter()
                .any(|line| line.starts_with("MECH\tPLAIN\tplaintext")),
            "{mechanisms:?}"
        );
        assert!(
            mechanisms
                .iter()
                .any(|line| line.starts_with("MECH\tLOGIN\tplaintext")),
            "{mechanisms:?}"
        );
        asker
    }

    fn say(&mut self, text: &str) {
        self.reader
            .get_mut()
            .write_all(text.as_bytes())
            .expect("sent");
    }

    fn hear(&mut self) -> String {
        let mut line = String::new();
        self.reader.read_line(&mut line).expect("a line");
        line.trim_end_matches('\n').to_owned()
    }

    fn ask(&mut self, text: &str) -> String {
        self.say(&format!("{text}\n"));
        self.hear()
    }
}

const WHERE: &str =
    "service=smtp\tnologin\tlip=192.0.2.10\trip=203.0.113.5\tsecured\tsomething=new";

#[test]
fn the_auth_socket_answers_each_request_by_its_id() {
    as_root!();
    let alice = User::new();
    let place = Place::new();
    let socket = place.join("auth");
    let daemon = Daemon::start(&[&setting(&socket), "listen.sasl_owner = \"root:root\""]);
    let mut asker = Asker::new(&socket);
    let (right, wrong) = (plain(&alice.name, PASSWORD), plain(&alice.name, "wrong"));
    let answer = asker.ask(&format!("AUTH\t1\tPLAIN\t{WHERE}\tresp={right}"));
    assert_eq!(answer, format!("OK\t1\tuser={}", alice.name));
    let answer = asker.ask(&format!("AUTH\t2\tPLAIN\t{WHERE}\tresp={wrong}"));
    assert!(
        answer.starts_with("FAIL\t2") && !answer.contains("temp_fail"),
        "{answer}"
    );
    // Without a first response.
    assert_eq!(asker.ask(&format!("AUTH\t3\tPLAIN\t{WHERE}")), "CONT\t3\t");
    let answer = asker.ask(&format!("CONT\t3\t{right}"));
    assert_eq!(answer, format!("OK\t3\tuser={}", alice.name));
    let (name, password) = (STANDARD.encode(&alice.name), STANDARD.encode(PASSWORD));
    assert!(
        asker
            .ask(&format!("AUTH\t4\tLOGIN\t{WHERE}"))
            .starts_with("CONT\t4\t")
    );
    assert!(
        asker
            .ask(&format!("CONT\t4\t{name}"))
            .starts_with("CONT\t4\t")
    );
    let answer = asker.ask(&format!("CONT\t4\t{password}"));
    assert_eq!(answer, format!("OK\t4\tuser={}", alice.name));
    // Two at once; the refusal takes its time, so it comes last.
    asker.say(&format!(
        "AUTH\t5\tPLAIN\t{WHERE}\tresp={wrong}\nAUTH\t6\tPLAIN\t{WHERE}\tresp={right}\n"
    ));
    let mut answers = [asker.hear(), asker.hear()];
    answers.sort();
    assert!(
        answers[0].starts_with("FAIL\t5") && answers[1].starts_with("OK\t6"),
        "{answers:?}"
    );
    // Given up; and what cannot be done.
    assert!(
        asker
            .ask(&format!("AUTH\t7\tLOGIN\t{WHERE}"))
            .starts_with("CONT\t7\t")
    );
    asker.say("CANCEL\t7\n");
    for (request, id) in [
        (format!("AUTH\t8\tCRAM-MD5\t{WHERE}"), 8),
        (format!("AUTH\t9\tPLAIN\t{WHERE}\tresp=!!!!"), 9),
        (
            format!(
                "AUTH\t10\tPLAIN\t{WHERE}\tresp={}",
                STANDARD.encode("nonsense")
            ),
            10,
        ),
        (
            format!("AUTH\t11\tPLAIN\t{WHERE}\tresp={}", plain("root", "x")),
            11,
        ),
        (
            format!("AUTH\t12\tPLAIN\t{WHERE}\tresp={}", plain("", "")),
            12,
        ),
    ] {
        let answer = asker.ask(&request);
        assert!(
            answer.starts_with(&format!("FAIL\t{id}")),
            "{request}: {answer}"
        );
    }
    let answer = asker.ask(&format!("AUTH\t13\tPLAIN\t{WHERE}\tresp={right}"));
    assert!(answer.starts_with("OK\t13"), "{answer}");
    assert!(daemon.sessions().is_empty());
    let line = daemon.logs("203.0.113.5");
    assert!(
        line.contains(&format!("({},203.0.113.5", alice.name)),
        "{line}"
    );
}

#[test]
fn an_expired_account_and_a_host_that_cannot_say_have_codes_of_their_own() {
    as_root!();
    let (alice, bob) = (User::new(), User::new());
    alice.administer("/usr/sbin/usermod", &["-e", "1"]);
    let place = Place::new();
    let socket = place.join("auth");
    let gate = Gate::new();
    gate.open();
    let daemon = Daemon::start(&[
        &setting(&socket),
        "listen.sasl_owner = \"root\"",
        &gate.setting(),
        "auth.timeout = \"3s\"",
    ]);
    let mut asker = Asker::new(&socket);
    let answer = asker.ask(&format!(
        "AUTH\t1\tPLAIN\t{WHERE}\tresp={}",
        plain(&alice.name, PASSWORD)
    ));
    assert!(
        answer.starts_with("FAIL\t1\t") && answer.contains("\tcode=pass_expired"),
        "{answer}"
    );
    gate.shut();
    let answer = asker.ask(&format!(
        "AUTH\t2\tPLAIN\t{WHERE}\tresp={}",
        plain(&bob.name, PASSWORD)
    ));
    assert!(
        answer.starts_with("FAIL\t2\t") && answer.contains("\tcode=temp_fail"),
        "{answer}"
    );
    assert!(daemon.sessions().is_empty());
}

#[test]
fn whoever_breaks_the_protocol_of_the_auth_socket_loses_his_connection_only() {
    as_root!();
    let alice = User::new();
    let place = Place::new();
    let socket = place.join("auth");
    let daemon = Daemon::start(&[&setting(&socket), "listen.sasl_owner = \"root:root\""]);
    let front = daemon.front();
    let mut good = Asker::new(&socket);
    for bytes in [
        vec![b'x'; 100_000],
        b"VERSION\t2\t0\n".to_vec(),
        b"\0\0\0\0\n".to_vec(),
        b"AUTH\t1\n".to_vec(),
        b"AUTH\tone\tPLAIN\n".to_vec(),
        b"CONT\t99\tAAAA\n".to_vec(),
        [
            b"VERSION\t1\t1\nCPID\t1\n".to_vec(),
            b"AUTH\t1\tPLAIN\tresp=".to_vec(),
            vec![b'A'; 1 << 20],
        ]
        .concat(),
    ] {
        let mut stream = UnixStream::connect(&socket).expect("connected");
        stream
            .set_read_timeout(Some(patience()))
            .expect("a timeout");
        daemon::say(&mut stream, &bytes);
        let _ = stream.shutdown(std::net::Shutdown::Write);
        let said = daemon::rest(&mut stream);
        assert!(!said.contains("OK\t"), "{said}");
    }
    let answer = good.ask(&format!(
        "AUTH\t1\tPLAIN\t{WHERE}\tresp={}",
        plain(&alice.name, PASSWORD)
    ));
    assert!(answer.starts_with("OK\t1"), "{answer}");
    assert_eq!(daemon.front(), front);
    daemon.connect(&alice).ok("NOOP");
}

/// Authenticates and names a recipient; prints both answers.
const SUBMIT: &str = "\
import smtplib, sys
port, mechanism, user, password = sys.argv[1:]
smtp = smtplib.SMTP('127.0.0.1', int(port), timeout=60)
smtp.ehlo('client.example.org')
smtp.user, smtp.password = user, password
try:
    first = smtp.auth(mechanism, smtp.auth_plain if mechanism == 'PLAIN' else smtp.auth_login)[0]
except smtplib.SMTPAuthenticationError as error:
    first = error.smtp_code
smtp.mail('ann@example.org')
print(first, smtp.rcpt('bob@example.net')[0])
smtp.quit()
";

/// The services a submission needs, none of them in a chroot.
const MASTER: &str = "\
pickup    unix  n       -       n       60      1       pickup
cleanup   unix  n       -       n       -       0       cleanup
qmgr      unix  n       -       n       300     1       qmgr
tlsmgr    unix  -       -       n       1000?   1       tlsmgr
rewrite   unix  -       -       n       -       -       trivial-rewrite
bounce    unix  -       -       n       -       0       bounce
defer     unix  -       -       n       -       0       bounce
trace     unix  -       -       n       -       0       bounce
verify    unix  -       -       n       -       1       verify
flush     unix  n       -       n       1000?   0       flush
proxymap  unix  -       -       n       -       -       proxymap
error     unix  -       -       n       -       -       error
retry     unix  -       -       n       -       -       error
discard   unix  -       -       n       -       -       discard
anvil     unix  -       -       n       -       1       anvil
postlog   unix-dgram n  -       n       -       1       postlogd
";
