//! What goes wrong where privilege changes hands: PAM modules that misbehave, homes that cannot be
//! entered, processes that are killed, a standard input that is no client.

use std::fs;
use std::net::TcpListener;
use std::os::fd::OwnedFd;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use nix::sys::signal::Signal;

use crate::support::*;

/// A PAM module that does what a file says, in the step that it names.
struct Mischief {
    place: Place,
    service: PamService,
}

impl Mischief {
    fn new() -> Option<Mischief> {
        let place = Place::new();
        let orders = place.write("orders", "");
        let module = compile(&place, &orders)?;
        let module = module.display();
        let service = PamService::new(&format!(
            "auth required pam_unix.so\nauth required {module}\naccount required pam_unix.so\n\
             session required {module}\n"
        ));
        Some(Mischief { place, service })
    }

    fn order(&self, step: &str, user: &User, deed: &str) {
        let text = format!("{step} {} {deed}\n", user.name);
        self.place.write("orders", text);
    }

    fn setting(&self) -> String {
        format!("auth.pam_service = \"{}\"", self.service.name)
    }

    fn has_closed(&self) -> bool {
        self.place.join("orders.closed").exists()
    }
}

fn compile(place: &Place, orders: &Path) -> Option<PathBuf> {
    let source = include_str!("mischief.c").replace("@ORDERS@", &orders.display().to_string());
    let source = place.write("mischief.c", source);
    let module = place.join("mischief.so");
    let mut compiler = Command::new("cc");
    compiler
        .args(["-shared", "-fPIC", "-o"])
        .arg(&module)
        .arg(source)
        .args(["-lpam", "-lpthread"]);
    let compiled = compiler
        .output()
        .is_ok_and(|output| output.status.success());
    compiled.then_some(module)
}

fn nobody_is_left(daemon: &Daemon) {
    eventually("no connection and no login child", || {
        let metrics = daemon.ask(&["metrics"]);
        let is_zero = |name: &str| {
            let line = metrics.lines().find(|line| line.starts_with(name));
            line.unwrap_or_else(|| panic!("{name}: {metrics}"))
                .ends_with(" 0")
        };
        let who = daemon.ask(&["who"]);
        let is_quiet = who.lines().count() == 1
            && is_zero("roost_sessions ")
            && is_zero("roost_login_children ")
            && daemon.login_children().is_empty();
        is_quiet.then_some(())
    });
}

#[test]
fn a_pam_module_that_misbehaves_spoils_its_own_login_at_most() {
    as_root!();
    let Some(mischief) = Mischief::new() else {
        skip!("no C compiler for a PAM module");
    };
    let (alice, bob) = (User::new(), User::new());
    let daemon = Daemon::start(&[
        &mischief.setting(),
        "auth.pam_session = true",
        "auth.timeout = \"4s\"",
        "mail.linger = \"0s\"",
    ]);
    let monitor = daemon.monitor();
    for step in ["auth", "open"] {
        for deed in [
            "exit", "abort", "close", "fork", "thread", "euid", "print", "hang", "root", "kill",
        ] {
            mischief.order(step, &alice, deed);
            let mut client = daemon.dial();
            let reply = client.command(&alice.login());
            eprintln!("{step} {deed}: {}", reply.tagged);
            if reply.tagged.matches("OK ...") {
                client.ok("SELECT INBOX");
                let session = daemon.session_of(&alice);
                assert_eq!(session.uids(), [alice.uid; 4], "{step} {deed}");
                assert_eq!(session.groups(), [alice.gid], "{step} {deed}");
                client.logout();
            }
            daemon.connect(&bob).logout();
        }
    }
    mischief.order("no", &alice, "more");
    daemon.connect(&alice).logout();
    nobody_is_left(&daemon);
    assert_eq!(daemon.monitor(), monitor);
    assert_eq!(daemon.count("panicked"), 0);
}

#[test]
fn what_a_pam_module_changes_in_its_process_does_not_reach_the_session() {
    as_root!();
    let Some(mischief) = Mischief::new() else {
        skip!("no C compiler for a PAM module");
    };
    let alice = User::new();
    for keeps in [true, false] {
        let daemon = Daemon::start(&[
            &mischief.setting(),
            &format!("auth.pam_session = {keeps}"),
            "mail.linger = \"0s\"",
        ]);
        mischief.order(if keeps { "open" } else { "auth" }, &alice, "change");
        let mut client = daemon.connect(&alice);
        client.ok("SELECT INBOX");
        let session = daemon.session_of(&alice);
        let environment = session.environment();
        let is_odd = |variable: &String| variable.starts_with("LD_") || variable.contains("/evil");
        assert!(!environment.iter().any(is_odd), "{environment:?}");
        assert_eq!(session.directory(), Path::new("/"));
        // Until after its alarm, by which it is not ended.
        let begun = std::time::Instant::now();
        while begun.elapsed() < std::time::Duration::from_millis(300) {
            client.ok("NOOP");
        }
        assert_eq!(session.status("Umask"), "0077");
        client.logout();
        if keeps {
            eventually("the PAM session to be closed", || {
                mischief.has_closed().then_some(())
            });
        }
        nobody_is_left(&daemon);
    }
}

#[test]
fn a_daemon_ends_though_pam_hangs_when_a_session_is_closed() {
    as_root!();
    let Some(mischief) = Mischief::new() else {
        skip!("no C compiler for a PAM module");
    };
    let alice = User::new();
    let mut daemon = Daemon::start(&[
        &mischief.setting(),
        "auth.pam_session = true",
        "mail.linger = \"0s\"",
    ]);
    mischief.order("close", &alice, "hang");
    daemon.connect(&alice).logout();
    daemon.connect(&alice).logout();
    daemon.terminate();
    assert_eq!(daemon.wait_for_end(), Some(0), "{}", daemon.log());
}

