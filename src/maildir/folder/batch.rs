//! Messages that go into a folder together: a [`Batch`], and how each message gets its name in
//! cur/.  `save.rs` says when, and under which lock.

use std::io::{self, Read};
use std::rc::Rc;
use std::time::SystemTime;

use super::error::SaveError;
use super::save::{Draft, Incoming};
use super::seek::{Places, Sought};
use super::{Folder, FolderError};
use crate::mail::{Flags, Fsync, Keyword};
use crate::maildir::disk::dir::{self, Access, Dir, DiskError, DiskResult, File, Target, Time};
use crate::maildir::disk::filename::{self, Filename};
use crate::maildir::disk::watch::Place;
use crate::maildir::dovecot::keywords::Room;

/// Messages on their way into one folder, all or none.  Dropped before it is committed, it leaves
/// nothing behind.
#[derive(Debug)]
pub struct Batch {
    pub(super) entries: Vec<BatchEntry>,
    pub(super) cur: Dir,
    tmp: Dir,
    access: Access,
    fsync: Fsync,
    /// The folder must not be synced or batches committed to it meanwhile.
    pub(super) token: Option<Rc<()>>,
    /// How many texts are known to be on the disk.
    forced: usize,
    /// UIDs of entries, once they are given.
    pub(super) first_uid: Option<u32>,
    /// How many have their name in cur/.
    pub(super) placed: usize,
    copying: Option<Copying>,
    /// The keywords that messages of the batch have, with the letters that they were promised.
    letters: Vec<(u32, Keyword)>,
    /// The flags that each message had when its copy was made; known when the batch is committed.
    copied: Vec<Flags>,
}

#[derive(Debug)]
pub(super) struct BatchEntry {
    origin: Origin,
    /// The new base name.
    pub(super) base: Vec<u8>,
    pub(super) guid: Option<Vec<u8>>,
    pub(super) flags: Flags,
    pub(super) internal_date: Option<i64>,
    pub(super) size: Option<u64>,
    pub(super) virtual_size: Option<u64>,
}

#[derive(Debug)]
enum Origin {
    Written {
        draft: Draft,
        /// Open until it is forced to the disk.
        file: Option<File>,
    },
    /// A message of a folder, to be linked.
    Other {
        source: BatchSource,
        place: Place,
        name: Vec<u8>,
    },
}

/// The folder that a message is copied from.
#[derive(Clone, Debug)]
pub(super) struct BatchSource {
    /// Where its keywords are.
    pub control: Dir,
    cur: Dir,
    new: Dir,
    /// It is the destination, with the same letters for keywords.
    pub same: bool,
}

/// How far a message has come on its way to its name in cur/.
#[derive(Debug)]
pub(super) enum Placing {
    Done,
    /// The slice is over.
    Again,
    /// Another program has given it these flags, in the letters of its folder.
    Renamed(BatchSource, Flags),
}

