//! Mail files: the only code that touches them.
//!
//! A [`Maildir`] is the mail of one user: a root directory and how to treat it.  A
//! [`folder::Folder`] is one mailbox of it, opened: a directory with `cur/`, `new/` and `tmp/`, and
//! beside them the files of Dovecot (`dovecot-uidlist`, `dovecot-keywords`, in the root
//! `dovecot-uidvalidity` and `subscriptions`) and our own (`roost.index`, `roost.cache`,
//! `roost.modseq`).  What they are to other programs is in roost-maildir(5).
//!
//! File-system calls on mail are made in [`disk::dir`], so that the crash tests can break off at
//! each.  Time is an argument.  Nothing here blocks on another process, and what takes long is done
//! in slices: `over()` says that the time is up, and the operation is called again.
//!
//! | module | whose |
//! |---|---|
//! | [`disk`] | the kernel's: directories, files, locks, names, the watch |
//! | [`dovecot`] | Dovecot's files: UIDs, keywords, subscriptions, the log of its index |
//! | [`courier`] | Courier's, read where Dovecot's are not there |
//! | [`own`] | ours: the index, the cache, the counter of modseqs |
//! | [`folder`] | one mailbox, opened: what there is, what changed, what is to be done |
//! | [`tree`] | which mailboxes there are, and where |
//!
//! # What is true where
//!
//! - *Which messages there are, and their flags*: the names in `cur/` and `new/`, and nothing else.
//!   Any program may change them at any time and takes no lock of ours.
//! - *Which UID a message has*: the line with its base name in `dovecot-uidlist`.  Written under
//!   `dovecot-uidlist.lock`, by us as by Dovecot.
//! - *What changed when* (modseqs, expunges): `roost.index` and `roost.modseq`.  The index is a
//!   cache; if it is lost every message counts as changed just now.
//!
//! # Names move while we look
//!
//! A message is its base name; what follows in the file name, and in which of the two directories
//! it is, changes under us.  So a name that we have in memory, or from a listing, or from an
//! inotify event, is a hint.  Four rules follow:
//!
//! 1. *Whoever finds no file under a name looks again* (`folder/seek.rs`): the names that one
//!    change of a flag would have given, then the directories.  A listing during which something
//!    was renamed proves nothing, so only one with nothing going on says that the message is gone;
//!    until then a command says that it cannot have it now, and expunges nothing.
//! 2. *Whoever acts on a message acts on what its name says at that moment*, under the lock
//!    (`folder/update.rs`, `folder/batch.rs`). There is no look first and then a deed, for another
//!    rename would fit in between: a flag is set by renaming from the name that shows the flags it
//!    is added to, EXPUNGE unlinks a name that says \Deleted, COPY links a name and the copy gets
//!    the flags which that name shows, MOVE removes a name with the flags that the copy has.  Each
//!    of these fails if the name is not there any more, and begins again with the name that is.
//!    What is found that way the table and the clients learn at once.  Where nothing is to be done,
//!    a `stat` says that the name is still there.
//! 3. *Whoever finds something new looks at the file before acting* (`folder/resolve.rs`), under
//!    the lock: a name that is not there any more is dropped, for whatever replaced it will be seen
//!    too.  A new message is looked for under all names that flags can give, lest it come after
//!    younger ones.  All events that wait are taken in before anything is done about them, so that
//!    a thousand renames of one file cost one look.
//! 4. *A file that a listing did not show is not gone.*  While a directory is read, a rename can
//!    hide a file that is there all the time.  If the directory was changed during the listing, or
//!    so shortly before that its time cannot tell, it is listed a second time, under the lock.  So
//!    is a folder that is listed for the first time: what the listing did not show would get a
//!    later UID than younger messages.  If names were moving again, whatever is missing is doubted:
//!    only what the next scan misses too, and what has none of the names that flags can give, is
//!    expunged.  From the watch a vanished name is a suspicion, which the new name behind it
//!    clears.
//!
//! `new/` is listed before `cur/`, as that is the way mail moves: on its way it is seen once or
//! twice, never not at all.
//!
//! A program that renames all the time must not keep anybody waiting: a look ends after three
//! scans, however many slices they take, and after 200 ms of names that vanish one after the other.
//! Events are taken as long as they are fewer than the messages; for more the directories are
//! listed.  So they are if the watch does not come to the end of what has happened
//! (`disk/watch/ask.rs`).
//!
//! # The way of a change
//!
//! What another program does to a message comes to the clients one way, and each step has one
//! owner:
//!
//! 1. `disk/watch.rs` hears it from the kernel and puts an event into the queue of the folder.  The
//!    session is woken, and learns only which folder has something to take.
//! 2. [`folder::Folder::look`] takes the events (`folder/scan.rs`).  If nothing is watched, or an
//!    event does not say enough, it lists the directories.  A name from an event and one from a
//!    listing are the same: what the table does not explain becomes a *finding*, a name that is
//!    gone a *suspicion* (`folder/sync.rs`).  Until here nothing is done about it.
//! 3. `folder/judge.rs` says of each finding where to look before it counts, and what follows.
//!    `folder/resolve.rs` and `folder/arrive.rs` look and act, under the lock.
//! 4. What they do to the table is a [`folder::Change`], which the mailbox hands to every client.
//!
//! # When need nobody look?
//!
//! When both directories have the modification times of the last listing.  As the kernel's clock
//! for file times stands still for some milliseconds (on old file systems for seconds), a directory
//! that was listed right after it changed is remembered as *dirty*, and is listed once more when
//! that time is over. Own changes leave a new time too; if the directory had the recorded time when
//! we took the lock, the time when we release it is recorded, dirty.  While a folder is watched
//! none of this matters, since events tell what happens to each name, and a delivery into a large
//! folder costs that one name.
//!
//! # One UID for one message, for ever
//!
//! Every UID below the folder's UIDNEXT is *decided*: in the table, or gone for good.  A record of
//! the uidlist above is *listed*: another program gave the UID, and the file may come.  New UIDs
//! are given only when no record is open, for clients must hear of UIDs in ascending order; a full
//! scan decides what is open.  Who gives UIDs holds the lock until the files have their names: so
//! only a scan under the lock decides, and what it does not see will never come.  A file that comes
//! too late, or comes back under a base name that was expunged, is a new message and gets a new
//! UID, and the flags of its own name, not those of the message that had the name before.  New UIDs
//! are in the file before anything is told of them, and on the disk before a client is told the UID
//! ([`folder::Folder::settle`]).
//!
//! Between a scan and what follows from it others may write the uidlist.  So it is read again under
//! the lock, and a file that was about to get a UID is looked up first: it may have one by now
//! (`folder/sync.rs`).  If the list was written anew, what the scan saw of its records is kept, as
//! nothing tells of those files again.  If a live message's file has a new record, its old UID is
//! expunged at once, before anybody acts on it.  A record that was appended counts whatever fails
//! after it: the list need not be made smaller.
//!
//! Where no uidlist can be written, UIDVALIDITY is the second in which something last came or went,
//! and the UIDs follow from the names, so that every process finds the same; what comes later has
//! no UID there.
//!
//! If the uidlist is lost or falls back (a restored backup), the index knows better and the file is
//! made again; if the index is lost too, UIDVALIDITY grows.  If another UIDVALIDITY appears under
//! an open folder, or another directory takes its place, the folder ends with
//! [`folder::FolderError::Replaced`].
//!
//! # Modseqs
//!
//! No modseq is used twice, or told and then forgotten: see `own/counter.rs`.  A batch of changes
//! has one; changes found in the files get a new one, so that a client may hear of something twice
//! but never misses it.  While Dovecot has an index of the folder the two counters go in step
//! (`folder/modseqs.rs`).
//!
//! What other processes gave is read before anything is done under the lock, and before
//! `roost.modseq` begins anew with the index, also by a process that saw nothing of it in the
//! files: a flag may have been set and taken away again.  It is taken over as it is.  After a power
//! failure flags may have fallen back, and the record of them with them; a `roost.modseq` that was
//! not closed and that no process holds, or one that is newer than the index, says so, and every
//! message counts as changed.  A client is told no modseq past a removal that it could not be told
//! yet (`store/cursor.rs`).
//!
//! # The lock
//!
//! Dovecot's dotlock is held while UIDs are given, files renamed or removed, and keywords named;
//! not while directories are read.  It is taken by trying: who does not get it is told so
//! ([`folder::Step::Locked`]) and comes again.  On a full disk no lock can be made, and none is
//! needed for what still works there: reading, flags, and EXPUNGE, which makes room.  A lock that
//! was left empty is known by that nobody holds its file (`disk/lock.rs`).
//!
//! Keywords get their letters under the lock before a file name shows them.  So whoever meets a
//! letter without a name reads `dovecot-keywords` again before a client is told of it.
//!
//! A message on its way into a folder is for the directory that was there when it began; if another
//! has taken its place the batch ends with [`folder::FolderError::Replaced`], for its files would
//! be where nobody finds them (`folder/save.rs`).
//!
//! # Files beside the messages
//!
//! Only `dovecot-uidlist` is needed to serve a folder, and Courier's where there is no other.
//! Whatever else cannot be read, for whatever reason, costs what it is for and nothing more:
//! keywords have stand-ins for names, modseqs come from the clock, nothing is subscribed.
//! `disk/report.rs` says so once.  What such a file says of sizes is believed as far as the folder
//! bears it out (`disk/plausible.rs`), and a file whose content is not known is not written over.
//!
//! # After a crash
//!
//! Each file is either appended to by whole lines that may be cut off at the end, or replaced by
//! rename.  The order of steps makes a crash harmless in between: a text is on the disk before its
//! name is in `cur/`; the UID is in the uidlist before that; a modseq is in `roost.modseq` before a
//! client is told. What a crash leaves is a UID without a file, a file without a UID, or a message
//! that was not acknowledged: each is found by the next sync and told truthfully.  `tests/crash`
//! breaks off at every call.

