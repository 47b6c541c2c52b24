//! Values from text and back.  The text that a value is shown as can be read again.

use core::net::IpAddr;
use std::path::PathBuf;
use std::time::Duration;

use log::LevelFilter;

use super::{
    AuthSource, AutoCreate, ClientCertificate, Endpoint, LogTarget, Mechanism, Network, Separator,
    TlsRequired, TlsVersion,
};
use crate::mail::{Fsync, Layout};

/// What is wrong with a value.
pub(super) type Wrong = &'static str;

/// A number of octets: digits, and perhaps K, M, G or T for powers of 1024.
pub(super) fn size(value: &str) -> Result<u64, Wrong> {
    let (number, unit) = split_unit(value)?;
    let unit = SIZES.iter().find(|(name, _)| *name == unit);
    let (_, octets) = unit.ok_or("its unit must be K, M, G or T, or none")?;
    number.checked_mul(*octets).ok_or("it is too large")
}

/// A time: digits and ms, s, m, h or d.  The limit of a hundred years keeps clocks from
/// overflowing.
pub(super) fn time(value: &str) -> Result<Duration, Wrong> {
    let (number, unit) = split_unit(value)?;
    let milliseconds = TIMES.iter().find(|(name, _)| *name == unit);
    let total = match milliseconds {
        Some((_, milliseconds)) => number.checked_mul(*milliseconds),
        None if value == "0" => Some(0),
        None => return Err("its unit must be ms, s, m, h or d"),
    };
    let time = total.map(Duration::from_millis);
    time.filter(|&time| time <= MAX_TIME)
        .ok_or("it is too long")
}

pub(super) fn some_time(value: &str) -> Result<Duration, Wrong> {
    match time(value)? {
        Duration::ZERO => Err("it must be more than 0"),
        time => Ok(time),
    }
}

/// A count of at least one.
pub(super) fn count(value: &str) -> Result<usize, Wrong> {
    match number(value)? {
        0 => Err("it must be at least 1"),
        number => usize::try_from(number).map_err(|_| "it is too large"),
    }
}

/// A uid.
pub(super) fn number(value: &str) -> Result<u32, Wrong> {
    if value.is_empty() || !value.bytes().all(|b| b.is_ascii_digit()) {
        return Err("it must be a number");
    }
    value.parse().map_err(|_| "it is too large")
}

/// The permissions of a file.
pub(super) fn mode(value: &str) -> Result<u32, Wrong> {
    let digits = value.strip_prefix("0o").unwrap_or(value);
    let mode = u32::from_str_radix(digits, 8);
    let is_octal = digits.bytes().all(|b| b.is_ascii_digit());
    match mode {
        Ok(mode) if is_octal && mode <= 0o777 => Ok(mode),
        _ => Err("it must be an octal number of at most 0777"),
    }
}

pub(super) fn word<T: Copy>(value: &str, words: &[(&str, T)]) -> Result<T, Wrong> {
    let found = words.iter().find(|(word, _)| *word == value);
    found
        .map(|&(_, meaning)| meaning)
        .ok_or("it must be one of these")
}

pub(super) fn path(value: &str) -> Result<PathBuf, Wrong> {
    match value.starts_with('/') {
        true => Ok(PathBuf::from(value)),
        false => Err("it must begin with a slash"),
    }
}

pub(super) fn path_or_none(value: &str) -> Result<Option<PathBuf>, Wrong> {
    match value {
        "" => Ok(None),
        value => path(value).map(Some),
    }
}

/// Several values, with commas or spaces between them.  A value that contains a comma or a space is
/// in double quotes, with a backslash before each quote and backslash.
pub(super) fn list<T>(
    value: &str,
    one: impl Fn(&str) -> Result<T, Wrong>,
) -> Result<Vec<T>, Wrong> {
    elements(value)?
        .iter()
        .map(|element| one(element))
        .collect()
}

pub(super) fn some_list<T>(
    value: &str,
    one: impl Fn(&str) -> Result<T, Wrong>,
) -> Result<Vec<T>, Wrong> {
    let list = list(value, one)?;
    match list.is_empty() {
        true => Err("there must be at least one"),
        false => Ok(list),
    }
}

pub(super) fn elements(value: &str) -> Result<Vec<String>, Wrong> {
    let mut elements = Vec::new();
    let mut characters = value.chars().peekable();
    loop {
        while characters.next_if(|&c| is_between(c)).is_some() {}
        let Some(&first) = characters.peek() else {
            return Ok(elements);
        };
        let mut element = String::new();
        if first == '"' {
            characters.next();
            loop {
                match characters.next().ok_or("a quote is not closed")? {
                    '"' => break,
                    '\\' => element.push(characters.next().ok_or("a quote is not closed")?),
                    c => element.push(c),
                }
            }
        } else {
            while let Some(c) = characters.next_if(|&c| !is_between(c)) {
                element.push(c);
            }
        }
        elements.push(element);
    }
}

