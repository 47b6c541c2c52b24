//! The hierarchy of one user's mailboxes: which folder is which mailbox, and CREATE, DELETE,
//! RENAME.
//!
//! Two layouts, both Dovecot's: Maildir++, where mailbox `A/B` is the folder `.A.B` of the root,
//! and `LAYOUT=fs`, where it is `A/B`.  The root itself is INBOX.  A name above a mailbox that has
//! no folder is listed as not existing; with `LAYOUT=fs` it has a directory without `cur/`.
//!
//! Nothing is kept in memory: other programs make and remove folders as they like, and a listing of
//! 10,000 folders in Maildir++ is one directory read.  Changes are single renames, so that nobody
//! sees half of one: a new folder is made complete under a name that is no mailbox's, and a deleted
//! one is moved away before it is emptied.  Where one command takes several renames (RENAME with
//! children) they are in an order that lets the command be given again after a crash.
//!
//! Directories that other software made under names we would not give (8-bit, broken modified
//! UTF-7, needlessly encoded) are listed under the most likely reading of their names and found by
//! it.  Files, and links that lead nowhere, are no folders; links to directories are.

mod carry;
mod create;
mod links;
mod list;
pub mod make;
pub(super) mod names;
mod rename;
mod roles;
mod trash;

use std::io;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use super::disk::dir::{Access, Dir, DiskError, DiskResult, FileKind, is_gone};
use crate::mail::{Layout, MailboxName, Naming};

pub use crate::mail::SpecialUse as Role;
pub use links::elsewhere;

/// One line of a LIST answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ListedMailbox {
    pub name: MailboxName,
    /// False: there is no folder of this name, only below it (`\NonExistent`).
    pub exists: bool,
    pub children: bool,
    pub role: Option<Role>,
}

/// A mailbox that the configuration speaks of.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GivenMailbox {
    pub name: MailboxName,
    /// It is there for everybody: where it has no folder it gets one when it is needed.
    pub is_there: bool,
    pub role: Option<Role>,
}

/// Why a mailbox operation was refused or failed.
#[derive(Debug)]
pub enum TreeError {
    /// No such mailbox (`[NONEXISTENT]`).
    NotFound,
    /// There is one already (`[ALREADYEXISTS]`).
    Exists,
    /// The name cannot be a folder here; the text says why (`[CANNOT]`).
    Name(&'static str),
    /// What was asked cannot be done to this mailbox; the text says why (`[CANNOT]`).
    Refused(&'static str),
    /// Another mailbox already has the special use (`[USEATTR]`, RFC 6154 3).
    RoleTaken,
    /// Somebody else holds a lock that is needed: try again in a moment (`[INUSE]`).
    Locked,
    Io(DiskError),
}

/// All mailboxes of one user.
#[derive(Clone, Debug)]
pub struct Tree {
    root: PathBuf,
    naming: Naming,
    /// INBOX's folder, from the root or, if it is elsewhere, as a whole path.  It is the root if
    /// nothing else is said, but with `LAYOUT=fs` there are others.
    inbox: Vec<u8>,
    /// Trees of the same shape with indexes, whose folders go where those of the mail go.
    indexes: Vec<PathBuf>,
    /// One with uidlists.
    control: Option<PathBuf>,
    given: Vec<GivenMailbox>,
}

/// A directory that is a mailbox, or with `LAYOUT=fs` one above mailboxes.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Folder {
    name: MailboxName,
    /// From the root; empty for the root.
    path: Vec<u8>,
    is_mailbox: bool,
}

impl Tree {
    /// The tree at `root`.  Looks at the disk to find the layout, and INBOX.
    pub fn open(root: &Path, layout: Layout) -> DiskResult<Tree> {
        if list::is_indexed(root)? {
            let cause = io::Error::new(io::ErrorKind::Unsupported, INDEXED);
            return Err(DiskError::new("open", root, cause));
        }
        let layout = match layout {
            Layout::Detect => list::detect(root)?,
            layout => layout,
        };
        let apart = layout == Layout::Fs
            && !root.join("cur").is_dir()
            && root.join("INBOX").join("cur").is_dir();
        Ok(Tree {
            root: root.to_owned(),
            naming: Naming {
                layout,
                utf8: false,
            },
            inbox: if apart { b"INBOX".to_vec() } else { Vec::new() },
            indexes: Vec::new(),
            control: None,
            given: Vec::new(),
        })
    }

