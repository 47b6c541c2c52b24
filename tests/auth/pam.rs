//! Users of the host, through PAM.

use std::process::Command;

use roost::config::{AuthSource, Config};
use roost::ipc::Refusal;

use crate::login::{is_root, log, log_in, login, refused, with_pam};
use crate::support::{PamService, Place, User};

#[test]
fn a_user_of_the_host_is_let_in_by_his_password() {
    if !is_root() {
        return;
    }
    let (user, service) = (User::new(), PamService::unix());
    let admission = log_in(&with_pam(&service), &user).ok().unwrap();
    let account = admission.account;
    assert_eq!(account.user, user.name);
    assert_eq!((account.uid, account.gid), (user.uid, user.gid));
    assert_eq!(account.home, user.home.to_str().unwrap());
    assert_eq!(
        account.location.maildir,
        format!("{}/Maildir", account.home)
    );
    assert!(admission.pam.is_some());
    assert_eq!(log(), [""; 0]);
}

#[test]
fn a_wrong_password_is_logged_in_words_that_others_read() {
    if !is_root() {
        return;
    }
    let (user, service) = (User::new(), PamService::unix());
    for wrong in ["wrong", "", "open-sesame ", &"x".repeat(600)] {
        let result = login(&with_pam(&service), &user.name, wrong);
        assert_eq!(refused(result), Refusal::Mismatch);
        let name = &user.name;
        assert_eq!(
            log(),
            [format!(
                "auth: pam({name},203.0.113.5,<q2b6Ab1cdef>): pam_authenticate() failed: Authentication failure (password mismatch?)"
            )]
        );
    }
}

#[test]
fn an_unknown_user_is_refused_like_a_wrong_password() {
    if !is_root() {
        return;
    }
    let service = PamService::unix();
    let result = login(&with_pam(&service), "no.such.user", "wrong");
    assert_eq!(refused(result), Refusal::Mismatch);
    assert_eq!(
        log(),
        ["auth: pam(no.such.user,203.0.113.5,<q2b6Ab1cdef>): unknown user"]
    );
}

#[test]
fn root_is_refused_before_his_password_is_looked_at() {
    if !is_root() {
        return;
    }
    let service = PamService::new("auth required pam_permit.so\naccount required pam_permit.so\n");
    for name in ["root", "ROOT"] {
        let result = login(&with_pam(&service), name, "anything");
        assert_eq!(refused(result), Refusal::NotPermitted);
        assert_eq!(
            log()[0],
            format!(
                "auth: pam({name},203.0.113.5,<q2b6Ab1cdef>): pam_authenticate() failed: Permission denied"
            )
        );
    }
}

#[test]
fn odd_names_do_not_reach_pam() {
    if !is_root() {
        return;
    }
    let service = PamService::new("auth required pam_permit.so\naccount required pam_permit.so\n");
    for name in [
        "",
        "a b",
        "../etc",
        "a:b",
        "a\0root",
        "a\n",
        "$(id)",
        "b\u{f6}b",
        &"x".repeat(5000),
    ] {
        let result = login(&with_pam(&service), name, "anything");
        assert_eq!(refused(result), Refusal::Mismatch, "{name:?}");
        let log = log();
        assert_eq!(log.len(), 1);
        assert!(log[0].starts_with("auth: login("), "{log:?}");
        assert!(!log[0].contains('\n') && !log[0].contains('\0'), "{log:?}");
    }
}

#[test]
fn an_expired_account_is_told_to_who_knows_the_password() {
    if !is_root() {
        return;
    }
    let (user, service) = (User::new(), PamService::unix());
    user.administer("/usr/sbin/usermod", &["-e", "2001-01-01"]);
    let config = with_pam(&service);
    assert_eq!(refused(log_in(&config, &user)), Refusal::Expired);
    let log = log();
    assert!(
        log.iter()
            .any(|line| line.ends_with("pam_acct_mgmt() failed: User account has expired")),
        "{log:?}"
    );
    let result = login(&config, &user.name, "wrong");
    assert_eq!(refused(result), Refusal::Mismatch);
}

#[test]
fn a_password_that_must_be_changed_has_expired() {
    if !is_root() {
        return;
    }
    let (user, service) = (User::new(), PamService::unix());
    user.administer("/usr/bin/chage", &["-d", "0"]);
    let result = log_in(&with_pam(&service), &user);
    assert_eq!(refused(result), Refusal::Expired);
}

