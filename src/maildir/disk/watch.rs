//! Tells when another program changes an open folder: inotify through `notify`.
//!
//! notify has a thread.  It turns what the kernel says into [`Event`]s and puts each into the queue
//! of the folder that it is about, of which the folder has the end ([`WatchEnd`]).  It calls `wake`
//! when there was nothing new before; the caller's loop then asks with [`Watcher::poll`] which
//! folders have something to take.  A second thread asks notify (`ask.rs`), so that the caller need
//! not wait for it.
//!
//! Events say what happened to a name, not what the folder looks like now: by the time one is read
//! the file may be gone again.  A caller's own changes are told like anybody else's.
//!
//! What is asked of the kernel is names coming and going in `new/` and `cur/`, and the fate of the
//! directories themselves; not that files are opened or read, so that a client fetching 10,000
//! messages causes no event.  To learn that a folder was moved away, its own directory is watched
//! too, and those above it as long as they are Maildirs; what happens to other names in them
//! (locks, indexes) is dropped on the watcher's thread.
//!
//! A queue is bounded: what does not fit is forgotten, and the folder gets [`Event::Rescan`], as
//! every folder does when the kernel's own queue overflowed.
//!
//! Where inotify does not work or would lie (limits reached, file systems other hosts can change),
//! [`WatchError::Unavailable`] says so, and the caller has to look at the folder from time to time.

use std::collections::{BTreeSet, HashMap};
use std::fmt;
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::rc::Rc;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::dir::world::{self, Happened, World};
use super::dir::{Dir, DiskError, is_loop};
use crate::sys::inotify::{WatchLimit, is_out_of_instances};
use ask::{Answered, Asker, Number, Question};
pub use end::WatchEnd;
use notify::event::{CreateKind, ModifyKind, RemoveKind, RenameMode};
use notify::{EventKind, EventKindMask, INotifyWatcher, Watcher as _};

/// Something happened to a watched folder.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    /// A file came to be under this name: linked or renamed to it, or created.
    Appeared { place: Place, name: Vec<u8> },
    /// The name is gone: the file was unlinked, or renamed to wherever it may be now.
    Vanished {
        place: Place,
        name: Vec<u8>,
        unlinked: bool,
    },
    /// Something changed that was not seen: look at the whole folder.
    Rescan,
    /// The folder is watched from now on: look at the whole of it, once more.
    Watched,
    /// The folder or a part of it was moved or removed; it is watched no more.
    Lost,
}

/// Where in a folder.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Place {
    New,
    Cur,
}

/// Why a folder cannot be watched.
#[derive(Debug)]
pub enum WatchError {
    /// The user may watch no more: poll instead.
    Limit(WatchLimit),
    /// Not supported here, or an error, with the reason: poll instead.
    Unavailable(String),
    /// The folder is not there.
    NotFound,
}

/// Watches any number of folders.
pub struct Watcher {
    source: Source,
    shared: Arc<Mutex<Shared>>,
    /// The directories watched for each folder.
    folders: HashMap<u32, Vec<PathBuf>>,
    /// Folders of which notify has not said yet that it watches them, by the number of the
    /// question.
    coming: HashMap<Number, u32>,
}

/// From when on events of a folder are told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Watching {
    Now,
    /// From [`Event::Watched`] on; until then the caller has to look from time to time.
    Soon,
}

/// Who says what happens.
enum Source {
    Notify(Asker),
    /// The test that we are part of.
    World(Rc<dyn World>),
}

/// What the caller and notify's thread have in common.
#[derive(Default)]
struct Shared {
    /// Who wants to know about what happens in or to a directory.
    directories: HashMap<PathBuf, Vec<(u32, Part)>>,
    ends: HashMap<u32, WatchEnd>,
    /// Folders that have something to take since `poll` said so last.
    news: BTreeSet<u32>,
    /// Folders that are watched no more, likewise.
    lost: BTreeSet<u32>,
    /// `wake` was called and `poll` not since.
    woken: bool,
}

/// What a directory is to a folder.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Part {
    Place(Place),
    /// The folder itself, or one that it is in: only its going matters.
    Around,
}

