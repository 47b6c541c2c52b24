//! SASL: each mechanism, with clients of ours and of others.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use super::sources::{SCRAM, Virtual, passwd_file};
use crate::support::*;

const PASSWORD: &str = User::PASSWORD;

/// The response of PLAIN.
pub fn plain(user: &str, password: &str) -> String {
    STANDARD.encode(format!("\0{user}\0{password}"))
}

#[test]
fn sasl_plain_and_login_come_with_and_without_initial_response() {
    as_root!();
    let alice = User::new();
    let daemon = Daemon::start(&[]);
    let name = STANDARD.encode(&alice.name);
    let password = STANDARD.encode(PASSWORD);
    let both = plain(&alice.name, PASSWORD);
    let as_himself = STANDARD.encode(format!("{0}\0{0}\0{PASSWORD}", alice.name));
    let conversations: [(String, Vec<&str>); 6] = [
        (format!("AUTHENTICATE PLAIN {both}"), vec![]),
        (format!("AUTHENTICATE PLAIN {as_himself}"), vec![]),
        ("AUTHENTICATE PLAIN".into(), vec![&both]),
        ("authenticate login".into(), vec![&name, &password]),
        (format!("AUTHENTICATE LOGIN {name}"), vec![&password]),
        // "=" is an empty response (RFC 4959 3): the name is asked for.
        ("AUTHENTICATE PLAIN".into(), vec![&as_himself]),
    ];
    for (command, answers) in conversations {
        let mut client = daemon.dial();
        let tag = client.start(&command);
        for answer in answers {
            assert!(client.wait_for_continuation(&tag), "{command}");
            client.send_raw(format!("{answer}\r\n").as_bytes());
        }
        let reply = client.finish(&tag);
        assert_eq!(reply.tagged.word(), "OK", "{command}{reply}");
        client.ok("SELECT INBOX");
    }
}

#[test]
fn sasl_can_be_given_up_and_nobody_is_another_one() {
    as_root!();
    let (alice, bob) = (User::new(), User::new());
    let daemon = Daemon::start(&[]);
    let mut client = daemon.dial();
    for mechanism in ["PLAIN", "LOGIN"] {
        let tag = client.start(&format!("AUTHENTICATE {mechanism}"));
        assert!(client.wait_for_continuation(&tag));
        client.send_raw(b"*\r\n");
        assert_eq!(client.finish(&tag).tagged.word(), "BAD");
    }
    let as_other = STANDARD.encode(format!("{}\0{}\0{PASSWORD}", bob.name, alice.name));
    let reply = client.no(&format!("AUTHENTICATE PLAIN {as_other}"));
    assert!(reply.tagged.code().is_some(), "{reply}");
    client.ok(&alice.login());
}

#[test]
fn a_mechanism_that_is_not_offered_is_refused_and_the_client_goes_on() {
    as_root!();
    let alice = User::new();
    let daemon = Daemon::start(&[]);
    let mut client = daemon.dial();
    let offered = client.ok("CAPABILITY");
    offered.contains("CAPABILITY AUTH=PLAIN AUTH=LOGIN SASL-IR ...");
    for mechanism in [
        "XOAUTH2",
        "OAUTHBEARER",
        "SCRAM-SHA-256",
        "SCRAM-SHA-256-PLUS",
        "EXTERNAL",
        "CRAM-MD5",
        "ANONYMOUS",
    ] {
        offered.lacks(&format!("CAPABILITY AUTH={mechanism} ..."));
        client.no(&format!("AUTHENTICATE {mechanism}"));
        client.no(&format!(
            "AUTHENTICATE {mechanism} {}",
            STANDARD.encode("user=x\x01auth=Bearer y\x01\x01")
        ));
    }
    client.ok(&alice.login());
}

