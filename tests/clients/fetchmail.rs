//! fetchmail: takes the mail away.

use crate::support::*;
use crate::{attempt, command, contents, missing};
use std::fs;
use std::os::unix::fs::PermissionsExt;

#[test]
fn fetchmail_takes_what_is_unseen_and_leaves_or_deletes_it() {
    if let Some(why) = missing("fetchmail") {
        skip!("{why}");
    }
    let mail = Mail::with(["one.eml", "two.eml"]);
    let server = Server::try_(&mail);
    let taken = mail.directory("client").join("taken");
    let fetch = |options: &str| {
        let config = mail.write(
            "fetchmailrc",
            format!(
                "poll 127.0.0.1 service {} protocol IMAP\n\
                 user \"{}\" password \"{}\" {options} sslproto \"\"\nmda \"cat >> {}\"\n",
                server.port,
                Server::USER,
                Server::PASSWORD,
                taken.display()
            ),
        );
        fs::set_permissions(&config, fs::Permissions::from_mode(0o600)).expect("private");
        if nix::unistd::geteuid().is_root() {
            // fetchmail insists that its configuration is its user's.
            std::os::unix::fs::chown(&config, Some(0), Some(0)).expect("root's");
        }
        let mut fetchmail = command(&mail, "fetchmail");
        fetchmail
            .args(["--nodetach", "--nosyslog", "--pidfile", "pid", "-f"])
            .arg(&config);
        let (status, printed) = attempt(&mut fetchmail);
        // 1: there was no new mail.
        assert!(matches!(status, Some(0 | 1)), "{status:?} {printed}");
    };
    fetch("keep");
    let text = fs::read_to_string(&taken).expect("taken mail");
    assert_eq!(text.matches("Subject: ").count(), 2, "{text}");
    let left = contents(mail.inbox().path());
    assert!(left.values().all(|flags| flags == "S"), "{left:?}");

    // Nothing unseen: nothing taken. Then one more, which is deleted when taken.
    fetch("keep");
    assert_eq!(fs::read_to_string(&taken).expect("taken mail"), text);
    mail.inbox().deliver(&numbered(1));
    fetch("nokeep");
    let text = fs::read_to_string(&taken).expect("taken mail");
    assert!(text.contains("Subject: message 1"), "{text}");
    assert_eq!(contents(mail.inbox().path()).len(), 2);
}
