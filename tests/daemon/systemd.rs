//! What the rest of the host sees of the daemon: systemd, syslog, fail2ban.

use std::fs;
use std::os::unix::net::UnixDatagram;
use std::process::Command;

use crate::support::*;

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
    os.dup2(s.fileno(), 3 + n)
    os.set_inheritable(3 + n, True)
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
    if let Some(why) = super::inetd::cannot_mount() {
        skip!("{why}");
    }
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
    let all = eventually("both lines", || {
        let all = syslog.text();
        let is_there = all.contains("imap-login: Login: user=<") && all.contains("Logged out");
        is_there.then_some(all)
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
            .map(|line| line.trim_start_matches("roost: "))
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
            let matched = printed.split("|- Missed").next().unwrap_or_default();
            let found = matched.contains(&format!("rip=127.0.0.{last},"))
                || matched.contains(&format!(",127.0.0.{last},"));
            assert!(found, "127.0.0.{last} is not found by {filter}\n{printed}");
        }
        let matched = printed.split("|- Missed").next().unwrap_or_default();
        assert!(!matched.contains("Login: user=<"), "{printed}");
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
