//! Everything before login: greeting, STARTTLS, LOGIN and AUTHENTICATE, with the limits that hold for
//! somebody unknown.  It never sees mail, and it does not decide who is let in: it
//! [asks](Step::Ask), and whoever owns it answers.
//!
//! | file | what |
//! |---|---|
//! | `role` | the process: the list of what happens |
//! | `service` | to whom each connection belongs; what the monitor says |
//! | `imap` | the dialogue of one client of IMAP (RFC 9051 6.1, 6.2) |
//! | `sasl` | the mechanisms of AUTHENTICATE, and of the auth socket |
//! | `certificate` | whom a client certificate is for |
//! | `refusal` | what somebody who is not let in is told |
//! | `attempts` | what is remembered of a client for the log |
//! | `desk` | who has asked the monitor what |
//! | `penalty` | how long an address that failed has to wait |
//! | `limits` | how many may wait to log in |
//! | `relay` | after login under TLS: octets both ways |
//! | `sasl_socket` | the Dovecot auth protocol, which Postfix speaks |

mod attempts;
mod certificate;
mod desk;
mod imap;
mod limits;
mod penalty;
mod refusal;
mod relay;
pub mod role;
mod sasl;
pub mod sasl_socket;
mod service;

use std::collections::VecDeque;
use std::rc::Rc;
use std::time::{Duration, Instant};

use hashbrown::HashMap;

use crate::config::{ClientCertificate, Config, TlsRequired};
use crate::ipc::{HandOver, LoginRequest, Origin, Refusal};
use crate::mail::Secret;
use crate::net::stream::Peer;
use crate::net::{Buffer, ConnectionId, Now, Secured};
use imap::Login;

/// All clients that have not logged in.  Its methods have the contract of those of the same names in
/// [`net::Service`](crate::net::Service).
pub struct Front {
    settings: Rc<Settings>,
    logins: HashMap<ConnectionId, Login>,
    /// In order of time, because all clients have the same time to log in.  Some may have left.
    deadlines: VecDeque<(Instant, ConnectionId)>,
    ready: VecDeque<ConnectionId>,
    /// The output of a client that is not here.
    nothing: Buffer,
}

/// What all dialogues have in common.
#[derive(Clone, Debug)]
struct Settings {
    separator: u8,
    append_limit: u64,
    failure_delay: Duration,
    login_timeout: Duration,
    mechanisms: sasl::Allowed,
    tls_required: TlsRequired,
    /// A client without a certificate is not let in.
    certificate_required: bool,
    /// TLS can be begun.
    starttls: bool,
}

/// What a client waits for, or what it wants.
#[derive(Debug)]
pub enum Step {
    /// For input.
    Idle,
    /// For nothing; others may have a turn.
    Again,
    /// For time to pass.
    Wait(Duration),
    /// For TLS (`net::Run::StartTls`).
    StartTls,
    /// For its output to be sent and the connection to be closed.
    Close,
    Ask(Question),
}

/// What a client wants to know.
#[derive(Debug)]
pub enum Question {
    /// Whether it is let in.  The answer is [`Front::admit`], [`Front::challenge`] or
    /// [`Front::refuse`].
    Login(Box<LoginRequest>),
    /// Whether it is let in, with its answer to [`Front::challenge`].
    Respond(Secret),
    /// Nothing any more, because it has given up.
    GiveUp,
}

/// A client that has logged in, to be taken over by its session.
pub struct Admitted {
    pub origin: Origin,
    /// Only this process can read what the client sends.
    pub is_encrypted: bool,
    /// For the session, as in [`HandOver`].
    pub state: Vec<u8>,
    pub input: Vec<u8>,
    pub output: Buffer,
}

impl Admitted {
    /// For the session, with all that is still to be sent.
    pub fn hand_over(self) -> HandOver {
        HandOver {
            origin: self.origin,
            state: self.state,
            input: self.input,
            output: self.output.pending().to_vec(),
            relayed: false,
        }
    }
}

impl Front {
    /// `starttls`: the loop has a certificate.
    pub fn new(config: &Config, starttls: bool) -> Front {
        Front {
            settings: Rc::new(Settings::new(config, starttls)),
            logins: HashMap::new(),
            deadlines: VecDeque::new(),
            ready: VecDeque::new(),
            nothing: Buffer::new(),
        }
    }

    /// What holds for clients that connect from now on.
    pub fn set_config(&mut self, config: &Config, starttls: bool) {
        self.settings = Rc::new(Settings::new(config, starttls));
    }

    pub fn contains(&self, id: ConnectionId) -> bool {
        self.logins.contains_key(&id)
    }

    pub fn len(&self) -> usize {
        self.logins.len()
    }

    pub fn is_empty(&self) -> bool {
        self.logins.is_empty()
    }

