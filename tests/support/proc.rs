//! What /proc tells of a process.

use std::collections::BTreeMap;
use std::fs;
use std::path::PathBuf;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

/// A process by its number.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Proc(pub u32);

impl Proc {
    /// The processes that descend from this one, now.
    pub fn descendants(self) -> Vec<Proc> {
        let mut parents = BTreeMap::new();
        for entry in fs::read_dir("/proc").expect("/proc").flatten() {
            let Some(id) = entry
                .file_name()
                .to_str()
                .and_then(|name| name.parse().ok())
            else {
                continue;
            };
            if let Some(parent) = Proc(id).parent() {
                parents.insert(Proc(id), parent);
            }
        }
        let descends = |&child: &Proc| {
            let mut at = child;
            while let Some(&parent) = parents.get(&at) {
                if parent == self {
                    return true;
                }
                at = parent;
            }
            false
        };
        parents.keys().copied().filter(descends).collect()
    }

    pub fn children(self) -> Vec<Proc> {
        let mut all = self.descendants();
        all.retain(|child| child.parent() == Some(self));
        all
    }

    pub fn parent(self) -> Option<Proc> {
        self.find_status("PPid")?.parse().ok().map(Proc)
    }

    /// Whether it is there and not a zombie.
    pub fn is_alive(self) -> bool {
        self.find_status("State")
            .is_some_and(|state| !state.starts_with(['Z', 'X']))
    }

    /// A line of /proc/PID/status.
    #[track_caller]
    pub fn status(self, key: &str) -> String {
        self.find_status(key)
            .unwrap_or_else(|| panic!("process {} has no {key}", self.0))
    }

    fn find_status(self, key: &str) -> Option<String> {
        let status = fs::read_to_string(self.path("status")).ok()?;
        let line = status
            .lines()
            .find_map(|line| line.strip_prefix(key)?.strip_prefix(':'));
        line.map(|value| value.trim().to_owned())
    }

    /// Real, effective, saved and file-system user.
    pub fn uids(self) -> Vec<u32> {
        numbers(&self.status("Uid"))
    }

    pub fn gids(self) -> Vec<u32> {
        numbers(&self.status("Gid"))
    }

    /// Supplementary groups.
    pub fn groups(self) -> Vec<u32> {
        numbers(&self.status("Groups"))
    }

    /// A set of capabilities (`CapEff`).
    pub fn capabilities(self, set: &str) -> u64 {
        u64::from_str_radix(&self.status(set), 16).expect("a set")
    }

    /// Memory in kilobytes (`VmRSS`).
    pub fn kilobytes(self, key: &str) -> u64 {
        let value = self.status(key);
        value.trim_end_matches(" kB").parse().expect("a size")
    }

    /// How it calls itself.
    pub fn title(self) -> String {
        let line = fs::read(self.path("cmdline")).unwrap_or_default();
        let text = String::from_utf8_lossy(&line).replace('\0', " ");
        text.trim_end().to_owned()
    }

    /// What its descriptors are, by number.
    pub fn descriptors(self) -> BTreeMap<u32, String> {
        let mut found = BTreeMap::new();
        for entry in fs::read_dir(self.path("fd"))
            .into_iter()
            .flatten()
            .flatten()
        {
            let number = entry
                .file_name()
                .to_str()
                .and_then(|name| name.parse().ok());
            // It may be closed by now.
            if let (Some(number), Ok(target)) = (number, fs::read_link(entry.path())) {
                found.insert(number, target.to_string_lossy().into_owned());
            }
        }
        found
    }

    pub fn environment(self) -> Vec<String> {
        let bytes = fs::read(self.path("environ")).unwrap_or_default();
        let text = String::from_utf8_lossy(&bytes);
        text.split('\0')
            .filter(|part| !part.is_empty())
            .map(str::to_owned)
            .collect()
    }

    pub fn root(self) -> PathBuf {
        fs::read_link(self.path("root")).expect("its root")
    }

    pub fn directory(self) -> PathBuf {
        fs::read_link(self.path("cwd")).expect("its directory")
    }

    pub fn threads(self) -> usize {
        fs::read_dir(self.path("task"))
            .expect("its threads")
            .count()
    }

    /// To be given only to what the test started.
    pub fn signal(self, signal: Signal) {
        let _ = kill(self.pid(), signal);
    }

    pub fn pid(self) -> Pid {
        Pid::from_raw(i32::try_from(self.0).expect("a process id"))
    }

    fn path(self, name: &str) -> String {
        format!("/proc/{}/{name}", self.0)
    }
}

fn numbers(text: &str) -> Vec<u32> {
    text.split_whitespace()
        .map(|n| n.parse().expect("a number"))
        .collect()
}

/// What a socket of a process is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Socket {
    Listening,
    /// Of TCP, with a client at the other end.
    Connected,
    /// Of the unix domain, or of another kind.
    Local,
}

impl Proc {
    /// Its sockets.
    pub fn sockets(self) -> Vec<Socket> {
        let mut kinds = BTreeMap::new();
        for table in ["tcp", "tcp6"] {
            let text = fs::read_to_string(format!("/proc/net/{table}")).unwrap_or_default();
            for line in text.lines().skip(1) {
                let fields: Vec<&str> = line.split_whitespace().collect();
                let kind = match fields[3] {
                    "0A" => Socket::Listening,
                    _ => Socket::Connected,
                };
                kinds.insert(fields[9].to_owned(), kind);
            }
        }
        let descriptors = self.descriptors().into_values();
        let inodes = descriptors.filter_map(|target| {
            let inode = target.strip_prefix("socket:[")?.strip_suffix(']')?;
            Some(kinds.get(inode).copied().unwrap_or(Socket::Local))
        });
        inodes.collect()
    }

    /// How many sockets of this kind it has.
    pub fn count(self, kind: Socket) -> usize {
        self.sockets()
            .into_iter()
            .filter(|&socket| socket == kind)
            .count()
    }
}
