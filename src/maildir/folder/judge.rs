//! What a hint means: a function of what the table has, of what was seen, and of what the
//! directories say at this moment.  It touches no file.
//!
//! A name from a listing or from the watch is a hint, perhaps older than the last rename.
//! [`judge`] says what the directories are to be asked before anything is done about it, and when
//! that is known, what is to be done.  `resolve.rs` and `arrive.rs` ask and act, under the folder's
//! lock.  Each race of the essay in `maildir/mod.rs` is a row of the table in the tests here.

use std::time::{Duration, SystemTime};

use super::seek::Sought;
use crate::maildir::disk::dir::Stat;
use crate::maildir::disk::watch::Place;

/// What the table has under the base name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum InTable {
    /// No message.  Where new names are too many to look at each, they are `believed`.
    Nothing { believed: bool },
    /// A message, under the very name that was seen.
    Same,
    /// A message, under another name.
    Other,
}

/// What was seen of a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Evidence {
    /// A listing or an event showed a name.
    Name,
    /// An event said that its name is gone, and for some time none told of another name.
    Vanished,
    /// The listings of a scan did not show it, or an event said that its last name was removed.
    /// `sure`: nothing was renamed meanwhile.
    Missed { sure: bool },
}

/// What the directories say at this moment, as far as they were asked.
#[derive(Clone, Debug, Default)]
pub(super) struct Looks {
    /// Under the name that was seen.
    pub seen: Looked,
    /// Under the name that the table has.
    pub ours: Looked,
    /// Under any other name that the message may have.
    pub elsewhere: Option<Sought>,
}

/// What is under a name.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Looked {
    #[default]
    NotYet,
    Nothing,
    File(Stat),
}

impl From<Option<Stat>> for Looked {
    fn from(stat: Option<Stat>) -> Looked {
        stat.map_or(Looked::Nothing, Looked::File)
    }
}

/// What follows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Judgement {
    /// It depends on this look.
    Look(Where),
    /// There is nothing to do, or whatever there is to do will be seen too.
    Nothing,
    /// It is a new message.
    LetIn,
    /// The message has the name that was seen, and the flags that this name shows.
    Adopt,
    /// The message is here: this name is a hint as good as the one that was seen.
    Follow(Place, Vec<u8>),
    /// It is one file with two names.  The program that made the second may still be at work.
    Linked,
    /// The program that made the second name stopped long ago: the name goes.
    RemoveLink,
    /// It is another file: a message of its own, which needs a base name of its own.
    Separate,
    /// It is missing, and judged as such when everything else that was seen has been.
    Missing,
    /// The message has no file any more.
    Expunge,
    /// Only a scan can tell.
    Scan,
}

/// Where to look.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Where {
    Seen,
    Ours,
    Elsewhere,
}

pub(super) fn judge(
    table: InTable,
    evidence: Evidence,
    looks: &Looks,
    now: SystemTime,
) -> Judgement {
    match (evidence, table) {
        (Evidence::Name, InTable::Same) => Judgement::Nothing,
        (Evidence::Name, InTable::Nothing { believed: true }) => Judgement::LetIn,
        (Evidence::Name, InTable::Nothing { believed: false }) => match looks.seen {
            Looked::NotYet => Judgement::Look(Where::Seen),
            Looked::File(_) => Judgement::LetIn,
            Looked::Nothing => follow(looks, Judgement::Nothing, Judgement::Nothing),
        },
        (Evidence::Name, InTable::Other) => match (looks.seen, looks.ours) {
            (Looked::NotYet, _) => Judgement::Look(Where::Seen),
            (Looked::Nothing, _) => Judgement::Nothing,
            (Looked::File(_), Looked::NotYet) => Judgement::Look(Where::Ours),
            (Looked::File(_), Looked::Nothing) => Judgement::Adopt,
            (Looked::File(seen), Looked::File(ours)) => two_names(&seen, &ours, now),
        },
        (Evidence::Vanished | Evidence::Missed { .. }, _) => match (looks.ours, evidence) {
            (Looked::NotYet, _) => Judgement::Look(Where::Ours),
            (Looked::File(_), _) => Judgement::Nothing,
            (Looked::Nothing, Evidence::Missed { sure: true }) => Judgement::Expunge,
            (Looked::Nothing, Evidence::Vanished) => {
                follow(looks, Judgement::Missing, Judgement::Scan)
            }
            // Two scans did not show it, and it has none of the names that flags can give.
            (Looked::Nothing, _) => follow(looks, Judgement::Expunge, Judgement::Expunge),
        },
    }
}

/// There is no file under the name where it should be.
fn follow(looks: &Looks, gone: Judgement, unsure: Judgement) -> Judgement {
    match &looks.elsewhere {
        None => Judgement::Look(Where::Elsewhere),
        Some(Sought::At(place, name)) => Judgement::Follow(*place, name.clone()),
        Some(Sought::Gone) => gone,
        Some(Sought::Unsure) => unsure,
    }
}

