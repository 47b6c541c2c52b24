//! Dovecot's dotlock: `<file>.lock` beside the file it protects.
//!
//! A lock is taken by creating it (O_EXCL) with `<pid>:<host>` in it, and held briefly.  Nothing
//! waits in here.  The caller tries again later if the lock is taken, so that other connections are
//! served meanwhile.
//!
//! # When is a lock left over?
//!
//! - It names a process of this host that does not exist, and is older than two seconds.
//! - It is of this process, but of none of the [`Lock`]s it holds: a former process had our number.
//! - It is empty, older than two seconds, and nobody holds the file: we were killed between
//!   creating it and writing to it, or had no room on the disk for our number.  Who has none holds
//!   the file by flock(2) for as long as the lock is held, so that others see that somebody is
//!   there.
//! - Neither the lock nor the file has changed for two minutes, by their times when first seen and
//!   by our clock from then on.  A holder that needs longer touches its lock, see [`Lock::touch`].
//!
//! # Removing one
//!
//! Between the look at a lock and its removal another process may do the same and take the lock,
//! and we would remove a live one.  So it is first renamed to a name of ours and looked at again,
//! and if it is another it is put back.  After a removal the try fails; only the next one may take
//! the lock.  (Dovecot sleeps 0.1 s there, so that whoever saw the same left-over is through with
//! it.)

use std::io;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime};

use super::dir::{
    Access, Dir, DiskResult, File, Stat, Target, Time, host_name, is_gone, own_process,
    process_exists,
};

/// The right to try for the lock of one file; it remembers what it saw of another holder.
#[derive(Debug)]
pub struct Dotlock {
    dir: Dir,
    file: Vec<u8>,
    /// How long lock and file are unchanged before the lock is left over.
    stale: Duration,
    /// Whether a lock says whose it is.  It does unless there was no room.
    names_holder: bool,
    /// The lock of somebody else as it was last seen, and when it had last changed.
    seen: Option<(Stat, SystemTime)>,
}

impl Dotlock {
    /// The lock of `file` in `dir`, given up by others after `stale`.
    pub fn new(dir: Dir, file: &[u8], stale: Duration) -> Dotlock {
        Dotlock {
            dir,
            file: file.to_vec(),
            stale,
            names_holder: false,
            seen: None,
        }
    }

    /// `dovecot-uidlist.lock` in a folder's control directory.
    pub fn of_uidlist(control: Dir) -> Dotlock {
        Dotlock {
            names_holder: true,
            ..Dotlock::new(control, b"dovecot-uidlist", UIDLIST_STALE)
        }
    }

    /// Takes the lock if it is free; `None` if somebody else has it.
    pub fn try_lock(&mut self, access: &Access, now: SystemTime) -> DiskResult<Option<Lock>> {
        let Some((mut lock, mut file)) = self.try_create(access, now)? else {
            return Ok(None);
        };
        let own = format!("{}:", own_process());
        if let Err(error) = file.write_all(&[own.as_bytes(), &host_name()].concat()) {
            // On a full disk an empty lock is enough, as in Dovecot, because EXPUNGE needs a lock
            // to make room.
            log::debug!("{}.lock is left empty: {error}", self.name());
            file.set_len(0)?;
            // If that does not work, we have the lock for at least two seconds.
            let _ = file.try_hold_alone();
        }
        lock.file_open = Some(file);
        Ok(Some(lock))
    }

    /// Takes the lock to write the new content of the file into it, for [`Lock::install`].
    pub fn try_create(
        &mut self,
        access: &Access,
        now: SystemTime,
    ) -> DiskResult<Option<(Lock, File)>> {
        let name = [&self.file, &b".lock"[..]].concat();
        if let Some(found) = self.dir.stat(&name)? {
            if self.is_left_over(&name, &found, now)? {
                log::warn!("removing the left-over lock {}.lock", self.name());
                remove_left_over(&self.dir, &name, &found)?;
            }
            return Ok(None);
        }
        self.seen = None;
        let file = match self.dir.create_new(&name, access) {
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => return Ok(None),
            other => other?,
        };
        let stat = match file.stat() {
            Err(error) => {
                let _ = self.dir.unlink(&name);
                return Err(error);
            }
            Ok(stat) => stat,
        };
        held().push((stat.device, stat.inode));
        let lock = Lock {
            dir: self.dir.clone(),
            file: self.file.clone(),
            name,
            stat,
            touched: now,
            installed: false,
            file_open: None,
        };
        Ok(Some((lock, file)))
    }

    fn is_left_over(&mut self, name: &[u8], found: &Stat, now: SystemTime) -> DiskResult<bool> {
        let changed = match self.seen {
            Some((before, changed))
                if before.is_same_version(found) && before.ctime == found.ctime =>
            {
                changed
            }
            Some(_) => now,
            None => last_change(found, now),
        };
        self.seen = Some((*found, changed));
        let older_than = |span: Duration, time: SystemTime| {
            now.duration_since(time).is_ok_and(|since| since > span)
        };
        if older_than(PROCESS_CHECK, found.mtime.into())
            && let Some(process) = local_holder(&self.dir, name)?
        {
            return Ok(if process == own_process() {
                !held().contains(&(found.device, found.inode))
            } else {
                !process_exists(process)
            });
        }
        if self.names_holder && found.size == 0 && older_than(PROCESS_CHECK, changed) {
            return is_held_by_nobody(&self.dir, name);
        }
        if !older_than(self.stale, changed) {
            return Ok(false);
        }
        let file = self.dir.stat_target(&self.file)?;
        Ok(file.is_none_or(|file| older_than(self.stale, last_change(&file, now))))
    }

