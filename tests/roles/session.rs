//! `roost session` as the monitor sees it: the test is the monitor, and hands clients over.

use std::fs::{self, File};
use std::io::Read;
use std::net::{TcpListener, UdpSocket};
use std::os::fd::OwnedFd;
use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};
use std::os::unix::net::{UnixDatagram, UnixStream};
use std::os::unix::process::CommandExt;
use std::process::{Child, Command, ExitStatus, Stdio};

use roost::imap::LoggedIn;
use roost::imap::command::Tag;
use roost::ipc::channel::Channel;
use roost::ipc::{
    Account, Connection, ConnectionNumber, HandOver, Location, Message, Origin, Protocol,
    SessionCounters,
};
use roost::mail::Layout;

use crate::support::{Client, MAIL, Mail, eventually, own, patience};

#[test]
fn a_client_is_greeted_by_the_ok_to_its_login() {
    let mail = Mail::numbered(3);
    let mut monitor = Monitor::start(&mail, &[]);
    let mut client = monitor.hand_over(1);
    assert_eq!(client.read().tag, "tag1");
    assert!(
        client
            .ok("SELECT INBOX")
            .untagged
            .iter()
            .any(|r| r.raw == b"* 3 EXISTS\r\n")
    );
    client.ok("LOGOUT");
    let (number, counters) = monitor.closed();
    assert_eq!(number, 1);
    assert_eq!(counters.commands, 2);
    assert!(
        counters.received > 20 && counters.sent > 100,
        "{counters:?}"
    );
    assert!(monitor.end().success());
}

#[test]
fn what_was_not_sent_goes_first_and_what_was_sent_ahead_is_done() {
    let mail = Mail::numbered(1);
    let mut monitor = Monitor::start(&mail, &[]);
    let (ours, theirs) = UnixStream::pair().unwrap();
    let mut hand_over = hand_over(1);
    hand_over.output = b"* OK still to be said\r\n".to_vec();
    hand_over.input = b"a NOOP\r\nb LOGOUT\r\n".to_vec();
    monitor.send_connection(1, hand_over, theirs.into());
    let text = read_to_end(ours);
    let starts: Vec<&str> = text.lines().map(|line| &line[..4]).collect();
    assert_eq!(starts, ["* OK", "tag1", "a OK", "* BY", "b OK"], "{text}");
}

#[test]
fn bad_commands_before_the_login_count() {
    let mail = Mail::new();
    let mut monitor = Monitor::start(&mail, &[]);
    let (ours, theirs) = UnixStream::pair().unwrap();
    let mut hand_over = hand_over(1);
    hand_over.state = logged_in("tag1", 1000);
    hand_over.input = b"a NONSENSE\r\n".to_vec();
    monitor.send_connection(1, hand_over, theirs.into());
    let text = read_to_end(ours);
    assert!(text.ends_with("\r\n") && text.contains("* BYE"), "{text}");
}

#[test]
fn a_client_whose_conversation_before_login_cannot_be_read_is_turned_away_and_no_other() {
    let mail = Mail::new();
    let mut monitor = Monitor::start(&mail, &[]);
    let mut other = monitor.greeted(1);
    let (ours, theirs) = UnixStream::pair().unwrap();
    let mut hand_over = hand_over(2);
    hand_over.state = b"tag2".to_vec();
    hand_over.input = b"a NOOP\r\n".to_vec();
    monitor.send_connection(2, hand_over, theirs.into());
    let text = read_to_end(ours);
    assert!(text.starts_with("* BYE [UNAVAILABLE]"), "{text}");
    assert_eq!(text.lines().count(), 1, "{text}");
    other.ok("NOOP");
}

#[test]
fn clients_of_one_user_hear_of_each_other_at_once() {
    let mail = Mail::numbered(1);
    let mut monitor = Monitor::start(&mail, &[]);
    let mut a = monitor.greeted(1);
    let mut b = monitor.greeted(2);
    a.ok("SELECT INBOX");
    b.ok("SELECT INBOX");
    b.ok("STORE 1 +FLAGS (\\Flagged)");
    let seen = a.ok("NOOP");
    let flagged = seen
        .untagged
        .iter()
        .any(|r| String::from_utf8_lossy(&r.raw).contains("Flagged"));
    assert!(flagged);
}

