//! A folder's UIDs: the table of messages and `dovecot-uidlist` kept in agreement.
//!
//! Every UID below [`Uids::next`] is decided: it is in the table, or gone for good and never given
//! again.  Records above are *listed*: another process gave the UID, and the file has not been seen
//! yet.

use std::io;
use std::time::{Duration, SystemTime};

use aws_lc_rs::digest::{SHA256, digest};

use super::state::history::History;
use super::state::messages::Message;
use super::state::table::{NewRow, Table};
use super::{Folder, FolderError, Held, Told};
use crate::mail::{Fsync, Uid};
use crate::maildir::courier;
use crate::maildir::disk::dir::{Dir, DiskError, DiskResult, Time};
use crate::maildir::disk::report;
use crate::maildir::dovecot::uidlist::{
    Durable, KnownUidlist, New, Refreshed, Uidlist, UidlistError, UidlistRecord,
};
use crate::maildir::dovecot::uidvalidity;
use crate::maildir::own::index::FileState;

#[derive(Debug, Default)]
pub(super) struct Uids {
    /// 0 before the uidlist or the index has been read.
    pub uid_validity: u32,
    /// UIDNEXT as far as clients are told.
    pub next: u32,
    pub mailbox_id: String,
    /// The file as it is in `list`, or in the table.
    pub state: FileState,
    /// How many records it has.
    pub records: usize,
    list: Option<Uidlist>,
    /// Records with a UID from `next` on.
    pub listed: Table,
    /// Up to here `listed` was read before the last full scan began.
    pub scanned: u32,
    /// Every UID below was that of a message in the table, or is in the history.
    pub accounted: u32,
    /// UIDs were appended and not yet forced to the disk.
    pub unsettled: bool,
    /// Some message of the table has no record.
    incomplete: bool,
    /// The UIDVALIDITY is ours and was never on the disk, which is full or cannot be written to.
    fresh: bool,
}

impl Uids {
    pub fn take_over(
        &mut self,
        uid_validity: u32,
        next: u32,
        mailbox_id: String,
        (state, records): (FileState, u32),
    ) {
        self.uid_validity = uid_validity;
        self.next = next;
        self.accounted = next;
        self.mailbox_id = mailbox_id;
        self.state = state;
        self.records = usize::try_from(records).unwrap_or(usize::MAX);
    }

    /// Whether the file has changed since it was read or written.
    pub fn changed(&self, dir: &Dir) -> DiskResult<bool> {
        let on_disk = dir.stat_target(FILE)?;
        Ok(on_disk.is_none_or(|stat| FileState::of(&stat) != self.state))
    }

    /// UIDNEXT of the file, if it has been read.
    pub fn next_on_disk(&self) -> u32 {
        self.list.as_ref().map_or(0, |list| list.uid_next().0)
    }

    /// Some record's file has not been seen.
    pub fn has_unfound(&self) -> bool {
        (0..self.listed.len()).any(|index| !self.listed.is_found(index))
    }

    /// The files of all records are to be seen once more.
    pub fn forget_found(&mut self) {
        for index in 0..self.listed.len() {
            if let Some(row) = self.listed.row_mut(index) {
                row.set_unfound();
            }
        }
    }

    /// After a full scan: records read before it whose file was not seen are gone for good.
    pub fn drop_unfound(&mut self) {
        let scanned = self.scanned;
        self.listed
            .retain(|row| row.is_found() || row.uid().0 > scanned);
    }
}

