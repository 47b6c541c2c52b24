//! A work directory with a Maildir, and what other programs do to it.

use std::fs::{self, File};
use std::io::Write;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, SystemTime};

use super::{Client, Server, Whole, message};

/// A directory that lives as long as the test and holds everything the test makes.
pub struct Mail {
    work: PathBuf,
    /// The daemons over it, each with its settings.
    daemons: Mutex<Vec<(Vec<String>, Arc<Whole>)>>,
}

impl Mail {
    /// An empty Maildir.
    pub fn new() -> Mail {
        static MADE: AtomicUsize = AtomicUsize::new(0);
        let number = MADE.fetch_add(1, Ordering::Relaxed);
        let work = std::env::temp_dir().join(format!("roost-test-{}-{number}", std::process::id()));
        let _ = fs::remove_dir_all(&work);
        let mail = Mail {
            work,
            daemons: Mutex::default(),
        };
        for directory in [mail.work.clone(), mail.home()] {
            fs::create_dir(&directory).expect("a work directory");
            own(&directory);
        }
        mail.inbox().create();
        mail
    }

    /// A Maildir whose INBOX holds these messages, already seen by a mail program (in `cur/`),
    /// dated one second apart from 14 November 2023, 22:13:20 UTC.
    pub fn with<const N: usize>(messages: [&str; N]) -> Mail {
        let mail = Mail::new();
        for name in messages {
            mail.inbox().store(&message::text(name), "");
        }
        mail
    }

    /// A Maildir with `count` numbered messages in INBOX, made as [`Mail::with`] does.
    pub fn numbered(count: usize) -> Mail {
        let mail = Mail::new();
        mail.inbox().fill(count);
        mail
    }

    /// The work directory: for configuration files and the like.
    pub fn work(&self) -> &Path {
        &self.work
    }

    /// Writes a file into the work directory; gives its path.
    pub fn write(&self, name: &str, text: impl AsRef<[u8]>) -> PathBuf {
        let path = self.work.join(name);
        fs::write(&path, text).expect("a file");
        own(&path);
        path
    }

    /// Makes a directory in the work directory; gives its path.
    pub fn directory(&self, name: &str) -> PathBuf {
        let path = self.work.join(name);
        fs::create_dir_all(&path).expect("a directory");
        own(&path);
        path
    }

    /// The home directory of the user whose mail this is.
    pub fn home(&self) -> PathBuf {
        self.work.join("home")
    }

    /// The root of the Maildir.
    pub fn root(&self) -> PathBuf {
        self.work.join("home/Maildir")
    }

    pub fn inbox(&self) -> Folder {
        Folder { path: self.root() }
    }

    /// Whose it is: user and group.
    pub fn owner(&self) -> (u32, u32) {
        let home = self.home().metadata().expect("a home");
        (home.uid(), home.gid())
    }

    /// The daemon over it that has these settings.
    #[track_caller]
    pub fn daemon(&self, settings: &[&str]) -> Arc<Whole> {
        let daemons = self.daemons.lock();
        let mut daemons = daemons.unwrap_or_else(PoisonError::into_inner);
        if let Some((_, there)) = daemons.iter().find(|(has, _)| has == settings) {
            return Arc::clone(there);
        }
        let daemon = Whole::start(self, settings);
        let settings = settings.iter().map(|setting| (*setting).to_owned());
        daemons.push((settings.collect(), Arc::clone(&daemon)));
        daemon
    }

    /// The directory of a mailbox other than INBOX, by its Maildir++ name: `Work.2026`.
    pub fn folder(&self, name: &str) -> Folder {
        Folder {
            path: self.root().join(format!(".{name}")),
        }
    }

    /// A client of a server of its own, past the greeting.
    #[track_caller]
    pub fn connect(&self) -> Client {
        Server::preauth(self)
    }

    /// A connected client that has INBOX selected.
    #[track_caller]
    pub fn select(&self) -> Client {
        let mut client = self.connect();
        client.ok("SELECT INBOX");
        client
    }
}

impl Drop for Mail {
    fn drop(&mut self) {
        let daemons = self.daemons.get_mut();
        daemons.unwrap_or_else(PoisonError::into_inner).clear();
        if std::thread::panicking() {
            eprintln!("work directory kept: {}", self.work.display());
        } else {
            let _ = fs::remove_dir_all(&self.work);
        }
    }
}

