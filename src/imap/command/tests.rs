use super::*;
use crate::imap::flag::Flag;
use crate::mail::{MailboxName, NameError, Ranges, System};
use proptest::prelude::*;

fn read_in(text: &str, dialect: Dialect) -> Parsed<Command> {
    let mut reader = Reader::new(text.as_bytes());
    match parse_name(&mut reader) {
        (Some(tag), name) => {
            assert_eq!(tag.as_bytes(), b"a1");
            parse_arguments(name?, &mut reader, dialect)
        }
        (None, _) => panic!("no tag in {text}"),
    }
}

fn read(arguments: &str) -> Parsed<Command> {
    read_in(&format!("a1 {arguments}"), Dialect::default())
}

fn name(text: &str) -> MailboxArgument {
    MailboxName::new(text)
}

fn set(text: &str) -> Set {
    Reader::new(text.as_bytes()).set().unwrap()
}

fn ranges(text: &str) -> Ranges {
    Reader::new(text.as_bytes()).known_uids().unwrap()
}

fn select(text: &str) -> Parsed<Select> {
    match read(text)? {
        Command::Select(select) => Ok(select),
        other => panic!("{other:?}"),
    }
}

fn store(text: &str) -> Parsed<Store> {
    match read(text)? {
        Command::Store(store) => Ok(store),
        other => panic!("{other:?}"),
    }
}

#[test]
fn commands_without_arguments_are_read_in_any_case() {
    for (text, command) in [
        ("CAPABILITY", Command::Capability),
        ("noop", Command::Noop),
        ("Logout", Command::Logout),
        ("STARTTLS", Command::StartTls),
        ("NAMESPACE", Command::Namespace),
        ("IDLE", Command::Idle),
        ("CHECK", Command::Check),
        ("CLOSE", Command::Close),
        ("UNSELECT", Command::Unselect),
        ("EXPUNGE", Command::Expunge { uids: None }),
    ] {
        assert_eq!(read(text), Ok(command.clone()), "{text}");
        assert_eq!(read(&format!("{text} ")), Ok(command));
        assert!(read(&format!("{text} x")).is_err(), "{text}");
    }
}

#[test]
fn credentials_are_octets_and_cannot_be_printed() {
    let login = Command::Login {
        user: "smith".into(),
        password: Secret::new("a b\"".into()),
    };
    assert_eq!(read("LOGIN smith \"a b\\\"\""), Ok(login.clone()));
    assert_eq!(read("LOGIN {5}\r\nsmith {4+}\r\na b\""), Ok(login.clone()));
    assert!(!format!("{login:?}").contains("a b"));
    let authenticate = |initial: Option<&[u8]>| {
        Ok(Command::Authenticate {
            mechanism: "PLAIN".to_owned(),
            initial: initial.map(|initial| Secret::new(initial.to_vec())),
        })
    };
    assert_eq!(read("AUTHENTICATE plain"), authenticate(None));
    assert_eq!(read("AUTHENTICATE PLAIN ="), authenticate(Some(b"")));
    assert_eq!(
        read("AUTHENTICATE PLAIN dGVzdAB0ZXN0AHRlc3Q="),
        authenticate(Some(b"test\0test\0test"))
    );
    assert_eq!(
        read("AUTHENTICATE PLAIN dGVzdAB0ZXN0AHRlc3Q"),
        authenticate(Some(b"test\0test\0test"))
    );
    for text in [
        "LOGIN",
        "LOGIN a",
        "LOGIN a b c",
        "AUTHENTICATE",
        "AUTHENTICATE PLAIN *",
        "AUTHENTICATE PLAIN == x",
    ] {
        assert!(read(text).is_err(), "{text}");
    }
}

