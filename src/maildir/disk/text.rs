//! Text files of other programs, which may come from a Windows host.  A CR before the LF is no part
//! of a line.

/// The lines without their ends; the last one may have none.
pub(in crate::maildir) fn lines(text: &[u8]) -> impl Iterator<Item = &[u8]> {
    text.split(|&byte| byte == b'\n')
        .map(|line| line.strip_suffix(b"\r").unwrap_or(line))
}
