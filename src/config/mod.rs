//! Every setting, defined once, in [`SETTINGS`].  PURE: text in, values out.
//!
//! | file | what |
//! |---|---|
//! | `mod` | what is in force |
//! | `settings` | the table: names, forms, meanings; `--set NAME=VALUE` |
//! | `value` | what a value looks like: sizes, times, words, lists, addresses |
//! | `file` | roost.toml: every mistake with its line and column |
//! | `check` | what two settings say together |
//! | `show` | back to text: for `roost config`, and for the other processes |
//! | `location` | where somebody's mail is |
//! | `username` | the one form of a user's name |
//! | `error` | what can be wrong |
//! | `closest` | the word that was meant by a mistyped one |
//!
//! From the table come the parsers, the list in `roost help settings`, and the lists that
//! roost.toml(5) and the commented example are tested against (`tests/options.rs`).  What no
//! administrator has a reason to change is not here: the limits of a command line and of its
//! literals are in `imap/framing.rs`.

mod check;
mod closest;
mod error;
mod file;
mod location;
mod settings;
mod show;
mod username;
mod value;

use core::net::IpAddr;
use std::path::PathBuf;
use std::time::Duration;

use log::LevelFilter;

use crate::mail::{Fsync, Layout};
pub use closest::closest;
pub use error::{ConfigError, Problem, TextPlace};
pub use location::{Location, LocationError, MAIL_SETTINGS, MailPlace};
pub use settings::{SETTINGS, Setting, SettingKind};
pub use username::UserNameError;

/// The values of all settings.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Config {
    // [listen]
    pub listen_imap: Vec<Endpoint>,
    pub listen_imaps: Vec<Endpoint>,
    /// Listeners whose connections begin with a PROXY header.
    pub listen_imap_proxy: Vec<Endpoint>,
    pub listen_imaps_proxy: Vec<Endpoint>,
    /// The proxies that may send such a header.
    pub trusted_proxies: Vec<Network>,
    /// The socket of the Dovecot auth protocol for Postfix, its mode and `user:group`.
    pub listen_sasl: Option<PathBuf>,
    pub sasl_mode: u32,
    pub sasl_owner: String,
    /// The socket on which `roost who` and similar commands ask the daemon.
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
    /// Where those are looked up who may log in as others.
    pub auth_master_sources: Vec<AuthSource>,
    /// What stands between a user and a master user in a name; or empty.
    pub auth_master_user_separator: String,
    pub auth_mechanisms: Vec<Mechanism>,
    pub auth_pam_service: String,
    pub auth_pam_session: bool,
    pub auth_first_valid_uid: u32,
    /// The uid and gid, as numbers or names, of users of a passwd-file whose line has none; or
    /// empty.
    pub auth_default_uid: String,
    pub auth_default_gid: String,
    /// A template for the home directory of such users.
    pub auth_default_home: String,
    /// The characters that a user name may contain.
    pub auth_username_chars: String,
    /// `%Lu`: how a name is brought into its one form.
    pub auth_username_format: String,
    /// Zero: no cache.
    pub auth_cache_time: Duration,
    /// Login children at a time.
    pub auth_processes: usize,
    /// How long a login child may take.
    pub auth_timeout: Duration,
    pub failure_delay: Duration,
    /// The longest delay for an address with several failures; zero: none.
    pub auth_penalty: Duration,
    pub login_timeout: Duration,

    // [limits]
    /// Connections that have not logged in.
    pub waiting_connections: usize,
    pub waiting_connections_per_address: usize,
    pub connections: usize,
    pub connections_per_user: usize,
    pub connections_per_user_and_address: usize,
    /// How many octets the process of one user may allocate; 0: no limit.
    pub session_memory: u64,

    // [mail]
    pub append_limit: u64,
    pub fsync: Fsync,
    pub idle_notify: Duration,
    pub idle_timeout: Duration,
    /// How long a session without clients stays.
    pub session_linger: Duration,
    /// It can contain variables (`location.rs`).
    pub index_dir: Option<PathBuf>,
    pub layout: Layout,
    /// `~/Maildir`; it can contain variables.
    pub mail_location: String,
    pub poll_interval: Duration,
    /// What the names of all mailboxes but INBOX begin with, as clients see them: empty or `INBOX.`
    pub prefix: String,
    /// A second prefix, which is not listed.
    pub hidden_prefix: String,
    pub separator: Separator,
    pub watch: bool,
    /// `[mailbox.NAME]`
    pub mailboxes: Vec<MailboxSetting>,

    // [process]
    /// The user as whom the front runs.
    pub front_user: String,
    /// The directory for what outlives a restart: the certificate that Roost makes.
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
    /// Dovecot's `base_dir`, where the sockets of its auth service are.
    Dovecot(PathBuf),
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
#[derive(Clone, Debug, Default, PartialEq, Eq)]
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

