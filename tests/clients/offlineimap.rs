//! offlineimap (Debian's offlineimap3): a two-way copy.

use crate::support::*;
use crate::{command, contents, files, missing, run, tunnel};

fn two_way(mail: &Mail, remote: &str) {
    let near = mail.directory("near");
    let metadata = mail.directory("metadata");
    let config = mail.write(
        "offlineimaprc",
        format!(
            "[general]\naccounts = test\nmetadata = {}\nui = basic\n\n\
             [Account test]\nlocalrepository = near\nremoterepository = far\n\n\
             [Repository near]\ntype = Maildir\nlocalfolders = {}\n\n\
             [Repository far]\ntype = IMAP\n{remote}\n",
            metadata.display(),
            near.display()
        ),
    );
    let sync = || {
        let printed = run(command(mail, "offlineimap")
            .arg("-o")
            .arg("-c")
            .arg(&config));
        assert!(!printed.contains("ERROR"), "{printed}");
    };
    let inbox = mail.inbox();
    let near_inbox = Folder::at(near.join("INBOX"));
    mail.connect().ok("CREATE Work");
    sync();
    assert_eq!(contents(inbox.path()), contents(near_inbox.path()));
    assert!(near.join("Work").is_dir());

    inbox.deliver(&numbered(1));
    near_inbox.deliver(&numbered(2));
    let base = inbox.bases()[0].clone();
    inbox.set_flags(&base, "F");
    sync();
    let both = contents(inbox.path());
    assert_eq!(both.len(), 4);
    assert_eq!(both["<one@example.org>"], "F");
    assert_eq!(
        both.keys().collect::<Vec<_>>(),
        contents(near_inbox.path()).keys().collect::<Vec<_>>()
    );

    // Deleted there, gone here; and then nothing is left to do.
    inbox.remove(&base);
    sync();
    sync();
    assert_eq!(contents(near_inbox.path()).len(), 3);
    let before = (files(inbox.path()), files(near_inbox.path()));
    sync();
    assert_eq!(before, (files(inbox.path()), files(near_inbox.path())));
}

#[test]
fn offlineimap_keeps_both_sides_alike_over_tls() {
    if let Some(why) = missing("offlineimap") {
        skip!("{why}");
    }
    let mail = Mail::with(["one.eml", "two.eml"]);
    let server = Server::try_(&mail);
    let (port, user, password) = (server.tls_port, Server::USER, Server::PASSWORD);
    let certificate = server.certificate_file();
    two_way(
        &mail,
        &format!(
            "remotehost = localhost\nremoteport = {port}\nremoteuser = {user}\nremotepass = {password}\n\
             ssl = yes\nsslcacertfile = {}",
            certificate.display()
        ),
    );
}

#[test]
fn offlineimap_keeps_both_sides_alike_through_a_tunnel() {
    if let Some(why) = missing("offlineimap") {
        skip!("{why}");
    }
    let mail = Mail::with(["one.eml", "two.eml"]);
    let user = Server::USER;
    two_way(
        &mail,
        &format!(
            "remotehost = localhost\nremoteuser = {user}\npreauthtunnel = {}",
            tunnel(&mail)
        ),
    );
}
