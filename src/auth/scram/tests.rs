use super::*;

/// A client as RFC 5802 3 describes it.
fn proof(password: &[u8], bare: &str, first: &str, unproved: &str) -> String {
    let salt = first.split(",s=").nth(1).unwrap();
    let (salt, iterations) = salt.split_once(",i=").unwrap();
    let mut salted = Key::default();
    aws_lc_rs::pbkdf2::derive(
        aws_lc_rs::pbkdf2::PBKDF2_HMAC_SHA256,
        iterations.parse().unwrap(),
        &STANDARD.decode(salt).unwrap(),
        password,
        &mut salted,
    );
    let client_key = sign(&salted, b"Client Key");
    let stored_key = digest::digest(&digest::SHA256, client_key.as_ref());
    let stored_key = stored_key.as_ref().try_into().unwrap();
    let signature = sign(&stored_key, format!("{bare},{first},{unproved}").as_bytes());
    let pairs = client_key.as_ref().iter().zip(signature.as_ref());
    STANDARD.encode(pairs.map(|(a, b)| a ^ b).collect::<Vec<u8>>())
}

fn verifier() -> Verifier {
    Verifier::derive(b"pencil", b"salt", 10)
}

/// The whole exchange; `header` with its commas, `channel` is what `c=` holds.
fn exchange(
    header: &str,
    channel: &[u8],
    binding: &Binding,
    password: &[u8],
) -> Result<String, ScramError> {
    let bare = "n=user,r=abc";
    let first = ClientFirst::parse(format!("{header}{bare}").as_bytes(), binding)?;
    let exchange = first.challenge(verifier(), "xyz");
    let unproved = format!("c={},r=abcxyz", STANDARD.encode(channel));
    let proof = proof(password, bare, exchange.first(), &unproved);
    exchange.finish(format!("{unproved},p={proof}").as_bytes())
}

fn parse(message: &str) -> Result<ClientFirst, ScramError> {
    ClientFirst::parse(message.as_bytes(), &Binding::default())
}

fn plus() -> Binding {
    Binding {
        plus: true,
        offered: true,
        exporter: Some(b"exported".to_vec()),
        end_point: Some(b"certificate".to_vec()),
    }
}

/// RFC 7677 3
#[test]
fn the_example_of_the_rfc_comes_out_as_it_stands_there() {
    let salt = STANDARD.decode("W22ZaJ0SNY7soEsUEjb6gQ==").unwrap();
    let verifier = Verifier::derive(b"pencil", &salt, 4096);
    let first = parse("n,,n=user,r=rOprNGfwEbeRWgbNEkqO").unwrap();
    assert_eq!(first.user, "user");
    assert_eq!(first.authorize, "");
    let exchange = first.challenge(verifier, "%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0");
    assert_eq!(
        exchange.first(),
        "r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096"
    );
    let last = exchange.finish(
        b"c=biws,r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,p=dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ=",
    );
    assert_eq!(
        last.as_deref(),
        Ok("v=6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4=")
    );
}

#[test]
fn the_password_proves_and_another_does_not() {
    let none = Binding::default();
    assert!(exchange("n,,", b"n,,", &none, b"pencil").is_ok());
    assert!(exchange("n,a=user,", b"n,a=user,", &none, b"pencil").is_ok());
    assert_eq!(
        exchange("n,,", b"n,,", &none, b"pencils"),
        Err(ScramError::Proof)
    );
}

#[test]
fn no_proof_is_right_for_somebody_who_is_not_there() {
    let first = parse("n,,n=user,r=abc").unwrap();
    let mut nobody = verifier();
    nobody.real = false;
    let exchange = first.challenge(nobody, "xyz");
    let proof = proof(
        b"pencil",
        "n=user,r=abc",
        exchange.first(),
        "c=biws,r=abcxyz",
    );
    let last = exchange.finish(format!("c=biws,r=abcxyz,p={proof}").as_bytes());
    assert_eq!(last, Err(ScramError::Proof));
}

#[test]
fn the_channel_is_bound_to_what_both_sides_see() {
    for (header, data) in [
        ("p=tls-exporter,,", &b"exported"[..]),
        ("p=tls-server-end-point,,", b"certificate"),
    ] {
        let channel = [header.as_bytes(), data].concat();
        assert!(exchange(header, &channel, &plus(), b"pencil").is_ok());
        for other in [header.as_bytes(), b"p=tls-exporter,,other", b"n,,"] {
            assert_eq!(
                exchange(header, other, &plus(), b"pencil"),
                Err(ScramError::Channel)
            );
        }
    }
    let none = Binding::default();
    assert_eq!(
        exchange("n,,", b"y,,", &none, b"pencil"),
        Err(ScramError::Channel)
    );
}

