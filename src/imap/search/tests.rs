use super::SearchKey::*;
use super::{Date, Parsed, Reader, Search, SearchKey, SearchReturn, Set, fail, not};
use crate::mail;
use proptest::prelude::*;

fn read(text: &str) -> Parsed<Search> {
    let mut reader = Reader::new(text.as_bytes());
    let search = reader.search_arguments(false)?;
    reader.end().map(|()| search)
}

fn key(text: &str) -> SearchKey {
    read(text)
        .unwrap_or_else(|error| panic!("{text}: {error:?}"))
        .key
}

fn seen() -> SearchKey {
    System(mail::System::SEEN)
}

fn header(name: &str, value: &str) -> SearchKey {
    Header {
        name: name.into(),
        value: value.into(),
    }
}

fn numbers(text: &str) -> Set {
    Reader::new(text.as_bytes()).set().unwrap()
}

#[test]
fn every_key_is_read() {
    let day = Date { days: 8797 };
    for (text, expected) in [
        ("ALL", All),
        ("ANSWERED", System(mail::System::ANSWERED)),
        ("BCC x", header("BCC", "x")),
        ("BEFORE 1-Feb-1994", Before(day)),
        ("BODY x", Body(b"x".to_vec())),
        ("CC x", header("CC", "x")),
        ("DELETED", System(mail::System::DELETED)),
        ("DRAFT", System(mail::System::DRAFT)),
        (
            "EMAILID M6d99ac3275bb4e",
            EmailId("M6d99ac3275bb4e".to_owned()),
        ),
        ("FLAGGED", System(mail::System::FLAGGED)),
        ("FROM \"Smith\"", header("FROM", "Smith")),
        ("HEADER Message-ID \"\"", header("Message-ID", "")),
        (
            "KEYWORD $Forwarded",
            Keyword(mail::Keyword::new("$Forwarded")),
        ),
        ("LARGER 9223372036854775807", Larger(i64::MAX as u64)),
        ("MODSEQ 620162338", ModSeq(620_162_338)),
        ("MODSEQ \"/flags/\\\\draft\" all 0", ModSeq(0)),
        ("NEW", And(vec![Recent, not(seen())])),
        ("OLD", not(Recent)),
        ("OLDER 259200", Older(259_200)),
        ("ON \"1-Feb-1994\"", On(day)),
        ("RECENT", Recent),
        ("SAVEDATESUPPORTED", SaveDateSupported),
        ("SAVEDBEFORE 1-Feb-1994", SavedBefore(day)),
        ("SAVEDON 1-Feb-1994", SavedOn(day)),
        ("SAVEDSINCE 1-Feb-1994", SavedSince(day)),
        ("SEEN", seen()),
        ("SENTBEFORE 1-Feb-1994", SentBefore(day)),
        ("SENTON 1-Feb-1994", SentOn(day)),
        ("SENTSINCE 1-Feb-1994", SentSince(day)),
        ("SINCE 1-Feb-1994", Since(day)),
        ("SMALLER 0", Smaller(0)),
        ("SUBJECT {3}\r\na b", header("SUBJECT", "a b")),
        ("TEXT \"grün\"", Text("grün".into())),
        (
            "THREADID T64b478a75b7ea9",
            ThreadId("T64b478a75b7ea9".to_owned()),
        ),
        ("TO x", header("TO", "x")),
        ("UID 1:*", Uid(numbers("1:*"))),
        ("UID $", Uid(Set::Saved)),
        ("UNANSWERED", not(System(mail::System::ANSWERED))),
        ("UNDELETED", not(System(mail::System::DELETED))),
        ("UNDRAFT", not(System(mail::System::DRAFT))),
        ("UNFLAGGED", not(System(mail::System::FLAGGED))),
        ("UNKEYWORD x", not(Keyword(mail::Keyword::new("x")))),
        ("UNSEEN", not(seen())),
        ("YOUNGER 1", Younger(1)),
        ("2,4:7", Numbers(numbers("2,4:7"))),
        ("*", Numbers(numbers("*"))),
        ("$", Numbers(Set::Saved)),
    ] {
        assert_eq!(key(text), expected, "{text}");
        assert_eq!(key(&text.replace("ALL", "all")), expected, "{text}");
    }
    assert_eq!(key("KEYWORD \"a\""), Keyword(mail::Keyword::new("a")));
    assert_eq!(key("KEYWORD a]"), Keyword(None));
    assert_eq!(key(&format!("KEYWORD {}", "a".repeat(51))), Keyword(None));
}

