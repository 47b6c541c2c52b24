//! The daemon itself, started by root as an administrator would: a configuration file, listeners on
//! free ports of loopback, its own control socket, state directory and log.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{self, Read, Write};
use std::net::{IpAddr, Ipv4Addr, SocketAddr, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill, killpg};
use nix::sys::socket::{
    AddressFamily, SockFlag, SockType, SockaddrIn, SockaddrIn6, bind, connect, socket,
};
use nix::sys::wait::{Id, WaitPidFlag, WaitStatus, waitid};

use super::wire::Wire;
use super::{
    Client, PamService, Place, Proc, User, check_log, eventually, free_port, patience, place,
};

/// A running daemon; it and all it started end with this value.
pub struct Daemon {
    pub port: u16,
    pub tls_port: u16,
    settings: BTreeMap<String, String>,
    environment: Vec<(String, String)>,
    child: Option<Child>,
    log: PathBuf,
    place: Place,
    _service: PamService,
}

impl Daemon {
    /// With these lines in its configuration, as `limits.connections = 5`; what a test does not say
    /// is such that it runs here and is quick.
    #[track_caller]
    pub fn start(settings: &[&str]) -> Daemon {
        Daemon::start_in(Place::new(), settings)
    }

    /// A daemon in a directory that holds files named by the settings.
    #[track_caller]
    pub fn start_in(place: Place, settings: &[&str]) -> Daemon {
        let mut daemon = Daemon::prepare_in(place, settings);
        daemon.run();
        daemon
    }

    /// Not started yet.
    pub fn prepare(settings: &[&str]) -> Daemon {
        Daemon::prepare_in(Place::new(), settings)
    }

    pub fn prepare_in(place: Place, settings: &[&str]) -> Daemon {
        let service = PamService::unix();
        let (port, tls_port) = (free_port(), free_port());
        let certificate = Certificate::new(&["localhost", "127.0.0.1"]);
        let (chain, key) = certificate.write(&place, "default");
        let text = |value: &Path| format!("\"{}\"", value.display());
        let defaults = [
            ("listen.imap", format!("[\"127.0.0.1:{port}\"]")),
            ("listen.imaps", format!("[\"127.0.0.1:{tls_port}\"]")),
            ("listen.control", text(&place.join("control"))),
            ("tls.certificate", format!("[{}]", text(&chain))),
            ("tls.key", format!("[{}]", text(&key))),
            ("auth.pam_service", format!("\"{}\"", service.name)),
            ("auth.failure_delay", "\"50ms\"".into()),
            // Of one address, all tests' failures would add up to long delays.
            ("auth.penalty", "\"0s\"".into()),
            ("mail.separator", "\"/\"".into()),
            ("process.front_user", format!("\"{}\"", front_user())),
            ("process.state_dir", text(&place.join("state"))),
            ("log.target", "\"stderr\"".into()),
            ("log.level", "\"debug\"".into()),
        ];
        let mut daemon = Daemon {
            port,
            tls_port,
            settings: defaults
                .map(|(name, value)| (name.to_owned(), value))
                .into(),
            // A system call that a session is not known to make is a failed test.
            environment: vec![("ROOST_UNLISTED_CALLS".to_owned(), "fatal".to_owned())],
            child: None,
            log: place.join("log"),
            place,
            _service: service,
        };
        for setting in settings {
            daemon.set(setting);
        }
        daemon.write_configuration();
        daemon
    }

    /// A setting from the next start or reload on.
    pub fn set(&mut self, setting: &str) {
        let (name, value) = setting.split_once('=').expect("NAME = VALUE");
        self.settings
            .insert(name.trim().to_owned(), value.trim().to_owned());
        self.write_configuration();
    }

    /// Puts this text into the configuration file instead.
    pub fn configure(&self, text: &str) {
        fs::write(self.configuration(), text).expect("a configuration");
    }

    pub fn write_configuration(&self) {
        let lines = self
            .settings
            .iter()
            .map(|(name, value)| format!("{name} = {value}\n"));
        self.configure(&lines.collect::<String>());
    }

    pub fn configuration(&self) -> PathBuf {
        self.place.join("roost.toml")
    }

    pub fn place(&self) -> &Place {
        &self.place
    }

    /// One more variable of its environment.
    pub fn with_environment(&mut self, name: &str, value: &str) {
        self.environment.push((name.to_owned(), value.to_owned()));
    }

    /// The command that runs it in the foreground, in a process group of its own.
    pub fn command(&self) -> Command {
        let mut command = self.roost(&[]);
        self.adopt(&mut command);
        command
    }

