//! How long an address that failed to log in has to wait before it is listened to again.
//!
//! As in Dovecot: the first failure costs nothing but the delay of its answer
//! (`auth.failure_delay`, 2 s), after it the next attempt waits 4 s, then 8 s, then 15 s
//! (`auth.penalty`, the longest; 0 switches it off).  The same name with the same password again
//! does not make it longer: it is a mail program that does not know a new password.  A successful
//! login from the address ends it.  Loopback is an address like any other; a client without one (a
//! unix socket) is not penalised.
//!
//! Unlike there the time is counted from the failure, not from the next attempt: who thinks for a
//! while does not wait again.  And what has been forgotten after half a minute there goes step by
//! step here, so that a patient guesser has no advantage.
//!
//! Several attempts at the same time from an address that has failed are judged one after the other
//! (`desk.rs`); their number is bounded by `limits.waiting_connections_per_address`.

use std::collections::{BTreeSet, VecDeque};
use std::time::{Duration, Instant};

use hashbrown::HashMap;

use crate::net::Prefix;

pub(super) struct Penalties {
    longest: Duration,
    records: HashMap<Prefix, Record>,
    /// The records by the time of their last failure: the oldest goes first.
    order: BTreeSet<(Instant, Prefix)>,
}

#[derive(Debug)]
struct Record {
    /// At most `MAX_COUNT`, when it was `last`.
    count: u32,
    last: Instant,
    /// The digests of what was tried last.
    tried: VecDeque<u64>,
}

impl Penalties {
    pub fn new(longest: Duration) -> Penalties {
        Penalties {
            longest,
            records: HashMap::new(),
            order: BTreeSet::new(),
        }
    }

    pub fn set_longest(&mut self, longest: Duration) {
        self.longest = longest;
    }

    /// When an attempt from there is to be looked at.
    pub fn time(&self, from: Prefix, now: Instant) -> Instant {
        let Some(record) = self.records.get(&from) else {
            return now;
        };
        let delay = match record.count(now) {
            0 => Duration::ZERO,
            count => (FIRST * 2_u32.saturating_pow(count)).min(self.longest),
        };
        record.last.checked_add(delay).unwrap_or(now).max(now)
    }

    /// Whether an attempt from there has failed.
    pub fn has_failed(&self, from: Prefix, now: Instant) -> bool {
        let record = self.records.get(&from);
        record.is_some_and(|record| record.count(now) > 0)
    }

    /// An attempt from there has failed; `tried` stands for the name and the password.
    pub fn fail(&mut self, from: Prefix, tried: Option<u64>, now: Instant) {
        if self.longest.is_zero() {
            return;
        }
        let record = self.records.entry(from).or_insert_with(|| Record {
            count: 0,
            last: now,
            tried: VecDeque::new(),
        });
        self.order.remove(&(record.last, from));
        record.fail(tried, now);
        self.order.insert((now, from));
        while self.records.len() > MAX_RECORDS
            && let Some((_, oldest)) = self.order.pop_first()
        {
            self.records.remove(&oldest);
        }
    }

    /// A client from there has logged in.
    pub fn succeed(&mut self, from: Prefix) {
        if let Some(record) = self.records.remove(&from) {
            self.order.remove(&(record.last, from));
        }
    }

    /// Drops what is over.
    pub fn forget(&mut self, now: Instant) {
        while let Some(&(last, from)) = self.order.first() {
            let is_over = now.saturating_duration_since(last) >= STEP * MAX_COUNT;
            if !is_over {
                break;
            }
            self.order.pop_first();
            self.records.remove(&from);
        }
    }
}

impl Record {
    /// How much of it is left.
    fn count(&self, now: Instant) -> u32 {
        let elapsed = now.saturating_duration_since(self.last);
        let steps = elapsed.as_secs() / STEP.as_secs();
        self.count
            .saturating_sub(u32::try_from(steps).unwrap_or(u32::MAX))
    }

