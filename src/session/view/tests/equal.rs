//! Two ways to know what a client has heard say the same, octet for octet, whatever happens to the
//! mailbox and however the clients are told.

use std::collections::BTreeMap;

use proptest::prelude::*;

use super::super::{Manner, Tell, tell};
use super::former::Former;
use crate::mail::{Flags, Keyword, MailboxName, NamedFlags, Ranges, System, Uid};
use crate::maildir::disk::dir::scratch::Scratch;
use crate::maildir::folder::{Change, Folder, Look, Step};
use crate::maildir::{Maildir, Settings};
use crate::net::{Buffer, ConnectionId, Now};
use crate::store::flags::{NewKeywords, to_letters};
use crate::store::mailbox::Mailbox;

#[derive(Clone, Debug)]
enum Act {
    Deliver(u8),
    /// By a client, or by another program.
    Flags(Option<usize>, Which, u8),
    Keyword(Option<usize>, Which, u8),
    /// Each message has a modseq of its own, as when a FETCH marks them as read.
    Each(usize, Which, u8),
    Expunge(Option<usize>, Which),
    /// The client hears of the message whoever changed it.
    Owe(usize, Which),
    Select(usize, bool, Manner),
    Leave(usize),
    /// With room for so many octets at a time; the last of them is not always heard.
    Tell(usize, Tell, u16, bool),
}

/// Of those whose UID and the first make up a number that is a multiple of the second.
#[derive(Clone, Copy, Debug)]
struct Which(u32, u32);

impl Which {
    fn has(self, uid: u32) -> bool {
        (uid + self.0).is_multiple_of(self.1)
    }
}

const CLIENTS: usize = 4;

fn some_act() -> impl Strategy<Value = Act> {
    let tell = prop_oneof![Just(Tell::All), Just(Tell::NoExpunge)];
    let which =
        || (0..9u32, prop::sample::select(&[1, 2, 3, 5, 9, 40][..])).prop_map(|(a, b)| Which(a, b));
    let by = || prop::option::of(0..CLIENTS);
    let manner = any::<[bool; 3]>().prop_map(|[qresync, condstore, rev2]| Manner {
        qresync,
        condstore: condstore || qresync,
        rev2,
    });
    let room = prop::sample::select(&[1, 40, 100, 1000, 60_000][..]);
    prop_oneof![
        2 => (1..4u8).prop_map(Act::Deliver),
        6 => (by(), which(), 0..32u8).prop_map(|(by, which, flags)| Act::Flags(by, which, flags)),
        1 => (by(), which(), 0..4u8).prop_map(|(by, which, name)| Act::Keyword(by, which, name)),
        2 => (0..CLIENTS, which(), 0..32u8)
            .prop_map(|(by, which, flags)| Act::Each(by, which, flags)),
        2 => (by(), which()).prop_map(|(by, which)| Act::Expunge(by, which)),
        1 => (0..CLIENTS, which()).prop_map(|(client, which)| Act::Owe(client, which)),
        1 => (0..CLIENTS, any::<bool>(), manner)
            .prop_map(|(client, read_only, manner)| Act::Select(client, read_only, manner)),
        1 => (0..CLIENTS).prop_map(Act::Leave),
        8 => (0..CLIENTS, tell, room, any::<bool>())
            .prop_map(|(client, tell, room, whole)| Act::Tell(client, tell, room, whole)),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]
    #[test]
    fn a_few_numbers_tell_what_a_list_of_each_change_tells(
        acts in prop::collection::vec(some_act(), 1..60),
    ) {
        let mut both = Both::new();
        for act in &acts {
            both.act(act);
        }
        for client in 0..CLIENTS {
            both.tell(client, Tell::All, 60_000, true);
        }
    }
}

struct Both {
    scratch: Scratch,
    mailbox: Mailbox,
    formers: BTreeMap<ConnectionId, Former>,
    manners: BTreeMap<ConnectionId, Manner>,
    delivered: u32,
    tombstones: bool,
}

