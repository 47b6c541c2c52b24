use super::*;
use proptest::prelude::*;

fn astring(text: &str) -> Parsed<String> {
    let mut reader = Reader::new(text.as_bytes());
    let read = reader.astring()?.into_owned();
    reader.end()?;
    Ok(String::from_utf8(read).unwrap())
}

fn written(write: impl Fn(&mut Vec<u8>)) -> String {
    let mut out = Vec::new();
    write(&mut out);
    String::from_utf8(out).unwrap()
}

#[test]
fn an_astring_is_an_atom_or_quoted_or_a_literal() {
    for (text, value) in [
        ("INBOX", "INBOX"),
        ("a]b", "a]b"),
        ("a+b", "a+b"),
        ("grün", "grün"),
        ("\"\"", ""),
        ("\"a b\"", "a b"),
        ("\"grün\"", "grün"),
        ("\"a\\\"b\\\\c\"", "a\"b\\c"),
        ("{3}\r\na\"b", "a\"b"),
        ("{3+}\r\nabc", "abc"),
        ("{3-}\nabc", "abc"),
        ("{0}\r\n", ""),
        ("{4}\r\na\r\nb", "a\r\nb"),
    ] {
        assert_eq!(astring(text).as_deref(), Ok(value), "{text:?}");
    }
}

#[test]
fn what_is_no_astring_is_refused() {
    for text in [
        "",
        "(",
        "\"",
        "\"a",
        "\"a\\",
        "\"a\\\"",
        "\"a\nb\"",
        "\"a\0b\"",
        "\"a\\\0\"",
        "{",
        "{}",
        "{a}",
        "{3",
        "{3}abc",
        "{3}\rabc",
        "{3}\r\na\0c",
        "{99999999999999999999}\r\nabc",
        "a*",
        "a%",
        "a\\b",
        "\u{7f}",
        "~{3}\r\nabc",
    ] {
        assert!(
            matches!(astring(text), Err(ParseError::Syntax(_))),
            "{text:?}"
        );
    }
}

#[test]
fn a_literal_that_has_not_come_is_awaited() {
    for text in ["{3}", "{3}\r\n", "{3}\r\nab", "{9223372036854775807}\r\nab"] {
        assert_eq!(astring(text), Err(ParseError::LiteralAwaited), "{text:?}");
    }
}

#[test]
fn numbers_keep_their_ranges() {
    let number = |text: &str| Reader::new(text.as_bytes()).number();
    assert_eq!(number("0"), Ok(0));
    assert_eq!(number("4294967295"), Ok(u32::MAX));
    assert_eq!(number("4294967296"), fail("Number out of range"));
    assert_eq!(number(""), fail("Missing number"));
    assert_eq!(number("-1"), fail("Missing number"));
    let number64 = |text: &str| Reader::new(text.as_bytes()).number64();
    assert_eq!(number64("9223372036854775807"), Ok(i64::MAX as u64));
    assert_eq!(number64("9223372036854775808"), fail("Number out of range"));
    assert_eq!(number64(&"9".repeat(1000)), fail("Number out of range"));
    assert_eq!(Reader::new(b"0").nz_number(), fail("Number out of range"));
}

#[test]
fn strings_are_quoted_where_they_can_be() {
    for (text, utf8, expected) in [
        ("", false, "\"\""),
        ("a b", false, "\"a b\""),
        ("a\"b\\", false, "\"a\\\"b\\\\\""),
        ("a\r\nb", false, "{4}\r\na\r\nb"),
        ("grün", false, "{5}\r\ngrün"),
        ("grün", true, "\"grün\""),
        ("g\nün", true, "{5}\r\ng\nün"),
    ] {
        assert_eq!(
            written(|out| write_string(out, text.as_bytes(), utf8)),
            expected
        );
    }
    assert!(written(|out| write_string(out, &[b'a'; 5000], false)).starts_with("{5000}\r\n"));
    let mut out = Vec::new();
    write_string(&mut out, b"\xff", true);
    assert_eq!(out, b"{1}\r\n\xff");
}

#[test]
fn an_astring_is_an_atom_only_if_it_can_be_nothing_else() {
    assert_eq!(written(|out| write_astring(out, b"INBOX", false)), "INBOX");
    assert_eq!(written(|out| write_astring(out, b"nil", false)), "\"nil\"");
    assert_eq!(written(|out| write_astring(out, b"a]", false)), "\"a]\"");
    assert_eq!(written(|out| write_astring(out, b"", false)), "\"\"");
}

#[test]
fn words_are_upper_case_and_not_too_long() {
    let mut reader = Reader::new(b"Body.Peek[");
    assert_eq!(reader.word().as_str(), "BODY.PEEK");
    assert_eq!(reader.peek(), Some(b'['));
    assert_eq!(reader.word().as_str(), "");
    assert_eq!(Reader::new(&[b'a'; 25]).word().as_str(), "");
    assert_eq!(Reader::new(&[b'a'; 24]).word().as_str().len(), 24);
}

#[test]
fn lists_have_spaces_between_and_an_end() {
    let count = |text: &str| {
        let mut n = 0;
        Reader::new(text.as_bytes()).list(|reader| {
            n += 1;
            reader.atom().map(drop)
        })?;
        Parsed::Ok(n)
    };
    assert_eq!(count("()"), Ok(0));
    assert_eq!(count("(a)"), Ok(1));
    assert_eq!(count("( a b  c )"), Ok(3));
    for text in ["", "(", "(a", "(a ", "(a()", "a"] {
        assert!(count(text).is_err(), "{text:?}");
    }
}

proptest! {
    #[test]
    fn numbers_are_written_as_the_library_writes_them(n: u64) {
        prop_assert_eq!(written(|out| write_number(out, n)), n.to_string());
    }

    #[test]
    fn strings_come_back(text in proptest::collection::vec(1u8.., 0..40), utf8: bool) {
        let mut out = Vec::new();
        write_astring(&mut out, &text, utf8);
        prop_assert_eq!(Reader::new(&out).astring().unwrap().into_owned(), text);
    }

    #[test]
    fn no_octets_panic(text: Vec<u8>) {
        let _ = Reader::new(&text).astring();
        let _ = Reader::new(&text).list_mailbox();
        let _ = Reader::new(&text).nstring();
        let _ = Reader::new(&text).date();
        let _ = Reader::new(&text).date_time();
        let _ = Reader::new(&text).literal_header();
    }
}
