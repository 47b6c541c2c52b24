//! PAM: what it is told, what it may answer, its sessions, and the cache that spares it.

use std::fs;

use crate::support::*;

const PASSWORD: &str = User::PASSWORD;

#[test]
fn a_locked_account_is_refused_like_a_wrong_password() {
    as_root!();
    let alice = User::new();
    alice.administer("/usr/sbin/usermod", &["-L"]);
    let daemon = Daemon::start(&[]);
    daemon
        .dial()
        .no(&alice.login())
        .code("AUTHENTICATIONFAILED");
    alice.administer("/usr/sbin/usermod", &["-U"]);
    daemon.dial().ok(&alice.login());
}

#[test]
fn an_expired_account_or_password_is_said_to_be_expired_but_only_to_who_knows_the_password() {
    as_root!();
    let (account, password, forced) = (User::new(), User::new(), User::new());
    account.administer("/usr/sbin/usermod", &["-e", "1"]);
    password.administer(
        "/usr/bin/chage",
        &["-d", "2001-01-01", "-M", "1", "-I", "9999"],
    );
    forced.administer("/usr/bin/chage", &["-d", "0"]);
    let daemon = Daemon::start(&[]);
    for user in [&account, &password, &forced] {
        daemon.dial().no(&user.login()).code("EXPIRED");
        let wrong = daemon.dial().no(&format!("LOGIN {} wrong", user.name));
        wrong.code("AUTHENTICATIONFAILED");
    }
}

#[test]
fn an_account_that_the_host_does_not_admit_now_is_refused_until_it_does() {
    as_root!();
    let alice = User::new();
    let place = Place::new();
    let nologin = place.write("nologin", "Maintenance.\n");
    let service = PamService::new(&format!(
        "auth required pam_unix.so\naccount required pam_nologin.so file={}\naccount required pam_unix.so\n",
        nologin.display()
    ));
    let daemon = Daemon::start_in(
        place,
        &[&format!("auth.pam_service = \"{}\"", service.name)],
    );
    let reply = daemon.dial().no(&alice.login());
    assert!(
        !reply.tagged.matches("NO [AUTHENTICATIONFAILED] ..."),
        "{reply}"
    );
    // What the module had to say is for terminals.
    assert!(!format!("{reply}").contains("Maintenance"), "{reply}");
    daemon
        .dial()
        .no(&format!("LOGIN {} wrong", alice.name))
        .code("AUTHENTICATIONFAILED");
    fs::remove_file(nologin).expect("removed");
    daemon.dial().ok(&alice.login());
}

#[test]
fn root_and_users_below_the_first_valid_uid_are_refused_whatever_pam_says() {
    as_root!();
    let alice = User::new();
    let permit = PamService::new("auth required pam_permit.so\naccount required pam_permit.so\n");
    let permit_setting = format!("auth.pam_service = \"{}\"", permit.name);
    let daemon = Daemon::start(&[
        &permit_setting,
        &format!("auth.first_valid_uid = {}", alice.uid + 1),
    ]);
    for name in ["root", "daemon", "mail", &alice.name] {
        let reply = daemon.dial().no(&format!("LOGIN {name} anything"));
        assert!(reply.tagged.code().is_some(), "{reply}");
    }
    assert!(daemon.sessions().is_empty());
    drop(daemon);
    let daemon = Daemon::start(&[&permit_setting, "auth.first_valid_uid = 0"]);
    daemon.dial().no("LOGIN root anything");
    daemon.dial().ok(&format!("LOGIN {} anything", alice.name));
}

#[test]
fn a_host_that_cannot_say_now_is_unavailable_and_not_a_wrong_password() {
    as_root!();
    let alice = User::new();
    let place = Place::new();
    let missing = place.join("no-such-module.so");
    let service = PamService::new(&format!(
        "auth required {}\naccount required pam_unix.so\n",
        missing.display()
    ));
    let daemon = Daemon::start(&[&format!("auth.pam_service = \"{}\"", service.name)]);
    daemon.dial().no(&alice.login()).code("UNAVAILABLE");
}

