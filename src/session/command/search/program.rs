//! A SEARCH made ready to be put to one message after the other.

use std::rc::Rc;
use std::time::UNIX_EPOCH;

use crate::imap::response::Code;
use crate::imap::search::{Search as Request, SearchKey};
use crate::imap::sequence::Set;
use crate::imap::syntax::Date;
use crate::mail::{Flags, Ranges, System, Uid};
use crate::maildir::folder::Facts;
use crate::maildir::folder::state::messages::Message;
use crate::message::search::{Needle, Scope};
use crate::message::{charset, date, header};
use crate::session::command::{Context, selected_mailbox, uids_of};
use crate::session::reply::{self, Reply};
use crate::session::summary::Summary;

pub struct Program {
    test: Test,
    /// UIDs of the messages that may match.
    pub candidates: Ranges,
    needles: Vec<(Rc<Needle>, Scope)>,
    wants: Vec<Source>,
}

/// Where an answer comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Source {
    Facts,
    Size,
    EmailId,
    /// Header fields in the cache.
    Summary,
    Header,
    Text,
}

impl Source {
    pub const BY_COST: [Source; 6] = [
        Source::Facts,
        Source::EmailId,
        Source::Summary,
        Source::Size,
        Source::Header,
        Source::Text,
    ];
}

/// What is known of one message so far.
pub struct Known {
    pub uid: Uid,
    flags: Flags,
    recent: bool,
    modseq: u64,
    pub size: Option<u64>,
    pub facts: Option<Facts>,
    pub email_id: Option<String>,
    /// The fields that the cache has.
    pub fields: Option<Vec<u8>>,
    pub header: Option<Vec<u8>>,
    /// Which strings were found in the text.
    pub found: Option<Vec<bool>>,
}

