//! One item of a FETCH response.

use super::{Current, Stop};
use crate::imap::fetch::{Fact, FetchItem, FetchLine, Partial, Section, SectionItem, SectionText};
use crate::imap::response::Code;
use crate::mail::{DateTime, Uid};
use crate::maildir::disk::dir::DiskResult;
use crate::maildir::folder::state::messages::Message;
use crate::maildir::folder::{Folder, MessageError};
use crate::message::crlf::{Span, ToCrlf};
use crate::message::transfer::{Encoding, TransferDecoder};
use crate::message::{HEADER_MAX, header};
use crate::session::imap::body::{Body, up_to};
use crate::session::imap::command::{Context, Progress};
use crate::session::imap::reply::Reply;
use crate::session::imap::view::Manner;
use crate::store::MailboxKey;
use crate::store::cursor::Cursor;
use crate::store::flags::KeywordNames;
use crate::store::mailbox::Mailbox;
use crate::store::summary::Summary;
use crate::store::text::Text;

/// Whether the section is answered from the summary.
pub fn is_in_summary(item: &SectionItem) -> bool {
    match &item.section.text {
        SectionText::HeaderFields { names, not: false } => {
            item.section.part.is_empty() && Summary::has_fields(names)
        }
        _ => false,
    }
}

/// BODY[] without anything in the brackets.
pub fn is_whole(item: &SectionItem) -> bool {
    item.section.part.is_empty() && item.section.text == SectionText::Whole
}

pub fn is_partial(item: &FetchItem) -> bool {
    match item {
        FetchItem::Section(item) => item.partial.is_some(),
        FetchItem::Binary { partial, .. } => partial.is_some(),
        FetchItem::Fact(_)
        | FetchItem::Envelope
        | FetchItem::Body
        | FetchItem::BodyStructure
        | FetchItem::BinarySize { .. } => false,
    }
}

/// What has to be done before the folder's table knows a fact of every message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LearnedBy {
    /// It does.
    Listing,
    /// The file is asked for its dates.
    Stat,
    /// The octets are counted, unless the file's name says how many there are.
    Size,
}

pub fn learned_by(fact: Fact) -> LearnedBy {
    match fact {
        Fact::Uid | Fact::Flags | Fact::ModSeq | Fact::EmailId | Fact::ThreadId => {
            LearnedBy::Listing
        }
        Fact::InternalDate | Fact::SaveDate => LearnedBy::Stat,
        Fact::Rfc822Size => LearnedBy::Size,
    }
}

/// Finds what the items need to know of the file itself.
pub fn prepare_facts(
    items: &[FetchItem],
    index: usize,
    mailbox: &mut Mailbox,
    over: &dyn Fn() -> bool,
) -> Result<(), Stop> {
    let folder = &mut mailbox.folder;
    for fact in items.iter().filter_map(FetchItem::as_fact) {
        let message = folder.messages().get(index).ok_or(MessageError::Gone)?;
        if MessageFacts::know(fact, message) {
            continue;
        }
        match learned_by(fact) {
            LearnedBy::Listing => {}
            LearnedBy::Stat => {
                folder.facts(index)?;
            }
            LearnedBy::Size => {
                let size = folder.virtual_size(index, over)?;
                size.ok_or(Stop::Wait(Progress::Again))?;
            }
        }
    }
    Ok(())
}

/// Writes an item; a literal's octets follow as the client's buffer has room.
pub fn write(
    item: &FetchItem,
    current: &mut Current,
    line: &mut FetchLine,
    mailbox: MailboxKey,
    context: &mut Context<'_>,
) -> Result<Option<Body>, Stop> {
    match item {
        FetchItem::Section(item) => return write_section(item, current, line, context),
        FetchItem::Binary { part, partial, .. } => {
            return write_binary(part, *partial, current, line, context);
        }
        FetchItem::BinarySize { part } => {
            return write_binary_size(part, current, line, context).map(|()| None);
        }
        FetchItem::Fact(Fact::Uid) => line.uid(context.client.out.writer(), current.uid),
        FetchItem::Fact(fact) => write_fact(*fact, current.uid, line, mailbox, context)?,
        FetchItem::Envelope => {
            let summary = current.summary.as_ref().ok_or(MessageError::Gone)?;
            line.envelope(context.client.out.writer(), &summary.envelope);
        }
        FetchItem::Body | FetchItem::BodyStructure => {
            let summary = current.summary.as_ref().ok_or(MessageError::Gone)?;
            let extended = *item == FetchItem::BodyStructure;
            let text = if extended {
                &summary.body_structure
            } else {
                &summary.body
            };
            let text = text.as_ref().ok_or(MessageError::Gone)?;
            line.body_structure(context.client.out.writer(), extended, text);
        }
    }
    Ok(None)
}

