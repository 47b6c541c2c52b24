//! Users in files.

use roost::auth::{authenticate, check, stamps};
use roost::config::{AuthSource, Config};
use roost::ipc::{Protocol, Refusal};

use crate::login::{
    Silence, config, is_root, log, log_in, login, password, refused, request, with_file,
};
use crate::support::{Place, User};

#[test]
fn a_virtual_user_has_what_his_line_says() {
    let place = Place::new();
    let file = place.write(
        "users",
        "bob@example.org:{PLAIN}secret:5000:5001::/var/vmail/bob::userdb_mail=maildir:~/mail\n",
    );
    let admission = login(&with_file(&file), "Bob@Example.org", "secret")
        .ok()
        .unwrap();
    let account = admission.account;
    assert_eq!(account.user, "bob@example.org");
    assert_eq!((account.uid, account.gid), (5000, 5001));
    assert_eq!(account.home, "/var/vmail/bob");
    assert_eq!(
        account.location.maildir.to_str(),
        Some("/var/vmail/bob/mail")
    );
    assert!(admission.pam.is_none());
}

#[test]
fn a_wrong_password_and_an_unknown_user_are_refused_alike() {
    let place = Place::new();
    let file = place.write("users", "bob:{PLAIN}secret:5000:5000::/home/bob\n");
    let config = with_file(&file);
    assert_eq!(refused(login(&config, "bob", "wrong")), Refusal::Mismatch);
    assert_eq!(
        log(),
        ["auth: passwd-file(bob,203.0.113.5,<q2b6Ab1cdef>): Password mismatch"]
    );
    assert_eq!(refused(login(&config, "eve", "wrong")), Refusal::Mismatch);
    assert_eq!(
        log(),
        ["auth: passwd-file(eve,203.0.113.5,<q2b6Ab1cdef>): unknown user"]
    );
}

#[test]
fn a_user_of_the_host_needs_no_more_than_a_password() {
    if !is_root() {
        return;
    }
    let (user, place) = (User::new(), Place::new());
    let file = place.write("users", format!("{}:{{PLAIN}}other\n", user.name));
    let account = login(&with_file(&file), &user.name, "other")
        .ok()
        .unwrap()
        .account;
    assert_eq!((account.uid, account.gid), (user.uid, user.gid));
    assert_eq!(account.home, user.home.to_str().unwrap());
}

#[test]
fn somebody_without_numbers_has_a_name_but_no_mail() {
    let place = Place::new();
    let file = place.write("users", "no.such.user:{PLAIN}secret\n");
    let config = with_file(&file);
    let result = login(&config, "no.such.user", "secret");
    assert_eq!(refused(result), Refusal::NoMail);
    let mut ask = request(password("no.such.user", "secret"));
    ask.protocol = Protocol::Sasl;
    let account = authenticate(&config, &ask, &mut Silence)
        .ok()
        .unwrap()
        .account;
    assert_eq!(account.user, "no.such.user");
    assert_ne!(account.uid, 0);
}

#[test]
fn root_is_not_let_in_by_a_file_either() {
    let place = Place::new();
    let file = place.write(
        "users",
        "root:{PLAIN}x:5000:5000::/x\na:{PLAIN}x:0:0::/x\nb:{PLAIN}x:5000:0::/x\nc:{PLAIN}x:root:5000::/x\nd:{PLAIN}x:4294967295:5000::/x\ne:{PLAIN}x:499:5000::/x\n",
    );
    for user in ["root", "a", "b", "c", "d", "e"] {
        let result = login(&with_file(&file), user, "x");
        assert_eq!(refused(result), Refusal::NotPermitted, "{user}");
    }
    for user in ["root", "a", "c"] {
        let result = login(&with_file(&file), user, "wrong");
        assert_eq!(refused(result), Refusal::NotPermitted, "{user}");
    }
}

#[test]
fn who_may_not_log_in_from_there_is_told_nothing() {
    let place = Place::new();
    let file = place.write(
        "users",
        "bob:{PLAIN}x:5000:5000::/x::allow_nets=10.0.0.0/8\neve:{PLAIN}x:5000:5000::/x::allow_nets=203.0.113.0/24\n",
    );
    let config = with_file(&file);
    assert_eq!(refused(login(&config, "bob", "x")), Refusal::Mismatch);
    assert!(login(&config, "eve", "x").is_ok());
}

