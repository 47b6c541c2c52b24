//! Charset labels of mail and of SEARCH CHARSET, to UTF-8 (encoding_rs).
//!
//! encoding_rs knows the labels of the Encoding Standard, where for example `iso-8859-1` means
//! windows-1252, which is what mail means too. Below are those that only mail uses. UTF-7,
//! ISO-2022-KR, EUC-TW and the code pages of DOS are not supported.

use encoding_rs::{CoderResult, Encoding, UTF_8, UTF_16BE, UTF_16LE, WINDOWS_1252};

/// Whether SEARCH CHARSET may name it.
pub fn is_known(label: &[u8]) -> bool {
    lookup(label).is_some()
}

/// A whole string to UTF-8; None when the charset is unknown.
pub fn decode(label: &[u8], text: &[u8]) -> Option<String> {
    let mut decoder = CharsetDecoder::of(lookup(label)?);
    let mut out = String::new();
    decoder.push(text, &mut out);
    decoder.finish(&mut out);
    Some(out)
}

/// Text without a charset: UTF-8 if it can be that, else windows-1252, in which everything has a
/// meaning.
pub fn guess(text: &[u8]) -> String {
    match std::str::from_utf8(text) {
        Ok(text) => text.to_owned(),
        Err(_) => WINDOWS_1252
            .decode_without_bom_handling(text)
            .0
            .into_owned(),
    }
}

/// Whether ASCII octets stand for themselves, and only for themselves, wherever they appear in it.
pub fn is_ascii_compatible(label: &[u8]) -> bool {
    let encoding = lookup(label).unwrap_or(UTF_8);
    encoding.is_ascii_compatible()
}

/// Text in some charset to UTF-8, in pieces cut anywhere; what is invalid becomes U+FFFD.
pub struct CharsetDecoder {
    decoder: encoding_rs::Decoder,
}

impl CharsetDecoder {
    /// An unknown label is read as UTF-8, and so is US-ASCII: mail that says so and does not keep
    /// to it is mostly UTF-8.
    pub fn new(label: &[u8]) -> CharsetDecoder {
        CharsetDecoder::of(lookup(label).unwrap_or(UTF_8))
    }

    fn of(encoding: &'static Encoding) -> CharsetDecoder {
        let decoder = if encoding == UTF_16BE || encoding == UTF_16LE {
            encoding.new_decoder()
        } else {
            encoding.new_decoder_without_bom_handling()
        };
        CharsetDecoder { decoder }
    }

    pub fn push(&mut self, input: &[u8], out: &mut String) {
        self.decode(input, false, out);
    }

    pub fn finish(&mut self, out: &mut String) {
        self.decode(b"", true, out);
    }

    fn decode(&mut self, mut input: &[u8], last: bool, out: &mut String) {
        loop {
            // Short of memory arithmetic this is enough for all of the input; if not, the loop goes
            // on.
            let room = self.decoder.max_utf8_buffer_length(input.len());
            out.reserve(room.unwrap_or(input.len()).max(ROOM_MIN));
            let (result, read, _) = self.decoder.decode_to_string(input, out, last);
            input = input.get(read..).unwrap_or_default();
            if result == CoderResult::InputEmpty {
                return;
            }
        }
    }
}

const ROOM_MIN: usize = 64;

fn lookup(label: &[u8]) -> Option<&'static Encoding> {
    let label = label.trim_ascii();
    let name = label.to_ascii_lowercase();
    if name == b"us-ascii" || name == b"ascii" {
        return Some(UTF_8);
    }
    if let Some(known) = Encoding::for_label_no_replacement(label) {
        return Some(known);
    }
    let (_, standard) = ALIASES.iter().find(|(alias, _)| *alias == name)?;
    Encoding::for_label_no_replacement(standard)
}

/// Labels seen in mail that the Encoding Standard does not list.
const ALIASES: &[(&[u8], &[u8])] = &[
    (b"646", b"utf-8"),
    (b"ansi", b"windows-1252"),
    (b"ansi_x3.4-1986", b"utf-8"),
    (b"big5-eten", b"big5"),
    (b"cp-1252", b"windows-1252"),
    (b"cp932", b"shift_jis"),
    (b"cp936", b"gbk"),
    (b"cp949", b"euc-kr"),
    (b"cp950", b"big5"),
    (b"euckr", b"euc-kr"),
    (b"eucjp", b"euc-jp"),
    (b"gb18030-2000", b"gb18030"),
    (b"iso-2022-jp-1", b"iso-2022-jp"),
    (b"iso-2022-jp-2", b"iso-2022-jp"),
    (b"iso-2022-jp-3", b"iso-2022-jp"),
    (b"iso-2022-jp-ms", b"iso-2022-jp"),
    (b"iso-8859-8-e", b"iso-8859-8"),
    (b"iso_8859-15:1998", b"iso-8859-15"),
    (b"iso_646.irv:1991", b"utf-8"),
    (b"iso646-us", b"utf-8"),
    (b"koi8-ru", b"koi8-u"),
    (b"latin-1", b"windows-1252"),
    (b"latin9", b"iso-8859-15"),
    (b"unicode-2-0-utf-8", b"utf-8"),
    (b"us", b"utf-8"),
    (b"utf-8-mac", b"utf-8"),
    (b"utf-8-sig", b"utf-8"),
    (b"win-1251", b"windows-1251"),
    (b"windows-936", b"gbk"),
    (b"x-cp932", b"shift_jis"),
    (b"x-euc-kr", b"euc-kr"),
    (b"x-windows-949", b"euc-kr"),
    (b"x-windows-950", b"big5"),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn labels_of_mail_are_known() {
        for (alias, standard) in ALIASES {
            assert!(is_known(alias), "{alias:?} {standard:?}");
        }
        assert!(is_known(b" ISO-8859-1 "));
        assert!(!is_known(b"x-unknown"));
        assert!(!is_known(b"iso-2022-kr"));
    }

    #[test]
    fn text_cut_inside_a_character_is_decoded() {
        let mut out = String::new();
        let mut decoder = CharsetDecoder::new(b"us-ascii");
        for byte in "añb€".bytes() {
            decoder.push(&[byte], &mut out);
        }
        decoder.push(b"\xe2\x82", &mut out);
        decoder.finish(&mut out);
        assert_eq!(out, "añb€\u{fffd}");
    }

    #[test]
    fn text_without_a_charset_is_utf_8_or_latin() {
        assert_eq!(guess("é".as_bytes()), "é");
        assert_eq!(guess(b"\xe9"), "é");
        assert_eq!(decode(b"ks_c_5601-1987", b"\xb0\xa1").unwrap(), "가");
        assert_eq!(decode(b"x-unknown", b"a"), None);
    }

    #[test]
    fn stateful_charsets_do_not_count_as_ascii() {
        assert!(is_ascii_compatible(b"gb2312"));
        assert!(!is_ascii_compatible(b"iso-2022-jp"));
        assert!(!is_ascii_compatible(b"utf-16"));
    }
}
