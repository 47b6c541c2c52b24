//! The mail of one user: which mailboxes there are, which are open, and who listens to what.
//!
//! Knows no protocol: what a client may do, and in which words it is told, is the session's.  Here
//! a client is a listener of a mailbox, with a cursor that says what it has not heard yet.
//!
//! A mailbox stays open for a while after the last listener left it, so that coming back costs
//! nothing: the watch goes on telling what changes.
//!
//! | file | what |
//! |---|---|
//! | `mailbox` | an open one, shared by all who listen to it |
//! | `locked` | it under its lock: how messages in it are changed |
//! | `cursor` | what one listener has not heard of it |
//! | `deliver` | messages on their way into a mailbox |
//! | `flags` | flags by name, and the letters that a folder has for them |
//! | `query` | a question put to one message after the other |
//! | `given` | what the configuration says of mailboxes |
//! | `summary` | what lists of messages show, worked out once |
//! | `text` | one message's text, piece by piece |

pub mod cursor;
pub mod deliver;
pub mod flags;
pub mod given;
pub mod locked;
pub mod mailbox;
pub mod query;
pub mod summary;
pub mod text;

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::path::PathBuf;
use std::time::{Duration, Instant};

use crate::config::{Config, Location};
use crate::log::ONCE;
use crate::mail::{Fsync, Layout, MailboxName, SpecialUse};
use crate::maildir::courier;
use crate::maildir::disk::dir::{Dir, DiskResult};
use crate::maildir::disk::report;
use crate::maildir::disk::watch::{WatchEnd, Watcher};
use crate::maildir::dovecot::subscriptions::Subscriptions;
use crate::maildir::folder::{self, Folder, FolderError, FolderStatus, Step, Told};
use crate::maildir::tree::{ListedMailbox, Tree, TreeError};
use crate::maildir::{Maildir, Settings};
use crate::net::{ConnectionId, Now};
use mailbox::{Effort, Hold, Mailbox};
use text::Memo;

/// The mailboxes of one user.
pub struct Mailboxes {
    maildir: Maildir,
    tree: Tree,
    /// Boxed: a node of the map has room for eleven, and most users have one open.
    open: BTreeMap<MailboxKey, Box<Mailbox>>,
    by_name: HashMap<MailboxName, MailboxKey>,
    /// What was told of mailboxes whose folder another program took away.
    lost: HashMap<MailboxName, Told>,
    next_key: u32,
    subscriptions: Option<Subscriptions>,
    /// Everybody is subscribed to these.
    subscribed: Vec<MailboxName>,
    watcher: Option<Watcher>,
    poll_interval: Duration,
    /// Clients in IDLE that have something to be told, each once however much has happened.
    woken: BTreeSet<ConnectionId>,
    /// The text of a compressed message of which a client is fetching part after part.
    pub expanded: Option<Memo>,
}

/// An open mailbox.  Keys are not used twice, so a stale one finds nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct MailboxKey(u32);

/// Why a mailbox could not be opened.
#[derive(Debug)]
pub enum OpenError {
    Tree(TreeError),
    Folder(FolderError),
}

/// What a look at a mailbox that is not open gave.
pub enum Glance {
    /// The counts of its index, which are true.
    Status(FolderStatus),
    /// Its counts have to be found out.
    Folder(Box<Folder>),
}

impl Mailboxes {
    /// Those at `location`.  `wake` is called from another thread when `handle_wake` has
    /// something to do.
    pub fn new(
        config: &Config,
        location: Location,
        wake: Box<dyn Fn() + Send>,
    ) -> DiskResult<Mailboxes> {
        let root = location.maildir;
        let indexes = location.index_dir.iter().chain(&location.dovecot_index_dir);
        let tree = Tree::open(&root, location.layout)?
            .with_inbox(location.inbox.as_deref())
            .with_utf8_names(location.utf8_names)
            .with_indexes(indexes.cloned().collect())
            .with_control(location.control_dir.clone())
            .with_given(given::mailboxes(config));
        let settings = Settings {
            fsync: config.fsync,
            layout: tree.layout(),
            inbox: Some(tree.inbox()),
            index_dir: location.index_dir,
            dovecot_index_dir: location.dovecot_index_dir,
            control_dir: location.control_dir,
        };
        let watcher = config.watch.then(|| Watcher::new(wake));
        if let Some(Err(error)) = &watcher {
            log::warn!(
                "No mailbox can be watched, so that new mail shows only every {:?} \
                 (mail.poll_interval): {error}",
                config.poll_interval
            );
        }
        Ok(Mailboxes {
            maildir: Maildir::new(root, settings),
            tree,
            open: BTreeMap::new(),
            by_name: HashMap::new(),
            lost: HashMap::new(),
            next_key: 1,
            subscriptions: None,
            subscribed: given::subscribed(config),
            watcher: watcher.and_then(Result::ok),
            poll_interval: config.poll_interval,
            woken: BTreeSet::new(),
            expanded: None,
        })
    }

