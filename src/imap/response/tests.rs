use super::*;
use crate::imap::command::{parse_arguments, parse_name};
use crate::imap::syntax::Reader;
use crate::mail::SpecialUse;
use imap_codec::ResponseCodec;
use imap_codec::decode::Decoder;

const REV1: Dialect<'static> = Dialect {
    utf8: false,
    separator: b'/',
    namespaces: &crate::imap::namespace::PLAIN,
};
const REV2: Dialect<'static> = Dialect {
    utf8: true,
    separator: b'/',
    namespaces: &crate::imap::namespace::PLAIN,
};

fn written(write: impl FnOnce(&mut Vec<u8>)) -> String {
    let mut out = Vec::new();
    write(&mut out);
    String::from_utf8(out).unwrap()
}

fn ranges(text: &str) -> Ranges {
    Reader::new(text.as_bytes()).known_uids().unwrap()
}

fn name(text: &str) -> MailboxName {
    MailboxName::new(text).unwrap()
}

fn tag() -> Tag {
    let mut reader = Reader::new(b"a1 NOOP");
    let (tag, name) = parse_name(&mut reader);
    parse_arguments(name.unwrap(), &mut reader, REV1).unwrap();
    tag.unwrap()
}

/// Another implementation has to understand it, and has to see its end where we do.
fn is_understood(response: &str) -> bool {
    ResponseCodec::default()
        .decode(response.as_bytes())
        .is_ok_and(|(rest, _)| rest.is_empty())
}

#[test]
fn status_responses_have_tag_code_and_text() {
    let tag = tag();
    assert_eq!(
        written(|out| tagged(out, &tag, Status::Ok, None, "Done.")),
        "a1 OK Done.\r\n"
    );
    assert_eq!(
        written(|out| tagged(
            out,
            &tag,
            Status::No,
            Some(Code::TryCreate),
            "No such mailbox."
        )),
        "a1 NO [TRYCREATE] No such mailbox.\r\n"
    );
    assert_eq!(
        written(|out| untagged(out, Status::Bad, None, "What?")),
        "* BAD What?\r\n"
    );
    assert_eq!(
        written(|out| bye(out, Some(Code::Unavailable), "Bye.")),
        "* BYE [UNAVAILABLE] Bye.\r\n"
    );
    assert_eq!(
        written(|out| preauth(out, Some(Code::Capability("IMAP4rev1 ID")), "Hello.")),
        "* PREAUTH [CAPABILITY IMAP4rev1 ID] Hello.\r\n"
    );
}

#[test]
fn a_text_is_one_line_of_ascii_whatever_it_was() {
    assert_eq!(
        written(|out| bye(out, None, "a\r\n* OK b\0ü")),
        "* BYE a??* OK b??\r\n"
    );
}

#[test]
fn every_code_is_written() {
    let (few, many) = (ranges("3956"), ranges("304,319:320"));
    for (code, expected) in [
        (Code::AlreadyExists, "ALREADYEXISTS"),
        (Code::AppendUid(38505, &few), "APPENDUID 38505 3956"),
        (Code::AuthenticationFailed, "AUTHENTICATIONFAILED"),
        (Code::AuthorizationFailed, "AUTHORIZATIONFAILED"),
        (Code::BadCharset, "BADCHARSET"),
        (Code::Cannot, "CANNOT"),
        (Code::Capability("IMAP4rev2"), "CAPABILITY IMAP4rev2"),
        (Code::Closed, "CLOSED"),
        (
            Code::CopyUid(38505, &many, &few),
            "COPYUID 38505 304,319:320 3956",
        ),
        (Code::Expired, "EXPIRED"),
        (Code::ExpungeIssued, "EXPUNGEISSUED"),
        (
            Code::HighestModSeq(715_194_045_007),
            "HIGHESTMODSEQ 715194045007",
        ),
        (Code::InUse, "INUSE"),
        (Code::Limit, "LIMIT"),
        (Code::MailboxId("F2212ea87"), "MAILBOXID (F2212ea87)"),
        (Code::Modified(&many), "MODIFIED 304,319:320"),
        (Code::NonExistent, "NONEXISTENT"),
        (Code::NoPerm, "NOPERM"),
        (Code::OverQuota, "OVERQUOTA"),
        (Code::PrivacyRequired, "PRIVACYREQUIRED"),
        (Code::ReadOnly, "READ-ONLY"),
        (Code::ReadWrite, "READ-WRITE"),
        (Code::ServerBug, "SERVERBUG"),
        (Code::TooBig, "TOOBIG"),
        (Code::TryCreate, "TRYCREATE"),
        (Code::UidNext(4_294_967_296), "UIDNEXT 4294967296"),
        (Code::UidValidity(3_857_529_045), "UIDVALIDITY 3857529045"),
        (Code::Unavailable, "UNAVAILABLE"),
        (Code::UnknownCte, "UNKNOWN-CTE"),
        (Code::Unseen(8), "UNSEEN 8"),
        (Code::UseAttr, "USEATTR"),
    ] {
        let line = written(|out| untagged(out, Status::Ok, Some(code), "Text."));
        assert_eq!(line, format!("* OK [{expected}] Text.\r\n"));
        assert!(is_understood(&line), "{line}");
    }
}

