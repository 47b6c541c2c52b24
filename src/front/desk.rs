//! Who has asked the monitor what: attempts to log in, from the moment that they are made to the verdict.
//!
//! An attempt from an address that has failed is kept here until its penalty is over.  A refusal is passed on
//! with the time when it may be told: `auth.failure_delay` after the monitor was asked, however long the
//! monitor took, so that a user who is not there cannot be told from a wrong password.

use std::collections::{BTreeMap, VecDeque};
use std::hash::{BuildHasher, RandomState};
use std::time::{Duration, Instant};

use hashbrown::HashMap;

use super::penalty::Penalties;
use super::refusal;
use crate::ipc::{Attempt, LoginRequest, Message, Proof, Refusal, Secret, Verdict};
use crate::net::{ConnectionId, Prefix};

pub(super) struct Desk {
    failure_delay: Duration,
    penalties: Penalties,
    digests: RandomState,
    pending: HashMap<Asker, Pending>,
    /// Those of which the monitor has heard.
    asked: HashMap<Attempt, Asker>,
    /// Those of which it has not, by the time when it will, and in the order in which they came.
    held: BTreeMap<(Instant, u64), Asker>,
    came: u64,
    last: u64,
    /// What is to be said next.
    outbox: VecDeque<Message>,
}

/// Who waits for a verdict.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Asker {
    /// A client before login.
    Client(ConnectionId),
    /// A request of a client of the auth socket.
    Sasl(ConnectionId, u32),
}

/// What the monitor has said.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Answer {
    Challenge(Secret),
    /// To be told then.
    Refused(Refusal, Instant),
    Admitted {
        attempt: Attempt,
        user: String,
        pid: u32,
    },
}

struct Pending {
    from: Option<Prefix>,
    tried: Option<u64>,
    stage: Stage,
}

enum Stage {
    /// Kept here under this key.
    Held((Instant, u64), Box<LoginRequest>),
    /// The monitor was asked, or answered, then.
    Asked(Attempt, Instant),
}

impl Desk {
    pub fn new(failure_delay: Duration, longest_penalty: Duration) -> Desk {
        Desk {
            failure_delay,
            penalties: Penalties::new(longest_penalty),
            digests: RandomState::new(),
            pending: HashMap::new(),
            asked: HashMap::new(),
            held: BTreeMap::new(),
            came: 0,
            last: 0,
            outbox: VecDeque::new(),
        }
    }

    pub fn set_delays(&mut self, failure_delay: Duration, longest_penalty: Duration) {
        self.failure_delay = failure_delay;
        self.penalties.set_longest(longest_penalty);
    }

    /// `penalise`: the address is who asks, not somebody who asks for many.
    pub fn ask(&mut self, asker: Asker, request: Box<LoginRequest>, penalise: bool, now: Instant) {
        self.give_up(asker);
        let address = request.origin.remote.filter(|_| penalise);
        let from = address.map(|address| Prefix::of(address.ip()));
        let time = from.map_or(now, |from| self.penalties.time(from, now));
        self.came = self.came.wrapping_add(1);
        let key = (time, self.came);
        let pending = Pending {
            from,
            tried: self.digest(&request.proof),
            stage: Stage::Held(key, request),
        };
        self.pending.insert(asker, pending);
        self.held.insert(key, asker);
    }

    /// The answer to a challenge.
    pub fn respond(&mut self, asker: Asker, response: Secret, now: Instant) {
        if let Some(pending) = self.pending.get_mut(&asker)
            && let Stage::Asked(attempt, time) = &mut pending.stage
        {
            *time = now;
            self.outbox.push_back(Message::Respond(*attempt, response));
        }
    }

    /// Nobody waits any more.
    pub fn give_up(&mut self, asker: Asker) {
        match self.pending.remove(&asker).map(|pending| pending.stage) {
            Some(Stage::Held(key, _)) => drop(self.held.remove(&key)),
            Some(Stage::Asked(attempt, _)) => {
                self.asked.remove(&attempt);
                self.outbox.push_back(Message::GiveUp(attempt));
            }
            None => {}
        }
    }

    /// The client that was admitted has gone before it could be handed over.
    pub fn return_unused(&mut self, attempt: Attempt) {
        self.outbox.push_back(Message::GiveUp(attempt));
    }

    /// The connection of this attempt was relayed, and is no more.
    pub fn end(&mut self, attempt: Attempt) {
        self.outbox.push_back(Message::Ended(attempt));
    }

