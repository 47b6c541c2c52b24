//! From the arguments to what the program does.

use std::ffi::OsString;
use std::fmt;
use std::path::PathBuf;

use getopts::{Fail, Matches, Options};
use log::LevelFilter;

use super::help;
use super::table::{COMMANDS, CommandOption, PROGRAM, Subcommand};
use crate::config::{Config, closest};
use crate::monitor::client::Whom;
use crate::monitor::configuration::{self, BadConfiguration};
use crate::monitor::role::{Mode, MonitorStart};
use crate::solo::Trial;
use crate::sys::spawn::ChildRole;

/// What the program does.
pub enum Role {
    /// Prints this text.
    Help(String),
    Version,
    Daemon(MonitorStart, Mode),
    Preauth(Option<PathBuf>, Config),
    Try(Trial),
    Check {
        start: MonitorStart,
        with_files: bool,
    },
    Config {
        start: MonitorStart,
        all: bool,
    },
    Who(MonitorStart),
    Kick(MonitorStart, Whom),
    Reload(MonitorStart),
    Metrics(MonitorStart),
    AuthTest(MonitorStart, String),
    ImportDovecot(Option<String>),
    ImportCourier(Option<String>),
    /// Only the monitor starts this.
    Child(ChildRole),
}

/// What is wrong with the arguments.
#[derive(Debug)]
pub enum UsageError {
    /// What is wrong, and the command that says how it is right.
    Arguments {
        text: String,
        help: String,
    },
    Configuration(BadConfiguration),
}

/// Takes the arguments without the program's own name.
pub fn parse(arguments: Vec<OsString>) -> Result<Role, UsageError> {
    let mut arguments = arguments.into_iter().peekable();
    let first = arguments
        .peek()
        .map(|first| first.to_string_lossy().into_owned());
    let first = first.unwrap_or_default();
    if let Some(role) = ChildRole::named(&first) {
        return match arguments.len() {
            1 => Ok(Role::Child(role)),
            _ => Err(wrong(
                &PROGRAM,
                &format!("\"{first}\" is a command of roost itself and takes no arguments"),
            )),
        };
    }
    let command = match Subcommand::named(&first) {
        Some(command) => {
            arguments.next();
            command
        }
        None => &PROGRAM,
    };
    let matches = options(command).parse(arguments);
    let matches = matches.map_err(|failure| explain(command, &failure))?;
    if matches.opt_present("help") {
        return Ok(Role::Help(help::of(command)));
    }
    (command.read)(&Given { command, matches })
}

fn options(command: &Subcommand) -> Options {
    let mut options = Options::new();
    for option in command.options {
        let CommandOption { name, letter, .. } = *option;
        match (option.argument, option.may_be_repeated) {
            (None, _) => options.optflag(letter, name, ""),
            (Some(argument), false) => options.optopt(letter, name, "", argument),
            (Some(argument), true) => options.optmulti(letter, name, "", argument),
        };
    }
    options
}

/// The options and arguments of a command.
pub(super) struct Given {
    command: &'static Subcommand,
    matches: Matches,
}

impl Given {
    pub fn no_command(&self) -> Result<Role, UsageError> {
        let present = |name| self.matches.opt_present(name);
        let modes = ["inetd", "inetd-tls", "preauth"];
        if let Some(word) = self.matches.free.first() {
            return Err(self.wrong(&no_such_command(word)));
        }
        if present("version") {
            return Ok(Role::Version);
        }
        if modes.iter().filter(|&&mode| present(mode)).count() > 1 {
            let text = "only one of --inetd, --inetd-tls and --preauth can be given";
            return Err(self.wrong(text));
        }
        if present("maildir") && !present("preauth") {
            return Err(self.wrong("--maildir goes with --preauth"));
        }
        if present("preauth") {
            let maildir = self.matches.opt_str("maildir").map(PathBuf::from);
            // Standard error may be the user's screen: only what is wrong belongs there.
            return Ok(Role::Preauth(maildir, self.own_config(LevelFilter::Warn)?));
        }
        let mode = match (present("inetd"), present("inetd-tls")) {
            (false, false) => Mode::Daemon,
            (_, tls) => Mode::Inetd { tls },
        };
        Ok(Role::Daemon(self.start(), mode))
    }

