//! The system calls of each role.
//!
//! Each list is what the role's code, the standard library, glibc and the crates below us call
//! today, with the older and newer names of the same call, so that another version of them finds
//! what it needs.  What is missing on purpose: every way to execute, to make a process, to look
//! into another one, to get a socket (descriptors come from the monitor), to map executable memory,
//! to mount, to load into the kernel.
//!
//! Calls that Landlock does not govern are missing too, because where several users share one uid
//! the filter alone keeps a session from their files: to make a link, to change modes or times by a
//! path (by a descriptor it is possible, and Landlock decides what can be opened), to ask by a path
//! what is permitted, to have signals sent to others (`F_SETOWN`, `O_ASYNC`).

use std::collections::BTreeMap;

use nix::libc;
use seccompiler::{
    BackendError, BpfProgram, SeccompAction, SeccompCmpArgLen, SeccompCmpOp, SeccompCondition,
    SeccompFilter, SeccompRule, TargetArch,
};

use super::{SandboxRole, Unlisted};

type Rules = BTreeMap<i64, Vec<SeccompRule>>;

/// What is refused by rule, as libraries expect it; and what is listed.  To be installed in this
/// order: of two answers the kernel takes the harder one, and of two errors the one of the last
/// filter.
pub fn filters(role: SandboxRole, unlisted: Unlisted) -> Result<[BpfProgram; 2], BackendError> {
    let (refused, errno) = match role {
        // A library that looks for a file does without; there are none.
        SandboxRole::Front => (plain(FRONT_LOOKS), libc::EACCES),
        // Its flags are in memory, where no filter can see them; told that there is no such call,
        // glibc uses clone.
        SandboxRole::Session | SandboxRole::Trial => (plain(&[libc::SYS_clone3]), libc::ENOSYS),
    };
    let errno = SeccompAction::Errno(errno.unsigned_abs());
    let unlisted = match (role, unlisted) {
        (SandboxRole::Front, _) => SeccompAction::KillProcess,
        (_, Unlisted::Fails) => SeccompAction::Errno(libc::EPERM.unsigned_abs()),
        (_, Unlisted::Ends) => SeccompAction::Trap,
    };
    let allowed = allowed(role)?;
    Ok([
        SeccompFilter::new(refused, SeccompAction::Allow, errno, ARCHITECTURE)?.try_into()?,
        SeccompFilter::new(allowed, unlisted, SeccompAction::Allow, ARCHITECTURE)?.try_into()?,
    ])
}

/// What `role` may call, and with which arguments.
fn allowed(role: SandboxRole) -> Result<Rules, BackendError> {
    let mut allowed = plain(COMMON);
    allowed.extend(common_rules()?);
    match role {
        SandboxRole::Front => {
            allowed.extend(plain(FRONT));
            allowed.extend(plain(FRONT_LOOKS));
            allowed.extend(front_rules()?);
        }
        SandboxRole::Session | SandboxRole::Trial => {
            allowed.extend(plain(SESSION));
            allowed.extend(plain(SESSION_OLD));
            allowed.extend(plain(&[libc::SYS_clone3]));
            allowed.extend(session_rules()?);
        }
    }
    if role == SandboxRole::Trial {
        allowed.extend(plain(FRONT));
    }
    let mut commands = FCNTL.to_vec();
    if role != SandboxRole::Front {
        commands.push(libc::F_OFD_SETLK);
    }
    allowed.insert(libc::SYS_fcntl, fcntl_rules(&commands)?);
    Ok(allowed)
}

fn common_rules() -> Result<Rules, BackendError> {
    let process = libc::c_int::try_from(std::process::id()).unwrap_or(-1);
    Ok(Rules::from([
        // Memory is never executable that was not when the program was loaded.
        (libc::SYS_mmap, vec![without(2, libc::PROT_EXEC)?]),
        (libc::SYS_mprotect, vec![without(2, libc::PROT_EXEC)?]),
        // To end, and threads of our own only.
        (libc::SYS_tgkill, vec![only(0, process)?]),
        // Limits are read, not changed.
        (libc::SYS_prlimit64, vec![none(2)?]),
        (
            libc::SYS_ioctl,
            vec![
                request(libc::FIONBIO)?,
                request(libc::FIONREAD)?,
                request(libc::TCGETS)?,
            ],
        ),
        (libc::SYS_prctl, vec![only(0, libc::PR_SET_NAME)?]),
    ]))
}

fn front_rules() -> Result<Rules, BackendError> {
    // The ends of a pair belong together; a datagram socket could send to any other of this host.
    let kind = SeccompCondition::new(
        1,
        SeccompCmpArgLen::Dword,
        SeccompCmpOp::MaskedEq(SOCKET_TYPES),
        u64::from(libc::SOCK_STREAM.cast_unsigned()),
    )?;
    let pair = SeccompRule::new(vec![condition(0, libc::AF_UNIX)?, kind])?;
    Ok(Rules::from([(libc::SYS_socketpair, vec![pair])]))
}

