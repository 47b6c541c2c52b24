//! `roost --inetd` under the real inetd and xinetd: one client each, and nothing on its socket but
//! IMAP.

use std::net::TcpStream;
use std::os::unix::net::UnixDatagram;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use crate::support::daemon::{rest, say};
use crate::support::*;

/// A super-server of ours, with what it started; ends with this value.
struct SuperServer {
    child: Child,
    port: u16,
    tls_port: u16,
    /// For its configuration, and the certificate.
    daemon: Daemon,
    syslog: Syslog,
}

#[derive(Clone, Copy)]
enum Kind {
    Inetd,
    Xinetd,
}

impl Kind {
    fn program(self) -> Option<PathBuf> {
        let built = Path::new(env!("CARGO_MANIFEST_DIR")).join("target/xinetd/usr/sbin/xinetd");
        let candidates = match self {
            Kind::Inetd => [
                PathBuf::from("/usr/sbin/inetd"),
                PathBuf::from("/usr/sbin/inetd"),
            ],
            // It cannot be installed beside inetd: tests/run only unpacks it.
            Kind::Xinetd => [PathBuf::from("/usr/sbin/xinetd"), built],
        };
        candidates.into_iter().find(|path| path.exists())
    }
}

impl SuperServer {
    #[track_caller]
    fn start(kind: Kind, settings: &[&str]) -> SuperServer {
        let program = kind.program().expect("looked for before");
        // Not run: its configuration, directories and certificate are used.
        let daemon = Daemon::prepare(settings);
        let (port, tls_port) = (free_port(), free_port());
        let place = daemon.place();
        let roost = env!("CARGO_BIN_EXE_roost");
        let file = daemon.configuration().display().to_string();
        let configuration = match kind {
            Kind::Inetd => [(port, "--inetd"), (tls_port, "--inetd-tls")]
                .map(|(port, option)| {
                    format!("127.0.0.1:{port} stream tcp nowait root {roost} roost {option} --config {file}\n")
                })
                .concat(),
            Kind::Xinetd => [(port, "--inetd"), (tls_port, "--inetd-tls")]
                .map(|(port, option)| {
                    format!(
                        "service roost-{port}\n{{\ntype = UNLISTED\nport = {port}\nbind = 127.0.0.1\n\
                         socket_type = stream\nprotocol = tcp\nwait = no\nuser = root\nserver = {roost}\n\
                         server_args = {option} --config {file}\n}}\n"
                    )
                })
                .concat(),
        };
        let configuration = place.write("super.conf", configuration);
        let (syslog, devices) = devices(place);
        let arguments = match kind {
            Kind::Inetd => format!("-i {}", configuration.display()),
            Kind::Xinetd => format!(
                "-dontfork -f {} -pidfile {}",
                configuration.display(),
                place.join("pid").display()
            ),
        };
        let mut command =
            with_devices(&devices, &format!("exec {} {arguments}", program.display()));
        let log = std::fs::File::create(place.join("super.log")).expect("a log");
        command
            .process_group(0)
            .stdin(Stdio::null())
            .stdout(log.try_clone().expect("the log"))
            .stderr(log);
        let child = command.spawn().expect("unshare");
        let server = SuperServer {
            child,
            port,
            tls_port,
            daemon,
            syslog,
        };
        for port in [port, tls_port] {
            eventually("the super-server to listen", || {
                TcpStream::connect(("127.0.0.1", port)).ok()
            });
        }
        // What these connections started ends too.
        server.is_quiet();
        server
    }

    fn process(&self) -> Proc {
        Proc(self.child.id())
    }

    #[track_caller]
    fn is_quiet(&self) {
        eventually("all of Roost to end", || {
            self.process()
                .descendants()
                .iter()
                .all(|process| !process.is_alive())
                .then_some(())
        });
    }

    fn dial(&self) -> Client {
        let mut client = Daemon::client_of(tcp(self.port));
        let greeting = client.read();
        assert!(greeting.matches("OK ..."), "{greeting}");
        client
    }

    fn dial_tls(&self) -> Client {
        let mut client = daemon::client_over_tls(tcp(self.tls_port), &self.daemon.certificate());
        let greeting = client.read();
        assert!(greeting.matches("OK ..."), "{greeting}");
        client
    }
}

