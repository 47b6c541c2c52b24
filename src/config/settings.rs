//! The table of all settings.

use super::closest::closest;
use super::error::ConfigError;
use super::value::*;
use super::{Config, MAX_IDLE_NOTIFY, MIN_POLL_INTERVAL, MailboxSetting, file, location, show};

/// One setting.
pub struct Setting {
    /// `GROUP.NAME`; or `mailbox.NAME.KEY`, which each mailbox can have.
    pub name: &'static str,
    pub kind: SettingKind,
    /// The form of its value.
    pub form: &'static str,
    pub help: &'static str,
    pub(super) access: SettingAccess,
}

/// How a value is written in TOML.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SettingKind {
    /// `true` or `false`; on a command line `yes` or `no`.
    Switch,
    /// `1000`
    Number,
    /// `"25M"`, or a number without a unit.
    Size,
    /// `"30m"`
    Time,
    /// `0o660` or `"0660"`
    Octal,
    /// One of several words.  `true` and `false` are taken for yes and no.
    Word,
    /// `"anything"`
    Text,
    /// `["one", "two"]`; a single element needs no brackets.
    List,
}

pub(super) enum SettingAccess {
    One {
        set: fn(&mut Config, &str) -> Result<(), Wrong>,
        get: fn(&Config) -> String,
    },
    OfMailbox {
        set: fn(&mut MailboxSetting, &str) -> Result<(), Wrong>,
        get: fn(&MailboxSetting) -> String,
    },
}

/// A row of the table: name, kind, form and help; the field that holds the value; how the value is
/// read from text and shown as text.
macro_rules! setting {
    ($name:literal, $kind:ident, $form:literal, $help:literal, $field:ident, $from:expr, $to:expr) => {
        Setting {
            name: $name,
            kind: SettingKind::$kind,
            form: $form,
            help: $help,
            access: SettingAccess::One {
                set: |config, value| $from(value).map(|value| config.$field = value),
                get: |config| $to(&config.$field),
            },
        }
    };
}

