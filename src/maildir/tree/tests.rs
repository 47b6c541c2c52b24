//! Both layouts by themselves, beside Dovecot, and dying at every call.

use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::symlink;

use super::*;
use crate::maildir::disk::dir::fault;
use crate::maildir::disk::dir::scratch::Scratch;
use crate::maildir::dovecot::modseq::lab::{Imap, Lab, number};
use crate::maildir::dovecot::uidlist::Uidlist;

fn name(text: &str) -> MailboxName {
    MailboxName::new(text).unwrap()
}

fn now() -> SystemTime {
    SystemTime::now()
}

fn tree(scratch: &Scratch, layout: Layout) -> Tree {
    let tree = Tree::open(scratch.path(), layout).unwrap();
    for part in ["cur", "new", "tmp"] {
        fs::create_dir_all(scratch.path().join(part)).unwrap();
    }
    tree
}

/// The mailboxes but INBOX; `-` before those that do not exist, `/` after those with children.
fn listed(tree: &Tree) -> Vec<String> {
    let list = tree.list().unwrap();
    assert_eq!(list.first().map(|inbox| inbox.name.is_inbox()), Some(true));
    list.iter()
        .skip(1)
        .map(|mailbox| {
            let not = if mailbox.exists { "" } else { "-" };
            let above = if mailbox.children { "/" } else { "" };
            format!("{not}{}{above}", mailbox.name)
        })
        .collect()
}

fn make(tree: &Tree, names: &[&str]) {
    for text in names {
        tree.create(&name(text), &[], now()).unwrap();
    }
}

fn uid_validity(path: &Path) -> u32 {
    let list = Uidlist::read(&Dir::open(path).unwrap()).unwrap();
    list.unwrap().uid_validity()
}

const BOTH: [Layout; 2] = [Layout::MaildirPlusPlus, Layout::Fs];

#[test]
fn a_new_mailbox_is_a_whole_folder_with_a_uidvalidity_of_its_own() {
    for layout in BOTH {
        let scratch = Scratch::new();
        let tree = tree(&scratch, layout);
        let first = tree.create(&name("A/é & b"), &[], now()).unwrap();
        let expected = match layout {
            Layout::Fs => "A/&AOk- &- b",
            _ => ".A.&AOk- &- b",
        };
        assert_eq!(first, scratch.path().join(expected));
        assert_eq!(tree.find(&name("A/é & b")).unwrap(), first);
        for part in ["cur", "new", "tmp"] {
            assert!(first.join(part).is_dir());
        }
        assert_eq!(first.join("maildirfolder").exists(), layout != Layout::Fs);
        assert_eq!(listed(&tree), ["-A/", "A/é & b"]);
        assert!(matches!(tree.find(&name("A")), Err(TreeError::NotFound)));

        let second = tree.create(&name("A"), &[], now()).unwrap();
        assert!(uid_validity(&second) > uid_validity(&first));
        for again in ["A", "A/é & b", "INBOX"] {
            let again = tree.create(&name(again), &[], now());
            assert!(matches!(again, Err(TreeError::Exists)));
        }
        assert_eq!(listed(&tree), ["A/", "A/é & b"]);

        let before = uid_validity(&second);
        tree.delete(&name("A"), now()).unwrap();
        let again = tree.create(&name("A"), &[], now()).unwrap();
        assert!(uid_validity(&again) > before);
        assert!(tree.sweep(now(), &|| false).unwrap());
        assert!(scratch.names().iter().all(|name| !name.starts_with("..")));
    }
}

