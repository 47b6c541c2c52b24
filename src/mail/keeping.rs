//! How mail is kept on the disk.

use super::utf7;

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

/// How the names of mailboxes become those of directories.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Naming {
    pub layout: Layout,
    /// UTF-8 on the disk (Dovecot's `mailbox_list_utf8`), instead of modified UTF-7.
    pub utf8: bool,
}

impl Naming {
    /// A name, or a level of one, as it is on the disk.
    pub fn write(self, name: &str) -> String {
        match self.utf8 {
            true => name.to_owned(),
            false => utf7::encode(name),
        }
    }

    /// What is between the levels there.
    pub fn separator(self) -> u8 {
        match self.layout {
            Layout::Fs => b'/',
            Layout::MaildirPlusPlus | Layout::Detect => b'.',
        }
    }
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
