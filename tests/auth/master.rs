//! Master users: who logs in as somebody else, with a password of their own.

use roost::auth::{Admission, authenticate};
use roost::config::{AuthSource, Config};
use roost::ipc::{Proof, Refusal};
use roost::mail::Secret;

use crate::login::{Silence, config, is_root, log, log_in, login, refused, request, with_file};
use crate::support::{AuthService, PamService, Place, User};

/// SASL PLAIN with an authorization identity.
fn plain(
    config: &Config,
    authorize: &str,
    user: &str,
    password: &str,
) -> Result<Admission, Refusal> {
    let proof = Proof::Password {
        mechanism: "PLAIN",
        user: user.into(),
        authorize: authorize.into(),
        password: Secret::new(password.into()),
    };
    authenticate(config, &request(proof), &mut Silence)
}

/// The users bob and out, and the master user admin, who is no user.
fn with_masters(place: &Place) -> Config {
    let users = place.write(
        "users",
        "bob:{PLAIN}own:5000:5000::/x\nout:{PLAIN}own:5001:5000::/x::nologin\n\
         toor:{PLAIN}own:0:0::/x\n",
    );
    let masters = place.write(
        "masters",
        "admin:{PLAIN}key\nfar:{PLAIN}key::::::allow_nets=192.0.2.0/24\nbob:{PLAIN}other\n",
    );
    let mut config = with_file(&users);
    config.auth_master_sources = vec![AuthSource::PasswdFile(masters)];
    config.set("auth.master_user_separator=*").unwrap();
    config
}

#[test]
fn a_master_user_is_whom_he_names_by_either_form_and_the_log_says_so() {
    let place = Place::new();
    let config = with_masters(&place);
    for (authorize, name) in [
        ("bob", "admin"),
        ("", "bob*admin"),
        ("Bob", "Admin"),
        ("", "BOB*admin"),
    ] {
        let account = plain(&config, authorize, name, "key").ok().unwrap().account;
        assert_eq!((account.user.as_str(), account.uid), ("bob", 5000));
        let log = log();
        assert_eq!(log.len(), 1, "{log:?}");
        assert!(
            log[0].ends_with(": master user admin logs in as bob"),
            "{log:?}"
        );
    }
}

#[test]
fn nobody_else_is_another_one() {
    let place = Place::new();
    let config = with_masters(&place);
    for (authorize, name, password, refusal) in [
        // The password of the user, or of the other list.
        ("bob", "admin", "own", Refusal::Mismatch),
        ("", "bob*admin", "own", Refusal::Mismatch),
        ("bob", "admin", "", Refusal::Mismatch),
        // A user who is no master.
        ("bob", "out", "own", Refusal::Mismatch),
        // A master who is no user.
        ("", "admin", "key", Refusal::Mismatch),
        ("admin", "admin", "key", Refusal::Mismatch),
        // His own name twice is a user like any other.
        ("bob", "bob", "other", Refusal::Mismatch),
        ("", "bob*bob", "other", Refusal::Mismatch),
        // Not from here.
        ("bob", "far", "key", Refusal::Mismatch),
        // Users who are not there or may not log in.
        ("nobody", "admin", "key", Refusal::Mismatch),
        ("out", "admin", "key", Refusal::Disabled),
        ("toor", "admin", "key", Refusal::NotPermitted),
        ("root", "admin", "key", Refusal::NotPermitted),
        ("bob", "root", "key", Refusal::NotPermitted),
        // Twice, and names that are none.
        ("bob", "bob*admin", "key", Refusal::Mismatch),
        ("", "bob*admin*admin", "key", Refusal::Mismatch),
        ("", "*admin", "key", Refusal::Mismatch),
        ("", "bob*", "key", Refusal::Mismatch),
        ("b b", "admin", "key", Refusal::Mismatch),
    ] {
        let result = plain(&config, authorize, name, password);
        assert_eq!(refused(result), refusal, "{authorize} {name} {password}");
    }
    assert!(plain(&config, "bob", "bob", "own").is_ok());
}

#[test]
fn without_master_sources_there_are_no_masters() {
    let place = Place::new();
    let users = place.write(
        "users",
        "bob:{PLAIN}own:5000:5000::/x\nann:{PLAIN}own:5001:5000::/x\n",
    );
    let config = with_file(&users);
    assert_eq!(
        refused(plain(&config, "bob", "ann", "own")),
        Refusal::Mismatch
    );
    assert!(log()[0].ends_with("authorization as somebody else is not possible"));
    // Without a separator it is a name.
    assert_eq!(refused(login(&config, "bob*ann", "own")), Refusal::Mismatch);
}

#[test]
fn users_of_the_host_are_looked_up_for_a_master_user() {
    if !is_root() {
        return;
    }
    let (user, service, place) = (User::new(), PamService::unix(), Place::new());
    let masters = place.write("masters", "admin:{PLAIN}key\n");
    let mut config = config(vec![AuthSource::Pam]);
    config.auth_pam_service.clone_from(&service.name);
    config.auth_master_sources = vec![AuthSource::PasswdFile(masters)];
    let account = plain(&config, &user.name, "admin", "key")
        .ok()
        .unwrap()
        .account;
    assert_eq!(
        (account.uid, account.user.as_str()),
        (user.uid, user.name.as_str())
    );
    assert!(log_in(&config, &user).is_ok());
    user.administer("/usr/sbin/usermod", &["-e", "1"]);
    assert_eq!(
        refused(plain(&config, &user.name, "admin", "key")),
        Refusal::Expired
    );
}

#[test]
fn a_dovecot_knows_its_own_master_users() {
    if !is_root() {
        return;
    }
    let place = Place::new();
    let users = place.write("users", "bob:{PLAIN}own:5000:5000::/x::\n");
    let masters = place.write("masters", "admin:{PLAIN}key\n");
    let (users, masters) = (users.display(), masters.display());
    let dovecot = AuthService::start(
        &place,
        &format!(
            "passdb {{\n driver = passwd-file\n args = {masters}\n master = yes\n}}\n\
             passdb {{\n driver = passwd-file\n args = {users}\n}}\n\
             userdb {{\n driver = passwd-file\n args = {users}\n}}\n"
        ),
    );
    let mut config = config(vec![AuthSource::Dovecot(dovecot.base_dir().to_owned())]);
    config.set("auth.master_user_separator=*").unwrap();
    for (authorize, name) in [("bob", "admin"), ("", "bob*admin")] {
        log();
        let account = plain(&config, authorize, name, "key").ok().unwrap().account;
        assert_eq!((account.user.as_str(), account.uid), ("bob", 5000));
        let log = log();
        assert!(
            log[0].contains(": master user admin logs in as bob"),
            "{log:?}"
        );
    }
    assert_eq!(
        refused(plain(&config, "bob", "admin", "own")),
        Refusal::Mismatch
    );
    assert_eq!(
        refused(plain(&config, "eve", "admin", "key")),
        Refusal::Mismatch
    );
}
