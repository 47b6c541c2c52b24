//! One mailbox, opened: the messages in its directory and what is known of them.
//!
//! This file has what a folder is made of, how it is opened and closed, and what can be asked of
//! it without a look at the disk.  The operations are in files of their own: `scan.rs` and
//! `resolve.rs` (finding out what changed), `uids.rs` (dovecot-uidlist), `modseqs.rs`, `read.rs`
//! (one message's file), `update.rs` (flags and expunges), `save.rs` (new messages).

use std::cell::{Cell, RefCell};
use std::io;
use std::path::{Path, PathBuf};
use std::rc::Rc;
use std::time::SystemTime;

use sha2::{Digest, Sha256};

use super::dir::{self, Access, Dir, Stat};
use super::filename::UniqueNames;
use super::history::History;
use super::index::{self, DirState, FileState, Header, Index};
use super::keywords::{Keywords, KeywordsError};
use super::lock::{Dotlock, Lock};
use super::messages::{Message, Table};
use super::modseqs::Modseqs;
use super::scan::{Work, must_list};
use super::sync::Findings;
use super::uids::Uids;
use super::watch::Place;
use super::{Fsync, Maildir};
use crate::imap::flag::{Keyword, System};
use crate::imap::sequence::{Ranges, Uid};

pub use super::error::{FolderError, MessageError};
pub use super::read::{Facts, MessageFile};
pub use super::scan::{Look, Step};

/// One folder, opened.  All connections of the user share it.
///
/// After [`Folder::open`] the table shows what the index knew; [`Folder::sync`] makes it true, and
/// must have come to its end once before UIDVALIDITY, UIDs and messages mean anything.  Every
/// operation that finds or makes a change appends to [`Folder::take_changes`].
#[derive(Debug)]
pub struct Folder {
    pub(super) path: PathBuf,
    /// The root of the Maildir, which has the last UIDVALIDITY.
    pub(super) root: PathBuf,
    pub(super) fsync: Fsync,
    pub(super) dirs: Dirs,
    pub(super) table: Table,
    pub(super) uids: Uids,
    pub(super) modseqs: Modseqs,
    pub(super) keywords: Keywords,
    pub(super) history: History,
    pub(super) first_recent: u32,
    pub(super) counts: Tally,
    pub(super) cur: DirState,
    pub(super) new: DirState,
    pub(super) dotlock: Dotlock,
    pub(super) held: Held,
    /// The directories were as recorded when the lock was taken, so what they are when it is
    /// released is our doing.
    pub(super) own_changes_only: bool,
    pub(super) changes: Vec<Change>,
    pub(super) work: Work,
    pub(super) findings: Findings,
    /// Messages whose file name vanished, and when: if a rename did it the new name comes soon.
    pub(super) suspects: Vec<(u32, SystemTime)>,
    /// Something was seen that only a scan explains.
    pub(super) scan_wanted: bool,
    pub(super) bury_wanted: bool,
    /// Files that could not be moved to cur/ at the last try.
    pub(super) stuck: usize,
    /// The caller passes on what a watch sees.
    pub(super) watched: bool,
    /// Everything that happens is seen by the watch or done by us: times need not be believed.
    pub(super) trusts_watch: bool,
    /// The watch saw something, or we changed something, since the directories were last recorded.
    pub(super) touched: bool,
    /// A first sync has come to its end: clients may have been told things.
    pub(super) served: bool,
    /// The index on disk does not have everything.
    pub(super) stale: bool,
    pub(super) index: Option<FileState>,
    pub(super) measuring: Option<super::read::Measuring>,
    pub(super) unique: RefCell<UniqueNames>,
    /// A batch that is being committed has a clone of this, and the lock.
    pub(super) committing: Rc<()>,
    /// The lock is to be released when the batch is through.
    pub(super) locked_for_batch: bool,
    /// Keywords that Courier kept beside the messages, to be put into their names.
    pub(super) courier_keywords: Vec<(Vec<u8>, Vec<String>)>,
}

