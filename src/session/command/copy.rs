//! COPY and MOVE (RFC 9051 6.4.7, 6.4.8, RFC 6851, RFC 4315).
//!
//! MOVE is a copy of all messages, made durable, and then their removal: a crash between leaves a
//! message twice, never nowhere.

use std::time::SystemTime;

use super::{Command, Context, Progress, Start, uids_of};
use crate::imap::command::Copy as Request;
use crate::imap::mailbox::MailboxName;
use crate::imap::response::{self, Code, Status};
use crate::imap::sequence::Ranges;
use crate::maildir::folder::{MessageError, Step};
use crate::maildir::save::{Batch, Commit, SaveError};
use crate::net::Now;
use crate::session::connection::Patience;
use crate::session::counters::Counters;
use crate::session::flags::{self, NewKeywords};
use crate::session::mailbox::{Effort, Hold, Mailbox};
use crate::session::mailboxes::{MailboxKey, Mailboxes};
use crate::session::reply::{self, Reply, ReplyCode};
use crate::session::view::{Walk, next_message};

pub fn start(request: Request, remove: bool, context: &mut Context<'_>) -> Start {
    let name = match request.mailbox {
        Ok(name) => name,
        Err(error) => return Start::Done(error.into()),
    };
    let Some(selected) = context.client.selected else {
        return Start::Done(reply::deselected());
    };
    if remove && selected.read_only {
        return Start::Done(reply::read_only());
    }
    match uids_of(&request.set, request.uid, context) {
        Err(reply) => Start::Done(reply),
        Ok(uids) => {
            let copy = Copy::new(selected.mailbox, name, uids, request.uid, remove);
            Start::Running(Box::new(copy))
        }
    }
}

/// RENAME of INBOX moves its messages to a new mailbox (RFC 9051 6.3.6).
pub fn move_inbox(inbox: MailboxKey, name: MailboxName) -> Start {
    let mut copy = Copy::new(inbox, name, Ranges::all(), true, true);
    copy.rename = true;
    Start::Running(Box::new(copy))
}

struct Copy {
    source: MailboxKey,
    name: MailboxName,
    uids: Ranges,
    uid: bool,
    remove: bool,
    /// This is a RENAME.
    rename: bool,
    walk: Walk,
    /// The UIDs that were copied.
    from: Ranges,
    gone: bool,
    batch: Option<Batch>,
    /// The modseq of the removal.
    highest: Option<u64>,
    stage: Stage,
    /// The two mailboxes stay open though nobody may have them selected.
    holds: [Option<Hold>; 2],
    patience: Patience,
}

#[derive(Clone, Copy)]
enum Stage {
    /// The destination is brought up to date.
    Sync,
    Collect,
    Commit,
    /// MOVE: the originals go.
    Remove,
}

impl Copy {
    fn new(source: MailboxKey, name: MailboxName, uids: Ranges, uid: bool, remove: bool) -> Copy {
        Copy {
            source,
            name,
            uids,
            uid,
            remove,
            rename: false,
            walk: Walk::default(),
            from: Ranges::new(),
            gone: false,
            batch: None,
            highest: None,
            stage: Stage::Sync,
            holds: [None, None],
            patience: Patience::default(),
        }
    }

    /// Does what can be done of the stage; `Ok(None)` when the next one can begin.
    fn advance(&mut self, context: &mut Context<'_>) -> Result<Option<Progress>, Reply> {
        let (now, over) = (context.now, context.over);
        let key = context
            .mailboxes
            .open(&self.name, now)
            .map_err(reply::no_destination)?;
        self.holds = [key, self.source].map(|key| context.mailboxes.hold(key));
        match self.stage {
            Stage::Sync => {
                let mailboxes = &mut *context.mailboxes;
                let mut step = mailboxes.look(key, Effort::Watch, now, over)?;
                if self.rename && step == Step::Done {
                    step = mailboxes.look(self.source, Effort::Directories, now, over)?;
                }
                match step {
                    Step::Done => {}
                    Step::Again => return Ok(Some(Progress::Again)),
                    Step::Locked => return Ok(Some(self.patience.locked())),
                }
                let destination = context.mailboxes.get(key).ok_or_else(reply::deselected)?;
                self.batch = Some(Batch::new(&destination.folder));
                self.stage = Stage::Collect;
            }
            Stage::Collect => {
                if let Some(progress) = self.collect(key, context)? {
                    return Ok(Some(progress));
                }
                // All or none (RFC 9051 6.4.7).
                if self.gone && !self.uid {
                    return Ok(Some(Progress::Done(Reply::expunge_issued())));
                }
                if self.from.is_empty() {
                    return Ok(Some(Progress::Done(self.nothing())));
                }
                self.stage = Stage::Commit;
            }
            Stage::Commit => {
                let id = context.client.id;
                let Some(batch) = &mut self.batch else {
                    return Err(reply::deselected());
                };
                let destination = context.mailboxes.get(key).ok_or_else(reply::deselected)?;
                let commit = destination.folder.commit(batch, now.time, over);
                destination.distribute(Some(id), now);
                let uid_validity = destination.folder.uid_validity();
                let to = match commit? {
                    Commit::Done(uids) => uids,
                    Commit::Again => return Ok(Some(Progress::Again)),
                    Commit::Locked => return Ok(Some(self.patience.locked())),
                };
                context.mailboxes.wake_viewers(key, id);
                if !self.remove {
                    let code = ReplyCode::CopyUid(uid_validity, std::mem::take(&mut self.from), to);
                    let reply = Reply::ok("Copy completed.").with(code);
                    return Ok(Some(Progress::Done(reply)));
                }
                // The client learns what became of its messages before they vanish (RFC 6851 4.3).
                if !self.rename {
                    let code = Code::CopyUid(uid_validity, &self.from, &to);
                    let out = context.client.out.writer();
                    response::untagged(out, Status::Ok, Some(code), "Moved UIDs.");
                }
                self.uids = std::mem::take(&mut self.from);
                self.walk = Walk::default();
                self.stage = Stage::Remove;
            }
            Stage::Remove => return self.remove(context).map(Some),
        }
        Ok(None)
    }

