//! `dovecot-uidvalidity`: the UIDVALIDITY of the next new mailbox.
//!
//! In the root lies an empty file `dovecot-uidvalidity.<8 hex digits>` with the value given last in
//! its name.  Renaming it to the next value takes that value: of two programs that try, one finds
//! it gone.  `dovecot-uidvalidity` itself only says where to look first.
//!
//! So a mailbox that is deleted and made again gets a higher UIDVALIDITY than before
//! (RFC 3501 2.3.1.1), even within the same second.

use std::cell::Cell;
use std::io;
use std::time::SystemTime;

use crate::maildir::disk::dir::{Access, Dir, DiskResult, FileKind, Target, is_gone, own_process};
use crate::maildir::disk::report;

/// Takes the next value.  If that cannot be written down, it is the time, as in Dovecot: a mailbox
/// needs some value, and the time is larger than any that was given before, unless many were in a
/// second.
pub fn next(root: &Dir, access: &Access, now: SystemTime) -> u32 {
    match take_next(root, access, now) {
        Ok(value) => value,
        Err(error) => {
            report::without(&error, "the UIDVALIDITY of a new mailbox is the time");
            by_time(now)
        }
    }
}

fn take_next(root: &Dir, access: &Access, now: SystemTime) -> DiskResult<u32> {
    let hint = root.read(FILE, HINT_MAX).ok().flatten();
    let last = hint.and_then(|(bytes, _)| parse(&bytes));
    let value = match last.map(|last| advance(root, last)).transpose()? {
        Some(Some(value)) => value,
        _ => find(root, now)?,
    };
    root.sync()?;
    if let Err(error) = write_hint(root, access, value) {
        // The next one looks at the names.
        log::debug!("{error}");
    }
    Ok(value)
}

/// Renames the marker of `last` to the next value; `None` if it is not there, or not the only one.
fn advance(root: &Dir, last: u32) -> DiskResult<Option<u32>> {
    let value = successor(root, last)?;
    match root.rename(&marker(last), root, &marker(value), Target::MustBeFree) {
        Ok(()) => Ok(Some(value)),
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists || is_gone(&error) => Ok(None),
        Err(error) => Err(error),
    }
}

/// Looks for the markers: advances the highest and removes the others, or makes the first one.
fn find(root: &Dir, now: SystemTime) -> DiskResult<u32> {
    for _ in 0..TRIES {
        let mut markers = markers(root)?;
        markers.sort_unstable();
        let Some((_, highest)) = markers.pop() else {
            let value = by_time(now);
            match root.create_new(&marker(value), &MARKER) {
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => continue,
                other => other?,
            };
            return Ok(value);
        };
        for (_, name) in &markers {
            match root.unlink(name) {
                Err(error) if !is_gone(&error) => return Err(error),
                _ => (),
            }
        }
        let last = highest.strip_prefix(PREFIX).and_then(parse).unwrap_or(0);
        let value = successor(root, last)?;
        match root.rename(&highest, root, &marker(value), Target::Replace) {
            Err(error) if is_gone(&error) => (),
            other => return other.map(|()| value),
        }
    }
    Err(root.failure("rename", FILE, io::ErrorKind::ResourceBusy))
}

fn successor(root: &Dir, last: u32) -> DiskResult<u32> {
    last.checked_add(1).ok_or_else(|| {
        let why = io::Error::other("there is no UIDVALIDITY above the last one");
        root.failure("rename", FILE, why)
    })
}

/// Values and names of all markers.
fn markers(root: &Dir) -> DiskResult<Vec<(u32, Vec<u8>)>> {
    let mut found = Vec::new();
    let mut listing = root.list()?;
    let mut each = |name: &[u8], kind| {
        if matches!(kind, FileKind::File | FileKind::Unknown)
            && let Some(value) = name.strip_prefix(PREFIX).and_then(parse)
        {
            found.push((value, name.to_vec()));
        }
    };
    while listing.next_chunk(&mut each)? {}
    Ok(found)
}

fn write_hint(root: &Dir, access: &Access, value: u32) -> DiskResult<()> {
    let temporary = format!("temp.dovecot-uidvalidity.{}", own_process());
    let temporary = temporary.as_bytes();
    let _ = root.unlink(temporary);
    let mut file = root.create_new(temporary, access)?;
    let written = file
        .write_all(format!("{value:08x}").as_bytes())
        .and_then(|()| root.rename(temporary, root, FILE, Target::Replace));
    if written.is_err() {
        let _ = root.unlink(temporary);
    }
    written
}

