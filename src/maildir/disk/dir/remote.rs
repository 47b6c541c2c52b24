//! File systems that other hosts can change too, and those that nobody can change.

use nix::sys::statfs::fstatfs;
use nix::sys::statvfs::FsFlags;

use super::{Dir, DiskResult, call};

impl Dir {
    /// Whether the file system is mounted read-only.
    pub(super) fn is_on_read_only(&self) -> DiskResult<bool> {
        let found = call("statfs", self.at(b"."), || fstatfs(&self.fd))?;
        Ok(found.flags().contains(FsFlags::ST_RDONLY))
    }

    /// The name of the file system if files in it may change without this kernel knowing: then it
    /// tells nothing of such changes to those who watch.
    pub fn is_remote(&self) -> DiskResult<Option<&'static str>> {
        let kind = call("statfs", self.at(b"."), || fstatfs(&self.fd))?.filesystem_type();
        let known = REMOTE
            .iter()
            .find(|(magic, _)| i128::from(kind.0) == i128::from(*magic));
        Ok(known.map(|(_, name)| *name))
    }
}

/// statfs(2)
const REMOTE: [(i64, &str); 8] = [
    (0x6969, "NFS"),
    (0x517b, "SMB"),
    (0xff53_4d42, "CIFS"),
    (0xfe53_4d42, "SMB2"),
    (0x6573_5546, "FUSE"),
    (0x00c3_6400, "Ceph"),
    (0x5346_414f, "AFS"),
    (0x0102_1997, "9P"),
];