/// In the order of the manual.
#[rustfmt::skip]
pub const SETTINGS: &[Setting] = &[
    setting!("listen.imap", List, "[ADDRESS:]PORT ..", "where clients connect for IMAP with STARTTLS",
        listen_imap, |v| list(v, endpoint), endpoints),
    setting!("listen.imaps", List, "[ADDRESS:]PORT ..", "where clients connect for IMAP under TLS",
        listen_imaps, |v| list(v, endpoint), endpoints),
    setting!("listen.imap_proxy", List, "[ADDRESS:]PORT ..", "where proxies connect with the PROXY protocol, for IMAP with STARTTLS",
        listen_imap_proxy, |v| list(v, endpoint), endpoints),
    setting!("listen.imaps_proxy", List, "[ADDRESS:]PORT ..", "where proxies connect with the PROXY protocol, for IMAP under TLS",
        listen_imaps_proxy, |v| list(v, endpoint), endpoints),
    setting!("listen.trusted_proxies", List, "ADDRESS[/BITS] ..", "the addresses of these proxies",
        trusted_proxies, |v| list(v, network), |v: &Vec<_>| show_elements(v.iter().map(show_network))),
    setting!("listen.sasl", Text, "PATH", "the socket on which Postfix asks whether a password is right",
        listen_sasl, path_or_none, |v: &Option<_>| show_path(v.as_ref())),
    setting!("listen.sasl_mode", Octal, "OCTAL", "the permissions of that socket",
        sasl_mode, mode, |v| format!("{v:04o}")),
    setting!("listen.sasl_owner", Text, "USER[:GROUP]", "the owner of that socket",
        sasl_owner, owner, String::clone),
    setting!("listen.control", Text, "PATH", "the socket of roost who, kick, reload and metrics",
        control_socket, path, |v| show_path(Some(v))),

    setting!("tls.required", Word, "off|no|yes|always", "where passwords may go in the clear; off: everywhere, without TLS; no: everywhere; yes: within the host; always: nowhere",
        tls_required, |v| word(v, TLS_REQUIRED), |&v: &_| show_word(v, TLS_REQUIRED)),
    setting!("tls.certificate", List, "PATH ..", "PEM files with a certificate and its chain, the default first",
        tls_certificate, |v| list(v, path), paths),
    setting!("tls.key", List, "PATH ..", "PEM files with the private keys, in the same order",
        tls_key, |v| list(v, path), paths),
    setting!("tls.min_version", Word, "1.2|1.3", "the oldest version of TLS that a client may use",
        tls_min_version, |v| word(v, TLS_VERSION), |&v: &_| show_word(v, TLS_VERSION)),
    setting!("tls.client_ca", Text, "PATH", "a PEM file with the authorities for the certificates of clients",
        tls_client_ca, path_or_none, |v: &Option<_>| show_path(v.as_ref())),
    setting!("tls.client_certificate", Word, "no|optional|required", "whether clients are asked for a certificate",
        tls_client_certificate, |v| word(v, CLIENT_CERTIFICATE), |&v: &_| show_word(v, CLIENT_CERTIFICATE)),

    setting!("auth.sources", List, "pam|passwd-file:PATH|dovecot:PATH ..", "where users are looked up, in this order",
        auth_sources, |v| some_list(v, source), |v: &Vec<_>| show_elements(v.iter().map(show_source))),
    setting!("auth.master_sources", List, "pam|passwd-file:PATH ..", "where those are looked up who may log in as any other user",
        auth_master_sources, |v| list(v, source), |v: &Vec<_>| show_elements(v.iter().map(show_source))),
    setting!("auth.master_user_separator", Text, "CHARACTERS", "what stands between the user and the master user in USER*MASTER; empty: nothing does",
        auth_master_user_separator, any, String::clone),
    setting!("auth.mechanisms", List, "PLAIN|LOGIN|SCRAM-SHA-256|EXTERNAL ..", "the SASL mechanisms that are offered",
        auth_mechanisms, |v| some_list(v, mechanism), |v: &Vec<_>| show_elements(v.iter().map(|&m| show_word(m, MECHANISM)))),
    setting!("auth.pam_service", Text, "NAME", "the file in /etc/pam.d",
        auth_pam_service, name, String::clone),
    setting!("auth.pam_session", Switch, "yes|no", "whether a PAM session is open while a user is served",
        auth_pam_session, |v| word(v, YES_NO), |&v: &_| show_word(v, YES_NO)),
    setting!("auth.first_valid_uid", Number, "NUMBER", "users with a lower uid are not served; root never is",
        auth_first_valid_uid, number, u32::to_string),
    setting!("auth.default_uid", Text, "NAME|NUMBER", "the uid of users of a passwd-file whose line has none",
        auth_default_uid, name_or_none, String::clone),
    setting!("auth.default_gid", Text, "NAME|NUMBER", "the gid of users of a passwd-file whose line has none; empty: that of auth.default_uid",
        auth_default_gid, name_or_none, String::clone),
    setting!("auth.default_home", Text, "PATH", "the home of users of a passwd-file whose line has none; %u %n %d stand for user, name, domain",
        auth_default_home, |v| location::check_home(v).map(|()| String::from(v)), String::clone),
    setting!("auth.username_chars", Text, "CHARACTERS", "the characters that a user name may contain; empty: every character",
        auth_username_chars, any, String::clone),
    setting!("auth.username_format", Word, "%u|%Lu|%n|%Ln", "what becomes of a user name: n without @domain, L in lower case",
        auth_username_format, |v| word(v, USERNAME_FORMAT).map(str::to_owned), String::clone),
    setting!("auth.cache_time", Time, "TIME", "how long a successful login is remembered; 0s: not at all",
        auth_cache_time, time, |&v: &_| show_time(v)),
    setting!("auth.processes", Number, "NUMBER", "how many passwords are verified at the same time",
        auth_processes, count, usize::to_string),
    setting!("auth.timeout", Time, "TIME", "how long the verification of a password may take",
        auth_timeout, some_time, |&v: &_| show_time(v)),
    setting!("auth.failure_delay", Time, "TIME", "how long the answer to a wrong password takes",
        failure_delay, time, |&v: &_| show_time(v)),
    setting!("auth.penalty", Time, "TIME", "the longest delay for an address that fails again and again; 0s: none",
        auth_penalty, time, |&v: &_| show_time(v)),
    setting!("auth.login_timeout", Time, "TIME", "how long a client may take to log in",
        login_timeout, some_time, |&v: &_| show_time(v)),

    setting!("limits.connections", Number, "NUMBER", "how many clients can be connected",
        connections, count, usize::to_string),
    setting!("limits.connections_per_user", Number, "NUMBER", "how many clients of one user can be connected",
        connections_per_user, count, usize::to_string),
    setting!("limits.connections_per_user_and_address", Number, "NUMBER", "how many clients of one user can be connected from one address or IPv6 network of 48 bits",
        connections_per_user_and_address, count, usize::to_string),
    setting!("limits.waiting_connections", Number, "NUMBER", "how many clients can be connected without having logged in",
        waiting_connections, count, usize::to_string),
    setting!("limits.waiting_connections_per_address", Number, "NUMBER", "how many clients can be connected from one address without having logged in",
        waiting_connections_per_address, count, usize::to_string),
    setting!("limits.session_memory", Size, "SIZE", "how much memory the process of one user may allocate; 0: no limit",
        session_memory, size, |&v: &_| show_size(v)),

    setting!("mail.location", Text, "[maildir:]PATH[:LAYOUT=fs][:INBOX=PATH][:INDEX=PATH][:CONTROL=PATH][:UTF-8]", "where a user's mail is; %u %n %d %h ~ stand for user, name, domain, home, home",
        mail_location, |v| location::check(v).map(|()| String::from(v)), String::clone),
    setting!("mail.layout", Word, "maildir++|fs|detect", "where a child mailbox is: .Parent.Child or Parent/Child; detect: as the Maildir has it",
        layout, |v| word(v, LAYOUT), |&v: &_| show_word(v, LAYOUT)),
    setting!("mail.index_dir", Text, "PATH", "where index and cache files are, in folders like those of the Maildir; empty: in the Maildir",
        index_dir, |v| location::check_index_dir(v).map(|()| Some(v).filter(|v| !v.is_empty()).map(Into::into)), |v: &Option<_>| show_path(v.as_ref())),
    setting!("mail.separator", Word, "auto|/|.", "the character between the levels of a mailbox name, as clients see it; auto: as Dovecot, . for maildir++ and / for fs",
        separator, |v| word(v, SEPARATOR), |&v: &_| show_word(v, SEPARATOR)),
    setting!("mail.prefix", Text, "PREFIX", "what the names of all mailboxes but INBOX begin with, as clients see them",
        prefix, any, String::clone),
    setting!("mail.hidden_prefix", Text, "PREFIX", "a second prefix that clients can use and that is not listed",
        hidden_prefix, any, String::clone),
    setting!("mail.fsync", Word, "always|optimized|never", "what is forced to the disk before a change is confirmed",
        fsync, |v| word(v, FSYNC), |&v: &_| show_word(v, FSYNC)),
    setting!("mail.append_limit", Size, "SIZE", "the largest message that a client may add",
        append_limit, size, |&v: &_| show_size(v)),
    setting!("mail.idle_notify", Time, "TIME", "how often a client in IDLE is told that the server is still there, at most 29m",
        idle_notify, idle_notify, |&v: &_| show_time(v)),
    setting!("mail.idle_timeout", Time, "TIME", "how long a client that is not in IDLE may be silent; RFC 9051 asks for 30m",
        idle_timeout, some_time, |&v: &_| show_time(v)),
    setting!("mail.linger", Time, "TIME", "how long the process of a user stays after the user's last client has gone",
        session_linger, time, |&v: &_| show_time(v)),
    setting!("mail.watch", Switch, "yes|no", "whether the kernel is asked to tell of changes; no: mailboxes are polled",
        watch, |v| word(v, YES_NO), |&v: &_| show_word(v, YES_NO)),
    setting!("mail.poll_interval", Time, "TIME", "how often a mailbox is looked at that is not watched",
        poll_interval, poll_interval, |&v: &_| show_time(v)),

    Setting {
        name: "mailbox.NAME.auto",
        kind: SettingKind::Word,
        form: "no|create|subscribe",
        help: "whether the mailbox is made if it does not exist; subscribe: and subscribed to",
        access: SettingAccess::OfMailbox {
            set: |mailbox, value| word(value, AUTO_CREATE).map(|auto| mailbox.auto = auto),
            get: |mailbox| show_word(mailbox.auto, AUTO_CREATE),
        },
    },
    Setting {
        name: "mailbox.NAME.special_use",
        kind: SettingKind::Word,
        form: "All|Archive|Drafts|Flagged|Important|Junk|Sent|Trash",
        help: "what clients are to use the mailbox for (RFC 6154)",
        access: SettingAccess::OfMailbox {
            set: |mailbox, value| special_use(value).map(|value| mailbox.special_use = value),
            get: |mailbox| mailbox.special_use.as_deref().unwrap_or("").replace('\\', ""),
        },
    },

    setting!("process.front_user", Text, "NAME", "the user who runs the process that talks to clients before they log in",
        front_user, name, String::clone),
    setting!("process.state_dir", Text, "PATH", "the directory for the certificate that Roost makes itself",
        state_dir, path, |v| show_path(Some(v))),

    setting!("log.level", Word, "error|warn|info|debug", "the least important lines that are logged",
        log_level, |v| word(v, LOG_LEVEL), |&v: &_| show_word(v, LOG_LEVEL)),
    setting!("log.target", Word, "auto|stderr|syslog", "where the log goes; auto: to syslog from inetd, else to standard error",
        log_target, |v| word(v, LOG_TARGET), |&v: &_| show_word(v, LOG_TARGET)),
];

