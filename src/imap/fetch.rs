//! FETCH: its arguments, and its responses.

use super::flag::Flags;
use super::sequence::{Set, Uid};
use super::syntax::DateTime;

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fetch {
    pub uid: bool,
    pub set: Set,
    /// Macros written out; for UID FETCH, `Uid` comes first if the client left it out.  No
    /// element occurs twice.
    pub items: Vec<FetchItem>,
    pub changed_since: Option<u64>,
    /// `VANISHED` (RFC 7162 3.2.6)
    pub vanished: bool,
}

/// fetch-att
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum FetchItem {
    Uid,
    Flags,
    InternalDate,
    Rfc822Size,
    ModSeq,
    Envelope,
    /// `BODY` without a section: BODYSTRUCTURE without extension data.
    Body,
    BodyStructure,
    SaveDate,
    EmailId,
    ThreadId,
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

impl FetchItem {
    /// Whether it sets \Seen.
    pub fn sets_seen(&self) -> bool {
        todo!()
    }
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SectionItem {
    pub spelling: Spelling,
    pub section: Section,
    pub partial: Option<Partial>,
    pub peek: bool,
}

/// How the client spelled a section, which is how the answer spells it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Spelling {
    Body,
    Rfc822,
    Rfc822Header,
    Rfc822Text,
}

/// section-spec: `part` is empty for the whole message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Section {
    pub part: Vec<u32>,
    pub text: SectionText,
}

#[derive(Clone, Debug, PartialEq, Eq)]
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
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Partial {
    pub first: u64,
    pub count: u64,
}

/// Writes a FETCH response, piece by piece.  It is small enough to be kept by a command that waits
/// in the middle of a body: `begin`, then any items in any order, then `end`.
#[derive(Clone, Copy, Debug, Default)]
pub struct FetchLine {
    items: bool,
}

impl FetchLine {
    /// `* 12 FETCH (`
    pub fn begin(out: &mut Vec<u8>, number: u32) -> FetchLine {
        todo!("{out:?} {number}")
    }

    pub fn uid(&mut self, out: &mut Vec<u8>, uid: Uid) {
        todo!("{out:?} {uid:?}")
    }

    /// See `flag::write_flags`.
    pub fn flags<'n>(
        &mut self,
        out: &mut Vec<u8>,
        flags: Flags,
        recent: bool,
        keyword: impl Fn(u32) -> Option<&'n str>,
    ) {
        let _ = keyword;
        todo!("{out:?} {flags:?} {recent}")
    }

    pub fn modseq(&mut self, out: &mut Vec<u8>, modseq: u64) {
        todo!("{out:?} {modseq}")
    }

    pub fn internal_date(&mut self, out: &mut Vec<u8>, time: DateTime) {
        todo!("{out:?} {time:?}")
    }

    pub fn save_date(&mut self, out: &mut Vec<u8>, time: Option<DateTime>) {
        todo!("{out:?} {time:?}")
    }

    pub fn rfc822_size(&mut self, out: &mut Vec<u8>, size: u64) {
        todo!("{out:?} {size}")
    }

    pub fn email_id(&mut self, out: &mut Vec<u8>, id: &str) {
        todo!("{out:?} {id}")
    }

    /// `None`: threads are not supported (`NIL`, RFC 8474 5.2).
    pub fn thread_id(&mut self, out: &mut Vec<u8>, id: Option<&str>) {
        todo!("{out:?} {id:?}")
    }

    /// `ENVELOPE`, and then the caller's text of it.
    pub fn envelope(&mut self, out: &mut Vec<u8>, text: &[u8]) {
        todo!("{out:?} {text:?}")
    }

    /// `BODY`, or `BODYSTRUCTURE` if `extended`, and then the caller's text of it.
    pub fn body_structure(&mut self, out: &mut Vec<u8>, extended: bool, text: &[u8]) {
        todo!("{out:?} {extended} {text:?}")
    }

    /// `BODY[..]<0> {size}` and the line end: the caller writes `size` octets next.
    pub fn section_literal(&mut self, out: &mut Vec<u8>, item: &SectionItem, size: u64) {
        todo!("{out:?} {item:?} {size}")
    }

    /// `BODY[..] NIL`: there is no such part.
    pub fn section_nil(&mut self, out: &mut Vec<u8>, item: &SectionItem) {
        todo!("{out:?} {item:?}")
    }

    /// `BINARY[..]<0> {size}`, or `~{size}` if there are NULs (`literal8`).
    pub fn binary_literal(
        &mut self,
        out: &mut Vec<u8>,
        part: &[u32],
        partial: Option<Partial>,
        size: u64,
        literal8: bool,
    ) {
        todo!("{out:?} {part:?} {partial:?} {size} {literal8}")
    }

    /// `BINARY[..] NIL`
    pub fn binary_nil(&mut self, out: &mut Vec<u8>, part: &[u32], partial: Option<Partial>) {
        todo!("{out:?} {part:?} {partial:?}")
    }

    pub fn binary_size(&mut self, out: &mut Vec<u8>, part: &[u32], size: u64) {
        todo!("{out:?} {part:?} {size}")
    }

    /// `)` and the line end.
    pub fn end(self, out: &mut Vec<u8>) {
        todo!("{out:?}")
    }
}
