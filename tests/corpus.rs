//! Replays the inputs of the fuzz targets: those written by hand, and what fuzzing found that once
//! went wrong or goes new ways.  `tests/fuzz/README.md` says how they are made.

use std::collections::BTreeSet;
use std::panic::catch_unwind;
use std::path::{Path, PathBuf};
use targets::{TARGETS, Target};

#[path = "fuzz/targets/mod.rs"]
mod targets;

#[test]
fn no_input_of_the_corpora_breaks_a_promise() {
    let mut broken = Vec::new();
    for target in TARGETS {
        for path in target.corpora.iter().flat_map(|folder| inputs(folder)) {
            let input = std::fs::read(&path).expect("an input");
            if catch_unwind(|| (target.run)(&input)).is_err() {
                broken.push(format!("{} {}", target.name, path.display()));
            }
        }
    }
    assert!(broken.is_empty(), "{broken:#?}");
}

#[test]
fn every_target_has_inputs_and_every_input_a_target() {
    let known: BTreeSet<PathBuf> = TARGETS
        .iter()
        .flat_map(|target| target.corpora)
        .map(|folder| corpus(folder))
        .collect();
    for folder in &known {
        assert!(folder.is_dir(), "{} is missing", folder.display());
    }
    for folder in entries(&corpus("")) {
        let other = OTHER_FOLDERS.iter().any(|name| folder.ends_with(name));
        assert!(other || known.contains(&folder), "{}", folder.display());
    }
}

#[test]
fn every_target_is_built_for_the_fuzzer() {
    let fuzz = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fuzz");
    let manifest = std::fs::read_to_string(fuzz.join("Cargo.toml")).expect("a manifest");
    for Target { name, .. } in TARGETS {
        let file = fuzz.join(format!("fuzz_targets/{name}.rs"));
        let source = std::fs::read_to_string(file).unwrap_or_default();
        assert!(source.contains(&format!("run(\"{name}\"")), "{name}");
        let entry = format!("[[bin]]\nname = \"{name}\"\npath = \"fuzz_targets/{name}.rs\"\ntest");
        assert!(manifest.contains(&entry), "{name}");
        targets::run(name, b"");
    }
}

fn inputs(folder: &str) -> Vec<PathBuf> {
    entries(&corpus(folder))
}

fn entries(directory: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(directory).expect("a directory");
    let mut paths: Vec<PathBuf> = entries
        .map(|entry| entry.expect("an entry").path())
        .collect();
    paths.sort();
    paths
}

fn corpus(folder: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests/corpus")
        .join(folder)
}

/// What else lies in `tests/corpus`.
const OTHER_FOLDERS: &[&str] = &["maildirs"];
