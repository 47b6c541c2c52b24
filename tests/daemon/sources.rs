//! Users of passwd-files, and several sources in their order.

use std::fs;
use std::process::Command;

use crate::support::*;

const PASSWORD: &str = User::PASSWORD;

/// A user in a passwd-file, whose mail is below `mail/` of the place.
pub struct Virtual {
    pub name: String,
    pub line: String,
    pub maildir: Folder,
}

/// The user and group of all of them: nobody's on a Debian, and nobody by name.
pub const VMAIL: u32 = 58_321;

impl Virtual {
    pub fn new(place: &Place, name: &str, password: &str) -> Virtual {
        place.directory_of("mail", VMAIL, VMAIL);
        let home = place.directory_of(&format!("mail/{name}"), VMAIL, VMAIL);
        let maildir = Folder::at(home.join("Maildir"));
        maildir.create();
        Virtual {
            name: name.to_owned(),
            line: format!("{name}:{password}:{VMAIL}:{VMAIL}::{}::\n", home.display()),
            maildir,
        }
    }
}

/// A daemon that knows these users and none of the host.
pub fn passwd_file(place: Place, users: &[&Virtual], settings: &[&str]) -> Daemon {
    let lines: String = users.iter().map(|user| user.line.as_str()).collect();
    let file = place.write("users", lines);
    place::set_mode(&file, 0o600);
    let source = format!("auth.sources = [\"passwd-file:{}\"]", file.display());
    let settings: Vec<&str> = std::iter::once(source.as_str())
        .chain(settings.iter().copied())
        .collect();
    Daemon::start_in(place, &settings)
}

#[test]
fn a_daemon_serves_the_users_of_a_dovecot_and_says_so_while_that_is_down() {
    as_root!();
    let place = Place::new();
    let bob = Virtual::new(&place, "bob", "{PLAIN}secret");
    let users = place.write("users", &bob.line);
    let mut dovecot = AuthService::start(
        &place,
        &format!(
            "passdb {{\n driver = passwd-file\n args = {users}\n}}\n\
             userdb {{\n driver = passwd-file\n args = {users}\n}}\n",
            users = users.display()
        ),
    );
    bob.maildir.deliver(b"Subject: one\n\nText.\n");
    let source = format!(
        "auth.sources = [\"dovecot:{}\"]",
        dovecot.base_dir().display()
    );
    let daemon = Daemon::start_in(place, &[&source]);
    let mut client = daemon.dial();
    client.no("LOGIN bob wrong").code("AUTHENTICATIONFAILED");
    client.ok("LOGIN bob secret");
    client.ok("SELECT INBOX");
    assert_eq!(
        client.ok("FETCH 1 BODY.PEEK[TEXT]").bytes(1, "BODY[TEXT]"),
        b"Text.\r\n"
    );
    dovecot.stop();
    daemon.dial().no("LOGIN bob secret").code("UNAVAILABLE");
    daemon.logs("auth-login: ");
    client.ok("NOOP");
}

#[test]
fn a_mail_program_reads_the_mail_of_a_user_with_a_master_users_password() {
    as_root!();
    let place = Place::new();
    let bob = Virtual::new(&place, "bob", "{PLAIN}own");
    let masters = place.write("masters", "admin:{PLAIN}key\n");
    place::set_mode(&masters, 0o600);
    bob.maildir.deliver(b"Subject: of bob\n\nText.\n");
    let masters = format!(
        "auth.master_sources = [\"passwd-file:{}\"]",
        masters.display()
    );
    let separator = "auth.master_user_separator = \"*\"";
    let daemon = passwd_file(place, &[&bob], &[&masters, separator]);
    let url = format!("imap://127.0.0.1:{}/INBOX;MAILINDEX=1", daemon.port);
    for user in [
        &["--sasl-authzid", "bob", "-u", "admin:key"][..],
        &["-u", "bob*admin:key"],
    ] {
        let output = Command::new("curl")
            .args(["-sS", "--max-time", "60"])
            .args(user)
            .arg(&url)
            .output();
        let output = output.expect("curl");
        let text = String::from_utf8_lossy(&output.stdout);
        assert!(text.contains("Subject: of bob"), "{user:?}: {output:?}");
    }
    daemon.logs("master user admin logs in as bob");
}

#[test]
fn a_passwd_file_knows_every_scheme_that_is_safe() {
    as_root!();
    let place = Place::new();
    let users: Vec<Virtual> = HASHES
        .iter()
        .enumerate()
        .map(|(n, hash)| Virtual::new(&place, &format!("user{n}"), hash))
        .collect();
    let all: Vec<&Virtual> = users.iter().collect();
    let daemon = passwd_file(place, &all, &[]);
    for user in &users {
        daemon
            .dial()
            .no(&format!("LOGIN {} wrong", user.name))
            .code("AUTHENTICATIONFAILED");
        let reply = daemon
            .dial()
            .command(&format!("LOGIN {} {PASSWORD}", user.name));
        assert_eq!(reply.tagged.word(), "OK", "{}{reply}", user.line);
    }
}

