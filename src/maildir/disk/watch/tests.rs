//! Against the real kernel: what is told, what is not, and how soon.

use std::collections::BTreeMap;
use std::fs;
use std::sync::mpsc::{Receiver, channel};
use std::time::{Duration, Instant};

use super::*;
use crate::maildir::disk::dir::scratch::Scratch;

struct Watched {
    scratch: Scratch,
    watcher: Watcher,
    ends: BTreeMap<u32, WatchEnd>,
    wakes: Receiver<()>,
}

impl Watched {
    fn new() -> Watched {
        let scratch = Scratch::new();
        let (sender, wakes) = channel();
        let wake = Box::new(move || {
            let _ = sender.send(());
        });
        let watcher = Watcher::new(wake).unwrap();
        make_folder(&scratch.path().join("Maildir"));
        Watched {
            scratch,
            watcher,
            ends: BTreeMap::new(),
            wakes,
        }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.scratch.path().join("Maildir").join(name)
    }

    fn watch(&mut self, folder: u32, name: &str) {
        make_folder(&self.path(name));
        let path = self.path(name);
        let end = WatchEnd::default();
        self.watcher.watch(folder, &path, &end).unwrap();
        end.take(ROOM);
        self.ends.insert(folder, end);
    }

    /// Every event of what has happened.
    fn events(&mut self) -> Vec<(u32, Event)> {
        while !self.watcher.catch_up() {}
        self.taken()
    }

    fn taken(&mut self) -> Vec<(u32, Event)> {
        let mut events = Vec::new();
        for folder in self.watcher.poll() {
            let taken = self.ends[&folder].take(ROOM);
            events.extend(taken.into_iter().map(|event| (folder, event)));
        }
        events
    }
}

fn make_folder(path: &Path) {
    for part in ["new", "cur", "tmp"] {
        fs::create_dir_all(path.join(part)).unwrap();
    }
}

fn appeared(place: Place, name: &str) -> Event {
    Event::Appeared {
        place,
        name: name.into(),
    }
}

fn vanished(place: Place, name: &str) -> Event {
    Event::Vanished {
        place,
        name: name.into(),
        unlinked: false,
    }
}

fn unlinked(place: Place, name: &str) -> Event {
    Event::Vanished {
        place,
        name: name.into(),
        unlinked: true,
    }
}

#[test]
fn deliveries_flag_changes_and_removals_are_told_by_name() {
    let mut mail = Watched::new();
    mail.watch(1, "");
    mail.watch(2, ".Work");
    fs::write(mail.path("tmp/a"), "x").unwrap();
    fs::hard_link(mail.path("tmp/a"), mail.path("new/a")).unwrap();
    fs::remove_file(mail.path("tmp/a")).unwrap();
    fs::rename(mail.path("new/a"), mail.path("cur/a:2,")).unwrap();
    fs::rename(mail.path("cur/a:2,"), mail.path("cur/a:2,S")).unwrap();
    fs::rename(mail.path("cur/a:2,S"), mail.path(".Work/cur/b:2,")).unwrap();
    fs::remove_file(mail.path(".Work/cur/b:2,")).unwrap();
    fs::write(mail.path("roost.index"), "x").unwrap();
    fs::write(mail.path(".Work/dovecot-uidlist"), "x").unwrap();
    fs::create_dir(mail.path("cur/directory")).unwrap();
    fs::remove_dir(mail.path("cur/directory")).unwrap();
    assert_eq!(
        mail.events(),
        [
            (1, appeared(Place::New, "a")),
            (1, vanished(Place::New, "a")),
            (1, appeared(Place::Cur, "a:2,")),
            (1, vanished(Place::Cur, "a:2,")),
            (1, appeared(Place::Cur, "a:2,S")),
            (1, vanished(Place::Cur, "a:2,S")),
            (2, appeared(Place::Cur, "b:2,")),
            (2, unlinked(Place::Cur, "b:2,")),
        ]
    );
    mail.watcher.unwatch(2);
    fs::write(mail.path(".Work/new/c"), "x").unwrap();
    assert_eq!(mail.events(), []);
}

#[test]
fn reading_ten_thousand_messages_makes_no_event() {
    let mut mail = Watched::new();
    for n in 0..1000 {
        fs::create_dir_all(mail.path("cur")).unwrap();
        fs::write(mail.path("cur").join(format!("{n}:2,S")), "text").unwrap();
    }
    mail.watch(1, "");
    for _ in 0..10 {
        for n in 0..1000 {
            fs::read(mail.path("cur").join(format!("{n}:2,S"))).unwrap();
        }
    }
    assert_eq!(mail.events(), []);
    // Nor does the kernel hold any back for notify to drop.
    let masks = inotify_masks();
    assert!(masks.len() >= 3);
    for mask in masks {
        assert_eq!(mask & READING, 0, "{mask:x}");
    }
}

