//! The front as a whole, in a thread of its own, with real sockets; the test is its monitor and its
//! clients.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::os::fd::OwnedFd;
use std::os::unix::net::{UnixListener, UnixStream};
use std::sync::Arc;
use std::thread::{self, JoinHandle};
use std::time::SystemTime;

use rustls::pki_types::ServerName;
use rustls::pki_types::pem::PemObject;
use rustls::{ClientConfig, ClientConnection, RootCertStore, StreamOwned};

use super::*;
use crate::ipc::{HandOver, Limit, LoginRequest, Message, Proof, Refusal, Verdict};
use crate::mail::Secret;
use crate::net::Loop;
use crate::net::tls::make_self_signed;

#[test]
fn a_client_in_the_clear_is_handed_over_with_what_it_sent_in_advance() {
    let mut daemon = Daemon::start(quick());
    let mut client = daemon.connect();
    assert!(client.line().starts_with("* OK [CAPABILITY "));
    client.send("a1 LOGIN alice {6}\r\n");
    assert_eq!(client.line(), "+ OK");
    client.send("secret\r\na2 NOOP\r\na3 NO");
    let (attempt, request) = daemon.login();
    assert_eq!(password(&request), ("alice", "secret"));
    assert!(!request.origin.tls);
    daemon.admit(attempt);
    let (hand_over, socket) = daemon.handed_over(attempt);
    assert_eq!(hand_over.state, b"\0\0\0\0a1");
    assert_eq!(hand_over.input, b"a2 NOOP\r\na3 NO");
    assert_eq!(hand_over.origin, request.origin);
    let mut session = TcpStream::from(socket);
    session.set_nonblocking(false).unwrap();
    session.write_all(b"a1 OK\r\n").unwrap();
    assert_eq!(client.line(), "a1 OK");
    client.send("OP\r\n");
    let mut more = [0; 4];
    session.read_exact(&mut more).unwrap();
    assert_eq!(&more, b"OP\r\n");
    daemon.stop();
}

#[test]
fn a_refusal_is_told_and_the_client_may_try_again() {
    let mut daemon = Daemon::start(quick());
    let mut client = daemon.connect();
    client.line();
    for (why, code) in [
        (Refusal::Mismatch, "AUTHENTICATIONFAILED"),
        (Refusal::TooMany(Limit::UserAndAddress), "LIMIT"),
        (Refusal::Unavailable, "UNAVAILABLE"),
    ] {
        client.send("a LOGIN alice wrong\r\n");
        let (attempt, _) = daemon.login();
        daemon.say(Message::Verdict(attempt, Verdict::Refused(why)));
        let answer = client.line();
        assert!(answer.starts_with(&format!("a NO [{code}] ")), "{answer}");
    }
    client.send("b LOGIN alice secret\r\n");
    let (attempt, _) = daemon.login();
    daemon.admit(attempt);
    daemon.handed_over(attempt);
    daemon.stop();
}

#[test]
fn a_client_that_goes_is_not_asked_for_any_more() {
    let mut daemon = Daemon::start(quick());
    let mut client = daemon.connect();
    client.line();
    client.send("a AUTHENTICATE SCRAM-SHA-256 biwsbj1ib2Is\r\n");
    let (attempt, request) = daemon.login();
    assert!(matches!(request.proof, Proof::Scram { .. }));
    let challenge = Secret::new(b"r=1".to_vec());
    daemon.say(Message::Verdict(attempt, Verdict::Challenge(challenge)));
    assert_eq!(client.line(), "+ cj0x");
    drop(client);
    assert!(matches!(daemon.hear(), Message::GiveUp(gone) if gone == attempt));
    daemon.stop();
}

