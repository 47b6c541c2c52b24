//! `dovecot-keywords`: the names of the letters a-z in file names.
//!
//! One line `<number> <name>` for each letter, 0 for `a`; gaps are allowed.  Readers, Dovecot's and
//! ours, look at the file again only when its mtime has changed, and Dovecot's look at its seconds
//! only: so it must grow by a second at every change, if need be ahead of the clock.
//!
//! All changes are made under the folder's uidlist lock.  `dovecot-keywords.lock` is the new file
//! while it is written; one that is found there was left over by a crash.

use std::time::SystemTime;

use crate::mail::Keyword;
use crate::maildir::disk::dir::{
    Access, Dir, DiskError, DiskResult, File, Stat, Target, Time, is_gone,
};
use crate::maildir::disk::lock::Lock;
use crate::maildir::disk::report;
use crate::maildir::disk::text::lines;

/// The file in memory.
#[derive(Clone, Debug, Default)]
pub struct Keywords {
    letters: [Letter; LETTERS],
    /// Names of letters in use that the file does not give, because it cannot be read or written.
    stand_ins: [Option<Keyword>; LETTERS],
    /// The file as it was read or written.
    version: Option<Stat>,
    /// How often a letter got another name.
    changes: u64,
    /// The file cannot be read: what it says is unknown, and it must not be written over.
    unreadable: bool,
}

impl Keywords {
    /// If there is no file, there are no keywords.  A file that cannot be read costs the names, not
    /// the mailbox.
    pub fn read(dir: &Dir) -> Keywords {
        match dir.read(FILE, SIZE_MAX) {
            Ok(Some((bytes, stat))) => Keywords {
                letters: parse(&bytes),
                version: Some(stat),
                ..Keywords::default()
            },
            Ok(None) => Keywords::default(),
            Err(error) => {
                report::without(&error, UNREADABLE);
                Keywords {
                    version: dir.stat_target(FILE).ok().flatten(),
                    unreadable: true,
                    ..Keywords::default()
                }
            }
        }
    }

    /// Reads the file again if it is not the one read before; says whether a name is different now.
    pub fn refresh(&mut self, dir: &Dir) -> bool {
        let on_disk = match dir.stat_target(FILE) {
            Ok(on_disk) => on_disk,
            Err(error) => {
                report::without(&error, UNREADABLE);
                return false;
            }
        };
        let same = match (on_disk, &self.version) {
            // A file that could not be read may be readable now.
            (Some(stat), Some(version)) => {
                stat.is_same_version(version) && stat.ctime == version.ctime
            }
            (stat, version) => stat.is_none() && version.is_none(),
        };
        if same {
            return false;
        }
        let before = std::mem::replace(self, Keywords::read(dir));
        self.stand_ins = before.stand_ins;
        let named = (0..).zip(&self.letters);
        for (number, letter) in named {
            let stand_in: Option<&mut Option<Keyword>> = self.stand_ins.get_mut(number);
            if let (Some(stand_in), true) = (stand_in, *letter != Letter::Free) {
                *stand_in = None;
            }
        }
        let changed = self.letters != before.letters;
        self.changes = before.changes + u64::from(changed);
        changed
    }

    /// Different whenever the names are.
    pub fn changes(&self) -> u64 {
        self.changes
    }

    /// Letters that occur in file names (bit 0 is `a`) and have no name are called
    /// `unknown-<number>` for as long as that cannot be written down; says whether one is new.
    pub fn stand_in(&mut self, used: u32) -> bool {
        let mut changed = false;
        for number in (0..LETTERS).filter(|number| used & 1 << number != 0) {
            let is_free = self.letters.get(number) == Some(&Letter::Free);
            let name = self.unknown(number);
            if let Some(stand_in) = self.stand_ins.get_mut(number)
                && is_free
                && stand_in.is_none()
            {
                *stand_in = Keyword::new(&name);
                changed = true;
            }
        }
        self.changes += u64::from(changed);
        changed
    }