#[test]
fn a_session_ends_with_the_process_that_keeps_its_pam_session() {
    as_root!();
    let alice = User::new();
    let daemon = Daemon::start(&["auth.pam_session = true"]);
    let mut client = daemon.connect(&alice);
    let session = daemon.session_of(&alice);
    let keeper = session.parent().expect("a parent");
    assert_ne!(keeper, daemon.monitor());
    keeper.signal(Signal::SIGKILL);
    client.read_to_end();
    nobody_is_left(&daemon);
    eventually("the session to end", || (!session.is_alive()).then_some(()));
    daemon.connect(&alice).ok("SELECT INBOX");
}

#[test]
fn mail_that_could_not_be_opened_is_tried_again_at_the_next_login() {
    as_root!();
    let alice = User::new();
    let daemon = Daemon::start(&["mail.linger = \"1h\""]);
    let maildir = alice.home.join("Maildir");
    let mode = |path: &Path, mode| {
        fs::set_permissions(path, fs::Permissions::from_mode(mode)).expect("a mode");
    };
    let refused = || {
        let mut client = daemon.dial();
        let tag = client.start(&alice.login());
        let said = client.read_to_end();
        let is_no = |said: &Response| said.tag == tag && said.matches("NO [UNAVAILABLE] ...");
        assert!(said.iter().any(is_no), "{}", client.conversation());
    };
    let served = || daemon.connect(&alice).logout();

    let _ = fs::remove_dir_all(&maildir);
    fs::write(&maildir, "no directory").expect("a file");
    refused();
    fs::remove_file(&maildir).expect("removed");
    served();
    daemon.session_of(&alice).signal(Signal::SIGKILL);
    nobody_is_left(&daemon);

    mode(&alice.home, 0);
    refused();
    mode(&alice.home, 0o700);
    served();
}

#[test]
fn sessions_that_are_killed_leave_their_users_limits_as_they_were() {
    as_root!();
    let alice = User::new();
    let daemon = Daemon::start(&["limits.connections_per_user_and_address = 2"]);
    for round in 0..10 {
        let clients = [daemon.connect(&alice), daemon.connect_tls(&alice)];
        daemon.dial().no(&alice.login()).code("LIMIT");
        match round % 3 {
            0 => daemon.session_of(&alice).signal(Signal::SIGKILL),
            1 => drop(daemon.ask(&["kick", &alice.name])),
            _ => {
                // Those that were handed over go on, those that were relayed do not.
                daemon.front().signal(Signal::SIGKILL);
                drop(daemon.ask(&["kick", &alice.name]));
            }
        }
        for mut client in clients {
            client.read_to_end();
        }
        eventually("nobody", || {
            (daemon.ask(&["who"]).lines().count() == 1).then_some(())
        });
        daemon.wait_for_greeting();
    }
}

#[test]
fn a_session_that_is_stopped_by_its_user_holds_up_nobody_else() {
    as_root!();
    let (alice, bob) = (User::new(), User::new());
    let mut daemon = Daemon::start(&[
        "limits.connections_per_user_and_address = 500",
        "limits.waiting_connections_per_address = 500",
        "auth.processes = 100",
    ]);
    let mut clients = vec![daemon.connect(&alice)];
    let session = daemon.session_of(&alice);
    session.signal(Signal::SIGSTOP);
    let held = daemon.monitor().descriptors().len();
    for _ in 0..300 {
        let mut client = daemon.dial();
        client.start(&alice.login());
        clients.push(client);
    }
    let mut other = daemon.dial_from([127, 0, 0, 9]);
    other.ok(&bob.login());
    other.logout();
    session.signal(Signal::SIGCONT);
    for client in &mut clients[1..] {
        while !client.try_read().expect("an answer").matches("OK ...") {}
    }
    drop(clients);
    eventually("the monitor to hold no more", || {
        let now = daemon.monitor().descriptors().len();
        (now <= held + 1).then_some(())
    });
    daemon.session_of(&alice).signal(Signal::SIGSTOP);
    daemon.terminate();
    assert_eq!(daemon.wait_for_end(), Some(0), "{}", daemon.log());
}

#[test]
fn from_inetd_a_standard_input_that_is_no_client_is_refused_and_nothing_stays() {
    as_root!();
    let daemon = Daemon::prepare(&[]);
    let listener = TcpListener::bind("127.0.0.1:0").expect("a listener");
    let (pipe, _end) = std::io::pipe().expect("a pipe");
    let udp = std::net::UdpSocket::bind("127.0.0.1:0").expect("a socket");
    for (what, input) in [
        ("closed", None),
        ("null", Some(Stdio::null())),
        ("a pipe", Some(OwnedFd::from(pipe).into())),
        ("a datagram socket", Some(OwnedFd::from(udp).into())),
        ("a listening socket", Some(OwnedFd::from(listener).into())),
    ] {
        let roost = daemon.roost(&["--inetd"]);
        let mut command = match input {
            Some(input) => {
                let mut command = roost;
                command.stdin(input);
                command
            }
            None => {
                let mut command = Command::new("sh");
                command.args(["-c", "exec \"$@\" <&-", "sh"]);
                command.arg(roost.get_program()).args(roost.get_args());
                command
            }
        };
        command.stdout(Stdio::piped()).stderr(Stdio::piped());
        let child = command.spawn().expect("roost");
        let process = Proc(child.id());
        eventually(&format!("the end of roost on {what}"), || {
            (!process.is_alive()).then_some(())
        });
        let output = child.wait_with_output().expect("its output");
        assert!(!output.status.success(), "{what}");
        assert!(
            output.stdout.is_empty() && output.stderr.is_empty(),
            "{what}"
        );
    }
}
