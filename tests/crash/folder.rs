//! A whole folder: mail comes in, is appended, copied, flagged and expunged, and the process dies,
//! or the disk fails, at every call.
//!
//! What must hold afterwards is what clients rely on.  One client has last looked before it all
//! began, the other was told everything up to the last moment; both come back with their modseq and
//! ask for what they missed (RFC 7162 3.2.5), and must know all there is to know then.

use std::cell::{Cell, RefCell};
use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, SystemTime};

use roost::mail::{Flags, System};
use roost::maildir::disk::dir::fault;
use roost::maildir::folder::save::{Batch, Commit, Incoming};
use roost::maildir::folder::{Folder, Look, Step};
use roost::maildir::{Maildir, Settings};

#[test]
fn an_appended_message_is_whole_and_keeps_its_uid() {
    at_every_call(&[Deed::Append, Deed::Append]);
}

#[test]
fn a_copied_message_keeps_its_uid() {
    at_every_call(&[Deed::Copy]);
}

#[test]
fn flags_are_not_lost_on_clients() {
    at_every_call(&[Deed::Flag, Deed::Unflag]);
}

#[test]
fn expunged_messages_stay_expunged() {
    at_every_call(&[Deed::Expunge, Deed::Deliver]);
}

#[test]
fn delivered_messages_keep_their_uids() {
    at_every_call(&[Deed::Deliver, Deed::Deliver]);
}

#[test]
fn the_index_may_be_half_written() {
    at_every_call(&[Deed::Flag, Deed::WriteIndex, Deed::Unflag]);
}

#[test]
fn nothing_goes_wrong_in_a_long_session() {
    at_every_call(&[
        Deed::Deliver,
        Deed::Expunge,
        Deed::Append,
        Deed::WriteIndex,
        Deed::Copy,
        Deed::Flag,
        Deed::Expunge,
    ]);
}

/// What is done to the folder.
#[derive(Clone, Copy, Debug)]
enum Deed {
    Append,
    Copy,
    Flag,
    Unflag,
    Expunge,
    Deliver,
    WriteIndex,
}

fn at_every_call(deeds: &[Deed]) {
    const ENOSPC: i32 = 28;
    const EIO: i32 = 5;
    let plans: [fn(usize); 3] = [
        fault::die_at,
        |n| fault::fail_at(n, ENOSPC),
        |n| fault::fail_at(n, EIO),
    ];
    for (kind, plan) in plans.iter().enumerate() {
        for n in 1.. {
            let world = World::new();
            let mut folder = world.open(now());
            let before = Client::of(&folder);
            let mut told = before.clone();
            plan(n);
            for deed in deeds {
                let done = world.act(&mut folder, *deed).is_some();
                let dead = kind == 0 && fault::calls().len() >= n;
                if done && !dead {
                    world.remember(&folder);
                    told = Client::of(&folder);
                }
            }
            folder.close(now());
            let calls = fault::calls();
            fault::clear();
            let call = calls.get(n - 1).map_or("the end", String::as_str);
            let after = format!("{deeds:?}, plan {kind}, call {n}: {call}");
            world.check([&before, &told], &after);
            if calls.len() < n {
                break;
            }
        }
    }
}

/// What a client knows of the mailbox.
#[derive(Clone, Debug)]
struct Client {
    validity: u32,
    next: u32,
    highest: u64,
    flags: BTreeMap<u32, Flags>,
}

impl Client {
    fn of(folder: &Folder) -> Client {
        Client {
            validity: folder.uid_validity(),
            next: folder.uid_next(),
            highest: folder.highest_modseq(),
            flags: live(folder),
        }
    }

    /// Asks for what changed since.
    fn catch_up(&mut self, folder: &Folder) {
        match folder.expunged_since(self.highest) {
            Some(gone) => self.flags.retain(|uid, _| !gone.contains(*uid)),
            None => {
                let there = live(folder);
                self.flags.retain(|uid, _| there.contains_key(uid));
            }
        }
        for row in folder.messages() {
            if !row.is_gone() && row.modseq() > self.highest {
                self.flags.insert(row.uid().0, row.flags());
            }
        }
    }
}

