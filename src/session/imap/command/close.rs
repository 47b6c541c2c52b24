//! CLOSE and UNSELECT (RFC 9051 6.4.1, 6.4.2).

use super::{Context, Start, expunge};
use crate::session::imap::reply::Reply;

/// EXPUNGE without telling.
pub fn close(context: &mut Context<'_>) -> Start {
    match context.client.selected {
        Some(selected) if !selected.read_only => expunge::close(),
        _ => {
            context.client.deselect(context.mailboxes, context.now);
            Start::Done(Reply::ok("Close completed."))
        }
    }
}

pub fn unselect(context: &mut Context<'_>) -> Start {
    context.client.deselect(context.mailboxes, context.now);
    Start::Done(Reply::ok("Unselect completed."))
}
