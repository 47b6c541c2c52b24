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

/// A message with that body in a multipart, and what its header says of it.
fn multipart(header: &str, body: &str) -> String {
    format!("Subject: s\nContent-Type: multipart/mixed{header}\n\n{body}")
}

#[test]
fn a_multipart_without_parts_is_a_text_as_it_stands() {
    for (header, body) in [
        ("; boundary=x", "Just a kernel\n"),
        ("", "Just a kernel\n"),
        ("; boundary=x", "Just a kernel\n--y\n--x--\n"),
        ("; boundary=x", "--x--\nJust a kernel"),
        (
            "; boundary=x\nContent-Transfer-Encoding: base64",
            "kernel\n",
        ),
        (
            "\nContent-Transfer-Encoding: quoted-printable",
            "=6Bkernel=\n",
        ),
        ("; charset=utf-16", "kernel\n"),
        (
            "; boundary=x",
            "--x\nContent-Type: multipart/related; boundary=y\n\nkernel\n--x--\n",
        ),
        (
            "; boundary*0*=us-ascii''a; boundary*1=b",
            "--ab\n\nkernel\n--ab--",
        ),
        ("; boundary=\"\"", "--\n\nkernel\n----\n"),
    ] {
        let message = multipart(header, body);
        for scope in [Scope::Body, Scope::Text] {
            assert!(search(message.as_bytes(), "KERNEL", scope), "{message}");
            let octets = Needle::new("kernel");
            let mut searcher = Searcher::new(&[(Rc::new(octets), scope)]);
            for octet in message.as_bytes() {
                if !searcher.push(&[*octet]) {
                    break;
                }
            }
            assert!(searcher.finish()[0], "{message}");
        }
    }
    // It is shown encoded, and found so.
    let encoded = multipart("\nContent-Transfer-Encoding: base64", "a2VybmVs\n");
    assert!(search(encoded.as_bytes(), "a2vybmvs", Scope::Body));
    assert!(!search(encoded.as_bytes(), "kernel", Scope::Body));
}

#[test]
fn what_is_before_the_first_part_does_not_count_when_it_comes() {
    let message = multipart("; boundary=x", "preamble\nword pre\n--x\n\nword\n--x--\n");
    assert!(!search(message.as_bytes(), "preamble", Scope::Text));
    assert!(search(message.as_bytes(), "word", Scope::Body));
    // Nor does the beginning of a match.
    let split = multipart("; boundary=x", "pre\n--x\n\namble\n--x--\n");
    assert!(!search(split.as_bytes(), "preamble", Scope::Body));
    // What was found before stays found.
    let outer = multipart(
        "; boundary=x",
        "--x\n\nword\n--x\nContent-Type: multipart/mixed; boundary=y\n\npre\n--y\n\n--y--\n--x--\n",
    );
    assert!(search(outer.as_bytes(), "word", Scope::Body));
    assert!(!search(outer.as_bytes(), "pre", Scope::Body));
}

#[test]
fn a_global_message_is_searched_like_any_within() {
    for encoding in ["8bit", "quoted-printable"] {
        let message = format!(
            "Content-Type: message/global\nContent-Transfer-Encoding: {encoding}\n\n\
            Subject: inn=\nerword\n\ntext w=C3=B6rd\n"
        );
        let decoded = encoding != "8bit";
        assert_eq!(
            search(message.as_bytes(), "innerword", Scope::Text),
            decoded
        );
        assert_eq!(search(message.as_bytes(), "wörd", Scope::Body), decoded);
        assert!(search(message.as_bytes(), "text w", Scope::Body));
    }
    let plain = "Content-Type: message/global\n\nSubject: wörd\n\ntext\n";
    assert!(search(plain.as_bytes(), "wörd", Scope::Text));
    assert!(!search(plain.as_bytes(), "wörd", Scope::Body));
}

#[test]
fn a_charset_counts_in_every_form() {
    for charset in [
        "charset=iso-8859-1",
        "charset*=us-ascii'en'iso-8859-1",
        "charset*0=iso-; charset*1=8859-1",
    ] {
        let mut message = format!("Content-Type: text/plain; {charset}\n\ncaf").into_bytes();
        message.push(0xe9);
        assert!(search(&message, "café", Scope::Body), "{charset}");
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
