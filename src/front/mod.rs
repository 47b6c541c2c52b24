//! Everything before login, with the limits that hold for somebody unknown.  It never sees mail,
//! and it does not decide who is let in: it [asks](Step::Ask), and whoever owns it answers.
//!
//! A protocol is a folder with its `Conversation`, and a row in `protocols`.
//!
//! | file | what |
//! |---|---|
//! | `role` | the process: the list of what happens |
//! | `service` | to whom each connection belongs; what the monitor says |
//! | `conversation` | one client before login: what is asked of it, whatever its protocol |
//! | `protocols` | the map from a protocol to its conversation |
//! | `imap` | IMAP: greeting, STARTTLS, LOGIN and AUTHENTICATE (RFC 9051 6.1, 6.2) |
//! | `sasl_socket` | the Dovecot auth protocol, which Postfix speaks |
//! | `sasl` | the mechanisms of AUTHENTICATE, and of the auth socket |
//! | `certificate` | whom a client certificate is for |
//! | `secrecy` | who could listen, and what may be sent therefore |
//! | `attempts` | what is remembered of a client for the log |
//! | `desk` | who has asked the monitor what |
//! | `penalty` | how long an address that failed has to wait |
//! | `limits` | how many may wait to log in |
//! | `relay` | after login under TLS: octets both ways |

mod attempts;
mod certificate;
mod conversation;
mod desk;
mod imap;
mod limits;
mod penalty;
mod protocols;
mod relay;
pub mod role;
mod sasl;
mod sasl_socket;
mod secrecy;
mod service;

use std::collections::VecDeque;
use std::rc::Rc;
use std::time::{Duration, Instant};

use hashbrown::HashMap;

use crate::config::{ClientCertificate, Config, TlsRequired};
use crate::ipc::{Protocol, Refusal};
use crate::mail::Secret;
use crate::net::stream::Peer;
use crate::net::{Buffer, ConnectionId, Now, Secured};
use conversation::Conversation;
use protocols::{Clients, reception};

pub use conversation::{Admitted, Ask, Entry, Question, Step};

/// All clients that have not logged in.  Its methods have the contract of those of the same names
/// in [`net::Service`](crate::net::Service).
pub struct Front {
    settings: Rc<Settings>,
    guests: HashMap<ConnectionId, Guest>,
    /// How many there are of each protocol.
    counts: HashMap<Protocol, usize>,
    /// Of those who have to log in, in order of time, as everybody has the same time.  Holds some
    /// who have left.
    deadlines: VecDeque<(Instant, ConnectionId)>,
    ready: VecDeque<ConnectionId>,
    /// The output of a client that is not here.
    nothing: Buffer,
}

struct Guest {
    protocol: Protocol,
    conversation: Box<dyn Conversation>,
    /// There was no place for it.
    is_turned_away: bool,
}

/// What all dialogues have in common.
#[derive(Clone, Debug)]
struct Settings {
    separator: u8,
    append_limit: u64,
    failure_delay: Duration,
    login_timeout: Duration,
    mechanisms: sasl::AllowedMechanisms,
    tls_required: TlsRequired,
    /// A client without a certificate is not let in.
    certificate_required: bool,
    /// TLS can be begun.
    starttls: bool,
}

impl Front {
    /// `starttls`: the loop has a certificate.
    pub fn new(config: &Config, starttls: bool) -> Front {
        Front {
            settings: Rc::new(Settings::new(config, starttls)),
            guests: HashMap::new(),
            counts: HashMap::new(),
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
        self.guests.contains_key(&id)
    }

    fn count(&self, protocol: Protocol) -> usize {
        self.counts.get(&protocol).copied().unwrap_or(0)
    }

    /// What there is against one more client of this protocol, for the log.
    pub fn objection(&self, protocol: Protocol) -> Option<&'static str> {
        match reception(protocol).clients {
            Clients::Programs { most, complaint } if self.count(protocol) >= most => {
                Some(complaint)
            }
            Clients::Programs { .. } | Clients::Strangers { .. } => None,
        }
    }

