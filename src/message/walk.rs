//! The walk through a message: header fields, parts, and the boundaries between them (RFC 2046
//! 5.1), in one pass over chunks cut anywhere.
//!
//! A stack holds the parts that are open, from the message down to the part the walk is in. A
//! boundary line of any of them closes those above it, so each line is looked at once however deep
//! it is. Held between chunks are: the field being read, and the start of a line that may be a
//! boundary.
//!
//! Which line is a boundary line: one that begins with `--` and the boundary, whatever follows (RFC
//! 2046 5.1.1). Of several boundaries that fit, the longest counts, so that `--xy` is told from
//! `--x` where both are open, and of equal ones the innermost; if it belongs to a multipart that
//! was closed already, the line is text. A boundary may be empty. The line end before a boundary
//! line belongs to it. In a part's header a boundary line ends header and part.
//!
//! Limits: parts nested deeper than [`NESTING_MAX`] are leaves; after [`PARTS_MAX`] parts boundary
//! lines are text; [`HEADER_MAX`] octets of fields are kept.

use memchr::memchr;
use memchr::memmem::Finder;

use super::content::Content;
use super::crlf::{CrlfCounter, Mark};
use super::envelope::is_in_envelope;
use super::header::{Field, is_wsp};
use super::{HEADER_MAX, NESTING_MAX, PARTS_MAX};

/// What sees the message as the walk goes through it.
pub(super) trait Visitor {
    /// Whether it looks at the marks it is given: then lines are counted.
    const MEASURES: bool;

    /// A part begins with its header; `is_message` if it is the message itself or the one in a
    /// message/rfc822 part.
    fn begin(&mut self, at: Mark, is_message: bool);

    /// A field of that header, as it stands.
    fn field(&mut self, raw: &[u8]);

    /// The header has ended, and the body begins. `fields` are those that ENVELOPE and
    /// BODYSTRUCTURE are made of.
    fn header_end(&mut self, at: Mark, head: Head);

    /// Octets of a leaf's body, or what is before, between and after the parts of a multipart. The
    /// line end before a boundary is among them.
    fn body(&mut self, octets: &[u8]);

    /// The part that was begun last and is not ended has ended.
    fn end(&mut self, at: Mark);
}

/// What a part's header says.
pub(super) struct Head {
    pub content: Content,
    pub holds: Holds,
    pub fields: Vec<u8>,
    pub in_digest: bool,
}

/// How a body is read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Holds {
    /// A leaf, or a multipart that names no boundary.
    Text,
    Parts,
    Message,
    /// Beyond a limit.
    Opaque,
}

pub(super) struct LineWalk<V> {
    pub visitor: V,
    open: Vec<Open>,
    /// Length of the longest boundary that a line may be; `None` where none can be.
    longest: Option<usize>,
    parts: usize,
    state: State,
    /// Start of a line that is undecided yet.
    head: Vec<u8>,
    /// Octets of the line end before the line the walk is in, if a boundary line can claim it.
    line_end: u64,
    after_cr: bool,
    counter: CrlfCounter,
    field: Vec<u8>,
    fields: Vec<u8>,
    /// Octets of `fields` of all parts.
    kept: usize,
    finder: Finder<'static>,
}

/// A part whose end has not come.
struct Open {
    is_message: bool,
    in_digest: bool,
    is_digest: bool,
    /// Of a multipart that names one.
    boundary: Option<Vec<u8>>,
    /// Its closing delimiter has come.
    is_closed: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    HeaderLineStart,
    HeaderLine,
    BodyLineStart,
    BodyLine,
    /// In a boundary line after which a part begins.
    Delimiter,
}

/// A boundary line.
struct Delimiter {
    /// Place in the stack of the multipart it belongs to.
    part: usize,
    closes: bool,
}

/// RFC 2046 allows 70. One that is longer than this is no boundary.
const BOUNDARY_MAX: usize = 1000;

impl<V: Visitor> LineWalk<V> {
    pub fn new(visitor: V) -> LineWalk<V> {
        let mut walk = LineWalk {
            visitor,
            open: Vec::new(),
            longest: None,
            parts: 0,
            state: State::HeaderLineStart,
            head: Vec::new(),
            line_end: 0,
            after_cr: false,
            counter: CrlfCounter::default(),
            field: Vec::new(),
            fields: Vec::new(),
            kept: 0,
            finder: Finder::new(b"\n--"),
        };
        walk.begin_part(Mark::default(), true, false);
        walk
    }

    pub fn push(&mut self, chunk: &[u8]) {
        let mut rest = chunk;
        while !rest.is_empty() {
            rest = self.step(rest);
        }
    }

    /// The message ends here.
    pub fn finish(mut self) -> V {
        let head = std::mem::take(&mut self.head);
        if !head.is_empty() {
            self.decide(&head);
        }
        let end = self.counter.mark();
        self.end_headers(end);
        while self.open.pop().is_some() {
            self.visitor.end(end);
        }
        self.visitor
    }

