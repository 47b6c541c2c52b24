//! Starting a server over a [`Mail`], in either of the two forms every test uses.

use std::fs::{self, File};
use std::net::TcpStream;
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::process::{Child, Command, ExitStatus};
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::wire::Wire;
use super::{Client, Mail, Whole, check_log, dovecot, free_port, patience};

/// The server a test talks to.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Program {
    Roost,
    /// Roost's whole daemon, as root starts it.
    Daemon,
    Dovecot,
}

impl Program {
    /// Roost, unless `ROOST_UNDER_TEST` names another.
    pub fn under_test() -> Program {
        match std::env::var("ROOST_UNDER_TEST").as_deref() {
            Ok("dovecot") => Program::Dovecot,
            Ok("daemon") => Program::Daemon,
            Ok("roost") | Err(_) => Program::Roost,
            Ok(other) => panic!("ROOST_UNDER_TEST={other}: roost, daemon or dovecot"),
        }
    }

    pub fn is_dovecot(self) -> bool {
        self == Program::Dovecot
    }

    /// Why this program cannot be run here, if it cannot.
    pub fn missing(self) -> Option<String> {
        match self {
            Program::Roost => None,
            Program::Daemon if nix::unistd::geteuid().is_root() => None,
            Program::Daemon => Some("the daemon is started by root only".into()),
            Program::Dovecot => dovecot::missing(),
        }
    }

    /// The command that speaks IMAP, already authenticated, on its standard input and output.
    pub fn preauth(self, mail: &Mail, settings: &[&str]) -> Command {
        match self {
            Program::Roost => {
                let mut command = Command::new(env!("CARGO_BIN_EXE_roost"));
                command.arg("--preauth").arg("--maildir").arg(mail.root());
                for setting in NAMES.iter().chain(settings) {
                    command.args(["--set", setting]);
                }
                with_environment(&mut command, mail);
                command
            }
            Program::Daemon => panic!("a daemon is not on anybody's standard input"),
            Program::Dovecot => dovecot::preauth(mail, settings),
        }
    }
}

/// A server that listens on loopback, for user [`Server::USER`] with password
/// [`Server::PASSWORD`]; it ends with this value.
pub struct Server {
    pub port: u16,
    pub tls_port: u16,
    running: Running,
    certificate: PathBuf,
}

enum Running {
    Alone(Process),
    Whole(Arc<Whole>),
}

impl Server {
    pub const USER: &'static str = "alice";
    pub const PASSWORD: &'static str = "open-sesame";

    /// A client of a process of its own that serves it over a socket pair, past the greeting.
    #[track_caller]
    pub fn preauth(mail: &Mail) -> Client {
        Server::preauth_with(mail, &[])
    }

    /// As [`Server::preauth`], with `KEY=VALUE` settings.
    #[track_caller]
    pub fn preauth_with(mail: &Mail, settings: &[&str]) -> Client {
        Server::preauth_of(Program::under_test(), mail, settings)
    }

    /// A client of this program, whatever is under test.
    #[track_caller]
    pub fn preauth_of(program: Program, mail: &Mail, settings: &[&str]) -> Client {
        if program == Program::Daemon {
            return mail.daemon(settings).connect();
        }
        let (ours, theirs) = UnixStream::pair().expect("a socket pair");
        let theirs = OwnedFd::from(theirs);
        let mut command = program.preauth(mail, settings);
        command
            .stdin(theirs.try_clone().expect("the same socket"))
            .stdout(theirs);
        let process = Process::start(command, mail);
        let mut client = Client::new(Wire::Pair(ours), Some(process));
        let greeting = client.read();
        assert!(
            greeting.matches("PREAUTH ..."),
            "no PREAUTH: {}",
            client.conversation()
        );
        client
    }

    /// `roost try` over this Maildir on free ports, or a Dovecot of our own that does the same.
    #[track_caller]
    pub fn try_(mail: &Mail) -> Server {
        Server::try_with(mail, &[])
    }

