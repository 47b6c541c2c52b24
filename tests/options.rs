//! What the program takes and says of itself, and what its manual says, are the same.

#![allow(clippy::print_stderr)]

use std::collections::BTreeSet;
use std::io::ErrorKind;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::Path;
use std::process::{Command, Output};
use std::time::SystemTime;

use roost::commands::{COMMANDS, CommandOption, PROGRAM, SUCCESS_AND_USAGE, Subcommand};
use roost::config::{Config, SETTINGS};
use roost::net::tls::make_self_signed;

#[test]
fn the_manual_has_every_setting_with_its_form_and_default_and_no_other() {
    let manual = read("man/roost.toml.5");
    let (_, settings) = manual.split_once("\n.Sh SETTINGS\n").unwrap();
    let (settings, _) = settings.split_once("\n.Sh ").unwrap();
    let mut found = Vec::new();
    for section in settings.split("\n.Ss [").skip(1) {
        let (group, items) = section.split_once("]\n").unwrap();
        for item in items.split("\n.It Cm ").skip(1) {
            let (key, text) = item.split_once('\n').unwrap();
            let (form, meaning) = text.split_once("\n.Pp\n").unwrap();
            assert!(!meaning.trim().is_empty(), "{key}");
            found.push((format!("{group}.{key}"), form.replace('\n', " ")));
        }
    }
    let defaults = Config::default();
    for (setting, found) in SETTINGS.iter().zip(&found) {
        let (form, default) = (setting.toml_form(), setting.toml_value(&defaults));
        let form = format!("{form}; the default is {default}.");
        assert_eq!(*found, (setting.name.to_owned(), form));
    }
    assert_eq!(found.len(), SETTINGS.len());
}

#[test]
fn the_example_has_every_setting_at_its_default_and_commented_out() {
    let example = read("packaging/roost.toml");
    let lines: Vec<&str> = example
        .lines()
        .map(|line| match line.strip_prefix('#') {
            Some(rest) if rest.starts_with(|c: char| c == '[' || c.is_ascii_lowercase()) => rest,
            _ => line,
        })
        .collect();
    let (mut group, mut found) = ("", Vec::new());
    for line in &lines {
        if let Some(section) = line.strip_prefix('[') {
            group = section.trim_end_matches(']');
        } else if let Some((key, value)) = line.split_once(" = ")
            && !line.starts_with('#')
        {
            let group = group.replace("mailbox.Sent", "mailbox.NAME");
            found.push((format!("{group}.{key}"), value.to_owned()));
        }
    }
    let defaults = Config::default();
    let settings = SETTINGS
        .iter()
        .map(|setting| (setting.name.to_owned(), setting.toml_value(&defaults)));
    assert_eq!(found, settings.collect::<Vec<_>>());

    for text in [lines.join("\n"), example] {
        assert_eq!(
            Config::load(&text, &[]),
            Ok((Config::default(), Vec::new()))
        );
    }
    // What it shows as examples is right too, where it is whole lines.
    assert!(
        Config::load(
            "[mailbox.Sent]\nauto = \"subscribe\"\nspecial_use = \"Sent\"",
            &[]
        )
        .is_ok()
    );
}

#[test]
fn the_examples_of_the_manual_pass_the_check() {
    let manual = read("man/roost.toml.5");
    let (_, examples) = manual.split_once("\n.Sh EXAMPLES\n").unwrap();
    let examples: Vec<&str> = examples
        .split(".Bd -literal -offset indent\n")
        .skip(1)
        .map(|example| example.split_once(".Ed").unwrap().0)
        .collect();
    assert!(examples.len() > 4);
    for example in examples {
        let file = Temporary::file(&example.replace("\\e", "\\"));
        let output = roost(&["check", "--no-files", file.path()]);
        let error = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(0), "{example}{error}");
        assert_eq!(error, "", "{example}");
    }
}

