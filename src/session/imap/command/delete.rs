//! DELETE (RFC 9051 6.3.5).

use super::{Command, Context, Progress, Start};
use crate::imap::mailbox::MailboxArgument;
use crate::imap::response::Code;
use crate::log::ONCE;
use crate::maildir::disk::report;
use crate::session::imap::reply::Reply;

pub fn start(mailbox: MailboxArgument, context: &mut Context<'_>) -> Start {
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
