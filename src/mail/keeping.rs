//! How mail is kept on the disk.

/// How the name of a mailbox becomes that of a directory.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Layout {
    /// The layout of the folders that are there, and Maildir++ if there are none.
    #[default]
    Detect,
    /// `A/B` is `.A.B` in the root.
    MaildirPlusPlus,
    /// `A/B` is `A/B` in the root.
    Fs,
}

/// What is forced to the disk before a client is told OK.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Fsync {
    /// Every file and every directory after every change.
    Always,
    /// New messages and UIDs; a flag change or an expunge may be undone by a crash.
    #[default]
    Optimized,
    Never,
}