    pub fn try_(&self) -> Result<Role, UsageError> {
        Ok(Role::Try(Trial {
            maildir: self.at_most_one()?.map(PathBuf::from),
            listen: self.matches.opt_str("listen"),
            listen_tls: self.matches.opt_str("listen-tls"),
            user: self.matches.opt_str("user"),
            password_file: self.matches.opt_str("password-file").map(PathBuf::from),
            config: self.own_config(LevelFilter::Info)?,
        }))
    }

    pub fn check(&self) -> Result<Role, UsageError> {
        let mut start = self.start();
        match self.at_most_one()? {
            Some(_) if start.config.is_some() => {
                return Err(self.wrong("check takes FILE or --config FILE, not both"));
            }
            Some(file) => start.config = Some(PathBuf::from(file)),
            None => {}
        }
        let with_files = !self.matches.opt_present("no-files");
        Ok(Role::Check { start, with_files })
    }

    pub fn config(&self) -> Result<Role, UsageError> {
        self.none()?;
        Ok(Role::Config {
            start: self.start(),
            all: self.matches.opt_present("all"),
        })
    }

    pub fn kick(&self) -> Result<Role, UsageError> {
        match (self.at_most_one()?, self.matches.opt_str("session")) {
            (Some(user), None) => Ok(Role::Kick(self.start(), Whom::User(user))),
            (None, Some(session)) => Ok(Role::Kick(self.start(), Whom::Session(session))),
            _ => Err(self.wrong("kick takes a USER or --session ID")),
        }
    }

    pub fn auth_test(&self) -> Result<Role, UsageError> {
        match self.at_most_one()? {
            Some(user) => Ok(Role::AuthTest(self.start(), user)),
            None => Err(self.wrong("auth-test takes a USER")),
        }
    }

    pub fn import_dovecot(&self) -> Result<Role, UsageError> {
        self.at_most_one().map(Role::ImportDovecot)
    }

    pub fn import_courier(&self) -> Result<Role, UsageError> {
        self.at_most_one().map(Role::ImportCourier)
    }

    pub fn help(&self) -> Result<Role, UsageError> {
        let text = match self.at_most_one()?.as_deref() {
            None => help::of(&PROGRAM),
            Some("settings") => help::settings(),
            Some(word) => match Subcommand::named(word) {
                Some(command) => help::of(command),
                None => return Err(self.wrong(&no_such_command(word))),
            },
        };
        Ok(Role::Help(text))
    }

    /// The configuration of a role that serves the user who starts it.  The host's is for the users
    /// of the daemon, so this role reads it only when it is named.
    fn own_config(&self, log_level: LevelFilter) -> Result<Config, UsageError> {
        let start = self.start();
        if start.config.is_some() {
            return match configuration::read(&start) {
                Ok((config, _)) => Ok(config),
                Err(error) => Err(UsageError::Configuration(error)),
            };
        }
        let mut config = Config {
            log_level,
            ..Config::default()
        };
        for assignment in &start.set {
            let result = config.set(assignment);
            result.map_err(|error| self.wrong(&error.to_string()))?;
        }
        Ok(config)
    }

    pub fn start(&self) -> MonitorStart {
        MonitorStart {
            config: self.matches.opt_str("config").map(PathBuf::from),
            set: self.matches.opt_strs("set"),
        }
    }

    fn at_most_one(&self) -> Result<Option<String>, UsageError> {
        match self.matches.free.as_slice() {
            [] => Ok(None),
            [one] => Ok(Some(one.clone())),
            [_, more, ..] => Err(self.too_much(more)),
        }
    }

