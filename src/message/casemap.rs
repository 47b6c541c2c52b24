//! The collation i;unicode-casemap (RFC 5051): how SEARCH compares strings (RFC 9051 6.4.4).

use std::sync::OnceLock;

use unicode_normalization::char::decompose_compatible;

/// Appends the form in which strings are compared, in UTF-8: titlecase of each character, fully
/// decomposed (RFC 5051 2, steps 2 and 3).
pub fn fold(text: &str, out: &mut Vec<u8>) {
    out.reserve(text.len());
    let small = small_folds();
    let mut rest = text;
    while !rest.is_empty() {
        let ascii = ascii_start(rest.as_bytes());
        let (plain, after) = rest.split_at_checked(ascii).unwrap_or((rest, ""));
        let start = out.len();
        out.extend_from_slice(plain.as_bytes());
        if let Some(added) = out.get_mut(start..) {
            added.make_ascii_uppercase();
        }
        let mut chars = after.chars();
        rest = after;
        while let Some(c) = chars.next().filter(|c| !c.is_ascii()) {
            fold_char(c, small, out);
            rest = chars.as_str();
        }
    }
}

/// How many ASCII octets a text begins with.
fn ascii_start(text: &[u8]) -> usize {
    let stretches = text.chunks(16).take_while(|stretch| stretch.is_ascii());
    let start = stretches.map(<[u8]>::len).sum();
    let rest = text.get(start..).unwrap_or_default();
    start + rest.iter().take_while(|octet| octet.is_ascii()).count()
}

fn fold_char(c: char, small: &[Option<SmallFold>], out: &mut Vec<u8>) {
    match small.get(c as usize) {
        Some(Some(fold)) => {
            out.extend_from_slice(fold.octets.get(..fold.length).unwrap_or_default());
        }
        _ if is_ideograph(c) => push(c, out),
        _ => compute(c, out),
    }
}

fn compute(c: char, out: &mut Vec<u8>) {
    decompose_compatible(titlecase(c), |part| push(part, out));
}

fn push(c: char, out: &mut Vec<u8>) {
    out.extend_from_slice(c.encode_utf8(&mut [0; 4]).as_bytes());
}

/// The unified ideographs have neither case nor decomposition.
fn is_ideograph(c: char) -> bool {
    matches!(c, '\u{3400}'..='\u{4dbf}' | '\u{4e00}'..='\u{9fff}')
}

/// What the characters of the Latin, Greek, Cyrillic, Hebrew and Arabic alphabets fold to, looked
/// up once.
fn small_folds() -> &'static [Option<SmallFold>] {
    static FOLDS: OnceLock<Vec<Option<SmallFold>>> = OnceLock::new();
    FOLDS.get_or_init(|| {
        let chars = (0..0x800).map(|code| char::from_u32(code).unwrap_or_default());
        chars.map(SmallFold::of).collect()
    })
}

struct SmallFold {
    octets: [u8; 7],
    length: usize,
}

impl SmallFold {
    fn of(c: char) -> Option<SmallFold> {
        let mut folded = Vec::new();
        compute(c, &mut folded);
        let mut octets = [0; 7];
        octets.get_mut(..folded.len())?.copy_from_slice(&folded);
        Some(SmallFold {
            octets,
            length: folded.len(),
        })
    }
}

/// The simple titlecase mapping of UnicodeData.txt, which is the uppercase mapping of one character
/// to one, but for these.
fn titlecase(c: char) -> char {
    match c {
        'Ǆ'..='ǆ' => 'ǅ',
        'Ǉ'..='ǉ' => 'ǈ',
        'Ǌ'..='ǌ' => 'ǋ',
        'Ǳ'..='ǳ' => 'ǲ',
        // Georgian has capitals but no titlecase.
        '\u{10d0}'..='\u{10ff}' => c,
        // Greek with iota subscript: std has only the full mapping, to two characters.
        '\u{1f80}'..='\u{1f87}' | '\u{1f90}'..='\u{1f97}' | '\u{1fa0}'..='\u{1fa7}' => {
            char::from_u32(u32::from(c) + 8).unwrap_or(c)
        }
        'ᾳ' => 'ᾼ',
        'ῃ' => 'ῌ',
        'ῳ' => 'ῼ',
        _ => {
            let mut upper = c.to_uppercase();
            match (upper.next(), upper.next()) {
                (Some(one), None) => one,
                _ => c,
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn folded(text: &str) -> String {
        let mut out = Vec::new();
        fold(text, &mut out);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn the_examples_of_rfc_5051_hold() {
        assert_eq!(folded("\u{01c4}"), "Dz\u{30c}");
        assert_eq!(folded("\u{01c6}"), "Dz\u{30c}");
    }

    #[test]
    fn case_accents_and_widths_are_compared_alike() {
        assert_eq!(folded("Café b"), "CAFE\u{301} B");
        assert_eq!(folded("cafe\u{301} B"), "CAFE\u{301} B");
        assert_eq!(folded("ａｂ½ςx会"), "AB1\u{2044}2ΣX会");
        assert_eq!(folded("\u{212a}aé"), "KAE\u{301}");
    }

    #[test]
    fn mappings_to_several_letters_are_not_used() {
        assert_eq!(folded("straße"), "STRAßE");
        assert_eq!(folded("\u{fb01}sh"), "fiSH");
        assert_eq!(folded("ᾀ"), folded("ᾈ"));
        assert_eq!(folded("ა"), "ა");
    }

    #[test]
    fn shortcuts_give_what_is_computed() {
        for c in ('\u{80}'..='\u{ffff}').chain(['\u{10428}', '\u{1d400}']) {
            let (mut short, mut long) = (Vec::new(), Vec::new());
            fold_char(c, small_folds(), &mut short);
            compute(c, &mut long);
            assert_eq!(short, long, "{c:?}");
        }
        assert!(small_folds().iter().all(Option::is_some));
    }
}
