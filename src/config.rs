//! Every setting, defined once, in [`SETTINGS`].  PURE: text in, values out.
//!
//! From the table come the parser of `--set KEY=VALUE`, the list in `roost --help`, and the list that
//! roost(8) is tested against (`tests/options.rs`).  What no administrator has a reason to change is
//! not here: the limits of a command line and of its literals are in `imap/framing.rs`.

use std::fmt;
use std::net::IpAddr;
use std::path::PathBuf;
use std::time::Duration;

use log::LevelFilter;

/// What is in force.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Config {
    // [listen]
    pub listen_imap: Vec<Endpoint>,
    pub listen_imaps: Vec<Endpoint>,
    /// The same, but connections begin with a PROXY header.
    pub listen_imap_proxy: Vec<Endpoint>,
    pub listen_imaps_proxy: Vec<Endpoint>,
    /// Who may send one.
    pub trusted_proxies: Vec<Network>,
    /// The socket of the Dovecot auth protocol for Postfix, its mode and `user:group`.
    pub listen_sasl: Option<PathBuf>,
    pub sasl_mode: u32,
    pub sasl_owner: String,
    /// Where `roost who` and its like ask.
    pub control_socket: PathBuf,

    // [tls]
    pub tls_required: TlsRequired,
    /// PEM files; the first pair is for clients that name no server.
    pub tls_certificate: Vec<PathBuf>,
    pub tls_key: Vec<PathBuf>,
    pub tls_min_version: TlsVersion,
    pub tls_client_ca: Option<PathBuf>,
    pub tls_client_certificate: ClientCertificate,

    // [auth]
    pub auth_sources: Vec<AuthSource>,
    pub auth_mechanisms: Vec<Mechanism>,
    pub auth_pam_service: String,
    pub auth_pam_session: bool,
    pub auth_first_valid_uid: u32,
    /// Characters a user name may have.
    pub auth_username_chars: String,
    /// `%Lu`: how a name is brought into its one form.
    pub auth_username_format: String,
    /// Zero: no cache.
    pub auth_cache_time: Duration,
    /// Login children at a time.
    pub auth_processes: usize,
    /// How long one may take.
    pub auth_timeout: Duration,
    pub failure_delay: Duration,
    /// The longest delay that failures from one address add up to; zero: none.
    pub auth_penalty: Duration,
    pub login_timeout: Duration,

    // [limits]
    /// Connections that have not logged in.
    pub waiting_connections: usize,
    pub waiting_connections_per_address: usize,
    pub connections: usize,
    pub connections_per_user_and_address: usize,

    // [mail]
    pub append_limit: u64,
    pub fsync: Fsync,
    pub idle_notify: Duration,
    pub idle_timeout: Duration,
    /// How long a session without clients stays.
    pub session_linger: Duration,
    /// May have variables in it (`location.rs`).
    pub index_dir: Option<PathBuf>,
    pub layout: Layout,
    /// `~/Maildir`; may have variables in it.
    pub mail_location: String,
    pub poll_interval: Duration,
    /// What all names but INBOX begin with for the client, with its separator: empty or `INBOX.`
    pub prefix: String,
    /// What they may begin with besides, though it is not listed.
    pub hidden_prefix: String,
    pub separator: Separator,
    pub watch: bool,
    /// `[mailbox.NAME]`
    pub mailboxes: Vec<MailboxSetting>,

    // [process]
    /// Whom the front becomes.
    pub front_user: String,
    /// For what has to outlive a restart: a certificate made by ourselves.
    pub state_dir: PathBuf,

    // [log]
    pub log_level: LevelFilter,
    pub log_target: LogTarget,
}

/// Where to listen: `*:143`, `127.0.0.1:143`, `[::1]:143`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Endpoint {
    /// None: every address, IPv6 and IPv4.
    pub address: Option<IpAddr>,
    pub port: u16,
}

/// `10.0.0.0/8`
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Network {
    pub address: IpAddr,
    pub bits: u8,
}

