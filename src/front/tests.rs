//! Conversations before login, with a clock of the test's own.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use super::*;
use crate::config::Mechanism;
use crate::ipc::{Binding, Limit, Proof, Protocol};

#[test]
fn the_greeting_offers_what_can_be_done_now() {
    let mut talk = Talk::begin(Peer::default());
    let greeting = talk.say("");
    assert!(
        greeting.starts_with("* OK [CAPABILITY IMAP4rev1 "),
        "{greeting}"
    );
    for word in ["IMAP4rev2", "STARTTLS", "AUTH=PLAIN", "SASL-IR", "LITERAL+"] {
        assert!(greeting.contains(word), "{word}: {greeting}");
    }
    assert!(!greeting.contains("LOGINDISABLED"), "{greeting}");
}

#[test]
fn login_with_the_right_password_is_admitted_with_its_tag() {
    let mut talk = Talk::begin(Peer::default());
    talk.say("a1 LOGIN alice {6+}\r\nsecret\r\n");
    assert_eq!(tag(&talk.admitted()), b"a1");
}

#[test]
fn what_was_sent_after_login_goes_on_to_the_session() {
    let mut talk = Talk::begin(Peer::default());
    talk.say("a1 LOGIN alice secret\r\na2 NOOP\r\n");
    assert_eq!(talk.admitted().input, b"a2 NOOP\r\n");
}

#[test]
fn a_wrong_password_is_told_only_after_a_delay_and_the_next_one_may_be_right() {
    let mut talk = Talk::begin(Peer::default());
    talk.say("");
    assert_eq!(
        talk.say_and_wait_not("a LOGIN alice wrong\r\nb LOGIN alice secret\r\n"),
        ""
    );
    assert!(!talk.front.wants_input(ID));
    talk.say("");
    assert_eq!(talk.waited, Config::default().failure_delay);
    let admitted = talk.admitted();
    assert_eq!(tag(&admitted), b"b");
    assert_eq!(
        admitted.output.pending(),
        b"a NO [AUTHENTICATIONFAILED] Wrong user name or password.\r\n"
    );
}

#[test]
fn plain_is_taken_with_and_without_an_initial_response() {
    let message = STANDARD.encode("\0alice\0secret");
    for script in [
        format!("a AUTHENTICATE PLAIN {message}\r\n"),
        format!("a authenticate plain\r\n{message}\r\n"),
        format!(
            "a AUTHENTICATE PLAIN {}\r\n",
            STANDARD.encode("alice\0alice\0secret")
        ),
    ] {
        let mut talk = Talk::begin(Peer::default());
        talk.say(&script);
        assert_eq!(tag(&talk.admitted()), b"a", "{script}");
    }
}

#[test]
fn a_broken_message_is_no_message() {
    for message in ["alice\0secret", "\0alice\0secret\0", "\0\0secret", ""] {
        let mut talk = Talk::begin(Peer::default());
        talk.say("");
        let answer = talk.say(&format!(
            "a AUTHENTICATE PLAIN\r\n{}\r\n",
            STANDARD.encode(message)
        ));
        assert!(
            answer.ends_with("a NO [AUTHENTICATIONFAILED] Wrong user name or password.\r\n"),
            "{answer}"
        );
        assert_eq!(talk.waited, Config::default().failure_delay);
    }
}

#[test]
fn whom_a_client_wants_to_be_is_judged_by_who_knows_the_users() {
    let mut talk = Talk::begin(Peer::default());
    let message = STANDARD.encode("bob\0admin\0secret");
    let line = format!("a AUTHENTICATE PLAIN {message}\r\n");
    talk.front.handle_input(ID, line.as_bytes());
    let Step::Ask(ask) = talk.front.run(ID, talk.now, &|| false) else {
        panic!("nothing was asked");
    };
    let Question::Login(request) = ask.question else {
        panic!("{ask:?}");
    };
    let Proof::Password {
        user, authorize, ..
    } = request.proof
    else {
        panic!("{request:?}");
    };
    assert_eq!(
        (user.as_slice(), authorize.as_slice()),
        (&b"admin"[..], &b"bob"[..])
    );
}

