//! Mail files: the only code that touches them.
//!
//! A [`Maildir`] is the mail of one user: a root directory and how to treat it.  A
//! [`folder::Folder`] is one mailbox of it, opened.

pub mod adopt;
pub mod cache;
pub mod compressed;
mod counter;
pub mod dir;
mod error;
pub mod filename;
pub mod folder;
mod history;
mod index;
pub mod keywords;
pub mod lock;
pub mod messages;
pub mod modseq;
mod modseqs;
mod read;
mod resolve;
pub mod save;
mod scan;
pub mod subscriptions;
pub mod sync;
pub mod tree;
pub mod uidlist;
mod uids;
pub mod uidvalidity;
pub mod update;
pub mod watch;

use std::path::{Path, PathBuf};

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
        let root = self.settings.index_dir.as_deref()?;
        let within = folder.strip_prefix(&self.root).unwrap_or(folder);
        // A path from elsewhere would replace the root.
        Some(root.join(within.strip_prefix("/").unwrap_or(within)))
    }
}

/// How to treat a Maildir.
#[derive(Clone, Debug, Default)]
pub struct Settings {
    pub fsync: Fsync,
    /// Where index and cache files go, in a tree of the same shape; `None`: beside the mail.
    pub index_dir: Option<PathBuf>,
    pub layout: Layout,
}

/// What is forced to the disk before a client is told OK (promise P3).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Fsync {
    /// Every file and every directory after every change.
    Always,
    /// New messages and UIDs; a flag change or an expunge may be undone by a crash.
    #[default]
    Optimized,
    Never,
}

/// How mailbox names become directories (`maildir-formats.md 7`).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Layout {
    /// Mailbox `A/B` is the directory `.A.B` of the root.
    #[default]
    MaildirPlusPlus,
    /// Mailbox `A/B` is the directory `A/B` of the root.
    Fs,
}