/// One folder as any program sees it: `cur`, `new`, `tmp`.
#[derive(Clone)]
pub struct Folder {
    path: PathBuf,
}

impl Folder {
    /// The folder that lies in this directory.
    pub fn at(path: PathBuf) -> Folder {
        Folder { path }
    }

    pub fn path(&self) -> &Path {
        &self.path
    }

    pub fn create(&self) {
        for directory in ["", "cur", "new", "tmp"].map(|sub| self.path.join(sub)) {
            fs::create_dir_all(&directory).expect("a folder");
            own(&directory);
        }
    }

    /// Delivers as Postfix's local(8) and virtual(8) do: written in `tmp/`, linked into `new/`
    /// under a name made of time, device, inode and host, unlinked from `tmp/`. Gives the name.
    pub fn deliver(&self, text: &[u8]) -> String {
        let now = SystemTime::now()
            .duration_since(SystemTime::UNIX_EPOCH)
            .expect("a clock past 1970");
        let (seconds, micros) = (now.as_secs(), now.subsec_micros());
        let tmp = self.path.join(format!(
            "tmp/{seconds}.P{}.{}.{HOST}",
            std::process::id(),
            next()
        ));
        let file = create(&tmp, text);
        let facts = file.metadata().expect("its facts");
        let name = format!(
            "{seconds}.V{:x}I{:x}M{micros}.{HOST}",
            facts.dev(),
            facts.ino()
        );
        fs::hard_link(&tmp, self.path.join("new").join(&name)).expect("linked into new");
        fs::remove_file(&tmp).expect("unlinked from tmp");
        name
    }

    /// Delivers `messages/<name>`.
    pub fn deliver_file(&self, name: &str) -> String {
        self.deliver(&message::text(name))
    }

    /// Puts a message straight into `cur/` with these flags and a fixed date; gives its base name.
    pub fn store(&self, text: &[u8], flags: &str) -> String {
        let number = next();
        let seconds = FIRST_SECOND + self.names("cur").len() as u64;
        let base = format!("{seconds}.M{number}P1.{HOST}");
        self.store_as(text, &format!("{base}:2,{flags}"), seconds);
        base
    }

    /// Puts a message into `cur/` under exactly this name, with this modification time.
    pub fn store_as(&self, text: &[u8], name: &str, seconds: u64) {
        let tmp = self.path.join("tmp").join(name);
        create(&tmp, text)
            .set_modified(SystemTime::UNIX_EPOCH + Duration::from_secs(seconds))
            .expect("its time set");
        fs::rename(tmp, self.path.join("cur").join(name)).expect("renamed into cur");
    }

    /// Fills `cur/` with `count` numbered messages.
    pub fn fill(&self, count: usize) {
        for n in 1..=count {
            let seconds = FIRST_SECOND + n as u64;
            let name = format!("{seconds}.M{n}P1.{HOST}:2,");
            self.store_as(&message::numbered(n), &name, seconds);
        }
    }

    /// `cur` and `new` were last changed so many seconds ago.
    pub fn date_directories(&self, seconds: u64) {
        let time = SystemTime::now() - Duration::from_secs(seconds);
        for sub in ["cur", "new"] {
            let directory = File::open(self.path.join(sub)).expect("a directory");
            directory.set_modified(time).expect("its time set");
        }
    }

    /// The names in `cur` or `new`, sorted.
    pub fn names(&self, sub: &str) -> Vec<String> {
        let mut names: Vec<String> = fs::read_dir(self.path.join(sub))
            .expect("a listing")
            .map(|entry| entry.expect("an entry").file_name())
            .map(|name| name.into_string().expect("a name in ASCII"))
            .collect();
        names.sort();
        names
    }

    /// Where the message with this base name is now.
    pub fn find(&self, base: &str) -> Option<PathBuf> {
        ["new", "cur"].iter().find_map(|sub| {
            self.names(sub)
                .into_iter()
                .find(|name| name.split(':').next() == Some(base))
                .map(|name| self.path.join(sub).join(name))
        })
    }

