//! What is remembered of a client before login, for the log.
//!
//! The lines have the words of Dovecot 2.3, because outside programs (fail2ban above all) read
//! them.

use std::fmt;
use std::net::IpAddr;
use std::time::Instant;

use super::secrecy::Secrecy;
use crate::ipc::{Limit, Origin, Refusal};
use crate::net::ConnectionId;
use crate::net::stream::Peer;
use crate::sys::process;

#[derive(Debug)]
pub(super) struct Attempts {
    id: ConnectionId,
    peer: Peer,
    since: Instant,
    /// The first attempt.
    begun: Option<Instant>,
    failures: u32,
    /// Attempts of clients that are who they say they are, but could not be let in.
    hindered: u32,
    /// Attempts of which nobody could find out whether the password was right.
    unjudged: u32,
    /// The user of the last attempt.
    user: String,
    mechanism: &'static str,
    pub secrecy: Secrecy,
    /// Why TLS failed.
    tls_failure: String,
    /// Why the last attempt was refused before anybody looked at it.
    pub declined: Option<Declined>,
    /// Why we ended the conversation; none if the client ended it.
    pub ended: Option<&'static str>,
    /// The setting whose limit was reached.
    pub limit: Option<&'static str>,
}

/// Why an attempt is not begun.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Declined {
    /// A password came in the clear.
    TooOpen,
    /// There is no certificate without TLS.
    NoCertificate,
    /// The mechanism is not offered.
    Mechanism,
}

/// What a client was at when it went.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum At {
    Talking,
    /// It owed us an answer.
    Answering,
    /// We owed it one.
    Waiting,
}

impl Attempts {
    pub fn new(id: ConnectionId, peer: Peer, secrecy: Secrecy, since: Instant) -> Attempts {
        Attempts {
            id,
            peer,
            since,
            begun: None,
            failures: 0,
            hindered: 0,
            unjudged: 0,
            user: String::new(),
            mechanism: "",
            secrecy,
            tls_failure: String::new(),
            declined: None,
            ended: None,
            limit: None,
        }
    }

    pub fn begin(&mut self, user: &[u8], mechanism: &'static str, now: Instant) {
        self.begun.get_or_insert(now);
        self.name(&String::from_utf8_lossy(user));
        self.mechanism = mechanism;
    }

    /// A client must not be banned for a fault of the server, so such a failure is not logged as
    /// the client's.
    pub fn fail(&mut self, why: Refusal) {
        let count = match why {
            Refusal::TooMany(_) | Refusal::NoMail => &mut self.hindered,
            Refusal::Unavailable => &mut self.unjudged,
            Refusal::Mismatch | Refusal::Expired | Refusal::Disabled | Refusal::NotPermitted => {
                &mut self.failures
            }
        };
        *count = count.saturating_add(1);
        if let Refusal::TooMany(limit) = why {
            let whose = match limit {
                Limit::UserAndAddress => " from user+IP",
                Limit::User => " of the user",
                Limit::All => "",
            };
            log::warn!(
                "imap-login: Maximum number of connections{whose} exceeded ({}): {}",
                limit.setting(),
                Elements(self, None)
            );
        }
    }

    pub fn fail_tls(&mut self, reason: &str) {
        self.tls_failure = printable(reason, MAX_REASON);
    }

    pub fn origin(&self) -> Origin {
        Origin {
            remote: self.peer.address,
            local: self.peer.local,
            tls: matches!(self.secrecy, Secrecy::Tls | Secrecy::Proxied),
            session: Session(self.id).to_string(),
        }
    }

    /// `user` is the name that the login has found; `pid` is the process that serves the user.
    pub fn log_success(&mut self, user: &str, pid: u32) {
        self.name(user);
        log::info!("imap-login: Login: {}", Elements(self, Some(pid)));
    }

    pub fn log_delay(&self, seconds: f32) {
        log::info!(
            "imap-login: Delayed for {seconds} secs after failed logins from the same address, see \
             auth.penalty: {}",
            Elements(self, None)
        );
    }

    /// `was_heard`: the client has sent something.  A client that has gone without doing so has
    /// only looked whether we are there.
    pub fn log_end(&self, at: At, was_heard: bool, now: Instant) {
        let is_check = match self.begun {
            None => self.peer.is_check || !(was_heard || self.ended.is_some()),
            Some(_) => false,
        };
        let level = match (is_check && self.declined.is_none(), self.limit) {
            (true, _) => log::Level::Debug,
            (false, Some(_)) => log::Level::Warn,
            (false, None) => log::Level::Info,
        };
        log::log!(level, "{}", self.end(at, now));
    }