impl Both {
    fn new() -> Both {
        let scratch = Scratch::new();
        for name in ["cur", "new", "tmp"] {
            std::fs::create_dir(scratch.path().join(name)).unwrap();
        }
        let maildir = Maildir::new(scratch.path().to_owned(), Settings::default());
        let now = Now::read();
        let folder = Folder::open(&maildir, scratch.path(), now.time).unwrap();
        let mut both = Both {
            scratch,
            mailbox: Mailbox::new(MailboxName::inbox(), folder, now),
            formers: BTreeMap::new(),
            manners: BTreeMap::new(),
            delivered: 0,
            tombstones: false,
        };
        both.deliver(12);
        for client in 0..CLIENTS - 1 {
            let manner = Manner {
                qresync: client == 1,
                condstore: client == 1,
                rev2: client == 2,
            };
            both.select(client, client > 0, manner);
        }
        both
    }

    fn act(&mut self, act: &Act) {
        let flip = |bits: u8| {
            move |flags: Flags| Flags {
                system: System(flags.system.0 ^ bits),
                ..flags
            }
        };
        match *act {
            Act::Deliver(count) => self.deliver(count),
            Act::Flags(by, which, bits) => self.change(by, which, &mut |folder, index, modseq| {
                folder.change_flags(index, &flip(bits), modseq).unwrap();
            }),
            Act::Keyword(by, which, name) => {
                let name = Keyword::new(&format!("k{name}")).unwrap();
                let now = Now::read().time;
                let named = NamedFlags {
                    keywords: vec![name],
                    ..NamedFlags::default()
                };
                assert!(self.mailbox.folder.lock(now).unwrap());
                let named =
                    to_letters(&mut self.mailbox.folder, &named, NewKeywords::Made, now).unwrap();
                self.change(by, which, &mut |folder, index, modseq| {
                    let add = |flags: Flags| flags.with(named);
                    folder.change_flags(index, &add, modseq).unwrap();
                });
            }
            Act::Each(by, which, bits) => self.change(Some(by), which, &mut |folder, index, _| {
                let modseq = folder.next_modseq(Now::read().time).unwrap();
                folder.change_flags(index, &flip(bits), modseq).unwrap();
            }),
            Act::Expunge(by, which) => self.change(by, which, &mut |folder, index, modseq| {
                let flags = folder.messages()[index].flags();
                folder.remove_copied(index, flags, modseq).unwrap();
            }),
            Act::Owe(client, which) => {
                let client = ConnectionId(client);
                for uid in self.uids() {
                    if which.has(uid) {
                        self.mailbox.owe(client, Uid(uid));
                        if let Some(former) = self.formers.get_mut(&client) {
                            former.note_flags(Uid(uid));
                        }
                    }
                }
            }
            Act::Select(client, read_only, manner) => self.select(client, read_only, manner),
            Act::Leave(client) => {
                self.formers.remove(&ConnectionId(client));
                self.mailbox
                    .remove_listener(ConnectionId(client), Now::read());
                self.note_buried();
            }
            Act::Tell(client, tell, room, whole) => self.tell(client, tell, room, whole),
        }
    }

    fn uids(&self) -> Vec<u32> {
        let messages = self.mailbox.folder.messages().iter();
        messages.map(|message| message.uid().0).collect()
    }

    fn deliver(&mut self, count: u8) {
        for _ in 0..count {
            self.delivered += 1;
            let name = format!("cur/{}.host:2,", 1_000_000_000 + self.delivered);
            self.scratch.write(&name, "Subject: x\n\ntext\n");
        }
        let look = Look {
            force_scan: true,
            ..Look::default()
        };
        let folder = &mut self.mailbox.folder;
        while folder.sync(look, Now::read().time, &|| false).unwrap() != Step::Done {}
        self.distribute(None);
    }

    fn change(
        &mut self,
        by: Option<usize>,
        which: Which,
        change: &mut dyn FnMut(&mut Folder, usize, u64),
    ) {
        let now = Now::read();
        let folder = &mut self.mailbox.folder;
        assert!(folder.lock(now.time).unwrap());
        let modseq = folder.next_modseq(now.time).unwrap();
        for index in 0..folder.messages().len() {
            let message = folder.messages()[index];
            if !message.is_gone() && which.has(message.uid().0) {
                change(folder, index, modseq);
            }
        }
        folder.unlock();
        self.distribute(by.map(ConnectionId));
    }

