//! Finding out what changed: the quick look at times, the listing in slices, single events.

use std::time::{Duration, SystemTime};

use super::judge::{Suspicion, Vanishing, doubt, suspect};
use super::sync::Marks;
use super::{Change, Folder, FolderError};
use crate::mail::Flags;
use crate::maildir::disk::dir::{Dir, FileKind, Listing, Stat};
use crate::maildir::disk::filename::Filename;
use crate::maildir::disk::watch::{Event, Place};
use crate::maildir::own::index::DirState;

/// How far a resumable operation came.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use]
pub enum Step {
    Done,
    /// The slice of time was used up; call again when others had their turn.
    Again,
    /// Another process holds the folder's lock, or a file that vanished may come back under another
    /// name: call again in a little while (some 20 ms).
    Locked,
}

/// How to look at the directory.
#[derive(Clone, Copy, Debug, Default)]
pub struct Look {
    /// Move what lies in new/ to cur/ (a mailbox selected for writing, RFC 3501 2.3.2 \Recent).
    pub move_new: bool,
    /// Scan even if nothing seems to have changed.
    pub force_scan: bool,
}

/// What a sync is about when its slice is over.
#[derive(Debug, Default)]
pub(super) enum Work {
    #[default]
    Idle,
    Listing(Box<Scan>),
    Resolving,
}

/// A scan of new/, and of cur/ too if it is full.
#[derive(Debug)]
pub(super) struct Scan {
    listing: Listing,
    place: Place,
    full: bool,
    /// This is the second look for what the first did not see.
    second: bool,
    marks: Marks,
    /// The directories before they were listed.
    cur: DirState,
    new: DirState,
    /// The last change is long enough ago for another change to show.
    settled: bool,
}

impl Work {
    pub fn is_idle(&self) -> bool {
        matches!(self, Work::Idle)
    }
}

impl Folder {
    /// Makes the table true: quick if nothing changed, else scans in slices.
    pub fn sync(
        &mut self,
        look: Look,
        now: SystemTime,
        over: &dyn Fn() -> bool,
    ) -> Result<Step, FolderError> {
        self.clock = now;
        if self.is_committing() || self.settles_at.is_some_and(|at| now < at) {
            return Ok(Step::Locked);
        }
        self.settles_at = None;
        if !matches!(&self.work, Work::Listing(scan) if scan.second) {
            self.release_batch_lock();
        }
        if let Some(told) = self.told {
            if !self.lock_for_batch(now)? {
                return Ok(Step::Locked);
            }
            self.go_on_from(told)?;
            self.told = None;
            self.release_batch_lock();
        }
        loop {
            match std::mem::take(&mut self.work) {
                Work::Idle => {
                    // This takes as many slices as needed.  It ends even if names never stop
                    // moving.
                    if self.looks == LOOKS || !self.begin(look, now)? {
                        return self.finish(now);
                    }
                    self.looks += 1;
                }
                Work::Listing(scan) => match self.list_on(scan, now, over) {
                    Ok(Step::Done) => (),
                    Ok(step) => return Ok(step),
                    Err(error) => {
                        self.release_batch_lock();
                        return Err(error);
                    }
                },
                Work::Resolving => match self.resolve(look, now, over)? {
                    Step::Done if self.scan_wanted => (),
                    Step::Done => return self.finish(now),
                    step => {
                        self.work = Work::Resolving;
                        return Ok(step);
                    }
                },
            }
        }
    }

    /// Whether something has happened that the watch may not have told yet.
    pub fn changed_lately(&mut self, now: SystemTime) -> Result<bool, FolderError> {
        let (cur, new) = self.stat_directories()?;
        Ok(age(&cur, now) < EVENT_DELAY || age(&new, now) < EVENT_DELAY)
    }

    fn finish(&mut self, now: SystemTime) -> Result<Step, FolderError> {
        self.looks = 0;
        if !self.served && !self.settle_on_validity(now)? {
            return Ok(Step::Locked);
        }
        let first = !std::mem::replace(&mut self.served, true);
        if first && self.index.is_none() {
            self.forget_history();
            self.uids.accounted = self.uids.next;
        }
        if first {
            self.sweep_tmp(now);
        }
        if self.bury_wanted {
            self.bury();
        }
        Ok(self.await_suspects(now))
    }

