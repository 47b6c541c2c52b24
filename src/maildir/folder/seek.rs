//! Finds a message's file that is not where it was.
//!
//! First the names are tried that a change of flags would have given, which costs a `stat` each.
//! Then the directories are listed.  A listing during which something is renamed may miss a file
//! that is there all the time, so only one with nothing going on says that there is none.

use std::time::SystemTime;

use super::scan::is_settled;
use crate::mail::{Flags, System};
use crate::maildir::disk::dir::{Dir, DiskResult, FileKind, Stat};
use crate::maildir::disk::filename::Filename;
use crate::maildir::disk::watch::Place;

/// What a search for a file gave.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Sought {
    At(Place, Vec<u8>),
    Gone,
    /// It was not seen, but names were moving during the listing.
    Unsure,
}

/// The directories of a folder in which a message can be.
#[derive(Clone, Copy)]
pub(super) struct Places<'a> {
    pub cur: &'a Dir,
    pub new: &'a Dir,
}

impl Places<'_> {
    /// Looks for the file of the message `base`, which had `flags` when it was last seen.
    pub fn seek(&self, base: &[u8], flags: Flags, now: SystemTime) -> DiskResult<Sought> {
        for _ in 0..LISTINGS {
            if let Some((place, name)) = self.guess(base, flags)? {
                return Ok(Sought::At(place, name));
            }
            let before = self.times()?;
            if let Some((place, name)) = self.list_for(base)? {
                return Ok(Sought::At(place, name));
            }
            let after = self.times()?;
            let quiet = |before: &Stat, after: &Stat| {
                before.mtime == after.mtime && is_settled(before, now)
            };
            if quiet(&before.0, &after.0) && quiet(&before.1, &after.1) {
                return Ok(Sought::Gone);
            }
        }
        Ok(Sought::Unsure)
    }

    /// Tries the names that one change of a flag, or the move to cur/, would have given.
    pub fn guess(&self, base: &[u8], flags: Flags) -> DiskResult<Option<(Place, Vec<u8>)>> {
        for bit in ONE_CHANGE {
            if let Some(name) = self.try_flags(base, flags, bit)? {
                return Ok(Some((Place::Cur, name)));
            }
        }
        let in_new = self.new.is_file(base, FileKind::Unknown)?;
        Ok(in_new.then(|| (Place::New, base.to_vec())))
    }

    /// Tries every name that system flags can give this message, after two listings that did not
    /// show it.  A program that changes the flags all the time is caught sooner or later.
    pub fn catch(&self, base: &[u8], flags: Flags) -> DiskResult<Option<(Place, Vec<u8>)>> {
        for _ in 0..ROUNDS {
            for bits in 0..SYSTEM_FLAGS {
                if let Some(name) = self.try_flags(base, flags, System(bits))? {
                    return Ok(Some((Place::Cur, name)));
                }
            }
            if self.new.is_file(base, FileKind::Unknown)? {
                return Ok(Some((Place::New, base.to_vec())));
            }
        }
        Ok(None)
    }

    fn try_flags(&self, base: &[u8], flags: Flags, flipped: System) -> DiskResult<Option<Vec<u8>>> {
        let flags = Flags {
            system: System(flags.system.0 ^ flipped.0),
            ..flags
        };
        let name = Filename { base, info: b"" }.with_flags(flags);
        let there = self.cur.is_file(&name, FileKind::Unknown)?;
        Ok(there.then_some(name))
    }

    fn list_for(&self, base: &[u8]) -> DiskResult<Option<(Place, Vec<u8>)>> {
        for (place, dir) in [(Place::New, self.new), (Place::Cur, self.cur)] {
            let mut listing = dir.list()?;
            let mut found = None;
            while found.is_none()
                && listing.next_chunk(&mut |name, kind| {
                    if Filename::parse(name).is_some_and(|file| file.base == base)
                        && dir.is_file(name, kind).unwrap_or(false)
                    {
                        found = Some(name.to_vec());
                    }
                })?
            {}
            if let Some(name) = found {
                return Ok(Some((place, name)));
            }
        }
        Ok(None)
    }

    fn times(&self) -> DiskResult<(Stat, Stat)> {
        Ok((self.cur.stat_self()?, self.new.stat_self()?))
    }
}

const ONE_CHANGE: [System; 6] = [
    System(0),
    System::SEEN,
    System::DELETED,
    System::FLAGGED,
    System::ANSWERED,
    System::DRAFT,
];
/// All combinations of the five.
const SYSTEM_FLAGS: u8 = 32;
const ROUNDS: usize = 4;
const LISTINGS: usize = 2;
