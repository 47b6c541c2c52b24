//! Settings from a command line, from a file, and from one process to another.

use roost::config::{Config, MailPlace, SETTINGS};

/// Lines of NAME=VALUE, and the same text as TOML.  What a setting shows is what sets it.
pub fn settings(input: &[u8]) {
    let Ok(text) = std::str::from_utf8(input) else {
        return;
    };
    let mut config = Config::default();
    for line in text.lines() {
        if let Err(error) = config.set(line) {
            assert!(!error.to_string().is_empty());
        }
    }
    let mut again = Config::default();
    for setting in SETTINGS {
        let value = setting.value(&config);
        let assignment = format!("{}={value}", setting.name);
        assert_eq!(again.set(&assignment), Ok(()), "{assignment}");
        assert_eq!(setting.value(&again), setting.value(&config));
    }
    comes_back(&config);
    match Config::load(text, &[]) {
        Ok((config, _)) => comes_back(&config),
        Err(problems) => assert!(problems.iter().all(|problem| !problem.text.is_empty())),
    }

    // A name from whoever logs in, and wherever it leads.
    let (template, name) = text.split_once('\n').unwrap_or(("/m/%d/%n", text));
    if let Ok(name) = config.normalise_user(name.as_bytes()) {
        assert!(!name.is_empty());
        let place = |template: &str| MailPlace::Template(template.to_owned());
        let _ = config.locate_by(&place(template), &name, "/home/bob");
        if let Ok(location) = config.locate_by(&place("/m/%u"), &name, "") {
            assert_eq!(location.maildir.parent(), Some("/m".as_ref()));
        }
    }
}

fn comes_back(config: &Config) {
    assert_eq!(Config::from_lines(&config.lines()).as_ref(), Ok(config));
    let from_toml = Config::load(&config.to_toml(true), &[]);
    if let Ok((from_toml, _)) = from_toml {
        assert_eq!(&from_toml, config);
    }
}
