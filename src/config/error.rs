//! What can be wrong with a configuration.  Each text says how it would be right.

use std::fmt;

/// Why a setting cannot be taken.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ConfigError {
    /// There is no `=` in it.
    NoValue(String),
    /// With the name that may be meant.
    UnknownName(String, Option<&'static str>),
    /// The setting's name and form, and what is wrong with the value.
    BadValue {
        name: String,
        form: &'static str,
        problem: &'static str,
    },
}

/// Something wrong or odd in a configuration.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    pub place: TextPlace,
    /// The configuration can be used all the same.
    pub is_warning: bool,
    pub text: String,
}

/// Where the problem is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TextPlace {
    /// In the file.  Lines and columns count from 1, columns in characters.
    File {
        line: usize,
        column: usize,
    },
    CommandLine,
    /// Nowhere: something is missing.
    Nowhere,
}

impl Problem {
    /// The line for people and for their editors: `/etc/roost/roost.toml:3:9: ..`.
    pub fn show(&self, file: &str) -> String {
        let warning = if self.is_warning { "warning: " } else { "" };
        let text = &self.text;
        match self.place {
            TextPlace::File { line, column } => format!("{file}:{line}:{column}: {warning}{text}"),
            TextPlace::CommandLine => format!("--set: {warning}{text}"),
            TextPlace::Nowhere => format!("{file}: {warning}{text}"),
        }
    }
}

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            ConfigError::NoValue(text) => write!(f, "'{text}' is not NAME=VALUE"),
            ConfigError::UnknownName(name, None) => {
                write!(f, "there is no setting \"{name}\"; see roost.toml(5)")
            }
            ConfigError::UnknownName(name, Some(other)) => {
                write!(
                    f,
                    "there is no setting \"{name}\"; did you mean \"{other}\"?"
                )
            }
            ConfigError::BadValue {
                name,
                form,
                problem,
            } => write!(f, "{name}={form}: {problem}"),
        }
    }
}

impl std::error::Error for ConfigError {}
