//! Messages that Dovecot's mail_compress wrote, and the recipes that compress old mail: found by
//! their first bytes, whatever their name says, and served as the plain text they hold.
//!
//! The text goes to a temporary file without a name, so that everything else (sizes, MIME offsets,
//! partial fetches) works on it as on any message, and a message that is small on disk cannot use up
//! the memory.  Encrypted messages are told apart so that a client gets a clear text.
//!
//! A message may begin like a compressed file by chance.  For all formats but zlib's two bytes that
//! is out of the question for text; what looks like zlib but is not is served as it is.

use std::io::{self, BufRead, BufReader, Read};
use std::path::Path;
use std::sync::atomic::{AtomicU32, Ordering};

use bzip2::bufread::MultiBzDecoder;
use flate2::bufread::{MultiGzDecoder, ZlibDecoder};
use ruzstd::decoding::StreamingDecoder;
use ruzstd::decoding::errors::{FrameDecoderError, ReadFrameHeaderError};

use super::dir::{self, Access, Dir, DiskError, DiskResult, File};

/// How a file is stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    Gzip,
    Bzip2,
    Zstd,
    /// Dovecot's own framing, not that of lz4(1).
    Lz4,
    Zlib,
    Xz,
    /// By Dovecot's mail_crypt.
    Encrypted,
}

/// Why there is no text.
#[derive(Debug)]
pub enum CompressedError {
    /// It can only be read with the user's key, which Dovecot has.
    Encrypted,
    /// A format that is recognised and not read.
    Unsupported,
    /// More plain text than the limit allows.
    TooLarge,
    /// Not what its first bytes promised, or cut short.
    Broken,
    Io(DiskError),
}

/// Looks at the first bytes of a file, of which [`FIRST_BYTES`] are enough; None: it is plain.
pub fn detect(first: &[u8]) -> Option<Format> {
    let (_, format) = MAGIC.iter().find(|(magic, _)| first.starts_with(magic))?;
    let text = |byte: &u8| matches!(byte, b'\t' | b'\n' | b'\r' | b' '..=b'~');
    match format {
        // `x^` may begin a header, too.
        Format::Zlib if first.iter().all(text) => None,
        format => Some(*format),
    }
}

/// The plain text of `file` in a temporary file made in `directory`, and its size; None: `file` is
/// plain itself.
pub fn expand(
    file: &File,
    directory: &Dir,
    limit: u64,
) -> Result<Option<(File, u64)>, CompressedError> {
    let mut first = [0; FIRST_BYTES];
    let got = file.read_at(&mut first, 0)?;
    let Some(format) = detect(first.get(..got).unwrap_or_default()) else {
        return Ok(None);
    };
    let expanded = expand_into(file, format, directory, limit);
    match expanded {
        // A full disk is no reason not to serve what is on it.
        Err(CompressedError::Io(e)) if dir::is_full(&e) => {
            let elsewhere = Dir::open(Path::new(ELSEWHERE))?;
            expand_into(file, format, &elsewhere, limit).map(Some)
        }
        Err(CompressedError::Broken) if format == Format::Zlib => Ok(None),
        expanded => expanded.map(Some),
    }
}

fn expand_into(
    file: &File,
    format: Format,
    directory: &Dir,
    limit: u64,
) -> Result<(File, u64), CompressedError> {
    let input = BufReader::with_capacity(BUFFER, FromStart { file, offset: 0 });
    let mut output = Output {
        file: temporary(directory)?,
        size: 0,
        limit,
    };
    match format {
        Format::Gzip => output.copy(MultiGzDecoder::new(input))?,
        Format::Bzip2 => output.copy(MultiBzDecoder::new(input))?,
        Format::Zlib => output.copy(ZlibDecoder::new(input))?,
        Format::Zstd => expand_zstd(input, &mut output)?,
        Format::Lz4 => expand_lz4(input, &mut output)?,
        Format::Xz => return Err(CompressedError::Unsupported),
        Format::Encrypted => return Err(CompressedError::Encrypted),
    }
    Ok((output.file, output.size))
}

/// Frames one after the other, some of which may be there to be skipped (RFC 8878 3.1).
fn expand_zstd(mut input: impl BufRead, output: &mut Output) -> Result<(), CompressedError> {
    while !input.fill_buf().map_err(failed)?.is_empty() {
        match StreamingDecoder::new(&mut input) {
            Ok(decoder) => output.copy(decoder)?,
            Err(FrameDecoderError::ReadFrameHeaderError(ReadFrameHeaderError::SkipFrame {
                length,
                ..
            })) => {
                io::copy(&mut input.by_ref().take(length.into()), &mut io::sink())
                    .map_err(failed)?;
            }
            Err(_) => return Err(CompressedError::Broken),
        }
    }
    Ok(())
}

