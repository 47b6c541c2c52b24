//! The parts of APPEND around its messages (RFC 3501 6.3.11, RFC 3502, RFC 3516).

use super::flag::Flag;
use super::mailbox::MailboxArgument;
use super::syntax::DateTime;

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
    /// `~{size}`: the text may hold NULs (RFC 3516).
    pub literal8: bool,
    /// The client waits for `+` before it sends the text.
    pub synchronising: bool,
}
