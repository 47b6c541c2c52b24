//! The loop with a service that speaks a small line protocol of its own.

use super::stream::ListenerId;
use nix::sys::signal::{Signal, raise};
use std::collections::HashMap;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::os::unix::net::UnixStream;
use std::sync::mpsc;
use std::thread;

use rustls::pki_types::ServerName;
use rustls::{ClientConfig, ClientConnection, RootCertStore, StreamOwned};

use super::*;

#[test]
fn lines_are_answered_in_order_and_all_of_them_before_the_end() {
    let [mut client] = serve_pairs();
    client.write_all(b"one\ntwo\nthree\n").unwrap();
    client.shutdown(Shutdown::Write).unwrap();
    assert_eq!(read_all(&mut client), "hello\none\ntwo\nthree\nend\n");
}

#[test]
fn a_client_that_does_not_read_is_not_read_from_and_delays_nobody() {
    let [mut stuck, mut other] = serve_pairs();
    let total = 30_000_000;
    stuck
        .write_all(format!("BIG {total}\n").as_bytes())
        .unwrap();
    for _ in 0..50 {
        other.write_all(b"ping\n").unwrap();
    }
    other.shutdown(Shutdown::Write).unwrap();
    assert!(read_all(&mut other).ends_with("ping\nend\n"));

    stuck.write_all(b"PEAK\n").unwrap();
    stuck.shutdown(Shutdown::Write).unwrap();
    let answer = read_all(&mut stuck);
    assert!(answer.len() > total);
    let peak: usize = answer
        .lines()
        .find_map(|line| line.strip_prefix("peak "))
        .unwrap()
        .parse()
        .unwrap();
    assert!(peak <= 2 * buffer::HIGH, "{peak}");
}

#[test]
fn a_client_with_much_to_do_is_served_in_slices_between_the_others() {
    let [mut busy, mut other] = serve_pairs();
    busy.write_all(b"SPIN 50\n").unwrap();
    let mut other_lines = BufReader::new(other.try_clone().unwrap());
    assert_eq!(line(&mut other_lines), "hello");
    for _ in 0..3 {
        other.write_all(b"SLICES\n").unwrap();
        // The busy one has not had more slices than lines have been answered, by far.
        let slices: u32 = line(&mut other_lines).parse().unwrap();
        assert!(slices < 50, "{slices}");
    }
    drop((other, other_lines));
    busy.shutdown(Shutdown::Write).unwrap();
    assert!(read_all(&mut busy).ends_with("spun 50\nend\n"));
}

#[test]
fn a_connection_that_waits_for_time_to_pass_is_called_again() {
    let [mut client] = serve_pairs();
    client.write_all(b"LATER\nafter\n").unwrap();
    client.shutdown(Shutdown::Write).unwrap();
    assert_eq!(read_all(&mut client), "hello\nlate\nafter\nend\n");
}

#[test]
fn one_connection_can_make_another_one_ready() {
    let [mut speaker, listener] = serve_pairs();
    let mut lines = BufReader::new(listener);
    assert_eq!(line(&mut lines), "hello");
    speaker.write_all(b"TELL news\n").unwrap();
    assert_eq!(line(&mut lines), "news");
    drop((speaker, lines));
}

#[test]
fn the_last_words_arrive_though_the_client_goes_on_sending() {
    let mut client = TcpStream::connect(serve_tcp(None, usize::MAX)).unwrap();
    let mut input = BufReader::new(client.try_clone().unwrap());
    assert_eq!(line(&mut input), "hello");
    client.write_all(b"QUIT\n").unwrap();
    for _ in 0..100 {
        // Errors are welcome once the server has had enough.
        let _ = client.write_all(&[b'x'; 10_000]);
    }
    assert_eq!(line(&mut input), "bye");
    assert_eq!(line(&mut input), "");
}

#[test]
fn connections_beyond_the_limit_wait_for_a_place() {
    let address = serve_tcp(None, 1);
    let mut first = TcpStream::connect(address).unwrap();
    let mut input = BufReader::new(first.try_clone().unwrap());
    assert_eq!(line(&mut input), "hello");
    let mut second = BufReader::new(TcpStream::connect(address).unwrap());
    first.write_all(b"one more\n").unwrap();
    assert_eq!(line(&mut input), "one more");
    drop((first, input));
    assert_eq!(line(&mut second), "hello");
}

