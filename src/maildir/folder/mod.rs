//! One mailbox, opened: the messages in its directory and what is known of them.
//!
//! This file has what a folder is made of, how it is opened and closed, and what can be asked of it
//! without a look at the disk.
//!
//! | file | what |
//! |---|---|
//! | `scan` | finding out what changed: times, listings, events |
//! | `sync` | what the names in cur/ and new/ mean for the table |
//! | `judge` | what a hint means, and what follows from it |
//! | `seek` | a message's file that is not where it was |
//! | `resolve` | acting on what was seen, under the lock |
//! | `arrive` | new messages: to cur/, to a UID, into the table |
//! | `uids` | the table and dovecot-uidlist in agreement |
//! | `modseqs` | modseqs: never twice, never back, in step with Dovecot's |
//! | `state` | the table of messages, its history and its counts |
//! | `read` | one message's file: dates, sizes, its text |
//! | `update` | changes of flags, expunges, and the lock |
//! | `save` | APPEND, COPY and MOVE: from tmp/ to cur/ |
//! | `batch` | the messages that go in together |
//! | `persist` | the index, and STATUS without opening the folder |
//! | `sweep` | what broken deliveries have left in tmp/ |
//! | `dirs` | the directories |
//! | `error` | why something failed |

mod arrive;
mod batch;
mod dirs;
mod error;
mod judge;
mod modseqs;
mod persist;
mod read;
mod resolve;
pub mod save;
mod scan;
mod seek;
pub mod state;
mod sweep;
pub mod sync;
mod uids;
pub mod update;

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};
use std::rc::Rc;
use std::time::SystemTime;

use aws_lc_rs::digest::{SHA256, digest};

use super::Maildir;
use super::disk::dir::{Dir, DiskError, DiskResult};
use super::disk::filename::{Filename, UniqueNames};
use super::disk::lock::{Dotlock, Lock};
use super::disk::report;
use super::disk::watch::{WatchEnd, Watching};
use super::dovecot::keywords::{Keywords, KeywordsError, KeywordsFile, LETTERS, Room};
use super::folder::dirs::Dirs;
use super::folder::modseqs::Modseqs;
use super::folder::read::Measuring;
use super::folder::scan::Work;
use super::folder::state::counts::Tally;
use super::folder::state::history::History;
use super::folder::state::messages::Message;
use super::folder::state::table::Table;
use super::folder::sync::Findings;
use super::folder::uids::Uids;
use super::folder::update::Unforced;
use super::own::cache::Cache;
use super::own::index::{self, DirState, FileState, Index, IndexHeader};
use crate::mail::{Fsync, Keyword, Ranges, Uid};

pub use super::folder::error::{FolderError, MessageError};
pub use super::folder::persist::status;
pub use super::folder::read::{FileFacts, MessageFile, Opening};
pub use super::folder::scan::{Look, Step};
pub use super::folder::state::counts::{Counts, FolderStatus};
pub use super::folder::update::Met;

/// One folder, opened.  All connections of the user share it.
///
/// After [`Folder::open`] the table shows what the index knew; [`Folder::sync`] makes it true, and
/// must have come to its end once before UIDVALIDITY, UIDs and messages mean anything.  Every
/// operation that finds or makes a change appends to [`Folder::take_changes`].
#[derive(Debug)]
pub struct Folder {
    path: PathBuf,
    /// The root of the Maildir, which has the last UIDVALIDITY.
    control_root: PathBuf,
    fsync: Fsync,
    dirs: Dirs,
    table: Table,
    uids: Uids,
    modseqs: Modseqs,
    keywords: Keywords,
    history: History,
    first_recent: u32,
    counts: Tally,
    cur: DirState,
    new: DirState,
    dotlock: Dotlock,
    held: Held,
    /// The directories were as recorded when the lock was taken, so all changes until it is
    /// released are ours.
    own_changes_only: bool,
    changes: Vec<Change>,
    /// What is to be forced to the disk with `fsync = "always"`.
    unforced: Unforced,
    /// How many times the sync that is going on has begun to look.
    looks: u8,
    /// Until then there is no use in another look.
    settles_at: Option<SystemTime>,
    /// The time, as the caller said it last.
    clock: SystemTime,
    work: Work,
    findings: Findings,
    /// Messages whose file name vanished, and since when.  If it was a rename, the new name comes
    /// soon.
    suspects: BTreeMap<u32, SystemTime>,
    /// Since when every look has ended with such messages.
    suspicious: Option<SystemTime>,
    /// Messages that the last scan did not see, while names were moving; ascending.
    doubted: Vec<u32>,
    /// Messages that were seen under two names.  If one name goes, it means nothing.
    linked: Vec<u32>,
    /// Something was seen that only a scan explains.
    scan_wanted: bool,
    bury_wanted: bool,
    /// Files that could not be moved to cur/ at the last try.
    stuck: usize,
    /// It is logged that new messages get no UIDs.
    complained: bool,
    /// Where the folder hears what happens in it.
    watch: Option<WatchEnd>,
    /// The watch tells what happens.
    watched: bool,
    /// The watch has told all that happened up to this time; some of it is still to be taken.
    caught_up: Option<SystemTime>,
    /// There is more to do than the last look did.
    unfinished: bool,
    /// The watch sees all changes that are not ours, so the times of directories are not needed.
    trusts_watch: bool,
    /// The watch saw something, or we changed something, since the directories were last recorded.
    touched: bool,
    /// What happened before this time is in the table, or at least among the findings.
    seen_until: Option<SystemTime>,
    /// What clients were told of the former folder.  If this is the same folder, UIDs and modseqs
    /// go on above it.
    told: Option<Told>,
    /// A first sync has come to its end: clients may have been told things.
    served: bool,
    /// The index on disk does not have everything.
    stale: bool,
    index: Option<FileState>,
    measuring: Vec<Measuring>,
    unique: RefCell<UniqueNames>,
    /// A batch that is being committed has a clone of this, and the lock.
    committing: Rc<()>,
    /// The lock is to be released when the batch is through.
    locked_for_batch: bool,
    /// Keywords that Courier kept beside the messages, to be put into their names.
    courier_keywords: Vec<(Vec<u8>, Vec<String>)>,
}