/// Where passwords may go in the clear.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TlsRequired {
    /// Everywhere, and TLS is not offered (Dovecot's `ssl = no`).
    Off,
    /// Everywhere (`disable_plaintext_auth = no`).
    No,
    /// Within this host.
    Yes,
    /// Nowhere.
    Always,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TlsVersion {
    V1_2,
    V1_3,
}

/// Whether clients are asked for a certificate.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ClientCertificate {
    No,
    Optional,
    Required,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum AuthSource {
    Pam,
    PasswdFile(PathBuf),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mechanism {
    Plain,
    Login,
    /// With -PLUS under TLS.
    ScramSha256,
    External,
}

/// `[mailbox.NAME]`
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MailboxSetting {
    /// In UTF-8, with `/` between the levels.
    pub name: String,
    pub auto: AutoCreate,
    /// `\\Sent`
    pub special_use: Option<String>,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum AutoCreate {
    #[default]
    No,
    Create,
    Subscribe,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LogTarget {
    /// Standard error, or syslog from inetd.
    Auto,
    Stderr,
    Syslog,
}

/// The hierarchy separator on the wire.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Separator {
    Slash,
    Dot,
}

/// Where a child mailbox lies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Layout {
    /// `.Parent.Child` in the root.
    MaildirPlusPlus,
    /// `Parent/Child` in the root.
    Fs,
}

/// When a change is forced to the disk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fsync {
    Always,
    Optimized,
    Never,
}

/// One setting.
pub struct Setting {
    pub name: &'static str,
    /// What a value looks like.
    pub form: &'static str,
    pub help: &'static str,
    set: fn(&mut Config, &str) -> Result<(), &'static str>,
    get: fn(&Config) -> String,
}

/// Why a setting cannot be taken.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ConfigError {
    /// There is no `=` in it.
    NoValue(String),
    UnknownName(String),
    /// The setting's name and form, and what is wrong with the value.
    BadValue {
        name: &'static str,
        form: &'static str,
        problem: &'static str,
    },
}

/// By name.
pub const SETTINGS: &[Setting] = &[
    Setting {
        name: "append_limit",
        form: "SIZE",
        help: "the largest message that APPEND takes",
        set: |config, value| size(value).map(|size| config.append_limit = size),
        get: |config| show_size(config.append_limit),
    },
    Setting {
        name: "failure_delay",
        form: "TIME",
        help: "how long the answer to a wrong password takes",
        set: |config, value| time(value).map(|time| config.failure_delay = time),
        get: |config| show_time(config.failure_delay),
    },
    Setting {
        name: "fsync",
        form: "always|optimized|never",
        help: "what is forced to the disk before a change is confirmed",
        set: |config, value| word(value, FSYNC).map(|fsync| config.fsync = fsync),
        get: |config| show_word(config.fsync, FSYNC),
    },
    Setting {
        name: "idle_notify",
        form: "TIME",
        help: "how often a client in IDLE is told that the server is still there, at most 29m",
        set: |config, value| {
            let time = time(value)?;
            if time.is_zero() || time > MAX_IDLE_NOTIFY {
                return Err("it must be more than 0 and at most 29m");
            }
            config.idle_notify = time;
            Ok(())
        },
        get: |config| show_time(config.idle_notify),
    },
    Setting {
        name: "idle_timeout",
        form: "TIME",
        help: "how long a client that is not in IDLE may say nothing; RFC 9051 asks for 30m",
        set: |config, value| some_time(value).map(|time| config.idle_timeout = time),
        get: |config| show_time(config.idle_timeout),
    },
    Setting {
        name: "index_dir",
        form: "DIR",
        help: "where index and cache files go, in folders like those of the Maildir",
        set: |config, value| {
            config.index_dir = match value {
                "" => None,
                path if path.starts_with('/') => Some(PathBuf::from(path)),
                _ => return Err("it must begin with a slash"),
            };
            Ok(())
        },
        get: |config| {
            let path = config.index_dir.as_deref();
            path.map_or(String::new(), |path| path.display().to_string())
        },
    },
    Setting {
        name: "layout",
        form: "maildir++|fs",
        help: "where a child mailbox lies: .Parent.Child or Parent/Child",
        set: |config, value| word(value, LAYOUT).map(|layout| config.layout = layout),
        get: |config| show_word(config.layout, LAYOUT),
    },
    Setting {
        name: "log_level",
        form: "error|warn|info|debug",
        help: "what is worth a line in the log",
        set: |config, value| word(value, LOG_LEVEL).map(|level| config.log_level = level),
        get: |config| show_word(config.log_level, LOG_LEVEL),
    },
    Setting {
        name: "login_timeout",
        form: "TIME",
        help: "how long a client has to log in",
        set: |config, value| some_time(value).map(|time| config.login_timeout = time),
        get: |config| show_time(config.login_timeout),
    },
    Setting {
        name: "poll_interval",
        form: "TIME",
        help: "how often a mailbox is looked at that cannot be watched",
        set: |config, value| {
            let time = time(value)?;
            if time < MIN_POLL_INTERVAL {
                return Err("it must be at least 1s");
            }
            config.poll_interval = time;
            Ok(())
        },
        get: |config| show_time(config.poll_interval),
    },
    Setting {
        name: "separator",
        form: "/|.",
        help: "what stands between the levels of a mailbox name for the client",
        set: |config, value| word(value, SEPARATOR).map(|separator| config.separator = separator),
        get: |config| show_word(config.separator, SEPARATOR),
    },
    Setting {
        name: "watch",
        form: "yes|no",
        help: "whether the kernel is asked to tell of changes; no: mailboxes are polled",
        set: |config, value| word(value, YES_NO).map(|watch| config.watch = watch),
        get: |config| show_word(config.watch, YES_NO),
    },
];