    /// Waits for a name that vanished a moment ago, but not if there is always another one.
    fn await_suspects(&mut self, now: SystemTime) -> Step {
        if self.suspects.is_empty() {
            self.suspicious = None;
            return Step::Done;
        }
        let since = *self.suspicious.get_or_insert(now);
        let waited = now.duration_since(since).unwrap_or(SUSPENSE);
        if waited < SUSPENSE {
            return Step::Locked;
        }
        self.suspicious = None;
        Step::Done
    }

    /// Asks for a scan, to find out what became of a message that is not found.
    pub fn want_scan(&mut self) {
        self.scan_wanted = true;
    }

    /// Brings the table up to date with what other programs did: takes what the watch saw, and if
    /// that does not say everything, asks the directories too.  `thorough` asks them in any case.
    /// Resumable.
    pub fn look(
        &mut self,
        look: Look,
        thorough: bool,
        now: SystemTime,
        over: &dyn Fn() -> bool,
    ) -> Result<Step, FolderError> {
        let room = self.table.len().min(EVENTS_MAX);
        let events = self.watch.as_ref().map(|end| end.take(room));
        let events = events.unwrap_or_default();
        if !events.is_empty() {
            let step = self.handle_events(events.into_iter(), look, now, over)?;
            self.unfinished |= step != Step::Done;
        }
        self.unfinished |= self.scan_wanted;
        if let Some(until) = self.caught_up.take() {
            self.seen_until = Some(until);
        }
        if self.watched && !thorough && !self.unfinished {
            return Ok(Step::Done);
        }
        let step = self.sync(look, now, over)?;
        self.unfinished &= step != Step::Done;
        Ok(step)
    }

    /// Takes in what the watch saw, without a scan.  After `Again` and `Locked` [`Folder::sync`]
    /// goes on with it.
    ///
    /// All events are taken in before anything is done about them, so a message that was renamed a
    /// thousand times since the last look costs one look at its file.
    pub(super) fn handle_events(
        &mut self,
        events: impl Iterator<Item = Event>,
        look: Look,
        now: SystemTime,
        over: &dyn Fn() -> bool,
    ) -> Result<Step, FolderError> {
        self.clock = now;
        for event in events {
            self.note_event(&event, now)?;
        }
        if self.scan_wanted {
            return Ok(Step::Again);
        }
        let nothing = self.findings.is_empty() && !self.has_found_records();
        if nothing && self.suspects.is_empty() {
            return Ok(Step::Done);
        }
        if !self.served || !self.work.is_idle() || self.is_committing() {
            return Ok(Step::Again);
        }
        if nothing {
            return Ok(Step::Locked);
        }
        let step = self.resolve(look, now, over)?;
        if step == Step::Again {
            self.work = Work::Resolving;
        }
        Ok(match step {
            Step::Done if self.scan_wanted => Step::Again,
            Step::Done if !self.suspects.is_empty() => Step::Locked,
            step => step,
        })
    }

    fn note_event(&mut self, event: &Event, now: SystemTime) -> Result<(), FolderError> {
        self.touched = true;
        match event {
            Event::Rescan => self.scan_wanted = true,
            Event::Watched => {
                self.set_watched(true);
                self.scan_wanted = true;
            }
            Event::Lost => {
                self.set_watched(false);
                self.scan_wanted = true;
                self.check_place()?;
            }
            Event::Appeared { place, name } => {
                self.acquit(*place, name);
                if self.is_message(*place, name) {
                    let (table, listed) = (&mut self.table, &mut self.uids.listed);
                    self.findings.see(*place, name, table, listed, None);
                }
            }
            Event::Vanished {
                place,
                name,
                unlinked,
            } => self.suspect(*place, name, *unlinked, now),
        }
        Ok(())
    }

    /// What the events of a new name do not say.  The name of a message is that message's.
    fn is_message(&mut self, place: Place, name: &[u8]) -> bool {
        let is_known = Filename::parse(name).is_some_and(|file| {
            self.table.find_live(file.base).is_some() || self.uids.listed.find(file.base).is_some()
        });
        let dir = self.dirs.at(place);
        is_known || dir.is_file(name, FileKind::Unknown).unwrap_or(false)
    }

    /// The name that had vanished is there again.
    fn acquit(&mut self, place: Place, name: &[u8]) {
        if !self.suspects.is_empty()
            && let Some(file) = Filename::parse(name)
            && let Some(index) = self.table.find_live(file.base)
            && self.table.is_at(index, place, file.info)
        {
            self.suspects.remove(&self.table.uid(index));
        }
    }

