//! A Dovecot of the test's that serves no mail, and is asked who users are.

use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use super::{Place, eventually};

/// Ends with this value.
pub struct AuthService {
    child: Child,
    base_dir: PathBuf,
}

impl AuthService {
    /// `users`: passdbs and userdbs, and what else of a configuration is about them.
    #[track_caller]
    pub fn start(place: &Place, users: &str) -> AuthService {
        let path = place.path().display();
        let file = place.write(
            "dovecot.conf",
            format!(
                "base_dir = {path}/run\nstate_dir = {path}/state\nlog_path = {path}/dovecot.log\n\
                 protocols =\nssl = no\nauth_failure_delay = 0\n{users}"
            ),
        );
        let child = Command::new("/usr/sbin/dovecot")
            .args(["-F", "-c"])
            .arg(file)
            .stdin(Stdio::null())
            .spawn()
            .expect("dovecot");
        let service = AuthService {
            child,
            base_dir: place.join("run"),
        };
        // A former Dovecot may have left its sockets there.
        eventually("Dovecot's sockets", || {
            let sockets = ["auth-login", "auth-master", "auth-userdb"];
            let answers = |name: &&str| UnixStream::connect(service.base_dir.join(name)).is_ok();
            sockets.iter().all(answers).then_some(())
        });
        service
    }

    pub fn base_dir(&self) -> &Path {
        &self.base_dir
    }

    /// Its processes are gone.
    pub fn stop(&mut self) {
        let pid = i32::try_from(self.child.id()).expect("a process number");
        let pid = nix::unistd::Pid::from_raw(pid);
        let _ = nix::sys::signal::kill(pid, nix::sys::signal::Signal::SIGTERM);
        let _ = self.child.wait();
    }
}

impl Drop for AuthService {
    fn drop(&mut self) {
        self.stop();
    }
}
