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
    /// For Postfix.
    sasl_successes: u64,
    connections: u64,
    tls_handshakes: u64,
    tls_failures: u64,
    refused: u64,
    commands: u64,
    received: u64,
    sent: u64,
    front_starts: u64,
    session_starts: u64,
    session_crashes: u64,
    cached_logins: u64,
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
        self.sasl_successes += 1;
    }

    pub fn count_failure(&mut self, refusal: Refusal) {
        let place = REASONS.iter().position(|&(known, _)| known == refusal);
        if let Some(count) = place.and_then(|place| self.failures.get_mut(place)) {
            *count += 1;
        }
    }

    pub fn count_cached_login(&mut self) {
        self.cached_logins += 1;
    }

    pub fn count_front_start(&mut self) {
        self.front_starts += 1;
    }

    pub fn count_session_start(&mut self) {
        self.session_starts += 1;
    }

    pub fn count_session_crash(&mut self) {
        self.session_crashes += 1;
    }

    /// A front may say what it likes: the sums stay sums.
    pub fn add_front(&mut self, front: FrontCounters) {
        self.connections = self.connections.saturating_add(front.connections);
        self.tls_handshakes = self.tls_handshakes.saturating_add(front.tls_handshakes);
        self.tls_failures = self.tls_failures.saturating_add(front.tls_failures);
        self.refused = self.refused.saturating_add(front.refused);
    }

    pub fn add_session(&mut self, session: SessionCounters) {
        self.commands = self.commands.saturating_add(session.commands);
        self.received = self.received.saturating_add(session.received);
        self.sent = self.sent.saturating_add(session.sent);
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
        for (name, help, value) in [
            (
                "sasl_successes",
                "Logins confirmed to Postfix.",
                self.sasl_successes,
            ),
            (
                "cached_logins",
                "Logins answered from the login cache.",
                self.cached_logins,
            ),
            ("connections", "Connections accepted.", self.connections),
            (
                "connections_refused",
                "Connections turned away by a limit.",
                self.refused,
            ),
            (
                "tls_handshakes",
                "TLS handshakes done.",
                self.tls_handshakes,
            ),
            ("tls_failures", "TLS handshakes failed.", self.tls_failures),
            ("commands", "IMAP commands after login.", self.commands),
            (
                "received_bytes",
                "Octets from clients after login.",
                self.received,
            ),
            ("sent_bytes", "Octets to clients after login.", self.sent),
            (
                "front_starts",
                "Front processes started.",
                self.front_starts,
            ),
            (
                "session_starts",
                "Session processes started.",
                self.session_starts,
            ),
            (
                "session_crashes",
                "Session processes that did not end by themselves.",
                self.session_crashes,
            ),
        ] {
            family(&mut text, &format!("roost_{name}"), "counter", help);
            sample(&mut text, &format!("roost_{name}_total"), value);
        }
        for (name, help, value) in [
            ("clients", "Clients logged in.", number(present.connections)),
            (
                "clients_waiting",
                "Clients that have not logged in.",
                present.waiting,
            ),
            ("clients_relayed", "Clients under TLS.", present.relayed),
            ("sessions", "Session processes.", number(present.sessions)),
            (
                "login_children",
                "Login attempts being checked.",
                number(present.login_children),
            ),
            (
                "login_queue",
                "Login attempts waiting to be checked.",
                number(present.queued_logins),
            ),
        ] {
            family(&mut text, &format!("roost_{name}"), "gauge", help);
            sample(&mut text, &format!("roost_{name}"), value);
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
