//! SELECT and EXAMINE: their arguments (RFC 3501 6.3.1, RFC 4466 2.1, RFC 7162 3.2.5).

use super::mailbox::{Dialect, MailboxArgument};
use super::syntax::{Parsed, Reader, fail};
use crate::mail::Ranges;

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Select {
    pub mailbox: MailboxArgument,
    pub examine: bool,
    /// `(CONDSTORE)`
    pub condstore: bool,
    /// QRESYNC is enabled.
    pub qresync: Option<Qresync>,
}

/// `(QRESYNC (uidvalidity modseq [known-uids] [seq-match-data]))` (RFC 7162 3.2.5)
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Qresync {
    pub uid_validity: u32,
    pub modseq: u64,
    /// What the client knows; `None`: all.
    pub known_uids: Option<Ranges>,
    pub sequence_match: Option<SequenceMatch>,
}

/// Sequence numbers and the UIDs the client has for them, pair by pair in ascending order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SequenceMatch {
    pub numbers: Ranges,
    pub uids: Ranges,
}

impl Reader<'_> {
    /// select = "SELECT" SP mailbox [select-params] (RFC 4466 2.1, RFC 7162 7)
    pub fn select_arguments(&mut self, examine: bool, dialect: Dialect<'_>) -> Parsed<Select> {
        let mut select = Select {
            mailbox: self.mailbox(dialect)?,
            examine,
            condstore: false,
            qresync: None,
        };
        if self.is_at_end() {
            return Ok(select);
        }
        self.space()?;
        self.list(|reader| {
            match reader.word().as_str() {
                "CONDSTORE" => select.condstore = true,
                "QRESYNC" => {
                    reader.space()?;
                    select.qresync = Some(reader.qresync()?);
                }
                _ => return fail("Unknown SELECT parameter"),
            }
            Ok(())
        })?;
        Ok(select)
    }

    /// "(" uidvalidity SP mod-sequence-value [SP known-uids] [SP seq-match-data] ")" (RFC 7162 7)
    fn qresync(&mut self) -> Parsed<Qresync> {
        self.expect(b'(', "Missing QRESYNC parameters")?;
        let uid_validity = self.number()?;
        self.space()?;
        let mut qresync = Qresync {
            uid_validity,
            modseq: self.number64()?,
            known_uids: None,
            sequence_match: None,
        };
        if self.eat(b' ') && self.peek() != Some(b'(') {
            qresync.known_uids = Some(self.known_uids()?);
            self.eat(b' ');
        }
        if self.peek() == Some(b'(') {
            qresync.sequence_match = Some(self.seq_match_data()?);
        }
        self.expect(b')', "Invalid QRESYNC parameters")?;
        Ok(qresync)
    }

    /// seq-match-data = "(" known-sequence-set SP known-uid-set ")"
    fn seq_match_data(&mut self) -> Parsed<SequenceMatch> {
        self.expect(b'(', "Missing '('")?;
        let numbers = self.known_uids()?;
        self.space()?;
        let uids = self.known_uids()?;
        self.expect(b')', "Missing ')'")?;
        if numbers.count() != uids.count() {
            return fail("QRESYNC sequence and UID sets differ in size");
        }
        Ok(SequenceMatch { numbers, uids })
    }
}