#[test]
fn fields_that_change_the_meaning_of_a_line_are_not_passed_over() {
    let place = Place::new();
    let file = place.write(
        "users",
        "a:{PLAIN}x:5000:5000::/x::nologin\nb::5000:5000::/x::nopassword\nc:{PLAIN}x:5000:5000::/x::user=eve\nd:{PLAIN}x:5000:5000::/x::proxy=y host=10.0.0.1\n",
    );
    let config = with_file(&file);
    assert_eq!(refused(login(&config, "a", "x")), Refusal::Disabled);
    assert_eq!(refused(login(&config, "a", "y")), Refusal::Mismatch);
    for user in ["b", "c", "d"] {
        for word in ["x", ""] {
            assert_eq!(refused(login(&config, user, word)), Refusal::Mismatch);
        }
    }
}

#[test]
fn a_file_that_is_not_there_makes_nobody_wrong() {
    let place = Place::new();
    let gone = place.join("gone");
    let result = login(&with_file(&gone), "bob", "x");
    assert_eq!(refused(result), Refusal::Unavailable);
    assert!(log()[0].contains("No such file"));

    let file = place.write("users", "bob:{PLAIN}secret:5000:5000::/x\n");
    let both = config(vec![
        AuthSource::PasswdFile(gone),
        AuthSource::PasswdFile(file),
    ]);
    assert!(login(&both, "bob", "secret").is_ok());
    assert_eq!(refused(login(&both, "bob", "x")), Refusal::Unavailable);
}

#[test]
fn the_next_file_is_asked_about_who_is_wrong_in_the_first() {
    let place = Place::new();
    let one = place.write("one", "bob:{PLAIN}one:5001:5000::/x\n");
    let two = place.write("two", "bob:{PLAIN}two:5002:5000::/x\n");
    let both = config(vec![
        AuthSource::PasswdFile(one),
        AuthSource::PasswdFile(two),
    ]);
    let uid = |word: &str| login(&both, "bob", word).ok().unwrap().account.uid;
    assert_eq!(uid("one"), 5001);
    assert_eq!(uid("two"), 5002);
}

#[test]
fn names_of_users_and_groups_stand_for_numbers() {
    if !is_root() {
        return;
    }
    let (user, place) = (User::new(), Place::new());
    let name = &user.name;
    let file = place.write(
        "users",
        format!("v:{{PLAIN}}x:{name}:{name}::/x\nw:{{PLAIN}}x:no.such.user:5000::/x\n"),
    );
    let account = login(&with_file(&file), "v", "x").ok().unwrap().account;
    assert_eq!((account.uid, account.gid), (user.uid, user.gid));
    let result = login(&with_file(&file), "w", "x");
    assert_eq!(refused(result), Refusal::NoMail);
}

#[test]
fn no_password_gets_into_the_log() {
    let place = Place::new();
    let file = place.write(
        "users",
        "bob:{PLAIN}s3cr3t:5000:5000::/x\neve:{NONSENSE}s3cr3t:5000:5000::/x\n",
    );
    for user in ["bob", "eve", "nobody", "s p"] {
        let _ = login(&with_file(&file), user, "s3cr3t!");
        let _ = login(&with_file(&file), user, "s3cr3t");
    }
    let log = log().join("\n");
    assert!(log.contains("Unknown scheme NONSENSE"), "{log}");
    assert!(!log.contains("s3cr3t"), "{log}");
}

#[test]
fn the_administrator_is_told_what_is_wrong_with_a_file() {
    let place = Place::new();
    let file = place.write(
        "users",
        "# users\nbob:{PLAIN}x:5000:5000::/x\nold:{CRYPT}wnmlL.WK7z1SE:5000:5000::/x\nodd:{PLAIN}x::::::proxy=y\n",
    );
    let found = check(&with_file(&file)).join("\n");
    assert!(found.contains("everybody may read it"), "{found}");
    assert!(
        found.contains("users:3: old: Weak password scheme"),
        "{found}"
    );
    assert!(
        found.contains("users:4: odd: proxy is not supported"),
        "{found}"
    );
    assert_eq!(found.lines().count(), 3, "{found}");

    crate::support::place::set_mode(&file, 0o640);
    std::fs::write(&file, "bob:{PLAIN}x:5000:5000::/x\n").unwrap();
    assert_eq!(check(&with_file(&file)), [""; 0]);
}

