//! Other programs deliver, rename and delete while the folder is open.

use super::*;

pub(super) fn appeared(place: Place, name: &str) -> Event {
    Event::Appeared {
        place,
        name: name.as_bytes().to_vec(),
    }
}

/// By a rename.
pub(super) fn vanished(place: Place, name: &str) -> Event {
    Event::Vanished {
        place,
        name: name.as_bytes().to_vec(),
        unlinked: false,
    }
}

fn unlinked(place: Place, name: &str) -> Event {
    Event::Vanished {
        place,
        name: name.as_bytes().to_vec(),
        unlinked: true,
    }
}

/// A folder of two messages that is watched.
fn watched(mail: &Mail) -> Folder {
    mail.deliver("cur/1.host:2,");
    mail.deliver("cur/2.host:2,");
    let mut folder = mail.open();
    folder.set_watched(true);
    folder.sync(FORCED, now(), &|| false).unwrap().done();
    folder.take_changes();
    folder
}

const FORCED: Look = Look {
    move_new: true,
    force_scan: true,
};

impl Step {
    fn done(self) {
        assert_eq!(self, Step::Done);
    }
}

#[test]
fn a_delivery_is_seen_by_the_next_sync() {
    let mail = Mail::new();
    let mut folder = mail.open();
    mail.deliver("new/1.host");
    sync(&mut folder);
    assert_eq!(uids(&folder), [1]);
    assert_eq!(mail.names("cur"), ["1.host:2,"]);
}

#[test]
fn a_delivery_is_left_in_new_for_a_reader() {
    let mail = Mail::new();
    mail.deliver("new/1.host");
    mail.deliver("new/2.host:2,S");
    let mut folder = Folder::open(&mail.maildir, mail.scratch.path(), now()).unwrap();
    folder
        .sync(Look::default(), now(), &|| false)
        .unwrap()
        .done();
    assert_eq!(mail.names("new"), ["1.host", "2.host:2,S"]);
    assert_eq!(uids(&folder), [1, 2]);
    assert_eq!(folder.messages()[1].flags(), seen());
    folder.open_message(0, now()).unwrap();
    sync(&mut folder);
    assert_eq!(mail.names("cur"), ["1.host:2,", "2.host:2,S"]);
    assert_eq!(uids(&folder), [1, 2]);
}

#[test]
fn an_event_of_a_delivery_takes_no_scan() {
    let mail = Mail::new();
    let mut folder = watched(&mail);
    mail.deliver("new/3.host");
    // Only a scan would find this one.
    mail.deliver("cur/4.host:2,");
    let event = appeared(Place::New, "3.host");
    folder.handle_event(&event, WRITING, now()).unwrap().done();
    assert_eq!(uids(&folder), [1, 2, 3]);
    assert_eq!(mail.names("new").len(), 0);
    let facts = folder.facts(2).unwrap();
    assert!(facts.internal_date > 1_000_000_000);
}

#[test]
fn a_delivery_that_was_moved_before_its_event_came_is_one_message() {
    let mail = Mail::new();
    let mut folder = watched(&mail);
    mail.deliver("cur/3.host:2,S");
    for event in [
        appeared(Place::New, "3.host"),
        vanished(Place::New, "3.host"),
        appeared(Place::Cur, "3.host:2,S"),
    ] {
        let _ = folder.handle_event(&event, WRITING, now()).unwrap();
    }
    sync(&mut folder);
    assert_eq!(uids(&folder), [1, 2, 3]);
    assert_eq!(folder.messages()[2].flags(), seen());
}

#[test]
fn a_rename_changes_flags_by_its_events() {
    let mail = Mail::new();
    let mut folder = watched(&mail);
    let before = folder.highest_modseq();
    mail.rename("cur/1.host:2,", "cur/1.host:2,S");
    let step = folder.handle_event(&vanished(Place::Cur, "1.host:2,"), WRITING, now());
    assert_eq!(step.unwrap(), Step::Locked);
    let _ = folder
        .handle_event(&appeared(Place::Cur, "1.host:2,S"), WRITING, now())
        .unwrap();
    let changes = folder.take_changes();
    let [
        Change::Flags {
            uid: Uid(1),
            modseq,
            ..
        },
    ] = changes[..]
    else {
        panic!("{changes:?}");
    };
    assert!(modseq > before);
    assert_eq!(folder.messages()[0].flags(), seen());
    pass(Duration::from_millis(25));
    sync(&mut folder);
    assert_eq!(folder.take_changes(), []);
}

