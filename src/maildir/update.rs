//! Changes to messages that are there: flags and expunges, and the lock that covers them.

use std::io;
use std::time::SystemTime;

use super::dir::{self, Target};
use super::error::is_denied;
use super::filename::Filename;
use super::folder::{Folder, FolderError, Held, MessageError};
use super::index::DirState;
use super::watch::Place;
use crate::imap::flag::Flags;

impl Folder {
    /// Takes the folder's lock for a batch of changes; `false`: another process has it, try again
    /// in a little while.  Held already: true.
    ///
    /// On a full disk, or where we may not write, it is true without a lock: what cannot be done
    /// then fails by itself, and EXPUNGE, which makes room, works.
    pub fn lock(&mut self, now: SystemTime) -> Result<bool, FolderError> {
        match &mut self.held {
            Held::Without(_) => return Ok(true),
            Held::Lock(lock) => {
                if lock.touch(now)? {
                    return Ok(true);
                }
                log::warn!("{}: the lock was taken from us", self.path.display());
                self.held = Held::No;
            }
            Held::No => (),
        }
        self.held = match self.dotlock.try_lock(&self.dirs.access, now) {
            Ok(Some(lock)) => Held::Lock(lock),
            Ok(None) => return Ok(false),
            Err(error) if dir::is_full(&error) || is_denied(&error) => {
                log::debug!("{}: going on without lock: {error}", self.path.display());
                Held::Without(error)
            }
            Err(error) => return Err(error.into()),
        };
        self.own_changes_only = !self.trusts_watch && self.directories_are_as_recorded();
        if !self.trusts_watch {
            self.touched = false;
        }
        Ok(true)
    }

    /// Lets go of the lock; the modseqs given under it are written down first.
    pub fn unlock(&mut self) {
        if matches!(self.held, Held::No) || self.is_committing() {
            return;
        }
        self.write_modseqs();
        if self.own_changes_only && self.touched {
            self.record_own_changes();
        }
        self.held = Held::No;
        self.locked_for_batch = false;
    }

    /// The lock for an operation in slices, which releases it at its end if the caller did not
    /// have it before.
    pub(super) fn lock_for_batch(&mut self, now: SystemTime) -> Result<bool, FolderError> {
        let held = !matches!(self.held, Held::No);
        let locked = self.lock(now)?;
        if locked && !held {
            self.locked_for_batch = true;
        }
        Ok(locked)
    }

    pub(super) fn release_batch_lock(&mut self) {
        if self.locked_for_batch {
            self.unlock();
        }
    }

    fn directories_are_as_recorded(&self) -> bool {
        let is = |name, known: &DirState| {
            let stat = self.dirs.dir.stat_target(name).ok().flatten();
            stat.is_some_and(|stat| {
                DirState::of(&stat)
                    == DirState {
                        dirty: false,
                        ..*known
                    }
            })
        };
        is(b"cur", &self.cur) && is(b"new", &self.new)
    }

    /// Nothing but what we did happened since the lock was taken, as far as times tell; they do not
    /// tell of another change in the same tick.
    fn record_own_changes(&mut self) {
        for (name, known) in [(b"cur", &mut self.cur), (b"new", &mut self.new)] {
            if let Ok(Some(stat)) = self.dirs.dir.stat_target(name)
                && stat.mtime != known.mtime
            {
                *known = DirState {
                    dirty: true,
                    ..DirState::of(&stat)
                };
            }
        }
        self.touched = false;
    }

    /// Changes the message's flags; needs the lock.  `change` gets the flags that the file has,
    /// which another program may have changed since the table was made, so nothing it did is
    /// undone.  Nothing happens (and no modseq is used) when the flags stay the same.
    pub fn change_flags(
        &mut self,
        index: usize,
        change: &dyn Fn(Flags) -> Flags,
        modseq: u64,
    ) -> Result<(), MessageError> {
        let row = *self.live_row(index)?;
        if change(row.flags()) == row.flags() {
            return Ok(());
        }
        self.keep_save_date(index);
        let mut place = row.place();
        let mut name = Vec::new();
        self.table.write_name(index, &mut name);
        // Renamed by another program meanwhile, perhaps more than once.
        for _ in 0..RENAMES {
            let Some(file) = Filename::parse(&name) else {
                break;
            };
            let flags = change(file.flags());
            let target = file.with_flags(flags);
            self.touched = true;
            let from = self.dirs.at(place);
            let renamed = match place == Place::Cur && name == target {
                // Another program gave it these flags meanwhile.
                true => Ok(()),
                false => from.rename(&name, &self.dirs.cur, &target, Target::MustBeFree),
            };
            match renamed {
                Ok(()) => {
                    let info = target.get(file.base.len()..).unwrap_or_default();
                    self.change_row(index, |table| {
                        table.set_name(index, Place::Cur, info, flags);
                    });
                    self.announce_flags(index, modseq);
                    return Ok(());
                }
                Err(error) if dir::is_gone(&error) => {
                    (place, name) = self.find_file(index)?;
                }
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
                    self.make_free(&target, place, &name)?;
                }
                Err(error) => return Err(error.into()),
            }
        }
        Err(self.lost(index))
    }

    /// Another file has the name that a message is to get: it may be a second link of the same
    /// one, or a message of its own, which then gets a name of its own.
    fn make_free(&mut self, target: &[u8], place: Place, name: &[u8]) -> Result<(), MessageError> {
        let other = self.dirs.cur.stat_target(target)?;
        let own = self.dirs.at(place).stat_target(name)?;
        let (Some(other), Some(own)) = (other, own) else {
            return Ok(());
        };
        if other.is_same_file(&own) {
            self.dirs.cur.unlink(target)?;
        } else if let Some(file) = Filename::parse(target) {
            let now = other.mtime.into();
            self.separate(Place::Cur, target, &file, now)?;
        }
        Ok(())
    }

    /// Removes the message; needs the lock.  Works on a full disk.
    pub fn expunge(&mut self, index: usize, modseq: u64) -> Result<(), MessageError> {
        let mut place = self.live_row(index)?.place();
        let mut name = Vec::new();
        self.table.write_name(index, &mut name);
        for _ in 0..RENAMES {
            self.touched = true;
            match self.dirs.at(place).unlink(&name) {
                Ok(()) => {
                    self.expunge_row(index, modseq);
                    return Ok(());
                }
                Err(error) if dir::is_gone(&error) => (),
                Err(error) => return Err(error.into()),
            }
            (place, name) = match self.find_file(index) {
                Ok(found) => found,
                // Another program removed it, which is as good.
                Err(MessageError::Gone) => {
                    self.expunge_row(index, modseq);
                    return Ok(());
                }
                Err(error) => return Err(error),
            };
        }
        Err(self.lost(index))
    }

    /// The message's file was moved to another folder by a [`super::save::Batch`]; needs the lock.
    pub fn expunge_moved(&mut self, index: usize, modseq: u64) {
        if self.live_row(index).is_ok() {
            self.touched = true;
            self.expunge_row(index, modseq);
        }
    }
}

/// So often a file may be renamed under our hands before we give up.
pub(super) const RENAMES: usize = 5;
