use super::scratch::Scratch;
use super::*;
use nix::unistd::mkfifo;
use std::os::unix::fs::PermissionsExt;
use std::time::{Duration, SystemTime};

#[test]
fn a_listing_gives_every_name_once_and_can_be_put_aside() {
    let scratch = Scratch::new();
    let mut expected: Vec<Vec<u8>> = (0..5000)
        .map(|n| format!("17{n:08}.M587364P17743.host,S=36,W=41:2,S").into_bytes())
        .collect();
    for name in &expected {
        scratch.dir.create_new(name, &Access::PRIVATE).unwrap();
    }
    scratch.dir.make_dir(b"sub", &Access::PRIVATE).unwrap();
    expected.push(b"sub".to_vec());

    let mut listing = scratch.dir.list().unwrap();
    let (mut names, mut chunks) = (Vec::new(), 0);
    while listing
        .next_chunk(&mut |name, kind| {
            let is_sub = name == b"sub";
            assert_eq!(kind == FileKind::Directory, is_sub);
            names.push(name.to_vec());
        })
        .unwrap()
    {
        chunks += 1;
        // Another listing of the same directory does not disturb this one.
        scratch
            .dir
            .list()
            .unwrap()
            .next_chunk(&mut |_, _| ())
            .unwrap();
    }
    names.sort();
    assert_eq!(names, expected);
    assert!(chunks > 1);
}

#[test]
fn a_rename_to_a_taken_name_fails_when_it_must_be_free() {
    let scratch = Scratch::new();
    scratch.write("a", "a");
    scratch.write("b", "b");
    let dir = &scratch.dir;
    let error = dir.rename(b"a", dir, b"b", Target::MustBeFree).unwrap_err();
    assert_eq!(error.kind(), io::ErrorKind::AlreadyExists);
    dir.rename(b"a", dir, b"c", Target::MustBeFree).unwrap();
    dir.rename(b"c", dir, b"b", Target::Replace).unwrap();
    assert_eq!(scratch.names(), ["b"]);
    assert_eq!(scratch.read("b").as_deref(), Some("a"));
}

#[test]
fn a_fifo_or_directory_in_place_of_a_file_is_an_error_not_a_wait() {
    let scratch = Scratch::new();
    let fifo = scratch.path().join("fifo");
    mkfifo(&fifo, Mode::S_IRWXU).unwrap();
    scratch.dir.make_dir(b"sub", &Access::PRIVATE).unwrap();
    assert!(scratch.dir.open_file(b"fifo").is_err());
    assert!(scratch.dir.open_file(b"sub").is_err());
    assert_eq!(
        scratch.dir.stat(b"fifo").unwrap().unwrap().kind,
        FileKind::Other
    );
}

#[test]
fn what_is_not_there_is_none() {
    let scratch = Scratch::new();
    assert!(scratch.dir.read(b"none", 10).unwrap().is_none());
    assert!(scratch.dir.stat(b"none").unwrap().is_none());
    assert!(is_gone(&scratch.dir.unlink(b"none").unwrap_err()));
    assert!(scratch.dir.stat(b"nul\0").is_err());
}

#[test]
fn a_file_over_the_limit_is_refused() {
    let scratch = Scratch::new();
    scratch.write("ten", "0123456789");
    let (bytes, stat) = scratch.dir.read(b"ten", 10).unwrap().unwrap();
    assert_eq!((bytes.len(), stat.size), (10, 10));
    let error = scratch.dir.read(b"ten", 9).unwrap_err();
    assert_eq!(error.kind(), io::ErrorKind::FileTooLarge);
}

#[test]
fn new_files_take_their_mode_from_the_directory_or_dovecot_shared() {
    let scratch = Scratch::new();
    let chmod = |name: &str, mode| {
        let permissions = std::fs::Permissions::from_mode(mode);
        std::fs::set_permissions(scratch.path().join(name), permissions).unwrap();
    };
    chmod("", 0o770);
    let access = scratch.dir.access().unwrap();
    assert_eq!((access.file_mode, access.dir_mode), (0o660, 0o770));
    scratch.write("dovecot-shared", "");
    chmod("dovecot-shared", 0o640);
    let access = scratch.dir.access().unwrap();
    assert_eq!((access.file_mode, access.dir_mode), (0o640, 0o750));

    let open = Access {
        file_mode: 0o666,
        dir_mode: 0o777,
        gid: None,
    };
    scratch.dir.create_new(b"file", &open).unwrap();
    scratch.dir.make_dir(b"sub", &open).unwrap();
    let mode = |name: &[u8]| scratch.dir.stat(name).unwrap().unwrap().mode;
    assert_eq!(
        (mode(b"file"), mode(b"sub")),
        (0o666, 0o777),
        "whatever the umask"
    );
}

