//! Message file names: the base that identifies a message, its sizes, its flags; and new names.
//!
//! ```text
//! 1795441023.M587364P17743.vm,S=36,W=41:2,FSab
//! +-------------- base --------------+ +info-+
//! ```
//!
//! The rules are Dovecot's, since both programs read each other's names: the base ends at the
//! *first* `:`, flags are looked for after the *last* one.

use std::cell::Cell;
use std::cmp::Ordering;
use std::time::SystemTime;

use memchr::{memchr, memmem, memrchr};

use super::dir::{host_name, own_process};
use crate::mail::{Flags, System};

/// A file name in `cur/` or `new/`, taken apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Filename<'a> {
    /// Everything before the first `:`, sizes included.
    pub base: &'a [u8],
    /// From the first `:` on, or empty.
    pub info: &'a [u8],
}

impl<'a> Filename<'a> {
    /// `None` for what is not a message: a name that is hidden, has no base, or cannot stand in a
    /// line of `dovecot-uidlist`.
    pub fn parse(name: &'a [u8]) -> Option<Filename<'a>> {
        let (base, info) = name.split_at(memchr(b':', name).unwrap_or(name.len()));
        let fits = !base.is_empty() && !base.starts_with(b".");
        (fits && !name.iter().any(|byte| b"\r\n/\0".contains(byte)))
            .then_some(Filename { base, info })
    }

    /// The flags and keyword letters after `:2,`; letters of unknown meaning are passed over.
    pub fn flags(&self) -> Flags {
        let mut flags = Flags::default();
        for &letter in self.letters() {
            match letter {
                b'a'..=b'z' => flags.keywords |= 1 << (letter - b'a'),
                _ => flags.system = flags.system | system(letter),
            }
        }
        flags
    }

    /// The name with these flags in the order of ASCII.  Letters of unknown meaning stay where they
    /// are, and so does all after a second comma.
    pub fn with_flags(&self, flags: Flags) -> Vec<u8> {
        let unknown = self.letters().iter().filter(|&&letter| !is_known(letter));
        let mut wanted = letters(flags).peekable();
        let mut name = [self.base, self.experiments(), b":2,"].concat();
        for &letter in unknown {
            while let Some(before) = wanted.next_if(|&wanted| wanted < letter) {
                name.push(before);
            }
            name.push(letter);
        }
        name.extend(wanted);
        name.extend_from_slice(self.more());
        name
    }

    /// All after the last `:`, if that is the info of version 2.
    fn version_2(&self) -> &'a [u8] {
        let last = memrchr(b':', self.info).map_or(0, |at| at + 1);
        let info = self.info.get(last..).unwrap_or_default();
        info.strip_prefix(b"2,").unwrap_or_default()
    }

    fn letters(&self) -> &'a [u8] {
        let info = self.version_2();
        info.split(|&byte| byte == b',').next().unwrap_or_default()
    }

    /// From the second comma on.
    fn more(&self) -> &'a [u8] {
        let info = self.version_2();
        info.get(self.letters().len()..).unwrap_or_default()
    }

    /// What stands between the first `:` and the last; normally there is only one.
    fn experiments(&self) -> &'a [u8] {
        let last = memrchr(b':', self.info).unwrap_or(0);
        self.info.get(..last).unwrap_or_default()
    }
}

/// `,S=`: the size of the file, as the name has it.
pub fn size(base: &[u8]) -> Option<u64> {
    number_after(base, b",S=")
}

/// `,W=`: the size with CRLF for line ends, as the name has it.
pub fn virtual_size(base: &[u8]) -> Option<u64> {
    number_after(base, b",W=")
}

/// `<name>,S=<size>,W=<virtual_size>`
pub fn with_sizes(name: &[u8], size: u64, virtual_size: u64) -> Vec<u8> {
    let sizes = format!(",S={size},W={virtual_size}");
    [name, sizes.as_bytes()].concat()
}

/// The order in which new messages get their UIDs: by the seconds that the name begins with, then
/// the microseconds of its `M`, then the rest.
///
/// This is Dovecot's order, except for names with and without `M` of the same second.  Dovecot's
/// comparison of these is no order, so here those without come first.
pub fn uid_order(a: &[u8], b: &[u8]) -> Ordering {
    birth(a).cmp(&birth(b)).then_with(|| a.cmp(b))
}

/// Makes unique names, `<seconds>.M<microseconds>P<process>.<host>`.
#[derive(Clone, Debug)]
pub struct UniqueNames {
    suffix: Vec<u8>,
}

