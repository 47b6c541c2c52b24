//! Real mail programs against the server: what people will use, as they use it.
//!
//! Every program's own configuration is written into the work directory; nothing of the user's is
//! read or changed. A program that is not installed is skipped with a word, unless `tests/run`,
//! which installs them all, says that nothing may be.

// A test says what it skips and what it measured.
#![allow(clippy::print_stderr)]

mod support;

#[path = "clients/curl.rs"]
mod curl;
#[path = "clients/fetchmail.rs"]
mod fetchmail;
#[path = "clients/imapflow.rs"]
mod imapflow;
#[path = "clients/imaplib.rs"]
mod imaplib;
#[path = "clients/mbsync.rs"]
mod mbsync;
#[path = "clients/mutt.rs"]
mod mutt;
#[path = "clients/offlineimap.rs"]
mod offlineimap;
#[path = "clients/postfix.rs"]
mod postfix;

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use support::*;

/// Whether the program can be run; if not, the test is to be skipped.
fn missing(program: &str) -> Option<String> {
    let found = std::env::var_os("PATH").is_some_and(|path| {
        std::env::split_paths(&path).any(|directory| directory.join(program).exists())
    });
    (!found).then(|| format!("{program} is not installed"))
}

/// A command with the user's home in the work directory and no terminal, ended after five minutes.
fn command(mail: &Mail, program: &str) -> Command {
    let mut command = Command::new("timeout");
    command
        .args(["300", program])
        .env("HOME", mail.directory("client"))
        .env("TZ", "UTC")
        .env("LC_ALL", "C.UTF-8")
        .env_remove("MAIL")
        .current_dir(mail.directory("client"))
        .stdin(Stdio::null());
    command
}

/// Runs the command, which must succeed; gives what it printed.
#[track_caller]
fn run(command: &mut Command) -> String {
    let (status, printed) = attempt(command);
    assert!(
        status == Some(0),
        "{command:?} ended with {status:?}\n{printed}"
    );
    printed
}

/// Runs the command; gives its exit status and what it printed.
#[track_caller]
fn attempt(command: &mut Command) -> (Option<i32>, String) {
    let output = command
        .output()
        .unwrap_or_else(|e| panic!("{command:?}: {e}"));
    let mut printed = String::from_utf8_lossy(&output.stdout).into_owned();
    printed += &String::from_utf8_lossy(&output.stderr);
    (output.status.code(), printed)
}

/// The command that serves the mail on standard input and output, for a `Tunnel` in a
/// configuration file.
fn tunnel(mail: &Mail) -> String {
    let command = Program::under_test().preauth(mail, &[]);
    let mut line = "env".to_owned();
    for (name, value) in command.get_envs() {
        let value = value.unwrap_or_default().to_string_lossy();
        line += &format!(" {}={value}", name.to_string_lossy());
    }
    line += &format!(" {}", command.get_program().to_string_lossy());
    for argument in command.get_args() {
        line += &format!(" {}", argument.to_string_lossy());
    }
    line
}

/// A Maildir folder as its messages: Message-ID and flag letters.
fn contents(folder: &Path) -> BTreeMap<String, String> {
    let mut contents = BTreeMap::new();
    for path in files(folder) {
        let text = fs::read_to_string(&path).expect("a message");
        let id = text
            .lines()
            .find_map(|line| line.strip_prefix("Message-ID: "))
            .unwrap_or_else(|| panic!("{} has no Message-ID", path.display()));
        let name = path
            .file_name()
            .expect("a name")
            .to_string_lossy()
            .into_owned();
        let flags = name.split_once(":2,").map_or("", |(_, flags)| flags);
        let before = contents.insert(id.trim().to_owned(), flags.to_owned());
        assert!(
            before.is_none(),
            "{id} is there twice in {}",
            folder.display()
        );
    }
    contents
}

/// The message files of a folder.
fn files(folder: &Path) -> Vec<PathBuf> {
    let mut files = Vec::new();
    for sub in ["new", "cur"] {
        let Ok(entries) = fs::read_dir(folder.join(sub)) else {
            continue;
        };
        files.extend(entries.map(|entry| entry.expect("an entry").path()));
    }
    files.sort();
    files
}
