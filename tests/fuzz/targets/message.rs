//! Messages, however broken.

use super::{cuttings, legal};
use roost::imap::fetch::FetchLine;
use roost::message::address::{address_text, parse_addresses};
use roost::message::body_structure::write_body_structure;
use roost::message::charset;
use roost::message::content::Content;
use roost::message::crlf::{CrlfCounter, Span, ToCrlf, ToLf};
use roost::message::date::parse_date;
use roost::message::encoded_word;
use roost::message::envelope::write_envelope;
use roost::message::header::{FieldFilter, HeaderEnd, fields, unfold};
use roost::message::mime::{Part, PartKind, Scanner, Structure};
use roost::message::search::{Needle, Scope, Searcher};
use roost::message::transfer::{Encoding, TransferDecoder};
use std::rc::Rc;

/// The tree of parts. It does not depend on the cuts, lies within the message, and makes legal
/// responses.
pub fn mime(input: &[u8]) {
    let mut structures = cuttings(input)
        .into_iter()
        .map(|pieces| scan(&pieces))
        .collect::<Vec<_>>();
    let structure = structures.swap_remove(0);
    for other in &structures {
        assert_eq!(other, &structure);
    }
    let whole = structure.whole();
    assert_eq!((whole.start, whole.end), (0, input.len() as u64));
    within(&structure.root, whole, input);
    if input.len() > LARGE {
        return;
    }
    let mut line = Vec::new();
    let mut response = FetchLine::begin(&mut line, 1);
    for extended in [false, true] {
        let mut text = Vec::new();
        write_body_structure(&structure, extended, &mut text);
        response.body_structure(&mut line, extended, &text);
    }
    let mut text = Vec::new();
    structure.write_envelope(&mut text);
    response.envelope(&mut line, &text);
    response.end(&mut line);
    legal(&line);
}

fn scan(pieces: &[&[u8]]) -> Structure {
    let mut scanner = Scanner::new();
    for piece in pieces {
        scanner.push(piece);
    }
    scanner.finish()
}

/// Every part lies in the one around it and behind the one before it, and its sizes are true.
fn within(part: &Part, outer: Span, input: &[u8]) {
    assert!(outer.start <= part.header.start && part.header.end <= part.body.start);
    assert!(part.body.start <= part.body.end && part.body.end <= outer.end);
    measured(part.header, input);
    measured(part.body, input);
    match &part.kind {
        PartKind::Multipart(parts) => {
            assert!(!parts.is_empty());
            let mut rest = part.body;
            for inner in parts {
                within(inner, rest, input);
                rest.start = inner.body.end;
            }
        }
        PartKind::Message(message) => within(message, part.body, input),
        PartKind::Text | PartKind::Other | PartKind::Opaque => {}
    }
}

fn measured(span: Span, input: &[u8]) {
    let text = &input[span.start as usize..span.end as usize];
    let lines = text.iter().filter(|&&byte| byte == b'\n').count() as u64;
    assert_eq!(span.lines, lines);
    let mut wire = Vec::new();
    ToCrlf::new(0, u64::MAX).push(text, usize::MAX, &mut wire);
    // A LF that begins a span may have its CR before it.
    let shared = u64::from(text.starts_with(b"\n"));
    assert!((span.crlf_size()..=span.crlf_size() + shared).contains(&(wire.len() as u64)));
}

/// A block of header fields, and the value of one.
pub fn header(input: &[u8]) {
    if input.len() <= LARGE {
        let mut line = Vec::new();
        let mut response = FetchLine::begin(&mut line, 1);
        let mut text = Vec::new();
        write_envelope(input, &mut text);
        response.envelope(&mut line, &text);
        response.end(&mut line);
        legal(&line);
    }
    let pieces: Vec<&[u8]> = fields(input).map(|field| field.raw).collect();
    assert!(pieces.concat().len() <= input.len());
    for field in fields(input) {
        value(field.value);
    }
    value(input);
    Content::read(input, false);
    for not in [false, true] {
        let mut selections = cuttings(input).into_iter().map(|pieces| {
            let mut out = Vec::new();
            let mut filter = FieldFilter::new(&["subject", "x", ""], not);
            pieces.iter().for_each(|piece| filter.push(piece, &mut out));
            filter.finish(&mut out);
            out
        });
        let whole = selections.next();
        assert!(selections.all(|other| Some(other) == whole));
    }
    let mut ends = cuttings(input).into_iter().map(|pieces| {
        let mut end = HeaderEnd::default();
        let mut before = 0;
        for piece in pieces {
            if let Some(at) = end.push(piece) {
                return Some(before + at);
            }
            before += piece.len();
        }
        None
    });
    let whole = ends.next();
    assert!(ends.all(|other| Some(other) == whole));
}

