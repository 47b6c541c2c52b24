//! The one form of a user's name: `Bob@Example.ORG` and `bob@example.org` are one user.

use std::fmt;

use super::Config;

/// Why a name cannot be a user's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum UserNameError {
    /// The name is empty, or `auth.username_format` keeps nothing of it.
    Empty,
    TooLong,
    /// It contains a character that is not in `auth.username_chars`, or octets that are no
    /// character.
    Character,
}

pub(super) fn normalise(config: &Config, name: &[u8]) -> Result<String, UserNameError> {
    if name.len() > MAX_LENGTH {
        return Err(UserNameError::TooLong);
    }
    let name = std::str::from_utf8(name).map_err(|_| UserNameError::Character)?;
    let allowed = config.auth_username_chars.as_str();
    let may_be = |c: char| !c.is_control() && (allowed.is_empty() || allowed.contains(c));
    if !name.chars().all(may_be) {
        return Err(UserNameError::Character);
    }
    let format = config.auth_username_format.as_str();
    let name = match format.ends_with('n') {
        true => name.split('@').next().unwrap_or(name),
        false => name,
    };
    // Only ASCII is changed.  In other scripts lower case depends on the language, and two names
    // might become one.
    let name = match format.starts_with("%L") {
        true => name.to_ascii_lowercase(),
        false => name.to_owned(),
    };
    match name.is_empty() {
        true => Err(UserNameError::Empty),
        false => Ok(name),
    }
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

/// The length of an address, RFC 5321 4.5.3.1: 64 octets, an `@` and 255 octets.
const MAX_LENGTH: usize = 320;

#[cfg(test)]
mod tests {
    use super::*;

    fn under(format: &str, name: &str) -> Result<String, UserNameError> {
        let mut config = Config::default();
        config
            .set(&format!("auth.username_format={format}"))
            .unwrap();
        config.normalise_user(name.as_bytes())
    }

    #[test]
    fn a_format_says_what_stays() {
        for (format, name) in [
            ("%u", "Bob@Example.ORG"),
            ("%Lu", "bob@example.org"),
            ("%n", "Bob"),
            ("%Ln", "bob"),
        ] {
            assert_eq!(under(format, "Bob@Example.ORG").as_deref(), Ok(name));
        }
        assert_eq!(under("%Lu", "BOB").as_deref(), Ok("bob"));
        assert_eq!(under("%Ln", "@x"), Err(UserNameError::Empty));
        assert_eq!(under("%u", ""), Err(UserNameError::Empty));
    }

    #[test]
    fn odd_names_are_nobody_s() {
        let mut config = Config::default();
        for name in ["a b", "a/b", "a*", "\u{e4}", "a\0", "a\n"] {
            let result = config.normalise_user(name.as_bytes());
            assert_eq!(result, Err(UserNameError::Character), "{name:?}");
        }
        assert_eq!(
            config.normalise_user(b"\xff"),
            Err(UserNameError::Character)
        );
        assert_eq!(
            config.normalise_user(&[b'a'; 321]),
            Err(UserNameError::TooLong)
        );
        config.set("auth.username_chars=").unwrap();
        assert_eq!(
            config.normalise_user("\u{c4}/ b".as_bytes()).as_deref(),
            Ok("\u{c4}/ b")
        );
        assert_eq!(config.normalise_user(b"a\0"), Err(UserNameError::Character));
        assert_eq!(
            config.normalise_user(b"\xff"),
            Err(UserNameError::Character)
        );
    }
}