#[test]
fn under_tls_octets_are_relayed_both_ways_however_many_and_ends_are_passed_on() {
    let mut daemon = Daemon::start(quick());
    let mut client = daemon.connect_tls();
    assert!(client.line().contains("AUTH=SCRAM-SHA-256-PLUS"));
    client.send("a LOGIN alice secret\r\nb MORE\r\n");
    let (attempt, request) = daemon.login();
    assert!(request.origin.tls);
    daemon.admit(attempt);
    let (hand_over, socket) = daemon.handed_over(attempt);
    assert_eq!(hand_over.input, b"b MORE\r\n");
    let mut session = UnixStream::from(socket);
    session.set_nonblocking(false).unwrap();
    let mut reader = session.try_clone().unwrap();
    let echo = thread::spawn(move || {
        let mut text = Vec::new();
        reader.read_to_end(&mut text).unwrap();
        text
    });
    // More than fits into all buffers on the way, in both directions at a time.
    let much = "0123456789abcdef".repeat(200_000);
    session.write_all(b"a OK\r\n").unwrap();
    assert_eq!(client.line(), "a OK");
    let answer = much.clone();
    let talk = thread::spawn(move || {
        session.write_all(answer.as_bytes()).unwrap();
        session.write_all(b"\r\n").unwrap();
        session
    });
    for piece in much.as_bytes().chunks(10_000) {
        client.send_bytes(piece);
    }
    assert!(client.line() == much);
    client.end();
    let heard = echo.join().unwrap();
    assert!(heard == much.as_bytes());
    // The client has ended, and still hears.
    let mut session = talk.join().unwrap();
    session.write_all(b"* BYE\r\n").unwrap();
    drop(session);
    assert_eq!(client.line(), "* BYE");
    assert_eq!(client.line(), "");
    daemon.stop();
}

#[test]
fn a_session_that_dies_closes_its_clients_connection_and_no_other() {
    let mut daemon = Daemon::start(quick());
    let mut clients: Vec<_> = (0..2).map(|_| daemon.connect_tls()).collect();
    let mut sessions = Vec::new();
    for client in &mut clients {
        client.line();
        client.send("a LOGIN alice secret\r\n");
        let (attempt, _) = daemon.login();
        daemon.admit(attempt);
        sessions.push(UnixStream::from(daemon.handed_over(attempt).1));
    }
    drop(sessions.remove(0));
    assert_eq!(clients[0].line(), "");
    sessions[0].write_all(b"still here\r\n").unwrap();
    assert_eq!(clients[1].line(), "still here");
    drop(sessions);
    daemon.stop();
}

#[test]
fn one_address_has_only_so_many_places() {
    let daemon = Daemon::start(Config {
        waiting_connections_per_address: 3,
        ..quick()
    });
    let mut clients: Vec<_> = (0..3).map(|_| daemon.connect()).collect();
    for client in &mut clients {
        assert!(client.line().starts_with("* OK "));
    }
    let mut late = daemon.connect();
    let answer = late.line();
    assert!(
        answer.starts_with("* BYE [LIMIT] ")
            && answer.ends_with("(limits.waiting_connections_per_address)."),
        "{answer}"
    );
    assert_eq!(late.line(), "");
    // A handshake is not worth its while then.
    assert!(daemon.try_tls().is_err());
    clients[1].send("a LOGOUT\r\n");
    while !clients[1].line().is_empty() {}
    clients.remove(1);
    let mut next = daemon.connect_until(|greeting| greeting.starts_with("* OK "));
    next.send("a NOOP\r\n");
    assert!(next.line().starts_with("a OK"));
    daemon.stop();
}

#[test]
fn when_all_places_are_taken_the_oldest_goes() {
    let daemon = Daemon::start(Config {
        waiting_connections: 2,
        ..quick()
    });
    let mut clients: Vec<_> = (0..2).map(|_| daemon.connect()).collect();
    for client in &mut clients {
        assert!(client.line().starts_with("* OK "));
    }
    assert!(daemon.connect().line().starts_with("* OK "));
    assert_eq!(clients[0].line(), "");
    clients[1].send("a NOOP\r\n");
    assert!(clients[1].line().starts_with("a OK"));
    daemon.stop();
}

#[test]
fn the_auth_socket_is_served_beside() {
    let directory = std::env::temp_dir().join(format!("roost-front-{}", std::process::id()));
    let _ = std::fs::remove_file(&directory);
    let listener = UnixListener::bind(&directory).unwrap();
    let mut daemon = Daemon::start(quick());
    daemon.say(Message::Listener(
        ListenerKind::plain(Protocol::Sasl),
        listener.into(),
    ));
    let mut client = Client::new(UnixStream::connect(&directory).unwrap());
    std::fs::remove_file(&directory).unwrap();
    while client.line() != "DONE" {}
    client.send("VERSION\t1\t1\nCPID\t1\nAUTH\t1\tPLAIN\tservice=smtp\tresp=AGJvYgBzZWNyZXQ=\n");
    let (attempt, request) = daemon.login();
    assert_eq!(request.protocol, Protocol::Sasl);
    daemon.admit(attempt);
    assert_eq!(client.line(), "OK\t1\tuser=alice");
    daemon.stop();
}

