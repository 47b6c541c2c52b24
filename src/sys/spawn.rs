//! Processes: fork, become another role of this program, see what became of children.
//!
//! A child is forked from a process with one thread.  It begins with every signal as it is for a
//! new program, and keeps of the descriptors only what it is told to keep: what belongs to the
//! monitor, clients' sockets among it, is closed before anything else happens.

use std::ffi::{CString, OsStr, OsString};
use std::fs::File;
use std::io;
use std::os::fd::{AsFd, FromRawFd, IntoRawFd, OwnedFd, RawFd};
use std::os::unix::ffi::OsStrExt;
use std::panic::{AssertUnwindSafe, catch_unwind};

use nix::errno::Errno;
use nix::fcntl::{FcntlArg, FdFlag, fcntl};
use nix::libc;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::prctl::set_pdeathsig;
use nix::sys::signal::{SaFlags, SigAction, SigHandler, SigSet, Signal, kill, sigaction};
use nix::sys::signalfd::{SfdFlags, SignalFd};
use nix::sys::wait::{WaitPidFlag, WaitStatus, waitpid};
use nix::unistd::{
    ForkResult, Pid, alarm, chdir, dup2_stderr, dup2_stdin, dup2_stdout, execve, fork,
};

use super::sandbox;

/// How a child has ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Exit {
    Code(i32),
    /// By a signal, with its name.
    Signal(&'static str),
}

/// Forks.  `body` runs in the child, which ends with the code that it gives; nothing of the
/// parent's is dropped there.  No thread may have been started.
pub fn fork_child(body: impl FnOnce() -> u8) -> io::Result<u32> {
    // SAFETY: the process has one thread (every caller promises it), so no lock is held by a thread
    // that is not there in the child; the child never returns from here, so nothing runs twice.
    match unsafe { fork() }? {
        ForkResult::Parent { child } => Ok(number(child)),
        ForkResult::Child => {
            let code = match reset_signals() {
                Ok(()) => catch_unwind(AssertUnwindSafe(body)).unwrap_or(PANICKED),
                Err(_) => FAILED,
            };
            // SAFETY: it ends the process; what the parent has open or buffered is the parent's to
            // finish.
            unsafe { libc::_exit(i32::from(code)) }
        }
    }
}

/// As they are when a program begins that nobody has prepared: ours are blocked, and read by the
/// parent.
fn reset_signals() -> io::Result<()> {
    let default = SigAction::new(SigHandler::SigDfl, SaFlags::empty(), SigSet::empty());
    for signal in [
        Signal::SIGCHLD,
        Signal::SIGTERM,
        Signal::SIGINT,
        Signal::SIGHUP,
    ] {
        // SAFETY: the default action runs no code of ours.
        unsafe { sigaction(signal, &default) }?;
    }
    die_of_faults();
    SigSet::empty().thread_set_mask()?;
    Ok(())
}

/// A fault ends the process at once.  Rust's start-up code has handlers for two of them, to tell of
/// an overflow of the stack; sent by somebody else, such a signal would be taken for none.
pub fn die_of_faults() {
    let default = SigAction::new(SigHandler::SigDfl, SaFlags::empty(), SigSet::empty());
    for signal in [Signal::SIGSEGV, Signal::SIGBUS] {
        // SAFETY: the default action runs no code of ours.
        let _ = unsafe { sigaction(signal, &default) };
    }
}

/// Closes everything but standard input, output and error, and `channel`, which is number 3
/// afterwards.  In a child only: what else had descriptors there must never be used or dropped.
pub fn keep_only(channel: OwnedFd) -> io::Result<OwnedFd> {
    let channel = channel.into_raw_fd();
    if channel != CHANNEL {
        // SAFETY: dup2 takes two numbers; whoever had number 3 is never used again in this process.
        Errno::result(unsafe { libc::dup2(channel, CHANNEL) })?;
    }
    close_from(CHANNEL + 1)?;
    // SAFETY: dup2 has just made it, or it was the channel before; everything else that may have
    // known the number belongs to the parent.
    let channel = unsafe { OwnedFd::from_raw_fd(CHANNEL) };
    fcntl(&channel, FcntlArg::F_SETFD(FdFlag::FD_CLOEXEC))?;
    Ok(channel)
}