    /// Puts messages into the batch; `None` when all are in it.
    fn collect(
        &mut self,
        destination: MailboxKey,
        context: &mut Context<'_>,
    ) -> Result<Option<Progress>, Reply> {
        let Some(mut batch) = self.batch.take() else {
            return Err(reply::deselected());
        };
        // New keywords of the destination need its lock.
        if !lock(context.mailboxes, destination, context.now)? {
            self.batch = Some(batch);
            return Ok(Some(self.patience.locked()));
        }
        let collected = self.collect_locked(&mut batch, destination, context);
        if let Some(mailbox) = context.mailboxes.get(destination) {
            mailbox.folder.unlock();
        }
        self.batch = Some(batch);
        collected
    }

    fn collect_locked(
        &mut self,
        batch: &mut Batch,
        destination: MailboxKey,
        context: &mut Context<'_>,
    ) -> Result<Option<Progress>, Reply> {
        let now = context.now.time;
        loop {
            let source = context
                .mailboxes
                .get(self.source)
                .ok_or_else(reply::deselected)?;
            let messages = source.folder.messages();
            let next = match source.view(context.client.id) {
                Some(view) => view
                    .next(messages, &self.uids, &mut self.walk)
                    .map(|next| (next.index, next.message)),
                None => next_message(messages, &self.uids, &mut self.walk),
            };
            let Some((index, message)) = next else {
                return Ok(None);
            };
            let uid = message.uid();
            if message.is_gone() {
                self.gone = true;
                continue;
            }
            let letters = message.flags();
            let letters = if self.source == destination || letters.keywords == 0 {
                letters
            } else {
                let named = flags::names_of(&source.folder, letters);
                let destination = context
                    .mailboxes
                    .get(destination)
                    .ok_or_else(reply::deselected)?;
                let held = batch.held_letters();
                let new = NewKeywords::MadeIfPossible { held };
                let letters = flags::to_letters(&mut destination.folder, &named, new, now)?;
                batch.hold_letters(&destination.folder, letters);
                letters
            };
            let source = context
                .mailboxes
                .get(self.source)
                .ok_or_else(reply::deselected)?;
            match batch.copy(&mut source.folder, index, letters, now) {
                Ok(()) => self.from.push(uid.0),
                Err(SaveError::Gone) => self.gone = true,
                Err(error) => return Err(error.into()),
            }
            if (context.over)() {
                return Ok(Some(Progress::Again));
            }
        }
    }

    /// Removes the originals.
    fn remove(&mut self, context: &mut Context<'_>) -> Result<Progress, Reply> {
        let id = context.client.id;
        if !lock(context.mailboxes, self.source, context.now)? {
            return Ok(self.patience.locked());
        }
        let source = context
            .mailboxes
            .get(self.source)
            .ok_or_else(reply::deselected)?;
        let counters = &mut context.client.counters;
        let removed = self.remove_locked(source, counters, context.now.time, context.over);
        source.folder.unlock();
        source.distribute(Some(id), context.now);
        if !removed? {
            return Ok(Progress::Again);
        }
        let reply = Reply::ok(if self.rename {
            "Rename completed."
        } else {
            "Move completed."
        });
        let reply = match self.highest {
            Some(modseq) if context.client.manner().qresync => {
                reply.code(Code::HighestModSeq(modseq))
            }
            _ => reply,
        };
        Ok(Progress::Done(reply))
    }

    /// True when all are gone.
    fn remove_locked(
        &mut self,
        source: &mut Mailbox,
        counters: &mut Counters,
        now: SystemTime,
        over: &dyn Fn() -> bool,
    ) -> Result<bool, Reply> {
        let modseq = source.folder.next_modseq(now)?;
        loop {
            let next = next_message(source.folder.messages(), &self.uids, &mut self.walk);
            let Some((index, _)) = next else {
                return Ok(true);
            };
            match source.folder.expunge(index, modseq) {
                Ok(()) => {
                    self.highest = Some(modseq);
                    counters.expunged += 1;
                }
                Err(MessageError::Gone) => {}
                Err(error) => return Err(error.into()),
            }
            if over() {
                return Ok(false);
            }
        }
    }

    /// No message was there to be copied.
    fn nothing(&self) -> Reply {
        Reply::ok(match (self.rename, self.remove) {
            (true, _) => "Rename completed.",
            (false, true) => "No messages to move.",
            (false, false) => "No messages to copy.",
        })
    }
}

impl Command for Copy {
    fn step(&mut self, context: &mut Context<'_>) -> Progress {
        loop {
            match self.advance(context) {
                Ok(None) => {}
                Ok(Some(progress)) => return progress,
                Err(reply) => return Progress::Done(reply),
            }
        }
    }
}

fn lock(mailboxes: &mut Mailboxes, key: MailboxKey, now: Now) -> Result<bool, Reply> {
    let mailbox = mailboxes.get(key).ok_or_else(reply::deselected)?;
    Ok(mailbox.folder.lock(now.time)?)
}
