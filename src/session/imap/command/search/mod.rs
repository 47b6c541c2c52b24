//! SEARCH and UID SEARCH (RFC 9051 6.4.4, RFC 4731, RFC 5182, RFC 5032, RFC 7162 3.1.5).
//!
//! Each message is judged by what costs least: first by the folder's table alone, then by the
//! header fields in the cache, and only if that does not decide it by reading its file, once for
//! all strings that are looked for.

mod compile;

use compile::compile;

use super::enable::use_condstore;
use super::{Command, Context, Progress, Start, report_unread};
use crate::imap::command::Tag;
use crate::imap::response::{self, Found};
use crate::imap::search::{Search as Request, SearchReturn};
use crate::mail::{Ranges, Uid};
use crate::maildir::folder::{MessageError, Opening};
use crate::message::search::Searcher;
use crate::session::imap::reply::{self, Reply};
use crate::store::MailboxKey;
use crate::store::cursor::Walk;
use crate::store::query::{AnswerSource, KnownMessage, Program};
use crate::store::summary::Summary;
use crate::store::text::Text;

pub fn start(tag: &Tag, request: &Request, context: &mut Context<'_>) -> Start {
    let Some(selected) = context.client.selected else {
        return Start::Done(reply::deselected());
    };
    if request.key.has_modseq() {
        use_condstore(context);
    }
    let program = match compile(request, context) {
        Ok(program) => program,
        Err(reply) => {
            // RFC 5182 2.1: a SEARCH that fails leaves nothing behind.
            if request.returns.is_some_and(|returns| returns.save) {
                context.client.saved = Ranges::new();
            }
            return Start::Done(reply);
        }
    };
    // IMAP4rev2 knows the ESEARCH response only (RFC 9051 7.3.4).
    let all = SearchReturn {
        all: true,
        ..SearchReturn::default()
    };
    let rev2 = context.client.manner().rev2;
    Start::Running(Box::new(Search {
        tag: tag.clone(),
        uid: request.uid,
        returns: request.returns.or(rev2.then_some(all)),
        tells_modseq: request.key.has_modseq(),
        mailbox: selected.mailbox,
        program,
        walk: Walk::default(),
        reading: None,
        opening: None,
        spare: None,
        found: Vec::new(),
        failure: None,
    }))
}

struct Search {
    tag: Tag,
    uid: bool,
    /// `None`: the old SEARCH response.
    returns: Option<SearchReturn>,
    tells_modseq: bool,
    mailbox: MailboxKey,
    program: Program,
    walk: Walk,
    /// A message that is being read.
    reading: Option<Reading>,
    /// A message whose text is being made readable.
    opening: Option<(Uid, Opening)>,
    /// The memory of the text read last.
    spare: Option<Text>,
    found: Vec<Match>,
    /// Why a message could not be judged; the first one.
    failure: Option<MessageError>,
}

struct Reading {
    candidate: Match,
    known: KnownMessage,
    text: Box<Text>,
    at: u64,
    searcher: Searcher,
}

#[derive(Clone, Copy)]
struct Match {
    uid: u32,
    number: u32,
    modseq: u64,
}

/// What a look at a message gave.
enum Verdict {
    Is(bool),
    /// Its text has to be read.
    Read(Box<Text>),
    /// The time slice was used up; look again.
    Again,
}

impl Command for Search {
    fn step(&mut self, context: &mut Context<'_>) -> Progress {
        loop {
            let more = match self.reading.take() {
                Some(reading) => {
                    self.read(reading, context);
                    true
                }
                None => self.judge_next(context),
            };
            if !more {
                if let Some(mailbox) = context.mailboxes.get(self.mailbox) {
                    mailbox.flush_cache();
                }
                return Progress::Done(self.done(context));
            }
            if (context.over)() {
                return Progress::Again;
            }
        }
    }
}

impl Search {
    /// Judges the next message, or begins to read it; false when there are no more.
    fn judge_next(&mut self, context: &mut Context<'_>) -> bool {
        let Some(mailbox) = context.mailboxes.get(self.mailbox) else {
            return false;
        };
        let Some(cursor) = mailbox.cursor(context.client.id) else {
            return false;
        };
        let messages = mailbox.folder.messages();
        let before = self.walk;
        let next = cursor.next(messages, &self.program.candidates, &mut self.walk);
        let Some(counted) = next else {
            return false;
        };
        let message = *counted.message;
        if message.is_gone() {
            return true;
        }
        let uid = message.uid();
        let candidate = Match {
            uid: uid.0,
            number: counted.number,
            modseq: message.modseq(),
        };
        let mut known = KnownMessage::of(&message, cursor.is_recent(uid));
        match self.weigh(counted.index, &mut known, context) {
            Ok(Verdict::Is(true)) => self.found.push(candidate),
            Ok(Verdict::Is(false)) | Err(MessageError::Gone) => {}
            Ok(Verdict::Read(text)) => {
                let searcher = Searcher::new(self.program.needles());
                self.reading = Some(Reading {
                    candidate,
                    known,
                    text,
                    at: 0,
                    searcher,
                });
            }
            Ok(Verdict::Again) => self.walk = before,
            Err(error) => self.fail(uid, error, context),
        }
        true
    }

