//! Real mail programs.  Each logs in to the daemon as a user of the host and copies the user's
//! mail.
//!
//! What they do in detail is tested in `tests/clients/`; here it matters that each gets in, by TLS
//! and by STARTTLS, and through the relay.

use std::collections::BTreeSet;
use std::path::Path;
use std::process::Command;

use crate::support::*;

const PASSWORD: &str = User::PASSWORD;

struct Setting {
    daemon: Daemon,
    alice: User,
}

/// A user with three messages.
fn setting() -> Setting {
    let alice = User::new();
    for name in ["one.eml", "two.eml", "three.eml"] {
        alice.inbox().deliver_file(name);
    }
    Setting {
        daemon: Daemon::start(&[]),
        alice,
    }
}

impl Setting {
    /// A program with a home in the test's directory, ended after two minutes.
    fn program(&self, name: &str) -> Command {
        let home = self.daemon.place().directory_of("client", 0, 0);
        let mut command = Command::new("timeout");
        command
            .args(["120", name])
            .env("HOME", &home)
            .env("TZ", "UTC")
            .env("LC_ALL", "C.UTF-8")
            .env_remove("MAIL")
            .current_dir(home);
        command
    }

    fn write(&self, name: &str, text: &str) -> std::path::PathBuf {
        let path = self.daemon.place().write(name, text);
        place::set_mode(&path, 0o600);
        path
    }

    fn certificate(&self) -> String {
        self.daemon.certificate_file().display().to_string()
    }
}

fn missing(program: &str) -> Option<String> {
    let found = std::env::var_os("PATH").is_some_and(|path| {
        std::env::split_paths(&path).any(|directory| directory.join(program).exists())
    });
    (!found).then(|| format!("{program} is not installed"))
}

/// The Message-IDs in a Maildir folder, or in a file.
fn ids(folder: &Path) -> BTreeSet<String> {
    let mut ids = BTreeSet::new();
    for sub in ["new", "cur"] {
        for entry in std::fs::read_dir(folder.join(sub))
            .into_iter()
            .flatten()
            .flatten()
        {
            let text = std::fs::read_to_string(entry.path()).expect("a message");
            let id = text
                .lines()
                .find_map(|line| line.strip_prefix("Message-ID: "));
            ids.insert(id.expect("a Message-ID").trim().to_owned());
        }
    }
    ids
}

fn all() -> BTreeSet<String> {
    [
        "<one@example.org>",
        "<two@example.com>",
        "<three@example.net>",
    ]
    .map(String::from)
    .into()
}

#[test]
fn curl_gets_in_by_tls_and_by_starttls_with_each_mechanism() {
    as_root!();
    if let Some(why) = missing("curl") {
        skip!("{why}");
    }
    let setting = setting();
    let user = format!("{}:{PASSWORD}", setting.alice.name);
    let (plain, tls) = (setting.daemon.port, setting.daemon.tls_port);
    let urls = [
        format!("imaps://localhost:{tls}/INBOX;UID=1"),
        format!("imap://localhost:{plain}/INBOX;UID=1"),
    ];
    for url in &urls {
        for mechanism in ["AUTH=PLAIN", "AUTH=LOGIN"] {
            let mut curl = setting.program("curl");
            curl.args([
                "--silent",
                "--show-error",
                "--ipv4",
                "--max-time",
                "60",
                "--ssl-reqd",
            ])
            .args(["--cacert", &setting.certificate(), "--user", &user])
            .args(["--login-options", mechanism])
            .arg(url);
            let printed = place::succeed(&mut curl);
            assert!(
                printed.contains("Message-ID: <"),
                "{mechanism} {url}: {printed}"
            );
        }
        let mut curl = setting.program("curl");
        curl.args([
            "--silent",
            "--ipv4",
            "--max-time",
            "60",
            "--ssl-reqd",
            "--cacert",
            &setting.certificate(),
        ])
        .args(["--user", &format!("{}:wrong", setting.alice.name)])
        .arg(url);
        // 67: the login was denied.
        assert_eq!(curl.status().expect("curl").code(), Some(67));
    }
}

#[test]
fn mbsync_copies_a_mailbox_by_tls_and_by_starttls() {
    as_root!();
    if let Some(why) = missing("mbsync") {
        skip!("{why}");
    }
    let setting = setting();
    for (kind, port) in [
        ("IMAPS", setting.daemon.tls_port),
        ("STARTTLS", setting.daemon.port),
    ] {
        let near = setting.daemon.place().directory_of(kind, 0, 0);
        let config = setting.write("mbsyncrc", &format!(
            "IMAPAccount far\nHost localhost\nPort {port}\nUser {}\nPass {PASSWORD}\nSSLType {kind}\nCertificateFile {}\n\n\
             IMAPStore far\nAccount far\n\n\
             MaildirStore near\nPath {near}/\nInbox {near}/INBOX\nSubFolders Verbatim\n\n\
             Channel both\nFar :far:\nNear :near:\nPatterns *\nCreate Both\nSync All\nSyncState *\n",
            setting.alice.name,
            setting.certificate(),
            near = near.display()
        ));
        let printed = place::succeed(setting.program("mbsync").arg("-c").arg(config).arg("-a"));
        assert_eq!(ids(&near.join("INBOX")), all(), "{printed}");
    }
}

