//! Directory handles: the only place in Roost that makes file-system calls on mail.
//!
//! Everything is done relative to an open directory, so that a folder that is renamed or replaced
//! under us is either the one we opened or gone, never another.  Names are single path components
//! as raw bytes; a name with a NUL fails with `InvalidInput`.  Errors keep their errno: whose
//! fault it was the caller says; [`is_full`] and [`is_gone`] help.
//!
//! The calls can be made to fail or to stop at any point by [`fault`], for the crash tests.

mod exclusive;
#[doc(hidden)]
pub mod fault;
mod file;
mod process;
mod remote;

use std::ffi::OsStr;
use std::io::{self, Read};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::sync::Arc;

use nix::errno::Errno;
use nix::fcntl::{self, AtFlags, OFlag};
use nix::sys::stat::{self, Mode};
use nix::sys::time::TimeSpec;
use nix::unistd::{self, Gid, LinkatFlags, UnlinkatFlags};

pub use file::{File, Kind, Stat, Time};
pub use process::{host_name, own_process, process_exists};

use crate::sys::fs::{Entries, read_directory};

/// A directory kept open.  Clones share the descriptor.
#[derive(Clone, Debug)]
pub struct Dir {
    fd: Arc<OwnedFd>,
    /// Where it was when it was opened.
    path: Arc<Path>,
}

/// May a rename replace what has the new name already?
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Target {
    Replace,
    /// `AlreadyExists` when the name is taken.
    MustBeFree,
}

impl Dir {
    pub fn open(path: &Path) -> io::Result<Dir> {
        let fd = call("opendir", path.as_os_str().as_encoded_bytes(), || {
            fcntl::open(path, DIRECTORY, Mode::empty())
        })?;
        Ok(Dir {
            fd: Arc::new(fd),
            path: path.into(),
        })
    }

    /// The path by which it was opened, for messages: it may lead elsewhere by now.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Opens the directory `name` in this one.
    pub fn open_dir(&self, name: &[u8]) -> io::Result<Dir> {
        Ok(Dir {
            fd: Arc::new(self.open_at("opendir", name, DIRECTORY, 0)?),
            path: self.path.join(OsStr::from_bytes(name)).into(),
        })
    }

    /// Creates the directory `name` with mode and group of `access`.
    pub fn make_dir(&self, name: &[u8], access: &Access) -> io::Result<()> {
        let mode = Mode::from_bits_truncate(access.dir_mode);
        call("mkdir", name, || stat::mkdirat(&self.fd, name, mode))?;
        let made = self.open_dir(name)?;
        access.apply(&made.fd, access.dir_mode)
    }

    /// Opens a regular file for reading (symbolic links are followed).  A FIFO put in its place
    /// does not block us.
    pub fn open_file(&self, name: &[u8]) -> io::Result<File> {
        // Reading mail should not cost a write for its atime; that is for the owner to ask.
        let fd = match self.open_at("open", name, READ | OFlag::O_NOATIME, 0) {
            Err(error) if error.raw_os_error() == Some(Errno::EPERM as i32) => {
                self.open_at("open", name, READ, 0)?
            }
            other => other?,
        };
        let file = File { inner: fd.into() };
        match file.stat()?.kind {
            Kind::File => Ok(file),
            Kind::Directory => Err(Errno::EISDIR.into()),
            _ => Err(Errno::EINVAL.into()),
        }
    }

    /// Opens an existing file for reading anywhere and writing at its end.
    pub fn open_append(&self, name: &[u8]) -> io::Result<File> {
        let fd = self.open_at("open", name, APPEND, 0)?;
        Ok(File { inner: fd.into() })
    }

    /// Creates the file `name`, which must not exist, for reading and writing.
    pub fn create_new(&self, name: &[u8], access: &Access) -> io::Result<File> {
        let fd = self.open_at("create", name, CREATE, access.file_mode)?;
        if let Err(error) = access.apply(&fd, access.file_mode) {
            let _ = self.unlink(name);
            return Err(error);
        }
        Ok(File { inner: fd.into() })
    }

    /// The whole of a file, and its stat; `None` if there is none.  `FileTooLarge` if there are
    /// more than `limit` bytes in it.
    pub fn read(&self, name: &[u8], limit: usize) -> io::Result<Option<(Vec<u8>, Stat)>> {
        let mut file = match self.open_file(name) {
            Err(error) if is_gone(&error) => return Ok(None),
            other => other?,
        };
        let stat = file.stat()?;
        let size = usize::try_from(stat.size).unwrap_or(usize::MAX);
        let mut bytes = Vec::with_capacity(size.min(limit).saturating_add(1));
        let most = u64::try_from(limit).unwrap_or(u64::MAX).saturating_add(1);
        file.by_ref().take(most).read_to_end(&mut bytes)?;
        if bytes.len() > limit {
            return Err(io::ErrorKind::FileTooLarge.into());
        }
        Ok(Some((bytes, stat)))
    }

