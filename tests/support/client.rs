//! A conversation with a server, in which every response is checked.

use std::io::{Read, Write};
use std::os::unix::net::UnixStream;
use std::process::Command;
use std::time::Duration;

use super::response::{Response, Token};
use super::whole::Seat;
use super::wire::Wire;
use super::{Mail, Process, Reply, grammar, message, patience};

/// One connection. A method that names a result panics, with the conversation, if it is not had.
pub struct Client {
    wire: Wire,
    /// Read and not yet taken.
    input: Vec<u8>,
    /// How much of `input` is taken.
    taken: usize,
    tags: u32,
    /// ENABLE IMAP4rev2 or UTF8=ACCEPT was granted: strings may hold UTF-8.
    utf8: bool,
    /// It was Roost that greeted us.
    is_roost: bool,
    transcript: Vec<String>,
    /// Untagged responses that came outside any command, as the greeting.
    unsolicited: Vec<Response>,
    /// Read too early.
    put_back: Option<Response>,
    process: Option<Process>,
    /// In a session of the daemon.
    seat: Option<Seat>,
}

impl Client {
    /// A client on `wire`, before the greeting. `process` ends with it.
    pub fn new(wire: Wire, process: Option<Process>) -> Client {
        wire.set_patience(patience()).expect("a timeout set");
        Client {
            wire,
            input: Vec::new(),
            taken: 0,
            tags: 0,
            utf8: false,
            is_roost: false,
            transcript: Vec::new(),
            unsolicited: Vec::new(),
            put_back: None,
            process,
            seat: None,
        }
    }

    /// Past the greeting, which must be one.
    #[track_caller]
    pub fn greeted(mut self) -> Client {
        let greeting = self.read();
        assert!(greeting.matches("OK ..."), "no greeting: {greeting}");
        self
    }

    pub fn come_from(&mut self, seat: Seat) {
        self.seat = Some(seat);
    }

    /// The client of a command whose standard input and output are the other end of `socket`.
    pub fn of_process(socket: UnixStream, command: Command, mail: &Mail) -> Client {
        Client::new(Wire::Pair(socket), Some(Process::start(command, mail)))
    }

    /// A client of whoever has the other end of `socket`.
    pub fn of_socket(socket: UnixStream) -> Client {
        Client::new(Wire::Pair(socket), None)
    }

    /// Runs a command that must succeed.
    #[track_caller]
    pub fn ok(&mut self, command: &str) -> Reply {
        self.expect(command, "OK")
    }

    /// Runs a command that must fail.
    #[track_caller]
    pub fn no(&mut self, command: &str) -> Reply {
        self.expect(command, "NO")
    }

    /// Runs a command that the server must not understand or not permit now.
    #[track_caller]
    pub fn bad(&mut self, command: &str) -> Reply {
        self.expect(command, "BAD")
    }

    /// Runs a command, whatever comes of it.
    #[track_caller]
    pub fn command(&mut self, command: &str) -> Reply {
        let tag = self.start(command);
        self.finish(&tag)
    }

    #[track_caller]
    fn expect(&mut self, command: &str, word: &str) -> Reply {
        let reply = self.command(command);
        if reply.tagged.word() != word {
            self.fail(&format!(
                "{word} was expected for {command:?}, not {}",
                reply.tagged
            ));
        }
        reply
    }

    /// Sends a command with a fresh tag and does not wait: for pipelining. A synchronising literal
    /// in it (`{5}` CRLF) is sent when the server asks for it.
    #[track_caller]
    pub fn start(&mut self, command: &str) -> String {
        self.start_bytes(command.as_bytes())
    }

    #[track_caller]
    pub fn start_bytes(&mut self, command: &[u8]) -> String {
        let tag = self.next_tag();
        let whole = [tag.as_bytes(), b" ", command, b"\r\n"].concat();
        let (mut sent, mut searched) = (0, 0);
        while let Some(literal) = synchronising_literal(&whole, searched) {
            self.send_raw(&whole[sent..literal.start]);
            if !self.wait_for_continuation(&tag) {
                return tag;
            }
            (sent, searched) = (literal.start, literal.end);
        }
        self.send_raw(&whole[sent..]);
        tag
    }

