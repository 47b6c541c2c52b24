//! SEARCH in texts: substrings of decoded headers and decoded text parts (RFC 3501 6.4.4).

use std::rc::Rc;

/// A string to look for, prepared once per SEARCH.
#[derive(Clone, Debug)]
pub struct Needle {}

impl Needle {
    pub fn new(text: &str) -> Needle {
        let _ = text;
        todo!()
    }

    /// In a field's raw value (HEADER, SUBJECT): unfolded and decoded.
    pub fn is_in_field(&self, value: &[u8]) -> bool {
        let _ = value;
        todo!()
    }

    /// In the addresses of a field's raw value (FROM, TO, CC, BCC).
    pub fn is_in_addresses(&self, value: &[u8]) -> bool {
        let _ = value;
        todo!()
    }

    /// In a text already decoded.
    pub fn is_in(&self, text: &str) -> bool {
        let _ = text;
        todo!()
    }
}

/// Which part of a message a needle is looked for in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scope {
    /// SEARCH BODY.
    Body,
    /// SEARCH TEXT: header and body.
    Text,
}

/// Looks for all strings of a SEARCH in one pass over a message.
pub struct Searcher {
    keys: Rc<[(Needle, Scope)]>,
}

impl Searcher {
    pub fn new(keys: Rc<[(Needle, Scope)]>) -> Searcher {
        Searcher { keys }
    }

    /// Ready for another message.
    pub fn reset(&mut self) {
        todo!()
    }

    /// Returns whether more input can change anything.
    pub fn push(&mut self, chunk: &[u8]) -> bool {
        let _ = (chunk, &self.keys);
        todo!()
    }

    pub fn finish(&mut self) {
        todo!()
    }

    /// Whether the key at that place was found.
    pub fn found(&self, key: usize) -> bool {
        let _ = key;
        todo!()
    }
}
