//! Everything after login: all connections of one user and the mailboxes they have open.
//!
//! Runs as that user.  It does no input or output of its own: `net` moves the bytes, `maildir`
//! touches the files, `store` has the mailboxes.  Connections share open mailboxes; a change one of
//! them makes is told to the others in the same turn of the loop.
//!
//! | file | what |
//! |---|---|
//! | `role` | the process: what it does, from its start to its end |
//! | `service` | one user's connections, as the monitor hands them over |
//! | `place` | where the mail is; it is made if it is not there |
//! | `confine` | what the process gives up before it hears a client |
//! | `imap` | IMAP: one client's commands, and what it is told |

pub mod confine;
mod imap;
pub mod place;
pub mod role;
mod service;

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Instant;

use imap::command::capability;
use imap::connection::{Connection, Standing};
use imap::counters::Departure;
use imap::reply::{Reply, ReplyCode};

use crate::config::{Config, Location};
use crate::imap::command::Tag;
use crate::imap::connection::State;
use crate::imap::namespace::Namespaces;
use crate::imap::response::{self, Code};
use crate::imap::{Connection as ImapConnection, LoggedIn};
use crate::ipc::{HandOver, Protocol};
use crate::log::on_behalf;
use crate::net::{Buffer, ConnectionId, Now, Run};
use crate::store::Mailboxes;
use crate::sys::process;

/// All connections of one user.  Driven by a [`net::Service`](crate::net::Service), whose contract
/// the methods of the same names have.
pub struct Session {
    config: Config,
    mailboxes: Mailboxes,
    separator: u8,
    namespaces: Rc<Namespaces>,
    /// Boxed, as few users have as many as a node of the map has room for.
    connections: BTreeMap<ConnectionId, Box<Connection>>,
    /// Connections that can run though nothing came from their client.
    ready: BTreeSet<ConnectionId>,
    /// No client's deadline is before this; `None` until one has to be computed.
    deadline: Option<Instant>,
    /// The output of a connection that is not here.
    nothing: Buffer,
    /// What lines in the log begin with that are about no client: `imap(USER): `.
    whose: Arc<str>,
}

/// How a connection begins.
pub enum Greeting {
    /// `* PREAUTH` (RFC 9051 7.1.4).
    PreAuth,
    /// `<tag> OK` to the LOGIN or AUTHENTICATE that let the user in.
    LoggedIn(Tag),
}

impl Session {
    /// The mail of `user` is at `location`.  `wake` may be called from any thread, and makes the
    /// loop call `handle_wake` soon.
    pub fn new(
        user: &str,
        config: &Config,
        location: Location,
        wake: Box<dyn Fn() + Send>,
    ) -> io::Result<Session> {
        let whose = Arc::from(format!("imap({user}): "));
        let _logged = on_behalf(&whose);
        let mailboxes = Mailboxes::new(config, location, wake)?;
        let separator = config.separator_of(mailboxes.layout());
        let namespaces = Namespaces::new(&config.prefix, &config.hidden_prefix, separator)
            .map_err(|error| io::Error::other(error.as_str()))?;
        Ok(Session {
            config: config.clone(),
            namespaces: Rc::new(namespaces),
            mailboxes,
            separator,
            connections: BTreeMap::new(),
            ready: BTreeSet::new(),
            deadline: None,
            nothing: Buffer::new(),
            whose,
        })
    }

    /// Takes a connection over: `connection` with whatever input it holds already, `output` with
    /// whatever is not sent yet.  `session` is its name in the log.  `run` is called next.
    pub fn attach(
        &mut self,
        id: ConnectionId,
        session: &str,
        greeting: Greeting,
        connection: ImapConnection,
        output: Buffer,
        now: Now,
    ) {
        let user = self.whose.trim_end_matches(": ");
        let whose = format!("{user}<{}><{session}>: ", process::id());
        let mut connection = Connection::new(id, Arc::from(whose), connection, output, now);
        let client = &mut connection.client;
        let capabilities = capability::capabilities(&self.config);
        let out = client.out.writer();
        match greeting {
            Greeting::PreAuth => {
                let code = Some(Code::Capability(&capabilities));
                response::preauth(out, code, "Roost ready.");
            }
            Greeting::LoggedIn(tag) => {
                let code = ReplyCode::Capability(capabilities);
                Reply::ok("Logged in.").with(code).write(&tag, out);
            }
        }
        client.imap.set_state(State::Authenticated);
        client.imap.set_namespaces(Rc::clone(&self.namespaces));
        self.note_deadline(connection.deadline(&self.config));
        self.connections.insert(id, Box::new(connection));
    }

