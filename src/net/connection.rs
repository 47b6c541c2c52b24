//! One connection of the loop: what is known about its stream, and its turn.
//!
//! Readiness is edge-triggered: `readable` and `writable` stay true until the kernel says
//! `WouldBlock`, and an event makes them true again.  A turn therefore ends only when nothing more
//! can be done, or when the time slice is used up and the connection is queued to go on.
//!
//! **Back-pressure.**  A client is read from only while its service wants input and its output is
//! not full.  So a client that sends, but does not read, is soon not read from either, and what it
//! has sent stays in the kernel, whose window closes.
//!
//! **Lingering.**  Closing a socket with unread input makes the kernel send a reset, and a reset
//! may destroy the BYE that the client has not read yet.  So after the last byte only our half is
//! closed, and what still comes is thrown away until the client ends as well or `LINGER` is over.

use std::io;
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::stream::Stream;
use super::tls::Certificates;
use super::{Buffer, ConnectionId, Now, READ_SIZE, Run, Secured, Service};

pub(super) struct Connection {
    stream: Option<Stream>,
    phase: Phase,
    readable: bool,
    writable: bool,
    /// The client has closed its half: reading comes to an end without a further event.
    hung_up: bool,
    /// The end has been read.
    ended: bool,
    /// Our half is to be closed when the output has been sent.
    ending: bool,
    /// The output was full when `run` returned: there is more to come when it has drained.
    starved: bool,
    /// TLS was there from the beginning.
    began_with_tls: bool,
    /// Waits in one of the loop's queues.
    pub queued: bool,
    /// The service has something to say, though TLS is still being negotiated.
    pub named: bool,
    /// The loop's timer for this connection.
    pub timer: Option<Instant>,
    /// When to call `run` again, whatever happens.
    wait: Option<Instant>,
    /// When to give up on a client that takes no output.
    stall: Option<Instant>,
}

/// What a turn has left to do.
pub(super) enum Turn {
    /// Nothing until something happens.
    Rest,
    /// More, after the others.
    Again,
    /// Everything is sent and the service is done: the connection lingers.
    Finished,
    /// The stream is wanted by the service.
    Detached,
}

enum Phase {
    /// TLS is being negotiated; nothing of the service's is sent, and nothing is read for it.
    Handshaking,
    Open,
    /// The output is sent; then TLS begins.
    Securing,
    /// The output is sent; then our half is closed.
    Closing,
    /// What comes is thrown away until this time.
    Lingering(Instant),
}

impl Connection {
    pub fn new(stream: Stream) -> Connection {
        let phase = match stream.is_handshaking() {
            true => Phase::Handshaking,
            false => Phase::Open,
        };
        Connection {
            stream: Some(stream),
            readable: true,
            writable: true,
            hung_up: false,
            ended: false,
            ending: false,
            starved: false,
            began_with_tls: matches!(phase, Phase::Handshaking),
            queued: false,
            named: false,
            timer: None,
            wait: None,
            stall: None,
            phase,
        }
    }

    /// Whether the client has gone and never sent a single octet: it looked whether we are there.
    pub fn was_a_check(&self) -> bool {
        self.began_with_tls && self.stream.as_ref().is_some_and(Stream::was_silent)
    }

    pub fn handle_event(&mut self, event: &mio::event::Event) {
        self.hung_up |= event.is_read_closed() || event.is_error();
        self.readable |= event.is_readable() || self.hung_up;
        // An error or a closed other half is found out by the next write.
        self.writable |= event.is_writable() || event.is_write_closed() || event.is_error();
    }

    /// When the connection must have a turn at the latest.
    pub fn next_timeout(&self) -> Option<Instant> {
        let linger = match self.phase {
            Phase::Lingering(until) => Some(until),
            _ => None,
        };
        [self.wait, self.stall, linger].into_iter().flatten().min()
    }

    pub fn is_lingering(&self) -> bool {
        matches!(self.phase, Phase::Lingering(_))
    }

    pub fn is_handshaking(&self) -> bool {
        matches!(self.phase, Phase::Handshaking)
    }

    pub fn take_stream(&mut self) -> Option<Stream> {
        self.stream.take()
    }