impl Known {
    pub fn of(message: &Message, recent: bool) -> Known {
        let dates = message.internal_date().zip(message.save_date());
        let facts = dates
            .zip(message.size())
            .map(|((internal_date, save_date), size)| Facts {
                internal_date,
                save_date,
                size,
            });
        Known {
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
enum Test {
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
    Day(Stamp, Comparison, i64),
    /// Of INTERNALDATE: at or after this second.
    Since(i64),
    /// Of the Date field.
    Sent(Comparison, i64),
    Header(Box<HeaderTest>),
    Text(usize),
}

struct HeaderTest {
    name: Vec<u8>,
    /// `None`: the field need only be there.
    needle: Option<Needle>,
    kind: Field,
    in_summary: bool,
}

#[derive(Clone, Copy)]
enum Stamp {
    Internal,
    Save,
}

#[derive(Clone, Copy)]
enum Comparison {
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
enum Field {
    Addresses,
    Text,
}

impl Program {
    pub fn compile(request: &Request, context: &mut Context<'_>) -> Result<Program, Reply> {
        let charset = request
            .charset
            .clone()
            .unwrap_or_else(|| "UTF-8".to_owned());
        if !charset::is_known(charset.as_bytes()) {
            return Err(Reply::no("Unknown charset.").code(Code::BadCharset));
        }
        let mut compiler = Compiler {
            charset,
            needles: Vec::new(),
            wants: Vec::new(),
        };
        let test = compiler.compile(&request.key, context)?;
        let mut candidates = Ranges::all();
        narrow(&test, &mut candidates);
        let needles = compiler.needles;
        Ok(Program {
            test,
            candidates,
            needles,
            wants: compiler.wants,
        })
    }

    /// The strings looked for in texts.
    pub fn needles(&self) -> &[(Rc<Needle>, Scope)] {
        &self.needles
    }

    pub fn wants(&self, source: Source) -> bool {
        self.wants.contains(&source)
    }

    /// Whether the message matches; `None`: that depends on what is not known yet.
    pub fn judge(&self, known: &Known) -> Option<bool> {
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
    fn judge(&self, known: &Known) -> Option<bool> {
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
                    Stamp::Internal => facts.internal_date,
                    Stamp::Save => facts.save_date,
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
    fn judge(&self, known: &Known) -> Option<bool> {
        let block = known.fields_for(self.in_summary)?;
        let mut values = header::values(block, &self.name);
        Some(match &self.needle {
            None => values.next().is_some(),
            Some(needle) => values.any(|value| match self.kind {
                Field::Addresses => needle.is_in_addresses(value),
                Field::Text => needle.is_in_field(value),
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

struct Compiler {
    charset: String,
    needles: Vec<(Rc<Needle>, Scope)>,
    wants: Vec<Source>,
}

impl Compiler {
    fn compile(&mut self, key: &SearchKey, context: &mut Context<'_>) -> Result<Test, Reply> {
        Ok(match key {
            SearchKey::All => Test::Constant(true),
            SearchKey::And(keys) => Test::All(self.compile_all(keys, context)?),
            SearchKey::Or(keys) => Test::Any(self.compile_all(keys, context)?),
            SearchKey::Not(key) => Test::Not(Box::new(self.compile(key, context)?)),
            SearchKey::Numbers(set) => Test::Uids(numbers(set, context)?),
            SearchKey::Uid(set) => Test::Uids(uids_of(set, true, context)?),
            SearchKey::System(system) => Test::Flags((*system).into()),
            SearchKey::Recent => Test::Recent,
            SearchKey::Keyword(keyword) => {
                let mailbox = selected_mailbox(context).ok_or_else(reply::deselected)?;
                let keyword = keyword.as_ref();
                let letter = keyword.and_then(|keyword| mailbox.folder.keyword_letter(keyword));
                match letter.and_then(|letter| 1u32.checked_shl(letter)) {
                    Some(keywords) => Test::Flags(Flags {
                        system: System::default(),
                        keywords,
                    }),
                    None => Test::Constant(false),
                }
            }
            SearchKey::Larger(size) => self.wanting(Source::Size, Test::Larger(*size)),
            SearchKey::Smaller(size) => self.wanting(Source::Size, Test::Smaller(*size)),
            SearchKey::Before(day) => self.day(Stamp::Internal, Comparison::Before, *day),
            SearchKey::On(day) => self.day(Stamp::Internal, Comparison::On, *day),
            SearchKey::Since(day) => self.day(Stamp::Internal, Comparison::Since, *day),
            SearchKey::SavedBefore(day) => self.day(Stamp::Save, Comparison::Before, *day),
            SearchKey::SavedOn(day) => self.day(Stamp::Save, Comparison::On, *day),
            SearchKey::SavedSince(day) => self.day(Stamp::Save, Comparison::Since, *day),
            SearchKey::SentBefore(day) => self.sent(Comparison::Before, *day),
            SearchKey::SentOn(day) => self.sent(Comparison::On, *day),
            SearchKey::SentSince(day) => self.sent(Comparison::Since, *day),
            SearchKey::SaveDateSupported => Test::Constant(true),
            SearchKey::Younger(seconds) => {
                self.wanting(Source::Facts, Test::Since(seconds_ago(*seconds, context)))
            }
            SearchKey::Older(seconds) => {
                // A message of exactly this age counts as older (RFC 5032 3).
                let since = Test::Since(seconds_ago(*seconds, context).saturating_add(1));
                Test::Not(Box::new(self.wanting(Source::Facts, since)))
            }
            SearchKey::ModSeq(modseq) => Test::ModSeq(*modseq),
            SearchKey::EmailId(id) => self.wanting(Source::EmailId, Test::EmailId(id.clone())),
            // No message has a THREADID here.
            SearchKey::ThreadId(_) => Test::Constant(false),
            SearchKey::Header { name, value } => self.header(name, value)?,
            SearchKey::Body(text) => self.text(text, Scope::Body)?,
            SearchKey::Text(text) => self.text(text, Scope::Text)?,
        })
    }

    fn compile_all(
        &mut self,
        keys: &[SearchKey],
        context: &mut Context<'_>,
    ) -> Result<Vec<Test>, Reply> {
        keys.iter().map(|key| self.compile(key, context)).collect()
    }

    fn want(&mut self, source: Source) {
        if !self.wants.contains(&source) {
            self.wants.push(source);
        }
    }

    fn wanting(&mut self, source: Source, test: Test) -> Test {
        self.want(source);
        test
    }

    fn day(&mut self, stamp: Stamp, comparison: Comparison, date: Date) -> Test {
        self.wanting(Source::Facts, Test::Day(stamp, comparison, date.days))
    }

    fn sent(&mut self, comparison: Comparison, date: Date) -> Test {
        self.want(Source::Summary);
        self.wanting(Source::Header, Test::Sent(comparison, date.days))
    }

    fn header(&mut self, name: &[u8], value: &[u8]) -> Result<Test, Reply> {
        let in_summary = Summary::has_fields(&[name.to_vec()]);
        if in_summary {
            self.want(Source::Summary);
        }
        let needle = if value.is_empty() {
            None
        } else {
            Some(self.needle(value)?)
        };
        let addresses = ADDRESS_FIELDS
            .iter()
            .any(|field| field.eq_ignore_ascii_case(name));
        let kind = if addresses {
            Field::Addresses
        } else {
            Field::Text
        };
        let name = name.to_vec();
        let test = HeaderTest {
            name,
            needle,
            kind,
            in_summary,
        };
        Ok(self.wanting(Source::Header, Test::Header(Box::new(test))))
    }

    fn text(&mut self, text: &[u8], scope: Scope) -> Result<Test, Reply> {
        // Every text contains the empty string.
        if text.is_empty() {
            return Ok(Test::Constant(true));
        }
        let needle = self.needle(text)?;
        self.needles.push((Rc::new(needle), scope));
        Ok(self.wanting(Source::Text, Test::Text(self.needles.len() - 1)))
    }

    fn needle(&self, text: &[u8]) -> Result<Needle, Reply> {
        match charset::decode(self.charset.as_bytes(), text) {
            Some(text) => Ok(Needle::new(&text)),
            None => Err(Reply::no("The string is not in that charset.").code(Code::BadCharset)),
        }
    }
}

/// The UIDs of sequence numbers; numbers past the end match nothing here.
fn numbers(set: &Set, context: &mut Context<'_>) -> Result<Ranges, Reply> {
    let Set::Numbers(numbers) = set else {
        return uids_of(set, false, context);
    };
    let id = context.client.id;
    let mailbox = selected_mailbox(context).ok_or_else(reply::deselected)?;
    let cursor = mailbox.cursor(id).ok_or_else(reply::deselected)?;
    let messages = mailbox.folder.messages();
    let exists = cursor.exists(messages);
    let numbers = numbers
        .resolve(exists)
        .intersect(&Ranges::between(1, exists));
    cursor
        .uids_of_numbers(messages, &numbers)
        .ok_or_else(reply::deselected)
}

fn seconds_ago(seconds: u32, context: &Context<'_>) -> i64 {
    let now = context
        .now
        .time
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default()
        .as_secs();
    i64::try_from(now).unwrap_or(i64::MAX) - i64::from(seconds)
}

const SECONDS_PER_DAY: i64 = 86_400;

/// Fields whose value is a list of addresses to SEARCH (RFC 9051 6.4.4).
const ADDRESS_FIELDS: &[&[u8]] = &[b"From", b"To", b"Cc", b"Bcc", b"Reply-To", b"Sender"];