#[test]
fn tls_from_the_first_byte_carries_both_ways_and_its_end_is_clean() {
    let (certificates, roots) = certificates();
    let address = serve_tcp(Some(certificates), usize::MAX);
    let mut client = tls_client(TcpStream::connect(address).unwrap(), roots);
    client.write_all(b"BIG 3000000\nQUIT\n").unwrap();
    client.flush().unwrap();
    // An unclean end would be an error here.
    let answer = read_all(&mut client);
    assert_eq!(answer.len(), "hello\n".len() + 3_000_000 + "\nbye\n".len());
}

#[test]
fn starttls_begins_after_its_answer_is_sent() {
    let (certificates, roots) = certificates();
    let mut socket = TcpStream::connect(serve_tcp_with_starttls(certificates)).unwrap();
    socket.write_all(b"TLS\n").unwrap();
    let mut answer = [0; b"hello\nbegin\n".len()];
    socket.read_exact(&mut answer).unwrap();
    assert_eq!(&answer, b"hello\nbegin\n");
    let mut client = tls_client(socket, roots);
    client.write_all(b"inside\nQUIT\n").unwrap();
    assert_eq!(read_all(&mut client), "inside\nbye\n");
}

#[test]
fn what_is_sent_in_the_clear_after_starttls_is_never_obeyed() {
    let (certificates, _) = certificates();
    let mut socket = TcpStream::connect(serve_tcp_with_starttls(certificates)).unwrap();
    socket.write_all(b"TLS\ninjected\n").unwrap();
    let mut answer = [0; b"hello\nbegin\n".len()];
    socket.read_exact(&mut answer).unwrap();
    // It is no ClientHello: the server says so and ends.
    let _ = socket.write_all(b"injected\n");
    let mut answer = Vec::new();
    let _ = socket.read_to_end(&mut answer);
    assert!(!answer.windows(8).any(|window| window == b"injected"));
}

#[test]
fn a_detached_stream_is_left_as_it_is_with_what_was_read_and_not_yet_sent() {
    let [client] = serve_pairs();
    let mut lines = BufReader::new(client);
    lines.get_mut().write_all(b"DETACH\nmore\n").unwrap();
    let mut text = String::new();
    lines.read_to_string(&mut text).unwrap();
    assert_eq!(text, "hello\ngoing\nmore\ndetached\n");
}

#[test]
fn a_service_can_add_connections_and_cut_them() {
    let [one, two] = serve_pairs();
    let (mut one, mut two) = (BufReader::new(one), BufReader::new(two));
    assert_eq!(
        (line(&mut one), line(&mut two)),
        ("hello".into(), "hello".into())
    );
    one.get_mut().write_all(b"ADD 7\n").unwrap();
    assert_eq!(line(&mut one), "I am here");
    one.get_mut().write_all(b"CUT\nstill\nQUIT\n").unwrap();
    assert_eq!(read_all(&mut two), "I am here\n");
    assert_eq!(read_all(&mut one), "still\nbye\n");
}

#[test]
fn a_watched_descriptor_is_told_of_until_it_is_unwatched_and_keeps_the_loop_if_the_service_says_so()
{
    let (ours, theirs) = UnixStream::pair().unwrap();
    theirs.set_nonblocking(true).unwrap();
    let (sender, heard) = mpsc::channel();
    let (ended, end) = mpsc::channel();
    serve(move |_, service| {
        service.watch(SourceId(3), theirs);
        service.heard = Some(sender);
        service.ended = Some(ended);
        service.busy = true;
    });
    for text in ["one", "two"] {
        (&ours).write_all(text.as_bytes()).unwrap();
        assert_eq!(heard.recv().unwrap(), format!("3: {text}"));
    }
    drop(ours);
    assert_eq!(heard.recv().unwrap(), "end of 3");
    end.recv().unwrap();
}

