//! `roost import-dovecot` and `roost import-courier` with whole configurations.
//!
//! A directory of `tests/import` is a configuration as a host has it; `expected` beside it is what
//! is printed.  With `ROOST_WRITE_IMPORTS=1` that file is written anew.

// A test says what it skips.
#![allow(clippy::print_stderr)]

use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};

use roost::config::Config;

/// Each configuration, and how the import of it ends.
const DOVECOTS: &[(&str, i32)] = &[
    ("debian12", 0),
    ("debian12-mbox", 78),
    ("debian13", 1),
    ("emailwiz", 1),
    ("file", 0),
    ("mixture", 1),
    ("sql", 1),
    ("sql24", 0),
    ("broken", 66),
    ("crypt", 78),
];

#[test]
fn each_configuration_of_dovecot_becomes_what_is_beside_it() {
    for (name, status) in DOVECOTS {
        let directory = directory(name);
        let output = roost(
            &["import-dovecot", &path(&directory.join("dovecot.conf"))],
            None,
        );
        compare(&directory, &output, *status);
    }
}

#[test]
fn each_configuration_of_courier_becomes_what_is_beside_it() {
    for (name, status) in [("courier", 1), ("courier-plain", 0)] {
        let directory = directory(name);
        let output = roost(&["import-courier", &path(&directory)], None);
        compare(&directory, &output, status);
    }
}

/// What is printed, and what `roost check` says of it.
#[track_caller]
fn compare(directory: &Path, output: &Output, status: i32) {
    let (printed, error) = (text(&output.stdout), text(&output.stderr));
    assert_eq!(
        output.status.code(),
        Some(status),
        "{}\n{printed}{error}",
        directory.display()
    );
    let printed = printed.replace(&path(directory), "/etc");
    let error = error.replace(&path(directory), "/etc");
    let found = match status {
        0 | 1 => printed.clone(),
        _ => error,
    };
    let expected = directory.join("expected");
    if std::env::var_os("ROOST_WRITE_IMPORTS").is_some() {
        fs::write(&expected, &found).expect("written");
    }
    let expected = fs::read_to_string(expected).expect("a text");
    assert_eq!(found, expected, "{}", directory.display());
    if let 0 | 1 = status {
        accepted(&printed);
    } else {
        assert_eq!(printed, "", "{}", directory.display());
    }
}

#[track_caller]
fn accepted(printed: &str) -> Config {
    static COUNT: AtomicU32 = AtomicU32::new(0);
    let (process, count) = (std::process::id(), COUNT.fetch_add(1, Ordering::Relaxed));
    let file = std::env::temp_dir().join(format!("roost-import-{process}-{count}"));
    fs::write(&file, printed).expect("written");
    let check = roost(&["check", "--no-files", &path(&file)], None);
    fs::remove_file(&file).expect("removed");
    assert_eq!(
        check.status.code(),
        Some(0),
        "{printed}\n{}",
        text(&check.stderr)
    );
    let (config, _) = Config::load(printed, &[]).expect("a configuration");
    config
}

/// doveconf has another order, and shows what Dovecot understands.
#[test]
fn what_doveconf_prints_of_a_configuration_becomes_the_same() {
    if !has_doveconf() {
        return;
    }
    for name in ["debian12", "emailwiz", "file"] {
        let main = path(&directory(name).join("dovecot.conf"));
        let printed = Command::new("doveconf")
            .args(["-n", "-P", "-c", &main])
            .output()
            .expect("doveconf");
        assert!(printed.status.success(), "{}", text(&printed.stderr));
        let from_text = roost(&["import-dovecot", "-"], Some(&printed.stdout));
        let from_files = roost(&["import-dovecot", &main], None);
        assert_eq!(
            from_text.status.code(),
            from_files.status.code(),
            "{}",
            text(&from_text.stdout)
        );
        let [from_text, from_files] =
            [from_text, from_files].map(|output| accepted(&text(&output.stdout)));
        assert_eq!(from_text.lines(), from_files.lines(), "{name}");
    }
}

#[test]
fn every_setting_that_the_dovecot_of_this_host_knows_is_known() {
    if !has_doveconf() {
        return;
    }
    let main = path(&directory("emailwiz").join("dovecot.conf"));
    let printed = Command::new("doveconf")
        .args(["-a", "-c", &main])
        .output()
        .expect("doveconf");
    let imported = roost(&["import-dovecot", "-"], Some(&printed.stdout));
    let imported = text(&imported.stdout);
    assert!(imported.contains("[mail]"), "{imported}");
    assert!(!imported.contains("Not understood"), "{imported}");
}

#[test]
fn what_is_no_file_cannot_be_imported() {
    for (file, words) in [
        ("/nonexistent/dovecot.conf", "/nonexistent/dovecot.conf: "),
        ("/", "it is no file"),
        ("/dev/null", "it is no file"),
    ] {
        let output = roost(&["import-dovecot", file], None);
        assert_eq!(output.status.code(), Some(66), "{file}");
        assert!(
            text(&output.stderr).contains(words),
            "{}",
            text(&output.stderr)
        );
    }
    let output = roost(&["import-dovecot", "-"], Some(b"a {"));
    assert_eq!(output.status.code(), Some(66));
    let error = "roost: standard input:1: the section a that begins here is not closed\n";
    assert_eq!(text(&output.stderr), error);
}

fn has_doveconf() -> bool {
    let found = Command::new("doveconf").arg("-h").arg("protocols").output();
    let is_there = found.is_ok();
    if !is_there {
        eprintln!("skipped: doveconf is not installed (Debian: dovecot-core)");
    }
    is_there
}

fn directory(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests/import")
        .join(name)
}

fn path(path: &Path) -> String {
    path.to_str().expect("UTF-8").to_owned()
}

fn text(octets: &[u8]) -> String {
    String::from_utf8(octets.to_vec()).expect("UTF-8")
}

fn roost(arguments: &[&str], input: Option<&[u8]>) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_roost"));
    command
        .args(arguments)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    let mut child = command.spawn().expect("roost");
    let mut stdin = child.stdin.take().expect("its input");
    stdin.write_all(input.unwrap_or_default()).expect("written");
    drop(stdin);
    child.wait_with_output().expect("its output")
}