/// The directories of a folder, kept open.
#[derive(Debug)]
pub(super) struct Dirs {
    pub dir: Dir,
    pub cur: Dir,
    pub new: Dir,
    pub tmp: Dir,
    /// Where roost.index and roost.modseq are.
    pub index: Dir,
    pub access: Access,
    pub opened: Stat,
    cur_inode: u64,
    new_inode: u64,
}

/// The folder's lock.
#[derive(Debug)]
pub(super) enum Held {
    No,
    Lock(Lock),
    /// The disk is full or we may not write: what can be done without the lock may be done.
    Without,
}

/// One change of a folder, in the order in which they happened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Change {
    /// Messages with these UIDs (not every UID between need exist) were added at the end.
    Arrived {
        first: Uid,
        last: Uid,
    },
    Flags {
        uid: Uid,
        modseq: u64,
    },
    Expunged {
        uid: Uid,
        modseq: u64,
    },
    /// Keywords got or changed letters: the mailbox's FLAGS are others now.
    Keywords,
}

/// Sums over the messages that are not gone.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    pub messages: u32,
    pub unseen: u32,
    pub deleted: u32,
    /// The sum of RFC822.SIZE over the messages where it is known ...
    pub size: u64,
    /// ... and how many there are where it is not.
    pub unmeasured: u32,
    pub first_unseen: Option<Uid>,
}

/// What STATUS asks of a folder that is not open.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Status {
    pub uid_validity: u32,
    pub uid_next: u32,
    pub highest_modseq: u64,
    pub mailbox_id: String,
    pub counts: Counts,
    pub recent: u32,
}

/// Counts that are kept up to date with every change of a row.
#[derive(Clone, Debug, Default)]
pub(super) struct Tally {
    messages: u32,
    unseen: u32,
    deleted: u32,
    size: u64,
    unmeasured: u32,
    gone: usize,
    pub in_new: usize,
    /// No row before this one is unseen.
    seen_before: Cell<usize>,
}

impl Folder {
    /// Opens the folder in `directory` and reads its index; creates cur/, new/ and tmp/ if missing.
    pub fn open(
        maildir: &Maildir,
        directory: &Path,
        now: SystemTime,
    ) -> Result<Folder, FolderError> {
        let dirs = Dirs::open(maildir, directory)?;
        let fsync = maildir.settings().fsync;
        let keywords = Keywords::read(&dirs.dir)?;
        let read = match index::read(&dirs.index) {
            Err(error) => {
                log::warn!("{}: cannot read the index: {error}", directory.display());
                None
            }
            Ok(read) => read,
        };
        let (index, index_state) = match read {
            Some((index, state)) => (Some(index), Some(state)),
            None => (None, None),
        };
        let (modseqs, found) = Modseqs::open(&dirs, directory, fsync)?;
        let mut folder = Folder {
            path: directory.to_owned(),
            root: maildir.root().to_owned(),
            fsync,
            dotlock: Dotlock::of_uidlist(dirs.dir.clone()),
            dirs,
            table: Table::default(),
            uids: Uids::default(),
            modseqs,
            keywords,
            history: History::default(),
            first_recent: 1,
            counts: Tally::default(),
            cur: DirState::default(),
            new: DirState::default(),
            held: Held::No,
            own_changes_only: false,
            changes: Vec::new(),
            work: Work::Idle,
            findings: Findings::default(),
            suspects: Vec::new(),
            scan_wanted: false,
            bury_wanted: false,
            stuck: 0,
            watched: false,
            trusts_watch: false,
            touched: false,
            served: false,
            stale: false,
            index: index_state,
            measuring: None,
            unique: RefCell::new(UniqueNames::of_this_process()),
            committing: Rc::new(()),
            locked_for_batch: false,
            courier_keywords: Vec::new(),
        };
        if let Some(index) = index {
            folder.take_over(index);
        }
        folder.start_modseqs(found, now);
        Ok(folder)
    }

