//! Arguments to what is to be done, and `roost --help`.

use std::ffi::OsString;
use std::fmt;
use std::path::PathBuf;

use getopts::{Matches, Options};
use log::LevelFilter;

use crate::config::{Config, SETTINGS};
use crate::monitor::client::Whom;
use crate::monitor::configuration::{self, BadConfiguration};
use crate::monitor::role::{Mode, Start};
use crate::solo::{self, Trial};
use crate::sys::spawn::ChildRole;

/// What is to be done.
pub enum Role {
    Help,
    Version,
    Daemon(Start, Mode),
    Preauth(Option<PathBuf>, Config),
    Try(Trial),
    Check {
        start: Start,
        with_files: bool,
    },
    Config {
        start: Start,
        all: bool,
    },
    Who(Start),
    Kick(Start, Whom),
    Reload(Start),
    Metrics(Start),
    AuthTest(Start, String),
    /// Started by the monitor only.
    Child(ChildRole),
}

/// What is wrong with the arguments.
#[derive(Debug)]
pub enum UsageError {
    /// For whoever typed them.
    Arguments(String),
    Configuration(BadConfiguration),
}

/// Without the program's own name.
pub fn parse(arguments: Vec<OsString>) -> Result<Role, UsageError> {
    let mut arguments = arguments.into_iter().peekable();
    let command = arguments.next_if(|first| {
        let first = first.to_string_lossy();
        COMMANDS.iter().any(|command| command.name == first) || ChildRole::named(&first).is_some()
    });
    let name = command.map_or(String::new(), |name| name.to_string_lossy().into_owned());
    let rest: Vec<OsString> = arguments.collect();
    if let Some(role) = ChildRole::named(&name)
        && rest.is_empty()
    {
        return Ok(Role::Child(role));
    }
    let matches = options(&name)
        .parse(rest)
        .map_err(|error| wrong(&error.to_string()))?;
    if matches.opt_present("help") {
        return Ok(Role::Help);
    }
    let given = Given(matches);
    match name.as_str() {
        "" => given.no_command(),
        "try" => given.try_(),
        "check" => {
            let mut start = given.start();
            match given.at_most_one()? {
                Some(_) if start.config.is_some() => {
                    return Err(wrong("check takes FILE or --config FILE"));
                }
                Some(file) => start.config = Some(PathBuf::from(file)),
                None => {}
            }
            let with_files = !given.0.opt_present("no-files");
            Ok(Role::Check { start, with_files })
        }
        "config" => given.none().map(|()| Role::Config {
            start: given.start(),
            all: given.0.opt_present("all"),
        }),
        "who" => given.none().map(|()| Role::Who(given.start())),
        "kick" => match (given.at_most_one()?, given.0.opt_str("session")) {
            (Some(user), None) => Ok(Role::Kick(given.start(), Whom::User(user))),
            (None, Some(session)) => Ok(Role::Kick(given.start(), Whom::Session(session))),
            _ => Err(wrong("kick takes a USER or --session SESSION")),
        },
        "reload" => given.none().map(|()| Role::Reload(given.start())),
        "metrics" => given.none().map(|()| Role::Metrics(given.start())),
        "auth-test" => match given.at_most_one()? {
            Some(user) => Ok(Role::AuthTest(given.start(), user)),
            None => Err(wrong("auth-test takes a USER")),
        },
        name => Err(wrong(&format!("{name} is for roost itself"))),
    }
}

pub fn help() -> String {
    let mut text = String::from("Roost, an IMAP server for the Maildir you have.\n");
    for command in COMMANDS {
        let (name, synopsis, help) = (command.name, command.synopsis, command.help);
        let space = if name.is_empty() { "" } else { " " };
        text.push_str(&format!("\nroost{space}{name}{synopsis}\n    {help}\n"));
        let options = (command.options)(Options::new());
        text.push_str(&options.usage_with_format(|lines| lines.map(|line| line + "\n").collect()));
    }
    text.push_str("\nEvery command:\n");
    let general = general(Options::new());
    text.push_str(&general.usage_with_format(|lines| lines.map(|line| line + "\n").collect()));
    text.push_str("\nSettings, and what they are if they are not set:\n");
    let config = Config::default();
    for setting in SETTINGS {
        let (name, value) = (setting.name, setting.value(&config));
        text.push_str(&format!(
            "    {name}={value}\n        {}: {}\n",
            setting.form, setting.help
        ));
    }
    text.push_str(
        "\nSee also roost(8), roost.toml(5), and roost-maildir(5) for what is written into a \
         Maildir.\n",
    );
    text
}

/// One command.
struct Command {
    /// Empty: none is given.
    name: &'static str,
    synopsis: &'static str,
    help: &'static str,
    /// Its own options, besides those of every command.
    options: fn(Options) -> Options,
}

