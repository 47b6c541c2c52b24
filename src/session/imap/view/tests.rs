//! Views of one mailbox against clients that do what RFC 3501 7 says with each response.

use std::collections::HashMap;

use proptest::prelude::*;

use super::*;
use crate::mail::{Flags, MailboxName, Ranges, System};
use crate::maildir::disk::dir::scratch::Scratch;
use crate::maildir::folder::Step;
use crate::maildir::folder::state::messages::Message;
use crate::maildir::{Maildir, Settings};
use crate::net::{ConnectionId, Now};
use crate::store::cursor::Walk;
use crate::store::mailbox::{Effort, Mailbox};

#[test]
fn numbers_close_up_when_an_expunge_is_told_and_not_before() {
    let mut mail = Mail::new(5);
    let mut client = mail.select(1, Manner::default());
    mail.expunge(|uid| uid == 2 || uid == 4);
    assert_eq!(mail.cursor(1).exists(mail.messages()), 5);
    assert_eq!(mail.uid_of_number(1, 3), Some(3));
    assert_eq!(mail.tell(&mut client, Tell::NoExpunge), "");
    assert_eq!(
        mail.tell(&mut client, Tell::All),
        "* 2 EXPUNGE\r\n* 3 EXPUNGE\r\n* 3 RECENT\r\n"
    );
    assert_eq!(mail.uid_of_number(1, 3), Some(5));
    assert_eq!(mail.uid_of_number(1, 4), None);
    assert_eq!(mail.tell(&mut client, Tell::All), "");
}

#[test]
fn what_came_and_went_untold_is_never_counted() {
    let mut mail = Mail::new(2);
    let mut client = mail.select(1, Manner::default());
    mail.deliver(3);
    mail.expunge(|uid| uid == 4);
    assert_eq!(mail.cursor(1).last_uid(mail.messages()), 2);
    assert_eq!(
        mail.tell(&mut client, Tell::NoExpunge),
        "* 4 EXISTS\r\n* 4 RECENT\r\n"
    );
    assert_eq!(mail.uid_of_number(1, 4), Some(5));
    assert_eq!(mail.tell(&mut client, Tell::All), "");
}

#[test]
fn recent_is_told_anew_when_a_recent_message_goes() {
    let mut mail = Mail::new(3);
    let mut first = mail.select(1, Manner::default());
    mail.expunge(|uid| uid == 2);
    assert_eq!(
        mail.tell(&mut first, Tell::All),
        "* 2 EXPUNGE\r\n* 2 RECENT\r\n"
    );
}

#[test]
fn the_highest_modseq_comes_with_new_messages_and_not_before_an_expunge() {
    let mut mail = Mail::new(2);
    let condstore = Manner {
        condstore: true,
        ..Manner::default()
    };
    let mut client = mail.select(1, condstore);
    mail.deliver(1);
    let told = mail.tell(&mut client, Tell::NoExpunge);
    let highest = mail.mailbox.folder.highest_modseq();
    let code = format!("* OK [HIGHESTMODSEQ {highest}] Highest\r\n");
    assert_eq!(told, format!("* 3 EXISTS\r\n* 3 RECENT\r\n{code}"));
    assert_eq!(mail.tell(&mut client, Tell::All), "");

    mail.expunge(|uid| uid == 1);
    mail.deliver(1);
    let told = mail.tell(&mut client, Tell::NoExpunge);
    assert_eq!(told, "* 4 EXISTS\r\n* 4 RECENT\r\n");
    let told = mail.tell(&mut client, Tell::All);
    let highest = mail.mailbox.folder.highest_modseq();
    let code = format!("* OK [HIGHESTMODSEQ {highest}] Highest\r\n");
    assert_eq!(told, format!("* 1 EXPUNGE\r\n* 3 RECENT\r\n{code}"));
}