    /// How many clients have to log in.
    pub fn waiting(&self) -> usize {
        let strangers = self.counts.iter().filter(|(protocol, _)| {
            matches!(reception(**protocol).clients, Clients::Strangers { .. })
        });
        strangers.map(|(_, count)| count).sum()
    }

    pub fn handle_connect(&mut self, protocol: Protocol, id: ConnectionId, peer: Peer, now: Now) {
        let reception = reception(protocol);
        let conversation = (reception.begin)(Rc::clone(&self.settings), id, peer, now);
        self.enter(protocol, id, conversation, false);
        if let Clients::Strangers { .. } = reception.clients
            && let Some(deadline) = now.instant.checked_add(self.settings.login_timeout)
        {
            self.deadlines.push_back((deadline, id));
        }
    }

    /// A client for whom there is no place; it is told so.
    pub fn turn_away(&mut self, protocol: Protocol, id: ConnectionId, peer: Peer, now: Now) {
        if let Clients::Strangers { turn_away } = reception(protocol).clients {
            let conversation = turn_away(Rc::clone(&self.settings), id, peer, now);
            self.enter(protocol, id, conversation, true);
        }
    }

    fn enter(
        &mut self,
        protocol: Protocol,
        id: ConnectionId,
        conversation: Box<dyn Conversation>,
        is_turned_away: bool,
    ) {
        let guest = Guest {
            protocol,
            conversation,
            is_turned_away,
        };
        self.guests.insert(id, guest);
        *self.counts.entry(protocol).or_default() += 1;
    }

    fn leave(&mut self, id: ConnectionId) -> Option<Guest> {
        let guest = self.guests.remove(&id);
        if let Some(guest) = &guest
            && let Some(count) = self.counts.get_mut(&guest.protocol)
        {
            *count = count.saturating_sub(1);
        }
        self.forget_deadlines();
        guest
    }

    pub fn handle_secured(&mut self, id: ConnectionId, secured: Secured) {
        if let Some(conversation) = self.conversation(id) {
            conversation.handle_secured(secured);
            self.ready.push_back(id);
        }
    }

    pub fn handle_tls_failure(&mut self, id: ConnectionId, reason: &str) {
        if let Some(conversation) = self.conversation(id) {
            conversation.handle_tls_failure(reason);
        }
    }

    pub fn handle_input(&mut self, id: ConnectionId, octets: &[u8]) {
        if let Some(conversation) = self.conversation(id) {
            conversation.handle_input(octets);
        }
    }

    pub fn handle_end(&mut self, id: ConnectionId) {
        if let Some(conversation) = self.conversation(id) {
            conversation.handle_end();
        }
    }

    pub fn handle_close(&mut self, id: ConnectionId, now: Now) {
        if let Some(guest) = self.leave(id) {
            guest.conversation.log_end(now);
        }
    }

    pub fn handle_timeout(&mut self, now: Now) {
        while let Some(&(deadline, id)) = self.deadlines.front() {
            if deadline > now.instant {
                break;
            }
            self.deadlines.pop_front();
            if let Some(conversation) = self.conversation(id) {
                conversation.handle_deadline();
                self.ready.push_back(id);
            }
        }
        self.forget_deadlines();
    }

    pub fn handle_stop(&mut self) {
        for (&id, guest) in &mut self.guests {
            guest.conversation.handle_stop();
            self.ready.push_back(id);
        }
    }

    /// Works for one client until it must wait, or until `over`.
    pub fn run(&mut self, id: ConnectionId, now: Now, over: &dyn Fn() -> bool) -> Step {
        match self.conversation(id) {
            Some(conversation) => conversation.run(now, over),
            None => Step::Close,
        }
    }