    pub fn none(&self) -> Result<(), UsageError> {
        match self.matches.free.first() {
            None => Ok(()),
            Some(argument) => Err(self.too_much(argument)),
        }
    }

    fn too_much(&self, argument: &str) -> UsageError {
        self.wrong(&format!("there is one argument too many: \"{argument}\""))
    }

    fn wrong(&self, text: &str) -> UsageError {
        wrong(self.command, text)
    }
}

/// Why the options of `command` cannot be taken.
fn explain(command: &Subcommand, failure: &Fail) -> UsageError {
    let text = match failure {
        Fail::UnrecognizedOption(name) => no_such_option(command, name),
        Fail::ArgumentMissing(name) => {
            let mut options = command.options.iter();
            let option = options.find(|option| option.name == name);
            let argument = option.and_then(|option| option.argument);
            format!("--{name} takes {}", argument.unwrap_or("an argument"))
        }
        Fail::UnexpectedArgument(name) => format!("--{name} takes no argument"),
        Fail::OptionDuplicated(name) => format!("--{name} can be given only once"),
        Fail::OptionMissing(_) => failure.to_string(),
    };
    wrong(command, &text)
}

fn no_such_option(command: &Subcommand, name: &str) -> String {
    let dashes = if name.chars().count() == 1 { "-" } else { "--" };
    let text = format!("there is no option \"{dashes}{name}\"");
    if let Some(meant) = closest(name, command.options.iter().map(|option| option.name)) {
        return format!("{text}; did you mean \"--{meant}\"?");
    }
    let has_it = |other: &&Subcommand| other.options.iter().any(|option| option.name == name);
    match COMMANDS.iter().chain([&PROGRAM]).find(has_it) {
        Some(other) => format!("{text} of `{}`; `{}` has it", command.call(), other.call()),
        None => text,
    }
}

fn no_such_command(word: &str) -> String {
    match closest(word, COMMANDS.iter().map(|command| command.name)) {
        // It is a command, but it stands behind an option.
        Some(meant) if meant == word => format!("the command comes first: roost {word} .."),
        Some(meant) => format!("there is no command \"{word}\"; did you mean \"{meant}\"?"),
        None => format!("there is no command \"{word}\""),
    }
}

fn wrong(command: &Subcommand, text: &str) -> UsageError {
    UsageError::Arguments {
        text: text.to_owned(),
        help: match command.name {
            "" | "help" => String::from("roost help"),
            name => format!("roost help {name}"),
        },
    }
}

impl fmt::Display for UsageError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            UsageError::Arguments { text, help } => write!(f, "{text}\n`{help}` says more"),
            UsageError::Configuration(error) => error.fmt(f),
        }
    }
}

impl std::error::Error for UsageError {}

#[cfg(test)]
mod tests {
    use super::*;

    fn typed(line: &str) -> Result<Role, UsageError> {
        parse(line.split_whitespace().map(OsString::from).collect())
    }

    #[test]
    fn every_role_that_the_monitor_starts_is_known_by_its_word() {
        for &role in ChildRole::ALL {
            let parsed = typed(role.word());
            assert!(matches!(parsed, Ok(Role::Child(known)) if known == role));
            // It is nobody else's command.
            assert!(Subcommand::named(role.word()).is_none());
            let more = typed(&format!("{} more", role.word()));
            assert!(matches!(more, Err(UsageError::Arguments { .. })));
        }
    }

    #[test]
    fn every_example_can_be_typed() {
        for command in COMMANDS.iter().chain([&PROGRAM]) {
            let (line, _) = command.example;
            assert!(line.starts_with(&command.call()) || line.contains("&& roost"));
            for call in line.split(" && ") {
                let call = call.split(['<', '>']).next().unwrap_or(call);
                let call = call.strip_prefix("roost").unwrap();
                assert!(typed(call).is_ok(), "{call}");
            }
        }
    }
}
