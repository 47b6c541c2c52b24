//! The log: the `log` facade to standard error.
//!
//! Under systemd each line begins with its priority (sd-daemon(3)).  Control characters never get into
//! the log, whatever a client calls itself: a line stays a line.  Secrets cannot be formatted
//! (`imap::command::Secret`), so they cannot be logged.

use std::io::{self, Write};
use std::os::fd::AsFd;
use std::os::unix::fs::MetadataExt;

use log::{Level, LevelFilter};

/// Sets the log up for this process.  May be called once; later calls change nothing.
pub fn init(level: LevelFilter) {
    let journal = is_journal();
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

/// Whether standard error is the journal's own stream, and not something that took its place
/// (systemd.exec(5), `JOURNAL_STREAM`).
fn is_journal() -> bool {
    let Ok(stream) = std::env::var("JOURNAL_STREAM") else {
        return false;
    };
    let metadata = io::stderr()
        .as_fd()
        .try_clone_to_owned()
        .and_then(|fd| std::fs::File::from(fd).metadata());
    metadata.is_ok_and(|metadata| stream == format!("{}:{}", metadata.dev(), metadata.ino()))
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
