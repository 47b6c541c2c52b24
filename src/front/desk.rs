//! Attempts to log in, from the client's request to the monitor's verdict.
//!
//! An attempt from an address that has failed is kept here until the penalty is over and no other
//! attempt from there is being judged, so a client that guesses gets one answer at a time.  An
//! exchange whose client has to answer does not count, because the client may take as long as it
//! likes; but its answer waits like an attempt.
//!
//! A refusal is passed on with the time when it may be told: `auth.failure_delay` after the monitor
//! was asked, however long the monitor took, so that a user who is not there cannot be told from a
//! wrong password.

use std::collections::{BTreeMap, VecDeque};
use std::hash::{BuildHasher, RandomState};
use std::time::{Duration, Instant};

use hashbrown::HashMap;

use super::penalty::Penalties;
use crate::ipc::{Attempt, LoginRequest, Message, Proof, Refusal, Verdict};
use crate::mail::Secret;
use crate::net::{ConnectionId, Prefix};

pub(super) struct Desk {
    failure_delay: Duration,
    penalties: Penalties,
    digests: RandomState,
    pending: HashMap<Asker, Pending>,
    /// The attempts that the monitor has heard of.
    asked: HashMap<Attempt, Asker>,
    /// The attempts that the monitor has not heard of, by the time when it will, and in the order
    /// in which they came.
    held: BTreeMap<Key, Asker>,
    /// How many attempts from each address are being judged.
    judged: HashMap<Prefix, usize>,
    /// The askers that wait for these attempts.
    behind: HashMap<Prefix, VecDeque<Asker>>,
    came: u64,
    last: u64,
    /// The messages for the monitor.
    outbox: VecDeque<Message>,
}

/// Who waits for a verdict.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct Asker {
    pub client: ConnectionId,
    /// The client's number for what it asks.
    pub request: u32,
}

/// What the monitor has said.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Answer {
    Challenge(Secret),
    /// The refusal, and when it may be told.
    Refused(Refusal, Instant),
    Admitted {
        attempt: Attempt,
        user: String,
        pid: u32,
    },
}

type Key = (Instant, u64);

struct Pending {
    from: Option<Prefix>,
    tried: Option<u64>,
    /// None: the monitor has not heard of it.
    attempt: Option<Attempt>,
    stage: Stage,
}

enum Stage {
    /// It is kept here, in `held`, under this key.
    Held(Key, Word),
    /// It is kept here while another attempt from the same address is judged.
    Behind(Word),
    /// The monitor was asked, or was given an answer, at this time.
    Asked(Instant),
    /// The client is to answer.
    Challenged,
}