    /// INBOX is here.
    pub fn with_inbox(self, inbox: Option<&Path>) -> Tree {
        let Some(inbox) = inbox else {
            return self;
        };
        let within = inbox.strip_prefix(&self.root).unwrap_or(inbox);
        Tree {
            inbox: within.as_os_str().as_bytes().to_vec(),
            ..self
        }
    }

    pub fn with_utf8_names(mut self, utf8: bool) -> Tree {
        self.naming.utf8 = utf8;
        self
    }

    /// Moves and removes the folders of these trees along with those of the mail.
    pub fn with_indexes(self, mut indexes: Vec<PathBuf>) -> Tree {
        indexes.sort();
        indexes.dedup();
        Tree { indexes, ..self }
    }

    /// Has uidlists and what belongs to them in this tree.
    pub fn with_control(self, control: Option<PathBuf>) -> Tree {
        Tree { control, ..self }
    }

    /// Knows what the configuration says of mailboxes.
    pub fn with_given(self, given: Vec<GivenMailbox>) -> Tree {
        Tree { given, ..self }
    }

    pub fn root(&self) -> &Path {
        &self.root
    }

    /// Never `Layout::Detect`.
    pub fn layout(&self) -> Layout {
        self.naming.layout
    }

    pub fn naming(&self) -> Naming {
        self.naming
    }

    /// INBOX's folder.
    pub fn inbox(&self) -> PathBuf {
        self.absolute(&self.inbox)
    }

    /// The folder of a mailbox that exists.
    pub fn find(&self, name: &MailboxName) -> Result<PathBuf, TreeError> {
        if name.is_inbox() {
            return Ok(self.absolute(&self.inbox));
        }
        match self.locate(&self.open_root()?, name)? {
            Some(folder) if folder.is_mailbox => Ok(self.absolute(&folder.path)),
            _ => Err(TreeError::NotFound),
        }
    }

    /// Finds the folder of a mailbox.  A mailbox that everybody has gets a folder if it has none.
    pub fn find_or_make(&self, name: &MailboxName, now: SystemTime) -> Result<PathBuf, TreeError> {
        match self.find(name) {
            Err(TreeError::NotFound) if self.is_given(name) => match self.create(name, &[], now) {
                // Somebody was faster.
                Err(TreeError::Exists) => self.find(name),
                made => made,
            },
            found => found,
        }
    }

    /// Whether the mailbox is there for everybody.
    pub fn is_given(&self, name: &MailboxName) -> bool {
        let mut there = self.given.iter().filter(|given| given.is_there);
        there.any(|given| given.name == *name)
    }

    /// Every mailbox, and every name above one that has no folder, sorted by name with INBOX first.
    pub fn list(&self) -> Result<Vec<ListedMailbox>, TreeError> {
        let root = match self.open_root() {
            // INBOX is always there (RFC 9051 5.1).
            Err(TreeError::NotFound) => return Ok(list::with_parents(Vec::new(), &self.given)),
            root => root?,
        };
        let mut mailboxes = list::with_parents(self.folders(&root)?, &self.given);
        roles::assign(&root, &mut mailboxes, &self.given);
        Ok(mailboxes)
    }

