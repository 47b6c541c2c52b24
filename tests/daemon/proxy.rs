//! The PROXY protocol: whom a proxy may speak for, and what becomes of a wrong header.

use std::io::Write;
use std::net::{IpAddr, SocketAddr, TcpStream};

use crate::support::daemon::{line, rest, say, tcp_from};
use crate::support::*;

struct Proxied {
    daemon: Daemon,
    port: u16,
    tls_port: u16,
}

/// A daemon that believes 127.0.0.2 and nobody else.
fn start() -> Proxied {
    let (port, tls_port) = (free_port(), free_port());
    let daemon = Daemon::start(&[
        &format!("listen.imap_proxy = [\"127.0.0.1:{port}\"]"),
        &format!("listen.imaps_proxy = [\"127.0.0.1:{tls_port}\"]"),
        "listen.trusted_proxies = [\"127.0.0.2/32\", \"2001:db8::/32\"]",
        "tls.required = \"no\"",
    ]);
    Proxied {
        daemon,
        port,
        tls_port,
    }
}

impl Proxied {
    fn from(&self, address: [u8; 4]) -> TcpStream {
        let to = SocketAddr::from(([127, 0, 0, 1], self.port));
        tcp_from(IpAddr::from(address), to).expect("a connection")
    }

    fn dial(&self, header: &[u8]) -> Client {
        let mut tcp = self.from([127, 0, 0, 2]);
        say(&mut tcp, header);
        let mut client = Daemon::client_of(tcp);
        let greeting = client.read();
        assert!(greeting.matches("OK ..."), "{greeting}");
        client
    }
}

/// How many lines with these words there would be if the log did not go into details.
fn told(daemon: &Daemon, words: &str) -> usize {
    let log = daemon.log();
    let lines = log.lines().filter(|line| !line.contains("debug: "));
    lines.filter(|line| line.contains(words)).count()
}

/// A header of version 2: command, family and protocol, addresses and more.
fn version_2(command: u8, family: u8, rest: &[u8]) -> Vec<u8> {
    let mut header = b"\r\n\r\n\0\r\nQUIT\n".to_vec();
    header.extend([0x20 | command, family]);
    header.extend(u16::try_from(rest.len()).expect("a length").to_be_bytes());
    header.extend(rest);
    header
}

const V4: &[u8] = &[203, 0, 113, 9, 192, 0, 2, 1, 0x12, 0x67, 0, 143];

#[test]
fn the_address_in_the_header_of_a_trusted_proxy_is_the_clients() {
    as_root!();
    let alice = User::new();
    let proxied = start();
    let mut v6 = [0_u8; 36];
    v6[..4].copy_from_slice(&[0x20, 1, 0x0d, 0xb8]);
    v6[15] = 9;
    v6[16..20].copy_from_slice(&[0x20, 1, 0x0d, 0xb8]);
    v6[31] = 1;
    let with_extras = [V4, &[0x04, 0, 3, 0, 0, 0], &[0xe0, 0, 1, 7]].concat();
    for (header, address) in [
        (
            b"PROXY TCP4 203.0.113.5 192.0.2.1 4711 143\r\n".to_vec(),
            "rip=203.0.113.5, lip=192.0.2.1,",
        ),
        (
            b"PROXY TCP6 2001:db8::7 2001:db8::1 4711 143\r\n".to_vec(),
            "rip=2001:db8::7, lip=2001:db8::1,",
        ),
        (version_2(1, 0x11, V4), "rip=203.0.113.9, lip=192.0.2.1,"),
        (version_2(1, 0x21, &v6), "rip=2001:db8::9, lip=2001:db8::1,"),
        (
            version_2(1, 0x11, &with_extras),
            "rip=203.0.113.9, lip=192.0.2.1,",
        ),
    ] {
        let before = proxied.daemon.count(address);
        let mut client = proxied.dial(&header);
        client.ok(&alice.login());
        client.ok("SELECT INBOX");
        eventually(address, || {
            (proxied.daemon.count(address) > before).then_some(())
        });
        client.logout();
    }
    // Of the proxy itself (a health check): its own address, of which there is a line if somebody
    // logs in.
    for header in [
        b"PROXY UNKNOWN\r\n".to_vec(),
        version_2(0, 0, &[]),
        version_2(0, 0x11, V4),
    ] {
        let mut client = proxied.dial(&header);
        client.ok("NOOP");
        client.logout();
        assert_eq!(told(&proxied.daemon, "rip=127.0.0.2"), 0);
    }
    let mut client = proxied.dial(&version_2(0, 0, &[]));
    client.ok(&alice.login());
    proxied.daemon.logs("rip=127.0.0.2");
}

