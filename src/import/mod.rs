//! The configuration of another server as a roost.toml: `roost import-dovecot`, `roost
//! import-courier`.  PURE: texts in, a text out; files are read through [`Files`].
//!
//! | file | what |
//! |---|---|
//! | `mod` | what an import gives, and what it reads from |
//! | `draft` | the settings of Roost as they are found, and what is to be said |
//! | `writer` | the text of both |
//! | `dovecot`, `courier` | what is read and translated |
//!
//! An import promises one thing: what IMAP users would see go is told, and the exit status says so.
//! So a setting is translated, or known to change nothing for them, or it is named.  Nothing is
//! executed, and no password and no key is printed.

mod courier;
mod dovecot;
mod draft;
mod writer;

#[cfg(test)]
mod tests;

use std::fmt;
use std::rc::Rc;

pub use courier::courier;
pub use dovecot::{dovecot, dovecot_text};

/// The files of a configuration.
pub trait Files {
    /// The error is for people.
    fn read(&self, path: &str) -> Result<String, String>;
    fn exists(&self, path: &str) -> bool;
    /// The names in a directory; none if it cannot be read.
    fn list(&self, directory: &str) -> Vec<String>;
}

/// What an import gives.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Imported {
    /// A roost.toml, with all there is to say in comments.
    pub text: String,
    /// Something that IMAP users would see is lost.
    pub is_lossy: bool,
}

/// Why an import gives nothing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ImportError {
    Unreadable(Unreadable),
    /// Roost cannot serve this mail at all; the reasons.
    Refused(Vec<String>),
}

/// A text that cannot be read or understood.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unreadable {
    place: Place,
    text: String,
}

/// A line of a file; line 0 is the file as a whole.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Place {
    file: Rc<str>,
    line: usize,
}

impl Place {
    fn start(file: &str) -> Place {
        Place {
            file: Rc::from(file),
            line: 0,
        }
    }
}

impl Unreadable {
    fn at(place: &Place, text: impl Into<String>) -> Unreadable {
        Unreadable {
            place: place.clone(),
            text: text.into(),
        }
    }
}

impl ImportError {
    /// What was asked for cannot be read.
    pub fn input(text: String) -> ImportError {
        ImportError::Unreadable(Unreadable::at(&Place::start(""), text))
    }
}

impl From<Unreadable> for ImportError {
    fn from(error: Unreadable) -> ImportError {
        ImportError::Unreadable(error)
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.line {
            0 => f.write_str(&self.file),
            line => write!(f, "{}:{line}", self.file),
        }
    }
}

impl fmt::Display for Unreadable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.place.line {
            // The text names the file.
            0 => f.write_str(&self.text),
            _ => write!(f, "{}: {}", self.place, self.text),
        }
    }
}

impl fmt::Display for ImportError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            ImportError::Unreadable(error) => error.fmt(f),
            ImportError::Refused(reasons) => f.write_str(&reasons.join("\n")),
        }
    }
}

impl std::error::Error for Unreadable {}
impl std::error::Error for ImportError {}
