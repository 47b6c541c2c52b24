//! The directory that everybody works on, and what is seen of it after each call: names that came
//! and went, by whose hand.  What no server may do to a file is found out here.
//!
//! The kernel's times are replaced by those of the simulated clock, which moves in ticks as the
//! kernel's does.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use nix::fcntl::AT_FDCWD;
use nix::sys::stat::{UtimensatFlags, utimensat};
use nix::sys::time::TimeSpec;
use roost::maildir::disk::dir::Time;
use roost::maildir::disk::dir::world::Happened;

use crate::world::{Intent, Wish};

/// The folders, by their directories.
pub const FOLDERS: [&str; 2] = ["", ".Box"];
const PLACES: [&str; 3] = ["new", "cur", "tmp"];

pub struct Disk {
    pub root: PathBuf,
    names: BTreeMap<Spot, u64>,
    /// What each file is, by inode: the number in its text.
    serials: HashMap<u64, u32>,
    /// Names in INBOX that each message had, with the step from which on; `None`: it was gone.
    pub history: BTreeMap<u32, Vec<(usize, Option<Spot>)>>,
    /// How often each message came to INBOX.
    pub arrivals: BTreeMap<u32, usize>,
    /// Messages that are gone, with the last name.
    pub graveyard: Vec<(u32, String)>,
    versions: HashMap<u64, (Version, Time)>,
    /// The most files there may be, and the octets that are left.
    room: Option<(usize, u32)>,
    /// There was a time when not everything could be written.
    pub was_full: bool,
    files: usize,
    last_serial: u32,
}

#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Spot {
    pub folder: usize,
    pub place: usize,
    pub name: String,
}

/// By what a file that changed can be told from what it was.
type Version = (PathBuf, u64, u64, i64, i64);

#[derive(Default)]
pub struct Seen {
    pub happened: Vec<(PathBuf, Happened)>,
    pub broken: Option<(&'static str, String)>,
}

impl Spot {
    pub fn base(&self) -> &str {
        self.name.split(':').next().unwrap_or_default()
    }

    /// The letters of the flags.
    pub fn letters(&self) -> BTreeSet<char> {
        let info = self.name.split_once(":2,").map_or("", |(_, info)| info);
        info.chars().collect()
    }

    fn system(&self) -> BTreeSet<char> {
        let mut letters = self.letters();
        letters.retain(char::is_ascii_uppercase);
        letters
    }

    fn is_mail(&self) -> bool {
        self.place < 2
    }
}

impl Disk {
    pub fn new(root: PathBuf) -> Disk {
        for folder in FOLDERS {
            for place in PLACES {
                fs::create_dir_all(root.join(folder).join(place)).unwrap();
            }
        }
        Disk {
            root,
            names: BTreeMap::new(),
            serials: HashMap::new(),
            history: BTreeMap::new(),
            arrivals: BTreeMap::new(),
            graveyard: Vec::new(),
            versions: HashMap::new(),
            room: None,
            was_full: false,
            files: 0,
            last_serial: 0,
        }
    }

    /// For a message that has never been.
    pub fn next_serial(&mut self) -> u32 {
        self.last_serial += 1;
        self.last_serial
    }

    pub fn path(&self, spot: &Spot) -> PathBuf {
        self.directory(spot.folder, spot.place).join(&spot.name)
    }

    fn directory(&self, folder: usize, place: usize) -> PathBuf {
        match FOLDERS[folder] {
            "" => self.root.join(PLACES[place]),
            name => self.root.join(name).join(PLACES[place]),
        }
    }

    /// So many more files and octets fit; `None`: as many as anybody likes.
    pub fn set_room(&mut self, room: Option<(usize, u32)>) {
        self.room = room.map(|(files, octets)| (self.files + files, octets));
        self.was_full |= room.is_some();
    }

    pub fn is_full(&self) -> bool {
        self.room.is_some()
    }

    /// Whether a call finds the room it needs.
    pub fn has_room(&mut self, call: &str) -> bool {
        let Some((files, octets)) = &mut self.room else {
            return true;
        };
        match call {
            "create" | "mkdir" => self.files < *files,
            // One of ours is some 50 octets long.
            "write" => match octets.checked_sub(50) {
                Some(left) => {
                    *octets = left;
                    true
                }
                None => false,
            },
            _ => true,
        }
    }

    pub fn changed(&self, inode: u64) -> Option<Time> {
        self.versions.get(&inode).map(|(_, changed)| *changed)
    }

    /// The mail of a folder, with what it is.
    pub fn mail(&self, folder: usize) -> impl Iterator<Item = (&Spot, u32)> {
        self.names
            .iter()
            .filter(move |(spot, _)| spot.folder == folder && spot.is_mail())
            .map(|(spot, inode)| (spot, self.serials.get(inode).copied().unwrap_or(0)))
    }

    /// The names that a message has had in INBOX from that step on.
    pub fn spots_since(&self, serial: u32, step: usize) -> Vec<Option<&Spot>> {
        let Some(history) = self.history.get(&serial) else {
            return Vec::new();
        };
        let first = history.partition_point(|(at, _)| *at <= step);
        let since = history.iter().skip(first.saturating_sub(1));
        since.map(|(_, spot)| spot.as_ref()).collect()
    }

