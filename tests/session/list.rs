//! LIST, LSUB, NAMESPACE: RFC 3501 6.3.8, 6.3.9, RFC 5258, RFC 5819, RFC 6154, RFC 2342.

use crate::support::*;

/// A Maildir with these mailboxes besides INBOX.
fn with_mailboxes(names: &[&str]) -> (Mail, Client) {
    let mail = Mail::new();
    let mut client = mail.connect();
    for name in names {
        client.ok(&format!("CREATE \"{name}\""));
    }
    (mail, client)
}

fn listed(reply: &Reply) -> Vec<String> {
    let mut names: Vec<String> = reply
        .untagged
        .iter()
        .filter(|response| matches!(response.word(), "LIST" | "LSUB"))
        .map(|response| String::from_utf8_lossy(response.tokens[3].bytes().expect("a name")).into())
        .collect();
    names.sort();
    names
}

#[test]
fn wildcards_match_as_the_rfc_says() {
    let (_mail, mut a) = with_mailboxes(&["a", "a/b", "a/b/c", "ab", "abc/d", "b"]);
    for (pattern, names) in [
        (
            "*",
            &["INBOX", "a", "a/b", "a/b/c", "ab", "abc", "abc/d", "b"][..],
        ),
        ("%", &["INBOX", "a", "ab", "abc", "b"]),
        ("a%", &["a", "ab", "abc"]),
        ("a*", &["a", "a/b", "a/b/c", "ab", "abc", "abc/d"]),
        ("a/%", &["a/b"]),
        ("a/*", &["a/b", "a/b/c"]),
        ("%/%", &["a/b", "abc/d"]),
        ("%/%/%", &["a/b/c"]),
        ("*c", &["a/b/c", "abc"]),
        ("a/b", &["a/b"]),
        ("A", &[]),
        ("inbox", &["INBOX"]),
        ("InB%", &["INBOX"]),
        (
            "**",
            &["INBOX", "a", "a/b", "a/b/c", "ab", "abc", "abc/d", "b"],
        ),
        (
            "%*%*%",
            &["INBOX", "a", "a/b", "a/b/c", "ab", "abc", "abc/d", "b"],
        ),
    ] {
        let reply = a.ok(&format!("LIST \"\" \"{pattern}\""));
        assert_eq!(listed(&reply), names, "{pattern}");
    }
}

#[test]
fn a_reference_goes_before_the_pattern() {
    let (_mail, mut a) = with_mailboxes(&["a/b", "a/c"]);
    assert_eq!(listed(&a.ok("LIST a/ %")), ["a/b", "a/c"]);
    assert_eq!(listed(&a.ok("LIST a/ b")), ["a/b"]);
    assert_eq!(listed(&a.ok("LIST nothing/ *")), [""; 0]);
}

#[test]
fn a_parent_that_is_no_mailbox_is_listed_as_not_selectable() {
    let mail = Mail::new();
    let mut a = mail.connect();
    std::fs::create_dir(mail.root().join(".up.down")).expect("a folder");
    own(&mail.root().join(".up.down"));
    let reply = a.ok("LIST \"\" up*");
    assert_eq!(listed(&reply), ["up", "up/down"]);
    let attributes = format!(
        "{:?}",
        reply
            .untagged
            .iter()
            .find(|r| { r.tokens[3].bytes() == Some(b"up") })
            .expect("up")
            .tokens[1]
    );
    assert!(
        attributes.contains("Noselect")
            || attributes.contains("NonExistent")
            || attributes.contains("NoSelect"),
        "{attributes}"
    );
    a.no("SELECT up");
    assert_eq!(listed(&a.ok("LIST \"\" %")), ["INBOX", "up"]);
}

#[test]
fn other_directories_and_files_are_no_mailboxes() {
    let mail = Mail::new();
    let root = mail.root();
    for directory in ["..DOVECOT-TRASHED", "plain", "..hidden"] {
        std::fs::create_dir(root.join(directory)).expect("a directory");
    }
    std::fs::write(root.join(".file"), "").expect("a file");
    let mut a = mail.connect();
    let names = listed(&a.ok("LIST \"\" *"));
    assert!(
        !names
            .iter()
            .any(|name| name.contains("TRASHED") || name == "plain"),
        "{names:?}"
    );
}

