//! What LIST and LSUB show: the mailboxes of the tree under the names that clients see, in the
//! namespaces that the patterns are about.

use std::collections::{HashMap, HashSet};

use crate::imap::list::{Attributes, List as Request, Pattern, Selection};
use crate::imap::namespace::Namespaces;
use crate::mail::MailboxName;
use crate::maildir::tree::{ListedMailbox, Role};
use crate::session::imap::command::Context;
use crate::store::OpenError;

/// One response.
pub struct ListEntry {
    /// `None`: a name above others, which is no mailbox's.
    pub name: Option<MailboxName>,
    /// With the prefix of its namespace.
    pub shown: MailboxName,
    pub attributes: Attributes,
    pub child_info_subscribed: bool,
}

/// A namespace, and the patterns that are about it.
struct Scope<'a> {
    namespaces: &'a Namespaces,
    hidden: bool,
    patterns: Vec<&'a Pattern>,
}

/// A mailbox as its namespace has it.
struct Shown {
    name: Option<MailboxName>,
    shown: MailboxName,
    exists: bool,
    children: bool,
    role: Option<Role>,
}

/// What LIST shows, in the tree's order.
pub fn listed(request: &Request, context: &mut Context<'_>) -> Result<Vec<ListEntry>, OpenError> {
    let mut mailboxes = context.mailboxes.list()?;
    let mut subscriptions = Vec::new();
    if request.select.subscribed || request.returns.subscribed {
        subscriptions = context.mailboxes.subscriptions(context.now)?;
    }
    if request.select.subscribed {
        add_missing(&mut mailboxes, &subscriptions);
    }
    let namespaces = context.client.imap.dialect().namespaces;
    let mut entries = Vec::new();
    for scope in scopes(namespaces, &request.patterns) {
        scope.select(request, &mailboxes, &subscriptions, &mut entries);
    }
    Ok(entries)
}

/// What LSUB shows: subscribed names, and names above them that match where they do not
/// (RFC 3501 6.3.9).
pub fn subscribed(
    pattern: &Pattern,
    context: &mut Context<'_>,
) -> Result<Vec<ListEntry>, OpenError> {
    let subscriptions = context.mailboxes.subscriptions(context.now)?;
    let namespaces = context.client.imap.dialect().namespaces;
    let mut entries = Vec::new();
    for scope in scopes(namespaces, std::slice::from_ref(pattern)) {
        scope.select_subscribed(&subscriptions, &mut entries);
    }
    Ok(entries)
}

/// Names behind the hidden prefix are shown only to clients that ask for them.
fn scopes<'a>(
    namespaces: &'a Namespaces,
    patterns: &'a [Pattern],
) -> impl Iterator<Item = Scope<'a>> {
    let (behind, others): (Vec<_>, Vec<_>) = patterns
        .iter()
        .partition(|pattern| namespaces.is_hidden(pattern));
    let scopes = [(false, others), (true, behind)].into_iter();
    scopes.filter_map(move |(hidden, patterns)| {
        (!patterns.is_empty()).then_some(Scope {
            namespaces,
            hidden,
            patterns,
        })
    })
}

