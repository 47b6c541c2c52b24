//! Sets of numbers, as there are of UIDs and of sequence numbers.

/// Ascending, disjoint, non-adjacent inclusive ranges of numbers.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Ranges(Vec<(u32, u32)>);

impl Ranges {
    pub fn new() -> Ranges {
        Ranges::default()
    }

    /// `first..=last`; nothing if they are the wrong way round.
    pub fn between(first: u32, last: u32) -> Ranges {
        let mut ranges = Ranges::new();
        if first <= last {
            ranges.push_range(first, last);
        }
        ranges
    }

    /// Every number there is; 0 is none.
    pub fn all() -> Ranges {
        Ranges::between(1, u32::MAX)
    }

    /// Any ranges in any order, either end first, overlapping or not.
    pub fn from_unsorted(mut ranges: Vec<(u32, u32)>) -> Ranges {
        for (first, last) in &mut ranges {
            if first > last {
                std::mem::swap(first, last);
            }
        }
        if !ranges.is_sorted() {
            ranges.sort_unstable();
        }
        ranges.dedup_by(|next, previous| {
            let melts = touches(previous.1, next.0);
            if melts {
                previous.1 = previous.1.max(next.1);
            }
            melts
        });
        Ranges(ranges)
    }

    /// Adds `n`, which is greater than every number already in the set.
    pub fn push(&mut self, n: u32) {
        self.push_range(n, n);
    }

    /// Adds `first..=last`, all greater than every number already in the set.
    pub fn push_range(&mut self, first: u32, last: u32) {
        debug_assert!(first <= last && self.last().is_none_or(|end| end < first));
        match self.0.last_mut() {
            Some((_, end)) if touches(*end, first) => *end = last.max(*end),
            _ => self.0.push((first, last)),
        }
    }

    /// Adds `first..=last`, wherever it belongs.
    pub fn insert_range(&mut self, first: u32, last: u32) {
        if first > last {
            return;
        }
        // The ranges from `begin` to before `end` melt into the new one.
        let begin = self
            .0
            .partition_point(|&(_, before)| !touches(before, first));
        let end = self.0.partition_point(|&(after, _)| touches(last, after));
        let melted = self.0.get(begin..end).unwrap_or_default();
        let first = melted.first().map_or(first, |&(start, _)| start.min(first));
        let last = melted.last().map_or(last, |&(_, stop)| stop.max(last));
        self.0.splice(begin..end.max(begin), [(first, last)]);
    }

    /// Takes the first `count` numbers out of the set, or all there are.
    pub fn take_first(&mut self, count: u32) -> Ranges {
        let mut left = count;
        let mut whole = 0;
        let mut taken = Ranges::new();
        for &(first, last) in &self.0 {
            let more = last - first;
            if left == 0 {
                break;
            }
            if more < left {
                taken.push_range(first, last);
                left -= more + 1;
                whole += 1;
                continue;
            }
            taken.push_range(first, first + (left - 1));
            break;
        }
        self.0.drain(..whole);
        if let (Some((first, _)), Some(end)) = (self.0.first_mut(), taken.last())
            && *first <= end
        {
            *first = end + 1;
        }
        taken
    }

    pub fn intersect(&self, other: &Ranges) -> Ranges {
        let mut both = Ranges::new();
        let (mut ours, mut theirs) = (self.0.iter().peekable(), other.0.iter().peekable());
        while let (Some(&&(a, b)), Some(&&(c, d))) = (ours.peek(), theirs.peek()) {
            if a.max(c) <= b.min(d) {
                both.push_range(a.max(c), b.min(d));
            }
            if b < d {
                ours.next()
            } else {
                theirs.next()
            };
        }
        both
    }

    /// The numbers of this set that are not in `other`.
    pub fn difference(&self, other: &Ranges) -> Ranges {
        let mut left = Ranges::new();
        let mut holes = other.0.iter().peekable();
        'ranges: for &(mut first, last) in &self.0 {
            while holes.next_if(|&&(_, end)| end < first).is_some() {}
            while let Some(&&(start, end)) = holes.peek()
                && start <= last
            {
                if first < start {
                    left.push_range(first, start - 1);
                }
                if end >= last {
                    continue 'ranges;
                }
                first = end + 1;
                holes.next();
            }
            left.push_range(first, last);
        }
        left
    }

    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub fn ranges(&self) -> &[(u32, u32)] {
        &self.0
    }

    pub fn iter(&self) -> impl Iterator<Item = u32> + '_ {
        self.0.iter().flat_map(|&(first, last)| first..=last)
    }

    pub fn last(&self) -> Option<u32> {
        self.0.last().map(|&(_, last)| last)
    }

    pub fn contains(&self, n: u32) -> bool {
        let at = self.0.partition_point(|&(_, last)| last < n);
        self.0.get(at).is_some_and(|&(first, _)| first <= n)
    }

    /// How many numbers are in the set.
    pub fn count(&self) -> u64 {
        let size = |&(first, last): &(u32, u32)| u64::from(last) - u64::from(first) + 1;
        self.0.iter().map(size).sum()
    }
}

/// Whether a range that starts at `first` goes on where one up to `end` stops, or before.
fn touches(end: u32, first: u32) -> bool {
    first <= end.saturating_add(1)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::BTreeSet;

    /// A way to compute with sets that cannot be wrong.
    fn members(ranges: &Ranges) -> BTreeSet<u32> {
        ranges.iter().collect()
    }

    fn is_normal(ranges: &Ranges) -> bool {
        ranges.ranges().iter().all(|(first, last)| first <= last)
            && ranges
                .ranges()
                .windows(2)
                .all(|pair| pair[0].1 + 1 < pair[1].0)
    }

    fn some_ranges() -> impl Strategy<Value = Ranges> {
        proptest::collection::vec((1u32..60, 1u32..60), 0..8).prop_map(Ranges::from_unsorted)
    }

    proptest! {
        #[test]
        fn set_arithmetic_is_that_of_sets(a in some_ranges(), b in some_ranges(), n in 1u32..60, m in 1u32..60) {
            let (x, y) = (members(&a), members(&b));
            for (ranges, expected) in [
                (a.intersect(&b), &x & &y),
                (a.difference(&b), &x - &y),
            ] {
                prop_assert!(is_normal(&ranges), "{:?}", ranges);
                prop_assert_eq!(members(&ranges), expected);
            }
            let mut c = a.clone();
            c.insert_range(n, m);
            prop_assert!(is_normal(&c), "{:?}", c);
            prop_assert_eq!(members(&c), &x | &(n..=m).collect());
            let mut rest = a.clone();
            let first = rest.take_first(n);
            prop_assert!(is_normal(&rest) && is_normal(&first), "{:?}", (rest, first));
            prop_assert!(members(&first).iter().copied().eq(x.iter().copied().take(n as usize)));
            prop_assert!(members(&rest).iter().copied().eq(x.iter().copied().skip(n as usize)));
            prop_assert_eq!(a.contains(n), x.contains(&n));
            prop_assert_eq!(a.count(), x.len() as u64);
        }

        #[test]
        fn numbers_at_the_top_do_not_overflow(a in u32::MAX - 5.., b in u32::MAX - 5.., c in u32::MAX - 5..) {
            let mut ranges = Ranges::from_unsorted(vec![(a, b), (c, c)]);
            ranges.insert_range(a, a);
            ranges.insert_range(c, u32::MAX);
            let _ = ranges.difference(&Ranges(vec![(b, b)]));
            let _ = ranges.intersect(&Ranges(vec![(b, u32::MAX)]));
            prop_assert!(ranges.contains(u32::MAX));
        }
    }
}