pub(super) fn show_elements(elements: impl Iterator<Item = String>) -> String {
    let quoted = elements.map(|element| {
        let is_plain =
            !element.is_empty() && !element.starts_with('"') && !element.chars().any(is_between);
        match is_plain {
            true => element,
            false => format!("\"{}\"", element.replace('\\', "\\\\").replace('"', "\\\"")),
        }
    });
    quoted.collect::<Vec<_>>().join(" ")
}

fn is_between(c: char) -> bool {
    c == ',' || c.is_whitespace()
}

/// `143`, `*:143`, `192.0.2.1:143`, `[2001:db8::1]:143`
pub(super) fn endpoint(value: &str) -> Result<Endpoint, Wrong> {
    let (address, port) = value.rsplit_once(':').unwrap_or(("*", value));
    let address = match address {
        "*" => None,
        address => {
            let bare = match address.strip_prefix('[') {
                Some(rest) => rest.strip_suffix(']'),
                // An IPv6 address without brackets might have lost its last part to the port.
                None => Some(address).filter(|address| !address.contains(':')),
            };
            let bare = bare.ok_or("an IPv6 address must be in brackets: [::1]:143")?;
            let address = bare.parse::<IpAddr>();
            Some(address.map_err(|_| "its address must be *, or an IPv4 or [IPv6] address")?)
        }
    };
    match number(port).map(u16::try_from) {
        Ok(Ok(port)) if port > 0 => Ok(Endpoint { address, port }),
        _ => Err("its port must be a number from 1 to 65535"),
    }
}

pub(super) fn show_endpoint(endpoint: &Endpoint) -> String {
    let port = endpoint.port;
    match endpoint.address {
        None => format!("*:{port}"),
        Some(IpAddr::V4(address)) => format!("{address}:{port}"),
        Some(IpAddr::V6(address)) => format!("[{address}]:{port}"),
    }
}

/// `10.0.0.0/8`, or one address.
pub(super) fn network(value: &str) -> Result<Network, Wrong> {
    let (address, bits) = match value.split_once('/') {
        Some((address, bits)) => (address, Some(bits)),
        None => (value, None),
    };
    let address: IpAddr = address
        .parse()
        .map_err(|_| "it must be an address, or an address with /BITS")?;
    let (all, octets) = match address {
        IpAddr::V4(address) => (32, u128::from(u32::from(address)) << 96),
        IpAddr::V6(address) => (128, u128::from(address)),
    };
    let bits = match bits {
        Some(bits) => number(bits)?,
        None => all,
    };
    if bits > all {
        return Err("there are not so many bits in an address");
    }
    // A shift by all 128 bits overflows.
    if octets.checked_shl(bits).unwrap_or(0) != 0 {
        return Err("there are bits set after the first /BITS");
    }
    let bits = u8::try_from(bits).unwrap_or(u8::MAX);
    Ok(Network { address, bits })
}

pub(super) fn show_network(network: &Network) -> String {
    format!("{}/{}", network.address, network.bits)
}

/// `pam`, `passwd-file:/etc/roost/users`, `dovecot:/run/dovecot`
pub(super) fn source(value: &str) -> Result<AuthSource, Wrong> {
    match value.split_once(':') {
        None if value == "pam" => Ok(AuthSource::Pam),
        Some(("passwd-file", file)) => path(file)
            .map(AuthSource::PasswdFile)
            .map_err(|_| "the path of a passwd-file must begin with a slash"),
        Some(("dovecot", directory)) => path(directory)
            .map(AuthSource::Dovecot)
            .map_err(|_| "the path of Dovecot's base_dir must begin with a slash"),
        _ => Err("it must be pam, passwd-file:/PATH or dovecot:/PATH"),
    }
}

pub(super) fn show_source(source: &AuthSource) -> String {
    match source {
        AuthSource::Pam => "pam".to_owned(),
        AuthSource::PasswdFile(path) => format!("passwd-file:{}", path.display()),
        AuthSource::Dovecot(path) => format!("dovecot:{}", path.display()),
    }
}

/// Upper and lower case are the same, as everywhere in SASL.
pub(super) fn mechanism(value: &str) -> Result<Mechanism, Wrong> {
    word(value.to_ascii_uppercase().as_str(), MECHANISM)
}

/// RFC 6154 2, RFC 8457 2.  The backslash, which is hard to write in TOML, can be left out.
pub(super) fn special_use(value: &str) -> Result<Option<String>, Wrong> {
    if value.is_empty() {
        return Ok(None);
    }
    let name = value.strip_prefix('\\').unwrap_or(value);
    let known = SPECIAL_USE
        .iter()
        .find(|known| known.eq_ignore_ascii_case(name));
    known
        .map(|known| Some(format!("\\{known}")))
        .ok_or("it must be one of these")
}

/// The name of a user, a group or a PAM service.
pub(super) fn name(value: &str) -> Result<String, Wrong> {
    let may_be = |c: char| c.is_alphanumeric() || "-_.@".contains(c);
    match value.is_empty() || value.starts_with('-') || !value.chars().all(may_be) {
        true => Err("it must be a name: letters, digits, - _ . @"),
        false => Ok(value.to_owned()),
    }
}

