//! Encoded words in header fields (RFC 2047, with the language of RFC 2231 5).
//!
//! Lenient as mail demands: an encoded word is seen wherever it stands, also inside quotes or glued
//! to other text, and may hold spaces; a character split between neighbours of one charset is put
//! together.

use memchr::{memchr3, memmem};

use super::charset;
use super::header::unfold;
use super::transfer::{Encoding, TransferDecoder, hex};

/// A field's value as text: unfolded, encoded words decoded, other octets read as
/// [`charset::guess`] does.
pub fn decode(value: &[u8]) -> String {
    let mut line = unfold(value);
    // Tabs come from folding; who searches for such a field has seen a space.
    let tabs = line.iter_mut().filter(|octet| **octet == b'\t');
    tabs.for_each(|octet| *octet = b' ');
    let mut out = String::with_capacity(line.len());
    let mut rest = line.as_slice();
    let mut ends = true; // whether the end of an encoded word is ahead
    let mut pending: Option<(&[u8], Vec<u8>)> = None; // charset and octets of the words read last
    while let Some(start) = memmem::find(rest, b"=?") {
        let (before, from) = rest.split_at_checked(start).unwrap_or((rest, b""));
        let Some((word, after)) = encoded_word(from, &mut ends) else {
            flush(&mut pending, &mut out);
            out.push_str(&charset::guess(before));
            out.push_str("=?");
            rest = from.get(2..).unwrap_or_default();
            continue;
        };
        // White space between two encoded words is no part of the text (RFC 2047 6.2).
        if pending.is_none() || !before.trim_ascii().is_empty() {
            flush(&mut pending, &mut out);
            out.push_str(&charset::guess(before));
        }
        match &mut pending {
            Some((charset, octets)) if charset.eq_ignore_ascii_case(word.charset) => {
                word.decode(octets);
            }
            _ => {
                flush(&mut pending, &mut out);
                let mut octets = Vec::new();
                word.decode(&mut octets);
                pending = Some((word.charset, octets));
            }
        }
        rest = after;
    }
    flush(&mut pending, &mut out);
    out.push_str(&charset::guess(rest));
    if out.contains('\0') {
        // As ENVELOPE shows it.
        out = out.replace('\0', "\u{fffd}");
    }
    out
}

/// How long the encoded word is that `input` begins with, if it holds no white space, as RFC 2047 2
/// wants: then it is one token, whatever else it holds. Otherwise how much of the input is known to
/// hold no end of one.
pub(super) fn token(input: &[u8]) -> Result<usize, usize> {
    let Some(rest) = input.strip_prefix(b"=?") else {
        return Err(0);
    };
    let label = rest.iter().take(LABEL_MAX);
    let Some(label_end) = label.clone().position(|b| *b == b'?') else {
        return Err(0);
    };
    let is_label = label_end > 0 && label.take(label_end).all(u8::is_ascii_graphic);
    let after_label = rest.get(label_end..).unwrap_or_default();
    let [b'?', b'B' | b'b' | b'Q' | b'q', b'?', text @ ..] = after_label else {
        return Err(0);
    };
    if !is_label {
        return Err(0);
    }
    let before = input.len() - text.len();
    let mut at = 0;
    while let Some(stop) = memchr3(b'?', b' ', b'\t', text.get(at..).unwrap_or_default()) {
        at += stop;
        match text.get(at..) {
            Some([b'?', b'=', ..]) => return Ok(before + at + 2),
            Some([b'?', ..]) => at += 1,
            _ => return Err(before + at),
        }
    }
    Err(input.len())
}

fn flush(pending: &mut Option<(&[u8], Vec<u8>)>, out: &mut String) {
    if let Some((label, octets)) = pending.take() {
        let text = charset::decode(label, &octets);
        out.push_str(&text.unwrap_or_else(|| charset::guess(&octets)));
    }
}

struct Word<'a> {
    charset: &'a [u8],
    base64: bool,
    text: &'a [u8],
}

