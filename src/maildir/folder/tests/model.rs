//! Whatever we and others do in whatever order: the folder shows what is in the directories, and no
//! UID changes hands.

use std::cell::Cell;
use std::collections::BTreeMap;

use proptest::prelude::*;
use proptest::sample::Index;

use super::*;

/// What we do, and what others do while we have the folder open.
#[derive(Clone, Debug)]
enum Deed {
    Sync {
        slices: u32,
        move_new: bool,
    },
    Flag(Index, u8),
    Expunge(Index),
    Append,
    Copy(Index),
    Bury,
    Reopen {
        index_lost: bool,
        modseqs_lost: bool,
    },
    Deliver,
    TheirFlag(Index, u8),
    TheirDelete(Index),
    TheirMoveToCur,
    TheirSecondFile(Index),
    TheirUid,
    ListLost,
}

fn deed() -> impl Strategy<Value = Deed> {
    let index = any::<Index>;
    prop_oneof![
        8 => (0..4_u32, any::<bool>())
            .prop_map(|(slices, move_new)| Deed::Sync { slices, move_new }),
        3 => (index(), any::<u8>()).prop_map(|(index, flags)| Deed::Flag(index, flags)),
        2 => index().prop_map(Deed::Expunge),
        1 => Just(Deed::Append),
        1 => index().prop_map(Deed::Copy),
        1 => Just(Deed::Bury),
        1 => (any::<bool>(), any::<bool>())
            .prop_map(|(index_lost, modseqs_lost)| Deed::Reopen { index_lost, modseqs_lost }),
        4 => Just(Deed::Deliver),
        3 => (index(), any::<u8>()).prop_map(|(index, flags)| Deed::TheirFlag(index, flags)),
        2 => index().prop_map(Deed::TheirDelete),
        1 => Just(Deed::TheirMoveToCur),
        1 => index().prop_map(Deed::TheirSecondFile),
        1 => Just(Deed::TheirUid),
        1 => Just(Deed::ListLost),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 60, ..ProptestConfig::default() })]

    #[test]
    fn the_folder_shows_what_is_there(deeds in prop::collection::vec(deed(), 1..40)) {
        let world = World::new();
        let mut folder = world.mail.open();
        let mut client = world.look(&folder);
        for deed in &deeds {
            folder = world.act(folder, deed);
            // A client that asks now and then hears all that it does not know.
            if matches!(deed, Deed::Sync { .. }) {
                sync(&mut folder);
                world.check(&mut folder, &mut client);
            }
        }
        world.settle(&mut folder);
        world.check(&mut folder, &mut client);
        let before = client.messages.clone();
        folder.close(now());
        let mut folder = world.mail.open();
        world.check(&mut folder, &mut client);
        prop_assert_eq!(before, client.messages);
    }
}

/// What a client knows: modseq, and by UID the flags and which text it is.
struct Client {
    validity: u32,
    highest: u64,
    messages: BTreeMap<u32, (Flags, String)>,
}

struct World {
    mail: Mail,
    number: Cell<u32>,
}

impl World {
    fn new() -> World {
        let mut mail = Mail::new();
        let settings = Settings {
            fsync: Fsync::Never,
            ..Settings::default()
        };
        mail.maildir = Maildir::new(mail.scratch.path().to_owned(), settings);
        let number = Cell::new(0);
        let world = World { mail, number };
        for _ in 0..4 {
            world.deliver();
        }
        world
    }

    fn number(&self) -> u32 {
        self.number.set(self.number.get() + 1);
        self.number.get()
    }

    fn deliver(&self) {
        let number = self.number();
        let name = format!("new/{number}.host");
        std::fs::write(self.mail.path(&name), format!("Subject: {number}\n\n")).unwrap();
    }

    /// A file in cur/, if there is one.
    fn pick(&self, index: &Index) -> Option<String> {
        let names = self.mail.names("cur");
        (!names.is_empty()).then(|| index.get(&names).clone())
    }