#[test]
fn login_as_a_mechanism_asks_for_name_and_password() {
    let mut talk = Talk::begin(Peer::default());
    talk.say("");
    assert_eq!(talk.say("a AUTHENTICATE LOGIN\r\n"), "+ VXNlcm5hbWU6\r\n");
    assert_eq!(talk.say("YWxpY2U=\r\n"), "+ UGFzc3dvcmQ6\r\n");
    talk.say("c2VjcmV0\r\n");
    assert_eq!(tag(&talk.admitted()), b"a");
}

#[test]
fn an_exchange_can_be_given_up_and_goes_wrong_alone() {
    let mut talk = Talk::begin(Peer::default());
    talk.say("");
    assert_eq!(
        talk.say("a AUTHENTICATE PLAIN\r\n*\r\n"),
        "+ \r\na BAD Authentication given up.\r\n"
    );
    assert!(
        talk.say("b AUTHENTICATE PLAIN\r\n!\r\n")
            .starts_with("+ \r\nb BAD ")
    );
    assert!(
        talk.say("c AUTHENTICATE X-NONE\r\n")
            .starts_with("c NO [CANNOT] ")
    );
    talk.say("d LOGIN alice secret\r\n");
    assert_eq!(tag(&talk.admitted()), b"d");
}

#[test]
fn over_a_network_passwords_are_taken_only_under_tls() {
    let mut talk = Talk::begin(Peer {
        address: Some("192.0.2.1:5000".parse().unwrap()),
        local: Some("192.0.2.2:143".parse().unwrap()),
        tls: false,
        ..Peer::default()
    });
    assert!(talk.say("").contains("LOGINDISABLED"));
    for command in [
        "LOGIN alice secret",
        "AUTHENTICATE PLAIN",
        "AUTHENTICATE LOGIN",
    ] {
        let answer = talk.say(&format!("a {command}\r\n"));
        assert!(answer.starts_with("a NO [PRIVACYREQUIRED] "), "{answer}");
    }
    assert_eq!(
        talk.say("b STARTTLS\r\nc INJECTED\r\n"),
        "b OK Begin TLS now.\r\n"
    );
    assert!(talk.starttls);
    talk.front.handle_secured(ID, Secured::default());
    let answer = talk.say("d CAPABILITY\r\ne STARTTLS\r\n");
    assert!(
        answer.contains("AUTH=PLAIN") && !answer.contains(" STARTTLS"),
        "{answer}"
    );
    assert!(answer.contains("e BAD TLS is in use already"), "{answer}");
    talk.say("f LOGIN alice secret\r\n");
    assert_eq!(tag(&talk.admitted()), b"f");
}

#[test]
fn commands_that_need_no_login_are_answered() {
    let mut talk = Talk::begin(Peer::default());
    talk.say("");
    assert!(talk.say("a NOOP\r\n").starts_with("a OK "));
    assert!(
        talk.say("b ID NIL\r\n")
            .starts_with("* ID (\"name\" \"Roost\")\r\nb OK ")
    );
    assert_eq!(
        talk.say("c LOGOUT\r\nd NOOP\r\n"),
        "* BYE Goodbye.\r\nc OK Logged out.\r\n"
    );
    assert!(talk.closed);
}

#[test]
fn the_third_bad_command_is_the_last() {
    let mut talk = Talk::begin(Peer::default());
    talk.say("");
    let answer = talk.say("a SELECT INBOX\r\nb NONSENSE\r\n\r\nd NOOP\r\n");
    let lines: Vec<&str> = answer.lines().collect();
    assert_eq!(lines.len(), 4, "{answer}");
    assert!(lines[0].starts_with("a BAD ") && lines[1].starts_with("b BAD "));
    assert_eq!(lines[3], "* BYE Too many bad commands.");
    assert!(talk.closed);
}

#[test]
fn a_command_that_never_ends_is_not_waited_for() {
    let mut talk = Talk::begin(Peer::default());
    talk.say("");
    let answer = talk.say(&"x".repeat(imap::MAX_UNANSWERED + 1));
    assert!(answer.starts_with("* BYE "), "{answer}");
    assert!(talk.closed);
}

