//! APPEND, COPY and MOVE.

use super::*;
use crate::maildir::disk::dir::fault;
use crate::maildir::folder::save::SaveError;

impl Mail {
    /// Another folder of the same Maildir.
    pub(super) fn subfolder(&self, name: &str) -> Folder {
        for part in ["", "cur", "new", "tmp"] {
            std::fs::create_dir_all(self.path(name).join(part)).unwrap();
        }
        let mut folder = Folder::open(&self.maildir, &self.path(name), now()).unwrap();
        sync(&mut folder);
        folder
    }
}

fn text(folder: &mut Folder, index: usize) -> Vec<u8> {
    let mut opening = folder.open_message(index, now()).unwrap();
    let file = opening.go_on(&|| false).unwrap().unwrap();
    let mut bytes = vec![0; 100];
    let length = file.read_at(0, &mut bytes).unwrap();
    bytes.truncate(length);
    bytes
}

#[test]
fn a_message_that_is_not_committed_leaves_nothing() {
    let mail = Mail::new();
    let folder = mail.open();
    let mut message = Incoming::begin(&folder, now()).unwrap();
    message.write(b"half").unwrap();
    assert_eq!(mail.names("tmp").len(), 1);
    drop(message);
    let mut message = Incoming::begin(&folder, now()).unwrap();
    message.write(b"whole").unwrap();
    let mut batch = Batch::new(&folder);
    batch.add(message, seen(), None).unwrap();
    drop(batch);
    assert!(mail.names("tmp").is_empty());
    assert!(mail.names("cur").is_empty());
}

#[test]
fn many_messages_get_their_uids_in_order() {
    let mail = Mail::new();
    let mut folder = mail.open();
    let mut batch = Batch::new(&folder);
    for n in 0..20_u8 {
        let mut message = Incoming::begin(&folder, now()).unwrap();
        message.write(&[b'a' + n, b'\n']).unwrap();
        batch
            .add(message, Flags::default(), Some(n.into()))
            .unwrap();
    }
    assert_eq!(commit(&mut folder, &mut batch), 1);
    assert_eq!(uids(&folder), (1..=20).collect::<Vec<_>>());
    assert_eq!(text(&mut folder, 19), b"t\n");
    assert_eq!(folder.facts(7).unwrap().internal_date, 7);
    let modseqs: Vec<u64> = folder.messages().iter().map(|row| row.modseq()).collect();
    assert!(modseqs.iter().all(|modseq| *modseq == modseqs[0]));
}

#[test]
fn while_a_batch_is_committed_its_files_are_no_news() {
    let mail = Mail::new();
    mail.deliver("cur/1.host:2,");
    let mut folder = mail.open();
    folder.set_watched(true);
    sync(&mut folder);
    let mut batch = Batch::new(&folder);
    for _ in 0..3 {
        batch.copy(&mut folder, 0, seen(), now()).unwrap();
    }
    let step = folder.commit(&mut batch, now(), &|| true).unwrap();
    assert_eq!(step, Commit::Again);
    assert_eq!(mail.names("cur").len(), 2);
    let name = mail.names("cur").pop().unwrap();
    let event = Event::Appeared {
        place: Place::Cur,
        name: name.into_bytes(),
    };
    assert_eq!(
        folder.handle_event(&event, WRITING, now()).unwrap(),
        Step::Again
    );
    assert_eq!(
        folder.sync(WRITING, now(), &|| false).unwrap(),
        Step::Locked
    );
    folder.unlock();
    assert_eq!(uids(&folder), [1]);
    assert_eq!(commit(&mut folder, &mut batch), 2);
    sync(&mut folder);
    assert_eq!(uids(&folder), [1, 2, 3, 4]);
    assert!(mail.open().lock(now()).unwrap());
}

