//! What a client did, for the line in the log when it goes (the words of Dovecot 2.3, which
//! programs that read logs know).

use std::fmt;

use crate::imap::fetch::{Section, SectionText};

/// Since the client logged in.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ClientCounters {
    /// Octets from the client.
    pub received: u64,
    /// Octets to the client.
    pub sent: u64,
    pub commands: u64,
    /// Messages that were marked \Deleted.
    pub deleted: u64,
    /// Messages that were removed.
    pub expunged: u64,
    headers: Sent,
    bodies: Sent,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Sent {
    count: u64,
    octets: u64,
}

/// A client that has gone.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Departure {
    pub reason: &'static str,
    pub counters: ClientCounters,
}

impl ClientCounters {
    /// A section of a message was sent.
    pub fn count_section(&mut self, section: &Section, octets: u64) {
        let sent = match section.text {
            SectionText::Whole | SectionText::Text => &mut self.bodies,
            _ => &mut self.headers,
        };
        sent.add(octets);
    }

    /// A decoded part (RFC 3516) of a message was sent.
    pub fn count_part(&mut self, octets: u64) {
        self.bodies.add(octets);
    }
}

impl Sent {
    fn add(&mut self, octets: u64) {
        self.count += 1;
        self.octets = self.octets.saturating_add(octets);
    }
}

impl fmt::Display for Departure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let counters = &self.counters;
        // There is no trash that messages are moved to instead of being removed.
        write!(
            f,
            "Disconnected: {} in={} out={} deleted={} expunged={} trashed=0 hdr_count={} \
             hdr_bytes={} body_count={} body_bytes={}",
            self.reason,
            counters.received,
            counters.sent,
            counters.deleted,
            counters.expunged,
            counters.headers.count,
            counters.headers.octets,
            counters.bodies.count,
            counters.bodies.octets,
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_line_is_dovecots() {
        let departure = Departure {
            reason: "Logged out",
            counters: ClientCounters {
                received: 29,
                sent: 1023,
                ..ClientCounters::default()
            },
        };
        assert_eq!(
            departure.to_string(),
            "Disconnected: Logged out in=29 out=1023 deleted=0 expunged=0 trashed=0 hdr_count=0 \
             hdr_bytes=0 body_count=0 body_bytes=0"
        );
    }
}
