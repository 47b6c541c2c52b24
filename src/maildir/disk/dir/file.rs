//! An open file, and what stat(2) tells of one.

use std::io;
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use nix::libc;
use nix::sys::stat::FileStat;
use nix::sys::time::TimeSpec;

use super::error::At;
use super::{DiskError, DiskResult, call, fault, world};

/// An open file.  Reads and writes through `io::Read` and `io::Write` move its position.
#[derive(Debug)]
pub struct File {
    pub(super) inner: std::fs::File,
    /// Where it was when it was opened, and its name there.
    pub(super) dir: Arc<Path>,
    pub(super) name: Box<[u8]>,
}

impl File {
    pub fn stat(&self) -> DiskResult<Stat> {
        call("fstat", self.at(), || nix::sys::stat::fstat(&self.inner))
            .map(|stat| Stat::from(&stat))
    }

    pub fn read_at(&self, buffer: &mut [u8], offset: u64) -> DiskResult<usize> {
        let read = fault::check("read", b"").and_then(|()| self.inner.read_at(buffer, offset));
        read.map_err(|error| self.failure("read", error))
    }

    pub fn read_exact(&mut self, buffer: &mut [u8]) -> DiskResult<()> {
        let read = io::Read::read_exact(self, buffer);
        read.map_err(|error| self.failure("read", error))
    }

    pub fn write_all(&mut self, bytes: &[u8]) -> DiskResult<()> {
        let written = io::Write::write_all(self, bytes);
        written.map_err(|error| self.failure("write", error))
    }

    /// fdatasync(2)
    pub fn sync_data(&self) -> DiskResult<()> {
        let synced = fault::check("fdatasync", b"").and_then(|()| self.inner.sync_data());
        synced.map_err(|error| self.failure("fdatasync", error))
    }

    /// fsync(2)
    pub fn sync(&self) -> DiskResult<()> {
        let synced = fault::check("fsync", b"").and_then(|()| self.inner.sync_all());
        synced.map_err(|error| self.failure("fsync", error))
    }

    pub fn set_len(&self, length: u64) -> DiskResult<()> {
        let set = fault::check("ftruncate", b"").and_then(|()| self.inner.set_len(length));
        set.map_err(|error| self.failure("ftruncate", error))
    }

    pub fn set_mtime(&self, mtime: Time) -> DiskResult<()> {
        let mtime = mtime.into();
        call("futimens", self.at(), || {
            nix::sys::stat::futimens(&self.inner, &TimeSpec::UTIME_OMIT, &mtime)
        })
    }

    /// Another descriptor of the same file.
    pub fn duplicate(&self) -> DiskResult<File> {
        let inner = self.inner.try_clone();
        Ok(File {
            inner: inner.map_err(|error| self.failure("dup", error))?,
            dir: Arc::clone(&self.dir),
            name: self.name.clone(),
        })
    }

    /// Something about the file that is wrong, or could not be done.
    pub fn failure(&self, operation: &'static str, cause: impl Into<io::Error>) -> DiskError {
        self.at().failure(operation, cause)
    }

    pub(super) fn at(&self) -> At<'_> {
        At::name(&self.dir, &self.name)
    }
}

impl io::Read for File {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = fault::check("read", b"").and_then(|()| self.inner.read(buffer));
        read.map_err(|error| self.failure("read", error).into())
    }
}

impl io::Write for File {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let written = match fault::check_write(bytes.len()) {
            Ok(()) => self.inner.write(bytes),
            Err(torn) => {
                let kept = bytes.get(..torn.kept).unwrap_or_default();
                self.inner.write_all(kept).and(Err(torn.error))
            }
        };
        written.map_err(|error| self.failure("write", error).into())
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
    /// 0: the file or directory has been removed.
    pub links: u64,
    /// The permission bits, setgid and the like with them.
    pub mode: u32,
    pub uid: u32,
    pub gid: u32,
    pub kind: FileKind,
    pub atime: Time,
    pub mtime: Time,
    pub ctime: Time,
}

