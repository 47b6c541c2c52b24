use super::*;
use crate::mail::System;
use proptest::prelude::*;

fn read(text: &str, uid: bool) -> Parsed<Fetch> {
    let mut reader = Reader::new(text.as_bytes());
    let fetch = reader.fetch_arguments(uid)?;
    reader.end().map(|()| fetch)
}

fn item(text: &str) -> Parsed<FetchItem> {
    let items = read(&format!("1 {text}"), false)?.items;
    assert_eq!(items, read(&format!("1 ({text})"), false)?.items);
    let [item] = items.as_slice() else {
        panic!("{items:?}");
    };
    Ok(item.clone())
}

fn body(part: &[u32], text: SectionText, peek: bool, partial: Option<(u64, u64)>) -> FetchItem {
    FetchItem::Section(SectionItem {
        spelling: Spelling::Body,
        section: Section {
            part: part.to_vec(),
            text,
        },
        partial: partial.map(|(first, count)| Partial { first, count }),
        peek,
    })
}

fn fields(names: &[&str], not: bool) -> SectionText {
    SectionText::HeaderFields {
        names: names.iter().map(|name| name.as_bytes().to_vec()).collect(),
        not,
    }
}

#[test]
fn every_item_is_read() {
    for (text, expected) in [
        ("UID", FetchItem::Fact(Fact::Uid)),
        ("flags", FetchItem::Fact(Fact::Flags)),
        ("INTERNALDATE", FetchItem::Fact(Fact::InternalDate)),
        ("RFC822.SIZE", FetchItem::Fact(Fact::Rfc822Size)),
        ("MODSEQ", FetchItem::Fact(Fact::ModSeq)),
        ("ENVELOPE", FetchItem::Envelope),
        ("BODY", FetchItem::Body),
        ("BODYSTRUCTURE", FetchItem::BodyStructure),
        ("SAVEDATE", FetchItem::Fact(Fact::SaveDate)),
        ("EMAILID", FetchItem::Fact(Fact::EmailId)),
        ("THREADID", FetchItem::Fact(Fact::ThreadId)),
        (
            "RFC822",
            rfc822(Spelling::Rfc822, SectionText::Whole, false),
        ),
        (
            "RFC822.HEADER",
            rfc822(Spelling::Rfc822Header, SectionText::Header, true),
        ),
        (
            "RFC822.TEXT",
            rfc822(Spelling::Rfc822Text, SectionText::Text, false),
        ),
        (
            "BINARY.SIZE[1.2]",
            FetchItem::BinarySize { part: vec![1, 2] },
        ),
        (
            "BINARY[]",
            FetchItem::Binary {
                part: vec![],
                partial: None,
                peek: false,
            },
        ),
        (
            "BINARY.PEEK[3]<5.6>",
            FetchItem::Binary {
                part: vec![3],
                partial: Some(Partial { first: 5, count: 6 }),
                peek: true,
            },
        ),
    ] {
        assert_eq!(item(text), Ok(expected), "{text}");
    }
}

#[test]
fn every_section_is_read() {
    for (text, expected) in [
        ("BODY[]", body(&[], SectionText::Whole, false, None)),
        (
            "BODY.PEEK[]<0.0>",
            body(&[], SectionText::Whole, true, Some((0, 0))),
        ),
        ("BODY[1]", body(&[1], SectionText::Whole, false, None)),
        (
            "body.peek[1.2.mime]",
            body(&[1, 2], SectionText::Mime, true, None),
        ),
        (
            "BODY[4294967295.TEXT]",
            body(&[u32::MAX], SectionText::Text, false, None),
        ),
        ("BODY[HEADER]", body(&[], SectionText::Header, false, None)),
        (
            "BODY[TEXT]<10.20>",
            body(&[], SectionText::Text, false, Some((10, 20))),
        ),
        (
            "BODY.PEEK[HEADER.FIELDS (DATE \"From\")]<0.1024>",
            body(&[], fields(&["DATE", "From"], false), true, Some((0, 1024))),
        ),
        (
            "BODY[3.header.fields.not ({2}\r\nCC)]",
            body(&[3], fields(&["CC"], true), false, None),
        ),
    ] {
        assert_eq!(item(text), Ok(expected), "{text}");
    }
}

#[test]
fn macros_are_written_out() {
    use Fact::{Flags, InternalDate, Rfc822Size};
    let items = |text| read(text, false).unwrap().items;
    let fast = [Flags, InternalDate, Rfc822Size].map(FetchItem::Fact);
    let all = [&fast[..], &[FetchItem::Envelope]].concat();
    let full = [&all[..], &[FetchItem::Body]].concat();
    assert_eq!(items("1 FAST"), fast);
    assert_eq!(items("1 all"), all);
    assert_eq!(items("1 FULL"), full);
    assert!(read("1 (FAST)", false).is_err());
}

