//! APPEND and MULTIAPPEND: RFC 3501 6.3.11, RFC 3502, RFC 4315, RFC 7888, RFC 7889.

use crate::support::*;

#[test]
fn a_message_comes_back_byte_for_byte() {
    let mail = Mail::new();
    let mut a = mail.select();
    let sent = crlf(&text("three.eml"));
    a.append("INBOX", &sent).code("APPENDUID ? 1");
    let reply = a.ok("FETCH 1 (RFC822.SIZE BODY.PEEK[])");
    assert_eq!(reply.bytes(1, "BODY[]"), sent);
    assert_eq!(
        reply.item(1, "RFC822.SIZE").number(),
        Some(sent.len() as u64)
    );
}

#[test]
fn the_file_has_lf_and_its_name_both_sizes() {
    let mail = Mail::new();
    let mut a = mail.connect();
    a.append(r"INBOX (\Seen)", &text("two.eml"));
    let names = mail.inbox().names("cur");
    let (on_disk, on_wire) = (text("two.eml").len(), crlf(&text("two.eml")).len());
    assert!(names[0].contains(&format!(",S={on_disk}")), "{names:?}");
    assert!(names[0].contains(&format!(",W={on_wire}")), "{names:?}");
    assert!(names[0].ends_with(":2,S"), "{names:?}");
    let path = mail.inbox().path().join("cur").join(&names[0]);
    assert_eq!(std::fs::read(path).expect("the file"), text("two.eml"));
    assert!(mail.inbox().leftovers().is_empty());
}

#[test]
fn a_date_that_the_file_system_cannot_keep_is_told_as_it_was_kept() {
    for day in ["01-Jan-0000", "31-Dec-9999", "15-Jun-2000"] {
        let mail = Mail::new();
        let mut a = mail.connect();
        a.append(
            &format!("INBOX \"{day} 00:00:00 +0000\""),
            b"Subject: x\r\n\r\nx\r\n",
        );
        a.ok("SELECT INBOX");
        let told = format!("{}", a.ok("FETCH 1 INTERNALDATE").untagged[0]);
        a.ok("LOGOUT");
        // Only the time of the file is left to say it.
        for name in [
            "roost.index",
            "dovecot.index",
            "dovecot.index.log",
            "dovecot.index.cache",
        ] {
            let _ = std::fs::remove_file(mail.root().join(name));
        }
        let again = mail.select().ok("FETCH 1 INTERNALDATE").untagged[0].to_string();
        assert_eq!(told, again, "{day}");
    }
}

