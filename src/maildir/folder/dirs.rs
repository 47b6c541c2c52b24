//! The directories of one folder.

use std::io;
use std::path::{Path, PathBuf};

use super::error::FolderError;
use super::seek::Places;
use crate::maildir::Maildir;
use crate::maildir::disk::dir::{self, Access, Dir, DiskResult, Stat};
use crate::maildir::disk::watch::Place;

/// The directories of a folder, kept open.
#[derive(Debug)]
pub(super) struct Dirs {
    pub dir: Dir,
    pub cur: Dir,
    pub new: Dir,
    pub tmp: Dir,
    /// Where roost.index and roost.modseq are.
    pub index: Dir,
    /// Where dovecot-uidlist, dovecot-keywords and their lock are.
    pub control: Dir,
    pub access: Access,
    pub opened: Stat,
    cur_inode: u64,
    new_inode: u64,
}

impl Dirs {
    pub fn open(maildir: &Maildir, directory: &Path) -> Result<Dirs, FolderError> {
        let dir = match Dir::open_below(maildir.root(), directory) {
            Err(error) if dir::is_gone(&error) => return Err(FolderError::Missing),
            other => other?,
        };
        let access = dir.access()?;
        let beside = |path: Option<PathBuf>| match path {
            Some(path) => make_path(&path, &access),
            None => Ok(dir.clone()),
        };
        let index = beside(maildir.index_directory(directory))?;
        let control = beside(maildir.control_directory(directory))?;
        let cur = open_or_make(&dir, b"cur", &access)?;
        let new = open_or_make_part(&dir, b"new", &access)?;
        Ok(Dirs {
            cur_inode: cur.stat_self()?.inode,
            new_inode: new.stat_self()?.inode,
            cur,
            new,
            tmp: open_or_make_part(&dir, b"tmp", &access)?,
            index,
            control,
            access,
            opened: dir.stat_self()?,
            dir,
        })
    }

    pub fn at(&self, place: Place) -> &Dir {
        match place {
            Place::Cur => &self.cur,
            Place::New => &self.new,
        }
    }

    pub fn is_cur(&self, cur: &Dir) -> DiskResult<bool> {
        Ok(cur.stat_self()?.inode == self.cur_inode)
    }

    pub fn places(&self) -> Places<'_> {
        Places {
            cur: &self.cur,
            new: &self.new,
        }
    }

    /// Whether the directories of these names are the ones that are open.
    pub fn are(&self, cur: &Stat, new: &Stat) -> bool {
        (cur.inode, new.inode) == (self.cur_inode, self.new_inode)
    }

    /// cur/ or new/ was replaced by another directory of that name.
    pub fn reopen(&mut self) -> DiskResult<()> {
        self.cur = open_or_make(&self.dir, b"cur", &self.access)?;
        self.new = open_or_make_part(&self.dir, b"new", &self.access)?;
        self.cur_inode = self.cur.stat_self()?.inode;
        self.new_inode = self.new.stat_self()?.inode;
        self.tmp = open_or_make_part(&self.dir, b"tmp", &self.access)?;
        Ok(())
    }
}

/// Opens or makes a directory that a folder can do without if it is a link that is not followed.
fn open_or_make_part(dir: &Dir, name: &[u8], access: &Access) -> DiskResult<Dir> {
    match open_or_make(dir, name, access) {
        Err(error) if dir::is_loop(&error) => dir.open_part(name),
        opened => opened,
    }
}

fn open_or_make(dir: &Dir, name: &[u8], access: &Access) -> DiskResult<Dir> {
    match dir.open_dir(name) {
        Err(error) if dir::is_gone(&error) => match dir.make_dir(name, access) {
            Err(error) if error.kind() != io::ErrorKind::AlreadyExists => Err(error),
            _ => dir.open_dir(name),
        },
        other => other,
    }
}

/// Opens `path`, making what is missing of it.
fn make_path(path: &Path, access: &Access) -> DiskResult<Dir> {
    match (Dir::open(path), path.parent(), path.file_name()) {
        (Err(error), Some(parent), Some(name)) if dir::is_gone(&error) => {
            open_or_make(&make_path(parent, access)?, name.as_encoded_bytes(), access)
        }
        (other, _, _) => other,
    }
}
