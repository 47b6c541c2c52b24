//! After login under TLS: octets from the client to its session and back, unread.
//!
//! Each side is a connection of the loop: what comes in at one goes into the output of the other.
//! A side is read from only while the output of the other has room, so neither can make the front
//! hold more than two buffers; and an idle pair holds none.
//!
//! When the client ends, its session is told so after everything that came before, and may go on to
//! answer.  When the session ends it is done with the client.  A side that is gone takes the other
//! one with it, after that has been sent what it was to get.

use std::collections::VecDeque;

use hashbrown::HashMap;

use crate::net::{Buffer, ConnectionId, Run};

/// All pairs.  Its methods have the contract of those of the same names in
/// [`net::Service`](crate::net::Service).
#[derive(Default)]
pub(super) struct Relay {
    sides: HashMap<ConnectionId, Side>,
    ready: VecDeque<ConnectionId>,
    nothing: Buffer,
}

struct Side {
    kind: Kind,
    /// None: it is not there yet, or not any more.
    other: Option<ConnectionId>,
    /// What is to be sent to this side.
    output: Buffer,
    end: End,
    /// It was not read from when there was no room at the other side.
    held: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Client,
    Session,
}

/// What this side is to hear when its output has been sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum End {
    No,
    /// The client will send nothing more.
    Half,
    /// The client was told that.
    HalfTold,
    /// There is nothing more to do.
    Whole,
}

impl Relay {
    pub fn contains(&self, id: ConnectionId) -> bool {
        self.sides.contains_key(&id)
    }

    /// How many clients there are.
    pub fn len(&self) -> usize {
        self.sides.len().div_ceil(2)
    }

    /// A client whose session's side comes soon; it is not read from before.  `output` is still to
    /// be sent to it.
    pub fn expect(&mut self, client: ConnectionId, output: Buffer) {
        self.sides
            .insert(client, Side::new(Kind::Client, None, output));
    }

    /// The session's side is there; false: the client is gone.
    pub fn join(&mut self, client: ConnectionId, session: ConnectionId) -> bool {
        let Some(side) = self.sides.get_mut(&client) else {
            return false;
        };
        side.other = Some(session);
        let new = Side::new(Kind::Session, Some(client), Buffer::new());
        self.sides.insert(session, new);
        self.ready.push_back(client);
        true
    }

    /// A client whose session's side does not come.
    pub fn send_away(&mut self, client: ConnectionId, text: &[u8]) {
        if let Some(side) = self.sides.get_mut(&client) {
            side.output.writer().extend_from_slice(text);
            side.end = End::Whole;
            self.ready.push_back(client);
        }
    }

    pub fn handle_input(&mut self, id: ConnectionId, bytes: &[u8]) {
        let Some((other, side)) = self.other(id) else {
            return;
        };
        side.output.writer().extend_from_slice(bytes);
        let is_full = side.output.is_full();
        self.ready.push_back(other);
        if let Some(side) = self.sides.get_mut(&id) {
            side.held = is_full;
        }
    }

    pub fn handle_end(&mut self, id: ConnectionId) {
        let Some((other, side)) = self.other(id) else {
            return;
        };
        side.end = match side.kind {
            Kind::Client => End::Whole,
            Kind::Session => End::Half,
        };
        self.ready.push_back(other);
    }

    pub fn handle_close(&mut self, id: ConnectionId) {
        let other = self.sides.remove(&id).and_then(|side| side.other);
        if let Some(other) = other
            && let Some(side) = self.sides.get_mut(&other)
        {
            side.other = None;
            side.end = End::Whole;
            self.ready.push_back(other);
        }
    }

    pub fn run(&mut self, id: ConnectionId) -> Run {
        let Some(side) = self.sides.get_mut(&id) else {
            return Run::Close;
        };
        let run = match side.end {
            End::No | End::HalfTold => Run::Idle,
            End::Whole => return Run::Close,
            End::Half => {
                side.end = End::HalfTold;
                Run::EndOutput
            }
        };
        if !side.output.is_full()
            && let Some((other, side)) = self.other(id)
            && std::mem::take(&mut side.held)
        {
            self.ready.push_back(other);
        }
        run
    }

    pub fn poll_ready(&mut self) -> Option<ConnectionId> {
        self.ready.pop_front()
    }

    pub fn wants_input(&self, id: ConnectionId) -> bool {
        let other = self.sides.get(&id).and_then(|side| side.other);
        let other = other.and_then(|other| self.sides.get(&other));
        other.is_some_and(|other| !other.output.is_full())
    }

    pub fn output(&mut self, id: ConnectionId) -> &mut Buffer {
        match self.sides.get_mut(&id) {
            Some(side) => &mut side.output,
            None => &mut self.nothing,
        }
    }

    fn other(&mut self, id: ConnectionId) -> Option<(ConnectionId, &mut Side)> {
        let other = self.sides.get(&id)?.other?;
        Some((other, self.sides.get_mut(&other)?))
    }
}