#[test]
fn pam_is_told_service_user_host_and_terminal() {
    as_root!();
    let alice = User::new();
    let place = Place::new();
    let marks = place.join("marks");
    let script = place.script(
        "mark",
        &format!(
            "#!/bin/sh\necho \"$PAM_TYPE $PAM_SERVICE $PAM_USER $PAM_RHOST $PAM_TTY\" >>{}\n",
            marks.display()
        ),
    );
    let service = PamService::new(&format!(
        "auth required pam_unix.so\nauth required pam_exec.so {0}\n\
         account required pam_unix.so\naccount required pam_exec.so {0}\n\
         session required pam_exec.so {0}\n",
        script.display()
    ));
    let daemon = Daemon::start_in(
        place,
        &[
            &format!("auth.pam_service = \"{}\"", service.name),
            "auth.pam_session = true",
            "mail.linger = \"0s\"",
        ],
    );
    let mut client = daemon.dial_from([127, 0, 0, 3]);
    client.ok(&alice.login());
    client.ok("SELECT INBOX");
    let told = |kind: &str| format!("{kind} {} {} 127.0.0.3 dovecot\n", service.name, alice.name);
    let read = || fs::read_to_string(&marks).unwrap_or_default();
    let opened = [told("auth"), told("account"), told("open_session")].concat();
    assert_eq!(read(), opened);
    // A second connection is served by the same process: no session of its own.
    let second = daemon.connect(&alice);
    second.logout();
    let session = daemon.session_of(&alice);
    assert_eq!(session.uids(), [alice.uid; 4]);
    client.logout();
    eventually("the PAM session to be closed", || {
        read().contains("close_session").then_some(())
    });
    assert_eq!(read().matches("open_session").count(), 1, "{}", read());
    assert!(
        read().ends_with(&told("close_session").replace("127.0.0.1", "127.0.0.3")),
        "{}",
        read()
    );
    assert!(daemon.find_session_of(&alice).is_none());
}

#[test]
fn a_pam_session_that_cannot_be_opened_lets_nobody_in() {
    as_root!();
    let alice = User::new();
    let service = PamService::new(
        "auth required pam_unix.so\naccount required pam_unix.so\nsession required pam_deny.so\n",
    );
    let mut daemon = Daemon::start(&[
        &format!("auth.pam_service = \"{}\"", service.name),
        "auth.pam_session = true",
    ]);
    let mut client = daemon.dial();
    client.no(&alice.login()).code("UNAVAILABLE");
    assert!(daemon.find_session_of(&alice).is_none());
    daemon.set("auth.pam_session = false");
    daemon.restart();
    daemon.connect(&alice).ok("SELECT INBOX");
}

#[test]
fn a_session_has_all_groups_of_its_user_and_no_others() {
    as_root!();
    let alice = User::with(&["-G", "users,games"]);
    let daemon = Daemon::start(&[]);
    let _client = daemon.connect(&alice);
    let session = daemon.session_of(&alice);
    let mut groups = session.groups();
    groups.sort_unstable();
    groups.dedup();
    groups.retain(|&group| group != alice.gid);
    // games and users of every Debian.
    assert_eq!(groups, [60, 100]);
    assert_eq!(session.gids(), [alice.gid; 4]);
}

#[test]
fn pam_may_change_the_name() {
    as_root!();
    let alice = User::new();
    alice.inbox().deliver_file("one.eml");
    let place = Place::new();
    let aliases = place.write("aliases", format!("somebody {}\n", alice.name));
    let Some(module) = renaming_module(&place, &aliases) else {
        skip!("no C compiler for a PAM module that renames users");
    };
    let service = PamService::new(&format!(
        "auth required {}\nauth required pam_unix.so\naccount required pam_unix.so\n",
        module.display()
    ));
    let daemon = Daemon::start_in(
        place,
        &[&format!("auth.pam_service = \"{}\"", service.name)],
    );
    let mut client = daemon.dial();
    client.ok(&format!("LOGIN somebody {PASSWORD}"));
    client.ok("SELECT INBOX").contains("1 EXISTS");
    assert_eq!(daemon.session_of(&alice).uids(), [alice.uid; 4]);
    daemon.logs(&format!("Login: user=<{}>", alice.name));
}

