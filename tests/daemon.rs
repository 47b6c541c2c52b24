//! The daemon as a whole, as root starts it: logins, TLS, its processes, who may do what to whom.
//!
//! Each test starts a daemon of its own on free ports of loopback, with users and a PAM service
//! that exist as long as the test does (`support/place.rs`). Without root they are skipped with a
//! word.

// A test says what it skips and what it measured.
#![allow(clippy::print_stderr)]

mod support;

#[path = "daemon/bare_host.rs"]
mod bare_host;
#[path = "daemon/certificates.rs"]
mod certificates;
#[path = "daemon/clients.rs"]
mod clients;
#[path = "daemon/confinement.rs"]
mod confinement;
#[path = "daemon/deaths.rs"]
mod deaths;
#[path = "daemon/inetd.rs"]
mod inetd;
#[path = "daemon/limits.rs"]
mod limits;
#[path = "daemon/logins.rs"]
mod logins;
#[path = "daemon/operation.rs"]
mod operation;
#[path = "daemon/pam.rs"]
mod pam;
#[path = "daemon/postfix.rs"]
mod postfix;
#[path = "daemon/privilege.rs"]
mod privilege;
#[path = "daemon/processes.rs"]
mod processes;
#[path = "daemon/proxy.rs"]
mod proxy;
#[path = "daemon/refusals.rs"]
mod refusals;
#[path = "daemon/sasl.rs"]
mod sasl;
#[path = "daemon/sources.rs"]
mod sources;
#[path = "daemon/systemd.rs"]
mod systemd;
#[path = "daemon/tls.rs"]
mod tls;
#[path = "daemon/upgrade.rs"]
mod upgrade;
