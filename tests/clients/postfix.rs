//! Debian's Postfix delivers into the Maildir while a client is in IDLE.
//!
//! An instance of its own: configuration, queue and log in the work directory, SMTP on a free port
//! of loopback, virtual(8) as the delivery agent. Postfix wants root to start it.

use std::fs;
use std::path::PathBuf;
use std::process::Command;

use crate::support::*;
use crate::{command, missing, run};

/// A running Postfix; stopped with this value.
struct Postfix {
    config: PathBuf,
    port: u16,
}

impl Postfix {
    fn start(mail: &Mail) -> Postfix {
        let port = free_port();
        let config = mail.directory("postfix");
        let (queue, data) = (mail.directory("queue"), mail.directory("postfix-data"));
        // Root's, as Postfix demands of the queue; the data directory is its own user's.
        for directory in [&config, &queue] {
            std::os::unix::fs::chown(directory, Some(0), Some(0)).expect("root's");
        }
        let postfix = nix::unistd::User::from_name("postfix")
            .ok()
            .flatten()
            .expect("Postfix's user");
        let (uid, gid) = (postfix.uid.as_raw(), postfix.gid.as_raw());
        std::os::unix::fs::chown(&data, Some(uid), Some(gid)).expect("Postfix's");
        let owner = nix::sys::stat::stat(&mail.root()).expect("the Maildir");
        let main = format!(
            "compatibility_level = 3.6\n\
             queue_directory = {queue}\ndata_directory = {data}\n\
             maillog_file = {log}\nmaillog_file_prefixes = {work}\n\
             inet_interfaces = 127.0.0.1\ninet_protocols = ipv4\nmyhostname = mail.example.org\n\
             mydestination =\nmynetworks = 127.0.0.0/8\nlocal_recipient_maps =\nalias_maps =\n\
             virtual_mailbox_domains = example.net\nvirtual_mailbox_base = {home}\n\
             virtual_mailbox_maps = static:Maildir/\n\
             virtual_uid_maps = static:{uid}\nvirtual_gid_maps = static:{gid}\nvirtual_minimum_uid = 1\n",
            queue = queue.display(),
            data = data.display(),
            log = mail.work().join("postfix.log").display(),
            work = mail.work().display(),
            home = mail.home().display(),
            uid = owner.st_uid,
            gid = owner.st_gid,
        );
        fs::write(config.join("main.cf"), main).expect("main.cf");
        fs::write(
            config.join("master.cf"),
            format!("127.0.0.1:{port} inet n - n - - smtpd\n{MASTER}"),
        )
        .expect("master.cf");
        let postfix = Postfix { config, port };
        let (status, printed) = crate::attempt(postfix.postfix().arg("start"));
        assert_eq!(status, Some(0), "{printed}");
        postfix
    }

    fn postfix(&self) -> Command {
        let mut command = Command::new("/usr/sbin/postfix");
        command
            .arg("-c")
            .arg(&self.config)
            .stdin(std::process::Stdio::null());
        command
    }
}

impl Drop for Postfix {
    fn drop(&mut self) {
        let _ = self.postfix().arg("stop").output();
    }
}

#[test]
fn postfix_delivers_to_a_client_in_idle() {
    if !std::path::Path::new("/usr/sbin/postfix").exists() {
        skip!("Postfix is not installed");
    }
    if let Some(why) = missing("curl") {
        skip!("{why}");
    }
    if !nix::unistd::geteuid().is_root() {
        eprintln!("skipped: Postfix is started by root only");
        return;
    }
    let mail = Mail::with(["one.eml"]);
    let postfix = Postfix::start(&mail);
    let server = Server::try_(&mail);
    let mut client = server.connect();
    client.ok("SELECT INBOX").contains("1 EXISTS");
    let mut idle = client.idle();
    for (count, name) in [(2, "two.eml"), (3, "three.eml"), (4, "four.eml")] {
        let upload = mail.write(name, crlf(&text(name)));
        run(command(&mail, "curl")
            .args(["--silent", "--show-error", "--max-time", "60"])
            .args([
                "--mail-from",
                "ann@example.org",
                "--mail-rcpt",
                "bob@example.net",
            ])
            .arg("--upload-file")
            .arg(upload)
            .arg(format!("smtp://127.0.0.1:{}", postfix.port)));
        idle.expect(&format!("{count} EXISTS"));
    }
    idle.done();
    let fetched =
        client.ok("FETCH 4 (FLAGS BODY.PEEK[TEXT] BODY.PEEK[HEADER.FIELDS (DELIVERED-TO)])");
    assert_eq!(
        fetched.bytes(4, "BODY[TEXT]"),
        b"Fourth: needle in the text.\r\nIt has two lines.\r\n"
    );
    let header = fetched.bytes(4, "BODY[HEADER.FIELDS (DELIVERED-TO)]");
    assert_eq!(header, b"Delivered-To: bob@example.net\r\n\r\n");
    let names = [mail.inbox().names("cur"), mail.inbox().names("new")].concat();
    let by_postfix = names
        .iter()
        .filter(|name| name.contains(".V") && name.contains('I'))
        .count();
    assert_eq!(by_postfix, 3, "{names:?}");
}

/// The services a delivery needs, none of them in a chroot.
const MASTER: &str = "\
pickup    unix  n       -       n       60      1       pickup
cleanup   unix  n       -       n       -       0       cleanup
qmgr      unix  n       -       n       300     1       qmgr
tlsmgr    unix  -       -       n       1000?   1       tlsmgr
rewrite   unix  -       -       n       -       -       trivial-rewrite
bounce    unix  -       -       n       -       0       bounce
defer     unix  -       -       n       -       0       bounce
trace     unix  -       -       n       -       0       bounce
verify    unix  -       -       n       -       1       verify
flush     unix  n       -       n       1000?   0       flush
proxymap  unix  -       -       n       -       -       proxymap
smtp      unix  -       -       n       -       -       smtp
error     unix  -       -       n       -       -       error
retry     unix  -       -       n       -       -       error
discard   unix  -       -       n       -       -       discard
local     unix  -       n       n       -       -       local
virtual   unix  -       n       n       -       -       virtual
anvil     unix  -       -       n       -       1       anvil
scache    unix  -       -       n       -       1       scache
postlog   unix-dgram n  -       n       -       1       postlogd
";
