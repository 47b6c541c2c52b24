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

use std::io::{self, Read, Write};
use std::rc::Rc;
use std::time::SystemTime;

use super::Fsync;
use super::dir::{self, Access, Dir, File, Target, Time};
use super::filename::{self, Filename};
use super::folder::{Folder, FolderError};
use super::messages::NewRow;
use super::read::BareLf;
use super::scan::{Look, Step};
use super::uidlist::New;
use super::watch::Place;
use crate::imap::flag::Flags;
use crate::imap::sequence::Ranges;

pub use super::error::SaveError;

/// A message being written to tmp/.  Dropped before it is added to a batch, its file is removed.
#[derive(Debug)]
pub struct Incoming {
    file: File,
    draft: Draft,
    size: u64,
    bare: BareLf,
}

/// A file in tmp/, removed when it is dropped.
#[derive(Debug)]
struct Draft {
    tmp: Dir,
    name: Vec<u8>,
}

impl Drop for Draft {
    fn drop(&mut self) {
        if !self.name.is_empty() {
            // What cannot be removed now is swept from tmp/ in a day or two.
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

/// Messages on their way into one folder, all or none.  Dropped before it is committed, it leaves
/// nothing behind.
#[derive(Debug)]
pub struct Batch {
    entries: Vec<Entry>,
    cur: Dir,
    tmp: Dir,
    access: Access,
    fsync: Fsync,
    /// The folder must not be synced or batches committed to it meanwhile.
    token: Option<Rc<()>>,
    /// How many texts are known to be on the disk.
    forced: usize,
    /// UIDs of entries, once they are given.
    first_uid: Option<u32>,
    /// How many have their name in cur/.
    placed: usize,
    copying: Option<Copying>,
}

#[derive(Debug)]
struct Entry {
    origin: Origin,
    /// The new base name.
    base: Vec<u8>,
    guid: Option<Vec<u8>>,
    flags: Flags,
    internal_date: Option<i64>,
    size: Option<u64>,
    virtual_size: Option<u64>,
}

#[derive(Debug)]
enum Origin {
    Written {
        draft: Draft,
        /// Open until it is forced to the disk.
        file: Option<File>,
    },
    /// A message of a folder, to be linked, or moved.
    Other {
        cur: Dir,
        new: Dir,
        place: Place,
        name: Vec<u8>,
        take: bool,
    },
}

/// A text that cannot be linked and is copied, in slices.
#[derive(Debug)]
struct Copying {
    from: File,
    to: File,
    draft: Draft,
    mtime: Time,
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

impl Batch {
    pub fn new(destination: &Folder) -> Batch {
        Batch {
            entries: Vec::new(),
            cur: destination.dirs.cur.clone(),
            tmp: destination.dirs.tmp.clone(),
            access: destination.dirs.access,
            fsync: destination.fsync,
            token: None,
            forced: 0,
            first_uid: None,
            placed: 0,
            copying: None,
        }
    }

    pub fn len(&self) -> usize {
        self.entries.len()
    }

    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// Adds a message that has been written to its end.  Flags are the destination's (keyword
    /// letters!); `internal_date` is in seconds since 1970, `None`: now.
    pub fn add(
        &mut self,
        message: Incoming,
        flags: Flags,
        internal_date: Option<i64>,
    ) -> Result<(), SaveError> {
        let Incoming {
            file,
            draft,
            size,
            bare,
        } = message;
        if let Some(seconds) = internal_date {
            let nanoseconds = 0;
            file.set_mtime(Time {
                seconds,
                nanoseconds,
            })?;
        }
        let virtual_size = size + bare.count;
        let internal_date = match internal_date {
            Some(date) => date,
            None => file.stat()?.mtime.seconds,
        };
        let mut file = Some(file);
        if self.entries.len() >= SYNCED_ONE_BY_ONE && self.fsync != Fsync::Always {
            // The whole file system will be synced, and descriptors are scarce.
            file = None;
        }
        if self.fsync == Fsync::Always
            && let Some(file) = file.take()
        {
            file.sync()?;
        }
        self.entries.push(Entry {
            base: filename::with_sizes(&draft.name, size, virtual_size),
            origin: Origin::Written { draft, file },
            guid: None,
            flags,
            internal_date: Some(internal_date),
            size: Some(size),
            virtual_size: Some(virtual_size),
        });
        Ok(())
    }

    /// Adds a copy of a message of `source`, which may be the destination itself: a hard link if
    /// possible.  It keeps EMAILID and INTERNALDATE.
    pub fn copy(
        &mut self,
        source: &mut Folder,
        index: usize,
        flags: Flags,
        now: SystemTime,
    ) -> Result<(), SaveError> {
        self.add_other(source, index, flags, now, false)
    }

    /// Adds a message of another folder that is to leave it.  The lock of `source` must be held
    /// until the batch is committed and [`Folder::expunge_moved`] has been told.
    pub fn take(
        &mut self,
        source: &mut Folder,
        index: usize,
        flags: Flags,
        now: SystemTime,
    ) -> Result<(), SaveError> {
        self.add_other(source, index, flags, now, true)
    }

    fn add_other(
        &mut self,
        source: &mut Folder,
        index: usize,
        flags: Flags,
        now: SystemTime,
        take: bool,
    ) -> Result<(), SaveError> {
        let row = *source.live_row(index)?;
        if !take {
            // The link changes what SAVEDATE of the source would be found as.
            source.keep_save_date(index);
        }
        let mut name = Vec::new();
        source.table.write_name(index, &mut name);
        let fresh = source.unique.borrow_mut().next(now);
        let old = source.table.base(index);
        let base = match (filename::size(old), filename::virtual_size(old)) {
            (Some(size), Some(virtual_size)) => filename::with_sizes(&fresh, size, virtual_size),
            _ => fresh,
        };
        self.entries.push(Entry {
            origin: Origin::Other {
                cur: source.dirs.cur.clone(),
                new: source.dirs.new.clone(),
                place: row.place(),
                name,
                take,
            },
            base,
            guid: Some(source.table.guid(index).to_vec()),
            flags,
            internal_date: row.internal_date(),
            size: row.size(),
            virtual_size: row.virtual_size(),
        });
        Ok(())
    }

    /// Makes the texts durable that clients sent.
    fn force_texts(&mut self) -> io::Result<()> {
        if self.forced == self.entries.len() || self.fsync == Fsync::Never {
            return Ok(());
        }
        let mut written = 0;
        let mut open = Vec::new();
        for entry in self.entries.iter_mut().skip(self.forced) {
            if let Origin::Written { file, .. } = &mut entry.origin {
                written += 1;
                open.extend(file.take());
            }
        }
        if self.fsync == Fsync::Optimized {
            if written > open.len() {
                self.tmp.sync_file_system()?;
            } else {
                for file in open {
                    file.sync()?;
                }
            }
        }
        self.forced = self.entries.len();
        Ok(())
    }

    /// Gives the next file its name in cur/; false: the slice is over.
    fn place_next(&mut self, now: SystemTime, over: &dyn Fn() -> bool) -> Result<bool, SaveError> {
        let Some(entry) = self.entries.get_mut(self.placed) else {
            return Ok(true);
        };
        let target = entry.target();
        match &mut entry.origin {
            Origin::Written { draft, .. } => {
                let Draft { tmp, name } = draft;
                tmp.rename(name, &self.cur, &target, Target::MustBeFree)?;
                name.clear();
            }
            Origin::Other {
                cur,
                new,
                place,
                name,
                take,
            } => {
                if let Some(copying) = &mut self.copying {
                    if !copying.go_on(over)? {
                        return Ok(false);
                    }
                    copying.finish(self.fsync)?;
                    let Draft { tmp, name: draft } = &mut copying.draft;
                    tmp.rename(draft, &self.cur, &target, Target::MustBeFree)?;
                    draft.clear();
                    self.copying = None;
                    if *take {
                        dir_of(cur, new, *place).unlink(name)?;
                    }
                } else {
                    let from = dir_of(cur, new, *place);
                    let done = match take {
                        true => from.rename(name, &self.cur, &target, Target::MustBeFree),
                        false => from.link(name, &self.cur, &target),
                    };
                    match done {
                        Err(error) if dir::is_gone(&error) => {
                            // Renamed meanwhile, or expunged.
                            (*place, *name) = search(cur, new, name)?.ok_or(SaveError::Gone)?;
                            return Ok(true);
                        }
                        Err(error) if must_copy(&error) => {
                            let draft = Draft {
                                tmp: self.tmp.clone(),
                                name: entry.base.clone(),
                            };
                            let from = from.open_file(name)?;
                            self.copying = Some(Copying::begin(from, draft, &self.access, now)?);
                            return Ok(true);
                        }
                        other => other?,
                    }
                }
            }
        }
        self.placed += 1;
        Ok(true)
    }

    /// Takes away again what has its name in cur/.
    fn undo(&mut self) {
        for entry in self.entries.iter().take(self.placed) {
            let target = entry.target();
            let undone = match &entry.origin {
                Origin::Other {
                    cur,
                    new,
                    place,
                    name,
                    take: true,
                } => {
                    let to = dir_of(cur, new, *place);
                    self.cur.rename(&target, to, name, Target::MustBeFree)
                }
                _ => self.cur.unlink(&target),
            };
            if let Err(error) = undone {
                log::error!(
                    "{}: cannot be taken back: {error}",
                    String::from_utf8_lossy(&target)
                );
            }
        }
        self.placed = 0;
    }
}

impl Drop for Batch {
    fn drop(&mut self) {
        self.undo();
    }
}

impl Entry {
    fn target(&self) -> Vec<u8> {
        let base = &self.base;
        Filename { base, info: b"" }.with_flags(self.flags)
    }
}

impl Copying {
    fn begin(from: File, draft: Draft, access: &Access, _now: SystemTime) -> io::Result<Copying> {
        let mtime = from.stat()?.mtime;
        let to = draft.tmp.create_new(&draft.name, access)?;
        Ok(Copying {
            from,
            to,
            draft,
            mtime,
        })
    }

    /// Copies on; false: the slice is over.
    fn go_on(&mut self, over: &dyn Fn() -> bool) -> io::Result<bool> {
        let mut bytes = vec![0; 128 * 1024];
        loop {
            let read = match self.from.read(&mut bytes) {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                other => other?,
            };
            if read == 0 {
                return Ok(true);
            }
            self.to.write_all(bytes.get(..read).unwrap_or_default())?;
            if over() {
                return Ok(false);
            }
        }
    }

    fn finish(&mut self, fsync: Fsync) -> io::Result<()> {
        self.to.set_mtime(self.mtime)?;
        match fsync {
            Fsync::Never => Ok(()),
            Fsync::Always | Fsync::Optimized => self.to.sync(),
        }
    }
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
            // Somebody else gave UIDs: the messages that have them come first.
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
            Err(error) => {
                self.release_batch_lock();
                Err(error.into())
            }
        }
    }

    fn give_uids(&mut self, batch: &mut Batch, now: SystemTime) -> Result<bool, FolderError> {
        self.check_place()?;
        self.refresh_uids(now)?;
        if !self.uids.listed.is_empty() {
            return Ok(false);
        }
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
        while batch.placed < batch.len() {
            if !batch.place_next(now, over)? || (over() && batch.placed < batch.len()) {
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
        let modseq = self.next_modseq(now)?;
        Ok(Commit::Done(self.admit(batch, modseq, now)))
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
        for (uid, entry) in (first..).zip(&batch.entries) {
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
        // A watch that saw the files come could not know whose they are.
        let listed = &mut self.uids.listed;
        self.findings.look_up_strangers(&mut self.table, listed);
        uids
    }
}

fn dir_of<'a>(cur: &'a Dir, new: &'a Dir, place: Place) -> &'a Dir {
    match place {
        Place::Cur => cur,
        Place::New => new,
    }
}

/// Looks for the file with the base name of `name` through new/ and cur/.
fn search(cur: &Dir, new: &Dir, name: &[u8]) -> Result<Option<(Place, Vec<u8>)>, SaveError> {
    let base = Filename::parse(name).map(|file| file.base);
    for place in [Place::New, Place::Cur] {
        let mut listing = dir_of(cur, new, place).list()?;
        let mut found = None;
        while found.is_none()
            && listing.next_chunk(&mut |seen, _| {
                if seen != name && Filename::parse(seen).map(|file| file.base) == base {
                    found = Some(seen.to_vec());
                }
            })?
        {}
        if let Some(name) = found {
            return Ok(Some((place, name)));
        }
    }
    Ok(None)
}

/// Errors of link and rename after which a copy of the text will do.
fn must_copy(error: &io::Error) -> bool {
    use io::ErrorKind::{CrossesDevices, PermissionDenied, TooManyLinks, Unsupported};
    matches!(
        error.kind(),
        CrossesDevices | TooManyLinks | PermissionDenied | Unsupported
    )
}

/// Up to so many files are forced to the disk one by one.
const SYNCED_ONE_BY_ONE: usize = 8;
