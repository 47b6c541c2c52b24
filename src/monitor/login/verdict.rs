//! What came of an attempt: the front is told, and a session gets the connection.

use super::super::state::{Monitor, RoleKind};
use super::LoginStage;
use crate::ipc::{Account, Attempt, Judgement, Message, Refusal, Verdict};
use crate::net::SourceId;

impl Monitor {
    pub(in crate::monitor) fn handle_login_child(&mut self, source: SourceId, message: Message) {
        let child = self.logins.children.get(&source);
        match message {
            Message::Judged(judgement) => {
                let Some(attempt) = child.and_then(|child| child.attempt) else {
                    return self.kill_login(source);
                };
                match judgement {
                    Judgement::Challenge(challenge) => {
                        self.pass_challenge(source, attempt, challenge);
                    }
                    Judgement::Refused(refusal) => self.end_child(source, Some(refusal)),
                    Judgement::Admitted { account } => {
                        self.keep(source, &account);
                        self.admit(attempt, account, Some(source));
                    }
                }
            }
            Message::Started { pid } => self.session_started(source, pid),
            _ => {}
        }
    }

    /// What is being found out now is found out under a configuration that is no longer in force.
    pub(in crate::monitor) fn keep_no_running_login(&mut self) {
        for child in self.logins.children.values_mut() {
            child.request = None;
        }
    }

    pub(super) fn keep(&mut self, source: SourceId, account: &Account) {
        let child = self.logins.children.get_mut(&source);
        if let Some((request, stamps)) = child.and_then(|child| child.request.take()) {
            self.cache.keep(&request, account, stamps, self.now);
        }
    }

    /// It is known who it is.  `child` found out; if nobody needs it it ends.
    pub(super) fn admit(&mut self, attempt: Attempt, account: Account, child: Option<SourceId>) {
        let Some(asked) = self.logins.attempts.get(&attempt) else {
            return child.map_or((), |child| self.kill_login(child));
        };
        let (protocol, origin) = (asked.protocol, asked.origin.clone());
        if !protocol.has_session() {
            let pid = child.and_then(|child| self.logins.children.get(&child)?.pid);
            let verdict = Verdict::Admitted {
                user: account.user,
                pid: pid.unwrap_or_else(crate::sys::process::id),
            };
            self.verdict(attempt, verdict);
            self.logins.forget(attempt);
            if let Some(front) = &mut self.front {
                front.peer.end(attempt.0);
            }
            self.counters.count_sasl_success();
            return child.map_or((), |child| self.end_child(child, None));
        }
        if account.uid == 0 || account.gid == 0 {
            log::error!("A login child let root in: {:?}", account.user);
            return self.settle(attempt, child, Err(Refusal::NotPermitted));
        }
        if let Err(limit) = self.reserve(&account.user, &origin) {
            return self.settle(attempt, child, Err(Refusal::TooMany(limit)));
        }
        match self.sessions.find(&account) {
            Some((session, Some(_))) => self.settle(attempt, child, Ok(session)),
            Some((session, None)) => {
                self.sessions.wait(session, attempt);
                self.set_stage(attempt, LoginStage::Starting(session));
                if let Some(child) = child {
                    self.end_child(child, None);
                }
            }
            None => {
                let started = child.and_then(|child| Some((child, self.begin_session(&account)?)));
                let Some((child, (session, channel))) = started else {
                    self.unreserve(&account.user, &origin);
                    return self.settle(attempt, child, Err(Refusal::Unavailable));
                };
                self.sessions.wait(session, attempt);
                self.set_stage(attempt, LoginStage::Starting(session));
                if let Some(child) = self.logins.children.get_mut(&child) {
                    child.session = Some(session);
                    child.attempt = None;
                }
                self.send(RoleKind::Login, child, Message::Start(channel));
            }
        }
    }

    /// Answers the front for good, and lets the child go.
    pub(super) fn settle(
        &mut self,
        attempt: Attempt,
        child: Option<SourceId>,
        result: Result<SourceId, Refusal>,
    ) {
        match result {
            Ok(session) => self.confirm(attempt, session),
            Err(refusal) => self.refuse(attempt, refusal),
        }
        if let Some(child) = child {
            self.end_child(child, None);
        }
    }

    /// The attempt may be handed over to this session, which is at work.
    pub(in crate::monitor) fn confirm(&mut self, attempt: Attempt, session: SourceId) {
        let Some((user, pid)) = self.sessions.name(session) else {
            return self.refuse(attempt, Refusal::Unavailable);
        };
        self.set_stage(attempt, LoginStage::Admitted(session));
        if let Some(asked) = self.logins.attempts.get_mut(&attempt) {
            asked.admitted_at = Some(self.now);
            self.logins.admitted.insert((self.now, attempt));
            self.counters.count_login(asked.method);
        }
        self.verdict(attempt, Verdict::Admitted { user, pid });
    }

    pub(in crate::monitor) fn refuse(&mut self, attempt: Attempt, refusal: Refusal) {
        if self.logins.forget(attempt).is_some() {
            self.counters.count_failure(refusal);
            self.verdict(attempt, Verdict::Refused(refusal));
        }
    }

    pub(super) fn verdict(&mut self, attempt: Attempt, verdict: Verdict) {
        self.tell_front(Message::Verdict(attempt, verdict));
    }

    pub(super) fn set_stage(&mut self, attempt: Attempt, stage: LoginStage) {
        if let Some(asked) = self.logins.attempts.get_mut(&attempt) {
            asked.stage = stage;
        }
    }
}
