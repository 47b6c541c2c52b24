//! Load, tested by counting and not by the clock: how much memory the server ever had, how many
//! answers came, who was answered while somebody else was busy.

// A test says what it skips and what it measured.
#![allow(clippy::print_stderr)]

mod support;

use std::fs;
use std::io::Write;

use support::*;

/// What a server may have resident at most besides what it had before, whatever a client does to
/// it.
struct Bound {
    before: u64,
}

impl Bound {
    fn from_now(process: &Process) -> Bound {
        Bound {
            before: process.peak_memory(),
        }
    }

    #[track_caller]
    fn holds(&self, process: &Process) {
        let more = process.peak_memory() - self.before;
        eprintln!("{} KB more than {} KB", more >> 10, self.before >> 10);
        assert!(more < MOST, "{} KB more were resident", more >> 10);
    }
}

const MOST: u64 = 12 << 20;
/// Held by somebody, this would show.
const LARGE: usize = 24 << 20;

/// An INBOX of so much text in 1000 messages.
fn large_mailbox() -> Mail {
    let mail = Mail::new();
    for n in 1..=1000 {
        let body = "Words of no great interest, line after line.\n".repeat(LARGE / 1000 / 45);
        let text = format!("Subject: message {n}\n\n{body}");
        let seconds = 1_700_000_000 + n;
        let name = format!("{seconds}.M{n}P1.host:2,");
        mail.inbox().store_as(text.as_bytes(), &name, seconds);
    }
    mail
}

/// A message of at least `size` bytes with CRLF, in pieces.
fn large_message(size: usize) -> (usize, impl Iterator<Item = Vec<u8>>) {
    let header = b"Subject: large\r\nMessage-ID: <large@example.org>\r\n\r\n".to_vec();
    let line = b"All work and no play makes Jack a dull boy, line after line after line.\r\n";
    let piece = line.repeat(1000);
    let pieces = size / piece.len() + 1;
    let total = header.len() + pieces * piece.len();
    let body = std::iter::repeat_n(piece, pieces);
    (total, std::iter::once(header).chain(body))
}

#[test]
fn a_large_message_goes_in_and_out_without_being_held() {
    let mail = Mail::new();
    let mut client = mail.select();
    let bound = Bound::from_now(client.process());
    let (size, pieces) = large_message(LARGE);
    let tag = client.next_tag();
    client.send_raw(format!("{tag} APPEND INBOX {{{size}}}\r\n").as_bytes());
    assert!(
        client.wait_for_continuation(&tag),
        "{}",
        client.conversation()
    );
    for piece in pieces {
        client.try_send(&piece).expect("taken");
    }
    client.send_raw(b"\r\n");
    assert_eq!(
        client.finish(&tag).tagged.word(),
        "OK",
        "{}",
        client.conversation()
    );
    bound.holds(client.process());
    client
        .ok("FETCH 1 RFC822.SIZE")
        .untagged([&format!("1 FETCH (RFC822.SIZE {size})")]);

    let tag = client.start("FETCH 1 BODY.PEEK[]");
    let (bytes, _, answer) = client.drain(&tag);
    assert!(answer.matches("OK ..."), "{answer}");
    let overhead = format!("* 1 FETCH (BODY[] {{{size}}}\r\n)\r\n").len() as u64;
    assert_eq!(bytes, size as u64 + overhead);
    bound.holds(client.process());

    // The structure of it costs a scan, a part of it costs that part.
    client
        .ok("FETCH 1 BODYSTRUCTURE")
        .contains("1 FETCH (BODYSTRUCTURE ?)");
    let middle = client.ok("FETCH 1 BODY.PEEK[TEXT]<10000000.20>");
    assert_eq!(middle.bytes(1, "BODY[TEXT]<10000000>").len(), 20);
    client
        .ok("SEARCH BODY \"no such words\"")
        .untagged(["SEARCH"]);
    bound.holds(client.process());
    assert!(mail.inbox().leftovers().is_empty());
}

#[test]
fn a_large_message_that_is_refused_is_swallowed_without_being_held() {
    let mail = Mail::new();
    let mut client = mail.connect();
    let bound = Bound::from_now(client.process());
    let (size, pieces) = large_message(LARGE);
    let tag = client.next_tag();
    client.send_raw(format!("{tag} APPEND nowhere {{{size}+}}\r\n").as_bytes());
    for piece in pieces {
        client.try_send(&piece).expect("taken");
    }
    client.send_raw(b"\r\n");
    assert!(client.finish(&tag).tagged.matches("NO [TRYCREATE]"));
    client.ok("NOOP");
    bound.holds(client.process());
}