#[test]
fn who_does_not_log_in_in_time_is_sent_away() {
    let mut talk = Talk::begin(Peer::default());
    talk.say("");
    let deadline = talk.front.next_timeout().unwrap();
    assert_eq!(deadline, talk.now.instant + Config::default().login_timeout);
    talk.now.instant = deadline;
    talk.front.handle_timeout(talk.now);
    assert_eq!(talk.front.poll_ready(), Some(ID));
    assert_eq!(talk.say(""), "* BYE It took too long to log in.\r\n");
    assert!(talk.closed);
    assert_eq!(talk.front.next_timeout(), None);
}

#[test]
fn who_has_left_has_no_deadline() {
    let mut talk = Talk::begin(Peer::default());
    talk.front.handle_close(ID, talk.now);
    assert_eq!(talk.front.next_timeout(), None);
}

#[test]
fn complete_commands_are_answered_after_the_client_has_ended() {
    let mut talk = Talk::begin(Peer::default());
    talk.say("");
    talk.front.handle_input(ID, b"a NOOP\r\nb NO");
    talk.front.handle_end(ID);
    assert_eq!(talk.say(""), "a OK NOOP completed.\r\n");
    assert!(talk.closed);
}

#[test]
fn what_is_asked_has_the_whole_of_it() {
    let mut talk = Talk::begin(remote(true));
    talk.front.handle_secured(ID, Secured::default());
    talk.front.handle_input(ID, b"a LOGIN bob x\r\n");
    let Step::Ask(ask) = talk.front.run(ID, talk.now, &|| false) else {
        panic!("nothing was asked");
    };
    let Question::Login(request) = ask.question else {
        panic!("{ask:?}");
    };
    assert_eq!(request.protocol, Protocol::Imap);
    assert_eq!(request.origin.remote, remote(true).address);
    assert_eq!(request.origin.local, remote(true).local);
    assert!(request.origin.tls && request.origin.session.ends_with("-63"));
    let Proof::Password {
        mechanism,
        user,
        password,
        ..
    } = &request.proof
    else {
        panic!("{request:?}");
    };
    assert_eq!(*mechanism, "PLAIN");
    assert_eq!(
        (user.as_slice(), password.expose()),
        (&b"bob"[..], &b"x"[..])
    );
    assert!(format!("{request:?}").contains("password: Secret"));
}

#[test]
fn under_implicit_tls_nothing_is_said_before_it_is_agreed_on() {
    let mut talk = Talk::begin(remote(true));
    assert_eq!(talk.say(""), "");
    talk.front.handle_secured(ID, Secured::default());
    let greeting = talk.say("");
    assert!(greeting.starts_with("* OK [CAPABILITY "), "{greeting}");
    assert!(greeting.contains("AUTH=PLAIN") && !greeting.contains("STARTTLS"));

    // Nor if it never is.
    let mut talk = Talk::begin(remote(true));
    talk.now.instant = talk.front.next_timeout().unwrap();
    talk.front.handle_timeout(talk.now);
    assert_eq!(talk.say(""), "");
    assert!(talk.closed);
}

#[test]
fn where_passwords_are_taken_is_the_administrators_to_say() {
    let far = remote(false);
    let near = Peer::default();
    for (required, peer, starttls, login) in [
        (TlsRequired::Off, far, false, true),
        (TlsRequired::Off, near, false, true),
        (TlsRequired::No, far, true, true),
        (TlsRequired::Yes, far, true, false),
        (TlsRequired::Yes, near, true, true),
        (TlsRequired::Always, far, true, false),
        (TlsRequired::Always, near, true, false),
    ] {
        let config = Config {
            tls_required: required,
            ..Config::default()
        };
        let mut talk = Talk::with(&config, peer);
        let greeting = talk.say("");
        assert_eq!(greeting.contains(" STARTTLS"), starttls, "{required:?}");
        assert_eq!(greeting.contains(" LOGINDISABLED"), !login, "{required:?}");
        assert_eq!(greeting.contains(" AUTH=PLAIN"), login, "{required:?}");
        let answer = talk.say("a LOGIN alice secret\r\n");
        match login {
            true => assert!(talk.admitted.is_some(), "{required:?}"),
            false => assert!(answer.starts_with("a NO [PRIVACYREQUIRED]"), "{answer}"),
        }
    }
}

