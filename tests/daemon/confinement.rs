//! Landlock and seccomp seen to refuse: a front and a session that do what no code of theirs does,
//! as if they had been taken over. A debugger makes them do it (`inject.py`).

use std::process::Command;

use crate::support::*;

/// Makes the process do a system call; what came of it, or `None` where that cannot be done.
fn inject(daemon: &Daemon, process: Proc, call: &[&str]) -> Option<String> {
    let script = daemon.place().write("inject.py", include_str!("inject.py"));
    let mut command = Command::new("timeout");
    command
        .args(["60", "python3"])
        .arg(script)
        .arg(process.0.to_string())
        .args(call);
    let printed = place::succeed(&mut command);
    let printed = printed.trim().to_owned();
    (printed != "no ptrace").then_some(printed)
}

fn cannot_inject() -> Option<&'static str> {
    (!cfg!(target_arch = "x86_64")).then_some("inject.py knows x86-64 only")
}

/// `AT_FDCWD`, `O_RDONLY`
fn open(path: &str) -> [&str; 4] {
    ["openat", "-100", path, "0"]
}

#[test]
fn a_session_reaches_its_users_mail_and_nothing_else_of_the_host() {
    as_root!();
    if let Some(why) = cannot_inject() {
        skip!("{why}");
    }
    let (alice, bob) = (User::new(), User::new());
    // Even what everybody can read, and what the user owns.
    let secret = bob.home.join("public");
    std::fs::write(&secret, "for all").expect("a file");
    let own_file = alice.home.join(".profile");
    std::fs::write(&own_file, "his").expect("a file");
    own(&own_file);
    let daemon = lenient();
    let mut client = daemon.connect(&alice);
    client.ok("SELECT INBOX");
    let session = daemon.session_of(&alice);
    let shown = |path: &std::path::Path| path.display().to_string();
    let inbox = shown(&alice.inbox().path().join("cur"));
    let Some(result) = inject(&daemon, session, &open(&inbox)) else {
        skip!("no ptrace here");
    };
    assert_eq!(result, "ok");
    for path in [
        "/etc/passwd",
        "/etc/shadow",
        "/",
        "/proc/self/environ",
        "/bin/sh",
        &shown(&secret),
        &shown(&own_file),
        &shown(&alice.home),
    ] {
        let result = inject(&daemon, session, &open(path)).expect("ptrace");
        assert_eq!(result, "EACCES", "{path}");
    }
    for call in [
        // AF_INET, SOCK_STREAM
        &["socket", "2", "1", "0"][..],
        &["socket", "10", "2", "0"],
        &["execve", "/bin/sh", "0", "0"],
        &["fork"],
        &["ptrace", "16", "1", "0", "0"],
        &["mount", "/", "/", "x", "0", "0"],
        &["bpf", "0", "0", "0"],
        &["io_uring_setup", "8", "0"],
        &["setuid", "0"],
        &["setresuid", "0", "0", "0"],
        &["chroot", "/"],
    ] {
        let result = inject(&daemon, session, call).expect("ptrace");
        assert!(
            ["EPERM", "ENOSYS", "EACCES"].contains(&result.as_str()),
            "{call:?}: {result}"
        );
    }
    let result = inject(&daemon, session, &["unlink", &shown(&own_file)]).expect("ptrace");
    assert_ne!(result, "ok");
    assert!(own_file.exists());
    client.ok("NOOP");
    assert_eq!(daemon.session_of(&alice), session);
}

