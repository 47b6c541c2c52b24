use super::*;
use crate::message::body_structure::{
    tells_global, write_body_structure, write_body_structure_rev2,
};
use crate::message::crlf::CrlfCounter;
use crate::message::{NESTING_MAX, PARTS_MAX};
use proptest::prelude::*;

fn scan(chunks: &[&[u8]]) -> Structure {
    let mut scanner = Scanner::new();
    chunks.iter().for_each(|chunk| scanner.push(chunk));
    scanner.finish()
}

fn structure(text: &[u8]) -> String {
    let mut out = Vec::new();
    write_body_structure(&scan(&[text]), false, &mut out);
    String::from_utf8(out).unwrap()
}

fn cut(text: &[u8], span: Span) -> String {
    let piece = &text[span.start as usize..span.end as usize];
    String::from_utf8(piece.to_vec()).unwrap()
}

/// What BODY[numbers] and BODY[numbers.MIME] show, in the file's line ends.
fn section(text: &str, numbers: &[u32]) -> Option<(String, String)> {
    let structure = scan(&[text.as_bytes()]);
    let found = structure.find(numbers)?;
    Some((
        cut(text.as_bytes(), found.text),
        cut(text.as_bytes(), found.mime),
    ))
}

fn both(body: &str, mime: &str) -> Option<(String, String)> {
    Some((body.to_owned(), mime.to_owned()))
}

const MIXED: &str = "Content-Type: multipart/mixed; boundary=x\n\n\
    before\n--x\nA: 1\n\none\ntwo\n--x\nContent-Type: message/rfc822\n\n\
    Subject: s\nContent-Type: multipart/alternative; boundary=xy\n\n\
    --xy\n\nthree\n--xy \n\nfour\n\n--xy--\n--x--\nafter\n";

#[test]
fn sections_are_found_by_their_numbers() {
    assert_eq!(section(MIXED, &[1]), both("one\ntwo", "A: 1\n\n"));
    let (message, mime) = section(MIXED, &[2]).unwrap();
    assert!(message.starts_with("Subject: s\n") && message.ends_with("--xy--"));
    assert_eq!(mime, "Content-Type: message/rfc822\n\n");
    assert_eq!(section(MIXED, &[2, 1]), both("three", "\n"));
    assert_eq!(section(MIXED, &[2, 2]), both("four\n", "\n"));
    for none in [&[0][..], &[3], &[1, 1], &[2, 3], &[2, 1, 1], &[]] {
        assert_eq!(section(MIXED, none), None, "{none:?}");
    }
}

#[test]
fn header_and_text_of_a_message_within_are_found() {
    let structure = scan(&[MIXED.as_bytes()]);
    let message = structure.find(&[2]).unwrap().message().unwrap();
    assert!(cut(MIXED.as_bytes(), message.header).starts_with("Subject: s\n"));
    assert!(cut(MIXED.as_bytes(), message.body).starts_with("--xy\n"));
    assert!(structure.find(&[1]).unwrap().message().is_none());
}

#[test]
fn a_message_without_parts_is_its_own_part_1() {
    assert_eq!(section("A: 1\n\nbody\n", &[1]), both("body\n", "A: 1\n\n"));
    assert_eq!(section("A: 1\n\nbody\n", &[1, 1]), None);
    let forwarded = "Content-Type: message/rfc822\n\nB: 2\n\nbody\n";
    assert_eq!(section(forwarded, &[1]).unwrap().0, "B: 2\n\nbody\n");
    assert_eq!(section(forwarded, &[1, 1]), both("body\n", "B: 2\n\n"));
}

#[test]
fn sizes_are_those_on_the_wire() {
    let parts = |text: &str| -> Vec<u64> {
        let root = scan(&[text.as_bytes()]).root;
        let PartKind::Multipart(parts) = root.kind else {
            panic!()
        };
        parts.iter().map(|part| part.body.crlf_size()).collect()
    };
    assert_eq!(parts(MIXED)[0], 8);
    assert_eq!(parts(&MIXED.replace('\n', "\r\n")), parts(MIXED));
}

