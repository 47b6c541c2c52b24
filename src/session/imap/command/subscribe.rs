//! SUBSCRIBE and UNSUBSCRIBE (RFC 9051 6.3.7, 6.3.8).

use super::{Context, Start};
use crate::imap::mailbox::MailboxArgument;
use crate::mail::MailboxName;
use crate::net::Now;
use crate::session::imap::reply::{self, Reply};
use crate::store::{Mailboxes, OpenError};

pub fn subscribe(mailbox: MailboxArgument, context: &mut Context<'_>) -> Start {
    set_subscribed(mailbox, true, "Subscribe completed.", context)
}

pub fn unsubscribe(mailbox: MailboxArgument, context: &mut Context<'_>) -> Start {
    set_subscribed(mailbox, false, "Unsubscribe completed.", context)
}

fn set_subscribed(
    mailbox: MailboxArgument,
    subscribed: bool,
    done: &'static str,
    context: &mut Context<'_>,
) -> Start {
    let set = mailbox
        .map_err(Reply::from)
        .and_then(|name| try_set(&name, subscribed, context.mailboxes, context.now));
    Start::Done(match set {
        Ok(()) => Reply::ok(done),
        Err(reply) => reply,
    })
}

fn try_set(
    name: &MailboxName,
    subscribed: bool,
    mailboxes: &mut Mailboxes,
    now: Now,
) -> Result<(), Reply> {
    match mailboxes.subscribe(name, subscribed, now) {
        Ok(Some(_)) => Ok(()),
        Ok(None) => Err(reply::in_use(reply::SUBSCRIPTIONS_LOCK)),
        Err(error) => Err(OpenError::from(error).into()),
    }
}
