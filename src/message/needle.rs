//! Substrings compared by i;unicode-casemap (RFC 5051), in values and in streams.
//!
//! Most mail is ASCII, and so is most of what is looked for. Then neither is folded: the text is
//! searched for the needle's rarest letter in both cases, and compared where that is found.

use std::rc::Rc;

use memchr::memmem::{self, Finder};
use memchr::{memchr, memchr_iter, memchr2_iter, memchr3};

use super::address::address_text;
use super::casemap::fold;
use super::encoded_word;
use super::header::{Field, shown};

/// A string to look for, prepared once per SEARCH.
#[derive(Clone, Debug)]
pub struct Needle {
    folded: Finder<'static>,
    /// Where it is ASCII, in capitals: its octet that text has least.
    rarest: Option<Rarest>,
}

#[derive(Clone, Copy, Debug)]
struct Rarest {
    at: usize,
    octet: u8,
}

impl Needle {
    pub fn new(text: &str) -> Needle {
        let mut folded = Vec::new();
        fold(text, &mut folded);
        let octets = folded.iter().copied().enumerate();
        let rarest = octets.min_by_key(|(_, octet)| commonness(*octet));
        Needle {
            folded: Finder::new(&folded).into_owned(),
            rarest: rarest
                .filter(|_| folded.is_ascii())
                .map(|(at, octet)| Rarest { at, octet }),
        }
    }

    /// In a field's raw value (HEADER, SUBJECT): unfolded and decoded. The empty string is in every
    /// field.
    pub fn is_in_field(&self, value: &[u8]) -> bool {
        if is_plain(value) {
            return self.is_in_ascii(value);
        }
        // As it was written, and as ENVELOPE shows it.
        let written = encoded_word::decode(value);
        if self.is_in(&written) {
            return true;
        }
        let octets = written.as_bytes();
        if memmem::find(octets, b"  ").is_none() && memchr3(b'\r', b'\n', b'\t', octets).is_none() {
            return false;
        }
        let words: Vec<&str> = written.split_ascii_whitespace().collect();
        self.is_in(&words.join(" ")) || self.is_in(&encoded_word::decode(&shown(value)))
    }

    /// In the addresses of a field's raw value (FROM, TO, CC, BCC): as they are written, and as
    /// `Name <mailbox@host>`.
    pub fn is_in_addresses(&self, value: &[u8]) -> bool {
        self.is_in_field(value) || self.is_in(&address_text(value))
    }

    /// In a text already decoded.
    pub fn is_in(&self, text: &str) -> bool {
        if text.is_ascii() {
            return self.is_in_ascii(text.as_bytes());
        }
        let mut folded = Vec::new();
        fold(text, &mut folded);
        self.folded.find(&folded).is_some()
    }

    /// In a whole field, its name before it.
    pub(super) fn is_in_raw_field(&self, raw: &[u8]) -> bool {
        let line = super::header::trim_line_end(raw);
        if is_plain(line) {
            return self.is_in_ascii(line);
        }
        let field = Field::new(raw);
        if field.name.is_empty() {
            return self.is_in_field(raw);
        }
        self.is_in_field(&[field.name, b": ", field.value].concat())
    }

    pub(super) fn is_empty(&self) -> bool {
        self.folded.needle().is_empty()
    }

    fn is_in_ascii(&self, text: &[u8]) -> bool {
        let needle = self.folded.needle();
        let Some(rarest) = self.rarest else {
            return needle.is_empty();
        };
        let is_here = |found: usize| {
            let Some(start) = found.checked_sub(rarest.at) else {
                return false;
            };
            let candidate = text.get(start..start.saturating_add(needle.len()));
            candidate.is_some_and(|candidate| candidate.eq_ignore_ascii_case(needle))
        };
        let (upper, lower) = (rarest.octet, rarest.octet.to_ascii_lowercase());
        if upper == lower {
            memchr_iter(upper, text).any(is_here)
        } else {
            memchr2_iter(upper, lower, text).any(is_here)
        }
    }
}

/// Whether a text is what it looks like: one line of words with one space between them, without
/// encoded words.
fn is_plain(text: &[u8]) -> bool {
    text.is_ascii()
        && memchr3(b'\r', b'\n', b'\t', text).is_none()
        && memchr(0, text).is_none()
        && memmem::find(text, b"=?").is_none()
        && memmem::find(text, b"  ").is_none()
}

/// How often an octet is seen in mail, by rank.
fn commonness(octet: u8) -> usize {
    let rank = COMMON
        .iter()
        .rev()
        .position(|b| *b == octet.to_ascii_lowercase());
    rank.map_or(0, |rank| rank + 1)
}

const COMMON: &[u8] = b" etaoinsrhldcumfpgwybv.,-0k1/=2\"<>3x:5;4j6789q()z";

/// Looks for a needle in a text that comes in pieces.
#[derive(Clone, Debug)]
pub(super) struct Matcher {
    needle: Rc<Needle>,
    /// Folded text in which a match may begin that ends in what comes.
    held: Vec<u8>,
    found: bool,
}

/// Pieces shorter than this are put together before they are searched.
const PIECE_MIN: usize = 256;

impl Matcher {
    pub fn new(needle: Rc<Needle>) -> Matcher {
        Matcher {
            held: Vec::new(),
            found: needle.is_empty(),
            needle,
        }
    }

    pub fn found(&self) -> bool {
        self.found
    }

