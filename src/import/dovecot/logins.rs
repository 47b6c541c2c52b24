//! Names and passwords, and who may log in.

use std::collections::BTreeSet;

use super::effective::Effective;
use super::language::DovecotSetting;
use crate::import::draft::ImportDraft;

/// `asks_dovecot`: a Dovecot says who users are.
pub(super) fn translate(found: &Effective<'_>, asks_dovecot: bool, draft: &mut ImportDraft) {
    mechanisms(found, asks_dovecot, draft);
    names(found, asks_dovecot, draft);
    masters(found, asks_dovecot, draft);
    limits(found, draft);
    for (theirs, ours) in [
        ("mail_uid", "auth.default_uid"),
        ("mail_gid", "auth.default_gid"),
        ("mail_home", "auth.default_home"),
    ] {
        let is_set = draft.origins.iter().any(|(name, _)| name == ours);
        let setting = found
            .get(theirs)
            .filter(|setting| !setting.value.is_empty() && !is_set);
        // The users of the host have their own.
        let for_others = asks_dovecot || draft.config.auth_sources.iter().any(is_file);
        if let Some(setting) = setting.filter(|_| for_others) {
            draft.set(ours, &setting.value, &setting.place);
        }
    }
}

fn is_file(source: &crate::config::AuthSource) -> bool {
    matches!(source, crate::config::AuthSource::PasswdFile(_))
}

fn mechanisms(found: &Effective<'_>, asks_dovecot: bool, draft: &mut ImportDraft) {
    let Some(setting) = found.get("auth_mechanisms") else {
        return;
    };
    let mut taken = Vec::new();
    for word in setting.words() {
        let word = word.to_ascii_uppercase();
        match word.as_str() {
            "PLAIN" | "LOGIN" => taken.push(word),
            "SCRAM-SHA-256" if !asks_dovecot && draft.config.auth_sources.iter().any(is_file) => {
                taken.push(word);
            }
            "EXTERNAL" if draft.config.tls_client_ca.is_some() => taken.push(word),
            _ => {
                let text = format!(
                    "{word} is not offered; clients that use it have to be set to a password over TLS"
                );
                draft.lost("auth_mechanisms", &setting.place, text);
            }
        }
    }
    if !taken.is_empty() {
        // The usual two in another order are the default too.
        taken.sort_by_key(|word| (word == "EXTERNAL", word == "SCRAM-SHA-256", word == "LOGIN"));
        draft.set("auth.mechanisms", &taken.join(" "), &setting.place);
    }
}

fn names(found: &Effective<'_>, asks_dovecot: bool, draft: &mut ImportDraft) {
    if let Some(format) = found.get("auth_username_format") {
        match (username_format(&format.value), asks_dovecot) {
            (Some(ours), _) => draft.set("auth.username_format", ours, &format.place),
            // Dovecot brings the name into its form.
            (None, true) => draft.set("auth.username_format", "%u", &format.place),
            (None, false) => {
                let text = format!(
                    "\"{}\": Roost can bring names into lower case and take the domain away, and nothing else",
                    format.value
                );
                draft.lost("auth_username_format", &format.place, text);
            }
        }
    }
    let realm = found.either(&["auth_default_realm", "auth_default_domain"]);
    if let Some(realm) = realm.filter(|realm| !realm.value.is_empty() && !asks_dovecot) {
        let text = format!(
            "users have to log in with their domain, as NAME@{}",
            realm.value
        );
        draft.lost(&realm.name, &realm.place, text);
    }
    if let Some(characters) = found.get("auth_username_chars") {
        // In Dovecot's own list one stands twice.
        let set = |text: &str| text.chars().collect::<BTreeSet<char>>();
        if set(&characters.value) == set(&draft.config.auth_username_chars) {
            return;
        }
        draft.set("auth.username_chars", &characters.value, &characters.place);
    }
}

/// `%Lu`, `%{user | username | lower}` and so on, as Roost has them.
fn username_format(theirs: &str) -> Option<&'static str> {
    let plain: String = theirs.chars().filter(|c| !c.is_whitespace()).collect();
    let (mut is_lower, mut is_name) = (false, false);
    match plain.as_str() {
        "" | "%u" => {}
        "%n" => is_name = true,
        "%Lu" => is_lower = true,
        "%Ln" => (is_lower, is_name) = (true, true),
        _ => {
            let inside = plain.strip_prefix("%{")?.strip_suffix('}')?;
            for (at, word) in inside.split('|').enumerate() {
                match (at, word) {
                    (0, "user") => {}
                    (0, "username") | (1.., "username") => is_name = true,
                    (1.., "lower") => is_lower = true,
                    _ => return None,
                }
            }
        }
    }
    Some(match (is_lower, is_name) {
        (false, false) => "%u",
        (true, false) => "%Lu",
        (false, true) => "%n",
        (true, true) => "%Ln",
    })
}

