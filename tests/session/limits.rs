//! Limits, each with a clear answer, and none that costs more than the command.

use crate::support::*;

#[test]
fn a_line_over_64_kib_costs_that_command_only() {
    let mail = Mail::new();
    let mut a = mail.connect();
    let tag = a.next_tag();
    a.send_raw(format!("{tag} SEARCH {}\r\n", "ALL ".repeat(40_000)).as_bytes());
    let answer = a.read();
    assert_eq!(answer.word(), "BAD", "{answer}");
    a.ok("NOOP").untagged([]);
}

#[test]
fn a_line_of_just_under_64_kib_is_a_command() {
    let mail = Mail::with(["one.eml"]);
    let mut a = mail.select();
    let keys = "ALL ".repeat(15_000);
    a.ok(&format!("SEARCH {}", keys.trim_end()))
        .untagged(["SEARCH 1"]);
}

#[test]
fn a_literal_too_large_for_a_command_is_refused_before_it_is_sent() {
    let mail = Mail::with(["one.eml"]);
    let mut a = mail.select();
    a.bad("SEARCH SUBJECT {600000}");
    a.ok("NOOP");
}

#[test]
fn a_nonsynchronising_literal_too_large_for_a_command_is_swallowed() {
    let mail = Mail::with(["one.eml"]);
    let mut a = mail.select();
    let literal = "x NOOP\r\n".repeat(75_000);
    a.bad(&format!("SEARCH SUBJECT {{600000+}}\r\n{literal}"));
    a.ok("NOOP").untagged([]);
}

#[test]
fn many_literals_in_one_command_count_together() {
    let mail = Mail::with(["one.eml"]);
    let mut a = mail.select();
    let literal = format!("{{200000+}}\r\n{}", "x".repeat(200_000));
    a.ok(&format!("SEARCH SUBJECT {literal}"))
        .untagged(["SEARCH"]);
    a.bad(&format!(
        "SEARCH SUBJECT {literal} SUBJECT {literal} SUBJECT {literal}"
    ));
    a.ok("NOOP").untagged([]);
}

#[test]
fn twenty_bad_commands_end_the_connection() {
    let mail = Mail::new();
    let mut a = mail.connect();
    for _ in 0..19 {
        a.bad("NONSENSE");
    }
    a.send_raw(b"last NONSENSE\r\n");
    let last = a.read_to_end();
    assert!(last.iter().any(|response| response.matches("BYE ...")));
}

#[test]
fn twenty_commands_that_cannot_be_done_end_the_connection() {
    let mail = Mail::with(["one.eml"]);
    let mut a = mail.connect();
    a.ok("SELECT INBOX");
    for _ in 0..19 {
        a.bad("FETCH 2 FLAGS");
    }
    a.send_raw(b"last FETCH 2 FLAGS\r\n");
    let last = a.read_to_end();
    assert!(last.iter().any(|response| response.matches("BYE ...")));
}

#[test]
fn a_good_command_among_bad_ones_makes_them_count_from_the_start() {
    let mail = Mail::new();
    let mut a = mail.connect();
    for _ in 0..5 {
        for _ in 0..15 {
            a.bad("NONSENSE");
        }
        a.ok("NOOP");
    }
}

#[test]
fn a_search_nested_deeply_is_answered_or_bad_and_not_the_end() {
    let mail = Mail::with(["one.eml"]);
    let mut a = mail.select();
    let nested = |depth: usize| format!("SEARCH {}ALL{}", "(".repeat(depth), ")".repeat(depth));
    a.ok(&nested(20)).untagged(["SEARCH 1"]);
    for search in [
        nested(20_000),
        format!("SEARCH {}ALL", "NOT ".repeat(15_000)),
        format!("SEARCH {} ALL", "OR ALL ".repeat(9_000).trim_end()),
    ] {
        let reply = a.command(&search);
        assert_ne!(
            reply.tagged.word(),
            "NO",
            "understood or not, it did not fail"
        );
    }
    a.ok("NOOP");
}

#[test]
fn what_is_no_command_at_all_is_bad() {
    let mail = Mail::new();
    let mut a = mail.connect();
    for line in [
        "",
        " ",
        "x",
        "* NOOP",
        "+ NOOP",
        "(NOOP)",
        "a1",
        "a1 ",
        "\u{fffd} NOOP",
        "a{3}b NOOP",
    ] {
        a.send_raw(format!("{line}\r\n").as_bytes());
        let answer = a.read();
        assert_eq!(answer.word(), "BAD", "{line:?}: {answer}");
    }
    a.ok("NOOP");
}

#[test]
fn twenty_six_keywords_fit_and_the_next_is_refused_or_kept() {
    let mail = Mail::with(["one.eml", "two.eml"]);
    let mut a = mail.select();
    let names: Vec<String> = (1..=26).map(|n| format!("word{n}")).collect();
    a.ok(&format!("STORE 1 +FLAGS.SILENT ({})", names.join(" ")));
    a.ok("FETCH 1 FLAGS")
        .contains(&format!("1 FETCH (FLAGS ({}))", names.join(" ")));
    // No letter is left. Either the client is told, or it is stored all the same; never another
    // one.
    let reply = a.command("STORE 2 +FLAGS (word27)");
    match reply.tagged.word() {
        "NO" => a.ok("FETCH 2 FLAGS").contains("2 FETCH (FLAGS ())"),
        _ => a.ok("FETCH 2 FLAGS").contains("2 FETCH (FLAGS (word27))"),
    };
    // System flags go on working.
    a.ok(r"STORE 2 +FLAGS (\Seen)");
}

#[test]
fn a_keyword_may_have_fifty_characters() {
    let mail = Mail::with(["one.eml"]);
    let mut a = mail.select();
    let (fits, long) = ("k".repeat(50), "k".repeat(300));
    a.ok(&format!("STORE 1 +FLAGS.SILENT ({fits})"));
    a.ok("FETCH 1 FLAGS")
        .contains(&format!("1 FETCH (FLAGS ({fits}))"));
    let reply = a.command(&format!("STORE 1 FLAGS ({long})"));
    assert_ne!(reply.tagged.word(), "OK", "{reply}");
}