const COMMANDS: &[Command] = &[
    Command {
        name: "",
        synopsis: " [--config FILE] [--set NAME=VALUE]",
        help: "As root: serves the users of this host, in the foreground.",
        options: |mut options| {
            options
                .optflag("", "inetd", "serve the one client on standard input")
                .optflag("", "inetd-tls", "the same, and TLS comes first")
                .optflag("", "preauth", "speak IMAP on standard input and output")
                .optopt(
                    "",
                    "maildir",
                    "what --preauth serves, else ~/Maildir",
                    "DIR",
                )
                .optflag("V", "version", "print the version");
            options
        },
    },
    Command {
        name: "try",
        synopsis: " [MAILDIR]",
        help: "Serves one Maildir to this host only; needs no rights and no configuration.",
        options: |mut options| {
            let for_imap = format!("for IMAP, else {}", solo::LISTEN);
            let for_imaps = format!("for IMAP under TLS, else {}", solo::LISTEN_TLS);
            let user = "the name to log in with, else the owner's";
            let password = "its first line is the password";
            options
                .optopt("", "listen", &for_imap, "ADDRESS:PORT")
                .optopt("", "listen-tls", &for_imaps, "ADDRESS:PORT")
                .optopt("", "user", user, "NAME")
                .optopt("", "password-file", password, "FILE");
            options
        },
    },
    Command {
        name: "check",
        synopsis: " [FILE]",
        help: "Says what is wrong with the configuration and the files it names.",
        options: |mut options| {
            options.optflag("", "no-files", "do not look at the files it names");
            options
        },
    },
    Command {
        name: "config",
        synopsis: "",
        help: "Prints what is in force and is not at its default.",
        options: |mut options| {
            options.optflag("", "all", "print what is at its default as well");
            options
        },
    },
    Command {
        name: "who",
        synopsis: "",
        help: "Prints who is logged in.",
        options: |options| options,
    },
    Command {
        name: "kick",
        synopsis: " USER",
        help: "Ends all connections of a user.",
        options: |mut options| {
            options.optopt("", "session", "only this one, as in who and the log", "ID");
            options
        },
    },
    Command {
        name: "reload",
        synopsis: "",
        help: "Has the configuration and the certificates read again, as SIGHUP does.",
        options: |options| options,
    },
    Command {
        name: "metrics",
        synopsis: "",
        help: "Prints the counters, as OpenMetrics text.",
        options: |options| options,
    },
    Command {
        name: "auth-test",
        synopsis: " USER",
        help: "Reads a password, and says step by step what a login with it would come to.",
        options: |options| options,
    },
];

fn options(name: &str) -> Options {
    let command = COMMANDS.iter().find(|command| command.name == name);
    let own = command.map_or(Options::new(), |command| (command.options)(Options::new()));
    general(own)
}

fn general(mut options: Options) -> Options {
    let config = format!("the configuration, else {}", configuration::FILE);
    options
        .optopt("", "config", &config, "FILE")
        .optmulti("", "set", "change a setting (below)", "NAME=VALUE")
        .optflag("h", "help", "print this");
    options
}

/// What was given.
struct Given(Matches);

impl Given {
    fn no_command(&self) -> Result<Role, UsageError> {
        let present = |name| self.0.opt_present(name);
        let modes = ["inetd", "inetd-tls", "preauth"];
        if present("version") {
            return Ok(Role::Version);
        }
        self.none()?;
        if modes.iter().filter(|&&mode| present(mode)).count() > 1 {
            return Err(wrong(
                "only one of --inetd, --inetd-tls and --preauth can be given",
            ));
        }
        if present("maildir") && !present("preauth") {
            return Err(wrong("--maildir goes with --preauth"));
        }
        if present("preauth") {
            let maildir = self.0.opt_str("maildir").map(PathBuf::from);
            // Standard error may be the user's screen: only what is wrong belongs there.
            return Ok(Role::Preauth(maildir, self.own_config(LevelFilter::Warn)?));
        }
        let mode = match (present("inetd"), present("inetd-tls")) {
            (false, false) => Mode::Daemon,
            (_, tls) => Mode::Inetd { tls },
        };
        Ok(Role::Daemon(self.start(), mode))
    }

    fn try_(&self) -> Result<Role, UsageError> {
        Ok(Role::Try(Trial {
            maildir: self.at_most_one()?.map(PathBuf::from),
            listen: self.0.opt_str("listen"),
            listen_tls: self.0.opt_str("listen-tls"),
            user: self.0.opt_str("user"),
            password_file: self.0.opt_str("password-file").map(PathBuf::from),
            config: self.own_config(LevelFilter::Info)?,
        }))
    }

    /// For a role that serves the user who starts it: the host's configuration is not his, unless he
    /// names it.
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
            result.map_err(|error| wrong(&error.to_string()))?;
        }
        Ok(config)
    }

    fn start(&self) -> Start {
        Start {
            config: self.0.opt_str("config").map(PathBuf::from),
            set: self.0.opt_strs("set"),
        }
    }

    fn at_most_one(&self) -> Result<Option<String>, UsageError> {
        match self.0.free.as_slice() {
            [] => Ok(None),
            [one] => Ok(Some(one.clone())),
            [_, more, ..] => Err(wrong(&format!("what is '{more}'?"))),
        }
    }

    fn none(&self) -> Result<(), UsageError> {
        match self.0.free.first() {
            None => Ok(()),
            Some(argument) => Err(wrong(&format!("what is '{argument}'?"))),
        }
    }
}

fn wrong(text: &str) -> UsageError {
    UsageError::Arguments(text.to_owned())
}

impl fmt::Display for UsageError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            UsageError::Arguments(text) => write!(f, "{text}\nroost --help says more"),
            UsageError::Configuration(error) => error.fmt(f),
        }
    }
}

impl std::error::Error for UsageError {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_role_that_the_monitor_starts_is_known_by_its_word() {
        for &role in ChildRole::ALL {
            let parsed = parse(vec![role.word().into()]);
            assert!(matches!(parsed, Ok(Role::Child(known)) if known == role));
            // It is nobody else's command.
            assert!(COMMANDS.iter().all(|command| command.name != role.word()));
            let more = parse(vec![role.word().into(), "more".into()]);
            assert!(matches!(more, Err(UsageError::Arguments(_))));
        }
    }
}
