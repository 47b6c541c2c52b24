//! SEARCH and UID SEARCH: RFC 3501 6.4.4, RFC 4731, RFC 5032, RFC 5182, RFC 8514.

use std::fs;
use std::os::unix::fs::PermissionsExt;

use crate::support::*;

/// One message after the other as given, in INBOX, selected.
fn with_texts(texts: &[&[u8]]) -> (Mail, Client) {
    let mail = Mail::new();
    for text in texts {
        mail.inbox().store(text, "");
    }
    let client = mail.select();
    (mail, client)
}

#[test]
fn case_does_not_matter_in_any_script() {
    let (_mail, mut a) = with_texts(&[
        "Subject: =?utf-8?q?STRASSE_in_K=C3=96LN?=\n\nx\n".as_bytes(),
        "Subject: =?utf-8?b?zpHOn86dzpHOo86XzqTOl86j?=\n\nx\n".as_bytes(),
        "Subject: =?utf-8?b?0JzQntCh0JrQktCQ?=\n\nx\n".as_bytes(),
    ]);
    for (text, found) in [
        ("köln", "1"),
        ("strasse", "1"),
        ("москва", "3"),
        ("Москва", "3"),
    ] {
        a.ok(&format!(
            "SEARCH CHARSET UTF-8 SUBJECT {{{}+}}\r\n{text}",
            text.len()
        ))
        .untagged([&format!("SEARCH {found}")]);
    }
}

#[test]
fn encoded_words_are_decoded_in_every_charset_and_across_folds() {
    let (_mail, mut a) = with_texts(&[
        b"Subject: =?iso-8859-1?q?caf=E9?=\n\nx\n",
        b"Subject: =?utf-8?b?Y2Fmw6k=?=\n\nx\n",
        b"Subject: =?windows-1252?Q?ca?= =?windows-1252?Q?f=E9?=\n\nx\n",
        b"Subject: =?utf-8?q?ca?=\n =?utf-8?q?f=C3=A9?= au lait\n\nx\n",
        b"Subject: cafe\n\nx\n",
    ]);
    let text = "café";
    let reply = a.ok(&format!(
        "SEARCH CHARSET UTF-8 SUBJECT {{{}+}}\r\n{text}",
        text.len()
    ));
    let found = reply.found();
    assert!(found.starts_with(&[1, 2, 3, 4]), "{found:?}");
    a.ok("SEARCH SUBJECT \"au lait\"").untagged(["SEARCH 4"]);
}

#[test]
fn the_charset_of_the_search_is_converted() {
    let (_mail, mut a) = with_texts(&[
        "Subject: x\n\ncaf\u{e9}\n".as_bytes(),
        b"Subject: y\n\nnone\n",
    ]);
    let tag = a.start_bytes(b"SEARCH CHARSET ISO-8859-1 BODY {4+}\r\ncaf\xe9");
    // The text has no charset of its own, so whether it is found is open; the command is not.
    let reply = a.finish(&tag);
    assert_eq!(reply.tagged.word(), "OK", "{reply}");
}

#[test]
fn body_text_is_decoded_by_encoding_and_charset() {
    let (_mail, mut a) = with_texts(&[
        b"Content-Type: text/plain; charset=utf-8\nContent-Transfer-Encoding: base64\n\nR3LDvMOfZSBhdXMgS8O2bG4=\n",
        b"Content-Type: text/plain; charset=iso-8859-15\nContent-Transfer-Encoding: quoted-printable\n\nGr=FC=DFe f=\nolgen\n",
        b"Content-Type: text/plain; charset=koi8-r\nContent-Transfer-Encoding: 8bit\n\n\xed\xcf\xd3\xcb\xd7\xc1\n",
        b"Content-Type: text/html; charset=utf-8\n\n<p>Gr\xc3\xbc\xc3\x9fe</p>\n",
    ]);
    let body = |a: &mut Client, text: &str| {
        a.ok(&format!(
            "SEARCH CHARSET UTF-8 BODY {{{}+}}\r\n{text}",
            text.len()
        ))
        .found()
    };
    assert_eq!(body(&mut a, "Grüße aus"), [1]);
    assert_eq!(body(&mut a, "Grüße folgen"), [2]);
    assert_eq!(body(&mut a, "Москва"), [3]);
    assert_eq!(body(&mut a, "grüße"), [1, 2, 4]);
}