#[test]
fn when_the_monitor_says_stop_every_client_is_told_and_the_process_ends() {
    let mail = Mail::new();
    let mut monitor = Monitor::start(&mail, &[]);
    let mut a = monitor.greeted(1);
    let mut b = monitor.greeted(2);
    a.ok("SELECT INBOX");
    monitor.send(Message::Stop);
    for client in [&mut a, &mut b] {
        assert_eq!(client.read().raw, b"* BYE Server shutting down.\r\n");
    }
    assert!(monitor.wait().success());
}

#[test]
fn when_the_monitor_is_gone_every_client_is_told_and_the_process_ends() {
    let mail = Mail::new();
    let mut monitor = Monitor::start(&mail, &[]);
    let mut a = monitor.greeted(1);
    a.ok("SELECT INBOX");
    let status = monitor.end();
    assert_eq!(a.read().raw, b"* BYE Server shutting down.\r\n");
    assert!(status.success());
}

#[test]
fn a_client_can_be_sent_away() {
    let mail = Mail::new();
    let mut monitor = Monitor::start(&mail, &[]);
    let mut a = monitor.greeted(1);
    let mut b = monitor.greeted(2);
    monitor.send(Message::Drop(ConnectionNumber(1)));
    monitor.send(Message::Drop(ConnectionNumber(77)));
    assert!(a.read().raw.starts_with(b"* BYE "));
    assert_eq!(monitor.closed().0, 1);
    b.ok("NOOP");
}

#[test]
fn the_monitor_is_told_when_nobody_has_been_here_for_a_while() {
    let mail = Mail::new();
    let mut monitor = Monitor::start(&mail, &["mail.linger=10ms"]);
    let mut a = monitor.greeted(1);
    a.ok("LOGOUT");
    assert_eq!(monitor.closed().0, 1);
    assert!(matches!(
        monitor.receive(),
        Message::Idle { connections: 1 }
    ));
    // It was on its way already: no reason not to serve it.
    let mut b = monitor.greeted(2);
    b.ok("LOGOUT");
    assert_eq!(monitor.closed().0, 2);
    assert!(matches!(
        monitor.receive(),
        Message::Idle { connections: 2 }
    ));
    assert!(monitor.end().success());
}

#[test]
fn a_session_whose_first_client_never_comes_says_that_nobody_is_here() {
    let mail = Mail::new();
    let mut monitor = Monitor::start(&mail, &["mail.linger=10ms"]);
    assert!(matches!(
        monitor.receive(),
        Message::Idle { connections: 0 }
    ));
    assert!(monitor.end().success());
}

#[test]
fn what_is_no_connection_of_a_client_is_closed() {
    let mail = Mail::new();
    let mut monitor = Monitor::start(&mail, &[]);
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let unconnected = nix::sys::socket::socket(
        nix::sys::socket::AddressFamily::Unix,
        nix::sys::socket::SockType::Stream,
        nix::sys::socket::SockFlag::empty(),
        None,
    )
    .unwrap();
    let odd: [OwnedFd; 6] = [
        listener.into(),
        UdpSocket::bind("127.0.0.1:0").unwrap().into(),
        UnixDatagram::pair().unwrap().0.into(),
        // As a channel is.
        Channel::pair().unwrap().1,
        File::open("/dev/null").unwrap().into(),
        unconnected,
    ];
    for (number, socket) in (1..).zip(odd) {
        monitor.send_connection(number, hand_over(number), socket);
        assert_eq!(monitor.closed().0, number);
    }
    monitor.greeted(9).ok("NOOP");
}

#[test]
fn a_message_that_is_not_for_a_session_ends_it() {
    let mail = Mail::new();
    let mut monitor = Monitor::start(&mail, &[]);
    let mut a = monitor.greeted(1);
    monitor.send(Message::Serve);
    assert!(a.read().raw.starts_with(b"* BYE "));
    monitor.wait();
}

#[test]
fn a_maildir_that_is_missing_is_made_for_the_user_alone() {
    let mail = Mail::new();
    fs::remove_dir_all(mail.root()).unwrap();
    let mut monitor = Monitor::start(&mail, &[]);
    let mut a = monitor.greeted(1);
    a.ok("SELECT INBOX");
    let made = fs::metadata(mail.root()).unwrap();
    assert_eq!(made.permissions().mode() & 0o777, 0o700);
}

