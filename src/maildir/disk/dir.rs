//! Directory handles: the only place in Roost that makes file-system calls on mail.
//!
//! Everything is done relative to an open directory, so that a folder that is renamed or replaced
//! under us is either the one we opened or gone, never another.  Names are single path components
//! as raw bytes; a name with a NUL fails with `InvalidInput`.  Errors say which call failed on
//! which path: see [`DiskError`].  Which symbolic links are followed is said in [`links`].  Whose
//! fault it was the caller says; [`is_full`] and [`is_gone`] help.
//!
//! The calls can be made to fail or to stop at any point by [`fault`], for the crash tests, and to
//! wait for other processes of a [`world`] in which a test decides who goes next.

mod error;
mod exclusive;
#[doc(hidden)]
pub mod fault;
mod file;
pub mod links;
mod process;
mod remote;
mod rights;
#[doc(hidden)]
pub mod world;

use std::io::{self, Read as _};
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use nix::errno::Errno;
use nix::fcntl::{self, AtFlags, OFlag};
use nix::sys::stat::{self, Mode};
use nix::unistd::{self, Gid, LinkatFlags, UnlinkatFlags};

use error::At;
pub use error::{DiskError, DiskResult};
pub use file::{File, FileKind, Stat, Time};
pub use process::{host_name, own_process, process_exists};
pub use rights::{Lack, lack};

use crate::sys::fs::{Entries, read_directory};

/// A directory kept open.  Clones share the descriptor.
#[derive(Clone, Debug)]
pub struct Dir {
    fd: Arc<OwnedFd>,
    /// Where it was when it was opened.
    path: Arc<Path>,
}

/// Whether a rename may replace what has the new name already.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Target {
    Replace,
    /// `AlreadyExists` when the name is taken.
    MustBeFree,
}

impl Dir {
    pub fn open(path: &Path) -> DiskResult<Dir> {
        rights::note_groups();
        let fd = call("opendir", At::path(path), || {
            fcntl::open(path, DIRECTORY, Mode::empty())
        })?;
        Ok(Dir {
            fd: Arc::new(fd),
            path: path.into(),
        })
    }

    /// Is this the same handle?
    pub fn is_same(&self, other: &Dir) -> bool {
        Arc::ptr_eq(&self.fd, &other.fd)
    }

    /// The directory at `path`, which is `root` or below it.  Links in `path` up to `root` are the
    /// administrator's and are followed; those after it are judged.
    pub fn open_below(root: &Path, path: &Path) -> DiskResult<Dir> {
        let Ok(below) = path.strip_prefix(root) else {
            return Dir::open(path);
        };
        let mut directory = Dir::open(root)?;
        for component in below {
            directory = directory.open_dir(component.as_encoded_bytes())?;
        }
        Ok(directory)
    }

    /// As [`Dir::open_dir`].  But if `name` is a link that is not followed, the link itself is
    /// opened, which is empty and takes nothing.
    pub fn open_part(&self, name: &[u8]) -> DiskResult<Dir> {
        match self.open_dir(name) {
            Err(error) if is_loop(&error) => Ok(Dir {
                fd: Arc::new(call("opendir", self.at(name), || {
                    links::hold(self.fd.as_fd(), name)
                })?),
                path: self.path.join(as_path(name)).into(),
            }),
            opened => opened,
        }
    }

    /// Where it is now, without links.
    pub fn real_path(&self) -> DiskResult<PathBuf> {
        let number = self.fd.as_raw_fd();
        let path = std::fs::read_link(format!("/proc/self/fd/{number}"));
        // Without /proc, by the path.
        path.or_else(|_| self.path.canonicalize())
            .map_err(|error| self.failure("readlink", b".", error))
    }

    /// The path by which it was opened, for messages: it may lead elsewhere by now.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Opens the directory `name` in this one.
    pub fn open_dir(&self, name: &[u8]) -> DiskResult<Dir> {
        Ok(Dir {
            fd: Arc::new(self.open_at("opendir", name, DIRECTORY, 0)?),
            path: self.path.join(as_path(name)).into(),
        })
    }