impl Drop for SuperServer {
    fn drop(&mut self) {
        let id = self.process().pid();
        let _ = nix::sys::signal::killpg(id, nix::sys::signal::Signal::SIGKILL);
        let _ = self.child.wait();
        if std::thread::panicking() {
            let log = std::fs::read_to_string(self.daemon.place().join("super.log"));
            eprintln!(
                "--- super-server ---\n{}\n--- syslog ---\n{}",
                log.unwrap_or_default(),
                self.syslog.text()
            );
        }
    }
}

fn tcp(port: u16) -> TcpStream {
    let tcp = TcpStream::connect(("127.0.0.1", port)).expect("a connection");
    tcp.set_read_timeout(Some(patience())).expect("a timeout");
    tcp
}

/// Why no process can have a /dev of its own here (a container may forbid it), if so.
pub fn cannot_mount() -> Option<&'static str> {
    let tried = Command::new("unshare").args(["--mount", "true"]).output();
    let may = tried.is_ok_and(|output| output.status.success());
    (!may).then_some("no mount namespace can be made here")
}

/// What came to a syslog of our own.
pub struct Syslog {
    text: Arc<Mutex<String>>,
}

impl Syslog {
    pub fn text(&self) -> String {
        self.text.lock().expect("no panic").clone()
    }
}

/// A /dev with a syslog of our own; for [`with_devices`].
pub fn devices(place: &Place) -> (Syslog, PathBuf) {
    let devices = place.directory_of("dev", 0, 0);
    let socket = UnixDatagram::bind(devices.join("log")).expect("a syslog");
    let text = Arc::new(Mutex::new(String::new()));
    let all = Arc::clone(&text);
    // As long as the program: it is read from at once, as syslogd does.
    std::thread::spawn(move || {
        let mut window = [0; 8192];
        while let Ok(count) = socket.recv(&mut window) {
            let mut all = all.lock().expect("no panic");
            *all += &String::from_utf8_lossy(&window[..count]);
            *all += "\n";
        }
    });
    (Syslog { text }, devices)
}

/// A shell that sees that /dev, in a mount namespace of its own.
pub fn with_devices(devices: &Path, then: &str) -> Command {
    let mut command = Command::new("unshare");
    let script = format!(
        "set -e\ncd {}\nfor name in null zero full random urandom tty; do\n\
         >>$name; mount --bind /dev/$name $name; done\nmount --rbind . /dev\ncd /\n{then}",
        devices.display()
    );
    command.args(["--mount", "sh", "-c", &script]);
    command
}

fn both(kind: Kind) {
    let (alice, bob) = (User::new(), User::new());
    alice.inbox().deliver_file("one.eml");
    let server = SuperServer::start(kind, &[]);
    let mut plain = server.dial();
    plain
        .no(&format!("LOGIN {} wrong", alice.name))
        .code("AUTHENTICATIONFAILED");
    plain.ok(&alice.login());
    plain.ok("SELECT INBOX").contains("1 EXISTS");
    let mut tls = server.dial_tls();
    tls.ok(&bob.login());
    tls.ok("SELECT INBOX").contains("0 EXISTS");
    let mut starttls = server.dial();
    starttls.ok("STARTTLS");
    starttls.start_tls(&server.daemon.certificate());
    starttls.ok(&alice.login());
    starttls.ok("SELECT INBOX").contains("1 EXISTS");
    starttls.append("INBOX", &text("two.eml"));
    eventually("the other's message", || {
        plain.ok("NOOP").has("2 EXISTS").then_some(())
    });
    for session in server.process().descendants() {
        if session.title().contains("session") {
            assert!(
                [alice.uid, bob.uid].contains(&session.uids()[0]),
                "{}",
                session.title()
            );
            assert_eq!(session.capabilities("CapEff"), 0);
        }
    }
    plain.logout();
    tls.logout();
    starttls.logout();
    server.is_quiet();
    // One that goes without a word, before login and after.
    drop(server.dial());
    drop(server.dial_tls());
    let mut client = server.dial();
    client.ok(&alice.login());
    drop(client);
    let mut client = server.dial_tls();
    client.ok(&alice.login());
    drop(client);
    server.is_quiet();
    // The last line may be on its way.
    eventually("the log", || {
        server.syslog.text().contains("rip=127.0.0.1").then_some(())
    });
    let log = server.syslog.text();
    for words in [
        format!("imap-login: Login: user=<{}>", alice.name),
        "rip=127.0.0.1".into(),
        format!("pam({},127.0.0.1", alice.name),
    ] {
        assert!(log.contains(&words), "{words}: {log}");
    }
    // Facility mail (2) and its severity: <22> is mail.info.
    assert!(log.lines().any(|line| line.starts_with("<22>")), "{log}");
}

