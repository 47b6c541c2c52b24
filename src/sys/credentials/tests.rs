//! Each test becomes somebody in a child of its own.

// A test says what it skips.
#![allow(clippy::print_stderr)]

use std::fs;
use std::os::fd::AsRawFd;

use super::*;
use crate::sys::child::{holds, in_child};

#[test]
fn root_is_never_become() {
    let root = Account::find(Uid::from_raw(0), Gid::from_raw(0)).unwrap();
    assert!(matches!(root.become_for_good(), Err(BecomeError::Root)));
    assert!(matches!(root.become_confined(), Err(BecomeError::Root)));
    let root = Account::of_login("toor", 0, 100).unwrap();
    assert!(matches!(root.become_for_good(), Err(BecomeError::Root)));
}

#[test]
fn an_owner_without_an_entry_goes_by_number() {
    let account = Account::find(Uid::from_raw(4_000_123), Gid::from_raw(7)).unwrap();
    assert_eq!(account.name(), "4000123");
    assert_eq!(account.home(), None);
}

#[test]
fn a_virtual_user_gets_no_groups_of_the_system_user_with_his_name() {
    // daemon is 1; whoever else is called so is somebody else.
    let account = Account::of_login("daemon", 4_000_123, 4_000_123).unwrap();
    assert!(!account.is_known);
    let account = Account::of_login("daemon", 1, 1).unwrap();
    assert!(account.is_known);
}

#[test]
fn who_became_a_user_has_no_way_to_be_more() {
    if skip() {
        return;
    }
    let status = in_child(|| {
        let user = Account::of_login("nobody-here", UID, GID).map_err(|_| 1)?;
        user.become_for_good().map_err(|_| 2)?;
        // Not dumpable: what is in /proc is root's.
        holds(3, fs::read("/proc/self/environ").is_err())?;
        set_dumpable(true).map_err(|_| 4)?;
        let status = fs::read_to_string("/proc/self/status").map_err(|_| 5)?;
        let has = |name: &str, value: &str| {
            let found = status.lines().find_map(|line| line.strip_prefix(name));
            found.is_some_and(|found| found.split_whitespace().eq(value.split_whitespace()))
        };
        holds(6, has("Uid:", "4000321 4000321 4000321 4000321"))?;
        holds(7, has("Gid:", "4000322 4000322 4000322 4000322"))?;
        holds(8, has("Groups:", "4000322"))?;
        for (step, name) in (9..).zip(["CapInh:", "CapPrm:", "CapEff:", "CapBnd:", "CapAmb:"]) {
            holds(step, has(name, "0000000000000000"))?;
        }
        holds(14, has("NoNewPrivs:", "1"))?;
        holds(15, setgroups(&[Gid::from_raw(0)]).is_err())?;
        holds(
            16,
            setresuid(Uid::from_raw(0), Uid::from_raw(0), Uid::from_raw(0)).is_err(),
        )
    });
    assert_eq!(status, Ok(()));
}

#[test]
fn who_is_confined_finds_an_empty_directory_that_nothing_can_be_put_into() {
    if skip() {
        return;
    }
    let status = in_child(|| {
        let user = Account::of_login("nobody-here", UID, GID).map_err(|_| 1)?;
        user.become_confined().map_err(|_| 2)?;
        let mut entries = fs::read_dir("/").map_err(|_| 3)?;
        holds(4, entries.next().is_none())?;
        holds(5, fs::read_dir("/proc").is_err())?;
        holds(6, fs::write("/file", "").is_err())?;
        holds(7, fs::create_dir("/directory").is_err())?;
        let mut above = fs::read_dir("../../..").map_err(|_| 8)?;
        holds(9, above.next().is_none())?;
        holds(10, chroot("/").is_err())?;
        holds(11, getgroups().as_deref() == Ok(&[Gid::from_raw(GID)]))
    });
    assert_eq!(status, Ok(()));
}

#[test]
fn the_groups_are_those_of_the_user_database() {
    if skip() {
        return;
    }
    // Whoever is in more groups than one, if this host has such a user.
    let text = fs::read_to_string("/etc/group").unwrap();
    let member = text.lines().find_map(|line| {
        let (group, members) = line.rsplit_once(':')?;
        let name = members.split(',').find(|name| !name.is_empty())?;
        let gid: u32 = group.rsplit(':').next()?.parse().ok()?;
        let user = User::from_name(name).ok()??;
        (!user.uid.is_root() && user.gid.as_raw() != gid).then_some((user, gid))
    });
    let Some((user, gid)) = member else {
        eprintln!("skipped: nobody here is in a second group");
        return;
    };
    let status = in_child(|| {
        let (uid, own) = (user.uid.as_raw(), user.gid.as_raw());
        let account = Account::of_login(&user.name, uid, own).map_err(|_| 1)?;
        account.become_for_good().map_err(|_| 2)?;
        let groups = getgroups().map_err(|_| 3)?;
        holds(4, groups.contains(&Gid::from_raw(gid)))
    });
    assert_eq!(status, Ok(()));
}

#[test]
fn a_file_that_was_open_stays_so() {
    if skip() {
        return;
    }
    let status = in_child(|| {
        let null = fs::File::open("/dev/null").map_err(|_| 1)?;
        let user = Account::of_login("nobody-here", UID, GID).map_err(|_| 2)?;
        user.become_confined().map_err(|_| 3)?;
        holds(4, null.as_raw_fd() >= 0 && null.metadata().is_ok())
    });
    assert_eq!(status, Ok(()));
}

fn skip() -> bool {
    let skip = !geteuid().is_root();
    if skip {
        eprintln!("skipped: only root can become somebody else");
    }
    skip
}

const UID: u32 = 4_000_321;
const GID: u32 = 4_000_322;