impl Config {
    /// Takes `NAME=VALUE`.
    pub fn set(&mut self, assignment: &str) -> Result<(), ConfigError> {
        let (name, value) = assignment
            .split_once('=')
            .ok_or_else(|| ConfigError::NoValue(assignment.to_owned()))?;
        let setting = SETTINGS
            .iter()
            .find(|setting| setting.name == name.trim())
            .ok_or_else(|| ConfigError::UnknownName(name.to_owned()))?;
        (setting.set)(self, value.trim()).map_err(|problem| ConfigError::BadValue {
            name: setting.name,
            form: setting.form,
            problem,
        })
    }
}

impl Default for Config {
    fn default() -> Config {
        Config {
            listen_imap: vec![Endpoint::any(143)],
            listen_imaps: vec![Endpoint::any(993)],
            listen_imap_proxy: Vec::new(),
            listen_imaps_proxy: Vec::new(),
            trusted_proxies: Vec::new(),
            listen_sasl: None,
            sasl_mode: 0o660,
            sasl_owner: String::from("postfix:postfix"),
            control_socket: PathBuf::from("/run/roost/control"),
            tls_required: TlsRequired::Yes,
            tls_certificate: Vec::new(),
            tls_key: Vec::new(),
            tls_min_version: TlsVersion::V1_2,
            tls_client_ca: None,
            tls_client_certificate: ClientCertificate::No,
            auth_sources: vec![AuthSource::Pam],
            auth_mechanisms: vec![Mechanism::Plain, Mechanism::Login],
            auth_pam_service: String::from("roost"),
            auth_pam_session: false,
            auth_first_valid_uid: 500,
            auth_username_chars: String::from(USERNAME_CHARS),
            auth_username_format: String::from("%Lu"),
            auth_cache_time: Duration::ZERO,
            auth_processes: 32,
            auth_timeout: Duration::from_secs(60),
            failure_delay: Duration::from_secs(2),
            auth_penalty: Duration::from_secs(15),
            login_timeout: Duration::from_secs(60),
            waiting_connections: 2_000,
            waiting_connections_per_address: 200,
            connections: 20_000,
            connections_per_user_and_address: 100,
            append_limit: 1024 * 1024 * 1024,
            fsync: Fsync::Optimized,
            idle_notify: MAX_IDLE_NOTIFY,
            idle_timeout: Duration::from_secs(30 * 60),
            session_linger: Duration::from_secs(60),
            index_dir: None,
            layout: Layout::MaildirPlusPlus,
            mail_location: String::from("~/Maildir"),
            poll_interval: Duration::from_secs(30),
            prefix: String::new(),
            hidden_prefix: String::new(),
            separator: Separator::Slash,
            watch: true,
            mailboxes: Vec::new(),
            front_user: String::from("roost"),
            state_dir: PathBuf::from("/var/lib/roost"),
            log_level: LevelFilter::Info,
            log_target: LogTarget::Auto,
        }
    }
}