#[test]
fn a_client_whose_maildir_cannot_be_opened_is_told_so_and_the_log_says_why() {
    let mail = Mail::new();
    fs::remove_dir_all(mail.root()).unwrap();
    fs::write(mail.root(), "not a directory").unwrap();
    let mut monitor = Monitor::start(&mail, &[]);
    for number in [1, 2] {
        let (ours, theirs) = UnixStream::pair().unwrap();
        monitor.send_connection(number, hand_over(number), theirs.into());
        let text = read_to_end(ours);
        assert!(
            text.starts_with(&format!("tag{number} NO [UNAVAILABLE] ")),
            "{text}"
        );
        assert!(text.contains("\r\n* BYE "), "{text}");
        assert_eq!(monitor.closed().0, number);
        // It may be mended by the next login, which is to find another session.
        let Message::Idle { connections } = monitor.receive() else {
            panic!("the session stays");
        };
        assert_eq!(connections, number);
    }
    let log = monitor.log();
    assert!(
        log.contains("imap(alice): the mail cannot be opened: "),
        "{log}"
    );
    assert!(log.contains("Maildir"), "{log}");
}

#[test]
fn dovecots_layout_index_is_refused_and_the_log_names_it() {
    let mail = Mail::new();
    fs::create_dir_all(mail.root().join("a035931ed4430b6b1f65000083ecc375/cur")).unwrap();
    fs::write(mail.root().join("dovecot.list.index.log"), "").unwrap();
    let mut monitor = Monitor::start(&mail, &[]);
    let (ours, theirs) = UnixStream::pair().unwrap();
    monitor.send_connection(1, hand_over(1), theirs.into());
    assert!(read_to_end(ours).starts_with("tag1 NO [UNAVAILABLE] "));
    let log = monitor.log();
    assert!(log.contains("LAYOUT=index"), "{log}");
}

#[test]
fn the_layout_of_what_is_there_is_found_out_if_that_is_wanted() {
    let mail = Mail::new();
    let child = mail.root().join("a/b");
    for part in ["cur", "new", "tmp"] {
        fs::create_dir_all(child.join(part)).unwrap();
        own(&child.join(part));
    }
    own(&child);
    own(child.parent().unwrap());
    let mut account = account(&mail);
    account.location.layout = Layout::Detect;
    let mut monitor = Monitor::start_with(&mail, &[], account);
    let mut a = monitor.greeted(1);
    a.ok("SELECT a/b");
    a.ok("CREATE c/d");
    assert!(mail.root().join("c/d/cur").is_dir());
}

#[test]
fn the_title_says_whose_session_it_is_and_who_is_there() {
    let mail = Mail::new();
    let mut monitor = Monitor::start(&mail, &[]);
    let title = format!("/proc/{}/cmdline", monitor.pid());
    let title = || {
        let shown = fs::read(&title).unwrap();
        String::from_utf8_lossy(&shown)
            .trim_end_matches('\0')
            .to_owned()
    };
    let mut a = monitor.greeted(1);
    assert_eq!(title(), "roost: session [alice]");
    a.ok("SELECT INBOX");
    assert_eq!(title(), "roost: session [alice selected]");
    let idle = a.idle();
    assert_eq!(title(), "roost: session [alice IDLE]");
    let b = monitor.greeted(2);
    assert_eq!(title(), "roost: session [alice 2 connections, 1 IDLE]");
    drop(idle);
    drop((a, b));
    monitor.closed();
    monitor.closed();
    assert_eq!(title(), "roost: session [alice]");
}

#[test]
fn folders_that_are_links_to_another_place_are_served() {
    let mail = Mail::new();
    let shared = mail.directory("shared/cur").parent().unwrap().to_owned();
    symlink(&shared, mail.root().join(".Shared")).unwrap();
    own(&shared);
    let mut monitor = Monitor::start(&mail, &[]);
    let mut a = monitor.greeted(1);
    a.append("Shared", b"Subject: x\r\n\r\nx\r\n");
    a.ok("SELECT Shared");
    assert_eq!(
        fs::read_dir(shared.join("new")).unwrap().count()
            + fs::read_dir(shared.join("cur")).unwrap().count(),
        1
    );
}

#[test]
fn mail_in_another_layout_and_indexes_in_another_place_are_found() {
    let mail = Mail::new();
    let indexes = mail.work().join("indexes/alice");
    own(mail.work());
    let mut account = account(&mail);
    account.location.layout = Layout::Fs;
    account.location.index_dir = Some(indexes.clone());
    let mut monitor = Monitor::start_with(&mail, &[], account);
    let mut a = monitor.greeted(1);
    a.ok("CREATE a/b");
    a.ok("SELECT a/b");
    a.ok("LOGOUT");
    assert!(mail.root().join("a/b/cur").is_dir());
    assert!(monitor.end().success());
    assert!(indexes.join("a/b").is_dir());
}

