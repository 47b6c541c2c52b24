//! The commands, a row each.  The parser, the help, and the lists that the test of roost(8)
//! compares come from it.

use super::arguments::{Given, Role, UsageError};
use super::exit;

/// A command of the program.
pub struct Subcommand {
    /// Empty in [`PROGRAM`].
    pub name: &'static str,
    /// What follows the name, a line for each way to call it.
    pub usage: &'static [&'static str],
    /// What it does, in one sentence.
    pub summary: &'static str,
    /// What else a user has to know.
    pub details: &'static str,
    pub options: &'static [CommandOption],
    /// How it can end, besides what [`SUCCESS_AND_USAGE`] says of each command.
    pub exit: &'static [(u8, &'static str)],
    /// A call of it, and what that call is for.
    pub example: (&'static str, &'static str),
    pub(super) read: fn(&Given) -> Result<Role, UsageError>,
}

/// An option of a command.
#[derive(Clone, Copy)]
pub struct CommandOption {
    /// Without the two dashes.
    pub name: &'static str,
    /// The one letter that stands for it, or nothing.
    pub letter: &'static str,
    /// What its argument is called, if it takes one.
    pub argument: Option<&'static str>,
    pub may_be_repeated: bool,
    pub help: &'static str,
}

impl Subcommand {
    pub fn named(name: &str) -> Option<&'static Subcommand> {
        COMMANDS.iter().find(|command| command.name == name)
    }

    /// What is typed to call it: `roost check`.
    pub fn call(&self) -> String {
        match self.name {
            "" => String::from("roost"),
            name => format!("roost {name}"),
        }
    }
}

/// How every command can end.
pub const SUCCESS_AND_USAGE: &[(u8, &str)] = &[
    (exit::SUCCESS, "It has done what it was asked for."),
    (exit::USAGE, "An argument is wrong."),
];

/// The program without a command.
pub static PROGRAM: Subcommand = Subcommand {
    name: "",
    usage: &[
        "[--inetd | --inetd-tls] [--config FILE] [--set NAME=VALUE]",
        "--preauth [--maildir DIR] [--config FILE] [--set NAME=VALUE]",
        "--version",
    ],
    summary: "Serve the mail in Maildirs to IMAP clients.",
    details: "Run by root without a command, it serves the users of the host, in the foreground, \
              until SIGTERM or Ctrl-C. It needs no configuration: users log in with the passwords \
              of the host and find the mail in their ~/Maildir. Port 143 offers STARTTLS, and port \
              993 begins with TLS.",
    options: &[
        option("inetd", "Serve the one client on standard input."),
        option(
            "inetd-tls",
            "Serve the one client on standard input, under TLS from the first octet.",
        ),
        option(
            "preauth",
            "Speak IMAP on standard input and output, as the user who runs it.",
        ),
        option(
            "maildir",
            "Serve this Maildir with --preauth, instead of the one that mail.location names.",
        )
        .takes("DIR"),
        option("version", "Print the version.").or_letter("V"),
        CONFIG,
        SET,
        HELP,
    ],
    exit: &[
        MAIL_UNREADABLE,
        (exit::NO_USER, "The user has no home directory."),
        (exit::UNAVAILABLE, "An address cannot be listened on."),
        SYSTEM_ERROR,
        (
            exit::NO_PERMISSION,
            "It needs root, or root may not serve that Maildir.",
        ),
        BAD_CONFIGURATION,
    ],
    example: (
        "roost --set listen.imap=1143 --set listen.imaps=1993",
        "Serve the users of the host on other ports.",
    ),
    read: Given::no_command,
};

