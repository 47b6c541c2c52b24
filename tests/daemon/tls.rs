//! TLS: versions, what may go in the clear, garbage, handshakes that never end.

use std::io::Write;
use std::net::TcpStream;
use std::process::{Command, Stdio};

use crate::support::daemon::{line, rest, say};
use crate::support::*;

const PASSWORD: &str = User::PASSWORD;

/// Runs `openssl s_client` with these arguments, which sends `input` line by line; gives what both
/// sides printed.
pub fn s_client(port: u16, arguments: &[&str], input: &str) -> String {
    let mut command = Command::new("timeout");
    command
        .args(["60", "openssl", "s_client", "-crlf", "-ign_eof"])
        .args(["-connect", &format!("127.0.0.1:{port}")])
        .args(arguments)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    let mut child = command.spawn().expect("openssl");
    let mut stdin = child.stdin.take().expect("its input");
    let _ = stdin.write_all(input.as_bytes());
    drop(stdin);
    let output = child.wait_with_output().expect("its output");
    let mut printed = String::from_utf8_lossy(&output.stdout).into_owned();
    printed += &String::from_utf8_lossy(&output.stderr);
    printed
}

pub fn missing_openssl() -> Option<&'static str> {
    let found = Command::new("openssl").arg("version").output().is_ok();
    (!found).then_some("openssl is not installed")
}

pub fn python(daemon: &Daemon, way: &str, port: u16, arguments: &[&str]) -> String {
    let script = daemon.place().write("tls.py", include_str!("tls.py"));
    let mut command = Command::new("python3");
    command
        .arg(script)
        .args([way, &port.to_string()])
        .arg(daemon.certificate_file())
        .args(arguments);
    place::succeed(&mut command)
}

#[test]
fn openssl_logs_in_by_tls_1_2_and_1_3_from_the_start_and_by_starttls() {
    as_root!();
    if let Some(why) = missing_openssl() {
        skip!("{why}");
    }
    let alice = User::new();
    let daemon = Daemon::start(&[]);
    let ca = daemon.certificate_file().display().to_string();
    let input = format!("a1 {}\na2 SELECT INBOX\na3 LOGOUT\n", alice.login());
    for version in ["-tls1_2", "-tls1_3"] {
        for (port, starttls) in [(daemon.tls_port, None), (daemon.port, Some("imap"))] {
            let mut arguments = vec![version, "-CAfile", &ca, "-verify_return_error", "-quiet"];
            arguments.extend(starttls.map(|name| ["-starttls", name]).iter().flatten());
            let printed = s_client(port, &arguments, &input);
            assert!(
                printed.contains("a1 OK"),
                "{version} {starttls:?}: {printed}"
            );
            assert!(
                printed.contains("a2 OK") && printed.contains("a3 OK"),
                "{printed}"
            );
        }
    }
    let line = daemon.logs("Login: ");
    assert!(line.contains(", TLS, session=<"), "{line}");
}

#[test]
fn tls_below_1_2_is_refused_and_the_least_version_can_be_raised() {
    as_root!();
    if let Some(why) = missing_openssl() {
        skip!("{why}");
    }
    let mut daemon = Daemon::start(&[]);
    for version in ["-tls1", "-tls1_1"] {
        let arguments = [version, "-cipher", "ALL:@SECLEVEL=0", "-quiet"];
        let printed = s_client(daemon.tls_port, &arguments, "a1 LOGOUT\n");
        assert!(!printed.contains("* OK"), "{printed}");
        assert!(printed.contains("alert"), "{printed}");
    }
    let printed = s_client(daemon.tls_port, &["-tls1_2", "-quiet"], "a1 LOGOUT\n");
    assert!(printed.contains("a1 OK"), "{printed}");
    daemon.set("tls.min_version = \"1.3\"");
    daemon.restart();
    let printed = s_client(daemon.tls_port, &["-tls1_2", "-quiet"], "a1 LOGOUT\n");
    assert!(!printed.contains("* OK"), "{printed}");
    let printed = s_client(daemon.tls_port, &["-tls1_3", "-quiet"], "a1 LOGOUT\n");
    assert!(printed.contains("a1 OK"), "{printed}");
}

#[test]
pub fn python_speaks_starttls_and_resumes_sessions() {
    as_root!();
    let alice = User::new();
    let daemon = Daemon::start(&[]);
    let printed = python(&daemon, "starttls", daemon.port, &[&alice.name, PASSWORD]);
    assert_eq!(printed, "OK\nTLSv1.3 OK\nOK\n");
    let printed = python(&daemon, "resumed", daemon.tls_port, &[]);
    assert_eq!(printed, "TLSv1_2 resumed OK\nTLSv1_3 resumed OK\n");
}

