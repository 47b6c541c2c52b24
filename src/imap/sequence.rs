//! Sequence sets, UID sets and UIDs (RFC 9051 9, `sequence-set`; RFC 3501 9).

/// A unique identifier (RFC 9051 2.3.1.1); never 0.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Uid(pub u32);

/// Ascending, disjoint, non-adjacent inclusive ranges of numbers.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Ranges(Vec<(u32, u32)>);

impl Ranges {
    pub fn new() -> Ranges {
        Ranges::default()
    }

    /// Adds `n`, which is greater than every number already in the set.
    pub fn push(&mut self, n: u32) {
        self.push_range(n, n);
    }

    /// Adds `first..=last`, all greater than every number already in the set.
    pub fn push_range(&mut self, first: u32, last: u32) {
        match self.0.last_mut() {
            Some((_, end)) if end.checked_add(1) == Some(first) => *end = last,
            _ => self.0.push((first, last)),
        }
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

    pub fn contains(&self, n: u32) -> bool {
        self.0
            .binary_search_by(|&(first, last)| {
                if last < n {
                    std::cmp::Ordering::Less
                } else if first > n {
                    std::cmp::Ordering::Greater
                } else {
                    std::cmp::Ordering::Equal
                }
            })
            .is_ok()
    }

    /// How many numbers are in the set.
    pub fn count(&self) -> u64 {
        self.0
            .iter()
            .map(|&(first, last)| u64::from(last) - u64::from(first) + 1)
            .sum()
    }
}

impl Ranges {
    /// Any ranges in any order, either end first, overlapping or not.
    pub fn from_unsorted(ranges: Vec<(u32, u32)>) -> Ranges {
        todo!("{ranges:?}")
    }

    /// Adds `n`, wherever it belongs.
    pub fn insert(&mut self, n: u32) {
        todo!("{n}")
    }

    /// Adds `first..=last`, wherever it belongs.
    pub fn insert_range(&mut self, first: u32, last: u32) {
        todo!("{first} {last}")
    }

    pub fn union(&self, other: &Ranges) -> Ranges {
        todo!("{other:?}")
    }

    pub fn intersect(&self, other: &Ranges) -> Ranges {
        todo!("{other:?}")
    }

    /// The numbers of this set that are not in `other`.
    pub fn difference(&self, other: &Ranges) -> Ranges {
        todo!("{other:?}")
    }

    pub fn first(&self) -> Option<u32> {
        self.0.first().map(|&(first, _)| first)
    }

    pub fn last(&self) -> Option<u32> {
        self.0.last().map(|&(_, last)| last)
    }

    /// `1:3,7`; nothing for the empty set, which IMAP cannot write.
    pub fn write(&self, out: &mut Vec<u8>) {
        todo!("{out:?}")
    }
}

/// A `sequence-set` as the client wrote it, `*` unresolved.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SequenceSet(Vec<(u32, u32)>);

impl SequenceSet {
    /// The numbers meant when `max` is the largest in the mailbox: `*` is `max`, and nothing if
    /// the mailbox is empty (`max` is 0).  Numbers past `max` stay in; the caller intersects.
    pub fn resolve(&self, max: u32) -> Ranges {
        todo!("{max}")
    }

    /// Whether `*` occurs.
    pub fn has_star(&self) -> bool {
        todo!()
    }
}

/// The argument of FETCH, STORE, COPY and the like.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Set {
    Numbers(SequenceSet),
    /// `$`: the result of the last SEARCH RETURN (SAVE) (RFC 5182).
    Saved,
}
