//! One open mailbox, shared by all of the user's connections that have it selected.

use std::collections::BTreeMap;
use std::rc::Rc;
use std::time::{Duration, Instant};

use super::cursor::Cursor;
use crate::mail::{MailboxName, Ranges, Uid};
use crate::maildir::folder::save::{Batch, Commit, SaveError};
use crate::maildir::folder::{Change, Folder, FolderError, Look, Step};
use crate::maildir::own::cache::Cache;
use crate::net::{ConnectionId, Now};

pub struct Mailbox {
    pub name: MailboxName,
    pub folder: Folder,
    cursors: BTreeMap<ConnectionId, Cursor>,
    /// Something was handed to the cursors since listeners were last woken.
    news: bool,
    tombstones: usize,
    looked: Instant,
    /// When something happened that the index on disk does not say.
    changed: Option<Instant>,
    /// When the last listener went.
    unused: Option<Instant>,
    /// Its count is one more than there are holds.
    holds: Rc<()>,
    cache: Option<Cache>,
}

/// A command is at work on the mailbox: while this value lives it stays open, though no client may
/// have it selected.
pub struct Hold {
    _held: Rc<()>,
}

/// How hard to look for what other programs did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Effort {
    /// What the watch has told, and a scan if that is due.
    Watch,
    /// Also ask the directories themselves whether they changed.
    Directories,
    /// As `Directories`, for a client that is about to select it; to `write` moves new mail to
    /// cur/.
    Select { write: bool },
}

impl Mailbox {
    pub fn new(name: MailboxName, folder: Folder, now: Now) -> Mailbox {
        Mailbox {
            name,
            folder,
            cursors: BTreeMap::new(),
            news: false,
            tombstones: 0,
            looked: now.instant,
            changed: None,
            unused: Some(now.instant),
            holds: Rc::new(()),
            cache: None,
        }
    }

    /// Brings the table up to date with the directory: the part of `Mailboxes::look` that is the
    /// mailbox's own.
    pub fn look(
        &mut self,
        effort: Effort,
        now: Now,
        over: &dyn Fn() -> bool,
    ) -> Result<Step, FolderError> {
        let look = Look {
            move_new: self.is_written() || effort == Effort::Select { write: true },
            force_scan: false,
        };
        let thorough = effort != Effort::Watch;
        let step = self.folder.look(look, thorough, now.time, over);
        if matches!(step, Ok(Step::Done)) {
            self.looked = now.instant;
        }
        self.distribute(None, now);
        step
    }

    /// Whether a look with this effort has to wait for what the watch has not told yet.
    pub fn wants_catch_up(&mut self, effort: Effort, now: Now) -> Result<bool, FolderError> {
        let watched = self.folder.is_watched() && effort != Effort::Watch;
        Ok(watched && self.folder.changed_lately(now.time)?)
    }

    /// Acts on what the watch saw if that is little: what is left is found when the folder is
    /// opened again.
    pub fn handle_events(&mut self, now: Now) {
        for _ in 0..EVENTS_AT_ONCE {
            match self.look(Effort::Watch, now, &|| true) {
                Ok(Step::Again) => (),
                _ => return,
            }
        }
    }

    /// When the folder should be looked at again, because no watch tells when it changes.
    pub fn next_poll(&self, interval: Duration) -> Option<Instant> {
        (!self.folder.is_watched() && !self.cursors.is_empty()).then(|| self.looked + interval)
    }

    /// Notes that the folder is due to be polled, and that its listeners have been woken.
    pub fn note_polled(&mut self, now: Now) {
        self.looked = now.instant;
    }

    /// The client of `connection` has been told that everything in the table exists.
    pub fn add_listener(&mut self, connection: ConnectionId, read_only: bool, now: Now) {
        let last = self.last_uid();
        let first = if read_only {
            self.folder.first_recent()
        } else {
            self.folder.claim_recent()
        };
        let recent = Ranges::between(first.0, last.0);
        let claimed = !read_only && !recent.is_empty();
        if claimed && self.folder.messages().len() <= RECENT_WRITTEN_MAX {
            // A session in another process should not find the same messages \Recent.
            self.folder.write_index(now.time);
        }
        let cursor = Cursor::new(&self.folder, read_only, recent);
        self.cursors.insert(connection, cursor);
        self.unused = None;
    }

    pub fn remove_listener(&mut self, connection: ConnectionId, now: Now) {
        self.cursors.remove(&connection);
        if self.cursors.is_empty() {
            self.unused = Some(now.instant);
        }
        self.bury();
    }

    pub fn cursor(&self, connection: ConnectionId) -> Option<&Cursor> {
        self.cursors.get(&connection)
    }

    /// For the code that tells the client what it has not heard yet.
    pub fn folder_and_cursor(
        &mut self,
        connection: ConnectionId,
    ) -> Option<(&Folder, &mut Cursor)> {
        let cursor = self.cursors.get_mut(&connection)?;
        Some((&self.folder, cursor))
    }

