//! Appending and rewriting: see the head of [`super`].

use std::sync::Arc;

use super::header::{Numbers, RecordForm, UidlistHeader};
use super::records::{Records, UID_MAX, UidlistRecord};
use super::{FILE, Uidlist, Version, place};
use crate::mail::Uid;
use crate::maildir::disk::dir::{
    Access, Dir, DiskError, DiskResult, File, Stat, Target, Time, is_gone,
};
use crate::maildir::disk::lock::Lock;

/// A message to be added.
#[derive(Clone, Copy, Debug)]
pub struct New<'a> {
    pub base: &'a [u8],
    /// To be recorded where it is not the base name.
    pub guid: Option<&'a [u8]>,
}

/// Is a write to be on disk when the call returns?
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Durable {
    Yes,
    /// Not before [`Uidlist::settle`]; until then a power failure may bring the old state back.
    No,
    /// Nor is anything else done for it: a power failure may leave nothing (`fsync = never`).
    Never,
}

impl Uidlist {
    /// Adds records with the UIDs from [`Uidlist::uid_next`] on, in the order given, and returns
    /// the first of these UIDs.  The caller has refreshed the list under the same lock.
    ///
    /// A base that had a record already gets the new UID; then indices change, else they stay.
    /// After an error the caller must refresh.
    pub fn append(
        &mut self,
        dir: &Dir,
        lock: &Lock,
        new: &[New<'_>],
        durable: Durable,
    ) -> Result<Uid, UidlistError> {
        let first = self.uid_next();
        let mut lines = Vec::new();
        for (offset, new) in (0..).zip(new) {
            let uid = first.0.checked_add(offset).filter(|&uid| uid <= UID_MAX);
            let uid = Uid(uid.ok_or(UidlistError::NoUids)?);
            new.format(uid, &mut lines)?;
        }
        self.check(dir, lock)?;
        match self.version.clone() {
            Some(_) if lines.is_empty() && !self.needs_rewrite() => (),
            Some(version) if !self.needs_rewrite() => {
                self.append_lines(dir, &version, &lines, durable)?;
            }
            _ => {
                let next_uid = first.0.saturating_add(new.len() as u32);
                let lines = (lines.as_slice(), next_uid);
                self.write_all(dir, &dir.access()?, &mut |_, _| true, lines, durable)?;
            }
        }
        Ok(first)
    }

    /// Writes the file anew with the records for which `live` (of index and record) says so; the
    /// others are gone for good, and indices change.
    pub fn rewrite(
        &mut self,
        dir: &Dir,
        lock: &Lock,
        access: &Access,
        live: &mut dyn FnMut(usize, UidlistRecord<'_>) -> bool,
        durable: Durable,
    ) -> Result<(), UidlistError> {
        self.check(dir, lock)?;
        let nothing_new = (&b""[..], self.uid_next().0);
        self.write_all(dir, access, live, nothing_new, durable)
    }

    /// Waits until all that was written is on disk; needs no lock.
    pub fn settle(&mut self, dir: &Dir) -> DiskResult<()> {
        let Some(version) = &mut self.version else {
            return Ok(());
        };
        version.file.sync_data()?;
        if !version.settled {
            dir.sync()?;
            version.settled = true;
        }
        Ok(())
    }
}

/// Why nothing was written.
#[derive(Debug)]
pub enum UidlistError {
    /// The file is another than the one last read: refresh, and decide again.
    Changed,
    /// The lock was taken from us: lock again, refresh, and decide again.
    LockLost,
    /// There are no UIDs left: a new UIDVALIDITY is needed.
    NoUids,
    /// UIDVALIDITY is lost: see [`Uidlist::restore_header`].
    NoUidValidity,
    /// A name that cannot stand in the file.
    BadName,
    Io(DiskError),
}

impl From<DiskError> for UidlistError {
    fn from(error: DiskError) -> UidlistError {
        UidlistError::Io(error)
    }
}

impl Uidlist {
    /// May we write?
    fn check(&self, dir: &Dir, lock: &Lock) -> Result<(), UidlistError> {
        if self.numbers.is_none() {
            return Err(UidlistError::NoUidValidity);
        }
        if self.changed_on_disk(dir)? {
            return Err(UidlistError::Changed);
        }
        if !lock.is_ours()? {
            return Err(UidlistError::LockLost);
        }
        Ok(())
    }

    /// Reads the records again that were forgotten.
    fn refresh_whole(&mut self, dir: &Dir) -> Result<(), UidlistError> {
        match Uidlist::read(dir)? {
            Some(found) => {
                self.replace_by(dir, found);
                Ok(())
            }
            None => Err(UidlistError::Changed),
        }
    }

    fn append_lines(
        &mut self,
        dir: &Dir,
        version: &Version,
        lines: &[u8],
        durable: Durable,
    ) -> Result<(), UidlistError> {
        let mut file = dir.open_append(FILE)?;
        if let Err(error) = file.write_all(lines) {
            if let Err(error) = file.set_len(version.stat.size) {
                log::warn!("{}: half a line remains: {error}", place(dir, FILE));
            }
            return Err(error.into());
        }
        let stat = file.stat()?;
        self.records.add_text(lines);
        self.take_in(dir, FILE);
        self.version = Some(Version {
            stat,
            ..version.clone()
        });
        if durable == Durable::Yes {
            // If this fails the records stay: others may have read them already.
            self.settle(dir)?;
        }
        if stat.size != version.stat.size.saturating_add(lines.len() as u64) {
            // Somebody writes without the lock: all has to be read again.
            self.version = None;
        }
        Ok(())
    }

    /// Writes the file with the live records, and `new` lines with the next UID after them.
    fn write_all(
        &mut self,
        dir: &Dir,
        access: &Access,
        live: &mut dyn FnMut(usize, UidlistRecord<'_>) -> bool,
        (new, next_uid): (&[u8], u32),
        durable: Durable,
    ) -> Result<(), UidlistError> {
        if !self.is_whole() {
            self.refresh_whole(dir)?;
        }
        let numbers = Numbers {
            uid_validity: self.uid_validity(),
            next_uid,
        };
        let mut text = UidlistHeader::format(numbers, &self.guid, &self.others);
        text.reserve(self.records.taken() + new.len());
        for (index, record) in self.records.iter().enumerate() {
            if live(index, record) {
                record.format(&mut text);
            }
        }
        text.extend_from_slice(new);
        if self.damaged {
            keep_copy(dir);
        }
        let version = self.put_in_place(dir, access, &text, durable)?;
        let mut records = Records::new(text);
        records.take_header();
        self.records = records;
        self.layout = RecordForm::Keyed;
        self.numbers = Some(numbers);
        (self.rewrite, self.damaged) = (false, false);
        self.take_in(dir, FILE);
        let version = self.version.insert(version);
        if durable == Durable::Yes {
            dir.sync()?;
            version.settled = true;
        }
        Ok(())
    }

    fn put_in_place(
        &self,
        dir: &Dir,
        access: &Access,
        text: &[u8],
        durable: Durable,
    ) -> DiskResult<Version> {
        match dir.unlink(TEMPORARY) {
            Err(error) if !is_gone(&error) => return Err(error),
            _ => (),
        }
        let mut file = dir.create_new(TEMPORARY, access)?;
        let written = self.fill(&mut file, text, durable).and_then(|stat| {
            dir.rename(TEMPORARY, dir, FILE, Target::Replace)?;
            Ok(stat)
        });
        if written.is_err() {
            let _ = dir.unlink(TEMPORARY);
        }
        Ok(Version {
            stat: written?,
            file: Arc::new(file),
            settled: false,
        })
    }

    fn fill(&self, file: &mut File, text: &[u8], durable: Durable) -> DiskResult<Stat> {
        file.write_all(text)?;
        let mut stat = file.stat()?;
        // Dovecot looks no further when size and mtime are the same.
        if let Some(old) = self.version.as_ref().map(|version| version.stat)
            && (old.size, old.mtime) == (stat.size, stat.mtime)
        {
            file.set_mtime(Time {
                seconds: old.mtime.seconds.saturating_add(1),
                ..old.mtime
            })?;
            stat = file.stat()?;
        }
        if durable != Durable::Never {
            file.sync_data()?;
        }
        Ok(stat)
    }
}

impl New<'_> {
    pub(super) fn format(&self, uid: Uid, lines: &mut Vec<u8>) -> Result<(), UidlistError> {
        let ends_it = |byte: &u8| b"\r\n\0/:".contains(byte);
        if self.base.is_empty() || self.base.len() > NAME_MAX || self.base.iter().any(ends_it) {
            return Err(UidlistError::BadName);
        }
        // A GUID that cannot be said is left out; the message has its base name for one.
        let keys = self
            .guid
            .filter(|guid| *guid != self.base && !guid.is_empty() && guid.len() <= NAME_MAX)
            .filter(|guid| !guid.iter().any(|byte| ends_it(byte) || *byte == b' '))
            .map(|guid| [b"G", guid].concat());
        let record = UidlistRecord {
            uid,
            base: self.base,
            keys: keys.as_deref().unwrap_or_default(),
        };
        record.format(lines);
        Ok(())
    }
}

/// Keeps the broken file under another name, in place of an older one.
fn keep_copy(dir: &Dir) {
    let _ = dir.unlink(DAMAGED);
    match dir.link(FILE, dir, DAMAGED) {
        Ok(()) => log::warn!("{} is kept as it was", place(dir, DAMAGED)),
        Err(error) => log::warn!("{}: {error}", place(dir, DAMAGED)),
    }
}

const TEMPORARY: &[u8] = b"dovecot-uidlist.tmp";
const DAMAGED: &[u8] = b"dovecot-uidlist.damaged";
/// The longest name of any file system.
const NAME_MAX: usize = 255;