    /// Whom a verdict is for.  Nobody, if he has gone.
    pub fn handle_verdict(
        &mut self,
        attempt: Attempt,
        verdict: Verdict,
        now: Instant,
    ) -> Option<(Asker, Answer)> {
        let asker = *self.asked.get(&attempt)?;
        let answer = match verdict {
            Verdict::Challenge(challenge) => return Some((asker, Answer::Challenge(challenge))),
            Verdict::Refused(why) => {
                let pending = self.finish(attempt, asker)?;
                if let Some(from) = pending.from
                    && refusal::is_suspicious(why)
                {
                    self.penalties.fail(from, pending.tried, now);
                }
                let asked = match pending.stage {
                    Stage::Asked(_, time) | Stage::Held((time, _), _) => time,
                };
                let time = asked.checked_add(self.failure_delay);
                Answer::Refused(why, time.unwrap_or(now))
            }
            Verdict::Admitted { user, pid } => {
                if let Some(from) = self.finish(attempt, asker)?.from {
                    self.penalties.succeed(from);
                }
                Answer::Admitted { attempt, user, pid }
            }
        };
        Some((asker, answer))
    }

    /// What the monitor is to be told next.
    pub fn poll_message(&mut self, now: Instant) -> Option<Message> {
        if let Some(message) = self.outbox.pop_front() {
            return Some(message);
        }
        let first = self.held.first_entry()?;
        if first.key().0 > now {
            return None;
        }
        let asker = first.remove();
        let pending = self.pending.get_mut(&asker)?;
        // The monitor wants the numbers in the order in which it hears them.
        self.last = self.last.wrapping_add(1);
        let attempt = Attempt(self.last);
        let asked = Stage::Asked(attempt, now);
        self.asked.insert(attempt, asker);
        match std::mem::replace(&mut pending.stage, asked) {
            Stage::Held(_, request) => Some(Message::Login(attempt, *request)),
            Stage::Asked(..) => None,
        }
    }

    /// When there will be something to say.
    pub fn next_timeout(&self) -> Option<Instant> {
        self.held.first_key_value().map(|(&(time, _), _)| time)
    }

    /// To be called now and then.
    pub fn forget(&mut self, now: Instant) {
        self.penalties.forget(now);
    }

    fn finish(&mut self, attempt: Attempt, asker: Asker) -> Option<Pending> {
        self.asked.remove(&attempt);
        self.pending.remove(&asker)
    }

