//! Files that are damaged, or not for the user to read or write: what is served all the same, what
//! is refused, and what the log says to whoever has to mend it.

use std::fs::{self, File};
use std::io::{BufRead, BufReader, Write};
use std::os::unix::fs::{PermissionsExt, chown, symlink};
use std::path::Path;
use std::process::Stdio;

use nix::sys::stat::Mode;
use nix::unistd::{Uid, mkfifo};

use crate::support::{Folder, Mail, Program, eventually, skip};

/// Runs the commands, and returns what was answered and what was logged.
fn talk(mail: &Mail, commands: &[&str]) -> (String, String) {
    let mut script = String::new();
    for (number, command) in commands.iter().enumerate() {
        script.push_str(&format!("a{number} {command}\r\n"));
    }
    let script = File::open(mail.write("script", script)).unwrap();
    let mut roost = Program::Roost.preauth(mail, &[]);
    let output = roost.stdin(script).stdout(Stdio::piped()).output().unwrap();
    assert!(output.status.success(), "{output:?}");
    let text = |bytes| String::from_utf8(bytes).unwrap();
    (text(output.stdout), text(output.stderr))
}

/// The tagged answer to the command of this number.
fn answer(answers: &str, number: usize) -> &str {
    let tag = format!("a{number} ");
    let line = answers.lines().find_map(|line| line.strip_prefix(&tag));
    line.unwrap_or_else(|| panic!("no {tag}in {answers}"))
}

/// A message whose flags are \Seen and the first keyword.
fn mail_with_a_keyword() -> Mail {
    let mail = Mail::new();
    mail.inbox().store(b"Subject: one\n\ntext\n", "Sa");
    mail
}

fn give_to_root(path: &Path, mode: u32) {
    chown(path, Some(0), Some(0)).unwrap();
    fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
}

const ROOT_ONLY: &str = "only root can make files that are not the user's";

#[test]
fn keywords_that_cannot_be_read_cost_their_names_and_one_line_in_the_log() {
    if !Uid::effective().is_root() {
        skip!("{ROOT_ONLY}");
    }
    let mail = mail_with_a_keyword();
    let path = mail.root().join("dovecot-keywords");
    fs::write(&path, "0 Work\n").unwrap();
    give_to_root(&path, 0o600);
    let (answers, log) = talk(
        &mail,
        &[
            "SELECT INBOX",
            "FETCH 1 FLAGS",
            "APPEND INBOX {2+}\r\nhi",
            "STORE 1 +FLAGS (New)",
            "STORE 1 +FLAGS (\\Flagged)",
            "STORE 1 -FLAGS (unknown-0)",
        ],
    );
    for number in [0, 1, 2, 4, 5] {
        assert!(answer(&answers, number).starts_with("OK "), "{answers}");
    }
    assert!(
        answers.contains("FLAGS (\\Seen \\Recent unknown-0)"),
        "{answers}"
    );
    assert!(answer(&answers, 3).starts_with("NO [NOPERM] "), "{answers}");
    assert_eq!(fs::read_to_string(&path).unwrap(), "0 Work\n");
    let unreadable = format!("open({}) failed: Permission denied (", path.display());
    let lines: Vec<&str> = log.lines().filter(|l| l.contains(&unreadable)).collect();
    // Once that names are missing, and once that the STORE was refused for it.
    assert_eq!(lines.len(), 2, "{log}");
    for line in lines {
        assert!(line.contains("imap(mail)<"), "{line}");
        let missing = format!(
            "missing +r perm: {}, file owned by 0:0 mode=0600",
            path.display()
        );
        assert!(line.contains(&missing), "{line}");
        assert!(line.contains("chown "), "{line}");
    }
}