    /// Another command is to run it: its log, its group and its environment.
    pub fn adopt(&self, command: &mut Command) {
        use std::os::unix::process::CommandExt;
        let mut log = File::options();
        let log = log
            .create(true)
            .append(true)
            .open(&self.log)
            .expect("a log");
        command
            .stdin(Stdio::null())
            .stdout(log.try_clone().expect("the log"))
            .stderr(log)
            .process_group(0)
            .current_dir("/")
            .envs(self.environment.iter().map(|(name, value)| (name, value)));
    }

    /// Starts it and waits until it greets.
    #[track_caller]
    pub fn run(&mut self) {
        let command = self.command();
        self.run_by(command);
    }

    /// Starts it by this command ([`Daemon::adopt`]) and waits until it greets.
    #[track_caller]
    pub fn run_by(&mut self, command: Command) {
        self.spawn(command);
        self.wait_for_greeting();
    }

    /// Starts it by this command.
    #[track_caller]
    pub fn spawn(&mut self, mut command: Command) {
        assert!(self.child.is_none(), "it runs already");
        let child = command.spawn();
        self.child = Some(child.unwrap_or_else(|e| panic!("{command:?}: {e}")));
    }

    #[track_caller]
    pub fn wait_for_greeting(&self) {
        let start = Instant::now();
        while !self.greets() {
            assert!(!self.has_ended(), "it did not start\n{}", self.log());
            assert!(
                start.elapsed() < patience(),
                "it does not greet\n{}",
                self.log()
            );
            std::thread::sleep(Duration::from_millis(10));
        }
    }

    /// Starts what is to end by itself; gives its exit status.
    #[track_caller]
    pub fn run_to_the_end(&mut self) -> Option<i32> {
        let mut command = self.command();
        self.child = Some(command.spawn().expect("roost"));
        self.wait_for_end()
    }

    fn greets(&self) -> bool {
        let port = if self.settings["listen.imap"].contains(&format!(":{}", self.port)) {
            self.port
        } else if self.settings["listen.imaps"].contains(&format!(":{}", self.tls_port)) {
            return TcpStream::connect(("127.0.0.1", self.tls_port)).is_ok();
        } else {
            return self.place.join("control").exists();
        };
        let Ok(mut tcp) = TcpStream::connect(("127.0.0.1", port)) else {
            return false;
        };
        tcp.set_read_timeout(Some(Duration::from_secs(2)))
            .expect("a timeout");
        let mut greeting = [0; 4];
        tcp.read_exact(&mut greeting).is_ok() && greeting == *b"* OK"
    }

    /// SIGTERM, the end, and a new start on the same ports.
    #[track_caller]
    pub fn restart(&mut self) {
        self.terminate();
        assert_eq!(self.wait_for_end(), Some(0), "{}", self.log());
        self.run();
    }

    pub fn terminate(&self) {
        self.monitor().signal(Signal::SIGTERM);
    }

    /// Waits for the monitor to end by itself, and reaps what may be left; gives its exit status.
    #[track_caller]
    pub fn wait_for_end(&mut self) -> Option<i32> {
        eventually("the daemon to end", || self.has_ended().then_some(()));
        let status = self
            .child
            .take()
            .expect("a daemon")
            .wait()
            .expect("its status");
        status.code()
    }

    /// Whether the monitor is a zombie or gone.
    pub fn has_ended(&self) -> bool {
        let Some(child) = &self.child else {
            return true;
        };
        let id = i32::try_from(child.id()).expect("a process id");
        let flags = WaitPidFlag::WEXITED | WaitPidFlag::WNOWAIT | WaitPidFlag::WNOHANG;
        let state = waitid(Id::Pid(nix::unistd::Pid::from_raw(id)), flags);
        !matches!(state, Ok(WaitStatus::StillAlive))
    }

    /// SIGHUP, and until the log says what came of it.
    #[track_caller]
    pub fn hang_up(&self) {
        self.monitor().signal(Signal::SIGHUP);
    }

    /// `roost --config FILE ARGUMENTS`
    pub fn roost(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_roost"));
        command.args(arguments);
        // It is what `check` is about.
        if arguments.first() != Some(&"check") {
            command.arg("--config");
        }
        command.arg(self.configuration());
        command.env_remove("NOTIFY_SOCKET").env_remove("LISTEN_FDS");
        if let Ok(level) = std::env::var("ROOST_TEST_LOG") {
            command.env("RUST_LOG", level);
        }
        command
    }

    /// Runs a subcommand that must succeed; gives what it printed.
    #[track_caller]
    pub fn ask(&self, arguments: &[&str]) -> String {
        place::succeed(&mut self.roost(arguments))
    }

    // Its clients.

    /// A new connection, past the greeting and not logged in.
    #[track_caller]
    pub fn dial(&self) -> Client {
        Client::new(Wire::Tcp(self.tcp()), None).greeted()
    }