#[test]
fn capabilities_depend_on_the_stage() {
    let before = |starttls, login, mechanisms| {
        let stage = Stage::PreLogin {
            starttls,
            login,
            mechanisms,
        };
        capabilities(stage, Some(1))
    };
    assert!(before(true, false, &[]).ends_with(" STARTTLS LOGINDISABLED"));
    assert!(before(false, true, &["PLAIN", "LOGIN"]).ends_with(" ID AUTH=PLAIN AUTH=LOGIN"));
    let after = capabilities(Stage::LoggedIn, Some(1 << 30));
    assert!(
        after.starts_with("IMAP4rev1 IMAP4rev2 ")
            && after.ends_with(" OBJECTID APPENDLIMIT=1073741824")
    );
    assert!(capabilities(Stage::LoggedIn, None).ends_with(" APPENDLIMIT"));
    assert!(!after.contains("  "));
    let line = written(|out| capability(out, &after));
    assert!(line.starts_with("* CAPABILITY IMAP4rev1 ") && is_understood(&line));
}

#[test]
fn mailbox_data_is_written() {
    for (line, expected) in [
        (written(|out| exists(out, 172)), "* 172 EXISTS\r\n"),
        (written(|out| recent(out, 0)), "* 0 RECENT\r\n"),
        (written(|out| expunge(out, 44)), "* 44 EXPUNGE\r\n"),
        (
            written(|out| flags(out, ["$Forwarded"])),
            "* FLAGS (\\Answered \\Flagged \\Deleted \\Seen \\Draft $Forwarded)\r\n",
        ),
        (
            written(|out| permanent_flags(out, Some(["Work"]), true)),
            "* OK [PERMANENTFLAGS (\\Answered \\Flagged \\Deleted \\Seen \\Draft Work \\*)] Flags permitted.\r\n",
        ),
        (
            written(|out| permanent_flags(out, None::<[&str; 0]>, true)),
            "* OK [PERMANENTFLAGS ()] No flags can be changed.\r\n",
        ),
        (
            written(|out| {
                enabled(
                    out,
                    &[
                        Extension::CondStore,
                        Extension::QResync,
                        Extension::Imap4Rev2,
                    ],
                )
            }),
            "* ENABLED CONDSTORE QRESYNC IMAP4rev2\r\n",
        ),
        (
            written(|out| namespace(out, REV1)),
            "* NAMESPACE ((\"\" \"/\")) NIL NIL\r\n",
        ),
        (
            written(|out| id(out, &[("name", "Roost"), ("os", "a\"b")])),
            "* ID (\"name\" \"Roost\" \"os\" \"a\\\"b\")\r\n",
        ),
        (written(|out| id(out, &[])), "* ID NIL\r\n"),
        (
            written(|out| search(out, &ranges("2:3,6"), None)),
            "* SEARCH 2 3 6\r\n",
        ),
        (
            written(|out| search(out, &Ranges::new(), None)),
            "* SEARCH\r\n",
        ),
        (
            written(|out| list_root(out, false, "", REV1)),
            "* LIST (\\Noselect) \"/\" \"\"\r\n",
        ),
    ] {
        assert_eq!(line, expected);
        let other_knows = !["ID", "NAMESPACE"].iter().any(|word| line.contains(word));
        assert!(is_understood(&line) || !other_knows, "{line}");
    }
    assert_eq!(written(|out| enabled(out, &[])), "* ENABLED\r\n");
    assert_eq!(
        written(|out| search(out, &ranges("2,5"), Some(917_162_500))),
        "* SEARCH 2 5 (MODSEQ 917162500)\r\n"
    );
    assert_eq!(
        written(|out| vanished(out, true, &ranges("41,43:116"))),
        "* VANISHED (EARLIER) 41,43:116\r\n"
    );
    assert_eq!(
        written(|out| vanished(out, false, &ranges("405"))),
        "* VANISHED 405\r\n"
    );
    assert_eq!(written(|out| vanished(out, false, &Ranges::new())), "");
}