impl Watcher {
    /// `wake` is called from another thread when events have come to wait for `poll`; once, until
    /// `poll` is called.
    pub fn new(wake: Box<dyn Fn() + Send>) -> Result<Watcher, WatchError> {
        let shared = Arc::new(Mutex::new(Shared::default()));
        let theirs = Arc::clone(&shared);
        let wake = Arc::new(Mutex::new(wake));
        let wake = move || lock(&wake)();
        let wake_late = wake.clone();
        let handle = move |event: notify::Result<notify::Event>| {
            let mut shared = lock(&theirs);
            shared.handle(event);
            if !shared.news.is_empty() && !std::mem::replace(&mut shared.woken, true) {
                drop(shared);
                wake();
            }
        };
        let wanted = EventKindMask::CREATE | EventKindMask::REMOVE | EventKindMask::MODIFY_NAME;
        let config = notify::Config::default()
            .with_event_kinds(wanted)
            .with_follow_symlinks(false);
        let source = match world::current() {
            None => {
                let notify = INotifyWatcher::new(handle, config).map_err(not_begun)?;
                Source::Notify(Asker::new(notify, wake_late)?)
            }
            Some(world) => Source::World(world),
        };
        Ok(Watcher {
            source,
            shared,
            folders: HashMap::new(),
            coming: HashMap::new(),
        })
    }

    /// Watches the folder at `path`, whose end of the watch is `end`; `folder` is the caller's
    /// number for it, given back by `poll`.  What changed before this returned may have been
    /// missed.
    pub fn watch(
        &mut self,
        folder: u32,
        path: &Path,
        end: &WatchEnd,
    ) -> Result<Watching, WatchError> {
        self.unwatch(folder);
        let parts = parts(path)?;
        let mut directories = Vec::with_capacity(parts.len());
        let mut wanted = Vec::new();
        let mut shared = lock(&self.shared);
        for (directory, part) in parts {
            let watchers = shared.directories.entry(directory.clone()).or_default();
            if watchers.is_empty() {
                wanted.push(directory.clone());
            }
            watchers.push((folder, part));
            directories.push(directory);
        }
        shared.ends.insert(folder, end.clone());
        drop(shared);
        self.folders.insert(folder, directories);
        let asker = match &mut self.source {
            Source::World(world) => {
                wanted.iter().for_each(|path| world.watch(path));
                return Ok(Watching::Now);
            }
            Source::Notify(asker) => asker,
        };
        match asker.ask(Question::Watch(wanted)) {
            Answered::InTime(Ok(())) => Ok(Watching::Now),
            Answered::InTime(Err(error)) => {
                self.unwatch(folder);
                Err(error)
            }
            Answered::NotYet(number) => {
                self.coming.insert(number, folder);
                Ok(Watching::Soon)
            }
        }
    }

    /// Forgets the folder.
    pub fn unwatch(&mut self, folder: u32) {
        let Some(directories) = self.folders.remove(&folder) else {
            return;
        };
        let mut shared = lock(&self.shared);
        shared.ends.remove(&folder);
        shared.news.remove(&folder);
        shared.lost.remove(&folder);
        let mut unwanted = Vec::new();
        for directory in directories {
            if let Some(watchers) = shared.directories.get_mut(&directory) {
                watchers.retain(|(of, _)| *of != folder);
                if watchers.is_empty() {
                    shared.directories.remove(&directory);
                    unwanted.push(directory);
                }
            }
        }
        drop(shared);
        self.coming.retain(|_, of| *of != folder);
        match &mut self.source {
            Source::World(world) => unwanted.iter().for_each(|path| world.unwatch(path)),
            Source::Notify(asker) => drop(asker.ask(Question::Unwatch(unwanted))),
        }
    }

    /// Everything that happened before the call is there to be taken when this returns true.
    /// False: names are moving all the time, faster than it can be told, and the caller has to look
    /// itself.
    #[must_use]
    pub fn catch_up(&mut self) -> bool {
        match &mut self.source {
            Source::World(world) => {
                lock(&self.shared).take_told(world.told(true));
                true
            }
            Source::Notify(asker) => asker.catch_up(),
        }
    }

    /// The folders that have something to take.
    pub fn poll(&mut self) -> BTreeSet<u32> {
        let mut shared = lock(&self.shared);
        if let Source::World(world) = &self.source {
            shared.take_told(world.told(false));
        }
        if let Source::Notify(asker) = &mut self.source {
            for (number, answer) in asker.late() {
                if let Some(folder) = self.coming.remove(&number) {
                    shared.tell(folder, answer.map_or(Event::Lost, |()| Event::Watched));
                }
            }
        }
        shared.woken = false;
        let news = std::mem::take(&mut shared.news);
        let lost = std::mem::take(&mut shared.lost);
        drop(shared);
        for folder in lost {
            self.unwatch(folder);
        }
        news
    }
}

impl Shared {
    fn handle(&mut self, event: notify::Result<notify::Event>) {
        match event {
            Ok(event) if !event.need_rescan() => self.take(&event),
            // The kernel's queue overflowed, or nobody knows what happened.
            _ => self.overflow(),
        }
    }