#[test]
fn a_message_renamed_twice_before_the_first_event_keeps_its_uid() {
    let mail = Mail::new();
    let mut folder = watched(&mail);
    mail.rename("cur/1.host:2,", "cur/1.host:2,FS");
    for event in [
        vanished(Place::Cur, "1.host:2,"),
        appeared(Place::Cur, "1.host:2,F"),
    ] {
        let _ = folder.handle_event(&event, WRITING, now()).unwrap();
    }
    // The rest is on its way for longer than a rename ever takes.
    pass(Duration::from_millis(25));
    sync(&mut folder);
    for event in [
        vanished(Place::Cur, "1.host:2,F"),
        appeared(Place::Cur, "1.host:2,FS"),
    ] {
        let _ = folder.handle_event(&event, WRITING, now()).unwrap();
    }
    sync(&mut folder);
    assert_eq!(uids(&folder), [1, 2]);
}

#[test]
fn a_message_renamed_by_link_and_unlink_keeps_its_uid() {
    let mail = Mail::new();
    let mut folder = watched(&mail);
    mail.link("cur/1.host:2,", "cur/1.host:2,S");
    let event = appeared(Place::Cur, "1.host:2,S");
    let _ = folder.handle_event(&event, WRITING, now()).unwrap();
    mail.remove("cur/1.host:2,");
    let event = unlinked(Place::Cur, "1.host:2,");
    let _ = folder.handle_event(&event, WRITING, now()).unwrap();
    pass(Duration::from_millis(25));
    sync(&mut folder);
    assert_eq!(uids(&folder), [1, 2]);
    assert_eq!(folder.messages()[0].flags(), seen());
}

#[test]
fn a_delete_is_told_with_its_event() {
    let mail = Mail::new();
    let mut folder = watched(&mail);
    mail.remove("cur/1.host:2,");
    let event = unlinked(Place::Cur, "1.host:2,");
    folder.handle_event(&event, WRITING, now()).unwrap().done();
    let changes = folder.take_changes();
    assert!(matches!(
        changes[..],
        [Change::Expunged { uid: Uid(1), .. }]
    ));
}

#[test]
fn a_message_moved_elsewhere_is_told_a_moment_after_its_event() {
    let mail = Mail::new();
    let mut folder = watched(&mail);
    mail.rename("cur/1.host:2,", "tmp/1.host");
    let event = vanished(Place::Cur, "1.host:2,");
    let step = folder.handle_event(&event, WRITING, now()).unwrap();
    assert_eq!(step, Step::Locked);
    assert_eq!(folder.take_changes(), []);
    pass(Duration::from_millis(25));
    sync(&mut folder);
    let changes = folder.take_changes();
    assert!(matches!(
        changes[..],
        [Change::Expunged { uid: Uid(1), .. }]
    ));
}

#[test]
fn what_we_do_ourselves_is_no_news() {
    let mail = Mail::new();
    let mut folder = watched(&mail);
    assert!(folder.lock(now()).unwrap());
    let modseq = folder.next_modseq(now()).unwrap();
    folder.change_flags(0, &|_| seen(), modseq).unwrap();
    remove(&mut folder, 1, modseq).unwrap();
    folder.unlock();
    folder.take_changes();
    for event in [
        vanished(Place::Cur, "1.host:2,"),
        appeared(Place::Cur, "1.host:2,S"),
        vanished(Place::Cur, "2.host:2,"),
    ] {
        folder.handle_event(&event, WRITING, now()).unwrap().done();
    }
    assert_eq!(folder.take_changes(), []);
}

