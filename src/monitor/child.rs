//! What a login child does: forked from the monitor for one attempt, as root, without exec.
//!
//! It closes everything but its channel and the log, finds out who it is (`auth`, where PAM may block, crash or
//! hang), says so, and waits.  If the channel closes, that was all: somebody else serves this user, or nobody does.
//! `Start` means: become the session.  That is one way only: become the user for good, say `Started`, execute
//! `roost session`.  With `auth.pam_session` the child stays root, and its own child becomes the session:
//! somebody has to close what PAM has opened.

use std::os::fd::OwnedFd;

use crate::auth::{self, Admission, Dialogue, PamSession};
use crate::config::Config;
use crate::ipc::channel::Channel;
use crate::ipc::{Account, Attempt, Judgement, LoginRequest, Message, Proof, Secret, Service};
use crate::sys::spawn::ChildRole;
use crate::sys::{credentials, process, spawn, title};

use super::login::Task;

/// The exit code.
pub(super) fn run(task: Task, config: &Config, channel: OwnedFd) -> u8 {
    crate::log::close();
    let channel = spawn::keep_only(channel).and_then(Channel::new);
    let Ok(mut channel) = channel else {
        return FAILED;
    };
    match task {
        Task::Become(account) => {
            title::set("login");
            await_start(account, None, config, channel)
        }
        Task::Authenticate(attempt, request) => {
            title::set(&description(&request, config));
            let mut exchange = Exchange {
                channel: &mut channel,
                attempt,
            };
            let service = request.service;
            let result = auth::authenticate(config, &request, &mut exchange);
            // The password is not needed any more.
            drop(request);
            match result {
                Err(refusal) => say(&mut channel, Message::Judged(Judgement::Refused(refusal))),
                Ok(Admission { account, .. }) if service == Service::Sasl => say(
                    &mut channel,
                    Message::Judged(Judgement::Admitted { account }),
                ),
                Ok(Admission { account, pam }) => await_start(account, pam, config, channel),
            }
        }
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
        // Dropping what PAM gave takes it back.
        _ => 0,
    }
}

/// Opens the PAM session, and closes it when the user's process has ended.
fn keep_open(mut pam: PamSession, account: &Account, channel: Channel, session: OwnedFd) -> u8 {
    if pam.open().is_err() || spawn::prepare_guard().is_err() {
        return FAILED;
    }
    // The child never drops what is PAM's: it ends, or becomes another program.
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

/// Comes back only if that cannot be done.  What PAM modules would have in the environment is left out: a
/// session starts no program, and nothing in it is for others to set.
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
}

/// `login [bob 203.0.113.5 pam]`
fn description(request: &LoginRequest, config: &Config) -> String {
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
    let source = match config.auth_sources.first() {
        Some(crate::config::AuthSource::PasswdFile(_)) => "passwd-file",
        _ => "pam",
    };
    format!("login [{user}{address} {source}]")
}

const MAX_SHOWN: usize = 64;

/// sysexits.h: EX_OSERR
const FAILED: u8 = 71;
