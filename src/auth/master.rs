//! Master users, who log in as others with a password of their own.
//!
//! A client names both as SASL PLAIN provides (RFC 4616 2), or as `USER*MASTER`, with the separator
//! of `auth.master_user_separator`.  Who is a master is said by `auth.master_sources`, or by a
//! Dovecot in `auth.sources`.  Whom the master wants to be is looked up in `auth.sources`.

use memchr::memmem;

use super::password::{HashEffort, each, normalise};
use super::source;
use super::trace::Trace;
use super::{Dialogue, Identity, account};
use crate::config::Config;
use crate::ipc::{LoginRequest, Refusal};
use crate::mail::Secret;

/// Who a client wants to be.
pub(super) struct Claim {
    pub user: String,
    /// Who gives the password, if that is somebody else.
    pub master: Option<String>,
}

impl Claim {
    /// `user` gives the password, and may name two; `authorize` is whom to be, or empty.
    pub fn read(
        config: &Config,
        user: &[u8],
        authorize: &[u8],
        trace: &mut Trace,
    ) -> Result<Claim, Refusal> {
        let separator = config.auth_master_user_separator.as_bytes();
        let parts = match separator {
            [] => None,
            separator => memmem::find(user, separator)
                .and_then(|at| Some((user.get(..at)?, user.get(at + separator.len()..)?))),
        };
        let (user, master) = match (parts, authorize) {
            (Some((user, master)), []) => (user, Some(master)),
            (None, []) => (user, None),
            (None, authorize) => (authorize, Some(user)),
            (Some(_), _) => {
                trace.failure("login", "who to log in as is said twice");
                return Err(Refusal::Mismatch);
            }
        };
        let user = normalise(config, user, trace)?;
        let master = master.map(|master| normalise(config, master, trace));
        let master = master.transpose()?.filter(|master| *master != user);
        Ok(Claim { user, master })
    }
}

/// Whom the master may be.
pub(super) fn check(
    config: &Config,
    request: &LoginRequest,
    (user, master): (&str, &str),
    password: &Secret,
    dialogue: &mut dyn Dialogue,
    trace: &mut Trace,
) -> Result<Identity, Refusal> {
    for name in [user, master] {
        account::refuse_root(config, name, trace)?;
    }
    let mut effort = HashEffort::default();
    let known = each(source::all(config), dialogue, |source| {
        source.check_master(user, master, password, request, &mut effort, trace)
    });
    if let Ok(identity) = known {
        trace.notice(identity.source, notice(master, &identity.user));
        return Ok(identity);
    }
    let found = each(source::masters(config), dialogue, |source| {
        source.check(master, password, request, &mut effort, trace)
    });
    match (found, known) {
        (Ok(found), _) => trace.notice(found.source, notice(master, user)),
        (Err(refusal), known) => {
            if config.auth_master_sources.is_empty() && !effort.compared {
                trace.failure("login", "authorization as somebody else is not possible");
            }
            effort.make_up(password);
            return Err(match (refusal, known) {
                (Refusal::Mismatch, Err(other)) => other,
                (refusal, _) => refusal,
            });
        }
    }
    each(source::all(config), dialogue, |source| {
        source.look_up(user, request, trace)
    })
}

fn notice(master: &str, user: &str) -> String {
    format!("master user {master} logs in as {user}")
}