/// These commands, and `F_SETFL` without `O_ASYNC`, which with `F_SETOWN` and `F_SETSIG` would send
/// signals.
fn fcntl_rules(commands: &[libc::c_int]) -> Result<Vec<SeccompRule>, BackendError> {
    let mut rules = Vec::new();
    for &command in commands {
        rules.push(only(1, command)?);
    }
    let quiet = SeccompCondition::new(
        2,
        SeccompCmpArgLen::Dword,
        SeccompCmpOp::MaskedEq(u64::from(libc::O_ASYNC.cast_unsigned())),
        0,
    )?;
    rules.push(SeccompRule::new(vec![condition(1, libc::F_SETFL)?, quiet])?);
    Ok(rules)
}

fn session_rules() -> Result<Rules, BackendError> {
    // A thread, not a process.
    let thread = libc::CLONE_THREAD | libc::CLONE_VM;
    Ok(Rules::from([
        // Whether something is there, as stat(2) tells too; the watch on the mail asks so.
        #[cfg(target_arch = "x86_64")]
        (libc::SYS_access, vec![only(1, libc::F_OK)?]),
        (libc::SYS_faccessat, vec![only(2, libc::F_OK)?]),
        (libc::SYS_faccessat2, vec![only(2, libc::F_OK)?]),
        (libc::SYS_clone, vec![with(0, thread)?]),
        // Is the process still there whose lock this is?
        (libc::SYS_kill, vec![only(1, 0)?]),
        // futimens(3): the times of what is open.
        (libc::SYS_utimensat, vec![none(1)?]),
    ]))
}

fn plain(calls: &[libc::c_long]) -> Rules {
    calls.iter().map(|&call| (call, Vec::new())).collect()
}

/// The argument has this value.
fn only(argument: u8, value: libc::c_int) -> Result<SeccompRule, BackendError> {
    SeccompRule::new(vec![condition(argument, value)?])
}

fn condition(argument: u8, value: libc::c_int) -> Result<SeccompCondition, BackendError> {
    let value = u64::from(value.cast_unsigned());
    SeccompCondition::new(argument, SeccompCmpArgLen::Dword, SeccompCmpOp::Eq, value)
}

/// ioctl's request.
fn request(value: libc::c_ulong) -> Result<SeccompRule, BackendError> {
    rule(1, SeccompCmpArgLen::Dword, SeccompCmpOp::Eq, value)
}

/// The argument is no pointer.
fn none(argument: u8) -> Result<SeccompRule, BackendError> {
    rule(argument, SeccompCmpArgLen::Qword, SeccompCmpOp::Eq, 0)
}

/// The argument has none of these bits.
fn without(argument: u8, bits: libc::c_int) -> Result<SeccompRule, BackendError> {
    let bits = u64::from(bits.cast_unsigned());
    let operation = SeccompCmpOp::MaskedEq(bits);
    rule(argument, SeccompCmpArgLen::Dword, operation, 0)
}

/// The argument has all of these bits.
fn with(argument: u8, bits: libc::c_int) -> Result<SeccompRule, BackendError> {
    let bits = u64::from(bits.cast_unsigned());
    let operation = SeccompCmpOp::MaskedEq(bits);
    rule(argument, SeccompCmpArgLen::Dword, operation, bits)
}

fn rule(
    argument: u8,
    length: SeccompCmpArgLen,
    operation: SeccompCmpOp,
    value: u64,
) -> Result<SeccompRule, BackendError> {
    SeccompRule::new(vec![SeccompCondition::new(
        argument, length, operation, value,
    )?])
}

