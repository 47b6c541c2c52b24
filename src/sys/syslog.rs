//! The system's log, with the facility `mail`.
//!
//! The C library's own, because PAM modules use the same: what they write is then ours in name.

use nix::syslog::{Facility, LogFlags, Priority, Severity, closelog, openlog, syslog};

/// To be called once, before the first line.
pub fn open() {
    // It can only fail for a name with a NUL in it.
    let _ = openlog(Some(c"roost"), LogFlags::LOG_PID, Facility::LOG_MAIL);
}

/// One line; `level` is 0 to 7 as in syslog(3).  If nobody takes it, there is nobody to tell.
pub fn write(level: u8, text: &str) {
    let severity = match level {
        0..=3 => Severity::LOG_ERR,
        4 => Severity::LOG_WARNING,
        5 | 6 => Severity::LOG_INFO,
        _ => Severity::LOG_DEBUG,
    };
    let _ = syslog(Priority::new(severity, Facility::LOG_MAIL), text);
}

/// Closes its socket; the next line opens it again.
pub fn close() {
    closelog();
    // That has forgotten our name as well.  No socket is opened by this.
    open();
}
