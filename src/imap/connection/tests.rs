use super::*;
use proptest::prelude::*;

/// A connection and what a caller does that takes every command for good: events in short, and the
/// continuation requests between them.
struct Talk {
    connection: Connection,
    out: Vec<u8>,
    seen: Vec<String>,
    /// What to do with the next messages: `true` accepts.
    accepts: bool,
    text: Vec<u8>,
}

impl Talk {
    fn new(state: State) -> Talk {
        Talk {
            connection: Connection::new(state, b'/'),
            out: Vec::new(),
            seen: Vec::new(),
            accepts: true,
            text: Vec::new(),
        }
    }

    fn hear(&mut self, bytes: &[u8]) {
        self.connection.handle_input(bytes);
        loop {
            let event = self.connection.poll_event(&mut self.out);
            self.note_output();
            match event {
                None => return,
                Some(event) => self.act(event),
            }
            self.note_output();
        }
    }

    fn note_output(&mut self) {
        let out = std::mem::take(&mut self.out);
        self.seen
            .extend(String::from_utf8(out).unwrap().lines().map(str::to_owned));
    }

    fn act(&mut self, event: Event) {
        let decide = |talk: &mut Talk, size| {
            if talk.accepts {
                talk.connection.accept(&mut talk.out);
                return format!("message of {size}");
            }
            talk.connection.refuse();
            format!("refused {size}")
        };
        let note = match event {
            Event::Command(Tagged { tag, command, .. }) => {
                match &command {
                    Command::Idle => self.connection.start_idle(&tag, &mut self.out),
                    Command::Authenticate { initial: None, .. } => {
                        self.connection.challenge(&tag, b"who?", &mut self.out);
                    }
                    Command::Select(_) => self.connection.set_state(State::Selected),
                    Command::Logout => self.connection.set_state(State::Logout),
                    Command::Enable(extensions) => {
                        extensions
                            .iter()
                            .for_each(|&extension| self.connection.enable(extension));
                    }
                    _ => {}
                }
                let command = format!("{command:?}");
                let word = command.split(|c: char| !c.is_alphanumeric()).next();
                format!("{tag} {}", word.unwrap_or_default())
            }
            Event::Append(tag, start) => {
                let mailbox = start
                    .mailbox
                    .map_or_else(|error| format!("{error:?}"), |name| name.to_string());
                format!("{tag} {mailbox} {}", decide(self, start.message.size))
            }
            Event::AppendMessage(message) => decide(self, message.size),
            Event::AppendData => {
                let data = self.connection.append_data();
                self.text.extend_from_slice(data);
                let n = data.len();
                self.connection.consume_append_data(n);
                return;
            }
            Event::AppendEnd => "end".to_owned(),
            Event::Continuation(answer) => String::from_utf8_lossy(answer.expose()).into_owned(),
            Event::Cancelled => "cancelled".to_owned(),
            Event::Done => "done".to_owned(),
            Event::Bad(Bad { tag, text, fatal }) => {
                let tag = tag.map_or("*".to_owned(), |tag| tag.to_string());
                format!("{tag} BAD {text}{}", if fatal { " FATAL" } else { "" })
            }
        };
        self.seen.push(note);
    }
}

fn talk_in(state: State, input: &str) -> Vec<String> {
    let mut whole = Talk::new(state);
    whole.hear(input.as_bytes());
    let mut cut = Talk::new(state);
    input.as_bytes().iter().for_each(|&byte| cut.hear(&[byte]));
    assert_eq!(whole.seen, cut.seen, "{input:?} octet by octet");
    assert_eq!(whole.text, cut.text);
    whole.seen
}

fn talk(input: &str) -> Vec<String> {
    talk_in(State::Authenticated, input)
}

#[test]
fn pipelined_commands_come_in_order() {
    assert_eq!(
        talk("1 NOOP\r\n2 SELECT {5+}\r\ninbox\r\n3 FETCH 1 FLAGS\n4 LOGOUT\r\n5 NOOP\r\n"),
        ["1 Noop", "2 Select", "3 Fetch", "4 Logout"]
    );
}

#[test]
fn a_synchronising_literal_is_asked_for() {
    assert_eq!(
        talk("1 RENAME {1}\r\na {1}\r\nb\r\n2 NOOP\r\n"),
        ["+ OK", "+ OK", "1 Rename", "2 Noop"]
    );
}

#[test]
fn a_wrong_command_costs_only_itself() {
    assert_eq!(
        talk("1 FOO\r\n\r\n(\r\n2\r\n3 NOOP x\r\n4 DELETE \"a\r\n5 NOOP\r\n"),
        [
            "1 BAD Unknown command",
            "* BAD Missing tag",
            "* BAD Missing tag",
            "2 BAD Missing command",
            "3 BAD Too many arguments",
            "4 BAD Missing '\"'",
            "5 Noop",
        ]
    );
}

