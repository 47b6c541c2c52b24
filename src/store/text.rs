//! One message's text, read piece by piece: never more than a chunk and the header in memory.

use std::ops::Range;

use super::MailboxKey;
use crate::mail::Uid;
use crate::maildir::disk::dir::DiskResult;
use crate::maildir::folder::MessageFile;
use crate::message::HEADER_MAX;
use crate::message::crlf::{Checkpoint, CrlfCounter, Span, ToCrlf};
use crate::message::header::HeaderEnd;
use crate::message::mime::{Scanner, Structure};

pub struct Text {
    file: MessageFile,
    /// The octets of the file at `chunk_at`, and room for more: it is cleared only once.
    chunk: Vec<u8>,
    chunk_at: Range<u64>,
    header: Option<Vec<u8>>,
    structure: Option<Structure>,
    /// How far a scan that takes several time slices has come.
    scan: Option<(Scanner, u64)>,
    count: Option<(CrlfCounter, u64)>,
    whole: Option<Span>,
    /// Where the conversion of a piece stood when it was last left: the piece's start and the
    /// place.
    left_off: Option<(u64, Checkpoint)>,
}

impl Text {
    pub fn new(file: MessageFile) -> Text {
        Text {
            file,
            chunk: Vec::new(),
            chunk_at: 0..0,
            header: None,
            structure: None,
            scan: None,
            count: None,
            whole: None,
            left_off: None,
        }
    }

    /// Uses the memory of a text read before.
    pub fn reuse(self, file: MessageFile) -> Text {
        let chunk = self.chunk;
        Text {
            chunk,
            ..Text::new(file)
        }
    }

    /// Keeps what is known of the text, and gives back the memory of its octets.
    pub fn release(&mut self) {
        self.chunk = Vec::new();
        self.chunk_at = 0..0;
        self.header = None;
    }

    pub fn is_expanded(&self) -> bool {
        self.file.is_expanded()
    }

    pub fn size(&self) -> u64 {
        self.file.size
    }

    /// Converts a piece from octet `first` of its text on the wire, from where a fetch before this
    /// one left off if that helps.
    pub fn converter(&self, span: Span, first: u64, length: u64) -> (u64, ToCrlf) {
        match self.left_off {
            Some((start, place)) if start == span.start && place.written <= first => (
                span.start + place.read,
                ToCrlf::resume(place, first, length),
            ),
            _ => (span.start, ToCrlf::new(first, length)),
        }
    }

    /// The next piece of this text is likely to be wanted from here.
    pub fn leave_off(&mut self, start: u64, place: Checkpoint) {
        self.left_off = Some((start, place));
    }

    /// Octets of the file from `at` on, as many as one read gives; none at its end.
    pub fn chunk(&mut self, at: u64) -> DiskResult<&[u8]> {
        self.chunk_of(at, CHUNK)
    }

    /// Octets of the file from `at` on.  If they have to be read, at most `most` are read.
    fn chunk_of(&mut self, at: u64, most: usize) -> DiskResult<&[u8]> {
        // What was behind the end when the file was opened does not exist for us.
        if at >= self.file.size {
            return Ok(&[]);
        }
        if !self.chunk_at.contains(&at) {
            if self.chunk.is_empty() {
                self.chunk = vec![0; CHUNK];
            }
            self.chunk_at = 0..0;
            let room = self.chunk.get_mut(..most).unwrap_or_default();
            let length = self.file.read_at(at, room)?;
            self.chunk_at = at..at + length as u64;
        }
        let offset = |place: u64| usize::try_from(place - self.chunk_at.start).unwrap_or(0);
        let octets = self
            .chunk
            .get(offset(at.min(self.chunk_at.end))..offset(self.chunk_at.end));
        Ok(octets.unwrap_or_default())
    }

    /// The header with its empty line, up to the limit on headers.
    pub fn header(&mut self) -> DiskResult<&[u8]> {
        let header = match self.header.take() {
            Some(header) => header,
            None => self.read_header()?,
        };
        Ok(self.header.insert(header))
    }

    fn read_header(&mut self) -> DiskResult<Vec<u8>> {
        let mut header = Vec::new();
        let mut end = HeaderEnd::default();
        let mut at = 0;
        while header.len() < HEADER_MAX {
            let chunk = self.chunk_of(at, HEADER_CHUNK)?;
            if chunk.is_empty() {
                break;
            }
            let found = end.push(chunk);
            let of_header = found.and_then(|end| chunk.get(..end)).unwrap_or(chunk);
            header.extend_from_slice(of_header);
            if found.is_some() {
                break;
            }
            at += chunk.len() as u64;
        }
        Ok(header)
    }

    /// The tree of parts; `None` when the time slice was used up before the end of the text.
    pub fn structure(&mut self, over: &dyn Fn() -> bool) -> DiskResult<Option<&Structure>> {
        if self.structure.is_none() {
            let (mut scanner, mut at) = self.scan.take().unwrap_or_else(|| (Scanner::new(), 0));
            loop {
                let chunk = self.chunk(at)?;
                if chunk.is_empty() {
                    break;
                }
                scanner.push(chunk);
                at += chunk.len() as u64;
                if over() {
                    self.scan = Some((scanner, at));
                    return Ok(None);
                }
            }
            let structure = scanner.finish();
            self.whole = Some(structure.whole());
            self.structure = Some(structure);
        }
        Ok(self.structure.as_ref())
    }

    /// What the whole text measures; `None` when the time slice was used up.
    pub fn whole(&mut self, over: &dyn Fn() -> bool) -> DiskResult<Option<Span>> {
        if self.whole.is_none() {
            let (mut counter, mut at) = self.count.take().unwrap_or_default();
            loop {
                let chunk = self.chunk(at)?;
                if chunk.is_empty() {
                    break;
                }
                counter.push(chunk);
                at += chunk.len() as u64;
                if over() {
                    self.count = Some((counter, at));
                    return Ok(None);
                }
            }
            self.whole = Some(counter.span());
        }
        Ok(self.whole)
    }
}

/// A large text that a client fetches in parts, kept between commands.
pub struct Memo {
    mailbox: MailboxKey,
    uid: Uid,
    text: Text,
}

impl Memo {
    pub fn new(mailbox: MailboxKey, uid: Uid, mut text: Text) -> Memo {
        text.release();
        Memo { mailbox, uid, text }
    }

    pub fn into_text(self) -> Text {
        self.text
    }

    pub fn is_of(&self, mailbox: MailboxKey, uid: Uid) -> bool {
        self.mailbox == mailbox && self.uid == uid
    }
}

/// How much is read at once.
const CHUNK: usize = 64 * 1024;

/// How much is read at once of a header: most have less.
const HEADER_CHUNK: usize = 8 * 1024;
