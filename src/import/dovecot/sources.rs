//! passdb and userdb: what Roost can look up itself, and what it asks a Dovecot for.
//!
//! A Dovecot that stays answers for every database that it knows.  Roost looks up itself what means
//! the same in both: PAM with the users of the host, and passwd-files.

use super::effective::Effective;
use super::language::{Block, DovecotSetting};
use crate::import::Place;
use crate::import::draft::ImportDraft;

/// What is looked up without Dovecot.
#[derive(Default)]
struct Own {
    /// As `auth.sources` has them.
    sources: Vec<String>,
    masters: Vec<String>,
    /// The settings that follow: name, value, place.
    settings: Vec<(&'static str, String, Place)>,
    has_pam: bool,
}

/// Why Dovecot is asked, and about what.
struct Reason(Place, String);

/// Sets the sources; says whether a Dovecot has to stay for them.
pub(super) fn translate(found: &Effective<'_>, draft: &mut ImportDraft) -> bool {
    let (passdbs, userdbs) = (found.merged("passdb"), found.merged("userdb"));
    let Some(first) = passdbs.first() else {
        let text = "no passdb is set, so users log in through PAM, with the passwords of this host";
        draft.note("passdb", &Place::start(""), text);
        return false;
    };
    match own(found, &passdbs, &userdbs) {
        Ok(own) => {
            take(own, first, draft);
            false
        }
        Err(Reason(place, why)) => {
            let directory = found
                .text("base_dir")
                .unwrap_or("/run/dovecot")
                .trim_end_matches('/');
            draft.set("auth.sources", &format!("dovecot:{directory}"), &place);
            if found.is_mixture() {
                let text = format!(
                    "{why}, so Dovecot is asked for users; but no Dovecot starts with this configuration, \
                     which is in the languages of 2.3 and 2.4 at once: make it whole first"
                );
                draft.lost("passdb, userdb", &place, text);
            } else {
                let text = format!("{why}, so Roost asks Dovecot, which has to stay");
                draft.note("passdb, userdb", &place, text);
            }
            true
        }
    }
}

fn take(own: Own, first: &Block, draft: &mut ImportDraft) {
    draft.set("auth.sources", &own.sources.join(" "), &first.place);
    if !own.masters.is_empty() {
        draft.set("auth.master_sources", &own.masters.join(" "), &first.place);
    }
    for (name, value, place) in &own.settings {
        draft.set(name, value, place);
    }
    let sets_service = own
        .settings
        .iter()
        .any(|(name, ..)| *name == "auth.pam_service");
    if own.has_pam && !sets_service {
        let text = "if /etc/pam.d/dovecot has rules of your own, copy them to /etc/pam.d/roost";
        draft.note("passdb", &first.place, text);
    }
}

fn own(found: &Effective<'_>, passdbs: &[Block], userdbs: &[Block]) -> Result<Own, Reason> {
    let mut own = Own::default();
    let mut files = Vec::new();
    for passdb in passdbs {
        let is_master = passdb.says_yes("master");
        if let Some(setting) = passdb
            .settings()
            .find(|setting| !is_understood(setting, "passdb"))
        {
            return Err(Reason(
                setting.place.clone(),
                format!("{} in a passdb is Dovecot's own", setting.name),
            ));
        }
        if passdb.says_yes("deny") {
            return Err(Reason(
                passdb.place.clone(),
                String::from("a passdb denies users"),
            ));
        }
        let source = match driver(passdb) {
            "pam" => {
                own.pam(passdb)?;
                String::from("pam")
            }
            // PAM knows them too.
            "shadow" | "passwd" | "bsdauth" => {
                own.has_pam = true;
                String::from("pam")
            }
            "passwd-file" => {
                let path = file(passdb)?;
                files.push(path.clone());
                format!("\"passwd-file:{path}\"")
            }
            other => {
                return Err(Reason(
                    passdb.place.clone(),
                    format!("there is a passdb {other}"),
                ));
            }
        };
        let sources = if is_master {
            &mut own.masters
        } else {
            &mut own.sources
        };
        if !sources.contains(&source) {
            sources.push(source);
        }
    }
    if own.sources.is_empty() {
        let place = passdbs
            .first()
            .map_or(Place::start(""), |passdb| passdb.place.clone());
        return Err(Reason(place, String::from("every passdb is for masters")));
    }
    for userdb in userdbs {
        own.userdb(userdb, &files)?;
    }
    if let Some(setting) = found
        .get("auth_username_translation")
        .filter(|s| !s.value.is_empty())
    {
        return Err(Reason(
            setting.place.clone(),
            String::from("user names are translated"),
        ));
    }
    Ok(own)
}

impl Own {
    fn pam(&mut self, passdb: &Block) -> Result<(), Reason> {
        self.has_pam = true;
        let args = passdb.text("args").unwrap_or("");
        let mut service = None;
        for word in args.split_whitespace() {
            match word.split_once('=') {
                Some(("session", "yes")) => self.set("auth.pam_session", "yes", passdb),
                // How long Dovecot's own processes live, and what it keeps in its cache.
                Some((
                    "max_requests" | "cache_key" | "failure_show_msg" | "setcred" | "session",
                    _,
                )) => {}
                Some(_) => {
                    let text = format!("{word} for PAM is Dovecot's own");
                    return Err(Reason(passdb.place.clone(), text));
                }
                None if word.starts_with('-') => {}
                None => service = Some(word),
            }
        }
        let service = passdb
            .text("pam_service_name")
            .or(passdb.text("service_name"))
            .or(service);
        match service.unwrap_or("dovecot") {
            "dovecot" => {}
            "*" | "%s" | "%{service}" => self.set("auth.pam_service", "imap", passdb),
            service => self.set("auth.pam_service", service, passdb),
        }
        if passdb.says_yes("pam_session") {
            self.set("auth.pam_session", "yes", passdb);
        }
        Ok(())
    }

