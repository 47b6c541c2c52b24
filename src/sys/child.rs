//! For tests: rights that are given up for good are given up in a child.

use nix::libc;
use nix::sys::signal::Signal;
use nix::sys::wait::{WaitStatus, waitpid};
use nix::unistd::{ForkResult, fork};

/// How a child ended that has not reported success.
#[derive(Debug, PartialEq, Eq)]
pub enum Death {
    Step(i32),
    Signal(Signal),
    Other,
}

/// Runs `steps` in a child.
pub fn in_child(steps: impl FnOnce() -> Result<(), u8>) -> Result<(), Death> {
    // SAFETY: the child goes on with one thread, calls nothing that waits for another one (glibc
    // makes malloc usable after fork), and ends without running anybody's destructors.
    match unsafe { fork() }.unwrap() {
        ForkResult::Child => {
            let code = match steps() {
                Ok(()) => 0,
                Err(step) => i32::from(step),
            };
            // SAFETY: it ends the process.
            unsafe { libc::_exit(code) }
        }
        ForkResult::Parent { child } => match waitpid(child, None).unwrap() {
            WaitStatus::Exited(_, 0) => Ok(()),
            WaitStatus::Exited(_, step) => Err(Death::Step(step)),
            WaitStatus::Signaled(_, signal, _) => Err(Death::Signal(signal)),
            _ => Err(Death::Other),
        },
    }
}

pub fn holds(step: u8, condition: bool) -> Result<(), u8> {
    if condition { Ok(()) } else { Err(step) }
}
