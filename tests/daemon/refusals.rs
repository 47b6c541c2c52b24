//! What the log says of those who are turned away before they have logged in: who, why, and what to
//! change.

use std::net::{IpAddr, Ipv4Addr, TcpStream};

use crate::support::daemon::{line, rest, say, tcp_from};
use crate::support::*;

fn from(daemon: &Daemon, last: u8, port: u16) -> TcpStream {
    let to = (daemon.address().ip(), port).into();
    tcp_from(IpAddr::V4(Ipv4Addr::new(127, 0, 0, last)), to).expect("a connection")
}

/// The line of the log about the client from 127.0.0.`last`, which has all these words in it.
fn line_of(daemon: &Daemon, last: u8, words: &[&str]) -> String {
    let address = format!("rip=127.0.0.{last}");
    eventually(&format!("a line with {address} and {words:?}"), || {
        let log = daemon.log();
        let mut lines = log.lines().filter(|line| line.contains(&address));
        let found = lines.find(|line| words.iter().all(|word| line.contains(word)));
        found.map(str::to_owned)
    })
}

#[test]
fn a_client_that_is_refused_before_login_has_a_line_with_reason_and_setting() {
    as_root!();
    let daemon = Daemon::start(&["tls.required = \"always\""]);
    let plain = daemon.address().port();
    for (last, script, words) in [
        (
            2,
            &b"a LOGIN bob secret\r\nb LOGOUT\r\n"[..],
            &[
                "(tried to use disallowed plaintext auth): user=<>",
                ", see tls.required, session=<",
            ][..],
        ),
        (
            3,
            b"a AUTHENTICATE XOAUTH2 Ym9i\r\nb LOGOUT\r\n",
            &[
                "(tried to use unsupported auth mechanism)",
                ", see auth.mechanisms, session=<",
            ],
        ),
        (
            4,
            b"a SELECT\r\nb NONSENSE\r\nc\r\n",
            &["Disconnected: Too many invalid commands (no auth attempts"],
        ),
        (
            5,
            &b"a NOOP\r\n".repeat(200),
            &["Disconnected: Too many commands (no auth attempts"],
        ),
        (
            6,
            &b"x".repeat(40_000),
            &["Disconnected: Too long a command (no auth attempts"],
        ),
    ] {
        let mut tcp = from(&daemon, last, plain);
        say(&mut tcp, script);
        rest(&mut tcp);
        let line = line_of(&daemon, last, words);
        assert!(line.contains("imap-login: "), "{line}");
    }
    let mut tcp = from(&daemon, 7, daemon.tls_port);
    say(&mut tcp, b"a LOGIN bob secret\r\n");
    rest(&mut tcp);
    line_of(&daemon, 7, &["TLS handshaking: ", "corrupt message"]);
}

#[test]
fn a_client_for_whom_there_is_no_place_has_a_line_under_tls_too() {
    as_root!();
    let daemon = Daemon::start(&[
        "limits.waiting_connections_per_address = 2",
        "limits.waiting_connections = 5",
    ]);
    let (plain, tls) = (daemon.address().port(), daemon.tls_port);
    let mut held = Vec::new();
    for last in [2, 3] {
        for _ in 0..2 {
            let mut tcp = from(&daemon, last, plain);
            line(&mut tcp);
            held.push(tcp);
        }
    }
    let words = [
        "Disconnected: Too many connections from the same address have not logged in (",
        ", see limits.waiting_connections_per_address, session=<",
    ];
    let said = rest(&mut from(&daemon, 2, plain));
    assert!(said.starts_with("* BYE [LIMIT] "), "{said}");
    line_of(&daemon, 2, &words);
    rest(&mut from(&daemon, 3, tls));
    line_of(&daemon, 3, &words);
    // One more is in its place, and the next has the place of somebody else.
    for last in [4, 5] {
        let mut tcp = from(&daemon, last, plain);
        line(&mut tcp);
        held.push(tcp);
    }
    daemon.logs("Disconnected: Too many connections have not logged in (");
    daemon.logs(", see limits.waiting_connections, session=<");
}

#[test]
fn a_delay_and_the_end_of_patience_are_told_with_their_settings() {
    as_root!();
    let daemon = Daemon::start(&["auth.penalty = \"1h\"", "auth.login_timeout = \"4s\""]);
    let mut first = daemon.dial_from([127, 0, 0, 2]);
    first.no("LOGIN nobody guess");
    let mut second = daemon.dial_from([127, 0, 0, 2]);
    second.start("LOGIN nobody other");
    let line = line_of(&daemon, 2, &["Delayed for ", ", see auth.penalty: "]);
    assert!(line.contains("user=<nobody>, method=PLAIN"), "{line}");
    let mut silent = from(&daemon, 3, daemon.address().port());
    rest(&mut silent);
    line_of(
        &daemon,
        3,
        &[
            "Disconnected: Inactivity (",
            ", see auth.login_timeout, session=<",
        ],
    );
}