#[test]
fn told_to_stop_the_loop_lets_every_client_end_and_accepts_no_more() {
    let (ours, theirs) = UnixStream::pair().unwrap();
    theirs.set_nonblocking(true).unwrap();
    let (ended, end) = mpsc::channel();
    let address = serve(move |event_loop, service| {
        service.watch(SourceId(1), theirs);
        service.ended = Some(ended);
        listen(event_loop, false)
    });
    let mut client = BufReader::new(TcpStream::connect(address).unwrap());
    assert_eq!(line(&mut client), "hello");
    (&ours).write_all(b"stop").unwrap();
    assert_eq!(read_all(&mut client), "end\n");
    end.recv().unwrap();
    assert!(TcpStream::connect(address).is_err());
}

#[test]
fn sockets_made_elsewhere_are_listened_on_tcp_and_unix() {
    let tcp = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = tcp.local_addr().unwrap();
    let name = format!("roost-net-{}", std::process::id());
    let path = std::env::temp_dir().join(name);
    let unix = std::os::unix::net::UnixListener::bind(&path).unwrap();
    serve(move |_, service| {
        for (number, socket) in [OwnedFd::from(tcp), OwnedFd::from(unix)]
            .into_iter()
            .enumerate()
        {
            service.changes.push_back(Change::Listen {
                socket,
                listener: ListenerId(number as u32),
                tls: false,
                proxy: None,
            });
        }
    });
    let mut tcp = BufReader::new(TcpStream::connect(address).unwrap());
    let mut unix = BufReader::new(UnixStream::connect(&path).unwrap());
    std::fs::remove_file(&path).unwrap();
    assert_eq!(
        (line(&mut tcp), line(&mut unix)),
        ("hello".into(), "hello".into())
    );
}

#[test]
fn a_signal_reloads_or_tells_of_a_child_if_that_was_asked_for() {
    let signals = Signals::new(Watched {
        reload: true,
        children: true,
    })
    .unwrap();
    for (signal, expected) in [
        (Signal::SIGHUP, Signalled::Reload),
        (Signal::SIGCHLD, Signalled::Child),
        (Signal::SIGTERM, Signalled::Stop("SIGTERM")),
    ] {
        // It goes to the calling thread alone (raise(3)), where it is blocked.
        raise(signal).unwrap();
        assert_eq!(signals.poll().unwrap(), Some(expected));
    }
    assert_eq!(signals.poll().unwrap(), None);
}

#[test]
fn a_client_that_breaks_off_its_handshake_or_talks_nonsense_is_told_of_in_words() {
    let (sender, heard) = mpsc::channel();
    let address = serve(move |event_loop, service| {
        event_loop.set_certificates(certificates().0);
        service.heard = Some(sender);
        listen(event_loop, true)
    });
    let mut client = TcpStream::connect(address).unwrap();
    client.write_all(b"a1 CAPABILITY\r\n").unwrap();
    let mut answer = Vec::new();
    client.read_to_end(&mut answer).unwrap();
    // An alert (RFC 8446 6), and no word in the clear.
    assert_eq!((answer.len(), answer[0]), (7, 21));
    assert!(heard.recv().unwrap().starts_with("127.0.0.1:"));
    let reason = heard.recv().unwrap();
    assert!(reason.contains("corrupt message"), "{reason}");

    // Who never says anything looked whether we are there, and has not failed.
    drop(TcpStream::connect(address).unwrap());
    assert!(heard.recv().unwrap().starts_with("127.0.0.1:"));

    let mut client = TcpStream::connect(address).unwrap();
    client.write_all(&[22, 3, 1]).unwrap();
    drop(client);
    assert!(heard.recv().unwrap().starts_with("127.0.0.1:"));
    assert_eq!(
        heard.recv().unwrap(),
        "the client has closed the connection"
    );
}

