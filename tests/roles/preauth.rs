//! `roost --preauth` on whatever standard input and output are.

use std::fs::{self, File};
use std::io::{BufRead, BufReader, Read, Write};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::process::{Child, ChildStdout, Command, Output, Stdio};

use nix::fcntl::{FcntlArg, OFlag, fcntl};
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::pty::openpty;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use crate::support::{Mail, Program, eventually, skip};

const SCRIPT: &str = "a SELECT INBOX\r\nb FETCH 1:* UID\r\nc NOOP\r\n";

#[test]
fn a_script_in_a_file_is_answered_whole_with_and_without_logout() {
    let mail = Mail::numbered(3);
    for (script, end) in [(SCRIPT, "c"), (&format!("{SCRIPT}d LOGOUT\r\n"), "d")] {
        let path = mail.write("script", script);
        let output = run(roost(&mail).stdin(File::open(path).unwrap()));
        assert!(output.status.success(), "{output:?}");
        check_answers(&output.stdout, end);
    }
}

#[test]
fn lines_may_end_as_a_shell_writes_them() {
    let mail = Mail::numbered(3);
    let path = mail.write("script", SCRIPT.replace("\r\n", "\n"));
    let output = run(roost(&mail).stdin(File::open(path).unwrap()));
    check_answers(&output.stdout, "c");
}

#[test]
fn answers_go_into_a_file() {
    let mail = Mail::numbered(3);
    let script = File::open(mail.write("script", SCRIPT)).unwrap();
    let answers = mail.write("answers", "");
    let status = roost(&mail)
        .stdin(script)
        .stdout(File::create(&answers).unwrap())
        .status()
        .unwrap();
    assert!(status.success());
    check_answers(&fs::read(answers).unwrap(), "c");
}

#[test]
fn no_input_is_a_greeting_and_a_clean_end() {
    let mail = Mail::new();
    let output = run(roost(&mail).stdin(Stdio::null()));
    assert!(output.status.success(), "{output:?}");
    let text = String::from_utf8(output.stdout).unwrap();
    assert!(text.starts_with("* PREAUTH "), "{text}");
    assert_eq!(text.lines().count(), 1, "{text}");
}

#[test]
fn a_command_cut_off_by_the_end_of_input_is_not_carried_out() {
    let mail = Mail::numbered(1);
    let path = mail.write("script", "a SELECT INBOX\r\nb STORE 1 FLAGS (\\Flagged)");
    let output = run(roost(&mail).stdin(File::open(path).unwrap()));
    assert!(output.status.success(), "{output:?}");
    let text = String::from_utf8(output.stdout).unwrap();
    assert!(
        text.contains("\r\na OK ") && !text.contains("\r\nb "),
        "{text}"
    );
    assert!(
        mail.inbox()
            .names("cur")
            .iter()
            .all(|name| !name.contains('F'))
    );
}

#[test]
fn what_a_slow_reader_has_not_taken_yet_is_written_after_the_end_of_input() {
    let mail = Mail::new();
    let script: String = (0..50_000).map(|n| format!("a{n} NOOP\r\n")).collect();
    let path = mail.write("script", script);
    let (mut reader, writer) = std::io::pipe().unwrap();
    let full = writer.try_clone().unwrap();
    let mut child = Running::start(roost(&mail).stdin(File::open(path).unwrap()).stdout(writer));
    eventually("the pipe to be full", || {
        let mut pipe = [PollFd::new(full.as_fd(), PollFlags::POLLOUT)];
        (poll(&mut pipe, PollTimeout::ZERO) == Ok(0)).then_some(())
    });
    drop(full);
    let mut text = String::new();
    reader.read_to_string(&mut text).unwrap();
    child.ends_well();
    for (n, line) in text.lines().skip(1).enumerate() {
        assert!(line.starts_with(&format!("a{n} OK ")), "{line}");
    }
    assert_eq!(text.lines().count(), 50_001);
}

#[test]
fn a_reader_that_goes_away_ends_it() {
    let mail = Mail::new();
    let script: String = (0..50_000).map(|n| format!("a{n} NOOP\r\n")).collect();
    let path = mail.write("script", script);
    let mut child = Running::start(
        roost(&mail)
            .stdin(File::open(path).unwrap())
            .stdout(Stdio::piped()),
    );
    let mut first = String::new();
    child.output().read_line(&mut first).unwrap();
    child.ends_well();
}

#[test]
fn a_pipe_and_a_socket_that_others_share_stay_as_they_were() {
    let mail = Mail::new();
    let (reader, writer) = std::io::pipe().unwrap();
    let (input, mut to_server) = std::io::pipe().unwrap();
    let shared = (writer.try_clone().unwrap(), input.try_clone().unwrap());
    let mut child = Running::start(roost(&mail).stdin(input).stdout(writer));
    let mut lines = BufReader::new(reader);
    expect_line(&mut lines, "* PREAUTH ");
    to_server.write_all(b"a NOOP\r\n").unwrap();
    expect_line(&mut lines, "a OK ");
    assert!(!is_nonblocking(&shared.0) && !is_nonblocking(&shared.1));
    drop(to_server);
    child.ends_well();

    let (mut ours, theirs) = UnixStream::pair().unwrap();
    let shared = theirs.try_clone().unwrap();
    let mut child = Running::start(
        roost(&mail)
            .stdin(OwnedFd::from(theirs.try_clone().unwrap()))
            .stdout(OwnedFd::from(theirs)),
    );
    let mut lines = BufReader::new(ours.try_clone().unwrap());
    expect_line(&mut lines, "* PREAUTH ");
    assert!(!is_nonblocking(&shared));
    ours.write_all(b"a LOGOUT\r\n").unwrap();
    expect_line(&mut lines, "* BYE ");
    expect_line(&mut lines, "a OK ");
    child.ends_well();
}

