//! Strings in ENVELOPE and BODYSTRUCTURE (RFC 3501 4.3): quoted where they can be, else literals.
//!
//! Octets above 127 go into literals whatever the client has enabled, so that one text serves all
//! clients and can be kept (RFC 9051 allows UTF-8 in quoted strings, but never demands it).

/// `nstring = string / nil`
pub fn write_nstring(text: Option<&[u8]>, out: &mut Vec<u8>) {
    match text {
        Some(text) => write_string(text, out),
        None => out.extend_from_slice(b"NIL"),
    }
}

/// `string = quoted / literal`
pub fn write_string(text: &[u8], out: &mut Vec<u8>) {
    if text.iter().all(|&b| matches!(b, b' '..=b'~' | b'\t')) {
        write_quoted(text, out);
    } else if text.contains(&0) {
        // `literal` may not hold NUL. What a header field has in its place is U+FFFD, as in
        // Dovecot.
        let mut clean = Vec::with_capacity(text.len() + 2);
        for (index, piece) in text.split(|b| *b == 0).enumerate() {
            if index > 0 {
                clean.extend_from_slice("\u{fffd}".as_bytes());
            }
            clean.extend_from_slice(piece);
        }
        write_literal(&clean, out);
    } else {
        write_literal(text, out);
    }
}

fn write_quoted(text: &[u8], out: &mut Vec<u8>) {
    out.reserve(text.len() + 2);
    out.push(b'"');
    let mut rest = text;
    while let Some(special) = memchr::memchr2(b'"', b'\\', rest) {
        let (before, after) = rest.split_at(special);
        out.extend_from_slice(before);
        out.push(b'\\');
        out.extend_from_slice(after.get(..1).unwrap_or_default());
        rest = after.get(1..).unwrap_or_default();
    }
    out.extend_from_slice(rest);
    out.push(b'"');
}

fn write_literal(text: &[u8], out: &mut Vec<u8>) {
    out.extend_from_slice(format!("{{{}}}\r\n", text.len()).as_bytes());
    out.extend_from_slice(text);
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written(text: &[u8]) -> Vec<u8> {
        let mut out = Vec::new();
        write_string(text, &mut out);
        out
    }

    #[test]
    fn specials_are_quoted_and_the_rest_becomes_a_literal() {
        assert_eq!(written(b""), b"\"\"");
        assert_eq!(written(b"a\tb"), b"\"a\tb\"");
        assert_eq!(written(br#"a"b\"#), br#""a\"b\\""#);
        assert_eq!(written(b"a\rb"), b"{3}\r\na\rb");
        assert_eq!(written(b"a\xe9"), b"{2}\r\na\xe9");
        assert_eq!(written(b"a\0b"), b"{5}\r\na\xef\xbf\xbdb");
    }
}
