//! A SEARCH in the terms of the mailbox that is selected.

use std::rc::Rc;
use std::time::UNIX_EPOCH;

use crate::imap::response::Code;
use crate::imap::search::{Search as Request, SearchKey};
use crate::imap::sequence::Set;
use crate::imap::syntax::Date;
use crate::mail::{Flags, Ranges, System};
use crate::message::charset;
use crate::message::search::{Needle, Scope};
use crate::session::imap::command::{Context, selected_mailbox, uids_of};
use crate::session::imap::reply::{self, Reply};
use crate::store::query::{
    AnswerSource, Comparison, DateKind, FieldKind, HeaderTest, Program, Test,
};
use crate::store::summary::Summary;

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
    Ok(Program::new(test, compiler.needles, compiler.wants))
}

struct Compiler {
    charset: String,
    needles: Vec<(Rc<Needle>, Scope)>,
    wants: Vec<AnswerSource>,
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
            SearchKey::Larger(size) => self.wanting(AnswerSource::Size, Test::Larger(*size)),
            SearchKey::Smaller(size) => self.wanting(AnswerSource::Size, Test::Smaller(*size)),
            SearchKey::Before(day) => self.day(DateKind::Internal, Comparison::Before, *day),
            SearchKey::On(day) => self.day(DateKind::Internal, Comparison::On, *day),
            SearchKey::Since(day) => self.day(DateKind::Internal, Comparison::Since, *day),
            SearchKey::SavedBefore(day) => self.day(DateKind::Save, Comparison::Before, *day),
            SearchKey::SavedOn(day) => self.day(DateKind::Save, Comparison::On, *day),
            SearchKey::SavedSince(day) => self.day(DateKind::Save, Comparison::Since, *day),
            SearchKey::SentBefore(day) => self.sent(Comparison::Before, *day),
            SearchKey::SentOn(day) => self.sent(Comparison::On, *day),
            SearchKey::SentSince(day) => self.sent(Comparison::Since, *day),
            SearchKey::SaveDateSupported => Test::Constant(true),
            SearchKey::Younger(seconds) => self.wanting(
                AnswerSource::Facts,
                Test::Since(seconds_ago(*seconds, context)),
            ),
            SearchKey::Older(seconds) => {
                // A message of exactly this age counts as older (RFC 5032 3).
                let since = Test::Since(seconds_ago(*seconds, context).saturating_add(1));
                Test::Not(Box::new(self.wanting(AnswerSource::Facts, since)))
            }
            SearchKey::ModSeq(modseq) => Test::ModSeq(*modseq),
            SearchKey::EmailId(id) => {
                self.wanting(AnswerSource::EmailId, Test::EmailId(id.clone()))
            }
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

    fn want(&mut self, source: AnswerSource) {
        if !self.wants.contains(&source) {
            self.wants.push(source);
        }
    }

    fn wanting(&mut self, source: AnswerSource, test: Test) -> Test {
        self.want(source);
        test
    }

    fn day(&mut self, stamp: DateKind, comparison: Comparison, date: Date) -> Test {
        self.wanting(AnswerSource::Facts, Test::Day(stamp, comparison, date.days))
    }

    fn sent(&mut self, comparison: Comparison, date: Date) -> Test {
        self.want(AnswerSource::Summary);
        self.wanting(AnswerSource::Header, Test::Sent(comparison, date.days))
    }

    fn header(&mut self, name: &[u8], value: &[u8]) -> Result<Test, Reply> {
        let in_summary = Summary::has_fields(&[name.to_vec()]);
        if in_summary {
            self.want(AnswerSource::Summary);
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
            FieldKind::Addresses
        } else {
            FieldKind::Text
        };
        let name = name.to_vec();
        let test = HeaderTest {
            name,
            needle,
            kind,
            in_summary,
        };
        Ok(self.wanting(AnswerSource::Header, Test::Header(Box::new(test))))
    }

    fn text(&mut self, text: &[u8], scope: Scope) -> Result<Test, Reply> {
        // Every text contains the empty string.
        if text.is_empty() {
            return Ok(Test::Constant(true));
        }
        let needle = self.needle(text)?;
        self.needles.push((Rc::new(needle), scope));
        Ok(self.wanting(AnswerSource::Text, Test::Text(self.needles.len() - 1)))
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

/// Fields whose value is a list of addresses to SEARCH (RFC 9051 6.4.4).
const ADDRESS_FIELDS: &[&[u8]] = &[b"From", b"To", b"Cc", b"Bcc", b"Reply-To", b"Sender"];
