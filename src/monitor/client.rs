//! The other end of the control socket: what `roost who` and similar commands ask, and the answers.

use std::io::{Read, Write};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::time::Duration;
use std::{fmt, io};

use super::control::ControlCommand;

/// Who is to be sent away.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Whom {
    User(String),
    /// As in the log, `session=<..>`.
    Session(String),
}

/// Why there is no answer.
#[derive(Debug)]
pub enum ClientError {
    /// The socket cannot be connected to, or broke.
    Io(io::Error),
    /// The daemon refuses.
    Refused(String),
}

/// Who is logged in; text for people.
pub fn who(socket: &Path) -> Result<String, ClientError> {
    ask(socket, &ControlCommand::Who)
}

/// Ends connections; says how many.
pub fn kick(socket: &Path, whom: &Whom) -> Result<String, ClientError> {
    ask(socket, &ControlCommand::Kick(whom.clone()))
}

/// Has the configuration read again; says what came of it.
pub fn reload(socket: &Path) -> Result<String, ClientError> {
    ask(socket, &ControlCommand::Reload)
}

/// OpenMetrics text.
pub fn metrics(socket: &Path) -> Result<String, ClientError> {
    ask(socket, &ControlCommand::Metrics)
}

fn ask(socket: &Path, command: &ControlCommand) -> Result<String, ClientError> {
    let Some(line) = command.line() else {
        return Err(ClientError::Refused(
            "a name has no line end in it".to_owned(),
        ));
    };
    let answer = exchange(socket, &line)?;
    if let Some(text) = answer.strip_prefix("OK\n") {
        return Ok(text.to_owned());
    }
    match answer.strip_prefix("NO ") {
        Some(reason) => Err(ClientError::Refused(reason.trim_end().to_owned())),
        None => Err(io::Error::new(io::ErrorKind::InvalidData, "the answer is cut off").into()),
    }
}

fn exchange(socket: &Path, line: &str) -> io::Result<String> {
    let mut stream = UnixStream::connect(socket)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    stream.set_write_timeout(Some(PATIENCE))?;
    stream.write_all(format!("{line}\n").as_bytes())?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer)?;
    Ok(answer)
}

impl From<io::Error> for ClientError {
    fn from(error: io::Error) -> ClientError {
        ClientError::Io(error)
    }
}

impl fmt::Display for ClientError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            ClientError::Io(error) => error.fmt(f),
            ClientError::Refused(text) => f.write_str(text),
        }
    }
}

impl std::error::Error for ClientError {}

/// How long the daemon may take to answer.
const PATIENCE: Duration = Duration::from_secs(30);
