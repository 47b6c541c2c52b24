//! What of a configuration is in force for IMAP.

use super::language::{Block, DovecotSetting, Item, ValueForm};

pub(super) struct Effective<'a> {
    pub root: &'a Block,
    /// What stands outside of sections, or in `protocol imap`, which counts last.  A section that
    /// is only the beginning of names is dissolved, and so is one that is a list.
    flat: Vec<DovecotSetting>,
}

impl<'a> Effective<'a> {
    pub fn new(root: &'a Block) -> Effective<'a> {
        let mut flat = Vec::new();
        flatten(root, &mut flat);
        for protocol in root
            .blocks_of("protocol")
            .filter(|block| is_imap(&block.argument))
        {
            flatten(protocol, &mut flat);
        }
        Effective { root, flat }
    }

    pub fn get(&self, name: &str) -> Option<&DovecotSetting> {
        self.flat.iter().rev().find(|setting| setting.name == name)
    }

    /// The first of these names that is set.
    pub fn either(&self, names: &[&str]) -> Option<&DovecotSetting> {
        names.iter().find_map(|name| self.get(name))
    }

    pub fn text(&self, name: &str) -> Option<&str> {
        self.get(name).map(|setting| setting.value.as_str())
    }

    pub fn says_yes(&self, name: &str) -> bool {
        self.get(name).is_some_and(DovecotSetting::is_yes)
    }

    /// The words of a list.
    pub fn words(&self, name: &str) -> Vec<&str> {
        self.get(name)
            .map_or(Vec::new(), |setting| setting.words().collect())
    }

    /// The sections of a kind, each once: 2.4 merges those with one name.
    pub fn merged(&self, kind: &str) -> Vec<Block> {
        let mut merged: Vec<Block> = Vec::new();
        for block in self.root.blocks_of(kind) {
            let same = merged
                .iter_mut()
                .find(|known| !block.argument.is_empty() && known.argument == block.argument);
            match same {
                Some(known) => known.items.extend(block.items.iter().cloned()),
                None => merged.push(block.clone()),
            }
        }
        merged
    }

    /// Whether both languages are used, so that no Dovecot starts with this.
    pub fn is_mixture(&self) -> bool {
        let has = |names: &[&str]| names.iter().any(|name| self.get(name).is_some());
        let is_old = has(OLD) || self.root.blocks_of("plugin").next().is_some();
        is_old && has(NEW)
    }
}

/// Whether a `protocol` section is about IMAP: `imap`, `!pop3`.
pub(super) fn is_imap(argument: &str) -> bool {
    match argument.strip_prefix('!') {
        Some(other) => other != "imap",
        None => argument == "imap",
    }
}

fn flatten(block: &Block, flat: &mut Vec<DovecotSetting>) {
    for item in &block.items {
        match item {
            Item::Setting(setting) => flat.push(setting.clone()),
            Item::Block(inner) if LISTS.contains(&inner.kind.as_str()) => {
                let changed = changed_list(flat, inner);
                flat.push(changed);
            }
            Item::Block(inner) if is_structure(&inner.kind) => {}
            Item::Block(inner) => {
                for setting in inner.settings() {
                    let prefix = format!("{}_", inner.kind);
                    let name = setting.name.strip_prefix(&prefix).unwrap_or(&setting.name);
                    flat.push(DovecotSetting {
                        name: format!("{prefix}{name}"),
                        ..setting.clone()
                    });
                }
            }
        }
    }
}

/// `protocols { imap = yes }` adds to the list, `= no` takes from it.
fn changed_list(flat: &[DovecotSetting], block: &Block) -> DovecotSetting {
    let known = flat.iter().rev().find(|setting| setting.name == block.kind);
    let mut words: Vec<String> = known.map_or(Vec::new(), |known| {
        known.words().map(str::to_owned).collect()
    });
    for setting in block.settings() {
        words.retain(|word| *word != setting.name);
        if setting.is_yes() {
            words.push(setting.name.clone());
        }
    }
    DovecotSetting {
        name: block.kind.clone(),
        value: words.join(" "),
        form: ValueForm::Text,
        place: block.place.clone(),
    }
}

/// Sections that are more than the beginning of names.
pub(super) fn is_structure(kind: &str) -> bool {
    STRUCTURES.contains(&kind)
}

const STRUCTURES: &[&str] = &[
    "protocol",
    "local",
    "local_name",
    "remote",
    "namespace",
    "mailbox",
    "passdb",
    "userdb",
    "service",
    "plugin",
    "dict",
    "dict_server",
    "metric",
    "event_exporter",
    "quota",
    "acl",
    "fts",
    "sieve_script",
    "imapsieve_from",
    "mail_attribute",
    "mail_ext_attachment",
    "crypt",
    "fields",
    "language",
    "ldap",
    "sql",
    "mysql",
    "pgsql",
    "sqlite",
    "cassandra",
    "oauth2",
];

pub(super) const LISTS: &[&str] = &["protocols", "mail_plugins", "auth_mechanisms"];

/// Names that only one of the languages has, and that many configurations set.
const OLD: &[&str] = &[
    "mail_location",
    "ssl_cert",
    "ssl_key",
    "ssl_ca",
    "ssl_dh",
    "disable_plaintext_auth",
    "auth_default_realm",
    "mail_nfs_storage",
];
const NEW: &[&str] = &[
    "dovecot_config_version",
    "dovecot_storage_version",
    "mail_driver",
    "mail_path",
    "mail_inbox_path",
    "ssl_server_cert_file",
    "ssl_server_key_file",
    "auth_allow_cleartext",
    "auth_default_domain",
    "mailbox_list_layout",
];
