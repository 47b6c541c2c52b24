//! A full disk: mail is read and removed, and what cannot be stored is refused as a whole.
//!
//! The Maildir is a small file system of its own (tmpfs), made in a mount namespace that only the
//! server sees.

use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::process::Command;

use crate::support::*;

/// A client of a server whose disk is full: INBOX holds one.eml, two.eml and a message of 100 KB.
fn on_a_full_disk(mail: &Mail) -> Option<Client> {
    let client = on_a_small_disk(mail)?;
    fill(mail);
    Some(client)
}

/// The same with some room left, until it is filled.
fn on_a_small_disk(mail: &Mail) -> Option<Client> {
    let mut unshare = Command::new("unshare");
    if !nix::unistd::geteuid().is_root() {
        unshare.args(["--user", "--map-root-user"]);
    }
    unshare.arg("--mount");
    let mut allowed = Command::new("unshare");
    allowed
        .args(unshare.get_args())
        .args(["mount", "-t", "tmpfs", "tmpfs", "/mnt"]);
    if !allowed.output().is_ok_and(|output| output.status.success()) {
        eprintln!("skipped: no mount namespace can be had");
        return None;
    }
    for name in ["one.eml", "two.eml"] {
        mail.write(name, text(name));
    }
    mail.write(
        "large.eml",
        format!("Subject: large\n\n{}", "x\n".repeat(50_000)),
    );
    let server = Program::under_test().preauth(mail, &[]);
    unshare
        .args(["sh", "-e", "-c", FILL, "sh"])
        .arg(mail.root())
        .arg(mail.work());
    unshare.arg(server.get_program()).args(server.get_args());
    unshare.envs(
        server
            .get_envs()
            .filter_map(|(name, value)| Some((name, value?))),
    );
    unshare.current_dir(mail.work());
    let (ours, theirs) = UnixStream::pair().expect("a socket pair");
    let theirs = OwnedFd::from(theirs);
    unshare
        .stdin(theirs.try_clone().expect("the same socket"))
        .stdout(theirs);
    let mut client = Client::of_process(ours, unshare, mail);
    assert!(
        client.read().matches("PREAUTH ..."),
        "{}",
        client.conversation()
    );
    Some(client)
}

/// Another process, which sees the server's disk, fills it.
fn fill(mail: &Mail) {
    mail.write("fill", "");
    eventually("a full disk", || {
        mail.work().join("filled").exists().then_some(())
    });
}

/// `$1` is the Maildir, `$2` the work directory, the rest the server's command.
const FILL: &str = r#"
root=$1 work=$2
owner=$(stat -c %u:%g "$root")
shift 2
mount -t tmpfs -o size=400k tmpfs "$root"
cd "$root"
mkdir cur new tmp
n=0
for name in one two large; do
    n=$((n + 1))
    cp "$work/$name.eml" "cur/170000000$n.M${n}P1.host:2,"
done
chown -R "$owner" .
cd "$work"
(
    while [ -d "$work" ] && ! [ -e "$work/fill" ]; do sleep 0.02; done
    cat /dev/zero > "$root/filler" || true
    touch "$work/filled"
) </dev/null >/dev/null 2>&1 &
exec "$@"
"#;

#[test]
fn a_disk_that_fills_up_while_we_serve_takes_no_mail_and_loses_none() {
    let mail = Mail::new();
    let Some(mut a) = on_a_small_disk(&mail) else {
        return;
    };
    a.ok("SELECT INBOX").contains("3 EXISTS");
    a.append("INBOX", &text("three.eml")).contains("4 EXISTS");
    fill(&mail);
    let tag = a.start_append("INBOX", &text("four.eml"));
    assert_eq!(a.finish(&tag).tagged.word(), "NO");
    a.command("CREATE Work");
    a.ok("FETCH 4 BODY.PEEK[1.1]")
        .untagged([r#"4 FETCH (BODY[1.1] "Plain text of three.")"#]);
    a.ok(r"STORE 1 +FLAGS (\Seen)")
        .contains(r"1 FETCH (FLAGS (\Seen))");
    a.ok(r"STORE 3 +FLAGS.SILENT (\Deleted)");
    a.ok("EXPUNGE").untagged(["3 EXPUNGE"]);
    a.append("INBOX", &text("four.eml")).code("APPENDUID ? 5");
}

#[test]
fn messages_are_served_and_an_append_is_refused() {
    let mail = Mail::new();
    let Some(mut a) = on_a_full_disk(&mail) else {
        return;
    };
    a.ok("SELECT INBOX").contains("3 EXISTS");
    a.ok("FETCH 1 BODY.PEEK[TEXT]")
        .untagged(["1 FETCH (BODY[TEXT] \"First.\r\n\")"]);
    let tag = a.start_append("INBOX", &text("four.eml"));
    let reply = a.finish(&tag);
    assert_eq!(reply.tagged.word(), "NO", "{reply}");
    a.ok("NOOP").untagged([]);
    a.ok("SEARCH ALL").untagged(["SEARCH 1 2 3"]);
}

#[test]
fn expunge_makes_room_again() {
    let mail = Mail::new();
    let Some(mut a) = on_a_full_disk(&mail) else {
        return;
    };
    a.ok("SELECT INBOX").contains("3 EXISTS");
    a.ok(r"STORE 3 +FLAGS.SILENT (\Deleted)");
    a.ok("EXPUNGE").untagged(["3 EXPUNGE"]);
    a.append("INBOX", &text("four.eml")).contains("3 EXISTS");
    let uid = a.ok("FETCH 3 UID").item(3, "UID").number();
    assert!(uid > Some(3), "{uid:?}");
}

#[test]
fn a_large_append_leaves_nothing_half_written() {
    let mail = Mail::new();
    let Some(mut a) = on_a_full_disk(&mail) else {
        return;
    };
    a.ok("SELECT INBOX");
    a.ok(r"STORE 3 +FLAGS.SILENT (\Deleted)");
    a.ok("EXPUNGE");
    let larger = format!("Subject: too large\r\n\r\n{}", "y\r\n".repeat(200_000));
    let tag = a.start_append("INBOX", larger.as_bytes());
    assert_eq!(a.finish(&tag).tagged.word(), "NO");
    // What was written of it is gone: there is room for something small.
    a.append("INBOX", &text("four.eml"));
    a.ok("NOOP");
    assert_eq!(a.ok("SEARCH ALL").found(), [1, 2, 3]);
}