impl Folder {
    /// Reads what changed in the uidlist, makes one if there is none; needs the lock.
    pub(super) fn refresh_uids(&mut self, now: SystemTime) -> Result<(), FolderError> {
        let dir = self.dirs.control.clone();
        let Some(stat) = dir.stat_target(FILE)? else {
            return self.make_uidlist(now);
        };
        if FileState::of(&stat) == self.uids.state {
            return Ok(());
        }
        let refreshed = match &mut self.uids.list {
            Some(list) => list.refresh(&dir)?,
            none => match Uidlist::read(&dir)? {
                Some(list) => {
                    *none = Some(list);
                    Refreshed::Replaced
                }
                None => Refreshed::Gone,
            },
        };
        match refreshed {
            Refreshed::Same => (),
            Refreshed::Appended(from) => {
                let superseded = self.list_records(from);
                self.expunge_superseded(superseded, now)?;
            }
            Refreshed::Replaced => {
                let unknown = self.uids.uid_validity == 0;
                self.reconcile(now)?;
                if unknown {
                    // Just created, if nothing was ever in it.
                    self.found_modseqs(self.uids.next_on_disk() == 1, now);
                }
            }
            Refreshed::Gone => return self.make_uidlist(now),
        }
        self.uids.state = FileState::of(&stat);
        let list_is_short = self
            .uids
            .list
            .as_ref()
            .is_some_and(|list| list.uid_next().0 < self.uids.next);
        if self.uids.incomplete || list_is_short {
            return self.restore_uidlist();
        }
        if self.uids.list.as_ref().is_some_and(Uidlist::needs_rewrite) {
            return self.rewrite_uidlist();
        }
        self.forget_records();
        Ok(())
    }

    /// What the records say is in the table, or listed.
    fn forget_records(&mut self) {
        if let Some(list) = &mut self.uids.list {
            self.uids.records = list.total();
            list.forget_records();
        }
    }

    /// Takes up the records of the list from `from` on.  Returns the rows of messages whose file
    /// has got another UID by one of them.
    fn list_records(&mut self, from: usize) -> Vec<usize> {
        let mut superseded = Vec::new();
        let Some(list) = &self.uids.list else {
            return superseded;
        };
        let first_new = self.uids.listed.len();
        for record in list.records().skip(from) {
            list_record(&mut self.uids.listed, self.uids.next, &record);
        }
        for listed in first_new..self.uids.listed.len() {
            superseded.extend(self.table.find_live(self.uids.listed.base(listed)));
        }
        superseded
    }

    /// Another program gave the files of these messages new UIDs: it saw them deleted, and then put
    /// back, where we did not.  Under the old ones they are gone.  A look at the files finds out
    /// about the new ones, because only the old ones are known here.
    fn expunge_superseded(
        &mut self,
        superseded: Vec<usize>,
        now: SystemTime,
    ) -> Result<(), FolderError> {
        if superseded.is_empty() {
            return Ok(());
        }
        let modseq = self.next_modseq(now)?;
        for index in superseded {
            self.expunge_row(index, modseq);
        }
        self.scan_wanted = true;
        Ok(())
    }

    /// Compares the whole list with the table.
    fn reconcile(&mut self, now: SystemTime) -> Result<(), FolderError> {
        let Some(mut list) = self.uids.list.take() else {
            return Ok(());
        };
        let ours = self.uids.uid_validity;
        if list.uid_validity() == 0 {
            // Its first line is broken.  Without ours the records mean nothing.
            match ours {
                0 => list.replace_uid_validity(self.next_uid_validity(now)?),
                ours => list.restore_header(ours, Uid(self.uids.next)),
            }
        }
        if ours != 0 && list.uid_validity() != ours {
            if self.served {
                return Err(FolderError::Replaced(format!(
                    "{}/dovecot-uidlist: its UIDVALIDITY is {} now, and was {ours}",
                    self.path.display(),
                    list.uid_validity()
                )));
            }
            self.forget_everything();
            self.uids.next = 0;
            self.uids.listed = Table::default();
            if list.uid_validity() < ours {
                return self.renumber(list, now);
            }
        }
        self.uids.uid_validity = list.uid_validity();
        self.uids.mailbox_id = list.guid().to_owned();
        let seen = std::mem::take(&mut self.uids.listed);
        let superseded = self.compare(&list);
        self.uids.list = Some(list);
        self.keep_sightings(&seen);
        self.expunge_superseded(superseded, now)
    }

