//! Whole configurations.

use std::collections::BTreeMap;

use super::*;
use crate::config::Config;

/// Files that are only in memory.
#[derive(Default)]
pub(super) struct Texts(BTreeMap<String, String>);

impl<const N: usize> From<[(&str, &str); N]> for Texts {
    fn from(files: [(&str, &str); N]) -> Texts {
        let files = files.into_iter();
        Texts(
            files
                .map(|(path, text)| (path.to_owned(), text.to_owned()))
                .collect(),
        )
    }
}

impl Files for Texts {
    fn read(&self, path: &str) -> Result<String, String> {
        self.0
            .get(path)
            .cloned()
            .ok_or_else(|| String::from("no such file"))
    }

    fn exists(&self, path: &str) -> bool {
        self.0.contains_key(path)
    }

    fn list(&self, directory: &str) -> Vec<String> {
        let names = self
            .0
            .keys()
            .filter_map(|path| path.strip_prefix(directory)?.strip_prefix('/'));
        names
            .filter(|name| !name.contains('/'))
            .map(str::to_owned)
            .collect()
    }
}

/// What a configuration becomes, and what is said.
pub(super) fn import(text: &str) -> (Config, Imported) {
    let imported = dovecot_text(text, &Texts::default()).expect(text);
    (accepted(&imported), imported)
}

/// `roost check` accepts it.
#[track_caller]
pub(super) fn accepted(imported: &Imported) -> Config {
    match Config::load(&imported.text, &[]) {
        Ok((config, _)) => config,
        Err(problems) => panic!("{problems:?}\n{}", imported.text),
    }
}

/// The settings that are not at their defaults, as lines.
fn lines(text: &str) -> String {
    import(text).0.lines()
}

fn losses(text: &str) -> String {
    let text = import(text).1.text;
    let (_, lost) = text.split_once("what to do:\n").unwrap_or_default();
    lost.split("\n\n").next().unwrap_or("").replace("\n#  ", "")
}

/// A host with system users and a Maildir, and what else is said.
fn host(text: &str) -> String {
    format!(
        "mail_location = maildir:~/Maildir\npassdb {{\n driver = pam\n}}\nuserdb {{\n driver = passwd\n}}\n{text}\n"
    )
}

#[test]
fn a_host_with_system_users_needs_no_words() {
    assert_eq!(lines(&host("")), "mail.location=maildir:~/Maildir\n");
    assert!(!import(&host("")).1.is_lossy);
}

#[test]
fn listeners_are_where_they_were() {
    for (text, expected) in [
        (
            "listen = *",
            "listen.imap=0.0.0.0:143\nlisten.imaps=0.0.0.0:993",
        ),
        ("listen = ::, *", ""),
        (
            "listen = [::1]",
            "listen.imap=[::1]:143\nlisten.imaps=[::1]:993",
        ),
        ("protocols = pop3 lmtp", "listen.imap=\nlisten.imaps="),
        ("ssl = no", "listen.imaps=\ntls.required=off"),
        (
            "service imap-login {\n inet_listener imap {\n port = 0\n }\n inet_listener imaps {\n port = 0\n }\n}",
            "listen.imap=\nlisten.imaps=",
        ),
        (
            "service imap-login {\n inet_listener other {\n listen = 192.0.2.7\n port = 1993\n ssl = yes\n }\n}",
            "listen.imaps=192.0.2.7:1993 *:993",
        ),
        (
            "haproxy_trusted_networks = 10.0.0.0/8\nservice imap-login {\n inet_listener imap {\n haproxy = yes\n }\n}",
            "listen.imap=\nlisten.imap_proxy=*:143\nlisten.trusted_proxies=10.0.0.0/8",
        ),
    ] {
        let lines = lines(&host(text));
        assert_eq!(
            lines.replace("mail.location=maildir:~/Maildir", "").trim(),
            expected,
            "{text}"
        );
    }
    assert!(losses(&host("listen = eth0.example.org")).contains("eth0.example.org"));
}

