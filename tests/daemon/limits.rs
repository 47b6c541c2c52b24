//! Clients that mean harm, or are many: what one client can cost, and that the others are served.

use std::io::Write;
use std::net::{IpAddr, Ipv4Addr, TcpStream};
use std::time::Duration;

use crate::support::daemon::{line, rest, say, tcp_from};
use crate::support::*;

/// A connection from 127.0.0.`last`, nothing read.
fn from(daemon: &Daemon, last: u8) -> TcpStream {
    tcp_from(IpAddr::V4(Ipv4Addr::new(127, 0, 0, last)), daemon.address()).expect("a connection")
}

fn is_greeting(line: &Option<String>) -> bool {
    line.as_ref().is_some_and(|line| line.starts_with("* OK"))
}

#[test]
fn a_client_that_does_not_log_in_in_time_is_sent_away_however_busy_it_is() {
    as_root!();
    let daemon = Daemon::start(&["auth.login_timeout = \"1s\""]);
    let mut silent = daemon.tcp();
    let mut half = daemon.tcp();
    say(&mut half, b"a1 LOG");
    let mut in_sasl = daemon.tcp();
    say(&mut in_sasl, b"a1 AUTHENTICATE PLAIN\r\n");
    let mut in_literal = daemon.tcp();
    say(&mut in_literal, b"a1 LOGIN {5}\r\n");
    let mut no_handshake =
        TcpStream::connect(("127.0.0.1", daemon.tls_port)).expect("a connection");
    no_handshake
        .set_read_timeout(Some(patience()))
        .expect("a timeout");
    let mut busy = daemon.tcp();
    busy.set_nonblocking(true).expect("non-blocking");
    eventually("the busy one to be sent away", || {
        let sent = busy.write(b"a1 NOOP\r\n");
        let gone = sent.is_err_and(|e| e.kind() != std::io::ErrorKind::WouldBlock);
        gone.then_some(())
    });
    for tcp in [&mut silent, &mut half, &mut in_sasl, &mut in_literal] {
        let said = rest(tcp);
        assert!(said.contains("* BYE "), "{said}");
    }
    rest(&mut no_handshake);
    daemon.logs("Inactivity");
}

#[test]
fn a_flood_from_one_address_leaves_the_others_served() {
    as_root!();
    let alice = User::new();
    let daemon = Daemon::start(&["limits.waiting_connections_per_address = 5"]);
    let front = daemon.front();
    let mut flood: Vec<TcpStream> = (0..20).map(|_| from(&daemon, 2)).collect();
    let greeted: Vec<bool> = flood
        .iter_mut()
        .map(|tcp| is_greeting(&line(tcp)))
        .collect();
    assert_eq!(
        greeted.iter().filter(|&&greeted| greeted).count(),
        5,
        "{greeted:?}"
    );
    daemon.connect(&alice).ok("SELECT INBOX");
    daemon.connect_tls(&alice).ok("SELECT INBOX");
    assert!(is_greeting(&line(&mut from(&daemon, 3))));
    drop(flood);
    eventually("a greeting again", || {
        is_greeting(&line(&mut from(&daemon, 2))).then_some(())
    });
    assert_eq!(daemon.front(), front);
}

/// As many clients from each of 20 addresses, each of which says this and then nothing.
fn silent_clients(daemon: &Daemon, port: u16, each: usize, words: &[u8]) -> Vec<TcpStream> {
    let mut clients = Vec::new();
    for address in 10..30 {
        for _ in 0..each {
            let to = (Ipv4Addr::LOCALHOST, port).into();
            let from = IpAddr::V4(Ipv4Addr::new(127, 0, 0, address));
            let mut tcp = tcp_from(from, to).expect("a connection");
            if port == daemon.address().port() {
                assert!(is_greeting(&line(&mut tcp)));
            }
            say(&mut tcp, words);
            clients.push(tcp);
        }
    }
    clients
}