#[test]
fn virtual_users_of_one_uid_have_sessions_of_their_own_and_see_their_own_mail_only() {
    as_root!();
    let place = Place::new();
    let names = [
        "ann",
        "ann@example.org",
        "ann@example.net",
        "an",
        "ann.",
        "a-n_n",
        "ann..b",
    ];
    let users: Vec<Virtual> = names
        .iter()
        .map(|name| Virtual::new(&place, name, "{PLAIN}secret"))
        .collect();
    for (n, user) in users.iter().enumerate() {
        user.maildir.fill(n + 1);
    }
    let all: Vec<&Virtual> = users.iter().collect();
    let daemon = passwd_file(place, &all, &["mail.linger = \"0s\""]);
    let mut clients = Vec::new();
    for (n, name) in names.iter().enumerate() {
        let mut client = daemon.dial();
        client.ok(&format!("LOGIN \"{name}\" secret"));
        client
            .ok("SELECT INBOX")
            .contains(&format!("{} EXISTS", n + 1));
        clients.push(client);
    }
    let sessions = daemon.sessions();
    assert_eq!(sessions.len(), names.len());
    for session in sessions {
        assert_eq!(session.uids(), [VMAIL; 4]);
        assert_eq!(session.gids(), [VMAIL; 4]);
        assert!(session.groups().iter().all(|&group| group == VMAIL));
    }
    // Landlock: the same uid, and still nothing of the others'.
    let reply = clients[0].command("SELECT \"../ann@example.org/Maildir\"");
    assert_ne!(reply.tagged.word(), "OK");
    // What a session could leave behind for the next one.
    let (own, other) = (users[0].maildir.path(), users[1].maildir.path());
    fs::create_dir(own.join(".Half")).expect("a folder");
    for (link, target) in [
        (".Stolen", other.to_owned()),
        (".Half/cur", other.join("cur")),
        (".Half/new", other.join("new")),
        (".Relative", "../../ann@example.org/Maildir".into()),
    ] {
        std::os::unix::fs::symlink(target, own.join(link)).expect("a link");
        std::os::unix::fs::lchown(own.join(link), Some(VMAIL), Some(VMAIL)).expect("given");
    }
    let first = clients.swap_remove(0);
    drop(first);
    eventually("the session to end", || {
        (daemon.sessions().len() < names.len()).then_some(())
    });
    let mut next = daemon.dial();
    next.ok(&format!("LOGIN \"{}\" secret", names[0]));
    let listed = next.ok("LIST \"\" *");
    assert!(!listed.has("Stolen") && !listed.has("Relative"), "{listed}");
    for folder in ["Stolen", "Half", "Relative"] {
        let reply = next.command(&format!("SELECT {folder}"));
        assert_eq!(reply.tagged.word(), "NO", "{reply}");
    }
    assert!(
        daemon
            .log()
            .contains("is or leads over a link that is not followed")
    );
}

#[test]
fn names_that_are_directories_of_the_system_reach_nobodys_mail() {
    as_root!();
    let place = Place::new();
    let ann = Virtual::new(&place, "ann", "{PLAIN}secret");
    ann.maildir.deliver_file("one.eml");
    let base = place.join("mail");
    let lines: String = [".", "..", "...", "ann"]
        .iter()
        .map(|name| format!("{name}:{{PLAIN}}secret:{VMAIL}:{VMAIL}::/nonexistent::\n"))
        .collect();
    let file = place.write("all", lines);
    let daemon = Daemon::start_in(
        place,
        &[
            &format!("auth.sources = [\"passwd-file:{}\"]", file.display()),
            &format!("mail.location = \"{}/%u/Maildir\"", base.display()),
        ],
    );
    let mut client = daemon.dial();
    client.ok("LOGIN ann secret");
    client.ok("SELECT INBOX").contains("1 EXISTS");
    for name in [".", ".."] {
        let reply = daemon.dial().command(&format!("LOGIN {name} secret"));
        assert_eq!(reply.tagged.word(), "NO", "{reply}");
    }
}

