//! Sequence sets, UID sets and UIDs (RFC 3501 9 and RFC 9051 9, `sequence-set`; RFC 5182).
//!
//! What a client wrote is a `SequenceSet`; once the largest number is known it is `Ranges`, which are
//! sorted and merged, so that a set of any size and order costs no more than sorting it.

use super::syntax::{ParseError, Parsed, Reader, fail, write_number};

/// A unique identifier (RFC 9051 2.3.1.1); never 0.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Uid(pub u32);

/// The argument of FETCH, STORE, COPY and the like.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Set {
    Numbers(SequenceSet),
    /// `$`: the result of the last SEARCH RETURN (SAVE) (RFC 5182).
    Saved,
}

/// A `sequence-set` as the client wrote it: pairs of ends in either order, `*` as `STAR`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SequenceSet(Vec<(u32, u32)>);

impl SequenceSet {
    /// The numbers meant when `max` is the largest in the mailbox: `*` is `max`, and nothing if
    /// the mailbox is empty (`max` is 0).  Numbers past `max` stay in; the caller intersects.
    pub fn resolve(&self, max: u32) -> Ranges {
        let end = |n| if n == STAR { max } else { n };
        let ends = self.0.iter().map(|&(a, b)| (end(a), end(b)));
        Ranges::from_unsorted(ends.filter(|&(a, b)| a != 0 && b != 0).collect())
    }

    /// Whether `*` occurs.
    pub fn has_star(&self) -> bool {
        self.0.iter().any(|&(a, b)| a == STAR || b == STAR)
    }
}

impl Reader<'_> {
    /// sequence-set =/ seq-last-command (RFC 5182 5)
    pub fn set(&mut self) -> Parsed<Set> {
        if self.eat(b'$') {
            return Ok(Set::Saved);
        }
        self.sequence_set().map(Set::Numbers)
    }

    /// sequence-set = (seq-number / seq-range) ["," sequence-set]
    pub fn sequence_set(&mut self) -> Parsed<SequenceSet> {
        let mut ends = Vec::with_capacity(self.rest().len().min(SET_GUESS) / 8);
        loop {
            let first = self.seq_number()?;
            let last = if self.eat(b':') {
                self.seq_number()?
            } else {
                first
            };
            ends.push((first, last));
            if !self.eat(b',') {
                return Ok(SequenceSet(ends));
            }
        }
    }

    /// known-uids = sequence-set without `*` (RFC 7162 7)
    pub fn known_uids(&mut self) -> Parsed<Ranges> {
        let set = self.sequence_set()?;
        if set.has_star() {
            return fail("'*' is not allowed here");
        }
        Ok(set.resolve(0))
    }

    /// seq-number = nz-number / "*"
    fn seq_number(&mut self) -> Parsed<u32> {
        const BAD: ParseError = ParseError::Syntax("Invalid sequence set");
        if self.eat(b'*') {
            return Ok(STAR);
        }
        self.nz_number().map_err(|_| BAD)
    }
}

/// Stands for `*`; no number is 0.
const STAR: u32 = 0;

/// A set is at most so many octets for the purpose of guessing its elements.
const SET_GUESS: usize = 64 * 1024;

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

    /// `1:3,7`; nothing for the empty set, which IMAP cannot write.
    pub fn write(&self, out: &mut Vec<u8>) {
        for (index, &(first, last)) in self.0.iter().enumerate() {
            if index > 0 {
                out.push(b',');
            }
            write_number(out, first.into());
            if last > first {
                out.push(b':');
                write_number(out, last.into());
            }
        }
    }
}

/// Whether a range that starts at `first` goes on where one up to `end` stops, or before.
fn touches(end: u32, first: u32) -> bool {
    first <= end.saturating_add(1)
}

#[cfg(test)]
mod tests;