#[test]
fn what_config_prints_passes_the_check_and_says_the_same_again() {
    let settings = [
        "mail.fsync=never",
        "tls.min_version=1.3",
        "mailbox.Sent Items.special_use=Sent",
        "auth.sources=passwd-file:/etc/roost/users,dovecot:/run/dovecot,pam",
        "limits.connections=7",
        "mail.index_dir=/var/index/%u \\\"",
    ];
    for option in [&[][..], &["--all"]] {
        let mut arguments = [&["config", "--config", "/dev/null"], option].concat();
        arguments.extend(settings.iter().flat_map(|setting| ["--set", setting]));
        let first = roost(&arguments);
        assert_eq!(first.status.code(), Some(0), "{first:?}");

        let file = Temporary::file(std::str::from_utf8(&first.stdout).unwrap());
        let check = roost(&["check", "--no-files", file.path()]);
        assert_eq!(check.status.code(), Some(0), "{check:?}");
        let again = roost(&[&["config", "--config", file.path()], option].concat());
        assert_eq!(again.stdout, first.stdout);
    }
    let nothing = roost(&["config", "--config", "/dev/null"]);
    assert_eq!(nothing.stdout, b"");
}

#[test]
fn the_check_tells_every_mistake_with_its_place() {
    let file = Temporary::file("[mail]\nfsync = \"no\"\n[tls\nkey = 1\n[imap]\n");
    let output = roost(&["check", file.path()]);
    assert_eq!(output.status.code(), Some(78));
    assert!(output.stdout.is_empty());
    let error = String::from_utf8(output.stderr).unwrap();
    let places: Vec<&str> = error
        .lines()
        .filter_map(|line| line.strip_prefix(&format!("roost: {}:", file.path())))
        .filter_map(|line| line.split(": ").next())
        .collect();
    assert_eq!(places.len(), error.lines().count(), "{error}");
    assert!(
        places.contains(&"2:9") && places.contains(&"5:2"),
        "{error}"
    );
    assert!(
        places.iter().any(|place| place.starts_with("3:")),
        "{error}"
    );
}

#[test]
fn the_check_looks_at_the_files_that_are_named() {
    let file = Temporary::file(
        "[tls]\ncertificate = \"/nonexistent/cert\"\nkey = \"/nonexistent/key\"\n\
         [auth]\nsources = \"passwd-file:/nonexistent/users\"\n\
         [listen]\nsasl = \"/nonexistent/private/auth\"\nsasl_owner = \"nonexistent\"\n",
    );
    let output = roost(&["check", file.path()]);
    assert_eq!(output.status.code(), Some(78));
    let error = String::from_utf8(output.stderr).unwrap();
    for text in [
        "tls.certificate: /nonexistent/cert: ",
        "tls.key: /nonexistent/key: ",
        "auth.sources: /nonexistent/users: ",
        "listen.sasl: ",
        "listen.sasl_owner: ",
    ] {
        assert!(error.contains(text), "{error}");
    }
    assert_eq!(
        roost(&["check", "--no-files", file.path()]).status.code(),
        Some(0)
    );
}

#[test]
fn the_check_knows_which_key_belongs_to_which_certificate() {
    let make = || {
        let (chain, key) = make_self_signed(&["mail.example.org"], SystemTime::now()).unwrap();
        (Temporary::file(&chain), Temporary::file(&key))
    };
    let (first, second) = (make(), make());
    for (key, authority, status, text) in [
        (&first.1, &first.0, 0, ""),
        (
            &second.1,
            &first.0,
            78,
            "does not belong to the certificate",
        ),
        (&first.0, &first.0, 78, "there is no private key in it"),
        (&first.1, &first.1, 78, "tls.client_ca: "),
    ] {
        let output = roost(&[
            "check",
            "--config",
            "/dev/null",
            "--set",
            &format!("tls.certificate={}", first.0.path()),
            "--set",
            &format!("tls.key={}", key.path()),
            "--set",
            &format!("tls.client_ca={}", authority.path()),
            "--set",
            "tls.client_certificate=optional",
        ]);
        let error = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(status), "{error}");
        assert!(error.contains(text), "{error}");
    }
}

