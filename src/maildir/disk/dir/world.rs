//! A world that a test makes: several processes that take turns within one.
//!
//! Each of them is a thread.  Before it makes a file-system call it asks its world, which may let
//! others go first, make the call fail, or say that the process is dead.  The world also stands
//! in for what a host has only once or not at will: process numbers, the kernel's clock for file
//! times, and what the kernel tells of a directory that is watched.
//!
//! It is entered with `debug_assertions` only, like the plans of [`fault`](super::fault): a
//! release has no trace of it.

use std::io;
use std::path::{Path, PathBuf};
use std::rc::Rc;

use super::file::Time;

pub trait World {
    /// A call is about to be made.
    fn call(&self, call: &str, name: &[u8]) -> io::Result<()>;
    /// The number of the process that this thread is.
    fn process(&self) -> u32;
    fn exists(&self, process: u32) -> bool;
    /// When the file last changed (`st_ctime`, which no program can set).
    fn changed(&self, inode: u64) -> Option<Time>;
    fn watch(&self, directory: &Path);
    fn unwatch(&self, directory: &Path);
    /// What the kernel has told of watched directories by now; with `all`, everything that
    /// happened.
    fn told(&self, all: bool) -> Told;
}

/// What happened in watched directories since the world was last asked.
#[derive(Debug, Default)]
pub struct Told {
    pub overflown: bool,
    pub names: Vec<(PathBuf, Happened)>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Happened {
    Appeared(Vec<u8>),
    Vanished { name: Vec<u8>, unlinked: bool },
}

#[cfg(debug_assertions)]
pub(crate) use here::current;
#[cfg(debug_assertions)]
pub use here::{enter, leave};

#[cfg(debug_assertions)]
mod here {
    use super::{Rc, World};
    use std::cell::RefCell;

    /// This thread is a process of that world from now on.
    pub fn enter(world: Rc<dyn World>) {
        HERE.set(Some(world));
    }

    pub fn leave() {
        HERE.set(None);
    }

    pub(crate) fn current() -> Option<Rc<dyn World>> {
        HERE.with_borrow(Clone::clone)
    }

    thread_local! {
        static HERE: RefCell<Option<Rc<dyn World>>> = const { RefCell::new(None) };
    }
}

#[cfg(not(debug_assertions))]
#[inline(always)]
pub(crate) fn current() -> Option<Rc<dyn World>> {
    None
}

/// The world is asked before a call, if there is one.
#[cfg(debug_assertions)]
#[inline]
pub(super) fn call(call: &str, name: &[u8]) -> io::Result<()> {
    current().map_or(Ok(()), |world| world.call(call, name))
}