#[test]
fn whoever_must_have_a_certificate_cannot_log_in_without_tls() {
    let config = Config {
        tls_required: TlsRequired::No,
        tls_client_certificate: ClientCertificate::Required,
        ..Config::default()
    };
    let mut talk = Talk::with(&config, Peer::default());
    assert!(talk.say("").contains(" LOGINDISABLED"));
    let answer = talk.say("a LOGIN alice secret\r\n");
    assert!(answer.starts_with("a NO [PRIVACYREQUIRED]"), "{answer}");
}

#[test]
fn what_is_not_offered_is_refused_by_name_and_is_no_failure() {
    let mut talk = Talk::begin(Peer::default());
    talk.say("");
    for name in ["XOAUTH2", "OAUTHBEARER", "EXTERNAL", "SCRAM-SHA-256"] {
        let answer = talk.say(&format!("a AUTHENTICATE {name} dXNlcj1ib2I=\r\n"));
        assert_eq!(
            answer,
            format!("a NO [CANNOT] {name} is not offered here; offered: PLAIN LOGIN.\r\n")
        );
        assert_eq!(talk.waited, Duration::ZERO);
    }
    talk.say("b LOGIN alice secret\r\n");
    assert!(talk.admitted.is_some());
}

#[test]
fn without_mechanisms_that_send_passwords_there_is_no_login() {
    let config = Config {
        auth_mechanisms: vec![Mechanism::ScramSha256],
        ..Config::default()
    };
    let mut talk = Talk::with(&config, Peer::default());
    let greeting = talk.say("");
    assert!(
        greeting.contains(" LOGINDISABLED AUTH=SCRAM-SHA-256]"),
        "{greeting}"
    );
    let answer = talk.say("a LOGIN alice secret\r\n");
    assert!(answer.starts_with("a NO [CANNOT] LOGIN is not"), "{answer}");
}

#[test]
fn scram_is_passed_on_in_both_directions() {
    let mut talk = Talk::with(&everything(), Peer::default());
    talk.say("");
    // With and without an initial response.
    assert_eq!(talk.say("a AUTHENTICATE SCRAM-SHA-256\r\n"), "+ \r\n");
    assert_eq!(talk.say("biwsbj1ib2Iscj1h\r\n"), "");
    let Some(Question::Login(request)) = talk.asked.pop() else {
        panic!("nothing was asked");
    };
    let Proof::Scram { first, binding } = request.proof else {
        panic!("{request:?}");
    };
    assert_eq!(first.expose(), b"n,,n=bob,r=a");
    assert_eq!(binding, Binding::default());
    talk.front
        .challenge(ID, ONLY, &Secret::new(b"r=ab".to_vec()));
    assert_eq!(talk.say(""), "+ cj1hYg==\r\n");
    assert_eq!(talk.say("Yz1iaXdz\r\n"), "");
    assert!(matches!(
        talk.asked.pop(),
        Some(Question::Respond(response)) if response.expose() == b"c=biws"
    ));
    talk.front.challenge(ID, ONLY, &Secret::new(b"v=".to_vec()));
    assert_eq!(talk.say(""), "+ dj0=\r\n");
    talk.say("\r\n");
    assert!(matches!(
        talk.asked.pop(),
        Some(Question::Respond(response)) if response.expose().is_empty()
    ));
    let admitted = admit(&mut talk.front, "bob", talk.now);
    assert_eq!(tag(&admitted.unwrap()), b"a");
}

