//! Each test does what is refused in a child of its own.

// A test says what it skips.
#![allow(clippy::print_stderr)]

use std::fs;
use std::io::{self, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::os::unix::net::UnixStream;
use std::path::PathBuf;

use nix::errno::Errno;
use nix::libc;
use nix::sys::signal::Signal;

use super::*;
use crate::sys::child::{Death, holds, in_child};
use crate::sys::credentials::Account;

#[test]
fn nothing_outside_the_mail_tree_can_be_read_or_written_by_a_session() {
    let place = Place::new("files");
    fs::write(place.path("outside"), "secret").unwrap();
    fs::create_dir_all(place.path("mail/tmp")).unwrap();
    fs::create_dir_all(place.path("mail/cur")).unwrap();
    fs::write(place.path("mail/tmp/1"), "mail").unwrap();
    std::os::unix::fs::symlink("/etc/passwd", place.path("mail/way-out")).unwrap();
    let (inside, outside) = (place.path("mail"), place.path("outside"));
    let status = in_child(|| {
        let enforced = confine_files(&[&inside]).map_err(|_| 1)?;
        confine_calls(SandboxRole::Session).map_err(|_| 2)?;
        let read = fs::read(inside.join("tmp/1")).map_err(|_| 3)?;
        holds(4, read == b"mail")?;
        // Across directories, which needs REFER.
        fs::rename(inside.join("tmp/1"), inside.join("cur/1")).map_err(|_| 5)?;
        fs::hard_link(inside.join("cur/1"), inside.join("cur/2")).map_err(|_| 6)?;
        fs::create_dir(inside.join(".New")).map_err(|_| 7)?;
        fs::remove_file(inside.join("cur/2")).map_err(|_| 8)?;
        if enforced == Enforced::Not {
            return Ok(());
        }
        holds(9, fs::read(&outside).is_err())?;
        holds(10, fs::write(&outside, "").is_err())?;
        holds(11, fs::read_dir("/etc").is_err())?;
        holds(13, fs::read(inside.join("way-out")).is_err())?;
        holds(14, fs::hard_link(&outside, inside.join("cur/3")).is_err())?;
        Ok(())
    });
    assert_eq!(status, Ok(()));
}

#[test]
fn what_landlock_does_not_govern_is_refused_to_a_session() {
    use std::os::unix::fs::{PermissionsExt, symlink};
    let place = Place::new("ungoverned");
    fs::create_dir(place.path("mail")).unwrap();
    fs::write(place.path("mail/own"), "mail").unwrap();
    let (inside, own) = (place.path("mail"), place.path("mail/own"));
    let status = in_child(|| {
        confine_files(&[&inside]).map_err(|_| 1)?;
        confine_calls(SandboxRole::Session).map_err(|_| 2)?;
        let refused = |error: io::Error| error.raw_os_error() == Some(libc::EPERM);
        let private = fs::Permissions::from_mode(0o600);
        holds(3, symlink("/", inside.join("link")).is_err_and(refused))?;
        holds(
            4,
            fs::set_permissions(&own, private.clone()).is_err_and(refused),
        )?;
        let file = fs::File::options().read(true).write(true).open(&own);
        let file = file.map_err(|_| 5)?;
        let fd = std::os::fd::AsRawFd::as_raw_fd(&file);
        let path = std::ffi::CString::new(own.as_os_str().as_encoded_bytes()).map_err(|_| 6)?;
        let path = path.as_ptr().addr() as u64;
        let here = libc::AT_FDCWD as u64;
        for (number, call, arguments) in [
            (10, libc::SYS_utimensat, [here, path, 0, 0]),
            (11, libc::SYS_faccessat2, [here, path, 4, 0]),
            (12, libc::SYS_fchmodat, [here, path, 0o777, 0]),
            (13, libc::SYS_symlinkat, [path, here, path, 0]),
            (
                14,
                libc::SYS_fcntl,
                [fd as u64, libc::F_SETOWN as u64, 1, 0],
            ),
            (15, libc::SYS_fcntl, [fd as u64, F_SETSIG, 9, 0]),
            (
                16,
                libc::SYS_fcntl,
                [fd as u64, libc::F_SETFL as u64, libc::O_ASYNC as u64, 0],
            ),
            (
                17,
                libc::SYS_fcntl,
                [fd as u64, libc::F_NOTIFY as u64, 1, 0],
            ),
            (18, libc::SYS_socketpair, [1, 2, 0, 0]),
        ] {
            holds(number, with(call, arguments) == Err(Errno::EPERM))?;
        }
        // By descriptor it is the session's own.
        file.set_permissions(private).map_err(|_| 20)?;
        file.set_modified(std::time::SystemTime::UNIX_EPOCH)
            .map_err(|_| 21)?;
        file.try_clone().map_err(|_| 22)?;
        nix::unistd::syncfs(&file).map_err(|_| 23)?;
        Ok(())
    });
    assert_eq!(status, Ok(()));
}

#[test]
fn a_front_gets_pairs_of_streams_and_no_other_and_has_no_signals_sent() {
    use nix::sys::socket::{AddressFamily, SockFlag, SockType, socketpair};
    let of = |kind| {
        move || {
            drop(socketpair(
                AddressFamily::Unix,
                kind,
                None,
                SockFlag::SOCK_CLOEXEC,
            ))
        }
    };
    let status = in_child(|| {
        confine_calls(SandboxRole::Front).map_err(|_| 1)?;
        of(SockType::Stream)();
        Ok(())
    });
    assert_eq!(status, Ok(()));
    let attempts: [&dyn Fn(); 5] = [
        &of(SockType::Datagram),
        &of(SockType::SeqPacket),
        &|| assert!(with(libc::SYS_fcntl, [0, libc::F_SETOWN as u64, 1, 0]).is_err()),
        &|| assert!(with(libc::SYS_fcntl, [0, F_SETSIG, 9, 0]).is_err()),
        &|| {
            let arguments = [0, libc::F_SETFL as u64, libc::O_ASYNC as u64, 0];
            assert!(with(libc::SYS_fcntl, arguments).is_err());
        },
    ];
    for (number, attempt) in attempts.into_iter().enumerate() {
        let status = in_child(|| {
            confine_calls(SandboxRole::Front).map_err(|_| 1)?;
            attempt();
            Ok(())
        });
        assert_eq!(status, Err(Death::Signal(Signal::SIGSYS)), "{number}");
    }
}

#[test]
fn a_process_that_wants_more_memory_than_it_may_have_ends_with_a_code_of_its_own() {
    let status = in_child(|| {
        limit_memory(64 << 20).map_err(|_| 1)?;
        let large = vec![1_u8; 16 << 20];
        holds(2, std::hint::black_box(&large).len() == 16 << 20)?;
        let too_large = vec![1_u8; 128 << 20];
        holds(3, std::hint::black_box(&too_large).is_empty())
    });
    assert_eq!(status, Err(Death::Step(memory::OUT_OF_MEMORY)));
}

#[test]
fn a_session_gets_no_socket_no_program_and_no_other_process() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let status = in_child(|| {
        confine_calls(SandboxRole::Session).map_err(|_| 1)?;
        let refused = |error: &io::Error| error.raw_os_error() == Some(libc::EPERM);
        holds(2, TcpStream::connect(address).is_err_and(|e| refused(&e)))?;
        holds(
            3,
            UnixStream::connect("/nowhere").is_err_and(|e| refused(&e)),
        )?;
        holds(
            4,
            TcpListener::bind("127.0.0.1:0").is_err_and(|e| refused(&e)),
        )?;
        for (number, call) in FORBIDDEN {
            holds(*number, raw(*call) == Err(Errno::EPERM))?;
        }
        holds(50, map_executable() == Err(Errno::EPERM))?;
        // Not a limit of this test: what is permitted works.
        std::thread::spawn(|| ()).join().map_err(|_| 51)?;
        let now = std::time::Instant::now();
        holds(52, now.elapsed().as_secs() < 3600)
    });
    assert_eq!(status, Ok(()));
}