    pub(super) fn has_found_records(&self) -> bool {
        let listed = &self.uids.listed;
        (0..listed.len()).any(|index| listed.is_found(index))
    }

    /// A name vanished.  It was a rename if the same message appears under another name, and the
    /// two events come one right behind the other.
    fn suspect(&mut self, place: Place, name: &[u8], unlinked: bool, now: SystemTime) {
        let Some(file) = Filename::parse(name) else {
            return;
        };
        let Some(index) = self.table.find_live(file.base) else {
            return;
        };
        let uid = self.table.uid(index);
        let vanishing = Vanishing {
            unlinked,
            ours: self.table.is_at(index, place, file.info),
            linked: self.linked.contains(&uid),
            suspected: self.suspects.contains_key(&uid),
        };
        match suspect(vanishing) {
            Suspicion::None => (),
            Suspicion::Begins => drop(self.suspects.insert(uid, now)),
            Suspicion::Missed => {
                self.suspects.remove(&uid);
                self.findings.missing.push(uid);
            }
        }
    }

    /// Whether our directory is still the one that has the folder's name.
    pub(super) fn check_place(&self) -> Result<(), FolderError> {
        let there = match Dir::open(&self.path) {
            Err(error) if super::super::disk::dir::is_gone(&error) => {
                return Err(FolderError::Missing);
            }
            other => other?.stat_self()?,
        };
        match there.is_same_file(&self.dirs.opened) {
            true => Ok(()),
            false => Err(self.replaced("")),
        }
    }

    /// `part`: of the folder's path.
    pub(super) fn replaced(&self, part: &str) -> FolderError {
        FolderError::Replaced(format!(
            "{}{part}: another directory took the place of the one that was there",
            self.path.display()
        ))
    }

    /// Decides what is to be done; false: nothing.
    fn begin(&mut self, look: Look, now: SystemTime) -> Result<bool, FolderError> {
        self.check_place()?;
        if self.uids.uid_validity != 0 {
            self.follow_dovecot(now);
        }
        let mut renamed = self.keywords.refresh(&self.dirs.control);
        if self.keywords.is_unreadable() {
            let letters = self.table.rows().iter().map(|row| row.flags().keywords);
            renamed |= self
                .keywords
                .stand_in(letters.fold(0, |all, letters| all | letters));
        }
        if renamed {
            self.changes.push(Change::Keywords);
        }
        let (cur, new) = self.stat_directories()?;
        if !self.dirs.are(&cur, &new) {
            self.dirs.reopen()?;
            self.scan_wanted = true;
        }
        self.record_directories(now);
        let full = look.force_scan || self.scan_wanted || self.must_list(&self.cur, &cur, now);
        if full || self.must_list(&self.new, &new, now) {
            self.begin_scan(full, now)?;
            return Ok(true);
        }
        if self.watched && self.cur.holds(&cur) && self.new.holds(&new) {
            self.trusts_watch = true;
        }
        let due = self.suspects.values().any(|since| is_due(*since, now));
        let to_move = look.move_new && self.counts.in_new > self.stuck;
        let resolve = due
            || to_move
            || !self.modseqs.doubtful.is_empty()
            || !self.findings.is_empty()
            || self.has_found_records()
            || self.modseqs.are_behind()?
            || self.uids.changed(&self.dirs.control)?;
        if resolve {
            self.work = Work::Resolving;
        }
        Ok(resolve)
    }

    pub(super) fn stat_directories(&mut self) -> Result<(Stat, Stat), FolderError> {
        for _ in 0..2 {
            let dir = &self.dirs.dir;
            if let (Some(cur), Some(new)) = (dir.stat_target(b"cur")?, dir.stat_part(b"new")?) {
                return Ok((cur, new));
            }
            // Removed under us, with all that was in it.
            self.dirs.reopen()?;
            self.scan_wanted = true;
        }
        Err(self.replaced("/cur"))
    }

    fn must_list(&self, known: &DirState, stat: &Stat, now: SystemTime) -> bool {
        if !self.trusts_watch || known.inode != stat.inode {
            return must_list(known, stat, now);
        }
        // An event may be on its way; if none comes the watch does not see everything (NFS).
        known.mtime != stat.mtime && age(stat, now) >= EVENT_DELAY
    }