#[test]
fn fields_of_a_passwd_file_say_where_the_mail_is() {
    as_root!();
    let place = Place::new();
    let ann = Virtual::new(&place, "ann@example.org", "{PLAIN}secret");
    let elsewhere = place.directory_of("elsewhere", VMAIL, VMAIL);
    let folder = Folder::at(elsewhere.join("example.org/ann"));
    fs::create_dir(elsewhere.join("example.org")).expect("a directory");
    own(&elsewhere.join("example.org"));
    folder.create();
    folder.fill(3);
    let line = ann.line.trim_end();
    let file = place.write(
        "all",
        format!(
            "# a comment\n\n{line}userdb_mail=maildir:{}/%d/%n\n",
            elsewhere.display()
        ),
    );
    let daemon = Daemon::start_in(
        place,
        &[&format!(
            "auth.sources = [\"passwd-file:{}\"]",
            file.display()
        )],
    );
    let mut client = daemon.dial();
    client.ok("LOGIN ann@example.org secret");
    client.ok("SELECT INBOX").contains("3 EXISTS");
}

#[test]
fn a_passwd_file_is_read_anew_when_it_has_changed() {
    as_root!();
    let place = Place::new();
    let ann = Virtual::new(&place, "ann", "{PLAIN}secret");
    let bob = Virtual::new(&place, "bob", "{PLAIN}secret");
    let daemon = passwd_file(place, &[&ann], &[]);
    daemon.dial().ok("LOGIN ann secret");
    daemon.dial().no("LOGIN bob secret");
    daemon.place().write(
        "users",
        format!("{}{}", ann.line.replace("secret", "other"), bob.line),
    );
    daemon.dial().no("LOGIN ann secret");
    daemon.dial().ok("LOGIN ann other");
    daemon.dial().ok("LOGIN bob secret");
}

#[test]
fn sources_are_asked_in_their_order() {
    as_root!();
    let place = Place::new();
    let alice = User::new();
    alice.inbox().fill(1);
    // The same name in a file before PAM, with another password and other mail.
    let shadow = Virtual::new(&place, &alice.name, "{PLAIN}virtual");
    shadow.maildir.fill(2);
    let ann = Virtual::new(&place, "ann", "{PLAIN}secret");
    ann.maildir.fill(3);
    let file = place.write("all", format!("{}{}", shadow.line, ann.line));
    let bob = User::new();
    bob.inbox().fill(4);
    let daemon = Daemon::start_in(
        place,
        &[&format!(
            "auth.sources = [\"passwd-file:{}\", \"pam\"]",
            file.display()
        )],
    );
    let mut client = daemon.dial();
    client.ok(&format!("LOGIN {} virtual", alice.name));
    client.ok("SELECT INBOX").contains("2 EXISTS");
    let mut client = daemon.dial();
    client.ok("LOGIN ann secret");
    client.ok("SELECT INBOX").contains("3 EXISTS");
    // Unknown to the file: PAM.
    let mut client = daemon.dial();
    client.ok(&bob.login());
    client.ok("SELECT INBOX").contains("4 EXISTS");
    daemon
        .dial()
        .no("LOGIN nobody-at-all secret")
        .code("AUTHENTICATIONFAILED");
}

/// Of [`User::PASSWORD`].
pub const SCRAM: &str = "{SCRAM-SHA-256}4096,JvzwmH3VV122HbjFBu5y5g==,Dz9KLe2LMsAI9xcXniiWiPzg5jhQ8awDq8vl9jq4Zec=,4MZ3sMr2/U+HT/6n7tLVpyPIt99GhnCFDlXeLOm9O1Y=";

/// All of [`User::PASSWORD`], as Dovecot's `doveadm pw` and mkpasswd(1) made them.
const HASHES: &[&str] = &[
    "{PLAIN}open-sesame",
    "{SHA512-CRYPT}$6$rounds=1000$IpOeyuowvnsHl8X2$5Bx9q0uAQGJWMpK5frdgLVhl8oMfzwqrrEbcC0hw3MIc8k.gBPwy2Neil9d3ExHyzvjCR862aErDXhoGvLFRu/",
    "{SHA256-CRYPT}$5$rounds=1000$u8eRbfL/tR8QrIPE$T/x0/rkgqyv4lwTsxoCcK0AaCjw1lcsp5u.VdQAazA6",
    "{BLF-CRYPT}$2y$05$wQbCS3KHUbBvSTK9FgrIoetufdQG1rH3WNze8QdsG/N6eCbuzQ7Yy",
    "{CRYPT}$2y$05$1hNQSWABIeeY60mfzbt.LuVPhhVI4INhObd6v3BJ31H17vGF5Rm2y",
    "{CRYPT}$y$j75$abcdefghijklmnop$B3WLBLuBDpMHTou888DpCioDN73gZOy03sMXPQD0rH.",
    // Without a scheme: crypt(5).
    "$6$rounds=1000$IpOeyuowvnsHl8X2$5Bx9q0uAQGJWMpK5frdgLVhl8oMfzwqrrEbcC0hw3MIc8k.gBPwy2Neil9d3ExHyzvjCR862aErDXhoGvLFRu/",
    SCRAM,
];
