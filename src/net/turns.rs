//! Connections that have something to do: which has its turn when, and what becomes of it then.

use std::io;
use std::time::{Duration, Instant};

use super::connection::Turn;
use super::stream::Stream;
use super::{ConnectionId, Loop, Now, Service};

impl Loop {
    pub(super) fn enqueue(&mut self, id: ConnectionId) {
        if let Some(connection) = self.connections.get_mut(&id)
            && !connection.queued
        {
            connection.queued = true;
            match connection.is_handshaking() {
                true => self.handshakes.push_back(id),
                false => self.fresh.push_back(id),
            }
        }
    }

    /// The service has something to say on a connection.
    pub(super) fn name(&mut self, id: ConnectionId) {
        if let Some(connection) = self.connections.get_mut(&id) {
            connection.named = true;
            self.enqueue(id);
        }
    }

    pub(super) fn collect_ready(&mut self, service: &mut dyn Service) {
        while let Some(id) = service.poll_ready() {
            self.name(id);
        }
    }

    pub(super) fn has_turns(&self) -> bool {
        !self.fresh.is_empty() || !self.again.is_empty() || !self.handshakes.is_empty()
    }

    /// One turn for each connection that something has happened to, then one for the
    /// longest-waiting of those with much to do, then a little time for handshakes.
    pub(super) fn take_turns(&mut self, service: &mut dyn Service) {
        if !self.has_turns() {
            return;
        }
        self.trim_at = Instant::now().checked_add(TRIM_AFTER);
        for _ in 0..self.fresh.len() {
            if let Some(id) = self.fresh.pop_front() {
                self.take_turn(id, service);
            }
        }
        if let Some(id) = self.again.pop_front() {
            self.take_turn(id, service);
        }
        let end = Instant::now().checked_add(HANDSHAKES);
        for _ in 0..self.handshakes.len() {
            if let Some(id) = self.handshakes.pop_front() {
                self.take_turn(id, service);
            }
            if end.is_none_or(|end| Instant::now() >= end) {
                break;
            }
        }
    }

    pub(super) fn take_turn(&mut self, id: ConnectionId, service: &mut dyn Service) {
        let Some(connection) = self.connections.get_mut(&id) else {
            return;
        };
        connection.queued = false;
        let now = Now::read();
        let end = now.instant.checked_add(service.slice(id));
        let over = || end.is_none_or(|end| Instant::now() >= end);
        let was_handshaking = connection.is_handshaking();
        let certificates = self.certificates.as_ref();
        let turn = connection.take_turn(id, service, now, &over, &mut self.scratch, certificates);
        match turn {
            Ok(Turn::Rest) => {
                if !connection.is_lingering() {
                    service.output(id).release();
                }
                self.set_timer(id);
            }
            Ok(Turn::Again) => {
                connection.queued = true;
                match connection.is_handshaking() {
                    true => self.handshakes.push_back(id),
                    false => self.again.push_back(id),
                }
            }
            Ok(Turn::Finished) => self.finish(id, service, now),
            Ok(Turn::Detached) => {
                if let Some(stream) = self.forget(id) {
                    service.handle_detached(id, stream);
                }
            }
            Err(error) if connection.was_a_check() => self.remove(id, service, Some(error)),
            Err(error) if was_handshaking || is_tls_failure(&error) => {
                service.handle_tls_failure(id, &error.to_string());
                // The alert that was sent must arrive.
                self.finish(id, service, now);
            }
            Err(error) => self.remove(id, service, Some(error)),
        }
        self.apply_changes(service);
        self.collect_ready(service);
    }

    /// Ends a connection from our side.
    pub(super) fn finish(&mut self, id: ConnectionId, service: &mut dyn Service, now: Now) {
        service.handle_close(id, now);
        let lingers = self
            .connections
            .get_mut(&id)
            .is_some_and(|connection| connection.finish(now.instant));
        match lingers {
            true => self.enqueue(id),
            false => drop(self.forget(id)),
        }
    }

    /// Makes sure that the connection has a turn when it wants one.  An earlier timer stays: that
    /// turn will find nothing to do and set the next one.
    pub(super) fn set_timer(&mut self, id: ConnectionId) {
        let Some(connection) = self.connections.get_mut(&id) else {
            return;
        };
        let Some(time) = connection.next_timeout() else {
            return;
        };
        match connection.timer {
            Some(earlier) if earlier <= time => return,
            Some(later) => drop(self.timers.remove(&(later, id))),
            None => {}
        }
        connection.timer = Some(time);
        self.timers.insert((time, id));
    }

    /// Ends a connection whose client is gone.
    pub(super) fn remove(
        &mut self,
        id: ConnectionId,
        service: &mut dyn Service,
        why: Option<io::Error>,
    ) {
        let is_open = self
            .connections
            .get(&id)
            .is_some_and(|connection| !connection.is_lingering());
        if is_open {
            if let Some(error) = why {
                log::debug!("Connection {}: {error}", id.0);
            }
            service.handle_close(id, Now::read());
        }
        drop(self.forget(id));
    }

    /// The connection's stream, no longer watched.
    pub(super) fn forget(&mut self, id: ConnectionId) -> Option<Stream> {
        let mut connection = self.connections.remove(&id)?;
        if let Some(time) = connection.timer {
            self.timers.remove(&(time, id));
        }
        let mut stream = connection.take_stream()?;
        // Closing does it too, unless the socket, or what a standard stream is, is shared.
        let _ = stream.deregister(self.poll.registry());
        Some(stream)
    }
}

/// What `stream` says of a client that breaks the rules of TLS.
fn is_tls_failure(error: &io::Error) -> bool {
    error.kind() == io::ErrorKind::InvalidData
}

/// How long handshakes may take, all together, before the others have a turn.
const HANDSHAKES: Duration = Duration::from_millis(2);

/// How long after the last turn unused memory is given back.
const TRIM_AFTER: Duration = Duration::from_secs(5);
