//! The messages tests are about: small files in `messages/`, and numbered ones made on the spot.

use std::path::Path;

/// The text of `messages/<name>` as it lies on disk (LF).
pub fn text(name: &str) -> Vec<u8> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests/support/messages")
        .join(name);
    std::fs::read(&path).unwrap_or_else(|e| panic!("{}: {e}", path.display()))
}

/// A short message that says which one it is: `Subject: message <n>`.
pub fn numbered(n: usize) -> Vec<u8> {
    format!(
        "From: Ann Example <ann@example.org>\nTo: bob@example.net\nSubject: message {n}\n\
         Date: Tue, 14 Nov 2023 22:13:20 +0000\nMessage-ID: <n{n}@example.org>\n\n\
         This is message number {n}.\n"
    )
    .into_bytes()
}

/// The text as it goes over the wire: every line end CRLF.
pub fn crlf(text: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(text.len() + text.len() / 32);
    let mut last = 0;
    for &byte in text {
        if byte == b'\n' && last != b'\r' {
            out.push(b'\r');
        }
        out.push(byte);
        last = byte;
    }
    out
}