#[test]
fn bad_certificates_change_nothing_and_good_ones_are_used_from_then_on() {
    let mut daemon = Daemon::start(quick());
    daemon.say(Message::Certificate {
        chain: b"nonsense".to_vec(),
        key: Secret::new(b"nonsense".to_vec()),
    });
    daemon.say(Message::UseCertificates);
    let mut client = daemon.connect_tls();
    client.line();
    daemon.use_certificate();
    client.send("a NOOP\r\n");
    assert!(client.line().starts_with("a OK"));
    // The order of messages is kept, so whoever connects after a later one was heard of gets the
    // new one.
    daemon.settle();
    daemon.connect_tls().line();
    daemon.stop();
}

#[test]
fn clients_hear_bye_when_it_ends_and_it_ends_with_the_monitor() {
    let mut daemon = Daemon::start(quick());
    let mut client = daemon.connect();
    client.line();
    daemon.say(Message::Stop);
    assert!(client.line().starts_with("* BYE "));
    assert_eq!(client.line(), "");
    drop(client);
    daemon.ended();

    let daemon = Daemon::start(quick());
    let mut client = daemon.connect();
    client.line();
    let Daemon {
        thread, monitor, ..
    } = daemon;
    drop(monitor);
    assert!(client.line().starts_with("* BYE "));
    drop(client);
    thread.join().unwrap();
}

#[test]
fn the_only_client_of_inetd_is_served_and_then_it_ends() {
    let mut daemon = Daemon::bare(quick());
    let (ours, theirs) = UnixStream::pair().unwrap();
    let kind = ListenerKind::plain(Protocol::Imap);
    daemon.say(Message::Client(kind, theirs.into()));
    daemon.say(Message::Serve);
    let mut client = Client::new(ours);
    client.line();
    client.send("a LOGIN alice secret\r\n");
    let (attempt, _) = daemon.login();
    daemon.admit(attempt);
    daemon.handed_over(attempt);
    daemon.ended();
}

#[test]
fn what_is_counted_is_told() {
    let mut daemon = Daemon::start(quick());
    let mut client = daemon.connect();
    client.line();
    loop {
        let message = daemon.hear_all();
        if let Message::Counted(counters) = message {
            assert_eq!(counters.connections, 1);
            assert_eq!(counters.waiting, 1);
            break;
        }
    }
    daemon.stop();
}

/// A front without delays.
fn quick() -> Config {
    Config {
        failure_delay: Duration::ZERO,
        auth_penalty: Duration::ZERO,
        auth_mechanisms: vec![
            crate::config::Mechanism::Plain,
            crate::config::Mechanism::ScramSha256,
        ],
        ..Config::default()
    }
}

struct Daemon {
    monitor: Channel,
    thread: JoinHandle<()>,
    plain: Option<SocketAddr>,
    tls: Option<SocketAddr>,
    roots: RootCertStore,
}

impl Daemon {
    /// A front that has been told nothing yet.
    fn bare(config: Config) -> Daemon {
        let (monitor, theirs) = Channel::pair().unwrap();
        let thread = thread::spawn(move || {
            let channel = Rc::new(RefCell::new(Channel::new(theirs).unwrap()));
            let mut event_loop = Loop::new().unwrap();
            let mut server = Server::new(config, channel, |_| {});
            event_loop.run(&mut server).unwrap();
        });
        Daemon {
            monitor,
            thread,
            plain: None,
            tls: None,
            roots: RootCertStore::empty(),
        }
    }

    /// One that listens.
    fn start(config: Config) -> Daemon {
        let mut daemon = Daemon::bare(config);
        daemon.use_certificate();
        daemon.plain = Some(daemon.listen(ListenerKind::plain(Protocol::Imap)));
        daemon.tls = Some(daemon.listen(ListenerKind::plain(Protocol::Imap).under_tls()));
        daemon.say(Message::Serve);
        daemon
    }

    fn use_certificate(&mut self) {
        let (chain, key) = make_self_signed(&["localhost"], SystemTime::now()).unwrap();
        let der = rustls::pki_types::CertificateDer::from_pem_slice(chain.as_bytes()).unwrap();
        self.roots.add(der).unwrap();
        self.say(Message::Certificate {
            chain: chain.into_bytes(),
            key: Secret::new(key.as_bytes().to_vec()),
        });
        self.say(Message::UseCertificates);
    }

