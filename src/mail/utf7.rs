//! Modified UTF-7, in which names are written on the wire and on the disk (RFC 3501 5.1.3).

use base64::Engine;
use base64::engine::{GeneralPurpose, GeneralPurposeConfig};

use super::NameError;

/// Decodes modified UTF-7 (RFC 3501 5.1.3); 8-bit octets must be UTF-8 and are kept.  Needless or
/// sloppy encoding is let through: encoding again may give another text.
pub fn decode(text: &[u8]) -> Result<String, NameError> {
    let mut rest = std::str::from_utf8(text).or(Err(NameError::Utf8))?;
    let mut decoded = String::with_capacity(rest.len());
    while let Some((plain, shifted)) = rest.split_once('&') {
        decoded.push_str(plain);
        let (coded, tail) = shifted.split_once('-').ok_or(NameError::Utf7)?;
        if coded.is_empty() {
            decoded.push('&');
        } else {
            decode_shifted(coded, &mut decoded)?;
        }
        rest = tail;
    }
    decoded.push_str(rest);
    Ok(decoded)
}

/// What lies between `&` and `-`: UTF-16 in a base64 of its own.
fn decode_shifted(coded: &str, decoded: &mut String) -> Result<(), NameError> {
    let octets = UTF7.decode(coded).or(Err(NameError::Utf7))?;
    let (units, odd) = octets.as_chunks::<2>();
    if !odd.is_empty() {
        return Err(NameError::Utf7);
    }
    for character in char::decode_utf16(units.iter().map(|&unit| u16::from_be_bytes(unit))) {
        decoded.push(character.or(Err(NameError::Utf7))?);
    }
    Ok(())
}

/// Encodes as modified UTF-7.
pub fn encode(text: &str) -> String {
    let mut encoded = String::with_capacity(text.len());
    let is_plain = |character: char| matches!(character, ' '..='~') && character != '&';
    let mut rest = text;
    while let Some(special) = rest.find(|character| !is_plain(character)) {
        let (plain, shifted) = rest.split_at(special);
        encoded.push_str(plain);
        encoded.push('&');
        if let Some(tail) = shifted.strip_prefix('&') {
            rest = tail;
        } else {
            let end = shifted.find(|character| matches!(character, ' '..='~'));
            let (run, tail) = shifted.split_at(end.unwrap_or(shifted.len()));
            let octets: Vec<u8> = run.encode_utf16().flat_map(u16::to_be_bytes).collect();
            UTF7.encode_string(octets, &mut encoded);
            rest = tail;
        }
        encoded.push('-');
    }
    encoded.push_str(rest);
    encoded
}

const UTF7: GeneralPurpose = GeneralPurpose::new(
    &base64::alphabet::IMAP_MUTF7,
    GeneralPurposeConfig::new()
        .with_encode_padding(false)
        .with_decode_padding_mode(base64::engine::DecodePaddingMode::RequireNone)
        .with_decode_allow_trailing_bits(true),
);

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// The first is RFC 3501 5.1.3's own.
    const PAIRS: [(&str, &str); 8] = [
        ("~peter/mail/&U,BTFw-/&ZeVnLIqe-", "~peter/mail/台北/日本語"),
        ("Gr&APwA3w-e", "Grüße"),
        ("R&-D", "R&D"),
        ("&-", "&"),
        ("&-&-a", "&&a"),
        ("&AOk-&-", "é&"),
        ("&2D3eAA-", "😀"),
        ("a-b+c", "a-b+c"),
    ];

    #[test]
    fn modified_utf7_is_read_and_written() {
        for (encoded, decoded) in PAIRS {
            assert_eq!(
                decode(encoded.as_bytes()).as_deref(),
                Ok(decoded),
                "{encoded}"
            );
            assert_eq!(encode(decoded), encoded);
        }
        assert_eq!(decode(b"&AOkAJg-&AGE-").as_deref(), Ok("é&a"));
    }

    #[test]
    fn broken_modified_utf7_is_an_error() {
        for text in [
            "&", "R&D", "&AO", "&A-", "&AO-", "&AOkA-", "&2D0-", "&3gA-", "&AOk=-", "&A/8-", "&é-",
            "&*-",
        ] {
            assert_eq!(decode(text.as_bytes()), Err(NameError::Utf7), "{text}");
        }
        assert_eq!(decode(b"\xff"), Err(NameError::Utf8));
        assert_eq!(decode("roh: ü".as_bytes()).as_deref(), Ok("roh: ü"));
    }

    proptest! {
        #[test]
        fn any_text_survives_modified_utf7(text: String) {
            let encoded = encode(&text);
            prop_assert!(encoded.bytes().all(|byte| matches!(byte, b' '..=b'~')));
            prop_assert_eq!(decode(encoded.as_bytes()).unwrap(), text);
        }
    }
}