    fn fail(&mut self, tried: Option<u64>, now: Instant) {
        self.count = self.count(now);
        self.last = now;
        let known = tried.is_some_and(|tried| self.tried.contains(&tried));
        if !known || self.count == 0 {
            self.count = (self.count + 1).min(MAX_COUNT);
        }
        if let Some(tried) = tried
            && !known
        {
            self.tried.push_back(tried);
            if self.tried.len() > MAX_TRIED {
                self.tried.pop_front();
            }
        }
    }
}

/// The first delay.  Each failure doubles it.
const FIRST: Duration = Duration::from_secs(2);

/// How many failures are counted.  More make no difference.
const MAX_COUNT: u32 = 4;

/// How long one failure is remembered.
const STEP: Duration = Duration::from_secs(60);

/// How many attempts of an address are known again.
const MAX_TRIED: usize = 10;

/// How many addresses are remembered, with 200 octets each.
const MAX_RECORDS: usize = 20_000;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_failure_makes_the_next_attempt_wait_longer_up_to_the_longest() {
        let (mut penalties, mut now) = start();
        let from = prefix("192.0.2.1");
        assert_eq!(penalties.time(from, now), now);
        for (guess, seconds) in [4, 8, 15, 15, 15].into_iter().enumerate() {
            penalties.fail(from, Some(guess as u64), now);
            let time = penalties.time(from, now);
            assert_eq!(time, now + Duration::from_secs(seconds));
            now = time;
            assert_eq!(penalties.time(from, now), now);
        }
        assert_eq!(penalties.time(prefix("192.0.2.2"), now), now);
    }

    #[test]
    fn the_same_again_does_not_make_it_longer() {
        let (mut penalties, now) = start();
        let from = prefix("192.0.2.1");
        for _ in 0..20 {
            penalties.fail(from, Some(7), now);
            assert_eq!(penalties.time(from, now), now + Duration::from_secs(4));
        }
        for guess in 0..10 {
            penalties.fail(from, Some(100 + guess), now);
        }
        assert_eq!(penalties.time(from, now), now + Duration::from_secs(15));
        penalties.fail(from, None, now);
        assert_eq!(penalties.time(from, now), now + Duration::from_secs(15));
    }

    #[test]
    fn it_is_forgotten_step_by_step_and_at_once_by_a_login() {
        let (mut penalties, now) = start();
        let (from, other) = (prefix("192.0.2.1"), prefix("192.0.2.9"));
        for guess in 0..4 {
            penalties.fail(from, Some(guess), now);
            penalties.fail(other, Some(guess), now);
        }
        // Three minutes later one of the four is left; the next makes two.
        let later = now + Duration::from_secs(3 * 60);
        penalties.fail(from, Some(99), later);
        assert_eq!(penalties.time(from, later), later + Duration::from_secs(8));
        penalties.succeed(from);
        assert_eq!(penalties.time(from, later), later);
        assert_eq!(penalties.records.len(), 1);
        penalties.forget(now + Duration::from_secs(4 * 60));
        assert!(penalties.records.is_empty() && penalties.order.is_empty());
    }

    #[test]
    fn no_longest_means_none() {
        let now = Instant::now();
        let mut penalties = Penalties::new(Duration::ZERO);
        penalties.fail(prefix("192.0.2.1"), None, now);
        assert_eq!(penalties.time(prefix("192.0.2.1"), now), now);
    }

    #[test]
    fn many_addresses_cost_bounded_memory_and_the_latest_are_remembered() {
        let (mut penalties, mut now) = start();
        for site in 0..(MAX_RECORDS as u32 + 1000) {
            now += Duration::from_millis(1);
            let address = std::net::Ipv4Addr::from_bits(0x0a00_0000 + site);
            penalties.fail(Prefix::of(address.into()), None, now);
        }
        assert_eq!(penalties.records.len(), MAX_RECORDS);
        assert_eq!(penalties.order.len(), MAX_RECORDS);
        assert_eq!(penalties.time(prefix("10.0.0.1"), now), now);
    }

    fn start() -> (Penalties, Instant) {
        (Penalties::new(Duration::from_secs(15)), Instant::now())
    }

    fn prefix(text: &str) -> Prefix {
        Prefix::of(text.parse().unwrap())
    }
}
