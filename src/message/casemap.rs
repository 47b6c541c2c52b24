//! The collation i;unicode-casemap (RFC 5051): how SEARCH compares strings (RFC 9051 6.4.4).

use unicode_normalization::char::decompose_compatible;

/// Appends the form in which strings are compared: titlecase of each character, fully decomposed
/// (RFC 5051 2, steps 2 and 3).
pub fn fold(text: &str, out: &mut String) {
    let mut rest = text;
    out.reserve(text.len());
    while !rest.is_empty() {
        let ascii = rest.bytes().take_while(u8::is_ascii).count();
        let (plain, other) = rest.split_at(ascii);
        out.extend(plain.bytes().map(|b| char::from(b.to_ascii_uppercase())));
        let mut chars = other.chars();
        for c in chars.by_ref().take_while(|c| !c.is_ascii()) {
            decompose_compatible(titlecase(c), |part| out.push(part));
        }
        // take_while has also taken the first ASCII character: it is read again.
        let taken = other.bytes().take_while(|b| !b.is_ascii()).count();
        rest = other.get(taken..).unwrap_or_default();
    }
}

/// The simple titlecase mapping of UnicodeData.txt, which is the uppercase mapping of one character to one,
/// but for these.
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
    fn fold(text: &str) -> String {
        let mut out = String::new();
        super::fold(text, &mut out);
        out
    }

    #[test]
    fn the_examples_of_rfc_5051_hold() {
        assert_eq!(fold("\u{01c4}"), "Dz\u{30c}");
        assert_eq!(fold("\u{01c6}"), "Dz\u{30c}");
    }

    #[test]
    fn case_accents_and_widths_are_compared_alike() {
        assert_eq!(fold("Café b"), "CAFE\u{301} B");
        assert_eq!(fold("cafe\u{301} B"), "CAFE\u{301} B");
        assert_eq!(fold("ａｂ½ς"), "AB1\u{2044}2Σ");
        assert_eq!(fold("\u{212a}aé"), "KAE\u{301}");
    }

    #[test]
    fn mappings_to_several_letters_are_not_used() {
        assert_eq!(fold("straße"), "STRAßE");
        assert_eq!(fold("\u{fb01}sh"), "fiSH");
        assert_eq!(fold("ᾀ"), fold("ᾈ"));
        assert_eq!(fold("ა"), "ა");
    }
}