    fn act(&self, mut folder: Folder, deed: &Deed) -> Folder {
        let live: Vec<usize> = (0..folder.messages().len())
            .filter(|at| !folder.messages()[*at].is_gone())
            .collect();
        let chosen = |index: &Index| (!live.is_empty()).then(|| *index.get(&live));
        match deed {
            Deed::Sync { slices, move_new } => {
                let look = Look {
                    move_new: *move_new,
                    force_scan: true,
                };
                for _ in 0..*slices {
                    let _ = folder.sync(look, now(), &|| true).unwrap();
                }
            }
            Deed::Flag(index, bits) => {
                if let Some(at) = chosen(index) {
                    self.locked(&mut folder, |folder, modseq| {
                        match folder.change_flags(at, &|_| flags(*bits), modseq) {
                            Ok(_) | Err(MessageError::Gone) => (),
                            Err(error) => panic!("{error}"),
                        }
                    });
                }
            }
            Deed::Expunge(index) => {
                if let Some(at) = chosen(index) {
                    self.locked(&mut folder, |folder, modseq| {
                        match remove(folder, at, modseq) {
                            Ok(_) | Err(MessageError::Gone) => (),
                            Err(error) => panic!("{error}"),
                        }
                    });
                }
            }
            Deed::Append => {
                let text = format!("Subject: {}\n\n", self.number());
                self.settle(&mut folder);
                append(&mut folder, text.as_bytes());
            }
            Deed::Copy(index) => {
                if let Some(at) = chosen(index) {
                    self.settle(&mut folder);
                    let mut batch = Batch::new(&folder);
                    if batch.copy(&mut folder, at, seen(), now()).is_ok() {
                        let _ = folder.commit(&mut batch, now(), &|| false);
                    }
                }
            }
            Deed::Bury => folder.bury(),
            Deed::Reopen {
                index_lost,
                modseqs_lost,
            } => {
                folder.close(now());
                if *index_lost {
                    let _ = std::fs::remove_file(self.mail.path("roost.index"));
                } else if *modseqs_lost {
                    let _ = std::fs::remove_file(self.mail.path("roost.modseq"));
                }
                folder = self.mail.open();
            }
            Deed::Deliver => self.deliver(),
            Deed::TheirFlag(index, bits) => {
                if let Some(name) = self.pick(index) {
                    let base = name.split(':').next().unwrap().as_bytes();
                    let new = Filename { base, info: b"" };
                    let new = String::from_utf8(new.with_flags(flags(*bits))).unwrap();
                    self.rename(&format!("cur/{name}"), &format!("cur/{new}"));
                }
            }
            Deed::TheirDelete(index) => {
                if let Some(name) = self.pick(index) {
                    std::fs::remove_file(self.mail.path(&format!("cur/{name}"))).unwrap();
                }
            }
            Deed::TheirMoveToCur => {
                for name in self.mail.names("new") {
                    self.rename(&format!("new/{name}"), &format!("cur/{name}:2,S"));
                }
            }
            Deed::TheirSecondFile(index) => {
                // If we had not seen the first rename, nothing would tell which is which.
                self.settle(&mut folder);
                if let Some(name) = self.pick(index) {
                    let base = name.split(':').next().unwrap();
                    let text = format!("Subject: {}\n\n", self.number());
                    let path = self.mail.path(&format!("cur/{base}:2,DR"));
                    if !path.exists() {
                        std::fs::write(path, text).unwrap();
                    }
                    // Were the first deleted before we look, nothing would show that this is
                    // another.
                    self.settle(&mut folder);
                }
            }
            Deed::TheirUid => self.their_uid(&folder),
            Deed::ListLost => {
                let _ = std::fs::remove_file(self.mail.path("dovecot-uidlist"));
            }
        }
        folder
    }