impl UniqueNames {
    pub fn new(host: &[u8], process: u32) -> UniqueNames {
        let mut suffix = format!("P{process}.").into_bytes();
        for &byte in host {
            match byte {
                // They would end the base or the name.
                0..=b' ' | b'/' | b':' | b',' | b'\\' | 0x7f => {
                    suffix.extend_from_slice(format!("\\{byte:03o}").as_bytes());
                }
                _ => suffix.push(byte),
            }
        }
        UniqueNames { suffix }
    }

    pub fn of_this_process() -> UniqueNames {
        UniqueNames::new(&host_name(), own_process())
    }

    /// A name that this process has not used before, also if the clock stands still or goes back.
    pub fn next(&mut self, now: SystemTime) -> Vec<u8> {
        let now = now
            .duration_since(SystemTime::UNIX_EPOCH)
            .map_or(0, |since| u64::try_from(since.as_micros()).unwrap_or(0));
        let after = |last: u64| now.max(last.saturating_add(1));
        let micros = after(LAST_NAME.get());
        LAST_NAME.set(micros);
        let (seconds, micros) = (micros / 1_000_000, micros % 1_000_000);
        [
            format!("{seconds}.M{micros}").as_bytes(),
            self.suffix.as_slice(),
        ]
        .concat()
    }
}

thread_local! {
    /// Microseconds since 1970 of the name made last, by whichever [`UniqueNames`] of this process,
    /// which handles mail in one thread only.
    static LAST_NAME: Cell<u64> = const { Cell::new(0) };
}

/// The digits after the first `key`, if they end where a field ends.
fn number_after(base: &[u8], key: &[u8]) -> Option<u64> {
    let from = memmem::find(base, key)? + key.len();
    let (number, rest) = leading_number(base.get(from..)?)?;
    matches!(rest.first(), None | Some(b',' | b':')).then_some(number)
}

/// Seconds and microseconds of a name, for [`uid_order`] of many; missing ones come first.
pub fn birth(base: &[u8]) -> (u64, Option<u64>) {
    let (seconds, rest) = leading_number(base).unwrap_or((0, base));
    let unique = rest.strip_prefix(b".").unwrap_or_default();
    let unique = unique
        .split(|&byte| byte == b'.')
        .next()
        .unwrap_or_default();
    let micros = memchr(b'M', unique)
        .and_then(|at| unique.get(at + 1..))
        .map(|digits| leading_number(digits).map_or(0, |(micros, _)| micros));
    (seconds, micros)
}

/// A decimal number at the beginning, at most `u64::MAX`.
fn leading_number(text: &[u8]) -> Option<(u64, &[u8])> {
    let digits = text.iter().take_while(|byte| byte.is_ascii_digit()).count();
    let (digits, rest) = text.split_at_checked(digits)?;
    let number = digits.iter().fold(0u64, |number, digit| {
        number
            .saturating_mul(10)
            .saturating_add(u64::from(digit - b'0'))
    });
    (!digits.is_empty()).then_some((number, rest))
}

fn letters(flags: Flags) -> impl Iterator<Item = u8> {
    let system = b"DFRST"
        .iter()
        .copied()
        .filter(move |&letter| flags.system.contains(system(letter)));
    let keywords = (b'a'..=b'z').filter(move |letter| flags.keywords & 1 << (letter - b'a') != 0);
    system.chain(keywords)
}

fn system(letter: u8) -> System {
    match letter {
        b'D' => System::DRAFT,
        b'F' => System::FLAGGED,
        b'R' => System::ANSWERED,
        b'S' => System::SEEN,
        b'T' => System::DELETED,
        _ => System::default(),
    }
}

