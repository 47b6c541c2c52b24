//! Charset labels of mail and search commands to UTF-8.

/// Whether SEARCH CHARSET may name it.
pub fn is_known(label: &[u8]) -> bool {
    let _ = label;
    todo!()
}

/// A whole string to UTF-8; None when the charset is unknown.
pub fn decode(label: &[u8], text: &[u8]) -> Option<String> {
    let _ = (label, text);
    todo!()
}

/// Text in some charset to UTF-8, in pieces cut anywhere.
pub struct Decoder {}

impl Decoder {
    /// An unknown label is read as ASCII with anything else replaced.
    pub fn new(label: &[u8]) -> Decoder {
        let _ = label;
        todo!()
    }

    pub fn push(&mut self, input: &[u8], out: &mut String) {
        let _ = (input, out);
        todo!()
    }

    pub fn finish(&mut self, out: &mut String) {
        let _ = out;
        todo!()
    }
}
