//! The tree of parts (RFC 2046), found in one pass over chunks cut anywhere.
//!
//! A [`Part`] keeps offsets, sizes, and the few fields that ENVELOPE and BODYSTRUCTURE are made of;
//! the text of the message is never held. How parts are found, and the limits, are described in
//! `walk.rs`.

use super::content::Content;
use super::crlf::{Mark, Span};
use super::envelope;
use super::transfer::Encoding;
use super::walk::{Head, Holds, LineWalk, Visitor};

/// Reads a message and builds its [`Structure`].
pub struct Scanner {
    walk: LineWalk<Builder>,
}

impl Scanner {
    pub fn new() -> Scanner {
        Scanner {
            walk: LineWalk::new(Builder::default()),
        }
    }

    pub fn push(&mut self, chunk: &[u8]) {
        self.walk.push(chunk);
    }

    pub fn finish(self) -> Structure {
        let builder = self.walk.finish();
        Structure {
            root: builder.root.unwrap_or_default(),
        }
    }
}

impl Default for Scanner {
    fn default() -> Scanner {
        Scanner::new()
    }
}

/// A message: the root of its tree of parts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Structure {
    pub root: Part,
}

/// One part: where it is in the file and what its header says.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Part {
    /// Header with its empty line.
    pub header: Span,
    /// Body without the line end that belongs to the boundary.
    pub body: Span,
    pub kind: PartKind,
    /// The fields about the content, and those of the envelope if it is a message.
    fields: Box<[u8]>,
    in_digest: bool,
}

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum PartKind {
    /// text/*, which tells its lines in BODYSTRUCTURE.
    #[default]
    Text,
    /// Never empty: a multipart in which no part is found has one, of text, which is all of its
    /// body.
    Multipart(Vec<Part>),
    /// message/rfc822 or message/global with the message in it.
    Message(Box<Part>),
    Other,
    /// A multipart or message/rfc822 beyond a limit, told as application/octet-stream.
    Opaque,
}

/// What a section's part numbers lead to.
#[derive(Clone, Copy, Debug)]
pub struct FoundPart<'a> {
    pub part: &'a Part,
    /// What `BODY[n.MIME]` shows.
    pub mime: Span,
    /// What `BODY[n]` shows, and `BINARY[n]` decodes.
    pub text: Span,
}

impl Structure {
    /// The part that a section's numbers name (RFC 3501 6.4.5). A message that is no multipart is
    /// its own part 1.
    pub fn find(&self, numbers: &[u32]) -> Option<FoundPart<'_>> {
        let mut message = Some(&self.root); // what the next number counts in
        let mut part = None;
        for &number in numbers {
            let parent = message?;
            let found = match &parent.kind {
                PartKind::Multipart(parts) => parts.get((number as usize).checked_sub(1)?)?,
                _ if number == 1 => parent,
                _ => return None,
            };
            message = match &found.kind {
                PartKind::Multipart(_) => Some(found),
                PartKind::Message(inner) => Some(inner),
                _ => None,
            };
            part = Some(found);
        }
        part.map(|part| FoundPart {
            part,
            mime: part.header,
            text: part.body,
        })
    }

    /// Header and body of the whole message.
    pub fn whole(&self) -> Span {
        self.root.header.joined(&self.root.body)
    }

    /// ENVELOPE of the message.
    pub fn write_envelope(&self, out: &mut Vec<u8>) {
        envelope::write_envelope(&self.root.fields, out);
    }
}

impl<'a> FoundPart<'a> {
    /// The message inside, if the part is one: what n.HEADER, n.TEXT and n.HEADER.FIELDS are about.
    pub fn message(&self) -> Option<&'a Part> {
        match &self.part.kind {
            PartKind::Message(inner) => Some(inner),
            _ => None,
        }
    }

    /// How the part's body is encoded, for BINARY. What holds parts may not be encoded (RFC 2045
    /// 6.4), and is told as it stands.
    pub fn encoding(&self) -> Encoding {
        match self.part.kind {
            PartKind::Multipart(_) | PartKind::Message(_) => Encoding::Identity,
            _ => self.part.content().encoding(),
        }
    }
}

impl Part {
    /// What its header says about its body.
    pub fn content(&self) -> Content {
        let mut content = Content::read(&self.fields, self.in_digest);
        if self.kind == PartKind::Opaque {
            content.media_type = b"application".to_vec();
            content.subtype = b"octet-stream".to_vec();
        }
        content
    }

    /// The fields of the envelope are among them.
    pub(super) fn fields(&self) -> &[u8] {
        &self.fields
    }
}

/// Makes the tree of what the walk sees.
#[derive(Default)]
struct Builder {
    open: Vec<Unfinished>,
    root: Option<Part>,
}

#[derive(Default)]
struct Unfinished {
    start: Mark,
    body: Mark,
    head: Option<Head>,
    parts: Vec<Part>,
}

impl Visitor for Builder {
    const MEASURES: bool = true;

    fn begin(&mut self, at: Mark, _is_message: bool) {
        self.open.push(Unfinished {
            start: at,
            body: at,
            ..Unfinished::default()
        });
    }

    fn field(&mut self, _raw: &[u8]) {}

    fn header_end(&mut self, at: Mark, head: Head) {
        if let Some(part) = self.open.last_mut() {
            part.body = at;
            part.head = Some(head);
        }
    }

    fn body(&mut self, _octets: &[u8]) {}

    fn end(&mut self, at: Mark) {
        let Some(part) = self.open.pop() else { return };
        let part = part.finish(at);
        match self.open.last_mut() {
            Some(parent) => parent.parts.push(part),
            None => self.root = Some(part),
        }
    }
}

impl Unfinished {
    fn finish(mut self, end: Mark) -> Part {
        // A boundary line may have claimed the header's empty line, which then is no part of
        // either.
        self.start = self.start.min(end);
        self.body = self.body.min(end);
        let mut part = Part {
            header: Span::between(self.start, self.body),
            body: Span::between(self.body, end),
            ..Part::default()
        };
        let Some(head) = self.head else { return part };
        part.fields = head.fields.into_boxed_slice();
        part.in_digest = head.in_digest;
        part.kind = match head.holds {
            Holds::Opaque => PartKind::Opaque,
            Holds::Message => PartKind::Message(Box::new(self.parts.pop().unwrap_or_default())),
            Holds::Text if head.content.is_type("text") => PartKind::Text,
            Holds::Text if !head.content.is_type("multipart") => PartKind::Other,
            Holds::Text | Holds::Parts => {
                if self.parts.is_empty() {
                    self.parts.push(Part {
                        header: Span::between(self.body, self.body),
                        body: part.body,
                        ..Part::default()
                    });
                }
                PartKind::Multipart(self.parts)
            }
        };
        part
    }
}

#[cfg(test)]
mod tests;
