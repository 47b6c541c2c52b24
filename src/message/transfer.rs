//! Content transfer encodings (RFC 2045 6), decoded leniently and in pieces.
//!
//! There is no invalid text: base64 skips what is not its alphabet, quoted-printable passes on what
//! it cannot read. Lines added to an encoded part on its way (footers of mailing lists) cost
//! themselves only.

use memchr::memchr2;

use super::crlf::ToCrlf;
use super::header::{is_wsp, trim_wsp_end};

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
    /// From what a Content-Transfer-Encoding field says; absent or empty is 7bit.
    pub fn from_field(value: Option<&[u8]>) -> Encoding {
        let value = value.unwrap_or_default().trim_ascii();
        let is = |name: &str| value.eq_ignore_ascii_case(name.as_bytes());
        if ["", "7bit", "8bit", "binary"].into_iter().any(is) {
            Encoding::Identity
        } else if is("base64") {
            Encoding::Base64
        } else if is("quoted-printable") {
            Encoding::QuotedPrintable
        } else {
            Encoding::Unknown
        }
    }
}

/// Decodes a body in pieces cut anywhere.
#[derive(Clone, Debug)]
pub struct TransferDecoder {
    state: State,
}

#[derive(Clone, Debug)]
enum State {
    Identity,
    /// Identity or unknown, as the wire has it.
    ToCrlf(ToCrlf),
    Base64(Base64),
    QuotedPrintable {
        text: QuotedPrintable,
        /// Line ends of the encoded text, which stand in the file as LF, are CRLF by right.
        crlf: Option<ToCrlf>,
    },
}

impl TransferDecoder {
    /// Text lines come out as they are in the file, or with CRLF where `crlf` is set (BINARY): what
    /// was encoded with base64 is never changed.
    pub fn new(encoding: Encoding, crlf: bool) -> TransferDecoder {
        let convert = crlf.then(ToCrlf::binary);
        let state = match (encoding, convert) {
            (Encoding::Base64, _) => State::Base64(Base64::default()),
            (Encoding::QuotedPrintable, crlf) => State::QuotedPrintable {
                text: QuotedPrintable::default(),
                crlf,
            },
            (_, Some(convert)) => State::ToCrlf(convert),
            (_, None) => State::Identity,
        };
        TransferDecoder { state }
    }

    pub fn push(&mut self, input: &[u8], out: &mut Vec<u8>) {
        match &mut self.state {
            State::Identity => out.extend_from_slice(input),
            State::ToCrlf(convert) => {
                convert.push(input, usize::MAX, out);
            }
            State::Base64(decoder) => decoder.push(input, out),
            State::QuotedPrintable { text, crlf: None } => text.push(input, out),
            State::QuotedPrintable {
                text,
                crlf: Some(convert),
            } => {
                let mut lines = Vec::with_capacity(input.len() + input.len() / 16);
                convert.push(input, usize::MAX, &mut lines);
                text.push(&lines, out);
            }
        }
    }

    pub fn finish(&mut self, out: &mut Vec<u8>) {
        match &mut self.state {
            State::Identity | State::ToCrlf(_) => {}
            State::Base64(decoder) => decoder.flush(out),
            State::QuotedPrintable { text, .. } => text.finish(out),
        }
    }
}

/// RFC 2045 6.8. Padding ends a quantum; text may go on after it.
#[derive(Clone, Debug, Default)]
struct Base64 {
    /// Sextets read of a quantum, `count` of them, the latest lowest.
    bits: u32,
    count: u8,
}

impl Base64 {
    fn push(&mut self, input: &[u8], out: &mut Vec<u8>) {
        out.reserve(input.len() / 4 * 3 + 3);
        let mut rest = input;
        while let Some((&byte, after)) = rest.split_first() {
            if self.count == 0 {
                // Whole quanta at once, up to a line end or anything else out of the ordinary.
                let quanta = rest.chunks_exact(4);
                let mut read = 0;
                for quantum in quanta {
                    let &[a, b, c, d] = quantum else { break };
                    let (a, b, c, d) = (sextet(a), sextet(b), sextet(c), sextet(d));
                    if (a | b | c | d) & INVALID != 0 {
                        break;
                    }
                    let bits = a << 18 | b << 12 | c << 6 | d;
                    let [_, x, y, z] = bits.to_be_bytes();
                    out.extend_from_slice(&[x, y, z]);
                    read += 4;
                }
                if read > 0 {
                    rest = rest.get(read..).unwrap_or_default();
                    continue;
                }
            }
            rest = after;
            let value = sextet(byte);
            if byte == b'=' {
                self.flush(out);
            } else if value & INVALID == 0 {
                self.bits = self.bits << 6 | value;
                self.count += 1;
                if self.count == 4 {
                    let [_, x, y, z] = self.bits.to_be_bytes();
                    out.extend_from_slice(&[x, y, z]);
                    (self.bits, self.count) = (0, 0);
                }
            }
        }
    }

