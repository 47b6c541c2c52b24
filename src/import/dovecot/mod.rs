//! Dovecot's configuration.
//!
//! | file | what |
//! |---|---|
//! | `language`, `glob` | the language of 2.3 and 2.4 at once; `!include` |
//! | `effective` | what is in force for IMAP |
//! | `table` | every setting by name: what becomes of it |
//! | `mail`, `mailboxes` | where the mail is; namespaces, names, uses |
//! | `sources`, `logins` | passdb and userdb; names, passwords, limits |
//! | `tls`, `listeners` | certificates; ports and sockets |
//! | `plugins` | what plugins do for IMAP users |
//! | `rest` | what nobody else has taken is nothing, or is told |

mod effective;
mod glob;
mod language;
mod listeners;
mod logins;
mod mail;
mod mailboxes;
mod plugins;
mod rest;
mod sources;
mod table;
mod tls;

use super::draft::ImportDraft;
use super::{Files, ImportError, Imported};
use effective::Effective;
use language::Block;

/// From the file at `path` and what it includes.
pub fn dovecot(path: &str, files: &dyn Files) -> Result<Imported, ImportError> {
    translate(&language::read_file(path, files)?, path)
}

/// From a text such as `doveconf -n` prints.
pub fn dovecot_text(text: &str, files: &dyn Files) -> Result<Imported, ImportError> {
    translate(
        &language::read_text(STANDARD_INPUT, text, files)?,
        STANDARD_INPUT,
    )
}

fn translate(root: &Block, from: &str) -> Result<Imported, ImportError> {
    let mut draft = ImportDraft::new(from);
    let found = Effective::new(root);
    let protocols = rest::protocols(&found);
    listeners::translate(&found, &protocols, &mut draft);
    tls::translate(&found, &mut draft);
    let asks_dovecot = sources::translate(&found, &mut draft);
    logins::translate(&found, asks_dovecot, &mut draft);
    mail::translate(&found, &mut draft);
    mailboxes::translate(&found, &mut draft);
    plugins::translate(&found, &mut draft);
    listeners::sasl(
        &found,
        asks_dovecot || !protocols.others.is_empty(),
        &mut draft,
    );
    rest::translate(&found, &protocols, asks_dovecot, &mut draft);
    draft.finish("roost import-dovecot", from)
}

const STANDARD_INPUT: &str = "standard input";

/// Names to try.
#[cfg(test)]
pub(super) fn setting_names() -> Vec<String> {
    let names = table::SETTINGS
        .iter()
        .map(|(name, _)| name.rsplit('/').next().unwrap_or(name));
    names.map(|name| name.replace('*', "x")).collect()
}
