//! BINARY[] and BINARY.SIZE[]: RFC 3516.

use crate::support::*;

/// A multipart message with every transfer encoding.
fn encoded() -> Vec<u8> {
    b"MIME-Version: 1.0\nContent-Type: multipart/mixed; boundary=b\n\n\
      --b\nContent-Transfer-Encoding: base64\n\naGVsbG8gd29ybGQ=\n\
      --b\nContent-Transfer-Encoding: quoted-printable\n\ncaf=C3=A9 =\nau lait=20\n\
      --b\nContent-Transfer-Encoding: 8bit\n\nplain\n\
      --b\nContent-Transfer-Encoding: BASE64\n\naGVs\nbG8=\n\n\
      --b--\n"
        .to_vec()
}

#[test]
fn every_encoding_is_undone() {
    let mail = Mail::new();
    mail.inbox().store(&encoded(), "");
    let mut a = mail.select();
    for (part, text) in [
        (1, "hello world"),
        (2, "café au lait "),
        (3, "plain"),
        (4, "hello"),
    ] {
        let reply = a.ok(&format!(
            "FETCH 1 (BINARY.PEEK[{part}] BINARY.SIZE[{part}])"
        ));
        let got = reply.bytes(1, &format!("BINARY[{part}]"));
        assert_eq!(String::from_utf8_lossy(&got).trim_end_matches("\r\n"), text);
        let size = reply.item(1, &format!("BINARY.SIZE[{part}]")).number();
        assert_eq!(size, Some(got.len() as u64));
    }
}

#[test]
fn an_unknown_encoding_is_said_to_be_unknown() {
    let mail = Mail::new();
    mail.inbox()
        .store(b"Content-Transfer-Encoding: x-unknown\n\nwhat\n", "");
    let mut a = mail.select();
    a.no("FETCH 1 BINARY.PEEK[1]").code("UNKNOWN-CTE");
    a.ok("FETCH 1 BODY.PEEK[1]")
        .untagged(["1 FETCH (BODY[1] \"what\r\n\")"]);
}

#[test]
fn a_piece_of_decoded_text_is_counted_after_decoding() {
    let mail = Mail::new();
    mail.inbox().store(&encoded(), "");
    let mut a = mail.select();
    a.ok("FETCH 1 BINARY.PEEK[1]<6.3>")
        .untagged([r#"1 FETCH (BINARY[1]<6> "wor")"#]);
    a.ok("FETCH 1 BINARY.PEEK[1]<100.3>")
        .untagged([r#"1 FETCH (BINARY[1]<100> "")"#]);
}

#[test]
fn reading_binary_sets_seen_and_peeking_does_not() {
    let mail = Mail::new();
    mail.inbox().store(&encoded(), "");
    let mut a = mail.select();
    a.ok("FETCH 1 (BINARY.PEEK[1] BINARY.SIZE[1])");
    a.ok("FETCH 1 FLAGS").untagged(["1 FETCH (FLAGS ())"]);
    a.ok("FETCH 1 BINARY[1]")
        .untagged([r"1 FETCH (BINARY[1] ? FLAGS (\Seen))"]);
}

#[test]
fn binary_data_with_nul_is_a_literal8() {
    let mail = Mail::with(["three.eml"]);
    let mut a = mail.select();
    let reply = a.ok("FETCH 1 BINARY.PEEK[2]");
    assert_eq!(reply.bytes(1, "BINARY[2]"), (0..10).collect::<Vec<u8>>());
    assert!(
        reply.untagged[0].raw.windows(5).any(|w| w == b"~{10}"),
        "{reply}"
    );
}

#[test]
fn nuls_are_stored_whichever_literal_brings_them() {
    let mail = Mail::new();
    let mut a = mail.select();
    let text = b"Subject: p\r\n\r\n\0a\0";
    for announcement in ["{17+}", "~{17+}"] {
        let command = format!("APPEND INBOX {announcement}\r\n");
        let tag = a.start_bytes(&[command.as_bytes(), text].concat());
        a.finish(&tag).tagged("OK");
    }
    let reply = a.ok("FETCH 1:2 (RFC822.SIZE BINARY.SIZE[] BINARY.PEEK[] BODY.PEEK[])");
    for n in [1, 2] {
        assert_eq!(reply.item(n, "RFC822.SIZE").number(), Some(17));
        assert_eq!(reply.item(n, "BINARY.SIZE[]").number(), Some(17));
        assert_eq!(reply.bytes(n, "BINARY[]"), text);
        assert_eq!(reply.bytes(n, "BODY[]").len(), 17);
    }
    // Several messages, with and without.
    let tag = a.start_bytes(b"APPEND INBOX ~{3+}\r\n\0\0\0 (\\Seen) {2+}\r\nab ~{1+}\r\n\0");
    a.finish(&tag).tagged("OK [APPENDUID ? 3:5]");
    assert_eq!(a.ok("FETCH 5 BINARY.PEEK[]").bytes(5, "BINARY[]"), b"\0");
}

#[test]
fn nothing_decoded_is_two_quotes_whatever_the_part_holds() {
    let mail = Mail::new();
    mail.inbox()
        .store(b"Content-Transfer-Encoding: base64\n\nAAAA\n", "");
    mail.inbox()
        .store(b"Content-Transfer-Encoding: base64\n\n\n", "");
    let mut a = mail.select();
    // There are NULs in the part, but none in what is asked for.
    let past = a.ok("FETCH 1 BINARY.PEEK[1]<3.1>");
    assert_eq!(past.untagged[0].raw, b"* 1 FETCH (BINARY[1]<3> \"\")\r\n");
    let empty = a.ok("FETCH 2 BINARY.PEEK[1]");
    assert_eq!(empty.untagged[0].raw, b"* 2 FETCH (BINARY[1] \"\")\r\n");
}