    /// A tag no command of this client has had.
    pub fn next_tag(&mut self) -> String {
        self.tags += 1;
        format!("a{}", self.tags)
    }

    /// Reads up to the answer of a command that was started.
    #[track_caller]
    pub fn finish(&mut self, tag: &str) -> Reply {
        let mut untagged = std::mem::take(&mut self.unsolicited);
        loop {
            let response = self.read();
            match response.tag.as_str() {
                "*" => {
                    self.check_correlation(&response, tag);
                    untagged.push(response);
                }
                "+" => self.fail(&format!(
                    "a continuation request nobody waits for: {response}"
                )),
                got if got == tag => {
                    return Reply {
                        tagged: response,
                        untagged,
                        command: tag.to_owned(),
                    };
                }
                _ => self.fail(&format!(
                    "an answer to another command than {tag}: {response}"
                )),
            }
        }
    }

    /// Bytes just as they are.
    #[track_caller]
    pub fn send_raw(&mut self, bytes: &[u8]) {
        self.note("C: ", bytes);
        let sent = self.wire.write_all(bytes).and_then(|()| self.wire.flush());
        if let Err(e) = sent {
            self.fail(&format!("could not send: {e}"));
        }
    }

    /// Sends as many bytes as the connection takes now, as a client that does not read can.
    pub fn try_send(&mut self, bytes: &[u8]) -> std::io::Result<()> {
        self.wire.write_all(bytes)
    }

    /// Sends `bytes` over and over, at most `most` of them, until the connection takes no more for
    /// a second; whether that came.
    pub fn flood(&mut self, bytes: &[u8], most: usize) -> bool {
        let patience = Duration::from_secs(1);
        let set = self.wire.set_write_patience(patience);
        set.expect("a timeout set");
        let mut sent = 0;
        while sent < most {
            if self.wire.write_all(bytes).is_err() {
                return true;
            }
            sent += bytes.len();
        }
        false
    }

    /// APPEND of a message with LF or CRLF line ends; `arguments` as in `INBOX (\Seen)`.
    #[track_caller]
    pub fn append(&mut self, arguments: &str, text: &[u8]) -> Reply {
        let tag = self.start_append(arguments, text);
        let reply = self.finish(&tag);
        if reply.tagged.word() != "OK" {
            self.fail(&format!("APPEND was to succeed: {}", reply.tagged));
        }
        reply
    }

    /// As [`Client::append`], without waiting for the answer.
    #[track_caller]
    pub fn start_append(&mut self, arguments: &str, text: &[u8]) -> String {
        let text = message::crlf(text);
        let command = format!("APPEND {arguments} {{{}}}\r\n", text.len());
        self.start_bytes(&[command.as_bytes(), &text].concat())
    }