    pub fn rename(&self, name: &[u8], to: &Dir, new: &[u8], target: Target) -> io::Result<()> {
        match target {
            Target::Replace => call("rename", name, || {
                fcntl::renameat(&self.fd, name, &to.fd, new)
            }),
            Target::MustBeFree => self.rename_to_free(name, to, new),
        }
    }

    pub fn link(&self, name: &[u8], to: &Dir, new: &[u8]) -> io::Result<()> {
        call("link", name, || {
            unistd::linkat(&self.fd, name, &to.fd, new, LinkatFlags::empty())
        })
    }

    pub fn unlink(&self, name: &[u8]) -> io::Result<()> {
        call("unlink", name, || {
            unistd::unlinkat(&self.fd, name, UnlinkatFlags::NoRemoveDir)
        })
    }

    /// Removes an empty directory.
    pub fn remove_dir(&self, name: &[u8]) -> io::Result<()> {
        call("rmdir", name, || {
            unistd::unlinkat(&self.fd, name, UnlinkatFlags::RemoveDir)
        })
    }

    /// The stat of an entry, of a symbolic link itself; `None` if there is no such entry.
    pub fn stat(&self, name: &[u8]) -> io::Result<Option<Stat>> {
        self.stat_at(name, AtFlags::AT_SYMLINK_NOFOLLOW)
    }

    /// The stat of what an entry is or points to; `None` if there is nothing.
    pub fn stat_target(&self, name: &[u8]) -> io::Result<Option<Stat>> {
        self.stat_at(name, AtFlags::empty())
    }

    /// The stat of the directory itself; no links means that it was removed under us.
    pub fn stat_self(&self) -> io::Result<Stat> {
        call("fstat", b".", || stat::fstat(&*self.fd)).map(|stat| Stat::from(&stat))
    }

    pub fn set_mtime(&self, name: &[u8], mtime: Time) -> io::Result<()> {
        let (now, mtime) = (TimeSpec::UTIME_OMIT, mtime.into());
        call("utimens", name, || {
            let how = stat::UtimensatFlags::NoFollowSymlink;
            stat::utimensat(&self.fd, name, &now, &mtime, how)
        })
    }

    /// fsync of the directory: what was created, renamed and removed in it before is on disk.
    pub fn sync(&self) -> io::Result<()> {
        match call("fsync", b".", || unistd::fsync(&*self.fd)) {
            // Some file systems cannot do it for directories and need not.
            Err(error) if error.raw_os_error() == Some(Errno::EINVAL as i32) => Ok(()),
            other => other,
        }
    }

    /// Everything written to this file system before is on disk (syncfs).
    pub fn sync_file_system(&self) -> io::Result<()> {
        call("syncfs", b".", || unistd::syncfs(&*self.fd))
    }

    /// A listing from the start.
    pub fn list(&self) -> io::Result<Listing> {
        // A descriptor of its own, as the position in the directory goes with it.
        Ok(Listing {
            fd: self.open_at("opendir", b".", DIRECTORY, 0)?,
            buffer: vec![0; LISTING_BUFFER],
        })
    }

    /// What new files and directories in this folder take: from its `dovecot-shared` if there is
    /// one, else from the directory itself.
    pub fn access(&self) -> io::Result<Access> {
        let stat = match self.stat_target(b"dovecot-shared")? {
            Some(shared) => shared,
            None => self.stat_self()?,
        };
        Ok(Access::from_stat(&stat, unistd::getegid().as_raw()))
    }

    fn open_at(&self, what: &str, name: &[u8], flags: OFlag, mode: u32) -> io::Result<OwnedFd> {
        let mode = Mode::from_bits_truncate(mode);
        call(what, name, || fcntl::openat(&self.fd, name, flags, mode))
    }

    fn stat_at(&self, name: &[u8], flags: AtFlags) -> io::Result<Option<Stat>> {
        match call("stat", name, || stat::fstatat(&self.fd, name, flags)) {
            Ok(stat) => Ok(Some(Stat::from(&stat))),
            Err(error) if is_gone(&error) => Ok(None),
            Err(error) => Err(error),
        }
    }

    fn rename_to_free(&self, name: &[u8], to: &Dir, new: &[u8]) -> io::Result<()> {
        #[cfg(target_env = "gnu")]
        {
            let flags = fcntl::RenameFlags::RENAME_NOREPLACE;
            let renamed = call("rename", name, || {
                fcntl::renameat2(&self.fd, name, &to.fd, new, flags)
            });
            match renamed {
                Err(error) if UNSUPPORTED.contains(&error.raw_os_error()) => (),
                other => return other,
            }
        }
        self.link(name, to, new)?;
        self.unlink(name)
    }
}

/// A listing that can be put aside between chunks.
#[derive(Debug)]
pub struct Listing {
    fd: OwnedFd,
    buffer: Vec<u8>,
}

impl Listing {
    /// Hands the next names (up to some 2,000) to `each`, `.` and `..` left out; false when there
    /// are no more.
    pub fn next_chunk(&mut self, each: &mut dyn FnMut(&[u8], Kind)) -> io::Result<bool> {
        fault::check("getdents", b".")?;
        let read = read_directory(self.fd.as_fd(), &mut self.buffer)?;
        for entry in Entries(self.buffer.get(..read).unwrap_or_default()) {
            if entry.name != b"." && entry.name != b".." {
                each(entry.name, Kind::of_entry(entry.kind));
            }
        }
        Ok(read > 0)
    }
}

