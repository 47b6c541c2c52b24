//! What a client that is not let in is told (RFC 5530).

use crate::imap::response::Code;
use crate::ipc::{Limit, Refusal};

/// For IMAP.  Texts that show that a user exists come only after the right password; `Mismatch`
/// shows nothing.
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

/// For the Dovecot auth protocol: `code=`, if there is one.
pub(super) fn fail_code(why: Refusal) -> Option<&'static str> {
    match why {
        Refusal::Mismatch => None,
        Refusal::Expired => Some("pass_expired"),
        Refusal::Disabled => Some("user_disabled"),
        Refusal::NotPermitted => Some("authz_fail"),
        Refusal::Unavailable | Refusal::TooMany(_) | Refusal::NoMail => Some("temp_fail"),
    }
}

/// Whether the client may be guessing passwords.
pub(super) fn is_suspicious(why: Refusal) -> bool {
    match why {
        Refusal::Mismatch | Refusal::Expired | Refusal::Disabled | Refusal::NotPermitted => true,
        Refusal::Unavailable | Refusal::TooMany(_) | Refusal::NoMail => false,
    }
}
