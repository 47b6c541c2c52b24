//! Logins that were right a moment ago (`auth.cache_time`).  PURE: time and the state of files are
//! arguments.
//!
//! A login is kept under an HMAC of protocol, address, user and password.  Its key is made anew at
//! each start, so what is in memory can be compared with a password, but not turned into one.  Only
//! successful logins are kept.  Another password has another HMAC, so it is never answered from
//! here.  The monitor holds the cache.

use core::net::IpAddr;
use std::time::{Duration, Instant};

use aws_lc_rs::hmac;
use hashbrown::HashMap;

use crate::ipc::{Account, LoginRequest, Proof};

pub struct PasswordCache {
    key: hmac::Key,
    time: Duration,
    entries: HashMap<Digest, Entry>,
}

/// What the files looked like, in the order of [`super::stamps`].
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Stamps(pub Vec<Option<Stamp>>);

/// What changes when a file changes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stamp {
    pub device: u64,
    pub inode: u64,
    pub size: u64,
    /// Seconds and nanoseconds.
    pub modified: (i64, i64),
    pub changed: (i64, i64),
}

struct Entry {
    account: Account,
    expires: Instant,
    stamps: Stamps,
}

type Digest = [u8; 32];

impl PasswordCache {
    /// `key`: random.  `time`: how long a login is kept; zero: not at all.
    pub fn new(key: &[u8; 32], time: Duration) -> PasswordCache {
        PasswordCache {
            key: hmac::Key::new(hmac::HMAC_SHA256, key),
            time,
            entries: HashMap::new(),
        }
    }

    /// The user, if the same login was successful a while ago and nothing has changed since.
    pub fn find(
        &mut self,
        request: &LoginRequest,
        stamps: &Stamps,
        now: Instant,
    ) -> Option<&Account> {
        let digest = self.digest(request)?;
        let entry = self.entries.get(&digest)?;
        if now >= entry.expires || entry.stamps != *stamps {
            self.entries.remove(&digest);
            return None;
        }
        self.entries.get(&digest).map(|entry| &entry.account)
    }

    /// Keeps what a login child has found out.  `stamps` are from before the child was asked, so a
    /// password that was changed meanwhile is not kept.
    pub fn keep(
        &mut self,
        request: &LoginRequest,
        account: &Account,
        stamps: Stamps,
        now: Instant,
    ) {
        if self.time.is_zero() {
            return;
        }
        let (Some(digest), Some(expires)) = (self.digest(request), now.checked_add(self.time))
        else {
            return;
        };
        if self.entries.len() >= MAX_ENTRIES {
            self.entries
                .retain(|_, entry| now < entry.expires && entry.stamps == stamps);
        }
        if self.entries.len() >= MAX_ENTRIES {
            return;
        }
        let account = account.clone();
        let entry = Entry {
            account,
            expires,
            stamps,
        };
        self.entries.insert(digest, entry);
    }

    /// Forgets all logins of a user.
    pub fn forget(&mut self, user: &str) {
        self.entries.retain(|_, entry| entry.account.user != user);
    }

    pub fn clear(&mut self) {
        self.entries.clear();
    }

    /// `None`: logins of this kind are not kept.  Every field is preceded by its length, so that no
    /// two requests have the same text.
    fn digest(&self, request: &LoginRequest) -> Option<Digest> {
        // The mechanism does not matter: LOGIN, PLAIN and AUTHENTICATE LOGIN ask the same.
        let Proof::Password {
            user,
            authorize,
            password,
            ..
        } = &request.proof
        else {
            return None;
        };
        let protocol = request.protocol.name().as_bytes();
        // Sources may let a user in from one address and not from another.
        let address = match request.origin.remote.map(|remote| remote.ip()) {
            None => Vec::new(),
            Some(IpAddr::V4(address)) => address.octets().to_vec(),
            Some(IpAddr::V6(address)) => address.octets().to_vec(),
        };
        let mut context = hmac::Context::with_key(&self.key);
        for field in [protocol, &address, user, authorize, password.expose()] {
            context.update(&(field.len() as u64).to_be_bytes());
            context.update(field);
        }
        context.sign().as_ref().try_into().ok()
    }
}