/// What the monitor is to hear.
enum Word {
    Login(Box<LoginRequest>),
    Respond(Secret),
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
            judged: HashMap::new(),
            behind: HashMap::new(),
            came: 0,
            last: 0,
            outbox: VecDeque::new(),
        }
    }

    pub fn set_delays(&mut self, failure_delay: Duration, longest_penalty: Duration) {
        self.failure_delay = failure_delay;
        self.penalties.set_longest(longest_penalty);
    }

    /// `penalise`: the address is the client's own, not that of a program that asks for many
    /// clients.  Returns how long the attempt has to wait.
    pub fn ask(
        &mut self,
        asker: Asker,
        request: Box<LoginRequest>,
        penalise: bool,
        now: Instant,
    ) -> Duration {
        self.give_up(asker, now);
        let address = request.origin.remote.filter(|_| penalise);
        let pending = Pending {
            from: address.map(|address| Prefix::of(address.ip())),
            tried: self.digest(&request.proof),
            attempt: None,
            stage: Stage::Challenged,
        };
        self.pending.insert(asker, pending);
        let time = self.hold(asker, Word::Login(request), now);
        time.saturating_duration_since(now)
    }

    /// The answer to a challenge.
    pub fn respond(&mut self, asker: Asker, response: Secret, now: Instant) {
        if let Some(pending) = self.pending.get(&asker)
            && let Stage::Challenged = pending.stage
        {
            self.hold(asker, Word::Respond(response), now);
        }
    }

    /// Keeps it until the penalty of its address is over.
    fn hold(&mut self, asker: Asker, word: Word, now: Instant) -> Instant {
        let Some(pending) = self.pending.get_mut(&asker) else {
            return now;
        };
        let time = pending
            .from
            .map_or(now, |from| self.penalties.time(from, now));
        self.came = self.came.wrapping_add(1);
        let key = (time, self.came);
        pending.stage = Stage::Held(key, word);
        self.held.insert(key, asker);
        time
    }

    /// Nobody waits any more.
    pub fn give_up(&mut self, asker: Asker, now: Instant) {
        if let Some(pending) = self.finish(asker, now)
            && let Some(attempt) = pending.attempt
        {
            self.outbox.push_back(Message::GiveUp(attempt));
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

    /// The asker that a verdict is for; none if it has gone.
    pub fn handle_verdict(
        &mut self,
        attempt: Attempt,
        verdict: Verdict,
        now: Instant,
    ) -> Option<(Asker, Answer)> {
        let asker = *self.asked.get(&attempt)?;
        let answer = match verdict {
            Verdict::Challenge(challenge) => {
                let pending = self.pending.get_mut(&asker)?;
                let from = pending.from;
                if let Stage::Asked(_) = std::mem::replace(&mut pending.stage, Stage::Challenged) {
                    self.end_judging(from, now);
                }
                Answer::Challenge(challenge)
            }
            Verdict::Refused(why) => {
                let pending = self.pending.get(&asker)?;
                if let Some(from) = pending.from
                    && is_suspicious(why)
                {
                    self.penalties.fail(from, pending.tried, now);
                }
                let asked = match self.finish(asker, now)?.stage {
                    Stage::Asked(time) => time,
                    _ => now,
                };
                let time = asked.checked_add(self.failure_delay);
                Answer::Refused(why, time.unwrap_or(now))
            }
            Verdict::Admitted { user, pid } => {
                if let Some(from) = self.pending.get(&asker)?.from {
                    self.penalties.succeed(from);
                }
                self.finish(asker, now);
                Answer::Admitted { attempt, user, pid }
            }
        };
        Some((asker, answer))
    }

    /// What the monitor is to be told next.
    pub fn poll_message(&mut self, now: Instant) -> Option<Message> {
        loop {
            if let Some(message) = self.outbox.pop_front() {
                return Some(message);
            }
            let first = self.held.first_entry()?;
            if first.key().0 > now {
                return None;
            }
            let asker = first.remove();
            if let Some(message) = self.say(asker, now) {
                return Some(message);
            }
        }
    }

    /// What was held until now, unless it has to wait for another one.
    fn say(&mut self, asker: Asker, now: Instant) -> Option<Message> {
        let pending = self.pending.get_mut(&asker)?;
        let Stage::Held(_, word) = std::mem::replace(&mut pending.stage, Stage::Asked(now)) else {
            return None;
        };
        if let Some(from) = pending.from {
            let judged = self.judged.entry(from).or_default();
            let most = match self.penalties.has_failed(from, now) {
                true => 1,
                false => MAX_JUDGED,
            };
            if *judged >= most {
                pending.stage = Stage::Behind(word);
                self.behind.entry(from).or_default().push_back(asker);
                return None;
            }
            *judged += 1;
        }
        match word {
            Word::Login(request) => {
                // The monitor wants the numbers in the order in which it hears them.
                self.last = self.last.wrapping_add(1);
                let attempt = Attempt(self.last);
                pending.attempt = Some(attempt);
                self.asked.insert(attempt, asker);
                Some(Message::Login(attempt, *request))
            }
            Word::Respond(response) => Some(Message::Respond(pending.attempt?, response)),
        }
    }

    /// An attempt from there is not judged any more, so an asker that waited for it can go on.
    fn end_judging(&mut self, from: Option<Prefix>, now: Instant) {
        let Some(from) = from else {
            return;
        };
        if let Some(judged) = self.judged.get_mut(&from) {
            *judged = judged.saturating_sub(1);
            if *judged == 0 {
                self.judged.remove(&from);
            }
        }
        for asker in self.behind.remove(&from).unwrap_or_default() {
            let Some(pending) = self.pending.get_mut(&asker) else {
                continue;
            };
            match std::mem::replace(&mut pending.stage, Stage::Challenged) {
                Stage::Behind(word) => drop(self.hold(asker, word, now)),
                // It has given up, and asked again.
                stage => pending.stage = stage,
            }
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

    fn finish(&mut self, asker: Asker, now: Instant) -> Option<Pending> {
        let pending = self.pending.remove(&asker)?;
        if let Some(attempt) = pending.attempt {
            self.asked.remove(&attempt);
        }
        match &pending.stage {
            Stage::Held(key, _) => drop(self.held.remove(key)),
            Stage::Asked(_) => self.end_judging(pending.from, now),
            Stage::Behind(_) | Stage::Challenged => {}
        }
        Some(pending)
    }

    /// A hash that stands for a name and a password.  Its key never leaves this process.
    fn digest(&self, proof: &Proof) -> Option<u64> {
        match proof {
            Proof::Password {
                user,
                authorize,
                password,
                ..
            } => Some(self.digests.hash_one((user, authorize, password.expose()))),
            Proof::Scram { .. } | Proof::External { .. } => None,
        }
    }
}

/// Whether the client may be guessing passwords.
fn is_suspicious(why: Refusal) -> bool {
    match why {
        Refusal::Mismatch | Refusal::Expired | Refusal::Disabled | Refusal::NotPermitted => true,
        Refusal::Unavailable | Refusal::TooMany(_) | Refusal::NoMail => false,
    }
}

/// How many attempts from one address are judged at a time, as long as none has failed.
const MAX_JUDGED: usize = 32;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ipc::{Origin, Protocol};

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
        desk.give_up(ALICE, now);
        assert_eq!(desk.next_timeout(), None);
        assert!(desk.poll_message(now + Duration::from_secs(60)).is_none());
        // And afterwards.
        desk.ask(BOB, request("192.0.2.3", "x"), true, now);
        let attempt = asked(&mut desk, now);
        desk.give_up(BOB, now);
        assert!(matches!(desk.poll_message(now), Some(Message::GiveUp(gone)) if gone == attempt));
        let late = Verdict::Refused(Refusal::Mismatch);
        assert_eq!(desk.handle_verdict(attempt, late, now), None);
        assert!(desk.pending.is_empty() && desk.asked.is_empty() && desk.held.is_empty());
    }

    #[test]
    fn an_address_that_has_failed_is_judged_once_at_a_time() {
        let (mut desk, mut now) = start();
        let askers: Vec<Asker> = (10..15).map(asker).collect();
        // Nothing is held against it yet.
        for &asker in &askers {
            desk.ask(asker, request("192.0.2.1", "guess"), true, now);
        }
        let attempts: Vec<Attempt> = askers.iter().map(|_| asked(&mut desk, now)).collect();
        let refused = || Verdict::Refused(Refusal::Mismatch);
        for &attempt in &attempts {
            desk.handle_verdict(attempt, refused(), now).unwrap();
        }
        let mut waits = Vec::new();
        for &asker in &askers {
            waits.push(desk.ask(asker, request("192.0.2.1", "guess"), true, now));
        }
        assert_eq!(
            waits,
            [Duration::from_secs(4); 5],
            "the same was tried again and again"
        );
        for _ in &askers {
            now = desk.next_timeout().unwrap();
            let attempt = asked(&mut desk, now);
            assert!(desk.poll_message(now + Duration::from_secs(30)).is_none());
            assert_eq!(desk.next_timeout(), None);
            // Nobody else has to wait.
            desk.ask(BOB, request("192.0.2.2", "right"), true, now);
            let other = asked(&mut desk, now);
            desk.handle_verdict(other, Verdict::Refused(Refusal::Unavailable), now);
            desk.handle_verdict(attempt, refused(), now).unwrap();
        }
        assert!(desk.pending.is_empty() && desk.judged.is_empty() && desk.behind.is_empty());
    }

    #[test]
    fn those_behind_one_that_is_given_up_or_succeeds_come_next() {
        let (mut desk, now) = start();
        fail(&mut desk, "192.0.2.1", now);
        let askers: Vec<Asker> = (10..14).map(asker).collect();
        for &asker in &askers {
            desk.ask(asker, request("192.0.2.1", "right"), true, now);
        }
        let now = desk.next_timeout().unwrap();
        asked(&mut desk, now);
        assert!(desk.poll_message(now).is_none());
        // One that waits goes, and then the one that is waited for.
        desk.give_up(askers[1], now);
        desk.give_up(askers[0], now);
        assert!(matches!(desk.poll_message(now), Some(Message::GiveUp(_))));
        let attempt = asked(&mut desk, now);
        assert!(desk.poll_message(now).is_none());
        let admitted = Verdict::Admitted {
            user: "alice".to_owned(),
            pid: 7,
        };
        desk.handle_verdict(attempt, admitted, now).unwrap();
        asked(&mut desk, now);
    }

    #[test]
    fn who_waits_for_its_client_keeps_no_other_waiting_and_its_answer_waits_its_turn() {
        let (mut desk, now) = start();
        fail(&mut desk, "192.0.2.1", now);
        desk.ask(ALICE, request("192.0.2.1", "x"), true, now);
        let now = desk.next_timeout().unwrap();
        let silent = asked(&mut desk, now);
        let challenge = Verdict::Challenge(Secret::new(b"r=..".to_vec()));
        desk.handle_verdict(silent, challenge, now).unwrap();
        let other = asker(10);
        desk.ask(other, request("192.0.2.1", "y"), true, now);
        let judged = asked(&mut desk, now);
        desk.respond(ALICE, Secret::new(b"c=..".to_vec()), now);
        assert!(desk.poll_message(now).is_none());
        desk.handle_verdict(judged, Verdict::Refused(Refusal::Mismatch), now)
            .unwrap();
        assert!(desk.poll_message(now).is_none());
        let now = desk.next_timeout().unwrap();
        assert!(matches!(desk.poll_message(now), Some(Message::Respond(to, _)) if to == silent));
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

    fn asker(id: usize) -> Asker {
        Asker {
            client: ConnectionId(id),
            request: 0,
        }
    }

    const ALICE: Asker = Asker {
        client: ConnectionId(1),
        request: 0,
    };
    const BOB: Asker = Asker {
        client: ConnectionId(2),
        request: 3,
    };

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
            protocol: Protocol::Imap,
            origin: Origin {
                remote: Some(format!("{address}:4711").parse().unwrap()),
                local: None,
                tls: true,
                session: "1-2".to_owned(),
            },
            proof: Proof::Password {
                mechanism: "PLAIN",
                user: b"alice".to_vec(),
                authorize: Vec::new(),
                password: Secret::new(password.as_bytes().to_vec()),
            },
        })
    }
}
