//! How many clients may wait to log in, overall and from one address.
//!
//! When all places are taken, the newcomer gets the place of the client that has waited longest
//! among those from the address with the most: a flood from one address pushes out itself, and
//! others are served.

use std::collections::{BTreeSet, VecDeque};

use hashbrown::HashMap;

use crate::net::{ConnectionId, Prefix};

pub(super) struct Places {
    overall: usize,
    per_address: usize,
    waiting: HashMap<ConnectionId, Prefix>,
    /// The clients of each address in the order in which they came.  Some may have left.
    by_address: HashMap<Prefix, Queue>,
    /// The same addresses by their number of clients.
    by_number: BTreeSet<(usize, Prefix)>,
}

#[derive(Default)]
struct Queue {
    number: usize,
    order: VecDeque<ConnectionId>,
}

/// What becomes of a client that comes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum ConnectionPlace {
    Free,
    /// There is a place, and this client has to go for it.
    InsteadOf(ConnectionId),
    /// There are too many clients from this address.
    None,
}

impl Places {
    pub fn new(overall: usize, per_address: usize) -> Places {
        Places {
            overall: overall.max(1),
            per_address: per_address.max(1),
            waiting: HashMap::new(),
            by_address: HashMap::new(),
            by_number: BTreeSet::new(),
        }
    }

    /// Sets the limits for clients that come from now on.
    pub fn set_limits(&mut self, overall: usize, per_address: usize) {
        self.overall = overall.max(1);
        self.per_address = per_address.max(1);
    }

    /// A client comes.  Unless the answer is `None`, it waits from now on.
    pub fn enter(&mut self, id: ConnectionId, from: Prefix) -> ConnectionPlace {
        let number = self.by_address.get(&from).map_or(0, |queue| queue.number);
        if number >= self.per_address {
            return ConnectionPlace::None;
        }
        let place = match self.waiting.len() >= self.overall {
            true => self
                .make_room()
                .map_or(ConnectionPlace::Free, ConnectionPlace::InsteadOf),
            false => ConnectionPlace::Free,
        };
        self.waiting.insert(id, from);
        let queue = self.by_address.entry(from).or_default();
        queue.order.push_back(id);
        queue.number += 1;
        self.by_number.remove(&(queue.number - 1, from));
        self.by_number.insert((queue.number, from));
        place
    }

    /// A client has logged in, or has gone.
    pub fn leave(&mut self, id: ConnectionId) {
        let Some(from) = self.waiting.remove(&id) else {
            return;
        };
        let Some(queue) = self.by_address.get_mut(&from) else {
            return;
        };
        self.by_number.remove(&(queue.number, from));
        queue.number = queue.number.saturating_sub(1);
        if queue.number == 0 {
            self.by_address.remove(&from);
            return;
        }
        self.by_number.insert((queue.number, from));
        let waiting = &self.waiting;
        // A client that leaves may be in the middle.  Looking for such clients pays off when there
        // are many.
        if queue.order.len() > 2 * queue.number {
            queue.order.retain(|id| waiting.contains_key(id));
        }
    }

    fn make_room(&mut self) -> Option<ConnectionId> {
        let &(_, from) = self.by_number.last()?;
        let queue = self.by_address.get_mut(&from)?;
        while let Some(id) = queue.order.pop_front() {
            if self.waiting.contains_key(&id) {
                self.leave(id);
                return Some(id);
            }
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_has_so_many_places_and_no_more() {
        let mut places = Places::new(10, 3);
        for id in 0..3 {
            assert_eq!(
                places.enter(ConnectionId(id), prefix(1)),
                ConnectionPlace::Free
            );
        }
        assert_eq!(
            places.enter(ConnectionId(3), prefix(1)),
            ConnectionPlace::None
        );
        assert_eq!(
            places.enter(ConnectionId(4), prefix(2)),
            ConnectionPlace::Free
        );
        places.leave(ConnectionId(1));
        assert_eq!(
            places.enter(ConnectionId(5), prefix(1)),
            ConnectionPlace::Free
        );
        assert_eq!(places.waiting.len(), 4);
    }

    #[test]
    fn when_all_places_are_taken_the_oldest_of_the_greediest_goes() {
        let mut places = Places::new(6, 5);
        places.enter(ConnectionId(0), prefix(2));
        for id in 1..6 {
            places.enter(ConnectionId(id), prefix(1));
        }
        places.leave(ConnectionId(1));
        places.enter(ConnectionId(6), prefix(1));
        let place = places.enter(ConnectionId(7), prefix(3));
        assert_eq!(place, ConnectionPlace::InsteadOf(ConnectionId(2)));
        let place = places.enter(ConnectionId(8), prefix(2));
        assert_eq!(place, ConnectionPlace::InsteadOf(ConnectionId(3)));
        assert_eq!(places.waiting.len(), 6);
        places.leave(ConnectionId(2));
        assert_eq!(places.waiting.len(), 6);
    }

    #[test]
    fn the_books_agree_whatever_happens() {
        let mut places = Places::new(40, 12);
        let mut random = 1_u32;
        let mut next = 0;
        for _ in 0..20_000 {
            random = random.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            let dice = (random >> 16) as usize;
            if dice.is_multiple_of(3) {
                places.leave(ConnectionId(next - dice % (next + 1)));
            } else {
                let place = places.enter(ConnectionId(next), prefix((dice % 7) as u8));
                assert_ne!(place, ConnectionPlace::InsteadOf(ConnectionId(next)));
                next += 1;
            }
            let numbers: usize = places.by_address.values().map(|queue| queue.number).sum();
            assert_eq!(numbers, places.waiting.len());
            assert!(places.waiting.len() <= 40);
            assert_eq!(places.by_number.len(), places.by_address.len());
            let queued: usize = places.by_address.values().map(|q| q.order.len()).sum();
            assert!(queued <= 2 * 40 + 7);
        }
    }

    fn prefix(last: u8) -> Prefix {
        Prefix::of([192, 0, 2, last].into())
    }
}
