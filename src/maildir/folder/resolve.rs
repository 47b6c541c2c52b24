//! Acting on what was seen: under the folder's lock new messages get their UIDs and move to cur/,
//! renamed ones their flags, and those whose file is gone are expunged.
//!
//! Names come from a listing or an event and may be older than the last rename.  So each is looked
//! at again before it counts, and what does not hold any more is dropped: a later look finds
//! what is there instead.

use std::time::SystemTime;

use super::arrive::LetIn;
use super::judge::{Evidence, InTable, Judgement, Looked, Looks, Where, judge};
use super::scan::{Look, Step, is_due};
use super::seek::Sought;
use super::state::messages::Message;
use super::sync::Findings;
use super::{Change, Folder, FolderError};
use crate::log::ONCE;
use crate::mail::Uid;
use crate::maildir::disk::dir::{self, DiskError, DiskResult, Target};
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
        self.judge_suspects(findings, round)?;
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
                if let Some(index) = self.row_of(uid) {
                    let hint = Hint::of_name(Some(index), place, &name, Reach::SameName);
                    self.act_on(&hint, findings, round)?;
                }
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
            if let Some(index) = self.row_of(uid) {
                let sure = !findings.unsure;
                let hint = Hint::of_row(index, Evidence::Missed { sure }, Reach::EveryName);
                self.act_on(&hint, findings, round)?;
            }
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
        round: &mut Round,
    ) -> Result<(), FolderError> {
        let now = round.now;
        let mut due: Vec<u32> = Vec::new();
        self.suspects.retain(|uid, since| {
            let is_due = is_due(*since, now);
            if is_due {
                due.push(*uid);
            }
            !is_due
        });
        let reach = match due.len() <= FEW {
            true => Reach::Listing,
            false => Reach::LikelyNames,
        };
        for uid in due {
            if let Some(index) = self.row_of(uid) {
                let hint = Hint::of_row(index, Evidence::Vanished, reach);
                self.act_on(&hint, findings, round)?;
            }
        }
        Ok(())
    }

    /// Where the table has the message, which is not gone.
    fn row_of(&self, uid: u32) -> Option<usize> {
        let index = self.table.index_of(uid).ok()?;
        let row = self.table.rows().get(index)?;
        (!row.is_gone()).then_some(index)
    }

    /// Looks where `judge` wants to, until it knows.
    pub(super) fn judge(
        &mut self,
        hint: &Hint<'_>,
        now: SystemTime,
    ) -> DiskResult<(Judgement, Looks)> {
        let (place, name) = hint.name;
        let file = Filename::parse(name);
        let info = file.as_ref().map_or(&b""[..], |file| file.info);
        let table = match hint.row {
            None => InTable::Nothing {
                believed: hint.reach == Reach::None,
            },
            Some(index) if self.table.is_at(index, place, info) => InTable::Same,
            Some(_) => InTable::Other,
        };
        let mut looks = Looks::default();
        loop {
            match judge(table, hint.evidence, &looks, now) {
                Judgement::Look(Where::Seen) => {
                    looks.seen = self.dirs.at(place).stat_target(name)?.into();
                }
                Judgement::Look(Where::Ours) => looks.ours = self.look_at_ours(hint)?,
                Judgement::Look(Where::Elsewhere) => {
                    looks.elsewhere = Some(self.look_elsewhere(hint, now)?);
                }
                judgement => return Ok((judgement, looks)),
            }
        }
    }

    /// What is under the name that the table has.
    fn look_at_ours(&mut self, hint: &Hint<'_>) -> DiskResult<Looked> {
        let row = hint
            .row
            .and_then(|index| Some((index, self.table.rows().get(index)?)));
        let Some((index, row)) = row else {
            return Ok(Looked::Nothing);
        };
        let mut name = Vec::new();
        self.table.write_name(index, &mut name);
        let dir = self.dirs.at(row.place());
        let stat = match hint.evidence {
            Evidence::Name => dir.stat_target(&name)?,
            // A link that leads nowhere is no reason to expunge.
            Evidence::Vanished | Evidence::Missed { .. } => dir.stat(&name)?,
        };
        Ok(stat.into())
    }

    fn look_elsewhere(&self, hint: &Hint<'_>, now: SystemTime) -> DiskResult<Sought> {
        let (base, flags) = match hint.row {
            Some(index) => {
                let flags = self.table.rows().get(index).map(Message::flags);
                (self.table.base(index), flags.unwrap_or_default())
            }
            None => match Filename::parse(hint.name.1) {
                Some(file) => (file.base, file.flags()),
                None => return Ok(Sought::Unsure),
            },
        };
        let places = self.dirs.places();
        let found = match hint.reach {
            Reach::Listing => return places.seek(base, flags, now),
            Reach::EveryName => places.catch(base, flags)?,
            Reach::LikelyNames => places.guess(base, flags)?,
            Reach::SameName | Reach::None => None,
        };
        Ok(found.map_or(Sought::Unsure, |(place, name)| Sought::At(place, name)))
    }

    /// Judges a hint of a message of the table, and does what follows.
    fn act_on(
        &mut self,
        hint: &Hint<'_>,
        findings: &mut Findings,
        round: &mut Round,
    ) -> Result<(), FolderError> {
        let Some(index) = hint.row else {
            return Ok(());
        };
        let uid = self.table.uid(index);
        let (place, name) = hint.name;
        let (judgement, _) = self.judge(hint, round.now)?;
        match judgement {
            Judgement::Nothing | Judgement::Look(_) | Judgement::LetIn => (),
            Judgement::Adopt => {
                if let Some(file) = Filename::parse(name) {
                    findings.letters |= file.flags().keywords;
                    self.adopt_name(index, place, &file, round)?;
                }
            }
            Judgement::Follow(place, name) => findings.renamed.push(uid, place, &name),
            Judgement::Linked => self.note_link(uid),
            Judgement::RemoveLink => {
                self.note_link(uid);
                self.remove_second_link(place, name);
            }
            Judgement::Separate => {
                if let Some(file) = Filename::parse(name)
                    && let Err(error) = self.separate(place, name, &file, round.now)
                {
                    self.warn("cannot rename a second file of one name", &error);
                }
                // Found here it becomes a message in the second round.
                findings.strangers.take_over(&mut self.findings.strangers);
            }
            Judgement::Missing => findings.missing.push(uid),
            Judgement::Expunge => {
                let modseq = self.batch_modseq(round)?;
                self.expunge_row(index, modseq);
            }
            Judgement::Scan => self.scan_wanted = true,
        }
        Ok(())
    }

    fn note_link(&mut self, uid: u32) {
        if !self.linked.contains(&uid) {
            self.linked.push(uid);
        }
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
            let before = std::mem::replace(&mut row.modseq, modseq);
            let uid = row.uid();
            self.modseqs.give(uid.0, modseq);
            self.changes.push(Change::Flags {
                uid,
                modseq,
                before,
            });
        }
    }

    /// The same file under a second name: a program was stopped between link and unlink.
    fn remove_second_link(&mut self, place: Place, name: &[u8]) {
        self.touched = true;
        if let Err(error) = self.dirs.at(place).unlink(name) {
            self.warn("cannot remove the second link of a message", &error);
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

/// Something that was seen, and what to look at before anything is done about it.
pub(super) struct Hint<'a> {
    pub evidence: Evidence,
    /// Where the table has the message.
    pub row: Option<usize>,
    /// The name that was seen, if that is what was seen.
    pub name: (Place, &'a [u8]),
    pub reach: Reach,
}

/// How far to look for a file that is not where it should be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Reach {
    /// Not at all, nor at the name that was seen: there are too many.
    None,
    SameName,
    /// The names that one change of flags gives.
    LikelyNames,
    /// The names that flags can give.
    EveryName,
    /// The whole folder.
    Listing,
}

impl<'a> Hint<'a> {
    pub fn of_name(row: Option<usize>, place: Place, name: &'a [u8], reach: Reach) -> Hint<'a> {
        Hint {
            evidence: Evidence::Name,
            row,
            name: (place, name),
            reach,
        }
    }

    fn of_row(row: usize, evidence: Evidence, reach: Reach) -> Hint<'a> {
        Hint {
            evidence,
            row: Some(row),
            name: (Place::Cur, b""),
            reach,
        }
    }
}

/// The changes of one slice, which have one modseq.
pub(super) struct Round {
    modseq: Option<u64>,
    pub now: SystemTime,
}

/// How many files that vanished are looked for one by one.  For more, a scan costs less.
const FEW: usize = 4;
