//! A front, and a session, that have been taken over: they send the monitor every message there is,
//! in every state, and none of it lets anybody in or costs anybody else a connection.
//!
//! A role of Roost is the running program executed again with the role as its argument. So this
//! test program is the whole daemon: `adversary monitor FILE` runs the real monitor, which then
//! executes us as `front`, `login` and `session`. Whichever of them is to be bad takes the number
//! of the next scenario from a file, plays it, writes down that it has, and waits to be killed;
//! when no scenario is left, it is the real one, through which somebody then logs in.

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
use std::path::PathBuf;
use std::process::{Command, ExitCode};
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use roost::ipc::Message;
use roost::ipc::channel::Channel;
use roost::monitor::role::{Mode, MonitorStart};
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
        Some("login") => login(),
        // As any test program: words that the names must have in them, and options that do not
        // matter.
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
    let start = MonitorStart {
        config,
        set: Vec::new(),
    };
    roost::monitor::role::run(&start, Mode::Daemon).expect("a monitor");
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
    let mut scenarios = scenarios::of_session();
    scenarios.push(scenarios::KEEPING);
    let Some((directory, number, scenario)) = next("session", &scenarios) else {
        return roost::session::role::run(channel).expect("a session");
    };
    let mut channel = Channel::new(channel).expect("a channel");
    let first = channel.wait().expect("the settings");
    assert!(matches!(first, Message::Settings(_)), "the settings first");
    Player::new(channel, directory, number).play_session(scenario);
}

/// The real one.
fn login() {
    let channel = inherited::channel().expect("a channel");
    match roost::monitor::child::run(channel) {
        Ok(never) => match never {},
        Err(error) => panic!("a login child: {error}"),
    }
}

