//! What the conversation after login needs to know of the one before it, as octets: the two may be
//! in different processes.

use super::command::Tag;

/// A client that has just logged in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LoggedIn {
    /// Of the command that is to be answered OK.
    pub tag: Tag,
    /// How many commands before it were bad.
    pub bad_commands: u32,
}

impl LoggedIn {
    /// The number in four octets, then the tag.
    pub fn to_octets(&self) -> Vec<u8> {
        [&self.bad_commands.to_be_bytes(), self.tag.as_bytes()].concat()
    }

    pub fn from_octets(octets: &[u8]) -> Option<LoggedIn> {
        let (bad_commands, tag) = octets.split_first_chunk()?;
        Some(LoggedIn {
            tag: Tag::from_octets(tag)?,
            bad_commands: u32::from_be_bytes(*bad_commands),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_comes_back_as_it_was_and_what_has_no_tag_is_refused() {
        let logged_in = LoggedIn {
            tag: Tag::from_octets(b"a1").unwrap(),
            bad_commands: 258,
        };
        let octets = logged_in.to_octets();
        assert_eq!(octets, b"\0\0\x01\x02a1");
        assert_eq!(LoggedIn::from_octets(&octets), Some(logged_in));
        for octets in [
            &b""[..],
            b"\0\0\0",
            b"\0\0\0\0",
            b"\0\0\0\0a 1",
            b"\0\0\0\0a+",
        ] {
            assert_eq!(LoggedIn::from_octets(octets), None, "{octets:?}");
        }
    }
}