impl Setting {
    /// The value in `config`, as `Config::set` takes it; of a setting of mailboxes, the default.
    pub fn value(&self, config: &Config) -> String {
        match &self.access {
            SettingAccess::One { get, .. } => get(config),
            SettingAccess::OfMailbox { get, .. } => get(&MailboxSetting::default()),
        }
    }

    /// The form of its value in roost.toml.
    pub fn toml_form(&self) -> String {
        file::form(self)
    }

    /// The value in `config`, as it is written in roost.toml.
    pub fn toml_value(&self, config: &Config) -> String {
        show::toml_value(self.kind, &self.value(config))
    }

    /// `mail`
    pub fn group(&self) -> &'static str {
        self.name.split('.').next().unwrap_or(self.name)
    }

    /// The part after the last dot.
    pub fn key(&self) -> &'static str {
        self.name.rsplit('.').next().unwrap_or(self.name)
    }

    pub fn is_of_mailbox(&self) -> bool {
        matches!(self.access, SettingAccess::OfMailbox { .. })
    }
}

/// Takes `NAME=VALUE`, without the spaces around both.
pub(super) fn set(config: &mut Config, assignment: &str) -> Result<(), ConfigError> {
    let (name, value) = split(assignment)?;
    set_named(config, name.trim(), value.trim())
}