    /// Opens a mailbox, or finds it open.  Its table may be out of date: `look` first.
    pub fn open(&mut self, name: &MailboxName, now: Now) -> Result<MailboxKey, OpenError> {
        if let Some(&key) = self.by_name.get(name) {
            if let Some(mailbox) = self.open.get_mut(&key) {
                mailbox.touch(now);
            }
            return Ok(key);
        }
        let directory = self.tree.find_or_make(name, now.time);
        let directory = directory.map_err(OpenError::Tree)?;
        let mut folder =
            Folder::open(&self.maildir, &directory, now.time).map_err(OpenError::Folder)?;
        if let Some(told) = self.lost.remove(name) {
            folder.outdo(told);
        }
        let key = MailboxKey(self.next_key);
        self.next_key = self.next_key.wrapping_add(1);
        let mut mailbox = Mailbox::new(name.clone(), folder, now);
        if let Some(watcher) = &mut self.watcher {
            let end = WatchEnd::default();
            match watcher.watch(key.0, &directory, &end) {
                Ok(watching) => mailbox.folder.listen(end, watching),
                Err(error) => log::warn!(
                    "{name} cannot be watched, so that new mail shows only every {:?} \
                     (mail.poll_interval): {error}",
                    self.poll_interval
                ),
            }
        }
        self.open.insert(key, Box::new(mailbox));
        self.by_name.insert(name.clone(), key);
        self.close_unused(OPEN_UNUSED_MAX, Duration::ZERO, Some(key), now);
        Ok(key)
    }

    /// How the folders are laid out; never `Layout::Detect`.
    pub fn layout(&self) -> Layout {
        self.tree.layout()
    }

    /// Every mailbox there is, in the order in which LIST shows them.
    pub fn list(&self) -> Result<Vec<ListedMailbox>, TreeError> {
        self.tree.list()
    }

    pub fn create(
        &mut self,
        name: &MailboxName,
        roles: &[SpecialUse],
        now: Now,
    ) -> Result<(), TreeError> {
        self.tree.create(name, roles, now.time).map(drop)
    }

    /// Its files are there until [`Mailboxes::sweep`] has removed them.  Whoever has it selected
    /// finds it closed.
    pub fn delete(&mut self, name: &MailboxName, now: Now) -> Result<(), TreeError> {
        self.tree.delete(name, now.time)?;
        if let Some(key) = self.find_open(name) {
            self.drop_mailbox(key, now);
        }
        Ok(())
    }

    /// Removes the files of deleted mailboxes; false: there are more of them.
    pub fn sweep(&mut self, now: Now, over: &dyn Fn() -> bool) -> DiskResult<bool> {
        self.tree.sweep(now.time, over)
    }

    /// Whoever has the mailbox selected, or one below it, finds it closed.
    pub fn rename(
        &mut self,
        from: &MailboxName,
        to: &MailboxName,
        now: Now,
    ) -> Result<(), TreeError> {
        let moved = self.open_at_or_below(from);
        self.tree.rename(from, to, now.time)?;
        for key in moved {
            self.drop_mailbox(key, now);
        }
        Ok(())
    }

    /// Where the mailbox's files are; the root if there is no such mailbox.
    pub fn path(&self, name: Option<&MailboxName>) -> PathBuf {
        let folder = name.and_then(|name| self.tree.find(name).ok());
        folder.unwrap_or_else(|| self.maildir.root().to_owned())
    }

