//! Children that end, or take too long; attempts that nobody waits for.

use super::super::peer::PeerError;
use super::super::state::{Action, Monitor};
use super::{HAND_OVER, LoginChild, LoginStage};
use crate::ipc::{Attempt, Refusal};
use crate::net::SourceId;
use crate::sys::spawn::Exit;

impl Monitor {
    /// The client has gone.
    pub(in crate::monitor) fn give_up(&mut self, attempt: Attempt) {
        let Some(asked) = self.logins.forget(attempt) else {
            return;
        };
        match asked.stage {
            LoginStage::Queued => self.logins.queue.retain(|queued| queued.attempt != attempt),
            LoginStage::Checked(source) => self.kill_login(source),
            // The session will find that it has nobody to serve.
            LoginStage::Starting(session) => self.release(session, &asked.origin, Some(attempt)),
            LoginStage::Admitted(session) => self.release(session, &asked.origin, None),
        }
    }

    /// Lets a child go, whose channel closes.  The client that waits for it is refused.
    pub(super) fn end_child(&mut self, source: SourceId, refusal: Option<Refusal>) {
        // It counts until it has ended.
        self.logins.silent.end(source);
        let Some(child) = self.logins.children.get_mut(&source) else {
            return;
        };
        let (peer, attempt) = (child.peer.take(), child.attempt.take());
        if peer.is_some() {
            self.unwatch(source);
        }
        if let (Some(attempt), Some(refusal)) = (attempt, refusal) {
            self.refuse(attempt, refusal);
        }
    }

    pub(super) fn kill_login(&mut self, source: SourceId) {
        if let Some(pid) = self
            .logins
            .children
            .get(&source)
            .and_then(|child| child.pid)
        {
            self.push(Action::Kill(pid));
        }
        self.end_child(source, None);
    }

    /// The channel of a login child has ended, or it has broken the rules.
    pub(in crate::monitor) fn lose_login(&mut self, source: SourceId, error: &PeerError) {
        let child = self.logins.children.get(&source);
        let session = child.and_then(|child| child.session);
        if !error.is_end() {
            log::error!("A login child is ended: {error}");
            if let Some(pid) = child.and_then(|child| child.pid) {
                self.push(Action::Kill(pid));
            }
        }
        self.end_child(source, Some(Refusal::Unavailable));
        if let Some(session) = session {
            self.abandon_session(session);
        }
    }

    pub(in crate::monitor) fn handle_login_exit(&mut self, source: SourceId, exit: Exit) {
        let killed = self
            .logins
            .children
            .get(&source)
            .is_none_or(|child| child.peer.is_none());
        match exit {
            Exit::Signal(signal) if !killed => log::error!("A login child was ended by {signal}"),
            // A child that is ended before it has begun does not find its channel.
            Exit::Code(code @ 1..) if !killed => {
                log::error!("A login child ended with code {code}");
            }
            _ => {}
        }
        // What it said before is still to be read.
        self.handle_source(source, self.now);
        self.end_child(source, Some(Refusal::Unavailable));
        let child = self.logins.children.remove(&source);
        if let Some(session) = child.and_then(|child| child.session) {
            self.abandon_session(session);
        }
        self.start_queued();
    }

    /// The login child has become the session, or keeps a PAM session open for it.
    pub(in crate::monitor) fn forget_login(&mut self, source: SourceId) -> Option<(u32, SourceId)> {
        self.end_child(source, None);
        let child = self.logins.children.remove(&source)?;
        self.start_queued();
        Some((child.pid?, child.session?))
    }

    pub(in crate::monitor) fn end_late_logins(&mut self) {
        let now = self.now;
        let late: Vec<SourceId> = self
            .logins
            .children
            .iter()
            .filter(|(_, child)| child.kill_at.is_some_and(|time| time <= now))
            .map(|(&source, _)| source)
            .collect();
        for source in late {
            let attempt = |child: &LoginChild| child.attempt;
            let subject = self.logins.children.get(&source).and_then(attempt);
            let subject = subject.map(|attempt| self.logins.subject(attempt));
            let Some(child) = self.logins.children.get_mut(&source) else {
                continue;
            };
            child.kill_at = None;
            let (pid, session) = (child.pid, child.session);
            if child.attempt.is_some() || session.is_some() {
                let subject = subject.unwrap_or_default();
                log::error!(
                    "auth: {subject}: this login takes too long and is ended, see auth.timeout"
                );
            }
            if let Some(pid) = pid {
                self.push(Action::Kill(pid));
            }
            self.end_child(source, Some(Refusal::Unavailable));
            if let Some(session) = session {
                self.abandon_session(session);
            }
        }
        while let Some(first) = self.logins.queue.front()
            && first.until.is_some_and(|time| time <= now)
        {
            let attempt = first.attempt;
            self.logins.queue.pop_front();
            self.refuse(attempt, Refusal::Unavailable);
        }
    }

    /// Connections that were let in and have not been handed over: nobody has to wait for them.
    pub(in crate::monitor) fn end_late_hand_overs(&mut self) {
        while let Some(&(since, attempt)) = self.logins.admitted.first()
            && self.now.saturating_duration_since(since) >= HAND_OVER
        {
            log::error!("The front has not handed over a client that has logged in");
            self.give_up(attempt);
        }
    }

    /// There is no front any more to ask about its attempts.
    pub(in crate::monitor) fn forget_attempts(&mut self) {
        let attempts: Vec<Attempt> = self.logins.attempts.keys().copied().collect();
        for attempt in attempts {
            self.give_up(attempt);
        }
        self.logins.queue.clear();
    }

    pub(in crate::monitor) fn stop_logins(&mut self) {
        for queued in std::mem::take(&mut self.logins.queue) {
            self.refuse(queued.attempt, Refusal::Unavailable);
        }
        let sources: Vec<SourceId> = self.logins.children.keys().copied().collect();
        for source in sources {
            let attempt = self
                .logins
                .children
                .get(&source)
                .and_then(|child| child.attempt);
            self.kill_login(source);
            if let Some(attempt) = attempt {
                self.refuse(attempt, Refusal::Unavailable);
            }
        }
    }
}
