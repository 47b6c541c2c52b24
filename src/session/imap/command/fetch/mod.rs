//! FETCH and UID FETCH (RFC 9051 6.4.5, RFC 3516, RFC 7162 3.1.4 and 3.2.6, RFC 8474, RFC 8514).
//!
//! Message by message, and item by item within a message: whatever is written next fits in the
//! client's buffer, and a body is read from its file only as the buffer drains.  A message's file
//! is opened before its response begins, so that one that is gone or cannot be read costs its own
//! response and no other.

mod item;

use item::{LearnedBy, MessageFacts};

use super::enable::use_condstore;
use super::{Command, Context, Progress, Start, report_unread, selected_mailbox, uids_of};
use crate::imap::fetch::{Fact, Fetch as Request, FetchItem, FetchLine};
use crate::imap::response;
use crate::log::ONCE;
use crate::mail::{Flags, Ranges, System, Uid};
use crate::maildir::folder::{MessageError, Opening};
use crate::session::imap::body::Body;
use crate::session::imap::command::patience::Patience;
use crate::session::imap::reply::{self, Reply};
use crate::session::imap::view;
use crate::store::MailboxKey;
use crate::store::cursor::{Counted, Walk};
use crate::store::locked::Locked;
use crate::store::mailbox::Mailbox;
use crate::store::summary::Summary;
use crate::store::text::{Memo, Text};

pub fn start(request: Request, context: &mut Context<'_>) -> Start {
    let Some(selected) = context.client.selected else {
        return Start::Done(reply::deselected());
    };
    if request.changed_since.is_some() || request.items.contains(&MODSEQ) {
        use_condstore(context);
    }
    let uids = match uids_of(&request.set, request.uid, context) {
        Ok(uids) => uids,
        Err(reply) => return Start::Done(reply),
    };
    let id = context.client.id;
    if let Some(mailbox) = context.mailboxes.get(selected.mailbox) {
        view::tell_keywords(mailbox, id, context.client.out.writer());
    }
    if request.vanished {
        tell_vanished(&request, &uids, context);
    }
    let marks_seen = !selected.read_only && request.items.iter().any(FetchItem::sets_seen);
    Start::Running(Box::new(Fetch {
        mailbox: selected.mailbox,
        marks_seen,
        tells_modseq: request.items.contains(&MODSEQ),
        modseq_told: 0,
        needs: Needs::of(&request.items),
        facts: facts_alone(&request.items),
        request,
        uids,
        walk: Walk::default(),
        current: None,
        spare: None,
        gone: false,
        failure: None,
        patience: Patience::default(),
    }))
}

/// The next command is no FETCH, so texts are not kept for it.
pub fn forget_texts(context: &mut Context<'_>) {
    context.client.memo = None;
    context.mailboxes.expanded = None;
}

/// `* VANISHED (EARLIER)`: what has gone of the UIDs asked for since that modseq.
fn tell_vanished(request: &Request, uids: &Ranges, context: &mut Context<'_>) {
    let since = request.changed_since.unwrap_or(0);
    let Some(mailbox) = selected_mailbox(context) else {
        return;
    };
    let vanished = match mailbox.folder.expunged_since(since) {
        Some(expunged) => expunged.intersect(uids),
        None => {
            let mut existing = Ranges::new();
            let messages = mailbox.folder.messages().iter();
            messages
                .filter(|m| !m.is_gone())
                .for_each(|m| existing.push(m.uid().0));
            uids.difference(&existing)
        }
    };
    response::vanished(context.client.out.writer(), true, &vanished);
}

struct Fetch {
    mailbox: MailboxKey,
    request: Request,
    marks_seen: bool,
    tells_modseq: bool,
    /// The greatest one told.
    modseq_told: u64,
    needs: Needs,
    /// The items, if they ask for facts alone, which the folder's table can answer.
    facts: Option<Vec<Fact>>,
    uids: Ranges,
    walk: Walk,
    current: Option<Current>,
    /// The memory of the text read last.
    spare: Option<Text>,
    /// A message asked for is expunged.
    gone: bool,
    /// The first message that could not be read.
    failure: Option<MessageError>,
    patience: Patience,
}

