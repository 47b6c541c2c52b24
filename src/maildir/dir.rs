//! Directory handles: the only place in Roost that makes file-system calls on mail.

pub mod fault;

use std::ffi::OsStr;
use std::io;
use std::os::fd::OwnedFd;
use std::path::Path;
use std::sync::Arc;
use std::time::SystemTime;

/// A directory kept open.  Names are single path components as raw bytes.  Clones share the descriptor.
#[derive(Clone, Debug)]
pub struct Dir {
    fd: Arc<OwnedFd>,
}

/// Where a rename or link may not overwrite.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Target {
    Replace,
    /// `EEXIST` when the name is taken (RENAME_NOREPLACE, or link and unlink where that is missing).
    MustBeFree,
}

impl Dir {
    pub fn open(path: &Path) -> io::Result<Dir> {
        let _ = path;
        todo!()
    }
    pub fn open_dir(&self, name: &[u8]) -> io::Result<Dir> {
        let _ = (name, &self.fd);
        todo!()
    }
    pub fn make_dir(&self, name: &[u8], access: &Access) -> io::Result<()> {
        let _ = (name, access);
        todo!()
    }
    /// Opens an existing regular file for reading; never blocks on a FIFO, never follows a link out of the last component.
    pub fn open_file(&self, name: &[u8]) -> io::Result<File> {
        let _ = name;
        todo!()
    }
    /// Opens an existing file for reading and appending.
    pub fn open_append(&self, name: &[u8]) -> io::Result<File> {
        let _ = name;
        todo!()
    }
    /// Creates a file that must not exist (O_EXCL), with mode and group of `access`.
    pub fn create_new(&self, name: &[u8], access: &Access) -> io::Result<File> {
        let _ = (name, access);
        todo!()
    }
    /// The whole of a small file; `None` when there is none.  More than `limit` bytes is an error.
    pub fn read(&self, name: &[u8], limit: usize) -> io::Result<Option<(Vec<u8>, Stat)>> {
        let _ = (name, limit);
        todo!()
    }
    pub fn rename(&self, name: &[u8], to: &Dir, new: &[u8], target: Target) -> io::Result<()> {
        let _ = (name, to, new, target);
        todo!()
    }
    pub fn link(&self, name: &[u8], to: &Dir, new: &[u8]) -> io::Result<()> {
        let _ = (name, to, new);
        todo!()
    }
    pub fn unlink(&self, name: &[u8]) -> io::Result<()> {
        let _ = name;
        todo!()
    }
    pub fn remove_dir(&self, name: &[u8]) -> io::Result<()> {
        let _ = name;
        todo!()
    }
    /// `lstat` of an entry; `None` when there is none.
    pub fn stat(&self, name: &[u8]) -> io::Result<Option<Stat>> {
        let _ = name;
        todo!()
    }
    /// `fstat` of the directory itself; `Stat::links` 0 means that it was removed under us.
    pub fn stat_self(&self) -> io::Result<Stat> {
        todo!()
    }
    pub fn set_mtime(&self, name: &[u8], mtime: Time) -> io::Result<()> {
        let _ = (name, mtime);
        todo!()
    }
    /// fsync of the directory: names created, renamed and removed before are on disk.
    pub fn sync(&self) -> io::Result<()> {
        todo!()
    }
    /// Everything on this file system written before is on disk (syncfs).
    pub fn sync_file_system(&self) -> io::Result<()> {
        todo!()
    }
    /// A listing from the start, with a descriptor of its own.
    pub fn list(&self) -> io::Result<Listing> {
        todo!()
    }
    /// Mode and group that new files and directories in here take (`maildir-formats.md 2 and 8`).
    pub fn access(&self) -> io::Result<Access> {
        todo!()
    }
}

/// A listing that can be paused between chunks.
pub struct Listing {
    fd: OwnedFd,
    buffer: Vec<u8>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    File,
    Directory,
    Other,
    /// The file system does not say: `stat` tells.
    Unknown,
}

impl Listing {
    /// Hands the next few hundred to thousand names to `each`; false at the end.  `.` and `..` are left out.
    pub fn next_chunk(&mut self, each: &mut dyn FnMut(&[u8], Kind)) -> io::Result<bool> {
        let _ = (each, &self.fd, &self.buffer);
        todo!()
    }
}

/// An open file; every call of it is counted by `fault` too.
#[derive(Debug)]
pub struct File {
    inner: std::fs::File,
}

impl File {
    pub fn stat(&self) -> io::Result<Stat> {
        todo!()
    }
    pub fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
        let _ = (buffer, offset, &self.inner);
        todo!()
    }
    pub fn sync_data(&self) -> io::Result<()> {
        todo!()
    }
    pub fn sync(&self) -> io::Result<()> {
        todo!()
    }
    pub fn set_len(&self, len: u64) -> io::Result<()> {
        let _ = len;
        todo!()
    }
    pub fn set_mtime(&self, mtime: Time) -> io::Result<()> {
        let _ = mtime;
        todo!()
    }
}

/// Reads at the file's position.
impl io::Read for File {
    fn read(&mut self, _buffer: &mut [u8]) -> io::Result<usize> {
        todo!()
    }
}

impl io::Write for File {
    fn write(&mut self, _bytes: &[u8]) -> io::Result<usize> {
        todo!()
    }
    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stat {
    pub device: u64,
    pub inode: u64,
    pub size: u64,
    pub links: u64,
    pub mode: u32,
    pub gid: u32,
    pub kind: Kind,
    pub mtime: Time,
    pub ctime: Time,
}

/// A file time: seconds since 1970 (may be negative) and nanoseconds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Time {
    pub seconds: i64,
    pub nanoseconds: u32,
}

impl From<SystemTime> for Time {
    fn from(_time: SystemTime) -> Time {
        todo!()
    }
}

impl From<Time> for SystemTime {
    fn from(_time: Time) -> SystemTime {
        todo!()
    }
}

/// Mode and group for new files and directories.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Access {
    pub file_mode: u32,
    pub dir_mode: u32,
    /// Set when the group has to be changed after creation.
    pub gid: Option<u32>,
}

/// Is the disk full or the quota used up?
pub fn is_full(error: &io::Error) -> bool {
    let _ = error;
    todo!()
}

/// Is the thing not there (any more)?
pub fn is_gone(error: &io::Error) -> bool {
    let _ = error;
    todo!()
}

/// A name for `Path` APIs.
pub fn os_name(name: &[u8]) -> &OsStr {
    std::os::unix::ffi::OsStrExt::from_bytes(name)
}
