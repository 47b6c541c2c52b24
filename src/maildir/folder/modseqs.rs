//! Modseqs of a folder (RFC 7162): never twice, never back, and in step with Dovecot's.
//!
//! A client may come to us today and to a Dovecot on the same Maildir tomorrow, with the greatest
//! modseq it was told by either.  So each modseq we give is above Dovecot's HIGHESTMODSEQ, and
//! before a client is told it Dovecot's is raised above it.  Where Dovecot has no index it gets one
//! that says nothing but that, or the way to it would lose changes.  Its log is raised by many
//! modseqs at once, so that it stays short though nobody rotates it.

use std::fmt;
use std::path::Path;
use std::time::SystemTime;

use super::dirs::Dirs;
use super::state::history::History;
use super::{Folder, FolderError};
use crate::mail::{Fsync, Ranges};
use crate::maildir::disk::dir::{Access, DiskResult};
use crate::maildir::disk::report;
use crate::maildir::dovecot::modseq::{DovecotLog, LogSummary, Raised};
use crate::maildir::own::counter::{FoundCounter, GivenModseq, Heard, ModseqCounter};

pub(super) struct Modseqs {
    counter: ModseqCounter,
    dovecot: DovecotLog,
    /// There was an index of Dovecot's at the last look.
    has_dovecot: bool,
    /// HIGHESTMODSEQ.
    highest: u64,
    /// Dovecot's number may be lower than ours, which was given at this time.
    owed: Option<SystemTime>,
    /// Dovecot's number, as we have raised it: some way ahead, so that its log grows by one record
    /// for many changes.
    raised: u64,
    /// Messages that count as changed, because it is not certain what was told of them.
    pub doubtful: Vec<(u32, u32)>,
    /// Nothing was found of earlier modseqs when the folder was opened, nor an index.
    unfounded: bool,
}

impl fmt::Debug for Modseqs {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Modseqs")
            .field("counter", &self.counter)
            .field("highest", &self.highest)
            .finish_non_exhaustive()
    }
}

impl Modseqs {
    pub fn open(
        dirs: &Dirs,
        directory: &Path,
        fsync: Fsync,
    ) -> Result<(Modseqs, FoundCounter), FolderError> {
        let (counter, found) = ModseqCounter::open(dirs.index.clone(), fsync != Fsync::Never);
        let modseqs = Modseqs {
            counter,
            dovecot: DovecotLog::new(directory),
            has_dovecot: false,
            highest: 1,
            owed: None,
            raised: 0,
            doubtful: Vec::new(),
            unfounded: false,
        };
        Ok((modseqs, found))
    }

    pub fn highest(&self) -> u64 {
        self.highest
    }

    /// `highest` has been given to somebody.
    pub fn take_over(&mut self, highest: u64) {
        self.highest = self.highest.max(highest);
        self.counter.raise(self.highest);
    }

    /// What Dovecot's index says, if there is one that can be read.
    pub fn dovecot(&mut self) -> Option<&LogSummary> {
        let summary = match self.dovecot.read() {
            Ok(summary) => summary,
            Err(error) => {
                report::without(&error, WITHOUT_DOVECOT);
                None
            }
        };
        self.has_dovecot = summary.is_some();
        summary
    }

    /// Whether other processes have given modseqs since the last look.
    pub fn are_behind(&self) -> DiskResult<bool> {
        self.counter.is_behind()
    }

    /// The index that is about to be written has all that was ever given, and all that may have
    /// been.
    pub fn close_ranks(&mut self) {
        self.highest = self.highest.max(self.counter.last());
    }

    /// What was given is on the disk when this returns.
    pub fn settle(&self) -> DiskResult<()> {
        self.counter.settle()
    }

    /// Dovecot's HIGHESTMODSEQ, unless we have raised it to where it is.
    fn given_by_dovecot(&mut self) -> u64 {
        let theirs = self.dovecot().map_or(0, |found| found.highest_modseq);
        match theirs == self.raised {
            true => 0,
            false => theirs,
        }
    }

    /// Everything that was given is in the index now.
    pub fn restart(&mut self, access: &Access) -> DiskResult<()> {
        self.counter.raise(self.highest);
        self.counter.restart(access)
    }

    /// Notes that the message was given `modseq`, which clients may be told from now on.
    pub fn give(&mut self, uid: u32, modseq: u64) {
        self.counter.give(uid, modseq);
        self.highest = self.highest.max(modseq);
    }

