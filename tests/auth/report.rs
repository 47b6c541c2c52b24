//! `roost auth-test`.

use roost::auth::test;
use roost::mail::Secret;

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

#[test]
fn a_login_whose_mail_cannot_be_opened_does_not_succeed() {
    if !is_root() {
        return;
    }
    let place = Place::new();
    let (closed, open) = (
        place.directory_of("closed", 0, 0),
        place.directory_of("open", 4711, 4711),
    );
    let foreign = place.directory_of("foreign", 4712, 4712);
    std::fs::create_dir(foreign.join("Maildir")).unwrap();
    let of = |home: &std::path::Path| {
        let line = format!("bob:{{PLAIN}}secret:4711:4711::{}\n", home.display());
        let file = place.write("users", line);
        let report = test(&with_file(&file), "bob", secret("secret"));
        (report.admitted, report.to_string())
    };
    let (admitted, text) = of(&open);
    assert!(admitted && text.contains("result    let in\n"), "{text}");
    // It can be made there.
    let (admitted, text) = of(&open.join("bob"));
    assert!(admitted, "{text}");
    let home = closed.join("bob");
    let (admitted, text) = of(&home);
    assert!(!admitted, "{text}");
    let told = format!("the home directory {} does not exist", home.display());
    assert!(
        text.contains(&told) && text.contains("pam_mkhomedir"),
        "{text}"
    );
    assert!(text.contains("the login is of no use"), "{text}");
    let (admitted, text) = of(&foreign);
    assert!(
        !admitted && text.contains("bob (uid 4711, gid 4711)"),
        "{text}"
    );
}

#[test]
fn a_line_without_a_uid_is_told_as_that() {
    let place = Place::new();
    let file = place.write("users", "alice@example.org:{PLAIN}wonderland\n");
    let report = test(&with_file(&file), "alice@example.org", secret("wonderland"));
    let text = report.to_string();
    assert!(!report.admitted);
    assert!(text.contains("there is no uid for this user"), "{text}");
    assert!(text.contains("auth.default_uid"), "{text}");
    assert!(!text.contains("mail location"), "{text}");
}
