//! What a process gives up for good once it has what it needs.
use std::fmt;
use std::path::Path;

use nix::errno::Errno;

/// Whose habits the permitted calls are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// Moves bytes between descriptors that it is given.  Whoever calls anything else has been taken over.
    Front,
    /// Works on one user's mail; what it may not do fails as if it had no right to.
    Session,
}

/// How much of what was asked for the kernel does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Enforced {
    Fully,
    /// An older kernel: not all of it.
    Partly,
    /// No Landlock here.
    Not,
}

/// Why a process is not confined; it should not go on.
#[derive(Debug)]
pub enum SandboxError {
    Landlock(String),
    Seccomp(String),
    Limit(&'static str, Errno),
}

/// Files below these directories may be read, made, changed and removed, and no others anywhere; no TCP
/// connection can be made or listened for.  To be called before any thread is started that is to be confined, after
/// `no_new_privs`.  A directory that is not there is left out.
pub fn confine_files(below: &[&Path]) -> Result<Enforced, SandboxError> {
    let _ = below;
    todo!()
}

/// From now on only the system calls of `role`, in every thread.
pub fn confine_calls(role: Role) -> Result<(), SandboxError> {
    let _ = role;
    todo!()
}

/// No file with this process's memory in it, passwords and mail, is ever written.
pub fn forbid_core_dumps() -> Result<(), SandboxError> {
    todo!()
}

/// No further process or thread (of an ordinary user: root may always).
pub fn forbid_processes() -> Result<(), SandboxError> {
    todo!()
}

impl fmt::Display for SandboxError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            SandboxError::Landlock(problem) => write!(f, "Landlock: {problem}"),
            SandboxError::Seccomp(problem) => write!(f, "seccomp: {problem}"),
            SandboxError::Limit(what, errno) => write!(f, "{what}: {}", errno.desc()),
        }
    }
}

impl std::error::Error for SandboxError {}
