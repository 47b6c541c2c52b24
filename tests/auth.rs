//! Who is let in: the sources of logins against real PAM and real files.
//!
//! What needs root is skipped with a word without it.  Users and PAM services exist as long as the
//! test does (`support/place.rs`); no other file of the host is touched.

// A test says what it skips.
#![allow(clippy::print_stderr)]

mod support;

#[path = "auth/dovecot.rs"]
mod dovecot;
#[path = "auth/external.rs"]
mod external;
#[path = "auth/login.rs"]
mod login;
#[path = "auth/master.rs"]
mod master;
#[path = "auth/pam.rs"]
mod pam;
#[path = "auth/passwd_file.rs"]
mod passwd_file;
#[path = "auth/report.rs"]
mod report;
#[path = "auth/scram.rs"]
mod scram;
#[path = "auth/wrapper.rs"]
mod wrapper;
