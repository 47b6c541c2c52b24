//! Tells when another program changes an open folder: inotify through `notify`.

use std::path::Path;

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    /// A file came to be under this name, complete (link, rename, or written and closed).
    Appeared { place: Place, name: Vec<u8> },
    /// The name is gone.
    Vanished { place: Place, name: Vec<u8> },
    /// Something changed that was not seen: look at the whole folder.
    Rescan,
    /// The folder itself was moved or removed; it is watched no more.
    Lost,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Place {
    New,
    Cur,
}

#[derive(Debug)]
pub enum WatchError {
    /// Limits reached or not supported here: poll instead.
    Unavailable(String),
    /// The folder is not there.
    NotFound,
}

/// Watches `new/` and `cur/` of any number of folders.
pub struct Watcher {}

impl Watcher {
    /// `wake` is called from another thread once when events come to wait for `poll`.
    pub fn new(wake: Box<dyn Fn() + Send>) -> Result<Watcher, WatchError> {
        todo!()
    }

    /// `folder` is the caller's number for it, given back by `poll`.
    pub fn watch(&mut self, folder: u32, path: &Path) -> Result<(), WatchError> {
        todo!()
    }

    pub fn unwatch(&mut self, folder: u32) {
        todo!()
    }

    /// Takes what has happened, in order.
    pub fn poll(&mut self) -> Vec<(u32, Event)> {
        todo!()
    }
}
