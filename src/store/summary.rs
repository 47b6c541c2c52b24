//! What list views ask of a message, worked out once and kept in `roost.cache`: the header fields
//! clients fetch, and the text of ENVELOPE, BODY and BODYSTRUCTURE.
//!
//! The bytes in the cache are a mark and four pieces, each with its length before it; an absent
//! piece has a length that no piece can have.

use crate::message::body_structure::{
    tells_global, write_body_structure, write_body_structure_rev2,
};
use crate::message::envelope::write_envelope;
use crate::message::header;
use crate::message::mime::Structure;

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Summary {
    /// The lines of the fields in `FIELDS` that the message has, CRLF and an empty line at the end.
    pub fields: Vec<u8>,
    pub envelope: Vec<u8>,
    /// `BODY` and `BODYSTRUCTURE`, those that were asked for.
    pub body: Option<Vec<u8>>,
    pub body_structure: Option<Vec<u8>>,
}

impl Summary {
    pub fn of_header(block: &[u8]) -> Summary {
        let mut summary = Summary::default();
        header::select_fields(block, FIELDS, false, &mut summary.fields);
        write_envelope(block, &mut summary.envelope);
        summary
    }

    /// Adds BODYSTRUCTURE if `extended`, else BODY: clients ask for one of them, and nearly all for
    /// the same one.
    pub fn add_structure(&mut self, structure: &Structure, extended: bool) {
        let mut text = Vec::new();
        write_body_structure(structure, extended, &mut text);
        let place = match extended {
            true => &mut self.body_structure,
            false => &mut self.body,
        };
        *place = Some(text);
    }

    /// Whether it does for a client that enabled IMAP4rev2, too.
    pub fn is_for_rev2(&self) -> bool {
        let mut texts = self.body.iter().chain(&self.body_structure);
        !texts.any(|text| tells_global(text))
    }

    /// Puts in the text that such a client gets. It does for no other and is not to be kept.
    pub fn add_structure_for_rev2(&mut self, structure: &Structure) {
        for (text, extended) in [(&mut self.body, false), (&mut self.body_structure, true)] {
            if let Some(text) = text {
                text.clear();
                write_body_structure_rev2(structure, extended, text);
            }
        }
    }

    /// Only the header fields of the summary with these bytes.
    pub fn fields_of(bytes: &[u8]) -> Option<Vec<u8>> {
        let mut bytes = bytes.strip_prefix(&MARK)?;
        Some(take_piece(&mut bytes)??.to_vec())
    }

    /// Whether a HEADER.FIELDS with these names can be answered from here.
    pub fn has_fields(names: &[Vec<u8>]) -> bool {
        let known = |name: &Vec<u8>| {
            FIELDS
                .iter()
                .any(|field| field.as_bytes().eq_ignore_ascii_case(name))
        };
        names.iter().all(known)
    }

    pub fn encode(&self) -> Vec<u8> {
        let pieces = [
            Some(&self.fields),
            Some(&self.envelope),
            self.body.as_ref(),
            self.body_structure.as_ref(),
        ];
        let mut bytes = MARK.to_vec();
        for piece in pieces {
            match piece.map(|piece| (piece, u32::try_from(piece.len()))) {
                Some((piece, Ok(length))) if length != ABSENT => {
                    bytes.extend_from_slice(&length.to_le_bytes());
                    bytes.extend_from_slice(piece);
                }
                _ => bytes.extend_from_slice(&ABSENT.to_le_bytes()),
            }
        }
        bytes
    }

    /// `None`: these are not the bytes of a summary.
    pub fn decode(bytes: &[u8]) -> Option<Summary> {
        let mut bytes = bytes.strip_prefix(&MARK)?;
        let fields = take_piece(&mut bytes)??;
        let envelope = take_piece(&mut bytes)??;
        let body = take_piece(&mut bytes)?;
        let body_structure = take_piece(&mut bytes)?;
        let own = |piece: Option<&[u8]>| piece.map(<[u8]>::to_vec);
        Some(Summary {
            fields: fields.to_vec(),
            envelope: envelope.to_vec(),
            body: own(body),
            body_structure: own(body_structure),
        })
    }
}

/// The next piece, or that it is absent; `None`: the bytes end too early.
fn take_piece<'b>(bytes: &mut &'b [u8]) -> Option<Option<&'b [u8]>> {
    let (length, rest) = bytes.split_first_chunk()?;
    let length = u32::from_le_bytes(*length);
    if length == ABSENT {
        *bytes = rest;
        return Some(None);
    }
    let (piece, rest) = rest.split_at_checked(usize::try_from(length).ok()?)?;
    *bytes = rest;
    Some(Some(piece))
}

const ABSENT: u32 = u32::MAX;

/// It is changed whenever the same message gets other texts than before, so that those kept by an
/// older version are made anew. The first version had a length here; no piece can have this length.
const MARK: [u8; 4] = (ABSENT - 2).to_le_bytes();

/// What mail programs were seen to ask for in their message lists.
const FIELDS: &[&str] = &[
    "Bcc",
    "Cc",
    "Content-Description",
    "Content-Type",
    "Date",
    "Disposition-Notification-To",
    "From",
    "Importance",
    "In-Reply-To",
    "Lines",
    "List-Id",
    "List-Post",
    "List-Subscribe",
    "List-Unsubscribe",
    "Mail-Followup-To",
    "Mail-Reply-To",
    "Message-ID",
    "Newsgroups",
    "Priority",
    "References",
    "Reply-To",
    "Return-Path",
    "Sender",
    "Subject",
    "To",
    "X-Draft-Info",
    "X-Label",
    "X-Original-To",
    "X-Priority",
    "X-Uniform-Type-Identifier",
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_summary_comes_back_from_its_bytes() {
        let whole = Summary {
            fields: b"Subject: x\r\n\r\n".to_vec(),
            envelope: b"(NIL)".to_vec(),
            body: Some(b"(\"TEXT\")".to_vec()),
            body_structure: Some(Vec::new()),
        };
        assert_eq!(Summary::decode(&whole.encode()), Some(whole.clone()));
        let header_only = Summary {
            body: None,
            body_structure: None,
            ..whole
        };
        assert_eq!(Summary::decode(&header_only.encode()), Some(header_only));
    }

    #[test]
    fn bytes_cut_short_are_no_summary() {
        let summary = Summary {
            fields: b"To: x\r\n".to_vec(),
            ..Summary::default()
        };
        let bytes = summary.encode();
        for end in 0..bytes.len() {
            assert_eq!(Summary::decode(&bytes[..end]), None, "cut at {end}");
        }
    }

    #[test]
    fn field_names_are_known_without_case() {
        assert!(Summary::has_fields(&[
            b"SUBJECT".to_vec(),
            b"message-id".to_vec()
        ]));
        assert!(!Summary::has_fields(&[
            b"Subject".to_vec(),
            b"X-Spam".to_vec()
        ]));
    }
}
