//! PAM without root: pam_wrapper(1) gives a process rules of its own, and pam_matrix users.
//!
//! It must be there when the program is loaded, so each test runs itself again with it.

use std::path::Path;
use std::process::Command;

use roost::auth::authenticate;
use roost::config::{AuthSource, Config};
use roost::ipc::{Protocol, Refusal};

use crate::login::{Silence, config, log, password, refused, request};
use crate::support::{Place, place};

const LIBRARY: &str = "/usr/lib/x86_64-linux-gnu/libpam_wrapper.so";
const MATRIX: &str = "/usr/lib/x86_64-linux-gnu/pam_wrapper/pam_matrix.so";

/// Runs the test of that name again with these rules.  True in that second process.
fn wrapped(name: &str, options: &str) -> bool {
    if std::env::var_os("PAM_WRAPPER").is_some() {
        return true;
    }
    if !Path::new(LIBRARY).exists() || !Path::new(MATRIX).exists() {
        eprintln!("skipped: needs libpam-wrapper");
        return false;
    }
    let place = Place::new();
    let users = place.write("passdb", "alice:secret:matrix\n");
    let rules: String = ["auth", "account", "password", "session"]
        .iter()
        .map(|kind| {
            format!(
                "{kind} required {MATRIX} passdb={} {options}\n",
                users.display()
            )
        })
        .collect();
    for service in ["matrix", "other"] {
        place.write(service, &rules);
    }
    let mut command = Command::new(std::env::current_exe().unwrap());
    command
        .args(["--exact", name, "--test-threads=1", "--nocapture"])
        .env("LD_PRELOAD", LIBRARY)
        .env("PAM_WRAPPER", "1")
        .env("PAM_WRAPPER_SERVICE_DIR", place.path());
    let printed = place::succeed(&mut command);
    assert!(printed.contains("1 passed"), "{printed}");
    false
}

fn matrix() -> Config {
    Config {
        auth_pam_service: String::from("matrix"),
        ..config(vec![AuthSource::Pam])
    }
}

/// Only the name, as these users have no numbers.
fn login(user: &str, word: &str) -> Result<String, Refusal> {
    let mut ask = request(password(user, word));
    ask.protocol = Protocol::Sasl;
    authenticate(&matrix(), &ask, &mut Silence).map(|admission| admission.account.user)
}

#[test]
fn a_user_of_the_matrix_is_let_in() {
    if wrapped("wrapper::a_user_of_the_matrix_is_let_in", "") {
        assert_eq!(login("alice", "secret").as_deref(), Ok("alice"));
        assert_eq!(login("alice", "wrong"), Err(Refusal::Mismatch));
        assert_eq!(login("nobody", "secret"), Err(Refusal::Mismatch));
    }
}

/// It gives no place for an answer with them.
#[test]
fn a_module_that_talks_does_no_harm() {
    if wrapped("wrapper::a_module_that_talks_does_no_harm", "verbose") {
        assert_eq!(login("alice", "secret").as_deref(), Ok("alice"));
        log();
        assert_eq!(login("alice", "wrong"), Err(Refusal::Mismatch));
        let log = log();
        assert!(
            log.iter().any(|line| line.contains("a module says:")),
            "{log:?}"
        );
    }
}

#[test]
fn who_has_no_numbers_has_no_mail() {
    if wrapped("wrapper::who_has_no_numbers_has_no_mail", "") {
        let ask = request(password("alice", "secret"));
        let result = authenticate(&matrix(), &ask, &mut Silence);
        assert_eq!(refused(result), Refusal::NoMail);
    }
}
