//! Every setting, defined once.  PURE: text in, values out.

use std::path::PathBuf;
use std::time::Duration;

/// What is in force for one process.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Config {
    /// The hierarchy separator on the wire.
    pub separator: Separator,
    /// Where a child mailbox lies.
    pub layout: Layout,
    /// When a change is on disk.
    pub fsync: Fsync,
    /// Where `roost.index` and `roost.cache` lie if not in the folder itself.
    pub index_dir: Option<PathBuf>,
    /// The largest message APPEND takes (RFC 7889).
    pub append_limit: u64,
    /// The longest command, literals apart.
    pub line_limit: usize,
    /// All literals of one command together, outside APPEND.
    pub literal_limit: usize,
    /// After so many bad commands the connection is closed.
    pub bad_command_limit: u32,
    /// After so many bad commands before login the connection is closed.
    pub login_bad_command_limit: u32,
    /// How long a client has to log in.
    pub login_timeout: Duration,
    /// How long a client may say nothing (RFC 9051 5.4: at least 30 minutes).
    pub idle_timeout: Duration,
    /// How often a client in IDLE is told `* OK Still here`.
    pub idle_notify: Duration,
    /// How long the answer to a wrong password takes.
    pub failure_delay: Duration,
    /// How often a mailbox is looked at that cannot be watched.
    pub poll_interval: Duration,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Separator {
    Slash,
    Dot,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Layout {
    /// `.Parent.Child` in the root (Courier, Dovecot's default).
    MaildirPlusPlus,
    /// `Parent/Child` directories (Dovecot's LAYOUT=fs).
    Fs,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fsync {
    /// After every change.
    Always,
    /// After every change that would lose a message or a UID.
    Optimized,
    /// The kernel decides.
    Never,
}

impl Separator {
    pub fn as_char(self) -> char {
        match self {
            Separator::Slash => '/',
            Separator::Dot => '.',
        }
    }
}

impl Default for Config {
    fn default() -> Config {
        Config {
            separator: Separator::Slash,
            layout: Layout::MaildirPlusPlus,
            fsync: Fsync::Optimized,
            index_dir: None,
            append_limit: 1024 * 1024 * 1024,
            line_limit: 64 * 1024,
            literal_limit: 512 * 1024,
            bad_command_limit: 20,
            login_bad_command_limit: 3,
            login_timeout: Duration::from_secs(60),
            idle_timeout: Duration::from_secs(30 * 60),
            idle_notify: Duration::from_secs(29 * 60),
            failure_delay: Duration::from_secs(2),
            poll_interval: Duration::from_secs(30),
        }
    }
}
