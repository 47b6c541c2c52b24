//! Everything after login: all connections of one user and the mailboxes they have open.

use std::path::PathBuf;
use std::time::Instant;

use crate::config::Config;
use crate::imap::Connection;
use crate::imap::command::Tag;
use crate::net::{Buffer, ConnectionId, Now, Run};

/// All connections of one user.  Driven by a [`net::Service`](crate::net::Service), whose contract
/// the methods of the same names have.
pub struct Session {}

/// How a connection begins.
pub enum Greeting {
    /// `* PREAUTH` (RFC 9051 7.1.4).
    PreAuth,
    /// `<tag> OK` to the LOGIN or AUTHENTICATE that let the user in.
    LoggedIn(Tag),
}

impl Session {
    /// `root` is the user's Maildir.  `wake` may be called from any thread, and makes the loop call
    /// `handle_wake` soon.
    pub fn new(_config: &Config, _root: PathBuf, _wake: Box<dyn Fn() + Send>) -> Session {
        todo!()
    }

    /// Takes a connection over: `connection` with whatever input it holds already, `output` with
    /// whatever is not sent yet.  `run` is called next.
    pub fn attach(
        &mut self,
        _id: ConnectionId,
        _greeting: Greeting,
        _connection: Connection,
        _output: Buffer,
        _now: Now,
    ) {
        todo!()
    }

    pub fn handle_input(&mut self, _id: ConnectionId, _bytes: &[u8], _now: Now) {
        todo!()
    }

    pub fn handle_end(&mut self, _id: ConnectionId, _now: Now) {
        todo!()
    }

    pub fn handle_close(&mut self, _id: ConnectionId, _now: Now) {
        todo!()
    }

    pub fn handle_wake(&mut self, _now: Now) {
        todo!()
    }

    pub fn handle_timeout(&mut self, _now: Now) {
        todo!()
    }

    pub fn handle_stop(&mut self, _now: Now) {
        todo!()
    }

    pub fn run(&mut self, _id: ConnectionId, _now: Now, _over: &dyn Fn() -> bool) -> Run {
        todo!()
    }

    pub fn poll_ready(&mut self) -> Option<ConnectionId> {
        todo!()
    }

    pub fn next_timeout(&self) -> Option<Instant> {
        todo!()
    }

    pub fn wants_input(&self, _id: ConnectionId) -> bool {
        todo!()
    }

    pub fn output(&mut self, _id: ConnectionId) -> &mut Buffer {
        todo!()
    }
}
