use super::*;
use proptest::prelude::*;

/// What a framer makes of the input when it comes in pieces of `piece` octets; literals are kept if
/// they are at most 100 octets together, else the command is discarded.
fn frames(input: &[u8], piece: usize) -> Vec<String> {
    let mut framer = Framer::new();
    let mut seen = Vec::new();
    for bytes in input.chunks(piece) {
        framer.handle_input(bytes);
        while let Some(frame) = framer.poll_frame() {
            match frame {
                Frame::Command => {
                    seen.push(String::from_utf8_lossy(framer.text()).into_owned());
                    framer.finish();
                }
                Frame::Literal(literal) if framer.may_keep(literal, 100) => framer.keep_literal(),
                Frame::Literal(_) => {
                    seen.push("<big>".to_owned());
                    framer.discard();
                }
                Frame::TooLong => {
                    seen.push("<long>".to_owned());
                    framer.discard();
                }
            }
        }
    }
    if !matches!(framer.mode, Mode::Line) || framer.scanned > framer.start {
        seen.push("<more>".to_owned());
    }
    seen
}

#[test]
fn lines_end_with_lf_or_crlf_and_literals_belong_to_them() {
    for (input, expected) in [
        ("a\r\nb\nc\r\n", &["a", "b", "c"][..]),
        ("", &[]),
        ("\r\n\n", &["", ""]),
        ("a", &["<more>"]),
        ("a b\rc\r\r\n", &["a b\rc\r"]),
        ("a {3}\r\nx\ny z\r\nb\r\n", &["a {3}\r\nx\ny z", "b"]),
        ("a ({3+}\nxyz)\nb\n", &["a ({3+}\nxyz)", "b"]),
        (
            "a ~{3-}\r\nxyz {0}\r\n\r\nb\n",
            &["a ~{3-}\r\nxyz {0}\r\n", "b"],
        ),
        ("a {4}\r\n {5}\r\nb\r\n", &["a {4}\r\n {5}", "b"]),
        ("a {9}\r\nxyz", &["<more>"]),
        ("a {9}\r\n", &["<more>"]),
        ("a{3}\r\nb\r\n", &["a{3}", "b"]),
        ("a \"{3}\"\r\nb\r\n", &["a \"{3}\"", "b"]),
        (
            "a {x}\r\nb {3}x\r\nc {}\r\n {3 }\r\n",
            &["a {x}", "b {3}x", "c {}", " {3 }"],
        ),
        (
            "a {99999999999999999999}\r\nb\r\n",
            &["a {99999999999999999999}", "b"],
        ),
        ("{3}\r\nb\r\n", &["{3}", "b"]),
        (
            "a {00000000000000000000000003+}\r\nb\r\n",
            &["a {00000000000000000000000003+}", "b"],
        ),
    ] {
        for piece in [1, 2, 3, 100] {
            assert_eq!(
                frames(input.as_bytes(), piece),
                expected,
                "{input:?} by {piece}"
            );
        }
    }
}

#[test]
fn a_discarded_command_takes_its_literals_along() {
    let big = "x".repeat(101);
    for (input, expected) in [
        // A client that waits sends no literal.
        ("a {101}\r\nb\r\n".to_owned(), &["<big>", "b"][..]),
        (format!("a {{101+}}\r\n{big}\r\nb\r\n"), &["<big>", "b"]),
        (
            format!("a {{101+}}\r\n{big} {{3+}}\r\nx\ny z\r\nb\r\n"),
            &["<big>", "b"],
        ),
        (
            format!("a {{101+}}\r\n{big} {{3}}\r\nb\r\n"),
            &["<big>", "b"],
        ),
        (
            format!(
                "a {{60+}}\r\n{} {{60+}}\r\n{}\r\nb\r\n",
                &big[..60],
                &big[..60]
            ),
            &["<big>", "b"],
        ),
        (
            "a {9223372036854775807+}\r\nb\r\nc\r\n".to_owned(),
            &["<big>", "<more>"],
        ),
    ] {
        for piece in [1, 7, 1000] {
            assert_eq!(
                frames(input.as_bytes(), piece),
                expected,
                "{input:?} by {piece}"
            );
        }
    }
}

#[test]
fn an_over_long_line_is_skipped_to_its_end() {
    for end in [
        "\r\n",
        "\n",
        " {3+}\r\nx\ny\r\n",
        " {3+}\nx\ny{\r\n",
        " {3}\r\n",
    ] {
        for length in [LINE_MAX - 2, LINE_MAX, LINE_MAX + 100, 5 * LINE_MAX] {
            let input = format!("{}{end}b\r\n", "x".repeat(length));
            let seen = frames(input.as_bytes(), 4096);
            assert_eq!(seen, frames(input.as_bytes(), 1_000_000));
            match &seen[..] {
                [long, b] => {
                    assert_eq!(b, "b");
                    let fits = length + 2 <= LINE_MAX && end.len() <= 2;
                    assert_eq!(long == "<long>", !fits, "{length} {end:?}");
                }
                _ => assert!(
                    end == " {3}\r\n" && length < LINE_MAX,
                    "{length} {end:?} {seen:?}"
                ),
            }
        }
    }
}

