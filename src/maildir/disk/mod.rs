//! Files and directories as the kernel has them: what every format of mail files stands on.
//!
//! The only file-system calls on mail are in [`dir`], so that the crash tests can break off at
//! each.  Nothing here knows what a mailbox is.

pub mod compressed;
pub mod dir;
pub mod filename;
pub mod lock;
pub(in crate::maildir) mod plausible;
pub mod report;
pub(in crate::maildir) mod text;
pub mod watch;
