//! What `roost check` says of this host: its addresses, and its users' home directories.

use std::os::unix::fs::MetadataExt;
use std::path::Path;

use super::check::Checker;
use crate::config::{AuthSource, Config};
use crate::sys::bind_options::has_address;

impl Checker {
    /// Warns of addresses that the host does not have.  Such an address may appear later, but it is
    /// more likely a mistake.
    pub(super) fn check_addresses(&mut self, config: &Config) {
        let listeners = [
            ("listen.imap", &config.listen_imap),
            ("listen.imaps", &config.listen_imaps),
            ("listen.imap_proxy", &config.listen_imap_proxy),
            ("listen.imaps_proxy", &config.listen_imaps_proxy),
        ];
        for (setting, endpoints) in listeners {
            let addresses = endpoints.iter().filter_map(|endpoint| endpoint.address);
            for address in addresses.filter(|&address| !has_address(address)) {
                self.warnings.push(format!(
                    "{setting}: this host has no address {address} now, so nobody can connect there yet"
                ));
            }
        }
    }

    /// Warns of users whose mail is in a home directory that does not exist and that they may not
    /// make.
    pub(super) fn check_homes(&mut self, config: &Config) {
        if !config.auth_sources.contains(&AuthSource::Pam) || config.auth_pam_session {
            return;
        }
        let Ok(text) = std::fs::read_to_string(USERS) else {
            return;
        };
        let users = text.lines().filter_map(User::parse);
        let without: Vec<User<'_>> = users
            .filter(|user| user.uid >= config.auth_first_valid_uid && user.uid < NOBODY)
            .filter(|user| user.can_log_in() && user.is_homeless(config))
            .collect();
        for User { name, home, .. } in without.iter().take(MAX_SHOWN) {
            self.warnings.push(format!(
                "mail.location: {name} has no mail: the home directory {home} does not exist, and {name} may \
                 not make it: make it, mount it, or let pam_mkhomedir make it (auth.pam_session)"
            ));
        }
        let more = without.len().saturating_sub(MAX_SHOWN);
        if more > 0 {
            self.warnings.push(format!(
                "mail.location: {more} more users have no home directory"
            ));
        }
    }
}

/// A line of passwd(5).
struct User<'a> {
    name: &'a str,
    uid: u32,
    gid: u32,
    home: &'a str,
    shell: &'a str,
}

impl<'a> User<'a> {
    fn parse(line: &'a str) -> Option<User<'a>> {
        let mut fields = line.split(':');
        let name = fields.next()?;
        let _password = fields.next()?;
        Some(User {
            name,
            uid: fields.next()?.parse().ok()?,
            gid: fields.next()?.parse().ok()?,
            home: fields.nth(1)?,
            shell: fields.next()?,
        })
    }

    fn can_log_in(&self) -> bool {
        !["/nologin", "/false"]
            .iter()
            .any(|end| self.shell.ends_with(end))
    }

    /// Whether the home directory does not exist and the user may not make it, as far as owners and
    /// modes tell.
    fn is_homeless(&self, config: &Config) -> bool {
        let home = Path::new(self.home);
        let Ok(location) = config.locate(self.name, self.home) else {
            return false;
        };
        if home.exists() || !location.maildir.starts_with(home) {
            return false;
        }
        let above = home.ancestors().find(|path| path.exists());
        above
            .and_then(|above| std::fs::metadata(above).ok())
            .is_some_and(|above| {
                let may = match (above.uid() == self.uid, above.gid() == self.gid) {
                    (true, _) => 0o300,
                    (false, true) => 0o030,
                    (false, false) => 0o003,
                };
                above.mode() & may != may
            })
    }
}

const USERS: &str = "/etc/passwd";

/// The uid of nobody.  No user has this uid or a higher one.
const NOBODY: u32 = 65_534;

const MAX_SHOWN: usize = 10;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_user_without_a_home_and_without_the_right_to_make_one_is_homeless() {
        let parse = |line| User::parse(line).unwrap();
        let config = Config::default();
        let carol = "carol:x:4711:4711:Carol,,,:/etc/roost-test-home/carol:/bin/sh";
        assert!(parse(carol).can_log_in() && parse(carol).is_homeless(&config));
        let at_large = "carol:x:4711:4711::/tmp/roost-test-home/carol:/bin/sh";
        assert!(!parse(at_large).is_homeless(&config));
        assert!(!parse("carol:x:4711:4711::/tmp:/bin/sh").is_homeless(&config));
        assert!(!parse("c:x:4711:4711::/x:/usr/sbin/nologin").can_log_in());
        let elsewhere = Config {
            mail_location: String::from("/var/mail/%u"),
            ..Config::default()
        };
        assert!(!parse(carol).is_homeless(&elsewhere));
        assert!(User::parse("half:x:1").is_none());
    }
}
