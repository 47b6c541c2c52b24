//! The parts of APPEND around its messages (RFC 3501 6.3.11, RFC 3502, RFC 3516).
//!
//! Each function reads the text up to and including the announcement of a message's literal; what
//! the literal holds is no business of the grammar: `~{size}` (literal8, RFC 3516) says that there
//! may be NULs, which we take in any.

use super::flag::Flag;
use super::mailbox::{Dialect, MailboxArgument};
use super::syntax::{ParseError, Parsed, Reader};
use crate::mail::DateTime;

/// `APPEND mailbox [(flags)] [date-time] {size}`: everything before the first message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AppendStart {
    pub mailbox: MailboxArgument,
    pub message: AppendMessage,
}

/// What is said of a message before its text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AppendMessage {
    pub flags: Vec<Flag>,
    pub date: Option<DateTime>,
    pub size: u64,
    /// The client waits for `+` before it sends the text.
    pub synchronising: bool,
}

impl Reader<'_> {
    /// append = "APPEND" SP mailbox 1*append-message (RFC 3502 6.3.11), from the first SP on.
    ///
    /// `LiteralAwaited` means that the mailbox is the literal.
    pub fn append_start(&mut self, dialect: Dialect<'_>) -> Parsed<AppendStart> {
        self.space()?;
        let mailbox = self.mailbox(dialect)?;
        let message = self.append_message()?;
        Ok(AppendStart { mailbox, message })
    }

    /// append-message = append-opts SP append-data;
    /// append-opts = [SP flag-list] [SP date-time] (RFC 3502 7)
    pub fn append_message(&mut self) -> Parsed<AppendMessage> {
        self.space().or(Err(MISSING))?;
        let mut flags = Vec::new();
        if self.peek() == Some(b'(') {
            flags = self.flag_list()?;
            self.space().or(Err(MISSING))?;
        }
        let mut date = None;
        if self.peek() == Some(b'"') {
            date = self.date_time()?;
            self.space().or(Err(MISSING))?;
        }
        let literal = self.literal_header().or(Err(MISSING))?;
        self.end()?;
        Ok(AppendMessage {
            flags,
            date,
            size: literal.size,
            synchronising: literal.synchronising,
        })
    }
}

const MISSING: ParseError = ParseError::Syntax("Missing message literal");

#[cfg(test)]
mod tests {
    use super::*;
    use crate::mail::System;

    fn start(text: &str) -> Parsed<AppendStart> {
        Reader::new(text.as_bytes()).append_start(Dialect::default())
    }

    #[test]
    fn everything_before_the_message_is_read() {
        let append =
            start(" saved-messages (\\Seen) \" 7-Feb-1994 21:52:25 -0800\" {310}").unwrap();
        assert_eq!(append.mailbox.unwrap().as_str(), "saved-messages");
        let message = append.message;
        assert_eq!(message.flags, [Flag::System(System::SEEN)]);
        assert!(message.date.is_some() && message.size == 310);
        assert!(message.synchronising);
        let message = start(" \"a b\" ~{5+}").unwrap().message;
        assert!(!message.synchronising && message.date.is_none());
        assert!(start(" {1}\r\na {5}").is_ok());
        assert!(start(" a () {5}").unwrap().message.flags.is_empty());
    }

    #[test]
    fn a_mailbox_that_is_a_literal_is_told_from_the_message() {
        assert_eq!(start(" {5}"), Err(ParseError::LiteralAwaited));
        assert_eq!(start(" {5}\r\nIN"), Err(ParseError::LiteralAwaited));
    }

    #[test]
    fn a_bad_name_is_a_value() {
        assert!(start(" R&D {5}").unwrap().mailbox.is_err());
    }

    #[test]
    fn wrong_appends_are_refused() {
        for text in [
            "",
            " ",
            " a",
            " a ",
            " a x",
            " a \\Seen {5}",
            " a (\\Seen){5}",
            " a (\\Seen {5}",
            " a \"date\" {5}",
            " a {5} x",
            " a {x}",
            " a {99999999999999999999}",
            " a CATENATE (TEXT {5}",
            " a \"x\" () {5}",
            " ~{5}",
        ] {
            assert!(matches!(start(text), Err(ParseError::Syntax(_))), "{text}");
        }
    }
}