#[test]
fn text_is_header_and_body_and_body_is_only_the_body() {
    let (_mail, mut a) = with_texts(&[b"Subject: apple\n\npear\n", b"Subject: pear\n\napple\n"]);
    a.ok("SEARCH BODY apple").untagged(["SEARCH 2"]);
    a.ok("SEARCH TEXT apple").untagged(["SEARCH 1 2"]);
    a.ok("SEARCH SUBJECT apple").untagged(["SEARCH 1"]);
}

#[test]
fn text_in_nested_parts_is_found_and_binary_parts_are_not_read_as_text() {
    let mail = Mail::with(["three.eml", "one.eml"]);
    let mut a = mail.select();
    a.ok("SEARCH BODY \"Plain text of three\"")
        .untagged(["SEARCH 1"]);
    a.ok("SEARCH BODY \"The message inside\"")
        .untagged(["SEARCH 1"]);
    a.ok("SEARCH BODY AAECAwQF").untagged(["SEARCH"]);
}

#[test]
fn a_match_across_line_ends_and_buffer_ends_is_found() {
    let filler = "x".repeat(70).into_bytes();
    let mut texts = Vec::new();
    for size in [4_090, 8_180, 16_370, 32_750, 65_500, 131_060] {
        let mut text = b"Subject: far\n\n".to_vec();
        while text.len() < size {
            text.extend_from_slice(&filler);
            text.push(b'\n');
        }
        text.extend_from_slice(b"the needle in question\n");
        texts.push(text);
    }
    let texts: Vec<&[u8]> = texts.iter().map(Vec::as_slice).collect();
    let (_mail, mut a) = with_texts(&texts);
    a.ok("SEARCH BODY \"needle in question\"")
        .untagged(["SEARCH 1 2 3 4 5 6"]);
    a.ok("SEARCH BODY \"needle without question\"")
        .untagged(["SEARCH"]);
}

#[test]
fn addresses_are_searched_in_name_and_address() {
    let mail = Mail::with(["one.eml", "two.eml", "three.eml"]);
    let mut a = mail.select();
    a.ok("SEARCH FROM \"Ann Example\"").untagged(["SEARCH 1"]);
    a.ok("SEARCH FROM example.com").untagged(["SEARCH 2"]);
    a.ok("SEARCH TO friends").untagged(["SEARCH 3"]);
    a.ok("SEARCH TO bob@example.net").untagged(["SEARCH 1 2 3"]);
    a.ok("SEARCH CC ann").untagged(["SEARCH 2"]);
}

#[test]
fn header_search_with_the_empty_string_asks_whether_the_field_is_there() {
    let mail = Mail::with(["one.eml", "four.eml"]);
    let mut a = mail.select();
    a.ok("SEARCH HEADER X-Colour \"\"").untagged(["SEARCH 2"]);
    a.ok("SEARCH HEADER X-Colour green").untagged(["SEARCH 2"]);
    a.ok("SEARCH NOT HEADER X-Colour \"\"")
        .untagged(["SEARCH 1"]);
    a.ok("SEARCH HEADER Subject \"\"").untagged(["SEARCH 1 2"]);
}

#[test]
fn dates_are_days_without_time_and_zone() {
    let (_mail, mut a) = with_texts(&[
        b"Date: Mon, 1 Jan 2024 23:30:00 -0800\n\nx\n",
        b"Date: Tue, 2 Jan 2024 00:30:00 +0900\n\nx\n",
        b"Date: nonsense\n\nx\n",
        b"Subject: no date\n\nx\n",
    ]);
    a.ok("SEARCH SENTON 1-Jan-2024").untagged(["SEARCH 1"]);
    a.ok("SEARCH SENTON 2-Jan-2024").untagged(["SEARCH 2"]);
    a.ok("SEARCH SENTBEFORE 2-Jan-2024")
        .contains("SEARCH 1 ...");
    a.ok("SEARCH SENTSINCE \"2-Jan-2024\"")
        .contains("SEARCH 2 ...");
    a.ok("SEARCH SINCE 14-Nov-2023 BEFORE 15-Nov-2023")
        .untagged(["SEARCH 1 2 3 4"]);
}

