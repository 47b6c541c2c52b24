//! LIST and LSUB (RFC 9051 6.3.9, RFC 3501 6.3.9, RFC 5258, RFC 5819, RFC 6154).

use std::collections::HashSet;

use super::status::Inquiry;
use super::{Command, Context, Progress, Start};
use crate::imap::list::{Attributes, List as Request, Pattern, Selection};
use crate::imap::mailbox::MailboxName;
use crate::imap::response::{self, Listed};
use crate::maildir::tree::Mailbox;
use crate::session::mailboxes::OpenError;
use crate::session::reply::Reply;

pub fn list(request: Request, context: &mut Context<'_>) -> Start {
    if request.patterns.iter().all(Pattern::is_empty) {
        let dialect = context.client.imap.dialect();
        response::list_root(context.client.out.writer(), false, dialect);
        return Start::Done(Reply::ok("List completed."));
    }
    match entries(&request, context) {
        Ok(entries) => Start::Running(Box::new(List {
            entries: entries.into_iter(),
            request: Some(request),
            inquiry: None,
            unsettled: false,
            done: "List completed.",
        })),
        Err(error) => Start::Done(error.into()),
    }
}

pub fn lsub(pattern: Pattern, context: &mut Context<'_>) -> Start {
    if pattern.is_empty() {
        let dialect = context.client.imap.dialect();
        response::list_root(context.client.out.writer(), true, dialect);
        return Start::Done(Reply::ok("Lsub completed."));
    }
    match subscribed_entries(&pattern, context) {
        Ok(entries) => Start::Running(Box::new(List {
            entries: entries.into_iter(),
            request: None,
            inquiry: None,
            unsettled: false,
            done: "Lsub completed.",
        })),
        Err(error) => Start::Done(error.into()),
    }
}

struct List {
    entries: std::vec::IntoIter<Entry>,
    /// `None`: this is LSUB.
    request: Option<Request>,
    /// The status of the mailbox listed last.
    inquiry: Option<Inquiry>,
    /// UIDs were told that may not be on disk yet.
    unsettled: bool,
    done: &'static str,
}

struct Entry {
    name: MailboxName,
    attributes: Attributes,
    child_info_subscribed: bool,
}

impl Command for List {
    fn step(&mut self, context: &mut Context<'_>) -> Progress {
        loop {
            if let Some(inquiry) = &mut self.inquiry {
                match inquiry.step(context) {
                    // A mailbox that has no status has none to tell (RFC 5819 2).
                    Ok(()) | Err(Progress::Done(_)) => {
                        self.unsettled |= inquiry.is_unsettled();
                        self.inquiry = None;
                    }
                    Err(progress) => return progress,
                }
            }
            if context.client.out.is_full() {
                return Progress::NeedRoom;
            }
            if (context.over)() {
                return Progress::Again;
            }
            let Some(entry) = self.entries.next() else {
                if self.unsettled {
                    context.mailboxes.settle_all();
                }
                return Progress::Done(Reply::ok(self.done));
            };
            self.write(entry, context);
        }
    }
}

impl List {
    fn write(&mut self, entry: Entry, context: &mut Context<'_>) {
        let dialect = context.client.imap.dialect();
        let Entry {
            name,
            attributes,
            child_info_subscribed,
        } = entry;
        let listed = Listed {
            attributes,
            name: &name,
            child_info_subscribed,
            old_name: None,
        };
        let out = context.client.out.writer();
        let Some(request) = &self.request else {
            response::lsub(out, listed, dialect);
            return;
        };
        response::list(out, listed, dialect);
        let selectable = !attributes.contains(Attributes::NO_SELECT)
            && !attributes.contains(Attributes::NON_EXISTENT);
        if selectable && let Some(items) = &request.returns.status {
            let inquiry = Inquiry::new(name, items.clone(), context);
            self.inquiry = Some(inquiry.one_of_many());
        }
    }
}

