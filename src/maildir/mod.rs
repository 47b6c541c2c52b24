//! Mail files: the only code that touches them.
//!
//! A [`Maildir`] is the mail of one user: a root directory and how to treat it.  A
//! [`folder::Folder`] is one mailbox of it, opened.

pub mod adopt;
pub mod cache;
pub mod compressed;
pub mod dir;
pub mod filename;
pub mod folder;
pub mod index;
pub mod keywords;
pub mod lock;
pub mod messages;
pub mod modseq;
pub mod save;
pub mod subscriptions;
pub mod sync;
pub mod tree;
pub mod uidlist;
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
