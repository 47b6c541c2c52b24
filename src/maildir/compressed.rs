//! Messages that Dovecot's mail_compress wrote: found by their first bytes, served as plain text.

use std::fs::File;
use std::io;
use std::path::Path;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    Gzip,
    Bzip2,
    Zstd,
    Lz4,
    Zlib,
    /// Encrypted by Dovecot's mail_crypt: cannot be read here.
    Crypted,
}

#[derive(Debug)]
pub enum CompressedError {
    /// mail_crypt
    Encrypted,
    /// More than `limit` bytes of plain text.
    TooLarge,
    /// Not what its first bytes promised; the text before the break is lost.
    Broken,
    Io(io::Error),
}

/// Looks at the first bytes of a file (16 are enough); None: plain.
pub fn detect(first: &[u8]) -> Option<Format> {
    todo!()
}

/// The plain text of `file` in an unlinked temporary file made in `directory`, positioned at its
/// start, and its size; None: `file` is plain itself (and is positioned at its start).
pub fn expand(
    file: &mut File,
    directory: &Path,
    limit: u64,
) -> Result<Option<(File, u64)>, CompressedError> {
    todo!()
}