#[test]
fn what_was_sent_behind_starttls_in_the_clear_is_never_looked_at() {
    as_root!();
    let alice = User::new();
    let daemon = Daemon::start(&[]);
    let certificate = daemon.certificate();
    for behind in [
        "x2 NOOP\r\n",
        "x2 LOGIN {5}\r\n",
        "x2 AUTHENTICATE PLAIN\r\n",
        "half a comm",
    ] {
        let mut client = daemon.dial();
        client.send_raw(format!("x1 STARTTLS\r\n{behind}").as_bytes());
        assert_eq!(client.finish("x1").tagged.word(), "OK");
        client.start_tls(&certificate);
        let capability = client.ok("CAPABILITY");
        capability
            .lacks("CAPABILITY STARTTLS ...")
            .lacks("CAPABILITY LOGINDISABLED ...");
        assert_eq!(capability.untagged.len(), 1, "{capability}");
        client.bad("STARTTLS");
        client.ok(&alice.login());
        client.ok("SELECT INBOX");
    }
}

#[test]
fn garbage_instead_of_tls_closes_that_connection_and_no_other() {
    as_root!();
    let alice = User::new();
    let daemon = Daemon::start(&[]);
    let mut good = daemon.connect_tls(&alice);
    let front = daemon.front();
    let long = vec![0x16; 70_000];
    let oversized = [&[0x16, 3, 3, 0xff, 0xff][..], &[1; 0xffff]].concat();
    let garbage: [&[u8]; 9] = [
        b"a1 LOGIN x y\r\n",
        b"GET / HTTP/1.0\r\n\r\n",
        b"\0\0\0\0\0\0\0\0\0\0\0\0",
        b"\x80\x2e\x01\x00\x02",
        // An empty handshake record, an alert, application data.
        b"\x16\x03\x01\x00\x00\x16\x03\x01\x00\x00",
        b"\x15\x03\x03\x00\x02\x02\x28",
        b"\x17\x03\x03\x00\x01x",
        &long,
        &oversized,
    ];
    for bytes in garbage {
        for starttls in [false, true] {
            let mut tcp = if starttls {
                daemon.tcp()
            } else {
                tls_tcp(&daemon)
            };
            if starttls {
                say(&mut tcp, b"a1 STARTTLS\r\n");
                while !line(&mut tcp).expect("an answer").starts_with("a1 OK") {}
            }
            say(&mut tcp, bytes);
            tcp.shutdown(std::net::Shutdown::Write).ok();
            let said = rest(&mut tcp);
            assert!(!said.contains("OK") && !said.contains("BAD"), "{said}");
        }
    }
    good.ok("SELECT INBOX");
    daemon.connect_tls(&alice).ok("NOOP");
    assert_eq!(daemon.front(), front, "the front was started anew");
}

#[test]
fn handshakes_that_never_end_hold_up_nobody() {
    as_root!();
    let alice = User::new();
    let daemon = Daemon::start(&["auth.login_timeout = \"1h\""]);
    let hello = b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03";
    let mut open = Vec::new();
    for n in 0..60 {
        let mut tcp = tls_tcp(&daemon);
        say(&mut tcp, &hello[..n % hello.len()]);
        open.push(tcp);
    }
    daemon.connect_tls(&alice).ok("SELECT INBOX");
    daemon.connect(&alice).ok("SELECT INBOX");
    drop(open);
    daemon.connect_tls(&alice).ok("SELECT INBOX");
}

#[test]
fn renegotiation_is_refused_and_harms_nobody() {
    as_root!();
    if let Some(why) = missing_openssl() {
        skip!("{why}");
    }
    let alice = User::new();
    let daemon = Daemon::start(&[]);
    let mut other = daemon.connect_tls(&alice);
    let front = daemon.front();
    // "R" asks s_client to renegotiate; it does so again and again.
    let mut command = Command::new("timeout");
    command
        .args(["20", "openssl", "s_client", "-tls1_2", "-crlf"])
        .args(["-connect", &format!("127.0.0.1:{}", daemon.tls_port)])
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::null());
    let mut child = command.spawn().expect("openssl");
    let mut stdin = child.stdin.take().expect("its input");
    for _ in 0..20 {
        if stdin.write_all(b"R\n").is_err() {
            break;
        }
    }
    drop(stdin);
    child.wait().expect("its end");
    other.ok("SELECT INBOX");
    assert_eq!(daemon.front(), front);
    daemon.connect_tls(&alice).ok("NOOP");
}

