//! FETCH and UID FETCH: RFC 3501 6.4.5, 7.4.2.

use std::fs;
use std::os::unix::fs::PermissionsExt;

use crate::support::*;

#[test]
fn the_size_is_that_of_what_is_sent() {
    let mail = Mail::with(["one.eml", "two.eml", "three.eml", "four.eml"]);
    let mut a = mail.select();
    let reply = a.ok("FETCH 1:* (RFC822.SIZE BODY.PEEK[])");
    for n in 1..=4 {
        let size = reply.item(n, "RFC822.SIZE").number();
        assert_eq!(size, Some(reply.bytes(n, "BODY[]").len() as u64));
    }
}

#[test]
fn header_and_text_make_the_whole() {
    let mail = Mail::with(["three.eml"]);
    let mut a = mail.select();
    let reply = a.ok("FETCH 1 (BODY.PEEK[] BODY.PEEK[HEADER] BODY.PEEK[TEXT] RFC822.HEADER)");
    let whole = [reply.bytes(1, "BODY[HEADER]"), reply.bytes(1, "BODY[TEXT]")].concat();
    assert_eq!(whole, reply.bytes(1, "BODY[]"));
    assert_eq!(
        reply.bytes(1, "RFC822.HEADER"),
        reply.bytes(1, "BODY[HEADER]")
    );
}

#[test]
fn a_file_with_crlf_is_served_as_it_is() {
    let mail = Mail::new();
    mail.inbox().store(&crlf(&text("two.eml")), "");
    mail.inbox().store(b"Subject: mixed\r\n\na\r\nb\nc\n", "");
    let mut a = mail.select();
    let reply = a.ok("FETCH 1:2 (RFC822.SIZE BODY.PEEK[])");
    assert_eq!(reply.bytes(1, "BODY[]"), crlf(&text("two.eml")));
    assert_eq!(
        reply.bytes(2, "BODY[]"),
        b"Subject: mixed\r\n\r\na\r\nb\r\nc\r\n"
    );
    assert_eq!(reply.item(2, "RFC822.SIZE").number(), Some(27));
}

#[test]
fn every_partial_fetch_is_a_piece_of_the_whole() {
    let mail = Mail::with(["two.eml"]);
    let mut a = mail.select();
    let whole = a.ok("FETCH 1 BODY.PEEK[]").bytes(1, "BODY[]");
    for length in [1, 7, 64] {
        for start in (0..whole.len()).step_by(13) {
            let reply = a.ok(&format!("FETCH 1 BODY.PEEK[]<{start}.{length}>"));
            let end = whole.len().min(start + length);
            let piece = reply.bytes(1, &format!("BODY[]<{start}>"));
            assert_eq!(piece, &whole[start..end], "from {start}, {length} bytes");
        }
    }
}