#[test]
fn each_refusal_leaves_a_line_with_user_mailbox_command_path_and_what_is_missing() {
    if !Uid::effective().is_root() {
        skip!("{ROOT_ONLY}");
    }
    let mail = mail_with_a_keyword();
    let private = mail.folder("Private");
    private.create();
    private.store(b"Subject: one\n\ntext\n", "");
    for part in ["cur", "new", "tmp"] {
        give_to_root(&mail.root().join(part), 0o755);
    }
    give_to_root(private.path(), 0o700);
    let (answers, log) = talk(
        &mail,
        &[
            "SELECT INBOX",
            "STORE 1 +FLAGS (\\Seen)",
            "APPEND INBOX {2+}\r\nhi",
            "STATUS Private (MESSAGES)",
            "SELECT Private",
            "SELECT Private",
            "CREATE Private/Below",
        ],
    );
    let root = mail.root();
    let expected = [
        (
            1,
            "INBOX: STORE: access(",
            "cur",
            "missing +w perm: ",
            "cur, dir owned by 0:0 mode=0755",
        ),
        (
            2,
            "INBOX: APPEND: create(",
            "tmp",
            "missing +w perm: ",
            "tmp, dir owned by 0:0 mode=0755",
        ),
        (
            3,
            "Private: STATUS: ",
            ".Private",
            "missing +",
            ".Private, dir owned by 0:0 mode=0700",
        ),
        (
            4,
            "Private: SELECT: ",
            ".Private",
            "missing +",
            ".Private, dir owned by 0:0 mode=0700",
        ),
    ];
    for (number, what, path, missing, of) in expected {
        assert!(
            answer(&answers, number).starts_with("NO [NOPERM] "),
            "{answers}"
        );
        let path = root.join(path).display().to_string();
        let of = root.join(of).display().to_string();
        let lines: Vec<&str> = log
            .lines()
            .filter(|line| line.contains(what) && line.contains("imap(mail)<"))
            .collect();
        assert_eq!(lines.len(), 1, "{what}: {log}");
        for part in [&path, "Permission denied (euid=", missing, &of] {
            assert!(lines[0].contains(part), "{part}: {log}");
        }
    }
    assert!(answer(&answers, 4).ends_with(": Private"), "{answers}");
    assert!(answer(&answers, 6).starts_with("NO [NOPERM] "), "{answers}");
    assert!(log.contains("Mailbox Private/Below: CREATE: "), "{log}");
}

#[test]
fn a_message_that_cannot_be_read_is_in_the_log_with_its_path() {
    if !Uid::effective().is_root() {
        skip!("{ROOT_ONLY}");
    }
    let mail = mail_with_a_keyword();
    let name = mail.inbox().names("cur").remove(0);
    let path = mail.root().join("cur").join(name);
    give_to_root(&path, 0o600);
    let (answers, log) = talk(
        &mail,
        &[
            "SELECT INBOX",
            "FETCH 1 BODY[]",
            "FETCH 1 BODY[]",
            "SEARCH TEXT x",
        ],
    );
    assert!(answer(&answers, 1).starts_with("NO [NOPERM] "), "{answers}");
    let place = format!("open({}) failed: Permission denied (euid=", path.display());
    for command in [
        "FETCH: the message with UID 1",
        "SEARCH: the message with UID 1",
    ] {
        let lines = log
            .lines()
            .filter(|line| line.contains(command) && line.contains(&place));
        assert_eq!(lines.count(), 1, "{command}: {log}");
    }
}

#[test]
fn a_mailbox_that_is_taken_away_under_a_client_is_in_the_log_with_its_path() {
    let remove = |folder: &Path| fs::remove_dir_all(folder).unwrap();
    let renumber = |folder: &Path| {
        let list = folder.join("dovecot-uidlist");
        let text = fs::read_to_string(&list).unwrap();
        let (before, validity) = text.split_once(" V").unwrap();
        let after = validity.trim_start_matches(|c: char| c.is_ascii_digit());
        fs::write(&list, format!("{before} V5{after}")).unwrap();
    };
    let ways: [&dyn Fn(&Path); 2] = [&remove, &renumber];
    for take_away in ways {
        let mail = Mail::new();
        let folder = mail.folder("Work");
        folder.create();
        folder.deliver_file("one.eml");
        let mut roost = Program::Roost.preauth(&mail, &[]);
        roost.stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut roost = roost.stderr(Stdio::piped()).spawn().unwrap();
        let mut input = roost.stdin.take().unwrap();
        let mut output = BufReader::new(roost.stdout.take().unwrap());
        let mut say = |command: &str| {
            input
                .write_all(format!("a {command}\r\n").as_bytes())
                .unwrap();
            let mut told = String::new();
            while !told
                .lines()
                .last()
                .is_some_and(|line| line.starts_with("a "))
            {
                assert_ne!(output.read_line(&mut told).unwrap(), 0, "{told}");
            }
            told
        };
        say("SELECT Work");
        take_away(folder.path());
        eventually("the mailbox is closed", || {
            say("NOOP").contains("* OK [CLOSED] ").then_some(())
        });
        say("LOGOUT");
        let ended = roost.wait_with_output().unwrap();
        let log = String::from_utf8(ended.stderr).unwrap();
        let place = format!("Mailbox Work: {}: the folder was", folder.path().display());
        assert!(log.contains(&place), "{log}");
    }
}