impl Stat {
    /// Whether it is the same file, unchanged since `other` was taken.
    pub fn is_same_version(&self, other: &Stat) -> bool {
        self.is_same_file(other) && self.size == other.size && self.mtime == other.mtime
    }

    pub fn is_same_file(&self, other: &Stat) -> bool {
        (self.device, self.inode) == (other.device, other.inode)
    }
}

impl From<&FileStat> for Stat {
    // The fields' types differ between architectures.
    #[allow(clippy::unnecessary_cast)]
    fn from(stat: &FileStat) -> Stat {
        Stat {
            device: stat.st_dev as u64,
            inode: stat.st_ino as u64,
            size: u64::try_from(stat.st_size).unwrap_or(0),
            links: stat.st_nlink as u64,
            mode: stat.st_mode & 0o7777,
            uid: stat.st_uid,
            gid: stat.st_gid,
            kind: FileKind::of_mode(stat.st_mode),
            atime: Time::new(stat.st_atime as i64, stat.st_atime_nsec as i64),
            mtime: Time::new(stat.st_mtime as i64, stat.st_mtime_nsec as i64),
            ctime: world::current()
                .and_then(|world| world.changed(stat.st_ino as u64))
                .unwrap_or_else(|| Time::new(stat.st_ctime as i64, stat.st_ctime_nsec as i64)),
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FileKind {
    File,
    Directory,
    Link,
    /// FIFO, socket or device
    Other,
    /// Only from a listing: the file system does not say, `Dir::stat` does.
    Unknown,
}

impl FileKind {
    fn of_mode(mode: u32) -> FileKind {
        match mode & libc::S_IFMT {
            libc::S_IFREG => FileKind::File,
            libc::S_IFDIR => FileKind::Directory,
            libc::S_IFLNK => FileKind::Link,
            _ => FileKind::Other,
        }
    }

    pub(super) fn of_entry(kind: u8) -> FileKind {
        match kind {
            libc::DT_REG => FileKind::File,
            libc::DT_DIR => FileKind::Directory,
            libc::DT_LNK => FileKind::Link,
            libc::DT_UNKNOWN => FileKind::Unknown,
            _ => FileKind::Other,
        }
    }
}

/// A file time: seconds since 1970 (negative before), and nanoseconds after that second.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Time {
    pub seconds: i64,
    pub nanoseconds: u32,
}

impl Time {
    fn new(seconds: i64, nanoseconds: i64) -> Time {
        Time {
            seconds,
            nanoseconds: u32::try_from(nanoseconds).unwrap_or(0),
        }
    }
}

impl From<SystemTime> for Time {
    fn from(time: SystemTime) -> Time {
        let seconds = |span: Duration| i64::try_from(span.as_secs()).unwrap_or(i64::MAX);
        match time.duration_since(SystemTime::UNIX_EPOCH) {
            Ok(since) => Time {
                seconds: seconds(since),
                nanoseconds: since.subsec_nanos(),
            },
            Err(before) => match (before.duration(), before.duration().subsec_nanos()) {
                (span, 0) => Time::new(-seconds(span), 0),
                (span, nanoseconds) => Time {
                    seconds: -seconds(span) - 1,
                    nanoseconds: 1_000_000_000 - nanoseconds,
                },
            },
        }
    }
}

impl From<Time> for SystemTime {
    fn from(time: Time) -> SystemTime {
        let seconds = Duration::from_secs(time.seconds.unsigned_abs());
        let whole = match time.seconds {
            0.. => SystemTime::UNIX_EPOCH.checked_add(seconds),
            _ => SystemTime::UNIX_EPOCH.checked_sub(seconds),
        };
        whole
            .and_then(|whole| whole.checked_add(Duration::from_nanos(time.nanoseconds.into())))
            .unwrap_or(SystemTime::UNIX_EPOCH)
    }
}

impl From<Time> for TimeSpec {
    fn from(time: Time) -> TimeSpec {
        TimeSpec::new(time.seconds, time.nanoseconds.into())
    }
}
