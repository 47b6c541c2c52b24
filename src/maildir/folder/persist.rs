//! The folder and its index: when it is written, and STATUS without opening the folder.

use std::path::Path;
use std::time::SystemTime;

use super::dirs::Dirs;
use super::error::FolderError;
use super::scan::must_list;
use super::state::counts::FolderStatus;
use super::state::messages::Message;
use super::{Folder, Held};
use crate::log::ONCE;
use crate::maildir::Maildir;
use crate::maildir::disk::dir::{self, Dir, DiskResult};
use crate::maildir::disk::report;
use crate::maildir::own::index::{self, FileState, IndexHeader};

impl Folder {
    /// Writes the index if anything changed.  Failure is logged only: it is a cache.
    pub fn write_index(&mut self, now: SystemTime) {
        if !self.served || !self.work.is_idle() || self.is_committing() {
            return;
        }
        self.record_directories(now);
        if !self.stale {
            return;
        }
        let held = !matches!(self.held, Held::No);
        match self.lock(now) {
            Ok(true) => {
                if let Err(error) = self.write_index_locked(now) {
                    report::without(&error, UNWRITTEN);
                }
                if !held {
                    self.unlock();
                }
            }
            // The process that holds the lock needs it.  What the index lacks is found again.
            Ok(false) => (),
            Err(error) => {
                let (path, error) = (self.path.display(), error.explained());
                log::warn!(target: ONCE, "{path}: the index cannot be written: {error}");
            }
        }
    }

    fn write_index_locked(&mut self, now: SystemTime) -> DiskResult<()> {
        self.absorb_foreign_index()?;
        // What others gave is about to be forgotten.
        self.heed_modseqs()?;
        self.modseqs.close_ranks();
        self.record_directories(now);
        let header = self.header();
        let gone = self.counts.gone > 0;
        let written = if gone {
            let mut table = self.table.clone();
            table.retain(|row| !row.is_gone());
            index::write(
                &self.dirs.index,
                &self.dirs.access,
                &header,
                &table,
                &self.history,
            )
        } else {
            self.table.compact();
            let Dirs { index, access, .. } = &self.dirs;
            index::write(index, access, &header, &self.table, &self.history)
        };
        self.index = Some(written?);
        self.stale = false;
        self.modseqs.restart(&self.dirs.access)
    }

    /// Another process that has the folder open wrote the index since we read it: its modseqs and
    /// expunges must not be lost.
    pub(super) fn absorb_foreign_index(&mut self) -> DiskResult<()> {
        let state = index::state(&self.dirs.index)?;
        if state.is_none() || state == self.index {
            return Ok(());
        }
        let Some((other, _)) = index::read(&self.dirs.index, &[&self.dirs.cur, &self.dirs.new])?
        else {
            return Ok(());
        };
        if other.header.uid_validity == self.uids.uid_validity {
            self.table.absorb(&other.table);
            self.history.absorb(&other.history);
            self.modseqs.take_over(other.header.highest_modseq);
            self.first_recent = self.first_recent.max(other.header.first_recent);
            self.index = state;
        }
        Ok(())
    }

    fn header(&mut self) -> IndexHeader {
        let counts = self.counts();
        let rows = self.table.rows();
        let from = rows.partition_point(|row| row.uid().0 < self.first_recent);
        let recent = rows.get(from..).unwrap_or_default().iter();
        IndexHeader {
            uid_validity: self.uids.uid_validity,
            uid_next: self.uids.next,
            first_recent: self.first_recent,
            recent: count(recent.filter(|row| !row.is_gone())),
            highest_modseq: self.modseqs.highest(),
            mailbox_id: self.uids.mailbox_id.clone(),
            counts,
            cur: self.cur,
            new: self.new,
            // Records that are in neither the table nor the index have to be read again.
            uidlist: match self.uids.listed.is_empty() {
                true => self.uids.state,
                false => FileState::default(),
            },
            records: u32::try_from(self.uids.records).unwrap_or(u32::MAX),
        }
    }
}

/// STATUS from the header of the index alone; `None` if that is not up to date: open and sync.
pub fn status(
    maildir: &Maildir,
    directory: &Path,
    now: SystemTime,
) -> Result<Option<FolderStatus>, FolderError> {
    let dir = match Dir::open_below(maildir.root(), directory) {
        Err(error) if dir::is_gone(&error) => return Err(FolderError::Missing),
        other => other?,
    };
    let header = match maildir.index_directory(directory) {
        Some(path) => Dir::open(&path).and_then(|index| index::read_header(&index)),
        None => index::read_header(&dir),
    };
    // What is wrong with the index is logged when the folder is opened.
    let Ok(Some(header)) = header else {
        return Ok(None);
    };
    let uidlist = match maildir.control_directory(directory) {
        Some(path) => match Dir::open(&path) {
            Err(error) if dir::is_gone(&error) => return Ok(None),
            control => control?.stat_target(super::uids::FILE)?,
        },
        None => dir.stat_target(super::uids::FILE)?,
    };
    let stats = (dir.stat_target(b"cur")?, dir.stat_part(b"new")?, uidlist);
    let (Some(cur), Some(new), Some(uidlist)) = stats else {
        return Ok(None);
    };
    let holds = !must_list(&header.cur, &cur, now)
        && !must_list(&header.new, &new, now)
        && header.uidlist == FileState::of(&uidlist);
    Ok(holds.then(|| header.status()))
}

const UNWRITTEN: &str = "the next one to open the folder has to look through more of it";

fn count<'a>(rows: impl Iterator<Item = &'a Message>) -> u32 {
    u32::try_from(rows.count()).unwrap_or(u32::MAX)
}