/// The folder's lock.
#[derive(Debug)]
pub(super) enum Held {
    No,
    Lock(Lock),
    /// The disk is full, or writing is not permitted, as the error says.  What needs no lock can be
    /// done.
    Without(DiskError),
}

impl Held {
    /// Why something that needs the lock of the folder in `dir` cannot be done.
    pub fn why_not(&self, dir: &Dir) -> DiskError {
        match self {
            Held::Without(error) => error.again(),
            Held::No | Held::Lock(_) => lock_failure(dir, "the folder is not locked"),
        }
    }
}

/// The folder's lock is not ours.
pub(super) fn lock_failure(dir: &Dir, why: &'static str) -> DiskError {
    dir.failure("lock", uids::FILE, io::Error::other(why))
}

/// What clients were told of a folder that is not there any more.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Told {
    pub uid_validity: u32,
    pub uid_next: u32,
    pub highest_modseq: u64,
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
        /// The modseq that the message had until then.
        before: u64,
    },
    Expunged {
        uid: Uid,
        modseq: u64,
    },
    /// Keywords got or changed letters: the mailbox's FLAGS are others now.
    Keywords,
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
        let keywords = Keywords::read(&dirs.control);
        // This comes before the index: an index that is written meanwhile has all that was in it.
        let (modseqs, found) =
            Modseqs::open(&dirs, &maildir.dovecot_index_directory(directory), fsync)?;
        let read = match index::read(&dirs.index, &[&dirs.cur, &dirs.new]) {
            Err(error) => {
                report::without(&error, index::WITHOUT);
                None
            }
            Ok(read) => read,
        };
        let (index, index_state) = match read {
            Some((index, state)) => (Some(index), Some(state)),
            None => (None, None),
        };
        let mut folder = Folder {
            path: directory.to_owned(),
            control_root: maildir.control_root().to_owned(),
            fsync,
            dotlock: Dotlock::of_uidlist(dirs.control.clone()),
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
            unforced: Unforced::default(),
            looks: 0,
            settles_at: None,
            clock: now,
            work: Work::Idle,
            findings: Findings::default(),
            suspects: BTreeMap::new(),
            suspicious: None,
            doubted: Vec::new(),
            linked: Vec::new(),
            scan_wanted: false,
            bury_wanted: false,
            stuck: 0,
            complained: false,
            watch: None,
            watched: false,
            caught_up: None,
            unfinished: true,
            trusts_watch: false,
            touched: false,
            seen_until: None,
            told: None,
            served: false,
            stale: false,
            index: index_state,
            measuring: Vec::new(),
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
        let IndexHeader {
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
        self.doubted.clear();
        self.linked.clear();
        self.changes.clear();
        self.scan_wanted = true;
        self.stale = true;
    }

    /// Takes the folder's end of a watch on it.
    ///
    /// Establish the watch first, then hand over the end, then look: what happened before is found
    /// by the look, what happens later comes through the watch.
    pub fn listen(&mut self, end: WatchEnd, watching: Watching) {
        self.watch = Some(end);
        self.set_watched(watching == Watching::Now);
    }

    pub(super) fn set_watched(&mut self, watched: bool) {
        self.watched = watched;
        // The watch cannot tell any more what it has not told yet.
        self.scan_wanted |= std::mem::take(&mut self.trusts_watch);
    }

    /// Whether the folder is watched; if not, it has to be looked at from time to time.
    pub fn is_watched(&self) -> bool {
        self.watched
    }

    /// The watch has told all that happened up to now.  Only what was seen goes into the index as
    /// such: a folder whose last change was later is scanned when it is opened again.
    pub fn note_caught_up(&mut self, now: SystemTime) {
        self.caught_up = self.watched.then_some(now);
    }

    /// Takes what clients were told of the folder that was here before.  If an older copy of it has
    /// come back from a backup, UIDs and modseqs go on from what was told.  It has to be called
    /// before the first sync.
    pub fn outdo(&mut self, told: Told) {
        self.told = Some(told);
    }

    pub fn told(&self) -> Told {
        Told {
            uid_validity: self.uids.uid_validity,
            uid_next: self.uids.next,
            highest_modseq: self.modseqs.highest(),
        }
    }

    /// Why no flag can be changed and no message removed; `None`: they can.  As in Dovecot, the
    /// rights of cur/ decide.
    pub fn why_read_only(&self) -> Option<DiskError> {
        self.dirs.cur.why_read_only()
    }

    /// What changed since this was last called, in order.
    pub fn take_changes(&mut self) -> Vec<Change> {
        std::mem::take(&mut self.changes)
    }

    /// The cache of the folder's messages, which lies where its index does.
    pub fn open_cache(&self) -> Cache {
        let cache = Cache::open(&self.dirs.index, self.uid_validity());
        cache.for_messages(self.table.len())
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

    /// Where it was opened.
    pub fn path(&self) -> &Path {
        &self.path
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

    /// Takes the messages that are gone out of the table, when every listener has heard of it.
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

    /// A number that changes whenever the names of keywords do.
    pub fn keyword_changes(&self) -> u64 {
        self.keywords.changes()
    }

    /// The letter of `keyword`, if it has one.
    pub fn keyword_letter(&self, keyword: &Keyword) -> Option<u32> {
        self.keywords.letter(keyword)
    }

    /// The letters of keywords.  A keyword without a letter is given one (needs the lock): a free
    /// one, or one that no message has and that is not in `held`. `None`: none is left; see
    /// [`Room`].
    pub fn give_letters(
        &mut self,
        wanted: &[&Keyword],
        room: Room,
        held: u32,
        now: SystemTime,
    ) -> Result<Vec<Option<u32>>, FolderError> {
        let known: Vec<_> = wanted
            .iter()
            .map(|name| self.keywords.letter(name))
            .collect();
        if known.iter().all(Option::is_some) {
            return Ok(known);
        }
        let Held::Lock(lock) = &self.held else {
            return Err(self.held.why_not(&self.dirs.control).into());
        };
        let (table, dirs) = (&self.table, &self.dirs);
        let in_use = || -> DiskResult<u32> { Ok(held | letters_of(table) | letters_in(dirs)?) };
        let file = KeywordsFile {
            dir: &dirs.control,
            lock,
            access: &dirs.access,
            now,
        };
        let before = self.keywords.changes();
        match self.keywords.add(wanted, room, &in_use, &file) {
            Ok(numbers) => {
                if self.keywords.changes() != before {
                    self.changes.push(Change::Keywords);
                }
                Ok(numbers)
            }
            Err(KeywordsError::LockLost) => {
                Err(lock_failure(&self.dirs.control, "the folder's lock was taken from us").into())
            }
            Err(KeywordsError::Io(error)) => Err(error.into()),
        }
    }

    /// Whether a keyword that is new here would find a letter.
    pub fn has_room_for_keywords(&self) -> bool {
        let all = (1 << LETTERS) - 1;
        let is_left = !self.keywords.is_full() || letters_of(&self.table) != all;
        is_left && !self.keywords.is_unreadable()
    }

    /// EMAILID (RFC 8474 5.1): follows the message through COPY.  A GUID of Dovecot's with 32 hex
    /// digits is taken as it is.  Of other GUIDs, such as base names, an id is made, because they
    /// may hold octets that an objectid may not.
    pub fn email_id(&self, index: usize) -> String {
        let guid = self.table.guid(index);
        if guid.len() == 32 && guid.iter().all(u8::is_ascii_hexdigit) {
            return String::from_utf8_lossy(guid).into_owned();
        }
        digest(&SHA256, guid)
            .as_ref()
            .iter()
            .take(16)
            .map(|byte| format!("{byte:02x}"))
            .collect()
    }

    /// Writes the index and lets go of the lock, if held.
    pub fn close(mut self, now: SystemTime) {
        self.write_index(now);
        self.unlock();
    }

    pub(super) fn is_committing(&self) -> bool {
        Rc::strong_count(&self.committing) > 1
    }
}

/// The keyword letters that messages have (bit 0 is `a`), as far as the table knows.
fn letters_of(table: &Table) -> u32 {
    let live = table.rows().iter().filter(|message| !message.is_gone());
    live.fold(0, |letters, message| letters | message.flags().keywords)
}

/// The keyword letters that messages have, as the file names say now.
fn letters_in(dirs: &Dirs) -> DiskResult<u32> {
    let mut letters = 0;
    for dir in [&dirs.new, &dirs.cur] {
        let mut listing = dir.list()?;
        let mut note = |name: &[u8], _| {
            letters |= Filename::parse(name).map_or(0, |name| name.flags().keywords);
        };
        while listing.next_chunk(&mut note)? {}
    }
    Ok(letters)
}

impl Drop for Folder {
    fn drop(&mut self) {
        self.unlock();
    }
}

#[cfg(test)]
mod tests;
