//! The other end of the control socket: what `roost who` and its like ask, and what is answered.

use std::path::Path;
use std::{fmt, io};

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
    /// The daemon says that it cannot be done.
    Refused(String),
}

/// Who is logged in; text for people.
pub fn who(socket: &Path) -> Result<String, ClientError> {
    let _ = socket;
    todo!()
}

/// Ends connections; says how many.
pub fn kick(socket: &Path, whom: &Whom) -> Result<String, ClientError> {
    let _ = (socket, whom);
    todo!()
}

/// Has the configuration read again; says what came of it.
pub fn reload(socket: &Path) -> Result<String, ClientError> {
    let _ = socket;
    todo!()
}

/// OpenMetrics text.
pub fn metrics(socket: &Path) -> Result<String, ClientError> {
    let _ = socket;
    todo!()
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
