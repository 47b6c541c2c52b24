//! Users and passwords in a file of Dovecot's passwd-file format, one a line:
//!
//! ```text
//! user:{SCHEME}password:uid:gid:gecos:home:shell:name=value name=value
//! ```
//!
//! All but the first two fields may be missing.  The system then supplies them.  The file is read
//! anew for each login, so that it can be changed at any time: 100,000 users take some
//! milliseconds.

use core::net::IpAddr;
use std::fs::File;
use std::io::{self, Read};
use std::path::Path;

use memchr::{memchr, memmem, memrchr};
use zeroize::Zeroizing;

use crate::auth::scheme::{SchemeError, Stored};
use crate::config::{MAIL_SETTINGS, MailPlace};

/// A user's line.
#[derive(Clone, PartialEq, Eq)]
pub struct PasswdLine {
    pub user: String,
    password: Zeroizing<Vec<u8>>,
    /// Numbers or names.
    pub uid: Option<String>,
    pub gid: Option<String>,
    pub home: Option<String>,
    /// `userdb_mail`, or settings of Dovecot 2.4 such as `userdb_mail_path`.
    pub mail: Option<MailPlace>,
    /// `allow_nets`
    networks: Option<String>,
    /// `nologin`: the user may not log in now, whatever the password is.
    pub no_login: bool,
    /// A field that makes the line unusable for a login here with this password.
    pub unusable: Option<&'static str>,
    /// Fields that mean nothing here.
    pub ignored: Vec<String>,
}

/// What a file has for a user.
#[derive(Default)]
pub struct FoundLine {
    pub entry: Option<PasswdLine>,
    /// The password of the first line.  Others in the file are probably of the same kind.
    pub sample: Option<Stored>,
    /// The iterations of the first SCRAM verifier.
    pub iterations: Option<u32>,
}

/// How far a file is read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Extent {
    /// To the line that is looked for.
    Line,
    /// To its end, whether or not the user is found, because the client is answered at once and
    /// could measure it.  What SCRAM needs is looked at as well.
    Whole,
}

/// Looks for a user.  Of several lines the first counts.
pub fn find(path: &Path, user: &str, extent: Extent) -> io::Result<FoundLine> {
    find_in(&mut File::open(path)?, user, extent)
}

pub fn find_in(file: &mut impl Read, user: &str, extent: Extent) -> io::Result<FoundLine> {
    let needle = format!("\n{user}:");
    // Nobody has such a name, so nobody's line begins with it.
    let possible = !user.is_empty() && !user.starts_with('#') && !user.contains([':', '\n', '\r']);
    let finder = memmem::Finder::new(&needle);
    let mut found = FoundLine::default();
    each_piece(file, |text| {
        if found.sample.is_none() {
            let first = text
                .split(|&byte| byte == b'\n')
                .find_map(PasswdLine::parse);
            found.sample = first.and_then(|entry| entry.password().ok());
        }
        if extent == Extent::Whole && found.iterations.is_none() {
            found.iterations = iterations(text);
        }
        if possible
            && found.entry.is_none()
            && let Some(at) = finder.find(text)
        {
            let rest = text.get(at + 1..).unwrap_or_default();
            let end = memchr(b'\n', rest).unwrap_or(rest.len());
            found.entry = rest.get(..end).and_then(PasswdLine::parse);
        }
        extent == Extent::Whole || found.entry.is_none()
    })?;
    Ok(found)
}

/// Calls `look` with each entry and the number of its line.
pub fn each(file: &mut impl Read, mut look: impl FnMut(usize, PasswdLine)) -> io::Result<()> {
    let mut number = 0;
    each_piece(file, |text| {
        // What is before the first end of a line was in the piece before.
        for line in text.split(|&byte| byte == b'\n').skip(1) {
            number += 1;
            if let Some(entry) = PasswdLine::parse(line) {
                look(number, entry);
            }
        }
        true
    })
}

impl PasswdLine {
    /// `None` if it is a comment, or empty, or has only one field.
    pub fn parse(line: &[u8]) -> Option<PasswdLine> {
        let line = line.strip_suffix(b"\r").unwrap_or(line);
        memchr(b':', line)?;
        if line.first().is_none_or(|first| b"#:".contains(first)) {
            return None;
        }
        let mut fields = line.splitn(8, |&byte| byte == b':');
        let mut next = || fields.next().unwrap_or_default();
        let user = str::from_utf8(next()).ok()?.to_owned();
        let password = Zeroizing::new(next().to_vec());
        let (uid, gid, _gecos, home, _shell) = (next(), next(), next(), next(), next());
        let mut entry = PasswdLine {
            user,
            password,
            uid: text(uid),
            gid: text(gid),
            home: text(home),
            mail: None,
            networks: None,
            no_login: false,
            unusable: None,
            ignored: Vec::new(),
        };
        let extra = String::from_utf8_lossy(next()).into_owned();
        let fields = extra.split_ascii_whitespace();
        let fields: Vec<_> = fields
            .map(|field| field.split_once('=').unwrap_or((field, "")))
            .collect();
        for (name, value) in &fields {
            entry.take(name, value);
        }
        entry.mail = MailPlace::of_fields(|wanted| {
            let mut own = fields.iter().rev();
            let is_it = |name: &str| name.strip_prefix("userdb_") == Some(wanted);
            let (_, value) = own.find(|(name, _)| is_it(name))?;
            Some(*value).filter(|value| wanted != "mail" || !value.is_empty())
        });
        Some(entry)
    }

