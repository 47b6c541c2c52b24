//! `--preauth` on whatever standard input and output may be: pipes, files, a terminal.

use std::fs::File;
use std::io::Write;
use std::process::Stdio;

use crate::support::*;

const SESSION: &str = "1 SELECT INBOX\r\n2 FETCH 1 BODY.PEEK[TEXT]\r\n3 LOGOUT\r\n";

#[track_caller]
fn complete(output: &str) {
    assert!(output.starts_with("* PREAUTH "), "{output}");
    assert!(
        output.contains("* 1 FETCH (BODY[TEXT] {8}\r\nFirst.\r\n)\r\n"),
        "{output}"
    );
    assert!(
        output.contains("* BYE ") && output.contains("\r\n3 OK "),
        "{output}"
    );
}

#[test]
fn two_pipes() {
    let mail = Mail::with(["one.eml"]);
    let mut command = Program::under_test().preauth(&mail, &[]);
    command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null());
    let mut child = command.spawn().expect("the server");
    let mut stdin = child.stdin.take().expect("a pipe");
    stdin.write_all(SESSION.as_bytes()).expect("written");
    drop(stdin);
    let output = child.wait_with_output().expect("its output");
    assert!(output.status.success());
    complete(&String::from_utf8_lossy(&output.stdout));
}

#[test]
fn plain_files() {
    let mail = Mail::with(["one.eml"]);
    let script = mail.write("script", SESSION);
    let answers = mail.work().join("answers");
    let mut command = Program::under_test().preauth(&mail, &[]);
    command
        .stdin(File::open(script).expect("the script"))
        .stdout(File::create(&answers).expect("a file"))
        .stderr(Stdio::null());
    let status = command.status().expect("the server");
    assert!(status.success());
    complete(&std::fs::read_to_string(answers).expect("answers"));
}

#[test]
fn a_script_without_logout_is_carried_out_to_its_end() {
    let mail = Mail::with(["one.eml"]);
    let script = mail.write("script", "1 SELECT INBOX\r\n2 STORE 1 +FLAGS (\\Seen)\r\n");
    let mut command = Program::under_test().preauth(&mail, &[]);
    command
        .stdin(File::open(script).expect("the script"))
        .stderr(Stdio::null());
    let output = command.output().expect("the server");
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(text.contains("2 OK "), "{text}");
    assert_eq!(mail.inbox().flags(&mail.inbox().bases()[0]), "S");
}

#[test]
fn a_terminal() {
    let mail = Mail::with(["one.eml"]);
    let command = Program::under_test().preauth(&mail, &[]);
    let line: Vec<String> = std::iter::once(command.get_program())
        .chain(command.get_args())
        .map(|word| format!("'{}'", word.to_string_lossy()))
        .collect();
    let mut script = std::process::Command::new("script");
    script
        .args([
            "--quiet",
            "--return",
            "--echo",
            "never",
            "--command",
            &line.join(" "),
            "/dev/null",
        ])
        .envs(
            command
                .get_envs()
                .filter_map(|(name, value)| Some((name, value?))),
        )
        .current_dir(mail.work())
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null());
    let mut child = script.spawn().expect("a terminal");
    let mut stdin = child.stdin.take().expect("a pipe");
    stdin
        .write_all(b"1 SELECT INBOX\n2 LOGOUT\n")
        .expect("typed");
    let output = child.wait_with_output().expect("its output");
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(
        text.contains("* 1 EXISTS") && text.contains("2 OK "),
        "{text}"
    );
}

#[test]
fn the_server_ends_when_its_client_does() {
    let mail = Mail::with(["one.eml"]);
    let mut a = mail.select();
    a.finish_writing();
    a.read_to_end();
    a.wait_for_the_end();
}

#[test]
fn sigterm_ends_it_with_a_bye() {
    let mail = Mail::with(["one.eml"]);
    let mut a = mail.select();
    a.process().terminate();
    let last = a.read_to_end();
    assert!(last.iter().any(|response| response.matches("BYE ...")));
}

#[test]
fn what_is_being_answered_at_sigterm_is_answered_before_the_bye() {
    let mail = Mail::new();
    mail.inbox().store(&[b'x'; LARGE], "");
    let mut a = mail.select();
    let fetch = a.start("FETCH 1 BODY.PEEK[]");
    eventually("the answer to begin", || a.has_input().then_some(()));
    a.process().terminate();
    let reply = a.finish(&fetch);
    assert_eq!(reply.bytes(1, "BODY[]").len(), LARGE);
    let last = a.read_to_end();
    assert!(last.iter().any(|response| response.matches("BYE ...")));
}

#[test]
fn a_client_that_takes_its_time_to_read_an_answer_is_not_idle() {
    roost_only!("a setting of ours");
    let mail = Mail::new();
    mail.inbox().store(&[b'x'; LARGE], "");
    let settings = ["mail.idle_timeout=1s"];
    let mut a = Server::preauth_with(&mail, &settings);
    // All at once, for between two commands it might be idle.
    a.send_raw(b"x1 SELECT INBOX\r\nx2 FETCH 1 BODY.PEEK[]\r\nx3 NOOP\r\n");
    a.finish("x1");
    // Another, who is idle since then, is sent away in the meantime.
    Server::preauth_with(&mail, &settings).read_to_end();
    let reply = a.finish("x2");
    assert_eq!(reply.bytes(1, "BODY[]").len(), LARGE);
    assert_eq!(a.finish("x3").tagged.word(), "OK");
}

/// More than a socket holds and a connection's buffer.
const LARGE: usize = 3_000_000;
