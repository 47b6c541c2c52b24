//! The monitor: root, and therefore as little as possible.
//!
//! Binds, reads the configuration and key files, starts the front, answers what the table of `ipc`
//! permits, starts login children and sessions, reaps, reloads.  Reads no byte that came from the network
//! except inside those messages; knows no IMAP, no MIME, no TLS; opens no mail.

pub mod client;

use std::fmt;
use std::path::PathBuf;

/// How Roost was started.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// In the foreground, until SIGTERM.
    Daemon,
    /// One client on standard input; `tls`: TLS comes first.
    Inetd { tls: bool },
}

/// What the command line says.
#[derive(Clone, Debug, Default)]
pub struct Start {
    /// `--config FILE`; else `/etc/roost/roost.toml` if there is one.
    pub config: Option<PathBuf>,
    /// `--set NAME=VALUE`, again after each reload.
    pub set: Vec<String>,
}

pub fn run(start: &Start, mode: Mode) -> Result<(), MonitorError> {
    let _ = (start, mode);
    todo!()
}

/// Why the daemon cannot run.
#[derive(Debug)]
pub enum MonitorError {
    System(&'static str, std::io::Error),
}

impl fmt::Display for MonitorError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            MonitorError::System(what, error) => write!(f, "{what}: {error}"),
        }
    }
}

impl std::error::Error for MonitorError {}
