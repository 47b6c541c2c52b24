//! Before login: greeting, CAPABILITY, STARTTLS, LOGIN, AUTHENTICATE: RFC 3501 6.1, 6.2, RFC 4959.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use crate::support::*;

fn plain(user: &str, password: &str) -> String {
    STANDARD.encode(format!("\0{user}\0{password}"))
}

#[test]
fn login_takes_name_and_password_as_any_string() {
    let mail = Mail::with(["one.eml"]);
    let server = Server::try_(&mail);
    let (user, password) = (Server::USER, Server::PASSWORD);
    for command in [
        format!("LOGIN {user} {password}"),
        format!("login \"{user}\" \"{password}\""),
        format!(
            "LOGIN {{{}}}\r\n{user} {{{}}}\r\n{password}",
            user.len(),
            password.len()
        ),
        format!("LOGIN {{{}+}}\r\n{user} \"{password}\"", user.len()),
    ] {
        let mut client = server.dial();
        client.ok(&command);
        client.ok("SELECT INBOX").contains("1 EXISTS");
        client.logout();
    }
}

#[test]
fn a_wrong_name_and_a_wrong_password_get_the_same_answer() {
    let mail = Mail::new();
    let server = Server::try_(&mail);
    let mut client = server.dial();
    let wrong = client.no(&format!("LOGIN {} wrong", Server::USER));
    wrong.code("AUTHENTICATIONFAILED");
    let unknown = client.no(&format!("LOGIN nobody {}", Server::PASSWORD));
    let text = |reply: &Reply| reply.tagged.tokens.last().map(|token| format!("{token:?}"));
    assert_eq!(text(&wrong), text(&unknown));
    client.ok(&format!("LOGIN {} {}", Server::USER, Server::PASSWORD));
}

#[test]
fn authenticate_plain_with_and_without_initial_response() {
    let mail = Mail::new();
    let server = Server::try_(&mail);
    let response = plain(Server::USER, Server::PASSWORD);
    let mut with = server.dial();
    with.ok(&format!("AUTHENTICATE PLAIN {response}"));
    with.ok("STATUS INBOX (MESSAGES)");

    let mut without = server.dial();
    let tag = without.start("AUTHENTICATE PLAIN");
    assert!(without.wait_for_continuation(&tag));
    without.send_raw(format!("{response}\r\n").as_bytes());
    assert_eq!(without.finish(&tag).tagged.word(), "OK");
    without.ok("STATUS INBOX (MESSAGES)");
}

#[test]
fn authenticate_can_be_given_up_and_tried_again() {
    let mail = Mail::new();
    let server = Server::try_(&mail);
    let mut client = server.dial();
    let tag = client.start("AUTHENTICATE PLAIN");
    assert!(client.wait_for_continuation(&tag));
    client.send_raw(b"*\r\n");
    assert_eq!(client.finish(&tag).tagged.word(), "BAD");
    client
        .no(&format!(
            "AUTHENTICATE PLAIN {}",
            plain(Server::USER, "wrong")
        ))
        .code("AUTHENTICATIONFAILED");
    client.ok(&format!(
        "AUTHENTICATE PLAIN {}",
        plain(Server::USER, Server::PASSWORD)
    ));
}

#[test]
fn authenticate_refuses_unknown_mechanisms_and_bad_base64() {
    let mail = Mail::new();
    let server = Server::try_(&mail);
    let mut client = server.dial();
    client.no("AUTHENTICATE X-NONSENSE");
    let reply = client.command("AUTHENTICATE PLAIN !!!!");
    assert_ne!(reply.tagged.word(), "OK");
    let reply = client.command(&format!(
        "AUTHENTICATE PLAIN {}",
        STANDARD.encode("no nuls")
    ));
    assert_ne!(reply.tagged.word(), "OK");
    client.ok(&format!("LOGIN {} {}", Server::USER, Server::PASSWORD));
}

#[test]
fn authzid_of_another_user_is_refused() {
    let mail = Mail::new();
    let server = Server::try_(&mail);
    let mut client = server.dial();
    let as_other = STANDARD.encode(format!("root\0{}\0{}", Server::USER, Server::PASSWORD));
    client.no(&format!("AUTHENTICATE PLAIN {as_other}"));
}

