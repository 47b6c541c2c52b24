//! A folder that nobody else touches.

use super::*;

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
    mail.remove("roost.index");
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
    remove(&mut folder, 0, modseq).unwrap();
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