    /// What the watch saw, or we did, is in the table: take the directories as they are now, but as
    /// dirty if something may have happened that the watch has not told yet.
    pub(super) fn record_directories(&mut self, now: SystemTime) {
        if !self.trusts_watch {
            return;
        }
        let dir = self.dirs.dir.clone();
        let unresolved = self.scan_wanted || !self.findings.is_empty() || !self.suspects.is_empty();
        let seen_until = self.seen_until.filter(|until| *until <= now && !unresolved);
        for (name, known) in [(b"cur", &mut self.cur), (b"new", &mut self.new)] {
            if let Ok(Some(stat)) = dir.stat_part(name)
                && stat.inode == known.inode
                && (self.touched || stat.mtime == known.mtime)
            {
                let clean = stat.mtime == known.mtime && !known.dirty && !unresolved;
                let seen = seen_until.is_some_and(|until| is_settled(&stat, until));
                let recorded = DirState {
                    dirty: !clean && !seen,
                    ..DirState::of(&stat)
                };
                self.stale |= recorded != *known;
                *known = recorded;
            }
        }
        self.touched = false;
    }

    fn begin_scan(&mut self, full: bool, now: SystemTime) -> Result<(), FolderError> {
        let (cur, new) = self.stat_directories()?;
        if full {
            self.scan_wanted = false;
            // Records read from now on may be of files that the scan does not see any more.
            if self.uids.uid_validity == 0 || self.uids.changed(&self.dirs.control)? {
                self.read_uids_for_scan(now)?;
            }
            self.uids.scanned = self.uids.listed.last_uid();
        }
        self.work = Work::Listing(Box::new(Scan {
            listing: self.dirs.new.list()?,
            place: Place::New,
            full,
            second: false,
            marks: Marks::for_rows(self.table.len()),
            settled: is_settled(&cur, now) && is_settled(&new, now),
            cur: state(&cur, now),
            new: state(&new, now),
        }));
        Ok(())
    }

    /// The uidlist before a scan, so that files can be told from the first; if the lock is busy
    /// they are strangers until later.
    fn read_uids_for_scan(&mut self, now: SystemTime) -> Result<(), FolderError> {
        let held = !matches!(self.held, super::Held::No);
        if self.lock(now)? {
            let read = self.refresh_uids(now);
            if !held {
                self.unlock();
            }
            read?;
        }
        Ok(())
    }

    /// Lists on, to the end or that of the slice.
    ///
    /// A rename while we list may hide a file, and a program that sets flags on a whole folder may
    /// hide one from two looks.  So the second look is under the folder's lock, which programs take
    /// that rename so much.  The lock is kept until the findings are finished.
    fn list_on(
        &mut self,
        mut scan: Box<Scan>,
        now: SystemTime,
        over: &dyn Fn() -> bool,
    ) -> Result<Step, FolderError> {
        loop {
            if self.list_chunk(&mut scan)? {
                if over() {
                    self.work = Work::Listing(scan);
                    return Ok(Step::Again);
                }
                continue;
            }
            if scan.full && scan.place == Place::New {
                scan.place = Place::Cur;
                scan.listing = self.dirs.cur.list()?;
                continue;
            }
            self.findings.miss(&self.table, &scan.marks, !scan.full);
            let missing = !self.findings.missing.is_empty();
            // A process that gives UIDs holds the lock until their files are there, so only under
            // the lock does a record without a file mean that the file is gone.
            let unfound = scan.full && self.uids.has_unfound();
            // In a listing that begins a table nothing is missing, whatever it did not show.
            let first = !self.served;
            let quiet = !(missing || unfound || first) || self.is_quiet(&scan)?;
            if scan.second || (quiet && !unfound) {
                self.end_scan(&scan, quiet)?;
                return Ok(Step::Done);
            }
            self.findings.missing.clear();
            if !self.lock_for_batch(now)? {
                // Nothing is left to list: this comes straight here again.
                self.work = Work::Listing(scan);
                return Ok(Step::Locked);
            }
            let (cur, new) = self.stat_directories()?;
            // What the first listing saw may have gone while it went on, or while somebody else had
            // the lock.
            scan.marks = Marks::for_rows(self.table.len());
            self.uids.forget_found();
            scan.second = true;
            scan.full = true;
            scan.place = Place::New;
            scan.listing = self.dirs.new.list()?;
            (scan.cur, scan.new) = (state(&cur, now), state(&new, now));
            scan.settled = is_settled(&cur, now) && is_settled(&new, now);
        }
    }

