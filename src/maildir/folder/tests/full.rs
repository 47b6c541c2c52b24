//! Disks that are full, and mail that may only be read.

use std::process::Command;

use super::super::save::SaveError;
use super::*;

/// Mail on a file system of its own, which takes root to mount.
pub(super) struct Small {
    pub mail: Mail,
}

impl Small {
    #[expect(clippy::print_stderr, reason = "a skipped test says why")]
    pub fn new() -> Option<Small> {
        let mail = Mail::new();
        let mounted = Command::new("mount")
            .args(["-t", "tmpfs", "-o", "size=400k", "tmpfs"])
            .arg(mail.scratch.path())
            .output()
            .is_ok_and(|output| output.status.success());
        if !mounted {
            eprintln!("skipped: mounting a small file system takes root");
            return None;
        }
        for name in ["cur", "new", "tmp"] {
            std::fs::create_dir(mail.path(name)).unwrap();
        }
        Some(Small { mail })
    }

    fn fill(&self) {
        let mut size = 128 * 1024;
        let mut n = 0;
        while size > 0 {
            let name = self.mail.path(&format!("filler{n}"));
            if std::fs::write(name, vec![b'x'; size]).is_err() {
                size /= 2;
            }
            n += 1;
        }
    }
}

/// Whether nothing may be written.
pub(super) fn read_only(mail: &Mail, read_only: bool) {
    let how = match read_only {
        true => "remount,ro",
        false => "remount,rw",
    };
    let done = Command::new("mount")
        .args(["-o", how])
        .arg(mail.scratch.path())
        .status()
        .unwrap();
    assert!(done.success());
}

impl Drop for Small {
    fn drop(&mut self) {
        let _ = Command::new("umount")
            .arg("-l")
            .arg(self.mail.scratch.path())
            .status();
    }
}

#[test]
fn on_a_full_disk_mail_is_served_and_can_be_expunged() {
    let Some(small) = Small::new() else {
        return;
    };
    let mail = &small.mail;
    for n in 1..=4 {
        let text = format!("Subject: {n}\n\n{}", "x".repeat(20_000));
        std::fs::write(mail.path(&format!("cur/{n}.host:2,")), text).unwrap();
    }
    mail.open().close(now());
    small.fill();
    let mut folder = mail.open();
    let told = folder.highest_modseq();
    assert_eq!(uids(&folder), [1, 2, 3, 4]);
    folder.open_message(2, now()).unwrap();

    let mut message = Incoming::begin(&folder, now()).unwrap();
    let error = message.write(&[b'x'; 50_000]).unwrap_err();
    assert!(matches!(error, SaveError::Full(_)));
    drop(message);
    assert!(mail.names("tmp").is_empty());

    assert!(folder.lock(now()).unwrap());
    let modseq = folder.next_modseq(now()).unwrap();
    assert!(modseq > told);
    folder.change_flags(1, &|_| seen(), modseq).unwrap();
    remove(&mut folder, 0, modseq).unwrap();
    folder.unlock();
    assert_eq!(uids(&folder), [2, 3, 4]);
    assert_eq!(folder.highest_modseq(), modseq);

    // There is room again.
    assert_eq!(append(&mut folder, b"x\n\ny\n"), 5);
    folder.close(now());
    let folder = mail.open();
    assert_eq!(uids(&folder), [2, 3, 4, 5]);
    assert!(folder.highest_modseq() > modseq);
}

#[test]
fn a_compressed_message_cannot_be_read_on_a_full_disk_and_the_error_says_where() {
    let Some(small) = Small::new() else {
        return;
    };
    let mail = &small.mail;
    let text = format!("Subject: x\n\n{}", "x".repeat(300_000));
    let encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    let compressed = {
        use std::io::Write;
        let mut encoder = encoder;
        encoder.write_all(text.as_bytes()).unwrap();
        encoder.finish().unwrap()
    };
    std::fs::write(mail.path("cur/1.host,S=300012:2,"), compressed).unwrap();
    let mut folder = mail.open();
    let mut read = || {
        let mut opening = folder.open_message(0, now())?;
        loop {
            if let Some(file) = opening.go_on(&|| false)? {
                return Ok(file);
            }
        }
    };
    assert!(read().is_ok());
    small.fill();
    let error: MessageError = read().err().unwrap();
    assert!(matches!(error, MessageError::Full(_)), "{error}");
    let place = mail.path("tmp").display().to_string();
    assert!(error.to_string().contains(&place), "{error}");
}

