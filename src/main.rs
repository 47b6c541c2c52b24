//! Arguments to role; errors to exit codes (sysexits.h).

use std::io::{self, Write};
use std::path::PathBuf;
use std::process::ExitCode;

use getopts::{Matches, Options};
use log::LevelFilter;
use roost::config::{Config, SETTINGS};
use roost::solo::{self, SoloError, Trial};

fn main() -> ExitCode {
    let result = role().and_then(|role| match role {
        Role::Help => show(&help()),
        Role::Version => show(concat!("roost ", env!("CARGO_PKG_VERSION"), "\n")),
        Role::Preauth(maildir, config) => {
            roost::log::init(config.log_level);
            solo::preauth(maildir, config).map_err(Failure::from)
        }
        Role::Try(trial) => {
            roost::log::init(trial.config.log_level);
            solo::run_trial(&trial).map_err(Failure::from)
        }
    });
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            // If that fails too, there is still the exit code.
            let _ = writeln!(io::stderr(), "roost: {}", failure.text);
            ExitCode::from(failure.status)
        }
    }
}

enum Role {
    Help,
    Version,
    Preauth(Option<PathBuf>, Config),
    Try(Trial),
}

/// Why the program ends, for a human and for a program.
struct Failure {
    text: String,
    status: u8,
}

/// What the arguments ask for.
fn role() -> Result<Role, Failure> {
    let mut arguments = std::env::args_os().skip(1).peekable();
    let is_try = arguments.next_if(|argument| argument == "try").is_some();
    let options = if is_try {
        try_options()
    } else {
        main_options()
    };
    let matches = options
        .parse(arguments)
        .map_err(|error| usage(&error.to_string()))?;

    if matches.opt_present("help") {
        return Ok(Role::Help);
    }
    if is_try {
        return try_role(&matches);
    }
    if matches.opt_present("version") {
        return Ok(Role::Version);
    }
    match (matches.opt_present("preauth"), matches.free.first()) {
        (_, Some(argument)) => Err(usage(&format!("what is '{argument}'?"))),
        (false, None) => Err(usage("what is to be done?")),
        (true, None) => Ok(Role::Preauth(
            matches.opt_str("maildir").map(PathBuf::from),
            // Standard error may be the user's screen: only what is wrong belongs there.
            config(&matches, LevelFilter::Warn)?,
        )),
    }
}

fn try_role(matches: &Matches) -> Result<Role, Failure> {
    if let Some(argument) = matches.free.get(1) {
        return Err(usage(&format!("what is '{argument}'?")));
    }
    Ok(Role::Try(Trial {
        maildir: matches.free.first().map(PathBuf::from),
        listen: matches.opt_str("listen"),
        listen_tls: matches.opt_str("listen-tls"),
        user: matches.opt_str("user"),
        password_file: matches.opt_str("password-file").map(PathBuf::from),
        config: config(matches, LevelFilter::Info)?,
    }))
}

fn config(matches: &Matches, log_level: LevelFilter) -> Result<Config, Failure> {
    let mut config = Config {
        log_level,
        ..Config::default()
    };
    for assignment in matches.opt_strs("set") {
        config
            .set(&assignment)
            .map_err(|error| usage(&error.to_string()))?;
    }
    Ok(config)
}

fn main_options() -> Options {
    let mut options = Options::new();
    options
        .optflag("", "preauth", "speak IMAP on standard input and output")
        .optopt("", "maildir", "serve this Maildir, not ~/Maildir", "DIR")
        .optmulti("", "set", "change a setting (below)", "NAME=VALUE")
        .optflag("h", "help", "print this")
        .optflag("V", "version", "print the version");
    options
}

fn try_options() -> Options {
    let for_imap = format!("for IMAP, else {}", solo::LISTEN);
    let for_imaps = format!("for IMAP under TLS, else {}", solo::LISTEN_TLS);
    let mut options = Options::new();
    options
        .optopt("", "listen", &for_imap, "ADDRESS:PORT")
        .optopt("", "listen-tls", &for_imaps, "ADDRESS:PORT")
        .optopt(
            "",
            "user",
            "the name to log in with, else the owner's",
            "NAME",
        )
        .optopt(
            "",
            "password-file",
            "its first line is the password",
            "FILE",
        )
        .optmulti("", "set", "change a setting (below)", "NAME=VALUE")
        .optflag("h", "help", "print this");
    options
}

fn help() -> String {
    let mut text = String::from(
        "Roost, an IMAP server for the Maildir you have.\n\n\
         roost --preauth [--maildir DIR] [--set NAME=VALUE]\n",
    );
    text.push_str(options_of(&main_options()).as_str());
    text.push_str(
        "\nroost try [MAILDIR] [--listen ADDRESS:PORT] [--listen-tls ADDRESS:PORT]\n          \
         [--user NAME] [--password-file FILE] [--set NAME=VALUE]\n",
    );
    text.push_str(options_of(&try_options()).as_str());
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
        "\nSee also roost(8), and roost-maildir(5) for what is written into a Maildir.\n",
    );
    text
}

/// Only the list of options.
fn options_of(options: &Options) -> String {
    options.usage_with_format(|lines| lines.map(|line| line + "\n").collect())
}

fn show(text: &str) -> Result<(), Failure> {
    io::stdout()
        .write_all(text.as_bytes())
        .map_err(|error| Failure {
            text: error.to_string(),
            status: EX_IOERR,
        })
}

fn usage(text: &str) -> Failure {
    Failure {
        text: format!("{text}\nroost --help says more"),
        status: EX_USAGE,
    }
}

impl From<SoloError> for Failure {
    fn from(error: SoloError) -> Failure {
        let status = match &error {
            SoloError::NoMaildir(..) | SoloError::NotMaildir(_) | SoloError::NoPassword(..) => {
                EX_NOINPUT
            }
            SoloError::RootsMaildir(_) | SoloError::Become(..) => EX_NOPERM,
            SoloError::NoHome => EX_NOUSER,
            SoloError::NotLoopback(_) => EX_USAGE,
            SoloError::Listen(..) => EX_UNAVAILABLE,
            SoloError::Sample(..) => EX_CANTCREAT,
            SoloError::System(..) => EX_OSERR,
        };
        Failure {
            text: error.to_string(),
            status,
        }
    }
}

const EX_USAGE: u8 = 64;
const EX_NOINPUT: u8 = 66;
const EX_NOUSER: u8 = 67;
const EX_UNAVAILABLE: u8 = 69;
const EX_OSERR: u8 = 71;
const EX_CANTCREAT: u8 = 73;
const EX_IOERR: u8 = 74;
const EX_NOPERM: u8 = 77;