    pub fn handle_connect(&mut self, id: ConnectionId, peer: Peer, now: Now) {
        let login = Login::new(Rc::clone(&self.settings), id, peer, now);
        self.logins.insert(id, login);
        if let Some(deadline) = now.instant.checked_add(self.settings.login_timeout) {
            self.deadlines.push_back((deadline, id));
        }
    }

    /// A client for whom there is no place; it is told `text`.
    pub fn turn_away(&mut self, id: ConnectionId, peer: Peer, text: &str, now: Now) {
        let login = Login::turned_away(Rc::clone(&self.settings), id, peer, text, now);
        self.logins.insert(id, login);
    }

    pub fn handle_secured(&mut self, id: ConnectionId, secured: Secured) {
        if let Some(login) = self.logins.get_mut(&id) {
            login.handle_secured(secured);
            self.ready.push_back(id);
        }
    }

    pub fn handle_tls_failure(&mut self, id: ConnectionId, reason: &str) {
        if let Some(login) = self.logins.get_mut(&id) {
            login.handle_tls_failure(reason);
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
                login.run_out_of_time();
                self.ready.push_back(id);
            }
        }
        self.forget_deadlines();
    }

    pub fn handle_stop(&mut self) {
        for (&id, login) in &mut self.logins {
            login.say_bye("Shutting down", "Server shutting down.");
            self.ready.push_back(id);
        }
    }

    /// Ends a conversation: `why` for the log, `text` for the client.
    pub fn say_bye(&mut self, id: ConnectionId, why: &'static str, text: &str) {
        if let Some(login) = self.logins.get_mut(&id) {
            login.say_bye(why, text);
            self.ready.push_back(id);
        }
    }

    /// Works for one client until it must wait, or until `over`.
    pub fn run(&mut self, id: ConnectionId, now: Now, over: &dyn Fn() -> bool) -> Step {
        match self.logins.get_mut(&id) {
            Some(login) => login.run(now, over),
            None => Step::Close,
        }
    }

    /// Passes a challenge on to the client that [`Step::Ask`] was about.
    pub fn challenge(&mut self, id: ConnectionId, challenge: &Secret) {
        if let Some(login) = self.logins.get_mut(&id) {
            login.challenge(challenge);
            self.ready.push_back(id);
        }
    }

    /// Lets in the client that [`Step::Ask`] was about, as `user`, who is served by the process `pid`.
    pub fn admit(&mut self, id: ConnectionId, user: &str, pid: u32, now: Now) -> Option<Admitted> {
        let admitted = self.logins.remove(&id)?.admit(user, pid, now);
        self.forget_deadlines();
        admitted
    }

    /// Does not let in the client that [`Step::Ask`] was about; it is told so at `time`.
    pub fn refuse(&mut self, id: ConnectionId, why: Refusal, time: Instant) {
        if let Some(login) = self.logins.get_mut(&id) {
            login.refuse(why, time);
            self.ready.push_back(id);
        }
    }

    /// Whether it was [turned away](Front::turn_away).
    pub fn is_turned_away(&self, id: ConnectionId) -> bool {
        self.logins.get(&id).is_some_and(Login::is_turned_away)
    }

    /// This connection will be closed.  `why`, and the setting behind it, are for the log.
    pub fn give_up(&mut self, id: ConnectionId, why: &'static str, limit: &'static str) {
        if let Some(login) = self.logins.get_mut(&id) {
            login.give_up_on(why, limit);
        }
    }

    /// Logs that a client has to wait so many seconds.
    pub fn log_delay(&self, id: ConnectionId, seconds: f32) {
        if let Some(login) = self.logins.get(&id) {
            login.log_delay(seconds);
        }
    }

    /// Has the connection run once more.
    pub fn wake(&mut self, id: ConnectionId) {
        self.ready.push_back(id);
    }

    pub fn poll_ready(&mut self) -> Option<ConnectionId> {
        self.ready.pop_front()
    }

    pub fn next_timeout(&self) -> Option<Instant> {
        self.deadlines.front().map(|&(deadline, _)| deadline)
    }

    /// See [`net::Service::read_size`](crate::net::Service::read_size): nobody before login has much to say.
    pub fn read_size(&self) -> usize {
        imap::MAX_UNANSWERED
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

impl Settings {
    fn new(config: &Config, starttls: bool) -> Settings {
        Settings {
            separator: config.separator.octet(),
            append_limit: config.append_limit,
            failure_delay: config.failure_delay,
            login_timeout: config.login_timeout,
            mechanisms: sasl::Allowed::new(config),
            tls_required: config.tls_required,
            certificate_required: config.tls_client_certificate == ClientCertificate::Required,
            starttls: starttls && config.tls_required != TlsRequired::Off,
        }
    }
}

#[cfg(test)]
mod tests;
