//! What the standard library does not offer of the operating system: the only module that may use
//! `unsafe`, and that names nix or libc for anything but files of mail.
//!
//! Rules for `unsafe` here: nix's safe wrapper first; else one call to a block, with a `// SAFETY:`
//! comment that says why its conditions hold here.  Every error comes out as an `io::Error` or as
//! an enum of its own; nothing here panics, logs or exits.
//!
//! | file | what |
//! |---|---|
//! | `bind_options` | addresses that this host has, or does not have yet |
//! | `capabilities` | how to have none |
//! | `credentials` | who we are, who owns a directory, becoming that user for good |
//! | `crypt` | the password hashes of this system |
//! | `fs` | directory listings in large pieces |
//! | `inotify` | what a user may watch |
//! | `memory` | the heap, and its end |
//! | `packet` | packets with descriptors between processes |
//! | `path` | whose a directory is that root was told to work on |
//! | `pam` | logins through PAM |
//! | `inherited` | what a role gets from the program that starts it |
//! | `process` | signals as a descriptor, limits, memory given back |
//! | `sandbox` | Landlock, seccomp and limits for each role |
//! | `spawn` | fork, exec of another role, children that have ended |
//! | `standard` | standard input and output without blocking and without harm to who shares them |
//! | `syslog` | the system's log |
//! | `title` | what ps(1) shows |
//! | `terminal` | a password typed unseen |
//! | `users` | users and groups by name |

pub mod bind_options;
mod capabilities;
#[cfg(test)]
mod child;
pub mod credentials;
pub mod crypt;
pub mod fs;
pub mod inherited;
pub mod inotify;
pub mod memory;
pub mod packet;
pub mod pam;
pub mod path;
pub mod process;
pub mod sandbox;
pub mod spawn;
pub mod standard;
pub mod syslog;
pub mod terminal;
pub mod title;
pub mod users;
