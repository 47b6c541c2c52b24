//! CREATE (RFC 9051 6.3.4, RFC 6154 3): the new folder is made complete, and then appears.

use std::path::PathBuf;
use std::time::SystemTime;

use super::{
    Role, Tree, TreeError, is_taken, list, make_above, names, open_path, roles, taken, trash,
};
use crate::mail::{Layout, MailboxName, Uid};
use crate::maildir::disk::dir::{Access, Dir, Target};
use crate::maildir::disk::lock::Dotlock;
use crate::maildir::dovecot::uidlist::{Durable, Uidlist, UidlistError};
use crate::maildir::dovecot::uidvalidity;

impl Tree {
    /// CREATE (RFC 9051 6.3.4): the folder, with its UIDVALIDITY.  The names above it need no
    /// folders.  `roles` are those of CREATE-SPECIAL-USE (RFC 6154 3).
    pub fn create(
        &self,
        name: &MailboxName,
        roles: &[Role],
        now: SystemTime,
    ) -> Result<PathBuf, TreeError> {
        if name.is_inbox() {
            return Err(TreeError::Exists);
        }
        let path = names::path(name, self.naming).map_err(TreeError::Name)?;
        let root = self.open_root()?;
        if self
            .locate(&root, name)?
            .is_some_and(|folder| folder.is_mailbox)
        {
            return Err(TreeError::Exists);
        }
        let role = match roles {
            [] => None,
            [Role::All | Role::Flagged] => return Err(TreeError::RoleTaken),
            [role] => {
                let taken = self.list()?.iter().any(|other| other.role == Some(*role));
                if taken {
                    return Err(TreeError::RoleTaken);
                }
                Some(*role)
            }
            _ => return Err(TreeError::Refused("A mailbox can have one special use.")),
        };
        let above = self.parent(&root, name)?;
        let access = above.as_ref().unwrap_or(&root).access()?;
        let workshop = trash::workshop(&root)?;
        let made = trash::unique(trash::UNFINISHED);
        let installed = self
            .make_folder(&root, &workshop, &made, &path, &access, now)
            .and_then(|()| match role {
                Some(role) => Ok(roles::set(&root, role, name)?),
                None => Ok(()),
            })
            .and_then(|()| self.install(&root, &workshop, &made, &path, &access));
        if installed.is_err() {
            let _ = trash::remove(&workshop, &made, &|| false);
            if role.is_some() {
                roles::or_warn(roles::forget(&root, name));
            }
        }
        installed?;
        root.sync()?;
        Ok(self.absolute(&path))
    }

    /// A complete folder under the name `made` in `workshop`.
    fn make_folder(
        &self,
        root: &Dir,
        workshop: &Dir,
        made: &[u8],
        path: &[u8],
        access: &Access,
        now: SystemTime,
    ) -> Result<(), TreeError> {
        // Left by a process of the same number.
        trash::remove(workshop, made, &|| false)?;
        workshop.make_dir(made, access)?;
        let folder = &workshop.open_dir(made)?;
        for part in [b"cur", b"new", b"tmp"] {
            folder.make_dir(part, access)?;
        }
        // "The quota root is above", to delivery programs.
        if self.naming.layout == Layout::MaildirPlusPlus {
            folder.create_new(b"maildirfolder", access)?;
        }
        if root.stat(b"dovecot-shared")?.is_some() {
            folder.create_new(b"dovecot-shared", access)?;
        }
        let control = self.open_control()?;
        let uid_validity = uidvalidity::next(&control, &control.access()?, now);
        let folder = match &self.control {
            Some(_) => &self.make_control(&control, path, access)?,
            None => folder,
        };
        let lock = Dotlock::of_uidlist(folder.clone())
            .try_lock(access, now)?
            .ok_or(TreeError::Locked)?;
        Uidlist::new(uid_validity, Uid(1))
            .rewrite(folder, &lock, access, &mut |_, _| true, Durable::Yes)
            .map_err(|e| match e {
                UidlistError::Io(e) => TreeError::Io(e),
                // Somebody does something to a folder that only we know of.
                _ => TreeError::Locked,
            })
    }

    /// The directory beside the folder at `path` for its uidlist, with nothing in it of a folder
    /// that was there before.
    fn make_control(&self, control: &Dir, path: &[u8], access: &Access) -> Result<Dir, TreeError> {
        let (above, last) = make_above(control, path, access)?;
        match above.make_dir(last, access) {
            Err(e) if is_taken(&e) => {}
            made => made?,
        }
        let folder = above.open_dir(last).map_err(taken)?;
        trash::throw_parts(control, &folder, &|part| names::is_of_mailbox(part))?;
        Ok(folder)
    }

    /// Gives the folder `made` its place.
    fn install(
        &self,
        root: &Dir,
        workshop: &Dir,
        made: &[u8],
        path: &[u8],
        access: &Access,
    ) -> Result<(), TreeError> {
        let (above, last) = make_above(root, path, access)?;
        match workshop.rename(made, &above, last, Target::Replace) {
            Err(e) if self.naming.layout == Layout::Fs && is_taken(&e) => {}
            renamed => return renamed.map_err(taken),
        }
        // There is the directory of a name without a mailbox.  With `cur` it becomes one.
        let folder = above.open_dir(last).map_err(taken)?;
        if folder.stat(b"cur")?.is_some() {
            return Err(TreeError::Exists);
        }
        // What a deletion that was broken off has left must not become the new mailbox's.
        trash::throw_parts(root, &folder, &|part| names::is_of_mailbox(part))?;
        let new = workshop.open_dir(made)?;
        let mut parts = list::entries(&new, &|_| true)?;
        parts.sort_by_key(|(part, _)| part == b"cur");
        for (part, _) in parts {
            new.rename(&part, &folder, &part, Target::Replace)?;
        }
        workshop.remove_dir(made)?;
        Ok(())
    }

    /// The folder of the nearest mailbox above, if there is one.
    fn parent(&self, root: &Dir, name: &MailboxName) -> Result<Option<Dir>, TreeError> {
        let mut above = name.parent();
        while let Some(name) = above.filter(|name| !name.is_inbox()) {
            if let Some(folder) = self.locate_canonical(root, &name)? {
                return Ok(Some(open_path(root, &folder.path)?));
            }
            above = name.parent();
        }
        Ok(None)
    }
}