#[test]
fn a_locked_account_has_no_password() {
    if !is_root() {
        return;
    }
    let (user, service) = (User::new(), PamService::unix());
    user.administer("/usr/sbin/usermod", &["-L"]);
    let result = log_in(&with_pam(&service), &user);
    assert_eq!(refused(result), Refusal::Mismatch);
}

#[test]
fn an_account_without_a_password_is_nobodys() {
    if !is_root() {
        return;
    }
    let user = User::new();
    user.set_password_hash("");
    let service =
        PamService::new("auth required pam_unix.so nullok\naccount required pam_unix.so\n");
    for password in ["", "x"] {
        let result = login(&with_pam(&service), &user.name, password);
        assert_eq!(refused(result), Refusal::Mismatch);
    }
}

#[test]
fn while_nobody_may_log_in_the_account_is_disabled() {
    if !is_root() {
        return;
    }
    let (user, place) = (User::new(), Place::new());
    let nologin = place.write("nologin", "Back at noon\n");
    let service = PamService::new(&format!(
        "auth required pam_unix.so\naccount required pam_nologin.so file={}\naccount required pam_unix.so\n",
        nologin.display()
    ));
    let config = with_pam(&service);
    assert_eq!(refused(log_in(&config, &user)), Refusal::Disabled);
    let log = log();
    assert!(
        log.iter().any(|line| line.contains("Back at noon")),
        "{log:?}"
    );
    let result = login(&config, &user.name, "wrong");
    assert_eq!(refused(result), Refusal::Mismatch);
    std::fs::remove_file(nologin).unwrap();
    assert!(log_in(&config, &user).is_ok());
}

#[test]
fn a_rule_of_pam_disables_an_account() {
    if !is_root() {
        return;
    }
    let user = User::new();
    let service = PamService::new("auth required pam_unix.so\naccount required pam_deny.so\n");
    let result = log_in(&with_pam(&service), &user);
    assert_eq!(refused(result), Refusal::Disabled);
}

#[test]
fn pam_that_does_not_work_is_no_wrong_password() {
    if !is_root() {
        return;
    }
    let user = User::new();
    let service = PamService::new("auth required pam_no_such_module.so\n");
    let result = log_in(&with_pam(&service), &user);
    assert_eq!(refused(result), Refusal::Unavailable);
    assert_eq!(log().len(), 1);
}

#[test]
fn users_below_the_first_valid_uid_are_not_served() {
    if !is_root() {
        return;
    }
    let (user, service) = (User::new(), PamService::unix());
    let config = Config {
        auth_first_valid_uid: user.uid + 1,
        ..with_pam(&service)
    };
    assert_eq!(refused(log_in(&config, &user)), Refusal::NotPermitted);
    let log = log();
    assert!(log[0].contains(&format!("users with UID {} not permitted", user.uid)));
    let result = login(&config, &user.name, "wrong");
    assert_eq!(refused(result), Refusal::Mismatch);
}

#[test]
fn users_of_the_group_of_root_are_not_served() {
    if !is_root() {
        return;
    }
    let (user, service) = (User::new(), PamService::unix());
    user.administer("/usr/sbin/usermod", &["-g", "0"]);
    let result = log_in(&with_pam(&service), &user);
    assert_eq!(refused(result), Refusal::NotPermitted);
}

/// The module asks for ten minutes.
#[test]
fn no_process_of_ours_sleeps_after_a_failure() {
    if !is_root() {
        return;
    }
    let user = User::new();
    let service = PamService::new(
        "auth optional pam_faildelay.so delay=600000000\nauth required pam_unix.so\naccount required pam_unix.so\n",
    );
    let result = login(&with_pam(&service), &user.name, "wrong");
    assert_eq!(refused(result), Refusal::Mismatch);
}

/// A script that writes down what modules see.
fn scribe(place: &Place) -> String {
    let out = place.join("seen");
    let script = place.script(
        "scribe",
        &format!(
            "#!/bin/sh\necho \"$PAM_TYPE user=$PAM_USER ruser=$PAM_RUSER rhost=$PAM_RHOST tty=$PAM_TTY\" >> {}\n",
            out.display()
        ),
    );
    format!("pam_exec.so quiet {}", script.display())
}