    fn take(&mut self, event: &notify::Event) {
        let [path] = event.paths.as_slice() else {
            return; // both ends of a rename: told one by one before
        };
        let going = match event.kind {
            EventKind::Create(CreateKind::File)
            | EventKind::Modify(ModifyKind::Name(RenameMode::To)) => false,
            EventKind::Remove(_) | EventKind::Modify(ModifyKind::Name(RenameMode::From)) => true,
            _ => return,
        };
        if going && let Some(watchers) = self.directories.get(path) {
            for (folder, _) in watchers.clone() {
                self.tell(folder, Event::Lost);
            }
            return;
        }
        if event.kind == EventKind::Remove(RemoveKind::Folder) {
            return;
        }
        let (Some(directory), Some(name)) = (path.parent(), path.file_name()) else {
            return;
        };
        let name = name.as_bytes().to_vec();
        let happened = match going {
            false => Happened::Appeared(name),
            true => Happened::Vanished {
                name,
                unlinked: matches!(event.kind, EventKind::Remove(_)),
            },
        };
        self.note(directory, &happened);
    }

    fn note(&mut self, directory: &Path, happened: &Happened) {
        let watchers = self.directories.get(directory).cloned();
        for (folder, part) in watchers.unwrap_or_default() {
            let Part::Place(place) = part else { continue };
            let event = match happened.clone() {
                Happened::Appeared(name) => Event::Appeared { place, name },
                Happened::Vanished { name, unlinked } => Event::Vanished {
                    place,
                    name,
                    unlinked,
                },
            };
            self.tell(folder, event);
        }
    }

    fn tell(&mut self, folder: u32, event: Event) {
        if let Some(end) = self.ends.get(&folder) {
            if event == Event::Lost {
                self.lost.insert(folder);
            }
            end.tell(event);
            self.news.insert(folder);
        }
    }

    fn take_told(&mut self, told: world::Told) {
        for (directory, happened) in &told.names {
            self.note(directory, happened);
        }
        if told.overflown {
            self.overflow();
        }
    }

    fn overflow(&mut self) {
        self.ends.values().for_each(|end| end.tell(Event::Rescan));
        self.news.extend(self.ends.keys());
    }
}

/// The directories to watch for a folder, by their canonical names.
fn parts(path: &Path) -> Result<Vec<(PathBuf, Part)>, WatchError> {
    let folder = path.canonicalize()?;
    let mut parts = Vec::new();
    let dir = Dir::open(&folder)?;
    for (name, place) in [("new", Place::New), ("cur", Place::Cur)] {
        let part = match dir.open_dir(name.as_bytes()) {
            // Nothing behind a link that is not followed is served either.
            Err(error) if is_loop(&error) => continue,
            part => part?,
        };
        let directory = part.real_path()?;
        if let Some(kind) = part.is_remote()? {
            return Err(WatchError::Unavailable(format!(
                "{kind} tells nothing of changes elsewhere"
            )));
        }
        parts.push((directory, Part::Place(place)));
    }
    let around = folder
        .ancestors()
        .skip(1)
        .take_while(|above| above.join("cur").is_dir());
    for directory in std::iter::once(folder.as_path()).chain(around) {
        parts.push((directory.to_owned(), Part::Around));
    }
    Ok(parts)
}

/// A part of a sentence for the log.
impl fmt::Display for WatchError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            WatchError::Limit(limit) => limit.fmt(f),
            WatchError::Unavailable(reason) => f.write_str(reason),
            WatchError::NotFound => f.write_str("it is not there"),
        }
    }
}

impl From<notify::Error> for WatchError {
    fn from(e: notify::Error) -> WatchError {
        match e.kind {
            notify::ErrorKind::PathNotFound => WatchError::NotFound,
            notify::ErrorKind::Io(e) => e.into(),
            notify::ErrorKind::MaxFilesWatch => WatchError::Limit(WatchLimit::Watches),
            _ => WatchError::Unavailable(e.to_string()),
        }
    }
}

impl From<DiskError> for WatchError {
    fn from(error: DiskError) -> WatchError {
        io::Error::from(error).into()
    }
}

impl From<io::Error> for WatchError {
    fn from(e: io::Error) -> WatchError {
        match e.kind() {
            io::ErrorKind::NotFound => WatchError::NotFound,
            _ => WatchError::Unavailable(e.to_string()),
        }
    }
}

fn not_begun(error: notify::Error) -> WatchError {
    match error.kind {
        notify::ErrorKind::Io(error) if is_out_of_instances(&error) => {
            WatchError::Limit(WatchLimit::Instances)
        }
        kind => notify::Error::new(kind).into(),
    }
}

/// Nothing panics while it holds the lock.  If something did, the queue would still be whole.
fn lock<T>(shared: &Mutex<T>) -> MutexGuard<'_, T> {
    shared.lock().unwrap_or_else(PoisonError::into_inner)
}

mod ask;
mod end;
#[cfg(test)]
mod tests;
