//! Everything before login: greeting, STARTTLS, LOGIN and AUTHENTICATE, with the limits that hold for
//! somebody unknown.  It never sees mail, and it does not decide who is let in: it
//! [asks](Step::Ask), and whoever owns it answers.
//!
//! | file | what |
//! |---|---|
//! | `login` | the dialogue of one client (RFC 9051 6.1, 6.2) |
//! | `attempts` | what is remembered of it for the log |

mod attempts;
mod login;

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use hashbrown::HashMap;

use crate::config::Config;
use crate::imap::Connection;
use crate::imap::command::{Secret, Tag};
use crate::net::stream::Peer;
use crate::net::{Buffer, ConnectionId, Now};
use login::Login;

/// All clients that have not logged in.  Its methods have the contract of those of the same names in
/// [`net::Service`](crate::net::Service).
pub struct Front {
    settings: Settings,
    logins: HashMap<ConnectionId, Login>,
    /// In order of time, as everybody has the same time to log in.  Holds some who have left.
    deadlines: VecDeque<(Instant, ConnectionId)>,
    ready: VecDeque<ConnectionId>,
    /// For a client that is not here.
    nothing: Buffer,
}

/// What all dialogues have in common.
#[derive(Clone, Copy, Debug)]
struct Settings {
    separator: u8,
    append_limit: u64,
    failure_delay: Duration,
    login_timeout: Duration,
    /// TLS can be begun.
    starttls: bool,
}

/// What a client waits for, or what it wants.
#[derive(Debug)]
pub enum Step {
    /// For input.
    Idle,
    /// For time to pass.
    Wait(Duration),
    /// For TLS (`net::Run::StartTls`).
    StartTls,
    /// For its output to be sent and the connection to be closed.
    Close,
    /// For [`Front::admit`] or [`Front::refuse`].
    Ask(Credentials),
}

/// Who somebody says he is.
#[derive(Debug)]
pub struct Credentials {
    pub user: Vec<u8>,
    pub password: Secret,
}

/// A client that has logged in, to be taken over by its session.
pub struct Admitted {
    /// Of the command that is to be answered OK.
    pub tag: Tag,
    pub connection: Connection,
    pub output: Buffer,
}

/// Why somebody is not let in (RFC 5530).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// No such user, or another password; the client is not told which.
    Mismatch,
    /// It cannot be found out now.
    Unavailable,
}

impl Front {
    /// `starttls`: the loop has a certificate.
    pub fn new(config: &Config, starttls: bool) -> Front {
        Front {
            settings: Settings {
                separator: config.separator.octet(),
                append_limit: config.append_limit,
                failure_delay: config.failure_delay,
                login_timeout: config.login_timeout,
                starttls,
            },
            logins: HashMap::new(),
            deadlines: VecDeque::new(),
            ready: VecDeque::new(),
            nothing: Buffer::new(),
        }
    }

    pub fn contains(&self, id: ConnectionId) -> bool {
        self.logins.contains_key(&id)
    }

    pub fn handle_connect(&mut self, id: ConnectionId, peer: Peer, now: Now) {
        let login = Login::new(self.settings, id, peer, now);
        self.logins.insert(id, login);
        if let Some(deadline) = now.instant.checked_add(self.settings.login_timeout) {
            self.deadlines.push_back((deadline, id));
        }
    }

    pub fn handle_input(&mut self, id: ConnectionId, bytes: &[u8]) {
        if let Some(login) = self.logins.get_mut(&id) {
            login.handle_input(bytes);
        }
    }

    pub fn handle_end(&mut self, id: ConnectionId) {
        if let Some(login) = self.logins.get_mut(&id) {
            login.handle_end();
        }
    }

    pub fn handle_close(&mut self, id: ConnectionId, now: Now) {
        if let Some(login) = self.logins.remove(&id) {
            login.log_end(now);
        }
        self.forget_deadlines();
    }

    pub fn handle_timeout(&mut self, now: Now) {
        while let Some(&(deadline, id)) = self.deadlines.front() {
            if deadline > now.instant {
                break;
            }
            self.deadlines.pop_front();
            if let Some(login) = self.logins.get_mut(&id) {
                login.say_bye("It took too long to log in");
                self.ready.push_back(id);
            }
        }
        self.forget_deadlines();
    }

    pub fn handle_stop(&mut self) {
        for (&id, login) in &mut self.logins {
            login.say_bye("The server is shutting down");
            self.ready.push_back(id);
        }
    }

    pub fn run(&mut self, id: ConnectionId, now: Now) -> Step {
        match self.logins.get_mut(&id) {
            Some(login) => login.run(now),
            None => Step::Close,
        }
    }

    /// Lets in the client that [`Step::Ask`] was about.
    pub fn admit(&mut self, id: ConnectionId, now: Now) -> Option<Admitted> {
        let admitted = self.logins.remove(&id)?.admit(now);
        self.forget_deadlines();
        admitted
    }

    /// Does not let in the client that [`Step::Ask`] was about.
    pub fn refuse(&mut self, id: ConnectionId, why: Refusal, now: Now) {
        if let Some(login) = self.logins.get_mut(&id) {
            login.refuse(why, now);
            self.ready.push_back(id);
        }
    }

    pub fn poll_ready(&mut self) -> Option<ConnectionId> {
        self.ready.pop_front()
    }

    pub fn next_timeout(&self) -> Option<Instant> {
        self.deadlines.front().map(|&(deadline, _)| deadline)
    }

    pub fn wants_input(&self, id: ConnectionId) -> bool {
        self.logins.get(&id).is_some_and(Login::wants_input)
    }

    pub fn output(&mut self, id: ConnectionId) -> &mut Buffer {
        match self.logins.get_mut(&id) {
            Some(login) => login.output(),
            None => &mut self.nothing,
        }
    }

    /// Drops the deadlines of clients that have left, as far as they are the next ones.
    fn forget_deadlines(&mut self) {
        while let Some((_, id)) = self.deadlines.front()
            && !self.logins.contains_key(id)
        {
            self.deadlines.pop_front();
        }
    }
}

#[cfg(test)]
mod tests;
