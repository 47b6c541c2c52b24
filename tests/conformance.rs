//! Runs the scripts in `conformance/` against Roost and against Dovecot.
//!
//! A script is named for the RFC and section it is about. What one may say is told in
//! `conformance/README.md`. `CONFORMANCE=copyuid cargo test --test conformance` runs those with
//! that in their names and prints the conversations.

// A test says what it skips and what it measured.
#![allow(clippy::print_stderr)]

mod support;

#[path = "conformance/script.rs"]
mod script;

use std::fs;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};

use script::Script;
use support::{Program, skip};

macro_rules! conformance {
    ($($name:ident $prefix:literal),* $(,)?) => {
        mod on_roost {
            $(#[test] fn $name() { super::run($prefix, super::Program::Roost); })*
        }
        mod through_the_daemon {
            $(#[test] fn $name() { super::run($prefix, super::Program::Daemon); })*
        }
        mod on_dovecot {
            $(#[test] fn $name() { super::run($prefix, super::Program::Dovecot); })*
        }
        const PREFIXES: &[&str] = &[$($prefix),*];
    };
}

conformance! {
    imap4rev1_any_state "rfc3501-6.1",
    imap4rev1_authenticated_state "rfc3501-6.3",
    imap4rev1_selected_state "rfc3501-6.4",
    imap4rev1_responses "rfc3501-7",
    imap4rev1_syntax "rfc3501-9",
    imap4rev1_conventions "rfc3501-5",
    imap4rev2 "rfc9051",
    id "rfc2971",
    children "rfc3348",
    multiappend "rfc3502",
    binary "rfc3516",
    unselect "rfc3691",
    uidplus "rfc4315",
    esearch "rfc4731",
    within "rfc5032",
    enable "rfc5161",
    searchres "rfc5182",
    list_extended "rfc5258",
    response_codes "rfc5530",
    list_status "rfc5819",
    special_use "rfc6154",
    move_ "rfc6851",
    condstore "rfc7162-3.1",
    qresync "rfc7162-3.2",
    literals "rfc7888",
    appendlimit "rfc7889",
    status_size "rfc8438",
    objectid "rfc8474",
    savedate "rfc8514",
    idle "rfc2177",
    namespace "rfc2342",
}

/// Runs every script with this prefix; fails with all that went wrong.
fn run(prefix: &str, program: Program) {
    if let Some(why) = program.missing() {
        if program == Program::Daemon {
            eprintln!("skipped: {why}");
            return;
        }
        skip!("{why}");
    }
    let wanted = std::env::var("CONFORMANCE").unwrap_or_default();
    let mut failures = Vec::new();
    let mut ran = 0;
    for path in scripts()
        .into_iter()
        .filter(|path| name(path).starts_with(prefix))
    {
        let name = name(&path);
        if !name.contains(&wanted) {
            continue;
        }
        let script = Script::parse(&fs::read_to_string(&path).expect("a script"))
            .unwrap_or_else(|why| panic!("{name}: {why}"));
        if let Some(why) = script.reason_to_skip(program) {
            eprintln!("skipped: {name}: {why}");
            continue;
        }
        ran += 1;
        let differs = program == Program::Dovecot && support::differs_from_dovecot(&name);
        // A client gives up by a panic: nothing comes, or what comes is no IMAP.
        let loud = !wanted.is_empty();
        let outcome = catch_unwind(AssertUnwindSafe(|| script.run(program, loud)))
            .unwrap_or_else(|panic| Err(said(panic)));
        match (outcome, differs) {
            (Ok(()), false) | (Err(_), true) => {}
            (Ok(()), true) => failures.push(format!("{name}: passes, but differences.md lists it")),
            (Err(why), false) => failures.push(format!("{name}: {why}")),
        }
    }
    assert!(failures.is_empty(), "{}", failures.join("\n\n"));
    eprintln!("{ran} scripts {prefix}* on {program:?}");
}

/// What a panic said.
fn said(panic: Box<dyn std::any::Any + Send>) -> String {
    panic
        .downcast::<String>()
        .map_or_else(|_| "a panic".to_owned(), |said| *said)
}

#[test]
fn every_script_belongs_to_a_test() {
    for path in scripts() {
        let name = name(&path);
        let tests = PREFIXES
            .iter()
            .filter(|prefix| name.starts_with(**prefix))
            .count();
        assert_eq!(tests, 1, "{name} is run by {tests} tests");
    }
}

fn scripts() -> Vec<PathBuf> {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/conformance");
    let mut scripts: Vec<PathBuf> = fs::read_dir(directory)
        .expect("the scripts")
        .map(|entry| entry.expect("an entry").path())
        .filter(|path| {
            path.extension()
                .is_some_and(|extension| extension == "imap")
        })
        .collect();
    scripts.sort();
    scripts
}

fn name(path: &Path) -> String {
    path.file_name()
        .unwrap_or_default()
        .to_string_lossy()
        .into_owned()
}
