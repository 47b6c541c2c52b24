//! The text of BODY and BODYSTRUCTURE (RFC 3501 7.4.2, RFC 9051 7.5.2).

use super::mime::Structure;

/// Writes the parenthesized `body`; `extended` is BODYSTRUCTURE, without it BODY.
pub fn write_body_structure(structure: &Structure, extended: bool, out: &mut Vec<u8>) {
    let _ = (structure, extended, out);
    todo!()
}