#[test]
fn clients_that_never_finish_their_handshake_are_in_nobodys_way_and_end_when_the_service_says() {
    let (certificates, roots) = certificates();
    let (sender, heard) = mpsc::channel();
    let (ours, theirs) = UnixStream::pair().unwrap();
    theirs.set_nonblocking(true).unwrap();
    let address = serve(move |event_loop, service| {
        event_loop.set_certificates(certificates);
        service.watch(SourceId(1), theirs);
        service.heard = Some(sender);
        listen(event_loop, true)
    });
    let mut half_open: Vec<TcpStream> = (0..100)
        .map(|number| {
            let mut client = TcpStream::connect(address).unwrap();
            // The beginning of a ClientHello, or nothing.
            client
                .write_all(&[22, 3, 1, 2, 0, 1, 0][..number % 8])
                .unwrap();
            client
        })
        .collect();
    let mut client = tls_client(TcpStream::connect(address).unwrap(), roots);
    client.write_all(b"one\nQUIT\n").unwrap();
    assert_eq!(read_all(&mut client), "hello\none\nbye\n");
    (&ours).write_all(b"time").unwrap();
    for client in &mut half_open {
        // Nothing is said in the clear.
        assert_eq!(client.read(&mut [0; 10]).unwrap(), 0);
    }
    assert_eq!(
        heard
            .iter()
            .filter(|text| text == "secured")
            .take(1)
            .count(),
        1
    );
}

#[test]
fn a_trusted_proxy_says_who_its_clients_are_and_what_follows_is_theirs() {
    for tls in [false, true] {
        for header in [
            b"PROXY TCP4 192.0.2.1 198.51.100.2 56324 143\r\n".to_vec(),
            b"\r\n\r\n\0\r\nQUIT\n\x21\x11\0\x0f\xc0\0\x02\x01\xc6\x33\x64\x02\xdc\x04\0\x8f\x04\0\0".to_vec(),
        ] {
            for cut in [0, 1, 5, 13, 16, 30, header.len() - 1, header.len()] {
                let (roots, address, heard) = serve_proxy("127.0.0.0", tls);
                let mut socket = TcpStream::connect(address).unwrap();
                socket.set_nodelay(true).unwrap();
                socket.write_all(&header[..cut]).unwrap();
                // The other part is another packet, most of the time.
                thread::yield_now();
                let rest = &header[cut..];
                let text = match tls {
                    false => {
                        socket.write_all(&[rest, b"one\nQUIT\n"].concat()).unwrap();
                        read_all(&mut socket)
                    }
                    true => {
                        socket.write_all(rest).unwrap();
                        let mut client = tls_client(socket, roots);
                        client.write_all(b"one\nQUIT\n").unwrap();
                        read_all(&mut client)
                    }
                };
                assert_eq!(text, "hello\none\nbye\n");
                let expected = "192.0.2.1:56324 198.51.100.2:143 true";
                assert_eq!(heard.recv().unwrap(), expected);
            }
        }
    }
}

#[test]
fn a_proxy_that_does_not_say_for_whom_it_speaks_is_still_a_proxy() {
    let (_, address, heard) = serve_proxy("127.0.0.0", false);
    let mut client = TcpStream::connect(address).unwrap();
    client.write_all(b"PROXY UNKNOWN\r\nQUIT\n").unwrap();
    assert_eq!(read_all(&mut client), "hello\nbye\n");
    let own = client.local_addr().unwrap();
    assert_eq!(heard.recv().unwrap(), format!("{own} {address} true"));
}

#[test]
fn without_a_header_or_from_elsewhere_nothing_is_served() {
    for (network, sent) in [
        ("127.0.0.0", &b"a1 NOOP\r\n"[..]),
        ("127.0.0.0", b"PROXY TCP4 1.2.3.4 nonsense\r\n"),
        (
            "192.0.2.0",
            b"PROXY TCP4 192.0.2.1 198.51.100.2 56324 143\r\n",
        ),
        ("192.0.2.0", b""),
        ("127.0.0.0", b"PROXY TCP4 192.0.2.1"),
    ] {
        let (_, address, _) = serve_proxy(network, false);
        let mut client = TcpStream::connect(address).unwrap();
        // It may be gone already.
        let _ = client.write_all(sent);
        let _ = client.shutdown(Shutdown::Write);
        let mut answer = Vec::new();
        let _ = client.read_to_end(&mut answer);
        assert!(answer.is_empty());
    }
}

