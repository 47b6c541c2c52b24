//! A directory for one test of the daemon, and what of the host it borrows: users, PAM services.
//!
//! Everything borrowed has the number of the test's process in its name, and goes with the value
//! that stands for it. What a killed run left behind, the next one removes.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, MutexGuard, Once};

use super::Folder;

/// A directory of root's that others may pass through, kept if the test fails.
pub struct Place {
    path: PathBuf,
}

impl Place {
    pub fn new() -> Place {
        clean_up();
        let path = std::env::temp_dir().join(format!("{PREFIX}{}-{}", std::process::id(), next()));
        let _ = fs::remove_dir_all(&path);
        fs::create_dir(&path).expect("a directory");
        set_mode(&path, 0o755);
        Place { path }
    }

    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Where something may be put.
    pub fn join(&self, name: &str) -> PathBuf {
        self.path.join(name)
    }

    /// Writes a file; gives its path.
    pub fn write(&self, name: &str, text: impl AsRef<[u8]>) -> PathBuf {
        let path = self.join(name);
        fs::write(&path, text).expect("a file");
        path
    }

    /// Writes a script that can be run; gives its path.
    pub fn script(&self, name: &str, text: &str) -> PathBuf {
        let path = self.write(name, text);
        set_mode(&path, 0o755);
        path
    }

    /// Makes a directory that belongs to this user and group; gives its path.
    pub fn directory_of(&self, name: &str, uid: u32, gid: u32) -> PathBuf {
        let path = self.join(name);
        fs::create_dir_all(&path).expect("a directory");
        std::os::unix::fs::chown(&path, Some(uid), Some(gid)).expect("given away");
        path
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("directory kept: {}", self.path.display());
        } else {
            let _ = fs::remove_dir_all(&self.path);
        }
    }
}

/// A user of this host, who goes with this value.
pub struct User {
    pub name: String,
    pub uid: u32,
    pub gid: u32,
    pub home: PathBuf,
}

impl User {
    pub const PASSWORD: &'static str = "open-sesame";

    /// A user with a password, a group of the same name and an empty Maildir.
    pub fn new() -> User {
        User::with(&[])
    }

    /// A user as above, with further arguments of useradd(8).
    pub fn with(arguments: &[&str]) -> User {
        User::named(
            &format!("{PREFIX}{}-{}", std::process::id(), next()),
            arguments,
        )
    }

    /// A user of a certain name, which must not be any other test's.
    pub fn named(name: &str, arguments: &[&str]) -> User {
        clean_up();
        let home =
            std::env::temp_dir().join(format!("{PREFIX}{}-home-{}", std::process::id(), next()));
        let _ = fs::remove_dir_all(&home);
        fs::create_dir(&home).expect("a home");
        let mut useradd = Command::new("/usr/sbin/useradd");
        useradd
            .args(["-M", "-U", "-s", "/bin/sh", "-p", HASH, "-d"])
            .arg(&home)
            .args(arguments)
            .arg(name);
        administer(&mut useradd);
        let found = nix::unistd::User::from_name(name).expect("a user database");
        let found = found.expect("the new user");
        let user = User {
            name: name.to_owned(),
            uid: found.uid.as_raw(),
            gid: found.gid.as_raw(),
            home,
        };
        std::os::unix::fs::chown(&user.home, Some(user.uid), Some(user.gid)).expect("his home");
        user.inbox().create();
        user
    }

    pub fn inbox(&self) -> Folder {
        Folder::at(self.home.join("Maildir"))
    }

    /// LOGIN with the right password.
    pub fn login(&self) -> String {
        format!("LOGIN {} {}", self.name, User::PASSWORD)
    }

    /// usermod(8), or any other program that changes the user, whose name is added.
    pub fn administer(&self, program: &str, arguments: &[&str]) {
        administer(Command::new(program).args(arguments).arg(&self.name));
    }

    /// A password like [`User::PASSWORD`] is set by its hash.
    pub fn set_password_hash(&self, hash: &str) {
        self.administer("/usr/sbin/usermod", &["-p", hash]);
    }
}

