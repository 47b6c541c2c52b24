//! The text of ENVELOPE (RFC 3501 7.4.2, RFC 9051 7.5.2): strings as written, not decoded.

/// Writes the parenthesized `envelope` of a header block.
pub fn write_envelope(header: &[u8], out: &mut Vec<u8>) {
    let _ = (header, out);
    todo!()
}