    /// Passes a challenge on to the client that has [asked](Step::Ask) this.
    pub fn challenge(&mut self, id: ConnectionId, request: u32, challenge: &Secret) {
        if let Some(conversation) = self.conversation(id) {
            conversation.challenge(request, challenge);
            self.ready.push_back(id);
        }
    }

    /// Lets in the client that has asked this, as `user`, who is served by the process `pid`.
    pub fn admit(
        &mut self,
        id: ConnectionId,
        request: u32,
        user: &str,
        pid: u32,
        now: Now,
    ) -> Entry {
        let Some(conversation) = self.conversation(id) else {
            return Entry::Nobody;
        };
        let entry = conversation.admit(request, user, pid);
        match entry {
            Entry::Session(_) => drop(self.leave(id)),
            Entry::Answered => self.ready.push_back(id),
            Entry::Nobody => self.handle_close(id, now),
        }
        entry
    }

    /// Does not let in the client that has asked this; it is told so at `time`.
    pub fn refuse(&mut self, id: ConnectionId, request: u32, why: Refusal, time: Instant) {
        if let Some(conversation) = self.conversation(id) {
            conversation.refuse(request, why, time);
            self.ready.push_back(id);
        }
    }

    /// What it has asked that somebody may still work on.
    pub fn requests(&self, id: ConnectionId) -> Vec<u32> {
        let guest = self.guests.get(&id);
        guest.map_or_else(Vec::new, |guest| guest.conversation.requests())
    }

    /// Whether it was [turned away](Front::turn_away).
    pub fn is_turned_away(&self, id: ConnectionId) -> bool {
        self.guests
            .get(&id)
            .is_some_and(|guest| guest.is_turned_away)
    }

    /// This connection will be closed.  `why`, and the setting behind it, are for the log.
    pub fn give_up(&mut self, id: ConnectionId, why: &'static str, limit: &'static str) {
        if let Some(conversation) = self.conversation(id) {
            conversation.give_up(why, limit);
        }
    }

    /// It has to wait so many seconds before what it has asked is looked at.
    pub fn log_delay(&self, id: ConnectionId, request: u32, seconds: f32) {
        if let Some(guest) = self.guests.get(&id) {
            guest.conversation.log_delay(request, seconds);
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

    /// See [`net::Service::read_size`](crate::net::Service::read_size): nobody before login has
    /// much to say.
    pub fn read_size(&self) -> usize {
        READ_SIZE
    }

    pub fn wants_input(&self, id: ConnectionId) -> bool {
        let guest = self.guests.get(&id);
        guest.is_some_and(|guest| guest.conversation.wants_input())
    }

    pub fn output(&mut self, id: ConnectionId) -> &mut Buffer {
        match self.guests.get_mut(&id) {
            Some(guest) => guest.conversation.output(),
            None => &mut self.nothing,
        }
    }

    fn conversation(&mut self, id: ConnectionId) -> Option<&mut dyn Conversation> {
        let guest = self.guests.get_mut(&id)?;
        Some(guest.conversation.as_mut())
    }

    /// Drops the deadlines of clients that have left, as far as they are the next ones.
    fn forget_deadlines(&mut self) {
        while let Some((_, id)) = self.deadlines.front()
            && !self.guests.contains_key(id)
        {
            self.deadlines.pop_front();
        }
    }
}

impl Settings {
    fn new(config: &Config, starttls: bool) -> Settings {
        Settings {
            separator: config.usual_separator(),
            append_limit: config.append_limit,
            failure_delay: config.failure_delay,
            login_timeout: config.login_timeout,
            mechanisms: sasl::AllowedMechanisms::new(config),
            tls_required: config.tls_required,
            certificate_required: config.tls_client_certificate == ClientCertificate::Required,
            starttls: starttls && config.tls_required != TlsRequired::Off,
        }
    }
}

/// At once, from one client.
const READ_SIZE: usize = 16 * 1024;

#[cfg(test)]
mod tests;