    fn userdb(&mut self, userdb: &Block, files: &[String]) -> Result<(), Reason> {
        let reason = |text: String| Err(Reason(userdb.place.clone(), text));
        if let Some(setting) = userdb
            .settings()
            .find(|setting| !is_understood(setting, "userdb"))
        {
            return reason(format!("{} in a userdb is Dovecot's own", setting.name));
        }
        match driver(userdb) {
            "prefetch" => {}
            "passwd" if fields(userdb).is_empty() => {}
            "passwd-file" => {
                let path = file(userdb)?;
                if !files.contains(&path) {
                    return reason(format!("the userdb is another file: {path}"));
                }
                self.defaults(userdb)?;
            }
            // Nobody but the host knows users of PAM.
            "static" if self.has_pam => {
                return reason(String::from(
                    "PAM says who somebody is, and the userdb is static",
                ));
            }
            "static" => self.defaults(userdb)?,
            other => return reason(format!("there is a userdb {other}")),
        }
        Ok(())
    }

    fn defaults(&mut self, userdb: &Block) -> Result<(), Reason> {
        for (name, value) in fields(userdb) {
            let setting = match name.as_str() {
                "uid" => "auth.default_uid",
                "gid" => "auth.default_gid",
                "home" => "auth.default_home",
                "mail" => "mail.location",
                "allow_all_users" => continue,
                other => {
                    let text = format!("the userdb has the field {other}");
                    return Err(Reason(userdb.place.clone(), text));
                }
            };
            self.settings.push((setting, value, userdb.place.clone()));
        }
        Ok(())
    }