pub(super) fn name_or_none(value: &str) -> Result<String, Wrong> {
    match value {
        "" => Ok(String::new()),
        value => name(value),
    }
}

/// `user:group`, or only a user.
pub(super) fn owner(value: &str) -> Result<String, Wrong> {
    let (user, group) = value.split_once(':').unwrap_or((value, value));
    name(user).and(name(group)).map(|_| value.to_owned())
}

pub(super) fn show_word<T: Copy + PartialEq>(value: T, words: &[(&str, T)]) -> String {
    let found = words.iter().find(|&&(_, meaning)| meaning == value);
    found.map_or(String::new(), |(word, _)| (*word).to_owned())
}

pub(super) fn show_size(size: u64) -> String {
    show_unit(size, SIZES)
}

pub(super) fn show_time(time: Duration) -> String {
    let milliseconds = u64::try_from(time.as_millis()).unwrap_or(u64::MAX);
    match milliseconds {
        0 => "0s".to_owned(),
        milliseconds => show_unit(milliseconds, TIMES),
    }
}

pub(super) fn show_path(path: Option<&PathBuf>) -> String {
    path.map_or(String::new(), |path| path.display().to_string())
}

fn split_unit(value: &str) -> Result<(u64, &str), Wrong> {
    let end = value
        .find(|c: char| !c.is_ascii_digit())
        .unwrap_or(value.len());
    let (digits, unit) = value.split_at(end);
    match digits {
        "" => Err("it must begin with a number"),
        _ => Ok((digits.parse().map_err(|_| "it is too large")?, unit.trim())),
    }
}

/// The number with the largest unit that divides it.
fn show_unit(number: u64, units: &[(&str, u64)]) -> String {
    let fits = |&&(_, unit): &&(&str, u64)| number >= unit && number.is_multiple_of(unit);
    match units.iter().rev().find(fits).or(units.first()) {
        Some((name, unit)) => format!("{}{name}", number / unit),
        None => number.to_string(),
    }
}

const MAX_TIME: Duration = Duration::from_secs(100 * 365 * 24 * 60 * 60);

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

pub(super) const AUTO_CREATE: &[(&str, AutoCreate)] = &[
    ("no", AutoCreate::No),
    ("create", AutoCreate::Create),
    ("subscribe", AutoCreate::Subscribe),
];

pub(super) const CLIENT_CERTIFICATE: &[(&str, ClientCertificate)] = &[
    ("no", ClientCertificate::No),
    ("optional", ClientCertificate::Optional),
    ("required", ClientCertificate::Required),
];

pub(super) const FSYNC: &[(&str, Fsync)] = &[
    ("always", Fsync::Always),
    ("optimized", Fsync::Optimized),
    ("never", Fsync::Never),
];

pub(super) const LAYOUT: &[(&str, Layout)] = &[
    ("maildir++", Layout::MaildirPlusPlus),
    ("fs", Layout::Fs),
    ("detect", Layout::Detect),
];

pub(super) const LOG_LEVEL: &[(&str, LevelFilter)] = &[
    ("error", LevelFilter::Error),
    ("warn", LevelFilter::Warn),
    ("info", LevelFilter::Info),
    ("debug", LevelFilter::Debug),
];

pub(super) const LOG_TARGET: &[(&str, LogTarget)] = &[
    ("auto", LogTarget::Auto),
    ("stderr", LogTarget::Stderr),
    ("syslog", LogTarget::Syslog),
];

pub(super) const MECHANISM: &[(&str, Mechanism)] = &[
    ("PLAIN", Mechanism::Plain),
    ("LOGIN", Mechanism::Login),
    ("SCRAM-SHA-256", Mechanism::ScramSha256),
    ("EXTERNAL", Mechanism::External),
];

pub(super) const SEPARATOR: &[(&str, Separator)] = &[
    ("auto", Separator::OfLayout),
    ("/", Separator::Slash),
    (".", Separator::Dot),
];

const SPECIAL_USE: &[&str] = &[
    "All",
    "Archive",
    "Drafts",
    "Flagged",
    "Important",
    "Junk",
    "Sent",
    "Trash",
];

pub(super) const TLS_REQUIRED: &[(&str, TlsRequired)] = &[
    ("off", TlsRequired::Off),
    ("no", TlsRequired::No),
    ("yes", TlsRequired::Yes),
    ("always", TlsRequired::Always),
];

pub(super) const TLS_VERSION: &[(&str, TlsVersion)] =
    &[("1.2", TlsVersion::V1_2), ("1.3", TlsVersion::V1_3)];

pub(super) const USERNAME_FORMAT: &[(&str, &str)] =
    &[("%u", "%u"), ("%Lu", "%Lu"), ("%n", "%n"), ("%Ln", "%Ln")];

pub(super) const YES_NO: &[(&str, bool)] = &[("yes", true), ("no", false)];