    /// The octets of a quantum cut short.
    fn flush(&mut self, out: &mut Vec<u8>) {
        match self.count {
            2 => out.push((self.bits >> 4) as u8),
            3 => out.extend_from_slice(&[(self.bits >> 10) as u8, (self.bits >> 2) as u8]),
            _ => {}
        }
        (self.bits, self.count) = (0, 0);
    }
}

/// What [`sextet`] makes of an octet that is not in the alphabet.
const INVALID: u32 = 0x80;

#[inline]
fn sextet(byte: u8) -> u32 {
    SEXTETS
        .get(usize::from(byte))
        .map_or(INVALID, |&sextet| u32::from(sextet))
}

#[expect(clippy::indexing_slicing, reason = "the compiler evaluates it")]
static SEXTETS: [u8; 256] = {
    let mut table = [INVALID as u8; 256];
    let alphabet = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut i = 0;
    while i < 64 {
        table[alphabet[i] as usize] = i as u8;
        i += 1;
    }
    table
};

/// RFC 2045 6.7.
#[derive(Clone, Debug, Default)]
struct QuotedPrintable {
    /// Input whose meaning depends on what follows. It has one of the forms `*WSP [CR]`, which may
    /// be dropped at the end of a line (rule 3), `"=" *WSP [CR]`, which may be a soft line break,
    /// and `"=" HEXDIG`.
    held: Vec<u8>,
    /// In white space that is too long to be held, and therefore text.
    in_long_space: bool,
}

/// More white space than that is not at the end of any line that obeys RFC 2045.
const HELD_MAX: usize = 1000;

impl QuotedPrintable {
    fn push(&mut self, input: &[u8], out: &mut Vec<u8>) {
        out.reserve(input.len());
        let mut rest = input;
        while let Some((&octet, after)) = rest.split_first() {
            self.in_long_space &= is_wsp(octet);
            if self.in_long_space {
                out.push(octet);
                rest = after;
            } else if self.held.is_empty() {
                rest = self.plain(rest, out);
            } else if self.resolve(octet, out) {
                rest = after;
            }
        }
    }

    /// Decodes whole lines and escapes; what the input's end leaves open is held.
    fn plain<'i>(&mut self, input: &'i [u8], out: &mut Vec<u8>) -> &'i [u8] {
        let mut rest = input;
        while let Some(special) = memchr2(b'=', b'\n', rest) {
            let (text, after) = rest.split_at_checked(special).unwrap_or((rest, b""));
            match after {
                [b'\n', after @ ..] => {
                    let (line, _, end) = split_line(text);
                    out.extend_from_slice(line);
                    out.extend_from_slice(end);
                    out.push(b'\n');
                    rest = after;
                }
                [_, high, low, after @ ..] if is_hex(*high) && is_hex(*low) => {
                    out.extend_from_slice(text);
                    push_octet(*high, *low, out);
                    rest = after;
                }
                _ => {
                    out.extend_from_slice(text);
                    self.held.push(b'=');
                    return after.get(1..).unwrap_or_default();
                }
            }
        }
        let (line, space, end) = split_line(rest);
        out.extend_from_slice(line);
        self.held.extend_from_slice(space);
        self.held.extend_from_slice(end);
        self.in_long_space = line.last().is_some_and(|last| is_wsp(*last)) && end.is_empty();
        b""
    }

    /// Takes one octet into what is held, or settles what that means. Returns whether the octet is
    /// used.
    fn resolve(&mut self, octet: u8, out: &mut Vec<u8>) -> bool {
        let after_cr = self.held.ends_with(b"\r");
        let used = match self.held.as_slice() {
            [b'=', high] if is_hex(*high) && is_hex(octet) => {
                push_octet(*high, octet, out);
                true
            }
            [b'=', high] if is_hex(*high) => {
                out.extend_from_slice(&self.held);
                false
            }
            [b'='] if is_hex(octet) => return self.hold(octet, out),
            [b'=', ..] if octet == b'\n' => true,
            _ if octet == b'\n' => {
                out.extend_from_slice(if after_cr { b"\r\n" } else { b"\n" });
                true
            }
            _ if !after_cr && (is_wsp(octet) || octet == b'\r') => return self.hold(octet, out),
            _ => {
                out.extend_from_slice(&self.held);
                false
            }
        };
        self.held.clear();
        used
    }

    fn hold(&mut self, octet: u8, out: &mut Vec<u8>) -> bool {
        self.held.push(octet);
        if self.held.len() > HELD_MAX && octet != b'\r' {
            out.append(&mut self.held);
            self.in_long_space = true;
        }
        true
    }

    fn finish(&mut self, out: &mut Vec<u8>) {
        let text = self.held.strip_prefix(b"=").unwrap_or(&self.held);
        if !trim_wsp_end(text).is_empty() {
            out.extend_from_slice(&self.held);
        }
        self.held.clear();
    }
}