    /// A mailbox that is not open, for a question that its counts may answer.  `sizes`: that of all
    /// messages is asked for.
    pub fn glance(
        &mut self,
        name: &MailboxName,
        sizes: bool,
        now: Now,
    ) -> Result<Glance, OpenError> {
        let directory = self.tree.find_or_make(name, now.time)?;
        let status = folder::status(&self.maildir, &directory, now.time)?;
        if let Some(status) = status.filter(|status| !sizes || status.counts.unmeasured == 0) {
            return Ok(Glance::Status(status));
        }
        let folder = Folder::open(&self.maildir, &directory, now.time)?;
        Ok(Glance::Folder(Box::new(folder)))
    }

    /// The mailbox if it is open already.
    pub fn find_open(&self, name: &MailboxName) -> Option<MailboxKey> {
        self.by_name.get(name).copied()
    }

    /// Keeps the mailbox from being closed because nobody has it selected, for as long as a command
    /// takes that comes back to it step by step.
    pub fn hold(&self, key: MailboxKey) -> Option<Hold> {
        self.open.get(&key).map(|mailbox| mailbox.hold())
    }

    pub fn get(&mut self, key: MailboxKey) -> Option<&mut Mailbox> {
        self.open.get_mut(&key).map(Box::as_mut)
    }

    /// The open mailboxes with this name or one below it.
    fn open_at_or_below(&self, name: &MailboxName) -> Vec<MailboxKey> {
        let mut keys = Vec::new();
        for (open, &key) in &self.by_name {
            if open == name || open.is_below(name) {
                keys.push(key);
            }
        }
        keys
    }

    /// Whether some client has the mailbox selected.
    pub fn is_selected(&self, key: MailboxKey) -> bool {
        let mailbox = self.open.get(&key);
        mailbox.is_some_and(|mailbox| mailbox.listeners().next().is_some())
    }

    /// The names subscribed to, in the file's order, and those that everybody is subscribed to.
    pub fn subscriptions(&mut self, now: Now) -> Result<Vec<MailboxName>, TreeError> {
        let subscriptions = self.refreshed_subscriptions(now)?;
        let mut names: Vec<MailboxName> = subscriptions.iter().cloned().collect();
        for name in &self.subscribed {
            if !names.contains(name) {
                names.push(name.clone());
            }
        }
        Ok(names)
    }

    /// Only a mailbox that exists can be subscribed to, as with Dovecot; the subscription stays
    /// when it is deleted (RFC 9051 6.3.7).  `Ok(None)`: another program holds the lock; else
    /// whether that changed anything.
    pub fn subscribe(
        &mut self,
        name: &MailboxName,
        subscribed: bool,
        now: Now,
    ) -> Result<Option<bool>, TreeError> {
        if subscribed && !self.tree.is_given(name) {
            self.tree.find(name)?;
        }
        let root = Dir::open(self.maildir.control_root()).map_err(TreeError::Io)?;
        let access = root.access().map_err(TreeError::Io)?;
        let subscriptions = self.refreshed_subscriptions(now)?;
        subscriptions
            .set(&root, &access, name, subscribed, now.time)
            .map_err(TreeError::Io)
    }

    fn refreshed_subscriptions(&mut self, now: Now) -> Result<&mut Subscriptions, TreeError> {
        let root = Dir::open(self.maildir.control_root()).map_err(TreeError::Io)?;
        match &mut self.subscriptions {
            Some(subscriptions) => {
                subscriptions.refresh(&root);
            }
            None => {
                let read = Subscriptions::read(&root, self.tree.naming());
                let subscriptions = self.subscriptions.insert(read);
                let left = courier::subscriptions(self.maildir.root());
                if let Err(error) = left.and_then(|left| adopt(subscriptions, &root, left, now)) {
                    let error = report::explained(&error);
                    log::warn!(target: ONCE, "{error}: Courier's subscriptions are not taken over");
                }
            }
        }
        self.subscriptions.as_mut().ok_or(TreeError::NotFound)
    }

