//! Acting on what was seen: under the folder's lock new messages get their UIDs and move to cur/,
//! renamed ones their flags, and those whose file is gone are expunged.
//!
//! Names come from a listing or an event and may be older than the last rename.  So each is looked
//! at again before it counts, and what does not hold any more is dropped: a later look finds
//! what is there instead.

use std::io;
use std::time::{Duration, SystemTime};

use super::dir::{self, Stat, Target};
use super::error::is_denied;
use super::filename::{self, Filename};
use super::folder::{Change, Folder, FolderError, Held};
use super::keywords::KeywordsError;
use super::messages::NewRow;
use super::scan::{Look, Step, is_due};
use super::sync::Findings;
use super::uidlist::New;
use super::watch::Place;
use crate::imap::sequence::Uid;

impl Folder {
    /// Works the findings off; the rest is kept if that cannot be done to the end.
    pub(super) fn resolve(
        &mut self,
        look: Look,
        now: SystemTime,
        over: &dyn Fn() -> bool,
    ) -> Result<Step, FolderError> {
        if !self.lock_for_batch(now)? {
            return Ok(Step::Locked);
        }
        let result = self.resolve_locked(look, now, over);
        if !matches!(result, Ok(Step::Again)) {
            self.release_batch_lock();
        }
        result
    }

    fn resolve_locked(
        &mut self,
        look: Look,
        now: SystemTime,
        over: &dyn Fn() -> bool,
    ) -> Result<Step, FolderError> {
        self.refresh_uids(now)?;
        let mut findings = std::mem::take(&mut self.findings);
        let mut modseq = Batch { modseq: None, now };
        let result = self.work_off(&mut findings, &mut modseq, look, over);
        self.findings = findings;
        result
    }

    fn work_off(
        &mut self,
        findings: &mut Findings,
        batch: &mut Batch,
        look: Look,
        over: &dyn Fn() -> bool,
    ) -> Result<Step, FolderError> {
        let now = batch.now;
        if !self.modseqs.doubtful.is_empty() {
            let modseq = self.batch_modseq(batch)?;
            for (first, last) in std::mem::take(&mut self.modseqs.doubtful) {
                self.freshen(first, last, modseq);
            }
        }
        self.suspects.retain(|&(uid, since)| {
            let due = is_due(since, now);
            if due {
                findings.missing.push(uid);
            }
            !due
        });
        // Once more if a duplicate was found, which becomes a message of its own.
        for _ in 0..2 {
            if !self.uids.listed.is_empty() {
                let (table, listed) = (&mut self.table, &mut self.uids.listed);
                findings.look_up_strangers(table, listed);
            }
            self.name_nameless(findings, now);
            if !self.place_newcomers(findings, look, over)? {
                return Ok(Step::Again);
            }
            if !self.let_in(findings, batch)? {
                self.scan_wanted = true;
                return Ok(Step::Done);
            }
            while let Some((uid, place, name)) = findings.renamed.pop() {
                let name = name.to_vec();
                self.judge_renamed(uid, place, &name, findings, batch)?;
                if over() {
                    return Ok(Step::Again);
                }
            }
            if findings.strangers.is_empty() {
                break;
            }
        }
        while let Some(uid) = findings.renumbered.pop() {
            if let Ok(index) = self.table.index_of(uid) {
                let modseq = self.batch_modseq(batch)?;
                self.expunge_row(index, modseq);
            }
        }
        findings.missing.sort_unstable_by(|a, b| b.cmp(a));
        while let Some(uid) = findings.missing.pop() {
            self.judge_missing(uid, batch)?;
            if over() {
                return Ok(Step::Again);
            }
        }
        self.name_letters(findings, now);
        Ok(Step::Done)
    }

    /// A file whose name is all info can have no record in the uidlist: it gets a new name.
    fn name_nameless(&mut self, findings: &mut Findings, now: SystemTime) {
        while let Some((_, place, name)) = findings.nameless.pop() {
            let fresh = self.unique.borrow_mut().next(now);
            let from = self.dirs.at(place);
            match from.rename(name, &self.dirs.new, &fresh, Target::MustBeFree) {
                Ok(()) => findings.strangers.push(0, Place::New, &fresh),
                Err(error) if dir::is_gone(&error) => (),
                Err(error) => self.warn("cannot rename a file without a base name", &error),
            }
        }
    }