#[test]
fn a_boundary_line_may_go_on_and_the_longest_boundary_wins() {
    let text = "Content-Type: multipart/mixed; boundary=x\n\n--x trailing\n\
        Content-Type: multipart/mixed; boundary=\"x--y\"\n\n\
        --x--y\n\none\n--x--yz\n\ntwo\n--x--y--\n--x--y\nafter\n--xz\n\nlast\n--x--z\nend";
    assert_eq!(section(text, &[1, 1]), both("one", "\n"));
    assert_eq!(section(text, &[1, 2]), both("two", "\n"));
    assert_eq!(section(text, &[1, 3]), None);
    let whole = section(text, &[1]).unwrap().0;
    assert!(whole.ends_with("--x--y--\n--x--y\nafter"), "{whole}");
    assert_eq!(section(text, &[2]), both("last", "\n"));
    assert_eq!(section(text, &[3]), None);
}

#[test]
fn a_boundary_may_be_empty_or_end_in_white_space() {
    for boundary in ["\"\"", "", "\"  \"", "*=us-ascii''"] {
        let text = format!(
            "Content-Type: multipart/mixed; boundary={boundary}\n\n\
            pre\n--\n\none\n--x\n\ntwo\n- -\n----\n--\nend\n"
        );
        let text = text.replace("=*=", "*=");
        assert_eq!(section(&text, &[1]), both("one", "\n"), "{boundary}");
        assert_eq!(section(&text, &[2]), both("two\n- -", "\n"), "{boundary}");
        assert_eq!(section(&text, &[3]), None, "{boundary}");
    }
    let nested = "Content-Type: multipart/mixed; boundary=x\n\n--x\n\
        Content-Type: multipart/mixed; boundary=\"\"\n\n--\n\none\n--\n\ntwo\n----\n--\n--x\n\nlast\n--x--";
    assert_eq!(section(nested, &[1, 1]), both("one", "\n"));
    assert_eq!(section(nested, &[1, 2]), both("two", "\n"));
    assert_eq!(section(nested, &[2]), both("last", "\n"));
    for (boundary, line) in [
        ("\"x y  \"", "x y"),
        ("\"x y\"", "x y \t"),
        ("\" x\"", " x"),
    ] {
        let text = format!(
            "Content-Type: multipart/mixed; boundary={boundary}\n\n--{line}\n\none\n--{line}--\n"
        );
        assert_eq!(section(&text, &[1]), both("one", "\n"), "{boundary}");
    }
}

#[test]
fn a_boundary_is_understood_in_every_form() {
    for boundary in [
        "boundary=\"=_a b\"",
        "boundary*=us-ascii''%3D_a%20b",
        "boundary*=us-ascii'en'%3d_a%20b",
        "boundary*0*=us-ascii''%3D_;\n boundary*1*=a%20b",
        "boundary*1=\" b\";\n boundary*0*=us-ascii''%3D_a",
        "boundary*0=\"=_a\"; BOUNDARY*1*=%20b",
        "x=y; Boundary*2*=b; boundary*1*=%20; boundary*0=\"=_a\"; z=y",
    ] {
        let text =
            format!("Content-Type: multipart/mixed; {boundary}\n\n--=_a b\n\none\n--=_a b--\n");
        assert_eq!(section(&text, &[1]), both("one", "\n"), "{boundary}");
    }
}

