//! `subscriptions`: the mailboxes a user has subscribed to.
//!
//! Version 2 begins with `V`, TAB, `2` and an empty line; its lines have the levels of a name
//! separated by TAB, each with Dovecot's TAB escapes.  Version 1 has no such beginning; its lines
//! have the levels joined by the separator of the folders' names.  Levels are written as in these
//! names, in modified UTF-7 or UTF-8; one that is no modified UTF-7, such as a raw `&` of an older
//! server or of somebody's editor, stands for itself.  The version that a file has it keeps; a new
//! file gets version 2.
//!
//! The new file is written into `subscriptions.lock` and renamed over the old one.

use std::borrow::Cow;
use std::collections::HashSet;
use std::time::{Duration, SystemTime};

use crate::mail::{MailboxName, Naming, utf7};
use crate::maildir::disk::dir::{Access, Dir, DiskResult, Stat};
use crate::maildir::disk::lock::Dotlock;
use crate::maildir::disk::report;
use crate::maildir::disk::text::lines;

/// The file in memory.
#[derive(Debug)]
pub struct Subscriptions {
    lock: Dotlock,
    naming: Naming,
    version: Version,
    lines: Vec<Line>,
    names: HashSet<MailboxName>,
    /// The file as it was read.
    stat: Option<Stat>,
    /// The file cannot be read, so its contents are unknown, and it must not be overwritten.
    unreadable: bool,
}

impl Subscriptions {
    /// Reads the file in the root's control directory.  Names are written as those of folders are.
    /// A file that cannot be read says that nothing is subscribed.
    pub fn read(root: &Dir, naming: Naming) -> Subscriptions {
        let mut subscriptions = Subscriptions {
            lock: Dotlock::new(root.clone(), FILE, STALE),
            naming,
            version: Version::Two,
            lines: Vec::new(),
            names: HashSet::new(),
            stat: None,
            unreadable: false,
        };
        subscriptions.read_again(root);
        subscriptions
    }

    /// Reads the file again if it is not the one read before; says whether it did.
    pub fn refresh(&mut self, root: &Dir) -> bool {
        let same = match (root.stat_target(FILE), &self.stat) {
            (Ok(Some(found)), Some(stat)) => found == *stat,
            (Ok(found), stat) => found.is_none() && stat.is_none() && !self.unreadable,
            (Err(_), _) => false,
        };
        if !same {
            self.read_again(root);
        }
        !same
    }

    pub fn contains(&self, name: &MailboxName) -> bool {
        self.names.contains(name)
    }

    /// The names in the order of the file.
    pub fn iter(&self) -> impl Iterator<Item = &MailboxName> {
        self.lines.iter().filter_map(|line| line.name.as_ref())
    }

    /// Subscribes or unsubscribes a name, whether or not there is such a mailbox (RFC 3501 6.3.6),
    /// and says if that changed anything.  `None`: another program has the lock, try again.
    pub fn set(
        &mut self,
        root: &Dir,
        access: &Access,
        name: &MailboxName,
        subscribed: bool,
        now: SystemTime,
    ) -> DiskResult<Option<bool>> {
        self.refresh(root);
        if self.unreadable {
            root.read(FILE, SIZE_MAX)?;
        }
        if self.contains(name) == subscribed {
            return Ok(Some(false));
        }
        let Some((lock, mut file)) = self.lock.try_create(access, now)? else {
            return Ok(None);
        };
        self.refresh(root);
        if self.contains(name) == subscribed {
            return Ok(Some(false));
        }
        let mut text = self.version.header().to_vec();
        let kept = |line: &&Line| subscribed || line.name.as_ref() != Some(name);
        for line in self.lines.iter().filter(kept) {
            text.extend_from_slice(&line.text);
            text.push(b'\n');
        }
        if subscribed {
            text.extend_from_slice(&self.version.format(name, self.naming));
            text.push(b'\n');
        }
        file.write_all(&text)?;
        file.sync()?;
        lock.install()?;
        self.take_in(&text);
        self.stat = root.stat_target(FILE)?;
        root.sync()?;
        Ok(Some(true))
    }

    fn read_again(&mut self, root: &Dir) {
        let read = root.read(FILE, SIZE_MAX);
        self.unreadable = read.is_err();
        let (text, stat) = match read {
            Ok(Some((text, stat))) => (text, Some(stat)),
            Ok(None) => (Version::Two.header().to_vec(), None),
            Err(error) => {
                report::without(&error, "no mailbox is shown as subscribed");
                let stat = root.stat_target(FILE).ok().flatten();
                (Version::Two.header().to_vec(), stat)
            }
        };
        self.take_in(&text);
        self.stat = stat;
    }