#[test]
fn on_a_terminal_it_talks_and_ends_with_control_d_and_leaves_the_terminal_as_it_was() {
    let mail = Mail::new();
    let terminal = openpty(None, None).unwrap();
    let mut child = Running::start(
        roost(&mail)
            .stdin(terminal.slave.try_clone().unwrap())
            .stdout(terminal.slave.try_clone().unwrap()),
    );
    let mut keyboard = File::from(terminal.master.try_clone().unwrap());
    let mut screen = BufReader::new(File::from(terminal.master));
    expect_line(&mut screen, "* PREAUTH ");
    // Two lines at once: a terminal gives them one by one.
    keyboard.write_all(b"a NOOP\nb NOOP\n").unwrap();
    loop {
        let mut line = String::new();
        screen.read_line(&mut line).unwrap();
        // What is typed is echoed.
        if line.starts_with("b OK ") {
            break;
        }
    }
    assert!(!is_nonblocking(&terminal.slave));
    keyboard.write_all(b"\x04").unwrap();
    child.ends_well();
    assert!(!is_nonblocking(&terminal.slave));
}

#[test]
fn asked_to_stop_it_says_bye_and_ends_without_an_error() {
    for signal in [Signal::SIGTERM, Signal::SIGINT, Signal::SIGHUP] {
        let mail = Mail::new();
        let mut child = Running::start(roost(&mail).stdin(Stdio::piped()).stdout(Stdio::piped()));
        let mut lines = child.output();
        expect_line(&mut lines, "* PREAUTH ");
        stop(&child.0, signal);
        expect_line(&mut lines, "* BYE ");
        child.ends_well();
    }
}

#[test]
fn the_maildir_is_at_home_if_it_is_not_named_and_made_if_it_is_not_there() {
    let mail = Mail::numbered(2);
    let path = mail.write("script", "a STATUS INBOX (MESSAGES)\r\n");
    let home = mail.directory("empty");
    for (home, messages) in [(mail.home(), 2), (home.clone(), 0)] {
        let mut command = Command::new(env!("CARGO_BIN_EXE_roost"));
        command.arg("--preauth").env("HOME", &home);
        let output = run(command.stdin(File::open(&path).unwrap()));
        let text = String::from_utf8(output.stdout).unwrap();
        let status = format!("* STATUS INBOX (MESSAGES {messages})");
        assert!(text.contains(&status), "{text}");
    }
    assert!(home.join("Maildir/cur").is_dir());
}

#[test]
fn root_becomes_the_owner_of_the_maildir() {
    if !nix::unistd::geteuid().is_root() {
        skip!("only root can become somebody else");
    }
    let mail = Mail::numbered(1);
    let mut child = Running::start(roost(&mail).stdin(Stdio::piped()).stdout(Stdio::piped()));
    let mut lines = child.output();
    expect_line(&mut lines, "* PREAUTH ");
    let status = fs::read_to_string(format!("/proc/{}/status", child.0.id())).unwrap();
    let user = crate::support::MAIL;
    for field in ["Uid", "Gid"] {
        let line = format!("{field}:\t{user}\t{user}\t{user}\t{user}\n");
        assert!(status.contains(&line), "{status}");
    }
    assert!(status.contains("NoNewPrivs:\t1\n"), "{status}");
    assert!(status.contains("CapPrm:\t0000000000000000\n"), "{status}");
    drop(child.0.stdin.take());
    child.ends_well();
}

/// A process that does not outlive a test that fails.
struct Running(Child);

impl Running {
    fn start(command: &mut Command) -> Running {
        Running(command.spawn().unwrap())
    }

    fn output(&mut self) -> BufReader<ChildStdout> {
        BufReader::new(self.0.stdout.take().unwrap())
    }

    #[track_caller]
    fn ends_well(&mut self) {
        let status = eventually("the end of the process", || self.0.try_wait().unwrap());
        assert!(status.success(), "{status}");
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn roost(mail: &Mail) -> Command {
    Program::Roost.preauth(mail, &[])
}

fn run(command: &mut Command) -> Output {
    command.stderr(Stdio::inherit()).output().unwrap()
}

/// The greeting, the three messages, and nothing that is not IMAP.
fn check_answers(answers: &[u8], end: &str) {
    let text = String::from_utf8(answers.to_vec()).unwrap();
    assert!(text.starts_with("* PREAUTH "), "{text}");
    for (n, line) in [
        "* 1 FETCH (UID 1)",
        "* 2 FETCH (UID 2)",
        "* 3 FETCH (UID 3)",
    ]
    .iter()
    .enumerate()
    {
        assert!(text.contains(line), "{n}: {text}");
    }
    let last = text.lines().last().unwrap();
    assert!(last.starts_with(&format!("{end} OK ")), "{text}");
    assert!(text.ends_with("\r\n"));
    for line in text.lines() {
        let tag = line.split(' ').next().unwrap();
        assert!(["*", "a", "b", "c", "d"].contains(&tag), "{line}");
    }
}

fn expect_line(lines: &mut impl BufRead, start: &str) {
    let mut line = String::new();
    lines.read_line(&mut line).unwrap();
    assert!(line.starts_with(start), "{line:?} is not {start:?}");
}

fn is_nonblocking(fd: impl AsFd) -> bool {
    let flags = fcntl(fd, FcntlArg::F_GETFL).unwrap();
    OFlag::from_bits_retain(flags).contains(OFlag::O_NONBLOCK)
}

fn stop(child: &Child, signal: Signal) {
    let id = i32::try_from(child.id()).unwrap();
    kill(Pid::from_raw(id), signal).unwrap();
}
