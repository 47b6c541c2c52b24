//! LOGOUT (RFC 9051 6.1.3).

use super::{Context, Start};
use crate::imap::connection::State;
use crate::imap::response;
use crate::session::imap::reply::Reply;

pub fn start(context: &mut Context<'_>) -> Start {
    context.client.deselect(context.mailboxes, context.now);
    response::bye(context.client.out.writer(), None, "Logging out.");
    context.client.imap.set_state(State::Logout);
    Start::Done(Reply::ok("Logout completed."))
}
