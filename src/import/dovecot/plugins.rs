//! What Dovecot's plugins do for IMAP users.

use super::effective::{Effective, is_imap};
use super::language::{Block, DovecotSetting};
use crate::import::draft::ImportDraft;

/// What becomes of a plugin.
enum Fate {
    /// Users see nothing of it, or Roost does the same.
    Nothing,
    /// As much to know.
    Note(&'static str),
    Lost(&'static str),
    /// The mail cannot be read without it.
    Refused(&'static str),
}

use Fate::{Lost, Note, Nothing, Refused};

pub(super) fn translate(found: &Effective<'_>, draft: &mut ImportDraft) {
    let Some(list) = found.get("mail_plugins") else {
        return;
    };
    for word in list.words() {
        let known = PLUGINS.iter().find(|(names, _)| names.contains(&word));
        let subject = format!("mail_plugins: {word}");
        match known.map(|(_, fate)| fate) {
            Some(Nothing) => {}
            Some(Note(text)) => draft.note(&subject, &list.place, *text),
            Some(Lost(text)) => {
                let text = format!("{text}{}", values(found, word));
                draft.lost(&subject, &list.place, text);
            }
            Some(Refused(text)) => draft.refuse(&subject, &list.place, text),
            None => {
                draft.unknown(&subject, &list.place);
            }
        }
    }
}

/// The values that a plugin has, so that nothing has to be looked up.
fn values(found: &Effective<'_>, plugin: &str) -> String {
    if plugin != "quota" {
        return String::new();
    }
    let rules =
        plugin_settings(found.root).filter(|setting| setting.name.starts_with("quota_rule"));
    let mut rules: Vec<String> = rules
        .map(|rule| format!("{} = {}", rule.name, rule.value))
        .collect();
    for name in ["quota_storage_size", "quota_message_count"] {
        let limit = found.text(name).map(|value| format!("{name} = {value}"));
        rules.extend(limit);
    }
    for quota in found.root.blocks_of("quota") {
        let limits = quota
            .settings()
            .filter(|setting| setting.name.contains("storage_size"));
        rules.extend(limits.map(|limit| format!("{} = {}", limit.name, limit.value)));
    }
    match rules.is_empty() {
        true => String::new(),
        false => format!(" (it is: {})", rules.join(", ")),
    }
}

fn plugin_settings(root: &Block) -> impl Iterator<Item = &DovecotSetting> {
    let own = root.blocks_of("plugin");
    let protocols = root
        .blocks_of("protocol")
        .filter(|block| is_imap(&block.argument));
    own.chain(protocols.flat_map(|protocol| protocol.blocks_of("plugin")))
        .flat_map(Block::settings)
}

const PLUGINS: &[(&[&str], Fate)] = &[
    (
        &["quota"],
        Lost(
            "Roost knows no quota yet: what clients store is not limited; Dovecot goes on limiting what it delivers",
        ),
    ),
    (
        &["imap_quota"],
        Lost("mail programs do not show how full the mailbox is"),
    ),
    (
        &["acl"],
        Lost(
            "Roost knows no access rights yet: nobody sees the mailboxes of others, and owners have all rights to theirs",
        ),
    ),
    (
        &["imap_acl"],
        Lost("mail programs cannot show or set access rights"),
    ),
    (
        &["mail_crypt", "mail_crypt_acl"],
        Refused(
            "encrypted messages cannot be read without Dovecot's keys; decrypt them first (doveadm sync)",
        ),
    ),
    (
        &["zlib", "mail_compress"],
        Note("compressed messages are read, and new ones are written as they are"),
    ),
    (&["imap_zlib"], Note("clients speak to Roost uncompressed")),
    (
        &["imap_sieve", "imapsieve"],
        Lost(
            "nothing runs when a client moves a message into a mailbox, so moving it to Junk teaches no spam filter",
        ),
    ),
    (
        &["imap_filter_sieve"],
        Lost("clients cannot run Sieve on mail that is there (FILTER)"),
    ),
    (
        &["mail_log", "notify"],
        Note("Roost logs logins and logouts, and not each message that a client deletes or copies"),
    ),
    (&["virtual"], Lost("virtual mailboxes are not served")),
    (
        &[
            "fts",
            "fts_lucene",
            "fts_solr",
            "fts_squat",
            "fts_xapian",
            "fts_flatcurve",
            "fts_dovecot",
        ],
        Note("Roost searches the messages themselves, and needs no index"),
    ),
    (&["last_login"], Note("the last login is in the log only")),
    (
        &["trash"],
        Lost("nothing is deleted from Trash when the quota is full"),
    ),
    (
        &["lazy_expunge"],
        Lost("what a client expunges is gone, and not kept elsewhere"),
    ),
    (
        &["listescape"],
        Lost(
            "names of mailboxes with an escaped character are shown as they are on the disk: rename them first",
        ),
    ),
    (
        &["mailbox_alias"],
        Lost("an alias of a mailbox is not known"),
    ),
    (
        &["expire"],
        Lost("old messages are not expunged; cron can do it with doveadm expunge"),
    ),
    (
        &["snarf"],
        Lost("mail is not fetched from an mbox into INBOX"),
    ),
    (
        &["replication"],
        Note("nothing is replicated; doveadm sync by cron works on the same files"),
    ),
    (
        &["push_notification"],
        Note("no other program is told of new mail"),
    ),
    (&["welcome"], Note("no first message is made for new users")),
    (
        &["antispam"],
        Lost("moving mail to Junk teaches no spam filter"),
    ),
    (
        &[
            "stats",
            "imap_stats",
            "old_stats",
            "imap_old_stats",
            "notify_status",
            "apparmor",
            "charset_alias",
            "var_expand_crypt",
            "mail_lua",
            "sieve",
            "auth_stats",
            "quota_clone",
            "fs_compress",
            "imap_hibernate",
            "autocreate",
            "pop3_migration",
        ],
        Nothing,
    ),
];
