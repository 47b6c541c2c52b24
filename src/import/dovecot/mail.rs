//! Where the mail is, and how it is treated.

use super::effective::Effective;
use super::language::DovecotSetting;
use super::logins::time;
use crate::import::Place;
use crate::import::draft::{ImportDraft, problem};

pub(super) fn translate(found: &Effective<'_>, draft: &mut ImportDraft) {
    let inbox = super::mailboxes::inbox(found);
    let own = inbox.as_ref().and_then(|inbox| inbox.get("location"));
    let own = own.filter(|location| !location.value.is_empty());
    let old = own
        .or(found.get("mail_location"))
        .filter(|location| !location.value.is_empty());
    // In a mixture the file with the old setting is the one that somebody has edited.
    let within = |name: &str| {
        let inside = inbox.as_ref().and_then(|inbox| inbox.get(name));
        inside.or(found.get(name)).cloned()
    };
    match old {
        Some(old) => {
            let new = ["mail_driver", "mail_path", "mail_inbox_path"];
            let also = new.iter().filter_map(|name| within(name));
            for setting in also {
                let text = format!("left aside, because {} says where the mail is", old.name);
                draft.note(&setting.name, &setting.place, text);
            }
            take(&old.value, &old.name, &old.place, draft);
        }
        None => new_location(&within, draft),
    }
    refusals(found, draft);
    treatment(found, draft);
}

/// The settings of 2.4.
fn new_location(within: &dyn Fn(&str) -> Option<DovecotSetting>, draft: &mut ImportDraft) {
    let driver = within("mail_driver");
    let path = within("mail_path").filter(|path| !path.value.is_empty());
    let Some(place) = driver
        .as_ref()
        .or(path.as_ref())
        .map(|setting| setting.place.clone())
    else {
        if draft
            .origins
            .iter()
            .any(|(name, _)| name == "mail.location")
        {
            return;
        }
        let text = "it is not set, and Dovecot looks for itself; this takes ~/Maildir: look whether the mail is \
                    there, or set mail.location";
        draft.lost("mail_location", &Place::start(""), text);
        return;
    };
    let driver = driver.map_or(String::from("maildir"), |driver| driver.value);
    let path = path.map_or(String::from("~/Maildir"), |path| path.value);
    let mut location = format!("{driver}:{path}");
    if let Some(inbox) = within("mail_inbox_path") {
        match inbox.value.as_str() {
            "." => {}
            value if value.is_empty() || value.starts_with(['/', '~', '%']) => {
                location.push_str(&format!(":INBOX={value}"));
            }
            below => location.push_str(&format!(":INBOX={path}/{below}")),
        }
    }
    for (name, part) in [
        ("mailbox_list_layout", "LAYOUT"),
        ("mail_index_path", "INDEX"),
        ("mail_control_path", "CONTROL"),
        ("mail_alt_path", "ALT"),
        ("mail_index_private_path", "INDEXPVT"),
        ("mailbox_subscriptions_filename", "SUBSCRIPTIONS"),
        ("mailbox_directory_name", "DIRNAME"),
        ("mailbox_root_directory_name", "MAILBOXDIR"),
    ] {
        let usual = match part {
            "SUBSCRIPTIONS" => "subscriptions",
            _ => "",
        };
        if let Some(setting) = within(name).filter(|setting| setting.value != usual) {
            location.push_str(&format!(":{part}={}", setting.value));
        }
    }
    if within("mailbox_list_utf8").is_some_and(|setting| setting.is_yes()) {
        location.push_str(":UTF-8");
    }
    take(&location, "mail_path", &place, draft);
    let escape = within("mailbox_list_storage_escape_char");
    if let Some(escape) = escape.filter(|escape| !escape.value.is_empty()) {
        let text = "names of mailboxes in which this character stands on the disk are shown as they are there: \
                    rename them first";
        draft.lost(&escape.name, &escape.place, text);
    }
}

