//! Reads roost.toml strictly.  Every mistake is told with its line and column, and with what would
//! be right.

use std::ops::Range;

use toml::de::{DeTable, DeValue};

use super::check;
use super::error::{ConfigError, Problem, TextPlace};
use super::settings::{self, Setting, SettingKind};
use super::value::show_elements;
use super::{Config, SETTINGS};

/// Returns the configuration, and all that is wrong or odd about it, in the order of the file.
pub(super) fn read(text: &str, set: &[String]) -> (Config, Vec<Problem>) {
    let mut reader = Reader {
        text,
        config: Config::default(),
        problems: Vec::new(),
        places: Vec::new(),
        faulty: Vec::new(),
    };
    reader.read_file();
    reader.read_command_line(set);
    reader.check();
    reader.problems.sort_by_key(|problem| match problem.place {
        TextPlace::File { line, column } => (0, line, column),
        TextPlace::CommandLine => (1, 0, 0),
        TextPlace::Nowhere => (2, 0, 0),
    });
    (reader.config, reader.problems)
}

struct Reader<'a> {
    text: &'a str,
    config: Config,
    problems: Vec<Problem>,
    /// Where each setting was set last.
    places: Vec<(String, TextPlace)>,
    /// Settings that could not be set.  How others relate to them is unknown.
    faulty: Vec<String>,
}

type Span = Range<usize>;

impl Reader<'_> {
    fn read_file(&mut self) {
        let (document, errors) = DeTable::parse_recoverable(self.text);
        for error in &errors {
            let span = error.span().unwrap_or(0..0);
            self.complain(&span, error.message().replace('\n', ", "));
        }
        // The value of a line that the parser does not understand does not matter.
        let broken: Vec<usize> = self.problems.iter().filter_map(Problem::line).collect();
        let understood = self.problems.len();

        for (key, value) in document.get_ref() {
            match value.get_ref() {
                DeValue::Table(table) if key.get_ref() == MAILBOX => self.read_mailboxes(table),
                DeValue::Table(table) if is_group(key.get_ref()) => {
                    self.read_section(key.get_ref(), table);
                }
                DeValue::Table(_) => self.complain(&key.span(), no_section(key.get_ref())),
                _ if is_group(key.get_ref()) => {
                    let text = format!("{0} is a section: [{0}]", key.get_ref());
                    self.complain(&key.span(), text);
                }
                _ => self.complain(&key.span(), no_setting(key.get_ref())),
            }
        }
        let mut at = 0;
        self.problems.retain(|problem| {
            at += 1;
            at <= understood || !problem.line().is_some_and(|line| broken.contains(&line))
        });
    }

    fn read_section(&mut self, group: &str, table: &DeTable<'_>) {
        for (key, value) in table {
            let name = format!("{group}.{}", key.get_ref());
            match SETTINGS.iter().find(|setting| setting.name == name) {
                Some(setting) => self.take(setting, &name, &value.span(), value.get_ref()),
                None => self.complain(&key.span(), no_setting(&name)),
            }
        }
    }

    fn read_mailboxes(&mut self, table: &DeTable<'_>) {
        for (mailbox, value) in table {
            let name = mailbox.get_ref();
            match value.get_ref() {
                DeValue::Table(table) => self.read_mailbox(name, table),
                _ => {
                    let text = "what is set here is set for one mailbox: [mailbox.NAME]";
                    self.complain(&mailbox.span(), text.to_owned());
                }
            }
        }
    }

    fn read_mailbox(&mut self, mailbox: &str, table: &DeTable<'_>) {
        for (key, value) in table {
            let is_it =
                |setting: &&Setting| setting.is_of_mailbox() && setting.key() == key.get_ref();
            let name = format!("{MAILBOX}.{mailbox}.{}", key.get_ref());
            match (SETTINGS.iter().find(is_it), value.get_ref()) {
                (Some(setting), value_here) => {
                    self.take(setting, &name, &value.span(), value_here);
                }
                (None, DeValue::Table(_)) => {
                    let whole = format!("{mailbox}.{}", key.get_ref());
                    let text =
                        format!("a name with a dot in it stands in quotes: [mailbox.\"{whole}\"]");
                    self.complain(&key.span(), text);
                }
                (None, _) => {
                    let generic = format!("{MAILBOX}.NAME.{}", key.get_ref());
                    let likeliest = settings::likeliest(&generic);
                    let error = ConfigError::UnknownName(name, likeliest);
                    self.complain(&key.span(), error.to_string());
                }
            }
        }
    }

    fn take(&mut self, setting: &Setting, name: &str, span: &Span, value: &DeValue<'_>) {
        let result = text_of(setting.kind, value).and_then(|text| {
            settings::set_named(&mut self.config, name, &text).map_err(|error| match error {
                ConfigError::BadValue { problem, .. } => problem,
                ConfigError::NoValue(_) | ConfigError::UnknownName(..) => {
                    "there is no such setting"
                }
            })
        });
        match result {
            Ok(()) => {
                let place = self.place(span);
                self.places.push((name.to_owned(), place));
            }
            Err(problem) => {
                self.faulty.push(name.to_owned());
                let (key, form) = (setting.key(), form(setting));
                self.complain(span, format!("{name}: {problem}; write {key} = {form}"));
            }
        }
    }

    fn read_command_line(&mut self, set: &[String]) {
        for assignment in set {
            let name = assignment.split('=').next().unwrap_or("").trim();
            match self.config.set(assignment) {
                Ok(()) => self.places.push((name.to_owned(), TextPlace::CommandLine)),
                Err(error) => {
                    self.faulty.push(name.to_owned());
                    self.problems.push(Problem {
                        place: TextPlace::CommandLine,
                        is_warning: false,
                        text: error.to_string(),
                    });
                }
            }
        }
    }

    fn check(&mut self) {
        for finding in check::check(&self.config) {
            let is_about = |name: &str| finding.about.contains(&name);
            if self.faulty.iter().any(|name| is_about(name)) {
                continue;
            }
            // The finding points at the first of the settings that is set.
            let places = finding.about.iter().filter_map(|about| {
                let place = self.places.iter().rev().find(|(name, _)| name == about);
                place.map(|&(_, place)| place)
            });
            self.problems.push(Problem {
                place: { places }.next().unwrap_or(TextPlace::Nowhere),
                is_warning: finding.is_warning,
                text: finding.text,
            });
        }
    }

    fn complain(&mut self, span: &Span, text: String) {
        let place = self.place(span);
        self.problems.push(Problem {
            place,
            is_warning: false,
            text,
        });
    }

    fn place(&self, span: &Span) -> TextPlace {
        let before = self.text.get(..span.start).unwrap_or(self.text);
        let line = before.rsplit('\n').next().unwrap_or("");
        TextPlace::File {
            line: before.matches('\n').count() + 1,
            column: line.chars().count() + 1,
        }
    }
}