#[test]
fn inetd_starts_it_for_each_client_and_nothing_stays() {
    as_root!();
    if let Some(why) = cannot_mount() {
        skip!("{why}");
    }
    if Kind::Inetd.program().is_none() {
        skip!("openbsd-inetd is not installed");
    }
    both(Kind::Inetd);
}

#[test]
fn xinetd_starts_it_for_each_client_and_nothing_stays() {
    as_root!();
    if let Some(why) = cannot_mount() {
        skip!("{why}");
    }
    if Kind::Xinetd.program().is_none() {
        skip!("xinetd is neither installed nor in target/ (tests/run)");
    }
    both(Kind::Xinetd);
}

#[test]
fn whatever_goes_wrong_under_inetd_nothing_but_imap_is_on_the_socket() {
    as_root!();
    if let Some(why) = cannot_mount() {
        skip!("{why}");
    }
    if Kind::Inetd.program().is_none() {
        skip!("openbsd-inetd is not installed");
    }
    let alice = User::new();
    let place = Place::new();
    let script = place.script(
        "chatty",
        "#!/bin/sh\necho out; echo err >&2; echo more >/proc/self/fd/2\n",
    );
    let service = PamService::new(&format!(
        "auth required pam_exec.so debug stdout {0}\nauth required pam_unix.so debug\naccount required pam_unix.so\n\
         session required pam_exec.so {0}\n",
        script.display()
    ));
    let server = SuperServer::start(
        Kind::Inetd,
        &[
            &format!("auth.pam_service = \"{}\"", service.name),
            "auth.pam_session = true",
        ],
    );
    let mut client = server.dial();
    client
        .no(&format!("LOGIN {} wrong", alice.name))
        .untagged([]);
    client.ok(&alice.login()).untagged([]);
    client.ok("SELECT INBOX");
    client.logout();
    server.is_quiet();
    // A configuration that cannot be used.
    for broken in [
        "nonsense = 1\n",
        "[auth\n",
        "tls.certificate = [\"/nonexistent\"]\ntls.key = [\"/nonexistent\"]\n",
    ] {
        server.daemon.configure(broken);
        let mut tcp = tcp(server.port);
        say(&mut tcp, b"a1 LOGOUT\r\n");
        let said = rest(&mut tcp);
        let lines = said
            .lines()
            .all(|line| line.starts_with("* ") || line.starts_with("a1 "));
        assert!(lines, "{said}");
        server.is_quiet();
    }
    let log = server.syslog.text();
    assert!(log.contains("nonsense"), "{log}");
}

#[test]
fn a_flag_that_is_not_known_prints_nothing_on_the_socket_of_inetd() {
    as_root!();
    let (ours, theirs) = std::os::unix::net::UnixStream::pair().expect("a socket pair");
    ours.set_read_timeout(Some(Duration::from_secs(60)))
        .expect("a timeout");
    let theirs = std::os::fd::OwnedFd::from(theirs);
    let mut command = Command::new(env!("CARGO_BIN_EXE_roost"));
    command
        .args(["--inetd", "--config", "/nonexistent/roost.toml"])
        .stdin(theirs.try_clone().expect("the same socket"))
        .stdout(theirs.try_clone().expect("the same socket"))
        .stderr(theirs);
    let mut child = command.spawn().expect("roost");
    drop(command);
    let said = rest(&mut &ours);
    assert!(said.lines().all(|line| line.starts_with("* ")), "{said}");
    child.wait().expect("its end");
}
