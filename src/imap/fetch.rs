//! FETCH: its arguments (RFC 3501 6.4.5, RFC 3516, RFC 7162, RFC 8474, RFC 8514), and its
//! responses.

use super::flag::write_flags;
use super::sequence::Set;
use super::syntax::{Parsed, Reader, fail, write_astring, write_date_time, write_number};
use crate::mail::{DateTime, Flags, Uid};
use std::collections::HashSet;

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fetch {
    pub uid: bool,
    pub set: Set,
    /// Macros written out; UID FETCH begins with `Uid` (RFC 3501 6.4.8), CHANGEDSINCE adds `ModSeq`
    /// if the client left it out (RFC 7162 3.1.4.1).  No element occurs twice.
    pub items: Vec<FetchItem>,
    pub changed_since: Option<u64>,
    /// `VANISHED` (RFC 7162 3.2.6); QRESYNC is enabled.
    pub vanished: bool,
}

/// fetch-att
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum FetchItem {
    Fact(Fact),
    Envelope,
    /// `BODY` without a section: BODYSTRUCTURE without extension data.
    Body,
    BodyStructure,
    /// `BODY[section]<partial>`, and the RFC822 family, which is only another spelling.
    Section(SectionItem),
    /// `BINARY[part]<partial>` (RFC 3516)
    Binary {
        part: Vec<u32>,
        partial: Option<Partial>,
        peek: bool,
    },
    BinarySize {
        part: Vec<u32>,
    },
}

/// A fetch-att that asks for a fact about the message, and not for what is in it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Fact {
    Uid,
    Flags,
    InternalDate,
    Rfc822Size,
    ModSeq,
    SaveDate,
    EmailId,
    ThreadId,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct SectionItem {
    pub spelling: Spelling,
    pub section: Section,
    pub partial: Option<Partial>,
    pub peek: bool,
}

/// How the client spelled a section, which is how the answer spells it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Spelling {
    Body,
    Rfc822,
    Rfc822Header,
    Rfc822Text,
}

/// section-spec: `part` is empty for the whole message.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Section {
    pub part: Vec<u32>,
    pub text: SectionText,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum SectionText {
    Whole,
    Header,
    /// HEADER.FIELDS, or HEADER.FIELDS.NOT if `not`; names as the client wrote them.
    HeaderFields {
        names: Vec<Vec<u8>>,
        not: bool,
    },
    Text,
    Mime,
}

/// `<first.count>`
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Partial {
    pub first: u64,
    pub count: u64,
}

impl FetchItem {
    /// Whether it sets \Seen.
    pub fn sets_seen(&self) -> bool {
        match self {
            FetchItem::Section(SectionItem { peek, .. }) | FetchItem::Binary { peek, .. } => !peek,
            FetchItem::Fact(_)
            | FetchItem::Envelope
            | FetchItem::Body
            | FetchItem::BodyStructure
            | FetchItem::BinarySize { .. } => false,
        }
    }

    pub fn as_fact(&self) -> Option<Fact> {
        if let FetchItem::Fact(fact) = self {
            return Some(*fact);
        }
        None
    }
}

