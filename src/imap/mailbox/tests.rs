use super::*;
use proptest::prelude::*;

const REV1: Dialect<'static> = Dialect {
    utf8: false,
    separator: b'/',
    namespaces: &PLAIN,
};
const REV2: Dialect<'static> = Dialect {
    utf8: true,
    separator: b'/',
    namespaces: &PLAIN,
};
const DOTS: Dialect<'static> = Dialect {
    utf8: false,
    separator: b'.',
    namespaces: &PLAIN,
};

fn from_wire(wire: &str, dialect: Dialect) -> Result<String, NameError> {
    MailboxName::from_wire(wire.as_bytes(), dialect).map(|name| name.to_string())
}

fn written(name: &str, dialect: Dialect) -> String {
    let mut out = Vec::new();
    MailboxName::new(name).unwrap().write(&mut out, dialect);
    String::from_utf8(out).unwrap()
}

#[test]
fn inbox_is_known_in_any_case_as_a_whole_level() {
    assert_eq!(from_wire("inBox", REV1).as_deref(), Ok("INBOX"));
    assert_eq!(from_wire("inbox/Work", REV1).as_deref(), Ok("INBOX/Work"));
    assert_eq!(from_wire("inbox.Work", DOTS).as_deref(), Ok("INBOX/Work"));
    assert_eq!(from_wire("inbox2", REV1).as_deref(), Ok("inbox2"));
    assert_eq!(from_wire("Work/inbox", REV1).as_deref(), Ok("Work/inbox"));
    assert!(MailboxName::new("Inbox").unwrap().is_inbox());
}

#[test]
fn separators_and_encodings_go_by_dialect() {
    assert_eq!(from_wire("a.b", DOTS).as_deref(), Ok("a/b"));
    assert_eq!(from_wire("a.b", REV1).as_deref(), Ok("a.b"));
    assert_eq!(from_wire("a/b", DOTS), Err(NameError::Character));
    assert_eq!(from_wire("a/", REV1).as_deref(), Ok("a"));
    assert_eq!(from_wire("R&D", REV2).as_deref(), Ok("R&D"));
    assert_eq!(from_wire("Gr&APw-n", REV2).as_deref(), Ok("Gr&APw-n"));
    assert_eq!(written("a/b", DOTS), "a.b");
    assert_eq!(written("Grün/R&D", REV1), "Gr&APw-n/R&-D");
    assert_eq!(written("Grün/R&D", REV2), "\"Grün/R&D\"");
    assert_eq!(written("Grün/R&D", DOTS), "Gr&APw-n.R&-D");
    assert_eq!(written("a b", REV1), "\"a b\"");
    assert_eq!(written("nil", REV1), "\"nil\"");
}

#[test]
fn names_no_mailbox_can_have_say_why() {
    for (wire, error) in [
        ("", NameError::Empty),
        ("/", NameError::Empty),
        ("//", NameError::EmptyLevel),
        ("/a", NameError::EmptyLevel),
        ("a//b", NameError::EmptyLevel),
        ("a//", NameError::EmptyLevel),
        ("..", NameError::DotLevel),
        ("a/../b", NameError::DotLevel),
        ("a/.", NameError::DotLevel),
        ("a\tb", NameError::Character),
        ("&AAA-", NameError::Character),
        ("R&D", NameError::Utf7),
    ] {
        assert_eq!(from_wire(wire, REV1), Err(error), "{wire:?}");
        assert!(error.as_str().ends_with('.'));
    }
    assert_eq!(from_wire(&"a".repeat(4097), REV1), Err(NameError::TooLong));
    assert_eq!(MailboxName::from_wire(b"\xff", REV2), Err(NameError::Utf8));
}

proptest! {
    #[test]
    fn any_name_comes_back_from_the_wire(name in "[a-zé&./ \"\\\\]{1,12}", utf8: bool) {
        for separator in [b'/', b'.'] {
            let dialect = Dialect { utf8, separator, namespaces: &PLAIN };
            if let Ok(name) = MailboxName::new(&name) && !(separator == b'.' && name.as_str().contains('.')) {
                let mut out = Vec::new();
                name.write(&mut out, dialect);
                prop_assert_eq!(Reader::new(&out).mailbox(dialect).unwrap(), Ok(name));
            }
        }
    }

    #[test]
    fn no_octets_panic(wire: Vec<u8>) {
        let _ = MailboxName::from_wire(&wire, REV1);
        let _ = MailboxName::from_wire(&wire, REV2);
        let _ = MailboxName::from_wire(&wire, DOTS);
    }
}
