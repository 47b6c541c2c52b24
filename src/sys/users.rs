//! The users of this machine, by getpwnam(3) and its like.

use std::ffi::CString;
use std::io;

use nix::unistd::{Gid, Group, User, getgrouplist};

/// An entry of the user database.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SystemUser {
    pub name: String,
    pub uid: u32,
    pub gid: u32,
    /// None: there is none, or it is no text.
    pub home: Option<String>,
}

pub fn named(name: &str) -> io::Result<Option<SystemUser>> {
    if name.contains('\0') {
        return Ok(None);
    }
    let user = User::from_name(name)?;
    Ok(user.map(|user| SystemUser {
        name: user.name,
        uid: user.uid.as_raw(),
        gid: user.gid.as_raw(),
        home: user.dir.into_os_string().into_string().ok(),
    }))
}

/// The number of a group.
pub fn group_named(name: &str) -> io::Result<Option<u32>> {
    if name.contains('\0') {
        return Ok(None);
    }
    Ok(Group::from_name(name)?.map(|group| group.gid.as_raw()))
}

/// All groups of a user, `gid` among them, as `NUMBER(NAME)`.
pub fn groups_of(name: &str, gid: u32) -> io::Result<Vec<String>> {
    let name = CString::new(name)?;
    let groups = getgrouplist(&name, Gid::from_raw(gid))?;
    let show = |gid: &Gid| match Group::from_gid(*gid) {
        Ok(Some(group)) => format!("{gid}({})", group.name),
        _ => gid.to_string(),
    };
    Ok(groups.iter().map(show).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn users_and_groups_are_found_by_name() {
        let root = named("root").unwrap().unwrap();
        assert_eq!((root.uid, root.gid), (0, 0));
        assert_eq!(root.home.as_deref(), Some("/root"));
        assert_eq!(named("no such user").unwrap(), None);
        assert_eq!(named("root\0").unwrap(), None);
        assert_eq!(group_named("root").unwrap(), Some(0));
        assert_eq!(group_named("no such group").unwrap(), None);
        assert!(groups_of("root", 0).unwrap().contains(&"0(root)".into()));
    }
}
