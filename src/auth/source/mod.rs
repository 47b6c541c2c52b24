//! Where users and passwords are kept.
//!
//! | file | what |
//! |---|---|
//! | `pam` | PAM |
//! | `passwd_file` | Dovecot's passwd-file |

pub(super) mod pam;
pub mod passwd_file;