/// One table gives the type, its list and its words, so that none can lack a role.
macro_rules! child_roles {
    ($($(#[$doc:meta])* $role:ident = $word:literal,)*) => {
        /// A role of this program that only the monitor starts, by executing the program anew with
        /// its word as the one argument.  Whoever reads arguments knows the roles from here, so no
        /// word is started that nobody knows.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub enum ChildRole {
            $($(#[$doc])* $role,)*
        }

        impl ChildRole {
            pub const ALL: &[ChildRole] = &[$(ChildRole::$role,)*];

            pub const fn word(self) -> &'static str {
                match self {
                    $(ChildRole::$role => $word,)*
                }
            }
        }
    };
}

child_roles! {
    Front = "front",
    /// Finds out who somebody is, and becomes that user's session.
    Login = "login",
    Session = "session",
    /// Prints a certificate and its key, and ends.
    Certificate = "certificate",
}

impl ChildRole {
    pub fn named(word: &str) -> Option<ChildRole> {
        let mut all = ChildRole::ALL.iter().copied();
        all.find(|role| role.word() == word)
    }
}

/// Becomes another role of this program, with `channel` as number 3 and these variables, and no
/// others.  Standard input, output and error are `/dev/null` there, save for a login child, which
/// is root: a terminal or a log of root's is not for the others, nor for whoever takes them over.
/// Only comes back with an error; standard error is then what it was.
pub fn become_role(
    role: ChildRole,
    channel: OwnedFd,
    environment: &[(OsString, OsString)],
) -> io::Error {
    match try_become(role, channel, environment) {
        Ok(never) => match never {},
        Err(error) => error,
    }
}

fn try_become(
    role: ChildRole,
    channel: OwnedFd,
    environment: &[(OsString, OsString)],
) -> io::Result<std::convert::Infallible> {
    let channel = keep_only(channel)?;
    leave_no_trace()?;
    let arguments = [CString::from(c"roost"), text(OsStr::new(role.word()))?];
    // Room for a title, where arguments and environment are written over by it.
    let room = (ROOM.into(), ".".repeat(TITLE).into());
    let variables = environment
        .iter()
        .chain(std::iter::once(&room))
        .map(|(name, value)| {
            let mut variable = name.clone();
            variable.push("=");
            variable.push(value);
            text(&variable)
        })
        .collect::<io::Result<Vec<CString>>>()?;
    let error = io::stderr().as_fd().try_clone_to_owned();
    if role != ChildRole::Login {
        lead_nowhere()?;
    }
    fcntl(&channel, FcntlArg::F_SETFD(FdFlag::empty()))?;
    let failed = execve(PROGRAM, &arguments, &variables);
    if let Ok(error) = error {
        dup2_stderr(error)?;
    }
    Ok(failed?)
}

fn lead_nowhere() -> io::Result<()> {
    let null = File::options().read(true).write(true).open("/dev/null")?;
    dup2_stdin(&null)?;
    dup2_stdout(&null)?;
    dup2_stderr(&null)?;
    Ok(())
}

/// What outlives an exec of what a PAM module may have set: a timer that would end the next
/// program, a directory.
fn leave_no_trace() -> io::Result<()> {
    alarm::cancel();
    Ok(chdir("/")?)
}

/// The variables of ours that another role may have: which time it is, and how strict it is with
/// itself.
pub fn environment() -> Vec<(OsString, OsString)> {
    PASSED_ON
        .iter()
        .filter_map(|&name| Some((name.into(), std::env::var_os(name)?)))
        .collect()
}

/// All variables of ours that are not about this one process, for a child that is root too: PAM
/// modules may be told by them where their configuration is.
pub fn whole_environment() -> Vec<(OsString, OsString)> {
    std::env::vars_os()
        .filter(|(name, _)| OWN.iter().all(|own| name != own))
        .collect()
}

/// Ends this process with that code, and does nothing else: no library that others have loaded has
/// its turn.
pub fn end_at_once(code: u8) -> ! {
    // SAFETY: it ends the process; nothing of ours is buffered, for the log is written line by
    // line.
    unsafe { libc::_exit(i32::from(code)) }
}

/// A child that has ended, with how it did; `None` if none has.
pub fn reap() -> Option<(u32, Exit)> {
    loop {
        match waitpid(None::<Pid>, Some(WaitPidFlag::WNOHANG)) {
            Ok(WaitStatus::Exited(pid, code)) => return Some((number(pid), Exit::Code(code))),
            Ok(WaitStatus::Signaled(pid, signal, _)) => {
                return Some((number(pid), Exit::Signal(signal.as_str())));
            }
            Ok(WaitStatus::StillAlive) => return None,
            // Stopped or continued.
            Ok(_) | Err(Errno::EINTR) => {}
            Err(_) => return None,
        }
    }
}

/// Waits for this child to end.
pub fn await_child(pid: u32) -> io::Result<Exit> {
    let child = Pid::from_raw(i32::try_from(pid).map_err(io::Error::other)?);
    loop {
        match waitpid(child, None) {
            Ok(WaitStatus::Exited(_, code)) => return Ok(Exit::Code(code)),
            Ok(WaitStatus::Signaled(_, signal, _)) => return Ok(Exit::Signal(signal.as_str())),
            Ok(_) | Err(Errno::EINTR) => {}
            Err(errno) => return Err(errno.into()),
        }
    }
}

/// Ends a child that has not been reaped yet, so that the number is still its own.
pub fn kill_child(pid: u32) {
    send(pid, Signal::SIGKILL);
}

/// Asks a child to end.
pub fn terminate_child(pid: u32) {
    send(pid, Signal::SIGTERM);
}

fn send(pid: u32, signal: Signal) {
    if let Ok(pid) = i32::try_from(pid)
        && pid > 1
    {
        // It may have ended meanwhile, which is as well.
        let _ = kill(Pid::from_raw(pid), signal);
    }
}

/// Waits for this child, or ends it when SIGTERM comes and waits then.
pub fn guard(pid: u32) -> io::Result<()> {
    let mut set = SigSet::empty();
    set.add(Signal::SIGTERM);
    set.add(Signal::SIGCHLD);
    set.thread_block()?;
    let flags = SfdFlags::SFD_CLOEXEC | SfdFlags::SFD_NONBLOCK;
    let signals = SignalFd::with_flags(&set, flags)?;
    let process = watch(pid);
    let child = Pid::from_raw(i32::try_from(pid).map_err(io::Error::other)?);
    loop {
        match waitpid(child, Some(WaitPidFlag::WNOHANG)) {
            Ok(WaitStatus::Exited(..) | WaitStatus::Signaled(..)) => return Ok(()),
            Ok(_) | Err(Errno::EINTR) => {}
            Err(errno) => return Err(errno.into()),
        }
        while let Ok(Some(signal)) = signals.read_signal() {
            if i32::try_from(signal.ssi_signo) == Ok(libc::SIGTERM) {
                kill_child(pid);
            }
        }
        let sources = std::iter::once(signals.as_fd()).chain(process.as_ref().map(AsFd::as_fd));
        let mut polled: Vec<PollFd<'_>> = sources
            .map(|source| PollFd::new(source, PollFlags::POLLIN))
            .collect();
        match poll(&mut polled, PollTimeout::NONE) {
            Ok(_) | Err(Errno::EINTR) => {}
            Err(errno) => return Err(errno.into()),
        }
    }
}

/// Ends this child with its parent as long as it is root: it may hang for what a thread of a PAM
/// module, which did not come along, has locked.  Becoming a user takes this back.
pub fn end_with_parent() {
    // Without it, it ends all the same if nothing hangs.
    let _ = set_pdeathsig(Signal::SIGKILL);
}

/// What becomes readable when that child ends.  SIGCHLD may go to a thread that a PAM module has
/// left behind, and is lost there.  Before Linux 5.3 there is nothing else.
fn watch(pid: u32) -> Option<OwnedFd> {
    // SAFETY: it takes two numbers; what it gives is a new descriptor, or negative.
    let fd = unsafe { libc::syscall(libc::SYS_pidfd_open, pid, 0) };
    let fd = RawFd::try_from(fd).ok().filter(|&fd| fd >= 0)?;
    // SAFETY: the kernel has just made it, and nobody else knows of it.
    Some(unsafe { OwnedFd::from_raw_fd(fd) })
}

/// Keeps SIGTERM and SIGCHLD for [`guard`], from before the fork on: one that comes early is not
/// lost.  A PAM module may have had them ignored; then neither would come, and children could not
/// be waited for.
pub fn prepare_guard() -> io::Result<()> {
    reset_signals()?;
    alarm::cancel();
    let mut set = SigSet::empty();
    set.add(Signal::SIGTERM);
    set.add(Signal::SIGCHLD);
    Ok(set.thread_block()?)
}

fn close_from(first: RawFd) -> io::Result<()> {
    let first = libc::c_uint::try_from(first).map_err(io::Error::other)?;
    // SAFETY: nothing in this process uses the descriptors again (the contract of `keep_only`).
    let closed = unsafe { libc::syscall(libc::SYS_close_range, first, libc::c_uint::MAX, 0) };
    if closed == 0 {
        return Ok(());
    }
    // Before Linux 5.9.
    for entry in std::fs::read_dir("/proc/self/fd")? {
        let name = entry?.file_name();
        let fd = name.to_str().and_then(|name| name.parse::<RawFd>().ok());
        if let Some(fd) = fd
            && u32::try_from(fd).is_ok_and(|fd| fd >= first)
        {
            // SAFETY: as above; the directory's own descriptor is closed twice at worst, when
            // nobody else can have got its number.
            let _ = unsafe { libc::close(fd) };
        }
    }
    Ok(())
}

fn text(text: &OsStr) -> io::Result<CString> {
    CString::new(text.as_bytes()).map_err(io::Error::other)
}

fn number(pid: Pid) -> u32 {
    u32::try_from(pid.as_raw()).unwrap_or_default()
}

/// Still there when the file has been replaced by that of a newer version.
const PROGRAM: &std::ffi::CStr = c"/proc/self/exe";

const CHANNEL: RawFd = 3;

/// The variable that is there for its length.
pub(super) const ROOM: &str = "ROOST_TITLE";

/// How much ps(1) shows of a line.
const TITLE: usize = 160;

/// What the service manager says to the monitor only.
const OWN: &[&str] = &[
    "LISTEN_FDNAMES",
    "LISTEN_FDS",
    "LISTEN_PID",
    "NOTIFY_SOCKET",
    "WATCHDOG_PID",
    "WATCHDOG_USEC",
];

const PASSED_ON: &[&str] = &["TZ", sandbox::UNLISTED];

/// sysexits.h: EX_SOFTWARE, EX_OSERR
const PANICKED: u8 = 70;
const FAILED: u8 = 71;