impl Scope<'_> {
    fn select(
        &self,
        request: &Request,
        mailboxes: &[ListedMailbox],
        subscriptions: &[MailboxName],
        entries: &mut Vec<ListEntry>,
    ) {
        let Selection {
            subscribed,
            recursive_match,
            special_use,
            ..
        } = request.select;
        let subscriptions: HashSet<MailboxName> = subscriptions
            .iter()
            .filter_map(|name| self.show(name))
            .collect();
        let mailboxes = self.mailboxes(mailboxes);
        let is_selected = |mailbox: &Shown| {
            (!subscribed || subscriptions.contains(&mailbox.shown))
                && (!special_use || mailbox.role.is_some())
        };
        // Names above a mailbox that is selected, and above one that is selected and not listed:
        // those are listed themselves, the others would tell nothing new (RFC 5258 3.5).
        let (mut above, mut above_unlisted) = (HashSet::new(), HashSet::new());
        if subscribed && recursive_match {
            for mailbox in mailboxes.iter().filter(|mailbox| is_selected(mailbox)) {
                above.extend(above_of(&mailbox.shown));
                if !self.matches(&mailbox.shown) {
                    above_unlisted.extend(above_of(&mailbox.shown));
                }
            }
        }
        for mailbox in mailboxes {
            let is_subscribed = subscriptions.contains(&mailbox.shown);
            let child_info_subscribed = above.contains(&mailbox.shown);
            let listed = is_selected(&mailbox) || above_unlisted.contains(&mailbox.shown);
            if !listed || !self.matches(&mailbox.shown) {
                continue;
            }
            let mut attributes = mailbox.attributes(request.extended);
            if is_subscribed {
                attributes |= Attributes::SUBSCRIBED;
            }
            entries.push(ListEntry {
                name: mailbox.name,
                shown: mailbox.shown,
                attributes,
                child_info_subscribed,
            });
        }
    }

    fn select_subscribed(&self, subscriptions: &[MailboxName], entries: &mut Vec<ListEntry>) {
        let shown: Vec<MailboxName> = subscriptions
            .iter()
            .filter_map(|name| self.show(name))
            .collect();
        let subscribed: HashSet<&MailboxName> = shown.iter().collect();
        let has_percent = self.patterns.iter().any(|pattern| pattern.has_percent());
        let mut above = HashSet::new();
        let mut add = |shown: MailboxName, attributes| {
            entries.push(ListEntry {
                name: None,
                shown,
                attributes,
                child_info_subscribed: false,
            });
        };
        for name in &shown {
            if self.matches(name) {
                add(name.clone(), Attributes::default());
                continue;
            }
            for name in above_of(name) {
                if has_percent
                    && self.matches(&name)
                    && !subscribed.contains(&name)
                    && above.insert(name.clone())
                {
                    add(name, Attributes::NO_SELECT);
                }
            }
        }
    }

    fn matches(&self, shown: &MailboxName) -> bool {
        self.patterns.iter().any(|pattern| pattern.matches(shown))
    }

    fn show(&self, name: &MailboxName) -> Option<MailboxName> {
        match self.hidden {
            true => self.namespaces.show_hidden(name),
            false => Some(self.namespaces.show(name)),
        }
    }

    fn mailboxes(&self, mailboxes: &[ListedMailbox]) -> Vec<Shown> {
        let shown = mailboxes.iter().filter_map(|mailbox| {
            Some(Shown {
                name: Some(mailbox.name.clone()),
                shown: self.show(&mailbox.name)?,
                exists: mailbox.exists,
                children: mailbox.children,
                role: mailbox.role,
            })
        });
        let shown = shown.collect();
        match self.namespaces.is_plain() {
            true => shown,
            false => with_parents(shown),
        }
    }
}

impl Shown {
    /// A name without a mailbox is \NonExistent to clients that know the word (RFC 5258 3.4).
    fn attributes(&self, extended: bool) -> Attributes {
        let mut attributes = match (self.exists, extended) {
            (true, _) => Attributes::default(),
            (false, true) => Attributes::NON_EXISTENT,
            (false, false) => Attributes::NO_SELECT,
        };
        attributes |= if self.children {
            Attributes::HAS_CHILDREN
        } else {
            Attributes::HAS_NO_CHILDREN
        };
        if let Some(role) = self.role {
            attributes |= role.into();
        }
        attributes
    }
}

/// With a prefix, other names are parents: INBOX is above all names behind `INBOX.`
fn with_parents(mut shown: Vec<Shown>) -> Vec<Shown> {
    let mut places: HashMap<MailboxName, usize> = HashMap::new();
    for (place, mailbox) in shown.iter_mut().enumerate() {
        mailbox.children = false;
        places.insert(mailbox.shown.clone(), place);
    }
    let parents: HashSet<MailboxName> = places.keys().flat_map(above_of).collect();
    for parent in parents {
        let known = places.get(&parent).and_then(|&place| shown.get_mut(place));
        match known {
            Some(known) => known.children = true,
            None => shown.push(Shown {
                name: None,
                shown: parent,
                exists: false,
                children: true,
                role: None,
            }),
        }
    }
    shown.sort_by(|a, b| {
        let inbox_first = b.shown.is_inbox().cmp(&a.shown.is_inbox());
        inbox_first.then_with(|| a.shown.cmp(&b.shown))
    });
    shown
}

/// Subscribed mailboxes that do not exist are listed too when subscriptions are asked for.
fn add_missing(mailboxes: &mut Vec<ListedMailbox>, subscriptions: &[MailboxName]) {
    let known: HashSet<MailboxName> = mailboxes.iter().map(|m| m.name.clone()).collect();
    let missing: HashSet<&MailboxName> = subscriptions
        .iter()
        .filter(|name| !known.contains(name))
        .collect();
    let mut missing: Vec<_> = missing.into_iter().cloned().collect();
    missing.sort();
    mailboxes.extend(missing.into_iter().map(|name| ListedMailbox {
        name,
        exists: false,
        children: false,
        role: None,
    }));
}

/// The names above this one.
fn above_of(name: &MailboxName) -> impl Iterator<Item = MailboxName> + use<> {
    std::iter::successors(name.parent(), MailboxName::parent)
}