#[test]
fn names_with_odd_characters_are_quoted_or_literal_and_can_be_selected() {
    let odd = [
        "with space",
        "per%cent",
        "star*",
        "par(en)",
        "back\\\\slash",
        "quo\\\"te",
        "{5}",
        "&-",
    ];
    let (_mail, mut a) = with_mailboxes(&odd);
    // The client checks that each name is legal in the answer.
    assert_eq!(listed(&a.ok("LIST \"\" *")).len(), odd.len() + 1);
    for name in odd {
        a.ok(&format!("STATUS \"{name}\" (MESSAGES)"));
    }
}

#[test]
fn lsub_tells_a_level_above_what_is_subscribed() {
    let (_mail, mut a) = with_mailboxes(&["a/b/c", "d"]);
    a.ok("SUBSCRIBE a/b/c");
    a.ok("SUBSCRIBE d");
    assert_eq!(listed(&a.ok("LSUB \"\" *")), ["a/b/c", "d"]);
    assert_eq!(listed(&a.ok("LSUB \"\" %")), ["a", "d"]);
    a.ok("LSUB \"\" a").untagged([]);
    a.ok("LSUB \"\" a/%")
        .untagged([r#"LSUB (\Noselect ...) "/" a/b"#]);
}

#[test]
fn an_extended_list_of_several_patterns_tells_each_mailbox_once() {
    let (_mail, mut a) = with_mailboxes(&["a", "a/b", "c"]);
    let reply = a.ok("LIST \"\" (\"*\" \"a*\" a INBOX)");
    assert_eq!(listed(&reply), ["INBOX", "a", "a/b", "c"]);
}

#[test]
fn recursivematch_tells_parents_of_what_matches() {
    let (_mail, mut a) = with_mailboxes(&["a/b/c", "d"]);
    a.ok("SUBSCRIBE a/b/c");
    let reply = a.ok("LIST (SUBSCRIBED RECURSIVEMATCH) \"\" \"%\"");
    reply.contains(r#"LIST (...) "/" a ("CHILDINFO" ("SUBSCRIBED"))"#);
    assert_eq!(listed(&reply), ["a"]);
}

#[test]
fn list_status_leaves_out_what_cannot_be_selected() {
    let mail = Mail::new();
    let mut a = mail.connect();
    std::fs::create_dir(mail.root().join(".up.down")).expect("a folder");
    own(&mail.root().join(".up.down"));
    let reply = a.ok("LIST \"\" * RETURN (STATUS (MESSAGES))");
    let statuses = reply
        .untagged
        .iter()
        .filter(|response| response.word() == "STATUS")
        .count();
    assert_eq!(statuses, 2, "{reply}");
    reply.contains("STATUS up/down (MESSAGES 0)");
}

#[test]
fn the_empty_pattern_tells_the_separator() {
    let (_mail, mut a) = with_mailboxes(&["a"]);
    a.ok("LIST \"\" \"\"")
        .untagged([r#"LIST (\Noselect ...) "/" """#]);
    a.ok("LIST a/b \"\"")
        .untagged([r#"LIST (\Noselect ...) "/" ?"#]);
}

#[test]
fn the_separator_may_be_a_dot() {
    roost_only!("a setting of ours");
    let mail = Mail::new();
    let mut a = Server::preauth_with(&mail, &["mail.separator=."]);
    a.ok("CREATE Work.2026");
    a.ok("LIST \"\" Work.%")
        .untagged([r#"LIST (...) "." Work.2026"#]);
    a.ok("NAMESPACE")
        .untagged([r#"NAMESPACE (("" ".")) NIL NIL"#]);
    assert!(mail.folder("Work.2026").path().is_dir());
}

#[test]
fn well_known_names_have_their_special_use() {
    let (_mail, mut a) = with_mailboxes(&["Drafts", "Sent", "Trash", "Junk", "Archive", "Other"]);
    let reply = a.ok("LIST (SPECIAL-USE) \"\" *");
    for name in ["Drafts", "Sent", "Trash", "Junk", "Archive"] {
        reply.contains(&format!(r#"LIST (\{name} ...) "/" {name}"#));
    }
    assert_eq!(listed(&reply).len(), 5);
}

#[test]
fn a_thousand_mailboxes_with_status_in_one_answer() {
    let mail = Mail::new();
    for n in 0..1000 {
        let folder = mail.folder(&format!("box{n}"));
        folder.create();
    }
    mail.folder("box500").deliver_file("one.eml");
    let mut a = mail.connect();
    for _ in 0..2 {
        let reply = a.ok("LIST \"\" * RETURN (STATUS (MESSAGES UIDNEXT UNSEEN))");
        assert_eq!(listed(&reply).len(), 1001);
        reply.contains("STATUS box500 (MESSAGES 1 UIDNEXT 2 UNSEEN 1)");
        reply.contains("STATUS box501 (MESSAGES 0 UIDNEXT 1 UNSEEN 0)");
    }
}

#[test]
fn a_name_in_subscriptions_that_is_no_modified_utf_7_stands_for_itself() {
    let mail = Mail::new();
    mail.folder("a&-b").create();
    let path = mail.root().join("subscriptions");
    std::fs::write(&path, "a&b\nINBOX\n").expect("written");
    own(&path);
    let mut a = mail.connect();
    a.ok("LSUB \"\" *").contains(r#"LSUB () "/" a&-b"#);
    a.ok("LIST (SUBSCRIBED) \"\" *")
        .contains(r#"LIST (\Subscribed ...) "/" a&-b"#);
    a.ok("SELECT a&-b");
    a.ok("UNSUBSCRIBE a&-b");
    a.ok("LSUB \"\" *").lacks(r#"LSUB () "/" a&-b"#);
    a.ok("SUBSCRIBE a&-b");
    a.ok("LSUB \"\" *").contains(r#"LSUB () "/" a&-b"#);
}

#[test]
fn childinfo_comes_only_where_a_child_that_is_not_listed_is_subscribed() {
    let mail = Mail::new();
    let folders = [
        "foo2",
        "foo2.bar1",
        "foo2.bar2",
        "baz2",
        "baz2.bar2",
        "baz2.bar22",
        "eps2",
        "eps2.mamba",
        "qux2.bar2",
    ];
    let mut a = mail.connect();
    for name in folders {
        mail.folder(name).create();
    }
    for name in [
        "foo2/bar1",
        "foo2/bar2",
        "baz2/bar2",
        "baz2/bar22",
        "eps2",
        "eps2/mamba",
        "qux2/bar2",
    ] {
        a.ok(&format!("SUBSCRIBE {name}"));
    }
    let mut told = |pattern: &str| {
        let reply = a.ok(&format!("LIST (SUBSCRIBED RECURSIVEMATCH) \"\" {pattern}"));
        let info = r#"LIST (...) "/" ? ("CHILDINFO" ("SUBSCRIBED"))"#;
        let with_info = reply
            .untagged
            .iter()
            .filter(|response| response.matches(info));
        let name = |response: &Response| -> String {
            String::from_utf8_lossy(response.tokens[3].bytes().expect("a name")).into()
        };
        let mut with_info: Vec<String> = with_info.map(name).collect();
        let mut all = listed(&reply);
        with_info.sort();
        all.sort();
        (all.join(" "), with_info.join(" "))
    };
    let own = |all: &str, info: &str| (all.to_owned(), info.to_owned());
    assert_eq!(
        told("\"*2\""),
        own(
            "baz2/bar2 baz2/bar22 eps2 foo2 foo2/bar2 qux2/bar2",
            "eps2 foo2"
        )
    );
    assert_eq!(
        told("*"),
        own(
            "baz2/bar2 baz2/bar22 eps2 eps2/mamba foo2/bar1 foo2/bar2 qux2/bar2",
            "eps2"
        )
    );
    assert_eq!(told("%"), own("baz2 eps2 foo2 qux2", "baz2 eps2 foo2 qux2"));
}
