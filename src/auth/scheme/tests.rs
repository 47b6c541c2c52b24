use super::*;

const PASSWORD: &str = "tanstaaf löl";

fn admits(stored: &str, password: &str) -> bool {
    Stored::parse(stored).unwrap().admits(password.as_bytes())
}

/// `doveadm pw -s SCHEME -p 'tanstaaf löl'` of Dovecot 2.3.19
#[test]
fn what_dovecot_made_admits_its_password_and_no_other() {
    for stored in [
        "{PLAIN}tanstaaf löl",
        "{CLEARTEXT}tanstaaf löl",
        "{CRYPT}$2y$05$lfrL1otCH7ejlFMZ.Rz4/.faphaVlCE10keIFk9lD3Iw8RyM0xlSm",
        "$2y$05$lfrL1otCH7ejlFMZ.Rz4/.faphaVlCE10keIFk9lD3Iw8RyM0xlSm",
        "{BLF-CRYPT}$2y$05$vWuTOgI36Mdqw9RBKRBxe.UcmKcYuqNqHxISPo8bF.mM4ZM56l3Ze",
        "{SHA512-CRYPT}$6$2SKJ4H7gAmUiy3zV$zyXlTaYU1kd/xWaWwBqFKyl9sIVaXUHSnzwjMQrREeQVEm34zmulPk1W2uNeQlXJzpIcvDbKLT7aq9spl4/0c/",
        "{SHA256-CRYPT}$5$e1Axf8eKd.KIQqUx$d9T4q1Sg7.quZTpgKnYNiVZNl5fYQEHMHYPzQZHjgW2",
        "{SSHA512}kziUg/gVs0v6ayFsX5Agw45dRxTsgTR5OH6EprD5h8AS6zL0jYnls6tEGvYxQKSa0j3OK8KA9OANsfrNVwM///ytEGc=",
        "{SSHA256}9/kvkwpnf8MNLzwXAqgeJvZ0xh8zeWRMYDr0fI6yZtDbtJC7",
        "{SHA512}C1xBCIzpTT+tmtXE9QQJo+NZAUZoZXBPBmZLTPHrSdg3Lz/3BzKdxK7Ldyq7FrndiKHc4bijOeYOwnKj4+O7OQ==",
        "{SHA256}nzT2kQ2dwAQCSSlduQXBNdz0oQSou2rtRDbYZTVm9l4=",
        "{SHA512.HEX}0b5c41088ce94d3fad9ad5c4f50409a3e35901466865704f06664b4cf1eb49d8372f3ff707329dc4aecb772abb16b9dd88a1dce1b8a339e60ec272a3e3e3bb39",
        "{SSHA256.HEX}ed2156c642b9a0538b48aa78bf3f406c3da848835e37c052cce7b128a7176bf857ffbb45",
        "{SSHA512.HEX}60d1b4118875e5c3ef1368f64e476c85e91751285d2e102010e30e22f327063c8857f26cb260b57d21b738e8ad96c50a9753edca8fc7248ce6f30713097bb0e1962c7687",
        "{SHA256.HEX}9f34f6910d9dc0040249295db905c135dcf4a104a8bb6aed4436d8653566f65e",
        "{sha256.b64}nzT2kQ2dwAQCSSlduQXBNdz0oQSou2rtRDbYZTVm9l4=",
        "{SCRAM-SHA-256}4096,don5s4ahvuW7/lz+SiFBVA==,unhmRdmaJ8aALYK1wzf/Q6xS3gP2MfIaEX1+kYZoQp8=,UFGszqbGp9yMavTRgFW7LGM//NrsIiF77I291f3JDzI=",
        "{PBKDF2}$1$zz8.zDPRd9HDvavG$5000$8e583e30d275a272b9e16e22d01bfcf6bfd2cfb3",
    ] {
        assert!(admits(stored, PASSWORD), "{stored}");
        for other in ["", "tanstaaf lol", "tanstaaf löl ", "Tanstaaf löl", stored] {
            assert!(!admits(stored, other), "{stored}: {other}");
        }
    }
}

