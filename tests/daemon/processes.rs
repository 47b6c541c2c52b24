//! The processes: what each of them is and holds, and how long it lives.

use std::fs;
use std::path::PathBuf;

use crate::support::*;

/// PAM that waits in `auth` until it is released.
pub struct Gate {
    place: Place,
    pub service: PamService,
}

impl Gate {
    pub fn new() -> Gate {
        let place = Place::new();
        let script = place.script(
            "wait",
            &format!(
                "#!/bin/sh\necho >>{0}/arrived\nwhile [ ! -e {0}/released ]; do sleep 0.02; done\n",
                place.path().display()
            ),
        );
        let service = PamService::new(&format!(
            "auth required pam_exec.so {}\nauth required pam_unix.so\naccount required pam_unix.so\n",
            script.display()
        ));
        Gate { place, service }
    }

    pub fn setting(&self) -> String {
        format!("auth.pam_service = \"{}\"", self.service.name)
    }

    /// Waits until so many are inside.
    #[track_caller]
    pub fn wait_for(&self, count: usize) {
        let arrived = self.place.join("arrived");
        let there = || fs::read(&arrived).map_or(0, |lines| lines.len());
        eventually("somebody at the gate", || (there() >= count).then_some(()));
    }

    pub fn open(&self) {
        self.place.write("released", "");
    }

    pub fn shut(&self) {
        let _ = fs::remove_file(self.place.join("released"));
        let _ = fs::remove_file(self.place.join("arrived"));
    }
}

impl Drop for Gate {
    /// Nobody is to wait for ever.
    fn drop(&mut self) {
        self.open();
    }
}

/// What no process but the monitor may be able to do.
#[track_caller]
fn is_confined(process: Proc, threads: usize) {
    for set in ["CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb"] {
        assert_eq!(process.capabilities(set), 0, "{set} of {}", process.title());
    }
    assert_eq!(process.status("NoNewPrivs"), "1", "{}", process.title());
    assert_eq!(process.status("Seccomp"), "2", "{}", process.title());
    assert!(process.threads() <= threads, "{}", process.title());
}

/// Every descriptor is one of these: beginnings of what /proc says of it.
#[track_caller]
fn holds_only(process: Proc, permitted: &[&str]) {
    for (number, target) in process.descriptors() {
        assert!(
            permitted.iter().any(|start| target.starts_with(start)),
            "{} has {target} on {number}: {:?}",
            process.title(),
            process.descriptors()
        );
    }
}

/// Standard input, output and error lead nowhere.
#[track_caller]
fn begins_with_nothing(process: Proc) {
    let descriptors = process.descriptors();
    for number in 0..3 {
        let target = descriptors.get(&number).map(String::as_str);
        assert_eq!(target, Some("/dev/null"), "{number} of {}", process.title());
    }
}

const LOOP: &[&str] = &[
    "socket:",
    "pipe:",
    "anon_inode:[eventpoll]",
    "anon_inode:[eventfd]",
    "anon_inode:[signalfd]",
    "/dev/null",
];

#[test]
fn each_process_is_and_holds_what_the_table_says() {
    as_root!();
    let (alice, bob) = (User::new(), User::with(&["-G", "users"]));
    let gate = Gate::new();
    gate.open();
    let mut daemon = Daemon::prepare(&[&gate.setting()]);
    daemon.with_environment("ROOST_TEST_SECRET", "not for everybody");
    daemon.run();
    let mut plain = daemon.connect(&alice);
    let mut tls = daemon.connect_tls(&bob);
    let _waiting = daemon.dial();
    plain.ok("SELECT INBOX");
    tls.ok("SELECT INBOX");
    gate.shut();
    let mut held = daemon.dial();
    held.start(&alice.login());
    gate.wait_for(1);
    let log = daemon.log_file().display().to_string();

    let monitor = daemon.monitor();
    assert_eq!(monitor.uids(), [0; 4]);
    assert_eq!(monitor.threads(), 1);
    assert_eq!(
        monitor.count(Socket::Connected),
        0,
        "the monitor holds a client"
    );
    holds_only(
        monitor,
        &[LOOP, &[&log, "anon_inode:inotify", "anon_inode:[pidfd]"]].concat(),
    );
    let title = monitor.title();
    assert!(
        title.contains("roost") && title.contains("monitor"),
        "{title}"
    );

    let front = daemon.front();
    is_confined(front, 1);
    let front_user = nix::unistd::User::from_name(daemon::front_user())
        .expect("a database")
        .expect("a user");
    assert_eq!(front.uids(), [front_user.uid.as_raw(); 4]);
    assert_eq!(front.gids(), [front_user.gid.as_raw(); 4]);
    let own_group = front_user.gid.as_raw();
    assert!(front.groups().iter().all(|&group| group == own_group));
    assert_ne!(front.root(), PathBuf::from("/"));
    assert_eq!(
        fs::read_dir(format!("/proc/{}/root/", front.0))
            .expect("its root")
            .count(),
        0
    );
    holds_only(front, LOOP);
    begins_with_nothing(front);
    assert_eq!(front.count(Socket::Listening), 2);
    assert_eq!(front.parent(), Some(monitor));
    // Those that wait, and the end of the relayed one.
    assert_eq!(front.count(Socket::Connected), 3);

    for (user, connected) in [(&alice, 1), (&bob, 0)] {
        let session = daemon.session_of(user);
        // Two more threads wait: for what happens to the mail, and for answers of notify.
        is_confined(session, 3);
        assert_eq!(session.uids(), [user.uid; 4]);
        assert_eq!(session.gids(), [user.gid; 4]);
        let home = user.home.display().to_string();
        holds_only(session, &[LOOP, &[&home, "anon_inode:inotify"]].concat());
        begins_with_nothing(session);
        assert_eq!(session.count(Socket::Listening), 0);
        assert_eq!(session.count(Socket::Connected), connected);
        let title = session.title();
        assert!(
            title.contains("session") && title.contains(&user.name),
            "{title}"
        );
    }
    assert!(daemon.session_of(&bob).groups().contains(&100));

    let children = daemon.login_children();
    assert_eq!(children.len(), 1, "{children:?}");
    let child = children[0];
    assert_eq!(child.uids(), [0; 4]);
    assert_eq!(
        child.count(Socket::Listening),
        0,
        "{:?}",
        child.descriptors()
    );
    assert_eq!(
        child.count(Socket::Connected),
        0,
        "{:?}",
        child.descriptors()
    );
    // Its channel; the log.
    holds_only(child, &["socket:", "pipe:", "/dev/null", &log]);
    assert!(child.count(Socket::Local) <= 2, "{:?}", child.descriptors());
    let title = child.title();
    assert!(
        title.contains("login") && !title.contains(User::PASSWORD),
        "{title}"
    );
    // The source that is being asked, not the first one.
    assert!(title.ends_with(" pam]"), "{title}");

    for process in [front, daemon.session_of(&alice), daemon.session_of(&bob)] {
        let environment = process.environment();
        assert!(
            environment
                .iter()
                .all(|variable| !variable.contains("SECRET")),
            "{environment:?}"
        );
    }
    gate.open();
}

