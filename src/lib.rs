//! Roost, a Maildir-native IMAP server.
//!
//! # The map
//!
//! | module | what it is | what it may touch |
//! |---|---|---|
//! | [`mail`] | the words all protocols share: UIDs, flags, names of mailboxes | nothing: it is pure |
//! | [`imap`] | the protocol: bytes to commands, responses to bytes | nothing: it is pure |
//! | [`dovecot_auth`] | the lines of the Dovecot auth protocol, which Postfix speaks too | nothing: it is pure |
//! | [`message`] | RFC 5322 and MIME: offsets into a text | nothing: it is pure |
//! | [`config`] | every setting, defined once | nothing: it is pure |
//! | [`import`] | the configuration of Dovecot or Courier as one of ours | nothing: it is pure |
//! | [`maildir`] | folders, UIDs, flags, the index; what other programs do to them | mail files, and it alone |
//! | [`store`] | the mail of one user: mailboxes, listeners, questions; no protocol | nothing itself |
//! | [`session`] | THE USER.  Everything after login: the user's connections and open mailboxes | nothing itself |
//! | [`front`] | NOBODY.  Everything before login, and TLS after it | nothing itself |
//! | [`monitor`] | ROOT.  Who is let in, which process serves whom | sockets before they are listened on, configuration and key files, processes |
//! | [`auth`] | who somebody is: PAM, password files, SCRAM | those files, and what PAM does |
//! | [`ipc`] | what the processes say to each other, and who may say it when | the channel between them |
//! | [`net`] | the event loop, streams, TLS, the PROXY protocol | sockets and the clock |
//! | [`solo`] | `roost try` and `roost --preauth`: front and session in one process | the Maildir it finds or makes, the password file |
//! | [`commands`] | the command line, its help, and the commands that need no daemon | the files that the configuration names |
//! | [`sys`] | the operating system: users, processes, PAM, confinement, standard streams | `unsafe`, and it alone |
//! | [`log`] | where the log goes | standard error, syslog |
//!
//! `tests/layering.rs` holds this table.  Every process is one thread around one event loop (a
//! session has two more threads, which wait for what changes in the mail); what takes long works in
//! slices of at most 10 ms and is resumed when the others have had their turn.
//!
//! # The processes
//!
//! ```text
//! monitor (root) --+-- front (nobody, in an empty directory): clients before login, TLS after it
//!                  |
//!                  +-- login child (root), one for each attempt: asks PAM; ends, or becomes
//!                      session (the user): all of the user's connections
//! ```
//!
//! All are this program, executed anew with the name of a role (`sys/spawn.rs` has the table of
//! them).  Each has one channel, to the monitor; what may go through it is the table in
//! `ipc/table.rs`.  With `auth.pam_session` the login child stays, as the parent of the session, to
//! close what PAM has opened.
//!
//! # The walk of a byte
//!
//! Into the daemon, `a1 LOGIN alice ..`, and behind it `a2 APPEND Drafts {310}` with its text:
//!
//! | step | file | what happens |
//! |---|---|---|
//! | accept | `net/listener.rs`, `net/accept.rs` | a listener of the front is readable: a connection begins |
//! | unwrap | `net/arrival.rs`, `net/proxy.rs` | from a proxy: a header says who the client is |
//! | read, decrypt | `net/stream.rs`, `net/tls.rs` | octets off the socket |
//! | welcome | `front/service.rs`, `front/limits.rs`, `front/protocols.rs` | is there a place for this address? which conversation does it have? |
//! | before login | `front/imap/mod.rs`, `front/imap/authenticate.rs`, `front/sasl.rs` | STARTTLS, LOGIN, AUTHENTICATE; what follows them waits as it is |
//! | ask | `front/desk.rs`, `front/service/monitor.rs` | who this is, when the address has served its penalty |
//! | permit | `monitor/peer.rs`, `ipc/table.rs` | may the front say this now? |
//! | judge | `monitor/login/queue.rs`, `monitor/child.rs`, `auth/password.rs`, `auth/source/pam.rs` | a login child finds it out |
//! | become | `monitor/child.rs`, `sys/credentials.rs`, `sys/spawn.rs` | the child is this user's session from now on, unless there is one |
//! | hand over | `front/service/monitor.rs`, `monitor/front.rs`, `monitor/sessions.rs` | the socket, with what was read from it and not yet done |
//! | relay | `front/relay.rs` | under TLS the session gets one end of a pair, and the front moves octets between the other and the client |
//! | confine | `session/place.rs`, `session/confine.rs` | a new session keeps nothing but the mail |
//! | greet | `session/service.rs` | a1 is answered OK; what followed it is read |
//! | frame | `imap/framing.rs` | lines and literals, every limit |
//! | parse | `imap/command.rs`, `imap/append.rs` | the command's arguments; the literal announced |
//! | allow | `imap/connection.rs` | is it allowed in this state? |
//! | begin | `session/imap/connection.rs`, `session/imap/command/mod.rs` | an event becomes a running command |
//! | act | `session/imap/command/append.rs`, `store/deliver.rs` | pieces of the literal as they come, CRLF to LF |
//! | write | `maildir/folder/save.rs`, `maildir/folder/batch.rs` | tmp/, fsync, a UID from `maildir/folder/uids.rs`, into cur/ |
//!
//! `roost try` is one process, in which `solo.rs` passes octets to the front before login and to
//! the session after it.  `roost --preauth` begins in the session.
//!
//! Out: the command returns its reply; `session/imap/view.rs` first writes what else the client may
//! be told now, `imap/response.rs` makes the octets, `net/buffer.rs` holds them, `net/stream.rs`
//! sends them, to the client or, under TLS, to the front's `front/relay.rs`.  A message's text is
//! never in memory as a whole: `session/imap/body.rs` reads its next piece from the file when the
//! buffer has drained.
//!
//! From outside: another program renames a file.  `maildir/disk/watch.rs` queues an event for the
//! folder and wakes the loop; `store/mod.rs` wakes the folder's listeners.  When one of them looks,
//! `maildir/folder/scan.rs` takes the event and `maildir/folder/judge.rs` says what it means.
//! `store/mailbox.rs` notes the change in each listener's `store/cursor.rs`, and
//! `session/imap/view.rs` tells the client when the protocol allows.

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
pub mod dovecot_auth;
pub mod front;
pub mod imap;
pub mod import;
pub mod ipc;
pub mod log;
pub mod mail;
pub mod maildir;
pub mod message;
pub mod monitor;
pub mod net;
pub mod session;
pub mod solo;
pub mod store;
#[allow(unsafe_code)]
pub mod sys;