/// What Roost cannot take, it cannot serve.
fn take(location: &str, name: &str, place: &Place, draft: &mut ImportDraft) {
    // A userdb that is static may have said where mail is; Dovecot lets it win.
    if draft
        .origins
        .iter()
        .any(|(known, _)| known == "mail.location")
    {
        return;
    }
    match draft
        .config
        .clone()
        .set(&format!("mail.location={location}"))
    {
        Ok(()) => draft.set("mail.location", location, place),
        Err(error) => draft.refuse(name, place, &format!("\"{location}\": {}", problem(&error))),
    }
}

fn refusals(found: &Effective<'_>, draft: &mut ImportDraft) {
    if let Some(chroot) = found
        .get("mail_chroot")
        .filter(|setting| !setting.value.is_empty())
    {
        let text = "Roost serves nobody in a chroot: the paths in it are not those of the host";
        draft.refuse("mail_chroot", &chroot.place, text);
    }
    let groups = found.get("mail_access_groups");
    if let Some(groups) = groups.filter(|groups| !matches!(groups.value.as_str(), "" | "mail")) {
        let text = format!(
            "sessions have only the groups of their user: mail that only {} may read is not seen",
            groups.value
        );
        draft.lost("mail_access_groups", &groups.place, text);
    }
    for name in ["last_valid_uid", "first_valid_gid", "last_valid_gid"] {
        let setting = found.get(name);
        if let Some(setting) = setting.filter(|s| !matches!(s.value.as_str(), "0" | "1")) {
            let text = "Roost has no such limit: it lets in who has auth.first_valid_uid or a higher uid, and \
                        never root's group";
            draft.note(name, &setting.place, text);
        }
    }
}

fn treatment(found: &Effective<'_>, draft: &mut ImportDraft) {
    if let Some(fsync) = found.get("mail_fsync") {
        draft.set("mail.fsync", &fsync.value, &fsync.place);
    }
    let remote = ["mail_nfs_storage", "mail_nfs_index"];
    let remote = remote
        .iter()
        .filter_map(|name| found.get(name))
        .find(|setting| setting.is_yes());
    if let Some(remote) = remote {
        draft.set("mail.watch", "no", &remote.place);
    }
    if let Some(interval) = found.get("imap_idle_notify_interval") {
        match time(&interval.value) {
            Some(time)
                if draft
                    .config
                    .clone()
                    .set(&format!("mail.idle_notify={time}"))
                    .is_ok() =>
            {
                draft.set("mail.idle_notify", &time, &interval.place);
            }
            _ => {
                let text =
                    "RFC 2177 wants at most 29 minutes, which is what Roost does unless it is set";
                draft.note("imap_idle_notify_interval", &interval.place, text);
            }
        }
    }
    let debug = ["mail_debug", "auth_debug"];
    let debug = debug
        .iter()
        .filter_map(|name| found.get(name))
        .find(|setting| setting.is_yes());
    if let Some(debug) = debug {
        draft.set("log.level", "debug", &debug.place);
    }
    let largest = found.either(&["quota_mail_size", "quota_max_mail_size"]);
    let plugins = found
        .root
        .blocks_of("plugin")
        .filter_map(|plugin| plugin.get("quota_max_mail_size"));
    let has_quota = found.words("mail_plugins").contains(&"quota");
    if let Some(largest) = plugins.last().or(largest).filter(|_| has_quota) {
        let size: String = largest
            .value
            .chars()
            .filter(|c| !c.is_whitespace())
            .collect();
        let size = size.to_ascii_uppercase();
        let size = size.trim_end_matches('B');
        if size != "0" && size != "UNLIMITED" {
            draft.set("mail.append_limit", size, &largest.place);
        }
    }
    let is_file =
        |path: &&DovecotSetting| path.value.starts_with('/') && !path.value.starts_with("/dev/");
    if let Some(path) = found.get("log_path").filter(is_file) {
        let text = "Roost writes to no file of its own: its log is in the journal, or goes to syslog \
                    (log.target)";
        draft.note("log_path", &path.place, text);
    }
}
