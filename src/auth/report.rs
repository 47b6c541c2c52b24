//! `roost auth-test USER`: a login with each of its steps told.

use std::fmt;

use crate::config::Config;
use crate::ipc::Secret;

/// What came of a login, step by step.
pub struct Report {
    pub admitted: bool,
    lines: Vec<String>,
}

/// Logs in as a client would, and says what was found.
pub fn test(config: &Config, user: &str, password: Secret) -> Report {
    let _ = (config, user, password);
    todo!()
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.lines.iter().try_for_each(|line| writeln!(f, "{line}"))
    }
}