#[test]
fn uid_and_modseq_are_there_where_the_rfcs_want_them() {
    use Fact::{Flags, ModSeq, Uid};
    let items = |text, uid| read(text, uid).unwrap().items;
    let facts = |facts: &[Fact]| Vec::from_iter(facts.iter().copied().map(FetchItem::Fact));
    assert_eq!(items("1 (FLAGS FLAGS)", true), facts(&[Uid, Flags]));
    assert_eq!(items("1 (FLAGS UID)", true), facts(&[Uid, Flags]));
    assert_eq!(items("1 (FLAGS UID)", false), facts(&[Flags, Uid]));
    let fetch = read("1:* (FLAGS) (CHANGEDSINCE 12345 VANISHED)", true).unwrap();
    assert_eq!(fetch.items, facts(&[Uid, Flags, ModSeq]));
    assert_eq!((fetch.changed_since, fetch.vanished), (Some(12345), true));
    let fetch = read("$ MODSEQ (CHANGEDSINCE 0)", false).unwrap();
    assert_eq!(fetch.items, facts(&[ModSeq]));
    assert_eq!(fetch.set, Set::Saved);
}

#[test]
fn wrong_fetches_are_refused() {
    for text in [
        "",
        "1",
        "1 ",
        "1 ()",
        "1 (",
        "1 (FLAGS",
        "1 X",
        "1 FLAGS UID",
        "a FLAGS",
        "1 BODY[",
        "1 BODY[0]",
        "1 BODY[1.]",
        "1 BODY[1..2]",
        "1 BODY[.1]",
        "1 BODY[1MIME]",
        "1 BODY[MIME]",
        "1 BODY[X]",
        "1 BODY[1.X]",
        "1 BODY[01]",
        "1 BODY[4294967296]",
        "1 BODY[HEADER.FIELDS]",
        "1 BODY[HEADER.FIELDS ()]",
        "1 BODY[HEADER.FIELDS (a]",
        "1 BODY[HEADER.FIELDS a]",
        "1 BODY[]<",
        "1 BODY[]<1>",
        "1 BODY[]<1.>",
        "1 BODY[]<1.1",
        "1 BODY[]<a.1>",
        "1 BODY[]<99999999999999999999.1>",
        "1 BODY.PEEK",
        "1 BINARY",
        "1 BINARY.SIZE[1]<0.1>",
        "1 BINARY[TEXT]",
        "1 FLAGS (X)",
        "1 FLAGS (CHANGEDSINCE)",
        "1 FLAGS (CHANGEDSINCE a)",
        "1 FLAGS (CHANGEDSINCE 1 VANISHED)",
        "1 FLAGS (VANISHED)",
        "1 RFC822.PEEK",
        "1 BODYSTRUCTURE[1]",
    ] {
        assert!(read(text, false).is_err(), "{text}");
    }
    assert!(read("1 FLAGS (VANISHED)", true).is_err());
}

#[test]
fn only_what_is_not_peeked_sets_seen() {
    for text in [
        "BODY[]",
        "BODY[1.MIME]",
        "RFC822",
        "RFC822.TEXT",
        "BINARY[1]",
    ] {
        assert!(item(text).unwrap().sets_seen(), "{text}");
    }
    for text in [
        "BODY",
        "BODY.PEEK[]",
        "RFC822.HEADER",
        "BINARY.PEEK[1]",
        "BINARY.SIZE[1]",
        "FLAGS",
        "ENVELOPE",
    ] {
        assert!(!item(text).unwrap().sets_seen(), "{text}");
    }
}