#[test]
fn when_another_maildir_takes_the_place_clients_are_asked_to_log_in_again() {
    let mail = Mail::numbered(1);
    let mut monitor = Monitor::start(&mail, &[]);
    let mut a = monitor.greeted(1);
    a.ok("SELECT INBOX");
    fs::rename(mail.root(), mail.work().join("aside")).unwrap();
    mail.inbox().create();
    // The watch may have told the session already; then nobody hears this.
    let _ = a.try_send(b"a NOOP\r\n");
    let told = a.read_to_end();
    let bye = told
        .iter()
        .find(|response| response.raw.starts_with(b"* BYE "));
    assert!(bye.is_some_and(|bye| String::from_utf8_lossy(&bye.raw).contains("replaced")));
    assert!(monitor.wait().success());
}

#[test]
fn the_log_tells_of_each_client_in_dovecots_words() {
    let mail = Mail::numbered(2);
    let mut monitor = Monitor::start(&mail, &[]);
    let mut a = monitor.greeted(1);
    a.ok("SELECT INBOX");
    a.ok("FETCH 1 (BODY.PEEK[HEADER] BODY.PEEK[])");
    a.ok("STORE 1:2 +FLAGS.SILENT (\\Deleted)");
    a.ok("EXPUNGE");
    a.ok("LOGOUT");
    monitor.closed();
    drop(monitor.greeted(2));
    monitor.closed();
    let pid = monitor.pid();
    let log = monitor.log();
    let lines: Vec<&str> = log
        .lines()
        .filter(|line| line.contains("Disconnected"))
        .collect();
    let [logout, lost] = lines.as_slice() else {
        panic!("{log}");
    };
    assert!(logout.contains(&format!(
        "imap(alice)<{pid}><session1>: Disconnected: Logged out in="
    )));
    assert!(
        logout.contains(" deleted=2 expunged=2 trashed=0 hdr_count=1 hdr_bytes="),
        "{logout}"
    );
    assert!(logout.contains(" body_count=1 body_bytes="), "{logout}");
    assert!(
        lost.contains("<session2>: Disconnected: Connection closed in=0 out="),
        "{lost}"
    );
}

#[test]
fn a_session_is_confined() {
    let mail = Mail::new();
    let mut monitor = Monitor::start(&mail, &[]);
    let mut client = monitor.greeted(1);
    client.ok("SELECT INBOX");
    let status = fs::read_to_string(format!("/proc/{}/status", monitor.pid())).unwrap();
    for (key, value) in [
        ("Seccomp:", "2"),
        ("NoNewPrivs:", "1"),
        ("CapEff:", "0000000000000000"),
    ] {
        let found = status
            .lines()
            .find_map(|line| line.strip_prefix(key))
            .unwrap();
        assert_eq!(found.trim(), value, "{key}");
    }
    let limits = fs::read_to_string(format!("/proc/{}/limits", monitor.pid())).unwrap();
    for (limit, value) in [("Max core file size", "0"), ("Max data size", "536870912")] {
        let line = limits.lines().find_map(|line| line.strip_prefix(limit));
        assert_eq!(line.unwrap().split_whitespace().nth(1), Some(value));
    }
}

#[test]
fn a_session_that_gets_no_client_says_so_and_can_be_ended() {
    let mail = Mail::new();
    let mut monitor = Monitor::start(&mail, &["mail.linger=10ms"]);
    match monitor.receive() {
        Message::Idle { connections: 0 } => {}
        other => panic!("{other:?}"),
    }
    assert!(monitor.end().success());
}

#[test]
fn root_is_not_served_whatever_the_monitor_says() {
    if !nix::unistd::geteuid().is_root() {
        eprintln!("skipped: only root can be root");
        return;
    }
    let mail = Mail::new();
    let mut account = account(&mail);
    account.uid = 0;
    let mut monitor = Monitor::start_with(&mail, &[], account);
    assert!(!monitor.wait().success());
}

/// The other end of a session's channel.
struct Monitor {
    channel: Option<Channel>,
    process: Child,
    /// Standard error, on which nothing is said but by a test of ours.
    log: std::path::PathBuf,
    lines: Vec<String>,
}

impl Monitor {
    fn start(mail: &Mail, settings: &[&str]) -> Monitor {
        Monitor::start_with(mail, settings, account(mail))
    }