    /// Creates the directory `name` with mode and group of `access`.
    pub fn make_dir(&self, name: &[u8], access: &Access) -> DiskResult<()> {
        let mode = Mode::from_bits_truncate(access.dir_mode);
        call("mkdir", self.at(name), || {
            stat::mkdirat(&self.fd, name, mode)
        })?;
        let made = self.open_dir(name)?;
        access.apply(&made.fd, access.dir_mode, self.at(name))
    }

    /// Opens a regular file for reading (symbolic links are followed).  A FIFO put in its place
    /// does not block us.
    pub fn open_file(&self, name: &[u8]) -> DiskResult<File> {
        // Reading mail should not cause a write of its atime.  Only the owner may ask for this.
        let fd = match self.open_at("open", name, READ | OFlag::O_NOATIME, 0) {
            Err(error) if error.raw_os_error() == Some(Errno::EPERM as i32) => {
                self.open_at("open", name, READ, 0)?
            }
            other => other?,
        };
        self.regular(name, fd)
    }

    /// Opens an existing file for reading anywhere and writing at its end.
    pub fn open_append(&self, name: &[u8]) -> DiskResult<File> {
        let fd = self.open_at("open", name, APPEND, 0)?;
        self.regular(name, fd)
    }

    /// Only a regular file is read or written, because reading from a FIFO would wait for a writer.
    fn regular(&self, name: &[u8], fd: OwnedFd) -> DiskResult<File> {
        let file = self.file(name, fd);
        match file.stat()?.kind {
            FileKind::File => Ok(file),
            FileKind::Directory => Err(self.failure("open", name, Errno::EISDIR)),
            _ => Err(self.failure("open", name, io::Error::other(NO_FILE))),
        }
    }

    fn file(&self, name: &[u8], fd: OwnedFd) -> File {
        File {
            inner: fd.into(),
            dir: Arc::clone(&self.path),
            name: name.into(),
        }
    }

    /// Creates the file `name`, which must not exist, for reading and writing.
    pub fn create_new(&self, name: &[u8], access: &Access) -> DiskResult<File> {
        let fd = self.open_at("create", name, CREATE, access.file_mode)?;
        if let Err(error) = access.apply(&fd, access.file_mode, self.at(name)) {
            let _ = self.unlink(name);
            return Err(error);
        }
        Ok(self.file(name, fd))
    }

    /// The whole of a file, and its stat; `None` if there is none.  `FileTooLarge` if there are
    /// more than `limit` bytes in it.
    pub fn read(&self, name: &[u8], limit: usize) -> DiskResult<Option<(Vec<u8>, Stat)>> {
        let mut file = match self.open_file(name) {
            Err(error) if is_gone(&error) => return Ok(None),
            other => other?,
        };
        let stat = file.stat()?;
        let size = usize::try_from(stat.size).unwrap_or(usize::MAX);
        let mut bytes = Vec::with_capacity(size.min(limit).saturating_add(1));
        let most = u64::try_from(limit).unwrap_or(u64::MAX).saturating_add(1);
        let read = file.by_ref().take(most).read_to_end(&mut bytes);
        read.map_err(|error| self.failure("read", name, error))?;
        if bytes.len() > limit {
            return Err(self.failure("read", name, io::ErrorKind::FileTooLarge));
        }
        Ok(Some((bytes, stat)))
    }

    pub fn rename(&self, name: &[u8], to: &Dir, new: &[u8], target: Target) -> DiskResult<()> {
        match target {
            Target::Replace => call("rename", self.at(name).to(to, new), || {
                fcntl::renameat(&self.fd, name, &to.fd, new)
            }),
            Target::MustBeFree => self.rename_to_free(name, to, new),
        }
    }

    pub fn link(&self, name: &[u8], to: &Dir, new: &[u8]) -> DiskResult<()> {
        call("link", self.at(name).to(to, new), || {
            unistd::linkat(&self.fd, name, &to.fd, new, LinkatFlags::empty())
        })
    }

    pub fn unlink(&self, name: &[u8]) -> DiskResult<()> {
        call("unlink", self.at(name), || {
            unistd::unlinkat(&self.fd, name, UnlinkatFlags::NoRemoveDir)
        })
    }