#[test]
fn answers_are_spelled_as_asked() {
    let answer = |text: &str| {
        let mut out = Vec::new();
        let mut line = FetchLine::begin(&mut out, 7);
        match item(text).unwrap() {
            FetchItem::Section(item) => line.section_literal(&mut out, &item, 3),
            FetchItem::Binary { part, partial, .. } => {
                line.binary_literal(&mut out, &part, partial, 3, true)
            }
            other => panic!("{other:?}"),
        }
        String::from_utf8(out).unwrap()
    };
    for (asked, answered) in [
        ("BODY.PEEK[]", "BODY[] {3}"),
        ("body[]<5.10>", "BODY[]<5> {3}"),
        ("BODY[1.2.MIME]", "BODY[1.2.MIME] {3}"),
        ("BODY[1.2]", "BODY[1.2] {3}"),
        ("BODY[2.HEADER]", "BODY[2.HEADER] {3}"),
        (
            "BODY[HEADER.FIELDS (Date \"a b\")]<0.9>",
            "BODY[HEADER.FIELDS (Date \"a b\")]<0> {3}",
        ),
        (
            "BODY[1.HEADER.FIELDS.NOT (Date)]",
            "BODY[1.HEADER.FIELDS.NOT (Date)] {3}",
        ),
        ("BODY[TEXT]", "BODY[TEXT] {3}"),
        ("RFC822", "RFC822 {3}"),
        ("RFC822.HEADER", "RFC822.HEADER {3}"),
        ("RFC822.TEXT", "RFC822.TEXT {3}"),
        ("BINARY.PEEK[1]<7.8>", "BINARY[1]<7> ~{3}"),
    ] {
        assert_eq!(answer(asked), format!("* 7 FETCH ({answered}\r\n"));
    }
}

#[test]
fn a_line_of_everything_is_written() {
    let mut out = Vec::new();
    let time = DateTime {
        seconds: 837_596_665,
        zone_minutes: -420,
    };
    let mut line = FetchLine::begin(&mut out, 12);
    line.uid(&mut out, Uid(4294967295));
    let flags = Flags {
        system: System::SEEN,
        keywords: 1,
    };
    line.flags(&mut out, flags, false, |_| Some("$MDNSent"));
    line.modseq(&mut out, u64::MAX);
    line.internal_date(&mut out, time);
    line.save_date(&mut out, Some(time));
    line.save_date(&mut out, None);
    line.rfc822_size(&mut out, 4286);
    line.email_id(&mut out, "M6d99ac3275bb4e");
    line.thread_id(&mut out, Some("T64b478a75b7ea9"));
    line.thread_id(&mut out, None);
    line.envelope(&mut out, b"(NIL)");
    line.body_structure(&mut out, false, b"(1)");
    line.body_structure(&mut out, true, b"(2)");
    line.binary_size(&mut out, &[1, 2], 5);
    line.binary_nil(&mut out, &[9], None);
    line.end(&mut out);
    assert_eq!(
        String::from_utf8(out).unwrap(),
        "* 12 FETCH (UID 4294967295 FLAGS (\\Seen $MDNSent) MODSEQ (18446744073709551615) \
         INTERNALDATE \"17-Jul-1996 02:44:25 -0700\" SAVEDATE \"17-Jul-1996 02:44:25 -0700\" SAVEDATE NIL \
         RFC822.SIZE 4286 EMAILID (M6d99ac3275bb4e) THREADID (T64b478a75b7ea9) THREADID NIL ENVELOPE (NIL) \
         BODY (1) BODYSTRUCTURE (2) BINARY.SIZE[1.2] 5 BINARY[9] NIL)\r\n"
    );
}

#[test]
fn another_implementation_understands_the_answer() {
    use imap_codec::ResponseCodec;
    use imap_codec::decode::Decoder;
    let mut out = Vec::new();
    let mut line = FetchLine::begin(&mut out, 12);
    line.uid(&mut out, Uid(3));
    line.flags(
        &mut out,
        Flags {
            system: System(31),
            keywords: 1,
        },
        true,
        |_| Some("$MDNSent"),
    );
    line.internal_date(
        &mut out,
        DateTime {
            seconds: 837_596_665,
            zone_minutes: -420,
        },
    );
    line.rfc822_size(&mut out, 4286);
    for text in [
        "BODY[HEADER.FIELDS (Date \"From\")]<0.9>",
        "BODY[1.2.MIME]",
        "BODY[]",
        "RFC822",
    ] {
        match item(text).unwrap() {
            FetchItem::Section(item) => line.section_literal(&mut out, &item, 3),
            other => panic!("{other:?}"),
        }
        out.extend_from_slice(b"a)\n");
    }
    line.end(&mut out);
    let understood = ResponseCodec::default().decode(&out);
    assert!(understood.is_ok_and(|(rest, _)| rest.is_empty()));
}

#[test]
fn ten_thousand_items_are_one() {
    let text = format!("1 ({})", vec!["BODY.PEEK[1]"; 10_000].join(" "));
    assert_eq!(read(&text, false).unwrap().items.len(), 1);
}

proptest! {
    #[test]
    fn no_octets_panic(text: Vec<u8>, words in "(1 |BODY|BINARY|HEADER.FIELDS|\\[|\\]|\\(|\\)|<|>|\\.|[0-9]| ){0,12}") {
        let _ = Reader::new(&text).fetch_arguments(true);
        let _ = Reader::new(words.as_bytes()).fetch_arguments(true);
    }
}
