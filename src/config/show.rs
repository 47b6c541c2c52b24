//! Settings back to text: lines for the other processes, and TOML for people.

use std::fmt::Write;

use super::settings::{SettingAccess, SettingKind, set_exactly};
use super::value::elements;
use super::{Config, ConfigError, MailboxSetting, SETTINGS, Setting};

pub(super) fn lines(config: &Config) -> String {
    let defaults = Config::default();
    let mut text = String::new();
    for setting in SETTINGS {
        for shown in values(setting, config, &defaults, false) {
            text.push_str(&shown.name());
            text.push('=');
            text.push_str(&shown.value);
            text.push('\n');
        }
    }
    text
}

pub(super) fn from_lines(lines: &str) -> Result<Config, ConfigError> {
    let mut config = Config::default();
    for line in lines.split('\n').filter(|line| !line.is_empty()) {
        set_exactly(&mut config, line)?;
    }
    Ok(config)
}

pub(super) fn toml(config: &Config, all: bool) -> String {
    let defaults = Config::default();
    let mut sections: Vec<(String, String)> = Vec::new();
    for setting in SETTINGS {
        for shown in values(setting, config, &defaults, all) {
            let head = match shown.mailbox {
                None => format!("[{}]", setting.group()),
                Some(mailbox) => mailbox.section(),
            };
            let value = toml_value(setting.kind, &shown.value);
            let line = format!("{} = {value}\n", setting.key());
            match sections.iter_mut().find(|(section, _)| *section == head) {
                Some((_, lines)) => lines.push_str(&line),
                None => sections.push((head, line)),
            }
        }
    }
    let sections = sections.iter();
    let texts = sections.map(|(head, lines)| format!("{head}\n{lines}"));
    texts.collect::<Vec<_>>().join("\n")
}

/// The value in TOML.
pub(super) fn section_of(mailbox: &MailboxSetting) -> String {
    format!("[mailbox.{}]", quoted(&mailbox.name))
}

pub(super) fn toml_value(kind: SettingKind, value: &str) -> String {
    match kind {
        SettingKind::Switch => (value == "yes").to_string(),
        SettingKind::Number => value.to_owned(),
        SettingKind::List => {
            // The text that a setting shows is a list.
            let elements = elements(value).unwrap_or_default();
            let elements: Vec<String> = elements.iter().map(|element| quoted(element)).collect();
            format!("[{}]", elements.join(", "))
        }
        SettingKind::Octal
        | SettingKind::Size
        | SettingKind::Time
        | SettingKind::Word
        | SettingKind::Text => quoted(value),
    }
}

/// One value of one setting, and the mailbox it is for.
struct Shown<'a> {
    setting: &'a Setting,
    mailbox: Option<&'a MailboxSetting>,
    value: String,
}

impl Shown<'_> {
    fn name(&self) -> String {
        let setting = self.setting;
        match self.mailbox {
            None => setting.name.to_owned(),
            Some(mailbox) => format!("{}.{}.{}", setting.group(), mailbox.name, setting.key()),
        }
    }
}

fn values<'a>(
    setting: &'a Setting,
    config: &'a Config,
    defaults: &Config,
    all: bool,
) -> Vec<Shown<'a>> {
    let default = setting.value(defaults);
    let shown = |mailbox, value| Shown {
        setting,
        mailbox,
        value,
    };
    let mut values = match &setting.access {
        SettingAccess::One { get, .. } => vec![shown(None, get(config))],
        SettingAccess::OfMailbox { get, .. } => {
            let mailboxes = config.mailboxes.iter();
            mailboxes
                .map(|mailbox| shown(Some(mailbox), get(mailbox)))
                .collect()
        }
    };
    values.retain(|shown| all || shown.value != default);
    values
}

