//! Dovecot's passwd-file as a source of logins.
//!
//! | file | what |
//! |---|---|
//! | `lines` | the lines of the file |

mod lines;

pub use lines::{Entry, Extent, Found, each, find, find_in};
