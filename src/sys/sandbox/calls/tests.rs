//! The filter against what the source calls: a call of the operating system that comes new into
//! `maildir`, `net` or `ipc` needs a row here, and what it is for the kernel a row in the filter.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use super::*;

/// What is called, by its last name, and the system calls that it makes.
const MADE: &[(&str, &[libc::c_long])] = &[
    // nix, in maildir/dir.
    ("fchmod", &[libc::SYS_fchmod]),
    ("fchown", &[libc::SYS_fchown]),
    ("fcntl", &[libc::SYS_fcntl]),
    ("fstat", &[libc::SYS_fstat, libc::SYS_newfstatat]),
    ("fstatat", &[libc::SYS_newfstatat]),
    ("fstatfs", &[libc::SYS_fstatfs]),
    ("fsync", &[libc::SYS_fsync]),
    ("futimens", &[libc::SYS_utimensat]),
    ("getegid", &[libc::SYS_getegid]),
    ("geteuid", &[libc::SYS_geteuid]),
    ("getgroups", &[libc::SYS_getgroups]),
    ("gethostname", &[libc::SYS_uname]),
    ("kill", &[libc::SYS_kill]),
    ("linkat", &[libc::SYS_linkat]),
    ("lstat", &[libc::SYS_newfstatat]),
    ("mkdirat", &[libc::SYS_mkdirat]),
    ("open", &[libc::SYS_openat]),
    ("openat", &[libc::SYS_openat]),
    ("readlinkat", &[libc::SYS_readlinkat]),
    ("renameat", &[libc::SYS_renameat]),
    ("renameat2", &[libc::SYS_renameat2]),
    ("stat", &[libc::SYS_newfstatat]),
    ("syncfs", &[libc::SYS_syncfs]),
    ("unlinkat", &[libc::SYS_unlinkat]),
    // The standard library, on an open file.
    ("read", &[libc::SYS_read]),
    ("read_at", &[libc::SYS_pread64]),
    ("set_len", &[libc::SYS_ftruncate]),
    ("sync_all", &[libc::SYS_fsync]),
    ("sync_data", &[libc::SYS_fdatasync]),
    ("try_lock", &[libc::SYS_flock]),
    ("try_lock_shared", &[libc::SYS_flock]),
    // Of a buffer.
    ("flush", &[]),
    ("write", &[libc::SYS_write]),
    ("write_all", &[libc::SYS_write]),
    ("try_clone", &[libc::SYS_fcntl]),
    // And on paths.
    ("canonicalize", &[libc::SYS_readlinkat, libc::SYS_statx]),
    ("is_dir", &[libc::SYS_statx]),
    ("read_link", &[libc::SYS_readlinkat]),
    // Sockets, in net and ipc.
    ("getpeername", &[libc::SYS_getpeername]),
    ("getsockname", &[libc::SYS_getsockname]),
    ("getsockopt", &[libc::SYS_getsockopt]),
    ("recv", &[libc::SYS_recvfrom]),
    ("send", &[libc::SYS_sendto]),
];

/// Names of nix's modules.
const MODULES: &[&str] = &[
    "errno", "fcntl", "libc", "self", "signal", "socket", "sockopt", "stat", "statfs", "statvfs",
    "sys", "time", "unistd",
];

/// What the crates below do, as far as a session uses them.
const OF_CRATES: &[(&str, &[libc::c_long])] = &[
    (
        "mio",
        &[
            libc::SYS_epoll_create1,
            libc::SYS_epoll_ctl,
            libc::SYS_epoll_pwait,
            libc::SYS_eventfd2,
            libc::SYS_read,
            libc::SYS_write,
            libc::SYS_close,
        ],
    ),
    (
        "notify",
        &[
            libc::SYS_inotify_init1,
            libc::SYS_inotify_add_watch,
            libc::SYS_inotify_rm_watch,
            libc::SYS_faccessat2,
            libc::SYS_statx,
            // Its thread.
            libc::SYS_clone,
            libc::SYS_futex,
            libc::SYS_mmap,
            libc::SYS_mprotect,
            libc::SYS_munmap,
            libc::SYS_rseq,
            libc::SYS_set_robust_list,
            libc::SYS_sigaltstack,
            libc::SYS_rt_sigprocmask,
            libc::SYS_sched_getaffinity,
            libc::SYS_exit,
        ],
    ),
    ("rustls", &[libc::SYS_getrandom]),
    (
        "std, of streams",
        &[
            libc::SYS_readv,
            libc::SYS_writev,
            libc::SYS_shutdown,
            libc::SYS_setsockopt,
            libc::SYS_getpeername,
            libc::SYS_getsockname,
        ],
    ),
    ("sys::fs", &[libc::SYS_getdents64]),
    ("sys::packet", &[libc::SYS_sendmsg, libc::SYS_recvmsg]),
    (
        "sys::process",
        &[
            libc::SYS_madvise,
            libc::SYS_getrusage,
            libc::SYS_gettid,
            libc::SYS_getpid,
        ],
    ),
    (
        "glibc",
        &[
            libc::SYS_brk,
            libc::SYS_mremap,
            libc::SYS_clock_gettime,
            libc::SYS_exit_group,
            libc::SYS_tgkill,
        ],
    ),
];

