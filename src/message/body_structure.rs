//! The text of BODY and BODYSTRUCTURE (RFC 3501 7.4.2, RFC 9051 7.5.2).

use super::address::ADDRESSES_MAX;
use super::content::Content;
use super::envelope::write_envelope_within;
use super::mime::{Part, PartKind, Structure};
use super::nstring::{write_nstring, write_string};
use super::parameter::Parameter;

/// Writes the parenthesized `body`; `extended` is BODYSTRUCTURE, without it BODY.
pub fn write_body_structure(structure: &Structure, extended: bool, out: &mut Vec<u8>) {
    write(structure, extended, false, out);
}

/// Writes the parenthesized `body` for a client that enabled IMAP4rev2: message/global is told as
/// message/rfc822 is (RFC 9051 9, `media-message`).
pub fn write_body_structure_rev2(structure: &Structure, extended: bool, out: &mut Vec<u8>) {
    write(structure, extended, true, out);
}

/// Whether such a text has a part of the type that is told to clients of IMAP4rev2 otherwise.
pub fn tells_global(text: &[u8]) -> bool {
    let mut marks = memchr::memchr_iter(b'"', text).filter_map(|at| text.get(at..));
    marks.any(|from| {
        let start = from.get(..GLOBAL.len()).unwrap_or_default();
        start.eq_ignore_ascii_case(GLOBAL)
    })
}

const GLOBAL: &[u8] = b"\"message\" \"global\"";

fn write(structure: &Structure, extended: bool, tells_global: bool, out: &mut Vec<u8>) {
    let mut writer = Writer {
        extended,
        tells_global,
        addresses: ADDRESSES_MAX,
        out,
    };
    writer.body(&structure.root);
}

struct Writer<'o> {
    extended: bool,
    /// message/global has an envelope.
    tells_global: bool,
    /// How many more may be written, in all envelopes together.
    addresses: usize,
    out: &'o mut Vec<u8>,
}

impl Writer<'_> {
    /// `body = "(" (body-type-1part / body-type-mpart) ")"`, as deep as parts are nested, which the
    /// walk limits.
    fn body(&mut self, part: &Part) {
        let content = part.content();
        self.out.push(b'(');
        match &part.kind {
            PartKind::Multipart(parts) => self.body_type_mpart(parts, &content),
            _ => self.body_type_1part(part, &content),
        }
        self.out.push(b')');
    }

    /// `body-type-mpart = 1*body SP media-subtype [SP body-ext-mpart]`
    fn body_type_mpart(&mut self, parts: &[Part], content: &Content) {
        for part in parts {
            self.body(part);
        }
        self.text(b" ");
        write_string(&content.subtype, self.out);
        if self.extended {
            self.text(b" ");
            self.parameters(&content.parameters);
            self.disposition_and_on(content);
        }
    }

    /// `body-type-1part = (body-type-basic / body-type-msg / body-type-text) [SP body-ext-1part]`
    fn body_type_1part(&mut self, part: &Part, content: &Content) {
        write_string(&content.media_type, self.out);
        self.text(b" ");
        write_string(&content.subtype, self.out);
        self.text(b" ");
        self.body_fields(part, content);
        match &part.kind {
            PartKind::Message(_) | PartKind::Other if content.is_global() && !self.tells_global => {
            }
            // It is encoded: nothing in it can be told.
            PartKind::Other if content.is_global() => {
                let nothing = Part::default();
                self.text(b" ");
                write_envelope_within(nothing.fields(), &mut self.addresses, self.out);
                self.text(b" ");
                self.body(&nothing);
                self.number(part.body.lines);
            }
            PartKind::Message(message) => {
                self.text(b" ");
                write_envelope_within(message.fields(), &mut self.addresses, self.out);
                self.text(b" ");
                self.body(message);
                self.number(part.body.lines);
            }
            PartKind::Text => self.number(part.body.lines),
            _ => {}
        }
        if self.extended {
            self.text(b" ");
            write_nstring(content.md5.as_deref(), self.out);
            self.disposition_and_on(content);
        }
    }

    /// `body-fields = body-fld-param SP body-fld-id SP body-fld-desc SP body-fld-enc SP
    /// body-fld-octets`
    fn body_fields(&mut self, part: &Part, content: &Content) {
        if part.kind == PartKind::Text && content.parameter("charset").is_none() {
            // RFC 2045 5.2: the default is told, too.
            let mut parameters = content.parameters.clone();
            parameters.push(Parameter {
                name: b"charset".to_vec(),
                value: b"us-ascii".to_vec(),
            });
            self.parameters(&parameters);
        } else {
            self.parameters(&content.parameters);
        }
        self.text(b" ");
        write_nstring(content.id.as_deref(), self.out);
        self.text(b" ");
        write_nstring(content.description.as_deref(), self.out);
        self.text(b" ");
        let encoding = content.transfer_encoding.as_deref();
        write_string(encoding.unwrap_or(b"7bit"), self.out);
        self.number(part.body.crlf_size());
    }

    /// `body-fld-param = "(" string SP string *(SP string SP string) ")" / nil`
    fn parameters(&mut self, parameters: &[Parameter]) {
        let strings = parameters.iter().flat_map(|p| [&p.name, &p.value]);
        self.list(strings.map(Vec::as_slice));
    }

    /// `[SP body-fld-dsp [SP body-fld-lang [SP body-fld-loc]]]`
    fn disposition_and_on(&mut self, content: &Content) {
        match &content.disposition {
            Some((kind, parameters)) => {
                self.text(b" (");
                write_string(kind, self.out);
                self.text(b" ");
                self.parameters(parameters);
                self.text(b") ");
            }
            None => self.text(b" NIL "),
        }
        self.list(content.languages.iter().map(Vec::as_slice));
        self.text(b" ");
        write_nstring(content.location.as_deref(), self.out);
    }

    fn list<'s>(&mut self, strings: impl Iterator<Item = &'s [u8]>) {
        let mut before: &[u8] = b"(";
        let mut is_empty = true;
        for string in strings {
            self.text(before);
            write_string(string, self.out);
            before = b" ";
            is_empty = false;
        }
        self.text(if is_empty { b"NIL" } else { b")" });
    }

    fn number(&mut self, number: u64) {
        self.text(format!(" {number}").as_bytes());
    }

    fn text(&mut self, text: &[u8]) {
        self.out.extend_from_slice(text);
    }
}
