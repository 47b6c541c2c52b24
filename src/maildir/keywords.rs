//! `dovecot-keywords`: the names of the letters a-z in file names.
//!
//! One line `<number> <name>` for each letter, 0 for `a`; gaps are allowed.  Readers, Dovecot's and ours,
//! look at the file again only when its mtime has changed, and Dovecot's look at its seconds only:
//! so it must grow by a second at every change, if need be ahead of the clock.
//!
//! All changes are made under the folder's uidlist lock.  `dovecot-keywords.lock` is the new file while it is
//! written; one that is found there was left over by a crash.

use std::time::SystemTime;

use super::dir::{Access, Dir, DiskError, DiskResult, File, Stat, Target, Time, is_gone};
use super::lock::Lock;
use crate::imap::flag::Keyword;

/// The file in memory.
#[derive(Clone, Debug, Default)]
pub struct Keywords {
    letters: [Letter; LETTERS],
    /// The file as it was read or written.
    version: Option<Stat>,
}

impl Keywords {
    /// No file is a file without keywords.
    pub fn read(dir: &Dir) -> DiskResult<Keywords> {
        let Some((bytes, stat)) = dir.read(FILE, SIZE_MAX)? else {
            return Ok(Keywords::default());
        };
        Ok(Keywords {
            letters: parse(&bytes),
            version: Some(stat),
        })
    }

    /// Reads the file again if it is not the one read before; says whether a name is different now.
    pub fn refresh(&mut self, dir: &Dir) -> DiskResult<bool> {
        let same = match (dir.stat_target(FILE)?, &self.version) {
            (Some(stat), Some(version)) => stat.is_same_version(version),
            (stat, version) => stat.is_none() && version.is_none(),
        };
        if same {
            return Ok(false);
        }
        let before = std::mem::replace(self, Keywords::read(dir)?);
        Ok(self.letters != before.letters)
    }

    /// The number (0 is `a`) of a keyword's letter.
    pub fn letter(&self, keyword: &Keyword) -> Option<u32> {
        self.iter()
            .find_map(|(number, name)| (name == keyword).then_some(number))
    }

    /// The name of the letter of this number.
    pub fn name(&self, number: u32) -> Option<&Keyword> {
        self.letters.get(number as usize)?.name()
    }

    /// Numbers and names, by number.
    pub fn iter(&self) -> impl Iterator<Item = (u32, &Keyword)> {
        let numbered = (0..).zip(&self.letters);
        numbered.filter_map(|(number, letter)| Some((number, letter.name()?)))
    }

    /// Is no letter free any more?
    pub fn is_full(&self) -> bool {
        !self.letters.contains(&Letter::Free)
    }

    /// The number of a keyword's letter, the first free one if it had none.
    ///
    /// That letter must not be in use without a name in some file name: see [`Keywords::name_unknown`].
    pub fn add(
        &mut self,
        dir: &Dir,
        lock: &Lock,
        keyword: &Keyword,
        access: &Access,
        now: SystemTime,
    ) -> Result<u32, KeywordsError> {
        self.refresh(dir)?;
        if let Some(number) = self.letter(keyword) {
            return Ok(number);
        }
        let mut changed = self.letters.clone();
        let mut numbered = (0..).zip(&mut changed);
        let (number, free) = numbered
            .find(|(_, letter)| **letter == Letter::Free)
            .ok_or(KeywordsError::Full)?;
        *free = Letter::Named(keyword.clone());
        self.write(dir, lock, changed, access, now)?;
        Ok(number)
    }

