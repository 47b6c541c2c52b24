//! What the configuration says of mailboxes (`[mailbox.NAME]`).

use crate::config::{AutoCreate, Config, MailboxSetting};
use crate::mail::{MailboxName, SpecialUse};
use crate::maildir::tree::GivenMailbox;

pub fn mailboxes(config: &Config) -> Vec<GivenMailbox> {
    let given = config.mailboxes.iter().filter_map(|setting| {
        Some(GivenMailbox {
            name: name(setting)?,
            is_there: setting.auto != AutoCreate::No,
            role: setting.special_use.as_deref().and_then(SpecialUse::parse),
        })
    });
    given.collect()
}

/// What everybody is subscribed to.
pub fn subscribed(config: &Config) -> Vec<MailboxName> {
    let subscribed = config
        .mailboxes
        .iter()
        .filter(|s| s.auto == AutoCreate::Subscribe);
    subscribed.filter_map(name).collect()
}

/// INBOX is there anyway.
fn name(setting: &MailboxSetting) -> Option<MailboxName> {
    MailboxName::new(&setting.name).ok()
}
