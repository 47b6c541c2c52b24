//! SUBSCRIBE and UNSUBSCRIBE (RFC 9051 6.3.7, 6.3.8).

use super::{Context, Start};
use crate::imap::mailbox::MailboxArgument;
use crate::mail::MailboxName;
use crate::net::Now;
use crate::session::reply::{self, Reply};
use crate::store::{Mailboxes, OpenError};

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