#[test]
fn a_literal_of_a_wrong_command_is_not_asked_for_or_swallowed() {
    assert_eq!(
        talk(
            "1 FOO {3}\r\n2 RENAME (x {3}\r\n3 FOO {3+}\r\na\nb\r\n4 FETCH 1 (X {3+}\r\na\nb)\r\n({3+}\r\na\nb\r\n5 NOOP\r\n"
        ),
        [
            "1 BAD Unknown command",
            "2 BAD Missing string",
            "3 BAD Unknown command",
            "4 BAD No mailbox selected",
            "* BAD Missing tag",
            "5 Noop",
        ]
    );
}

#[test]
fn literals_have_a_limit_together() {
    let half = "x".repeat(300_000);
    assert_eq!(
        talk_whole(&format!("1 RENAME {{300000+}}\r\n{half} b\r\n2 NOOP\r\n")),
        ["1 Rename", "2 Noop"]
    );
    assert_eq!(
        talk_whole(&format!(
            "1 RENAME {{300000+}}\r\n{half} {{300000+}}\r\n{half}\r\n2 NOOP\r\n"
        )),
        ["1 BAD Literal too large", "2 Noop"]
    );
    assert_eq!(
        talk(
            "1 RENAME a {524289}\r\n2 RENAME a {9223372036854775807}\r\n3 DELETE ~{1}\r\n4 NOOP\r\n"
        ),
        [
            "1 BAD Literal too large",
            "2 BAD Literal too large",
            "3 BAD Too many arguments",
            "4 Noop"
        ]
    );
    assert_eq!(
        talk_in(
            State::NotAuthenticated,
            "1 LOGIN a {16385}\r\n2 LOGIN a {3}\r\nabc\r\n"
        ),
        ["1 BAD Literal too large", "+ OK", "2 Login"]
    );
}

fn talk_whole(input: &str) -> Vec<String> {
    let mut talk = Talk::new(State::Authenticated);
    input
        .as_bytes()
        .chunks(4096)
        .for_each(|bytes| talk.hear(bytes));
    talk.seen
}

#[test]
fn an_over_long_line_is_answered_with_its_tag() {
    let long = "x".repeat(100_000);
    assert_eq!(
        talk_whole(&format!(
            "1 DELETE {long}\r\n{long}\r\n2 NOOP {long} {{3+}}\r\na\nb\r\n({long}\r\n3 NOOP\r\n"
        )),
        [
            "1 BAD Command line too long".to_owned(),
            "* BAD Command line too long".to_owned(),
            "2 BAD Command line too long".to_owned(),
            "* BAD Command line too long".to_owned(),
            "3 Noop".to_owned(),
        ]
    );
}

#[test]
fn commands_are_allowed_in_their_states_only() {
    let commands = "1 NOOP\r\n2 LOGIN a b\r\n3 LIST \"\" *\r\n4 FETCH 1 FLAGS\r\n5 STARTTLS\r\n6 APPEND x {3+}\r\nabc\r\n";
    assert_eq!(
        talk_in(State::NotAuthenticated, commands),
        [
            "1 Noop",
            "2 Login",
            "3 BAD Please log in first",
            "4 BAD Please log in first",
            "5 StartTls",
            "6 BAD Please log in first",
        ]
    );
    assert_eq!(
        talk(commands),
        [
            "1 Noop",
            "2 BAD Already logged in",
            "3 List",
            "4 BAD No mailbox selected",
            "5 BAD Already logged in",
            "6 x message of 3",
            "end"
        ]
    );
    assert_eq!(talk_in(State::Selected, commands)[3], "4 Fetch");
}

#[test]
fn an_append_streams_its_messages() {
    for (plus, asked) in [("+", &[][..]), ("", &["+ OK"])] {
        let input = format!(
            "1 APPEND x (\\Seen) {{5{plus}}}\r\na\r\nbc \"17-Jul-1996 02:44:25 -0700\" ~{{3{plus}}}\r\nd\0e {{0{plus}}}\r\n\r\n2 NOOP\r\n"
        );
        let mut expected = vec!["1 x message of 5"];
        expected.extend(asked);
        expected.push("message of 3");
        expected.extend(asked);
        expected.push("message of 0");
        expected.extend(asked);
        expected.extend(["end", "2 Noop"]);
        assert_eq!(talk(&input), expected);
        let mut talk = Talk::new(State::Authenticated);
        talk.hear(input.as_bytes());
        assert_eq!(talk.text, b"a\r\nbcd\0e");
    }
    assert_eq!(
        talk("1 APPEND {1}\r\nx {3}\r\nabc\r\n"),
        ["+ OK", "1 x message of 3", "+ OK", "end"]
    );
    assert_eq!(
        talk("1 APPEND R&D {3+}\r\nabc\r\n"),
        ["1 Utf7 message of 3", "end"]
    );
}

