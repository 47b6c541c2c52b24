//! New messages: APPEND, COPY and MOVE.
//!
//! A message that comes from a client is written to tmp/ as it arrives ([`Incoming`]); copies are
//! only noted.  All that is to go into a folder at once is a [`Batch`], which is committed in these
//! steps, so that nothing half-written is ever seen and all of it or nothing is there:
//!
//! 1. the texts are forced to the disk, each file or, when there are many, the file system once;
//! 2. under the folder's lock the UIDs are written to dovecot-uidlist;
//! 3. each file gets its name in cur/ by rename or link, which never overwrites;
//! 4. uidlist and directory are forced to the disk;
//! 5. the messages are in the table, and the client may be told.
//!
//! If a step fails the files of the batch are removed again; UIDs that were written for them stay
//! unused.  A crash between 2 and 5 leaves messages that nobody was told of: whole ones, with their
//! UIDs, or UIDs without a file, which is no error in a uidlist.

use std::rc::Rc;
use std::time::SystemTime;

use super::read::BareLf;
use super::scan::{Look, Step};
use super::state::table::NewRow;
use super::update::RENAMES;
use super::{Change, Folder, FolderError};
use crate::mail::{Flags, Fsync, Keyword, Ranges};
use crate::maildir::disk::dir::{Dir, File, Time};
use crate::maildir::disk::watch::Place;
use crate::maildir::dovecot::keywords::{Keywords, Room};
use crate::maildir::dovecot::uidlist::New;

use super::batch::{BatchSource, Placing};

pub use super::batch::Batch;
pub use super::error::SaveError;

/// A message being written to tmp/.  Dropped before it is added to a batch, its file is removed.
#[derive(Debug)]
pub struct Incoming {
    pub(super) file: File,
    pub(super) draft: Draft,
    pub(super) size: u64,
    pub(super) bare: BareLf,
}

/// A file in tmp/, removed when it is dropped.
#[derive(Debug)]
pub(super) struct Draft {
    pub tmp: Dir,
    pub name: Vec<u8>,
}

impl Drop for Draft {
    fn drop(&mut self) {
        if !self.name.is_empty() {
            // A file that cannot be removed now is swept from tmp/ in a day or two.
            let _ = self.tmp.unlink(&self.name);
        }
    }
}

impl Incoming {
    /// Opens a file in `folder`'s tmp/.
    pub fn begin(folder: &Folder, now: SystemTime) -> Result<Incoming, SaveError> {
        let tmp = folder.dirs.tmp.clone();
        let name = folder.unique.borrow_mut().next(now);
        let file = tmp.create_new(&name, &folder.dirs.access)?;
        Ok(Incoming {
            file,
            draft: Draft { tmp, name },
            size: 0,
            bare: BareLf::default(),
        })
    }

    /// Writes the next octets of the message.  Line ends are to be LF already where they are to be.
    pub fn write(&mut self, bytes: &[u8]) -> Result<(), SaveError> {
        self.file.write_all(bytes)?;
        self.bare.take_in(bytes);
        self.size += bytes.len() as u64;
        Ok(())
    }
}

/// How far [`Folder::commit`] came.
#[derive(Clone, Debug, PartialEq, Eq)]
#[must_use]
pub enum Commit {
    /// The UIDs, in the order of the batch.
    Done(Ranges),
    Again,
    Locked,
}

impl Folder {
    /// Gives the messages of the batch UIDs and makes them visible, all or none; done when they
    /// are as durable as the settings say.  Takes the lock itself; if it was not held before it is
    /// released at the end.  After an error the batch can only be dropped; dropped before the end,
    /// it takes everything back.
    pub fn commit(
        &mut self,
        batch: &mut Batch,
        now: SystemTime,
        over: &dyn Fn() -> bool,
    ) -> Result<Commit, SaveError> {
        if batch.token.is_none() {
            if self.is_committing() {
                return Ok(Commit::Locked);
            }
            batch.force_texts()?;
            match self.prepare_commit(batch, now, over)? {
                Step::Done => (),
                Step::Again => return Ok(Commit::Again),
                Step::Locked => return Ok(Commit::Locked),
            }
        }
        let result = self.place_all(batch, now, over);
        if !matches!(result, Ok(Commit::Again)) {
            if result.is_err() {
                batch.undo();
            }
            batch.token = None;
            self.release_batch_lock();
        }
        result
    }

    /// Gives the UIDs.
    fn prepare_commit(
        &mut self,
        batch: &mut Batch,
        now: SystemTime,
        over: &dyn Fn() -> bool,
    ) -> Result<Step, SaveError> {
        if !self.served || !self.work.is_idle() {
            match self.sync(Look::default(), now, over)? {
                Step::Done if self.work.is_idle() => (),
                Step::Done => return Ok(Step::Again),
                step => return Ok(step),
            }
        }
        if !self.lock_for_batch(now)? {
            return Ok(Step::Locked);
        }
        match self.give_uids(batch, now) {
            Ok(true) => Ok(Step::Done),
            // Another process has given UIDs, and the messages that have them come first.
            Ok(false) => {
                let look = Look {
                    force_scan: true,
                    ..Look::default()
                };
                let step = self.sync(look, now, over);
                match step? {
                    Step::Done => Ok(Step::Again),
                    step => Ok(step),
                }
            }
            Err(_) if self.has_lost_lock() => {
                self.unlock();
                Ok(Step::Locked)
            }
            Err(error) => {
                self.release_batch_lock();
                Err(error.into())
            }
        }
    }