#[test]
fn sizes_are_those_of_the_wire() {
    let mail = Mail::with(["one.eml", "two.eml"]);
    let mut a = mail.select();
    let reply = a.ok("FETCH 1 RFC822.SIZE");
    let size = reply.item(1, "RFC822.SIZE").number().expect("a size");
    a.ok(&format!("SEARCH LARGER {}", size - 1))
        .untagged(["SEARCH 1 2"]);
    a.ok(&format!("SEARCH LARGER {size}"))
        .untagged(["SEARCH 2"]);
    a.ok(&format!("SEARCH SMALLER {size}")).untagged(["SEARCH"]);
    a.ok(&format!("SEARCH SMALLER {}", size + 1))
        .untagged(["SEARCH 1"]);
}

#[test]
fn or_not_and_lists_combine() {
    let mail = Mail::numbered(8);
    let mut a = mail.select();
    a.ok(r"STORE 1:4 +FLAGS.SILENT (\Seen)");
    a.ok(r"STORE 3:6 +FLAGS.SILENT (\Flagged)");
    for (keys, found) in [
        ("SEEN FLAGGED", "3 4"),
        ("OR SEEN FLAGGED", "1 2 3 4 5 6"),
        ("NOT OR SEEN FLAGGED", "7 8"),
        ("(OR (SEEN NOT FLAGGED) (FLAGGED NOT SEEN))", "1 2 5 6"),
        ("NOT NOT SEEN", "1 2 3 4"),
        ("OR 1 OR 2 OR 7 8", "1 2 7 8"),
        ("NOT (SEEN FLAGGED)", "1 2 5 6 7 8"),
        ("2:7 NOT 4:5", "2 3 6 7"),
        ("ALL UNSEEN UNFLAGGED", "7 8"),
    ] {
        a.ok(&format!("SEARCH {keys}"))
            .untagged([&format!("SEARCH {found}")]);
    }
}

#[test]
fn a_search_of_thousands_of_keys_is_answered() {
    let mail = Mail::numbered(5);
    let mut a = mail.select();
    let keys = "SUBJECT message ".repeat(3_000);
    a.ok(&format!("SEARCH {}", keys.trim_end()))
        .untagged(["SEARCH 1 2 3 4 5"]);
}

#[test]
fn an_unknown_charset_is_named_as_such() {
    let mail = Mail::with(["one.eml"]);
    let mut a = mail.select();
    let reply = a.no("SEARCH CHARSET X-NONSENSE TEXT x");
    assert!(
        reply.tagged.matches("NO [BADCHARSET ...]") || reply.tagged.matches("NO [BADCHARSET]"),
        "{reply}"
    );
}

#[test]
fn a_message_that_cannot_be_read_fails_the_search_and_the_others_are_told() {
    let mail = Mail::with(["one.eml", "two.eml", "three.eml"]);
    let mut a = mail.select();
    let path = mail.inbox().find(&mail.inbox().bases()[1]);
    let path = path.expect("the file");
    fs::set_permissions(&path, fs::Permissions::from_mode(0o000)).expect("unreadable");
    for key in [
        "TEXT e",
        "BODY e",
        "NOT TEXT nowhere",
        "HEADER X-Unknown \"\"",
        "NOT SUBJECT nowhere",
    ] {
        let reply = a.no(&format!("SEARCH {key}"));
        assert!(
            reply
                .untagged
                .iter()
                .all(|line| !line.matches("SEARCH ... 2 ...")),
            "{reply}"
        );
    }
    a.no("SEARCH NOT TEXT nowhere").untagged(["SEARCH 1 3"]);
    a.no("SEARCH RETURN (SAVE ALL) NOT TEXT nowhere");
    a.ok("SEARCH $").untagged(["SEARCH"]);
    // What its name says needs no reading.
    a.ok("SEARCH UNSEEN").untagged(["SEARCH 1 2 3"]);
    a.no("SEARCH UNSEEN NOT TEXT nowhere");
    a.ok("SEARCH 1,3 NOT TEXT nowhere").untagged(["SEARCH 1 3"]);
}