    fn end(&self, at: At, now: Instant) -> String {
        let since = self.begun.unwrap_or(self.since);
        let seconds = now.saturating_duration_since(since).as_secs();
        let what = match (self.failures, at) {
            (0, _) if let Some(declined) = self.declined => declined.words().to_owned(),
            (0, At::Talking) if self.begun.is_none() => {
                format!("no auth attempts in {seconds} secs")
            }
            (0, At::Talking) if self.hindered > 0 => {
                format!("internal failure, {} successful auths", self.hindered)
            }
            (0, At::Talking) if self.unjudged > 0 => {
                "auth process communication failure".to_owned()
            }
            (0, At::Talking) => "aborted authentication".to_owned(),
            (0, At::Answering) => format!("client didn't finish SASL auth, waited {seconds} secs"),
            (0, At::Waiting) => format!("disconnected while authenticating, waited {seconds} secs"),
            (count, _) => format!("auth failed, {count} attempts in {seconds} secs"),
        };
        let how = match self.ended {
            None => "Aborted login",
            Some(_) => "Disconnected",
        };
        let (colon, why) = match self.ended {
            None | Some("") => ("", ""),
            Some(why) => (": ", why),
        };
        let elements = Elements(self, None);
        format!("imap-login: {how}{colon}{why} ({what}): {elements}")
    }

    /// What to change so that the client is not turned away.
    fn setting(&self) -> Option<&'static str> {
        if self.limit.is_some() {
            return self.limit;
        }
        if self.failures > 0 {
            return None;
        }
        match self.declined {
            Some(Declined::TooOpen) => Some("tls.required"),
            Some(Declined::NoCertificate) => Some("tls.client_certificate"),
            Some(Declined::Mechanism) => Some("auth.mechanisms"),
            None => setting_of_tls(&self.tls_failure),
        }
    }

    fn name(&mut self, user: &str) {
        self.user = printable(user, MAX_NAME);
    }
}

impl Declined {
    /// As Dovecot has it.
    fn words(self) -> &'static str {
        match self {
            Declined::TooOpen => "tried to use disallowed plaintext auth",
            Declined::NoCertificate => "cert required, client didn't start TLS",
            Declined::Mechanism => "tried to use unsupported auth mechanism",
        }
    }
}

/// What a failure of TLS may be due to: a version, our certificate, or the client's.
fn setting_of_tls(failure: &str) -> Option<&'static str> {
    let says = |words: &[&str]| words.iter().any(|word| failure.contains(word));
    if says(&["incompatible", "ProtocolVersion"]) {
        Some("tls.min_version")
    } else if says(&["fatal alert"]) && says(&["ertificate", "UnknownCA"]) {
        Some("tls.certificate")
    } else if says(&["ertificate"]) {
        Some("tls.client_certificate")
    } else {
        None
    }
}

/// Text from outside must not look like the fields that follow it.
fn printable(text: &str, most: usize) -> String {
    let replace = |c: char| match c {
        '<' | '>' => '?',
        c if c.is_control() => '?',
        c => c,
    };
    text.chars().take(most).map(replace).collect()
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
        f.write_str(match attempts.secrecy {
            Secrecy::Clear => "",
            Secrecy::Local => ", secured",
            Secrecy::Handshaking => ", TLS handshaking",
            Secrecy::Tls | Secrecy::Proxied => ", TLS",
        })?;
        if !attempts.tls_failure.is_empty() {
            write!(f, ": {}", attempts.tls_failure)?;
        }
        if pid.is_none()
            && let Some(setting) = attempts.setting()
        {
            write!(f, ", see {setting}")?;
        }
        write!(f, ", session=<{}>", Session(attempts.id))
    }
}

/// What names a connection in the log, for as long as the log is kept.
struct Session(ConnectionId);

impl fmt::Display for Session {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:x}-{:x}", process::id(), self.0.0)
    }
}

/// An IPv4 address that came through an IPv6 socket is an IPv4 address.
fn plain(address: IpAddr) -> IpAddr {
    address.to_canonical()
}

/// More of a user name than that is of no use in a log.
const MAX_NAME: usize = 80;

