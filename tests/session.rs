//! Conversations with the server, command by command, in files with the names of those in
//! `src/session/imap/command/`. A test's name is what the server does; its body is the
//! conversation.
//!
//! They run against Roost, and with `ROOST_UNDER_TEST=dovecot` against Dovecot. Where the two may
//! differ, `differences.md` says why.

// A test says what it skips and what it measured.
#![allow(clippy::print_stderr)]

mod support;

#[path = "session/append.rs"]
mod append;
#[path = "session/binary.rs"]
mod binary;
#[path = "session/condstore.rs"]
mod condstore;
#[path = "session/copy.rs"]
mod copy;
#[path = "session/create.rs"]
mod create;
#[path = "session/expunge.rs"]
mod expunge;
#[path = "session/fetch.rs"]
mod fetch;
#[path = "session/full_disk.rs"]
mod full_disk;
#[path = "session/idle.rs"]
mod idle;
#[path = "session/limits.rs"]
mod limits;
#[path = "session/list.rs"]
mod list;
#[path = "session/login.rs"]
mod login;
#[path = "session/maildir.rs"]
mod maildir;
#[path = "session/namespaces.rs"]
mod namespaces;
#[path = "session/pipeline.rs"]
mod pipeline;
#[path = "session/qresync.rs"]
mod qresync;
#[path = "session/rev2.rs"]
mod rev2;
#[path = "session/search.rs"]
mod search;
#[path = "session/select.rs"]
mod select;
#[path = "session/status.rs"]
mod status;
#[path = "session/store.rs"]
mod store;
#[path = "session/streams.rs"]
mod streams;
