//! The host is upgraded under a running daemon: other libraries, other PAM modules, another
//! program.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use super::processes::Gate;
use crate::support::*;

/// The files that a process has mapped, with ` (deleted)` behind what has another name now or none.
fn mapped(process: Proc) -> String {
    fs::read_to_string(format!("/proc/{}/maps", process.0)).expect("maps")
}

/// The PAM library that the program has.
fn pam_library() -> PathBuf {
    let listed = place::succeed(Command::new("ldd").arg(env!("CARGO_BIN_EXE_roost")));
    let line = listed.lines().find(|line| line.contains("libpam.so.0"));
    let path = line.and_then(|line| line.split_whitespace().nth(2));
    PathBuf::from(path.unwrap_or_else(|| panic!("{listed}")))
}

/// Puts a file there that is another one than before.
fn replace(path: &Path, by: &Path) {
    let temporary = path.with_extension("new");
    fs::copy(by, &temporary).expect("a copy");
    fs::rename(&temporary, path).expect("renamed");
}

#[test]
fn a_login_has_the_libraries_that_the_host_has_now() {
    as_root!();
    let alice = User::new();
    let gate = Gate::new();
    let place = Place::new();
    let libraries = place.directory_of("lib", 0, 0);
    let library = libraries.join("libpam.so.0");
    fs::copy(pam_library(), &library).expect("a copy");
    let mut daemon = Daemon::prepare_in(place, &[&gate.setting()]);
    daemon.with_environment("LD_LIBRARY_PATH", &libraries.display().to_string());
    daemon.run();
    replace(&library, &pam_library());

    let old = format!("{} (deleted)", library.display());
    assert!(
        mapped(daemon.monitor()).contains(&old),
        "not what was meant"
    );
    let mut client = daemon.dial();
    let tag = client.start(&alice.login());
    gate.wait_for(1);
    let child = daemon.login_children()[0];
    let maps = mapped(child);
    assert!(maps.contains(&library.display().to_string()), "{maps}");
    assert!(!maps.contains(&old), "{maps}");
    gate.open();
    client.finish(&tag).tagged("OK ...");
}

#[test]
fn a_module_that_cannot_be_loaded_is_no_wrong_password() {
    as_root!();
    let alice = User::new();
    let place = Place::new();
    let broken = place.write("pam_broken.so", "no library");
    let absent = place.join("pam_absent.so");
    // As distributions write it: what says nothing is passed over, and at the end nobody is let in.
    let services = [
        format!(
            "auth [success=1 default=ignore] {}\nauth requisite pam_deny.so\n\
             auth required pam_permit.so\naccount required pam_unix.so\n",
            broken.display()
        ),
        format!(
            "auth sufficient {}\nauth requisite pam_deny.so\naccount required pam_unix.so\n",
            absent.display()
        ),
        format!(
            "auth required pam_unix.so\naccount [success=1 default=ignore] {}\n\
             account requisite pam_deny.so\naccount required pam_permit.so\n",
            broken.display()
        ),
        format!(
            "auth required {}\naccount required pam_unix.so\n",
            absent.display()
        ),
    ];
    for text in &services {
        let service = PamService::new(text);
        let daemon = Daemon::start(&[&format!("auth.pam_service = \"{}\"", service.name)]);
        let mut client = daemon.dial();
        client.no(&alice.login()).code("UNAVAILABLE");
        client.logout();
        let line = daemon.logs("cannot be loaded");
        for part in [
            &*alice.name,
            "/pam_",
            &format!("/etc/pam.d/{}", service.name),
        ] {
            assert!(line.contains(part), "{part}: {line}");
        }
        daemon.logs("auth process communication failure");
        // Nothing that bans an address.
        for words in ["auth failed", "pam_authenticate() failed", "mismatch"] {
            assert_eq!(daemon.count(words), 0, "{words}: {}", daemon.log());
        }
    }
}

#[test]
fn a_module_that_may_be_missing_changes_nothing() {
    as_root!();
    let alice = User::new();
    let service = PamService::new(
        "-auth sufficient pam_roost_absent.so\nauth optional pam_roost_absent.so\n\
         auth required pam_unix.so\naccount required pam_unix.so\n",
    );
    let daemon = Daemon::start(&[&format!("auth.pam_service = \"{}\"", service.name)]);
    let mut client = daemon.dial();
    client
        .no(&format!("LOGIN {} wrong", alice.name))
        .code("AUTHENTICATIONFAILED");
    client.ok(&alice.login());
}

#[test]
fn a_program_that_is_replaced_serves_on_as_it_is_and_says_so() {
    as_root!();
    let alice = User::new();
    let place = Place::new();
    let program = place.join("roost");
    fs::copy(env!("CARGO_BIN_EXE_roost"), &program).expect("a copy");
    let mut daemon = Daemon::prepare_in(place, &[]);
    let mut command = Command::new(&program);
    command.args(daemon.command().get_args());
    daemon.adopt(&mut command);
    daemon.run_by(command);
    // It would not serve anybody.
    replace(&program, Path::new("/bin/false"));
    daemon.connect(&alice).ok("NOOP");
    let front = daemon.front();
    front.signal(nix::sys::signal::Signal::SIGKILL);
    eventually("the front to be gone", || (!front.is_alive()).then_some(()));
    daemon.wait_for_greeting();
    daemon.connect(&alice).ok("NOOP");
    daemon.logs("The program has been replaced");
}