fn live(folder: &Folder) -> BTreeMap<u32, Flags> {
    let rows = folder.messages().iter().filter(|row| !row.is_gone());
    rows.map(|row| (row.uid().0, row.flags())).collect()
}

struct World {
    path: PathBuf,
    maildir: Maildir,
    number: Cell<u32>,
    /// The text that each UID was told to have.
    texts: RefCell<BTreeMap<u32, String>>,
}

impl World {
    /// A folder with three messages and an index.
    fn new() -> World {
        static NUMBER: AtomicU32 = AtomicU32::new(0);
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let name = format!("roost-crash-folder-{}-{number}", std::process::id());
        // In memory, where there is such a place: the tests wait for the disk thousands of times.
        let memory = PathBuf::from("/dev/shm");
        let path = match memory.is_dir() {
            true => memory.join(name),
            false => std::env::temp_dir().join(name),
        };
        for name in ["", "cur", "new", "tmp"] {
            std::fs::create_dir(path.join(name)).unwrap();
        }
        let world = World {
            maildir: Maildir::new(path.clone(), Settings::default()),
            path,
            number: Cell::new(0),
            texts: RefCell::default(),
        };
        for _ in 0..3 {
            world.deliver();
        }
        let folder = world.open(now());
        world.remember(&folder);
        folder.close(now());
        world
    }

    fn deliver(&self) {
        let text = self.text();
        let name = format!("new/{}.host", 1_000_000_000 + self.number.get());
        std::fs::write(self.path.join(name), text).unwrap();
    }

    fn text(&self) -> String {
        self.number.set(self.number.get() + 1);
        format!("Subject: {}\n\ntext\n", self.number.get())
    }

    fn open(&self, now: SystemTime) -> Folder {
        let mut folder = Folder::open(&self.maildir, &self.path, now).unwrap();
        sync(&mut folder, now).unwrap();
        folder
    }

    /// Does it and tells: `None` if anything went wrong, so that nothing was told.
    fn act(&self, folder: &mut Folder, deed: Deed) -> Option<()> {
        match deed {
            Deed::Append => self.append(folder)?,
            Deed::Copy => {
                let mut batch = Batch::new(folder);
                for index in 0..2 {
                    batch.copy(folder, index, seen(), now()).ok()?;
                }
                commit(folder, &mut batch)?;
            }
            Deed::Flag => flag(folder, seen())?,
            Deed::Unflag => flag(folder, Flags::default())?,
            Deed::Expunge => {
                let index = folder.messages().iter().position(|row| !row.is_gone())?;
                locked(folder, |folder, modseq| {
                    let flags = folder.messages().get(index)?.flags();
                    folder.remove_copied(index, flags, modseq).ok().map(drop)
                })?;
            }
            Deed::Deliver => {
                self.deliver();
                sync(folder, now())?;
            }
            Deed::WriteIndex => folder.write_index(now()),
        }
        folder.settle().ok()
    }

    fn append(&self, folder: &mut Folder) -> Option<()> {
        let mut batch = Batch::new(folder);
        for _ in 0..2 {
            let mut message = Incoming::begin(folder, now()).ok()?;
            let text = self.text();
            let (start, end) = text.split_at(7);
            message.write(start.as_bytes()).ok()?;
            message.write(end.as_bytes()).ok()?;
            batch.add(message, seen(), Some(1_234_567_890)).ok()?;
        }
        commit(folder, &mut batch)
    }

