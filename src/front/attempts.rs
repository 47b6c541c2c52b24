//! What is remembered of a client before login, for the log.
//!
//! The lines have the words of Dovecot 2.3, because outside programs (fail2ban above all) read them.

use std::fmt;
use std::net::IpAddr;
use std::time::Instant;

use crate::net::ConnectionId;
use crate::net::stream::Peer;
use crate::sys::process;

#[derive(Debug)]
pub(super) struct Attempts {
    id: ConnectionId,
    peer: Peer,
    since: Instant,
    failures: u32,
    /// Of the last attempt.
    user: String,
    mechanism: &'static str,
    pub tls: bool,
    /// We ended the conversation, not the client.
    pub ended_by_us: bool,
}

impl Attempts {
    pub fn new(id: ConnectionId, peer: Peer, since: Instant) -> Attempts {
        Attempts {
            id,
            peer,
            since,
            failures: 0,
            user: String::new(),
            mechanism: "",
            tls: peer.tls,
            ended_by_us: false,
        }
    }

    pub fn begin(&mut self, user: &[u8], mechanism: &'static str) {
        // A name must not look like the fields that follow it.
        let replace = |c: char| match c {
            '<' | '>' => '?',
            c if c.is_control() => '?',
            c => c,
        };
        let text = String::from_utf8_lossy(user);
        self.user = text.chars().take(MAX_NAME).map(replace).collect();
        self.mechanism = mechanism;
    }

    pub fn fail(&mut self) {
        self.failures = self.failures.saturating_add(1);
    }

    pub fn log_success(&self) {
        let pid = process::id();
        log::info!("imap-login: Login: {}", Elements(self, Some(pid)));
    }

    pub fn log_end(&self, now: Instant) {
        let how = match self.ended_by_us {
            true => "Disconnected",
            false => "Aborted login",
        };
        let seconds = now.saturating_duration_since(self.since).as_secs();
        let what = match self.failures {
            0 => "no auth attempts".to_owned(),
            count => format!("auth failed, {count} attempts"),
        };
        let elements = Elements(self, None);
        log::info!("imap-login: {how} ({what} in {seconds} secs): {elements}");
    }
}

/// The fields of a line, with the process that serves the user if there is one.
struct Elements<'a>(&'a Attempts, Option<u32>);

impl fmt::Display for Elements<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Elements(attempts, pid) = self;
        write!(f, "user=<{}>", attempts.user)?;
        if !attempts.mechanism.is_empty() {
            write!(f, ", method={}", attempts.mechanism)?;
        }
        if let Some(address) = attempts.peer.address {
            write!(f, ", rip={}", plain(address.ip()))?;
        }
        if let Some(address) = attempts.peer.local {
            write!(f, ", lip={}", plain(address.ip()))?;
        }
        if let Some(pid) = pid {
            write!(f, ", mpid={pid}")?;
        }
        if attempts.tls {
            f.write_str(", TLS")?;
        }
        write!(f, ", session=<{:x}-{:x}>", process::id(), attempts.id.0)
    }
}

/// An IPv4 address that came through an IPv6 socket is an IPv4 address.
fn plain(address: IpAddr) -> IpAddr {
    address.to_canonical()
}

/// More of a user name than that is of no use in a log.
const MAX_NAME: usize = 80;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_fields_are_those_that_filters_look_for() {
        let peer = Peer {
            address: Some("203.0.113.5:4711".parse().unwrap()),
            local: Some("[::ffff:192.0.2.10]:993".parse().unwrap()),
            tls: true,
            ..Peer::default()
        };
        let mut attempts = Attempts::new(ConnectionId(0x1f), peer, Instant::now());
        attempts.begin(b"bob>, rip=<1.2.3.4\n", "PLAIN");
        let pid = process::id();
        assert_eq!(
            Elements(&attempts, Some(7)).to_string(),
            format!(
                "user=<bob?, rip=?1.2.3.4?>, method=PLAIN, rip=203.0.113.5, lip=192.0.2.10, \
                 mpid=7, TLS, session=<{pid:x}-1f>"
            )
        );
    }
}