fn two_names(seen: &Stat, ours: &Stat, now: SystemTime) -> Judgement {
    if !seen.is_same_file(ours) {
        return Judgement::Separate;
    }
    let changed: SystemTime = seen.ctime.into();
    match now.duration_since(changed) {
        Ok(age) if age > LINK_AGE => Judgement::RemoveLink,
        _ => Judgement::Linked,
    }
}

/// An event that says that a name of a known message is gone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Vanishing {
    /// The file was removed, not renamed.
    pub unlinked: bool,
    /// It is the name that the table has.
    pub ours: bool,
    /// The message was seen under two names.
    pub linked: bool,
    /// The name that the table has vanished before.
    pub suspected: bool,
}

/// What such an event means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Suspicion {
    None,
    /// It was renamed, perhaps: the new name comes soon.
    Begins,
    /// It was removed under its last name.
    Missed,
}

pub(super) fn suspect(event: Vanishing) -> Suspicion {
    // One of two names says nothing of the other.
    let is_last = event.unlinked && !event.linked;
    match (event.ours, is_last) {
        (true, false) => Suspicion::Begins,
        (true, true) => Suspicion::Missed,
        // Renamed, and then removed under its last name.
        (false, true) if event.suspected => Suspicion::Missed,
        (false, _) => Suspicion::None,
    }
}

/// Parts the messages that the listings of a scan did not show into those that count as missing and
/// those that are doubted, which are ascending.  If names were moving all the while (not `quiet`),
/// only those count that the scan before did not show either, which are `doubted`.
pub(super) fn doubt(mut missing: Vec<u32>, doubted: &[u32], quiet: bool) -> (Vec<u32>, Vec<u32>) {
    if quiet {
        return (missing, Vec::new());
    }
    missing.sort_unstable();
    missing.dedup();
    missing
        .into_iter()
        .partition(|uid| doubted.binary_search(uid).is_ok())
}

/// A program that renames by link and unlink has done both long before.
const LINK_AGE: Duration = Duration::from_secs(30);

#[cfg(test)]
mod tests {
    use super::*;
    use crate::maildir::disk::dir::{FileKind, Time};

    const NOW: i64 = 1_000_000;

    fn file(inode: u64, age: i64) -> Looked {
        let time = Time {
            seconds: NOW - age,
            nanoseconds: 1,
        };
        Looked::File(Stat {
            device: 1,
            inode,
            size: 1,
            links: 1,
            mode: 0o600,
            uid: 1,
            gid: 1,
            kind: FileKind::File,
            atime: time,
            mtime: time,
            ctime: time,
        })
    }

    /// The looks that are taken, in order, and what follows from them.
    fn run(table: InTable, evidence: Evidence, there: &Looks) -> (Vec<Where>, Judgement) {
        let now = Time {
            seconds: NOW,
            nanoseconds: 0,
        };
        let (mut taken, mut looks) = (Vec::new(), Looks::default());
        loop {
            match judge(table, evidence, &looks, now.into()) {
                Judgement::Look(at) => {
                    assert!(!taken.contains(&at), "{at:?} twice");
                    taken.push(at);
                    match at {
                        Where::Seen => looks.seen = there.seen,
                        Where::Ours => looks.ours = there.ours,
                        Where::Elsewhere => looks.elsewhere = there.elsewhere.clone(),
                    }
                }
                judgement => return (taken, judgement),
            }
        }
    }

