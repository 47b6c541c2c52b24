//! What an administrator does: check, config, reload, who, kick, metrics, stop and start; systemd.

use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::os::unix::net::UnixDatagram;
use std::process::Command;
use std::time::Duration;

use nix::sys::signal::Signal;

use crate::support::daemon::{line, rest};
use crate::support::*;

const PASSWORD: &str = User::PASSWORD;

#[test]
fn check_names_the_line_and_the_column_of_every_mistake() {
    as_root!();
    let daemon = Daemon::prepare(&[]);
    daemon.ask(&["check"]);
    for (text, place) in [
        ("nonsense = 1\n", "roost.toml:1:1"),
        (
            "[auth]\ntimeout = \"1m\"\n  timeouts = \"1m\"\n",
            "roost.toml:3:3",
        ),
        ("[auth]\ntimeout = \"1x\"\n", "roost.toml:2:11"),
        ("[auth]\ntimeout = 1 2\n", "roost.toml:2:"),
        ("[limits]\nconnections = \"many\"\n", "roost.toml:2:15"),
        ("[auth\n", "roost.toml:1:"),
        ("[auth]\nsources = [\"pam\", \"pan\"]\n", "roost.toml:2:"),
    ] {
        daemon.configure(text);
        let (success, printed) = place::output(&mut daemon.roost(&["check"]));
        assert!(!success, "{text}");
        assert!(printed.contains(place), "{text}{printed}");
    }
}

#[test]
fn check_finds_certificates_and_users_that_are_not_there() {
    as_root!();
    let mut daemon = Daemon::prepare(&[]);
    for wrong in [
        "tls.certificate = [\"/nonexistent.pem\"]",
        "process.front_user = \"roost-nobody-of-this-name\"",
    ] {
        daemon.set(wrong);
        let (success, printed) = place::output(&mut daemon.roost(&["check"]));
        assert!(
            !success && printed.contains("nonexistent") || printed.contains("nobody"),
            "{wrong}: {printed}"
        );
    }
}

#[test]
fn config_prints_what_is_in_force_in_a_form_that_is_a_configuration() {
    as_root!();
    let daemon = Daemon::prepare(&[
        "limits.connections = 77",
        "mailbox.Sent.special_use = \"Sent\"",
        "mailbox.Sent.auto = \"subscribe\"",
    ]);
    let printed = daemon.ask(&["config"]);
    assert!(printed.contains("77"), "{printed}");
    daemon.configure(&printed);
    daemon.ask(&["check"]);
    assert_eq!(daemon.ask(&["config"]), printed);
}

#[test]
fn a_daemon_with_a_bad_configuration_does_not_start_and_says_why() {
    as_root!();
    let mut daemon = Daemon::prepare(&[]);
    daemon.configure("nonsense = 1\n");
    let status = daemon.run_to_the_end();
    assert_ne!(status, Some(0));
    daemon.logs("roost.toml:1:1");
}

#[test]
fn who_shows_clients_and_kick_sends_them_away() {
    as_root!();
    let (alice, bob) = (User::new(), User::new());
    let daemon = Daemon::start(&[]);
    let (mut plain, mut tls) = (daemon.connect(&alice), daemon.connect_tls(&alice));
    let mut other = daemon.dial_from([127, 0, 0, 5]);
    other.ok(&bob.login());
    plain.ok("SELECT INBOX");
    let shown = daemon.ask(&["who"]);
    for part in [&alice.name, &bob.name, "127.0.0.1", "127.0.0.5"] {
        assert!(shown.contains(part), "{part}: {shown}");
    }
    daemon.ask(&["kick", &alice.name]);
    for client in [&mut plain, &mut tls] {
        let said = client.read_to_end();
        assert!(
            said.iter().any(|response| response.matches("BYE ...")),
            "{}",
            client.conversation()
        );
    }
    other.ok("NOOP");
    eventually("one less", || {
        (!daemon.ask(&["who"]).contains(&alice.name)).then_some(())
    });
    assert!(daemon.ask(&["who"]).contains(&bob.name));
    let (success, printed) =
        place::output(&mut daemon.roost(&["kick", "roost-nobody-of-this-name"]));
    assert!(!success, "{printed}");
    daemon.connect(&alice).ok("NOOP");
}