#[test]
fn a_deleted_mailbox_leaves_those_below_it() {
    for layout in BOTH {
        let scratch = Scratch::new();
        let tree = tree(&scratch, layout);
        make(&tree, &["A", "A/B", "A/B/C", "A-b"]);
        fs::write(tree.find(&name("A")).unwrap().join("cur/1:2,S"), "mail").unwrap();
        fs::write(tree.find(&name("A")).unwrap().join("dovecot.index"), "").unwrap();
        tree.delete(&name("A"), now()).unwrap();
        assert_eq!(listed(&tree), ["-A/", "A-b", "A/B/", "A/B/C"]);
        let again = tree.delete(&name("A"), now());
        assert!(matches!(
            again,
            Err(TreeError::NotFound | TreeError::Refused(_))
        ));
        let path = tree.create(&name("A"), &[], now()).unwrap();
        assert!(!path.join("cur/1:2,S").exists() && !path.join("dovecot.index").exists());
        assert_eq!(listed(&tree), ["A/", "A-b", "A/B/", "A/B/C"]);
        for gone in ["A/B", "A/B/C", "A"] {
            tree.delete(&name(gone), now()).unwrap();
        }
        let inbox = tree.delete(&name("inbox"), now());
        assert!(matches!(inbox, Err(TreeError::Refused(_))));
        if layout == Layout::Fs {
            // As with Dovecot the directories stay, and can be deleted.
            assert_eq!(listed(&tree), ["-A/", "A-b", "-A/B"]);
            tree.delete(&name("A/B"), now()).unwrap();
            tree.delete(&name("A"), now()).unwrap();
        }
        assert_eq!(listed(&tree), ["A-b"]);
    }
}

#[test]
fn the_trash_is_emptied_in_slices_and_takes_any_number() {
    let scratch = Scratch::new();
    let tree = tree(&scratch, Layout::MaildirPlusPlus);
    for round in 0..3 {
        make(&tree, &["A"]);
        for n in 0..100 {
            let file = format!("cur/{round}.{n}:2,");
            fs::write(tree.find(&name("A")).unwrap().join(file), "mail").unwrap();
        }
        tree.delete(&name("A"), now()).unwrap();
        assert!(matches!(tree.find(&name("A")), Err(TreeError::NotFound)));
    }
    fs::create_dir_all(scratch.path().join("tmp/roost.new.1/cur")).unwrap();
    assert!(scratch.names().contains(&"..DOVECOT-TRASHED".to_owned()));
    let mut slices = 1;
    while !tree.sweep(now(), &|| true).unwrap() {
        slices += 1;
    }
    assert!(slices > 100);
    assert!(!scratch.names().contains(&"..DOVECOT-TRASHED".to_owned()));
    let unfinished = || fs::read_dir(scratch.path().join("tmp")).unwrap().count();
    assert_eq!(unfinished(), 1, "somebody may be at it");
    let later = now() + std::time::Duration::from_secs(4000);
    assert!(tree.sweep(later, &|| false).unwrap());
    assert_eq!(unfinished(), 0);
}

#[test]
fn renaming_takes_along_what_is_below() {
    for layout in BOTH {
        let scratch = Scratch::new();
        let tree = tree(&scratch, layout);
        make(&tree, &["A", "A/B", "A/B/C", "A2", "X/Y"]);
        fs::write(tree.find(&name("A/B")).unwrap().join("cur/1:2,S"), "mail").unwrap();
        let before = uid_validity(&tree.find(&name("A")).unwrap());
        let old: Vec<PathBuf> = ["A", "A/B", "A/B/C"]
            .iter()
            .map(|n| tree.find(&name(n)).unwrap())
            .collect();
        let moved = tree.rename(&name("A"), &name("N/M"), now()).unwrap();
        assert_eq!(
            listed(&tree),
            ["A2", "-N/", "N/M/", "N/M/B/", "N/M/B/C", "-X/", "X/Y"]
        );
        assert_eq!(uid_validity(&tree.find(&name("N/M")).unwrap()), before);
        assert!(
            tree.find(&name("N/M/B"))
                .unwrap()
                .join("cur/1:2,S")
                .exists()
        );
        let new: Vec<PathBuf> = ["N/M", "N/M/B", "N/M/B/C"]
            .iter()
            .map(|n| tree.find(&name(n)).unwrap())
            .collect();
        assert_eq!(moved, old.into_iter().zip(new).collect::<Vec<_>>());

        // A name without a mailbox can be renamed for what is below it.
        tree.rename(&name("X"), &name("N/X"), now()).unwrap();
        assert_eq!(
            listed(&tree),
            ["A2", "-N/", "N/M/", "N/M/B/", "N/M/B/C", "-N/X/", "N/X/Y"]
        );
        let refused = |from: &str, to: &str| {
            let before = listed(&tree);
            let e = tree.rename(&name(from), &name(to), now()).unwrap_err();
            assert_eq!(listed(&tree), before);
            e
        };
        assert!(matches!(refused("N", "N/Z"), TreeError::Refused(_)));
        assert!(matches!(refused("INBOX", "Z"), TreeError::Refused(_)));
        assert!(matches!(refused("A2", "A2"), TreeError::Exists));
        assert!(matches!(refused("A2", "N/M"), TreeError::Exists));
        assert!(matches!(refused("A2", "inbox"), TreeError::Exists));
        assert!(matches!(refused("Z", "Q"), TreeError::NotFound));
        make(&tree, &["P/B"]);
        assert!(matches!(refused("N/M", "P"), TreeError::Exists));
        if layout == Layout::MaildirPlusPlus {
            assert!(matches!(refused("A2", "a.b"), TreeError::Name(_)));
            assert!(matches!(refused("N", &"n".repeat(250)), TreeError::Name(_)));
        }
    }
}