#[test]
fn names_of_mailboxes_stay_as_clients_know_them() {
    for (text, expected) in [
        (
            "namespace {\n inbox = yes\n separator = /\n}",
            "mail.separator=/",
        ),
        ("namespace {\n inbox = yes\n separator = .\n}", ""),
        (
            "namespace inbox {\n inbox = yes\n prefix = INBOX.\n}",
            "mail.prefix=INBOX.",
        ),
        (
            "namespace a {\n inbox = yes\n separator = /\n}\nnamespace b {\n prefix = Mail/\n alias_for =\n list = no\n}",
            "mail.separator=/\nmail.hidden_prefix=Mail/",
        ),
        (
            "namespace inbox {\n inbox = yes\n mailbox \"Sent.2026\" {\n auto = create\n special_use = \\Sent\n }\n}",
            "mailbox.Sent/2026.auto=create\nmailbox.Sent/2026.special_use=Sent",
        ),
    ] {
        let lines = lines(&host(text));
        assert_eq!(
            lines.replace("mail.location=maildir:~/Maildir", "").trim(),
            expected,
            "{text}"
        );
    }
    for (text, word) in [
        (
            "namespace {\n inbox = yes\n separator = ^\n}",
            "separator ^",
        ),
        (
            "namespace {\n inbox = yes\n}\nnamespace p {\n type = public\n location = maildir:/p\n}",
            "public mailboxes",
        ),
        (
            "namespace {\n inbox = yes\n}\nnamespace p {\n prefix = p/\n location = maildir:/p\n}",
            "one namespace",
        ),
        (
            "namespace {\n inbox = yes\n prefix = INBOX\n}",
            "must end with the separator",
        ),
        (
            "namespace {\n inbox = yes\n mailbox x {\n special_use = \\Nonsense\n }\n}",
            "Nonsense",
        ),
    ] {
        let lost = losses(&host(text));
        assert!(lost.contains(word), "{text}\n{lost}");
    }
}

#[test]
fn what_only_dovecot_can_look_up_dovecot_is_asked_for() {
    let file = "mail_location = maildir:~/M\npassdb {\n driver = passwd-file\n args = ";
    for (text, sources) in [
        (
            format!(
                "{file}/etc/users\n}}\nuserdb {{\n driver = static\n args = uid=5 gid=5 home=/h/%u\n}}"
            ),
            "passwd-file:/etc/users",
        ),
        (
            format!("{file}username_format=%n /etc/users\n}}"),
            "dovecot:/run/dovecot",
        ),
        (
            format!("{file}scheme=SHA1 /etc/users\n}}"),
            "dovecot:/run/dovecot",
        ),
        (format!("{file}/etc/%d/users\n}}"), "dovecot:/run/dovecot"),
        (
            format!("{file}/etc/users\n deny = yes\n}}"),
            "dovecot:/run/dovecot",
        ),
        (
            format!("{file}/etc/users\n result_success = continue-ok\n}}"),
            "dovecot:/run/dovecot",
        ),
        (
            format!("{file}/etc/users\n}}\nuserdb {{\n driver = ldap\n}}"),
            "dovecot:/run/dovecot",
        ),
        (
            format!("{file}/etc/users\n}}\nauth_username_translation = /@"),
            "dovecot:/run/dovecot",
        ),
    ] {
        let (config, imported) = import(&text);
        let shown = config.lines();
        assert!(
            shown.contains(&format!("auth.sources={sources}\n")),
            "{text}\n{shown}"
        );
        assert!(!imported.is_lossy, "{}", imported.text);
    }
    // PAM says who somebody is, but not where their mail is.
    let text = "mail_location = maildir:~/M\npassdb {\n driver = pam\n}\nuserdb {\n driver = static\n args = uid=5\n}";
    assert!(lines(text).contains("auth.sources=dovecot:/run/dovecot"));
}