impl Reader<'_> {
    /// fetch = "FETCH" SP sequence-set SP ("ALL" / "FULL" / "FAST" / fetch-att /
    /// "(" fetch-att *(SP fetch-att) ")") [fetch-modifiers]
    pub fn fetch_arguments(&mut self, uid: bool) -> Parsed<Fetch> {
        let set = self.set()?;
        self.space()?;
        let mut items = if uid {
            vec![FetchItem::Fact(Fact::Uid)]
        } else {
            Vec::new()
        };
        let implied = items.len();
        if self.peek() == Some(b'(') {
            self.list(|reader| {
                let item = reader.word();
                reader.fetch_att(item.as_str()).map(|item| items.push(item))
            })?;
        } else {
            let item = self.word();
            match fetch_macro(item.as_str()) {
                Some(written_out) => items.extend_from_slice(written_out),
                None => items.push(self.fetch_att(item.as_str())?),
            }
        }
        if items.len() == implied {
            return fail("FETCH list is empty");
        }
        let mut fetch = Fetch {
            uid,
            set,
            items,
            changed_since: None,
            vanished: false,
        };
        if !self.is_at_end() {
            self.space()?;
            self.fetch_modifiers(&mut fetch)?;
        }
        make_unique(&mut fetch.items);
        Ok(fetch)
    }

    /// fetch-modifiers = "(" fetch-modifier *(SP fetch-modifier) ")" (RFC 4466 2.4)
    fn fetch_modifiers(&mut self, fetch: &mut Fetch) -> Parsed<()> {
        self.list(|reader| {
            match reader.word().as_str() {
                "CHANGEDSINCE" => {
                    reader.space()?;
                    fetch.changed_since = Some(reader.number64()?);
                }
                "VANISHED" => fetch.vanished = true,
                _ => return fail("Unknown FETCH modifier"),
            }
            Ok(())
        })?;
        if fetch.vanished && !(fetch.uid && fetch.changed_since.is_some()) {
            return fail("VANISHED needs UID FETCH with CHANGEDSINCE");
        }
        if fetch.changed_since.is_some() {
            fetch.items.push(FetchItem::Fact(Fact::ModSeq));
        }
        Ok(())
    }

    /// fetch-att, whose first word has been read
    fn fetch_att(&mut self, word: &str) -> Parsed<FetchItem> {
        Ok(match word {
            "UID" => FetchItem::Fact(Fact::Uid),
            "FLAGS" => FetchItem::Fact(Fact::Flags),
            "INTERNALDATE" => FetchItem::Fact(Fact::InternalDate),
            "RFC822.SIZE" => FetchItem::Fact(Fact::Rfc822Size),
            "MODSEQ" => FetchItem::Fact(Fact::ModSeq),
            "ENVELOPE" => FetchItem::Envelope,
            "BODYSTRUCTURE" => FetchItem::BodyStructure,
            "SAVEDATE" => FetchItem::Fact(Fact::SaveDate),
            "EMAILID" => FetchItem::Fact(Fact::EmailId),
            "THREADID" => FetchItem::Fact(Fact::ThreadId),
            "RFC822" => rfc822(Spelling::Rfc822, SectionText::Whole, false),
            "RFC822.HEADER" => rfc822(Spelling::Rfc822Header, SectionText::Header, true),
            "RFC822.TEXT" => rfc822(Spelling::Rfc822Text, SectionText::Text, false),
            "BODY" if self.peek() != Some(b'[') => FetchItem::Body,
            "BODY" | "BODY.PEEK" => FetchItem::Section(SectionItem {
                spelling: Spelling::Body,
                section: self.section()?,
                partial: self.partial()?,
                peek: word == "BODY.PEEK",
            }),
            "BINARY" | "BINARY.PEEK" => FetchItem::Binary {
                part: self.section_binary()?,
                partial: self.partial()?,
                peek: word == "BINARY.PEEK",
            },
            "BINARY.SIZE" => FetchItem::BinarySize {
                part: self.section_binary()?,
            },
            _ => return fail("Unknown FETCH item"),
        })
    }

    /// section = "[" [section-spec] "]"
    fn section(&mut self) -> Parsed<Section> {
        self.expect(b'[', "Missing '['")?;
        let section = self.section_spec()?;
        self.expect(b']', "Missing ']'")?;
        Ok(section)
    }

    /// section-spec = section-msgtext / (section-part ["." section-text])
    fn section_spec(&mut self) -> Parsed<Section> {
        let part = self.section_part()?;
        if self.peek() == Some(b']') {
            return Ok(Section {
                part,
                text: SectionText::Whole,
            });
        }
        if !part.is_empty() {
            self.expect(b'.', BAD_SECTION)?;
        }
        let text = match self.word().as_str() {
            "HEADER" => SectionText::Header,
            "HEADER.FIELDS" => self.header_list(false)?,
            "HEADER.FIELDS.NOT" => self.header_list(true)?,
            "TEXT" => SectionText::Text,
            "MIME" if !part.is_empty() => SectionText::Mime,
            _ => return fail(BAD_SECTION),
        };
        Ok(Section { part, text })
    }

    /// section-part = nz-number *("." nz-number)
    fn section_part(&mut self) -> Parsed<Vec<u32>> {
        let mut part = Vec::new();
        while let [b'1'..=b'9', ..] | [b'.', b'1'..=b'9', ..] = self.rest()
            && part.is_empty() != self.eat(b'.')
        {
            part.push(self.number()?);
        }
        Ok(part)
    }

    /// header-list = "(" header-fld-name *(SP header-fld-name) ")"
    fn header_list(&mut self, not: bool) -> Parsed<SectionText> {
        self.space()?;
        let mut names = Vec::new();
        self.list(|reader| {
            names.push(reader.astring()?.into_owned());
            Ok(())
        })?;
        if names.is_empty() {
            return fail("Missing header field names");
        }
        Ok(SectionText::HeaderFields { names, not })
    }

    /// section-binary = "[" [section-part] "]" (RFC 3516 7)
    fn section_binary(&mut self) -> Parsed<Vec<u32>> {
        self.expect(b'[', "Missing '['")?;
        let part = self.section_part()?;
        self.expect(b']', "Missing ']'")?;
        Ok(part)
    }

    /// partial = "<" number64 "." nz-number64 ">"; none at all may be asked for as well.
    fn partial(&mut self) -> Parsed<Option<Partial>> {
        if !self.eat(b'<') {
            return Ok(None);
        }
        let first = self.number64()?;
        self.expect(b'.', BAD_PARTIAL)?;
        let count = self.number64()?;
        self.expect(b'>', BAD_PARTIAL)?;
        Ok(Some(Partial { first, count }))
    }
}