    /// Whether there are letters without a name that clients should see.
    pub fn is_unreadable(&self) -> bool {
        self.unreadable
    }

    /// `unknown-<number>`, as Dovecot has it, unless another letter is called so.
    fn unknown(&self, number: usize) -> String {
        let mut name = format!("unknown-{number}");
        while self.letters.iter().any(|letter| letter.is_called(&name)) {
            name.push('?');
        }
        name
    }

    /// The number (0 is `a`) of a keyword's letter.
    pub fn letter(&self, keyword: &Keyword) -> Option<u32> {
        self.iter()
            .find_map(|(number, name)| (name == keyword).then_some(number))
    }

    /// The name of the letter of this number.
    pub fn name(&self, number: u32) -> Option<&Keyword> {
        let number = number as usize;
        let stand_in = || self.stand_ins.get(number)?.as_ref();
        self.letters.get(number)?.name().or_else(stand_in)
    }

    /// Numbers and names, by number.
    pub fn iter(&self) -> impl Iterator<Item = (u32, &Keyword)> {
        (0..LETTERS as u32).filter_map(|number| Some((number, self.name(number)?)))
    }

    /// Is no letter free any more?
    pub fn is_full(&self) -> bool {
        self.unreadable || !self.letters.contains(&Letter::Free)
    }

    /// The numbers of the letters of keywords, one after the other. One that has none gets the
    /// first free letter, or, when all have names, the first that is not `in_use` (bit 0 is `a`):
    /// its old name goes. `None`: all are in use.  Then nothing is written if all or none are
    /// wanted.
    ///
    /// A free letter must not occur in some file name: see [`Keywords::name_unknown`].
    pub fn add(
        &mut self,
        wanted: &[&Keyword],
        room: Room,
        in_use: &dyn Fn() -> DiskResult<u32>,
        file: &KeywordsFile<'_>,
    ) -> Result<Vec<Option<u32>>, KeywordsError> {
        self.refresh(file.dir);
        if self.unreadable {
            let known = wanted.iter().map(|keyword| self.letter(keyword));
            let known: Vec<_> = known.collect();
            return match room == Room::ForAllOrNone && known.contains(&None) {
                true => Err(self.unread(file.dir).into()),
                false => Ok(known),
            };
        }
        let mut changed = self.letters.clone();
        let mut kept = wanted
            .iter()
            .filter_map(|keyword| self.letter(keyword))
            .fold(0, |kept, number| kept | 1 << number);
        let mut used = None;
        let mut numbers = Vec::with_capacity(wanted.len());
        for keyword in wanted {
            let is_its = |letter: &Letter| letter.name() == Some(keyword);
            let mut found = changed.iter().position(is_its);
            let is_free = |(letter, stand_in): (&Letter, &Option<Keyword>)| {
                *letter == Letter::Free && stand_in.as_ref().is_none_or(|name| name == *keyword)
            };
            let mut free = changed.iter().zip(&self.stand_ins);
            found = found.or_else(|| free.position(is_free));
            if found.is_none() {
                let used = match used {
                    Some(used) => used,
                    None => *used.insert(in_use()?),
                };
                found = (0..LETTERS).find(|number| (used | kept) & 1 << number == 0);
            }
            let number = found.and_then(|number| u32::try_from(number).ok());
            if let Some(letter) = found.and_then(|number| changed.get_mut(number))
                && !is_its(letter)
            {
                *letter = Letter::Named((*keyword).clone());
            }
            kept |= number.map_or(0, |number| 1 << number);
            numbers.push(number);
        }
        let fits = room == Room::ForSome || !numbers.contains(&None);
        if fits && changed != self.letters {
            self.write(changed, file)?;
        }
        Ok(numbers)
    }

