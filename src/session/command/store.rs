//! STORE and UID STORE (RFC 9051 6.4.6) with UNCHANGEDSINCE (RFC 7162 3.1.3).
//!
//! The folder's lock is held for one time slice at a time, and each slice has a modseq of its own:
//! a client that asks for HIGHESTMODSEQ between two slices must not miss the second.

use std::cell::Cell;

use super::{Command, Context, Progress, Start, uids_of, under_lock, use_condstore};
use crate::imap::command::{How, Store as Request};
use crate::imap::fetch::FetchLine;
use crate::imap::flag::{Flags, System};
use crate::imap::sequence::Ranges;
use crate::maildir::folder::MessageError;
use crate::maildir::messages::Message;
use crate::session::connection::{Client, Patience, look};
use crate::session::flags::{self, KeywordNames, NewKeywords};
use crate::session::mailbox::{Effort, Mailbox};
use crate::session::reply::{self, Reply, ReplyCode};
use crate::session::view::{Counted, Walk};

pub fn start(request: Request, context: &mut Context<'_>) -> Start {
    if context.client.is_read_only() {
        return Start::Done(reply::read_only());
    }
    if let Err(error) = flags::check(&request.flags) {
        return Start::Done(error.into());
    }
    if request.unchanged_since.is_some() {
        use_condstore(context);
    }
    match uids_of(&request.set, request.uid, context) {
        Err(reply) => Start::Done(reply),
        Ok(uids) => Start::Running(Box::new(Store {
            uids,
            walk: Walk::default(),
            request,
            modified: Ranges::new(),
            gone: false,
            failure: None,
            patience: Patience::default(),
        })),
    }
}

struct Store {
    uids: Ranges,
    walk: Walk,
    request: Request,
    /// UIDs or sequence numbers, as the command has them, that failed UNCHANGEDSINCE.
    modified: Ranges,
    /// A sequence number stands for a message that is expunged.
    gone: bool,
    /// The first message that could not be changed.
    failure: Option<MessageError>,
    patience: Patience,
}

impl Command for Store {
    fn step(&mut self, context: &mut Context<'_>) -> Progress {
        let (now, over) = (context.now, context.over);
        // What others did since the last command should not be overlooked.
        let looked = look(context.client, context.mailboxes, Effort::Watch, now, over);
        if let Err(error) = looked {
            return Progress::Done(error.into());
        }
        match under_lock(context, |context| self.slice(context)) {
            Ok(Some(progress)) => progress,
            Ok(None) => self.patience.locked(),
            Err(reply) => Progress::Done(reply),
        }
    }
}

impl Store {
    /// Changes messages until the time slice is used up or the client's buffer is full.
    fn slice(&mut self, context: &mut Context<'_>) -> Progress {
        let Context {
            client,
            mailboxes,
            now,
            over,
            ..
        } = context;
        let mailbox = client
            .selected
            .and_then(|selected| mailboxes.get(selected.mailbox));
        let Some(mailbox) = mailbox else {
            return Progress::Done(reply::deselected());
        };
        let new = match self.request.how {
            How::Remove => NewKeywords::LeftOut,
            How::Add | How::Replace => NewKeywords::Made,
        };
        let named = flags::to_letters(&mut mailbox.folder, &self.request.flags, new, now.time);
        let named = match named {
            Ok(named) => named,
            Err(error) => return Progress::Done(error.into()),
        };
        mailbox.tell_keywords(client.id, client.out.writer());
        // Even a silent STORE tells the modseq to whoever lives by it (RFC 7162 3.1.3).
        let tells = !self.request.silent || client.manner().condstore;
        let mut modseq = None;
        loop {
            let Some(view) = mailbox.view(client.id) else {
                return Progress::Done(reply::deselected());
            };
            let messages = mailbox.folder.messages();
            let Some(Counted {
                index,
                number,
                message,
            }) = view.next(messages, &self.uids, &mut self.walk)
            else {
                return Progress::Done(self.done());
            };
            if message.is_gone() {
                self.gone = true;
                continue;
            }
            if self
                .request
                .unchanged_since
                .is_some_and(|limit| message.modseq() > limit)
            {
                self.modified.push(if self.request.uid {
                    message.uid().0
                } else {
                    number
                });
                continue;
            }
            let (uid, before) = (message.uid(), message.flags());
            // Another program may have been here since the table was made: found out when the file does
            // not have the name that it had.
            let overtaken = Cell::new(false);
            let is_conditional = self.request.unchanged_since.is_some();
            let change = |flags: Flags| {
                if is_conditional && flags != before {
                    overtaken.set(true);
                    return flags;
                }
                match self.request.how {
                    How::Replace => named,
                    How::Add => flags.with(named),
                    How::Remove => flags.without(named),
                }
            };
            if change(before) != before {
                let modseq = match modseq {
                    Some(modseq) => modseq,
                    None => match mailbox.folder.next_modseq(now.time) {
                        Ok(new) => *modseq.insert(new),
                        Err(error) => return Progress::Done(error.into()),
                    },
                };
                if let Err(error) = mailbox.folder.change_flags(index, &change, modseq) {
                    self.note_failure(error);
                    continue;
                }
                if overtaken.get() {
                    mailbox.note_flags(client.id, uid);
                    self.modified
                        .push(if self.request.uid { uid.0 } else { number });
                    continue;
                }
                let after = mailbox.folder.messages().get(index).map(Message::flags);
                let is_deleted = |flags: Flags| flags.system.contains(System::DELETED);
                if !is_deleted(before) && after.is_some_and(is_deleted) {
                    client.counters.deleted += 1;
                }
                if after != Some(change(before)) {
                    mailbox.note_flags(client.id, uid);
                }
            }
            if tells {
                self.tell(mailbox, client, index, number);
            }
            if client.out.is_full() {
                return Progress::NeedRoom;
            }
            if over() {
                return Progress::Again;
            }
        }
    }

    /// The untagged FETCH for one message.
    fn tell(&self, mailbox: &Mailbox, client: &mut Client, index: usize, number: u32) {
        let message = mailbox.folder.messages().get(index);
        let (Some(message), Some(view)) = (message, mailbox.view(client.id)) else {
            return;
        };
        let manner = client.manner();
        let out = client.out.writer();
        let mut line = FetchLine::begin(out, number);
        if self.request.uid || manner.qresync {
            line.uid(out, message.uid());
        }
        if !self.request.silent {
            let names = KeywordNames::new(&mailbox.folder);
            let recent = view.is_recent(message.uid()) && !manner.rev2;
            line.flags(out, message.flags(), recent, |letter| names.get(letter));
        }
        if manner.condstore {
            line.modseq(out, message.modseq());
        }
        line.end(out);
    }

    fn note_failure(&mut self, error: MessageError) {
        match error {
            MessageError::Gone => self.gone = true,
            error => self.failure = self.failure.take().or(Some(error)),
        }
    }

    fn done(&mut self) -> Reply {
        if let Some(error) = self.failure.take() {
            return error.into();
        }
        let modified = std::mem::take(&mut self.modified);
        if !modified.is_empty() {
            return Reply::ok("Conditional STORE failed for some messages.")
                .with(ReplyCode::Modified(modified));
        }
        if self.gone && !self.request.uid {
            return Reply::expunge_issued();
        }
        Reply::ok("Store completed.")
    }
}
