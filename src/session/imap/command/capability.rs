//! CAPABILITY (RFC 9051 6.1.1).

use super::{Context, Start};
use crate::config::Config;
use crate::imap::response::{self, Stage};
use crate::session::imap::reply::Reply;

pub fn start(context: &mut Context<'_>) -> Start {
    let capabilities = capabilities(context.config);
    response::capability(context.client.out.writer(), &capabilities);
    Start::Done(Reply::ok("Capability completed."))
}

/// What this server can do, after login.
pub fn capabilities(config: &Config) -> String {
    response::capabilities(Stage::LoggedIn, Some(config.append_limit))
}