    /// Gives letters that occur in file names (bit 0 is `a`) but have no name the name
    /// `unknown-<number>`, as Dovecot does.  False: they all have one.
    pub fn name_unknown(
        &mut self,
        used: u32,
        file: &KeywordsFile<'_>,
    ) -> Result<bool, KeywordsError> {
        self.refresh(file.dir);
        if self.unreadable {
            return Err(self.unread(file.dir).into());
        }
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
        self.write(changed, file)?;
        Ok(true)
    }

    /// The error if nothing is written, so that names that we do not know are not lost.
    fn unread(&self, dir: &Dir) -> DiskError {
        let before = || dir.failure("read", FILE, std::io::Error::other("it was unreadable"));
        dir.read(FILE, SIZE_MAX).err().unwrap_or_else(before)
    }

    fn write(
        &mut self,
        letters: [Letter; LETTERS],
        file: &KeywordsFile<'_>,
    ) -> Result<(), KeywordsError> {
        let KeywordsFile {
            dir,
            lock,
            access,
            now,
        } = *file;
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
                    stand_ins: self.stand_ins.clone(),
                    changes: self.changes + 1,
                    unreadable: false,
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

/// Where the file is, and what it takes to write it.
#[derive(Clone, Copy, Debug)]
pub struct KeywordsFile<'a> {
    pub dir: &'a Dir,
    /// The folder's.
    pub lock: &'a Lock,
    pub access: &'a Access,
    pub now: SystemTime,
}

/// What becomes of several keywords if there are not letters for all.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Room {
    /// None gets one.
    ForAllOrNone,
    /// Some do.
    ForSome,
}