    fn start_with(mail: &Mail, settings: &[&str], account: Account) -> Monitor {
        let (channel, theirs) = Channel::pair().unwrap();
        let log = mail.write("session.log", "");
        let mut command = Command::new("sh");
        command
            .args([
                "-c",
                "exec 3<&0 </dev/null; exec \"$0\" session",
                env!("CARGO_BIN_EXE_roost"),
            ])
            .stdin(Stdio::from(theirs))
            .stderr(File::create(&log).unwrap())
            .env_clear()
            .env("ROOST_UNLISTED_CALLS", "fatal");
        if nix::unistd::geteuid().is_root() {
            command.uid(MAIL).gid(MAIL);
        }
        let process = command.spawn().unwrap();
        let mut monitor = Monitor {
            channel: Some(channel),
            process,
            log,
            lines: Vec::new(),
        };
        monitor.send(Message::Settings(settings.join("\n")));
        monitor.send(Message::Account(account));
        monitor
    }

    fn send(&mut self, message: Message) {
        // One that ended already does not hear it.
        let _ = self.channel.as_mut().unwrap().send(message);
    }

    fn send_connection(&mut self, number: u64, hand_over: HandOver, socket: OwnedFd) {
        let connection = Connection {
            number: ConnectionNumber(number),
            protocol: Protocol::Imap,
            hand_over,
        };
        self.send(Message::Connection(connection, socket));
    }

    /// A client whose greeting is not read yet.
    fn hand_over(&mut self, number: u64) -> Client {
        let (ours, theirs) = UnixStream::pair().unwrap();
        self.send_connection(number, hand_over(number), theirs.into());
        Client::of_socket(ours)
    }

    fn greeted(&mut self, number: u64) -> Client {
        let mut client = self.hand_over(number);
        let greeting = client.read();
        assert_eq!(greeting.tag, format!("tag{number}"));
        client
    }

    /// The next message that is no line of the log.
    fn receive(&mut self) -> Message {
        loop {
            match self.channel.as_mut().unwrap().wait().unwrap() {
                Message::Log(_, line) => self.lines.push(line),
                message => return message,
            }
        }
    }

    fn closed(&mut self) -> (u64, SessionCounters) {
        match self.receive() {
            Message::Closed(number, counters) => (number.0, counters),
            other => panic!("{other:?}"),
        }
    }

    fn pid(&self) -> u32 {
        self.process.id()
    }

    /// Closes the channel; the process must end.
    fn end(&mut self) -> ExitStatus {
        self.channel = None;
        self.wait()
    }

    fn wait(&mut self) -> ExitStatus {
        let process = &mut self.process;
        eventually("the session to end", || process.try_wait().unwrap())
    }

    /// Ends it; what it had to say for the log.
    fn log(&mut self) -> String {
        self.send(Message::Stop);
        while let Ok(message) = self.channel.as_mut().unwrap().wait() {
            if let Message::Log(_, line) = message {
                self.lines.push(line);
            }
        }
        self.end();
        self.lines.join("\n")
    }
}

impl Drop for Monitor {
    fn drop(&mut self) {
        self.channel = None;
        let _ = self.process.kill();
        let _ = self.process.wait();
        if std::thread::panicking() {
            eprintln!("{}", fs::read_to_string(&self.log).unwrap_or_default());
            eprintln!("{}", self.lines.join("\n"));
        }
    }
}

fn account(mail: &Mail) -> Account {
    let owner = fs::metadata(mail.home()).unwrap();
    Account {
        user: "alice".into(),
        uid: owner.uid(),
        gid: owner.gid(),
        home: mail.home().display().to_string(),
        location: Location::at(mail.root().to_owned(), Layout::MaildirPlusPlus),
    }
}

fn logged_in(tag: &str, bad_commands: u32) -> Vec<u8> {
    let tag = Tag::from_octets(tag.as_bytes()).unwrap();
    LoggedIn { tag, bad_commands }.to_octets()
}

fn hand_over(number: u64) -> HandOver {
    HandOver {
        origin: Origin {
            remote: None,
            local: None,
            tls: true,
            session: format!("session{number}"),
        },
        state: logged_in(&format!("tag{number}"), 0),
        input: Vec::new(),
        output: Vec::new(),
        relayed: false,
    }
}

fn read_to_end(mut socket: UnixStream) -> String {
    socket.set_read_timeout(Some(patience())).unwrap();
    let mut text = String::new();
    socket.read_to_string(&mut text).unwrap();
    text
}