    #[test]
    fn each_race_of_the_essay_ends_as_it_says() {
        use Evidence::{Missed, Name, Vanished};
        use InTable::{Other, Same};
        use Where::{Elsewhere, Ours, Seen};
        const NEW: InTable = InTable::Nothing { believed: false };
        const ONE_OF_MANY: InTable = InTable::Nothing { believed: true };
        let at = || Sought::At(Place::Cur, b"1.host:2,S".to_vec());
        let followed = || Judgement::Follow(Place::Cur, b"1.host:2,S".to_vec());
        let none = Looked::Nothing;
        let (gone, unsure) = (Sought::Gone, Sought::Unsure);
        let mail = file(7, 60);
        let young = file(7, 5);
        let other = file(8, 60);
        type Row = (
            &'static str,
            InTable,
            Evidence,
            (Looked, Looked, Option<Sought>),
            &'static [Where],
            Judgement,
        );
        #[rustfmt::skip]
        let rows: Vec<Row> = vec![
            ("a delivery", NEW, Name,
                (mail, none, None), &[Seen], Judgement::LetIn),
            ("a listing of very many new messages", ONE_OF_MANY, Name,
                (none, none, None), &[], Judgement::LetIn),
            ("a delivery, flagged before its event is read", NEW, Name,
                (none, none, Some(at())), &[Seen, Elsewhere], followed()),
            ("a delivery, removed before its event is read", NEW, Name,
                (none, none, Some(gone)), &[Seen, Elsewhere], Judgement::Nothing),
            ("a delivery, renamed all the time", NEW, Name,
                (none, none, Some(unsure)), &[Seen, Elsewhere], Judgement::Nothing),
            ("what a listing shows that is known", Same, Name,
                (mail, mail, None), &[], Judgement::Nothing),
            ("a change of flags", Other, Name,
                (mail, none, None), &[Seen, Ours], Judgement::Adopt),
            ("a change of flags, changed again", Other, Name,
                (none, none, None), &[Seen], Judgement::Nothing),
            ("a change of flags, taken back: the old name is there", Other, Name,
                (none, mail, None), &[Seen], Judgement::Nothing),
            ("link and unlink, between the two", Other, Name,
                (young, young, None), &[Seen, Ours], Judgement::Linked),
            ("link, and a crash before unlink", Other, Name,
                (mail, mail, None), &[Seen, Ours], Judgement::RemoveLink),
            ("another message with the base name", Other, Name,
                (other, mail, None), &[Seen, Ours], Judgement::Separate),
            ("a file put back in place of an expunged one", NEW, Name,
                (other, none, None), &[Seen], Judgement::LetIn),
            ("a vanished name that is there again", Same, Vanished,
                (none, mail, None), &[Ours], Judgement::Nothing),
            ("a rename whose new name was not told", Same, Vanished,
                (none, none, Some(at())), &[Ours, Elsewhere], followed()),
            ("a message moved to another folder", Same, Vanished,
                (none, none, Some(Sought::Gone)), &[Ours, Elsewhere], Judgement::Missing),
            ("a vanished name while names are moving", Same, Vanished,
                (none, none, Some(Sought::Unsure)), &[Ours, Elsewhere], Judgement::Scan),
            ("what a quiet listing did not show", Same, Missed { sure: true },
                (none, none, None), &[Ours], Judgement::Expunge),
            ("what a listing did not show and is there", Same, Missed { sure: true },
                (none, mail, None), &[Ours], Judgement::Nothing),
            ("what two scans of moving names did not show", Same, Missed { sure: false },
                (none, none, Some(at())), &[Ours, Elsewhere], followed()),
            ("the same, with none of the names that flags give", Same, Missed { sure: false },
                (none, none, Some(Sought::Unsure)), &[Ours, Elsewhere], Judgement::Expunge),
            ("what moving names hid, and is there", Same, Missed { sure: false },
                (none, mail, None), &[Ours], Judgement::Nothing),
        ];
        for (race, table, evidence, (seen, ours, elsewhere), taken, judgement) in rows {
            let there = Looks {
                seen,
                ours,
                elsewhere,
            };
            let end = run(table, evidence, &there);
            assert_eq!(end, (taken.to_vec(), judgement), "{race}");
        }
    }

    #[test]
    fn nothing_is_expunged_whose_file_was_just_seen_under_its_name() {
        let evidence = [
            Evidence::Name,
            Evidence::Vanished,
            Evidence::Missed { sure: true },
            Evidence::Missed { sure: false },
        ];
        let everywhere = [Looked::Nothing, file(7, 60), file(8, 60)];
        let sought = [Sought::Gone, Sought::Unsure];
        for evidence in evidence {
            for table in [InTable::Same, InTable::Other] {
                for (seen, elsewhere) in everywhere.iter().zip(sought.iter().cycle()) {
                    let there = Looks {
                        seen: *seen,
                        ours: file(7, 60),
                        elsewhere: Some(elsewhere.clone()),
                    };
                    let (_, judgement) = run(table, evidence, &there);
                    let kept = !matches!(judgement, Judgement::Missing | Judgement::Expunge);
                    assert!(kept, "{evidence:?}: {judgement:?}");
                }
            }
        }
    }

    #[test]
    fn only_the_removal_of_the_last_name_is_no_rename() {
        let event = |unlinked, ours, linked, suspected| {
            suspect(Vanishing {
                unlinked,
                ours,
                linked,
                suspected,
            })
        };
        // Renamed, or moved to another folder.
        assert_eq!(event(false, true, false, false), Suspicion::Begins);
        // Removed.
        assert_eq!(event(true, true, false, false), Suspicion::Missed);
        // Link and unlink: the other name stays.
        assert_eq!(event(true, true, true, false), Suspicion::Begins);
        assert_eq!(event(true, false, true, true), Suspicion::None);
        // Renamed and then removed, before the first event was read.
        assert_eq!(event(true, false, false, true), Suspicion::Missed);
        // An old name of a message that has another one by now.
        assert_eq!(event(true, false, false, false), Suspicion::None);
        assert_eq!(event(false, false, false, true), Suspicion::None);
    }

    #[test]
    fn what_moving_names_hide_counts_only_when_two_scans_in_a_row_miss_it() {
        assert_eq!(doubt(vec![3, 1], &[], true), (vec![3, 1], vec![]));
        assert_eq!(doubt(vec![3, 1, 3], &[], false), (vec![], vec![1, 3]));
        assert_eq!(doubt(vec![1, 3], &[2, 3], false), (vec![3], vec![1]));
        assert_eq!(doubt(vec![], &[2, 3], false), (vec![], vec![]));
    }
}