/// `encoded-word = "=?" charset "?" encoding "?" encoded-text "?="`; also returns what follows it.
///
/// `ends` makes a text full of beginnings and without an end linear.
fn encoded_word<'a>(input: &'a [u8], ends: &mut bool) -> Option<(Word<'a>, &'a [u8])> {
    let rest = input.strip_prefix(b"=?")?;
    let charset_end = rest.iter().take(LABEL_MAX).position(|b| *b == b'?')?;
    let (label, rest) = rest.split_at_checked(charset_end)?;
    let (encoding, rest) = match rest {
        [b'?', encoding, b'?', rest @ ..] => (encoding.to_ascii_lowercase(), rest),
        _ => return None,
    };
    let base64 = match encoding {
        b'b' => true,
        b'q' => false,
        _ => return None,
    };
    let charset = label.split(|b| *b == b'*').next()?;
    if charset.is_empty() || !charset.iter().all(u8::is_ascii_graphic) || !*ends {
        return None;
    }
    let end = memmem::find(rest, b"?=");
    *ends = end.is_some();
    let (text, rest) = rest.split_at_checked(end?)?;
    let word = Word {
        charset,
        base64,
        text,
    };
    Some((word, rest.get(2..)?))
}

/// Longer than any charset's name with a language.
const LABEL_MAX: usize = 100;

impl Word<'_> {
    fn decode(&self, out: &mut Vec<u8>) {
        if self.base64 {
            let mut decoder = TransferDecoder::new(Encoding::Base64, false);
            decoder.push(self.text, out);
            decoder.finish(out);
            return;
        }
        let mut rest = self.text;
        while let Some((&byte, after)) = rest.split_first() {
            rest = after;
            match (byte, after) {
                (b'_', _) => out.push(b' '),
                (b'=', [high, low, tail @ ..]) => match (hex(*high), hex(*low)) {
                    (Some(high), Some(low)) => {
                        out.push(high << 4 | low);
                        rest = tail;
                    }
                    _ => out.push(byte),
                },
                _ => out.push(byte),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn text(value: &str) -> String {
        decode(value.as_bytes())
    }

    #[test]
    fn the_examples_of_rfc_2047_are_read() {
        assert_eq!(text("=?ISO-8859-1?Q?a?="), "a");
        assert_eq!(text("=?ISO-8859-1?Q?a?= b"), "a b");
        assert_eq!(text("=?ISO-8859-1?Q?a?=  =?ISO-8859-1?Q?b?="), "ab");
        assert_eq!(text("=?ISO-8859-1?Q?a?=\r\n    =?ISO-8859-1?Q?b?="), "ab");
        assert_eq!(text("=?ISO-8859-1?Q?a_b?= =?utf-8?B?w6k=?="), "a bé");
        assert_eq!(
            text("=?ISO-8859-1?Q?Patrik_F=E4ltstr=F6m?= <paf@nada.kth.se>"),
            "Patrik Fältström <paf@nada.kth.se>"
        );
    }

    #[test]
    fn broken_words_are_read_where_they_can_be() {
        assert_eq!(text("\"=?utf-8?q?caf=C3?= =?UTF-8?b?qXM?=\""), "\"cafés\"");
        assert_eq!(text("a=?utf-8*fr?q?b c?=d"), "ab cd");
        assert_eq!(text("=?x-none?q?=E9?="), "é");
        assert_eq!(text("=?utf-8?q?=zz?="), "=zz");
        assert_eq!(
            text("=?utf-8?x?a?= =?utf-8?q?open =?="),
            "=?utf-8?x?a?= open ="
        );
        assert_eq!(text("=?=?utf-8?q?a?= =?"), "=?a =?");
    }

    #[test]
    fn an_encoded_word_is_a_token_up_to_its_end() {
        assert_eq!(token(b"=?utf-8?q?a_(b),@<>?= c"), Ok(21));
        assert_eq!(token(b"=?utf-8*en?B??=="), Ok(15));
        assert_eq!(token(b"=?utf-8?q?a?b?="), Ok(15));
        assert_eq!(token(b"=?utf-8?q?a b?="), Err(11));
        assert_eq!(token(b"=?utf-8?q?ab"), Err(12));
        for none in ["=?utf-8?x?a?=", "=??q?a?=", "=?a b?q?c?=", "x", "=?"] {
            assert_eq!(token(none.as_bytes()), Err(0), "{none}");
        }
    }

    #[test]
    fn plain_octets_are_utf_8_or_latin() {
        assert_eq!(text("é\n\t=?iso-8859-1?q?=E9?="), "é é");
        assert_eq!(decode(b"caf\xe9 =?utf-8?q?=C3=A9?="), "café é");
    }

    proptest! {
        #[test]
        fn nothing_panics(value in "([=?qQbB_ \n\té]|utf-8|=C3|iso-2022-jp){0,40}") {
            text(&value);
        }
    }
}