#[test]
fn vanished_names_uids_and_flags_come_with_uid_and_modseq() {
    let mut mail = Mail::new(4);
    let manner = Manner {
        qresync: true,
        condstore: true,
        rev2: true,
    };
    let mut client = mail.select(1, manner);
    mail.expunge(|uid| uid < 3);
    mail.flip_seen(|uid| uid == 4);
    let told = mail.tell(&mut client, Tell::All);
    let rest = told.strip_prefix("* VANISHED 1:2\r\n* 2 FETCH (UID 4 FLAGS (\\Seen) MODSEQ (");
    assert!(rest.is_some_and(|rest| rest.ends_with("))\r\n")), "{told}");
}

#[test]
fn a_full_buffer_leaves_the_rest_for_later() {
    let mut mail = Mail::new(3);
    let mut client = mail.select(1, Manner::default());
    mail.flip_seen(|_| true);
    let mut out = nearly_full();
    out.writer().push(b'x');
    let length = out.len();
    assert!(!tell(
        &mut mail.mailbox,
        client.id,
        Tell::All,
        client.manner,
        &mut out
    ));
    assert_eq!(out.len(), length);
    let told = mail.tell(&mut client, Tell::All);
    assert_eq!(told.matches("FETCH").count(), 3);
}

#[test]
fn a_set_of_numbers_past_the_end_is_none() {
    let mut mail = Mail::new(3);
    mail.select(1, Manner::default());
    let numbers = |first, last| Ranges::from_unsorted(vec![(first, last)]);
    let uids = |set| mail.cursor(1).uids_of_numbers(mail.messages(), &set);
    assert_eq!(uids(numbers(2, 3)), Some(numbers(2, 3)));
    assert_eq!(uids(numbers(3, 4)), None);
    assert_eq!(uids(numbers(0, 1)), None);
    assert_eq!(uids(Ranges::new()), Some(Ranges::new()));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]
    #[test]
    fn clients_that_follow_the_responses_agree_with_the_server(
        steps in prop::collection::vec(some_step(), 1..40),
    ) {
        let mut mail = Mail::new(70);
        let qresync = Manner { qresync: true, condstore: true, rev2: true };
        let mut clients = [
            mail.select(1, Manner::default()),
            mail.select(2, qresync),
            mail.select(3, Manner::default()),
        ];
        for step in steps {
            match step {
                Act::Deliver(count) => mail.deliver(count),
                Act::Expunge(seed, one_of) => mail.expunge(chosen(seed, one_of)),
                Act::FlipSeen(seed, one_of) => mail.flip_seen(chosen(seed, one_of)),
                Act::Select(which) => {
                    let client = &mut clients[which];
                    *client = mail.select(client.id.0, client.manner);
                }
                Act::Tell(which, tell) => {
                    mail.tell(&mut clients[which], tell);
                }
            }
            for client in &clients {
                mail.check(client);
            }
        }
        for client in &mut clients {
            mail.tell(client, Tell::All);
            prop_assert_eq!(&client.uids, &mail.live());
            for message in mail.messages().iter().filter(|message| !message.is_gone()) {
                let seen = message.flags().system.contains(System::SEEN);
                prop_assert_eq!(client.seen.get(&uid_of(message)), Some(&seen));
            }
            mail.check(client);
        }
    }
}

#[derive(Clone, Debug)]
enum Act {
    Deliver(usize),
    /// Of those whose UID and the seed make up a number that is a multiple of this.
    Expunge(u32, u32),
    FlipSeen(u32, u32),
    Select(usize),
    Tell(usize, Tell),
}

fn some_step() -> impl Strategy<Value = Act> {
    let tell = prop_oneof![Just(Tell::All), Just(Tell::NoExpunge)];
    prop_oneof![
        1 => (1..4usize).prop_map(Act::Deliver),
        2 => (0..9u32, 1..9u32).prop_map(|(seed, one_of)| Act::Expunge(seed, one_of)),
        2 => (0..9u32, 1..9u32).prop_map(|(seed, one_of)| Act::FlipSeen(seed, one_of)),
        1 => (0..3usize).prop_map(Act::Select),
        4 => (0..3usize, tell).prop_map(|(which, tell)| Act::Tell(which, tell)),
    ]
}