#[test]
fn a_client_that_says_nothing_in_an_exchange_delays_no_other() {
    as_root!();
    let alice = User::new();
    let place = Place::new();
    let users = place.write("users", "scram:{PLAIN}secret:58322:58322::/nowhere::\n");
    let daemon = Daemon::start_in(
        place,
        &[
            "auth.mechanisms = [\"PLAIN\", \"LOGIN\", \"SCRAM-SHA-256\"]",
            &format!(
                "auth.sources = [\"passwd-file:{}\", \"pam\"]",
                users.display()
            ),
            // Nobody is waited for until one of them gives up.
            "auth.login_timeout = \"1h\"",
            "auth.timeout = \"1h\"",
            "auth.processes = 8",
            "tls.required = \"no\"",
        ],
    );
    let plain = daemon.address().port();
    for words in [
        // n,,n=scram,r=abcdefgh
        &b"a1 AUTHENTICATE SCRAM-SHA-256 biwsbj1zY3JhbSxyPWFiY2RlZmdo\r\n"[..],
        b"a1 AUTHENTICATE SCRAM-SHA-256\r\n",
        b"a1 AUTHENTICATE PLAIN\r\n",
        b"a1 AUTHENTICATE LOGIN\r\n",
        b"a1 LOGIN {5}\r\n",
    ] {
        let mut silent = silent_clients(&daemon, plain, 3, words);
        for tcp in &mut silent {
            assert!(line(tcp).expect("an answer").starts_with("+ "));
        }
        daemon.connect(&alice).ok("SELECT INBOX");
        daemon.connect_tls(&alice).ok("SELECT INBOX");
    }
    for words in [&b""[..], b"\x16\x03\x01"] {
        let _silent = silent_clients(&daemon, daemon.tls_port, 3, words);
        daemon.connect(&alice).ok("SELECT INBOX");
        daemon.connect_tls(&alice).ok("SELECT INBOX");
    }
    assert_eq!(daemon.count("takes too long"), 0);
    daemon.logs("auth.processes");
}

#[test]
fn who_has_logged_in_does_not_count_among_those_who_wait() {
    as_root!();
    let alice = User::new();
    let daemon = Daemon::start(&["limits.waiting_connections_per_address = 2"]);
    let mut clients: Vec<Client> = (0..6)
        .map(|n| {
            if n % 2 == 0 {
                daemon.connect(&alice)
            } else {
                daemon.connect_tls(&alice)
            }
        })
        .collect();
    for client in &mut clients {
        client.ok("NOOP");
    }
}

#[test]
fn too_many_waiting_clients_end_no_session_and_the_next_are_served_when_they_have_gone() {
    as_root!();
    let alice = User::new();
    let daemon = Daemon::start(&["limits.waiting_connections = 10"]);
    let mut served = daemon.connect_tls(&alice);
    let flood: Vec<TcpStream> = (0..40).map(|n| from(&daemon, 10 + n % 5)).collect();
    served.ok("SELECT INBOX");
    drop(flood);
    eventually("a greeting again", || {
        let mut tcp = daemon.tcp();
        tcp.set_read_timeout(Some(Duration::from_secs(5)))
            .expect("a timeout");
        is_greeting(&line(&mut tcp)).then_some(())
    });
    daemon.connect(&alice).ok("SELECT INBOX");
    served.ok("NOOP");
}

#[test]
fn a_user_has_so_many_connections_from_one_address_and_is_told_which_setting_says_so() {
    as_root!();
    let (alice, bob) = (User::new(), User::new());
    let daemon = Daemon::start(&["limits.connections_per_user_and_address = 2"]);
    let first = daemon.connect(&alice);
    let mut second = daemon.connect_tls(&alice);
    for mut third in [daemon.dial(), daemon.dial_tls()] {
        let reply = third.no(&alice.login());
        reply.code("LIMIT");
        assert!(
            format!("{reply}").contains("limits.connections_per_user_and_address"),
            "{reply}"
        );
        third.ok("NOOP");
    }
    daemon.connect(&bob).ok("NOOP");
    daemon.dial_from([127, 0, 0, 2]).ok(&alice.login());
    first.logout();
    eventually("room for one more", || {
        (daemon.dial().command(&alice.login()).tagged.word() == "OK").then_some(())
    });
    second.ok("NOOP");
}