    pub fn give_range(&mut self, first: u32, last: u32, modseq: u64) {
        self.counter.give_range(first, last, modseq);
        self.highest = self.highest.max(modseq);
    }

    pub fn least_unused_uid(&self) -> u32 {
        self.counter.least_unused_uid()
    }

    /// If Dovecot has no index, `make` makes one for it to start from.
    fn raise_dovecot(&mut self, make: bool) {
        let Some(issued) = self.owed else {
            return;
        };
        if self.highest <= self.raised {
            self.owed = None;
            return;
        }
        if !make && !self.has_dovecot {
            return;
        }
        let ahead = match self.highest {
            0..CLOCK => AHEAD,
            _ => AHEAD_BY_CLOCK,
        };
        let to = self.highest.saturating_add(ahead);
        match self.dovecot.raise(to, make, issued) {
            Ok(Raised::Done) => {
                self.owed = None;
                self.raised = to;
            }
            Ok(Raised::Unknown) => self.owed = None,
            // It is tried again with the next modseq, and when the folder is closed.
            Ok(Raised::Busy) => (),
            Err(error) => report::without(&error, WITHOUT_DOVECOT),
        }
    }
}

/// The UIDs of all these, each once.
fn uids_of(given: &[GivenModseq]) -> Ranges {
    Ranges::from_unsorted(
        given
            .iter()
            .map(|given| (given.first, given.last))
            .collect(),
    )
}

impl Folder {
    /// Finds out where to go on, after the index has been read.
    pub(super) fn start_modseqs(&mut self, found: FoundCounter, now: SystemTime) {
        let have_index = self.uids.uid_validity != 0;
        match (found, have_index) {
            (
                FoundCounter::Records {
                    given,
                    base,
                    abandoned,
                    ..
                },
                true,
            ) => {
                // Just before a crash they may have been changed back to what the index has, so
                // that the files do not show the change.
                self.modseqs.doubtful = uids_of(&given).ranges().to_vec();
                // What was told and then lost, flags and modseqs, is not known.
                if abandoned || base > self.modseqs.highest {
                    self.modseqs.doubtful = vec![(1, u32::MAX)];
                }
                for given in given {
                    self.modseqs.take_over(given.modseq);
                }
            }
            (FoundCounter::Records { last, .. }, false) => self.modseqs.take_over(last),
            (FoundCounter::Nothing, true) => {
                self.modseqs.counter.lose(now);
                self.modseqs.doubtful = vec![(1, u32::MAX)];
            }
            (FoundCounter::Nothing, false) => self.modseqs.unfounded = true,
        }
    }

    /// The uidlist was read for the first time, without an index: `is_new` if there was none.
    pub(super) fn found_modseqs(&mut self, is_new: bool, now: SystemTime) {
        if !std::mem::take(&mut self.modseqs.unfounded) {
            return;
        }
        let dovecot = self
            .modseqs
            .dovecot()
            .map_or(0, |found| found.highest_modseq);
        if dovecot > 0 {
            self.modseqs.take_over(dovecot);
        } else if !is_new {
            // Another process served these UIDs, and may have told modseqs that are not known any
            // more.
            self.modseqs.counter.lose(now);
            self.modseqs.highest = self.modseqs.counter.last();
        }
    }

    /// A client to which Dovecot has told a modseq must not be told a lower one by us.  The other
    /// way round is the same, if Dovecot has lost its index.
    pub(super) fn follow_dovecot(&mut self, now: SystemTime) {
        let modseqs = &mut self.modseqs;
        let theirs = modseqs.dovecot().map_or(0, |found| found.highest_modseq);
        if theirs < modseqs.highest {
            modseqs.raised = 0;
            modseqs.owed.get_or_insert(now);
        }
        if theirs > modseqs.highest && theirs != modseqs.raised {
            modseqs.take_over(theirs);
            self.stale = true;
        }
    }

    /// The modseq for the next batch of changes; needs the lock.
    pub fn next_modseq(&mut self, now: SystemTime) -> Result<u64, FolderError> {
        self.hear_of_modseqs()?;
        let dovecot = self.modseqs.given_by_dovecot();
        let modseqs = &mut self.modseqs;
        modseqs.counter.raise(dovecot.max(modseqs.highest));
        let modseq = modseqs.counter.issue(&self.dirs.access, now);
        modseqs.owed = Some(now);
        self.stale = true;
        Ok(modseq)
    }