#[test]
fn the_check_warns_of_a_key_for_all_and_of_addresses_that_are_not_here() {
    use std::os::unix::fs::PermissionsExt;
    let (chain, key) = make_self_signed(&["mail.example.org"], SystemTime::now()).unwrap();
    let (chain, key) = (Temporary::file(&chain), Temporary::file(&key));
    let check = |mode| {
        std::fs::set_permissions(key.path(), std::fs::Permissions::from_mode(mode)).unwrap();
        let output = roost(&[
            "check",
            "--config",
            "/dev/null",
            "--set",
            &format!("tls.certificate={}", chain.path()),
            "--set",
            &format!("tls.key={}", key.path()),
            "--set",
            "listen.imap=127.0.0.1:143 192.0.2.77:143",
        ]);
        assert_eq!(output.status.code(), Some(0), "{output:?}");
        String::from_utf8(output.stderr).unwrap()
    };
    let told = check(0o644);
    assert!(told.contains("everybody on this host may read"), "{told}");
    assert!(told.contains("no address 192.0.2.77"), "{told}");
    assert!(!told.contains("127.0.0.1"), "{told}");
    assert!(!check(0o640).contains("everybody on this host"));
}

#[test]
fn listeners_that_overlap_are_wrong() {
    for (imap, imaps, is_wrong) in [
        ("143", "993", false),
        ("143", "127.0.0.1:143", true),
        ("127.0.0.1:143", "143", true),
        ("0.0.0.0:143", "127.0.0.1:143", true),
        ("0.0.0.0:143", "[::1]:143", false),
        ("[::]:143", "[::1]:143", true),
        ("127.0.0.1:143", "127.0.0.2:143", false),
        ("127.0.0.1:143", "127.0.0.1:143", true),
    ] {
        let output = roost(&[
            "check",
            "--no-files",
            "--config",
            "/dev/null",
            "--set",
            &format!("listen.imap={imap}"),
            "--set",
            &format!("listen.imaps={imaps}"),
        ]);
        let error = String::from_utf8(output.stderr).unwrap();
        let expected = if is_wrong { 78 } else { 0 };
        assert_eq!(
            output.status.code(),
            Some(expected),
            "{imap} {imaps} {error}"
        );
        assert!(!is_wrong || error.contains("143"), "{error}");
    }
}

#[test]
fn the_manual_has_every_command_as_the_table_has_it() {
    let manual = read("man/roost.8");
    let usages: Vec<String> = section(&manual, "SYNOPSIS")
        .split(".Nm\n")
        .skip(1)
        .map(plain)
        .collect();
    let of_table: Vec<String> = every_command()
        .flat_map(|command| {
            let usages = command.usage.iter();
            usages.map(|usage| format!("{} {usage}", command.name).trim().to_owned())
        })
        .collect();
    assert_eq!(usages, of_table);

    let mut items = section(&manual, "COMMANDS").split("\n.It Cm ").skip(1);
    for command in COMMANDS {
        let item = items.next().unwrap_or_default();
        let (head, text) = item.split_once('\n').unwrap();
        assert_eq!(head.split(' ').next(), Some(command.name));
        assert!(plain(text).starts_with(command.summary), "{item}");
        let (general, own): (Vec<_>, Vec<_>) = command
            .options
            .iter()
            .partition(|option| ["config", "set", "help"].contains(&option.name));
        assert_options(text, &own);
        let general_options = match command.name {
            "help" | "import-dovecot" | "import-courier" => 1,
            _ => 3,
        };
        assert_eq!(general.len(), general_options, "{}", command.name);
    }
    assert_eq!(items.next(), None);
    let of_program: Vec<_> = PROGRAM.options.iter().collect();
    assert_options(section(&manual, "OPTIONS"), &of_program);

    let statuses: BTreeSet<String> = every_command()
        .flat_map(|command| SUCCESS_AND_USAGE.iter().chain(command.exit))
        .map(|(status, _)| status.to_string())
        .collect();
    let in_manual: BTreeSet<String> = section(&manual, "EXIT STATUS")
        .lines()
        .filter_map(|line| line.strip_prefix(".It "))
        .map(str::to_owned)
        .collect();
    assert_eq!(in_manual, statuses);
    for command in every_command() {
        let (line, _) = command.example;
        let shown =
            |prompt: char| section(&manual, "EXAMPLES").contains(&format!("{prompt} {line}\n"));
        assert!(shown('#') || shown('$'), "{line}");
    }
}