/// A PAM module that makes `somebody` the user that the file says.
fn renaming_module(place: &Place, aliases: &std::path::Path) -> Option<std::path::PathBuf> {
    let source = place.write("rename.c", format!(
        "#include <stdio.h>\n#include <string.h>\n#include <security/pam_modules.h>\n\
         int pam_sm_authenticate(pam_handle_t *h, int f, int c, const char **v) {{\n\
           const char *user; char from[64], to[64]; FILE *file = fopen(\"{}\", \"r\");\n\
           if (!file || pam_get_user(h, &user, NULL) != PAM_SUCCESS) return PAM_AUTH_ERR;\n\
           if (fscanf(file, \"%63s %63s\", from, to) == 2 && !strcmp(user, from)) pam_set_item(h, PAM_USER, to);\n\
           fclose(file); return PAM_SUCCESS; }}\n\
         int pam_sm_setcred(pam_handle_t *h, int f, int c, const char **v) {{ return PAM_SUCCESS; }}\n",
        aliases.display()
    ));
    let module = place.join("rename.so");
    let mut compiler = std::process::Command::new("cc");
    compiler
        .args(["-shared", "-fPIC", "-o"])
        .arg(&module)
        .arg(source)
        .arg("-lpam");
    let compiled = compiler
        .output()
        .is_ok_and(|output| output.status.success());
    compiled.then_some(module)
}

#[test]
fn the_login_cache_spares_pam_the_second_login_and_forgets_changed_passwords() {
    as_root!();
    let alice = User::new();
    let place = Place::new();
    let marks = place.join("marks");
    let script = place.script(
        "mark",
        &format!("#!/bin/sh\necho \"$PAM_TYPE\" >>{}\n", marks.display()),
    );
    let service = PamService::new(&format!(
        "auth required pam_exec.so {}\nauth required pam_unix.so\naccount required pam_unix.so\n",
        script.display()
    ));
    let asked = || {
        fs::read_to_string(&marks)
            .unwrap_or_default()
            .matches("auth")
            .count()
    };
    let daemon = Daemon::start_in(
        place,
        &[
            &format!("auth.pam_service = \"{}\"", service.name),
            "auth.cache_time = \"1h\"",
        ],
    );
    // Whenever another test makes a user of this host, all is forgotten.
    eventually("a login that PAM does not hear of", || {
        let before = asked();
        daemon.connect(&alice).ok("SELECT INBOX");
        (asked() == before).then_some(())
    });
    daemon.dial().no(&format!("LOGIN {} wrong", alice.name));
    daemon.connect(&alice).ok("SELECT INBOX");
    alice.set_password_hash(OTHER_HASH);
    daemon
        .dial()
        .no(&alice.login())
        .code("AUTHENTICATIONFAILED");
    daemon
        .dial()
        .ok(&format!("LOGIN {} other-sesame", alice.name));
}

#[test]
fn without_the_cache_every_login_is_asked_for() {
    as_root!();
    let alice = User::new();
    let place = Place::new();
    let marks = place.join("marks");
    let script = place.script(
        "mark",
        &format!("#!/bin/sh\necho \"$PAM_TYPE\" >>{}\n", marks.display()),
    );
    let service = PamService::new(&format!(
        "auth required pam_exec.so {}\nauth required pam_unix.so\naccount required pam_unix.so\n",
        script.display()
    ));
    let daemon = Daemon::start_in(
        place,
        &[&format!("auth.pam_service = \"{}\"", service.name)],
    );
    for _ in 0..3 {
        daemon.connect(&alice).ok("SELECT INBOX");
    }
    let marks = fs::read_to_string(&marks).expect("marks");
    assert_eq!(marks.matches("auth").count(), 3);
}

/// Of `other-sesame`.
const OTHER_HASH: &str = "$6$rounds=1000$AC0d6FOY8XpnAjQB$v57PjdAjMAdm15iXLZBWSyBtjSvMrXD7SQmkiv29uXP5FNgnelf29k7szXPS/wtIF56VyTk2ccMvgiVZRv4u/1";
