//! New messages: they move from new/ to cur/, get their UIDs and are let into the table.
//!
//! A message is let in when its UID is in dovecot-uidlist.  UIDs of new messages must be greater
//! than all that clients know of, so records that others made come first.  As long as one of them
//! has no file, no message is let in, and a full scan decides whether the file will ever come.

use std::borrow::Cow;
use std::io;
use std::time::SystemTime;

use super::judge::{Judgement, Looked};
use super::resolve::{Hint, Reach, Round};
use super::scan::Look;
use super::state::table::NewRow;
use super::sync::Findings;
use super::{Change, Folder, FolderError, Held};
use crate::mail::{Flags, Keyword};
use crate::maildir::disk::dir::{self, Stat, Target};
use crate::maildir::disk::filename::Filename;
use crate::maildir::disk::report;
use crate::maildir::disk::watch::Place;
use crate::maildir::dovecot::keywords::{KeywordsError, KeywordsFile, Room};
use crate::maildir::dovecot::uidlist::New;

impl Folder {
    /// Moves files from new/ to cur/, and looks at those that get a UID; false: the slice is over.
    pub(super) fn place_newcomers(
        &mut self,
        findings: &mut Findings,
        look: Look,
        over: &dyn Fn() -> bool,
    ) -> Result<bool, FolderError> {
        if look.move_new {
            for index in 0..self.uids.listed.len() {
                let row = self.uids.listed.rows().get(index);
                let here = row.is_some_and(|row| row.place() == Place::New);
                let found = here && self.uids.listed.is_found(index);
                if found && self.move_listed(index) && over() {
                    return Ok(false);
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

    /// False: it stays where it is.
    fn move_listed(&mut self, index: usize) -> bool {
        let mut name = Vec::new();
        self.uids.listed.write_name(index, &mut name);
        match self.move_to_cur(&name) {
            Moved::To(moved) => {
                if let Some(file) = Filename::parse(&moved) {
                    let listed = &mut self.uids.listed;
                    listed.set_name(index, Place::Cur, file.info, file.flags());
                }
            }
            // Whoever was faster gave it another name.
            Moved::Gone => {
                if let Some(row) = self.uids.listed.row_mut(index) {
                    row.set_unfound();
                }
            }
            Moved::Stays | Moved::Taken => return false,
        }
        true
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
                if !dir::is_full(&error) && !dir::is_denied(&error) {
                    self.warn("cannot move a message to cur/", &error);
                }
                Moved::Stays
            }
        }
    }

    /// Adds the messages that have a place now to the table.
    pub(super) fn let_in(
        &mut self,
        findings: &mut Findings,
        round: &mut Round,
        over: &dyn Fn() -> bool,
    ) -> Result<LetIn, FolderError> {
        if !self.uids.listed.is_empty() {
            if self.uids.has_unfound() {
                self.seek_unfound(findings)?;
            }
            // Another process gave these UIDs under the lock, and their files were there before the
            // lock was free.  So a record without a file always means something: the message was
            // renamed more than once, and no event tells of that again, or it is gone, and a client
            // may have been told of it.
            if self.uids.has_unfound() {
                return Ok(LetIn::Undecided);
            }
            self.let_in_listed(round)?;
        }
        findings.ready.sort();
        while !findings.ready.is_empty() {
            match self.let_in_strangers(findings, round) {
                // Without a UID on disk a message cannot be shown; it waits.
                Err(FolderError::Full(error) | FolderError::Denied(error)) => {
                    if !std::mem::replace(&mut self.complained, true) {
                        self.warn("new messages get no UIDs", &error);
                    }
                    break;
                }
                other => {
                    other?;
                    self.complained = false;
                }
            }
            if over() && !findings.ready.is_empty() {
                return Ok(LetIn::Some);
            }
        }
        self.uids.next = self.uids.next.max(self.uids.next_on_disk());
        Ok(LetIn::All)
    }

    /// Looks for the files of records where they usually are, which may save a scan.
    fn seek_unfound(&mut self, findings: &mut Findings) -> Result<(), FolderError> {
        if self.uids.listed.len() > FEW_RECORDS {
            return Ok(());
        }
        for index in 0..self.uids.listed.len() {
            let base = self.uids.listed.base(index);
            if !self.uids.listed.is_found(index)
                && let Some((place, name)) = self.dirs.places().guess(base, Flags::default())?
            {
                let (table, listed) = (&mut self.table, &mut self.uids.listed);
                findings.see(place, &name, table, listed, None);
            }
        }
        Ok(())
    }

    fn let_in_listed(&mut self, round: &mut Round) -> Result<(), FolderError> {
        let modseq = self.batch_modseq(round)?;
        let mut listed = std::mem::take(&mut self.uids.listed);
        let first_row = self.table.len();
        for index in 0..listed.len() {
            if let Some(row) = listed.row_mut(index) {
                row.modseq = modseq;
                self.modseqs.give(row.uid().0, modseq);
            }
        }
        self.table.append(listed);
        self.uids.next = self.uids.next.max(self.table.last_uid().saturating_add(1));
        self.welcome(first_row);
        Ok(())
    }

    /// Gives UIDs to the first of the files that have none, which are in the order in which Dovecot
    /// would give them.
    fn let_in_strangers(
        &mut self,
        findings: &mut Findings,
        round: &mut Round,
    ) -> Result<(), FolderError> {
        let few = findings.ready.len() <= FEW;
        let mut accepted: Vec<Newcomer<'_>> = Vec::new();
        let mut taken = 0;
        let mut sought = 0;
        let mut again = Vec::new();
        for (_, place, name) in findings.ready.iter() {
            let Some(file) = Filename::parse(name) else {
                taken += 1;
                continue;
            };
            let last = accepted.last().map(|last| last.file().base);
            let double = last == Some(file.base);
            if accepted.len() >= AT_ONCE && !double {
                break;
            }
            taken += 1;
            let mut newcomer = Newcomer {
                place,
                name: Cow::Borrowed(name),
                stat: None,
            };
            // Another program has given the file its UID since it was seen, or the file was listed
            // twice.
            if let Some(index) = self.table.find_live(file.base) {
                again.push((self.table.uid(index), place, name.to_vec()));
                continue;
            }
            // With some messages gone this may be one of them, seen before it went.
            let looked_at = few || (self.counts.gone > 0 && self.table.find(file.base).is_some());
            let reach = match looked_at {
                false => Reach::None,
                true if double || sought == SOUGHT_MAX => Reach::SameName,
                true => Reach::EveryName,
            };
            let hint = Hint::of_name(None, place, name, reach);
            let (judgement, looks) = self.judge(&hint, round.now)?;
            sought += usize::from(looks.elsewhere.is_some() && !double);
            match judgement {
                Judgement::LetIn => {
                    if let Looked::File(stat) = looks.seen {
                        newcomer.stat = Some(stat);
                    }
                }
                Judgement::Follow(place, name) => {
                    (newcomer.place, newcomer.name) = (place, Cow::Owned(name));
                }
                _ => {
                    // Clients hear first of what was here before.
                    self.scan_wanted |= !self.served && !double;
                    continue;
                }
            }
            if double {
                // Two files of one base name: the second is judged when the first has its UID.
                findings.doubles.push(0, place, name);
            } else {
                accepted.push(newcomer);
            }
        }
        let new: Vec<New<'_>> = accepted
            .iter()
            .map(|newcomer| New {
                base: newcomer.file().base,
                guid: None,
            })
            .collect();
        for (uid, place, name) in again {
            findings.renamed.push(uid, place, &name);
        }
        if new.is_empty() {
            findings.ready.skip(taken);
            return Ok(());
        }
        let modseq = self.batch_modseq(round)?;
        let first_uid = self.append_uids(&new)?;
        drop(new);
        let first_row = self.table.len();
        let octets = findings.ready.octets();
        self.table.reserve(findings.ready.len(), octets);
        // The UIDs come second, so that none is asked for after the last there is.
        for (newcomer, uid) in accepted.iter().zip(first_uid..) {
            let (place, file) = (newcomer.place, newcomer.file());
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
            self.table.set_name(index, place, file.info, flags);
            if let (Some(stat), Some(row)) = (&newcomer.stat, self.table.row_mut(index)) {
                row.set_dates(stat.mtime.seconds, stat.ctime.seconds);
            }
            self.modseqs.give(uid, modseq);
        }
        drop(accepted);
        findings.ready.skip(taken);
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

    /// Gives keywords to letters that were seen in file names and have none, as Dovecot does,
    /// unless another process has given them one meanwhile.
    pub(super) fn name_letters(&mut self, letters: u32, now: SystemTime) {
        if self.are_named(letters) {
            return;
        }
        if self.keywords.refresh(&self.dirs.control) {
            self.changes.push(Change::Keywords);
        }
        if self.are_named(letters) {
            return;
        }
        let named = match &self.held {
            Held::Lock(lock) if !self.keywords.is_unreadable() => {
                let file = KeywordsFile {
                    dir: &self.dirs.control,
                    lock,
                    access: &self.dirs.access,
                    now,
                };
                self.keywords.name_unknown(letters, &file)
            }
            _ => Ok(false),
        };
        let named = match named {
            Ok(named) => named,
            Err(KeywordsError::LockLost) => false,
            Err(KeywordsError::Io(error)) => {
                report::without(&error, "new letters have names that are not written down");
                false
            }
        };
        // What cannot be written down must do without.
        if self.keywords.stand_in(letters) || named {
            self.changes.push(Change::Keywords);
        }
    }

    fn are_named(&self, letters: u32) -> bool {
        (0..26)
            .filter(|letter| letters & 1 << letter != 0)
            .all(|letter| self.keywords.name(letter).is_some())
    }

    /// Puts the keywords that Courier kept beside the messages into their names; false: the slice
    /// is over.
    pub(super) fn adopt_keywords(
        &mut self,
        round: &mut Round,
        over: &dyn Fn() -> bool,
    ) -> Result<bool, FolderError> {
        while let Some((base, names)) = self.courier_keywords.pop() {
            let Some(index) = self.table.find_live(&base) else {
                continue;
            };
            let keywords: Vec<_> = names.iter().filter_map(|name| Keyword::new(name)).collect();
            let wanted: Vec<&Keyword> = keywords.iter().collect();
            let letters = match self.give_letters(&wanted, Room::ForSome, 0, round.now) {
                Ok(numbers) => numbers.into_iter().flatten(),
                // There may be room for them the next time.
                Err(FolderError::Full(_) | FolderError::Denied(_)) => {
                    self.courier_keywords.push((base, names));
                    return Ok(true);
                }
                Err(error) => return Err(error),
            };
            let letters = letters.fold(0, |letters, number| letters | 1 << number);
            let modseq = self.batch_modseq(round)?;
            let add = |flags: Flags| Flags {
                keywords: flags.keywords | letters,
                ..flags
            };
            if let Err(error) = self.change_flags(index, &add, modseq) {
                log::warn!("{}: keywords are lost: {error}", self.path.display());
            }
            if over() {
                return Ok(false);
            }
        }
        Ok(true)
    }
}

/// A file that is to get a UID.
struct Newcomer<'a> {
    place: Place,
    name: Cow<'a, [u8]>,
    stat: Option<Stat>,
}

impl Newcomer<'_> {
    fn file(&self) -> Filename<'_> {
        let nameless = Filename {
            base: &self.name,
            info: b"",
        };
        Filename::parse(&self.name).unwrap_or(nameless)
    }
}

/// What became of a file that was to be moved to cur/.
enum Moved {
    To(Vec<u8>),
    Gone,
    /// A file of that name is in cur/ already.
    Taken,
    Stays,
}

/// How far letting in came.
pub(super) enum LetIn {
    All,
    /// The slice is over.
    Some,
    /// Records of the uidlist are to be explained first, which takes a scan.
    Undecided,
}

/// How many new messages are looked at one by one, which gives their dates.
const FEW: usize = 256;
/// How many of them are looked for under another name when they are not there.
const SOUGHT_MAX: usize = 64;
/// How many records without a file are looked for one by one.
const FEW_RECORDS: usize = 64;
/// How many new messages get their UIDs at once.
const AT_ONCE: usize = 4096;
