//! Links in a Maildir and on the way to it: whose are followed.

use std::fs;
use std::os::unix::fs::{PermissionsExt, lchown, symlink};
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use crate::support::{MAIL, Mail, Program, own, skip};

/// Somebody whom the user shares a folder with.
const OTHER: u32 = 58_400;

/// A folder of that other one, in which the user may do everything, too.
fn shared(mail: &Mail) -> PathBuf {
    let folder = mail.work().join("shared");
    for part in ["", "cur", "new", "tmp"] {
        let part = folder.join(part);
        fs::create_dir(&part).unwrap();
        lchown(&part, Some(OTHER), Some(MAIL)).unwrap();
        fs::set_permissions(&part, fs::Permissions::from_mode(0o2775)).unwrap();
    }
    let link = mail.root().join(".Shared");
    symlink(&folder, &link).unwrap();
    lchown(&link, Some(MAIL), Some(MAIL)).unwrap();
    folder
}

fn link_of_the_other(target: &Path, link: &Path) {
    symlink(target, link).unwrap();
    lchown(link, Some(OTHER), Some(OTHER)).unwrap();
}

/// What is said to these commands, and the log.
fn converse(mail: &Mail, commands: &str) -> (String, String) {
    let script = mail.write("script", commands.replace('\n', "\r\n"));
    let mut command = Program::Roost.preauth(mail, &[]);
    command
        .stdin(fs::File::open(script).unwrap())
        .stderr(Stdio::piped());
    let Output { stdout, stderr, .. } = command.output().unwrap();
    (
        String::from_utf8_lossy(&stdout).into_owned(),
        String::from_utf8_lossy(&stderr).into_owned(),
    )
}

macro_rules! two_users {
    () => {
        if !nix::unistd::geteuid().is_root() {
            skip!("only root has files of two users");
        }
    };
}

#[test]
fn new_and_tmp_of_a_shared_folder_lead_nowhere_if_its_owner_made_links_of_them() {
    two_users!();
    let mail = Mail::new();
    let folder = shared(&mail);
    mail.write("home/Maildir/new/301.M.h", "Subject: private\n\nx\n");
    mail.write("shared/cur/1.M.h:2,", "Subject: for all\n\nx\n");
    for part in ["new", "tmp"] {
        fs::remove_dir(folder.join(part)).unwrap();
        link_of_the_other(&mail.inbox().path().join(part), &folder.join(part));
    }
    let (said, log) = converse(
        &mail,
        "a SELECT Shared\nb STATUS Shared (MESSAGES)\nc NOOP\nd APPEND Shared {3+}\nx\n\ne NOOP\n",
    );
    for expected in [
        "* 1 EXISTS\r\n",
        "\r\na OK ",
        "(MESSAGES 1)",
        "\r\nd NO ",
        "\r\ne OK ",
    ] {
        assert!(said.contains(expected), "{expected}: {said}{log}");
    }
    assert_eq!(mail.inbox().names("new"), ["301.M.h"]);
    let told = log.matches("shared/new is or leads over a link of uid 58400");
    assert_eq!(told.count(), 1, "{log}");
}

#[test]
fn no_file_of_a_shared_folder_is_read_or_written_through_a_link_of_its_owner() {
    two_users!();
    let mail = Mail::numbered(2);
    let folder = shared(&mail);
    mail.write("shared/cur/9.M.h:2,", "Subject: for all\n\nx\n");
    let (said, log) = converse(&mail, "a SELECT INBOX\nb STORE 1 +FLAGS (secret)\n");
    assert!(said.contains("\r\nb OK "), "{said}{log}");
    let names = [
        "dovecot-uidlist",
        "dovecot-keywords",
        "roost.index",
        "roost.modseq",
        "roost.cache",
        "dovecot.index.log",
        "dovecot-shared",
    ];
    let own = |name: &str| fs::read(mail.root().join(name)).ok();
    let before = names.map(own);
    for name in names {
        link_of_the_other(&mail.root().join(name), &folder.join(name));
    }
    // A message, too.
    link_of_the_other(
        &mail.root().join("dovecot-uidlist"),
        &folder.join("cur/8.M.h:2,"),
    );
    let (said, log) = converse(
        &mail,
        "a SELECT Shared\nb STORE 1 +FLAGS (theirs \\Flagged)\nc FETCH 1:* (FLAGS BODY.PEEK[])\n",
    );
    for expected in ["* 1 EXISTS\r\n", "\r\nb OK ", "\r\nc OK ", "for all"] {
        assert!(said.contains(expected), "{expected}: {said}{log}");
    }
    assert!(!said.contains("secret"), "{said}");
    for (name, before) in names.iter().zip(before) {
        assert_eq!(own(name), before, "{name}");
    }
}