impl Endpoint {
    pub const fn any(port: u16) -> Endpoint {
        Endpoint {
            address: None,
            port,
        }
    }
}

impl Setting {
    /// The value in `config`, as `Config::set` takes it.
    pub fn value(&self, config: &Config) -> String {
        (self.get)(config)
    }
}

impl Separator {
    pub fn octet(self) -> u8 {
        match self {
            Separator::Slash => b'/',
            Separator::Dot => b'.',
        }
    }
}

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            ConfigError::NoValue(text) => write!(f, "'{text}' is not NAME=VALUE"),
            ConfigError::UnknownName(name) => {
                write!(f, "there is no setting '{name}'; see roost --help")
            }
            ConfigError::BadValue {
                name,
                form,
                problem,
            } => write!(f, "{name}={form}: {problem}"),
        }
    }
}

impl std::error::Error for ConfigError {}

/// A number of octets: digits, and then perhaps K, M, G or T for powers of 1024.
fn size(value: &str) -> Result<u64, &'static str> {
    let (number, unit) = split_unit(value)?;
    let unit = SIZES.iter().find(|(name, _)| *name == unit);
    let (_, octets) = unit.ok_or("its unit must be K, M, G or T, or none")?;
    number.checked_mul(*octets).ok_or("it is too large")
}

/// A time: digits and ms, s, m, h or d.
fn time(value: &str) -> Result<Duration, &'static str> {
    let (number, unit) = split_unit(value)?;
    let unit = TIMES.iter().find(|(name, _)| *name == unit);
    let (_, milliseconds) = unit.ok_or("its unit must be ms, s, m, h or d")?;
    let total = number.checked_mul(*milliseconds).ok_or("it is too long")?;
    Ok(Duration::from_millis(total))
}

fn some_time(value: &str) -> Result<Duration, &'static str> {
    match time(value)? {
        Duration::ZERO => Err("it must be more than 0"),
        time => Ok(time),
    }
}

fn split_unit(value: &str) -> Result<(u64, &str), &'static str> {
    let end = value
        .find(|c: char| !c.is_ascii_digit())
        .unwrap_or(value.len());
    let (digits, unit) = value.split_at(end);
    match digits {
        "" => Err("it must begin with a number"),
        _ => Ok((digits.parse().map_err(|_| "it is too large")?, unit.trim())),
    }
}

fn word<T: Copy>(value: &str, words: &[(&str, T)]) -> Result<T, &'static str> {
    let found = words.iter().find(|(word, _)| *word == value);
    found
        .map(|&(_, meaning)| meaning)
        .ok_or("it must be one of these")
}

fn show_word<T: Copy + PartialEq>(value: T, words: &[(&str, T)]) -> String {
    let found = words.iter().find(|&&(_, meaning)| meaning == value);
    found.map_or(String::new(), |(word, _)| (*word).to_owned())
}

fn show_size(size: u64) -> String {
    show_unit(size, SIZES)
}

fn show_time(time: Duration) -> String {
    let milliseconds = u64::try_from(time.as_millis()).unwrap_or(u64::MAX);
    show_unit(milliseconds, TIMES)
}

/// With the largest unit that goes into `number` without rest.
fn show_unit(number: u64, units: &[(&str, u64)]) -> String {
    let fits = |&&(_, unit): &&(&str, u64)| number >= unit && number.is_multiple_of(unit);
    match units.iter().rev().find(fits).or(units.first()) {
        Some((name, unit)) => format!("{}{name}", number / unit),
        None => number.to_string(),
    }
}

