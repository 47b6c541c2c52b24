//! Scripts of the auth protocol, octet by octet.

use super::*;
use crate::config::{Config, Mechanism as Configured};
use crate::front::Front;
use crate::net::stream::Peer;

#[test]
fn the_greeting_names_the_mechanisms_before_the_numbers() {
    let mut talk = Talk::begin();
    let greeting = talk.hear();
    let words: Vec<&str> = greeting
        .lines()
        .map(|line| line.split('\t').next().unwrap())
        .collect();
    let expected = [
        "VERSION", "MECH", "MECH", "MECH", "SPID", "CUID", "COOKIE", "DONE",
    ];
    assert_eq!(words, expected);
    let pid = process::id();
    assert!(greeting.starts_with(
        "VERSION\t1\t3\nMECH\tPLAIN\tplaintext\nMECH\tLOGIN\tplaintext\nMECH\tSCRAM-SHA-256\tmutual-auth\n"
    ));
    assert!(greeting.contains(&format!("\nSPID\t{pid}\nCUID\t99\nCOOKIE\t")));
    let cookie = greeting.split("COOKIE\t").nth(1).unwrap().lines().next();
    let cookie = cookie.unwrap();
    assert!(cookie.len() == 32 && cookie.bytes().all(|octet| octet.is_ascii_hexdigit()));
}

#[test]
fn plain_and_login_are_answered_wherever_the_input_is_cut() {
    let script = "VERSION\t1\t0\nCPID\t1234\n\
        AUTH\t1\tPLAIN\tservice=smtp\tnologin\trip=203.0.113.5\tsecured\tresp=AGJvYgBzZWNyZXQ=\n\
        AUTH\t2\tLOGIN\tservice=smtp\trip=203.0.113.5\nCONT\t2\tYm9i\nCONT\t2\tc2VjcmV0\n\
        AUTH\t3\tPLAIN\tservice=smtp\nCONT\t3\tAGJvYgBzZWNyZXQ=\n\
        AUTH\t4\tLOGIN\tservice=smtp\tresp=Ym9i\nCONT\t4\tc2VjcmV0\n";
    let expected = "OK\t1\tuser=bob\nCONT\t2\tVXNlcm5hbWU6\nCONT\t2\tUGFzc3dvcmQ6\nOK\t2\tuser=bob\n\
        CONT\t3\t\nOK\t3\tuser=bob\nCONT\t4\tUGFzc3dvcmQ6\nOK\t4\tuser=bob\n";
    for cut in 0..script.len() {
        let mut talk = Talk::begin();
        talk.hear();
        let (first, second) = script.split_at(cut);
        let answer = talk.say(first) + &talk.say(second);
        assert_eq!(answer, expected, "{cut}");
        assert!(!talk.closed);
    }
    let mut talk = Talk::begin();
    talk.hear();
    let answers = script
        .split_inclusive(|_| true)
        .map(|piece| talk.say(piece));
    assert_eq!(answers.collect::<String>(), expected);
}

#[test]
fn a_failure_is_told_at_its_time_and_says_why_if_it_may() {
    for (why, code) in [
        (Refusal::Mismatch, ""),
        (Refusal::Expired, "\tcode=pass_expired"),
        (Refusal::Disabled, "\tcode=user_disabled"),
        (Refusal::NotPermitted, "\tcode=authz_fail"),
        (Refusal::Unavailable, "\tcode=temp_fail"),
    ] {
        let mut talk = Talk::introduced();
        talk.refusal = why;
        assert_eq!(talk.say("AUTH\t7\tPLAIN\tresp=AGJvYgB3cm9uZw==\n"), "");
        talk.now.instant += Duration::from_millis(1_999);
        assert_eq!(talk.say(""), "");
        assert_eq!(talk.wait, Some(Duration::from_millis(1)));
        talk.now.instant += Duration::from_millis(1);
        assert_eq!(talk.say(""), format!("FAIL\t7\tuser=bob{code}\n"));
        assert_eq!(talk.wait, None);
        // The number can be used again.
        assert_eq!(
            talk.say("AUTH\t7\tPLAIN\tresp=AGJvYgBzZWNyZXQ=\n"),
            "OK\t7\tuser=bob\n"
        );
    }
}

