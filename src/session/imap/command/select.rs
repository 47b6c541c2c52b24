//! SELECT and EXAMINE (RFC 9051 6.3.2, 6.3.3) with CONDSTORE and QRESYNC (RFC 7162 3.2.5).

use super::patience::Patience;
use super::{Command, Context, Progress, Start};
use crate::imap::command::{Qresync, Select as Request};
use crate::imap::connection::State;
use crate::imap::list::Attributes;
use crate::imap::response::{self, Code, Listed, Status};
use crate::log::ONCE;
use crate::mail::{MailboxName, Ranges};
use crate::maildir::disk::report;
use crate::maildir::folder::{FolderError, Step};
use crate::session::imap::client::Selected;
use crate::session::imap::reply::{self, Reply};
use crate::session::imap::view::{write_flags, write_flags_of_mailbox};
use crate::store::MailboxKey;
use crate::store::cursor::Walk;
use crate::store::flags::KeywordNames;
use crate::store::mailbox::{Effort, Hold, Mailbox};

pub fn start(request: Request, context: &mut Context<'_>) -> Start {
    leave(context);
    let name = match request.mailbox {
        Ok(name) => name,
        Err(error) => return Start::Done(error.into()),
    };
    if request.condstore {
        context.client.condstore = true;
    }
    Start::Running(Box::new(Select {
        name,
        examine: request.examine,
        read_only: request.examine,
        qresync: request.qresync,
        stage: Stage::Open,
        hold: None,
        patience: Patience::default(),
    }))
}

/// The mailbox selected before is left even if the new one cannot be opened (RFC 3501 6.3.1). A
/// server that announces CONDSTORE tells every client so (RFC 7162 3.2.11).
fn leave(context: &mut Context<'_>) {
    if context.client.selected.is_some() {
        let out = context.client.out.writer();
        response::untagged(
            out,
            Status::Ok,
            Some(Code::Closed),
            "Previous mailbox closed.",
        );
    }
    context.client.deselect(context.mailboxes, context.now);
}

struct Select {
    name: MailboxName,
    examine: bool,
    /// By EXAMINE, or because the folder cannot be changed.
    read_only: bool,
    qresync: Option<Qresync>,
    stage: Stage,
    /// There is no listener yet that keeps the mailbox open.
    hold: Option<Hold>,
    patience: Patience,
}

enum Stage {
    Open,
    Sync(MailboxKey),
    /// What changed since the client was here last, message by message.
    Changes {
        known: Ranges,
        since: u64,
        walk: Walk,
    },
}

impl Command for Select {
    fn step(&mut self, context: &mut Context<'_>) -> Progress {
        loop {
            match &mut self.stage {
                Stage::Open => match context.mailboxes.open(&self.name, context.now) {
                    Ok(key) => {
                        self.hold = context.mailboxes.hold(key);
                        self.stage = Stage::Sync(key);
                    }
                    Err(error) => return Progress::Done(error.into()),
                },
                Stage::Sync(key) => {
                    let key = *key;
                    match self.sync(key, context) {
                        Ok(Step::Done) => {}
                        Ok(Step::Again) => return Progress::Again,
                        Ok(Step::Locked) => return self.patience.locked(),
                        Err(reply) => return Progress::Done(reply),
                    }
                    match self.select(key, context) {
                        Some(stage) => self.stage = stage,
                        None => return Progress::Done(self.done()),
                    }
                }
                Stage::Changes { known, since, walk } => {
                    let waiting = write_changes(known, *since, walk, context);
                    return waiting.unwrap_or_else(|| Progress::Done(self.done()));
                }
            }
        }
    }
}

impl Select {
    fn sync(&mut self, key: MailboxKey, context: &mut Context<'_>) -> Result<Step, Reply> {
        let effort = Effort::Select {
            write: !self.examine,
        };
        let look = context
            .mailboxes
            .look(key, effort, context.now, context.over);
        let step = match look {
            Ok(step) => step,
            Err(error) => {
                match error {
                    FolderError::Missing | FolderError::Replaced(_) => {
                        context.mailboxes.lose_mailbox(key, context.now);
                    }
                    // Clients that have it selected go on with what is known of it.
                    _ if context.mailboxes.is_selected(key) => (),
                    _ => context.mailboxes.drop_mailbox(key, context.now),
                }
                return Err(error.into());
            }
        };
        let mailbox = context.mailboxes.get(key).ok_or_else(reply::deselected)?;
        if step == Step::Done
            && let Err(error) = mailbox.folder.settle()
        {
            let name = &self.name;
            log::warn!(target: ONCE, "Mailbox {name}: UIDs are not on disk yet: {error}");
        }
        Ok(step)
    }