#[test]
fn a_message_can_be_read_flagged_and_expunged_after_a_rename_that_nobody_told() {
    let mail = Mail::new();
    mail.deliver("cur/1.host:2,");
    mail.deliver("cur/2.host:2,");
    mail.deliver("cur/3.host:2,");
    let mut folder = mail.open();
    let rename = |from, to| mail.rename(from, to);
    rename("cur/1.host:2,", "cur/1.host:2,F");
    rename("cur/2.host:2,", "cur/2.host:2,DFRSTab");
    rename("cur/3.host:2,", "cur/3.host:2,DFRSTab");
    folder.open_message(0, now()).unwrap();
    assert!(folder.lock(now()).unwrap());
    let modseq = folder.next_modseq(now()).unwrap();
    folder.change_flags(1, &|_| seen(), modseq).unwrap();
    assert!(folder.expunge(2, modseq).unwrap());
    folder.unlock();
    sync(&mut folder);
    assert_eq!(mail.names("cur"), ["1.host:2,F", "2.host:2,S"]);
    assert_eq!(uids(&folder), [1, 2]);
    assert_eq!(folder.messages()[0].flags().system, System::FLAGGED);
}

#[test]
fn a_message_that_went_away_is_gone_for_its_reader() {
    let mail = Mail::new();
    mail.deliver("cur/1.host:2,");
    let mut folder = mail.open();
    mail.remove("cur/1.host:2,");
    let error = folder.open_message(0, now()).unwrap_err();
    assert!(matches!(error, MessageError::Gone));
    sync(&mut folder);
    assert_eq!(uids(&folder), []);
}

#[test]
fn flags_changed_while_nobody_looked_get_a_modseq() {
    let mail = Mail::new();
    mail.deliver("cur/1.host:2,");
    mail.deliver("cur/2.host:2,");
    let folder = mail.open();
    let before = folder.highest_modseq();
    folder.close(now());
    mail.rename("cur/1.host:2,", "cur/1.host:2,Sa");
    mail.remove("cur/2.host:2,");
    let folder = mail.open();
    let row = folder.messages()[0];
    assert!(row.modseq() > before);
    assert_eq!(row.flags().keywords, 1);
    let names: Vec<_> = folder.keywords().map(|(_, name)| name.as_str()).collect();
    assert_eq!(names, ["unknown-0"]);
    let gone = folder.expunged_since(before).unwrap();
    assert_eq!(gone.ranges(), [(2, 2)]);
}

#[test]
fn a_name_that_comes_back_is_a_new_message() {
    let mail = Mail::new();
    mail.deliver("cur/1.host:2,");
    mail.deliver("cur/2.host:2,");
    let mut folder = mail.open();
    mail.remove("cur/1.host:2,");
    sync(&mut folder);
    assert_eq!(uids(&folder), [2]);
    mail.deliver("cur/1.host:2,");
    sync(&mut folder);
    assert_eq!(uids(&folder), [2, 3]);
    folder.close(now());
    mail.remove("roost.index");
    assert_eq!(uids(&mail.open()), [2, 3]);
}

#[test]
fn two_files_of_one_name_are_two_messages() {
    let mail = Mail::new();
    mail.deliver("cur/1.host,S=5,W=6:2,");
    mail.deliver("cur/1.host,S=5,W=6:2,S");
    let mut folder = mail.open();
    sync(&mut folder);
    assert_eq!(uids(&folder), [1, 2]);
    let names = mail.names("cur");
    assert_eq!(names.len(), 2);
    assert!(names[1].contains(",S=5,W=6:2,"), "{names:?}");
    let mut folder = mail.open();
    sync(&mut folder);
    assert_eq!(uids(&folder), [1, 2]);
}

#[test]
fn a_second_link_to_a_message_is_not_a_message() {
    let mail = Mail::new();
    mail.deliver("cur/1.host:2,S");
    mail.link("cur/1.host:2,S", "new/1.host");
    let mut folder = mail.open();
    assert_eq!(uids(&folder), [1]);
    let later = now() + Duration::from_secs(40);
    folder.sync(FORCED, later, &|| false).unwrap().done();
    assert_eq!(uids(&folder), [1]);
    assert_eq!(mail.names("cur").len() + mail.names("new").len(), 1);
}