    fn take_in(&mut self, text: &[u8]) {
        let headers = [Version::Two.header(), HEADER_CRLF];
        let rest = headers.iter().find_map(|header| text.strip_prefix(*header));
        let (version, text) = match rest {
            Some(rest) => (Version::Two, rest),
            None => (Version::One, text),
        };
        self.version = version;
        self.names.clear();
        self.lines.clear();
        for line in lines(text) {
            let name = version.parse(line, self.naming);
            let new = name
                .as_ref()
                .is_none_or(|name| self.names.insert(name.clone()));
            if !line.is_empty() && new {
                let text = line.to_vec();
                self.lines.push(Line { text, name });
            }
        }
    }
}

#[derive(Clone, Debug)]
struct Line {
    text: Vec<u8>,
    /// `None`: no name that we could give a mailbox; the line is kept.
    name: Option<MailboxName>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Version {
    One,
    Two,
}

impl Version {
    fn header(self) -> &'static [u8] {
        match self {
            Version::One => b"",
            Version::Two => b"V\t2\n\n",
        }
    }

    fn parse(self, line: &[u8], naming: Naming) -> Option<MailboxName> {
        let between = match self {
            Version::One => naming.separator(),
            Version::Two => b'\t',
        };
        let mut levels = Vec::new();
        for level in line.split(|&byte| byte == between) {
            let level = match self {
                Version::One => Cow::Borrowed(level),
                Version::Two => Cow::Owned(unescape(level)),
            };
            let decoded = utf7::decode(&level).ok().filter(|_| !naming.utf8);
            let name = decoded.or_else(|| String::from_utf8(level.into_owned()).ok())?;
            levels.push(Some(name).filter(|name| !name.contains('/'))?);
        }
        MailboxName::new(&levels.join("/")).ok()
    }

    fn format(self, name: &MailboxName, naming: Naming) -> Vec<u8> {
        let levels = name.levels().map(|level| {
            let level = naming.write(level).into_bytes();
            match self {
                Version::One => level,
                Version::Two => escape(&level),
            }
        });
        let between = match self {
            Version::One => naming.separator(),
            Version::Two => b'\t',
        };
        levels.collect::<Vec<_>>().join(&between)
    }
}

/// Dovecot's TAB escapes: `\x01` and a letter for what may not stand in a field.
fn escape(level: &[u8]) -> Vec<u8> {
    let mut escaped = Vec::with_capacity(level.len());
    for &byte in level {
        match ESCAPES.iter().find(|(_, meant)| *meant == byte) {
            Some((letter, _)) => escaped.extend_from_slice(&[1, *letter]),
            None => escaped.push(byte),
        }
    }
    escaped
}

fn unescape(level: &[u8]) -> Vec<u8> {
    let mut plain = Vec::with_capacity(level.len());
    let mut rest = level.iter();
    while let Some(&byte) = rest.next() {
        if byte != 1 {
            plain.push(byte);
        } else if let Some(letter) = rest.next() {
            let meant = ESCAPES.iter().find(|(known, _)| known == letter);
            plain.push(meant.map_or(*letter, |(_, meant)| *meant));
        }
    }
    plain
}

const ESCAPES: [(u8, u8); 5] = [
    (b'0', 0),
    (b'1', 1),
    (b't', b'\t'),
    (b'r', b'\r'),
    (b'n', b'\n'),
];
const FILE: &[u8] = b"subscriptions";
/// `SUBSCRIPTION_FILE_CHANGE_TIMEOUT`
const STALE: Duration = Duration::from_secs(30);
/// 50,000 mailboxes with long names.
const SIZE_MAX: usize = 8 << 20;
const HEADER_CRLF: &[u8] = b"V\t2\r\n\r\n";

#[cfg(test)]
mod tests {
    use super::*;
    use crate::mail::Layout;
    use crate::maildir::disk::dir::fault;
    use crate::maildir::disk::dir::scratch::Scratch;
    use proptest::prelude::*;

    const TWO: &str = "V\t2\n\n";

    fn read(scratch: &Scratch) -> Subscriptions {
        Subscriptions::read(&scratch.dir, Naming::default())
    }

    fn name(name: &str) -> MailboxName {
        MailboxName::new(name).unwrap()
    }