    /// Removes an empty directory.
    pub fn remove_dir(&self, name: &[u8]) -> DiskResult<()> {
        call("rmdir", self.at(name), || {
            unistd::unlinkat(&self.fd, name, UnlinkatFlags::RemoveDir)
        })
    }

    /// The stat of an entry, of a symbolic link itself; `None` if there is no such entry.
    pub fn stat(&self, name: &[u8]) -> DiskResult<Option<Stat>> {
        self.stat_at(name, AtFlags::AT_SYMLINK_NOFOLLOW)
    }

    /// Whether an entry is a file, or points to one.  `kind`: what is known of it already.
    pub fn is_file(&self, name: &[u8], kind: FileKind) -> DiskResult<bool> {
        match kind {
            FileKind::File => Ok(true),
            FileKind::Directory | FileKind::Other => Ok(false),
            FileKind::Link | FileKind::Unknown => {
                let target = self.stat_target(name)?;
                Ok(target.is_some_and(|stat| stat.kind == FileKind::File))
            }
        }
    }

    /// The stat of what an entry is or points to; `None` if there is nothing, or it is a link that
    /// is not followed.  `name` may be a path.
    pub fn stat_target(&self, name: &[u8]) -> DiskResult<Option<Stat>> {
        if !name.contains(&b'/') {
            let stat = self.stat(name)?;
            if stat.is_none_or(|stat| stat.kind != FileKind::Link) {
                return Ok(stat);
            }
        }
        let followed = call("stat", self.at(name), || {
            links::follow(self.fd.as_fd(), &self.path, name, |dir, name| {
                stat::fstatat(dir, name, AtFlags::AT_SYMLINK_NOFOLLOW)
            })
        });
        match followed {
            Ok(stat) => Ok(Some(Stat::from(&stat))),
            Err(error) if is_gone(&error) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// The stat of what [`Dir::open_part`] opens.
    pub fn stat_part(&self, name: &[u8]) -> DiskResult<Option<Stat>> {
        match self.stat_target(name)? {
            None => self.stat(name),
            found => Ok(found),
        }
    }

    /// Why nothing can be made, renamed or removed in it; `None`: as far as is known, it can.
    pub fn why_read_only(&self) -> Option<DiskError> {
        use io::ErrorKind::{PermissionDenied, ReadOnlyFilesystem};
        let refusal = |errno| Some(self.failure("access", b".", errno));
        if rights::may_change(&self.stat_self().ok()?) {
            return self
                .is_on_read_only()
                .unwrap_or(false)
                .then(|| self.failure("access", b".", Errno::EROFS));
        }
        // The mode does not show access control lists, so a file without a name is made, which
        // leaves no trace.
        let probe = self.open_at("access", b".", UNNAMED, 0o600);
        match probe.err()?.kind() {
            PermissionDenied => refusal(Errno::EACCES),
            ReadOnlyFilesystem => refusal(Errno::EROFS),
            _ => None,
        }
    }

    /// The stat of the directory itself; no links means that it was removed under us.
    pub fn stat_self(&self) -> DiskResult<Stat> {
        call("fstat", self.at(b"."), || stat::fstat(&*self.fd)).map(|stat| Stat::from(&stat))
    }

    pub fn set_mtime(&self, name: &[u8], mtime: Time) -> DiskResult<()> {
        // This uses a descriptor, because a session may not change times by a path
        // (`sys::sandbox`).
        let fd = self.open_at("open", name, READ, 0)?;
        self.file(name, fd).set_mtime(mtime)
    }

    /// fsync of the directory: what was created, renamed and removed in it before is on disk.
    pub fn sync(&self) -> DiskResult<()> {
        match call("fsync", self.at(b"."), || unistd::fsync(&*self.fd)) {
            // Some file systems cannot do it for directories and need not.  A link that is not
            // followed has nothing to force.
            Err(error)
                if [Some(Errno::EINVAL as i32), Some(Errno::EBADF as i32)]
                    .contains(&error.raw_os_error()) =>
            {
                Ok(())
            }
            other => other,
        }
    }

    /// Everything written to this file system before is on disk (syncfs).
    pub fn sync_file_system(&self) -> DiskResult<()> {
        call("syncfs", self.at(b"."), || unistd::syncfs(&*self.fd))
    }

    /// Something about the file `name` that is wrong, or could not be done.
    pub fn failure(
        &self,
        operation: &'static str,
        name: &[u8],
        cause: impl Into<io::Error>,
    ) -> DiskError {
        self.at(name).failure(operation, cause)
    }

    fn at<'a>(&'a self, name: &'a [u8]) -> At<'a> {
        At::name(&self.path, name)
    }

    /// A listing from the start.
    pub fn list(&self) -> DiskResult<Listing> {
        // The listing has a descriptor of its own, which keeps the position in the directory.
        let fd = match self.open_at("opendir", b".", DIRECTORY, 0) {
            // A link that is not followed.
            Err(error) if error.kind() == io::ErrorKind::NotADirectory => None,
            fd => Some(fd?),
        };
        Ok(Listing {
            path: Arc::clone(&self.path),
            fd,
            buffer: vec![0; LISTING_BUFFER],
        })
    }

    /// What new files and directories in this folder take: from its `dovecot-shared` if there is
    /// one, else from the directory itself.
    pub fn access(&self) -> DiskResult<Access> {
        // A link that leads nowhere, or in a circle, counts as no file.
        let stat = match self.stat_target(b"dovecot-shared") {
            Ok(Some(shared)) => shared,
            _ => self.stat_self()?,
        };
        Ok(Access::from_stat(&stat, unistd::getegid().as_raw()))
    }

    fn open_at(
        &self,
        what: &'static str,
        name: &[u8],
        flags: OFlag,
        mode: u32,
    ) -> DiskResult<OwnedFd> {
        let mode = Mode::from_bits_truncate(mode);
        let flags = flags | OFlag::O_NOFOLLOW;
        let opened = call(what, self.at(name), || {
            fcntl::openat(&self.fd, name, flags, mode)
        });
        // The errors for a link under O_NOFOLLOW, with O_DIRECTORY and without.
        match opened {
            Err(error) if is_loop(&error) || error.kind() == io::ErrorKind::NotADirectory => {
                call(what, self.at(name), || {
                    links::follow(self.fd.as_fd(), &self.path, name, |dir, name| {
                        fcntl::openat(dir, name, flags, mode)
                    })
                })
            }
            opened => opened,
        }
    }

    fn stat_at(&self, name: &[u8], flags: AtFlags) -> DiskResult<Option<Stat>> {
        match call("stat", self.at(name), || {
            stat::fstatat(&self.fd, name, flags)
        }) {
            Ok(stat) => Ok(Some(Stat::from(&stat))),
            Err(error) if is_gone(&error) => Ok(None),
            Err(error) => Err(error),
        }
    }

    fn rename_to_free(&self, name: &[u8], to: &Dir, new: &[u8]) -> DiskResult<()> {
        #[cfg(target_env = "gnu")]
        {
            let flags = fcntl::RenameFlags::RENAME_NOREPLACE;
            let renamed = call("rename", self.at(name).to(to, new), || {
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
    path: Arc<Path>,
    /// None: there is nothing to be listed.
    fd: Option<OwnedFd>,
    buffer: Vec<u8>,
}

impl Listing {
    /// Hands the next names (up to some 2,000) to `each`, `.` and `..` left out; false when there
    /// are no more.
    pub fn next_chunk(&mut self, each: &mut dyn FnMut(&[u8], FileKind)) -> DiskResult<bool> {
        let failure = |error| At::path(&self.path).failure("readdir", error);
        fault::check("getdents", b".").map_err(failure)?;
        let Some(fd) = &self.fd else {
            return Ok(false);
        };
        let read = read_directory(fd.as_fd(), &mut self.buffer).map_err(failure)?;
        for entry in Entries(self.buffer.get(..read).unwrap_or_default()) {
            if entry.name != b"." && entry.name != b".." {
                each(entry.name, FileKind::of_entry(entry.kind));
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
            FileKind::Directory => 0,
            _ => readable,
        };
        let inherited = stat.kind == FileKind::Directory && stat.mode & 0o2000 != 0;
        let group_matters = (stat.mode >> 3) & 0o7 != stat.mode & 0o7;
        Access {
            file_mode: (stat.mode & 0o666) | 0o600,
            dir_mode: (stat.mode & 0o777) | searchable | 0o700,
            gid: (!inherited && group_matters && stat.gid != own_gid).then_some(stat.gid),
        }
    }

    /// Gives a new file or directory what umask and the process's group kept from it.
    fn apply(&self, fd: &OwnedFd, mode: u32, at: At<'_>) -> DiskResult<()> {
        let now = call("fstat", at, || stat::fstat(fd)).map(|stat| Stat::from(&stat))?;
        if now.mode & 0o777 != mode {
            let mode = Mode::from_bits_truncate(mode | (now.mode & 0o7000));
            call("fchmod", at, || stat::fchmod(fd, mode))?;
        }
        let Some(gid) = self.gid.filter(|&gid| gid != now.gid) else {
            return Ok(());
        };
        match call("fchown", at, || {
            unistd::fchown(fd, None, Some(Gid::from_raw(gid)))
        }) {
            // We are not in that group.  The file keeps ours.
            Err(error) if error.kind() == io::ErrorKind::PermissionDenied => Ok(()),
            other => other,
        }
    }
}

/// Is the disk full or the quota used up?
pub fn is_full(error: &DiskError) -> bool {
    use io::ErrorKind::{QuotaExceeded, StorageFull};
    matches!(error.kind(), StorageFull | QuotaExceeded)
}

/// Whether trying again as another user, or on another mount, would help.
pub(in crate::maildir) fn is_denied(error: &DiskError) -> bool {
    use io::ErrorKind::{PermissionDenied, ReadOnlyFilesystem};
    matches!(error.kind(), PermissionDenied | ReadOnlyFilesystem)
}

/// Whether the thing does not exist any more.  What a link leads to that is not followed does not
/// exist for us.
pub fn is_gone(error: &DiskError) -> bool {
    use io::ErrorKind::{NotADirectory, NotFound, StaleNetworkFileHandle};
    let is_missing = matches!(
        error.kind(),
        NotFound | NotADirectory | StaleNetworkFileHandle
    );
    is_missing || is_loop(error)
}

/// What is at a path; nothing is opened for it.
pub fn stat_path(path: &Path) -> DiskResult<Stat> {
    call("stat", At::path(path), || stat::stat(path)).map(|stat| Stat::from(&stat))
}

/// Whether symbolic links lead in a circle, or one of them is not followed.
pub fn is_loop(error: &DiskError) -> bool {
    error.raw_os_error() == Some(Errno::ELOOP as i32)
}

/// One system call.  It is announced to `fault`, and made again if a signal has interrupted it.
fn call<T>(
    what: &'static str,
    at: At<'_>,
    mut system_call: impl FnMut() -> nix::Result<T>,
) -> DiskResult<T> {
    fault::check(what, at.name).map_err(|error| at.failure(what, error))?;
    loop {
        match system_call() {
            Err(Errno::EINTR) => (),
            other => return other.map_err(|errno| at.failure(what, errno)),
        }
    }
}

fn as_path(name: &[u8]) -> &Path {
    use std::os::unix::ffi::OsStrExt;
    Path::new(std::ffi::OsStr::from_bytes(name))
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

const UNNAMED: OFlag = OFlag::O_RDWR
    .union(OFlag::O_TMPFILE)
    .union(OFlag::O_CLOEXEC);

/// The errors of file systems and kernels that do not know RENAME_NOREPLACE.
#[cfg(target_env = "gnu")]
const UNSUPPORTED: [Option<i32>; 3] = [
    Some(Errno::EINVAL as i32),
    Some(Errno::ENOSYS as i32),
    Some(Errno::EOPNOTSUPP as i32),
];

const NO_FILE: &str = "it is no regular file";
/// 128 KiB: larger is not faster (`getdents64` of 100,000 names: 58 ms), and the names of one chunk
/// are dealt with well within a time slice.
const LISTING_BUFFER: usize = 128 * 1024;

#[cfg(test)]
pub(crate) mod scratch;
#[cfg(test)]
mod tests;