    /// A connection from another address of loopback.
    #[track_caller]
    pub fn dial_from(&self, address: [u8; 4]) -> Client {
        let tcp = tcp_from(Ipv4Addr::from(address).into(), self.address());
        Client::new(Wire::Tcp(tcp.expect("a connection")), None).greeted()
    }

    #[track_caller]
    pub fn dial_tls(&self) -> Client {
        let tcp = TcpStream::connect(("127.0.0.1", self.tls_port)).expect("a connection");
        tcp.set_read_timeout(Some(patience())).expect("a timeout");
        let wire = Wire::tls(tcp, &self.certificate()).expect("TLS");
        Client::new(wire, None).greeted()
    }

    /// A new connection of this user, logged in.
    #[track_caller]
    pub fn connect(&self, user: &User) -> Client {
        let mut client = self.dial();
        client.ok(&user.login());
        client
    }

    #[track_caller]
    pub fn connect_tls(&self, user: &User) -> Client {
        let mut client = self.dial_tls();
        client.ok(&user.login());
        client
    }

    /// A client before its greeting: of a socket made otherwise.
    pub fn client_of(tcp: TcpStream) -> Client {
        Client::new(Wire::Tcp(tcp), None)
    }

    /// A connection, nothing read.
    #[track_caller]
    pub fn tcp(&self) -> TcpStream {
        let tcp = TcpStream::connect(self.address()).expect("a connection");
        tcp.set_nodelay(true).expect("no delay");
        tcp.set_read_timeout(Some(patience())).expect("a timeout");
        tcp
    }

    pub fn address(&self) -> SocketAddr {
        SocketAddr::from(([127, 0, 0, 1], self.port))
    }

    /// What it shows to those who name no server, as PEM.
    pub fn certificate(&self) -> Vec<u8> {
        fs::read(self.certificate_file()).expect("a certificate")
    }

    pub fn certificate_file(&self) -> PathBuf {
        self.place.join("default.pem")
    }

    // Its processes.

    pub fn monitor(&self) -> Proc {
        Proc(self.child.as_ref().expect("a daemon").id())
    }

    /// Waits for the front; one that has just been started anew may not be called so yet.
    #[track_caller]
    pub fn front(&self) -> Proc {
        eventually("a front", || self.role("front").first().copied())
    }

    pub fn sessions(&self) -> Vec<Proc> {
        self.role("session")
    }

    /// The process that serves this user's mail.
    #[track_caller]
    pub fn session_of(&self, user: &User) -> Proc {
        eventually("a session", || self.find_session_of(user))
    }

    pub fn find_session_of(&self, user: &User) -> Option<Proc> {
        let mut sessions = self.sessions();
        sessions.retain(|session| session.is_alive() && session.uids()[0] == user.uid);
        sessions.first().copied()
    }

    /// What is neither a front nor a session: those who find out who somebody is.
    pub fn login_children(&self) -> Vec<Proc> {
        let mut children = self.monitor().children();
        children.retain(|child| child.is_alive());
        children.retain(|child| !["front", "session"].iter().any(|role| is(*child, role)));
        children
    }

    fn role(&self, role: &str) -> Vec<Proc> {
        let mut all = self.monitor().descendants();
        all.retain(|process| process.is_alive() && is(*process, role));
        all
    }

    // Its log.

    pub fn log(&self) -> String {
        fs::read_to_string(&self.log).unwrap_or_default()
    }

    pub fn log_file(&self) -> &Path {
        &self.log
    }

    /// Waits for a line with these words.
    #[track_caller]
    pub fn logs(&self, words: &str) -> String {
        let find = || {
            let log = self.log();
            log.lines()
                .find(|line| line.contains(words))
                .map(str::to_owned)
        };
        eventually(&format!("{words:?} in the log"), find)
    }

    /// How many lines have these words.
    pub fn count(&self, words: &str) -> usize {
        self.log()
            .lines()
            .filter(|line| line.contains(words))
            .count()
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        if let Some(mut child) = self.child.take() {
            let id = nix::unistd::Pid::from_raw(i32::try_from(child.id()).expect("a process id"));
            self.child = None;
            let _ = kill(id, Signal::SIGTERM);
            let ended = || {
                let flags = WaitPidFlag::WEXITED | WaitPidFlag::WNOWAIT | WaitPidFlag::WNOHANG;
                !matches!(waitid(Id::Pid(id), flags), Ok(WaitStatus::StillAlive))
            };
            let patient = Instant::now() + Duration::from_secs(5);
            while Instant::now() < patient && !ended() {
                std::thread::sleep(Duration::from_millis(2));
            }
            // Its group is its own as long as it has not been waited for.
            let _ = killpg(id, Signal::SIGKILL);
            let _ = child.wait();
        }
        if std::thread::panicking() {
            eprintln!("--- log ---\n{}", self.log());
        } else {
            check_log(&self.log());
        }
    }
}

