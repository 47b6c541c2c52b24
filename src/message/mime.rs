//! The tree of parts (RFC 2046), found in one pass over chunks cut anywhere.

use super::content::Content;
use super::crlf::Span;
use super::transfer::Encoding;

/// Reads a message and builds its [`Structure`].
pub struct Scanner {}

impl Default for Scanner {
    fn default() -> Scanner {
        Scanner::new()
    }
}

impl Scanner {
    pub fn new() -> Scanner {
        todo!()
    }

    pub fn push(&mut self, chunk: &[u8]) {
        let _ = chunk;
        todo!()
    }

    pub fn finish(self) -> Structure {
        todo!()
    }
}

/// A message: the root of its tree of parts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Structure {
    pub root: Part,
}

/// One part: where it is in the file and what its header says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Part {
    /// Header with its empty line.
    pub header: Span,
    /// Body without the line end that belongs to the boundary.
    pub body: Span,
    pub content: Content,
    pub kind: Kind,
    /// The ENVELOPE text of a message (the root, and the message in a message/rfc822 part).
    pub envelope: Option<Box<[u8]>>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Kind {
    /// text/*, which tells its lines in BODYSTRUCTURE.
    Text,
    Multipart(Vec<Part>),
    /// message/rfc822 with the message in it.
    Message(Box<Part>),
    Other,
}

/// What a section's part numbers lead to.
#[derive(Clone, Copy, Debug)]
pub struct Found<'a> {
    pub part: &'a Part,
    /// What BODY[n.MIME] shows.
    pub mime: Span,
    /// What BODY[n] shows.
    pub text: Span,
}

impl Structure {
    /// The part that a section's numbers name (RFC 3501 6.4.5).
    pub fn find(&self, numbers: &[u32]) -> Option<Found<'_>> {
        let _ = numbers;
        todo!()
    }

    /// Header and body of the whole message.
    pub fn whole(&self) -> Span {
        todo!()
    }
}

impl<'a> Found<'a> {
    /// The message inside, if the part is message/rfc822: what n.HEADER, n.TEXT and n.HEADER.FIELDS are about.
    pub fn message(&self) -> Option<&'a Part> {
        todo!()
    }

    pub fn encoding(&self) -> Encoding {
        todo!()
    }
}