#[test]
fn the_front_dies_of_any_call_that_is_not_its_own() {
    for &(number, call) in FORBIDDEN {
        let status = in_child(|| {
            confine_calls(SandboxRole::Front).map_err(|_| 1)?;
            let _ = raw(call);
            Ok(())
        });
        assert_eq!(status, Err(Death::Signal(Signal::SIGSYS)), "{number}");
    }
    let attempts: [fn(); 4] = [
        || drop(TcpStream::connect("127.0.0.1:1")),
        || drop(std::process::Command::new("/bin/true").status()),
        || drop(std::thread::Builder::new().spawn(|| ())),
        || assert!(map_executable().is_err()),
    ];
    for (number, attempt) in attempts.into_iter().enumerate() {
        let status = in_child(|| {
            confine_calls(SandboxRole::Front).map_err(|_| 1)?;
            attempt();
            Ok(())
        });
        assert_eq!(status, Err(Death::Signal(Signal::SIGSYS)), "{number}");
    }
}

#[test]
fn the_front_sees_no_file_and_serves_what_it_was_given() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let client = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
    let status = in_child(|| {
        confine_files(&[]).map_err(|_| 1)?;
        forbid_core_dumps().map_err(|_| 2)?;
        confine_calls(SandboxRole::Front).map_err(|_| 3)?;
        let missing = fs::read("/etc/passwd").map_err(|error| error.kind());
        holds(4, missing == Err(io::ErrorKind::PermissionDenied))?;
        holds(5, fs::metadata("/").is_err())?;
        let (mut accepted, _) = listener.accept().map_err(|_| 6)?;
        accepted.set_nonblocking(false).map_err(|_| 7)?;
        accepted.set_nodelay(true).map_err(|_| 8)?;
        accepted.write_all(b"* OK\r\n").map_err(|_| 9)?;
        let (mut ours, mut theirs) = UnixStream::pair().map_err(|_| 10)?;
        ours.write_all(b"x").map_err(|_| 11)?;
        theirs.read_exact(&mut [0]).map_err(|_| 12)?;
        let large = vec![1_u8; 1 << 22];
        holds(13, large.iter().all(|&byte| byte == 1))
    });
    assert_eq!(status, Ok(()));
    let mut greeting = [0; 6];
    (&client).read_exact(&mut greeting).unwrap();
    assert_eq!(&greeting, b"* OK\r\n");
}