#[test]
fn much_mail_goes_both_ways_through_tls_unchanged() {
    as_root!();
    let alice = User::new();
    let daemon = Daemon::start(&[]);
    let mut client = daemon.connect_tls(&alice);
    let line =
        "All of this is of one line, and there are many of them, each as long as the others.\n";
    let message = format!("Subject: large\n\n{}", line.repeat(60_000));
    client.append("INBOX", message.as_bytes());
    client.ok("SELECT INBOX").contains("1 EXISTS");
    let fetched = client.ok("FETCH 1 BODY.PEEK[]").bytes(1, "BODY[]");
    assert!(fetched == crlf(message.as_bytes()));
    client.logout();
}

#[test]
fn a_password_goes_in_the_clear_within_the_host_only() {
    as_root!();
    let alice = User::new();
    let proxy = free_port();
    let mut daemon = Daemon::start(&[
        &format!("listen.imap_proxy = [\"127.0.0.1:{proxy}\"]"),
        "listen.trusted_proxies = [\"127.0.0.0/8\"]",
    ]);
    let from = |address: &str| {
        let mut tcp = TcpStream::connect(("127.0.0.1", proxy)).expect("a connection");
        tcp.set_read_timeout(Some(patience())).expect("a timeout");
        say(
            &mut tcp,
            format!("PROXY TCP4 {address} 192.0.2.77 4711 143\r\n").as_bytes(),
        );
        let mut client = Daemon::client_of(tcp);
        client.read();
        client
    };
    let certificate = daemon.certificate();
    let mut far = from("203.0.113.5");
    far.ok("CAPABILITY")
        .contains("CAPABILITY LOGINDISABLED STARTTLS ...")
        .lacks("CAPABILITY AUTH=PLAIN ...")
        .lacks("CAPABILITY AUTH=LOGIN ...");
    far.no(&alice.login()).code("PRIVACYREQUIRED");
    far.no("AUTHENTICATE PLAIN").code("PRIVACYREQUIRED");
    far.no("AUTHENTICATE LOGIN dXNlcg==")
        .code("PRIVACYREQUIRED");
    far.ok("STARTTLS");
    far.start_tls(&certificate);
    far.ok("CAPABILITY")
        .lacks("CAPABILITY LOGINDISABLED ...")
        .contains("CAPABILITY AUTH=PLAIN ...");
    far.ok(&alice.login());
    let mut far = from("203.0.113.6");
    far.no(&alice.login());
    far.logout();
    let line = daemon.logs("tried to use disallowed plaintext auth");
    assert!(line.contains("rip=203.0.113.6, lip=192.0.2.77"), "{line}");
    // The same host.
    let mut near = daemon.dial();
    near.ok("CAPABILITY")
        .lacks("CAPABILITY LOGINDISABLED ...")
        .contains("CAPABILITY STARTTLS ...");
    near.ok(&alice.login());

    daemon.set("tls.required = \"always\"");
    daemon.restart();
    let mut near = daemon.dial();
    near.ok("CAPABILITY")
        .contains("CAPABILITY LOGINDISABLED ...");
    near.no(&alice.login()).code("PRIVACYREQUIRED");
    daemon.connect_tls(&alice).ok("SELECT INBOX");

    daemon.set("tls.required = \"no\"");
    daemon.restart();
    let mut far = from("203.0.113.5");
    far.ok("CAPABILITY")
        .contains("CAPABILITY STARTTLS ...")
        .lacks("CAPABILITY LOGINDISABLED ...");
    far.ok(&alice.login());

    daemon.set("tls.required = \"off\"");
    daemon.set("listen.imaps = []");
    daemon.restart();
    let mut far = from("203.0.113.5");
    far.ok("CAPABILITY")
        .lacks("CAPABILITY STARTTLS ...")
        .lacks("CAPABILITY LOGINDISABLED ...");
    let reply = far.command("STARTTLS");
    assert_ne!(reply.tagged.word(), "OK");
    far.ok(&alice.login());
}

fn tls_tcp(daemon: &Daemon) -> TcpStream {
    let tcp = TcpStream::connect(("127.0.0.1", daemon.tls_port)).expect("a connection");
    tcp.set_read_timeout(Some(patience())).expect("a timeout");
    tcp
}
