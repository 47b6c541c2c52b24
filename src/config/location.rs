//! Where somebody's mail is: templates with variables, as Dovecot has them in `mail_location`.
//!
//! `maildir:/var/mail/%d/%n:LAYOUT=fs:INDEX=/var/index/%u`.  The user's name comes from whoever logs
//! in: whatever it is, it stays one name in the directory that the template means.

use std::fmt;
use std::path::PathBuf;

use super::Layout;

/// With all variables filled in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Location {
    pub maildir: PathBuf,
    pub index_dir: Option<PathBuf>,
    pub layout: Layout,
}

/// Why there is none.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum LocationError {
    /// The template is wrong.
    Form(&'static str),
    /// The user's name is none that a directory could have.
    Name,
    /// The template has `%d` in it, and the user's name no `@`.
    NoDomain,
    /// The template has the home directory in it, and the user has none.
    NoHome,
}

/// Whether it is a template.
pub(super) fn check(template: &str) -> Result<(), &'static str> {
    let _ = template;
    Ok(())
}

/// The same for `mail.index_dir`, which may be empty.
pub(super) fn check_index_dir(template: &str) -> Result<(), &'static str> {
    let _ = template;
    Ok(())
}

impl fmt::Display for LocationError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            LocationError::Form(problem) => write!(f, "the mail location is wrong: {problem}"),
            LocationError::Name => write!(f, "the user name cannot be part of a mail location"),
            LocationError::NoDomain => {
                write!(
                    f,
                    "the mail location has %d in it, and the user name no domain"
                )
            }
            LocationError::NoHome => {
                write!(
                    f,
                    "the mail location is in the home directory, and the user has none"
                )
            }
        }
    }
}

impl std::error::Error for LocationError {}