#[test]
fn no_user_traces_the_session_or_front_that_runs_as_that_user() {
    use std::os::unix::process::CommandExt;
    as_root!();
    if let Some(why) = cannot_inject() {
        skip!("{why}");
    }
    let alice = User::new();
    let daemon = Daemon::start(&[]);
    let mut client = daemon.connect(&alice);
    client.ok("SELECT INBOX");
    let front_user = nix::unistd::User::from_name(daemon::front_user())
        .expect("a database")
        .expect("a user");
    // Who may trace at all traces a process of the same user that has nothing to hide.
    let mut sleep = Command::new("sleep");
    let mut other = sleep
        .arg("600")
        .uid(alice.uid)
        .gid(alice.gid)
        .spawn()
        .expect("sleep");
    let front = (front_user.uid.as_raw(), front_user.gid.as_raw());
    let attempt = |(uid, gid), process: u32| {
        let mut command = Command::new("python3");
        command
            .args(["-c", include_str!("inject.py")])
            .args([&process.to_string(), "getpid"])
            .uid(uid)
            .gid(gid);
        place::succeed(&mut command).trim().to_owned()
    };
    let own = (alice.uid, alice.gid);
    let open = eventually("sleep to be asleep", || {
        let stat = std::fs::read_to_string(format!("/proc/{}/stat", other.id())).ok()?;
        stat.contains("(sleep) S").then(|| attempt(own, other.id()))
    });
    let session = attempt(own, daemon.session_of(&alice).0);
    let front = attempt(front, daemon.front().0);
    other.kill().expect("killed");
    other.wait().expect("reaped");
    if open == "no ptrace" {
        skip!("no ptrace here");
    }
    assert_eq!(
        (session.as_str(), front.as_str()),
        ("no ptrace", "no ptrace")
    );
    client.ok("NOOP");
}

#[test]
fn a_session_that_was_taken_over_asks_changes_and_links_nothing_by_a_path() {
    as_root!();
    if let Some(why) = cannot_inject() {
        skip!("{why}");
    }
    let alice = User::new();
    let daemon = lenient();
    let mut client = daemon.connect(&alice);
    client.ok("SELECT INBOX");
    let session = daemon.session_of(&alice);
    let own = alice.inbox().path().join("cur").display().to_string();
    let link = alice.inbox().path().join("link").display().to_string();
    for call in [
        &["symlink", "/", &link][..],
        &["symlinkat", "/", "-100", &link],
        &["chmod", &own, "511"],
        &["fchmodat", "-100", &own, "511"],
        &["utimensat", "-100", &own, "0", "0"],
        &["access", &own, "4"],
        // F_SETOWN, F_SETSIG, F_SETFL with O_ASYNC
        &["fcntl", "0", "8", "1"],
        &["fcntl", "0", "10", "9"],
        &["fcntl", "0", "4", "8192"],
        // AF_UNIX, SOCK_DGRAM
        &["socketpair", "1", "2", "0", "0"],
    ] {
        let Some(result) = inject(&daemon, session, call) else {
            skip!("no ptrace here");
        };
        assert_eq!(result, "EPERM", "{call:?}");
    }
    assert!(!alice.inbox().path().join("link").is_symlink());
    client.ok("NOOP");
}

/// Calls that are not listed fail in it, as they do for everybody but tests.
fn lenient() -> Daemon {
    let mut daemon = Daemon::prepare(&[]);
    daemon.with_environment("ROOST_UNLISTED_CALLS", "");
    daemon.run();
    daemon
}

#[test]
fn a_front_that_does_what_it_never_does_is_ended_and_another_is_started() {
    as_root!();
    if let Some(why) = cannot_inject() {
        skip!("{why}");
    }
    let alice = User::new();
    let daemon = Daemon::start(&[]);
    let mut plain = daemon.connect(&alice);
    let Some(result) = inject(&daemon, daemon.front(), &["getpid"]) else {
        skip!("no ptrace here");
    };
    assert!(
        ["ok", "killed SIGSYS"].contains(&result.as_str()),
        "{result}"
    );
    for call in [
        &open("/")[..],
        &open("/etc/passwd"),
        &["socket", "2", "1", "0"],
        &["execve", "/bin/sh", "0", "0"],
        &["fork"],
        &["kill", "1", "0"],
        &["ptrace", "0", "0", "0", "0"],
        &["unlink", "/etc/passwd"],
        &["io_uring_setup", "8", "0"],
        &["setuid", "0"],
    ] {
        let front = daemon.front();
        let result = inject(&daemon, front, call).expect("ptrace");
        if call[0] == "openat" && result == "EACCES" {
            // By Landlock.
            continue;
        }
        assert_eq!(result, "killed SIGSYS", "{call:?}");
        eventually("another front", || (daemon.front() != front).then_some(()));
        daemon.wait_for_greeting();
        plain.ok("NOOP");
    }
    daemon.connect_tls(&alice).ok("SELECT INBOX");
}
