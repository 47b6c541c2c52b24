//! The one form of a user's name: `Bob@Example.ORG` and `bob@example.org` are one user.

use std::fmt;

/// Why a name is nobody's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum UserNameError {
    /// Nothing, or nothing that `auth.username_format` keeps.
    Empty,
    TooLong,
    /// A character that is not in `auth.username_chars`, or no character at all.
    Character,
}

impl fmt::Display for UserNameError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            UserNameError::Empty => "the user name is empty",
            UserNameError::TooLong => "the user name is too long",
            UserNameError::Character => {
                "the user name has a character that is not in auth.username_chars"
            }
        })
    }
}

impl std::error::Error for UserNameError {}
