use super::*;
use crate::maildir::disk::dir::fault;
use crate::maildir::disk::dir::scratch::Scratch;
use nix::errno::Errno;

fn dotlock(scratch: &Scratch) -> Dotlock {
    Dotlock::of_uidlist(scratch.dir.clone())
}

fn later(seconds: u64) -> SystemTime {
    SystemTime::now() + Duration::from_secs(seconds)
}

fn try_at(dotlock: &mut Dotlock, now: SystemTime) -> Option<Lock> {
    dotlock.try_lock(&Access::PRIVATE, now).unwrap()
}

fn here(process: u32) -> String {
    format!("{process}:{}", String::from_utf8(host_name()).unwrap())
}

/// A process that is surely gone.
fn dead_process() -> u32 {
    let mut child = std::process::Command::new("true").spawn().unwrap();
    child.wait().unwrap();
    child.id()
}

#[test]
fn the_lock_holds_process_and_host_and_goes_with_its_holder() {
    let scratch = Scratch::new();
    let mut lock = try_at(&mut dotlock(&scratch), later(0)).unwrap();
    let content = scratch.read("dovecot-uidlist.lock");
    assert_eq!(content, Some(here(std::process::id())));
    assert!(lock.touch(later(0)).unwrap());
    assert!(lock.touch(later(60)).unwrap());
    drop(lock);
    assert!(scratch.names().is_empty());
}

#[test]
fn a_held_lock_is_not_taken_by_another_part_of_this_process() {
    let scratch = Scratch::new();
    let lock = try_at(&mut dotlock(&scratch), later(0));
    let mut other = dotlock(&scratch);
    for seconds in [0, 3, 60, 600] {
        assert!(try_at(&mut other, later(seconds)).is_none());
    }
    drop(lock);
    assert!(try_at(&mut other, later(0)).is_some());
}

#[test]
fn the_lock_of_a_living_process_is_never_taken() {
    let scratch = Scratch::new();
    scratch.write("dovecot-uidlist.lock", here(1));
    for seconds in [0, 3, 600] {
        assert!(try_at(&mut dotlock(&scratch), later(seconds)).is_none());
    }
    assert_eq!(scratch.names(), ["dovecot-uidlist.lock"]);
}

#[test]
fn the_lock_of_a_dead_process_is_removed_after_two_seconds_and_taken_at_the_next_try() {
    for process in [dead_process(), std::process::id()] {
        let scratch = Scratch::new();
        scratch.write("dovecot-uidlist.lock", here(process));
        let mut dotlock = dotlock(&scratch);
        assert!(try_at(&mut dotlock, later(0)).is_none());
        assert_eq!(scratch.names(), ["dovecot-uidlist.lock"]);
        assert!(try_at(&mut dotlock, later(5)).is_none());
        assert!(scratch.names().is_empty());
        assert!(try_at(&mut dotlock, later(5)).is_some());
    }
}

#[test]
fn a_lock_of_another_host_is_left_over_after_two_minutes_without_any_change() {
    let scratch = Scratch::new();
    for content in ["4711:elsewhere", "garbage", "0:x"] {
        scratch.write("dovecot-uidlist.lock", content);
        let mut dotlock = dotlock(&scratch);
        assert!(try_at(&mut dotlock, later(119)).is_none());
        assert_eq!(scratch.names(), ["dovecot-uidlist.lock"]);
        assert!(try_at(&mut dotlock, later(123)).is_none());
        assert!(scratch.names().is_empty());
    }
}

#[test]
fn a_holder_that_touches_its_lock_or_writes_the_file_keeps_it() {
    let scratch = Scratch::new();
    scratch.write("dovecot-uidlist.lock", "4711:elsewhere");
    let mut dotlock = dotlock(&scratch);
    assert!(try_at(&mut dotlock, later(100)).is_none());
    // By the times of the file this is long ago, but we have only just seen it.
    let long_ago = Time {
        seconds: 1,
        nanoseconds: 0,
    };
    scratch
        .dir
        .set_mtime(b"dovecot-uidlist.lock", long_ago)
        .unwrap();
    assert!(try_at(&mut dotlock, later(200)).is_none());
    assert!(try_at(&mut dotlock, later(300)).is_none());
    assert_eq!(scratch.names(), ["dovecot-uidlist.lock"]);

    scratch.write("dovecot-uidlist", "");
    scratch
        .dir
        .set_mtime(b"dovecot-uidlist", later(300).into())
        .unwrap();
    assert!(try_at(&mut dotlock, later(400)).is_none());
    assert_eq!(scratch.names(), ["dovecot-uidlist", "dovecot-uidlist.lock"]);
    assert!(try_at(&mut dotlock, later(500)).is_none());
    assert_eq!(scratch.names(), ["dovecot-uidlist"]);
}