#[test]
fn literals_do_not_count_towards_the_line() {
    let input = format!(
        "a {{100}}\r\n{} {}\r\n",
        "y".repeat(100),
        "x".repeat(LINE_MAX - 20)
    );
    assert_eq!(frames(input.as_bytes(), 4096).len(), 1);
    assert_ne!(frames(input.as_bytes(), 4096), ["<long>"]);
}

#[test]
fn a_sequence_set_may_make_a_line_longer() {
    let set = vec!["4294967295"; 10_000].join(",");
    let command = format!("a UID FETCH {set} (FLAGS)");
    assert_eq!(
        frames(format!("{command}\r\nb\r\n").as_bytes(), 4096),
        [command.as_str(), "b"]
    );
    let endless = "1,".repeat(SET_LINE_MAX);
    assert_eq!(
        frames(format!("a UID FETCH {endless}\r\nb\r\n").as_bytes(), 4096),
        ["<long>", "b"]
    );
}

#[test]
fn a_streamed_literal_is_handed_on_and_not_kept() {
    let mut framer = Framer::new();
    framer.handle_input(b"a APPEND x {5}\r\n");
    assert!(matches!(
        framer.poll_frame(),
        Some(Frame::Literal(Literal { size: 5, .. }))
    ));
    framer.stream_literal();
    assert!(framer.stream().is_empty() && !framer.end_stream());
    framer.handle_input(b"one");
    assert_eq!(framer.stream(), b"one");
    framer.consume_stream(2);
    framer.handle_input(b"tw (x)\r\n");
    assert_eq!(framer.stream(), b"etw");
    framer.consume_stream(100);
    assert!(framer.end_stream());
    assert_eq!(framer.poll_frame(), Some(Frame::Command));
    assert_eq!(framer.text(), b" (x)");
}

#[test]
fn memory_is_given_back_and_bounded() {
    let mut framer = Framer::new();
    framer.handle_input(&[b'x'; 10_000]);
    framer.handle_input(b"\r\n");
    assert_eq!(framer.poll_frame(), Some(Frame::Command));
    framer.finish();
    assert_eq!(framer.buffer.capacity(), 0);
    assert!(framer.wants_input());
    framer.handle_input(&[b'\n'; UNREAD_MAX]);
    assert!(!framer.wants_input());
    // A message of 64 MB in pieces of 16 KiB.
    let mut framer = Framer::new();
    framer.handle_input(b"a APPEND x {67108864+}\r\n");
    framer.poll_frame();
    framer.stream_literal();
    for _ in 0..4096 {
        framer.handle_input(&[b'x'; 16 * 1024]);
        framer.consume_stream(framer.stream().len());
        assert!(framer.buffer.capacity() <= 64 * 1024);
    }
    assert!(framer.end_stream());
    // And the same unwanted.
    let mut framer = Framer::new();
    framer.handle_input(b"a FOO {67108864+}\r\n");
    framer.poll_frame();
    framer.discard();
    for _ in 0..4096 {
        framer.handle_input(&[b'x'; 16 * 1024]);
        assert_eq!(framer.poll_frame(), None);
        assert!(framer.buffer.capacity() <= 64 * 1024);
    }
}

proptest! {
    #[test]
    fn cutting_the_input_changes_nothing(input in "([a ]|\\{[0-9]{1,3}[+-]?\\}\r?\n|\r|\n|~|\\(){0,60}", piece in 1usize..9) {
        prop_assert_eq!(frames(input.as_bytes(), piece), frames(input.as_bytes(), usize::MAX));
    }
}

#[test]
fn what_was_dealt_with_before_login_is_wiped() {
    let mut framer = Framer::wiping();
    framer.handle_input(b"a LOGIN bob sec");
    assert_eq!(framer.poll_frame(), None);
    // The first buffer is too small for this.
    framer.handle_input(b"ret\r\nb NOOP\r\n");
    assert_eq!(framer.poll_frame(), Some(Frame::Command));
    assert_eq!(framer.text(), b"a LOGIN bob secret");
    framer.finish();
    let (wiped, alive) = framer.buffer.split_at(framer.start);
    assert!(wiped.len() == 20 && wiped.iter().all(|&octet| octet == 0));
    assert_eq!(alive, b"b NOOP\r\n");
    assert_eq!(framer.poll_frame(), Some(Frame::Command));
    assert_eq!(framer.text(), b"b NOOP");
    framer.finish();
    framer.handle_input(b"c");
    assert_eq!(framer.buffer, b"c");
}

#[test]
fn what_was_not_looked_at_can_be_taken_out() {
    let mut framer = Framer::new();
    framer.handle_input(b"a LOGIN bob secret\r\nb NOOP\r\nc NO");
    framer.poll_frame();
    framer.finish();
    assert_eq!(framer.take_unread(), b"b NOOP\r\nc NO");
    assert_eq!(framer.poll_frame(), None);
    framer.handle_input(b"d NOOP\r\n");
    assert_eq!(framer.poll_frame(), Some(Frame::Command));
    assert_eq!(framer.text(), b"d NOOP");
}
