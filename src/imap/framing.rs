//! Bytes to commands: where lines end and literals begin, and every limit (RFC 3501 2.2.1, RFC
//! 7888).
//!
//! Framing comes before grammar: what is a line end and what a literal is decided here alone, so
//! that whatever is wrong with a command, the next one is found.  A line ends with LF, and a CR
//! before it belongs to the end.  A line that ends with the announcement of a literal goes on after
//! its octets.
//!
//! The octets of one command lie together in the buffer, from `start` to `scanned`, as `syntax`
//! reads them; octets of an APPEND's message are not kept but handed on as they come.  A command
//! that is given up (`discard`) is passed over to its end without being kept.
//!
//! Before login a command may have a password in it: then what has been dealt with is wiped, and
//! nothing is left behind where the buffer was before it grew (`wiping`).
//!
//! Invariant: `start <= line <= scanned <= buffer.len()`.

use super::syntax::{Literal, Reader};
use std::fmt;
use zeroize::Zeroize;

/// Input that has come, and how far it has been understood.
pub struct Framer {
    buffer: Vec<u8>,
    /// The first octet of the command at hand.
    start: usize,
    /// The first octet of the line at hand, which is not the command's first after a literal.
    line: usize,
    /// The first octet not yet looked at.
    scanned: usize,
    /// Octets of the command outside literals, and in them.
    line_octets: usize,
    literal_octets: u64,
    /// It is a sequence set that makes the line longer than lines may be.
    long_set: bool,
    /// There may be secrets in the buffer.
    wipes: bool,
    mode: Mode,
}

#[derive(Clone, Copy, Debug)]
enum Mode {
    /// In a line.
    Line,
    /// A line has ended with this announcement.  The caller has yet to say what becomes of the
    /// literal.
    Announced(Literal),
    /// How many octets are still to come of a literal that belongs to the command.
    Literal(u64),
    /// How many octets are still to come of a literal that is handed on.
    Stream(u64),
    /// A line that does not matter.
    SkipLine,
    /// How many octets are still to come of a literal that does not matter.
    SkipLiteral(u64),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Frame {
    /// `text` is a whole command.  Next: `finish`.
    Command,
    /// `text` ends with this announcement.  Next: `keep_literal`, `stream_literal` or `discard`.
    Literal(Literal),
    /// The line is longer than any may be.  Next: `discard`.
    TooLong,
}

impl Framer {
    pub fn new() -> Framer {
        Framer {
            buffer: Vec::new(),
            start: 0,
            line: 0,
            scanned: 0,
            line_octets: 0,
            literal_octets: 0,
            long_set: false,
            wipes: false,
            mode: Mode::Line,
        }
    }

    /// One that keeps no secrets.
    pub fn wiping() -> Framer {
        let mut framer = Framer::new();
        framer.wipes = true;
        framer
    }

    /// No secrets come from now on.
    pub fn stop_wiping(&mut self) {
        if self.wipes {
            self.wipe();
            self.wipes = false;
        }
    }

    /// Takes out what has not been looked at.
    pub fn take_unread(&mut self) -> Vec<u8> {
        let unread = self.unread().to_vec();
        self.scanned = self.buffer.len();
        self.begin_line();
        unread
    }

    pub fn handle_input(&mut self, bytes: &[u8]) {
        if self.wipes {
            self.move_alive(bytes.len());
        } else if self.start > 0 && self.start >= self.buffer.len() - self.start {
            // Move what is alive to the front when no more than that is moved.
            self.buffer.drain(..self.start);
            self.scanned -= self.start;
            self.line -= self.start;
            self.start = 0;
        }
        self.buffer.extend_from_slice(bytes);
    }

    /// Whether little enough waits to be looked at.
    pub fn wants_input(&self) -> bool {
        self.unread().len() < UNREAD_MAX
    }

    /// Looks on from where it stopped.  `None`: more input is needed.
    pub fn poll_frame(&mut self) -> Option<Frame> {
        loop {
            match self.mode {
                Mode::Line => return self.scan_line(),
                Mode::Literal(left) => {
                    let left = left - self.pass_over(left);
                    self.line = self.scanned;
                    self.mode = if left == 0 {
                        Mode::Line
                    } else {
                        Mode::Literal(left)
                    };
                    if left > 0 {
                        return None;
                    }
                }
                Mode::SkipLine => {
                    if !self.skip_line() {
                        return None;
                    }
                }
                Mode::SkipLiteral(left) => {
                    let left = left - self.pass_over(left);
                    self.begin_line();
                    self.mode = if left == 0 {
                        Mode::SkipLine
                    } else {
                        Mode::SkipLiteral(left)
                    };
                    if left > 0 {
                        return None;
                    }
                }
                Mode::Announced(_) | Mode::Stream(_) => return None,
            }
        }
    }

