//! How many connections a user may have, from one address and in all.
//!
//! An address is what [`Prefix`] says: the owner of an IPv6 network has no more than others.

use std::collections::HashMap;

use crate::config::Config;
use crate::ipc::{Limit, Origin};
use crate::net::Prefix;

#[derive(Default)]
pub(super) struct ConnectionCounts {
    users: HashMap<String, OfUser>,
    total: usize,
}

#[derive(Default)]
struct OfUser {
    total: usize,
    addresses: HashMap<Option<Prefix>, usize>,
}

impl ConnectionCounts {
    /// One more connection; or the limit that it would exceed.
    pub fn add(&mut self, user: &str, origin: &Origin, config: &Config) -> Result<(), Limit> {
        let address = address(origin);
        let of_user = self.users.get(user);
        let total = of_user.map_or(0, |of_user| of_user.total);
        let from_there = of_user
            .and_then(|of_user| of_user.addresses.get(&address))
            .copied()
            .unwrap_or(0);
        // The narrowest first: it is the one that the user can do something about.
        if from_there >= config.connections_per_user_and_address {
            return Err(Limit::UserAndAddress);
        }
        if total >= config.connections_per_user {
            return Err(Limit::User);
        }
        if self.total >= config.connections {
            return Err(Limit::All);
        }
        let of_user = self.users.entry(user.to_owned()).or_default();
        of_user.total += 1;
        *of_user.addresses.entry(address).or_default() += 1;
        self.total += 1;
        Ok(())
    }

    /// One that was added is gone.
    pub fn remove(&mut self, user: &str, origin: &Origin) {
        let Some(of_user) = self.users.get_mut(user) else {
            return;
        };
        let address = address(origin);
        let Some(from_there) = of_user.addresses.get_mut(&address) else {
            return;
        };
        *from_there = from_there.saturating_sub(1);
        if *from_there == 0 {
            of_user.addresses.remove(&address);
        }
        of_user.total = of_user.total.saturating_sub(1);
        if of_user.total == 0 {
            self.users.remove(user);
        }
        self.total = self.total.saturating_sub(1);
    }
}

fn address(origin: &Origin) -> Option<Prefix> {
    origin.remote.map(|remote| Prefix::of(remote.ip()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_limit_is_told_from_the_others_and_frees() {
        let config = Config {
            connections: 5,
            connections_per_user: 3,
            connections_per_user_and_address: 2,
            ..Config::default()
        };
        let mut counts = ConnectionCounts::default();
        let mut add = |user: &str, address: &str| counts.add(user, &origin(address), &config);
        assert_eq!(add("bob", "2001:db8:1:1::1"), Ok(()));
        assert_eq!(add("bob", "2001:db8:1:2::1"), Ok(()));
        assert_eq!(add("bob", "2001:db8:1:3::1"), Err(Limit::UserAndAddress));
        assert_eq!(add("bob", "2001:db8:2::1"), Ok(()));
        assert_eq!(add("bob", "192.0.2.1"), Err(Limit::User));
        assert_eq!(add("eve", "192.0.2.1"), Ok(()));
        assert_eq!(add("eve", "::ffff:192.0.2.1"), Ok(()));
        assert_eq!(add("joe", "192.0.2.9"), Err(Limit::All));
        counts.remove("bob", &origin("2001:db8:1:ffff::9"));
        assert_eq!(counts.add("joe", &origin("192.0.2.9"), &config), Ok(()));
        for (user, address) in [
            ("bob", "2001:db8:1::1"),
            ("bob", "2001:db8:2::1"),
            ("eve", "192.0.2.1"),
            ("eve", "192.0.2.1"),
            ("eve", "192.0.2.1"),
            ("joe", "192.0.2.9"),
        ] {
            counts.remove(user, &origin(address));
        }
        assert!(counts.users.is_empty() && counts.total == 0);
    }

    fn origin(address: &str) -> Origin {
        Origin {
            remote: Some((address.parse::<std::net::IpAddr>().unwrap(), 4711).into()),
            local: None,
            tls: false,
            session: String::new(),
        }
    }
}