/// Where the items' answers come from.
#[derive(Clone, Copy, Debug, Default)]
struct Needs {
    /// From the cache, or from the file's header if the cache does not have them.
    summary: bool,
    /// From the cache, or from the file if the cache does not have BODY or BODYSTRUCTURE.
    body: bool,
    body_structure: bool,
    /// The file in any case.
    text: bool,
    /// All of it.
    whole: bool,
    size: bool,
}

impl Needs {
    fn of(items: &[FetchItem]) -> Needs {
        let mut needs = Needs::default();
        for item in items {
            match item {
                FetchItem::Envelope => needs.summary = true,
                FetchItem::Body => needs.body = true,
                FetchItem::BodyStructure => needs.body_structure = true,
                FetchItem::Section(section) if item::is_in_summary(section) => needs.summary = true,
                FetchItem::Section(section) if item::is_whole(section) => {
                    needs.text = true;
                    needs.whole = true;
                }
                FetchItem::Section(_) | FetchItem::Binary { .. } | FetchItem::BinarySize { .. } => {
                    needs.text = true;
                }
                FetchItem::Fact(fact) => needs.size |= item::learned_by(*fact) == LearnedBy::Size,
            }
        }
        needs
    }
}

/// The items, if all of them are facts.
fn facts_alone(items: &[FetchItem]) -> Option<Vec<Fact>> {
    items.iter().map(FetchItem::as_fact).collect()
}

/// The message whose response is being written.
struct Current {
    uid: Uid,
    number: u32,
    stage: Stage,
    opening: Option<Opening>,
    text: Option<Text>,
    summary: Option<Summary>,
    /// BINARY: a part whose decoded size is being found.
    measure: Option<item::Measure>,
    /// This FETCH has set \Seen, so the client has to hear of it.
    marked_seen: bool,
}

enum Stage {
    /// What the items need is being fetched.
    Prepare,
    /// The response has begun; the next item.
    Items { line: FetchLine, next: usize },
    /// A literal is on its way.
    Body {
        line: FetchLine,
        next: usize,
        body: Body,
    },
}

impl Command for Fetch {
    fn step(&mut self, context: &mut Context<'_>) -> Progress {
        let progress = self.work(context);
        if let Some(mailbox) = context.mailboxes.get(self.mailbox) {
            // \Seen was set under the lock, which is held no longer than one time slice.
            if let Err(error) = mailbox.unlock(Some(context.client.id), context.now) {
                report_unmarked(mailbox, &error.explained());
            }
            mailbox.note_modseq(context.client.id, self.modseq_told);
            if let Progress::Done(_) = progress {
                mailbox.flush_cache();
            }
        }
        progress
    }
}

impl Fetch {
    fn work(&mut self, context: &mut Context<'_>) -> Progress {
        loop {
            if context.client.out.is_full() {
                return Progress::NeedRoom;
            }
            if (context.over)() {
                return Progress::Again;
            }
            if self.current.is_none()
                && let Some(facts) = self.facts.take()
            {
                let told = self.tell_from_table(&facts, context);
                self.facts = Some(facts);
                if let Some(progress) = told {
                    return progress;
                }
            }
            let Some(mut current) = self.current.take().or_else(|| self.next(context)) else {
                return Progress::Done(self.done());
            };
            match self.advance(&mut current, context) {
                Ok(true) => self.finish(current, context),
                Ok(false) => self.current = Some(current),
                Err(Stop::Wait(progress)) => {
                    self.current = Some(current);
                    return progress;
                }
                Err(Stop::Failed(MessageError::Gone)) => self.gone = true,
                Err(Stop::Failed(error)) => {
                    report_unread("FETCH", current.uid, &error, self.mailbox, context);
                    self.failure = self.failure.take().or(Some(error));
                }
                Err(Stop::Refused(reply)) => return Progress::Done(reply),
            }
        }
    }

