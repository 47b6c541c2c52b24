//! ID (RFC 2971).

use super::{Context, Start};
use crate::imap::response;
use crate::session::imap::reply::Reply;

pub fn start(context: &mut Context<'_>) -> Start {
    let fields = [("name", "Roost"), ("version", env!("CARGO_PKG_VERSION"))];
    response::id(context.client.out.writer(), &fields);
    Start::Done(Reply::ok("ID completed."))
}