    /// Enters IDLE.
    #[track_caller]
    pub fn idle(&mut self) -> Idle<'_> {
        let tag = self.start("IDLE");
        if !self.wait_for_continuation(&tag) {
            self.fail("IDLE was not entered");
        }
        Idle {
            client: self,
            tag,
            seen: Vec::new(),
        }
    }

    /// Reads responses until one fits the expectation, and gives all of them.
    #[track_caller]
    pub fn wait_for(&mut self, expected: &str) -> Vec<Response> {
        let mut seen = std::mem::take(&mut self.unsolicited);
        if seen.iter().any(|response| response.matches(expected)) {
            return seen;
        }
        loop {
            let response = self.read();
            let found = response.matches(expected);
            seen.push(response);
            if found {
                return seen;
            }
        }
    }

    /// Waits for `+`; false if the command was answered instead, which is then put back.
    #[track_caller]
    pub fn wait_for_continuation(&mut self, tag: &str) -> bool {
        loop {
            let response = self.read();
            match response.tag.as_str() {
                "+" => return true,
                "*" => self.unsolicited.push(response),
                got if got == tag => {
                    self.put_back = Some(response);
                    return false;
                }
                _ => self.fail(&format!("neither + nor an answer to {tag}: {response}")),
            }
        }
    }

    /// The next response, checked.
    #[track_caller]
    pub fn read(&mut self) -> Response {
        match self.try_read() {
            Some(response) => response,
            None => self.fail("the server closed the connection"),
        }
    }

    /// The next response, or None when the server has closed the connection.
    #[track_caller]
    pub fn try_read(&mut self) -> Option<Response> {
        if let Some(response) = self.put_back.take() {
            return Some(response);
        }
        let raw = self.read_raw()?;
        self.note("S: ", &raw);
        if let Err(why) = grammar::check(&raw, self.utf8) {
            self.fail(&format!("not a legal response: {why}"));
        }
        match Response::parse(raw) {
            Ok(response) => {
                self.utf8 |= ["IMAP4rev2", "UTF8=ACCEPT"].iter().any(|name| {
                    response.is_untagged() && response.matches(&format!("ENABLED {name} ..."))
                });
                Some(response)
            }
            Err(why) => self.fail(&format!("not a response: {why}")),
        }
    }

    /// One response's bytes with its literals, unchecked.
    #[track_caller]
    pub fn read_raw(&mut self) -> Option<Vec<u8>> {
        let mut length = 0;
        loop {
            length += self.line_length(length)?;
            let line = &self.input[self.taken..self.taken + length];
            match announced_literal(line) {
                None => break,
                // Legal, but iOS 18 waits for more after it (apple/swift-nio-imap#850).
                Some(0) if self.is_roost => {
                    self.fail("an empty literal, which some clients hang on")
                }
                Some(size) => {
                    while self.input.len() < self.taken + length + size {
                        if !self.fill() {
                            self.fail("the connection was closed inside a literal");
                        }
                    }
                    length += size;
                }
            }
        }
        let raw = self.input[self.taken..self.taken + length].to_vec();
        self.is_roost |= self.tags == 0 && raw.windows(5).any(|octets| octets == b"Roost");
        self.taken += length;
        if self.taken == self.input.len() {
            self.input.clear();
            self.taken = 0;
        }
        Some(raw)
    }

    /// Reads and forgets everything up to the answer of `tag`; gives the number of bytes and lines,
    /// and the answer. For responses too large to keep.
    #[track_caller]
    pub fn drain(&mut self, tag: &str) -> (u64, u64, Response) {
        let (mut bytes, mut lines) = (0, 0);
        let start = format!("{tag} ");
        let mut window = vec![0; 1 << 16];
        let mut tail = self.input.split_off(self.taken);
        self.input.clear();
        self.taken = 0;
        loop {
            // The answer is the last line there is.
            if tail.ends_with(b"\r\n") {
                let body = &tail[..tail.len() - 2];
                let at = body
                    .windows(2)
                    .rposition(|w| w == b"\r\n")
                    .map_or(0, |at| at + 2);
                if body[at..].starts_with(start.as_bytes()) {
                    let raw = tail.split_off(at);
                    bytes += at as u64;
                    lines += tail.iter().filter(|&&b| b == b'\n').count() as u64;
                    let response = Response::parse(raw).expect("a tagged response");
                    return (bytes, lines, response);
                }
            }
            if tail.len() > 4096 {
                let keep = tail.split_off(tail.len() - 2048);
                bytes += tail.len() as u64;
                lines += tail.iter().filter(|&&b| b == b'\n').count() as u64;
                tail = keep;
            }
            match self.wire.read(&mut window) {
                Ok(0) => self.fail("the server closed the connection"),
                Ok(read) => tail.extend_from_slice(&window[..read]),
                Err(e) => self.fail(&format!("nothing more comes: {e}")),
            }
        }
    }

    /// Whether something has come that was not read yet.
    pub fn has_input(&self) -> bool {
        self.taken < self.input.len() || self.wire.has_input()
    }

    /// Another handle for sending, for a client that sends and reads at the same time.
    pub fn writer(&self) -> Box<dyn Write + Send> {
        self.wire.writer()
    }

    /// Whether nothing has come since the last command. Asks the server once, so that what it had
    /// to say unasked has been said.
    #[track_caller]
    pub fn quiet(&mut self) {
        self.ok("NOOP").untagged([]);
    }

    /// Reads to the end of the connection; what came last.
    #[track_caller]
    pub fn read_to_end(&mut self) -> Vec<Response> {
        let mut responses = std::mem::take(&mut self.unsolicited);
        while let Some(response) = self.try_read() {
            responses.push(response);
        }
        responses
    }

    /// LOGOUT, with its BYE, and the end of the connection.
    #[track_caller]
    pub fn logout(mut self) {
        let reply = self.ok("LOGOUT");
        assert!(reply.has("BYE ..."), "no BYE\n{}", self.conversation());
        assert!(self.read_to_end().is_empty(), "something after LOGOUT");
        if let Some(process) = &mut self.process {
            process.wait_for_success();
        }
        if let Some(seat) = self.seat.take() {
            seat.leave();
        }
    }

    /// The client falls silent for good: no more commands, the connection half closed.
    pub fn finish_writing(&mut self) {
        self.wire.finish_writing().expect("half closed");
    }

    /// The server's process, where it serves this client alone.
    pub fn process(&self) -> &Process {
        self.process.as_ref().expect("a server of its own")
    }

    /// The server dies at once, as in a crash.
    pub fn kill(mut self) {
        if let Some(seat) = &self.seat {
            return seat.kill();
        }
        self.process.as_mut().expect("a server of its own").kill();
    }

    /// Waits until the server has ended by itself.
    #[track_caller]
    pub fn wait_for_the_end(mut self) {
        if let Some(seat) = self.seat.take() {
            self.read_to_end();
            return seat.leave();
        }
        self.process
            .as_mut()
            .expect("a server of its own")
            .wait_for_end();
    }

    /// How long to wait for a response; for clients that check that none comes.
    pub fn set_patience(&mut self, patience: Duration) {
        self.wire.set_patience(patience).expect("a timeout set");
    }

    /// The plain connection under the client, for STARTTLS.
    pub fn start_tls(&mut self, certificate: &[u8]) {
        assert!(self.input.len() == self.taken, "bytes before TLS");
        match std::mem::replace(&mut self.wire, Wire::Gone) {
            Wire::Tcp(tcp) => self.wire = Wire::tls(tcp, certificate).expect("TLS"),
            _ => panic!("STARTTLS on something else than TCP"),
        }
    }

    /// What was said so far.
    pub fn conversation(&self) -> String {
        const SHOWN: usize = 60;
        let from = self.transcript.len().saturating_sub(SHOWN);
        let log = self.process.as_ref().map(Process::log).unwrap_or_default();
        format!("{}\n{log}", self.transcript[from..].join("\n"))
    }

    #[track_caller]
    fn fail(&self, what: &str) -> ! {
        panic!("{what}\n--- conversation ---\n{}", self.conversation());
    }

    /// ESEARCH says which command it answers.
    #[track_caller]
    fn check_correlation(&self, response: &Response, tag: &str) {
        if let [Token::Atom(word), Token::List(correlator), ..] = response.tokens.as_slice()
            && word == "ESEARCH"
            && correlator.get(1).and_then(Token::bytes) != Some(tag.as_bytes())
        {
            self.fail(&format!(
                "ESEARCH for another command than {tag}: {response}"
            ));
        }
    }

    /// The length of the line that starts `from` bytes into what is not taken, CRLF included.
    #[track_caller]
    fn line_length(&mut self, from: usize) -> Option<usize> {
        let mut searched = 0;
        loop {
            let line = &self.input[self.taken + from..];
            if let Some(at) = line[searched..].windows(2).position(|w| w == b"\r\n") {
                return Some(searched + at + 2);
            }
            searched = line.len().saturating_sub(1);
            if !self.fill() {
                let unfinished = String::from_utf8_lossy(&self.input[self.taken..]).into_owned();
                if !unfinished.is_empty() {
                    self.fail(&format!(
                        "the connection was closed inside a line: {unfinished:?}"
                    ));
                }
                return None;
            }
        }
    }

    /// Reads more; false at the end of the connection.
    #[track_caller]
    fn fill(&mut self) -> bool {
        let mut window = [0; 1 << 14];
        loop {
            match self.wire.read(&mut window) {
                Ok(read) => {
                    self.input.extend_from_slice(&window[..read]);
                    return read > 0;
                }
                Err(e) if e.kind() == std::io::ErrorKind::Interrupted => {}
                Err(e) if is_closed(&e) => return false,
                Err(e) => self.fail(&format!("nothing comes: {e}")),
            }
        }
    }

    fn note(&mut self, side: &str, bytes: &[u8]) {
        const SHOWN: usize = 2_000;
        let text = String::from_utf8_lossy(&bytes[..bytes.len().min(SHOWN)]);
        self.transcript
            .push(format!("{side}{}", text.trim_end_matches("\r\n")));
    }
}

