//! Arguments to role; errors to exit codes (sysexits.h).

use std::ffi::OsString;
use std::io::{self, IsTerminal, Write};
use std::os::fd::OwnedFd;
use std::process::ExitCode;

use log::LevelFilter;
use roost::commands::{self, BadConfiguration, Role, UsageError, exit};
use roost::config::{Config, LogTarget};
use roost::import::{ImportError, Imported};
use roost::mail::Secret;
use roost::monitor::child::ChildError;
use roost::monitor::client::{self, ClientError};
use roost::monitor::role::{Mode, MonitorError, MonitorStart};
use roost::solo::{self, SoloError};
use roost::sys::spawn::ChildRole;
use roost::sys::{inherited, process, terminal};
use roost::{auth, front, monitor, session};

fn main() -> ExitCode {
    let arguments: Vec<OsString> = std::env::args_os().skip(1).collect();
    let from_inetd = arguments
        .iter()
        .any(|a| a == "--inetd" || a == "--inetd-tls");
    let result = commands::parse(arguments)
        .map_err(Failure::from)
        .and_then(run);
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            tell(&failure.text, from_inetd);
            ExitCode::from(failure.status)
        }
    }
}

fn run(role: Role) -> Result<(), Failure> {
    match role {
        Role::Help(text) => show(&text),
        Role::Version => show(concat!("roost ", env!("CARGO_PKG_VERSION"), "\n")),
        Role::Daemon(start, mode) => run_daemon(&start, mode),
        Role::Child(ChildRole::Front) => Ok(front::role::run(channel()?)?),
        Role::Child(ChildRole::Login) => match monitor::child::run(channel()?)? {},
        Role::Child(ChildRole::Session) => Ok(session::role::run(channel()?)?),
        Role::Child(ChildRole::Certificate) => show(&monitor::role::certificate()?),
        Role::Preauth(maildir, config) => {
            roost::log::init(config.log_level);
            Ok(solo::preauth(maildir, config)?)
        }
        Role::Try(trial) => {
            roost::log::init(trial.config.log_level);
            Ok(solo::run_trial(&trial)?)
        }
        Role::Check { start, with_files } => {
            warn(&commands::check(&start, with_files)?);
            Ok(())
        }
        Role::Config { start, all } => show(&config(&start)?.to_toml(all)),
        Role::Who(start) => ask(&start, client::who),
        Role::Kick(start, whom) => ask(&start, |socket| client::kick(socket, &whom)),
        Role::Reload(start) => ask(&start, client::reload),
        Role::Metrics(start) => ask(&start, client::metrics),
        Role::AuthTest(start, user) => test_login(&start, &user),
        Role::ImportDovecot(file) => import(commands::import_dovecot(file.as_deref())),
        Role::ImportCourier(directory) => import(commands::import_courier(directory.as_deref())),
    }
}

fn run_daemon(start: &MonitorStart, mode: Mode) -> Result<(), Failure> {
    if !process::is_root() {
        return Err(Failure {
            text: "the server takes root, because it becomes each user who logs in; `roost try` serves \
                   your own mail to this host without root, and `roost help` lists the commands"
                .to_owned(),
            status: exit::NO_PERMISSION,
        });
    }
    // The client must not read what goes wrong from here on, not even a panic.
    if matches!(mode, Mode::Inetd { .. }) && !io::stderr().is_terminal() {
        inherited::mute().map_err(|error| system("/dev/null", error))?;
    }
    Ok(monitor::role::run(start, mode)?)
}

fn channel() -> Result<OwnedFd, Failure> {
    inherited::channel().ok_or_else(|| Failure {
        text: "roost itself starts this role, with a channel to it; see roost(8)".to_owned(),
        status: exit::USAGE,
    })
}

/// Asks the daemon.
fn ask(
    start: &MonitorStart,
    question: impl FnOnce(&std::path::Path) -> Result<String, ClientError>,
) -> Result<(), Failure> {
    let socket = config(start)?.control_socket;
    match question(&socket) {
        Ok(answer) => show(&answer),
        Err(error) => {
            let (advice, status) = match &error {
                ClientError::Io(error) => match error.kind() {
                    io::ErrorKind::NotFound | io::ErrorKind::ConnectionRefused => {
                        ("the daemon does not run: ", exit::UNAVAILABLE)
                    }
                    io::ErrorKind::PermissionDenied => ("this takes root: ", exit::NO_PERMISSION),
                    _ => ("", exit::CANNOT_TALK),
                },
                ClientError::Refused(_) => ("", exit::UNAVAILABLE),
            };
            let text = match &error {
                ClientError::Io(error) => format!("{advice}{}: {error}", socket.display()),
                ClientError::Refused(text) => text.clone(),
            };
            Err(Failure { text, status })
        }
    }
}