/// What the folder's table says, which `prepare_facts` has completed.
pub fn write_fact(
    fact: Fact,
    uid: Uid,
    line: &mut FetchLine,
    mailbox: MailboxKey,
    context: &mut Context<'_>,
) -> Result<(), Stop> {
    let Context {
        client, mailboxes, ..
    } = context;
    let mailbox = mailboxes.get(mailbox).ok_or_else(Stop::deselected)?;
    let cursor = mailbox.cursor(client.id).ok_or_else(Stop::deselected)?;
    let index = mailbox
        .folder
        .index_of(uid)
        .map_err(|_| MessageError::Gone)?;
    let message = mailbox.folder.messages().get(index);
    let message = message.ok_or(MessageError::Gone)?;
    let facts = MessageFacts::new(&mailbox.folder, cursor, client.manner());
    facts.write(fact, index, message, line, client.out.writer());
    Ok(())
}

/// What the folder's table says of its messages to one client.
pub struct MessageFacts<'m> {
    folder: &'m Folder,
    cursor: &'m Cursor,
    names: KeywordNames<'m>,
    rev2: bool,
}

impl<'m> MessageFacts<'m> {
    pub fn new(folder: &'m Folder, cursor: &'m Cursor, manner: Manner) -> MessageFacts<'m> {
        MessageFacts {
            folder,
            cursor,
            names: KeywordNames::new(folder),
            rev2: manner.rev2,
        }
    }

    /// Whether the table knows that of this message.
    pub fn know(fact: Fact, message: &Message) -> bool {
        match learned_by(fact) {
            LearnedBy::Listing => true,
            LearnedBy::Stat => message.internal_date().is_some() && message.save_date().is_some(),
            LearnedBy::Size => message.virtual_size().is_some(),
        }
    }

    pub fn write(
        &self,
        fact: Fact,
        index: usize,
        message: &Message,
        line: &mut FetchLine,
        out: &mut Vec<u8>,
    ) {
        let utc = |seconds| DateTime {
            seconds,
            zone_minutes: 0,
        };
        match fact {
            Fact::Uid => line.uid(out, message.uid()),
            Fact::Flags => {
                let recent = self.cursor.is_recent(message.uid()) && !self.rev2;
                let name = |letter| self.names.get(letter);
                line.flags(out, message.flags(), recent, name);
            }
            Fact::ModSeq => line.modseq(out, message.modseq()),
            Fact::InternalDate => {
                line.internal_date(out, utc(message.internal_date().unwrap_or(0)));
            }
            Fact::SaveDate => line.save_date(out, message.save_date().map(utc)),
            Fact::Rfc822Size => line.rfc822_size(out, message.virtual_size().unwrap_or(0)),
            Fact::EmailId => line.email_id(out, &self.folder.email_id(index)),
            Fact::ThreadId => line.thread_id(out, None),
        }
    }
}

/// What a section turned out to be.
enum Content {
    /// There is no such part.
    Nil,
    Memory(Vec<u8>),
    Piece(Span),
}

fn write_section(
    item: &SectionItem,
    current: &mut Current,
    line: &mut FetchLine,
    context: &mut Context<'_>,
) -> Result<Option<Body>, Stop> {
    let over = context.over;
    let content = if is_in_summary(item) {
        let summary = current.summary.as_ref().ok_or(MessageError::Gone)?;
        Content::Memory(fields(&summary.fields, &item.section.text))
    } else {
        let text = current.text.as_mut().ok_or(MessageError::Gone)?;
        section(&item.section, text, over)?
    };
    let out = context.client.out.writer();
    let size = match &content {
        Content::Nil => {
            line.section_nil(out, item);
            return Ok(None);
        }
        Content::Memory(bytes) => bytes.len() as u64,
        Content::Piece(span) => span.crlf_size(),
    };
    let (first, length) = cut(item.partial, size);
    line.section_literal(out, item, length);
    context.client.counters.count_section(&item.section, length);
    Ok(Some(match content {
        Content::Piece(span) => {
            let text = current.text.as_ref().ok_or(MessageError::Gone)?;
            Body::of_file(text, span, first, length)
        }
        Content::Memory(bytes) => {
            let rest = usize::try_from(first)
                .map_or(&[][..], |first| bytes.get(first..).unwrap_or_default());
            Body::memory(up_to(rest, length).to_vec())
        }
        Content::Nil => Body::memory(Vec::new()),
    }))
}

