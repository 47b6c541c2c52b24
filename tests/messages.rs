//! What is told about each message of `corpus/messages`: `NAME.envelope` and `NAME.bodystructure`
//! hold the answers to `FETCH (ENVELOPE BODYSTRUCTURE)` for `NAME.eml`.
//!
//! They are those of Dovecot 2.3.19, except for how strings are written (quoted or literal), and
//! except for the messages in `BETTER`. After a change that is meant, `ROOST_REWRITE=1 cargo test
//! --test messages` writes them anew, for review.

use std::fs;
use std::path::{Path, PathBuf};

use roost::message::body_structure::write_body_structure;
use roost::message::envelope::write_envelope;
use roost::message::header::HeaderEnd;
use roost::message::mime::{Scanner, Structure};

/// Messages that Roost answers otherwise than Dovecot, and why.
const BETTER: &[(&str, &str)] = &[
    (
        "addresses-empty-elements",
        "nothing between two commas is no address",
    ),
    ("addresses-missing-commas", "no address is lost"),
    (
        "addresses-obsolete",
        "white space around dots is allowed in old addresses",
    ),
    ("addresses-semicolons", "no address is lost"),
    (
        "addresses-unclosed",
        "quotes, comments and brackets left open cost themselves only",
    ),
    (
        "addresses-unquoted-at",
        "a name may hold what it should quote",
    ),
    (
        "boundary-missing",
        "a multipart without parts is shown as the text it is",
    ),
    (
        "boundary-never-used",
        "a multipart without parts is shown as the text it is",
    ),
    (
        "boundary-only-closed",
        "a multipart without parts is shown as the text it is",
    ),
    (
        "boundary-only-white-space",
        "white space at a boundary's end is no part of it",
    ),
    (
        "boundary-parent-prefix-of-closed-child",
        "a line with the longest boundary is that multipart's, also when it is closed",
    ),
    (
        "boundary-rfc2231-encoded",
        "a boundary is understood in every form of RFC 2231",
    ),
    (
        "boundary-rfc2231-encoded-sections",
        "a boundary is understood in every form of RFC 2231",
    ),
    (
        "boundary-rfc2231-mixed-sections",
        "a boundary is understood in every form of RFC 2231",
    ),
    (
        "boundary-rfc2231-nested",
        "a boundary is understood in every form of RFC 2231",
    ),
    (
        "boundary-rfc2231-out-of-order",
        "a boundary is understood in every form of RFC 2231",
    ),
    (
        "boundary-unquoted-with-parentheses",
        "a parenthesis within a value begins no comment",
    ),
    (
        "boundary-white-space-at-its-end",
        "white space at a boundary's end is no part of it",
    ),
    (
        "charset-rfc2231",
        "the charset is told, so that there is no default",
    ),
    ("encoded-word-in-comment", "an encoded word is one token"),
    ("encoded-word-in-group", "an encoded word is one token"),
    ("encoded-word-parentheses", "an encoded word is one token"),
    ("encoded-word-specials", "an encoded word is one token"),
    ("fields-all", "a tab in a fold is white space like any"),
    (
        "fields-broken",
        "stray quotes, commas and semicolons are passed over",
    ),
    ("fields-nonsense", "an empty disposition is none"),
    (
        "fields-only-white-space",
        "white space is no part of a value",
    ),
    (
        "fields-with-tabs-and-nul",
        "a tab is white space like any; fields count without MIME-Version and Content-Type",
    ),
    (
        "fields-without-version",
        "fields count without MIME-Version and Content-Type",
    ),
    ("filename-dos-path", "the backslashes of a path stay"),
    (
        "filename-dos-path-escaped",
        "the backslashes of a path stay",
    ),
    (
        "filename-dos-path-unquoted",
        "the backslashes of a path stay",
    ),
    (
        "folds-around-identifiers",
        "white space around a value is no part of it",
    ),
    (
        "folds-in-content-fields",
        "white space around a value is no part of it",
    ),
    (
        "folds-with-doubled-cr",
        "white space around a value is no part of it",
    ),
    (
        "forwarded-multipart-in-multipart",
        "the line end before a boundary is the boundary's",
    ),
    ("parameter-encoded-word", "an encoded word is one token"),
    (
        "parameter-parentheses",
        "a parenthesis within a value begins no comment",
    ),
    (
        "parameter-parentheses-in-sections",
        "a parenthesis within a value begins no comment",
    ),
    ("type-and-parameters-in-quotes", "the type is readable"),
    (
        "type-broken",
        "the type is readable, the rest is passed over",
    ),
    (
        "type-broken-parameters",
        "a broken parameter does not cost those after it",
    ),
    ("type-empty", "RFC 2045 5.2: text/plain"),
    ("type-halves-in-quotes", "the type is readable"),
    ("type-in-apostrophes", "the type is readable"),
    ("type-in-quotes", "the type is readable"),
    ("type-multipart-in-quotes", "the type is readable"),
    ("type-no-subtype", "a type is never empty"),
    ("type-open-quote", "the type is readable"),
    ("type-text-only", "a type is never empty"),
    (
        "type-unquoted-file-name",
        "a file name with spaces is whole",
    ),
];