pub mod courier;
pub mod disk;
pub mod dovecot;
pub mod folder;
pub mod own;
pub mod tree;

use std::path::{Path, PathBuf};

use crate::mail::{Fsync, Layout};

pub use tree::make::{make, make_directory};

/// The mail of one user.
#[derive(Clone, Debug)]
pub struct Maildir {
    root: PathBuf,
    settings: Settings,
}

impl Maildir {
    pub fn new(root: PathBuf, settings: Settings) -> Maildir {
        Maildir { root, settings }
    }

    pub fn root(&self) -> &Path {
        &self.root
    }

    pub fn settings(&self) -> &Settings {
        &self.settings
    }

    /// Where a folder's index and cache are, if not in the folder itself.
    pub fn index_directory(&self, folder: &Path) -> Option<PathBuf> {
        let tree = self.settings.index_dir.as_deref()?;
        Some(self.beside(tree, folder))
    }

    /// Where Dovecot has its index of the folder.
    pub fn dovecot_index_directory(&self, folder: &Path) -> PathBuf {
        match &self.settings.dovecot_index_dir {
            Some(tree) => self.beside(tree, folder),
            None => folder.to_owned(),
        }
    }

    /// Where a folder's uidlist and keywords are, if not in the folder itself.
    pub fn control_directory(&self, folder: &Path) -> Option<PathBuf> {
        let tree = self.settings.control_dir.as_deref()?;
        Some(self.beside(tree, folder))
    }

