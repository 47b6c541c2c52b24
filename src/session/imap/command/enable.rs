//! ENABLE (RFC 5161 3.1), and how CONDSTORE is switched on by other commands (RFC 7162 3.1).

use super::{Context, Start, selected_mailbox};
use crate::imap::command::Extension;
use crate::imap::response::{self, Code, Status};
use crate::session::imap::reply::Reply;

pub fn start(extensions: &[Extension], context: &mut Context<'_>) -> Start {
    let before = context.client.manner();
    // ENABLED tells all extensions that were asked for, those that were already on too, because a
    // client takes an extension that is missing there for refused.
    let mut enabled = Vec::new();
    for &extension in extensions {
        context.client.imap.enable(extension);
        if !enabled.contains(&extension) {
            enabled.push(extension);
        }
    }
    response::enabled(context.client.out.writer(), &enabled);
    if context.client.manner().condstore && !before.condstore {
        tell_highest_modseq(context);
    }
    Start::Done(Reply::ok("Enabled."))
}

/// The first command that says it knows CONDSTORE switches it on (RFC 7162 3.1).
pub fn use_condstore(context: &mut Context<'_>) {
    if !context.client.manner().condstore {
        context.client.condstore = true;
        tell_highest_modseq(context);
    }
}

/// `* OK [HIGHESTMODSEQ n]`, for a client that switches CONDSTORE on with a mailbox selected
/// (RFC 7162 3.1.2.1).
fn tell_highest_modseq(context: &mut Context<'_>) {
    let id = context.client.id;
    let Some(mailbox) = selected_mailbox(context) else {
        return;
    };
    let code = Code::HighestModSeq(mailbox.highest_modseq(id));
    response::untagged(
        context.client.out.writer(),
        Status::Ok,
        Some(code),
        "Highest",
    );
}