/// Mode and group for new files and directories.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Access {
    pub file_mode: u32,
    pub dir_mode: u32,
    /// The group, where a new file does not get it anyway.
    pub gid: Option<u32>,
}

impl Access {
    /// For the user alone.
    pub const PRIVATE: Access = Access {
        file_mode: 0o600,
        dir_mode: 0o700,
        gid: None,
    };

    /// From a directory or a `dovecot-shared` file, for a process of the group `own_gid`.
    fn from_stat(stat: &Stat, own_gid: u32) -> Access {
        let readable = (stat.mode & 0o444) >> 2;
        let searchable = match stat.kind {
            Kind::Directory => 0,
            _ => readable,
        };
        let inherited = stat.kind == Kind::Directory && stat.mode & 0o2000 != 0;
        let group_matters = (stat.mode >> 3) & 0o7 != stat.mode & 0o7;
        Access {
            file_mode: (stat.mode & 0o666) | 0o600,
            dir_mode: (stat.mode & 0o777) | searchable | 0o700,
            gid: (!inherited && group_matters && stat.gid != own_gid).then_some(stat.gid),
        }
    }

    /// Gives a new file or directory what umask and the process's group kept from it.
    fn apply(&self, fd: &OwnedFd, mode: u32) -> io::Result<()> {
        let now = call("fstat", b"", || stat::fstat(fd)).map(|stat| Stat::from(&stat))?;
        if now.mode & 0o777 != mode {
            let mode = Mode::from_bits_truncate(mode | (now.mode & 0o7000));
            call("fchmod", b"", || stat::fchmod(fd, mode))?;
        }
        let Some(gid) = self.gid.filter(|&gid| gid != now.gid) else {
            return Ok(());
        };
        match call("fchown", b"", || {
            unistd::fchown(fd, None, Some(Gid::from_raw(gid)))
        }) {
            // We are not in that group: nothing to be done about it, the file is ours at least.
            Err(error) if error.kind() == io::ErrorKind::PermissionDenied => Ok(()),
            other => other,
        }
    }
}

/// Is the disk full or the quota used up?
pub fn is_full(error: &io::Error) -> bool {
    use io::ErrorKind::{QuotaExceeded, StorageFull};
    matches!(error.kind(), StorageFull | QuotaExceeded)
}

/// Is the thing not there (any more)?
pub fn is_gone(error: &io::Error) -> bool {
    use io::ErrorKind::{NotADirectory, NotFound, StaleNetworkFileHandle};
    matches!(
        error.kind(),
        NotFound | NotADirectory | StaleNetworkFileHandle
    )
}

/// What is at a path; nothing is opened for it.
pub fn stat_path(path: &Path) -> io::Result<Stat> {
    call("stat", path.as_os_str().as_encoded_bytes(), || {
        stat::stat(path)
    })
    .map(|stat| Stat::from(&stat))
}

/// Do symbolic links lead round in a circle?
pub fn is_loop(error: &io::Error) -> bool {
    error.raw_os_error() == Some(Errno::ELOOP as i32)
}

/// One system call, announced to `fault`, made again when a signal broke it off.
fn call<T>(
    what: &str,
    name: &[u8],
    mut system_call: impl FnMut() -> nix::Result<T>,
) -> io::Result<T> {
    fault::check(what, name)?;
    loop {
        match system_call() {
            Err(Errno::EINTR) => (),
            other => return other.map_err(io::Error::from),
        }
    }
}

const DIRECTORY: OFlag = OFlag::O_RDONLY
    .union(OFlag::O_DIRECTORY)
    .union(OFlag::O_CLOEXEC);
const READ: OFlag = OFlag::O_RDONLY
    .union(OFlag::O_NONBLOCK)
    .union(OFlag::O_CLOEXEC);
const APPEND: OFlag = OFlag::O_RDWR
    .union(OFlag::O_APPEND)
    .union(OFlag::O_NONBLOCK)
    .union(OFlag::O_CLOEXEC);
const CREATE: OFlag = OFlag::O_RDWR
    .union(OFlag::O_CREAT)
    .union(OFlag::O_EXCL)
    .union(OFlag::O_CLOEXEC);

/// What file systems and kernels say that do not know RENAME_NOREPLACE.
#[cfg(target_env = "gnu")]
const UNSUPPORTED: [Option<i32>; 3] = [
    Some(Errno::EINVAL as i32),
    Some(Errno::ENOSYS as i32),
    Some(Errno::EOPNOTSUPP as i32),
];

/// 128 KiB: larger is not faster (`getdents64` of 100,000 names: 58 ms), and the names of one chunk
/// are dealt with well within a time slice.
const LISTING_BUFFER: usize = 128 * 1024;

#[cfg(test)]
pub(crate) mod scratch;
#[cfg(test)]
mod tests;