/// Takes `NAME=VALUE` as it is, with its spaces.
pub(super) fn set_exactly(config: &mut Config, line: &str) -> Result<(), ConfigError> {
    let (name, value) = split(line)?;
    set_named(config, name, value)
}

/// Splits `NAME=VALUE`.  The name of a mailbox can contain a `=`; the value of its settings cannot.
fn split(assignment: &str) -> Result<(&str, &str), ConfigError> {
    let halves = match assignment.trim_start().starts_with("mailbox.") {
        true => assignment.rsplit_once('='),
        false => assignment.split_once('='),
    };
    halves.ok_or_else(|| ConfigError::NoValue(assignment.to_owned()))
}

pub(super) fn set_named(config: &mut Config, name: &str, value: &str) -> Result<(), ConfigError> {
    let Some((setting, mailbox)) = find(name) else {
        return Err(ConfigError::UnknownName(name.to_owned(), likeliest(name)));
    };
    let bad = |problem| ConfigError::BadValue {
        name: name.to_owned(),
        form: setting.form,
        problem,
    };
    // A value is shown in one line, in the log for example.
    if value.chars().any(char::is_control) {
        return Err(bad("it must not contain control characters"));
    }
    match &setting.access {
        SettingAccess::One { set, .. } => set(config, value).map_err(bad),
        SettingAccess::OfMailbox { set, .. } => {
            check_mailbox(mailbox).map_err(bad)?;
            let is_it = |setting: &MailboxSetting| setting.name == mailbox;
            let mut entry = match config.mailboxes.iter().position(is_it) {
                Some(at) => config.mailboxes.remove(at),
                None => MailboxSetting {
                    name: mailbox.to_owned(),
                    ..MailboxSetting::default()
                },
            };
            let result = set(&mut entry, value).map_err(bad);
            // A mailbox whose settings are all at their defaults is left out.
            if entry.auto != Default::default() || entry.special_use.is_some() {
                config.mailboxes.push(entry);
                config.mailboxes.sort_by(|a, b| a.name.cmp(&b.name));
            }
            result
        }
    }
}