pub static COMMANDS: &[Subcommand] = &[
    Subcommand {
        name: "try",
        usage: &[
            "[--listen ADDRESS:PORT] [--listen-tls ADDRESS:PORT] [--user NAME] \
             [--password-file FILE] [--config FILE] [--set NAME=VALUE] [MAILDIR]",
        ],
        summary: "Serve one Maildir to this host only.",
        details: "It serves MAILDIR, or else ~/Maildir, or else a small Maildir that it makes in \
                  /tmp. It prints what a mail program has to know: address, user and password. It \
                  needs no rights and no configuration, and refuses an address that another host \
                  can reach.",
        options: &[
            option(
                "listen",
                "Wait for IMAP here; the default is 127.0.0.1:1143.",
            )
            .takes("ADDRESS:PORT"),
            option(
                "listen-tls",
                "Wait for IMAP under TLS here; the default is 127.0.0.1:1993.",
            )
            .takes("ADDRESS:PORT"),
            option(
                "user",
                "The name to log in with; the default is the name of the Maildir's owner.",
            )
            .takes("NAME"),
            option(
                "password-file",
                "Take the password from the first line of this file, instead of making one.",
            )
            .takes("FILE"),
            CONFIG,
            SET,
            HELP,
        ],
        exit: &[
            MAIL_UNREADABLE,
            (exit::NO_USER, "The user has no home directory."),
            (exit::UNAVAILABLE, "An address cannot be listened on."),
            SYSTEM_ERROR,
            (exit::CANNOT_CREATE, "A Maildir cannot be made."),
            (
                exit::NO_PERMISSION,
                "The Maildir is root's, or its owner cannot be become.",
            ),
            BAD_CONFIGURATION,
        ],
        example: (
            "roost try --set mail.separator=/ /home/alice/Maildir",
            "Serve alice's mail, with slashes in the names of mailboxes.",
        ),
        read: Given::try_,
    },
    Subcommand {
        name: "check",
        usage: &["[--no-files] [--config FILE] [--set NAME=VALUE] [FILE]"],
        summary: "Say what is wrong with the configuration and the files it names.",
        details: "It tells every mistake with line and column, on standard error, and looks at \
                  certificates, keys, lists of users, addresses and home directories. It also \
                  warns of what looks odd; a warning is no error. FILE is the same as --config FILE. \
                  No daemon has to run.",
        options: &[
            option(
                "no-files",
                "Look at the configuration alone, not at the files it names.",
            ),
            CONFIG,
            SET,
            HELP,
        ],
        exit: &[(exit::CONFIGURATION, "Something is wrong, and is told.")],
        example: (
            "roost check && roost reload",
            "Put a changed configuration in force if nothing is wrong with it.",
        ),
        read: Given::check,
    },
    Subcommand {
        name: "config",
        usage: &["[--all] [--config FILE] [--set NAME=VALUE]"],
        summary: "Print the settings that are not at their defaults.",
        details: "It prints them as roost.toml(5) has them.",
        options: &[option("all", "Print every setting."), CONFIG, SET, HELP],
        exit: &[CANNOT_PRINT, BAD_CONFIGURATION],
        example: (
            "roost config --all --config /dev/null",
            "Print every setting with its default.",
        ),
        read: Given::config,
    },
    Subcommand {
        name: "who",
        usage: &["[--config FILE] [--set NAME=VALUE]"],
        summary: "Print who is logged in, and from where.",
        details: "It asks the daemon, and takes root.",
        options: &[CONFIG, SET, HELP],
        exit: OF_THE_DAEMON,
        example: ("roost who", "See who is logged in."),
        read: |given| given.none().map(|()| Role::Who(given.start())),
    },
    Subcommand {
        name: "kick",
        usage: &[
            "[--config FILE] [--set NAME=VALUE] USER",
            "[--config FILE] [--set NAME=VALUE] --session ID",
        ],
        summary: "End the connections of a user.",
        details: "The user can log in again: change the password first, or lock the account. It \
                  asks the daemon, and takes root.",
        options: &[
            option(
                "session",
                "End one connection: the one that `roost who` and the log show with this ID.",
            )
            .takes("ID"),
            CONFIG,
            SET,
            HELP,
        ],
        exit: OF_THE_DAEMON,
        example: ("roost kick bob", "End all connections of bob."),
        read: Given::kick,
    },
    Subcommand {
        name: "reload",
        usage: &["[--config FILE] [--set NAME=VALUE]"],
        summary: "Read the configuration and the certificates again.",
        details: "The daemon does so, and the command says what came of it. No connection is lost: \
                  what is open keeps the settings that it was opened with. If the configuration is \
                  wrong, the daemon goes on with what it had. SIGHUP does the same. It needs root.",
        options: &[CONFIG, SET, HELP],
        exit: OF_THE_DAEMON,
        example: (
            "roost check && roost reload",
            "Put a changed configuration in force if nothing is wrong with it.",
        ),
        read: |given| given.none().map(|()| Role::Reload(given.start())),
    },
    Subcommand {
        name: "metrics",
        usage: &["[--config FILE] [--set NAME=VALUE]"],
        summary: "Print the daemon's counters as OpenMetrics text.",
        details: "It counts logins, failures, connections, commands and octets. It asks the \
                  daemon, and takes root.",
        options: &[CONFIG, SET, HELP],
        exit: OF_THE_DAEMON,
        example: (
            "roost metrics > /var/lib/node_exporter/roost.prom",
            "Leave the counters where the node exporter of Prometheus collects them.",
        ),
        read: |given| given.none().map(|()| Role::Metrics(given.start())),
    },
    Subcommand {
        name: "auth-test",
        usage: &["[--config FILE] [--set NAME=VALUE] USER"],
        summary: "Try a user's password, and say step by step what a login does.",
        details: "It reads the password from standard input, without showing it, and logs in as a \
                  client does. Then it looks, as that user, whether there is mail that can be \
                  opened, or a place where it can be made. It succeeds if a login would. It has to \
                  be run by root where only root can read the passwords.",
        options: &[CONFIG, SET, HELP],
        exit: &[
            SYSTEM_ERROR,
            CANNOT_PRINT,
            (
                exit::NO_PERMISSION,
                "The user is not let in, or has no mail that can be opened.",
            ),
            BAD_CONFIGURATION,
        ],
        example: ("roost auth-test alice", "Find out why alice cannot log in."),
        read: Given::auth_test,
    },
    Subcommand {
        name: "import-dovecot",
        usage: &["[FILE | -]"],
        summary: "Print Dovecot's configuration as a roost.toml.",
        details: "It reads FILE, or else /etc/dovecot/dovecot.conf, with all that it includes; or, \
                  with -, what `doveconf -n` prints. It knows the languages of Dovecot 2.3 and 2.4 \
                  and both at once, as an upgrade of the system leaves them. Each line says where \
                  it comes from, and comments say what cannot be kept and what to do instead. \
                  `roost check` accepts what it prints. Nothing is changed.",
        options: &[HELP],
        exit: IMPORT,
        example: (
            "roost import-dovecot > /etc/roost/roost.toml",
            "Begin with the configuration that Dovecot has on this host.",
        ),
        read: Given::import_dovecot,
    },
    Subcommand {
        name: "import-courier",
        usage: &["[DIRECTORY]"],
        summary: "Print Courier's configuration as a roost.toml.",
        details: "It reads imapd, imapd-ssl and authdaemonrc in DIRECTORY, or else in /etc/courier. \
                  Comments say what cannot be kept and what to do instead. Nothing is changed.",
        options: &[HELP],
        exit: IMPORT,
        example: (
            "roost import-courier > /etc/roost/roost.toml",
            "Begin with the configuration that Courier has on this host.",
        ),
        read: Given::import_courier,
    },
    Subcommand {
        name: "help",
        usage: &["[COMMAND | settings]"],
        summary: "Say what a command does, or which settings there are.",
        details: "`roost COMMAND --help` says the same of a command.",
        options: &[HELP],
        exit: &[CANNOT_PRINT],
        example: ("roost help check", "Say what `roost check` does."),
        read: Given::help,
    },
];