/// A client in IDLE.
pub struct Idle<'a> {
    client: &'a mut Client,
    tag: String,
    seen: Vec<Response>,
}

impl Idle<'_> {
    /// Waits until the server says this.
    #[track_caller]
    pub fn expect(&mut self, expected: &str) -> &mut Self {
        let seen = self.client.wait_for(expected);
        self.seen.extend(seen);
        self
    }

    /// Ends IDLE; the reply holds everything said meanwhile.
    #[track_caller]
    pub fn done(self) -> Reply {
        self.client.send_raw(b"DONE\r\n");
        let mut reply = self.client.finish(&self.tag);
        let mut untagged = self.seen;
        untagged.append(&mut reply.untagged);
        reply.untagged = untagged;
        reply
    }
}

/// Where the bytes of the first synchronising literal announced after `from` lie.
fn synchronising_literal(command: &[u8], mut from: usize) -> Option<std::ops::Range<usize>> {
    loop {
        let end = from
            + command
                .get(from..)?
                .windows(3)
                .position(|w| w == b"}\r\n")?;
        let open = command[from..end]
            .iter()
            .rposition(|&b| b == b'{')
            .map(|at| from + at);
        let size = open.and_then(|open| std::str::from_utf8(&command[open + 1..end]).ok());
        let digits = size.map(|size| size.strip_suffix(['+', '-']).unwrap_or(size));
        let length = digits.and_then(|digits| digits.parse::<usize>().ok());
        let start = end + 3;
        match length {
            Some(length) if size == digits => return Some(start..start + length),
            Some(length) => from = start + length,
            None => from = start,
        }
    }
}

/// The size of the literal that follows this line.
fn announced_literal(line: &[u8]) -> Option<usize> {
    let status = [&b"OK "[..], b"NO ", b"BAD ", b"BYE ", b"PREAUTH "];
    let after_tag = line
        .iter()
        .position(|&b| b == b' ')
        .map_or(line, |at| &line[at + 1..]);
    if line.starts_with(b"+") || status.iter().any(|word| after_tag.starts_with(word)) {
        return None;
    }
    let line = line.strip_suffix(b"}\r\n")?;
    let open = line.iter().rposition(|&b| b == b'{')?;
    std::str::from_utf8(&line[open + 1..]).ok()?.parse().ok()
}

fn is_closed(e: &std::io::Error) -> bool {
    use std::io::ErrorKind::{BrokenPipe, ConnectionAborted, ConnectionReset, UnexpectedEof};
    matches!(
        e.kind(),
        BrokenPipe | ConnectionAborted | ConnectionReset | UnexpectedEof
    )
}
