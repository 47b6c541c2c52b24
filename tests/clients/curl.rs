//! curl, as in scripts and in the README's first command.

use crate::support::*;
use crate::{command, missing, run};
use std::process::Command;

fn curl(mail: &Mail, server: &Server, url: &str) -> Command {
    let mut curl = command(mail, "curl");
    curl.args(["--silent", "--show-error", "--max-time", "60"])
        .arg("--cacert")
        .arg(server.certificate_file())
        .args(["--user", &format!("{}:{}", Server::USER, Server::PASSWORD)])
        .arg(url);
    curl
}

#[test]
fn curl_lists_fetches_searches_and_appends() {
    if let Some(why) = missing("curl") {
        skip!("{why}");
    }
    let mail = Mail::with(["one.eml", "two.eml"]);
    let server = Server::try_(&mail);
    let plain = format!("imap://127.0.0.1:{}", server.port);

    let listed = run(&mut curl(&mail, &server, &format!("{plain}/")));
    assert!(listed.contains("INBOX"), "{listed}");

    let fetched = run(&mut curl(&mail, &server, &format!("{plain}/INBOX;UID=1")));
    assert_eq!(fetched.as_bytes(), crlf(&text("one.eml")));
    let section = run(&mut curl(
        &mail,
        &server,
        &format!("{plain}/INBOX;UID=2;SECTION=TEXT"),
    ));
    assert!(section.starts_with("Second message"), "{section}");

    let found = run(&mut curl(
        &mail,
        &server,
        &format!("{plain}/INBOX?SUBJECT%20two"),
    ));
    assert_eq!(found.trim(), "* SEARCH 2");

    let upload = mail.write("four.eml", crlf(&text("four.eml")));
    run(curl(&mail, &server, &format!("{plain}/INBOX"))
        .arg("--upload-file")
        .arg(upload));
    let flags =
        run(curl(&mail, &server, &format!("{plain}/INBOX")).args(["--request", "FETCH 1:3 UID"]));
    assert!(flags.contains("* 3 FETCH (UID 3)"), "{flags}");
}

#[test]
fn curl_speaks_tls_from_the_start_and_by_starttls() {
    if let Some(why) = missing("curl") {
        skip!("{why}");
    }
    let mail = Mail::with(["one.eml"]);
    let server = Server::try_(&mail);
    let tls = format!("imaps://localhost:{}/INBOX;UID=1", server.tls_port);
    assert_eq!(
        run(&mut curl(&mail, &server, &tls)).as_bytes(),
        crlf(&text("one.eml"))
    );
    let starttls = format!("imap://localhost:{}/INBOX;UID=1", server.port);
    let fetched = run(curl(&mail, &server, &starttls).arg("--ssl-reqd"));
    assert_eq!(fetched.as_bytes(), crlf(&text("one.eml")));
}

#[test]
fn curl_logs_in_by_every_mechanism_and_not_with_a_wrong_password() {
    if let Some(why) = missing("curl") {
        skip!("{why}");
    }
    let mail = Mail::with(["one.eml"]);
    let server = Server::try_(&mail);
    let url = format!("imap://127.0.0.1:{}/INBOX;UID=1", server.port);
    for options in [
        &["--login-options", "AUTH=PLAIN"][..],
        &["--login-options", "AUTH=PLAIN", "--sasl-ir"],
    ] {
        assert_eq!(
            run(curl(&mail, &server, &url).args(options)).as_bytes(),
            crlf(&text("one.eml"))
        );
    }
    let wrong = format!("{}:wrong", Server::USER);
    let (status, printed) = crate::attempt(curl(&mail, &server, &url).args(["--user", &wrong]));
    // CURLE_LOGIN_DENIED
    assert_eq!(status, Some(67), "{printed}");
}
