//! Login attempts: who waits, who is being asked about, what came of it.
//!
//! At most `auth.processes` login children work at a time, and at most a quarter of them for one
//! address, so that a flood from there leaves others served.  Who finds no child free waits in a
//! queue, of which the same holds.  `child.rs` is what runs in a child.
//!
//! A child whose client has to answer a challenge does not work, and takes no place from those that
//! do.  Such children are counted apart (`patience.rs`): a client that says nothing delays nobody.
//! An answer is passed on at once, so for a moment more children may work than `auth.processes`
//! says.
//!
//! | file | what |
//! |---|---|
//! | `queue` | attempts until a child is at work on them |
//! | `challenge` | what the client is asked, and answers |
//! | `verdict` | what came of an attempt |
//! | `end` | children that end, and attempts that nobody waits for |

mod challenge;
mod end;
mod queue;
mod verdict;

use std::collections::{BTreeSet, HashMap, VecDeque};
use std::time::{Duration, Instant};

use crate::auth::cache::Stamps;
use crate::ipc::{Account, Attempt, LoginRequest, Origin, Proof, Protocol};
use crate::net::{Prefix, SourceId};

use super::patience::Silent;
use super::peer::RolePeer;

#[derive(Default)]
pub(super) struct Logins {
    /// The attempts that the front may still ask about.
    pub attempts: HashMap<Attempt, Asked>,
    children: HashMap<SourceId, LoginChild>,
    queue: VecDeque<Queued>,
    /// Children that wait for their clients' answers.
    silent: Silent,
    /// Attempts that the front has been told to hand over, since when.
    admitted: BTreeSet<(Instant, Attempt)>,
}

/// An attempt that the front was not answered, or has not handed over.
pub(super) struct Asked {
    pub protocol: Protocol,
    pub origin: Origin,
    pub stage: LoginStage,
    method: &'static str,
    /// As the client calls the user, for the log.
    user: String,
    admitted_at: Option<Instant>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum LoginStage {
    Queued,
    /// A child finds out.
    Checked(SourceId),
    /// The user is known, and the session is being started.
    Starting(SourceId),
    /// The front was told; the connection belongs to this session.
    Admitted(SourceId),
}

/// What a child is to do.
pub(super) enum Task {
    Authenticate(Attempt, LoginRequest),
    /// It is known who it is: become the session.
    Become(Account),
}

struct Queued {
    attempt: Attempt,
    task: Task,
    /// When it is given up.
    until: Option<Instant>,
    address: Option<Prefix>,
}

struct LoginChild {
    /// None: it has said all that it had to say, and is about to end.
    peer: Option<RolePeer>,
    pid: Option<u32>,
    address: Option<Prefix>,
    /// None: nobody waits any more.
    attempt: Option<Attempt>,
    /// The session that it becomes.
    session: Option<SourceId>,
    kill_at: Option<Instant>,
    /// For the cache, if there is one.
    request: Option<(LoginRequest, Stamps)>,
}

impl Logins {
    pub fn peer(&mut self, source: SourceId) -> Option<&mut RolePeer> {
        self.children.get_mut(&source)?.peer.as_mut()
    }

    /// As `auth` names an attempt in the log: `PLAIN(bob,203.0.113.5,<session>)`.
    fn subject(&self, attempt: Attempt) -> String {
        self.attempts
            .get(&attempt)
            .map_or_else(String::new, Asked::subject)
    }

    /// Nothing more is to be done for it.
    pub fn forget(&mut self, attempt: Attempt) -> Option<Asked> {
        let asked = self.attempts.remove(&attempt)?;
        if let Some(since) = asked.admitted_at {
            self.admitted.remove(&(since, attempt));
        }
        Some(asked)
    }

    pub fn running(&self) -> usize {
        self.children.len()
    }

    pub fn queued(&self) -> usize {
        self.queue.len()
    }

    /// Children that do not wait for their clients.
    fn working(&self) -> usize {
        self.children.len().saturating_sub(self.silent.len())
    }

    fn running_for(&self, address: Option<Prefix>) -> usize {
        let children = self.children.iter();
        let is_working = |source| !self.silent.contains(source);
        children
            .filter(|(source, child)| child.address == address && is_working(**source))
            .count()
    }

    pub fn next_timeout(&self) -> Option<Instant> {
        let children = self.children.values().filter_map(|child| child.kill_at);
        let queue = self.queue.front().and_then(|first| first.until);
        let admitted = self.admitted.first();
        let hand_over = admitted.and_then(|(since, _)| since.checked_add(HAND_OVER));
        children.chain(queue).chain(hand_over).min()
    }
}

impl Asked {
    fn subject(&self) -> String {
        let Origin {
            remote, session, ..
        } = &self.origin;
        let address =
            remote.map_or_else(String::new, |remote| remote.ip().to_canonical().to_string());
        let session = session.replace(char::is_control, "?");
        format!("{}({},{address},<{session}>)", self.method, self.user)
    }
}

/// The name that a client gives itself, as far as that can be seen, and fit for the log.
fn claimed(proof: &Proof) -> String {
    let name = match proof {
        Proof::Password { user, .. } => user,
        Proof::External { certified, .. } => certified,
        Proof::Scram { .. } => return "?".to_owned(),
    };
    let is_odd = |c: char| c.is_control() || "<>(),".contains(c);
    let name = String::from_utf8_lossy(name);
    name.chars()
        .take(MAX_SHOWN)
        .map(|c| if is_odd(c) { '?' } else { c })
        .collect()
}

/// As in the log.
fn method(proof: &Proof) -> &'static str {
    match proof {
        Proof::Password { mechanism, .. } => mechanism,
        Proof::Scram { binding, .. } if binding.plus => "SCRAM-SHA-256-PLUS",
        Proof::Scram { .. } => "SCRAM-SHA-256",
        Proof::External { .. } => "EXTERNAL",
    }
}

/// Characters of a name.
const MAX_SHOWN: usize = 64;

/// How long the front may take to hand a client over, which it does at once.
const HAND_OVER: Duration = Duration::from_secs(60);