    /// Answers one message after the other as long as the table knows all that is asked; `None`: it
    /// does not know it of the next one.
    fn tell_from_table(&mut self, asked: &[Fact], context: &mut Context<'_>) -> Option<Progress> {
        let Context {
            client,
            mailboxes,
            over,
            ..
        } = context;
        let mailbox = mailboxes.get(self.mailbox)?;
        let cursor = mailbox.cursor(client.id)?;
        let folder = &mailbox.folder;
        let facts = MessageFacts::new(folder, cursor, client.manner());
        for told in 1u32.. {
            let before = self.walk;
            let next = cursor.next(folder.messages(), &self.uids, &mut self.walk);
            let Some(counted) = next else {
                return Some(Progress::Done(self.done()));
            };
            let message = counted.message;
            let since = self.request.changed_since;
            if since.is_none_or(|since| message.modseq() > since) {
                if !asked.iter().all(|&fact| MessageFacts::know(fact, message)) {
                    self.walk = before;
                    return None;
                }
                let out = client.out.writer();
                let mut line = FetchLine::begin(out, counted.number);
                for &fact in asked {
                    facts.write(fact, counted.index, message, &mut line, out);
                }
                line.end(out);
                if self.tells_modseq {
                    self.modseq_told = self.modseq_told.max(message.modseq());
                }
            }
            if client.out.is_full() {
                return Some(Progress::NeedRoom);
            }
            if told.is_multiple_of(CHECK_EVERY) && over() {
                return Some(Progress::Again);
            }
        }
        None
    }

    /// The next message that is to be answered.
    fn next(&mut self, context: &mut Context<'_>) -> Option<Current> {
        let mailbox = context.mailboxes.get(self.mailbox)?;
        let cursor = mailbox.cursor(context.client.id)?;
        let messages = mailbox.folder.messages();
        loop {
            let Counted {
                number, message, ..
            } = cursor.next(messages, &self.uids, &mut self.walk)?;
            if self
                .request
                .changed_since
                .is_some_and(|since| message.modseq() <= since)
            {
                continue;
            }
            return Some(Current {
                uid: message.uid(),
                number,
                stage: Stage::Prepare,
                opening: None,
                text: None,
                summary: None,
                measure: None,
                marked_seen: false,
            });
        }
    }

    /// Does one thing for the message; true when its response is complete.
    fn advance(&mut self, current: &mut Current, context: &mut Context<'_>) -> Result<bool, Stop> {
        match std::mem::replace(&mut current.stage, Stage::Prepare) {
            Stage::Prepare => {
                self.prepare(current, context)?;
                let line = FetchLine::begin(context.client.out.writer(), current.number);
                current.stage = Stage::Items { line, next: 0 };
                Ok(false)
            }
            Stage::Body {
                line,
                next,
                mut body,
            } => {
                let text = current.text.as_mut();
                if body.write(text, &mut context.client.out, context.over) {
                    current.stage = Stage::Items { line, next };
                    return Ok(false);
                }
                current.stage = Stage::Body { line, next, body };
                let full = context.client.out.is_full();
                Err(Stop::Wait(if full {
                    Progress::NeedRoom
                } else {
                    Progress::Again
                }))
            }
            Stage::Items { mut line, next } => {
                let Some(item) = self.request.items.get(next) else {
                    self.end(line, current, context);
                    return Ok(true);
                };
                match item::write(item, current, &mut line, self.mailbox, context) {
                    Ok(Some(body)) => {
                        current.stage = Stage::Body {
                            line,
                            next: next + 1,
                            body,
                        }
                    }
                    Ok(None) => {
                        current.stage = Stage::Items {
                            line,
                            next: next + 1,
                        }
                    }
                    Err(stop @ Stop::Wait(_)) => {
                        current.stage = Stage::Items { line, next };
                        return Err(stop);
                    }
                    Err(stop) => {
                        // The response has begun: it ends here, as a legal one.
                        let out = context.client.out.writer();
                        if next == 0 {
                            line.uid(out, current.uid);
                        }
                        line.end(out);
                        return Err(stop);
                    }
                }
                Ok(false)
            }
        }
    }

