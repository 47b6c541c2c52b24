//! Strings in ENVELOPE and BODYSTRUCTURE (RFC 3501 4.3): quoted where they can be, else literals.

/// `nstring`.
pub fn write_nstring(text: Option<&[u8]>, out: &mut Vec<u8>) {
    let _ = (text, out);
    todo!()
}

/// `string`.
pub fn write_string(text: &[u8], out: &mut Vec<u8>) {
    let _ = (text, out);
    todo!()
}