/// The masks of all inotify watches of this process.
fn inotify_masks() -> Vec<u32> {
    let mut masks = Vec::new();
    for entry in fs::read_dir("/proc/self/fdinfo").unwrap().flatten() {
        let Ok(info) = fs::read_to_string(entry.path()) else {
            continue;
        };
        for line in info.lines().filter(|line| line.starts_with("inotify wd:")) {
            let mask = line
                .split("mask:")
                .nth(1)
                .unwrap()
                .split(' ')
                .next()
                .unwrap();
            masks.push(u32::from_str_radix(mask, 16).unwrap());
        }
    }
    masks
}

#[test]
fn a_folder_moved_or_removed_is_lost_once_and_can_be_watched_again() {
    let mut mail = Watched::new();
    mail.watch(1, "");
    mail.watch(2, ".Moved");
    mail.watch(3, ".Removed");
    mail.watch(4, ".Kept");
    fs::rename(mail.path(".Moved"), mail.path(".Elsewhere")).unwrap();
    assert_eq!(mail.events(), [(2, Event::Lost)]);
    fs::write(mail.path(".Elsewhere/new/x"), "").unwrap();
    fs::remove_dir_all(mail.path(".Removed")).unwrap();
    assert_eq!(mail.events(), [(3, Event::Lost)]);
    mail.watch(3, ".Removed");
    fs::write(mail.path(".Removed/new/x"), "").unwrap();
    assert_eq!(mail.events(), [(3, appeared(Place::New, "x"))]);
    fs::rename(mail.path(".Removed/cur"), mail.path(".Removed/old")).unwrap();
    assert_eq!(mail.events(), [(3, Event::Lost)]);
    // The whole Maildir goes: every folder does.
    mail.watch(3, ".Removed");
    let aside = mail.path("").with_file_name("Aside");
    fs::rename(mail.path("").as_path(), &aside).unwrap();
    let mut lost = mail.events();
    lost.sort_by_key(|(folder, _)| *folder);
    assert_eq!(lost, [(1, Event::Lost), (3, Event::Lost), (4, Event::Lost)]);
    mail.watch(1, "");
    fs::write(mail.path("new/x"), "").unwrap();
    assert_eq!(mail.events(), [(1, appeared(Place::New, "x"))]);
    assert!(matches!(
        mail.watcher
            .watch(9, Path::new("/nowhere"), &WatchEnd::default()),
        Err(WatchError::NotFound)
    ));
}

#[test]
fn two_names_for_one_folder_are_both_told() {
    let mut mail = Watched::new();
    mail.watch(1, ".Real");
    std::os::unix::fs::symlink(mail.path(".Real"), mail.path(".Alias")).unwrap();
    mail.watch(2, ".Alias");
    fs::write(mail.path(".Real/new/x"), "").unwrap();
    let both = [
        (1, appeared(Place::New, "x")),
        (2, appeared(Place::New, "x")),
    ];
    assert_eq!(mail.events(), both);
    mail.watcher.unwatch(2);
    fs::write(mail.path(".Alias/new/y"), "").unwrap();
    assert_eq!(mail.events(), [(1, appeared(Place::New, "y"))]);
}

#[test]
fn more_than_fits_the_queue_makes_a_folder_look() {
    let mut mail = Watched::new();
    mail.watch(1, "");
    mail.watch(2, ".Work");
    fs::write(mail.path("cur/0"), "").unwrap();
    for n in 0..ROOM {
        fs::rename(
            mail.path(&format!("cur/{n}")),
            mail.path(&format!("cur/{}", n + 1)),
        )
        .unwrap();
    }
    fs::write(mail.path(".Work/new/x"), "").unwrap();
    let told = [(1, Event::Rescan), (2, appeared(Place::New, "x"))];
    assert_eq!(mail.events(), told);
}

#[test]
fn the_kernels_overflow_is_a_rescan_of_everything() {
    let mut shared = Shared::default();
    let ends = [1, 2].map(|folder| (folder, WatchEnd::default()));
    shared.ends.extend(ends.clone());
    shared.tell(1, appeared(Place::New, "x"));
    let rescan = notify::Event::new(EventKind::Other).set_flag(notify::event::Flag::Rescan);
    shared.handle(Ok(rescan));
    for (folder, end) in ends {
        assert!(shared.news.contains(&folder));
        assert_eq!(end.take(ROOM), [Event::Rescan]);
    }
}

