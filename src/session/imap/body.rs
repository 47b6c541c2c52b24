//! A literal on its way to the client, read from the message as the client's buffer drains.

use crate::log::ONCE;
use crate::maildir::disk::dir::DiskResult;
use crate::message::crlf::{Span, ToCrlf};
use crate::message::transfer::TransferDecoder;
use crate::net::Buffer;
use crate::store::text::Text;

/// A literal whose size has been announced.  Exactly so many octets must follow.
pub struct Body {
    left: u64,
    source: Source,
}

enum Source {
    /// Octets in memory.
    Memory { bytes: Vec<u8>, at: usize },
    /// A piece of the file with CRLF line ends.
    File {
        start: u64,
        at: u64,
        end: u64,
        convert: ToCrlf,
    },
    /// A piece of the file with its transfer encoding undone, and how many octets are left out at
    /// the start.
    Decoded {
        at: u64,
        end: u64,
        decoder: TransferDecoder,
        skip: u64,
        decoded: Vec<u8>,
    },
}

impl Body {
    pub fn memory(bytes: Vec<u8>) -> Body {
        Body {
            left: bytes.len() as u64,
            source: Source::Memory { bytes, at: 0 },
        }
    }

    /// `length` octets from `first` of the piece's text on the wire.
    pub fn of_file(text: &Text, span: Span, first: u64, length: u64) -> Body {
        let (at, convert) = text.converter(span, first, length);
        let source = Source::File {
            start: span.start,
            at,
            end: span.end,
            convert,
        };
        Body {
            left: length,
            source,
        }
    }

    /// `length` octets from `first` of the decoded piece.
    pub fn decoded(span: Span, decoder: TransferDecoder, first: u64, length: u64) -> Body {
        let decoded = Vec::new();
        let (at, end) = (span.start, span.end);
        let source = Source::Decoded {
            at,
            end,
            decoder,
            skip: first,
            decoded,
        };
        Body {
            left: length,
            source,
        }
    }

    /// Writes as much as there is room and time for; true when all is written.  When the file has
    /// less than was announced (it was changed in place) the rest is made up of spaces: the client
    /// stays in step, and the log says what happened.
    pub fn write(
        &mut self,
        mut text: Option<&mut Text>,
        out: &mut Buffer,
        over: &dyn Fn() -> bool,
    ) -> bool {
        while self.left > 0 && !out.is_full() && !over() {
            let before = out.len();
            match self.source.write(text.as_deref_mut(), self.left, out) {
                Ok(true) => {}
                Ok(false) => {
                    log::error!(target: ONCE, "a message became shorter while it was read");
                    self.pad(out);
                }
                Err(error) => {
                    log::error!(target: ONCE, "a message cannot be read on: {error}");
                    self.pad(out);
                }
            }
            self.left = self.left.saturating_sub((out.len() - before) as u64);
        }
        if self.left == 0
            && let Some(text) = text
        {
            self.source.finish(text);
        }
        self.left == 0
    }

    fn pad(&mut self, out: &mut Buffer) {
        let room = out
            .room()
            .min(usize::try_from(self.left).unwrap_or(usize::MAX));
        let bytes = out.writer();
        bytes.resize(bytes.len() + room, b' ');
    }
}

impl Source {
    fn finish(&self, text: &mut Text) {
        if let Source::File { start, convert, .. } = self {
            text.leave_off(*start, convert.checkpoint());
        }
    }

    /// Writes some octets, at most `left`; false when there are no more.
    fn write(&mut self, text: Option<&mut Text>, left: u64, out: &mut Buffer) -> DiskResult<bool> {
        let room = out.room().min(usize::try_from(left).unwrap_or(usize::MAX));
        match self {
            Source::Memory { bytes, at } => {
                let rest = bytes.get(*at..).unwrap_or_default();
                let piece = up_to(rest, room as u64);
                out.writer().extend_from_slice(piece);
                *at += piece.len();
                Ok(!piece.is_empty())
            }
            Source::File {
                at, end, convert, ..
            } => {
                let Some(text) = text else {
                    return Ok(false);
                };
                let chunk = up_to(text.chunk(*at)?, end.saturating_sub(*at));
                if chunk.is_empty() {
                    return Ok(false);
                }
                let used = convert.push(chunk, room, out.writer());
                *at += used as u64;
                Ok(true)
            }
            Source::Decoded {
                at,
                end,
                decoder,
                skip,
                decoded,
            } => {
                if decoded.is_empty() {
                    let Some(text) = text else {
                        return Ok(false);
                    };
                    let chunk = up_to(text.chunk(*at)?, end.saturating_sub(*at));
                    if chunk.is_empty() {
                        decoder.finish(decoded);
                        if decoded.is_empty() {
                            return Ok(false);
                        }
                    } else {
                        let piece = up_to(chunk, DECODE_CHUNK);
                        decoder.push(piece, decoded);
                        *at += piece.len() as u64;
                    }
                }
                let skipped = (*skip).min(decoded.len() as u64);
                *skip -= skipped;
                decoded.drain(..usize::try_from(skipped).unwrap_or(0));
                let piece = decoded.len().min(room);
                out.writer().extend(decoded.drain(..piece));
                Ok(true)
            }
        }
    }
}

/// The first `length` octets at most.
pub fn up_to(bytes: &[u8], length: u64) -> &[u8] {
    let length = usize::try_from(length).unwrap_or(usize::MAX);
    bytes.get(..length).unwrap_or(bytes)
}

/// How much encoded text is decoded at once.
const DECODE_CHUNK: u64 = 16 * 1024;

#[cfg(test)]
pub mod tests;
