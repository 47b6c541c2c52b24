//! CREATE, DELETE, RENAME, SUBSCRIBE, UNSUBSCRIBE: RFC 3501 6.3.3 to 6.3.7, and what they leave on
//! disk.

use std::fs;

use crate::support::*;

#[test]
fn a_mailbox_is_a_folder_with_a_marker_for_delivery_agents() {
    let mail = Mail::new();
    let mut a = mail.connect();
    a.ok("CREATE Work/2026");
    let folder = mail.folder("Work.2026");
    for sub in ["cur", "new", "tmp"] {
        assert!(folder.path().join(sub).is_dir(), "{sub}");
    }
    assert!(folder.path().join("maildirfolder").is_file());
    assert!(
        !mail.root().join("maildirfolder").exists() || Program::under_test() == Program::Dovecot
    );
}

#[test]
fn a_folder_made_by_another_program_is_a_mailbox() {
    let mail = Mail::new();
    fs::create_dir(mail.root().join(".Lists.imap")).expect("a directory");
    own(&mail.root().join(".Lists.imap"));
    let mut a = mail.connect();
    a.ok("LIST \"\" Lists/*")
        .untagged([r#"LIST (...) "/" Lists/imap"#]);
    a.ok("SELECT Lists/imap").contains("0 EXISTS");
    a.append("Lists/imap", &text("one.eml"));
}

#[test]
fn names_that_cannot_be_folders_are_refused_with_a_reason() {
    let mail = Mail::new();
    let mut a = mail.connect();
    for name in [
        "a.b", "/a", "a//b", "~x", "..", "../x", "x/../y", ".", "a/./b",
    ] {
        let reply = a.no(&format!("CREATE \"{name}\""));
        assert!(mail.root().join("cur").is_dir(), "{reply}");
    }
    let long = "x".repeat(300);
    a.no(&format!("CREATE {long}"));
    a.ok("LIST \"\" *").untagged([r#"LIST (...) "/" INBOX"#]);
}

#[test]
fn names_in_other_scripts_are_modified_utf7_on_disk() {
    let mail = Mail::new();
    let mut a = mail.connect();
    a.ok("CREATE Entw&APw-rfe");
    assert!(mail.folder("Entw&APw-rfe").path().is_dir());
    a.ok("CREATE \"&U,BTFw-/&ZeVnLIqe-\"");
    assert!(mail.folder("&U,BTFw-.&ZeVnLIqe-").path().is_dir());
    a.ok("SELECT \"&U,BTFw-/&ZeVnLIqe-\"").contains("0 EXISTS");
}

#[test]
fn inbox_is_inbox_in_any_case_but_only_as_a_whole() {
    let mail = Mail::new();
    let mut a = mail.connect();
    a.no("CREATE inBox");
    a.ok("CREATE INBOX/child");
    a.ok("CREATE inboxes");
    a.ok("STATUS inbox (MESSAGES)");
    assert!(mail.folder("INBOX.child").path().is_dir());
    a.ok("LIST \"\" \"inbox*\"")
        .contains(r#"LIST (...) "/" inboxes"#);
}

#[test]
fn delete_leaves_nothing_of_the_mailbox_and_everything_else() {
    let mail = Mail::with(["one.eml"]);
    let mut a = mail.connect();
    a.ok("CREATE Work");
    a.append("Work", &text("two.eml"));
    a.ok("DELETE Work");
    assert!(!mail.folder("Work").path().exists());
    a.no("SELECT Work");
    a.ok("SELECT INBOX").contains("1 EXISTS");
    a.ok("CREATE Work");
    a.ok("SELECT Work").contains("0 EXISTS");
}

#[test]
fn deleting_the_selected_mailbox_does_not_hurt_the_connection() {
    let mail = Mail::with(["one.eml"]);
    let mut a = mail.connect();
    a.ok("CREATE Work");
    a.ok("SELECT Work");
    a.command("DELETE Work");
    a.ok("SELECT INBOX").contains("1 EXISTS");
}

#[test]
fn a_mailbox_made_again_never_reuses_uidvalidity_and_uids_together() {
    let mail = Mail::new();
    let mut a = mail.connect();
    let mut seen = Vec::new();
    for _ in 0..4 {
        a.ok("CREATE Again");
        let reply = a.append("Again", &text("one.eml"));
        let code = reply.tagged.code().expect("APPENDUID").to_vec();
        seen.push((code[1].number(), code[2].number()));
        a.ok("DELETE Again");
    }
    let mut unique = seen.clone();
    unique.sort_unstable();
    unique.dedup();
    assert_eq!(unique.len(), seen.len(), "{seen:?}");
}

#[test]
fn the_uidvalidity_of_new_mailboxes_grows_as_the_marker_file_says() {
    let mail = Mail::new();
    let mut a = mail.connect();
    a.ok("CREATE One");
    a.ok("CREATE Two");
    let one = a.ok("SELECT One").number("UIDVALIDITY");
    let two = a.ok("SELECT Two").number("UIDVALIDITY");
    assert!(two > one, "{one} {two}");
    let last = mail.inbox().control("dovecot-uidvalidity");
    assert_eq!(u64::from_str_radix(&last, 16).ok(), Some(two));
    assert!(
        mail.root()
            .join(format!("dovecot-uidvalidity.{last}"))
            .exists()
    );
}

#[test]
fn rename_takes_children_along_and_makes_parents() {
    let mail = Mail::new();
    let mut a = mail.connect();
    a.ok("CREATE a");
    a.ok("CREATE a/b/c");
    a.append("a/b/c", &text("one.eml"));
    a.ok("RENAME a x/y");
    a.ok("LIST \"\" */*")
        .contains(r#"LIST (...) "/" x/y/b/c"#)
        .lacks(r#"LIST (...) "/" a/b/c"#);
    a.ok("STATUS x/y/b/c (MESSAGES)")
        .untagged(["STATUS x/y/b/c (MESSAGES 1)"]);
    assert!(mail.folder("x.y.b.c").path().is_dir());
}

#[test]
fn rename_of_a_mailbox_that_exists_only_through_its_children() {
    let mail = Mail::new();
    let mut a = mail.connect();
    a.ok("CREATE a/b");
    if mail.folder("a").path().exists() {
        a.ok("DELETE a");
    }
    a.ok("RENAME a z");
    a.ok("LIST \"\" z/*").untagged([r#"LIST (...) "/" z/b"#]);
}

#[test]
fn rename_to_its_own_child_or_to_itself_is_refused() {
    let mail = Mail::new();
    let mut a = mail.connect();
    a.ok("CREATE a");
    a.no("RENAME a a/b");
    a.no("RENAME a a");
    a.ok("STATUS a (MESSAGES)");
}

#[test]
fn rename_inbox_leaves_an_empty_inbox_with_greater_uids() {
    let mail = Mail::with(["one.eml", "two.eml"]);
    let mut a = mail.connect();
    a.ok("RENAME INBOX Old");
    a.ok("SELECT Old").contains("2 EXISTS");
    a.ok("SELECT INBOX").contains("0 EXISTS");
    a.append("INBOX", &text("three.eml"));
    a.ok("FETCH 1 UID").untagged(["1 FETCH (UID 3)"]);
}

#[test]
fn a_client_with_the_mailbox_selected_survives_its_renaming() {
    let mail = Mail::new();
    let (mut a, mut b) = (mail.connect(), mail.connect());
    a.ok("CREATE Work");
    a.append("Work", &text("one.eml"));
    b.ok("SELECT Work");
    a.ok("RENAME Work Play");
    b.command("NOOP");
    b.command("FETCH 1 BODY.PEEK[]");
    b.ok("SELECT Play").contains("1 EXISTS");
}

#[test]
fn subscriptions_are_written_in_dovecots_second_format() {
    let mail = Mail::new();
    let mut a = mail.connect();
    a.ok("CREATE Work/2026");
    a.ok("SUBSCRIBE Work/2026");
    a.ok("SUBSCRIBE INBOX");
    let lines: Vec<String> = mail
        .inbox()
        .control("subscriptions")
        .lines()
        .map(Into::into)
        .collect();
    assert_eq!(&lines[..2], ["V\t2", ""]);
    assert!(lines.contains(&"Work\t2026".to_owned()) && lines.contains(&"INBOX".to_owned()));
    a.ok("UNSUBSCRIBE Work/2026");
    assert!(!mail.inbox().control("subscriptions").contains("Work"));
}

#[test]
fn subscriptions_of_the_first_format_are_read_and_keep_their_format() {
    let mail = Mail::new();
    fs::write(mail.root().join("subscriptions"), "INBOX\nWork.2026\n").expect("written");
    own(&mail.root().join("subscriptions"));
    let mut a = mail.connect();
    a.ok("CREATE Work/2026");
    a.ok("CREATE Other/Box");
    a.ok("LSUB \"\" *")
        .contains(r#"LSUB (...) "/" Work/2026"#)
        .contains(r#"LSUB (...) "/" INBOX"#);
    a.ok("SUBSCRIBE Other/Box");
    assert_eq!(
        mail.inbox().control("subscriptions"),
        "INBOX\nWork.2026\nOther.Box\n"
    );
}

#[test]
fn unsubscribing_what_is_not_subscribed_does_no_harm() {
    let mail = Mail::new();
    let mut a = mail.connect();
    a.ok("SUBSCRIBE INBOX");
    a.command("UNSUBSCRIBE nothing");
    a.ok("LSUB \"\" *").untagged([r#"LSUB (...) "/" INBOX"#]);
}

#[test]
fn special_uses_given_by_a_client_outlast_the_process() {
    roost_only!("it has no CREATE-SPECIAL-USE");
    let mail = Mail::new();
    let mut a = mail.connect();
    a.ok(r"CREATE Entwurf (USE (\Drafts))");
    a.logout();
    let mut b = mail.connect();
    b.ok("LIST (SPECIAL-USE) \"\" *")
        .untagged([r#"LIST (\Drafts ...) "/" Entwurf"#]);
    b.no(r"CREATE x (USE (\All))");
    b.no(r"CREATE y (USE (\Bogus))").code("USEATTR");
}

#[test]
fn whoever_has_the_mailbox_selected_is_told_that_it_is_closed() {
    let mail = Mail::new();
    let server = Server::try_(&mail);
    let (mut a, mut b) = (server.connect(), server.connect());
    a.ok("CREATE Work");
    for (command, name) in [("RENAME Work Play", "Work"), ("DELETE Play", "Play")] {
        a.ok(&format!("SELECT {name}"));
        b.ok(&format!("SELECT {name}"));
        a.ok(command).contains("OK [CLOSED] ...");
        b.ok("NOOP").contains("OK [CLOSED] ...");
        a.bad("FETCH 1 FLAGS");
    }
}