#[test]
fn keys_are_combined() {
    for (text, expected) in [
        ("1 SEEN", And(vec![Numbers(numbers("1")), seen()])),
        ("NOT SEEN", not(seen())),
        ("OR SEEN RECENT", Or(vec![seen(), Recent])),
        ("(SEEN)", seen()),
        ("(SEEN RECENT)", And(vec![seen(), Recent])),
        ("NOT (SEEN RECENT)", not(And(vec![seen(), Recent]))),
        (
            "OR NOT SEEN (RECENT ALL)",
            Or(vec![not(seen()), And(vec![Recent, All])]),
        ),
        (
            "OR (SEEN) RECENT ALL",
            And(vec![Or(vec![seen(), Recent]), All]),
        ),
        (
            "SEEN OR RECENT NOT ALL",
            And(vec![seen(), Or(vec![Recent, not(All)])]),
        ),
        ("NOT NOT SEEN", seen()),
        ("NOT NOT NOT UNSEEN", seen()),
        ("((SEEN) (RECENT (ALL)))", And(vec![Recent, All, seen()])),
        ("( SEEN  RECENT ) ", And(vec![seen(), Recent])),
    ] {
        assert_eq!(key(text), expected, "{text}");
    }
}

/// RFC 3501 6.4.4, RFC 4731 3, RFC 5182 2, RFC 7162 3.1.5
#[test]
fn programs_of_the_rfcs_are_read() {
    let search = read("FLAGGED SINCE 1-Feb-1994 NOT FROM \"Smith\"").unwrap();
    assert!(search.returns.is_none() && search.charset.is_none());
    assert_eq!(
        read("CHARSET UTF-8 TEXT {6}\r\nüüü")
            .unwrap()
            .charset
            .as_deref(),
        Some("UTF-8")
    );
    let returns = |text| read(text).unwrap().returns.unwrap();
    let all = SearchReturn {
        all: true,
        ..SearchReturn::default()
    };
    assert_eq!(returns("RETURN () ALL"), all);
    assert_eq!(returns("return (all) CHARSET us-ascii ALL"), all);
    let returns = returns("RETURN (MIN MAX COUNT SAVE) 1:* SEEN");
    assert!(returns.min && returns.max && returns.count && returns.save && !returns.all);
    assert!(key("OR NOT MODSEQ 720162338 LARGER 50000").has_modseq());
    assert!(key("SEEN (RECENT MODSEQ 1)").has_modseq());
    assert!(!key("SEEN TEXT MODSEQ").has_modseq());
}

#[test]
fn wrong_searches_are_refused() {
    for text in [
        "",
        " ",
        "X",
        "(",
        ")",
        "()",
        "(SEEN",
        "SEEN)",
        "NOT",
        "NOT ",
        "OR",
        "OR SEEN",
        "OR SEEN ",
        "OR (SEEN RECENT)",
        "SEEN(RECENT)",
        "FROM",
        "FROM ",
        "HEADER a",
        "KEYWORD \\",
        "(SEEN))",
        "UID",
        "UID a",
        "0",
        "1:",
        "LARGER -1",
        "LARGER",
        "BEFORE 1-Feb",
        "BEFORE \"  1-Feb-1994\"",
        "YOUNGER 0",
        "OLDER x",
        "MODSEQ",
        "MODSEQ \"/flags/x\" 1",
        "MODSEQ \"/flags/x\" some 1",
        "CHARSET",
        "CHARSET UTF-8",
        "RETURN (X) ALL",
        "RETURN ALL",
        "RETURN (ALL)",
        "NOT()",
        "TEXT \"a",
        "UNKNOWN",
        "UNALL",
    ] {
        assert!(
            matches!(read(text), Err(crate::imap::syntax::ParseError::Syntax(_))),
            "{text}"
        );
    }
}

/// As K-9 Mail and scripts over imaplib write them.
#[test]
fn hundreds_of_alternatives_are_one_list() {
    let right = format!("{}FROM z", "OR FROM a ".repeat(3000));
    let left = format!("{}FROM z{}", "OR ".repeat(3000), " FROM a".repeat(3000));
    for text in [right, left] {
        match key(&text) {
            Or(keys) => assert_eq!(keys.len(), 3001),
            other => panic!("{other:?}"),
        }
    }
}

