//! Line ends: files hold LF (or CRLF, or both), the wire has CRLF.

/// A piece of a message in its file, and what it measures on the wire.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Span {
    /// Offset in the file.
    pub start: u64,
    pub end: u64,
    /// Line feeds in it.
    pub lines: u64,
    /// Line feeds without CR before them: each costs one octet more on the wire.
    pub bare_lines: u64,
}

impl Span {
    /// Octets in the file.
    pub fn size(&self) -> u64 {
        self.end.saturating_sub(self.start)
    }

    /// Octets on the wire.
    pub fn crlf_size(&self) -> u64 {
        self.size().saturating_add(self.bare_lines)
    }
}

/// Measures a text pushed in chunks.
#[derive(Clone, Debug, Default)]
pub struct Counter {}

impl Counter {
    pub fn push(&mut self, chunk: &[u8]) {
        let _ = chunk;
        todo!()
    }

    /// What was pushed so far, as a span that starts at 0.
    pub fn span(&self) -> Span {
        todo!()
    }
}

/// A place in a text from which conversion can go on, so that a client that fetches a body in partial
/// pieces does not make us read it from the start for each.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Checkpoint {
    /// Octets of the file's text before it.
    pub read: u64,
    /// Octets of the wire's text before it.
    pub written: u64,
    after_cr: bool,
}

/// LF to CRLF, in pieces: CRLF stays as it is, and so does a bare CR.
pub struct ToCrlf {}

impl ToCrlf {
    /// Yields octets `from .. from + length` of the wire's text (`u64::MAX`: to its end). Input begins at
    /// the text's start.
    pub fn new(from: u64, length: u64) -> ToCrlf {
        let _ = (from, length);
        todo!()
    }

    /// The same, with input that begins `at.read` octets into the text; `at.written <= from`.
    pub fn resume(at: Checkpoint, from: u64, length: u64) -> ToCrlf {
        let _ = (at, from, length);
        todo!()
    }

    /// Converts until the input or the room is used up, or the last octet wanted is written. Returns how
    /// much of the input was used.
    pub fn push(&mut self, input: &[u8], room: usize, out: &mut Vec<u8>) -> usize {
        let _ = (input, room, out);
        todo!()
    }

    /// Whether everything that was asked for has been written.
    pub fn is_done(&self) -> bool {
        todo!()
    }

    /// Where the conversion stands.
    pub fn checkpoint(&self) -> Checkpoint {
        todo!()
    }
}

/// CRLF to LF, in pieces, for what a client sends: a bare CR stays.
#[derive(Clone, Debug, Default)]
pub struct ToLf {}

impl ToLf {
    pub fn push(&mut self, input: &[u8], out: &mut Vec<u8>) {
        let _ = (input, out);
        todo!()
    }

    /// A CR that ended the input.
    pub fn finish(&mut self, out: &mut Vec<u8>) {
        let _ = out;
        todo!()
    }
}