#[test]
fn a_maildir_that_another_one_took_the_place_of_is_in_the_log_with_its_path() {
    let mail = Mail::with(["one.eml"]);
    let mut roost = Program::Roost.preauth(&mail, &[]);
    roost.stdin(Stdio::piped()).stdout(Stdio::piped());
    let mut roost = roost.stderr(Stdio::piped()).spawn().unwrap();
    let mut input = roost.stdin.take().unwrap();
    let mut output = BufReader::new(roost.stdout.take().unwrap());
    input.write_all(b"a SELECT INBOX\r\n").unwrap();
    let mut told = String::new();
    while !told.contains("\na OK ") {
        assert_ne!(output.read_line(&mut told).unwrap(), 0, "{told}");
    }
    fs::rename(mail.root(), mail.work().join("aside")).unwrap();
    Folder::at(mail.root()).create();
    let _ = input.write_all(b"b NOOP\r\n");
    let ended = roost.wait_with_output().unwrap();
    let log = String::from_utf8(ended.stderr).unwrap();
    let place = format!("{}: another Maildir took", mail.root().display());
    assert!(log.contains(&place), "{log}");
}

#[test]
fn what_cannot_be_changed_is_selected_read_only() {
    if !Uid::effective().is_root() {
        skip!("{ROOT_ONLY}");
    }
    let mail = mail_with_a_keyword();
    give_to_root(&mail.root().join("cur"), 0o755);
    let (answers, _) = talk(
        &mail,
        &[
            "SELECT INBOX",
            "STORE 1 +FLAGS (\\Seen)",
            "EXPUNGE",
            "CLOSE",
        ],
    );
    assert!(
        answer(&answers, 0).starts_with("OK [READ-ONLY] "),
        "{answers}"
    );
    assert!(answers.contains("* OK [PERMANENTFLAGS ()] "), "{answers}");
    for number in [1, 2] {
        assert!(answer(&answers, number).starts_with("NO "), "{answers}");
    }
    assert!(answer(&answers, 3).starts_with("OK "), "{answers}");
}

/// Everything that lies beside the messages, but `dovecot-uidlist`.
const BESIDE: [&str; 15] = [
    "dovecot-keywords",
    "dovecot-uidvalidity",
    "dovecot-shared",
    "dovecot-acl",
    "dovecot.index",
    "dovecot.index.log",
    "dovecot.index.cache",
    "subscriptions",
    "maildirsize",
    "roost.index",
    "roost.cache",
    "roost.modseq",
    "roost.special-use",
    "courierimapsubscribed",
    "courierimapkeywords",
];

#[test]
fn a_damaged_file_beside_the_messages_costs_no_mailbox() {
    let kinds = [
        "directory",
        "fifo",
        "dangling",
        "loop",
        "empty",
        "garbage",
        "large",
        "crlf",
        "root's",
    ];
    for kind in kinds {
        for name in BESIDE {
            let mail = mail_with_a_keyword();
            let path = mail.root().join(name);
            match kind {
                "directory" => fs::create_dir(&path).unwrap(),
                "fifo" => mkfifo(&path, Mode::S_IRUSR).unwrap(),
                "dangling" => symlink("nowhere", &path).unwrap(),
                "loop" => symlink(name, &path).unwrap(),
                "empty" => fs::write(&path, "").unwrap(),
                "garbage" => fs::write(&path, [0xff, 0, b'\n', 7].repeat(500)).unwrap(),
                "large" => File::create(&path).unwrap().set_len(40 << 30).unwrap(),
                "crlf" => fs::write(&path, "0 a\r\nV\t2\r\n\r\nINBOX\r\n").unwrap(),
                _ if Uid::effective().is_root() => {
                    fs::write(&path, "0 a\n").unwrap();
                    give_to_root(&path, 0o600);
                }
                _ => continue,
            }
            let (answers, log) = talk(
                &mail,
                &[
                    "SELECT INBOX",
                    "FETCH 1 (FLAGS ENVELOPE BODY[])",
                    "STORE 1 +FLAGS (\\Flagged)",
                    "APPEND INBOX (\\Seen) {2+}\r\nhi",
                    "LIST \"\" *",
                    "LSUB \"\" *",
                    "CREATE Work",
                    "COPY 1 Work",
                    "STATUS Work (MESSAGES HIGHESTMODSEQ)",
                    "UNSELECT",
                    "SELECT INBOX",
                ],
            );
            for number in 0..=10 {
                let ok = answer(&answers, number).starts_with("OK ");
                assert!(ok, "{kind} {name}: {answers}\n{log}");
            }
        }
    }
}