/// A service that echoes lines, says `hello` first and `end` or `bye` last.
#[derive(Default)]
struct Lines {
    clients: HashMap<ConnectionId, Client>,
    ready: Vec<ConnectionId>,
    slices: u32,
    changes: VecDeque<Change>,
    /// What is heard of connections, sources and signals.
    heard: Option<mpsc::Sender<String>>,
    /// A watched socket, whose lines every client is told.
    source: Option<Rc<OwnedFd>>,
    busy: bool,
    deadline: Option<Instant>,
    ended: Option<mpsc::Sender<()>>,
}

#[derive(Default)]
struct Client {
    input: Vec<u8>,
    output: Buffer,
    ended: bool,
    task: Option<Task>,
    peak: usize,
}

enum Task {
    Big(usize),
    Spin(u32, u32),
    Late(Instant),
}

impl Service for Lines {
    fn handle_connect(&mut self, id: ConnectionId, peer: Peer, _: Now) {
        if let (Some(address), Some(local)) = (peer.address, peer.local) {
            self.hear(format!("{address} {local} {}", peer.proxy.is_some()));
        }
        let mut client = Client::default();
        client.output.writer().extend(b"hello\n");
        self.clients.insert(id, client);
    }

    fn handle_input(&mut self, id: ConnectionId, bytes: &[u8], _: Now) {
        self.client(id).input.extend(bytes);
    }

    fn handle_end(&mut self, id: ConnectionId, _: Now) {
        self.client(id).ended = true;
    }

    fn handle_close(&mut self, id: ConnectionId, _: Now) {
        assert!(self.clients.remove(&id).is_some());
    }

    fn handle_wake(&mut self, _: Now) {}

    fn handle_timeout(&mut self, _: Now) {
        // Time is up for everybody.
        for (&id, client) in &mut self.clients {
            client.ended = true;
            self.ready.push(id);
        }
        self.deadline = None;
    }

    fn handle_stop(&mut self, _: Now) {
        for client in self.clients.values_mut() {
            client.ended = true;
        }
    }

    fn handle_secured(&mut self, id: ConnectionId, secured: Secured) {
        assert!(self.client(id).input.is_empty());
        assert!(secured.exporter.is_some() && secured.end_point.is_some());
        self.hear("secured".into());
    }

    fn handle_tls_failure(&mut self, id: ConnectionId, reason: &str) {
        assert!(self.clients.contains_key(&id));
        self.hear(reason.into());
    }

    fn handle_added(&mut self, id: ConnectionId, context: u64, now: Now) {
        self.handle_connect(id, Peer::default(), now);
        self.hear(format!("added {context}"));
    }

    fn handle_detached(&mut self, id: ConnectionId, stream: Stream) {
        let mut client = self.clients.remove(&id).unwrap();
        let mut socket = UnixStream::from(stream.into_socket().unwrap());
        socket.set_nonblocking(false).unwrap();
        socket.write_all(client.output.pending()).unwrap();
        client.input.extend(b"detached\n");
        socket.write_all(&client.input).unwrap();
    }

    fn handle_source(&mut self, source: SourceId, _: Now) {
        let Some(descriptor) = self.source.clone() else {
            return;
        };
        let mut buffer = [0; 64];
        while let Ok(count) = nix::unistd::read(&descriptor, &mut buffer) {
            let text = String::from_utf8(buffer[..count].to_vec()).unwrap();
            match text.as_str() {
                "" => {
                    self.changes.push_back(Change::Unwatch(source));
                    self.source = None;
                    self.busy = false;
                    return self.hear(format!("end of {}", source.0));
                }
                "stop" => self.changes.push_back(Change::Stop),
                "time" => self.deadline = Some(Instant::now()),
                _ => {}
            }
            self.hear(format!("{}: {text}", source.0));
        }
    }

    fn poll_change(&mut self) -> Option<Change> {
        self.changes.pop_front()
    }

    fn is_done(&self) -> bool {
        !self.busy
    }