fn is_known(letter: u8) -> bool {
    letter.is_ascii_lowercase() || system(letter) != System::default()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::time::Duration;

    fn parse(name: &str) -> Filename<'_> {
        Filename::parse(name.as_bytes()).unwrap()
    }

    fn flags(letters: &str) -> Flags {
        parse(&format!("x:2,{letters}")).flags()
    }

    #[test]
    fn the_base_ends_at_the_first_colon_and_flags_follow_the_last() {
        let name = parse("1.M2P3.vm,S=36,W=41:2,FSab");
        assert_eq!(name.base, b"1.M2P3.vm,S=36,W=41");
        assert_eq!(name.flags().system, System::FLAGGED | System::SEEN);
        assert_eq!(name.flags().keywords, 0b11);
        let name = parse("1.M2P3.vm:1,T:2,S");
        assert_eq!(name.base, b"1.M2P3.vm");
        assert_eq!(name.flags().system, System::SEEN);
    }

    #[test]
    fn no_flags_are_found_where_there_are_none() {
        for name in [
            "a", "a:", "a:2", "a:2,", "a:1,S", "a:2,S:1,", "a:S", "a:2,,S",
        ] {
            assert_eq!(parse(name).flags(), Flags::default(), "{name}");
        }
    }

    #[test]
    fn names_that_are_no_messages_are_told_apart() {
        for name in ["", ".", ".a", ":2,S", "a\n", "a:2,\r", "a/b", "a\0"] {
            assert_eq!(Filename::parse(name.as_bytes()), None, "{name:?}");
        }
    }

    #[test]
    fn changed_flags_are_sorted_and_what_is_unknown_stays() {
        for (name, letters, changed) in [
            ("a", "", "a:2,"),
            ("a", "zTaSRFD", "a:2,DFRSTaz"),
            ("a:2,FS", "", "a:2,"),
            ("a:2,PS", "DT", "a:2,DPT"),
            ("a:2,ABZ", "Db", "a:2,ABDZb"),
            ("a:2,S,xyz", "F", "a:2,F,xyz"),
            ("a:2,,S:2,xyz", "F", "a:2,,S:2,F"),
            ("a:1,xyz", "F", "a:2,F"),
            ("a:1,xyz:2,S", "F", "a:1,xyz:2,F"),
            ("a:2,SS2", "S", "a:2,2S"),
        ] {
            let name = parse(name).with_flags(flags(letters));
            assert_eq!(String::from_utf8(name).unwrap(), changed);
        }
    }

    #[test]
    fn sizes_are_read_only_when_the_field_is_whole() {
        assert_eq!(size(b"1.M2.vm,S=36,W=41"), Some(36));
        assert_eq!(virtual_size(b"1.M2.vm,S=36,W=41"), Some(41));
        for base in [
            &b"1.vm"[..],
            b"S=3",
            b"1,S=",
            b"1,S=x",
            b"1,S=3x",
            b"1,S=3x,S=4",
        ] {
            assert_eq!(size(base), None);
        }
        let named = with_sizes(b"1.vm", 3, 4);
        assert_eq!((size(&named), virtual_size(&named)), (Some(3), Some(4)));
    }

    #[test]
    fn uids_go_by_seconds_then_microseconds_then_the_rest() {
        let sorted = [
            "x",
            "9.M999999P1.vm",
            "10.P2.vm",
            "10.M5P9.vm",
            "10.M40P1.vm",
            "10.V8I1M40.vm",
            "10.M123456P1.a",
            "10.M123456P1.b",
        ];
        let mut names = sorted;
        names.reverse();
        names.sort_by(|a, b| uid_order(a.as_bytes(), b.as_bytes()));
        assert_eq!(names, sorted);
    }

    #[test]
    fn unique_names_grow_even_if_the_clock_does_not() {
        let (mut a, mut b) = (UniqueNames::new(b"a:b/c", 7), UniqueNames::new(b"h", 7));
        let now = SystemTime::UNIX_EPOCH + Duration::from_micros(9_000_000_000_999_999);
        let names = [a.next(now), b.next(now), a.next(SystemTime::UNIX_EPOCH)];
        assert!(names[0].ends_with(b"P7.a\\072b\\057c"));
        assert!(
            names
                .windows(2)
                .all(|two| uid_order(&two[0], &two[1]).is_lt())
        );
        assert!(names.iter().all(|name| Filename::parse(name).is_some()));
    }

    proptest! {
        #[test]
        fn any_name_keeps_its_base_and_takes_the_flags(
            name in prop::collection::vec(any::<u8>(), 0..40),
            info in ":2,[A-Za-z0-9,:]{0,12}",
            system in 0u8..32, keywords in 0u32..1 << 26,
        ) {
            let name = [name.as_slice(), info.as_bytes()].concat();
            let _ = (size(&name), virtual_size(&name), birth(&name));
            if let Some(parsed) = Filename::parse(&name) {
                let flags = Flags { system: System(system), keywords };
                let changed = parsed.with_flags(flags);
                let again = Filename::parse(&changed).unwrap();
                prop_assert_eq!(again.base, parsed.base);
                prop_assert_eq!(again.flags(), flags);
                prop_assert_eq!(again.with_flags(flags), changed);
            }
        }

        #[test]
        fn the_order_of_uids_is_an_order(names in prop::collection::vec("[0-9]{0,3}\\.?[MV]?[0-9]{0,2}\\.?[a-b]{0,1}", 3)) {
            let [a, b, c] = [&names[0], &names[1], &names[2]].map(|name| name.as_bytes());
            prop_assert_eq!(uid_order(a, b), uid_order(b, a).reverse());
            if uid_order(a, b).is_lt() && uid_order(b, c).is_lt() {
                prop_assert!(uid_order(a, c).is_lt());
            }
        }
    }
}
