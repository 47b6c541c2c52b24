//! Certificates: which one is shown to whom, clients' own, and their change while we run.

use std::path::{Path, PathBuf};
use std::process::Command;

use super::tls::{missing_openssl, python, s_client};
use crate::support::*;

/// What somebody has to show: made by openssl, so that not all is of one maker.
struct Shown {
    chain: PathBuf,
    key: PathBuf,
}

/// Signed by itself.
fn self_signed(place: &Place, name: &str, algorithm: &[&str], names: &str) -> Shown {
    let (chain, key) = (
        place.join(&format!("{name}.pem")),
        place.join(&format!("{name}.key")),
    );
    place::succeed(
        Command::new("openssl")
            .args(["req", "-x509", "-nodes", "-days", "2", "-newkey"])
            .args(algorithm)
            .args([
                "-subj",
                &format!("/CN={name}"),
                "-addext",
                &format!("subjectAltName={names}"),
            ])
            .arg("-keyout")
            .arg(&key)
            .arg("-out")
            .arg(&chain),
    );
    Shown { chain, key }
}

/// Signed by another.
fn signed(place: &Place, name: &str, by: &Shown) -> Shown {
    let (chain, key) = (
        place.join(&format!("{name}.pem")),
        place.join(&format!("{name}.key")),
    );
    let request = place.join(&format!("{name}.csr"));
    place::succeed(
        Command::new("openssl")
            .args(["req", "-nodes", "-newkey"])
            .args(EC)
            .args(["-subj", &format!("/CN={name}")])
            .args([
                "-addext",
                "extendedKeyUsage=clientAuth",
                "-addext",
                "basicConstraints=CA:FALSE",
            ])
            .arg("-keyout")
            .arg(&key)
            .arg("-out")
            .arg(&request),
    );
    place::succeed(
        Command::new("openssl")
            .args([
                "x509",
                "-req",
                "-days",
                "2",
                "-copy_extensions",
                "copyall",
                "-set_serial",
                "7",
            ])
            .arg("-in")
            .arg(&request)
            .arg("-CA")
            .arg(&by.chain)
            .arg("-CAkey")
            .arg(&by.key)
            .arg("-out")
            .arg(&chain),
    );
    Shown { chain, key }
}

const RSA: &[&str] = &["rsa:2048"];

const EC: &[&str] = &["ec", "-pkeyopt", "ec_paramgen_curve:P-256"];

/// `NAME = ["PATH", ..]`
fn paths(name: &str, paths: &[&Path]) -> String {
    let quoted: Vec<String> = paths
        .iter()
        .map(|path| format!("\"{}\"", path.display()))
        .collect();
    format!("{name} = [{}]", quoted.join(", "))
}

#[test]
fn a_client_gets_the_certificate_for_the_name_and_the_key_it_asks_for() {
    as_root!();
    if let Some(why) = missing_openssl() {
        skip!("{why}");
    }
    let place = Place::new();
    let first = self_signed(&place, "first.example", EC, "DNS:first.example");
    let rsa = self_signed(
        &place,
        "mail.example",
        RSA,
        "DNS:mail.example,DNS:imap.example",
    );
    let ec = self_signed(
        &place,
        "mail-ec.example",
        EC,
        "DNS:mail.example,DNS:imap.example",
    );
    let wild = self_signed(&place, "wild", EC, "DNS:*.wild.example");
    let all = [&first, &rsa, &ec, &wild];
    let chains = all.map(|shown| shown.chain.as_path());
    let keys = all.map(|shown| shown.key.as_path());
    let daemon = Daemon::start_in(
        place,
        &[&paths("tls.certificate", &chains), &paths("tls.key", &keys)],
    );
    let ask = |arguments: &[&str]| {
        let printed = s_client(daemon.tls_port, arguments, "a1 LOGOUT\n");
        let subject = printed
            .lines()
            .find_map(|line| line.trim().strip_prefix("subject="));
        let subject = subject.unwrap_or_else(|| panic!("{arguments:?}: {printed}"));
        subject
            .trim()
            .trim_start_matches("CN")
            .trim_start_matches([' ', '='])
            .to_owned()
    };
    let ecdsa = "ECDSA+SHA256";
    let rsa_only = "RSA-PSS+SHA256:RSA+SHA256";
    assert_eq!(ask(&["-noservername"]), "first.example");
    assert_eq!(ask(&["-servername", "unknown.example"]), "first.example");
    assert_eq!(ask(&["-servername", "a.wild.example"]), "wild");
    assert_eq!(ask(&["-servername", "A.WILD.example"]), "wild");
    assert_eq!(ask(&["-servername", "a.b.wild.example"]), "first.example");
    for version in ["-tls1_2", "-tls1_3"] {
        for name in ["mail.example", "imap.example"] {
            let by = |algorithms| ask(&[version, "-servername", name, "-sigalgs", algorithms]);
            assert_eq!(by(ecdsa), "mail-ec.example", "{version} {name}");
            assert_eq!(by(rsa_only), "mail.example", "{version} {name}");
        }
    }
}

