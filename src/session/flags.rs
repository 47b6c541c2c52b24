//! Flags between the client's names and the Maildir's letters.

use std::time::SystemTime;

use crate::imap::flag::{Flag, Flags, Keyword, System};
use crate::maildir::folder::{Folder, FolderError};
use crate::maildir::keywords::LETTERS;

/// The keywords of a folder by letter, ready to be written.
pub struct KeywordNames<'f>([Option<&'f str>; LETTERS]);

impl<'f> KeywordNames<'f> {
    pub fn new(folder: &'f Folder) -> KeywordNames<'f> {
        let mut names = [None; LETTERS];
        for (letter, keyword) in folder.keywords() {
            let slot = usize::try_from(letter)
                .ok()
                .and_then(|letter| names.get_mut(letter));
            if let Some(slot) = slot {
                *slot = Some(keyword.as_str());
            }
        }
        KeywordNames(names)
    }

    pub fn get(&self, letter: u32) -> Option<&'f str> {
        let letter = usize::try_from(letter).ok()?;
        self.0.get(letter).copied().flatten()
    }
}

/// Why a list of flags cannot be given to a message.
#[derive(Debug)]
pub enum FlagsError {
    /// The flag is none that a message can have here.
    Unknown(String),
    /// All 26 keywords of the mailbox are in use.
    NoLetter(Keyword),
    Folder(FolderError),
}

/// The flags a client named, in the letters of `folder`.  New keywords get a letter if `create`
/// (which needs the folder's lock); otherwise they are left out.
pub fn to_letters(
    folder: &mut Folder,
    flags: &[Flag],
    create: bool,
    now: SystemTime,
) -> Result<Flags, FlagsError> {
    let mut letters = Flags::default();
    for flag in flags {
        match flag {
            Flag::System(system) => letters.system = letters.system | *system,
            Flag::Recent => {}
            Flag::Unknown(name) => return Err(FlagsError::Unknown(name.clone())),
            Flag::Keyword(keyword) => {
                let letter = folder
                    .keyword_letter(keyword, create, now)
                    .map_err(FlagsError::Folder)?;
                match letter {
                    Some(letter) => letters.keywords |= bit(letter),
                    None if create => return Err(FlagsError::NoLetter(keyword.clone())),
                    None => {}
                }
            }
        }
    }
    Ok(letters)
}

/// The flags of a message of `source` in the letters of another folder, given its keywords by name.
pub fn names_of(source: &Folder, flags: Flags) -> Vec<Flag> {
    let mut names = vec![Flag::System(flags.system)];
    for (letter, keyword) in source.keywords() {
        if flags.keywords & bit(letter) != 0 {
            names.push(Flag::Keyword(keyword.clone()));
        }
    }
    names
}

/// The difference as a client asks for it.
pub fn is_set(flags: Flags, wanted: Flags) -> bool {
    flags.system.contains(wanted.system) && flags.keywords & wanted.keywords == wanted.keywords
}

/// What the flags become with others added, or taken away.
pub fn with(flags: Flags, added: Flags) -> Flags {
    Flags {
        system: flags.system | added.system,
        keywords: flags.keywords | added.keywords,
    }
}

pub fn without(flags: Flags, removed: Flags) -> Flags {
    Flags {
        system: System(flags.system.0 & !removed.system.0),
        keywords: flags.keywords & !removed.keywords,
    }
}

fn bit(letter: u32) -> u32 {
    1u32.checked_shl(letter).unwrap_or(0)
}