#[test]
fn a_refused_append_stays_in_step() {
    for input in [
        "1 APPEND x {5}\r\n2 NOOP\r\n",
        "1 APPEND x {5+}\r\n3 BYE\r\n2 NOOP\r\n",
        "1 APPEND x {5+}\r\n3 BYE (\\Seen) {5+}\r\n3 BYE\r\n2 NOOP\r\n",
        "1 APPEND x {5+}\r\n3 BYE (\\Seen) {5}\r\n2 NOOP\r\n",
        "1 APPEND x {5+}\r\n3 BYE nonsense {x}\r\n2 NOOP\r\n",
    ] {
        for piece in [1, 2, 1000] {
            let mut talk = Talk::new(State::Authenticated);
            talk.accepts = false;
            input
                .as_bytes()
                .chunks(piece)
                .for_each(|bytes| talk.hear(bytes));
            assert_eq!(
                talk.seen,
                ["1 x refused 5", "2 Noop"],
                "{input:?} by {piece}"
            );
        }
    }
}

#[test]
fn an_append_can_be_given_up_in_the_middle() {
    for given_up_after in 0..5 {
        let mut talk = Talk::new(State::Authenticated);
        talk.hear(b"1 APPEND x {5+}\r\n");
        talk.hear(&b"abcde"[..given_up_after]);
        talk.connection.refuse();
        talk.hear(&b"abcde"[given_up_after..]);
        talk.hear(b" {5+}\r\n2 BYE\r\n2 NOOP\r\n");
        assert_eq!(talk.seen, ["1 x message of 5", "2 Noop"]);
    }
    let mut talk = Talk::new(State::Authenticated);
    talk.hear(b"1 APPEND x {5+}\r\nabcde");
    talk.connection.refuse();
    talk.hear(b"\r\n2 NOOP\r\n");
    assert_eq!(talk.seen, ["1 x message of 5", "2 Noop"]);
}

#[test]
fn a_wrong_append_is_answered_and_swallowed() {
    assert_eq!(
        talk(
            "1 APPEND x\r\n2 APPEND x FOO {3}\r\n3 APPEND {3+}\r\nabc\r\n4 APPEND x {3+}\r\nabcd\r\n5 APPEND x {3+}\r\nabc FOO {3+}\r\na\nb\r\n6 NOOP\r\n"
        ),
        [
            "1 BAD Missing message literal",
            "2 BAD Missing message literal",
            "3 BAD Missing message literal",
            "4 x message of 3",
            "4 BAD Missing message literal",
            "5 x message of 3",
            "5 BAD Missing message literal",
            "6 Noop",
        ]
    );
}

#[test]
fn idle_ends_with_done_or_anything_else() {
    assert_eq!(
        talk(
            "1 IDLE\r\nDONE\r\n2 IDLE\r\ndone\n3 IDLE\r\n4 NOOP\r\n5 IDLE\r\nX {5+}\r\n6 NOOP\r\n"
        ),
        [
            "1 Idle",
            "+ idling",
            "done",
            "2 Idle",
            "+ idling",
            "done",
            "3 Idle",
            "+ idling",
            "3 BAD Expected DONE",
            "5 Idle",
            "+ idling",
            "5 BAD Expected DONE",
            "6 Noop",
        ]
    );
    let mut talk = Talk::new(State::Authenticated);
    talk.hear(
        format!(
            "1 IDLE\r\n{} {{3+}}\r\na\nb\r\n2 NOOP\r\n",
            "x".repeat(70_000)
        )
        .as_bytes(),
    );
    assert_eq!(
        talk.seen,
        ["1 Idle", "+ idling", "1 BAD Expected DONE", "2 Noop"]
    );
}

#[test]
fn authenticate_asks_and_hears() {
    assert_eq!(
        talk_in(
            State::NotAuthenticated,
            "1 AUTHENTICATE PLAIN\r\nAGEAYg==\r\n2 AUTHENTICATE PLAIN\r\n*\r\n3 AUTHENTICATE PLAIN\r\n?\r\n4 AUTHENTICATE PLAIN\r\n\r\n5 NOOP\r\n"
        ),
        [
            "1 Authenticate",
            "+ d2hvPw==",
            "\0a\0b",
            "2 Authenticate",
            "+ d2hvPw==",
            "cancelled",
            "3 Authenticate",
            "+ d2hvPw==",
            "3 BAD Invalid base64",
            "4 Authenticate",
            "+ d2hvPw==",
            "",
            "5 Noop",
        ]
    );
}

#[test]
fn nothing_sent_before_tls_counts_after_it() {
    let mut connection = Connection::new(State::NotAuthenticated, b'/');
    let mut out = Vec::new();
    connection.handle_input(b"1 STARTTLS\r\n2 LOGIN a b\r\n");
    assert!(matches!(
        connection.poll_event(&mut out),
        Some(Event::Command(_))
    ));
    connection.start_tls();
    assert_eq!(connection.poll_event(&mut out), None);
}