/// PP2_TYPE_SSL with PP2_CLIENT_SSL, verify 0, and the version.
const SSL: &[u8] = b"\x20\x00\x0f\x01\x00\x00\x00\x00\x21\x00\x07TLSv1.3";

#[test]
fn who_came_by_tls_to_a_trusted_proxy_counts_as_under_tls() {
    as_root!();
    let alice = User::new();
    let port = free_port();
    let place = Place::new();
    let authority = Certificate::new(&["clients.example"])
        .write(&place, "clients")
        .0;
    let daemon = Daemon::start_in(
        place,
        &[
            &format!("listen.imap_proxy = [\"127.0.0.1:{port}\"]"),
            "listen.trusted_proxies = [\"127.0.0.2\"]",
            "auth.mechanisms = [\"PLAIN\", \"EXTERNAL\"]",
            &format!("tls.client_ca = \"{}\"", authority.display()),
            "tls.client_certificate = \"optional\"",
        ],
    );
    let greeted = |header: &[u8]| {
        let to = SocketAddr::from(([127, 0, 0, 1], port));
        let mut tcp = tcp_from(IpAddr::from([127, 0, 0, 2]), to).expect("a connection");
        say(&mut tcp, header);
        let greeting = line(&mut tcp).expect("a greeting");
        (tcp, greeting)
    };
    let (tcp, greeting) = greeted(&version_2(1, 0x11, &[V4, SSL].concat()));
    assert!(greeting.contains(" AUTH=PLAIN"), "{greeting}");
    for word in ["STARTTLS", "LOGINDISABLED", "EXTERNAL"] {
        assert!(!greeting.contains(word), "{greeting}");
    }
    let mut client = Daemon::client_of(tcp);
    client.bad("STARTTLS");
    client.ok(&alice.login());
    client.ok("SELECT INBOX");
    let line = daemon.logs("Login: ");
    assert!(
        line.contains("rip=203.0.113.9") && line.contains(", TLS, "),
        "{line}"
    );
    let who = daemon.ask(&["who"]);
    assert!(who.contains(" yes "), "{who}");
    // Without, with a certificate but without TLS, by version 1, and when the proxy speaks for
    // itself.
    let without = b"\x20\x00\x05\x06\x00\x00\x00\x00";
    for header in [
        version_2(1, 0x11, V4),
        version_2(1, 0x11, &[V4, without].concat()),
        b"PROXY TCP4 203.0.113.5 192.0.2.1 4711 993\r\n".to_vec(),
        version_2(0, 0, SSL),
    ] {
        let (_, greeting) = greeted(&header);
        assert!(
            greeting.contains(" STARTTLS") && greeting.contains("LOGINDISABLED"),
            "{greeting}"
        );
    }
}

#[test]
fn a_certificate_that_only_a_proxy_has_seen_is_none() {
    as_root!();
    let alice = User::new();
    let port = free_port();
    let place = Place::new();
    let authority = Certificate::new(&["clients.example"])
        .write(&place, "clients")
        .0;
    let _daemon = Daemon::start_in(
        place,
        &[
            &format!("listen.imap_proxy = [\"127.0.0.1:{port}\"]"),
            "listen.trusted_proxies = [\"127.0.0.2\"]",
            "auth.mechanisms = [\"PLAIN\", \"EXTERNAL\"]",
            &format!("tls.client_ca = \"{}\"", authority.display()),
            "tls.client_certificate = \"required\"",
        ],
    );
    let to = SocketAddr::from(([127, 0, 0, 1], port));
    let mut tcp = tcp_from(IpAddr::from([127, 0, 0, 2]), to).expect("a connection");
    // PP2_CLIENT_SSL, PP2_CLIENT_CERT_CONN and _SESS, verify 0, and a common name.
    let name = alice.name.as_bytes();
    let length = u8::try_from(name.len()).expect("a length");
    let with_name = [
        &[0x20, 0, 8 + length, 7, 0, 0, 0, 0, 0x22, 0, length][..],
        name,
    ]
    .concat();
    say(&mut tcp, &version_2(1, 0x11, &[V4, &with_name].concat()));
    let greeting = line(&mut tcp).expect("a greeting");
    assert!(
        greeting.contains("LOGINDISABLED") && !greeting.contains("EXTERNAL"),
        "{greeting}"
    );
    let mut client = Daemon::client_of(tcp);
    client.no(&alice.login()).code("PRIVACYREQUIRED");
    client.no("AUTHENTICATE EXTERNAL =");
}

