//! The commands after login: each is a row of [`begin`] and a file.
//!
//! A new command is a parser and a row in `imap/command.rs`, which says in which states it is
//! allowed, and a file and a row here; the compiler asks for the second row.
//!
//! A command that cannot be long is done by its function at once.  One that can is a value whose
//! `step` is called until it is done: it stops when its time slice is used up, when the client's
//! buffer is full, or when it waits for input or for a lock.

pub mod append;
pub mod capability;
mod close;
mod copy;
mod create;
mod delete;
mod enable;
mod expunge;
pub mod fetch;
mod id;
mod idle;
mod list;
mod logout;
mod namespace;
mod noop;
mod patience;
mod rename;
mod search;
mod select;
mod status;
mod store;
mod subscribe;

use std::time::Duration;

use super::client::Client;
use super::reply::{self, About, Reply};
use super::view::Tell;
use crate::config::Config;
use crate::imap::append::AppendStart;
use crate::imap::command::{Command as Request, Tag, Tagged};
use crate::imap::connection::Bad;
use crate::imap::mailbox::MailboxArgument;
use crate::imap::sequence::Set;
use crate::log::ONCE;
use crate::mail::{MailboxName, Ranges, Uid};
use crate::maildir::folder::MessageError;
use crate::net::Now;
use crate::store::locked::Locked;
use crate::store::mailbox::{Effort, Mailbox};
use crate::store::{MailboxKey, Mailboxes};

/// What a command works with.
pub struct Context<'a> {
    pub client: &'a mut Client,
    pub mailboxes: &'a mut Mailboxes,
    pub config: &'a Config,
    pub now: Now,
    /// The time slice is used up.
    pub over: &'a dyn Fn() -> bool,
}

