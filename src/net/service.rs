//! What the loop asks of a service, which knows what the bytes mean.

use std::net::IpAddr;
use std::os::fd::OwnedFd;
use std::rc::Rc;
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::stream::{ListenerId, Peer, Stream};
use super::tls::Certificates;
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
    /// As [`Idle`](Run::Idle); and when the output has been sent, the client is told that nothing
    /// more comes.  It may go on to send.
    EndOutput,
    /// For the output to be sent; then the connection is to be closed.
    Close,
    /// For nothing: the loop gives the stream to [`Service::handle_detached`] and forgets the
    /// connection.  Whatever is still in its output, or was read before, is the service's to pass
    /// on.
    Detach,
}

/// Something that is not a client's, whose descriptor the loop watches; numbered by the service.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SourceId(pub u64);

/// What a service wants of the loop.
pub enum Change {
    /// One more connection; its id is told by [`Service::handle_added`] with the same `context`,
    /// and [`Service::handle_connect`] is not called.
    Add {
        stream: Stream,
        peer: Peer,
        context: u64,
    },
    /// A listening socket (TCP or unix); what it accepts has `listener` in its [`Peer`].
    Listen {
        socket: OwnedFd,
        listener: ListenerId,
        tls: bool,
        /// Connections begin with a PROXY header, and may come from here only.
        proxy: Option<Vec<(IpAddr, u8)>>,
    },
    /// No accepting any more, anywhere.
    Unlisten,
    /// For TLS from now on; connections that are there keep theirs.
    UseCertificates(Arc<Certificates>),
    /// Call [`Service::handle_source`] when this becomes readable or writable (edge-triggered).
    Watch(SourceId, Rc<OwnedFd>),
    Unwatch(SourceId),
    /// Close this connection now, without another word.
    Cut(ConnectionId),
    /// Stop as at SIGTERM.  Another process has told this one to.
    Stop,
}

/// What became known of a client when its TLS handshake was done.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Secured {
    /// Its own verified certificate, DER.
    pub certificate: Option<Vec<u8>>,
    /// RFC 9266
    pub exporter: Option<Vec<u8>>,
    /// RFC 5929 4
    pub end_point: Option<Vec<u8>>,
}

/// What a loop serves.  The loop moves bytes and knows the clock; a service knows what they mean.
pub trait Service {
    /// A client has connected.
    fn handle_connect(&mut self, id: ConnectionId, peer: Peer, now: Now);
    /// The client sent `bytes`, at most [`read_size`](Service::read_size) of them.
    fn handle_input(&mut self, id: ConnectionId, bytes: &[u8], now: Now);
    /// The client will send nothing more; it may still read.  The service finishes every complete
    /// command, and then `run` says [`Run::Close`].
    fn handle_end(&mut self, id: ConnectionId, now: Now);
    /// The connection is gone, for whatever reason; `id` is never heard of again.
    fn handle_close(&mut self, id: ConnectionId, now: Now);
    /// The client of [`Change::Add`] is connected.
    fn handle_added(&mut self, id: ConnectionId, context: u64, now: Now) {
        let _ = (id, context, now);
    }
    /// TLS is established on a connection; nothing is read from it or sent to it before.  `run` is
    /// not called before either, unless [`poll_ready`](Service::poll_ready) names the connection or
    /// the process is asked to stop; only [`Run::Close`] means something then.
    fn handle_secured(&mut self, id: ConnectionId, secured: Secured) {
        let _ = (id, secured);
    }
    /// TLS could not be established, or broke; [`handle_close`](Service::handle_close) comes next.
    /// `reason` is for the log.
    fn handle_tls_failure(&mut self, id: ConnectionId, reason: &str) {
        let _ = (id, reason);
    }
    /// The stream that [`Run::Detach`] asked for; the id is never heard of again.
    fn handle_detached(&mut self, id: ConnectionId, stream: Stream) {
        let _ = (id, stream);
    }
    /// There may be something to do with a source.  It is not said again until the service has
    /// read, or written, until it was told that it would block.
    fn handle_source(&mut self, source: SourceId, now: Now) {
        let _ = (source, now);
    }
    /// SIGHUP, if the loop was told that it means that (`sys::process::Watched`).
    fn handle_reload(&mut self, now: Now) {
        let _ = now;
    }
    /// SIGCHLD: one child or several have ended.
    fn handle_child(&mut self, now: Now) {
        let _ = now;
    }
    /// Something the service wants of the loop.
    fn poll_change(&mut self) -> Option<Change> {
        None
    }
    /// Whether the loop ends when there is neither a connection nor a listener (of sources it does
    /// not know whether there is more to come), or when it was asked to stop and no connection is
    /// left.
    fn is_done(&self) -> bool {
        true
    }
    /// The wake function given to the service has been called.
    fn handle_wake(&mut self, now: Now);
    /// [`next_timeout`](Service::next_timeout) has come.
    fn handle_timeout(&mut self, now: Now);
    /// The process has been asked to stop (SIGTERM, [`Change::Stop`]): every connection gets its
    /// BYE and ends.
    fn handle_stop(&mut self, now: Now);

    /// Works for one connection until it must wait, or until `over` says that its time slice is
    /// used up, or until its output is full.
    fn run(&mut self, id: ConnectionId, now: Now, over: &dyn Fn() -> bool) -> Run;

    /// A connection that can `run` now because of another one, a wake or a time-out.
    fn poll_ready(&mut self) -> Option<ConnectionId>;
    /// When `handle_timeout` must be called at the latest.
    fn next_timeout(&self) -> Option<Instant>;
    /// Whether the connection can take input now; while it cannot, the client is not read from.
    fn wants_input(&self, id: ConnectionId) -> bool;
    /// The most that is read from the client at once, at most [`READ_SIZE`](super::READ_SIZE).
    fn read_size(&self, id: ConnectionId) -> usize {
        let _ = id;
        super::READ_SIZE
    }
    /// How long the connection may work before the others have a turn.
    fn slice(&self, id: ConnectionId) -> Duration {
        let _ = id;
        super::SLICE
    }
    /// What is to be sent to the client.
    fn output(&mut self, id: ConnectionId) -> &mut Buffer;
}
