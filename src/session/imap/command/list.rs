//! LIST and LSUB (RFC 9051 6.3.9, RFC 3501 6.3.9, RFC 5258, RFC 5819, RFC 6154).

mod entries;

use super::status::Inquiry;
use super::{Command, Context, Progress, Start};
use crate::imap::list::{Attributes, List as Request, Pattern};
use crate::imap::response::{self, Listed};
use crate::session::imap::reply::Reply;
use entries::ListEntry;

pub fn list(request: Request, context: &mut Context<'_>) -> Start {
    if request.patterns.iter().all(Pattern::is_empty) {
        tell_root(request.patterns.first(), false, context);
        return Start::Done(Reply::ok("List completed."));
    }
    match entries::listed(&request, context) {
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
        tell_root(Some(&pattern), true, context);
        return Start::Done(Reply::ok("Lsub completed."));
    }
    match entries::subscribed(&pattern, context) {
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

/// The empty pattern asks for the root of its reference (RFC 3501 6.3.8).
fn tell_root(reference: Option<&Pattern>, lsub: bool, context: &mut Context<'_>) {
    let dialect = context.client.imap.dialect();
    let root = reference.map_or("", |reference| dialect.namespaces.root_of(reference));
    response::list_root(context.client.out.writer(), lsub, root, dialect);
}

struct List {
    entries: std::vec::IntoIter<ListEntry>,
    /// `None`: this is LSUB.
    request: Option<Request>,
    /// The status of the mailbox listed last.
    inquiry: Option<Inquiry>,
    /// UIDs were told that may not be on disk yet.
    unsettled: bool,
    done: &'static str,
}

impl Command for List {
    fn step(&mut self, context: &mut Context<'_>) -> Progress {
        loop {
            if let Some(inquiry) = &mut self.inquiry {
                match inquiry.step(context) {
                    // For a mailbox without a status, none is told (RFC 5819 2).
                    Err(Progress::Done(reply)) => {
                        reply.report(&inquiry.about(), context.mailboxes);
                        self.unsettled |= inquiry.is_unsettled();
                        self.inquiry = None;
                    }
                    Ok(()) => {
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
    fn write(&mut self, entry: ListEntry, context: &mut Context<'_>) {
        let dialect = context.client.imap.dialect();
        let attributes = entry.attributes;
        let listed = Listed {
            attributes,
            name: &entry.shown,
            child_info_subscribed: entry.child_info_subscribed,
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
        if selectable
            && let Some(items) = &request.returns.status
            && let Some(name) = entry.name
        {
            let inquiry = Inquiry::new(name, items.clone(), context);
            self.inquiry = Some(inquiry.one_of_many());
        }
    }
}