/// Finds a section in the text.
fn section(section: &Section, text: &mut Text, over: &dyn Fn() -> bool) -> Result<Content, Stop> {
    let again = || Stop::Wait(Progress::Again);
    if section.part.is_empty() {
        return Ok(match &section.text {
            SectionText::Whole => Content::Piece(
                text.whole(over)
                    .map_err(MessageError::from)?
                    .ok_or_else(again)?,
            ),
            SectionText::Header | SectionText::Mime => {
                Content::Memory(with_crlf(text.header().map_err(MessageError::from)?))
            }
            SectionText::HeaderFields { .. } => {
                let header = text.header().map_err(MessageError::from)?;
                Content::Memory(fields(header, &section.text))
            }
            SectionText::Text => {
                let structure = text.structure(over).map_err(MessageError::from)?;
                Content::Piece(structure.ok_or_else(again)?.root.body)
            }
        });
    }
    let structure = text
        .structure(over)
        .map_err(MessageError::from)?
        .ok_or_else(again)?;
    let Some(found) = structure.find(&section.part) else {
        return Ok(Content::Nil);
    };
    Ok(match (&section.text, found.message()) {
        (SectionText::Whole, _) => Content::Piece(found.text),
        (SectionText::Mime, _) => Content::Piece(found.mime),
        (SectionText::Header, Some(message)) => Content::Piece(message.header),
        (SectionText::Text, Some(message)) => Content::Piece(message.body),
        (SectionText::HeaderFields { .. }, Some(message)) => {
            let span = message.header;
            let block = read(text, span).map_err(MessageError::from)?;
            Content::Memory(fields(&block, &section.text))
        }
        // HEADER and TEXT are of messages only (RFC 9051 6.4.5).
        (_, None) => Content::Nil,
    })
}

/// HEADER.FIELDS of a header block.
fn fields(block: &[u8], text: &SectionText) -> Vec<u8> {
    let mut selected = Vec::new();
    if let SectionText::HeaderFields { names, not } = text {
        header::select_fields(block, names, *not, &mut selected);
    }
    selected
}

/// A piece of the file: a header, which is bounded.
fn read(text: &mut Text, span: Span) -> DiskResult<Vec<u8>> {
    let mut bytes = Vec::new();
    let mut at = span.start;
    while bytes.len() < HEADER_MAX {
        let chunk = up_to(text.chunk(at)?, span.end.saturating_sub(at));
        if chunk.is_empty() {
            break;
        }
        bytes.extend_from_slice(chunk);
        at += chunk.len() as u64;
    }
    Ok(bytes)
}

fn with_crlf(block: &[u8]) -> Vec<u8> {
    let mut converted = Vec::with_capacity(block.len() + block.len() / 32);
    ToCrlf::new(0, u64::MAX).push(block, usize::MAX, &mut converted);
    converted
}

/// Where a partial begins and how much it has, of a text of `size` octets (RFC 9051 6.4.5).
fn cut(partial: Option<Partial>, size: u64) -> (u64, u64) {
    let Some(Partial { first, count }) = partial else {
        return (0, size);
    };
    let first = first.min(size);
    (first, count.min(size - first))
}

/// What BINARY decodes.
struct Encoded {
    span: Span,
    encoding: Encoding,
}

/// `None`: there is no such part.
fn encoded(
    part: &[u32],
    text: &mut Text,
    over: &dyn Fn() -> bool,
) -> Result<Option<Encoded>, Stop> {
    if part.is_empty() {
        let span = text.whole(over).map_err(MessageError::from)?;
        let span = span.ok_or(Stop::Wait(Progress::Again))?;
        return Ok(Some(Encoded {
            span,
            encoding: Encoding::Identity,
        }));
    }
    let structure = text.structure(over).map_err(MessageError::from)?;
    let structure = structure.ok_or(Stop::Wait(Progress::Again))?;
    let Some(found) = structure.find(part) else {
        return Ok(None);
    };
    let (span, encoding) = (found.text, found.encoding());
    if encoding == Encoding::Unknown {
        let text = "The part's transfer encoding is not known.";
        return Err(Stop::Refused(Reply::no(text).code(Code::UnknownCte)));
    }
    Ok(Some(Encoded { span, encoding }))
}