#[test]
fn id_has_fields_or_nil() {
    let id = |fields: &[(&str, Option<&str>)]| {
        let owned = fields.iter().map(|(name, value)| {
            (
                name.as_bytes().to_vec(),
                value.map(|value| value.as_bytes().to_vec()),
            )
        });
        Ok(Command::Id(owned.collect()))
    };
    assert_eq!(read("ID NIL"), id(&[]));
    assert_eq!(read("ID ()"), id(&[]));
    assert_eq!(
        read("ID (\"name\" \"sodr\" \"version\" NIL \"x\" {1}\r\ny)"),
        id(&[("name", Some("sodr")), ("version", None), ("x", Some("y"))])
    );
    for text in [
        "ID",
        "ID x",
        "ID (\"name\")",
        "ID (\"name\" x)",
        "ID (NIL NIL)",
    ] {
        assert!(read(text).is_err(), "{text}");
    }
}

#[test]
fn enable_ignores_what_it_does_not_know() {
    use Extension::*;
    assert_eq!(
        read("ENABLE QRESYNC X-FOO"),
        Ok(Command::Enable(vec![QResync]))
    );
    assert_eq!(
        read("ENABLE condstore IMAP4rev2"),
        Ok(Command::Enable(vec![CondStore, Imap4Rev2]))
    );
    assert_eq!(read("ENABLE UTF8=ACCEPT"), Ok(Command::Enable(vec![])));
    assert!(read("ENABLE").is_err() && read("ENABLE (X)").is_err());
}

#[test]
fn mailbox_commands_take_any_astring() {
    for (text, command) in [
        ("DELETE blurdybloop", Command::Delete(name("blurdybloop"))),
        ("SUBSCRIBE \"a b\"", Command::Subscribe(name("a b"))),
        (
            "UNSUBSCRIBE {5}\r\ninbox",
            Command::Unsubscribe(name("INBOX")),
        ),
        (
            "RENAME a {1+}\r\nb",
            Command::Rename {
                from: name("a"),
                to: name("b"),
            },
        ),
        (
            "CREATE owatagusiam/",
            Command::Create(Create {
                mailbox: name("owatagusiam"),
                special_use: Ok(vec![]),
            }),
        ),
        (
            "COPY 2:4 MEETING",
            Command::Copy(Copy {
                uid: false,
                set: set("2:4"),
                mailbox: name("MEETING"),
            }),
        ),
        (
            "UID MOVE $ foo",
            Command::Move(Copy {
                uid: true,
                set: Set::Saved,
                mailbox: name("foo"),
            }),
        ),
        ("DELETE a]b", Command::Delete(name("a]b"))),
        ("DELETE R&D", Command::Delete(Err(NameError::Utf7))),
        ("DELETE \"\"", Command::Delete(Err(NameError::Empty))),
    ] {
        assert_eq!(read(text), Ok(command), "{text}");
    }
    let rev2 = Dialect {
        utf8: true,
        separator: b'.',
        namespaces: &crate::imap::namespace::PLAIN,
    };
    assert_eq!(
        read_in("a1 DELETE \"R&D.ä\"", rev2),
        Ok(Command::Delete(name("R&D/ä")))
    );
    for text in [
        "DELETE",
        "DELETE ",
        "DELETE a b",
        "RENAME a",
        "COPY a b",
        "COPY 1",
        "MOVE 1 a b",
        "UID DELETE a",
    ] {
        assert!(read(text).is_err(), "{text}");
    }
}

#[test]
fn create_takes_special_uses() {
    let create = |special_use| {
        Ok(Command::Create(Create {
            mailbox: name("x"),
            special_use,
        }))
    };
    assert_eq!(
        read("CREATE x (USE (\\Drafts \\sent \\Sent))"),
        create(Ok(vec![SpecialUse::Drafts, SpecialUse::Sent]))
    );
    assert_eq!(
        read("CREATE x (USE (\\Drafts \\Foo \\Sent))"),
        create(Err(UnknownUse))
    );
    assert_eq!(read("CREATE x (USE ())"), create(Ok(vec![])));
    for text in [
        "CREATE x y",
        "CREATE x (FOO)",
        "CREATE x (USE)",
        "CREATE x (USE (Drafts))",
        "CREATE x (USE (\\Sent)",
    ] {
        assert!(read(text).is_err(), "{text}");
    }
}

