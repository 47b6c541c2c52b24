//! The whole daemon over a [`Mail`]: its conversations go through front, TLS and a session that the
//! monitor has started, with the Maildir's owner as a user of a passwd-file.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use nix::sys::signal::Signal;

use super::{Client, Daemon, Mail, Place, Proc, Server, eventually};

/// A daemon for the mail of one test.
pub struct Whole {
    pub daemon: Daemon,
    clients: AtomicUsize,
}

impl Whole {
    /// With these settings, as `--set` takes them.
    #[track_caller]
    pub fn start(mail: &Mail, settings: &[&str]) -> Arc<Whole> {
        let place = Place::new();
        let (uid, gid) = mail.owner();
        let (user, password, home) = (Server::USER, Server::PASSWORD, mail.home());
        let home = home.display();
        let users = place.write(
            "users",
            format!("{user}:{{PLAIN}}{password}:{uid}:{gid}::{home}::\n"),
        );
        let mut daemon = Daemon::prepare_in(
            place,
            &[
                &format!("auth.sources = [\"passwd-file:{}\"]", users.display()),
                "auth.first_valid_uid = 1",
                "mail.linger = \"0s\"",
                "log.level = \"info\"",
            ],
        );
        daemon.with_environment("TZ", "UTC");
        let mut command = daemon.command();
        for setting in settings {
            command.args(["--set", setting]);
        }
        daemon.run_by(command);
        Arc::new(Whole {
            daemon,
            clients: AtomicUsize::new(0),
        })
    }

    /// A client over TLS, logged in.
    #[track_caller]
    pub fn connect(self: &Arc<Whole>) -> Client {
        let mut client = self.daemon.dial_tls();
        client.ok(&format!("LOGIN {} \"{}\"", Server::USER, Server::PASSWORD));
        self.clients.fetch_add(1, Ordering::Relaxed);
        client.come_from(Seat(Arc::clone(self)));
        client
    }
}

/// A client's part in the session.
pub struct Seat(Arc<Whole>);

impl Seat {
    /// Waits for the session to end if this was its last client: then all is written.
    #[track_caller]
    pub fn leave(self) {
        if self.0.clients.load(Ordering::Relaxed) == 1 {
            eventually("the session to end", || {
                self.0.daemon.sessions().is_empty().then_some(())
            });
        }
    }
}

impl Seat {
    /// The session dies at once, and with it all its clients' connections.
    #[track_caller]
    pub fn kill(&self) {
        let sessions = self.0.daemon.sessions();
        for session in &sessions {
            session.signal(Signal::SIGKILL);
        }
        // Until the monitor has heard of it, too: it would pass the next client on to the dead.
        let is_there = |session: &Proc| Path::new(&format!("/proc/{}", session.0)).exists();
        eventually("the session to be gone", || {
            (!sessions.iter().any(is_there)).then_some(())
        });
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        self.0.clients.fetch_sub(1, Ordering::Relaxed);
    }
}
