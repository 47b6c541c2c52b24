//! `roost try`: what it prints, whom it lets in, many connections, and its end.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdout, Command, Stdio};

use crate::support::{Mail, Server, roost_only, skip};

#[test]
fn what_it_prints_is_enough_to_connect_with_curl() {
    let mail = Mail::numbered(3);
    let mut trial = Trial::start(&mail, &[mail.root().to_str().unwrap()]);
    let printed = trial.read_welcome();
    assert!(printed.contains(mail.root().to_str().unwrap()), "{printed}");

    let line = line_with(&printed, "curl -u ");
    let curl = Command::new("sh")
        .args(["-c", line.trim()])
        .stderr(Stdio::null())
        .output()
        .unwrap();
    if curl.status.code() == Some(127) {
        skip!("curl is not installed");
    }
    assert!(curl.status.success(), "{line}: {curl:?}");
    let newest = String::from_utf8(curl.stdout).unwrap();
    assert!(newest.contains("Subject: "), "{newest}");
    trial.stop();
}

#[test]
fn without_a_maildir_it_makes_a_small_one_and_says_so() {
    let mail = Mail::new();
    let home = mail.directory("empty");
    let mut trial = Trial::start_at(&mail, &home, &[]);
    let printed = trial.read_welcome();
    assert!(printed.contains("has made a small one"), "{printed}");
    let made = PathBuf::from(line_with(&printed, "/roost-try-").trim());
    assert!(made.starts_with(mail.work()), "{printed}");
    assert!(made.join("cur").is_dir() && made.join("new").is_dir());

    let (user, password) = (field(&printed, "user name"), field(&printed, "password"));
    let mut client = TcpStream::connect(field(&printed, "IMAP")).unwrap();
    write!(
        client,
        "a LOGIN {user} {password}\r\nb SELECT INBOX\r\nc SELECT Lists.Roost\r\nd LOGOUT\r\n"
    )
    .unwrap();
    let mut answers = String::new();
    client.read_to_string(&mut answers).unwrap();
    for line in [
        "\r\na OK ",
        "\r\n* 3 EXISTS\r\n",
        "\r\n* 1 EXISTS\r\n",
        "\r\nd OK ",
    ] {
        assert!(answers.contains(line), "{answers}");
    }
    trial.stop();
}

#[test]
fn root_serves_as_the_owner_and_never_its_own_mail() {
    if !nix::unistd::geteuid().is_root() {
        skip!("only root can become somebody else");
    }
    let mail = Mail::numbered(1);
    let mut trial = Trial::start(&mail, &[mail.root().to_str().unwrap()]);
    trial.read_welcome();
    let status = std::fs::read_to_string(format!("/proc/{}/status", trial.child.id())).unwrap();
    let user = crate::support::MAIL;
    assert!(
        status.contains(&format!("Uid:\t{user}\t{user}\t{user}\t{user}\n")),
        "{status}"
    );
    assert!(status.contains("CapEff:\t0000000000000000\n"), "{status}");
    trial.stop();

    std::os::unix::fs::chown(mail.root(), Some(0), Some(0)).unwrap();
    let output = roost(&mail.home())
        .arg(mail.root())
        .args(["--listen", "127.0.0.1:0", "--listen-tls", "127.0.0.1:0"])
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(77));
    let error = String::from_utf8(output.stderr).unwrap();
    assert!(error.contains("belongs to root"), "{error}");
}

#[test]
fn a_directory_with_something_else_in_it_is_not_made_a_maildir() {
    let mail = Mail::new();
    let output = roost(&mail.home())
        .arg(mail.home())
        .args(["--listen", "127.0.0.1:0", "--listen-tls", "127.0.0.1:0"])
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(66));
    let error = String::from_utf8(output.stderr).unwrap();
    assert!(error.contains("is not a Maildir"), "{error}");
    assert!(!mail.home().join("cur").exists());
}

#[test]
fn an_address_in_use_is_named() {
    let mail = Mail::new();
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let output = roost(&mail.home())
        .arg(mail.root())
        .args(["--listen", &address, "--listen-tls", "127.0.0.1:0"])
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(69));
    let error = String::from_utf8(output.stderr).unwrap();
    assert!(
        error.contains(&address) && error.contains("--listen"),
        "{error}"
    );
}

