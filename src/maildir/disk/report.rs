//! What the log says of files: which call failed on which path, what is missing to whom, what is
//! gone without for the time being, and what to do about it.

use super::dir::{self, DiskError};
use crate::log::ONCE;

/// The error, and which permission is missing, if that is the reason.
pub fn explained(error: &DiskError) -> String {
    match dir::lack(error) {
        Some(lack) => match lack.remedy() {
            Some(remedy) => format!("{error} ({lack}); {remedy}"),
            None => format!("{error} ({lack})"),
        },
        None => error.to_string(),
    }
}

/// Logs that a file beside the messages cannot be used.  Only what the file is for is missing
/// meanwhile.
pub(in crate::maildir) fn without(error: &DiskError, consequence: &str) {
    let what = explained(error);
    let advice = match error.kind() {
        std::io::ErrorKind::PermissionDenied => "",
        std::io::ErrorKind::InvalidData => "; move it away",
        _ => "; if it is damaged, move it away",
    };
    log::warn!(target: ONCE, "{what}{advice}: {consequence}");
}