    fn set(&mut self, name: &'static str, value: &str, block: &Block) {
        self.settings
            .push((name, value.to_owned(), block.place.clone()));
    }
}

/// `driver = pam`, or in 2.4 the name of the section.
fn driver(block: &Block) -> &str {
    block.text("driver").unwrap_or(&block.argument)
}

/// Whether the setting means to Roost what it means to Dovecot, or is as it is unless it is set.
fn is_understood(setting: &DovecotSetting, kind: &str) -> bool {
    let name = bare(&setting.name, kind);
    let is_usual = USUAL.contains(&setting.value.as_str());
    UNDERSTOOD.contains(&name) || is_usual && AS_USUAL.contains(&name)
}

/// The name without that of the section before it.
fn bare<'n>(name: &'n str, kind: &str) -> &'n str {
    let own = name
        .strip_prefix(kind)
        .and_then(|own| own.strip_prefix('_'));
    own.unwrap_or(name)
}

/// The path of a passwd-file that means to Roost what it means to Dovecot.
fn file(block: &Block) -> Result<String, Reason> {
    let reason = |text: &str| Err(Reason(block.place.clone(), text.to_owned()));
    let args = block.text("args").unwrap_or("");
    let mut path = block.text("passwd_file_path");
    for word in args.split_whitespace() {
        match word.split_once('=') {
            Some(("scheme", scheme)) if !scheme.eq_ignore_ascii_case("CRYPT") => {
                return reason(
                    "passwords without a scheme in the passwd-file have another one than CRYPT",
                );
            }
            Some(("username_format", format)) if !is_whole(format) => {
                return reason("names in the passwd-file are only a part of the user's");
            }
            Some(("scheme" | "username_format", _)) => {}
            _ => path = Some(word),
        }
    }
    let scheme = block.text("default_password_scheme").unwrap_or("CRYPT");
    if !scheme.eq_ignore_ascii_case("CRYPT") {
        return reason("passwords without a scheme in the passwd-file have another one than CRYPT");
    }
    if block
        .text("auth_username_format")
        .is_some_and(|format| !is_whole(format))
    {
        return reason("names in the passwd-file are only a part of the user's");
    }
    match path {
        Some(path) if path.starts_with('/') && !path.contains('%') => Ok(path.to_owned()),
        Some(_) => reason("the path of the passwd-file depends on the user"),
        None => reason("a passwd-file has no path"),
    }
}

fn is_whole(format: &str) -> bool {
    [
        "",
        "%u",
        "%Lu",
        "%{user}",
        "%{user | lower}",
        "%{user|lower}",
    ]
    .contains(&format)
}

/// The fields that a userdb gives: `args` of a static one, `default_fields`, and in 2.4 a section.
fn fields(block: &Block) -> Vec<(String, String)> {
    let is_static = driver(block) == "static";
    let args = block.text("args").filter(|_| is_static);
    let given = [
        args,
        block.text("default_fields"),
        block.text("override_fields"),
    ];
    let words = given.into_iter().flatten().flat_map(str::split_whitespace);
    let words = words.map(|word| word.split_once('=').unwrap_or((word, "")));
    let words = words.map(|(name, value)| (name.to_owned(), value.to_owned()));
    let sections = block.blocks_of("fields").flat_map(Block::settings);
    let sections = sections.map(|setting| (setting.name.clone(), setting.value.clone()));
    words.chain(sections).collect()
}

/// In both kinds of sections, without the name of the section before them.
const UNDERSTOOD: &[&str] = &[
    "driver",
    "args",
    "default_fields",
    "override_fields",
    "deny",
    "master",
    "passwd_file_path",
    "default_password_scheme",
    "auth_username_format",
    "pam_service_name",
    "service_name",
    "pam_session",
    "pam_failure_show_msg",
    "pam_max_requests",
    "static_allow_all_users",
    // What is logged.
    "auth_verbose",
];

/// As long as these are at their defaults, which `doveconf -a` prints too.
const AS_USUAL: &[&str] = &[
    "mechanisms",
    "name",
    "pass",
    "result_failure",
    "result_internalfail",
    "result_success",
    "skip",
    "username_filter",
];

const USUAL: &[&str] = &["", "no", "never", "continue", "return-ok"];