/// The setting of that name, and the mailbox in it.
pub(super) fn find(name: &str) -> Option<(&'static Setting, &str)> {
    let Some(rest) = name.strip_prefix("mailbox.") else {
        let setting = SETTINGS.iter().find(|setting| setting.name == name)?;
        return Some((setting, ""));
    };
    let (mailbox, key) = rest.rsplit_once('.')?;
    let of_mailbox = |setting: &&Setting| setting.is_of_mailbox() && setting.key() == key;
    SETTINGS
        .iter()
        .find(of_mailbox)
        .map(|setting| (setting, mailbox))
}

/// The setting that was meant: one with the same key in another group, or the closest name.
pub(super) fn likeliest(name: &str) -> Option<&'static str> {
    let key = name.rsplit('.').next().unwrap_or(name);
    let same_key = SETTINGS.iter().find(|setting| setting.key() == key);
    let same_key = same_key.map(|setting| setting.name);
    same_key.or_else(|| closest(name, SETTINGS.iter().map(|setting| setting.name)))
}

fn check_mailbox(name: &str) -> Result<(), Wrong> {
    if name.chars().any(|c| c.is_control() || "*%".contains(c)) {
        return Err("the mailbox's name must not contain control characters, * or %");
    }
    match name
        .split('/')
        .any(|level| ["", ".", ".."].contains(&level))
    {
        true => Err("a level of the mailbox's name is missing"),
        false => Ok(()),
    }
}

fn any(value: &str) -> Result<String, Wrong> {
    Ok(value.to_owned())
}

fn idle_notify(value: &str) -> Result<std::time::Duration, Wrong> {
    match time(value)? {
        time if time.is_zero() || time > MAX_IDLE_NOTIFY => {
            Err("it must be more than 0 and at most 29m")
        }
        time => Ok(time),
    }
}

fn poll_interval(value: &str) -> Result<std::time::Duration, Wrong> {
    match time(value)? {
        time if time < MIN_POLL_INTERVAL => Err("it must be at least 1s"),
        time => Ok(time),
    }
}

fn endpoints(endpoints: &[super::Endpoint]) -> String {
    show_elements(endpoints.iter().map(show_endpoint))
}

