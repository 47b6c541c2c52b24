//! COPY and MOVE (RFC 9051 6.4.7, 6.4.8, RFC 6851, RFC 4315).
//!
//! MOVE is a copy of all messages, made durable, and then their removal: a crash between leaves a
//! message twice, never nowhere.  Flags that another program gives to a message between the two are
//! given to its copy before it is removed.

use std::time::SystemTime;

use super::patience::Patience;
use super::{Command, Context, Progress, Start, refuse_read_only, uids_of};
use crate::imap::command::Copy as Request;
use crate::imap::response::{self, Code, Status};
use crate::mail::{Flags, MailboxName, NamedFlags, Ranges, Uid};
use crate::maildir::folder::save::{Batch, Commit, SaveError};
use crate::maildir::folder::state::messages::Message;
use crate::maildir::folder::{MessageError, Step};
use crate::net::Now;
use crate::session::imap::counters::ClientCounters;
use crate::session::imap::reply::{self, Reply, ReplyCode};
use crate::store::cursor::{Walk, next_message};
use crate::store::deliver::lose_if_gone;
use crate::store::flags::{self, NewKeywords};
use crate::store::locked::Locked;
use crate::store::mailbox::{Effort, Hold};
use crate::store::{MailboxKey, Mailboxes};

pub fn start(request: Request, remove: bool, context: &mut Context<'_>) -> Start {
    let name = match request.mailbox {
        Ok(name) => name,
        Err(error) => return Start::Done(error.into()),
    };
    let Some(selected) = context.client.selected else {
        return Start::Done(reply::deselected());
    };
    if remove && selected.read_only {
        return Start::Done(refuse_read_only(context));
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
    /// How often messages were gone when they were to be linked.
    restarts: u32,
    /// MOVE: what is to be removed.
    moved: Moved,
    /// The modseq of the removal.
    highest: Option<u64>,
    stage: Stage,
    /// The two mailboxes stay open though nobody may have them selected.
    holds: [Option<Hold>; 2],
    patience: Patience,
}

/// Messages that were copied and are to be removed.
#[derive(Default)]
struct Moved {
    /// The UIDs of the originals and of the copies, and the flags that both had, in the letters of
    /// the source.
    messages: Vec<(u32, u32, Flags)>,
    /// How many messages are finished.
    removed: usize,
    /// How often the next one had other flags than its copy.
    overtaken: u32,
}

#[derive(Clone, Copy)]
enum Stage {
    /// The destination is brought up to date.
    Sync,
    Collect,
    Commit,
    /// MOVE: the originals go.
    Remove,
    /// The next original has other flags by now than its copy.
    Amend,
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
            restarts: 0,
            moved: Moved::default(),
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
                if step == Step::Done {
                    // What others did to the messages is copied too.
                    let effort = match self.rename || self.restarts > 0 {
                        true => Effort::Directories,
                        false => Effort::Watch,
                    };
                    step = mailboxes.look(self.source, effort, now, over)?;
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
                let commit = destination.commit(batch, now, over);
                let uid_validity = destination.folder.uid_validity();
                let to = match commit {
                    Ok(Commit::Done(uids)) => uids,
                    Ok(Commit::Again) => return Ok(Some(Progress::Again)),
                    Ok(Commit::Locked) => return Ok(Some(self.patience.locked())),
                    Err(SaveError::Gone) if self.uid && self.restarts < RESTARTS => {
                        self.restart(context);
                        return Ok(None);
                    }
                    Err(error) => {
                        return Err(lose_if_gone(error, &self.name, context.mailboxes, now).into());
                    }
                };
                context.mailboxes.wake_listeners(key, id);
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
                let flags = self.batch.take();
                let flags = flags.as_ref().map_or(&[][..], Batch::copied);
                let uids = self.from.iter().zip(to.iter()).zip(flags);
                self.moved.messages = uids.map(|((from, to), flags)| (from, to, *flags)).collect();
                self.stage = Stage::Remove;
            }
            Stage::Remove => return self.remove(context),
            Stage::Amend => return self.amend(key, context),
        }
        Ok(None)
    }

    /// A UID that does not exist any more is skipped (RFC 9051 6.4.9).  This one was found missing
    /// too late, so the copy begins again.
    fn restart(&mut self, context: &mut Context<'_>) {
        if let Some(source) = context.mailboxes.get(self.source) {
            source.folder.want_scan();
        }
        self.restarts += 1;
        self.batch = None;
        self.from = Ranges::new();
        self.walk = Walk::default();
        self.stage = Stage::Sync;
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
            let next = match source.cursor(context.client.id) {
                Some(cursor) => cursor
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
    fn remove(&mut self, context: &mut Context<'_>) -> Result<Option<Progress>, Reply> {
        let source = context
            .mailboxes
            .get(self.source)
            .ok_or_else(reply::deselected)?;
        let (counters, over) = (&mut context.client.counters, context.over);
        // MOVE changes no flags here, so what it met is news to its client too.
        let removed = source.under_lock(None, context.now, |locked| {
            self.remove_locked(locked, counters, over)
        });
        let Some(removed) = removed? else {
            return Ok(Some(self.patience.locked()));
        };
        if let Some(progress) = removed? {
            return Ok(progress);
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
        Ok(Some(Progress::Done(reply)))
    }

    /// `None` when all are gone.  Otherwise what to do first: go on, or return the progress given.
    #[allow(clippy::option_option)]
    fn remove_locked(
        &mut self,
        locked: &mut Locked<'_>,
        counters: &mut ClientCounters,
        over: &dyn Fn() -> bool,
    ) -> Result<Option<Option<Progress>>, Reply> {
        let modseq = locked.modseq()?;
        let folder = &mut locked.mailbox.folder;
        while let Some(&(uid, _, flags)) = self.moved.messages.get(self.moved.removed) {
            if let Ok(index) = folder.index_of(Uid(uid)) {
                match folder.remove_copied(index, flags, modseq) {
                    Ok(true) => {
                        self.highest = Some(modseq);
                        counters.expunged += 1;
                    }
                    Ok(false) => {
                        self.stage = Stage::Amend;
                        return Ok(Some(None));
                    }
                    Err(MessageError::Gone) => {}
                    Err(error) => return Err(error.into()),
                }
            }
            self.moved.removed += 1;
            self.moved.overtaken = 0;
            if over() {
                return Ok(Some(Some(Progress::Again)));
            }
        }
        Ok(None)
    }

    /// Another program has changed the flags of the next original since it was copied: the copy
    /// gets the same changes.
    fn amend(
        &mut self,
        destination: MailboxKey,
        context: &mut Context<'_>,
    ) -> Result<Option<Progress>, Reply> {
        let now = context.now;
        let Some((uid, copy, copied)) = self.moved.messages.get_mut(self.moved.removed) else {
            self.stage = Stage::Remove;
            return Ok(None);
        };
        let source = context
            .mailboxes
            .get(self.source)
            .ok_or_else(reply::deselected)?;
        let folder = &source.folder;
        let current = folder
            .index_of(Uid(*uid))
            .ok()
            .and_then(|index| folder.messages().get(index))
            .map_or(*copied, Message::flags);
        let added = flags::names_of(folder, current.without(*copied));
        let removed = flags::names_of(folder, copied.without(current));
        let mailbox = context.mailboxes.get(destination);
        let mailbox = mailbox.ok_or_else(reply::deselected)?;
        let amended = mailbox.under_lock(None, now, |locked| {
            amend_copy(locked, Uid(*copy), (&added, &removed), now.time)
        });
        let Some(amended) = amended? else {
            return Ok(Some(self.patience.locked()));
        };
        let by = context.client.id;
        context.mailboxes.wake_listeners(destination, by);
        amended?;
        *copied = current;
        self.moved.overtaken += 1;
        if self.moved.overtaken > OVERTAKEN {
            // Another program changes the flags all the time, so the message stays where it is as
            // well.
            self.moved.removed += 1;
            self.moved.overtaken = 0;
        }
        self.stage = Stage::Remove;
        Ok(None)
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

/// Gives a copy the flags that its original has got, and takes those that it has lost.
fn amend_copy(
    locked: &mut Locked<'_>,
    uid: Uid,
    (added, removed): (&NamedFlags, &NamedFlags),
    now: SystemTime,
) -> Result<(), Reply> {
    let modseq = locked.modseq()?;
    let folder = &mut locked.mailbox.folder;
    let added = flags::to_letters(folder, added, NewKeywords::MadeIfPossible { held: 0 }, now)?;
    let removed = flags::to_letters(folder, removed, NewKeywords::LeftOut, now)?;
    let Ok(index) = folder.index_of(uid) else {
        return Ok(());
    };
    let change = |flags: Flags| flags.with(added).without(removed);
    match folder.change_flags(index, &change, modseq) {
        // The copy was removed on purpose.
        Ok(_) | Err(MessageError::Gone) => Ok(()),
        Err(error) => Err(error.into()),
    }
}

fn lock(mailboxes: &mut Mailboxes, key: MailboxKey, now: Now) -> Result<bool, Reply> {
    let mailbox = mailboxes.get(key).ok_or_else(reply::deselected)?;
    Ok(mailbox.folder.lock(now.time)?)
}

/// How often a UID COPY begins again because messages went meanwhile.
const RESTARTS: u32 = 3;

/// How often flags that change again are given to the copy.
const OVERTAKEN: u32 = 16;