#[test]
fn what_cannot_be_served_at_all_is_refused() {
    for (text, word) in [
        ("mail_location = mdbox:~/mdbox", "only maildir:"),
        ("mail_driver = sdbox\nmail_path = ~/x", "only maildir:"),
        ("mail_location = maildir:~/M:LAYOUT=index", "LAYOUT=index"),
        ("mail_location = maildir:~/M:ALT=/slow", "ALT="),
        (
            "mail_driver = maildir\nmail_path = ~/M\nmail_alt_path = /slow",
            "ALT=",
        ),
        (
            "mail_location = maildir:/m/%{userdb:x}",
            "name of a variable",
        ),
        (
            "mail_location = maildir:~/M\nmail_plugins = mail_crypt",
            "encrypted",
        ),
        ("mail_location = maildir:~/M\nmail_chroot = /srv", "chroot"),
    ] {
        match dovecot_text(text, &Texts::default()) {
            Err(ImportError::Refused(reasons)) => {
                assert!(
                    reasons.iter().any(|reason| reason.contains(word)),
                    "{reasons:?}"
                );
            }
            other => panic!("{text}: {other:?}"),
        }
    }
}

#[test]
fn what_is_said_in_both_languages_is_that_of_the_edited_file() {
    let text = "mail_driver = mbox\nmail_path = %{home}/mail\nmail_inbox_path = /var/mail/%{user}\n\
                mail_location = maildir:~/Maildir\npassdb pam {\n}\nuserdb passwd {\n}";
    let (config, imported) = import(text);
    assert_eq!(config.mail_location, "maildir:~/Maildir");
    assert!(
        imported.text.contains("languages of 2.3 and 2.4"),
        "{}",
        imported.text
    );
    assert!(!imported.is_lossy);
}

#[test]
fn no_key_and_no_password_is_shown() {
    let text = host(
        "ssl_key_password = hush\nssl_cert = </c\nssl_key = hush\ndoveadm_password = hush\nsql hush {\n password = hush\n}",
    );
    let text = import(&text).1.text;
    assert!(!text.contains("hush"), "{text}");
}

mod odd {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn whatever_is_read_nothing_panics_and_the_check_accepts_it(
            lines in prop::collection::vec(line(), 0..30),
        ) {
            let text = lines.join("\n");
            if let Ok(imported) = dovecot_text(&text, &Texts::default()) {
                accepted(&imported);
            }
        }

        #[test]
        fn any_text_is_read_or_refused(text in "[a-z{}=<>!#$%\"'\\\\ \n\u{e4}\0]{0,60}") {
            let _ = dovecot_text(&text, &Texts::from([("/x/a", "b = c")]));
        }
    }

    fn line() -> impl Strategy<Value = String> {
        let names = dovecot::setting_names();
        let value = prop_oneof![
            prop::sample::select(vec![
                "yes",
                "no",
                "",
                "0",
                "maildir:~/M",
                "maildir:~/M:LAYOUT=fs",
                "/x",
                "~/x",
                "%n",
                "%{user|lower}",
                "/x/%d",
                "30 days",
                "10 M",
                "plain login external",
                "INBOX.",
                ".",
                "/",
                "\\Sent \\Junk",
                "imap pop3",
                "*, ::",
                "</etc/x",
                "\"a b\"",
                "quota imap_quota nonsense",
                "TLSv1.3",
                "required",
                "1.2.3.4/8 ::1",
                "maildir",
                "fs",
            ])
            .prop_map(str::to_owned),
            "\\PC{0,12}",
        ];
        prop_oneof![
            (prop::sample::select(names), value.clone())
                .prop_map(|(name, value)| format!("{name} = {value}")),
            prop::sample::select(vec![
                "}",
                "namespace {",
                "namespace inbox {",
                "inbox = yes",
                "mailbox Sent {",
                "mailbox \"a b\" {",
                "passdb {",
                "passdb sql {",
                "userdb {",
                "driver = passwd-file",
                "driver = static",
                "driver = pam",
                "args = uid=1 home=/x /etc/users",
                "service imap-login {",
                "service auth {",
                "inet_listener imap {",
                "port = 7",
                "haproxy = yes",
                "ssl_server {",
                "protocol imap {",
                "plugin {",
                "local_name x {",
                "mail_plugins { quota = yes }",
                "unix_listener /var/spool/x {",
                "prefix = Mail.",
                "hidden = yes",
                "separator = .",
                "!include_try /none",
            ])
            .prop_map(str::to_owned),
        ]
    }
}
