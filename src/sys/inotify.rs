//! How much the kernel lets a user watch, for the log when it is used up.
//!
//! A process that is confined cannot read it any more, so it is read before.

use std::fmt;
use std::os::fd::AsFd;
use std::sync::OnceLock;

use nix::unistd::{Uid, geteuid};

/// What the kernel limits for each user.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WatchLimit {
    /// A descriptor of inotify(7), of which a process that watches has one.
    Instances,
    /// A watched directory.
    Watches,
}

struct Known {
    user: String,
    instances: Values,
    watches: Values,
}

struct Values {
    /// Of the host.
    host: Option<u64>,
    /// Of the user namespace that the process is in.
    namespace: Option<u64>,
}

static KNOWN: OnceLock<Known> = OnceLock::new();

/// To be called before the process is confined.
pub fn read_limits() {
    KNOWN.get_or_init(Known::read);
}

impl Known {
    fn read() -> Known {
        let uid = geteuid();
        Known {
            user: user(uid),
            instances: Values::read("instances"),
            watches: Values::read("watches"),
        }
    }
}

impl Values {
    fn read(of: &str) -> Values {
        let number = |path: String| std::fs::read_to_string(path).ok()?.trim().parse().ok();
        Values {
            host: number(format!("/proc/sys/fs/inotify/max_user_{of}")),
            namespace: number(format!("/proc/sys/user/max_inotify_{of}")),
        }
    }
}

fn user(uid: Uid) -> String {
    let known = nix::unistd::User::from_uid(uid).ok().flatten();
    known.map_or_else(
        || format!("uid {uid}"),
        |user| format!("user {} (uid {uid})", user.name),
    )
}

/// Whether inotify_init1(2) failed so for want of [`WatchLimit::Instances`], and not because the
/// process has too many files open, of which the kernel says the same.
pub fn is_out_of_instances(error: &std::io::Error) -> bool {
    let may_have_more = || std::io::stdin().as_fd().try_clone_to_owned().is_ok();
    error.raw_os_error() == Some(nix::libc::EMFILE) && may_have_more()
}

/// A sentence for the log, without its end.
impl fmt::Display for WatchLimit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let known = KNOWN.get_or_init(Known::read);
        let (name, values) = match self {
            WatchLimit::Instances => ("instances", &known.instances),
            WatchLimit::Watches => ("watches", &known.watches),
        };
        write!(f, "fs.inotify.max_user_{name}")?;
        if let Some(host) = values.host {
            write!(f, " = {host}")?;
        }
        if let Some(namespace) = values.namespace
            && values.host.is_some_and(|host| namespace < host)
        {
            write!(
                f,
                " (in this user namespace user.max_inotify_{name} = {namespace})"
            )?;
        }
        write!(f, " is used up by the processes of {}", known.user)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_limit_is_named_with_its_value_and_whose_it_is() {
        let value = std::fs::read_to_string("/proc/sys/fs/inotify/max_user_watches").unwrap();
        let text = WatchLimit::Watches.to_string();
        let expected = format!("fs.inotify.max_user_watches = {}", value.trim());
        assert!(text.starts_with(&expected), "{text}");
        assert!(text.contains(&format!("uid {}", geteuid())), "{text}");
    }
}
