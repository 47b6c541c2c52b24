//! What the program takes and says of itself, and what its manual says, are the same.

#![allow(clippy::print_stderr)]

use std::collections::BTreeSet;
use std::io::ErrorKind;
use std::path::Path;
use std::process::{Command, Output};

use roost::config::{Config, SETTINGS};

#[test]
fn the_manual_has_every_setting_with_its_form_and_default_and_no_other() {
    let manual = read("man/roost.8");
    let (_, settings) = manual.split_once("\n.Sh SETTINGS\n").unwrap();
    let (settings, _) = settings.split_once("\n.Sh ").unwrap();
    let items: Vec<&str> = settings.split("\n.It Cm ").skip(1).collect();
    assert_eq!(items.len(), SETTINGS.len());

    let defaults = Config::default();
    for (setting, item) in SETTINGS.iter().zip(items) {
        let (head, text) = item.split_once('\n').unwrap();
        let head = head.replace(" Ns = Ns ", "=").replace(" | ", "|");
        let head = head
            .replace("Cm ", "")
            .replace("Ar ", "")
            .replace("\\&", "");
        assert_eq!(head, format!("{}={}", setting.name, setting.form));
        let value = match setting.value(&defaults).as_str() {
            "/" => "slash".to_owned(),
            "" => "The default is to".to_owned(),
            value => value.to_owned(),
        };
        assert!(
            text.contains(&value),
            "{}: the default {value} is missing",
            setting.name
        );
    }
}

#[test]
fn the_manual_has_every_option_and_no_other() {
    let manual = read("man/roost.8");
    let (_, options) = manual.split_once("\n.Sh OPTIONS\n").unwrap();
    let (options, _) = options.split_once("\n.Sh ").unwrap();
    let in_manual: BTreeSet<String> = options
        .lines()
        .filter_map(|line| line.strip_prefix(".It "))
        .map(|line| long_option(line, "Fl -"))
        .collect();

    let help = String::from_utf8(roost(&["--help"]).stdout).unwrap();
    let in_help: BTreeSet<String> = help
        .lines()
        .filter(|line| line.trim_start().starts_with('-'))
        .map(|line| long_option(line, "--"))
        .collect();
    assert_eq!(in_manual, in_help);

    for address in [roost::solo::LISTEN, roost::solo::LISTEN_TLS] {
        assert!(
            manual.contains(address) && help.contains(address),
            "{address}"
        );
    }
    for setting in SETTINGS {
        assert!(help.contains(&format!("    {}=", setting.name)));
    }
}

#[test]
fn the_manual_pages_are_well_formed() {
    for page in ["man/roost.8", "man/roost-maildir.5"] {
        let mandoc = Command::new("mandoc")
            .args(["-T", "lint", "-W", "warning", page])
            .current_dir(env!("CARGO_MANIFEST_DIR"))
            .output();
        match mandoc {
            Ok(output) => assert!(output.status.success(), "{output:?}"),
            Err(error) if error.kind() == ErrorKind::NotFound => {
                eprintln!("skipped: mandoc is not installed");
            }
            Err(error) => panic!("{error}"),
        }
    }
}

#[test]
fn wrong_use_says_what_is_wrong_and_leaves_standard_output_alone() {
    for (arguments, status, text) in [
        (&["--preauth", "--nonsense"][..], 64, "nonsense"),
        (&["--preauth", "left"], 64, "left"),
        (&[], 64, "--help"),
        (&["try", "a", "b"], 64, "'b'"),
        (
            &["--preauth", "--set", "mail.fsync=perhaps"],
            64,
            "always|optimized|never",
        ),
        (
            &["--preauth", "--maildir", "/nonexistent/Maildir"],
            66,
            "/nonexistent/Maildir",
        ),
        (
            &[
                "try",
                "/nonexistent/Maildir",
                "--listen",
                "127.0.0.1:0",
                "--listen-tls",
                "127.0.0.1:0",
            ],
            66,
            "/nonexistent/Maildir",
        ),
        (&["try", "--listen", "0.0.0.0:1143"], 64, "0.0.0.0:1143"),
        (
            &["try", "--password-file", "/nonexistent/password"],
            66,
            "/nonexistent/password",
        ),
    ] {
        let output = roost(arguments);
        let error = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(status), "{arguments:?}: {error}");
        assert!(
            error.starts_with("roost: ") && error.contains(text),
            "{error}"
        );
        assert!(output.stdout.is_empty());
    }
}

#[test]
fn the_version_is_the_package_s() {
    let output = roost(&["--version"]);
    let version = concat!("roost ", env!("CARGO_PKG_VERSION"), "\n");
    assert_eq!(output.stdout, version.as_bytes());
}

fn roost(arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_roost"))
        .args(arguments)
        .output()
        .unwrap()
}

fn read(path: &str) -> String {
    std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join(path)).unwrap()
}

/// The name after `mark`.
fn long_option(line: &str, mark: &str) -> String {
    let (_, name) = line.split_once(mark).unwrap();
    let end = name.find([' ', '\n']).unwrap_or(name.len());
    name[..end].to_owned()
}