#[test]
fn a_global_message_is_a_message_that_may_be_encoded() {
    let text = "Content-Type: multipart/mixed; boundary=x\n\n--x\nContent-Type: message/global\n\n\
        Subject: \u{fc}\nContent-Type: text/html\n\nb\n--x\nContent-Type: MESSAGE/GLOBAL\n\
        Content-Transfer-Encoding: base64\n\nU3ViamVjdDogcwoKYgo=\n--x--\n";
    assert_eq!(
        section(text, &[1, 1]),
        both("b", "Subject: \u{fc}\nContent-Type: text/html\n\n")
    );
    assert!(
        scan(&[text.as_bytes()])
            .find(&[1])
            .unwrap()
            .message()
            .is_some()
    );
    assert_eq!(section(text, &[2, 1]), None);
    let encoded = scan(&[text.as_bytes()]);
    assert_eq!(encoded.find(&[2]).unwrap().encoding(), Encoding::Base64);
    assert_eq!(
        structure(text.as_bytes()),
        "((\"message\" \"global\" NIL NIL NIL \"7bit\" 41)\
        (\"MESSAGE\" \"GLOBAL\" NIL NIL NIL \"base64\" 20) \"mixed\")"
    );
    let mut rev2 = Vec::new();
    write_body_structure_rev2(&encoded, false, &mut rev2);
    assert_eq!(
        String::from_utf8(rev2.clone()).unwrap(),
        "((\"message\" \"global\" NIL NIL NIL \"7bit\" 41 \
        (NIL {2}\r\n\u{fc} NIL NIL NIL NIL NIL NIL NIL NIL) \
        (\"text\" \"html\" (\"charset\" \"us-ascii\") NIL NIL \"7bit\" 1 0) 3)\
        (\"MESSAGE\" \"GLOBAL\" NIL NIL NIL \"base64\" 20 \
        (NIL NIL NIL NIL NIL NIL NIL NIL NIL NIL) \
        (\"text\" \"plain\" (\"charset\" \"us-ascii\") NIL NIL \"7bit\" 0 0) 0) \"mixed\")"
    );
    assert!(tells_global(&rev2) && tells_global(structure(text.as_bytes()).as_bytes()));
    assert!(!tells_global(b"(\"text\" \"plain\" NIL)"));
}

#[test]
fn an_inner_part_may_use_its_parents_boundary() {
    let text = "Content-Type: multipart/mixed; boundary=x\n\n--x\n\
        Content-Type: multipart/mixed; boundary=x\n\n--x\n\none\n--x--\n--x\n\ntwo\n--x--";
    assert_eq!(section(text, &[1, 1]), both("one", "\n"));
    assert_eq!(section(text, &[2]), both("two", "\n"));
}

#[test]
fn a_boundary_in_a_header_ends_the_part() {
    let text =
        "Content-Type: multipart/mixed; boundary=x\n\n--x\nA: 1\n--x\n\n--x\n--x\nB: 2\n\nb\n--x\n";
    assert_eq!(section(text, &[1]), both("", "A: 1"));
    assert_eq!(section(text, &[2]), both("", ""));
    assert_eq!(section(text, &[3]), both("", ""));
    assert_eq!(section(text, &[4]), both("b", "B: 2\n\n"));
    assert_eq!(section(text, &[5]), both("", ""));
}

#[test]
fn a_multipart_without_parts_is_shown_as_text() {
    let text = "Content-Type: multipart/mixed; boundary=x\n\nno\nboundary\n";
    assert_eq!(section(text, &[1]), both("no\nboundary\n", ""));
    let expected = r#"(("text" "plain" ("charset" "us-ascii") NIL NIL "7bit" 14 2) "mixed")"#;
    assert_eq!(structure(text.as_bytes()), expected);
    assert_eq!(
        structure(text.replace("; boundary=x", "").as_bytes()),
        expected
    );
}

#[test]
fn parts_of_a_digest_are_messages() {
    let text = "Content-Type: multipart/digest; boundary=x\n\n--x\n\nSubject: s\n\nb\n\
        --x\nContent-Type: text/plain\n\nc\n--x--\n";
    assert_eq!(
        structure(text.as_bytes()),
        "((\"message\" \"rfc822\" NIL NIL NIL \"7bit\" 15 (NIL \"s\" NIL NIL NIL NIL NIL NIL NIL NIL) \
        (\"text\" \"plain\" (\"charset\" \"us-ascii\") NIL NIL \"7bit\" 1 0) 2)\
        (\"text\" \"plain\" (\"charset\" \"us-ascii\") NIL NIL \"7bit\" 1 0) \"digest\")"
    );
}

