//! Messages as RFC 5322 and MIME (RFC 2045-2049, 2231, 2047) describe them: offsets into the text,
//! and the text of IMAP's answers about it.
//!
//! Everything here is pure: bytes in, values and bytes out; no file, no clock. A message is never
//! held as a whole: whoever reads it pushes chunks cut anywhere, and the result does not depend on
//! the cuts. Every function takes linear time and bounded memory whatever the bytes are, and none
//! can fail: mail as broken as the field sends it gets the answer Dovecot gives, or a better one.
//!
//! Files hold LF, CRLF or a mixture; the wire has CRLF. So each piece of a message knows its size
//! both ways ([`crlf::Span`]).
//!
//! From the outside in: `walk` goes through a message and finds fields, parts and boundaries.
//! [`mime`] makes of that the tree of parts, which [`body_structure`] and [`envelope`] write and
//! sections are looked up in; [`search`] looks for strings on the way. They rest on [`content`] and
//! [`address`], which read fields, and on [`transfer`], [`charset`] and [`encoded_word`], which
//! decode.

pub mod address;
pub mod body_structure;
pub mod casemap;
pub mod charset;
pub mod content;
pub mod crlf;
pub mod date;
pub mod encoded_word;
pub mod envelope;
pub mod header;
mod lexer;
pub mod mime;
mod needle;
pub mod nstring;
mod parameter;
pub mod search;
pub mod transfer;
mod walk;

/// A field is read up to here, and so many octets of fields are kept of a message; the fields
/// beyond are not looked at.
pub const HEADER_MAX: usize = 10 << 20;

/// More parts than this are not told apart: what follows belongs to the last.
pub const PARTS_MAX: usize = 10_000;

/// A multipart or message nested deeper than this is shown as one opaque part.
pub const NESTING_MAX: usize = 100;

#[cfg(test)]
mod tests;
