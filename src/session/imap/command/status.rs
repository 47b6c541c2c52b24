//! STATUS (RFC 9051 6.3.11), and the status of a mailbox in LIST (RFC 5819).
//!
//! A mailbox that nobody has open costs a look at its index's header and two `stat`; only if that
//! is out of date it is opened and brought up to date.

use super::enable::use_condstore;
use super::patience::Patience;
use super::{Command, Context, Progress, Start};
use crate::config::Config;
use crate::imap::command::StatusItem;
use crate::imap::mailbox::MailboxArgument;
use crate::imap::response::{self, StatusValue};
use crate::log::ONCE;
use crate::mail::MailboxName;
use crate::maildir::folder::{Folder, FolderStatus, Look, MessageError, Step};
use crate::session::imap::reply::{About, Reply};
use crate::store::mailbox::Effort;
use crate::store::{Glance, OpenError};

pub fn start(mailbox: MailboxArgument, items: Vec<StatusItem>, context: &mut Context<'_>) -> Start {
    let name = match mailbox {
        Ok(name) => name,
        Err(error) => return Start::Done(error.into()),
    };
    Start::Running(Box::new(StatusCommand {
        inquiry: Inquiry::new(name, items, context),
    }))
}

struct StatusCommand {
    inquiry: Inquiry,
}

impl Command for StatusCommand {
    fn step(&mut self, context: &mut Context<'_>) -> Progress {
        match self.inquiry.step(context) {
            Ok(()) => Progress::Done(Reply::ok("Status completed.")),
            Err(progress) => progress,
        }
    }
}

/// One mailbox's status, on the way to being known.
pub struct Inquiry {
    name: MailboxName,
    items: Vec<StatusItem>,
    /// Opened for this only.
    folder: Option<Folder>,
    measured: usize,
    settles: bool,
    is_unsettled: bool,
    patience: Patience,
}

impl Inquiry {
    pub fn new(name: MailboxName, items: Vec<StatusItem>, context: &mut Context<'_>) -> Inquiry {
        if items.contains(&StatusItem::HighestModSeq) {
            use_condstore(context);
        }
        Inquiry {
            name,
            items,
            folder: None,
            measured: 0,
            settles: true,
            is_unsettled: false,
            patience: Patience::default(),
        }
    }

    /// One of many: their UIDs are settled together, by whoever asks.
    pub fn one_of_many(self) -> Inquiry {
        Inquiry {
            settles: false,
            ..self
        }
    }

    pub fn about(&self) -> About {
        About {
            command: "STATUS",
            mailbox: Some(self.name.clone()),
            new_name: None,
        }
    }

    /// Whether UIDs were told that are not known to be on disk.
    pub fn is_unsettled(&self) -> bool {
        self.is_unsettled
    }

    /// Writes the STATUS response, or says why that has to wait, or cannot be.
    pub fn step(&mut self, context: &mut Context<'_>) -> Result<(), Progress> {
        let status = match self.find(context) {
            Ok(Found::Status(status)) => status,
            Ok(Found::Again) => return Err(Progress::Again),
            Ok(Found::Locked) => return Err(self.patience.locked()),
            Err(error) => return Err(Progress::Done(error.into())),
        };
        let values: Vec<_> = self
            .items
            .iter()
            .map(|&item| (item, value(item, &status, context.config)))
            .collect();
        let dialect = context.client.imap.dialect();
        response::status(context.client.out.writer(), &self.name, &values, dialect);
        Ok(())
    }

