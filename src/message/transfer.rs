//! Content transfer encodings (RFC 2045 6), decoded leniently and in pieces.

/// How a part's body is encoded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Encoding {
    /// 7bit, 8bit and binary.
    Identity,
    Base64,
    QuotedPrintable,
    /// BINARY answers NO [UNKNOWN-CTE].
    Unknown,
}

impl Encoding {
    /// From a Content-Transfer-Encoding field's value; absent is 7bit.
    pub fn from_field(value: Option<&[u8]>) -> Encoding {
        let _ = value;
        todo!()
    }
}

/// Decodes a body in pieces. Line ends that stand in the file as LF come out as CRLF where `crlf` is set (BINARY),
/// as LF otherwise.
pub struct Decoder {}

impl Decoder {
    pub fn new(encoding: Encoding, crlf: bool) -> Decoder {
        let _ = (encoding, crlf);
        todo!()
    }

    pub fn push(&mut self, input: &[u8], out: &mut Vec<u8>) {
        let _ = (input, out);
        todo!()
    }

    pub fn finish(&mut self, out: &mut Vec<u8>) {
        let _ = out;
        todo!()
    }
}