    /// What has changed.  `server` are the wishes of its clients, if a server did it.
    pub fn look(&mut self, now: SystemTime, step: usize, server: Option<&Vec<Intent>>) -> Seen {
        self.stamp(now);
        let before = std::mem::take(&mut self.names);
        self.names = self.list();
        let mut seen = Seen::default();
        let changed: Vec<(Spot, Option<u64>, Option<u64>)> = before
            .keys()
            .chain(self.names.keys())
            .collect::<BTreeSet<_>>()
            .into_iter()
            .map(|spot| {
                let (old, new) = (before.get(spot).copied(), self.names.get(spot).copied());
                (spot.clone(), old, new)
            })
            .filter(|(_, old, new)| old != new)
            .collect();
        let inodes = |names: &BTreeMap<Spot, u64>| names.values().copied().collect::<BTreeSet<_>>();
        let (were, are) = (inodes(&before), inodes(&self.names));
        for (spot, _, new) in &changed {
            if let (Some(inode), true) = (new, spot.is_mail()) {
                let path = self.path(spot);
                self.serials.entry(*inode).or_insert_with(|| serial(&path));
            }
        }
        self.tell(&changed, &are, &mut seen);
        if let Some(intents) = server {
            seen.broken = self.judge(&changed, (&were, &are), intents);
        }
        self.remember(&changed, &are, step);
        seen
    }

    fn tell(
        &self,
        changed: &[(Spot, Option<u64>, Option<u64>)],
        are: &BTreeSet<u64>,
        seen: &mut Seen,
    ) {
        let moved: BTreeSet<u64> = changed.iter().filter_map(|(_, _, new)| *new).collect();
        for (spot, old, _) in changed
            .iter()
            .filter(|(_, old, new)| old.is_some() && new.is_none())
        {
            let inode = old.unwrap_or_default();
            let unlinked = !(are.contains(&inode) && moved.contains(&inode));
            let name = spot.name.clone().into_bytes();
            let directory = self.directory(spot.folder, spot.place);
            let happened = Happened::Vanished { name, unlinked };
            seen.happened.push((directory, happened));
        }
        for (spot, ..) in changed.iter().filter(|(_, _, new)| new.is_some()) {
            let name = spot.name.clone().into_bytes();
            let directory = self.directory(spot.folder, spot.place);
            seen.happened.push((directory, Happened::Appeared(name)));
        }
    }

    /// What a server may not do.
    fn judge(
        &self,
        changed: &[(Spot, Option<u64>, Option<u64>)],
        (_, are): (&BTreeSet<u64>, &BTreeSet<u64>),
        intents: &[Intent],
    ) -> Option<(&'static str, String)> {
        let wants = |wish: &dyn Fn(&Wish) -> bool| intents.iter().any(|intent| wish(&intent.what));
        let expunges = wants(&|wish| matches!(wish, Wish::Expunge | Wish::ExpungeOnly(_)));
        let moves = wants(&|wish| *wish == Wish::Move);
        for (spot, old, new) in changed.iter().filter(|(spot, ..)| spot.is_mail()) {
            if let Some(inode) = old
                && !are.contains(inode)
                && !(expunges && spot.letters().contains(&'T'))
                && !(moves && spot.folder == 0 && self.is_elsewhere(*inode))
            {
                return Some(("destroyed", format!("{} for {intents:?}", spot.name)));
            }
            let Some(inode) = new.filter(|_| old.is_none()) else {
                continue;
            };
            if let Some(broken) = self.judge_new(spot, inode, changed, intents) {
                return Some(broken);
            }
        }
        None
    }

    /// A copy in the other folder has the same text.
    fn is_elsewhere(&self, inode: u64) -> bool {
        let serial = self.serials.get(&inode);
        let mut others = self
            .names
            .iter()
            .filter(|(spot, _)| spot.folder == 1 && spot.is_mail());
        others.any(|(_, other)| self.serials.get(other) == serial)
    }