#[test]
fn a_network_of_ipv6_addresses_counts_as_one_and_a_user_has_a_limit_wherever_they_are() {
    as_root!();
    let (alice, bob) = (User::new(), User::new());
    let proxy = free_port();
    let daemon = Daemon::start(&[
        "limits.connections_per_user_and_address = 3",
        "limits.connections_per_user = 5",
        "tls.required = \"no\"",
        &format!("listen.imap_proxy = [\"127.0.0.1:{proxy}\"]"),
        "listen.trusted_proxies = [\"127.0.0.1\"]",
    ]);
    let mut held: Vec<Client> = Vec::new();
    for site in 0..3 {
        let mut refusal = None;
        while held.len() < 100 && refusal.is_none() {
            let address = format!("2001:db8:{site}:{:x}::1", held.len());
            let mut client = proxied(proxy, &address);
            let reply = client.command(&alice.login());
            match reply.tagged.word() {
                "OK" => held.push(client),
                _ => refusal = Some(format!("{reply}")),
            }
        }
        let (count, setting) = [
            (3, "(limits.connections_per_user_and_address)"),
            (5, "(limits.connections_per_user)"),
            (5, "(limits.connections_per_user)"),
        ][site];
        assert_eq!(held.len(), count);
        let refusal = refusal.expect("a refusal");
        assert!(
            refusal.contains("[LIMIT]") && refusal.contains(setting),
            "{refusal}"
        );
        daemon.logs(setting);
    }
    proxied(proxy, "2001:db8::1").ok(&bob.login());
    held.pop().expect("one").logout();
    eventually("room for one more", || {
        let reply = proxied(proxy, "2001:db8:7::1").command(&alice.login());
        (reply.tagged.word() == "OK").then_some(())
    });
}

#[test]
fn the_limit_of_all_connections_holds_and_frees() {
    as_root!();
    let alice = User::new();
    let daemon = Daemon::start(&["limits.connections = 3"]);
    let mut served: Vec<Client> = (0..3).map(|_| daemon.connect(&alice)).collect();
    let mut fourth = daemon.dial();
    let reply = fourth.no(&alice.login());
    reply.code("LIMIT");
    assert!(
        format!("{reply}").contains("(limits.connections)"),
        "{reply}"
    );
    drop(fourth);
    // The log too says whose, from where, and what to change; and nobody is banned for it.
    let line = daemon.logs("(limits.connections): ");
    let name = format!("user=<{}>", alice.name);
    assert!(
        line.contains(&name) && line.contains("rip=127.0.0.1"),
        "{line}"
    );
    daemon.logs("(internal failure, 1 successful auths)");
    for client in &mut served {
        client.ok("NOOP");
    }
    served.pop().expect("one").logout();
    eventually("room for one more", || {
        let mut tcp = daemon.tcp();
        say(
            &mut tcp,
            format!("a1 {}\r\na2 LOGOUT\r\n", alice.login()).as_bytes(),
        );
        rest(&mut tcp).contains("a1 OK").then_some(())
    });
}

/// Fails `count` times at once from this address.
fn guess(connect: impl Fn() -> Client, count: usize) {
    let mut clients: Vec<Client> = (0..count).map(|_| connect()).collect();
    for (n, client) in clients.iter_mut().enumerate() {
        client.start(&format!("LOGIN guess{n} guess{n}"));
    }
    for client in &mut clients {
        client.read();
    }
}

#[test]
fn an_address_that_guesses_waits_longer_and_longer_and_no_other_does() {
    as_root!();
    let alice = User::new();
    let daemon = Daemon::start(&["auth.penalty = \"1h\""]);
    guess(|| daemon.dial_from([127, 0, 0, 2]), 8);
    // Now even the right password has to wait.
    let mut slow = daemon.dial_from([127, 0, 0, 2]);
    slow.start(&alice.login());
    for _ in 0..3 {
        daemon.connect(&alice).ok("SELECT INBOX");
    }
    daemon.dial_from([127, 0, 0, 3]).ok(&alice.login());
    assert!(!slow.has_input());
    // No process waits for it.
    assert!(daemon.login_children().is_empty());
    slow.set_patience(Duration::from_secs(120));
}

/// From this IPv6 address, as a proxy says.
fn proxied(port: u16, address: &str) -> Client {
    let mut tcp = TcpStream::connect(("127.0.0.1", port)).expect("a connection");
    tcp.set_read_timeout(Some(patience())).expect("a timeout");
    let header = format!("PROXY TCP6 {address} 2001:db8::1 4711 143\r\n");
    say(&mut tcp, header.as_bytes());
    let mut client = Daemon::client_of(tcp);
    client.read();
    client
}