#[test]
fn scram_sha_256_works_with_an_independent_client_and_shows_the_servers_signature() {
    as_root!();
    let place = Place::new();
    let ann = Virtual::new(&place, "ann", SCRAM);
    ann.maildir.fill(2);
    let daemon = passwd_file(
        place,
        &[&ann],
        &["auth.mechanisms = [\"PLAIN\", \"SCRAM-SHA-256\"]"],
    );
    let mut client = daemon.dial();
    client
        .ok("CAPABILITY")
        .contains("CAPABILITY AUTH=PLAIN AUTH=SCRAM-SHA-256 ...")
        .lacks("CAPABILITY AUTH=LOGIN ...");
    let mut client = daemon.dial_tls();
    client
        .ok("CAPABILITY")
        .contains("CAPABILITY AUTH=SCRAM-SHA-256 AUTH=SCRAM-SHA-256-PLUS ...");
    for way in ["plain", "tls", "tls-plus", "tls-downgraded", "tls-ir"] {
        let printed = place::succeed(&mut scram(&daemon, way, "ann", PASSWORD));
        assert_eq!(printed.trim(), "admitted: 2 messages", "{way}");
    }
    for way in ["plain", "tls", "tls-plus"] {
        let printed = place::succeed(&mut scram(&daemon, way, "ann", "wrong"));
        assert!(printed.contains("AUTHENTICATIONFAILED"), "{way}: {printed}");
        let printed = place::succeed(&mut scram(&daemon, way, "nobody-at-all", PASSWORD));
        assert!(printed.contains("AUTHENTICATIONFAILED"), "{way}: {printed}");
    }
    // The client says that it saw no -PLUS, but it was offered: somebody sits in between.
    let printed = place::succeed(&mut scram(&daemon, "tls-stripped", "ann", PASSWORD));
    assert!(printed.starts_with("refused"), "{printed}");
    let printed = place::succeed(&mut scram(&daemon, "tls-wrong-binding", "ann", PASSWORD));
    assert!(printed.starts_with("refused"), "{printed}");
    let printed = place::succeed(&mut scram(&daemon, "nonce-changed", "ann", PASSWORD));
    assert!(printed.starts_with("refused"), "{printed}");
    // Still for LOGIN too, of the same verifier.
    daemon.dial().ok(&format!("LOGIN ann {PASSWORD}"));
}

/// `tests/daemon/scram.py`: SCRAM in Python's own words.
fn scram(daemon: &Daemon, way: &str, user: &str, password: &str) -> std::process::Command {
    let script = daemon.place().write("scram.py", include_str!("scram.py"));
    let mut python = std::process::Command::new("python3");
    python
        .arg(script)
        .args([way, user, password])
        .args([daemon.port.to_string(), daemon.tls_port.to_string()]);
    python
}

#[test]
fn gsasl_logs_in_by_every_mechanism() {
    as_root!();
    if !std::path::Path::new("/usr/bin/gsasl").exists() {
        skip!("gsasl is not installed");
    }
    let place = Place::new();
    let ann = Virtual::new(&place, "ann", SCRAM);
    let daemon = passwd_file(
        place,
        &[&ann],
        &["auth.mechanisms = [\"PLAIN\", \"LOGIN\", \"SCRAM-SHA-256\"]"],
    );
    for (mechanism, password, admitted) in [
        ("PLAIN", PASSWORD, true),
        ("LOGIN", PASSWORD, true),
        ("SCRAM-SHA-256", PASSWORD, true),
        ("SCRAM-SHA-256-PLUS", PASSWORD, true),
        ("SCRAM-SHA-256", "wrong", false),
        ("SCRAM-SHA-256-PLUS", "wrong", false),
    ] {
        let mut gsasl = std::process::Command::new("gsasl");
        gsasl
            .args(["--imap", "--quiet", "--mechanism", mechanism])
            .args(["--authentication-id", "ann", "--password", password])
            .args(["--connect", &format!("localhost:{}", daemon.port)])
            .args(["--hostname", "localhost", "--x509-ca-file"])
            .arg(daemon.certificate_file());
        if !mechanism.ends_with("-PLUS") {
            // It does without -PLUS only if told to.
            gsasl.arg("--no-cb");
        }
        let (success, printed) = place::output(&mut gsasl);
        assert_eq!(success, admitted, "{mechanism}: {printed}");
    }
}