const MAX_REASON: usize = 400;

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn the_fields_are_those_that_filters_look_for() {
        let mut attempts = attempts(Secrecy::Tls);
        attempts.begin(b"bob>, rip=<1.2.3.4\n", "PLAIN", Instant::now());
        let pid = process::id();
        assert_eq!(
            Elements(&attempts, Some(7)).to_string(),
            format!(
                "user=<bob?, rip=?1.2.3.4?>, method=PLAIN, rip=203.0.113.5, lip=192.0.2.10, \
                 mpid=7, TLS, session=<{pid:x}-1f>"
            )
        );
    }

    #[test]
    fn the_end_says_how_far_it_came() {
        let now = Instant::now();
        let later = now + Duration::from_secs(9);
        let mut attempts = attempts(Secrecy::Clear);
        let end = |attempts: &Attempts, at| {
            let line = attempts.end(at, later);
            line.split("): user=").next().unwrap_or_default().to_owned()
        };
        let start = "imap-login: Aborted login (";
        attempts.since = now;
        assert_eq!(
            end(&attempts, At::Talking),
            format!("{start}no auth attempts in 9 secs")
        );
        for (declined, words, setting) in [
            (
                Declined::TooOpen,
                "tried to use disallowed plaintext auth",
                "tls.required",
            ),
            (
                Declined::NoCertificate,
                "cert required, client didn't start TLS",
                "tls.client_certificate",
            ),
            (
                Declined::Mechanism,
                "tried to use unsupported auth mechanism",
                "auth.mechanisms",
            ),
        ] {
            attempts.declined = Some(declined);
            assert_eq!(end(&attempts, At::Talking), format!("{start}{words}"));
            let line = attempts.end(At::Talking, later);
            let hint = format!(", see {setting}, session=<");
            assert!(line.contains(&hint), "{line}");
        }
        attempts.declined = None;
        attempts.begin(b"bob", "PLAIN", now + Duration::from_secs(2));
        assert_eq!(
            end(&attempts, At::Answering),
            format!("{start}client didn't finish SASL auth, waited 7 secs")
        );
        assert_eq!(
            end(&attempts, At::Waiting),
            format!("{start}disconnected while authenticating, waited 7 secs")
        );
        assert_eq!(
            end(&attempts, At::Talking),
            format!("{start}aborted authentication")
        );
        attempts.fail(Refusal::Unavailable);
        assert_eq!(
            end(&attempts, At::Talking),
            format!("{start}auth process communication failure")
        );
        attempts.fail(Refusal::TooMany(Limit::User));
        assert_eq!(
            end(&attempts, At::Talking),
            format!("{start}internal failure, 1 successful auths")
        );
        attempts.fail(Refusal::Mismatch);
        attempts.ended = Some("");
        assert_eq!(
            end(&attempts, At::Talking),
            "imap-login: Disconnected (auth failed, 1 attempts in 7 secs"
        );
        attempts.ended = Some("Inactivity");
        assert_eq!(
            end(&attempts, At::Talking),
            "imap-login: Disconnected: Inactivity (auth failed, 1 attempts in 7 secs"
        );
    }

    #[test]
    fn what_went_wrong_with_tls_is_told() {
        let mut attempts = attempts(Secrecy::Handshaking);
        for (reason, setting) in [
            ("peer is incompatible: x", "tls.min_version"),
            ("received fatal alert: UnknownCA", "tls.certificate"),
            (
                "received fatal alert: CertificateExpired",
                "tls.certificate",
            ),
            (
                "peer sent no certificates: NoCertificatesPresented",
                "tls.client_certificate",
            ),
        ] {
            attempts.fail_tls(reason);
            let line = attempts.end(At::Talking, attempts.since);
            assert!(
                line.contains(&format!(", see {setting}, session=<")),
                "{line}"
            );
        }
        attempts.fail_tls("no <version>\nin common");
        let line = attempts.end(At::Talking, attempts.since);
        let expected = ", lip=192.0.2.10, TLS handshaking: no ?version??in common, session=<";
        assert!(line.contains(expected), "{line}");
    }

    fn attempts(secrecy: Secrecy) -> Attempts {
        let peer = Peer {
            address: Some("203.0.113.5:4711".parse().unwrap()),
            local: Some("[::ffff:192.0.2.10]:993".parse().unwrap()),
            tls: true,
            ..Peer::default()
        };
        Attempts::new(ConnectionId(0x1f), peer, secrecy, Instant::now())
    }
}