/// What LIST shows, in the tree's order.
fn entries(request: &Request, context: &mut Context<'_>) -> Result<Vec<Entry>, OpenError> {
    let Selection {
        subscribed,
        recursive_match,
        special_use,
        ..
    } = request.select;
    let matches = |name: &MailboxName| request.patterns.iter().any(|p| p.matches(name));
    let mut mailboxes = context.mailboxes.tree.list()?;
    let wants_subscribed = subscribed || request.returns.subscribed;
    let subscriptions: HashSet<MailboxName> = if wants_subscribed {
        context
            .mailboxes
            .subscriptions(context.now)?
            .into_iter()
            .collect()
    } else {
        HashSet::new()
    };
    if subscribed {
        add_missing(&mut mailboxes, &subscriptions);
    }
    // Names above a mailbox that the selection is about.
    let mut above = HashSet::new();
    if subscribed && recursive_match {
        for name in &subscriptions {
            let mut parent = name.parent();
            while let Some(name) = parent {
                parent = name.parent();
                above.insert(name);
            }
        }
    }
    let mut entries = Vec::new();
    for mailbox in mailboxes {
        let is_subscribed = subscriptions.contains(&mailbox.name);
        let child_info_subscribed = above.contains(&mailbox.name);
        let selected = (!subscribed || is_subscribed || child_info_subscribed)
            && (!special_use || mailbox.role.is_some());
        if !selected || !matches(&mailbox.name) {
            continue;
        }
        let mut attributes = attributes(&mailbox, request.extended);
        if is_subscribed {
            attributes |= Attributes::SUBSCRIBED;
        }
        entries.push(Entry {
            name: mailbox.name,
            attributes,
            child_info_subscribed,
        });
    }
    Ok(entries)
}

/// Subscribed mailboxes that do not exist are listed too when subscriptions are asked for.
fn add_missing(mailboxes: &mut Vec<Mailbox>, subscriptions: &HashSet<MailboxName>) {
    let known: HashSet<MailboxName> = mailboxes.iter().map(|m| m.name.clone()).collect();
    let mut missing: Vec<_> = subscriptions.difference(&known).cloned().collect();
    missing.sort();
    mailboxes.extend(missing.into_iter().map(|name| Mailbox {
        name,
        exists: false,
        children: false,
        role: None,
    }));
}

/// A name without a mailbox is \NonExistent to those who know the word (RFC 5258 3.4).
fn attributes(mailbox: &Mailbox, extended: bool) -> Attributes {
    let mut attributes = match (mailbox.exists, extended) {
        (true, _) => Attributes::default(),
        (false, true) => Attributes::NON_EXISTENT,
        (false, false) => Attributes::NO_SELECT,
    };
    attributes |= if mailbox.children {
        Attributes::HAS_CHILDREN
    } else {
        Attributes::HAS_NO_CHILDREN
    };
    if let Some(role) = mailbox.role {
        attributes |= role.into();
    }
    attributes
}

/// What LSUB shows: subscribed names, and names above them that match where they do not
/// (RFC 3501 6.3.9).
fn subscribed_entries(
    pattern: &Pattern,
    context: &mut Context<'_>,
) -> Result<Vec<Entry>, OpenError> {
    let subscriptions = context.mailboxes.subscriptions(context.now)?;
    let subscribed: HashSet<&MailboxName> = subscriptions.iter().collect();
    let mut above = HashSet::new();
    let mut entries = Vec::new();
    for name in &subscriptions {
        if pattern.matches(name) {
            let (name, attributes) = (name.clone(), Attributes::default());
            entries.push(Entry {
                name,
                attributes,
                child_info_subscribed: false,
            });
            continue;
        }
        let mut parent = name.parent();
        while let Some(name) = parent {
            parent = name.parent();
            if pattern.has_percent()
                && pattern.matches(&name)
                && !subscribed.contains(&name)
                && above.insert(name.clone())
            {
                let attributes = Attributes::NO_SELECT;
                entries.push(Entry {
                    name,
                    attributes,
                    child_info_subscribed: false,
                });
            }
        }
    }
    Ok(entries)
}