    pub fn listeners(&self) -> impl Iterator<Item = ConnectionId> + '_ {
        self.cursors.keys().copied()
    }

    /// Whether there is news that no viewer has been woken for.
    pub fn take_news(&mut self) -> bool {
        std::mem::take(&mut self.news)
    }

    /// What may be told of modseqs while removals wait that could not be told yet: a client that
    /// was told more would never ask for them again (RFC 7162 3.2).
    pub fn take_held_back(&mut self, connection: ConnectionId) -> Option<u64> {
        let cursor = self.cursors.get_mut(&connection)?;
        cursor.take_held_back()
    }

    /// HIGHESTMODSEQ for this client, below the removals that it has not been told.
    pub fn highest_modseq(&self, connection: ConnectionId) -> u64 {
        let highest = self.folder.highest_modseq();
        let cursor = self.cursors.get(&connection);
        let below = cursor.and_then(Cursor::below_gone);
        below.map_or(highest, |below| below.min(highest))
    }

    /// The client has been told this modseq of a message.
    pub fn note_modseq(&mut self, connection: ConnectionId, modseq: u64) {
        if let Some(cursor) = self.cursors.get_mut(&connection) {
            cursor.note_modseq(modseq);
        }
    }

    /// Notes that this client has to hear of the message's flags, though it changed them itself,
    /// because another program did so too.
    pub fn owe(&mut self, connection: ConnectionId, uid: Uid) {
        if let Some(cursor) = self.cursors.get_mut(&connection) {
            cursor.owe(uid);
        }
    }

    /// Puts the batch into the folder, which may have to look for what others did first. That is
    /// news to every client, also to the one whose messages these are.
    pub fn commit(
        &mut self,
        batch: &mut Batch,
        now: Now,
        over: &dyn Fn() -> bool,
    ) -> Result<Commit, SaveError> {
        let commit = self.folder.commit(batch, now.time, over);
        self.distribute(None, now);
        commit
    }

    /// Hands what the folder has found or done to every cursor, but flags not to `by`, who is told
    /// by the command that did it.
    pub fn distribute(&mut self, by: Option<ConnectionId>, now: Now) {
        let changes = self.folder.take_changes();
        if !changes.is_empty() {
            self.news = true;
            self.changed = self.changed.or(Some(now.instant));
        }
        for change in changes {
            match change {
                Change::Arrived { first, last } => self.give_recent(first, last),
                Change::Keywords => {}
                Change::Flags {
                    uid,
                    modseq,
                    before,
                } => {
                    for (connection, cursor) in &mut self.cursors {
                        match Some(*connection) == by {
                            true => cursor.note_own(uid, modseq, before),
                            false => cursor.note_flags(uid),
                        }
                    }
                }
                Change::Expunged { uid, modseq } => {
                    self.tombstones += 1;
                    self.cursors
                        .values_mut()
                        .for_each(|cursor| cursor.note_expunged(uid, modseq));
                }
            }
        }
        let highest = self.folder.highest_modseq();
        self.cursors
            .values_mut()
            .for_each(|cursor| cursor.note_all(highest));
        if self.cursors.is_empty() {
            self.bury();
        }
    }

    /// \Recent is for one session that can write (RFC 3501 2.3.2): the first one here.
    fn give_recent(&mut self, first: Uid, last: Uid) {
        if let Some(cursor) = self.cursors.values_mut().find(|cursor| !cursor.read_only) {
            let from = self.folder.claim_recent().max(first);
            cursor.note_recent(from, last);
        } else {
            self.cursors
                .values_mut()
                .for_each(|cursor| cursor.note_recent(first, last));
        }
    }

    /// Takes tombstones out of the table when nobody's numbers need them.  That moves the whole
    /// table, so a few may wait for more.
    pub fn bury(&mut self) {
        let few = self.tombstones < TOMBSTONES_MANY && !self.cursors.is_empty();
        if self.tombstones == 0 || few || self.cursors.values().any(Cursor::needs_tombstones) {
            return;
        }
        self.folder.bury();
        self.tombstones = 0;
        self.cursors.values_mut().for_each(Cursor::note_buried);
    }

    /// What the cache has of a message.
    pub fn cached(&mut self, uid: Uid) -> Option<&[u8]> {
        self.cache().get(uid)
    }

    /// Puts something worked out of a message's text into the cache.
    pub fn keep(&mut self, uid: Uid, bytes: &[u8]) {
        self.cache().put(uid, bytes);
    }

    fn cache(&mut self) -> &mut Cache {
        self.cache.get_or_insert_with(|| self.folder.open_cache())
    }

    /// What was put into the cache is written.
    pub fn flush_cache(&mut self) {
        if let Some(cache) = &mut self.cache {
            cache.flush();
        }
    }

    /// Writes the index if it is `age` out of date.
    pub fn write_index(&mut self, age: Duration, now: Now) {
        if self.is_index_due(age, now) {
            self.folder.write_index(now.time);
            self.changed = None;
        }
    }

    pub fn is_index_due(&self, age: Duration, now: Now) -> bool {
        self.changed.is_some_and(|since| now.instant >= since + age)
    }

    pub fn changed_since(&self) -> Option<Instant> {
        self.changed
    }

    /// The last listener left at that time, and none came since; nor is a command at work on it.
    pub fn unused_since(&self) -> Option<Instant> {
        self.unused.filter(|_| Rc::strong_count(&self.holds) == 1)
    }

    pub fn hold(&self) -> Hold {
        Hold {
            _held: Rc::clone(&self.holds),
        }
    }

    pub fn touch(&mut self, now: Now) {
        if self.cursors.is_empty() {
            self.unused = Some(now.instant);
        }
    }

    pub fn close(mut self, now: Now) {
        if let Some(cache) = &mut self.cache {
            let folder = &self.folder;
            let live = |uid| folder.index_of(uid).is_ok();
            // It rewrites only what is mostly dead, and can be broken off at any time.
            let _ = cache.compact(&live, &|| false);
        }
        self.folder.close(now.time);
    }

    fn is_written(&self) -> bool {
        self.cursors.values().any(|cursor| !cursor.read_only)
    }

    fn last_uid(&self) -> Uid {
        self.folder
            .messages()
            .last()
            .map_or(Uid(0), |message| message.uid())
    }
}

