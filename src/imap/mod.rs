//! IMAP as bytes and values: nothing here does input or output, knows the time or a mailbox.
//!
//! | file | rules |
//! |---|---|
//! | `framing` | lines and literals, every limit (RFC 3501 2.2.1, RFC 7888) |
//! | `syntax` | atom, quoted, literal, astring, number (RFC 3501 9, RFC 9051 9) |
//! | `date` | date, date-time |
//! | `sequence` | sequence-set, uid-set, `$` (RFC 3501 9, RFC 5182) |
//! | `flag` | system flags and keywords (RFC 9051 2.3.2) |
//! | `mailbox` | names, INBOX, modified UTF-7, special uses (RFC 3501 5.1, RFC 6154) |
//! | `list` | LIST, LSUB, patterns, attributes (RFC 5258, RFC 5819, RFC 6154) |
//! | `command` | every command's arguments |
//! | `append` | the parts of APPEND around its messages (RFC 3501 6.3.11, RFC 3502, RFC 3516) |
//! | `fetch` | fetch-att, section, partial (RFC 3501 6.4.5, RFC 3516, RFC 7162, RFC 8474, RFC 8514) |
//! | `search` | search-key (RFC 3501 6.4.4, RFC 4731, RFC 5032, RFC 7162, RFC 8474, RFC 8514) |
//! | `response` | what a server says (RFC 3501 7, RFC 9051 7, RFC 5530) |
//! | `connection` | states, continuations, IDLE, pipelining (RFC 3501 3) |

pub mod append;
pub mod command;
pub mod connection;
pub mod date;
pub mod fetch;
pub mod flag;
pub mod framing;
pub mod list;
pub mod mailbox;
pub mod response;
pub mod search;
pub mod sequence;
pub mod syntax;

pub use connection::{Connection, Event};