#[test]
fn a_missing_pam_service_is_told() {
    let config = Config {
        auth_pam_service: String::from("no-such-service"),
        ..config(vec![AuthSource::Pam])
    };
    assert_eq!(check(&config).len(), 1);
}

#[test]
fn the_look_of_the_files_changes_with_a_password() {
    let place = Place::new();
    let file = place.write("users", "bob:{PLAIN}one:5000:5000::/x\n");
    let config = with_file(&file);
    let before = stamps(&config);
    assert_eq!(before, stamps(&config));
    std::fs::write(place.join("new"), "bob:{PLAIN}two:5000:5000::/x\n").unwrap();
    std::fs::rename(place.join("new"), &file).unwrap();
    assert_ne!(before, stamps(&config));
}

#[test]
fn a_user_of_the_host_who_is_in_no_source_is_unknown() {
    if !is_root() {
        return;
    }
    let (user, place) = (User::new(), Place::new());
    let file = place.write("users", "bob:{PLAIN}x\n");
    let result = log_in(&with_file(&file), &user);
    assert_eq!(refused(result), Refusal::Mismatch);
}

#[test]
fn what_a_line_does_not_say_the_defaults_say_for_all() {
    let place = Place::new();
    let file = place.write(
        "users",
        "alice@example.org:{PLAIN}secret\nbob@example.org:{PLAIN}secret:5005::::::\n\
         eve@example.org:{PLAIN}secret::5006::/srv/eve\n",
    );
    let mut config = with_file(&file);
    let found = check(&config);
    for name in ["alice", "bob", "eve"] {
        let of_line = |text: &&String| text.contains(&format!(": {name}@example.org: "));
        let told = found.iter().find(of_line);
        assert!(
            told.is_some_and(|text| text.contains("auth.default_uid")),
            "{found:?}"
        );
    }
    config.set("auth.default_uid=5000").unwrap();
    config.set("auth.default_gid=5001").unwrap();
    config.set("auth.default_home=/var/vmail/%d/%n").unwrap();
    let found = check(&config);
    assert!(
        found.iter().all(|text| !text.contains("@example.org")),
        "{found:?}"
    );
    for (name, uid, gid, home) in [
        ("alice", 5000, 5001, "/var/vmail/example.org/alice"),
        ("bob", 5005, 5001, "/var/vmail/example.org/bob"),
        ("eve", 5000, 5006, "/srv/eve"),
    ] {
        let user = format!("{name}@example.org");
        let account = login(&config, &user, "secret").ok().unwrap().account;
        assert_eq!((account.uid, account.gid), (uid, gid), "{name}");
        assert_eq!(account.home, home);
        let maildir = account.location.maildir;
        assert_eq!(maildir.to_str(), Some(&*format!("{home}/Maildir")));
    }
    // A name brings its group along, and what is no user is said to be none.
    config.set("auth.default_gid=").unwrap();
    config.set("auth.default_uid=mail").unwrap();
    let account = login(&config, "alice@example.org", "secret").ok();
    assert!(account.is_none_or(|admission| admission.account.gid != 0));
    config.set("auth.default_uid=nobody.of.that.name").unwrap();
    let found = check(&config);
    assert!(
        found
            .iter()
            .any(|text| text.contains("there is no such user")),
        "{found:?}"
    );
    assert!(config.set("auth.default_home=~/x").is_err());
    assert!(config.set("auth.default_home=relative").is_err());
}

#[test]
fn lines_that_can_let_nobody_in_are_named() {
    let place = Place::new();
    let file = place.write(
        "users",
        "a:{PLAIN}secret:100:100::/home/a\nb:{PLAIN}secret:0:100::/home/b\n\
         c:{PLAIN}secret:5000:5000\nd:{PLAIN}secret:5000:5000::/home/d\n\
         e:{PLAIN}secret:no.such.user:5000::/home/e\n",
    );
    let found = check(&with_file(&file));
    for (line, words) in [
        (":1: a: ", "auth.first_valid_uid"),
        (":2: b: ", "root is never let in"),
        (":3: c: ", "home directory"),
        (":5: e: ", "there is no such user"),
    ] {
        let told = found.iter().find(|text| text.contains(line));
        assert!(
            told.is_some_and(|text| text.contains(words)),
            "{line} {found:?}"
        );
    }
    assert!(found.iter().all(|text| !text.contains(":4: ")), "{found:?}");
}