impl Drop for User {
    fn drop(&mut self) {
        let _quiet = users_lock();
        let _ = output(Command::new("/usr/sbin/userdel").arg("-f").arg(&self.name));
        if std::thread::panicking() {
            eprintln!("home kept: {}", self.home.display());
        } else {
            let _ = fs::remove_dir_all(&self.home);
        }
    }
}

/// A file in /etc/pam.d, which goes with this value.
pub struct PamService {
    pub name: String,
}

impl PamService {
    /// What a host does by default, without what looks at the host's state.
    pub fn unix() -> PamService {
        PamService::new(
            "auth required pam_unix.so\naccount required pam_unix.so\nsession optional pam_unix.so\n",
        )
    }

    pub fn new(text: &str) -> PamService {
        clean_up();
        let name = format!("{PREFIX}{}-{}", std::process::id(), next());
        let service = PamService { name };
        service.rewrite(text);
        service
    }

    /// Other rules from now on.
    pub fn rewrite(&self, text: &str) {
        fs::write(self.path(), text).expect("a PAM service");
    }

    fn path(&self) -> PathBuf {
        Path::new(PAM).join(&self.name)
    }
}

impl Drop for PamService {
    fn drop(&mut self) {
        let _ = fs::remove_file(self.path());
    }
}

/// Runs a program without a terminal; gives what it printed on both streams, and whether it
/// succeeded.
pub fn output(command: &mut Command) -> (bool, String) {
    let Output {
        status,
        stdout,
        stderr,
    } = command
        .stdin(Stdio::null())
        .output()
        .unwrap_or_else(|e| panic!("{command:?}: {e}"));
    let mut printed = String::from_utf8_lossy(&stdout).into_owned();
    printed += &String::from_utf8_lossy(&stderr);
    (status.success(), printed)
}

/// Runs a program that must succeed; gives what it printed.
#[track_caller]
pub fn succeed(command: &mut Command) -> String {
    let (success, printed) = output(command);
    assert!(success, "{command:?}\n{printed}");
    printed
}

pub fn set_mode(path: &Path, mode: u32) {
    use std::os::unix::fs::PermissionsExt;
    fs::set_permissions(path, fs::Permissions::from_mode(mode)).expect("its mode");
}

/// The programs that change users wait for each other only so long.
fn users_lock() -> MutexGuard<'static, ()> {
    static USERS: Mutex<()> = Mutex::new(());
    USERS
        .lock()
        .unwrap_or_else(std::sync::PoisonError::into_inner)
}

fn administer(command: &mut Command) {
    let _one_at_a_time = users_lock();
    for _ in 0..3 {
        let (success, printed) = output(command);
        if success {
            return;
        }
        assert!(printed.contains("lock"), "{command:?}\n{printed}");
    }
    panic!("{command:?}: the user database stays locked");
}

/// Removes what runs left behind that do not live any more.
fn clean_up() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        let _one_at_a_time = users_lock();
        let passwd = fs::read_to_string("/etc/passwd").unwrap_or_default();
        for name in passwd.lines().filter_map(|line| line.split(':').next()) {
            if is_left_over(name) {
                let _ = output(Command::new("/usr/sbin/userdel").arg("-f").arg(name));
            }
        }
        for entry in fs::read_dir(PAM).into_iter().flatten().flatten() {
            if entry.file_name().to_str().is_some_and(is_left_over) {
                let _ = fs::remove_file(entry.path());
            }
        }
    });
}

fn is_left_over(name: &str) -> bool {
    let rest = name.strip_prefix(PREFIX);
    let process = rest.and_then(|rest| rest.split('-').next()?.parse::<u32>().ok());
    process.is_some_and(|process| !Path::new(&format!("/proc/{process}")).exists())
}

fn next() -> usize {
    static NEXT: AtomicUsize = AtomicUsize::new(1);
    NEXT.fetch_add(1, Ordering::Relaxed)
}

const PREFIX: &str = "roost-t";
const PAM: &str = "/etc/pam.d";

/// Of [`User::PASSWORD`], as cheap to check as crypt(5) permits.
const HASH: &str = "$6$rounds=1000$IpOeyuowvnsHl8X2$5Bx9q0uAQGJWMpK5frdgLVhl8oMfzwqrrEbcC0hw3MIc8k.gBPwy2Neil9d3ExHyzvjCR862aErDXhoGvLFRu/";
