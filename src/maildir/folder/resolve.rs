//! Acting on what was seen: under the folder's lock new messages get their UIDs and move to cur/,
//! renamed ones their flags, and those whose file is gone are expunged.
//!
//! Names come from a listing or an event and may be older than the last rename.  So each is looked
//! at again before it counts, and what does not hold any more is dropped: a later look finds
//! what is there instead.

use std::time::{Duration, SystemTime};

use super::arrive::LetIn;
use super::scan::{Look, Step, is_due};
use super::seek::Sought;
use super::state::messages::Message;
use super::sync::Findings;
use super::{Change, Folder, FolderError};
use crate::log::ONCE;
use crate::mail::Uid;
use crate::maildir::disk::dir::{self, DiskError, DiskResult, Stat, Target};
use crate::maildir::disk::filename::{self, Filename};
use crate::maildir::disk::report;
use crate::maildir::disk::watch::Place;

impl Folder {
    /// Acts on the findings, and keeps those that it cannot finish.
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
        if result.is_err() && self.has_lost_lock() {
            self.unlock();
            return Ok(Step::Locked);
        }
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
        self.heed_others(now)?;
        let mut findings = std::mem::take(&mut self.findings);
        let mut round = Round { modseq: None, now };
        let result = self.work_off(&mut findings, &mut round, look, over);
        // Clients hear of the flags when the slice is over.
        self.name_letters(std::mem::take(&mut findings.letters), now);
        // What was found on the way waits for the next time.
        findings.renamed.take_over(&mut self.findings.renamed);
        findings.strangers.take_over(&mut self.findings.strangers);
        findings.letters |= self.findings.letters;
        self.findings = findings;
        result
    }

    fn work_off(
        &mut self,
        findings: &mut Findings,
        round: &mut Round,
        look: Look,
        over: &dyn Fn() -> bool,
    ) -> Result<Step, FolderError> {
        let now = round.now;
        if !self.modseqs.doubtful.is_empty() {
            let modseq = self.batch_modseq(round)?;
            for (first, last) in std::mem::take(&mut self.modseqs.doubtful) {
                self.freshen(first, last, modseq);
            }
        }
        self.judge_suspects(findings, now)?;
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
            match self.let_in(findings, round, over)? {
                LetIn::All => (),
                LetIn::Some => return Ok(Step::Again),
                LetIn::Undecided => self.scan_wanted = true,
            }
            while let Some((uid, place, name)) = findings.renamed.pop() {
                let name = name.to_vec();
                self.judge_renamed(uid, place, &name, findings, round)?;
                if over() {
                    return Ok(Step::Again);
                }
            }
            if findings.strangers.is_empty() {
                break;
            }
        }
        let unseen = self.unseen_uids();
        if !unseen.is_empty() {
            let modseq = self.batch_modseq(round)?;
            self.account_for(&unseen, modseq);
        }
        findings.missing.sort_unstable_by(|a, b| b.cmp(a));
        while let Some(uid) = findings.missing.pop() {
            self.judge_missing(uid, findings.unsure, round)?;
            if over() {
                return Ok(Step::Again);
            }
        }
        match self.adopt_keywords(round, over)? {
            true => Ok(Step::Done),
            false => Ok(Step::Again),
        }
    }

    /// Messages whose name vanished a while ago and which have not been seen since: renamed more
    /// than once, or moved out of the folder.
    fn judge_suspects(
        &mut self,
        findings: &mut Findings,
        now: SystemTime,
    ) -> Result<(), FolderError> {
        let mut due: Vec<u32> = Vec::new();
        self.suspects.retain(|uid, since| {
            let is_due = is_due(*since, now);
            if is_due {
                due.push(*uid);
            }
            !is_due
        });
        let few = due.len() <= FEW;
        for uid in due {
            let Ok(index) = self.table.index_of(uid) else {
                continue;
            };
            if self.has_file(index)? {
                continue;
            }
            let flags = self.table.rows().get(index).map(Message::flags);
            let (base, flags) = (self.table.base(index), flags.unwrap_or_default());
            let places = self.dirs.places();
            let sought = match few {
                true => places.seek(base, flags, now)?,
                false => match places.guess(base, flags)? {
                    Some((place, name)) => Sought::At(place, name),
                    None => Sought::Unsure,
                },
            };
            match sought {
                Sought::At(place, name) => findings.renamed.push(uid, place, &name),
                Sought::Gone => findings.missing.push(uid),
                Sought::Unsure => self.scan_wanted = true,
            }
        }
        Ok(())
    }

    /// Whether the message is there under the name the table has, or gone for good.
    pub fn has_file(&self, index: usize) -> DiskResult<bool> {
        let Some(row) = self.table.rows().get(index) else {
            return Ok(true);
        };
        let mut name = Vec::new();
        self.table.write_name(index, &mut name);
        Ok(row.is_gone() || self.dirs.at(row.place()).stat(&name)?.is_some())
    }

    /// The file has the name that the table says, at this moment.
    pub fn is_as_known(&self, index: usize) -> bool {
        self.has_file(index).unwrap_or(true)
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

    /// A file of a known message was seen under another name than ours.
    fn judge_renamed(
        &mut self,
        uid: u32,
        place: Place,
        name: &[u8],
        findings: &mut Findings,
        round: &mut Round,
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
                self.adopt_name(index, place, &file, round)
            }
            Some(known) if known.is_same_file(&seen) => {
                if !self.linked.contains(&uid) {
                    self.linked.push(uid);
                }
                self.remove_second_link(place, name, &seen, round.now);
                Ok(())
            }
            Some(_) => {
                if let Err(error) = self.separate(place, name, &file, round.now) {
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
        round: &mut Round,
    ) -> Result<(), FolderError> {
        let flags = file.flags();
        self.suspects.remove(&self.table.uid(index));
        let old = self.table.rows().get(index).map(|row| row.flags());
        self.change_row(index, |table| {
            table.set_name(index, place, file.info, flags)
        });
        if old != Some(flags) {
            let modseq = self.batch_modseq(round)?;
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
    ) -> DiskResult<()> {
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

    /// Looks whether the file of a message that was not seen is really gone.
    fn judge_missing(
        &mut self,
        uid: u32,
        unsure: bool,
        round: &mut Round,
    ) -> Result<(), FolderError> {
        let Ok(index) = self.table.index_of(uid) else {
            return Ok(());
        };
        if self.has_file(index)? {
            return Ok(());
        }
        if unsure {
            let flags = self.table.rows().get(index).map(Message::flags);
            let base = self.table.base(index);
            let caught = self.dirs.places().catch(base, flags.unwrap_or_default())?;
            if let Some((place, name)) = caught {
                self.findings.renamed.push(uid, place, &name);
                return Ok(());
            }
        }
        let modseq = self.batch_modseq(round)?;
        self.expunge_row(index, modseq);
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

    pub(super) fn batch_modseq(&mut self, round: &mut Round) -> Result<u64, FolderError> {
        match round.modseq {
            Some(modseq) => Ok(modseq),
            None => {
                let modseq = self.next_modseq(round.now)?;
                round.modseq = Some(modseq);
                Ok(modseq)
            }
        }
    }

    pub(super) fn warn(&self, what: &str, error: &DiskError) {
        let (path, error) = (self.path.display(), report::explained(error));
        log::warn!(target: ONCE, "{path}: {what}: {error}");
    }
}

/// The changes of one slice, which have one modseq.
pub(super) struct Round {
    modseq: Option<u64>,
    pub now: SystemTime,
}

/// How many files that vanished are looked for one by one.  For more, a scan costs less.
const FEW: usize = 4;
const LINK_AGE: Duration = Duration::from_secs(30);
