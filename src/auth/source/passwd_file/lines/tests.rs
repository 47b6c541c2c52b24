use super::*;

fn entry(line: &str) -> PasswdLine {
    PasswdLine::parse(line.as_bytes()).unwrap()
}

fn found(text: &str, user: &str) -> Option<String> {
    let found = find_in(&mut text.as_bytes(), user, Extent::Line).unwrap();
    let entry = found.entry?;
    assert_eq!(entry.user, user);
    Some(String::from_utf8(entry.password.to_vec()).unwrap())
}

#[test]
fn a_full_line_has_all_its_fields() {
    let entry = entry(
        "bob@example.org:{PLAIN}secret:1001:mail:Bob:/home/bob::userdb_mail=maildir:~/Mail:LAYOUT=fs allow_nets=10.0.0.0/8,local userdb_quota_rule=*:storage=1G",
    );
    assert_eq!(entry.user, "bob@example.org");
    assert!(entry.password().unwrap().admits(b"secret"));
    assert_eq!(entry.uid.as_deref(), Some("1001"));
    assert_eq!(entry.gid.as_deref(), Some("mail"));
    assert_eq!(entry.home.as_deref(), Some("/home/bob"));
    let mail = String::from("maildir:~/Mail:LAYOUT=fs");
    assert_eq!(entry.mail, Some(MailPlace::Template(mail)));
    assert_eq!(entry.ignored, ["userdb_quota_rule"]);
    assert!(!entry.no_login && entry.unusable.is_none());
}

#[test]
fn a_short_line_leaves_the_rest_to_the_system() {
    for line in [
        "bob:{PLAIN}secret",
        "bob:{PLAIN}secret\r",
        "bob:{PLAIN}secret::::::",
    ] {
        let entry = entry(line);
        assert!(entry.password().unwrap().admits(b"secret"), "{line:?}");
        assert!(entry.uid.is_none() && entry.gid.is_none() && entry.home.is_none());
    }
    assert_eq!(entry("bob::").password().err(), Some(SchemeError::Empty));
}

#[test]
fn extra_fields_go_before_the_ordinary_ones() {
    let entry = entry("bob:x:1:2::/old::userdb_uid=3 userdb_gid=4 userdb_home=/new");
    assert_eq!(entry.uid.as_deref(), Some("3"));
    assert_eq!(entry.gid.as_deref(), Some("4"));
    assert_eq!(entry.home.as_deref(), Some("/new"));
}

#[test]
fn what_means_something_else_than_a_login_is_not_overlooked() {
    for field in [
        "nopassword",
        "nopassword=y",
        "proxy=y",
        "host=10.0.0.1",
        "user=eve",
    ] {
        let entry = entry(&format!("bob:{{PLAIN}}secret::::::{field}"));
        assert!(entry.unusable.is_some(), "{field}");
    }
    assert!(entry("bob:{PLAIN}secret::::::nologin reason=later").no_login);
}

#[test]
fn comments_and_empty_lines_are_nobodys() {
    for line in ["", "\r", "#bob:x", ":x:1:1", "bob"] {
        assert!(PasswdLine::parse(line.as_bytes()).is_none(), "{line:?}");
    }
    assert!(PasswdLine::parse(b"\xff:x").is_none());
}

#[test]
fn the_first_line_of_a_user_is_found() {
    let text = "# users\n\n:x\nbobby:1\nxbob:2\nbob:3\r\nbob:4\neve:5";
    assert_eq!(found(text, "bob").as_deref(), Some("3"));
    assert_eq!(found(text, "bobby").as_deref(), Some("1"));
    assert_eq!(found(text, "eve").as_deref(), Some("5"));
    for nobody in [
        "", "bo", "# users", "#", "Bob", "bob:3", "x\nbob", "3\r\nbob",
    ] {
        assert!(found(text, nobody).is_none(), "{nobody:?}");
    }
    assert!(found("", "bob").is_none());
    assert_eq!(found("bob:1", "bob").as_deref(), Some("1"));
}