#[test]
fn an_ordinary_user_with_no_processes_allowed_cannot_fork() {
    if !nix::unistd::geteuid().is_root() {
        eprintln!("skipped: only root can become somebody else");
        return;
    }
    let status = in_child(|| {
        let user = Account::of_login("nobody-here", 4_000_321, 4_000_321).map_err(|_| 1)?;
        user.become_confined().map_err(|_| 2)?;
        forbid_processes().map_err(|_| 3)?;
        holds(4, std::thread::Builder::new().spawn(|| ()).is_err())
    });
    assert_eq!(status, Ok(()));
}

/// By a number for the message of a test that fails.
const FORBIDDEN: &[(u8, libc::c_long)] = &[
    (20, libc::SYS_ptrace),
    (21, libc::SYS_execve),
    (22, libc::SYS_execveat),
    (23, libc::SYS_socket),
    (24, libc::SYS_connect),
    (25, libc::SYS_bind),
    (26, libc::SYS_listen),
    (27, libc::SYS_mount),
    (28, libc::SYS_umount2),
    (29, libc::SYS_unshare),
    (30, libc::SYS_setns),
    (31, libc::SYS_bpf),
    (32, libc::SYS_io_uring_setup),
    (33, libc::SYS_process_vm_readv),
    (34, libc::SYS_pidfd_getfd),
    (35, libc::SYS_setuid),
    (36, libc::SYS_chroot),
    (37, libc::SYS_keyctl),
    (38, libc::SYS_perf_event_open),
    (39, libc::SYS_userfaultfd),
    (40, libc::SYS_init_module),
    (41, libc::SYS_memfd_create),
    (42, libc::SYS_open_by_handle_at),
    (43, libc::SYS_personality),
    #[cfg(target_arch = "x86_64")]
    (44, libc::SYS_fork),
    #[cfg(target_arch = "x86_64")]
    (45, libc::SYS_vfork),
];

fn raw(call: libc::c_long) -> Result<libc::c_long, Errno> {
    // SAFETY: with zeros for arguments none of the calls tested does anything, filtered or not,
    // but fail; or, forking, it makes a child of ours that fails the test.
    Errno::result(unsafe { libc::syscall(call, 0_u64, 0_u64, 0_u64, 0_u64, 0_u64, 0_u64) })
}

fn with(call: libc::c_long, arguments: [u64; 4]) -> Result<libc::c_long, Errno> {
    let [a, b, c, d] = arguments;
    // SAFETY: numbers, or the address of a string that outlives the call; every one of them is
    // refused before it does anything, or the test fails.
    Errno::result(unsafe { libc::syscall(call, a, b, c, d, 0_u64, 0_u64) })
}

/// Not in every libc crate.
const F_SETSIG: u64 = 10;

fn map_executable() -> Result<(), Errno> {
    let flags = libc::MAP_PRIVATE | libc::MAP_ANONYMOUS;
    let protection = libc::PROT_READ | libc::PROT_EXEC;
    // SAFETY: a new mapping, wherever the kernel likes, harms nobody.
    let mapped = unsafe { libc::mmap(std::ptr::null_mut(), 4096, protection, flags, -1, 0) };
    match mapped == libc::MAP_FAILED {
        true => Err(Errno::last()),
        false => Ok(()),
    }
}

struct Place(PathBuf);

impl Place {
    fn new(name: &str) -> Place {
        let path =
            std::env::temp_dir().join(format!("roost-sandbox-{name}-{}", std::process::id()));
        fs::create_dir(&path).unwrap();
        Place(path)
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.join(name)
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}
