//! Namespaces, and what is said of mailboxes.

use super::effective::Effective;
use super::language::{Block, DovecotSetting};
use crate::import::draft::ImportDraft;

/// The namespace that INBOX is in.
pub(super) fn inbox(found: &Effective<'_>) -> Option<Block> {
    let namespaces = enabled(found);
    let says = namespaces
        .iter()
        .find(|namespace| namespace.says_yes("inbox"));
    // One alone has INBOX.
    let alone = namespaces.first().filter(|_| namespaces.len() == 1);
    says.or(alone).cloned()
}

fn enabled(found: &Effective<'_>) -> Vec<Block> {
    let mut namespaces = found.merged("namespace");
    namespaces.retain(|namespace| !namespace.says_yes("disabled"));
    namespaces
}

pub(super) fn translate(found: &Effective<'_>, draft: &mut ImportDraft) {
    let inbox = inbox(found);
    if let Some(inbox) = &inbox {
        names(inbox, draft);
        for mailbox in inbox.blocks_of("mailbox") {
            of_mailbox(mailbox, inbox, draft);
        }
    }
    // In 2.4 a mailbox may stand outside of a namespace.
    for mailbox in found.root.blocks_of("mailbox") {
        of_mailbox(mailbox, inbox.as_ref().unwrap_or(mailbox), draft);
    }
    for namespace in enabled(found) {
        if Some(&namespace.place) != inbox.as_ref().map(|inbox| &inbox.place) {
            another(&namespace, inbox.as_ref(), draft);
        }
    }
}

fn names(inbox: &Block, draft: &mut ImportDraft) {
    if let Some(separator) = inbox
        .get("separator")
        .filter(|setting| !setting.value.is_empty())
    {
        match separator.value.as_str() {
            usual if usual.as_bytes() == [draft.config.usual_separator()] => {}
            "/" | "." => draft.set("mail.separator", &separator.value, &separator.place),
            other => {
                let text = format!(
                    "the separator {other} cannot be kept: clients see the mailboxes below the first level by other \
                     names, and download them again"
                );
                draft.lost("separator", &separator.place, text);
            }
        }
    }
    if let Some(prefix) = inbox
        .get("prefix")
        .filter(|setting| !setting.value.is_empty())
    {
        draft.set("mail.prefix", &prefix.value, &prefix.place);
    }
}

fn of_mailbox(mailbox: &Block, inbox: &Block, draft: &mut ImportDraft) {
    let separator = inbox
        .text("separator")
        .filter(|separator| !separator.is_empty());
    let separator = separator.map_or(
        char::from(draft.config.usual_separator()).to_string(),
        str::to_owned,
    );
    let name = mailbox.text("name").unwrap_or(&mailbox.argument);
    let name = name.replace(&separator, "/");
    if let Some(auto) = mailbox.get("auto") {
        // `auto = yes` and `no` are of old.
        let word = match auto.value.as_str() {
            "create" | "yes" => "create",
            "subscribe" => "subscribe",
            _ => "no",
        };
        draft.set(&format!("mailbox.{name}.auto"), word, &auto.place);
    }
    if let Some(uses) = mailbox.get("special_use") {
        let mut words = uses.words();
        if let Some(first) = words.next() {
            draft.set(&format!("mailbox.{name}.special_use"), first, &uses.place);
        }
        if words.next().is_some() {
            draft.lost(
                "special_use",
                &uses.place,
                format!("{name} can have one use, and gets the first"),
            );
        }
    }
    if let Some(age) = mailbox.get("autoexpunge").filter(|age| !is_never(age)) {
        let text = format!(
            "Roost does not expunge by itself yet: let cron run doveadm expunge -A mailbox \"{name}\" savedbefore \
             {}, as long as Dovecot is installed",
            age.value.replace(' ', "")
        );
        draft.lost("autoexpunge", &age.place, text);
    }
}

fn is_never(age: &DovecotSetting) -> bool {
    matches!(age.value.as_str(), "" | "0")
}

/// A namespace other than INBOX's: a second way to the same mailboxes, or something that is not
/// served.
fn another(namespace: &Block, inbox: Option<&Block>, draft: &mut ImportDraft) {
    let kind = namespace
        .text("type")
        .filter(|kind| !kind.is_empty())
        .unwrap_or("private");
    let location = |block: &Block| {
        let place = ["location", "mail_path"]
            .iter()
            .find_map(|name| block.text(name));
        String::from(place.unwrap_or(""))
    };
    let own = location(namespace);
    let is_same = own.is_empty() || inbox.is_some_and(|inbox| location(inbox) == own);
    let is_alias = namespace.get("alias_for").is_some() || namespace.says_yes("hidden");
    let prefix = namespace.text("prefix").unwrap_or("");
    let subject = format!("namespace {}", namespace.argument);
    let text = match kind {
        "private" if is_same && is_alias && !prefix.is_empty() => {
            match draft.config.hidden_prefix.as_str() {
                "" => draft.set("mail.hidden_prefix", prefix, &namespace.place),
                other => {
                    let text = format!(
                        "one prefix can be hidden, and that is {other} already: {prefix} is not known"
                    );
                    draft.lost(&subject, &namespace.place, text);
                }
            }
            return;
        }
        "private" => String::from("there is one namespace: what is in this one is not served"),
        _ => format!("{kind} mailboxes are not served: nobody sees the mail of others"),
    };
    draft.lost(&subject, &namespace.place, text);
}
