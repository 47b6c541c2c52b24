//! RENAME (RFC 9051 6.3.6).

use super::{Context, Start, copy};
use crate::imap::mailbox::MailboxArgument;
use crate::session::imap::reply::Reply;

pub fn start(from: MailboxArgument, to: MailboxArgument, context: &mut Context<'_>) -> Start {
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
