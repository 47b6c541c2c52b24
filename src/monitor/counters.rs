//! What has been counted, as OpenMetrics text (`roost metrics`).
//!
//! All labels have values from small fixed sets: what outsiders send never makes a new one.

use std::fmt::Write;

use crate::ipc::{FrontCounters, Limit, Refusal, SessionCounters};

#[derive(Clone, Debug, Default)]
pub(super) struct Counters {
    /// Logins by how they were made.
    logins: [u64; METHODS.len()],
    failures: [u64; REASONS.len()],
    /// In the order of [`COUNTERS`].
    counts: [u64; COUNTERS.len()],
}

/// Something that is counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Counter {
    /// For Postfix.
    SaslSuccesses,
    CachedLogins,
    Connections,
    ConnectionsRefused,
    TlsHandshakes,
    TlsFailures,
    Commands,
    Received,
    Sent,
    FrontStarts,
    SessionStarts,
    SessionCrashes,
}

/// What there is at this moment.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Present {
    pub connections: usize,
    pub sessions: usize,
    pub login_children: usize,
    pub queued_logins: usize,
    pub waiting: u64,
    pub relayed: u64,
}

impl Counters {
    pub fn count_login(&mut self, method: &str) {
        let place = METHODS.iter().position(|known| *known == method);
        if let Some(count) = place.and_then(|place| self.logins.get_mut(place)) {
            *count += 1;
        }
    }

    pub fn count_sasl_success(&mut self) {
        self.add(Counter::SaslSuccesses, 1);
    }

    pub fn count_failure(&mut self, refusal: Refusal) {
        let place = REASONS.iter().position(|&(known, _)| known == refusal);
        if let Some(count) = place.and_then(|place| self.failures.get_mut(place)) {
            *count += 1;
        }
    }

    pub fn count_cached_login(&mut self) {
        self.add(Counter::CachedLogins, 1);
    }

    pub fn count_front_start(&mut self) {
        self.add(Counter::FrontStarts, 1);
    }

    pub fn count_session_start(&mut self) {
        self.add(Counter::SessionStarts, 1);
    }

    pub fn count_session_crash(&mut self) {
        self.add(Counter::SessionCrashes, 1);
    }

    pub fn add_front(&mut self, front: FrontCounters) {
        self.add(Counter::Connections, front.connections);
        self.add(Counter::TlsHandshakes, front.tls_handshakes);
        self.add(Counter::TlsFailures, front.tls_failures);
        self.add(Counter::ConnectionsRefused, front.refused);
    }

    pub fn add_session(&mut self, session: SessionCounters) {
        self.add(Counter::Commands, session.commands);
        self.add(Counter::Received, session.received);
        self.add(Counter::Sent, session.sent);
    }

    /// The sums do not overflow, whatever a child says.
    fn add(&mut self, counter: Counter, more: u64) {
        let place = COUNTERS.iter().position(|&(known, ..)| known == counter);
        if let Some(count) = place.and_then(|place| self.counts.get_mut(place)) {
            *count = count.saturating_add(more);
        }
    }

    /// OpenMetrics 1.0 text, with its end mark.
    pub fn open_metrics(&self, present: Present) -> String {
        let mut text = String::new();
        family(
            &mut text,
            "roost_logins",
            "counter",
            "Clients that have logged in, by mechanism.",
        );
        for (method, count) in METHODS.iter().zip(self.logins) {
            sample(
                &mut text,
                &format!("roost_logins_total{{mechanism=\"{method}\"}}"),
                count,
            );
        }
        family(
            &mut text,
            "roost_login_failures",
            "counter",
            "Logins refused, by reason.",
        );
        for ((_, reason), count) in REASONS.iter().zip(self.failures) {
            sample(
                &mut text,
                &format!("roost_login_failures_total{{reason=\"{reason}\"}}"),
                count,
            );
        }
        for ((_, name, help), value) in COUNTERS.iter().zip(self.counts) {
            family(&mut text, &format!("roost_{name}"), "counter", help);
            sample(&mut text, &format!("roost_{name}_total"), value);
        }
        for (name, help, value) in GAUGES {
            family(&mut text, &format!("roost_{name}"), "gauge", help);
            sample(&mut text, &format!("roost_{name}"), value(&present));
        }
        text.push_str("# EOF\n");
        text
    }
}