#[test]
fn directories_and_hidden_files_are_no_messages() {
    let mail = Mail::new();
    for name in ["cur/dir", "new/dir", "cur/1.host:2,"] {
        std::fs::create_dir(mail.path(name)).unwrap();
    }
    mail.deliver("cur/.hidden");
    mail.deliver("new/:2,S");
    let folder = mail.open();
    // A file without a base name gets one.
    assert_eq!(uids(&folder), [1]);
    assert_eq!(mail.names("cur").len(), 4);
}

#[test]
fn odd_names_keep_their_oddities() {
    let mail = Mail::new();
    mail.deliver("cur/1.host");
    mail.deliver("cur/2.host:2,SPF,extra");
    mail.deliver("cur/3.host:1,exp");
    let mut folder = mail.open();
    assert_eq!(uids(&folder), [1, 2, 3]);
    for index in 0..3 {
        folder.open_message(index, now()).unwrap();
    }
    assert!(folder.lock(now()).unwrap());
    let modseq = folder.next_modseq(now()).unwrap();
    folder.change_flags(1, &|_| seen(), modseq).unwrap();
    folder.unlock();
    folder.close(now());
    let mut folder = mail.open();
    assert_eq!(mail.names("cur")[1], "2.host:2,PS,extra");
    assert_eq!(folder.messages()[1].flags(), seen());
    for index in 0..3 {
        folder.open_message(index, now()).unwrap();
    }
}

#[test]
fn setting_flags_never_replaces_another_file() {
    let mail = Mail::new();
    mail.deliver("cur/1.host:2,");
    let mut folder = mail.open();
    std::fs::write(mail.path("cur/1.host:2,S"), "another").unwrap();
    mail.changed("cur/1.host:2,S");
    assert!(folder.lock(now()).unwrap());
    let modseq = folder.next_modseq(now()).unwrap();
    folder.change_flags(0, &|_| seen(), modseq).unwrap();
    folder.unlock();
    sync(&mut folder);
    assert_eq!(uids(&folder), [1, 2]);
    assert_eq!(mail.names("cur").len(), 2);
}

#[test]
fn a_folder_replaced_by_another_is_noticed() {
    let mail = Mail::new();
    let inner = mail.path(".Work");
    for name in ["", "cur", "new", "tmp"] {
        std::fs::create_dir(inner.join(name)).unwrap();
    }
    let mut folder = Folder::open(&mail.maildir, &inner, now()).unwrap();
    sync(&mut folder);
    std::fs::rename(&inner, mail.path("aside")).unwrap();
    let missing = folder.sync(WRITING, now(), &|| false).unwrap_err();
    assert!(matches!(missing, FolderError::Missing));
    std::fs::create_dir(&inner).unwrap();
    let replaced = folder.sync(WRITING, now(), &|| false).unwrap_err();
    assert!(matches!(replaced, FolderError::Replaced(_)));
}

#[test]
fn cur_replaced_under_us_is_listed_anew() {
    let mail = Mail::new();
    mail.deliver("cur/1.host:2,");
    let mut folder = mail.open();
    std::fs::rename(mail.path("cur"), mail.path("old")).unwrap();
    std::fs::create_dir(mail.path("cur")).unwrap();
    mail.deliver("cur/2.host:2,");
    sync(&mut folder);
    assert_eq!(uids(&folder), [2]);
    folder.open_message(1, now()).unwrap();
}

#[test]
fn an_unreadable_directory_is_an_error_and_not_an_empty_folder() {
    use std::os::unix::fs::PermissionsExt;
    let mail = Mail::new();
    mail.deliver("cur/1.host:2,");
    mail.open().close(now());
    let set = |mode| {
        let mode = std::fs::Permissions::from_mode(mode);
        std::fs::set_permissions(mail.path("cur"), mode).unwrap();
    };
    set(0o000);
    if std::fs::read_dir(mail.path("cur")).is_ok() {
        // Root may read everything; the test is for everybody else.
        set(0o700);
        return;
    }
    let error = Folder::open(&mail.maildir, mail.scratch.path(), now()).unwrap_err();
    assert!(matches!(error, FolderError::Denied(_)));
    set(0o700);
    assert_eq!(uids(&mail.open()), [1]);
}