#[test]
fn penalties_are_of_a_network_of_48_bits_in_ipv6() {
    as_root!();
    let alice = User::new();
    let proxy = free_port();
    let daemon = Daemon::start(&[
        "auth.penalty = \"1h\"",
        "tls.required = \"no\"",
        &format!("listen.imap_proxy = [\"127.0.0.1:{proxy}\"]"),
        "listen.trusted_proxies = [\"127.0.0.1\"]",
    ]);
    let from = |address: &str| proxied(proxy, address);
    guess(|| from("2001:db8:1:1::1"), 8);
    let mut slow = from("2001:db8:1:ffff::2");
    slow.start(&alice.login());
    from("2001:db8:2:1::1").ok(&alice.login());
    daemon.connect(&alice).ok("SELECT INBOX");
    assert!(!slow.has_input());
}

#[test]
fn what_a_client_sends_before_login_costs_no_memory_and_no_other_client() {
    as_root!();
    let alice = User::new();
    let daemon = Daemon::start(&[]);
    let mut other = daemon.connect_tls(&alice);
    let front = daemon.front();
    let before = front.kilobytes("VmRSS");
    let open = vec![b'('; 4 << 20];
    let quoted = [&b"a1 LOGIN \""[..], &vec![b'x'; 4 << 20]].concat();
    let words = b"a1 LOGIN a a a a a a a a a a a a a a a a a a a a a a a a a a a a a a a a a\r\n"
        .repeat(10_000);
    let nested = [b"a1 ID ".to_vec(), b"(\"a\" ".repeat(100_000)].concat();
    let literals = b"a1 LOGIN {1+}\r\nx {1+}\r\ny {1+}\r\nz\r\n".repeat(10_000);
    let bombs: [(&str, Vec<u8>); 13] = [
        ("parentheses", [&b"a1 LIST "[..], &open, b"\r\n"].concat()),
        (
            "parentheses in ID",
            [&b"a1 ID "[..], &open, b"\r\n"].concat(),
        ),
        ("parentheses and nothing else", open.clone()),
        ("nested", nested),
        ("a quoted string without an end", quoted),
        ("a line without an end", vec![b'a'; 8 << 20]),
        ("a literal of 4 GB", b"a1 LOGIN {4294967295}\r\n".to_vec()),
        (
            "a literal of more than 64 bits",
            b"a1 LOGIN {99999999999999999999999999}\r\n".to_vec(),
        ),
        (
            "a literal sent at once",
            [
                &b"a1 LOGIN {4194304+}\r\n"[..],
                &vec![b'x'; 4 << 20],
                b" y\r\n",
            ]
            .concat(),
        ),
        ("many words", words),
        ("many literals", literals),
        (
            "bad base64",
            [
                b"a1 AUTHENTICATE PLAIN ".to_vec(),
                vec![b'!'; 1 << 20],
                b"\r\n".to_vec(),
            ]
            .concat(),
        ),
        ("zeros", vec![0; 4 << 20]),
    ];
    for (name, bomb) in &bombs {
        let mut tcp = daemon.tcp();
        // In a thread of its own, for the server may answer before it has read all.
        let mut reader = tcp.try_clone().expect("the same socket");
        let read = std::thread::spawn(move || rest(&mut reader));
        say(&mut tcp, bomb);
        other.ok("NOOP");
        daemon.connect(&alice).ok("NOOP");
        let _ = tcp.shutdown(std::net::Shutdown::Write);
        let said = read.join().expect("read");
        assert!(!said.contains("a1 OK"), "{name}");
    }
    let after = front.kilobytes("VmRSS");
    assert_eq!(daemon.front(), front);
    assert!(
        after < before + 2048,
        "{before} kB before, {after} kB after"
    );
}

#[test]
fn bad_base64_is_answered_and_stalls_nobody() {
    as_root!();
    let alice = User::new();
    let daemon = Daemon::start(&[]);
    for bad in [
        "!",
        "====",
        "AAA",
        "A===",
        "AGFsaWNl\u{e9}",
        "AGFsaWNlAHg",
        "=",
        "+",
        "",
    ] {
        let mut client = daemon.dial();
        let tag = client.start("AUTHENTICATE PLAIN");
        assert!(client.wait_for_continuation(&tag));
        client.send_raw(format!("{bad}\r\n").as_bytes());
        let reply = client.finish(&tag);
        assert!(
            ["BAD", "NO"].contains(&reply.tagged.word()),
            "{bad}: {reply}"
        );
        let mut client = daemon.dial();
        let tag = client.start("AUTHENTICATE LOGIN");
        assert!(client.wait_for_continuation(&tag));
        client.send_raw(format!("{bad}\r\n").as_bytes());
        daemon.connect(&alice).ok("NOOP");
        // Something comes in either case: a challenge or a refusal.
        client.read();
    }
}

