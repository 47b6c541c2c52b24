//! What a process may not do to a file, and why: for the line in the log that an operator acts on.

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use nix::sys::stat::lstat;
use nix::unistd::{getegid, geteuid, getgroups};

use super::{DiskError, FileKind, Stat, stat_path};

/// What is missing to whom, in the words of Dovecot's log.
#[derive(Debug)]
pub struct Lack {
    euid: u32,
    egid: u32,
    what: Option<Missing>,
}

/// A right that a path does not give.
#[derive(Debug)]
struct Missing {
    path: PathBuf,
    right: Right,
    stat: Stat,
    /// Perhaps the user made the link: nobody is to be led to what it leads to.
    is_link: bool,
    /// It lies in a directory of the user.
    is_in_own: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Right {
    Read,
    Write,
    Search,
    /// What only the owner may do.
    Ownership,
}

/// Why the call was not permitted; `None` if it failed for another reason.
pub fn lack(error: &DiskError) -> Option<Lack> {
    if error.kind() != std::io::ErrorKind::PermissionDenied {
        return None;
    }
    let paths = std::iter::once(error.path()).chain(error.to());
    let what = paths
        .filter_map(|path| missing(path, error.operation()))
        .next();
    Some(Lack {
        euid: geteuid().as_raw(),
        egid: getegid().as_raw(),
        what,
    })
}

impl Lack {
    /// What an operator can do about it.
    pub fn remedy(&self) -> Option<String> {
        let missing = self.what.as_ref().filter(|missing| !missing.is_link)?;
        let path = quoted(&missing.path);
        if missing.stat.uid != self.euid {
            // A directory of somebody else on the way to the mail stays theirs.
            return Some(match missing.right == Right::Search && !missing.is_in_own {
                true => format!("chmod o+x {path} lets the user pass"),
                false => format!("chown -h {} {path} gives it to the user", self.euid),
            });
        }
        let letter = match missing.right {
            Right::Read => 'r',
            Right::Write => 'w',
            Right::Search => 'x',
            Right::Ownership => return None,
        };
        Some(format!("chmod u+{letter} {path} permits it"))
    }
}

impl fmt::Display for Lack {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "euid={} egid={} ", self.euid, self.egid)?;
        let Some(missing) = &self.what else {
            // An ACL, SELinux, or the confinement of the process itself.
            return f.write_str("UNIX perms appear ok (ACL/MAC wrong?)");
        };
        let path = missing.path.display();
        match missing.right {
            Right::Read => write!(f, "missing +r perm: {path}")?,
            Right::Write => write!(f, "missing +w perm: {path}")?,
            Right::Search => write!(f, "missing +x perm: {path}")?,
            Right::Ownership => write!(f, "not owner of {path}")?,
        }
        let Stat {
            kind,
            uid,
            gid,
            mode,
            ..
        } = missing.stat;
        let kind = match kind {
            FileKind::Directory => "dir",
            _ => "file",
        };
        write!(f, ", {kind} owned by {uid}:{gid} mode=0{mode:o}")
    }
}

/// The first thing on the way to `path`, or at its end, that `operation` may not do.
fn missing(path: &Path, operation: &str) -> Option<Missing> {
    let above: Vec<&Path> = path.ancestors().skip(1).collect();
    for directory in above.into_iter().rev() {
        if directory.as_os_str().is_empty() {
            continue;
        }
        if let Some(missing) = lacks(directory, &[Right::Search]) {
            return Some(missing);
        }
    }
    match operation {
        "create" | "mkdir" | "rename" | "link" | "unlink" | "rmdir" => {
            lacks(path.parent()?, &[Right::Write, Right::Search])
        }
        "utimens" | "futimens" | "fchmod" | "fchown" => lacks(path, &[Right::Ownership]),
        "access" => lacks(path, &[Right::Write, Right::Search]),
        "opendir" | "readdir" => lacks(path, &[Right::Read, Right::Search]),
        "open" => lacks(path, &[Right::Read, Right::Write]),
        "stat" => None,
        _ => lacks(path, &[Right::Read]),
    }
}