    /// A name that a server made.
    fn judge_new(
        &self,
        spot: &Spot,
        inode: u64,
        changed: &[(Spot, Option<u64>, Option<u64>)],
        intents: &[Intent],
    ) -> Option<(&'static str, String)> {
        let serial = self.serials.get(&inode).copied().unwrap_or(0);
        let from = changed.iter().find(|(other, old, new)| {
            other.is_mail() && old == &Some(inode) && new != &Some(inode)
        });
        if spot.folder == 1 {
            let wanted = intents
                .iter()
                .find(|intent| matches!(intent.what, Wish::Copy | Wish::Move));
            // What is not in INBOX was not copied from there.
            let (Some(wanted), Some(_)) = (wanted, self.history.get(&serial)) else {
                return None;
            };
            let names = self.spots_since(serial, wanted.since);
            let mut flags = names.iter().flatten().map(|spot| spot.system());
            if spot.place == 1 && !flags.any(|flags| flags == spot.system()) {
                let text = format!("{} is a copy of {names:?}", spot.name);
                return Some(("copied flags", text));
            }
            return None;
        }
        let (from, ..) = from.filter(|(from, ..)| from.folder == 0)?;
        let (before, after) = (from.letters(), spot.letters());
        let wishes = intents.iter().map(|intent| &intent.what);
        let wishes: Vec<&Wish> = wishes.collect();
        let added = after.difference(&before).find(|letter| {
            !wishes.iter().any(|wish| match wish {
                Wish::Add(flags) => flags.contains(**letter),
                Wish::Replace => true,
                Wish::Read => **letter == 'S',
                _ => false,
            })
        });
        let removed = before.difference(&after).find(|letter| {
            !wishes.iter().any(|wish| match wish {
                Wish::Remove(flags) => flags.contains(**letter),
                Wish::Replace => true,
                _ => false,
            })
        });
        (added.is_some() || removed.is_some()).then(|| {
            let text = format!("{} became {} for {wishes:?}", from.name, spot.name);
            ("changed flags", text)
        })
    }

    fn remember(
        &mut self,
        changed: &[(Spot, Option<u64>, Option<u64>)],
        are: &BTreeSet<u64>,
        step: usize,
    ) {
        for (spot, old, new) in changed
            .iter()
            .filter(|(spot, ..)| spot.folder == 0 && spot.is_mail())
        {
            for inode in [old, new].into_iter().flatten() {
                let Some(&serial) = self.serials.get(inode) else {
                    continue;
                };
                let now = self.mail(0).find(|(_, other)| *other == serial);
                let now = now.map(|(spot, _)| spot.clone());
                let history = self.history.entry(serial).or_default();
                let was = history.last().and_then(|(_, spot)| spot.clone());
                if was == now && !history.is_empty() {
                    continue;
                }
                if was.is_none() && now.is_some() {
                    *self.arrivals.entry(serial).or_default() += 1;
                }
                history.push((step, now.clone()));
                if now.is_none() && !are.contains(inode) {
                    self.graveyard.push((serial, spot.name.clone()));
                }
            }
        }
    }

    fn list(&self) -> BTreeMap<Spot, u64> {
        let mut names = BTreeMap::new();
        for folder in 0..FOLDERS.len() {
            for place in 0..PLACES.len() {
                for entry in entries(&self.directory(folder, place)) {
                    let name = entry.file_name().into_string().unwrap();
                    let spot = Spot {
                        folder,
                        place,
                        name,
                    };
                    let inode = fs::DirEntry::metadata(&entry).map(|found| found.ino());
                    names.extend(inode.ok().map(|inode| (spot, inode)));
                }
            }
        }
        names
    }

    /// Gives what the kernel has put its own time on that of the simulation.
    fn stamp(&mut self, now: SystemTime) {
        let since = now.duration_since(SystemTime::UNIX_EPOCH).unwrap();
        let ticks = since.as_millis() as u64 / TICK;
        let tick = TimeSpec::from_duration(Duration::from_millis(ticks * TICK));
        let mut paths = vec![self.root.clone()];
        for folder in FOLDERS {
            let folder = self.root.join(folder);
            paths.extend(entries(&folder).map(|entry| entry.path()));
            for place in PLACES {
                paths.extend(entries(&folder.join(place)).map(|entry| entry.path()));
            }
        }
        self.files = paths.len();
        for path in paths {
            let Ok(found) = fs::symlink_metadata(&path) else {
                continue;
            };
            if found.mtime() >= KERNEL_TIMES {
                let how = UtimensatFlags::NoFollowSymlink;
                utimensat(AT_FDCWD, &path, &tick, &tick, how).unwrap();
            }
            let found = fs::symlink_metadata(&path).unwrap();
            let seconds = (found.mtime(), found.mtime_nsec());
            let version = (path, found.size(), found.nlink(), seconds.0, seconds.1);
            let known = self.versions.get(&found.ino());
            if known.is_none_or(|(known, _)| *known != version) {
                self.versions.insert(found.ino(), (version, now.into()));
            }
        }
    }
}

fn entries(directory: &Path) -> impl Iterator<Item = fs::DirEntry> {
    fs::read_dir(directory).into_iter().flatten().flatten()
}

/// The number in a message's text, 0 if there is none.
pub fn serial(path: &Path) -> u32 {
    let text = fs::read(path).unwrap_or_default();
    serial_of(&text)
}

pub fn serial_of(text: &[u8]) -> u32 {
    let text = String::from_utf8_lossy(text);
    let number = text.strip_prefix("Subject: ").map(|rest| {
        let digits = rest.find(|letter: char| !letter.is_ascii_digit());
        rest[..digits.unwrap_or(rest.len())].parse().unwrap_or(0)
    });
    number.unwrap_or(0)
}

pub fn text(serial: u32) -> String {
    format!("Subject: {serial}\n\ntext\n")
}

/// 2025: later times are not of the simulation.
const KERNEL_TIMES: i64 = 1_735_689_600;

/// The clock for file times moves in so many milliseconds.
const TICK: u64 = 4;
