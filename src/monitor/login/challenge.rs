//! What the client is asked, and answers.

use super::super::state::{Action, Monitor, RoleKind};
use super::LoginStage;
use crate::ipc::{Attempt, Message, Refusal, Verdict};
use crate::mail::Secret;
use crate::net::SourceId;

impl Monitor {
    /// The client's answer to a challenge.
    pub(in crate::monitor) fn pass_answer(&mut self, attempt: Attempt, answer: Secret) {
        let stage = self.logins.attempts.get(&attempt).map(|asked| asked.stage);
        if let Some(LoginStage::Checked(source)) = stage {
            self.end_silence(source);
            self.send(RoleKind::Login, source, Message::Respond(attempt, answer));
        }
    }

    /// Waits for the client's answer to a challenge.
    pub(super) fn pass_challenge(&mut self, source: SourceId, attempt: Attempt, challenge: Secret) {
        let Some(child) = self.logins.children.get_mut(&source) else {
            return;
        };
        // How long a client may take is the front's to say (`auth.login_timeout`).
        child.kill_at = None;
        let limit = self
            .config
            .auth_processes
            .max(1)
            .saturating_mul(SILENT_EACH);
        let displaced = self.logins.silent.begin(source, child.address, limit);
        self.verdict(attempt, Verdict::Challenge(challenge));
        if let Some(displaced) = displaced {
            self.displace(displaced);
        }
        self.start_queued();
    }

    /// Its client has answered.
    pub(super) fn end_silence(&mut self, source: SourceId) {
        if self.logins.silent.end(source)
            && let Some(child) = self.logins.children.get_mut(&source)
        {
            child.kill_at = self.now.checked_add(self.config.auth_timeout);
        }
    }

    /// Too many wait for their clients: this one makes room.
    pub(super) fn displace(&mut self, source: SourceId) {
        let child = self.logins.children.get(&source);
        if let Some(attempt) = child.and_then(|child| child.attempt) {
            let subject = self.logins.subject(attempt);
            log::warn!(
                "auth: {subject}: ended, because too many SASL exchanges wait for answers of their \
                 clients, and most of them are from this address, see auth.processes"
            );
        }
        if let Some(pid) = child.and_then(|child| child.pid) {
            self.push(Action::Kill(pid));
        }
        self.end_child(source, Some(Refusal::Unavailable));
    }
}

/// How many may wait for their clients for each child that may work.
const SILENT_EACH: usize = 4;