/// The manual explains these options, in this order, and no others, in the words of the help.
fn assert_options(text: &str, options: &[&CommandOption]) {
    let items: Vec<(String, String)> = text
        .split("\n.It ")
        .skip(1)
        .filter(|item| item.starts_with("Fl "))
        .filter_map(|item| item.split_once('\n'))
        .map(|(head, text)| (plain(head), plain(text)))
        .collect();
    assert_eq!(items.len(), options.len(), "{text}");
    for ((head, text), option) in items.iter().zip(options) {
        assert_eq!(*head, shown(option));
        let help = option.help.replace('`', "");
        assert!(text.starts_with(&help), "{text}: {help}");
    }
}

#[test]
fn help_of_a_command_says_how_to_call_it_what_it_does_and_how_it_ends() {
    for command in every_command() {
        let asked = match command.name {
            "" => [vec!["help"], vec!["--help"], vec!["-h"]],
            name => [vec!["help", name], vec![name, "--help"], vec![name, "-h"]],
        };
        let texts = asked.map(|arguments| {
            let output = roost(&arguments);
            assert_eq!(output.status.code(), Some(0), "{output:?}");
            assert!(output.stderr.is_empty());
            String::from_utf8(output.stdout).unwrap()
        });
        let [text, ..] = &texts;
        assert!(texts.iter().all(|other| other == text));

        // Lines are broken where the terminal ends.
        let text = text.split_whitespace().collect::<Vec<_>>().join(" ");
        let has = |part: &str| {
            let part = part.split_whitespace().collect::<Vec<_>>().join(" ");
            assert!(text.contains(&part), "{text}: {part}");
        };
        for usage in command.usage {
            has(&format!("{} {usage}", command.call()));
        }
        has(command.summary);
        has(command.details);
        for option in command.options {
            has(&format!("{} {}", shown(option), option.help));
        }
        for (status, meaning) in SUCCESS_AND_USAGE.iter().chain(command.exit) {
            has(&format!("{status} {meaning}"));
        }
        has(&format!(
            "Example: {} {}",
            command.example.0, command.example.1
        ));
    }
    let program = String::from_utf8(roost(&["help"]).stdout).unwrap();
    let words: Vec<&str> = program.split_whitespace().collect();
    for command in COMMANDS {
        let begin = format!("    {:14}  ", command.name);
        assert!(program.lines().any(|shown| shown.starts_with(&begin)));
        let line = format!(" {} {} ", command.name, command.summary);
        assert!(words.join(" ").contains(&line), "{line}");
    }
}

#[test]
fn help_lists_the_settings_with_their_defaults() {
    let help = String::from_utf8(roost(&["help", "settings"]).stdout).unwrap();
    let defaults = Config::default();
    for setting in SETTINGS {
        let line = format!("{}={}", setting.name, setting.value(&defaults));
        assert!(help.lines().any(|shown| shown == line), "{line}");
    }
}

#[test]
fn the_manual_and_the_help_know_where_try_listens() {
    let manual = read("man/roost.8");
    let help = String::from_utf8(roost(&["help", "try"]).stdout).unwrap();
    for address in [roost::solo::LISTEN, roost::solo::LISTEN_TLS] {
        assert!(manual.contains(address), "{address}");
        assert!(help.contains(address), "{address}");
    }
}