#[test]
fn a_client_that_stops_reading_a_thousand_bodies_holds_up_nobody() {
    const COUNT: usize = 1000;
    let mail = large_mailbox();
    let server = Server::try_(&mail);
    let (mut deaf, mut other) = (server.connect(), server.connect());
    deaf.ok("SELECT INBOX").contains(&format!("{COUNT} EXISTS"));
    other.ok("SELECT INBOX");
    let bound = Bound::from_now(server.process());
    let tag = deaf.start("FETCH 1:* BODY.PEEK[]");
    for n in 1..=100 {
        let first = other.ok(&format!("FETCH {n} (UID BODY.PEEK[TEXT])"));
        first.contains(&format!("{n} FETCH (UID {n} ...)"));
        other.ok(&format!(r"STORE {n} +FLAGS.SILENT (\Seen)"));
    }
    other.append("INBOX", &numbered(COUNT + 1));
    other.ok("SEARCH UNSEEN 1:200").untagged([&format!(
        "SEARCH {}",
        (101..=200)
            .map(|n: u32| n.to_string())
            .collect::<Vec<_>>()
            .join(" ")
    )]);
    bound.holds(server.process());
    let (bytes, _, answer) = deaf.drain(&tag);
    assert!(answer.matches("OK ..."), "{answer}");
    assert!(bytes > (LARGE - LARGE / 50) as u64, "{bytes} octets");
    // What arrived meanwhile has been told with the answer or is told now.
    deaf.ok("NOOP");
    deaf.ok(&format!("FETCH {} UID", COUNT + 1));
    bound.holds(server.process());
}

#[test]
fn a_long_search_holds_up_nobody() {
    let mail = large_mailbox();
    let server = Server::try_(&mail);
    let (mut busy, mut other) = (server.connect(), server.connect());
    busy.ok("SELECT INBOX");
    other.ok("SELECT INBOX");
    let tag = busy.start("SEARCH TEXT \"words that no message has\"");
    let fetches: Vec<String> = (1..=20)
        .map(|n| other.start(&format!("FETCH {n} FLAGS")))
        .collect();
    for (n, fetch) in (1..).zip(&fetches) {
        let reply = other.finish(fetch);
        reply.contains(&format!("{n} FETCH (FLAGS ?)"));
    }
    assert!(
        !busy.has_input(),
        "the search was answered before the others"
    );
    busy.finish(&tag).untagged(["SEARCH"]);
}

#[test]
fn a_large_header_is_worked_through_once_for_one_answer() {
    let mail = Mail::new();
    let text = [&b"Subject: "[..], &b"a b\n ".repeat(200_000), b"\n\nText\n"].concat();
    mail.inbox().store(&text, "");
    mail.inbox().store(&text, "");
    let mut a = mail.select();
    let mut cost = |command: &str| {
        let before = a.process().processor_time();
        a.ok(command);
        a.process().processor_time() - before
    };
    let envelope = cost("FETCH 1 ENVELOPE");
    let both = cost("FETCH 2 (ENVELOPE BODYSTRUCTURE)");
    eprintln!("envelope {envelope}, with structure {both} ticks");
    assert!(both < 6 * envelope + 10, "{both} ticks, not {envelope}");
}

#[test]
fn ten_thousand_messages_are_served_within_bounds() {
    const COUNT: usize = 10_000;
    let mail = Mail::numbered(COUNT);
    let mut client = mail.connect();
    let bound = Bound::from_now(client.process());
    client
        .ok("SELECT INBOX")
        .contains(&format!("{COUNT} EXISTS"));
    let tag = client.start("FETCH 1:* (UID FLAGS)");
    let (_, lines, answer) = client.drain(&tag);
    assert!(answer.matches("OK ..."), "{answer}");
    assert_eq!(lines, COUNT as u64);
    client.ok(r"STORE 1:1000 +FLAGS.SILENT (\Deleted)");
    client
        .ok("SEARCH RETURN (COUNT) DELETED")
        .untagged(["ESEARCH COUNT 1000"]);
    assert_eq!(
        client
            .ok("EXPUNGE")
            .untagged
            .iter()
            .filter(|r| r.word() == "EXPUNGE")
            .count(),
        1000
    );
    client
        .ok("SEARCH RETURN (MIN MAX COUNT) ALL")
        .untagged(["ESEARCH MIN 1 MAX 9000 COUNT 9000"]);
    mail.inbox().deliver(&numbered(COUNT + 1));
    client.ok("NOOP").contains("9001 EXISTS");
    client
        .ok("FETCH 9001 UID")
        .untagged(["9001 FETCH (UID 10001)"]);
    bound.holds(client.process());
    client.logout();

    let mut again = mail.connect();
    let bound = Bound::from_now(again.process());
    again
        .ok("STATUS INBOX (MESSAGES UIDNEXT)")
        .untagged(["STATUS INBOX (MESSAGES 9001 UIDNEXT 10002)"]);
    again.ok("SELECT INBOX").contains("9001 EXISTS");
    bound.holds(again.process());
}

