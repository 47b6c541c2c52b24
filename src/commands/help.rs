//! `roost help`: the program, one command, or the settings, in lines of a terminal.

use super::table::{COMMANDS, CommandOption, SUCCESS_AND_USAGE, Subcommand};
use crate::config::{Config, SETTINGS};

/// One command, or the program: how to call it, what it does, its options, how it ends, and an
/// example.
pub fn of(command: &Subcommand) -> String {
    let mut text = synopsis(command);
    for paragraph in [command.summary, command.details] {
        text.push('\n');
        text.push_str(&hanging("", paragraph));
    }
    let is_program = command.name.is_empty();
    if is_program {
        let others = COMMANDS.iter();
        let others = others.map(|other| (other.name.to_owned(), other.summary));
        text.push_str(&list("Commands", others.collect()));
    }
    let options = command.options.iter();
    let options = options.map(|option| (shown(option), option.help));
    text.push_str(&list("Options", options.collect()));
    let mut endings: Vec<_> = SUCCESS_AND_USAGE.iter().chain(command.exit).collect();
    endings.sort_by_key(|(status, _)| *status);
    let endings = endings.into_iter();
    let endings = endings.map(|(status, meaning)| (status.to_string(), *meaning));
    text.push_str(&list("Exit status", endings.collect()));
    let (line, purpose) = command.example;
    text.push_str(&format!("\nExample:\n    {line}\n"));
    text.push_str(&hanging("        ", purpose));
    if is_program {
        text.push_str(FURTHER);
    }
    text
}

/// Every setting with its default, its form and its meaning.
pub fn settings() -> String {
    let mut text = String::from("The settings, each with its default, its form and its meaning.\n");
    text.push_str("They are set in roost.toml(5), or with --set NAME=VALUE.\n\n");
    let config = Config::default();
    for setting in SETTINGS {
        let (name, value) = (setting.name, setting.value(&config));
        text.push_str(&format!("{name}={value}\n"));
        text.push_str(&hanging(
            "    ",
            &format!("{}: {}", setting.form, setting.help),
        ));
    }
    text
}

fn synopsis(command: &Subcommand) -> String {
    let mut text = String::new();
    let mut head = "usage:";
    for usage in command.usage {
        text.push_str(&hanging(&format!("{head:6} {} ", command.call()), usage));
        head = "";
    }
    if command.name.is_empty() {
        text.push_str("       roost COMMAND [OPTION ..] [ARGUMENT]\n");
    }
    text
}

/// `-h, --help`
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

/// Words, each with what it means beside it.
fn list(head: &str, items: Vec<(String, &str)>) -> String {
    let width = items.iter().map(|(word, _)| word.len()).max().unwrap_or(0);
    let mut text = format!("\n{head}:\n");
    for (word, meaning) in &items {
        text.push_str(&hanging(&format!("    {word:width$}  "), meaning));
    }
    text
}

/// The text in lines to the right of `head`.
fn hanging(head: &str, text: &str) -> String {
    let mut lines = String::new();
    let mut line = head.to_owned();
    for word in text.split_whitespace() {
        if line.len() + word.len() > COLUMNS && line.len() > head.len() {
            lines.push_str(line.trim_end());
            lines.push('\n');
            line = " ".repeat(head.len());
        }
        line.push_str(word);
        line.push(' ');
    }
    lines.push_str(line.trim_end());
    lines.push('\n');
    lines
}

const FURTHER: &str = "
`roost help COMMAND` says more about a command.
`roost help settings` lists the settings.
The manuals are roost(8), roost.toml(5), roost-migrate(7) for hosts with Dovecot
or Courier, and roost-maildir(5) for the authors of other programs that use a
Maildir.
";

const COLUMNS: usize = 80;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::commands::table::PROGRAM;

    #[test]
    fn help_fits_into_a_terminal() {
        for command in COMMANDS.iter().chain([&PROGRAM]) {
            for line in of(command).lines() {
                assert!(line.len() <= COLUMNS, "{line}");
                assert_eq!(line.trim_end(), line);
            }
        }
    }

    #[test]
    fn lines_begin_below_each_other() {
        let text = hanging("  --all  ", &"word ".repeat(20));
        let lines: Vec<&str> = text.lines().collect();
        assert_eq!(lines.len(), 2);
        assert!(lines[0].starts_with("  --all  word word"));
        assert!(lines[1].starts_with("         word"));
        assert!(lines.iter().all(|line| line.len() <= COLUMNS));
    }
}
