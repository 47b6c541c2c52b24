//! What mailboxes are for (RFC 6154): what a client said with CREATE-SPECIAL-USE, else what the
//! configuration says, else what their names say.
//!
//! The first is in `roost.special-use` in the root: lines `\Sent`, a space, and the mailbox's name.
//! A role that is not in it, or whose mailbox there is not any more, is given to the mailbox with
//! the likeliest of the names that mail programs are known to use; of several that differ in case
//! the one in its usual spelling (`Sent`) has it.  No role has two mailboxes, unless the
//! configuration gives it to both, and no mailbox two roles.

use std::collections::{HashMap, HashSet};

use super::{GivenMailbox, ListedMailbox, Role};
use crate::mail::MailboxName;
use crate::maildir::disk::dir::{Dir, DiskResult, Target};
use crate::maildir::disk::report;

/// Gives their roles to the mailboxes that have one.
pub(super) fn assign(root: &Dir, mailboxes: &mut [ListedMailbox], configured: &[GivenMailbox]) {
    let stored = read(root).unwrap_or_else(|error| {
        report::without(&error, "mailboxes have the roles that their names tell");
        Vec::new()
    });
    let known: HashSet<&str> = KNOWN.iter().flat_map(|(_, names)| split(names)).collect();
    let mut said = HashMap::new();
    let mut likely = HashMap::new();
    for (place, mailbox) in mailboxes.iter().enumerate().filter(|(_, m)| m.exists) {
        let is_configured = configured.iter().any(|given| given.name == mailbox.name);
        if is_configured || stored.iter().any(|(_, name)| *name == mailbox.name) {
            said.insert(mailbox.name.clone(), place);
        }
        let plain = plain(&mailbox.name);
        if known.contains(plain.as_str()) {
            likely.entry(plain).or_insert_with(Vec::new).push(place);
        }
    }
    for places in likely.values_mut() {
        let spelling = |&place: &usize| mailboxes.get(place).map(|mailbox| unusual(&mailbox.name));
        // The list is sorted by name, which decides between those of one kind.
        places.sort_by_key(spelling);
    }
    let mut given = Vec::new();
    for (role, name) in &stored {
        if let Some(mailbox) = said.get(name).and_then(|&p| mailboxes.get_mut(p))
            && mailbox.role.is_none()
            && !given.contains(role)
        {
            mailbox.role = Some(*role);
            given.push(*role);
        }
    }
    let by_client = given.len();
    for GivenMailbox { name, role, .. } in configured {
        if let Some(role) = role
            && let Some(mailbox) = said.get(name).and_then(|&p| mailboxes.get_mut(p))
            && mailbox.role.is_none()
            && !given.iter().take(by_client).any(|given| given == role)
        {
            mailbox.role = Some(*role);
            given.push(*role);
        }
    }
    for (role, names) in KNOWN.iter().filter(|(role, _)| !given.contains(role)) {
        let mut candidates = split(names)
            .filter_map(|name| likely.get(name))
            .flatten()
            .copied();
        let free = candidates.find(|&p| mailboxes.get(p).is_some_and(|m| m.role.is_none()));
        if let Some(mailbox) = free.and_then(|place| mailboxes.get_mut(place)) {
            mailbox.role = Some(*role);
        }
    }
}

/// The name as `KNOWN` has it: in small letters, without the INBOX that everything is below with
/// some servers.
fn plain(name: &MailboxName) -> String {
    let name = name.as_str();
    name.strip_prefix("INBOX/").unwrap_or(name).to_lowercase()
}

/// Where there are several that differ in case, as migrations leave them, the role stays with the
/// usual one: at the top, `Sent`, and then `Sent Items` before `SENT`.
fn unusual(name: &MailboxName) -> (bool, u8) {
    let name = name.as_str();
    let level = name.strip_prefix("INBOX/").unwrap_or(name);
    let mut letters = level.chars().filter(|c| c.is_alphabetic());
    let capital = letters.next().is_some_and(char::is_uppercase);
    let small = letters.clone().filter(|c| c.is_lowercase()).count();
    let others = letters.count();
    let spelling = match (capital, small == others) {
        (true, true) => 0,
        (true, false) if small > 0 => 1,
        (false, true) => 2,
        _ => 3,
    };
    (level.len() != name.len(), spelling)
}

fn split(names: &str) -> impl Iterator<Item = &str> {
    names.split(", ")
}

/// The mailbox, which is new, has this role from now on.
pub(super) fn set(root: &Dir, role: Role, name: &MailboxName) -> DiskResult<()> {
    let mut stored = read(root)?;
    stored.retain(|(other, of)| *other != role && of != name);
    stored.push((role, name.clone()));
    write(root, &stored)
}

/// The mailbox is gone; another one of its name shall not have its role.
pub(super) fn forget(root: &Dir, name: &MailboxName) -> DiskResult<()> {
    let mut stored = read(root)?;
    let before = stored.len();
    stored.retain(|(_, of)| of != name);
    match stored.len() {
        after if after == before => Ok(()),
        _ => write(root, &stored),
    }
}

