//! The role `roost session`: one user's connections, as they are handed over by the monitor.

use std::os::fd::OwnedFd;

/// Why a session cannot begin or go on.
#[derive(Debug)]
pub enum SessionError {
    System(&'static str, std::io::Error),
}

/// Serves until the channel closes.
pub fn run(channel: OwnedFd) -> Result<(), SessionError> {
    let _ = channel;
    todo!()
}

impl std::fmt::Display for SessionError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            SessionError::System(what, error) => write!(f, "{what}: {error}"),
        }
    }
}

impl std::error::Error for SessionError {}