/// After the magic the size of the largest chunk's text, then for each chunk its compressed size
/// and an lz4 block; numbers big-endian.
fn expand_lz4(mut input: impl BufRead, output: &mut Output) -> Result<(), CompressedError> {
    let mut magic = [0; LZ4_MAGIC.len()];
    read_whole(&mut input, &mut magic)?;
    let largest = read_size(&mut input)?;
    let mut text = vec![0; largest];
    let mut chunk = Vec::new();
    while !input.fill_buf().map_err(failed)?.is_empty() {
        chunk.resize(read_size(&mut input)?, 0);
        read_whole(&mut input, &mut chunk)?;
        let size = lz4_flex::block::decompress_into(&chunk, &mut text)
            .map_err(|_| CompressedError::Broken)?;
        output.write(text.get(..size).unwrap_or_default())?;
    }
    Ok(())
}

fn read_size(input: &mut impl Read) -> Result<usize, CompressedError> {
    let mut size = [0; 4];
    read_whole(input, &mut size)?;
    match u32::from_be_bytes(size) as usize {
        size if size <= LZ4_CHUNK_MAX => Ok(size),
        _ => Err(CompressedError::Broken),
    }
}

fn read_whole(input: &mut impl Read, bytes: &mut [u8]) -> Result<(), CompressedError> {
    input.read_exact(bytes).map_err(failed)
}

/// An error of the file beneath is told as it was; all others mean that it is damaged.
fn failed(error: io::Error) -> CompressedError {
    error
        .downcast::<DiskError>()
        .map_or(CompressedError::Broken, CompressedError::Io)
}

/// The text so far.
struct Output {
    file: File,
    size: u64,
    limit: u64,
}

impl Output {
    /// Takes everything from `decoder`.
    fn copy(&mut self, mut decoder: impl Read) -> Result<(), CompressedError> {
        let mut buffer = vec![0; BUFFER];
        loop {
            match decoder.read(&mut buffer) {
                Ok(0) => return Ok(()),
                Ok(n) => self.write(buffer.get(..n).unwrap_or_default())?,
                Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
                Err(e) => return Err(failed(e)),
            }
        }
    }

    fn write(&mut self, text: &[u8]) -> Result<(), CompressedError> {
        self.size = self.size.saturating_add(text.len() as u64);
        if self.size > self.limit {
            return Err(CompressedError::TooLarge);
        }
        Ok(self.file.write_all(text)?)
    }
}

/// Reads a file from its start, wherever its own position is.
struct FromStart<'a> {
    file: &'a File,
    offset: u64,
}

impl Read for FromStart<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let got = self.file.read_at(buffer, self.offset)?;
        self.offset += got as u64;
        Ok(got)
    }
}

fn temporary(directory: &Dir) -> DiskResult<File> {
    static COUNT: AtomicU32 = AtomicU32::new(0);
    let count = COUNT.fetch_add(1, Ordering::Relaxed);
    let name = format!("roost.{}.{count}.plain", dir::own_process());
    let file = match directory.create_new(name.as_bytes(), &Access::PRIVATE) {
        // Left by a process of the same number that ended between two calls.
        Err(e) if e.kind() == io::ErrorKind::AlreadyExists => {
            directory.unlink(name.as_bytes())?;
            directory.create_new(name.as_bytes(), &Access::PRIVATE)?
        }
        other => other?,
    };
    directory.unlink(name.as_bytes())?;
    Ok(file)
}

impl From<DiskError> for CompressedError {
    fn from(e: DiskError) -> CompressedError {
        CompressedError::Io(e)
    }
}

/// How much of a file [`detect`] wants to see.
pub const FIRST_BYTES: usize = 16;

/// What Dovecot begins a file of its own LZ4 format with.
const LZ4_MAGIC: &[u8] = b"Dovecot-LZ4\x0d\x2a\x9b\xc5";
const MAGIC: [(&[u8], Format); 10] = [
    (b"\x1f\x8b", Format::Gzip),
    (b"BZh", Format::Bzip2),
    (b"\x28\xb5\x2f\xfd", Format::Zstd),
    (LZ4_MAGIC, Format::Lz4),
    (b"\xfd7zXZ\0", Format::Xz),
    (b"CRYPTED\x03\x07", Format::Encrypted),
    (b"x\x01", Format::Zlib),
    (b"x\x5e", Format::Zlib),
    (b"x\x9c", Format::Zlib),
    (b"x\xda", Format::Zlib),
];
/// As Dovecot has it.
const LZ4_CHUNK_MAX: usize = 1 << 20;
const BUFFER: usize = 64 << 10;
const ELSEWHERE: &str = "/tmp";

#[cfg(test)]
mod tests;
