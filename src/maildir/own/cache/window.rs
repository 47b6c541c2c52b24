//! A piece of a file in memory, larger the more the file is read from front to back.

use super::File;

#[derive(Default)]
pub(super) struct Window {
    start: u64,
    bytes: Vec<u8>,
    /// How much to read at least, the next time.
    ahead: usize,
}

impl Window {
    /// `size` bytes of the file from `at` on; None if it has not so many, or they cannot be read.
    pub fn bytes(&mut self, file: &File, at: u64, size: usize) -> Option<&[u8]> {
        if self.range(at, size).is_none() {
            self.move_to(file, at, size);
        }
        self.bytes.get(self.range(at, size)?)
    }

    /// Lets go of the memory.
    pub fn clear(&mut self) {
        self.bytes = Vec::new();
    }

    fn range(&self, at: u64, size: usize) -> Option<std::ops::Range<usize>> {
        let start = usize::try_from(at.checked_sub(self.start)?).ok()?;
        let end = start.checked_add(size)?;
        (end <= self.bytes.len()).then_some(start..end)
    }

    fn move_to(&mut self, file: &File, at: u64, size: usize) {
        let end = self.start + self.bytes.len() as u64;
        let onward = at >= self.start && at <= end + AHEAD_MIN as u64;
        self.ahead = match onward {
            true => (self.ahead * 2).clamp(AHEAD_MIN, AHEAD_MAX),
            false => AHEAD_MIN,
        };
        // What is in memory of it already need not be read again.
        let kept = usize::try_from(at.saturating_sub(self.start)).unwrap_or(usize::MAX);
        match onward && kept < self.bytes.len() {
            true => drop(self.bytes.drain(..kept)),
            false => self.bytes.clear(),
        }
        self.start = at;
        let mut got = self.bytes.len();
        self.bytes.resize(size.max(self.ahead).max(got), 0);
        while let Some(rest) = self.bytes.get_mut(got..).filter(|rest| !rest.is_empty()) {
            match file.read_at(rest, at + got as u64) {
                Ok(0) => break,
                Ok(n) => got += n,
                Err(e) if e.kind() == std::io::ErrorKind::Interrupted => {}
                Err(_) => break,
            }
        }
        self.bytes.truncate(got);
    }
}

const AHEAD_MIN: usize = 8 << 10;
const AHEAD_MAX: usize = 512 << 10;