    #[test]
    fn what_is_no_modified_utf_7_stands_for_itself() {
        for header in ["", TWO] {
            let scratch = Scratch::new();
            let lines = "a&b\nR&D-x\n&\n&AOQ-\nEntw\u{fc}rfe\n&&-\n";
            scratch.write("subscriptions", format!("{header}{lines}"));
            let expected = ["a&b", "R&D-x", "&", "\u{e4}", "Entw\u{fc}rfe", "&&-"];
            assert_eq!(names(&read(&scratch)), expected);
            assert_eq!(set(&scratch, "a&b", true), Some(false));
            assert_eq!(set(&scratch, "R&D-x", false), Some(true));
            assert_eq!(set(&scratch, "x&y", true), Some(true));
            let text = scratch.read("subscriptions").unwrap();
            let kept = "a&b\n&\n&AOQ-\nEntw\u{fc}rfe\n&&-\nx&-y\n";
            assert_eq!(text, format!("{header}{kept}"));
        }
    }

    fn names(subscriptions: &Subscriptions) -> Vec<&str> {
        subscriptions.iter().map(MailboxName::as_str).collect()
    }

    fn set(scratch: &Scratch, what: &str, subscribed: bool) -> Option<bool> {
        let later = SystemTime::now() + Duration::from_secs(60);
        let set = read(scratch).set(
            &scratch.dir,
            &Access::PRIVATE,
            &name(what),
            subscribed,
            later,
        );
        set.unwrap()
    }

    #[test]
    fn both_versions_are_read() {
        let scratch = Scratch::new();
        scratch.write(
            "subscriptions",
            format!("{TWO}Work\t2026\nT&AOk-st\nINBOX\n"),
        );
        assert_eq!(names(&read(&scratch)), ["Work/2026", "Tést", "INBOX"]);
        assert!(read(&scratch).contains(&name("inbox")));
        scratch.write("subscriptions", "Work.2026\nT&AOk-st\ninbox\nWork.2026");
        assert_eq!(names(&read(&scratch)), ["Work/2026", "Tést", "INBOX"]);
        let fs = Naming {
            layout: Layout::Fs,
            utf8: false,
        };
        let fs = Subscriptions::read(&scratch.dir, fs);
        assert!(fs.contains(&name("Work.2026")));
        scratch.dir.unlink(FILE).unwrap();
        assert_eq!(names(&read(&scratch)), [""; 0]);
    }

    #[test]
    fn a_change_keeps_the_version_and_the_lines_that_are_no_names() {
        for (header, level) in [(TWO, "\t"), ("", ".")] {
            let scratch = Scratch::new();
            let odd = format!("{header}A{level}B\n&broken\n{level}x\n");
            scratch.write("subscriptions", &odd);
            assert_eq!(set(&scratch, "Entwürfe/neu", true), Some(true));
            assert_eq!(set(&scratch, "A/B", true), Some(false));
            let text = scratch.read("subscriptions").unwrap();
            assert_eq!(text, format!("{odd}Entw&APw-rfe{level}neu\n"));
            assert_eq!(set(&scratch, "A/B", false), Some(true));
            assert_eq!(set(&scratch, "A/B", false), Some(false));
            let text = scratch.read("subscriptions").unwrap();
            assert!(
                text.starts_with(&format!("{header}&broken\n{level}x\nEntw")),
                "{text}"
            );
            assert_eq!(scratch.names(), ["subscriptions"]);
        }
    }

    #[test]
    fn a_carriage_return_is_no_part_of_a_name_and_goes_with_the_next_change() {
        for (text, left) in [
            ("Work\r\nWork.2026\r\nSent\r\n", "Work.2026\nSent\n"),
            (
                "V\t2\r\n\r\nWork\r\nWork\t2026\r\nSent\r\n",
                "V\t2\n\nWork\t2026\nSent\n",
            ),
        ] {
            let scratch = Scratch::new();
            scratch.write("subscriptions", text);
            assert_eq!(names(&read(&scratch)), ["Work", "Work/2026", "Sent"]);
            assert_eq!(set(&scratch, "Sent", true), Some(false));
            assert_eq!(scratch.read("subscriptions").unwrap(), text);
            assert_eq!(set(&scratch, "Work", false), Some(true));
            assert_eq!(scratch.read("subscriptions").unwrap(), left);
        }
    }

    #[test]
    fn a_file_that_cannot_be_read_is_not_written_over() {
        let scratch = Scratch::new();
        scratch.write("subscriptions", vec![b'x'; SIZE_MAX + 1]);
        let mut subscriptions = read(&scratch);
        assert_eq!(subscriptions.iter().count(), 0);
        let now = SystemTime::now();
        let set = subscriptions.set(&scratch.dir, &Access::PRIVATE, &name("a"), true, now);
        assert!(set.is_err());
        assert_eq!(scratch.names(), ["subscriptions"]);
        scratch.write("subscriptions", "b\n");
        assert!(subscriptions.refresh(&scratch.dir));
        assert_eq!(names(&subscriptions), ["b"]);
    }