    fn take_over(&mut self, index: Index) {
        let Header {
            uid_validity,
            uid_next,
            first_recent,
            highest_modseq,
            mailbox_id,
            cur,
            new,
            uidlist,
            records,
            ..
        } = index.header;
        self.table = index.table;
        self.history = index.history;
        self.first_recent = first_recent;
        self.cur = cur;
        self.new = new;
        self.modseqs.take_over(highest_modseq);
        self.uids
            .take_over(uid_validity, uid_next, mailbox_id, (uidlist, records));
        self.recount();
    }

    /// Everything the index said is void.
    pub(super) fn forget_everything(&mut self) {
        self.table = Table::default();
        self.history = History::starting_at(self.modseqs.highest());
        self.first_recent = 1;
        self.cur = DirState::default();
        self.new = DirState::default();
        self.counts = Tally::default();
        self.findings = Findings::default();
        self.suspects.clear();
        self.changes.clear();
        self.scan_wanted = true;
        self.stale = true;
    }

    /// The caller passes on what a watch on the folder sees, from now on, or no more.
    ///
    /// Establish the watch first, then say so, then sync: what happened before is found by the
    /// sync, what happens later by the watch.
    pub fn set_watched(&mut self, watched: bool) {
        self.watched = watched;
        self.trusts_watch = false;
    }

    /// What changed since this was last called, in order.
    pub fn take_changes(&mut self) -> Vec<Change> {
        std::mem::take(&mut self.changes)
    }

    pub fn directory(&self) -> &Path {
        &self.path
    }

    pub fn uid_validity(&self) -> u32 {
        self.uids.uid_validity
    }

    pub fn uid_next(&self) -> u32 {
        self.uids.next
    }

    /// MAILBOXID: 32 hex digits.
    pub fn mailbox_id(&self) -> String {
        self.uids.mailbox_id.clone()
    }

    pub fn highest_modseq(&self) -> u64 {
        self.modseqs.highest()
    }

    /// Ascending by UID; those expunged are there until [`Folder::bury`].
    pub fn messages(&self) -> &[Message] {
        self.table.rows()
    }

    /// Where `uid` is in [`Folder::messages`], or where it would be.
    pub fn index_of(&self, uid: Uid) -> Result<usize, usize> {
        self.table.index_of(uid.0)
    }

    /// Takes the messages that are gone out of the table, when every view has told its client.
    /// Rows move; it may happen later than asked for.
    pub fn bury(&mut self) {
        if self.counts.gone == 0 {
            return;
        }
        if !self.work.is_idle() {
            self.bury_wanted = true;
            return;
        }
        self.bury_wanted = false;
        self.table.retain(|row| !row.is_gone());
        self.counts.gone = 0;
        self.counts.seen_before.set(0);
    }

    pub fn counts(&self) -> Counts {
        let &Tally {
            messages,
            unseen,
            deleted,
            size,
            unmeasured,
            ..
        } = &self.counts;
        Counts {
            messages,
            unseen,
            deleted,
            size,
            unmeasured,
            first_unseen: self.first_unseen(),
        }
    }

    fn first_unseen(&self) -> Option<Uid> {
        let rows = self.table.rows();
        let from = self.counts.seen_before.get();
        let is_unseen = |row: &Message| !row.is_gone() && !is_seen(row);
        let offset = match self.counts.unseen {
            0 => None,
            _ => rows
                .get(from..)
                .unwrap_or_default()
                .iter()
                .position(is_unseen),
        };
        let at = offset.map_or(rows.len(), |offset| from + offset);
        self.counts.seen_before.set(at);
        rows.get(at).map(Message::uid)
    }

    /// Messages from this UID on are \Recent for the next session that selects the mailbox for
    /// writing.
    pub fn first_recent(&self) -> Uid {
        Uid(self.first_recent)
    }