    fn run(&mut self, id: ConnectionId, now: Now, over: &dyn Fn() -> bool) -> Run {
        loop {
            let client = self.clients.get_mut(&id).unwrap();
            client.peak = client.peak.max(client.output.len());
            match &mut client.task {
                Some(Task::Big(left)) => {
                    let count = (*left).min(10_000);
                    *left -= count;
                    client.output.writer().extend(vec![b'x'; count]);
                    if *left == 0 {
                        client.output.writer().push(b'\n');
                        client.task = None;
                    } else if client.output.is_full() {
                        return Run::Idle;
                    }
                    continue;
                }
                Some(Task::Spin(done, wanted)) => {
                    while !over() {}
                    *done += 1;
                    self.slices += 1;
                    if done < wanted {
                        return Run::Again;
                    }
                    let text = format!("spun {done}\n");
                    client.output.writer().extend(text.as_bytes());
                    client.task = None;
                }
                Some(Task::Late(when)) => {
                    if let Some(wait) = when.checked_duration_since(now.instant) {
                        return Run::Wait(wait);
                    }
                    client.output.writer().extend(b"late\n");
                    client.task = None;
                }
                None => {}
            }
            let client = self.client(id);
            let Some(length) = client.input.iter().position(|&byte| byte == b'\n') else {
                if client.ended {
                    client.output.writer().extend(b"end\n");
                    return Run::Close;
                }
                return Run::Idle;
            };
            let line: Vec<u8> = client.input.drain(..=length).collect();
            let line = String::from_utf8(line).unwrap();
            let (word, rest) = line
                .trim_end()
                .split_once(' ')
                .unwrap_or((line.trim_end(), ""));
            match word {
                "BIG" => client.task = Some(Task::Big(rest.parse().unwrap())),
                "SPIN" => client.task = Some(Task::Spin(0, rest.parse().unwrap())),
                "LATER" => {
                    client.task = Some(Task::Late(now.instant + Duration::from_millis(30)));
                }
                "PEAK" => {
                    let text = format!("peak {}\n", client.peak);
                    client.output.writer().extend(text.as_bytes());
                }
                "SLICES" => {
                    let text = format!("{}\n", self.slices);
                    self.client(id).output.writer().extend(text.as_bytes());
                }
                "TELL" => self.tell(id, rest),
                "DETACH" => {
                    client.output.writer().extend(b"going\n");
                    return Run::Detach;
                }
                "ADD" => {
                    let stream = Stream::adopt(visitor().into()).unwrap();
                    self.changes.push_back(Change::Add {
                        stream,
                        peer: Peer::default(),
                        context: rest.parse().unwrap(),
                    });
                }
                "CUT" => {
                    let others = self.clients.keys().filter(|&&other| other != id);
                    self.changes.extend(others.copied().map(Change::Cut));
                }
                "QUIT" => {
                    client.output.writer().extend(b"bye\n");
                    return Run::Close;
                }
                "TLS" => {
                    client.output.writer().extend(b"begin\n");
                    client.input.clear();
                    return Run::StartTls;
                }
                _ => client.output.writer().extend(line.as_bytes()),
            }
        }
    }

    fn poll_ready(&mut self) -> Option<ConnectionId> {
        self.ready.pop()
    }

    fn next_timeout(&self) -> Option<Instant> {
        self.deadline
    }

    fn wants_input(&self, id: ConnectionId) -> bool {
        let client = self.clients.get(&id).unwrap();
        client.task.is_none() && client.input.len() < READ_SIZE
    }

    fn output(&mut self, id: ConnectionId) -> &mut Buffer {
        &mut self.client(id).output
    }
}

impl Lines {
    fn client(&mut self, id: ConnectionId) -> &mut Client {
        self.clients.get_mut(&id).unwrap()
    }

    fn watch(&mut self, source: SourceId, socket: UnixStream) {
        let socket = Rc::new(OwnedFd::from(socket));
        self.changes
            .push_back(Change::Watch(source, Rc::clone(&socket)));
        self.source = Some(socket);
    }

    fn hear(&mut self, text: String) {
        if let Some(heard) = &self.heard {
            // The test may have seen enough.
            let _ = heard.send(text);
        }
    }