    fn name(&self) -> String {
        String::from_utf8_lossy(&self.file).into_owned()
    }
}

/// A held lock.  Dropping it removes the lock file, if it is still ours.
#[derive(Debug)]
pub struct Lock {
    dir: Dir,
    file: Vec<u8>,
    name: Vec<u8>,
    stat: Stat,
    touched: SystemTime,
    installed: bool,
    /// While the file is open, no other file gets its inode number, by which we know that it is
    /// ours.  It is held as well if it does not say whose lock it is.
    file_open: Option<File>,
}

impl Lock {
    /// Tells others that we are alive: to be called at least every 30 seconds while the lock is
    /// held; it costs nothing when called often.  False: somebody took the lock from us, write no
    /// more.
    pub fn touch(&mut self, now: SystemTime) -> DiskResult<bool> {
        if now
            .duration_since(self.touched)
            .is_ok_and(|since| since < TOUCH_INTERVAL)
        {
            return Ok(true);
        }
        let ours = self.is_ours()?;
        if ours {
            self.dir.set_mtime(&self.name, Time::from(now))?;
            self.touched = now;
        }
        Ok(ours)
    }

    /// Is the lock file still the one we made?
    pub fn is_ours(&self) -> DiskResult<bool> {
        let found = self.dir.stat(&self.name)?;
        Ok(found.is_some_and(|found| found.is_same_file(&self.stat)))
    }

    /// Renames the lock file, with what was written to it, over the file it protects.
    pub fn install(mut self) -> DiskResult<()> {
        if !self.is_ours()? {
            let kind = io::ErrorKind::StaleNetworkFileHandle;
            return Err(self.dir.failure("rename", &self.name, kind));
        }
        self.dir
            .rename(&self.name, &self.dir, &self.file, Target::Replace)?;
        self.installed = true;
        Ok(())
    }

    fn remove(&self) -> DiskResult<()> {
        if self.installed {
            return Ok(());
        }
        if self.is_ours()? {
            return self.dir.unlink(&self.name);
        }
        let why = io::Error::other("taken from us by another process");
        Err(self.dir.failure("unlink", &self.name, why))
    }
}

impl Drop for Lock {
    fn drop(&mut self) {
        if let Err(error) = self.remove() {
            log::warn!("{}: {error}", String::from_utf8_lossy(&self.name));
        }
        let own = (self.stat.device, self.stat.inode);
        held().retain(|&held| held != own);
    }
}

/// Moves the lock that was seen as `found` out of the way and removes it.
fn remove_left_over(dir: &Dir, name: &[u8], found: &Stat) -> DiskResult<()> {
    let process = format!(".{}.", own_process());
    let aside = [b"temp.", &host_name()[..], process.as_bytes(), name].concat();
    match dir.rename(name, dir, &aside, Target::Replace) {
        Err(error) if is_gone(&error) => return Ok(()),
        other => other?,
    }
    let moved = dir.stat(&aside)?;
    if moved.is_some_and(|moved| !moved.is_same_file(found)) {
        // The lock is alive, so it is put back, unless a third process has its place already.
        match dir.link(&aside, dir, name) {
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => (),
            other => other?,
        }
    }
    dir.unlink(&aside)
}

/// Whether nobody holds the file of an empty lock.
fn is_held_by_nobody(dir: &Dir, name: &[u8]) -> DiskResult<bool> {
    match dir.open_file(name) {
        // Gone, not ours to read, or none of Dovecot's kind.
        Err(_) => Ok(false),
        other => other?.try_hold_alone(),
    }
}

/// The process that the lock names, if it is one of this host.
fn local_holder(dir: &Dir, name: &[u8]) -> DiskResult<Option<u32>> {
    let content = match dir.read(name, LOCK_SIZE_MAX) {
        Err(error) if is_gone(&error) => None,
        // It is not ours to read, or none of Dovecot's kind: its times tell.
        Err(error) => {
            log::debug!("{error}");
            None
        }
        Ok(content) => content,
    };
    let text = content.and_then(|(bytes, _)| String::from_utf8(bytes).ok());
    Ok(text.as_deref().and_then(|text| {
        let (process, host) = text.trim_end_matches('\n').split_once(':')?;
        let process = process.parse().ok().filter(|&process| process > 0)?;
        (host.as_bytes() == host_name()).then_some(process)
    }))
}

/// When a file last changed, by its times; a time in the future is no evidence.
fn last_change(stat: &Stat, now: SystemTime) -> SystemTime {
    let [mtime, ctime] = [stat.mtime, stat.ctime].map(SystemTime::from);
    let last = if mtime <= now {
        ctime.max(mtime)
    } else {
        ctime
    };
    last.min(now)
}

/// Device and inode of every lock that this process holds, in whichever thread.
static HELD: Mutex<Vec<(u64, u64)>> = Mutex::new(Vec::new());

fn held() -> MutexGuard<'static, Vec<(u64, u64)>> {
    HELD.lock().unwrap_or_else(PoisonError::into_inner)
}

/// `MAILDIR_UIDLIST_LOCK_STALE_TIMEOUT`
const UIDLIST_STALE: Duration = Duration::from_secs(120);
/// A younger lock's process surely exists.
const PROCESS_CHECK: Duration = Duration::from_secs(2);
const TOUCH_INTERVAL: Duration = Duration::from_secs(5);
/// Far more than a process number and a host name.
const LOCK_SIZE_MAX: usize = 1024;

#[cfg(test)]
mod tests;
