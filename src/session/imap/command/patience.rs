//! How long a command waits for a lock.

use std::time::Duration;

use super::Progress;
use crate::session::imap::reply;

/// Waiting for a lock that another program holds.
#[derive(Debug, Default)]
pub struct Patience {
    waits: u32,
}

impl Patience {
    /// The lock is not to be had now: try again, but not for ever.
    pub fn locked(&mut self) -> Progress {
        self.waits += 1;
        if self.waits > LOCK_WAITS {
            return Progress::Done(reply::in_use(reply::UIDLIST_LOCK));
        }
        Progress::Wait(LOCK_WAIT)
    }
}

/// Another program's lock is asked for so often.
pub const LOCK_WAIT: Duration = Duration::from_millis(20);

/// Two minutes, as Dovecot waits.
const LOCK_WAITS: u32 = 6_000;