    fn tell(&mut self, from: ConnectionId, news: &str) {
        for (&id, client) in &mut self.clients {
            if id != from {
                client.output.writer().extend(news.as_bytes());
                client.output.writer().push(b'\n');
                self.ready.push(id);
            }
        }
    }
}

/// The server's end of a client that tells the others that it is here, and goes.
fn visitor() -> UnixStream {
    let (ours, theirs) = UnixStream::pair().unwrap();
    let mut ours = BufReader::new(ours);
    thread::spawn(move || {
        assert_eq!(line(&mut ours), "hello");
        ours.get_mut().write_all(b"TELL I am here\nQUIT\n").unwrap();
        assert_eq!(line(&mut ours), "bye");
    });
    theirs
}

/// Clients of a loop that ends with the last of them.
fn serve_pairs<const N: usize>() -> [UnixStream; N] {
    let pairs = [(); N].map(|()| UnixStream::pair().unwrap());
    let (clients, servers): (Vec<_>, Vec<_>) = pairs.into_iter().unzip();
    serve(|event_loop, service| {
        for server in servers {
            let stream = Stream::adopt(server.into()).unwrap();
            event_loop.add(stream, Peer::default(), service).unwrap();
        }
    });
    clients.try_into().unwrap()
}

fn serve_tcp(certificates: Option<Arc<Certificates>>, limit: usize) -> SocketAddr {
    serve(move |event_loop, _| {
        event_loop.set_connection_limit(limit);
        let tls = certificates.is_some();
        event_loop.certificates = certificates;
        listen(event_loop, tls)
    })
}

fn serve_tcp_with_starttls(certificates: Arc<Certificates>) -> SocketAddr {
    serve(|event_loop, _| {
        event_loop.set_certificates(certificates);
        listen(event_loop, false)
    })
}

/// A listener for proxies from one /8 only.
fn serve_proxy(network: &str, tls: bool) -> (RootCertStore, SocketAddr, mpsc::Receiver<String>) {
    let (certificates, roots) = certificates();
    let (sender, heard) = mpsc::channel();
    let socket = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = socket.local_addr().unwrap();
    let network = network.parse().unwrap();
    serve(move |event_loop, service| {
        event_loop.set_certificates(certificates);
        service.heard = Some(sender);
        service.changes.push_back(Change::Listen {
            socket: socket.into(),
            listener: ListenerId(1),
            tls,
            proxy: Some(vec![(network, 8)]),
        });
    });
    (roots, address, heard)
}

fn listen(event_loop: &mut Loop, tls: bool) -> SocketAddr {
    let address = "127.0.0.1:0".parse().unwrap();
    event_loop.listen(address, tls).unwrap()
}

/// A loop in a thread of its own, which ends with the loop or with the test program.
fn serve<T: Send + 'static>(
    prepare: impl FnOnce(&mut Loop, &mut Lines) -> T + Send + 'static,
) -> T {
    let (sender, receiver) = mpsc::channel();
    thread::spawn(move || {
        let mut service = Lines::default();
        let mut event_loop = Loop::new().unwrap();
        sender.send(prepare(&mut event_loop, &mut service)).unwrap();
        event_loop.run(&mut service).unwrap();
        assert!(service.clients.is_empty());
        if let Some(ended) = service.ended {
            ended.send(()).unwrap();
        }
    });
    receiver.recv().unwrap()
}

fn certificates() -> (Arc<Certificates>, RootCertStore) {
    let (certificates, der) = Certificates::self_signed(&["localhost"]).unwrap();
    let mut roots = RootCertStore::empty();
    roots.add(der.into()).unwrap();
    (certificates, roots)
}

fn tls_client(socket: TcpStream, roots: RootCertStore) -> StreamOwned<ClientConnection, TcpStream> {
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    let name = ServerName::try_from("localhost").unwrap();
    StreamOwned::new(
        ClientConnection::new(Arc::new(config), name).unwrap(),
        socket,
    )
}

fn read_all(client: &mut impl Read) -> String {
    let mut text = String::new();
    client.read_to_string(&mut text).unwrap();
    text
}

fn line(input: &mut impl BufRead) -> String {
    let mut line = String::new();
    input.read_line(&mut line).unwrap();
    line.trim_end().to_owned()
}