    /// More text, of ASCII only.
    pub fn push_ascii(&mut self, text: &[u8]) {
        let fold_into = |held: &mut Vec<u8>, text: &[u8]| {
            held.extend(text.iter().map(u8::to_ascii_uppercase));
        };
        self.push(text, fold_into, Needle::is_in_ascii);
    }

    /// More text, folded already.
    pub fn push_folded(&mut self, text: &[u8]) {
        let append = |held: &mut Vec<u8>, text: &[u8]| held.extend_from_slice(text);
        let find = |needle: &Needle, text: &[u8]| needle.folded.find(text).is_some();
        self.push(text, append, find);
    }

    /// The text ends here: what comes is another one.
    pub fn end(&mut self) {
        self.search_held();
        self.held.clear();
    }

    fn push(
        &mut self,
        text: &[u8],
        fold_into: impl Fn(&mut Vec<u8>, &[u8]),
        is_in: impl Fn(&Needle, &[u8]) -> bool,
    ) {
        if self.found {
            return;
        }
        let length = self.needle.folded.needle().len();
        if text.len() < length.max(PIECE_MIN) {
            fold_into(&mut self.held, text);
            // Searched once in a while, so that each octet is looked at a bounded number of times.
            if self.held.len() >= 4 * length.max(PIECE_MIN) {
                self.search_held();
                let keep = self.held.len().saturating_sub(length - 1);
                self.held.drain(..keep);
            }
            return;
        }
        let border = length - 1; // it is not empty: an empty one is found
        fold_into(&mut self.held, text.get(..border).unwrap_or(text));
        self.end();
        self.found = self.found || is_in(&self.needle, text);
        let rest = text.get(text.len() - border..).unwrap_or_default();
        fold_into(&mut self.held, rest);
    }

    fn search_held(&mut self) {
        self.found = self.found || self.needle.folded.find(&self.held).is_some();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn fields_are_searched_decoded() {
        let value = b"=?utf-8?q?Caf=C3=A9?= one\n\ttwo";
        for needle in ["cafe", "CAFÉ", "é ONE", "one two", ""] {
            assert!(Needle::new(needle).is_in_field(value), "{needle}");
        }
        for needle in ["utf-8", "onetwo", "e one"] {
            assert!(!Needle::new(needle).is_in_field(value), "{needle}");
        }
    }

    #[test]
    fn fields_are_found_as_envelope_shows_them() {
        for (value, needle) in [
            (&b"quarterly\r\n\t report"[..], "quarterly report"),
            (b"a  b\t\tc", "a b c"),
            (b"a\r\r\n b\r\r", "a b"),
            (b"a\t b  c", "a b  c"),
            (b"a  b", "a  b"),
            (b"<a@b>\n\t <c@d>", "<a@b> <c@d>"),
            (b"a\0b", "a\u{fffd}b"),
            (b"=?utf-8?q?a?=\n\t =?utf-8?q?b?=  c", "ab c"),
        ] {
            assert!(Needle::new(needle).is_in_field(value), "{needle}");
            let raw = [b"X: ", value, b"\r\n"].concat();
            let named = Needle::new(&format!("x: {needle}"));
            assert!(named.is_in_raw_field(&raw), "{needle}");
        }
    }

    #[test]
    fn addresses_are_searched_as_written_and_as_meant() {
        let value = b"a@b (=?iso-8859-1?q?J=FCrg?=), \"C, D\" <e@f>";
        for needle in ["jürg <a@b>", "a@b (j", "\"c, d\" <e", "C, D <E@F>"] {
            assert!(Needle::new(needle).is_in_addresses(value), "{needle}");
        }
    }

    #[test]
    fn a_field_is_searched_with_its_name() {
        let found = |needle: &str, raw: &[u8]| Needle::new(needle).is_in_raw_field(raw);
        assert!(found("x-a: b", b"X-A: b\r\n"));
        assert!(found("x-a: b c", b"X-A:b\n c\n"));
        assert!(found("junk", b"junk =?utf-8?q?x?=\n"));
        assert!(!found("utf", b"junk =?utf-8?q?x?=\n"));
    }

    #[test]
    fn only_what_folds_alike_is_found() {
        assert!(Needle::new("k").is_in("\u{212a}"));
        assert!(Needle::new("ＡＢ").is_in("xab"));
        assert!(!Needle::new("ss").is_in("ß"));
    }

    proptest! {
        #[test]
        fn a_stream_gives_what_the_whole_gives(
            text in "[abé]{0,12}", fill in 0usize..600, needle in "[aAbé]{1,4}",
            cuts in proptest::collection::vec(1usize..700, 0..6),
        ) {
            let text = format!("{}{text}{}{text}", "-".repeat(fill), "+".repeat(fill));
            let needle = Needle::new(&needle);
            let mut matcher = Matcher::new(Rc::new(needle.clone()));
            let mut rest = text.as_str();
            for cut in cuts.iter().chain([&usize::MAX]) {
                let mut cut = (*cut).min(rest.len());
                while !rest.is_char_boundary(cut) {
                    cut += 1;
                }
                let (piece, after) = rest.split_at(cut);
                if piece.is_ascii() {
                    matcher.push_ascii(piece.as_bytes());
                } else {
                    let mut folded = Vec::new();
                    fold(piece, &mut folded);
                    matcher.push_folded(&folded);
                }
                rest = after;
            }
            matcher.end();
            prop_assert_eq!(matcher.found(), needle.is_in(&text));
        }
    }
}