/// Why no letter was given.
#[derive(Debug)]
pub enum KeywordsError {
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

/// Wrong lines are skipped.  Of two lines for a letter the later counts, as in Dovecot.
fn parse(bytes: &[u8]) -> [Letter; LETTERS] {
    let mut letters: [Letter; LETTERS] = Default::default();
    for line in lines(bytes) {
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
const UNREADABLE: &str = "keywords are shown as unknown-0 to unknown-25, and new ones are refused";
const LOCK: &[u8] = b"dovecot-keywords.lock";
/// 26 keywords of the longest kind that Dovecot can be made to allow have room many times.
const SIZE_MAX: usize = 256 * 1024;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::maildir::disk::dir::fault;
    use crate::maildir::disk::dir::scratch::Scratch;
    use crate::maildir::disk::lock::Dotlock;
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

    /// The letter of one keyword, where no file name has any.
    fn add(scratch: &Scratch, keywords: &mut Keywords, name: &str) -> Result<u32, KeywordsError> {
        let lock = lock(scratch);
        let added = keywords.add(
            &[&keyword(name)],
            Room::ForSome,
            &|| Ok(u32::MAX),
            &file(scratch, &lock),
        );
        added.map(|numbers| numbers[0].unwrap())
    }

    fn file<'a>(scratch: &'a Scratch, lock: &'a Lock) -> KeywordsFile<'a> {
        KeywordsFile {
            dir: &scratch.dir,
            lock,
            access: &Access::PRIVATE,
            now: SystemTime::now(),
        }
    }

    /// `k0` to `k25`.
    fn full(scratch: &Scratch) -> Keywords {
        let lines: String = (0..26)
            .map(|number| format!("{number} k{number}\n"))
            .collect();
        scratch.write("dovecot-keywords", &lines);
        Keywords::read(&scratch.dir)
    }

    /// The letters that several keywords get when file names have those in `in_use`.
    fn add_several(
        scratch: &Scratch,
        keywords: &mut Keywords,
        names: &[&str],
        room: Room,
        in_use: u32,
    ) -> Vec<Option<u32>> {
        let lock = lock(scratch);
        let wanted: Vec<Keyword> = names.iter().map(|name| keyword(name)).collect();
        let wanted: Vec<&Keyword> = wanted.iter().collect();
        let file = file(scratch, &lock);
        keywords.add(&wanted, room, &|| Ok(in_use), &file).unwrap()
    }

    #[test]
    fn names_are_read_with_gaps_and_found_without_case() {
        let scratch = Scratch::new();
        scratch.write(
            "dovecot-keywords",
            "0 $Forwarded\n3 Junk\nx\n99 no\n4\n5 \n",
        );
        let keywords = Keywords::read(&scratch.dir);
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
    fn the_27th_keyword_gets_a_letter_that_no_message_has() {
        let scratch = Scratch::new();
        let mut keywords = full(&scratch);
        assert!(keywords.is_full());
        let all_but = |numbers: &[u32]| {
            numbers
                .iter()
                .fold((1 << 26) - 1, |used, n| used & !(1 << n))
        };
        let before = keywords.changes();
        let none = add_several(&scratch, &mut keywords, &["x"], Room::ForSome, all_but(&[]));
        assert_eq!((none, keywords.changes()), (vec![None], before));
        let used = all_but(&[3, 20]);
        let names = ["x", "K3", "y", "X", "z"];
        let given = add_several(&scratch, &mut keywords, &names, Room::ForSome, used);
        // k3 is asked for itself.
        assert_eq!(given, [Some(20), Some(3), None, Some(20), None]);
        assert_eq!(keywords.letter(&keyword("k20")), None);
        assert_eq!(keywords.letter(&keyword("k19")), Some(19));
        assert_ne!(keywords.changes(), before);
        let text = scratch.read("dovecot-keywords").unwrap();
        assert!(
            text.contains("\n20 x\n") && text.contains("\n3 k3\n"),
            "{text}"
        );
    }

    #[test]
    fn where_not_all_find_room_none_need_get_a_letter() {
        let scratch = Scratch::new();
        scratch.write("dovecot-keywords", "0 a\n");
        let mut keywords = Keywords::read(&scratch.dir);
        let names: Vec<String> = (0..26).map(|number| format!("k{number}")).collect();
        let names: Vec<&str> = names.iter().map(String::as_str).collect();
        let refused = add_several(&scratch, &mut keywords, &names, Room::ForAllOrNone, 1);
        assert_eq!(refused.iter().flatten().count(), 25);
        assert_eq!(scratch.read("dovecot-keywords").unwrap(), "0 a\n");
        assert_eq!(keywords.iter().count(), 1);
        let given = add_several(&scratch, &mut keywords, &names[1..], Room::ForAllOrNone, 1);
        assert!(given.iter().all(Option::is_some) && keywords.is_full());
    }

    #[test]
    fn letters_without_a_name_get_one_that_is_not_taken() {
        let scratch = Scratch::new();
        scratch.write("dovecot-keywords", "0 Unknown-25\n1 b\n");
        let mut keywords = Keywords::default();
        let lock = lock(&scratch);
        let mut name = |letters: u32| {
            keywords
                .name_unknown(letters, &file(&scratch, &lock))
                .unwrap()
        };
        assert!(!name(0b11));
        assert!(name(1 << 25 | 0b110));
        let text = scratch.read("dovecot-keywords").unwrap();
        assert_eq!(text, "0 Unknown-25\n1 b\n2 unknown-2\n25 unknown-25?\n");
    }

    #[test]
    fn a_file_that_cannot_be_read_costs_the_names_and_is_not_written_over() {
        for damage in ["directory", "fifo", "huge"] {
            let scratch = Scratch::new();
            let path = scratch.path().join("dovecot-keywords");
            match damage {
                "directory" => std::fs::create_dir(&path).unwrap(),
                "fifo" => nix::unistd::mkfifo(&path, nix::sys::stat::Mode::S_IRWXU).unwrap(),
                _ => scratch.write("dovecot-keywords", vec![b'x'; SIZE_MAX + 1]),
            }
            let mut keywords = Keywords::read(&scratch.dir);
            assert!(keywords.is_unreadable(), "{damage}");
            assert!(keywords.stand_in(0b101), "{damage}");
            assert!(!keywords.stand_in(0b101), "{damage}");
            assert!(!keywords.refresh(&scratch.dir), "{damage}");
            assert_eq!(keywords.name(0), Some(&keyword("unknown-0")));
            assert_eq!(keywords.iter().count(), 2, "{damage}");
            assert_eq!(keywords.letter(&keyword("unknown-2")), Some(2));
            let lock = lock(&scratch);
            for (room, refused) in [(Room::ForAllOrNone, true), (Room::ForSome, false)] {
                let file = file(&scratch, &lock);
                let added = keywords.add(&[&keyword("new")], room, &|| Ok(0), &file);
                match refused {
                    true => assert!(matches!(added, Err(KeywordsError::Io(_))), "{damage}"),
                    false => assert_eq!(added.unwrap(), [None], "{damage}"),
                }
            }
            drop(lock);
            assert_eq!(scratch.names(), ["dovecot-keywords"], "{damage}");
        }
    }

    #[test]
    fn a_carriage_return_is_no_part_of_a_name() {
        let scratch = Scratch::new();
        scratch.write("dovecot-keywords", "0 Work\r\n1 Home\r\n");
        let mut keywords = Keywords::read(&scratch.dir);
        assert_eq!(keywords.letter(&keyword("work")), Some(0));
        assert_eq!(add(&scratch, &mut keywords, "Garden").unwrap(), 2);
        let text = scratch.read("dovecot-keywords").unwrap();
        assert_eq!(text, "0 Work\n1 Home\n2 Garden\n");
    }

    #[test]
    fn a_change_by_another_program_is_seen_by_its_mtime() {
        let scratch = Scratch::new();
        scratch.write("dovecot-keywords", "0 a\n");
        let mut keywords = Keywords::read(&scratch.dir);
        assert!(!keywords.refresh(&scratch.dir));
        scratch.write("dovecot-keywords", "0 b\n");
        let later = SystemTime::now() + Duration::from_secs(1);
        scratch.dir.set_mtime(FILE, later.into()).unwrap();
        assert!(keywords.refresh(&scratch.dir));
        assert_eq!(keywords.name(0), Some(&keyword("b")));
        scratch.dir.unlink(FILE).unwrap();
        assert!(keywords.refresh(&scratch.dir));
        assert_eq!(keywords.iter().count(), 0);
    }

    #[test]
    fn without_the_folders_lock_nothing_is_written() {
        let scratch = Scratch::new();
        let lock = lock(&scratch);
        scratch.dir.unlink(b"dovecot-uidlist.lock").unwrap();
        let added = Keywords::default().add(
            &[&keyword("a")],
            Room::ForSome,
            &|| Ok(0),
            &file(&scratch, &lock),
        );
        assert!(matches!(added, Err(KeywordsError::LockLost)));
        assert!(scratch.names().is_empty());
    }

    #[test]
    fn wherever_a_change_breaks_off_no_letter_changes_its_meaning() {
        for plan in [fault::die_at as fn(usize), |n| fault::fail_at(n, 28)] {
            for n in 1..20 {
                let scratch = Scratch::new();
                scratch.write("dovecot-keywords", "0 a\n2 c\n");
                let lock = lock(&scratch);
                let mut keywords = Keywords::read(&scratch.dir);
                let mut add = |name| {
                    let file = file(&scratch, &lock);
                    keywords.add(&[&keyword(name)], Room::ForSome, &|| Ok(0), &file)
                };
                plan(n);
                let added = add("b").is_ok();
                fault::clear();
                let text = scratch.read("dovecot-keywords").unwrap();
                assert!(
                    text == "0 a\n1 b\n2 c\n" || !added && text == "0 a\n2 c\n",
                    "call {n}"
                );
                assert_eq!(add("b").unwrap(), [Some(1)], "call {n}");
                assert_eq!(add("d").unwrap(), [Some(3)], "call {n}");
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
