//! What becomes of the others when one process dies, hangs or can have no more descriptors.

use std::process::Command;

use nix::sys::signal::Signal;

use super::processes::Gate;
use crate::support::*;

#[test]
fn a_session_that_dies_takes_its_own_users_connections_only() {
    as_root!();
    let (alice, bob) = (User::new(), User::new());
    let daemon = Daemon::start(&[]);
    let (mut plain, mut tls) = (daemon.connect(&alice), daemon.connect_tls(&alice));
    let (mut other, mut other_tls) = (daemon.connect(&bob), daemon.connect_tls(&bob));
    let mut waiting = daemon.dial();
    let (monitor, front) = (daemon.monitor(), daemon.front());
    for signal in [Signal::SIGKILL, Signal::SIGABRT, Signal::SIGTERM] {
        let session = daemon.session_of(&alice);
        session.signal(signal);
        plain.read_to_end();
        tls.read_to_end();
        other.ok("SELECT INBOX");
        other_tls.ok("NOOP");
        waiting.ok("NOOP");
        eventually("the session to be gone", || {
            (!session.is_alive()).then_some(())
        });
        // The kernel closes the clients' sockets first, and the monitor knows a moment later.
        plain = eventually("a login", || {
            let mut client = daemon.dial();
            client.start(&alice.login());
            client.try_read().map(|_| client)
        });
        tls = daemon.connect_tls(&alice);
        plain.ok("SELECT INBOX");
        tls.ok("SELECT INBOX");
    }
    assert_eq!((daemon.monitor(), daemon.front()), (monitor, front));
}

#[test]
fn a_front_that_dies_is_started_anew_and_what_was_handed_over_goes_on() {
    as_root!();
    let alice = User::new();
    let daemon = Daemon::start(&[]);
    let mut plain = daemon.connect(&alice);
    plain.ok("SELECT INBOX");
    for signal in [Signal::SIGKILL, Signal::SIGABRT, Signal::SIGTERM] {
        let (mut waiting, mut tls) = (daemon.dial(), daemon.connect_tls(&alice));
        let front = daemon.front();
        front.signal(signal);
        // Whatever BYE they may get.
        waiting.read_to_end();
        tls.read_to_end();
        plain.ok("NOOP");
        eventually("another front", || (daemon.front() != front).then_some(()));
        daemon.connect(&alice).ok("SELECT INBOX");
        daemon.connect_tls(&alice).ok("SELECT INBOX");
    }
    alice.inbox().deliver_file("one.eml");
    eventually("the delivery", || {
        plain.ok("NOOP").has("1 EXISTS").then_some(())
    });
    daemon.logs("front");
}

#[test]
fn a_monitor_that_dies_leaves_no_process_and_clients_hear_bye() {
    as_root!();
    let alice = User::new();
    let gate = Gate::new();
    gate.open();
    let mut daemon = Daemon::start(&[&gate.setting()]);
    let (mut plain, mut tls, mut waiting) = (
        daemon.connect(&alice),
        daemon.connect_tls(&alice),
        daemon.dial(),
    );
    plain.ok("SELECT INBOX");
    gate.shut();
    let mut held = daemon.dial();
    held.start(&alice.login());
    gate.wait_for(1);
    let all = daemon.monitor().descendants();
    assert!(all.len() >= 3, "{all:?}");
    daemon.monitor().signal(Signal::SIGKILL);
    for client in [&mut plain, &mut tls] {
        let said = client.read_to_end();
        assert!(
            said.iter().any(|response| response.matches("BYE ...")),
            "{}",
            client.conversation()
        );
    }
    waiting.read_to_end();
    let said = held.read_to_end();
    assert!(
        !said.iter().any(|response| response.word() == "OK"),
        "{}",
        held.conversation()
    );
    gate.open();
    eventually("all to end", || {
        all.iter().all(|process| !process.is_alive()).then_some(())
    });
    daemon.wait_for_end();
    gate.open();
    daemon.run();
    daemon.connect(&alice).ok("SELECT INBOX");
}

#[test]
fn a_login_child_that_dies_makes_its_login_unavailable_and_no_other() {
    as_root!();
    let (alice, bob) = (User::new(), User::new());
    let gate = Gate::new();
    let daemon = Daemon::start(&[&gate.setting()]);
    let (mut first, mut second) = (daemon.dial(), daemon.dial());
    let tag = first.start(&alice.login());
    gate.wait_for(1);
    let child = daemon.login_children()[0];
    let second_tag = second.start(&bob.login());
    gate.wait_for(2);
    child.signal(Signal::SIGKILL);
    let reply = first.finish(&tag);
    reply.code("UNAVAILABLE");
    gate.open();
    assert_eq!(second.finish(&second_tag).tagged.word(), "OK");
    first.ok(&alice.login());
}