fn paths(paths: &[std::path::PathBuf]) -> String {
    show_elements(paths.iter().map(|path| path.display().to_string()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

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
    fn groups_stand_together_and_no_name_comes_twice() {
        let mut groups: Vec<&str> = SETTINGS.iter().map(Setting::group).collect();
        groups.dedup();
        assert_eq!(
            groups,
            [
                "listen", "tls", "auth", "limits", "mail", "mailbox", "process", "log"
            ]
        );
        let mut names: Vec<&str> = SETTINGS.iter().map(|setting| setting.name).collect();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), SETTINGS.len());
    }

    #[test]
    fn sizes_and_times_have_units() {
        let mut config = Config::default();
        config.set("mail.append_limit = 25M").unwrap();
        assert_eq!(config.append_limit, 25 * 1024 * 1024);
        config.set("mail.append_limit=0").unwrap();
        assert_eq!(config.append_limit, 0);
        config.set("mail.idle_timeout=90s").unwrap();
        assert_eq!(config.idle_timeout, Duration::from_secs(90));
        config.set("auth.failure_delay=10ms").unwrap();
        assert_eq!(config.failure_delay, Duration::from_millis(10));
    }

    #[test]
    fn a_mailbox_s_name_may_be_odd() {
        let mut config = Config::default();
        config.set("mailbox.a.b=c.auto = create").unwrap();
        config.set("mailbox.Sent Items.special_use=sent").unwrap();
        config.set("mailbox.x.auto=create").unwrap();
        config.set("mailbox.x.auto=no").unwrap();
        let names: Vec<&str> = config.mailboxes.iter().map(|m| m.name.as_str()).collect();
        assert_eq!(names, ["Sent Items", "a.b=c"]);
        assert_eq!(config.mailboxes[0].special_use.as_deref(), Some("\\Sent"));
        for name in ["", "/a", "a//b", "..", "a/../b", "*"] {
            assert!(config.set(&format!("mailbox.{name}.auto=create")).is_err());
        }
        assert!(config.set("mailbox.auto=create").is_err());
    }

    #[test]
    fn a_bad_value_is_refused_with_the_form_of_a_good_one() {
        let mut config = Config::default();
        for (assignment, text) in [
            ("mail.fsync", "'mail.fsync' is not NAME=VALUE"),
            (
                "nonsense=1",
                "there is no setting \"nonsense\"; see roost.toml(5)",
            ),
            (
                "fsync=no",
                "there is no setting \"fsync\"; did you mean \"mail.fsync\"?",
            ),
            (
                "tls.requird=no",
                "there is no setting \"tls.requird\"; did you mean \"tls.required\"?",
            ),
            (
                "mail.fsync=no",
                "mail.fsync=always|optimized|never: it must be one of these",
            ),
            (
                "mail.append_limit=99999999999T",
                "mail.append_limit=SIZE: it is too large",
            ),
            (
                "mail.append_limit=1Q",
                "mail.append_limit=SIZE: its unit must be K, M, G or T, or none",
            ),
            (
                "mail.idle_timeout=5",
                "mail.idle_timeout=TIME: its unit must be ms, s, m, h or d",
            ),
            (
                "mail.idle_timeout=",
                "mail.idle_timeout=TIME: it must begin with a number",
            ),
            (
                "mail.idle_timeout=0s",
                "mail.idle_timeout=TIME: it must be more than 0",
            ),
            (
                "mail.idle_timeout=101000d",
                "mail.idle_timeout=TIME: it is too long",
            ),
            (
                "mail.idle_notify=30m",
                "mail.idle_notify=TIME: it must be more than 0 and at most 29m",
            ),
            (
                "mail.index_dir=x",
                "mail.index_dir=PATH: the path must begin with /, ~/ or %h",
            ),
            (
                "log.level=in\tfo",
                "log.level=error|warn|info|debug: it must not contain control characters",
            ),
            (
                "limits.connections=0",
                "limits.connections=NUMBER: it must be at least 1",
            ),
            (
                "auth.first_valid_uid=-1",
                "auth.first_valid_uid=NUMBER: it must be a number",
            ),
            (
                "auth.pam_service=../x",
                "auth.pam_service=NAME: it must be a name: letters, digits, - _ . @",
            ),
            (
                "listen.sasl_mode=888",
                "listen.sasl_mode=OCTAL: it must be an octal number of at most 0777",
            ),
            (
                "listen.imap=0",
                "listen.imap=[ADDRESS:]PORT ..: its port must be a number from 1 to 65535",
            ),
            (
                "listen.imap=1.2.3:1",
                "listen.imap=[ADDRESS:]PORT ..: its address must be *, or an IPv4 or [IPv6] address",
            ),
            (
                "listen.trusted_proxies=10.1.0.0/8",
                "listen.trusted_proxies=ADDRESS[/BITS] ..: there are bits set after the first /BITS",
            ),
            (
                "listen.trusted_proxies=::/129",
                "listen.trusted_proxies=ADDRESS[/BITS] ..: there are not so many bits in an address",
            ),
            ("tls.key=/a \"/b", "tls.key=PATH ..: a quote is not closed"),
        ] {
            let error = config.set(assignment).unwrap_err();
            assert_eq!(error.to_string(), text);
        }
        assert_eq!(config, Config::default());
    }
}