#[test]
fn reading_a_body_sets_seen_once_and_tells_it_with_the_body() {
    let mail = Mail::with(["one.eml", "two.eml"]);
    let mut a = mail.select();
    a.ok("FETCH 1 BODY[TEXT]")
        .untagged([r#"1 FETCH (BODY[TEXT] ? FLAGS (\Seen))"#]);
    a.ok("FETCH 1 BODY[TEXT]")
        .untagged(["1 FETCH (BODY[TEXT] ?)"]);
    a.ok("FETCH 2 (BODY.PEEK[] RFC822.HEADER ENVELOPE BODYSTRUCTURE)");
    a.ok("FETCH 2 FLAGS").untagged(["2 FETCH (FLAGS ())"]);
    assert_eq!(mail.inbox().flags(&mail.inbox().bases()[0]), "S");
}

#[test]
fn the_same_section_asked_in_two_ways_is_answered_as_asked() {
    let mail = Mail::with(["four.eml"]);
    let mut a = mail.select();
    let reply =
        a.ok("FETCH 1 (BODY.PEEK[HEADER.FIELDS (subject)] BODY.PEEK[HEADER.FIELDS (X-Colour)])");
    assert_eq!(
        reply.bytes(1, "BODY[HEADER.FIELDS (SUBJECT)]"),
        b"Subject: four\r\n\r\n"
    );
    assert_eq!(
        reply.bytes(1, "BODY[HEADER.FIELDS (X-COLOUR)]"),
        b"X-Colour: blue\r\nX-Colour: green\r\n\r\n"
    );
    let none = a.ok("FETCH 1 BODY.PEEK[HEADER.FIELDS (X-None)]");
    assert_eq!(none.bytes(1, "BODY[HEADER.FIELDS (X-NONE)]"), b"\r\n");
}

#[test]
fn header_fields_may_be_strings() {
    let mail = Mail::with(["one.eml"]);
    let mut a = mail.select();
    let reply = a.ok("FETCH 1 BODY.PEEK[HEADER.FIELDS (\"Subject\" {2+}\r\nTo)]");
    let bodies = reply.untagged[0].tokens[2].list().expect("items")[1]
        .bytes()
        .map(<[u8]>::to_vec);
    assert_eq!(
        bodies.as_deref(),
        Some(&b"To: Bob <bob@example.net>\r\nSubject: one\r\n\r\n"[..])
    );
}

#[test]
fn folded_header_fields_are_sent_folded() {
    let mail = Mail::new();
    mail.inbox()
        .store(b"Subject: one\n two\n\tthree\nTo: x@y\n\nbody\n", "");
    let mut a = mail.select();
    let reply = a.ok("FETCH 1 (BODY.PEEK[HEADER.FIELDS (SUBJECT)] ENVELOPE)");
    assert_eq!(
        reply.bytes(1, "BODY[HEADER.FIELDS (SUBJECT)]"),
        b"Subject: one\r\n two\r\n\tthree\r\n\r\n"
    );
    let envelope = reply.item(1, "ENVELOPE").list().expect("a list");
    // Whether the tab survives unfolding is open.
    let subject =
        String::from_utf8_lossy(envelope[1].bytes().expect("a string")).replace('\t', " ");
    assert_eq!(subject, "one two three");
}

#[test]
fn a_group_address_and_a_sender_are_told_as_the_rfc_says() {
    let mail = Mail::with(["three.eml"]);
    let mut a = mail.select();
    a.ok("FETCH 1 ENVELOPE").untagged([concat!(
        r#"1 FETCH (ENVELOPE ("Thu, 16 Nov 2023 12:30:00 -0500" "three" "#,
        r#"((NIL NIL "dora" "example.net")) ((NIL NIL "list-owner" "example.net")) "#,
        r#"((NIL NIL "list" "example.net")) "#,
        r#"((NIL NIL "friends" NIL)(NIL NIL "ann" "example.org")(NIL NIL "bob" "example.net")(NIL NIL NIL NIL)) "#,
        r#"NIL NIL NIL "<three@example.net>"))"#
    )]);
}

#[test]
fn a_message_without_any_header_has_an_envelope() {
    let mail = Mail::new();
    mail.inbox().store(b"\njust a body\n", "");
    mail.inbox().store(b"", "");
    let mut a = mail.select();
    let reply = a.ok("FETCH 1:2 (ENVELOPE BODYSTRUCTURE RFC822.SIZE BODY.PEEK[TEXT])");
    assert_eq!(reply.bytes(1, "BODY[TEXT]"), b"just a body\r\n");
    for n in 1..=2 {
        assert_eq!(
            reply.item(n, "ENVELOPE").list().map(<[Token]>::len),
            Some(10)
        );
    }
}

#[test]
fn broken_messages_are_answered_in_legal_grammar() {
    let broken: [&[u8]; 9] = [
        b"Content-Type: multipart/mixed\n\nno boundary\n",
        b"Content-Type: multipart/mixed; boundary=x\n\nno part at all\n",
        b"Content-Type: multipart/mixed; boundary=x\n\n--x\n",
        b"Content-Type: multipart/mixed; boundary=x\n\n--x\nContent-Type: multipart/mixed; boundary=x\n\n--x--\n",
        b"Content-Type: message/rfc822\nContent-Transfer-Encoding: base64\n\nU3ViamVjdDogeAoKeQo=\n",
        b"Content-Type: ;;;\nSubject\nFrom: <<<>>>@@\nTo: a b c, \"\nDate: yesterday\n\nx\n",
        b"Content-Type: text/plain; charset=\"\\\"\"; x\nContent-Disposition: \"\nSubject: \x00\x01\x80\n\nx\n",
        b"From nobody Mon Jan 1 00:00:00 2020\nSubject: an mbox line\n\nx\n",
        b"Subject: no end of header",
    ];
    let mail = Mail::new();
    for message in broken {
        mail.inbox().store(message, "");
    }
    let mut a = mail.select();
    // The client checks the grammar of each; here it counts that each was answered.
    let reply = a.ok("FETCH 1:* (UID ENVELOPE BODY BODYSTRUCTURE BODY.PEEK[1] BODY.PEEK[1.MIME] BODY.PEEK[HEADER])");
    assert_eq!(reply.untagged.len(), broken.len());
}

#[test]
fn a_thousand_parts_and_a_hundred_levels_are_described() {
    let many = format!(
        "Content-Type: multipart/mixed; boundary=b\n\n{}--b--\n",
        "--b\nContent-Type: text/plain\n\nx\n".repeat(1000)
    );
    let mut deep = String::new();
    for level in 0..60 {
        deep += &format!("Content-Type: multipart/mixed; boundary=b{level}\n\n--b{level}\n");
    }
    deep += "Content-Type: text/plain\n\nx\n";
    let mail = Mail::new();
    mail.inbox().store(many.as_bytes(), "");
    mail.inbox().store(deep.as_bytes(), "");
    let mut a = mail.select();
    let reply = a.ok("FETCH 1:2 BODYSTRUCTURE");
    assert!(reply.item(1, "BODYSTRUCTURE").list().expect("a list").len() > 1000);
    a.ok("FETCH 1 BODY.PEEK[1000]")
        .untagged([r#"1 FETCH (BODY[1000] "x")"#]);
}

#[test]
fn nul_bytes_and_8_bit_text_come_in_a_legal_literal() {
    let mail = Mail::new();
    mail.inbox().store(b"Subject: x\n\na\0b\xff\xfe\n", "");
    let mut a = mail.select();
    let reply = a.ok("FETCH 1 (RFC822.SIZE BODY.PEEK[TEXT])");
    assert_eq!(reply.bytes(1, "BODY[TEXT]").len(), 7);
}

#[test]
fn an_unreadable_message_costs_only_itself() {
    let mail = Mail::with(["one.eml", "two.eml", "three.eml"]);
    let path = mail
        .inbox()
        .find(&mail.inbox().bases()[1])
        .expect("the file");
    fs::set_permissions(&path, fs::Permissions::from_mode(0o000)).expect("unreadable");
    let mut a = mail.select();
    let reply = a.command("FETCH 1:3 (UID BODY.PEEK[TEXT])");
    assert_ne!(reply.tagged.word(), "BAD", "{reply}");
    assert!(reply.find_item(1, "BODY[TEXT]").is_some(), "{reply}");
    assert!(reply.find_item(3, "BODY[TEXT]").is_some(), "{reply}");
    a.ok("FETCH 1:3 (UID FLAGS)")
        .contains("2 FETCH (UID 2 FLAGS ())");
}

#[test]
fn a_wrong_size_in_the_name_is_not_believed_over_the_file() {
    let mail = Mail::new();
    mail.inbox().store_as(
        &text("one.eml"),
        "1700000001.M1P1.host,S=5,W=7:2,",
        1_700_000_001,
    );
    mail.inbox().store_as(
        &text("four.eml"),
        "1700000002.M2P1.host,S=99999,W=99999:2,",
        1_700_000_002,
    );
    let mut a = mail.select();
    for (n, name) in [(1, "one.eml"), (2, "four.eml")] {
        let reply = a.command(&format!("FETCH {n} BODY.PEEK[]"));
        assert_eq!(reply.tagged.word(), "OK", "{reply}");
        assert_eq!(reply.bytes(n, "BODY[]"), crlf(&text(name)));
        // Once it has been read, the truth is known.
        let size = a.ok(&format!("FETCH {n} RFC822.SIZE"));
        assert_eq!(
            size.item(n, "RFC822.SIZE").number(),
            Some(crlf(&text(name)).len() as u64)
        );
    }
}

#[test]
fn numbers_past_the_end_are_bad_and_uids_past_the_end_are_nothing() {
    let mail = Mail::with(["one.eml", "two.eml"]);
    let mut a = mail.select();
    a.bad("FETCH 3 FLAGS");
    a.ok("UID FETCH 3 FLAGS").untagged([]);
    a.ok("UID FETCH 3:* UID").untagged(["2 FETCH (UID 2)"]);
    a.ok("FETCH *:1 UID")
        .untagged(["1 FETCH (UID 1)", "2 FETCH (UID 2)"]);
    a.ok("FETCH 2,1,2 UID")
        .untagged(["1 FETCH (UID 1)", "2 FETCH (UID 2)"]);
}

#[test]
fn an_empty_mailbox_has_nothing_to_fetch() {
    let mail = Mail::new();
    let mut a = mail.select();
    a.ok("UID FETCH 1:* FLAGS").untagged([]);
    a.command("FETCH 1:* FLAGS").untagged([]);
    a.ok("SEARCH ALL").untagged(["SEARCH"]);
}

#[test]
fn sections_of_a_message_within_a_message() {
    let mail = Mail::with(["three.eml"]);
    let mut a = mail.select();
    let reply =
        a.ok("FETCH 1 (BODY.PEEK[3] BODY.PEEK[3.HEADER] BODY.PEEK[3.TEXT] BODY.PEEK[3.MIME])");
    let inside = [
        reply.bytes(1, "BODY[3.HEADER]"),
        reply.bytes(1, "BODY[3.TEXT]"),
    ]
    .concat();
    assert_eq!(inside, reply.bytes(1, "BODY[3]"));
    assert_eq!(
        reply.bytes(1, "BODY[3.MIME]"),
        b"Content-Type: message/rfc822\r\n\r\n"
    );
    assert!(inside.starts_with(b"From: Eve"));
}

#[test]
fn part_1_of_a_plain_message_is_its_text() {
    let mail = Mail::with(["one.eml"]);
    let mut a = mail.select();
    a.ok("FETCH 1 BODY.PEEK[1]")
        .untagged(["1 FETCH (BODY[1] \"First.\r\n\")"]);
    let mime = a.ok("FETCH 1 (BODY.PEEK[1.MIME] BODY.PEEK[2])");
    assert!(mime.bytes(1, "BODY[1.MIME]").ends_with(b"\r\n\r\n"));
}

#[test]
fn flags_are_told_with_a_uid_in_answers_to_uid_commands() {
    let mail = Mail::with(["one.eml"]);
    let mut a = mail.select();
    a.ok("UID FETCH 1 FLAGS")
        .untagged(["1 FETCH (UID 1 FLAGS ())"]);
    a.ok("UID FETCH 1 (FLAGS UID)")
        .untagged(["1 FETCH (UID 1 FLAGS ())"]);
    a.ok(r"UID STORE 1 +FLAGS (\Seen)")
        .untagged([r"1 FETCH (UID 1 FLAGS (\Seen))"]);
}

#[test]
fn an_item_asked_for_twice_is_answered_once() {
    let mail = Mail::with(["one.eml"]);
    let mut a = mail.select();
    // The client refuses a response that has an item twice.
    a.ok("FETCH 1 (FLAGS FLAGS UID UID)")
        .untagged(["1 FETCH (FLAGS () UID 1)"]);
}

#[test]
fn internaldate_is_the_time_of_the_file() {
    let mail = Mail::new();
    mail.inbox().store_as(&text("one.eml"), "1.M1P1.host:2,", 0);
    mail.inbox()
        .store_as(&text("one.eml"), "2.M1P1.host:2,", 4_102_444_799);
    let mut a = mail.select();
    a.ok("FETCH 1:2 INTERNALDATE").untagged([
        r#"1 FETCH (INTERNALDATE "01-Jan-1970 00:00:00 +0000")"#,
        r#"2 FETCH (INTERNALDATE "31-Dec-2099 23:59:59 +0000")"#,
    ]);
}

#[test]
fn an_empty_string_is_two_quotes_and_never_a_literal_of_nothing() {
    let mail = Mail::new();
    mail.inbox().store(b"", "");
    mail.inbox().store(b"Subject:\nTo: \"\" <>\n\n", "");
    mail.inbox().store(
        b"Content-Type: multipart/mixed; boundary=x; y=\"\"\nContent-ID:\n\n--x\nContent-Type: message/rfc822\n\n--x\n\n--x--\n",
        "",
    );
    let mut a = mail.select();
    let reply = a.ok(
        "FETCH 1:* (BODY.PEEK[] BODY.PEEK[HEADER] BODY.PEEK[TEXT] BODY.PEEK[1] BODY.PEEK[1.MIME] BODY.PEEK[2] \
        BODY.PEEK[1.HEADER] BODY.PEEK[1.TEXT] BODY.PEEK[1.1] BODY.PEEK[HEADER.FIELDS.NOT (Subject To)] \
        BODY.PEEK[HEADER.FIELDS (X)] BODY.PEEK[]<0.0> BODY.PEEK[]<9999.5> BODY.PEEK[1]<0.393216> \
        RFC822 RFC822.HEADER RFC822.TEXT BINARY.PEEK[] BINARY.PEEK[1] BINARY.PEEK[1]<5.5> ENVELOPE BODY BODYSTRUCTURE)",
    );
    for response in &reply.untagged {
        let raw = String::from_utf8_lossy(&response.raw);
        assert!(!raw.contains("{0}"), "{raw}");
        assert!(raw.contains("BODY[]<9999> \"\" "), "{raw}");
        assert!(raw.contains("BODY[1]<0> \"\" "), "{raw}");
        assert!(raw.contains("BINARY[1]<5> \"\" "), "{raw}");
    }
    let raw = String::from_utf8_lossy(&reply.untagged[0].raw).into_owned();
    for item in [
        "BODY[]",
        "BODY[TEXT]",
        "BODY[1]",
        "RFC822",
        "RFC822.TEXT",
        "BINARY[]",
        "BINARY[1]",
    ] {
        assert!(raw.contains(&format!("{item} \"\"")), "{item}: {raw}");
    }
}