fn test_login(start: &MonitorStart, user: &str) -> Result<(), Failure> {
    let config = config(start)?;
    roost::log::init(LevelFilter::Warn);
    let password = terminal::read_password(&format!("Password of {user}: "));
    let password = password.map_err(|error| system("standard input", error))?;
    let report = auth::test(&config, user, Secret(password));
    show(&report.to_string())?;
    match report.admitted {
        true => Ok(()),
        false => Err(Failure {
            text: format!("{user} is not let in"),
            status: exit::NO_PERMISSION,
        }),
    }
}

/// Prints a roost.toml, and says whether it has everything.
fn import(imported: Result<Imported, ImportError>) -> Result<(), Failure> {
    let imported = imported?;
    show(&imported.text)?;
    match imported.is_lossy {
        false => Ok(()),
        true => Err(Failure {
            text:
                "not everything can be kept: the comments at the top say what your users will miss"
                    .to_owned(),
            status: exit::LOSS,
        }),
    }
}

/// The settings that are in force.  What is odd about them goes to standard error.
fn config(start: &MonitorStart) -> Result<Config, Failure> {
    let (config, warnings) = commands::read(start)?;
    warn(&warnings);
    Ok(config)
}

fn warn(lines: &[String]) {
    for line in lines {
        // If that fails, there is still the exit code.
        let _ = writeln!(io::stderr(), "roost: {line}");
    }
}

/// Says why the program ends.  From inetd, standard error may be the client.
fn tell(text: &str, from_inetd: bool) {
    if from_inetd {
        roost::log::init_as(LogTarget::Auto, LevelFilter::Error, true);
        for line in text.lines() {
            log::error!(target: "roost", "{}", line.trim_start_matches("roost: "));
        }
    }
    if !from_inetd || io::stderr().is_terminal() {
        // If that fails, there is still the exit code.
        let _ = writeln!(io::stderr(), "roost: {text}");
    }
}

fn show(text: &str) -> Result<(), Failure> {
    let result = io::stdout().write_all(text.as_bytes());
    result.map_err(|error| Failure {
        text: error.to_string(),
        status: exit::CANNOT_TALK,
    })
}

/// Why the program ends, for a human and for a program.
struct Failure {
    text: String,
    status: u8,
}

fn system(what: &str, error: io::Error) -> Failure {
    Failure {
        text: format!("{what}: {error}"),
        status: exit::SYSTEM,
    }
}

impl From<UsageError> for Failure {
    fn from(error: UsageError) -> Failure {
        match error {
            UsageError::Configuration(error) => Failure::from(error),
            UsageError::Arguments { .. } => Failure {
                text: error.to_string(),
                status: exit::USAGE,
            },
        }
    }
}

impl From<ImportError> for Failure {
    fn from(error: ImportError) -> Failure {
        Failure {
            text: error.to_string().replace('\n', "\nroost: "),
            status: match error {
                ImportError::Unreadable(_) => exit::NO_INPUT,
                ImportError::Refused(_) => exit::CONFIGURATION,
            },
        }
    }
}

impl From<BadConfiguration> for Failure {
    fn from(error: BadConfiguration) -> Failure {
        // There may be several lines.
        Failure {
            text: error.to_string().replace('\n', "\nroost: "),
            status: exit::CONFIGURATION,
        }
    }
}

impl From<MonitorError> for Failure {
    fn from(error: MonitorError) -> Failure {
        let status = match &error {
            MonitorError::Configuration(_) => exit::CONFIGURATION,
            MonitorError::Listen(_) => exit::UNAVAILABLE,
            MonitorError::Certificate(..) => exit::NO_INPUT,
            MonitorError::System(..) => exit::SYSTEM,
        };
        Failure {
            text: error.to_string(),
            status,
        }
    }
}

impl From<ChildError> for Failure {
    fn from(error: ChildError) -> Failure {
        Failure {
            text: format!("login: {error}"),
            status: exit::SYSTEM,
        }
    }
}

impl From<front::role::FrontError> for Failure {
    fn from(error: front::role::FrontError) -> Failure {
        Failure {
            text: format!("front: {error}"),
            status: exit::SYSTEM,
        }
    }
}

impl From<session::role::SessionError> for Failure {
    fn from(error: session::role::SessionError) -> Failure {
        Failure {
            text: format!("session: {error}"),
            status: exit::SYSTEM,
        }
    }
}

impl From<SoloError> for Failure {
    fn from(error: SoloError) -> Failure {
        let status = match &error {
            SoloError::NoMaildir(..) | SoloError::NotMaildir(_) | SoloError::NoPassword(..) => {
                exit::NO_INPUT
            }
            SoloError::RootsMaildir(_) | SoloError::Changeable(..) | SoloError::Become(..) => {
                exit::NO_PERMISSION
            }
            SoloError::NoHome => exit::NO_USER,
            SoloError::Location(_) => exit::CONFIGURATION,
            SoloError::NotLoopback(_) => exit::USAGE,
            SoloError::Listen(..) => exit::UNAVAILABLE,
            SoloError::Sample(..) => exit::CANNOT_CREATE,
            SoloError::Sandbox(_) | SoloError::System(..) => exit::SYSTEM,
        };
        Failure {
            text: error.to_string(),
            status,
        }
    }
}
