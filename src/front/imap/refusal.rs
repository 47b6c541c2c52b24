//! What a client that is not let in is told (RFC 5530).

use crate::imap::response::{self, Code};
use crate::ipc::{Limit, Refusal};

/// What may differ between a user that is there and one that is not comes after the right
/// password only; `Mismatch` says nothing.
pub(super) fn reply(why: Refusal) -> (Code<'static>, &'static str) {
    match why {
        Refusal::Mismatch => (Code::AuthenticationFailed, "Wrong user name or password."),
        Refusal::Expired => (Code::Expired, "The password or the account has expired."),
        Refusal::Disabled => (Code::AuthorizationFailed, "The account cannot be used now."),
        Refusal::NotPermitted => (Code::AuthorizationFailed, "This user has no mail here."),
        Refusal::Unavailable => (Code::Unavailable, "Logging in is not possible for now."),
        Refusal::TooMany(Limit::UserAndAddress) => (
            Code::Limit,
            "Too many connections of this user from this address \
             (limits.connections_per_user_and_address).",
        ),
        Refusal::TooMany(Limit::User) => (
            Code::Limit,
            "Too many connections of this user (limits.connections_per_user).",
        ),
        Refusal::TooMany(Limit::All) => (
            Code::Limit,
            "Too many connections to this server (limits.connections).",
        ),
        Refusal::NoMail => (
            Code::ServerBug,
            "The mail cannot be found; the server's log says why.",
        ),
    }
}

/// To a client that was let in and cannot be served.
pub(super) fn say_bye(out: &mut Vec<u8>) {
    let (code, text) = reply(Refusal::Unavailable);
    response::bye(out, Some(code), text);
}