#[test]
fn what_cannot_be_read_fails_at_its_time_though_nobody_was_asked() {
    for bad in ["bm9uc2Vuc2U=", "!!!", "eAAAc2VjcmV0"] {
        let mut talk = Talk::introduced();
        assert_eq!(talk.say(&format!("AUTH\t1\tPLAIN\tresp={bad}\n")), "");
        assert!(talk.asked.is_empty());
        assert_eq!(talk.wait, Some(Duration::from_secs(2)), "{bad}");
        talk.now.instant += Duration::from_secs(2);
        assert_eq!(talk.say(""), "FAIL\t1\n");
        assert_eq!(talk.wait, None);
    }
}

#[test]
fn several_requests_go_on_at_a_time_and_one_can_be_given_up() {
    let mut talk = Talk::introduced();
    assert_eq!(
        talk.say("AUTH\t1\tLOGIN\nAUTH\t2\tLOGIN\nCONT\t2\tYm9i\nCANCEL\t1\nCONT\t1\tYm9i\n"),
        "CONT\t1\tVXNlcm5hbWU6\nCONT\t2\tVXNlcm5hbWU6\nCONT\t2\tUGFzc3dvcmQ6\n"
    );
    assert_eq!(
        talk.say("AUTH\t1\tPLAIN\tresp=AGJvYgB3cm9uZw==\nCONT\t2\tc2VjcmV0\nCANCEL\t1\n"),
        "OK\t2\tuser=bob\n"
    );
    talk.now.instant += Duration::from_secs(10);
    assert_eq!(talk.say(""), "");
    assert!(talk.socket.requests(ID).is_empty());
}

#[test]
fn a_response_that_cannot_be_read_is_a_failure_told_in_its_time() {
    let mut talk = Talk::introduced();
    assert_eq!(talk.say("AUTH\t1\tPLAIN\tresp=!!!!\n"), "");
    assert_eq!(talk.wait, Some(Duration::from_secs(2)));
    talk.now.instant += Duration::from_secs(2);
    assert_eq!(talk.say(""), "FAIL\t1\n");
}

#[test]
fn scram_is_passed_on_and_taken_back_if_the_client_gives_up() {
    let mut talk = Talk::introduced();
    assert_eq!(talk.say("AUTH\t1\tSCRAM-SHA-256\tresp=biwsbj1ib2Is\n"), "");
    assert_eq!(talk.asked, ["1 login n,,n=bob,"]);
    let challenge = Secret::new(b"r=1".to_vec());
    talk.socket.challenge(ID, 1, &challenge);
    assert_eq!(talk.say(""), "CONT\t1\tcj0x\n");
    assert_eq!(talk.say("CONT\t1\tYz0x\n"), "");
    talk.socket.challenge(ID, 1, &challenge);
    assert_eq!(talk.say("CONT\t1\t\n"), "CONT\t1\tcj0x\n");
    talk.socket.admit(ID, 1, "bob", 1, talk.now);
    assert_eq!(talk.say(""), "OK\t1\tuser=bob\n");

    talk.say("AUTH\t2\tSCRAM-SHA-256\tresp=biwsbj1ib2Is\n");
    talk.socket.challenge(ID, 2, &challenge);
    talk.say("CANCEL\t2\nAUTH\t3\tSCRAM-SHA-256\tresp=biwsbj1ib2Is\n");
    talk.socket.challenge(ID, 3, &challenge);
    talk.say("CONT\t3\t!\nAUTH\t4\tSCRAM-SHA-256\tresp=biwsbj1ib2Is\n");
    assert_eq!(
        talk.asked.split_off(1),
        [
            "1 respond c=1",
            "1 respond ",
            "2 login n,,n=bob,",
            "2 give up",
            "3 login n,,n=bob,",
            "3 give up",
            "4 login n,,n=bob,"
        ]
    );
    assert_eq!(talk.socket.requests(ID), [4]);
}

#[test]
fn the_first_words_and_the_length_of_lines_are_those_of_the_protocol() {
    for bad in [
        "VERSION\t2\t0\n",
        "AUTH\t1\tPLAIN\n",
        "GET / HTTP/1.1\n",
        "VERSION\t1\t1\nAUTH\t1\tLOGIN\nAUTH\t1\tLOGIN\n",
    ] {
        let mut talk = Talk::begin();
        talk.say(bad);
        assert!(talk.closed, "{bad:?}");
    }
    let mut talk = Talk::introduced();
    let long = format!("AUTH\t1\tLOGIN\tx={}\n", "y".repeat(MAX_LINE - 16));
    assert_eq!(long.len(), MAX_LINE);
    assert_eq!(talk.say(&long), "CONT\t1\tVXNlcm5hbWU6\n");
    talk.say(&"z".repeat(MAX_LINE + 1));
    assert!(talk.closed);
}

