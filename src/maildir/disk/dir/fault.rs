//! Fault injection for crash tests: every file-system call of `dir` asks here first.
//!
//! A test runs a scenario once to count its calls, then again for every `n`: with [`die_at`] the
//! process is dead from call `n` on (no destructor of the code under test can tidy up any more),
//! with [`fail_at`] just that call fails.  Then it opens the directory again and looks.
//!
//! It is compiled with `debug_assertions` only: so unit and integration tests have it without a
//! feature that might get into a release, and a release has no trace of it.  Plans are per thread,
//! as tests run in threads.

use std::io;

/// Where a write breaks off, and with which error.
pub(super) struct Torn {
    pub kept: usize,
    pub error: io::Error,
}

#[cfg(debug_assertions)]
pub use plan::{calls, clear, count, die_at, fail_at, fail_call_at};
#[cfg(debug_assertions)]
pub(super) use plan::{check, check_write};

#[cfg(debug_assertions)]
mod plan {
    use super::{Torn, io};
    use crate::maildir::disk::dir::world;
    use std::cell::RefCell;

    /// Counts and records the calls of this thread from now on; none fails.
    pub fn count() {
        set(Plan::Count);
    }

    /// Call number `n` (from 1) fails with `errno`, all others work.
    pub fn fail_at(n: usize, errno: i32) {
        set(Plan::FailAt(n, errno));
    }

    /// The `n`-th call of this name fails with `errno`, all others work.
    pub fn fail_call_at(call: &'static str, n: usize, errno: i32) {
        set(Plan::FailCallAt(call, n, errno));
    }

    /// Call number `n` and all after it fail, as if the process had died there.
    pub fn die_at(n: usize) {
        set(Plan::DieAt(n));
    }

    /// Back to normal; says how many calls there were.
    pub fn clear() -> usize {
        STATE.take().calls.len()
    }

    /// The calls so far, for the message of a failed test: "rename dovecot-uidlist.tmp".
    pub fn calls() -> Vec<String> {
        STATE.with_borrow(|state| state.calls.clone())
    }

    pub(in crate::maildir) fn check(call: &str, name: &[u8]) -> io::Result<()> {
        world::call(call, name)?;
        STATE.with_borrow_mut(|state| {
            if matches!(state.plan, Plan::Off) {
                return Ok(());
            }
            if let Plan::FailCallAt(of, ..) = state.plan
                && of != call
            {
                return Ok(());
            }
            state
                .calls
                .push(format!("{call} {}", String::from_utf8_lossy(name)));
            let number = state.calls.len();
            match state.plan {
                Plan::FailAt(n, errno) if number == n => Err(io::Error::from_raw_os_error(errno)),
                Plan::FailCallAt(_, n, errno) if number == n => {
                    Err(io::Error::from_raw_os_error(errno))
                }
                Plan::DieAt(n) if number >= n => Err(io::Error::other("dead since a call before")),
                _ => Ok(()),
            }
        })
    }

    /// A write that fails, or at which the process dies, still gets half of its bytes out.
    pub(in crate::maildir) fn check_write(length: usize) -> Result<(), Torn> {
        check("write", b"").map_err(|error| Torn {
            kept: STATE.with_borrow(|state| match state.plan {
                Plan::DieAt(n) if state.calls.len() > n => 0,
                // Dead in a world of several processes.
                Plan::Off if error.kind() != io::ErrorKind::StorageFull => 0,
                _ => length / 2,
            }),
            error,
        })
    }

    #[derive(Clone, Copy, Default)]
    enum Plan {
        #[default]
        Off,
        Count,
        FailAt(usize, i32),
        FailCallAt(&'static str, usize, i32),
        DieAt(usize),
    }

    #[derive(Default)]
    struct State {
        plan: Plan,
        calls: Vec<String>,
    }

    thread_local! {
        static STATE: RefCell<State> = RefCell::default();
    }

    fn set(plan: Plan) {
        STATE.set(State {
            plan,
            calls: Vec::new(),
        });
    }
}

#[cfg(not(debug_assertions))]
#[inline(always)]
pub(super) fn check(_call: &str, _name: &[u8]) -> io::Result<()> {
    Ok(())
}

#[cfg(not(debug_assertions))]
#[inline(always)]
pub(super) fn check_write(_length: usize) -> Result<(), Torn> {
    Ok(())
}