    fn take(&mut self, name: &str, value: &str) {
        let some = (!value.is_empty()).then(|| value.to_owned());
        match name {
            "userdb_home" => self.home = some,
            "userdb_uid" => self.uid = some,
            "userdb_gid" => self.gid = some,
            // Empty, it allows nobody.
            "allow_nets" | "allow_real_nets" => {
                let both = self
                    .networks
                    .take()
                    .map(|before| format!("{before};{value}"));
                self.networks = Some(both.unwrap_or_else(|| value.to_owned()));
            }
            "nologin" => self.no_login = true,
            "nopassword" => self.unusable = Some("nopassword"),
            "proxy" | "proxy_maybe" | "host" => self.unusable = Some("proxy"),
            "user" | "username" | "login_user" | "userdb_user" => self.unusable = Some("user"),
            "userdb_chroot" => self.unusable = Some("userdb_chroot"),
            "userdb_mail" => {}
            _ if MAIL_SETTINGS
                .iter()
                .any(|known| name.strip_prefix("userdb_") == Some(known)) => {}
            _ => self.ignored.push(name.to_owned()),
        }
    }

    pub fn password(&self) -> Result<Stored, SchemeError> {
        let text = str::from_utf8(&self.password).map_err(|_| SchemeError::Form)?;
        Stored::parse(text)
    }

    /// Whether the user may come from there.  `None`: from this host, without a network.
    pub fn allows(&self, address: Option<IpAddr>) -> bool {
        let Some(networks) = &self.networks else {
            return true;
        };
        let any = |list: &str| {
            list.split(',').any(|network| match address {
                None => network == "local",
                Some(address) => holds(network, address) == Some(true),
            })
        };
        networks.split(';').all(any)
    }
}

/// Whether an address is in `10.0.0.0/8`, or is `10.1.2.3`; `None` if that is no network.
fn holds(network: &str, address: IpAddr) -> Option<bool> {
    let (start, bits) = match network.split_once('/') {
        Some((start, bits)) => (start, Some(bits.parse::<u32>().ok()?)),
        None => (network, None),
    };
    let start = start.trim_start_matches('[').trim_end_matches(']');
    match (start.parse::<IpAddr>().ok()?, address.to_canonical()) {
        (IpAddr::V4(start), IpAddr::V4(address)) => {
            let beyond = 32_u32.checked_sub(bits.unwrap_or(32))?;
            let differ = start.to_bits() ^ address.to_bits();
            Some(differ.checked_shr(beyond).unwrap_or(0) == 0)
        }
        (IpAddr::V6(start), IpAddr::V6(address)) => {
            let beyond = 128_u32.checked_sub(bits.unwrap_or(128))?;
            let differ = start.to_bits() ^ address.to_bits();
            Some(differ.checked_shr(beyond).unwrap_or(0) == 0)
        }
        _ => Some(false),
    }
}

/// Calls `look` with the text piece by piece, as long as it wants more; each begins with the end of
/// a line, and ends before one.
fn each_piece(file: &mut impl Read, mut look: impl FnMut(&[u8]) -> bool) -> io::Result<()> {
    let mut buffer = Zeroizing::new(vec![b'\n'; PIECE]);
    let mut filled = 1;
    loop {
        let room = buffer.get_mut(filled..).unwrap_or_default();
        if room.is_empty() {
            return Err(io::Error::other("a line is too long"));
        }
        let read = match file.read(room) {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            read => read?,
        };
        filled += read;
        let text = buffer.get(..filled).unwrap_or_default();
        if read == 0 {
            look(text);
            return Ok(());
        }
        let whole = memrchr(b'\n', text).unwrap_or(0);
        if !look(text.get(..whole).unwrap_or_default()) {
            return Ok(());
        }
        buffer.copy_within(whole..filled, 0);
        filled -= whole;
    }
}

/// Of the first SCRAM verifier in there.
fn iterations(text: &[u8]) -> Option<u32> {
    let at = memmem::find(text, SCRAM)?;
    let digits = text.get(at + SCRAM.len()..)?;
    let end = memchr(b',', digits)?;
    str::from_utf8(digits.get(..end)?).ok()?.parse().ok()
}

/// A field that is not empty.
fn text(field: &[u8]) -> Option<String> {
    let text = str::from_utf8(field).ok()?;
    (!text.is_empty()).then(|| text.to_owned())
}

const SCRAM: &[u8] = b":{SCRAM-SHA-256}";

/// No line is nearly as long.
const PIECE: usize = 256 * 1024;

#[cfg(test)]
mod tests;
