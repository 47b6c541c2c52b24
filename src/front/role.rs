//! The role `roost front`: the process that talks to everybody.  The list of what happens is
//! [`run`]: hear the settings, become a user who owns nothing in a directory that has nothing, give
//! up every system call that moving bytes does not need, serve.
//!
//! Not a byte of a client is read before that.  The monitor sends what the front serves, as
//! descriptors, and decides who is let in.  So a front that is taken over can lie to its clients,
//! but let in nobody.

use std::cell::RefCell;
use std::fmt;
use std::io;
use std::os::fd::OwnedFd;
use std::rc::Rc;

use crate::config::{Config, ConfigError};
use crate::front::service::Server;
use crate::ipc::Message;
use crate::ipc::channel::{self, Channel, ChannelError};
use crate::net::Loop;
use crate::sys::credentials::{Account, BecomeError};
use crate::sys::sandbox::{self, Enforced, SandboxError, SandboxRole};
use crate::sys::{process, spawn, title};

/// Why the front cannot begin or go on.
#[derive(Debug)]
pub enum FrontError {
    Channel(ChannelError),
    /// The monitor said something else than what is to be said here.
    Unexpected(&'static str),
    Config(ConfigError),
    /// There is no such user as `process.front_user`.
    NoUser(String),
    Credentials(BecomeError),
    Sandbox(SandboxError),
    System(&'static str, io::Error),
}

/// Serves until the monitor says that it is enough, or is gone.  Why that cannot be done is told to
/// the monitor, which writes the log.
pub fn run(channel: OwnedFd) -> Result<(), FrontError> {
    process::set_private_umask();
    spawn::die_of_faults();
    title::set("front");
    process::use_one_arena();
    let channel = Channel::new(channel).map_err(|error| FrontError::System("channel", error))?;
    let channel = Rc::new(RefCell::new(channel));
    crate::log::init_below(Box::new(channel::pass_on_log(&channel)));
    serve(channel).inspect_err(|error| log::error!("imap-login: {error}"))
}

fn serve(channel: Rc<RefCell<Channel>>) -> Result<(), FrontError> {
    let config = settings(&mut channel.borrow_mut())?;
    crate::log::set_level(config.log_level);
    channel.borrow_mut().keep_stand_ins();
    let files = process::raise_file_limit().map_err(|error| FrontError::System("limits", error))?;

    give_up_rights(&config)?;
    let mut event_loop = Loop::new().map_err(|error| FrontError::System("event loop", error))?;
    sandbox::confine_calls(SandboxRole::Front)?;

    let files = usize::try_from(files).unwrap_or(usize::MAX);
    // Where there are few descriptors, half of them are for clients: it is better to serve some
    // than none.
    event_loop.set_connection_limit(files.saturating_sub(SPARE_FILES).max(files / 2));
    let mut server = Server::new(config, channel, title::set);
    let served = event_loop.run(&mut server);
    served.map_err(|error| FrontError::System("event loop", error))
}

fn settings(channel: &mut Channel) -> Result<Config, FrontError> {
    match channel.wait()? {
        Message::Settings(lines) => Config::from_lines(&lines).map_err(FrontError::Config),
        _ => Err(FrontError::Unexpected("the settings")),
    }
}

/// If this is root, it becomes the front's user and sees no file from then on.  Any other user has
/// nothing to give up but files.
fn give_up_rights(config: &Config) -> Result<(), FrontError> {
    if process::is_root() {
        let account = Account::named(&config.front_user)
            .map_err(|error| FrontError::System("user database", error))?
            .ok_or_else(|| FrontError::NoUser(config.front_user.clone()))?;
        account.become_confined().map_err(FrontError::Credentials)?;
    }
    sandbox::forbid_tracing()?;
    sandbox::forbid_core_dumps()?;
    sandbox::forbid_processes()?;
    match sandbox::confine_files(&[])? {
        Enforced::Fully => {}
        Enforced::Partly => log::debug!("imap-login: Landlock is of an older kind here"),
        // This is logged once, here.  The sessions log it for debugging only.
        Enforced::Not => log::warn!(
            "imap-login: this kernel has no Landlock, or one that is too old: only owners and modes keep \
             sessions from other files"
        ),
    }
    Ok(())
}

/// Descriptors that are no connections: the channel, the log, the loop's own, listening sockets,
/// and the pairs that are on their way to a session.
const SPARE_FILES: usize = 128;

impl From<ChannelError> for FrontError {
    fn from(error: ChannelError) -> FrontError {
        FrontError::Channel(error)
    }
}

impl From<SandboxError> for FrontError {
    fn from(error: SandboxError) -> FrontError {
        FrontError::Sandbox(error)
    }
}

impl fmt::Display for FrontError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            FrontError::Channel(error) => write!(f, "the channel to the monitor: {error}"),
            FrontError::Unexpected(what) => write!(f, "the monitor did not begin with {what}"),
            FrontError::Config(error) => write!(f, "the settings: {error}"),
            FrontError::NoUser(name) => write!(
                f,
                "there is no user {name} (process.front_user) to become before anybody is talked to"
            ),
            FrontError::Credentials(error) => write!(f, "cannot become the front's user: {error}"),
            FrontError::Sandbox(error) => write!(f, "{error}"),
            FrontError::System(what, error) => write!(f, "{what}: {error}"),
        }
    }
}

impl std::error::Error for FrontError {}
