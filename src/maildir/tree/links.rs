//! Links to mail elsewhere: a process that is kept to the Maildir must know of them.

use std::io;
use std::path::{Path, PathBuf};

use super::list;
use crate::maildir::disk::dir::{Dir, DiskError, DiskResult, FileKind, is_gone};

/// The directories outside of `root` that links in it lead to: folders, or with `cur`, `new` and
/// `tmp` what has the same name elsewhere.  Other links are no mail's: whoever is kept to these
/// directories shall not get out by making a link and starting anew.
pub fn elsewhere(root: &Path) -> DiskResult<Vec<PathBuf>> {
    let real = root
        .canonicalize()
        .map_err(|error| DiskError::new("realpath", root, error))?;
    let mut found = Vec::new();
    let mut left = vec![real.clone()];
    while let Some(path) = left.pop() {
        let directory = match Dir::open(&path) {
            Err(error) if is_gone(&error) || error.kind() == io::ErrorKind::PermissionDenied => {
                continue;
            }
            directory => directory?,
        };
        for (name, kind) in list::entries(&directory, &|name| name != b"." && name != b"..")? {
            if kind == FileKind::Link {
                // One that is not followed when mail is served is not followed here.
                let target = directory.open_dir(&name).ok();
                let target = target.and_then(|target| leads_to_mail(&name, &target));
                found.extend(target.filter(|target| !target.starts_with(&real)));
            } else if kind == FileKind::Directory && is_level(&name) {
                left.push(path.join(as_path(&name)));
            }
        }
    }
    found.sort();
    found.dedup();
    Ok(found)
}

/// The path of what a link of this name leads to, if that is mail.
fn leads_to_mail(name: &[u8], target: &Dir) -> Option<PathBuf> {
    let path = target.real_path().ok()?;
    let is_mail = match name {
        b"cur" | b"new" | b"tmp" => path.file_name() == as_path(name).file_name(),
        _ => target
            .stat_target(b"cur")
            .is_ok_and(|cur| cur.is_some_and(|cur| cur.kind == FileKind::Directory)),
    };
    is_mail.then_some(path)
}

/// With `LAYOUT=fs` there are links further down; a folder of Maildir++ has none in it that anybody
/// makes.
fn is_level(name: &[u8]) -> bool {
    list::is_no_part(name) && !name.starts_with(b".")
}

fn as_path(name: &[u8]) -> &Path {
    use std::os::unix::ffi::OsStrExt;
    Path::new(std::ffi::OsStr::from_bytes(name))
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::symlink;

    use super::*;
    use crate::maildir::disk::dir::scratch::Scratch;

    #[test]
    fn only_links_to_mail_lead_elsewhere() {
        let scratch = Scratch::new();
        let at = |path: &str| scratch.path().join(path);
        for directory in [
            "Maildir/cur",
            "Maildir/.Inside/cur",
            "Maildir/level/deeper",
            "other/Shared/cur",
            "other/fast/new",
            "other/deep/cur",
            "secret",
        ] {
            fs::create_dir_all(at(directory)).unwrap();
        }
        symlink(at("other/Shared"), at("Maildir/.Shared")).unwrap();
        symlink(at("other/Shared"), at("Maildir/.Again")).unwrap();
        symlink(at("other/fast/new"), at("Maildir/new")).unwrap();
        symlink(at("other/deep"), at("Maildir/level/deeper/link")).unwrap();
        symlink(at("Maildir/.Inside"), at("Maildir/.Alias")).unwrap();
        symlink(at("secret"), at("Maildir/.Way-out")).unwrap();
        symlink(at("secret"), at("Maildir/tmp")).unwrap();
        symlink("/", at("Maildir/.Root")).unwrap();
        symlink("nowhere", at("Maildir/.Gone")).unwrap();
        let found = elsewhere(&at("Maildir")).unwrap();
        let real = scratch.path().canonicalize().unwrap();
        let expected = ["other/Shared", "other/deep", "other/fast/new"];
        assert_eq!(found, expected.map(|path| real.join(path)));
    }
}
