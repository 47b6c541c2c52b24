//! Messages that Dovecot's mail_compress wrote, and the recipes that compress old mail: found by
//! their first bytes, whatever their name says, and served as the plain text they hold.
//!
//! A file that was cut short gives what it has, and the reader is told so.  Expanding works in
//! slices, like all long work.
//!
//! The text goes to a temporary file without a name, so that everything else (sizes, MIME offsets,
//! partial fetches) works on it as on any message, and a message that is small on disk cannot use
//! up the memory.  Encrypted messages are told apart so that a client gets a clear text.
//!
//! A message may begin like a compressed file by chance.  For all formats but zlib's two bytes that
//! is out of the question for text; what looks like zlib but is not is served as it is.

use std::cell::Cell;
use std::fmt;
use std::io::{self, BufRead, BufReader, Chain, Cursor, Read};
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use bzip2::bufread::BzDecoder;
use flate2::bufread::{GzDecoder, ZlibDecoder};
use ruzstd::decoding::{FrameDecoder, StreamingDecoder};

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
    /// It is not what its first bytes say, or is cut short.
    Broken,
    Io(DiskError),
}

/// Looks at the first bytes of a file, of which [`FIRST_BYTES`] are enough; None: it is plain.
pub fn detect(first: &[u8]) -> Option<Format> {
    let (_, format) = MAGIC.iter().find(|(magic, _)| first.starts_with(magic))?;
    let text = |byte: &u8| matches!(byte, b'\t' | b'\n' | b'\r' | b' '..=b'~');
    match format {
        // `x^` may begin a header, too, and so may `BZh`.
        Format::Zlib if first.iter().all(text) => None,
        Format::Bzip2 if !is_bzip2(first) => None,
        format => Some(*format),
    }
}

/// `BZh`, the size of the blocks, and the beginning of a block or of the end.
fn is_bzip2(first: &[u8]) -> bool {
    const BLOCK: &[u8] = b"\x31\x41\x59\x26\x53\x59";
    const END: &[u8] = b"\x17\x72\x45\x38\x50\x90";
    let level = first
        .get(3)
        .is_some_and(|level| matches!(level, b'1'..=b'9'));
    let rest = first.get(4..).unwrap_or_default();
    // A file may be cut within them.
    let begins = |with: &[u8]| rest.starts_with(with) || with.starts_with(rest);
    level && (begins(BLOCK) || begins(END))
}

/// A compressed file whose text is on its way into a temporary file, slice by slice.
pub struct Expansion {
    format: Format,
    decoder: Decoder,
    /// How many octets of the input the decoder may have now.
    budget: Rc<Cell<usize>>,
    /// How many whole members have been read.  A file may have several, one behind the other.
    members: u64,
    output: Output,
}

/// The text of a compressed file.
#[derive(Debug)]
pub struct Expanded {
    pub file: File,
    pub size: u64,
    /// The file was cut short or is damaged, and the text is what could be read of it.
    pub is_cut: bool,
}

/// What is read next.
enum Decoder {
    /// The beginning of a member, or the end of the file.
    Next(Input),
    Gzip(GzDecoder<Input>),
    Bzip2(BzDecoder<Input>),
    Zlib(ZlibDecoder<Input>),
    Zstd(Box<StreamingDecoder<Frame, FrameDecoder>>),
    Lz4(Lz4),
    Over,
}

type Input = BufReader<FromStart>;
/// The magic, which was looked at, and the rest.
type Frame = Chain<Cursor<[u8; 4]>, Input>;

/// How far one step came.
enum Stride {
    On,
    /// The decoder has used up its input for now.
    Paused,
    Done,
}

impl Expansion {
    /// Begins with a file of this format; the temporary file is made in `directory`.
    pub fn begin(
        input: &Arc<File>,
        format: Format,
        directory: &Dir,
        limit: u64,
    ) -> Result<Expansion, CompressedError> {
        match format {
            Format::Xz => return Err(CompressedError::Unsupported),
            Format::Encrypted => return Err(CompressedError::Encrypted),
            _ => (),
        }
        let budget = Rc::new(Cell::new(0));
        Ok(Expansion {
            format,
            decoder: Decoder::Next(read_from_start(input, &budget)),
            budget,
            members: 0,
            output: Output {
                file: temporary(directory)?,
                size: 0,
                limit,
            },
        })
    }