#[test]
fn searches_in_a_mailbox_that_changes_are_right_about_what_was_told() {
    let mail = Mail::with(["one.eml", "two.eml"]);
    let mut a = mail.select();
    mail.inbox().deliver_file("four.eml");
    // It may be found only if it has been told.
    let reply = a.ok("SEARCH ALL");
    let found = reply.found();
    assert!(
        found == [1, 2] || (found == [1, 2, 3] && reply.has("3 EXISTS")),
        "{reply}"
    );
}

#[test]
fn saved_results_are_used_by_every_command_that_takes_a_set() {
    let mail = Mail::numbered(6);
    let mut a = mail.select();
    a.ok("CREATE Work");
    a.ok("UID SEARCH RETURN (SAVE) UID 2:4").untagged([]);
    a.ok(r"STORE $ +FLAGS.SILENT (\Flagged)");
    a.ok("SEARCH FLAGGED").untagged(["SEARCH 2 3 4"]);
    a.ok("COPY $ Work").code("COPYUID ? 2:4 1:3");
    a.ok("UID STORE $ +FLAGS.SILENT (\\Deleted)");
    a.ok("UID EXPUNGE $")
        .untagged(["2 EXPUNGE", "2 EXPUNGE", "2 EXPUNGE"]);
    a.ok("FETCH $ UID").untagged([]);
}

#[test]
fn within_counts_seconds_from_now() {
    let mail = Mail::new();
    let now = std::time::SystemTime::now().duration_since(std::time::SystemTime::UNIX_EPOCH);
    let now = now.expect("after 1970").as_secs();
    for (n, age) in [(1, 0), (2, 3_600), (3, 86_400)] {
        mail.inbox()
            .store_as(&numbered(n), &format!("{n}.M1P1.host:2,"), now - age);
    }
    let mut a = mail.select();
    a.ok("SEARCH YOUNGER 1800").untagged(["SEARCH 1"]);
    a.ok("SEARCH OLDER 1800").untagged(["SEARCH 2 3"]);
    a.ok("SEARCH OLDER 1800 YOUNGER 7200")
        .untagged(["SEARCH 2"]);
}

#[test]
fn keywords_are_found_by_name_in_any_case() {
    let mail = Mail::with(["one.eml", "two.eml"]);
    let mut a = mail.select();
    a.ok("STORE 1 +FLAGS.SILENT ($Forwarded)");
    a.ok("SEARCH KEYWORD $forwarded").untagged(["SEARCH 1"]);
    a.ok("SEARCH UNKEYWORD $Forwarded").untagged(["SEARCH 2"]);
}

#[test]
fn dates_are_taken_as_clients_write_them() {
    let mail = Mail::new();
    mail.inbox()
        .store(b"Date: 2 Feb 2023 10:00:00 +0000\n\nx\n", "");
    let mut a = mail.select();
    for key in [
        "BEFORE \" 2-Jan-2030\"",
        "BEFORE 2-jan-2030",
        "BEFORE \"02-Jan-2030\"",
        "SINCE \" 1-Jan-1970\"",
        "ON \"14-Nov-2023\"",
        "SENTON \" 2-Feb-2023\"",
        "SENTSINCE \" 1-Feb-2023\"",
        "NOT SENTBEFORE \" 2-Feb-2023\"",
    ] {
        let found = a.ok(&format!("SEARCH {key}")).found();
        assert_eq!(found, [1], "{key}");
    }
    for key in [
        "BEFORE \"  2-Jan-2030\"",
        "BEFORE 2-Jan-30",
        "BEFORE 2-Foo-2030",
        "BEFORE \"2-Jan-2030 \"",
    ] {
        a.bad(&format!("SEARCH {key}"));
    }
}