/// RFC 5802 6
#[test]
fn a_client_that_was_lied_to_about_the_channel_is_refused() {
    let offered = Binding {
        plus: false,
        ..plus()
    };
    let none = Binding::default();
    let first = |flag: &str, binding: &Binding| {
        ClientFirst::parse(format!("{flag},,n=user,r=abc").as_bytes(), binding).err()
    };
    assert_eq!(first("y", &offered), Some(ScramError::Downgrade));
    assert_eq!(first("y", &none), None);
    assert_eq!(first("n", &offered), None);
    for flag in ["n", "y"] {
        assert_eq!(first(flag, &plus()), Some(ScramError::BindingFlag));
    }
    let flag = "p=tls-exporter";
    assert_eq!(first(flag, &plus()), None);
    assert_eq!(first(flag, &offered), Some(ScramError::BindingFlag));
    assert_eq!(first(flag, &none), Some(ScramError::BindingFlag));
    let unknown = first("p=tls-unique", &plus());
    assert_eq!(unknown, Some(ScramError::BindingType));
    let without = Binding {
        exporter: None,
        ..plus()
    };
    assert_eq!(first(flag, &without), Some(ScramError::BindingType));
}

#[test]
fn names_are_decoded() {
    let first = parse("n,a=x=3Dy,n=a=2Cb=3Dc,r=1").unwrap();
    assert_eq!(first.user, "a,b=c");
    assert_eq!(first.authorize, "x=y");
    for name in ["n=", "n=a=", "n=a=2", "n=a=2c", "n=a=41", "n==="] {
        let error = parse(&format!("n,,{name},r=1"));
        assert_eq!(error, Err(ScramError::UserNameEncoding), "{name}");
    }
}

#[test]
fn what_is_no_first_message_is_refused() {
    for message in [
        "",
        "n",
        "n,,",
        "n,,n=user",
        "n,,n=user,r=",
        "n,,r=abc,n=user",
        "n,user,n=user,r=abc",
        "x,,n=user,r=abc",
        "p,,n=user,r=abc",
        "n,,n=user,r=a b",
        "n,,n=user,r=a\u{e4}",
        "n,,n=us\0er,r=abc",
        "n,,n=user,r=abc,",
        "n,,n=user,r=abc,xx",
        "n,,n=user,r=abc,1=x",
    ] {
        let error = parse(message);
        assert_eq!(error, Err(ScramError::Encoding), "{message:?}");
    }
    assert_eq!(parse("n,,m=x,n=user,r=abc"), Err(ScramError::Extension));
    assert_eq!(parse("n,,n=user,r=abc,m=x"), Err(ScramError::Extension));
    assert!(parse("n,,n=user,r=abc,x=y").is_ok());
    assert!(ClientFirst::parse(b"n,,n=\xff,r=abc", &Binding::default()).is_err());
    let long = format!("n,,n={},r=abc", "u".repeat(MAX_MESSAGE));
    assert_eq!(parse(&long), Err(ScramError::Encoding));
}

#[test]
fn what_is_no_last_message_is_refused() {
    let zeros = STANDARD.encode([0; 32]);
    for (message, error) in [
        (String::new(), ScramError::Encoding),
        ("c=biws,r=abcxyz".to_owned(), ScramError::Encoding),
        ("c=biws,r=abcxyz,p=".to_owned(), ScramError::Encoding),
        ("c=biws,r=abcxyz,p=AAAA".to_owned(), ScramError::Encoding),
        (
            format!("c=biws,r=abcxyz,p={zeros},x=y"),
            ScramError::Encoding,
        ),
        (format!("r=abcxyz,c=biws,p={zeros}"), ScramError::Encoding),
        (format!("c=*,r=abcxyz,p={zeros}"), ScramError::Encoding),
        (format!("c=biws,r=abc,p={zeros}"), ScramError::Encoding),
        (format!("c=biws,r=abcxyzz,p={zeros}"), ScramError::Encoding),
        (
            format!("c=biws,r=abcxyz,m=1,p={zeros}"),
            ScramError::Extension,
        ),
        (format!("c=eSws,r=abcxyz,p={zeros}"), ScramError::Channel),
        (format!("c=biws,r=abcxyz,p={zeros}"), ScramError::Proof),
    ] {
        let first = parse("n,,n=user,r=abc").unwrap();
        let exchange = first.challenge(verifier(), "xyz");
        assert_eq!(
            exchange.finish(message.as_bytes()),
            Err(error),
            "{message:?}"
        );
    }
}