/// The header of an index that speaks of so many rows, history entries and octets of names.
fn index_header(numbers: [u64; 3]) -> Vec<u8> {
    let mut bytes = b"RoostIX1".to_vec();
    for number in numbers.into_iter().chain([0, 5, 0, 0, 0]) {
        bytes.extend(number.to_le_bytes());
    }
    bytes.resize(12 + bytes.len(), 0);
    bytes.resize(48 + bytes.len(), 0);
    for number in [1_795_988_804_u32, 2, 1, 0, 0, 0, 0, 0, 0, 0] {
        bytes.extend(number.to_le_bytes());
    }
    bytes.extend([b'a'; 32]);
    bytes.resize(252, 0);
    let crc = crc32fast::hash(&bytes);
    bytes.extend(crc.to_le_bytes());
    bytes
}

#[test]
fn an_index_of_more_messages_than_there_are_costs_no_memory() {
    for numbers in [
        [0, 0, 1_000_000_000],
        [0, 60_000_000, 0],
        [17_000_000, 0, 0],
    ] {
        let mail = Mail::numbered(3);
        let header = index_header(numbers);
        let [rows, history, names] = numbers;
        let path = mail.root().join("roost.index");
        fs::write(&path, header).unwrap();
        let index = fs::OpenOptions::new().write(true).open(&path).unwrap();
        index
            .set_len(rows * 57 + history * 16 + names + 260)
            .unwrap();
        let mut roost = mail.connect();
        roost.ok("SELECT INBOX");
        let peak = roost.process().peak_memory();
        assert!(peak < 64 << 20, "{numbers:?}: {peak} octets");
    }
}

#[test]
fn a_compressed_message_is_known_by_its_first_octets_whatever_its_name_says() {
    let text = format!(
        "From: a@example.org\nSubject: one\n\n{}\n",
        "text\n".repeat(3000)
    );
    let gzip = |text: &[u8]| {
        let mut gzip = std::process::Command::new("gzip")
            .arg("-cn")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        gzip.stdin.take().unwrap().write_all(text).unwrap();
        gzip.wait_with_output().unwrap().stdout
    };
    let whole = gzip(text.as_bytes());
    let mail = Mail::new();
    let size = whole.len();
    mail.inbox()
        .store_as(&whole, &format!("1.M1P1.host,S={size}:2,SZ"), 1);
    let cut = &whole[..size - 12];
    mail.inbox()
        .store_as(cut, &format!("2.M1P1.host,S={}:2,S", cut.len()), 2);
    let (answers, log) = talk(
        &mail,
        &[
            "SELECT INBOX",
            "FETCH 1 (RFC822.SIZE ENVELOPE BODY.PEEK[])",
            "FETCH 2 BODY.PEEK[]",
        ],
    );
    let wire = text.replace('\n', "\r\n");
    assert!(
        answers.contains(&format!("RFC822.SIZE {}", wire.len())),
        "{answers}"
    );
    assert!(answers.contains(&wire), "{answers}");
    assert!(answer(&answers, 1).starts_with("OK "), "{answers}");
    assert!(answers.matches("Subject: one").count() >= 2, "{answers}");
    assert!(
        answer(&answers, 2).starts_with("NO [CORRUPTION] "),
        "{answers}"
    );
    assert!(log.contains("Mailbox INBOX: UID 2: expand("), "{log}");
}