    /// The client is told the texts.
    fn remember(&self, folder: &Folder) {
        let names = self.names();
        let list = std::fs::read_to_string(self.path.join("dovecot-uidlist")).unwrap();
        for line in list.lines().skip(1) {
            let (fields, base) = line.split_once(" :").unwrap();
            let uid: u32 = fields.split(' ').next().unwrap().parse().unwrap();
            if let Some(path) = names.get(base)
                && folder.index_of(roost::mail::Uid(uid)).is_ok()
            {
                let text = std::fs::read_to_string(path).unwrap();
                let told = self.texts.borrow_mut().insert(uid, text.clone());
                assert!(told.is_none_or(|told| told == text));
            }
        }
    }

    /// The files by their base names.
    fn names(&self) -> BTreeMap<String, PathBuf> {
        let mut names = BTreeMap::new();
        for place in ["cur", "new"] {
            for entry in std::fs::read_dir(self.path.join(place)).unwrap() {
                let entry = entry.unwrap();
                let name = entry.file_name().into_string().unwrap();
                let base = name.split(':').next().unwrap().to_owned();
                assert!(names.insert(base, entry.path()).is_none());
            }
        }
        names
    }

    fn check(&self, clients: [&Client; 2], after: &str) {
        // What is left of a lock is old by now.
        let later = now() + Duration::from_secs(300);
        let mut folder = self.open(later);
        for client in clients {
            assert_eq!(folder.uid_validity(), client.validity, "{after}");
            assert!(folder.uid_next() >= client.next, "{after}");
            assert!(folder.highest_modseq() >= client.highest, "{after}");
            let mut client = client.clone();
            client.catch_up(&folder);
            assert_eq!(client.flags, live(&folder), "{after}");
        }
        for (base, path) in self.names() {
            let text = std::fs::read_to_string(path).unwrap();
            let whole = text.starts_with("Subject: ") && text.ends_with("\n\ntext\n");
            assert!(whole, "{after}: {base} is {text:?}");
        }
        // This fails if a UID has another text than it was told to have.
        self.remember(&folder);
        let used: BTreeSet<u32> = self.texts.borrow().keys().copied().collect();
        self.deliver();
        sync(&mut folder, later).unwrap();
        let newest = *live(&folder).keys().last().unwrap();
        assert!(!used.contains(&newest), "{after}");
        assert!(
            clients.iter().all(|client| newest >= client.next),
            "{after}"
        );
        let issued = locked(&mut folder, |_, modseq| Some(modseq)).unwrap();
        assert!(
            clients.iter().all(|client| issued > client.highest),
            "{after}"
        );
    }
}

impl Drop for World {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.path);
    }
}

fn sync(folder: &mut Folder, now: SystemTime) -> Option<()> {
    let look = Look {
        move_new: true,
        force_scan: true,
    };
    for _ in 0..10 {
        match folder.sync(look, now, &|| false).ok()? {
            Step::Done => return Some(()),
            Step::Again | Step::Locked => (),
        }
    }
    None
}

fn commit(folder: &mut Folder, batch: &mut Batch) -> Option<()> {
    for _ in 0..20 {
        match folder.commit(batch, now(), &|| true).ok()? {
            Commit::Done(_) => return Some(()),
            Commit::Again => (),
            Commit::Locked => return None,
        }
    }
    None
}

fn flag(folder: &mut Folder, flags: Flags) -> Option<()> {
    locked(folder, |folder, modseq| {
        let last = folder.messages().iter().rposition(|row| !row.is_gone())?;
        folder.change_flags(last, &|_| flags, modseq).ok().map(drop)
    })
}

fn locked<T>(folder: &mut Folder, act: impl Fn(&mut Folder, u64) -> Option<T>) -> Option<T> {
    if !folder.lock(now()).ok()? {
        return None;
    }
    let modseq = folder.next_modseq(now()).ok();
    let done = modseq.and_then(|modseq| act(folder, modseq));
    folder.unlock();
    done
}

fn seen() -> Flags {
    Flags {
        system: System::SEEN,
        keywords: 0,
    }
}

fn now() -> SystemTime {
    SystemTime::now()
}