#[test]
fn keys_are_taken_as_clients_write_them() {
    let mail = Mail::with(["one.eml"]);
    let mut a = mail.select();
    assert_eq!(a.ok("SEARCH (UNSEEN)(ALL)").found(), [1]);
    assert_eq!(a.ok("SEARCH ((UNSEEN)(ALL)) (NOT SEEN)(1)").found(), [1]);
    assert_eq!(a.ok(r"SEARCH KEYWORD \Seen").found(), []);
    assert_eq!(a.ok(r"SEARCH UNKEYWORD \Seen").found(), [1]);
    assert_eq!(a.ok("SEARCH (UNSEEN)ALL").found(), [1]);
    a.bad("SEARCH ALL(UNSEEN)");
}

/// Whether the only message is found by this key.
fn finds(a: &mut Client, key: &str) -> bool {
    a.ok(&format!("UID SEARCH CHARSET UTF-8 {key}")).found() == [1]
}

#[test]
fn what_envelope_shows_is_found() {
    let mail = Mail::new();
    mail.inbox().store(
        b"Subject: quarterly\n\t report  and\tmore\r\r\n again\nMessage-ID:\n <a@b>\n\
        In-Reply-To: <c@d>\n\t<e@f>\t\nContent-Description: two\n\twords\nX-Other: x\n  y\n\nz\n",
        "",
    );
    let mut a = mail.select();
    let envelope = a.ok("FETCH 1 ENVELOPE");
    let fields = envelope
        .item(1, "ENVELOPE")
        .list()
        .expect("a list")
        .to_vec();
    for (index, name) in [(1, "Subject"), (8, "In-Reply-To"), (9, "Message-ID")] {
        let shown = String::from_utf8_lossy(fields[index].bytes().expect("a string")).into_owned();
        assert_eq!(shown.trim(), shown);
        assert!(
            finds(&mut a, &format!("HEADER {name} \"{shown}\"")),
            "{shown}"
        );
        assert!(
            finds(&mut a, &format!("TEXT \"{name}: {shown}\"")),
            "{shown}"
        );
    }
    for key in [
        "SUBJECT \"quarterly report\"",
        "SUBJECT \"report  and more\"",
        "SUBJECT \"report and more again\"",
        "HEADER Content-Description \"two words\"",
        "HEADER X-Other \"x y\"",
        "TEXT \"quarterly report and more again\"",
    ] {
        assert!(finds(&mut a, key), "{key}");
    }
    assert!(!finds(&mut a, "SUBJECT \"quarterlyreport\""));
}

#[test]
fn what_a_part_is_shown_as_is_found() {
    let multipart = |header: &str, body: &str| {
        format!("Subject: s\nContent-Type: multipart/mixed{header}\n\n{body}").into_bytes()
    };
    for message in [
        multipart("; boundary=abc", "Just kernel text here\n"),
        multipart("", "Just kernel text here\n"),
        multipart("; boundary=abc", "--abc--\nkernel\n"),
        multipart("\nContent-Transfer-Encoding: base64", "kernel\n"),
        multipart(
            "; boundary=abc\nContent-Transfer-Encoding: quoted-printable",
            "kernel=\n",
        ),
        multipart("; boundary*=us-ascii''a%62c", "--abc\n\nkernel\n--abc--\n"),
        multipart(
            "; boundary=abc",
            "--abc\nContent-Type: multipart/related; boundary=x\n\nkernel\n--abc--\n",
        ),
        multipart(
            "; boundary=abc",
            "--abc\nContent-Type: message/rfc822\n\nContent-Type: multipart/mixed\n\nkernel\n",
        ),
        multipart(
            "; boundary=abc",
            "--abc\nContent-Type: message/global\n\nSubject: t\n\nkernel\n",
        ),
    ] {
        let mail = Mail::new();
        mail.inbox().store(&message, "");
        let mut a = mail.select();
        let shown = ["1", "1.1", "1.1.1"].into_iter().any(|part| {
            let reply = a.ok(&format!("FETCH 1 BODY.PEEK[{part}]"));
            let text = reply.untagged[0].raw.clone();
            text.windows(6).any(|octets| octets == b"kernel")
        });
        let message = String::from_utf8_lossy(&message);
        assert!(shown, "{message}");
        for key in ["BODY kernel", "TEXT KERNEL"] {
            assert!(finds(&mut a, key), "{key}: {message}");
        }
    }
}
