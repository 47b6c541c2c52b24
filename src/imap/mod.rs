//! IMAP as bytes and values: nothing here does input or output, knows the time or a mailbox, and
//! nothing a client sends makes it panic.
//!
//! Framing comes first and holds the limits: a line of 64 KiB (256 KiB if it is a sequence set that
//! makes it so long), literals of 512 KiB in one command (16 KiB before login), APPEND's messages
//! apart, which stream.  The grammar comes after: parsers are methods of `syntax::Reader` named
//! after the ABNF rule they read.  The search keys of one command are nested at most 100 deep.
//! Twenty bad commands without a good one between them are too many.
//!
//! | file | rules |
//! |---|---|
//! | `framing` | lines and literals, every limit (RFC 3501 2.2.1, RFC 7888) |
//! | `syntax` | atom, quoted, literal, astring, number (RFC 3501 9, RFC 9051 9) |
//! | `date` | date, date-time |
//! | `sequence` | sequence-set, uid-set, `$` (RFC 3501 9, RFC 5182) |
//! | `flag` | flag, flag-list (RFC 9051 9) |
//! | `namespace` | what stands before names (RFC 2342) |
//! | `mailbox` | mailbox (RFC 3501 5.1, RFC 9051 5.1) |
//! | `list` | LIST, LSUB, patterns, attributes (RFC 5258, RFC 5819, RFC 6154) |
//! | `command` | every command, and the arguments of the short ones |
//! | `select` | SELECT with CONDSTORE and QRESYNC (RFC 7162) |
//! | `status` | STATUS items |
//! | `store` | STORE with UNCHANGEDSINCE (RFC 7162) |
//! | `append` | the parts of APPEND around its messages (RFC 3501 6.3.11, RFC 3502, RFC 3516) |
//! | `fetch` | fetch-att, section, partial (RFC 3501 6.4.5, RFC 3516, RFC 7162, RFC 8474, RFC 8514) |
//! | `search` | search-key (RFC 3501 6.4.4, RFC 4731, RFC 5032, RFC 7162, RFC 8474, RFC 8514) |
//! | `response` | what a server says (RFC 3501 7, RFC 9051 7, RFC 5530) |
//! | `connection` | states, continuations, IDLE, pipelining (RFC 3501 3) |
//! | `logged_in` | what goes on when a client has logged in |

pub mod append;
pub mod command;
pub mod connection;
pub mod date;
pub mod fetch;
pub mod flag;
pub mod framing;
pub mod list;
pub mod logged_in;
pub mod mailbox;
pub mod namespace;
pub mod response;
pub mod search;
pub mod select;
pub mod sequence;
pub mod status;
pub mod store;
pub mod syntax;

pub use connection::{Connection, Event};
pub use logged_in::LoggedIn;