#[test]
fn mail_delivered_to_a_full_disk_waits_for_its_uid() {
    let Some(small) = Small::new() else {
        return;
    };
    let mail = &small.mail;
    mail.deliver("cur/1.host:2,");
    let mut folder = mail.open();
    mail.deliver("new/2.host");
    let long = "9.".to_owned() + &"x".repeat(200);
    for n in 0..40 {
        mail.deliver(&format!("new/{n}{long}"));
    }
    small.fill();
    sync(&mut folder);
    let before = uids(&folder).len();
    assert!(before <= 42);
    for entry in std::fs::read_dir(mail.scratch.path()).unwrap() {
        let path = entry.unwrap().path();
        if path.to_string_lossy().contains("filler") {
            std::fs::remove_file(path).unwrap();
        }
    }
    sync(&mut folder);
    assert_eq!(uids(&folder), (1..=42).collect::<Vec<_>>());
    folder.close(now());
    assert_eq!(uids(&mail.open()).len(), 42);
}

#[test]
fn when_a_message_cannot_be_saved_none_of_its_batch_is() {
    let Some(small) = Small::new() else {
        return;
    };
    let mail = &small.mail;
    mail.deliver("cur/1.host:2,");
    let mut folder = mail.open();
    let mut batch = Batch::new(&folder);
    for _ in 0..3 {
        let mut message = Incoming::begin(&folder, now()).unwrap();
        message.write(b"x\n").unwrap();
        batch.add(message, seen(), None).unwrap();
    }
    small.fill();
    // The lock, at least, needs no room in memory; the UIDs may or may not fit.
    let committed = folder.commit(&mut batch, now(), &|| false);
    let there = uids(&folder).len();
    match committed {
        Ok(_) => assert_eq!(there, 4),
        Err(error) => {
            assert!(matches!(error, SaveError::Full(_)));
            assert_eq!(there, 1);
        }
    }
    drop(batch);
    assert!(mail.names("tmp").is_empty());
    assert_eq!(mail.names("cur").len(), there);
}

#[test]
fn mail_that_may_only_be_read_can_be_read() {
    let Some(small) = Small::new() else {
        return;
    };
    let mail = &small.mail;
    mail.deliver("cur/1.host:2,");
    mail.open().close(now());
    mail.deliver("cur/2.host:2,S");
    let read_only = Command::new("mount")
        .args(["-o", "remount,ro"])
        .arg(mail.scratch.path())
        .status()
        .unwrap();
    assert!(read_only.success());
    let mut folder = mail.open();
    // The second has no UID, and none can be given.
    assert_eq!(uids(&folder), [1]);
    folder.open_message(0, now()).unwrap();
    assert!(folder.lock(now()).unwrap());
    let modseq = folder.next_modseq(now()).unwrap();
    let error = folder.change_flags(0, &|_| seen(), modseq).unwrap_err();
    assert!(matches!(error, MessageError::Denied(_)));
    let error = remove(&mut folder, 0, modseq).unwrap_err();
    assert!(matches!(error, MessageError::Denied(_)));
    folder.unlock();
    folder.close(now());
}

#[test]
fn without_room_for_a_uidlist_mail_is_served_all_the_same() {
    let Some(small) = Small::new() else {
        return;
    };
    let mail = &small.mail;
    for n in 1..=3 {
        let text = format!("Subject: {n}\n\n{}", "x".repeat(20_000));
        std::fs::write(mail.path(&format!("cur/{n}.host:2,")), text).unwrap();
    }
    small.fill();
    let mut folder = mail.open();
    assert_eq!(uids(&folder), [1, 2, 3]);
    folder.settle().unwrap();
    let validity = folder.uid_validity();
    assert!(folder.lock(now()).unwrap());
    let modseq = folder.next_modseq(now()).unwrap();
    remove(&mut folder, 1, modseq).unwrap();
    folder.unlock();
    // Now there is room for it, and for this.
    assert_eq!(append(&mut folder, b"x\n\ny\n"), 4);
    assert!(mail.path("dovecot-uidlist").exists());
    folder.close(now());
    let folder = mail.open();
    assert_eq!(folder.uid_validity(), validity);
    assert_eq!(uids(&folder), [1, 3, 4]);
}

#[test]
fn mail_that_nobody_ever_served_can_be_read_where_nothing_can_be_written() {
    let Some(small) = Small::new() else {
        return;
    };
    let mail = &small.mail;
    mail.deliver("cur/1.host:2,");
    mail.deliver("new/2.host");
    let read_only = Command::new("mount")
        .args(["-o", "remount,ro"])
        .arg(mail.scratch.path())
        .status()
        .unwrap();
    assert!(read_only.success());
    let mut folder = mail.open();
    assert_eq!(uids(&folder), [1, 2]);
    assert_eq!(folder.uid_next(), 3);
    folder.open_message(1, now()).unwrap();
}