    /// Another server gives the next UID to a file of its own.
    fn their_uid(&self, folder: &Folder) {
        if folder.is_committing() {
            return;
        }
        let Some(list) = self.mail.scratch.read("dovecot-uidlist") else {
            return;
        };
        let number = self.number();
        let last = list
            .lines()
            .filter_map(|line| line.split(' ').next()?.parse().ok());
        let last: u32 = last.max().unwrap();
        let header = list
            .split(['N', ' '])
            .nth(3)
            .unwrap()
            .parse::<u32>()
            .unwrap();
        let next = header.max(if list.lines().count() > 1 {
            last + 1
        } else {
            1
        });
        let line = format!("{next} :{number}.host\n");
        self.mail.scratch.write("dovecot-uidlist", list + &line);
        let path = self.mail.path(&format!("cur/{number}.host:2,F"));
        std::fs::write(path, format!("Subject: {number}\n\n")).unwrap();
    }

    fn rename(&self, from: &str, to: &str) {
        let to = self.mail.path(to);
        if !to.exists() {
            std::fs::rename(self.mail.path(from), to).unwrap();
        }
    }

    fn locked(&self, folder: &mut Folder, act: impl FnOnce(&mut Folder, u64)) {
        assert!(folder.lock(now()).unwrap());
        let modseq = folder.next_modseq(now()).unwrap();
        act(folder, modseq);
        folder.unlock();
    }

    /// Until nothing is found any more.
    fn settle(&self, folder: &mut Folder) {
        let look = Look {
            move_new: true,
            force_scan: true,
        };
        for _ in 0..8 {
            let _ = folder.sync(look, now(), &|| false).unwrap();
        }
    }

    fn look(&self, folder: &Folder) -> Client {
        Client {
            validity: folder.uid_validity(),
            highest: folder.highest_modseq(),
            messages: self.messages(folder),
        }
    }

    fn messages(&self, folder: &Folder) -> BTreeMap<u32, (Flags, String)> {
        let mut messages = BTreeMap::new();
        for (index, row) in folder.messages().iter().enumerate() {
            if row.is_gone() {
                continue;
            }
            let mut name = Vec::new();
            folder.table.write_name(index, &mut name);
            let place = match row.place() {
                Place::New => "new",
                Place::Cur => "cur",
            };
            let name = String::from_utf8(name).unwrap();
            let path = self.mail.path(&format!("{place}/{name}"));
            let text = std::fs::read_to_string(path).unwrap();
            let before = messages.insert(row.uid().0, (row.flags(), text));
            assert!(before.is_none());
        }
        messages
    }

    fn check(&self, folder: &mut Folder, client: &mut Client) {
        self.settle(folder);
        let there = self.messages(folder);
        let mut texts: Vec<&String> = there.values().map(|(_, text)| text).collect();
        texts.sort();
        let mut files = Vec::new();
        for place in ["cur", "new"] {
            for name in self.mail.names(place) {
                let path = self.mail.path(&format!("{place}/{name}"));
                files.push(std::fs::read_to_string(path).unwrap());
            }
        }
        files.sort();
        assert_eq!(texts, files.iter().collect::<Vec<_>>());
        assert!(there.keys().all(|uid| *uid < folder.uid_next()));

        if folder.uid_validity() != client.validity {
            // Index and uidlist were lost.
            assert!(folder.uid_validity() > client.validity);
            *client = self.look(folder);
        }
        assert!(folder.highest_modseq() >= client.highest);
        match folder.expunged_since(client.highest) {
            Some(gone) => client.messages.retain(|uid, _| !gone.contains(*uid)),
            None => client.messages.retain(|uid, _| there.contains_key(uid)),
        }
        for row in folder.messages() {
            let (uid, flags) = (row.uid().0, row.flags());
            if row.is_gone() || row.modseq() <= client.highest {
                continue;
            }
            match client.messages.get_mut(&uid) {
                Some(known) => known.0 = flags,
                None => {
                    client.messages.insert(uid, there[&uid].clone());
                }
            }
        }
        client.highest = folder.highest_modseq();
        assert_eq!(client.messages, there);
    }
}

fn flags(bits: u8) -> Flags {
    Flags {
        system: System(bits & 31),
        keywords: u32::from(bits >> 5),
    }
}
