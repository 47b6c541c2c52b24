//! Who we are, who owns a directory, and becoming that user for good.

use std::ffi::CString;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::{fmt, io};

use nix::errno::Errno;
use nix::sys::prctl::set_no_new_privs;
use nix::unistd::{
    Gid, Uid, User, getegid, geteuid, getgroups, getresgid, getresuid, initgroups, seteuid,
    setgroups, setresgid, setresuid,
};

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

/// Why we are not the user we were to become.  The process may be half one user and half another: it
/// must end.
#[derive(Debug)]
pub enum BecomeError {
    /// The account is root's.
    Root,
    /// The user name has a NUL in it.
    Name,
    /// This step failed.
    Call(&'static str, Errno),
    /// All steps succeeded, and yet this is not as it should be.
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

    /// The user of that name.
    pub fn named(name: &str) -> io::Result<Option<Account>> {
        Ok(User::from_name(name)?.map(Account::from))
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

    /// Makes this process, which runs as root, one of this user for good, with the user's groups and
    /// no others, and no way to gain rights later.  To be called before any thread is started.
    pub fn become_for_good(&self) -> Result<(), BecomeError> {
        if self.uid.is_root() {
            return Err(BecomeError::Root);
        }
        if self.is_known {
            let name = CString::new(self.name.as_str()).map_err(|_| BecomeError::Name)?;
            initgroups(&name, self.gid).map_err(|errno| BecomeError::Call("initgroups", errno))?;
        } else {
            setgroups(&[self.gid]).map_err(|errno| BecomeError::Call("setgroups", errno))?;
        }
        let groups = getgroups().map_err(|errno| BecomeError::Call("getgroups", errno))?;

        let (uid, gid) = (self.uid, self.gid);
        setresgid(gid, gid, gid).map_err(|errno| BecomeError::Call("setresgid", errno))?;
        setresuid(uid, uid, uid).map_err(|errno| BecomeError::Call("setresuid", errno))?;
        set_no_new_privs().map_err(|errno| BecomeError::Call("no_new_privs", errno))?;
        self.verify(&groups)
    }

    fn verify(&self, groups: &[Gid]) -> Result<(), BecomeError> {
        let (uid, gid) = (self.uid, self.gid);
        let now = getresuid().map_err(|errno| BecomeError::Call("getresuid", errno))?;
        if [now.real, now.effective, now.saved] != [uid; 3] {
            return Err(BecomeError::Unverified("user"));
        }
        let now = getresgid().map_err(|errno| BecomeError::Call("getresgid", errno))?;
        if [now.real, now.effective, now.saved] != [gid; 3] {
            return Err(BecomeError::Unverified("group"));
        }
        if getgroups().as_deref() != Ok(groups) {
            return Err(BecomeError::Unverified("supplementary groups"));
        }
        match seteuid(Uid::from_raw(0)) {
            Ok(()) => Err(BecomeError::Unverified("the way back to root is open")),
            Err(_) => Ok(()),
        }
    }
}

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
mod tests {
    use super::*;

    #[test]
    fn root_is_never_become() {
        let root = Account::find(Uid::from_raw(0), Gid::from_raw(0)).unwrap();
        assert!(matches!(root.become_for_good(), Err(BecomeError::Root)));
    }

    #[test]
    fn an_owner_without_an_entry_goes_by_number() {
        let account = Account::find(Uid::from_raw(4_000_123), Gid::from_raw(7)).unwrap();
        assert_eq!(account.name(), "4000123");
        assert_eq!(account.home(), None);
    }
}