#[test]
fn status_asks_for_every_item_once() {
    let all: Vec<&str> = StatusItem::ALL.iter().map(|item| item.as_str()).collect();
    let text = format!(
        "STATUS x ({} {})",
        all.join(" "),
        all.join(" ").to_lowercase()
    );
    let items = StatusItem::ALL.to_vec();
    assert_eq!(
        read(&text),
        Ok(Command::Status {
            mailbox: name("x"),
            items
        })
    );
    for text in [
        "STATUS x",
        "STATUS x MESSAGES",
        "STATUS x ()",
        "STATUS x (FOO)",
        "STATUS x (MESSAGES",
    ] {
        assert!(read(text).is_err(), "{text}");
    }
}

/// RFC 7162 3.1.8 and 3.2.5
#[test]
fn select_takes_condstore_and_qresync() {
    let plain = select("SELECT inbox").unwrap();
    assert!(!plain.examine && !plain.condstore && plain.qresync.is_none());
    assert!(select("EXAMINE INBOX").unwrap().examine);
    assert!(select("SELECT INBOX (CONDSTORE)").unwrap().condstore);
    let qresync = |text: &str| {
        select(&format!("SELECT x ({text})"))
            .unwrap()
            .qresync
            .unwrap()
    };
    assert_eq!(
        qresync("QRESYNC (67890007 20050715194045000 41,43:211,214:541)"),
        Qresync {
            uid_validity: 67_890_007,
            modseq: 20_050_715_194_045_000,
            known_uids: Some(ranges("41,43:211,214:541")),
            sequence_match: None,
        }
    );
    let short = qresync("QRESYNC (3857529045 20010715194032001)");
    assert_eq!((short.known_uids, short.sequence_match), (None, None));
    let full =
        qresync("QRESYNC (67890007 90060115194045000 1:29997 (5000,7500,9000 15000,22500,27000))");
    let sets = SequenceMatch {
        numbers: ranges("5000,7500,9000"),
        uids: ranges("15000,22500,27000"),
    };
    assert_eq!(full.sequence_match, Some(sets.clone()));
    let without_known = qresync("QRESYNC (1 2 (5000,7500,9000 15000,22500,27000)) CONDSTORE");
    assert_eq!(
        (without_known.known_uids, without_known.sequence_match),
        (None, Some(sets))
    );
    for text in [
        "FOO",
        "QRESYNC",
        "QRESYNC ()",
        "QRESYNC (1)",
        "QRESYNC (1 x)",
        "QRESYNC (1 2 1:*)",
        "QRESYNC (1 2 ())",
        "QRESYNC (1 2 (1 2,3))",
        "QRESYNC (1 2 (1))",
        "QRESYNC (1 2 1 2)",
        "QRESYNC (1 2",
        "CONDSTORE",
    ] {
        let wrapped = if text == "CONDSTORE" {
            "SELECT x CONDSTORE".to_owned()
        } else {
            format!("SELECT x ({text})")
        };
        assert!(select(&wrapped).is_err(), "{text}");
    }
}

