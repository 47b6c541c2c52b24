//! Changes to messages that are there: flags and expunges, and the lock that covers them.

use std::io;
use std::time::SystemTime;

use super::seek::Sought;
use super::state::messages::Message;
use super::{Change, Folder, FolderError, Held, MessageError};
use crate::mail::{Flags, Fsync, System};
use crate::maildir::disk::dir::{self, DiskError, DiskResult, Target};
use crate::maildir::disk::filename::Filename;
use crate::maildir::disk::watch::Place;
use crate::maildir::own::index::DirState;

impl Folder {
    /// Takes the folder's lock for a batch of changes; `false`: another process has it, try again
    /// in a little while.  Held already: true.
    ///
    /// On a full disk, or where writing is not permitted, it is true without a lock.  What cannot
    /// be done then fails by itself, and EXPUNGE, which makes room, works.
    pub fn lock(&mut self, now: SystemTime) -> Result<bool, FolderError> {
        self.clock = now;
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
            Err(error) if dir::is_full(&error) || dir::is_denied(&error) => {
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

    /// As [`Folder::lock`], for a command that is about to act on messages: what other processes
    /// wrote into uidlist, `roost.modseq` and dovecot-keywords since the last look is known when
    /// this returns.
    pub fn lock_to_act(&mut self, now: SystemTime) -> Result<bool, FolderError> {
        if !self.lock(now)? {
            return Ok(false);
        }
        if let Err(error) = self.heed_others(now) {
            self.unlock();
            return Err(error);
        }
        Ok(true)
    }

    /// What others wrote; needs the lock.
    pub(super) fn heed_others(&mut self, now: SystemTime) -> Result<(), FolderError> {
        self.refresh_uids(now)?;
        if self.keywords.refresh(&self.dirs.control) {
            self.changes.push(Change::Keywords);
        }
        Ok(self.heed_modseqs()?)
    }

    /// Lets go of the lock; the modseqs given under it are written down first.
    pub fn unlock(&mut self) {
        if matches!(self.held, Held::No) || self.is_committing() {
            return;
        }
        self.write_modseqs();
        if let Err(error) = self.force_changes() {
            self.warn("changes are not on disk yet", &error);
        }
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

    /// Another process found our lock left over, because we were stopped for longer than anybody
    /// waits.  What failed because of this has to be done again under a lock of our own.
    pub(super) fn has_lost_lock(&self) -> bool {
        match &self.held {
            Held::Lock(lock) => lock.is_ours().is_ok_and(|ours| !ours),
            Held::No | Held::Without(_) => false,
        }
    }

    fn directories_are_as_recorded(&self) -> bool {
        let is = |name, known: &DirState| {
            let stat = self.dirs.dir.stat_part(name).ok().flatten();
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

    /// Records the directories if, by their times, only we have changed them since the lock was
    /// taken.  The times do not show another change in the same tick.
    fn record_own_changes(&mut self) {
        for (name, known) in [(b"cur", &mut self.cur), (b"new", &mut self.new)] {
            if let Ok(Some(stat)) = self.dirs.dir.stat_part(name)
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

    /// Changes the message's flags; needs the lock.  `change` gets the flags that the file's name
    /// shows at this moment, whatever the table has, so nothing that another program did is undone.
    pub fn change_flags(
        &mut self,
        index: usize,
        change: &dyn Fn(Flags) -> Flags,
        modseq: u64,
    ) -> Result<Met, MessageError> {
        self.change_named(index, &|file, _| change(file), modseq)
    }

    /// Changes the flags, but leaves a message as it is if another program has changed it.
    pub fn change_flags_if_as_known(
        &mut self,
        index: usize,
        change: &dyn Fn(Flags) -> Flags,
        modseq: u64,
    ) -> Result<Met, MessageError> {
        let change = |file: Flags, known: Flags| match file == known {
            true => change(file),
            false => file,
        };
        self.change_named(index, &change, modseq)
    }

    /// `change` gets the flags that the file has, and those that the table has.
    fn change_named(
        &mut self,
        index: usize,
        change: &dyn Fn(Flags, Flags) -> Flags,
        modseq: u64,
    ) -> Result<Met, MessageError> {
        let known = self.live_row(index)?.flags();
        if change(known, known) != known {
            self.keep_save_date(index);
        }
        let (mut place, mut name) = self.known_name(index)?;
        // Renamed by another program meanwhile, perhaps more than once.
        for _ in 0..RENAMES {
            let Some(file) = Filename::parse(&name) else {
                break;
            };
            let found = file.flags();
            let flags = change(found, known);
            match self.put_flags(place, &name, flags) {
                Ok((place, name)) => {
                    if flags == found {
                        self.learn_name(index, place, &name, modseq);
                    } else {
                        self.give_name(index, place, &name);
                        self.announce_flags(index, modseq);
                    }
                    return Ok(Met::of(found, known));
                }
                Err(error) if dir::is_gone(&error) => {
                    (place, name) = self.find_file(index, found)?;
                }
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
                    let target = file.with_flags(flags);
                    self.make_free(&target, place, &name)?;
                }
                Err(error) => return Err(error.into()),
            }
        }
        Err(self.lost())
    }

    /// Renames the file if its name does not show these flags, or sees that it has the name; says
    /// what it is called then.
    fn put_flags(
        &mut self,
        place: Place,
        name: &[u8],
        flags: Flags,
    ) -> DiskResult<(Place, Vec<u8>)> {
        let from = self.dirs.at(place);
        let gone = || DiskError::new("stat", from.path(), io::ErrorKind::NotFound);
        let file = Filename::parse(name).ok_or_else(gone)?;
        if file.flags() == flags {
            from.stat(name)?.ok_or_else(gone)?;
            return Ok((place, name.to_vec()));
        }
        let target = file.with_flags(flags);
        self.touched = true;
        self.unforced.note(place);
        self.unforced.note(Place::Cur);
        let from = self.dirs.at(place);
        from.rename(name, &self.dirs.cur, &target, Target::MustBeFree)?;
        Ok((Place::Cur, target))
    }

    /// The name under which the table has the message.
    pub(super) fn known_name(&self, index: usize) -> Result<(Place, Vec<u8>), MessageError> {
        let place = self.live_row(index)?.place();
        let mut name = Vec::new();
        self.table.write_name(index, &mut name);
        Ok((place, name))
    }

    /// The message's file was seen under this name, under the lock: the table and the clients learn
    /// the flags that it shows.
    pub(super) fn learn_name(&mut self, index: usize, place: Place, name: &[u8], modseq: u64) {
        let known = self.table.rows().get(index).map(Message::flags);
        self.give_name(index, place, name);
        if known != self.table.rows().get(index).map(Message::flags) {
            self.announce_flags(index, modseq);
        }
    }

    /// The message's file has this name.
    fn give_name(&mut self, index: usize, place: Place, name: &[u8]) {
        let Some(file) = Filename::parse(name) else {
            return;
        };
        self.suspects.remove(&self.table.uid(index));
        if self.table.is_at(index, place, file.info) {
            return;
        }
        let flags = file.flags();
        self.change_row(index, |table| {
            table.set_name(index, place, file.info, flags);
        });
        self.name_letters(flags.keywords, self.clock);
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

    /// Removes the message if its file's name says \\Deleted; needs the lock.  Works on a full
    /// disk.  False: it does not (any more), which the table and the clients learn.
    pub fn expunge(&mut self, index: usize, modseq: u64) -> Result<bool, MessageError> {
        let is_deleted = |flags: Flags| flags.system.contains(System::DELETED);
        self.remove_if(index, &is_deleted, modseq)
    }

    /// Removes the message, a copy of which was made when it had these flags; needs the lock.
    /// False: it has others by now, which the table and the clients learn.
    pub fn remove_copied(
        &mut self,
        index: usize,
        flags: Flags,
        modseq: u64,
    ) -> Result<bool, MessageError> {
        self.remove_if(index, &|now| now == flags, modseq)
    }

    /// The file is removed by a name that shows what is `wanted`, so no change by another program
    /// can come between the look at the name and the removal.
    fn remove_if(
        &mut self,
        index: usize,
        wanted: &dyn Fn(Flags) -> bool,
        modseq: u64,
    ) -> Result<bool, MessageError> {
        let (mut place, mut name) = self.known_name(index)?;
        for _ in 0..RENAMES {
            let flags = Filename::parse(&name).map_or(Flags::default(), |file| file.flags());
            if !wanted(flags) {
                if self.dirs.at(place).stat(&name)?.is_some() {
                    self.learn_name(index, place, &name, modseq);
                    return Ok(false);
                }
            } else {
                self.touched = true;
                self.unforced.note(place);
                match self.dirs.at(place).unlink(&name) {
                    Ok(()) => {
                        self.expunge_row(index, modseq);
                        return Ok(true);
                    }
                    Err(error) if dir::is_gone(&error) => (),
                    Err(error) => return Err(error.into()),
                }
            }
            let base = self.table.base(index).to_vec();
            (place, name) = match self.dirs.places().seek(&base, flags, self.clock)? {
                Sought::At(place, name) => (place, name),
                // Another program has removed it, which has the same result.
                Sought::Gone => {
                    self.expunge_row(index, modseq);
                    return Ok(true);
                }
                Sought::Unsure => break,
            };
        }
        Err(self.lost())
    }

    /// With `fsync = "always"`: renames and removals are on the disk when this returns.
    pub fn force_changes(&mut self) -> DiskResult<()> {
        let unforced = std::mem::take(&mut self.unforced);
        if self.fsync != Fsync::Always {
            return Ok(());
        }
        if unforced.cur {
            self.dirs.cur.sync()?;
        }
        if unforced.new {
            self.dirs.new.sync()?;
        }
        if unforced.cur || unforced.new {
            self.write_modseqs();
            self.modseqs.settle()?;
        }
        Ok(())
    }
}

/// What a change of flags found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Met {
    /// The file had the flags that the table had.
    AsKnown,
    /// Another program had been there; the table has now what the name says.
    Others,
}

impl Met {
    fn of(found: Flags, known: Flags) -> Met {
        match found == known {
            true => Met::AsKnown,
            false => Met::Others,
        }
    }
}

/// The directories in which names were changed since they were last forced to the disk.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Unforced {
    cur: bool,
    new: bool,
}

impl Unforced {
    pub fn note(&mut self, place: Place) {
        match place {
            Place::Cur => self.cur = true,
            Place::New => self.new = true,
        }
    }
}

/// How often a file may be renamed by others before we give up.
pub(super) const RENAMES: usize = 16;