    /// Gets everything that could fail before the response begins.
    fn prepare(&mut self, current: &mut Current, context: &mut Context<'_>) -> Result<(), Stop> {
        let (now, over) = (context.now, context.over);
        let rev2 = context.client.manner().rev2;
        let is_this = |memo: &mut Memo| memo.is_of(self.mailbox, current.uid);
        let memo = context.client.memo.take_if(is_this);
        let memo = memo.or_else(|| context.mailboxes.expanded.take_if(is_this));
        let mailbox = context
            .mailboxes
            .get(self.mailbox)
            .ok_or_else(Stop::deselected)?;
        let index = mailbox
            .folder
            .index_of(current.uid)
            .map_err(|_| MessageError::Gone)?;
        let message = mailbox.folder.messages().get(index);
        let message = *message.ok_or(MessageError::Gone)?;
        let Needs {
            body,
            body_structure,
            ..
        } = self.needs;
        let asks = self.needs.summary || body || body_structure;
        let mut cached = None;
        if asks && current.summary.is_none() {
            cached = mailbox.cached(current.uid).and_then(Summary::decode);
            current.summary = cached.take_if(|summary| {
                (!body || summary.body.is_some())
                    && (!body_structure || summary.body_structure.is_some())
                    && (!rev2 || summary.is_for_rev2())
            });
        }
        let incomplete = asks && current.summary.is_none();
        if (self.needs.text || incomplete) && current.text.is_none() {
            current.text = Some(match memo {
                Some(memo) => memo.into_text(),
                None => {
                    let opening = match &mut current.opening {
                        Some(opening) => opening,
                        none => none.insert(mailbox.folder.open_message(index, now.time)?),
                    };
                    let opened = opening.go_on(over)?;
                    let mut file = opened.ok_or(Stop::Wait(Progress::Again))?;
                    current.opening = None;
                    if let Some(damage) = file.take_damage() {
                        let uid = current.uid.0;
                        let name = &mailbox.name;
                        log::error!(target: ONCE, "Mailbox {name}: UID {uid}: {damage}");
                        let damage = MessageError::Io(damage);
                        self.failure = self.failure.take().or(Some(damage));
                    }
                    match self.spare.take() {
                        Some(spare) => spare.reuse(file),
                        None => Text::new(file),
                    }
                }
            });
        }
        if incomplete && let Some(text) = &mut current.text {
            // What may take several slices comes first, so that the rest is done once.
            if body || body_structure {
                let structure = text.structure(over).map_err(MessageError::from)?;
                structure.ok_or(Stop::Wait(Progress::Again))?;
            }
            let mut summary = Summary::of_header(text.header().map_err(MessageError::from)?);
            if let Some(cached) = cached {
                summary.body = cached.body;
                summary.body_structure = cached.body_structure;
            }
            if (body || body_structure)
                && let Some(structure) = text.structure(over).map_err(MessageError::from)?
            {
                if body {
                    summary.add_structure(structure, false);
                }
                if body_structure {
                    summary.add_structure(structure, true);
                }
            }
            let bytes = summary.encode();
            if mailbox.cached(current.uid) != Some(&bytes) {
                mailbox.keep(current.uid, &bytes);
            }
            if rev2
                && !summary.is_for_rev2()
                && let Some(structure) = text.structure(over).map_err(MessageError::Io)?
            {
                summary.add_structure_for_rev2(structure);
            }
            current.summary = Some(summary);
        }
        if let Some(text) = &mut current.text
            && (self.needs.whole || self.needs.size)
        {
            // What the file has counts, not what its name says.
            let whole = text.whole(over).map_err(MessageError::from)?;
            let whole = whole.ok_or(Stop::Wait(Progress::Again))?;
            if message.virtual_size() != Some(whole.crlf_size()) {
                let size = whole.size();
                mailbox.folder.correct_sizes(index, size, whole.crlf_size());
            }
        }
        item::prepare_facts(&self.request.items, index, mailbox, over)?;
        // What the table and the cache know of an expunged message can still be told to a client
        // that has not heard of the expunge (RFC 2180 4.1.1).
        if self.marks_seen && !message.is_gone() {
            self.mark_seen(index, current, context)?;
        }
        Ok(())
    }