    /// Stands for a name and a password.  The key of the hash is this process's own.
    fn digest(&self, proof: &Proof) -> Option<u64> {
        match proof {
            Proof::Password { user, password, .. } => {
                Some(self.digests.hash_one((user, password.expose())))
            }
            Proof::Scram { .. } | Proof::External { .. } => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ipc::{Origin, Service};

    #[test]
    fn an_attempt_is_asked_at_once_and_a_refusal_told_after_the_delay() {
        let (mut desk, mut now) = start();
        desk.ask(ALICE, request("192.0.2.1", "wrong"), true, now);
        let attempt = asked(&mut desk, now);
        assert!(desk.poll_message(now).is_none());
        let asked_at = now;
        now += Duration::from_millis(700);
        let answer = desk.handle_verdict(attempt, Verdict::Refused(Refusal::Mismatch), now);
        let told = asked_at + Duration::from_secs(2);
        let expected = Answer::Refused(Refusal::Mismatch, told);
        assert_eq!(answer, Some((ALICE, expected)));
        assert_eq!(
            desk.handle_verdict(attempt, Verdict::Refused(Refusal::Mismatch), now),
            None
        );
    }

    #[test]
    fn the_next_attempt_from_there_is_kept_until_the_penalty_is_over() {
        let (mut desk, now) = start();
        fail(&mut desk, "192.0.2.1", now);
        desk.ask(BOB, request("192.0.2.2", "right"), true, now);
        asked(&mut desk, now);
        desk.ask(ALICE, request("192.0.2.1", "right"), true, now);
        assert!(desk.poll_message(now).is_none());
        let time = desk.next_timeout().unwrap();
        assert_eq!(time, now + Duration::from_secs(4));
        // The delay of the answer begins only then.
        let attempt = asked(&mut desk, time);
        let verdict = Verdict::Refused(Refusal::Unavailable);
        let told = time + Duration::from_secs(2);
        assert_eq!(
            desk.handle_verdict(attempt, verdict, time),
            Some((ALICE, Answer::Refused(Refusal::Unavailable, told)))
        );
    }

    #[test]
    fn the_monitor_hears_of_the_attempts_in_the_order_of_their_numbers() {
        let (mut desk, now) = start();
        fail(&mut desk, "192.0.2.1", now);
        desk.ask(ALICE, request("192.0.2.1", "right"), true, now);
        desk.ask(BOB, request("192.0.2.2", "right"), true, now);
        let first = asked(&mut desk, now);
        let second = asked(&mut desk, now + Duration::from_secs(4));
        assert!(first < second);
    }

    #[test]
    fn a_success_ends_the_penalty_and_a_trusted_asker_has_none() {
        let (mut desk, now) = start();
        fail(&mut desk, "192.0.2.1", now);
        desk.ask(BOB, request("192.0.2.1", "right"), false, now);
        let attempt = asked(&mut desk, now);
        let admitted = |user: &str| Verdict::Admitted {
            user: user.to_owned(),
            pid: 7,
        };
        desk.handle_verdict(attempt, admitted("bob"), now).unwrap();
        desk.ask(ALICE, request("192.0.2.1", "right"), true, now);
        let time = desk.next_timeout().unwrap();
        assert!(time > now);
        let attempt = asked(&mut desk, time);
        desk.handle_verdict(attempt, admitted("alice"), time)
            .unwrap();
        desk.ask(ALICE, request("192.0.2.1", "right"), true, time);
        asked(&mut desk, time);
    }

    #[test]
    fn who_gives_up_is_not_asked_for_and_hears_nothing() {
        let (mut desk, now) = start();
        fail(&mut desk, "192.0.2.1", now);
        // Before the monitor has heard of it: nothing to take back.
        desk.ask(ALICE, request("192.0.2.1", "x"), true, now);
        desk.give_up(ALICE);
        assert_eq!(desk.next_timeout(), None);
        assert!(desk.poll_message(now + Duration::from_secs(60)).is_none());
        // And afterwards.
        desk.ask(BOB, request("192.0.2.3", "x"), true, now);
        let attempt = asked(&mut desk, now);
        desk.give_up(BOB);
        assert!(matches!(desk.poll_message(now), Some(Message::GiveUp(gone)) if gone == attempt));
        let late = Verdict::Refused(Refusal::Mismatch);
        assert_eq!(desk.handle_verdict(attempt, late, now), None);
        assert!(desk.pending.is_empty() && desk.asked.is_empty() && desk.held.is_empty());
    }

    #[test]
    fn challenges_go_back_and_forth_and_the_delay_counts_from_the_last_answer() {
        let (mut desk, mut now) = start();
        desk.ask(ALICE, request("192.0.2.1", "x"), true, now);
        let attempt = asked(&mut desk, now);
        let challenge = Verdict::Challenge(Secret::new(b"r=..".to_vec()));
        let answer = desk.handle_verdict(attempt, challenge, now);
        assert!(matches!(answer, Some((ALICE, Answer::Challenge(_)))));
        now += Duration::from_secs(5);
        desk.respond(ALICE, Secret::new(b"c=..".to_vec()), now);
        assert!(matches!(desk.poll_message(now), Some(Message::Respond(to, _)) if to == attempt));
        let refused = Verdict::Refused(Refusal::Mismatch);
        let told = now + Duration::from_secs(2);
        assert_eq!(
            desk.handle_verdict(attempt, refused, now),
            Some((ALICE, Answer::Refused(Refusal::Mismatch, told)))
        );
    }

    const ALICE: Asker = Asker::Client(ConnectionId(1));
    const BOB: Asker = Asker::Sasl(ConnectionId(2), 3);

    fn start() -> (Desk, Instant) {
        let desk = Desk::new(Duration::from_secs(2), Duration::from_secs(15));
        (desk, Instant::now())
    }

    fn fail(desk: &mut Desk, address: &str, now: Instant) {
        desk.ask(ALICE, request(address, "wrong"), true, now);
        let attempt = asked(desk, now);
        desk.handle_verdict(attempt, Verdict::Refused(Refusal::Mismatch), now)
            .unwrap();
    }

    fn asked(desk: &mut Desk, now: Instant) -> Attempt {
        match desk.poll_message(now) {
            Some(Message::Login(attempt, _)) => attempt,
            other => panic!("{other:?}"),
        }
    }

    fn request(address: &str, password: &str) -> Box<LoginRequest> {
        Box::new(LoginRequest {
            service: Service::Imap,
            origin: Origin {
                remote: Some(format!("{address}:4711").parse().unwrap()),
                local: None,
                tls: true,
                session: "1-2".to_owned(),
            },
            proof: Proof::Password {
                mechanism: "PLAIN",
                user: b"alice".to_vec(),
                password: Secret::new(password.as_bytes().to_vec()),
            },
        })
    }
}