/// The scenario to be played, if there is one: in the directory of that name beside this program.
/// A role is told nothing else of the test, so each test runs a copy in a directory of its own.
fn next(role: &str, scenarios: &[Scenario]) -> Option<(PathBuf, usize, Scenario)> {
    let program = std::env::current_exe().ok()?;
    let directory = program.parent()?.join(role);
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
    (
        "a_session_that_calls_closed_what_it_keeps_has_no_more_clients_than_others",
        a_session_that_calls_closed_what_it_keeps_has_no_more_clients_than_others,
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

/// A daemon of this program, whose front, or sessions, will play these scenarios.
struct Stage {
    daemon: Daemon,
    directory: PathBuf,
    _gate: PamService,
}

impl Stage {
    fn new(role: &str) -> Stage {
        // A wrong password is asked about here too; only one user waits.
        let gate = PamService::new(
            "auth requisite pam_succeed_if.so quiet user = slow\n\
             auth required pam_exec.so /bin/sleep 1000\n",
        );
        let place = Place::new();
        let home = place.directory_of("home", UID, UID);
        let users = [
            ("ann", "{PLAIN}secret"),
            ("bob", "{PLAIN}secret"),
            ("scram", SCRAM),
        ];
        let line =
            |(name, password)| format!("{name}:{password}:{UID}:{UID}::{}::\n", home.display());
        let users = place.write("users", users.map(line).concat());
        let directory = place.directory_of(role, UID, UID);
        place::set_mode(&directory, 0o777);
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
        Stage {
            daemon,
            directory,
            _gate: gate,
        }
    }

    /// The scenarios from one number to before another are next.
    fn play(&self, from: usize, end: usize) {
        let path = self.directory.join("next");
        fs::write(&path, format!("{from}..{end}")).expect("written");
        place::set_mode(&path, 0o666);
    }

    fn spawn(&mut self) {
        let program = self.directory.with_file_name("adversary");
        if !program.exists() {
            // Not by us: a child of another thread could have it open for writing yet.
            let ours = std::env::current_exe().expect("this program");
            let copied = Command::new("cp").arg(ours).arg(&program).status();
            assert!(copied.expect("cp").success());
        }
        let mut command = Command::new(program);
        command.arg("monitor").arg(self.daemon.configuration());
        self.daemon.adopt(&mut command);
        self.daemon.spawn(command);
    }

    fn is_there(&self, number: usize, what: &str) -> bool {
        self.directory.join(format!("{number}.{what}")).exists()
    }

    /// What was wrong: each has been played, and only a peer that said what it may say is still
    /// there after it.
    fn judge(&self, number: usize, scenario: &Scenario) -> Option<String> {
        if !self.is_there(number, "begun") {
            Some(format!("{number} {scenario:?} did not begin"))
        } else if self.is_there(number, "alive") != scenario.permitted {
            let what = match scenario.permitted {
                true => "was killed",
                false => "lived on",
            };
            Some(format!("{number} {scenario:?} {what}"))
        } else {
            None
        }
    }
}

fn complain(wrong: &[String]) {
    assert!(wrong.is_empty(), "{}:\n{}", wrong.len(), wrong.join("\n"));
}

fn a_front_that_says_what_it_may_not_is_killed_and_lets_nobody_in() {
    as_root!();
    let scenarios = scenarios::of_front();
    // A monitor waits longer and longer before it starts a front anew that keeps dying, so several
    // play a few scenarios each.
    let next = AtomicUsize::new(0);
    let wrong = Mutex::new(Vec::new());
    std::thread::scope(|scope| {
        for _ in 0..STAGES {
            scope.spawn(|| {
                loop {
                    let from = next.fetch_add(EACH, Ordering::Relaxed);
                    if from >= scenarios.len() {
                        return;
                    }
                    let end = scenarios.len().min(from + EACH);
                    let found = fronts(&scenarios, from, end);
                    wrong.lock().expect("no panic").extend(found);
                }
            });
        }
    });
    complain(&wrong.into_inner().expect("no panic"));
}

/// Scenarios `from..end` with one monitor, and a login through the front that follows them.
fn fronts(scenarios: &[Scenario], from: usize, end: usize) -> Vec<String> {
    let mut stage = Stage::new("front");
    stage.play(from, end);
    stage.spawn();
    stage.daemon.wait_for_greeting();
    let log = stage.daemon.log();
    assert!(
        !log.contains("user=<root>") && !log.contains("panicked"),
        "{log}"
    );
    let mut client = stage.daemon.dial();
    client.ok("LOGIN ann secret");
    client.ok("SELECT INBOX");
    let judge = |number| stage.judge(number, &scenarios[number]);
    (from..end).filter_map(judge).collect()
}

fn a_session_that_says_what_it_may_not_is_killed_and_no_other() {
    as_root!();
    let scenarios = scenarios::of_session();
    let mut stage = Stage::new("session");
    stage.spawn();
    stage.daemon.wait_for_greeting();
    // The first session is a real one, and stays.
    let mut bob = stage.daemon.dial();
    bob.ok("LOGIN bob secret");
    let (monitor, front) = (stage.daemon.monitor(), stage.daemon.front());
    for (number, scenario) in scenarios.iter().enumerate() {
        stage.play(number, number + 1);
        // The monitor may not have noticed yet that the last one has ended: then this login is lost
        // with it.
        eventually("the scenario", || {
            let mut ann = stage.daemon.tcp();
            daemon::say(&mut ann, b"a1 LOGIN ann secret\r\n");
            // The session never answers, and ends.
            let said = daemon::rest(&mut ann);
            assert!(!said.contains("a1 OK"), "{scenario:?}: {said}");
            stage.is_there(number, "begun").then_some(())
        });
        bob.ok("NOOP");
    }
    let judge = |number| stage.judge(number, &scenarios[number]);
    let wrong: Vec<String> = (0..scenarios.len()).filter_map(judge).collect();
    complain(&wrong);
    assert_eq!(
        (stage.daemon.monitor(), stage.daemon.front()),
        (monitor, front)
    );
    let mut ann = stage.daemon.dial();
    ann.ok("LOGIN ann secret");
    ann.ok("SELECT INBOX");
}

fn a_session_that_calls_closed_what_it_keeps_has_no_more_clients_than_others() {
    as_root!();
    let mut stage = Stage::new("session");
    stage
        .daemon
        .set("limits.connections_per_user_and_address = 3");
    let number = scenarios::of_session().len();
    stage.play(number, number + 1);
    stage.spawn();
    stage.daemon.wait_for_greeting();
    let mut kept: Vec<Client> = Vec::new();
    for _ in 0..3 {
        let mut ann = stage.daemon.dial_tls();
        ann.ok("LOGIN ann secret");
        kept.push(ann);
    }
    assert!(stage.is_there(number, "begun"));
    for _ in 0..2 {
        let reply = stage.daemon.dial_tls().no("LOGIN ann secret");
        reply.code("LIMIT");
    }
    let who = stage.daemon.ask(&["who"]);
    assert_eq!(who.matches("ann").count(), 3, "{who}");
    // They go with it.
    for session in stage.daemon.sessions() {
        session.signal(nix::sys::signal::Signal::SIGKILL);
    }
    eventually("room for one more", || {
        let mut ann = stage.daemon.dial_tls();
        let reply = ann.command("LOGIN ann secret");
        (reply.tagged.word() == "OK").then_some(())
    });
}

/// Monitors at a time, and scenarios for each.
const STAGES: usize = 8;
const EACH: usize = 4;

/// Nobody's on a Debian.
const UID: u32 = 58_322;

/// Of "secret".
const SCRAM: &str = "{SCRAM-SHA-256}4096,c2FsdHNhbHQ=,v9cxy4WCDtc8UMxTg6KXCtlxIku1bUKTGuWEXFC1L54=,rwGpSn6lR97mSEImO0RA7JCZ4WnpCnnKddTt3G/t6II=";
