//! What a process gives up for good once it has what it needs: files (Landlock), system calls
//! (seccomp), core dumps and children (limits).
//!
//! | role | files | system calls that are not listed (`sandbox/calls.rs`) |
//! |---|---|---|
//! | front | none | end the process: it was taken over, and the monitor starts another |
//! | session | below the mail tree | fail with EPERM: a future library that tries something new must not cost users their connections |
//! | `roost try` | the same | the same; it accepts connections besides |
//!
//! Landlock is used as far as the kernel has it.  Users, groups and modes hold without it; so it is
//! a line in the log, not a reason to stop.
//!
//! A session's call that is not listed is in the kernel's log (audit), where there is one.  With
//! the variable `ROOST_UNLISTED_CALLS=fatal` it ends the process, which says its number before: so
//! a test cannot pass because something was done in another way, or left out, after it was refused.

mod calls;
mod install;

use std::fmt;
use std::path::Path;

use landlock::{
    ABI, Access, AccessFs, AccessNet, BitFlags, CompatLevel, Compatible, PathBeneath, PathFd,
    Ruleset, RulesetAttr, RulesetCreatedAttr, RulesetError, RulesetStatus, Scope,
};
use nix::errno::Errno;
use nix::sys::prctl::{set_dumpable, set_no_new_privs};
use nix::sys::resource::{Resource, getrlimit, setrlimit};

use super::memory;
use install::Record;

/// Whose habits the permitted calls are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SandboxRole {
    /// Moves bytes between descriptors that it is given.  Whoever calls anything else has been
    /// taken over.
    Front,
    /// Works on one user's mail; what it may not do fails as if it had no right to.
    Session,
    /// Front and session in one process, which nobody from another host can reach.
    Trial,
}

/// What becomes of a session's call that is not listed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unlisted {
    Fails,
    /// With it the process, so that a test sees it.
    Ends,
}

/// How much of what was asked for the kernel does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Enforced {
    Fully,
    /// An older kernel: not all of it.
    Partly,
    /// No Landlock here, or one that knows too little.
    Not,
}

