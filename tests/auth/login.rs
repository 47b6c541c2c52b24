//! A login without a daemon, and what it writes to the log.

use std::cell::RefCell;
use std::path::Path;
use std::sync::Once;

use log::{Level, LevelFilter, Metadata, Record};
use roost::auth::{Admission, Dialogue, authenticate};
use roost::config::{AuthSource, Config};
use roost::ipc::{LoginRequest, Origin, Proof, Protocol, Refusal};
use roost::mail::Secret;

use crate::support::{PamService, User};

/// A configuration that asks these.
pub fn config(sources: Vec<AuthSource>) -> Config {
    listen();
    Config {
        auth_sources: sources,
        ..Config::default()
    }
}

pub fn with_pam(service: &PamService) -> Config {
    Config {
        auth_pam_service: service.name.clone(),
        ..config(vec![AuthSource::Pam])
    }
}

pub fn with_file(path: &Path) -> Config {
    config(vec![AuthSource::PasswdFile(path.to_owned())])
}

pub fn request(proof: Proof) -> LoginRequest {
    LoginRequest {
        protocol: Protocol::Imap,
        origin: Origin {
            remote: Some("203.0.113.5:4711".parse().unwrap()),
            local: Some("192.0.2.1:143".parse().unwrap()),
            tls: true,
            session: String::from("q2b6Ab1cdef"),
        },
        proof,
    }
}

pub fn password(user: &str, password: &str) -> Proof {
    Proof::Password {
        mechanism: "PLAIN",
        user: user.into(),
        authorize: Vec::new(),
        password: Secret::new(password.into()),
    }
}

/// LOGIN.
pub fn login(config: &Config, user: &str, word: &str) -> Result<Admission, Refusal> {
    authenticate(config, &request(password(user, word)), &mut Silence)
}

/// LOGIN as a user of the test's with the right password.
pub fn log_in(config: &Config, user: &User) -> Result<Admission, Refusal> {
    login(config, &user.name, User::PASSWORD)
}

/// Why somebody is not let in.
#[track_caller]
pub fn refused(result: Result<Admission, Refusal>) -> Refusal {
    match result {
        Ok(admission) => panic!("{:?} is let in", admission.account),
        Err(refusal) => refusal,
    }
}

/// What was logged in this thread since this was last asked, but for details.
pub fn log() -> Vec<String> {
    LINES.take()
}

/// For proofs that need no exchange.
pub struct Silence;

impl Dialogue for Silence {
    fn challenge(&mut self, _challenge: Secret) -> Option<Secret> {
        panic!("there is nothing to ask");
    }
}

pub fn is_root() -> bool {
    let root = nix::unistd::geteuid().is_root();
    if !root {
        eprintln!("skipped: needs root");
    }
    root
}

thread_local! {
    static LINES: RefCell<Vec<String>> = const { RefCell::new(Vec::new()) };
}

struct Lines;

impl log::Log for Lines {
    fn enabled(&self, _: &Metadata<'_>) -> bool {
        true
    }

    fn log(&self, record: &Record<'_>) {
        if record.level() <= Level::Info {
            LINES.with_borrow_mut(|lines| lines.push(record.args().to_string()));
        }
    }

    fn flush(&self) {}
}

fn listen() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        log::set_logger(&Lines).unwrap();
        log::set_max_level(LevelFilter::Trace);
    });
}
