//! What an import has found so far: settings of Roost, each with where it comes from, and remarks.

use super::{ImportError, Imported, Place, writer};
use crate::config::{Config, ConfigError};

/// A roost.toml in the making.
pub(super) struct ImportDraft {
    pub config: Config,
    /// The settings that were set, as `mail.location` or `mailbox.Sent.auto`, with their origins.
    pub origins: Vec<(String, String)>,
    pub remarks: Vec<Remark>,
    refusals: Vec<String>,
    /// The directory that is left out of paths.
    base: String,
}

#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Remark {
    pub weight: Weight,
    /// Where it stands, and which setting it is.
    pub subject: String,
    pub text: String,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Weight {
    /// IMAP users will miss it.
    Lost,
    /// What an operator does or should know.
    Note,
    /// It is not about IMAP, and goes on if the old server stays.
    Stays,
    /// Nobody knows this setting.
    Unknown,
}

impl ImportDraft {
    pub fn new(main: &str) -> ImportDraft {
        let directory = main.rsplit_once('/').map_or("", |(directory, _)| directory);
        ImportDraft {
            config: Config::default(),
            origins: Vec::new(),
            remarks: Vec::new(),
            refusals: Vec::new(),
            base: format!("{directory}/"),
        }
    }

    /// Sets a setting of Roost's.  If its value cannot be, that is a loss.
    pub fn set(&mut self, name: &str, value: &str, place: &Place) {
        let origin = self.show(place);
        self.set_from(name, value, &origin);
    }

    pub fn set_from(&mut self, name: &str, value: &str, origin: &str) {
        match self.config.set(&format!("{name}={value}")) {
            Ok(()) => {
                self.origins.retain(|(known, _)| known != name);
                self.origins.push((name.to_owned(), origin.to_owned()));
            }
            Err(error) => {
                let text = format!("{name} cannot be \"{value}\": {}", problem(&error));
                self.remark(Weight::Lost, origin, text);
            }
        }
    }

    pub fn lost(&mut self, subject: &str, place: &Place, text: impl Into<String>) {
        let subject = self.subject(subject, place);
        self.remark(Weight::Lost, &subject, text.into());
    }

    pub fn note(&mut self, subject: &str, place: &Place, text: impl Into<String>) {
        let subject = self.subject(subject, place);
        self.remark(Weight::Note, &subject, text.into());
    }

    pub fn unknown(&mut self, subject: &str, place: &Place) {
        let subject = self.subject(subject, place);
        self.remark(Weight::Unknown, &subject, String::new());
    }

    /// With where it stands, if it stands anywhere.
    fn subject(&self, subject: &str, place: &Place) -> String {
        match self.show(place).as_str() {
            "" => subject.to_owned(),
            place => format!("{place}: {}", subject.trim_end()),
        }
    }

    pub fn remark(&mut self, weight: Weight, subject: &str, text: String) {
        let remark = Remark {
            weight,
            subject: subject.to_owned(),
            text,
        };
        if !self.remarks.contains(&remark) {
            self.remarks.push(remark);
        }
    }

    /// Roost cannot serve this at all.
    pub fn refuse(&mut self, subject: &str, place: &Place, text: &str) {
        self.refusals
            .push(format!("{}: {subject}: {text}", self.show(place)));
    }

    /// A place as it is shown: paths from the directory of the main file on.
    pub fn show(&self, place: &Place) -> String {
        let shown = place.to_string();
        shown
            .strip_prefix(&self.base)
            .map_or(shown.clone(), str::to_owned)
    }

    /// `by` is the command, `from` what was read.
    pub fn finish(self, by: &str, from: &str) -> Result<Imported, ImportError> {
        match self.refusals.is_empty() {
            true => Ok(writer::write(self, by, from)),
            false => Err(ImportError::Refused(self.refusals)),
        }
    }
}

/// What is wrong with a value.
pub(super) fn problem(error: &ConfigError) -> String {
    match error {
        ConfigError::BadValue { problem, .. } => (*problem).to_owned(),
        other => other.to_string(),
    }
}
