//! Roost, a Maildir-native IMAP server.

#![deny(unsafe_code)]

pub mod config;
pub mod front;
pub mod imap;
pub mod log;
pub mod maildir;
pub mod message;
pub mod net;
pub mod session;
pub mod solo;
#[allow(unsafe_code)]
pub mod sys;
