//! A whole session: clients and an outside program at work on one Maildir.

use super::files::{Scratch, now};
use super::legal;
use roost::config::{Config, Location};
use roost::imap;
use roost::imap::connection::State;
use roost::net::{Buffer, ConnectionId, Now, Run};
use roost::session::{Greeting, Session};
use std::path::{Component, Path};
use std::time::{Duration, Instant};

/// A script, one step a line: what a client says (`1 ` to `3 ` and a line, or `1+ ` and what needs
/// no end of line), and what else happens.
///
///     put cur/1.host:2,S Subject: x
///     move new/2.host cur/2.host:2,
///     drop cur/1.host:2,S
///     make .Work
///     pass 20
///     leave 2
///     restart
///
/// Nothing panics, every response is one that a client can read, and every command is answered.
pub fn session(input: &[u8]) {
    let scratch = Scratch::new();
    for name in ["cur", "new", "tmp"] {
        std::fs::create_dir(scratch.path.join(name)).expect("a directory for the test");
    }
    let mut talk = Talk::new(&scratch);
    for line in input.split(|&octet| octet == b'\n').take(STEPS_MAX) {
        let (word, rest) = split(line);
        match word {
            b"1" | b"2" | b"3" => talk.say(client(word), &[rest, b"\r\n"].concat()),
            b"1+" | b"2+" | b"3+" => talk.say(client(word), rest),
            b"leave" => talk.leave(client(rest)),
            b"restart" => talk.restart(&scratch),
            b"pass" => talk.pass(rest),
            _ => act(&scratch, word, rest),
        }
    }
    talk.finish();
}

/// A message that is stored compressed, well or badly: it is served or refused, its size is that of
/// its text, and a part of it is that part.
pub fn compressed(input: &[u8]) {
    let scratch = Scratch::new();
    for name in ["cur", "new", "tmp"] {
        std::fs::create_dir(scratch.path.join(name)).expect("a directory for the test");
    }
    scratch.write("cur/1.host:2,", input);
    let mut talk = Talk::new(&scratch);
    talk.say(0, b"a SELECT INBOX\r\nb FETCH 1 RFC822.SIZE\r\n");
    let size = after(&talk.take(0), b"RFC822.SIZE ").and_then(number);
    talk.say(0, b"c FETCH 1 BODY.PEEK[]\r\n");
    let whole = literal(&talk.take(0));
    talk.say(0, b"d FETCH 1 BODY.PEEK[]<3.20>\r\n");
    let part = literal(&talk.take(0));
    if let (Some(size), Some(whole)) = (size, &whole) {
        assert_eq!(size, whole.len());
    }
    if let (Some(whole), Some(part)) = (whole, part) {
        let from = whole.len().min(3);
        assert_eq!(part, whole[from..whole.len().min(23)]);
    }
    talk.say(0, b"e FETCH 1 (ENVELOPE BODYSTRUCTURE)\r\n");
    talk.finish();
}

struct Talk {
    session: Session,
    begun: Instant,
    passed: Duration,
    connections: [ConnectionId; 3],
    next: usize,
    /// What clients were told, to the end of the last whole response, and since.
    said: [Vec<u8>; 3],
    heard: [Vec<u8>; 3],
}

impl Talk {
    fn new(scratch: &Scratch) -> Talk {
        let mut talk = Talk {
            session: open(scratch),
            begun: Instant::now(),
            passed: Duration::ZERO,
            connections: [ConnectionId(0); 3],
            next: 0,
            said: Default::default(),
            heard: Default::default(),
        };
        (0..3).for_each(|client| talk.join(client));
        talk
    }

    fn now(&self) -> Now {
        Now {
            instant: self.begun + self.passed,
            time: now() + self.passed,
        }
    }

    fn join(&mut self, client: usize) {
        self.next += 1;
        let id = ConnectionId(self.next);
        self.connections[client] = id;
        let connection = imap::Connection::new(State::Authenticated, b'.');
        let now = self.now();
        self.session
            .attach(id, "s", Greeting::PreAuth, connection, Buffer::new(), now);
        self.run();
    }

    fn say(&mut self, client: usize, octets: &[u8]) {
        let now = self.now();
        let id = self.connections[client];
        if self.session.wants_input(id) {
            self.session.handle_input(id, octets, now);
        }
        self.run();
    }

    fn leave(&mut self, client: usize) {
        let now = self.now();
        self.session.handle_close(self.connections[client], now);
        self.heard[client].clear();
        self.join(client);
    }

    fn restart(&mut self, scratch: &Scratch) {
        self.close();
        self.session = open(scratch);
        (0..3).for_each(|client| self.join(client));
    }

    fn pass(&mut self, seconds: &[u8]) {
        let seconds = number(seconds).unwrap_or(1).min(100_000);
        self.passed += Duration::from_secs(seconds as u64);
        self.run();
    }