/// RFC 2177 3 advises clients to renew IDLE every 29 minutes because servers, and what is in between,
/// may forget them after 30.
const MAX_IDLE_NOTIFY: Duration = Duration::from_secs(29 * 60);

/// As Dovecot's `auth_username_chars`.
const USERNAME_CHARS: &str = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789.-_@";

const MIN_POLL_INTERVAL: Duration = Duration::from_secs(1);

const SIZES: &[(&str, u64)] = &[
    ("", 1),
    ("K", 1 << 10),
    ("M", 1 << 20),
    ("G", 1 << 30),
    ("T", 1 << 40),
];

const TIMES: &[(&str, u64)] = &[
    ("ms", 1),
    ("s", 1000),
    ("m", 60 * 1000),
    ("h", 60 * 60 * 1000),
    ("d", 24 * 60 * 60 * 1000),
];

const FSYNC: &[(&str, Fsync)] = &[
    ("always", Fsync::Always),
    ("optimized", Fsync::Optimized),
    ("never", Fsync::Never),
];

const LAYOUT: &[(&str, Layout)] = &[("maildir++", Layout::MaildirPlusPlus), ("fs", Layout::Fs)];

const LOG_LEVEL: &[(&str, LevelFilter)] = &[
    ("error", LevelFilter::Error),
    ("warn", LevelFilter::Warn),
    ("info", LevelFilter::Info),
    ("debug", LevelFilter::Debug),
];

const SEPARATOR: &[(&str, Separator)] = &[("/", Separator::Slash), (".", Separator::Dot)];

const YES_NO: &[(&str, bool)] = &[("yes", true), ("no", false)];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_setting_takes_the_value_it_shows() {
        let config = Config::default();
        for setting in SETTINGS {
            let mut changed = config.clone();
            let value = setting.value(&config);
            changed.set(&format!("{}={value}", setting.name)).unwrap();
            assert_eq!(changed, config, "{}", setting.name);
        }
    }

    #[test]
    fn settings_are_in_order_and_no_name_comes_twice() {
        assert!(SETTINGS.is_sorted_by(|a, b| a.name < b.name));
    }

    #[test]
    fn sizes_and_times_have_units() {
        let mut config = Config::default();
        config.set("append_limit = 25M").unwrap();
        assert_eq!(config.append_limit, 25 * 1024 * 1024);
        config.set("append_limit=0").unwrap();
        assert_eq!(config.append_limit, 0);
        config.set("idle_timeout=90s").unwrap();
        assert_eq!(config.idle_timeout, Duration::from_secs(90));
        config.set("failure_delay=10ms").unwrap();
        assert_eq!(config.failure_delay, Duration::from_millis(10));
    }

    #[test]
    fn a_bad_value_is_refused_with_the_form_of_a_good_one() {
        let mut config = Config::default();
        for (assignment, text) in [
            ("fsync", "'fsync' is not NAME=VALUE"),
            (
                "nonsense=1",
                "there is no setting 'nonsense'; see roost --help",
            ),
            (
                "fsync=no",
                "fsync=always|optimized|never: it must be one of these",
            ),
            (
                "append_limit=99999999999T",
                "append_limit=SIZE: it is too large",
            ),
            (
                "append_limit=1Q",
                "append_limit=SIZE: its unit must be K, M, G or T, or none",
            ),
            (
                "idle_timeout=5",
                "idle_timeout=TIME: its unit must be ms, s, m, h or d",
            ),
            (
                "idle_timeout=",
                "idle_timeout=TIME: it must begin with a number",
            ),
            (
                "idle_timeout=0s",
                "idle_timeout=TIME: it must be more than 0",
            ),
            (
                "idle_notify=30m",
                "idle_notify=TIME: it must be more than 0 and at most 29m",
            ),
            ("index_dir=x", "index_dir=DIR: it must begin with a slash"),
        ] {
            let error = config.set(assignment).unwrap_err();
            assert_eq!(error.to_string(), text);
        }
        assert_eq!(config, Config::default());
    }
}