#[test]
fn the_removal_of_a_left_over_lock_spares_a_live_one_that_took_its_place() {
    let scratch = Scratch::new();
    scratch.write("dovecot-uidlist.lock", here(dead_process()));
    let found = scratch.dir.stat(b"dovecot-uidlist.lock").unwrap().unwrap();
    scratch.write("keep-the-inode", "");
    scratch
        .dir
        .link(b"dovecot-uidlist.lock", &scratch.dir, b"old")
        .unwrap();
    scratch.dir.unlink(b"dovecot-uidlist.lock").unwrap();
    scratch.write("dovecot-uidlist.lock", here(1));
    remove_left_over(&scratch.dir, b"dovecot-uidlist.lock", &found).unwrap();
    assert_eq!(scratch.read("dovecot-uidlist.lock"), Some(here(1)));
    assert_eq!(
        scratch.names(),
        ["dovecot-uidlist.lock", "keep-the-inode", "old"]
    );
}

#[test]
fn a_lock_that_was_taken_from_us_is_noticed_and_not_removed() {
    let scratch = Scratch::new();
    let mut lock = try_at(&mut dotlock(&scratch), later(0)).unwrap();
    scratch
        .dir
        .link(b"dovecot-uidlist.lock", &scratch.dir, b"old")
        .unwrap();
    scratch.dir.unlink(b"dovecot-uidlist.lock").unwrap();
    assert!(!lock.is_ours().unwrap());
    scratch.write("dovecot-uidlist.lock", "1:elsewhere");
    assert!(!lock.touch(later(60)).unwrap());
    drop(lock);
    let content = scratch.read("dovecot-uidlist.lock");
    assert_eq!(content.as_deref(), Some("1:elsewhere"));
}

#[test]
fn a_lock_with_the_new_content_becomes_the_file() {
    let scratch = Scratch::new();
    let mut dotlock = Dotlock::new(scratch.dir.clone(), b"subscriptions", UIDLIST_STALE);
    scratch.write("subscriptions", "old");
    let (lock, mut file) = dotlock
        .try_create(&Access::PRIVATE, later(0))
        .unwrap()
        .unwrap();
    file.write_all(b"new").unwrap();
    lock.install().unwrap();
    assert_eq!(scratch.names(), ["subscriptions"]);
    assert_eq!(scratch.read("subscriptions").as_deref(), Some("new"));
}

#[test]
fn a_lock_on_a_full_disk_is_empty_but_held() {
    let scratch = Scratch::new();
    fault::fail_at(5, Errno::ENOSPC as i32);
    let lock = try_at(&mut dotlock(&scratch), later(0));
    let calls = fault::calls();
    fault::clear();
    assert!(calls[4].starts_with("write"), "{calls:?}");
    assert!(lock.is_some());
    assert_eq!(scratch.read("dovecot-uidlist.lock").as_deref(), Some(""));
}

#[test]
fn an_empty_lock_that_nobody_holds_is_left_over() {
    let scratch = Scratch::new();
    scratch.write("dovecot-uidlist.lock", "");
    let mut dotlock = dotlock(&scratch);
    assert!(try_at(&mut dotlock, later(1)).is_none());
    assert_eq!(scratch.names(), ["dovecot-uidlist.lock"]);
    // It goes, and whoever comes next may take the lock.
    assert!(try_at(&mut dotlock, later(3)).is_none());
    assert!(scratch.names().is_empty());
    assert!(try_at(&mut dotlock, later(3)).is_some());
}

#[test]
fn an_empty_lock_of_a_full_disk_is_held_as_long_as_its_holder_lives() {
    let scratch = Scratch::new();
    fault::count();
    drop(try_at(&mut dotlock(&scratch), later(0)));
    let write = fault::calls()
        .iter()
        .position(|call| call.starts_with("write"));
    fault::clear();
    fault::fail_at(write.unwrap() + 1, Errno::ENOSPC as i32);
    let lock = try_at(&mut dotlock(&scratch), later(0));
    fault::clear();
    assert!(lock.is_some());
    assert_eq!(scratch.read("dovecot-uidlist.lock"), Some(String::new()));
    let mut other = dotlock(&scratch);
    assert!(try_at(&mut other, later(3)).is_none());
    assert_eq!(scratch.names(), ["dovecot-uidlist.lock"]);
    drop(lock);
    assert!(try_at(&mut other, later(3)).is_some());
}

#[test]
fn a_lock_made_after_ours_was_taken_is_never_mistaken_for_ours() {
    let scratch = Scratch::new();
    let ours = try_at(&mut dotlock(&scratch), later(0)).unwrap();
    for _ in 0..64 {
        // File systems like to give the number of a file that has just gone to the next.
        std::fs::remove_file(scratch.path().join("dovecot-uidlist.lock")).unwrap();
        scratch.write("dovecot-uidlist.lock", here(1));
        assert!(!ours.is_ours().unwrap());
    }
}