#[test]
fn the_control_socket_is_roots_alone() {
    as_root!();
    let alice = User::new();
    let daemon = Daemon::start(&[]);
    let socket = daemon.place().join("control");
    let facts = fs::metadata(&socket).expect("a socket");
    assert_eq!((facts.uid(), facts.permissions().mode() & 0o077), (0, 0));
    let script = "import socket,sys\ns=socket.socket(socket.AF_UNIX,socket.SOCK_SEQPACKET)\n\
                  t=socket.socket(socket.AF_UNIX)\nfor u in s,t:\n  try: u.connect(sys.argv[1])\n  except PermissionError: continue\n  except OSError: continue\n  sys.exit(7)\n";
    let status = Command::new("setpriv")
        .args([
            &format!("--reuid={}", alice.uid),
            "--clear-groups",
            "/usr/bin/python3",
            "-c",
            script,
        ])
        .arg(&socket)
        .status()
        .expect("setpriv");
    assert_eq!(status.code(), Some(0));
}

#[test]
fn commands_say_so_when_no_daemon_is_there() {
    as_root!();
    let daemon = Daemon::prepare(&[]);
    for command in ["who", "reload", "metrics"] {
        let (success, printed) = place::output(&mut daemon.roost(&[command]));
        assert!(
            !success && !printed.is_empty() && !printed.contains("panicked"),
            "{command}: {printed}"
        );
    }
}

#[test]
fn reload_puts_a_changed_setting_into_force_and_a_bad_configuration_changes_nothing() {
    as_root!();
    let alice = User::new();
    let mut daemon = Daemon::start(&["limits.connections_per_user_and_address = 1"]);
    let mut first = daemon.connect(&alice);
    daemon.dial().no(&alice.login()).code("LIMIT");
    daemon.set("limits.connections_per_user_and_address = 5");
    daemon.ask(&["reload"]);
    eventually("the new limit", || {
        (daemon.dial().command(&alice.login()).tagged.word() == "OK").then_some(())
    });
    daemon.configure("limits.connections_per_user_and_address = \"x\"\n");
    let (success, printed) = place::output(&mut daemon.roost(&["reload"]));
    assert!(!success && printed.contains("roost.toml:1:"), "{printed}");
    daemon.hang_up();
    daemon.logs("roost.toml:1:");
    first.ok("NOOP");
    daemon.connect(&alice).ok("SELECT INBOX");
}

#[test]
fn reload_opens_and_closes_listeners() {
    as_root!();
    let alice = User::new();
    let mut daemon = Daemon::start(&[]);
    let mut client = daemon.connect(&alice);
    let more = free_port();
    daemon.set(&format!(
        "listen.imap = [\"127.0.0.1:{}\", \"127.0.0.1:{more}\"]",
        daemon.port
    ));
    daemon.ask(&["reload"]);
    let greets = |port: u16| {
        let Ok(mut tcp) = std::net::TcpStream::connect(("127.0.0.1", port)) else {
            return false;
        };
        tcp.set_read_timeout(Some(patience())).expect("a timeout");
        line(&mut tcp).is_some_and(|line| line.starts_with("* OK"))
    };
    eventually("a listener more", || greets(more).then_some(()));
    assert!(greets(daemon.port));
    daemon.set(&format!("listen.imap = [\"127.0.0.1:{}\"]", daemon.port));
    daemon.ask(&["reload"]);
    eventually("a listener less", || {
        std::net::TcpStream::connect(("127.0.0.1", more))
            .is_err()
            .then_some(())
    });
    client.ok("NOOP");
}