#[test]
fn messages_are_described_as_expected() {
    for path in corpus() {
        let text = fs::read(&path).unwrap();
        let structure = scan(&text, text.len().max(1));
        let mut envelope = Vec::new();
        structure.write_envelope(&mut envelope);
        check(&path.with_extension("envelope"), envelope);
        check(
            &path.with_extension("bodystructure"),
            body_structure(&structure),
        );
    }
}

#[test]
fn an_envelope_needs_the_header_only() {
    for path in corpus() {
        let text = fs::read(&path).unwrap();
        let header = HeaderEnd::default().push(&text).unwrap_or(text.len());
        let (mut short, mut long) = (Vec::new(), Vec::new());
        write_envelope(&text[..header], &mut short);
        scan(&text, 7).write_envelope(&mut long);
        assert_eq!(short, long, "{path:?}");
    }
}

#[test]
fn messages_read_octet_by_octet_are_the_same() {
    for path in corpus() {
        let text = fs::read(&path).unwrap();
        assert_eq!(scan(&text, 1), scan(&text, text.len().max(1)), "{path:?}");
    }
}

#[test]
fn messages_with_any_octet_left_out_are_described_legally() {
    for path in corpus() {
        let text = fs::read(&path).unwrap();
        for at in 0..text.len() {
            let mut text = text.clone();
            text.remove(at);
            let answer = body_structure(&scan(&text, 64));
            let mut rest = &answer[..];
            read_value(&mut rest).unwrap_or_else(|| panic!("{path:?} without octet {at}"));
            assert_eq!(rest, b"", "{path:?} without octet {at}");
        }
    }
}

#[test]
fn better_answers_are_about_messages_that_exist() {
    let names: Vec<String> = corpus()
        .iter()
        .map(|path| path.file_stem().unwrap().to_string_lossy().into_owned())
        .collect();
    for (name, _) in BETTER {
        assert!(names.contains(&name.to_string()), "{name}");
    }
}

fn corpus() -> Vec<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/corpus/messages");
    let files = fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path());
    let mut messages: Vec<PathBuf> = files
        .filter(|path| path.extension().is_some_and(|extension| extension == "eml"))
        .collect();
    messages.sort();
    assert!(!messages.is_empty());
    messages
}

fn scan(text: &[u8], chunk: usize) -> Structure {
    let mut scanner = Scanner::new();
    text.chunks(chunk).for_each(|chunk| scanner.push(chunk));
    scanner.finish()
}

fn body_structure(structure: &Structure) -> Vec<u8> {
    let mut out = Vec::new();
    write_body_structure(structure, true, &mut out);
    out
}

fn check(path: &Path, mut answer: Vec<u8>) {
    answer.push(b'\n');
    if std::env::var_os("ROOST_REWRITE").is_some() {
        fs::write(path, &answer).unwrap();
    }
    let expected = fs::read(path).unwrap();
    assert_eq!(
        String::from_utf8_lossy(&answer),
        String::from_utf8_lossy(&expected),
        "{path:?}"
    );
}

/// Takes a list, string, number or NIL off a text; None if it is none of them.
fn read_value(rest: &mut &[u8]) -> Option<()> {
    let (&first, after) = rest.split_first()?;
    match first {
        b'(' => {
            *rest = after;
            while !rest.starts_with(b")") {
                read_value(rest)?;
                *rest = rest.strip_prefix(b" ").unwrap_or(rest);
            }
            *rest = &rest[1..];
        }
        b'"' => {
            let mut end = 0;
            while after.get(end)? != &b'"' {
                let quoted = after[end] == b'\\';
                let octet = after.get(end + usize::from(quoted))?;
                if (quoted && !b"\"\\".contains(octet))
                    || !(b' '..=b'~').contains(octet) && *octet != b'\t'
                {
                    return None;
                }
                end += 1 + usize::from(quoted);
            }
            *rest = &after[end + 1..];
        }
        b'{' => {
            let end = after.windows(3).position(|window| window == b"}\r\n")?;
            let size: usize = std::str::from_utf8(&after[..end]).ok()?.parse().ok()?;
            let text = after.get(end + 3..end + 3 + size)?;
            if text.contains(&0) {
                return None;
            }
            *rest = &after[end + 3 + size..];
        }
        b'N' => *rest = rest.strip_prefix(b"NIL")?,
        _ => {
            let digits = rest
                .iter()
                .take_while(|octet| octet.is_ascii_digit())
                .count();
            if digits == 0 {
                return None;
            }
            *rest = &rest[digits..];
        }
    }
    Some(())
}