fn masters(found: &Effective<'_>, asks_dovecot: bool, draft: &mut ImportDraft) {
    let separator = found.either(&["auth_master_user_separator", "master_user_separator"]);
    let has_masters = asks_dovecot || !draft.config.auth_master_sources.is_empty();
    if let Some(separator) =
        separator.filter(|separator| !separator.value.is_empty() && has_masters)
    {
        draft.set(
            "auth.master_user_separator",
            &separator.value,
            &separator.place,
        );
    }
}

fn limits(found: &Effective<'_>, draft: &mut ImportDraft) {
    if let Some(first) = found.get("first_valid_uid") {
        draft.set("auth.first_valid_uid", &first.value, &first.place);
    }
    if let Some(most) = found.get("mail_max_userip_connections") {
        let ours = "limits.connections_per_user_and_address";
        match most.value.as_str() {
            // No limit.
            "0" => draft.set(ours, "1000000", &most.place),
            number => draft.set(ours, number, &most.place),
        }
    }
    if let Some(delay) = found.get("auth_failure_delay") {
        set_time(draft, "auth.failure_delay", delay);
    }
    // A size of nothing is no cache.
    let has_cache = found.get("auth_cache_size");
    let has_cache = has_cache
        .filter(|size| !matches!(size.value.trim_start_matches('0'), "" | "k" | "M" | " M"));
    if let Some(size) = has_cache {
        match found.get("auth_cache_ttl") {
            Some(ttl) => set_time(draft, "auth.cache_time", ttl),
            None => draft.set("auth.cache_time", "1h", &size.place),
        }
    }
    if let Some(networks) = found
        .get("login_trusted_networks")
        .filter(|s| !s.value.is_empty())
    {
        let text = format!(
            "Roost trusts no network: clients from {} have to use TLS for their passwords, and a wrong one makes \
             all clients of the same address wait",
            networks.value
        );
        draft.lost("login_trusted_networks", &networks.place, text);
    }
}

pub(super) fn set_time(draft: &mut ImportDraft, ours: &str, theirs: &DovecotSetting) {
    match time(&theirs.value) {
        Some(value) => draft.set(ours, &value, &theirs.place),
        None => {
            let text = format!("\"{}\" is no time", theirs.value);
            draft.lost(&theirs.name, &theirs.place, text);
        }
    }
}

/// `2 mins` as `2m`.
pub(super) fn time(theirs: &str) -> Option<String> {
    let theirs = theirs.trim();
    let end = theirs
        .find(|c: char| !c.is_ascii_digit())
        .unwrap_or(theirs.len());
    let (number, unit) = theirs.split_at_checked(end)?;
    let number: u64 = number.parse().ok()?;
    let unit = unit.trim().to_ascii_lowercase();
    let (seconds, unit) = match unit.as_str() {
        "" if number == 0 => (0, "s"),
        "" => (number, "s"),
        "ms" | "msec" | "msecs" | "millisecond" | "milliseconds" => (number, "ms"),
        unit if unit.starts_with('s') => (number, "s"),
        unit if unit.starts_with('m') => (number, "m"),
        unit if unit.starts_with('h') => (number, "h"),
        unit if unit.starts_with('d') => (number, "d"),
        unit if unit.starts_with('w') => (number.checked_mul(7)?, "d"),
        _ => return None,
    };
    Some(format!("{seconds}{unit}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_come_into_the_form_that_they_had() {
        for (theirs, ours) in [
            ("%Lu", Some("%Lu")),
            ("", Some("%u")),
            ("%{user | username | lower}", Some("%Ln")),
            ("%{user|lower|username}", Some("%Ln")),
            ("%{user | lower}", Some("%Lu")),
            ("%{username}", Some("%n")),
            ("%{user | upper}", None),
            ("%Lu@example.org", None),
        ] {
            assert_eq!(username_format(theirs), ours, "{theirs}");
        }
    }

    #[test]
    fn times_have_units() {
        for (theirs, ours) in [
            ("2 mins", Some("2m")),
            ("29m", Some("29m")),
            ("1 weeks", Some("7d")),
            ("1 hour", Some("1h")),
            ("500 msecs", Some("500ms")),
            ("0", Some("0s")),
            ("90", Some("90s")),
            ("x", None),
            ("1 fortnight", None),
        ] {
            assert_eq!(time(theirs).as_deref(), ours, "{theirs}");
        }
    }
}