    /// Until everybody waits for somebody else.
    fn run(&mut self) {
        for turn in 0.. {
            assert!(turn < TURNS_MAX, "there is no end to it");
            let now = self.now();
            self.session.handle_wake(now);
            if self
                .session
                .next_timeout()
                .is_some_and(|due| due <= now.instant)
            {
                self.session.handle_timeout(now);
            }
            while self.session.poll_ready().is_some() {}
            let mut busy = false;
            for client in 0..3 {
                let id = self.connections[client];
                match self.session.run(id, now, &|| turn % 3 == 1) {
                    Run::Again => busy = true,
                    Run::Wait(span) => {
                        self.passed += span;
                        busy = true;
                    }
                    _ => {}
                }
                let output = self.session.output(id);
                busy |= !output.is_empty();
                self.heard[client].extend_from_slice(output.pending());
                output.consume(output.len());
                self.check(client);
            }
            if !busy {
                return;
            }
        }
    }

    /// Whole responses are legal.
    fn check(&mut self, client: usize) {
        let heard = &mut self.heard[client];
        let mut from = 0;
        while let Some(length) = response(&heard[from..]) {
            let line = &heard[from..from + length];
            if !line.starts_with(b"+ ") && line.len() < CHECKED_MAX {
                legal(line);
            }
            from += length;
        }
        self.said[client].extend(heard.drain(..from));
    }

    /// What a client was told since this was last called.
    fn take(&mut self, client: usize) -> Vec<u8> {
        std::mem::take(&mut self.said[client])
    }

    fn close(&mut self) {
        let now = self.now();
        for (client, id) in self.connections.into_iter().enumerate() {
            self.session.handle_close(id, now);
            self.heard[client].clear();
        }
        self.session.finish(now);
    }

    /// Whoever is not in the middle of something is told when a command is done.
    fn finish(mut self) {
        for client in 0..3 {
            self.leave(client);
            self.take(client);
            self.say(client, b"last NOOP\r\n");
            let said = self.take(client);
            assert!(said.ends_with(b"last OK NOOP completed.\r\n"));
        }
        self.close();
    }
}

fn open(scratch: &Scratch) -> Session {
    let mut config = Config::default();
    // What the kernel tells comes when it comes.
    config.set("mail.watch=no").expect("a setting");
    config.set("mail.fsync=never").expect("a setting");
    let location = Location::at(scratch.path.clone(), config.layout);
    Session::new("alice", &config, location, Box::new(|| {})).expect("a Maildir")
}

/// What another program does, only in the folder.
fn act(scratch: &Scratch, word: &[u8], rest: &[u8]) {
    let (first, rest) = split(rest);
    let path = |name: &[u8]| {
        let name = std::str::from_utf8(name).ok()?;
        let mut parts = Path::new(name).components();
        let inside = parts.all(|part| matches!(part, Component::Normal(_)));
        (inside && !name.is_empty()).then(|| scratch.path.join(name))
    };
    // There are names that no file can have, and files that are not there.
    match (word, path(first)) {
        (b"put", Some(path)) => {
            let text = String::from_utf8_lossy(rest).replace('|', "\n");
            let _ = std::fs::write(path, text);
        }
        (b"move", Some(from)) => {
            let _ = path(rest).map(|to| std::fs::rename(from, to));
        }
        (b"make", Some(path)) => {
            for name in ["cur", "new", "tmp"] {
                let _ = std::fs::create_dir_all(path.join(name));
            }
        }
        (b"drop", Some(path)) => {
            let _ = std::fs::remove_file(&path).or_else(|_| std::fs::remove_dir_all(path));
        }
        _ => {}
    }
}

fn split(line: &[u8]) -> (&[u8], &[u8]) {
    let at = line.iter().position(|&octet| octet == b' ');
    let (word, rest) = line.split_at(at.unwrap_or(line.len()));
    (word, rest.get(1..).unwrap_or_default())
}

fn client(word: &[u8]) -> usize {
    match word.first() {
        Some(b'2') => 1,
        Some(b'3') => 2,
        _ => 0,
    }
}

fn number(octets: &[u8]) -> Option<usize> {
    let digits = octets.iter().take_while(|octet| octet.is_ascii_digit());
    let end = digits.count();
    std::str::from_utf8(&octets[..end]).ok()?.parse().ok()
}

/// What comes after the first `key`.
fn after<'a>(text: &'a [u8], key: &[u8]) -> Option<&'a [u8]> {
    let at = text.windows(key.len()).position(|octets| octets == key)?;
    Some(&text[at + key.len()..])
}

/// The first literal.
fn literal(text: &[u8]) -> Option<Vec<u8>> {
    let rest = after(text, b"{")?;
    let length = number(rest)?;
    let text = after(rest, b"}\r\n")?;
    text.get(..length).map(<[u8]>::to_vec)
}

/// How long the first whole response is, with its literals.
fn response(text: &[u8]) -> Option<usize> {
    let mut at = 0;
    loop {
        let end = at + text.get(at..)?.windows(2).position(|two| two == b"\r\n")?;
        at = end + 2;
        let line = &text[..end];
        let open = line.iter().rposition(|&octet| octet == b'{');
        let length = open.filter(|_| line.ends_with(b"}")).and_then(|open| {
            let digits = &line[open + 1..line.len() - 1];
            let all = digits.iter().all(u8::is_ascii_digit);
            number(digits).filter(|_| all)
        });
        match length {
            Some(length) => at += length,
            None => return (at <= text.len()).then_some(at),
        }
    }
}

const STEPS_MAX: usize = 60;
const TURNS_MAX: usize = 20_000;
/// Longer responses are texts.
const CHECKED_MAX: usize = 10_000;
