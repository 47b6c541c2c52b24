//! Every setting is looked at once more: what nobody else has taken is known to mean nothing here,
//! or is told.

use std::collections::BTreeSet;

use super::effective::{Effective, LISTS, is_imap, is_structure};
use super::language::{Block, DovecotSetting, Item};
use super::table::{Meaning, meaning};
use crate::import::Place;
use crate::import::draft::{ImportDraft, Weight};

/// What the configuration serves.
pub(super) struct Protocols {
    pub has_imap: bool,
    pub others: Vec<String>,
    pub place: Place,
}

pub(super) fn protocols(found: &Effective<'_>) -> Protocols {
    let Some(list) = found.get("protocols") else {
        // Each package of Debian adds its own; here there is only the text.
        return Protocols {
            has_imap: true,
            others: Vec::new(),
            place: Place::start(""),
        };
    };
    let words: Vec<&str> = list.words().collect();
    let others = words
        .iter()
        .filter(|word| !["imap", "imaps", "none"].contains(word));
    Protocols {
        has_imap: words.iter().any(|word| word.starts_with("imap")),
        others: others.map(|word| (*word).to_owned()).collect(),
        place: list.place.clone(),
    }
}

pub(super) fn translate(
    found: &Effective<'_>,
    protocols: &Protocols,
    asks_dovecot: bool,
    draft: &mut ImportDraft,
) {
    if asks_dovecot || !protocols.others.is_empty() {
        let text = match protocols.others.join(" ") {
            none if none.is_empty() => String::from("take imap out of protocols in Dovecot"),
            others => format!("set protocols = {others} in Dovecot"),
        };
        let text = format!("{text}, and reload it, so that Roost can listen");
        draft.note("protocols", &protocols.place, text);
    }
    if found.is_mixture() {
        let text = "this is in the languages of 2.3 and 2.4 at once, as an upgrade leaves it, and no Dovecot starts \
                    with it; if Postfix hands mail to Dovecot, that mail waits or bounces: for system users, \
                    postconf -e home_mailbox=Maildir/ mailbox_command= mailbox_transport=";
        draft.note("dovecot.conf", &Place::start(""), text);
    }
    let mut walk = Walk {
        found,
        draft,
        others: BTreeSet::new(),
    };
    walk.block(found.root, &mut Vec::new());
    let others = walk.others;
    for subject in others {
        let text = String::from("Dovecot goes on with it if it stays");
        draft.remark(Weight::Stays, subject, text);
    }
}

struct Walk<'a, 'd> {
    found: &'a Effective<'a>,
    draft: &'d mut ImportDraft,
    /// What stays with Dovecot.
    others: BTreeSet<&'static str>,
}

impl Walk<'_, '_> {
    /// `above` has the kinds of the sections around.
    fn block(&mut self, block: &Block, above: &mut Vec<String>) {
        for item in &block.items {
            match item {
                Item::Setting(setting) => self.setting(setting, above),
                Item::Block(inner) => self.section(inner, above),
            }
        }
    }

    fn section(&mut self, block: &Block, above: &mut Vec<String>) {
        match block.kind.as_str() {
            "protocol" if is_imap(&block.argument) => self.block(block, above),
            "protocol" => {
                self.stays(&block.argument);
            }
            "local" | "remote" => {
                let text = format!(
                    "Roost does not distinguish networks: what is set for {} only is not taken",
                    block.argument
                );
                self.draft.lost(&block.kind, &block.place, text);
            }
            // Dovecot's processes; its listeners have been looked at.
            "service" => {
                self.stays(&block.argument);
            }
            // What is in them has been looked at.
            "passdb" | "userdb" | "local_name" => {}
            kind if LISTS.contains(&kind) => {}
            kind => {
                let is_known = is_structure(kind);
                match is_known {
                    true => above.push(kind.to_owned()),
                    false => above.push(format!("{kind}_")),
                }
                self.block(block, above);
                above.pop();
            }
        }
    }

    fn setting(&mut self, setting: &DovecotSetting, above: &[String]) {
        let name = match above.last() {
            None => setting.name.clone(),
            // `ssl_server { cert_file }` is `ssl_server_cert_file`.
            Some(prefix) if prefix.ends_with('_') => {
                let own = setting.name.strip_prefix(prefix.as_str());
                format!("{prefix}{}", own.unwrap_or(&setting.name))
            }
            Some(kind) => {
                let own = setting.name.strip_prefix(kind.as_str());
                let own = own.and_then(|own| own.strip_prefix('_'));
                format!("{kind}/{}", own.unwrap_or(&setting.name))
            }
        };
        match meaning(&name) {
            Some(Meaning::Taken | Meaning::Nothing) => {}
            Some(Meaning::Stays(what)) => {
                self.others.insert(what);
            }
            Some(Meaning::Lost { usual, text }) => {
                let value = setting.value.trim().to_ascii_lowercase();
                // Only the last value is in force.
                let is_last = !above.is_empty()
                    || self
                        .found
                        .get(&setting.name)
                        .is_none_or(|last| last.place == setting.place);
                if !usual.contains(&value.as_str()) && is_last {
                    self.draft.lost(&setting.name, &setting.place, *text);
                }
            }
            None => {
                self.draft.unknown(&name, &setting.place);
            }
        }
    }

    /// A protocol or a service of Dovecot's that is not IMAP's.
    fn stays(&mut self, name: &str) {
        for (part, what) in [
            ("lmtp", "delivery by LMTP"),
            ("lda", "delivery by the LDA"),
            ("pop3", "POP3"),
            ("sieve", "ManageSieve"),
            ("submission", "submission"),
            ("quota-status", "the quota policy for Postfix"),
        ] {
            if name.contains(part) {
                self.others.insert(what);
            }
        }
    }
}
