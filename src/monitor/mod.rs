//! The monitor: root, and therefore as little as possible.
//!
//! Binds, reads the configuration and key files, starts the front, answers what the table of `ipc`
//! permits, starts login children and sessions, reaps, reloads.  Reads no byte that came from the
//! network except inside those messages; knows no IMAP, no MIME, no TLS; opens no mail.
//!
//! | file | what |
//! |---|---|
//! | `role` | the process: the list of what happens |
//! | `configuration` | roost.toml and `--set` |
//! | `listeners` | sockets: bound, or inherited from systemd |
//! | `certificates` | the files of certificates and keys |
//! | `service` | the service of the loop: files, sockets and processes for what `state` decides; reload |
//! | `state` | who there is, and what is decided; no process, no clock |
//! | `peer` | a child at the other end of a channel |
//! | `front`, `login`, `sessions` | what `state` does with each kind of child |
//! | `limits` | how many connections a user may have |
//! | `patience` | login children that wait for their clients |
//! | `child` | the role of a login child |
//! | `control`, `client` | the two ends of the control socket |
//! | `counters` | OpenMetrics |
//!
//! # Whom it trusts
//!
//! The monitor trusts each process only with what the table gives that process to decide.  The
//! front says who wants to log in and what the password is; a login child says whether that is
//! right; the monitor says so to the front, and gives the one connection of that attempt to that
//! user's session.  A front that has been taken over can read what goes through it, and can ask for
//! logins whose passwords it knows; it can be nobody whose password it does not know.  A session
//! that has been taken over is that user, and can tell the monitor only that clients have gone.

pub mod certificates;
pub mod child;
pub mod client;
pub mod configuration;
mod control;
mod counters;
mod front;
mod limits;
mod listeners;
mod login;
mod patience;
mod peer;
pub mod role;
mod service;
mod sessions;
mod state;
