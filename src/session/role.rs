//! The role `roost session`: one user's connections, as the monitor hands them over.
//!
//! It is executed by a login child that has become the user, with the channel to the monitor.  The
//! list of what happens is [`run`]: hear whose session this is, see that we are nobody else, find
//! the mail, give up every file and system call that mail does not need, serve.
//!
//! What a client sent is read only after that.  A client whose user cannot be served, because the
//! Maildir cannot be opened, is told so.  The session stays, so that such a user is not let in over
//! and over.

use std::cell::RefCell;
use std::fmt;
use std::io;
use std::os::fd::OwnedFd;
use std::rc::Rc;

use crate::config::{Config, ConfigError};
use crate::ipc::channel::{self, Channel, ChannelError};
use crate::ipc::{Account, Message};
use crate::maildir::disk::dir::links;
use crate::net::{Loop, Now};
use crate::session::Session;
use crate::session::confine::Confinement;
use crate::session::place::{self, Place};
use crate::session::service::Served;
use crate::sys::credentials::{self, BecomeError};
use crate::sys::sandbox::{SandboxError, SandboxRole};
use crate::sys::{process, spawn, title};

/// Why a session cannot begin or go on.
#[derive(Debug)]
pub enum SessionError {
    Channel(ChannelError),
    /// The monitor said something else than what is to be said here.
    Unexpected(&'static str),
    Config(ConfigError),
    /// This process is not the user whose session this is, or has more rights than the user.
    Credentials(BecomeError),
    Sandbox(SandboxError),
    System(&'static str, io::Error),
}

/// Serves until the monitor closes the channel.  Why that cannot be done is told to the monitor,
/// which writes the log.
pub fn run(channel: OwnedFd) -> Result<(), SessionError> {
    process::set_private_umask();
    spawn::die_of_faults();
    title::set("session");
    process::use_one_arena();
    let channel = Channel::new(channel).map_err(|error| SessionError::System("channel", error))?;
    let channel = Rc::new(RefCell::new(channel));
    crate::log::init_below(Box::new(channel::pass_on_log(&channel)));
    serve(channel).inspect_err(|error| log::error!("the session cannot go on: {error}"))
}

fn serve(channel: Rc<RefCell<Channel>>) -> Result<(), SessionError> {
    let config = settings(&mut channel.borrow_mut())?;
    crate::log::set_level(config.log_level);
    let account = account(&mut channel.borrow_mut())?;
    channel.borrow_mut().keep_stand_ins();

    credentials::verify(account.uid, account.gid).map_err(SessionError::Credentials)?;
    let confinement = Confinement::begin(&account.user, SandboxRole::Session, &config)?;
    process::raise_file_limit().map_err(|error| SessionError::System("limits", error))?;
    if !credentials::is_own_uid(&account.user, account.uid) {
        links::follow_only_those_of_root();
    }
    let place = Place::find(&account);
    // Without a place there is no file at all.
    confinement.to_files(place.iter().flat_map(Place::directories))?;

    // Signals before threads, and the thread that watches the mail before there are no more of
    // them.
    let mut event_loop = Loop::new().map_err(|error| SessionError::System("event loop", error))?;
    let session = place.and_then(|place| {
        let opened = Session::new(
            &account.user,
            &config,
            place.location.clone(),
            event_loop.wake_function(),
        );
        let opened = opened.map_err(|error| place::problem(&place.location.maildir, &error));
        Ok((opened?, place.root()))
    });
    confinement.to_calls()?;
    let session = session
        .inspect_err(|problem| log::error!("imap({}): {problem}", account.user))
        .ok();

    let mut served = Served::new(account.user, &config, session, channel, Now::read());
    let served_all = event_loop.run(&mut served);
    served.finish(Now::read());
    served_all.map_err(|error| SessionError::System("event loop", error))
}

fn settings(channel: &mut Channel) -> Result<Config, SessionError> {
    match channel.wait()? {
        Message::Settings(lines) => Config::from_lines(&lines).map_err(SessionError::Config),
        _ => Err(SessionError::Unexpected("the settings")),
    }
}

fn account(channel: &mut Channel) -> Result<Account, SessionError> {
    match channel.wait()? {
        Message::Account(account) => Ok(account),
        _ => Err(SessionError::Unexpected("the account")),
    }
}

impl From<ChannelError> for SessionError {
    fn from(error: ChannelError) -> SessionError {
        SessionError::Channel(error)
    }
}

impl From<SandboxError> for SessionError {
    fn from(error: SandboxError) -> SessionError {
        SessionError::Sandbox(error)
    }
}

impl fmt::Display for SessionError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            SessionError::Channel(error) => write!(f, "channel to the monitor: {error:?}"),
            SessionError::Unexpected(what) => {
                write!(f, "channel to the monitor: {what} should have come first")
            }
            SessionError::Config(error) => write!(f, "settings: {error}"),
            SessionError::Credentials(error) => write!(f, "this is not the user: {error}"),
            SessionError::Sandbox(error) => write!(f, "cannot be confined: {error}"),
            SessionError::System(what, error) => write!(f, "{what}: {error}"),
        }
    }
}

impl std::error::Error for SessionError {}
