//! Conversations before login, with a clock of the test's own.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use super::*;
use crate::ipc::Proof;

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
    assert_eq!(talk.admitted().tag.as_bytes(), b"a1");
}

#[test]
fn what_was_sent_after_login_goes_on_to_the_session() {
    let mut talk = Talk::begin(Peer::default());
    talk.say("a1 LOGIN alice secret\r\na2 NOOP\r\n");
    let mut admitted = talk.admitted();
    admitted
        .connection
        .set_state(crate::imap::connection::State::Authenticated);
    let event = admitted.connection.poll_event(admitted.output.writer());
    let Some(crate::imap::Event::Command(tagged)) = event else {
        panic!("{event:?}");
    };
    assert_eq!(tagged.tag.as_bytes(), b"a2");
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
    assert_eq!(admitted.tag.as_bytes(), b"b");
    assert_eq!(
        admitted.output.pending(),
        b"a NO [AUTHENTICATIONFAILED] Wrong user name or password\r\n"
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
        assert_eq!(talk.admitted().tag.as_bytes(), b"a", "{script}");
    }
}

#[test]
fn nobody_may_act_for_somebody_else_and_a_broken_message_is_no_message() {
    for message in [
        "bob\0alice\0secret",
        "alice\0secret",
        "\0alice\0secret\0",
        "\0\0secret",
        "",
    ] {
        let mut talk = Talk::begin(Peer::default());
        talk.say("");
        let answer = talk.say(&format!(
            "a AUTHENTICATE PLAIN\r\n{}\r\n",
            STANDARD.encode(message)
        ));
        assert!(
            answer.ends_with("a NO [AUTHENTICATIONFAILED] Wrong user name or password\r\n"),
            "{answer}"
        );
        assert_eq!(talk.waited, Config::default().failure_delay);
    }
}

#[test]
fn login_as_a_mechanism_asks_for_name_and_password() {
    let mut talk = Talk::begin(Peer::default());
    talk.say("");
    assert_eq!(talk.say("a AUTHENTICATE LOGIN\r\n"), "+ VXNlcm5hbWU6\r\n");
    assert_eq!(talk.say("YWxpY2U=\r\n"), "+ UGFzc3dvcmQ6\r\n");
    talk.say("c2VjcmV0\r\n");
    assert_eq!(talk.admitted().tag.as_bytes(), b"a");
}

#[test]
fn an_exchange_can_be_given_up_and_goes_wrong_alone() {
    let mut talk = Talk::begin(Peer::default());
    talk.say("");
    assert_eq!(
        talk.say("a AUTHENTICATE PLAIN\r\n*\r\n"),
        "+ \r\na BAD Authentication given up\r\n"
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
    assert_eq!(talk.admitted().tag.as_bytes(), b"d");
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
        "b OK Begin TLS now\r\n"
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
    assert_eq!(talk.admitted().tag.as_bytes(), b"f");
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
        "* BYE Goodbye\r\nc OK Logged out\r\n"
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
    assert_eq!(lines[3], "* BYE Too many bad commands");
    assert!(talk.closed);
}

#[test]
fn a_command_that_never_ends_is_not_waited_for() {
    let mut talk = Talk::begin(Peer::default());
    talk.say("");
    let answer = talk.say(&"x".repeat(login::MAX_UNANSWERED + 1));
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
    assert_eq!(talk.say(""), "* BYE It took too long to log in\r\n");
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
    assert_eq!(talk.say(""), "a OK Nothing done\r\n");
    assert!(talk.closed);
}

const ID: ConnectionId = ConnectionId(99);

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
        front.handle_connect(ID, peer, now);
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
                Step::Ask(question) => {
                    let Question::Login(request) = &question else {
                        self.asked.push(question);
                        continue;
                    };
                    let Proof::Password { user, password, .. } = &request.proof else {
                        self.asked.push(question);
                        continue;
                    };
                    if user == b"alice" && password.expose() == b"secret" {
                        self.admitted = self.front.admit(ID, "alice", 4711, self.now);
                        return String::new();
                    }
                    let time = self.now.instant + Config::default().failure_delay;
                    self.front.refuse(ID, Refusal::Mismatch, time);
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
