//! Namespace prefixes (RFC 2342), mailboxes that everybody has, and configured special uses (RFC
//! 6154).

use crate::support::*;

/// Names as Courier has them.
const SHOWN: Settings = Settings {
    roost: &["mail.separator=.", "mail.prefix=INBOX."],
    dovecot: "namespace inbox {\n  separator = .\n  prefix = INBOX.\n}",
};

/// Clients that come from Courier find what they know.
const HIDDEN: Settings = Settings {
    roost: &["mail.separator=.", "mail.hidden_prefix=INBOX."],
    dovecot: "namespace inbox {\n  separator = .\n}\n\
              namespace courier {\n  separator = .\n  prefix = INBOX.\n  alias_for =\n  \
              hidden = yes\n  list = no\n}",
};

/// A prefix that is no mailbox.
const MAIL_LEVEL: Settings = Settings {
    roost: &["mail.separator=.", "mail.prefix=Mail."],
    dovecot: "namespace inbox {\n  separator = .\n  prefix = Mail.\n}",
};

const GIVEN: Settings = Settings {
    roost: &[
        "mailbox.Gesendet.auto=subscribe",
        "mailbox.Gesendet.special_use=\\Sent",
        "mailbox.Later.auto=create",
        "mailbox.Reklame.special_use=\\Junk",
    ],
    dovecot: "namespace inbox {\n  mailbox Sent {\n    special_use =\n  }\n  mailbox Junk {\n    special_use =\n  }\n  \
              mailbox Gesendet {\n    auto = subscribe\n    special_use = \\Sent\n  }\n  \
              mailbox Later {\n    auto = create\n  }\n  \
              mailbox Reklame {\n    special_use = \\Junk\n  }\n}",
};

struct Settings {
    roost: &'static [&'static str],
    dovecot: &'static str,
}