impl MailboxSetting {
    /// How its section in roost.toml begins: `[mailbox."Sent Items"]`.
    pub fn section(&self) -> String {
        show::section_of(self)
    }
}

/// The hierarchy separator on the wire.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Separator {
    /// Dovecot's: `.` in Maildir++, `/` with `LAYOUT=fs`.
    OfLayout,
    Slash,
    Dot,
}

impl Config {
    /// Reads the text of roost.toml, and then the `NAME=VALUE` of a command line.  Returns what is
    /// odd as well, or all that is wrong.
    pub fn load(text: &str, set: &[String]) -> Result<(Config, Vec<Problem>), Vec<Problem>> {
        let (config, problems) = file::read(text, set);
        match problems.iter().all(|problem| problem.is_warning) {
            true => Ok((config, problems)),
            false => Err(problems),
        }
    }

    /// Takes `NAME=VALUE`.
    pub fn set(&mut self, assignment: &str) -> Result<(), ConfigError> {
        settings::set(self, assignment)
    }

    /// Every setting that is not at its default, a line `NAME=VALUE` each, for the other processes.
    pub fn lines(&self) -> String {
        show::lines(self)
    }

    /// Reads what [`Config::lines`] wrote.
    pub fn from_lines(lines: &str) -> Result<Config, ConfigError> {
        show::from_lines(lines)
    }

    /// The text of a roost.toml with `all` settings, or with those that are not at their defaults.
    pub fn to_toml(&self, all: bool) -> String {
        show::toml(self, all)
    }

    /// Where `mail.location` says that the mail of this user is.
    pub fn locate(&self, user: &str, home: &str) -> Result<Location, LocationError> {
        location::locate(self, None, user, home)
    }

    /// Where a user database says so.
    pub fn locate_by(
        &self,
        place: &MailPlace,
        user: &str,
        home: &str,
    ) -> Result<Location, LocationError> {
        location::locate(self, Some(place), user, home)
    }

    /// What stands between the levels of names as clients see them, where folders are laid out so.
    pub fn separator_of(&self, layout: Layout) -> u8 {
        match (self.separator, layout) {
            (Separator::Slash, _) | (Separator::OfLayout, Layout::Fs) => b'/',
            (Separator::Dot, _) | (Separator::OfLayout, _) => b'.',
        }
    }

    /// The same for those users for whom no database says something else.
    pub fn usual_separator(&self) -> u8 {
        self.separator_of(location::layout(self))
    }

    /// The home directory of this user by `auth.default_home`, if that is set.
    pub fn default_home(&self, user: &str) -> Result<Option<String>, LocationError> {
        location::default_home(self, user)
    }

    /// Brings the name that a client sent into its one form (`auth.username_format`).
    pub fn normalise_user(&self, name: &[u8]) -> Result<String, UserNameError> {
        username::normalise(self, name)
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
            auth_master_sources: Vec::new(),
            auth_master_user_separator: String::new(),
            auth_mechanisms: vec![Mechanism::Plain, Mechanism::Login],
            auth_pam_service: String::from("roost"),
            auth_pam_session: false,
            auth_first_valid_uid: 500,
            auth_default_uid: String::new(),
            auth_default_gid: String::new(),
            auth_default_home: String::new(),
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
            connections_per_user: 500,
            connections_per_user_and_address: 100,
            session_memory: 512 << 20,
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
            separator: Separator::OfLayout,
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
    /// Whether nobody can listen on both at the same time.
    pub fn overlaps(&self, other: &Endpoint) -> bool {
        let Some((own, theirs)) = self.address.zip(other.address) else {
            return self.port == other.port;
        };
        let are_alike = own.is_ipv4() == theirs.is_ipv4()
            && (own == theirs || own.is_unspecified() || theirs.is_unspecified());
        // The kernel chooses another port for each that is 0.
        self.port == other.port && self.port != 0 && are_alike
    }

    pub const fn any(port: u16) -> Endpoint {
        Endpoint {
            address: None,
            port,
        }
    }
}

/// RFC 2177 3 advises clients to renew IDLE every 29 minutes, because servers and routers may
/// forget them after 30.
const MAX_IDLE_NOTIFY: Duration = Duration::from_secs(29 * 60);

const MIN_POLL_INTERVAL: Duration = Duration::from_secs(1);

/// As Dovecot's `auth_username_chars`.
const USERNAME_CHARS: &str = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789.-_@";