    /// Keeps which files have been seen of records that were there before the list was written
    /// anew, because no event or scan tells of them again.
    fn keep_sightings(&mut self, before: &Table) {
        let mut name = Vec::new();
        for (index, row) in before.rows().iter().enumerate() {
            if row.is_found() {
                before.write_name(index, &mut name);
                let (table, listed) = (&mut self.table, &mut self.uids.listed);
                self.findings.see(row.place(), &name, table, listed, None);
            }
        }
    }

    /// Finds messages of the table without their record, and records that are new.  Returns the
    /// rows of messages whose file has got another UID.
    fn compare(&mut self, list: &Uidlist) -> Vec<usize> {
        self.uids
            .listed
            .reserve(list.len().saturating_sub(self.table.len()), 0);
        let mut index = 0;
        let mut strays = Vec::new();
        for record in list.records() {
            while self
                .table
                .rows()
                .get(index)
                .is_some_and(|row| row.uid() < record.uid)
            {
                strays.push(index);
                index += 1;
            }
            if self.table.uid(index) == record.uid.0 {
                if self.table.base(index) != record.base {
                    strays.push(index);
                }
                index += 1;
            } else {
                list_record(&mut self.uids.listed, self.uids.next, &record);
            }
        }
        strays.extend(index..self.table.len());
        strays.retain(|&index| self.is_superseded(index, list));
        strays
    }

    /// Whether the file of a message of the table that has no record any more has another UID.
    fn is_superseded(&mut self, index: usize, list: &Uidlist) -> bool {
        if self.table.rows().get(index).is_none_or(Message::is_gone) {
            return false;
        }
        let base = self.table.base(index);
        let other = list.find(base).and_then(|at| list.record(at));
        let superseded = other.is_some_and(|record| record.uid.0 >= self.uids.next);
        // Else the list is older than what clients were told, or damaged.
        self.uids.incomplete |= !superseded;
        superseded
    }

    /// A list with a lower UIDVALIDITY than ours came back, from a backup perhaps.  Its UIDs may
    /// have been given to other messages since it was made: all messages get new ones.
    fn renumber(&mut self, mut list: Uidlist, now: SystemTime) -> Result<(), FolderError> {
        let next = self
            .next_uid_validity(now)?
            .max(self.uids.uid_validity.saturating_add(1));
        log::warn!(
            "{}: UIDVALIDITY {} is older than {}: every message gets a new UID",
            self.path.display(),
            list.uid_validity(),
            self.uids.uid_validity
        );
        list.replace_uid_validity(next);
        self.uids.uid_validity = next;
        self.uids.mailbox_id = list.guid().to_owned();
        self.uids.list = Some(list);
        self.rewrite_uidlist()
    }

    /// Makes a uidlist, if there is none, from what else is known of the UIDs.
    fn make_uidlist(&mut self, now: SystemTime) -> Result<(), FolderError> {
        if self.uids.uid_validity != 0 {
            if self.uids.state != FileState::default() {
                self.uids.state = FileState::default();
                log::warn!(
                    "{}: dovecot-uidlist is gone: making it anew",
                    self.path.display()
                );
            }
            self.uids.next = self.uids.next.max(self.least_unused_uid());
            self.uids.list = None;
            return self.restore_uidlist();
        }
        let dovecot = self.modseqs.dovecot().cloned().unwrap_or_default();
        let list = match courier::uiddb(&self.path)? {
            Some(uiddb) => {
                let records = uiddb.records.iter().map(|(uid, base)| {
                    let new = New { base, guid: None };
                    (Uid(*uid), new)
                });
                self.courier_keywords = courier::keywords(&self.path).unwrap_or_else(|error| {
                    report::without(&error, "the keywords that Courier kept are not taken over");
                    Vec::new()
                });
                Uidlist::restored(uiddb.uid_validity, Uid(uiddb.next_uid), None, records)
            }
            // Dovecot's index does not say which message had which UID, but which were given.
            None if dovecot.uid_validity != 0 && dovecot.next_uid != 0 => {
                Uidlist::new(dovecot.uid_validity, Uid(dovecot.next_uid))
            }
            None => {
                // Should it be lost before it is on the disk, there will be another UIDVALIDITY.
                self.uids.fresh = true;
                Uidlist::new(self.next_uid_validity(now)?, Uid(1))
            }
        };
        self.uids.uid_validity = list.uid_validity();
        self.uids.mailbox_id = list.guid().to_owned();
        self.found_modseqs(list.is_empty(), now);
        for record in list.records() {
            list_record(&mut self.uids.listed, 0, &record);
        }
        self.uids.list = Some(list);
        if !self.uids.fresh {
            return self.rewrite_uidlist();
        }
        self.uids.unsettled = true;
        self.write_uidlist(Durable::Never)
    }