/// How far the search for the size of a decoded part has come.
pub struct Measure {
    decoder: TransferDecoder,
    at: u64,
    size: u64,
    /// There are NULs in it.
    nul: bool,
}

impl Measure {
    fn new(encoded: &Encoded) -> Measure {
        Measure {
            decoder: TransferDecoder::new(encoded.encoding, true),
            at: encoded.span.start,
            size: 0,
            nul: false,
        }
    }

    /// True when the end of the part is reached, false when the time slice is used up before.
    fn go_on(&mut self, end: u64, text: &mut Text, over: &dyn Fn() -> bool) -> DiskResult<bool> {
        let mut decoded = Vec::new();
        loop {
            let chunk = up_to(text.chunk(self.at)?, end.saturating_sub(self.at));
            decoded.clear();
            if chunk.is_empty() {
                self.decoder.finish(&mut decoded);
            } else {
                self.decoder.push(chunk, &mut decoded);
            }
            self.size += decoded.len() as u64;
            self.nul |= memchr::memchr(0, &decoded).is_some();
            if chunk.is_empty() {
                return Ok(true);
            }
            self.at += chunk.len() as u64;
            if over() {
                return Ok(false);
            }
        }
    }
}

/// Finds a part and its size when decoded; `None`: there is no such part.
fn measured(
    part: &[u32],
    current: &mut Current,
    over: &dyn Fn() -> bool,
) -> Result<Option<(Encoded, Measure)>, Stop> {
    let text = current.text.as_mut().ok_or(MessageError::Gone)?;
    let Some(encoded) = encoded(part, text, over)? else {
        return Ok(None);
    };
    let begun = current.measure.take();
    let mut measure = begun.unwrap_or_else(|| Measure::new(&encoded));
    let complete = measure.go_on(encoded.span.end, text, over);
    if !complete.map_err(MessageError::from)? {
        current.measure = Some(measure);
        return Err(Stop::Wait(Progress::Again));
    }
    Ok(Some((encoded, measure)))
}

fn write_binary(
    part: &[u32],
    partial: Option<Partial>,
    current: &mut Current,
    line: &mut FetchLine,
    context: &mut Context<'_>,
) -> Result<Option<Body>, Stop> {
    let Some((encoded, measure)) = measured(part, current, context.over)? else {
        line.binary_nil(context.client.out.writer(), part, partial);
        return Ok(None);
    };
    let (first, length) = cut(partial, measure.size);
    let out = context.client.out.writer();
    line.binary_literal(out, part, partial, length, measure.nul);
    context.client.counters.count_part(length);
    let decoder = TransferDecoder::new(encoded.encoding, true);
    Ok(Some(Body::decoded(encoded.span, decoder, first, length)))
}

fn write_binary_size(
    part: &[u32],
    current: &mut Current,
    line: &mut FetchLine,
    context: &mut Context<'_>,
) -> Result<(), Stop> {
    let measured = measured(part, current, context.over)?;
    let size = measured.map_or(0, |(_, measure)| measure.size);
    line.binary_size(context.client.out.writer(), part, size);
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::session::imap::body::tests::text_of;

    #[test]
    fn a_large_part_is_measured_in_slices() {
        let line = [b"QUFB".repeat(19), b"\n".to_vec()].concat();
        let coded = line.repeat(4000);
        let mut text = text_of(&coded);
        let encoded = Encoded {
            span: text.whole(&|| false).unwrap().unwrap(),
            encoding: Encoding::Base64,
        };
        let mut measure = Measure::new(&encoded);
        let mut slices = 1;
        while !measure
            .go_on(encoded.span.end, &mut text, &|| true)
            .unwrap()
        {
            slices += 1;
        }
        assert_eq!(slices, 1 + coded.len().div_ceil(64 * 1024));
        assert_eq!((measure.size, measure.nul), (3 * 19 * 4000, false));
    }
}