#[test]
fn a_session_is_opened_and_closed_once() {
    if !is_root() {
        return;
    }
    let (user, place) = (User::new(), Place::new());
    let scribe = scribe(&place);
    let service = PamService::new(&format!(
        "auth required pam_unix.so\naccount required pam_unix.so\naccount required {scribe}\n\
         session required {scribe}\n"
    ));
    let seen = || std::fs::read_to_string(place.join("seen")).unwrap_or_default();
    let line = |kind: &str| {
        let name = &user.name;
        format!("{kind} user={name} ruser={name} rhost=203.0.113.5 tty=dovecot\n")
    };

    let mut session = log_in(&with_pam(&service), &user)
        .ok()
        .unwrap()
        .pam
        .unwrap();
    assert_eq!(seen(), line("account"));
    session.open().unwrap();
    assert_eq!(seen(), line("account") + &line("open_session"));
    session.close();
    let all = line("account") + &line("open_session") + &line("close_session");
    assert_eq!(seen(), all);

    let mut session = log_in(&with_pam(&service), &user)
        .ok()
        .unwrap()
        .pam
        .unwrap();
    session.open().unwrap();
    drop(session);
    assert_eq!(seen(), all.repeat(2), "dropping it closes it, too");

    let mut session = log_in(&with_pam(&service), &user)
        .ok()
        .unwrap()
        .pam
        .unwrap();
    session.open().unwrap();
    session.leave();
    assert_eq!(seen().lines().count(), 8, "left behind, nothing is closed");
}

#[test]
fn a_session_that_cannot_be_opened_is_an_error() {
    if !is_root() {
        return;
    }
    let user = User::new();
    let service = PamService::new(
        "auth required pam_unix.so\naccount required pam_unix.so\nsession required pam_deny.so\n",
    );
    let mut session = log_in(&with_pam(&service), &user)
        .ok()
        .unwrap()
        .pam
        .unwrap();
    assert_eq!(session.open(), Err(Refusal::Unavailable));
}

/// A module of our own, if there is a compiler for it.
fn module(place: &Place, text: &str) -> Option<String> {
    let source = place.write("module.c", text);
    let object = place.join("module.so");
    let mut compiler = Command::new("cc");
    let compiler = compiler.args(["-shared", "-fPIC", "-o"]);
    match compiler.arg(&object).arg(&source).arg("-lpam").status() {
        Ok(status) if status.success() => Some(object.display().to_string()),
        _ => {
            eprintln!("skipped: needs a C compiler");
            None
        }
    }
}

#[test]
fn modules_may_change_the_name_but_not_to_root() {
    if !is_root() {
        return;
    }
    let (user, place) = (User::new(), Place::new());
    let text = "#include <security/pam_modules.h>\n\
        int pam_sm_authenticate(pam_handle_t *h, int f, int c, const char **v)\n\
        { return pam_set_item(h, PAM_USER, v[0]); }\n\
        int pam_sm_setcred(pam_handle_t *h, int f, int c, const char **v) { return PAM_SUCCESS; }\n\
        int pam_sm_acct_mgmt(pam_handle_t *h, int f, int c, const char **v) { return PAM_SUCCESS; }\n";
    let Some(module) = module(&place, text) else {
        return;
    };
    let renaming = |name: &str| {
        PamService::new(&format!(
            "auth required {module} {name}\naccount required {module}\n"
        ))
    };
    let service = renaming(&user.name);
    let admission = login(&with_pam(&service), "alias", "x").ok().unwrap();
    assert_eq!(admission.account.user, user.name);
    assert_eq!(admission.account.uid, user.uid);
    let service = renaming("root");
    let result = login(&with_pam(&service), "alias", "x");
    assert_eq!(refused(result), Refusal::NotPermitted);
    let service = renaming("../../etc");
    let result = login(&with_pam(&service), "alias", "x");
    assert_eq!(refused(result), Refusal::Mismatch);
}

#[test]
fn who_is_let_in_by_a_later_source_leaves_no_line_in_the_log() {
    if !is_root() {
        return;
    }
    let (user, service, place) = (User::new(), PamService::unix(), Place::new());
    let file = place.write("users", format!("{}:{{PLAIN}}other\n", user.name));
    let mut config = with_pam(&service);
    config.auth_sources = vec![AuthSource::PasswdFile(file), AuthSource::Pam];
    assert!(log_in(&config, &user).ok().unwrap().pam.is_some());
    assert!(
        login(&config, &user.name, "other")
            .ok()
            .unwrap()
            .pam
            .is_none()
    );
    assert_eq!(log(), [""; 0]);
    let result = login(&config, &user.name, "wrong");
    assert_eq!(refused(result), Refusal::Mismatch);
    assert_eq!(log().len(), 2, "one for each source");
}
