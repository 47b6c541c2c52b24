//! What commands see of the client: its connection, the mailbox it has selected, and what it has to
//! hear of it.

use super::counters::ClientCounters;
use super::reply;
use super::view::{self, Manner, Tell};
use crate::imap;
use crate::imap::command::Extension;
use crate::imap::connection::State;
use crate::imap::response::{self, Code, Status};
use crate::log::ONCE;
use crate::mail::Ranges;
use crate::maildir::disk::report;
use crate::maildir::folder::{FolderError, Step};
use crate::net::{Buffer, ConnectionId, Now};
use crate::store::mailbox::Effort;
use crate::store::text::Memo;
use crate::store::{MailboxKey, Mailboxes};

pub struct Client {
    pub id: ConnectionId,
    pub imap: imap::Connection,
    pub out: Buffer,
    /// Set in the selected state only.
    pub selected: Option<Selected>,
    /// UIDs that `$` stands for (RFC 5182).
    pub saved: Ranges,
    /// CONDSTORE is in use without ENABLE (RFC 7162 3.1).
    pub condstore: bool,
    /// A large message of which the client is fetching part after part.
    pub memo: Option<Memo>,
    pub counters: ClientCounters,
}

#[derive(Clone, Copy, Debug)]
pub struct Selected {
    pub mailbox: MailboxKey,
    pub read_only: bool,
}

impl Client {
    pub fn manner(&self) -> Manner {
        Manner {
            qresync: self.imap.is_enabled(Extension::QResync),
            condstore: self.condstore || self.imap.is_enabled(Extension::CondStore),
            rev2: self.imap.is_enabled(Extension::Imap4Rev2),
        }
    }

    /// A mailbox is selected, with EXAMINE.
    pub fn is_read_only(&self) -> bool {
        self.selected.is_some_and(|selected| selected.read_only)
    }

    /// Leaves the selected mailbox, if any.
    pub fn deselect(&mut self, mailboxes: &mut Mailboxes, now: Now) {
        if let Some(selected) = self.selected.take()
            && let Some(mailbox) = mailboxes.get(selected.mailbox)
        {
            mailbox.remove_listener(self.id, now);
        }
        self.saved = Ranges::new();
        if self.imap.state() == State::Selected {
            self.imap.set_state(State::Authenticated);
        }
    }

    /// The mailbox that was selected is not open any more: another one took its place, or none did.
    pub fn leave_lost_mailbox(&mut self, mailboxes: &mut Mailboxes, now: Now) {
        let lost = self
            .selected
            .is_some_and(|selected| mailboxes.get(selected.mailbox).is_none());
        if lost && self.imap.state() == State::Selected {
            response::untagged(
                self.out.writer(),
                Status::Ok,
                Some(Code::Closed),
                reply::GONE,
            );
            self.deselect(mailboxes, now);
        }
    }
}

/// Looks for changes in the selected mailbox, if there is one.
pub fn look(
    client: &Client,
    mailboxes: &mut Mailboxes,
    effort: Effort,
    now: Now,
    over: &dyn Fn() -> bool,
) -> Result<Step, FolderError> {
    let Some(selected) = client.selected else {
        return Ok(Step::Done);
    };
    let step = mailboxes.look(selected.mailbox, effort, now, over)?;
    let mailbox = mailboxes.get(selected.mailbox);
    if mailbox.is_some_and(|mailbox| mailbox.take_news()) {
        mailboxes.wake_listeners(selected.mailbox, client.id);
    }
    Ok(step)
}

/// The mailbox under the client's feet is in trouble.
pub fn handle_folder_error(
    error: &FolderError,
    client: &mut Client,
    mailboxes: &mut Mailboxes,
    now: Now,
) {
    match error {
        FolderError::Missing | FolderError::Replaced(_) => {
            if let Some(selected) = client.selected {
                mailboxes.lose_mailbox(selected.mailbox, now);
            }
        }
        // The table is served as it is.
        FolderError::Denied(error) | FolderError::Full(error) | FolderError::Io(error) => {
            let selected = client.selected;
            let mailbox = selected.and_then(|selected| mailboxes.get(selected.mailbox));
            let name = mailbox.map(|mailbox| mailbox.name.to_string());
            log::error!(
                target: ONCE,
                "Mailbox {}: what changes in it is not seen: {}",
                name.unwrap_or_default(),
                report::explained(error)
            );
        }
    }
}

/// Writes what the client may hear now; false when its buffer is full.
pub fn tell_news(client: &mut Client, mailboxes: &mut Mailboxes, tell: Tell) -> bool {
    let manner = client.manner();
    let Some(selected) = client.selected else {
        return true;
    };
    let Some(mailbox) = mailboxes.get(selected.mailbox) else {
        return true;
    };
    view::tell(mailbox, client.id, tell, manner, &mut client.out)
}