    /// Takes over a client that has logged in, from the conversation of its protocol before that.
    /// False: what that has left behind cannot be understood.
    pub fn take_over(
        &mut self,
        id: ConnectionId,
        protocol: Protocol,
        hand_over: &HandOver,
        now: Now,
    ) -> bool {
        let logged_in = match protocol {
            Protocol::Imap => LoggedIn::from_octets(&hand_over.state),
            Protocol::Sasl => None,
        };
        let Some(LoggedIn { tag, bad_commands }) = logged_in else {
            return false;
        };
        let mut connection = ImapConnection::new(State::Authenticated, self.separator);
        connection.set_bad_commands(bad_commands);
        let greeting = Greeting::LoggedIn(tag);
        let mut output = Buffer::new();
        output.writer().extend_from_slice(&hand_over.output);
        let name = &hand_over.origin.session;
        self.attach(id, name, greeting, connection, output, now);
        if !hand_over.input.is_empty() {
            self.handle_input(id, &hand_over.input, now);
        }
        true
    }

    /// What is between the levels of names here.
    pub fn separator(&self) -> u8 {
        self.separator
    }

    pub fn handle_input(&mut self, id: ConnectionId, bytes: &[u8], now: Now) {
        if let Some(connection) = self.connections.get_mut(&id) {
            connection.handle_input(bytes, now);
        }
    }

    pub fn handle_end(&mut self, id: ConnectionId, _now: Now) {
        if let Some(connection) = self.connections.get_mut(&id) {
            connection.handle_end();
        }
    }

    /// Says what is to be told of the client that is gone.
    pub fn handle_close(&mut self, id: ConnectionId, now: Now) -> Option<Departure> {
        self.ready.remove(&id);
        let mut connection = self.connections.remove(&id)?;
        let _logged = on_behalf(connection.whose());
        connection.client.deselect(&mut self.mailboxes, now);
        self.mailboxes.expanded = None;
        Some(connection.depart())
    }

    /// Sends a client away.
    pub fn dismiss(&mut self, id: ConnectionId, text: &'static str) {
        if let Some(connection) = self.connections.get_mut(&id) {
            connection.dismiss(text);
            self.ready.insert(id);
        }
    }

    pub fn handle_wake(&mut self, _now: Now) {
        let _logged = on_behalf(&self.whose);
        self.mailboxes.handle_wake();
    }

    pub fn handle_timeout(&mut self, now: Now) {
        let _logged = on_behalf(&self.whose);
        self.mailboxes.handle_timeout(now);
        if self.deadline.is_none_or(|deadline| deadline > now.instant) {
            return;
        }
        self.deadline = None;
        let mut next: Option<Instant> = None;
        for (&id, connection) in &mut self.connections {
            if connection.deadline(&self.config) <= now.instant {
                connection.handle_deadline(now);
                self.ready.insert(id);
            }
            let deadline = connection.deadline(&self.config);
            next = Some(next.map_or(deadline, |next| next.min(deadline)));
        }
        self.deadline = next;
    }

    pub fn handle_stop(&mut self, _now: Now) {
        for (&id, connection) in &mut self.connections {
            connection.dismiss("Server shutting down.");
            self.ready.insert(id);
        }
    }

    /// Everything is written that a later session would like to find.
    pub fn finish(&mut self, now: Now) {
        let _logged = on_behalf(&self.whose);
        self.mailboxes.close_all(now);
    }

    pub fn run(&mut self, id: ConnectionId, now: Now, over: &dyn Fn() -> bool) -> Run {
        self.ready.remove(&id);
        match self.connections.get_mut(&id) {
            Some(connection) => {
                let _logged = on_behalf(connection.whose());
                let run = connection.run(&mut self.mailboxes, &self.config, now, over);
                // A client in IDLE is due sooner than one that is silent.
                let deadline = connection.deadline(&self.config);
                self.note_deadline(deadline);
                run
            }
            None => Run::Close,
        }
    }

    pub fn standing(&self, id: ConnectionId) -> Standing {
        let connection = self.connections.get(&id);
        connection.map_or(Standing::default(), |connection| connection.standing())
    }

    pub fn poll_ready(&mut self) -> Option<ConnectionId> {
        self.ready
            .pop_first()
            .or_else(|| self.mailboxes.poll_woken())
    }

    pub fn next_timeout(&self) -> Option<Instant> {
        [self.deadline, self.mailboxes.next_timeout()]
            .into_iter()
            .flatten()
            .min()
    }

    pub fn wants_input(&self, id: ConnectionId) -> bool {
        self.connections
            .get(&id)
            .is_some_and(|connection| connection.wants_input())
    }

    pub fn output(&mut self, id: ConnectionId) -> &mut Buffer {
        match self.connections.get_mut(&id) {
            Some(connection) => &mut connection.client.out,
            None => &mut self.nothing,
        }
    }

    fn note_deadline(&mut self, deadline: Instant) {
        self.deadline = Some(self.deadline.map_or(deadline, |known| known.min(deadline)));
    }
}
