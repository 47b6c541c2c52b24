//! The role `roost login`: a login child, root, executed by the monitor for one attempt.
//!
//! It is executed and not only forked, so that it has the libraries and PAM modules that the host
//! has now, not those of the monitor's start, and nothing of the monitor's memory.  Its task, with
//! the password, comes through its channel.
//!
//! It finds out who it is (`auth`, where PAM may block, crash or hang), says so, and waits.  If the
//! channel closes, that was all: somebody else serves this user, or nobody does.  `Start` means:
//! become the session.  That is one way only: become the user for good, say `Started`, execute
//! `roost session`.  With `auth.pam_session` the child stays root, and its own child becomes the
//! session: somebody has to close what PAM has opened.

use std::convert::Infallible;
use std::fmt;
use std::io;
use std::os::fd::OwnedFd;

use crate::auth::{self, Admission, Dialogue, PamSession};
use crate::config::{Config, ConfigError};
use crate::ipc::channel::{Channel, ChannelError};
use crate::ipc::{Account, Attempt, Judgement, LoginRequest, Message, Proof};
use crate::mail::Secret;
use crate::sys::spawn::ChildRole;
use crate::sys::{credentials, process, sandbox, spawn, title};

/// Why a login child cannot begin.
#[derive(Debug)]
pub enum ChildError {
    Channel(ChannelError),
    /// The monitor said something else than what is to be said here.
    Unexpected(&'static str),
    Config(ConfigError),
    System(&'static str, io::Error),
}

/// The list of what happens.  The process ends here or becomes another program, so code that PAM
/// modules have registered for its end does not run.
pub fn run(channel: OwnedFd) -> Result<Infallible, ChildError> {
    process::set_private_umask();
    spawn::die_of_faults();
    title::set("login");
    process::use_one_arena();
    let mut channel =
        Channel::new(channel).map_err(|error| ChildError::System("channel", error))?;
    let config = settings(&mut channel)?;
    crate::log::init_as(config.log_target, config.log_level, false);
    sandbox::forbid_core_dumps()
        .map_err(|error| ChildError::System("limits", io::Error::other(error)))?;
    let code = match channel.wait() {
        Ok(Message::Account(account)) => await_start(account, None, &config, channel),
        Ok(Message::Login(attempt, request)) => find_out(attempt, request, &config, channel),
        Ok(_) => return Err(ChildError::Unexpected("who it is about")),
        // The client has gone meanwhile.
        Err(ChannelError::Closed) => 0,
        Err(error) => return Err(error.into()),
    };
    spawn::end_at_once(code)
}

fn settings(channel: &mut Channel) -> Result<Config, ChildError> {
    match channel.wait()? {
        Message::Settings(lines) => Config::from_lines(&lines).map_err(ChildError::Config),
        _ => Err(ChildError::Unexpected("the settings")),
    }
}

/// The exit code, like what follows.
fn find_out(attempt: Attempt, request: LoginRequest, config: &Config, mut channel: Channel) -> u8 {
    let mut exchange = Exchange {
        channel: &mut channel,
        attempt,
        title: description(&request),
    };
    exchange.show(None);
    let protocol = request.protocol;
    let result = auth::authenticate(config, &request, &mut exchange);
    // The password is not needed any more.
    drop(request);
    match result {
        Err(refusal) => say(&mut channel, Message::Judged(Judgement::Refused(refusal))),
        Ok(Admission { account, .. }) if !protocol.has_session() => say(
            &mut channel,
            Message::Judged(Judgement::Admitted { account }),
        ),
        Ok(Admission { account, pam }) => await_start(account, pam, config, channel),
    }
}

fn await_start(
    account: Account,
    pam: Option<PamSession>,
    config: &Config,
    mut channel: Channel,
) -> u8 {
    let judgement = Judgement::Admitted {
        account: account.clone(),
    };
    if say(&mut channel, Message::Judged(judgement)) != 0 {
        return FAILED;
    }
    match channel.wait() {
        Ok(Message::Start(session)) => match pam {
            Some(pam) if config.auth_pam_session => keep_open(pam, &account, channel, session),
            Some(pam) => {
                pam.leave();
                become_session(&account, channel, session)
            }
            None => become_session(&account, channel, session),
        },
        // Dropping PAM's session closes it.
        _ => 0,
    }
}

/// Opens the PAM session, and closes it when the user's process has ended.
fn keep_open(mut pam: PamSession, account: &Account, channel: Channel, session: OwnedFd) -> u8 {
    if pam.open().is_err() || spawn::prepare_guard().is_err() {
        return FAILED;
    }
    // The child never drops PAM's session: it ends, or becomes another program.
    let child = spawn::fork_child(move || {
        spawn::end_with_parent();
        become_session(account, channel, session)
    });
    let guarded = child.and_then(|child| {
        title::set(&format!("login [{} session]", account.user));
        spawn::guard(child)
    });
    pam.close();
    match guarded {
        Ok(()) => 0,
        Err(error) => {
            log::error!("imap({}): cannot keep a PAM session: {error}", account.user);
            FAILED
        }
    }
}

/// Returns only if that fails.  The environment that PAM modules ask for is left out, because a
/// session starts no program, and others must not control it.
fn become_session(account: &Account, mut channel: Channel, session: OwnedFd) -> u8 {
    let Account { user, uid, gid, .. } = account;
    let became = credentials::Account::of_login(user, *uid, *gid)
        .map_err(|error| error.to_string())
        .and_then(|account| account.become_for_good().map_err(|error| error.to_string()));
    if let Err(why) = became {
        log::error!("imap({user}): cannot become uid {uid}, gid {gid}: {why}");
        return FAILED;
    }
    if say(&mut channel, Message::Started { pid: process::id() }) != 0 {
        return FAILED;
    }
    drop(channel);
    crate::log::close();
    let error = spawn::become_role(ChildRole::Session, session, &spawn::environment());
    log::error!("imap({user}): cannot start a session: {error}");
    FAILED
}

fn say(channel: &mut Channel, message: Message) -> u8 {
    match channel.send(message) {
        Ok(()) => 0,
        // Nobody listens any more.
        Err(_) => FAILED,
    }
}

/// The client's answers come by way of the front and the monitor.
struct Exchange<'a> {
    channel: &'a mut Channel,
    attempt: Attempt,
    /// `bob 203.0.113.5`
    title: String,
}

impl Exchange<'_> {
    /// `login [bob 203.0.113.5 pam]`
    fn show(&self, source: Option<&str>) {
        let title = &self.title;
        match source {
            Some(source) => title::set(&format!("login [{title} {source}]")),
            None => title::set(&format!("login [{title}]")),
        }
    }
}

