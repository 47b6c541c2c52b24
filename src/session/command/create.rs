//! CREATE, DELETE, RENAME, SUBSCRIBE, UNSUBSCRIBE (RFC 9051 6.3.4 to 6.3.8, RFC 6154, RFC 8474
//! 4.1).

use super::{Command, Context, Progress, Start, copy};
use crate::imap::command::UnknownUse;
use crate::imap::mailbox::MailboxArgument;
use crate::imap::response::Code;
use crate::log::ONCE;
use crate::mail::{MailboxName, SpecialUse};
use crate::maildir::disk::report;
use crate::maildir::tree::TreeError;
use crate::net::Now;
use crate::session::reply::{self, Reply, ReplyCode};
use crate::store::mailbox::Effort;
use crate::store::{Mailboxes, OpenError};

pub fn create(
    mailbox: MailboxArgument,
    special_use: Result<Vec<SpecialUse>, UnknownUse>,
    context: &mut Context<'_>,
) -> Start {
    Start::Done(try_create(mailbox, special_use, context).unwrap_or_else(|reply| reply))
}

fn try_create(
    mailbox: MailboxArgument,
    special_use: Result<Vec<SpecialUse>, UnknownUse>,
    context: &mut Context<'_>,
) -> Result<Reply, Reply> {
    let name = mailbox?;
    let roles =
        special_use.map_err(|UnknownUse| Reply::no("Unknown special use.").code(Code::UseAttr))?;
    let now = context.now;
    context.mailboxes.create(&name, &roles, now)?;
    let id = mailbox_id(&name, context)?;
    let reply = Reply::ok("Create completed.");
    Ok(if id.is_empty() {
        reply
    } else {
        reply.with(ReplyCode::MailboxId(id))
    })
}

/// The new mailbox's id, which is made at the first look at it.
fn mailbox_id(name: &MailboxName, context: &mut Context<'_>) -> Result<String, OpenError> {
    let key = context.mailboxes.open(name, context.now)?;
    // The mailbox is empty, so this takes no time.
    let _ = context
        .mailboxes
        .look(key, Effort::Directories, context.now, &|| false)?;
    let mailbox = context.mailboxes.get(key).ok_or(TreeError::NotFound)?;
    Ok(mailbox.folder.mailbox_id().to_owned())
}

pub fn delete(mailbox: MailboxArgument, context: &mut Context<'_>) -> Start {
    match try_delete(mailbox, context) {
        Ok(()) => Start::Running(Box::new(Delete)),
        Err(reply) => Start::Done(reply),
    }
}

/// The mailbox is gone; its files are being removed.
struct Delete;

impl Command for Delete {
    fn step(&mut self, context: &mut Context<'_>) -> Progress {
        match context.mailboxes.sweep(context.now, context.over) {
            Ok(false) => return Progress::Again,
            Ok(true) => {}
            // The next DELETE tries again.
            Err(error) => {
                let error = report::explained(&error);
                log::warn!(target: ONCE, "files of deleted mailboxes are left: {error}");
            }
        }
        Progress::Done(Reply::ok("Delete completed."))
    }
}

fn try_delete(mailbox: MailboxArgument, context: &mut Context<'_>) -> Result<(), Reply> {
    let name = mailbox?;
    if name.is_inbox() {
        return Err(Reply::no("INBOX cannot be deleted.").code(Code::Cannot));
    }
    let now = context.now;
    // Clients that have it selected, this one too, are told that it is closed.
    context.mailboxes.delete(&name, now)?;
    Ok(())
}

pub fn rename(from: MailboxArgument, to: MailboxArgument, context: &mut Context<'_>) -> Start {
    try_rename(from, to, context).unwrap_or_else(Start::Done)
}

fn try_rename(
    from: MailboxArgument,
    to: MailboxArgument,
    context: &mut Context<'_>,
) -> Result<Start, Reply> {
    let (from, to) = (from?, to?);
    let now = context.now;
    if from.is_inbox() {
        context.mailboxes.create(&to, &[], now)?;
        let inbox = context.mailboxes.open(&from, now)?;
        return Ok(copy::move_inbox(inbox, to));
    }
    // Clients that have one of them selected, this one too, are told that it is closed.
    context.mailboxes.rename(&from, &to, now)?;
    Ok(Start::Done(Reply::ok("Rename completed.")))
}

pub fn subscribe(mailbox: MailboxArgument, subscribe: bool, context: &mut Context<'_>) -> Start {
    let done = if subscribe {
        "Subscribe completed."
    } else {
        "Unsubscribe completed."
    };
    let subscribed = mailbox
        .map_err(Reply::from)
        .and_then(|name| try_subscribe(&name, subscribe, context.mailboxes, context.now));
    Start::Done(match subscribed {
        Ok(()) => Reply::ok(done),
        Err(reply) => reply,
    })
}

fn try_subscribe(
    name: &MailboxName,
    subscribe: bool,
    mailboxes: &mut Mailboxes,
    now: Now,
) -> Result<(), Reply> {
    match mailboxes.subscribe(name, subscribe, now) {
        Ok(Some(_)) => Ok(()),
        Ok(None) => Err(reply::in_use(reply::SUBSCRIPTIONS_LOCK)),
        Err(error) => Err(OpenError::from(error).into()),
    }
}