    /// Moves from new/ to cur/ what is to be moved, and looks at what is to get a UID; false: the
    /// slice is over.
    fn place_newcomers(
        &mut self,
        findings: &mut Findings,
        look: Look,
        over: &dyn Fn() -> bool,
    ) -> Result<bool, FolderError> {
        if look.move_new {
            for index in 0..self.uids.listed.len() {
                let row = self.uids.listed.rows().get(index);
                let here = row.is_some_and(|row| row.place() == Place::New);
                if here && self.uids.listed.is_found(index) {
                    self.move_listed(index);
                    if over() {
                        return Ok(false);
                    }
                }
            }
            if !self.move_known(over) {
                return Ok(false);
            }
        }
        while let Some((_, place, name)) = findings.strangers.pop() {
            let mut place = place;
            let mut name = name.to_vec();
            if look.move_new && place == Place::New {
                match self.move_to_cur(&name) {
                    Moved::To(moved) => (place, name) = (Place::Cur, moved),
                    Moved::Gone => continue,
                    Moved::Stays | Moved::Taken => (),
                }
            }
            findings.ready.push(0, place, &name);
            if over() {
                return Ok(false);
            }
        }
        Ok(true)
    }

    fn move_listed(&mut self, index: usize) {
        let mut name = Vec::new();
        self.uids.listed.write_name(index, &mut name);
        if let Moved::To(moved) = self.move_to_cur(&name)
            && let Some(file) = Filename::parse(&moved)
        {
            let listed = &mut self.uids.listed;
            listed.set_name(index, Place::Cur, file.info, file.flags());
        }
    }

    /// Moves messages of the table that lie in new/.
    fn move_known(&mut self, over: &dyn Fn() -> bool) -> bool {
        let mut from = self.table.len();
        let mut left = self.counts.in_new;
        let mut stuck = 0;
        while left > 0 && from > 0 {
            from -= 1;
            let row = self.table.rows().get(from);
            if row.is_none_or(|row| row.is_gone() || row.place() == Place::Cur) {
                continue;
            }
            left -= 1;
            self.keep_save_date(from);
            let mut name = Vec::new();
            self.table.write_name(from, &mut name);
            match self.move_to_cur(&name) {
                Moved::To(moved) => {
                    if let Some(file) = Filename::parse(&moved) {
                        self.change_row(from, |table| {
                            table.set_name(from, Place::Cur, file.info, file.flags());
                        });
                    }
                }
                _ => stuck += 1,
            }
            if over() && left > 0 {
                return false;
            }
        }
        self.stuck = stuck;
        true
    }

    fn move_to_cur(&mut self, name: &[u8]) -> Moved {
        let mut target = name.to_vec();
        if !target.contains(&b':') {
            target.extend_from_slice(b":2,");
        }
        let dirs = &self.dirs;
        self.touched = true;
        match dirs
            .new
            .rename(name, &dirs.cur, &target, Target::MustBeFree)
        {
            Ok(()) => Moved::To(target),
            // Another process was faster.
            Err(error) if dir::is_gone(&error) => Moved::Gone,
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Moved::Taken,
            Err(error) => {
                // It can be served from where it is.
                if !dir::is_full(&error) && !is_denied(&error) {
                    self.warn("cannot move a message to cur/", &error);
                }
                Moved::Stays
            }
        }
    }

    /// Adds the messages that have a place now to the table; false: records of the uidlist are
    /// still to be explained, which takes a scan.
    fn let_in(&mut self, findings: &mut Findings, batch: &mut Batch) -> Result<bool, FolderError> {
        if !self.uids.listed.is_empty() {
            if self.uids.has_unfound() {
                let arriving = !findings.ready.is_empty() || self.has_found_records();
                return Ok(!arriving);
            }
            self.let_in_listed(batch)?;
        }
        if !findings.ready.is_empty() {
            match self.let_in_strangers(findings, batch) {
                // Without a UID on disk a message cannot be shown; it waits.
                Err(FolderError::Full(error) | FolderError::Denied(error)) => {
                    self.warn("new messages get no UIDs", &error);
                }
                other => other?,
            }
        }
        self.uids.next = self.uids.next.max(self.uids.next_on_disk());
        Ok(true)
    }

    fn let_in_listed(&mut self, batch: &mut Batch) -> Result<(), FolderError> {
        let modseq = self.batch_modseq(batch)?;
        let mut listed = std::mem::take(&mut self.uids.listed);
        let first_row = self.table.len();
        for index in 0..listed.len() {
            if let Some(row) = listed.row_mut(index) {
                row.modseq = modseq;
                self.modseqs.give(row.uid().0, modseq);
            }
        }
        self.table.append(listed);
        self.welcome(first_row);
        Ok(())
    }

