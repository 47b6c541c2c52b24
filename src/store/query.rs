//! A question made ready to be put to one message after the other, of any mailbox.

use std::rc::Rc;

use crate::mail::{Flags, Ranges, Uid};
use crate::maildir::folder::FileFacts;
use crate::maildir::folder::state::messages::Message;
use crate::message::search::{Needle, Scope};
use crate::message::{date, header};

pub struct Program {
    test: Test,
    /// UIDs of the messages that may match.
    pub candidates: Ranges,
    needles: Vec<(Rc<Needle>, Scope)>,
    wants: Vec<AnswerSource>,
}

/// Where an answer comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AnswerSource {
    Facts,
    Size,
    EmailId,
    /// Header fields in the cache.
    Summary,
    Header,
    Text,
}

impl AnswerSource {
    pub const BY_COST: [AnswerSource; 6] = [
        AnswerSource::Facts,
        AnswerSource::EmailId,
        AnswerSource::Summary,
        AnswerSource::Size,
        AnswerSource::Header,
        AnswerSource::Text,
    ];
}

/// What is known of one message so far.
pub struct KnownMessage {
    pub uid: Uid,
    flags: Flags,
    recent: bool,
    modseq: u64,
    pub size: Option<u64>,
    pub facts: Option<FileFacts>,
    pub email_id: Option<String>,
    /// The fields that the cache has.
    pub fields: Option<Vec<u8>>,
    pub header: Option<Vec<u8>>,
    /// Which strings were found in the text.
    pub found: Option<Vec<bool>>,
}

impl KnownMessage {
    pub fn of(message: &Message, recent: bool) -> KnownMessage {
        let dates = message.internal_date().zip(message.save_date());
        let facts = dates
            .zip(message.size())
            .map(|((internal_date, save_date), size)| FileFacts {
                internal_date,
                save_date,
                size,
            });
        KnownMessage {
            uid: message.uid(),
            flags: message.flags(),
            recent,
            modseq: message.modseq(),
            size: message.virtual_size(),
            facts,
            email_id: None,
            fields: None,
            header: None,
            found: None,
        }
    }

    /// The header block, or as much of it as is needed for that field; `None`: not read yet.
    fn fields_for(&self, in_summary: bool) -> Option<&[u8]> {
        let fields = self.fields.as_deref().filter(|_| in_summary);
        fields.or(self.header.as_deref())
    }
}

/// A search-key with its arguments in the folder's terms.
pub enum Test {
    Constant(bool),
    All(Vec<Test>),
    Any(Vec<Test>),
    Not(Box<Test>),
    Uids(Ranges),
    Flags(Flags),
    Recent,
    Larger(u64),
    Smaller(u64),
    ModSeq(u64),
    EmailId(String),
    /// Of INTERNALDATE or SAVEDATE.
    Day(DateKind, Comparison, i64),
    /// Of INTERNALDATE: at or after this second.
    Since(i64),
    /// Of the Date field.
    Sent(Comparison, i64),
    Header(Box<HeaderTest>),
    Text(usize),
}

pub struct HeaderTest {
    pub name: Vec<u8>,
    /// `None`: the field need only be there.
    pub needle: Option<Needle>,
    pub kind: FieldKind,
    pub in_summary: bool,
}

#[derive(Clone, Copy)]
pub enum DateKind {
    Internal,
    Save,
}

#[derive(Clone, Copy)]
pub enum Comparison {
    Before,
    On,
    Since,
}

impl Comparison {
    fn holds(self, day: i64, other: i64) -> bool {
        match self {
            Comparison::Before => day < other,
            Comparison::On => day == other,
            Comparison::Since => day >= other,
        }
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
pub enum FieldKind {
    Addresses,
    Text,
}

impl Program {
    pub fn new(test: Test, needles: Vec<(Rc<Needle>, Scope)>, wants: Vec<AnswerSource>) -> Program {
        let mut candidates = Ranges::all();
        narrow(&test, &mut candidates);
        Program {
            test,
            candidates,
            needles,
            wants,
        }
    }

    /// The strings looked for in texts.
    pub fn needles(&self) -> &[(Rc<Needle>, Scope)] {
        &self.needles
    }

    pub fn wants(&self, source: AnswerSource) -> bool {
        self.wants.contains(&source)
    }

    /// Whether the message matches; `None`: that depends on what is not known yet.
    pub fn judge(&self, known: &KnownMessage) -> Option<bool> {
        self.test.judge(known)
    }
}

/// Keeps only the candidates that are in all UID sets of the test.
fn narrow(test: &Test, candidates: &mut Ranges) {
    match test {
        Test::Uids(uids) => *candidates = candidates.intersect(uids),
        Test::All(tests) => tests.iter().for_each(|test| narrow(test, candidates)),
        _ => {}
    }
}

impl Test {
    fn judge(&self, known: &KnownMessage) -> Option<bool> {
        match self {
            Test::Constant(verdict) => Some(*verdict),
            Test::All(tests) => {
                let verdicts = tests.iter().map(|test| test.judge(known));
                decide(verdicts, false)
            }
            Test::Any(tests) => {
                let verdicts = tests.iter().map(|test| test.judge(known));
                decide(verdicts, true)
            }
            Test::Not(test) => test.judge(known).map(|verdict| !verdict),
            Test::Uids(uids) => Some(uids.contains(known.uid.0)),
            Test::Flags(wanted) => Some(known.flags.contains(*wanted)),
            Test::Recent => Some(known.recent),
            Test::Larger(size) => known.size.map(|known| known > *size),
            Test::Smaller(size) => known.size.map(|known| known < *size),
            Test::ModSeq(modseq) => Some(known.modseq >= *modseq),
            Test::EmailId(id) => known.email_id.as_ref().map(|known| known == id),
            Test::Day(stamp, comparison, day) => known.facts.map(|facts| {
                let seconds = match stamp {
                    DateKind::Internal => facts.internal_date,
                    DateKind::Save => facts.save_date,
                };
                comparison.holds(seconds.div_euclid(SECONDS_PER_DAY), *day)
            }),
            Test::Since(second) => known.facts.map(|facts| facts.internal_date >= *second),
            Test::Sent(comparison, day) => {
                let block = known.fields_for(true)?;
                let mut dates = header::values(block, b"Date").filter_map(date::parse_date);
                let sent = dates.next();
                Some(sent.is_some_and(|sent| comparison.holds(sent.day, *day)))
            }
            Test::Header(test) => test.judge(known),
            Test::Text(key) => known.found.as_ref()?.get(*key).copied(),
        }
    }
}

impl HeaderTest {
    fn judge(&self, known: &KnownMessage) -> Option<bool> {
        let block = known.fields_for(self.in_summary)?;
        let mut values = header::values(block, &self.name);
        Some(match &self.needle {
            None => values.next().is_some(),
            Some(needle) => values.any(|value| match self.kind {
                FieldKind::Addresses => needle.is_in_addresses(value),
                FieldKind::Text => needle.is_in_field(value),
            }),
        })
    }
}

/// The first verdict that is `decisive` decides.  Otherwise all must be known.
fn decide(verdicts: impl Iterator<Item = Option<bool>>, decisive: bool) -> Option<bool> {
    let mut unknown = false;
    for verdict in verdicts {
        match verdict {
            Some(verdict) if verdict == decisive => return Some(decisive),
            Some(_) => {}
            None => unknown = true,
        }
    }
    (!unknown).then_some(!decisive)
}

const SECONDS_PER_DAY: i64 = 86_400;
