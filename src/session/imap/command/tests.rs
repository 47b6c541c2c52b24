use crate::config::{Config, Location};
use crate::imap::connection::{Connection, State};
use crate::maildir::disk::dir::fault;
use crate::maildir::disk::dir::scratch::Scratch;
use crate::net::{Buffer, ConnectionId, Now, Run};
use crate::session::{Greeting, Session};

const EIO: i32 = 5;

/// Clients of one user, by their numbers from 1 on.
struct Talk {
    session: Session,
    /// Whether the time slice is used up.
    over: bool,
}

impl Talk {
    fn new(scratch: &Scratch, clients: usize, settings: &[&str]) -> Talk {
        let mut config = Config::default();
        config.set("mail.watch=no").unwrap();
        for setting in settings {
            config.set(setting).unwrap();
        }
        let location = Location::at(scratch.path().to_owned(), config.layout);
        let mut session = Session::new("alice", &config, location, Box::new(|| {})).unwrap();
        for client in 1..=clients {
            let connection = Connection::new(State::Authenticated, b'.');
            let (id, now) = (ConnectionId(client), Now::read());
            session.attach(id, "s", Greeting::PreAuth, connection, Buffer::new(), now);
        }
        Talk {
            session,
            over: false,
        }
    }

    /// One client with so many messages, and every change forced to the disk.
    fn with_messages(scratch: &Scratch, messages: usize, flags: &str) -> Talk {
        let mut talk = Talk::new(scratch, 1, &["mail.fsync=always"]);
        assert!(talk.say(1, "a SELECT INBOX").contains("a OK"));
        for message in 1..=messages {
            let name = format!("cur/{message}.host:2,{flags}");
            scratch.write(&name, "Subject: x\n\nx\n");
        }
        let said = talk.say(1, "a NOOP");
        assert!(said.contains(&format!("* {messages} EXISTS")), "{said}");
        talk
    }

    fn say(&mut self, client: usize, line: &str) -> String {
        let (id, now, over) = (ConnectionId(client), Now::read(), self.over);
        let session = &mut self.session;
        session.handle_input(id, format!("{line}\r\n").as_bytes(), now);
        while session.run(id, Now::read(), &|| over) == Run::Again {}
        let output = session.output(id);
        let said = String::from_utf8(output.pending().to_vec()).unwrap();
        output.consume(output.len());
        said
    }
}

#[test]
fn a_select_that_fails_takes_the_mailbox_from_nobody() {
    let scratch = Scratch::new();
    let mut talk = Talk::new(&scratch, 2, &[]);
    assert!(talk.say(1, "a SELECT INBOX").contains("a OK"));
    scratch.write("cur/1.host:2,", "Subject: x\n\nx\n");
    fault::fail_call_at("getdents", 1, EIO);
    let said = talk.say(2, "b SELECT INBOX");
    fault::clear();
    assert!(said.contains("b NO"), "{said}");
    let said = talk.say(1, "c NOOP");
    assert!(
        said.contains("* 1 EXISTS") && said.ends_with("c OK NOOP completed.\r\n"),
        "{said}"
    );
    assert!(!said.contains("CLOSED"), "{said}");
}

#[test]
fn what_cannot_be_forced_to_the_disk_is_not_answered_with_ok() {
    let run = |command: &str, fail: usize| {
        let scratch = Scratch::new();
        let mut talk = Talk::with_messages(&scratch, 3, "T");
        assert!(talk.say(1, "b CREATE x").contains("b OK"));
        talk.over = true;
        fault::fail_call_at("fsync", fail, EIO);
        let said = talk.say(1, &format!("c {command}"));
        (said, fault::clear() >= fail)
    };
    for command in [
        "STORE 1:3 +FLAGS (\\Flagged)",
        "EXPUNGE",
        "COPY 1:3 x",
        "MOVE 1:3 x",
    ] {
        let mut fsyncs = 0;
        for fail in 1.. {
            let (said, failed) = run(command, fail);
            if !failed {
                break;
            }
            fsyncs += 1;
            assert!(said.contains("c NO"), "{command}, fsync {fail}: {said}");
        }
        assert!(fsyncs > 0, "{command}");
    }
}

#[test]
fn marking_many_messages_as_seen_waits_for_the_disk_once_in_a_time_slice() {
    let scratch = Scratch::new();
    let mut talk = Talk::with_messages(&scratch, 5, "");
    fault::count();
    let said = talk.say(1, "b FETCH 1:5 BODY[]");
    let calls = fault::calls();
    fault::clear();
    assert_eq!(said.matches("\\Seen").count(), 5, "{said}");
    let forced = calls
        .iter()
        .filter(|call| call.starts_with("fsync "))
        .count();
    assert_eq!(forced, 1, "{calls:?}");
}