/// A basic string of TOML.
fn quoted(text: &str) -> String {
    let mut quoted = String::from("\"");
    for c in text.chars() {
        match c {
            '"' | '\\' => quoted.extend(['\\', c]),
            c if c.is_control() => {
                // Writing into a string does not fail.
                let _ = write!(quoted, "\\U{:08X}", u32::from(c));
            }
            c => quoted.push(c),
        }
    }
    quoted.push('"');
    quoted
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const ODD: &[&str] = &[
        "mail.location=/srv/#1 = \"x\"/%Ln\\ and more",
        "auth.username_chars= =\"\\\u{e4}#",
        "tls.certificate=\"/etc/my certs/a,b.pem\" /b \"/c \\\"d\\\" \\\\\"",
        "mailbox.a=b.c d.auto=create",
        "mailbox.\"Br\u{fc}cke\".special_use=\\Sent",
        "mailbox.[x]/y.auto=subscribe",
        "listen.trusted_proxies=10.0.0.0/8,::1",
        "listen.imap=[::1]:143 *:1143 10.0.0.1:7",
        "auth.sources=passwd-file:/etc/x pam",
        "listen.sasl=/var/spool/postfix/private/auth",
    ];

    #[test]
    fn defaults_need_no_words() {
        let config = Config::default();
        assert_eq!(config.lines(), "");
        assert_eq!(config.to_toml(false), "");
    }

    #[test]
    fn odd_values_come_back_from_lines_and_from_toml() {
        let mut config = Config::default();
        for line in ODD {
            config.set(line).unwrap();
        }
        assert_eq!(config.lines().lines().count(), ODD.len());
        assert_eq!(Config::from_lines(&config.lines()), Ok(config.clone()));
        for all in [false, true] {
            let toml = config.to_toml(all);
            assert_eq!(crate::config::file::read(&toml, &[]).0, config, "{toml}");
        }
    }

    #[test]
    fn toml_has_sections() {
        let mut config = Config::default();
        for line in [
            "mailbox.Sent Items.special_use=Sent",
            "mail.watch=no",
            "mail.fsync=never",
            "listen.imap=",
            "limits.connections=7",
            "tls.key=/a /b",
        ] {
            config.set(line).unwrap();
        }
        let text = "[listen]\nimap = []\n\n[tls]\nkey = [\"/a\", \"/b\"]\n\n[limits]\nconnections = 7\n\n\
                    [mail]\nfsync = \"never\"\nwatch = false\n\n\
                    [mailbox.\"Sent Items\"]\nspecial_use = \"Sent\"\n";
        assert_eq!(config.to_toml(false), text);
    }

    proptest! {
        #[test]
        fn whatever_is_taken_comes_back(lines in prop::collection::vec(line(), 0..8)) {
            let mut config = Config::default();
            for line in lines {
                let _ = set_exactly(&mut config, &line);
            }
            prop_assert_eq!(Config::from_lines(&config.lines()), Ok(config.clone()));
            prop_assert_eq!(&crate::config::file::read(&config.to_toml(true), &[]).0, &config);
        }
    }

    fn line() -> impl Strategy<Value = String> {
        let names = SETTINGS.iter().map(|setting| setting.name.to_owned());
        let name = prop::sample::select(names.collect::<Vec<_>>());
        let mailbox = (
            "\\PC{0,9}",
            prop::sample::select(vec!["auto", "special_use"]),
        )
            .prop_map(|(name, key)| format!("mailbox.{name}.{key}"));
        let value = prop_oneof![
            "\\PC{0,12}",
            "/\\PC{0,12}",
            "(/[a-c \",\\\\]{0,5}|,){0,4}",
            "[0-9]{1,12}(ms|s|m|h|d|K|M|G)?",
            prop::sample::select(
                ODD.iter()
                    .map(|odd| odd.split_once('=').unwrap().1.to_owned())
                    .collect::<Vec<_>>()
            ),
            Just("create".to_owned()),
            Just("Junk".to_owned()),
        ];
        (prop_oneof![name, mailbox], value).prop_map(|(name, value)| format!("{name}={value}"))
    }
}
