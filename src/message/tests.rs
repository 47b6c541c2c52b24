//! No octets, however wrong, make anything here panic or write what is not IMAP.

use std::rc::Rc;

use proptest::prelude::*;

use super::body_structure::write_body_structure;
use super::header::{HeaderEnd, fields, select_fields};
use super::mime::Scanner;
use super::search::{Needle, Scope, Searcher};
use super::transfer::{Encoding, TransferDecoder};
use super::{address, charset, date, encoded_word, envelope};

/// Everything that can be done with a message.
fn read(text: &[u8]) {
    let mut scanner = Scanner::new();
    scanner.push(text);
    let structure = scanner.finish();
    let mut out = Vec::new();
    write_body_structure(&structure, true, &mut out);
    write_body_structure(&structure, false, &mut out);
    structure.write_envelope(&mut out);
    assert!(!out.contains(&0));
    for numbers in [&[1][..], &[2], &[1, 1], &[0], &[u32::MAX, 1]] {
        if let Some(found) = structure.find(numbers) {
            let body = &text[found.text.start as usize..found.text.end as usize];
            let mut decoder = TransferDecoder::new(found.encoding(), true);
            decoder.push(body, &mut out);
            decoder.finish(&mut out);
        }
    }
    let header = HeaderEnd::default().push(text).unwrap_or(text.len());
    envelope::write_envelope(&text[..header], &mut out);
    select_fields(text, &["Subject"], true, &mut out);
    for field in fields(text) {
        address::address_text(field.value);
        encoded_word::decode(field.value);
        date::parse_date(field.value);
    }
    let needle = |text| Rc::new(Needle::new(text));
    let keys = [(needle("a"), Scope::Text), (needle("é"), Scope::Body)];
    let mut searcher = Searcher::new(&keys);
    searcher.push(text);
    searcher.finish();
}

/// Words that mean something somewhere, in no order.
fn words() -> impl Strategy<Value = Vec<u8>> {
    let words: Vec<&'static [u8]> = vec![
        b"Content-Type: ",
        b"Content-Transfer-Encoding: ",
        b"Content-Disposition: ",
        b"Content-Language: ",
        b"From: ",
        b"Subject: ",
        b"Date: ",
        b"multipart/",
        b"mixed",
        b"digest",
        b"text/plain",
        b"message/rfc822",
        b"; boundary=",
        b"; charset=",
        b"name*0*=",
        b"name*1=",
        b"iso-2022-jp",
        b"utf-16",
        b"gb18030",
        b"base64",
        b"quoted-printable",
        b"=?utf-8?q?",
        b"=?x?b?",
        b"?=",
        b"--x",
        b"--",
        b"x",
        b"\n",
        b"\r\n",
        b"\n\n",
        b"\n ",
        b"\"",
        b"(",
        b")",
        b"<",
        b">",
        b"@",
        b",",
        b";",
        b":",
        b"\\",
        b"=",
        b"=4",
        b"%",
        b"\0",
        b"\xe9",
        b"\xc3\xa9",
        b"1 Jan 2024 ",
        b"24:60 ",
        b"+9999",
        b"99999999999",
        b" ",
        b"\t",
    ];
    proptest::collection::vec(proptest::sample::select(words), 0..40)
        .prop_map(|words| words.concat())
}

proptest! {
    #[test]
    fn no_octets_make_it_panic(text: Vec<u8>) {
        read(&text);
    }

    #[test]
    fn no_words_make_it_panic(text in words()) {
        read(&text);
    }

    #[test]
    fn no_charset_makes_it_panic(label in "[a-z0-9-]{0,12}", text: Vec<u8>) {
        charset::decode(label.as_bytes(), &text);
        for label in ["utf-16le", "iso-2022-jp", "gb18030", "big5", "euc-kr", "x-user-defined"] {
            prop_assert!(charset::decode(label.as_bytes(), &text).is_some());
        }
        for encoding in [Encoding::Base64, Encoding::QuotedPrintable, Encoding::Unknown] {
            let mut decoder = TransferDecoder::new(encoding, false);
            let mut out = Vec::new();
            decoder.push(&text, &mut out);
            decoder.finish(&mut out);
            prop_assert!(out.len() <= text.len());
        }
    }
}
