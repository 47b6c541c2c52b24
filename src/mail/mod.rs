//! The words that all protocols share, and the store with them: what a message is called, what
//! is set on it, what a mailbox is called, when something was.
//!
//! Values only: nothing here does input or output or knows the time, and no word of it belongs to
//! one protocol alone.  How a protocol writes them is the protocol's.

pub mod calendar;
mod date_time;
mod flags;
mod keeping;
mod mailbox_name;
mod ranges;
mod secret;
mod special_use;
mod uid;
pub mod utf7;

pub use date_time::DateTime;
pub use flags::{Flags, Keyword, NamedFlags, System};
pub use keeping::{Fsync, Layout, Naming};
pub use mailbox_name::{MailboxName, NameError, is_in_inbox};
pub use ranges::Ranges;
pub use secret::Secret;
pub use special_use::SpecialUse;
pub use uid::Uid;