    /// A UID above all that were told, as far as can be known without the uidlist.
    fn least_unused_uid(&mut self) -> u32 {
        let ours = self.uids.uid_validity;
        let dovecot = match self.modseqs.dovecot() {
            Some(summary) if summary.uid_validity == ours => summary.next_uid,
            _ => 0,
        };
        dovecot.max(self.modseqs.least_unused_uid())
    }

    fn next_uid_validity(&self, now: SystemTime) -> Result<u32, FolderError> {
        let root = Dir::open(&self.control_root)?;
        Ok(uidvalidity::next(&root, &root.access()?, now))
    }

    /// Writes the uidlist from the table and from what of the list the table does not have.
    fn restore_uidlist(&mut self) -> Result<(), FolderError> {
        let old = self.uids.list.take();
        let mut records: Vec<(Uid, New<'_>)> = Vec::with_capacity(self.table.len());
        for (index, row) in (0..).zip(self.table.rows()) {
            if !row.is_gone() {
                let (base, guid) = (self.table.base(index), self.table.own_guid(index));
                records.push((row.uid(), New { base, guid }));
            }
        }
        let next = Uid(self.uids.next);
        let list = match &old {
            Some(old) => {
                let mut list = old.clone();
                for record in old.records().filter(|record| record.uid >= next) {
                    let (base, guid) = (record.base, record.guid());
                    records.push((record.uid, New { base, guid }));
                }
                list.raise_uid_next(next);
                list.replace_records(records.into_iter());
                list
            }
            None => {
                let id = Some(self.uids.mailbox_id.as_str());
                Uidlist::restored(self.uids.uid_validity, next, id, records.into_iter())
            }
        };
        self.uids.list = Some(list);
        self.uids.incomplete = false;
        self.rewrite_uidlist()
    }

    /// Writes the list as it is in memory.
    fn rewrite_uidlist(&mut self) -> Result<(), FolderError> {
        self.write_uidlist(durable(self.fsync))
    }

    /// If the disk is full or cannot be written to, the UIDs in memory are used for now.
    fn write_uidlist(&mut self, durable: Durable) -> Result<(), FolderError> {
        let (Held::Lock(lock), Some(list)) = (&self.held, &mut self.uids.list) else {
            return Ok(());
        };
        let written = list.rewrite(
            &self.dirs.control,
            lock,
            &self.dirs.access,
            &mut |_, _| true,
            durable,
        );
        match written.map_err(|error| uidlist_error(error, &self.dirs.control)) {
            Err(FolderError::Full(error) | FolderError::Denied(error)) => {
                if !std::mem::replace(&mut self.complained, true) {
                    self.warn("dovecot-uidlist cannot be written", &error);
                }
                Ok(())
            }
            Err(error) => Err(error),
            Ok(()) => {
                self.uids.fresh = false;
                self.complained = false;
                self.note_uidlist()?;
                self.forget_records();
                Ok(())
            }
        }
    }

    /// If this is a backup's copy of the folder that clients were told this of, new messages get
    /// UIDs above, and every message counts as changed.
    pub(super) fn go_on_from(&mut self, told: Told) -> Result<(), FolderError> {
        let dir = self.dirs.control.clone();
        let list = Uidlist::read(&dir)?;
        let validity = list
            .as_ref()
            .map_or(self.uids.uid_validity, Uidlist::uid_validity);
        if validity == 0 || validity != told.uid_validity {
            return Ok(());
        }
        match (&self.held, list) {
            (Held::Lock(lock), Some(mut list)) if list.uid_next().0 < told.uid_next => {
                list.raise_uid_next(Uid(told.uid_next));
                let (access, durable) = (&self.dirs.access, durable(self.fsync));
                list.rewrite(&dir, lock, access, &mut |_, _| true, durable)
                    .map_err(|error| uidlist_error(error, &self.dirs.control))?;
            }
            (_, None) => self.uids.next = self.uids.next.max(told.uid_next),
            _ => (),
        }
        self.modseqs.take_over(told.highest_modseq);
        self.modseqs.doubtful = vec![(1, u32::MAX)];
        self.history = History::starting_at(told.highest_modseq.saturating_add(1));
        Ok(())
    }

    /// Waits until the UIDs given so far are on the disk.
    pub(super) fn settle_uids(&mut self) -> Result<(), FolderError> {
        if !std::mem::take(&mut self.uids.unsettled) || self.fsync == Fsync::Never {
            return Ok(());
        }
        if let Some(list) = &mut self.uids.list {
            list.settle(&self.dirs.control)?;
        }
        Ok(())
    }

    /// The uidlist on disk is what we wrote.
    fn note_uidlist(&mut self) -> Result<(), FolderError> {
        if let Some(stat) = self.dirs.control.stat_target(FILE)? {
            self.uids.state = FileState::of(&stat);
        }
        Ok(())
    }

    /// Gives UIDs to new messages, in this order; needs the lock and a `refresh_uids` under it.
    /// They are on disk after `settle`.
    pub(super) fn append_uids(&mut self, new: &[New<'_>]) -> Result<u32, FolderError> {
        if self.uids.fresh {
            // After the first look another process would give other UIDs to the same messages.
            return match self.served {
                false => self.append_in_memory(new.len()),
                true => {
                    let why = io::ErrorKind::ReadOnlyFilesystem;
                    Err(DiskError::new("write", &self.path.join("dovecot-uidlist"), why).into())
                }
            };
        }
        let dir = self.dirs.control.clone();
        if self.uids.list.is_none() {
            let known = KnownUidlist {
                inode: self.uids.state.inode,
                size: self.uids.state.size,
                mtime: self.uids.state.mtime,
                records: self.uids.records,
                next_uid: Uid(self.uids.next),
            };
            self.uids.list = match Uidlist::resume(&dir, &known)? {
                Some(list) => Some(list),
                None => Uidlist::read(&dir)?,
            };
        }
        let (Held::Lock(lock), Some(list)) = (&self.held, &mut self.uids.list) else {
            return Err(self.held.why_not(&self.dirs.control).into());
        };
        let later = match self.fsync {
            Fsync::Never => Durable::Never,
            Fsync::Always | Fsync::Optimized => Durable::No,
        };
        let first = list.append(&dir, lock, new, later).map_err(|error| {
            // The file has to be read before the next try.
            self.uids.state = FileState::default();
            uidlist_error(error, &self.dirs.control)
        })?;
        self.uids.next = list.uid_next().0;
        self.uids.unsettled = true;
        if list.needs_rewrite() || list.wants_compaction(self.table.len() + new.len()) {
            let (table, listed) = (&self.table, &self.uids.listed);
            let mut live = |_, record: UidlistRecord<'_>| {
                let uid = record.uid.0;
                uid >= first.0 || table.index_of(uid).is_ok() || listed.index_of(uid).is_ok()
            };
            let access = &self.dirs.access;
            match list.rewrite(&dir, lock, access, &mut live, later) {
                // The records count, because they are there and others may have read them.
                Err(UidlistError::Io(error)) => {
                    let path = self.path.display();
                    log::warn!("{path}: dovecot-uidlist is longer than it need be: {error}");
                }
                other => other.map_err(|error| uidlist_error(error, &self.dirs.control))?,
            }
        }
        self.note_uidlist()?;
        self.forget_records();
        Ok(first.0)
    }
}

impl Folder {
    /// Where no UIDs can be written, UIDVALIDITY is the time of the last change of the directories,
    /// and the UIDs follow from the names, so that every process finds the same.  The directories
    /// must have been looked at after the second that is the UIDVALIDITY; false: another look is
    /// needed.  It is called before the first look ends.
    pub(super) fn settle_on_validity(&mut self, now: SystemTime) -> Result<bool, FolderError> {
        if !self.uids.fresh {
            return Ok(true);
        }
        let (cur, new) = self.stat_directories()?;
        let listed = self.cur.mtime == cur.mtime && self.new.mtime == new.mtime;
        let last = cur.mtime.max(new.mtime).seconds;
        if !listed || Time::from(now).seconds <= last {
            self.forget_everything();
            self.uids = Uids::default();
            let over = SystemTime::from(cur.mtime.max(new.mtime)) + Duration::from_secs(1);
            self.settles_at = Some(over.min(now + Duration::from_secs(1)));
            return Ok(false);
        }
        self.uids.uid_validity = u32::try_from(last).unwrap_or(1).max(1);
        let place = format!("{:?} {last}", (cur.device, cur.inode));
        let id = digest(&SHA256, place.as_bytes());
        let id = id.as_ref().iter().take(16);
        self.uids.mailbox_id = id.map(|byte| format!("{byte:02x}")).collect();
        // What is written when it can be is made of the table.
        self.uids.list = None;
        Ok(true)
    }

