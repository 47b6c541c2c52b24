//! The process that is root.  The list of what happens is [`run`]: read the configuration and the
//! keys, bind the sockets, start the front, serve.

use std::fmt;
use std::io;
use std::path::PathBuf;

use crate::auth;
use crate::config::{Config, LogTarget};
use crate::ipc::{ListenerKind, Protocol};
use crate::net::Loop;
use crate::sys::process::{self, Watched};
use crate::sys::{inherited, sandbox, title, users};

use super::certificates;
use super::configuration::{self, BadConfiguration};
use super::listeners::ListenError;
use super::service::{self, Daemon};

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
pub struct MonitorStart {
    /// `--config FILE`; else `/etc/roost/roost.toml` if there is one.
    pub config: Option<PathBuf>,
    /// `--set NAME=VALUE`, again after each reload.
    pub set: Vec<String>,
}

/// Why the daemon cannot run.
#[derive(Debug)]
pub enum MonitorError {
    Configuration(BadConfiguration),
    Listen(ListenError),
    /// This file of a certificate or key cannot be read.
    Certificate(PathBuf, io::Error),
    System(&'static str, io::Error),
}

/// The list of what happens.
pub fn run(start: &MonitorStart, mode: Mode) -> Result<(), MonitorError> {
    process::set_private_umask();
    title::set("monitor");
    let start = start_anywhere(start)?;
    // Nothing keeps a file system from being unmounted.
    nix::unistd::chdir("/").map_err(|errno| MonitorError::System("/", errno.into()))?;
    let from_inetd = matches!(mode, Mode::Inetd { .. });
    let (config, warnings) = configuration::read(&start).map_err(MonitorError::Configuration)?;
    crate::log::init_as(config.log_target, config.log_level, from_inetd);
    for warning in warnings.into_iter().chain(auth::check(&config)) {
        log::warn!("{warning}");
    }
    let config = adapt(config, from_inetd);
    process::raise_file_limit().map_err(|error| MonitorError::System("limits", error))?;
    // For the login children too, which hold passwords.
    sandbox::forbid_core_dumps()
        .map_err(|error| MonitorError::System("limits", io::Error::other(error)))?;
    process::use_one_arena();
    // The log may be a file.
    process::outlive_file_size_limit();

    let certificates = service::read_certificates(&config)?;
    let mut daemon = Daemon::new(start, config, certificates)?;
    match mode {
        Mode::Daemon => daemon.open()?,
        Mode::Inetd { tls } => {
            let client =
                inherited::take_client().map_err(|error| MonitorError::System("inetd", error))?;
            let kind = ListenerKind {
                tls,
                ..ListenerKind::plain(Protocol::Imap)
            };
            daemon.serve_one(kind, client);
        }
    }
    let watched = Watched {
        reload: true,
        children: true,
    };
    let mut event_loop =
        Loop::with_signals(watched).map_err(|error| MonitorError::System("event loop", error))?;
    daemon.begin();
    let result = event_loop.run(&mut daemon);
    daemon.close();
    result.map_err(|error| MonitorError::System("event loop", error))
}

/// The same start with an absolute path, because the file is read again at each reload, wherever
/// the process is then.
fn start_anywhere(start: &MonitorStart) -> Result<MonitorStart, MonitorError> {
    let config = start.config.as_deref().map(std::path::absolute).transpose();
    Ok(MonitorStart {
        config: config.map_err(|error| MonitorError::System("--config", error))?,
        set: start.set.clone(),
    })
}

/// The role `roost certificate`: what it prints.
pub fn certificate() -> Result<String, MonitorError> {
    certificates::make()
}

/// What is in force on this host, started in this way.
pub(super) fn adapt(mut config: Config, from_inetd: bool) -> Config {
    if from_inetd {
        config.log_target = LogTarget::Syslog;
    }
    if let Ok(None) = users::named(&config.front_user) {
        let user = &config.front_user;
        log::warn!("There is no user {user}; the front becomes {NOBODY} (see process.front_user)");
        config.front_user = NOBODY.to_owned();
    }
    config
}

impl fmt::Display for MonitorError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            MonitorError::Configuration(error) => error.fmt(f),
            MonitorError::Listen(error) => error.fmt(f),
            MonitorError::Certificate(path, error) => write!(f, "{}: {error}", path.display()),
            MonitorError::System(what, error) => write!(f, "{what}: {error}"),
        }
    }
}

impl std::error::Error for MonitorError {}

/// There is one on every host, though others use it too.
const NOBODY: &str = "nobody";
