//! RENAME (RFC 9051 6.3.6): the folders move, with everything in them.

use std::collections::HashSet;
use std::path::PathBuf;
use std::time::SystemTime;

use super::{Folder, Tree, TreeError, carry, make_above, names, open_above, roles, taken, trash};
use crate::mail::{Layout, MailboxName};
use crate::maildir::disk::dir::{Dir, Target};

impl Tree {
    /// RENAME (RFC 9051 6.3.6) of anything but INBOX, with all that is below it.  Returns (old,
    /// new) folder of each mailbox moved, for whoever has one open.
    ///
    /// RENAME of INBOX moves its messages to a new mailbox and is for whoever knows how to do that.
    pub fn rename(
        &self,
        from: &MailboxName,
        to: &MailboxName,
        _now: SystemTime,
    ) -> Result<Vec<(PathBuf, PathBuf)>, TreeError> {
        if from.is_inbox() {
            return Err(TreeError::Refused("INBOX cannot be renamed as a folder."));
        }
        if to.is_below(from) {
            return Err(TreeError::Refused(
                "A mailbox cannot be moved below itself.",
            ));
        }
        let root = self.open_root()?;
        let folders = self.folders(&root)?;
        let mut moving = Vec::new();
        for folder in &folders {
            let rest = folder.name.as_str().strip_prefix(from.as_str());
            let Some(rest) = rest.filter(|rest| rest.is_empty() || rest.starts_with('/')) else {
                continue;
            };
            let name = MailboxName::new(&format!("{to}{rest}"));
            let name = name.map_err(|e| TreeError::Name(e.as_str()))?;
            moving.push((
                folder,
                self.new_path(folder, from, &folders, &name, to)?,
                name,
            ));
        }
        if moving.is_empty() {
            return Err(TreeError::NotFound);
        }
        let new: HashSet<&MailboxName> = moving.iter().map(|(_, _, name)| name).collect();
        let taken = |folder: &Folder| folder.name == *to || new.contains(&folder.name);
        if to.is_inbox() || folders.iter().any(taken) {
            return Err(TreeError::Exists);
        }
        // Mailboxes below come first, so that the command can be given again if it is broken off.
        // With `LAYOUT=fs` they are in the directory that is moved.
        let moves: Vec<(&[u8], &[u8])> = moving
            .iter()
            .rev()
            .filter(|(folder, ..)| self.naming.layout != Layout::Fs || folder.name == *from)
            .map(|(folder, path, _)| (folder.path.as_slice(), path.as_slice()))
            .collect();
        self.move_folders(&root, &moves)?;
        for tree in self.trees_beside() {
            for (old, new) in &moves {
                self.throw_beside(&tree, new);
                match self.move_folder(&tree, old, new) {
                    Ok(()) | Err(TreeError::NotFound) => {}
                    Err(error) => log::warn!(
                        "{}: {} has become {}, but not here: {error:?}",
                        tree.path().display(),
                        old.escape_ascii(),
                        new.escape_ascii()
                    ),
                }
            }
        }
        roles::or_warn(roles::rename(&root, from, to));
        root.sync()?;
        Ok(moving
            .iter()
            .filter(|(folder, ..)| folder.is_mailbox)
            .map(|(folder, path, _)| (self.absolute(&folder.path), self.absolute(path)))
            .collect())
    }

    /// Where the folder, which is that of `from` or below it, will be when `from` is `to`.
    fn new_path(
        &self,
        folder: &Folder,
        from: &MailboxName,
        folders: &[Folder],
        name: &MailboxName,
        to: &MailboxName,
    ) -> Result<Vec<u8>, TreeError> {
        if self.naming.layout != Layout::Fs {
            return names::path(name, self.naming).map_err(TreeError::Name);
        }
        // What is below keeps its own path, well-formed or not.
        let above = folders.binary_search_by(|above| above.name.cmp(from)).ok();
        let above = above.and_then(|index| folders.get(index));
        let rest = above.and_then(|above| folder.path.strip_prefix(above.path.as_slice()));
        let mut path = names::path(to, self.naming).map_err(TreeError::Name)?;
        path.extend(rest.unwrap_or_default());
        Ok(path)
    }

    /// All or, as far as that can be done, none.
    fn move_folders(&self, root: &Dir, moves: &[(&[u8], &[u8])]) -> Result<(), TreeError> {
        for (done, (old, new)) in moves.iter().enumerate() {
            if let Err(e) = self.move_folder(root, old, new) {
                for (old, new) in moves.iter().take(done).rev() {
                    let _ = self.move_folder(root, new, old);
                }
                return Err(e);
            }
        }
        Ok(())
    }

    fn move_folder(&self, root: &Dir, old: &[u8], new: &[u8]) -> Result<(), TreeError> {
        let (from, last) = open_above(root, old)?;
        let access = from.access()?;
        let (to, new_last) = make_above(root, new, &access)?;
        // Onto nothing or, which does no harm, an empty directory.
        match from.rename(last, &to, new_last, Target::Replace) {
            Err(e) if trash::is_apart(&e) => carry::folder(&from, last, &to, new_last, &access)?,
            renamed => renamed.map_err(taken)?,
        }
        if self.naming.layout == Layout::Fs {
            to.sync()?;
        }
        Ok(())
    }
}
