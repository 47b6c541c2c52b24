//! Literals: exactly as many octets as were announced, and the right ones.

use std::time::SystemTime;

use proptest::prelude::*;

use super::*;
use crate::maildir::disk::dir::scratch::Scratch;
use crate::maildir::folder::{Folder, Look, Step};
use crate::maildir::{Maildir, Settings};
use crate::message::transfer::Encoding;

/// A message with this text, opened.
pub fn text_of(bytes: &[u8]) -> Text {
    opened(&Scratch::new(), bytes)
}

fn opened(scratch: &Scratch, bytes: &[u8]) -> Text {
    for name in ["cur", "new", "tmp"] {
        std::fs::create_dir(scratch.path().join(name)).unwrap();
    }
    scratch.write(MESSAGE, bytes);
    let maildir = Maildir::new(scratch.path().to_owned(), Settings::default());
    let now = SystemTime::now();
    let mut folder = Folder::open(&maildir, scratch.path(), now).unwrap();
    while folder.sync(Look::default(), now, &|| false).unwrap() != Step::Done {}
    let mut opening = folder.open_message(0, now).unwrap();
    Text::new(opening.go_on(&|| false).unwrap().unwrap())
}

/// What the client gets, if its buffer has `room` octets at a time.
fn sent(mut body: Body, text: &mut Text, room: usize) -> Vec<u8> {
    let mut sent = Vec::new();
    loop {
        let mut out = Buffer::new();
        let filling = out.room().saturating_sub(room);
        out.writer().resize(filling, b'x');
        let complete = body.write(Some(text), &mut out, &|| false);
        sent.extend_from_slice(&out.pending()[filling..]);
        if complete {
            return sent;
        }
    }
}

fn whole(text: &mut Text) -> Span {
    text.whole(&|| false).unwrap().unwrap()
}

#[test]
fn a_file_that_became_shorter_is_made_up_for_with_spaces() {
    let scratch = Scratch::new();
    let mut text = opened(&scratch, b"0123456789\n");
    let span = whole(&mut text);
    scratch.write(MESSAGE, b"01234");
    text.release();
    let body = Body::of_file(&text, span, 0, span.crlf_size());
    assert_eq!(sent(body, &mut text, 4), b"01234       ");
    let body = Body::decoded(span, TransferDecoder::new(Encoding::Base64, true), 0, 6);
    assert_eq!(sent(body, &mut text, 100).len(), 6);
}

#[test]
fn no_octet_is_written_past_the_time_slice() {
    let mut text = text_of(&b"line\n".repeat(100));
    let span = whole(&mut text);
    let mut body = Body::of_file(&text, span, 0, span.crlf_size());
    let mut out = Buffer::new();
    assert!(!body.write(Some(&mut text), &mut out, &|| true));
    assert!(out.is_empty());
}

#[test]
fn a_decoded_part_is_cut_where_the_client_asked() {
    let mut text = text_of(b"aGVsbG8s\nIHdvcmxk\n");
    let span = whole(&mut text);
    let decoder = || TransferDecoder::new(Encoding::Base64, true);
    let body = Body::decoded(span, decoder(), 0, 12);
    assert_eq!(sent(body, &mut text, 5), b"hello, world");
    let body = Body::decoded(span, decoder(), 7, 3);
    assert_eq!(sent(body, &mut text, 1), b"wor");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]
    #[test]
    fn parts_fetched_one_after_the_other_make_up_the_text(
        lines in prop::collection::vec("[a-c]{0,4}\r?\n", 0..30),
        size in 1u64..20,
        room in 1usize..30,
        backwards: bool,
    ) {
        let file = lines.concat();
        let wire = file.replace("\r\n", "\n").replace('\n', "\r\n");
        let mut text = text_of(file.as_bytes());
        let span = whole(&mut text);
        prop_assert_eq!(span.crlf_size(), wire.len() as u64);
        let mut starts: Vec<u64> = (0..span.crlf_size()).step_by(size as usize).collect();
        if backwards {
            starts.reverse();
        }
        for first in starts {
            let length = size.min(span.crlf_size() - first);
            let body = Body::of_file(&text, span, first, length);
            let expected = &wire.as_bytes()[first as usize..][..length as usize];
            prop_assert_eq!(sent(body, &mut text, room), expected);
        }
    }
}

const MESSAGE: &str = "cur/1000000000.host:2,";