    /// Where `subscriptions` and `dovecot-uidvalidity` are.
    pub fn control_root(&self) -> &Path {
        self.settings.control_dir.as_deref().unwrap_or(&self.root)
    }

    /// The directory of a folder in a tree of the same shape.  In such a tree INBOX has a directory
    /// like that of other mailboxes, as in Dovecot.
    fn beside(&self, tree: &Path, folder: &Path) -> PathBuf {
        if folder == self.settings.inbox.as_deref().unwrap_or(&self.root) {
            return tree.join(match self.settings.layout {
                Layout::Fs => "INBOX",
                Layout::MaildirPlusPlus | Layout::Detect => ".INBOX",
            });
        }
        let within = folder.strip_prefix(&self.root).unwrap_or(folder);
        // A path from elsewhere would replace the root.
        tree.join(within.strip_prefix("/").unwrap_or(within))
    }
}

/// How to treat a Maildir.
#[derive(Clone, Debug, Default)]
pub struct Settings {
    pub fsync: Fsync,
    /// `Layout::Detect` is Maildir++ here.
    pub layout: Layout,
    /// INBOX's folder; `None`: the root.
    pub inbox: Option<PathBuf>,
    /// Where index and cache files go, in a tree of the same shape; `None`: beside the mail.
    pub index_dir: Option<PathBuf>,
    /// The same for Dovecot's indexes (`INDEX=`).
    pub dovecot_index_dir: Option<PathBuf>,
    /// The same for what Dovecot calls control files (`CONTROL=`): the uidlist, keywords,
    /// subscriptions, and their locks.
    pub control_dir: Option<PathBuf>,
}