/// A certificate with its key, both PEM.
pub struct Certificate {
    pub chain: String,
    pub key: String,
}

impl Certificate {
    /// Signed by itself, ECDSA, for these names.
    pub fn new(names: &[&str]) -> Certificate {
        let names: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
        let made = rcgen::generate_simple_self_signed(names).expect("a certificate");
        Certificate {
            chain: made.cert.pem(),
            key: made.signing_key.serialize_pem(),
        }
    }

    /// NAME.pem and NAME.key, the latter for root only.
    pub fn write(&self, place: &Place, name: &str) -> (PathBuf, PathBuf) {
        let chain = place.write(&format!("{name}.pem"), &self.chain);
        let key = place.write(&format!("{name}.key"), &self.key);
        place::set_mode(&key, 0o600);
        (chain, key)
    }
}

/// A connection from a certain address.
pub fn tcp_from(from: IpAddr, to: SocketAddr) -> io::Result<TcpStream> {
    let family = match to {
        SocketAddr::V4(_) => AddressFamily::Inet,
        SocketAddr::V6(_) => AddressFamily::Inet6,
    };
    let socket_fd = socket(family, SockType::Stream, SockFlag::SOCK_CLOEXEC, None)?;
    let fd = std::os::fd::AsRawFd::as_raw_fd(&socket_fd);
    match (SocketAddr::new(from, 0), to) {
        (SocketAddr::V4(from), SocketAddr::V4(to)) => {
            bind(fd, &SockaddrIn::from(from))?;
            connect(fd, &SockaddrIn::from(to))?;
        }
        (SocketAddr::V6(from), SocketAddr::V6(to)) => {
            bind(fd, &SockaddrIn6::from(from))?;
            connect(fd, &SockaddrIn6::from(to))?;
        }
        _ => return Err(io::ErrorKind::InvalidInput.into()),
    }
    let tcp = TcpStream::from(socket_fd);
    tcp.set_nodelay(true)?;
    tcp.set_read_timeout(Some(patience()))?;
    Ok(tcp)
}

/// One line as it comes, without its end; `None` at the end of the connection.
pub fn line(tcp: &mut impl Read) -> Option<String> {
    let mut line = Vec::new();
    let mut octet = [0];
    loop {
        match tcp.read(&mut octet) {
            Ok(0) => break,
            Ok(_) => line.push(octet[0]),
            Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
            Err(e) if e.kind() == io::ErrorKind::ConnectionReset => break,
            Err(e) => panic!("after {:?}: {e}", String::from_utf8_lossy(&line)),
        }
        if line.ends_with(b"\n") {
            let text = String::from_utf8_lossy(&line);
            return Some(text.trim_end_matches(['\r', '\n']).to_owned());
        }
    }
    (!line.is_empty()).then(|| String::from_utf8_lossy(&line).into_owned())
}

/// Everything up to the end of the connection.
pub fn rest(tcp: &mut impl Read) -> String {
    let mut all = Vec::new();
    let mut window = [0; 4096];
    loop {
        match tcp.read(&mut window) {
            Ok(0) => break,
            Ok(count) => all.extend_from_slice(&window[..count]),
            Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
            Err(e) if e.kind() == io::ErrorKind::ConnectionReset => break,
            Err(e) => panic!("after {:?}: {e}", String::from_utf8_lossy(&all)),
        }
    }
    String::from_utf8_lossy(&all).into_owned()
}

/// Sends as much as goes; the server may have closed.
pub fn say(tcp: &mut impl Write, bytes: &[u8]) {
    let _ = tcp.write_all(bytes);
    let _ = tcp.flush();
}

/// The user the front becomes: the packages' own, or who owns nothing.
pub fn front_user() -> &'static str {
    match nix::unistd::User::from_name("roost") {
        Ok(Some(_)) => "roost",
        _ => "nobody",
    }
}

fn is(process: Proc, role: &str) -> bool {
    let title = process.title();
    title.split([' ', ':', '/']).any(|word| word == role)
}

/// The certificate that whoever listens on this port shows, as PEM.
pub fn shown_certificate(port: u16) -> Vec<u8> {
    Wire::shown_certificate(port)
}

/// A connection over TLS that believes whatever it is shown.
pub fn tls_believing(port: u16) -> Wire {
    Wire::believing(port)
}

/// A client over TLS on a connection made otherwise, before its greeting.
pub fn client_over_tls(tcp: TcpStream, certificate: &[u8]) -> Client {
    Client::new(Wire::tls(tcp, certificate).expect("TLS"), None)
}