    #[test]
    fn a_new_file_is_of_version_2() {
        let scratch = Scratch::new();
        assert_eq!(set(&scratch, "INBOX", true), Some(true));
        assert_eq!(
            scratch.read("subscriptions").unwrap(),
            format!("{TWO}INBOX\n")
        );
        assert_eq!(set(&scratch, "INBOX", false), Some(true));
        assert_eq!(scratch.read("subscriptions").unwrap(), TWO);
    }

    #[test]
    fn while_another_program_has_the_lock_nothing_changes() {
        let scratch = Scratch::new();
        scratch.write("subscriptions.lock", "");
        let now = SystemTime::now();
        let mut subscriptions = read(&scratch);
        let set = subscriptions.set(&scratch.dir, &Access::PRIVATE, &name("a"), true, now);
        assert_eq!(set.unwrap(), None);
        assert_eq!(scratch.names(), ["subscriptions.lock"]);
        assert_eq!(subscriptions.iter().count(), 0);
    }

    #[test]
    fn a_change_by_another_program_is_seen() {
        let scratch = Scratch::new();
        let (mut ours, mut theirs) = (read(&scratch), read(&scratch));
        let now = SystemTime::now();
        theirs
            .set(&scratch.dir, &Access::PRIVATE, &name("b"), true, now)
            .unwrap();
        assert!(ours.refresh(&scratch.dir));
        assert!(!ours.refresh(&scratch.dir));
        assert!(ours.contains(&name("b")));
        theirs
            .set(&scratch.dir, &Access::PRIVATE, &name("c"), true, now)
            .unwrap();
        ours.set(&scratch.dir, &Access::PRIVATE, &name("a"), true, now)
            .unwrap();
        assert_eq!(names(&ours), ["b", "c", "a"]);
        assert_eq!(names(&read(&scratch)), ["b", "c", "a"]);
    }

    #[test]
    fn wherever_a_change_breaks_off_the_old_file_or_the_new_is_there() {
        for plan in [fault::die_at as fn(usize), |n| fault::fail_at(n, 28)] {
            for n in 1..25 {
                let scratch = Scratch::new();
                set(&scratch, "a", true);
                let mut subscriptions = read(&scratch);
                plan(n);
                let now = SystemTime::now();
                let done = subscriptions.set(&scratch.dir, &Access::PRIVATE, &name("b"), true, now);
                fault::clear();
                let found = read(&scratch);
                let found = names(&found);
                assert!(
                    found == ["a", "b"] || done.is_err() && found == ["a"],
                    "call {n}"
                );
                // A lock left by a dead process is in the way once.
                let again = set(&scratch, "c", true).or_else(|| set(&scratch, "c", true));
                assert_eq!(again, Some(true), "call {n}");
            }
        }
    }

    proptest! {
        #[test]
        fn any_name_comes_back_in_either_version(levels in prop::collection::vec("[^/.\\x00-\\x1f\\x7f-\\x9f]{1,6}", 1..4)) {
            if let Ok(name) = MailboxName::new(&levels.join("/")) {
                for version in [Version::One, Version::Two] {
                    let naming = Naming::default();
                    let line = version.format(&name, naming);
                    prop_assert_eq!(version.parse(&line, naming), Some(name.clone()));
                }
            }
        }

        #[test]
        fn any_level_can_be_escaped(level in prop::collection::vec(any::<u8>(), 0..20)) {
            let escaped = escape(&level);
            prop_assert!(!escaped.iter().any(|byte| b"\t\n\r\0".contains(byte)));
            prop_assert_eq!(unescape(&escaped), level);
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]

        #[test]
        fn any_file_is_read_and_kept(text in prop::collection::vec(prop_oneof![any::<u8>(), Just(b'\n'), Just(b'\t')], 0..100)) {
            let scratch = Scratch::new();
            scratch.write("subscriptions", &text);
            let before: Vec<MailboxName> = read(&scratch).iter().cloned().collect();
            let new = name("Some new name");
            if !before.contains(&new) {
                prop_assert_eq!(set(&scratch, new.as_str(), true), Some(true));
                let mut after: Vec<MailboxName> = read(&scratch).iter().cloned().collect();
                prop_assert_eq!(after.pop(), Some(new));
                prop_assert_eq!(after, before);
            }
        }
    }
}