fn chosen(seed: u32, one_of: u32) -> impl Fn(u32) -> bool {
    move |uid| (uid + seed).is_multiple_of(one_of)
}

/// With room for one octet.
fn nearly_full() -> Buffer {
    let mut buffer = Buffer::new();
    let room = buffer.room();
    buffer.writer().resize(room - 1, b'x');
    buffer
}

/// A mailbox that clients have selected.
struct Mail {
    scratch: Scratch,
    mailbox: Mailbox,
    delivered: usize,
}

/// What a client knows, by the responses alone.
struct Client {
    id: ConnectionId,
    manner: Manner,
    /// By sequence number.
    uids: Vec<u32>,
    seen: HashMap<u32, bool>,
}

impl Mail {
    fn new(messages: usize) -> Mail {
        let scratch = Scratch::new();
        for name in ["cur", "new", "tmp"] {
            std::fs::create_dir(scratch.path().join(name)).unwrap();
        }
        let maildir = Maildir::new(scratch.path().to_owned(), Settings::default());
        let now = Now::read();
        let folder = Folder::open(&maildir, scratch.path(), now.time).unwrap();
        let mut mail = Mail {
            scratch,
            mailbox: Mailbox::new(MailboxName::inbox(), folder, now),
            delivered: 0,
        };
        mail.deliver(messages);
        mail
    }

    fn messages(&self) -> &[Message] {
        self.mailbox.folder.messages()
    }

    fn live(&self) -> Vec<u32> {
        let live = self.messages().iter().filter(|message| !message.is_gone());
        live.map(uid_of).collect()
    }

    fn cursor(&self, id: usize) -> &Cursor {
        self.mailbox.cursor(ConnectionId(id)).unwrap()
    }

    fn uid_of_number(&self, id: usize, number: u32) -> Option<u32> {
        let index = self.cursor(id).index_of_number(self.messages(), number)?;
        Some(uid_of(&self.messages()[index]))
    }

    /// Read-only: nothing here is about \Recent.
    fn select(&mut self, id: usize, manner: Manner) -> Client {
        let id = ConnectionId(id);
        self.mailbox.remove_listener(id, Now::read());
        self.mailbox.add_listener(id, true, Now::read());
        let mut client = Client {
            id,
            manner,
            uids: self.live(),
            seen: HashMap::new(),
        };
        self.fetch_new(&mut client);
        client
    }

    fn deliver(&mut self, count: usize) {
        for _ in 0..count {
            self.delivered += 1;
            let name = format!("cur/{}.host:2,", 1_000_000_000 + self.delivered);
            self.scratch.write(&name, "Subject: x\n\ntext\n");
        }
        self.mailbox.folder.want_scan();
        while self.look() != Step::Done {}
    }

    fn look(&mut self) -> Step {
        let look = self.mailbox.look(Effort::Watch, Now::read(), &|| false);
        look.unwrap()
    }

    fn expunge(&mut self, which: impl Fn(u32) -> bool) {
        self.change(which, |folder, index, modseq| {
            let flags = folder.messages()[index].flags();
            folder.remove_copied(index, flags, modseq).unwrap();
        });
    }

    fn flip_seen(&mut self, which: impl Fn(u32) -> bool) {
        let flip = |flags: Flags| Flags {
            system: System(flags.system.0 ^ System::SEEN.0),
            ..flags
        };
        self.change(which, |folder, index, modseq| {
            folder.change_flags(index, &flip, modseq).unwrap();
        });
    }

    /// Changes live messages, as a command of nobody here does.
    fn change(&mut self, which: impl Fn(u32) -> bool, change: impl Fn(&mut Folder, usize, u64)) {
        let now = Now::read();
        let folder = &mut self.mailbox.folder;
        assert!(folder.lock(now.time).unwrap());
        let modseq = folder.next_modseq(now.time).unwrap();
        for index in 0..folder.messages().len() {
            let message = folder.messages()[index];
            if !message.is_gone() && which(uid_of(&message)) {
                change(folder, index, modseq);
            }
        }
        folder.unlock();
        self.mailbox.distribute(None, now);
    }

