//! What was expunged, for VANISHED (EARLIER) (RFC 7162 3.2.5.1): ranges of UIDs with the modseq
//! of their expunge, as far back as a bounded list goes.

use crate::mail::Ranges;

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(in crate::maildir) struct History {
    /// Ascending by modseq.
    entries: Vec<Expunged>,
    /// Every expunge with a greater modseq is in the list.
    floor: u64,
}

/// UIDs first to last: each was expunged with this modseq, or never existed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::maildir) struct Expunged {
    pub modseq: u64,
    pub first: u32,
    pub last: u32,
}

impl History {
    /// How many entries are kept at most.
    pub const LIMIT: usize = LIMIT;

    /// A history that knows nothing of what happened up to `floor`.
    pub fn starting_at(floor: u64) -> History {
        History {
            entries: Vec::new(),
            floor,
        }
    }

    pub fn from_parts(mut entries: Vec<Expunged>, floor: u64) -> History {
        entries.sort_by_key(|entry| (entry.modseq, entry.first));
        History { entries, floor }
    }

    pub fn entries(&self) -> &[Expunged] {
        &self.entries
    }

    pub fn floor(&self) -> u64 {
        self.floor
    }

    pub fn push(&mut self, uid: u32, modseq: u64) {
        self.push_range(uid, uid, modseq);
    }

    pub fn push_range(&mut self, first: u32, last: u32, modseq: u64) {
        if let Some(before) = self.entries.last_mut()
            && before.modseq == modseq
            && before.last.checked_add(1) == Some(first)
        {
            before.last = last;
            return;
        }
        let entry = Expunged {
            modseq,
            first,
            last,
        };
        let at = self.entries.partition_point(|old| old.modseq <= modseq);
        self.entries.insert(at, entry);
        if self.entries.len() > LIMIT {
            self.forget_oldest(LIMIT / 4);
        }
    }

    /// UIDs expunged with a modseq above `modseq`; `None`: that is longer ago than we know.
    pub fn since(&self, modseq: u64) -> Option<Ranges> {
        if modseq < self.floor {
            return None;
        }
        let from = self.entries.partition_point(|entry| entry.modseq <= modseq);
        let later = self.entries.get(from..).unwrap_or_default();
        let spans = later.iter().map(|entry| (entry.first, entry.last));
        Some(Ranges::from_unsorted(spans.collect()))
    }

    /// Adds what another process wrote down of the same folder.
    pub fn absorb(&mut self, other: &History) {
        let floor = self.floor;
        let theirs = other.entries.iter().filter(|entry| entry.modseq > floor);
        self.entries.extend(theirs);
        self.entries
            .sort_unstable_by_key(|entry| (entry.modseq, entry.first, entry.last));
        self.entries.dedup();
        self.floor = self.floor.max(other.floor);
        if let Some(excess) = self.entries.len().checked_sub(LIMIT) {
            self.forget_oldest(excess);
        }
    }

    fn forget_oldest(&mut self, count: usize) {
        let Some(last) = count.checked_sub(1).and_then(|last| self.entries.get(last)) else {
            return;
        };
        // Several entries may have the modseq of the last one that goes: they go with it.
        self.floor = self.floor.max(last.modseq);
        let floor = self.floor;
        self.entries.retain(|entry| entry.modseq > floor);
    }
}

/// 16 octets each.
const LIMIT: usize = 8192;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn neighbours_of_one_batch_share_an_entry() {
        let mut history = History::default();
        for (uid, modseq) in [(4, 10), (5, 10), (6, 11), (2, 11)] {
            history.push(uid, modseq);
        }
        assert_eq!(history.entries().len(), 3);
        assert_eq!(
            history.since(10).map(|ranges| ranges.ranges().to_vec()),
            Some(vec![(2, 2), (6, 6)])
        );
        assert_eq!(
            history.since(0).map(|ranges| ranges.ranges().to_vec()),
            Some(vec![(2, 2), (4, 6)])
        );
    }

    #[test]
    fn what_was_dropped_is_not_claimed_to_be_known() {
        let mut history = History::default();
        for n in 1..=10_000_u32 {
            history.push(2 * n, u64::from(n));
        }
        assert!(history.entries().len() <= LIMIT);
        assert_eq!(history.since(0), None);
        let floor = history.floor();
        assert!(
            history
                .since(floor)
                .is_some_and(|ranges| { ranges.count() == 10_000 - floor })
        );
    }

    #[test]
    fn two_histories_of_one_folder_become_one() {
        let (mut ours, mut theirs) = (History::default(), History::default());
        ours.push(1, 5);
        theirs.push(1, 5);
        theirs.push(7, 6);
        ours.absorb(&theirs);
        assert_eq!(ours.entries().len(), 2);
        assert_eq!(ours, History::from_parts(theirs.entries().to_vec(), 0));
    }
}