#[test]
fn what_is_not_offered_and_what_is_too_much_fails_alone() {
    let mut talk = Talk::introduced();
    assert_eq!(
        talk.say("AUTH\t1\tXOAUTH2\nAUTH\t2\tEXTERNAL\n"),
        "FAIL\t1\treason=Unsupported authentication mechanism\n\
         FAIL\t2\treason=Unsupported authentication mechanism\n"
    );
    for id in 0..MAX_REQUESTS {
        assert!(
            talk.say(&format!("AUTH\t{id}\tLOGIN\n"))
                .starts_with("CONT")
        );
    }
    assert_eq!(
        talk.say("AUTH\t5000\tLOGIN\n"),
        "FAIL\t5000\tcode=temp_fail\n"
    );
    talk.socket.handle_end(ID);
    talk.say("");
    assert!(talk.closed);
}

#[test]
fn there_are_only_so_many_clients() {
    let mut talk = Talk::begin();
    let socket = &mut talk.socket;
    for id in 1..MAX_CLIENTS {
        assert_eq!(socket.objection(Protocol::Sasl), None);
        let id = ConnectionId(1000 + id);
        socket.handle_connect(Protocol::Sasl, id, Peer::default(), talk.now);
    }
    assert!(socket.objection(Protocol::Sasl).is_some());
    socket.handle_close(ID, talk.now);
    assert_eq!(socket.objection(Protocol::Sasl), None);
}

const ID: ConnectionId = ConnectionId(99);

/// One client, and somebody who knows bob's password.
struct Talk {
    socket: Front,
    now: Now,
    refusal: Refusal,
    wait: Option<Duration>,
    closed: bool,
    /// What was asked and not answered by us.
    asked: Vec<String>,
}

impl Talk {
    fn begin() -> Talk {
        let config = Config {
            auth_mechanisms: vec![
                Configured::Plain,
                Configured::Login,
                Configured::ScramSha256,
                Configured::External,
            ],
            ..Config::default()
        };
        let mut socket = Front::new(&config, false);
        socket.handle_connect(Protocol::Sasl, ID, Peer::default(), Now::read());
        Talk {
            socket,
            now: Now::read(),
            refusal: Refusal::Mismatch,
            wait: None,
            closed: false,
            asked: Vec::new(),
        }
    }

    fn introduced() -> Talk {
        let mut talk = Talk::begin();
        talk.say("VERSION\t1\t1\nCPID\t17\n");
        talk
    }

    fn say(&mut self, text: &str) -> String {
        self.socket.handle_input(ID, text.as_bytes());
        self.wait = None;
        loop {
            match self.socket.run(ID, self.now, &|| false) {
                Step::Idle | Step::Again => break,
                Step::Wait(time) => {
                    self.wait = Some(time);
                    break;
                }
                Step::Close | Step::StartTls => {
                    self.closed = true;
                    break;
                }
                Step::Ask(Ask {
                    request, question, ..
                }) => self.answer(request, question),
            }
        }
        self.hear()
    }

    fn answer(&mut self, request: u32, question: Question) {
        let text = |secret: &Secret| String::from_utf8_lossy(secret.expose()).into_owned();
        let Question::Login(login) = question else {
            self.asked.push(match question {
                Question::Respond(response) => format!("{request} respond {}", text(&response)),
                _ => format!("{request} give up"),
            });
            return;
        };
        match login.proof {
            Proof::Password { user, password, .. } => {
                assert_eq!(login.protocol, Protocol::Sasl);
                assert_eq!(user, b"bob");
                if password.expose() == b"secret" {
                    let entry = self.socket.admit(ID, request, "bob", 1, self.now);
                    assert!(matches!(entry, Entry::Answered));
                } else {
                    let time = self.now.instant + Duration::from_secs(2);
                    self.socket.refuse(ID, request, self.refusal, time);
                }
            }
            Proof::Scram { first, .. } => {
                self.asked.push(format!("{request} login {}", text(&first)));
            }
            Proof::External { .. } => panic!("EXTERNAL"),
        }
    }

    fn hear(&mut self) -> String {
        let output = self.socket.output(ID);
        let answer = String::from_utf8(output.pending().to_vec()).unwrap();
        output.consume(answer.len());
        answer
    }
}