    /// The session that selects the mailbox for writing has all recent messages: later ones are
    /// for the next.  Returns the first UID that is recent for the caller.
    pub fn claim_recent(&mut self) -> Uid {
        let first = self.first_recent;
        if first < self.uids.next {
            self.first_recent = self.uids.next;
            self.stale = true;
        }
        Uid(first)
    }

    /// UIDs expunged with a modseq above `modseq` (VANISHED (EARLIER), RFC 7162 3.2.5.1); `None`:
    /// the history does not go back so far.
    pub fn expunged_since(&self, modseq: u64) -> Option<Ranges> {
        self.history.since(modseq)
    }

    /// Keywords with their letters (0 = `a`), ascending by letter.  Every letter that occurs in
    /// some message's flags has a keyword, unless dovecot-keywords cannot be written.
    pub fn keywords(&self) -> impl Iterator<Item = (u32, &Keyword)> {
        self.keywords.iter()
    }

    /// The letter of `keyword`; with `create` a new one is given if the keyword has none and one
    /// of the 26 is free (needs the lock).  `None`: it has none.
    pub fn keyword_letter(
        &mut self,
        keyword: &Keyword,
        create: bool,
        now: SystemTime,
    ) -> Result<Option<u32>, FolderError> {
        let known = self.keywords.letter(keyword);
        let Held::Lock(lock) = &self.held else {
            return Ok(known);
        };
        if known.is_some() || !create {
            return Ok(known);
        }
        let Dirs { dir, access, .. } = &self.dirs;
        match self.keywords.add(dir, lock, keyword, access, now) {
            Ok(letter) => {
                self.changes.push(Change::Keywords);
                Ok(Some(letter))
            }
            Err(KeywordsError::Full) => Ok(None),
            Err(KeywordsError::LockLost) => {
                let error = io::Error::other("the folder's lock was taken from us");
                Err(FolderError::Io(error))
            }
            Err(KeywordsError::Io(error)) => Err(error.into()),
        }
    }

    /// EMAILID (RFC 8474 5.1): follows the message through COPY.  A GUID of Dovecot's that is 32
    /// hex digits is one as it is; from others, such as base names, which may hold octets that
    /// an objectid may not, one is made.
    pub fn email_id(&self, index: usize) -> String {
        let guid = self.table.guid(index);
        if guid.len() == 32 && guid.iter().all(u8::is_ascii_hexdigit) {
            return String::from_utf8_lossy(guid).into_owned();
        }
        let digest = Sha256::digest(guid);
        digest
            .iter()
            .take(16)
            .map(|byte| format!("{byte:02x}"))
            .collect()
    }

    /// Writes the index if anything changed.  Failure is logged only: it is a cache.
    pub fn write_index(&mut self, now: SystemTime) {
        if !self.served || !self.work.is_idle() || self.is_committing() {
            return;
        }
        self.record_directories(now);
        if !self.stale {
            return;
        }
        let held = !matches!(self.held, Held::No);
        match self.lock(now) {
            Ok(true) => {
                if let Err(error) = self.write_index_locked(now) {
                    log::warn!("{}: cannot write the index: {error}", self.path.display());
                }
                if !held {
                    self.unlock();
                }
            }
            // Whoever holds the lock needs it; what the index lacks is found again.
            Ok(false) => (),
            Err(error) => log::warn!("{}: cannot write the index: {error}", self.path.display()),
        }
    }

    fn write_index_locked(&mut self, now: SystemTime) -> io::Result<()> {
        self.absorb_foreign_index()?;
        self.record_directories(now);
        let header = self.header();
        let gone = self.counts.gone > 0;
        let written = if gone {
            let mut table = self.table.clone();
            table.retain(|row| !row.is_gone());
            index::write(
                &self.dirs.index,
                &self.dirs.access,
                &header,
                &table,
                &self.history,
            )
        } else {
            self.table.compact();
            let Dirs { index, access, .. } = &self.dirs;
            index::write(index, access, &header, &self.table, &self.history)
        };
        self.index = Some(written?);
        self.stale = false;
        self.modseqs.restart(&self.dirs.access)
    }

