//! CREATE (RFC 9051 6.3.4, RFC 6154, RFC 8474 4.1).

use super::{Context, Start};
use crate::imap::command::{Create, UnknownUse};
use crate::imap::response::Code;
use crate::mail::MailboxName;
use crate::maildir::tree::TreeError;
use crate::session::imap::reply::{Reply, ReplyCode};
use crate::store::OpenError;
use crate::store::mailbox::Effort;

pub fn start(create: Create, context: &mut Context<'_>) -> Start {
    Start::Done(try_create(create, context).unwrap_or_else(|reply| reply))
}

fn try_create(create: Create, context: &mut Context<'_>) -> Result<Reply, Reply> {
    let name = create.mailbox?;
    let roles = create.special_use;
    let roles =
        roles.map_err(|UnknownUse| Reply::no("Unknown special use.").code(Code::UseAttr))?;
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
