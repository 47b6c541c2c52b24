//! Encoded words in header fields (RFC 2047).

/// A field's value as text: unfolded, encoded words decoded.
pub fn decode(value: &[u8]) -> String {
    let _ = value;
    todo!()
}
