//! What happened in a login, for the log: in the words of Dovecot 2.3, which other programs read
//! (`auth: pam(bob,203.0.113.5,<session>): unknown user`).
//!
//! It is written when all sources have been asked.  Programs that ban addresses read these lines,
//! so a source that does not know the user gets a line only if no other source lets the user in.

use core::net::SocketAddr;

use log::Level;

use crate::ipc::Origin;

pub struct Trace {
    /// `bob,203.0.113.5,<session>`
    subject: String,
    steps: Vec<TraceStep>,
}

pub struct TraceStep {
    pub kind: TraceKind,
    /// Which source says it.
    pub source: &'static str,
    pub text: String,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TraceKind {
    /// Helps an operator who looks for a reason.
    Detail,
    /// Worth a line in any case.
    Notice,
    /// Why the user is not let in.  It is left out if the user is let in.
    Failure,
    /// Something does not work, for this user and for all others.
    Problem,
}

impl Trace {
    /// `user`: as the client sent it.
    pub fn new(user: &[u8], origin: &Origin) -> Trace {
        let mut subject = shown(user);
        if let Some(address) = address(origin.remote) {
            subject.push_str(&format!(",{address}"));
        }
        if !origin.session.is_empty() {
            subject.push_str(&format!(",<{}>", origin.session));
        }
        Trace {
            subject,
            steps: Vec::new(),
        }
    }

    pub fn detail(&mut self, source: &'static str, text: impl Into<String>) {
        self.add(TraceKind::Detail, source, text.into());
    }

    pub fn notice(&mut self, source: &'static str, text: impl Into<String>) {
        self.add(TraceKind::Notice, source, text.into());
    }

    pub fn failure(&mut self, source: &'static str, text: impl Into<String>) {
        self.add(TraceKind::Failure, source, text.into());
    }

    pub fn problem(&mut self, source: &'static str, text: impl Into<String>) {
        self.add(TraceKind::Problem, source, text.into());
    }

    fn add(&mut self, kind: TraceKind, source: &'static str, text: String) {
        self.steps.push(TraceStep { kind, source, text });
    }

    pub fn steps(&self) -> &[TraceStep] {
        &self.steps
    }

    pub fn write(&self, admitted: bool) {
        for step in &self.steps {
            let level = match step.kind {
                TraceKind::Problem => Level::Error,
                TraceKind::Notice => Level::Info,
                TraceKind::Failure if !admitted => Level::Info,
                TraceKind::Failure | TraceKind::Detail => Level::Debug,
            };
            log::log!(
                level,
                "auth: {}({}): {}",
                step.source,
                self.subject,
                step.text
            );
        }
    }
}

/// Where the client is, as PAM and the log have it.
pub fn address(remote: Option<SocketAddr>) -> Option<String> {
    remote.map(|remote| remote.ip().to_canonical().to_string())
}

/// A name that a client has sent.  No character of it can be taken for another part of the line.
fn shown(user: &[u8]) -> String {
    let text = String::from_utf8_lossy(user);
    let plain = |c: char| match c {
        ',' | '(' | ')' | '<' | '>' | ':' => '?',
        c if c.is_control() || c.is_whitespace() => '?',
        c => c,
    };
    text.chars().take(MAX_SHOWN).map(plain).collect()
}

/// As Dovecot's.
const MAX_SHOWN: usize = 64;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_cannot_bring_an_address_of_its_own() {
        let origin = Origin {
            remote: Some("[::ffff:203.0.113.5]:4711".parse().unwrap()),
            local: None,
            tls: false,
            session: String::from("abc"),
        };
        let subject = |user: &[u8]| Trace::new(user, &origin).subject;
        assert_eq!(subject(b"bob"), "bob,203.0.113.5,<abc>");
        assert_eq!(subject(b""), ",203.0.113.5,<abc>");
        assert_eq!(
            subject(b"x,192.0.2.1,<y>): unknown user\n"),
            "x?192.0.2.1??y????unknown?user?,203.0.113.5,<abc>"
        );
        assert_eq!(subject(&[b'a'; 500]).len(), 64 + 18);
    }
}