    /// Gives letters that occur in file names (bit 0 is `a`) but have no name the name `unknown-<number>`,
    /// as Dovecot does.  False: they all have one.
    pub fn name_unknown(
        &mut self,
        dir: &Dir,
        lock: &Lock,
        used: u32,
        access: &Access,
        now: SystemTime,
    ) -> Result<bool, KeywordsError> {
        self.refresh(dir)?;
        let mut changed = self.letters.clone();
        for number in (0..LETTERS).filter(|number| used & 1 << number != 0) {
            let mut name = format!("unknown-{number}");
            while changed.iter().any(|letter| letter.is_called(&name)) {
                name.push('?');
            }
            match changed.get_mut(number) {
                Some(letter) if *letter == Letter::Free => *letter = Letter::of(name.as_bytes()),
                _ => (),
            }
        }
        if changed == self.letters {
            return Ok(false);
        }
        self.write(dir, lock, changed, access, now)?;
        Ok(true)
    }

    fn write(
        &mut self,
        dir: &Dir,
        lock: &Lock,
        letters: [Letter; LETTERS],
        access: &Access,
        now: SystemTime,
    ) -> Result<(), KeywordsError> {
        if !lock.is_ours()? {
            return Err(KeywordsError::LockLost);
        }
        match dir.unlink(LOCK) {
            Err(error) if !is_gone(&error) => return Err(error.into()),
            _ => (),
        }
        let file = dir.create_new(LOCK, access)?;
        let written = self.fill(file, &letters, now).and_then(|stat| {
            dir.rename(LOCK, dir, FILE, Target::Replace)?;
            Ok(stat)
        });
        match written {
            Ok(stat) => {
                *self = Keywords {
                    letters,
                    version: Some(stat),
                };
                Ok(dir.sync()?)
            }
            Err(error) => {
                let _ = dir.unlink(LOCK);
                Err(error.into())
            }
        }
    }

    fn fill(
        &self,
        mut file: File,
        letters: &[Letter; LETTERS],
        now: SystemTime,
    ) -> DiskResult<Stat> {
        file.write_all(&format(letters))?;
        let now = Time::from(now);
        let before = self
            .version
            .map_or(i64::MIN, |version| version.mtime.seconds);
        if now.seconds <= before {
            file.set_mtime(Time {
                seconds: before.saturating_add(1),
                nanoseconds: 0,
            })?;
        } else {
            // Not the file system's own clock, which may be behind.
            file.set_mtime(now)?;
        }
        file.sync()?;
        file.stat()
    }
}

/// Why no letter was given.
#[derive(Debug)]
pub enum KeywordsError {
    /// All 26 letters are taken: the keyword cannot be kept in this folder.
    Full,
    /// The folder's lock was taken from us: lock it again and try again.
    LockLost,
    Io(DiskError),
}

impl From<DiskError> for KeywordsError {
    fn from(error: DiskError) -> KeywordsError {
        KeywordsError::Io(error)
    }
}

#[derive(Clone, Debug, Default, PartialEq, Eq)]
enum Letter {
    #[default]
    Free,
    Named(Keyword),
    /// It has a name that IMAP cannot say; we keep it and do not show it.
    Unspeakable(Vec<u8>),
}

impl Letter {
    fn of(name: &[u8]) -> Letter {
        let keyword = std::str::from_utf8(name).ok().and_then(Keyword::new);
        keyword.map_or_else(|| Letter::Unspeakable(name.to_vec()), Letter::Named)
    }

    fn name(&self) -> Option<&Keyword> {
        match self {
            Letter::Named(keyword) => Some(keyword),
            _ => None,
        }
    }

    fn bytes(&self) -> &[u8] {
        match self {
            Letter::Free => b"",
            Letter::Named(keyword) => keyword.as_str().as_bytes(),
            Letter::Unspeakable(name) => name,
        }
    }

    fn is_called(&self, name: &str) -> bool {
        self.bytes().eq_ignore_ascii_case(name.as_bytes())
    }
}

/// Lines that are none are passed over; of two lines for a letter the later counts, as in Dovecot.
fn parse(bytes: &[u8]) -> [Letter; LETTERS] {
    let mut letters: [Letter; LETTERS] = Default::default();
    for line in bytes.split(|&byte| byte == b'\n') {
        let mut parts = line.splitn(2, |&byte| byte == b' ');
        let number = parts
            .next()
            .and_then(|number| std::str::from_utf8(number).ok());
        let number = number.and_then(|number| number.parse::<usize>().ok());
        if let (Some(number), Some(name)) = (number, parts.next())
            && let Some(letter) = letters.get_mut(number)
            && !name.is_empty()
        {
            *letter = Letter::of(name);
        }
    }
    letters
}