#[test]
fn our_indexes_elsewhere_go_where_the_mail_goes() {
    for layout in BOTH {
        let (scratch, indexes) = (Scratch::new(), Scratch::new());
        let tree = tree(&scratch, layout).with_indexes(vec![indexes.path().to_owned()]);
        make(&tree, &["A", "A/B"]);
        let index = |tree: &Tree, text: &str| {
            let path = tree.find(&name(text)).unwrap();
            indexes
                .path()
                .join(path.strip_prefix(scratch.path()).unwrap())
        };
        for text in ["A", "A/B"] {
            fs::create_dir_all(index(&tree, text)).unwrap();
            fs::write(index(&tree, text).join("roost.index"), text).unwrap();
        }
        tree.rename(&name("A"), &name("C"), now()).unwrap();
        for text in ["C", "C/B"] {
            let moved = fs::read_to_string(index(&tree, text).join("roost.index")).unwrap();
            assert_eq!(moved, text.replace('C', "A"));
        }
        let deleted = index(&tree, "C");
        tree.delete(&name("C"), now()).unwrap();
        assert!(!deleted.join("roost.index").exists());
        assert!(index(&tree, "C/B").join("roost.index").exists());
        assert!(tree.sweep(now(), &|| false).unwrap());
    }
}

#[test]
fn names_that_cannot_be_are_refused_with_a_reason() {
    let scratch = Scratch::new();
    let refused = |layout, text: &str| {
        let tree = tree(&scratch, layout);
        assert!(matches!(tree.find(&name(text)), Err(TreeError::NotFound)));
        matches!(tree.create(&name(text), &[], now()), Err(TreeError::Name(why)) if !why.is_empty())
    };
    for text in ["a.b", "A/.b", "~a", "~", &"x".repeat(255), &"é".repeat(100)] {
        assert!(refused(Layout::MaildirPlusPlus, text), "{text}");
    }
    for text in [
        "cur",
        "A/new",
        "tmp/x",
        "dovecot.index.log",
        "subscriptions",
        "~a",
        "..x",
        &"x".repeat(256),
    ] {
        assert!(refused(Layout::Fs, text), "{text}");
    }
    let longest = "x".repeat(254);
    for layout in BOTH {
        let scratch = Scratch::new();
        make(
            &tree(&scratch, layout),
            &["A/~b", "a*b%c", "tab", "dovecot-users", &longest],
        );
    }
    let fs_tree = tree(&scratch, Layout::Fs);
    make(&fs_tree, &["a.b", "A/.b"]);
    scratch.write("file", "");
    let in_the_way = fs_tree.create(&name("file"), &[], now());
    assert!(matches!(in_the_way, Err(TreeError::Refused(_))));
    let in_the_way = fs_tree.create(&name("file/x"), &[], now());
    assert!(matches!(in_the_way, Err(TreeError::Refused(_))));
}

