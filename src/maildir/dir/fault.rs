//! Fault injection for crash tests: every file-system call of `dir` asks here first.

use std::io;

/// Counts calls of this thread from now on; nothing fails.
pub fn count() {
    todo!()
}
/// Call number `n` (from 1) fails with `errno`, the others work.
pub fn fail_at(n: u64, errno: i32) {
    let _ = (n, errno);
    todo!()
}
/// Call number `n` and all after it fail, as if the process had died there; a write at `n` is torn.
pub fn die_at(n: u64) {
    let _ = n;
    todo!()
}
/// Back to normal; says how many calls there were.
pub fn clear() -> u64 {
    todo!()
}
#[allow(dead_code)]
pub(super) fn check() -> io::Result<()> {
    todo!()
}
