//! A folder as its users see it: what files do, and what is told of it.

use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use super::*;
use crate::imap::flag::Flags;
use crate::maildir::Settings;
use crate::maildir::dir::scratch::Scratch;
use crate::maildir::save::{Batch, Commit, Incoming};

struct Mail {
    scratch: Scratch,
    maildir: Maildir,
}

impl Mail {
    fn new() -> Mail {
        let scratch = Scratch::new();
        let maildir = Maildir::new(scratch.path().to_owned(), Settings::default());
        for name in ["cur", "new", "tmp"] {
            std::fs::create_dir(scratch.path().join(name)).unwrap();
        }
        Mail { scratch, maildir }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.scratch.path().join(name)
    }

    fn deliver(&self, name: &str) {
        std::fs::write(self.path(name), "Subject: x\n\nHello\n").unwrap();
    }

    fn names(&self, directory: &str) -> Vec<String> {
        let mut names: Vec<String> = std::fs::read_dir(self.path(directory))
            .unwrap()
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect();
        names.sort();
        names
    }

    fn open(&self) -> Folder {
        let mut folder = Folder::open(&self.maildir, self.scratch.path(), now()).unwrap();
        sync(&mut folder);
        folder
    }
}

fn now() -> SystemTime {
    SystemTime::now()
}

const WRITING: Look = Look {
    move_new: true,
    force_scan: false,
};

fn sync(folder: &mut Folder) {
    for _ in 0..100 {
        match folder.sync(WRITING, now(), &|| true).unwrap() {
            Step::Done => return,
            Step::Again => (),
            Step::Locked => std::thread::sleep(Duration::from_millis(20)),
        }
    }
    panic!("no end to it");
}

fn uids(folder: &Folder) -> Vec<u32> {
    let live = folder.messages().iter().filter(|row| !row.is_gone());
    live.map(|row| row.uid().0).collect()
}

fn seen() -> Flags {
    Flags {
        system: System::SEEN,
        keywords: 0,
    }
}

fn append(folder: &mut Folder, text: &[u8]) -> u32 {
    let mut message = Incoming::begin(folder, now()).unwrap();
    message.write(text).unwrap();
    let mut batch = Batch::new(folder);
    batch.add(message, seen(), Some(1_000_000_000)).unwrap();
    commit(folder, &mut batch)
}

fn commit(folder: &mut Folder, batch: &mut Batch) -> u32 {
    loop {
        match folder.commit(batch, now(), &|| true).unwrap() {
            Commit::Done(uids) => return uids.iter().next().unwrap(),
            Commit::Again => (),
            Commit::Locked => panic!("nobody else is here"),
        }
    }
}

#[test]
fn delivered_messages_get_uids_in_the_order_of_their_names() {
    let mail = Mail::new();
    mail.deliver("new/1000000002.V1I1M5.host");
    mail.deliver("new/1000000001.V1I1M5.host");
    mail.deliver("cur/1000000001.V1I1M4.host:2,FS");
    let mut folder = mail.open();
    assert_eq!(uids(&folder), [1, 2, 3]);
    assert_eq!(folder.uid_next(), 4);
    assert_eq!(
        mail.names("cur"),
        [
            "1000000001.V1I1M4.host:2,FS",
            "1000000001.V1I1M5.host:2,",
            "1000000002.V1I1M5.host:2,"
        ]
    );
    assert!(mail.names("new").is_empty());
    let counts = folder.counts();
    assert_eq!((counts.messages, counts.unseen), (3, 2));
    assert_eq!(counts.first_unseen, Some(Uid(2)));
    assert_eq!(
        folder.take_changes(),
        [Change::Arrived {
            first: Uid(1),
            last: Uid(3)
        }]
    );
}

#[test]
fn uids_flags_and_modseqs_survive_closing() {
    let mail = Mail::new();
    mail.deliver("cur/1.host:2,");
    mail.deliver("cur/2.host:2,");
    let mut folder = mail.open();
    assert!(folder.lock(now()).unwrap());
    let modseq = folder.next_modseq(now()).unwrap();
    folder.change_flags(1, &|_| seen(), modseq).unwrap();
    folder.unlock();
    let (validity, id) = (folder.uid_validity(), folder.mailbox_id());
    folder.close(now());
    let folder = mail.open();
    assert_eq!((folder.uid_validity(), folder.mailbox_id()), (validity, id));
    assert_eq!(uids(&folder), [1, 2]);
    assert_eq!(folder.messages()[1].flags(), seen());
    assert_eq!(folder.messages()[1].modseq(), modseq);
    assert!(folder.messages()[0].modseq() < modseq);
    assert_eq!(folder.highest_modseq(), modseq);
    assert_eq!(mail.names("cur"), ["1.host:2,", "2.host:2,S"]);
}

#[test]
fn an_appended_message_is_in_cur_with_its_sizes_and_date() {
    let mail = Mail::new();
    let mut folder = mail.open();
    let uid = append(&mut folder, b"a: b\n\nx\r\ny\n");
    assert_eq!(uid, 1);
    let name = mail.names("cur").remove(0);
    assert!(name.ends_with(",S=11,W=14:2,S"), "{name}");
    assert!(mail.names("tmp").is_empty());
    let facts = folder.facts(0).unwrap();
    assert_eq!((facts.internal_date, facts.size), (1_000_000_000, 11));
    assert_eq!(folder.virtual_size(0, &|| true).unwrap(), Some(14));
    assert!(!mail.scratch.path().join("dovecot-uidlist.lock").exists());
}

#[test]
fn a_copy_keeps_its_emailid() {
    let mail = Mail::new();
    mail.deliver("cur/1.host:2,");
    let mut folder = mail.open();
    let mut batch = Batch::new(&folder);
    batch.copy(&mut folder, 0, seen(), now()).unwrap();
    batch.copy(&mut folder, 0, Flags::default(), now()).unwrap();
    assert_eq!(commit(&mut folder, &mut batch), 2);
    assert_eq!(uids(&folder), [1, 2, 3]);
    assert_eq!(folder.email_id(0), folder.email_id(1));
    folder.close(now());
    std::fs::remove_file(mail.path("roost.index")).unwrap();
    let folder = mail.open();
    assert_eq!(uids(&folder), [1, 2, 3]);
    assert_eq!(folder.email_id(0), folder.email_id(2));
    assert_eq!(folder.messages()[1].flags(), seen());
}

#[test]
fn an_expunged_message_is_in_the_history() {
    let mail = Mail::new();
    mail.deliver("cur/1.host:2,");
    mail.deliver("cur/2.host:2,");
    let mut folder = mail.open();
    let before = folder.highest_modseq();
    folder.take_changes();
    assert!(folder.lock(now()).unwrap());
    let modseq = folder.next_modseq(now()).unwrap();
    folder.expunge(0, modseq).unwrap();
    folder.unlock();
    assert_eq!(
        folder.take_changes(),
        [Change::Expunged {
            uid: Uid(1),
            modseq
        }]
    );
    folder.bury();
    assert_eq!(uids(&folder), [2]);
    folder.close(now());
    let folder = mail.open();
    let gone = folder.expunged_since(before).unwrap();
    assert_eq!(gone.ranges(), [(1, 1)]);
    assert_eq!(folder.uid_next(), 3);
}