fn fetch_macro(word: &str) -> Option<&'static [FetchItem]> {
    const FULL: &[FetchItem] = &[
        FetchItem::Fact(Fact::Flags),
        FetchItem::Fact(Fact::InternalDate),
        FetchItem::Fact(Fact::Rfc822Size),
        FetchItem::Envelope,
        FetchItem::Body,
    ];
    match word {
        "FAST" => FULL.get(..3),
        "ALL" => FULL.get(..4),
        "FULL" => Some(FULL),
        _ => None,
    }
}

fn rfc822(spelling: Spelling, text: SectionText, peek: bool) -> FetchItem {
    FetchItem::Section(SectionItem {
        spelling,
        section: Section {
            part: Vec::new(),
            text,
        },
        partial: None,
        peek,
    })
}

/// Leaves the first of each item.
fn make_unique(items: &mut Vec<FetchItem>) {
    let mut seen = HashSet::new();
    items.retain(|item| seen.insert(item.clone()));
}

/// Writes a FETCH response, piece by piece.  It is small enough to be kept by a command that waits
/// in the middle of a body: `begin`, then any items in any order, then `end`.
#[derive(Clone, Copy, Debug, Default)]
pub struct FetchLine {
    /// Whether an item has been written.
    items: bool,
}

impl FetchLine {
    /// `* 12 FETCH (`
    pub fn begin(out: &mut Vec<u8>, number: u32) -> FetchLine {
        out.extend_from_slice(b"* ");
        write_number(out, number.into());
        out.extend_from_slice(b" FETCH (");
        FetchLine { items: false }
    }

    pub fn uid(&mut self, out: &mut Vec<u8>, uid: Uid) {
        self.name(out, b"UID ");
        write_number(out, uid.0.into());
    }

