use std::rc::Rc;

use super::*;
use proptest::prelude::*;

const MIXED: &str = "Subject: outer\nContent-Type: multipart/mixed; boundary=x\n\
    X-Word: =?utf-8?q?caf=C3=A9?=\n folded\n\npreamble words\n\
    --x\nContent-Type: text/html; name=inmime\n\nbody one\ntwo  lines <b>bo</b>ld\n\
    --x\nContent-Type: message/rfc822\n\nSubject: nestedsub\n\nnestedtext\n\
    --x\nContent-Type: application/octet-stream\n\nbinaryword\n\
    --x\nContent-Type: text/plain\nContent-Transfer-Encoding: quoted-printable\n\nsoft br=\neak =C3=\n=A9t=C3=A9 x=41y=4 zz\n\
    --x\nContent-Transfer-Encoding: base64\n\naGVsbG8gd29y\nbGQ=\n\
    --x\nContent-Type: message/delivery-status\n\nReporting-MTA: dns; foo\n\
    --x\nContent-Type: text/plain; charset=iso-2022-jp\n\n\u{1b}$B2q5D\u{1b}(B end\n\
    --x--\nepilogue words\n";

fn search(text: &[u8], needle: &str, scope: Scope) -> bool {
    let needle = Needle::new(needle);
    let mut searcher = Searcher::new(&[(Rc::new(needle.clone()), scope)]);
    searcher.push(text);
    searcher.finish()[0]
}

fn body(needle: &str) -> bool {
    search(MIXED.as_bytes(), needle, Scope::Body)
}

fn text(needle: &str) -> bool {
    search(MIXED.as_bytes(), needle, Scope::Text)
}

#[test]
fn body_is_text_parts_decoded() {
    for needle in [
        "body one",
        "two  lines",
        "nestedtext",
        "SOFT break",
        "xAy=4",
        "été x",
        "te\u{301} x",
        "Hello World",
        "reporting-mta",
        "会議 end",
        "",
    ] {
        assert!(body(needle), "{needle}");
    }
}

#[test]
fn body_is_no_header_and_nothing_else() {
    for needle in [
        "outer",
        "preamble",
        "inmime",
        "two lines",
        "onetwo",
        "bold",
        "nestedsub",
        "binaryword",
        "epilogue",
        "--x",
        "=41",
        "café",
        "foobody",
    ] {
        assert!(!body(needle), "{needle}");
    }
}

#[test]
fn text_is_body_and_all_fields() {
    for needle in [
        "outer",
        "inmime",
        "nestedsub",
        "subject: NESTED",
        "CAFÉ folded",
        "nestedtext",
        "hello w",
    ] {
        assert!(text(needle), "{needle}");
    }
    for needle in ["utf-8?", "preamble", "binaryword", "outer content"] {
        assert!(!text(needle), "{needle}");
    }
}

#[test]
fn text_without_a_charset_may_be_utf_8() {
    assert!(search("\n\nnaïve".as_bytes(), "NAÏVE", Scope::Body));
    assert!(search(
        b"Content-Type: text/plain; charset=x-none\n\n\xc3\xa9",
        "é",
        Scope::Body
    ));
    assert!(search(
        b"Content-Type: text/plain; charset=latin1\n\n\xe9",
        "é",
        Scope::Body
    ));
}

#[test]
fn multipart_that_is_shown_as_text_is_searched() {
    assert!(search(
        b"Content-Type: multipart/mixed\n\nword\n",
        "word",
        Scope::Body
    ));
}

#[test]
fn keys_are_answered_one_by_one_and_early() {
    let needles = ["two", "three", "subject"].map(Needle::new);
    let keys = [
        (Rc::new(needles[0].clone()), Scope::Body),
        (Rc::new(needles[1].clone()), Scope::Text),
        (Rc::new(needles[2].clone()), Scope::Text),
    ];
    let mut searcher = Searcher::new(&keys);
    assert!(searcher.push(b"Subject: one\n\ntwo\n"));
    assert_eq!(searcher.finish(), [true, false, true]);

    let mut searcher = Searcher::new(&keys[..2]);
    let long = format!("A: three\n\n two {}", "-".repeat(10_000));
    assert!(!searcher.push(long.as_bytes()));
}

proptest! {
    #[test]
    fn cuts_do_not_matter(
        cuts in proptest::collection::vec(0usize..900, 0..5),
        filler in "[a-zé\n]{0,300}",
        needle in prop_oneof![
            Just("soft break"), Just("été"), Just("hello world"), Just("会議 end"), Just("café folded"),
            Just("z\u{e9}"), Just("nestedtext"), Just("one\ntwo"),
        ],
    ) {
        let mail = MIXED.replace("two  lines", &filler);
        let mail = mail.as_bytes();
        for scope in [Scope::Body, Scope::Text] {
            let expected = search(mail, needle, scope);
            let prepared = Needle::new(needle);
            let mut searcher = Searcher::new(&[(Rc::new(prepared.clone()), scope)]);
            let mut rest = mail;
            for cut in &cuts {
                let (piece, after) = rest.split_at((*cut).min(rest.len()));
                searcher.push(piece);
                rest = after;
            }
            searcher.push(rest);
            prop_assert_eq!(searcher.finish()[0], expected);
            let mut searcher = Searcher::new(&[(Rc::new(prepared.clone()), scope)]);
            for octet in mail {
                searcher.push(&[*octet]);
            }
            prop_assert_eq!(searcher.finish()[0], expected);
        }
    }

    #[test]
    fn no_octets_make_it_panic(octets: Vec<u8>, cut in 0usize..100) {
        let header = b"Content-Type: text/plain; charset=gb18030\nContent-Transfer-Encoding: quoted-printable\n\n";
        let mail = [&header[..], &octets].concat();
        let needle = Needle::new("zz");
        let mut searcher = Searcher::new(&[(Rc::new(needle.clone()), Scope::Text)]);
        let (one, two) = mail.split_at(cut.min(mail.len()));
        searcher.push(one);
        searcher.push(two);
        searcher.finish();
    }
}