#[test]
fn odd_things_are_no_mailboxes_and_odd_names_are_found() {
    let scratch = Scratch::new();
    let tree = tree(&scratch, Layout::MaildirPlusPlus);
    make(&tree, &["Real", "A&B"]);
    scratch.write(".file", "");
    symlink(".Real", scratch.path().join(".Link")).unwrap();
    symlink("/nowhere", scratch.path().join(".Dangling")).unwrap();
    symlink(".Loop", scratch.path().join(".Loop")).unwrap();
    for odd in [
        &b".caf\xc3\xa9"[..],
        b".caf\xe9-latin",
        b".A&B",
        b".INBOX",
        b".inbox.sub",
        b".a..b",
        b".&AGE-",
        b".&AC8-",
        b".\x07bell",
        b"..hidden",
        b".",
        b"plain",
    ] {
        fs::create_dir_all(scratch.path().join(std::ffi::OsStr::from_bytes(odd))).unwrap();
    }
    let expected = [
        "&AC8-",
        "A&B",
        "A&B-4bfd437e",
        "INBOX-c3030371",
        "INBOX/sub",
        "Link",
        "Real",
        "a/",
        "-a/_/",
        "a/_/b",
        "café",
        "café-latin",
        "\u{fffd}bell",
    ];
    assert_eq!(listed(&tree), expected);
    for mailbox in tree.list().unwrap().iter().filter(|mailbox| mailbox.exists) {
        let path = tree.find(&mailbox.name).unwrap();
        assert!(path.is_dir(), "{}", mailbox.name);
    }
    let well_formed = tree.find(&name("A&B")).unwrap();
    assert_eq!(well_formed.file_name().unwrap().as_bytes(), b".A&-B");
    assert!(matches!(
        tree.create(&name("café"), &[], now()),
        Err(TreeError::Exists)
    ));

    tree.rename(&name("café-latin"), &name("Better"), now())
        .unwrap();
    assert!(scratch.path().join(".Better").is_dir());
    // The link goes, not what it leads to.
    tree.delete(&name("Link"), now()).unwrap();
    assert!(tree.find(&name("Real")).unwrap().join("cur").is_dir());
    tree.delete(&name("café"), now()).unwrap();
    assert!(matches!(tree.find(&name("café")), Err(TreeError::NotFound)));
}

#[test]
fn links_in_a_circle_are_followed_once() {
    let scratch = Scratch::new();
    let tree = tree(&scratch, Layout::Fs);
    make(&tree, &["A/B"]);
    symlink("..", scratch.path().join("A/B/up")).unwrap();
    symlink("../A", scratch.path().join("A/self")).unwrap();
    symlink("A/B", scratch.path().join("Link")).unwrap();
    let listed = listed(&tree);
    assert!(listed.iter().any(|name| name.starts_with("Link")));
    assert!(listed.len() < 10, "{listed:?}");
}

#[test]
fn the_layout_is_seen_from_what_is_there() {
    let scratch = Scratch::new();
    let layout = || Tree::open(scratch.path(), Layout::Detect).unwrap().layout();
    assert_eq!(layout(), Layout::MaildirPlusPlus);
    fs::create_dir_all(scratch.path().join("A/B/cur")).unwrap();
    assert_eq!(layout(), Layout::Fs);
    fs::create_dir_all(scratch.path().join(".X/cur")).unwrap();
    assert_eq!(layout(), Layout::MaildirPlusPlus);
    let nowhere = Tree::open(Path::new("/nowhere"), Layout::Detect).unwrap();
    assert_eq!(nowhere.list().unwrap().len(), 1);
}

#[test]
fn a_stray_folder_does_not_change_the_layout() {
    let folders = |scratch: &Scratch, names: &[&str]| {
        for name in names {
            fs::create_dir_all(scratch.path().join(name).join("cur")).unwrap();
        }
    };
    let detected = |scratch: &Scratch| {
        let tree = Tree::open(scratch.path(), Layout::Detect).unwrap();
        tree.layout()
    };
    let scratch = Scratch::new();
    folders(&scratch, &["Sent", "Junk", "Junk/Old", ".stray"]);
    assert_eq!(detected(&scratch), Layout::Fs);
    let scratch = Scratch::new();
    folders(&scratch, &[".Sent", ".Junk", "backup"]);
    assert_eq!(detected(&scratch), Layout::MaildirPlusPlus);
    let scratch = Scratch::new();
    folders(&scratch, &[".Sent", "backup", "backup/old"]);
    scratch.write(".Sent/dovecot-uidlist", "");
    assert_eq!(detected(&scratch), Layout::MaildirPlusPlus);
}

