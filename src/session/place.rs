//! Where the mail is, made if it is not there.

use std::io;
use std::path::{Path, PathBuf};

use crate::config::Location;
use crate::ipc::Account;
use crate::maildir;
use crate::maildir::disk::dir::{self, DiskResult, Stat};
use crate::maildir::tree;

/// The directories that a session works in.
pub struct Place {
    pub location: Location,
    /// Where links in the Maildir lead.
    elsewhere: Vec<PathBuf>,
    root: Root,
}

/// The Maildir, to see whether another one takes its place: a process that is kept to the directory
/// that it found (Landlock) cannot serve a backup that is put there.
#[derive(Clone)]
pub struct Root {
    path: PathBuf,
    stat: Stat,
}

impl Root {
    fn find(path: &Path) -> DiskResult<Root> {
        Ok(Root {
            path: path.to_owned(),
            stat: dir::stat_path(path)?,
        })
    }

    /// What to say if another Maildir took its place.  While there is none at all, nothing did.
    pub fn replaced(&self) -> Option<String> {
        let stat = dir::stat_path(&self.path).ok()?;
        let path = self.path.display();
        (!stat.is_same_file(&self.stat))
            .then(|| format!("{path}: another Maildir took the place of the one that was there"))
    }
}

impl Place {
    /// Finds the mail of the account.  Somebody who has got no mail yet gets a Maildir.  The error
    /// is a text for the log.
    pub fn find(account: &Account) -> Result<Place, String> {
        let location = account.location.clone();
        Place::at(location).map_err(|error| {
            homeless(account).unwrap_or_else(|| problem(&account.location.maildir, &error))
        })
    }

    /// The directories of this location, made if they are not there.
    pub fn at(location: Location) -> DiskResult<Place> {
        for directory in location.directories() {
            maildir::make(directory)?;
        }
        let mut elsewhere = tree::elsewhere(&location.maildir)?;
        if let Some(inbox) = &location.inbox {
            elsewhere.extend(tree::elsewhere(inbox)?);
        }
        let root = Root::find(&location.maildir)?;
        Ok(Place {
            root,
            location,
            elsewhere,
        })
    }

    pub fn root(&self) -> Root {
        self.root.clone()
    }

    pub fn directories(&self) -> impl Iterator<Item = &Path> {
        let own = self.location.directories();
        own.chain(&self.elsewhere).map(PathBuf::as_path)
    }
}

/// For the log, if the mail would be in a home directory that is not there.
fn homeless(account: &Account) -> Option<String> {
    let home = Path::new(&account.home);
    let is_below = home.is_absolute() && account.location.maildir.starts_with(home);
    let error = dir::stat_path(home).err().filter(|_| is_below)?;
    (error.kind() == io::ErrorKind::NotFound).then(|| {
        format!(
            "the mail cannot be opened: the home directory {} does not exist, and {} may not make it: make \
             it, mount it, or let pam_mkhomedir make it (auth.pam_session)",
            home.display(),
            account.user
        )
    })
}

/// For the log.
pub fn problem(path: &Path, error: &dyn std::fmt::Display) -> String {
    format!("the mail cannot be opened: {}: {error}", path.display())
}