#[test]
fn a_client_that_sends_only_nonsense_is_sent_away() {
    as_root!();
    let daemon = Daemon::start(&[]);
    let mut tcp = daemon.tcp();
    say(&mut tcp, &b"GET / HTTP/1.1\r\n".repeat(100));
    let said = rest(&mut tcp);
    assert!(said.contains("* BYE "), "{said}");
    assert!(said.matches("BAD").count() <= 20, "{said}");
}

#[test]
fn a_client_that_stops_reading_costs_its_buffers_only() {
    as_root!();
    let alice = User::new();
    let daemon = Daemon::start(&[]);
    let mut stuck = daemon.connect_tls(&alice);
    let message = format!(
        "Subject: large\n\n{}",
        "0123456789abcdef0123456789abcdef\n".repeat(300_000)
    );
    stuck.append("INBOX", message.as_bytes());
    stuck.ok("SELECT INBOX");
    let (front, session) = (daemon.front(), daemon.session_of(&alice));
    let before = (front.kilobytes("VmRSS"), session.kilobytes("VmRSS"));
    let tags: Vec<String> = (0..5).map(|_| stuck.start("FETCH 1 BODY.PEEK[]")).collect();
    // The others of the user, and the other users, are served.
    let mut other = daemon.connect_tls(&alice);
    for _ in 0..20 {
        other.ok("SELECT INBOX").contains("1 EXISTS");
    }
    let after = (front.kilobytes("VmRSS"), session.kilobytes("VmRSS"));
    assert!(
        after.0 < before.0 + 2048 && after.1 < before.1 + 2048,
        "{before:?} {after:?}"
    );
    for tag in tags {
        let (bytes, _, answer) = stuck.drain(&tag);
        assert!(
            answer.word() == "OK" && bytes > 9_900_000,
            "{bytes} {answer}"
        );
    }
}

#[test]
fn a_client_that_sends_faster_than_its_session_reads_costs_its_buffers_only() {
    as_root!();
    let alice = User::new();
    let daemon = Daemon::start(&[]);
    let mut client = daemon.connect_tls(&alice);
    client.ok("NOOP");
    let (front, session) = (daemon.front(), daemon.session_of(&alice));
    let before = front.kilobytes("VmRSS");
    session.signal(nix::sys::signal::Signal::SIGSTOP);
    let filler = b"x1 NOOP\r\n".repeat(1_000);
    // Until the connection takes no more: the kernel's buffers and ours are full.
    let refused = client.flood(&filler, 200 << 20);
    assert!(refused, "200 MB went to a session that does not read");
    let after = front.kilobytes("VmRSS");
    session.signal(nix::sys::signal::Signal::SIGCONT);
    assert!(
        after < before + 2048,
        "{before} kB before, {after} kB after"
    );
    daemon.connect_tls(&alice).ok("NOOP");
}

#[test]
fn connections_that_come_and_go_leave_nothing_behind() {
    as_root!();
    let alice = User::new();
    let daemon = Daemon::start(&[]);
    daemon.connect_tls(&alice).logout();
    let (front, monitor) = (daemon.front(), daemon.monitor());
    let session = daemon.session_of(&alice);
    let round = |count: usize| {
        for n in 0..count {
            match n % 4 {
                0 => drop(daemon.tcp()),
                1 => drop(daemon.dial_tls()),
                2 => daemon.connect(&alice).logout(),
                _ => daemon.connect_tls(&alice).logout(),
            }
        }
    };
    round(60);
    let held = |process: Proc| process.descriptors().len();
    let quiet = || {
        eventually("quiet", || {
            let idle = daemon.login_children().is_empty() && front.count(Socket::Connected) == 0;
            idle.then_some(())
        });
    };
    quiet();
    let before = (held(front), held(monitor), held(session));
    let memory = front.kilobytes("VmRSS");
    round(200);
    quiet();
    assert_eq!((held(front), held(monitor), held(session)), before);
    assert!(front.kilobytes("VmRSS") < memory + 1024);
}
