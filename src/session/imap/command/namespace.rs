//! NAMESPACE (RFC 9051 6.3.10).

use super::{Context, Start};
use crate::imap::response;
use crate::session::imap::reply::Reply;

pub fn start(context: &mut Context<'_>) -> Start {
    let dialect = context.client.imap.dialect();
    response::namespace(context.client.out.writer(), dialect);
    Start::Done(Reply::ok("Namespace completed."))
}