#[test]
fn a_group_is_set_only_where_it_differs_and_matters() {
    let stat = |kind, mode| Stat {
        device: 1,
        inode: 1,
        size: 0,
        links: 1,
        mode,
        uid: 1,
        gid: 50,
        kind,
        atime: Time::default(),
        mtime: Time::default(),
        ctime: Time::default(),
    };
    let gid = |kind, mode, own| Access::from_stat(&stat(kind, mode), own).gid;
    assert_eq!(gid(FileKind::Directory, 0o770, 10), Some(50));
    assert_eq!(gid(FileKind::Directory, 0o770, 50), None);
    assert_eq!(gid(FileKind::Directory, 0o2770, 10), None, "setgid does it");
    assert_eq!(
        gid(FileKind::Directory, 0o755, 10),
        None,
        "same as for others"
    );
    assert_eq!(gid(FileKind::File, 0o660, 10), Some(50));
}

#[test]
fn file_times_come_back_as_they_were_set() {
    let scratch = Scratch::new();
    let file = scratch.dir.create_new(b"a", &Access::PRIVATE).unwrap();
    for time in [
        SystemTime::UNIX_EPOCH + Duration::new(1_795_441_023, 987_654_321),
        SystemTime::UNIX_EPOCH - Duration::new(86_399, 999_999_999),
        SystemTime::UNIX_EPOCH - Duration::from_secs(3),
    ] {
        file.set_mtime(time.into()).unwrap();
        assert_eq!(SystemTime::from(file.stat().unwrap().mtime), time);
        let before = Time {
            seconds: 7,
            nanoseconds: 1,
        };
        scratch.dir.set_mtime(b"a", before).unwrap();
        assert_eq!(file.stat().unwrap().mtime, before);
    }
}

#[test]
fn after_the_death_of_the_process_nothing_works_any_more() {
    let scratch = Scratch::new();
    let write = || -> DiskResult<()> {
        let mut file = scratch.dir.create_new(b"a", &Access::PRIVATE)?;
        file.write_all(b"whole")?;
        file.sync()?;
        scratch
            .dir
            .rename(b"a", &scratch.dir, b"b", Target::Replace)
    };
    fault::count();
    write().unwrap();
    let calls = fault::calls();
    assert_eq!(fault::clear(), 5, "{calls:?}");
    assert_eq!(
        calls,
        ["create a", "fstat a", "write ", "fsync ", "rename a"]
    );

    scratch.dir.unlink(b"b").unwrap();
    fault::die_at(3);
    assert!(write().is_err());
    assert!(scratch.dir.unlink(b"a").is_err());
    fault::clear();
    assert_eq!(
        scratch.read("a").as_deref(),
        Some("wh"),
        "the write was torn"
    );

    scratch.dir.unlink(b"a").unwrap();
    fault::fail_at(5, Errno::ENOSPC as i32);
    assert!(is_full(&write().unwrap_err()));
    scratch.dir.unlink(b"a").unwrap();
    fault::clear();
}

#[test]
fn links_are_followed_step_by_step_and_another_ones_not_at_all() {
    use std::os::unix::fs::{lchown, symlink};
    let scratch = Scratch::new();
    let at = |name: &str| scratch.path().join(name);
    std::fs::create_dir_all(at("real/sub")).unwrap();
    std::fs::write(at("real/file"), "text").unwrap();
    symlink("real", at("link")).unwrap();
    symlink(at("link/sub/../file"), at("far")).unwrap();
    symlink("round", at("round")).unwrap();
    symlink("nowhere", at("gone")).unwrap();
    let dir = &scratch.dir;
    assert_eq!(dir.read(b"far", 10).unwrap().unwrap().0, b"text");
    assert_eq!(
        dir.open_dir(b"link").unwrap().real_path().unwrap(),
        at("real").canonicalize().unwrap()
    );
    assert_eq!(
        dir.stat_target(b"link/sub").unwrap().unwrap().kind,
        FileKind::Directory
    );
    for name in [b"round".as_slice(), b"gone"] {
        assert!(dir.read(name, 10).unwrap().is_none());
        assert!(dir.stat_target(name).unwrap().is_none());
    }
    assert!(is_gone(&dir.open_dir(b"real/file").unwrap_err()));
    if !unistd::geteuid().is_root() {
        return;
    }
    // One of somebody else's on the way is enough.
    lchown(at("link"), Some(4_000_321), Some(4_000_321)).unwrap();
    assert!(dir.read(b"far", 10).unwrap().is_none());
    assert!(dir.stat_target(b"link/sub").unwrap().is_none());
    assert!(is_loop(&dir.open_dir(b"link").unwrap_err()));
    let part = dir.open_part(b"link").unwrap();
    let named = dir.stat_part(b"link").unwrap().unwrap();
    assert!(part.stat_self().unwrap().is_same_file(&named));
    assert!(
        !part
            .list()
            .unwrap()
            .next_chunk(&mut |_, _| panic!())
            .unwrap()
    );
    assert!(part.create_new(b"x", &Access::PRIVATE).is_err());
    assert!(part.stat(b"file").unwrap().is_none());
    part.sync().unwrap();
    assert!(Dir::open_below(scratch.path(), &at("link/sub")).is_err());
    assert!(Dir::open_below(scratch.path(), &at("real/sub")).is_ok());
}
