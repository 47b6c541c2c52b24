//! Commands sent without waiting: RFC 3501 5.5, 7888. They stay in order and in step.

use crate::support::*;

#[test]
fn a_hundred_commands_at_once_are_answered_in_order() {
    let mail = Mail::with(["one.eml"]);
    let mut a = mail.select();
    let tags: Vec<String> = (0..100)
        .map(|n| match n % 4 {
            0 => a.start("NOOP"),
            1 => a.start("STATUS INBOX (MESSAGES)"),
            2 => a.start("CREATE \"INBOX\""),
            _ => a.start("NONSENSE"),
        })
        .collect();
    for (n, tag) in tags.iter().enumerate() {
        let word = ["OK", "OK", "NO", "BAD"][n % 4];
        // Nineteen bad commands in a row would be too many; these are not in a row.
        assert_eq!(a.finish(tag).tagged.word(), word, "{n}");
    }
}

#[test]
fn a_whole_session_in_one_piece() {
    let mail = Mail::with(["one.eml", "two.eml"]);
    let mut a = mail.connect();
    a.send_raw(
        b"1 CREATE Work\r\n2 SELECT INBOX\r\n3 STORE 1 +FLAGS.SILENT (\\Seen)\r\n4 COPY 1:2 Work\r\n\
          5 STORE 2 +FLAGS.SILENT (\\Deleted)\r\n6 EXPUNGE\r\n7 APPEND Work {5+}\r\nA: b\n\r\n\
          8 SELECT Work\r\n9 FETCH 1:* (UID FLAGS)\r\n10 LOGOUT\r\n",
    );
    for (tag, word) in (1..=10).map(|tag| (tag.to_string(), "OK")) {
        let reply = a.finish(&tag);
        assert_eq!(reply.tagged.word(), word, "{reply}");
        match tag.as_str() {
            "6" => drop(reply.contains("2 EXPUNGE")),
            "8" => drop(reply.contains("3 EXISTS")),
            "9" => drop(
                reply
                    .contains(r"1 FETCH (UID 1 FLAGS (\Seen))")
                    .contains("3 FETCH (UID 3 ...)"),
            ),
            _ => {}
        }
    }
    a.read_to_end();
}

#[test]
fn input_cut_anywhere_means_the_same() {
    let session = b"1 SELECT INBOX\r\n2 FETCH 1 (FLAGS BODY.PEEK[TEXT])\r\n\
                    3 SEARCH SUBJECT {3+}\r\none\r\n4 APPEND INBOX {9+}\r\nA: b\r\n\r\nc\r\n5 LOGOUT\r\n";
    for cut in 1..session.len() {
        let mail = Mail::with(["one.eml"]);
        let mut a = mail.connect();
        // Whether the server reads the two as one is its own affair.
        a.send_raw(&session[..cut]);
        std::thread::yield_now();
        a.send_raw(&session[cut..]);
        for (tag, expected) in [
            ("1", "1 EXISTS"),
            ("2", "1 FETCH (FLAGS () BODY[TEXT] \"First.\r\n\")"),
            ("3", "SEARCH 1"),
            ("4", "2 EXISTS"),
            ("5", "BYE ..."),
        ] {
            let reply = a.finish(tag);
            assert_eq!(reply.tagged.word(), "OK", "cut at {cut}");
            reply.contains(expected);
        }
    }
}

#[test]
fn a_failed_select_in_a_pipeline_fails_what_follows_it() {
    let mail = Mail::with(["one.eml"]);
    let mut a = mail.select();
    let (select, fetch, store) = (
        a.start("SELECT nowhere"),
        a.start("FETCH 1 FLAGS"),
        a.start(r"STORE 1 +FLAGS (\Deleted)"),
    );
    assert_eq!(a.finish(&select).tagged.word(), "NO");
    assert_eq!(a.finish(&fetch).tagged.word(), "BAD");
    assert_eq!(a.finish(&store).tagged.word(), "BAD");
    a.ok("SELECT INBOX");
    a.ok("FETCH 1 FLAGS").untagged(["1 FETCH (FLAGS ())"]);
}

#[test]
fn stores_and_fetches_at_once_see_each_other_in_order() {
    let mail = Mail::with(["one.eml"]);
    let mut a = mail.select();
    let tags: Vec<String> = (0..20)
        .flat_map(|n| {
            let sign = if n % 2 == 0 { "+" } else { "-" };
            [
                a.start(&format!(r"STORE 1 {sign}FLAGS.SILENT (\Seen)")),
                a.start("FETCH 1 FLAGS"),
            ]
        })
        .collect();
    for (n, pair) in tags.chunks(2).enumerate() {
        a.finish(&pair[0]);
        let flags = if n % 2 == 0 { r"\Seen" } else { "" };
        a.finish(&pair[1])
            .contains(&format!("1 FETCH (FLAGS ({flags}))"));
    }
}

#[test]
fn a_line_may_end_with_lf_alone() {
    let mail = Mail::with(["one.eml"]);
    let mut a = mail.connect();
    a.send_raw(b"1 NOOP\n2 SELECT INBOX\n");
    assert_eq!(a.finish("1").tagged.word(), "OK");
    a.finish("2").contains("1 EXISTS");
}

#[test]
fn tags_of_any_form_come_back_as_they_were() {
    let mail = Mail::new();
    let mut a = mail.connect();
    for tag in [
        "a",
        "1",
        "A001",
        "x.y-z_",
        "!#$&'",
        "NOOP",
        "OK",
        &"t".repeat(200),
    ] {
        a.send_raw(format!("{tag} NOOP\r\n").as_bytes());
        assert_eq!(a.read().tag, tag);
    }
}
