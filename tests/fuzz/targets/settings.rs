//! Settings from a command line.

use roost::config::{Config, SETTINGS};

/// Lines of NAME=VALUE. What a setting shows is what sets it.
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
    }
    for setting in SETTINGS {
        assert_eq!(setting.value(&again), setting.value(&config));
    }
}