impl Side {
    fn new(kind: Kind, other: Option<ConnectionId>, output: Buffer) -> Side {
        Side {
            kind,
            other,
            output,
            end: End::No,
            held: false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::net::READ_SIZE;

    #[test]
    fn octets_go_both_ways_and_an_idle_pair_holds_no_memory() {
        let mut relay = pair();
        relay.handle_input(CLIENT, b"a NOOP\r\n");
        relay.handle_input(SESSION, b"a OK\r\n");
        assert_eq!(relay.poll_ready(), Some(SESSION));
        assert_eq!(relay.poll_ready(), Some(CLIENT));
        assert_eq!(take(&mut relay, SESSION), b"a NOOP\r\n");
        assert_eq!(take(&mut relay, CLIENT), b"greeting\r\na OK\r\n");
        for side in relay.sides.values_mut() {
            side.output.release();
            assert_eq!(side.output.writer().capacity(), 0);
        }
    }

    #[test]
    fn who_sends_more_than_the_other_takes_is_held_until_there_is_room() {
        let mut relay = pair();
        let bytes = vec![b'x'; READ_SIZE];
        let mut sent = 0;
        while relay.wants_input(SESSION) {
            relay.handle_input(SESSION, &bytes);
            sent += bytes.len();
            assert!(sent <= 4 * READ_SIZE);
        }
        assert!(relay.wants_input(CLIENT));
        while relay.poll_ready().is_some() {}
        // Nothing is said twice while nothing changes.
        assert!(matches!(relay.run(SESSION), Run::Idle));
        assert!(matches!(relay.run(CLIENT), Run::Idle));
        assert_eq!(relay.poll_ready(), None);
        take(&mut relay, CLIENT);
        assert!(matches!(relay.run(CLIENT), Run::Idle));
        assert_eq!(relay.poll_ready(), Some(SESSION));
        assert!(relay.wants_input(SESSION));
        assert!(matches!(relay.run(CLIENT), Run::Idle));
        assert_eq!(relay.poll_ready(), None);
    }

    #[test]
    fn the_clients_end_is_passed_on_and_answers_still_come() {
        let mut relay = pair();
        relay.handle_input(CLIENT, b"a LOGOUT\r\n");
        relay.handle_end(CLIENT);
        assert!(matches!(relay.run(SESSION), Run::EndOutput));
        assert!(matches!(relay.run(SESSION), Run::Idle));
        relay.handle_input(SESSION, b"* BYE\r\n");
        relay.handle_end(SESSION);
        assert!(matches!(relay.run(CLIENT), Run::Close));
        assert_eq!(take(&mut relay, CLIENT), b"greeting\r\n* BYE\r\n");
        relay.handle_close(CLIENT);
        assert!(matches!(relay.run(SESSION), Run::Close));
        relay.handle_close(SESSION);
        assert!(relay.sides.is_empty());
    }

    #[test]
    fn a_side_that_is_gone_takes_the_other_with_it() {
        for (gone, left) in [(CLIENT, SESSION), (SESSION, CLIENT)] {
            let mut relay = pair();
            relay.handle_input(gone, b"last words");
            relay.handle_close(gone);
            assert!(!relay.contains(gone));
            assert!(!relay.wants_input(left));
            assert!(matches!(relay.run(left), Run::Close));
            assert!(take(&mut relay, left).ends_with(b"last words"));
        }
    }

    #[test]
    fn a_client_that_is_gone_before_its_session_is_not_joined() {
        let mut relay = Relay::default();
        relay.expect(CLIENT, Buffer::new());
        assert!(!relay.wants_input(CLIENT));
        relay.handle_close(CLIENT);
        assert!(!relay.join(CLIENT, SESSION));
        assert!(!relay.contains(SESSION));
        assert!(matches!(relay.run(SESSION), Run::Close));
        relay.expect(CLIENT, Buffer::new());
        relay.send_away(CLIENT, b"* BYE\r\n");
        assert!(matches!(relay.run(CLIENT), Run::Close));
        assert_eq!(take(&mut relay, CLIENT), b"* BYE\r\n");
    }

    const CLIENT: ConnectionId = ConnectionId(20);
    const SESSION: ConnectionId = ConnectionId(21);

    fn pair() -> Relay {
        let mut relay = Relay::default();
        let mut output = Buffer::new();
        output.writer().extend_from_slice(b"greeting\r\n");
        relay.expect(CLIENT, output);
        assert!(relay.join(CLIENT, SESSION));
        assert_eq!(relay.poll_ready(), Some(CLIENT));
        relay
    }

    fn take(relay: &mut Relay, id: ConnectionId) -> Vec<u8> {
        let output = relay.output(id);
        let bytes = output.pending().to_vec();
        output.consume(bytes.len());
        bytes
    }
}