    pub fn format(&self) -> Format {
        self.format
    }

    /// Goes on until the slice is over; `None`: there is more to do.  After an error nothing more
    /// can be read.
    pub fn go_on(&mut self, over: &dyn Fn() -> bool) -> Result<Option<Expanded>, CompressedError> {
        loop {
            // A file must not keep others waiting: a member can be long and give no text.
            self.budget.set(INPUT_AT_ONCE);
            let is_done = loop {
                match self.stride() {
                    Ok(Stride::On) if !over() => (),
                    Ok(Stride::On | Stride::Paused) => break false,
                    Ok(Stride::Done) => break true,
                    Err(CompressedError::Broken) if self.is_of_use() => {
                        return self.finish(true).map(Some);
                    }
                    Err(error) => return Err(error),
                }
            };
            if is_done {
                return self.finish(false).map(Some);
            }
            if over() {
                return Ok(None);
            }
        }
    }

    /// A part of a cut file is better than nothing.  But a file that looks like zlib may be none.
    fn is_of_use(&self) -> bool {
        self.output.size > 0 && self.format != Format::Zlib
    }

    fn finish(&mut self, is_cut: bool) -> Result<Expanded, CompressedError> {
        self.decoder = Decoder::Over;
        let size = self.output.size;
        let file = self.output.file.duplicate()?;
        Ok(Expanded { file, size, is_cut })
    }

    /// Takes some text from the decoder.
    fn stride(&mut self) -> Result<Stride, CompressedError> {
        let mut buffer = [0; BUFFER];
        let read = match &mut self.decoder {
            Decoder::Next(_) => return self.next_member(),
            Decoder::Over => return Ok(Stride::Done),
            Decoder::Gzip(decoder) => decoder.read(&mut buffer),
            Decoder::Bzip2(decoder) => decoder.read(&mut buffer),
            Decoder::Zlib(decoder) => decoder.read(&mut buffer),
            Decoder::Zstd(decoder) => {
                // The decoder cannot stop within a block, but a block is small.
                self.budget.set(usize::MAX);
                decoder.read(&mut buffer)
            }
            Decoder::Lz4(chunks) => {
                self.budget.set(usize::MAX);
                return match chunks.next(&mut self.output)? {
                    true => Ok(Stride::On),
                    false => Ok(Stride::Done),
                };
            }
        };
        match read {
            Ok(0) => {
                self.end_member();
                Ok(Stride::On)
            }
            Ok(n) => {
                self.output.write(buffer.get(..n).unwrap_or_default())?;
                Ok(Stride::On)
            }
            Err(e) if e.kind() == io::ErrorKind::Interrupted => Ok(Stride::On),
            Err(e) if e.kind() == io::ErrorKind::WouldBlock => Ok(Stride::Paused),
            Err(e) => Err(failed(e)),
        }
    }

    fn end_member(&mut self) {
        self.members += 1;
        self.decoder = match std::mem::replace(&mut self.decoder, Decoder::Over) {
            Decoder::Gzip(decoder) => Decoder::Next(decoder.into_inner()),
            Decoder::Bzip2(decoder) => Decoder::Next(decoder.into_inner()),
            Decoder::Zstd(decoder) => Decoder::Next(decoder.into_inner().into_inner().1),
            _ => Decoder::Over,
        };
    }

    /// Another member, or the end.  What follows the last member and is none is skipped, as gzip(1)
    /// does.
    fn next_member(&mut self) -> Result<Stride, CompressedError> {
        let Decoder::Next(mut input) = std::mem::replace(&mut self.decoder, Decoder::Over) else {
            return Ok(Stride::Done);
        };
        let first = match input.fill_buf() {
            Ok(octets) => octets.first().copied(),
            Err(e) if e.kind() == io::ErrorKind::WouldBlock => {
                self.decoder = Decoder::Next(input);
                return Ok(Stride::Paused);
            }
            Err(e) => return Err(failed(e)),
        };
        self.decoder = match (self.format, first) {
            (Format::Gzip, Some(0x1f)) => Decoder::Gzip(GzDecoder::new(input)),
            (Format::Bzip2, Some(b'B')) => Decoder::Bzip2(BzDecoder::new(input)),
            (Format::Zlib, Some(_)) => Decoder::Zlib(ZlibDecoder::new(input)),
            (Format::Zstd, Some(_)) => {
                self.budget.set(usize::MAX);
                zstd_frame(input)?
            }
            (Format::Lz4, Some(_)) => {
                self.budget.set(usize::MAX);
                Decoder::Lz4(Lz4::begin(input)?)
            }
            _ => return Ok(Stride::Done),
        };
        Ok(Stride::On)
    }
}