    /// The next line as it is, whatever it ends with: for IDLE and AUTHENTICATE.
    pub fn poll_line(&mut self) -> Option<Frame> {
        match self.poll_frame()? {
            Frame::Literal(_) => {
                self.mode = Mode::Line;
                Some(Frame::Command)
            }
            frame => Some(frame),
        }
    }

    /// The command as far as it has come, without the end of its last line.
    pub fn text(&self) -> &[u8] {
        without_line_end(
            self.buffer
                .get(self.start..self.scanned)
                .unwrap_or_default(),
        )
    }

    /// The command has been dealt with.
    pub fn finish(&mut self) {
        self.begin_line();
        // An idle connection shall cost little.
        if self.unread().is_empty() && self.buffer.capacity() > IDLE_CAPACITY {
            let wipes = self.wipes;
            *self = Framer::new();
            self.wipes = wipes;
        }
    }

    /// Whether an announced literal is small enough to be kept together with those before it.
    pub fn may_keep(&self, literal: Literal, limit: u64) -> bool {
        literal.size.saturating_add(self.literal_octets) <= limit
    }

    /// The announced literal belongs to the command.
    pub fn keep_literal(&mut self) {
        if let Mode::Announced(literal) = self.mode {
            self.literal_octets = self.literal_octets.saturating_add(literal.size);
            self.mode = Mode::Literal(literal.size);
        }
    }

    /// The announced literal is handed on as it comes; what was before it is forgotten.
    pub fn stream_literal(&mut self) {
        if let Mode::Announced(literal) = self.mode {
            self.begin_line();
            self.mode = Mode::Stream(literal.size);
        }
    }

    /// Octets of the literal that is handed on, as far as they have come.
    pub fn stream(&self) -> &[u8] {
        let Mode::Stream(left) = self.mode else {
            return &[];
        };
        let unread = self.unread();
        let size = usize::try_from(left)
            .unwrap_or(usize::MAX)
            .min(unread.len());
        unread.get(..size).unwrap_or_default()
    }

    /// `n` octets of `stream` are done with.
    pub fn consume_stream(&mut self, n: usize) {
        if let Mode::Stream(left) = self.mode {
            let n = n.min(self.stream().len());
            self.pass_over(n as u64);
            self.begin_line();
            self.mode = Mode::Stream(left - n as u64);
        }
    }

    /// Whether all octets that were to be handed on have been consumed; then the line goes on.
    pub fn end_stream(&mut self) -> bool {
        if let Mode::Stream(0) = self.mode {
            self.mode = Mode::Line;
            return true;
        }
        false
    }

    /// The command is given up: what is still to come of it is passed over.  A client that waits
    /// for leave to send a literal has nothing more to come.
    pub fn discard(&mut self) {
        match self.mode {
            Mode::Announced(literal) if literal.synchronising => self.finish(),
            Mode::Announced(Literal { size, .. }) | Mode::Literal(size) | Mode::Stream(size) => {
                self.mode = Mode::SkipLiteral(size);
            }
            Mode::Line => {
                // The end of the line has been looked at, in part or as a whole: look again.
                self.scanned = self.line.max(self.scanned.saturating_sub(ANNOUNCEMENT_MAX));
                self.mode = Mode::SkipLine;
            }
            Mode::SkipLine | Mode::SkipLiteral(_) => {}
        }
    }

    /// Looks for the end of the line, which may be the announcement of a literal.
    fn scan_line(&mut self) -> Option<Frame> {
        let unread = self.unread();
        let end = memchr::memchr(b'\n', unread);
        let scanned = end.map_or(unread.len(), |end| end + 1);
        self.scanned += scanned;
        self.line_octets += scanned;
        if self.is_too_long() {
            return Some(Frame::TooLong);
        }
        end?;
        match announced_literal(self.last_line()) {
            Some(literal) => {
                self.mode = Mode::Announced(literal);
                Some(Frame::Literal(literal))
            }
            None => Some(Frame::Command),
        }
    }

    /// A line past its limit is let through while it is a sequence set that makes it so long: one
    /// of 10,000 numbers of ten digits takes 110,000 octets.
    fn is_too_long(&mut self) -> bool {
        if self.line_octets > LINE_MAX && !self.long_set {
            let line = self.buffer.get(self.line..self.scanned).unwrap_or_default();
            let past_limit = self.line_octets - LINE_MAX;
            let end = line.len().saturating_sub(past_limit);
            let before_limit = line
                .get(end.saturating_sub(SET_PROOF)..end)
                .unwrap_or_default();
            self.long_set = !before_limit.is_empty() && before_limit.iter().all(is_set_octet);
        }
        self.line_octets
            > if self.long_set {
                SET_LINE_MAX
            } else {
                LINE_MAX
            }
    }