#[test]
fn the_date_given_is_the_internal_date_and_the_time_of_the_file() {
    let mail = Mail::new();
    let mut a = mail.connect();
    a.append(
        r#"INBOX (\Seen) "01-Apr-2001 12:34:56 +0200""#,
        &text("one.eml"),
    );
    a.ok("SELECT INBOX");
    a.ok("FETCH 1 INTERNALDATE")
        .untagged([r#"1 FETCH (INTERNALDATE "01-Apr-2001 10:34:56 +0000")"#]);
    let name = &mail.inbox().names("cur")[0];
    let path = mail.inbox().path().join("cur").join(name);
    let modified = std::fs::metadata(path)
        .and_then(|facts| facts.modified())
        .expect("its time");
    let since = modified
        .duration_since(std::time::SystemTime::UNIX_EPOCH)
        .expect("after 1970");
    assert_eq!(since.as_secs(), 986_121_296);
}

#[test]
fn a_date_that_cannot_be_read_is_bad() {
    let mail = Mail::new();
    let mut a = mail.connect();
    for date in [
        "01-Foo-2020 00:00:00 +0000",
        "01-Jan-2020",
        "01-Jan-20 00:00:00 +0000",
        "01-Jan-2020 0:00:00 +0000",
    ] {
        a.bad(&format!("APPEND INBOX \"{date}\" {{5}}\r\n"));
    }
    a.ok("STATUS INBOX (MESSAGES)")
        .untagged(["STATUS INBOX (MESSAGES 0)"]);
}

#[test]
fn a_strange_date_costs_no_message() {
    let mail = Mail::new();
    let mut a = mail.connect();
    let dates = [
        (
            "\" 2-Jan-2020 10:00:00 +0000\"",
            "\"02-Jan-2020 10:00:00 +0000\"",
        ),
        (
            "\"2-jan-2020 10:00:00 +0000\"",
            "\"02-Jan-2020 10:00:00 +0000\"",
        ),
        (
            "\"02-Jan-2020 10:00:00 GMT\"",
            "\"02-Jan-2020 10:00:00 +0000\"",
        ),
        (
            "\"02-Jan-2020 10:00:00 +0100 (CET)\"",
            "\"02-Jan-2020 09:00:00 +0000\"",
        ),
        (
            "\"02-Jan-2020 10:00:00 \"",
            "\"02-Jan-2020 10:00:00 +0000\"",
        ),
    ];
    for (date, _) in dates {
        a.append(&format!("INBOX {date}"), &text("one.eml"));
    }
    // No such day or time: now.
    for date in ["32-Jan-2020 00:00:00 +0000", "01-Jan-2020 24:00:00 +0000"] {
        a.append(&format!("INBOX \"{date}\""), &text("one.eml"));
    }
    a.ok("SELECT INBOX");
    let reply = a.ok("FETCH 1:* INTERNALDATE");
    for (number, (written, expected)) in (1..).zip(dates) {
        let told = format!("{number} FETCH (INTERNALDATE {expected})");
        assert!(reply.has(&told), "{written}: {reply}");
    }
    assert_eq!(a.ok("SEARCH SINCE 1-Jan-2025").found(), [6, 7]);
}

#[test]
fn octets_are_kept_as_they_came() {
    let mail = Mail::new();
    let mut a = mail.select();
    let texts: [&[u8]; 9] = [
        b"Subject: c\r\n\r\na\r\r\nb\r\n",
        b"a\r\r\r\r\n\r\r\n",
        b"a\rb\r\n\r",
        b"a\r\n",
        b"a",
        b"a\r",
        b"\r\r\n",
        b"a\r\n\r\r\n\r\n\r\r\n",
        b"A: \xff\x80\x01\x7f\r\n\r\n\t \r\n.\r\n",
    ];
    for text in texts {
        let command = format!("APPEND INBOX {{{}+}}\r\n", text.len());
        let tag = a.start_bytes(&[command.as_bytes(), text].concat());
        a.finish(&tag).tagged("OK");
    }
    let reply = a.ok("FETCH 1:* (RFC822.SIZE BODY.PEEK[])");
    for (number, text) in (1..).zip(texts) {
        assert_eq!(reply.bytes(number, "BODY[]"), text, "{text:?}");
        let size = reply.item(number, "RFC822.SIZE").number();
        assert_eq!(size, Some(text.len() as u64), "{text:?}");
    }
    // Line ends are LF in the file wherever that does not lose any.
    let inbox = mail.inbox();
    let file = |base: &String| std::fs::read(inbox.find(base).expect("a file")).expect("a text");
    let files: Vec<Vec<u8>> = inbox.bases().iter().map(file).collect();
    assert!(
        files.iter().any(|text| text == b"Subject: c\n\na\r\r\nb\n"),
        "{files:?}"
    );
    // A piece is counted in the octets that came.
    let piece = a.ok("FETCH 1 BODY.PEEK[]<14.4>").bytes(1, "BODY[]<14>");
    assert_eq!(piece, &texts[0][14..18]);
}

#[test]
fn a_keyword_that_finds_no_letter_costs_no_message() {
    let mail = Mail::new();
    let mut a = full_of_keywords(&mail, "Full");
    // All letters are some message's.
    a.append(r"Full (\Seen new)", &text("one.eml"));
    a.ok("SELECT Full");
    let reply = a.ok("FETCH 27 FLAGS");
    let flags = reply.to_string();
    assert!(
        flags.contains("\\Seen") && !flags.contains("new"),
        "{flags}"
    );
    // The letter of a keyword that no message has any more goes to a new one.
    a.ok("STORE 3 FLAGS ()");
    a.append("Full (new)", &text("one.eml"));
    a.ok("FETCH 28 FLAGS")
        .contains("28 FETCH (FLAGS (new ...))");
    assert!(
        mail.folder("Full")
            .control("dovecot-keywords")
            .contains("\n2 new\n")
    );
    // Those of one APPEND do not take each other's.
    a.ok("STORE 4:5 FLAGS ()");
    let tag = a.start_bytes(b"APPEND Full (x) {1+}\r\na (y) {1+}\r\nb (x y z) {1+}\r\nc");
    a.finish(&tag).tagged("OK [APPENDUID ? 29:31]");
    let reply = a.ok("FETCH 29:31 FLAGS");
    reply
        .contains("29 FETCH (FLAGS (x ...))")
        .contains("30 FETCH (FLAGS (y ...))");
    let flags = reply.to_string();
    assert!(!flags.contains(" z") && !flags.contains("(z"), "{flags}");
}

#[test]
fn keywords_are_stored_as_letters_and_named_in_dovecot_keywords() {
    let mail = Mail::new();
    let mut a = mail.connect();
    a.append(r"INBOX (\Flagged $Forwarded Junk)", &text("one.eml"));
    let name = &mail.inbox().names("cur")[0];
    assert!(name.ends_with(":2,Fab"), "{name}");
    assert_eq!(
        mail.inbox().control("dovecot-keywords"),
        "0 $Forwarded\n1 Junk\n"
    );
    a.ok("SELECT INBOX");
    a.ok("FETCH 1 FLAGS")
        .untagged([r"1 FETCH (FLAGS (\Flagged $Forwarded Junk))"]);
}

#[test]
fn recent_is_not_to_be_given() {
    let mail = Mail::new();
    let mut a = mail.connect();
    a.bad("APPEND INBOX (\\Recent) {7+}\r\nA: b\r\n\n");
    a.ok("STATUS INBOX (MESSAGES)")
        .untagged(["STATUS INBOX (MESSAGES 0)"]);
}

#[test]
fn the_selected_mailbox_tells_the_arrival_before_the_answer() {
    let mail = Mail::with(["one.eml"]);
    let mut a = mail.select();
    a.append("INBOX", &text("two.eml")).untagged(["2 EXISTS"]);
    a.ok("CREATE Other");
    a.append("Other", &text("two.eml")).untagged([]);
}

#[test]
fn trycreate_is_said_before_the_literal_is_sent() {
    let mail = Mail::new();
    let mut a = mail.connect();
    // The client waits for + and gets the answer instead.
    a.no("APPEND nowhere {1000}").code("TRYCREATE");
    a.ok("NOOP");
}

#[test]
fn a_nonsynchronising_literal_of_a_refused_append_is_swallowed() {
    let mail = Mail::new();
    let mut a = mail.connect();
    a.no("APPEND nowhere {18+}\r\nb1 LOGOUT\r\nb2 NOOP")
        .code("TRYCREATE");
    a.no("APPEND nowhere (\\Seen) {18+}\r\nb1 LOGOUT\r\nb2 NOOP {4+}\r\nA: b")
        .code("TRYCREATE");
    a.ok("NOOP").untagged([]);
}

#[test]
fn an_append_with_a_wrong_argument_is_bad_and_its_literal_swallowed() {
    let mail = Mail::new();
    let mut a = mail.connect();
    a.bad("APPEND INBOX (\\Seen {18+}\r\nb1 LOGOUT\r\nb2 NOOP)");
    a.bad("APPEND INBOX nonsense {18+}\r\nb1 LOGOUT\r\nb2 NOOP");
    a.bad("APPEND {5+}\r\nINBOX");
    a.ok("NOOP").untagged([]);
}

#[test]
fn an_empty_message_is_refused() {
    let mail = Mail::new();
    let mut a = mail.connect();
    a.no("APPEND INBOX {0+}\r\n");
    a.ok("STATUS INBOX (MESSAGES)")
        .untagged(["STATUS INBOX (MESSAGES 0)"]);
    assert!(mail.inbox().leftovers().is_empty());
}

#[test]
fn what_is_not_quite_a_message_is_kept_as_it_is() {
    let odd: [&[u8]; 5] = [
        b"no header at all",
        b"Subject: no end of line",
        b"\r\nan empty header\r\n",
        b"Subject: lone CR\r\n\r\na\rb\r\n",
        b"Subject: 8 bits \xe9\xff\r\n\r\n\x80\x81\r\n",
    ];
    let mail = Mail::new();
    let mut a = mail.select();
    for (at, message) in odd.into_iter().enumerate() {
        let command = [
            format!("APPEND INBOX {{{}}}\r\n", message.len()).as_bytes(),
            message,
        ]
        .concat();
        let tag = a.start_bytes(&command);
        assert_eq!(a.finish(&tag).tagged.word(), "OK");
        let n = u32::try_from(at + 1).expect("small");
        let reply = a.ok(&format!("FETCH {n} (RFC822.SIZE BODY.PEEK[])"));
        assert_eq!(reply.bytes(n, "BODY[]"), message);
        assert_eq!(
            reply.item(n, "RFC822.SIZE").number(),
            Some(message.len() as u64)
        );
    }
}

#[test]
fn a_message_with_bare_lf_comes_back_with_crlf() {
    let mail = Mail::new();
    let mut a = mail.select();
    a.ok("APPEND INBOX {22+}\r\nSubject: bare\n\nline\n.\n");
    let reply = a.ok("FETCH 1 (RFC822.SIZE BODY.PEEK[])");
    let got = reply.bytes(1, "BODY[]");
    assert_eq!(got, b"Subject: bare\r\n\r\nline\r\n.\r\n");
    assert_eq!(
        reply.item(1, "RFC822.SIZE").number(),
        Some(got.len() as u64)
    );
}

#[test]
fn several_messages_in_one_append_are_all_stored_or_none() {
    let mail = Mail::new();
    let mut a = mail.connect();
    let three = "APPEND INBOX (\\Seen) {5+}\r\nA: 1\n {5+}\r\nA: 2\n (\\Draft) {5+}\r\nA: 3\n";
    a.ok(three).code("APPENDUID ? 1:3");
    // The third has a date that is none.
    a.bad("APPEND INBOX {5+}\r\nA: 1\n {5+}\r\nA: 2\n \"nonsense\" {5+}\r\nA: 3\n");
    a.ok("STATUS INBOX (MESSAGES)")
        .untagged(["STATUS INBOX (MESSAGES 3)"]);
    assert!(mail.inbox().leftovers().is_empty());
    a.ok("SELECT INBOX");
    a.ok("FETCH 1:3 FLAGS").untagged([
        r"1 FETCH (FLAGS (\Seen))",
        r"2 FETCH (FLAGS ())",
        r"3 FETCH (FLAGS (\Draft))",
    ]);
}

#[test]
fn a_client_that_leaves_in_the_middle_of_a_message_leaves_nothing_behind() {
    let mail = Mail::new();
    let mut a = mail.connect();
    let tag = a.next_tag();
    a.send_raw(format!("{tag} APPEND INBOX {{1000}}\r\n").as_bytes());
    assert!(a.wait_for_continuation(&tag));
    a.send_raw(b"Subject: half a message\r\n\r\n");
    a.finish_writing();
    a.read_to_end();
    drop(a);
    assert!(
        mail.inbox().leftovers().is_empty(),
        "{:?}",
        mail.inbox().leftovers()
    );
    mail.connect()
        .ok("STATUS INBOX (MESSAGES)")
        .untagged(["STATUS INBOX (MESSAGES 0)"]);
}

#[test]
fn a_message_is_seen_by_other_programs_only_when_it_is_complete() {
    let mail = Mail::new();
    let mut a = mail.connect();
    let tag = a.next_tag();
    a.send_raw(format!("{tag} APPEND INBOX {{158}}\r\n").as_bytes());
    assert!(a.wait_for_continuation(&tag));
    a.send_raw(b"Subject: ");
    a.send_raw(&b"x".repeat(100));
    assert!(mail.inbox().names("cur").is_empty() && mail.inbox().names("new").is_empty());
    a.send_raw(&b"y".repeat(47));
    a.send_raw(b"\r\n\r\n");
    assert_eq!(a.finish(&tag).tagged.word(), "OK");
    assert_eq!(
        mail.inbox().names("cur").len() + mail.inbox().names("new").len(),
        1
    );
}

#[test]
fn the_limit_is_for_each_message() {
    roost_only!("it has no APPENDLIMIT");
    let mail = Mail::new();
    let mut a = Server::preauth_with(&mail, &["mail.append_limit=10"]);
    a.ok("APPEND INBOX {10+}\r\nA: bcdef\r\n {10+}\r\nA: bcdef\r\n");
    a.no("APPEND INBOX {11}").code("TOOBIG");
    a.no("APPEND INBOX {10+}\r\nA: bcdef\r\n {11+}\r\nA: bcdefg\r\n")
        .code("TOOBIG");
    a.ok("STATUS INBOX (MESSAGES)")
        .untagged(["STATUS INBOX (MESSAGES 2)"]);
}

#[test]
fn a_message_of_a_megabyte_survives() {
    let mail = Mail::new();
    let mut a = mail.select();
    let line = "0123456789 ".repeat(7);
    let body = format!(
        "Subject: large\r\n\r\n{}",
        format!("{line}\r\n").repeat(13_000)
    );
    a.append("INBOX", body.as_bytes());
    assert_eq!(
        a.ok("FETCH 1 BODY.PEEK[]").bytes(1, "BODY[]"),
        body.as_bytes()
    );
}

#[test]
fn append_to_an_examined_mailbox_works_and_is_told() {
    let mail = Mail::with(["one.eml"]);
    let mut a = mail.connect();
    a.ok("EXAMINE INBOX");
    a.append("INBOX", &text("two.eml")).contains("2 EXISTS");
}
