//! A folder as its users see it: what files do, and what is told of it.

use std::cell::Cell;
use std::path::PathBuf;
use std::time::{Duration, SystemTime};

mod full;
mod model;
mod ordinary;
mod outside;
mod races;
mod saving;
mod status;
mod uidlist;

use super::save::{Batch, Commit, Incoming};
use super::*;
use crate::mail::{Flags, System};
use crate::maildir::Settings;
use crate::maildir::disk::dir::scratch::Scratch;
use crate::maildir::disk::watch::{Event, Place};

struct Mail {
    scratch: Scratch,
    maildir: Maildir,
}

impl Mail {
    fn new() -> Mail {
        now();
        let scratch = Scratch::new();
        let maildir = Maildir::new(scratch.path().to_owned(), Settings::default());
        for name in ["cur", "new", "tmp"] {
            std::fs::create_dir(scratch.path().join(name)).unwrap();
        }
        Mail { scratch, maildir }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.scratch.path().join(name)
    }

    fn deliver(&self, name: &str) {
        std::fs::write(self.path(name), "Subject: x\n\nHello\n").unwrap();
        self.changed(name);
    }

    fn remove(&self, name: &str) {
        std::fs::remove_file(self.path(name)).unwrap();
        self.changed(name);
    }

    fn rename(&self, from: &str, to: &str) {
        std::fs::rename(self.path(from), self.path(to)).unwrap();
        self.changed(from);
        self.changed(to);
    }

    fn link(&self, from: &str, to: &str) {
        std::fs::hard_link(self.path(from), self.path(to)).unwrap();
        self.changed(to);
    }

    /// Another program changed something in the directory of this file: that was now, by the clock
    /// of the test, and no two changes leave the same time.
    fn changed(&self, name: &str) {
        thread_local!(static CHANGES: Cell<u64> = const { Cell::new(0) });
        let Some((directory, _)) = name.split_once('/') else {
            return;
        };
        CHANGES.set(CHANGES.get() + 1);
        let time = now() + Duration::from_nanos(CHANGES.get());
        let directory = std::fs::File::open(self.path(directory)).unwrap();
        directory.set_modified(time).unwrap();
    }

    fn names(&self, directory: &str) -> Vec<String> {
        let mut names: Vec<String> = std::fs::read_dir(self.path(directory))
            .unwrap()
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect();
        names.sort();
        names
    }

    fn open(&self) -> Folder {
        let mut folder = Folder::open(&self.maildir, self.scratch.path(), now()).unwrap();
        sync(&mut folder);
        folder
    }
}

thread_local! {
    static CLOCK: Cell<Option<SystemTime>> = const { Cell::new(None) };
}

/// The time for the folders of this test.  It stands still: however slow the machine is, what
/// changed was changed just now, until the test lets time pass.
fn now() -> SystemTime {
    let now = CLOCK.get().unwrap_or_else(SystemTime::now);
    CLOCK.set(Some(now));
    now
}

fn pass(time: Duration) {
    CLOCK.set(Some(now() + time));
}

/// Longer than any change of a directory until now is doubted.
fn settle() {
    CLOCK.set(Some(now().max(SystemTime::now())));
    pass(Duration::from_secs(1));
}

const WRITING: Look = Look {
    move_new: true,
    force_scan: false,
};

fn sync(folder: &mut Folder) {
    for _ in 0..100 {
        match folder.sync(WRITING, now(), &|| true).unwrap() {
            Step::Done => return,
            Step::Again => (),
            Step::Locked => pass(Duration::from_millis(20)),
        }
    }
    panic!("no end to it");
}

fn uids(folder: &Folder) -> Vec<u32> {
    let live = folder.messages().iter().filter(|row| !row.is_gone());
    live.map(|row| row.uid().0).collect()
}

fn seen() -> Flags {
    Flags {
        system: System::SEEN,
        keywords: 0,
    }
}

/// The message goes, whether or not it is \Deleted.
fn remove(folder: &mut Folder, index: usize, modseq: u64) -> Result<bool, MessageError> {
    let flags = folder.messages()[index].flags();
    folder.remove_copied(index, flags, modseq)
}

impl Folder {
    fn handle_event(
        &mut self,
        event: &Event,
        look: Look,
        now: SystemTime,
    ) -> Result<Step, FolderError> {
        self.handle_events(std::iter::once(event.clone()), look, now, &|| false)
    }
}

fn append(folder: &mut Folder, text: &[u8]) -> u32 {
    let mut message = Incoming::begin(folder, now()).unwrap();
    message.write(text).unwrap();
    let mut batch = Batch::new(folder);
    batch.add(message, seen(), Some(1_000_000_000)).unwrap();
    commit(folder, &mut batch)
}

fn commit(folder: &mut Folder, batch: &mut Batch) -> u32 {
    loop {
        match folder.commit(batch, now(), &|| true).unwrap() {
            Commit::Done(uids) => return uids.iter().next().unwrap(),
            Commit::Again => (),
            Commit::Locked => panic!("nobody else is here"),
        }
    }
}