    /// One turn.  An error means that the client is gone.
    pub fn take_turn(
        &mut self,
        id: ConnectionId,
        service: &mut dyn Service,
        now: Now,
        over: &dyn Fn() -> bool,
        scratch: &mut Vec<u8>,
        certificates: Option<&Arc<Certificates>>,
    ) -> io::Result<Turn> {
        match self.phase {
            Phase::Lingering(until) => return self.linger(until, now, over, scratch),
            Phase::Handshaking => match self.handshake()? {
                Some(secured) => service.handle_secured(id, secured),
                None => return Ok(self.ask(id, service, now, over)),
            },
            Phase::Open | Phase::Securing | Phase::Closing => {}
        }
        self.named = false;
        self.wait = None;
        let mut again = false;
        let mut run = true;
        loop {
            if run && self.is_open() && !service.output(id).is_full() {
                match service.run(id, now, over) {
                    Run::Idle => {}
                    Run::Again => again = true,
                    Run::Wait(time) => self.wait = now.instant.checked_add(time),
                    Run::EndOutput => self.ending = true,
                    Run::StartTls => self.phase = Phase::Securing,
                    Run::Close => self.phase = Phase::Closing,
                    Run::Detach => return Ok(Turn::Detached),
                }
            }
            run = false;

            let output = service.output(id);
            self.starved |= output.is_full();
            self.send(output, now)?;
            if self.starved && output.is_low() {
                self.starved = false;
                run = true;
            }
            if self.ending && self.is_sent(output) {
                self.ending = false;
                self.stream.as_mut().map_or(Ok(()), Stream::end_output)?;
            }
            match self.phase {
                Phase::Closing if self.is_sent(output) => return Ok(Turn::Finished),
                Phase::Securing if self.is_sent(output) => {
                    self.secure(certificates)?;
                    return Ok(Turn::Again);
                }
                _ => {}
            }

            if again || over() {
                return Ok(Turn::Again);
            }
            if !run && self.may_read(id, service) {
                run = self.receive(id, service, now, scratch)?;
            }
            if !run {
                return Ok(Turn::Rest);
            }
        }
    }

    fn handshake(&mut self) -> io::Result<Option<Secured>> {
        let stream = self.stream.as_mut().ok_or(io::ErrorKind::NotConnected)?;
        let secured = stream.handshake()?;
        if secured.is_some() {
            self.phase = Phase::Open;
            // Whatever the kernel has said, there may be something decrypted, and room to write.
            self.readable = true;
            self.writable = true;
        }
        Ok(secured)
    }

    /// Whether the service has lost its patience with the negotiation.
    fn ask(
        &mut self,
        id: ConnectionId,
        service: &mut dyn Service,
        now: Now,
        over: &dyn Fn() -> bool,
    ) -> Turn {
        match std::mem::take(&mut self.named) && service.run(id, now, over) == Run::Close {
            true => Turn::Finished,
            false => Turn::Rest,
        }
    }

    /// Closes our half; false if there is nothing to linger for.
    pub fn finish(&mut self, now: Instant) -> bool {
        let until = now.checked_add(LINGER);
        self.stream = self.stream.take().and_then(Stream::finish);
        self.stall = None;
        self.wait = None;
        match (until, self.ended) {
            (Some(until), false) if self.stream.is_some() => {
                self.phase = Phase::Lingering(until);
                true
            }
            _ => false,
        }
    }

    fn is_open(&self) -> bool {
        matches!(self.phase, Phase::Open)
    }

    fn is_sent(&self, output: &Buffer) -> bool {
        output.is_empty() && self.stream.as_ref().is_none_or(Stream::is_flushed)
    }

    fn may_read(&self, id: ConnectionId, service: &mut dyn Service) -> bool {
        self.readable
            && !self.ended
            && self.is_open()
            && !service.output(id).is_full()
            && service.wants_input(id)
    }

