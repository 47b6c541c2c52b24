//! What an administrator does: check, config, reload, who, kick, metrics, stop and start; systemd.

use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::process::Command;

use nix::sys::signal::Signal;

use crate::support::daemon::line;
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
fn reload_reaches_new_logins_of_a_user_who_is_connected() {
    as_root!();
    let alice = User::new();
    let mut daemon = Daemon::start(&["mail.append_limit = \"1M\""]);
    let limit = |client: &mut Client, octets: &str| {
        let told = format!("CAPABILITY ... APPENDLIMIT={octets} ...");
        assert!(client.ok("CAPABILITY").has(&told), "{octets}");
    };
    let mut before = daemon.connect(&alice);
    limit(&mut before, "1048576");
    daemon.set("mail.append_limit = \"2M\"");
    daemon.ask(&["reload"]);
    let mut after = daemon.connect(&alice);
    limit(&mut after, "2097152");
    limit(&mut before, "1048576");
    // Both serve the user: each tells of the other's mail, and a kick reaches both.
    before.ok("SELECT INBOX");
    after.append("INBOX", b"Subject: both\r\n\r\n");
    assert!(before.ok("NOOP").has("1 EXISTS"));
    daemon.ask(&["kick", &alice.name]);
    for client in [&mut before, &mut after] {
        let said = client.read_to_end();
        assert!(said.iter().any(|response| response.matches("BYE ...")));
    }
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
        let there = (0..10_000)
            .find(|n| status.has(&format!("STATUS INBOX (MESSAGES {n})")))
            .expect("a number");
        // One may have been saved without a word having come through.
        assert!(
            there >= promised && there <= promised + round + 1,
            "{promised} promised, {there} there"
        );
    }
    assert_eq!(alice.inbox().leftovers(), [""; 0]);
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
        std::net::TcpStream::connect(first.address())
            .is_err()
            .then_some(())
    });
    first.run();
    first.connect(&alice).ok("NOOP");
}

#[test]
fn an_address_that_the_host_does_not_have_yet_is_waited_for() {
    as_root!();
    let alice = User::new();
    // In a network of its own, whose loopback has only what it is given.
    let may = Command::new("unshare").args(["--net", "true"]).status();
    if !may.is_ok_and(|status| status.success()) {
        skip!("no network namespace can be made here");
    }
    let mut daemon = Daemon::prepare(&[]);
    let (port, tls_port) = (daemon.port, daemon.tls_port);
    daemon.set(&format!(
        "listen.imap = [\"127.0.0.1:{port}\", \"192.0.2.10:{port}\", \"[2001:db8::10]:{port}\"]"
    ));
    daemon.set(&format!("listen.imaps = [\"192.0.2.10:{tls_port}\"]"));
    let roost = daemon.command();
    let mut command = Command::new("unshare");
    command
        .args(["--net", "sh", "-c", "ip link set lo up; exec \"$@\"", "sh"])
        .arg(roost.get_program())
        .args(roost.get_args());
    daemon.adopt(&mut command);
    daemon.spawn(command);
    daemon.logs(&format!("192.0.2.10:{port}, which is no address"));
    daemon.logs(&format!("[2001:db8::10]:{port}, which is no address"));
    daemon.logs(&format!("192.0.2.10:{tls_port}, which is no address"));
    let within = |arguments: &[&str]| {
        let mut command = Command::new("nsenter");
        let monitor = daemon.monitor().0.to_string();
        command.args(["-t", &monitor, "-n"]).args(arguments);
        place::succeed(&mut command)
    };
    eventually("its control socket", || {
        daemon.place().join("control").exists().then_some(())
    });
    within(&["ip", "address", "add", "192.0.2.10/32", "dev", "lo"]);
    within(&[
        "ip",
        "address",
        "add",
        "2001:db8::10/128",
        "dev",
        "lo",
        "nodad",
    ]);
    for address in ["192.0.2.10", "2001:db8::10"] {
        let talk = "import imaplib, sys\n\
                    c = imaplib.IMAP4(sys.argv[1], int(sys.argv[2]))\n\
                    print(c.login(sys.argv[3], sys.argv[4]))";
        let arguments = [
            "python3",
            "-c",
            talk,
            address,
            &port.to_string(),
            &alice.name,
            User::PASSWORD,
        ];
        assert!(within(&arguments).contains("OK"), "{address}");
    }
}

#[test]
fn the_first_line_tells_the_addresses_and_the_certificate() {
    as_root!();
    let daemon = Daemon::start(&[]);
    let line = daemon.logs(" starts; ");
    for part in [
        format!("imap 127.0.0.1:{}", daemon.port),
        format!("imaps 127.0.0.1:{}", daemon.tls_port),
        format!("certificate {}", daemon.certificate_file().display()),
    ] {
        assert!(line.contains(&part), "{part}: {line}");
    }
    daemon.hang_up();
    let line = daemon.logs("has been read again; ");
    assert!(
        line.contains(&format!("127.0.0.1:{}", daemon.port)),
        "{line}"
    );
}

#[test]
fn each_connection_of_a_session_that_was_ended_has_its_last_line() {
    as_root!();
    let alice = User::new();
    for pam_session in ["false", "true"] {
        let daemon = Daemon::start(&[&format!("auth.pam_session = {pam_session}")]);
        let mut clients = [daemon.connect(&alice), daemon.connect_tls(&alice)];
        for client in &mut clients {
            client.ok("SELECT INBOX");
        }
        let session = daemon.session_of(&alice);
        session.signal(Signal::SIGKILL);
        eventually("two last lines", || {
            let start = format!("imap({})<{}><", alice.name, session.0);
            let log = daemon.log();
            let lines = log.lines().filter(|line| {
                line.contains(&start) && line.contains(">: Disconnected: its process ")
            });
            (lines.filter(|line| line.contains("rip=127.0.0.1")).count() == 2).then_some(())
        });
    }
}