#[test]
fn a_large_file_is_read_piece_by_piece() {
    let mut text = String::from("# many\n");
    for number in 0..30_000 {
        text.push_str(&format!(
            "user{number}:{{PLAIN}}p{number}:1000:1000::/home/{number}::\n"
        ));
    }
    assert!(text.len() > 5 * PIECE);
    for number in [0, 1, 4711, 7000, 29_999] {
        let password = found(&text, &format!("user{number}"));
        assert_eq!(password, Some(format!("{{PLAIN}}p{number}")));
    }
    assert!(found(&text, "user30000").is_none());
}

/// Gives so many octets at a time.
struct Slowly<'a>(&'a [u8], usize);

impl Read for Slowly<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let length = buffer.len().min(self.1);
        self.0.read(&mut buffer[..length])
    }
}

#[test]
fn where_the_pieces_end_does_not_matter() {
    let text = b"alice:1\nbob:2\n\ncarol:3\n";
    for size in 1..text.len() {
        for (user, password) in [("alice", "1"), ("bob", "2"), ("carol", "3")] {
            let found = find_in(&mut Slowly(text, size), user, Extent::Line).unwrap();
            assert_eq!(
                found.entry.unwrap().password.as_slice(),
                password.as_bytes()
            );
        }
        let found = find_in(&mut Slowly(text, size), "dave", Extent::Line).unwrap();
        assert!(found.entry.is_none());
    }
}

#[test]
fn an_endless_line_is_an_error() {
    let text = "x".repeat(PIECE + 1);
    assert!(find_in(&mut text.as_bytes(), "bob", Extent::Whole).is_err());
}

#[test]
fn others_in_the_file_show_what_a_password_is_like_there() {
    let text = "#\nalice:{PLAIN}x\nbob:{SCRAM-SHA-256}10000,AA==,AA==,AA==\n";
    let found = find_in(&mut text.as_bytes(), "nobody", Extent::Whole).unwrap();
    assert!(matches!(found.sample, Some(Stored::Plain(_))));
    assert_eq!(found.iterations, Some(10_000));
}

#[test]
fn networks_are_kept_to() {
    let allows = |networks: &str, address: &str| {
        let entry = entry(&format!("bob:x::::::allow_nets={networks}"));
        entry.allows((address != "local").then(|| address.parse().unwrap()))
    };
    for (networks, address) in [
        ("10.0.0.0/8", "10.1.2.3"),
        ("192.0.2.7", "192.0.2.7"),
        ("192.0.2.7,10.0.0.0/8", "::ffff:10.1.2.3"),
        ("0.0.0.0/0", "203.0.113.5"),
        ("2001:db8::/32", "2001:db8:1::1"),
        ("::1", "::1"),
        ("[::1]", "::1"),
        ("::/0", "2001:db8::1"),
        ("local,10.0.0.0/8", "local"),
    ] {
        assert!(allows(networks, address), "{networks} {address}");
    }
    for (networks, address) in [
        ("", "10.1.2.3"),
        ("10.0.0.0/8", "11.0.0.0"),
        ("10.0.0.0/33", "10.0.0.0"),
        ("10.0.0.0/x", "10.0.0.0"),
        ("192.0.2.7", "192.0.2.6"),
        ("0.0.0.0/0", "::1"),
        ("::/0", "10.1.2.3"),
        ("2001:db8::/32", "2001:db9::"),
        ("2001:db8::/129", "2001:db8::"),
        ("10.0.0.0/8", "local"),
        ("example.org", "10.1.2.3"),
    ] {
        assert!(!allows(networks, address), "{networks} {address}");
    }
    assert!(entry("bob:x").allows(None));
}

#[test]
fn both_lists_of_networks_hold() {
    let entry = entry("bob:x::::::allow_nets=10.0.0.0/8 allow_real_nets=10.1.0.0/16");
    assert!(entry.allows(Some("10.1.2.3".parse().unwrap())));
    assert!(!entry.allows(Some("10.2.2.3".parse().unwrap())));
}
