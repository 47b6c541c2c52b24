use super::*;
use proptest::prelude::*;

/// In the form `name/route/mailbox/host`, with `-` for what is absent.
fn read(value: &str) -> Vec<String> {
    let part = |text: &Option<Vec<u8>>| match text {
        Some(text) => String::from_utf8_lossy(text).into_owned(),
        None => "-".to_owned(),
    };
    parse_addresses(value.as_bytes(), 1000)
        .iter()
        .map(|a| [&a.name, &a.route, &a.mailbox, &a.host].map(part).join("/"))
        .collect()
}

fn check(cases: &[(&str, &[&str])]) {
    for (value, expected) in cases {
        assert_eq!(read(value), *expected, "{value:?}");
    }
}

#[test]
fn addresses_of_rfc_5322_are_read() {
    check(&[
        ("a@b.c", &["-/-/a/b.c"]),
        (
            "Joe Q. Public <john.q@ex.com>",
            &["Joe Q. Public/-/john.q/ex.com"],
        ),
        ("\"Joe (Q)\" <a@b> (c)", &["Joe (Q)/-/a/b"]),
        ("\"a\\\"b\\\\c\" <\"d e\"@f>", &["a\"b\\c/-/d e/f"]),
        ("a@b (x (y) \\) z)", &["x (y) ) z/-/a/b"]),
        ("a . b @ [1.2.3.4]", &["-/-/a.b/[1.2.3.4]"]),
        ("<@r1,@r2:a@b>", &["-/@r1,@r2/a/b"]),
        ("a@b,, ,c@d", &["-/-/a/b", "-/-/c/d"]),
        ("", &[]),
    ]);
}

#[test]
fn groups_have_a_start_and_an_end() {
    check(&[
        (
            "A Group: x@y, Foo <z@w>;, v@u",
            &[
                "-/-/A Group/-",
                "-/-/x/y",
                "Foo/-/z/w",
                "-/-/-/-",
                "-/-/v/u",
            ],
        ),
        (
            "undisclosed-recipients:;",
            &["-/-/undisclosed-recipients/-", "-/-/-/-"],
        ),
        (
            "not closed: a@b",
            &["-/-/not closed/-", "-/-/a/b", "-/-/-/-"],
        ),
        (":;", &["-/-//-", "-/-/-/-"]),
        (
            "a:;b: c: d@e;",
            &[
                "-/-/a/-",
                "-/-/-/-",
                "-/-/b/-",
                "-/-/c/MISSING_DOMAIN",
                "-/-/d/e",
                "-/-/-/-",
            ],
        ),
    ]);
}

#[test]
fn words_without_an_address_are_not_lost() {
    check(&[
        ("a", &["-/-/a/MISSING_DOMAIN"]),
        ("a b", &["a b/-/MISSING_MAILBOX/MISSING_DOMAIN"]),
        ("\"a\"", &["a/-/MISSING_MAILBOX/MISSING_DOMAIN"]),
        ("a (b)", &["b/-/a/MISSING_DOMAIN"]),
        ("a <>", &["a/-/MISSING_MAILBOX/MISSING_DOMAIN"]),
        ("a <b>", &["a/-/b/MISSING_DOMAIN"]),
        ("@b", &["-/-/MISSING_MAILBOX/b"]),
        ("a@", &["-/-/a/MISSING_DOMAIN"]),
        ("(only comment)", &[]),
    ]);
}

#[test]
fn a_broken_address_does_not_cost_the_next() {
    check(&[
        ("a@b; c@d", &["-/-/a/b", "-/-/c/d"]),
        ("a <b@c> d <e@f>", &["a/-/b/c", "d/-/e/f"]),
        ("<a@b> trailing, c@d", &["-/-/a/b", "-/-/c/d"]),
        ("a@b c@d", &["-/-/a/b", "-/-/c/d"]),
        ("a <b@c, d <e@f>", &["a/-/b/c", "d/-/e/f"]),
        ("\"open <a@b>", &["open/-/a/b"]),
        ("(open a@b, c@d", &["open/-/a/b", "-/-/c/d"]),
        ("<<a@b>>", &["-/-/a/b"]),
        ("<a@b@c>", &["-/-/a@b/c"]),
        ("<a b@c>", &["-/-/a b/c"]),
    ]);
}

#[test]
fn names_may_hold_what_they_should_quote() {
    check(&[
        ("'a@b' <a@b>", &["'a@b'/-/a/b"]),
        ("foo a@b.c <d@e>", &["foo a@b.c/-/d/e"]),
        (
            "[List] a.b, c <d@e>",
            &["[List] a.b/-/MISSING_MAILBOX/MISSING_DOMAIN", "c/-/d/e"],
        ),
        ("[List] c <d@e>", &["[List] c/-/d/e"]),
        ("foo bar@baz", &["foo/-/bar/baz"]),
        ("a  (c)  b\t<c@d>", &["a b/-/c/d"]),
    ]);
}

#[test]
fn text_for_search_is_decoded() {
    let value = b"=?utf-8?q?J=C3=BCrg?= <a@b>, G: c@d (e);\n";
    assert_eq!(address_text(value), "Jürg <a@b>, G: e <c@d>, ");
}

proptest! {
    #[test]
    fn nothing_panics_and_marks_pair(value in "[a\"(),.:;<>@\\\\\\[\\] \n]{0,60}") {
        let addresses = parse_addresses(value.as_bytes(), 1000);
        let mut open = false;
        for address in addresses {
            if address.host.is_none() {
                prop_assert_eq!(open, address.mailbox.is_none());
                open = !open;
            }
        }
        prop_assert!(!open);
    }
}
