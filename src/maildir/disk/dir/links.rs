//! Symbolic links: whose are followed, and what becomes of the others.
//!
//! A link decides which file is read, written or moved with this process's rights.  So a link is
//! followed only if it belongs to the user or to root, who have those rights anyway.  Otherwise the
//! owner of a shared folder could lead the others' mail into it.  Where several users share a uid,
//! the uid does not say whose a link is, and only root's links are followed: the administrator has
//! made them.
//!
//! The kernel opens nothing through a link.  A link is walked component by component, and each
//! component is looked at through a descriptor, so that nobody can change what was looked at.  A
//! link that is not followed is logged once, and looks to the caller like a loop
//! ([`super::is_loop`]).

use std::collections::BTreeSet;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::ffi::OsStringExt;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};

use nix::errno::Errno;
use nix::fcntl::{self, OFlag};
use nix::libc;
use nix::sys::stat::{self, Mode};
use nix::unistd;

use super::as_path;

static ONLY_OF_ROOT: AtomicBool = AtomicBool::new(false);

/// Says that other users have the uid of this process too.
pub fn follow_only_those_of_root() {
    ONLY_OF_ROOT.store(true, Ordering::Relaxed);
}

/// Calls `last` for what `name` in `dir` is or leads to, with the directory that it is in and its
/// name there, which is no link.  `path` is where `dir` is, for the log.
pub(super) fn follow<T>(
    dir: BorrowedFd<'_>,
    path: &Path,
    name: &[u8],
    last: impl FnOnce(BorrowedFd<'_>, &[u8]) -> nix::Result<T>,
) -> nix::Result<T> {
    let mut here = fcntl::openat(dir, ".", BY_NAME, Mode::empty())?;
    let mut left = components(name);
    let mut links = 0;
    while let Some(component) = left.pop() {
        let entry = fcntl::openat(&here, component.as_slice(), BY_NAME, Mode::empty())?;
        let facts = stat::fstat(&entry)?;
        if facts.st_mode & libc::S_IFMT != libc::S_IFLNK {
            match left.is_empty() {
                true => return last(here.as_fd(), &component),
                false => here = entry,
            }
            continue;
        }
        links += 1;
        if links > LINKS_MAX {
            return Err(Errno::ELOOP);
        }
        if !is_trusted(facts.st_uid) {
            tell(path.join(as_path(name)), facts.st_uid);
            return Err(Errno::ELOOP);
        }
        let target = fcntl::readlinkat(&entry, "")?.into_vec();
        if target.starts_with(b"/") {
            here = fcntl::open("/", BY_NAME, Mode::empty())?;
        }
        left.extend(components(&target));
    }
    last(here.as_fd(), b".")
}

/// Opens the entry itself, whatever it is.  As a directory it has nothing in it.
pub(super) fn hold(dir: BorrowedFd<'_>, name: &[u8]) -> nix::Result<OwnedFd> {
    fcntl::openat(dir, name, BY_NAME, Mode::empty())
}

/// The components of a path, the last first.
fn components(path: &[u8]) -> Vec<Vec<u8>> {
    let parts = path.split(|&byte| byte == b'/').rev();
    let parts = parts.filter(|part| !matches!(*part, b"" | b"."));
    parts.map(<[u8]>::to_vec).collect()
}

fn is_trusted(owner: u32) -> bool {
    owner == 0 || (!ONLY_OF_ROOT.load(Ordering::Relaxed) && owner == unistd::geteuid().as_raw())
}

fn tell(link: PathBuf, owner: u32) {
    // The set is whole even if a thread that held the lock has panicked.
    let mut told = TOLD.lock().unwrap_or_else(PoisonError::into_inner);
    if told.len() >= TOLD_MAX || told.contains(&link) {
        return;
    }
    let shown = link.display();
    match owner == unistd::geteuid().as_raw() {
        true => log::warn!(
            "{shown} is or leads over a link that is not followed: uid {owner} is that of several users, so only \
             root's links are (chown -h root)"
        ),
        false => log::warn!(
            "{shown} is or leads over a link of uid {owner}, which is not followed: only the user's own \
             and root's are"
        ),
    }
    told.insert(link);
}

/// Links that have been logged.
static TOLD: Mutex<BTreeSet<PathBuf>> = Mutex::new(BTreeSet::new());

/// How many links are logged.  More are made to fill the log.
const TOLD_MAX: usize = 100;

/// How many links are followed: as many as the kernel follows.
const LINKS_MAX: usize = 40;

const BY_NAME: OFlag = OFlag::O_PATH
    .union(OFlag::O_NOFOLLOW)
    .union(OFlag::O_CLOEXEC);