    /// Reads once and hands over what came; false if nothing did.
    fn receive(
        &mut self,
        id: ConnectionId,
        service: &mut dyn Service,
        now: Now,
        scratch: &mut Vec<u8>,
    ) -> io::Result<bool> {
        let Some(count) = self.read(scratch, service.read_size(id))? else {
            return Ok(false);
        };
        match scratch.get_mut(..count) {
            None | Some([]) => {
                self.ended = true;
                service.handle_end(id, now);
            }
            Some(bytes) => {
                service.handle_input(id, bytes, now);
                // It may have been a password.
                bytes.fill(0);
            }
        }
        Ok(true)
    }

    /// `None` if nothing has come.
    fn read(&mut self, scratch: &mut Vec<u8>, most: usize) -> io::Result<Option<usize>> {
        scratch.resize(READ_SIZE, 0);
        let most = most.clamp(1, READ_SIZE);
        let scratch = scratch.get_mut(..most).unwrap_or_default();
        let stream = self.stream.as_mut().ok_or(io::ErrorKind::NotConnected)?;
        loop {
            match stream.read(scratch) {
                Ok(count) => {
                    let drained = count < scratch.len() && stream.short_read_drains();
                    self.readable = !drained || self.hung_up;
                    return Ok(Some(count));
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    self.readable = false;
                    return Ok(None);
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
    }

    /// Sends as much as the kernel takes.
    fn send(&mut self, output: &mut Buffer, now: Now) -> io::Result<()> {
        let stream = self.stream.as_mut().ok_or(io::ErrorKind::NotConnected)?;
        let mut moved = false;
        while self.writable && !(output.is_empty() && stream.is_flushed()) {
            let result = match output.is_empty() {
                false => stream.write(output.pending()),
                true => match stream.flush() {
                    Ok(()) => break,
                    Err(error) => Err(error),
                },
            };
            match result {
                Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
                Ok(count) => {
                    output.consume(count);
                    moved = true;
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => self.writable = false,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        self.watch_for_stall(moved, now)
    }

    /// A client far away that takes nothing for `STALL` is as good as gone.  A pipe into a pager is
    /// not, nor is a process of ours that works, until it is time to part.
    fn watch_for_stall(&mut self, moved: bool, now: Now) -> io::Result<()> {
        let closing = matches!(self.phase, Phase::Closing | Phase::Lingering(_));
        let patience = match &self.stream {
            Some(Stream::Tcp(_) | Stream::Tls(_)) if closing => Some(STALL_CLOSING),
            Some(Stream::Tcp(_) | Stream::Tls(_)) => Some(STALL),
            Some(Stream::Unix(_)) if closing => Some(STALL_CLOSING),
            _ => None,
        };
        if self.writable || patience.is_none() {
            self.stall = None;
        } else if moved || self.stall.is_none() {
            self.stall = patience.and_then(|patience| now.instant.checked_add(patience));
        } else if self.stall.is_some_and(|stall| stall <= now.instant) {
            return Err(io::ErrorKind::TimedOut.into());
        }
        Ok(())
    }

    fn secure(&mut self, certificates: Option<&Arc<Certificates>>) -> io::Result<()> {
        let stream = self.stream.take().ok_or(io::ErrorKind::NotConnected)?;
        let certificates = certificates.ok_or(io::ErrorKind::Unsupported)?;
        self.stream = Some(stream.secured(certificates)?);
        self.phase = Phase::Handshaking;
        Ok(())
    }

    fn linger(
        &mut self,
        until: Instant,
        now: Now,
        over: &dyn Fn() -> bool,
        scratch: &mut Vec<u8>,
    ) -> io::Result<Turn> {
        if until <= now.instant {
            return Err(io::ErrorKind::TimedOut.into());
        }
        while self.readable {
            match self.read(scratch, READ_SIZE)? {
                Some(0) => return Err(io::ErrorKind::ConnectionAborted.into()),
                Some(_) if over() => return Ok(Turn::Again),
                _ => {}
            }
        }
        Ok(Turn::Rest)
    }
}

/// How long a client may take to end after we have.
const LINGER: Duration = Duration::from_secs(2);

/// How long a client may take nothing of what is sent to it.
const STALL: Duration = Duration::from_secs(10 * 60);

/// How long a client may take nothing when all that is left is to say goodbye.
const STALL_CLOSING: Duration = Duration::from_secs(10);