#[test]
fn a_folder_whose_cur_is_another_ones_link_is_refused() {
    two_users!();
    let mail = Mail::numbered(2);
    let folder = shared(&mail);
    fs::remove_dir(folder.join("cur")).unwrap();
    link_of_the_other(&mail.inbox().path().join("cur"), &folder.join("cur"));
    let (said, log) = converse(&mail, "a SELECT Shared\nb SELECT INBOX\n");
    assert!(said.contains("\r\na NO "), "{said}{log}");
    assert!(said.contains("* 2 EXISTS\r\n"), "{said}{log}");
    assert!(
        log.contains("/cur is or leads over a link of uid 58400"),
        "{log}"
    );
}

#[test]
fn links_of_the_users_own_and_of_roots_are_followed() {
    two_users!();
    let mail = Mail::new();
    let fast = mail.directory("fast/new");
    let archive = mail.directory("archive/cur").parent().unwrap().to_owned();
    own(&archive);
    mail.write("archive/cur/1.M.h:2,", "Subject: old\n\nx\n");
    symlink(&archive, mail.root().join(".Archive")).unwrap();
    fs::remove_dir(mail.root().join("new")).unwrap();
    let link = mail.root().join("new");
    symlink(&fast, &link).unwrap();
    lchown(&link, Some(MAIL), Some(MAIL)).unwrap();
    mail.write("fast/new/2.M.h", "Subject: fresh\n\nx\n");
    let (said, log) = converse(&mail, "a SELECT INBOX\nb EXAMINE Archive\n");
    assert_eq!(said.matches("* 1 EXISTS\r\n").count(), 2, "{said}{log}");
    assert_eq!(log, "");
}

#[test]
fn root_does_not_follow_a_user_into_a_directory_of_roots() {
    two_users!();
    let mail = Mail::new();
    let target = mail.work().join("of-root");
    fs::create_dir(&target).unwrap();
    fs::remove_dir_all(mail.root()).unwrap();
    link_of(MAIL, &target, &mail.root());
    let (said, log) = converse(&mail, "a SELECT INBOX\n");
    assert_eq!(said, "");
    assert!(
        log.contains("can be changed by somebody else than root"),
        "{log}"
    );
    assert_eq!(fs::read_dir(&target).unwrap().count(), 0);
    // Nor into somebody else's.
    lchown(&target, Some(OTHER), Some(OTHER)).unwrap();
    let (said, log) = converse(&mail, "a SELECT INBOX\n");
    assert_eq!(said, "");
    assert!(
        log.contains("can be changed by somebody else than root"),
        "{log}"
    );
    assert_eq!(fs::read_dir(&target).unwrap().count(), 0);
}

fn link_of(owner: u32, target: &Path, link: &Path) {
    symlink(target, link).unwrap();
    lchown(link, Some(owner), Some(owner)).unwrap();
}

#[test]
fn roots_own_maildir_is_served_to_root_where_nobody_else_decides_what_it_is() {
    two_users!();
    let mail = Mail::new();
    let place = std::env::temp_dir().join(format!("roost-of-root-{}", std::process::id()));
    fs::create_dir(&place).unwrap();
    fs::create_dir(place.join("Maildir")).unwrap();
    let run = || {
        let mut command = Program::Roost.preauth(&mail, &[]);
        command.stdin(Stdio::null()).env("HOME", &place);
        let mut own = Command::new(command.get_program());
        own.arg("--preauth").stdin(Stdio::null());
        own.envs(
            command
                .get_envs()
                .filter_map(|(name, value)| Some((name, value?))),
        );
        own.output().unwrap()
    };
    let served = run();
    // As soon as others may make a link in it, it is not.
    fs::set_permissions(place.join("Maildir"), fs::Permissions::from_mode(0o777)).unwrap();
    let refused = run();
    fs::remove_dir_all(&place).unwrap();
    assert!(served.stdout.starts_with(b"* PREAUTH "), "{served:?}");
    assert_eq!(refused.status.code(), Some(77), "{refused:?}");
}