/// How many events are handled before the index is written.
const EVENTS_AT_ONCE: usize = 64;

const TOMBSTONES_MANY: usize = 64;

/// \Recent is not worth writing a larger index at once.
const RECENT_WRITTEN_MAX: usize = 10_000;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::mail::{Flags, System};
    use crate::maildir::disk::dir::scratch::Scratch;
    use crate::maildir::disk::watch::{Event, Place, WatchEnd, Watching};
    use crate::maildir::folder::save::Incoming;
    use crate::maildir::{Maildir, Settings};

    const OLD: &str = "cur/1.host:2,";
    const NEW: &str = "cur/1.host:2,S";

    #[test]
    fn what_happens_during_a_rescan_is_not_lost() {
        for slices in 0..8 {
            let scratch = Scratch::new();
            let mut mailbox = watched(&scratch);
            let end = WatchEnd::default();
            mailbox.folder.listen(end.clone(), Watching::Now);
            scratch.write(OLD, "Subject: x\n\nx\n");
            end.tell(Event::Rescan);
            for _ in 0..slices {
                let _ = mailbox.look(Effort::Watch, Now::read(), &|| true).unwrap();
            }
            scratch.rename(OLD, NEW);
            end.tell(Event::Appeared {
                place: Place::Cur,
                name: NEW.trim_start_matches("cur/").into(),
            });
            look(&mut mailbox);
            assert_eq!(mailbox.folder.counts().unseen, 0, "after {slices} slices");
        }
    }

    #[test]
    fn what_others_did_is_told_to_a_client_whose_message_found_it() {
        let scratch = Scratch::new();
        let mut mailbox = watched(&scratch);
        scratch.write(OLD, "Subject: x\n\nx\n");
        mailbox.folder.want_scan();
        look(&mut mailbox);
        let (client, now) = (ConnectionId(1), Now::read());
        mailbox.add_listener(client, true, now);
        // Another process changes flags and gives a UID, and no event tells of it yet.
        let mut theirs = watched(&scratch);
        scratch.rename(OLD, NEW);
        scratch.write("cur/2.host:2,", "Subject: y\n\ny\n");
        theirs.folder.want_scan();
        look(&mut theirs);

        let mut message = Incoming::begin(&mailbox.folder, now.time).unwrap();
        message.write(b"Subject: z\n\nz\n").unwrap();
        let mut batch = Batch::new(&mailbox.folder);
        batch.add(message, Flags::default(), None).unwrap();
        while !matches!(
            mailbox.commit(&mut batch, Now::read(), &|| false).unwrap(),
            Commit::Done(_)
        ) {}
        let (folder, cursor) = mailbox.folder_and_cursor(client).unwrap();
        assert!(cursor.begin_changed(folder.messages()));
        let changed = cursor.take_changed(folder.messages()).unwrap();
        assert_eq!(changed.number, 1);
        assert!(changed.message.flags().system.contains(System::SEEN));
    }

    fn watched(scratch: &Scratch) -> Mailbox {
        let maildir = Maildir::new(scratch.path().to_owned(), Settings::default());
        let now = Now::read();
        let folder = Folder::open(&maildir, scratch.path(), now.time).unwrap();
        let mut mailbox = Mailbox::new(MailboxName::inbox(), folder, now);
        mailbox.folder.listen(WatchEnd::default(), Watching::Now);
        look(&mut mailbox);
        mailbox
    }

    fn look(mailbox: &mut Mailbox) {
        while mailbox.look(Effort::Watch, Now::read(), &|| false).unwrap() != Step::Done {}
    }
}