#[test]
fn pam_that_crashes_hangs_or_talks_makes_its_login_unavailable_and_no_other() {
    as_root!();
    let (alice, bob) = (User::new(), User::new());
    let place = Place::new();
    let whose = |name: &str, what: &str| {
        format!("#!/bin/sh\n[ \"$PAM_USER\" != {name} ] || {{ {what}; }}\n")
    };
    let script = place.script("odd", "");
    let service = PamService::new(&format!(
        "auth required pam_exec.so stdout {}\nauth required pam_unix.so\naccount required pam_unix.so\n",
        script.display()
    ));
    let daemon = Daemon::start(&[
        &format!("auth.pam_service = \"{}\"", service.name),
        "auth.timeout = \"3s\"",
    ]);
    // pam_exec's parent is the login child.
    for what in [
        "kill -KILL $PPID",
        "kill -ABRT $PPID; sleep 1",
        "kill -STOP $PPID",
        "sleep 1000",
    ] {
        place.script("odd", &whose(&alice.name, what));
        daemon.dial().no(&alice.login()).code("UNAVAILABLE");
        daemon.connect(&bob).ok("SELECT INBOX");
        eventually("the login children to end", || {
            daemon.login_children().is_empty().then_some(())
        });
    }
    // What a module says is for terminals, not for the client.
    let printed = "i=0; while [ $i -lt 200 ]; do echo '* BYE all of this is said by the module'; i=$((i+1)); done";
    place.script("odd", &whose(&alice.name, printed));
    let mut client = daemon.dial();
    client.ok(&alice.login()).untagged([]);
    client.ok("SELECT INBOX");
}

#[test]
fn a_client_that_leaves_while_its_password_is_verified_is_forgotten() {
    as_root!();
    let alice = User::new();
    let gate = Gate::new();
    let daemon = Daemon::start(&[&gate.setting(), "mail.linger = \"0s\""]);
    let front = daemon.front();
    for tls in [false, true] {
        gate.shut();
        let mut client = if tls {
            daemon.dial_tls()
        } else {
            daemon.dial()
        };
        client.start(&alice.login());
        gate.wait_for(1);
        drop(client);
        gate.open();
        eventually("the login child to end", || {
            daemon.login_children().is_empty().then_some(())
        });
        daemon.connect(&alice).logout();
    }
    eventually("no session", || {
        daemon.find_session_of(&alice).is_none().then_some(())
    });
    assert_eq!(daemon.front(), front);
    assert_eq!(daemon.count("panicked"), 0);
}

#[test]
fn a_front_that_dies_while_passwords_are_verified_lets_nobody_in() {
    as_root!();
    let alice = User::new();
    let gate = Gate::new();
    let daemon = Daemon::start(&[&gate.setting(), "mail.linger = \"0s\""]);
    let mut client = daemon.dial();
    client.start(&alice.login());
    gate.wait_for(1);
    let front = daemon.front();
    front.signal(Signal::SIGKILL);
    client.read_to_end();
    gate.open();
    eventually("another front", || (daemon.front() != front).then_some(()));
    eventually("the login child to end", || {
        daemon.login_children().is_empty().then_some(())
    });
    assert!(daemon.find_session_of(&alice).is_none());
    daemon.connect(&alice).ok("SELECT INBOX");
}

/// Lets a process have so many descriptors from now on.
fn limit_descriptors(process: Proc, count: usize) {
    place::succeed(
        Command::new("prlimit")
            .arg(format!("--nofile={count}:"))
            .args(["--pid", &process.0.to_string()]),
    );
}

#[test]
fn a_front_without_descriptors_pauses_and_goes_on_and_does_not_spin() {
    as_root!();
    let alice = User::new();
    let mut daemon = Daemon::prepare(&[]);
    // All that it starts has no more either; another user's process cannot be limited later.
    let roost = daemon.command();
    let mut command = Command::new("prlimit");
    command
        .arg(format!("--nofile={MOST}:{MOST}"))
        .arg(roost.get_program())
        .args(roost.get_args());
    daemon.adopt(&mut command);
    daemon.run_by(command);
    let mut served = daemon.connect_tls(&alice);
    let front = daemon.front();
    let mut open: Vec<_> = (0..2 * MOST).map(|_| daemon.tcp()).collect();
    eventually("the front to have no more", || {
        (front.count(Socket::Connected) > 20).then_some(())
    });
    served.ok("SELECT INBOX");
    // Between its tries it sleeps: seldom is it found running.
    let is_running = || front.status("State").starts_with('R');
    eventually("the front to sleep", || (!is_running()).then_some(()));
    let running = (0..2000).filter(|_| is_running()).count();
    assert!(running < 1000, "found running {running} times of 2000");
    served.ok("NOOP");
    open.clear();
    served.ok("NOOP");
    let mut client = daemon.dial();
    client.ok("NOOP");
    client.logout();
    daemon.connect_tls(&alice).ok("NOOP");
    assert_eq!(daemon.front(), front);
}

#[test]
fn a_monitor_without_descriptors_refuses_and_goes_on() {
    as_root!();
    let (alice, bob) = (User::new(), User::new());
    let daemon = Daemon::start(&["mail.linger = \"0s\""]);
    let mut served = daemon.connect(&alice);
    let (monitor, front) = (daemon.monitor(), daemon.front());
    let lowest_free = |process: Proc| {
        let descriptors = process.descriptors();
        (0..)
            .find(|number| !descriptors.contains_key(number))
            .expect("one") as usize
    };
    for more in 0..4 {
        limit_descriptors(monitor, lowest_free(monitor) + more);
        for tls in [false, true] {
            let mut client = if tls {
                daemon.dial_tls()
            } else {
                daemon.dial()
            };
            let tag = client.start(&bob.login());
            // Refused, or let in with what was left; never silence.
            match client.try_read() {
                Some(response) if response.tag == tag && response.word() == "NO" => {
                    assert!(response.matches("NO [UNAVAILABLE] ..."), "{response}");
                }
                _ => {}
            }
        }
        served.ok("NOOP");
    }
    limit_descriptors(monitor, 1024);
    daemon.connect(&bob).ok("SELECT INBOX");
    assert_eq!(daemon.monitor(), monitor);
    assert_eq!(daemon.front(), front);
}

/// Descriptors, in a process that may have few: a front keeps 128 for other things than clients.
const MOST: usize = 160;