#[test]
fn a_wrong_password_delays_only_whoever_gave_it() {
    roost_only!("it is about roost try");
    let mail = Mail::numbered(1);
    let server = Server::try_with(&mail, &["auth.failure_delay=1h"]);
    let mut wrong = server.dial();
    wrong.start("LOGIN alice guess");
    let mut right = server.connect();
    right.ok("SELECT INBOX");
    assert!(!wrong.has_input());
    let server = Server::try_with(&mail, &["auth.failure_delay=100ms"]);
    let start = std::time::Instant::now();
    let reply = server.dial().no("LOGIN alice guess");
    assert!(start.elapsed().as_millis() >= 100);
    assert!(
        reply.to_string().contains("NO [AUTHENTICATIONFAILED]"),
        "{reply}"
    );
}

#[test]
fn the_end_is_told_to_everybody_before_login_and_after() {
    roost_only!("it is about roost try");
    let mail = Mail::numbered(1);
    let server = Server::try_(&mail);
    let mut clients = vec![
        server.dial(),
        server.dial_tls(),
        server.connect(),
        server.connect(),
    ];
    clients[3].ok("SELECT INBOX");
    clients[3].start("IDLE");
    server.process().terminate();
    for client in &mut clients {
        let last = client.read_to_end();
        let last = last.last().expect("a BYE");
        assert!(last.matches("BYE ..."), "{last}");
    }
}

#[test]
fn an_idle_connection_costs_less_than_ten_kilobytes() {
    roost_only!("it is about roost try");
    const MANY: u64 = 300;
    let mail = Mail::numbered(10);
    let server = Server::try_(&mail);
    let open = |count| -> Vec<_> {
        (0..count)
            .map(|_| {
                let mut client = server.connect();
                client.ok("SELECT INBOX");
                client
            })
            .collect()
    };
    let mut first = open(20);
    let before = server.process().memory();
    let mut others = open(MANY);
    let cost = server.process().memory().saturating_sub(before) / MANY;
    assert!(cost < 10 * 1024, "{cost} octets each");
    for client in first.iter_mut().chain(&mut others) {
        client.ok("NOOP");
    }
}

/// A program that prints where it listens.
struct Trial {
    child: Child,
    output: BufReader<ChildStdout>,
}

impl Trial {
    fn start(mail: &Mail, arguments: &[&str]) -> Trial {
        Trial::start_at(mail, &mail.home(), arguments)
    }

    fn start_at(mail: &Mail, home: &Path, arguments: &[&str]) -> Trial {
        let mut child = roost(home)
            .args(arguments)
            .args(["--listen", "127.0.0.1:0", "--listen-tls", "127.0.0.1:0"])
            .env("TMPDIR", mail.work())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let output = BufReader::new(child.stdout.take().unwrap());
        Trial { child, output }
    }

    fn read_welcome(&mut self) -> String {
        let mut printed = String::new();
        while !printed.contains("Ctrl-C") {
            assert!(
                self.output.read_line(&mut printed).unwrap() > 0,
                "{printed}"
            );
        }
        printed
    }

    fn stop(mut self) {
        let id = i32::try_from(self.child.id()).unwrap();
        let id = nix::unistd::Pid::from_raw(id);
        nix::sys::signal::kill(id, nix::sys::signal::Signal::SIGINT).unwrap();
        assert!(self.child.wait().unwrap().success());
        let mut rest = String::new();
        self.output.read_to_string(&mut rest).unwrap();
        assert_eq!(rest, "");
    }
}

impl Drop for Trial {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn roost(home: &Path) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_roost"));
    command.arg("try").env("HOME", home);
    command
}

fn line_with<'a>(printed: &'a str, text: &str) -> &'a str {
    let line = printed.lines().find(|line| line.contains(text));
    line.unwrap_or_else(|| panic!("no {text} in {printed}"))
}

/// The word after a name in the list that it prints.
fn field(printed: &str, name: &str) -> String {
    let start = format!("  {name} ");
    let line = printed.lines().find_map(|line| line.strip_prefix(&start));
    let line = line.unwrap_or_else(|| panic!("no {name} in {printed}"));
    line.split_whitespace().next().unwrap().to_owned()
}