#[test]
fn offlineimap_copies_a_mailbox_by_tls() {
    as_root!();
    if let Some(why) = missing("offlineimap") {
        skip!("{why}");
    }
    let setting = setting();
    let near = setting.daemon.place().directory_of("near", 0, 0);
    let config = setting.write(
        "offlineimaprc",
        &format!(
            "[general]\naccounts = test\nmetadata = {path}/metadata\nui = basic\n\n\
         [Account test]\nlocalrepository = near\nremoterepository = far\n\n\
         [Repository near]\ntype = Maildir\nlocalfolders = {path}/near\n\n\
         [Repository far]\ntype = IMAP\nremotehost = localhost\nremoteport = {}\nremoteuser = {}\n\
         remotepass = {PASSWORD}\nssl = yes\nsslcacertfile = {}\n",
            setting.daemon.tls_port,
            setting.alice.name,
            setting.certificate(),
            path = setting.daemon.place().path().display()
        ),
    );
    let printed = place::succeed(
        setting
            .program("offlineimap")
            .arg("-o")
            .arg("-c")
            .arg(config),
    );
    assert!(!printed.contains("ERROR"), "{printed}");
    assert_eq!(ids(&near.join("INBOX")), all());
}

#[test]
fn fetchmail_takes_the_mail_by_tls_and_by_starttls() {
    as_root!();
    if let Some(why) = missing("fetchmail") {
        skip!("{why}");
    }
    let setting = setting();
    let taken = setting.daemon.place().join("taken");
    for (options, port, sslproto) in [
        ("ssl", setting.daemon.tls_port, "auto"),
        ("", setting.daemon.port, "tls1.2+"),
    ] {
        let _ = std::fs::remove_file(&taken);
        let config = setting.write("fetchmailrc", &format!(
            "poll localhost service {port} protocol IMAP\nuser \"{}\" password \"{PASSWORD}\" keep fetchall {options} \
             sslproto \"{sslproto}\" sslcertck sslcertfile {}\nmda \"cat >> {}\"\n",
            setting.alice.name,
            setting.certificate(),
            taken.display()
        ));
        let mut fetchmail = setting.program("fetchmail");
        fetchmail
            .args(["--nodetach", "--nosyslog", "--pidfile", "pid", "-f"])
            .arg(&config);
        let printed = place::succeed(&mut fetchmail);
        let text = std::fs::read_to_string(&taken).unwrap_or_default();
        assert_eq!(
            all().iter().filter(|id| text.contains(id.as_str())).count(),
            3,
            "{printed}\n{text}"
        );
    }
}

#[test]
fn mutt_opens_the_mailbox_and_copies_by_tls() {
    as_root!();
    if let Some(why) = missing("mutt") {
        skip!("{why}");
    }
    let setting = setting();
    let near = setting.daemon.place().join("near");
    let rc = setting.write("muttrc", &format!(
        "set mbox_type=Maildir\nset folder={home}\nset imap_user={}\nset imap_pass={PASSWORD}\nset certificate_file={}\n\
         set ssl_force_tls=yes\nset header_cache=\"\"\nset message_cachedir=\"\"\nset sleep_time=0\nset wait_key=no\n\
         set confirmappend=no\nset confirmcreate=no\nset quit=yes\nset move=no\nset imap_check_subscribed=no\n\
         set ssl_verify_dates=no\n",
        setting.alice.name,
        setting.certificate(),
        home = setting.daemon.place().directory_of("client", 0, 0).display()
    ));
    for root in [
        format!("imaps://localhost:{}/", setting.daemon.tls_port),
        format!("imap://localhost:{}/", setting.daemon.port),
    ] {
        let _ = std::fs::remove_dir_all(&near);
        let keys = format!(
            "<tag-pattern>~A<enter><tag-prefix><copy-message>{}<enter><quit>",
            near.display()
        );
        let line = format!(
            "mutt -n -F {} -f '{root}INBOX' -e 'push \"{keys}\"'",
            rc.display()
        );
        let mut script = setting.program("script");
        script
            .args(["--quiet", "--return", "--command", &line, "/dev/null"])
            .env("TERM", "vt100");
        let printed = place::succeed(&mut script);
        assert_eq!(ids(&near), all(), "{root}: {printed}");
    }
}

#[test]
fn imaplib_gets_in_by_every_way_and_idles() {
    as_root!();
    let setting = setting();
    let script = setting.write(
        "session.py",
        "\
import imaplib, ssl, sys
port, tls_port, cafile, user, password = sys.argv[1:]
context = ssl.create_default_context(cafile=cafile)
def ways():
    yield imaplib.IMAP4('localhost', int(port))
    starttls = imaplib.IMAP4('localhost', int(port))
    starttls.starttls(context)
    yield starttls
    yield imaplib.IMAP4_SSL('localhost', int(tls_port), ssl_context=context)
for n, imap in enumerate(ways()):
    try:
        imap.login(user, 'wrong')
        sys.exit('let in')
    except imaplib.IMAP4.error as error:
        assert 'AUTHENTICATIONFAILED' in str(error), error
    if n % 2:
        imap.login(user, password)
    else:
        imap.authenticate('PLAIN', lambda _: f'\\0{user}\\0{password}'.encode())
    assert imap.select('INBOX') == ('OK', [b'3'])
    status, data = imap.uid('FETCH', '1:*', '(BODY.PEEK[])')
    assert len([part for part in data if isinstance(part, tuple)]) == 3, data
    imap.logout()
print('done')
",
    );
    let mut python = setting.program("python3");
    python
        .arg(script)
        .args([
            setting.daemon.port.to_string(),
            setting.daemon.tls_port.to_string(),
            setting.certificate(),
        ])
        .args([&setting.alice.name, PASSWORD]);
    let printed = place::succeed(&mut python);
    assert_eq!(printed.trim(), "done");
}