#[test]
fn store_is_read_in_all_its_forms() {
    let deleted = vec![Flag::System(System::DELETED)];
    for (text, how, silent, unchanged_since) in [
        ("STORE 2:4 +FLAGS (\\Deleted)", How::Add, false, None),
        ("STORE 2:4 -flags.silent \\Deleted", How::Remove, true, None),
        ("STORE 2:4 FLAGS \\Deleted", How::Replace, false, None),
        (
            "STORE 2:4 (UNCHANGEDSINCE 12121230045) +FLAGS.SILENT (\\Deleted)",
            How::Add,
            true,
            Some(12_121_230_045),
        ),
        (
            "STORE 2:4 (UNCHANGEDSINCE 0) FLAGS.SILENT (\\Deleted)",
            How::Replace,
            true,
            Some(0),
        ),
    ] {
        let expected = Store {
            uid: false,
            set: set("2:4"),
            unchanged_since,
            how,
            silent,
            flags: deleted.clone(),
        };
        assert_eq!(store(text), Ok(expected), "{text}");
    }
    let several = store("UID STORE $ +FLAGS \\Seen Work").unwrap();
    assert!(several.uid && several.set == Set::Saved && several.flags.len() == 2);
    assert!(store("STORE 1 FLAGS ()").unwrap().flags.is_empty());
    for text in [
        "STORE",
        "STORE 1",
        "STORE 1 FLAGS",
        "STORE 1 FOO (\\Seen)",
        "STORE 1 *FLAGS (\\Seen)",
        "STORE 1 ++FLAGS (\\Seen)",
        "STORE 1 FLAGS (\\Seen) x",
        "STORE 1 (FOO 1) FLAGS ()",
        "STORE 1 (UNCHANGEDSINCE) FLAGS ()",
        "STORE a FLAGS ()",
        "STORE 1 (UNCHANGEDSINCE 9223372036854775808) FLAGS ()",
        "STORE 1 (UNCHANGEDSINCE 1)",
    ] {
        assert!(read(text).is_err(), "{text}");
    }
}

#[test]
fn uid_precedes_only_some_commands() {
    assert_eq!(
        read("UID EXPUNGE 3000:3002"),
        Ok(Command::Expunge {
            uids: Some(set("3000:3002"))
        })
    );
    assert!(matches!(
        read("UID SEARCH ALL"),
        Ok(Command::Search(Search { uid: true, .. }))
    ));
    assert!(matches!(
        read("uid fetch 1 FLAGS"),
        Ok(Command::Fetch(Fetch { uid: true, .. }))
    ));
    for text in [
        "UID",
        "UID ",
        "UID NOOP",
        "UID UID FETCH 1 FLAGS",
        "UID EXPUNGE",
        "UID APPEND x {5}",
    ] {
        assert!(read(text).is_err(), "{text}");
    }
}

#[test]
fn lsub_joins_its_reference() {
    let expected = Pattern::new(b"", b"#news/comp.mail.*", Dialect::default());
    assert_eq!(
        read("LSUB \"#news/\" \"comp.mail.*\""),
        Ok(Command::Lsub(expected))
    );
    assert!(read("LSUB \"\"").is_err() && read("LSUB \"\" * x").is_err());
}

#[test]
fn a_tag_is_kept_whatever_follows() {
    let tag_of = |text: &str| {
        parse_name(&mut Reader::new(text.as_bytes()))
            .0
            .map(|tag| tag.to_string())
    };
    assert_eq!(tag_of("a1 FOO").as_deref(), Some("a1"));
    assert_eq!(tag_of("a1").as_deref(), Some("a1"));
    assert_eq!(tag_of("]. x").as_deref(), Some("]."));
    for text in ["", " NOOP", "+ x", "* x", "(", "\"a\" NOOP", "{5}"] {
        assert_eq!(tag_of(text), None, "{text}");
    }
    for text in [
        "",
        " ",
        "FOO",
        "FETCHX 1 FLAGS",
        "X".repeat(60_000).as_str(),
    ] {
        assert!(read(text).is_err(), "{text}");
    }
}

proptest! {
    #[test]
    fn no_octets_panic(text: Vec<u8>, arguments in "(UID |SELECT x|STORE 1|FLAGS|QRESYNC|CREATE|USE|ID|\\(|\\)|\\\\|[0-9]|\"| ){0,12}") {
        for text in [text, format!("a {arguments}").into_bytes()] {
            let mut reader = Reader::new(&text);
            if let (_, Ok(name)) = parse_name(&mut reader) {
                let _ = parse_arguments(name, &mut reader, Dialect::default());
            }
        }
    }
}