#[test]
fn whoever_only_looks_whether_somebody_is_there_leaves_no_line() {
    as_root!();
    let alice = User::new();
    let proxied = start();
    let quiet = |tcp: TcpStream| {
        let _ = tcp.shutdown(std::net::Shutdown::Write);
        rest(&mut { tcp });
    };
    let listening = proxied.daemon.tls_port;
    for _ in 0..3 {
        // Gone at once, or when the greeting has come; by a reset too.
        drop(proxied.daemon.tcp());
        quiet(proxied.daemon.tcp());
        let mut greeted = proxied.daemon.tcp();
        line(&mut greeted);
        drop(greeted);
        let tls = || TcpStream::connect(("127.0.0.1", listening)).expect("a connection");
        drop(tls());
        quiet(tls());
        drop(proxied.from([127, 0, 0, 2]));
        quiet(proxied.from([127, 0, 0, 2]));
        for header in [version_2(0, 0, &[]), b"PROXY UNKNOWN\r\n".to_vec()] {
            let mut tcp = proxied.from([127, 0, 0, 2]);
            say(&mut tcp, &header);
            quiet(tcp);
        }
        let mut tcp = proxied.from([127, 0, 0, 2]);
        say(&mut tcp, &version_2(1, 0x11, V4));
        quiet(tcp);
    }
    // Somebody who says anything has a line, and by then those before would have theirs.
    let mut tcp = proxied.daemon.tcp();
    say(&mut tcp, b"a1 NOOP\r\n");
    quiet(tcp);
    eventually("its line", || {
        (told(&proxied.daemon, "no auth attempts") > 0).then_some(())
    });
    proxied.daemon.connect_tls(&alice).logout();
    for (words, count) in [("no auth attempts", 1), ("handshaking", 0), ("haproxy", 0)] {
        let log = proxied.daemon.log();
        assert_eq!(told(&proxied.daemon, words), count, "{words}: {log}");
    }
}

#[test]
fn a_header_may_come_in_pieces_and_commands_right_behind_it() {
    as_root!();
    let alice = User::new();
    let proxied = start();
    for header in [
        b"PROXY TCP4 203.0.113.5 192.0.2.1 4711 143\r\n".to_vec(),
        version_2(1, 0x11, V4),
    ] {
        let mut tcp = proxied.from([127, 0, 0, 2]);
        for octet in &header {
            tcp.write_all(&[*octet]).expect("sent");
        }
        assert!(line(&mut tcp).expect("a greeting").starts_with("* OK"));
        let mut tcp = proxied.from([127, 0, 0, 2]);
        let all = [
            &header[..],
            format!("a1 {}\r\na2 LOGOUT\r\n", alice.login()).as_bytes(),
        ]
        .concat();
        tcp.write_all(&all).expect("sent");
        let said = rest(&mut tcp);
        assert!(said.contains("a1 OK") && said.contains("a2 OK"), "{said}");
    }
}

#[test]
fn under_tls_the_header_comes_before_the_handshake() {
    as_root!();
    let alice = User::new();
    let proxied = start();
    let to = SocketAddr::from(([127, 0, 0, 1], proxied.tls_port));
    let mut tcp = tcp_from(IpAddr::from([127, 0, 0, 2]), to).expect("a connection");
    say(&mut tcp, &version_2(1, 0x11, V4));
    let certificate = proxied.daemon.certificate();
    let mut client = daemon::client_over_tls(tcp, &certificate);
    client.read();
    client.ok(&alice.login());
    let line = proxied.daemon.logs("Login: ");
    assert!(
        line.contains("rip=203.0.113.9") && line.contains(", TLS"),
        "{line}"
    );
}