/// Seconds since 1970, or one more than the last if there were several in a second.
fn by_time(now: SystemTime) -> u32 {
    thread_local! {
        static LAST: Cell<u32> = const { Cell::new(0) };
    }
    let now = now
        .duration_since(SystemTime::UNIX_EPOCH)
        .map_or(1, |since| {
            u32::try_from(since.as_secs()).unwrap_or(u32::MAX)
        })
        .max(1);
    let after = |last: u32| now.max(last.saturating_add(1));
    let next = after(LAST.get());
    LAST.set(next);
    next
}

fn marker(value: u32) -> Vec<u8> {
    [PREFIX, format!("{value:08x}").as_bytes()].concat()
}

/// Up to eight hexadecimal digits, not all zero.
fn parse(text: &[u8]) -> Option<u32> {
    let text = std::str::from_utf8(text).ok()?.trim_ascii_end();
    let hex = text.bytes().all(|byte| byte.is_ascii_hexdigit());
    u32::from_str_radix(text, 16)
        .ok()
        .filter(|&value| hex && value > 0)
}

const FILE: &[u8] = b"dovecot-uidvalidity";
const PREFIX: &[u8] = b"dovecot-uidvalidity.";
const HINT_MAX: usize = 64;
const TRIES: usize = 10;
/// Nobody ever reads or writes a marker.
const MARKER: Access = Access {
    file_mode: 0o444,
    dir_mode: 0,
    gid: None,
};

#[cfg(test)]
mod tests {
    use super::*;
    use crate::maildir::disk::dir::fault;
    use crate::maildir::disk::dir::scratch::Scratch;
    use std::time::Duration;

    const FIRST: u32 = 0x6b04_415a;

    fn take(scratch: &Scratch) -> u32 {
        let now = SystemTime::UNIX_EPOCH + Duration::from_secs(FIRST.into());
        next(&scratch.dir, &Access::PRIVATE, now)
    }

    fn state(scratch: &Scratch) -> Vec<String> {
        let mut names = scratch.names();
        names.extend(scratch.read("dovecot-uidvalidity"));
        names
    }

    #[test]
    fn the_value_is_in_the_name_of_the_marker_and_in_the_file() {
        let scratch = Scratch::new();
        scratch.write("dovecot-uidvalidity", "6b04415a");
        scratch.write("dovecot-uidvalidity.6b04415a", "");
        assert_eq!(take(&scratch), FIRST + 1);
        let expected = [
            "dovecot-uidvalidity",
            "dovecot-uidvalidity.6b04415b",
            "6b04415b",
        ];
        assert_eq!(state(&scratch), expected);
        assert_eq!(take(&scratch), FIRST + 2);
    }

    #[test]
    fn the_first_value_is_the_time() {
        let scratch = Scratch::new();
        let first = take(&scratch);
        assert!(first >= FIRST);
        let marker = format!("dovecot-uidvalidity.{first:08x}");
        let stat = scratch.dir.stat(marker.as_bytes()).unwrap().unwrap();
        assert_eq!((stat.size, stat.mode), (0, 0o444));
        assert_eq!(take(&scratch), first + 1);
        assert_eq!(scratch.names().len(), 2);
    }

    #[test]
    fn the_highest_marker_wins_whatever_the_file_says() {
        for hint in ["6b044150", "6b044159", "6b04415b", "", "garbage!"] {
            let scratch = Scratch::new();
            scratch.write("dovecot-uidvalidity", hint);
            scratch.write("dovecot-uidvalidity.6b044151", "");
            scratch.write("dovecot-uidvalidity.6b04415b", "");
            scratch.write("dovecot-uidvalidity.6b04415c", "");
            scratch.write("dovecot-uidvalidity.notes", "");
            assert_eq!(take(&scratch), 0x6b04_415d, "{hint}");
        }
    }

    #[test]
    fn without_a_place_to_write_values_still_grow() {
        let scratch = Scratch::new();
        let mut last = 0;
        for _ in 0..3 {
            fault::die_at(1);
            let value = take(&scratch);
            fault::clear();
            assert!(value > last);
            last = value;
        }
    }

    #[test]
    fn wherever_it_breaks_off_the_next_value_is_higher_than_the_last_one_given() {
        for plan in [fault::die_at as fn(usize), |n| fault::fail_at(n, 28)] {
            for n in 1..20 {
                let scratch = Scratch::new();
                let before = take(&scratch);
                plan(n);
                take(&scratch);
                fault::clear();
                let taken = scratch
                    .names()
                    .iter()
                    .filter_map(|name| parse(name.as_bytes().strip_prefix(PREFIX)?))
                    .max();
                let after = take(&scratch);
                assert!(after > before && Some(after) > taken, "call {n}");
            }
        }
    }
}
