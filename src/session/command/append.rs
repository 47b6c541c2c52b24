//! APPEND (RFC 9051 6.3.12) of one or more messages (RFC 3502), each streamed to tmp/ as it comes.
//!
//! All messages of one APPEND become visible together or not at all (RFC 3502 3).

use super::{Command, Context, Progress, Start};
use crate::imap::Event;
use crate::imap::append::{AppendMessage, AppendStart};
use crate::imap::response::Code;
use crate::mail::{Flags, MailboxName, NamedFlags};
use crate::maildir::folder::save::{Batch, Commit, Incoming, SaveError};
use crate::maildir::folder::{FolderError, Step};
use crate::message::crlf::ToLf;
use crate::session::connection::Patience;
use crate::session::reply::{self, Reply, ReplyCode};
use crate::store::flags::{self, NewKeywords};
use crate::store::mailbox::{Effort, Hold, Mailbox};

pub fn start(request: AppendStart, context: &mut Context<'_>) -> Start {
    let begun = Append::begin(request, context);
    match begun {
        Ok(append) => Start::Running(Box::new(append)),
        Err(reply) => {
            context.client.imap.refuse();
            Start::Done(reply)
        }
    }
}

struct Append {
    name: MailboxName,
    batch: Batch,
    stage: Stage,
    /// Keeps the mailbox open: perhaps no client has selected it, and clients can be slow.
    _hold: Hold,
    patience: Patience,
}

enum Stage {
    /// A message is coming.
    Text(Box<Message>),
    /// The message has come; the announcement of the next one, if there is one.
    Message(Box<Message>, Option<AppendMessage>),
    /// All messages have come, and the mailbox is brought up to date.
    Sync,
    /// The messages are made visible.
    Commit,
}

struct Message {
    about: AppendMessage,
    flags: NamedFlags,
    file: Incoming,
    line_ends: ToLf,
}

impl Append {
    fn begin(request: AppendStart, context: &mut Context<'_>) -> Result<Append, Reply> {
        let name = request.mailbox?;
        let mailbox = destination(&name, context)?;
        let batch = Batch::new(&mailbox.folder);
        let hold = mailbox.hold();
        let stage = Stage::Text(begin_message(&name, request.message, context)?);
        Ok(Append {
            name,
            batch,
            stage,
            _hold: hold,
            patience: Patience::default(),
        })
    }

    /// Returns the next stage, and why it cannot begin at once if that is so.
    fn advance(&mut self, stage: Stage, context: &mut Context<'_>) -> (Stage, Option<Progress>) {
        match stage {
            Stage::Text(message) => take_text(message, context),
            Stage::Message(message, next) => self.add(message, next, context),
            Stage::Sync => match self.sync(context) {
                Ok(Step::Done) => (Stage::Commit, None),
                Ok(Step::Again) => (Stage::Sync, Some(Progress::Again)),
                Ok(Step::Locked) => (Stage::Sync, Some(self.patience.locked())),
                Err(reply) => (Stage::Commit, Some(Progress::Done(reply))),
            },
            Stage::Commit => {
                let stop = self.commit(context).unwrap_or_else(Progress::Done);
                (Stage::Commit, Some(stop))
            }
        }
    }

    /// Adds a message that has come to the batch, and begins with the next.
    fn add(
        &mut self,
        message: Box<Message>,
        next: Option<AppendMessage>,
        context: &mut Context<'_>,
    ) -> (Stage, Option<Progress>) {
        let flags = match self.letters(&message, context) {
            Ok(Some(flags)) => flags,
            Ok(None) => return (Stage::Message(message, next), Some(self.patience.locked())),
            Err(reply) => return refused(reply, context),
        };
        let date = message.about.date.map(|date| date.seconds);
        if let Err(error) = self.batch.add(message.file, flags, date) {
            return refused(error.into(), context);
        }
        let Some(about) = next else {
            return (Stage::Sync, None);
        };
        match begin_message(&self.name, about, context) {
            Ok(message) => (Stage::Text(message), None),
            Err(reply) => refused(reply, context),
        }
    }

    /// The message's flags in the destination's letters; `None` while another program has the lock
    /// that a new keyword needs.
    fn letters(
        &mut self,
        message: &Message,
        context: &mut Context<'_>,
    ) -> Result<Option<Flags>, Reply> {
        let now = context.now.time;
        let folder = &mut destination(&self.name, context)?.folder;
        let named = &message.flags;
        if named.keywords.is_empty() {
            let letters = flags::to_letters(folder, named, NewKeywords::LeftOut, now);
            return Ok(Some(letters?));
        }
        if !folder.lock(now)? {
            return Ok(None);
        }
        let held = self.batch.held_letters();
        let new = NewKeywords::MadeIfPossible { held };
        let letters = flags::to_letters(folder, named, new, now);
        folder.unlock();
        let letters = letters?;
        self.batch.hold_letters(folder, letters);
        Ok(Some(letters))
    }

