use super::*;

fn problems(text: &str) -> Vec<String> {
    let (_, problems) = read(text, &[]);
    problems.iter().map(|problem| problem.show("f")).collect()
}

#[test]
fn values_of_every_kind_are_taken() {
    let text = r#"
        # A comment.
        [listen]
        imap = [143, "[::1]:1143"]
        imaps = 993
        sasl_mode = 0o600
        [tls]
        certificate = ["/etc/my certs/a.pem"]
        key = "/etc/my keys/a.pem"
        min_version = 1.3
        client_certificate = false
        [auth]
        sources = ["passwd-file:/etc/roost/users", "pam"]
        mechanisms = ["plain", 'SCRAM-SHA-256']
        first_valid_uid = 1_000
        penalty = 0
        [mail]
        append_limit = 1000
        watch = false
        [mailbox.Trash]
        auto = "subscribe"
        special_use = '\Trash'
        [mailbox."Lists.Rust"]
        auto = "create"
    "#;
    let (config, problems) = read(text, &["mail.watch=yes".to_owned()]);
    assert_eq!(problems, []);
    let lines = "listen.imap=*:143 [::1]:1143\nlisten.sasl_mode=0600\ntls.certificate=\"/etc/my certs/a.pem\"\n\
                 tls.key=\"/etc/my keys/a.pem\"\ntls.min_version=1.3\n\
                 auth.sources=passwd-file:/etc/roost/users pam\nauth.mechanisms=PLAIN SCRAM-SHA-256\n\
                 auth.first_valid_uid=1000\nauth.penalty=0s\nmail.append_limit=1000\n\
                 mailbox.Lists.Rust.auto=create\nmailbox.Trash.auto=subscribe\n\
                 mailbox.Trash.special_use=Trash\n";
    assert_eq!(config.lines(), lines);
}

#[test]
fn every_mistake_is_told_with_its_place_and_what_would_be_right() {
    let text = "fsync = \"never\"\n\
                [mail]\n\
                fsync = \"no\"\n\
                \u{20}\u{e4}\u{20}= 1\n\
                fsnc = \"never\"\n\
                watch = \"yes\"\n\
                append_limit = true\n\
                idle_timeout = 30\n\
                separator = [\".\"]\n\
                [nail]\n\
                fsync = \"never\"\n\
                [auth]\n\
                first_valid_uid = \"1000\"\n\
                sources = []\n\
                mechanisms = [\"PLAIN\", 7]\n\
                pam_service = 5\n\
                processes = 0x20\n\
                [listen]\n\
                imap = [\"::1:143\"]\n\
                sasl_mode = 660\n\
                [mailbox]\n\
                auto = \"create\"\n\
                [mailbox.a.b]\n\
                auto = \"create\"\n\
                [mailbox.c]\n\
                auot = \"create\"\n\
                special_use = \"Spam\"\n";
    let expected = [
        "f:1:1: there is no setting \"fsync\"; did you mean \"mail.fsync\"?",
        "f:3:9: mail.fsync: it must be one of these; write fsync = \"always|optimized|never\"",
        "f:4:2: ",
        "f:5:1: there is no setting \"mail.fsnc\"; did you mean \"mail.fsync\"?",
        "f:6:9: mail.watch: it must be true or false; write watch = true|false",
        "f:7:16: mail.append_limit: it must be a string; write append_limit = \"SIZE\"",
        "f:8:16: mail.idle_timeout: its unit must be ms, s, m, h or d; write idle_timeout = \"TIME\"",
        "f:9:13: mail.separator: it must be one value and not a list; write separator = \"auto|/|.\"",
        "f:10:2: there is no section [nail]; there are [listen] [tls] [auth] [limits] [mail] \
         [mailbox] [process] [log]",
        "f:13:19: auth.first_valid_uid: it must be a number; write first_valid_uid = NUMBER",
        "f:14:11: auth.sources: there must be at least one; write sources = \
         [\"pam|passwd-file:PATH|dovecot:PATH\", ..]",
        "f:15:14: auth.mechanisms: it must be one of these; write mechanisms = \
         [\"PLAIN|LOGIN|SCRAM-SHA-256|EXTERNAL\", ..]",
        "f:16:15: auth.pam_service: it must be a string; write pam_service = \"NAME\"",
        "f:17:13: auth.processes: it must be a decimal number; write processes = NUMBER",
        "f:19:8: listen.imap: an IPv6 address must be in brackets: [::1]:143; write imap = \
         [\"[ADDRESS:]PORT\", ..]",
        "f:20:13: listen.sasl_mode: it must be an octal number; write sasl_mode = \"OCTAL\"",
        "f:22:1: what is set here is set for one mailbox: [mailbox.NAME]",
        "f:23:12: a name with a dot in it stands in quotes: [mailbox.\"a.b\"]",
        "f:26:1: there is no setting \"mailbox.c.auot\"; did you mean \"mailbox.NAME.auto\"?",
        "f:27:15: mailbox.c.special_use: it must be one of these; write special_use = \
         \"All|Archive|Drafts|Flagged|Important|Junk|Sent|Trash\"",
    ];
    let found = problems(text);
    for (found, expected) in found.iter().zip(expected) {
        assert!(found.starts_with(expected), "{found}\n{expected}");
    }
    assert_eq!(found.len(), expected.len(), "{found:#?}");
}

