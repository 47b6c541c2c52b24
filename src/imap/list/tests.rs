use super::*;
use proptest::prelude::*;

const REV1: Dialect<'static> = Dialect {
    utf8: false,
    separator: b'/',
    namespaces: &crate::imap::namespace::PLAIN,
};
const DOTS: Dialect<'static> = Dialect {
    utf8: false,
    separator: b'.',
    namespaces: &crate::imap::namespace::PLAIN,
};

fn pattern(text: &str) -> Pattern {
    Pattern::new(b"", text.as_bytes(), REV1)
}

fn name(text: &str) -> MailboxName {
    MailboxName::new(text).unwrap()
}

fn read(text: &str) -> Parsed<List> {
    let mut reader = Reader::new(text.as_bytes());
    let list = reader.list_arguments(REV1)?;
    reader.end().map(|()| list)
}

#[test]
fn wildcards_stop_at_separators_or_not() {
    for (text, matching, other) in [
        ("*", &["a", "a/b", "INBOX"][..], &[][..]),
        ("%", &["a", "INBOX"], &["a/b"]),
        ("%/%", &["a/b"], &["a", "a/b/c"]),
        ("a*", &["a", "ab", "a/b"], &["b", "ba"]),
        ("a/%", &["a/b"], &["a", "a/b/c", "ab"]),
        ("*b", &["b", "a/b", "ab"], &["ba"]),
        ("%b", &["b", "ab"], &["a/b"]),
        ("a%*c", &["abc", "a/b/c"], &["ab"]),
        ("a", &["a"], &["A", "ab", "a/b"]),
        ("Inbox", &["INBOX"], &["INBOX/a"]),
        ("in%/inbox", &["INBOX/inbox"], &["INBOX/INBOX", "INBOX"]),
        ("i*", &["INBOX", "INBOX/a"], &["Ideas"]),
        ("Gr&APw-%", &["Grün"], &["Gr&APw-n"]),
        ("a//b", &[], &["a/b"]),
        ("", &[], &["a"]),
        ("R&D", &[], &["R&D"]),
    ] {
        for mailbox in matching {
            assert!(pattern(text).matches(&name(mailbox)), "{text} {mailbox}");
        }
        for mailbox in other {
            assert!(!pattern(text).matches(&name(mailbox)), "{text} {mailbox}");
        }
    }
    assert!(Pattern::new(b"a.", b"%", DOTS).matches(&name("a/b")));
    assert!(!Pattern::new(b"a/", b"*", DOTS).matches(&name("a/b")));
}

#[test]
fn many_wildcards_are_soon_compared() {
    let mailbox = name(&"a".repeat(4000));
    for text in [
        "*a".repeat(3000) + "b",
        "%a".repeat(3000) + "b",
        "*".repeat(60_000) + "b",
        "%*".repeat(30_000) + "b",
    ] {
        assert!(!pattern(&text).matches(&mailbox));
    }
    assert!(pattern(&"*a".repeat(4000)).matches(&mailbox));
}

#[test]
fn plain_lists_are_not_extended() {
    let list = read("\"\" *").unwrap();
    assert!(!list.extended && list.patterns.len() == 1 && !list.patterns[0].is_empty());
    let list = read("\"a/\" \"\"").unwrap();
    assert!(!list.extended && list.patterns[0].is_empty());
    assert_eq!(read("a/ %").unwrap().patterns, [pattern("a/%")]);
    assert_eq!(read("\"\" {1}\r\n%").unwrap().patterns, [pattern("%")]);
    assert_eq!(read("\"\" % ").unwrap(), read("\"\" %").unwrap());
}

/// The examples of RFC 5258 5, RFC 5819 3 and RFC 6154 5.
#[test]
fn extended_lists_of_the_rfcs_are_read() {
    let list = read("(SUBSCRIBED RECURSIVEMATCH) \"\" \"*\"").unwrap();
    assert!(list.extended && list.select.subscribed && list.select.recursive_match);
    assert!(list.returns.subscribed && !list.returns.children);
    let list = read("() \"\" (\"INBOX\" \"Drafts\" \"Sent/%\")").unwrap();
    assert_eq!(
        list.patterns,
        [pattern("INBOX"), pattern("Drafts"), pattern("Sent/%")]
    );
    assert!(list.extended && list.select == Selection::default());
    let list = read("(REMOTE) \"\" \"%\" RETURN (SUBSCRIBED CHILDREN)").unwrap();
    assert!(list.select.remote && list.returns.subscribed && list.returns.children);
    let list = read("\"\" % RETURN (STATUS (MESSAGES UNSEEN))").unwrap();
    assert_eq!(
        list.returns.status,
        Some(vec![StatusItem::Messages, StatusItem::Unseen])
    );
    let list = read("(SPECIAL-USE) \"\" \"*\"").unwrap();
    assert!(list.select.special_use && list.returns.special_use);
    assert!(
        read("\"\" \"%\" return (special-use)")
            .unwrap()
            .returns
            .special_use
    );
}

#[test]
fn wrong_lists_are_refused() {
    for text in [
        "",
        "\"\"",
        "\"\" ",
        "\"\" () x",
        "(X) \"\" *",
        "(RECURSIVEMATCH) \"\" *",
        "(RECURSIVEMATCH REMOTE) \"\" *",
        "\"\" * RETURN",
        "\"\" * RETURN (X)",
        "\"\" * RETURN (STATUS)",
        "\"\" * RETURN (STATUS (X))",
        "\"\" * *",
        "(SUBSCRIBED \"\" *",
        "\"\" (a b",
    ] {
        assert!(read(text).is_err(), "{text}");
    }
}

#[test]
fn attributes_are_written_in_one_order() {
    let written = |attributes: Attributes| {
        let mut out = Vec::new();
        attributes.write(&mut out);
        String::from_utf8(out).unwrap()
    };
    assert_eq!(written(Attributes::default()), "()");
    let attributes = Attributes::from(SpecialUse::Sent) | Attributes::HAS_NO_CHILDREN;
    assert_eq!(written(attributes), "(\\HasNoChildren \\Sent)");
}

/// The obvious way, which takes exponential time.
fn obviously(pattern: &[char], name: &[char]) -> bool {
    match (pattern.split_first(), name.split_first()) {
        (None, None) => true,
        (Some(('*', rest)), None) | (Some(('%', rest)), None) => obviously(rest, name),
        (Some((&wildcard @ ('*' | '%'), rest)), Some((&c, tail))) => {
            obviously(rest, name) || ((wildcard == '*' || c != '/') && obviously(pattern, tail))
        }
        (Some((p, rest)), Some((c, tail))) => p == c && obviously(rest, tail),
        _ => false,
    }
}

proptest! {
    #[test]
    fn patterns_match_as_the_obvious_way_does(text in "[ab/%*]{0,9}", mailbox in "[ab](/?[ab]){0,7}") {
        let chars = |text: &str| text.chars().collect::<Vec<_>>();
        let expected = obviously(&chars(&text), &chars(&mailbox));
        prop_assert_eq!(pattern(&text).matches(&name(&mailbox)), expected);
    }

    #[test]
    fn no_octets_panic(text: Vec<u8>) {
        let _ = Reader::new(&text).list_arguments(REV1);
    }
}
