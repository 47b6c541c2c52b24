//! Flags between the client's names and the Maildir's letters.

use std::time::SystemTime;

use crate::imap::flag::{Flag, Flags, Keyword};
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
    /// One of them is \Recent, or none that this server knows (RFC 9051 2.3.2).
    NotForClients,
    /// All 26 keywords of the mailbox are in use.
    NoLetter(Keyword),
    Folder(FolderError),
}

/// Whether a client may set all of these.
pub fn check(flags: &[Flag]) -> Result<(), FlagsError> {
    let foreign = |flag: &Flag| matches!(flag, Flag::Recent | Flag::Unknown(_));
    if flags.iter().any(foreign) {
        return Err(FlagsError::NotForClients);
    }
    Ok(())
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
            Flag::Recent | Flag::Unknown(_) => return Err(FlagsError::NotForClients),
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

fn bit(letter: u32) -> u32 {
    1u32.checked_shl(letter).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::imap::flag::System;
    use crate::maildir::dir::scratch::Scratch;
    use crate::maildir::{Maildir, Settings};

    fn folder(scratch: &Scratch) -> Folder {
        let maildir = Maildir::new(scratch.path().to_owned(), Settings::default());
        Folder::open(&maildir, scratch.path(), SystemTime::now()).unwrap()
    }

    fn letters_of(folder: &mut Folder, flags: &[Flag], create: bool) -> Result<Flags, FlagsError> {
        let now = SystemTime::now();
        assert!(folder.lock(now).unwrap());
        let letters = to_letters(folder, flags, create, now);
        folder.unlock();
        letters
    }

    fn keyword(name: &str) -> Flag {
        Flag::Keyword(Keyword::new(name).unwrap())
    }

    #[test]
    fn keywords_keep_their_names_from_one_folder_to_another() {
        let (here, there) = (Scratch::new(), Scratch::new());
        let (mut here, mut there) = (folder(&here), folder(&there));
        letters_of(&mut there, &[keyword("Other")], true).unwrap();
        let named = [Flag::System(System::SEEN), keyword("b"), keyword("a")];
        let flags = letters_of(&mut here, &named, true).unwrap();
        assert_eq!((flags.system, flags.keywords), (System::SEEN, 0b11));

        let moved = letters_of(&mut there, &names_of(&here, flags), true).unwrap();
        assert_eq!((moved.system, moved.keywords), (System::SEEN, 0b110));
        let names = KeywordNames::new(&there);
        let names = [0, 1, 2, 3, 26].map(|letter| names.get(letter));
        assert_eq!(names, [Some("Other"), Some("b"), Some("a"), None, None]);
    }

    #[test]
    fn a_keyword_without_a_letter_is_made_only_if_that_is_wanted() {
        let scratch = Scratch::new();
        let mut folder = folder(&scratch);
        let flags = letters_of(&mut folder, &[keyword("x")], false).unwrap();
        assert_eq!(flags, Flags::default());
        assert_eq!(folder.keywords().count(), 0);
    }

    #[test]
    fn the_twenty_seventh_keyword_is_refused() {
        let scratch = Scratch::new();
        let mut folder = folder(&scratch);
        for number in 0..LETTERS {
            let flags = letters_of(&mut folder, &[keyword(&format!("k{number}"))], true);
            assert_eq!(flags.unwrap().keywords, 1 << number);
        }
        let refused = letters_of(&mut folder, &[keyword("more")], true);
        assert!(matches!(refused, Err(FlagsError::NoLetter(_))));
    }

    #[test]
    fn what_a_client_cannot_set_is_refused() {
        assert!(check(&[Flag::System(System::DRAFT), keyword("x")]).is_ok());
        for flag in [Flag::Recent, Flag::Unknown("\\Foo".to_owned())] {
            assert!(matches!(check(&[flag]), Err(FlagsError::NotForClients)));
        }
    }
}