/// Some 200 bytes each.
const MAX_ENTRIES: usize = 20_000;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ipc::{Location, Origin, Protocol};
    use crate::mail::{Layout, Secret};

    const MINUTE: Duration = Duration::from_secs(60);

    fn request(user: &str, password: &str) -> LoginRequest {
        LoginRequest {
            protocol: Protocol::Imap,
            origin: Origin {
                remote: Some("203.0.113.5:4711".parse().unwrap()),
                local: None,
                tls: true,
                session: String::from("x"),
            },
            proof: Proof::Password {
                mechanism: "PLAIN",
                user: user.into(),
                authorize: Vec::new(),
                password: Secret::new(password.into()),
            },
        }
    }

    fn account(user: &str) -> Account {
        Account {
            user: user.to_owned(),
            uid: 1000,
            gid: 1000,
            home: format!("/home/{user}"),
            location: Location::at(
                format!("/home/{user}/Maildir").into(),
                Layout::MaildirPlusPlus,
            ),
        }
    }

    fn stamps(second: i64) -> Stamps {
        let stamp = Stamp {
            device: 1,
            inode: 2,
            size: 3,
            modified: (second, 0),
            changed: (second, 0),
        };
        Stamps(vec![Some(stamp), None])
    }

    fn with_bob(now: Instant) -> PasswordCache {
        let mut cache = PasswordCache::new(&[7; 32], MINUTE);
        cache.keep(&request("bob", "secret"), &account("bob"), stamps(1), now);
        cache
    }

    #[test]
    fn the_same_login_is_found_for_a_while() {
        let now = Instant::now();
        let mut cache = with_bob(now);
        let ask = request("bob", "secret");
        let soon = now + MINUTE / 2;
        assert_eq!(cache.find(&ask, &stamps(1), soon), Some(&account("bob")));
        assert_eq!(cache.find(&ask, &stamps(1), now + MINUTE), None);
        assert_eq!(cache.find(&ask, &stamps(1), soon), None, "it is gone");
    }

    #[test]
    fn another_password_user_protocol_or_address_is_not_found() {
        let now = Instant::now();
        let mut cache = with_bob(now);
        let mut sasl = request("bob", "secret");
        sasl.protocol = Protocol::Sasl;
        let mut elsewhere = request("bob", "secret");
        elsewhere.origin.remote = Some("203.0.113.6:4711".parse().unwrap());
        for other in [
            request("bob", "Secret"),
            request("bobs", "ecret"),
            request("bob", ""),
            sasl,
            elsewhere,
        ] {
            assert_eq!(cache.find(&other, &stamps(1), now), None);
        }
        assert!(
            cache
                .find(&request("bob", "secret"), &stamps(1), now)
                .is_some()
        );
    }

    #[test]
    fn a_changed_file_ends_it() {
        let now = Instant::now();
        let mut cache = with_bob(now);
        assert_eq!(cache.find(&request("bob", "secret"), &stamps(2), now), None);
        assert_eq!(cache.find(&request("bob", "secret"), &stamps(1), now), None);
    }

    #[test]
    fn a_user_is_forgotten_and_others_are_not() {
        let now = Instant::now();
        let mut cache = with_bob(now);
        cache.keep(&request("eve", "x"), &account("eve"), stamps(1), now);
        cache.forget("bob");
        assert_eq!(cache.find(&request("bob", "secret"), &stamps(1), now), None);
        assert!(cache.find(&request("eve", "x"), &stamps(1), now).is_some());
    }

    #[test]
    fn without_a_time_nothing_is_kept() {
        let now = Instant::now();
        let mut cache = PasswordCache::new(&[7; 32], Duration::ZERO);
        cache.keep(&request("bob", "secret"), &account("bob"), stamps(1), now);
        assert_eq!(cache.find(&request("bob", "secret"), &stamps(1), now), None);
    }

    #[test]
    fn it_does_not_grow_without_bound() {
        let now = Instant::now();
        let mut cache = with_bob(now);
        for number in 0..MAX_ENTRIES + 10 {
            let ask = request("eve", &number.to_string());
            cache.keep(&ask, &account("eve"), stamps(1), now);
        }
        assert_eq!(cache.entries.len(), MAX_ENTRIES);
        cache.keep(
            &request("eve", "late"),
            &account("eve"),
            stamps(1),
            now + MINUTE,
        );
        assert_eq!(cache.entries.len(), 1);
    }
}