#[test]
fn a_client_certificate_logs_in_by_external() {
    as_root!();
    if let Some(why) = missing_openssl() {
        skip!("{why}");
    }
    let (alice, bob) = (User::new(), User::new());
    let place = Place::new();
    let authority = self_signed(&place, "authority", EC, "DNS:authority.example");
    let stranger = self_signed(&place, "stranger", EC, "DNS:stranger.example");
    let good = signed(&place, &alice.name, &authority);
    let nobody = signed(&place, "roost-nobody-of-this-name", &authority);
    let root = signed(&place, "root", &authority);
    let elsewhere = Place::new();
    let wrong = signed(&elsewhere, &alice.name, &stranger);
    let mut daemon = Daemon::start_in(
        place,
        &[
            &format!("tls.client_ca = \"{}\"", authority.chain.display()),
            "tls.client_certificate = \"optional\"",
            "auth.mechanisms = [\"PLAIN\", \"EXTERNAL\"]",
        ],
    );
    let external = |daemon: &Daemon, shown: Option<&Shown>, who: &str| {
        let path = |path: &Path| path.display().to_string();
        let (chain, key) = shown.map_or_else(Default::default, |s| (path(&s.chain), path(&s.key)));
        python(daemon, "external", daemon.tls_port, &[&chain, &key, who])
    };
    let lines = |printed: &str| printed.lines().map(str::to_owned).collect::<Vec<_>>();

    for who in ["", alice.name.as_str()] {
        let printed = external(&daemon, Some(&good), who);
        let said = lines(&printed);
        assert_eq!(said[0], "offered", "{printed}");
        assert!(
            said[1].starts_with("a2 OK") && said[2].starts_with("a3 OK"),
            "{printed}"
        );
    }
    assert_eq!(daemon.session_of(&alice).uids(), [alice.uid; 4]);
    // He is alice, and nobody else.
    for (shown, who) in [
        (&good, bob.name.as_str()),
        (&good, "root"),
        (&nobody, ""),
        (&nobody, &alice.name),
        (&root, ""),
    ] {
        let printed = external(&daemon, Some(shown), who);
        let said = lines(&printed);
        assert!(said[1].starts_with("a2 NO"), "{printed}");
        assert!(
            said[2].starts_with("a3 BAD") || said[2].starts_with("a3 NO"),
            "{printed}"
        );
    }
    // None is shown: EXTERNAL is not offered, the rest works.
    let printed = external(&daemon, None, "");
    let said = lines(&printed);
    assert_eq!(said[0], "not offered", "{printed}");
    assert!(said[1].starts_with("a2 NO"), "{printed}");
    daemon.connect_tls(&alice).ok("SELECT INBOX");
    // Of another authority: no TLS at all.
    let printed = external(&daemon, Some(&wrong), "");
    assert!(printed.starts_with("no TLS"), "{printed}");
    // Not in the clear.
    daemon.dial().no("AUTHENTICATE EXTERNAL =");

    daemon.set("tls.client_certificate = \"required\"");
    daemon.restart();
    let printed = external(&daemon, None, "");
    assert!(printed.starts_with("no TLS"), "{printed}");
    let printed = external(&daemon, Some(&good), "");
    assert!(printed.contains("a2 OK"), "{printed}");
}