    /// The mailbox is open and up to date: the client becomes a listener and gets the untagged
    /// responses.
    fn select(&mut self, key: MailboxKey, context: &mut Context<'_>) -> Option<Stage> {
        let client = &mut *context.client;
        let mailbox = context.mailboxes.get(key)?;
        if let Some(reason) = mailbox.folder.why_read_only() {
            self.read_only = true;
            if !self.examine {
                let name = &self.name;
                let reason = report::explained(&reason);
                log::warn!(target: ONCE, "Mailbox {name}: it can only be read: {reason}");
            }
        }
        let read_only = self.read_only;
        mailbox.add_listener(client.id, read_only, context.now);
        client.selected = Some(Selected {
            mailbox: key,
            read_only,
        });
        client.imap.set_state(State::Selected);
        let manner = client.manner();
        let dialect = client.imap.dialect();
        let cursor = mailbox.cursor(client.id)?;
        let folder = &mailbox.folder;
        let out = client.out.writer();
        let ok = |out: &mut Vec<u8>, code, text| {
            response::untagged(out, Status::Ok, Some(code), text);
        };
        write_flags_of_mailbox(folder, read_only, out);
        response::exists(out, cursor.exists(folder.messages()));
        if !manner.rev2 {
            response::recent(out, cursor.recent_count(folder.messages()));
            if let Some(first) = folder.counts().first_unseen
                && let Ok(index) = folder.index_of(first)
            {
                let number = cursor.number(folder.messages(), index);
                ok(out, Code::Unseen(number), "First unseen.");
            }
        }
        ok(out, Code::UidValidity(folder.uid_validity()), "UIDs valid");
        ok(
            out,
            Code::UidNext(folder.uid_next().into()),
            "Predicted next UID",
        );
        ok(out, Code::HighestModSeq(folder.highest_modseq()), "Highest");
        ok(out, Code::MailboxId(&folder.mailbox_id()), "Ok");
        if manner.rev2 {
            let attributes = Attributes::default();
            let name = &dialect.namespaces.show(&self.name);
            let listed = Listed {
                attributes,
                name,
                child_info_subscribed: false,
                old_name: None,
            };
            response::list(out, listed, dialect);
        }
        let qresync = self.qresync.take()?;
        let resync = resync(&qresync, mailbox)?;
        response::vanished(out, true, &resync.vanished);
        let (known, since) = (resync.known, resync.since);
        Some(Stage::Changes {
            known,
            since,
            walk: Walk::default(),
        })
    }

    fn done(&self) -> Reply {
        let reply = Reply::ok(match self.examine {
            true => "Examine completed.",
            false => "Select completed.",
        });
        reply.code(match self.read_only {
            true => Code::ReadOnly,
            false => Code::ReadWrite,
        })
    }
}

/// What a client that was here before has to hear.
struct Resync {
    /// The messages whose changes are told.
    known: Ranges,
    /// The modseq after which changes are told.
    since: u64,
    /// The messages that the client is told are gone.
    vanished: Ranges,
}

/// `None`: the client's UIDs mean nothing here (RFC 7162 3.2.5).
fn resync(qresync: &Qresync, mailbox: &Mailbox) -> Option<Resync> {
    let folder = &mailbox.folder;
    if qresync.uid_validity != folder.uid_validity() {
        return None;
    }
    let all = Ranges::between(1, folder.uid_next().saturating_sub(1));
    let known = match &qresync.known_uids {
        Some(known) => known.intersect(&all),
        None => all,
    };
    // A modseq we never gave means that our state was lost or restored: tell everything.
    let ours = qresync.modseq <= folder.highest_modseq();
    let since = if ours { qresync.modseq } else { 0 };
    let remembered = if ours {
        folder.expunged_since(since)
    } else {
        None
    };
    let vanished = match remembered {
        Some(expunged) => expunged.intersect(&known),
        None => missing(&known, qresync, mailbox),
    };
    Some(Resync {
        known,
        since,
        vanished,
    })
}

/// Without a history: every UID the client may know that is not there, but not those up to the last
/// pair of its sequence match that still fits (RFC 7162 3.2.5.2).
fn missing(known: &Ranges, qresync: &Qresync, mailbox: &Mailbox) -> Ranges {
    let live = mailbox
        .folder
        .messages()
        .iter()
        .filter(|message| !message.is_gone());
    let mut existing = Ranges::new();
    let mut settled = 0;
    let pairs = qresync.sequence_match.iter();
    let mut pairs = pairs
        .flat_map(|matching| matching.numbers.iter().zip(matching.uids.iter()))
        .peekable();
    for (number, message) in (1u32..).zip(live) {
        let uid = message.uid().0;
        existing.push(uid);
        while pairs.next_if(|&(pair, _)| pair < number).is_some() {}
        if pairs.peek() == Some(&(number, uid)) {
            settled = uid;
        }
    }
    let doubtful = Ranges::between(settled.saturating_add(1), u32::MAX);
    known.difference(&existing).intersect(&doubtful)
}

/// Writes FETCH responses for messages changed since; `None` when all are written.
fn write_changes(
    known: &Ranges,
    since: u64,
    walk: &mut Walk,
    context: &mut Context<'_>,
) -> Option<Progress> {
    let client = &mut *context.client;
    let selected = client.selected?;
    // With QRESYNC that is UID, FLAGS and MODSEQ.
    let manner = client.manner();
    let mailbox = context.mailboxes.get(selected.mailbox)?;
    let cursor = mailbox.cursor(client.id)?;
    let messages = mailbox.folder.messages();
    let names = KeywordNames::new(&mailbox.folder);
    let mut steps = 0u32;
    while let Some(counted) = cursor.next(messages, known, walk) {
        let message = counted.message;
        if message.modseq() > since && !message.is_gone() {
            write_flags(cursor, counted, &names, manner, client.out.writer());
        }
        steps += 1;
        if client.out.is_full() {
            return Some(Progress::NeedRoom);
        }
        if steps.is_multiple_of(CHECK_EVERY) && (context.over)() {
            return Some(Progress::Again);
        }
    }
    None
}

const CHECK_EVERY: u32 = 256;
