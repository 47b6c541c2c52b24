//! What every test of a running server stands on.
//!
//! [`Mail`] is a work directory with a Maildir in it, which the test also touches as another
//! program would. [`Server`] is a server over it, [`Client`] a conversation with one. Which server
//! is decided in one place, [`Program::under_test`]: Roost; Roost's whole daemon when
//! `ROOST_UNDER_TEST=daemon`, so that what is tried is what is shipped; or Debian's Dovecot when it
//! is `dovecot`, so that what we expect can be tried on the server we stand in for.
//!
//! Every response a client reads is checked twice before a test sees it: by the grammar in
//! [`grammar`] and, for what it knows, by imap-codec. A test compares responses by meaning
//! ([`response`]): the order of flags, the form of a set or a string does not matter.

// Each test program uses its own part of this module.
#![allow(dead_code, unused_imports, clippy::print_stderr)]

mod auth_service;
mod client;
pub mod daemon;
mod dovecot;
pub mod grammar;
mod mail;
mod message;
pub mod place;
mod port;
mod proc;
mod reply;
pub mod response;
mod server;
mod whole;
mod wire;

pub use auth_service::AuthService;
pub use client::{Client, Idle};
pub use daemon::{Certificate, Daemon};
pub use dovecot::{doveadm, lda};
pub use mail::{Folder, MAIL, Mail, full_of_keywords, own};
pub use message::{crlf, numbered, text};
pub use place::{PamService, Place, User};
pub use port::free_port;
pub use proc::{Proc, Socket};
pub use reply::{Reply, expunge, numbers_before};
pub use response::{Captures, Response, Token};
pub use server::{Process, Program, Server};
pub use whole::Whole;

use std::time::Duration;

/// How long a test waits for what must come. Only a failing test ever waits this long; where tests
/// are meant to fail, `ROOST_TEST_PATIENCE` says how many seconds are enough.
pub fn patience() -> Duration {
    let seconds = std::env::var("ROOST_TEST_PATIENCE")
        .ok()
        .and_then(|seconds| seconds.parse().ok());
    Duration::from_secs(seconds.unwrap_or(180))
}

/// Whether `tests/differences.md` lists this test or script as one that Dovecot must fail.
pub fn differs_from_dovecot(name: &str) -> bool {
    let listed = format!("| `{name}` |");
    include_str!("../differences.md")
        .lines()
        .any(|line| line.starts_with(&listed))
}

/// Panics if a server's log has what no server may ever say, whatever was done to it.
#[track_caller]
pub fn check_log(log: &str) {
    for line in log.lines() {
        let never = [
            "panicked",
            "is not listed (src/sys/sandbox",
            "killed by signal 31",
        ];
        assert!(!never.iter().any(|words| line.contains(words)), "{log}");
    }
}

/// Polls until `happened` gives something; for effects no server announces, like a file on disk.
#[track_caller]
pub fn eventually<T>(what: &str, mut happened: impl FnMut() -> Option<T>) -> T {
    let start = std::time::Instant::now();
    loop {
        if let Some(value) = happened() {
            return value;
        }
        assert!(start.elapsed() < patience(), "waited in vain: {what}");
        std::thread::sleep(Duration::from_millis(5));
    }
}

/// Leaves the test with a printed reason. A skipped test says why; under `ROOST_SKIP_NOTHING`
/// (set by `tests/run`, which has installed everything) it fails instead.
#[allow(unused_macros)]
macro_rules! skip {
    ($($why:tt)*) => {{
        let why = format!($($why)*);
        assert!(std::env::var_os("ROOST_SKIP_NOTHING").is_none(), "not to be skipped: {why}");
        eprintln!("skipped: {why}");
        return;
    }};
}

/// Leaves a test that only root can run, saying so.
#[allow(unused_macros)]
macro_rules! as_root {
    () => {
        if !nix::unistd::geteuid().is_root() {
            eprintln!("skipped: the daemon is started by root only");
            return;
        }
    };
}

/// Leaves a test of something that Dovecot 2.3 does not have at all, when Dovecot is under test.
#[allow(unused_macros)]
macro_rules! roost_only {
    ($why:literal) => {
        if $crate::support::Program::under_test() == $crate::support::Program::Dovecot {
            eprintln!("not for Dovecot: {}", $why);
            return;
        }
    };
}

pub(crate) use as_root;
pub(crate) use roost_only;
pub(crate) use skip;