    #[track_caller]
    pub fn try_with(mail: &Mail, settings: &[&str]) -> Server {
        if Program::under_test() == Program::Daemon {
            let whole = Whole::start(mail, settings);
            return Server {
                port: whole.daemon.port,
                tls_port: whole.daemon.tls_port,
                certificate: mail.work().join("certificate.pem"),
                running: Running::Whole(whole),
            };
        }
        // A port found free may be taken before the server binds it; then two others are tried.
        for _ in 0..5 {
            let (port, tls_port) = (free_port(), free_port());
            if let Some(server) = Server::listen(mail, settings, port, tls_port) {
                return server;
            }
        }
        panic!("no server could be started; see {}", mail.work().display());
    }

    fn listen(mail: &Mail, settings: &[&str], port: u16, tls_port: u16) -> Option<Server> {
        let certificate = mail.work().join("certificate.pem");
        let command = match Program::under_test() {
            Program::Dovecot => dovecot::listen(mail, settings, port, tls_port, &certificate),
            Program::Roost | Program::Daemon => {
                let password = mail.write("password", format!("{}\n", Server::PASSWORD));
                let mut command = Command::new(env!("CARGO_BIN_EXE_roost"));
                command
                    .arg("try")
                    .arg(mail.root())
                    .args(["--listen", &format!("127.0.0.1:{port}")])
                    .args(["--listen-tls", &format!("127.0.0.1:{tls_port}")])
                    .args(["--user", Server::USER, "--password-file"])
                    .arg(password);
                for setting in NAMES.iter().chain(settings) {
                    command.args(["--set", setting]);
                }
                with_environment(&mut command, mail);
                command
            }
        };
        let mut process = Process::start(command, mail);
        let start = Instant::now();
        loop {
            let listens = |port| TcpStream::connect(("127.0.0.1", port)).is_ok();
            if listens(port) && listens(tls_port) {
                return Some(Server {
                    port,
                    tls_port,
                    running: Running::Alone(process),
                    certificate,
                });
            }
            if process.has_ended() || start.elapsed() > patience() {
                eprintln!("{}", process.log());
                return None;
            }
            std::thread::sleep(Duration::from_millis(10));
        }
    }

    /// A new connection, logged in.
    #[track_caller]
    pub fn connect(&self) -> Client {
        let mut client = self.dial();
        client.ok(&format!("LOGIN {} \"{}\"", Server::USER, Server::PASSWORD));
        client
    }

    /// A new connection, past the greeting and not logged in.
    #[track_caller]
    pub fn dial(&self) -> Client {
        let tcp = TcpStream::connect(("127.0.0.1", self.port)).expect("a connection");
        tcp.set_nodelay(true).expect("no delay");
        Client::new(Wire::Tcp(tcp), None).greeted()
    }

    /// A new connection over TLS, past the greeting and not logged in.
    #[track_caller]
    pub fn dial_tls(&self) -> Client {
        let tcp = TcpStream::connect(("127.0.0.1", self.tls_port)).expect("a connection");
        tcp.set_nodelay(true).expect("no delay");
        // Before the handshake, which would otherwise wait for ever on a silent server.
        tcp.set_read_timeout(Some(patience())).expect("a timeout");
        let wire = Wire::tls(tcp, &self.certificate()).expect("TLS");
        Client::new(wire, None).greeted()
    }

    /// The certificate the server shows, as PEM.
    pub fn certificate(&self) -> Vec<u8> {
        match Program::under_test() {
            Program::Dovecot => fs::read(&self.certificate).expect("a certificate"),
            Program::Roost | Program::Daemon => Wire::shown_certificate(self.tls_port),
        }
    }

    /// The certificate in a file, for programs.
    pub fn certificate_file(&self) -> PathBuf {
        fs::write(&self.certificate, self.certificate()).expect("written");
        self.certificate.clone()
    }

    #[track_caller]
    pub fn process(&self) -> &Process {
        match &self.running {
            Running::Alone(process) => process,
            Running::Whole(_) => panic!("a daemon is not one process"),
        }
    }

    pub fn log(&self) -> String {
        match &self.running {
            Running::Alone(process) => process.log(),
            Running::Whole(whole) => whole.daemon.log(),
        }
    }
}

/// A server's process: ended and reaped with this value, by its id and only if we started it.
pub struct Process {
    child: Child,
    log: PathBuf,
}

