//! NOOP and CHECK (RFC 9051 6.1.2, RFC 3501 6.4.1).

use super::Start;
use crate::session::imap::reply::Reply;

pub fn noop() -> Start {
    Start::DoneAfterLook(Reply::ok("NOOP completed."))
}

pub fn check() -> Start {
    Start::DoneAfterLook(Reply::ok("Check completed."))
}
