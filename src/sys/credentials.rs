//! Who we are, who owns a directory, and becoming that user for good.
//!
//! One function does all that it takes to become a user, or fails.  Afterwards it looks at the
//! result, and does not trust that each step did what its name says.  After a failure the process
//! is half one user and half another: it must end.

use std::ffi::CString;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::{fmt, io};

use nix::errno::Errno;
use nix::sys::prctl::{set_dumpable, set_no_new_privs};
use nix::sys::stat::{Mode, fchmod};
use nix::unistd::{
    AccessFlags, Gid, Uid, User, access, chroot, fchdir, getegid, geteuid, getgrouplist, getgroups,
    getresgid, getresuid, initgroups, mkdtemp, setegid, seteuid, setgroups, setresgid, setresuid,
};

use super::capabilities;
use super::spawn::{self, Exit};

/// A user of this machine, with or without an entry in the user database.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Account {
    uid: Uid,
    gid: Gid,
    /// The name in the user database, or the number.
    name: String,
    is_known: bool,
    home: Option<PathBuf>,
}

/// Why we are not the user we were to become.
#[derive(Debug)]
pub enum BecomeError {
    /// The account is root's.
    Root,
    /// The user name has a NUL in it.
    Name,
    /// This step failed.
    Call(&'static str, Errno),
    /// All steps succeeded, but the result is wrong.
    Unverified(&'static str),
}

impl Account {
    /// The user that this process runs as.
    pub fn current() -> io::Result<Account> {
        Account::find(geteuid(), getegid())
    }

    /// The user that a file or directory belongs to.
    pub fn owner_of(path: &Path) -> io::Result<Account> {
        let metadata = std::fs::metadata(path)?;
        Account::find(Uid::from_raw(metadata.uid()), Gid::from_raw(metadata.gid()))
    }

    /// The user of that number.
    pub fn of_uid(uid: u32, gid: u32) -> io::Result<Account> {
        Account::find(Uid::from_raw(uid), Gid::from_raw(gid))
    }

    /// The user of that name.
    pub fn named(name: &str) -> io::Result<Option<Account>> {
        Ok(User::from_name(name)?.map(Account::from))
    }

    /// The user that a login has found.  `name` counts only if the user database has it with this
    /// number: virtual users share one that is not theirs by name, and get its group and no other.
    pub fn of_login(name: &str, uid: u32, gid: u32) -> io::Result<Account> {
        let (uid, gid) = (Uid::from_raw(uid), Gid::from_raw(gid));
        let known = User::from_name(name)?.filter(|user| user.uid == uid);
        Ok(Account {
            uid,
            gid,
            name: name.to_owned(),
            is_known: known.is_some(),
            home: known.map(|user| user.dir),
        })
    }

    /// The user of that number, whose group is `gid` if the user database does not know better.
    fn find(uid: Uid, gid: Gid) -> io::Result<Account> {
        let account = User::from_uid(uid)?.map(Account::from);
        Ok(account.unwrap_or_else(|| Account {
            uid,
            gid,
            name: uid.to_string(),
            is_known: false,
            home: None,
        }))
    }

    pub fn is_root(&self) -> bool {
        self.uid.is_root()
    }

    pub fn name(&self) -> &str {
        &self.name
    }

    pub fn home(&self) -> Option<&Path> {
        self.home.as_deref()
    }

    /// Gives a file to this user.
    pub fn own(&self, path: &Path) -> io::Result<()> {
        std::os::unix::fs::chown(path, Some(self.uid.as_raw()), Some(self.gid.as_raw()))
    }

    /// Makes this process, which runs as root, one of this user for good, with the user's groups
    /// and no others, and no way to gain rights later.  To be called before any thread is started.
    pub fn become_for_good(&self) -> Result<(), BecomeError> {
        if self.uid.is_root() {
            return Err(BecomeError::Root);
        }
        if self.is_known {
            let name = CString::new(self.name.as_str()).map_err(|_| BecomeError::Name)?;
            step("initgroups", initgroups(&name, self.gid))?;
        } else {
            step("setgroups", setgroups(&[self.gid]))?;
        }
        self.take_place()
    }

    /// Becomes a user who needs nothing of this host: no group but the user's own, and a root
    /// directory that is empty and stays so.  Descriptors of directories outside of it must be
    /// closed.
    pub fn become_confined(&self) -> Result<(), BecomeError> {
        if self.uid.is_root() {
            return Err(BecomeError::Root);
        }
        enter_empty_root()?;
        step("setgroups", setgroups(&[self.gid]))?;
        self.take_place()
    }

    /// What this user sees: the code that `look` gives in a child with the user's rights, which
    /// ends with it.  An error also if there is no code.
    pub fn look_as(&self, look: impl FnOnce() -> u8) -> io::Result<u8> {
        // The groups are looked up here, because the child must not wait for what another thread
        // has locked.
        let groups = match self.is_known {
            true => getgrouplist(&CString::new(self.name.as_str())?, self.gid)?,
            false => vec![self.gid],
        };
        let (uid, gid) = (self.uid, self.gid);
        let child = spawn::fork_child(|| {
            let became = setgroups(&groups)
                .and_then(|()| setresgid(gid, gid, gid))
                .and_then(|()| setresuid(uid, uid, uid));
            match became {
                Ok(()) => look(),
                Err(_) => NO_CODE,
            }
        })?;
        match spawn::await_child(child)? {
            Exit::Code(code) if code != i32::from(NO_CODE) => {
                u8::try_from(code).map_err(io::Error::other)
            }
            _ => Err(io::Error::other("the process has failed")),
        }
    }

    /// The groups are set; the rest follows.
    fn take_place(&self) -> Result<(), BecomeError> {
        let groups = step("getgroups", getgroups())?;
        let (uid, gid) = (self.uid, self.gid);
        // While we may still.
        step("bounding set", capabilities::bound_to_none())?;
        step("setresgid", setresgid(gid, gid, gid))?;
        step("setresuid", setresuid(uid, uid, uid))?;
        step("capset", capabilities::drop_all())?;
        step("no_new_privs", set_no_new_privs())?;
        // Passwords may still be in memory, so nobody may look at it (until the next exec).
        step("dumpable", set_dumpable(false))?;
        if !step("bounding set", capabilities::are_bound_to_none())? {
            return Err(BecomeError::Unverified("the bounding set is not empty"));
        }
        self.verify(&groups)
    }

    fn verify(&self, groups: &[Gid]) -> Result<(), BecomeError> {
        let (uid, gid) = (self.uid, self.gid);
        let now = step("getresuid", getresuid())?;
        if [now.real, now.effective, now.saved] != [uid; 3] {
            return Err(BecomeError::Unverified("user"));
        }
        let now = step("getresgid", getresgid())?;
        if [now.real, now.effective, now.saved] != [gid; 3] {
            return Err(BecomeError::Unverified("group"));
        }
        if getgroups().as_deref() != Ok(groups) {
            return Err(BecomeError::Unverified("supplementary groups"));
        }
        if !step("capget", capabilities::are_none())? {
            return Err(BecomeError::Unverified("capabilities are left"));
        }
        if seteuid(Uid::from_raw(0)).is_ok() {
            return Err(BecomeError::Unverified("the way back to root is open"));
        }
        let is_roots = gid.as_raw() == 0 || groups.contains(&Gid::from_raw(0));
        if !is_roots && setegid(Gid::from_raw(0)).is_ok() {
            return Err(BecomeError::Unverified(
                "the way back to root's group is open",
            ));
        }
        Ok(())
    }
}

/// Whether the number is this user's by the user database, and no other's there.  If not, several
/// users of mail may share it, and a file that belongs to it may be any of theirs.
pub fn is_own_uid(name: &str, uid: u32) -> bool {
    let uid = Uid::from_raw(uid);
    let by_name = User::from_name(name).ok().flatten();
    let by_uid = User::from_uid(uid).ok().flatten();
    match (by_name, by_uid) {
        (Some(by_name), Some(by_uid)) => by_name.uid == uid && by_name.name == by_uid.name,
        _ => false,
    }
}

/// Makes sure that this process is the user's, cannot become another's, and cannot gain rights.
/// This is for a program that was executed after a process became the user.
pub fn verify(uid: u32, gid: u32) -> Result<(), BecomeError> {
    let (uid, gid) = (Uid::from_raw(uid), Gid::from_raw(gid));
    if uid.is_root() {
        return Err(BecomeError::Root);
    }
    step("no_new_privs", set_no_new_privs())?;
    let account = Account {
        uid,
        gid,
        name: uid.to_string(),
        is_known: false,
        home: None,
    };
    account.verify(&step("getgroups", getgroups())?)
}

/// Whether this process may make files in that directory, and list it if it `reads`.
pub fn may_work_in(directory: &Path, reads: bool) -> bool {
    let mut flags = AccessFlags::W_OK | AccessFlags::X_OK;
    if reads {
        flags |= AccessFlags::R_OK;
    }
    directory.is_dir() && access(directory, flags).is_ok()
}

/// Makes an empty directory our root.  The directory has no name any more by then, so nothing can
/// ever be put into it.
fn enter_empty_root() -> Result<(), BecomeError> {
    let made = ROOT_TEMPLATES.iter().find_map(|&name| mkdtemp(name).ok());
    let path = made.ok_or(BecomeError::Call("empty directory", Errno::EROFS))?;
    let entered = enter(&path);
    // Whatever went wrong, the name goes.
    let removed = std::fs::remove_dir(&path).map_err(|error| errno(&error));
    entered?;
    step("removal of the empty directory", removed)?;
    step("chroot", chroot("."))
}

fn enter(path: &Path) -> Result<(), BecomeError> {
    let directory = std::fs::File::open(path).map_err(|error| errno(&error));
    let directory = step("empty directory", directory)?;
    step("chmod", fchmod(&directory, Mode::from_bits_truncate(0o555)))?;
    step("fchdir", fchdir(&directory))
}

fn step<T>(what: &'static str, result: nix::Result<T>) -> Result<T, BecomeError> {
    result.map_err(|errno| BecomeError::Call(what, errno))
}

fn errno(error: &io::Error) -> Errno {
    Errno::from_raw(error.raw_os_error().unwrap_or(0))
}

/// Of a child that could not look.
const NO_CODE: u8 = 255;

/// Where an empty directory can be made for a moment.
const ROOT_TEMPLATES: &[&str] = &[
    "/run/roost/empty-XXXXXX",
    "/run/roost-empty-XXXXXX",
    "/tmp/roost-empty-XXXXXX",
];

impl From<User> for Account {
    fn from(user: User) -> Account {
        Account {
            uid: user.uid,
            gid: user.gid,
            name: user.name,
            is_known: true,
            home: Some(user.dir),
        }
    }
}

impl fmt::Display for BecomeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            BecomeError::Root => write!(f, "the user is root"),
            BecomeError::Name => write!(f, "the user name is not usable"),
            BecomeError::Call(what, errno) => write!(f, "{what}: {}", errno.desc()),
            BecomeError::Unverified(what) => write!(f, "after the change: {what}"),
        }
    }
}

impl std::error::Error for BecomeError {}

#[cfg(test)]
mod tests;