    fn give_uids(&mut self, batch: &mut Batch, now: SystemTime) -> Result<bool, FolderError> {
        self.check_batch(batch)?;
        self.heed_others(now)?;
        if !self.uids.listed.is_empty() {
            return Ok(false);
        }
        if self.keywords.refresh(&self.dirs.control) {
            self.changes.push(Change::Keywords);
        }
        batch.confirm_letters(self, now)?;
        let new: Vec<New<'_>> = batch
            .entries
            .iter()
            .map(|entry| New {
                base: &entry.base,
                guid: entry.guid.as_deref(),
            })
            .collect();
        if !new.is_empty() {
            batch.first_uid = Some(self.append_uids(&new)?);
        }
        batch.token = Some(Rc::clone(&self.committing));
        Ok(true)
    }

    fn place_all(
        &mut self,
        batch: &mut Batch,
        now: SystemTime,
        over: &dyn Fn() -> bool,
    ) -> Result<Commit, SaveError> {
        self.touched = true;
        let mut renames = 0;
        while batch.placed < batch.len() {
            match batch.place_next(now, over)? {
                Placing::Done => renames = 0,
                Placing::Again => return Ok(Commit::Again),
                Placing::Renamed(..) if renames == RENAMES => return Err(SaveError::Gone),
                Placing::Renamed(source, flags) => {
                    renames += 1;
                    let held = batch.held_letters();
                    batch.set_flags(self.letters_of(&source, flags, held, now)?);
                }
            }
            if over() && batch.placed < batch.len() {
                return Ok(Commit::Again);
            }
        }
        if batch.is_empty() {
            return Ok(Commit::Done(Ranges::new()));
        }
        if self.fsync != Fsync::Never {
            self.settle_uids()?;
            batch.cur.sync()?;
        }
        // While the last text was placed the folder may have gone.
        self.check_batch(batch)?;
        let modseq = self.next_modseq(now)?;
        Ok(Commit::Done(self.admit(batch, modseq, now)))
    }

    /// Fails if another folder has taken the place of the one that the batch was begun for, because
    /// nobody would find the messages there.
    fn check_batch(&self, batch: &Batch) -> Result<(), FolderError> {
        self.check_place()?;
        let cur = self.dirs.dir.open_dir(b"cur")?;
        match batch.is_for(&cur)? && self.dirs.is_cur(&cur)? {
            true => Ok(()),
            false => Err(self.replaced("/cur")),
        }
    }

    /// Flags in the letters of another folder, in ours, but none of the letters `held`; needs the
    /// lock.
    fn letters_of(
        &mut self,
        source: &BatchSource,
        flags: Flags,
        held: u32,
        now: SystemTime,
    ) -> Result<Flags, FolderError> {
        if source.same || flags.keywords == 0 {
            return Ok(flags);
        }
        let names = Keywords::read(&source.control);
        let names = names.iter();
        let wanted: Vec<&Keyword> = names
            .filter_map(|(letter, name)| (flags.keywords & 1 << letter != 0).then_some(name))
            .collect();
        let given = self.give_letters(&wanted, Room::ForSome, held, now)?;
        let letters = given.into_iter().flatten();
        Ok(Flags {
            keywords: letters.fold(0, |all, letter| all | 1 << letter),
            ..flags
        })
    }

    /// Adds the messages, which are all in place, to the table.
    fn admit(&mut self, batch: &mut Batch, modseq: u64, now: SystemTime) -> Ranges {
        let first_row = self.table.len();
        let mut uids = Ranges::new();
        let save_date = Time::from(now).seconds;
        let octets = batch
            .entries
            .iter()
            .map(|entry| entry.base.len() + 32)
            .sum();
        self.table.reserve(batch.len(), octets);
        // There are as many UIDs as entries.
        let first = batch.first_uid.unwrap_or(0);
        // The UIDs come second, so that none is asked for after the last there is.
        for (entry, uid) in batch.entries.iter().zip(first..) {
            let base = &entry.base;
            let row = NewRow {
                uid,
                base,
                guid: entry.guid.as_deref(),
                modseq,
            };
            if !self.table.push(row) {
                continue;
            }
            let index = self.table.len() - 1;
            let target = entry.target();
            let info = target.get(base.len()..).unwrap_or_default();
            self.table.set_name(index, Place::Cur, info, entry.flags);
            if let Some(row) = self.table.row_mut(index) {
                row.set_sizes(entry.size, entry.virtual_size);
                row.set_saved(entry.internal_date, save_date);
            }
            self.modseqs.give(uid, modseq);
            uids.push(uid);
        }
        // From here on they are the folder's.
        batch.placed = 0;
        batch.entries.clear();
        self.welcome(first_row);
        let unseen = self.unseen_uids();
        self.account_for(&unseen, modseq);
        // A watch that has seen the files come did not know which messages they are.
        let listed = &mut self.uids.listed;
        self.findings.look_up_strangers(&mut self.table, listed);
        uids
    }
}