    /// Passes over a line; true if its end was found.
    fn skip_line(&mut self) -> bool {
        let unread = self.unread();
        let Some(end) = memchr::memchr(b'\n', unread) else {
            // The announcement of a literal may be there in part.
            self.scanned += unread.len().saturating_sub(ANNOUNCEMENT_MAX);
            self.begin_line();
            self.mode = Mode::SkipLine;
            return false;
        };
        let line = unread.get(..=end).unwrap_or_default();
        let literal = announced_literal(without_line_end(line));
        self.scanned += end + 1;
        self.finish();
        if let Some(Literal {
            size,
            synchronising: false,
            ..
        }) = literal
        {
            self.mode = Mode::SkipLiteral(size);
        }
        true
    }

    /// Goes forward by at most `n` octets, and says by how many.
    fn pass_over(&mut self, n: u64) -> u64 {
        let there = self.unread().len();
        let passed = usize::try_from(n).unwrap_or(usize::MAX).min(there);
        self.scanned += passed;
        passed as u64
    }

    /// Whatever has been looked at is forgotten; a command begins, or goes on after something that
    /// is no part of its text.
    fn begin_line(&mut self) {
        self.mode = Mode::Line;
        self.start = self.scanned;
        self.line = self.scanned;
        self.line_octets = 0;
        self.literal_octets = 0;
        self.long_set = false;
        if self.wipes {
            self.wipe();
        }
    }

    /// Overwrites what has been dealt with.
    fn wipe(&mut self) {
        if let Some(dealt_with) = self.buffer.get_mut(..self.start) {
            dealt_with.zeroize();
        }
    }

    /// Makes room for `more` octets in a buffer of its own: what is alive moves there, and of what
    /// was here nothing is left.
    fn move_alive(&mut self, more: usize) {
        if self.start == 0 && self.buffer.capacity() - self.buffer.len() >= more {
            return;
        }
        let alive = self.buffer.get(self.start..).unwrap_or_default();
        // A command that comes octet by octet is not copied for each of them.
        let mut buffer = Vec::with_capacity((alive.len() + more).next_power_of_two());
        buffer.extend_from_slice(alive);
        self.buffer.zeroize();
        self.buffer = buffer;
        self.scanned -= self.start;
        self.line -= self.start;
        self.start = 0;
    }

    fn last_line(&self) -> &[u8] {
        without_line_end(self.buffer.get(self.line..self.scanned).unwrap_or_default())
    }

    fn unread(&self) -> &[u8] {
        self.buffer.get(self.scanned..).unwrap_or_default()
    }
}

impl Drop for Framer {
    fn drop(&mut self) {
        if self.wipes {
            self.buffer.zeroize();
        }
    }
}

/// Without the input, which may be a password.
impl fmt::Debug for Framer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let unread = self.unread().len();
        f.debug_struct("Framer")
            .field("mode", &self.mode)
            .field("unread", &unread)
            .finish()
    }
}

impl Default for Framer {
    fn default() -> Framer {
        Framer::new()
    }
}

/// The announcement that ends a line, if one does.  It stands where an argument may begin.
fn announced_literal(line: &[u8]) -> Option<Literal> {
    if line.last() != Some(&b'}') {
        return None;
    }
    let brace = memchr::memrchr(b'{', line)?;
    let (before, announcement) = line.split_at(brace);
    let (before, literal8) = match before.strip_suffix(b"~") {
        Some(before) => (before, true),
        None => (before, false),
    };
    if !matches!(before.last(), Some(b' ' | b'(')) {
        return None;
    }
    if announcement.len() > ANNOUNCEMENT_MAX - 4 {
        return None;
    }
    let mut reader = Reader::new(announcement);
    let literal = reader.literal_header().ok()?;
    reader.rest().is_empty().then_some(Literal {
        literal8,
        ..literal
    })
}

fn without_line_end(line: &[u8]) -> &[u8] {
    let Some(line) = line.strip_suffix(b"\n") else {
        return line;
    };
    line.strip_suffix(b"\r").unwrap_or(line)
}

fn is_set_octet(octet: &u8) -> bool {
    octet.is_ascii_digit() || matches!(octet, b',' | b':')
}

/// Octets of a command outside its literals; a sequence set may make them more.
pub const LINE_MAX: usize = 64 * 1024;

const SET_LINE_MAX: usize = 256 * 1024;

/// How many octets of a sequence set before the limit show that it is one.
const SET_PROOF: usize = 32;

/// Input that waits while a command is acted on.
const UNREAD_MAX: usize = 64 * 1024;

/// Octets of ` ~{9223372036854775807+}` and the line end, or some more: what is before `{` and the
/// line end are four of them.
const ANNOUNCEMENT_MAX: usize = 32;

const IDLE_CAPACITY: usize = 4096;

#[cfg(test)]
mod tests;