    fn sync(&mut self, context: &mut Context<'_>) -> Result<Step, Reply> {
        let (now, over) = (context.now, context.over);
        let key = context
            .mailboxes
            .open(&self.name, now)
            .map_err(reply::no_destination)?;
        let look = context.mailboxes.look(key, Effort::Watch, now, over);
        Ok(look.map_err(|error| lose_if_gone(error.into(), &self.name, context))?)
    }

    fn commit(&mut self, context: &mut Context<'_>) -> Result<Progress, Reply> {
        let (now, over, id) = (context.now, context.over, context.client.id);
        let mailbox = destination(&self.name, context)?;
        let commit = mailbox.commit(&mut self.batch, now, over);
        let uid_validity = mailbox.folder.uid_validity();
        Ok(
            match commit.map_err(|error| lose_if_gone(error, &self.name, context))? {
                Commit::Again => Progress::Again,
                Commit::Locked => self.patience.locked(),
                Commit::Done(uids) => {
                    if let Some(key) = context.mailboxes.find_open(&self.name) {
                        context.mailboxes.wake_listeners(key, id);
                    }
                    let code = ReplyCode::AppendUid(uid_validity, uids);
                    Progress::Done(Reply::ok("Append completed.").with(code))
                }
            },
        )
    }
}

impl Command for Append {
    fn step(&mut self, context: &mut Context<'_>) -> Progress {
        loop {
            let stage = std::mem::replace(&mut self.stage, Stage::Commit);
            let (stage, stop) = self.advance(stage, context);
            self.stage = stage;
            if let Some(stop) = stop {
                return stop;
            }
        }
    }
}

fn begin_message(
    name: &MailboxName,
    about: AppendMessage,
    context: &mut Context<'_>,
) -> Result<Box<Message>, Reply> {
    if about.size > context.config.append_limit {
        let text = "The message is larger than append_limit allows.";
        return Err(Reply::no(text).code(Code::TooBig));
    }
    if about.size == 0 {
        // RFC 3502 5: this is how a client gives a MULTIAPPEND up.
        return Err(Reply::no("A message without octets is none."));
    }
    let flags = reply::settable(&about.flags)?;
    let now = context.now.time;
    let file = Incoming::begin(&destination(name, context)?.folder, now)?;
    context.client.imap.accept(context.client.out.writer());
    Ok(Box::new(Message {
        about,
        flags,
        file,
        line_ends: ToLf::default(),
    }))
}

/// Takes what has come of the message.
fn take_text(mut message: Box<Message>, context: &mut Context<'_>) -> (Stage, Option<Progress>) {
    loop {
        let event = context.client.imap.poll_event(context.client.out.writer());
        let taken = match event {
            None => return (Stage::Text(message), Some(Progress::NeedInput)),
            Some(Event::AppendData) => take_data(&mut message, context),
            Some(Event::AppendMessage(about)) => match finish(&mut message) {
                Ok(()) => return (Stage::Message(message, Some(about)), None),
                Err(reply) => Err(reply),
            },
            Some(Event::AppendEnd) => match finish(&mut message) {
                Ok(()) => return (Stage::Message(message, None), None),
                Err(reply) => Err(reply),
            },
            Some(Event::Bad(bad)) => return (Stage::Commit, Some(Progress::Bad(bad))),
            // Nothing else comes before the end of the command.
            Some(_) => Err(Reply::bad("APPEND is incomplete.")),
        };
        if let Err(reply) = taken {
            return refused(reply, context);
        }
        if (context.over)() {
            return (Stage::Text(message), Some(Progress::Again));
        }
    }
}

fn take_data(message: &mut Message, context: &mut Context<'_>) -> Result<(), Reply> {
    // NULs are taken in either kind of literal, and given back by BINARY.
    let data = context.client.imap.append_data();
    let mut lines = Vec::with_capacity(data.len());
    message.line_ends.push(data, &mut lines);
    let taken = data.len();
    message.file.write(&lines)?;
    context.client.imap.consume_append_data(taken);
    Ok(())
}

fn finish(message: &mut Message) -> Result<(), Reply> {
    let mut rest = Vec::new();
    message.line_ends.finish(&mut rest);
    Ok(message.file.write(&rest)?)
}

/// The rest of the command is not wanted.
fn refused(reply: Reply, context: &mut Context<'_>) -> (Stage, Option<Progress>) {
    context.client.imap.refuse();
    (Stage::Commit, Some(Progress::Done(reply)))
}

/// A mailbox whose folder is not there any more, or is another, is opened anew by the next command.
pub(super) fn lose_if_gone(
    error: SaveError,
    name: &MailboxName,
    context: &mut Context<'_>,
) -> SaveError {
    if matches!(
        error,
        SaveError::Folder(FolderError::Missing | FolderError::Replaced)
    ) && let Some(key) = context.mailboxes.find_open(name)
    {
        context.mailboxes.lose_mailbox(key, context.now);
    }
    error
}

/// The mailbox, opened anew if it was replaced while a slow client sent its message.
fn destination<'m>(
    name: &MailboxName,
    context: &'m mut Context<'_>,
) -> Result<&'m mut Mailbox, Reply> {
    let key = context
        .mailboxes
        .open(name, context.now)
        .map_err(reply::no_destination)?;
    context.mailboxes.get(key).ok_or_else(reply::deselected)
}