#[test]
fn fifty_clients_on_one_mailbox_are_all_served() {
    let mail = Mail::numbered(1000);
    let server = Server::try_(&mail);
    server.connect().ok("SELECT INBOX");
    let bound = Bound::from_now(server.process());
    let mut clients: Vec<Client> = (0..50).map(|_| server.connect()).collect();
    for client in &mut clients {
        client.ok("SELECT INBOX").contains("1000 EXISTS");
    }
    let tags: Vec<String> = clients
        .iter_mut()
        .map(|client| client.start("IDLE"))
        .collect();
    for (client, tag) in clients.iter_mut().zip(&tags) {
        assert!(client.wait_for_continuation(tag));
    }
    mail.inbox().deliver(&numbered(1001));
    for client in &mut clients {
        client.wait_for("1001 EXISTS");
        client.send_raw(b"DONE\r\n");
    }
    for (client, tag) in clients.iter_mut().zip(&tags) {
        assert_eq!(client.finish(tag).tagged.word(), "OK");
    }
    for (n, client) in clients.iter_mut().enumerate() {
        client.ok(&format!(r"STORE {} +FLAGS.SILENT (\Flagged)", n + 1));
    }
    let last = clients.last_mut().expect("a client");
    last.ok("NOOP");
    assert_eq!(
        last.ok("SEARCH FLAGGED").found(),
        (1..=50).collect::<Vec<u32>>()
    );
    bound.holds(server.process());
}

#[test]
fn a_client_that_sends_without_reading_is_answered_completely_in_the_end() {
    const COUNT: usize = 5_000;
    let mail = Mail::with(["one.eml"]);
    let server = Server::try_(&mail);
    let (mut rude, mut other) = (server.connect(), server.connect());
    rude.ok("SELECT INBOX");
    let bound = Bound::from_now(server.process());
    let mut writer = rude.writer();
    let sender = std::thread::spawn(move || {
        for n in 0..COUNT {
            let command = format!("r{n} FETCH 1 (FLAGS UID ENVELOPE)\r\n");
            writer.write_all(command.as_bytes()).expect("taken");
        }
    });
    for _ in 0..20 {
        other
            .ok("STATUS INBOX (MESSAGES)")
            .untagged(["STATUS INBOX (MESSAGES 1)"]);
    }
    bound.holds(server.process());
    let (mut fetched, mut answered) = (0, 0);
    while answered < COUNT {
        let response = rude.read_raw().expect("a response");
        if response.starts_with(b"* 1 FETCH (") {
            fetched += 1;
        } else {
            assert!(response.windows(4).any(|word| word == b" OK "));
            answered += 1;
        }
    }
    assert_eq!(fetched, COUNT);
    sender.join().expect("all sent");
    bound.holds(server.process());
}

#[test]
fn a_set_of_ten_thousand_uids_fits_into_one_command() {
    let mail = Mail::numbered(100);
    let mut client = mail.select();
    let set: Vec<String> = (1..=10_000).map(|n| (2 * n).to_string()).collect();
    let reply = client.ok(&format!("UID FETCH {} UID", set.join(",")));
    assert_eq!(reply.untagged.len(), 50);
    let found = client
        .ok(&format!("UID SEARCH UID {}", set.join(",")))
        .found();
    assert_eq!(found, (1..=50).map(|n| 2 * n).collect::<Vec<u32>>());
}

#[test]
fn two_thousand_mailboxes_are_listed() {
    const COUNT: usize = 2000;
    let mail = Mail::new();
    for n in 0..COUNT {
        let folder = mail.folder(&format!("{}.{}.{n}", n % 10, n % 100));
        fs::create_dir(folder.path()).expect("a folder");
        own(folder.path());
    }
    let mut client = mail.connect();
    let bound = Bound::from_now(client.process());
    let tag = client.start("LIST \"\" *");
    let (_, lines, answer) = client.drain(&tag);
    assert!(answer.matches("OK ..."), "{answer}");
    // INBOX, the mailboxes, and the 10 + 100 above them.
    assert_eq!(lines, (COUNT + 111) as u64);
    let tag = client.start("LIST \"\" *%*1*%*%*1*");
    assert!(client.drain(&tag).2.matches("OK ..."));
    bound.holds(client.process());
}
