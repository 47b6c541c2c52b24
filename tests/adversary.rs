//! A front, and a session, that have been taken over: they send the monitor every message there is, in
//! every state, and none of it lets anybody in or costs anybody else his connection.
//!
//! A role of Roost is the running program executed again with the role as its argument. So this test
//! program is the whole daemon: `adversary monitor FILE` runs the real monitor, which then executes us as
//! `front` and `session`. Whichever of them is to be bad takes the number of the next scenario from a file,
//! plays it, writes down that it has, and waits to be killed; when no scenario is left, it is the real one,
//! through which somebody then logs in.

// A test says what it skips and what it measured.
#![allow(clippy::print_stderr, clippy::print_stdout)]

mod support;

#[path = "adversary/messages.rs"]
mod messages;
#[path = "adversary/play.rs"]
mod play;
#[path = "adversary/scenarios.rs"]
mod scenarios;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};

use roost::ipc::Message;
use roost::ipc::channel::Channel;
use roost::monitor::{Mode, Start};
use roost::sys::inherited;

use play::Player;
use scenarios::Scenario;
use support::*;

fn main() -> ExitCode {
    let mut arguments = std::env::args().skip(1);
    match arguments.next().as_deref() {
        Some("monitor") => monitor(arguments.next().map(PathBuf::from)),
        Some("front") => front(),
        Some("session") => session(),
        // As any test program: words that the names must have in them, and options that do not matter.
        argument => {
            let words: Vec<String> = argument
                .map(str::to_owned)
                .into_iter()
                .chain(arguments)
                .filter(|word| !word.starts_with('-'))
                .collect();
            test(&words);
        }
    }
    ExitCode::SUCCESS
}

fn monitor(config: Option<PathBuf>) {
    let start = Start {
        config,
        set: Vec::new(),
    };
    roost::monitor::run(&start, Mode::Daemon).expect("a monitor");
}

fn front() {
    let channel = inherited::channel().expect("a channel");
    let Some((directory, number, scenario)) = next("front", &scenarios::of_front()) else {
        return roost::front::role::run(channel).expect("a front");
    };
    let mut channel = Channel::new(channel).expect("a channel");
    let first = channel.wait().expect("the settings");
    assert!(matches!(first, Message::Settings(_)), "the settings first");
    Player::new(channel, directory, number).play_front(scenario);
}

fn session() {
    let channel = inherited::channel().expect("a channel");
    let Some((directory, number, scenario)) = next("session", &scenarios::of_session()) else {
        return roost::session::role::run(channel).expect("a session");
    };
    let mut channel = Channel::new(channel).expect("a channel");
    let first = channel.wait().expect("the settings");
    assert!(matches!(first, Message::Settings(_)), "the settings first");
    Player::new(channel, directory, number).play_session(scenario);
}

/// The scenario to be played, if there is one: in the directory of that name beside the log, which is all
/// that we are told of the test.
fn next(role: &str, scenarios: &[Scenario]) -> Option<(PathBuf, usize, Scenario)> {
    let log = fs::read_link("/proc/self/fd/2").ok()?;
    let directory = log.parent()?.join(role);
    let (number, scenario) = play::next(&directory, scenarios)?;
    Some((directory, number, scenario))
}

/// The tests, under the names by which they can be picked.
const TESTS: &[(&str, fn())] = &[
    (
        "a_front_that_says_what_it_may_not_is_killed_and_lets_nobody_in",
        a_front_that_says_what_it_may_not_is_killed_and_lets_nobody_in,
    ),
    (
        "a_session_that_says_what_it_may_not_is_killed_and_no_other",
        a_session_that_says_what_it_may_not_is_killed_and_no_other,
    ),
];

fn test(words: &[String]) {
    let is_wanted =
        |name: &str| words.is_empty() || words.iter().any(|word| name.contains(word.as_str()));
    let wanted: Vec<_> = TESTS.iter().filter(|(name, _)| is_wanted(name)).collect();
    for (name, test) in &wanted {
        // A failure panics, which is the end of the program.
        test();
        println!("test {name} ... ok");
    }
    println!(
        "\ntest result: ok. {} passed; 0 failed; 0 ignored",
        wanted.len()
    );
}

