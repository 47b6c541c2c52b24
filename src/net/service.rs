//! What the loop asks of whoever knows what the bytes mean.

use std::time::{Duration, Instant};

use super::stream::Peer;
use super::{Buffer, Now};

/// One connection, for the life of the process: never given to another one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ConnectionId(pub usize);

/// What a connection waits for after [`Service::run`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Run {
    /// For input, for room in its output, or to be named by [`Service::poll_ready`].
    Idle,
    /// For nothing: its time slice was used up.  It is called again after the others had a turn.
    Again,
    /// For time to pass (a lock that somebody else holds), or for anything that `Idle` waits for.
    Wait(Duration),
    /// For the output to be sent and TLS to be negotiated on top (RFC 9051 6.2.1).  Whatever the
    /// client sent in the clear after STARTTLS is thrown away by the loop.
    StartTls,
    /// For the output to be sent; then the connection is to be closed.
    Close,
}

/// What a loop serves.  The loop moves bytes and knows the clock; a service knows what they mean.
pub trait Service {
    /// A client has connected.
    fn handle_connect(&mut self, id: ConnectionId, peer: Peer, now: Now);
    /// The client sent `bytes`, at most [`READ_SIZE`](super::READ_SIZE) of them.
    fn handle_input(&mut self, id: ConnectionId, bytes: &[u8], now: Now);
    /// The client will send nothing more; it may still read.  The service finishes every complete
    /// command, and then `run` says [`Run::Close`].
    fn handle_end(&mut self, id: ConnectionId, now: Now);
    /// The connection is gone, for whatever reason; `id` is never heard of again.
    fn handle_close(&mut self, id: ConnectionId, now: Now);
    /// The wake function given to the service has been called.
    fn handle_wake(&mut self, now: Now);
    /// [`next_timeout`](Service::next_timeout) has come.
    fn handle_timeout(&mut self, now: Now);
    /// The process has been asked to stop (SIGTERM): every connection gets its BYE and ends.
    fn handle_stop(&mut self, now: Now);

    /// Works for one connection until it must wait, or until `over` says that its time slice is used
    /// up, or until its output is full.
    fn run(&mut self, id: ConnectionId, now: Now, over: &dyn Fn() -> bool) -> Run;

    /// A connection that can `run` now because of another one, a wake or a time-out.
    fn poll_ready(&mut self) -> Option<ConnectionId>;
    /// When `handle_timeout` must be called at the latest.
    fn next_timeout(&self) -> Option<Instant>;
    /// Whether the connection can take input now; while it cannot, the client is not read from.
    fn wants_input(&self, id: ConnectionId) -> bool;
    /// What is to be sent to the client.
    fn output(&mut self, id: ConnectionId) -> &mut Buffer;
}