impl Dialogue for Exchange<'_> {
    fn challenge(&mut self, challenge: Secret) -> Option<Secret> {
        let challenge = Message::Judged(Judgement::Challenge(challenge));
        self.channel.send(challenge).ok()?;
        match self.channel.wait() {
            Ok(Message::Respond(attempt, answer)) if attempt == self.attempt => Some(answer),
            _ => None,
        }
    }

    fn turn_to(&mut self, source: &'static str) {
        self.show(Some(source));
    }
}

/// `bob 203.0.113.5`
fn description(request: &LoginRequest) -> String {
    let user = match &request.proof {
        Proof::Password { user, .. } => String::from_utf8_lossy(user),
        Proof::External { certified, .. } => String::from_utf8_lossy(certified),
        Proof::Scram { .. } => "SCRAM".into(),
    };
    let user: String = user
        .chars()
        .take(MAX_SHOWN)
        .map(|c| if c.is_control() { '?' } else { c })
        .collect();
    let address = request.origin.remote.map_or_else(String::new, |remote| {
        format!(" {}", remote.ip().to_canonical())
    });
    format!("{user}{address}")
}

impl From<ChannelError> for ChildError {
    fn from(error: ChannelError) -> ChildError {
        ChildError::Channel(error)
    }
}

impl fmt::Display for ChildError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            ChildError::Channel(error) => write!(f, "the channel to the monitor: {error}"),
            ChildError::Unexpected(what) => write!(f, "the monitor did not begin with {what}"),
            ChildError::Config(error) => write!(f, "the settings: {error}"),
            ChildError::System(what, error) => write!(f, "{what}: {error}"),
        }
    }
}

impl std::error::Error for ChildError {}

const MAX_SHOWN: usize = 64;

/// sysexits.h: EX_OSERR
const FAILED: u8 = 71;
