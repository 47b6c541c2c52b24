//! What a session gives up before it hears a client, whoever started it: the daemon, inetd, `roost
//! --preauth` and `roost try` go this one way, so that each test of a session is one of a confined
//! session too.
//!
//! The three steps are in this order because of threads: what is done about files holds for the
//! calling thread and those that it starts, so it comes before the watch on the mail, which has
//! two; what is done about system calls holds for all threads, and comes after it.

use std::path::Path;

use crate::config::Config;
use crate::sys::inotify;
use crate::sys::process;
use crate::sys::sandbox::{self, Enforced, SandboxError, SandboxRole};

/// A process on its way to being confined.
#[must_use]
pub struct Confinement {
    user: String,
    role: SandboxRole,
}

impl Confinement {
    /// First: what holds for the process as a whole.  It is the user's by now.
    pub fn begin(
        user: &str,
        role: SandboxRole,
        config: &Config,
    ) -> Result<Confinement, SandboxError> {
        // What can be read only before.
        inotify::read_limits();
        sandbox::forbid_new_privileges()?;
        sandbox::forbid_tracing()?;
        sandbox::forbid_core_dumps()?;
        sandbox::limit_memory(config.session_memory)?;
        process::outlive_file_size_limit();
        Ok(Confinement {
            user: user.to_owned(),
            role,
        })
    }

    /// Second: no file but what is below these directories.
    pub fn to_files<'a>(&self, below: impl Iterator<Item = &'a Path>) -> Result<(), SandboxError> {
        let user = &self.user;
        let below: Vec<&Path> = below.collect();
        match sandbox::confine_files(&below)? {
            Enforced::Fully => {}
            Enforced::Partly => log::debug!("imap({user}): Landlock is of an older kind here"),
            Enforced::Not => log::debug!(
                "imap({user}): this kernel has no Landlock, or one that is too old: only owners and \
                 modes keep this session from other files"
            ),
        }
        Ok(())
    }

    /// Last: no system call but those that mail needs.
    pub fn to_calls(self) -> Result<(), SandboxError> {
        sandbox::confine_calls(self.role)
    }
}
