//! Whether a user who is let in can get at the mail: seen with the user's own eyes, in a child that
//! becomes the user.

use std::path::{Path, PathBuf};

use crate::ipc::Account;
use crate::sys::credentials::{self, may_work_in};

/// Why not.
pub(super) struct ReachProblem {
    /// Something is not there that others might make before.
    pub is_absence: bool,
    pub text: String,
}

/// As root.
pub(super) fn problem(account: &Account) -> Option<ReachProblem> {
    let mut directories = account.location.directories();
    directories.find_map(|directory| problem_of(account, directory))
}

fn problem_of(account: &Account, directory: &Path) -> Option<ReachProblem> {
    let (uid, gid, user) = (account.uid, account.gid, &account.user);
    let seen = credentials::Account::of_login(user, uid, gid)
        .and_then(|account| account.look_as(|| look(directory)));
    let code = seen.unwrap_or(CANNOT_BECOME);
    let home = Path::new(&account.home);
    let who = format!("{user} (uid {uid}, gid {gid})");
    let text = match code {
        FINE => return None,
        NOT_OPEN => format!(
            "{}: {who} may not read, write and enter it: see to its owner and mode, and to those of the \
             directories above it",
            directory.display()
        ),
        NOT_MADE => not_made(directory, home, &who),
        _ => format!("this process cannot become {who}, and no session could"),
    };
    Some(ReachProblem {
        is_absence: code == NOT_MADE,
        text,
    })
}

/// The directory that is missing first, and where it would have to be made.
fn not_made(directory: &Path, home: &Path, who: &str) -> String {
    let above = existing(directory);
    let above = above.display();
    match directory.starts_with(home) && !home.as_os_str().is_empty() && !home.exists() {
        true => format!(
            "the home directory {} does not exist, and {who} may not make it in {above}: make it, mount it, \
             or let pam_mkhomedir make it (auth.pam_session)",
            home.display()
        ),
        false => format!(
            "{} does not exist, and {who} may not make it in {above}: make it, or see to the owner and mode \
             of {above}",
            directory.display()
        ),
    }
}

/// What there is of the path.
fn existing(path: &Path) -> PathBuf {
    let there = path.ancestors().find(|path| path.exists());
    there.unwrap_or(Path::new("/")).to_path_buf()
}

/// As the user: the exit code.
fn look(directory: &Path) -> u8 {
    let exists = std::fs::symlink_metadata(directory);
    match exists {
        Ok(_) if may_work_in(directory, true) => FINE,
        Ok(_) => NOT_OPEN,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            match may_work_in(&existing(directory), false) {
                true => FINE,
                false => NOT_MADE,
            }
        }
        Err(_) => NOT_OPEN,
    }
}

const FINE: u8 = 0;
const NOT_OPEN: u8 = 1;
const NOT_MADE: u8 = 2;
const CANNOT_BECOME: u8 = 3;