    /// The flag letters in the name of the message with this base name.
    #[track_caller]
    pub fn flags(&self, base: &str) -> String {
        let path = self.find(base).unwrap_or_else(|| panic!("{base} is gone"));
        let name = path.file_name().and_then(|n| n.to_str()).unwrap_or("");
        name.split_once(":2,")
            .map_or("", |(_, flags)| flags)
            .to_owned()
    }

    /// Renames the message so that it carries exactly these flag letters, as mutt does: into
    /// `cur/`, without any lock.
    #[track_caller]
    pub fn set_flags(&self, base: &str, letters: &str) {
        let from = self.find(base).unwrap_or_else(|| panic!("{base} is gone"));
        fs::rename(from, self.path.join(format!("cur/{base}:2,{letters}"))).expect("renamed");
    }

    /// Deletes the message's file.
    #[track_caller]
    pub fn remove(&self, base: &str) {
        let path = self.find(base).unwrap_or_else(|| panic!("{base} is gone"));
        fs::remove_file(path).expect("removed");
    }

    /// Moves the message into another folder, keeping its name, as `mv` does.
    #[track_caller]
    pub fn move_to(&self, base: &str, other: &Folder) {
        let from = self.find(base).unwrap_or_else(|| panic!("{base} is gone"));
        let name = from.file_name().expect("a name").to_owned();
        fs::rename(from, other.path.join("cur").join(name)).expect("moved");
    }

    /// The base names in `cur`, in the order of their UIDs had they been found together.
    pub fn bases(&self) -> Vec<String> {
        let base = |name: String| name.split(':').next().unwrap_or("").to_owned();
        self.names("cur").into_iter().map(base).collect()
    }

    /// Everything in tmp, where nothing should stay.
    pub fn leftovers(&self) -> Vec<String> {
        self.names("tmp")
    }

    /// A control file's text.
    #[track_caller]
    pub fn control(&self, name: &str) -> String {
        let path = self.path.join(name);
        fs::read_to_string(&path).unwrap_or_else(|e| panic!("{}: {e}", path.display()))
    }

    /// The folder through the `maildir` crate, another outside program.
    pub fn crate_maildir(&self) -> maildir::Maildir {
        maildir::Maildir::from(self.path.clone())
    }
}

/// A new file of the user's with this text.
fn create(path: &Path, text: &[u8]) -> File {
    let mut file = File::create_new(path).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
    file.write_all(text).expect("written");
    own(path);
    file
}

/// Gives the file to the user whose mail it is: whoever runs the tests, but for root, whom no mail
/// server serves. Then it is whose the directory is, or the system user `mail`, which every Debian
/// has.
pub fn own(path: &Path) {
    if nix::unistd::geteuid().is_root() {
        let directory = path.parent().and_then(|parent| parent.metadata().ok());
        let owner = directory.filter(|directory| directory.uid() != 0);
        let (uid, gid) = owner.map_or((MAIL, MAIL), |owner| (owner.uid(), owner.gid()));
        std::os::unix::fs::chown(path, Some(uid), Some(gid)).expect("given to the user");
    }
}

/// `mail` and its group on every Debian.
pub const MAIL: u32 = 8;

/// The first message of a fixture carries this time: 14 November 2023, 22:13:20 UTC.
const FIRST_SECOND: u64 = 1_700_000_000;
const HOST: &str = "mail.example.org";

pub(super) fn next() -> usize {
    static NEXT: AtomicUsize = AtomicUsize::new(1);
    NEXT.fetch_add(1, Ordering::Relaxed)
}

/// A client of this mail, in whose folder `name` ("" is INBOX) there are 26 more messages, the
/// first with the keyword `k0`, the second with `k1`, and so on: all letters are in use.
pub fn full_of_keywords(mail: &Mail, name: &str) -> Client {
    let folder = match name {
        "" => mail.inbox(),
        name => mail.folder(name),
    };
    if !name.is_empty() {
        folder.create();
    }
    for letter in 'a'..='z' {
        folder.store(&message::text("one.eml"), &letter.to_string());
    }
    let names: String = (0..26).map(|n| format!("{n} k{n}\n")).collect();
    let path = folder.path().join("dovecot-keywords");
    fs::write(&path, names).expect("written");
    own(&path);
    mail.connect()
}