#[test]
fn a_batch_given_up_half_way_is_taken_back() {
    let mail = Mail::new();
    mail.deliver("cur/1.host:2,");
    let mut folder = mail.open();
    let mut batch = Batch::new(&folder);
    for _ in 0..3 {
        batch.copy(&mut folder, 0, seen(), now()).unwrap();
    }
    let step = folder.commit(&mut batch, now(), &|| true).unwrap();
    assert_eq!(step, Commit::Again);
    drop(batch);
    sync(&mut folder);
    assert_eq!(mail.names("cur"), ["1.host:2,"]);
    assert_eq!(uids(&folder), [1]);
    // The UIDs that were meant for it stay unused.
    assert_eq!(append(&mut folder, b"x\n"), 5);
}

#[test]
fn when_one_copy_fails_none_is_there() {
    let mail = Mail::new();
    mail.deliver("cur/1.host:2,");
    mail.deliver("cur/2.host:2,");
    let mut folder = mail.open();
    let mut batch = Batch::new(&folder);
    batch.copy(&mut folder, 0, seen(), now()).unwrap();
    batch.copy(&mut folder, 1, seen(), now()).unwrap();
    mail.remove("cur/2.host:2,");
    let error = folder.commit(&mut batch, now(), &|| false).unwrap_err();
    assert!(matches!(error, SaveError::Gone));
    assert_eq!(mail.names("cur"), ["1.host:2,"]);
    assert!(!mail.path("dovecot-uidlist.lock").exists());
}

#[test]
fn a_message_renamed_before_it_is_copied_is_found() {
    let mail = Mail::new();
    mail.deliver("cur/1.host:2,");
    let mut folder = mail.open();
    let mut batch = Batch::new(&folder);
    batch.copy(&mut folder, 0, Flags::default(), now()).unwrap();
    mail.rename("cur/1.host:2,", "cur/1.host:2,DFabc");
    assert_eq!(commit(&mut folder, &mut batch), 2);
}

#[test]
fn what_cannot_be_linked_is_copied() {
    const EXDEV: i32 = 18;
    let mail = Mail::new();
    mail.deliver("cur/1.host,S=18,W=21:2,");
    let mut folder = mail.open();
    let mut other = mail.subfolder(".Other");
    let date = folder.facts(0).unwrap().internal_date;
    let mut batch = Batch::new(&other);
    batch.copy(&mut folder, 0, seen(), now()).unwrap();
    fault::count();
    let _ = other.commit(&mut batch, now(), &|| true).unwrap();
    let link = fault::calls()
        .iter()
        .position(|call| call.starts_with("link"));
    fault::clear();
    sync(&mut other);
    drop(batch);
    let mut batch = Batch::new(&other);
    batch.copy(&mut folder, 0, seen(), now()).unwrap();
    let link = link.unwrap() + 1;
    fault::fail_at(link, EXDEV);
    let uid = commit(&mut other, &mut batch);
    fault::clear();
    let index = other.index_of(Uid(uid)).unwrap();
    assert_eq!(text(&mut other, index), text(&mut folder, 0));
    assert_eq!(other.facts(index).unwrap().internal_date, date);
    assert_eq!(other.email_id(index), folder.email_id(0));
    assert!(mail.names(".Other/tmp").is_empty());
}

#[test]
fn savedate_is_not_changed_by_what_we_do_to_the_file() {
    let mail = Mail::new();
    mail.deliver("cur/1.host:2,");
    pass(Duration::from_secs(3600));
    let mut folder = mail.open();
    let date = folder.messages()[0].save_date();
    let mut batch = Batch::new(&folder);
    batch.copy(&mut folder, 0, seen(), now()).unwrap();
    commit(&mut folder, &mut batch);
    assert!(folder.lock(now()).unwrap());
    let modseq = folder.next_modseq(now()).unwrap();
    folder.change_flags(0, &|_| seen(), modseq).unwrap();
    folder.unlock();
    folder.close(now());
    let mut folder = mail.open();
    let before = folder.facts(0).unwrap().save_date;
    assert!(date.is_none_or(|date| date == before));
    assert!(before < folder.facts(1).unwrap().save_date);
}
