//! Flags between the client's names and the Maildir's letters.

use std::time::SystemTime;

use crate::imap::flag::Flag;
use crate::mail::{Flags, Keyword};
use crate::maildir::dovecot::keywords::{LETTERS, Room};
use crate::maildir::folder::{Folder, FolderError};

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

/// What becomes of keywords that a folder does not have yet.  Giving them letters needs its lock.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NewKeywords {
    /// They are left out.
    LeftOut,
    /// All are given letters, or none.
    Made,
    /// They are given letters as far as there are some, but not those in `held`: a message is not refused for a
    /// keyword that it loses (RFC 3501 6.4.7 says SHOULD).
    MadeIfPossible { held: u32 },
}

/// The flags a client named, in the letters of `folder`.
pub fn to_letters(
    folder: &mut Folder,
    flags: &[Flag],
    new: NewKeywords,
    now: SystemTime,
) -> Result<Flags, FlagsError> {
    let mut letters = Flags::default();
    let mut keywords = Vec::new();
    for flag in flags {
        match flag {
            Flag::System(system) => letters.system = letters.system | *system,
            Flag::Recent | Flag::Unknown(_) => return Err(FlagsError::NotForClients),
            Flag::Keyword(keyword) => keywords.push(keyword),
        }
    }
    let given = match new {
        NewKeywords::LeftOut => {
            let known = keywords.iter().map(|name| folder.keyword_letter(name));
            Ok(known.collect())
        }
        NewKeywords::Made => folder.give_letters(&keywords, Room::ForAllOrNone, 0, now),
        NewKeywords::MadeIfPossible { held } => {
            folder.give_letters(&keywords, Room::ForSome, held, now)
        }
    };
    for (letter, keyword) in given.map_err(FlagsError::Folder)?.into_iter().zip(keywords) {
        match letter {
            Some(letter) => letters.keywords |= bit(letter),
            None if new == NewKeywords::Made => {
                return Err(FlagsError::NoLetter(keyword.clone()));
            }
            None => {}
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
    use crate::mail::System;
    use crate::maildir::disk::dir::scratch::Scratch;
    use crate::maildir::{Maildir, Settings};

    fn folder(scratch: &Scratch) -> Folder {
        let maildir = Maildir::new(scratch.path().to_owned(), Settings::default());
        Folder::open(&maildir, scratch.path(), SystemTime::now()).unwrap()
    }

    fn letters_of(
        folder: &mut Folder,
        flags: &[Flag],
        new: NewKeywords,
    ) -> Result<Flags, FlagsError> {
        let now = SystemTime::now();
        assert!(folder.lock(now).unwrap());
        let letters = to_letters(folder, flags, new, now);
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
        letters_of(&mut there, &[keyword("Other")], NewKeywords::Made).unwrap();
        let named = [Flag::System(System::SEEN), keyword("b"), keyword("a")];
        let flags = letters_of(&mut here, &named, NewKeywords::Made).unwrap();
        assert_eq!((flags.system, flags.keywords), (System::SEEN, 0b11));

        let new = NewKeywords::MadeIfPossible { held: 0 };
        let moved = letters_of(&mut there, &names_of(&here, flags), new).unwrap();
        assert_eq!((moved.system, moved.keywords), (System::SEEN, 0b110));
        let names = KeywordNames::new(&there);
        let names = [0, 1, 2, 3, 26].map(|letter| names.get(letter));
        assert_eq!(names, [Some("Other"), Some("b"), Some("a"), None, None]);
    }

    #[test]
    fn a_keyword_without_a_letter_is_made_only_if_that_is_wanted() {
        let scratch = Scratch::new();
        let mut folder = folder(&scratch);
        let flags = letters_of(&mut folder, &[keyword("x")], NewKeywords::LeftOut).unwrap();
        assert_eq!(flags, Flags::default());
        assert_eq!(folder.keywords().count(), 0);
    }

    #[test]
    fn what_finds_no_letter_is_refused_or_left_out() {
        let scratch = Scratch::new();
        let mut folder = folder(&scratch);
        let many: Vec<Flag> = (0..=LETTERS)
            .map(|number| keyword(&format!("k{number}")))
            .collect();
        let refused = letters_of(&mut folder, &many, NewKeywords::Made);
        assert!(matches!(refused, Err(FlagsError::NoLetter(_))));
        assert_eq!(folder.keywords().count(), 0);
        let some = letters_of(&mut folder, &many, NewKeywords::MadeIfPossible { held: 0 });
        assert_eq!(some.unwrap().keywords, (1 << LETTERS) - 1);
        // No message has any of them.
        let held = (1 << LETTERS) - 1 - (1 << 7);
        for (name, expected) in [("x", 1 << 7), ("k3", 1 << 3), ("y", 1 << 7)] {
            let new = NewKeywords::MadeIfPossible { held };
            let letters = letters_of(&mut folder, &[keyword(name)], new).unwrap();
            assert_eq!(letters.keywords, expected, "{name}");
        }
    }

    #[test]
    fn what_a_client_cannot_set_is_refused() {
        assert!(check(&[Flag::System(System::DRAFT), keyword("x")]).is_ok());
        for flag in [Flag::Recent, Flag::Unknown("\\Foo".to_owned())] {
            assert!(matches!(check(&[flag]), Err(FlagsError::NotForClients)));
        }
    }
}