#[test]
fn auth_test_says_what_a_login_would_come_to() {
    as_root!();
    let alice = User::new();
    let daemon = Daemon::prepare(&[]);
    let test = |user: &str, password: &str| {
        use std::io::Write;
        let mut command = daemon.roost(&["auth-test", user]);
        command
            .stdin(std::process::Stdio::piped())
            .stdout(std::process::Stdio::piped())
            .stderr(std::process::Stdio::piped());
        let mut child = command.spawn().expect("roost");
        let mut stdin = child.stdin.take().expect("its input");
        let _ = stdin.write_all(format!("{password}\n").as_bytes());
        drop(stdin);
        let output = child.wait_with_output().expect("its output");
        let printed = String::from_utf8_lossy(&output.stdout).into_owned()
            + &String::from_utf8_lossy(&output.stderr);
        assert!(!printed.contains(password), "{printed}");
        (output.status.success(), printed)
    };
    let (success, printed) = test(&alice.name, PASSWORD);
    assert!(success, "{printed}");
    let maildir = alice.inbox().path().display().to_string();
    assert!(
        printed.contains(&maildir) && printed.contains(&alice.uid.to_string()),
        "{printed}"
    );
    for (user, password) in [
        (alice.name.as_str(), "wrong-word"),
        ("roost-nobody-of-this-name", "wrong-word"),
        ("root", "wrong-word"),
    ] {
        let (success, printed) = test(user, password);
        assert!(!success, "{user}: {printed}");
    }
}

#[test]
fn metrics_are_open_metrics_and_count() {
    as_root!();
    let alice = User::new();
    let daemon = Daemon::start(&[]);
    let client = daemon.connect(&alice);
    client.logout();
    daemon.dial().no(&format!("LOGIN {} wrong", alice.name));
    daemon.connect_tls(&alice).ok("SELECT INBOX");
    let read = || daemon.ask(&["metrics"]);
    let metrics = read();
    assert!(metrics.ends_with("# EOF\n"), "{metrics}");
    let mut families = std::collections::BTreeSet::new();
    for line in metrics.lines() {
        if let Some(rest) = line.strip_prefix("# TYPE ") {
            let (name, kind) = rest.split_once(' ').expect("a type");
            assert!(["counter", "gauge", "info"].contains(&kind), "{line}");
            assert!(families.insert(name.to_owned()), "{line} again");
        } else if !line.starts_with('#') {
            let (sample, value) = line.rsplit_once(' ').expect("a value");
            let name = sample.split('{').next().unwrap_or(sample);
            let family = families
                .iter()
                .any(|family| name.starts_with(family.as_str()));
            assert!(family && value.parse::<f64>().is_ok(), "{line}");
        }
    }
    let sum = |words: &[&str]| -> f64 {
        let metrics = read();
        let lines = metrics.lines().filter(|line| !line.starts_with('#'));
        let fitting = lines.filter(|line| words.iter().all(|word| line.contains(word)));
        fitting
            .filter_map(|line| line.rsplit_once(' ')?.1.parse::<f64>().ok())
            .sum()
    };
    eventually("two logins", || (sum(&["login"]) >= 2.0).then_some(()));
    eventually("a failure", || (sum(&["fail"]) >= 1.0).then_some(()));
    eventually("commands", || (sum(&["command"]) >= 1.0).then_some(()));
    eventually("octets", || (sum(&["bytes"]) >= 1.0).then_some(()));
}

