//! The commands after login: what each may tell the client, and which function does it.
//!
//! In which state a command is allowed is checked by `imap::Connection` before it comes here.
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
mod rename;
mod search;
mod select;
mod status;
mod store;
mod subscribe;

use std::time::Duration;

use super::connection::Client;
use super::reply::{self, About, Reply};
use super::view::Tell;
use crate::config::Config;
use crate::imap::command::{Command as Request, Tagged};
use crate::imap::connection::Bad;
use crate::imap::mailbox::MailboxArgument;
use crate::imap::sequence::Set;
use crate::log::ONCE;
use crate::mail::{Ranges, Uid};
use crate::maildir::folder::{FolderError, MessageError};
use crate::net::Now;
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

/// What may be told while the command is in progress (RFC 3501 7.4.1, RFC 9051 7.5.1).
pub fn tell(command: &Request) -> Tell {
    match command {
        Request::Fetch(fetch) if !fetch.uid => Tell::NoExpunge,
        Request::Store(store) if !store.uid => Tell::NoExpunge,
        Request::Search(search) if !search.uid => Tell::NoExpunge,
        _ => Tell::All,
    }
}

/// What the command is about: its mailbox, or the one that is selected.
pub fn about(command: &Request, context: &mut Context<'_>) -> About {
    let named = |command, mailbox: &MailboxArgument| {
        let mailbox = mailbox.as_ref().ok().cloned();
        (command, mailbox, None)
    };
    let mut of_selected = |command| {
        let mailbox = selected_mailbox(context).map(|mailbox| mailbox.name.clone());
        (command, mailbox, None)
    };
    let (command, mailbox, new_name) = match command {
        Request::Select(select) if select.examine => named("EXAMINE", &select.mailbox),
        Request::Select(select) => named("SELECT", &select.mailbox),
        Request::Create { mailbox, .. } => named("CREATE", mailbox),
        Request::Delete(mailbox) => named("DELETE", mailbox),
        Request::Rename { from, to } => {
            let (from, to) = (from.as_ref().ok().cloned(), to.as_ref().ok().cloned());
            ("RENAME", from, to)
        }
        Request::Subscribe(mailbox) => named("SUBSCRIBE", mailbox),
        Request::Unsubscribe(mailbox) => named("UNSUBSCRIBE", mailbox),
        Request::Status { mailbox, .. } => named("STATUS", mailbox),
        Request::Copy(copy) => named("COPY", &copy.mailbox),
        Request::Move(copy) => named("MOVE", &copy.mailbox),
        Request::List(_) => ("LIST", None, None),
        Request::Lsub(_) => ("LSUB", None, None),
        Request::Noop => of_selected("NOOP"),
        Request::Idle => of_selected("IDLE"),
        Request::Check => of_selected("CHECK"),
        Request::Close => of_selected("CLOSE"),
        Request::Unselect => of_selected("UNSELECT"),
        Request::Expunge { .. } => of_selected("EXPUNGE"),
        Request::Search(_) => of_selected("SEARCH"),
        Request::Fetch(_) => of_selected("FETCH"),
        Request::Store(_) => of_selected("STORE"),
        Request::Capability => ("CAPABILITY", None, None),
        Request::Logout => ("LOGOUT", None, None),
        Request::Id(_) => ("ID", None, None),
        Request::StartTls => ("STARTTLS", None, None),
        Request::Authenticate { .. } => ("AUTHENTICATE", None, None),
        Request::Login { .. } => ("LOGIN", None, None),
        Request::Enable(_) => ("ENABLE", None, None),
        Request::Namespace => ("NAMESPACE", None, None),
    };
    About {
        command,
        mailbox,
        new_name,
    }
}

pub fn start(tagged: Tagged, context: &mut Context<'_>) -> Start {
    let Tagged { tag, command } = tagged;
    match command {
        Request::Capability => capability::capability(context),
        Request::Noop => noop::noop(),
        Request::Check => noop::check(),
        Request::Logout => logout::logout(context),
        Request::Id(_) => id::id(context),
        Request::Enable(extensions) => Start::Done(enable::enable(&extensions, context)),
        Request::Namespace => namespace::namespace(context),
        Request::StartTls | Request::Authenticate { .. } | Request::Login { .. } => {
            Start::Done(Reply::bad("Already logged in."))
        }
        Request::Select(select) => select::start(select, context),
        Request::Close => close::close(context),
        Request::Unselect => close::unselect(context),
        Request::Create {
            mailbox,
            special_use,
        } => create::create(mailbox, special_use, context),
        Request::Delete(mailbox) => delete::delete(mailbox, context),
        Request::Rename { from, to } => rename::rename(from, to, context),
        Request::Subscribe(mailbox) => subscribe::subscribe(mailbox, true, context),
        Request::Unsubscribe(mailbox) => subscribe::subscribe(mailbox, false, context),
        Request::List(list) => list::list(list, context),
        Request::Lsub(pattern) => list::lsub(pattern, context),
        Request::Status { mailbox, items } => status::start(mailbox, items, context),
        Request::Idle => idle::start(&tag, context),
        Request::Expunge { uids } => expunge::start(uids, context),
        Request::Search(search) => search::start(tag, &search, context),
        Request::Fetch(fetch) => fetch::start(fetch, context),
        Request::Store(store) => store::start(store, context),
        Request::Copy(copy) => copy::start(copy, false, context),
        Request::Move(copy) => copy::start(copy, true, context),
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
    work: impl FnOnce(&mut Context<'_>) -> Progress,
) -> Result<Option<Progress>, Reply> {
    let (now, by) = (context.now, context.client.id);
    let mailbox = selected_mailbox(context).ok_or_else(reply::deselected)?;
    if !mailbox.folder.lock_to_act(now.time)? {
        return Ok(None);
    }
    let progress = work(context);
    let Some(mailbox) = selected_mailbox(context) else {
        return Ok(Some(progress));
    };
    let forced = mailbox.folder.force_changes();
    mailbox.folder.unlock();
    mailbox.distribute(Some(by), now);
    forced.map_err(FolderError::from)?;
    Ok(Some(progress))
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
