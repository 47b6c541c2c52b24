//! What is written to disk survives the death of the process, a full disk and a failing one at
//! every file-system call: nothing told is lost, no UID changes hands, no file is left half.
//!
//! A scenario runs once for every call `n` that it makes and every way to fail; then the folder is
//! opened again as after a restart, and looked at.  The calls are counted per thread.

#![cfg(debug_assertions)]

#[path = "crash/folder.rs"]
mod folder;

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, SystemTime};

use roost::mail::{Keyword, Uid};
use roost::maildir::disk::dir::{Access, Dir, fault};
use roost::maildir::disk::lock::{Dotlock, Lock};
use roost::maildir::dovecot::keywords::{Keywords, KeywordsFile, Room};
use roost::maildir::dovecot::uidlist::{Durable, New, Uidlist};

/// A message is given a UID and a keyword; the client is told when all is done.
#[test]
fn a_uid_and_a_keyword_that_were_told_are_there_after_the_crash() {
    at_every_call(
        &|folder| {
            let mut list = Uidlist::new(7, Uid(1));
            let lock = folder.lock();
            list.append(&folder.dir, &lock, &[new(b"first")], Durable::Yes)
                .unwrap();
        },
        &|folder| {
            let lock = folder.try_lock()?;
            let mut list = Uidlist::read(&folder.dir).ok()??;
            let mut keywords = Keywords::read(&folder.dir);
            let (keyword, now) = (Keyword::new("Junk")?, SystemTime::now());
            let file = KeywordsFile {
                dir: &folder.dir,
                lock: &lock,
                access: &Access::PRIVATE,
                now,
            };
            let letters = keywords.add(&[&keyword], Room::ForSome, &|| Ok(0), &file);
            let uid = list.append(&folder.dir, &lock, &[new(b"second")], Durable::Yes);
            Some((uid.ok()?, letters.ok()?.first().copied()??))
        },
        &|folder, told, after| {
            let lock = folder.lock();
            let mut list = Uidlist::read(&folder.dir).unwrap().unwrap();
            assert_eq!(
                (list.uid_validity(), list.find(b"first")),
                (7, Some(0)),
                "{after}"
            );
            let keywords = Keywords::read(&folder.dir);
            if let Some((uid, letter)) = told {
                assert_eq!(list.find_uid(*uid), list.find(b"second"), "{after}");
                assert_eq!(
                    keywords.name(*letter).map(Keyword::as_str),
                    Some("Junk"),
                    "{after}"
                );
            }
            let next = list.uid_next();
            let third = list.append(&folder.dir, &lock, &[new(b"third")], Durable::Yes);
            assert_eq!(third.unwrap(), next, "{after}");
            let read = Uidlist::read(&folder.dir).unwrap().unwrap();
            assert!(!read.needs_rewrite(), "{after}");
            assert_eq!(read.records().len(), list.len(), "{after}");
        },
    );
}

/// Runs `prepare`, then `scenario` with call `n` failing, then `check` with what the scenario told
/// (`None`: it failed, so nothing) and the call at which it broke off; for every `n` until the
/// scenario has no more calls.
fn at_every_call<T>(
    prepare: &dyn Fn(&Folder),
    scenario: &dyn Fn(&Folder) -> Option<T>,
    check: &dyn Fn(&Folder, Option<&T>, &str),
) {
    const ENOSPC: i32 = 28;
    const EIO: i32 = 5;
    let plans: [fn(usize); 3] = [
        fault::die_at,
        |n| fault::fail_at(n, ENOSPC),
        |n| fault::fail_at(n, EIO),
    ];
    for plan in plans {
        for n in 1.. {
            let folder = Folder::new();
            prepare(&folder);
            plan(n);
            let told = scenario(&folder);
            let calls = fault::calls();
            fault::clear();
            let broke_off = calls.get(n - 1).map_or("the end", String::as_str);
            check(
                &folder,
                told.as_ref(),
                &format!("after call {n}: {broke_off}"),
            );
            if calls.len() < n {
                break;
            }
        }
    }
}

fn new(base: &[u8]) -> New<'_> {
    New { base, guid: None }
}

/// An empty directory, removed at the end.
struct Folder {
    path: PathBuf,
    dir: Dir,
}

impl Folder {
    fn new() -> Folder {
        static NUMBER: AtomicU32 = AtomicU32::new(0);
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let name = format!("roost-crash-{}-{number}", std::process::id());
        let path = std::env::temp_dir().join(name);
        std::fs::create_dir(&path).unwrap();
        let dir = Dir::open(Path::new(&path)).unwrap();
        Folder { path, dir }
    }

    fn try_lock(&self) -> Option<Lock> {
        // Long after the crash: what it left of a lock is left over.
        let later = SystemTime::now() + Duration::from_secs(300);
        let mut dotlock = Dotlock::of_uidlist(self.dir.clone());
        dotlock.try_lock(&Access::PRIVATE, later).ok()?
    }

    fn lock(&self) -> Lock {
        // The first try removes a lock that was left over, the second takes it.
        self.try_lock().or_else(|| self.try_lock()).unwrap()
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.path);
    }
}