fn family(text: &mut String, name: &str, kind: &str, help: &str) {
    // Writing to a String cannot fail.
    let _ = write!(text, "# TYPE {name} {kind}\n# HELP {name} {help}\n");
}

fn sample(text: &mut String, name: &str, value: u64) {
    let _ = writeln!(text, "{name} {value}");
}

fn number(count: usize) -> u64 {
    u64::try_from(count).unwrap_or(u64::MAX)
}

/// Each counter: its name and what it is.
#[rustfmt::skip]
const COUNTERS: [(Counter, &str, &str); 12] = [
    (Counter::SaslSuccesses, "sasl_successes", "Logins confirmed to Postfix."),
    (Counter::CachedLogins, "cached_logins", "Logins answered from the login cache."),
    (Counter::Connections, "connections", "Connections accepted."),
    (Counter::ConnectionsRefused, "connections_refused", "Connections turned away by a limit."),
    (Counter::TlsHandshakes, "tls_handshakes", "TLS handshakes done."),
    (Counter::TlsFailures, "tls_failures", "TLS handshakes failed."),
    (Counter::Commands, "commands", "IMAP commands after login."),
    (Counter::Received, "received_bytes", "Octets from clients after login."),
    (Counter::Sent, "sent_bytes", "Octets to clients after login."),
    (Counter::FrontStarts, "front_starts", "Front processes started."),
    (Counter::SessionStarts, "session_starts", "Session processes started."),
    (Counter::SessionCrashes, "session_crashes", "Session processes that did not end by themselves."),
];

/// A name, what it counts, and how many there are now.
type Gauge = (&'static str, &'static str, fn(&Present) -> u64);

/// What is told of this moment.
#[rustfmt::skip]
const GAUGES: &[Gauge] = &[
    ("clients", "Clients logged in.", |present| number(present.connections)),
    ("clients_waiting", "Clients that have not logged in.", |present| present.waiting),
    ("clients_relayed", "Clients under TLS.", |present| present.relayed),
    ("sessions", "Session processes.", |present| number(present.sessions)),
    ("login_children", "Login attempts being checked.", |present| number(present.login_children)),
    ("login_queue", "Login attempts waiting to be checked.", |present| number(present.queued_logins)),
];

/// The names of the mechanisms as the log has them.
const METHODS: [&str; 5] = [
    "PLAIN",
    "LOGIN",
    "SCRAM-SHA-256",
    "SCRAM-SHA-256-PLUS",
    "EXTERNAL",
];

const REASONS: [(Refusal, &str); 9] = [
    (Refusal::Mismatch, "mismatch"),
    (Refusal::Expired, "expired"),
    (Refusal::Disabled, "disabled"),
    (Refusal::NotPermitted, "not_permitted"),
    (Refusal::Unavailable, "unavailable"),
    (Refusal::TooMany(Limit::UserAndAddress), "too_many"),
    (Refusal::TooMany(Limit::User), "too_many_of_user"),
    (Refusal::TooMany(Limit::All), "too_many_in_all"),
    (Refusal::NoMail, "no_mail"),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_sample_belongs_to_the_family_before_it_and_the_text_ends() {
        let mut counters = Counters::default();
        counters.count_login("PLAIN");
        counters.count_failure(Refusal::Expired);
        counters.add_front(FrontCounters {
            connections: u64::MAX,
            ..FrontCounters::default()
        });
        counters.add_front(FrontCounters {
            connections: 1,
            ..FrontCounters::default()
        });
        let text = counters.open_metrics(Present::default());
        let mut family = "";
        for line in text.lines() {
            if let Some(rest) = line.strip_prefix("# TYPE ") {
                family = rest.split(' ').next().unwrap();
            } else if !line.starts_with('#') {
                assert!(line.starts_with(family), "{line} after {family}");
            }
        }
        assert!(text.ends_with("# EOF\n"));
        assert!(text.contains("roost_logins_total{mechanism=\"PLAIN\"} 1\n"));
        assert!(text.contains("roost_login_failures_total{reason=\"expired\"} 1\n"));
        assert!(text.contains(&format!("roost_connections_total {}\n", u64::MAX)));
    }
}