    /// Closes a mailbox that is not what it was: replaced, renamed, deleted, or broken.  Whoever
    /// has it selected finds nothing under its key any more.
    pub fn drop_mailbox(&mut self, key: MailboxKey, now: Now) {
        self.catch_up(now, &|open, _| open == key);
        let Some(mailbox) = self.open.remove(&key) else {
            return;
        };
        self.expanded = None;
        self.by_name.retain(|_, &mut named| named != key);
        if let Some(watcher) = &mut self.watcher {
            watcher.unwatch(key.0);
        }
        self.woken.extend(mailbox.listeners());
        mailbox.close(now);
    }

    /// Closes a mailbox whose folder was removed or replaced by another program; should it come
    /// back as it once was, what clients were told of it is known.
    pub fn lose_mailbox(&mut self, key: MailboxKey, now: Now) {
        let name = self.by_name.iter().find(|&(_, &named)| named == key);
        if let (Some((name, _)), Some(mailbox)) = (name, self.open.get(&key)) {
            log::warn!(
                "Mailbox {name}: {}: the folder was removed, replaced, or given another UIDVALIDITY; \
                 clients that had it selected are told that it is closed",
                mailbox.folder.path().display()
            );
            self.lost.insert(name.clone(), mailbox.folder.told());
        }
        self.drop_mailbox(key, now);
    }

    /// Wakes who waits for a folder in which something happened; the folder hears of it when it
    /// looks.
    pub fn handle_wake(&mut self) {
        let Some(watcher) = &mut self.watcher else {
            return;
        };
        for key in watcher.poll() {
            if let Some(mailbox) = self.open.get(&MailboxKey(key)) {
                self.woken.extend(mailbox.listeners());
            }
        }
    }

    /// Brings an open mailbox up to date with its directory; resumable.
    pub fn look(
        &mut self,
        key: MailboxKey,
        effort: Effort,
        now: Now,
        over: &dyn Fn() -> bool,
    ) -> Result<Step, FolderError> {
        self.handle_wake();
        let mailbox = self.open.get_mut(&key).ok_or(FolderError::Missing)?;
        if mailbox.wants_catch_up(effort, now)?
            && let Some(watcher) = &mut self.watcher
        {
            let complete = watcher.catch_up();
            self.handle_wake();
            if let Some(mailbox) = self.open.get_mut(&key) {
                match complete {
                    true => mailbox.folder.note_caught_up(now.time),
                    false => mailbox.folder.want_scan(),
                }
            }
        }
        let mailbox = self.open.get_mut(&key).ok_or(FolderError::Missing)?;
        mailbox.look(effort, now, over)
    }

    /// Everything written so far is on disk: one call for the UIDs of many folders.
    pub fn settle_all(&self) {
        if self.maildir.settings().fsync == Fsync::Never {
            return;
        }
        let root = Dir::open(self.maildir.control_root());
        let settled = root.and_then(|root| root.sync_file_system());
        if let Err(error) = settled {
            log::warn!(target: ONCE, "UIDs are not on disk yet: {error}");
        }
    }

    /// Other clients of the mailbox may have something to hear.
    pub fn wake_listeners(&mut self, key: MailboxKey, but: ConnectionId) {
        if let Some(mailbox) = self.open.get(&key) {
            self.woken
                .extend(mailbox.listeners().filter(|&listener| listener != but));
        }
    }

    /// A client that may have something to be told.
    pub fn poll_woken(&mut self) -> Option<ConnectionId> {
        self.woken.pop_first()
    }

    /// When `handle_timeout` has something to do.
    pub fn next_timeout(&self) -> Option<Instant> {
        let due = self.open.values().flat_map(|mailbox| {
            [
                mailbox.next_poll(self.poll_interval),
                mailbox.changed_since().map(|since| since + INDEX_AGE),
                mailbox.unused_since().map(|since| since + KEEP_UNUSED),
            ]
        });
        due.flatten().min()
    }

    /// Polls what is not watched, writes indexes that are out of date, closes what nobody uses.
    pub fn handle_timeout(&mut self, now: Now) {
        self.catch_up(now, &|_, mailbox| mailbox.is_index_due(INDEX_AGE, now));
        for mailbox in self.open.values_mut() {
            mailbox.write_index(INDEX_AGE, now);
            if mailbox
                .next_poll(self.poll_interval)
                .is_some_and(|due| due <= now.instant)
            {
                mailbox.folder.want_scan();
                mailbox.note_polled(now);
                self.woken.extend(mailbox.listeners());
            }
        }
        self.close_unused(0, KEEP_UNUSED, None, now);
    }