/// Every role: bytes through descriptors that are there, the event loop, memory, time, the end.
const COMMON: &[libc::c_long] = &[
    libc::SYS_brk,
    libc::SYS_clock_getres,
    libc::SYS_clock_gettime,
    libc::SYS_clock_nanosleep,
    libc::SYS_close,
    libc::SYS_dup,
    libc::SYS_epoll_create1,
    libc::SYS_epoll_ctl,
    libc::SYS_epoll_pwait,
    libc::SYS_epoll_pwait2,
    libc::SYS_eventfd2,
    libc::SYS_exit,
    libc::SYS_exit_group,
    libc::SYS_fstat,
    libc::SYS_futex,
    libc::SYS_getegid,
    libc::SYS_geteuid,
    libc::SYS_getgid,
    libc::SYS_getpeername,
    libc::SYS_getpid,
    libc::SYS_getrandom,
    libc::SYS_getrusage,
    libc::SYS_getsockname,
    libc::SYS_getsockopt,
    libc::SYS_gettid,
    libc::SYS_gettimeofday,
    libc::SYS_getuid,
    libc::SYS_lseek,
    libc::SYS_madvise,
    libc::SYS_mremap,
    libc::SYS_munmap,
    libc::SYS_nanosleep,
    libc::SYS_ppoll,
    libc::SYS_read,
    libc::SYS_readv,
    libc::SYS_recvfrom,
    libc::SYS_recvmsg,
    libc::SYS_restart_syscall,
    libc::SYS_rseq,
    libc::SYS_rt_sigaction,
    libc::SYS_rt_sigprocmask,
    libc::SYS_rt_sigreturn,
    libc::SYS_sched_getaffinity,
    libc::SYS_sched_yield,
    libc::SYS_sendmsg,
    libc::SYS_sendto,
    libc::SYS_set_robust_list,
    libc::SYS_setsockopt,
    libc::SYS_shutdown,
    libc::SYS_sigaltstack,
    libc::SYS_signalfd4,
    libc::SYS_sysinfo,
    libc::SYS_uname,
    libc::SYS_write,
    libc::SYS_writev,
    #[cfg(target_arch = "x86_64")]
    libc::SYS_epoll_wait,
    #[cfg(target_arch = "x86_64")]
    libc::SYS_poll,
    #[cfg(target_arch = "x86_64")]
    libc::SYS_time,
];

/// What is done to descriptors.
const FCNTL: &[libc::c_int] = &[
    libc::F_DUPFD_CLOEXEC,
    libc::F_GETFD,
    libc::F_SETFD,
    libc::F_GETFL,
];

/// Of socketpair(2)'s second argument, which has flags too.
const SOCKET_TYPES: u64 = 0xf;

/// What listeners accept.
const FRONT: &[libc::c_long] = &[libc::SYS_accept, libc::SYS_accept4];

/// Looking for files, which is refused without killing.
const FRONT_LOOKS: &[libc::c_long] = &[
    libc::SYS_openat,
    libc::SYS_faccessat,
    libc::SYS_faccessat2,
    libc::SYS_newfstatat,
    libc::SYS_readlinkat,
    libc::SYS_statx,
    #[cfg(target_arch = "x86_64")]
    libc::SYS_access,
    #[cfg(target_arch = "x86_64")]
    libc::SYS_lstat,
    #[cfg(target_arch = "x86_64")]
    libc::SYS_open,
    #[cfg(target_arch = "x86_64")]
    libc::SYS_readlink,
    #[cfg(target_arch = "x86_64")]
    libc::SYS_stat,
];

/// Files and the watch on them; which files is Landlock's.
const SESSION: &[libc::c_long] = &[
    libc::SYS_copy_file_range,
    libc::SYS_fadvise64,
    libc::SYS_fallocate,
    libc::SYS_fchmod,
    libc::SYS_fchown,
    libc::SYS_fdatasync,
    libc::SYS_flock,
    libc::SYS_fstatfs,
    libc::SYS_fsync,
    libc::SYS_ftruncate,
    libc::SYS_getcwd,
    libc::SYS_getdents64,
    libc::SYS_getgroups,
    libc::SYS_inotify_add_watch,
    libc::SYS_inotify_init1,
    libc::SYS_inotify_rm_watch,
    libc::SYS_linkat,
    libc::SYS_mkdirat,
    libc::SYS_newfstatat,
    libc::SYS_openat,
    libc::SYS_pread64,
    libc::SYS_preadv,
    libc::SYS_pwrite64,
    libc::SYS_pwritev,
    libc::SYS_readlinkat,
    libc::SYS_renameat,
    libc::SYS_renameat2,
    libc::SYS_sendfile,
    libc::SYS_statfs,
    libc::SYS_statx,
    libc::SYS_sync_file_range,
    libc::SYS_syncfs,
    libc::SYS_umask,
    libc::SYS_unlinkat,
];

/// The older names of calls of [`SESSION`], where there are such.
#[cfg(target_arch = "x86_64")]
const SESSION_OLD: &[libc::c_long] = &[
    libc::SYS_link,
    libc::SYS_lstat,
    libc::SYS_mkdir,
    libc::SYS_open,
    libc::SYS_readlink,
    libc::SYS_rename,
    libc::SYS_rmdir,
    libc::SYS_stat,
    libc::SYS_unlink,
];

#[cfg(not(target_arch = "x86_64"))]
const SESSION_OLD: &[libc::c_long] = &[];

#[cfg(target_arch = "x86_64")]
const ARCHITECTURE: TargetArch = TargetArch::x86_64;

#[cfg(target_arch = "aarch64")]
const ARCHITECTURE: TargetArch = TargetArch::aarch64;

#[cfg(target_arch = "riscv64")]
const ARCHITECTURE: TargetArch = TargetArch::riscv64;

#[cfg(test)]
mod tests;
