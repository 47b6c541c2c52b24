//! Flags between their names and the letters that a folder has for them.

use std::time::SystemTime;

use crate::mail::{Flags, Keyword, NamedFlags};
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
    /// All 26 keywords of the mailbox are in use.
    NoLetter(Keyword),
    Folder(FolderError),
}

/// What becomes of keywords that a folder does not have yet.  Giving them letters needs its lock.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NewKeywords {
    /// They are left out.
    LeftOut,
    /// All are given letters, or none.
    Made,
    /// They are given letters as far as there are some, but not those in `held`: a message is not
    /// refused for a keyword that it loses (RFC 3501 6.4.7 says SHOULD).
    MadeIfPossible { held: u32 },
}

/// The flags in the letters of `folder`.
pub fn to_letters(
    folder: &mut Folder,
    named: &NamedFlags,
    new: NewKeywords,
    now: SystemTime,
) -> Result<Flags, FlagsError> {
    let keywords: Vec<&Keyword> = named.keywords.iter().collect();
    let mut letters = Flags::from(named.system);
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

/// The names of flags that a message of `source` has.
pub fn names_of(source: &Folder, flags: Flags) -> NamedFlags {
    let set = |&(letter, _): &(u32, _)| flags.keywords & bit(letter) != 0;
    NamedFlags {
        system: flags.system,
        keywords: source
            .keywords()
            .filter(set)
            .map(|(_, keyword)| keyword.clone())
            .collect(),
    }
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
        named: &NamedFlags,
        new: NewKeywords,
    ) -> Result<Flags, FlagsError> {
        let now = SystemTime::now();
        assert!(folder.lock(now).unwrap());
        let letters = to_letters(folder, named, new, now);
        folder.unlock();
        letters
    }

    fn keywords<N: AsRef<str>>(names: &[N]) -> NamedFlags {
        NamedFlags {
            system: System::default(),
            keywords: names
                .iter()
                .map(|name| Keyword::new(name.as_ref()).unwrap())
                .collect(),
        }
    }

    #[test]
    fn keywords_keep_their_names_from_one_folder_to_another() {
        let (here, there) = (Scratch::new(), Scratch::new());
        let (mut here, mut there) = (folder(&here), folder(&there));
        letters_of(&mut there, &keywords(&["Other"]), NewKeywords::Made).unwrap();
        let named = NamedFlags {
            system: System::SEEN,
            ..keywords(&["b", "a"])
        };
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
        let flags = letters_of(&mut folder, &keywords(&["x"]), NewKeywords::LeftOut).unwrap();
        assert_eq!(flags, Flags::default());
        assert_eq!(folder.keywords().count(), 0);
    }

    #[test]
    fn what_finds_no_letter_is_refused_or_left_out() {
        let scratch = Scratch::new();
        let mut folder = folder(&scratch);
        let many: Vec<String> = (0..=LETTERS).map(|number| format!("k{number}")).collect();
        let many = keywords(&many);
        let refused = letters_of(&mut folder, &many, NewKeywords::Made);
        assert!(matches!(refused, Err(FlagsError::NoLetter(_))));
        assert_eq!(folder.keywords().count(), 0);
        let some = letters_of(&mut folder, &many, NewKeywords::MadeIfPossible { held: 0 });
        assert_eq!(some.unwrap().keywords, (1 << LETTERS) - 1);
        // No message has any of them.
        let held = (1 << LETTERS) - 1 - (1 << 7);
        for (name, expected) in [("x", 1 << 7), ("k3", 1 << 3), ("y", 1 << 7)] {
            let new = NewKeywords::MadeIfPossible { held };
            let letters = letters_of(&mut folder, &keywords(&[name]), new).unwrap();
            assert_eq!(letters.keywords, expected, "{name}");
        }
    }
}