#[test]
fn a_file_that_may_grow_no_further_is_an_answer_and_not_the_end() {
    let mail = Mail::numbered(1);
    let large = "x".repeat(100_000);
    let script = mail.write(
        "script",
        format!("a APPEND INBOX {{100000+}}\r\n{large}\r\nb STATUS INBOX (MESSAGES)\r\n"),
    );
    let server = Program::Roost.preauth(&mail, &[]);
    let mut command = Command::new("sh");
    command
        .args(["-c", "ulimit -f 32; exec \"$0\" \"$@\""])
        .arg(server.get_program())
        .args(server.get_args())
        .envs(
            server
                .get_envs()
                .filter_map(|(name, value)| Some((name, value?))),
        )
        .stdin(fs::File::open(script).unwrap());
    let output = command.output().unwrap();
    let said = String::from_utf8_lossy(&output.stdout);
    let log = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{output:?}");
    assert!(
        said.contains("\r\na NO ") && said.contains("(MESSAGES 1)"),
        "{said}{log}"
    );
    assert!(log.contains("File too large"), "{log}");
    assert!(mail.inbox().names("tmp").is_empty());
}

#[test]
fn what_the_kernel_has_no_more_of_is_named_in_the_log() {
    let mail = Mail::new();
    // In a user namespace of its own it is nobody else's.
    let maildir = mail.work().join("watched");
    fs::create_dir(&maildir).unwrap();
    let script = mail.write("script", "a SELECT INBOX\r\n");
    for (limit, named) in [
        ("instances", "fs.inotify.max_user_instances = "),
        ("watches", "fs.inotify.max_user_watches = "),
    ] {
        let server = Program::Roost.preauth(&mail, &[]);
        let set =
            format!("echo 0 >/proc/sys/user/max_inotify_{limit} || exit 99; exec \"$0\" \"$@\"");
        let mut command = Command::new("unshare");
        command
            .args(["-Ur", "sh", "-c", &set])
            .arg(server.get_program())
            .args(["--preauth", "--maildir"])
            .arg(&maildir)
            .envs(
                server
                    .get_envs()
                    .filter_map(|(name, value)| Some((name, value?))),
            )
            .stdin(fs::File::open(&script).unwrap());
        let output = command.output().unwrap();
        let log = String::from_utf8_lossy(&output.stderr);
        if output.status.code() == Some(99) || output.stdout.is_empty() && log.contains("unshare") {
            skip!("no user namespace can be had");
        }
        let said = String::from_utf8_lossy(&output.stdout);
        assert!(said.contains("\r\na OK "), "{said}{log}");
        for expected in [named, "mail.poll_interval", " (uid 0)", " = 0)"] {
            assert!(log.contains(expected), "{expected}: {log}");
        }
    }
}

#[test]
fn a_process_that_wants_more_memory_than_it_may_have_says_so_at_its_end() {
    let mail = Mail::numbered(1);
    let mut command = Program::Roost.preauth(&mail, &["limits.session_memory=4M"]);
    // What a client may have waiting for it is bounded; the names of a mailbox are not.
    let names: String = (0..200_000)
        .map(|n| format!("{n} :{n}.M1P2.host\n"))
        .collect();
    mail.write(
        "home/Maildir/dovecot-uidlist",
        format!("3 V1 N200001 G0123456789abcdef0123456789abcdef\n{names}"),
    );
    let script = mail.write("script", "a SELECT INBOX\r\n");
    let output = command
        .stdin(fs::File::open(script).unwrap())
        .output()
        .unwrap();
    let log = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(88), "{log}");
    assert!(log.contains("limits.session_memory"), "{log}");
}