fn value(value: &[u8]) {
    unfold(value);
    encoded_word::decode(value);
    // Those of a group that is not closed in time come with its end.
    assert!(parse_addresses(value, 100).len() <= 101);
    address_text(value);
    parse_date(value);
}

/// SEARCH TEXT and BODY for the first line in the message after it.
pub fn text(input: &[u8]) {
    let end = input.iter().position(|&byte| byte == b'\n');
    let (line, message) = input.split_at(end.unwrap_or(input.len()));
    let Ok(line) = std::str::from_utf8(line) else {
        return;
    };
    let message = message.get(1..).unwrap_or_default();
    let needle = Rc::new(Needle::new(line));
    let keys = [Scope::Body, Scope::Text].map(|scope| (Rc::clone(&needle), scope));
    let found = same_for_all_cuts(message, |pieces| {
        let mut searcher = Searcher::new(&keys);
        for piece in pieces {
            if !searcher.push(piece) {
                break;
            }
        }
        searcher.finish()
    });
    assert!(found[1] || !found[0], "what is in a body is in the text");
    assert!(needle.is_in(line));
    // What charset a text is in depends on all of it, and SEARCH TEXT looks at the name with it.
    for field in fields(message).filter(|field| field.name.is_ascii()) {
        let in_field = needle.is_in_field(field.value);
        needle.is_in_addresses(field.value);
        assert!(found[1] || !in_field);
    }
}

/// Content transfer encodings, charsets and line ends, all cut anywhere.
pub fn transfer(input: &[u8]) {
    use Encoding::{Base64, Identity, QuotedPrintable, Unknown};
    for encoding in [Identity, Base64, QuotedPrintable, Unknown] {
        for crlf in [false, true] {
            same_for_all_cuts(input, |pieces| {
                let mut decoder = TransferDecoder::new(encoding, crlf);
                let mut out = Vec::new();
                pieces
                    .iter()
                    .for_each(|piece| decoder.push(piece, &mut out));
                decoder.finish(&mut out);
                out
            });
        }
    }
    for label in [
        "utf-8",
        "iso-2022-jp",
        "gb18030",
        "utf-16le",
        "koi8-r",
        "none",
    ] {
        same_for_all_cuts(input, |pieces| {
            let mut decoder = charset::CharsetDecoder::new(label.as_bytes());
            let mut out = String::new();
            pieces
                .iter()
                .for_each(|piece| decoder.push(piece, &mut out));
            decoder.finish(&mut out);
            out
        });
    }
    charset::guess(input);
    charset::decode(input, b"abc");
    let wire = same_for_all_cuts(input, |pieces| {
        let mut convert = ToCrlf::binary();
        let mut out = Vec::new();
        for piece in pieces {
            assert_eq!(convert.push(piece, usize::MAX, &mut out), piece.len());
        }
        out
    });
    let lf = same_for_all_cuts(input, |pieces| {
        let mut convert = ToLf::default();
        let mut out = Vec::new();
        pieces
            .iter()
            .for_each(|piece| convert.push(piece, &mut out));
        convert.finish(&mut out);
        out
    });
    let size = same_for_all_cuts(input, |pieces| {
        let mut counter = CrlfCounter::default();
        pieces.iter().for_each(|piece| counter.push(piece));
        counter.span().crlf_size()
    });
    assert_eq!(size, wire.len() as u64);
    // What is kept of a message sent is sent again.
    let mut again = Vec::new();
    ToCrlf::binary().push(&lf, usize::MAX, &mut again);
    assert_eq!(again, wire);
}

fn same_for_all_cuts<T: PartialEq + std::fmt::Debug>(
    input: &[u8],
    run: impl Fn(&[&[u8]]) -> T,
) -> T {
    let mut results: Vec<T> = cuttings(input).iter().map(|pieces| run(pieces)).collect();
    let whole = results.swap_remove(0);
    for other in &results {
        assert_eq!(other, &whole);
    }
    whole
}

/// The checker is made for tests, not for speed.
const LARGE: usize = 20_000;