    /// DELETE (RFC 9051 6.3.5).  The mailbox is gone at once, its files when `sweep` was called
    /// until it had nothing more to do.  Mailboxes below it stay, and its name then is one without
    /// a mailbox, as in Dovecot; such a name cannot be deleted while there is something below it.
    pub fn delete(&self, name: &MailboxName, _now: SystemTime) -> Result<(), TreeError> {
        if name.is_inbox() {
            return Err(TreeError::Refused("INBOX cannot be deleted."));
        }
        let root = self.open_root()?;
        let Some(folder) = self.locate(&root, name)? else {
            // It comes back however often it is deleted, and so it does if it was not there yet.
            return match self.is_given(name) {
                true => Ok(()),
                false => Err(TreeError::NotFound),
            };
        };
        let (above, last) = open_above(&root, &folder.path)?;
        if !folder.is_mailbox {
            return above.remove_dir(last).map_err(|e| match e.kind() {
                io::ErrorKind::DirectoryNotEmpty => TreeError::Refused(HAS_CHILDREN),
                _ => e.into(),
            });
        }
        self.throw(&root, &above, last)?;
        for tree in self.trees_beside() {
            self.throw_beside(&tree, &folder.path);
        }
        roles::or_warn(roles::forget(&root, name));
        above.sync()?;
        Ok(())
    }

    /// Takes away the folder `name` in `above`, but not what is below it.
    fn throw(&self, root: &Dir, above: &Dir, name: &[u8]) -> DiskResult<()> {
        // The link to a folder is the mailbox; what it leads to belongs to somebody else.
        if above
            .stat(name)?
            .is_some_and(|stat| stat.kind == FileKind::Link)
        {
            return above.unlink(name);
        }
        if self.naming.layout == Layout::Fs {
            let folder = above.open_dir(name)?;
            let children = list::directories(&folder, &list::is_no_part)?;
            if !children.is_empty() {
                let unwanted = |part: &[u8]| !children.iter().any(|child| child == part);
                return trash::throw_parts(root, &folder, &unwanted);
            }
        }
        trash::throw(root, self.naming.layout, above, name)
    }

    /// Removes the files of deleted mailboxes until none are left (true) or the time slice is used
    /// up; also what was left behind long ago by others.
    pub fn sweep(&self, now: SystemTime, over: &dyn Fn() -> bool) -> DiskResult<bool> {
        for tree in self.trees_beside() {
            if !trash::sweep(&tree, now, over)? {
                return Ok(false);
            }
        }
        trash::sweep(&Dir::open(&self.root)?, now, over)
    }

    /// The directory of this name, which may be none that we would have made.
    fn locate(&self, root: &Dir, name: &MailboxName) -> Result<Option<Folder>, TreeError> {
        if let Some(folder) = self.locate_canonical(root, name)? {
            return Ok(Some(folder));
        }
        let folders = self.folders(root)?;
        Ok(folders.into_iter().find(|folder| folder.name == *name))
    }

    fn locate_canonical(
        &self,
        root: &Dir,
        name: &MailboxName,
    ) -> Result<Option<Folder>, TreeError> {
        let Ok(path) = names::path(name, self.naming) else {
            return Ok(None);
        };
        let is_directory = |path: &[u8]| {
            let stat = root.stat_target(path)?;
            DiskResult::Ok(stat.is_some_and(|stat| stat.kind == FileKind::Directory))
        };
        if !is_directory(&path)? {
            return Ok(None);
        }
        let is_mailbox = match self.naming.layout {
            Layout::Fs => is_directory(&[path.as_slice(), b"/cur"].concat())?,
            _ => true,
        };
        Ok(Some(Folder {
            name: name.clone(),
            path,
            is_mailbox,
        }))
    }

    fn folders(&self, root: &Dir) -> DiskResult<Vec<Folder>> {
        list::folders(root, self.naming, &self.inbox)
    }

    fn open_root(&self) -> Result<Dir, TreeError> {
        Ok(Dir::open(&self.root)?)
    }