#[test]
fn before_login_only_its_commands_are_permitted() {
    let mail = Mail::new();
    let server = Server::try_(&mail);
    for command in [
        "SELECT INBOX",
        "LIST \"\" *",
        "FETCH 1 FLAGS",
        "STATUS INBOX (MESSAGES)",
        "IDLE",
    ] {
        let mut client = server.dial();
        client.bad(command);
        client.ok("NOOP");
    }
    let mut client = server.dial();
    client.ok("CAPABILITY").contains("CAPABILITY IMAP4rev1 ...");
    client.ok("ID NIL");
    client.logout();
}

#[test]
fn after_login_the_commands_before_it_are_not_permitted() {
    let mail = Mail::new();
    let server = Server::try_(&mail);
    let mut client = server.connect();
    client.bad(&format!("LOGIN {} {}", Server::USER, Server::PASSWORD));
    client.bad("AUTHENTICATE PLAIN");
    client.bad("STARTTLS");
    client.ok("NOOP");
}

#[test]
fn capabilities_before_and_after_login_fit_the_state() {
    let mail = Mail::new();
    let server = Server::try_(&mail);
    let mut client = server.dial();
    let before = client.ok("CAPABILITY");
    before.contains("CAPABILITY IMAP4rev1 STARTTLS AUTH=PLAIN SASL-IR ...");
    client.ok(&format!("LOGIN {} {}", Server::USER, Server::PASSWORD));
    let after = client.ok("CAPABILITY");
    after.contains("CAPABILITY IMAP4rev1 IDLE UIDPLUS CONDSTORE QRESYNC MOVE ...");
    after
        .lacks("CAPABILITY STARTTLS ...")
        .lacks("CAPABILITY AUTH=PLAIN ...");
}

#[test]
fn starttls_forgets_what_was_said_in_the_clear() {
    let mail = Mail::with(["one.eml"]);
    let server = Server::try_(&mail);
    let certificate = server.certificate();
    let mut client = server.dial();
    let tag = client.next_tag();
    // Whoever sits in between may add commands after STARTTLS; they must not count.
    client.send_raw(format!("{tag} STARTTLS\r\n").as_bytes());
    assert_eq!(client.finish(&tag).tagged.word(), "OK");
    client.start_tls(&certificate);
    client.ok("CAPABILITY").lacks("CAPABILITY STARTTLS ...");
    client.bad("STARTTLS");
    client.ok(&format!("LOGIN {} {}", Server::USER, Server::PASSWORD));
    client.ok("SELECT INBOX").contains("1 EXISTS");
    client.logout();
}

#[test]
fn commands_put_behind_starttls_are_never_carried_out() {
    let mail = Mail::new();
    let server = Server::try_(&mail);
    let certificate = server.certificate();
    let mut client = server.dial();
    client.send_raw(b"x1 STARTTLS\r\nx2 LOGOUT\r\nx3 CAPABILITY\r\n");
    assert_eq!(client.read().tag, "x1");
    // An answer in the clear would be no TLS, and one under TLS would come before this one.
    client.start_tls(&certificate);
    // A server may also end the connection for it.
    if client.try_send(b"x4 NOOP\r\n").is_ok()
        && let Some(answer) = client.try_read()
    {
        assert_eq!(answer.tag, "x4", "{answer}");
    }
}

#[test]
fn several_sessions_over_tls_at_once() {
    let mail = Mail::with(["one.eml"]);
    let server = Server::try_(&mail);
    let mut clients: Vec<Client> = (0..5).map(|_| server.dial_tls()).collect();
    for client in &mut clients {
        client.ok(&format!("LOGIN {} {}", Server::USER, Server::PASSWORD));
        client.ok("SELECT INBOX").contains("1 EXISTS");
    }
    let body = crlf(&text("one.eml"));
    for client in &mut clients {
        assert_eq!(client.ok("FETCH 1 BODY.PEEK[]").bytes(1, "BODY[]"), body);
    }
}
