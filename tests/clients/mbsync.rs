//! mbsync (isync): a two-way copy, over a tunnel and over TCP.

use std::fs;
use std::path::{Path, PathBuf};

use crate::support::*;
use crate::{command, contents, files, missing, run, tunnel};

/// mbsync with its own copy of the mail on one side, the server on the other.
struct Pair<'a> {
    mail: &'a Mail,
    near: PathBuf,
    config: PathBuf,
}

impl<'a> Pair<'a> {
    fn new(mail: &'a Mail, account: &str) -> Pair<'a> {
        let near = mail.directory("near");
        let near_shown = near.display();
        let config = mail.write(
            "mbsyncrc",
            format!(
                "IMAPAccount far\n{account}\n\n\
                 IMAPStore far\nAccount far\n\n\
                 MaildirStore near\nPath {near_shown}/\nInbox {near_shown}/INBOX\nSubFolders Verbatim\n\n\
                 Channel both\nFar :far:\nNear :near:\nPatterns *\nCreate Both\nRemove Both\n\
                 Expunge Both\nSync All\nSyncState *\n"
            ),
        );
        Pair { mail, near, config }
    }

    /// One run; what it says it did, as numbers: far and near, each new, flagged, trashed.
    fn sync(&self) -> String {
        let printed = run(command(self.mail, "mbsync")
            .arg("-V")
            .arg("-c")
            .arg(&self.config)
            .arg("-a"));
        assert!(!printed.to_lowercase().contains("error"), "{printed}");
        printed
    }

    fn near(&self, name: &str) -> Folder {
        Folder::at(self.near.join(name))
    }
}

/// mbsync says nothing of the kind when it has something to do.
fn listing(root: &Path) -> Vec<PathBuf> {
    let mut all = files(root);
    for entry in fs::read_dir(root).expect("a directory") {
        let path = entry.expect("an entry").path();
        if path.is_dir() {
            all.extend(files(&path));
        }
    }
    all.sort();
    all
}

fn two_way(mail: &Mail, account: &str) {
    let pair = Pair::new(mail, account);
    let inbox = mail.inbox();
    let mut client = mail.connect();
    client.ok("CREATE Work/2026");
    client.append("Work/2026 (\\Seen)", &text("four.eml"));
    client.logout();

    pair.sync();
    assert_eq!(contents(inbox.path()), contents(pair.near("INBOX").path()));
    assert_eq!(contents(pair.near("INBOX").path()).len(), 3);
    let (far_work, near_work) = (mail.folder("Work.2026"), pair.near("Work/2026"));
    assert_eq!(contents(far_work.path()), contents(near_work.path()));

    // New mail on both sides, a flag on both sides, a deletion on both sides.
    inbox.deliver(&numbered(1));
    pair.near("INBOX").deliver(&numbered(2));
    let far = |id: &str| base_of(inbox.path(), id);
    let near = |id: &str| base_of(pair.near("INBOX").path(), id);
    inbox.set_flags(&far("<one@example.org>"), "F");
    pair.near("INBOX")
        .set_flags(&near("<one@example.org>"), "S");
    pair.near("INBOX")
        .set_flags(&near("<two@example.com>"), "ST");
    inbox.remove(&far("<three@example.net>"));
    pair.sync();
    pair.sync();
    let both = contents(inbox.path());
    assert_eq!(both, contents(pair.near("INBOX").path()));
    assert_eq!(
        both.keys().map(String::as_str).collect::<Vec<_>>(),
        ["<n1@example.org>", "<n2@example.org>", "<one@example.org>"]
    );
    assert_eq!(both["<one@example.org>"], "FS");

    // A mailbox made near appears far, and another run has nothing to do.
    for sub in ["cur", "new", "tmp"] {
        fs::create_dir_all(pair.near.join("Made near").join(sub)).expect("a folder");
    }
    pair.near("Made near").deliver(&numbered(3));
    pair.sync();
    assert_eq!(contents(mail.folder("Made near").path()).len(), 1);
    let before = (listing(&mail.root()), listing(&pair.near));
    pair.sync();
    assert_eq!(
        before,
        (listing(&mail.root()), listing(&pair.near)),
        "the last run moved something"
    );
}

fn base_of(folder: &Path, id: &str) -> String {
    let path = files(folder)
        .into_iter()
        .find(|path| {
            fs::read_to_string(path)
                .expect("a message")
                .contains(&format!("Message-ID: {id}"))
        })
        .unwrap_or_else(|| panic!("no {id} in {}", folder.display()));
    let name = path
        .file_name()
        .expect("a name")
        .to_string_lossy()
        .into_owned();
    name.split(':').next().unwrap_or("").to_owned()
}

#[test]
fn mbsync_keeps_both_sides_alike_through_a_tunnel() {
    if let Some(why) = missing("mbsync") {
        skip!("{why}");
    }
    let mail = Mail::with(["one.eml", "two.eml", "three.eml"]);
    two_way(&mail, &format!("Tunnel \"{}\"", tunnel(&mail)));
}

#[test]
fn mbsync_keeps_both_sides_alike_over_tcp() {
    if let Some(why) = missing("mbsync") {
        skip!("{why}");
    }
    let mail = Mail::with(["one.eml", "two.eml", "three.eml"]);
    let server = Server::try_(&mail);
    let (port, user, password) = (server.port, Server::USER, Server::PASSWORD);
    two_way(
        &mail,
        &format!(
            "Host 127.0.0.1\nPort {port}\nUser {user}\nPass {password}\nSSLType None\nAuthMechs LOGIN"
        ),
    );
}

#[test]
fn mbsync_keeps_both_sides_alike_over_tls() {
    if let Some(why) = missing("mbsync") {
        skip!("{why}");
    }
    let mail = Mail::with(["one.eml", "two.eml", "three.eml"]);
    let server = Server::try_(&mail);
    let (port, user, password) = (server.tls_port, Server::USER, Server::PASSWORD);
    let certificate = server.certificate_file();
    two_way(
        &mail,
        &format!(
            "Host localhost\nPort {port}\nUser {user}\nPass {password}\nSSLType IMAPS\nCertificateFile {}\nPipelineDepth 50",
            certificate.display()
        ),
    );
}