    /// Takes in what has happened to these mailboxes, before their indexes are written.
    fn catch_up(&mut self, now: Now, wanted: &dyn Fn(MailboxKey, &Mailbox) -> bool) {
        let mut keys = Vec::new();
        for (&key, mailbox) in &self.open {
            if wanted(key, mailbox) {
                keys.push(key);
            }
        }
        let complete = match &mut self.watcher {
            Some(watcher) if !keys.is_empty() => watcher.catch_up(),
            _ => return,
        };
        self.handle_wake();
        for key in keys {
            if let Some(mailbox) = self.open.get_mut(&key) {
                if complete {
                    mailbox.folder.note_caught_up(now.time);
                }
                mailbox.handle_events(now);
            }
        }
    }

    /// Closes everything, as the process is about to end.
    pub fn close_all(&mut self, now: Now) {
        self.catch_up(now, &|_, _| true);
        self.by_name.clear();
        for (key, mailbox) in std::mem::take(&mut self.open) {
            if let Some(watcher) = &mut self.watcher {
                watcher.unwatch(key.0);
            }
            mailbox.close(now);
        }
    }

    /// Closes mailboxes without clients, all but the `keep` used last, unless used within `age`.
    fn close_unused(&mut self, keep: usize, age: Duration, but: Option<MailboxKey>, now: Now) {
        let mut unused: Vec<(Instant, MailboxKey)> = self
            .open
            .iter()
            .filter(|&(&key, _)| Some(key) != but)
            .filter_map(|(&key, mailbox)| Some((mailbox.unused_since()?, key)))
            .collect();
        unused.sort_unstable();
        let surplus = unused.len().saturating_sub(keep);
        for (since, key) in unused.into_iter().take(surplus) {
            if since + age <= now.instant {
                self.drop_mailbox(key, now);
            }
        }
    }
}

/// Where there is no file of subscriptions, what Courier left is taken over.
fn adopt(
    subscriptions: &mut Subscriptions,
    root: &Dir,
    left: Option<Vec<MailboxName>>,
    now: Now,
) -> DiskResult<()> {
    if root.stat(b"subscriptions")?.is_some() {
        return Ok(());
    }
    let access = root.access()?;
    for name in left.unwrap_or_default() {
        subscriptions.set(root, &access, &name, true, now.time)?;
    }
    Ok(())
}

impl From<TreeError> for OpenError {
    fn from(error: TreeError) -> OpenError {
        OpenError::Tree(error)
    }
}

impl From<FolderError> for OpenError {
    fn from(error: FolderError) -> OpenError {
        OpenError::Folder(error)
    }
}

/// How many mailboxes without clients stay open.
const OPEN_UNUSED_MAX: usize = 4;

/// How long a mailbox without clients stays open.
const KEEP_UNUSED: Duration = Duration::from_secs(120);

/// How long an index file may be behind, so that a killed process costs little.
const INDEX_AGE: Duration = Duration::from_secs(15);

#[cfg(test)]
mod tests {
    use super::*;
    use crate::maildir::disk::dir::scratch::Scratch;

    #[test]
    fn with_watch_no_mailboxes_are_polled() {
        for (watch, polled) in [("mail.watch=yes", false), ("mail.watch=no", true)] {
            let mut config = Config::default();
            config.set(watch).unwrap();
            let scratch = Scratch::new();
            let root = scratch.path().to_owned();
            let location = Location::at(root, Layout::Detect);
            let mut mailboxes = Mailboxes::new(&config, location, Box::new(|| {})).unwrap();
            let now = Now::read();
            let key = mailboxes.open(&MailboxName::inbox(), now).unwrap();
            let mailbox = mailboxes.get(key).unwrap();
            mailbox.add_listener(ConnectionId(1), true, now);
            let poll = mailbox.next_poll(config.poll_interval);
            assert_eq!(poll.is_some(), polled, "{watch}");
        }
    }
}
