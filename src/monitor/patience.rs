//! Login children that wait for their clients, in order.
//!
//! When there are too many the one goes that has waited longest among those of the address with the
//! most: an address that opens many exchanges and answers none displaces only its own.

use std::collections::{BTreeMap, HashMap};

use crate::net::{Prefix, SourceId};

#[derive(Default)]
pub(super) struct Silent {
    /// In the order in which they began to wait.
    order: BTreeMap<u64, (SourceId, Option<Prefix>)>,
    numbers: HashMap<SourceId, u64>,
    next: u64,
}

impl Silent {
    /// One more, of which there may be `limit`; gives the one that makes room for it.
    pub fn begin(
        &mut self,
        source: SourceId,
        address: Option<Prefix>,
        limit: usize,
    ) -> Option<SourceId> {
        self.end(source);
        let displaced = match self.order.len() >= limit {
            true => self.oldest_of_the_most(),
            false => None,
        };
        if let Some(displaced) = displaced {
            self.end(displaced);
        }
        self.order.insert(self.next, (source, address));
        self.numbers.insert(source, self.next);
        self.next = self.next.wrapping_add(1);
        displaced
    }

    /// It waits no longer; says whether it did.
    pub fn end(&mut self, source: SourceId) -> bool {
        match self.numbers.remove(&source) {
            Some(number) => self.order.remove(&number).is_some(),
            None => false,
        }
    }

    pub fn contains(&self, source: SourceId) -> bool {
        self.numbers.contains_key(&source)
    }

    pub fn len(&self) -> usize {
        self.order.len()
    }

    fn oldest_of_the_most(&self) -> Option<SourceId> {
        let mut counts: HashMap<Option<Prefix>, usize> = HashMap::new();
        for (_, address) in self.order.values() {
            *counts.entry(*address).or_default() += 1;
        }
        let most = *counts.values().max()?;
        let mut waiting = self.order.values();
        let oldest = waiting.find(|(_, address)| counts.get(address) == Some(&most));
        oldest.map(|&(source, _)| source)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_oldest_of_the_address_with_the_most_makes_room() {
        let mut silent = Silent::default();
        assert_eq!(silent.begin(SourceId(0), of(1), 4), None);
        for source in 1..4 {
            assert_eq!(silent.begin(SourceId(source), of(2), 4), None);
        }
        assert_eq!(silent.begin(SourceId(4), of(3), 4), Some(SourceId(1)));
        assert!(silent.end(SourceId(2)));
        assert!(!silent.end(SourceId(1)));
        assert_eq!(silent.begin(SourceId(5), of(3), 4), None);
        assert_eq!(silent.begin(SourceId(6), of(4), 4), Some(SourceId(4)));
        assert_eq!(silent.len(), 4);
        assert!(silent.contains(SourceId(0)) && !silent.contains(SourceId(4)));
    }

    fn of(last: u8) -> Option<Prefix> {
        Some(Prefix::of([192, 0, 2, last].into()))
    }
}