    fn find(&mut self, context: &mut Context<'_>) -> Result<Found, OpenError> {
        let (now, over) = (context.now, context.over);
        if let Some(key) = context.mailboxes.find_open(&self.name) {
            let step = context
                .mailboxes
                .look(key, Effort::Directories, now, over)?;
            if let Some(waiting) = Found::of(step) {
                return Ok(waiting);
            }
            if let Some(mailbox) = context.mailboxes.get(key) {
                let found = self.measure(&mut mailbox.folder, over);
                self.settle(&mut mailbox.folder);
                return Ok(found);
            }
        }
        let mut folder = match self.folder.take() {
            Some(folder) => folder,
            None => {
                let sizes = self.items.contains(&StatusItem::Size);
                match context.mailboxes.glance(&self.name, sizes, now)? {
                    Glance::Status(status) => return Ok(Found::Status(status)),
                    Glance::Folder(folder) => *folder,
                }
            }
        };
        let step = folder.sync(Look::default(), now.time, over)?;
        let found = match Found::of(step) {
            Some(waiting) => waiting,
            None => self.measure(&mut folder, over),
        };
        if let Found::Status(_) = found {
            self.settle(&mut folder);
            folder.close(now.time);
        } else {
            self.folder = Some(folder);
        }
        Ok(found)
    }

    /// No UIDNEXT is told that a crash could take back.
    fn settle(&mut self, folder: &mut Folder) {
        self.is_unsettled = !self.settles;
        if self.settles
            && let Err(error) = folder.settle()
        {
            let name = &self.name;
            log::warn!(target: ONCE, "Mailbox {name}: UIDs are not on disk yet: {error}");
        }
    }

    /// The status of a folder that is up to date; SIZE needs the size of every message.
    fn measure(&mut self, folder: &mut Folder, over: &dyn Fn() -> bool) -> Found {
        if self.items.contains(&StatusItem::Size) && folder.counts().unmeasured > 0 {
            while self.measured < folder.messages().len() {
                match folder.virtual_size(self.measured, over) {
                    Ok(None) => return Found::Again,
                    // What cannot be read counts nothing.
                    Ok(Some(_)) | Err(MessageError::Gone) => self.measured += 1,
                    Err(error) => {
                        log::warn!(
                            target: ONCE,
                            "Mailbox {}: STATUS: a message cannot be measured: {}",
                            self.name,
                            error.explained()
                        );
                        self.measured += 1;
                    }
                }
                if over() {
                    return Found::Again;
                }
            }
        }
        Found::Status(status_of(folder))
    }
}

/// A mailbox's status, or why it is not known yet.
enum Found {
    Status(FolderStatus),
    /// The time slice is used up.
    Again,
    /// Another program holds a lock.
    Locked,
}

impl Found {
    /// `None`: the folder is up to date.
    fn of(step: Step) -> Option<Found> {
        match step {
            Step::Done => None,
            Step::Again => Some(Found::Again),
            Step::Locked => Some(Found::Locked),
        }
    }
}

fn status_of(folder: &Folder) -> FolderStatus {
    let first_recent = folder.first_recent();
    let recent = folder.messages().iter().rev();
    let recent = recent.take_while(|message| message.uid() >= first_recent);
    let recent = recent.filter(|message| !message.is_gone()).count();
    FolderStatus {
        uid_validity: folder.uid_validity(),
        uid_next: folder.uid_next(),
        highest_modseq: folder.highest_modseq(),
        mailbox_id: folder.mailbox_id(),
        counts: folder.counts(),
        recent: u32::try_from(recent).unwrap_or(u32::MAX),
    }
}

fn value<'s>(item: StatusItem, status: &'s FolderStatus, config: &Config) -> StatusValue<'s> {
    let number = |n: u32| StatusValue::Number(n.into());
    match item {
        StatusItem::Messages => number(status.counts.messages),
        StatusItem::Recent => number(status.recent),
        StatusItem::UidNext => number(status.uid_next),
        StatusItem::UidValidity => number(status.uid_validity),
        StatusItem::Unseen => number(status.counts.unseen),
        StatusItem::Deleted => number(status.counts.deleted),
        StatusItem::Size => StatusValue::Number(status.counts.size),
        StatusItem::AppendLimit => StatusValue::Number(config.append_limit),
        StatusItem::MailboxId => StatusValue::Id(&status.mailbox_id),
        StatusItem::HighestModSeq => StatusValue::Number(status.highest_modseq),
    }
}
