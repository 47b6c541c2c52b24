//! Mail locations: what both servers make of `mail_location`, and one Maildir handed from one to
//! the other where INBOX, the indexes or the uidlists are elsewhere.

use std::fs;
use std::path::{Path, PathBuf};

use roost::config::{Config, MailPlace};

use super::{Marks, Sight, THEIRS, look, not_back, ours};
use crate::support::*;

/// A location whose paths are below the home directory of the test.
struct Kind {
    location: &'static str,
    /// Dovecot counts no modseqs there.
    without_modseqs: bool,
}

const fn kind(location: &'static str) -> Kind {
    Kind {
        location,
        without_modseqs: false,
    }
}

impl Kind {
    /// Both are told the same, with whole paths: the user database of the tests has another home.
    fn serve(&self, program: Program, mail: &Mail, more: &str) -> Client {
        let home = mail.home();
        let location = self.location.replace('~', &home.display().to_string());
        match program {
            Program::Dovecot => {
                let settings = [&format!("mail_location = {location}"), more];
                Server::preauth_of(program, mail, &settings)
            }
            _ => Server::preauth_of(program, mail, &[&format!("mail.location={location}")]),
        }
    }

    fn hand_over(&self, programs: &[Program]) {
        let mail = Mail::new();
        let mut left: Option<(Sight, Marks)> = None;
        for (round, &program) in programs.iter().enumerate() {
            eprintln!("{}, round {round}: {program:?}", self.location);
            let mut client = self.serve(program, &mail, "");
            if round == 0 {
                for n in 0..4 {
                    client.append("INBOX", &numbered(n + 1000));
                }
            }
            let (found, marks) = look(&mut client);
            if let Some((left, marks_left)) = &left {
                assert_eq!(*left, found, "{program:?} finds something else");
                self.compare(marks_left, &marks);
            }
            work(&mut client, round);
            let now = look(&mut client);
            self.compare(&marks, &now.1);
            left = Some(now);
            client.logout();
        }
    }

    fn compare(&self, before: &Marks, after: &Marks) {
        match self.without_modseqs {
            false => not_back(before, after),
            true => {
                let only_uids = |marks: &Marks| -> Marks {
                    let marks = marks.iter();
                    marks
                        .map(|(name, (next, _))| (name.clone(), (*next, 1)))
                        .collect()
                };
                not_back(&only_uids(before), &only_uids(after));
            }
        }
    }
}

/// Changes of every kind, also of the tree; `round` makes them different each time.
fn work(client: &mut Client, round: usize) {
    super::work(client, round);
    client.ok(&format!("CREATE INBOX/below{round}"));
    client.ok(&format!("CREATE \"Entw&APw-rfe {round}\""));
    client.ok(&format!("SUBSCRIBE \"Entw&APw-rfe {round}\""));
    client.append(
        &format!("\"Entw&APw-rfe {round}\" (\\Seen own{round})"),
        &numbered(round + 200),
    );
    client.ok(&format!("CREATE Old/{round}"));
    client.append(&format!("Old/{round} (kept)"), &numbered(round + 300));
    client.ok(&format!("RENAME Old/{round} New/{round}"));
    client.ok(&format!("CREATE Gone{round}"));
    client.append(&format!("Gone{round}"), &numbered(round + 400));
    client.ok(&format!("DELETE Gone{round}"));
    client.ok(&format!("CREATE Again{round}"));
    client.ok(&format!("DELETE Again{round}"));
    client.ok(&format!("CREATE Again{round}"));
}

fn both_ways(kind: &Kind) {
    if let Some(why) = THEIRS.missing() {
        skip!("{why}");
    }
    kind.hand_over(&[THEIRS, ours(), THEIRS, ours()]);
    kind.hand_over(&[ours(), THEIRS, ours(), THEIRS]);
}

#[test]
fn an_inbox_beside_the_other_folders_goes_on() {
    both_ways(&kind("maildir:~/Maildir:INBOX=~/Inbox"));
    both_ways(&kind("maildir:~/Maildir:INBOX=~/Maildir/.INBOX"));
}

/// As emailwiz has it.
#[test]
fn an_inbox_among_the_other_folders_goes_on() {
    both_ways(&kind("maildir:~/Maildir:INBOX=~/Maildir/Inbox:LAYOUT=fs"));
}

#[test]
fn modseqs_go_on_where_dovecot_has_its_indexes_elsewhere() {
    both_ways(&kind("maildir:~/Maildir:INDEX=~/indexes"));
    both_ways(&kind("maildir:~/Maildir:INDEX=~/indexes/deep:LAYOUT=fs"));
}

#[test]
fn uids_and_keywords_go_on_where_dovecot_has_its_uidlists_elsewhere() {
    both_ways(&kind("maildir:~/Maildir:CONTROL=~/control"));
    both_ways(&kind("maildir:~/Maildir:CONTROL=~/control:LAYOUT=fs"));
}

#[test]
fn everything_elsewhere_goes_on() {
    both_ways(&kind(
        "maildir:~/Maildir:INBOX=~/Inbox:INDEX=~/indexes:CONTROL=~/control:VOLATILEDIR=~/locks:UTF-8",
    ));
    both_ways(&kind(
        "maildir:~/Maildir:INBOX=~/Maildir/In:INDEX=~/x:CONTROL=~/x:LAYOUT=fs:UTF-8",
    ));
}

#[test]
fn an_index_in_memory_leaves_uids_as_they_are() {
    both_ways(&Kind {
        without_modseqs: true,
        ..kind("maildir:~/Maildir:INDEX=MEMORY")
    });
}