/// As above; they cost what they are meant to cost.
#[test]
fn argon2_made_by_dovecot_admits_its_password() {
    let stored = "{ARGON2ID}$argon2id$v=19$m=65536,t=3,p=1$icJT3QNn7+dw/OEYtjdR9A$GK5/xEffKJlctdOzfGrePHvAXYMHy75srsB6MLk00mI";
    assert!(admits(stored, PASSWORD));
    let stored = "{ARGON2I}$argon2i$v=19$m=32768,t=4,p=1$Em7qEIuEPUQKmkjZo8b1ew$YqM3Iv0ze3RozHHbcVOMK906iKCzVWkugyDkv6ASwWQ";
    assert!(admits(stored, PASSWORD));
}

/// By libcrypt through perl's `crypt`.
#[test]
fn what_the_system_made_admits_its_password() {
    for stored in [
        "$y$j9T$F5Jx5fExrKuPp53xLKQ..1$eWb2tkQ4sBFsxjWOmnmh0XzFJqyWCglYp8X8iLh9pFA",
        "{YESCRYPT}$y$j9T$F5Jx5fExrKuPp53xLKQ..1$eWb2tkQ4sBFsxjWOmnmh0XzFJqyWCglYp8X8iLh9pFA",
        "$gy$j9T$F5Jx5fExrKuPp53xLKQ..1$M5AGkcingJzwF8IZmv0ds9nW.d2kJERRtJRx1b.Leq.",
        "$7$BU..../....F5Jx5fExrKuPp53xLKQ..1$VV57gvG6tb3KRPZmCaZqczVxNQizjVBmjcaUfM1YkJ3",
        "$6$rounds=1000$saltsalt$RYd9C3zUoFdjjlaP1tFAMvhNyGFHzEeyRjhCXM4F8LpZXRjAjLwTBIEg0IW6PuBmr.yJCnVDnce.qXlqiow5q0",
    ] {
        assert!(admits(stored, PASSWORD), "{stored}");
        assert!(!admits(stored, "tanstaaf lol"), "{stored}");
    }
}

/// The test vector of the reference implementation, version 1.0 and 1.3.
#[test]
fn argon2_of_other_programs_admits_its_password() {
    for stored in [
        "{ARGON2I}$argon2i$m=256,t=2,p=1$c29tZXNhbHQ$/U3YPXYsSb3q9XxHvc0MLxur+GP960kN9j7emXX8zwY",
        "{ARGON2I}$argon2i$v=19$m=256,t=2,p=1$c29tZXNhbHQ$iekCn0Y3spW+sCcFanM2xBT63UP2sghkUoHLIUpWRS8",
        "{ARGON2ID}$argon2id$v=19$m=256,t=2,p=1$c29tZXNhbHQ$nf65EOgLrQMR/uIPnA4rEsF5h7TKyQwu9U1bMCHGi/4",
        "{ARGON2ID}$argon2id$v=19$m=256,t=2,p=2$c29tZXNhbHQ$bQk8UB/VmZZF4Oo79iDXuL5/0ttZwg2f/5U52iv1cDc",
    ] {
        assert!(admits(stored, "password"), "{stored}");
        assert!(!admits(stored, "Password"), "{stored}");
    }
}

#[test]
fn weak_schemes_are_refused_by_name() {
    for stored in [
        "{MD5-CRYPT}$1$3vgJnNYy$drgKoXRvscL0Kd1CRzPmK0",
        "$1$3vgJnNYy$drgKoXRvscL0Kd1CRzPmK0",
        "{CRYPT}wnmlL.WK7z1SE",
        "{SHA}hsX6YJNTKv8LGQnJGzZA8sBesQY=",
        "{SSHA}rIDcX8wH8Gm6Y4kxkt6UE/cqKYD8SL32",
        "{PLAIN-MD5}7e1774adc315ceb98f3ca6c95e0f2b80",
        "{CRAM-MD5}29c06b81ac69432d52fb13ea1c521fc10f603efe9dcde52b8176381c3a0a483e",
    ] {
        let error = Stored::parse(stored).err();
        assert!(matches!(error, Some(SchemeError::Weak(_))), "{stored}");
    }
}