#[test]
fn deep_nesting_is_flat_or_refused_and_never_overflows_the_stack() {
    assert_eq!(
        key(&format!("{}SEEN{}", "(".repeat(30_000), ")".repeat(30_000))),
        seen()
    );
    assert_eq!(key(&format!("{}SEEN", "NOT ".repeat(15_000))), seen());
    let deep = |n| format!("{}SEEN{}", "NOT (RECENT ".repeat(n), ")".repeat(n));
    assert!(read(&deep(49)).is_ok());
    assert_eq!(read(&deep(50)), fail("Search is nested too deeply"));
    assert_eq!(read(&deep(4_000)), fail("Search is nested too deeply"));
    assert!(read(&"(".repeat(60_000)).is_err());
    assert!(read(&"NOT ".repeat(15_000)).is_err());
    assert!(read(&"OR ".repeat(20_000)).is_err());
}

/// A way to write keys, and how deep they are.
fn some_key() -> impl Strategy<Value = String> {
    let leaf = prop_oneof![
        Just("SEEN"),
        Just("1:5"),
        Just("FROM \"a\""),
        Just("BODY {1}\r\nx")
    ];
    leaf.prop_map(str::to_owned)
        .prop_recursive(6, 64, 4, |inner| {
            prop_oneof![
                inner.clone().prop_map(|a| format!("NOT {a}")),
                (inner.clone(), inner.clone()).prop_map(|(a, b)| format!("OR {a} {b}")),
                proptest::collection::vec(inner, 1..4)
                    .prop_map(|keys| format!("({})", keys.join(" "))),
            ]
        })
}

fn depth(key: &SearchKey) -> usize {
    match key {
        Not(key) => 1 + depth(key),
        And(keys) | Or(keys) => 1 + keys.iter().map(depth).max().unwrap_or(0),
        _ => 1,
    }
}

/// Whether a message with these answers to the four leaves matches.
fn matches(key: &SearchKey, answers: &[bool; 4]) -> bool {
    match key {
        Not(key) => !matches(key, answers),
        And(keys) => keys.iter().all(|key| matches(key, answers)),
        Or(keys) => keys.iter().any(|key| matches(key, answers)),
        System(_) => answers[0],
        Numbers(_) => answers[1],
        Header { .. } => answers[2],
        _ => answers[3],
    }
}

/// The same over the text: what is left of it, and the truth.
fn matches_text<'a>(text: &'a str, answers: &[bool; 4]) -> (&'a str, bool) {
    let leaves = ["SEEN", "1:5", "FROM \"a\"", "BODY {1}\r\nx"];
    for (leaf, &answer) in leaves.iter().zip(answers) {
        if let Some(rest) = text.strip_prefix(leaf) {
            return (rest, answer);
        }
    }
    if let Some(rest) = text.strip_prefix("NOT ") {
        let (rest, a) = matches_text(rest, answers);
        return (rest, !a);
    }
    if let Some(rest) = text.strip_prefix("OR ") {
        let (rest, a) = matches_text(rest, answers);
        let (rest, b) = matches_text(rest.trim_start(), answers);
        return (rest, a | b);
    }
    let mut rest = text.strip_prefix('(').unwrap();
    let mut all = true;
    loop {
        let (tail, a) = matches_text(rest.trim_start(), answers);
        all &= a;
        match tail.strip_prefix(')') {
            Some(rest) => return (rest, all),
            None => rest = tail,
        }
    }
}

proptest! {
    #[test]
    fn flattening_changes_no_meaning(text in some_key(), answers: [bool; 4]) {
        let key = key(&text);
        prop_assert_eq!(matches(&key, &answers), matches_text(&text, &answers).1);
        prop_assert!(depth(&key) <= 8);
    }

    #[test]
    fn no_octets_panic(text: Vec<u8>, words in "(NOT |OR |SEEN|RETURN|CHARSET x|UID|\\(|\\)|[0-9]| ){0,16}") {
        let _ = Reader::new(&text).search_arguments(true);
        let _ = Reader::new(words.as_bytes()).search_arguments(true);
    }
}