#[test]
fn qresync_must_be_enabled_first() {
    let needing = "1 SELECT x (QRESYNC (1 2))\r\n2 SELECT x\r\n3 UID FETCH 1 FLAGS (CHANGEDSINCE 1 VANISHED)\r\n";
    assert_eq!(
        talk(needing),
        [
            "1 BAD QRESYNC is not enabled",
            "2 Select",
            "3 BAD QRESYNC is not enabled"
        ]
    );
    assert_eq!(
        talk(&format!("0 ENABLE QRESYNC\r\n{needing}")),
        ["0 Enable", "1 Select", "2 Select", "3 Fetch"]
    );
    let mut connection = Connection::new(State::Authenticated, b'.');
    connection.enable(Extension::QResync);
    assert!(
        connection.is_enabled(Extension::CondStore) && !connection.is_enabled(Extension::Imap4Rev2)
    );
    connection.enable(Extension::Imap4Rev2);
    assert!(connection.dialect().utf8);
}

#[test]
fn twenty_bad_commands_in_a_row_are_too_many() {
    let seen = talk(&"1 FOO\r\n".repeat(20));
    assert!(seen[19].ends_with("FATAL") && !seen[18].ends_with("FATAL"));
    let forgiven = talk(&format!("{0}2 NOOP\r\n{0}", "1 FOO\r\n".repeat(19)));
    assert!(forgiven.iter().all(|event| !event.ends_with("FATAL")));
    let mut connection = Connection::new(State::Authenticated, b'/');
    for round in 1..=20 {
        connection.handle_input(b"1 NOOP\r\n");
        connection.poll_event(&mut Vec::new());
        assert_eq!(connection.count_bad(), round == 20);
    }
}

#[test]
fn input_waits_while_a_command_is_acted_on() {
    let mut connection = Connection::new(State::Authenticated, b'/');
    connection.handle_input(&b"1 NOOP\r\n".repeat(10_000));
    assert!(!connection.wants_input());
    while connection.poll_event(&mut Vec::new()).is_some() {}
    assert!(connection.wants_input());
    connection.handle_input(b"1 NO");
    assert_eq!(connection.poll_event(&mut Vec::new()), None);
    // A command may be larger than what waits.
    connection.handle_input(b"OP\r\n2 RENAME x {500000+}\r\n");
    assert!(connection.poll_event(&mut Vec::new()).is_some());
    for _ in 0..5 {
        assert_eq!(connection.poll_event(&mut Vec::new()), None);
        assert!(connection.wants_input());
        connection.handle_input(&[b'x'; 50_000]);
    }
}

#[test]
fn very_many_literals_are_not_read_over_and_over() {
    let names = "{0}\r\n ".repeat(10_000);
    let seen = talk_whole(&format!(
        "1 ID (\"a\" {names}NIL)\r\n2 SELECT x\r\n3 FETCH 1 BODY[HEADER.FIELDS ({names}x)]\r\n4 NOOP\r\n"
    ));
    assert_eq!(seen.iter().filter(|line| *line == "+ OK").count(), 20_000);
    assert_eq!(seen.last().unwrap(), "4 Noop");
}

#[test]
fn what_is_read_before_a_command_is_complete_is_bounded_however_many_literals_it_has() {
    let mut connection = Connection::new(State::NotAuthenticated, b'/');
    let literals = " {1+}\r\nx".repeat(2_000);
    for _ in 0..2 {
        connection.handle_input(format!("1 ID (\"a\"{literals}").as_bytes());
        assert_eq!(connection.poll_event(&mut Vec::new()), None);
        let ahead = connection.looked_ahead;
        assert!((4_000..=LOOKED_AHEAD_MAX).contains(&ahead), "{ahead}");
        connection.handle_input(b" NIL)\r\n");
        assert!(connection.poll_event(&mut Vec::new()).is_some());
        assert_eq!(connection.looked_ahead, 0);
    }
}

proptest! {
    #[test]
    fn any_input_is_answered_and_cutting_it_changes_nothing(
        input in "([123] (NOOP|APPEND x|FOO|IDLE|DELETE|LOGIN a|AUTHENTICATE X|ID)?( |\\(|\\)|\"| \\{[0-9][+]?\\})?(\r?\n|x)){0,20}"
    ) {
        talk_in(State::Authenticated, &input);
        talk_in(State::NotAuthenticated, &input);
    }

    #[test]
    fn no_octets_panic(input: Vec<u8>) {
        let mut talk = Talk::new(State::Selected);
        talk.connection.handle_input(&input);
        while talk.connection.poll_event(&mut talk.out).is_some() {}
    }
}