    /// The trees with what belongs to the folders and is not in them, as far as they are there.
    fn trees_beside(&self) -> Vec<Dir> {
        let paths = self.indexes.iter().chain(&self.control);
        paths.filter_map(|path| Dir::open(path).ok()).collect()
    }

    /// Where UIDVALIDITYs are taken, and uidlists made.
    fn open_control(&self) -> Result<Dir, TreeError> {
        Ok(Dir::open(self.control.as_ref().unwrap_or(&self.root))?)
    }

    /// Takes away what a tree beside has of a folder that is gone.  What stays does no harm: it is
    /// older than what comes there next, and seen to be.
    fn throw_beside(&self, tree: &Dir, path: &[u8]) {
        if let Ok((above, last)) = open_above(tree, path)
            && let Err(error) = self.throw(tree, &above, last)
            && !is_gone(&error)
        {
            log::debug!("{error}");
        }
    }

    fn absolute(&self, path: &[u8]) -> PathBuf {
        self.root.join(std::ffi::OsStr::from_bytes(path))
    }
}

/// The directory at a path of any number of components.
fn open_path(root: &Dir, path: &[u8]) -> DiskResult<Dir> {
    let mut directory = root.clone();
    for component in path
        .split(|&byte| byte == b'/')
        .filter(|name| !name.is_empty())
    {
        directory = directory.open_dir(component)?;
    }
    Ok(directory)
}

/// The directory a path lies in, and its name there.
fn open_above<'a>(root: &Dir, path: &'a [u8]) -> DiskResult<(Dir, &'a [u8])> {
    let (above, last) = split_last(path);
    Ok((open_path(root, above)?, last))
}

/// The directory a path lies in, and its name there.  Makes the directories that are missing.
fn make_above<'a>(
    root: &Dir,
    path: &'a [u8],
    access: &Access,
) -> Result<(Dir, &'a [u8]), TreeError> {
    let (above, last) = split_last(path);
    let mut directory = root.clone();
    for component in above
        .split(|&byte| byte == b'/')
        .filter(|name| !name.is_empty())
    {
        match directory.make_dir(component, access) {
            Err(e) if e.kind() == io::ErrorKind::AlreadyExists => {}
            made => made?,
        }
        directory = directory.open_dir(component).map_err(taken)?;
    }
    Ok((directory, last))
}

fn split_last(path: &[u8]) -> (&[u8], &[u8]) {
    match path.iter().rposition(|&byte| byte == b'/') {
        // `slash` is the position of a byte of `path`.
        Some(slash) => path
            .split_at_checked(slash)
            .map_or((b"", path), |(above, last)| {
                (above, last.get(1..).unwrap_or_default())
            }),
        None => (b"", path),
    }
}

fn is_taken(e: &DiskError) -> bool {
    use io::ErrorKind::{AlreadyExists, DirectoryNotEmpty};
    matches!(e.kind(), AlreadyExists | DirectoryNotEmpty)
}

/// What a failed rename to a mailbox's place, or an `open` of a directory there, means.
fn taken(e: DiskError) -> TreeError {
    match e.kind() {
        _ if is_taken(&e) => TreeError::Exists,
        io::ErrorKind::NotADirectory => TreeError::Refused(FILE_IN_THE_WAY),
        io::ErrorKind::NotFound => TreeError::NotFound,
        _ => TreeError::Io(e),
    }
}

impl From<DiskError> for TreeError {
    fn from(e: DiskError) -> TreeError {
        match e.kind() {
            io::ErrorKind::NotFound => TreeError::NotFound,
            _ => TreeError::Io(e),
        }
    }
}

const HAS_CHILDREN: &str = "There are mailboxes below it; delete them first.";
const INDEXED: &str = "its folders are Dovecot's LAYOUT=index, which Roost cannot serve; with Dovecot, \
     doveadm sync copies them into a Maildir of another layout";
const FILE_IN_THE_WAY: &str = "A file of this name is in the way.";

#[cfg(test)]
mod tests;
