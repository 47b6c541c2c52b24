//! The index: what its header tells, and where it is.

use super::*;

fn status(mail: &Mail) -> Option<FolderStatus> {
    super::super::status(&mail.maildir, mail.scratch.path(), now()).unwrap()
}

#[test]
fn status_comes_from_the_header_as_long_as_nothing_changed() {
    let mail = Mail::new();
    mail.deliver("cur/1.host,S=10,W=12:2,S");
    mail.deliver("cur/2.host,S=10,W=12:2,T");
    assert_eq!(status(&mail), None);
    settle();
    let folder = mail.open();
    let (validity, id) = (folder.uid_validity(), folder.mailbox_id());
    let highest = folder.highest_modseq();
    folder.close(now());
    let found = status(&mail).unwrap();
    let counts = Counts {
        messages: 2,
        unseen: 1,
        deleted: 1,
        size: 24,
        unmeasured: 0,
        first_unseen: Some(Uid(2)),
    };
    let expected = FolderStatus {
        uid_validity: validity,
        uid_next: 3,
        highest_modseq: highest,
        mailbox_id: id,
        counts,
        recent: 2,
    };
    assert_eq!(found, expected);
    settle();
    for change in ["new/3.host", "cur/4.host:2,"] {
        mail.deliver(change);
        assert_eq!(status(&mail), None, "{change}");
        mail.open().close(now());
        settle();
        // What was listed right after it changed may be out of date.
        assert_eq!(status(&mail), None);
        mail.open().close(now());
        assert!(status(&mail).is_some());
    }
}

#[test]
fn a_damaged_index_counts_as_none() {
    let mail = Mail::new();
    mail.deliver("cur/1.host,S=10,W=12:2,S");
    mail.deliver("cur/2.host:2,SPF,extra");
    settle();
    let folder = mail.open();
    let before = (folder.uid_validity(), uids(&folder));
    folder.close(now());
    let index = std::fs::read(mail.path("roost.index")).unwrap();
    let cut = (0..index.len())
        .step_by(7)
        .map(|length| index[..length].to_vec());
    let turned = (0..index.len()).step_by(3).map(|at| {
        let mut index = index.clone();
        index[at] ^= 0x41;
        index
    });
    for damaged in cut.chain(turned) {
        mail.scratch.write("roost.index", damaged);
        let folder = mail.open();
        assert_eq!((folder.uid_validity(), uids(&folder)), before);
    }
}

#[test]
fn the_index_may_lie_outside_the_maildir() {
    let mut mail = Mail::new();
    let elsewhere = Scratch::new();
    let settings = Settings {
        index_dir: Some(elsewhere.path().join("indexes/ann")),
        ..Settings::default()
    };
    mail.maildir = Maildir::new(mail.scratch.path().to_owned(), settings);
    mail.deliver("cur/1.host,S=10,W=12:2,S");
    settle();
    mail.open().close(now());
    let names = mail.scratch.names();
    assert!(
        names.iter().all(|name| !name.starts_with("roost")),
        "{names:?}"
    );
    assert!(
        elsewhere
            .path()
            .join("indexes/ann/.INBOX/roost.index")
            .exists()
    );
    assert!(status(&mail).is_some());
    assert_eq!(uids(&mail.open()), [1]);
}

#[test]
fn recent_messages_are_those_that_nobody_has_claimed() {
    let mail = Mail::new();
    mail.deliver("new/1.host");
    let mut folder = mail.open();
    assert_eq!(folder.claim_recent(), Uid(1));
    mail.deliver("new/2.host");
    sync(&mut folder);
    assert_eq!(folder.first_recent(), Uid(2));
    folder.close(now());
    let mut folder = mail.open();
    assert_eq!(folder.claim_recent(), Uid(2));
    assert_eq!(folder.claim_recent(), Uid(3));
}

#[test]
fn counts_follow_every_change() {
    let mail = Mail::new();
    for n in 1..=6 {
        mail.deliver(&format!("cur/{n}.host,S=10,W=12:2,"));
    }
    mail.deliver("cur/7.host:2,");
    let mut folder = mail.open();
    assert!(folder.lock(now()).unwrap());
    let modseq = folder.next_modseq(now()).unwrap();
    for index in [0, 1, 3] {
        folder.change_flags(index, &|_| seen(), modseq).unwrap();
    }
    let counts = folder.counts();
    assert_eq!((counts.unseen, counts.first_unseen), (4, Some(Uid(3))));
    folder
        .change_flags(1, &|_| Flags::default(), modseq)
        .unwrap();
    assert_eq!(folder.counts().first_unseen, Some(Uid(2)));
    remove(&mut folder, 1, modseq).unwrap();
    remove(&mut folder, 2, modseq).unwrap();
    folder.bury();
    let counts = folder.counts();
    assert_eq!(
        (counts.messages, counts.size, counts.unmeasured),
        (5, 48, 1)
    );
    assert_eq!(counts.first_unseen, Some(Uid(5)));
    assert_eq!(folder.virtual_size(4, &|| false).unwrap(), Some(21));
    assert_eq!(folder.counts().unmeasured, 0);
    folder.unlock();
}