#[test]
fn parts_beyond_the_nesting_limit_are_opaque() {
    for header in [
        "Content-Type: message/rfc822\n\n",
        "Content-Type: multipart/mixed; boundary=b\n\n--b\n",
    ] {
        let text = structure(header.repeat(100_000).as_bytes());
        assert!(text.contains(r#""application" "octet-stream""#));
        let mut depth = (0, 0);
        for octet in text.bytes() {
            depth.0 += i32::from(octet == b'(') - i32::from(octet == b')');
            depth.1 = depth.1.max(depth.0);
        }
        assert!(depth.1 as usize <= NESTING_MAX + 1, "{depth:?}");
    }
}

#[test]
fn parts_beyond_the_limit_stay_in_the_last() {
    let text = format!(
        "Content-Type: multipart/mixed; boundary=x\n\n{}",
        "--x\n".repeat(50_000)
    );
    let PartKind::Multipart(parts) = scan(&[text.as_bytes()]).root.kind else {
        panic!()
    };
    assert_eq!(parts.len(), PARTS_MAX - 1);
    assert_eq!(parts.last().unwrap().header.end, text.len() as u64);
}

#[test]
fn unterminated_multiparts_in_each_other_stay_linear() {
    // Counted in octets held: what is quadratic elsewhere is the copying of open parts.
    let header = "--b\nContent-Type: multipart/mixed; boundary=b\n\n";
    let text = format!(
        "Content-Type: multipart/mixed; boundary=b\n\n{}",
        header.repeat(100_000)
    );
    let root = scan(&[text.as_bytes()]).root;
    assert_eq!(root.body.end, text.len() as u64);
}

/// Mail made of the pieces that matter to the scanner, in any order.
fn mail() -> impl Strategy<Value = Vec<u8>> {
    let piece = prop_oneof![
        Just("Content-Type: multipart/mixed; boundary=x\n\n"),
        Just("Content-Type: multipart/digest;\n boundary=\"xy\"\n\n"),
        Just("Content-Type: message/rfc822\n\n"),
        Just("Content-Type: text/html\nSubject: s\n\n"),
        Just("--x\n"),
        Just("--xy\n"),
        Just("--x--\n"),
        Just("--xy--\r\n"),
        Just("--x"),
        Just("-"),
        Just("\n"),
        Just("\r\n"),
        Just("\r"),
        Just("text\n"),
        Just(" folded\n"),
        Just("text\r\n--x \r\n"),
    ];
    proptest::collection::vec(piece, 0..24).prop_map(|pieces| pieces.concat().into_bytes())
}

fn check_part(text: &[u8], part: &Part) {
    for span in [part.header, part.body] {
        let mut counter = CrlfCounter::default();
        counter.push(&text[span.start as usize..span.end as usize]);
        let counted = counter.span();
        assert_eq!(
            (span.lines, span.bare_lines),
            (counted.lines, counted.bare_lines)
        );
    }
    assert_eq!(part.header.end, part.body.start);
    let inner = match &part.kind {
        PartKind::Multipart(parts) => parts.as_slice(),
        PartKind::Message(message) => std::slice::from_ref(&**message),
        _ => &[],
    };
    let mut start = part.body.start;
    for child in inner {
        assert!(start <= child.header.start && child.body.end <= part.body.end);
        start = child.body.end;
        check_part(text, child);
    }
}

proptest! {
    #[test]
    fn cuts_do_not_matter_and_parts_lie_in_each_other(
        text in mail(), cuts in proptest::collection::vec(0usize..200, 0..5),
    ) {
        let whole = scan(&[&text]);
        check_part(&text, &whole.root);
        prop_assert_eq!(whole.whole().size(), text.len() as u64);
        let mut scanner = Scanner::new();
        let mut rest = &text[..];
        for cut in cuts {
            let (piece, after) = rest.split_at(cut.min(rest.len()));
            scanner.push(piece);
            rest = after;
        }
        scanner.push(rest);
        prop_assert_eq!(&scanner.finish(), &whole);
        let mut scanner = Scanner::new();
        text.iter().for_each(|octet| scanner.push(&[*octet]));
        prop_assert_eq!(&scanner.finish(), &whole);
    }

    #[test]
    fn no_octets_make_it_panic(text: Vec<u8>) {
        let mut text = text;
        text.extend_from_slice(MIXED.as_bytes());
        structure(&text);
    }
}