fn format(letters: &[Letter; LETTERS]) -> Vec<u8> {
    let mut text = Vec::new();
    for (number, letter) in letters.iter().enumerate() {
        if *letter != Letter::Free {
            text.extend_from_slice(format!("{number} ").as_bytes());
            text.extend_from_slice(letter.bytes());
            text.push(b'\n');
        }
    }
    text
}

/// `a` to `z`.
pub const LETTERS: usize = 26;
const FILE: &[u8] = b"dovecot-keywords";
const LOCK: &[u8] = b"dovecot-keywords.lock";
/// 26 keywords of the longest kind that Dovecot can be made to allow have room many times.
const SIZE_MAX: usize = 256 * 1024;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::maildir::dir::fault;
    use crate::maildir::dir::scratch::Scratch;
    use crate::maildir::lock::Dotlock;
    use proptest::prelude::*;
    use std::time::Duration;

    fn keyword(name: &str) -> Keyword {
        Keyword::new(name).unwrap()
    }

    fn lock(scratch: &Scratch) -> Lock {
        let mut dotlock = Dotlock::of_uidlist(scratch.dir.clone());
        let lock = dotlock.try_lock(&Access::PRIVATE, SystemTime::now());
        lock.unwrap().unwrap()
    }

    fn add(scratch: &Scratch, keywords: &mut Keywords, name: &str) -> Result<u32, KeywordsError> {
        let (lock, now) = (lock(scratch), SystemTime::now());
        keywords.add(&scratch.dir, &lock, &keyword(name), &Access::PRIVATE, now)
    }

    #[test]
    fn names_are_read_with_gaps_and_found_without_case() {
        let scratch = Scratch::new();
        scratch.write(
            "dovecot-keywords",
            "0 $Forwarded\n3 Junk\nx\n99 no\n4\n5 \n",
        );
        let keywords = Keywords::read(&scratch.dir).unwrap();
        assert_eq!(keywords.letter(&keyword("$FORWARDED")), Some(0));
        assert_eq!(keywords.letter(&keyword("junk")), Some(3));
        assert_eq!(keywords.name(1), None);
        assert_eq!(keywords.iter().count(), 2);
    }

    #[test]
    fn a_new_keyword_takes_the_first_free_letter_and_what_cannot_be_shown_stays() {
        let scratch = Scratch::new();
        scratch.write("dovecot-keywords", "0 a\n1 caf\u{e9}(\n3 b");
        scratch.write("dovecot-keywords.lock", "left over");
        let mut keywords = Keywords::default();
        assert_eq!(add(&scratch, &mut keywords, "new").unwrap(), 2);
        assert_eq!(add(&scratch, &mut keywords, "B").unwrap(), 3);
        let text = scratch.read("dovecot-keywords").unwrap();
        assert_eq!(text, "0 a\n1 caf\u{e9}(\n2 new\n3 b\n");
        assert_eq!(scratch.names(), ["dovecot-keywords"]);
    }

    #[test]
    fn the_seconds_of_the_mtime_grow_at_every_change() {
        let scratch = Scratch::new();
        let mut keywords = Keywords::default();
        let mut last = 0;
        for number in 0..5 {
            add(&scratch, &mut keywords, &format!("k{number}")).unwrap();
            let stat = scratch.dir.stat(b"dovecot-keywords").unwrap().unwrap();
            assert!(stat.mtime.seconds > last);
            last = stat.mtime.seconds;
        }
    }

    #[test]
    fn the_27th_keyword_finds_no_letter() {
        let scratch = Scratch::new();
        let mut keywords = Keywords::default();
        for number in 0..26 {
            assert_eq!(
                add(&scratch, &mut keywords, &format!("k{number}")).unwrap(),
                number
            );
        }
        assert!(keywords.is_full());
        assert!(matches!(
            add(&scratch, &mut keywords, "k26"),
            Err(KeywordsError::Full)
        ));
        assert_eq!(add(&scratch, &mut keywords, "K7").unwrap(), 7);
    }

    #[test]
    fn letters_without_a_name_get_one_that_is_not_taken() {
        let scratch = Scratch::new();
        scratch.write("dovecot-keywords", "0 Unknown-25\n1 b\n");
        let mut keywords = Keywords::default();
        let (lock, now) = (lock(&scratch), SystemTime::now());
        let mut name = |letters: u32| {
            let named = keywords.name_unknown(&scratch.dir, &lock, letters, &Access::PRIVATE, now);
            named.unwrap()
        };
        assert!(!name(0b11));
        assert!(name(1 << 25 | 0b110));
        let text = scratch.read("dovecot-keywords").unwrap();
        assert_eq!(text, "0 Unknown-25\n1 b\n2 unknown-2\n25 unknown-25?\n");
    }

    #[test]
    fn a_change_by_another_program_is_seen_by_its_mtime() {
        let scratch = Scratch::new();
        scratch.write("dovecot-keywords", "0 a\n");
        let mut keywords = Keywords::read(&scratch.dir).unwrap();
        assert!(!keywords.refresh(&scratch.dir).unwrap());
        scratch.write("dovecot-keywords", "0 b\n");
        let later = SystemTime::now() + Duration::from_secs(1);
        scratch.dir.set_mtime(FILE, later.into()).unwrap();
        assert!(keywords.refresh(&scratch.dir).unwrap());
        assert_eq!(keywords.name(0), Some(&keyword("b")));
        scratch.dir.unlink(FILE).unwrap();
        assert!(keywords.refresh(&scratch.dir).unwrap());
        assert_eq!(keywords.iter().count(), 0);
    }

    #[test]
    fn without_the_folders_lock_nothing_is_written() {
        let scratch = Scratch::new();
        let lock = lock(&scratch);
        scratch.dir.unlink(b"dovecot-uidlist.lock").unwrap();
        let now = SystemTime::now();
        let added =
            Keywords::default().add(&scratch.dir, &lock, &keyword("a"), &Access::PRIVATE, now);
        assert!(matches!(added, Err(KeywordsError::LockLost)));
        assert!(scratch.names().is_empty());
    }

    #[test]
    fn wherever_a_change_breaks_off_no_letter_changes_its_meaning() {
        for plan in [fault::die_at as fn(usize), |n| fault::fail_at(n, 28)] {
            for n in 1..20 {
                let scratch = Scratch::new();
                scratch.write("dovecot-keywords", "0 a\n2 c\n");
                let (lock, now) = (lock(&scratch), SystemTime::now());
                let mut keywords = Keywords::read(&scratch.dir).unwrap();
                let mut add =
                    |name| keywords.add(&scratch.dir, &lock, &keyword(name), &Access::PRIVATE, now);
                plan(n);
                let added = add("b").is_ok();
                fault::clear();
                let text = scratch.read("dovecot-keywords").unwrap();
                assert!(
                    text == "0 a\n1 b\n2 c\n" || !added && text == "0 a\n2 c\n",
                    "call {n}"
                );
                assert_eq!(add("b").unwrap(), 1, "call {n}");
                assert_eq!(add("d").unwrap(), 3, "call {n}");
            }
        }
    }

    proptest! {
        #[test]
        fn any_file_is_read_and_written_again_the_same(
            bytes in prop::collection::vec(prop_oneof![any::<u8>(), Just(b'\n'), Just(b' '), b'0'..=b'9'], 0..200)
        ) {
            let letters = parse(&bytes);
            prop_assert_eq!(parse(&format(&letters)), letters);
        }
    }
}