    /// Sets \Seen, as fetching a body without PEEK does (RFC 9051 6.4.5).
    fn mark_seen(
        &mut self,
        index: usize,
        current: &mut Current,
        context: &mut Context<'_>,
    ) -> Result<(), Stop> {
        let (now, id) = (context.now, context.client.id);
        let mailbox = context
            .mailboxes
            .get(self.mailbox)
            .ok_or_else(Stop::deselected)?;
        let folder = &mailbox.folder;
        let seen = Flags::from(System::SEEN);
        let known = folder.messages().get(index).ok_or(MessageError::Gone)?;
        if known.flags() == known.flags().with(seen) && folder.is_as_known(index) {
            return Ok(());
        }
        let marked = match mailbox.lock(now) {
            Ok(None) => return Err(Stop::Wait(self.patience.locked())),
            Ok(Some(mut locked)) => mark(&mut locked, index, seen),
            Err(error) => Err(error.explained()),
        };
        match marked {
            Ok(()) => current.marked_seen = true,
            // The text is sent even if it cannot be marked as read.
            Err(error) => report_unmarked(mailbox, &error),
        }
        view::tell_keywords(mailbox, id, context.client.out.writer());
        Ok(())
    }

    /// The end of a message's response.
    fn end(&mut self, mut line: FetchLine, current: &Current, context: &mut Context<'_>) {
        if (self.tells_modseq || current.marked_seen)
            && let Some(mailbox) = context.mailboxes.get(self.mailbox)
            && let Ok(index) = mailbox.folder.index_of(current.uid)
            && let Some(message) = mailbox.folder.messages().get(index)
        {
            self.modseq_told = self.modseq_told.max(message.modseq());
        }
        let asked = |fact| self.request.items.contains(&FetchItem::Fact(fact));
        if current.marked_seen && !asked(Fact::Flags) {
            self.add(Fact::Flags, &mut line, current, context);
        }
        // A client that hears of a change hears of its modseq (RFC 7162 3.1).
        if current.marked_seen && context.client.manner().condstore && !asked(Fact::ModSeq) {
            self.add(Fact::ModSeq, &mut line, current, context);
        }
        line.end(context.client.out.writer());
    }

    /// Adds a fact that was not asked for.  If that fails, the response does without it.
    fn add(&self, fact: Fact, line: &mut FetchLine, current: &Current, context: &mut Context<'_>) {
        let _ = item::write_fact(fact, current.uid, line, self.mailbox, context);
    }

    fn finish(&mut self, current: Current, context: &mut Context<'_>) {
        let partial = self.request.items.iter().any(item::is_partial);
        match current.text {
            // The next FETCH will probably ask for the next part of the same text.
            Some(text) if partial && text.size() >= MEMO_SIZE => {
                // An expanded text takes room on the disk, so there is one for all clients of the
                // user.
                let memo = match text.is_expanded() {
                    true => &mut context.mailboxes.expanded,
                    false => &mut context.client.memo,
                };
                *memo = Some(Memo::new(self.mailbox, current.uid, text));
            }
            Some(text) => self.spare = Some(text),
            None => {}
        }
    }

    fn done(&mut self) -> Reply {
        if let Some(error) = self.failure.take() {
            return error.into();
        }
        if self.gone && !self.request.uid {
            return Reply::expunge_issued();
        }
        Reply::ok("Fetch completed.")
    }
}

fn mark(locked: &mut Locked<'_>, index: usize, seen: Flags) -> Result<(), String> {
    let modseq = locked.modseq().map_err(|error| error.explained())?;
    let folder = &mut locked.mailbox.folder;
    let changed = folder.change_flags(index, &|flags: Flags| flags.with(seen), modseq);
    changed.map(drop).map_err(|error| error.explained())
}

fn report_unmarked(mailbox: &Mailbox, error: &str) {
    let name = &mailbox.name;
    log::warn!(target: ONCE, "Mailbox {name}: \\Seen cannot be set: {error}");
}

/// Why a message's response does not go on.
enum Stop {
    Wait(Progress),
    /// This message has no response.
    Failed(MessageError),
    /// The command is over.
    Refused(Reply),
}

impl Stop {
    fn deselected() -> Stop {
        Stop::Refused(reply::deselected())
    }
}

impl From<MessageError> for Stop {
    fn from(error: MessageError) -> Stop {
        Stop::Failed(error)
    }
}

const MODSEQ: FetchItem = FetchItem::Fact(Fact::ModSeq);

/// How many messages are told of between two looks at the clock.
const CHECK_EVERY: u32 = 256;

const MEMO_SIZE: u64 = 128 * 1024;