#[test]
fn a_mistyped_command_or_option_is_answered_with_the_one_that_was_meant() {
    for (arguments, answer) in [
        (
            &["chek"][..],
            "there is no command \"chek\"; did you mean \"check\"?\n`roost help` says more",
        ),
        (
            &["help", "relaod"],
            "there is no command \"relaod\"; did you mean \"reload\"?\n`roost help` says more",
        ),
        (
            &["start"],
            "there is no command \"start\"\n`roost help` says more",
        ),
        (
            &["--config", "/dev/null", "who"],
            "the command comes first: roost who ..\n`roost help` says more",
        ),
        (
            &["check", "--nofiles"],
            "there is no option \"--nofiles\"; did you mean \"--no-files\"?\n\
             `roost help check` says more",
        ),
        (
            &["--preuath"],
            "there is no option \"--preuath\"; did you mean \"--preauth\"?\n`roost help` says more",
        ),
        (
            &["who", "--all"],
            "there is no option \"--all\" of `roost who`; `roost config` has it\n\
             `roost help who` says more",
        ),
        (
            &["who", "-x"],
            "there is no option \"-x\"\n`roost help who` says more",
        ),
        (
            &["try", "--user"],
            "--user takes NAME\n`roost help try` says more",
        ),
        (
            &["config", "--all=yes"],
            "--all takes no argument\n`roost help config` says more",
        ),
        (
            &["config", "--set", "mail.fsnyc=never"],
            "--set: there is no setting \"mail.fsnyc\"; did you mean \"mail.fsync\"?",
        ),
    ] {
        let output = roost(arguments);
        let error = String::from_utf8(output.stderr).unwrap();
        assert_eq!(error, format!("roost: {answer}\n"), "{arguments:?}");
        let is_usage = answer.contains("says more");
        assert_eq!(output.status.code(), Some(if is_usage { 64 } else { 78 }));
        assert!(output.stdout.is_empty());
    }
}

#[test]
fn the_manual_pages_are_well_formed() {
    for page in [
        "man/roost.8",
        "man/roost.toml.5",
        "man/roost-maildir.5",
        "man/roost-migrate.7",
    ] {
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
        (&["--nonsense"], 64, "roost help"),
        (&["try", "a", "b"], 64, "\"b\""),
        (&["--maildir", "/x"], 64, "--preauth"),
        (&["kick"], 64, "USER"),
        (&["kick", "bob", "--session", "x"], 64, "USER"),
        (&["auth-test"], 64, "USER"),
        (&["who", "bob"], 64, "\"bob\""),
        (&["front"], 64, "roost itself starts this role"),
        (&["session"], 64, "roost itself starts this role"),
        (&["session", "x"], 64, "a command of roost itself"),
        (
            &["check", "/nonexistent/roost.toml"],
            78,
            "/nonexistent/roost.toml",
        ),
        (
            &["config", "--set", "mail.fsync=perhaps"],
            78,
            "always|optimized|never",
        ),
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
fn the_location_says_where_preauth_finds_the_mail() {
    let name = format!("roost-options-{}-home", std::process::id());
    let home = std::env::temp_dir().join(name);
    std::fs::create_dir_all(home.join("index")).unwrap();
    let run = |location: &str| {
        Command::new(env!("CARGO_BIN_EXE_roost"))
            .args(["--preauth", "--set", location])
            .args(["--set", "mail.index_dir=%h/index"])
            .env("HOME", &home)
            .stdin(std::process::Stdio::null())
            .output()
            .unwrap()
    };
    let output = run("mail.location=maildir:%h/mail%%");
    assert_eq!(output.status.code(), Some(0), "{output:?}");
    assert!(output.stdout.starts_with(b"* PREAUTH"), "{output:?}");
    assert!(home.join("mail%").is_dir());
    assert!(!home.join("Maildir").exists());

    let output = run("mail.location=/nonexistent/%d");
    assert_eq!(output.status.code(), Some(78), "{output:?}");
    std::fs::remove_dir_all(home).unwrap();
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

/// A file that goes with the test.
struct Temporary(std::path::PathBuf);

impl Temporary {
    fn file(text: &str) -> Temporary {
        use std::sync::atomic::{AtomicUsize, Ordering};
        static NUMBER: AtomicUsize = AtomicUsize::new(0);
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let name = format!("roost-options-{}-{number}.toml", std::process::id());
        let path = std::env::temp_dir().join(name);
        std::fs::write(&path, text).unwrap();
        Temporary(path)
    }

    fn path(&self) -> &str {
        self.0.to_str().unwrap()
    }
}

impl Drop for Temporary {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.0);
    }
}

fn every_command() -> impl Iterator<Item = &'static Subcommand> {
    [&PROGRAM].into_iter().chain(COMMANDS)
}

