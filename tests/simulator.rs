//! A simulator of races: processes of Roost and other programs at work in one folder, in one test,
//! under a scheduler that decides by a seed who makes the next file-system call.
//!
//! Each client keeps a picture of the mailbox from what it is told.  Whatever happened in whatever
//! order: what a client was told is what is there, no UID changes hands, no message goes that
//! nobody asked to delete, and flags that somebody set stay.  Then all processes end, and every
//! client comes back with what it knew at some time, and must hear all it missed (RFC 7162).
//!
//! A seed that fails is made smaller and printed as the list of calls that were made.
//!
//!     ROOST_SIMULATOR_SEED=17 cargo test --test simulator    # one seed
//!     ROOST_SIMULATOR_SEEDS=5000 cargo test --test simulator # so many, from ROOST_SIMULATOR_FIRST
//!
//! | file | what |
//! |---|---|
//! | `plan` | who does what, and who goes when: all that follows from a seed |
//! | `world` | the scheduler; the clock; the kernel's part |
//! | `disk` | what is in the directories after each call, and by whose hand |
//! | `server`, `client` | a process of Roost and its clients |
//! | `answer`, `picture` | what a client reads, and what it believes then |
//! | `registry` | UIDs, as all clients together were told of them |
//! | `outside` | deliverers, mutt, Dovecot, an administrator with a backup |
//! | `run` | a run, and the comparisons at its end |
//! | `shrink` | a smaller plan that fails as well |

#![cfg(debug_assertions)]

#[path = "simulator/answer.rs"]
mod answer;
#[path = "simulator/client.rs"]
mod client;
#[path = "simulator/disk.rs"]
mod disk;
#[path = "simulator/outside.rs"]
mod outside;
#[path = "simulator/picture.rs"]
mod picture;
#[path = "simulator/plan.rs"]
mod plan;
#[path = "simulator/random.rs"]
mod random;
#[path = "simulator/registry.rs"]
mod registry;
#[path = "simulator/run.rs"]
mod run;
#[path = "simulator/server.rs"]
mod server;
#[path = "simulator/shrink.rs"]
mod shrink;
#[path = "simulator/world.rs"]
mod world;

use std::collections::BTreeMap;
use std::fmt::Write;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};

use plan::Plan;
use run::run;
use world::Failure;

#[test]
fn whoever_goes_first_everybody_is_told_the_truth() {
    let number = |name: &str| {
        let value = std::env::var(name).ok()?;
        Some(value.parse::<u64>().expect("a number"))
    };
    if let Some(seed) = number("ROOST_SIMULATOR_SEED") {
        return explain(&search(seed, 1));
    }
    let first = number("ROOST_SIMULATOR_FIRST").unwrap_or(1);
    let seeds = number("ROOST_SIMULATOR_SEEDS").unwrap_or(SEEDS);
    explain(&search(first, seeds));
}

/// The seeds that fail, and why.
fn search(first: u64, seeds: u64) -> BTreeMap<u64, Failure> {
    let next = AtomicU64::new(first);
    let found = Mutex::new(BTreeMap::new());
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    std::thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(|| {
                loop {
                    let seed = next.fetch_add(1, Ordering::Relaxed);
                    if seed >= first + seeds {
                        return;
                    }
                    if let Some(failure) = run(&Plan::from_seed(seed), false).failure {
                        found.lock().unwrap().insert(seed, failure);
                    }
                }
            });
        }
    });
    found.into_inner().unwrap()
}

/// Names the seeds that fail; of each kind of fault one is made small, and told call by call.
fn explain(failed: &BTreeMap<u64, Failure>) {
    let mut report = String::new();
    for (seed, failure) in failed {
        let _ = writeln!(report, "seed {seed}: {}: {}", failure.kind, failure.text);
    }
    let mut kinds = BTreeMap::new();
    for (&seed, failure) in failed {
        kinds.entry(failure.kind).or_insert(seed);
    }
    for (kind, seed) in kinds {
        let is_same = |plan: &Plan| run(plan, false).failure.is_some_and(|f| f.kind == kind);
        let small = shrink::shrink(Plan::from_seed(seed), &is_same, SHRINKING);
        let script = run(&small, true).trace.join("\n");
        let _ = writeln!(report, "\n== seed {seed}\n{small}\n{script}");
    }
    assert!(failed.is_empty(), "{report}");
}

/// A seed gives the same run at any time, whatever ran before.
#[test]
fn a_seed_gives_the_same_run_every_time() {
    for seed in 1..20 {
        let plan = Plan::from_seed(seed);
        let first = run(&plan, true).trace;
        let second = run(&plan, true).trace;
        let differ = first.iter().zip(&second).position(|(a, b)| a != b);
        if let Some(at) = differ {
            panic!("seed {seed}, {at}: {} and {}", first[at], second[at]);
        }
        assert_eq!(first.len(), second.len(), "seed {seed}");
    }
}

/// How many smaller plans are tried.
const SHRINKING: usize = 500;

/// How many seeds every run of the tests has time for.  A command of its own tries more.
const SEEDS: u64 = 400;