#[test]
fn who_gives_scram_up_lets_nobody_wait() {
    for (word, answer) in [
        ("*", "a BAD Authentication given up.\r\n"),
        ("!", "a BAD Invalid base64.\r\n"),
    ] {
        let mut talk = Talk::with(&everything(), Peer::default());
        talk.say("");
        talk.say("a AUTHENTICATE SCRAM-SHA-256 biwsbj1ib2Iscj1h\r\n");
        talk.asked.clear();
        talk.front
            .challenge(ID, ONLY, &Secret::new(b"r=ab".to_vec()));
        talk.say("");
        assert_eq!(talk.say(&format!("{word}\r\n")), answer);
        assert!(matches!(talk.asked.pop(), Some(Question::GiveUp)));
        assert!(talk.say("b NOOP\r\n").starts_with("b OK"));
    }
    let mut talk = Talk::with(&everything(), Peer::default());
    talk.say("");
    talk.say("a AUTHENTICATE SCRAM-SHA-256 biwsbj1ib2Iscj1h\r\n");
    talk.front
        .challenge(ID, ONLY, &Secret::new(b"r=ab".to_vec()));
    talk.front.handle_end(ID);
    talk.say("");
    assert!(matches!(talk.asked.pop(), Some(Question::GiveUp)));
    assert!(talk.closed);
}

#[test]
fn scram_plus_is_offered_where_there_is_a_channel_to_bind_to() {
    let mut talk = Talk::with(&everything(), remote(true));
    let secured = Secured {
        exporter: Some(vec![1; 32]),
        end_point: Some(vec![2; 32]),
        certificate: None,
    };
    talk.front.handle_secured(ID, secured);
    let greeting = talk.say("");
    assert!(
        greeting.contains(" AUTH=SCRAM-SHA-256-PLUS AUTH=SCRAM-SHA-256"),
        "{greeting}"
    );
    for (name, plus) in [("SCRAM-SHA-256-PLUS", true), ("SCRAM-SHA-256", false)] {
        talk.say(&format!("a AUTHENTICATE {name} biwsbj1ib2Iscj1h\r\n"));
        let Some(Question::Login(request)) = talk.asked.pop() else {
            panic!("nothing was asked");
        };
        let expected = Binding {
            plus,
            offered: true,
            exporter: Some(vec![1; 32]),
            end_point: Some(vec![2; 32]),
        };
        assert!(matches!(request.proof, Proof::Scram { binding, .. } if binding == expected));
        talk.front
            .refuse(ID, ONLY, Refusal::Mismatch, talk.now.instant);
        assert!(talk.say("").starts_with("a NO [AUTHENTICATIONFAILED]"));
    }
    // In the clear it is not, and SCRAM is, as it shows no password.
    let mut talk = Talk::with(&everything(), remote(false));
    let greeting = talk.say("");
    assert!(
        greeting.contains(" LOGINDISABLED AUTH=SCRAM-SHA-256]"),
        "{greeting}"
    );
    let answer = talk.say("a AUTHENTICATE SCRAM-SHA-256-PLUS\r\n");
    assert!(answer.starts_with("a NO [PRIVACYREQUIRED]"), "{answer}");
}

#[test]
fn a_certificate_is_enough_for_external() {
    let der = rcgen_certificate();
    let mut talk = Talk::with(&everything(), remote(true));
    let secured = Secured {
        certificate: Some(der),
        ..Secured::default()
    };
    talk.front.handle_secured(ID, secured);
    assert!(talk.say("").contains(" AUTH=EXTERNAL"));
    for (script, name) in [
        ("a AUTHENTICATE EXTERNAL =\r\n", ""),
        ("a AUTHENTICATE EXTERNAL Ym9i\r\n", "bob"),
        ("a AUTHENTICATE EXTERNAL\r\n\r\n", ""),
    ] {
        talk.say(script);
        let Some(Question::Login(request)) = talk.asked.pop() else {
            panic!("nothing was asked");
        };
        let expected = Proof::External {
            certified: b"bob@example.org".to_vec(),
            authorize: name.as_bytes().to_vec(),
        };
        assert_eq!(request.proof, expected);
        talk.front
            .refuse(ID, ONLY, Refusal::NotPermitted, talk.now.instant);
        let answer = talk.say("");
        assert!(answer.ends_with("a NO [AUTHORIZATIONFAILED] This user has no mail here.\r\n"));
    }
}

