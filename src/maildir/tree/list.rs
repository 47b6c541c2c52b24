//! Which folders there are.

use std::collections::HashMap;
use std::io;
use std::path::Path;

use super::{Folder, GivenMailbox, ListedMailbox, names};
use crate::mail::{Layout, MailboxName, Naming};
use crate::maildir::disk::dir::{self, Dir, DiskResult, FileKind, Stat, is_gone};

/// All folders but INBOX's, which is at `inbox`, sorted by name, no two of the same name.
pub(super) fn folders(root: &Dir, naming: Naming, inbox: &[u8]) -> DiskResult<Vec<Folder>> {
    let mut folders = Vec::new();
    match naming.layout {
        Layout::Fs => {
            let mut above = vec![root.stat_self()?];
            add_below(root, b"", naming, &mut above, &mut folders)?;
        }
        _ => {
            for name in directories(root, &is_dotted)? {
                add(name, naming, true, &mut folders);
            }
        }
    }
    folders.retain(|folder| folder.path != inbox);
    tell_apart(&mut folders, naming);
    Ok(folders)
}

/// With `LAYOUT=fs`: the directories in `directory`, which is at `path`, and in them.  `above` is
/// the chain of directories down to it, so that a link to one of them is not followed for ever.
fn add_below(
    directory: &Dir,
    path: &[u8],
    naming: Naming,
    above: &mut Vec<Stat>,
    folders: &mut Vec<Folder>,
) -> DiskResult<()> {
    if above.len() > DEPTH_MAX {
        return Ok(());
    }
    for name in directories(directory, &is_no_part)? {
        let child = match directory.open_dir(&name) {
            Ok(child) => child,
            Err(e) if is_gone(&e) || e.kind() == io::ErrorKind::PermissionDenied => continue,
            Err(e) => return Err(e),
        };
        let stat = child.stat_self()?;
        if above.iter().any(|other| other.is_same_file(&stat)) {
            continue;
        }
        let path = match path {
            b"" => name,
            path => [path, b"/", &name].concat(),
        };
        let cur = child.stat_target(b"cur")?;
        let is_mailbox = cur.is_some_and(|stat| stat.kind == FileKind::Directory);
        // Where INBOX is the root, `INBOX` only holds what is below INBOX.
        if is_mailbox || path != b"INBOX" {
            add(path.clone(), naming, is_mailbox, folders);
        }
        above.push(stat);
        add_below(&child, &path, naming, above, folders)?;
        above.pop();
    }
    Ok(())
}

fn add(path: Vec<u8>, naming: Naming, is_mailbox: bool, folders: &mut Vec<Folder>) {
    match names::name(&path, naming) {
        Some(name) => folders.push(Folder {
            name,
            path,
            is_mailbox,
        }),
        None => log::debug!("no mailbox: {}", path.escape_ascii()),
    }
}

/// Sorts; and where two directories have the same name to the reader, the one that the name leads
/// to keeps it.
fn tell_apart(folders: &mut [Folder], naming: Naming) {
    let leads_elsewhere =
        |folder: &Folder| names::path(&folder.name, naming).as_ref() != Ok(&folder.path);
    folders.sort_by(|a, b| {
        let by_name = a.name.cmp(&b.name);
        by_name.then_with(|| leads_elsewhere(a).cmp(&leads_elsewhere(b)))
    });
    let mut renamed = false;
    for group in folders.chunk_by_mut(|a, b| a.name == b.name) {
        let is_inbox = group.first().is_some_and(|folder| folder.name.is_inbox());
        for folder in group.iter_mut().skip(usize::from(!is_inbox)) {
            if let Some(name) = names::apart(&folder.name, &folder.path) {
                folder.name = name;
                renamed = true;
            }
        }
    }
    if renamed {
        folders.sort_by(|a, b| a.name.cmp(&b.name));
    }
}

/// What LIST shows: INBOX, the folders, what is there without a folder, and the names above them.
pub(super) fn with_parents(folders: Vec<Folder>, given: &[GivenMailbox]) -> Vec<ListedMailbox> {
    /// (there is a folder, there is something below)
    type Found = (bool, bool);
    let mut found: HashMap<MailboxName, Found> = HashMap::with_capacity(folders.len() + 1);
    found.insert(MailboxName::inbox(), (true, false));
    let folders = folders
        .into_iter()
        .map(|folder| (folder.name, folder.is_mailbox));
    let given = given.iter().filter(|given| given.is_there);
    let given = given.map(|given| (given.name.clone(), true));
    for (name, is_mailbox) in folders.chain(given) {
        let mut above = name.parent();
        found.entry(name).or_default().0 |= is_mailbox;
        while let Some(name) = above {
            above = name.parent();
            let (_, children) = found.entry(name).or_default();
            // What is above that has been here, too.
            if std::mem::replace(children, true) {
                break;
            }
        }
    }
    let mut mailboxes: Vec<ListedMailbox> = found
        .into_iter()
        .map(|(name, (exists, children))| ListedMailbox {
            name,
            exists,
            children,
            role: None,
        })
        .collect();
    mailboxes.sort_unstable_by(|a, b| {
        let inbox_first = b.name.is_inbox().cmp(&a.name.is_inbox());
        inbox_first.then_with(|| a.name.cmp(&b.name))
    });
    mailboxes
}