impl Settings {
    fn connect(&self, mail: &Mail) -> Client {
        match Program::under_test() {
            Program::Roost | Program::Daemon => Server::preauth_with(mail, self.roost),
            Program::Dovecot => Server::preauth_with(mail, &[self.dovecot]),
        }
    }
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

/// The attributes of the mailbox in a LIST or LSUB answer.
fn attributes(reply: &Reply, name: &str) -> String {
    let of_name = |response: &&Response| {
        matches!(response.word(), "LIST" | "LSUB")
            && response.tokens[3].bytes() == Some(name.as_bytes())
    };
    let response = reply.untagged.iter().find(of_name).expect(name);
    format!("{:?}", response.tokens[1])
}

fn raw(reply: &Reply) -> String {
    let texts: Vec<_> = reply
        .untagged
        .iter()
        .map(|r| String::from_utf8_lossy(&r.raw).into_owned())
        .collect();
    texts.concat()
}

#[test]
fn behind_a_prefix_all_mailboxes_but_inbox_have_it() {
    let mail = Mail::new();
    let mut a = SHOWN.connect(&mail);
    let namespace = raw(&a.ok("NAMESPACE"));
    assert!(namespace.contains("INBOX."), "{namespace}");
    a.ok("CREATE INBOX.foo");
    a.ok("CREATE INBOX.foo.bar");
    a.ok("CREATE inbox.low");
    assert!(mail.root().join(".foo.bar").is_dir());
    assert!(mail.root().join(".low").is_dir());
    for (reference, pattern, names) in [
        (
            "",
            "*",
            &["INBOX", "INBOX.foo", "INBOX.foo.bar", "INBOX.low"][..],
        ),
        ("", "%", &["INBOX"]),
        ("", "INBOX%", &["INBOX"]),
        ("", "INBOX", &["INBOX"]),
        ("", "inbox.%", &["INBOX.foo", "INBOX.low"]),
        ("", "%.%", &["INBOX.foo", "INBOX.low"]),
        ("", "*o", &["INBOX.foo"]),
        ("INBOX.", "%", &["INBOX.foo", "INBOX.low"]),
        ("INBOX", ".%", &["INBOX.foo", "INBOX.low"]),
        ("INBOX.", "*", &["INBOX.foo", "INBOX.foo.bar", "INBOX.low"]),
        ("", "foo", &[]),
        ("", "foo.*", &[]),
    ] {
        let reply = a.ok(&format!("LIST \"{reference}\" \"{pattern}\""));
        assert_eq!(listed(&reply), names, "{reference} {pattern}");
    }
    let reply = a.ok("LIST \"\" INBOX");
    assert!(attributes(&reply, "INBOX").contains("HasChildren"));
    a.ok("SELECT INBOX.foo");
    a.ok("STATUS INBOX.foo.bar (MESSAGES)");
    a.ok("RENAME INBOX.foo.bar INBOX.baz");
    a.ok("DELETE INBOX.baz");
    a.no("DELETE INBOX");
}

#[test]
fn a_name_without_the_prefix_is_refused() {
    let mail = Mail::new();
    let mut a = SHOWN.connect(&mail);
    a.ok("CREATE INBOX.foo");
    for command in [
        "CREATE bar",
        "SELECT foo",
        "STATUS foo (MESSAGES)",
        "DELETE foo",
        "RENAME INBOX.foo bar",
        "SUBSCRIBE foo",
    ] {
        a.no(command);
    }
    assert_eq!(listed(&a.ok("LIST \"\" *")), ["INBOX", "INBOX.foo"]);
}

#[test]
fn the_root_of_a_reference_is_its_namespace() {
    let mail = Mail::new();
    let mut a = SHOWN.connect(&mail);
    assert_eq!(listed(&a.ok("LIST \"\" \"\"")), [""]);
    assert_eq!(listed(&a.ok("LIST INBOX. \"\"")), ["INBOX."]);
    assert_eq!(listed(&a.ok("LIST foo \"\"")), [""]);
}

#[test]
fn mailboxes_below_inbox_keep_their_place_behind_the_prefix() {
    let mail = Mail::new();
    let mut a = SHOWN.connect(&mail);
    a.ok("CREATE INBOX.INBOX.x");
    assert!(mail.root().join(".INBOX.x").is_dir());
    let reply = a.ok("LIST \"\" *");
    assert_eq!(listed(&reply), ["INBOX", "INBOX.INBOX", "INBOX.INBOX.x"]);
    a.no("CREATE INBOX.INBOX");
    a.no("DELETE INBOX.INBOX");
}

#[test]
fn a_prefix_that_is_no_mailbox_is_listed_as_not_selectable() {
    let mail = Mail::new();
    let mut a = MAIL_LEVEL.connect(&mail);
    a.ok("CREATE Mail.foo");
    let reply = a.ok("LIST \"\" %");
    assert_eq!(listed(&reply), ["INBOX", "Mail"]);
    let level = attributes(&reply, "Mail").to_lowercase();
    assert!(
        level.contains("noselect") && level.contains("haschildren"),
        "{level}"
    );
    assert_eq!(listed(&a.ok("LIST \"\" *")), ["INBOX", "Mail", "Mail.foo"]);
    assert_eq!(listed(&a.ok("LIST \"\" Mail.%")), ["Mail.foo"]);
}

#[test]
fn subscriptions_are_kept_without_the_prefix() {
    let mail = Mail::new();
    let mut a = SHOWN.connect(&mail);
    a.ok("CREATE INBOX.foo");
    a.ok("CREATE INBOX.foo.bar");
    a.ok("SUBSCRIBE INBOX.foo");
    a.ok("SUBSCRIBE INBOX.foo.bar");
    a.ok("SUBSCRIBE INBOX");
    let file = std::fs::read_to_string(mail.root().join("subscriptions")).expect("the file");
    assert_eq!(file, "V\t2\n\nfoo\nfoo\tbar\nINBOX\n");
    assert_eq!(
        listed(&a.ok("LSUB \"\" *")),
        ["INBOX", "INBOX.foo", "INBOX.foo.bar"]
    );
    assert_eq!(listed(&a.ok("LSUB \"\" %")), ["INBOX"]);
    assert_eq!(listed(&a.ok("LSUB INBOX. %")), ["INBOX.foo"]);
    let reply = a.ok("LIST (SUBSCRIBED) \"\" *");
    assert_eq!(listed(&reply), ["INBOX", "INBOX.foo", "INBOX.foo.bar"]);
    a.ok("UNSUBSCRIBE INBOX.foo");
    assert_eq!(listed(&a.ok("LSUB \"\" *")), ["INBOX", "INBOX.foo.bar"]);
}

#[test]
fn behind_a_hidden_prefix_the_same_mailboxes_are_found() {
    let mail = Mail::new();
    let mut a = HIDDEN.connect(&mail);
    let namespace = raw(&a.ok("NAMESPACE"));
    assert!(!namespace.contains("INBOX"), "{namespace}");
    a.ok("CREATE INBOX.foo");
    a.ok("CREATE bar");
    assert!(mail.root().join(".foo").is_dir());
    for (reference, pattern, names) in [
        ("", "*", &["INBOX", "bar", "foo"][..]),
        ("", "INBOX*", &["INBOX"]),
        ("", "INBOX.*", &["INBOX.bar", "INBOX.foo"]),
        ("INBOX.", "%", &["INBOX.bar", "INBOX.foo"]),
        ("", "INBOX.foo", &["INBOX.foo"]),
        ("", "%.%", &[]),
        ("", "IN*.foo", &[]),
        ("", "INBOX.INBOX", &[]),
    ] {
        let reply = a.ok(&format!("LIST \"{reference}\" \"{pattern}\""));
        assert_eq!(listed(&reply), names, "{reference} {pattern}");
    }
    assert_eq!(
        listed(&a.ok("LIST \"\" (foo INBOX.bar)")),
        ["INBOX.bar", "foo"]
    );
    assert_eq!(listed(&a.ok("LIST INBOX. \"\"")), ["INBOX."]);
    a.ok("SELECT INBOX.foo");
    a.ok("SELECT foo");
    a.ok("SUBSCRIBE INBOX.foo");
    assert_eq!(listed(&a.ok("LSUB \"\" *")), ["foo"]);
    assert_eq!(listed(&a.ok("LSUB \"\" INBOX.*")), ["INBOX.foo"]);
    a.ok("RENAME INBOX.foo INBOX.baz");
    a.ok("DELETE baz");
    assert_eq!(listed(&a.ok("LIST \"\" *")), ["INBOX", "bar"]);
}

#[test]
fn the_status_of_a_mailbox_behind_the_hidden_prefix_is_told_with_its_list() {
    let mail = Mail::new();
    let mut a = HIDDEN.connect(&mail);
    a.ok("CREATE foo");
    let reply = a.ok("LIST \"\" INBOX.% RETURN (STATUS (MESSAGES))");
    assert_eq!(listed(&reply), ["INBOX.foo"]);
    assert!(reply.untagged.iter().any(|r| r.word() == "STATUS"));
}

#[test]
fn every_name_that_is_listed_beside_a_hidden_prefix_leads_to_its_mailbox() {
    let mail = Mail::new();
    for folder in [".INBOX.q", ".q"] {
        std::fs::create_dir(mail.root().join(folder)).expect("a folder");
        own(&mail.root().join(folder));
    }
    let mut a = HIDDEN.connect(&mail);
    let names = listed(&a.ok("LIST \"\" *"));
    assert_eq!(names, ["INBOX", "INBOX.INBOX", "INBOX.INBOX.q", "q"]);
    a.append("INBOX.INBOX.q", &numbered(1));
    let below = mail.root().join(".INBOX.q");
    let count = |part: &str| std::fs::read_dir(below.join(part)).map_or(0, Iterator::count);
    assert_eq!(count("cur") + count("new"), 1);
}

#[test]
fn a_mailbox_that_everybody_has_is_there_before_it_has_a_folder() {
    let mail = Mail::new();
    let mut a = GIVEN.connect(&mail);
    let reply = a.ok("LIST \"\" *");
    assert_eq!(listed(&reply), ["Gesendet", "INBOX", "Later"]);
    assert!(!attributes(&reply, "Later").contains("Noselect"));
    assert!(!mail.root().join(".Later").exists());
    a.ok("SELECT Later");
    assert!(mail.root().join(".Later").is_dir());
    a.ok("STATUS Gesendet (MESSAGES UIDVALIDITY)");
    assert!(mail.root().join(".Gesendet").is_dir());
    a.append("Gesendet", &numbered(1));
    a.no("CREATE Gesendet");
}

#[test]
fn a_mailbox_that_everybody_has_comes_back_empty_when_it_is_deleted() {
    let mail = Mail::new();
    let mut a = GIVEN.connect(&mail);
    a.append("Later", &numbered(1));
    a.ok("DELETE Later");
    a.ok("DELETE Later");
    assert_eq!(listed(&a.ok("LIST \"\" L%")), ["Later"]);
    let status = a.ok("STATUS Later (MESSAGES)");
    assert!(raw(&status).contains('0'), "{}", raw(&status));
}

#[test]
fn everybody_is_subscribed_to_a_mailbox_that_is_given_so() {
    let mail = Mail::new();
    let mut a = GIVEN.connect(&mail);
    assert_eq!(listed(&a.ok("LSUB \"\" *")), ["Gesendet"]);
    assert_eq!(listed(&a.ok("LIST (SUBSCRIBED) \"\" *")), ["Gesendet"]);
    a.ok("SUBSCRIBE Gesendet");
    a.ok("UNSUBSCRIBE Gesendet");
    assert_eq!(listed(&a.ok("LSUB \"\" *")), ["Gesendet"]);
}

#[test]
fn a_configured_special_use_is_shown_and_goes_before_a_guess() {
    let mail = Mail::new();
    let mut a = GIVEN.connect(&mail);
    a.ok("CREATE Sent");
    a.ok("CREATE Junk");
    a.ok("CREATE Reklame");
    let reply = a.ok("LIST \"\" * RETURN (SPECIAL-USE)");
    assert!(attributes(&reply, "Gesendet").contains("Sent"));
    assert!(attributes(&reply, "Reklame").contains("Junk"));
    assert!(!attributes(&reply, "Sent").contains("\\\\Sent"));
    assert!(!attributes(&reply, "Junk").contains("\\\\Junk"));
    let reply = a.ok("LIST (SPECIAL-USE) \"\" *");
    assert_eq!(listed(&reply), ["Gesendet", "Reklame"]);
}