#[test]
fn sigterm_tells_every_client_bye_and_ends_everything() {
    as_root!();
    let (alice, bob) = (User::new(), User::new());
    let mut daemon = Daemon::start(&[]);
    let mut clients = [
        daemon.connect(&alice),
        daemon.connect_tls(&alice),
        daemon.connect_tls(&bob),
        daemon.dial(),
        daemon.dial_tls(),
    ];
    clients[0].ok("SELECT INBOX");
    clients[1].ok("SELECT INBOX");
    clients[1].start("IDLE");
    clients[1].read();
    let all = daemon.monitor().descendants();
    daemon.terminate();
    for client in &mut clients {
        let said = client.read_to_end();
        assert!(
            said.iter().any(|response| response.matches("BYE ...")),
            "{}",
            client.conversation()
        );
    }
    assert_eq!(daemon.wait_for_end(), Some(0));
    assert!(all.iter().all(|process| !process.is_alive()));
    assert!(!daemon.place().join("control").exists());
}

#[test]
fn what_was_promised_before_a_restart_is_there_after_it() {
    as_root!();
    let alice = User::new();
    let mut daemon = Daemon::start(&[]);
    let mut promised = 0;
    for round in 0..3 {
        let client = if round % 2 == 0 {
            daemon.connect(&alice)
        } else {
            daemon.connect_tls(&alice)
        };
        let (sender, receiver) = std::sync::mpsc::channel();
        let writer = std::thread::spawn(move || {
            let mut client = client;
            let mut promised = 0;
            let message = crlf(&numbered(round));
            loop {
                let tag = client.next_tag();
                let command = format!("{tag} APPEND INBOX {{{}+}}\r\n", message.len());
                if client
                    .try_send(&[command.as_bytes(), &message, b"\r\n"].concat())
                    .is_err()
                {
                    return promised;
                }
                loop {
                    match client.try_read() {
                        None => return promised,
                        Some(response) if response.tag == tag => {
                            promised += usize::from(response.word() == "OK");
                            break;
                        }
                        Some(_) => {}
                    }
                }
                let _ = sender.send(promised);
            }
        });
        while receiver.recv().is_ok_and(|count| count < 10) {}
        daemon.restart();
        promised += writer.join().expect("the client");
        let mut client = daemon.connect(&alice);
        let status = client.ok("STATUS INBOX (MESSAGES)");
        let there = status.number("MESSAGES") as usize;
        // One may have been saved without a word having come through.
        assert!(
            there >= promised && there <= promised + round + 1,
            "{promised} promised, {there} there"
        );
    }
    assert_eq!(alice.inbox().leftovers(), [""; 0]);
}

#[test]
fn systemd_is_told_of_readiness_reload_and_the_end() {
    as_root!();
    let place = Place::new();
    let path = place.join("notify");
    let socket = UnixDatagram::bind(&path).expect("a socket");
    socket
        .set_read_timeout(Some(patience()))
        .expect("a timeout");
    let mut daemon = Daemon::prepare_in(place, &[]);
    daemon.with_environment("NOTIFY_SOCKET", &path.display().to_string());
    let hear = |words: &str| {
        let mut window = [0; 4096];
        let start = std::time::Instant::now();
        loop {
            let count = socket.recv(&mut window).expect("a notification");
            let text = String::from_utf8_lossy(&window[..count]).into_owned();
            if text.lines().any(|line| line == words) {
                return text;
            }
            assert!(start.elapsed() < patience(), "no {words}");
        }
    };
    daemon.run();
    hear("READY=1");
    daemon.hang_up();
    let text = hear("RELOADING=1");
    assert!(text.contains("MONOTONIC_USEC="), "{text}");
    hear("READY=1");
    daemon.terminate();
    hear("STOPPING=1");
    assert_eq!(daemon.wait_for_end(), Some(0));
}

#[test]
fn readiness_means_that_the_first_connection_is_served() {
    as_root!();
    let place = Place::new();
    let path = place.join("notify");
    let socket = UnixDatagram::bind(&path).expect("a socket");
    socket
        .set_read_timeout(Some(patience()))
        .expect("a timeout");
    let mut daemon = Daemon::prepare_in(place, &[]);
    daemon.with_environment("NOTIFY_SOCKET", &path.display().to_string());
    let address = daemon.address();
    let command = daemon.command();
    let before = std::thread::spawn(move || {
        let mut window = [0; 4096];
        let _ = socket.recv(&mut window).expect("a notification");
        std::net::TcpStream::connect(address).is_ok()
    });
    daemon.run_by(command);
    assert!(before.join().expect("no panic"));
}