    /// Another process that has the folder open wrote the index since we read it: its modseqs and
    /// expunges must not be lost.
    fn absorb_foreign_index(&mut self) -> io::Result<()> {
        let state = index::state(&self.dirs.index)?;
        if state.is_none() || state == self.index {
            return Ok(());
        }
        let Some((other, _)) = index::read(&self.dirs.index)? else {
            return Ok(());
        };
        if other.header.uid_validity == self.uids.uid_validity {
            self.table.absorb(&other.table);
            self.history.absorb(&other.history);
            self.modseqs.take_over(other.header.highest_modseq);
            self.first_recent = self.first_recent.max(other.header.first_recent);
        }
        Ok(())
    }

    fn header(&mut self) -> Header {
        let counts = self.counts();
        let rows = self.table.rows();
        let from = rows.partition_point(|row| row.uid().0 < self.first_recent);
        let recent = rows.get(from..).unwrap_or_default().iter();
        Header {
            uid_validity: self.uids.uid_validity,
            uid_next: self.uids.next,
            first_recent: self.first_recent,
            recent: count(recent.filter(|row| !row.is_gone())),
            highest_modseq: self.modseqs.highest(),
            mailbox_id: self.uids.mailbox_id.clone(),
            counts,
            cur: self.cur,
            new: self.new,
            uidlist: self.uids.state,
            records: u32::try_from(self.uids.records).unwrap_or(u32::MAX),
        }
    }

    /// Writes the index and lets go of the lock, if held.
    pub fn close(mut self, now: SystemTime) {
        if let Err(error) = self.settle() {
            log::warn!("{}: cannot settle UIDs: {error}", self.path.display());
        }
        self.write_index(now);
        self.unlock();
    }

    pub(super) fn is_committing(&self) -> bool {
        Rc::strong_count(&self.committing) > 1
    }

    /// Changes a row and keeps the counts right.
    pub(super) fn change_row<T>(
        &mut self,
        index: usize,
        change: impl FnOnce(&mut Table) -> T,
    ) -> T {
        if let Some(row) = self.table.rows().get(index) {
            self.counts.remove(row);
        }
        let result = change(&mut self.table);
        if let Some(row) = self.table.rows().get(index) {
            self.counts.add(row, index);
        }
        self.stale = true;
        result
    }

    pub(super) fn recount(&mut self) {
        self.counts = Tally::default();
        self.count_from(0);
    }

    /// Counts the rows from `first` on, which are new.
    pub(super) fn count_from(&mut self, first: usize) {
        let rows = (0..).zip(self.table.rows()).skip(first);
        rows.for_each(|(index, row)| self.counts.add(row, index));
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        self.unlock();
    }
}

impl Dirs {
    fn open(maildir: &Maildir, directory: &Path) -> Result<Dirs, FolderError> {
        let dir = match Dir::open(directory) {
            Err(error) if dir::is_gone(&error) => return Err(FolderError::Missing),
            other => other?,
        };
        let access = dir.access()?;
        let index = match maildir.index_directory(directory) {
            Some(path) => make_path(&path, &access)?,
            None => dir.clone(),
        };
        let cur = open_or_make(&dir, b"cur", &access)?;
        let new = open_or_make(&dir, b"new", &access)?;
        Ok(Dirs {
            cur_inode: cur.stat_self()?.inode,
            new_inode: new.stat_self()?.inode,
            cur,
            new,
            tmp: open_or_make(&dir, b"tmp", &access)?,
            index,
            access,
            opened: dir.stat_self()?,
            dir,
        })
    }

    pub fn at(&self, place: Place) -> &Dir {
        match place {
            Place::Cur => &self.cur,
            Place::New => &self.new,
        }
    }

    /// Are the directories that have the names the ones we have open?
    pub fn are(&self, cur: &Stat, new: &Stat) -> bool {
        (cur.inode, new.inode) == (self.cur_inode, self.new_inode)
    }