/// Puts another certificate where the first was; gives it.
fn replace(daemon: &Daemon) -> Vec<u8> {
    let other = Certificate::new(&["localhost", "replaced.example"]);
    // As certbot does: whole files, renamed into place.
    for (name, text) in [("default.key", &other.key), ("default.pem", &other.chain)] {
        let new = daemon.place().write("new", text);
        std::fs::rename(new, daemon.place().join(name)).expect("renamed");
    }
    other.chain.into_bytes()
}

/// Whether this is what is shown now.
fn is_shown(daemon: &Daemon, certificate: &[u8]) -> bool {
    let bare = |pem: &[u8]| {
        String::from_utf8_lossy(pem)
            .split_whitespace()
            .collect::<String>()
    };
    bare(&daemon::shown_certificate(daemon.tls_port)) == bare(certificate)
}

#[test]
fn sighup_takes_new_certificates_and_drops_nobody() {
    as_root!();
    let alice = User::new();
    let daemon = Daemon::start(&[]);
    let mut relayed = daemon.connect_tls(&alice);
    let mut waiting = daemon.dial_tls();
    let mut idle = daemon.connect_tls(&alice);
    idle.ok("SELECT INBOX");
    let mut idle = idle.idle();
    let new = replace(&daemon);
    daemon.hang_up();
    eventually("the new certificate", || {
        is_shown(&daemon, &new).then_some(())
    });
    relayed.ok("SELECT INBOX").contains("0 EXISTS");
    alice.inbox().deliver_file("one.eml");
    idle.expect("1 EXISTS");
    idle.done();
    waiting.ok(&alice.login());
    daemon
        .connect_tls(&alice)
        .ok("SELECT INBOX")
        .contains("1 EXISTS");
}

#[test]
fn a_changed_certificate_file_is_noticed_without_a_word() {
    as_root!();
    let alice = User::new();
    let daemon = Daemon::start(&[]);
    let mut relayed = daemon.connect_tls(&alice);
    let new = replace(&daemon);
    eventually("the new certificate", || {
        is_shown(&daemon, &new).then_some(())
    });
    relayed.ok("SELECT INBOX");
}

#[test]
fn a_bad_certificate_keeps_the_old_one_and_is_logged() {
    as_root!();
    let alice = User::new();
    let daemon = Daemon::start(&[]);
    let old = daemon.certificate();
    for bad in [
        "",
        "nonsense\n",
        "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n",
    ] {
        daemon.place().write("default.pem", bad);
        daemon.hang_up();
        daemon.logs("the certificates stay as they were");
        assert!(is_shown(&daemon, &old));
    }
    // A key of another certificate.
    daemon.place().write("default.pem", &old);
    daemon
        .place()
        .write("default.key", Certificate::new(&["localhost"]).key);
    daemon.hang_up();
    assert!(is_shown(&daemon, &old));
    drop(daemon.connect(&alice));
    assert!(is_shown(&daemon, &old));
}

#[test]
fn without_a_certificate_the_first_start_finds_or_makes_one_and_later_ones_keep_it() {
    as_root!();
    let alice = User::new();
    let mut daemon = Daemon::start(&["tls.certificate = []", "tls.key = []"]);
    let shown = daemon::shown_certificate(daemon.tls_port);
    daemon.place().write("default.pem", &shown);
    assert!(is_shown(&daemon, &shown));
    daemon.restart();
    assert!(is_shown(&daemon, &shown));
    let mut client = Client::new(daemon::tls_believing(daemon.tls_port), None);
    client.read();
    client.ok(&alice.login());
}

#[test]
fn a_certificate_that_clients_will_refuse_is_told_of_at_the_start() {
    as_root!();
    if let Some(why) = missing_openssl() {
        skip!("{why}");
    }
    let place = Place::new();
    let authority = self_signed(&place, "authority", EC, "DNS:authority.example");
    let leaf = signed(&place, "mail.example", &authority);
    let settings = [
        &*paths("tls.certificate", &[&leaf.chain]),
        &paths("tls.key", &[&leaf.key]),
    ];
    let daemon = Daemon::start_in(place, &settings);
    let line = daemon.logs("is not followed by that of its issuer, authority");
    assert!(
        line.contains("warning: imap-login: tls.certificate: "),
        "{line}"
    );
    assert!(
        line.contains("mail.example") && line.contains("fullchain.pem"),
        "{line}"
    );
}
