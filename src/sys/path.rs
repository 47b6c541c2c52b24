//! A directory that root was told to work on: whose it is, and who else could have led root
//! elsewhere.
//!
//! The path is walked once, component by component and link by link, each opened by name in the one
//! before and looked at by its descriptor.  A user who may change a component decides what the path
//! means.  So this may only be root, or the owner of the directory, whom root becomes.  Then nobody
//! gains rights.

use std::fs::File;
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use nix::errno::Errno;
use nix::fcntl::{self, OFlag};
use nix::sys::stat::Mode;

/// Whose directory it is.
#[derive(Debug, PartialEq, Eq)]
pub struct PathOwner {
    pub uid: u32,
    pub gid: u32,
}

/// Why a path is nothing that root may work on.
#[derive(Debug)]
pub enum PathError {
    Io(io::Error),
    /// This component of it can be changed by others than root and the directory's owner.
    Changeable(PathBuf),
}

/// Who can change a component.
enum Changer {
    User(u32),
    Group,
    Anybody,
}

/// The owner of the directory at `path`, which is absolute, if nobody else decides what the path
/// means.
pub fn owner(path: &Path) -> Result<PathOwner, PathError> {
    let mut walk = Walk {
        changers: Vec::new(),
        users: Users::read(),
    };
    let directory = walk.to(path)?;
    let facts = directory.metadata()?;
    let owner = PathOwner {
        uid: facts.uid(),
        gid: facts.gid(),
    };
    if owner.uid == 0 {
        // A user who can make a link in it can lead root elsewhere.
        walk.note_directory(&facts, path);
    }
    let wrong = walk
        .changers
        .into_iter()
        .find(|(changer, _)| match changer {
            Changer::User(uid) => *uid != owner.uid,
            // Directories of mail often belong to a group that delivers into them.
            Changer::Group => owner.uid == 0,
            Changer::Anybody => true,
        });
    match wrong {
        Some((_, component)) => Err(PathError::Changeable(component)),
        None => Ok(owner),
    }
}

struct Walk {
    changers: Vec<(Changer, PathBuf)>,
    users: Users,
}

impl Walk {
    fn to(&mut self, path: &Path) -> io::Result<File> {
        let mut here = File::from(fcntl::open("/", BY_NAME, Mode::empty())?);
        let mut shown = PathBuf::from("/");
        let mut left = components(path.as_os_str().as_bytes());
        let mut links = 0;
        while let Some(component) = left.pop() {
            let name = Path::new(std::ffi::OsStr::from_bytes(&component));
            let facts = here.metadata()?;
            let entry = open_in(&here, &component)?;
            let entry_facts = entry.metadata()?;
            match facts.mode() & STICKY {
                // In such a directory nobody changes what belongs to others.
                STICKY => self.note_user(facts.uid(), &shown),
                _ => self.note_directory(&facts, &shown),
            }
            let is_link = entry_facts.file_type().is_symlink();
            if is_link || facts.mode() & STICKY != 0 {
                self.note_user(entry_facts.uid(), &shown.join(name));
            }
            if !is_link {
                here = entry;
                shown.push(name);
                continue;
            }
            links += 1;
            if links > LINKS_MAX {
                return Err(Errno::ELOOP.into());
            }
            let target = fcntl::readlinkat(&entry, "")?.into_vec();
            if target.starts_with(b"/") {
                here = File::from(fcntl::open("/", BY_NAME, Mode::empty())?);
                shown = PathBuf::from("/");
            }
            left.extend(components(&target));
        }
        match here.metadata()?.is_dir() {
            true => Ok(here),
            false => Err(Errno::ENOTDIR.into()),
        }
    }

    fn note_directory(&mut self, facts: &std::fs::Metadata, shown: &Path) {
        self.note_user(facts.uid(), shown);
        if facts.mode() & 0o002 != 0 {
            self.changers.push((Changer::Anybody, shown.to_owned()));
        }
        if facts.mode() & 0o020 != 0 && facts.gid() != 0 {
            self.changers.push((Changer::Group, shown.to_owned()));
        }
    }

    fn note_user(&mut self, uid: u32, shown: &Path) {
        if uid != 0 && self.users.has(uid) {
            self.changers.push((Changer::User(uid), shown.to_owned()));
        }
    }
}

/// The users of the user namespace that this process is in.  Files of users outside are shown as
/// those of a user who does not exist, and those users could do anything inside anyway.
struct Users(Vec<(u32, u32)>);

impl Users {
    fn read() -> Users {
        let map = std::fs::read_to_string("/proc/self/uid_map").unwrap_or_default();
        let ranges = map.lines().filter_map(|line| {
            let mut fields = line.split_ascii_whitespace();
            let start = fields.next()?.parse().ok()?;
            let length = fields.nth(1)?.parse().ok()?;
            Some((start, length))
        });
        Users(ranges.collect())
    }

    fn has(&self, uid: u32) -> bool {
        let is_in =
            |&(start, length): &(u32, u32)| uid.checked_sub(start).is_some_and(|n| n < length);
        self.0.is_empty() || self.0.iter().any(is_in)
    }
}

fn open_in(directory: &File, name: &[u8]) -> io::Result<File> {
    let opened: OwnedFd = fcntl::openat(directory, name, BY_NAME, Mode::empty())?;
    Ok(File::from(opened))
}

/// The last first.
fn components(path: &[u8]) -> Vec<Vec<u8>> {
    let parts = path.split(|&byte| byte == b'/').rev();
    let parts = parts.filter(|part| !matches!(*part, b"" | b"."));
    parts.map(<[u8]>::to_vec).collect()
}

impl From<io::Error> for PathError {
    fn from(error: io::Error) -> PathError {
        PathError::Io(error)
    }
}

const BY_NAME: OFlag = OFlag::O_PATH
    .union(OFlag::O_NOFOLLOW)
    .union(OFlag::O_CLOEXEC);

const STICKY: u32 = 0o1000;

/// How many links are followed: as many as the kernel follows.
const LINKS_MAX: usize = 40;