/// Binds what systemd would bind and becomes Roost.
const ACTIVATE: &str = "\
import os, socket, sys
ports, names, command = sys.argv[1], sys.argv[2], sys.argv[3:]
sockets = []
for port in ports.split(','):
    s = socket.socket()
    s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    s.bind(('127.0.0.1', int(port)))
    s.listen(64)
    sockets.append(s)
spare = [os.dup(s.fileno()) for s in sockets for _ in range(4)]
for n, s in enumerate(sockets):
    os.dup2(s.fileno(), 3 + n, inheritable=True)
os.closerange(3 + len(sockets), 100)
os.environ.update(LISTEN_FDS=str(len(sockets)), LISTEN_PID=str(os.getpid()), LISTEN_FDNAMES=names)
os.execv(command[0], command)
";

#[test]
fn sockets_from_systemd_are_served_instead_of_the_listeners_in_the_configuration() {
    as_root!();
    let alice = User::new();
    let mut daemon = Daemon::prepare(&[]);
    let script = daemon.place().write("activate.py", ACTIVATE);
    let roost = daemon.command();
    let mut command = Command::new("/usr/bin/python3");
    command
        .arg(script)
        .args([
            format!("{},{}", daemon.port, daemon.tls_port),
            "imap:imaps".into(),
        ])
        .arg(roost.get_program())
        .args(roost.get_args());
    daemon.adopt(&mut command);
    // Were they bound as well, there would be an error.
    daemon.run_by(command);
    daemon.connect(&alice).ok("SELECT INBOX");
    daemon.connect_tls(&alice).ok("SELECT INBOX");
    for process in daemon.monitor().descendants() {
        let environment = process.environment();
        assert!(
            !environment
                .iter()
                .any(|variable| variable.starts_with("LISTEN_")),
            "{environment:?}"
        );
    }
}

#[test]
fn the_log_goes_to_syslog_if_it_is_to() {
    as_root!();
    let alice = User::new();
    let mut daemon = Daemon::prepare(&["log.target = \"syslog\""]);
    let (syslog, devices) = super::inetd::devices(daemon.place());
    let roost = daemon.command();
    let mut line = format!("exec {}", roost.get_program().display());
    for argument in roost.get_args() {
        line += &format!(" '{}'", argument.display());
    }
    let mut command = super::inetd::with_devices(&devices, &line);
    daemon.adopt(&mut command);
    daemon.run_by(command);
    let mut client = daemon.connect_tls(&alice);
    client.ok("SELECT INBOX");
    client.logout();
    let mut all = String::new();
    let mut window = [0; 8192];
    eventually("both lines", || {
        while let Ok(count) = syslog.recv(&mut window) {
            all += &String::from_utf8_lossy(&window[..count]);
            all += "\n";
        }
        (all.contains("imap-login: Login: user=<") && all.contains("Logged out")).then_some(())
    });
    // <22>: facility mail, severity info.
    assert!(
        all.lines()
            .any(|line| line.starts_with("<22>") && line.contains("Login: user=<")),
        "{all}"
    );
}