#[test]
fn lists_are_written_in_the_clients_dialect() {
    let (mailbox, old) = (name("Entwürfe/a b"), name("R&D"));
    let mut listed = Listed {
        attributes: Attributes::HAS_NO_CHILDREN | Attributes::from(SpecialUse::Drafts),
        name: &mailbox,
        child_info_subscribed: false,
        old_name: None,
    };
    let line = written(|out| list(out, listed, REV1));
    assert_eq!(
        line,
        "* LIST (\\HasNoChildren \\Drafts) \"/\" \"Entw&APw-rfe/a b\"\r\n"
    );
    assert!(is_understood(&line));
    let dots = Dialect {
        utf8: false,
        separator: b'.',
        namespaces: &crate::imap::namespace::PLAIN,
    };
    assert_eq!(
        written(|out| lsub(out, listed, dots)),
        "* LSUB (\\HasNoChildren \\Drafts) \".\" \"Entw&APw-rfe.a b\"\r\n"
    );
    listed.attributes = Attributes::default();
    listed.child_info_subscribed = true;
    assert_eq!(
        written(|out| list(out, listed, REV2)),
        "* LIST () \"/\" \"Entwürfe/a b\" (\"CHILDINFO\" (\"SUBSCRIBED\"))\r\n"
    );
    listed.old_name = Some(&old);
    assert_eq!(
        written(|out| list(out, listed, REV2)),
        "* LIST () \"/\" \"Entwürfe/a b\" (\"CHILDINFO\" (\"SUBSCRIBED\") \"OLDNAME\" (R&D))\r\n"
    );
    listed.child_info_subscribed = false;
    assert_eq!(
        written(|out| list(out, listed, REV2)),
        "* LIST () \"/\" \"Entwürfe/a b\" (\"OLDNAME\" (R&D))\r\n"
    );
}

#[test]
fn status_and_esearch_hold_what_was_asked() {
    let values = [
        (StatusItem::Messages, StatusValue::Number(231)),
        (StatusItem::UidNext, StatusValue::Number(44292)),
    ];
    let line = written(|out| status(out, &name("blurdybloop"), &values, REV1));
    assert_eq!(
        line,
        "* STATUS blurdybloop (MESSAGES 231 UIDNEXT 44292)\r\n"
    );
    assert!(is_understood(&line));
    let values = [(StatusItem::MailboxId, StatusValue::Id("F2212ea87"))];
    assert_eq!(
        written(|out| status(out, &name("x"), &values, REV1)),
        "* STATUS x (MAILBOXID (F2212ea87))\r\n"
    );
    let all = ranges("4,9:11");
    let found = Found {
        uid: true,
        min: Some(4),
        max: Some(11),
        all: Some(&all),
        count: Some(4),
        modseq: Some(9),
    };
    assert_eq!(
        written(|out| esearch(out, &tag(), found)),
        "* ESEARCH (TAG \"a1\") UID MIN 4 MAX 11 COUNT 4 ALL 4,9:11 MODSEQ 9\r\n"
    );
    let none = Ranges::new();
    let found = Found {
        all: Some(&none),
        count: Some(0),
        ..Found::default()
    };
    assert_eq!(
        written(|out| esearch(out, &tag(), found)),
        "* ESEARCH (TAG \"a1\") COUNT 0\r\n"
    );
}