#[test]
fn whatever_the_source_calls_is_in_the_filter_of_a_session() {
    let mut unknown = Vec::new();
    let mut called = BTreeSet::new();
    for path in sources() {
        for name in calls_in(&fs::read_to_string(&path).unwrap()) {
            match MADE.iter().any(|(known, _)| *known == name) {
                true => drop(called.insert(name)),
                false => unknown.push(format!("{}: {name}", path.display())),
            }
        }
    }
    assert!(unknown.is_empty(), "not in the table MADE: {unknown:#?}");
    // The search finds something.
    for name in ["openat", "renameat2", "syncfs", "sync_data"] {
        assert!(called.contains(name), "{name}");
    }
    for role in [SandboxRole::Session, SandboxRole::Trial] {
        let allowed = allowed(role).unwrap();
        for (name, calls) in MADE.iter().chain(OF_CRATES) {
            for call in *calls {
                assert!(
                    allowed.contains_key(call),
                    "{name} makes the system call {call}, which {role:?} may not"
                );
            }
        }
    }
}

#[test]
fn a_new_call_is_found() {
    let text = "use nix::unistd::{self, pread};\n// unistd::sync()\nfn f() {\n    unistd::truncate(path, 0);\n    \
                self.inner.set_times(x);\n}\n#[cfg(test)]\nmod tests { unistd::mkfifo(); }\n";
    let found: Vec<String> = calls_in(text);
    assert_eq!(found, ["truncate", "pread", "set_times"]);
}

/// Everything that touches mail or sockets.
fn sources() -> Vec<PathBuf> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut left: Vec<PathBuf> = ["maildir", "net", "ipc"].map(|name| root.join(name)).into();
    let mut found = Vec::new();
    while let Some(path) = left.pop() {
        let name = path.file_name().and_then(|name| name.to_str()).unwrap();
        if path.is_dir() {
            let entries = fs::read_dir(&path).unwrap();
            left.extend(entries.map(|entry| entry.unwrap().path()));
        } else if !["tests.rs", "scratch.rs", "lab.rs"].contains(&name)
            && !path.components().any(|part| part.as_os_str() == "tests")
        {
            found.push(path);
        }
    }
    found
}

/// The functions of nix that are named in the text, those of the standard library that are called
/// on an open file, and on a path.
fn calls_in(text: &str) -> Vec<String> {
    let code = text
        .split("#[cfg(test)]\nmod tests {")
        .next()
        .unwrap_or(text);
    let code: String = code
        .lines()
        .filter(|line| !line.trim_start().starts_with("//"))
        .flat_map(|line| [line, "\n"])
        .collect();
    let mut found = Vec::new();
    for module in [
        "fcntl::", "stat::", "unistd::", "statfs::", "signal::", "socket::",
    ] {
        let after = code.split(module).skip(1);
        found.extend(after.filter_map(called));
    }
    for statement in code.split("use nix::").skip(1) {
        let statement = statement.split(';').next().unwrap_or_default();
        let names = statement.split(|c: char| !c.is_ascii_alphanumeric() && c != '_');
        let functions = names.filter(|name| {
            let is_name = name.starts_with(|c: char| c.is_ascii_lowercase());
            is_name && !MODULES.contains(name)
        });
        found.extend(functions.map(str::to_owned));
    }
    for owner in ["self.inner.", "std::fs::"] {
        found.extend(code.split(owner).skip(1).filter_map(called));
    }
    for method in ["canonicalize", "is_dir"] {
        if code.contains(&format!(".{method}(")) {
            found.push(method.to_owned());
        }
    }
    found
}

/// The name at the start, if it is called.
fn called(text: &str) -> Option<String> {
    let end = text.find(|c: char| !c.is_ascii_alphanumeric() && c != '_')?;
    let (name, rest) = text.split_at(end);
    let is_function = name.starts_with(|c: char| c.is_ascii_lowercase());
    (is_function && rest.starts_with('(')).then(|| name.to_owned())
}