    /// Gives UIDs to files that have none, in the order Dovecot would.
    fn let_in_strangers(
        &mut self,
        findings: &mut Findings,
        batch: &mut Batch,
    ) -> Result<(), FolderError> {
        let few = findings.ready.len() <= FEW;
        findings.ready.sort();
        let mut accepted: Vec<(Place, Filename<'_>, Option<Stat>)> = Vec::new();
        accepted.reserve_exact(findings.ready.len());
        for (_, place, name) in findings.ready.iter() {
            let Some(file) = Filename::parse(name) else {
                continue;
            };
            let known = accepted
                .last()
                .is_some_and(|(_, last, _)| last.base == file.base);
            let mut stat = None;
            if few || self.table.find(file.base).is_some() {
                stat = self.dirs.at(place).stat_target(name)?;
                if stat.is_none() {
                    continue;
                }
            }
            if known {
                // Two files of one base name: the second is judged when the first has its UID.
                findings.doubles.push(0, place, name);
            } else {
                accepted.push((place, file, stat));
            }
        }
        let new: Vec<New<'_>> = accepted
            .iter()
            .map(|(_, file, _)| New {
                base: file.base,
                guid: None,
            })
            .collect();
        if new.is_empty() {
            findings.ready = super::sync::Sightings::default();
            return Ok(());
        }
        let modseq = self.batch_modseq(batch)?;
        let first_uid = self.append_uids(&new)?;
        drop(new);
        let first_row = self.table.len();
        self.table.reserve(accepted.len(), findings.ready.octets());
        for (uid, (place, file, stat)) in (first_uid..).zip(&accepted) {
            let row = NewRow {
                uid,
                base: file.base,
                guid: None,
                modseq,
            };
            if !self.table.push(row) {
                continue;
            }
            let index = self.table.len() - 1;
            let flags = file.flags();
            findings.letters |= flags.keywords;
            self.table.set_name(index, *place, file.info, flags);
            if let (Some(stat), Some(row)) = (stat, self.table.row_mut(index)) {
                row.set_dates(stat.mtime.seconds, stat.ctime.seconds);
            }
            self.modseqs.give(uid, modseq);
        }
        drop(accepted);
        findings.ready = super::sync::Sightings::default();
        while let Some((_, place, name)) = findings.doubles.pop() {
            if let Some(file) = Filename::parse(name)
                && let Some(index) = self.table.find_live(file.base)
            {
                findings.renamed.push(self.table.uid(index), place, name);
            }
        }
        self.welcome(first_row);
        Ok(())
    }

    /// Counts and announces the rows from `first_row` on.
    pub(super) fn welcome(&mut self, first_row: usize) {
        self.count_from(first_row);
        self.stale = true;
        let new = self.table.rows().get(first_row..).unwrap_or_default();
        if let (Some(first), Some(last)) = (new.first(), new.last()) {
            self.changes.push(Change::Arrived {
                first: first.uid(),
                last: last.uid(),
            });
        }
    }

    /// A file of a known message was seen under another name than ours.
    fn judge_renamed(
        &mut self,
        uid: u32,
        place: Place,
        name: &[u8],
        findings: &mut Findings,
        batch: &mut Batch,
    ) -> Result<(), FolderError> {
        let (Ok(index), Some(file)) = (self.table.index_of(uid), Filename::parse(name)) else {
            return Ok(());
        };
        let Some(row) = self.table.rows().get(index).copied() else {
            return Ok(());
        };
        if row.is_gone() || self.table.is_at(index, place, file.info) {
            return Ok(());
        }
        let Some(seen) = self.dirs.at(place).stat_target(name)? else {
            return Ok(());
        };
        let mut ours = Vec::new();
        self.table.write_name(index, &mut ours);
        match self.dirs.at(row.place()).stat_target(&ours)? {
            None => {
                findings.letters |= file.flags().keywords;
                self.adopt_name(index, place, &file, batch)
            }
            Some(known) if known.is_same_file(&seen) => {
                self.remove_second_link(place, name, &seen, batch.now);
                Ok(())
            }
            Some(_) => {
                if let Err(error) = self.separate(place, name, &file, batch.now) {
                    self.warn("cannot rename a second file of one name", &error);
                }
                // Found here it becomes a message in the second round.
                findings.strangers.take_over(&mut self.findings.strangers);
                Ok(())
            }
        }
    }

    /// The message has this name now, and the flags it shows.
    fn adopt_name(
        &mut self,
        index: usize,
        place: Place,
        file: &Filename<'_>,
        batch: &mut Batch,
    ) -> Result<(), FolderError> {
        let flags = file.flags();
        let uid = self.table.uid(index);
        self.suspects.retain(|&(suspect, _)| suspect != uid);
        let old = self.table.rows().get(index).map(|row| row.flags());
        self.change_row(index, |table| {
            table.set_name(index, place, file.info, flags)
        });
        if old != Some(flags) {
            let modseq = self.batch_modseq(batch)?;
            self.announce_flags(index, modseq);
        }
        Ok(())
    }

    pub(super) fn announce_flags(&mut self, index: usize, modseq: u64) {
        if let Some(row) = self.table.row_mut(index) {
            row.modseq = modseq;
            let uid = row.uid();
            self.modseqs.give(uid.0, modseq);
            self.changes.push(Change::Flags { uid, modseq });
        }
    }

    /// The same file under a second name: a program was stopped between link and unlink.  It may
    /// still be running, so this waits a while.
    fn remove_second_link(&mut self, place: Place, name: &[u8], seen: &Stat, now: SystemTime) {
        let changed: SystemTime = seen.ctime.into();
        if now.duration_since(changed).is_ok_and(|age| age > LINK_AGE) {
            self.touched = true;
            if let Err(error) = self.dirs.at(place).unlink(name) {
                self.warn("cannot remove the second link of a message", &error);
            }
        }
    }

    /// Another file with the base name of a known message is a message of its own, and gets a
    /// base name of its own.
    pub(super) fn separate(
        &mut self,
        place: Place,
        name: &[u8],
        file: &Filename<'_>,
        now: SystemTime,
    ) -> io::Result<()> {
        let fresh = self.unique.borrow_mut().next(now);
        let sizes = (filename::size(file.base), filename::virtual_size(file.base));
        let mut target = match sizes {
            (Some(size), Some(virtual_size)) => filename::with_sizes(&fresh, size, virtual_size),
            _ => fresh,
        };
        target.extend_from_slice(file.info);
        self.touched = true;
        let from = self.dirs.at(place);
        match from.rename(name, &self.dirs.new, &target, Target::MustBeFree) {
            Ok(()) => {
                log::warn!(
                    "{}: a second file of one name is {} now",
                    self.path.display(),
                    String::from_utf8_lossy(&target)
                );
                self.findings.strangers.push(0, Place::New, &target);
                Ok(())
            }
            Err(error) if dir::is_gone(&error) => Ok(()),
            Err(error) => Err(error),
        }
    }

    /// A message was not seen: is its file really not there?
    fn judge_missing(&mut self, uid: u32, batch: &mut Batch) -> Result<(), FolderError> {
        let Ok(index) = self.table.index_of(uid) else {
            return Ok(());
        };
        let Some(row) = self.table.rows().get(index).copied() else {
            return Ok(());
        };
        if row.is_gone() {
            return Ok(());
        }
        let mut name = Vec::new();
        self.table.write_name(index, &mut name);
        if self.dirs.at(row.place()).stat(&name)?.is_none() {
            let modseq = self.batch_modseq(batch)?;
            self.expunge_row(index, modseq);
        }
        Ok(())
    }

    /// The message has no file any more.
    pub(super) fn expunge_row(&mut self, index: usize, modseq: u64) {
        self.change_row(index, |table| {
            if let Some(row) = table.row_mut(index) {
                row.set_gone();
                row.modseq = modseq;
            }
        });
        let uid = self.table.uid(index);
        self.history.push(uid, modseq);
        self.modseqs.give(uid, modseq);
        self.changes.push(Change::Expunged {
            uid: Uid(uid),
            modseq,
        });
    }

    /// Letters seen in file names that have no keyword get one, as in Dovecot.
    fn name_letters(&mut self, findings: &mut Findings, now: SystemTime) {
        let letters = std::mem::take(&mut findings.letters);
        let unnamed = (0..26)
            .filter(|letter| letters & 1 << letter != 0)
            .any(|letter| self.keywords.name(letter).is_none());
        let Held::Lock(lock) = &self.held else {
            return;
        };
        if !unnamed {
            return;
        }
        let (dir, access) = (&self.dirs.dir, &self.dirs.access);
        match self.keywords.name_unknown(dir, lock, letters, access, now) {
            Ok(true) => self.changes.push(Change::Keywords),
            Ok(false) | Err(KeywordsError::Full | KeywordsError::LockLost) => (),
            Err(KeywordsError::Io(error)) => self.warn("cannot write dovecot-keywords", &error),
        }
    }

    fn batch_modseq(&mut self, batch: &mut Batch) -> Result<u64, FolderError> {
        match batch.modseq {
            Some(modseq) => Ok(modseq),
            None => {
                let modseq = self.next_modseq(batch.now)?;
                batch.modseq = Some(modseq);
                Ok(modseq)
            }
        }
    }

    pub(super) fn warn(&self, what: &str, error: &io::Error) {
        log::warn!("{}: {what}: {error}", self.path.display());
    }
}

/// The changes of one slice, which have one modseq.
struct Batch {
    modseq: Option<u64>,
    now: SystemTime,
}

/// What became of a file that was to be moved to cur/.
enum Moved {
    To(Vec<u8>),
    Gone,
    /// A file of that name is in cur/ already.
    Taken,
    Stays,
}

/// So many new messages are looked at one by one, which gives their dates.
const FEW: usize = 256;
const LINK_AGE: Duration = Duration::from_secs(30);
