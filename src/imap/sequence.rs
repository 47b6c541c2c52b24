//! Sequence sets and UID sets (RFC 3501 9 and RFC 9051 9, `sequence-set`; RFC 5182).
//!
//! What a client wrote is a `SequenceSet`; once the largest number is known it is `Ranges`, which
//! are sorted and merged, so that a set of any size and order costs no more than sorting it.

use crate::mail::Ranges;

use super::syntax::{ParseError, Parsed, Reader, fail, write_number};

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

impl Ranges {
    /// `1:3,7`; nothing for the empty set, which IMAP cannot write.
    pub fn write(&self, out: &mut Vec<u8>) {
        for (index, &(first, last)) in self.ranges().iter().enumerate() {
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

/// Stands for `*`; no number is 0.
const STAR: u32 = 0;

/// A set is at most so many octets for the purpose of guessing its elements.
const SET_GUESS: usize = 64 * 1024;

#[cfg(test)]
mod tests;
