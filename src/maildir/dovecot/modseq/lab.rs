//! For tests: Dovecot's own programs on a scratch Maildir, where they are installed.

// To whoever reads the tests' output.
#![allow(clippy::print_stderr)]

use std::fs::{File, OpenOptions};
use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

use crate::maildir::disk::dir::scratch::Scratch;

/// A Maildir that Dovecot serves as an unprivileged user.
pub(crate) struct Lab {
    scratch: Scratch,
}

impl Lab {
    /// None, and a line that says so, where Dovecot is not installed.
    pub(crate) fn new(settings: &str) -> Option<Lab> {
        if !Path::new(IMAP).exists() {
            eprintln!("skipped: {IMAP} is not installed");
            return None;
        }
        let scratch = Scratch::new();
        std::fs::create_dir(scratch.path().join("Maildir")).unwrap();
        let home = scratch.path().display();
        let configuration = format!(
            "base_dir = {home}/run\nmail_location = maildir:%h/Maildir\nfirst_valid_uid = 0\nfirst_valid_gid = 0\n\
             namespace inbox {{\n  inbox = yes\n}}\n{settings}\n"
        );
        std::fs::write(scratch.path().join("dovecot.conf"), configuration).unwrap();
        let lab = Lab { scratch };
        drop(lab.open_log());
        lab.share();
        Some(lab)
    }

    pub(crate) fn maildir(&self) -> PathBuf {
        self.scratch.path().join("Maildir")
    }

    /// Gives everything to the user Dovecot runs as; needed where the tests run as root.
    pub(crate) fn share(&self) {
        if nix::unistd::geteuid().is_root() {
            give(self.scratch.path());
        }
    }

    pub(crate) fn imap(&self) -> Imap {
        self.share();
        let mut child = self.run(IMAP, &[]).spawn().unwrap();
        let mut imap = Imap {
            input: child.stdin.take(),
            output: BufReader::new(child.stdout.take().unwrap()),
            child,
            count: 0,
        };
        assert!(imap.line().starts_with("* PREAUTH"));
        imap
    }

    fn run(&self, program: &str, arguments: &[&str]) -> Command {
        use std::os::unix::process::CommandExt;
        let mut command = Command::new(program);
        command
            .arg("-c")
            .arg(self.scratch.path().join("dovecot.conf"))
            .args(arguments)
            .env("HOME", self.scratch.path())
            .env("USER", "somebody")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            // Where it logs as long as no master process tells it otherwise.
            .stderr(self.open_log());
        if nix::unistd::geteuid().is_root() {
            command.uid(NOBODY).gid(NOBODY);
        }
        command
    }

    fn open_log(&self) -> File {
        let path = self.scratch.path().join("log");
        let log = OpenOptions::new().append(true).create(true).open(path);
        log.unwrap()
    }

    /// Everything Dovecot has logged as a warning or an error.
    pub(crate) fn complaints(&self) -> String {
        let log = std::fs::read_to_string(self.scratch.path().join("log")).unwrap();
        let complaints = log.lines().filter(|line| !line.contains(": Info: "));
        complaints.map(|line| format!("{line}\n")).collect()
    }
}

impl Drop for Lab {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("Dovecot says: {}", self.complaints());
        }
    }
}

/// A preauthenticated session with Dovecot.
pub(crate) struct Imap {
    child: Child,
    input: Option<ChildStdin>,
    output: BufReader<ChildStdout>,
    count: u32,
}

impl Imap {
    /// Sends a command; the answer must be OK.  Returns all of it.
    pub(crate) fn ok(&mut self, command: &str) -> String {
        let (answer, ok) = self.command(command);
        assert!(ok, "{command}: {answer}");
        answer
    }

    /// Sends a command; returns its answer and whether that is OK.
    pub(crate) fn command(&mut self, command: &str) -> (String, bool) {
        self.count += 1;
        let tag = format!("a{} ", self.count);
        let line = format!("{tag}{command}\r\n");
        self.input
            .as_mut()
            .unwrap()
            .write_all(line.as_bytes())
            .unwrap();
        let mut answer = String::new();
        loop {
            let line = self.line();
            assert!(!line.is_empty(), "Dovecot ended the session: {answer}");
            answer.push_str(&line);
            if let Some(status) = line.strip_prefix(&tag) {
                return (answer, status.starts_with("OK"));
            }
        }
    }

    pub(crate) fn append(&mut self, mailbox: &str, count: u32) {
        for n in 0..count {
            let text = format!("Subject: {n}\r\n\r\n.\r\n");
            self.ok(&format!("APPEND {mailbox} {{{}+}}\r\n{text}", text.len()));
        }
    }

    /// The number after `code` in what SELECT (CONDSTORE) answers.
    pub(crate) fn select(&mut self, mailbox: &str, code: &str) -> u64 {
        let answer = self.ok(&format!("SELECT {mailbox} (CONDSTORE)"));
        number(&answer, code)
    }

    fn line(&mut self) -> String {
        let mut line = Vec::new();
        self.output.read_until(b'\n', &mut line).unwrap();
        String::from_utf8_lossy(&line).into_owned()
    }
}

impl Drop for Imap {
    fn drop(&mut self) {
        drop(self.input.take());
        let _ = self.child.wait();
    }
}

/// The number after `word` in `text`, 0 where there is none.
pub(crate) fn number(text: &str, word: &str) -> u64 {
    let digits = text.split(word).nth(1).unwrap_or_default().trim_start();
    let end = digits
        .find(|c: char| !c.is_ascii_digit())
        .unwrap_or(digits.len());
    digits[..end].parse().unwrap_or(0)
}

fn give(path: &Path) {
    use std::os::unix::fs::{PermissionsExt, lchown};
    lchown(path, Some(NOBODY), Some(NOBODY)).unwrap();
    let kind = std::fs::symlink_metadata(path).unwrap();
    if kind.is_dir() {
        std::fs::set_permissions(path, PermissionsExt::from_mode(0o777)).unwrap();
        for entry in std::fs::read_dir(path).unwrap() {
            give(&entry.unwrap().path());
        }
    }
}

const IMAP: &str = "/usr/lib/dovecot/imap";
const NOBODY: u32 = 65534;
