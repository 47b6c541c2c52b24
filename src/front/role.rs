//! The process that talks to everybody: no root, no files, no way out.

use std::io;
use std::os::fd::OwnedFd;

/// Why the front cannot go on.
#[derive(Debug)]
pub enum RoleError {
    System(&'static str, io::Error),
}

/// The role `roost front`, with its channel to the monitor.
pub fn run(channel: OwnedFd) -> Result<(), RoleError> {
    let _ = channel;
    todo!()
}

impl std::fmt::Display for RoleError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            RoleError::System(what, error) => write!(f, "{what}: {error}"),
        }
    }
}

impl std::error::Error for RoleError {}