#[test]
fn what_cannot_be_renamed_is_deleted_and_moved_all_the_same() {
    const EXDEV: i32 = 18;
    for layout in BOTH {
        let scratch = Scratch::new();
        let tree = tree(&scratch, layout);
        // Whichever rename fails.
        for n in 1..60 {
            make(&tree, &["A"]);
            let folder = tree.find(&name("A")).unwrap();
            fs::write(folder.join("cur/1:2,S"), "mail").unwrap();
            let before = uid_validity(&folder);
            fault::fail_call_at("rename", n, EXDEV);
            let renamed = tree.rename(&name("A"), &name("B"), now());
            let reached = fault::clear();
            renamed.unwrap();
            let moved = tree.find(&name("B")).unwrap();
            assert_eq!(fs::read(moved.join("cur/1:2,S")).unwrap(), b"mail");
            assert_eq!(uid_validity(&moved), before);
            assert_eq!(listed(&tree), ["B"], "rename {n}");
            fault::fail_call_at("rename", n, EXDEV);
            let deleted = tree.delete(&name("B"), now());
            fault::clear();
            deleted.unwrap();
            assert_eq!(listed(&tree), [""; 0], "rename {n}");
            while !tree.sweep(now(), &|| false).unwrap() {}
            if reached < n {
                break;
            }
        }
    }
}

#[test]
fn of_names_that_differ_in_case_the_usual_one_has_the_role() {
    for names in [
        ["Sent", "sent", "SENT"],
        ["Sent Items", "sent items", "SENT ITEMS"],
        ["Trash", "trash", "tRASH"],
    ] {
        let scratch = Scratch::new();
        let tree = tree(&scratch, Layout::MaildirPlusPlus);
        make(&tree, &names);
        make(&tree, &[&format!("INBOX/{}", names[0])]);
        let with_role: Vec<String> = tree
            .list()
            .unwrap()
            .into_iter()
            .filter(|mailbox| mailbox.role.is_some())
            .map(|mailbox| mailbox.name.to_string())
            .collect();
        assert_eq!(with_role, [names[0]]);
    }
}

#[test]
fn inbox_may_be_a_directory_of_the_fs_layout() {
    let scratch = Scratch::new();
    fs::create_dir_all(scratch.path().join("INBOX/cur")).unwrap();
    fs::create_dir_all(scratch.path().join("INBOX/Sub/cur")).unwrap();
    let tree = Tree::open(scratch.path(), Layout::Fs).unwrap();
    assert_eq!(
        tree.find(&MailboxName::inbox()).unwrap(),
        scratch.path().join("INBOX")
    );
    assert_eq!(listed(&tree), ["INBOX/Sub"]);
    assert!(tree.list().unwrap()[0].children);
}

#[test]
fn special_uses_are_those_said_else_those_of_known_names() {
    let scratch = Scratch::new();
    let tree = tree(&scratch, Layout::MaildirPlusPlus);
    let roles = || -> Vec<(String, Role)> {
        let list = tree.list().unwrap();
        let with = list
            .iter()
            .filter_map(|m| Some((m.name.to_string(), m.role?)));
        with.collect()
    };
    let pairs = |pairs: &[(&str, Role)]| -> Vec<(String, Role)> {
        pairs
            .iter()
            .map(|(name, role)| (name.to_string(), *role))
            .collect()
    };
    make(
        &tree,
        &[
            "Sent Items",
            "Gesendet",
            "INBOX/Trash",
            "Archive/2026",
            "Drafts/Sent",
        ],
    );
    assert_eq!(
        roles(),
        pairs(&[("INBOX/Trash", Role::Trash), ("Sent Items", Role::Sent)])
    );
    make(
        &tree,
        &["SENT", "Deleted Messages", "Archive", "Papierkorb"],
    );
    assert_eq!(
        roles(),
        pairs(&[
            ("Archive", Role::Archive),
            ("INBOX/Trash", Role::Trash),
            ("SENT", Role::Sent)
        ])
    );
    tree.create(&name("Werbung"), &[Role::Junk], now()).unwrap();
    assert!(roles().contains(&("Werbung".to_owned(), Role::Junk)));
    make(&tree, &["Spam"]);
    assert!(!roles().iter().any(|(name, _)| name == "Spam"));
    for (roles, text) in [
        (&[Role::Junk][..], "J"),
        (&[Role::Sent], "S"),
        (&[Role::All], "All"),
    ] {
        let refused = tree.create(&name(text), roles, now());
        assert!(matches!(refused, Err(TreeError::RoleTaken)));
        assert!(matches!(tree.find(&name(text)), Err(TreeError::NotFound)));
    }
    let two = tree.create(&name("Two"), &[Role::Drafts, Role::Important], now());
    assert!(matches!(two, Err(TreeError::Refused(_))));

    tree.rename(&name("Werbung"), &name("Old/Werbung"), now())
        .unwrap();
    assert!(roles().contains(&("Old/Werbung".to_owned(), Role::Junk)));
    tree.rename(&name("Old"), &name("Older"), now()).unwrap();
    assert!(roles().contains(&("Older/Werbung".to_owned(), Role::Junk)));
    let stored = scratch.read("roost.special-use").unwrap();
    assert_eq!(stored, "\\Junk Older/Werbung\n");
    tree.delete(&name("Older/Werbung"), now()).unwrap();
    assert!(roles().contains(&("Spam".to_owned(), Role::Junk)));
    make(&tree, &["Older/Werbung"]);
    assert!(!roles().contains(&("Older/Werbung".to_owned(), Role::Junk)));
    scratch.write(
        "roost.special-use",
        b"\\Drafts Gesendet\nnonsense\n\\Sent\n\\Sent Gone\n\xff\xff",
    );
    assert!(roles().contains(&("Gesendet".to_owned(), Role::Drafts)));
    assert!(roles().contains(&("SENT".to_owned(), Role::Sent)));
}