    /// Tells the client in pieces as small as can be, and lets it act on them.
    fn tell(&mut self, client: &mut Client, tell: Tell) -> String {
        let mut told = String::new();
        loop {
            let mut out = nearly_full();
            let before = out.len();
            let complete = super::tell(&mut self.mailbox, client.id, tell, client.manner, &mut out);
            let piece = String::from_utf8(out.pending()[before..].to_vec()).unwrap();
            for line in piece.lines() {
                self.act_on(line, client, tell);
            }
            told += &piece;
            if complete {
                return told;
            }
        }
    }

    fn act_on(&self, line: &str, client: &mut Client, tell: Tell) {
        let words: Vec<&str> = line.split(' ').collect();
        let number = words[1].parse::<usize>();
        match (number, words[words.len().min(3) - 1]) {
            (Ok(number), "EXPUNGE") => {
                assert!(tell == Tell::All && !client.manner.qresync);
                client.uids.remove(number - 1);
            }
            (Ok(number), "EXISTS") => {
                assert!(number >= client.uids.len());
                let last = client.uids.last().copied().unwrap_or(0);
                let new = self.live().into_iter().filter(|&uid| uid > last);
                client.uids.extend(new);
                assert_eq!(client.uids.len(), number);
                self.fetch_new(client);
            }
            (Ok(number), "FETCH") => {
                let seen = line.contains("\\Seen");
                client.seen.insert(client.uids[number - 1], seen);
            }
            (Ok(_), "RECENT") => assert!(!client.manner.rev2),
            (Err(_), set) if words[1] == "VANISHED" => {
                assert!(tell == Tell::All && client.manner.qresync);
                let vanished = crate::imap::syntax::Reader::new(set.as_bytes())
                    .known_uids()
                    .unwrap();
                let before = client.uids.len() as u64;
                client.uids.retain(|&uid| !vanished.contains(uid));
                assert_eq!(client.uids.len() as u64, before - vanished.count());
            }
            (Err(_), "[HIGHESTMODSEQ") => {
                // From there on it will ask for changes, so it knows all that is before.
                assert!(client.manner.condstore);
                assert_eq!(client.uids, self.live());
                for message in self.messages().iter().filter(|message| !message.is_gone()) {
                    let seen = message.flags().system.contains(System::SEEN);
                    assert_eq!(client.seen.get(&uid_of(message)), Some(&seen));
                }
            }
            _ => panic!("{line}"),
        }
    }

    /// The client asks for the flags of what it hears of for the first time.
    fn fetch_new(&self, client: &mut Client) {
        for message in self.messages() {
            let seen = message.flags().system.contains(System::SEEN);
            client.seen.entry(uid_of(message)).or_insert(seen);
        }
    }

    /// Whatever the view says is what the client thinks.
    fn check(&self, client: &Client) {
        let (cursor, messages) = (self.cursor(client.id.0), self.messages());
        assert_eq!(cursor.exists(messages) as usize, client.uids.len());
        let last = client.uids.last().copied().unwrap_or(0);
        assert_eq!(cursor.last_uid(messages), last);
        for (number, &uid) in (1..).zip(&client.uids) {
            assert_eq!(self.uid_of_number(client.id.0, number), Some(uid));
            let index = messages.partition_point(|message| uid_of(message) < uid);
            assert_eq!(cursor.number(messages, index), number);
        }
        let past = cursor.exists(messages) + 1;
        assert_eq!(cursor.index_of_number(messages, past), None);

        let uids = Ranges::from_unsorted(vec![(3, 20), (40, u32::MAX)]);
        let mut walk = Walk::default();
        let mut walked = Vec::new();
        while let Some(counted) = cursor.next(messages, &uids, &mut walk) {
            walked.push((counted.number, uid_of(counted.message)));
        }
        let known = (1..).zip(client.uids.iter().copied());
        let expected: Vec<_> = known.filter(|&(_, uid)| uids.contains(uid)).collect();
        assert_eq!(walked, expected);
    }
}

fn uid_of(message: &Message) -> u32 {
    message.uid().0
}
