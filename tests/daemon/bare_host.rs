//! A host that has nothing but what the package depends on: no certificate of anybody's, no
//! directory of ours.

use std::fs;
use std::net::TcpListener;
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::process::{Command, Output, Stdio};

use super::inetd::cannot_mount;
use crate::support::*;

/// With no certificate named, on a host that has none.
fn without_certificates(place: Place) -> Daemon {
    Daemon::prepare_in(place, &["tls.certificate = []", "tls.key = []"])
}

/// The command where neither ssl-cert nor the administrator has put a certificate.
fn on_a_bare_host(command: &Command) -> Command {
    let mut bare = Command::new("unshare");
    bare.args(["--mount", "sh", "-c", BARE, "sh"])
        .arg(command.get_program())
        .args(command.get_args())
        .env_remove("NOTIFY_SOCKET")
        .env_remove("LISTEN_FDS");
    bare
}

const BARE: &str = "for folder in /etc/ssl /etc/roost; do\n\
                    [ ! -d $folder ] || mount -t tmpfs none $folder || exit 99; done\nexec \"$@\"";

fn run(daemon: &mut Daemon) {
    let mut command = on_a_bare_host(&daemon.command());
    daemon.adopt(&mut command);
    daemon.run_by(command);
}

fn own_certificate(daemon: &Daemon) -> PathBuf {
    daemon.place().join("state").join("self-signed.pem")
}

#[test]
fn a_host_without_any_certificate_has_tls_with_one_that_is_made_and_kept() {
    as_root!();
    if let Some(why) = cannot_mount() {
        skip!("{why}");
    }
    let alice = User::new();
    let mut daemon = without_certificates(Place::new());
    run(&mut daemon);
    let path = own_certificate(&daemon);
    let made = fs::read(&path).expect("a certificate");
    let key = fs::metadata(path.with_extension("key")).expect("its key");
    assert_eq!(key.permissions().mode() & 0o777, 0o600);

    let mut tls = daemon::client_over_tls(
        std::net::TcpStream::connect(("127.0.0.1", daemon.tls_port)).expect("a connection"),
        &made,
    );
    assert!(tls.read().matches("OK ..."));
    tls.ok(&alice.login());
    let mut starttls = daemon.dial();
    starttls.ok("STARTTLS");
    starttls.start_tls(&made);
    starttls.ok(&alice.login());

    // Another front gets the same, and so does the next start.
    let front = daemon.front();
    front.signal(nix::sys::signal::Signal::SIGKILL);
    eventually("another front", || {
        let fronts = daemon.monitor().children();
        fronts
            .iter()
            .any(|child| child.is_alive() && *child != front && child.title().contains("front"))
            .then_some(())
    });
    daemon.wait_for_greeting();
    assert_eq!(daemon::shown_certificate(daemon.tls_port), made);
    daemon.terminate();
    assert_eq!(daemon.wait_for_end(), Some(0), "{}", daemon.log());
    run(&mut daemon);
    assert_eq!(daemon::shown_certificate(daemon.tls_port), made);
    assert_eq!(fs::read(&path).expect("a certificate"), made);

    let log = daemon.log();
    let warnings: Vec<&str> = log
        .lines()
        .filter(|line| line.contains("no client can verify"))
        .collect();
    assert_eq!(warnings.len(), 1, "{log}");
    assert!(warnings[0].contains(&path.display().to_string()), "{log}");
}

#[test]
fn under_inetd_a_host_without_any_certificate_has_tls_too() {
    as_root!();
    if let Some(why) = cannot_mount() {
        skip!("{why}");
    }
    let alice = User::new();
    let daemon = without_certificates(Place::new());
    let listener = TcpListener::bind("127.0.0.1:0").expect("a listener");
    let address = listener.local_addr().expect("its address");
    let tcp = std::net::TcpStream::connect(address).expect("a connection");
    tcp.set_read_timeout(Some(patience())).expect("a timeout");
    let (accepted, _) = listener.accept().expect("a client");
    let mut command = on_a_bare_host(&daemon.roost(&["--inetd-tls"]));
    let mut roost = command
        .stdin(std::os::fd::OwnedFd::from(accepted))
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .expect("roost");
    drop(command);
    eventually("a certificate", || {
        own_certificate(&daemon).exists().then_some(())
    });
    let made = fs::read(own_certificate(&daemon)).expect("a certificate");
    let mut client = daemon::client_over_tls(tcp, &made);
    assert!(client.read().matches("OK ..."));
    client.ok(&alice.login());
    client.logout();
    assert!(roost.wait().expect("its status").success());
}

#[test]
fn where_no_certificate_can_be_made_the_check_and_the_log_say_that_nobody_gets_in() {
    as_root!();
    if let Some(why) = cannot_mount() {
        skip!("{why}");
    }
    let place = Place::new();
    let blocked = place.write("blocked", "no directory");
    let mut daemon = without_certificates(place);
    daemon.set(&format!("process.state_dir = \"{}\"", blocked.display()));
    let check = |daemon: &Daemon| -> Output {
        let command = daemon.roost(&["check"]);
        on_a_bare_host(&command).output().expect("roost")
    };
    let output = check(&daemon);
    let error = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(78), "{error}");
    let told = format!("{} is no directory", blocked.display());
    assert!(error.contains(&told), "{error}");
    assert!(
        error.contains("nobody can log in from another host"),
        "{error}"
    );

    run(&mut daemon);
    assert_eq!(daemon.count("TLS is not offered"), 1, "{}", daemon.log());
    daemon.terminate();
    daemon.wait_for_end();

    // Where one can be made, the check says that it will be.
    let state = daemon.place().join("state");
    daemon.set(&format!("process.state_dir = \"{}\"", state.display()));
    let output = check(&daemon);
    let error = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(0), "{error}");
    assert!(
        error.contains("Roost makes one that no client can verify"),
        "{error}"
    );
}