#[test]
fn what_would_stop_the_host_is_refused() {
    let salt = "c29tZXNhbHQ$nf65EOgLrQMR/uIPnA4rEsF5h7TKyQwu9U1bMCHGi/4";
    let argon = |costs: &str| format!("{{ARGON2ID}}$argon2id$v=19${costs}${salt}");
    for stored in [
        &argon("m=4194304,t=3,p=1"),
        &argon("m=65536,t=4294967295,p=1"),
        &argon("m=1048576,t=1,p=1"),
        &argon("m=256,t=1,p=255"),
        "$6$rounds=999999999$saltsalt$x",
        "$5$rounds=2000001$saltsalt$x",
        "$2y$31$lfrL1otCH7ejlFMZ.Rz4/.faphaVlCE10keIFk9lD3Iw8RyM0xlSm",
        "$y$jFT$F5Jx5fExrKuPp53xLKQ..1$x",
        "$y$j9T.1$F5Jx5fExrKuPp53xLKQ..1$x",
        "$7$gU..../....salt$x",
        "$7$BU....zzzzzsalt$x",
        "{PBKDF2}$1$zz8.zDPRd9HDvavG$5000001$8e583e30d275a272b9e16e22d01bfcf6bfd2cfb3",
    ] {
        assert_eq!(
            Stored::parse(stored).err(),
            Some(SchemeError::TooCostly),
            "{stored}"
        );
    }
}

#[test]
fn what_is_no_password_admits_nobody() {
    for (stored, error) in [
        ("", SchemeError::Empty),
        ("{PLAIN}", SchemeError::Empty),
        ("*", SchemeError::Form),
        ("!", SchemeError::Form),
        ("x", SchemeError::Form),
        ("*0", SchemeError::Form),
        ("!$6$saltsalt$x", SchemeError::Form),
        ("$9$what", SchemeError::Form),
        ("$2y$05", SchemeError::Form),
        ("$y$", SchemeError::Form),
        ("$7$", SchemeError::Form),
        ("{BLF-CRYPT}$6$saltsalt$x", SchemeError::Form),
        ("{SHA256}AAAA", SchemeError::Form),
        ("{SHA256}****", SchemeError::Form),
        (
            "{SSHA256}nzT2kQ2dwAQCSSlduQXBNdz0oQSou2rtRDbYZTVm9l4=",
            SchemeError::Form,
        ),
        ("{SHA256.HEX}0g", SchemeError::Form),
        ("{ARGON2ID}$argon2i$v=19$m=1,t=1,p=1$a$b", SchemeError::Form),
        ("{ARGON2ID}$argon2id$v=19", SchemeError::Form),
        ("{SCRAM-SHA-256}4096,AA==", SchemeError::Form),
        ("{PBKDF2}$1$salt$0$", SchemeError::Form),
        ("{NONSENSE}x", SchemeError::Unknown("NONSENSE".into())),
        ("{}x", SchemeError::Unknown("".into())),
        ("{PLAIN.ROT13}x", SchemeError::Unknown("PLAIN.ROT13".into())),
    ] {
        assert_eq!(Stored::parse(stored).err(), Some(error), "{stored}");
    }
    assert_eq!(
        Stored::parse("{PLAIN").err(),
        Some(SchemeError::Form),
        "a brace alone is a hash of crypt(3), and none"
    );
}

#[test]
fn a_hash_without_its_end_admits_nobody() {
    for stored in [
        "$6$saltsalt$",
        "$6$saltsalt",
        "$5$x$",
        "$y$j9T$F5Jx5fExrKuPp53xLKQ..1$",
    ] {
        assert!(!admits(stored, PASSWORD), "{stored}");
    }
}

#[test]
fn an_endless_password_is_not_hashed() {
    let long = "x".repeat(513);
    assert!(!admits(&format!("{{PLAIN}}{long}"), &long));
    assert!(admits(&format!("{{PLAIN}}{}", &long[1..]), &long[1..]));
}