const CONFIG: CommandOption =
    option("config", "Read this configuration, which has to exist.").takes("FILE");

const SET: CommandOption = CommandOption {
    may_be_repeated: true,
    ..option(
        "set",
        "Change a setting, whatever the configuration says; `roost help settings` lists them.",
    )
    .takes("NAME=VALUE")
};

const HELP: CommandOption = option("help", "Print this help.").or_letter("h");

const fn option(name: &'static str, help: &'static str) -> CommandOption {
    CommandOption {
        name,
        letter: "",
        argument: None,
        may_be_repeated: false,
        help,
    }
}

impl CommandOption {
    const fn takes(self, argument: &'static str) -> CommandOption {
        CommandOption {
            argument: Some(argument),
            ..self
        }
    }

    const fn or_letter(self, letter: &'static str) -> CommandOption {
        CommandOption { letter, ..self }
    }
}

const OF_THE_DAEMON: &[(u8, &str)] = &[
    (exit::UNAVAILABLE, "The daemon does not run, or refuses."),
    (
        exit::CANNOT_TALK,
        "The daemon does not answer, or nothing can be printed.",
    ),
    (exit::NO_PERMISSION, "It needs root."),
    BAD_CONFIGURATION,
];

const IMPORT: &[(u8, &str)] = &[
    (
        exit::LOSS,
        "Something that IMAP users see cannot be kept; the comments say what.",
    ),
    (
        exit::NO_INPUT,
        "The configuration cannot be read or understood.",
    ),
    CANNOT_PRINT,
    (
        exit::CONFIGURATION,
        "Roost cannot serve this mail at all; nothing but the reason is printed.",
    ),
];

const MAIL_UNREADABLE: (u8, &str) = (
    exit::NO_INPUT,
    "The Maildir, a certificate or the password file is not there or cannot be read.",
);

const SYSTEM_ERROR: (u8, &str) = (exit::SYSTEM, "The system has refused something else.");

const CANNOT_PRINT: (u8, &str) = (exit::CANNOT_TALK, "Nothing can be printed.");

const BAD_CONFIGURATION: (u8, &str) = (exit::CONFIGURATION, "The configuration is wrong.");