impl Process {
    pub(super) fn start(mut command: Command, mail: &Mail) -> Process {
        let log = mail.work().join(format!("log-{}", super::mail::next()));
        command.stderr(File::create(&log).expect("a log file"));
        if let Ok(level) = std::env::var("ROOST_TEST_LOG") {
            command.env("RUST_LOG", level);
        }
        let child = command
            .spawn()
            .unwrap_or_else(|e| panic!("{command:?}: {e}"));
        Process { child, log }
    }

    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// The most memory it ever had resident, in bytes (VmHWM of /proc).
    pub fn peak_memory(&self) -> u64 {
        self.status("VmHWM")
    }

    /// The memory it has resident now, in bytes.
    pub fn memory(&self) -> u64 {
        self.status("VmRSS")
    }

    /// How long it has been computing, in ticks of the kernel (a hundredth of a second).
    pub fn processor_time(&self) -> u64 {
        let stat = fs::read_to_string(format!("/proc/{}/stat", self.id())).expect("its stat");
        // What comes before is the name, which may have blanks: utime is the 14th field, stime the
        // 15th.
        let (_, fields) = stat.rsplit_once(") ").expect("a name");
        let times = fields.split(' ').skip(11).take(2);
        times.map(|time| time.parse::<u64>().expect("ticks")).sum()
    }

    fn status(&self, key: &str) -> u64 {
        let status = fs::read_to_string(format!("/proc/{}/status", self.id())).expect("its status");
        let line = status
            .lines()
            .find_map(|line| line.strip_prefix(key)?.strip_prefix(':'));
        let kilobytes = line.and_then(|line| line.trim().strip_suffix(" kB"));
        kilobytes
            .and_then(|kb| kb.parse::<u64>().ok())
            .expect("a size in kB")
            * 1024
    }

    /// What it wrote to stderr, and under Dovecot to its log.
    pub fn log(&self) -> String {
        let own = fs::read_to_string(&self.log).unwrap_or_default();
        let dovecot = self.log.with_file_name("dovecot.log");
        let theirs = fs::read_to_string(dovecot).unwrap_or_default();
        if own.is_empty() && theirs.is_empty() {
            return String::new();
        }
        format!("--- log ---\n{own}{theirs}")
    }

    pub fn has_ended(&mut self) -> bool {
        self.child.try_wait().expect("its state").is_some()
    }

    /// Asks it to end (SIGTERM).
    pub fn terminate(&self) {
        use nix::sys::signal::{Signal, kill};
        let id = i32::try_from(self.id()).expect("a process id");
        let _ = kill(nix::unistd::Pid::from_raw(id), Signal::SIGTERM);
    }

    /// Ends it at once (SIGKILL), as a crash would.
    pub fn kill(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }

    /// Waits for it to end by itself.
    #[track_caller]
    pub fn wait_for_end(&mut self) -> ExitStatus {
        super::eventually("the server to end", || {
            self.child.try_wait().expect("its state")
        })
    }

    /// Waits for it to end by itself, without an error.
    #[track_caller]
    pub fn wait_for_success(&mut self) {
        let status = self.wait_for_end();
        assert!(
            status.success(),
            "the server ended with {status}\n{}",
            self.log()
        );
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        if matches!(self.child.try_wait(), Ok(None)) {
            self.terminate();
            let patient = Instant::now() + Duration::from_secs(5);
            while Instant::now() < patient && matches!(self.child.try_wait(), Ok(None)) {
                std::thread::sleep(Duration::from_millis(2));
            }
        }
        self.kill();
        if std::thread::panicking() {
            eprintln!("{}", self.log());
        } else {
            check_log(&self.log());
        }
    }
}

/// The environment every server gets: the user's home in the work directory, UTC.
pub fn with_environment(command: &mut Command, mail: &Mail) {
    command
        .env("HOME", mail.home())
        .env("USER", Server::USER)
        .env("TZ", "UTC")
        // A system call that a session is not known to make is a failed test.
        .env("ROOST_UNLISTED_CALLS", "fatal")
        .current_dir(mail.work());
}

/// Tests write the names of mailboxes with slashes, as Dovecot's configuration has it too.
pub const NAMES: &[&str] = &["mail.separator=/"];
