//! SASL EXTERNAL: TLS has found out who it is.

use roost::auth::{Admission, authenticate};
use roost::config::Config;
use roost::ipc::{Proof, Refusal};

use crate::login::{Silence, is_root, refused, request, with_file, with_pam};
use crate::support::{PamService, Place, User};

fn external(config: &Config, certified: &str, authorize: &str) -> Result<Admission, Refusal> {
    let proof = Proof::External {
        certified: certified.into(),
        authorize: authorize.into(),
    };
    let mut config = config.clone();
    config.set("auth.mechanisms=PLAIN EXTERNAL").unwrap();
    config.set("tls.client_certificate=optional").unwrap();
    authenticate(&config, &request(proof), &mut Silence)
}

#[test]
fn a_front_that_speaks_of_certificates_where_none_are_asked_for_is_not_believed() {
    let place = Place::new();
    let file = place.write("users", "bob:{PLAIN}x:5000:5000::/x\n");
    for (settings, tls) in [
        (&[][..], true),
        (&["auth.mechanisms=PLAIN EXTERNAL"][..], true),
        (&["tls.client_certificate=required"][..], true),
        (
            &[
                "auth.mechanisms=EXTERNAL",
                "tls.client_certificate=optional",
            ][..],
            false,
        ),
    ] {
        let mut config = with_file(&file);
        for setting in settings {
            config.set(setting).unwrap();
        }
        let mut forged = request(Proof::External {
            certified: b"bob".to_vec(),
            authorize: Vec::new(),
        });
        forged.origin.tls = tls;
        let result = authenticate(&config, &forged, &mut Silence);
        assert_eq!(refused(result), Refusal::Mismatch, "{settings:?}");
    }
}

#[test]
fn a_certificate_stands_for_its_user_and_no_other() {
    let place = Place::new();
    let file = place.write(
        "users",
        "bob:{PLAIN}x:5000:5000::/x\neve:{PLAIN}x:5001:5000::/x\nout:{PLAIN}x:5001:5000::/x::nologin\n",
    );
    let config = with_file(&file);
    for authorize in ["", "bob", "Bob"] {
        let account = external(&config, "bob", authorize).ok().unwrap().account;
        assert_eq!((account.user.as_str(), account.uid), ("bob", 5000));
    }
    for (certified, authorize, refusal) in [
        ("bob", "eve", Refusal::Mismatch),
        ("", "bob", Refusal::Mismatch),
        ("nobody", "", Refusal::Mismatch),
        ("out", "", Refusal::Disabled),
        ("root", "", Refusal::NotPermitted),
    ] {
        let result = external(&config, certified, authorize);
        assert_eq!(refused(result), refusal, "{certified} {authorize}");
    }
}

#[test]
fn pam_is_asked_about_the_account_of_a_certificate() {
    if !is_root() {
        return;
    }
    let (user, service) = (User::new(), PamService::unix());
    let config = with_pam(&service);
    let admission = external(&config, &user.name, "").ok().unwrap();
    assert_eq!(admission.account.uid, user.uid);
    assert!(admission.pam.is_some());
    user.administer("/usr/sbin/usermod", &["-e", "2001-01-01"]);
    let result = external(&config, &user.name, "");
    assert_eq!(refused(result), Refusal::Expired);
    let result = external(&config, "no.such.user", "");
    assert_eq!(refused(result), Refusal::Mismatch);
}
