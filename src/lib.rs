//! Roost, a Maildir-native IMAP server.
//!
//! # The map
//!
//! | module | what it is | what it may touch |
//! |---|---|---|
//! | [`imap`] | the protocol: bytes to commands, responses to bytes | nothing: it is pure |
//! | [`message`] | RFC 5322 and MIME: offsets into a text | nothing: it is pure |
//! | [`config`] | every setting, defined once | nothing: it is pure |
//! | [`maildir`] | folders, UIDs, flags, the index; what other programs do to them | mail files, and it alone |
//! | [`session`] | everything after login: one user's connections and open mailboxes | nothing itself |
//! | [`front`] | everything before login | nothing itself |
//! | [`net`] | the event loop, streams, TLS | sockets and the clock, and it alone |
//! | [`auth`] | who somebody is: PAM, password files, SCRAM | those files, and what PAM does |
//! | [`monitor`] | root: who is let in, which process serves whom | sockets before they are listened on, configuration and key files, processes |
//! | [`ipc`] | what the processes say to each other, and who may say it when | the channel between them |
//! | [`solo`] | `roost try` and `roost --preauth`: front and session in one process | the Maildir it finds or makes, the password file |
//! | [`commands`] | arguments; `roost check` and `roost config` | the files that the configuration names |
//! | [`sys`] | the operating system: standard streams, users, signals | `unsafe`, and it alone |
//! | [`log`] | where the log goes | standard error, syslog |
//!
//! `tests/layering.rs` holds this table.  Every process is one thread around one event loop; what
//! takes long works in slices of at most 10 ms and is resumed when the others have had their turn.
//!
//! # The walk of a byte
//!
//! In, `a1 APPEND Drafts {310}` and its text:
//!
//! | step | file | what happens |
//! |---|---|---|
//! | accept | `net/listener.rs`, `net/mod.rs` | a listener is readable: a connection begins |
//! | read, decrypt | `net/stream.rs`, `net/tls.rs` | octets off the socket |
//! | hand over | `solo.rs` | to the front before login, to the session after |
//! | before login | `front/login.rs` | LOGIN or AUTHENTICATE; then the session has the connection |
//! | frame | `imap/framing.rs` | lines and literals, every limit |
//! | parse | `imap/command.rs`, `imap/append.rs` | the command's arguments; the literal announced |
//! | permit | `imap/connection.rs` | is it allowed in this state? |
//! | begin | `session/connection.rs`, `session/command/mod.rs` | an event becomes a running command |
//! | act | `session/command/append.rs` | pieces of the literal as they come, CRLF to LF |
//! | write | `maildir/save.rs`, `maildir/batch.rs` | tmp/, fsync, a UID from `maildir/uids.rs`, into cur/ |
//!
//! Out: the command returns its reply; `session/view.rs` first writes what else the client may be
//! told now, `imap/response.rs` makes the octets, `net/buffer.rs` holds them, `net/stream.rs` sends
//! them.  A message's text is never in memory as a whole: `session/body.rs` reads its next piece from the file when the
//! buffer has drained.
//!
//! From outside: another program renames a file; `maildir/watch.rs` wakes the loop;
//! `session/mailboxes.rs` hands the event to the mailbox; `maildir/scan.rs` looks at that one name;
//! `session/mailbox.rs` passes the change to each `session/view.rs`, which tells its client when the
//! protocol allows.

#![deny(unsafe_code)]
// Nothing that a client sends or that is found on disk may make us panic.
#![cfg_attr(
    not(test),
    warn(
        clippy::expect_used,
        clippy::indexing_slicing,
        clippy::panic,
        clippy::string_slice,
        clippy::todo,
        clippy::unreachable,
        clippy::unwrap_used
    )
)]

pub mod auth;
pub mod commands;
pub mod config;
pub mod front;
pub mod imap;
pub mod ipc;
pub mod log;
pub mod maildir;
pub mod message;
pub mod monitor;
pub mod net;
pub mod session;
pub mod solo;
#[allow(unsafe_code)]
pub mod sys;
