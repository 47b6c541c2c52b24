//! `roost auth-test`.

use roost::auth::test;
use roost::ipc::Secret;

use crate::login::{is_root, with_file, with_pam};
use crate::support::{PamService, Place, User};

fn secret(text: &str) -> Secret {
    Secret::new(text.into())
}

#[test]
fn a_login_is_told_step_by_step() {
    if !is_root() {
        return;
    }
    let (user, service) = (User::new(), PamService::unix());
    let report = test(&with_pam(&service), &user.name, secret(User::PASSWORD));
    let text = report.to_string();
    assert!(report.admitted, "{text}");
    for line in [
        format!("source    pam, service {}", service.name),
        String::from("result    let in"),
        format!("user      {}", user.name),
        format!("uid       {}", user.uid),
        format!("groups    {}({})", user.gid, user.name),
        format!("home      {} (uid {})", user.home.display(), user.uid),
        format!(
            "maildir   {}/Maildir (uid {})",
            user.home.display(),
            user.uid
        ),
    ] {
        assert!(text.lines().any(|found| found == line), "{line}\n{text}");
    }
    assert!(!text.contains(User::PASSWORD));
}

#[test]
fn a_refusal_is_told_with_its_reason() {
    let place = Place::new();
    let file = place.write("users", "bob:{PLAIN}secret:5000:5000::/home/bob\n");
    let report = test(&with_file(&file), "bob", secret("wr0ng"));
    let text = report.to_string();
    assert!(!report.admitted);
    assert_eq!(
        text,
        format!(
            "source    passwd-file {}\nstep      passwd-file: Password mismatch\nresult    refused: no such user, or another password\n",
            file.display()
        )
    );
}