    fn list_chunk(&mut self, scan: &mut Scan) -> Result<bool, FolderError> {
        let Scan {
            place,
            listing,
            marks,
            ..
        } = scan;
        let dir = self.dirs.at(*place);
        let (findings, table, listed) =
            (&mut self.findings, &mut self.table, &mut self.uids.listed);
        let more = listing.next_chunk(&mut |name, kind| {
            if dir.is_file(name, kind).unwrap_or(false) {
                findings.see(*place, name, table, listed, Some(marks));
            }
        })?;
        Ok(more)
    }

    /// Nothing was renamed while the scan ran, so it missed nothing.
    fn is_quiet(&mut self, scan: &Scan) -> Result<bool, FolderError> {
        let (cur, new) = self.stat_directories()?;
        Ok(scan.settled && scan.new.mtime == new.mtime && scan.cur.mtime == cur.mtime)
    }

    /// `quiet`: nothing was renamed while the last listing ran.
    fn end_scan(&mut self, scan: &Scan, quiet: bool) -> Result<(), FolderError> {
        self.new = scan.new;
        if scan.full {
            self.cur = scan.cur;
            self.drop_unfound(quiet)?;
            self.trusts_watch |= self.watched;
        }
        self.doubt_missing(quiet);
        if scan.second {
            // Listed twice.
            self.findings.strangers.sort();
        }
        self.stuck = 0;
        self.stale = true;
        self.work = Work::Resolving;
        Ok(())
    }

    /// Two listings did not show these messages.  If names were moving all the while, that says
    /// little, and only messages that the scan before missed as well count as missing.
    fn doubt_missing(&mut self, quiet: bool) {
        let doubted = std::mem::take(&mut self.doubted);
        self.findings.unsure = !quiet && !self.findings.missing.is_empty();
        let missing = std::mem::take(&mut self.findings.missing);
        (self.findings.missing, self.doubted) = doubt(missing, &doubted, quiet);
        self.scan_wanted |= !self.doubted.is_empty();
    }

    /// After a full scan: records read before it whose file was not seen are gone for good.
    fn drop_unfound(&mut self, quiet: bool) -> Result<(), FolderError> {
        if !quiet {
            for index in 0..self.uids.listed.len() {
                let base = self.uids.listed.base(index);
                if !self.uids.listed.is_found(index)
                    && let Some((place, name)) = self.dirs.places().catch(base, Flags::default())?
                {
                    let (table, listed) = (&mut self.table, &mut self.uids.listed);
                    self.findings.see(place, &name, table, listed, None);
                }
            }
        }
        self.uids.drop_unfound();
        Ok(())
    }
}

/// Whether something has happened in the directory, or may have.
pub(super) fn must_list(known: &DirState, stat: &Stat, now: SystemTime) -> bool {
    if (known.inode, known.mtime) != (stat.inode, stat.mtime) {
        return true;
    }
    // Listed before the tick is over it would be as dirty as before.
    known.dirty && is_settled(stat, now)
}

/// Whether a file that vanished at that time has had time enough to show up under a new name.
pub(super) fn is_due(since: SystemTime, now: SystemTime) -> bool {
    now.duration_since(since)
        .is_ok_and(|age| age >= RENAME_DELAY)
}

/// How long ago a directory was changed; nothing if that is in the future.
pub(super) fn age(stat: &Stat, now: SystemTime) -> Duration {
    now.duration_since(stat.mtime.into()).unwrap_or_default()
}

/// Within this time after a change another one may leave the same time on the directory.
pub(super) fn tick(stat: &Stat) -> Duration {
    match stat.mtime.nanoseconds {
        0 => COARSE_TICK,
        _ => FINE_TICK,
    }
}

pub(super) fn is_settled(stat: &Stat, now: SystemTime) -> bool {
    age(stat, now) >= tick(stat)
}

fn state(stat: &Stat, now: SystemTime) -> DirState {
    DirState {
        dirty: !is_settled(stat, now),
        ..DirState::of(stat)
    }
}

/// How many scans a sync makes.  What the last one finds waits for the next sync.
const LOOKS: u8 = 3;
/// The kernel's clock for file times moves every 1 to 10 ms.
const FINE_TICK: Duration = Duration::from_millis(50);
/// Some file systems count in seconds, FAT in two.
const COARSE_TICK: Duration = Duration::from_secs(2);
/// More events than this are one scan, however many messages there are.
const EVENTS_MAX: usize = 10_000;
const EVENT_DELAY: Duration = Duration::from_secs(1);
const RENAME_DELAY: Duration = Duration::from_millis(20);
/// How long a sync waits for names that vanish one after the other.
const SUSPENSE: Duration = Duration::from_millis(200);
