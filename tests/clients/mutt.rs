//! mutt on a terminal, typing.

use crate::support::*;
use crate::{attempt, command, contents, missing};

/// Runs mutt on the IMAP folder with these keys, in a terminal that `script` makes.
fn mutt(mail: &Mail, settings: &str, folder: &str, keys: &str) {
    let rc = mail.write(
        "muttrc",
        format!(
            "set folder={}\nset header_cache=\"\"\nset message_cachedir=\"\"\nset sleep_time=0\nset wait_key=no\n\
             set confirmappend=no\nset confirmcreate=no\nset delete=yes\nset quit=yes\nset move=no\n\
             set mark_old=no\nset pager_stop=yes\nset imap_check_subscribed=no\n{settings}\n",
            // Otherwise mutt asks whether it may make ~/Mail, and that takes the first keys.
            mail.directory("client").display()
        ),
    );
    let line = format!(
        "mutt -n -F {} -f '{folder}' -e 'push \"{keys}\"'",
        rc.display()
    );
    let mut script = command(mail, "script");
    script
        .args(["--quiet", "--return", "--command", &line, "/dev/null"])
        .env("TERM", "vt100");
    let (status, printed) = attempt(&mut script);
    assert_eq!(status, Some(0), "{line}\n{printed}");
}

fn session(mail: &Mail, settings: &str, root: &str) {
    let mut client = mail.connect();
    client.ok("CREATE Kept");
    client.logout();
    let inbox = format!("{root}INBOX");
    // Each of these moves on to the next message.
    let keys = format!(
        "<first-entry><flag-message><delete-message><copy-message>{root}Kept<enter>\
         <sync-mailbox><quit>"
    );
    mutt(mail, settings, &inbox, &keys);
    let inbox = contents(mail.inbox().path());
    assert_eq!(inbox.len(), 2, "{inbox:?}");
    assert!(inbox["<one@example.org>"].contains('F'), "{inbox:?}");
    assert!(inbox.contains_key("<three@example.net>"), "{inbox:?}");
    let kept = contents(mail.folder("Kept").path());
    assert_eq!(kept.keys().collect::<Vec<_>>(), ["<three@example.net>"]);
}

#[test]
fn mutt_flags_copies_and_deletes_over_tcp() {
    if let Some(why) = missing("mutt") {
        skip!("{why}");
    }
    let mail = Mail::with(["one.eml", "two.eml", "three.eml"]);
    let server = Server::try_(&mail);
    let settings = format!(
        "set imap_user={}\nset imap_pass={}\nset ssl_starttls=no\nset ssl_force_tls=no",
        Server::USER,
        Server::PASSWORD
    );
    session(
        &mail,
        &settings,
        &format!("imap://127.0.0.1:{}/", server.port),
    );
}

#[test]
fn mutt_flags_copies_and_deletes_through_a_tunnel() {
    if let Some(why) = missing("mutt") {
        skip!("{why}");
    }
    let mail = Mail::with(["one.eml", "two.eml", "three.eml"]);
    let settings = format!(
        "set imap_user={}\nset ssl_starttls=no\nset ssl_force_tls=no\nset tunnel=\"{}\"",
        Server::USER,
        crate::tunnel(&mail)
    );
    session(&mail, &settings, "imap://tunnelled/");
}