/// The layout of what is there; Maildir++ where nothing is.
pub(super) fn detect(root: &Path) -> DiskResult<Layout> {
    let root = match Dir::open(root) {
        Err(e) if is_gone(&e) => return Ok(Layout::MaildirPlusPlus),
        root => root?,
    };
    let dotted = directories(&root, &is_dotted)?;
    let mut plus_plus = Evidence::default();
    for name in &dotted {
        plus_plus.take_in(&root, name);
    }
    let mut fs = Evidence::default();
    let naming = Naming {
        layout: Layout::Fs,
        utf8: false,
    };
    for folder in folders(&root, naming, b"")? {
        if folder.is_mailbox && !folder.path.starts_with(b".") && folder.path != b"" {
            fs.take_in(&root, &folder.path);
        }
    }
    Ok(match fs > plus_plus {
        true => Layout::Fs,
        false => Layout::MaildirPlusPlus,
    })
}

/// How many folders speak for a layout: those that were served, then those that there are.  One
/// that was put there by hand does not make mailboxes of all others vanish.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
struct Evidence {
    served: usize,
    there: usize,
}

impl Evidence {
    fn take_in(&mut self, root: &Dir, path: &[u8]) {
        let has = |name: &[u8]| root.stat_target(&[path, b"/", name].concat());
        let is_folder = matches!(has(b"cur"), Ok(Some(stat)) if stat.kind == FileKind::Directory);
        if is_folder {
            let is_served = |name: &&[u8]| matches!(has(name), Ok(Some(_)));
            self.there += 1;
            self.served += usize::from(SERVED.iter().any(is_served));
        }
    }
}

/// What servers leave in a folder.
const SERVED: [&[u8]; 4] = [
    b"dovecot-uidlist",
    b"maildirfolder",
    b"courierimapuiddb",
    b"roost.index",
];

/// Whether Dovecot keeps folders here under names of its own making (`LAYOUT=index`): 32
/// hexadecimal digits, and what they mean is in its list index.
pub(super) fn is_indexed(root: &Path) -> DiskResult<bool> {
    let root = match Dir::open(root) {
        Err(e) if is_gone(&e) => return Ok(false),
        root => root?,
    };
    // Other layouts have a list index too, but none of them without one is this.
    let index = root.stat(b"dovecot.list.index")?;
    if index.or(root.stat(b"dovecot.list.index.log")?).is_none() {
        return Ok(false);
    }
    let is_guid = |name: &[u8]| name.len() == 32 && name.iter().all(u8::is_ascii_hexdigit);
    Ok(!directories(&root, &is_guid)?.is_empty())
}

/// Whether the name is that of a folder in Maildir++.
fn is_dotted(name: &[u8]) -> bool {
    name.starts_with(b".") && !name.starts_with(b"..")
}

/// Whether the name can be that of a folder with `LAYOUT=fs`: no part of the mailbox it lies in.
pub(super) fn is_no_part(name: &[u8]) -> bool {
    !matches!(name, b"cur" | b"new" | b"tmp") && !name.starts_with(b"..")
}

/// The directories in `directory`, and links to directories, that are `wanted`.
pub(super) fn directories(
    directory: &Dir,
    wanted: &dyn Fn(&[u8]) -> bool,
) -> DiskResult<Vec<Vec<u8>>> {
    let mut names = entries(directory, wanted)?;
    let mut failed = None;
    names.retain(|(name, kind)| match kind {
        FileKind::Directory => true,
        FileKind::File | FileKind::Other => false,
        FileKind::Link | FileKind::Unknown => match directory.stat_target(name) {
            Ok(stat) => stat.is_some_and(|stat| stat.kind == FileKind::Directory),
            // A loop of links, or what we may not look at.
            Err(e) if dir::is_loop(&e) => false,
            Err(e) if e.kind() == io::ErrorKind::PermissionDenied => false,
            Err(e) => {
                failed = Some(e);
                false
            }
        },
    });
    match failed {
        Some(e) => Err(e),
        None => Ok(names.into_iter().map(|(name, _)| name).collect()),
    }
}

/// What is in `directory` and `wanted`.
pub(super) fn entries(
    directory: &Dir,
    wanted: &dyn Fn(&[u8]) -> bool,
) -> DiskResult<Vec<(Vec<u8>, FileKind)>> {
    let mut entries = Vec::new();
    let mut listing = directory.list()?;
    while listing.next_chunk(&mut |name, kind| {
        if wanted(name) {
            entries.push((name.to_vec(), kind));
        }
    })? {}
    Ok(entries)
}

/// More than anybody's mailboxes; nothing deeper is looked at.
const DEPTH_MAX: usize = 40;