/// The mailbox and those below it have other names.
pub(super) fn rename(root: &Dir, from: &MailboxName, to: &MailboxName) -> DiskResult<()> {
    let mut stored = read(root)?;
    let mut changed = false;
    for (_, name) in &mut stored {
        let below = name.as_str().strip_prefix(from.as_str());
        if let Some(below) = below.filter(|rest| rest.is_empty() || rest.starts_with('/'))
            && let Ok(new) = MailboxName::new(&format!("{to}{below}"))
        {
            *name = new;
            changed = true;
        }
    }
    match changed {
        true => write(root, &stored),
        false => Ok(()),
    }
}

/// A mailbox that moved or went without its role is no reason to say that it did not.
pub(super) fn or_warn(written: DiskResult<()>) {
    if let Err(e) = written {
        report::without(&e, "a mailbox that is gone may still have a role");
    }
}

/// Lines that cannot be understood are passed over.
fn read(root: &Dir) -> DiskResult<Vec<(Role, MailboxName)>> {
    let Some((bytes, _)) = root.read(FILE, SIZE_MAX)? else {
        return Ok(Vec::new());
    };
    let text = String::from_utf8_lossy(&bytes);
    let understood = text.lines().filter_map(|line| {
        let (role, name) = line.split_once(' ')?;
        Some((Role::parse(role)?, MailboxName::new(name).ok()?))
    });
    Ok(understood.collect())
}

fn write(root: &Dir, stored: &[(Role, MailboxName)]) -> DiskResult<()> {
    let text: String = stored
        .iter()
        .map(|(role, name)| format!("{} {name}\n", role.as_str()))
        .collect();
    let access = root.access()?;
    let _ = root.unlink(TEMPORARY);
    let mut file = root.create_new(TEMPORARY, &access)?;
    file.write_all(text.as_bytes())?;
    file.sync_data()?;
    root.rename(TEMPORARY, root, FILE, Target::Replace)
}

const FILE: &[u8] = b"roost.special-use";
const TEMPORARY: &[u8] = b"roost.special-use.tmp";
const SIZE_MAX: usize = 1 << 20;

/// In small letters, the likelier ones first: of Thunderbird, Apple Mail, Outlook, Gmail's and
/// other servers' folders, and of these programs in other languages.
const KNOWN: [(Role, &str); 5] = [
    (
        Role::Drafts,
        "drafts, draft, entwürfe, brouillons, borradores, bozze, concepten, rascunhos, \
         utkast, kladder, luonnokset, szkice, wersje robocze, koncepty, rozepsané, \
         piszkozatok, черновики, чернетки, taslaklar, πρόχειρα, 下書き, 草稿, 草稿箱, 임시 보관함",
    ),
    (
        Role::Sent,
        "sent, sent items, sent messages, sent mail, sent-mail, sentmail, gesendet, \
         gesendete objekte, gesendete elemente, gesendete nachrichten, envoyés, \
         éléments envoyés, messages envoyés, courrier envoyé, enviados, \
         elementos enviados, itens enviados, mensajes enviados, mensagens enviadas, \
         inviata, posta inviata, posta inviati, inviati, elementi inviati, verzonden, \
         verzonden items, verzonden berichten, skickat, skickade, sendt, \
         sendte elementer, lähetetyt, wysłane, elementy wysłane, odeslané, \
         odeslaná pošta, elküldött, elküldött elemek, отправленные, надіслані, \
         gönderilmiş öğeler, gönderilenler, απεσταλμένα, 送信済み, 送信済みアイテム, 送信済みメール, 已发送, \
         已发送邮件, 寄件備份, 보낸 편지함",
    ),
    (
        Role::Trash,
        "trash, deleted items, deleted messages, deleted, papierkorb, gelöscht, \
         gelöschte objekte, gelöschte elemente, corbeille, éléments supprimés, papelera, \
         elementos eliminados, lixeira, itens excluídos, itens eliminados, \
         cestino, posta eliminata, elementi eliminati, prullenbak, prullenmand, \
         verwijderde items, papperskorgen, borttaget, papirkurv, papirkurven, \
         slettede elementer, slettet post, roskakori, kosz, elementy usunięte, koš, \
         odstraněná pošta, kuka, törölt elemek, корзина, удаленные, удалённые, кошик, \
         çöp kutusu, silinmiş öğeler, κάδος απορριμμάτων, ゴミ箱, 削除済みアイテム, 已删除邮件, 已删除, \
         垃圾桶, 휴지통",
    ),
    (
        Role::Junk,
        "junk, spam, junk email, junk e-mail, junk mail, bulk mail, spamverdacht, \
         unerwünscht, unerwünschte werbung, junk-e-mail, courrier indésirable, \
         indésirables, pourriel, correo no deseado, no deseado, correo basura, \
         lixo eletrônico, lixo electrónico, posta indesiderata, indesiderata, ongewenst, \
         ongewenste e-mail, ongewenste reclame, skräppost, uønsket e-mail, \
         uønsket e-post, søppelpost, roskaposti, wiadomości-śmieci, niechciana poczta, \
         nevyžádaná pošta, levélszemét, спам, нежелательная почта, önemsiz, \
         önemsiz e-posta, ανεπιθύμητα, 迷惑メール, 垃圾邮件, 垃圾郵件, 스팸, 정크 메일",
    ),
    (
        Role::Archive,
        "archive, archives, archiv, archiviert, archivo, archivos, arquivo, \
         arquivo morto, archivio, archief, arkiv, arkisto, archiwum, archív, архив, \
         архів, arşiv, αρχείο, アーカイブ, 归档, 存档, 封存, 보관함",
    ),
];
