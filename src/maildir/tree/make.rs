//! A Maildir for somebody who has got no mail yet.

use std::io;
use std::path::Path;

use super::super::disk::dir::{Access, Dir, DiskError, DiskResult};

/// Makes the directory, and those above it that are missing, for the user alone.  One that is there
/// stays as it is.
pub fn make_directory(path: &Path) -> DiskResult<()> {
    match Dir::open(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => {}
        opened => return opened.map(drop),
    }
    let (Some(above), Some(name)) = (path.parent(), path.file_name()) else {
        return Err(DiskError::new("mkdir", path, io::ErrorKind::NotFound));
    };
    make_directory(above)?;
    let made = Dir::open(above)?.make_dir(name.as_encoded_bytes(), &Access::PRIVATE);
    match made {
        // Somebody was faster: Postfix delivers the first message.
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Dir::open(path).map(drop),
        made => made,
    }
}

/// Makes the Maildir if there is none; its parts come when the mailbox is opened.
pub fn make(root: &Path) -> DiskResult<()> {
    make_directory(root)
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;
    use crate::maildir::disk::dir::scratch::Scratch;

    #[test]
    fn what_is_missing_is_made_for_the_user_alone() {
        let scratch = Scratch::new();
        let root = scratch.path().join("a/b/Maildir");
        make(&root).unwrap();
        make(&root).unwrap();
        for path in [&root, &scratch.path().join("a")] {
            let mode = path.metadata().unwrap().permissions().mode();
            assert_eq!(mode & 0o777, 0o700, "{}", path.display());
        }
    }

    #[test]
    fn a_link_to_a_directory_is_one_and_a_file_is_none() {
        let scratch = Scratch::new();
        scratch.write("file", b"");
        make(&scratch.path().join("real")).unwrap();
        std::os::unix::fs::symlink("real", scratch.path().join("link")).unwrap();
        make(&scratch.path().join("link")).unwrap();
        assert!(make(&scratch.path().join("file")).is_err());
        assert!(make(&scratch.path().join("file/x")).is_err());
    }
}