    /// The files show what other processes have changed, but not what they have changed back.  So
    /// messages to which others gave modseqs get these modseqs here too.  Needs the lock.
    pub(super) fn heed_modseqs(&mut self) -> DiskResult<()> {
        match self.modseqs.counter.is_behind()? {
            true => self.hear_of_modseqs(),
            false => Ok(()),
        }
    }

    /// What is heard is not written, or two processes would tell each other for ever.
    fn hear_of_modseqs(&mut self) -> DiskResult<()> {
        let Heard { given, begun_anew } = self.modseqs.counter.refresh();
        if begun_anew && let Err(error) = self.absorb_foreign_index() {
            self.warn("cannot read the index that another process wrote", &error);
        }
        self.stale |= !given.is_empty();
        for GivenModseq {
            modseq,
            first,
            last,
        } in given
        {
            self.modseqs.take_over(modseq);
            let from = self.table.index_of(first).unwrap_or_else(|at| at);
            for index in from..self.table.len() {
                match self.table.row_mut(index) {
                    Some(row) if row.uid().0 <= last => row.modseq = row.modseq.max(modseq),
                    _ => break,
                }
            }
        }
        Ok(())
    }

    /// UIDs that were given since the last time, but none of their messages has been seen: another
    /// program served them and removed them again.  Some client may have been told of them, so
    /// they go into the history, with a modseq of their own.
    pub(super) fn unseen_uids(&self) -> Vec<(u32, u32)> {
        let mut unseen = Vec::new();
        if !self.served && self.index.is_none() {
            // The history begins when all has been looked at.
            return unseen;
        }
        let mut next = self.uids.accounted;
        let from = self.table.index_of(next).unwrap_or_else(|at| at);
        for row in self.table.rows().get(from..).unwrap_or_default() {
            let uid = row.uid().0;
            if next < uid {
                unseen.push((next, uid - 1));
            }
            next = uid.saturating_add(1);
        }
        if next < self.uids.next {
            unseen.push((next, self.uids.next - 1));
        }
        unseen
    }

    pub(super) fn account_for(&mut self, unseen: &[(u32, u32)], modseq: u64) {
        for &(first, last) in unseen {
            self.history.push_range(first, last, modseq);
            self.modseqs.give_range(first, last, modseq);
        }
        self.uids.accounted = self.uids.next;
    }

    /// The messages with these UIDs count as changed.
    pub(super) fn freshen(&mut self, first: u32, last: u32, modseq: u64) {
        let from = self.table.index_of(first).unwrap_or_else(|at| at);
        for index in from..self.table.len() {
            match self.table.row_mut(index) {
                Some(row) if row.uid().0 <= last => {
                    if !row.is_gone() {
                        row.modseq = modseq;
                        self.modseqs.give(row.uid().0, modseq);
                    }
                }
                _ => break,
            }
        }
        self.stale = true;
    }

    /// Nothing is known of what was expunged before now.
    pub(super) fn forget_history(&mut self) {
        self.history = History::starting_at(self.modseqs.highest());
    }

    /// Writes down the modseqs given since the last time, here and for Dovecot.
    pub(super) fn write_modseqs(&mut self) {
        self.modseqs.counter.write(&self.dirs.access);
        self.modseqs.raise_dovecot(false);
    }

    /// Makes the UIDs durable that were given so far.  To be called before a client is told UIDs or
    /// UIDNEXT after a sync; cheap when nothing is pending.  Modseqs are known to others, Dovecot
    /// too, when the lock is released under which they were given.
    pub fn settle(&mut self) -> Result<(), FolderError> {
        self.settle_uids()?;
        self.write_modseqs();
        self.modseqs.raise_dovecot(true);
        Ok(())
    }
}

/// How far Dovecot's HIGHESTMODSEQ is raised above what was given.
const AHEAD: u64 = 1000;
/// How far it is raised where modseqs come from the clock: by a minute.
const AHEAD_BY_CLOCK: u64 = 60_000_000;
/// Less than any microsecond since 2005, and more than any count reaches.
const CLOCK: u64 = 1 << 50;
const WITHOUT_DOVECOT: &str =
    "modseqs are counted without Dovecot's, whose clients may miss changes";