/// Why a process is not confined; it should not go on.
#[derive(Debug)]
pub enum SandboxError {
    Landlock(RulesetError),
    Seccomp(seccompiler::Error),
    /// What the process may not do, or shall be limited in.
    Limit(&'static str, Errno),
}

/// Files below these directories may be read, made, changed and removed, and no others anywhere; no
/// TCP connection can be made or listened for.  To be called before any thread is started that is
/// to be confined, after `no_new_privs`.  A directory that is not there is left out.
pub fn confine_files(below: &[&Path]) -> Result<Enforced, SandboxError> {
    // A kernel without REFER (5.13 to 5.18) would let nothing be renamed from tmp/ to cur/.
    let for_renames = match below.is_empty() {
        true => CompatLevel::BestEffort,
        false => CompatLevel::SoftRequirement,
    };
    let mut ruleset = Ruleset::default()
        .set_compatibility(for_renames)
        .handle_access(AccessFs::Refer)?
        .set_compatibility(CompatLevel::BestEffort)
        .handle_access(AccessFs::from_all(KNOWN))?
        .handle_access(AccessNet::from_all(KNOWN))?
        .scope(Scope::from_all(KNOWN))?
        .create()?;
    for directory in below {
        if let Ok(directory) = PathFd::new(directory) {
            ruleset = ruleset.add_rule(PathBeneath::new(directory, mail_access()))?;
        }
    }
    Ok(match ruleset.restrict_self()?.ruleset {
        RulesetStatus::FullyEnforced => Enforced::Fully,
        RulesetStatus::PartiallyEnforced => Enforced::Partly,
        RulesetStatus::NotEnforced => Enforced::Not,
    })
}

/// From now on only the system calls of `role`, in every thread.  To be called after
/// `no_new_privs`.
pub fn confine_calls(role: SandboxRole) -> Result<(), SandboxError> {
    let is_fatal = std::env::var_os(UNLISTED).is_some_and(|value| value == "fatal");
    let unlisted = match is_fatal {
        true => Unlisted::Ends,
        false => Unlisted::Fails,
    };
    if unlisted == Unlisted::Ends {
        install::tell_of_refusals().map_err(|errno| SandboxError::Limit("SIGSYS", errno))?;
    }
    let [refused, listed] = calls::filters(role, unlisted)?;
    install::in_all_threads(&refused, Record::No)?;
    install::in_all_threads(&listed, Record::Yes)?;
    Ok(())
}

/// No program that is executed from here gains rights that this process has not.
pub fn forbid_new_privileges() -> Result<(), SandboxError> {
    set_no_new_privs().map_err(|errno| SandboxError::Limit("no_new_privs", errno))
}

/// Nobody but root looks into this process or makes it do anything (ptrace, /proc), not the user
/// whose it is either: what it has of others, its channel for one, is not theirs.
pub fn forbid_tracing() -> Result<(), SandboxError> {
    set_dumpable(false).map_err(|errno| SandboxError::Limit("dumpable", errno))
}

/// What is allocated in all is no more than so many octets; 0: as much as there is.  A limit that
/// is lower stays.
pub fn limit_memory(octets: u64) -> Result<(), SandboxError> {
    let fail = |errno| SandboxError::Limit("size of data", errno);
    if octets == 0 {
        return Ok(());
    }
    let (soft, hard) = getrlimit(Resource::RLIMIT_DATA).map_err(fail)?;
    setrlimit(Resource::RLIMIT_DATA, soft.min(octets), hard.min(octets)).map_err(fail)?;
    memory::end_when_out();
    Ok(())
}

/// No file with this process's memory in it, passwords and mail, is ever written.
pub fn forbid_core_dumps() -> Result<(), SandboxError> {
    limit("core size", Resource::RLIMIT_CORE)
}

/// No further process or thread (of an ordinary user: root may always).
pub fn forbid_processes() -> Result<(), SandboxError> {
    limit("number of processes", Resource::RLIMIT_NPROC)
}

fn limit(what: &'static str, resource: Resource) -> Result<(), SandboxError> {
    setrlimit(resource, 0, 0).map_err(|errno| SandboxError::Limit(what, errno))
}

/// What a session does below the mail tree: everything but executing, and making devices, pipes and
/// sockets.
fn mail_access() -> BitFlags<AccessFs> {
    let never = AccessFs::Execute
        | AccessFs::MakeChar
        | AccessFs::MakeBlock
        | AccessFs::MakeFifo
        | AccessFs::MakeSock
        | AccessFs::IoctlDev;
    AccessFs::from_all(KNOWN) & !never
}

/// The variable: `fatal` if calls that are not listed are to end the process.
pub const UNLISTED: &str = "ROOST_UNLISTED_CALLS";

/// The newest Landlock whose rights were thought through here (Linux 6.12).
const KNOWN: ABI = ABI::V6;

impl From<RulesetError> for SandboxError {
    fn from(error: RulesetError) -> SandboxError {
        SandboxError::Landlock(error)
    }
}

impl From<seccompiler::Error> for SandboxError {
    fn from(error: seccompiler::Error) -> SandboxError {
        SandboxError::Seccomp(error)
    }
}

impl From<seccompiler::BackendError> for SandboxError {
    fn from(error: seccompiler::BackendError) -> SandboxError {
        SandboxError::Seccomp(error.into())
    }
}

impl fmt::Display for SandboxError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            SandboxError::Landlock(error) => write!(f, "Landlock: {error}"),
            SandboxError::Seccomp(error) => write!(f, "seccomp: {error}"),
            SandboxError::Limit(what, errno) => write!(f, "{what}: {}", errno.desc()),
        }
    }
}

impl std::error::Error for SandboxError {}

#[cfg(test)]
mod tests;