#[test]
fn nobody_else_may_say_who_the_client_is() {
    as_root!();
    let proxied = start();
    for address in [[127, 0, 0, 1], [127, 0, 0, 3]] {
        let mut tcp = proxied.from(address);
        say(&mut tcp, b"PROXY TCP4 203.0.113.5 192.0.2.1 4711 143\r\n");
        let said = rest(&mut tcp);
        assert!(!said.contains("* OK"), "{said}");
    }
    assert_eq!(proxied.daemon.count("203.0.113.5"), 0);
    // Who it was and what to change is in the log.
    let line_of = |ip: &str| {
        proxied
            .daemon
            .logs(&format!("Client not trusted (rip={ip})"))
    };
    assert!(line_of("127.0.0.1").contains("see listen.trusted_proxies"));
    assert!(line_of("127.0.0.3").contains("imap-login: haproxy: "));
    // Not on a listener that asks for no header.
    let mut tcp =
        tcp_from(IpAddr::from([127, 0, 0, 2]), proxied.daemon.address()).expect("a connection");
    assert!(line(&mut tcp).expect("a greeting").starts_with("* OK"));
    say(
        &mut tcp,
        b"PROXY TCP4 203.0.113.5 192.0.2.1 4711 143\r\na2 LOGOUT\r\n",
    );
    assert!(rest(&mut tcp).contains("BAD"));
    assert_eq!(proxied.daemon.count("203.0.113.5"), 0);
}

#[test]
fn a_wrong_header_ends_the_connection_without_a_word_and_no_other() {
    as_root!();
    let alice = User::new();
    let proxied = start();
    let front = proxied.daemon.front();
    let long = [b"PROXY TCP4 ".to_vec(), vec![b'1'; 1000]].concat();
    let mut too_long = version_2(1, 0x11, V4);
    too_long[14] = 0xff;
    too_long.extend(vec![0; 70_000]);
    let headers: Vec<Vec<u8>> = vec![
        b"a1 LOGIN x y\r\n".to_vec(),
        b"PROXY\r\n".to_vec(),
        b"PROXY TCP4\r\n".to_vec(),
        b"PROXY TCP4 203.0.113.5 192.0.2.1 4711\r\n".to_vec(),
        b"PROXY TCP4 203.0.113.500 192.0.2.1 4711 143\r\n".to_vec(),
        b"PROXY TCP4 203.0.113.5 192.0.2.1 4711 99999\r\n".to_vec(),
        b"PROXY TCP6 203.0.113.5 192.0.2.1 4711 143\r\n".to_vec(),
        b"PROXY TCP4 203.0.113.5 192.0.2.1 4711 143\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n".to_vec(),
        b"proxy TCP4 203.0.113.5 192.0.2.1 4711 143\r\n".to_vec(),
        long,
        version_2(2, 0x11, V4),
        version_2(1, 0x11, &V4[..8]),
        too_long,
        version_2(1, 0x11, &[V4, b"\x03\x00\x04\0\0\0\0"].concat()),
        version_2(1, 0x11, &[V4, b"\x20\x00\x01\x01"].concat()),
        b"\r\n\r\n\0\r\nQUIT\n\x11\x11\0\x0c".to_vec(),
        b"\r\n\r\n\0\r\nNONSENSE".to_vec(),
    ];
    for header in headers {
        let mut tcp = proxied.from([127, 0, 0, 2]);
        say(&mut tcp, &header);
        let _ = tcp.shutdown(std::net::Shutdown::Write);
        let said = rest(&mut tcp);
        assert!(
            !said.contains("* OK"),
            "{:?}: {said}",
            String::from_utf8_lossy(&header)
        );
    }
    proxied.daemon.connect(&alice).ok("NOOP");
    assert_eq!(proxied.daemon.front(), front);
    for reason in [
        "there is no PROXY header",
        "there is something wrong with its PROXY line",
        "its PROXY header is of an unknown kind",
        "its PROXY header is too short for its addresses",
        "its PROXY header is too long",
        "its PROXY header does not match the checksum in it",
        "there is something wrong with an extension in its PROXY header",
    ] {
        let line = proxied.daemon.logs(reason);
        assert!(
            line.contains("(rip=127.0.0.2)") && line.contains("see listen.imap_proxy"),
            "{line}"
        );
    }
}