    /// Uses some of the input; returns the rest.
    fn step<'i>(&mut self, input: &'i [u8]) -> &'i [u8] {
        match self.state {
            State::HeaderLineStart | State::BodyLineStart => self.line_start(input),
            State::HeaderLine => self.header_line(input),
            State::BodyLine => self.body_lines(input),
            State::Delimiter => self.delimiter_line(input),
        }
    }

    /// Takes from the start of a line what decides whether it is a boundary line or the header's
    /// end.
    fn line_start<'i>(&mut self, input: &'i [u8]) -> &'i [u8] {
        if self.head.is_empty() {
            let in_header = self.state == State::HeaderLineStart;
            let is_special = match input.first() {
                Some(b'-') => self.longest.is_some(),
                Some(b'\n' | b'\r') => in_header,
                _ => false,
            };
            if !is_special {
                self.ordinary_line(input);
                return input;
            }
        }
        // Two octets decide most lines; a boundary line is told within `max`.
        let max = self.longest.unwrap_or(0) + b"----".len();
        let wanted = match self.head.len() {
            0 | 1 => 1,
            length => max.saturating_sub(length).max(1),
        };
        let window = input.get(..wanted).unwrap_or(input);
        let taken = memchr(b'\n', window).map_or(window.len(), |lf| lf + 1);
        let (piece, rest) = input.split_at_checked(taken).unwrap_or((input, b""));
        self.head.extend_from_slice(piece);
        let may_go_on = match self.head.as_slice() {
            [b'-'] | [b'\r'] => true,
            [b'-', b'-', .., last] => *last != b'\n' && self.head.len() < max,
            [b'-', b'-'] => true,
            _ => false,
        };
        if !may_go_on {
            let mut head = std::mem::take(&mut self.head);
            self.decide(&head);
            head.clear();
            self.head = head;
        }
        rest
    }

    /// Acts on the start of a line, which is all of it if it is short.
    fn decide(&mut self, head: &[u8]) {
        let in_header = self.state == State::HeaderLineStart;
        if in_header && (head == b"\n" || head == b"\r\n") {
            self.end_field();
            self.advance(head);
            self.end_header(self.counter.mark(), head.len() as u64);
            return;
        }
        if let Some(delimiter) = self.delimiter(head) {
            self.end_parts(&delimiter);
        } else {
            self.ordinary_line(head);
        }
        let mut rest = head;
        while !rest.is_empty() {
            rest = self.step(rest);
        }
    }

    /// A line begins that is no boundary line.
    fn ordinary_line(&mut self, line: &[u8]) {
        if self.state == State::HeaderLineStart {
            if !line.first().is_some_and(|b| is_wsp(*b)) {
                self.end_field();
            }
            self.state = State::HeaderLine;
        } else {
            self.state = State::BodyLine;
        }
    }

    fn header_line<'i>(&mut self, input: &'i [u8]) -> &'i [u8] {
        let end = memchr(b'\n', input);
        let (line, rest) = input
            .split_at_checked(end.map_or(input.len(), |lf| lf + 1))
            .unwrap_or((input, b""));
        let room = HEADER_MAX.saturating_sub(self.field.len());
        self.field
            .extend_from_slice(line.get(..room).unwrap_or(line));
        self.advance(line);
        if end.is_some() {
            self.state = State::HeaderLineStart;
        }
        rest
    }

    /// Goes to the start of the next line that may be a boundary line.
    fn body_lines<'i>(&mut self, input: &'i [u8]) -> &'i [u8] {
        let end = if self.longest.is_none() {
            None
        } else if let Some(lf) = self.finder.find(input) {
            Some(lf + 1)
        } else {
            // What is at the end may be the start of it.
            match input {
                [.., b'\n'] => Some(input.len()),
                [.., b'\n', b'-'] => Some(input.len() - 1),
                _ => None,
            }
        };
        let (lines, rest) = input
            .split_at_checked(end.unwrap_or(input.len()))
            .unwrap_or((input, b""));
        self.visitor.body(lines);
        self.advance(lines);
        if end.is_some() {
            self.state = State::BodyLineStart;
        }
        rest
    }

    fn delimiter_line<'i>(&mut self, input: &'i [u8]) -> &'i [u8] {
        let end = memchr(b'\n', input);
        let (line, rest) = input
            .split_at_checked(end.map_or(input.len(), |lf| lf + 1))
            .unwrap_or((input, b""));
        self.advance(line);
        if end.is_some() {
            self.begin_next_part();
        }
        rest
    }

    /// Which boundary a line begins with.
    fn delimiter(&self, line: &[u8]) -> Option<Delimiter> {
        self.longest?;
        let text = line.strip_prefix(b"--")?;
        // Length and whether it is still to come: the greatest of these counts.
        let mut best: Option<((usize, bool), Delimiter)> = None;
        for (part, open) in self.open.iter().enumerate().rev() {
            let Some(boundary) = &open.boundary else {
                continue;
            };
            let rank = (boundary.len(), !open.is_closed);
            if best.as_ref().is_some_and(|(before, _)| *before >= rank) {
                continue;
            }
            if let Some(after) = text.strip_prefix(boundary.as_slice()) {
                let closes = after.starts_with(b"--");
                best = Some((rank, Delimiter { part, closes }));
            }
        }
        let ((_, is_awaited), delimiter) = best?;
        is_awaited.then_some(delimiter)
    }

    /// Ends the parts that a boundary line ends.
    fn end_parts(&mut self, delimiter: &Delimiter) {
        let end = self.counter.mark().before_line_end(self.line_end);
        self.end_headers(end);
        while self.open.len() > delimiter.part + 1 {
            self.open.pop();
            self.visitor.end(end);
        }
        if delimiter.closes {
            if let Some(multipart) = self.open.last_mut() {
                multipart.is_closed = true;
            }
            self.state = State::BodyLine;
        } else {
            self.state = State::Delimiter;
        }
        self.measure_boundaries();
    }

    /// The part after a boundary line.
    fn begin_next_part(&mut self) {
        let in_digest = self.open.last().is_some_and(|part| part.is_digest);
        self.begin_part(self.counter.mark(), false, in_digest);
    }

    fn begin_part(&mut self, at: Mark, is_message: bool, in_digest: bool) {
        self.visitor.begin(at, is_message);
        self.parts += 1;
        self.open.push(Open {
            is_message,
            in_digest,
            is_digest: false,
            boundary: None,
            is_closed: false,
        });
        self.line_end = 0;
        self.state = State::HeaderLineStart;
        self.measure_boundaries();
    }

    fn end_field(&mut self) {
        if self.field.is_empty() {
            return;
        }
        let field = Field::new(&self.field);
        self.visitor.field(&self.field);
        let is_message = self.open.last().is_some_and(|part| part.is_message);
        let is_wanted = Content::is_about(field.name) || (is_message && is_in_envelope(field.name));
        if is_wanted && self.kept.saturating_add(self.field.len()) <= HEADER_MAX {
            self.kept += self.field.len();
            self.fields.extend_from_slice(&self.field);
            if !self.field.ends_with(b"\n") {
                self.fields.push(b'\n');
            }
        }
        self.field.clear();
    }

    /// Ends a header that has no empty line, and those of messages that begin there and are empty.
    fn end_headers(&mut self, at: Mark) {
        while matches!(self.state, State::HeaderLineStart | State::HeaderLine) {
            self.end_field();
            self.end_header(at, 0);
        }
    }

    /// `line_end`: octets of the empty line. It belongs to the boundary line if that follows (RFC
    /// 2046 5.1.1: a part without a body has none).
    fn end_header(&mut self, at: Mark, line_end: u64) {
        let depth = self.open.len();
        let Some(part) = self.open.last_mut() else {
            return;
        };
        let fields = std::mem::take(&mut self.fields);
        let content = Content::read(&fields, part.in_digest);
        let boundary = content.parameter("boundary");
        let boundary = boundary.map(|boundary| boundary.trim_ascii_end().to_vec());
        let fits = depth < NESTING_MAX && self.parts < PARTS_MAX;
        let holds = if content.is_type("multipart") {
            match &boundary {
                None => Holds::Text,
                Some(boundary) if fits && boundary.len() <= BOUNDARY_MAX => Holds::Parts,
                Some(_) => Holds::Opaque,
            }
        } else if content.is_message() && !content.is_encoded_global() {
            if fits { Holds::Message } else { Holds::Opaque }
        } else {
            Holds::Text
        };
        if holds == Holds::Parts {
            part.is_digest = content.is("multipart", "digest");
            part.boundary = boundary;
        }
        let head = Head {
            in_digest: part.in_digest,
            content,
            holds,
            fields,
        };
        self.visitor.header_end(at, head);
        self.state = State::BodyLineStart;
        if holds == Holds::Message {
            self.begin_part(at, true, false);
        }
        self.line_end = line_end;
        self.measure_boundaries();
    }

    fn measure_boundaries(&mut self) {
        let mut awaits_one = false;
        let mut longest = None;
        for part in &self.open {
            if let Some(boundary) = &part.boundary {
                awaits_one |= !part.is_closed;
                longest = longest.max(Some(boundary.len()));
            }
        }
        self.longest = longest.filter(|_| awaits_one && self.parts < PARTS_MAX);
    }

    /// Goes over octets of which only the last may be a line end, or which are a body's.
    fn advance(&mut self, octets: &[u8]) {
        self.line_end = match octets {
            [.., b'\r', b'\n'] => 2,
            [b'\n'] if self.after_cr => 2,
            [.., b'\n'] => 1,
            _ => 0,
        };
        self.after_cr = octets.last().map_or(self.after_cr, |last| *last == b'\r');
        if V::MEASURES {
            self.counter.push(octets);
        }
    }
}