impl Problem {
    fn line(&self) -> Option<usize> {
        match self.place {
            TextPlace::File { line, .. } => Some(line),
            TextPlace::CommandLine | TextPlace::Nowhere => None,
        }
    }
}

/// The value as a command line has it.
fn text_of(kind: SettingKind, value: &DeValue<'_>) -> Result<String, &'static str> {
    match (kind, value) {
        (SettingKind::List, DeValue::Array(array)) => {
            let elements = array.iter().map(|element| element_of(element.get_ref()));
            let elements: Vec<String> = elements.collect::<Result<_, _>>()?;
            Ok(show_elements(elements.into_iter()))
        }
        (SettingKind::List, value) => {
            element_of(value).map(|element| show_elements([element].into_iter()))
        }
        (_, DeValue::Array(_)) => Err("it must be one value and not a list"),
        (_, DeValue::Table(_)) => Err("it must be a value and not a section"),
        (SettingKind::Switch | SettingKind::Word, DeValue::Boolean(true)) => Ok("yes".to_owned()),
        (SettingKind::Switch | SettingKind::Word, DeValue::Boolean(false)) => Ok("no".to_owned()),
        (SettingKind::Switch, _) => Err("it must be true or false"),
        (
            SettingKind::Number | SettingKind::Size | SettingKind::Time | SettingKind::Octal,
            DeValue::Integer(number),
        ) => match (kind, number.radix()) {
            (SettingKind::Octal, 8)
            | (SettingKind::Number | SettingKind::Size | SettingKind::Time, 10) => {
                Ok(number.as_str().trim_start_matches('+').to_owned())
            }
            (SettingKind::Octal, _) => Err("it must be an octal number"),
            _ => Err("it must be a decimal number"),
        },
        (SettingKind::Number, _) => Err("it must be a number"),
        // `min_version = 1.2`
        (SettingKind::Word, DeValue::Float(number)) => Ok(number.as_str().to_owned()),
        (_, DeValue::String(text)) => Ok(text.to_string()),
        _ => Err("it must be a string"),
    }
}

fn element_of(value: &DeValue<'_>) -> Result<String, &'static str> {
    match value {
        DeValue::String(text) => Ok(text.to_string()),
        // A port.
        DeValue::Integer(number) if number.radix() == 10 => Ok(number.as_str().to_owned()),
        _ => Err("it must be a list of strings"),
    }
}

/// What a value looks like in TOML.
pub(super) fn form(setting: &Setting) -> String {
    let form = setting.form;
    match setting.kind {
        SettingKind::Switch => "true|false".to_owned(),
        SettingKind::Number => form.to_owned(),
        SettingKind::List => format!("[\"{}\", ..]", form.trim_end_matches(" ..")),
        SettingKind::Octal
        | SettingKind::Size
        | SettingKind::Time
        | SettingKind::Word
        | SettingKind::Text => format!("\"{form}\""),
    }
}

fn is_group(name: &str) -> bool {
    SETTINGS.iter().any(|setting| setting.group() == name)
}

fn no_section(name: &str) -> String {
    let mut groups: Vec<String> = SETTINGS
        .iter()
        .map(|setting| format!("[{}]", setting.group()))
        .collect();
    groups.dedup();
    format!(
        "there is no section [{name}]; there are {}",
        groups.join(" ")
    )
}

fn no_setting(name: &str) -> String {
    ConfigError::UnknownName(name.to_owned(), settings::likeliest(name)).to_string()
}

const MAILBOX: &str = "mailbox";

#[cfg(test)]
mod tests;
