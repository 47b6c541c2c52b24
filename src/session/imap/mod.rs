//! IMAP after login: one client's commands, and what it is told (RFC 9051, RFC 3501).
//!
//! | file | what |
//! |---|---|
//! | `connection` | one client: its commands run one after the other |
//! | `client` | what the commands see of it |
//! | `command` | the commands |
//! | `reply` | tagged responses, and what each kind of failure is to the client |
//! | `view` | how a client is told what it has not heard of its mailbox |
//! | `body` | a message's text, or a part of it, on its way to the client |
//! | `counters` | what a client did, for the log |

mod body;
mod client;
pub mod command;
pub mod connection;
pub mod counters;
pub mod reply;
mod view;