    /// cur/ or new/ was replaced by another directory of that name.
    pub fn reopen(&mut self) -> io::Result<()> {
        self.cur = open_or_make(&self.dir, b"cur", &self.access)?;
        self.new = open_or_make(&self.dir, b"new", &self.access)?;
        self.cur_inode = self.cur.stat_self()?.inode;
        self.new_inode = self.new.stat_self()?.inode;
        self.tmp = open_or_make(&self.dir, b"tmp", &self.access)?;
        Ok(())
    }
}

impl Tally {
    fn add(&mut self, row: &Message, index: usize) {
        if row.is_gone() {
            self.gone += 1;
            return;
        }
        self.messages += 1;
        if !is_seen(row) {
            self.unseen += 1;
            self.seen_before.set(self.seen_before.get().min(index));
        }
        self.deleted += u32::from(row.flags().system.contains(System::DELETED));
        match row.virtual_size() {
            Some(size) => self.size = self.size.wrapping_add(size),
            None => self.unmeasured += 1,
        }
        self.in_new += usize::from(row.place() == Place::New);
    }

    fn remove(&mut self, row: &Message) {
        if row.is_gone() {
            self.gone -= 1;
            return;
        }
        self.messages -= 1;
        self.unseen -= u32::from(!is_seen(row));
        self.deleted -= u32::from(row.flags().system.contains(System::DELETED));
        match row.virtual_size() {
            Some(size) => self.size = self.size.wrapping_sub(size),
            None => self.unmeasured -= 1,
        }
        self.in_new -= usize::from(row.place() == Place::New);
    }
}

/// STATUS from the header of the index alone; `None` if that is not up to date: open and sync.
pub fn status(
    maildir: &Maildir,
    directory: &Path,
    now: SystemTime,
) -> Result<Option<Status>, FolderError> {
    let dir = match Dir::open(directory) {
        Err(error) if dir::is_gone(&error) => return Err(FolderError::Missing),
        other => other?,
    };
    let header = match maildir.index_directory(directory) {
        Some(path) => match Dir::open(&path) {
            Err(error) if dir::is_gone(&error) => return Ok(None),
            other => index::read_header(&other?)?,
        },
        None => index::read_header(&dir)?,
    };
    let Some(header) = header else {
        return Ok(None);
    };
    let stats = (
        dir.stat_target(b"cur")?,
        dir.stat_target(b"new")?,
        dir.stat_target(super::uids::FILE)?,
    );
    let (Some(cur), Some(new), Some(uidlist)) = stats else {
        return Ok(None);
    };
    let holds = !must_list(&header.cur, &cur, now)
        && !must_list(&header.new, &new, now)
        && header.uidlist == FileState::of(&uidlist);
    Ok(holds.then(|| header.status()))
}

pub(super) fn is_seen(row: &Message) -> bool {
    row.flags().system.contains(System::SEEN)
}

fn count<'a>(rows: impl Iterator<Item = &'a Message>) -> u32 {
    u32::try_from(rows.count()).unwrap_or(u32::MAX)
}

fn open_or_make(dir: &Dir, name: &[u8], access: &Access) -> io::Result<Dir> {
    match dir.open_dir(name) {
        Err(error) if dir::is_gone(&error) => match dir.make_dir(name, access) {
            Err(error) if error.kind() != io::ErrorKind::AlreadyExists => Err(error),
            _ => dir.open_dir(name),
        },
        other => other,
    }
}

/// Opens `path`, making what is missing of it.
fn make_path(path: &Path, access: &Access) -> io::Result<Dir> {
    match (Dir::open(path), path.parent(), path.file_name()) {
        (Err(error), Some(parent), Some(name)) if dir::is_gone(&error) => {
            open_or_make(&make_path(parent, access)?, name.as_encoded_bytes(), access)
        }
        (other, _, _) => other,
    }
}

#[cfg(test)]
mod tests;