/// A frame, or one that is there to be skipped (RFC 8878 3.1).
fn zstd_frame(mut input: Input) -> Result<Decoder, CompressedError> {
    let mut magic = [0; 4];
    read_whole(&mut input, &mut magic)?;
    if let [0x50..=0x5f, 0x2a, 0x4d, 0x18] = magic {
        let mut length = [0; 4];
        read_whole(&mut input, &mut length)?;
        let mut skipped = input.by_ref().take(u32::from_le_bytes(length).into());
        io::copy(&mut skipped, &mut io::sink()).map_err(failed)?;
        return Ok(Decoder::Next(input));
    }
    let frame = Cursor::new(magic).chain(input);
    let decoder = StreamingDecoder::new_with_max_window_size(frame, ZSTD_WINDOW_MAX);
    match decoder {
        Ok(decoder) => Ok(Decoder::Zstd(Box::new(decoder))),
        Err(_) => Err(CompressedError::Broken),
    }
}

/// After the magic the size of the largest chunk's text, then for each chunk its compressed size
/// and an lz4 block; numbers big-endian.
struct Lz4 {
    input: Input,
    text: Vec<u8>,
    chunk: Vec<u8>,
}

impl Lz4 {
    fn begin(mut input: Input) -> Result<Lz4, CompressedError> {
        let mut magic = [0; LZ4_MAGIC.len()];
        read_whole(&mut input, &mut magic)?;
        let text = vec![0; read_size(&mut input)?];
        let chunk = Vec::new();
        Ok(Lz4 { input, text, chunk })
    }

    /// False: there was no further chunk.
    fn next(&mut self, output: &mut Output) -> Result<bool, CompressedError> {
        if self.input.fill_buf().map_err(failed)?.is_empty() {
            return Ok(false);
        }
        self.chunk.resize(read_size(&mut self.input)?, 0);
        read_whole(&mut self.input, &mut self.chunk)?;
        let size = lz4_flex::block::decompress_into(&self.chunk, &mut self.text)
            .map_err(|_| CompressedError::Broken)?;
        output.write(self.text.get(..size).unwrap_or_default())?;
        Ok(true)
    }
}

impl fmt::Debug for Expansion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Expansion")
            .field("format", &self.format)
            .field("size", &self.output.size)
            .finish_non_exhaustive()
    }
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

/// An error of the file beneath is passed on.  All others mean that the file is damaged.
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
    fn write(&mut self, text: &[u8]) -> Result<(), CompressedError> {
        self.size = self.size.saturating_add(text.len() as u64);
        if self.size > self.limit {
            return Err(CompressedError::TooLarge);
        }
        Ok(self.file.write_all(text)?)
    }
}

fn read_from_start(file: &Arc<File>, budget: &Rc<Cell<usize>>) -> Input {
    let reader = FromStart {
        file: Arc::clone(file),
        offset: 0,
        budget: Rc::clone(budget),
    };
    BufReader::with_capacity(BUFFER, reader)
}

/// Reads a file from its start, wherever its own position is, as far as the budget goes.
struct FromStart {
    file: Arc<File>,
    offset: u64,
    budget: Rc<Cell<usize>>,
}

impl Read for FromStart {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let budget = self.budget.get();
        if budget == 0 {
            return Err(io::ErrorKind::WouldBlock.into());
        }
        let most = budget.min(buffer.len());
        let room = buffer.get_mut(..most).unwrap_or_default();
        let got = self.file.read_at(room, self.offset)?;
        self.offset += got as u64;
        self.budget.set(budget - got);
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
/// zstd's own default is lower.  Only as much memory is used as the text has.
const ZSTD_WINDOW_MAX: u64 = 32 << 20;
const BUFFER: usize = 16 << 10;
/// How much input is read at once.  It takes a millisecond or so.
const INPUT_AT_ONCE: usize = 32 << 10;

#[cfg(test)]
mod tests;