#[test]
fn ten_thousand_folders_are_listed_from_one_directory() {
    let scratch = Scratch::new();
    let tree = tree(&scratch, Layout::MaildirPlusPlus);
    for n in 0..10_000 {
        fs::create_dir(scratch.path().join(format!(".Project.{}.{n}", n / 100))).unwrap();
    }
    fault::count();
    assert_eq!(tree.list().unwrap().len(), 10_000 + 100 + 1 + 1);
    let calls = fault::calls();
    fault::clear();
    assert!(calls.len() < 30, "{calls:?}");
}

/// Runs `change` with every call failing or the process dying there, and looks what is left.
fn break_everywhere(
    layout: Layout,
    prepare: &[&str],
    change: &dyn Fn(&Tree) -> Result<(), TreeError>,
    check: &dyn Fn(&Tree, bool),
) {
    let prepared = Scratch::new();
    make(&tree(&prepared, layout), prepare);
    let fail: fn(usize) = |n| fault::fail_at(n, 28);
    for plan in [fault::die_at as fn(usize), fail] {
        for n in 1.. {
            let scratch = Scratch::new();
            copy(prepared.path(), scratch.path());
            let tree = Tree::open(scratch.path(), layout).unwrap();
            plan(n);
            let changed = change(&tree);
            let calls = fault::clear();
            check(&tree, changed.is_ok());
            // Given again, it is done.
            let _ = change(&tree);
            check(&tree, true);
            let later = now() + std::time::Duration::from_secs(4000);
            assert!(tree.sweep(later, &|| false).unwrap());
            assert!(scratch.names().iter().all(|name| !name.starts_with("..")));
            let left = fs::read_dir(scratch.path().join("tmp")).unwrap();
            assert_eq!(left.count(), 0);
            if calls < n {
                break;
            }
        }
    }
}

fn copy(from: &Path, to: &Path) {
    for entry in fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let to = to.join(entry.file_name());
        if entry.file_type().unwrap().is_dir() {
            fs::create_dir(&to).unwrap();
            copy(&entry.path(), &to);
        } else {
            fs::copy(entry.path(), to).unwrap();
        }
    }
}

#[test]
fn creation_broken_off_leaves_a_whole_mailbox_or_none() {
    for layout in BOTH {
        break_everywhere(
            layout,
            &["A/B"],
            &|tree| tree.create(&name("A"), &[Role::Archive], now()).map(drop),
            &|tree, done| match tree.find(&name("A")) {
                Ok(path) => {
                    assert!(path.join("new").is_dir() && path.join("tmp").is_dir());
                    assert_ne!(uid_validity(&path), 0);
                }
                Err(_) => assert!(!done),
            },
        );
    }
}

#[test]
fn deletion_broken_off_leaves_the_mailbox_or_not() {
    for layout in BOTH {
        break_everywhere(
            layout,
            &["A", "A/B"],
            &|tree| tree.delete(&name("A"), now()),
            &|tree, done| {
                assert!(tree.find(&name("A/B")).is_ok());
                match tree.find(&name("A")) {
                    Ok(path) => {
                        assert!(!done && path.join("cur").is_dir());
                        assert_ne!(uid_validity(&path), 0);
                    }
                    Err(e) => assert!(matches!(e, TreeError::NotFound)),
                }
            },
        );
    }
}