    /// UIDs that no file has.
    fn append_in_memory(&mut self, count: usize) -> Result<u32, FolderError> {
        let first = self.uids.next.max(1);
        let count = u32::try_from(count).ok();
        let next = count.and_then(|count| first.checked_add(count));
        self.uids.next =
            next.ok_or_else(|| uidlist_error(UidlistError::NoUids, &self.dirs.control))?;
        Ok(first)
    }
}

fn list_record(listed: &mut Table, next: u32, record: &UidlistRecord<'_>) {
    if record.uid.0 < next {
        return;
    }
    let added = listed.push(NewRow {
        uid: record.uid.0,
        base: record.base,
        guid: record.guid().filter(|guid| *guid != record.base),
        modseq: 0,
    });
    if added {
        let index = listed.len() - 1;
        if let Some(row) = listed.row_mut(index) {
            row.set_sizes(record.size(), record.virtual_size());
        }
    }
}

fn durable(fsync: Fsync) -> Durable {
    match fsync {
        Fsync::Never => Durable::Never,
        Fsync::Always | Fsync::Optimized => Durable::Yes,
    }
}

fn uidlist_error(error: UidlistError, dir: &Dir) -> FolderError {
    let other = |what: &'static str| dir.failure("write", FILE, io::Error::other(what)).into();
    match error {
        UidlistError::Io(error) => error.into(),
        // 4 billion messages later.
        UidlistError::NoUids => other("the folder has used up its UIDs"),
        UidlistError::Changed => other("it changed under our lock"),
        UidlistError::LockLost => other("dovecot-uidlist.lock was taken from us"),
        UidlistError::NoUidValidity => other("it has lost its UIDVALIDITY"),
        UidlistError::BadName => other("a file name that cannot stand in it"),
    }
}

pub(super) const FILE: &[u8] = b"dovecot-uidlist";
