//! Attempts until a child is at work on them.

use super::super::peer::RolePeer;
use super::super::state::{Action, Child, Monitor, RoleKind};
use super::{Asked, LoginChild, LoginStage, Queued, Task, claimed, method};
use crate::ipc::table::Role;
use crate::ipc::{Account, Attempt, LoginRequest, Message, Refusal};
use crate::net::{Prefix, SourceId};

impl Monitor {
    pub(in crate::monitor) fn begin_login(&mut self, attempt: Attempt, request: LoginRequest) {
        let address = request.origin.remote.map(|remote| Prefix::of(remote.ip()));
        let asked = Asked {
            protocol: request.protocol,
            origin: request.origin.clone(),
            stage: LoginStage::Queued,
            method: method(&request.proof),
            user: claimed(&request.proof),
            admitted_at: None,
        };
        self.logins.attempts.insert(attempt, asked);
        if self.is_stopping() {
            return self.refuse(attempt, Refusal::Unavailable);
        }
        let task = match self.known(&request) {
            None => Task::Authenticate(attempt, request),
            Some(account) => {
                self.counters.count_cached_login();
                if !self.needs_session(attempt, &account) {
                    return self.admit(attempt, account, None);
                }
                Task::Become(account)
            }
        };
        let processes = self.config.auth_processes.max(1);
        let places = processes.saturating_mul(QUEUED_EACH);
        let of_address = self
            .logins
            .queue
            .iter()
            .filter(|other| other.address == address);
        if self.logins.queue.len() >= places || of_address.count() >= share(places) {
            let subject = self.logins.subject(attempt);
            log::warn!("auth: {subject}: too many login attempts wait, see auth.processes");
            return self.refuse(attempt, Refusal::Unavailable);
        }
        self.logins.queue.push_back(Queued {
            attempt,
            task,
            until: self.now.checked_add(self.config.auth_timeout),
            address,
        });
        self.start_queued();
    }

    /// From the cache.
    pub(super) fn known(&mut self, request: &LoginRequest) -> Option<Account> {
        if self.config.auth_cache_time.is_zero() {
            return None;
        }
        let stamps = crate::auth::stamps(&self.config);
        self.cache.find(request, &stamps, self.now).cloned()
    }

    /// Whether there is no session yet that this login could go to.
    pub(super) fn needs_session(&self, attempt: Attempt, account: &Account) -> bool {
        let asked = self.logins.attempts.get(&attempt);
        asked.is_some_and(|asked| asked.protocol.has_session())
            && self.sessions.find(account).is_none()
    }

    /// Starts children for those who have waited longest, save for addresses that have their share.
    pub(in crate::monitor) fn start_queued(&mut self) {
        let processes = self.config.auth_processes.max(1);
        while self.logins.working() < processes {
            let logins = &self.logins;
            let may = |queued: &Queued| logins.running_for(queued.address) < share(processes);
            let Some(next) = logins.queue.iter().position(may) else {
                return;
            };
            if let Some(queued) = self.logins.queue.remove(next) {
                self.start_login(queued);
            }
        }
    }

    pub(super) fn start_login(&mut self, queued: Queued) {
        let attempt = queued.attempt;
        let source = self.new_source();
        let (peer, theirs) = match RolePeer::pair(Role::Login, source) {
            Ok(pair) => pair,
            Err(error) => {
                log::error!("Cannot start a login: {error}");
                return self.refuse(attempt, Refusal::Unavailable);
            }
        };
        if let Some(asked) = self.logins.attempts.get_mut(&attempt) {
            asked.stage = LoginStage::Checked(source);
        }
        self.watch(RoleKind::Login, &peer);
        let request = match &queued.task {
            Task::Authenticate(_, request) if !self.config.auth_cache_time.is_zero() => {
                Some((request.clone(), crate::auth::stamps(&self.config)))
            }
            _ => None,
        };
        self.logins.children.insert(
            source,
            LoginChild {
                peer: Some(peer),
                pid: None,
                address: queued.address,
                attempt: Some(attempt),
                session: None,
                kill_at: self.now.checked_add(self.config.auth_timeout),
                request,
            },
        );
        let task = match queued.task {
            Task::Authenticate(attempt, request) => Message::Login(attempt, request),
            Task::Become(account) => Message::Account(account),
        };
        let settings = Message::Settings(self.config.lines());
        if self.send(RoleKind::Login, source, settings) && self.send(RoleKind::Login, source, task)
        {
            self.push(Action::StartLogin(source, theirs));
        } else {
            self.end_child(source, Some(Refusal::Unavailable));
            self.logins.children.remove(&source);
        }
    }

    /// What came of [`Action::StartLogin`].
    pub fn login_started(&mut self, source: SourceId, result: std::io::Result<u32>) {
        match result {
            Ok(pid) => {
                self.children.insert(pid, Child::Login(source));
                match self.logins.children.get_mut(&source) {
                    Some(child) => child.pid = Some(pid),
                    // Nobody waits any more.
                    None => self.push(Action::Kill(pid)),
                }
            }
            Err(error) => {
                log::error!("Cannot start a login: {error}");
                self.end_child(source, Some(Refusal::Unavailable));
                self.logins.children.remove(&source);
            }
        }
    }
}

/// What one address may have of `all`: a quarter, but where there are few, two.
fn share(all: usize) -> usize {
    (all / 4).max(2).min(all)
}

/// How many may wait for each child that there may be.
const QUEUED_EACH: usize = 16;
