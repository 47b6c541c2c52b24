//! Debian's Dovecot as a server of our own: no root, no system user, nothing outside the work
//! directory.
//!
//! It runs as the user whose mail it is ([`super::own`]), also when the tests run as root.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use super::server::with_environment;
use super::{MAIL, Mail, Server};

/// Why Dovecot cannot be run here, if it cannot.
pub fn missing() -> Option<String> {
    let installed = Path::new(IMAP).exists();
    (!installed).then(|| format!("{IMAP} is not installed (Debian: dovecot-imapd)"))
}

/// The imap process, already authenticated, on stdin and stdout.
pub fn preauth(mail: &Mail, settings: &[&str]) -> Command {
    let mut command = as_user(IMAP);
    command
        .arg("-c")
        .arg(configure(mail, "preauth", settings, None));
    with_environment(&mut command, mail);
    command
}

/// The whole server, listening on loopback, in the foreground.
pub fn listen(
    mail: &Mail,
    settings: &[&str],
    port: u16,
    tls_port: u16,
    certificate: &Path,
) -> Command {
    let made = rcgen::generate_simple_self_signed(["localhost".into(), "127.0.0.1".into()])
        .expect("a certificate");
    fs::write(certificate, made.cert.pem()).expect("written");
    let key = mail.write("key.pem", made.signing_key.serialize_pem());
    let listeners = Listeners {
        port,
        tls_port,
        certificate,
        key: &key,
    };
    let mut command = as_user("dovecot");
    command
        .arg("-F")
        .arg("-c")
        .arg(configure(mail, "listen", settings, Some(listeners)));
    with_environment(&mut command, mail);
    command
}

/// `doveadm` on the user's mail, which must succeed.
#[track_caller]
pub fn doveadm(mail: &Mail, arguments: &[&str]) -> String {
    let mut command = as_user("doveadm");
    command
        .arg("-c")
        .arg(configure(mail, "doveadm", &[], None))
        .args(arguments);
    with_environment(&mut command, mail);
    let output = command.output().expect("doveadm");
    succeeded(&command, &output)
}

/// Delivery by Dovecot's LDA into `mailbox`.
#[track_caller]
pub fn lda(mail: &Mail, mailbox: &str, text: &[u8]) {
    let path = mail.write(&format!("lda-{}", super::mail::next()), text);
    let mut command = as_user("/usr/lib/dovecot/dovecot-lda");
    command
        .arg("-c")
        .arg(configure(mail, "lda", &[], None))
        .args(["-m", mailbox, "-f", "ann@example.org", "-p"])
        .arg(&path);
    with_environment(&mut command, mail);
    let output = command.output().expect("dovecot-lda");
    succeeded(&command, &output);
}

#[track_caller]
fn succeeded(command: &Command, output: &Output) -> String {
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(
        output.status.success(),
        "{command:?}: {}\n{text}{errors}",
        output.status
    );
    text
}

/// A command that runs as the user whose mail it is.
fn as_user(program: &str) -> Command {
    if !nix::unistd::geteuid().is_root() {
        return Command::new(program);
    }
    let mut command = Command::new("setpriv");
    let (user, group) = (format!("--reuid={MAIL}"), format!("--regid={MAIL}"));
    command.args([&user, &group, "--clear-groups", program]);
    command
}

struct Listeners<'a> {
    port: u16,
    tls_port: u16,
    certificate: &'a Path,
    key: &'a Path,
}

/// Writes a configuration file for one purpose; gives its path.
fn configure(
    mail: &Mail,
    purpose: &str,
    settings: &[&str],
    listeners: Option<Listeners>,
) -> PathBuf {
    let work = mail.work().display();
    let (user, group, uid, gid) = owner();
    let (name, password) = (Server::USER, Server::PASSWORD);
    mail.write("passwd", format!("{name}:{{PLAIN}}{password}\n"));
    let mut text = format!(
        "base_dir = {work}/dovecot\n\
         state_dir = {work}/dovecot\n\
         log_path = {work}/dovecot.log\n\
         protocols = imap\n\
         listen = 127.0.0.1\n\
         disable_plaintext_auth = no\n\
         default_internal_user = {user}\n\
         default_internal_group = {group}\n\
         default_login_user = {user}\n\
         first_valid_uid = 1\n\
         first_valid_gid = 1\n\
         mail_location = maildir:~/Maildir\n\
         mail_home = {work}/home\n\
         mail_max_userip_connections = 1000\n\
         postmaster_address = postmaster@example.org\n\
         namespace inbox {{\n  inbox = yes\n  separator = /\n"
    );
    for mailbox in ["Archive", "Drafts", "Junk", "Sent", "Trash"] {
        text += &format!("  mailbox {mailbox} {{\n    special_use = \\{mailbox}\n  }}\n");
    }
    text += "}\n";
    text += &format!(
        "passdb {{\n  driver = passwd-file\n  args = {work}/passwd\n}}\n\
         userdb {{\n  driver = static\n  args = uid={uid} gid={gid} home={work}/home\n}}\n\
         service anvil {{\n  chroot =\n}}\n\
         service imap-login {{\n  chroot =\n"
    );
    match listeners {
        None => text += "}\nssl = no\n",
        Some(Listeners {
            port,
            tls_port,
            certificate,
            key,
        }) => {
            text += &format!(
                "  inet_listener imap {{\n    port = {port}\n  }}\n  \
                 inet_listener imaps {{\n    port = {tls_port}\n    ssl = yes\n  }}\n}}\n\
                 ssl = yes\nssl_cert = <{}\nssl_key = <{}\n",
                certificate.display(),
                key.display()
            );
        }
    }
    for setting in settings {
        text += &format!("{setting}\n");
    }
    mail.directory("dovecot");
    mail.write(&format!("dovecot-{purpose}.conf"), text)
}

/// The user Dovecot runs as: name, group, and their numbers.
fn owner() -> (String, String, u32, u32) {
    use nix::unistd::{Group, User, getegid, geteuid};
    if geteuid().is_root() {
        return ("mail".into(), "mail".into(), MAIL, MAIL);
    }
    let user = User::from_uid(geteuid())
        .ok()
        .flatten()
        .expect("the user of this process");
    let group = Group::from_gid(getegid())
        .ok()
        .flatten()
        .expect("its group");
    (
        user.name,
        group.name,
        geteuid().as_raw(),
        getegid().as_raw(),
    )
}

const IMAP: &str = "/usr/lib/dovecot/imap";