/// Whether names can be made and removed in this directory, as far as its mode tells.
pub(super) fn may_change(stat: &Stat) -> bool {
    has(stat, Right::Write) && has(stat, Right::Search)
}

fn lacks(path: &Path, rights: &[Right]) -> Option<Missing> {
    let stat = stat_path(path).ok()?;
    let right = *rights.iter().find(|&&right| !has(&stat, right))?;
    let is_own = |directory| stat_path(directory).is_ok_and(|stat| stat.uid == geteuid().as_raw());
    let found = lstat(path).map(|found| Stat::from(&found));
    Some(Missing {
        path: path.to_owned(),
        right,
        is_link: !found.is_ok_and(|found| found.is_same_file(&stat)),
        is_in_own: path.parent().is_some_and(is_own),
        stat,
    })
}

/// As a shell takes it for one word.
fn quoted(path: &Path) -> String {
    let path = path.display().to_string();
    let is_plain = |c: char| c.is_alphanumeric() || "/._-,:=@+".contains(c);
    match path.chars().all(is_plain) {
        true => path,
        false => format!("'{}'", path.replace('\'', "'\\''")),
    }
}

fn has(stat: &Stat, right: Right) -> bool {
    let euid = geteuid().as_raw();
    let bit = match right {
        Right::Read => 4,
        Right::Write => 2,
        Right::Search => 1,
        Right::Ownership => return euid == 0 || stat.uid == euid,
    };
    let of_group = || stat.gid == getegid().as_raw() || groups().contains(&stat.gid);
    let shift = match () {
        () if euid == 0 => return true,
        () if stat.uid == euid => 6,
        () if of_group() => 3,
        () => 0,
    };
    (stat.mode >> shift) & bit != 0
}

/// The process's groups are asked for before it gives up the right to ask.
pub(super) fn note_groups() {
    let _ = groups();
}

fn groups() -> &'static [u32] {
    static GROUPS: OnceLock<Vec<u32>> = OnceLock::new();
    GROUPS.get_or_init(|| {
        let groups = getgroups().unwrap_or_default();
        groups.iter().map(|group| group.as_raw()).collect()
    })
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::super::scratch::Scratch;
    use super::*;

    /// What an operator reads of a user who is not the owner.
    fn remedy(path: &Path, right: Right, is_in_own: bool) -> Option<String> {
        let stat = stat_path(path).unwrap();
        let found = Stat::from(&lstat(path).unwrap());
        let missing = Missing {
            path: path.to_owned(),
            right,
            is_link: !found.is_same_file(&stat),
            is_in_own,
            stat,
        };
        let lack = Lack {
            euid: geteuid().as_raw() + 1,
            egid: 8,
            what: Some(missing),
        };
        lack.remedy()
    }

    #[test]
    fn a_file_behind_a_link_is_not_to_be_given_away() {
        let scratch = Scratch::new();
        scratch.write("a;id;", "x");
        let (file, link) = (scratch.path().join("a;id;"), scratch.path().join("b"));
        symlink(&file, &link).unwrap();
        let advice = remedy(&file, Right::Read, true).unwrap();
        let shown = file.display();
        assert!(advice.contains(&format!("'{shown}' gives it")), "{advice}");
        assert!(advice.starts_with("chown -h "), "{advice}");
        assert_eq!(remedy(&link, Right::Read, true), None);
    }

    #[test]
    fn a_closed_directory_of_somebody_else_is_to_be_opened_and_not_given_away() {
        let scratch = Scratch::new();
        let advice = remedy(scratch.path(), Right::Search, false).unwrap();
        assert!(advice.starts_with("chmod o+x "), "{advice}");
        let advice = remedy(scratch.path(), Right::Search, true).unwrap();
        assert!(advice.starts_with("chown -h "), "{advice}");
    }
}
