//! The log: the `log` facade to standard error.
//!
//! Under systemd each line begins with its priority (sd-daemon(3)).  Control characters never get into
//! the log, whatever a client calls itself: a line stays a line.  Secrets cannot be formatted
//! (`imap::command::Secret`), so they cannot be logged.

use std::io::Write;

use log::{Level, LevelFilter};

use crate::sys::standard;

/// Sets the log up for this process.  May be called once; later calls change nothing.
pub fn init(level: LevelFilter) {
    let stream = std::env::var("JOURNAL_STREAM");
    let journal = stream.is_ok_and(|stream| standard::error_is_journal(&stream));
    let result = env_logger::Builder::new()
        .filter_level(LevelFilter::Error)
        .filter_module("roost", level)
        .format(move |out, record| {
            let text = printable(&record.args().to_string());
            match journal {
                true => writeln!(out, "<{}>{text}", priority(record.level())),
                false => writeln!(out, "roost: {}{text}", prefix(record.level())),
            }
        })
        .try_init();
    // An error means that there is a log already, in a test for instance.
    drop(result);
}

/// syslog(3)
fn priority(level: Level) -> u8 {
    match level {
        Level::Error => 3,
        Level::Warn => 4,
        Level::Info => 6,
        Level::Debug | Level::Trace => 7,
    }
}

fn prefix(level: Level) -> &'static str {
    match level {
        Level::Error => "error: ",
        Level::Warn => "warning: ",
        Level::Info => "",
        Level::Debug | Level::Trace => "debug: ",
    }
}

fn printable(text: &str) -> String {
    let replace = |c: char| if c.is_control() { '?' } else { c };
    text.chars().map(replace).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_stays_a_line() {
        assert_eq!(
            printable("user=<a\r\nLogin: b\u{1b}[2J>"),
            "user=<a??Login: b?[2J>"
        );
    }
}