/// An option as the help and the manual show it.
fn shown(option: &CommandOption) -> String {
    let letter = match option.letter {
        "" => String::new(),
        letter => format!("-{letter}, "),
    };
    let argument = match option.argument {
        None => String::new(),
        Some(argument) => format!(" {argument}"),
    };
    format!("{letter}--{}{argument}", option.name)
}

/// A section of a manual.
fn section<'a>(manual: &'a str, name: &str) -> &'a str {
    let (_, text) = manual.split_once(&format!("\n.Sh {name}\n")).unwrap();
    text.split("\n.Sh ").next().unwrap_or(text)
}

/// What a reader of the manual sees of these lines, in one line.
fn plain(text: &str) -> String {
    let mut seen = String::new();
    for line in text.lines() {
        let line = line.strip_prefix('.').unwrap_or(line);
        let (mut words, mut is_optional, mut is_flag) = (line.split(' '), false, false);
        let mut shown: Vec<String> = Vec::new();
        while let Some(word) = words.next() {
            match word {
                "Op" => is_optional = true,
                "Fl" => is_flag = true,
                "Nm" => shown.push(String::from("roost")),
                "Xr" => {
                    let (page, number) = (words.next(), words.next());
                    shown.push(format!("{}({})", page.unwrap(), number.unwrap()));
                }
                "Ar" | "Cm" | "Ic" | "It" | "Pa" | "Ql" => {}
                word => {
                    let dash = if std::mem::take(&mut is_flag) {
                        "-"
                    } else {
                        ""
                    };
                    match (word, shown.last_mut()) {
                        ("," | "." | ";", Some(last)) => last.push_str(word),
                        _ => shown.push(format!("{dash}{word}")),
                    }
                }
            }
        }
        let mut shown = shown.join(" ");
        if is_optional {
            shown = format!("[{shown}]");
        }
        seen.push_str(if seen.is_empty() { "" } else { " " });
        seen.push_str(&shown);
    }
    seen
}

/// Somebody without rights, if the tests are run by root; else whoever runs them.
#[test]
fn an_ordinary_user_is_told_of_root_and_of_another_way() {
    use std::os::unix::process::CommandExt;
    // The program may lie where nobody else can look.  Another process copies it: a descriptor of
    // ours for writing could live on in what another test starts, and no such file can be run.
    let program = Temporary::file("");
    let copy = Command::new("cp")
        .args([env!("CARGO_BIN_EXE_roost"), program.path()])
        .status();
    assert!(copy.unwrap().success());
    let mode = std::fs::Permissions::from_mode(0o755);
    std::fs::set_permissions(program.path(), mode).unwrap();
    let is_root = std::fs::metadata("/proc/self").unwrap().uid() == 0;
    let mut command = Command::new(program.path());
    if is_root {
        command.uid(65534).gid(65534);
    }
    let output = command.current_dir("/").output().unwrap();
    assert_eq!(output.status.code(), Some(77), "{output:?}");
    let error = String::from_utf8(output.stderr).unwrap();
    assert!(
        error.contains("root") && error.contains("`roost try`"),
        "{error}"
    );

    // From inetd, where it might be the client who reads that, not a word.
    let output = command.arg("--inetd").output().unwrap();
    assert_eq!(output.status.code(), Some(77), "{output:?}");
    assert!(
        output.stdout.is_empty() && output.stderr.is_empty(),
        "{output:?}"
    );
}