/// A line in three: its text, the white space at its end unless that is too long, and the CR of its
/// line end.
fn split_line(line: &[u8]) -> (&[u8], &[u8], &[u8]) {
    let content = line.strip_suffix(b"\r").unwrap_or(line);
    let (content, end) = line.split_at_checked(content.len()).unwrap_or((line, b""));
    let text = trim_wsp_end(content);
    match content.split_at_checked(text.len()) {
        Some((text, space)) if space.len() <= HELD_MAX => (text, space, end),
        _ => (content, b"", end),
    }
}

fn push_octet(high: u8, low: u8, out: &mut Vec<u8>) {
    out.extend(hex(high).zip(hex(low)).map(|(high, low)| high << 4 | low));
}

fn is_hex(octet: u8) -> bool {
    octet.is_ascii_hexdigit()
}

pub(super) fn hex(digit: u8) -> Option<u8> {
    char::from(digit).to_digit(16).map(|value| value as u8)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn decoded(encoding: Encoding, crlf: bool, pieces: &[&[u8]]) -> Vec<u8> {
        let mut out = Vec::new();
        let mut decoder = TransferDecoder::new(encoding, crlf);
        for piece in pieces {
            decoder.push(piece, &mut out);
        }
        decoder.finish(&mut out);
        out
    }

    fn text(encoding: Encoding, input: &str) -> String {
        String::from_utf8(decoded(encoding, false, &[input.as_bytes()])).unwrap()
    }

    #[test]
    fn base64_skips_what_is_not_its_alphabet() {
        let decode = |input| text(Encoding::Base64, input);
        assert_eq!(decode("aGVsbG8gd29y\r\nbGQ="), "hello world");
        assert_eq!(decode("aGVs bG8g\n*d29ybGQ"), "hello world");
        assert_eq!(decode("aGVsbG8=\nIHdvcmxk"), "hello world");
        assert_eq!(decode("aGVsbG8=="), "hello");
        assert_eq!(decode("a"), "");
        assert_eq!(decode(""), "");
    }

    #[test]
    fn quoted_printable_passes_on_what_it_cannot_read() {
        let decode = |input| text(Encoding::QuotedPrintable, input);
        assert_eq!(decode("soft br=\neak =\r\ntoo=  \n."), "soft break too.");
        assert_eq!(decode("=41=4a=4A"), "AJJ");
        assert_eq!(decode("y=4 z =zz == =\rx"), "y=4 z =zz == =\rx");
        assert_eq!(decode("trail \t \nnext  \r\n a\r"), "trail\nnext\r\n a\r");
        assert_eq!(decode("end="), "end");
        assert_eq!(decode("end=4"), "end=4");
        assert_eq!(decode("a \rb"), "a \rb");
    }

    #[test]
    fn binary_has_crlf_for_lines_and_octets_for_the_rest() {
        let lines = b"a=0A=0D=00\nb\r\n";
        assert_eq!(
            decoded(Encoding::QuotedPrintable, true, &[lines]),
            b"a\n\r\0\r\nb\r\n"
        );
        assert_eq!(decoded(Encoding::Identity, true, &[b"a\0\nb"]), b"a\0\r\nb");
        assert_eq!(decoded(Encoding::Base64, true, &[b"YQpi"]), b"a\nb");
    }

    #[test]
    fn names_are_compared_without_case() {
        let encoding = |name: &str| Encoding::from_field(Some(name.as_bytes()));
        assert_eq!(Encoding::from_field(None), Encoding::Identity);
        assert_eq!(encoding("8BIT"), Encoding::Identity);
        assert_eq!(encoding("BASE64"), Encoding::Base64);
        assert_eq!(encoding("Quoted-Printable"), Encoding::QuotedPrintable);
        assert_eq!(encoding("x-uuencode"), Encoding::Unknown);
    }

    proptest! {
        #[test]
        fn cuts_do_not_matter(
            input in "[=a4F \t\r\n+/-]{0,40}", space in "[ \t]{0,3}", long: bool,
            cut in 0usize..4000, crlf: bool,
        ) {
            let input = input.replace("a", &space.repeat(if long { 333 } else { 1 }));
            let (one, two) = input.as_bytes().split_at(cut.min(input.len()));
            for encoding in [Encoding::Base64, Encoding::QuotedPrintable, Encoding::Identity] {
                prop_assert_eq!(
                    decoded(encoding, crlf, &[one, two]),
                    decoded(encoding, crlf, &[input.as_bytes()])
                );
            }
        }

        #[test]
        fn base64_gives_back_what_was_encoded(data: Vec<u8>, width in 1usize..80) {
            use base64::Engine;
            let line = base64::engine::general_purpose::STANDARD.encode(&data);
            let lines: Vec<&[u8]> = line.as_bytes().chunks(width).collect();
            prop_assert_eq!(decoded(Encoding::Base64, false, &[&lines.join(&b"\r\n"[..])]), data);
        }
    }
}
