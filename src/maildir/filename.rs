//! Message file names: base, flags, sizes (`maildir-formats.md 1`).

use std::cmp::Ordering;
use std::time::SystemTime;

use crate::imap::flag::Flags;

/// A file name in `cur/` or `new/`, taken apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Filename<'a> {
    /// Everything before the first `:`; the identity of the message.
    pub base: &'a [u8],
    /// From the first `:` on; what follows the last `:2,` holds the flags.
    pub info: &'a [u8],
}

impl<'a> Filename<'a> {
    /// `None`: not a message (begins with `.` or `:`, holds CR, LF or `/`, is empty).
    pub fn parse(name: &'a [u8]) -> Option<Filename<'a>> {
        let _ = name;
        todo!()
    }
    pub fn flags(&self) -> Flags {
        todo!()
    }
    /// The name with these flags; unknown letters and all after a second comma are kept.
    pub fn with_flags(&self, flags: Flags) -> Vec<u8> {
        let _ = flags;
        todo!()
    }
}

/// `,S=`: the physical size as the name tells it.
pub fn size(base: &[u8]) -> Option<u64> {
    let _ = base;
    todo!()
}

/// `,W=`: the size with CRLF line ends as the name tells it.
pub fn virtual_size(base: &[u8]) -> Option<u64> {
    let _ = base;
    todo!()
}

/// The order in which new messages get their UIDs (section 2, end).
pub fn uid_order(a: &[u8], b: &[u8]) -> Ordering {
    let _ = (a, b);
    todo!()
}

/// Makes unique names `<secs>.M<usec>P<pid>.<host>`.
#[derive(Debug)]
pub struct UniqueNames {
    last: u64,
    host: Vec<u8>,
    pid: u32,
}

impl UniqueNames {
    pub fn new(host: &[u8], pid: u32) -> UniqueNames {
        let _ = (host, pid);
        todo!()
    }
    /// With the host name and process id of this process.
    pub fn of_this_process() -> UniqueNames {
        todo!()
    }
    /// Greater than any made before, also when the clock stands still or goes back.
    pub fn next(&mut self, now: SystemTime) -> Vec<u8> {
        let _ = (now, self.last, &self.host, self.pid);
        todo!()
    }
}

/// `name,S=<size>,W=<virtual_size>`
pub fn with_sizes(name: &[u8], size: u64, virtual_size: u64) -> Vec<u8> {
    let _ = (name, size, virtual_size);
    todo!()
}