    /// Both ways hear of what happened.
    fn distribute(&mut self, by: Option<ConnectionId>) {
        let changes = self.mailbox.folder.take_changes();
        for change in &changes {
            match *change {
                Change::Arrived { first, last } => self.give_recent(first, last),
                Change::Keywords => {}
                Change::Flags { uid, .. } => {
                    for (connection, former) in &mut self.formers {
                        if Some(*connection) != by {
                            former.note_flags(uid);
                        }
                    }
                }
                Change::Expunged { uid, .. } => {
                    let formers = self.formers.values_mut();
                    formers.for_each(|former| former.note_expunged(uid));
                }
            }
        }
        self.mailbox.hand_out(&changes, by, Now::read());
        self.note_buried();
    }

    fn give_recent(&mut self, first: Uid, last: Uid) {
        let from = self.mailbox.folder.first_recent().max(first);
        match self.formers.values_mut().find(|former| !former.read_only) {
            Some(former) => former.note_recent(from, last),
            None => self
                .formers
                .values_mut()
                .for_each(|former| former.note_recent(first, last)),
        }
    }

    fn select(&mut self, client: usize, read_only: bool, manner: Manner) {
        let id = ConnectionId(client);
        self.mailbox.remove_listener(id, Now::read());
        self.formers.remove(&id);
        self.note_buried();
        let folder = &self.mailbox.folder;
        let last = folder
            .messages()
            .last()
            .map_or(0, |message| message.uid().0);
        let recent = Ranges::between(folder.first_recent().0, last);
        self.mailbox.add_listener(id, read_only, Now::read());
        let former = Former::new(&self.mailbox.folder, read_only, recent);
        self.formers.insert(id, former);
        self.manners.insert(id, manner);
    }

    /// Tombstones have been taken out of the table, if there were some.
    fn note_buried(&mut self) {
        let messages = self.mailbox.folder.messages();
        let tombstones = messages.iter().any(|message| message.is_gone());
        if self.tombstones && !tombstones {
            self.formers.values_mut().for_each(Former::note_buried);
        }
        self.tombstones = tombstones;
    }

    fn tell(&mut self, client: usize, manner: Tell, room: u16, whole: bool) {
        let id = ConnectionId(client);
        let Some(former) = self.formers.get_mut(&id) else {
            return;
        };
        let how = self.manners[&id];
        loop {
            let (mut ours, mut theirs) = (with_room(room), with_room(room));
            // First the former, as telling all to all buries the dead.
            let folder = &self.mailbox.folder;
            let former_complete = former.tell(folder, manner, how, &mut theirs);
            let (mut rest, mut more) = (former.clone(), Buffer::new());
            let rest_complete = rest.tell(folder, manner, how, &mut more);
            let complete = tell(&mut self.mailbox, id, manner, how, &mut ours);
            let text = |buffer: &Buffer| {
                let text = String::from_utf8_lossy(buffer.pending());
                text.trim_start_matches('x').to_owned()
            };
            if complete && !former_complete {
                // All that the former has left to look at is of messages that are gone.
                assert!(rest_complete);
                *former = rest;
                assert_eq!(text(&ours), text(&theirs) + &text(&more));
            } else {
                assert_eq!(complete, former_complete);
                assert_eq!(text(&ours), text(&theirs));
            }
            if complete {
                break;
            }
            if !whole {
                return;
            }
        }
        let below = former.take_held_back(self.mailbox.folder.messages());
        assert_eq!(self.mailbox.take_held_back(id), below);
        let messages = self.mailbox.folder.messages();
        let cursor = self.mailbox.cursor(id).unwrap();
        assert_eq!(cursor.exists(messages), former.exists(messages));
        assert_eq!(cursor.last_uid(messages), former.last_uid(messages));
        assert_eq!(cursor.recent_count(messages), former.recent_count(messages));
        self.note_buried();
    }
}

fn with_room(octets: u16) -> Buffer {
    let mut buffer = Buffer::new();
    let room = buffer.room();
    buffer
        .writer()
        .resize(room.saturating_sub(octets.into()), b'x');
    buffer
}