#[test]
fn fail2ban_finds_those_who_guess_in_our_log_with_its_own_filter_and_with_ours() {
    as_root!();
    if !std::path::Path::new("/usr/bin/fail2ban-regex").exists() {
        skip!("fail2ban is not installed");
    }
    let alice = User::new();
    let mut daemon = Daemon::start(&["tls.required = \"yes\"", "log.level = \"info\""]);
    // A right one, then three wrong ones from three addresses.
    daemon.connect(&alice).logout();
    for (last, user, tls) in [
        (21, alice.name.as_str(), false),
        (22, "roost-nobody-of-this-name", false),
        (23, "not!permitted", false),
    ] {
        let _ = tls;
        let mut client = daemon.dial_from([127, 0, 0, last]);
        client.no(&format!("LOGIN \"{user}\" wrong"));
        client.logout();
        daemon.logs(&format!("rip=127.0.0.{last}"));
    }
    daemon.terminate();
    daemon.wait_for_end();
    let ours = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("packaging/fail2ban");
    let mut filters = vec![("/etc/fail2ban/filter.d/dovecot.conf".to_owned(), "dovecot")];
    if let Some(filter) =
        find(&ours, "roost.conf").filter(|path| path.to_string_lossy().contains("filter"))
    {
        filters.push((filter.display().to_string(), "roost"));
    }
    for (filter, tag) in filters {
        // As syslog writes it.
        let lines = daemon
            .log()
            .lines()
            .map(|line| format!("Nov 28 12:00:00 host {tag}: {line}\n"))
            .collect::<String>();
        let log = daemon.place().write("mail.log", lines);
        let mut command = Command::new("fail2ban-regex");
        command
            .args(["--print-all-matched", "--raw"])
            .arg(&log)
            .arg(&filter);
        let (_, printed) = place::output(&mut command);
        for last in [21, 22, 23] {
            let found = printed.contains(&format!("rip=127.0.0.{last},"))
                || printed.contains(&format!(",127.0.0.{last},"));
            assert!(found, "127.0.0.{last} is not found by {filter}\n{printed}");
        }
        assert!(!printed.contains("Login: user=<"), "{printed}");
    }
}

/// A file of this name below a directory.
fn find(directory: &std::path::Path, name: &str) -> Option<std::path::PathBuf> {
    for entry in fs::read_dir(directory).ok()?.flatten() {
        let path = entry.path();
        if path.is_dir() {
            if let Some(found) = find(&path, name) {
                return Some(found);
            }
        } else if entry.file_name() == name {
            return Some(path);
        }
    }
    None
}

#[test]
fn every_process_says_in_its_title_what_it_does_for_whom() {
    as_root!();
    let alice = User::new();
    let daemon = Daemon::start(&[]);
    let mut client = daemon.connect(&alice);
    client.ok("SELECT INBOX");
    let title = daemon.session_of(&alice).title();
    assert!(
        title.contains(&alice.name) && title.contains("127.0.0.1"),
        "{title}"
    );
    let title = daemon.front().title();
    assert!(title.contains("front"), "{title}");
}

#[test]
fn a_second_daemon_on_the_same_ports_says_so_and_the_first_goes_on() {
    as_root!();
    let alice = User::new();
    let mut first = Daemon::start(&[]);
    let mut client = first.connect(&alice);
    let (port, control) = (first.port, first.place().join("control"));
    let mut second = Daemon::prepare(&[&format!("listen.imap = [\"127.0.0.1:{port}\"]")]);
    assert_ne!(second.run_to_the_end(), Some(0));
    second.logs(&port.to_string());
    let mut third = Daemon::prepare(&[&format!("listen.control = \"{}\"", control.display())]);
    assert_ne!(third.run_to_the_end(), Some(0));
    client.ok("NOOP");
    assert!(first.ask(&["who"]).contains(&alice.name));
    // After a crash the control socket is in the way, and nobody listens on it.
    first.monitor().signal(Signal::SIGKILL);
    first.wait_for_end();
    eventually("the port to be free", || {
        std::thread::sleep(Duration::from_millis(10));
        std::net::TcpStream::connect(first.address())
            .is_err()
            .then_some(())
    });
    first.run();
    first.connect(&alice).ok("NOOP");
    let _ = rest(
        &mut first
            .tcp()
            .try_clone()
            .map(|tcp| {
                let _ = tcp.shutdown(std::net::Shutdown::Both);
                tcp
            })
            .expect("a socket"),
    );
}