#[test]
fn renaming_broken_off_loses_no_mailbox() {
    for layout in BOTH {
        break_everywhere(
            layout,
            &["A", "A/B", "A/C"],
            &|tree| tree.rename(&name("A"), &name("X/Y"), now()).map(drop),
            &|tree, done| {
                for rest in ["", "/B", "/C"] {
                    let (old, new) = (name(&format!("A{rest}")), name(&format!("X/Y{rest}")));
                    let there = [tree.find(&old).is_ok(), tree.find(&new).is_ok()];
                    assert!(
                        there == [false, true] || !done && there == [true, false],
                        "{there:?}"
                    );
                }
            },
        );
    }
}

#[test]
fn dovecot_sees_the_same_mailboxes() {
    for layout in BOTH {
        let setting = match layout {
            Layout::Fs => "mail_location = maildir:%h/Maildir:LAYOUT=fs\n",
            _ => "",
        };
        let settings = format!("namespace inbox {{\n  separator = /\n}}\n{setting}");
        let Some(lab) = Lab::new(&settings) else {
            return;
        };
        let mut imap = lab.imap();
        imap.ok("CREATE Theirs/Sub");
        imap.ok("CREATE Theirs");
        imap.append("Theirs", 2);
        let tree = Tree::open(&lab.maildir(), Layout::Detect).unwrap();
        assert_eq!(tree.layout(), layout);
        // A session of Dovecot's does not look again for what others made.
        let theirs = || {
            let mut imap = lab.imap();
            let mut names = Vec::new();
            for line in imap.ok("LIST \"\" *").lines() {
                let Some((flags, name)) = line
                    .strip_prefix("* LIST (")
                    .and_then(|l| l.split_once(") \"/\" "))
                else {
                    continue;
                };
                let not = if flags.contains("Noselect") { "-" } else { "" };
                let above = if flags.contains("HasChildren") {
                    "/"
                } else {
                    ""
                };
                names.push(format!("{not}{}{above}", name.trim_matches('"')));
            }
            names.retain(|name| !name.starts_with("INBOX"));
            names.sort();
            names
        };
        let ours = || {
            let mut names = listed(&tree);
            names.sort();
            names
        };
        assert_eq!(theirs(), ours());
        make(&tree, &["Ours", "Ours/Deep/Er", "Plain & simple"]);
        lab.share();
        let mut names = ours();
        for name in &mut names {
            *name = name.replace('&', "&-");
        }
        assert_eq!(theirs(), names);
        let validity = |imap: &mut Imap, mailbox: &str| {
            number(
                &imap.ok(&format!("STATUS {mailbox} (UIDVALIDITY)")),
                "UIDVALIDITY",
            )
        };
        let ours_before = validity(&mut imap, "Ours");
        let theirs_before = validity(&mut imap, "Theirs");
        assert_eq!(
            ours_before,
            u64::from(uid_validity(&tree.find(&name("Ours")).unwrap()))
        );
        imap.append("Ours", 3);

        tree.rename(&name("Theirs"), &name("Moved"), now()).unwrap();
        tree.delete(&name("Plain & simple"), now()).unwrap();
        lab.share();
        assert_eq!(theirs(), ours());
        assert_eq!(validity(&mut imap, "Moved"), theirs_before);
        assert_eq!(imap.select("Moved", "UIDNEXT"), 3);

        tree.delete(&name("Ours"), now()).unwrap();
        // The old session keeps the old index of the directory in memory.
        let mut imap = lab.imap();
        imap.ok("CREATE Ours");
        assert!(validity(&mut imap, "Ours") > ours_before);
        assert_eq!(imap.select("Ours", "UIDNEXT"), 1);
        let ours_before = validity(&mut imap, "Ours");
        imap.ok("UNSELECT");
        imap.ok("DELETE Ours");
        make(&tree, &["Ours"]);
        assert!(validity(&mut lab.imap(), "Ours") > ours_before);
        assert!(tree.sweep(now(), &|| false).unwrap());
        assert_eq!(theirs(), ours());
        assert_eq!(lab.complaints(), "");
    }
}
