//! The process as a whole: signals, limits, memory.

use std::fs::File;
use std::io::{self, Read};
use std::os::fd::{AsRawFd, RawFd};

use nix::libc;
use nix::sys::resource::{Resource, getrlimit, setrlimit};
use nix::sys::signal::{SigSet, Signal};
use nix::sys::signalfd::{SfdFlags, SignalFd};
use nix::sys::stat::{Mode, umask};
use nix::unistd::{SysconfVar, geteuid, getpid, gettid, sysconf};

/// The signals that the process wants to hear of, as a descriptor that becomes readable.  A signal
/// so blocked does not interrupt a system call, so no code is ever run between two others.  SIGPIPE
/// needs nothing: Rust's start-up code ignores it.
pub struct Signals {
    descriptor: SignalFd,
    watched: Watched,
}

/// What is heard of beside SIGTERM and SIGINT, which always ask the process to stop.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Watched {
    /// SIGHUP asks for the configuration to be read again; else it asks the process to stop, too.
    pub reload: bool,
    /// SIGCHLD
    pub children: bool,
}

/// A signal that has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Signalled {
    /// With the signal's name.
    Stop(&'static str),
    Reload,
    Child,
}

impl Signals {
    /// To be called before any thread is started: a thread started earlier would still be
    /// interrupted, and end the process.
    pub fn new(watched: Watched) -> io::Result<Signals> {
        let mut set = SigSet::empty();
        for signal in [Signal::SIGTERM, Signal::SIGINT, Signal::SIGHUP] {
            set.add(signal);
        }
        if watched.children {
            set.add(Signal::SIGCHLD);
        }
        set.thread_block()?;
        let flags = SfdFlags::SFD_NONBLOCK | SfdFlags::SFD_CLOEXEC;
        Ok(Signals {
            descriptor: SignalFd::with_flags(&set, flags)?,
            watched,
        })
    }

    /// The next signal that has come.
    pub fn poll(&self) -> io::Result<Option<Signalled>> {
        let Some(info) = self.descriptor.read_signal()? else {
            return Ok(None);
        };
        let signal = i32::try_from(info.ssi_signo)
            .ok()
            .and_then(|number| Signal::try_from(number).ok());
        Ok(Some(match signal {
            Some(Signal::SIGCHLD) => Signalled::Child,
            Some(Signal::SIGHUP) if self.watched.reload => Signalled::Reload,
            _ => Signalled::Stop(signal.map_or("signal", Signal::as_str)),
        }))
    }
}

impl AsRawFd for Signals {
    fn as_raw_fd(&self) -> RawFd {
        self.descriptor.as_raw_fd()
    }
}

/// Lets the process open as many files as the system permits it, and says how many that is.
pub fn raise_file_limit() -> io::Result<u64> {
    let (soft, hard) = getrlimit(Resource::RLIMIT_NOFILE)?;
    // Far more than that makes nothing better, and some programs we might start walk them all.
    let wanted = hard.min(MAX_FILES).max(soft);
    if wanted > soft {
        setrlimit(Resource::RLIMIT_NOFILE, wanted, hard)?;
    }
    Ok(wanted)
}

/// A file that has grown to the limit of the process (`ulimit -f`) can be written no further, which
/// is an error of that write, and not the end of the process.
pub fn outlive_file_size_limit() {
    // SAFETY: to ignore a signal runs no code of ours.
    let _ =
        unsafe { nix::sys::signal::signal(Signal::SIGXFSZ, nix::sys::signal::SigHandler::SigIgn) };
}

/// Files made from now on are private unless their mode is set explicitly.
pub fn set_private_umask() {
    umask(Mode::from_bits_truncate(0o077));
}

/// The number of this process.
pub fn id() -> u32 {
    std::process::id()
}

/// Whether the file of this program has been taken away or replaced since the process began.
pub fn is_replaced() -> bool {
    use std::os::unix::ffi::OsStrExt;
    let link = std::fs::read_link("/proc/self/exe");
    link.is_ok_and(|path| path.as_os_str().as_bytes().ends_with(b" (deleted)"))
}

/// What nobody can guess.
pub fn random() -> io::Result<[u8; 32]> {
    let mut octets = [0; 32];
    File::open("/dev/urandom")?.read_exact(&mut octets)?;
    Ok(octets)
}

/// Whether the process has root's rights.
pub fn is_root() -> bool {
    geteuid().is_root()
}

/// All threads allocate from one heap: a second one, for a thread that hardly allocates, costs
/// pages of its own.
pub fn use_one_arena() {
    #[cfg(target_env = "gnu")]
    // SAFETY: mallopt takes no pointer; no other thread is there yet that could allocate meanwhile,
    // and it would do no harm (mallopt(3): MT-Safe const:mallopt).
    unsafe {
        libc::mallopt(libc::M_ARENA_MAX, 1);
    }
}

/// Gives back to the system what the process does not use, but holds: free memory of the heap, and
/// pages of the stack that deeper calls have left behind.
pub fn trim_memory() {
    #[cfg(target_env = "gnu")]
    // SAFETY: malloc_trim takes no pointer and may be called at any time from any thread
    // (malloc_trim(3): MT-Safe).
    unsafe {
        libc::malloc_trim(0);
    }
    trim_stack();
}

/// Only the first thread's stack: nothing but a gap of 1 MiB lies below it (`stack_guard_gap`).
fn trim_stack() {
    let here = 0_u8;
    let here = (&raw const here).addr();
    let page = sysconf(SysconfVar::PAGE_SIZE).ok().flatten();
    let page = page.and_then(|page| usize::try_from(page).ok());
    let (Some(page), true) = (page, gettid() == getpid()) else {
        return;
    };
    let end = here.saturating_sub(STACK_KEPT) / page * page;
    let start = end.saturating_sub(STACK_REACH);
    // SAFETY: the pages lie below the stack pointer, by more than this and the calls that it makes
    // need: nothing that lives is in them, and the kernel gives zeros when they are used again.
    // What is not mapped of them is passed over.
    unsafe {
        libc::madvise(start as *mut libc::c_void, end - start, libc::MADV_DONTNEED);
    }
}

/// Below the stack pointer, for the calls that are about to be made.
const STACK_KEPT: usize = 4096;

/// Further down there is nothing to give back, or not much.
const STACK_REACH: usize = 512 * 1024;

const MAX_FILES: u64 = 65_536;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn memory_can_be_trimmed_in_the_midst_of_work() {
        fn deep(levels: usize) -> usize {
            let kept = std::hint::black_box([levels; 512]);
            let below = match levels {
                0 => {
                    trim_memory();
                    0
                }
                _ => deep(levels - 1),
            };
            assert!(kept.iter().all(|&level| level == levels));
            below + kept.len()
        }
        assert_eq!(deep(20), 21 * 512);
        assert_eq!(deep(20), 21 * 512);
    }

    #[test]
    fn the_first_threads_stack_is_trimmed() {
        use crate::sys::child::{holds, in_child};
        // A forked child has one thread, which is its first.
        let status = in_child(|| {
            fn deep(levels: usize) -> usize {
                let kept = std::hint::black_box([levels; 4096]);
                match levels {
                    0 => kept.len(),
                    _ => deep(levels - 1) + kept.len(),
                }
            }
            holds(1, deep(8) == 9 * 4096)?;
            trim_memory();
            holds(2, deep(8) == 9 * 4096)
        });
        assert_eq!(status, Ok(()));
    }
}