    /// See `flag::write_flags`.
    pub fn flags<'n>(
        &mut self,
        out: &mut Vec<u8>,
        flags: Flags,
        recent: bool,
        keyword: impl Fn(u32) -> Option<&'n str>,
    ) {
        self.name(out, b"FLAGS ");
        write_flags(out, flags, recent, keyword);
    }

    pub fn modseq(&mut self, out: &mut Vec<u8>, modseq: u64) {
        self.name(out, b"MODSEQ (");
        write_number(out, modseq);
        out.push(b')');
    }

    pub fn internal_date(&mut self, out: &mut Vec<u8>, time: DateTime) {
        self.name(out, b"INTERNALDATE ");
        write_date_time(out, time);
    }

    /// `None`: not known (RFC 8514 4.2).
    pub fn save_date(&mut self, out: &mut Vec<u8>, time: Option<DateTime>) {
        self.name(out, b"SAVEDATE ");
        match time {
            Some(time) => write_date_time(out, time),
            None => out.extend_from_slice(b"NIL"),
        }
    }

    pub fn rfc822_size(&mut self, out: &mut Vec<u8>, size: u64) {
        self.name(out, b"RFC822.SIZE ");
        write_number(out, size);
    }

    pub fn email_id(&mut self, out: &mut Vec<u8>, id: &str) {
        self.name(out, b"EMAILID (");
        out.extend_from_slice(id.as_bytes());
        out.push(b')');
    }

    /// `None`: threads are not supported (`NIL`, RFC 8474 5.2).
    pub fn thread_id(&mut self, out: &mut Vec<u8>, id: Option<&str>) {
        self.name(out, b"THREADID ");
        match id {
            Some(id) => {
                out.push(b'(');
                out.extend_from_slice(id.as_bytes());
                out.push(b')');
            }
            None => out.extend_from_slice(b"NIL"),
        }
    }

    /// `ENVELOPE`, and then the caller's text of it.
    pub fn envelope(&mut self, out: &mut Vec<u8>, text: &[u8]) {
        self.name(out, b"ENVELOPE ");
        out.extend_from_slice(text);
    }

    /// `BODY`, or `BODYSTRUCTURE` if `extended`, and then the caller's text of it.
    pub fn body_structure(&mut self, out: &mut Vec<u8>, extended: bool, text: &[u8]) {
        self.name(
            out,
            if extended {
                b"BODYSTRUCTURE "
            } else {
                b"BODY "
            },
        );
        out.extend_from_slice(text);
    }

    /// `BODY[..]<0> {size}` and the line end: the caller writes `size` octets next. Nothing is
    /// `""`: there are clients that wait for more after `{0}`.
    pub fn section_literal(&mut self, out: &mut Vec<u8>, item: &SectionItem, size: u64) {
        self.section(out, item);
        write_literal_header(out, size);
    }

    /// `BODY[..] NIL`: there is no such part.
    pub fn section_nil(&mut self, out: &mut Vec<u8>, item: &SectionItem) {
        self.section(out, item);
        out.extend_from_slice(b"NIL");
    }

    /// `BINARY[..]<0> {size}`, or `~{size}` if there are NULs (`literal8`); nothing is `""`.
    pub fn binary_literal(
        &mut self,
        out: &mut Vec<u8>,
        part: &[u32],
        partial: Option<Partial>,
        size: u64,
        literal8: bool,
    ) {
        self.binary(out, part, partial);
        if literal8 && size > 0 {
            out.push(b'~');
        }
        write_literal_header(out, size);
    }

    /// `BINARY[..] NIL`
    pub fn binary_nil(&mut self, out: &mut Vec<u8>, part: &[u32], partial: Option<Partial>) {
        self.binary(out, part, partial);
        out.extend_from_slice(b"NIL");
    }

    pub fn binary_size(&mut self, out: &mut Vec<u8>, part: &[u32], size: u64) {
        self.name(out, b"BINARY.SIZE[");
        write_part(out, part);
        out.extend_from_slice(b"] ");
        write_number(out, size);
    }

    /// `)` and the line end.
    pub fn end(self, out: &mut Vec<u8>) {
        out.extend_from_slice(b")\r\n");
    }

    /// A space between items, and `name`.
    fn name(&mut self, out: &mut Vec<u8>, name: &[u8]) {
        if self.items {
            out.push(b' ');
        }
        self.items = true;
        out.extend_from_slice(name);
    }

    /// msg-att-static = "BODY" section ["<" number64 ">"] SP nstring / "RFC822" .. SP nstring
    fn section(&mut self, out: &mut Vec<u8>, item: &SectionItem) {
        match item.spelling {
            Spelling::Rfc822 => return self.name(out, b"RFC822 "),
            Spelling::Rfc822Header => return self.name(out, b"RFC822.HEADER "),
            Spelling::Rfc822Text => return self.name(out, b"RFC822.TEXT "),
            Spelling::Body => self.name(out, b"BODY["),
        }
        let Section { part, text } = &item.section;
        write_part(out, part);
        if !part.is_empty() && *text != SectionText::Whole {
            out.push(b'.');
        }
        match text {
            SectionText::Whole => {}
            SectionText::Header => out.extend_from_slice(b"HEADER"),
            SectionText::Text => out.extend_from_slice(b"TEXT"),
            SectionText::Mime => out.extend_from_slice(b"MIME"),
            SectionText::HeaderFields { names, not } => {
                out.extend_from_slice(if *not {
                    b"HEADER.FIELDS.NOT"
                } else {
                    b"HEADER.FIELDS"
                });
                for (index, name) in names.iter().enumerate() {
                    out.extend_from_slice(if index == 0 { b" (" } else { b" " });
                    write_astring(out, name, false);
                }
                out.push(b')');
            }
        }
        write_origin(out, item.partial);
    }

    /// msg-att-static =/ "BINARY" section-binary SP (nstring / literal8)
    fn binary(&mut self, out: &mut Vec<u8>, part: &[u32], partial: Option<Partial>) {
        self.name(out, b"BINARY[");
        write_part(out, part);
        write_origin(out, partial);
    }
}

/// `]`, and `<first>` of a partial, and a space.
fn write_origin(out: &mut Vec<u8>, partial: Option<Partial>) {
    out.push(b']');
    if let Some(Partial { first, .. }) = partial {
        out.push(b'<');
        write_number(out, first);
        out.push(b'>');
    }
    out.push(b' ');
}

fn write_part(out: &mut Vec<u8>, part: &[u32]) {
    for (index, &number) in part.iter().enumerate() {
        if index > 0 {
            out.push(b'.');
        }
        write_number(out, number.into());
    }
}

fn write_literal_header(out: &mut Vec<u8>, size: u64) {
    if size == 0 {
        return out.extend_from_slice(b"\"\"");
    }
    out.push(b'{');
    write_number(out, size);
    out.extend_from_slice(b"}\r\n");
}

const BAD_SECTION: &str = "Invalid BODY[..] section";

const BAD_PARTIAL: &str = "Invalid partial";

#[cfg(test)]
mod tests;
