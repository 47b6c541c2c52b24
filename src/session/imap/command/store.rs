//! STORE and UID STORE (RFC 9051 6.4.6) with UNCHANGEDSINCE (RFC 7162 3.1.3).
//!
//! The folder's lock is held for one time slice at a time, and each slice has a modseq of its own:
//! a client that asks for HIGHESTMODSEQ between two slices must not miss the second.

use super::enable::use_condstore;
use super::patience::Patience;
use super::{Command, Context, Progress, Start, refuse_read_only, uids_of, under_lock};
use crate::imap::command::{How, Store as Request};
use crate::imap::fetch::FetchLine;
use crate::mail::{Flags, NamedFlags, Ranges, System, Uid};
use crate::maildir::folder::{FolderError, MessageError, Met};
use crate::net::{ConnectionId, Now};
use crate::session::imap::client::{Client, look};
use crate::session::imap::reply::{self, Reply, ReplyCode};
use crate::session::imap::view;
use crate::store::cursor::{Counted, Walk};
use crate::store::flags::{self, KeywordNames, NewKeywords};
use crate::store::locked::Locked;
use crate::store::mailbox::{Effort, Mailbox};

pub fn start(request: Request, context: &mut Context<'_>) -> Start {
    if context.client.is_read_only() {
        return Start::Done(refuse_read_only(context));
    }
    let named = match reply::settable(&request.flags) {
        Ok(named) => named,
        Err(reply) => return Start::Done(reply),
    };
    if request.unchanged_since.is_some() {
        use_condstore(context);
    }
    match uids_of(&request.set, request.uid, context) {
        Err(reply) => Start::Done(reply),
        Ok(uids) => Start::Running(Box::new(Store {
            uids,
            walk: Walk::default(),
            request,
            named,
            modified: Ranges::new(),
            silent: Ranges::new(),
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
    /// The flags that it names.
    named: NamedFlags,
    /// UIDs or sequence numbers, as the command has them, that failed UNCHANGEDSINCE.
    modified: Ranges,
    /// Messages that were changed and the client not told.
    silent: Ranges,
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
        let work =
            |locked: &mut Locked<'_>, client: &mut Client| self.slice(locked, client, now, over);
        match under_lock(context, work) {
            Ok(Some(progress)) => progress,
            Ok(None) => self.patience.locked(),
            Err(reply) => Progress::Done(reply),
        }
    }
}

impl Store {
    /// Changes messages until the time slice is used up or the client's buffer is full.
    fn slice(
        &mut self,
        locked: &mut Locked<'_>,
        client: &mut Client,
        now: Now,
        over: &dyn Fn() -> bool,
    ) -> Progress {
        let mailbox = &mut *locked.mailbox;
        let new = match self.request.how {
            How::Remove => NewKeywords::LeftOut,
            How::Add | How::Replace => NewKeywords::Made,
        };
        let named = flags::to_letters(&mut mailbox.folder, &self.named, new, now.time);
        let named = match named {
            Ok(named) => named,
            Err(error) => return Progress::Done(error.into()),
        };
        view::tell_keywords(mailbox, client.id, client.out.writer());
        while let Some(target) = self.next(locked.mailbox, client.id) {
            if let Err(error) = self.change(target, named, locked, client) {
                return Progress::Done(self.failed(error.into(), locked.mailbox, client));
            }
            if client.out.is_full() {
                return Progress::NeedRoom;
            }
            if over() {
                return Progress::Again;
            }
        }
        let reply = match self.failure.take() {
            Some(error) => self.failed(error.into(), locked.mailbox, client),
            None => self.done(),
        };
        Progress::Done(reply)
    }

    /// The next message that is to be changed.
    fn next(&mut self, mailbox: &Mailbox, id: ConnectionId) -> Option<Target> {
        let cursor = mailbox.cursor(id)?;
        let messages = mailbox.folder.messages();
        loop {
            let Counted {
                index,
                number,
                message,
            } = cursor.next(messages, &self.uids, &mut self.walk)?;
            let uid = message.uid();
            let limit = self.request.unchanged_since;
            if message.is_gone() {
                self.gone = true;
            } else if limit.is_some_and(|limit| message.modseq() > limit) {
                self.note_modified(uid, number);
            } else {
                return Some(Target { index, number, uid });
            }
        }
    }

    /// Changes one message, and tells the client.
    fn change(
        &mut self,
        target: Target,
        named: Flags,
        locked: &mut Locked<'_>,
        client: &mut Client,
    ) -> Result<(), FolderError> {
        let modseq = locked.modseq()?;
        let mailbox = &mut *locked.mailbox;
        let how = self.request.how;
        let change = |flags: Flags| match how {
            How::Replace => named,
            How::Add => flags.with(named),
            How::Remove => flags.without(named),
        };
        let Target { index, number, uid } = target;
        let is_deleted = |mailbox: &Mailbox| {
            let message = mailbox.folder.messages().get(index);
            message.is_some_and(|message| message.flags().system.contains(System::DELETED))
        };
        let was_deleted = is_deleted(mailbox);
        let conditional = self.request.unchanged_since.is_some();
        let met = match conditional {
            true => mailbox
                .folder
                .change_flags_if_as_known(index, &change, modseq),
            false => mailbox.folder.change_flags(index, &change, modseq),
        };
        match met {
            Err(error) => {
                self.note_failure(error);
                return Ok(());
            }
            // Another program has been here since the table was made: the client hears of that,
            // too.
            Ok(Met::Others) => {
                mailbox.owe(client.id, uid);
                view::tell_keywords(mailbox, client.id, client.out.writer());
                if conditional {
                    self.note_modified(uid, number);
                    return Ok(());
                }
            }
            Ok(Met::AsKnown) => {}
        }
        if !was_deleted && is_deleted(mailbox) {
            client.counters.deleted += 1;
        }
        // Even a silent STORE tells the modseq to clients that use CONDSTORE (RFC 7162 3.1.3).
        if !self.request.silent || client.manner().condstore {
            self.tell(mailbox, client, index, number);
        }
        if self.request.silent {
            self.silent.push(uid.0);
        }
        Ok(())
    }

    /// The untagged FETCH for one message.
    fn tell(&self, mailbox: &mut Mailbox, client: &mut Client, index: usize, number: u32) {
        let message = mailbox.folder.messages().get(index).copied();
        let (Some(message), Some(cursor)) = (message, mailbox.cursor(client.id)) else {
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
            let recent = cursor.is_recent(message.uid()) && !manner.rev2;
            line.flags(out, message.flags(), recent, |letter| names.get(letter));
        }
        if manner.condstore {
            line.modseq(out, message.modseq());
        }
        line.end(out);
        if manner.condstore {
            mailbox.note_modseq(client.id, message.modseq());
        }
    }

    fn note_modified(&mut self, uid: Uid, number: u32) {
        self.modified
            .push(if self.request.uid { uid.0 } else { number });
    }

    /// A client that gets NO takes it that nothing was changed, unless it is told.
    fn failed(&mut self, reply: Reply, mailbox: &mut Mailbox, client: &Client) -> Reply {
        for uid in std::mem::take(&mut self.silent).iter() {
            mailbox.owe(client.id, Uid(uid));
        }
        reply
    }

    fn note_failure(&mut self, error: MessageError) {
        match error {
            MessageError::Gone => self.gone = true,
            error => self.failure = self.failure.take().or(Some(error)),
        }
    }

    fn done(&mut self) -> Reply {
        let modified = std::mem::take(&mut self.modified);
        if !modified.is_empty() {
            return Reply::ok("Conditional STORE failed for some messages.")
                .with(ReplyCode::Modified(modified));
        }
        // A silent STORE is done when it is done for all that are there (RFC 2180 4.2.1).
        if self.gone && !self.request.uid && !self.request.silent {
            return Reply::expunge_issued();
        }
        Reply::ok("Store completed.")
    }
}

/// A message to be changed.
#[derive(Clone, Copy)]
struct Target {
    index: usize,
    number: u32,
    uid: Uid,
}