/// Nothing is made where the other does not look: both leave the same files of Dovecot's.
#[test]
fn both_have_dovecots_files_in_the_same_places() {
    if let Some(why) = THEIRS.missing() {
        skip!("{why}");
    }
    for location in [
        "maildir:~/Maildir",
        "maildir:~/Maildir:INBOX=~/Inbox:INDEX=~/indexes:CONTROL=~/control",
        "maildir:~/Maildir:INDEX=~/x:CONTROL=~/x:LAYOUT=fs",
        "maildir:~/Maildir:INBOX=~/Maildir/Inbox:LAYOUT=fs:UTF-8",
    ] {
        let made = [THEIRS, ours()].map(|program| {
            let mail = Mail::new();
            let mut client = kind(location).serve(program, &mail, "");
            for name in ["Work/deep", "\"Entw&APw-rfe\""] {
                client.ok(&format!("CREATE {name}"));
                client.ok(&format!("SUBSCRIBE {name}"));
                client.append(&format!("{name} (word)"), &numbered(1));
            }
            client.append("INBOX (word)", &numbered(2));
            for name in ["INBOX", "Work/deep", "\"Entw&APw-rfe\""] {
                client.ok(&format!("SELECT {name}"));
                client.ok(r"STORE 1 +FLAGS.SILENT (\Flagged)");
            }
            client.logout();
            files_of_dovecot(&mail.home())
        });
        assert_eq!(made[0], made[1], "{location}");
    }
}

/// The files by which the mail is known, with their paths from `root`.
fn files_of_dovecot(root: &Path) -> Vec<PathBuf> {
    let (mut found, mut left) = (Vec::new(), vec![root.to_owned()]);
    while let Some(directory) = left.pop() {
        for entry in fs::read_dir(directory).expect("a directory") {
            let path = entry.expect("an entry").path();
            let name = path
                .file_name()
                .and_then(|name| name.to_str())
                .expect("a name");
            const KEPT: [&str; 5] = [
                "dovecot-uidlist",
                "dovecot-keywords",
                "dovecot-uidvalidity",
                "subscriptions",
                "dovecot.index.log",
            ];
            if KEPT.contains(&name) {
                found.push(path.strip_prefix(root).expect("it is below").to_owned());
            } else if path.is_dir() {
                left.push(path);
            }
        }
    }
    found.sort();
    found
}

#[test]
fn the_separator_is_that_of_the_layout_unless_it_is_set() {
    if let Some(why) = THEIRS.missing() {
        skip!("{why}");
    }
    for (layout, separator) in [("", "."), (":LAYOUT=fs", "/"), (":LAYOUT=maildir++", ".")] {
        let mail = Mail::new();
        let location = format!("maildir:{}{layout}", mail.root().display());
        let mut theirs = Server::preauth_of(
            THEIRS,
            &mail,
            &[
                &format!("mail_location = {location}"),
                "namespace inbox {\n  separator =\n}",
            ],
        );
        let settings = [&format!("mail.location={location}"), "mail.separator=auto"];
        let mut ours = Server::preauth_of(ours(), &mail, &settings);
        let name = format!("Work{separator}deep");
        theirs.ok(&format!("CREATE {name}"));
        for client in [&mut theirs, &mut ours] {
            let quoted = format!("\"{separator}\"");
            for command in ["LIST \"\" \"\"", "NAMESPACE"] {
                let reply = client.ok(command);
                let told = String::from_utf8_lossy(&reply.untagged[0].raw).into_owned();
                assert!(told.contains(&quoted), "{location}: {told}");
            }
            client.ok(&format!("SELECT {name}"));
        }
    }
}

/// The name of the directory that Dovecot makes of a variable, and the one that we make.
#[test]
fn variables_mean_what_they_mean_to_dovecot() {
    if let Some(why) = THEIRS.missing() {
        skip!("{why}");
    }
    let mail = Mail::new();
    let above = mail.directory("variables");
    let (user, home) = (Server::USER, mail.home());
    let home = home.to_str().expect("UTF-8");
    for variable in [
        "%u",
        "%n",
        "%Uu",
        "%LUn",
        "%ULn",
        "%2n",
        "%1.2n",
        "%-2n",
        "%-3.2n",
        "%1.-2n",
        "%-0.3n",
        "%01.3n",
        "%03n",
        "%012n",
        "%1Un",
        "%Hn",
        "%256Hn",
        "%3.256Hn",
        "%Nu",
        "%2.256Nu",
        "%Mu",
        "%1Mu",
        "%Ru",
        "%Xn",
        "%Tn",
        "%En",
        "%Dn",
        "%{user}",
        "%U{username}",
        "%1{username}",
        "%H{user}",
        "%{md5:user}",
        "%{sha1:user}",
        "%{sha256:user}",
        "%{sha512:user}",
        "%%",
    ] {
        let template = format!("{}/x{variable}/M", above.display());
        let setting = format!("mail_location = maildir:{template}");
        let mut theirs = Server::preauth_of(THEIRS, &mail, &[&setting]);
        theirs.ok("SELECT INBOX");
        let place = MailPlace::Template(template);
        let ours = Config::default().locate_by(&place, user, home);
        let maildir = ours.expect(variable).maildir;
        let is_there = maildir.join("cur").is_dir();
        assert!(is_there, "{variable}: no {}", maildir.display());
        fs::remove_dir_all(&maildir).expect("removed");
    }
}