#[test]
fn each_refusal_has_its_code() {
    for (why, code) in [
        (Refusal::Mismatch, "AUTHENTICATIONFAILED"),
        (Refusal::Expired, "EXPIRED"),
        (Refusal::Disabled, "AUTHORIZATIONFAILED"),
        (Refusal::NotPermitted, "AUTHORIZATIONFAILED"),
        (Refusal::Unavailable, "UNAVAILABLE"),
        (Refusal::TooMany(Limit::UserAndAddress), "LIMIT"),
        (Refusal::TooMany(Limit::User), "LIMIT"),
        (Refusal::TooMany(Limit::All), "LIMIT"),
        (Refusal::NoMail, "SERVERBUG"),
    ] {
        let mut talk = Talk::with(&everything(), Peer::default());
        talk.say("");
        talk.say("a AUTHENTICATE SCRAM-SHA-256 biwsbj1ib2Iscj1h\r\n");
        let time = talk.now.instant + Duration::from_secs(2);
        talk.front.refuse(ID, ONLY, why, time);
        let answer = talk.say("");
        assert!(answer.starts_with(&format!("a NO [{code}] ")), "{answer}");
        assert_eq!(talk.waited, Duration::from_secs(2));
        if let Refusal::TooMany(limit) = why {
            assert!(
                answer.contains(&format!("({})", limit.setting())),
                "{answer}"
            );
        }
    }
}

#[test]
fn an_exchange_that_is_given_up_while_its_client_is_silent_is_refused_when_it_answers() {
    let mut talk = Talk::with(&everything(), Peer::default());
    talk.say("");
    talk.say("a AUTHENTICATE SCRAM-SHA-256 biwsbj1ib2Iscj1h\r\n");
    talk.front.challenge(ID, ONLY, &Secret::new(b"x".to_vec()));
    assert_eq!(talk.say(""), "+ eA==\r\n");
    talk.front
        .refuse(ID, ONLY, Refusal::Unavailable, talk.now.instant);
    // Its next line is the answer to the challenge, whenever it comes.
    assert_eq!(talk.say(""), "");
    let answer = talk.say("Yz0=\r\n");
    assert!(answer.starts_with("a NO [UNAVAILABLE] "), "{answer}");
    assert!(talk.say("b NOOP\r\n").starts_with("b OK"));
}

#[test]
fn a_verdict_that_comes_too_late_is_nobodys() {
    let mut talk = Talk::begin(Peer::default());
    talk.say("");
    talk.front
        .refuse(ID, ONLY, Refusal::Mismatch, talk.now.instant);
    talk.front.challenge(ID, ONLY, &Secret::new(b"x".to_vec()));
    assert_eq!(talk.say(""), "");
    assert!(admit(&mut talk.front, "alice", talk.now).is_none());
    assert!(!talk.front.contains(ID));
}

#[test]
fn bombs_cost_no_more_than_their_octets() {
    let deep = "(".repeat(8_000);
    let long = "x".repeat(2_000);
    for command in [
        format!("a ID {deep}"),
        format!("a {deep}"),
        deep.clone(),
        format!("{long} NOOP"),
        format!("a LOGIN {deep} x"),
        format!("a AUTHENTICATE {deep}"),
        format!("a AUTHENTICATE PLAIN {}!", long),
        "a LOGIN {99999999+}".to_owned(),
        "a LOGIN {16385+}".to_owned(),
        "a NOOP\0".to_owned(),
        "\0\0\0".to_owned(),
        "a LOGIN \"bob\" \"x\0\"".to_owned(),
        "GET / HTTP/1.1".to_owned(),
    ] {
        let mut talk = Talk::begin(Peer::default());
        talk.say("");
        let answer = talk.say(&format!("{command}\r\n"));
        assert_eq!(answer.lines().count(), 1, "{answer}");
        assert!(answer.contains("BAD "), "{answer}");
        assert!(answer.len() < 200, "{answer}");
        assert!(!talk.closed);
    }
}

#[test]
fn a_conversation_does_not_depend_on_how_it_is_cut() {
    let script = "a CAPABILITY\r\nb LOGIN alice {5}\r\nwrong\r\nc AUTHENTICATE PLAIN\r\n*\r\n\
        d AUTHENTICATE LOGIN YWxpY2U=\r\nc2VjcmV0\r\ne NOOP\r\n";
    let hold = |pieces: &mut dyn Iterator<Item = &str>| {
        let mut talk = Talk::begin(Peer::default());
        let mut said = talk.say("");
        for piece in pieces {
            // It is not read from while it waits for an answer.
            if talk.admitted.is_none() {
                said += &talk.say(piece);
            }
        }
        said += &String::from_utf8_lossy(talk.admitted.unwrap().output.pending());
        said
    };
    let whole = hold(&mut std::iter::once(script));
    for cut in 0..script.len() {
        let (first, second) = script.split_at(cut);
        assert_eq!(hold(&mut [first, second].into_iter()), whole, "{cut}");
    }
    assert_eq!(hold(&mut script.split_inclusive(|_| true)), whole);
}