#[test]
fn all_connections_of_a_user_are_served_by_one_process() {
    as_root!();
    let alice = User::new();
    let daemon = Daemon::start(&[]);
    let mut clients = vec![
        daemon.connect(&alice),
        daemon.connect_tls(&alice),
        daemon.connect(&alice),
    ];
    for client in &mut clients {
        client.ok("SELECT INBOX").contains("0 EXISTS");
    }
    assert_eq!(daemon.sessions().len(), 1);
    clients[1].append("INBOX", &text("one.eml"));
    clients[0].ok("NOOP").contains("1 EXISTS");
    clients[2].ok("NOOP").contains("1 EXISTS");
}

#[test]
fn first_logins_of_a_user_at_the_same_time_make_one_session() {
    as_root!();
    let alice = User::new();
    let gate = Gate::new();
    let daemon = Daemon::start(&[&gate.setting()]);
    let mut clients: Vec<Client> = (0..6).map(|_| daemon.dial()).collect();
    let tags: Vec<String> = clients
        .iter_mut()
        .map(|client| client.start(&alice.login()))
        .collect();
    gate.wait_for(6);
    gate.open();
    for (client, tag) in clients.iter_mut().zip(&tags) {
        assert_eq!(client.finish(tag).tagged.word(), "OK");
        client.ok("SELECT INBOX");
    }
    assert_eq!(daemon.sessions().len(), 1);
    eventually("the login children to end", || {
        daemon.login_children().is_empty().then_some(())
    });
}

#[test]
fn a_session_without_clients_ends_and_is_started_anew_at_the_next_login() {
    as_root!();
    let alice = User::new();
    let daemon = Daemon::start(&["mail.linger = \"0s\""]);
    let client = daemon.connect(&alice);
    let first = daemon.session_of(&alice);
    client.logout();
    eventually("the session to end", || (!first.is_alive()).then_some(()));
    let mut client = daemon.connect(&alice);
    client.ok("SELECT INBOX");
    assert_ne!(daemon.session_of(&alice), first);
}

#[test]
fn a_login_finds_the_session_that_lingers() {
    as_root!();
    let alice = User::new();
    let daemon = Daemon::start(&["mail.linger = \"1h\""]);
    daemon.connect(&alice).logout();
    let first = daemon.session_of(&alice);
    for tls in [false, true] {
        let mut client = if tls {
            daemon.connect_tls(&alice)
        } else {
            daemon.connect(&alice)
        };
        client.ok("SELECT INBOX");
        assert_eq!(daemon.session_of(&alice), first);
    }
}

#[test]
fn logins_at_the_moment_a_session_ends_are_all_served() {
    as_root!();
    let alice = User::new();
    let daemon = Daemon::start(&["mail.linger = \"1ms\""]);
    for round in 0..30 {
        let mut client = if round % 2 == 0 {
            daemon.connect(&alice)
        } else {
            daemon.connect_tls(&alice)
        };
        client.ok("SELECT INBOX");
        client.logout();
        if round % 3 == 0 {
            eventually("the session to end", || {
                daemon.find_session_of(&alice).is_none().then_some(())
            });
        }
    }
}

#[test]
fn so_many_passwords_are_verified_at_a_time_and_the_others_wait() {
    as_root!();
    let alice = User::new();
    let gate = Gate::new();
    let daemon = Daemon::start(&[&gate.setting(), "auth.processes = 2"]);
    // Of different addresses, for one has its share only.
    let mut clients: Vec<Client> = (2..9).map(|n| daemon.dial_from([127, 0, 0, n])).collect();
    let tags: Vec<String> = clients
        .iter_mut()
        .map(|client| client.start(&alice.login()))
        .collect();
    gate.wait_for(2);
    assert!(daemon.login_children().len() <= 2);
    let mut other = daemon.dial();
    other.ok("NOOP");
    assert!(daemon.login_children().len() <= 2);
    gate.open();
    for (client, tag) in clients.iter_mut().zip(&tags) {
        assert_eq!(client.finish(tag).tagged.word(), "OK");
        assert!(daemon.login_children().len() <= 2);
    }
}