/// A daemon of this program, whose front and sessions begin with the first scenario of `role`.
fn start(role: &str) -> Daemon {
    let gate = PamService::new("auth required pam_exec.so /bin/sleep 1000\n");
    let place = Place::new();
    let home = place.directory_of("home", UID, UID);
    let lines: String = [
        ("ann", "{PLAIN}secret"),
        ("bob", "{PLAIN}secret"),
        ("scram", SCRAM),
    ]
    .map(|(name, password)| format!("{name}:{password}:{UID}:{UID}::{}::\n", home.display()))
    .concat();
    let users = place.write("users", lines);
    let scenarios = place.directory_of(role, UID, UID);
    place.write(&format!("{role}/next"), "0");
    place::set_mode(&scenarios, 0o777);
    place::set_mode(&scenarios.join("next"), 0o666);
    let daemon = Daemon::prepare_in(
        place,
        &[
            &format!(
                "auth.sources = [\"passwd-file:{}\", \"pam\"]",
                users.display()
            ),
            &format!("auth.pam_service = \"{}\"", gate.name),
            "auth.mechanisms = [\"PLAIN\", \"SCRAM-SHA-256\"]",
            "auth.failure_delay = \"0s\"",
            "mail.linger = \"0s\"",
        ],
    );
    // It goes with the process, for there is no other use of its name.
    std::mem::forget(gate);
    daemon
}

fn command(daemon: &Daemon) -> Command {
    let mut command = Command::new(std::env::current_exe().expect("this program"));
    command.arg("monitor").arg(daemon.configuration());
    daemon.adopt(&mut command);
    command
}

/// The number of the scenario that is next.
fn reached(directory: &Path) -> usize {
    let text = fs::read_to_string(directory.join("next")).unwrap_or_default();
    text.trim().parse().unwrap_or(0)
}

/// All were played, and only those who said what they may are still there after it.
fn judge(directory: &Path, scenarios: &[Scenario]) {
    let mut wrong = Vec::new();
    for (number, scenario) in scenarios.iter().enumerate() {
        let is_there = |what: &str| directory.join(format!("{number}.{what}")).exists();
        if !is_there("sent") {
            wrong.push(format!("{scenario:?} did not come to an end"));
        } else if is_there("alive") != scenario.permitted {
            let what = if scenario.permitted {
                "was killed"
            } else {
                "lived on"
            };
            wrong.push(format!("{scenario:?} {what}"));
        }
    }
    assert!(
        wrong.is_empty(),
        "{} of {}:\n{}",
        wrong.len(),
        scenarios.len(),
        wrong.join("\n")
    );
}

fn a_front_that_says_what_it_may_not_is_killed_and_lets_nobody_in() {
    as_root!();
    let mut daemon = start("front");
    let directory = daemon.place().join("front");
    let scenarios = scenarios::of_front();
    let command = command(&daemon);
    daemon.spawn(command);
    let mut before = 0;
    while before < scenarios.len() {
        before = eventually("the next scenario", || {
            assert!(
                !daemon.has_ended(),
                "the monitor ended at {:?}",
                scenarios[before - 1]
            );
            let now = reached(&directory);
            (now > before).then_some(now)
        });
    }
    daemon.wait_for_greeting();
    judge(&directory, &scenarios);
    // Whoever was handed over had the right password.
    let log = daemon.log();
    assert!(!log.contains("user=<root>"), "{log}");
    let mut client = daemon.dial();
    client.no("LOGIN ann wrong").code("AUTHENTICATIONFAILED");
    client.ok("LOGIN ann secret");
    client.ok("SELECT INBOX");
}

fn a_session_that_says_what_it_may_not_is_killed_and_no_other() {
    as_root!();
    let mut daemon = start("session");
    let directory = daemon.place().join("session");
    let scenarios = scenarios::of_session();
    let command = command(&daemon);
    // The first session is a real one, and stays.
    fs::rename(directory.join("next"), directory.join("later")).expect("put off");
    daemon.run_by(command);
    let mut bob = daemon.dial();
    bob.ok("LOGIN bob secret");
    fs::rename(directory.join("later"), directory.join("next")).expect("now");
    let (monitor, front) = (daemon.monitor(), daemon.front());
    for number in 0..scenarios.len() {
        let mut ann = daemon.tcp();
        daemon::say(&mut ann, b"a1 LOGIN ann secret\r\n");
        // It ends with its session, which never answers.
        let said = daemon::rest(&mut ann);
        assert!(!said.contains("a1 OK"), "{said}");
        eventually("the scenario to be played", || {
            (reached(&directory) > number).then_some(())
        });
        bob.ok("NOOP");
    }
    judge(&directory, &scenarios);
    assert_eq!((daemon.monitor(), daemon.front()), (monitor, front));
    let mut ann = daemon.dial();
    ann.ok("LOGIN ann secret");
    ann.ok("SELECT INBOX");
}

/// Nobody's on a Debian.
const UID: u32 = 58_322;

/// Of "secret".
const SCRAM: &str = "{SCRAM-SHA-256}4096,c2FsdHNhbHQ=,v9cxy4WCDtc8UMxTg6KXCtlxIku1bUKTGuWEXFC1L54=,rwGpSn6lR97mSEImO0RA7JCZ4WnpCnnKddTt3G/t6II=";