fn tag(admitted: &Admitted) -> Vec<u8> {
    let logged_in = crate::imap::LoggedIn::from_octets(&admitted.state).unwrap();
    logged_in.tag.as_bytes().to_vec()
}

fn everything() -> Config {
    Config {
        auth_mechanisms: vec![
            Mechanism::Plain,
            Mechanism::ScramSha256,
            Mechanism::External,
        ],
        ..Config::default()
    }
}

fn remote(tls: bool) -> Peer {
    Peer {
        address: Some("192.0.2.1:5000".parse().unwrap()),
        local: Some("192.0.2.2:143".parse().unwrap()),
        tls,
        ..Peer::default()
    }
}

fn rcgen_certificate() -> Vec<u8> {
    certificate::tests::made(Some("bob@example.org"), "Bob")
}

fn admit(front: &mut Front, user: &str, now: Now) -> Option<Admitted> {
    match front.admit(ID, ONLY, user, 4711, now) {
        Entry::Session(admitted) => Some(*admitted),
        Entry::Answered | Entry::Nobody => None,
    }
}

const ID: ConnectionId = ConnectionId(99);

/// A client of IMAP asks one thing at a time.
const ONLY: u32 = 0;

/// One client, and somebody who knows alice's password.
struct Talk {
    front: Front,
    now: Now,
    admitted: Option<Admitted>,
    waited: Duration,
    starttls: bool,
    closed: bool,
    /// What was asked and not answered by us.
    asked: Vec<Question>,
}

impl Talk {
    fn begin(peer: Peer) -> Talk {
        Talk::with(&Config::default(), peer)
    }

    fn with(config: &Config, peer: Peer) -> Talk {
        let mut front = Front::new(config, true);
        let now = Now::read();
        front.handle_connect(Protocol::Imap, ID, peer, now);
        Talk {
            front,
            now,
            admitted: None,
            waited: Duration::ZERO,
            starttls: false,
            closed: false,
            asked: Vec::new(),
        }
    }

    /// What is answered in the end.
    fn say(&mut self, text: &str) -> String {
        let mut answer = self.say_and_wait_not(text);
        while let Step::Wait(time) = self.front.run(ID, self.now, &|| false) {
            self.waited += time;
            self.now.instant += time;
            answer += &self.say_and_wait_not("");
        }
        answer
    }

    /// What is answered at once.
    fn say_and_wait_not(&mut self, text: &str) -> String {
        self.front.handle_input(ID, text.as_bytes());
        loop {
            match self.front.run(ID, self.now, &|| false) {
                Step::Idle | Step::Again | Step::Wait(_) => break,
                Step::StartTls => {
                    self.starttls = true;
                    break;
                }
                Step::Close => {
                    self.closed = true;
                    break;
                }
                Step::Ask(Ask { question, .. }) => {
                    let Question::Login(request) = &question else {
                        self.asked.push(question);
                        continue;
                    };
                    let Proof::Password { user, password, .. } = &request.proof else {
                        self.asked.push(question);
                        continue;
                    };
                    if user == b"alice" && password.expose() == b"secret" {
                        self.admitted = admit(&mut self.front, "alice", self.now);
                        return String::new();
                    }
                    let time = self.now.instant + Config::default().failure_delay;
                    self.front.refuse(ID, ONLY, Refusal::Mismatch, time);
                }
            }
        }
        let output = self.front.output(ID);
        let answer = String::from_utf8(output.pending().to_vec()).unwrap();
        output.consume(answer.len());
        answer
    }

    fn admitted(self) -> Admitted {
        self.admitted.expect("nobody was admitted")
    }
}