/// A text that cannot be linked and is copied, in slices.
#[derive(Debug)]
struct Copying {
    from: File,
    to: File,
    draft: Draft,
    mtime: Time,
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
            letters: Vec::new(),
            copied: Vec::new(),
        }
    }

    /// The letters that were promised to keywords of the batch.  No message has them yet, and they
    /// must not be given to other keywords meanwhile.
    pub fn held_letters(&self) -> u32 {
        let letters = self.letters.iter();
        letters.fold(0, |held, (letter, _)| held | 1 << letter)
    }

    /// Messages to be added have these flags, in the letters of the destination.
    pub fn hold_letters(&mut self, destination: &Folder, flags: Flags) {
        let new = flags.keywords & !self.held_letters();
        let named = destination.keywords();
        let new = named.filter(|(letter, _)| new & 1 << letter != 0);
        self.letters
            .extend(new.map(|(letter, name)| (letter, name.clone())));
    }

    /// Makes sure, under the destination's lock, that each promised letter still means its keyword.
    /// Another session may have found that no message has the letter, and given it away.
    pub(super) fn confirm_letters(
        &mut self,
        destination: &mut Folder,
        now: SystemTime,
    ) -> Result<(), FolderError> {
        let still =
            |(letter, name): &(u32, Keyword)| destination.keyword_letter(name) == Some(*letter);
        if self.letters.iter().all(still) {
            return Ok(());
        }
        let wanted: Vec<&Keyword> = self.letters.iter().map(|(_, name)| name).collect();
        let given = destination.give_letters(&wanted, Room::ForSome, 0, now)?;
        let promised = self.letters.iter().map(|(letter, _)| *letter);
        let moves: Vec<(u32, Option<u32>)> = promised.zip(given).collect();
        for entry in &mut self.entries {
            let before = entry.flags.keywords;
            let mut after = before
                & !self
                    .letters
                    .iter()
                    .fold(0, |all, (letter, _)| all | 1 << letter);
            for (promised, given) in &moves {
                if before & 1 << promised != 0 {
                    after |= given.map_or(0, |letter| 1 << letter);
                }
            }
            entry.flags.keywords = after;
        }
        let names = std::mem::take(&mut self.letters).into_iter();
        let given = names.zip(moves);
        self.letters = given
            .filter_map(|((_, name), (_, letter))| Some((letter?, name)))
            .collect();
        Ok(())
    }

    /// The flags that each message of the batch had, in its own folder's letters, when it was
    /// copied.
    pub fn copied(&self) -> &[Flags] {
        &self.copied
    }

    /// Is this the directory that the batch was begun for?
    pub(super) fn is_for(&self, cur: &Dir) -> DiskResult<bool> {
        Ok(self.cur.stat_self()?.is_same_file(&cur.stat_self()?))
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
        // The file system may have no such year.  What it has kept is what is told from now on.
        let internal_date = file.stat()?.mtime.seconds;
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
        self.entries.push(BatchEntry {
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
    /// possible.  It keeps EMAILID and INTERNALDATE, and gets the flags that the file's name shows
    /// when it is linked; `flags` are those that the table has, in the letters of the destination.
    pub fn copy(
        &mut self,
        source: &mut Folder,
        index: usize,
        flags: Flags,
        now: SystemTime,
    ) -> Result<(), SaveError> {
        let row = *source.live_row(index)?;
        // The link changes the time from which SAVEDATE of the source is taken.
        source.keep_save_date(index);
        let (place, name) = source.known_name(index)?;
        let fresh = source.unique.borrow_mut().next(now);
        let old = source.table.base(index);
        let base = match (filename::size(old), filename::virtual_size(old)) {
            (Some(size), Some(virtual_size)) => filename::with_sizes(&fresh, size, virtual_size),
            _ => fresh,
        };
        let dirs = &source.dirs;
        self.entries.push(BatchEntry {
            origin: Origin::Other {
                source: BatchSource {
                    control: dirs.control.clone(),
                    cur: dirs.cur.clone(),
                    new: dirs.new.clone(),
                    same: dirs.cur.is_same(&self.cur),
                },
                place,
                name,
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
    pub(super) fn force_texts(&mut self) -> DiskResult<()> {
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

    /// Gives the next file its name in cur/.
    ///
    /// A link is made from a name that shows the flags which the copy gets; if the file has another
    /// name by now, the caller says with `set_flags` what its flags are here.
    pub(super) fn place_next(
        &mut self,
        now: SystemTime,
        over: &dyn Fn() -> bool,
    ) -> Result<Placing, SaveError> {
        let Some(entry) = self.entries.get_mut(self.placed) else {
            return Ok(Placing::Done);
        };
        let target = entry.target();
        match &mut entry.origin {
            Origin::Written { draft, .. } => {
                let Draft { tmp, name } = draft;
                tmp.rename(name, &self.cur, &target, Target::MustBeFree)?;
                name.clear();
            }
            Origin::Other {
                source,
                place,
                name,
            } => {
                if let Some(copying) = &mut self.copying {
                    if !copying.go_on(over)? {
                        return Ok(Placing::Again);
                    }
                    copying.finish(self.fsync)?;
                    let Draft { tmp, name: draft } = &mut copying.draft;
                    tmp.rename(draft, &self.cur, &target, Target::MustBeFree)?;
                    draft.clear();
                    self.copying = None;
                } else {
                    let from = source.at(*place);
                    match from.link(name, &self.cur, &target) {
                        Err(error) if dir::is_gone(&error) => {
                            (*place, *name) = source.seek(name, now)?;
                            return Ok(Placing::Renamed(source.clone(), flags_of(name)));
                        }
                        Err(error) if must_copy(&error) => {
                            let draft = Draft {
                                tmp: self.tmp.clone(),
                                name: entry.base.clone(),
                            };
                            let from = match from.open_file(name) {
                                Err(error) if dir::is_gone(&error) => {
                                    (*place, *name) = source.seek(name, now)?;
                                    return Ok(Placing::Renamed(source.clone(), flags_of(name)));
                                }
                                other => other?,
                            };
                            self.copying = Some(Copying::begin(from, draft, &self.access)?);
                            return Ok(Placing::Again);
                        }
                        other => other?,
                    }
                }
                self.copied.push(flags_of(name));
            }
        }
        self.placed += 1;
        Ok(Placing::Done)
    }

    /// The next file's flags, in the letters of the destination.
    pub(super) fn set_flags(&mut self, flags: Flags) {
        if let Some(entry) = self.entries.get_mut(self.placed) {
            entry.flags = flags;
        }
    }

    /// Takes away again what has its name in cur/.
    pub(super) fn undo(&mut self) {
        for entry in self.entries.iter().take(self.placed) {
            let target = entry.target();
            if let Err(error) = self.cur.unlink(&target) {
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

impl BatchEntry {
    pub(super) fn target(&self) -> Vec<u8> {
        let base = &self.base;
        Filename { base, info: b"" }.with_flags(self.flags)
    }
}

impl Copying {
    fn begin(from: File, draft: Draft, access: &Access) -> DiskResult<Copying> {
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
    fn go_on(&mut self, over: &dyn Fn() -> bool) -> DiskResult<bool> {
        let mut bytes = vec![0; 128 * 1024];
        loop {
            let read = match self.from.read(&mut bytes) {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                other => other.map_err(|error| self.from.failure("read", error))?,
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

    fn finish(&mut self, fsync: Fsync) -> DiskResult<()> {
        self.to.set_mtime(self.mtime)?;
        match fsync {
            Fsync::Never => Ok(()),
            Fsync::Always | Fsync::Optimized => self.to.sync(),
        }
    }
}

impl BatchSource {
    fn at(&self, place: Place) -> &Dir {
        match place {
            Place::Cur => &self.cur,
            Place::New => &self.new,
        }
    }

    /// Where the file is that had this name.
    fn seek(&self, name: &[u8], now: SystemTime) -> Result<(Place, Vec<u8>), SaveError> {
        let file = Filename::parse(name).ok_or(SaveError::Gone)?;
        let places = Places {
            cur: &self.cur,
            new: &self.new,
        };
        match places.seek(file.base, file.flags(), now)? {
            Sought::At(place, name) => Ok((place, name)),
            Sought::Gone | Sought::Unsure => Err(SaveError::Gone),
        }
    }
}

fn flags_of(name: &[u8]) -> Flags {
    Filename::parse(name).map_or(Flags::default(), |file| file.flags())
}

/// Errors of link and rename after which a copy of the text will do.
fn must_copy(error: &DiskError) -> bool {
    use io::ErrorKind::{CrossesDevices, PermissionDenied, TooManyLinks, Unsupported};
    matches!(
        error.kind(),
        CrossesDevices | TooManyLinks | PermissionDenied | Unsupported
    )
}

/// How many files are forced to the disk one by one.
const SYNCED_ONE_BY_ONE: usize = 8;