/// A command that takes more than one step.
pub trait Command {
    fn step(&mut self, context: &mut Context<'_>) -> Progress;

    /// How hard to look for news before the tagged response.
    fn effort(&self) -> Effort {
        Effort::Watch
    }

    /// The client waits for news, not for an answer.
    fn is_idle(&self) -> bool {
        false
    }
}

/// How far a step came.
pub enum Progress {
    Done(Reply),
    /// The client's buffer is full.
    NeedRoom,
    /// More has to come from the client.
    NeedInput,
    /// The time slice is used up.
    Again,
    /// Another program holds a lock.
    Wait(Duration),
    /// What the client sent is no part of the command, which is over.
    Bad(Bad),
}

/// How a command begins.
pub enum Start {
    Done(Reply),
    /// Done, and what other programs did is to be told before the tagged response.
    DoneAfterLook(Reply),
    Running(Box<dyn Command>),
}

/// A command that has begun.
pub struct Begun {
    pub tag: Tag,
    pub about: About,
    pub tell: Tell,
    pub start: Start,
}

/// Begins a command.  Each has a row: what it is about, what may be told while it is in progress,
/// and what does it.
pub fn begin(tagged: Tagged, context: &mut Context<'_>) -> Begun {
    use Subject::{Nothing, Selected};
    use Tell::All;
    let Tagged { tag, name, command } = tagged;
    if !matches!(command, Request::Fetch(_)) {
        fetch::forget_texts(context);
    }
    // A command may leave it.
    let selected = selected_mailbox(context).map(|mailbox| mailbox.name.clone());
    let (subject, tell, start) = match command {
        Request::Capability => (Nothing, All, capability::start(context)),
        Request::Noop => (Selected, All, noop::noop()),
        Request::Logout => (Nothing, All, logout::start(context)),
        Request::Id(_) => (Nothing, All, id::start(context)),
        Request::StartTls | Request::Authenticate { .. } | Request::Login { .. } => {
            (Nothing, All, Start::Done(Reply::bad("Already logged in.")))
        }
        Request::Enable(extensions) => (Nothing, All, enable::start(&extensions, context)),
        Request::Select(select) => (of(&select.mailbox), All, select::start(select, context)),
        Request::Create(create) => (of(&create.mailbox), All, create::start(create, context)),
        Request::Delete(mailbox) => (of(&mailbox), All, delete::start(mailbox, context)),
        Request::Rename { from, to } => {
            (of_both(&from, &to), All, rename::start(from, to, context))
        }
        Request::Subscribe(mailbox) => (of(&mailbox), All, subscribe::subscribe(mailbox, context)),
        Request::Unsubscribe(mailbox) => {
            (of(&mailbox), All, subscribe::unsubscribe(mailbox, context))
        }
        Request::List(list) => (Nothing, All, list::list(list, context)),
        Request::Lsub(pattern) => (Nothing, All, list::lsub(pattern, context)),
        Request::Namespace => (Nothing, All, namespace::start(context)),
        Request::Status { mailbox, items } => {
            (of(&mailbox), All, status::start(mailbox, items, context))
        }
        Request::Idle => (Selected, All, idle::start(&tag, context)),
        Request::Check => (Selected, All, noop::check()),
        Request::Close => (Selected, All, close::close(context)),
        Request::Unselect => (Selected, All, close::unselect(context)),
        Request::Expunge { uids } => (Selected, All, expunge::start(uids, context)),
        Request::Search(search) => (
            Selected,
            all_if(search.uid),
            search::start(&tag, &search, context),
        ),
        Request::Fetch(fetch) => (Selected, all_if(fetch.uid), fetch::start(fetch, context)),
        Request::Store(store) => (Selected, all_if(store.uid), store::start(store, context)),
        Request::Copy(copy) => (of(&copy.mailbox), All, copy::start(copy, false, context)),
        Request::Move(copy) => (of(&copy.mailbox), All, copy::start(copy, true, context)),
    };
    let (mailbox, new_name) = match subject {
        Nothing => (None, None),
        Selected => (selected, None),
        Subject::Mailbox(name) => (name, None),
        Subject::Renaming(from, to) => (from, to),
    };
    let about = About {
        command: name,
        mailbox,
        new_name,
    };
    Begun {
        tag,
        about,
        tell,
        start,
    }
}

/// Begins an APPEND, whose messages come while it runs.
pub fn begin_append(tag: Tag, request: AppendStart, context: &mut Context<'_>) -> Begun {
    Begun {
        tag,
        about: About {
            command: "APPEND",
            mailbox: request.mailbox.as_ref().ok().cloned(),
            new_name: None,
        },
        tell: Tell::All,
        start: append::start(request, context),
    }
}

/// What a command is about.
enum Subject {
    Nothing,
    /// The mailbox that is selected, if one is.
    Selected,
    /// The mailbox that it names; `None`: that is no name.
    Mailbox(Option<MailboxName>),
    Renaming(Option<MailboxName>, Option<MailboxName>),
}

fn of(mailbox: &MailboxArgument) -> Subject {
    Subject::Mailbox(mailbox.as_ref().ok().cloned())
}

fn of_both(from: &MailboxArgument, to: &MailboxArgument) -> Subject {
    Subject::Renaming(from.as_ref().ok().cloned(), to.as_ref().ok().cloned())
}

/// A client that uses sequence numbers must not hear meanwhile that they change (RFC 3501 7.4.1,
/// RFC 9051 7.5.1).
fn all_if(uid: bool) -> Tell {
    match uid {
        true => Tell::All,
        false => Tell::NoExpunge,
    }
}

/// Tells the log of a message that cannot be read.
fn report_unread(
    command: &str,
    uid: Uid,
    error: &MessageError,
    mailbox: MailboxKey,
    context: &mut Context<'_>,
) {
    if let Some(mailbox) = context.mailboxes.get(mailbox) {
        log::error!(
            target: ONCE,
            "Mailbox {}: {command}: the message with UID {} cannot be read: {}",
            mailbox.name,
            uid.0,
            error.explained()
        );
    }
}

/// This client, or every client, may only read the selected mailbox.
fn refuse_read_only(context: &mut Context<'_>) -> Reply {
    let reason = selected_mailbox(context).and_then(|mailbox| mailbox.folder.why_read_only());
    reply::read_only(reason)
}

fn selected_mailbox<'m>(context: &'m mut Context<'_>) -> Option<&'m mut Mailbox> {
    let selected = context.client.selected?;
    context.mailboxes.get(selected.mailbox)
}

/// Works for a time slice under the lock of the selected mailbox; `None` if another program holds
/// it.
fn under_lock(
    context: &mut Context<'_>,
    work: impl FnOnce(&mut Locked<'_>, &mut Client) -> Progress,
) -> Result<Option<Progress>, Reply> {
    let Context {
        client,
        mailboxes,
        now,
        ..
    } = context;
    let selected = client.selected.ok_or_else(reply::deselected)?;
    let mailbox = mailboxes.get(selected.mailbox);
    let mailbox = mailbox.ok_or_else(reply::deselected)?;
    let by = Some(client.id);
    Ok(mailbox.under_lock(by, *now, |locked| work(locked, client))?)
}

/// The UIDs a command is about: what `set` names, as far as the client has been told of it.
fn uids_of(set: &Set, uid: bool, context: &mut Context<'_>) -> Result<Ranges, Reply> {
    let saved = context.client.saved.clone();
    let id = context.client.id;
    let Some(mailbox) = selected_mailbox(context) else {
        return Err(reply::deselected());
    };
    let Some(cursor) = mailbox.cursor(id) else {
        return Err(reply::deselected());
    };
    let messages = mailbox.folder.messages();
    match set {
        Set::Saved => Ok(saved),
        Set::Numbers(numbers) if uid => Ok(numbers.resolve(cursor.last_uid(messages))),
        Set::Numbers(numbers) => {
            let numbers = numbers.resolve(cursor.exists(messages));
            let uids = cursor.uids_of_numbers(messages, &numbers);
            uids.ok_or_else(|| Reply::bad("Sequence number out of range."))
        }
    }
}

#[cfg(test)]
mod tests;
