//! A connection to one of the sockets of Dovecot's auth service.

use std::fmt;
use std::io::{self, Read, Write};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::time::Duration;

use zeroize::Zeroizing;

use crate::dovecot_auth::AuthReply;

pub(super) struct AuthConnection {
    path: PathBuf,
    stream: UnixStream,
    /// What has been read and not taken yet.
    input: Zeroizing<Vec<u8>>,
    patience: Duration,
}

/// Why Dovecot gave no answer.
#[derive(Debug)]
pub(super) struct ConnectionError {
    path: PathBuf,
    problem: Problem,
}

#[derive(Debug)]
enum Problem {
    Io(io::Error),
    /// For so long nothing came.
    Silence(Duration),
    Closed,
    Version(String),
    /// The line that was not expected, shortened.
    Unexpected(String),
    TooLong,
}

impl AuthConnection {
    /// `patience`: how long to wait for whatever comes next.
    pub fn open(path: PathBuf, patience: Duration) -> Result<AuthConnection, ConnectionError> {
        let opened = UnixStream::connect(&path).and_then(|stream| {
            stream.set_read_timeout(Some(patience))?;
            stream.set_write_timeout(Some(patience))?;
            Ok(stream)
        });
        match opened {
            Ok(stream) => Ok(AuthConnection {
                path,
                stream,
                input: Zeroizing::default(),
                patience,
            }),
            Err(error) => Err(ConnectionError {
                path,
                problem: Problem::Io(error),
            }),
        }
    }

    pub fn say(&mut self, line: &[u8]) -> Result<(), ConnectionError> {
        self.stream
            .write_all(line)
            .map_err(|error| self.broken(error))
    }

    /// The next line, without its end.
    pub fn line(&mut self) -> Result<Zeroizing<Vec<u8>>, ConnectionError> {
        loop {
            if let Some(end) = memchr::memchr(b'\n', &self.input) {
                let mut line = Zeroizing::new(self.input.split_off(end));
                std::mem::swap(&mut *line, &mut *self.input);
                self.input.remove(0);
                return Ok(line);
            }
            if self.input.len() >= MAX_LINE {
                return Err(self.error(Problem::TooLong));
            }
            let mut piece = Zeroizing::new([0; 4096]);
            match self.stream.read(&mut *piece) {
                Ok(0) => return Err(self.error(Problem::Closed)),
                Ok(length) => self
                    .input
                    .extend_from_slice(piece.get(..length).unwrap_or_default()),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(self.broken(error)),
            }
        }
    }

    /// The answer to request 1.  Lines that tell of other things come before it.
    pub fn answer(&mut self) -> Result<AuthReply, ConnectionError> {
        for _ in 0..MAX_LINES {
            let line = self.line()?;
            if line.starts_with(b"VERSION\t") {
                self.check_version(&line)?;
            } else if !GREETINGS.iter().any(|word| line.starts_with(word)) {
                return match AuthReply::parse(&line) {
                    Some(reply) if reply.id == 1 => Ok(reply),
                    _ => Err(self.unexpected(&line)),
                };
            }
        }
        Err(self.error(Problem::TooLong))
    }

    /// What is said before requests can be made, up to `DONE`.
    pub fn offer(&mut self) -> Result<AuthOffer, ConnectionError> {
        let mut offer = AuthOffer::default();
        for _ in 0..MAX_LINES {
            let line = self.line()?;
            let text = String::from_utf8_lossy(&line);
            let mut words = text.split('\t');
            match (words.next().unwrap_or_default(), words.next()) {
                ("VERSION", _) => self.check_version(&line)?,
                ("MECH", Some(name)) => offer.mechanisms.push(name.to_owned()),
                ("COOKIE", Some(cookie)) => cookie.clone_into(&mut offer.cookie),
                ("DONE", _) => return Ok(offer),
                ("SPID" | "CUID", _) => {}
                _ => return Err(self.unexpected(&line)),
            }
        }
        Err(self.error(Problem::TooLong))
    }

    /// Minor versions only add to what is said.
    fn check_version(&self, line: &[u8]) -> Result<(), ConnectionError> {
        let text = String::from_utf8_lossy(line);
        match text.split('\t').nth(1) {
            Some("1") => Ok(()),
            other => Err(self.error(Problem::Version(shown(other.unwrap_or_default())))),
        }
    }

    pub fn unexpected(&self, line: &[u8]) -> ConnectionError {
        self.error(Problem::Unexpected(shown(&String::from_utf8_lossy(line))))
    }

    fn broken(&self, error: io::Error) -> ConnectionError {
        self.error(match error.kind() {
            io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut => Problem::Silence(self.patience),
            io::ErrorKind::ConnectionReset | io::ErrorKind::BrokenPipe => Problem::Closed,
            _ => Problem::Io(error),
        })
    }

    fn error(&self, problem: Problem) -> ConnectionError {
        ConnectionError {
            path: self.path.clone(),
            problem,
        }
    }
}

/// What Dovecot says of itself.
#[derive(Default)]
pub(super) struct AuthOffer {
    pub mechanisms: Vec<String>,
    /// With it a request can be named in another connection.
    pub cookie: String,
}

impl fmt::Display for ConnectionError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let path = self.path.display();
        match &self.problem {
            Problem::Io(error) => write!(f, "{path}: {error}{}", advice(&self.path, error)),
            Problem::Silence(time) => {
                write!(f, "{path}: no answer within {} s", time.as_secs())
            }
            Problem::Closed => write!(
                f,
                "{path}: Dovecot has closed the connection without an answer; its log says why"
            ),
            Problem::Version(version) => write!(
                f,
                "{path}: what listens there speaks version {version} of the auth protocol, and Roost \
                 speaks version 1"
            ),
            Problem::Unexpected(line) => write!(
                f,
                "{path}: what listens there does not answer as Dovecot's auth service: {line}"
            ),
            Problem::TooLong => write!(f, "{path}: the answer is too long"),
        }
    }
}

fn advice(path: &Path, error: &io::Error) -> &'static str {
    match error.kind() {
        io::ErrorKind::NotFound if path.parent().is_some_and(Path::exists) => {
            " (does Dovecot run, and is this its base_dir?)"
        }
        io::ErrorKind::NotFound => " (Dovecot does not run, or its base_dir is another)",
        io::ErrorKind::ConnectionRefused => " (Dovecot does not run)",
        _ => "",
    }
}

/// For the log.  It may hold a user's data, so not much of it.
fn shown(text: &str) -> String {
    let plain = |c: char| if c.is_control() { ' ' } else { c };
    text.chars().take(40).map(plain).collect()
}

/// What a server may say of itself before it answers.
const GREETINGS: &[&[u8]] = &[b"SPID\t", b"CUID\t", b"COOKIE\t", b"MECH\t", b"DONE"];

const MAX_LINE: usize = 64 * 1024;

const MAX_LINES: usize = 1_000;
