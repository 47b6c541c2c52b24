//! EXPUNGE, UID EXPUNGE (RFC 9051 6.4.3, 6.4.9) and the expunge of CLOSE (RFC 9051 6.4.1).

use super::patience::Patience;
use super::{Command, Context, Progress, Start, refuse_read_only, uids_of, under_lock};
use crate::imap::response::Code;
use crate::imap::sequence::Set;
use crate::mail::{Ranges, System};
use crate::maildir::folder::{MessageError, Step};
use crate::session::imap::client::{Client, look};
use crate::session::imap::reply::Reply;
use crate::store::cursor::{Walk, next_message};
use crate::store::locked::Locked;
use crate::store::mailbox::Effort;

pub fn start(uids: Option<Set>, context: &mut Context<'_>) -> Start {
    if context.client.is_read_only() {
        return Start::Done(refuse_read_only(context));
    }
    let uids = match uids {
        Some(set) => uids_of(&set, true, context),
        None => Ok(Ranges::all()),
    };
    match uids {
        Ok(uids) => Start::Running(Box::new(Expunge::new(uids, false))),
        Err(reply) => Start::Done(reply),
    }
}

pub fn close() -> Start {
    Start::Running(Box::new(Expunge::new(Ranges::all(), true)))
}

struct Expunge {
    uids: Ranges,
    walk: Walk,
    /// The mailbox is up to date: what others have deleted or undeleted is known.
    looked: bool,
    close: bool,
    highest: Option<u64>,
    failure: Option<MessageError>,
    patience: Patience,
}

impl Expunge {
    fn new(uids: Ranges, close: bool) -> Expunge {
        let walk = Walk::default();
        Expunge {
            uids,
            walk,
            looked: false,
            close,
            highest: None,
            failure: None,
            patience: Patience::default(),
        }
    }

    /// Removes messages until the time slice is used up.
    fn slice(
        &mut self,
        locked: &mut Locked<'_>,
        client: &mut Client,
        over: &dyn Fn() -> bool,
    ) -> Progress {
        loop {
            let messages = locked.mailbox.folder.messages();
            let next = next_message(messages, &self.uids, &mut self.walk);
            let Some((index, message)) = next else {
                return Progress::Done(self.done(client));
            };
            if message.is_gone() || !message.flags().system.contains(System::DELETED) {
                continue;
            }
            let uid = message.uid();
            let modseq = match locked.modseq() {
                Ok(modseq) => modseq,
                Err(error) => return Progress::Done(error.into()),
            };
            match locked.mailbox.folder.expunge(index, modseq) {
                Ok(true) => {
                    self.highest = Some(modseq);
                    client.counters.expunged += 1;
                }
                // Another program has taken \Deleted away.
                Ok(false) => locked.mailbox.owe(client.id, uid),
                Err(MessageError::Gone) => {}
                Err(error) => self.failure = self.failure.take().or(Some(error)),
            }
            if over() {
                return Progress::Again;
            }
        }
    }

    fn done(&mut self, client: &Client) -> Reply {
        if let Some(error) = self.failure.take() {
            return error.into();
        }
        if self.close {
            return Reply::ok("Close completed.");
        }
        let reply = Reply::ok("Expunge completed.");
        // RFC 7162 3.2.7: the client can go on from here.
        match self.highest {
            Some(modseq) if client.manner().qresync => reply.code(Code::HighestModSeq(modseq)),
            _ => reply,
        }
    }
}

impl Command for Expunge {
    fn step(&mut self, context: &mut Context<'_>) -> Progress {
        let (now, over) = (context.now, context.over);
        if !self.looked {
            let effort = Effort::Directories;
            match look(context.client, context.mailboxes, effort, now, over) {
                Ok(Step::Done) => self.looked = true,
                Ok(Step::Again) => return Progress::Again,
                Ok(Step::Locked) => return self.patience.locked(),
                Err(error) => return Progress::Done(error.into()),
            }
        }
        let work = |locked: &mut Locked<'_>, client: &mut Client| self.slice(locked, client, over);
        let progress = match under_lock(context, work) {
            Ok(Some(progress)) => progress,
            Ok(None) => return self.patience.locked(),
            Err(reply) => return Progress::Done(reply),
        };
        if self.close
            && let Progress::Done(_) = progress
        {
            if let Some(selected) = context.client.selected {
                context
                    .mailboxes
                    .wake_listeners(selected.mailbox, context.client.id);
            }
            context.client.deselect(context.mailboxes, now);
        }
        progress
    }
}