#[test]
fn what_is_not_toml_is_told_and_hides_nothing_else() {
    let text = "[mail]\nfsync = never\nlinger = \"1m\"\nlinger = \"2m\"\n[mail]\nwatch = 1\n[auth\npam_session = 7\n";
    let found = problems(text);
    for line in ["f:2:", "f:4:", "f:5:", "f:6:", "f:7:", "f:8:"] {
        let here: Vec<&String> = found
            .iter()
            .filter(|found| found.starts_with(line))
            .collect();
        assert!(!here.is_empty(), "{line} {found:#?}");
    }
    assert!(found.iter().all(|line| !line.contains('\n')));
}

#[test]
fn settings_that_contradict_each_other_are_told_where_they_stand() {
    for (text, expected) in [
        (
            "[tls]\ncertificate = [\"/a\"]",
            "f:2:15: tls.certificate has 1 entries",
        ),
        (
            "[tls]\nclient_certificate = \"required\"",
            "f:2:22: tls.client_certificate needs",
        ),
        (
            "[tls]\nclient_ca = \"/a\"",
            "f:2:13: warning: tls.client_ca has no effect",
        ),
        ("[auth]\nmechanisms = [\"EXTERNAL\"]", "f:2:14: EXTERNAL"),
        (
            "[auth]\nmechanisms = [\"SCRAM-SHA-256\"]",
            "f:2:14: SCRAM-SHA-256",
        ),
        (
            "[auth]\nfailure_delay = \"1m\"",
            "f:2:17: auth.failure_delay",
        ),
        ("[auth]\nfirst_valid_uid = 0", "f:2:19: warning: root"),
        (
            "[auth]\nusername_format = \"%n\"\n[mail]\nlocation = \"/m/%d\"",
            "f:2:19: auth.username",
        ),
        (
            "[listen]\nimap_proxy = [1143]",
            "f:2:14: listen.imap_proxy and",
        ),
        (
            "[listen]\ntrusted_proxies = [\"::1\"]",
            "f:2:19: warning: listen.trusted",
        ),
        (
            "[listen]\nimap = [993]",
            "f:2:8: *:993 is listened on twice",
        ),
        ("[tls]\nrequired = \"off\"", "f:2:12: tls.required"),
        ("[tls]\nrequired = \"no\"", "f:2:12: warning: passwords"),
        (
            "[mail]\nprefix = \"INBOX/\"",
            "f:2:10: mail.prefix must end",
        ),
        (
            "[mail]\nseparator = \".\"\nhidden_prefix = \".\"",
            "f:3:17: mail.hidden_prefix must end",
        ),
        (
            "[mail]\nprefix = \"a.\"\nhidden_prefix = \"a.\"",
            "f:3:17: mail.hidden_prefix is",
        ),
        (
            "[mail]\nlocation = \"~/Mail:LAYOUT=fs\"\nprefix = \"INBOX.\"",
            "f:3:10: mail.prefix must end",
        ),
        (
            "[mail]\nlayout = \"detect\"\nprefix = \"INBOX.\"",
            "f:3:10: mail.prefix and mail.hidden_prefix end",
        ),
        (
            "[mail]\nlayout = \"detect\"\nlocation = \"~/M:INBOX=\"",
            "f:3:12: an INBOX= with nothing behind it",
        ),
    ] {
        let found = problems(text);
        assert_eq!(found.len(), 1, "{text} {found:?}");
        assert!(found[0].starts_with(expected), "{}\n{expected}", found[0]);
    }
}

#[test]
fn a_setting_that_was_not_understood_contradicts_none() {
    assert_eq!(
        problems("[tls]\nkey = [\"/a\"]\ncertificate = [\"a\"]").len(),
        1
    );
}

#[test]
fn the_command_line_has_the_last_word() {
    let set = [
        "mail.fsync=always".to_owned(),
        "mail.nonsense=1".to_owned(),
        "tls.key=/a".to_owned(),
    ];
    let (config, problems) = read("[mail]\nfsync = \"never\"", &set);
    assert_eq!(config.fsync, crate::mail::Fsync::Always);
    let texts: Vec<String> = problems.iter().map(|problem| problem.show("f")).collect();
    assert_eq!(
        texts[0],
        "--set: there is no setting \"mail.nonsense\"; see roost.toml(5)"
    );
    assert!(
        texts[1].starts_with("--set: tls.certificate has 0 entries"),
        "{}",
        texts[1]
    );
}

#[test]
fn a_warning_is_no_error() {
    let (config, warnings) = Config::load("[tls]\nrequired = \"no\"", &[]).unwrap();
    assert_eq!(config.tls_required, crate::config::TlsRequired::No);
    assert_eq!(warnings.len(), 1);
    let errors = Config::load("[tls]\nrequired = \"no\"\nx = 1", &[]).unwrap_err();
    assert_eq!(errors.len(), 2);
}
