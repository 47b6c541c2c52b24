//! A filter put into force; and, for tests, what tells of a call that it refuses.

use nix::errno::Errno;
use nix::libc;
use nix::sys::signal::{SaFlags, SigAction, SigHandler, SigSet, Signal, sigaction};
use seccompiler::BpfProgramRef;

/// Whether what a filter refuses is in the kernel's log, as far as there is one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Record {
    No,
    Yes,
}

/// From now on it holds, and in all threads.
pub fn in_all_threads(filter: BpfProgramRef<'_>, record: Record) -> Result<(), seccompiler::Error> {
    let length = libc::c_ushort::try_from(filter.len()).unwrap_or(0);
    let program = Program {
        length,
        instructions: filter.as_ptr().cast(),
    };
    let flags = match record {
        Record::No => libc::SECCOMP_FILTER_FLAG_TSYNC,
        Record::Yes => libc::SECCOMP_FILTER_FLAG_TSYNC | libc::SECCOMP_FILTER_FLAG_LOG,
    };
    // SAFETY: the program's address and length are those of `filter`, which the kernel only reads
    // and which lives as long as this call; its instructions are laid out as the kernel's
    // (repr(C)).
    let installed = unsafe {
        libc::syscall(
            libc::SYS_seccomp,
            libc::SECCOMP_SET_MODE_FILTER,
            flags,
            &raw const program,
        )
    };
    match installed {
        0 => Ok(()),
        // Before Linux 4.14 there is no such flag; and whatever else was wrong is told by name.
        _ => seccompiler::apply_filter_all_threads(filter),
    }
}

/// A call that the filter refuses with a signal is told of on standard error, and ends the process.
pub fn tell_of_refusals() -> Result<(), Errno> {
    let handler = SigHandler::SigAction(tell);
    let action = SigAction::new(handler, SaFlags::SA_SIGINFO, SigSet::all());
    // SAFETY: the handler only calls what may be called in one (signal-safety(7)), and does not
    // return.
    unsafe { sigaction(Signal::SIGSYS, &action) }?;
    Ok(())
}

extern "C" fn tell(_: libc::c_int, info: *mut libc::siginfo_t, _: *mut libc::c_void) {
    // SAFETY: the kernel gives a handler with SA_SIGINFO a whole siginfo_t, which for SIGSYS begins
    // so.
    let Refusal { number, .. } = unsafe { info.cast::<Refusal>().read_unaligned() };
    let mut text = *b"roost: system call      is not listed (src/sys/sandbox/calls.rs)\n";
    let mut left = number.unsigned_abs();
    for digit in text.iter_mut().skip(DIGITS).take(4).rev() {
        *digit = b'0' + u8::try_from(left % 10).unwrap_or(0);
        left /= 10;
    }
    // SAFETY: the text lives as long as the call.
    unsafe { libc::write(libc::STDERR_FILENO, text.as_ptr().cast(), text.len()) };
    // SAFETY: it ends the process and touches nothing of it.
    unsafe { libc::_exit(REFUSED) }
}

/// `struct sock_fprog`
#[repr(C)]
struct Program {
    length: libc::c_ushort,
    instructions: *const libc::c_void,
}

/// `siginfo_t` of SIGSYS: number, error and code of the signal, and what they are aligned to; then
/// its own.
#[repr(C)]
struct Refusal {
    _signal: [libc::c_int; 4],
    _address: *const libc::c_void,
    number: libc::c_int,
}

/// Where the number stands in the text.
const DIGITS: usize = 19;

/// As a shell tells of SIGSYS.
const REFUSED: libc::c_int = 128 + libc::SIGSYS;