    fn listen(&mut self, kind: ListenerKind) -> SocketAddr {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        self.say(Message::Listener(kind, listener.into()));
        address
    }

    fn say(&mut self, message: Message) {
        self.monitor.send(message).unwrap();
    }

    fn hear_all(&mut self) -> Message {
        self.monitor.wait().unwrap()
    }

    /// The next message that is not about numbers.
    fn hear(&mut self) -> Message {
        loop {
            match self.hear_all() {
                Message::Counted(_) => {}
                message => return message,
            }
        }
    }

    fn login(&mut self) -> (Attempt, LoginRequest) {
        match self.hear() {
            Message::Login(attempt, request) => (attempt, request),
            other => panic!("{other:?}"),
        }
    }

    fn admit(&mut self, attempt: Attempt) {
        let verdict = Verdict::Admitted {
            user: "alice".to_owned(),
            pid: 4711,
        };
        self.say(Message::Verdict(attempt, verdict));
    }

    fn handed_over(&mut self, attempt: Attempt) -> (HandOver, OwnedFd) {
        match self.hear() {
            Message::HandOver(of, hand_over, socket) if of == attempt => (hand_over, socket),
            other => panic!("{other:?}"),
        }
    }

    /// Waits until all that was said has been heard.
    fn settle(&mut self) {
        let mut client = self.connect();
        client.line();
        client.send("s LOGIN nobody x\r\n");
        let (attempt, _) = self.login();
        self.say(Message::Verdict(
            attempt,
            Verdict::Refused(Refusal::Mismatch),
        ));
        client.line();
    }

    fn connect(&self) -> Client<TcpStream> {
        Client::new(TcpStream::connect(self.plain.unwrap()).unwrap())
    }

    /// Connects again and again until the greeting is as it should be.
    fn connect_until(&self, is_right: impl Fn(&str) -> bool) -> Client<TcpStream> {
        loop {
            let mut client = self.connect();
            if is_right(&client.line()) {
                return client;
            }
        }
    }

    fn try_tls(&self) -> std::io::Result<StreamOwned<ClientConnection, TcpStream>> {
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let config = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_root_certificates(self.roots.clone())
            .with_no_client_auth();
        let name = ServerName::try_from("localhost").unwrap();
        let connection = ClientConnection::new(Arc::new(config), name).unwrap();
        let socket = TcpStream::connect(self.tls.unwrap())?;
        let mut stream = StreamOwned::new(connection, socket);
        stream.conn.complete_io(&mut stream.sock)?;
        Ok(stream)
    }

    fn connect_tls(&self) -> Client<StreamOwned<ClientConnection, TcpStream>> {
        Client::new(self.try_tls().unwrap())
    }

    fn stop(mut self) {
        self.say(Message::Stop);
        drop(self.monitor);
        self.thread.join().unwrap();
    }

    /// It has ended by itself.
    fn ended(self) {
        self.thread.join().unwrap();
    }
}

struct Client<S: Read + Write>(BufReader<S>);

impl<S: Read + Write> Client<S> {
    fn new(stream: S) -> Client<S> {
        Client(BufReader::new(stream))
    }

    /// Empty at the end.
    fn line(&mut self) -> String {
        let mut line = String::new();
        // A reset is an end as well.
        let _ = self.0.read_line(&mut line);
        line.trim_end().to_owned()
    }

    fn send(&mut self, text: &str) {
        self.send_bytes(text.as_bytes());
    }

    fn send_bytes(&mut self, bytes: &[u8]) {
        self.0.get_mut().write_all(bytes).unwrap();
        self.0.get_mut().flush().unwrap();
    }
}

impl Client<StreamOwned<ClientConnection, TcpStream>> {
    /// Sends nothing more, and goes on reading.
    fn end(&mut self) {
        let stream = self.0.get_mut();
        stream.conn.send_close_notify();
        stream.flush().unwrap();
        stream.sock.shutdown(Shutdown::Write).unwrap();
    }
}

fn password(request: &LoginRequest) -> (&str, &str) {
    let Proof::Password { user, password, .. } = &request.proof else {
        panic!("no password");
    };
    let text = |octets| std::str::from_utf8(octets).unwrap();
    (text(user), text(password.expose()))
}