    /// Finds out about a message what the program needs, the cheap things first, until the program
    /// can decide.
    fn weigh(
        &mut self,
        index: usize,
        known: &mut KnownMessage,
        context: &mut Context<'_>,
    ) -> Result<Verdict, MessageError> {
        let (now, over) = (context.now, context.over);
        let mailbox = context
            .mailboxes
            .get(self.mailbox)
            .ok_or(MessageError::Gone)?;
        let mut text = None;
        for source in AnswerSource::BY_COST {
            if let Some(verdict) = self.program.judge(known) {
                self.spare = text.or(self.spare.take());
                return Ok(Verdict::Is(verdict));
            }
            if !self.program.wants(source) {
                continue;
            }
            match source {
                AnswerSource::Facts => known.facts = Some(mailbox.folder.facts(index)?),
                AnswerSource::Size => match mailbox.folder.virtual_size(index, over)? {
                    Some(size) => known.size = Some(size),
                    None => return Ok(Verdict::Again),
                },
                AnswerSource::EmailId => known.email_id = Some(mailbox.folder.email_id(index)),
                AnswerSource::Summary => {
                    known.fields = mailbox.cached(known.uid).and_then(Summary::fields_of);
                }
                AnswerSource::Header | AnswerSource::Text => {
                    let mut opened = match text.take() {
                        Some(text) => text,
                        None => {
                            let begun = self.opening.take().filter(|(uid, _)| *uid == known.uid);
                            let mut opening = match begun {
                                Some((_, opening)) => opening,
                                None => mailbox.folder.open_message(index, now.time)?,
                            };
                            let Some(file) = opening.go_on(over)? else {
                                self.opening = Some((known.uid, opening));
                                return Ok(Verdict::Again);
                            };
                            match self.spare.take() {
                                Some(spare) => spare.reuse(file),
                                None => Text::new(file),
                            }
                        }
                    };
                    if source == AnswerSource::Text {
                        return Ok(Verdict::Read(Box::new(opened)));
                    }
                    let header = opened.header().map_err(MessageError::from)?.to_vec();
                    if known.fields.is_none() {
                        let summary = Summary::of_header(&header);
                        mailbox.keep(known.uid, &summary.encode());
                    }
                    known.header = Some(header);
                    text = Some(opened);
                }
            }
        }
        let verdict = self.program.judge(known).unwrap_or(false);
        self.spare = text.or(self.spare.take());
        Ok(Verdict::Is(verdict))
    }

    /// Reads on in a message, to its end or until the strings are found.
    fn read(&mut self, mut reading: Reading, context: &mut Context<'_>) {
        loop {
            let chunk = match reading.text.chunk(reading.at) {
                Ok(chunk) => chunk,
                Err(error) => {
                    let uid = Uid(reading.candidate.uid);
                    self.fail(uid, error.into(), context);
                    return;
                }
            };
            let more = !chunk.is_empty() && reading.searcher.push(chunk);
            reading.at += chunk.len() as u64;
            if !more {
                break;
            }
            if (context.over)() {
                self.reading = Some(reading);
                return;
            }
        }
        let Reading {
            candidate,
            mut known,
            text,
            searcher,
            ..
        } = reading;
        known.found = Some(searcher.finish());
        if self.program.judge(&known) == Some(true) {
            self.found.push(candidate);
        }
        self.spare = Some(*text);
    }

    /// The others are judged all the same.
    fn fail(&mut self, uid: Uid, error: MessageError, context: &mut Context<'_>) {
        report_unread("SEARCH", uid, &error, self.mailbox, context);
        self.failure = self.failure.take().or(Some(error));
    }

    /// What was found is told even if there is more that could not be judged; then the answer is
    /// NO, and nothing is saved (RFC 5182 2.1).
    fn done(&mut self, context: &mut Context<'_>) -> Reply {
        self.tell(context);
        match self.failure.take() {
            Some(error) => {
                if self.returns.is_some_and(|returns| returns.save) {
                    context.client.saved = Ranges::new();
                }
                error.into()
            }
            None => Reply::ok("Search completed."),
        }
    }

    fn tell(&mut self, context: &mut Context<'_>) {
        let found = std::mem::take(&mut self.found);
        let name = |found: &Match| if self.uid { found.uid } else { found.number };
        let set = |of: fn(&Match) -> u32| {
            let mut ranges = Ranges::new();
            found.iter().for_each(|found| ranges.push(of(found)));
            ranges
        };
        let names = if self.uid {
            set(|found| found.uid)
        } else {
            set(|found| found.number)
        };
        let greatest = found.iter().map(|found| found.modseq).max();
        if self.tells_modseq
            && let Some(mailbox) = context.mailboxes.get(self.mailbox)
        {
            mailbox.note_modseq(context.client.id, greatest.unwrap_or(0));
        }
        let out = context.client.out.writer();
        let Some(returns) = self.returns else {
            response::search(out, &names, greatest.filter(|_| self.tells_modseq));
            return;
        };
        let (first, last) = (found.first(), found.last());
        let everything = returns.all || returns.count || !(returns.min || returns.max);
        let ends: Vec<Match> = [first.filter(|_| returns.min), last.filter(|_| returns.max)]
            .into_iter()
            .flatten()
            .copied()
            .collect();
        // RFC 4731 3.2 and RFC 5182 2.4: messages that are not returned do not count.
        let counted: &[Match] = if everything { &found } else { &ends };
        if returns.save {
            let uids = counted.iter().map(|found| (found.uid, found.uid)).collect();
            context.client.saved = Ranges::from_unsorted(uids);
        }
        if returns.min || returns.max || returns.all || returns.count {
            let modseq = counted.iter().map(|found| found.modseq).max();
            let count = u32::try_from(found.len()).unwrap_or(u32::MAX);
            let found = Found {
                uid: self.uid,
                min: first.filter(|_| returns.min).map(name),
                max: last.filter(|_| returns.max).map(name),
                all: (returns.all && !names.is_empty()).then_some(&names),
                count: returns.count.then_some(count),
                modseq: modseq.filter(|_| self.tells_modseq),
            };
            response::esearch(out, &self.tag, found);
        }
    }
}