#[test]
fn after_catching_up_everything_is_told_also_right_after_a_watch_was_set() {
    let mut mail = Watched::new();
    for n in 0..300 {
        mail.watch(1, "");
        fs::write(mail.path(&format!("new/{n}")), "").unwrap();
        let told = mail.events();
        assert_eq!(told, [(1, appeared(Place::New, &n.to_string()))]);
    }
}

#[test]
fn many_folders_share_one_wake_until_polled() {
    let mut mail = Watched::new();
    mail.watch(1, "");
    for n in 0..20 {
        fs::write(mail.path(&format!("new/{n}")), "").unwrap();
    }
    while !mail.watcher.catch_up() {}
    assert_eq!(mail.wakes.try_iter().count(), 1);
    assert_eq!(mail.taken().len(), 20);
}

#[test]
fn while_notify_is_busy_nobody_waits_and_what_it_comes_to_late_is_told() {
    let scratch = Scratch::new();
    let (begun, has_begun) = channel();
    let (go_on, may_go_on) = channel::<()>();
    let wake = Box::new(move || {
        begun.send(()).unwrap();
        let _ = may_go_on.recv();
    });
    let mut watcher = Watcher::new(wake).unwrap();
    for folder in [1, 2, 3] {
        make_folder(&scratch.path().join(folder.to_string()));
    }
    let path = |name: &str| scratch.path().join(name);
    let ends = [1, 2, 3].map(|_| WatchEnd::default());
    watcher.watch(1, &path("1"), &ends[0]).unwrap();
    while !watcher.catch_up() {}
    fs::write(path("1/new/x"), "").unwrap();
    has_begun.recv().unwrap();
    // From here to the end of this its thread does not come to look at a question.
    assert!(!watcher.catch_up());
    let mut late = |folder, name, end| watcher.watch(folder, &path(name), end).unwrap();
    assert_eq!(late(2, "2", &ends[1]), Watching::Soon);
    assert_eq!(late(3, "3", &ends[2]), Watching::Soon);
    watcher.unwatch(3);
    assert!(!watcher.catch_up());
    assert_eq!(watcher.poll(), BTreeSet::from([1]));
    assert_eq!(ends[0].take(0), [appeared(Place::New, "x")]);
    drop(go_on);
    has_begun.recv().unwrap();
    while !watcher.catch_up() {}
    assert_eq!(watcher.poll(), BTreeSet::from([2]));
    assert_eq!(ends[1].take(0), [Event::Watched]);
    fs::write(path("2/new/x"), "").unwrap();
    fs::write(path("3/new/x"), "").unwrap();
    while !watcher.catch_up() {}
    assert_eq!(watcher.poll(), BTreeSet::from([2]));
    assert_eq!(ends[1].take(0), [appeared(Place::New, "x")]);
}

#[test]
fn the_thread_ends_with_the_watcher() {
    let threads = || {
        let tasks = fs::read_dir("/proc/self/task").unwrap().flatten();
        let names = tasks.filter_map(|task| fs::read_to_string(task.path().join("comm")).ok());
        names.filter(|name| name.starts_with("notify-rs")).count()
    };
    // Other tests have threads of their own; but not this many.
    let many: Vec<Watched> = (0..30).map(|_| Watched::new()).collect();
    let patience = Instant::now() + Duration::from_secs(60);
    while threads() < 30 && Instant::now() < patience {
        std::thread::sleep(Duration::from_millis(5));
    }
    drop(many);
    while threads() >= 20 && Instant::now() < patience {
        std::thread::sleep(Duration::from_millis(5));
    }
    assert!(threads() < 20);
}

#[test]
fn without_free_descriptors_watching_is_unavailable() {
    // As a child, for the limit is the whole process's.
    let name = "maildir::watch::tests::without_free_descriptors_watching_is_unavailable";
    if std::env::var_os("ROOST_TEST_FEW_DESCRIPTORS").is_none() {
        let child = std::process::Command::new(std::env::current_exe().unwrap())
            .args([name, "--exact"])
            .env("ROOST_TEST_FEW_DESCRIPTORS", "1")
            .status();
        assert!(child.unwrap().success());
        return;
    }
    use nix::sys::resource::{Resource, setrlimit};
    setrlimit(Resource::RLIMIT_NOFILE, 6, 6).unwrap();
    let _all: Vec<_> = std::iter::from_fn(|| fs::File::open("/dev/null").ok()).collect();
    let refused = Watcher::new(Box::new(|| ()));
    assert!(matches!(refused, Err(WatchError::Unavailable(_))));
}

/// IN_ACCESS, IN_CLOSE_NOWRITE, IN_OPEN
const READING: u32 = 0x1 | 0x10 | 0x20;

const ROOM: usize = 1000;
